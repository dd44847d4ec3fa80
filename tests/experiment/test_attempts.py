"""Attempts: the right to run is got once, the unknown is never taken for dead, nothing mixes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from laboratory import Clock, wait_until
from modeldir._system import heartbeat, processes, reading
from modeldir.errors import FolderBusy
from modeldir.experiment import attempts, liveness
from modeldir.experiment.attempts import archive, begin, latest, rewrite, run_file
from modeldir.experiment.experiment import status
from modeldir.experiment.liveness import is_alive, next_number

if TYPE_CHECKING:
    from syrupy.assertion import SnapshotAssertion

linux = pytest.mark.skipif(not processes.LINUX, reason="what only Linux's kernel offers")
DEAD_SINCE_A_REBOOT = {"boot": "another"}
ELSEWHERE = {"boot": "another", "host": "elsewhere"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An experiment's folder."""
    path = tmp_path / "base_model"
    path.mkdir()
    (path / "params.json").write_text("{}")
    return path


def identity(**changes: Any) -> dict[str, Any]:
    """Our own process as a run file records it, or one that differs."""
    me = processes.process()
    assert me is not None
    return replace(me, **changes).to_json()


def started(
    folder: Path, number: int = 1, process: Mapping[str, Any] | None = None, **facts: Any
) -> attempts.Attempt:
    """An attempt that got as far as its command; by default it is of this very process."""
    attempt = begin(folder, number, {"process": process or identity(), **facts})
    assert attempt is not None
    return attempt


def ended(folder: Path, number: int = 1, status: str = "completed") -> attempts.Attempt:
    return rewrite(started(folder, number), {"status": status})


def test_a_command_that_begins_at_once_has_begun(folder: Path) -> None:
    """Its process is recorded later; leftovers of earlier attempts are archived first."""
    first = begin(folder, 1, {"process": {}})
    assert attempts.last_started(first) == first
    (folder / "last.pth").write_text("weights")
    second = begin(folder, 2, {"process": {}})
    assert second is not None
    assert rewrite(second, {}).has_leftovers
    assert second.record["process"] is None
    assert attempts.last_started(second) == attempts.read(folder, 1)


@linux
def test_a_command_that_nobody_has_recorded_yet_is_found_by_its_token(folder: Path) -> None:
    """Its supervisor was killed in the first moment; what it has forked is not taken for it."""
    attempt = begin(folder, 1, {"process": {}})
    assert attempt is not None
    assert liveness.command_process(attempt) is None
    told = attempts.environment_variables(attempt.record["token"], folder, 1, resumes=False)
    with subprocess.Popen(
        ["sh", "-c", "sleep 60 & wait"], env={**os.environ, **told}, start_new_session=True
    ) as command:
        known = processes.process(command.pid)
        # The kernel shows a new program's environment a moment after `Popen` returns.
        wait_until(lambda: liveness.command_process(attempt) == known, "its environment")
        liveness.kill_leftover_processes(attempt)
    assert liveness.command_process(attempt) is None


