"""Runs: what a script gets, which files it leaves, and how its end is recorded in each case."""

from __future__ import annotations

import json
import math
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import modeldir
from laboratory import read, wait_until
from modeldir._system import files, reading
from modeldir.errors import FolderBusy, FolderError, MetricsError, TrialPruned
from modeldir.experiment import attempts, experiment
from modeldir.experiment.run import Run
from modeldir.logs.logger import Log
from modeldir.metrics import metric_files
from modeldir.metrics.objective import RANKED_VARIABLE

if TYPE_CHECKING:
    from syrupy.assertion import SnapshotAssertion

RANKS = ("RANK", "WORLD_SIZE", "SLURM_PROCID", "SLURM_NTASKS",
         "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE")  # fmt: skip


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No supervisor and no ranks, whoever runs the tests; and no log that stays open."""
    for name in (*RANKS, RANKED_VARIABLE, attempts.RUN_VARIABLE, attempts.ATTEMPT_VARIABLE):
        monkeypatch.delenv(name, raising=False)
    yield
    if Log.current is not None:
        Log.current.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An experiment's folder."""
    path = tmp_path / "base_model"
    path.mkdir()
    (path / "params.json").write_text('{"learning_rate": 0.1, "num_epochs": 3}')
    return path


@pytest.fixture
def supervised(folder: Path, monkeypatch: pytest.MonkeyPatch) -> attempts.Attempt:
    """The folder is an attempt's whose supervisor set this environment."""
    attempt = attempts.begin(folder, 1, {})
    assert attempt is not None
    set_environment(monkeypatch, attempt)
    return attempt


def set_environment(
    monkeypatch: pytest.MonkeyPatch, attempt: attempts.Attempt, *, resumes: bool = False
) -> None:
    for name, value in attempts.environment_variables(
        str(attempt.record["token"]), attempt.folder, attempt.number, resumes=resumes
    ).items():
        monkeypatch.setenv(name, value)


def script(folder: Path, code: str, **settings: Any) -> subprocess.Popen[str]:
    """A training in a process of its own; its first argument is the folder."""
    head = "import sys, time, modeldir\nfolder = sys.argv[1]\n"
    return subprocess.Popen(
        [sys.executable, "-c", head + textwrap.dedent(code), str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.PIPE,
        text=True,
        **settings,
    )


def train(folder: Path, code: str, **settings: Any) -> int:
    """Run a training script to its end and return its exit code."""
    process = script(folder, code, **settings)
    process.communicate()
    return process.returncode


def states(folder: Path) -> dict[str, tuple[int, int, int]]:
    """Each entry of a folder with what changes when it is written; reading changes nothing."""
    found = {entry.name: entry.stat() for entry in os.scandir(folder)}
    return {name: (s.st_ino, s.st_size, s.st_mtime_ns) for name, s in found.items()}


def best(folder: Path) -> dict[str, Any]:
    return reading.read_object(folder / metric_files.EVAL_BEST)


def last(folder: Path) -> dict[str, Any]:
    return reading.read_object(folder / metric_files.EVAL_LAST)


def steps(folder: Path) -> list[Any]:
    return [line["step"] for line in reading.read_lines(folder / "metrics.jsonl")]


def end(folder: Path, number: int = 1) -> dict[str, Any]:
    """Return what the script recorded about its end."""
    found = [e for e in attempts.events(folder, number) if e["event"] == "end"]
    return found[-1] if found else {}


# -- Alone -----------------------------------------------------------------------------------------


def test_a_training_leaves_its_whole_story(folder: Path) -> None:
    """Hyperparameters, log, metrics by step, best and last, and its end: nothing else is needed."""
    with modeldir.start(folder, maximize="accuracy") as run:
        assert run.params.learning_rate == 0.1
        news = [run.log(step, accuracy=a) for step, a in enumerate((0.5, 0.7, 0.7, 0.6))]
        print("trained")
    assert news == [True, True, False, False]
    assert (best(folder), last(folder)) == ({"accuracy": 0.7}, {"accuracy": 0.6})
    assert steps(folder) == [0, 1, 2, 3]
    assert "trained" in (folder / "train.log").read_text()
    record = read(folder / "run.json")
    assert record["status"] == "completed"
    assert record["process"]["pid"] == os.getpid()
    assert record["duration"] >= 0
    status = experiment.status(folder)
    assert (status.state, status.attempt) == ("completed", 1)


def test_a_training_runs_while_it_runs(folder: Path) -> None:
    """Inside the block the folder is held, by this process."""
    with modeldir.start(folder):
        assert experiment.status(folder).state == "running"
    assert experiment.status(folder).state == "completed"


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ValueError("diverged\nat step 3"), {"status": "failed", "failure": "error",
                                             "last_line": "ValueError: diverged"}),
        (MemoryError(), {"status": "failed", "failure": "out-of-memory",
                         "last_line": "MemoryError: "}),
        (KeyboardInterrupt(), {"status": "interrupted", "reason": "KeyboardInterrupt"}),
        (SystemExit(3), {"status": "failed", "failure": "error", "last_line": "SystemExit: 3"}),
        (SystemExit("no data"), {"status": "failed", "failure": "error",
                                 "last_line": "SystemExit: no data"}),
        (SystemExit(), {"status": "completed"}),
        (SystemExit(0), {"status": "completed"}),
    ],
    ids=lambda value: repr(value) if isinstance(value, BaseException) else "",
)  # fmt: skip
def test_an_exception_is_the_end_and_goes_on(
    folder: Path, error: BaseException, status: dict[str, Any]
) -> None:
    """It is recorded, told, and raised further: the exit code stays the script's own."""
    with pytest.raises(type(error)), modeldir.start(folder):
        raise error
    record = read(folder / "run.json")
    assert {key: record[key] for key in status} == status
    assert {key: end(folder)[key] for key in status} == status


