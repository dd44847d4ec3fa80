"""A command that begins as a new program, at the least cost: by posix_spawn(3), without a fork.

It knows how a program is found and what of this process it must not inherit. It refuses to know
what is recorded of it, and how it is ended. A command that begins as a fork: see forks.py.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Mapping

_STDIN, _STDOUT, _STDERR = range(3)


def executed(
    words: tuple[str, ...], cwd: str, variables: Mapping[str, str | bytes], output: int
) -> int:
    """Begin a program: its pid. It leads a session; descriptors of ours that are inheritable, it
    has. To begin it in `cwd` is to go there: this process is in `/` afterwards,
    so that it keeps no disk from being taken away.

    Raises:
        OSError: there is no such program, or it cannot be executed; no process is to be had; its
            folder is gone.
        ValueError: a word holds a zero byte.
    """
    actions = (
        (os.POSIX_SPAWN_OPEN, _STDIN, os.devnull, os.O_RDWR, 0),
        (os.POSIX_SPAWN_DUP2, output, _STDOUT),
        (os.POSIX_SPAWN_DUP2, output, _STDERR),
    )
    refused = 0
    os.chdir(cwd)
    try:
        for path in _places(words[0], variables):
            try:
                return os.posix_spawn(
                    path,
                    words,
                    variables,
                    file_actions=actions,
                    setsid=True,
                    setsigdef=_ignored_by_python(),
                )
            except OSError as error:  # the next place; told is the first that was found, if any was
                if error.errno not in {errno.ENOENT, errno.ENOTDIR}:
                    refused = refused or error.errno or 0
    finally:
        os.chdir(os.sep)
    why = refused or errno.ENOENT
    raise OSError(why, os.strerror(why), words[0])


def found(program: str) -> str | None:
    """Where a program lies, as `shutil.which` has it: with that module come all compressors.

    >>> found("/bin/sh"), found("no such program")
    ('/bin/sh', None)
    """
    for place in _places(program, os.environ):
        if os.path.isfile(place) and os.access(place, os.X_OK):
            return place
    return None


def _places(program: str, variables: Mapping[str, str | bytes]) -> Iterator[str]:
    """Where a program may lie: at its path, or in the folders of its own PATH."""
    if os.path.dirname(program):
        yield program
        return
    for folder in os.get_exec_path({"PATH": os.fsdecode(variables.get("PATH", os.defpath))}):
        path = os.path.join(folder, program)
        if os.path.lexists(path):
            yield path


def _ignored_by_python() -> list[int]:
    """Signals that an interpreter ignores, and that a program expects to find as they are."""
    import signal  # noqa: PLC0415 - who begins programs has it; who only looks for one does without

    found = (getattr(signal, name, None) for name in ("SIGPIPE", "SIGXFSZ"))
    return [number for number in found if number is not None]