def names(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


# -- The files' names ------------------------------------------------------------------------------


def test_attempts_are_counted_as_numbers() -> None:
    """The tenth comes after the ninth, and what only looks like a run file is none."""
    listed = ["run.json", "run.2.json", "run.10.json", "run.01.json", "run.0.json", "run.json~"]
    listed += ["evaluate.run.json", "evaluate.run.2.json", "rerun.json", "run.x.json", "xrun.json"]
    assert attempts.numbers(listed) == [1, 2, 10]
    assert attempts.numbers(listed, "evaluate") == [1, 2]
    assert attempts.numbers(listed, "run") == []


@pytest.mark.parametrize("script", ["", "evaluate", "my.eval", "run"])
@pytest.mark.parametrize("number", [1, 2, 11])
def test_a_run_files_name_is_read_as_it_was_written(script: str, number: int) -> None:
    """Whatever a script is called, its run files are its own and nobody else's."""
    listed = [run_file(number, script)]
    assert attempts.numbers(listed, script) == [number]
    for other in ("", "evaluate", "my.eval", "run", "eval"):
        assert other == script or attempts.numbers(listed, other) == []


# -- Beginning -------------------------------------------------------------------------------------


def test_an_attempt_is_got_once(folder: Path) -> None:
    """The second process that claims the same number gets nothing and changes nothing."""
    first = started(folder)
    before = (folder / "run.json").read_bytes()
    assert begin(folder, 1, {"process": identity()}) is None
    assert (folder / "run.json").read_bytes() == before
    assert names(folder) == ["params.json", "run.json"]
    assert started(folder, 2).record["token"] != first.record["token"]


def test_a_record_is_on_the_disk_as_it_is_in_hand(folder: Path) -> None:
    """The record has the given facts, the process and the host, and no end yet."""
    attempt = started(folder, command=["python", "train.py"])
    assert json.loads((folder / "run.json").read_text()) == attempt.record
    assert attempt.record["command"] == ["python", "train.py"]
    assert attempt.record["attempt"] == 1
    assert attempt.end is None
    assert rewrite(attempt, {"status": "completed"}, durable=True).end == "completed"
    assert attempts.read(folder, 1).record["token"] == attempt.record["token"]


@pytest.mark.parametrize("data", [b"", b'{"status": "comp', b"[]", b"null", b'{"status": "done"}'])
def test_a_broken_run_file_is_an_attempt_without_an_end(folder: Path, data: bytes) -> None:
    """It was somebody's right to run: it is never as if nothing had run here."""
    (folder / "run.json").write_bytes(data)
    attempt = latest(folder)
    assert attempt is not None
    assert attempt.end is None
    assert is_alive(attempt) is (None if data != b'{"status": "done"}' else False)


def test_an_incomplete_run_file_holds_its_folder_until_it_was_watched(folder: Path) -> None:
    """It may be complete a moment later, or from another host: an unknown owner is not dead."""
    (folder / "run.json").write_bytes(b'{"status": "comp')
    clock = Clock()
    observer = heartbeat.Observer(clock)
    with pytest.raises(FolderBusy):
        next_number(folder)
    while clock.now < 120:
        with pytest.raises(FolderBusy):
            next_number(folder, observer=observer)
        clock.now += 10.0
    assert next_number(folder, observer=observer) == 2


def lives(attempt: attempts.Attempt, *, beats: bool) -> bool | None:
    """Whether an attempt runs, by watching it for 130 s."""
    clock = Clock()
    observer = heartbeat.Observer(clock)
    found = is_alive(attempt, observer)
    for time in range(13):
        clock.now += 10.0
        if beats:
            os.utime(attempt.path, (time, time))
        found = is_alive(attempt, observer)
    return found


def through_another_mount(attempt: attempts.Attempt, **folder: int) -> attempts.Attempt:
    """Return the attempt as if its owner saw its folder through another mount."""
    recorded = {**attempt.record["folder"], "device": 7, **folder}
    return rewrite(attempt, {"folder": recorded})


def supervised(folder: Path, **changes: Any) -> attempts.Attempt:
    """An attempt with a supervisor, so with a heartbeat."""
    return started(folder, 1, identity(**changes), supervisor=identity(**changes))


def test_one_folder_through_two_mounts_is_one_folder(folder: Path) -> None:
    """Each mount has a device number of its own: who lives in the folder is no copy's owner."""
    attempt = through_another_mount(supervised(folder))
    assert is_alive(attempt) is True
    with pytest.raises(FolderBusy):
        next_number(folder)


def test_a_dead_owner_behind_another_mount_is_watched(folder: Path) -> None:
    """Through our mount we may read an older run file than the one it wrote: not at once dead."""
    attempt = through_another_mount(supervised(folder, started=1))
    assert is_alive(attempt) is None
    assert lives(attempt, beats=False) is False


def test_a_mount_that_numbers_folders_anew_shows_no_copy(folder: Path) -> None:
    """Neither device nor inode are the same there: only a heartbeat that stands still shows a
    copy.
    """
    attempt = through_another_mount(supervised(folder), inode=8)
    assert is_alive(attempt) is None
    assert lives(attempt, beats=True) is True
    assert lives(attempt, beats=False) is False


def test_another_host_may_number_folders_otherwise(folder: Path) -> None:
    """Not every network file system has one inode for all hosts: the heartbeat decides."""
    attempt = through_another_mount(supervised(folder, **ELSEWHERE), inode=8)
    assert lives(attempt, beats=True) is True
    assert lives(attempt, beats=False) is False


@pytest.mark.parametrize("namespace", [{}, {"pid_namespace": "pid:[1]"}], ids=["ours", "another"])
def test_nothing_runs_in_a_copy_on_the_same_disk(
    folder: Path, tmp_path: Path, namespace: Mapping[str, str]
) -> None:
    """Also where the original's owner is in another pid namespace: the inode is another."""
    original = supervised(folder, **namespace)
    shutil.copytree(folder, tmp_path / "copy")
    assert is_alive(attempts.read(tmp_path / "copy", 1)) is False
    assert is_alive(original) is (True if not namespace else None)


@linux
def test_a_copy_leaves_the_processes_of_the_original_alone(folder: Path, tmp_path: Path) -> None:
    """Its run file names them, and they have its token; but their supervisor lives."""
    told = attempts.environment_variables("0123456789abcdef", folder, 1, resumes=False)
    with subprocess.Popen(
        ["sleep", "60"], env={**os.environ, **told}, start_new_session=True
    ) as command:
        known = processes.process(command.pid)
        assert known is not None
        facts = {"token": "0123456789abcdef", "supervisor": identity()}
        started(folder, 1, known.to_json(), **facts)
        shutil.copytree(folder, tmp_path / "copy")
        copy = attempts.read(tmp_path / "copy", 1)
        assert is_alive(copy) is False
        liveness.kill_leftover_processes(copy)
        assert command.poll() is None
        command.kill()


def test_the_highest_attempt_is_the_latest(folder: Path) -> None:
    """Also where one is missing in between, and where a script of another name ran later."""
    assert latest(folder) is None
    ended(folder, 1)
    ended(folder, 3, "failed")
    begin(folder, 9, {}, "evaluate")
    found = latest(folder)
    assert found is not None
    assert (found.number, found.end) == (3, "failed")
    assert next_number(folder) == 4


def test_scripts_have_attempts_of_their_own(folder: Path) -> None:
    """`evaluate.py` may run while the training does, and takes no number from it."""
    started(folder)
    assert next_number(folder, "evaluate") == 1
    evaluation = begin(folder, 1, {"process": identity()}, "evaluate")
    assert evaluation is not None
    assert evaluation.path.name == "evaluate.run.json"
    with pytest.raises(FolderBusy):
        next_number(folder, "evaluate")


# -- Who lives -------------------------------------------------------------------------------------


def test_a_live_process_holds_its_folder(folder: Path) -> None:
    """Whether it is recorded as the command or as its supervisor."""
    assert is_alive(started(folder)) is True
    dead = identity(started=1)
    assert is_alive(started(folder, 2, dead, supervisor=identity())) is True
    assert is_alive(started(folder, 3, identity(), supervisor=dead)) is True
    assert is_alive(started(folder, 4, dead, supervisor=dead)) is False


def test_a_process_that_ended_or_was_lost_in_a_reboot_holds_nothing(folder: Path) -> None:
    """Also one whose pid is somebody else's by now."""
    child = subprocess.Popen(["sleep", "60"])
    known = processes.process(child.pid)
    assert known is not None
    child.kill()
    child.wait()
    assert is_alive(started(folder, 1, known.to_json())) is False
    assert is_alive(started(folder, 2, identity(**DEAD_SINCE_A_REBOOT))) is False
    assert is_alive(started(folder, 3, identity(started=1))) is False
    assert next_number(folder) == 4


def test_what_cannot_be_seen_is_never_taken_for_dead(folder: Path) -> None:
    """A process on another host or in another container may still run; one here is certain."""
    assert is_alive(started(folder, 1, identity(**ELSEWHERE))) is None
    assert is_alive(started(folder, 2, identity(pid_namespace="pid:[1]"))) is None
    assert is_alive(started(folder, 3, identity(**ELSEWHERE), supervisor=identity())) is True
    dead = identity(started=1)
    assert is_alive(started(folder, 4, identity(**ELSEWHERE), supervisor=dead)) is None


def test_a_heart_that_beat_after_this_machine_started_is_another_machines(folder: Path) -> None:
    """Containers of one image on two machines may have one name, and no id: the boot that is not
    ours is no reboot then. A heartbeat from before the start is that of a boot before.
    """
    attempt = started(
        folder, 1, identity(**DEAD_SINCE_A_REBOOT), supervisor=identity(**DEAD_SINCE_A_REBOOT)
    )
    assert is_alive(attempt) is None
    observer = heartbeat.Observer()
    assert is_alive(attempt, observer) is None
    os.utime(attempt.path)
    assert is_alive(attempt, observer) is True
    os.utime(attempt.path, (1, 1))
    assert is_alive(attempt, observer) is False


def test_a_run_file_that_cannot_be_read_now_is_nobodys_end(folder: Path) -> None:
    """Another user's, or a file server's hiccup: what it tells may be that somebody runs there."""
    (folder / "run.json").mkdir()  # also root cannot read it
    attempt = latest(folder)
    assert attempt is not None
    assert is_alive(attempt) is None
    assert status(folder).state == "running"
    assert status(folder).reason == "unknown, since its run file cannot be read"
    with pytest.raises(FolderBusy):
        next_number(folder)


def test_another_host_numbers_its_mounts_otherwise(folder: Path) -> None:
    """On a network file system only the inode is the same for all: no copy because of the device.

    Else every worker on a second machine would take the first one's running trials for dead.
    """
    attempt = started(folder, 1, identity(**ELSEWHERE))
    seen_there = {**attempt.record["folder"], "device": attempt.record["folder"]["device"] + 7}
    attempt = rewrite(attempt, {"folder": seen_there})
    assert is_alive(attempt) is None
    with pytest.raises(FolderBusy):
        next_number(folder)


def test_nothing_runs_in_a_copy(folder: Path, tmp_path: Path) -> None:
    """A copied run file speaks of the original, also when it was copied to another machine."""
    original = started(folder)
    shutil.copytree(folder, tmp_path / "copy")
    copy = latest(tmp_path / "copy")
    assert copy is not None
    assert is_alive(copy) is False
    assert is_alive(original) is True
    rewrite(copy, {"process": identity(**ELSEWHERE)})
    assert is_alive(attempts.read(tmp_path / "copy", 1)) is False


def test_a_moved_folder_is_still_held(folder: Path, tmp_path: Path) -> None:
    """`mv` changes no inode: what runs in it runs on."""
    started(folder)
    folder.rename(tmp_path / "renamed")
    moved = latest(tmp_path / "renamed")
    assert moved is not None
    assert is_alive(moved) is True


@pytest.mark.parametrize("recorded", [None, {}, [], {"device": 1}, {"device": "x", "inode": "y"}])
def test_a_run_file_that_names_no_folder_holds_none(folder: Path, recorded: object) -> None:
    """Broken by hand or by a disk: nobody is signaled or waited for because of it."""
    assert is_alive(rewrite(started(folder), {"folder": recorded})) is False


def test_a_recorded_end_is_final_whoever_lives(folder: Path) -> None:
    """A notebook's process lives on after its training ended."""
    ended(folder)
    assert next_number(folder) == 2


@pytest.mark.parametrize("where", ["here", "elsewhere"])
def test_a_busy_folder_says_who_and_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str, snapshot: SnapshotAssertion
) -> None:
    """Surely running here, or perhaps running where nobody can see."""
    monkeypatch.chdir(tmp_path)
    folder = Path("base_model")
    folder.mkdir()
    changes = ELSEWHERE if where == "elsewhere" else {"host": "here"}
    attempt = started(folder, 1, identity(**changes))
    rewrite(
        attempt,
        {
            "process": {**attempt.record["process"], "host": where, "pid": os.getpid()},
            "started": "2025-01-01T10:00:00.000+00:00",
        },
    )
    with pytest.raises(FolderBusy) as caught:
        next_number(folder)
    assert str(caught.value).replace(str(os.getpid()), "1234") == snapshot


