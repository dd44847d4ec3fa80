"""Verdicts: which of several pieces of evidence decides how an attempt ended."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from modeldir.experiment import attempts
from modeldir.metrics.collector import collector_for
from modeldir.worker.end_status import Evidence, determine, metric_file_stamps

BEST = "metrics_eval_best_weights.json"
LAST = "metrics_eval_last_weights.json"
ACCURACY = ("accuracy", "maximize")
TRACEBACK = b"Traceback (most recent call last):\n  File 't.py', line 1\nKeyError: 'lr'\n"
TOKEN = "0123456789abcdef"
INTENT = {"intent": "interrupted", "reason": "asked to stop", "at": "now"}


def evidence(folder: Path, code: int = 0, printed: bytes = b"", **more: Any) -> Evidence:
    console = folder / "console.log"
    console.write_bytes(printed)
    if "patterns" in more:
        more["collector"] = collector_for(folder, console, 0, more.pop("patterns"), None)
    number, token = more.pop("number", 1), more.pop("token", TOKEN)
    return Evidence(folder, number, token, console, code, **more)


def write(folder: Path, name: str, **metrics: object) -> None:
    (folder / name).write_text(json.dumps(metrics))


def status(end: dict[str, Any]) -> tuple[str, str | None]:
    return end["status"], end.get("failure")


# -- How the command died --------------------------------------------------------------------------


def test_exit_0_is_a_completion(tmp_path: Path) -> None:
    """Where no metric is needed nothing else is asked."""
    assert determine(evidence(tmp_path)) == {"exit_code": 0, "signal": None, "status": "completed"}


def test_another_exit_code_is_a_failure_with_its_last_words(tmp_path: Path) -> None:
    """The traceback's last line, and the code."""
    end = determine(evidence(tmp_path, 3, b"epoch 1\n" + TRACEBACK))
    assert end == {
        "exit_code": 3,
        "signal": None,
        "status": "failed",
        "failure": "error",
        "reason": "exit code 3",
        "last_line": "KeyError: 'lr'",
    }


def test_a_failure_without_a_word_says_its_code(tmp_path: Path) -> None:
    """No output, or no output file at all."""
    assert determine(evidence(tmp_path, 1))["last_line"] == "exit code 1"
    (tmp_path / "console.log").unlink()
    end = determine(Evidence(tmp_path, 1, TOKEN, tmp_path / "console.log", 1))
    assert end["last_line"] == "exit code 1"


def test_memory_that_ran_out_is_a_class_of_its_own(tmp_path: Path) -> None:
    """By the last words of the script."""
    printed = b"Traceback (most recent call last):\n  x\nMemoryError\n"
    assert status(determine(evidence(tmp_path, 1, printed))) == ("failed", "out-of-memory")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_who_was_asked_to_go_is_interrupted(tmp_path: Path, number: signal.Signals) -> None:
    """Not by us, and not by a fault of its own: a cluster, a user, a terminal that closed."""
    end = determine(evidence(tmp_path, -number, TRACEBACK))
    assert status(end) == ("interrupted", None)
    assert (end["exit_code"], end["signal"]) == (None, number.name)


def test_a_kill_is_a_failure(tmp_path: Path) -> None:
    """Most often the kernel's, for memory."""
    end = determine(evidence(tmp_path, -signal.SIGKILL, b"epoch 3\n"))
    assert status(end) == ("failed", "killed")
    assert end["reason"] == "died by SIGKILL"


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT, signal.SIGPIPE, 40, 63])
def test_a_death_by_any_other_signal_is_an_error(tmp_path: Path, number: int) -> None:
    """Also by one that has no name: the end must be recorded, not an exception raised."""
    end = determine(evidence(tmp_path, -number))
    assert status(end) == ("failed", "error")
    assert end["signal"] in end["reason"]


# -- Why we stopped it -----------------------------------------------------------------------------


@pytest.mark.parametrize("code", [0, 1, 143, -signal.SIGTERM, -signal.SIGKILL, -signal.SIGSEGV])
def test_the_intent_decides_whatever_the_exit_code(tmp_path: Path, code: int) -> None:
    """A script that catches TERM and leaves with 0, or dies of its own clean-up."""
    end = determine(evidence(tmp_path, code, TRACEBACK, intent=INTENT, metric=ACCURACY))
    assert status(end) == ("interrupted", None)
    assert end["reason"] == "asked to stop"


