"""Fork a trial's command from a process that has imported its modules.

A supervisor of the import process calls `fork_command`. The child then becomes what a new
interpreter would be: descriptors, signals, streams, random states and the supervisor's own modules
are put right, and the script runs (`run_script.py`). Whatever goes wrong before the script has
begun ends in an exec of the very command, so that it runs as a plain trial.

The order of steps matters: see `become_command`.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from modeldir._system.cpus import THREAD_VARIABLES
from modeldir.experiment import attempts
from modeldir.worker.preload import command_line, run_script
from modeldir.worker.preload.imports import ImportList, PreloadedModules

SIGNALS = tuple(map(int, signal.valid_signals()))
"""Listed once: to list them takes 50 us, and a fork a copy of the pages."""
_STDERR = 2
_GO = b"!"
_KEPT: list[object] = []
"""Objects that the script must not find. They stay alive: to destroy them copies their pages."""


@dataclass(frozen=True)
class Command:
    """A command as it would be started without preloading.

    `output` is a descriptor for what it prints. Those in `kept` stay open, all others are closed.
    """

    words: tuple[str, ...]
    cwd: str
    environment: Mapping[str, str]
    output: int
    kept: tuple[int, ...] = ()


def fork_command(
    command: Command, preloaded: PreloadedModules, fasten: Callable[[int], None]
) -> int:
    """Begin a command as a fork of this process. Returns its pid.

    The child waits at a gate until `fasten` has tethered it. If this process dies before that, the
    child leaves and has run nothing. Only we hold the other end of the gate: we fork nothing else
    meanwhile, and the child closes its copy first of all.

    Raises:
        OSError: no process can be made, or the command's folder is gone.
    """
    if not os.path.isdir(command.cwd):
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), command.cwd)
    gate, opener = os.pipe()
    # Our handlers would get a signal for the child until it has removed them.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        pid = os.fork()
        if pid == 0:
            os.close(opener)
            _begin(command, preloaded, gate)
        fasten(pid)
        with contextlib.suppress(BrokenPipeError):  # somebody has killed it
            os.write(opener, _GO)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        os.close(opener)
        os.close(gate)
    return pid


def _begin(command: Command, preloaded: PreloadedModules, gate: int) -> NoReturn:
    """Be the child. It lets signals through once it has removed our handlers."""
    try:
        os.setpgid(0, 0)  # before the gate opens, so that a signal to the group arrives
        if os.read(gate, 1) == _GO:
            signal.set_wakeup_fd(-1)
            become_command(command, preloaded)
    finally:
        os._exit(1)


def become_command(command: Command, preloaded: PreloadedModules) -> NoReturn:
    """Be the command's process, in a child that was just forked for it. Never returns.

    It leads a process group already. As with `Popen(stdin=DEVNULL)`, 0 to 2 are null and the
    output. The caller has checked that `cwd` exists.
    """
    try:
        os.chdir(command.cwd)
        _place_descriptors(command)
        _reset_signals()
        invocation = command_line.parse(command.words)
        if invocation is None or preloaded.imports is None or _has_other_threads(command):
            _execute(command)
        if not invocation.is_module and not run_script.is_readable(invocation.script):
            _execute(command)
        _take_environment(command.environment)
        _show_token(command.environment)
        _renew(preloaded.imports, command, invocation)
        sys.orig_argv[:] = [*command.words]
        preloaded.deferred.hide(_Restart(command))
    except BaseException:  # noqa: BLE001 - nothing of the script has run: an exec is as good
        _execute(command)
    run_script.run_as_main(
        invocation.words, is_module=invocation.is_module, libraries=preloaded.deferred.modules()
    )


def _execute(command: Command) -> NoReturn:
    """Execute the command itself, in this very process."""
    try:
        for descriptor in command.kept:
            os.set_inheritable(descriptor, True)
        words, environment = list(command.words), dict(command.environment)
        os.execvpe(words[0], words, environment)  # noqa: S606 - no shell is wanted
    except OSError as error:
        os.write(_STDERR, f"modeldir: cannot start {command.words[0]!r}: {error}\n".encode())
    finally:
        os._exit(127)


def _has_other_threads(command: Command) -> bool:
    """Whether libraries were loaded here for another number of threads than the command's."""
    return any(os.environ.get(name) != command.environment.get(name) for name in THREAD_VARIABLES)


class _Restart:
    """Called when the script changed something before an import that the import here lacked.

    If the script has written nothing yet, it is executed from its beginning. Otherwise it continues
    with a warning, and so does a process that it has forked.
    """

    def __init__(self, command: Command) -> None:
        self._command, self._writes, self._pid = command, _writes(), os.getpid()
        self._has_warned = False

    def __call__(self, module: str, what: str) -> None:
        is_untouched = self._writes is not None and _writes() == self._writes
        if is_untouched and os.getpid() == self._pid:
            with contextlib.suppress(OSError):
                os.chdir(self._command.cwd)
                _execute(self._command)
        if self._has_warned or sys.stderr is None:
            return
        self._has_warned = True
        sys.stderr.write(
            f"modeldir: {what} before {module} was imported, unlike in the first trial: this may "
            f"have no effect on {module} (--no-preload avoids that)\n"
        )


def _writes() -> bytes | None:
    """Return a line that counts this process's writes; None if the system has none."""
    with contextlib.suppress(OSError), open("/proc/self/io", "rb") as file:
        return next((line for line in file if line.startswith(b"syscw")), None)
    return None


