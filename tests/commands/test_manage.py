"""Limits of a search, `modeldir stop`, `retry`, `remove` and `--detach`: with real trials."""

from __future__ import annotations

import contextlib
import getpass
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from syrupy.assertion import SnapshotAssertion

from laboratory import PLAIN, Project, kill, read, supervisor_of, wait_until
from modeldir._system import processes
from modeldir.experiment import attempts
from modeldir.search import worker_registry

SIX = ("learning_rate=0.1,0.2,0.3,0.4,0.5,0.6", "--no-check")
SEARCH = ("search", "experiments/search", *SIX, "--", "python", "train.py")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


# -- Limits ----------------------------------------------------------------------------------------


def test_after_the_time_limit_no_trial_is_started(project: Project) -> None:
    """The running one goes on to its end; the next command goes on with the rest."""
    project.write(
        "train.py", PLAIN.replace("import json", "import time; time.sleep(0.7)\nimport json", 1)
    )
    said = project.searches(*SIX, "--time-limit", "1s")
    assert "The time limit is reached: no more trials start." in said.lines
    assert 1 <= len(project.ended) < 6
    left = 6 - len(project.ended)
    assert said.lines[-2].startswith(f"{6 - left} completed, {left} not started. Best: ")
    assert said.lines[-1] == "To resume: modeldir search experiments/search"
    assert said.code == 0
    assert set(project.trials().values()) == {"completed"}
    project.write("train.py", PLAIN)
    assert project.searches(*SIX).code == 0
    assert sorted(project.ended) == sorted(project.trials())
    assert len(project.ended) == 6


def test_a_trial_that_takes_too_long_is_ended(project: Project) -> None:
    """It has failed, by its class; the others go on. A trial that ignores TERM is killed."""
    slow = """
if name in ("learning_rate_0.1", "learning_rate_0.2"):
    import signal
    if name == "learning_rate_0.2":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(60)
"""
    script = PLAIN.replace("while os.path.exists", f"{slow}while os.path.exists", 1)
    project.write("train.py", script)
    words = ("learning_rate=0.1,0.2,0.3", "--no-check", "-j", "3", "--trial-time-limit", "1.5s")
    said = project.searches(*words, limit=60)
    assert project.plan()["trial_time_limit"] == "1.5s"
    assert said.code == 1
    again = "modeldir search experiments/search -j 3"
    assert said.lines[-5:-3] == [
        "  to run them as is: modeldir retry experiments/search",
        f"  with more time:    {again} --trial-time-limit 3s   (after `retry`)",
    ]
    for name in ("learning_rate_0.1", "learning_rate_0.2"):
        record = read(project.search / name / "run.json")
        assert (record["status"], record["failure"]) == ("failed", "time-limit")
    assert project.trials()["learning_rate_0.3"] == "completed"


def test_many_failures_stop_the_search(project: Project) -> None:
    """Not only the first three alike: so many as were said."""
    for value in ("0.1", "0.3"):
        project.write(f"fail.learning_rate_{value}", "")
    said = project.searches(*SIX, "--max-failures", "2")
    assert "2 trials have failed (--max-failures): no more trials start." in said.lines
    assert said.code == 1
    assert len(project.started) == 3


def test_a_failed_trial_is_run_again_as_often_as_was_said(project: Project) -> None:
    """`--max-retries 2`: three attempts, each recorded; then it stays failed."""
    project.write("fail.learning_rate_0.1", "")
    said = project.searches("learning_rate=0.1,0.2", "--no-check", "--max-retries", "2")
    assert project.started.count("learning_rate_0.1") == 3
    assert said.code == 1
    folder = project.search / "learning_rate_0.1"
    assert [attempts.read(folder, number).end for number in (1, 2, 3)] == ["failed"] * 3
    assert project.searches("learning_rate=0.1,0.2", "--max-retries", "2").code == 1
    assert project.started.count("learning_rate_0.1") == 3


