"""A CSV file of configurations: a header of names, then a row for each, typed as `@FILE.csv`.

`search` calls `read_points`. It accepts what spreadsheets write: quotes, a byte order mark, blank
cells (not given) and blank lines.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

from modeldir._system import reading
from modeldir.errors import SpaceError, did_you_mean
from modeldir.params import equality
from modeldir.params.plain_values import parse_value
from modeldir.space.problems import Problem

MARK = "@"
"""The character before the name of a file of configurations."""


def read_points(path: Path, known: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """Return the configurations of a CSV file; each column must be a `known` name."""
    problems: list[Problem] = []
    rows = _rows(_text(path), problems)
    if not rows:
        problems = problems or [("it is empty", "the first line names hyperparameters")]
        raise SpaceError(f"{path} cannot be read as configurations:", problems)
    (line, header), *others = rows
    names = [name.strip() for name in header]
    problems += _wrong_header(names, line, known)
    points = []
    for line, cells in others:
        if len(cells) != len(names):
            told = f"line {line}: {_count(len(cells), 'cell')}, the header has {len(names)}"
            hint = (
                "write a value that contains a comma in quotes" if len(cells) > len(names) else None
            )
            problems.append((told, hint))
            continue
        bare = zip(names, map(str.strip, cells), strict=True)
        values = {name: parse_value(cell) for name, cell in bare if cell}
        points += [values] if values else []
    if not points and not problems:
        problems = [("it has a header and no rows", None)]
    if problems:
        raise SpaceError(f"{path} cannot be read as configurations:", problems)
    return points


def _text(path: Path) -> str:
    try:
        return reading.read(path, reading.TABLE).decode("utf-8-sig")
    except OSError as error:
        told = [(str(error.strerror or error).lower(), _neighbor(path))]
        raise SpaceError(f"{path} cannot be read as configurations:", told) from None
    except UnicodeDecodeError:
        told = [("it is not UTF-8", "save it as CSV UTF-8")]
        raise SpaceError(f"{path} cannot be read as configurations:", told) from None


def _neighbor(path: Path) -> str | None:
    near = [str(each) for each in path.parent.glob("*.csv")]
    return did_you_mean(str(path), near) if near else None


def _rows(text: str, problems: list[Problem]) -> list[tuple[int, list[str]]]:
    import csv  # noqa: PLC0415 - only where there is such a file
    import io  # noqa: PLC0415

    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows: list[tuple[int, list[str]]] = []
    begins = 1
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return rows
        except csv.Error as error:
            problems.append((f"line {begins}: {error}", "is a quotation mark not closed?"))
            return rows
        if any(cell.strip() for cell in cells):
            rows.append((begins, cells))
        begins = reader.line_num + 1


def _wrong_header(
    names: Sequence[str], line: int, known: Mapping[str, Any] | None
) -> list[Problem]:
    problems: list[Problem] = []
    for place, name in enumerate(names):
        if not name:
            problems.append((f"line {line}: column {place + 1} has no name", None))
        elif name in names[:place]:
            problems.append((f"line {line}: column {name!r} appears twice", None))
        elif known is not None and name not in known:
            hint = _other_separator(name) or did_you_mean(name, list(known))
            problems.append((f"line {line}: column {name!r}: not in params.json", hint))
    return problems


def _other_separator(name: str) -> str | None:
    for mark, called in ((";", "semicolons"), ("\t", "tabs")):
        if mark in name:
            return f"columns are separated by commas, not {called}"
    return None


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def exact_plan(points: Sequence[Mapping[str, Any]], base: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of a search config that means these configurations and no others."""
    names = [*dict.fromkeys(name for point in points for name in point)]
    rows = [[point.get(name, base.get(name)) for name in names] for point in points]
    distinct: dict[Hashable, list[Any]] = {}
    for row in rows:
        distinct.setdefault(equality.key(row), row)
    space = {n: [row[place] for row in distinct.values()] for place, n in enumerate(names)}
    return {"space": space, "zip": [names] if len(names) > 1 else []}
