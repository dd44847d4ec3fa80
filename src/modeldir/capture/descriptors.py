"""Everything that this process and its children print, by descriptor, also into a log file.

It knows descriptors 1 and 2: under each it puts a pseudo-terminal where there was a terminal, else
a pipe, and starts the process that reads them (`keeper`). So C code, children and `faulthandler`
are heard as well as `print`, and `isatty`, colours and the width stay what they were. It refuses to
know Python's stream objects (`streams`) and logging (`records`).

Start at `Capture`. What it takes care of, beyond starting and ending:

- The keeper may be killed. This process holds a second copy of each read end, so that nothing that
  is printed meanwhile is lost or ends the training, and starts another; it learns of the death by a
  signal that means nothing to anybody (SIGURG), since a thread that waits would make every later
  `fork` one of a threaded process. At the third death the file itself takes the pipe's place.
- A forked child has nothing to do with any of this but to print.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import stat
import sys
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from modeldir.logfile import Settings

_OUTPUT = (1, 2)
_ABOVE = 10
"""Where our descriptors begin: C code and shells take low numbers to be what they put there."""
_ANSWER_WITHIN = 5.0
_LIVES = 3
_START = (
    "import sys; sys.path.append(sys.argv[1]); from modeldir.capture.keeper import main; main({})"
)


class Unavailable(Exception):
    """Descriptors cannot be captured here; the argument says why."""


class Capture:
    """Descriptors 1 and 2, captured into an open file.

    Args:
        file: the log, open for appending. It stays the caller's.
        settings: how it is written.

    Raises:
        Unavailable: if no pipe, no process or no descriptor is to be had. Nothing has changed then.
    """

    def __init__(self, file: int, settings: Settings) -> None:
        self._pid = os.getpid()
        self._file, self._settings = file, settings
        self._noted = ""
        self._deaths = 0
        self._control: socket.socket | None = None
        self._saved: dict[int, int] = {}
        self._channels: list[_Channel] = []
        self._old_handler: Any = None
        self._flush()
        try:
            self._make()
        except (OSError, Unavailable) as error:
            self._put_back()
            raise Unavailable(getattr(error, "strerror", None) or str(error)) from error

    def _make(self) -> None:
        for descriptor in _OUTPUT:
            with contextlib.suppress(OSError):  # closed, as by `>&-`
                self._saved[descriptor] = _high(os.dup(descriptor))
        for descriptor in _OUTPUT:
            self._join(descriptor)
        self._start()
        for channel in self._channels:
            for descriptor in channel.descriptors:
                os.dup2(channel.entrance, descriptor)
            os.close(channel.entrance)
            channel.entrance = -1
        if not all(channel.terminal for channel in self._channels):
            line_by_line()  # on a terminal it is so anyway

    def _join(self, descriptor: int) -> None:
        """Into the channel of what is the same file (one keeps the order), else into a new one."""
        original = self._saved.get(descriptor)
        for channel in self._channels:
            if _same(channel.mirror, original):
                channel.descriptors.append(descriptor)
                return
        self._channels.append(_Channel(descriptor, original, into_file=_same(original, self._file)))

    def _start(self) -> None:
        """Start a keeper and tell it everything; also in the place of one that was killed."""
        control, theirs = map(_high_socket, socket.socketpair())
        try:
            _spawn(theirs.fileno())
            descriptors = [os.dup(self._file)]
            mirrors = []
            for channel in self._channels:
                has_mirror = channel.mirror is not None and not channel.into_file
                mirrors.append(has_mirror)
                descriptors.append(channel.source)
                descriptors += [channel.mirror] if has_mirror and channel.mirror is not None else []
            again = "# the process that keeps this log was killed; lines may be missing here"
            head = self._settings.head if self._deaths == 0 else ""
            message = {"do": "begin", **vars(self._settings), "mirrors": mirrors, "pid": self._pid}
            message |= {"head": head, "again": again, "noted": self._noted}
            self._control = control
            self._say(message, descriptors)
            os.close(descriptors[0])
            self._mind()
        finally:
            theirs.close()

    # -- The keeper's death --

    def _mind(self) -> None:
        """Have a signal sent to this process when the keeper's side of the socket closes."""
        assert self._control is not None
        try:
            import fcntl  # noqa: PLC0415 - not on Windows, where nothing of this is

            before = signal.getsignal(signal.SIGURG)
            if before != self._on_signal:
                self._old_handler = before
                signal.signal(signal.SIGURG, self._on_signal)
            fcntl.fcntl(self._control, fcntl.F_SETOWN, self._pid)
            if hasattr(fcntl, "F_SETSIG"):
                fcntl.fcntl(self._control, fcntl.F_SETSIG, signal.SIGURG)
            flags = fcntl.fcntl(self._control, fcntl.F_GETFL)
            fcntl.fcntl(self._control, fcntl.F_SETFL, flags | os.O_ASYNC)
        except (ValueError, OSError, AttributeError):
            # Signals are the main thread's. Elsewhere a thread has to wait.
            import threading  # noqa: PLC0415 - in this odd case only

            threading.Thread(target=self._wait_for_death, daemon=True).start()

    def _on_signal(self, number: int, frame: Any) -> None:
        if callable(self._old_handler):
            self._old_handler(number, frame)
        if os.getpid() == self._pid and self._control is not None and _is_over(self._control):
            self._replace()

    def _wait_for_death(self) -> None:
        control = self._control
        while control is not None and control is self._control:
            with contextlib.suppress(OSError, ValueError):
                if not control.recv(1, socket.MSG_PEEK):
                    self._replace()
                    return
            time.sleep(0.1)

    def _replace(self) -> None:
        assert self._control is not None
        self._control.close()
        self._control = None
        self._deaths += 1
        if self._deaths < _LIVES:
            with contextlib.suppress(OSError, Unavailable):
                self._start()
                return
        self._write_directly()

    def _write_directly(self) -> None:
        """The last resort: no terminal any more, but a log, and a training that goes on."""
        for channel in self._channels:
            for descriptor in channel.descriptors:
                os.dup2(self._file, descriptor)
            channel.empty_into(self._file)

    # -- What is said to it --

    def note(self, how: str) -> None:
        """Tell how the process will probably end: `exception ValueError`."""
        self._noted = how
        self._say({"do": "note", "how": how})

    def drain(self) -> None:
        """Wait until all that was printed is in the file, and where it would have gone."""
        if os.getpid() == self._pid:
            self._flush()
            if self._say({"do": "drain"}):
                self._wait_for_answer()

    def note_end(self) -> None:
        """Tell that the process ends as Python ends, not by a kill or a crash."""
        if not self._noted:
            self.note("ended")

    def switch(self, file: int, settings: Settings, how: str) -> bool:
        """Go on in another file; the first is finished. False if this is a forked child's."""
        if os.getpid() != self._pid:
            return False
        self._flush()
        self._file, self._settings = file, settings
        again = os.dup(file)
        try:
            if self._say({"do": "log", **vars(settings), "how": how, "again": ""}, [again]):
                self._wait_for_answer()
        finally:
            os.close(again)
        return True

    def close(self, how: str) -> None:
        """Put descriptors 1 and 2 back as they were. In a forked child there is nothing to do."""
        if os.getpid() != self._pid:
            return
        self._flush()
        for descriptor in _OUTPUT:
            if descriptor in self._saved:
                os.dup2(self._saved[descriptor], descriptor)
            else:
                os.close(descriptor)
        if self._say({"do": "close", "how": how}):
            self._wait_for_answer()
        self._put_back()

    def _say(self, message: dict[str, Any], descriptors: list[int] | None = None) -> bool:
        if self._control is None or os.getpid() != self._pid:
            return False
        data = json.dumps(message).encode() + b"\n"
        try:
            socket.send_fds(self._control, [data], descriptors or [])
        except OSError:
            return False  # it is dead: `_replace` comes
        return True

    def _wait_for_answer(self) -> None:
        """Not for ever: a log must not keep a training from its end."""
        deadline = time.monotonic() + _ANSWER_WITHIN
        while self._control is not None and time.monotonic() < deadline:
            control = self._control
            with contextlib.suppress(OSError):
                if not _readable(control, 0.5):
                    continue
                if control.recv(1):
                    return
                if control is self._control:  # it has died, and no signal has told
                    self._replace()

    @staticmethod
    def _flush() -> None:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError, AttributeError):
                stream.flush()

    # -- Ending --

    def _put_back(self) -> None:
        """Close all that is ours, descriptors 1 and 2 being what they were."""
        if self._control is not None:
            self._control.close()
            self._control = None
        with contextlib.suppress(ValueError, TypeError):
            if signal.getsignal(signal.SIGURG) == self._on_signal:
                signal.signal(signal.SIGURG, self._old_handler or signal.SIG_DFL)
        self.forget()

    def forget(self) -> None:
        """In a forked child, and at the end: close what only the one that captured needs."""
        for descriptor in self._saved.values():
            _close(descriptor)
        for channel in self._channels:
            _close(channel.source)
            _close(channel.entrance)
        self._saved, self._channels = {}, []
        if self._control is not None:
            self._control.close()
            self._control = None


