"""When trials begin preloaded: what is decided without any process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from syrupy.assertion import SnapshotAssertion

from laboratory import wait_until
from modeldir._system import processes
from modeldir.experiment import attempts
from modeldir.experiment.experiment import Status
from modeldir.worker.preload import import_cache, policy, recording, spawner
from modeldir.worker.preload.import_cache import SavedImports, Script
from modeldir.worker.preload.imports import ImportList, ImportReport, ListedModule
from modeldir.worker.start_order import Start


def learned(*names: str) -> ImportList:
    modules = tuple(ListedModule(name, f"/site/{name}.py") for name in names)
    return ImportList(modules, (), "python", "3", "", "/", (), (), {}, has_ended=True)


def many(count: int) -> list[str]:
    return [f"numpy.part{number}" for number in range(count)]


def test_only_what_was_installed_counts_as_worth_it() -> None:
    """By itself: Python's own modules and ours are imported in no time, however many they are."""
    own = ["json", "asyncio.events", "modeldir.params.params"] * 100
    assert not policy.is_worth_preloading(learned(*own, *many(policy.WORTH - 1)))
    assert policy.is_worth_preloading(learned(*own, *many(policy.WORTH)))


@pytest.mark.parametrize(
    ("began", "grew", "now", "has"),
    [(0, 0.1, 0.5, False), (0, 0.1, 0.7, True), (0, 10, 11, False), (0, 10, 12.1, True),
     (0, 1000, 1004, False), (0, 1000, 1005, True)],
)  # fmt: skip
def test_imports_are_complete_once_none_came_for_a_while(
    began: float, grew: float, now: float, *, has: bool
) -> None:
    """For a fifth of the time that they took, at least half a second, at most five."""
    assert recording.has_settled(began, grew, now) is has


def test_texts(snapshot: SnapshotAssertion, tmp_path: Path) -> None:
    """What a user reads of it."""
    train = ("python", "train.py")
    assert [
        policy.preloaded_text(1143),
        policy.recorded_again_text("has changed"),
        policy.recorded_again_text("differs from the recorded one"),
        policy.not_preloaded_text("jax must not be forked"),
        policy.not_preloaded_text(
            "width_64 died by SIGSEGV as the first that was forked: it runs again, without preload"
        ),
        policy.preview(tmp_path, train, "/", None, 2),
    ] == snapshot
    assert policy.preview(tmp_path, train, "/", None, 1) is None
    assert policy.preview(tmp_path, ("sh", "train.sh"), "/", None, 2) is None


@pytest.mark.parametrize(
    "command", [("sh", "train.sh"), ("torchrun", "train.py"), ("python", "-c", "pass"), ("-",)]
)
def test_what_is_no_python_script_is_left_alone(tmp_path: Path, command: tuple[str, ...]) -> None:
    """Nothing is learned of it, and nothing is said."""
    told: list[str] = []
    preloading = policy.Preloading(tmp_path, told.append, left=lambda: 9, code=lambda: "c0de")
    preloading.begin(command, "/")
    start = Start(str(tmp_path), 1, command, "/")
    assert preloading.choose(start) == (None, start)
    assert not preloading.must_wait()
    assert told == []


def test_one_trial_at_a_time_notes_its_imports(tmp_path: Path) -> None:
    """The first, through what notes them; its command stays what is recorded."""
    (tmp_path / ".modeldir").mkdir()
    preloading = policy.Preloading(tmp_path, print, left=lambda: 9, code=lambda: "c0de")
    command = (sys.executable, "-u", "train.py", "--model_dir", "d")
    preloading.begin(command[:3], "/")
    first, second = (Start(str(tmp_path / name), 1, command, "/") for name in "ab")
    _, way = preloading.choose(first)
    assert way.command == command
    assert [*way.by[:2], *way.by[4:]] == [*command[:2], *command[2:]]
    assert preloading.choose(second) == (None, second)


def test_what_was_noted_without_its_head_tells_nothing(tmp_path: Path) -> None:
    """A script notes on where somebody has removed the file, and that begins in the middle."""
    (tmp_path / "imports.1").write_text("{'name': 'numpy', 'origin': '/site/numpy.py'}\n")
    assert ImportReport(str(tmp_path / "imports.1")).import_list() is None


