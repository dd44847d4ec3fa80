"""Experiments: status and scores are what the files say, whatever lies there."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from laboratory import Clock
from modeldir._system import files, heartbeat, processes
from modeldir.errors import FolderError, ParamsError
from modeldir.experiment import attempts
from modeldir.experiment.experiment import (
    Experiment,
    Scores,
    Status,
    has_metrics,
    has_output,
    is_experiment,
    is_search,
    last_step,
    params_file,
    scores,
    status,
)

if TYPE_CHECKING:
    from syrupy.assertion import SnapshotAssertion


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An experiment's folder."""
    return made(tmp_path / "base_model")


def made(path: Path, **others: object) -> Path:
    """A folder with hyperparameters and other files of these contents."""
    path.mkdir(parents=True, exist_ok=True)
    for name, value in {"params": {"learning_rate": 0.1}, **others}.items():
        (path / f"{name}.json").write_text(json.dumps(value))
    return path


def identity(**changes: Any) -> dict[str, Any]:
    me = processes.process()
    assert me is not None
    return replace(me, **changes).to_json()


def recorded(folder: Path, number: int = 1, **changes: Any) -> None:
    """An attempt of this very process, with what its run file says otherwise."""
    attempt = attempts.begin(folder, number, {"process": identity()})
    assert attempt is not None
    attempts.rewrite(attempt, changes)


# -- Which folder is what --------------------------------------------------------------------------


def test_an_experiment_is_a_folder_with_hyperparameters(folder: Path) -> None:
    """In JSON, YAML or TOML; where several lie, JSON counts."""
    assert is_experiment(folder)
    assert Experiment(folder).params() == {"learning_rate": 0.1}
    (folder / "params.toml").write_text("learning_rate = 0.2")
    assert params_file(folder) == folder / "params.json"
    (folder / "params.json").unlink()
    assert Experiment(folder).params() == {"learning_rate": 0.2}
    assert repr(Experiment(folder)) == f"Experiment({str(folder)!r})"


def test_a_folder_named_params_makes_no_experiment(tmp_path: Path) -> None:
    """Only a file holds hyperparameters."""
    (tmp_path / "params.json").mkdir()
    assert params_file(tmp_path) is None
    assert not is_experiment(tmp_path)
    assert not is_experiment(tmp_path / "none")


def test_what_is_no_experiment_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, snapshot: SnapshotAssertion
) -> None:
    """A missing folder, and one without hyperparameters, each with what to do."""
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()
    messages = []
    for name in ("none", "empty"):
        with pytest.raises(FolderError) as caught:
            Experiment(name)
        messages.append(str(caught.value))
    assert messages == snapshot


def test_broken_hyperparameters_are_an_error_when_they_are_asked_for(folder: Path) -> None:
    """The status of such a folder is still known."""
    (folder / "params.json").write_text("{")
    assert Experiment(folder).status().state == "pending"
    with pytest.raises(ParamsError):
        Experiment(folder).params()


def test_a_search_is_told_from_an_experiment(tmp_path: Path) -> None:
    """By its plan; or, as CS230's script leaves it, by the trials below it."""
    planned = made(tmp_path / "planned", search={})
    foreign = made(tmp_path / "foreign")
    made(foreign / "learning_rate_0.1")
    trained = made(tmp_path / "trained", metrics_val_best_weights={"accuracy": 0.9})
    made(trained / "variant")
    assert is_search(planned)
    assert is_search(foreign)
    assert not is_experiment(foreign)
    assert not is_search(trained)
    assert is_experiment(trained)
    assert not is_search(tmp_path / "none")


def test_set_aside_and_hidden_folders_make_no_search(folder: Path) -> None:
    """Archived files of an earlier attempt may include hyperparameters."""
    made(folder / "attempts" / "1")
    made(folder / "attempts")
    made(folder / ".cache")
    assert not is_search(folder)


@pytest.mark.parametrize(
    "name",
    ["train.log", "console.log", "metrics.jsonl", "best.pth.tar", "last.npz", "model.safetensors",
     "metrics_val_last_weights.json", "metrics.json", "results.json", "events.jsonl", "run.json",
     "run.7.json", "evaluate.run.json"],
)  # fmt: skip
def test_what_a_training_writes_is_known_by_its_name(name: str) -> None:
    """Its own, or an untouched script's."""
    assert has_output(["params.json", name])


@pytest.mark.parametrize(
    "name", ["params.json", "trial.json", "search.json", "notes.md", "vocabulary.json", "attempts"]
)
def test_what_a_user_puts_there_is_no_run(name: str) -> None:
    """An experiment that waits stays one that waits."""
    assert not has_output([name])


def test_metrics_are_seen(folder: Path) -> None:
    """Whether a first metric came."""
    assert not has_metrics(folder)
    (folder / "metrics.jsonl").touch()
    assert has_metrics(folder)
    assert not has_metrics(folder / "none")


def test_the_origin_is_told(folder: Path) -> None:
    """It is what `modeldir new` wrote, and empty for a first experiment or a broken file."""
    assert Experiment(folder).origin() == {}
    made(folder, origin={"from": "../base"})
    assert Experiment(folder).origin() == {"from": "../base"}
    (folder / "origin.json").write_text("[")
    assert Experiment(folder).origin() == {}