def test_a_reached_metric_ends_the_search(project: Project) -> None:
    """Once accuracy has 0.75 nothing more is started, also not by the next command."""
    words = (*SIX, "--maximize", "accuracy", "--target", "0.75")
    said = project.searches("learning_rate=0.6,0.5,0.2,0.1", "--no-check", *words[2:])
    assert "Target reached: accuracy 0.8 (target 0.75). No more trials start." in said.lines
    again = "modeldir search experiments/search --target none"
    assert said.lines[-2:] == [
        "Compare them: modeldir results experiments/search",
        f"To continue anyway: {again}",
    ]
    assert project.ended == ["learning_rate_0.6", "learning_rate_0.5", "learning_rate_0.2"]
    assert said.code == 0
    said = project.searches(*SIX)
    assert said.lines[-3].startswith(
        "Nothing was started, because the target 0.75 is reached: 3 completed, 3 remaining. Best: "
    )
    assert said.lines[-1] == f"To continue anyway: {again}"
    shown = project.modeldir("show", "experiments/search").lines
    assert "limits   target 0.75" in shown
    assert "trials   3 completed, 3 not started: target 0.75 is reached" in shown
    watched = project.modeldir("watch", "experiments/search").lines[0]
    assert watched == "experiments/search: 3 of 6 done; 3 not started: target 0.75 is reached"
    assert len(project.ended) == 3
    done = project.modeldir(*again.split()[1:])
    assert done.lines[0] == "plan: target: 0.75 -> none"
    assert len(project.ended) == 6


def test_limits_that_the_plan_keeps_are_said_shown_and_taken_out(project: Project) -> None:
    """Whoever types one should not be surprised by it a week later."""
    words = ("--max-retries", "1", "--trial-time-limit", "1h")
    said = project.searches("learning_rate=0.1", *words)
    assert said.lines[:2] == [
        "plan: trial_time_limit: 1h (kept; --trial-time-limit none removes it)",
        "plan: max_retries: 1 (kept; --max-retries none removes it)",
    ]
    shown = project.modeldir("show", "experiments/search").lines
    assert "limits   trial_time_limit 1h, max_retries 1" in shown
    assert project.searches(*words).lines[0].startswith("Nothing left")
    said = project.searches("--max-retries", "2", "--trial-time-limit", "none")
    assert said.lines[:2] == [
        "plan: trial_time_limit: 1h -> none",
        "plan: max_retries: 1 -> 2 (kept; --max-retries none removes it)",
    ]
    assert project.plan()["max_retries"] == 2
    assert "trial_time_limit" not in project.plan()


def test_what_is_left_of_a_grid_is_shown(project: Project) -> None:
    """Two ended, and four are to come; what to type is the search."""
    for value in ("0.1", "0.2"):
        project.write(f"fail.learning_rate_{value}", "")
    project.searches(*SIX, "--max-failures", "2")
    shown = project.modeldir("show", "experiments/search").lines
    assert "trials   2 failed, 4 remaining" in shown
    assert shown[-1] == "next: modeldir search experiments/search"


def test_failures_of_before_are_told(project: Project) -> None:
    """They make the exit code 1, also of a worker under which all went well."""
    project.write("fail.learning_rate_0.1", "")
    project.searches("learning_rate=0.1,0.2", "--no-check")
    said = project.searches("learning_rate=0.3", "--no-check")
    assert said.code == 1
    assert said.lines[-7:-3] == [
        "failed earlier: trial 1 (error)",
        "  see the log:       modeldir log experiments/search/learning_rate_0.1",
        "  after a fix:       modeldir search experiments/search   (failed trials run again)",
        "  to run them as is: modeldir retry experiments/search",
    ]
    assert said.lines[-2].startswith("1 completed. Best: ")


def test_a_metric_that_another_worker_reached_ends_the_search(project: Project) -> None:
    """Who works on it looks at all trials, not only at his own."""
    project.write("train.py", PLAIN.replace('exists("hold")', 'exists("hold." + name)'))
    project.write("hold.learning_rate_0.6", "")
    limits = ("--maximize", "accuracy", "--target", "0.75", "--no-check")
    words = ("search", "experiments/search", "learning_rate=0.6,0.1,0.5,0.4,0.3", *limits)
    with project.started_as(*words, "--", "python", "train.py") as slow:
        project.wait_for_starts(1)
        done = project.modeldir("search", "experiments/search")
        assert "Target reached: accuracy 0.9 (target 0.75)" in done.out
        (project.path / "hold.learning_rate_0.6").unlink()
        assert slow.wait(30) == 0
    assert project.started == ["learning_rate_0.6", "learning_rate_0.1"]