def test_a_prune_ends_quietly(folder: Path) -> None:
    """The script continues after the block, and the folder says that it was pruned, and why."""
    with modeldir.start(folder) as run:
        run.log(1, accuracy=0.1)
        raise TrialPruned("0.1 at rung 1")
    status = experiment.status(folder)
    assert (status.state, status.reason) == ("pruned", "0.1 at rung 1")


def test_a_traceback_is_in_the_log(folder: Path) -> None:
    """A reader of `train.log` sees why it died; the exit code is Python's."""
    code = "with modeldir.start(folder) as run:\n    raise ValueError('it diverged')"
    assert train(folder, code) == 1
    text = (folder / "train.log").read_text()
    assert "Traceback (most recent call last)" in text
    assert "ValueError: it diverged" in text
    assert experiment.status(folder).last_line == "ValueError: it diverged"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_training_is_interrupted(folder: Path, number: signal.Signals) -> None:
    """It left no end, and nobody had to write one: the process is not there any more."""
    process = script(folder, "with modeldir.start(folder):\n    print(1, flush=True); input()")
    assert process.stdout
    process.stdout.readline()
    assert experiment.status(folder).state == "running"
    process.send_signal(number)
    process.communicate()
    assert experiment.status(folder).state == "interrupted"
    assert read(folder / "run.json")["status"] is None


def test_ctrl_c_is_an_interruption(folder: Path) -> None:
    """Recorded by the script itself, whose exit Python makes a death by SIGINT."""
    code = "with modeldir.start(folder):\n    print(1, flush=True); time.sleep(60)"
    process = script(folder, code)
    assert process.stdout
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    process.communicate()
    assert process.returncode == -signal.SIGINT
    assert read(folder / "run.json")["status"] == "interrupted"


def test_a_copy_of_a_running_folder_is_interrupted(folder: Path, tmp_path: Path) -> None:
    """`cp -r` while it trains: the copy can be trained at once, the original is not touched."""
    with modeldir.start(folder) as run:
        run.log(1, accuracy=0.5)
        subprocess.run(["cp", "-r", str(folder), str(tmp_path / "copy")], check=True)
        copy = tmp_path / "copy"
        assert experiment.status(copy).state == "interrupted"
        assert train(copy, "with modeldir.start(folder) as run:\n    run.log(1, accuracy=0.6)") == 0
        assert experiment.status(folder).state == "running"
    assert (best(folder), best(copy)) == ({"accuracy": 0.5}, {"accuracy": 0.6})
    assert experiment.status(copy).attempt == 2
    assert (copy / "attempts" / "1" / metric_files.EVAL_BEST).exists()


