"""Files of this user alone, outside of all experiments: in the cache folder and the state folder.

`worker.preload.import_cache` keeps in the cache what a script imports; it may be deleted at any
time. `launchers.trusted_commands` keeps in the state folder what the user allows. Start at
`cache_file` and `state_file`. The rule: never read a file that another user could have written,
because its contents decide what is imported or run.
"""

from __future__ import annotations

import contextlib
import os
import stat
import zlib

from modeldir._system import reading


def cache_file(kind: str, key: str) -> str | None:
    """Return the path of the cache file for a key; None if this user has no cache folder.

    Two keys may have the same path, so the file itself must say which key it is for.
    """
    folder = _folder("XDG_CACHE_HOME", "~/.cache")
    name = os.fsencode(key)
    return folder and os.path.join(folder, kind, f"{zlib.crc32(name):08x}{len(name):x}")


def state_file(name: str) -> str | None:
    """Return the path of a file in the state folder; None if this user has no such folder."""
    folder = _folder("XDG_STATE_HOME", "~/.local/state")
    return folder and os.path.join(folder, name)


def _folder(variable: str, default: str) -> str | None:
    base = os.environ.get(variable) or os.path.expanduser(default)
    is_known = os.name == "posix" and os.path.isabs(base)  # elsewhere files have no owners
    return os.path.join(base, "modeldir") if is_known else None


def is_ours(status: os.stat_result) -> bool:
    """Whether a file or folder belongs to this user, and nobody else may write to it."""
    return status.st_uid == os.geteuid() and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def is_own(path: str | os.PathLike[str]) -> bool:
    """Whether a file or folder belongs to this user. Others may be able to write to it.

    Raises:
        OSError: if it does not exist.
    """
    return os.name != "posix" or os.stat(path).st_uid == os.geteuid()


def make_folder_of(path: str) -> bool:
    """Make the folder of a file. Returns whether it is there and belongs to this user alone."""
    folder = os.path.dirname(path)
    with contextlib.suppress(OSError):
        os.makedirs(folder, mode=0o700, exist_ok=True)
        return is_ours(os.stat(folder))
    return False


def read(path: str) -> bytes:
    """Return a file's bytes; none if it does not exist, or another user could have written it."""
    with contextlib.suppress(OSError):
        if is_ours(os.stat(os.path.dirname(path))):
            descriptor, status = reading.open_regular(path, reading.RECORD)
            with os.fdopen(descriptor, "rb", buffering=0) as file:
                if is_ours(status):
                    return file.readall()
    return b""


def remove_oldest(folder: str, most: int) -> None:
    """Remove the files that were not written for longest, until `most` are left."""
    with os.scandir(folder) as entries:
        dated = sorted((each.stat().st_mtime_ns, each.path) for each in entries if each.is_file())
    for _, path in dated[:-most]:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