def test_what_others_note_is_left_alone(tmp_path: Path) -> None:
    """A worker on another host cannot be seen; what it was killed beside is removed after days."""
    home = tmp_path / ".modeldir"
    home.mkdir()
    fresh, old = home / "imports.fresh", home / "imports.old"
    for path in (fresh, old):
        path.touch()
    days = time.time() - 3 * 86400
    os.utime(old, (days, days))
    preloading = policy.Preloading(tmp_path, print, left=lambda: 9, code=lambda: "c0de")
    preloading.begin(("python", "train.py"), str(tmp_path))
    assert fresh.exists()
    assert not old.exists()


def test_that_known_imports_are_waited_for_is_told_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing runs yet, for as long as the script imports: the screen should not stay empty."""
    monkeypatch.setenv("XDG_CACHE_HOME", os.devnull)
    (tmp_path / ".modeldir").mkdir()
    (tmp_path / "train.py").touch()
    script = Script((sys.executable, "train.py"), str(tmp_path), "c0de")
    times = {"/": os.stat("/").st_mtime_ns}
    known = replace(learned(*many(policy.WORTH)), executable="/", folders=times)
    kept = SavedImports(script.words, script.state, known, (1.5, 2.0))
    import_cache.save(tmp_path, script, kept)
    told: list[str] = []
    preloading = policy.Preloading(tmp_path, told.append, left=lambda: 9, code=lambda: "c0de")
    preloading.begin(script.words, str(tmp_path))
    assert told == []
    assert preloading.must_wait()
    assert told == [policy.preloaded_text(policy.WORTH)]
    preloading.close()


def brief(folder: Path, left: int | None, told: list[str] | None = None) -> policy.Preloading:
    """Return the preloading of a script that imports nothing that was installed."""
    (folder / ".modeldir").mkdir(exist_ok=True)
    (folder / "train.py").write_text("import argparse, json\n")
    tell = print if told is None else told.append
    preloading = policy.Preloading(folder, tell, left=lambda: left, code=lambda: "c0de")
    preloading.begin((sys.executable, "train.py"), str(folder))
    return preloading


def begins_preloaded(preloading: policy.Preloading, folder: Path, *took: float) -> bool:
    """Whether a further trial begins as a fork, after trials that took so long by their records."""
    start = Start(str(folder / "trial"), 1, (sys.executable, "train.py"), str(folder))
    for seconds in took:
        way = preloading.choose(start)[1]
        subprocess.run(way.by or way.command, cwd=folder, check=True)
        preloading.trial_ended(folder / "trial", Status(attempts.COMPLETED, duration=seconds))
    assert not preloading.must_wait()  # it has ended sooner
    if not preloading.descriptors:
        return False
    wait_until(
        lambda: not preloading.check(0) and preloading.choose(start)[0] is not None, "the imports"
    )
    return True


def test_words_of_a_script_do_not_end_preloading(tmp_path: Path) -> None:
    """Only the record's `fork_failed` does, whatever the reason of an interruption says."""
    told: list[str] = []
    preload = brief(tmp_path, 9, told)
    reason = "stopped as the first that was forked: it runs again, without preload"
    for number, facts in ((1, {}), (2, {"fork_failed": True})):
        told.clear()
        record = {"status": "interrupted", "reason": reason, **facts}
        (tmp_path / attempts.run_file(number)).write_text(json.dumps(record))
        preload.trial_ended(tmp_path, Status(attempts.INTERRUPTED, number, reason=reason))
        assert bool(told) == bool(facts)


SHORT, LONG = policy.BRIEF, policy.BRIEF + 0.1


@pytest.mark.parametrize(
    ("took", "left", "is_preloaded"),
    [((SHORT,), policy.MANY, True), ((SHORT,), None, True), ((SHORT,), policy.MANY - 1, False),
     ((LONG,), 1000, False), ((LONG, LONG, SHORT), 1000, True)],
)  # fmt: skip
def test_many_brief_trials_are_worth_it_whatever_they_import(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, took: tuple[float, ...], left: int | None, *,
    is_preloaded: bool,
) -> None:  # fmt: skip
    """To start Python is a part of them. That the first takes long may be the machine's fault; none
    of them waits, and what begins so is told.
    """
    monkeypatch.setenv("XDG_CACHE_HOME", os.devnull)
    told: list[str] = []
    preloading = brief(tmp_path, left, told)
    assert begins_preloaded(preloading, tmp_path, *took) is is_preloaded
    assert [text.split()[0] for text in told] == ["preloaded"] * is_preloaded
    preloading.close()


