"""A tree of experiments as one table: what is found, what is shown, in which order."""

from __future__ import annotations

import csv
import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from modeldir.errors import FolderError, ModeldirError
from modeldir.experiment import attempts
from modeldir.results.synthesize import Results, read_tree, synthesize
from modeldir.results.table_text import signs_in, to_text

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
    """What is called as a params file and is none is a warning."""
    make(Path("a"), accuracy=0.5)
    Path("b").mkdir()
    os.mkfifo("b/params.json")
    table = synthesize(".")
    assert names(table) == ["a", "b"]
    assert "./b/params.json: cannot be read: it is a pipe, not a regular file" in table.warnings


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
    Path("modeldir.toml").write_text("minimze = 3")
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


def test_epochs_and_seconds_are_no_metrics() -> None:
    """They have no column, unless the search ranks by them or all columns are wanted."""
    for name in "ab":
        make(Path("x") / name, accuracy=0.9, epoch=3, seconds=1.5, train_runtime=9)
    assert {"epoch", "seconds", "train_runtime"}.isdisjoint(synthesize("x").table.headers())
    assert {"epoch", "seconds"} <= {*synthesize("x", all_columns=True).table.headers()}
    Path("modeldir.toml").write_text('minimize = "seconds"\n')
    assert "seconds" in synthesize("x").table.headers()


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


# -- What is asked for ---------------------------------------------------------------------------


def searched_widely(folder: Path) -> Path:
    """Eight trials over six hyperparameters, one of which counts only for `sgd`; some failed."""
    write(folder / "params.json", BASE)
    space = {
        "learning_rate": {"log_uniform": [1e-5, 1]},
        "optimizer": ["adam", "sgd"],
        "momentum": {"uniform": [0, 0.99], "condition": {"optimizer": "sgd"}},
        "model.width": {"int": [8, 512]},
    }
    write(folder / "search.json", {"space": space, "maximize": "accuracy"})
    ends = [
        "completed",
        "completed",
        "failed",
        "completed",
        "pruned",
        "failed",
        "failed",
        "pending",
    ]
    for number, end in enumerate(ends):
        point = {"learning_rate": 10.0 ** -(number % 5), "optimizer": ["adam", "sgd"][number % 2]}
        point["model.width"] = 8 * 2**number
        if number % 2:
            point["momentum"] = 0.5 + number / 20
        trial = folder / "__".join(f"{name}_{value}" for name, value in point.items())
        flat = {**BASE, "optimizer": "adam", "momentum": 0.9, **point}
        flat["model"] = {"width": flat.pop("model.width")}
        write(trial / "params.json", flat)
        write(trial / "trial.json", {"number": number, "configuration": point})
        if end not in {"failed", "pending"}:
            write(trial / EVAL, {"accuracy": 0.9 + number / 100, "loss": 0.5 - number / 10})
            lines = ({"epoch": at, "val/accuracy": 0.1 * at + number / 100} for at in (1, 2, 3))
            (trial / "metrics.jsonl").write_text("".join(f"{json.dumps(x)}\n" for x in lines))
        facts: dict[str, Any] = {"duration": 75.4 * (number + 1), "code": "abcdefgh12345"}
        if end == "failed":
            facts["failure"] = "out-of-memory" if number == 6 else "error"
            facts["last_line"] = "ValueError: the loss is nan" if number != 6 else None
        if end != "pending":
            record(trial, end, **facts)
    return folder


@pytest.mark.parametrize("width", [60, 100, 200])
def test_a_search_in_a_terminal(width: int, snapshot: SnapshotAssertion) -> None:
    """Status and metric stay, names give way to numbers, no line is wider, no word is cut."""
    results = synthesize(searched_widely(Path("wide")))
    text = to_text(results.table, width=width, digits=4)
    assert max(map(len, text.splitlines())) <= width
    assert text == snapshot


def test_a_terminal_without_these_signs(snapshot: SnapshotAssertion) -> None:
    """Where the encoding is ASCII, words stand for arrows and stars."""
    results = synthesize(searched_widely(Path("wide")), columns=["experiment", "accuracy", "loss"])
    text = to_text(results.table, width=60, digits=4, signs=signs_in("ascii"))
    assert text.isascii()
    assert text == snapshot


def test_color_only_adds(snapshot: SnapshotAssertion) -> None:
    """The best and the states stand out; without the escapes every character is the same."""
    table = synthesize(searched_widely(Path("wide"))).table
    colored = to_text(table, width=100, digits=4, color=True)
    assert re.sub(r"\x1b\[[0-9;]*m", "", colored) == to_text(table, width=100, digits=4)
    assert re.findall(r"\x1b\[[0-9;]+m[^\x1b]*", colored) == snapshot