def test_a_disk_that_is_full_at_the_end_hides_no_error(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The exception says what could not be recorded; the script's exception is its context."""

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    def trained() -> None:
        with modeldir.start(folder):
            monkeypatch.setattr(files, "write_json", full)
            raise ValueError("the script's own")

    with pytest.raises(OSError, match="No space") as caught:
        trained()
    assert isinstance(caught.value.__context__, ValueError)
    monkeypatch.undo()
    assert experiment.status(folder).state == "running"  # and interrupted when this process ends


# -- Who may run -----------------------------------------------------------------------------------


def test_a_second_start_in_a_live_folder_is_refused(folder: Path) -> None:
    """And touches nothing: neither the log nor the metrics of the one that runs."""
    process = script(folder, "with modeldir.start(folder):\n    print(1, flush=True); input()")
    assert process.stdout
    process.stdout.readline()
    before = states(folder)
    with pytest.raises(FolderBusy, match=f"process {process.pid} "):
        modeldir.start(folder)
    assert states(folder) == before
    process.communicate("\n")
    assert read(folder / "run.json")["status"] == "completed"
    with modeldir.start(folder) as run:
        assert run.attempt == 2


def test_of_many_starts_at_once_one_runs(folder: Path) -> None:
    """Six processes start in one folder: one trains, and five get an error that names it."""
    code = """
        print("ready", flush=True)
        input()
        try:
            with modeldir.start(folder) as run:
                print("runs", flush=True)
                input()
        except modeldir.FolderBusy:
            print("busy", flush=True)
    """
    rivals = [script(folder, code) for _ in range(6)]
    told(rivals)
    for rival in rivals:
        assert rival.stdin
        rival.stdin.write("\n")
        rival.stdin.flush()
    said = told(rivals)
    for rival in rivals:
        rival.communicate("\n")
    assert sorted(said) == ["busy"] * 5 + ["runs"]
    assert attempts.numbers(os.listdir(folder)) == [1]


def told(processes: Iterable[subprocess.Popen[str]]) -> list[str]:
    """The next line of each process."""
    return [process.stdout.readline().strip() for process in processes if process.stdout]


def test_a_start_that_fails_does_not_hold_the_folder(folder: Path) -> None:
    """A log that cannot be opened ends the attempt: a notebook can try again."""
    with pytest.raises(FolderError):
        modeldir.start(folder, log="no/such/train.log")
    assert experiment.status(folder).state == "failed"
    with pytest.raises(ValueError, match="level"):
        modeldir.start(folder, level="LOUD")
    with modeldir.start(folder) as run:
        assert run.attempt == 3


def test_what_is_no_experiment_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, snapshot: SnapshotAssertion
) -> None:
    """A missing folder and an empty one, each with what to do; nothing is made."""
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()
    messages = []
    for name in ("none", "empty"):
        with pytest.raises(FolderError) as caught:
            modeldir.start(name)
        messages.append(str(caught.value))
    assert messages == snapshot
    assert os.listdir() == ["empty"]
    assert os.listdir("empty") == []


def test_broken_hyperparameters_start_no_attempt(folder: Path) -> None:
    """The folder is as it was: still waiting."""
    (folder / "params.json").write_text("{")
    with pytest.raises(modeldir.ParamsError):
        modeldir.start(folder)
    assert os.listdir(folder) == ["params.json"]


# -- Attempts --------------------------------------------------------------------------------------


def test_a_new_run_sets_aside_what_the_last_one_left(folder: Path) -> None:
    """Also the weights and the log: none of it is taken for the new one's."""
    (folder / "vocabulary.txt").write_text("mine")
    code = "with modeldir.start(folder) as run:\n    run.log(7, accuracy=0.9)\n    "
    assert train(folder, code + "run.save_checkpoint({'step': 7}); print('one')") == 0
    assert train(folder, "with modeldir.start(folder) as run:\n    run.log(8, loss=1)") == 0
    aside = folder / "attempts" / "1"
    assert sorted(os.listdir(aside)) == sorted(
        ["best.npz", "last.npz", "events.jsonl", "metrics.jsonl", metric_files.EVAL_BEST,
         metric_files.EVAL_LAST, "train.log"]
    )  # fmt: skip
    assert steps(folder) == [8]
    assert best(folder) == {"loss": 1}
    assert not any(
        line.endswith(" one") for line in (folder / "train.log").read_text().splitlines()
    )
    assert (folder / "vocabulary.txt").read_text() == "mine"