def test_limits_that_make_no_sense_are_refused(
    project: Project, snapshot: SnapshotAssertion
) -> None:
    """All before anything is started, with what to type."""
    said = [
        project.searches(*SIX, *words)
        for words in (
            ("--time-limit", "soon"),
            ("--trial-time-limit", "5 minutes"),
            ("--max-failures", "0"),
            ("--max-retries", "-1"),
            ("--target", "0.9"),
        )
    ]
    assert [each.code for each in said] == [2] * 5
    assert "\n\n".join(each.err for each in said) == snapshot
    assert project.started == []


# -- Stopping --------------------------------------------------------------------------------------


def test_stop_waits_for_the_running_trials(project: Project) -> None:
    """As Ctrl-C once, from elsewhere; later workers do not mind the request."""
    project.hold()
    with project.started_as(*SEARCH) as worker:
        project.wait_for_starts(1)
        asked = project.modeldir("stop", "experiments/search")
        assert asked.lines[0].startswith(f"asked: worker {worker.pid} on ")
        wait_until(lambda: "Stopping" in (project.search / "search.log").read_text())
        project.release()
        assert worker.wait(30) == 130
        assert worker.stdout is not None
        said = worker.stdout.read()
    who = f"{getpass.getuser()}@{processes.host()}"
    asked_by = f"`modeldir stop` asked this worker to stop ({who})."
    assert f"{asked_by}\nStopping: no new trials start; waiting for trial 1 (learn" in said
    assert project.ended == ["learning_rate_0.1"]
    assert project.searches(*SIX).code == 0
    assert len(project.ended) == 6


def test_stop_of_a_complete_search_does_not_say_that_it_goes_on(project: Project) -> None:
    """There is nothing to stop, and nothing to go on with; where trials are left there is."""
    assert project.searches(*SIX, "--trials", "6").code == 0
    said = project.modeldir("stop", "experiments/search")
    assert (said.code, said.lines) == (
        0,
        [
            "No worker is running: the search is complete (6 completed).",
            "Compare them: modeldir results experiments/search",
        ],
    )
    project.modeldir("retry", "experiments/search/learning_rate_0.1")
    said = project.modeldir("stop", "experiments/search")
    assert said.lines[0].startswith("No worker is running. To resume: modeldir search")
    watched = project.modeldir("watch", "experiments/search")
    assert watched.lines[0] == "experiments/search: 6 of 6 done, 1 remaining, no worker running"
    assert watched.lines[-1].startswith("next: modeldir search experiments/search")


def test_stop_now_interrupts_them(project: Project) -> None:
    """They are recorded as interrupted and run again by the next command."""
    project.hold()
    with project.started_as(*SEARCH) as worker:
        project.wait_for_starts(1)
        assert project.modeldir("stop", "experiments/search", "--now").code == 0
        assert worker.wait(30) == 130
    assert project.trials() == {"learning_rate_0.1": "interrupted"}
    project.release()
    assert project.searches(*SIX).code == 0
    assert sorted(project.ended) == sorted(project.trials())


def test_stop_now_ends_what_no_worker_minds(project: Project) -> None:
    """The worker was killed: its trial's supervisor, on this host and ours, is asked."""
    project.hold()
    with project.started_as(*SEARCH) as worker:
        project.wait_for_starts(1)
        worker.kill()
        worker.wait()
    waited = project.modeldir("stop", "experiments/search")
    assert waited.lines[0].startswith("No worker is running. To resume: modeldir search")
    assert project.trials() == {"learning_rate_0.1": "running"}
    said = project.modeldir("stop", "experiments/search", "--now")
    assert said.lines[0] == "stopped: trial 1 (learning_rate_0.1) (its worker had already exited)"
    assert project.trials() == {"learning_rate_0.1": "interrupted"}


@contextlib.contextmanager
def shared_project() -> Iterator[Project]:
    """A project in a folder that every user can enter, as pytest's own cannot be."""
    place = Path(tempfile.mkdtemp(dir="/tmp"))
    place.chmod(0o755)
    try:
        yield Project(place)
    finally:
        shutil.rmtree(place)


