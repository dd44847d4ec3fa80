"""From a forked child to what a new interpreter would be, then the script.

It knows what a fork inherits that an exec would not: descriptors, signals, streams, random states,
the supervisor's own modules. It refuses to improvise: what goes wrong before the script has begun
ends in an exec of the very command, which is a cold trial.

It never returns.
"""

from __future__ import annotations

import contextlib
import io
import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from modeldir._system.cpus import THREAD_VARIABLES
from modeldir.worker.preload import command_line, run_script
from modeldir.worker.preload.imports import Ahead, Learned

SIGNALS = tuple(map(int, signal.valid_signals()))
"""Asked for once: to name them takes an enumeration 50 us, and a fork a copy of its pages."""
_STDERR = 2
_KEPT: list[object] = []
"""What the script must not find, and nobody destroys: each page of it would be copied for that."""


@dataclass(frozen=True)
class Trial:
    """A command as it would be started cold. `output` is a descriptor for what it prints; those in
    `kept` stay open, all others are closed.
    """

    command: tuple[str, ...]
    cwd: str
    environment: Mapping[str, str]
    output: int
    kept: tuple[int, ...] = ()


def become(trial: Trial, ahead: Ahead) -> NoReturn:
    """Be the trial's process, in a child that was just forked for it.

    As with `Popen(start_new_session=True, stdin=DEVNULL)`: a session and group of its own, 0 to 2
    are null and the output. The caller has looked that `cwd` is there.
    """
    try:
        os.setsid()
        os.chdir(trial.cwd)
        _place_descriptors(trial)
        _reset_signals()
        invocation = command_line.parse(trial.command)
        if invocation is None or ahead.learned is None or _has_other_threads(trial):
            _become_cold(trial)
        if not invocation.is_module and not run_script.is_readable(invocation.script):
            _become_cold(trial)
        _take_environment(trial.environment)
        _renew(ahead.learned, trial, invocation)
        sys.orig_argv[:] = [*trial.command]
        ahead.shelf.close_up(_Restart(trial))
    except BaseException:  # noqa: BLE001 - nothing of the script has run: a cold start is as good
        _become_cold(trial)
    run_script.run_as_main(
        invocation.words, is_module=invocation.is_module, libraries=ahead.shelf.modules()
    )


def _become_cold(trial: Trial) -> NoReturn:
    """The command itself, in this very process."""
    try:
        for descriptor in trial.kept:
            os.set_inheritable(descriptor, True)
        command, environment = list(trial.command), dict(trial.environment)
        os.execvpe(command[0], command, environment)  # noqa: S606 - no shell is wanted
    except OSError as error:
        os.write(_STDERR, f"modeldir: cannot start {trial.command[0]!r}: {error}\n".encode())
    finally:
        os._exit(127)


def _has_other_threads(trial: Trial) -> bool:
    """Whether this process has loaded libraries for another number of threads than the trial's."""
    return any(os.environ.get(name) != trial.environment.get(name) for name in THREAD_VARIABLES)


class _Restart:
    """What to do when a script has done before an import what this import was done without.

    As long as it has written nothing it may begin again, cold; after that it goes on, and says so,
    as does a process that it has forked.
    """

    def __init__(self, trial: Trial) -> None:
        self._trial, self._writes, self._pid = trial, _writes(), os.getpid()
        self._has_told = False

    def __call__(self, module: str, what: str) -> None:
        is_untouched = self._writes is not None and _writes() == self._writes
        if is_untouched and os.getpid() == self._pid:
            with contextlib.suppress(OSError):
                os.chdir(self._trial.cwd)
                _become_cold(self._trial)
        if self._has_told or sys.stderr is None:
            return
        self._has_told = True
        sys.stderr.write(
            f"modeldir: {what} before {module} was imported, otherwise than in the trial that was "
            "learned from: here it may have no effect on that (--cold avoids it)\n"
        )


def _writes() -> bytes | None:
    """How often this process has written anything; None where that cannot be told."""
    with contextlib.suppress(OSError), open("/proc/self/io", "rb") as file:
        return next((line for line in file if line.startswith(b"syscw")), None)
    return None


# -- What the kernel knows -------------------------------------------------------------------------


def _place_descriptors(trial: Trial) -> None:
    """0 to 2 as they should be, the kept ones inheritable as after an exec, nothing else."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 0)
    for descriptor in (1, 2):
        os.dup2(trial.output, descriptor)
    for name in os.listdir("/proc/self/fd" if os.path.isdir("/proc/self/fd") else "/dev/fd"):
        descriptor = int(name)
        if descriptor > _STDERR and descriptor not in trial.kept:
            with contextlib.suppress(OSError):  # the list's own
                os.close(descriptor)
    for descriptor in trial.kept:
        os.set_inheritable(descriptor, True)


def _reset_signals() -> None:
    """As an exec leaves them, and then a new interpreter: handlers are gone, what was ignored is
    ignored, Ctrl-C raises.
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


def _renew(learned: Learned, trial: Trial, invocation: command_line.Invocation) -> None:
    """What would be new in a new process, and what must not be the supervisor's."""
    ours = [name for name in sys.modules if name.partition(".")[0] == "modeldir"]
    _KEPT.extend(sys.modules.pop(name) for name in ours)
    sys.path[:] = learned.path
    elsewhere = set(sys.path_importer_cache).difference(sys.path)
    _KEPT.extend(sys.path_importer_cache.pop(folder) for folder in elsewhere)
    told = trial.environment.get("PYTHONUNBUFFERED") and not sys.flags.ignore_environment
    _new_streams(unbuffered=bool(told) or invocation.is_unbuffered)
    _seed()
    _forget_the_parent()


def _new_streams(*, unbuffered: bool) -> None:
    """The text layers that an interpreter makes: see `create_stdio` in CPython's pylifecycle.c."""
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
    """What a new process draws from the system: `random` does it itself at a fork."""
    numpy_random = sys.modules.get("numpy.random")
    if numpy_random is not None:
        numpy_random.seed()
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.default_generator.seed()  # CUDA's have not begun: they draw when they do


def _forget_the_parent() -> None:
    """Small things that modules note when they are imported: where, when and for whom."""
    import time  # noqa: PLC0415 - built in

    logging: Any = sys.modules.get("logging")
    tempfile: Any = sys.modules.get("tempfile")
    if logging is not None:
        now = time.time_ns() if sys.version_info >= (3, 13) else time.time()
        logging._startTime = now  # noqa: SLF001 - records tell the time since then
    if tempfile is not None:
        tempfile.tempdir = None
    process: Any = sys.modules.get("multiprocessing.process")
    if process is not None:
        process.ORIGINAL_DIR = os.getcwd()