def test_a_cell_that_is_run_again_starts_afresh(folder: Path) -> None:
    """In one process too, as in a notebook, the second run's files are the second's alone."""
    for value in (0.9, 0.5):
        with modeldir.start(folder) as run:
            run.log(1, accuracy=value)
            run.save_checkpoint({"value": value})
    assert steps(folder) == [1]
    assert best(folder) == {"accuracy": 0.5}
    assert [event["attempt"] for event in attempts.read_events(folder)] == [2]
    assert reading.read_object(folder / "attempts/1" / metric_files.EVAL_BEST) == {"accuracy": 0.9}
    assert not (folder / "attempts" / "2").exists()


def test_what_the_script_made_before_it_started_stays(folder: Path) -> None:
    """A log opened first, a plot made first: they are this run's own, and not set aside."""
    code = """
        from pathlib import Path
        modeldir.set_logger(Path(folder) / "train.log")
        print("before")
        (Path(folder) / "plots").mkdir(exist_ok=True)
        with modeldir.start(folder):
            print("within")
    """
    (folder / "old.log").write_text("of a run that nobody recorded")
    assert train(folder, code) == 0
    text = (folder / "train.log").read_text()
    assert "before" in text
    assert "within" in text
    assert (folder / "plots").is_dir()
    assert os.listdir(folder / "attempts" / "0") == ["old.log"]


def test_a_folder_that_is_the_whole_project_keeps_it(tmp_path: Path) -> None:
    """`--model_dir .` beside train.py: the code must never be moved away."""
    (tmp_path / "params.json").write_text("{}")
    for name in ("train.py", "notes.md"):
        (tmp_path / name).write_text("old")
        os.utime(tmp_path / name, (1, 1))
    for _ in range(3):
        code = "with modeldir.start(folder) as run:\n    run.log(1, loss=1)"
        assert train(tmp_path, code) == 0
    assert (tmp_path / "train.py").read_text() == (tmp_path / "notes.md").read_text() == "old"
    assert sorted(os.listdir(tmp_path / "attempts")) == ["1", "2"]


def test_a_run_that_resumes_goes_on_from_what_is_there(folder: Path) -> None:
    """Lines are added, the best so far stays the best, the weights come back."""
    with modeldir.start(folder, maximize="accuracy") as run:
        assert run.restore() is None
        run.log(1, accuracy=0.7)
        run.save_checkpoint({"epoch": 1})
    with modeldir.start(folder, maximize="accuracy", resume=True) as run:
        assert run.restore() == {"epoch": 1}
        assert run.restore("best") == {"epoch": 1}
        assert run.log(2, accuracy=0.6) is False
        run.save_checkpoint({"epoch": 2})
        assert run.log(3, accuracy=0.8) is True
    assert steps(folder) == [1, 2, 3]
    assert (best(folder), last(folder)) == ({"accuracy": 0.8}, {"accuracy": 0.8})
    assert run.attempt == 2
    assert not (folder / "attempts").exists()


def test_the_best_so_far_is_known_though_nobody_named_the_metric(folder: Path) -> None:
    """The metric chosen in the first run is chosen again and compared with its best value."""
    with modeldir.start(folder) as run:
        run.log(1, accuracy=0.7, loss=0.5)
    with modeldir.start(folder, resume=True) as run:
        assert run.log(2, accuracy=0.6, loss=0.1) is False


def test_to_resume_before_the_first_weights_is_to_begin(folder: Path) -> None:
    """Interrupted in the first epoch: there is nothing to restore, and that is no error."""
    with modeldir.start(folder, resume=True) as run:
        assert run.resumes
        assert run.restore() is None


