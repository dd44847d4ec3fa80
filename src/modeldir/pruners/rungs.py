"""Where siblings find each other's values: the files in a search's `.modeldir/rungs/`.

It knows those files, and that nothing about them may ever end a training. It refuses to judge.

One folder a pruner's setting, in it one a metric, in it one a rung, in it one file a host: what
many processes of one host append to one file arrives whole, what several hosts append to one file
of a network file system may not. So a decision reads a file or two, and walks over no trials.

    .modeldir/rungs/asha-1f3a09c2/accuracy/3/HOST-BOOT.txt
        12 1 0.93 AAAAAAAMAAABDPONMCIPFMCIPFMD
        (trial 12, its attempt 1, accuracy 0.93; then the same once more)

The last word is for quick reading: the trial in 4 bytes, the attempt in 2, and the value in the 8
that IEEE 754 gives it, in hex with the letters A to P, which stand nowhere else in a line: so those
of all lines are told from all else at once. To read the decimals of 10,000 siblings takes longer
than all the rest of a decision (figures: decisions/pruning.md). A line that a killed process or a
full disk left torn lacks some of these digits, and is passed over.
"""

from __future__ import annotations

import contextlib
import os
import re
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import quote

from modeldir._system import files, processes

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
"""In it, an empty file for each setting that knows what trials had before it: by its key."""

REMOVED = "removed"
"""In it, an empty file for each trial that was taken out of the search: by its number."""


class RungFiles:
    """The rungs of one metric in a folder, as one attempt of one trial sees them.

    Args:
        folder: the rungs of one pruner's setting.
        metric: the metric whose values are left there.
        number: the trial's number.
        attempt: which attempt of it this is: of two, the later one's values count.
        resumes: whether it goes on from where an earlier attempt was.
        begun: the last step that lies before its beginning: it took over another trial's weights.
    """

    def __init__(  # noqa: PLR0913 - what tells one training's values from all others'
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
        """Leave a value, and read all of that rung: first the one, so that of two trials which come
        at the same time one at least sees the other.
        """
        with contextlib.suppress(OSError):  # a full disk must not end a training
            self._append(rung, value)
        values = self.values(rung)
        values[self.number] = value
        return values

    def values(self, rung: int) -> dict[int, float]:
        """What all trials that are still in the search have left at a rung, by number."""
        found = _merged([_packed(data) for data in self._read(rung)])
        for number in removed(self._removed):
            found.pop(number, None)
        return found

    def passed(self, rung: int) -> bool:
        """Whether an attempt that this one goes on from left a value there."""
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
        """The files of all hosts; a network file system tells of new ones once the folder is
        listed.
        """
        folder = os.path.join(self._folder, str(rung))
        try:
            names = os.listdir(folder)
        except OSError:
            return
        for name in names:
            yield files.read_bytes(os.path.join(folder, name)) or b""


def own_file() -> str:
    """The name of this host's files; the same name with another boot may be another machine's."""
    me = processes.process()
    boot = me.boot[:8] if me else "unknown"
    return f"{quote(processes.host(), safe='')}-{boot}.txt"


def removed(folder: Path) -> set[int]:
    """The trials that were taken out of a search."""
    try:
        return {int(name) for name in os.listdir(folder) if name.isdigit()}
    except OSError:
        return set()


def note_removed(rungs: Path, numbers: set[int]) -> None:
    """Have the rungs of a search know which trials are out of it: these, and no others."""
    folder = rungs / REMOVED
    known = removed(folder)
    with contextlib.suppress(OSError):  # they are counted then, until there is room
        for number in numbers - known:
            folder.mkdir(parents=True, exist_ok=True)
            os.close(os.open(folder / f"{number:06d}", os.O_WRONLY | os.O_CREAT, 0o666))
        for number in known - numbers:
            os.unlink(folder / f"{number:06d}")


def _merged(of_hosts: list[bytes]) -> dict[int, float]:
    """The values by trial: the latest line of a host, and of several hosts the latest attempt's."""
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
    """The last words of all whole lines, as the bytes that they mean."""
    lines, digits = data.count(b"\n"), data.translate(_TO_HEX, _OTHERS)
    # A torn line has fewer letters, and one that runs into the next has more blanks.
    if len(digits) != _DIGITS * lines or data.count(b" ") != _BLANKS * lines:
        digits = b"".join(_WHOLE.findall(data)).translate(_TO_HEX)
    return bytes.fromhex(digits.decode("ascii"))
