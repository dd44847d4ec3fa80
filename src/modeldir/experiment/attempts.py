"""The run files of an experiment: one JSON file for each attempt, written by its owner.

The supervisor and `run` (a script without a supervisor) begin and end attempts; everything that
needs a folder's status reads them. Start reading at `begin`. The rule that must not break: to
publish `run.json`, `run.2.json`, ... is to claim the right to run, and only the owner rewrites the
file. The order of statements here is the safety argument. `experiment` turns attempts into a
status.

An attempt of `evaluate.py` is recorded as `evaluate.run.json`, beside the training run's file.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from modeldir._system import files, heartbeat, processes, reading, recorded_numbers, timestamps
from modeldir._system.shell import quoted
from modeldir.errors import FolderBusy
from modeldir.metrics import metric_files

FORMAT = 1
"""The format of run files. Old files are read for years: keys are added, and keep their meaning."""

WAITING = "waiting"
RUNNING = "running"
COMPLETED = "completed"
PRUNED = "pruned"
FAILED = "failed"
INTERRUPTED = "interrupted"
UNRECORDED = "unrecorded"
WITH_METRICS = (COMPLETED, PRUNED)
"""The ends of an attempt that leave valid metrics."""
FINAL = (*WITH_METRICS, FAILED)
"""The ends that are not run again automatically."""
ENDS = (*FINAL, INTERRUPTED)
RANKED = frozenset({COMPLETED, UNRECORDED})
"""The statuses of experiments that are compared by their metrics."""
UNFINISHED = frozenset({WAITING, RUNNING, INTERRUPTED})
"""The statuses of experiments that run or are still to run."""

HOME = ".modeldir"
"""The folder in a search or an experiment that belongs to modeldir."""
RUN_VARIABLE = "MODELDIR_RUN"
ATTEMPT_VARIABLE = "MODELDIR_ATTEMPT"
RESUME_VARIABLE = "MODELDIR_RESUME"

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


_OLD = 600.0
"""Seconds without a heartbeat after which an incomplete run file stays one. No cache of a file
server keeps a file so long, and clocks differ less."""


def is_alive(attempt: Attempt, observer: heartbeat.Observer | None = None) -> bool | None:
    """Return whether an attempt without an end still runs; None if that is not known yet.

    What this host proves counts at once: see `_proof`. Else the heartbeat decides, which `observer`
    watches. So it does for a run file that reads incomplete, because it may be complete a moment
    later, or from another host; but if it is old, a power cut left it so. A run file that cannot be
    read says nothing.
    """
    if _is_incomplete(attempt) and (heartbeat.seconds_since_beat(attempt.file) or 0.0) > _OLD:
        return False
    proof = _proof(attempt) if attempt.record else None
    return proof if proof is not None or observer is None else observer.look(attempt.file)


def _proof(attempt: Attempt) -> bool | None:
    """Return whether an attempt runs, as far as this host can prove it.

    Its processes decide if its owner worked on this host through the same mount of the folder. Then
    a folder with another inode is a copy, in which nothing runs. Through another mount we may read
    an older run file than the owner wrote, so a dead owner proves nothing, and a folder may have
    another inode. Without a heartbeat nothing else can be learned: inode and processes decide.
    """
    owners, folder = _owners(attempt.record), attempt.record.get("folder")
    if not owners or not isinstance(folder, dict):
        return False
    seen, is_here = identity_of(attempt.folder), any(map(processes.is_of_this_boot, owners))
    has_our_mount = is_here and folder.get("device") == seen.get("device")
    decides = has_our_mount or not has_heartbeat(attempt)
    is_same = folder.get("inode") == seen.get("inode")
    if decides and not is_same:
        return False
    answers = [processes.alive(known) for known in owners]
    if is_same and (True in answers or any(map(processes.session_left, owners))):
        return True
    are_dead = answers.count(False) == len(answers) and not _beat_since_boot(attempt, owners)
    has_restarted = are_dead and not is_here
    return False if are_dead and (decides or has_restarted) else None


def _is_incomplete(attempt: Attempt) -> bool:
    """Return whether a run file can be read, but holds no record (yet, or any more)."""
    return not attempt.record and reading.read_bytes(attempt.file) is not None


def _beat_since_boot(attempt: Attempt, owners: list[processes.Process]) -> bool:
    """Return whether a heartbeat came since this machine started, from an earlier boot's owner.

    Then the owner is on another machine of the same name that nothing distinguishes: containers
    often have neither a name nor an id that is unique.
    """
    if not has_heartbeat(attempt) or any(map(processes.is_of_this_boot, owners)):
        return False
    up, silent = processes.uptime(), heartbeat.seconds_since_beat(attempt.file)
    return up is not None and silent is not None and silent < up


def has_heartbeat(attempt: Attempt) -> bool:
    """Return whether watching shows if the attempt is alive.

    A script without a supervisor has no heartbeat: it has no time for one, and nothing could end it
    when it is given up. An incomplete run file is watched, because it may be that of any attempt.
    """
    return heartbeat.recorded_interval(attempt.record) is not None or _is_incomplete(attempt)


def host_of(attempt: Attempt) -> str:
    """Return the host on which an attempt was begun."""
    owners = _owners(attempt.record)
    return owners[0].host if owners else "a host that it does not name"


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


def _owners(record: Mapping[str, Any]) -> list[processes.Process]:
    found = (processes.from_json(record.get(name)) for name in ("supervisor", "process"))
    return [known for known in found if known is not None]


def leftover_processes(attempt: Attempt) -> list[int]:
    """Return the processes of a dead attempt, whose supervisor was killed.

    They are in its supervisor's session, since they were started, or have its token in their
    environment (a daemon has left the session).
    """
    found = {pid for known in _owners(attempt.record) for pid in processes.session_left(known)}
    token = attempt.record.get("token")
    mark = f"{RUN_VARIABLE}={token}:".encode()
    if not isinstance(token, str) or os.environ.get(RUN_VARIABLE, "").startswith(f"{token}:"):
        return sorted(found)  # this process is one of them
    with contextlib.suppress(OSError):
        for name in os.listdir("/proc"):  # only on Linux; elsewhere a daemon is not found
            data = reading.read_bytes(f"/proc/{name}/environ") if name.isdigit() else None
            if data and (data.startswith(mark) or b"\0" + mark in data):
                found.add(int(name))
    return sorted(found)


def command_process(attempt: Attempt) -> processes.Process | None:
    """Return the process of an attempt's command.

    If the supervisor was killed just after the start, it may not be recorded. Then it is the oldest
    that is left.
    """
    recorded = attempt.record.get("process")
    if recorded != {}:
        return processes.from_json(recorded)
    found = filter(None, map(processes.process, leftover_processes(attempt)))
    return min(found, key=lambda known: (known.started, known.pid), default=None)


_PATIENCE_WITH_THE_KILLED = 5.0


def kill_leftover_processes(attempt: Attempt) -> None:
    """Kill the processes of a dead attempt, which nothing else would stop, and wait for their end.

    A copied run file names the processes of the original. While its supervisor lives, or the script
    that has none, they are left alone. Each round lists them anew, since a process may have started
    another meanwhile.
    """
    if any(processes.alive(owner) for owner in _owners(attempt.record)[:1]):
        return
    deadline = time.monotonic() + _PATIENCE_WITH_THE_KILLED
    while (left := leftover_processes(attempt)) and time.monotonic() < deadline:
        for pid in left:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.005)


def kill_orphans(attempt: Attempt) -> bool:
    """Kill what runs of an attempt whose supervisor is dead: its end could not be recorded.

    Returns false if the supervisor lives, or may live.
    """
    supervisor = processes.from_json(attempt.record.get("supervisor"))
    if attempt.end is not None or supervisor is None or processes.alive(supervisor) is not False:
        return False
    command = processes.from_json(attempt.record.get("process"))
    if command is not None and processes.alive(command):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(command.pid, signal.SIGKILL)
    kill_leftover_processes(attempt)
    return True


def next_number(folder: Path, script: str = "", observer: heartbeat.Observer | None = None) -> int:
    """Return the number for the next attempt in a folder.

    The `observer` has watched its heartbeats.

    Raises:
        FolderBusy: when the latest attempt still runs, or may still run on another host.
    """
    last = latest(folder, script)
    if last is None:
        return 1
    if last.end is None:
        life = is_alive(last, observer)
        if life is not False:
            raise FolderBusy(_busy(last, sure=bool(life)))
    return last.number + 1


def _busy(attempt: Attempt, *, sure: bool) -> str:
    owners = _owners(attempt.record)
    where = f"process {owners[-1].pid} on {owners[-1].host}" if owners else "unknown process"
    since = attempt.record.get("started", "an unknown time")
    if sure:
        stop = "stop that process. "
        if not attempt.script:
            stop = f"modeldir stop {quoted(attempt.folder)}\n"
        return (
            f"{attempt.folder} is running: attempt {attempt.number}, {where}, since {since}.\n"
            f"Wait for it, or: {stop}Nothing was started."
        )
    silent = heartbeat.seconds_since_beat(attempt.file) if has_heartbeat(attempt) else None
    if silent is not None:
        from modeldir._system.durations import duration_text  # noqa: PLC0415 - scripts import this module

        return (
            f"{attempt.folder} may be running: attempt {attempt.number}, {where}, since {since};\n"
            f"it was last heard of {duration_text(silent)} ago. `modeldir run` finds out within 2 "
            "minutes, and takes over if it is dead.\nNothing was started."
        )
    return (
        f"{attempt.folder} may be running: attempt {attempt.number}, {where}, since {since};\n"
        f"that host cannot be seen from here. If it is dead, remove {attempt.file}.\n"
        "Nothing was started."
    )


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
