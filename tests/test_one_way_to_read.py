"""The contract of reading: nothing in `src` opens a file to read it, except what is listed here.

`_system/reading.py` opens regular files only, without waiting, and limits their size.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

SOURCES = Path(__file__).parents[1] / "src" / "modeldir"

ALLOWED = {
    "_system/reading.py": "it is the one place",
    "_system/cpus.py": "files of the kernel",
    "_system/processes.py": "files of the kernel",
    "logs/capture/exit_status.py": "files of the kernel",
    "worker/preload/guards.py": "files of the kernel",
    "worker/preload/child.py": "files of the kernel",
    "exchange/importing.py": "a folder: opened for flock, and not read",
    "worker/preload/run_script.py": "the script that the user runs, as the interpreter opens it",
    "results/report/page.py": "files of this package",
    "commands/init.py": "files of this package",
    "commands/demo.py": "files of this package",
    "commands/templates/__init__.py": "files of this package",
    "worker/leases.py": "locks: opened for flock, and not read",
    "_system/files.py": "folders and locks: opened for fsync and flock, and not read",
    "testing/launchers.py": "files that the contract's own jobs have written",
}
"""Modules that open files to read them by themselves, and why they may."""


def _opens(tree: ast.AST) -> Iterator[ast.Call]:
    """Yield the calls that open a file to read it."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called, owner, name = node.func, "", ""
        if isinstance(called, ast.Name):
            name = called.id
        elif isinstance(called, ast.Attribute):
            owner = called.value.id if isinstance(called.value, ast.Name) else "?"
            name = called.attr
        is_open = name == "open" and owner in {"", "os", "io", "codecs", "tokenize"}
        is_whole = name in {"read_text", "read_bytes"} and owner not in {"", "reading"}
        if is_whole or (is_open and not _writes(node)):
            yield node


def _writes(call: ast.Call) -> bool:
    """Whether a call opens a file to write it, or `/dev/null`, or a descriptor."""
    words = ast.unparse(call)
    modes = ("'w'", "'wb'", "'xb'", "'ab'", "'a'", "'r+'", "O_WRONLY", "O_RDWR", "closefd=False")
    return any(mode in words for mode in modes)


def test_files_are_read_in_one_place() -> None:
    """A new `open` belongs into `_system/reading.py`, or is listed above with its reason."""
    found = {
        path.relative_to(SOURCES).as_posix(): [call.lineno for call in calls]
        for path in sorted(SOURCES.rglob("*.py"))
        if "templates/" not in path.as_posix() or path.parent.name == "templates"
        if (calls := [*_opens(ast.parse(path.read_text("utf-8")))])
    }
    assert {name: lines for name, lines in found.items() if name not in ALLOWED} == {}
    assert set(ALLOWED) - set(found) == set()


def test_an_open_is_found() -> None:
    """The test above sees each way to open a file."""
    reads = "open(p)|open(p, 'rb')|os.open(p, os.O_RDONLY)|p.read_text()|Path(p).read_bytes()"
    for text in (*reads.split("|"), "io.open(p)"):
        assert [*_opens(ast.parse(text))], text
    for text in ("open(p, 'wb')", "os.open(p, os.O_WRONLY | os.O_CREAT)", "reading.read_bytes(p)"):
        assert not [*_opens(ast.parse(text))], text
