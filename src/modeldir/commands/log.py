"""`modeldir log`: print what one or several experiments printed, and follow it as it grows.

The end of a log is shown without reading all of it. Redrawn lines are shown as `logs/screen.py`
leaves them. Which of several files to show: `messages.main_log`.
"""

from __future__ import annotations

import argparse
import contextlib
import mmap
import os
import re
import sys
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import BinaryIO

from modeldir._system import heartbeat, processes, reading
from modeldir._system.shell import quoted
from modeldir.commands.folders import experiments_among, headers, number_of
from modeldir.commands.log_reader import CHUNK, Reader, last_lines, lines_of, tail_begin
from modeldir.commands.messages import main_log, modified, print_stderr, wait_for_more
from modeldir.errors import FolderError
from modeldir.experiment import attempts, experiment
from modeldir.search import worker_registry

HELP = "Print what an experiment printed and logged: train.log, or console.log if there is none."
EXAMPLE = "modeldir log experiments/base_model -f --tail 20"
FOLDERS = "dirs"

PAUSE = 0.2
"""Seconds between two readings of a file that grows."""

MOST = 5
"""How many trials of a search are listed if the user has to choose one."""

_CONSOLE = "console.log"
_FAR = 1 << 26  # the last bytes of a log, in which its last session is searched
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2},[0-9]{3}")
_SESSION = re.compile(rb"# modeldir-log v[0-9]+ \S+ pid=([0-9]+)(?: host=(\S+))?")
_HEAD, _END = b"# modeldir-log v", b"# end "
_LIVE = (attempts.RUNNING, attempts.PENDING)

Show = Callable[[Iterable[str]], None]
Waits = Iterator[None]
"""A log that is followed: it prints what there is, and yields when it has to wait for more."""
Wait = Callable[[], None]


def configure(parser: argparse.ArgumentParser) -> None:
    parser.usage = "modeldir log DIR ... [-f] [--tail N] [--raw]"
    parser.add_argument(
        "dirs",
        nargs="+",
        metavar="DIR",
        type=_folder,
        help="experiments, or a search to print its own log",
    )
    parser.add_argument(
        "-f",
        "--follow",
        action="store_true",
        help="print new lines until the run has ended, or you press Ctrl-C",
    )
    parser.add_argument(
        "--tail", metavar="N", type=_count, help="print only the last N lines (default: all)"
    )
    parser.add_argument(
        "--raw",
        action="store_true",
        help="print the exact bytes of console.log, with colors and progress bars",
    )


def _folder(text: str) -> str:
    if re.fullmatch(r"-[0-9]+", text):  # argparse takes a negative number for a folder
        raise argparse.ArgumentTypeError(f"{text} is not a folder")
    return text


def meant(words: Sequence[str]) -> str | None:
    for place, word in enumerate(words):
        count = re.fullmatch(r"-n?([0-9]+)|-n|--lines(?:=([0-9]+))?", word)
        if count:
            behind = [*words[place + 1 : place + 2], "20"][0]
            number = next(filter(None, count.groups()), behind if behind.isdigit() else "20")
            return f"the last lines: --tail {number}"
    return None


def run(arguments: argparse.Namespace) -> int:
    folders = experiments_among(list(map(Path, arguments.dirs)))
    sys.stdout.flush()
    if arguments.follow:
        with contextlib.suppress(KeyboardInterrupt):  # the usual way to stop: no error
            if len(folders) == 1:
                follow(folders[0], tail=arguments.tail, raw=arguments.raw)
            else:
                follow_all(folders, tail=arguments.tail, raw=arguments.raw)
        return 0
    if len(folders) == 1:
        _print(folders[0], _log_or_error(folders[0], raw=arguments.raw), arguments)
        return 0
    return _print_all(folders, arguments)


