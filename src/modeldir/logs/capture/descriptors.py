"""Everything that this process and its children print, by descriptor, also into a log file.

It knows descriptors 1 and 2: under each it puts a pseudo-terminal where there was a terminal, else
a pipe, and starts the process that reads them (`keeper`). So C code, children and `faulthandler`
are heard as well as `print`, and `isatty`, colours and the width stay what they were. It refuses to
know Python's stream objects (`streams`) and logging (`records`).

Start at `Capture`. What it takes care of, beyond starting and ending:

- The keeper may be killed. This process holds a second copy of each read end, so that nothing that
  is printed meanwhile is lost or ends the training, and starts another; it learns of the death by a
  signal that means nothing to anybody (SIGURG), since a thread that waits would make every later
  `fork` one of a threaded process. At the third death the file itself takes the pipe's place; if
  none ever came to life, everything is put back and the caller is told.
- The script may close every descriptor that it finds, and open its own in their place: what is not
  ours any more is neither written to nor closed (`Held`).
- A forked child has nothing to do with any of this but to print.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import select
import signal
import socket
import stat
import sys
import time
from typing import TYPE_CHECKING, Any

from modeldir.logs.capture import buffer
from modeldir.logs.capture.held import Held
from modeldir.logs.logfile import LogFile

if TYPE_CHECKING:
    from collections.abc import Callable

    from modeldir.logs.logfile import Settings

_OUTPUT = (1, 2)
_ABOVE = 10
"""Where our descriptors begin: C code and shells take low numbers to be what they put there."""
_ANSWER_WITHIN = 5.0
_LIVES = 3
_DEAF = "trap '' HUP INT QUIT TERM;"
"""What is meant for the training (scancel, a supervisor's end) may come while the keeper starts."""
_NO_KEEPER = "the process that would keep it does not start"
_START = (
    "import sys; sys.path.append(sys.argv[1]); "
    "from modeldir.logs.capture.sidecar import main; main({})"
)


class Unavailable(Exception):
    """Descriptors cannot be captured here; the argument says why."""


class Capture:
    """Descriptors 1 and 2, captured into an open file.

    Args:
        file: the log, open for appending. It stays the caller's.
        settings: how it is written.
        lost: called if no keeper could be started after all, with what was printed meanwhile.
            Descriptors are what they were then.

    Raises:
        Unavailable: if no pipe, no process or no descriptor is to be had. Nothing has changed then.
    """

    def __init__(self, file: int, settings: Settings, lost: Callable[[bytes], None]) -> None:
        self._pid = os.getpid()
        self._file, self._settings, self._lost = Held(file), settings, lost
        self._noted = ""
        self._deaths, self._lived = 0, False
        self._told, self._made, self._gave_up = False, False, False
        self._asked, self._answered = 0, 0
        self._control: socket.socket | None = None
        self._mine: Held | None = None  # what `_control` is, as long as it is ours
        self._saved: dict[int, Held] = {}
        self._channels: list[_Channel] = []
        self._old_handler: Any = None
        self._flush()
        try:
            self._make()
        except (OSError, Unavailable) as error:
            self._take_back()
            self._put_back()
            raise Unavailable(getattr(error, "strerror", None) or str(error)) from error

    def _make(self) -> None:
        for descriptor in _OUTPUT:
            with contextlib.suppress(OSError):  # closed, as by `>&-`
                self._saved[descriptor] = Held(_high(os.dup(descriptor)))
        for descriptor in _OUTPUT:
            self._join(descriptor)
        self._start()
        for channel in self._channels:
            for descriptor in channel.descriptors:
                os.dup2(channel.entrance.number, descriptor)
            channel.entrance.close()
        if not all(channel.terminal for channel in self._channels):
            line_by_line()  # on a terminal it is so anyway
        self._made = True
        if self._control is None and not self._gave_up:
            raise Unavailable(_NO_KEEPER)

    def _join(self, descriptor: int) -> None:
        """Into the channel of what is the same file (one keeps the order), else into a new one."""
        held = self._saved.get(descriptor)
        original = None if held is None else held.number
        for channel in self._channels:
            if _same(channel.mirror, original):
                channel.descriptors.append(descriptor)
                return
        self._channels.append(
            _Channel(descriptor, original, into_file=_same(original, self._file.number))
        )

    def _start(self) -> None:
        """Start a keeper and tell it everything; also in the place of one that was killed."""
        sources = [channel.source for channel in self._channels]
        if not all(held.is_there() for held in (self._file, *sources)):
            raise Unavailable("the script has closed our descriptors")
        ours, theirs = map(_high_socket, socket.socketpair())
        with theirs:  # closed before anything is said: else we would wait for a keeper that fell
            try:
                _spawn(theirs.fileno())
            except BaseException:
                ours.close()
                raise
        descriptors, mirrors, rings = [self._file.number], [], []
        for channel in self._channels:
            mirror = None if channel.into_file else channel.mirror
            kept = channel.ring.number if channel.ring and channel.ring.is_there() else None
            mirrors.append(mirror is not None)
            rings.append(kept is not None)
            passed = (channel.source.number, mirror, kept)
            descriptors += [descriptor for descriptor in passed if descriptor is not None]
        again = "# the process that keeps this log was killed; another one goes on"
        head = self._settings.head if self._deaths == 0 else ""
        message = {"do": "begin", **vars(self._settings), "mirrors": mirrors, "pid": self._pid}
        message |= {"rings": rings, "head": head, "again": again, "noted": self._noted}
        self._control, self._mine = ours, Held(ours.fileno())
        self._mind()
        self._told = self._say(message, descriptors)
        self._hear()  # it may have fallen before a signal could have told

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
        if os.getpid() == self._pid:
            self._hear()

    def _wait_for_death(self) -> None:
        control = self._control
        while control is not None and control is self._control:
            with contextlib.suppress(OSError, ValueError):
                _readable(control, 1.0)
            self._hear()
            time.sleep(0.1)

    def _hear(self) -> None:
        """Take what the keeper has answered; replace it if it is dead."""
        control = self._our_control()
        while control is not None and control is self._control:
            try:
                answers = control.recv(256, socket.MSG_DONTWAIT)
            except (BlockingIOError, ValueError):
                return
            except OSError as error:  # ECONNRESET: it has not even read what it was told
                answers, self._told = b"", self._told and error.errno != errno.ECONNRESET
            if answers:
                self._answered = answers[-1]
            elif control is self._control:
                self._replace()
                return

    def _our_control(self) -> socket.socket | None:
        """The socket to the keeper, unless the script has closed it."""
        control, mine = self._control, self._mine
        if control is not None and mine is not None and not mine.is_there():
            self._control = None
            control.detach()
            return None
        return control

    def _replace(self) -> None:
        control, self._control = self._control, None
        if control is None:
            return  # a signal, or another thread, was quicker
        control.close()
        self._deaths += 1
        self._lived = self._lived or self._told
        if not self._made:
            return  # whoever makes it will see
        if self._deaths < _LIVES:
            with contextlib.suppress(OSError, Unavailable):
                self._start()
                return
        if self._lived:
            self._write_directly()
        else:
            self._give_up()

    def _write_directly(self) -> None:
        """The last resort: no terminal any more, but a log, and a training that goes on."""
        if not self._file.is_there():
            return
        for channel in self._channels:
            for descriptor in channel.descriptors:
                os.dup2(self._file.number, descriptor)
            self._write_remainder(channel)
            _write_all(self._file.number, channel.rest())

    def _write_remainder(self, channel: _Channel) -> None:
        """What the last keeper had read and not written."""
        from modeldir.logs.capture import recovery  # noqa: PLC0415 - a keeper's work, done here once

        if channel.ring is None or not channel.ring.is_there():
            return
        name, stamp = self._settings.name, self._settings.stamp
        left = buffer.Ring(os.dup(channel.ring.number), left=True)
        written = recovery.Written(name, left.noted, stamp=stamp)
        file = LogFile(os.dup(self._file.number), name, _unheard, stamp=stamp, torn=written.torn)
        transcript = recovery.resumed(left, file, written, self._settings.every)
        transcript.finish(time.time())
        file.close()

    def _give_up(self) -> None:
        """No keeper has ever lived: `sys.executable` is no Python, or one that does not start."""
        self._gave_up = True
        printed = self._take_back()
        self._put_back()
        self._lost(printed)

    def _take_back(self) -> bytes:
        """Put descriptors back, and what was printed and not read where it would have gone."""
        self._restore()
        printed = b""
        for channel in self._channels:
            rest = channel.rest()
            printed += rest
            if channel.mirror is not None and not channel.into_file:
                _write_all(channel.mirror, rest)
        return printed

    # -- What is said to it --

    def note(self, how: str) -> None:
        """Tell how the process will probably end: `exception ValueError`."""
        self._noted = how
        self._say({"do": "note", "how": how})

    def drain(self) -> None:
        """Wait until all that was printed is in the file, and where it would have gone."""
        if os.getpid() == self._pid:
            self._flush()
            self._ask({"do": "drain"})

    def note_end(self) -> None:
        """Tell that the process ends as Python ends, not by a kill or a crash."""
        if not self._noted:
            self.note("ended")

    def switch(self, file: int, settings: Settings, how: str) -> bool:
        """Go on in another file; the first is finished. False if this is a forked child's."""
        if os.getpid() != self._pid:
            return False
        self._flush()
        self._file, self._settings = Held(file), settings
        self._ask({"do": "log", **vars(settings), "how": how, "again": ""}, [file])
        return True

    def close(self, how: str) -> None:
        """Put descriptors 1 and 2 back as they were. In a forked child there is nothing to do."""
        if os.getpid() != self._pid:
            return
        self._flush()
        self._restore()
        self._ask({"do": "close", "how": how})
        self._put_back()

    def _restore(self) -> None:
        for channel in self._channels:
            for descriptor in channel.descriptors:
                saved = self._saved.get(descriptor)
                if saved is not None and saved.is_there():
                    os.dup2(saved.number, descriptor)
                elif saved is None:
                    _close(descriptor)

    def _ask(self, message: dict[str, Any], descriptors: list[int] | None = None) -> None:
        """Say it, and wait until it is done; if the keeper turns out to be dead, to the next."""
        for _ in range(_LIVES):
            self._asked = self._asked % 255 + 1
            if self._say({**message, "number": self._asked}, descriptors):
                if self._wait_for_answer(self._asked):
                    return
            elif self._our_control() is not None:
                self._replace()
            if message["do"] == "log":
                return  # a new keeper begins in that file

    def _say(self, message: dict[str, Any], descriptors: list[int] | None = None) -> bool:
        control = self._our_control()
        if control is None or os.getpid() != self._pid:
            return False
        data = json.dumps(message).encode() + b"\n"
        try:
            sent = socket.send_fds(control, [data], descriptors or [])
            control.sendall(data[sent:])  # a signal came in between
        except OSError:
            return False
        return True

    def _wait_for_answer(self, number: int) -> bool:
        """Not for ever: a log must not keep a training from its end. False if the keeper died."""
        control = self._control
        deadline = time.monotonic() + _ANSWER_WITHIN
        while control is self._control and control is not None:
            if (self._answered - number) % 255 < 128:  # noqa: PLR2004 - answered it, or a later one
                return True
            if time.monotonic() > deadline:
                return True
            with contextlib.suppress(OSError, ValueError):
                _readable(control, 0.5)
            self._hear()
        return self._control is None

    @staticmethod
    def _flush() -> None:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError, AttributeError):
                stream.flush()

    # -- Ending --

    def _put_back(self) -> None:
        """Close all that is ours, descriptors 1 and 2 being what they were."""
        self._hang_up()
        with contextlib.suppress(ValueError, TypeError):
            if signal.getsignal(signal.SIGURG) == self._on_signal:
                signal.signal(signal.SIGURG, self._old_handler or signal.SIG_DFL)
        self.forget()

    def forget(self) -> None:
        """In a forked child, and at the end: close what only the one that captured needs."""
        held = list(self._saved.values())
        for channel in self._channels:
            held += [channel.source, channel.entrance]
            held += [] if channel.ring is None else [channel.ring]
        for each in held:
            each.close()
        self._saved, self._channels = {}, []
        self._hang_up()

    def _hang_up(self) -> None:
        control = self._our_control()
        self._control = None
        if control is not None:
            control.close()


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
        try:
            self.source = Held(_high(source))
        except OSError:
            os.close(entrance)
            raise
        try:
            self.entrance = Held(_high(entrance))
        except OSError:
            self.source.close()
            raise
        if not self.terminal:
            _widen(self.source.number)
        memory = buffer.create()
        self.ring = None if memory is None else Held(_high(memory))

    def rest(self) -> bytes:
        """What was printed and nobody has read."""
        pieces: list[bytes] = []
        if self.source.is_there():
            os.set_blocking(self.source.number, False)
            with contextlib.suppress(OSError):
                while data := os.read(self.source.number, 65536):
                    pieces.append(data)
        return b"".join(pieces)


