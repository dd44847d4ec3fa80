"""A tree of experiments as one table: what is found, what is shown, in which order."""

from __future__ import annotations

import csv
import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from modeldir import attempts
from modeldir.errors import FolderError, ModeldirError
from modeldir.synthesize import Results, read_tree, synthesize

if TYPE_CHECKING:
    from collections.abc import Mapping

    from syrupy.assertion import SnapshotAssertion

BASE = {"model_version": "baseline", "learning_rate": 0.001, "batch_size": 32}
EVAL = "metrics_eval_best_weights.json"
VAL = "metrics_val_best_weights.json"


def write(path: Path, value: object) -> None:
    """A JSON file, and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))


def make(folder: Path, changes: Mapping[str, Any] | None = None, **metrics: object) -> Path:
    """An experiment as any script leaves it: hyperparameters, and development metrics if given."""
    write(folder / "params.json", {**BASE, **(changes or {})})
    if metrics:
        write(folder / EVAL, metrics)
    return folder


def record(folder: Path, status: str | None = "completed", **facts: object) -> None:
    """A run file in an experiment, of an attempt that ended if a status is given."""
    attempt = attempts.begin(folder, 1, {"supervisor": None, "process": None})
    assert attempt is not None
    attempts.rewrite(
        attempt, {"started": "2026-11-23T10:00:00.000+00:00", "status": status, **facts}
    )


def cs230_tree(folder: Path) -> Path:
    """What CS230's search over three learning rates leaves."""
    write(folder / "params.json", BASE)
    for rate, accuracy in ((0.1, 0.5), (0.01, 0.9711111111111111), (0.001, 0.875)):
        trial = folder / f"learning_rate_{rate}"
        write(trial / "params.json", {**BASE, "learning_rate": rate})
        write(trial / VAL, {"accuracy": accuracy, "loss": 1 - accuracy})
        write(trial / "metrics_val_last_weights.json", {"accuracy": accuracy / 2, "loss": 9.5})
        (trial / "train.log").write_text("Epoch 1/10\n")
    return folder


def names(results: Results) -> list[object]:
    """The experiments of a table, from the top."""
    return [row[0] for row in results.table.rows]


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


# -- What is found ---------------------------------------------------------------------------------


def test_a_tree_that_modeldir_never_made(snapshot: SnapshotAssertion) -> None:
    """CS230's own tree is shown as it is, best first, every digit, without a status."""
    results = synthesize(cs230_tree(Path("experiments/learning_rate")))
    assert str(results) == snapshot
    assert results.best == Path("experiments/learning_rate/learning_rate_0.01")
    assert results.metric == ("accuracy", "maximize")
    assert results.warnings == ()


def test_a_search_of_modeldirs(snapshot: SnapshotAssertion) -> None:
    """Status and duration stand in the table, what has no metrics stands at the end."""
    search = Path("experiments/learning_rate")
    write(search / "params.json", BASE)
    write(search / "search.json", {"space": {"learning_rate": [0.1, 0.01, 0.001]}})
    for rate, accuracy in ((0.1, 0.9), (0.01, 0.97)):
        trial = make(search / f"learning_rate_{rate}", {"learning_rate": rate}, accuracy=accuracy)
        write(trial / "metrics_test_best.json", {"accuracy": 1 - accuracy})
        record(trial, duration=75.4)
    failed = make(search / "learning_rate_0.001")
    record(failed, "failed", failure="out-of-memory", duration=0.51)
    make(search / "learning_rate_1e-05", {"learning_rate": 1e-05})
    assert str(synthesize(search)) == snapshot
    assert (search / "results.md").read_text() == snapshot
    assert (search / "results.csv").read_text() == snapshot


def test_names_are_paths_below_the_folder() -> None:
    """Experiments in experiments are rows too; the folder itself goes by its own name."""
    make(Path("base"), accuracy=0.5)
    make(Path("base/wider"), accuracy=0.6)
    assert names(synthesize("base")) == ["wider", "base"]
    assert names(synthesize("base/wider/")) == ["wider"]
    assert names(synthesize()) == ["base/wider", "base"]


