"""Searches whose trials begin preloaded: by real processes, beside the same searches without
preload.
"""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from syrupy.assertion import SnapshotAssertion

from laboratory import LIMIT, PLAIN, SAVING, Project, kill, read, supervisor_of, wait_until
from libraries import environment_with_libraries, site_of
from modeldir._system import processes
from modeldir.experiment import attempts
from modeldir.monitor.progress import PlainProgress
from modeldir.worker.preload import import_cache, policy, process
from modeldir.worker.runnable_search import Search
from modeldir.worker.worker import Worker

HEAVY = f"import heavy\n{PLAIN}"
PRINTING = f"print('begun', flush=True)\nimport heavy, printing\n{PLAIN}"
FOUR = "learning_rate=0.1,0.2,0.3,0.4"
SEARCH = ("search", "experiments/search", "--verbose", FOUR)
TRAIN = ("--", "python", "train.py")


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> str:
    return environment_with_libraries(tmp_path_factory.mktemp("environment"))


@pytest.fixture
def project(tmp_path: Path, python: str) -> Project:
    return Project(tmp_path / "project", HEAVY, python)


def preloaded(project: Project, search: str = "search") -> list[str]:
    """The trials whose last attempt began preloaded."""
    folder = f"experiments/{search}"
    last = (attempts.latest(project.path / folder / name) for name in project.trials(folder))
    return [each.folder.name for each in last if each is not None and each.record.get("preloaded")]


def names(*values: float) -> list[str]:
    return [f"learning_rate_{value}" for value in values]


def plain(text: str) -> str:
    """Output without the times that it names."""
    return re.sub(r"\d+\.\ds|(?<=experiments/)\w+(?=/|$)", "_", text, flags=re.MULTILINE)


def in_a_preloaded_trial(project: Project) -> Path:
    """The folder of the preloaded trial that is held, once its script has begun."""
    wait_until(lambda: len(project.started) > 1, "the second trial, which is held")
    return project.search / project.started[-1]


HOLDING = HEAVY.replace(
    'while os.path.exists("hold")',
    'held = os.path.exists(".ended.txt")\nwhile held and os.path.exists("hold")',
)
"""A training that is held from the second trial on."""


def hold_after_the_first(project: Project, script: str = HOLDING) -> None:
    project.write("train.py", script)
    project.hold()


# -- What is equal ---------------------------------------------------------------------------------


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_preloaded_trials_leave_what_others_leave(project: Project, python: str, jobs: str) -> None:
    """Parameters, metrics, output and record are those of a search without preload; with
    --verbose the
    screen says what was preloaded.
    """
    other = Project(project.path.parent / "plain", PRINTING, python)
    project.write("train.py", PRINTING)
    whole = [each.modeldir(*SEARCH, "-j", jobs, *more, *TRAIN)
             for each, more in ((project, ()), (other, ("--no-preload",)))]  # fmt: skip
    assert [each.code for each in whole] == [0, 0], whole
    assert names(0.2, 0.3, 0.4) == preloaded(project)
    assert preloaded(other) == []
    for name in names(0.1, 0.2, 0.3, 0.4):
        for file in ("params.json", "metrics_eval_best_weights.json", "console.log"):
            here, there = (each.search / name / file for each in (project, other))
            assert here.read_bytes() == there.read_bytes()
        ours, theirs = (read(each.search / name / "run.json") for each in (project, other))
        assert {*ours, "preloaded"} == {*theirs, "preloaded"}
        alike = ("command", "script", "status", "exit_code", "resumes", "found", "intent")
        assert [ours.get(key) for key in alike] == [theirs.get(key) for key in alike]
    told, told_other = (sorted(plain(each.out).splitlines()) for each in whole)
    assert [line for line in told if not line.startswith(("preload", "no preload"))] == told_other
    assert any(line.startswith("preloaded ") for line in told)