def as_somebody_else(project: Project, *words: str) -> subprocess.CompletedProcess[str]:
    """Type `modeldir WORDS` as another user, who has no place in our group either."""
    code = f"""
import contextlib, os, pathlib, sys, tempfile
from modeldir import commands; from modeldir.search import worker_registry as roster
# Once as ourselves, so that all is imported: he may not read our Python.
with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(None), \\
        contextlib.redirect_stderr(None):
    commands.main(["stop", folder])
    pathlib.Path(folder, "search.json").touch()
    roster.register(pathlib.Path(folder), 1)
    commands.main(["stop", folder, "--now"])
os.setgroups([]), os.setgid(65534), os.setuid(65534)
sys.exit(commands.main({[*words]!r}))
"""
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=project.path,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become somebody else")
def test_a_colleague_who_may_write_there_stops_a_worker() -> None:
    """It is asked by a file, never by a signal; who may not write is told what would let him."""
    with shared_project() as project:
        project.hold()
        with project.started_as(*SEARCH) as worker:
            project.wait_for_starts(1)
            said = as_somebody_else(project, "stop", "experiments/search", "--now")
            assert said.returncode == 2
            assert (
                "Permission denied\n  the owner of the folder can allow the group to write"
                in said.stderr
            )
            assert said.stderr.endswith("Nothing was stopped.\n")
            (project.search / ".modeldir").chmod(0o777)
            said = as_somebody_else(project, "stop", "experiments/search", "--now")
            assert said.stdout.startswith(f"asked: worker {worker.pid} on "), said.stderr
            assert worker.wait(30) == 130
        assert project.trials() == {"learning_rate_0.1": "interrupted"}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become somebody else")
def test_a_colleague_s_trial_that_no_worker_minds_runs_on() -> None:
    """He may not signal it, and is not told that nobody works there."""
    with shared_project() as project:
        project.hold()
        with project.started_as(*SEARCH) as worker:
            project.wait_for_starts(1)
            worker.kill()
            worker.wait()
        said = as_somebody_else(project, "stop", "experiments/search", "--now")
        assert said.returncode == 1
        assert said.stdout.startswith("still running: trial 1 (learning_rate_0.1) (its worker")
        assert project.trials() == {"learning_rate_0.1": "running"}
        assert project.modeldir("stop", "experiments/search", "--now").code == 0


@pytest.mark.parametrize("now", [False, True])
def test_an_experiment_that_runs_is_interrupted(project: Project, now: bool) -> None:  # noqa: FBT001
    """From another terminal; who finds the folder busy is told how."""
    base = "experiments/base_model"
    project.params(base, learning_rate=1)
    project.hold()
    with project.started_as("run", base, "--", "python", "train.py") as process:
        project.wait_for_starts(1)
        busy = project.modeldir("run", base, "--", "python", "train.py")
        assert f"Wait for it, or: modeldir stop {base}\n" in busy.err
        said = project.modeldir("stop", base, *["--now"][: int(now)])
        assert said.code == 0
        assert process.wait(30) == 130
    keeper = supervisor_of(project.path / base)
    assert said.lines == [
        f"asked: attempt 1 of {base}, process {keeper}",
        f"{base}: interrupted",
        f"To resume: modeldir run {base} --resume   (without --resume it starts again)",
    ]
    assert project.modeldir("stop", base).lines[0] == f"{base} is not running: interrupted"


def test_a_training_without_a_supervisor_is_interrupted_too(project: Project) -> None:
    """A plain `python train.py` that records itself."""
    base = "experiments/base_model"
    project.params(base, learning_rate=1)
    script = f"import modeldir, time\nwith modeldir.start({base!r}) as run:\n    time.sleep(60)\n"
    project.write("train.py", script)
    with subprocess.Popen(
        [sys.executable, "train.py"], cwd=project.path, stderr=subprocess.DEVNULL
    ) as training:
        wait_until((project.path / base / "train.log").exists)
        said = project.modeldir("stop", base)
    assert said.lines[:2] == [
        f"asked: attempt 1 of {base}, process {training.pid}",
        f"{base}: interrupted",
    ]


def test_a_trial_alone_is_not_stopped(project: Project) -> None:
    """Its worker would run it again: what to type is said."""
    project.hold()
    with project.started_as(*SEARCH) as worker:
        project.wait_for_starts(1)
        said = project.modeldir("stop", "experiments/search/learning_rate_0.1")
        assert said.code == 2
        assert "  modeldir stop experiments/search --now\n" in said.err
        project.modeldir("stop", "experiments/search", "--now")
        assert worker.wait(30) == 130  # killed before it heard, its trial would train for ever


def test_an_experiment_elsewhere_is_not_reached(
    project: Project, snapshot: SnapshotAssertion
) -> None:
    """Where it runs is said, and what to type there."""
    folder = project.params("experiments/base_model", learning_rate=1).parent
    me = processes.process()
    assert me is not None
    there = {**me.to_json(), "host": "node7", "machine": "other", "boot": "other"}
    assert attempts.begin(folder, 1, {"supervisor": there, "process": None}) is not None
    said = project.modeldir("stop", "experiments/base_model")
    assert (said.code, said.out) == (2, "")
    assert said.err == snapshot