# -- What the kernel knows -------------------------------------------------------------------------


def _place_descriptors(command: Command) -> None:
    """Set 0 to 2, let the kept ones be inherited as after an exec, and close all others."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 0)
    for descriptor in (1, 2):
        os.dup2(command.output, descriptor)
    for name in os.listdir("/proc/self/fd" if os.path.isdir("/proc/self/fd") else "/dev/fd"):
        descriptor = int(name)
        if descriptor > _STDERR and descriptor not in command.kept:
            with contextlib.suppress(OSError):  # the one that lists them
                os.close(descriptor)
    for descriptor in command.kept:
        os.set_inheritable(descriptor, True)


def _reset_signals() -> None:
    """Reset signals as an exec and then a new interpreter do.

    Handlers are removed, ignored signals stay ignored, and Ctrl-C raises `KeyboardInterrupt`.
    """
    signal.set_wakeup_fd(-1)
    for number in SIGNALS:
        if callable(signal.getsignal(number)):
            default = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
            with contextlib.suppress(OSError, ValueError):
                signal.signal(number, default)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())  # the caller may have blocked all until here


# -- What the interpreter knows --------------------------------------------------------------------


def _take_environment(environment: Mapping[str, str]) -> None:
    os.environ.clear()
    os.environ.update(environment)


def _show_token(environment: Mapping[str, str]) -> None:
    """Write the attempt's token where `/proc/PID/environ` shows it, also of all forks of this.

    That is the memory with which the import process was executed; `os.environ` is elsewhere. Thus a
    daemon that the script forks is found as the attempt's, though it has left the session.
    """
    token = environment.get(attempts.RUN_VARIABLE, "").partition(":")[0].encode()
    place = f"\0{attempts.FORK_VARIABLE}=".encode()
    if len(token) != len(attempts.NO_TOKEN):
        return
    with contextlib.suppress(OSError, ValueError, IndexError):  # only Linux has it
        with open("/proc/self/stat", "rb") as stat:
            start, end = map(int, stat.read().rpartition(b")")[2].split()[47:49])
        with open("/proc/self/mem", "r+b", buffering=0) as memory:
            found = os.pread(memory.fileno(), end - start, start).find(place)
            if found >= 0:
                os.pwrite(memory.fileno(), token, start + found + len(place))


def _renew(learned: ImportList, command: Command, invocation: command_line.Invocation) -> None:
    """Replace what would be new in a new process, and what belongs to the supervisor."""
    ours = [name for name in sys.modules if name.partition(".")[0] == "modeldir"]
    _KEPT.extend(sys.modules.pop(name) for name in ours)
    sys.path[:] = learned.path
    elsewhere = set(sys.path_importer_cache).difference(sys.path)
    _KEPT.extend(sys.path_importer_cache.pop(folder) for folder in elsewhere)
    by_variable = command.environment.get("PYTHONUNBUFFERED") and not sys.flags.ignore_environment
    _new_streams(unbuffered=bool(by_variable) or invocation.is_unbuffered)
    _seed()
    _forget_the_parent()


def _new_streams(*, unbuffered: bool) -> None:
    """Make the text streams anew, as `create_stdio` does in CPython's pylifecycle.c."""
    sys.stdin = sys.__stdin__ = _stream(0, sys.__stdin__, "r", unbuffered=unbuffered)  # type: ignore[misc]
    sys.stdout = sys.__stdout__ = _stream(1, sys.__stdout__, "w", unbuffered=unbuffered)  # type: ignore[misc]
    sys.stderr = sys.__stderr__ = _stream(2, sys.__stderr__, "w", unbuffered=unbuffered)  # type: ignore[misc]


def _stream(number: int, old: Any, mode: str, *, unbuffered: bool) -> io.TextIOWrapper:
    size = 0 if unbuffered and mode == "w" else -1
    buffer: Any = open(number, mode + "b", size, closefd=False)  # noqa: SIM115 - it stays open
    raw = buffer.raw if size else buffer
    raw.name = ("<stdin>", "<stdout>", "<stderr>")[number]
    stream: Any = io.TextIOWrapper(
        buffer,
        encoding=old.encoding if old is not None else "utf-8",
        errors=old.errors if old is not None else "strict",
        newline="\n",
        line_buffering=not unbuffered and (number == _STDERR or raw.isatty()),
        write_through=unbuffered,
    )
    stream.mode = mode
    return stream  # type: ignore[no-any-return]


def _seed() -> None:
    """Seed from the system, as a new process does. `random` does that itself at a fork."""
    numpy_random = sys.modules.get("numpy.random")
    if numpy_random is not None:
        numpy_random.seed()
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.default_generator.seed()  # CUDA's generators seed themselves when they are made


def _forget_the_parent() -> None:
    """Set anew what modules note when they are imported: the time, the folder, the user's files."""
    import time  # noqa: PLC0415 - built in

    logging: Any = sys.modules.get("logging")
    tempfile: Any = sys.modules.get("tempfile")
    if logging is not None:
        now = time.time_ns() if sys.version_info >= (3, 13) else time.time()
        logging._startTime = now  # noqa: SLF001 - records have the time since then
    if tempfile is not None:
        tempfile.tempdir = None
    process: Any = sys.modules.get("multiprocessing.process")
    if process is not None:
        process.ORIGINAL_DIR = os.getcwd()
