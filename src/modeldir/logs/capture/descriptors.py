"""Capture descriptors 1 and 2: all that this process and its children print. See `Capture`.

Each is replaced by a pseudo-terminal or a pipe (`channels`), which the log writer (`log_writer`)
reads. The log writer may be killed, the script may close any descriptor (`OwnedDescriptor`), and a
forked child only prints: it never writes to the socket or puts anything back.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import signal
import socket
import stat
import sys
import time
from collections.abc import Callable
from typing import Any

from modeldir.logs.capture import buffer
from modeldir.logs.capture.channels import Channel, OwnedDescriptor, is_readable, moved_up
from modeldir.logs.logfile import LogFile, LogSettings, ignore

_OUTPUT = (1, 2)
_ANSWER_WITHIN = 5.0
"""Seconds to wait for an answer of the log writer."""
_MOST_STARTS = 3
_IGNORE_SIGNALS = "trap '' HUP INT QUIT TERM;"
"""While the log writer starts, a signal for the training process may come (e.g. from scancel)."""
NO_LOG_WRITER = "the log writer does not start"
_START = (
    "import sys; sys.path.append(sys.argv[1]); "
    "from modeldir.logs.capture.log_writer import main; main({})"
)


class Unavailable(Exception):
    """Raised if descriptors cannot be captured here; the argument says why."""


class Capture:
    """Descriptors 1 and 2, captured into an open file.

    This process holds a second copy of each read end, so nothing printed is lost when the log
    writer is killed, and SIGURG reports that. A waiting thread would make every later `fork` one of
    a multi-threaded process. After the third death the file takes the place of the pipes. If no log
    writer ever ran, everything is put back and `lost` is called with what was printed meanwhile.

    The class is large because all of it must be able to run inside one signal handler: each method
    depends on how far the others got with the same socket and channels.
    """

    def __init__(self, file: int, settings: LogSettings, lost: Callable[[bytes], None]) -> None:
        self._pid = os.getpid()
        self._file, self._settings, self._lost = OwnedDescriptor(file), settings, lost
        self._noted = ""
        self._deaths, self._ever_ran = 0, False
        self._begin_sent, self._is_made, self._gave_up = False, False, False
        self._request_number, self._answer_number = 0, 0
        self._control: socket.socket | None = None
        self._owned_control: OwnedDescriptor | None = None  # the descriptor of `_control`
        self._saved: dict[int, OwnedDescriptor] = {}
        self._channels: list[Channel] = []
        self._old_handler: Any = None
        flush_streams()
        try:
            self._make()
        except (OSError, Unavailable) as error:
            self._restore_and_print()
            self._close_all()
            raise Unavailable(getattr(error, "strerror", None) or str(error)) from error

    def _make(self) -> None:
        for descriptor in _OUTPUT:
            with contextlib.suppress(OSError):  # closed, as by `>&-`
                self._saved[descriptor] = OwnedDescriptor(moved_up(os.dup(descriptor)))
        for descriptor in _OUTPUT:
            self._join(descriptor)
        self._start()
        for channel in self._channels:
            for descriptor in channel.descriptors:
                os.dup2(channel.entrance.number, descriptor)
            channel.entrance.close()
        if not all(channel.terminal for channel in self._channels):
            line_by_line()  # a terminal is line-buffered anyway
        self._is_made = True
        if self._control is None and not self._gave_up:
            raise Unavailable(NO_LOG_WRITER)

    def _join(self, descriptor: int) -> None:
        """Use one channel for both descriptors if they are the same file, to keep the order."""
        held = self._saved.get(descriptor)
        original = None if held is None else held.number
        for channel in self._channels:
            if _same(channel.passthrough, original):
                channel.descriptors.append(descriptor)
                return
        self._channels.append(
            Channel(descriptor, original, into_file=_same(original, self._file.number))
        )

    def _start(self) -> None:
        """Start a log writer and tell it everything, also in place of one that was killed."""
        sources = [channel.source for channel in self._channels]
        if not all(held.is_ours() for held in (self._file, *sources)):
            raise Unavailable("the script closed modeldir's file descriptors")
        pair = socket.socketpair()
        ours, theirs = (socket.socket(fileno=moved_up(each.detach())) for each in pair)
        with theirs:  # closed before anything is sent: else we would wait for a dead log writer
            try:
                _spawn(theirs.fileno())
            except BaseException:
                ours.close()
                raise
        descriptors, passthroughs, rings = [self._file.number], [], []
        for channel in self._channels:
            passthrough = None if channel.into_file else channel.passthrough
            kept = channel.ring.number if channel.ring and channel.ring.is_ours() else None
            passthroughs.append(passthrough is not None)
            rings.append(kept is not None)
            passed = (channel.source.number, passthrough, kept)
            descriptors += [descriptor for descriptor in passed if descriptor is not None]
        again = "# the log writer was killed; a new one continues"
        head = self._settings.head if self._deaths == 0 else ""
        message = {
            "do": "begin",
            **vars(self._settings),
            "passthroughs": passthroughs,
            "pid": self._pid,
        }
        message |= {"rings": rings, "head": head, "again": again, "noted": self._noted}
        self._control, self._owned_control = ours, OwnedDescriptor(ours.fileno())
        self._watch_log_writer()
        self._begin_sent = self._send(message, descriptors)
        self._receive()  # it may have died before a signal could report it

    # -- The log writer's death --

    def _watch_log_writer(self) -> None:
        """Have a signal sent to this process when the log writer's side of the socket closes."""
        assert self._control is not None
        try:
            import fcntl  # noqa: PLC0415 - not on Windows, where this is not used

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
            # Only the main thread may set signal handlers. Elsewhere a thread has to wait.
            import threading  # noqa: PLC0415 - in this rare case only

            threading.Thread(target=self._wait_for_death, daemon=True).start()

    def _on_signal(self, number: int, frame: Any) -> None:
        if callable(self._old_handler):
            self._old_handler(number, frame)
        if os.getpid() == self._pid:
            self._receive()

    def _wait_for_death(self) -> None:
        control = self._control
        while control is not None and control is self._control:
            with contextlib.suppress(OSError, ValueError):
                is_readable(control.fileno(), 1.0)
            self._receive()
            time.sleep(0.1)

    def _receive(self) -> None:
        """Read the log writer's answers; replace it if it is dead."""
        control = self._our_control()
        while control is not None and control is self._control:
            try:
                answers = control.recv(256, socket.MSG_DONTWAIT)
            except (BlockingIOError, ValueError):
                return
            except OSError as error:  # ECONNRESET: it has not even read the message
                answers = b""
                self._begin_sent = self._begin_sent and error.errno != errno.ECONNRESET
            if answers:
                self._answer_number = answers[-1]
            elif control is self._control:
                self._replace()
                return

    def _our_control(self) -> socket.socket | None:
        control, owned = self._control, self._owned_control
        if control is not None and owned is not None and not owned.is_ours():
            self._control = None
            control.detach()
            return None
        return control

    def _replace(self) -> None:
        control, self._control = self._control, None
        if control is None:
            return  # a signal handler or another thread was faster
        control.close()
        self._deaths += 1
        self._ever_ran = self._ever_ran or self._begin_sent
        if not self._is_made:
            return  # `_make` will see it
        if self._deaths < _MOST_STARTS:
            with contextlib.suppress(OSError, Unavailable):
                self._start()
                return
        if self._ever_ran:
            self._write_directly()
        else:
            self._give_up()

    def _write_directly(self) -> None:
        """Let the descriptors lead into the file, as a last resort; the terminal gets nothing."""
        if not self._file.is_ours():
            return
        for channel in self._channels:
            for descriptor in channel.descriptors:
                os.dup2(self._file.number, descriptor)
            self._write_remainder(channel)
            _write_all(self._file.number, channel.rest())

    def _write_remainder(self, channel: Channel) -> None:
        if channel.ring is None or not channel.ring.is_ours():
            return
        name, stamp = self._settings.name, self._settings.stamp
        left = buffer.RingBuffer(os.dup(channel.ring.number), left=True)
        written = buffer.Written(name, left.noted, stamp=stamp)
        file = LogFile(os.dup(self._file.number), name, ignore, stamp=stamp, torn=written.torn)
        transcript = buffer.resumed(left, file, written, self._settings.every)
        transcript.finish(time.time())
        file.close()

    def _give_up(self) -> None:
        """Put everything back: `sys.executable` is not Python, or does not start."""
        self._gave_up = True
        printed = self._restore_and_print()
        self._close_all()
        self._lost(printed)

    def _restore_and_print(self) -> bytes:
        self._restore()
        printed = b""
        for channel in self._channels:
            rest = channel.rest()
            printed += rest
            if channel.passthrough is not None and not channel.into_file:
                _write_all(channel.passthrough, rest)
        return printed

    # -- Messages to it --

    def note(self, how: str) -> None:
        """Tell how the process will probably end, e.g. `exception ValueError`."""
        self._noted = how
        self._send({"do": "note", "how": how})

    def drain(self) -> None:
        """Wait until all that was printed is in the file and on the terminal."""
        if os.getpid() == self._pid:
            flush_streams()
            self._request({"do": "drain"})

    def note_end(self) -> None:
        """Tell that Python ends normally, not by a kill or a crash."""
        if not self._noted:
            self.note("ended")

    def switch(self, file: int, settings: LogSettings, how: str) -> bool:
        """Finish this file and continue in another. False if this is a forked child."""
        if os.getpid() != self._pid:
            return False
        flush_streams()
        self._file, self._settings = OwnedDescriptor(file), settings
        self._request({"do": "log", **vars(settings), "how": how, "again": ""}, [file])
        return True

    def close(self, how: str) -> None:
        if os.getpid() != self._pid:
            return
        flush_streams()
        self._restore()
        self._request({"do": "close", "how": how})
        self._close_all()

    def _restore(self) -> None:
        for channel in self._channels:
            for descriptor in channel.descriptors:
                saved = self._saved.get(descriptor)
                if saved is not None and saved.is_ours():
                    os.dup2(saved.number, descriptor)
                elif saved is None:
                    _close(descriptor)

    def _request(self, message: dict[str, Any], descriptors: list[int] | None = None) -> None:
        """Send a request and wait until it is done; if the log writer is dead, ask the next one."""
        for _ in range(_MOST_STARTS):
            self._request_number = self._request_number % 255 + 1
            if self._send({**message, "number": self._request_number}, descriptors):
                if self._wait_for_answer(self._request_number):
                    return
            elif self._our_control() is not None:
                self._replace()
            if message["do"] == "log":
                return  # a new log writer begins in that file

    def _send(self, message: dict[str, Any], descriptors: list[int] | None = None) -> bool:
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
        """Wait for an answer for a few seconds; false if the log writer died meanwhile."""
        control = self._control
        deadline = time.monotonic() + _ANSWER_WITHIN
        while control is self._control and control is not None:
            if (self._answer_number - number) % 255 < 128:  # noqa: PLR2004 - this, or later
                return True
            if time.monotonic() > deadline:
                return True
            with contextlib.suppress(OSError, ValueError):
                is_readable(control.fileno(), 0.5)
            self._receive()
        return self._control is None

    # -- Ending --

    def _close_all(self) -> None:
        self._close_socket()
        with contextlib.suppress(ValueError, TypeError):
            if signal.getsignal(signal.SIGURG) == self._on_signal:
                signal.signal(signal.SIGURG, self._old_handler or signal.SIG_DFL)
        self.forget()

    def forget(self) -> None:
        """Close what only the capturing process needs, in a forked child and at the end."""
        held = list(self._saved.values())
        for channel in self._channels:
            held += [channel.source, channel.entrance]
            held += [] if channel.ring is None else [channel.ring]
        for each in held:
            each.close()
        self._saved, self._channels = {}, []
        self._close_socket()

    def _close_socket(self) -> None:
        control = self._our_control()
        self._control = None
        if control is not None:
            control.close()