IN_TRIAL = """\
import json, os, sys
import heavy
from mine import helper

folder = sys.argv[sys.argv.index("--model_dir") + 1]
data = sys.argv[sys.argv.index("--data") + 1]
with open(os.path.join(folder, "params.json")) as file:
    rate = json.load(file)["learning_rate"]
with open("model.pt", "w") as file:
    file.write(str(rate))
with open("metrics_eval_best_weights.json", "w") as file:
    json.dump({"accuracy": helper.score(rate), "size": len(open(data).read())}, file)
with open(os.path.join(os.path.dirname(data), "cwd.txt"), "a") as file:
    file.write(os.getcwd() + "\\n")
"""


@pytest.mark.parametrize("script", [["mine/train.py"], ["-m", "mine.train"]])
def test_trials_run_in_their_own_folders(project: Project, script: list[str]) -> None:
    """Each keeps its files; modules and `{project}` are found; they are still preloaded."""
    project.write("mine/train.py", IN_TRIAL)
    project.write("mine/__init__.py", "")
    project.write("mine/helper.py", "def score(rate):\n    return 1 - rate\n")
    project.write("data/input.txt", "some data")
    command = ("--", "python", *script, "--data", "{project}/data/input.txt")
    done = project.modeldir(*SEARCH, "--run-in-trial", *command)
    assert done.code == 0, done.out
    for name in names(0.1, 0.2, 0.3, 0.4):
        assert (project.search / name / "model.pt").read_text() == name.rpartition("_")[2]
    assert len({*project.lines("data/cwd.txt")}) == 4
    assert "wrote model.pt" not in done.out
    assert preloaded(project) == names(0.2, 0.3, 0.4)
    assert read(project.search / "search.json")["run_in_trial"] is True


SHOWS = (
    HEAVY
    + """
hidden = ("MODELDIR_", "PYTHONUNBUFFERED", "_", "SHLVL", "CONSOLE")
print(sys.executable, sys.argv[0], os.getcwd(), __file__)
print([each for each in sorted(os.environ.items()) if not each[0].startswith(hidden)])
"""
)


def launches(project: Project, name: str, text: str) -> None:
    """Put a launcher on the PATH of a project, before all others."""
    path = project.path / "bin" / name
    project.write(f"bin/{name}", f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    project.environment["PATH"] = f"{path.parent}:{project.environment['PATH']}"


@pytest.mark.parametrize(
    ("name", "text", "command"),
    [
        ("python3", 'SHIM=yes PATH="/shim:$PATH" exec {python} "$@"', "python3 train.py"),
        ("python3", 'SHIM=yes exec {python} "$@"', "env A=b=c python3 -u train.py"),
        (
            "uv",
            'shift; test $1 = python && shift; VIRTUAL_ENV=/v exec {python} "$@"',
            "uv run train.py",
        ),
        ("uv", 'shift 2; UV=1; export UV; shift; exec {python} "$@"', "uv run -q python train.py"),
        ("conda", 'shift 3; shift; {python} "$@"', "conda run -n me python train.py"),
    ],
)
def test_launchers_are_seen_through(
    project: Project, python: str, name: str, text: str, command: str
) -> None:
    """A forked trial has the interpreter, the folder and the environment of any other."""
    project.write("train.py", SHOWS)
    launches(project, name, text.format(python=python))
    done = project.modeldir(*SEARCH, "--", *command.split())
    assert done.code == 0, done.out
    assert preloaded(project) == names(0.2, 0.3, 0.4), done.out
    plain = ("search", "experiments/search", "learning_rate=0.5", "--no-preload")
    assert project.modeldir(*plain).code == 0
    printed = [
        (project.search / each / "console.log").read_text().splitlines()[1:]
        for each in names(0.1, 0.2, 0.4, 0.5)
    ]
    assert printed == [printed[0]] * 4
    assert read(project.search / "learning_rate_0.2/run.json")["command"][:-2] == command.split()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('unset LANG_OF_TEST; exec {python} "$@"', "removes the variable LANG_OF_TEST"),
        ('cd /; exec {python} "$@"', "runs the script in another folder"),
        ('test "$1" = -c && exit 3; exec {python} "$@"', "did not say which interpreter"),
        ('exec {python} -O "$@"', "starts Python with other options or limits"),
        ('ulimit -n 200; exec {python} "$@"', "starts Python with other options or limits"),
        ('umask 027; exec {python} "$@"', "starts Python with other options or limits"),
    ],
)
def test_a_launcher_that_does_more_is_not_seen_through(
    project: Project, python: str, text: str, why: str
) -> None:
    """A fork would not be what it starts: each trial is started by it, which is said."""
    launches(project, "python3", text.format(python=python))
    project.environment["LANG_OF_TEST"] = "C"
    script = project.path / "train.py"
    folder = f"import os\nos.chdir({str(project.path)!r})\n"
    script.write_text(folder + script.read_text())
    done = project.modeldir(*SEARCH, "--", "python3", str(script), "--model_dir", "{model_dir}")
    assert f"no preload: each trial imports its modules itself: python3 {why}" in done.out
    assert preloaded(project) == []
    assert len(project.ended) == 4


