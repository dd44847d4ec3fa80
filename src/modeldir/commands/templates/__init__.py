"""The projects that `modeldir init` copies, each a folder here, and the data they share.

It knows which projects there are and how to copy one whole or not at all. The projects know nothing
of this package but what any script may import.

A project's `.gitignore` lies here as `gitignore`: under its own name git and the build would obey it.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from modeldir._system import files
from modeldir.errors import FolderError, ModeldirError, did_you_mean

_HERE = Path(__file__).parent
_DATA = {"digits.npz": "data/digits.npz", "DIGITS.md": "data/README.md"}
_RENAMED = {"gitignore": ".gitignore"}


def names() -> tuple[str, ...]:
    """The templates there are.

    >>> names()
    ('minimal', 'vision')
    """
    return tuple(sorted(script.parent.name for script in _HERE.glob("*/train.py")))


def copy(template: str, project: str | os.PathLike[str]) -> list[Path]:
    """Make a project from a template, in a new or an empty folder.

    Returns:
        The files that were made, in order.

    Raises:
        ModeldirError: when there is no such template.
        FolderError: when the folder holds something, or cannot be written. Then nothing is left of
            what was copied.
    """
    if template not in names():
        raise ModeldirError(_no_template(template))
    target = Path(project)
    _refuse_unless_free(target)
    made: list[Path] = []
    try:
        for source, name in sorted(_contents(template), key=lambda pair: pair[1]):
            _make_folders((target / name).parent, made)
            made.append(target / name)
            files.write_bytes(target / name, source.read_bytes())
    except BaseException as error:
        _remove(made)
        if isinstance(error, OSError):
            raise FolderError(
                f"{target} cannot be written: {error}\nNothing was copied."
            ) from error
        raise
    return [path for path in made if path.is_file()]


def _contents(template: str) -> Iterator[tuple[Path, str]]:
    """Each file of a project: where it lies here, and its path in the project."""
    for source in (_HERE / template).rglob("*"):
        if source.is_file() and "__pycache__" not in source.parts:
            inside = source.relative_to(_HERE / template)
            yield source, str(inside.with_name(_RENAMED.get(source.name, source.name)))
    for name, inside_project in _DATA.items():
        yield _HERE / name, inside_project


def _no_template(template: str) -> str:
    hint = did_you_mean(template, names())
    lines = [
        f"no template is named {template!r}: {', '.join(names())}",
        f"  {hint}" if hint else "",
    ]
    return "\n".join([*filter(None, lines), "Nothing was copied."])


def _refuse_unless_free(target: Path) -> None:
    if not os.path.lexists(target):
        return
    if not target.is_dir():
        raise FolderError(f"{target} is a file, not a folder\nNothing was copied.")
    held = sorted(entry.name for entry in target.iterdir())
    if held:
        shown = ", ".join(held[:3]) + (f" and {len(held) - 3} more" if len(held) > 3 else "")  # noqa: PLR2004 - what fits a line
        raise FolderError(
            f"{target} is not empty: it holds {shown}\n"
            "  a project starts in a folder of its own: name one that is not there yet\n"
            "Nothing was copied."
        )


def _make_folders(folder: Path, made: list[Path]) -> None:
    """Make a folder and those above it, adding to `made` what was not there."""
    missing = []
    while not folder.is_dir():
        missing.append(folder)
        folder = folder.parent
    for new in reversed(missing):
        new.mkdir()
        made.append(new)


def _remove(made: list[Path]) -> None:
    """Take back what was made, the latest first; what others put beside it stays."""
    for path in reversed(made):
        with contextlib.suppress(OSError):
            path.rmdir() if path.is_dir() else path.unlink()