# -- Setting aside ---------------------------------------------------------------------------------


def fill(folder: Path, *listed: str) -> None:
    for name in listed:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)


def test_what_an_attempt_left_is_set_aside_under_its_number(folder: Path) -> None:
    """Everything but what says which experiment this is, and the history of its runs."""
    fill(folder, "trial.json", "origin.json")
    ended(folder)
    left = ["console.log", "metrics.jsonl", "plots/loss.png", "evaluate.run.json", ".hidden", "x"]
    fill(folder, *left)
    assert started(folder, 2).has_leftovers
    assert archive(folder, 2) == folder / "attempts" / "1"
    kept = ["attempts", "origin.json", "params.json", "run.2.json", "run.json", "trial.json"]
    assert names(folder) == kept
    assert all((folder / "attempts" / "1" / name).read_text() == name for name in left)
    assert archive(folder, 2) is None


def test_what_the_user_put_there_before_the_first_attempt_stays(folder: Path) -> None:
    """A vocabulary beside the hyperparameters is no leaving, neither at the first run nor later.

    Where the experiment's folder is the project's, it is the whole project that must not move.
    """
    own = ["vocabulary.json", "notes.md", "train.py", ".git/HEAD", "model/net.py"]
    fill(folder, *own)
    for number in (1, 2, 3):
        started(folder, number)
        archive(folder, number)
        assert all((folder / name).read_text() == name for name in own)
        fill(folder, "metrics.jsonl", "checkpoint/1")
        rewrite(attempts.read(folder, number), {"status": "failed"})
    assert names(folder / "attempts") == ["1", "2"]
    assert names(folder / "attempts" / "2") == ["checkpoint", "metrics.jsonl"]


