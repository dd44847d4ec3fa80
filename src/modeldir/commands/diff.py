"""`modeldir diff`: what differs between experiments, and nothing else."""

from __future__ import annotations

import argparse
import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

from modeldir import attempts, experiment, params, table
from modeldir.differences import ABSENT, same
from modeldir.errors import FolderError, listed
from modeldir.experiment import Experiment, Scores, params_file
from modeldir.synthesize import decimals_here, read_tree
from modeldir.table import Column, Kind, Table
from modeldir.values import dataclass

HELP = "What differs between experiments: hyperparameters, metrics, code."
EXAMPLE = "modeldir diff experiments/base_model experiments/learning_rate/learning_rate_0.01"

_RECORDED = ("status", "code", "commit", "python")
"""What a run file says that explains a difference. Times always differ: they explain nothing."""


def configure(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.usage = "modeldir diff DIR DIR ..."
    parser.add_argument("dirs", nargs="+", metavar="DIR", help="two experiments or more")


def run(arguments: argparse.Namespace) -> int:
    """Print what differs. That something does is no failure: the answer is 0."""
    folders = [Path(each) for each in arguments.dirs]
    compared = [folder for folder in folders if not folder.is_file()]  # of experiments/lr/*
    print(differences(compared or folders))
    return 0


def differences(folders: Sequence[Path]) -> str:
    """What `modeldir diff` prints: a table for each kind of thing that differs.

    Raises:
        FolderError: when there are not two folders, or one is no experiment.
        ParamsError: when hyperparameters cannot be read.
    """
    if len(folders) < 2:  # noqa: PLR2004 - to compare takes two
        raise FolderError(
            f"one folder alone differs from nothing: modeldir diff {folders[0]} OTHER"
        )
    _refuse_searches(folders)
    read = [_read(folder) for folder in folders]
    headers = _headers(folders)
    blocks = [
        _block(
            "hyperparameter",
            "text",
            headers,
            [each.hyperparameters for each in read],
            [each.replaced for each in read],
        ),
        _block("metric", "metric", headers, [each.metrics for each in read]),
        _block("run", "text", headers, _shared([each.run for each in read])),
        *(problem for each in read for problem in each.problems),
    ]
    told = "\n\n".join(block for block in blocks if block)
    return told or f"{_listed(folders)} do not differ: same hyperparameters, same metrics"


def _refuse_searches(folders: Sequence[Path]) -> None:
    """A search is no experiment: its base has never run. Its best trial is probably meant."""
    problems = []
    for folder in folders:
        if experiment.is_search(folder):
            best = read_tree(folder).best()
            trial = f"its best trial: {shlex.quote(str(best.path))}" if best else None
            problems.append((f"{folder} is a search, not an experiment", trial))
    if problems:
        raise FolderError(listed("These cannot be compared:", problems, ""))


@dataclass(frozen=True)
class _Side:
    """One experiment, as far as it is compared.

    The hyperparameters are those that it used; `replaced` are the values of `params.json` in whose
    place it was given others.
    """

    hyperparameters: Mapping[str, Any]
    replaced: Mapping[str, Any]
    metrics: Mapping[str, float]
    run: Mapping[str, Any]
    problems: tuple[str, ...]


def _read(folder: Path) -> _Side:
    found = Experiment(folder)
    scores, status, attempt = found.scores(), found.status(), attempts.latest(folder)
    record = {**(attempt.record if attempt else {}), "status": status.state}
    recorded = {name: record[name] for name in _RECORDED if record.get(name) is not None}
    flat = params.flatten(params.load_file(params_file(folder) or folder))
    replaced = {name: flat.get(name, ABSENT) for name in status.given}
    used = {**flat, **status.given}
    return _Side(used, replaced, _metrics(scores), recorded, scores.problems)


def _metrics(scores: Scores) -> dict[str, float]:
    return {**scores.development, **{f"test {name}": v for name, v in scores.test.items()}}


def _headers(folders: Sequence[Path]) -> list[str]:
    """The folders' names; their paths where two have one name."""
    names = [folder.name for folder in folders]
    return names if all(names) and len(set(names)) == len(names) else list(map(str, folders))


def _shared(sides: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What all sides have: that one run did not record something is no difference between runs."""
    return [
        {name: value for name, value in side.items() if all(name in other for other in sides)}
        for side in sides
    ]


def _block(
    kind: str,
    cells: Kind,
    headers: Sequence[str],
    sides: Sequence[Mapping[str, Any]],
    replaced: Sequence[Mapping[str, Any]] = (),
) -> str:
    """The rows in which the sides are not all the same, as text; empty where they are.

    `replaced` are values, for each side, that are told before the one that is compared.
    """
    rows = []
    for name in dict.fromkeys(name for side in sides for name in side):
        values = [side.get(name, ABSENT) for side in sides]
        if not all(same(values[0], value) for value in values):
            before = [side.get(name, ABSENT) for side in replaced] or [ABSENT] * len(values)
            told = [*map(_with_before, before, _told(values))]
            rows.append((name, *told, *(_change(values) if cells == "metric" else ())))
    columns = [Column(kind, "name"), *(Column(header, cells) for header in headers)]
    if rows and len(rows[0]) > len(columns):
        columns.append(Column("change"))
    text = table.to_text(Table(tuple(columns), tuple(rows)), digits=decimals_here())
    return text.rstrip("\n") if rows else ""


def _told(values: Sequence[object]) -> Iterator[object]:
    """The cells of a row; as JSON where two that differ would look the same."""
    there = [value for value in values if value is not ABSENT]
    alike = any(
        table.cell_text(one) == table.cell_text(other) and not same(one, other)
        for one, other in combinations(there, 2)
    )
    for value in values:
        if value is ABSENT:
            yield None
        elif alike or value is None:
            yield json.dumps(value, ensure_ascii=False)
        else:
            yield value


def _with_before(before: object, cell: object) -> object:
    if before is ABSENT:
        return cell
    return f"{table.cell_text(table.value_cell(before))} -> {table.cell_text(cell)}"


def _change(values: Sequence[object]) -> tuple[str | None, ...]:
    """By how much the second of two numbers is more than the first."""
    if len(values) != 2:  # noqa: PLR2004 - of more than two, which from which?
        return ()
    old, new = values
    if isinstance(old, (int, float)) and isinstance(new, (int, float)):
        return (f"{new - old:+.4g}",)
    return (None,)


def _listed(folders: Sequence[Path]) -> str:
    *others, last = map(str, folders)
    return f"{', '.join(others)} and {last}"
