"""Which files make up a project's code: what git tracks, and new source files beside it.

`code_snapshots` copies them. The rule: no secret, no output of a training run and no data, and
never a walk through thousands of experiments. The hash of the Python files alone, by which metrics
count as comparable: `provenance.code_hash`.
"""

from __future__ import annotations

import contextlib
import fnmatch
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from modeldir.experiment.provenance import GIT_TIMEOUT, MOST_FILES, SKIPPED

LARGEST = 1 << 20
"""Bytes of a file; a larger one is data, and is left out."""
LARGEST_IN_ALL = 32 << 20
_MOST_FOLDERS = 1000
MARKS_OF_OTHERS = (
    "params.json", "search.json", "run.json", "pyvenv.cfg", ".git", ".modeldir",
)  # fmt: skip
"""A folder with one of these is an experiment, a search, an environment or a repository."""

_SOURCE = frozenset({
    ".py", ".pyi", ".pyx", ".pxd", ".ipynb", ".sh", ".bash", ".c", ".cc", ".cpp", ".cxx", ".cu",
    ".cuh", ".h", ".hpp", ".rs", ".go", ".jl", ".lua", ".r", ".yaml", ".yml", ".toml", ".cfg",
    ".ini", ".gin", ".lock", ".sql", ".proto",
})  # fmt: skip
_SOURCE_NAMES = ("makefile", "dockerfile*", "requirements*.txt", "environment*.txt", "pipfile")
"""New files that count. Others are outputs more often than code, until git tracks them."""
_SECRET = (
    ".env", ".env.*", "*.env", ".netrc", ".pypirc", ".npmrc", "*.pem", "*.key", "*.p12", "*.pfx",
    "id_rsa*", "id_dsa*", "id_ecdsa*", "id_ed25519*", "*credential*", "*secret*", "kaggle.json",
    "*service-account*.json", "*service_account*.json", "*.keytab", "*.kdbx", "token", "*.token",
)  # fmt: skip


@dataclass(frozen=True)
class SourceFile:
    """A file of a project: its path below the project's folder, and what `os.stat` says of it."""

    path: str
    size: int
    mtime_ns: int
    inode: int
    is_executable: bool


@dataclass(frozen=True)
class CodeFiles:
    """The files of a project, sorted by path. `left_out` are paths with the reason in words."""

    files: tuple[SourceFile, ...]
    left_out: tuple[tuple[str, str], ...] = ()


def root_of(folder: Path) -> Path:
    """Return the folder that holds the project's code: the git repository around a folder, if any.

    A repository that is or holds the user's home folder is not that of a project.
    """
    home = Path(os.path.expanduser("~"))
    for above in (folder, *folder.parents):
        if above == home or above in home.parents:
            break
        if (above / ".git").exists():
            return above
    return folder


def code_files(root: Path) -> CodeFiles | None:
    """Return the files of a project; None if there are too many to be those of one.

    In a git repository these are the tracked files, and the new source files that git does not
    ignore. Elsewhere these are all source files. Hidden folders, environments, `data`,
    `experiments` and folders that are experiments are skipped, except for what git tracks there.
    """
    new = _walked(root)
    if new is None:
        return None
    tracked = _git(root, "ls-files", "-z") if (root / ".git").exists() else None
    if tracked is not None:
        others = set(new) - set(tracked)
        new = [*tracked, *(others - set(_ignored(root, others)))]
    if len(new) > MOST_FILES:
        return None
    found: list[SourceFile] = []
    left_out: list[tuple[str, str]] = []
    room = LARGEST_IN_ALL
    is_link: dict[str, bool] = {}
    for path in sorted(set(new)):
        if ".modeldir" in path.split("/"):
            continue  # tracked by git: copies of the code, which would hold copies of copies
        file = None if _is_behind_link(root, path, is_link) else _source_file(root, path)
        if is_secret(path):
            left_out.append((path, "its name is that of a secret"))
        elif file is None:
            continue  # a link, a pipe, or removed from the folder but not from git
        elif file.size > LARGEST:
            left_out.append((path, "it is larger than 1 MB"))
        elif file.size > room:
            left_out.append((path, "the files have more than 32 MB in all"))
        else:
            room -= file.size
            found.append(file)
    return CodeFiles(tuple(found), tuple(left_out))