def test_a_torn_line_of_a_killed_run_swallows_nothing(folder: Path) -> None:
    """A resumed run's first line begins on a line of its own."""
    with modeldir.start(folder) as run:
        run.log(1, accuracy=0.5)
    with open(folder / "metrics.jsonl", "a") as file:
        file.write('{"step": 2, "accu')
    with modeldir.start(folder, resume=True) as run:
        run.log(2, accuracy=0.6)
        run.log(3, accuracy=0.7)
    assert steps(folder) == [1, 2, 3]


# -- Under a supervisor ----------------------------------------------------------------------------


def test_under_a_supervisor_the_run_file_is_its(folder: Path, supervised: attempts.Attempt) -> None:
    """The script tells what it alone knows, as this attempt, and writes no run file."""
    before = supervised.path.read_bytes()
    with modeldir.start(folder) as run:
        assert (run.attempt, run.resumes) == (1, False)
        run.log(1, accuracy=run.params.learning_rate)
    assert supervised.path.read_bytes() == before
    assert attempts.numbers(os.listdir(folder)) == [1]
    events = attempts.events(folder, 1)
    assert {"params_read", "end"} <= {event["event"] for event in events}
    assert end(folder)["status"] == "completed"


def test_under_a_supervisor_nothing_is_set_aside(
    folder: Path, supervised: attempts.Attempt
) -> None:
    """The supervisor has done it; what lies there by now is this attempt's."""
    (folder / "console.log").write_text("early output")
    os.utime(folder / "console.log", (1, 1))
    with modeldir.start(folder):
        pass
    assert (folder / "console.log").read_text() == "early output"
    assert not (folder / "attempts").exists()