def test_without_a_folder_experiments_is_looked_at() -> None:
    """The default is `experiments` where it is there, else the working folder."""
    make(Path("elsewhere"), accuracy=0.5)
    assert names(synthesize()) == ["elsewhere"]
    make(Path("experiments/base_model"), accuracy=0.5)
    assert names(synthesize()) == ["base_model"]


def test_what_is_no_row() -> None:
    """A search's base, what was set aside, hidden folders and environments are no experiments."""
    search = Path("experiments/search")
    write(search / "params.json", BASE)
    make(search / "learning_rate_0.1", accuracy=0.5)
    make(search / "learning_rate_0.1/attempts/1", accuracy=0.9)
    make(search / ".modeldir/trials", accuracy=0.9)
    write(Path("experiments/planned/params.json"), BASE)
    write(Path("experiments/planned/search.json"), {"space": {"learning_rate": [0.1]}})
    make(Path("experiments/env/lib/package"), accuracy=0.9)
    Path("experiments/env/pyvenv.cfg").touch()
    assert names(synthesize()) == ["search/learning_rate_0.1"]


def test_metrics_without_hyperparameters_are_a_row() -> None:
    """CS230's script takes every folder with development metrics; test metrics alone are none."""
    write(Path("old/run_1") / VAL, {"accuracy": 0.5})
    write(Path("old/run_2/metrics_test.json"), {"accuracy": 0.5})
    results = synthesize("old")
    assert names(results) == ["run_1"]
    assert results.table.headers() == ("experiment", "accuracy")


def test_links_are_followed_and_no_experiment_counts_twice() -> None:
    """A tree on another disk is linked into this one; circles and second names change nothing."""
    make(Path("scratch/b"), accuracy=0.5)
    make(Path("experiments/a"), accuracy=0.6)
    Path("experiments/0_best").symlink_to("a")
    Path("experiments/far").symlink_to(Path("scratch").absolute())
    Path("experiments/a/again").symlink_to(Path("experiments").absolute())
    Path("scratch/up").symlink_to(Path("experiments").absolute())
    Path("experiments/nowhere").symlink_to("nowhere")
    assert names(synthesize()) == ["a", "far/b"]


# -- What cannot be read ---------------------------------------------------------------------------


def test_a_broken_file_is_a_line_of_warning(snapshot: SnapshotAssertion) -> None:
    """The experiment stays a row with blanks, and what others have in common stays untold."""
    cs230_tree(Path("experiments"))
    Path("experiments/learning_rate_0.1/params.json").write_text('{"learning_rate": 0.1,')
    Path(f"experiments/learning_rate_0.01/{VAL}").write_text('{"accuracy": 0.97')
    results = synthesize("experiments")
    assert str(results) == snapshot
    assert len(results.warnings) == 2


def test_a_broken_plan_is_a_line_of_warning() -> None:
    """Its trials are ranked as if there were no plan."""
    make(Path("search/learning_rate_0.1"), accuracy=0.5)
    Path("search/search.json").write_text('{"minimize": ')
    results = synthesize("search")
    assert names(results) == ["learning_rate_0.1"]
    assert [warning.startswith("search/search.json, line 1") for warning in results.warnings] == [
        True
    ]


@pytest.mark.parametrize("name", ["params.json", EVAL, "run.json", "../search.json"])
def test_a_file_cut_anywhere_ends_nothing(name: str) -> None:
    """Whatever part of a file was written when the disk was full, the table is made."""
    folder = make(Path("search/a"), {"model": {"layers": [1, 2]}}, accuracy=0.5)
    record(folder)
    write(Path("search/search.json"), {"space": {"learning_rate": [0.1]}, "maximize": "accuracy"})
    whole = (folder / name).read_bytes()
    for cut in range(len(whole)):
        (folder / name).write_bytes(whole[:cut])
        results = synthesize("search", write=False)
        assert names(results) == ["a"]
        assert all("\n" not in warning for warning in results.warnings)


@pytest.mark.parametrize("text", ["[1, 2]", "null", "3", '"x"', "\x00", "[" * 5000, "NaN"])
def test_a_file_of_something_else_ends_nothing(text: str) -> None:
    """Files of our names that hold no object are passed over."""
    folder = make(Path("search/a"))
    for name in ("params.json", EVAL, "run.json", "../search.json", "trial.json"):
        (folder / name).write_text(text)
    assert names(synthesize("search")) == ["a"]


