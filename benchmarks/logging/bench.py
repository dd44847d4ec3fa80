"""Measure what a log costs: a line, the start, a progress bar; beside other ways to keep one.

    python benchmarks/logging/bench.py [--rounds 7] [--lines 5000] [--only plain,cs230,modeldir]

Each log runs in a process of its own (`trainer.py`), once on a pipe and once on a terminal that
are read all the time. A round runs every log once, in an order that rotates. The unit is a `print`
to a line-buffered file in the same round. Linux only, because it reads /proc.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import fcntl
import os
import re
import select
import shutil
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
import peers
import process_tree
from side_by_side import Contender, machine, race

HERE = Path(__file__).parent
NAMES = {
    "plain": "`print` to a file, line by line (the unit)",
    "bare": "terminal or pipe alone, no file",
    "cs230": "CS230's `set_logger`",
    "loguru": "loguru",
    "wandb": "wandb, offline",
    "wandb_redirect": 'wandb, offline, `console="redirect"`',
    "sacred": "Sacred's `fd` capture",
    "clearml": "ClearML, offline",
    "modeldir": "**modeldir**",
}
PACKAGES = ("loguru", "wandb", "sacred", "clearml", "tqdm")
PACKAGE_OF = {"wandb_redirect": "wandb"}
TERMINALS = {"pipe": "a pipe", "pty": "a terminal"}
KILLED_AFTER = 2000
PATIENCE = 60.0  # with a trainer; nothing here takes as long


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--lines", type=int, default=5000)
    parser.add_argument("--quick", action="store_true", help="few rounds, and beside CS230's alone")
    parser.add_argument("--only", help="names, with commas between them: " + ", ".join(NAMES))
    arguments = parser.parse_args()
    arguments.rounds = arguments.rounds or (3 if arguments.quick else 7)
    if arguments.quick and not arguments.only:
        arguments.only = "plain,bare,cs230,modeldir"
    versions, left_out = peers.installed(PACKAGES)
    wanted = arguments.only.split(",") if arguments.only else list(NAMES)
    names = [
        name for name in NAMES if name in wanted and PACKAGE_OF.get(name, name) not in left_out
    ]
    print(f"{arguments.rounds} rounds of {arguments.lines} lines; {machine()}")
    print(f"{peers.told(versions, left_out)}\n")
    with tempfile.TemporaryDirectory() as place:
        starts = time_starts(names, Path(place), arguments.rounds)
        process_tree.adopt_orphans()
        lab = Laboratory(Path(place))
        samples = time_lines(lab, names, arguments.rounds, arguments.lines)
        for terminal, words in TERMINALS.items():
            for kind, unit in (("print", "plain"), ("info", "cs230")):
                print(f"## `{TITLES[kind]}` on {words}\n")
                print(table_of_lines(samples[terminal], kind, unit) + "\n")
        lost = {name: lab.train(name, "pipe", "killed", KILLED_AFTER) for name in names}
        bars = {name: lab.train(name, "pty", "progress", 0) for name in names}
        print(
            f"## Start, memory, kill, progress bars\n\n{table_of_rest(samples, starts, lost, bars)}"
        )


TITLES = {"print": "print", "info": "logging.info"}


# -- What is measured -----------------------------------------------------------------------------


@dataclass
class Loop:
    """Seconds for one loop of lines, and in the helpers until all lines were written."""

    wall: float
    cpu: float
    helpers: float


@dataclass
class Training:
    """The measurements of one training run."""

    facts: dict[str, Any] = field(default_factory=dict)
    loops: dict[str, Loop] = field(default_factory=dict)
    helpers: int = 0
    resident: int = 0  # bytes, of all helpers
    proportional: int = 0  # the same, what is shared divided among those who share it
    terminal: int = 0  # bytes that arrived there
    written: bytes = b""  # the log file at the end

    def kept(self, kind: str) -> tuple[int, int]:
        """How many of the lines are in the file, and how many of them once more."""
        found = re.findall(rb"%s line (\d{5}):" % kind.encode(), self.written)
        return len(set(found)), len(found) - len(set(found))


def time_lines(
    lab: Laboratory, names: Sequence[str], rounds: int, count: int
) -> dict[str, dict[str, list[Training]]]:
    samples: dict[str, dict[str, list[Training]]] = {
        terminal: {name: [] for name in names} for terminal in TERMINALS
    }
    for number in range(rounds):
        turn = number % len(names)
        for name in [*names[turn:], *names[:turn]]:
            for terminal in TERMINALS:
                samples[terminal][name].append(lab.train(name, terminal, "lines", count))
        print(f"round {number + 1} of {rounds}", file=sys.stderr)
    return samples


def time_starts(names: Sequence[str], place: Path, rounds: int) -> dict[str, list[float]]:
    """Return the seconds from start to end of a script that prints one line."""
    contenders = [
        Contender(name, trainer(name, place / f"{name}.start.log", "trivial", 0), str(place))
        for name in names
        if name != "clearml"  # see there: its end takes minutes
    ]
    with own_home(place):
        race(contenders, rounds)
    return {contender.name: contender.wall for contender in contenders}


def trainer(name: str, path: Path, job: str, count: int) -> list[str]:
    return [str(peers.PYTHON), str(HERE / "trainer.py"), name, str(path), job, str(count)]


@contextlib.contextmanager
def own_home(place: Path) -> Iterator[None]:
    """Let the peers use the benchmark's folder as home, so that they find no account."""
    before = os.environ.copy()
    os.environ.update(HOME=str(place), TMPDIR=str(place), WANDB_SILENT="true")
    for name in ("PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED"):  # not what users have
        os.environ.pop(name, None)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


