"""The report: everything about a tree of experiments in one HTML file, without server or network.

    modeldir.write_report("experiments/learning_rate", "report.html")

`payload` says what goes into the page, and which module knows which part of it; `page` puts that,
the styles and the scripts of `assets/` into one file. It refuses to rank by anything of its own:
what counts as the best is what `synthesize` says.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from modeldir._system import files
from modeldir.errors import FolderError
from modeldir.results.synthesize import default_folder, read_tree

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modeldir.results.synthesize import Tree

FILE = "report.html"
"""What it is called where nobody says."""


def write_report(
    folder: str | os.PathLike[str] | None = None, path: str | os.PathLike[str] | None = None
) -> Path:
    """Write all that is below a folder as one HTML file that needs nothing else; returns its path.

    An earlier report is replaced as a whole: who has it open sees the old or the new one.

    Args:
        folder: a search, or any tree of experiments; by default as of `synthesize`.
        path: by default `report.html` in the folder.

    Raises:
        FolderError: when the folder is not there, or the file cannot be written.
    """
    return write_tree(read_tree(default_folder() if folder is None else folder), path)


def write_tree(
    tree: Tree,
    path: str | os.PathLike[str] | None = None,
    *,
    where: str | None = None,
    group: Sequence[str] = (),
) -> Path:
    """As `write_report`, of a tree that was read already; its title says if it is a part, by the
    condition `where` that holds for it. What differs in `group` alone is one row, as repeats are.
    """
    from modeldir.results.report import page, payload  # noqa: PLC0415 - gzip and base64, of use here alone

    target = Path(path) if path is not None else tree.folder / FILE
    target = target / FILE if target.is_dir() else target
    data = page.page(payload.payload(tree, target, where, group)).encode(
        "utf-8", "backslashreplace"
    )
    try:
        files.write_bytes(target, data)
    except OSError as error:
        raise FolderError(
            f"{target} cannot be written: {error.strerror}\nNo report was made."
        ) from error
    return target