def test_what_nobody_recorded_goes_to_attempt_zero(folder: Path) -> None:
    """A plain `python train.py` ran here: its metrics must not be the first attempt's."""
    fill(folder, "metrics_eval_best_weights.json", "train.log", "best.pth.tar", "notes.md")
    started(folder)
    assert archive(folder, 1) == folder / "attempts" / "0"
    assert names(folder / "attempts" / "0") == [
        "best.pth.tar",
        "metrics_eval_best_weights.json",
        "train.log",
    ]
    assert (folder / "notes.md").exists()


def test_an_attempt_that_never_started_left_nothing(folder: Path) -> None:
    """A supervisor that died while it set aside: what lies there is still the first attempt's."""
    ended(folder)
    fill(folder, "metrics.jsonl")
    begin(folder, 2, {"process": None})
    started(folder, 3)
    assert archive(folder, 3) == folder / "attempts" / "1"


def test_setting_aside_can_be_cut_short_and_goes_on(folder: Path) -> None:
    """A file that was moved already is not overwritten: both are kept."""
    ended(folder)
    fill(folder, "attempts/1/console.log", "attempts/1/console.log.2", "console.log")
    (folder / "console.log").write_text("the rest")
    archive(folder, 2)
    assert (folder / "attempts/1/console.log").read_text() == "attempts/1/console.log"
    assert (folder / "attempts/1/console.log.3").read_text() == "the rest"