def _write_all(descriptor: int, data: bytes) -> None:
    with contextlib.suppress(OSError):
        while data:
            data = data[os.write(descriptor, data) :]


def _unheard(words: str) -> None:
    """The disk is full: whoever prints is told so by the file itself now."""


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

    try:
        return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, _ABOVE)
    finally:
        os.close(descriptor)


def _high_socket(low: socket.socket) -> socket.socket:
    return socket.socket(fileno=_high(low.detach()))


def _close(descriptor: int) -> None:
    if descriptor >= 0:
        with contextlib.suppress(OSError):
            os.close(descriptor)


def _readable(control: socket.socket, within: float) -> bool:
    poller = select.poll()
    poller.register(control, select.POLLIN)
    return bool(poller.poll(within * 1000))


def _spawn(control: int) -> None:
    """Start a keeper that is nobody's child: no zombie, and no `waitpid(-1)` meets it."""
    import subprocess  # noqa: PLC0415 - most scripts have it loaded, those that have not pay here

    if not sys.executable or getattr(sys, "frozen", False):
        raise Unavailable("there is no Python interpreter to start")
    package = os.path.abspath(__file__).rsplit(os.sep, 4)[0]
    keeper = [sys.executable, "-I", "-S", "-c", _START.format(control), package]
    try:
        subprocess.run(
            ["/bin/sh", "-c", f'{_DEAF} "$@" &', "sh", *keeper],
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