def _print(folder: Path, path: Path, arguments: argparse.Namespace) -> None:
    if arguments.raw:
        _copy(path, arguments.tail)
    else:
        _show(lines_of(path) if arguments.tail is None else last_lines(path, arguments.tail))
    if not arguments.raw and was_cut_off(folder, path):
        print_stderr(_cut_off(path))


def _print_all(folders: Sequence[Path], arguments: argparse.Namespace) -> int:
    from modeldir._system.escaping import visible  # noqa: PLC0415 - not for a single log

    problems, begun = list[str](), False
    for folder in folders:
        try:
            path = _log_or_error(folder, raw=arguments.raw)
        except FolderError as error:
            problems.append(str(error))
            continue
        _show([f"{chr(10) * begun}==> {visible(str(path))} <==\n"])
        begun = True
        _print(folder, path, arguments)
    if problems:
        raise FolderError("\n".join(problems))
    return 0


# -- Which file ------------------------------------------------------------------------------------


def _log_or_error(folder: Path, *, raw: bool) -> Path:
    if not folder.is_dir():
        raise FolderError(experiment.no_folder_message(folder))
    path = _log_path(folder, raw=raw)
    if path is not None:
        return path
    if experiment.is_search(folder):
        raise FolderError(_choice(folder))
    if experiment.params_file(folder) is None and (below := _below(folder)):
        raise FolderError(below)
    what = "console.log: modeldir did not run it" if raw and main_log(folder) else "log yet"
    raise FolderError(
        f"{folder} has no {what}\n  to see its status: modeldir show {quoted(folder)}"
    )


def _log_path(folder: Path, *, raw: bool) -> Path | None:
    path = folder / _CONSOLE if raw else main_log(folder)
    return path if path is not None and path.is_file() else None


def _choice(folder: Path) -> str:
    with os.scandir(folder) as entries:
        below = [Path(folder, entry.name) for entry in entries if entry.is_dir()]
    logs = {trial: path for trial in below if (path := main_log(trial)) is not None}
    trials = sorted(logs, key=lambda trial: (-modified(logs[trial]), trial.name))
    lines = [f"{folder} is a search without a log; its trials have these:"]
    lines += [f"  modeldir log {quoted(trial)}" for trial in trials[:MOST]]
    if len(trials) > MOST:
        lines.append(f"  and {len(trials) - MOST} more: modeldir show {quoted(folder)}")
    if not trials:
        return f"{folder} is a search, and none of its trials has a log yet"
    return "\n".join(lines)


def _below(folder: Path) -> str:
    found = [path for path in sorted(folder.glob("*/")) if experiment.params_file(path)]
    lines = [f"{folder} is not an experiment; below it are:"]
    lines += [f"  modeldir log {quoted(path)}" for path in found[:MOST]]
    if len(found) > MOST:
        lines.append(f"  and {len(found) - MOST} more")
    return "\n".join(lines) if found else ""


# -- Printing --------------------------------------------------------------------------------------


def _copy(path: Path, tail: int | None) -> None:
    with reading.open_stream(path) as file:
        file.seek(0 if tail is None else tail_begin(file, tail))
        while piece := file.read(CHUNK):
            sys.stdout.buffer.write(piece)
    sys.stdout.buffer.flush()


def _show(lines: Iterable[str]) -> None:
    dim = _dims()
    for line in lines:
        text = line if line.isascii() else _without_misleading(line)
        if dim and line[:1] in "12":
            text = _TIME.sub(r"\033[2m\g<0>\033[0m", text, count=1)
        sys.stdout.buffer.write(text.encode("utf-8", "surrogateescape"))
    sys.stdout.buffer.flush()


def _without_misleading(line: str) -> str:
    from modeldir._system.escaping import without_misleading  # noqa: PLC0415 - most logs are ASCII

    return without_misleading(line)


def _dims() -> bool:
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM", "dumb") == "dumb"
    return not plain and sys.stdout.isatty()


def _show_bytes(data: bytes) -> None:
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


