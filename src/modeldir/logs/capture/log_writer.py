"""The log writer: a small process beside the training process that writes its log.

It must not hurt the training run: it ignores signals meant for that, waits for no stopped terminal,
and stays as long as any process can print. A thread would hang when C code prints holding the
interpreter's lock; if `tee` dies, training dies of it. Start reading at `_LogWriter.run`.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import time

from modeldir.logs.capture.buffer import RingBuffer, Written, resumed
from modeldir.logs.capture.channels import is_readable
from modeldir.logs.capture.exit_status import WatchedProcess
from modeldir.logs.capture.passthrough import STOPPED_AFTER, Passthrough
from modeldir.logs.logfile import LogFile, session_end, session_start
from modeldir.logs.transcript import Transcript

TYPE_CHECKING = False  # like typing's; importing typing takes too long here

if TYPE_CHECKING:
    from typing import Any

_DRAINED_WITHIN = 2.0
_MOST_UNREAD = 1 << 20
"""Bytes that a pipe can hold, as `channels` opens them."""
_WINDOW_EVERY = 0.25
_QUICK, _GATHER, _GATHER_TERMINAL = 0.001, 0.002, 0.0005
"""Seconds. A terminal holds only about 20 KiB and would be full within 2 ms."""


def main(descriptor: int) -> None:
    """Write the log of the process at the other end of this socket until nothing can print."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGTSTP", "SIGTTOU", "SIGPIPE"):
        signal.signal(getattr(signal, name), signal.SIG_IGN)
    _LogWriter(socket.socket(fileno=descriptor)).run()


class _ChannelReader:
    """The log writer's side of a `Channel`: its read end, its passthrough, its transcript."""

    def __init__(self, source: int, ring: RingBuffer, passthrough: Passthrough | None) -> None:
        os.set_blocking(source, False)
        self.source, self.ring, self.passthrough = source, ring, passthrough
        self.transcript: Transcript
        self.file: LogFile
        self.terminal = os.isatty(source)
        self.window = self.terminal and passthrough is not None
        self._size, self._looked = b"", 0.0
        self.ended = False  # no process can print there any more; the passthrough may lack the rest

    def use(self, transcript: Transcript, file: LogFile) -> None:
        self.transcript, self.file = transcript, file
        self.note()

    def read(self) -> bool:
        """Read and write what is there; false when no process holds the other side any more."""
        if self.passthrough is not None:
            self.passthrough.make_room()
        is_open = self._read_into_buffer()
        if self.ring.head > self.ring.fed:
            self.transcript.feed(self.ring.unfed(), time.time())
            self.note()
            self.pass_on()
        return is_open

    def _read_into_buffer(self) -> bool:
        """Read once, but a terminal until it is empty: it gives only 4 KiB at a time."""
        while self.ring.room:
            try:
                size = self.ring.read_from(self.source)
            except BlockingIOError:
                return True
            except OSError:  # EIO: no process has the terminal open
                size = 0
            if not size:
                return False
            if not self.terminal:
                return True
        return True

    def note(self) -> None:
        self.ring.feed_done(self.transcript.unfinished, self.file.size)

    def pass_on(self) -> None:
        if self.passthrough is None:
            self.ring.take_all()
        else:
            self.passthrough.push()

    def tick(self, now: float) -> None:
        due = self.transcript.due
        if due is not None and due <= now:
            self.transcript.tick(now)
            self.note()

    def finish(self) -> None:
        self.transcript.finish(time.time())
        self.note()

    def end(self) -> None:
        """Close the read end: no process can print here any more."""
        self.finish()
        os.close(self.source)
        self.ended = True

    @property
    def is_done(self) -> bool:
        """Whether the passthrough has everything too, or does not take it."""
        passthrough = self.passthrough
        return self.ended and (passthrough is None or not passthrough.behind or passthrough.stopped)

    def close(self) -> None:
        """Close the passthrough, so that whatever reads the output sees its end."""
        if self.passthrough is not None:
            os.close(self.passthrough.descriptor)

    def drain(self) -> None:
        """Read what was printed before this call, but no more: a child may print forever."""
        left, deadline = _MOST_UNREAD, time.monotonic() + _DRAINED_WITHIN
        while not self.ended and left > 0 and is_readable(self.source):
            before = self.ring.head
            if not self.read():
                self.end()
            left -= self.ring.head - before
            if time.monotonic() > deadline:
                break

    def follow_window(self) -> None:
        """Give the pseudo-terminal the size of the real one. No signal reports its changes here."""
        now = time.monotonic()
        if self.window and self.passthrough is not None and now - self._looked > _WINDOW_EVERY:
            self._looked = now
            import fcntl  # noqa: PLC0415 - only where there is a terminal
            import termios  # noqa: PLC0415 - as above

            try:
                size = fcntl.ioctl(self.passthrough.descriptor, termios.TIOCGWINSZ, bytes(8))
                if size != self._size:
                    fcntl.ioctl(self.source, termios.TIOCSWINSZ, size)
                    self._size = size
            except OSError:
                self.window = False


