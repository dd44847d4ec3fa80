"""Find a program, and start one cheaply: by posix_spawn(3), without a fork in Python.

`worker.supervisor` starts each trial's command with `start_program`; checks of a command call
`find_program`. The rule: a program inherits no signal that Python ignores. Trials that start as a
fork of a process with preloaded modules: `worker.preload`.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Mapping

_STDIN, _STDOUT, _STDERR = range(3)


def start_program(
    words: tuple[str, ...], cwd: str, variables: Mapping[str, str | bytes], output: int
) -> int:
    """Start a program in a process group of its own, and in our session. Return its pid.

    It inherits our inheritable descriptors. This process changes to `cwd` to start it and is in
    `/` afterwards, so that it does not keep a disk from being unmounted.

    Args:
        words: the command line.
        cwd: the folder to start it in.
        variables: its environment.
        output: a descriptor for its standard output and error.

    Raises:
        OSError: there is no such program, it cannot be executed, its folder is gone, or no more
            processes are allowed.
        ValueError: a word contains a zero byte.
    """
    actions = (
        (os.POSIX_SPAWN_OPEN, _STDIN, os.devnull, os.O_RDWR, 0),
        (os.POSIX_SPAWN_DUP2, output, _STDOUT),
        (os.POSIX_SPAWN_DUP2, output, _STDERR),
    )
    refused = 0
    os.chdir(cwd)
    try:
        for path in _paths(words[0], variables):
            try:
                return os.posix_spawn(
                    path,
                    words,
                    variables,
                    file_actions=actions,
                    setpgroup=0,
                    setsigdef=_ignored_by_python(),
                )
            except OSError as error:  # try the next path; report the first program that was found
                if error.errno not in {errno.ENOENT, errno.ENOTDIR}:
                    refused = refused or error.errno or 0
    finally:
        os.chdir(os.sep)
    why = refused or errno.ENOENT
    raise OSError(why, os.strerror(why), words[0])


def find_program(program: str) -> str | None:
    """Return a program's path, as `shutil.which` does; `shutil` imports all compressors.

    >>> find_program("/bin/sh"), find_program("no such program")
    ('/bin/sh', None)
    """
    for path in _paths(program, os.environ):
        if os.path.isfile(path) and os.access(path, os.X_OK):
            return path
    return None


def _paths(program: str, variables: Mapping[str, str | bytes]) -> Iterator[str]:
    """Yield the paths where a program may be: its own path, or one in each folder of PATH."""
    if os.path.dirname(program):
        yield program
        return
    for folder in os.get_exec_path({"PATH": os.fsdecode(variables.get("PATH", os.defpath))}):
        path = os.path.join(folder, program)
        if os.path.lexists(path):
            yield path


def _ignored_by_python() -> list[int]:
    """Return the signals that Python ignores; other programs expect their default action."""
    import signal  # noqa: PLC0415 - not needed to find a program

    found = (getattr(signal, name, None) for name in ("SIGPIPE", "SIGXFSZ"))
    return [number for number in found if number is not None]