def test_a_pipe_is_not_waited_for() -> None:
    """What is called as a params file and is none is not opened."""
    make(Path("a"), accuracy=0.5)
    Path("b").mkdir()
    os.mkfifo("b/params.json")
    assert names(synthesize(".")) == ["a"]


def test_a_missing_folder(snapshot: SnapshotAssertion) -> None:
    """It is an error, with the folder that was probably meant."""
    make(Path("experiments/learning_rate/a"))
    with pytest.raises(FolderError) as error:
        synthesize("experiments/learningrate")
    assert str(error.value) == snapshot


def test_no_experiment_at_all(snapshot: SnapshotAssertion) -> None:
    """The answer says so, and nothing is written."""
    Path("experiments/notes").mkdir(parents=True)
    assert str(synthesize(sort="accuracy")) == snapshot
    assert os.listdir("experiments") == ["notes"]


# -- The order -------------------------------------------------------------------------------------


def searched(folder: str, plan: Mapping[str, str], accuracy: float, loss: float) -> None:
    """A search of one trial, with a plan."""
    write(Path(folder) / "search.json", {"space": {"learning_rate": [0.1]}, **plan})
    make(Path(folder) / "a", accuracy=accuracy, loss=loss, hits=loss)


def test_the_plans_metric_ranks() -> None:
    """What all plans say holds for the whole tree; where they disagree, accuracy does."""
    searched("x/one", {"minimize": "loss"}, 0.9, 0.5)
    searched("x/two", {}, 0.8, 0.4)
    assert synthesize("x").metric == ("loss", "minimize")
    assert names(synthesize("x")) == ["two/a", "one/a"]
    searched("x/two", {"maximize": "hits"}, 0.8, 0.4)
    assert names(synthesize("x")) == ["one/a", "two/a"]
    assert names(synthesize("x/two")) == ["a"]
    assert synthesize("x/two").metric == ("hits", "maximize")


def test_the_projects_metric_ranks_where_no_plan_does() -> None:
    """`modeldir.toml` above the folder is asked before the names of the metrics are."""
    searched("experiments/one", {}, 0.9, 0.5)
    Path("modeldir.toml").write_text('minimize = "hits"\n')
    assert synthesize().metric == ("hits", "minimize")
    searched("experiments/one", {"minimize": "loss"}, 0.9, 0.5)
    assert synthesize().metric == ("loss", "minimize")
    Path("modeldir.toml").write_text("minimise = 3")
    make(Path("plain/a"), accuracy=0.9)
    results = synthesize("plain")
    assert results.metric == ("accuracy", "maximize")
    assert len(results.warnings) == 1


def test_a_plans_metric_that_nobody_wrote_is_passed_over() -> None:
    """Then the metrics that are there are looked at, as without a plan."""
    searched("x", {"maximize": "f1"}, 0.9, 0.5)
    assert synthesize("x").metric == ("accuracy", "maximize")


def test_nothing_is_ranked_by_test_metrics() -> None:
    """They are shown, and the order is that of the names."""
    for name, accuracy in (("run_10", 0.9), ("run_2", 0.5)):
        folder = make(Path(name))
        write(folder / "metrics_test_best.json", {"accuracy": accuracy})
    results = synthesize(".")
    assert names(results) == ["run_2", "run_10"]
    assert results.table.column("test accuracy") == (0.5, 0.9)
    assert (results.metric, results.best) == (None, None)


def test_the_best_has_ended_well() -> None:
    """Failed, pruned and NaN trials are never the best, and stand below, whatever they scored."""
    for name, status, accuracy in (
        ("a", "failed", 0.99),
        ("b", "pruned", 0.98),
        ("c", None, 0.97),
        ("d", "completed", "nan"),
        ("e", "completed", 0.5),
        ("f", "completed", 0.5),
    ):
        record(make(Path("x") / name, accuracy=accuracy), status)
    results = synthesize("x")
    assert names(results) == ["e", "f", "d", "a", "b", "c"]
    assert results.best == Path("x/e")


