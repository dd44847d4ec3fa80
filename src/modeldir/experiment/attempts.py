"""The run files of an experiment: one JSON file for each attempt, written by its owner.

The supervisor and `run` (a script without a supervisor) begin and end attempts; everything that
needs a folder's status reads them. Start reading at `begin`. The rule that must not break: to
publish `run.json`, `run.2.json`, ... is to claim the right to run, and only the owner rewrites the
file. The order of statements here is the safety argument. Whether an attempt still runs:
`liveness.py`. `experiment` turns attempts into a status.

An attempt of `evaluate.py` is recorded as `evaluate.run.json`, beside the training run's file.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from modeldir._system import files, heartbeat, reading, recorded_numbers, timestamps
from modeldir.metrics import metric_files

FORMAT = 1
"""The format of run files. Old files are read for years: keys are added, and keep their meaning."""

PENDING = "pending"
RUNNING = "running"
COMPLETED = "completed"
PRUNED = "pruned"
FAILED = "failed"
INTERRUPTED = "interrupted"
UNTRACKED = "untracked"
WITH_METRICS = (COMPLETED, PRUNED)
"""The ends of an attempt that leave valid metrics."""
FINAL = (*WITH_METRICS, FAILED)
"""The ends that are not run again automatically."""
ENDS = (*FINAL, INTERRUPTED)
RANKED = frozenset({COMPLETED, UNTRACKED})
"""The statuses of experiments that are compared by their metrics."""
UNFINISHED = frozenset({PENDING, RUNNING, INTERRUPTED})
"""The statuses of experiments that run or are still to run."""

HOME = ".modeldir"
"""The folder in a search or an experiment that belongs to modeldir."""
RUN_VARIABLE = "MODELDIR_RUN"
ATTEMPT_VARIABLE = "MODELDIR_ATTEMPT"
RESUME_VARIABLE = "MODELDIR_RESUME"
FORK_VARIABLE = "MODELDIR_FORK"
"""The variable of the preloading process in whose place a forked command writes its token.

