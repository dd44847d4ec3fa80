"""Write the report of a folder as one HTML file.

`modeldir.write_report` and `modeldir results --html` come here; `live_report` calls it again and
again. An earlier report is replaced as a whole.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from modeldir._system import files
from modeldir.errors import FolderError
from modeldir.results.experiment_tree import Tree, default_folder, read_tree

_FILE_NAME = "report.html"


def write_report(
    folder: str | os.PathLike[str] | None = None, path: str | os.PathLike[str] | None = None
) -> Path:
    """Write everything below a folder as one HTML file and return its path.

    Args:
        folder: a search, or any tree of experiments; by default as for `synthesize`.
        path: by default `report.html` in the folder.

    Raises:
        FolderError: if the folder does not exist, or the file cannot be written.
    """
    return write_tree_report(read_tree(default_folder() if folder is None else folder), path)


def write_tree_report(
    tree: Tree,
    path: str | os.PathLike[str] | None = None,
    *,
    where: str | None = None,
    group: Sequence[str] = (),
) -> Path:
    """Write the report of a tree that has been read already; see `page_data`."""
    from modeldir.results.report import page, page_data  # noqa: PLC0415 - slow to import

    target = Path(path) if path is not None else tree.folder / _FILE_NAME
    target = target / _FILE_NAME if target.is_dir() else target
    text = page.page(page_data.page_data(tree, target, where, group))
    try:
        files.write_bytes(target, text.encode("utf-8", "backslashreplace"))
    except OSError as error:
        raise FolderError(
            f"{target} cannot be written: {error.strerror}\nNo report was made."
        ) from error
    return target
