"""The small process beside a training that keeps its log.

It reads what the training prints from the pipe or pseudo-terminal that `descriptors` has put under
1 and 2, writes it to the log file first and then, byte for byte, to where it would have gone (the
mirror). It knows neither Python objects nor logging; it is started bare (`python -I -S`), so it
imports nothing that it can do without.

Why a process: a thread that reads hangs for ever when C code prints while it holds the
interpreter's lock, and dies with the training it should report of. Why not `tee`: its death ends
the training.

It is sent lines of JSON, some with descriptors, by a socket; `descriptors` has the other side:

    begin    the channels (read ends), their mirrors, the log file, how to write it
    log      another file: the first one is finished
    note     how the training thinks it will end
    drain    write all that was printed up to now, then answer: a shell's prompt comes after it
    close    drain, write the last line, answer

An answer is one byte, the number of what was asked. Nothing else is ever said: each byte comes to
the training as a signal, and one amid a `print` that waits costs half a line under
PYTHONUNBUFFERED, where Python forgets what a `write` has not taken.

Nothing it does may hurt the training. It outlives signals meant for the training, waits for no
terminal that stands still (Ctrl-S, a dead ssh), and stays as long as anybody (a child that outlives
the training) can still print.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import time

from modeldir.logs.capture.buffer import Ring
from modeldir.logs.capture.exit_status import Training
from modeldir.logs.capture.passthrough import STANDS, Mirror
from modeldir.logs.capture.recovery import Written, resumed
from modeldir.logs.logfile import LogFile, end, head
from modeldir.logs.transcript import Transcript

TYPE_CHECKING = False  # as typing's, without the time that importing typing takes

if TYPE_CHECKING:
    from typing import Any

_PIECE = 1 << 18
_DRAINED_WITHIN = 2.0
_MOST_UNREAD = 1 << 20
"""Bytes that a pipe can hold, as `descriptors` makes them."""
_WINDOW_EVERY = 0.25
_QUICK, _GATHER, _GATHER_TERMINAL = 0.001, 0.002, 0.0005
"""Seconds; a terminal holds some 20 KiB only, and would be full before 2 ms are over."""


def main(descriptor: int) -> None:
    """Keep logs for the process at the other end of this socket until nobody can print any more."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGTSTP", "SIGTTOU", "SIGPIPE"):
        signal.signal(getattr(signal, name), signal.SIG_IGN)
    _Keeper(socket.socket(fileno=descriptor)).run()


class _Channel:
    """What the training prints into: its read end, its mirror, its lines."""

    def __init__(self, source: int, ring: Ring, mirror: Mirror | None) -> None:
        os.set_blocking(source, False)
        self.source, self.ring, self.mirror = source, ring, mirror
        self.transcript: Transcript
        self.file: LogFile
        self.terminal = os.isatty(source)
        self.window = self.terminal and mirror is not None
        self._size, self._looked = b"", 0.0
        self.over = False  # nobody can print there any more; its mirror has yet to take the rest

    def use(self, transcript: Transcript, file: LogFile) -> None:
        """The lines go there from now on."""
        self.transcript, self.file = transcript, file
        self.note()

    def read(self) -> bool:
        """Take what is there; false at the end, when nobody holds the other side any more."""
        if self.mirror is not None:
            self.mirror.expect()
        goes_on = self._take_in()
        if self.ring.head > self.ring.fed:
            self.transcript.feed(self.ring.unfed(), time.time())
            self.note()
            self.reflect()
        return goes_on

    def _take_in(self) -> bool:
        """A terminal gives 4 KiB at a time, however much it has: ask again until it is empty."""
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
        """Say how far the log is, for the case that we are killed."""
        self.ring.feed_done(self.transcript.standing, self.file.size)

    def reflect(self) -> None:
        """Pass on what was read: the file has it."""
        if self.mirror is None:
            self.ring.take_all()
        else:
            self.mirror.push()

    def tick(self, now: float) -> None:
        """Do what is due by the clock."""
        due = self.transcript.due
        if due is not None and due <= now:
            self.transcript.tick(now)
            self.note()

    def finish(self) -> None:
        """Write lines that have no end."""
        self.transcript.finish(time.time())
        self.note()

    def end(self) -> None:
        """Nobody can print here any more."""
        self.finish()
        os.close(self.source)
        self.over = True

    @property
    def is_done(self) -> bool:
        """Whether the mirror has everything too, or will not take it."""
        mirror = self.mirror
        return self.over and (mirror is None or not mirror.behind or mirror.stands)

    def close(self) -> None:
        """Let go of the mirror: who reads what the training prints is to see its end."""
        if self.mirror is not None:
            os.close(self.mirror.descriptor)

    def drain(self) -> None:
        """Take what had been printed when we began; a child may print for ever."""
        left, deadline = _MOST_UNREAD, time.monotonic() + _DRAINED_WITHIN
        while not self.over and left > 0 and _readable(self.source):
            before = self.ring.head
            if not self.read():
                self.end()
            left -= self.ring.head - before
            if time.monotonic() > deadline:
                break

    def follow_window(self) -> None:
        """Give the pseudo-terminal the real one's size: nobody tells us when it changes."""
        now = time.monotonic()
        if self.window and self.mirror is not None and now - self._looked > _WINDOW_EVERY:
            self._looked = now
            import fcntl  # noqa: PLC0415 - only where there is a terminal
            import termios  # noqa: PLC0415 - as above

            try:
                size = fcntl.ioctl(self.mirror.descriptor, termios.TIOCGWINSZ, bytes(8))
                if size != self._size:
                    fcntl.ioctl(self.source, termios.TIOCSWINSZ, size)
                    self._size = size
            except OSError:
                self.window = False