# -- Status ----------------------------------------------------------------------------------------


def test_without_a_run_it_waits_or_is_untracked(folder: Path) -> None:
    """Metrics that somebody else's tree holds are shown, and said to be untracked."""
    assert status(folder).state == "pending"
    assert status(folder / "none").state == "pending"
    (folder / "metrics_val_best_weights.json").write_text("{}")
    assert status(folder).state == "untracked"
    assert status(folder).attempt == 0


@pytest.mark.parametrize("end", attempts.ENDS)
def test_a_recorded_end_is_the_status(folder: Path, end: str) -> None:
    """As it says, though the process of a notebook lives on."""
    recorded(folder, status=end, duration=1.5, reason="because", last_line="last", failure="nan")
    found = status(folder)
    assert (found.state, found.attempt, found.duration) == (end, 1, 1.5)
    assert (found.reason, found.last_line) == ("because", "last")
    assert found.failure == ("nan" if end == "failed" else None)


def test_without_an_end_the_process_decides(folder: Path) -> None:
    """Alive: running; dead: interrupted; unseen: running, with a word on it."""
    recorded(folder)
    assert status(folder).state == "running"
    assert status(folder).reason is None
    recorded(folder, 2, process=identity(started=1))
    assert status(folder).state == "interrupted"
    assert status(folder).attempt == 2
    recorded(folder, 3, process=identity(boot="another", host="elsewhere"))
    assert status(folder).state == "running"
    assert "cannot be checked" in (status(folder).reason or "")


def test_the_highest_attempt_decides(folder: Path) -> None:
    """A completion that was retried is not a completion any more."""
    recorded(folder, 1, status="completed")
    recorded(folder, 2, status="failed", failure="error")
    assert status(folder).state == "failed"
    recorded(folder, 10)
    assert status(folder).state == "running"


def test_the_duration_is_that_of_all_attempts_that_made_what_lies_there(folder: Path) -> None:
    """An attempt that continues an earlier one adds its time; any other has only its own."""
    recorded(folder, status="failed", duration=500.0)
    recorded(folder, 2, status="interrupted", duration=100.0, resumes=False)
    recorded(folder, 3, resumes=True)  # it left no end: how long it took is not known
    recorded(folder, 4, status="completed", duration=5.0, resumes=True)
    assert (status(folder).duration, status(folder).before) == (105.0, 100.0)
    recorded(folder, 5, status="interrupted", duration=7.0, resumes=True)
    recorded(folder, 6, resumes=True)
    assert (status(folder).state, status(folder).before) == ("running", 112.0)
    (folder / "attempts" / "5").mkdir(parents=True)  # its parent's weights are what it begins with
    assert status(folder).before == 0.0


def test_a_duration_that_is_no_number_is_none(folder: Path) -> None:
    """The file was edited by hand; an attempt that continues it still has its own time."""
    recorded(folder, status="completed", duration="long")
    assert status(folder).duration is None
    recorded(folder, 2, status="completed", duration=5.0, resumes=True)
    assert (status(folder).duration, status(folder).before) == (5.0, 0.0)


INCOMPLETE = pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"status": "compl', b"\x00\x00"])


def watched(folder: Path, seconds: float) -> Status:
    """The status after an observer has looked every 10 s."""
    clock = Clock()
    observer = heartbeat.Observer(clock)
    while True:
        found = status(folder, observer=observer)
        if clock.now >= seconds:
            return found
        clock.now += 10.0


@INCOMPLETE
def test_an_incomplete_run_file_says_nothing_until_it_was_watched(
    folder: Path, data: bytes
) -> None:
    """A network file system may show half of a file that is complete: that is nobody's end."""
    recorded(folder, 1, status="completed")
    (folder / "run.2.json").write_bytes(data)
    for found in (status(folder), watched(folder, 110.0)):
        assert (found.state, found.attempt, found.in_doubt) == ("running", 2, True)
        assert found.reason == "unknown, since its run file is incomplete"
    assert watched(folder, 130.0).state == "interrupted"


@INCOMPLETE
def test_an_old_incomplete_run_file_is_not_watched(folder: Path, data: bytes) -> None:
    """After a power cut a search does not wait two minutes for each file that is left so."""
    (folder / "run.json").write_bytes(data)
    os.utime(folder / "run.json", (0, 0))
    assert status(folder).state == "interrupted"
    made(folder, metrics_eval_best_weights={"accuracy": 0.5})
    assert status(folder).state == "untracked"


@INCOMPLETE
def test_metrics_beside_an_incomplete_run_file_are_not_trained_again(
    folder: Path, data: bytes
) -> None:
    """A power cut may have taken the recorded end: the results are shown, and stay."""
    (folder / "run.json").write_bytes(data)
    made(folder, metrics_eval_best_weights={"accuracy": 0.5})
    assert status(folder).state == "running"
    assert watched(folder, 130.0).state == "untracked"