`/proc/PID/environ` of a fork shows the memory of the process that was executed.
"""
NO_TOKEN = "." * 16
"""The value before that, as long as a token."""

_KEPT = frozenset({
    "params.json", "params.jsonc", "params.yaml", "params.yml", "params.toml", "trial.json",
    "origin.json", "search.json", "attempts", HOME,
})  # fmt: skip
EVENTS = "events.jsonl"
DOUBT = "doubt"
"""The key of an attempt that was begun because of a late heartbeat alone."""
PRUNES_ITSELF = "judges"
"""The event by which a script says that it decides itself when to stop early."""
WEIGHTS = (".pth", ".pth.tar", ".pt", ".npz", ".ckpt", ".h5", ".keras", ".safetensors", ".weights")
"""The endings of files with saved weights."""
_RUN_FILE = re.compile(r"(?:(?P<script>.+)\.)?run(?:\.(?P<number>[1-9]\d*))?\.json")


@dataclass(frozen=True)
class Attempt:
    """One execution of a script in an experiment's folder, as its run file records it.

    `has_leftovers`: for an attempt that has just begun, whether earlier attempts left files there.
    """

    folder: Path
    number: int
    script: str
    record: Mapping[str, Any]
    has_leftovers: bool = False

    @property
    def file(self) -> str:
        """The path of its run file as a string; a supervisor avoids `Path`, which is slow."""
        return os.path.join(self.folder, run_file(self.number, self.script))

    @property
    def path(self) -> Path:
        """The path of its run file."""
        return Path(self.file)

    @property
    def end(self) -> str | None:
        """The recorded end: completed, pruned, failed or interrupted; None if there is none."""
        status = self.record.get("status")
        return status if status in ENDS else None


def run_file(number: int, script: str = "") -> str:
    """Return the name of an attempt's run file; `script` is empty for the training run.

    >>> run_file(1), run_file(2), run_file(1, "evaluate")
    ('run.json', 'run.2.json', 'evaluate.run.json')
    """
    return f"{script + '.' if script else ''}run{f'.{number}' if number > 1 else ''}.json"


def numbers(names: list[str], script: str = "") -> list[int]:
    """Return the numbers of the attempts that have a run file among the names, ascending."""
    found = []
    for name in names:
        match = _RUN_FILE.fullmatch(name)
        if match and (match["script"] or "") == script:
            found.append(int(match["number"] or 1))
    return sorted(found)


def scripts(names: Iterable[str]) -> list[str]:
    """Return the scripts, other than the training script, that have a run file among the names.

    >>> scripts(["run.json", "evaluate.run.json", "evaluate.run.2.json", "train.log"])
    ['evaluate']
    """
    found = (_RUN_FILE.fullmatch(name) for name in names)
    return sorted({match["script"] for match in found if match and match["script"]})


def latest(folder: Path, script: str = "", names: list[str] | None = None) -> Attempt | None:
    """Return the latest attempt of a script in a folder. A broken run file has no end."""
    found = numbers(_names(folder) if names is None else names, script)
    return read(folder, found[-1], script) if found else None


def read(folder: Path, number: int, script: str = "") -> Attempt:
    """Return one attempt, as its run file records it."""
    record = reading.read_object(os.path.join(folder, run_file(number, script)))
    return Attempt(folder, number, script, record)


def earlier_seconds(attempt: Attempt) -> float:
    """Return the seconds that the earlier attempts took which this one continues.

    An attempt that left no end counts as zero, because its time is unknown. Attempts whose files
    were archived do not count.
    """
    total, later = 0.0, attempt
    while later.number > 1 and later.record.get("resumes") is True:
        if (attempt.folder / "attempts" / str(later.number - 1)).is_dir():
            break  # the later one began with another trial's weights
        later = read(attempt.folder, later.number - 1, attempt.script)
        total += recorded_numbers.seconds(later.record.get("duration")) or 0.0
    return total


def _names(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


# -- Beginning and ending --------------------------------------------------------------------------


def begin(
    folder: Path,
    number: int,
    facts: Mapping[str, Any],
    script: str = "",
    *,
    own_since_ns: int | None = None,
) -> Attempt | None:
    """Claim an attempt; return None when another process has claimed it.

    Files that the folder contains and that belong to the user are recorded as `found`; no later
    attempt moves them.

    Args:
        folder: the experiment's folder.
        number: the number of the attempt.
        facts: what the caller knows: `command`, `cwd`, `process`, `supervisor`, ... An empty
            `process` says that the command begins now. A null `process` says that the folder has
            to be prepared first; this is also set if earlier attempts left files.
        script: empty for the training run.
        own_since_ns: see `archive`.

    Raises:
        OSError: when the folder cannot be written.
    """
    left, found = ([], []) if script else _leftovers(folder, number, own_since_ns)
    record = {
        "format": FORMAT,
        "attempt": number,
        "token": os.urandom(8).hex(),
        **facts,
        **({"process": None} if left and facts.get("process") == {} else {}),
        "folder": identity_of(folder),
        **({} if facts.get("supervisor") is None else {heartbeat.KEY: heartbeat.interval()}),
        "found": found,
        "started": timestamps.utc_now(),
        "intent": None,
        "status": None,
    }
    attempt = Attempt(folder, number, script, record, has_leftovers=bool(left))
    data = files.to_json(record).encode()
    return attempt if files.publish(attempt.file, data) else None


def rewrite(attempt: Attempt, changes: Mapping[str, Any], *, durable: bool = False) -> Attempt:
    """Replace an attempt's run file; only its owner may.

    Raises:
        OSError: when the folder cannot be written.
    """
    record = {**attempt.record, **changes}
    files.write_json(attempt.file, record, durable=durable)
    return replace(attempt, record=record)


def withdraw(attempt: Attempt) -> None:
    """Remove the run file of an attempt that changed nothing in its folder; only its owner may."""
    with contextlib.suppress(OSError):
        os.unlink(attempt.file)


def identity_of(folder: Path) -> dict[str, int]:
    """Return device and inode of a folder, by which a copied run file is recognized."""
    with contextlib.suppress(OSError):
        status = os.stat(folder)
        return {"device": status.st_dev, "inode": status.st_ino}
    return {}


def is_superseded(attempt: Attempt) -> bool | None:
    """Return whether another process owns the folder now; None if that cannot be read.

    That is so if there is a later attempt, or if this run file belongs to another attempt. The
    folder is listed, because a network file system may remember that a name did not exist.
    """
    try:
        names = os.listdir(attempt.folder)
    except OSError:
        return None
    later = numbers(names, attempt.script)
    if later and later[-1] > attempt.number:
        return True
    token = reading.read_object(attempt.file).get("token")
    return token is not None and token != attempt.record.get("token")


# -- Archiving -------------------------------------------------------------------------------------


def archive(folder: Path, new: int, *, own_since_ns: int | None = None) -> Path | None:
    """Move the files of earlier attempts to `attempts/N/`, before attempt `new` starts afresh.

    These stay: `params.json`, `trial.json` and the run files; folders that are experiments
    themselves; what the attempt found when it began (the user's files, e.g. the whole project if
    its folder is the experiment); and entries changed since `own_since_ns` (Unix time in ns), which
    belong to the new attempt. Files of a training run that was never recorded (metrics, weights,
    logs) go to `attempts/0/`.

    Returns the folder that they were moved to, or None when there was nothing.
    """
    left, _ = _leftovers(folder, new, own_since_ns)
    if not left:
        return None
    target = folder / "attempts" / str(_last_started(folder, new, _names(folder)))
    target.mkdir(parents=True, exist_ok=True)
    for name in left:
        _move(folder / name, target / name)
    return target


def last_weights(folder: Path) -> list[Path]:
    """Return the files of the weights that were saved last: `last.npz`, `last.pth.tar`."""
    return [
        folder / name
        for name in sorted(_names(folder))
        if name.startswith("last.") and name.endswith(WEIGHTS)
    ]


def needs_archiving(folder: Path, new: int) -> bool:
    """Return whether a folder contains files of an attempt before `new`."""
    return bool(_leftovers(folder, new, None)[0])


def is_output(name: str) -> bool:
    """Return whether a file's name is that of a training run's output: metrics, weights, a log."""
    return (
        name.endswith((".log", *WEIGHTS))
        or name in {metric_files.METRICS_LINES, EVENTS}
        or metric_files.classify(name) is not None
        or _RUN_FILE.fullmatch(name) is not None
    )


def _leftovers(folder: Path, new: int, own_since_ns: int | None) -> tuple[list[str], list[str]]:
    """Return the files that attempts before `new` left in a folder, and the user's own files."""
    names = sorted(_names(folder))
    last = _last_started(folder, new, names)
    found = read(folder, last).record.get("found") if last else None
    left: list[str] = []
    own: list[str] = []
    for name in names:
        if _is_kept(folder, name) or not _is_older(folder / name, own_since_ns):
            continue
        is_left = name not in found if isinstance(found, list) else is_output(name)
        (left if is_left else own).append(name)
    return left, own