@pytest.mark.parametrize(("variables", "colored"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_no_color_is_heeded(variables: dict[str, str], colored: bool) -> None:  # noqa: FBT001 - parametrized
    """In a terminal there is color, unless somebody does not want it."""
    searched_widely(Path("x"))
    reader, terminal = pty.openpty()
    bare = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    environment = {**bare, "TERM": "xterm", "COLUMNS": "90", **variables}
    subprocess.run([sys.executable, "-c", SCRIPT], env=environment, stdout=terminal, check=True)
    os.close(terminal)
    shown = os.read(reader, 100_000).decode()
    os.close(reader)
    assert ("\x1b[" in shown) is colored
    assert "★" in shown


def test_of_very_many_rows_a_terminal_shows_the_first() -> None:
    """The best would have gone by; a pipe has them all."""
    for number in range(60):
        make(Path(f"x/run_{number}"), accuracy=number / 100)
    reader, terminal = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "80", "NO_COLOR": "1"}
    subprocess.run([sys.executable, "-c", SCRIPT], env=environment, stdout=terminal, check=True)
    os.close(terminal)
    shown = os.read(reader, 100_000).decode()
    os.close(reader)
    assert "run_59 " in shown
    assert "run_9 " not in shown
    assert "+10 experiments (--top 60, or results.csv)" in shown
    assert len(str(synthesize("x")).splitlines()) > 60


def test_what_a_condition_leaves_out_is_blank() -> None:
    """The base's momentum stands in each params.json; of `adam` it is none."""
    results = synthesize(searched_widely(Path("wide")), sort="trial", columns=["trial", "momentum"])
    assert results.table.rows[:4] == ((0, None), (1, 0.55), (2, None), (3, 0.65))


@pytest.mark.parametrize(
    ("where", "numbers"),
    [
        ("momentum > 0.6", [3, 5, 7]),
        ('status == "failed" and optimizer == "sgd"', [5]),
        ("accuracy@epoch=2 > 0.225", [3, 4]),
        ("model.width < 32", [1, 0]),
        ("duration < 60", []),
    ],
)
def test_only_some_rows(where: str, numbers: list[int]) -> None:
    """By hyperparameters, also nested and conditional ones, status, metrics at a moment."""
    results = synthesize(searched_widely(Path("wide")), where=where, columns=["trial"])
    assert [row[0] for row in results.table.rows] == numbers
    assert not results.written


def test_a_failure_is_asked_for_where_none_has_failed() -> None:
    """The table has no such column then, and the same line is right for the next tree."""
    make(Path("x/a"), accuracy=0.5)
    where = 'status == "failed" and failure != "out-of-memory"'
    assert str(synthesize("x", where=where)).startswith("no experiment in x that matches")
    assert len(synthesize("x", where="failure == None").table.rows) == 1
    with pytest.raises(ModeldirError, match="no column 'failures'"):
        synthesize("x", where="failures == None")


def test_of_fewer_rows_fewer_hyperparameters_differ(snapshot: SnapshotAssertion) -> None:
    """What tells the chosen rows apart is shown, the best among them is marked and named."""
    folder = searched_widely(Path("wide"))
    results = synthesize(folder, where='optimizer == "adam" and accuracy != None')
    assert str(results) == snapshot
    assert results.best is not None
    assert results.best.name.startswith("learning_rate_1.0__")


def test_no_row_is_left() -> None:
    """The answer says of what."""
    results = synthesize(searched_widely(Path("wide")), where="learning_rate > 5")
    assert str(results) == "no experiment in wide that matches: learning_rate > 5"


@pytest.mark.parametrize(
    "choice",
    [
        {"where": "learning_rat > 1"},
        {"columns": ["acuracy"]},
        {"columns": ["accuracy@frist"]},
        {"group": ["sed"]},
        {"where": "accuracy = 1"},
    ],
)
def test_a_name_that_there_is_not(choice: dict[str, Any], snapshot: SnapshotAssertion) -> None:
    """Each error says where, what, and the nearest."""
    folder = searched_widely(Path("wide"))
    with pytest.raises(ModeldirError) as error:
        synthesize(folder, **choice)
    assert str(error.value) == snapshot
    assert not (folder / "results.md").exists()


def test_columns_are_as_they_were_asked_for() -> None:
    """In that order, also those that are not shown, and metrics at a moment."""
    asked = ["accuracy@last", "experiment", "batch_size", "accuracy@best", "accuracy@epoch=1"]
    results = synthesize(searched_widely(Path("wide")), columns=asked, top=1)
    assert results.table.headers() == tuple(asked)
    assert results.table.rows[0][2:] == (32, 0.93, pytest.approx(0.13))
    assert results.table.rows[0][0] == pytest.approx(0.33)


def test_nested_metrics_by_dots() -> None:
    """`val/loss` may be typed with a dot, which needs no backticks."""
    for name, loss in (("a", 0.5), ("b", 0.2)):
        make(Path("x") / name, val={"loss": loss})
    results = synthesize("x", sort="val.loss", where="val.loss < 1 and `val/loss` > 0")
    assert names(results) == ["b", "a"]
    assert names(synthesize("x", sort="val.loss", reverse=True)) == ["a", "b"]


def test_experiments_over_somebodys_own_seeds(snapshot: SnapshotAssertion) -> None:
    """What differs in `seed` alone is one row: mean, deviation, how many, in whatever folders."""
    for width, accuracies in ((8, (0.5, 0.7)), (16, (0.8, 0.9, 1.0)), (32, (0.95,))):
        for seed, accuracy in enumerate(accuracies):
            folder = Path(f"x/width_{width}/seed_{seed}")
            make(folder, {"width": width, "seed": seed}, accuracy=accuracy)
    assert str(synthesize("x", group=["seed"])) == snapshot
    assert len(synthesize("x")) == 6


def test_several_folders_are_one_table(snapshot: SnapshotAssertion) -> None:
    """Names begin with the folder as it was given; what lies in two of them is one row."""
    cs230_tree(Path("one"))
    make(Path("two/a"), {"learning_rate": 3.0}, accuracy=0.99)
    results = synthesize(["one", "two", "two/a"])
    assert str(results) == snapshot
    assert not results.written


def test_metrics_from_another_file() -> None:
    """Whatever it is called, also where there is nothing else; a word where it is of the test."""
    for name, score in (("a", 0.1), ("b", 0.2)):
        write(make(Path("x") / name, accuracy=1 - score) / "scores.json", {"accuracy": score})
    write(Path("x/c/scores.json"), {"accuracy": 0.3})
    assert names(synthesize("x")) == ["a", "b"]
    assert names(synthesize("x", metrics_file="scores.json")) == ["c", "b", "a"]
    assert not Path("x/results.csv").read_text().count("0.3")
    write(Path("x/a/metrics_test_best.json"), {"accuracy": 0.5})
    assert "no longer an unbiased estimate" in str(
        synthesize("x", metrics_file="metrics_test_best.json")
    )
    assert not synthesize("x", metrics_file="scores.json").warnings
    [told] = synthesize("x", metrics_file="metrics_tset_best.json").warnings
    assert told == (
        "no experiment has a file 'metrics_tset_best.json'\n"
        "  did you mean 'metrics_test_best.json'?"
    )


def test_where_the_code_changed(snapshot: SnapshotAssertion) -> None:
    """Experiments of one code need no column; of two, each says which, and notes say why."""
    for name in ("a", "b"):
        record(make(Path("x") / name, accuracy=0.5), code="1111111111")
    assert "code" not in synthesize("x").table.headers()
    record(make(Path("x/d"), accuracy=0.7), code="3333333333", note="with dropout")
    write(Path("x/a/origin.json"), {"from": None, "changes": {}, "message": "a first try"})
    assert str(synthesize("x")) == snapshot


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


def test_results_that_are_there_are_not_written_again() -> None:
    """A folder in which nothing was written keeps its time: a look leaves no trace for the next."""
    make(Path("x/a"), accuracy=0.9)
    first = synthesize("x")
    before = [path.stat().st_ino for path in first.written]
    assert synthesize("x").written == first.written
    assert [path.stat().st_ino for path in first.written] == before
    make(Path("x/b"), accuracy=0.8)
    assert synthesize("x").written == first.written
    assert all("b" in path.read_text() for path in first.written)
    assert [path.stat().st_ino for path in first.written] != before


def test_results_of_a_search_follow_its_trials() -> None:
    """A table that begins with the trials' numbers is ours, too, when a trial is added."""
    searched("x", {"maximize": "accuracy"}, 0.9, 0.5)
    write(Path("x/a/trial.json"), {"number": 1})
    first = synthesize("x")
    assert Path("x/results.csv").read_text().startswith("trial,experiment,")
    make(Path("x/b"), accuracy=0.8)
    write(Path("x/b/trial.json"), {"number": 2})
    again = synthesize("x")
    assert (again.warnings, again.written) == ((), first.written)
    assert len(Path("x/results.csv").read_text().splitlines()) == 3


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
    Path("x/results.md").write_text(
        "|    |   accuracy |\n|:---|-----------:|\n| x/learning_rate_0.1 |  0.9 |\n"
    )
    assert synthesize("x").warnings == ()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("results.md", "|    |   accuracy |\n|:---|-----------:|\n| bert |  0.9 |\n"),
        ("results.md", "# Results\n\n| model | accuracy |\n|---|---|\n| bert | 0.9 |\n"),
        ("results.csv", "experiment,accuracy\nbert,0.9\n"),
    ],
)
def test_results_of_somebody_else_are_left_alone(name: str, text: str) -> None:
    """A project may have committed a table of its own under the same name."""
    cs230_tree(Path("x"))
    (Path("x") / name).write_text(text)
    (warning,) = synthesize("x").warnings
    assert warning.startswith(f"x/{name} was not replaced")
    assert (Path("x") / name).read_text() == text