def marks() -> list[str]:
    """What descriptors 1 and 2 are now (device and inode), for `is_marked` in a child."""
    return [_mark(descriptor) for descriptor in _OUTPUT]


def _mark(descriptor: int) -> str:
    status = os.fstat(descriptor)
    return f"{status.st_dev}:{status.st_ino}"


def is_marked(marks: list[str]) -> bool:
    """Whether descriptor 1 or 2 is what a parent's capture put there, so that it is heard."""
    for descriptor in _OUTPUT:
        with contextlib.suppress(OSError):
            if _mark(descriptor) in marks:
                return True
    return False


# -- Channels --------------------------------------------------------------------------------------


class _Channel:
    """A pipe or a pseudo-terminal: `entrance` is printed into, `source` is read by the keeper."""

    def __init__(self, descriptor: int, mirror: int | None, *, into_file: bool) -> None:
        self.descriptors = [descriptor]
        self.mirror, self.into_file = mirror, into_file
        self.terminal = mirror is not None and os.isatty(mirror)
        source, entrance = _pseudo_terminal(mirror) if self.terminal else os.pipe()  # type: ignore[arg-type] # a terminal is one
        self.source, self.entrance = _high(source), _high(entrance)
        if not self.terminal:
            _widen(self.source)

    def empty_into(self, file: int) -> None:
        """What was printed and nobody has read."""
        os.set_blocking(self.source, False)
        with contextlib.suppress(OSError):
            while data := os.read(self.source, 65536):
                os.write(file, data)