def test_experiments_below_and_files_in_the_making_stay(folder: Path) -> None:
    """A trial's folder in a search is not a leaving, nor is a file that somebody is writing."""
    ended(folder)
    fill(folder, "variant/params.json", "variant/metrics.jsonl", ".tmp-1-abc")
    assert not started(folder, 2).has_leftovers


def test_a_link_is_moved_and_not_what_it_leads_to(folder: Path, tmp_path: Path) -> None:
    """Also one to nowhere, and one to a folder that is an experiment."""
    ended(folder)
    fill(tmp_path, "scratch/params.json")
    (folder / "scratch").symlink_to(tmp_path / "scratch")
    (folder / "nowhere").symlink_to("none")
    archive(folder, 2)
    assert names(folder / "attempts" / "1") == ["nowhere", "scratch"]
    assert (tmp_path / "scratch" / "params.json").exists()


def test_what_a_process_made_before_it_began_the_attempt_is_its_own(folder: Path) -> None:
    """A script may open its log first; the next attempt sets that aside all the same."""
    ended(folder)
    fill(folder, "old.log")
    os.utime(folder / "old.log", ns=(10**18, 10**18))
    fill(folder, "new.log")
    since = 10**18 + 1
    attempt = begin(folder, 2, {"process": identity()}, own_since_ns=since)
    assert attempt is not None
    archive(folder, 2, own_since_ns=since)
    assert names(folder / "attempts" / "1") == ["old.log"]
    rewrite(attempt, {"status": "failed"})
    assert archive(folder, 3) == folder / "attempts" / "2"
    assert names(folder / "attempts" / "2") == ["new.log"]