class _LogWriter:
    def __init__(self, control: socket.socket) -> None:
        self._control: socket.socket | None = control
        self._received, self._descriptors = b"", list[int]()
        self._channels: list[_ChannelReader] = []
        self._file: LogFile | None = None
        self._training: WatchedProcess | None = None
        self._every, self._woken = 30.0, 0.0

    def run(self) -> None:
        while self._control is not None or self._channels or self._training is not None:
            for descriptor in self._ready():
                self._attend(descriptor)
            self._gather()
            now = time.time()
            for channel in self._channels:
                channel.tick(now)
                channel.follow_window()
            if self._training is not None and self._control is None:
                self._write_end_if_gone(self._training)
            for channel in [channel for channel in self._channels if channel.is_done]:
                self._channels.remove(channel)
                channel.close()
        self._finish_lines()

    def _gather(self) -> None:
        """Let lines gather while they come fast: each wake-up costs the training run."""
        now = time.monotonic()
        if now - self._woken < _QUICK:
            terminal = any(channel.terminal for channel in self._channels)
            time.sleep(_GATHER_TERMINAL if terminal else _GATHER)
        self._woken = time.monotonic()

    def _ready(self) -> list[int]:
        poller = select.poll()
        if self._control is not None:
            poller.register(self._control, select.POLLIN)
        for channel in self._channels:
            passthrough = channel.passthrough
            if not channel.ended and (passthrough is None or not passthrough.full):
                poller.register(channel.source, select.POLLIN)
            if passthrough is not None and passthrough.behind:
                poller.register(passthrough.descriptor, select.POLLOUT)
        if self._training is not None and self._training.handle is not None:
            poller.register(self._training.handle, select.POLLIN)
        return [descriptor for descriptor, _ in poller.poll(self._timeout() * 1000)]

    def _timeout(self) -> float:
        now = time.time()
        waits = [60.0]
        for channel in self._channels:
            due = channel.transcript.due
            waits += [] if due is None else [due - now]
            waits += [_WINDOW_EVERY] if channel.window else []
            waits += (
                [STOPPED_AFTER / 4] if channel.passthrough and channel.passthrough.behind else []
            )
        if self._training is not None and self._control is None and self._training.handle is None:
            waits.append(0.05)
        return max(0.0, min(waits))

    def _attend(self, descriptor: int) -> None:
        if self._control is not None and descriptor == self._control.fileno():
            self._receive()
            return
        if self._training is not None and descriptor == self._training.handle:
            self._write_end_if_gone(self._training)
            return
        for channel in list(self._channels):
            if channel.passthrough is not None and descriptor == channel.passthrough.descriptor:
                channel.passthrough.push()
            elif descriptor == channel.source and not channel.ended and not channel.read():
                channel.end()

    # -- Messages from the training process --

    def _receive(self) -> None:
        assert self._control is not None
        try:
            data, descriptors, _, _ = socket.recv_fds(self._control, 65536, 16)
        except OSError:
            data, descriptors = b"", []
        self._descriptors += descriptors
        self._received += data
        if not data:
            self._control.close()  # it ended, or became another program
            self._control = None
        while b"\n" in self._received:
            line, _, self._received = self._received.partition(b"\n")
            self._handle(json.loads(line))

    def _handle(self, message: dict[str, Any]) -> None:
        request = message["do"]
        if request == "begin":
            self._begin(message)
        elif request == "log":
            self._switch(message)
        elif request == "note" and self._training is not None:
            self._training.noted = message["how"]
        elif request == "drain":
            self._drain()
            self._answer(message["number"])
        elif request == "close":
            self._drain()
            self._finish_lines()
            if self._file is not None and self._training is not None:
                self._file.write_own(session_end(self._training.pid, message["how"]))
            self._answer(message["number"])
            self._training = None  # its children may still print

    def _begin(self, message: dict[str, Any]) -> None:
        self._every = message["every"]
        self._training = WatchedProcess(message["pid"], message["noted"])
        again = not message["head"]
        file = self._descriptors.pop(0)
        for has_passthrough, has_ring in zip(
            message["passthroughs"], message["rings"], strict=True
        ):
            source = self._descriptors.pop(0)
            passthrough = self._descriptors.pop(0) if has_passthrough else None
            ring = RingBuffer(self._descriptors.pop(0) if has_ring else None, left=again)
            onward = None if passthrough is None else Passthrough(passthrough, ring)
            self._channels.append(_ChannelReader(source, ring, onward))
        if again:
            self._take_over(file, message)
        else:
            self._use(self._opened(file, message))

    def _take_over(self, descriptor: int, message: dict[str, Any]) -> None:
        name, stamp = message["name"], message["stamp"]
        written = [Written(name, channel.ring.noted, stamp=stamp) for channel in self._channels]
        torn = any(lines.torn for lines in written)
        self._file = file = self._opened(descriptor, {**message, "torn": torn})
        for channel, lines in zip(self._channels, written, strict=True):
            channel.use(resumed(channel.ring, file, lines, self._every), file)
            channel.pass_on()

    def _switch(self, message: dict[str, Any]) -> None:
        self._drain()
        self._finish_lines()
        if self._file is not None and self._training is not None:
            self._file.write_own(session_end(self._training.pid, message["how"]))
            self._file.close()
        self._every = message["every"]
        self._use(self._opened(self._descriptors.pop(0), message))
        self._answer(message["number"])

    def _opened(self, descriptor: int, message: dict[str, Any]) -> LogFile:
        file = LogFile(
            descriptor,
            message["name"],
            self._warn,
            stamp=message["stamp"],
            torn=message["torn"],
        )
        file.write_own(session_start(message["head"]) if message["head"] else message["again"])
        return file

    def _use(self, file: LogFile) -> None:
        self._file = file
        for channel in self._channels:
            channel.use(Transcript(file, self._every), file)

    def _warn(self, message: str) -> None:
        passthroughs = [
            channel.passthrough for channel in self._channels if channel.passthrough is not None
        ]
        if passthroughs:
            # The last one is standard error's, if there are two.
            passthroughs[-1].write_message(f"{message}\n".encode())

    def _answer(self, number: int) -> None:
        if self._control is not None:
            with contextlib.suppress(OSError):  # nothing waits for the answer any more
                self._control.sendall(bytes([number]))

    # -- Endings --

    def _drain(self) -> None:
        for channel in self._channels:
            channel.drain()
        for channel in self._channels:
            self._push_out(channel)

    def _push_out(self, channel: _ChannelReader) -> None:
        """Write to a passthrough what it lacks, but wait only a few seconds for it."""
        passthrough = channel.passthrough
        deadline = time.monotonic() + STOPPED_AFTER / 4
        while passthrough is not None and passthrough.behind and time.monotonic() < deadline:
            select.select([], [passthrough.descriptor], [], 0.1)
            passthrough.push()

    def _finish_lines(self) -> None:
        for channel in self._channels:
            channel.finish()

    def _write_end_if_gone(self, training: WatchedProcess) -> None:
        """Write the log's last line if the training process has ended. Others may still print."""
        if not training.is_gone():
            return
        self._training = None
        for channel in self._channels:
            channel.drain()
        self._finish_lines()
        if self._file is not None:
            self._file.write_own(session_end(training.pid, training.exit_status()))