def test_stop_says_what_it_cannot(project: Project, snapshot: SnapshotAssertion) -> None:
    """No such folder; nothing there that runs; a folder of experiments."""
    project.params("experiments/base_model", learning_rate=1)
    said = [
        project.modeldir("stop", folder)
        for folder in ("experiments/serach", "experiments/base_model", "experiments")
    ]
    assert [each.code for each in said] == [2, 0, 2]
    assert "\n".join(each.err + each.out for each in said) == snapshot


def test_a_detached_search_outlives_the_terminal(project: Project) -> None:
    """`--detach` checks, starts, prints what to type, and leaves; the trials run."""
    project.hold()
    said = project.modeldir(
        "search", "experiments/search", *SIX, "-j", "2", "--detach", "--", "python", "train.py"
    )
    assert said.code == 0
    assert said.lines[-1].startswith("next: modeldir watch experiments/search")
    project.wait_for_starts(2)
    (member,) = worker_registry.workers(project.search)
    assert f"worker {member.pid} runs without this terminal" in said.lines
    assert project.modeldir("stop", "experiments/search").code == 0
    project.release()
    wait_until(lambda: worker_registry.workers(project.search) == [])
    assert len(project.ended) == 2
    refused = project.modeldir("search", "experiments/search", "lerning_rate=1,2", "--detach")
    assert refused.code == 2


def test_detach_said_again_starts_no_second_worker(project: Project) -> None:
    """The one that is there goes on, and is named; one that was asked to stop does not count."""
    project.hold()
    words = ("search", "experiments/search", *SIX, "--detach", "--", "python", "train.py")
    project.modeldir(*words)
    project.wait_for_starts(1)
    (member,) = worker_registry.workers(project.search)
    said = project.modeldir(*words)
    assert said.code == 0
    there = f"worker {member.pid} already works on it, with -j 1: none was started"
    assert said.lines[0] == there
    project.modeldir("stop", "experiments/search")
    said = project.modeldir(*words)
    assert said.lines[0] != there
    wait_until(lambda: len(worker_registry.workers(project.search)) == 2)
    project.modeldir("stop", "experiments/search", "--now")
    wait_until(lambda: worker_registry.workers(project.search) == [])


# -- Once more, and never again --------------------------------------------------------------------


def test_retry_runs_failed_trials_again(project: Project) -> None:
    """All of them, those of one class, or one that is named, also a completed one."""
    for value in ("0.1", "0.01"):
        project.write(f"fail.learning_rate_{value}", "")
    project.searches("learning_rate=0.1,0.01,0.001", "--no-check")
    assert project.modeldir("retry", "experiments/search", "--only", "out-of-memory").lines == [
        "No trial failed with out-of-memory."
    ]
    for path in list(project.path.glob("fail.*")):
        path.unlink()
    said = project.modeldir("retry", "experiments/search", "--only", "error")
    assert said.lines == [
        "trial 1 (learning_rate_0.1) will run again",
        "trial 2 (learning_rate_0.01) will run again",
        "next: modeldir search experiments/search",
    ]
    assert project.modeldir("search", "experiments/search").code == 0
    assert set(project.trials().values()) == {"completed"}
    assert project.started.count("learning_rate_0.001") == 1
    project.modeldir("retry", "experiments/search/learning_rate_0.001")
    assert project.modeldir("search", "experiments/search").code == 0
    assert project.started.count("learning_rate_0.001") == 2
    assert project.modeldir("search", "experiments/search").code == 0
    assert len(project.started) == 6


def test_how_to_go_on_is_said_with_the_options_of_the_last_worker(project: Project) -> None:
    """Two side by side, and everybody names them: the search, show, watch, stop and retry."""
    project.hold()
    words = (*SEARCH[:-3], "-j", "2", "--threads-per-trial", "1", *SEARCH[-3:])
    with project.started_as(*words) as worker:
        project.wait_for_starts(2)
        worker.send_signal(signal.SIGTERM)
        assert worker.stdout is not None
        last = worker.stdout.read().splitlines()[-1]
    again = "modeldir search experiments/search -j 2 --threads-per-trial 1"
    assert last == f"To resume: {again}"
    said = [project.modeldir(word, "experiments/search") for word in ("show", "watch", "stop")]
    project.release()
    project.write("fail.learning_rate_0.1", "")
    project.searches(*SIX, "-j", "2", "--threads-per-trial", "1")
    said.append(project.modeldir("retry", "experiments/search"))
    lines = [each.lines[-1].partition("   ")[0] for each in said]
    assert [line.partition(": ")[2] for line in lines] == [again] * 4