def test_a_pruned_trial_is_pruned_and_a_slow_one_failed(tmp_path: Path) -> None:
    """The three intents have three ends."""
    prune = {**INTENT, "intent": "pruned", "reason": "0.3 at rung 4"}
    assert status(determine(evidence(tmp_path, -15, intent=prune))) == ("pruned", None)
    slow = {**INTENT, "intent": "time-limit", "reason": "ran longer than 60 s"}
    end = determine(evidence(tmp_path, 0, intent=slow))
    assert status(end) == ("failed", "time-limit")
    assert end["last_line"] == "ran longer than 60 s"


# -- What the script told --------------------------------------------------------------------------


def test_a_prune_that_the_script_tells_is_believed(tmp_path: Path) -> None:
    """It leaves quietly, with exit code 0 and perhaps without the metric."""
    attempts.add_event(tmp_path, 1, "end", status="pruned", reason="0.3 at rung 4")
    end = determine(evidence(tmp_path, 0, metric=ACCURACY))
    assert status(end) == ("pruned", None)
    assert end["reason"] == "0.3 at rung 4"
    assert set(end) == {"exit_code", "signal", "status", "reason"}


@pytest.mark.parametrize("code", [1, -signal.SIGKILL, -signal.SIGSEGV, -signal.SIGTERM])
def test_a_prune_outlives_what_ends_its_script_later(tmp_path: Path, code: int) -> None:
    """An error behind the training, a crash while it leaves, kill -9: the training was over."""
    attempts.add_event(tmp_path, 1, "end", status="pruned", reason="0.3 at rung 4")
    end = determine(evidence(tmp_path, code, TRACEBACK))
    assert status(end) == ("pruned", None)
    assert end["reason"] == "0.3 at rung 4"


@pytest.mark.parametrize("told", ["failed", "interrupted"])
def test_a_script_that_swallows_what_ended_its_run_did_not_complete(
    tmp_path: Path, told: str
) -> None:
    """`try: with start(...)` and `except: pass` leave with 0: the folder says what happened."""
    failure = {"failure": "error", "last_line": "KeyError: 1"} if told == "failed" else {}
    attempts.add_event(tmp_path, 1, "end", status=told, **failure)
    end = determine(evidence(tmp_path, 0))
    assert end["status"] == told
    assert end.get("last_line") == failure.get("last_line")


def test_ctrl_c_inside_the_script_is_an_interruption(tmp_path: Path) -> None:
    """Python then leaves with an exit code of 1, if the exception was turned into another."""
    attempts.add_event(tmp_path, 1, "end", status="interrupted", reason="KeyboardInterrupt")
    assert status(determine(evidence(tmp_path, 1))) == ("interrupted", None)


def test_a_crash_after_the_run_is_a_failure(tmp_path: Path) -> None:
    """A completion that the script told does not hide how it died afterwards."""
    attempts.add_event(tmp_path, 1, "end", status="completed")
    assert status(determine(evidence(tmp_path, -signal.SIGSEGV))) == ("failed", "error")


def test_the_last_word_counts(tmp_path: Path) -> None:
    """A script may run twice in one attempt: first interrupted, then to its end."""
    attempts.add_event(tmp_path, 1, "end", status="failed")
    attempts.add_event(tmp_path, 1, "end", status="completed")
    assert status(determine(evidence(tmp_path))) == ("completed", None)


def test_what_another_attempt_told_says_nothing(tmp_path: Path) -> None:
    """Attempts never mix, though their lines lie in one file after a resume."""
    attempts.add_event(tmp_path, 1, "end", status="pruned")
    assert status(determine(evidence(tmp_path, 0, number=2))) == ("completed", None)


@pytest.mark.parametrize("code", [0, 1])
def test_what_the_training_told_says_nothing_of_another_script(tmp_path: Path, code: int) -> None:
    """The first `evaluate.py` after a pruned or interrupted first attempt ends as it ends."""
    for told in ("pruned", "interrupted"):
        attempts.add_event(tmp_path, 1, "end", status=told)
        end = determine(evidence(tmp_path, code, script="evaluate"))
        assert end["status"] == ("failed" if code else "completed")