# -- One training ---------------------------------------------------------------------------------


class Laboratory:
    """Runs training runs one at a time, each on a pipe or a terminal that is read."""

    def __init__(self, place: Path) -> None:
        self._place, self._number = place, 0

    def train(self, name: str, terminal: str, job: str, count: int) -> Training:
        self._number += 1
        folder = self._place / str(self._number)
        folder.mkdir()
        training = Training()
        with Terminal(terminal) as screen, own_home(folder):
            try:
                self._follow(screen, trainer(name, folder / "train.log", job, count), training)
            except (OSError, RuntimeError) as error:
                said = screen.last.decode(errors="replace")
                raise SystemExit(f"{name}, {job} on a {terminal}: {error}\n{said}") from None
        training.terminal = screen.count
        # Sacred's file is gone at its end; its trainer has left a copy.
        files = [Path(training.facts["file"]), folder / "train.log"]
        training.written = next((file.read_bytes() for file in files if file.exists()), b"")
        shutil.rmtree(folder, ignore_errors=True)
        return training

    def _follow(self, screen: Terminal, command: list[str], training: Training) -> None:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            theirs.set_inheritable(True)
            shell = screen.start([*command, str(theirs.fileno())], theirs.fileno())
            try:
                for event, facts in heard(ours):
                    self._note(event, facts, training, ours, shell)
            finally:
                screen.let_go()
                process_tree.bury()

    def _note(
        self, event: str, facts: dict[str, Any], training: Training, ours: socket.socket, shell: int
    ) -> None:
        training.facts.update(facts)
        if event == "begin":
            self._before = {pid: process_tree.cpu_of(pid) for pid in helpers(training, shell)}
            ours.send(b"\n")
        elif event == "written":
            if facts["last"]:
                wait_until_in_file(Path(training.facts["file"]), facts["last"])
            time.sleep(0.1)
            there = helpers(training, shell)
            self._spent = sum(
                process_tree.cpu_of(pid) - self._before.get(pid, 0.0) for pid in there
            )
            training.helpers = len(there)
            training.resident = sum(memory_of(pid, "Rss") for pid in there)
            training.proportional = sum(memory_of(pid, "Pss") for pid in there)
            ours.send(b"\n")
        elif event == "timed":
            training.loops[facts["kind"]] = Loop(facts["wall"], facts["cpu"], self._spent)


def heard(ours: socket.socket) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield what the trainer reports until it ends or dies."""
    told = b""
    while not told.endswith(b"'finished'}\n") and not told.endswith(b"'killed'}\n"):
        if not select.select([ours], [], [], PATIENCE)[0]:
            raise RuntimeError(f"nothing heard of it for {PATIENCE:.0f} seconds")
        told = ours.recv(65536)
        if not told:
            raise RuntimeError("it ended early")
        for line in told.splitlines():
            facts = ast.literal_eval(line.decode())
            yield facts.pop("event"), facts


def wait_until_in_file(path: Path, last: str) -> None:
    """Wait until the last line is in the file, 4 seconds at most."""
    deadline = time.monotonic() + 4.0
    while time.monotonic() < deadline:
        with contextlib.suppress(FileNotFoundError), open(path, "rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 65536))
            if last.encode() in file.read():
                break
        time.sleep(0.02)


class Terminal:
    """A pipe or pty that is read all the time, and the shell at its other end."""

    def __init__(self, kind: str) -> None:
        self.count, self.last = 0, b""
        self._pty = kind == "pty"
        if self._pty:
            self._read, self._end = os.openpty()
            fcntl.ioctl(self._end, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
            self._typed, self._stdin = os.dup(self._read), os.dup(self._end)
        else:
            self._read, self._end = os.pipe()
            self._stdin, self._typed = os.pipe()
        self._reader = threading.Thread(target=self._drain)

    def start(self, command: Sequence[str], descriptor: int) -> int:
        """Start the script as a user's shell does, which stays when the script has ended."""
        pid = subprocess.Popen(
            ["sh", "-c", '"$@"; read -r enter', "sh", *command],
            stdin=self._stdin,
            stdout=self._end,
            stderr=self._end,
            start_new_session=True,
            preexec_fn=(lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0)) if self._pty else None,  # noqa: PLW1509
            pass_fds=[descriptor],
        ).pid
        os.close(self._end)
        os.close(self._stdin)
        self._reader.start()
        return pid

    def let_go(self) -> None:
        """Close the shell, as a user does."""
        with contextlib.suppress(OSError):
            os.write(self._typed, b"\n")

    def _drain(self) -> None:
        with contextlib.suppress(OSError):  # EIO: nobody has the terminal any more
            while some := os.read(self._read, 65536):
                self.count += len(some)
                self.last = (self.last + some)[-2000:]

    def __enter__(self) -> Terminal:  # noqa: PYI034 - no subclass is meant
        return self

    def __exit__(self, *_: object) -> None:
        self._reader.join()
        os.close(self._read)
        os.close(self._typed)