def test_a_wish_reaches_a_worker_that_is_there(project: Project) -> None:
    """Whoever works on the search takes the trial, without being started anew."""
    project.write("fail.learning_rate_0.1", "")
    words = ("learning_rate=0.1,0.2,0.3", "--no-check")
    with project.started_as(
        "search",
        "experiments/search",
        *words,
        "--",
        "sh",
        "-c",
        'sleep 1; python train.py "$@"',
        "x",
    ) as worker:
        wait_until(lambda: project.trials().get("learning_rate_0.1") == "failed")
        (project.path / "fail.learning_rate_0.1").unlink()
        assert project.modeldir("retry", "experiments/search").code == 0
        assert worker.wait(30) == 0
    assert set(project.trials().values()) == {"completed"}


@pytest.mark.parametrize("wish", ["a retry", "a larger plan"])
def test_a_wish_reaches_a_worker_that_has_a_free_slot(project: Project, wish: str) -> None:
    """Though another trial runs on and on: it does not have to end first."""
    words = ("learning_rate=0.1,0.2", "--no-check", "-j", "2", "--", "python", "train.py")
    project.write("train.py", PLAIN.replace('exists("hold")', 'exists("hold." + name)'))
    project.write("fail.learning_rate_0.1", "")
    project.write("hold.learning_rate_0.2", "")
    with project.started_as("search", "experiments/search", *words) as worker:
        wait_until(lambda: project.trials().get("learning_rate_0.1") == "failed")
        project.wait_for_starts(2)
        if wish == "a retry":
            (project.path / "fail.learning_rate_0.1").unlink()
            project.modeldir("retry", "experiments/search")
            wait_until(lambda: project.trials()["learning_rate_0.1"] == "completed")
        else:
            plan = {**project.plan(), "space": {"learning_rate": [0.1, 0.2, 0.3]}}
            project.write("experiments/search/search.json", json.dumps(plan))
            wait_until(lambda: project.trials().get("learning_rate_0.3") == "completed")
        assert project.trials()["learning_rate_0.2"] == "running"
        (project.path / "hold.learning_rate_0.2").unlink()
        worker.wait(30)


def test_what_is_told_of_a_trial_that_ran_again_is_its_last_attempt(project: Project) -> None:
    """A worker with a second slot looks at it once more before the attempt has begun."""
    project.write("fail.learning_rate_0.1", "")
    project.searches("learning_rate=0.1,0.2", "--no-check")
    (project.path / "fail.learning_rate_0.1").unlink()
    project.modeldir("retry", "experiments/search")
    said = project.searches("learning_rate=0.1,0.2", "--no-check", "-j", "2")
    assert "completed     1  learning_rate_0.1  accuracy 0.9" in said.out
    assert "\n1 completed. Best: " in said.out
    assert said.code == 0


def test_retry_with_other_values_makes_new_trials(project: Project) -> None:
    """Values never change under a name: a new trial, which says what it is a retry of."""
    project.write("fail.learning_rate_0.1", "")
    project.searches("learning_rate=0.1,0.01", "--no-check")
    said = project.modeldir("retry", "experiments/search", "--set", "batch_size=8")
    name = "learning_rate_0.1__batch_size_8"
    new = f"trial 3 ({name})"
    old = "trial 1 (learning_rate_0.1)"
    assert said.lines[0] == f"{new} will run: {old} with batch_size 8"
    again = project.modeldir("retry", "experiments/search", "--set", "batch_size=8")
    assert again.lines[0] == f"{new} is already {old} with batch_size 8"
    assert project.modeldir("search", "experiments/search").code == 1  # the first is still failed
    assert project.trials() == {
        "learning_rate_0.01": "completed",
        "learning_rate_0.1": "failed",
        name: "completed",
    }
    told = read(project.search / name / "trial.json")
    assert told["retry_of"] == read(project.search / "learning_rate_0.1/trial.json")["number"]
    assert read(project.search / name / "params.json")["batch_size"] == 8