# -- Under a supervisor ----------------------------------------------------------------------------


def test_the_environment_counts_in_its_own_folder_alone(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A script that starts another training elsewhere must not write as this attempt there."""
    for name, value in attempts.environment_variables("token", folder, 3, resumes=True).items():
        monkeypatch.setenv(name, value)
    assert attempts.attempt_in_environment(folder) == 3
    assert attempts.attempt_in_environment(folder / ".." / folder.name) == 3
    shutil.copytree(folder, tmp_path / "copy")
    assert attempts.attempt_in_environment(tmp_path / "copy") is None
    assert attempts.attempt_in_environment(tmp_path / "none") is None
    monkeypatch.setenv(attempts.ATTEMPT_VARIABLE, "x")
    assert attempts.attempt_in_environment(folder) is None
    monkeypatch.delenv(attempts.RUN_VARIABLE)
    assert attempts.attempt_in_environment(folder) is None


def test_a_folder_with_a_colon_in_its_name_is_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The token ends at the first colon, the path may hold more."""
    folder = tmp_path / "run 12:30:00"
    folder.mkdir()
    for name, value in attempts.environment_variables("token", folder, 1, resumes=False).items():
        monkeypatch.setenv(name, value)
    assert attempts.attempt_in_environment(folder) == 1


def test_events_are_told_by_attempt(folder: Path) -> None:
    """The events of attempt 1 are not those of attempt 2."""
    attempts.add_event(folder, 1, "end", status="failed")
    attempts.add_event(folder, 2, "can_resume")
    assert [event["event"] for event in attempts.events(folder, 2)] == ["can_resume"]
    assert [event["event"] for event in attempts.read_events(folder)] == ["end", "can_resume"]
    assert attempts.events(folder, 3) == []


def test_a_folder_that_is_gone_does_not_end_a_training(tmp_path: Path) -> None:
    """If an event cannot be added, no exception reaches the script."""
    attempts.add_event(tmp_path / "none", 1, "can_resume")
    assert not (tmp_path / "none").exists()


def test_a_run_file_with_a_path_that_is_no_utf8_is_written(folder: Path) -> None:
    """A command line's bytes are not always text: the attempt begins all the same."""
    odd = os.fsdecode(b"d\xe9j\xe0")
    started(folder, command=["python", odd])
    assert reading.read_object(folder / "run.json")["command"] == ["python", odd]