def test_an_environment_that_was_chosen_anew_ends_preloading(project: Project, python: str) -> None:
    """After a change of pyproject.toml the launcher may start another interpreter."""
    launches(project, "uv", f'shift; test $1 = python && shift; exec {python} "$@"')
    hold_after_the_first(project)
    command = ("--", "uv", "run", "train.py")
    with project.started_as(*SEARCH, *command) as worker:
        in_a_preloaded_trial(project)
        project.write("pyproject.toml", "")
        project.release()
        worker.wait(LIMIT)
    assert preloaded(project) == names(0.2)
    assert len(project.ended) == 4


def test_the_same_search_said_again_is_preloaded_from_its_first_trial(project: Project) -> None:
    """What was learned is kept with the search; --no-preload turns it off."""
    assert project.modeldir(*SEARCH, *TRAIN).code == 0
    more = project.modeldir("search", "experiments/search", "learning_rate=0.5,0.6")
    assert more.code == 0, more.out
    assert preloaded(project) == names(0.2, 0.3, 0.4, 0.5, 0.6)
    assert (
        project.modeldir("search", "experiments/search", "learning_rate=0.7", "--no-preload").code
        == 0
    )
    assert names(0.7)[0] not in preloaded(project)


def test_another_search_of_the_same_script_is_preloaded_from_its_first_trial(
    project: Project,
) -> None:
    """What was learned is kept for this user, too, until the code is another; --dry-run knows it,
    and that it cannot be kept is no reason for anything.
    """
    assert project.modeldir(*SEARCH, *TRAIN).code == 0
    other = ("search", "experiments/other", "learning_rate=0.1,0.2,0.3")
    project.params("experiments/other", learning_rate=0.5)
    unknown = project.modeldir(*other, "--dry-run", *TRAIN, XDG_CACHE_HOME="/dev/null")
    assert "preload: modules that the first trial imports" in unknown.out
    known = project.modeldir(*other, "--dry-run", *TRAIN)
    assert "later trials start without importing" in known.out
    assert project.modeldir(*other, *TRAIN, XDG_CACHE_HOME="/dev/null").code == 0
    assert preloaded(project, "other") == names(0.2, 0.3)
    project.params("experiments/third", learning_rate=0.5)
    assert project.modeldir("search", "experiments/third", *other[2:], *TRAIN).code == 0
    assert preloaded(project, "third") == names(0.1, 0.2, 0.3)
    project.write("train.py", HEAVY + "\n")
    done = project.modeldir("search", "experiments/third", "learning_rate=0.4,0.5,0.6,0.7")
    assert preloaded(project, "third") == names(0.1, 0.2, 0.3, 0.5, 0.6, 0.7), done.out


def test_no_trial_takes_down_what_an_import_has_made(project: Project) -> None:
    """A library's folder, there for as long as it is loaded, is that of all trials."""
    script = "import tidying, os\nassert os.path.isdir(tidying.FOLDER.name)\n" + HEAVY
    project.write("train.py", script)
    done = project.modeldir(*SEARCH, *TRAIN)
    assert done.code == 0, done.out
    assert preloaded(project) == names(0.2, 0.3, 0.4)