def test_metrics_of_the_last_weights_count_where_no_best_were_kept() -> None:
    """A script that saves only its last metrics is ranked by them."""
    write(make(Path("x/a")) / "metrics_eval_last_weights.json", {"accuracy": 0.9})
    make(Path("x/b"), accuracy=0.5)
    assert names(synthesize("x")) == ["a", "b"]


@pytest.mark.parametrize(
    ("column", "order"),
    [
        ("learning_rate", ["0.001", "0.01", "0.1"]),
        ("loss", ["0.01", "0.001", "0.1"]),
        ("experiment", ["0.001", "0.01", "0.1"]),
        ("model_version", ["0.001", "0.01", "0.1"]),
    ],
)
def test_sorted_by_another_column(column: str, order: list[str]) -> None:
    """Metrics go best first, all else from low to high; columns that are not shown serve too."""
    results = synthesize(cs230_tree(Path("x")), sort=column)
    assert names(results) == [f"learning_rate_{rate}" for rate in order]
    assert results.best == Path("x/learning_rate_0.01")


def test_sorting_by_a_test_metric_is_remarked_upon(snapshot: SnapshotAssertion) -> None:
    """It is done, with a word on what it costs."""
    for name, accuracy in (("a", 0.5), ("b", 0.9)):
        write(make(Path("x") / name) / "metrics_test_best.json", {"accuracy": accuracy})
    results = synthesize("x", sort="test accuracy")
    assert names(results) == ["b", "a"]
    assert results.warnings == snapshot


def test_sorting_by_no_column(snapshot: SnapshotAssertion) -> None:
    """The error names the nearest column."""
    with pytest.raises(ModeldirError) as error:
        synthesize(cs230_tree(Path("x")), sort="acuracy")
    assert str(error.value) == snapshot
    assert not Path("x/results.md").exists()


# -- The columns -----------------------------------------------------------------------------------


def test_hyperparameters_that_differ_are_shown() -> None:
    """Nested ones by dotted name; 1 and 1.0 are the same, 1 and true are not."""
    make(Path("x/a"), {"model": {"layers": 1, "size": 1}, "flag": True}, accuracy=1)
    make(Path("x/b"), {"model": {"layers": 2, "size": 1.0}, "flag": 1}, accuracy=0)
    assert synthesize("x").table.headers() == ("experiment", "model.layers", "flag", "accuracy")


def test_of_one_experiment_alone_its_hyperparameters_are_shown() -> None:
    """With none beside it everything is the same everywhere, and still worth to be seen."""
    make(Path("x/a"), {"warmup": None}, accuracy=1)
    results = synthesize("x")
    assert results.table.headers()[1:5] == (*BASE, "warmup")
    assert " null " in str(results)


def test_all_columns() -> None:
    """What is the same everywhere, metrics at the last weights, status: all of it on request."""
    results = synthesize(cs230_tree(Path("x")), all_columns=True)
    assert results.table.headers() == (
        *("experiment", "model_version", "learning_rate", "batch_size", "accuracy", "loss"),
        *("last accuracy", "last loss", "status"),
    )


def test_one_name_for_a_hyperparameter_and_a_metric() -> None:
    """Both are shown and told apart, also where the name is that of a column of ours."""
    changes = {"a": {"loss": "hinge", "status": 1}, "b": {"loss": "cross", "status": 2}}
    for name, change in changes.items():
        make(Path("x") / name, change, loss=0.5, experiment=7)
    record(Path("x/a"))
    results = synthesize("x")
    assert results.table.headers() == (
        *("experiment (name)", "loss (hyperparameter)", "status", "loss", "experiment"),
        "status (status)",
    )
    assert synthesize("x").best == Path("x/a")
    assert len(results.written) == 2


# -- What is written -------------------------------------------------------------------------------


def test_the_table_is_left_in_the_folder() -> None:
    """`results.csv` has every column and every digit; said again, both are replaced."""
    results = synthesize(cs230_tree(Path("x")))
    assert results.written == (Path("x/results.md"), Path("x/results.csv"))
    synthesize("x")
    with Path("x/results.csv").open() as file:
        first = next(csv.DictReader(file))
    assert first["accuracy"] == "0.9711111111111111"
    assert first["batch_size"] == "32"