def is_secret(path: str) -> bool:
    """Return whether a file's name says that it may hold a password or a key."""
    name = os.path.basename(path).lower()
    is_code = os.path.splitext(name)[1] in {".py", ".pyi", ".ipynb", ".sh"}
    return not is_code and any(fnmatch.fnmatchcase(name, each) for each in _SECRET)


def _is_behind_link(root: Path, path: str, known: dict[str, bool]) -> bool:
    """Return whether a link has taken the place of a folder that git tracks; it may lead out."""
    folder = os.path.dirname(path)
    if not folder:
        return False
    if folder not in known:
        known[folder] = os.path.islink(root / folder) or _is_behind_link(root, folder, known)
    return known[folder]


def _source_file(root: Path, path: str) -> SourceFile | None:
    try:
        status = os.lstat(os.path.join(root, path))
    except OSError:
        return None
    if not stat.S_ISREG(status.st_mode):
        return None
    is_executable = bool(status.st_mode & stat.S_IXUSR)
    return SourceFile(path, status.st_size, status.st_mtime_ns, status.st_ino, is_executable)


def _walked(root: Path) -> list[str] | None:
    """Return the source files below a folder; None if there are too many files or folders."""
    found: list[str] = []
    folders = [""]
    seen = 0
    while folders:
        here = folders.pop()
        seen += 1
        if seen > _MOST_FOLDERS or len(found) > MOST_FILES:
            return None
        for name, is_folder in _entries(os.path.join(root, here)):
            path = os.path.join(here, name)
            if is_folder:
                is_skipped = name[0] in "._" or name in SKIPPED
                if not is_skipped and not is_of_other(os.path.join(root, path)):
                    folders.append(path)
            elif is_source(name):
                found.append(path)
    return found


def _entries(folder: str) -> Iterator[tuple[str, bool]]:
    """Yield the names in a folder, and which are folders; links are left out."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for each in entries:
            if not each.is_symlink():
                yield each.name, each.is_dir(follow_symlinks=False)


def is_source(name: str) -> bool:
    """Return whether a new file of this name counts as code."""
    low = name.lower()
    return os.path.splitext(low)[1] in _SOURCE or any(
        fnmatch.fnmatchcase(low, each) for each in _SOURCE_NAMES
    )


def is_of_other(folder: str) -> bool:
    """Return whether a folder is an experiment, a search, an environment or a repository."""
    return any(os.path.lexists(os.path.join(folder, name)) for name in MARKS_OF_OTHERS)


# -- Git -------------------------------------------------------------------------------------------


def _ignored(root: Path, paths: set[str]) -> list[str]:
    if not paths:
        return []
    text = b"\0".join(os.fsencode(path) for path in sorted(paths))
    return _git(root, "check-ignore", "-z", "--stdin", given=text) or []


def _git(root: Path, *words: str, given: bytes = b"") -> list[str] | None:
    """Return the paths that a git command prints; None if git fails."""
    import subprocess  # noqa: PLC0415 - not needed outside of a repository

    # Naming the repository also reads one that belongs to another user, as in a container. Its
    # settings could name programs to run (`core.fsmonitor`), so those are switched off.
    command = [
        "git", f"--git-dir={root / '.git'}", f"--work-tree={root}",
        "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", *words,
    ]  # fmt: skip
    try:
        done = subprocess.run(
            command, cwd=root, input=given, capture_output=True, timeout=GIT_TIMEOUT, check=False
        )
    except (OSError, subprocess.SubprocessError):  # no git, or a very slow disk
        return None
    if done.returncode not in {0, 1}:  # `check-ignore` says with 1 that no path is ignored
        return None
    return [os.fsdecode(path) for path in done.stdout.split(b"\0") if path]