# -- Processes ------------------------------------------------------------------------------------


def helpers(training: Training, shell: int) -> set[int]:
    return process_tree.members() - {shell, training.facts["pid"]}


def memory_of(pid: int, what: str) -> int:
    with contextlib.suppress(OSError):
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        found = re.search(rf"^{what}:\s+(\d+) kB", rollup, re.MULTILINE)
        return int(found[1]) * 1024 if found else 0
    return 0


# -- Tables ---------------------------------------------------------------------------------------


def table_of_lines(samples: dict[str, list[Training]], kind: str, unit: str) -> str:
    """Return a table of the medians in µs per line, and of the ratios to the unit."""
    lines = [
        f"| | wall, µs | x {unit} | trainer CPU, µs | x {unit} | helpers' CPU, µs | in the file |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    first = [training.loops.get(kind) for training in samples.get(unit, [])]
    for name, trainings in samples.items():
        loops = [training.loops[kind] for training in trainings if kind in training.loops]
        if not loops:
            continue
        count = trainings[-1].facts["count"]
        cells = [NAMES[name]]
        for get in (lambda loop: loop.wall, lambda loop: loop.cpu):
            cells.append(f"{statistics.median(map(get, loops)) / count * 1e6:.1f}")
            cells.append(ratio(loops, first, get))
        cells.append(f"{statistics.median(loop.helpers for loop in loops) / count * 1e6:.1f}")
        cells.append(kept(trainings, kind, count))
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def ratio(loops: list[Loop], first: list[Loop | None], get: Callable[[Loop], float]) -> str:
    pairs = [(mine, its) for mine, its in zip(loops, first, strict=False) if its]
    if not pairs:
        return "-"
    return f"{statistics.median(get(mine) / get(its) for mine, its in pairs):.2f}"


def kept(trainings: list[Training], kind: str, count: int) -> str:
    """The worst round's lines in the file."""
    least = min(training.kept(kind)[0] for training in trainings)
    twice = max(training.kept(kind)[1] for training in trainings)
    words = "all" if least == count else "none" if not least else f"{least / count:.0%}"
    return f"{words}, {twice} twice" if twice else words


def table_of_rest(
    samples: dict[str, dict[str, list[Training]]],
    starts: dict[str, list[float]],
    lost: dict[str, Training],
    bars: dict[str, Training],
) -> str:
    heads = ["", "import, ms", "call, ms", "trivial script over bare, ms", "helpers"]
    heads += ["their RSS (PSS), MB", f"lost of {KILLED_AFTER} prints when killed"]
    heads += ["tqdm, bytes in the file"]
    lines = [f"| {' | '.join(heads)} |".replace("|  |", "| |"), "|---" + "|---:" * 7 + "|"]
    for name in lost:
        trainings = [training for by_name in samples.values() for training in by_name[name]]
        some = trainings[-1]
        captures = some.kept("print")[0]
        cells = [
            NAMES[name],
            milliseconds(training.facts["imported"] for training in trainings),
            milliseconds(training.facts["start"] for training in trainings),
            over_bare(starts, name),
            str(some.helpers),
            f"{some.resident / 1e6:.0f} ({some.proportional / 1e6:.0f})" if some.helpers else "-",
            str(KILLED_AFTER - lost[name].kept("print")[0]) if captures else "-",
            f"{len(bars[name].written):,}" if bars[name].written else "-",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    drawn = next(iter(bars.values())).terminal
    return "\n".join(lines) + f"\n\ntqdm drew {drawn:,} bytes on the terminal."


def over_bare(starts: dict[str, list[float]], name: str) -> str:
    if name not in starts or "bare" not in starts:
        return "-"
    return milliseconds(a - b for a, b in zip(starts[name], starts["bare"], strict=True))


def milliseconds(seconds: Iterator[float] | Sequence[float]) -> str:
    return f"{statistics.median(seconds) * 1000:.0f}"


if __name__ == "__main__":
    main()
