"""Figures for papers: static, by matplotlib, which is the extra `modeldir[plots]`.

    modeldir.plot("experiments/learning_rate", kind="slice").savefig("slice.pdf")

`frame` says what is drawn, by the same computations as the report's; `style` how it looks on paper;
each kind is drawn by the module of its name. It refuses to rank by anything of its own, and to keep
state: no pyplot, so that nothing of a user's own figures changes. Start at `plot`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from modeldir.errors import ModeldirError, did_you_mean
from modeldir.results.experiment_tree import default_folder, read_tree

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from modeldir.results.plots.frame import Frame

Draw: TypeAlias = "Callable[[Frame, float, Sequence[str]], Figure]"

KINDS = {
    "curves": "curves",
    "parallel": "parallel",
    "importance": "bars",
    "slice": "slices",
    "pair": "pairs",
    "history": "history",
}
"""Each kind, and the module that draws it."""
ENDINGS = (".pdf", ".svg", ".png")
COLUMN = 3.3
"""Inches: one column of a paper with two."""
_UNITS = {"in": 1.0, "cm": 1 / 2.54, "mm": 1 / 25.4, "pt": 1 / 72.27, "": 1.0}
_LEAST, _MOST = 1.5, 40.0
_NOTHING = "Nothing was drawn."


def plot(  # noqa: PLR0913 - what a figure may differ in
    folder: str | os.PathLike[str] | None = None,
    kind: str = "slice",
    *,
    metric: str | None = None,
    x: str | Sequence[str] | None = None,
    where: str | None = None,
    width: float | str = COLUMN,
) -> Figure:
    """One figure of all experiments in and below a folder; it shows itself in a notebook.

    Args:
        folder: a search, or any tree of experiments; by default as of `synthesize`.
        kind: `curves`, `parallel`, `importance`, `slice`, `pair` or `history`.
        metric: by default the one that is ranked by.
        x: what is on the axes: hyperparameters, of `slice`, `parallel` and `pair`; `time` of
            `history`. By default those that matter most.
        where: only experiments for which this holds: `"dropout < 0.5"`, as of `synthesize`.
        width: inches, or "85mm"; by default a column of a paper, 3.3 inches.

    Returns:
        A figure of matplotlib's. By its `savefig`, text stays text in PDF and SVG.

    Raises:
        FolderError: when the folder is not there.
        ModeldirError: when there is nothing to draw, or matplotlib is not installed.
    """
    (draw,) = _drawers([kind])
    names = [x] if isinstance(x, str) else list(x or ())
    return draw(frame_of(folder, metric, where), inches(width), names)


def frame_of(
    folder: str | os.PathLike[str] | None, metric: str | None = None, where: str | None = None
) -> Frame:
    """What all kinds draw from, read once."""
    from modeldir.results.plots import frame  # noqa: PLC0415 - as the drawers

    tree = read_tree(default_folder() if folder is None else folder)
    if where is not None:
        from modeldir.results.synthesize import matching  # noqa: PLC0415 - only where somebody asks

        tree = matching(tree, where)
    return frame.read(tree, metric)


def save(  # noqa: PLR0913 - as `plot`, which it is for several kinds
    folder: str | os.PathLike[str] | None,
    kinds: Sequence[str],
    path: str | os.PathLike[str] | None = None,
    *,
    metric: str | None = None,
    x: Sequence[str] = (),
    where: str | None = None,
    width: float | str = COLUMN,
    skipped: list[str] | None = None,
) -> list[Path]:
    """Draw several kinds and write a file each; their paths. One kind is `path` itself, of several
    each has its kind before the ending: `figure_slice.pdf`. Into `skipped` goes why a kind cannot
    be drawn, where that is no error.

    Raises:
        ModeldirError: as `plot`, and for an ending that is none of `ENDINGS`: before any is drawn.
    """
    drawers, size = _drawers(kinds), inches(width)
    targets = _targets(folder, kinds, path)
    found = frame_of(folder, metric, where)
    drawn: list[tuple[Figure, Path]] = []
    for draw, target in zip(drawers, targets, strict=True):
        try:
            drawn.append((draw(found, size, list(x)), target))
        except ModeldirError as error:
            if skipped is None:
                raise
            skipped.append(error.without_state())
    for figure, target in drawn:
        try:
            figure.savefig(target)
        except OSError as error:
            raise ModeldirError(f"{target} cannot be written: {error.strerror}") from error
    return [target for _, target in drawn]


def _targets(
    folder: str | os.PathLike[str] | None,
    kinds: Sequence[str],
    path: str | os.PathLike[str] | None,
) -> list[Path]:
    name = Path(os.path.abspath(folder if folder is not None else default_folder())).name
    if path is None:
        return [Path(f"{name}_{kind}.pdf") for kind in kinds]
    target = Path(path)
    if target.suffix.lower() not in ENDINGS:
        problem = f"no figure ends in {target.suffix!r}" if target.suffix else "it has no ending"
        hint = f"{target.with_suffix('.pdf')}, or .svg, .png"
        raise ModeldirError(f"{target} cannot be drawn:", [(problem, hint)], _NOTHING)
    if len(kinds) == 1:
        return [target]
    return [target.with_name(f"{target.stem}_{kind}{target.suffix}") for kind in kinds]


def _drawers(kinds: Sequence[str]) -> list[Draw]:
    """What draws each kind.

    Raises:
        ModeldirError: for a kind that there is not, and without matplotlib.
    """
    for kind in kinds:
        if kind not in KINDS:
            hint = did_you_mean(kind, list(KINDS)) or f"there are {', '.join(KINDS)}"
            raise ModeldirError("No such plot:", [(f"kind {kind!r}", hint)], _NOTHING)
    try:
        import matplotlib  # noqa: F401, ICN001, PLC0415 - an extra
    except ImportError as error:
        raise ModeldirError(
            "Plots are drawn by matplotlib, which is not installed here:\n"
            "  pip install 'modeldir[plots]'\n"
            "  without it: modeldir synthesize DIR --html report.html",
            state=_NOTHING,
        ) from error
    return [import_module(f"modeldir.results.plots.{KINDS[kind]}").draw for kind in kinds]


def inches(width: float | str) -> float:
    """A width as it is typed, in inches.

    >>> inches("7in"), round(inches("85mm"), 2), inches(3.3)
    (7.0, 3.35, 3.3)

    Raises:
        ModeldirError: for what is no width, or none of a figure.
    """
    found = re.fullmatch(r"([0-9.]+) *(in|cm|mm|pt|)", str(width).strip())
    try:
        size = float(found[1]) * _UNITS[found[2]] if found else 0.0
    except ValueError:
        size = 0.0
    if _LEAST <= size <= _MOST:
        return size
    hint = "3.3 (inches, one column), 7in, 85mm, 17.8cm, 246pt; at least 1.5in"
    raise ModeldirError("No such width:", [(f"{width!r}", hint)], _NOTHING)