def test_of_equal_values_one_has_the_star() -> None:
    """It is the one that `best` names: the lowest number."""
    for name, number, accuracy in (("a", 2, 0.9), ("b", 1, 0.9), ("c", 3, 0.5)):
        make(Path("x") / name, accuracy=accuracy)
        write(Path("x") / name / "trial.json", {"number": number})
    results = synthesize("x")
    assert str(results).count("★") == 2  # with the legend
    assert results.best == Path("x/b")
    assert "0.9 ★" in next(line for line in str(results).splitlines() if " b " in line)


def test_a_folder_that_cannot_be_written_is_one_warning() -> None:
    """The table is still there to be read."""
    cs230_tree(Path("x"))
    Path("x/results.md").mkdir()
    results = synthesize("x")
    assert len(results) == 3
    assert results.warnings == ("x/results.md was not written: Is a directory",)
    assert not Path("x/results.csv").exists()


# -- How it is printed -----------------------------------------------------------------------------

SCRIPT = "from modeldir.results.synthesize import synthesize; print(synthesize('x'))"


def test_every_column_and_six_digits_in_a_pipe() -> None:
    """A pipe gets all columns, however narrow the terminal; CSV and JSON have every digit."""
    cs230_tree(Path("x"))
    environment = {**os.environ, "COLUMNS": "30"}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, check=True
    )
    assert "0.971111 " in done.stdout
    assert "loss" in done.stdout
    assert "0.9711111111111111" in Path("x/results.csv").read_text()


