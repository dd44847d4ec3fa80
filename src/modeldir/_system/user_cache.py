"""Files in the user's own cache folder: never needed, and deleted by anybody at any time.

It knows where they may lie, and whose they are. It refuses to read what another user could have
written, and to know what is in them.
"""

from __future__ import annotations

import contextlib
import os
import stat
import zlib


def place(kind: str, key: str) -> str | None:
    """Where the file of one thing lies, among those of its kind; None where there is no place that
    is this user's own. Two things may have one place: what is read must tell whose it is.
    """
    if os.name != "posix":  # without owners
        return None
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    if not os.path.isabs(base):
        return None
    name = os.fsencode(key)
    return os.path.join(base, "modeldir", kind, f"{zlib.crc32(name):08x}{len(name):x}")


def is_ours(status: os.stat_result) -> bool:
    """Whether it belongs to this user, and nobody else may write there."""
    return status.st_uid == os.geteuid() and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def make_room(path: str) -> bool:
    """Make the folder that a file is to lie in; whether it is there, and this user's own."""
    folder = os.path.dirname(path)
    with contextlib.suppress(OSError):
        os.makedirs(folder, mode=0o700, exist_ok=True)
        return is_ours(os.stat(folder))
    return False


def read(path: str) -> bytes:
    """A file's bytes; none where it is not there, or another user could have written it."""
    with contextlib.suppress(OSError):
        if is_ours(os.stat(os.path.dirname(path))):
            with open(path, "rb", buffering=0, opener=_at_once) as file:
                status = os.fstat(file.fileno())
                if stat.S_ISREG(status.st_mode) and is_ours(status):
                    return file.readall()
    return b""


def _at_once(path: str, flags: int) -> int:
    """Where a pipe lies in a file's place nobody waits for who writes to it."""
    return os.open(path, flags | os.O_NONBLOCK)


def sweep(folder: str, most: int) -> None:
    """Take away what was not written for longest, down to so many files."""
    with os.scandir(folder) as entries:
        dated = sorted((each.stat().st_mtime_ns, each.path) for each in entries if each.is_file())
    for _, path in dated[:-most]:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
