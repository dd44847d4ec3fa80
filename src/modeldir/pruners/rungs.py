"""The files of rungs in a search's `.modeldir/rungs/`, where trials find each other's values.

`pruning_decision` makes a `RungFiles` for each attempt; pruners see it as `Rungs`. The rule: an
error of these files must never end a training run.

There is a folder for each setting of a pruner, in it one for each metric, in it one for each rung,
in it a file for each host, since appends of several hosts may not arrive as a whole.

    .modeldir/rungs/asha-1f3a09c2/accuracy/3/HOST-BOOT.txt
        12 1 0.93 AAAAAAAMAAABDPONMCIPFMCIPFMD
        (trial 12, its attempt 1, accuracy 0.93; then the same once more)

The last word repeats the line for quick reading: the trial in 4 bytes, the attempt in 2, and the
value in the 8 bytes of IEEE 754, in hex with the letters A to P, which occur nowhere else. A line
that was cut short lacks some of these letters and is ignored.
"""

from __future__ import annotations

import contextlib
import os
import re
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import quote

from modeldir._system import files, processes, reading

_ENTRY = struct.Struct(">IHd")
_PAIR = struct.Struct(">I2xd")
_DIGITS = 2 * _ENTRY.size
_HEX, _LETTERS = b"0123456789abcdef", b"ABCDEFGHIJKLMNOP"
_TO_LETTERS, _TO_HEX = bytes.maketrans(_HEX, _LETTERS), bytes.maketrans(_LETTERS, _HEX)
_OTHERS = bytes(set(range(256)) - set(_LETTERS))
_BLANKS = 3
_WHOLE = re.compile(rb"^\d+ \d+ \S+ ([A-P]{%d})$" % _DIGITS, re.MULTILINE)
_HIGHEST_ATTEMPT = 0xFFFF

FILLED = "filled"
"""Folder with an empty file for each setting, by its key, that has the values of earlier trials."""

REMOVED = "removed"
"""Folder with an empty file for each trial that was removed from the search, by its number."""


class RungFiles:
    """The rungs of one metric in a folder, as one attempt of one trial sees them.

    The values of the latest `attempt` count. `resumes`: it continues from an earlier one. `begun`
    is the last step before its own first one, if it took over another trial's weights.
    """

    def __init__(  # noqa: PLR0913 - identify one training run's values among all others
        self,
        folder: Path,
        metric: str,
        number: int,
        attempt: int = 1,
        *,
        resumes: bool = False,
        begun: int = 0,
    ) -> None:
        self.number = number
        self._folder = folder / quote(metric, safe=" ")
        self._removed = folder.parent / REMOVED
        self._attempt, self._resumes, self._begun = attempt, resumes, begun
        self._file = own_file()

    def record(self, rung: int, value: float) -> Mapping[int, float]:
        """Record a value, then read all values of that rung.

        In this order at least one of two trials that arrive at the same time sees the other.
        """
        with contextlib.suppress(OSError):  # a full disk must not end a training run
            self._append(rung, value)
        values = self.values(rung)
        values[self.number] = value
        return values

    def values(self, rung: int) -> dict[int, float]:
        found = _merged([_packed(data) for data in self._read(rung)])
        for number in removed(self._removed):
            found.pop(number, None)
        return found

    def passed(self, rung: int) -> bool:
        if rung <= self._begun:
            return True
        return self._resumes and any(
            number == self.number and attempt < self._attempt
            for data in self._read(rung)
            for number, attempt, _ in _ENTRY.iter_unpack(_packed(data))
        )

    def _append(self, rung: int, value: float) -> None:
        path = self._folder / str(rung) / self._file
        attempt = min(self._attempt, _HIGHEST_ATTEMPT)
        digits = _ENTRY.pack(self.number, attempt, value).hex().encode().translate(_TO_LETTERS)
        line = b"%d %d %s %s\n" % (self.number, self._attempt, f"{value:.6g}".encode(), digits)
        try:
            files.append_whole(path, line)
        except FileNotFoundError:
            path.parent.mkdir(parents=True, exist_ok=True)
            files.append_whole(path, line)

    def _read(self, rung: int) -> Iterator[bytes]:
        """Yield the bytes of all hosts' files; a network file system shows new ones when listed."""
        folder = os.path.join(self._folder, str(rung))
        try:
            names = os.listdir(folder)
        except OSError:
            return
        for name in names:
            yield reading.read_bytes(os.path.join(folder, name)) or b""


def own_file() -> str:
    """Return the name of this host's files. Two machines may have the same host name."""
    me = processes.process()
    boot = me.boot[:8] if me else "unknown"
    return f"{quote(processes.host(), safe='')}-{boot}.txt"


def removed(folder: Path) -> set[int]:
    try:
        return {int(name) for name in os.listdir(folder) if name.isdigit()}
    except OSError:
        return set()


def note_removed(rungs: Path, numbers: set[int]) -> None:
    """Write down which trials were removed from a search: these, and no others."""
    folder = rungs / REMOVED
    known = removed(folder)
    with contextlib.suppress(OSError):  # they are counted then, until there is room
        for number in numbers - known:
            folder.mkdir(parents=True, exist_ok=True)
            files.make_empty(folder / f"{number:06d}")
        for number in known - numbers:
            os.unlink(folder / f"{number:06d}")


def _merged(of_hosts: list[bytes]) -> dict[int, float]:
    """Return the values by trial: of each host the last line, of several hosts the last attempt."""
    merged: dict[int, float] = {}
    known = 0
    for entries in of_hosts:
        values = dict(_PAIR.iter_unpack(entries))
        merged, known = merged | values if merged else values, known + len(values)
    if len(merged) == known:
        return merged
    latest: dict[int, tuple[int, float]] = {}
    for entries in of_hosts:
        for number, attempt, value in _ENTRY.iter_unpack(entries):
            if number not in latest or latest[number][0] <= attempt:
                latest[number] = (attempt, value)
    return {number: value for number, (_, value) in latest.items()}


def _packed(data: bytes) -> bytes:
    lines, digits = data.count(b"\n"), data.translate(_TO_HEX, _OTHERS)
    # A line that was cut short has fewer letters; one that runs into the next has more spaces.
    if len(digits) != _DIGITS * lines or data.count(b" ") != _BLANKS * lines:
        digits = b"".join(_WHOLE.findall(data)).translate(_TO_HEX)
    return bytes.fromhex(digits.decode("ascii"))