# -- As it grows -----------------------------------------------------------------------------------


def follow(folder: Path, *, tail: int | None, raw: bool, wait: Wait | None = None) -> None:
    """Print a log and what is added to it, until the run has ended.

    If a new attempt begins, its log is printed next. If the run has not begun, wait for it.
    """
    for _ in _following(folder, _show, tail=tail, raw=raw):
        (wait or partial(wait_for_more, PAUSE))()


def follow_all(
    folders: Sequence[Path], *, tail: int | None, raw: bool, wait: Wait | None = None
) -> None:
    if raw:
        raise FolderError(
            "--raw -f needs one experiment: the bytes of several would be mixed\n"
            f"  modeldir log {' '.join(map(quoted, folders))} -f"
        )
    from modeldir._system.escaping import visible  # noqa: PLC0415 - only for several logs
    from modeldir._system.text import text_width  # noqa: PLC0415 - as above

    names = [visible(name) for name in _names(folders)]
    width = max(map(text_width, names))
    active: list[Waits] = []
    for folder, name in zip(folders, names, strict=True):
        named = f"{name}{' ' * (width - text_width(name))} | "
        active.append(_following(folder, _Named(named), tail=tail, raw=False))
    problems: list[str] = []
    while active:
        active = [each for each in active if _continues(each, problems)]
        if active:
            (wait or partial(wait_for_more, PAUSE))()
    if problems:
        raise FolderError("\n".join(problems))


def _names(folders: Sequence[Path]) -> list[str]:
    """Return the names to print before the lines: in a narrow terminal, listed numbers."""
    from modeldir._system.escaping import visible  # noqa: PLC0415 - see above
    from modeldir._system.terminal import width_here  # noqa: PLC0415 - see above
    from modeldir._system.text import text_width  # noqa: PLC0415 - see above

    names, numbers = headers(folders), [number_of(folder) for folder in folders]
    short = [number for number in numbers if number is not None]
    fits = 4 * max(map(text_width, names)) <= width_here()
    if fits or not sys.stdout.isatty() or len(set(short)) < len(names):
        return names
    for number, name in zip(short, names, strict=True):
        print(f"{number}: {visible(name)}", flush=True)
    return short


def _continues(following: Waits, problems: list[str]) -> bool:
    try:
        next(following)
    except StopIteration:
        return False
    except FolderError as error:
        problems.append(str(error))
        return False
    return True


class _Named:
    """Prints lines with a name before each; each piece of a very long line is a line."""

    def __init__(self, name: str) -> None:
        self._name, self._open = name.encode("utf-8", "surrogateescape"), False

    def __call__(self, lines: Iterable[str]) -> None:
        for line in lines:
            was_open, self._open = self._open, not line.endswith("\n")
            if was_open and line == "\n":
                continue  # the line's end: each piece has printed its own
            _show_bytes(self._name)
            _show(
                [
                    line.removeprefix("\n").removesuffix("\n") + "\n"
                    if was_open or self._open
                    else line
                ]
            )


def _following(folder: Path, show: Show, *, tail: int | None, raw: bool) -> Waits:
    observer = heartbeat.Observer()
    if not folder.is_dir() or experiment.is_search(folder):
        _log_or_error(folder, raw=raw)
    path, is_announced = _log_path(folder, raw=raw), False
    while path is None:
        if experiment.status(folder, observer=observer).state not in _LIVE:
            path = _log_or_error(folder, raw=raw)
        else:
            if not is_announced:
                is_announced = True
                print_stderr(f"waiting for {folder} to start (stop waiting: Ctrl-C)")
            yield
            path = _log_path(folder, raw=raw)
    ended = False
    while path is not None:
        alive = partial(is_alive, folder, path, observer)
        ended = yield from _follow_file(folder, path, alive, show, tail=tail, raw=raw)
        tail = None
        path = None if ended else (yield from _next(folder, path, observer, raw=raw))
    last = _log_path(folder, raw=raw)
    if not raw and last is not None and was_cut_off(folder, last, observer):
        print_stderr(_cut_off(last))