def test_a_terminal_is_kept_to(snapshot: SnapshotAssertion) -> None:
    """In a terminal metrics are rounded, and what does not fit is told of."""
    cs230_tree(Path("x"))
    reader, terminal = pty.openpty()
    environment = {**os.environ, "COLUMNS": "55", "TERM": "xterm", "NO_COLOR": "1"}
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
from modeldir.results.synthesize import synthesize
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
    assert [each.name for each in tree.experiments] == [
        "learning_rate_0.001",
        "learning_rate_0.01",
        "learning_rate_0.1",
    ]
    best = tree.best()
    assert best is not None
    assert best.value("accuracy") == 0.9711111111111111
    assert best.value("no such metric") is None


def test_names_of_one_form_stand_by_their_numbers() -> None:
    """Whether all names are of one form or not, experiments stand in the order of their numbers."""
    for rate in ("1e-05", "2e-06", "1e-03"):
        make(Path("exponents") / f"rate_{rate}")
    for number in (7, 10, 9):
        make(Path("padded") / f"run_{number:03d}")
        make(Path("bare") / f"run_{number}")
    order = [each.name for each in read_tree("exponents").experiments]
    assert order == ["rate_2e-06", "rate_1e-05", "rate_1e-03"]
    assert [each.name for each in read_tree("padded").experiments] == [
        "run_007",
        "run_009",
        "run_010",
    ]
    assert [each.name for each in read_tree("bare").experiments] == ["run_7", "run_9", "run_10"]


@pytest.mark.parametrize("value", ["completed", ["a", "list"]])
def test_a_hyperparameter_may_be_called_status(tmp_path: Path, value: object) -> None:
    """What has failed stands below what has not, whatever a hyperparameter of that name says."""
    for name, ended, accuracy in (("a", "failed", 0.9), ("b", "completed", 0.5)):
        folder = make(tmp_path / name, {"status": value, "pareto": ended}, accuracy=accuracy)
        record(folder, ended)
    assert [row[0] for row in synthesize(tmp_path, write=False).table.rows] == ["b", "a"]


def test_what_no_member_of_a_group_has_is_blank(tmp_path: Path) -> None:
    """It is not null: of that name there is nothing in their files."""
    for name, changes in (("a", {"x": 1}), ("b", {"x": 2}), ("c", {"x": 1, "seed": None})):
        make(tmp_path / name, {**changes, "batch_size": len(changes)}, loss=1)
    table = synthesize(tmp_path, write=False, group=["x", "seed"], all_columns=True).table
    rows = dict(zip(table.column("experiment"), table.column("seed"), strict=True))
    assert [rows["a (+1)"], str(rows["c"])] == [None, "Null.NULL"]
