"""Draw figures by kind, and save them to files.

`modeldir.plot` calls `plot`, and `modeldir plot` calls `save`. Everything that can be wrong is
checked before the experiments are read. The rule: matplotlib is imported only to draw a figure.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from modeldir._system import files
from modeldir.errors import ModeldirError, did_you_mean
from modeldir.results.experiment_tree import default_folder, read_tree

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from modeldir.results.plots.figure_data import FigureData

Draw: TypeAlias = "Callable[[FigureData, float, Sequence[str]], Figure]"
"""Draws a figure of some data, a width in inches, and the names given as `x`."""

KINDS = ("curves", "parallel", "importance", "slice", "pair", "history")
"""Each is drawn by the module of its name."""
_SUFFIXES = (".pdf", ".svg", ".png")
_COLUMN_WIDTH = 3.3
"""Inches: one column of a paper with two columns."""
_UNITS = {"in": 1.0, "cm": 1 / 2.54, "mm": 1 / 25.4, "pt": 1 / 72.27, "": 1.0}
_NARROWEST, _WIDEST = 1.5, 40.0
_STATE = "Nothing was drawn."


def plot(  # noqa: PLR0913 - the options of a figure
    folder: str | os.PathLike[str] | None = None,
    kind: str = "slice",
    *,
    metric: str | None = None,
    x: str | Sequence[str] | None = None,
    where: str | None = None,
    width: float | str = _COLUMN_WIDTH,
) -> Figure:
    """Draw one figure of all experiments in and below a folder. A notebook shows it.

    Args:
        folder: a search, or any tree of experiments; by default as for `synthesize`.
        kind: `curves`, `parallel`, `importance`, `slice`, `pair` or `history`.
        metric: by default the ranked one.
        x: what is on the axes: hyperparameters for `slice`, `parallel`, `pair` and `importance`;
            `time` for `history`. By default the most important hyperparameters.
        where: a condition that experiments must satisfy, as for `synthesize`: `"dropout < 0.5"`.
        width: inches, or "85mm"; by default a column of a paper, 3.3 inches.

    Returns:
        A figure of matplotlib. In the PDF or SVG files of its `savefig`, text stays text.

    Raises:
        FolderError: if the folder does not exist.
        ModeldirError: if there is nothing to draw, or matplotlib is not installed.
    """
    (draw,) = _drawers([kind])
    names = [x] if isinstance(x, str) else list(x or ())
    return draw(_read(folder, metric, where), inches(width), names)


def save(  # noqa: PLR0913 - the options of `plot`, for several kinds
    folder: str | os.PathLike[str] | None,
    kinds: Sequence[str],
    path: str | os.PathLike[str] | None = None,
    *,
    metric: str | None = None,
    x: Sequence[str] = (),
    where: str | None = None,
    width: float | str = _COLUMN_WIDTH,
    skipped: list[str] | None = None,
) -> list[Path]:
    """Draw several kinds, write a file for each, and return the paths.

    One kind is written to `path`; several have their name before the suffix: `figure_slice.pdf`. If
    a kind cannot be drawn, that is an error, or the reason is added to `skipped`.
    """
    drawers, size = _drawers(kinds), inches(width)
    targets = _targets(folder, kinds, path)
    data = _read(folder, metric, where)
    drawn: list[tuple[Figure, Path]] = []
    for draw, target in zip(drawers, targets, strict=True):
        try:
            drawn.append((draw(data, size, list(x)), target))
        except ModeldirError as error:
            if skipped is None:
                raise
            skipped.append(error.without_state())
    for figure, target in drawn:
        try:
            with files.replacing(target) as temporary:
                figure.savefig(temporary, format=target.suffix[1:].lower())
        except OSError as error:
            raise ModeldirError(f"{target} cannot be written: {error.strerror}") from error
    return [target for _, target in drawn]


def inches(width: float | str) -> float:
    """Convert a width to inches: 7in, 85mm, 3.3."""
    match = re.fullmatch(r"([0-9.]+) *(in|cm|mm|pt|)", str(width).strip())
    try:
        size = float(match[1]) * _UNITS[match[2]] if match else 0.0
    except ValueError:
        size = 0.0
    if _NARROWEST <= size <= _WIDEST:
        return size
    hint = "3.3 (inches, one column), 7in, 85mm, 17.8cm, 246pt; at least 1.5in"
    raise ModeldirError("No such width:", [(f"{width!r}", hint)], _STATE)


def _read(
    folder: str | os.PathLike[str] | None, metric: str | None, where: str | None
) -> FigureData:
    from modeldir.results.plots import figure_data  # noqa: PLC0415 - only when a figure is drawn

    tree = read_tree(default_folder() if folder is None else folder)
    if where is not None:
        from modeldir.results.synthesize import matching  # noqa: PLC0415 - only with a condition

        tree = matching(tree, where)
    return figure_data.read(tree, metric)


def _targets(
    folder: str | os.PathLike[str] | None,
    kinds: Sequence[str],
    path: str | os.PathLike[str] | None,
) -> list[Path]:
    if path is None:
        name = Path(os.path.abspath(folder if folder is not None else default_folder())).name
        return [Path(f"{name}_{kind}.pdf") for kind in kinds]
    target = Path(path)
    if target.suffix.lower() not in _SUFFIXES:
        problem = f"unknown file type {target.suffix!r}" if target.suffix else "it has no ending"
        hint = f"name it {target.with_suffix('.pdf')}, or end its name with .svg or .png"
        raise ModeldirError(f"{target} cannot be drawn:", [(problem, hint)], _STATE)
    if len(kinds) == 1:
        return [target]
    return [target.with_name(f"{target.stem}_{kind}{target.suffix}") for kind in kinds]


def _drawers(kinds: Sequence[str]) -> list[Draw]:
    """Return the function that draws each kind."""
    for kind in kinds:
        if kind not in KINDS:
            hint = did_you_mean(kind, list(KINDS)) or f"there are {', '.join(KINDS)}"
            raise ModeldirError("No such plot:", [(f"kind {kind!r}", hint)], _STATE)
    try:
        import matplotlib  # noqa: F401, ICN001, PLC0415 - an extra
    except ImportError as error:
        raise ModeldirError(
            "Plots are drawn by matplotlib, which is not installed here:\n"
            "  pip install 'modeldir[plots]'\n"
            "  without it: modeldir results DIR --html report.html",
            state=_STATE,
        ) from error
    return [import_module(f"modeldir.results.plots.{kind}").draw for kind in kinds]
