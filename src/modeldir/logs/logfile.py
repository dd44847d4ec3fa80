"""The file of a log: complete lines with their time, whatever happens to the disk.

The format: docs/reference/files.md. `transcript` and the capture methods call `LogFile`. It never
raises, because a full disk must not end a training run. It imports next to nothing: the log writer
loads only this and its imports.
"""

from __future__ import annotations

import contextlib
import os
import time

from modeldir._system.timestamps import utc_now

TYPE_CHECKING = False  # like typing's; importing typing takes too long here

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

LINE, LONGER, SNAPSHOT, UNFINISHED = " ", "+", "~", "|"
"""The character between a line's time and its text; see above."""

CLOSED = "closed"
"""How a log ends that is closed before its process ends."""

VANISHED = "vanished (killed, crashed or left by os._exit)"
"""How it ends if neither the process nor anything else could tell how it ended."""

CONSOLE_VARIABLE = "MODELDIR_CONSOLE"
"""The path of the `console.log` of which a supervisor makes the log."""

_HEAD = "# modeldir-log v1 "
_END = "# end "


class LogSettings:
    """How a log's file is written: its path, the facts in its first line, and options."""

    def __init__(self, name: str, head: str, every: float, *, stamp: bool, torn: bool) -> None:
        self.name, self.head, self.every, self.stamp, self.torn = name, head, every, stamp, torn


class LogFile:
    """Complete lines at the end of an open file, each batch by one `write`. Never raises.

    The descriptor is closed with this object. `warn` is called if the file cannot be written.
    `torn`: the file's last line has no end, because its writer was killed.
    """

    def __init__(
        self,
        descriptor: int,
        name: str,
        warn: Callable[[str], None],
        *,
        stamp: bool = True,
        torn: bool = False,
    ) -> None:
        self.name, self._descriptor, self._warn = name, descriptor, warn
        self._stamped, self._torn = stamp, torn
        self._lost, self._warned = 0, False
        self._second, self._time = -1, ""

    def write(self, lines: Sequence[str], now: float | None = None, kind: str = LINE) -> None:
        """Add lines, all with the time `now` (seconds since 1970; None means the present)."""
        if lines:
            stamp = self._stamp(time.time() if now is None else now)
            head = stamp + kind if self._stamped else ""
            self._add("".join([f"{head}{line}\n" for line in lines]), len(lines), stamp)

    def write_own(self, line: str) -> None:
        self._add(f"{line}\n", 1, self._stamp(time.time()))

    def _add(self, text: str, lines: int, stamp: str) -> None:
        if self._descriptor < 0:
            return
        start = "\n" if self._torn else ""
        if self._lost:
            start += f"# {stamp} {self._lost} lines are missing here\n"
        data = encoded(start + text)
        rest, error = self._append(memoryview(data))
        if error is None:
            self._lost = 0
            return
        if len(data) - len(rest) >= len(start):
            self._lost = 0  # the note was written, and perhaps some of the lines
        self._lost += min(lines, bytes(rest).count(b"\n"))
        self._warn_once(error)

    def _append(self, rest: memoryview) -> tuple[memoryview, OSError | None]:
        """Write bytes; return those that could not be written, and why."""
        while rest:
            try:
                written = os.write(self._descriptor, rest)
            except OSError as error:
                return rest, error
            self._torn = bytes(rest[written - 1 : written]) != b"\n"
            rest = rest[written:]
        return rest, None

    def _stamp(self, now: float) -> str:
        second = int(now)
        if second != self._second:
            self._second = second
            self._time = time.strftime("%Y-%m-%d %H:%M:%S,", time.localtime(second))
        return f"{self._time}{int((now - second) * 1000):03d}"

    def _warn_once(self, error: OSError) -> None:
        if not self._warned:
            self._warned = True  # first, because `_warn` may write to the log
            self._warn(
                f"modeldir: {self.name} cannot be written ({error.strerror}). "
                "The training run continues; lines are missing in the file until it can be written."
            )

    @property
    def size(self) -> int:
        with contextlib.suppress(OSError):
            return os.fstat(self._descriptor).st_size
        return 0

    def close(self) -> None:
        if self._descriptor >= 0:
            with contextlib.suppress(OSError):  # an exceeded quota is reported late
                os.close(self._descriptor)
        self._descriptor = -1


def encoded(text: str) -> bytes:
    """Encode text: bytes that were not UTF-8 as they came, lone surrogates as escapes."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "backslashreplace")


def ignore(message: str) -> None:
    """Drop a message about a log that cannot be written, where nothing could show it."""


def session_start(facts: str) -> str:
    return f"{_HEAD}{utc_now()} {facts}"


def session_end(pid: int, how: str) -> str:
    return f"{_END}{utc_now()} pid={pid} {how}"


def exit_text(status: int) -> str:
    """Return how a process ended, by its wait status: `clean`, `exit 3`, `signal SIGKILL`."""
    if os.WIFSIGNALED(status):
        import signal  # noqa: PLC0415 - a clean end does not need it

        number = os.WTERMSIG(status)
        known = number in set(signal.Signals)
        return f"signal {signal.Signals(number).name if known else number}"
    code = os.WEXITSTATUS(status)
    return f"exit {code}" if code else "clean"