def test_nothing_is_written_unless_wanted() -> None:
    """`write=False` leaves the folder as it is."""
    assert synthesize(cs230_tree(Path("x")), write=False).written == ()
    assert not Path("x/results.md").exists()


def test_notes_are_not_lost(snapshot: SnapshotAssertion) -> None:
    """A results file to which somebody added words, or that was never ours, is left as it is."""
    synthesize(cs230_tree(Path("x")))
    notes = Path("x/results.md").read_text() + "\nThe middle one wins.\n"
    Path("x/results.md").write_text(notes)
    Path("x/results.csv").write_text("student,mark\n")
    results = synthesize("x")
    assert results.warnings == snapshot
    assert Path("x/results.md").read_text() == notes
    assert Path("x/results.csv").read_text() == "student,mark\n"


def test_cs230s_own_results_are_replaced() -> None:
    """Its script writes a table without a heading: that is a table of results."""
    cs230_tree(Path("x"))
    Path("x/results.md").write_text("|    |   accuracy |\n|:---|-----------:|\n| x/a |  0.9 |\n")
    assert synthesize("x").warnings == ()


def test_a_folder_that_cannot_be_written_is_one_warning() -> None:
    """The table is still there to be read."""
    cs230_tree(Path("x"))
    Path("x/results.md").mkdir()
    results = synthesize("x")
    assert len(results) == 3
    assert results.warnings == ("x/results.md was not written: Is a directory",)
    assert not Path("x/results.csv").exists()


# -- How it is printed -----------------------------------------------------------------------------

SCRIPT = "from modeldir.synthesize import synthesize; print(synthesize('x'))"


def test_every_digit_in_a_pipe() -> None:
    """What a script prints into a file has all columns and digits, however narrow the terminal."""
    cs230_tree(Path("x"))
    environment = {**os.environ, "COLUMNS": "30"}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, check=True
    )
    assert "0.9711111111111111" in done.stdout
    assert "loss" in done.stdout


def test_a_terminal_is_kept_to(snapshot: SnapshotAssertion) -> None:
    """In a terminal metrics are rounded, and what does not fit is told of."""
    cs230_tree(Path("x"))
    reader, terminal = pty.openpty()
    environment = {**os.environ, "COLUMNS": "55"}
    subprocess.run([sys.executable, "-c", SCRIPT], env=environment, stdout=terminal, check=True)
    os.close(terminal)
    shown = os.read(reader, 100_000).decode().replace("\r\n", "\n")
    os.close(reader)
    assert shown == snapshot


def test_a_notebook_shows_it_as_a_table() -> None:
    """Markdown, which notebooks render."""
    shown = synthesize(cs230_tree(Path("x")))._repr_markdown_()
    assert shown.startswith("# x: 3 experiments")
    assert "| learning_rate_0.01 " in shown


# -- What it costs ---------------------------------------------------------------------------------

READ_ONCE = """
import collections, json, os, sys
opened = collections.Counter()
def hear(event, arguments):
    if event == "open" and isinstance(arguments[0], str) and "/learning_rate_" in arguments[0]:
        opened[os.path.normpath(arguments[0])] += 1
from modeldir.synthesize import synthesize
sys.addaudithook(hear)
synthesize("x")
print(json.dumps(opened))
"""


def test_each_file_is_read_once() -> None:
    """On a cluster's file system every open costs: no file is opened twice, no log at all."""
    cs230_tree(Path("x"))
    done = subprocess.run(
        [sys.executable, "-c", READ_ONCE], capture_output=True, text=True, check=True
    )
    opened = json.loads(done.stdout)
    assert set(opened.values()) == {1}
    assert len(opened) == 9


def test_a_tree_can_be_read_without_a_table() -> None:
    """Other commands look at the experiments themselves, in the order in which they were found."""
    tree = read_tree(cs230_tree(Path("x")))
    assert [each.name for each in tree.found] == [
        "learning_rate_0.001",
        "learning_rate_0.01",
        "learning_rate_0.1",
    ]
    best = tree.best()
    assert best is not None
    assert best.value("accuracy") == 0.9711111111111111
    assert best.value("no such metric") is None
