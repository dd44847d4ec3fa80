"""Provenance: which code ran, and at which commit.

Run files record it. Two states of the code must never have the same hash. Whether a difference
matters is decided in `search`. The code itself: `code_snapshots`; packages: `environments`.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from modeldir._system import reading
from modeldir.experiment import discovery

SKIPPED = discovery.LIBRARIES | {"data", "experiments"}
"""Folders without code; `code_files` skips them too."""
GIT_TIMEOUT = 10.0
MOST_FILES = 2000
"""A tree with more files is a home folder or a monorepo; its hash would take seconds."""


def interpreter() -> dict[str, str]:
    return {"python": sys.version.partition(" ")[0], "executable": sys.executable}


Digests = dict[str, tuple[bytes, bytes]]
"""Files' bytes and their digests, by path."""


def code_hash(project: Path, known: Digests | None = None) -> str | None:
    """Return 16 hex digits over the paths and bytes of the project's `.py` files; None without any.

    Hidden folders, environments, `data`, `experiments` and experiment folders are skipped. `known`
    is filled and can be passed again: then a file is hashed only if its bytes have changed.
    """
    from hashlib import sha256  # noqa: PLC0415 - most scripts need no hash

    known = {} if known is None else known
    digest = sha256()
    count = 0
    for path in _python_files(str(project)):
        count += 1
        if count > MOST_FILES:
            known.clear()
            return None
        digest.update(os.path.relpath(path, project).encode("utf-8", "surrogateescape") + b"\0")
        text = reading.read_bytes(path, reading.TEXT) or b""
        if path not in known or known[path][0] != text:
            known[path] = text, sha256(text).digest()
        digest.update(known[path][1])
    return digest.hexdigest()[:16] if count else None


def _python_files(folder: str) -> Iterator[str]:
    """Yield the files of a folder by name, then those of each subfolder, without links.

    It runs once a second and may meet thousands of experiments: it looks at only one name in each.
    """
    try:
        with os.scandir(folder) as entries:
            listed = sorted(entries, key=lambda entry: entry.name)
    except OSError:
        return
    yield from (each.path for each in listed if each.name.endswith(".py") and not each.is_dir())
    for each in listed:
        is_skipped = each.name[0] in "._" or each.name in SKIPPED
        if each.is_dir(follow_symlinks=False) and not is_skipped and not _is_other(each.path):
            yield from _python_files(each.path)


def _is_other(folder: str) -> bool:
    names = ("params.json", "pyvenv.cfg")
    return any(os.path.lexists(os.path.join(folder, name)) for name in names)


def git_commit(folder: Path) -> str | None:
    """Return the commit that HEAD names in the repository around a folder, or None.

    Git itself reads the repository, in whatever format that stores its branches. Without a `.git`
    above the folder no process is started.
    """
    import subprocess  # noqa: PLC0415 - not needed outside of a repository

    above = (os.path.join(each, ".git") for each in (folder, *folder.parents))
    repository = next(filter(os.path.exists, above), None)
    if repository is None:
        return None
    # Naming the repository also reads one that belongs to another user, as in a container.
    command = ["git", f"--git-dir={repository}", "rev-parse", "--verify", "--quiet", "HEAD"]
    with contextlib.suppress(OSError, subprocess.SubprocessError):  # no git, or a very slow disk
        done = subprocess.run(
            command, capture_output=True, stdin=subprocess.DEVNULL, timeout=GIT_TIMEOUT, check=True
        )
        return done.stdout.decode().strip() or None
    return None