def test_a_removed_trial_is_neither_shown_nor_made_again(project: Project) -> None:
    """Its folder lies aside; the grid counts it as done; one removed by hand is made again."""
    project.searches("learning_rate=0.1,0.2,0.3", "--no-check")
    said = project.modeldir("remove", "experiments/search/learning_rate_0.2")
    aside = project.path / said.lines[0].rpartition(" is now in ")[2]
    assert (aside / "metrics_eval_best_weights.json").exists()
    assert "learning_rate_0.2" not in project.modeldir("synthesize", "experiments/search").out
    assert project.modeldir("search", "experiments/search").code == 0
    assert sorted(project.trials()) == ["learning_rate_0.1", "learning_rate_0.3"]
    assert len(project.started) == 3
    watched = project.modeldir("watch", "experiments/search").lines
    assert watched[0] == "experiments/search: 2 of 2 done"
    assert watched[-1] == "next: modeldir results experiments/search"


def test_a_removal_that_was_cut_short_is_finished_when_said_again(project: Project) -> None:
    """It was out of the search, and its folder lay there still."""
    project.searches("learning_rate=0.1,0.2", "--no-check")
    (project.search / ".modeldir/trials/000002.aside").touch()
    said = project.modeldir("remove", "experiments/search/learning_rate_0.2")
    assert said.code == 0, said.err
    assert list(project.trials()) == ["learning_rate_0.1"]
    assert project.modeldir("search", "experiments/search").code == 0
    assert len(project.started) == 2


def test_a_removed_trial_comes_back_by_the_line_that_is_said(project: Project) -> None:
    """Two files are moved, and it is a trial as before."""
    project.searches("learning_rate=0.1,0.2", "--no-check")
    said = project.modeldir("remove", "experiments/search/learning_rate_0.2")
    line = said.lines[1].removeprefix("  to undo this: ")
    subprocess.run(["sh", "-c", line], cwd=project.path, check=True)
    assert set(project.trials().values()) == {"completed"}
    watched = project.modeldir("watch", "experiments/search")
    assert watched.lines[0] == "experiments/search: 2 of 2 done"
    assert (
        "Nothing left to run: 2 completed" in project.modeldir("search", "experiments/search").out
    )


def test_what_cannot_be_retried_or_removed_is_refused(
    project: Project, snapshot: SnapshotAssertion
) -> None:
    """A class that there is not, a name that there is not, a folder that is no trial."""
    project.write("fail.learning_rate_0.1", "")
    project.searches("learning_rate=0.1", "--no-check")
    project.params("experiments/base_model", learning_rate=1)
    lines = [
        ("retry", "experiments/search", "--only", "out-of-memry"),
        ("retry", "experiments/search", "--set", "batchsize=8"),
        ("retry", "experiments/search", "--set", "batch_size=many"),
        ("retry", "experiments/search", "--set", "8"),
        ("retry", "experiments/serch"),
        ("remove", "experiments/base_model"),
        ("remove", "experiments/search/learning_rate_0.2"),
    ]
    said = [project.modeldir(*words) for words in lines]
    assert [each.code for each in said] == [2] * len(lines)
    assert "\n\n".join(each.err for each in said) == snapshot


def test_a_running_trial_is_neither_removed_nor_retried(project: Project) -> None:
    """It has to be stopped first; the message says how."""
    project.hold()
    with project.started_as(*SEARCH) as worker:
        project.wait_for_starts(1)
        for command in ("remove", "retry"):
            said = project.modeldir(command, "experiments/search/learning_rate_0.1")
            assert said.code == 2
            assert (
                "learning_rate_0.1 is running; stop it first: modeldir stop experiments/search"
                in said.err.replace(")", "")
            )
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(30) == 130


def test_a_wish_survives_a_kill(project: Project) -> None:
    """Killed in the wished attempt: it is interrupted, and runs again as any other."""
    project.searches("learning_rate=0.1", "--no-check")
    project.modeldir("retry", "experiments/search/learning_rate_0.1")
    project.hold()
    with project.started_as("search", "experiments/search") as worker:
        project.wait_for_starts(2)
        worker.kill()
        kill(supervisor_of(project.search / "learning_rate_0.1", 2))
        worker.wait()
    wait_until(lambda: project.trials() == {"learning_rate_0.1": "interrupted"})
    project.release()
    time.sleep(0.1)
    assert project.modeldir("search", "experiments/search").code == 0
    assert len(project.ended) == 2