def _readable(descriptor: int) -> bool:
    poller = select.poll()
    poller.register(descriptor, select.POLLIN)
    return bool(poller.poll(0))


class _Keeper:
    """The loop: channels, their mirrors, the socket, the training's own end."""

    def __init__(self, control: socket.socket) -> None:
        self._control: socket.socket | None = control
        self._words, self._descriptors = b"", list[int]()
        self._channels: list[_Channel] = []
        self._file: LogFile | None = None
        self._training: Training | None = None
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
                self._perhaps_ended(self._training)
            for channel in [channel for channel in self._channels if channel.is_done]:
                self._channels.remove(channel)
                channel.close()
        self._finish_lines()

    def _gather(self) -> None:
        """While lines come in quick succession let some gather: each time that we are woken costs
        the training more than the line itself. A line by itself is passed on at once.
        """
        now = time.monotonic()
        if now - self._woken < _QUICK:
            terminal = any(channel.terminal for channel in self._channels)
            time.sleep(_GATHER_TERMINAL if terminal else _GATHER)
        self._woken = time.monotonic()

    def _ready(self) -> list[int]:
        """The descriptors that have something for us, or can take something, now or soon."""
        poller = select.poll()
        if self._control is not None:
            poller.register(self._control, select.POLLIN)
        for channel in self._channels:
            mirror = channel.mirror
            if not channel.over and (mirror is None or not mirror.full):
                poller.register(channel.source, select.POLLIN)
            if mirror is not None and mirror.behind:
                poller.register(mirror.descriptor, select.POLLOUT)
        if self._training is not None and self._training.handle is not None:
            poller.register(self._training.handle, select.POLLIN)
        return [descriptor for descriptor, _ in poller.poll(self._patience() * 1000)]

    def _patience(self) -> float:
        """Seconds until something is to be done by the clock."""
        now = time.time()
        waits = [60.0]
        for channel in self._channels:
            due = channel.transcript.due
            waits += [] if due is None else [due - now]
            waits += [_WINDOW_EVERY] if channel.window else []
            waits += [STANDS / 4] if channel.mirror and channel.mirror.behind else []
        if self._training is not None and self._control is None and self._training.handle is None:
            waits.append(0.05)
        return max(0.0, min(waits))

    def _attend(self, descriptor: int) -> None:
        if self._control is not None and descriptor == self._control.fileno():
            self._listen()
            return
        if self._training is not None and descriptor == self._training.handle:
            self._perhaps_ended(self._training)
            return
        for channel in list(self._channels):
            if channel.mirror is not None and descriptor == channel.mirror.descriptor:
                channel.mirror.push()
            elif descriptor == channel.source and not channel.over and not channel.read():
                channel.end()

    # -- What the training says --

    def _listen(self) -> None:
        assert self._control is not None
        try:
            words, descriptors, _, _ = socket.recv_fds(self._control, 65536, 16)
        except OSError:
            words, descriptors = b"", []
        self._descriptors += descriptors
        self._words += words
        if not words:
            self._control.close()  # it ended, or became another program
            self._control = None
        while b"\n" in self._words:
            line, _, self._words = self._words.partition(b"\n")
            self._obey(json.loads(line))

    def _obey(self, message: dict[str, Any]) -> None:
        what = message["do"]
        if what == "begin":
            self._begin(message)
        elif what == "log":
            self._switch(message)
        elif what == "note" and self._training is not None:
            self._training.noted = message["how"]
        elif what == "drain":
            self._drain()
            self._answer(message["number"])
        elif what == "close":
            self._drain()
            self._finish_lines()
            if self._file is not None and self._training is not None:
                self._file.write_own(end(self._training.pid, message["how"]))
            self._answer(message["number"])
            self._training = None  # children that it leaves may print on

    def _begin(self, message: dict[str, Any]) -> None:
        self._every = message["every"]
        self._training = Training(message["pid"], message["noted"])
        again = not message["head"]
        file = self._descriptors.pop(0)
        for has_mirror, has_ring in zip(message["mirrors"], message["rings"], strict=True):
            source = self._descriptors.pop(0)
            mirror = self._descriptors.pop(0) if has_mirror else None
            ring = Ring(self._descriptors.pop(0) if has_ring else None, left=again)
            reflected = None if mirror is None else Mirror(mirror, ring)
            self._channels.append(_Channel(source, ring, reflected))
        if again:
            self._go_on(file, message)
        else:
            self._use(self._opened(file, message))

    def _go_on(self, descriptor: int, message: dict[str, Any]) -> None:
        """In the place of one that was killed."""
        name, stamp = message["name"], message["stamp"]
        written = [Written(name, channel.ring.noted, stamp=stamp) for channel in self._channels]
        torn = any(lines.torn for lines in written)
        self._file = file = self._opened(descriptor, {**message, "torn": torn})
        for channel, lines in zip(self._channels, written, strict=True):
            channel.use(resumed(channel.ring, file, lines, self._every), file)
            channel.reflect()

    def _switch(self, message: dict[str, Any]) -> None:
        self._drain()
        self._finish_lines()
        if self._file is not None and self._training is not None:
            self._file.write_own(end(self._training.pid, message["how"]))
            self._file.close()
        self._every = message["every"]
        self._use(self._opened(self._descriptors.pop(0), message))
        self._answer(message["number"])

    def _opened(self, descriptor: int, message: dict[str, Any]) -> LogFile:
        file = LogFile(
            descriptor,
            message["name"],
            self._tell,
            stamp=message["stamp"],
            torn=message["torn"],
        )
        file.write_own(head(message["head"]) if message["head"] else message["again"])
        return file

    def _use(self, file: LogFile) -> None:
        self._file = file
        for channel in self._channels:
            channel.use(Transcript(file, self._every), file)

    def _tell(self, words: str) -> None:
        mirrors = [channel.mirror for channel in self._channels if channel.mirror is not None]
        if mirrors:
            mirrors[-1].say(f"{words}\n".encode())  # standard error's, where they differ

    def _answer(self, number: int) -> None:
        if self._control is not None:
            with contextlib.suppress(OSError):  # it did not wait for the answer
                self._control.sendall(bytes([number]))

    # -- Endings --

    def _drain(self) -> None:
        for channel in self._channels:
            channel.drain()
        for channel in self._channels:
            self._push_out(channel)

    def _push_out(self, channel: _Channel) -> None:
        """Let a mirror have what it has not taken; not for longer than one would wait for it."""
        mirror = channel.mirror
        deadline = time.monotonic() + STANDS / 4
        while mirror is not None and mirror.behind and time.monotonic() < deadline:
            select.select([], [mirror.descriptor], [], 0.1)
            mirror.push()

    def _finish_lines(self) -> None:
        for channel in self._channels:
            channel.finish()

    def _perhaps_ended(self, training: Training) -> None:
        """Write the log's last line once the training is gone; others may print on."""
        if not training.is_gone():
            return
        self._training = None
        for channel in self._channels:
            channel.drain()
        self._finish_lines()
        if self._file is not None:
            self._file.write_own(end(training.pid, training.how_it_ended()))
