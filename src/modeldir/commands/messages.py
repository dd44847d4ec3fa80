"""Texts that several commands print: errors, labeled entries, paths, what to type next.

Keep imports light: `modeldir show` of one experiment reads no tree of experiments. Texts about
jobs: `search_submit.py`; how a search is doing: `monitor/`.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modeldir._system import escaping, files, reading, text
from modeldir._system.shell import quoted
from modeldir._system.terminal import width_of_lines, width_of_messages
from modeldir._system.timestamps import unix_time
from modeldir.errors import ModeldirError

if TYPE_CHECKING:
    from modeldir.results.experiments import ExperimentRow

_LOGS = ("train.log", "console.log", "search.log")

Entry = tuple[str, object]
"""A label and its value; `entries_text` prints several."""


class NothingFound(ModeldirError):
    """A command found nothing to print: exit code 1."""

    exit_code = 1


def print_stderr(message: str) -> None:
    """Print on standard error, wrapped in a terminal, control characters escaped."""
    print_lines(text.folded(message, width_of_messages()))


def print_lines(lines: Iterable[str]) -> None:
    """Print lines on standard error. If that fails, the command's exit code does not change."""
    try:
        print("\n".join(lines), file=sys.stderr, flush=True)
    except OSError:  # full disk or closed pipe: the interpreter would try to flush again at exit
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - open until exit


def wait_for_more(seconds: float) -> None:
    """Wait. If the reader of the output has left (`| head`), raise BrokenPipeError."""
    import select  # noqa: PLC0415 - only for commands that follow something

    poll = select.poll()
    out = sys.__stdout__ or sys.stdout  # a view that could not write has replaced sys.stdout
    poll.register(out.fileno(), 0)
    if poll.poll(seconds * 1000):
        raise BrokenPipeError


def after_best(best: Path) -> str:
    """Return the command to type next: evaluate the best experiment, or show it after that."""
    from modeldir.experiment import experiment  # noqa: PLC0415 - not needed by most commands

    if os.path.isfile("evaluate.py") and not experiment.scores(best).test:
        return f"python evaluate.py --model_dir {quoted(best)}"
    return f"modeldir show {quoted(best)}"


def report_text(path: Path) -> str:
    return f"report:  {path} ({os.stat(path).st_size / 1e6:.1f} MB): open it in a browser"


def main_log(folder: Path) -> Path | None:
    for name in _LOGS:
        if (folder / name).is_file():
            return folder / name
    logs = [path for path in folder.glob("*.log") if path.is_file()]
    return max(logs, key=modified, default=None)


def modified(path: Path) -> float:
    with contextlib.suppress(OSError):
        return os.stat(path).st_mtime
    return 0.0


def path_as_typed(path: Path) -> str:
    try:
        return str(files.absolute(path).relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def time_text(stamp: object) -> str | None:
    """Return a recorded time in UTC, for people.

    >>> time_text("2026-11-23T10:00:00.123+00:00")
    '2026-11-23 10:00:00 UTC'
    """
    moment = unix_time(stamp)
    if moment is None:
        return None
    from datetime import datetime, timezone  # noqa: PLC0415 - only when a time is shown

    return f"{datetime.fromtimestamp(moment, timezone.utc):%Y-%m-%d %H:%M:%S} UTC"


def value_text(value: object) -> str:
    return text.cell_text(text.value_cell(value))


def entries_text(entries: Iterable[Entry]) -> str:
    """Return labels and values in two aligned columns, without empty values.

    In a terminal, a long list is wrapped between its values. A command stays one line, so that it
    can be copied.
    """
    shown = [(label, str(value)) for label, value in entries if value not in (None, "", 0)]
    label_width = max((len(label) for label, _ in shown), default=0)
    width = width_of_lines()
    lines: list[str] = []
    for label, value in shown:
        line = f"{label:<{label_width}}  {escaping.visible(value)}"
        lines += [line] if label == "command" else text.wrapped(line, width, label_width + 2)
    return "\n".join(lines)


def retry_text(row: ExperimentRow, attempts_asked: Mapping[int, int]) -> str | None:
    """Return that an ended trial will run again, if `modeldir retry` has asked for it."""
    attempt = attempts_asked.get(-1 if row.number is None else row.number)
    if attempt is None or attempt <= row.status.attempt:
        return None
    from modeldir.search import worker_registry  # noqa: PLC0415 - only after `modeldir retry`

    return f"to run again as attempt {attempt}: {worker_registry.resume_command(row.path.parent)}"


def origin_entries(folder: Path) -> Iterator[Entry]:
    """Yield which trial an experiment is, or which experiment it was derived from, and why."""
    trial = reading.read_object(folder / "trial.json")
    if isinstance(trial.get("number"), int) and isinstance(trial.get("configuration"), dict):
        yield "trial", f"{trial['number']}: {assignments_text(trial['configuration'])}"
    origin = reading.read_object(folder / "origin.json")
    if isinstance(origin.get("from"), str):
        source = os.path.normpath(files.absolute(folder) / origin["from"])
        yield "from", path_as_typed(Path(source))
    changes = origin.get("changes")
    yield from (("", change) for change in _changes(changes if isinstance(changes, dict) else {}))
    yield "why", origin.get("message")


def _changes(changes: Mapping[str, Any]) -> Iterator[str]:
    for name, change in changes.items():
        if isinstance(change, list) and len(change) == 2:  # noqa: PLR2004 - old value, new value
            old, new = change
            before = "" if old is None else f"{value_text(old)} -> "
            yield f"{name}: {before}{value_text(new)}"


def assignments_text(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value_text(value)}" for name, value in values.items())