@pytest.mark.parametrize(("left", "is_preloaded"), [(policy.MANY, True), (3, False)])
def test_a_later_search_of_brief_trials_begins_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, left: int, *, is_preloaded: bool
) -> None:
    """It knows what they import, and does not wait for it; of few trials nothing is imported."""
    monkeypatch.setenv("XDG_CACHE_HOME", os.devnull)
    first = brief(tmp_path, None)
    assert begins_preloaded(first, tmp_path, SHORT)
    first.close()
    told: list[str] = []
    later = brief(tmp_path, left, told)
    train = (sys.executable, "train.py")
    ahead = policy.preview(tmp_path, train, str(tmp_path), "c0de", left)
    assert (ahead is not None and "later trials start without importing" in ahead) is is_preloaded
    assert not later.must_wait()
    assert told == []
    assert begins_preloaded(later, tmp_path) is is_preloaded
    later.close()


def test_what_is_kept_is_of_the_code_that_was_learned_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The script was edited before a trial was short, or before its imports were there."""
    monkeypatch.setenv("XDG_CACHE_HOME", os.devnull)
    preloading = brief(tmp_path, None)
    train = (sys.executable, "train.py")
    assert not begins_preloaded(preloading, tmp_path, LONG)
    before = Script(train, str(tmp_path), "c0de").state
    (tmp_path / "train.py").write_text("import csv\n")
    assert begins_preloaded(preloading, tmp_path, SHORT)
    preloading.close()
    kept = import_cache.read(tmp_path)
    assert kept is not None
    assert kept.state == before
    assert import_cache.find(tmp_path, Script(train, str(tmp_path), "c0de")) is None


@pytest.mark.parametrize("left", [policy.MANY, policy.MANY - 1])
def test_why_trials_are_not_preloaded_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, left: int
) -> None:
    """Of few short ones nothing is said: they begin without preload anyway."""
    monkeypatch.setenv("XDG_CACHE_HOME", os.devnull)
    (tmp_path / ".modeldir").mkdir()
    (tmp_path / "train.py").touch()
    script = Script((sys.executable, "train.py"), str(tmp_path), "c0de")
    known = replace(learned("json"), executable="/", folders={"/": os.stat("/").st_mtime_ns})
    import_cache.save(
        tmp_path, script, SavedImports(script.words, script.state, known, (0, 0), "jax")
    )
    told: list[str] = []
    preloading = policy.Preloading(tmp_path, told.append, left=lambda: left, code=lambda: "c0de")
    preloading.begin(script.words, str(tmp_path))
    expected = [policy.not_preloaded_text("jax")] if left >= policy.MANY else []
    assert told == expected
    ahead = policy.preview(tmp_path, script.words, script.cwd, "c0de", left)
    assert ahead == (expected[0] if expected else None)
    start = Start(str(tmp_path / "trial"), 1, script.words, str(tmp_path))
    assert preloading.choose(start) == (None, start)
    assert not preloading.must_wait()


def test_who_was_suspended_counts_anew(tmp_path: Path) -> None:
    """A job that a scheduler stopped for an hour has no trial that did nothing for so long."""
    now = [0.0]
    told: list[str] = []
    (tmp_path / ".modeldir").mkdir()
    preloading = policy.Preloading(
        tmp_path, told.append, left=lambda: 9, code=lambda: "c0de", clock=lambda: now[0]
    )
    preloading.begin(("python", "train.py"), "/")
    with subprocess.Popen(["sleep", "1000"]) as trial:
        start = Start(str(tmp_path), 1, ("python", "train.py"), "/", forked=True)
        preloading.started(trial.pid, start)
        for seconds in (1, 2, 3602, 3603, 3612, 3621, 3630):
            now[0] = seconds
            preloading.check(1)
            assert trial.poll() is None
        assert told == []
        for seconds in range(3631, 3640):
            now[0] = seconds
            preloading.check(1)
        assert trial.wait(60) < 0
    assert "did nothing for 30 s" in told[0]


def test_an_import_ahead_that_does_not_listen_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A long list fills the socket; who never reads it is ended, and trials run without preload."""
    monkeypatch.setattr(spawner, "_SEND_TIMEOUT", 0.2)
    deaf = spawner.PreloadSpawner(("sh", "-c", "exec sleep 1000"), dict(os.environ), str(tmp_path))
    it = processes.process(deaf.pid)
    assert it is not None
    with pytest.raises(OSError, match="timed out"):
        deaf.ask(learned(*many(100_000)))
    wait_until(lambda: processes.alive(it) is False, "its end")
    deaf.close()