def test_the_search_decides_whether_it_resumes(
    folder: Path, supervised: attempts.Attempt, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The environment says so; the script may still insist on a fresh start."""
    set_environment(monkeypatch, supervised, resumes=True)
    with modeldir.start(folder) as run:
        assert run.resumes
    with modeldir.start(folder, resume=False) as run:
        assert not run.resumes


def test_a_script_that_can_resume_says_so(folder: Path, supervised: attempts.Attempt) -> None:
    """So that a search which interrupts it leaves its weights in place."""
    with modeldir.start(folder) as run:
        run.restore()
        assert "can_resume" in [e["event"] for e in attempts.events(folder, 1)]


@pytest.mark.parametrize(
    ("error", "status"), [(ValueError("x"), "failed"), (KeyboardInterrupt(), "interrupted")]
)
def test_an_exception_is_told_to_the_supervisor(
    folder: Path, supervised: attempts.Attempt, error: BaseException, status: str
) -> None:
    """It alone knows that a Ctrl-C was one."""
    with pytest.raises(type(error)), modeldir.start(folder):
        raise error
    assert end(folder)["status"] == status


def test_another_folders_environment_means_nothing(
    folder: Path, supervised: attempts.Attempt, tmp_path: Path
) -> None:
    """A training that a trial starts in another folder records itself there."""
    other = tmp_path / "other"
    shutil.copytree(folder, other)
    (other / "run.json").unlink()
    with modeldir.start(other) as run:
        assert run.attempt == 1
    assert read(other / "run.json")["status"] == "completed"
    assert attempts.events(folder, 1) == []


# -- The metric ------------------------------------------------------------------------------------


def logged(folder: Path, *lines: dict[str, Any], **ranked: str) -> list[bool]:
    news = []
    with modeldir.start(folder, **ranked) as run:  # type: ignore[arg-type] # a name, as given
        news += [run.log(step, line) for step, line in enumerate(lines)]
    return news


def test_small_is_good_where_it_was_said(folder: Path) -> None:
    """A loss that falls is a new best."""
    lines = [{"loss": 0.5}, {"loss": 0.7}, {"loss": 0.4}]
    assert logged(folder, *lines, minimize="loss") == [True, False, True]
    assert (best(folder), last(folder)) == ({"loss": 0.4}, {"loss": 0.4})


@pytest.mark.parametrize("asked", ["accuracy", "val/accuracy", "eval/accuracy"])
@pytest.mark.parametrize("split", ["val/", "eval/", "dev/", ""])
def test_the_development_split_may_be_named_as_one_likes(
    folder: Path, split: str, asked: str
) -> None:
    """In what is logged and in what is asked for: it is one split, and one metric."""
    lines = [{f"{split}accuracy": 0.5}, {f"{split}accuracy": 0.4}]
    assert logged(folder, *lines, maximize=asked) == [True, False]
    assert (best(folder), last(folder)) == ({"accuracy": 0.5}, {"accuracy": 0.4})
    assert f"{split}accuracy" in (folder / "metrics.jsonl").read_text()


def test_training_and_test_metrics_are_never_the_best(folder: Path) -> None:
    """They are in the lines alone, and decide nothing."""
    lines = [{"train/loss": 0.1}, {"test/accuracy": 0.9}, {"val/loss": 0.3, "train/loss": 0.2}]
    assert logged(folder, *lines) == [False, False, True]
    assert last(folder) == {"loss": 0.3}
    assert steps(folder) == [0, 1, 2]


@pytest.mark.parametrize("bare_first", [False, True])
def test_beside_a_development_metric_a_bare_one_is_training(
    folder: Path,
    bare_first: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    """Whichever stands first: `val/accuracy` is what ranks."""
    line = {"accuracy": 0.99, "val/accuracy": 0.7} if bare_first else {
        "val/accuracy": 0.7, "accuracy": 0.99}  # fmt: skip
    logged(folder, line)
    assert best(folder) == {"accuracy": 0.7}


def test_metrics_without_a_step_are_an_error(folder: Path) -> None:
    """As other libraries take them: `run.log({"loss": 0.5})` would log nothing."""
    with (
        modeldir.start(folder) as run,
        pytest.raises(MetricsError, match="needs a step before the metrics"),
    ):
        run.log({"loss": 0.5})  # type: ignore[arg-type]


def test_nan_is_never_the_best(folder: Path) -> None:
    """Neither at first nor later; it is in the last metrics, where it can be seen."""
    nan = math.nan
    assert logged(folder, {"loss": nan}, minimize="loss") == [False]
    assert (best(folder), last(folder)) == ({}, {"loss": "nan"})
    lines = [{"loss": nan}, {"loss": 0.5}, {"loss": nan}, {"loss": 0.4}]
    assert logged(folder, *lines, minimize="loss") == [False, True, False, True]
    assert best(folder) == {"loss": 0.4}
    (folder / "metrics.jsonl").read_bytes().decode("ascii")
    for line in (folder / "metrics.jsonl").read_text().splitlines():
        json.loads(line, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))


def test_numbers_of_any_kind_are_numbers(folder: Path) -> None:
    """NumPy's scalars, arrays of one element, integers and infinities are accepted."""
    line = {"a": np.float32(0.5), "b": np.array([3]), "c": 7, "loss": math.inf, "d": {"e": 1.0}}
    logged(folder, line)
    assert last(folder) == {"a": 0.5, "b": 3, "c": 7, "loss": "inf", "d/e": 1.0}


def test_what_is_no_number_is_an_error_that_names_it(folder: Path) -> None:
    """All of them at once, before anything is written."""
    with pytest.raises(MetricsError, match=r"(?s)loss.*curve"):
        logged(folder, {"loss": "low", "curve": [1, 2]})
    assert not (folder / "metrics.jsonl").exists()


def test_the_metric_that_was_asked_for_must_be_there(
    folder: Path, snapshot: SnapshotAssertion
) -> None:
    """A misspelled name is an error at the first step, not after ten epochs without a best."""
    with pytest.raises(MetricsError) as caught:
        logged(folder, {"accuracy": 0.5, "loss": 0.1}, maximize="acuracy")
    assert str(caught.value) == snapshot


def test_a_metric_that_we_chose_may_be_missing(folder: Path) -> None:
    """Nobody asked for it: a line without it is no new best, and no exception ends the training."""
    lines = [{"loss": 0.5}, {"accuracy": 0.9}, {"loss": 0.4}]
    assert logged(folder, *lines) == [True, False, True]


def test_metrics_without_a_direction_make_the_last_the_best(folder: Path) -> None:
    """Nothing says which way is better: the latest weights are the ones to keep."""
    assert logged(folder, {"temperature": 3}, {"temperature": 2}) == [True, True]
    assert best(folder) == last(folder) == {"temperature": 2}


def test_the_search_says_which_metric(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the environment; what the script says itself comes first."""
    monkeypatch.setenv(RANKED_VARIABLE, "minimize:error")
    assert logged(folder, {"error": 0.5, "accuracy": 0.1}, {"error": 0.6, "accuracy": 0.9}) == [
        True,
        False,
    ]
    lines = [{"error": 0.5, "accuracy": 0.1}, {"error": 0.6, "accuracy": 0.9}]
    assert logged(folder, *lines, maximize="accuracy") == [True, True]


def test_two_metrics_cannot_both_rank(folder: Path) -> None:
    """The error comes before anything has begun."""
    with pytest.raises(MetricsError, match="not both"):
        modeldir.start(folder, maximize="accuracy", minimize="loss")
    assert os.listdir(folder) == ["params.json"]


# -- Weights ---------------------------------------------------------------------------------------


def test_the_best_weights_are_those_of_the_best_metric(folder: Path) -> None:
    """Saved after each `log`, kept by what it said."""
    with modeldir.start(folder, maximize="accuracy") as run:
        for epoch, accuracy in enumerate((0.5, 0.9, 0.7)):
            run.log(epoch, accuracy=accuracy)
            run.save_checkpoint({"epoch": epoch})
    assert modeldir.load_checkpoint(folder, "best") == {"epoch": 1}
    assert modeldir.load_checkpoint(folder, "last") == {"epoch": 2}


def test_the_script_may_say_which_weights_are_best(folder: Path) -> None:
    """As CS230's helper has it."""
    with modeldir.start(folder) as run:
        assert run.save_checkpoint({"epoch": 0}) == folder / "last.npz"
        assert not (folder / "best.npz").exists()
        run.save_checkpoint({"epoch": 1}, is_best=True)
    assert modeldir.load_checkpoint(folder, "best") == {"epoch": 1}


# -- Ranks -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("rank", "size"), [RANKS[0:2], RANKS[2:4], RANKS[4:6]])
def test_other_ranks_read_and_write_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch, rank: str, size: str
) -> None:
    """Eight processes of one training share the folder: one of them writes."""
    with modeldir.start(folder) as run:
        run.log(1, accuracy=0.5)
        run.save_checkpoint({"epoch": 1})
    before = states(folder)
    monkeypatch.setenv(rank, "3")
    monkeypatch.setenv(size, "8")
    with modeldir.start(folder, resume=True) as run:
        assert run.params.num_epochs == 3
        assert run.restore() == {"epoch": 1}
        assert run.log(1, accuracy=0.9) is False
        assert run.save_checkpoint({"epoch": 2}, is_best=True) is None
    assert states(folder) == before


def test_other_ranks_do_not_refuse_a_folder_that_their_first_holds(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`torchrun train.py` without a supervisor: rank 0 holds it, the others are of the same run."""
    with modeldir.start(folder):
        monkeypatch.setenv("RANK", "1")
        monkeypatch.setenv("WORLD_SIZE", "2")
        with modeldir.start(folder) as other:
            other.log(1, accuracy=0.1)
        monkeypatch.setenv("RANK", "0")
    assert attempts.numbers(os.listdir(folder)) == [1]
    assert not (folder / "metrics.jsonl").exists()


def test_a_lone_task_of_slurm_is_no_rank(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An array task has a rank variable and a world of one: it writes."""
    monkeypatch.setenv("SLURM_PROCID", "3")
    monkeypatch.setenv("SLURM_NTASKS", "1")
    assert logged(folder, {"accuracy": 0.5}) == [True]


# -- Odds and ends ---------------------------------------------------------------------------------


def test_a_run_is_what_the_package_says_it_is(folder: Path) -> None:
    """`modeldir.Run` for annotations, with the folder as it was given."""
    with modeldir.start(str(folder)) as run:
        assert isinstance(run, modeldir.Run)
        assert isinstance(run, Run)
        assert run.model_dir == folder


def test_a_reader_follows_a_running_training(folder: Path) -> None:
    """Each line and each file is there when `log` returns: nothing waits in a buffer."""
    with modeldir.start(folder) as run:
        for step in range(3):
            run.log(step, accuracy=step / 10)
            assert experiment.last_step(folder)["step"] == step
            assert last(folder) == {"accuracy": step / 10}


def test_kill_at_any_moment_leaves_whole_metrics(folder: Path) -> None:
    """Trainings killed at random: every file is whole, every line but the torn last one too."""
    code = """
        with modeldir.start(folder, resume=True) as run:
            print(1, flush=True)
            for step in range(10**9):
                run.log(step, accuracy=1 - 1 / (step + 1), padding=1.23456789)
    """
    for index in range(5):
        process = script(folder, code)
        assert process.stdout
        process.stdout.readline()
        wait_until((folder / "metrics.jsonl").exists)
        time.sleep(0.01 * index)
        process.kill()
        process.communicate()
        for name in (metric_files.EVAL_BEST, metric_files.EVAL_LAST):
            if (folder / name).exists():
                assert json.loads((folder / name).read_text())["padding"] == 1.23456789
        lines = (folder / "metrics.jsonl").read_bytes().split(b"\n")
        assert sum(1 for line in lines[:-1] if not _is_whole(line)) <= index
    assert experiment.status(folder).state == "interrupted"
    assert experiment.status(folder).attempt == 5


def _is_whole(line: bytes) -> bool:
    try:
        return "step" in json.loads(line)
    except ValueError:
        return False


# -- What became of the hyperparameters ------------------------------------------------------------


def test_the_run_file_says_what_was_made_of_the_hyperparameters(folder: Path) -> None:
    """The typo that nobody read, what was changed, and the values that were really used."""
    (folder / "params.json").write_text('{"learing_rate": 0.1, "num_epochs": 3, "seed": 1}')
    with modeldir.start(folder) as run:
        getattr(run.params, "learning_rate", 0.01)
        run.params.num_epochs = 5
        run.params.update(seed=2)
        run.params.train_size = 100
        run.params.vocabulary = {str(word): word for word in range(1000)}
    assert read(folder / "run.json")["params"] == {
        "never_read": ["learing_rate", "seed"],
        "did_you_mean": {"learing_rate": "learning_rate"},
        "changed": {
            "num_epochs": {"file": 3, "now": 5, "given": 5},
            "seed": {"file": 1, "now": 2, "given": 2},
        },
        "values": {"learing_rate": 0.1, "num_epochs": 5, "seed": 2, "train_size": 100},
        "left_out": ["vocabulary"],
    }


def test_a_training_that_fails_says_it_too(folder: Path) -> None:
    """It records the hyperparameters that it used until then."""
    with pytest.raises(ZeroDivisionError), modeldir.start(folder) as run:
        run.params.learning_rate = run.params.learning_rate / 0
    told = read(folder / "run.json")["params"]
    assert told["never_read"] == ["num_epochs"]


def test_a_run_whose_script_reads_the_file_in_its_own_way(folder: Path) -> None:
    """Then nobody can say what was not read."""
    with modeldir.start(folder):
        json.loads((folder / "params.json").read_text())
    told = read(folder / "run.json")["params"]
    assert told == {"changed": {}, "values": {"learning_rate": 0.1, "num_epochs": 3}}


def test_each_run_of_one_process_speaks_for_itself(folder: Path) -> None:
    """A notebook's cell that is run again has read and changed nothing of before."""
    with modeldir.start(folder) as first:
        first.params.learning_rate = 0.5
        first.params.num_epochs  # noqa: B018 - to read it is the point
    with modeldir.start(folder) as second:
        second.params.learning_rate  # noqa: B018 - as above
    told = read(folder / "run.2.json")["params"]
    assert (told["never_read"], told["changed"]) == (["num_epochs"], {})


def test_the_supervisors_run_file_says_it(folder: Path) -> None:
    """It has it from the script, which has both values and names."""
    code = "import modeldir; modeldir.Params('base_model/params.json').learning_rate"
    command = [sys.executable, "-m", "modeldir", "run", "base_model", "--",
               sys.executable, "-c", code]  # fmt: skip
    subprocess.run(command, cwd=folder.parent, check=True, timeout=60, capture_output=True)
    assert read(folder / "run.json")["params"] == {
        "never_read": ["num_epochs"],
        "changed": {},
        "values": {"learning_rate": 0.1, "num_epochs": 3},
    }