def test_a_torn_line_is_no_word(tmp_path: Path) -> None:
    """A script that died while it told its end told nothing."""
    (tmp_path / "events.jsonl").write_text('{"attempt": 1, "event": "end", "status": "pru')
    assert status(determine(evidence(tmp_path))) == ("completed", None)


# -- Output of an earlier attempt ------------------------------------------------------------------


def test_an_earlier_attempts_traceback_is_not_the_new_ones(tmp_path: Path) -> None:
    """A resumed attempt's output goes on in the same file: only its own part speaks for it."""
    end = determine(evidence(tmp_path, 1, TRACEBACK, printed_before=len(TRACEBACK)))
    assert end["last_line"] == "exit code 1"
    printed = TRACEBACK + b"no data\n"
    end = determine(evidence(tmp_path, 1, printed, printed_before=len(TRACEBACK)))
    assert end["last_line"] == "no data"


def test_a_log_that_was_made_shorter_is_read_all_the_same(tmp_path: Path) -> None:
    """A script that empties its own output must not end the supervisor."""
    assert determine(evidence(tmp_path, 1, b"x", printed_before=100))["last_line"] == "exit code 1"


# -- The metric that is needed ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", [BEST, LAST, "metrics_val_best_weights.json", "metrics_dev_last_weights.json",
             "metrics.json", "metrics_eval.json", "results.json"],
)  # fmt: skip
def test_a_fresh_metric_completes(tmp_path: Path, name: str) -> None:
    """In any of the development files."""
    write(tmp_path, name, accuracy=0.9)
    assert status(determine(evidence(tmp_path, metric=ACCURACY))) == ("completed", None)


def test_exit_0_without_the_metric_is_a_failure(tmp_path: Path) -> None:
    """It says what was found, so that a misspelled name is seen."""
    end = determine(evidence(tmp_path, metric=ACCURACY))
    assert status(end) == ("failed", "missing-metric")
    assert "metrics found: none" in end["last_line"]
    write(tmp_path, BEST, acc=0.9, loss=0.1)
    end = determine(evidence(tmp_path, metric=ACCURACY))
    assert "metrics found: acc, loss" in end["reason"]


@pytest.mark.parametrize("name", ["metrics_test_best.json", "metrics_train_last.json"])
def test_a_metric_of_another_split_is_not_the_one(tmp_path: Path, name: str) -> None:
    """The test set never decides anything."""
    write(tmp_path, name, accuracy=0.9)
    assert status(determine(evidence(tmp_path, metric=ACCURACY))) == ("failed", "missing-metric")


@pytest.mark.parametrize("value", ["nan", float("nan")])
def test_a_metric_that_is_no_number_is_a_failure(tmp_path: Path, value: object) -> None:
    """However the script wrote it."""
    write(tmp_path, LAST, accuracy=value)
    assert status(determine(evidence(tmp_path, metric=ACCURACY))) == ("failed", "nan")


def test_a_trial_fails_by_nan_before_its_search_has_chosen_a_metric(tmp_path: Path) -> None:
    """By the metric that will be chosen; a lone experiment is ranked by nobody."""
    write(tmp_path, LAST, accuracy="nan", loss=0.5)
    assert status(determine(evidence(tmp_path))) == ("completed", None)
    write(tmp_path, "trial.json", number=1)
    assert status(determine(evidence(tmp_path))) == ("failed", "nan")
    assert status(determine(evidence(tmp_path, script="evaluate"))) == ("completed", None)
    write(tmp_path, LAST, accuracy=0.5, loss="nan")
    assert status(determine(evidence(tmp_path))) == ("completed", None)
    (tmp_path / LAST).unlink()
    assert status(determine(evidence(tmp_path))) == ("completed", None)


def test_a_training_that_diverged_after_its_best_weights_counts_by_them(tmp_path: Path) -> None:
    """The best weights' metrics come before the last's, in whatever order the folder lists them."""
    write(tmp_path, BEST, accuracy=0.9)
    write(tmp_path, LAST, accuracy="nan")
    assert status(determine(evidence(tmp_path, metric=ACCURACY))) == ("completed", None)