def _is_kept(folder: Path, name: str) -> bool:
    """Return whether an entry belongs to the experiment and not to one attempt."""
    match = _RUN_FILE.fullmatch(name)
    if name in _KEPT or (match and not match["script"]) or files.is_temporary(name):
        return True
    path = folder / name
    return path.is_dir() and not path.is_symlink() and (path / "params.json").exists()


def _is_older(path: Path, than_ns: int | None) -> bool:
    if than_ns is None:
        return True
    try:
        return path.lstat().st_mtime_ns < than_ns
    except OSError:
        return False


def _last_started(folder: Path, new: int, names: list[str]) -> int:
    """Return the number of the last attempt that started its command and left its files."""
    for number in reversed([n for n in numbers(names) if n < new]):
        if read(folder, number).record.get("process") is not None:
            return number
    return 0


def last_started(attempt: Attempt | None) -> Attempt | None:
    """Return the attempt, or the last one before it, that started its command; None if none did.

    An attempt that was killed while it archived files has left nothing of its own. A broken run
    file counts as started, because it may be that of any attempt.
    """
    while attempt is not None and attempt.record.get("process", "broken") is None:
        before = attempt.number - 1
        attempt = read(attempt.folder, before, attempt.script) if before else None
    return attempt


def is_in_doubt(attempt: Attempt) -> bool:
    """Return whether an attempt was begun on the word of a heartbeat, and has run nothing yet."""
    return attempt.record.get(DOUBT) is True and attempt.record.get("process", "broken") is None


def last_certain(attempt: Attempt) -> Attempt:
    """Return the attempt, or if it was killed in doubt the one that it would have taken over from.

    What an attempt in doubt took over from may live, and may have recorded its end.
    """
    while attempt.number > 1 and (is_in_doubt(attempt) or not os.path.lexists(attempt.file)):
        attempt = read(attempt.folder, attempt.number - 1, attempt.script)
    return attempt


def _move(source: Path, target: Path) -> None:
    count = 2
    free = target
    while free.exists() or free.is_symlink():  # an earlier move was cut short
        free = target.with_name(f"{target.name}.{count}")
        count += 1
    source.rename(free)


# -- Under a supervisor ----------------------------------------------------------------------------


def attempt_in_environment(folder: str | os.PathLike[str]) -> int | None:
    """Return the attempt that, by the environment, runs this folder now, or None."""
    _, _, running = os.environ.get(RUN_VARIABLE, "").partition(":")
    if not running or not files.same_file(running, folder):
        return None
    try:
        return int(os.environ.get(ATTEMPT_VARIABLE, "1"))
    except ValueError:
        return None


def environment_variables(
    token: str, folder: str | os.PathLike[str], number: int, *, resumes: bool
) -> dict[str, str]:
    """Return the environment variables of a script that runs as an attempt."""
    return {
        RUN_VARIABLE: f"{token}:{os.path.abspath(folder)}",
        ATTEMPT_VARIABLE: str(number),
        RESUME_VARIABLE: "1" if resumes else "",
    }


def read_events(folder: Path) -> list[dict[str, Any]]:
    """Return the events of all attempts in a folder, oldest first."""
    return reading.read_lines(os.path.join(folder, EVENTS))


def events(folder: Path, number: int) -> list[dict[str, Any]]:
    """Return the events of one attempt, oldest first."""
    return [event for event in read_events(folder) if event.get("attempt") == number]


def add_event(folder: Path, number: int, event: str, **facts: object) -> None:
    """Add an event of the script; drop it if the disk is full, which must not end the run."""
    line = {"attempt": number, "event": event, **facts, "time": timestamps.utc_now()}
    with contextlib.suppress(OSError):
        files.append_line(folder / EVENTS, line)


def console_file(script: str = "") -> str:
    """Return the name of the file with a command's output; `script` is empty for the training run.

    >>> console_file(), console_file("evaluate")
    ('console.log', 'evaluate.console.log')
    """
    return f"{script}.console.log" if script else "console.log"
