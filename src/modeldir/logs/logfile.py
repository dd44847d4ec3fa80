"""The file of a log: whole lines with their time, whatever happens to the disk.

It knows one open file and how a line in it looks. It refuses to know where lines come from, and how
the file is found and opened (`logs`): this module and those it imports are all that the small
process beside a training has to load.

    # modeldir-log v1 2026-11-23T20:47:01.123+00:00 pid=812 host=h argv=["train.py"] cwd=/x rank=0
    2026-11-23 20:47:01,124 a line
    2026-11-23 20:47:02,001~ 57%|#####7    | a progress bar, as it stood then
    # end 2026-11-23T20:47:02.002+00:00 pid=812 clean

Between the time and the text stands one character: a space; `+` where a very long line goes on; `~`
before a progress bar or an unfinished line as it stood at that time; `|` before a last line that
never ended. So a line's text begins at its 25th character, and a line of the log's own with `#`.
"""

from __future__ import annotations

import contextlib
import os
import time

TYPE_CHECKING = False  # as typing's, without the time that importing typing takes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

LINE, LONGER, SNAPSHOT, UNFINISHED = " ", "+", "~", "|"
"""What stands between a line's time and its text; see above."""

CLOSED = "closed"
"""How a log ends that is closed before its process ends."""

VANISHED = "vanished (killed, crashed or left by os._exit)"
"""How it ends if the process could not say, and nobody else can."""

CONSOLE_VARIABLE = "MODELDIR_CONSOLE"
"""Where a supervisor keeps what its command prints: it makes the log out of that."""

_HEAD = "# modeldir-log v1 "
_END = "# end "


class Settings:
    """How a log's file is written: its path, what its first line says, and what `LogFile` and
    `Transcript` are told.
    """

    def __init__(self, name: str, head: str, every: float, *, stamp: bool, torn: bool) -> None:
        self.name, self.head, self.every, self.stamp, self.torn = name, head, every, stamp, torn


class LogFile:
    """Whole lines at the end of an open file, each batch by one `write`. Never raises.

    Args:
        descriptor: open for appending. It is closed with this object.
        name: the path, as the user is told it.
        tell: says something to the user where the file cannot.
        stamp: whether each line begins with its time.
        torn: whether the file's last line has no end: its writer was killed.
    """

    def __init__(
        self,
        descriptor: int,
        name: str,
        tell: Callable[[str], None],
        *,
        stamp: bool = True,
        torn: bool = False,
    ) -> None:
        self.name, self._descriptor, self._tell = name, descriptor, tell
        self._stamped, self._torn = stamp, torn
        self._lost, self._told = 0, False
        self._second, self._time = -1, ""

    def write(self, lines: Sequence[str], now: float | None = None, kind: str = LINE) -> None:
        """Add lines, all with the time `now` (seconds since 1970; the present one if None)."""
        if lines:
            stamp = self._stamp(time.time() if now is None else now)
            head = stamp + kind if self._stamped else ""
            self._add("".join([f"{head}{line}\n" for line in lines]), len(lines), stamp)

    def write_own(self, line: str) -> None:
        """Add a line of the log's own, which begins with `#`."""
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
            self._lost = 0  # that was written; a part of the lines may have been, too
        self._lost += min(lines, bytes(rest).count(b"\n"))
        self._complain(error)

    def _append(self, rest: memoryview) -> tuple[memoryview, OSError | None]:
        """What could not be written, and why."""
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

    def _complain(self, error: OSError) -> None:
        if not self._told:
            self._told = True  # before telling, which may come back here
            self._tell(
                f"modeldir: {self.name} cannot be written ({error.strerror}). "
                "The training goes on; lines are missing there until it can."
            )

    @property
    def size(self) -> int:
        """The file's size in bytes; 0 if it cannot be asked."""
        with contextlib.suppress(OSError):
            return os.fstat(self._descriptor).st_size
        return 0

    def close(self) -> None:
        if self._descriptor >= 0:
            with contextlib.suppress(OSError):  # a quota's late complaint: nothing can be done here
                os.close(self._descriptor)
        self._descriptor = -1


def encoded(text: str) -> bytes:
    """Text as it is kept: bytes that were no UTF-8 as they came, half characters as escapes."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "backslashreplace")


def head(facts: str) -> str:
    """The line with which a log's session begins; `facts` as `logs` words them."""
    return f"{_HEAD}{_now()} {facts}"


def end(pid: int, how: str) -> str:
    """The line with which it ends."""
    return f"{_END}{_now()} pid={pid} {how}"


def ended(status: int) -> str:
    """How a process ended, by what `wait` tells of it: `clean`, `exit 3`, `signal SIGKILL`."""
    if os.WIFSIGNALED(status):
        import signal  # noqa: PLC0415 - a clean end does without

        number = os.WTERMSIG(status)
        known = number in set(signal.Signals)
        return f"signal {signal.Signals(number).name if known else number}"
    code = os.WEXITSTATUS(status)
    return f"exit {code}" if code else "clean"


def _now() -> str:
    """The present time in UTC, as in run files, without what importing `datetime` takes."""
    now = time.time()
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now))
    return f"{whole}.{int(now % 1 * 1000):03d}+00:00"