def test_metrics_that_lay_there_before_are_stale(tmp_path: Path) -> None:
    """Exit 0 with nothing new is no completion: old numbers are not this attempt's."""
    write(tmp_path, BEST, accuracy=0.9)
    stale = metric_file_stamps(tmp_path)
    assert list(stale) == [BEST]
    end = determine(evidence(tmp_path, metric=ACCURACY, stale=stale))
    assert status(end) == ("failed", "missing-metric")


def test_a_file_written_again_is_fresh(tmp_path: Path) -> None:
    """Also with the very same bytes, in place or by a rename."""
    write(tmp_path, BEST, accuracy=0.9)
    os.utime(tmp_path / BEST, ns=(1, 1))
    stale = metric_file_stamps(tmp_path)
    write(tmp_path, BEST, accuracy=0.9)
    assert status(determine(evidence(tmp_path, metric=ACCURACY, stale=stale)))[0] == "completed"
    write(tmp_path, "new", accuracy=0.9)
    os.utime(tmp_path / "new", ns=(1, 1))
    os.replace(tmp_path / "new", tmp_path / BEST)
    assert status(determine(evidence(tmp_path, metric=ACCURACY, stale=stale)))[0] == "completed"


def test_a_fresh_file_beside_a_stale_one_counts(tmp_path: Path) -> None:
    """The stale best is not mixed in: only what is new says how the attempt went."""
    write(tmp_path, BEST, accuracy=0.9)
    stale = metric_file_stamps(tmp_path)
    write(tmp_path, LAST, accuracy="nan")
    end = determine(evidence(tmp_path, metric=ACCURACY, stale=stale))
    assert status(end) == ("failed", "nan")


@pytest.mark.parametrize("text", ["", '{"accuracy": 0.', "[0.9]", '{"accuracy": "good"}'])
def test_a_broken_metrics_file_is_no_metric(tmp_path: Path, text: str) -> None:
    """A disk that was full: the attempt failed, and the end is recorded."""
    (tmp_path / BEST).write_text(text)
    assert status(determine(evidence(tmp_path, metric=ACCURACY))) == ("failed", "missing-metric")


def test_a_link_to_nowhere_hides_no_other_metrics(tmp_path: Path) -> None:
    """One dangling link among the metric files must not make all the others invisible."""
    write(tmp_path, BEST, accuracy=0.9)
    for name in ("metrics.json", "metrics_test.json", "results.json"):
        (tmp_path / name).symlink_to("nowhere")
    assert list(metric_file_stamps(tmp_path)) == [BEST]
    assert status(determine(evidence(tmp_path, metric=ACCURACY))) == ("completed", None)
    assert metric_file_stamps(tmp_path / "none") == {}


# -- Metrics that are only printed -----------------------------------------------------------------


def test_printed_metrics_are_kept(tmp_path: Path) -> None:
    """The last of each counts, and lands where a script's own would."""
    printed = b"val acc: 0.5\n\xff\nval acc: 0.7\r\nloss 1\n"
    end = determine(
        evidence(tmp_path, 0, printed, metric=ACCURACY, patterns=["val acc: {accuracy}"])
    )
    assert status(end) == ("completed", None)
    assert json.loads((tmp_path / LAST).read_text()) == {"accuracy": 0.7}


def test_an_output_larger_than_memory_is_read_for_its_metrics(tmp_path: Path) -> None:
    """In a process that may have no more than the output is long: it is never there all at once."""
    log = tmp_path / "console.log"
    with open(log, "wb") as file:
        file.write(b"val acc: 0.5\n")
        file.truncate(64 << 20)  # zeros without end, and without a line's
        file.seek(0, os.SEEK_END)
        file.write(b"\nval acc: 0.7\n")
    code = (
        "import resource, sys; from pathlib import Path; from modeldir.worker.end_status import *\n"
        "limit = 64 << 20; resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))\n"
        "log = Path(sys.argv[1])\n"
        "from modeldir.metrics.collector import collector_for\n"
        "lines = collector_for(log.parent, log, 0, ['val acc: {accuracy}'], None)\n"
        "found = Evidence(log.parent, 1, '', log, code=0, collector=lines)\n"
        "print(determine(found)['status'])"
    )
    done = subprocess.run([sys.executable, "-c", code, log], capture_output=True, check=False)
    assert done.stdout == b"completed\n", done.stderr.decode()
    assert json.loads((tmp_path / LAST).read_text()) == {"accuracy": 0.7}


