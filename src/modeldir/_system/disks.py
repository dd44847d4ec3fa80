"""Find out whether a folder's disk can be written, without writing to it.

Commands that show a running trial, and `modeldir run` before it starts one, call `trouble`. What
happens to a trial whose end finds no room: `worker/supervisor.py`.
"""

from __future__ import annotations

import os

FULL, READ_ONLY = "its disk is full", "its disk is read-only"
_ROOM = 16384
"""Bytes that a run file and its temporary file may need."""


def trouble(folder: str | os.PathLike[str]) -> str | None:
    """Return why nothing can be written below a folder; None if its disk has room.

    A quota cannot be seen this way, so None is no promise.
    """
    try:
        status = os.statvfs(folder)
    except (AttributeError, OSError):  # Windows has no such call
        return None
    if status.f_flag & os.ST_RDONLY:
        return READ_ONLY
    is_full = status.f_blocks and status.f_bavail * status.f_frsize < _ROOM
    has_no_files_left = status.f_files and not status.f_favail
    return FULL if is_full or has_no_files_left else None


def unrecorded(folder: object, trouble: str) -> str:
    """Return the line about running trials on a disk that is in trouble.

    >>> unrecorded("experiments/search", "its disk is full")
    'experiments/search: its disk is full: the ends of trials cannot be recorded'
    """
    return f"{folder}: {trouble}: the ends of trials cannot be recorded"


def unrecorded_end(folder: str | os.PathLike[str]) -> str | None:
    """Return the warning about a running experiment whose disk is in trouble, else None."""
    found = trouble(folder)
    return found and f"warning: {found}: its end cannot be recorded"