@pytest.mark.parametrize("way", ["", "--no-preload"])
@pytest.mark.parametrize(
    ("jobs", "policy", "threads"), [("1", None, None), ("2", "PASSIVE", None), ("2", "PASSIVE", 1)]
)
def test_slots_do_not_fight(
    project: Project, way: str, jobs: str, policy: str | None, threads: int | None
) -> None:
    """Libraries are loaded under what their trials are given, preloaded as without preload:
    threads that wait
    asleep where there are several slots, as many as were asked for; that is recorded.
    """
    project.write("train.py", "import reading\nprint(reading.LOADED_UNDER)\n" + HEAVY)
    options = [
        "-j",
        jobs,
        *([way] if way else []),
        *(["--threads-per-trial", "1"] if threads else []),
    ]
    done = project.modeldir(*SEARCH, *options, *TRAIN)
    assert done.code == 0, done.out
    found, expected = preloaded(project), [] if way else names(0.2, 0.3, 0.4)
    # The second slot is free once the first trial has a metric: its list may not be there yet.
    assert found == expected or (jobs == "2" and found == expected[1:]), done.out
    under = [policy, None if threads is None else str(threads)]
    for name in project.trials():
        console = (project.search / name / "console.log").read_text()
        assert console.startswith(f"{under}\n"), console
        assert read(project.search / name / "run.json").get("threads") == threads


def test_many_trials_that_take_a_moment_are_preloaded_too(project: Project) -> None:
    """Whatever they import. They leave what they leave without preload, and those that began
    before it was
    imported did not wait.
    """
    project.write("train.py", PLAIN)
    values = ",".join(f"0.{number:02}" for number in range(1, 41))
    search = ("search", "experiments/search", f"learning_rate={values}")
    done = project.modeldir(*search, "-j", "2", *TRAIN)
    assert done.code == 0, done.out
    assert len(project.ended) == 40
    assert (project.search / "search.log").read_text().count("start without importing") == 1
    assert len(preloaded(project)) > 10
    for name in project.trials():
        folder = project.search / name
        rate = read(folder / "params.json")["learning_rate"]
        assert read(folder / "metrics_eval_best_weights.json")["loss"] == rate


def test_a_small_script_stays_without_preload_and_nothing_is_said(project: Project) -> None:
    """What imports little gains nothing by it in four trials: there is no further process, no file,
    no word.
    """
    project.write("train.py", PLAIN)
    done = project.modeldir(*SEARCH, *TRAIN)
    assert done.code == 0
    assert "preloaded" not in done.out
    assert preloaded(project) == []
    assert not [*(project.search / ".modeldir").glob("[wi]*.*")]


def test_code_that_has_changed_is_learned_again(project: Project) -> None:
    """It may import something else by now: the first trial of the next command runs without
    preload.
    """
    assert project.modeldir(*SEARCH, *TRAIN).code == 0
    project.write("train.py", HEAVY + "\n")
    assert project.modeldir("search", "experiments/search", "learning_rate=0.5,0.6,0.7").code == 0
    assert preloaded(project) == names(0.2, 0.3, 0.4, 0.6, 0.7)


def test_an_environment_that_has_changed_is_learned_again(project: Project, python: str) -> None:
    """Something was installed while a search ran: the next trial runs without preload, those
    after it preloaded.
    """
    hold_after_the_first(project)
    with project.started_as(*SEARCH[:-1], f"{FOUR},0.5", *TRAIN) as worker:
        in_a_preloaded_trial(project)
        (site_of(Path(python).parents[1]) / "installed_meanwhile.py").touch()
        project.release()
        assert worker.wait(60) == 0
        assert worker.stdout is not None
        assert "the environment has changed" in worker.stdout.read()
    assert preloaded(project) == names(0.2, 0.4, 0.5)


