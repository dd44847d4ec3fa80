"""The projects that `modeldir init` copies, each in a folder here, and the data they share.

`commands/init.py` calls `copy`; start there. The rule: a project is copied completely, or nothing
is left of it. Its scripts import only what any user's script may import.

A project's `.gitignore` is called `gitignore` here: git and the build would obey it by its own name.
"""

from __future__ import annotations

import contextlib
import os
from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path

from modeldir._system import files
from modeldir.errors import FolderError, ModeldirError, did_you_mean, first_of

_HERE = Path(__file__).parent
_DATA = {"digits.npz": "data/digits.npz", "DIGITS.md": "data/README.md"}
_RENAMED = {"gitignore": ".gitignore"}


def add_option(parser: ArgumentParser) -> None:
    """Add the option that chooses a template."""
    choices = "minimal (needs NumPy) or vision (needs PyTorch) (default: minimal)"
    parser.add_argument("--template", default="minimal", metavar="NAME", help=choices)


def names() -> tuple[str, ...]:
    """Return the names of the templates.

    >>> names()
    ('minimal', 'vision')
    """
    return tuple(sorted(script.parent.name for script in _HERE.glob("*/train.py")))


def copy(template: str, project: str | os.PathLike[str]) -> list[Path]:
    """Make a project from a template, in a new or an empty folder; return the new files, in order.

    If the folder cannot be written, nothing is left of the copy.
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
    """Yield each file of a project: its path here, and its path in the project."""
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
        raise FolderError(
            f"{target} is not empty: it holds {first_of(held, 3)}\n"
            "  name a folder that does not exist yet\n"
            "Nothing was copied."
        )


def _make_folders(folder: Path, made: list[Path]) -> None:
    """Make a folder and its parents, and add the new ones to `made`."""
    missing = []
    while not folder.is_dir():
        missing.append(folder)
        folder = folder.parent
    for new in reversed(missing):
        new.mkdir()
        made.append(new)


def _remove(made: list[Path]) -> None:
    """Remove what was made, the latest first. Other files in the folders stay."""
    for path in reversed(made):
        with contextlib.suppress(OSError):
            path.rmdir() if path.is_dir() else path.unlink()
