"""What code ran, and where: read once per worker, cheaply, without starting a process.

It knows how to name a state of the code (a hash over the project's own Python files, the git
commit) and the interpreter. It refuses to judge whether a difference matters.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from modeldir._system import files
from modeldir.experiment import discovery

_SKIPPED = discovery.LIBRARIES | {"data", "experiments"}
_NAME_DASH = "[-_.]+"  # as PEP 503 has it: one name, whoever made the folder
_GIT_TIMEOUT = 10.0
_MOST_FILES = 2000
"""Beyond this a tree is a home folder or a monorepo, not a project: its hash would cost seconds."""


def interpreter() -> dict[str, str]:
    """The Python that runs this, by version and path."""
    return {"python": sys.version.partition(" ")[0], "executable": sys.executable}


Digests = dict[str, tuple[bytes, bytes]]
"""Files' bytes and their digests, by path."""


def code_hash(project: Path, known: Digests | None = None) -> str | None:
    """16 hex digits over the paths and bytes of the project's `.py` files; None if there are none.

    Folders that start with a dot, environments (a `pyvenv.cfg` in them), `data` and `experiments`
    are passed over, and so are experiment folders. With what is `known` from the last time, and
    noted there, each file is still read, but hashed only where its bytes are others: that is two
    thirds of the time.
    """
    from hashlib import sha256  # noqa: PLC0415 - who only trains asks for no hash

    known = {} if known is None else known
    digest = sha256()
    count = 0
    for path in _python_files(str(project)):
        count += 1
        if count > _MOST_FILES:
            known.clear()
            return None
        digest.update(os.path.relpath(path, project).encode("utf-8", "surrogateescape") + b"\0")
        text = files.read_bytes(path) or b""
        if path not in known or known[path][0] != text:
            known[path] = text, sha256(text).digest()
        digest.update(known[path][1])
    return digest.hexdigest()[:16] if count else None


def _python_files(folder: str) -> Iterator[str]:
    """Those of a folder by name, then those of each folder in it; links to folders are no part.

    Looked through once a second, where there may be thousands of experiments: of those a look at
    one name has to do.
    """
    try:
        with os.scandir(folder) as entries:
            there = sorted(entries, key=lambda entry: entry.name)
    except OSError:
        return
    yield from (each.path for each in there if each.name.endswith(".py") and not each.is_dir())
    for each in there:
        is_passed_over = each.name[0] in "._" or each.name in _SKIPPED
        if each.is_dir(follow_symlinks=False) and not is_passed_over and not _is_other(each.path):
            yield from _python_files(each.path)


def _is_other(folder: str) -> bool:
    """Whether it is an experiment or an environment."""
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
            command, capture_output=True, stdin=subprocess.DEVNULL, timeout=_GIT_TIMEOUT, check=True
        )
        return done.stdout.decode().strip() or None
    return None


def packages(prefix: str = sys.prefix) -> dict[str, str]:
    """The packages installed in an environment, name to version, by its folders' names."""
    found: dict[str, str] = {}
    for folder in _site_packages(prefix):
        with contextlib.suppress(OSError):
            for name in os.listdir(folder):
                stem, dot, suffix = name.rpartition(".")
                if dot and suffix in {"dist-info", "egg-info"} and "-" in stem:
                    package, _, version = stem.partition("-")
                    found[re.sub(_NAME_DASH, "-", package).lower()] = version
    return dict(sorted(found.items()))


def _site_packages(prefix: str) -> list[str]:
    library = os.path.join(prefix, "lib")
    with contextlib.suppress(OSError):
        return [
            os.path.join(library, name, "site-packages")
            for name in os.listdir(library)
            if name.startswith("python")
        ]
    return []


def environment() -> dict[str, Any]:
    """What `environment.json` holds: the interpreter, the platform, the installed packages."""
    import platform  # noqa: PLC0415

    return {**interpreter(), "platform": platform.platform(), "packages": packages()}
