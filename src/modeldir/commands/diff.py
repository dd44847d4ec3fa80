"""`modeldir diff`: what differs between experiments, and nothing else.

One alone is compared with what it was made from (the base of its search, or the experiment that it
was derived from) and with the best trial; a search, its base with its best trial. Start at
`differences`; `against` is the same as `show` has it.
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
from modeldir._system.terminal import decimals_here, width_here
from modeldir._system.text import cell_text, text_width, value_cell
from modeldir.commands.folders import experiments_among, headers, number_of, read_tree
from modeldir.errors import FolderError, ParamsError
from modeldir.experiment import attempts, experiment
from modeldir.experiment.experiment import Experiment, Scores, params_file
from modeldir.params import plain_values
from modeldir.params.equality import ABSENT, same
from modeldir.results import table
from modeldir.results.table import Column, Kind, Table

if TYPE_CHECKING:
    from modeldir.commands.folders import Read
    from modeldir.results.experiments import ExperimentRow

HELP = "What differs between experiments: hyperparameters, metrics, code."
EXAMPLE = "modeldir diff experiments/base_model experiments/learning_rate/learning_rate_0.01"

_RECORDED = ("status", "code", "commit", "python")
"""What a run file says that explains a difference. Times always differ: they explain nothing."""


def configure(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.usage = "modeldir diff DIR ..."
    parser.add_argument(
        "dirs",
        nargs="+",
        metavar="DIR",
        help="experiments; one alone: against its base and the best trial",
    )


def run(arguments: argparse.Namespace) -> int:
    """Print what differs. That something does is no failure: the answer is 0."""
    print(differences(experiments_among(list(map(Path, arguments.dirs)))))
    return 0


def differences(folders: Sequence[Path]) -> str:
    """What `modeldir diff` prints: a table for each kind of thing that differs.

    Raises:
        FolderError: where there is nothing to compare with, or one is no experiment.
        ParamsError: when hyperparameters cannot be read.
    """
    if len(folders) == 1:
        return _of_one(folders[0])
    _refuse_searches(folders)
    sides = [_read(folder, name) for folder, name in zip(folders, headers(folders), strict=True)]
    alike = f"{_listed(list(map(str, folders)))} do not differ: same hyperparameters, same metrics"
    return compared(sides) or alike


def _of_one(folder: Path) -> str:
    """One against what it was made from and the best of its search; a search by its base."""
    if experiment.is_search(folder):
        best = read_tree(folder).best()
        if best is None:
            raise FolderError(
                f"{folder} has no best trial yet to compare its base with\n"
                f"  how it stands: modeldir show {quoted(folder)}"
            )
        if params_file(folder) is None:  # imported, or a search's file was lost
            raise FolderError(
                f"{folder} has no params.json: no base to compare its best trial with\n"
                f"  with another trial: modeldir diff {quoted(best.path)} OTHER"
            )
        sides = [_base(folder), _best(best)]
    else:
        sides = [*_before(folder, read_tree), _read(folder)]
    if len(sides) == 1:
        raise FolderError(
            f"one folder alone differs from nothing: modeldir diff {quoted(folder)} OTHER"
        )
    return compared(sides) or f"{_listed([each.header for each in sides])} do not differ"


def against(folder: Path, read: Read) -> str:
    """What of an experiment is not as in what it was made from, or as in the best of its search;
    nothing where there is neither.
    """
    try:
        before = _before(folder, read)
        return compared([*before, _read(folder, "here")]) if before else ""
    except (ParamsError, FolderError):  # whoever shows it says what cannot be read
        return ""


def _before(folder: Path, read: Read) -> list[_Side]:
    """What an experiment is compared with when nobody says: its base, the best of its search."""
    search = files.absolute(folder).parent
    if (folder / "trial.json").is_file() and (search / "search.json").is_file():
        best = read(search).best()
        base = [_base(search)] if params_file(search) else []
        if best is None or files.absolute(best.path) == files.absolute(folder):
            return base
        return [*base, _best(best)]
    return _derived_from(folder)


def _derived_from(folder: Path) -> list[_Side]:
    """The experiment, or the search, from which `modeldir new` made it."""
    origin = Experiment(folder).origin().get("from")
    if not isinstance(origin, str):
        return []
    source = Path(os.path.normpath(files.absolute(folder) / origin))
    if params_file(source) is None:
        return []
    return [_base(source) if experiment.is_search(source) else _read(source)]


def _refuse_searches(folders: Sequence[Path]) -> None:
    """A search is no experiment: its base has never run. Its best trial is probably meant."""
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
    """One experiment, as far as it is compared.

    The hyperparameters are those that it used; `replaced` are the values of `params.json` in whose
    place it was given others. The base of a search never ran: it has no metrics, no run.
    `short` is a header for where there is little room; of a trial its number, as in the table.
    """

    header: str
    short: str
    hyperparameters: Mapping[str, Any]
    replaced: Mapping[str, Any]
    metrics: Mapping[str, float] | None = None
    run: Mapping[str, Any] | None = None
    problems: tuple[str, ...] = ()


def _read(folder: Path, header: str | None = None, *, short: str | None = None) -> _Side:
    found = Experiment(folder)
    scores, status, attempt = found.scores(), found.status(), attempts.latest(folder)
    record = {**(attempt.record if attempt else {}), "status": status.state}
    recorded = {name: record[name] for name in _RECORDED if record.get(name) is not None}
    flat = _flat(folder)
    replaced = {name: flat.get(name, ABSENT) for name in status.given}
    used = {**flat, **status.given}
    header = header or folder.name or str(folder)
    return _Side(
        header,
        short or number_of(folder) or header,
        used,
        replaced,
        _metrics(scores),
        recorded,
        scores.problems,
    )


def _best(found: ExperimentRow) -> _Side:
    return _read(found.path, f"{found.name} (best)", short="best")


def _base(search: Path) -> _Side:
    return _Side("base", "base", _flat(search), {})


def _flat(folder: Path) -> dict[str, Any]:
    return plain_values.flatten(plain_values.load_file(params_file(folder) or folder))


def _metrics(scores: Scores) -> dict[str, float]:
    return {**scores.validation, **{f"test {name}": v for name, v in scores.test.items()}}


# -- Tables ----------------------------------------------------------------------------------------


def compared(sides: Sequence[_Side]) -> str:
    """A table for each kind of thing that differs, and what could not be read; else nothing.

    In a terminal that is too narrow for their names, trials go by their numbers.
    """
    digits = decimals_here()
    width = None if digits is None else width_here()
    tables, legend = list(_tables(sides)), ""
    shorter = [replace(each, header=each.short) for each in sides]
    wide = width is not None and any(_width(_text(each, digits)) > width for each in tables)
    if wide and len({each.header for each in shorter}) == len(sides):
        tables = list(_tables(shorter))
        told = {each.short: each.header.removesuffix(" (best)") for each in sides}
        legend = "\n".join(f"{short}: {name}" for short, name in told.items() if short != name)
    problems = [problem for each in sides for problem in each.problems]
    blocks = [*(_within(each, digits, width) for each in tables), *([legend] if tables else [])]
    return "\n\n".join(block for block in (*blocks, *problems) if block)


def _tables(sides: Sequence[_Side]) -> Iterator[Table]:
    ran = [each for each in sides if each.metrics is not None]
    yield from _differing("hyperparameter", "text", sides, [each.hyperparameters for each in sides])
    yield from _differing("metric", "metric", ran, [each.metrics or {} for each in ran])
    yield from _differing("run", "text", ran, _shared([each.run or {} for each in ran]))


def _shared(sides: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What all sides have: that one run did not record something is no difference between runs."""
    return [
        {name: value for name, value in side.items() if all(name in other for other in sides)}
        for side in sides
    ]