def _follow_file(  # noqa: PLR0913 - what to read and how to print it
    folder: Path, path: Path, alive: Callable[[], bool], show: Show, *, tail: int | None, raw: bool
) -> Generator[None, None, bool]:
    """Print one file as it grows; True if the run has ended, False if the file was moved away."""
    reader = Reader()
    with reading.open_stream(path) as file:
        if tail is not None:
            file.seek(tail_begin(file, tail))
        while True:
            ended = not alive()  # asked first, so that its last output is read below
            while piece := file.read(CHUNK):
                _show_bytes(piece) if raw else show(reader.feed(piece))
            gone = not _is_at(file, path) or _has_better_log(folder, path, raw=raw)
            if gone or ended:
                show(reader.end())
                return ended and not gone
            yield
            show(reader.settle())


def _has_better_log(folder: Path, path: Path, *, raw: bool) -> bool:
    """Return whether the script has begun its own log since `console.log` was chosen."""
    return not raw and path.name == _CONSOLE and main_log(folder) not in {None, path}


def _is_at(file: BinaryIO, path: Path) -> bool:
    here = os.fstat(file.fileno())
    try:
        there = os.stat(path)
    except OSError:
        return False
    return os.path.samestat(here, there) and there.st_size >= file.tell()


def _next(
    folder: Path, old: Path, observer: heartbeat.Observer, *, raw: bool
) -> Generator[None, None, Path | None]:
    while True:
        live = experiment.status(folder, observer=observer).state in _LIVE
        path = _log_path(folder, raw=raw) or (old if old.is_file() else None)
        if path is not None or not live:
            return path
        yield


# -- How it ended ----------------------------------------------------------------------------------


def is_alive(folder: Path, path: Path, observer: heartbeat.Observer | None = None) -> bool:
    """Return whether more may be written to a log: its run is alive, or may be."""
    if experiment.is_search(folder):
        return bool(worker_registry.workers(folder, observer))
    state = experiment.status(folder, observer=observer).state
    if state == attempts.UNTRACKED:
        return _session(path) not in {"ended", "dead"}
    return state in _LIVE


def was_cut_off(folder: Path, path: Path, observer: heartbeat.Observer | None = None) -> bool:
    """Return whether modeldir's log has no end line, and no process is left to write it."""
    state, session = experiment.status(folder, observer=observer).state, _session(path)
    if state == attempts.UNTRACKED:
        return session == "dead"
    return state not in _LIVE and session in {"dead", "elsewhere"}


def _session(path: Path) -> str | None:
    """Return "ended", "alive", "dead" or "elsewhere" (on another host); None for another log."""
    head = _last_head(path)
    if head is None:
        return None
    if _ends(path):
        return "ended"
    if (head[2] or b"").decode("utf-8", "replace") != processes.host():
        return "elsewhere"
    try:
        os.kill(int(head[1]), 0)
    except ProcessLookupError:
        return "dead"
    except (OSError, OverflowError):
        pass  # the process of another user
    return "alive"


def _ends(path: Path) -> bool:
    last = reading.tail(path, CHUNK).rstrip(b"\n")
    return last.rpartition(b"\n")[2].startswith(_END)


def _last_head(path: Path) -> re.Match[bytes] | None:
    try:
        with (
            reading.open_stream(path) as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data,
        ):
            place = data.rfind(b"\n" + _HEAD, max(0, len(data) - _FAR)) + 1  # else its first line
            return _SESSION.match(data[place : place + 4096])
    except (OSError, ValueError):  # an empty file cannot be mapped
        return None


def _cut_off(path: Path) -> str:
    return f"warning: {path} is cut off: its process was killed, or the machine stopped"


def _count(text: str) -> int:
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"expected a number of lines, got {text!r}")
    return int(text)