def test_a_pattern_that_never_matches_is_no_metric(tmp_path: Path) -> None:
    """Nothing is written, and the failure is told."""
    end = determine(
        evidence(tmp_path, 0, b"acc 0.5\n", metric=ACCURACY, patterns=["val acc: {accuracy}"])
    )
    assert status(end) == ("failed", "missing-metric")
    assert not (tmp_path / LAST).exists()


def test_a_printed_nan_is_a_nan(tmp_path: Path) -> None:
    """Printed or written, it is the same failure."""
    printed = b"val acc: nan\n"
    end = determine(
        evidence(tmp_path, 0, printed, metric=ACCURACY, patterns=["val acc: {accuracy}"])
    )
    assert status(end) == ("failed", "nan")


@pytest.mark.parametrize("intent", [None, {"intent": "pruned", "reason": "x"}])
def test_what_a_failed_or_pruned_script_printed_is_kept(
    tmp_path: Path, intent: dict[str, str] | None
) -> None:
    """As `run.log` would have kept it: its row has the metrics that it came to."""
    printed = b"val acc: 0.5\n"
    patterns = ["val acc: {accuracy}"]
    end = determine(evidence(tmp_path, 1, printed, intent=intent, patterns=patterns))
    assert end["status"] == ("pruned" if intent else "failed")
    assert json.loads((tmp_path / LAST).read_text()) == {"accuracy": 0.5}


# -- What the script made of its hyperparameters ---------------------------------------------------


ACCOUNT = {
    "never_read": ["learing_rate", "seed"],
    "did_you_mean": {"learing_rate": "learning_rate"},
    "changed": {"batch_size": {"file": 32, "now": 64}},
    "values": {"learing_rate": 0.1, "batch_size": 64, "seed": 1},
}


def test_the_run_file_says_what_became_of_the_hyperparameters(tmp_path: Path) -> None:
    """However the attempt ended; it is the last word of the script that counts."""
    attempts.add_event(tmp_path, 1, "params", token=TOKEN, changed={}, values={"batch_size": 32})
    attempts.add_event(tmp_path, 1, "params", token=TOKEN, **ACCOUNT)
    for code in 0, 1, -9:
        assert determine(evidence(tmp_path, code))["params"] == ACCOUNT
        assert determine(evidence(tmp_path, code, intent=INTENT))["params"] == ACCOUNT


def test_who_was_killed_has_told_its_values(tmp_path: Path) -> None:
    """What it never read is not said: it might have, had it lived."""
    attempts.add_event(tmp_path, 1, "params", token=TOKEN, changed={}, values={"batch_size": 32})
    told = determine(evidence(tmp_path, -signal.SIGKILL))["params"]
    assert told == {"changed": {}, "values": {"batch_size": 32}}


def test_what_any_process_has_read_was_read(tmp_path: Path) -> None:
    """A worker that opened the file itself read a name that the training did not."""
    attempts.add_event(tmp_path, 1, "params_read", token=TOKEN, names=["learing_rate"])
    attempts.add_event(tmp_path, 1, "params", token=TOKEN, **ACCOUNT)
    told = determine(evidence(tmp_path))["params"]
    assert told["never_read"] == ["seed"]
    assert "did_you_mean" not in told


def test_the_hyperparameters_of_another_script_are_its_own(tmp_path: Path) -> None:
    """Both count their attempts from 1: `evaluate.py` does not get the training's."""
    attempts.add_event(tmp_path, 1, "params", token=TOKEN, **ACCOUNT)
    assert "params" not in determine(evidence(tmp_path, script="evaluate", token="another"))
    attempts.add_event(tmp_path, 1, "params", token="another", changed={}, values={})
    told = determine(evidence(tmp_path, script="evaluate", token="another"))["params"]
    assert told == {"changed": {}, "values": {}}
    assert determine(evidence(tmp_path))["params"] == ACCOUNT
