"""Experiments as rows and as columns: both say the same."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from modeldir.results.experiment_tree import read_tree

EVAL = "metrics_eval_best_weights.json"


def plant(folder: Path, params: object, scores: object = None, **trial: object) -> None:
    """An experiment whose files have these contents."""
    folder.mkdir(parents=True)
    for name, value in {"params.json": params, EVAL: scores, "trial.json": trial or None}.items():
        if value is not None:
            text = value if isinstance(value, str) else json.dumps(value)
            (folder / name).write_text(text)


@pytest.fixture
def top(tmp_path: Path) -> Path:
    """Experiments of which no two have the same names, and one that cannot be read."""
    plant(tmp_path / "t10", {"b": 1, "a": None}, {"loss": 0.5}, number=10)
    plant(tmp_path / "t9", {"c": True, "b": 2}, {"loss": 0.5, "accuracy": 0.9}, number=9)
    plant(tmp_path / "t8", '{"a": ', {"accuracy": float("nan"), "f1": 1})
    plant(tmp_path / "t7", {"a": {"deep": [1, 2]}}, number=7, note="why")
    return tmp_path


def test_each_column_has_what_the_rows_have(top: Path) -> None:
    """In the order of the names, with None where a row has no value."""
    rows = read_tree(top).experiments
    assert [row.name for row in rows] == rows.column("name") == ["t7", "t8", "t9", "t10"]
    assert rows.column("number") == [7, None, 9, 10]
    assert [row.status.state for row in rows] == rows.status_column("state")
    for name, cells in rows.used().items():
        assert [(row.used() or {}).get(name) for row in rows] == cells
    for name, cells in rows.scores("validation").items():
        values = [row.scores.validation.get(name) for row in rows]
        assert [*map(repr, values)] == [*map(repr, cells)]
        assert [row.value(name) for row in rows] == rows.ranked(name)


def test_columns_are_in_the_order_of_the_first_row_that_has_them(top: Path) -> None:
    """The first row begins."""
    rows = read_tree(top).experiments
    assert [*rows.used()] == ["a.deep", "c", "b", "a"]
    assert [*rows.scores("validation")] == ["accuracy", "f1", "loss"]


def test_experiments_are_a_sequence(top: Path) -> None:
    """By place, from the end, by slice, and compared with others."""
    rows = read_tree(top).experiments
    assert [rows[-1].name, rows[0].name] == ["t10", "t7"]
    assert [row.name for row in rows[1:3]] == ["t8", "t9"]
    assert len(rows) == 4
    assert rows == rows.only([True] * 4)
    assert rows != rows.only([False] * 4)
    with pytest.raises(IndexError):
        rows[4]


def test_an_empty_tree_has_no_best(tmp_path: Path) -> None:
    """It has no rows and no columns either."""
    rows = read_tree(tmp_path).experiments
    assert len(rows) == 0
    assert [*rows.column("name"), *rows.used()] == []
    assert rows.best("accuracy", "maximize") is None


def test_a_choice_keeps_the_order_and_drops_names_that_no_row_has(top: Path) -> None:
    """A table with `--where` has no column that is blank throughout."""
    rows = read_tree(top).experiments
    some = rows.only([True, False, False, True])
    assert [*some] == [rows[0], rows[3]]
    assert [*some.used()] == ["a.deep", "b", "a"]


def test_an_edit_in_place_is_seen_in_a_large_tree(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`best` reads each file again, however many folders there are, and whoever wrote them."""
    from modeldir.commands import main

    for number in range(2100):
        plant(tmp_path / f"t{number:04d}", {"a": number}, {"accuracy": number / 10_000})
    for name in ("t0003", "t2099"):
        record = {"attempt": 1, "status": "completed", "duration": 1.0}
        (tmp_path / name / "run.json").write_text(json.dumps(record))
    assert main(["best", str(tmp_path)]) == 0
    assert "t2099" in capsys.readouterr().out
    # In place, so that the folder's own time stays as it was.
    (tmp_path / "t0003" / "params.json").write_text('{"a": 4444}')
    (tmp_path / "t0003" / EVAL).write_text('{"accuracy": 0.99}')
    assert main(["best", str(tmp_path)]) == 0
    assert "t0003" in capsys.readouterr().out
    best = read_tree(tmp_path).best()
    assert best is not None
    assert best.hyperparameters == {"a": 4444}


def test_problems_are_reported_in_the_order_of_the_folders(tmp_path: Path) -> None:
    """Each broken file is one line of warning."""
    for number in range(1, 9):
        plant(tmp_path / f"t{number}", "{" if number % 2 else {"a": 1})
        if number in {3, 6}:
            (tmp_path / f"t{number}" / "metrics_eval.json").write_text("[]")
        if number == 5:
            (tmp_path / "t5" / "params.json").rename(tmp_path / "t5" / "params.yaml")
    warned = [warning.split("/t")[-1][0] for warning in read_tree(tmp_path).warnings]
    assert warned == [*"133567"]
