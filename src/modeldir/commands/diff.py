"""`modeldir diff`: show only what differs between experiments.

A single experiment is compared with its base and with the best trial; a search compares its base
with its best trial. `show` prints the same by `against`.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modeldir._system import files
from modeldir._system.shell import quoted
from modeldir._system.terminal import width_of_lines
from modeldir._system.text import cell_text, text_width, value_cell
from modeldir.commands.folders import Read, experiments_among, headers, number_of, read_tree
from modeldir.errors import FolderError, ParamsError
from modeldir.experiment import attempts, experiment
from modeldir.experiment.experiment import Experiment, Scores, params_file
from modeldir.params import plain_values
from modeldir.params.equality import ABSENT, same
from modeldir.results import table_text
from modeldir.results.table import Column, Table
from modeldir.results.table_cells import SIX, Kind

if TYPE_CHECKING:
    from modeldir.results.experiments import ExperimentRow

HELP = "Show what differs between experiments: hyperparameters, metrics, code."
EXAMPLE = "modeldir diff experiments/base_model experiments/wide"
FOLDERS = "dirs"

_RECORDED = ("status", "code", "commit", "python")
"""Entries of a run file that may explain a difference. Times always differ."""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.usage = "modeldir diff DIR ..."
    parser.add_argument(
        "dirs",
        nargs="+",
        metavar="DIR",
        help="two or more experiments, or trials (DIR 3 12); one alone is compared with its base "
        "and the best trial",
    )


def run(arguments: argparse.Namespace) -> int:
    print(differences(experiments_among(list(map(Path, arguments.dirs)))))
    return 0


def differences(folders: Sequence[Path]) -> str:
    """Return what `modeldir diff` prints: what differs in hyperparameters, metrics and facts."""
    if len(folders) == 1:
        return _of_one(folders[0])
    _refuse_searches(folders)
    sides = [_read(folder, name) for folder, name in zip(folders, headers(folders), strict=True)]
    no_difference = (
        f"{_listed(list(map(str, folders)))} do not differ: same hyperparameters, same metrics"
    )
    blocks = [compared(sides), _code(folders)]
    return "\n\n".join(filter(None, blocks)) or no_difference


def _code(folders: Sequence[Path]) -> str:
    """Return how the kept code of two experiments differs; empty if it does not."""
    from modeldir.results import code_differences  # noqa: PLC0415 - imports difflib

    kept = [code_differences.snapshot_of(each) for each in folders]
    if len(kept) != 2 or kept[0] is None or kept[1] is None:  # noqa: PLR2004 - two sides
        return ""
    return code_differences.text(kept[0], kept[1])


def _of_one(folder: Path) -> str:
    if experiment.is_search(folder):
        best = read_tree(folder).best()
        if best is None:
            raise FolderError(
                f"{folder} has no best trial yet to compare its base with\n"
                f"  to see its status: modeldir show {quoted(folder)}"
            )
        if params_file(folder) is None:  # imported, or a search's file was lost
            raise FolderError(
                f"{folder} has no params.json: no base to compare its best trial with\n"
                f"  to compare with another trial: modeldir diff {quoted(best.path)} OTHER"
            )
        sides = [_base(folder), _best(best)]
    else:
        sides = [*_before(folder, read_tree), _read(folder)]
    if len(sides) == 1:
        raise FolderError(f"diff needs two experiments. Try: modeldir diff {quoted(folder)} OTHER")
    return compared(sides) or f"{_listed([each.header for each in sides])} do not differ"


def against(folder: Path, read: Read) -> str:
    """Return how an experiment differs from its base and the best trial of its search, if any."""
    try:
        before = _before(folder, read)
        return compared([*before, _read(folder, "here")]) if before else ""
    except (ParamsError, FolderError):  # the caller reports what cannot be read
        return ""


def _before(folder: Path, read: Read) -> list[_Side]:
    search = files.absolute(folder).parent
    if (folder / "trial.json").is_file() and (search / "search.json").is_file():
        best = read(search).best()
        base = [_base(search)] if params_file(search) else []
        if best is None or files.absolute(best.path) == files.absolute(folder):
            return base
        return [*base, _best(best)]
    return _derived_from(folder)


def _derived_from(folder: Path) -> list[_Side]:
    origin = Experiment(folder).origin().get("from")
    if not isinstance(origin, str):
        return []
    source = Path(os.path.normpath(files.absolute(folder) / origin))
    if params_file(source) is None:
        return []
    return [_base(source) if experiment.is_search(source) else _read(source)]


def _refuse_searches(folders: Sequence[Path]) -> None:
    """Raise an error for searches, with a hint: the best trial is probably meant."""
    problems = []
    for folder in folders:
        if experiment.is_search(folder):
            best = read_tree(folder).best()
            trial = f"its best trial: {quoted(best.path)}" if best else None
            problems.append((f"{folder} is a search, not an experiment", trial))
    if problems:
        raise FolderError("These cannot be compared:", problems, "")


@dataclass(frozen=True)
class _Side:
    """One side of a comparison, with a `short` header for narrow terminals, e.g. a trial's number.

    `replaced` are the values of `params.json` that `--set` has replaced. `metrics` and `run` are
    None for the base of a search, which never ran.
    """

    header: str
    short: str
    hyperparameters: Mapping[str, Any]
    replaced: Mapping[str, Any]
    metrics: Mapping[str, float] | None = None
    run: Mapping[str, Any] | None = None
    problems: tuple[str, ...] = ()


def _read(folder: Path, header: str | None = None, *, short: str | None = None) -> _Side:
    one = Experiment(folder)
    scores, status, attempt = one.scores(), one.status(), attempts.latest(folder)
    record = {**(attempt.record if attempt else {}), "status": status.state}
    recorded = {name: record[name] for name in _RECORDED if record.get(name) is not None}
    flat = _flat(folder)
    replaced = {name: flat.get(name, ABSENT) for name in status.given}
    used = {**flat, **status.given}
    header, number = header or folder.name or str(folder), number_of(folder)
    return _Side(
        header,
        short or (f"trial {number}" if number else header),
        used,
        replaced,
        _metrics(scores),
        recorded,
        scores.problems,
    )


def _best(row: ExperimentRow) -> _Side:
    return _read(row.path, f"{row.name} (best)", short="best")


def _base(search: Path) -> _Side:
    return _Side("base", "base", _flat(search), {})


def _flat(folder: Path) -> dict[str, Any]:
    return plain_values.flatten(plain_values.load_file(params_file(folder) or folder))


def _metrics(scores: Scores) -> dict[str, float]:
    return {**scores.validation, **{f"test {name}": v for name, v in scores.test.items()}}


# -- Tables ----------------------------------------------------------------------------------------


def compared(sides: Sequence[_Side]) -> str:
    """Return the tables of what differs, and what could not be read; empty if nothing differs.

    If the terminal is too narrow for the names of trials, their numbers are the headers.
    """
    digits, width = SIX, width_of_lines()
    tables, legend = list(_tables(sides)), ""
    shorter = [replace(each, header=each.short) for each in sides]
    wide = width is not None and any(_width(_text(each, digits)) > width for each in tables)
    if wide and len({each.header for each in shorter}) == len(sides):
        tables = list(_tables(shorter))
        names = {each.short: each.header.removesuffix(" (best)") for each in sides}
        legend = "\n".join(f"{short}: {name}" for short, name in names.items() if short != name)
    problems = [problem for each in sides for problem in each.problems]
    blocks = [*(_within(each, digits, width) for each in tables), *([legend] if tables else [])]
    return "\n\n".join(block for block in (*blocks, *problems) if block)


def _tables(sides: Sequence[_Side]) -> Iterator[Table]:
    ran = [each for each in sides if each.metrics is not None]
    yield from _differing("hyperparameter", "text", sides, [each.hyperparameters for each in sides])
    yield from _differing("metric", "metric", ran, [each.metrics or {} for each in ran])
    runs = [each.run or {} for each in ran]
    shared = [name for name in _RECORDED if all(name in run for run in runs)]
    yield from _differing(
        "run", "text", ran, [{name: run[name] for name in shared} for run in runs]
    )


def _differing(
    kind: str, cells: Kind, sides: Sequence[_Side], compared: Sequence[Mapping[str, Any]]
) -> Iterator[Table]:
    """Yield a table of the rows in which the sides differ, if there are any."""
    rows = []
    for name in dict.fromkeys(name for each in compared for name in each):
        values = [each.get(name, ABSENT) for each in compared]
        if not all(same(values[0], value) for value in values):
            replaced = [each.replaced.get(name, ABSENT) for each in sides]
            before = replaced if kind == "hyperparameter" else [ABSENT] * len(values)
            cells_shown = [*map(_with_before, before, _cells(values))]
            rows.append((name, *cells_shown, *(_change(values) if cells == "metric" else ())))
    columns = [Column(kind, "name"), *(Column(each.header, cells) for each in sides)]
    if rows and len(rows[0]) > len(columns):
        columns.append(Column("change"))
    if rows:
        yield Table(tuple(columns), tuple(rows))


def _within(full: Table, digits: int | None, width: int | None) -> str:
    blocks, begin = list[str](), 1
    while begin < len(full.columns):
        stop = begin + 1 if width is not None else len(full.columns)
        text = _text(_part(full, begin, stop), digits)
        while width is not None and stop < len(full.columns):
            wider = _text(_part(full, begin, stop + 1), digits)
            if _width(wider) > width:
                break
            stop, text = stop + 1, wider
        blocks.append(text)
        begin = stop
    return "\n\n".join(blocks)


def _width(text: str) -> int:
    return max(map(text_width, text.splitlines()))


def _part(full: Table, begin: int, stop: int) -> Table:
    rows = tuple((row[0], *row[begin:stop]) for row in full.rows)
    return Table((full.columns[0], *full.columns[begin:stop]), rows)


def _text(part: Table, digits: int | None) -> str:
    return table_text.to_text(part, digits=digits).rstrip("\n")


def _cells(values: Sequence[object]) -> Iterator[object]:
    there = [value for value in values if value is not ABSENT]
    look_equal = any(
        cell_text(one) == cell_text(other) and not same(one, other)
        for one, other in combinations(there, 2)
    )
    for value in values:
        if value is ABSENT:
            yield None
        elif look_equal or value is None:
            yield json.dumps(value, ensure_ascii=False)
        else:
            yield value


def _with_before(before: object, cell: object) -> object:
    if before is ABSENT:
        return cell
    return f"{cell_text(value_cell(before))} -> {cell_text(cell)}"


def _change(values: Sequence[object]) -> tuple[str | None, ...]:
    if len(values) != 2:  # noqa: PLR2004 - more than two have no single difference
        return ()
    old, new = values
    if isinstance(old, (int, float)) and isinstance(new, (int, float)):
        return (f"{new - old:+.4g}",)
    return (None,)


def _listed(names: Sequence[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} and {last}"