def _widen(pipe: int) -> None:
    """Room for what is printed while the keeper looks elsewhere."""
    import fcntl  # noqa: PLC0415 - not on Windows

    with contextlib.suppress(AttributeError, OSError):  # Linux has it; each user has so much
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, 1 << 20)


def _pseudo_terminal(original: int) -> tuple[int, int]:
    """A terminal like the original, which adds nothing to what passes: the original does."""
    import fcntl  # noqa: PLC0415 - not on Windows
    import termios  # noqa: PLC0415 - as above

    source, entrance = os.openpty()
    with contextlib.suppress(termios.error, OSError):
        attributes = termios.tcgetattr(original)
        attributes[1] &= ~termios.OPOST
        attributes[3] &= ~(termios.ECHO | termios.ECHONL)
        termios.tcsetattr(entrance, termios.TCSANOW, attributes)
        size = fcntl.ioctl(original, termios.TIOCGWINSZ, bytes(8))
        fcntl.ioctl(entrance, termios.TIOCSWINSZ, size)
    return source, entrance


def _same(left: int | None, right: int | None) -> bool:
    if left is None or right is None:
        return left is right
    here, there = os.fstat(left), os.fstat(right)
    if stat.S_ISCHR(here.st_mode) and stat.S_ISCHR(there.st_mode):
        return here.st_rdev == there.st_rdev and os.path.samestat(here, there)
    return os.path.samestat(here, there)


def _high(descriptor: int) -> int:
    """The same out of the way, and closed in programs that are started."""
    import fcntl  # noqa: PLC0415 - not on Windows

    high = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, _ABOVE)
    os.close(descriptor)
    return high


def _high_socket(low: socket.socket) -> socket.socket:
    return socket.socket(fileno=_high(low.detach()))


def _close(descriptor: int) -> None:
    if descriptor >= 0:
        with contextlib.suppress(OSError):
            os.close(descriptor)


def _is_over(control: socket.socket) -> bool:
    """Whether nobody is at the other end any more."""
    try:
        return _readable(control, 0.0) and not control.recv(1, socket.MSG_PEEK)
    except OSError:
        return True


def _readable(control: socket.socket, within: float) -> bool:
    poller = select.poll()
    poller.register(control, select.POLLIN)
    return bool(poller.poll(within * 1000))


def _spawn(control: int) -> None:
    """Start a keeper that is nobody's child: no zombie, and no `waitpid(-1)` meets it."""
    import subprocess  # noqa: PLC0415 - most scripts have it loaded, those that have not pay here

    if not sys.executable or getattr(sys, "frozen", False):
        raise Unavailable("there is no Python interpreter to start")
    package = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    keeper = [sys.executable, "-I", "-S", "-c", _START.format(control), package]
    try:
        subprocess.run(
            ["/bin/sh", "-c", '"$@" &', "sh", *keeper],
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            pass_fds=(control,),
            start_new_session=True,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise Unavailable(f"no process can be started: {error}") from error


def line_by_line() -> None:
    """Have Python and C write each line when it ends: a kill then loses none."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, ValueError, OSError):
            stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    with contextlib.suppress(Exception):  # no C library by that name, or one without it
        import ctypes  # noqa: PLC0415 - where output is a terminal it is not needed

        library = ctypes.CDLL(None)
        name = "__stdoutp" if sys.platform == "darwin" else "stdout"
        library.setvbuf(ctypes.c_void_p.in_dll(library, name), None, 1, 0)  # _IOLBF