def test_a_library_that_was_edited_is_imported_anew(
    project: Project, python: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In its place, while a search runs: the next trial has it, without preload, and those after
    it, preloaded.
    """
    monkeypatch.setenv("PATH", f"{Path(python).parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(process, "_LOOK_EVERY", 0.0)
    monkeypatch.setattr(process, "_LOOK_PART", 0)
    monkeypatch.chdir(project.path)
    part = site_of(Path(python).parents[1]) / "heavy" / "part7.py"
    script = f"""\
from heavy import part7
print(part7.NAME)
if __import__("sys").argv[2].endswith("0.2"):
    open({str(part)!r}, "w").write("NAME = 'edited'\\n")
"""
    project.write("train.py", HEAVY + script)
    search = Search("experiments/search", {"learning_rate": [0.1, 0.2, 0.3, 0.4, 0.5]})
    assert Worker(search, 1, PlainProgress(None)).run("python train.py").problem is None
    told = [(project.search / name / "console.log").read_text() for name in project.trials()]
    assert [text.splitlines()[-1] for text in told] == ["part7"] * 2 + ["edited"] * 3
    assert preloaded(project) == names(0.2, 0.4, 0.5)


def test_what_is_installed_while_the_first_trial_runs_is_what_the_others_import(
    project: Project, python: str
) -> None:
    """The list is older than the library by then: one more trial runs without preload, and shows
    it anew.
    """
    site = site_of(Path(python).parents[1])
    project.write("train.py", "import slowly_installed\n" + HEAVY)
    (site / "slowly_installed.py").write_text("version = 1\n")
    project.hold()
    with project.started_as(*SEARCH, *TRAIN) as worker:
        wait_until(lambda: len(project.started) == 1, "the first trial, which is held")
        (site / "installed_with_it.py").touch()
        project.release()
        assert worker.wait(60) == 0
        assert worker.stdout is not None
        assert worker.stdout.read().count("the environment ") == 1
    assert preloaded(project) == names(0.3, 0.4)


def test_another_environment_is_not_taken_for_the_first(project: Project, tmp_path: Path) -> None:
    """A PYTHONPATH of the second command is on the path of its trials, and its modules win."""
    project.write("train.py", f"import heavy, sys\nprint(heavy.__file__)\n{PLAIN}")
    assert project.modeldir(*SEARCH, *TRAIN).code == 0
    (tmp_path / "first").mkdir()
    (tmp_path / "first" / "heavy.py").write_text("")
    again = project.modeldir(
        "search", "experiments/search", "learning_rate=0.5,0.6",
        PYTHONPATH=str(tmp_path / "first"),
    )  # fmt: skip
    assert again.code == 0, again.out
    for name in names(0.5, 0.6):
        console = (project.search / name / "console.log").read_text()
        assert console.startswith(str(tmp_path / "first")), console


def test_a_list_from_elsewhere_is_not_imported(project: Project) -> None:
    """What somebody sent with a search may name any library of ours, but not its folder's time."""
    assert project.modeldir(*SEARCH, *TRAIN).code == 0
    file = project.search / ".modeldir" / import_cache.FILE
    kept = read(file)
    kept["learned"]["folders"] = {"/nowhere": 0}
    kept["learned"]["executable"] = "/nowhere"
    kept["learned"]["modules"].append(["this", os.path.dirname(os.__file__) + "/this.py"])
    file.write_text(json.dumps(kept))
    more = project.modeldir("search", "experiments/search", "learning_rate=0.5,0.6,0.7")
    assert more.code == 0, more.out
    assert preloaded(project) == names(0.2, 0.3, 0.4, 0.6, 0.7)
    assert ["this"] not in [each[:1] for each in read(file)["learned"]["modules"]]


# -- When it is not to be --------------------------------------------------------------------------


@pytest.mark.parametrize("library", ["jax", "threaded"])
def test_what_must_not_be_forked_runs_without_preload_and_why_is_told_once(
    project: Project, library: str, snapshot: SnapshotAssertion
) -> None:
    """A library known for it, one that starts a thread; the next command knows it at once."""
    project.write("train.py", f"import {library}\n{HEAVY}")
    done = project.modeldir(*SEARCH, "--verbose", *TRAIN)
    assert done.code == 0, done.out
    assert preloaded(project) == []
    assert [line for line in done.lines if "preload" in line] == snapshot
    again = project.modeldir("search", "experiments/search", "learning_rate=0.5", "--verbose")
    assert [line for line in again.lines if "preload" in line] == snapshot
    assert preloaded(project) == []


def test_a_preloaded_trial_that_hangs_is_ended_and_runs_again(
    project: Project, python: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that does nothing at all, as on a lock that was held at the fork, costs only the wait."""
    project.write("train.py", f"import hanging\n{HEAVY}")
    monkeypatch.setenv("PATH", f"{Path(python).parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(policy, "_SILENCE", 1.0)
    monkeypatch.chdir(project.path)
    search = Search("experiments/search", {"learning_rate": [0.1, 0.2, 0.3]})
    outcome = Worker(search, 1, PlainProgress(None)).run("python train.py")
    assert outcome.problem is None
    assert list(project.trials().values()) == ["completed"] * 3
    assert preloaded(project) == []
    assert "did nothing for" in (project.search / "search.log").read_text()


CUDA = "raise RuntimeError('Cannot re-initialize CUDA in forked subprocess')"


@pytest.mark.parametrize("death", ["os.abort()", "os.kill(os.getpid(), 11)", CUDA])
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_the_first_preloaded_trial_may_die_of_the_fork(
    project: Project, death: str, jobs: str, snapshot: SnapshotAssertion
) -> None:
    """Then it has not failed: it runs again, without preload as all others, and why is told."""
    dying = f"import crashing, os\nif crashing.IS_FORKED:\n    {death}\n"
    project.write("train.py", f"import heavy\n{dying}{PLAIN}")
    done = project.modeldir(*SEARCH, "-j", jobs, "--verbose", *TRAIN)
    assert done.code == 0, done.out
    assert list(project.trials().values()) == ["completed"] * 4
    assert preloaded(project) == []
    if jobs == "1":
        told = [line for line in done.lines if "preload" in line or "forked" in line]
        assert [plain(line) for line in told] == snapshot


def test_a_crash_of_its_own_counts(project: Project) -> None:
    """Of a trial after one that went well preloaded, and of one that dies without preload, too."""
    dying = 'if name.endswith("0.3"):\n    os.abort()\nwhile os.path'
    project.write("train.py", HEAVY.replace("while os.path", dying, 1))
    done = project.modeldir(*SEARCH, *TRAIN)
    assert done.code == 1, done.out
    states = dict(zip(names(0.1, 0.2, 0.3, 0.4), project.trials().values(), strict=True))
    assert [name for name, state in states.items() if state == "failed"] == names(0.3)
    assert preloaded(project) == names(0.2, 0.3, 0.4)
    again = Project(
        project.path.parent / "again",
        HEAVY.replace("while os.path", "os.abort()\nwhile os.path", 1),
        project.interpreter,
    )
    done = again.modeldir(*SEARCH, *TRAIN)
    assert set(again.trials().values()) == {"failed"}, done.out


def test_a_trial_that_began_again_is_not_recorded_as_preloaded(project: Project) -> None:
    """Whose variable is another than that under which the libraries were loaded."""
    early = """\
import json, os, sys
rate = json.load(open(os.path.join(sys.argv[2], "params.json")))["learning_rate"]
os.environ["MKL_NUM_THREADS"] = "1" if rate != 0.3 else "2"
"""
    project.write("train.py", early + HEAVY)
    done = project.modeldir(*SEARCH, *TRAIN)
    assert done.code == 0, done.out
    assert preloaded(project) == names(0.2, 0.4)
    line = "modules were imported beforehand)"
    assert line in project.modeldir("show", str(project.search / names(0.2)[0])).out
    assert line not in project.modeldir("show", str(project.search / names(0.3)[0])).out


# -- kill -9, in turn ------------------------------------------------------------------------------


def child_of(folder: Path) -> int:
    wait_until(lambda: read(folder / "run.json")["process"], "the record of the process")
    return int(read(folder / "run.json")["process"]["pid"])


def spawner_of(folder: Path) -> int:
    return int(
        Path(f"/proc/{supervisor_of(folder)}/stat").read_text().rpartition(")")[2].split()[1]
    )


@pytest.mark.parametrize("victim", [spawner_of, supervisor_of])
def test_a_killed_spawner_or_supervisor_loses_nothing(
    project: Project, victim: Callable[[Path], int]
) -> None:
    """With the spawner the others run without preload, and that is told; the trial of a killed
    supervisor runs
    again.
    """
    hold_after_the_first(project)
    with project.started_as(*SEARCH, *TRAIN) as worker:
        folder = in_a_preloaded_trial(project)
        child = processes.process(child_of(folder))
        assert child is not None
        killed = victim(folder)
        kill(killed)
        wait_until(lambda: processes.process(killed) is None, "its death")
        if victim is supervisor_of:
            wait_until(lambda: processes.alive(child) is False, "the death of its command")
        project.release()
        assert worker.wait(60) == 0
        assert worker.stdout is not None
        told = worker.stdout.read()
    assert list(project.trials().values()) == ["completed"] * 4
    assert sorted(project.ended) == names(0.1, 0.2, 0.3, 0.4)
    fell_back = victim is spawner_of
    assert ("\nno preload: " in told) is fell_back
    assert preloaded(project) == (names(0.2) if fell_back else names(0.2, 0.3, 0.4))


def test_a_killed_preloaded_trial_is_recorded_as_any_other(project: Project) -> None:
    """It failed, killed by a signal; the others go on preloaded."""
    hold_after_the_first(project)
    with project.started_as(*SEARCH, *TRAIN) as worker:
        folder = in_a_preloaded_trial(project)
        kill(child_of(folder))
        project.release()
        assert worker.wait(60) == 1
    assert read(folder / "run.json")["failure"] == "killed"
    assert sorted(project.trials().values()) == ["completed"] * 3 + ["failed"]


def test_a_killed_worker_leaves_its_preloaded_trial_running(project: Project) -> None:
    """The trial goes on, the processes that imported leave with it, the same command finishes."""
    hold_after_the_first(project)
    with project.started_as(*SEARCH, *TRAIN) as worker:
        folder = in_a_preloaded_trial(project)
        spawner = processes.process(spawner_of(folder))
        assert spawner is not None
        kill(worker.pid)
        worker.wait()
        project.release()
        wait_until(lambda: attempts.read(folder, 1).end, "its end")
        wait_until(lambda: processes.alive(spawner) is False, "the spawner's end")
    done = project.modeldir("search", "experiments/search")
    assert done.code == 0, done.out
    assert sorted(project.ended) == names(0.1, 0.2, 0.3, 0.4)


DAEMON = """\
import os, time
if os.path.exists(".ended.txt") and not os.path.exists(".daemon"):
    pid = os.fork()
    if pid == 0:
        os.setsid()
        for descriptor in range(256):
            try:
                os.close(descriptor)
            except OSError:
                pass
        time.sleep(60)
        os._exit(0)
    with open(".daemon", "w") as file:
        file.write(str(pid))
"""
"""The second trial forks a process that leaves the session and starts no program."""


@pytest.mark.skipif(not processes.LINUX, reason="finds it in /proc")
def test_a_daemon_of_a_preloaded_script_is_found(project: Project) -> None:
    """It has the memory of the process that preloads; the attempt's token is written there. So it
    is killed before its trial runs again, though worker, spawner and supervisor died at once.
    """
    hold_after_the_first(project, HOLDING.replace("import heavy\n", f"import heavy\n{DAEMON}", 1))
    with project.started_as(*SEARCH, *TRAIN) as worker:
        folder = in_a_preloaded_trial(project)
        daemon = processes.process(int(project.lines(".daemon")[0]))
        assert daemon is not None
        victims = spawner_of(folder), supervisor_of(folder)
        for pid in (worker.pid, *victims):
            kill(pid)
        worker.wait()
        wait_until(lambda: project.trials()[folder.name] == "interrupted", "its end")
    assert processes.alive(daemon)
    project.release()
    done = project.modeldir("search", "experiments/search")
    assert done.code == 0, done.out
    assert processes.alive(daemon) is False


# -- Stopping, and going on ------------------------------------------------------------------------


KILLS = 3


@pytest.mark.parametrize("times", [1, 2, KILLS])
def test_ctrl_c_reaches_preloaded_trials_as_others(project: Project, times: int) -> None:
    """Once waits for the trial, twice interrupts it, three times kills it: then it runs again."""
    stubborn = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    hold_after_the_first(project, (stubborn if times == KILLS else "") + HOLDING)
    with project.started_as(*SEARCH, *TRAIN) as worker:
        folder = in_a_preloaded_trial(project)
        log = project.search / "search.log"
        for words in ("Stopping", "Interrupting", "Killing")[:times]:
            worker.send_signal(signal.SIGINT)
            wait_until(lambda words=words: words in log.read_text(), words)  # type: ignore[misc]
        if times == 1:
            project.release()
        assert worker.wait(60) == 130
    assert attempts.read(folder, 1).end == ("completed" if times == 1 else "interrupted")
    if times > 1:
        project.release()
    assert project.modeldir("search", "experiments/search").code == 0
    assert list(project.trials().values()) == ["completed"] * 4


TROUBLED = HEAVY.replace(
    "while os.path",
    """
if name.endswith("3"):
    time.sleep(1000)
if name.endswith("2") and open(".started.txt").read().count(name) == 1:
    raise OSError("at first")
while os.path""",
)
"""A training of which 0.3 never ends, and 0.2 fails when it is started first."""


def test_time_limits_and_retries_hold_for_preloaded_trials(project: Project) -> None:
    """One that takes longer than it may is ended; one that fails runs again, both preloaded."""
    project.write("train.py", TROUBLED)
    options = ("--trial-time-limit", "5s", "--max-retries", "1")
    done = project.modeldir(*SEARCH, *options, *TRAIN, limit=90)
    assert done.code == 1, done.out
    assert [*project.trials().values()] == ["completed", "completed", "failed", "completed"]
    assert preloaded(project) == names(0.2, 0.3, 0.4)
    assert read(project.search / "learning_rate_0.2" / "run.2.json")["preloaded"]
    assert read(project.search / "learning_rate_0.3" / "run.json")["failure"] == "time-limit"


def test_an_interrupted_trial_goes_on_preloaded_from_its_weights(project: Project) -> None:
    """Killed with its supervisor after two epochs: the next attempt begins there, in a fork too."""
    script = SAVING.replace('os.path.exists("hold")', 'os.path.exists("hold") and held')
    project.write("train.py", f"import heavy, os\nheld = os.path.exists('.ended.txt')\n{script}")
    project.hold()
    resume = ("--resume", "--restore_file last")
    with project.started_as(*SEARCH, *resume, *TRAIN) as worker:
        wait_until(lambda: len(project.started) == 2, "the second trial")
        folder = project.search / "learning_rate_0.2"
        wait_until((folder / "last.ckpt").exists, "weights")
        wait_until(lambda: (folder / "last.ckpt").read_text() == "2", "two epochs")
        kill(supervisor_of(folder))
        wait_until(lambda: len(project.started) == 3, "its next attempt")
        project.release()
        assert worker.wait(60) == 0
    assert "learning_rate_0.2 2" in project.started
    record = read(folder / "run.2.json")
    assert record["resumes"]
    assert record["preloaded"]


def test_a_pruner_ends_a_preloaded_trial(project: Project) -> None:
    """The supervisor judges the metrics of a script that knows nothing of us."""
    steps = """\
import heavy, json, os, sys, time
folder = sys.argv[sys.argv.index("--model_dir") + 1]
rate = json.load(open(os.path.join(folder, "params.json")))["learning_rate"]
for step in range(1, 4000):
    with open(os.path.join(folder, "metrics.jsonl"), "a") as file:
        file.write(json.dumps({"step": step, "accuracy": 1 - rate}) + "\\n")
    if rate == 0.1 and step == 20:
        break
    time.sleep(0.02)
with open(os.path.join(folder, "metrics_eval_best_weights.json"), "w") as file:
    json.dump({"accuracy": 1 - rate}, file)
"""
    project.write("train.py", steps)
    values = "learning_rate=0.1,0.2,0.3"
    done = project.modeldir(
        "search", "experiments/search", values, "--maximize", "accuracy",
        "--pruner", "median:warmup_trials=1", *TRAIN, limit=120,
    )  # fmt: skip
    assert done.code == 0, done.out
    assert [*project.trials().values()] == ["completed", "pruned", "pruned"]
    assert preloaded(project) == names(0.2, 0.3)