def _differing(
    kind: str, cells: Kind, sides: Sequence[_Side], compared: Sequence[Mapping[str, Any]]
) -> Iterator[Table]:
    """The rows in which the sides are not all the same; nothing where they are."""
    rows = []
    for name in dict.fromkeys(name for each in compared for name in each):
        values = [each.get(name, ABSENT) for each in compared]
        if not all(same(values[0], value) for value in values):
            replaced = [each.replaced.get(name, ABSENT) for each in sides]
            before = replaced if kind == "hyperparameter" else [ABSENT] * len(values)
            told = [*map(_with_before, before, _told(values))]
            rows.append((name, *told, *(_change(values) if cells == "metric" else ())))
    columns = [Column(kind, "name"), *(Column(each.header, cells) for each in sides)]
    if rows and len(rows[0]) > len(columns):
        columns.append(Column("change"))
    if rows:
        yield Table(tuple(columns), tuple(rows))


def _within(whole: Table, digits: int | None, width: int | None) -> str:
    """The table; some columns below the others, where lines would wrap."""
    blocks, begin = list[str](), 1
    while begin < len(whole.columns):
        stop = begin + 1 if width is not None else len(whole.columns)
        text = _text(_part(whole, begin, stop), digits)
        while width is not None and stop < len(whole.columns):
            wider = _text(_part(whole, begin, stop + 1), digits)
            if _width(wider) > width:
                break
            stop, text = stop + 1, wider
        blocks.append(text)
        begin = stop
    return "\n\n".join(blocks)


def _width(text: str) -> int:
    return max(map(text_width, text.splitlines()))


def _part(whole: Table, begin: int, stop: int) -> Table:
    """What a row is about, and some of the other columns."""
    rows = tuple((row[0], *row[begin:stop]) for row in whole.rows)
    return Table((whole.columns[0], *whole.columns[begin:stop]), rows)


def _text(part: Table, digits: int | None) -> str:
    return table.to_text(part, digits=digits).rstrip("\n")


def _told(values: Sequence[object]) -> Iterator[object]:
    """The cells of a row; as JSON where two that differ would look the same."""
    there = [value for value in values if value is not ABSENT]
    alike = any(
        cell_text(one) == cell_text(other) and not same(one, other)
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
    return f"{cell_text(value_cell(before))} -> {cell_text(cell)}"


def _change(values: Sequence[object]) -> tuple[str | None, ...]:
    """By how much the second of two numbers is more than the first."""
    if len(values) != 2:  # noqa: PLR2004 - of more than two, which from which?
        return ()
    old, new = values
    if isinstance(old, (int, float)) and isinstance(new, (int, float)):
        return (f"{new - old:+.4g}",)
    return (None,)


def _listed(names: Sequence[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} and {last}"