def test_a_run_file_that_reads_complete_later_is_believed(folder: Path) -> None:
    """The first look found half of it."""
    (folder / "run.json").write_bytes(b'{"status": "compl')
    observer = heartbeat.Observer()
    assert status(folder, observer=observer).state == "running"
    files.write_json(folder / "run.json", {"status": "completed"})
    assert status(folder, observer=observer).state == "completed"


def test_an_end_recorded_between_two_looks_counts(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """We read the run file, the supervisor records the end and exits, we look for its process."""
    recorded(folder)

    def ends_now(_: object) -> bool:
        files.write_json(folder / "run.json", {"status": "completed"})
        return False

    monkeypatch.setattr(processes, "alive", ends_now)
    assert status(folder).state == "completed"


@pytest.mark.parametrize("value", ["running", "done", "COMPLETED", 1, None, ["completed"], {}])
def test_an_end_that_is_none_of_the_four_is_no_end(folder: Path, value: object) -> None:
    """A word of a later version, or a hand's: the process decides."""
    recorded(folder, status=value, process=identity(started=1))
    assert status(folder).state == "interrupted"


def test_a_copy_of_a_running_folder_is_interrupted(folder: Path, tmp_path: Path) -> None:
    """`cp -r` of a running trial: nothing runs in the copy, and the original runs on."""
    recorded(folder)
    shutil.copytree(folder, tmp_path / "copy")
    assert status(tmp_path / "copy").state == "interrupted"
    assert status(folder).state == "running"


def test_other_scripts_never_change_the_status(folder: Path) -> None:
    """`evaluate.py` failed: the training is still completed."""
    recorded(folder, status="completed")
    evaluation = attempts.begin(folder, 2, {"process": identity()}, "evaluate")
    assert evaluation is not None
    assert status(folder).state == "completed"
    attempts.rewrite(evaluation, {"status": "failed"})
    assert status(folder).state == "completed"


def test_reading_writes_nothing(folder: Path) -> None:
    """A read-only tree can be looked at, and a look changes no time."""
    recorded(folder)
    before = {entry.name: entry.stat().st_mtime_ns for entry in os.scandir(folder)}
    experiment = Experiment(folder)
    experiment.status()
    experiment.scores()
    experiment.params()
    assert before == {entry.name: entry.stat().st_mtime_ns for entry in os.scandir(folder)}


# -- Scores ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("split", ["eval", "val", "dev"])
def test_the_development_split_has_three_names(folder: Path, split: str) -> None:
    """All are what searches rank by: the best weights' metrics, with nothing of the last's."""
    write(folder, f"metrics_{split}_best_weights.json", {"accuracy": 0.9})
    write(folder, f"metrics_{split}_last_weights.json", {"accuracy": 0.8, "loss": 0.2})
    found = scores(folder)
    assert found.best == {"accuracy": 0.9}
    assert found.last == {"accuracy": 0.8, "loss": 0.2}
    assert found.validation == {"accuracy": 0.9}


def write(folder: Path, name: str, values: Mapping[str, object]) -> None:
    (folder / name).write_text(json.dumps(values))


def test_test_and_training_metrics_are_never_the_development_ones(folder: Path) -> None:
    """They are shown beside, and cannot be ranked by."""
    write(folder, "metrics_test_best.json", {"accuracy": 0.99})
    write(folder, "metrics_train_last.json", {"accuracy": 1.0})
    assert scores(folder).test == {"accuracy": 0.99}
    assert scores(folder).train == {"accuracy": 1.0}
    assert scores(folder).validation == {}


def test_a_broken_file_is_a_problem_and_nothing_stands_in_for_it(folder: Path) -> None:
    """The last weights' metrics are there, and are not taken for the best weights'."""
    (folder / "metrics_eval_best_weights.json").write_text('{"accuracy": 0.')
    write(folder, "metrics_eval_last_weights.json", {"accuracy": 0.8})
    (folder / "metrics_test_best.json").symlink_to("nowhere")
    found = scores(folder)
    assert found.last == {"accuracy": 0.8}
    assert found.validation == {}
    assert len(found.problems) == 1
    assert "metrics_eval_best_weights.json" in found.problems[0]


def test_a_folder_that_is_gone_has_a_problem(tmp_path: Path) -> None:
    """And no scores."""
    found = scores(tmp_path / "none")
    assert (found.validation, len(found.problems)) == ({}, 1)
    assert scores(tmp_path) == Scores()


# -- How far a training run is ---------------------------------------------------------------------


def test_the_last_whole_line_says_how_far_it_is(folder: Path) -> None:
    """A line that is being written is passed over."""
    assert last_step(folder) == {}
    path = folder / "metrics.jsonl"
    path.write_text('{"step": 1}\n{"step": 2}\n{"step": 3, "acc')
    assert last_step(folder) == {"step": 2}
    path.write_text('{"st')
    assert last_step(folder) == {}


def test_the_last_line_of_a_long_file_is_found(folder: Path) -> None:
    """Only its end is read, which may begin in the middle of a line."""
    lines = [json.dumps({"step": step, "loss": 1 / (step + 1)}) for step in range(5000)]
    (folder / "metrics.jsonl").write_text("\n".join(lines))
    assert last_step(folder)["step"] == 4999