def marks() -> list[str]:
    return [_mark(descriptor) for descriptor in _OUTPUT]


def _mark(descriptor: int) -> str:
    status = os.fstat(descriptor)
    return f"{status.st_dev}:{status.st_ino}"


def is_marked(marks: list[str]) -> bool:
    """Return whether a parent's capture put descriptor 1 or 2 there, so that it is captured."""
    for descriptor in _OUTPUT:
        with contextlib.suppress(OSError):
            if _mark(descriptor) in marks:
                return True
    return False


def _write_all(descriptor: int, data: bytes) -> None:
    with contextlib.suppress(OSError):
        while data:
            data = data[os.write(descriptor, data) :]


def _same(left: int | None, right: int | None) -> bool:
    if left is None or right is None:
        return left is right
    here, there = os.fstat(left), os.fstat(right)
    if stat.S_ISCHR(here.st_mode) and stat.S_ISCHR(there.st_mode):
        return here.st_rdev == there.st_rdev and os.path.samestat(here, there)
    return os.path.samestat(here, there)


def _close(descriptor: int) -> None:
    if descriptor >= 0:
        with contextlib.suppress(OSError):
            os.close(descriptor)


def _spawn(control: int) -> None:
    """Start a log writer that is not our child: no zombie, and `waitpid(-1)` never returns it."""
    import subprocess  # noqa: PLC0415 - most scripts have loaded it; the others pay here

    if not sys.executable or getattr(sys, "frozen", False):
        raise Unavailable("there is no Python interpreter to start")
    package = os.path.abspath(__file__).rsplit(os.sep, 4)[0]
    command = [sys.executable, "-I", "-S", "-c", _START.format(control), package]
    try:
        subprocess.run(
            ["/bin/sh", "-c", f'{_IGNORE_SIGNALS} "$@" &', "sh", *command],
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


def flush_streams() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()


def line_by_line() -> None:
    """Make Python and C write each line when it ends, so that a kill loses none."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, ValueError, OSError):
            stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    with contextlib.suppress(Exception):  # there may be no such C library or symbol
        import ctypes  # noqa: PLC0415 - not needed on a terminal

        library = ctypes.CDLL(None)
        name = "__stdoutp" if sys.platform == "darwin" else "stdout"
        library.setvbuf(ctypes.c_void_p.in_dll(library, name), None, 1, 0)  # _IOLBF
