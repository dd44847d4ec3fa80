"""The run files of an experiment: one JSON file an attempt, written by whoever runs it.

It knows how an attempt begins (`begin`: a published `run.json`, `run.2.json`, ...: that link is the
right to run), how it ends (`finish`), and how what an earlier attempt left is set aside. It refuses
to know who runs it: the supervisor, or a script that runs without one.

An attempt of `evaluate.py` is recorded beside the training's, as `evaluate.run.json`.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modeldir._system import files, heartbeat, processes, timestamps
from modeldir._system.shell import quoted
from modeldir.errors import FolderBusy
from modeldir.metrics import metrics

FORMAT = 1
"""Of run files. Readers meet older ones for years: keys are added, none changes its meaning."""

WAITING = "waiting"
RUNNING = "running"
COMPLETED = "completed"
PRUNED = "pruned"
FAILED = "failed"
INTERRUPTED = "interrupted"
UNRECORDED = "unrecorded"
WITH_METRICS = (COMPLETED, PRUNED)
"""What a training ends as that has metrics."""
FINAL = (*WITH_METRICS, FAILED)
"""What is not run again by itself."""
ENDS = (*FINAL, INTERRUPTED)
RANKED = frozenset({COMPLETED, UNRECORDED})
"""The statuses of experiments that are compared by their metrics."""
UNFINISHED = frozenset({WAITING, RUNNING, INTERRUPTED})
"""Who runs, or is to run."""

HOME = ".modeldir"
"""The folder in a search or an experiment that is ours."""
RUN_VARIABLE = "MODELDIR_RUN"
ATTEMPT_VARIABLE = "MODELDIR_ATTEMPT"
RESUME_VARIABLE = "MODELDIR_RESUME"

_KEPT = frozenset({
    "params.json", "params.jsonc", "params.yaml", "params.yml", "params.toml", "trial.json",
    "origin.json", "search.json", "attempts", HOME,
})  # fmt: skip
EVENTS = "events.jsonl"
PRUNES_ITSELF = "judges"
"""The event by which a script tells that it decides for itself when it should stop early."""
WEIGHTS = (".pth", ".pth.tar", ".pt", ".npz", ".ckpt", ".h5", ".keras", ".safetensors", ".weights")
"""How the names of saved weights end."""
_RUN_FILE = re.compile(r"(?:(?P<script>.+)\.)?run(?:\.(?P<number>[1-9]\d*))?\.json")


@dataclass(frozen=True)
class Attempt:
    """One execution of a script in an experiment's folder, as its run file records it.

    `leavings`: when it has just begun, whether earlier attempts left something there.
    """

    folder: Path
    number: int
    script: str
    record: Mapping[str, Any]
    has_leftovers: bool = False

    @property
    def file(self) -> str:
        """Its run file, as a text: a supervisor has no need of paths, which are slow."""
        return os.path.join(self.folder, run_file(self.number, self.script))

    @property
    def path(self) -> Path:
        """Its run file."""
        return Path(self.file)

    @property
    def end(self) -> str | None:
        """The recorded end: completed, pruned, failed or interrupted; None where there is none."""
        status = self.record.get("status")
        return status if status in ENDS else None


def run_file(number: int, script: str = "") -> str:
    """The name of an attempt's run file; `script` is empty for the training.

    >>> run_file(1), run_file(2), run_file(1, "evaluate")
    ('run.json', 'run.2.json', 'evaluate.run.json')
    """
    return f"{script + '.' if script else ''}run{f'.{number}' if number > 1 else ''}.json"


def numbers(names: list[str], script: str = "") -> list[int]:
    """The attempts whose run files are among the names of a folder, ascending."""
    found = []
    for name in names:
        match = _RUN_FILE.fullmatch(name)
        if match and (match["script"] or "") == script:
            found.append(int(match["number"] or 1))
    return sorted(found)


def scripts(names: Iterable[str]) -> list[str]:
    """The scripts other than the training of which run files are among the names of a folder.

    >>> scripts(["run.json", "evaluate.run.json", "evaluate.run.2.json", "train.log"])
    ['evaluate']
    """
    found = (_RUN_FILE.fullmatch(name) for name in names)
    return sorted({match["script"] for match in found if match and match["script"]})


def latest(folder: Path, script: str = "", names: list[str] | None = None) -> Attempt | None:
    """The highest attempt of a script in a folder. A broken run file has no end."""
    found = numbers(_names(folder) if names is None else names, script)
    return read(folder, found[-1], script) if found else None


def read(folder: Path, number: int, script: str = "") -> Attempt:
    """One attempt, as its run file records it."""
    record = files.read_object(os.path.join(folder, run_file(number, script)))
    return Attempt(folder, number, script, record)


def earlier_seconds(attempt: Attempt) -> float:
    """Seconds that the earlier attempts took from which this one went on. Of one that left no end
    it is not known, and it counts as none; so do those whose leavings were moved aside.
    """
    total, later = 0.0, attempt
    while later.number > 1 and later.record.get("resumes") is True:
        if (attempt.folder / "attempts" / str(later.number - 1)).is_dir():
            break  # it began with another trial's weights
        later = read(attempt.folder, later.number - 1, attempt.script)
        told = later.record.get("duration")
        total += told if isinstance(told, (int, float)) else 0.0
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
    """Claim an attempt; None when somebody else has it.

    `facts` are what the caller knows of it: `command`, `cwd`, `process`, `supervisor`, ... What
    lies in the folder and is the user's own is recorded as `found`: no later attempt will move it.
    For `own_since_ns` see `archive`. An empty `process` says that the command begins now; null,
    that the folder has to be made ready first, as it has to be where earlier attempts left a thing.

    Raises:
        OSError: when the folder cannot be written.
    """
    left, found = ([], []) if script else _sorted_out(folder, number, own_since_ns)
    record = {
        "format": FORMAT,
        "attempt": number,
        "token": os.urandom(8).hex(),
        **facts,
        **({"process": None} if left and facts.get("process") == {} else {}),
        "folder": identity_of(folder),
        **({} if facts.get("supervisor") is None else {heartbeat.KEY: heartbeat.every()}),
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
    return Attempt(attempt.folder, attempt.number, attempt.script, record)


def withdraw(attempt: Attempt) -> None:
    """Take back an attempt that never got as far as its folder; only its owner may."""
    with contextlib.suppress(OSError):
        os.unlink(attempt.file)


def identity_of(folder: Path) -> dict[str, int]:
    """Device and inode of a folder: a copied run file is known by them."""
    with contextlib.suppress(OSError):
        status = os.stat(folder)
        return {"device": status.st_dev, "inode": status.st_ino}
    return {}


def is_alive(attempt: Attempt, observer: heartbeat.Observer | None = None) -> bool | None:
    """Whether an attempt without an end still runs; None where that cannot be seen from here, and
    the `observer`, where there is one, has not seen enough of its heart yet.

    A run file in a copied folder speaks of the original: nothing runs in the copy. One that is
    there and cannot be read (another user's, a file server's hiccup) says nothing.
    """
    if not attempt.record and _cannot_be_read(attempt.file):
        return None
    keepers = _keepers(attempt.record)
    if not keepers or _is_copy(attempt, here=any(map(processes.is_of_this_boot, keepers))):
        return False
    answers = [processes.alive(known) for known in keepers]
    if True in answers:
        return True
    if None not in answers and not _beat_since_boot(attempt, keepers):
        return False
    return None if observer is None else observer.look(attempt.file)


def _cannot_be_read(path: str) -> bool:
    return os.path.lexists(path) and files.read_bytes(path) is None


def _beat_since_boot(attempt: Attempt, keepers: list[processes.Process]) -> bool:
    """Whether a heart has beaten since this machine started, though its owner is of a boot before.
    Then it is another machine's of the same name, which nothing told apart: containers often have
    neither a name nor an id of their own.
    """
    if not has_heartbeat(attempt) or any(map(processes.is_of_this_boot, keepers)):
        return False
    up, silent = processes.uptime(), heartbeat.silence(attempt.file)
    return up is not None and silent is not None and silent < up


def has_heartbeat(attempt: Attempt) -> bool:
    """Whether looking on will tell if it lives. A script that runs without a supervisor has none:
    nobody there has the time to beat, nor could end it when it is given up.
    """
    return heartbeat.recorded(attempt.record) is not None


def host_of(attempt: Attempt) -> str:
    """The host on which an attempt was begun."""
    keepers = _keepers(attempt.record)
    return keepers[0].host if keepers else "a host that it does not name"


def is_superseded(attempt: Attempt) -> bool | None:
    """Whether somebody else has the folder by now: there is a later attempt, or this one's run file
    is another's. None where that cannot be read.

    The folder is listed: a network file system may remember that a name was not there.
    """
    try:
        names = os.listdir(attempt.folder)
    except OSError:
        return None
    later = numbers(names, attempt.script)
    if later and later[-1] > attempt.number:
        return True
    token = files.read_object(attempt.file).get("token")
    return token is not None and token != attempt.record.get("token")


def _keepers(record: Mapping[str, Any]) -> list[processes.Process]:
    found = (processes.from_json(record.get(name)) for name in ("supervisor", "process"))
    return [known for known in found if known is not None]


def _is_copy(attempt: Attempt, *, here: bool) -> bool:
    """Whether the run file was made in another folder. Each host numbers its mounts by itself, so
    the device says something only of a run that was begun `here`; the inode is the same to all.
    """
    recorded, seen = attempt.record.get("folder"), identity_of(attempt.folder)
    if not isinstance(recorded, dict) or recorded.get("inode") != seen.get("inode"):
        return True
    return here and recorded != seen


def leftover_processes(attempt: Attempt) -> list[int]:
    """The processes of a dead attempt: those in its command's session, and those that bear its
    token in their environment (a daemon has left the session). Its supervisor was killed.
    """
    known = processes.from_json(attempt.record.get("process"))
    found = set(processes.session_left(known) if known else ())
    token = attempt.record.get("token")
    mark = f"{RUN_VARIABLE}={token}:".encode()
    if not isinstance(token, str) or os.environ.get(RUN_VARIABLE, "").startswith(f"{token}:"):
        return sorted(found)  # we are one of them ourselves
    with contextlib.suppress(OSError):
        for name in os.listdir("/proc"):  # Linux; elsewhere a daemon is a named limit
            data = files.read_bytes(f"/proc/{name}/environ") if name.isdigit() else None
            if data and (data.startswith(mark) or b"\0" + mark in data):
                found.add(int(name))
    return sorted(found)


def command_process(attempt: Attempt) -> processes.Process | None:
    """Who the command of an attempt is. One whose supervisor was killed as it had just begun may
    not be recorded yet: it leads a session, and bears the attempt's token.
    """
    recorded = attempt.record.get("process")
    if recorded != {}:
        return processes.from_json(recorded)
    found = map(processes.process, filter(processes.leads_a_session, leftover_processes(attempt)))
    return next(filter(None, found), None)


def kill_leftover_processes(attempt: Attempt) -> None:
    """Kill what a dead attempt left running: nobody would stop it any more."""
    for pid in leftover_processes(attempt):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)


def next_number(folder: Path, script: str = "", observer: heartbeat.Observer | None = None) -> int:
    """The number for the next attempt in a folder. The `observer` is who has looked at its hearts.

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
    keepers = _keepers(attempt.record)
    where = f"process {keepers[-1].pid} on {keepers[-1].host}" if keepers else "unknown process"
    since = attempt.record.get("started", "an unknown time")
    if sure:
        stop = "stop that process. "
        if not attempt.script:
            stop = f"modeldir stop {quoted(attempt.folder)}\n"
        return (
            f"{attempt.folder} is running: attempt {attempt.number}, {where}, since {since}.\n"
            f"Wait for it, or: {stop}Nothing was started."
        )
    silent = heartbeat.silence(attempt.file) if has_heartbeat(attempt) else None
    if silent is not None:
        from modeldir._system.durations import duration_text  # noqa: PLC0415 - a training imports us

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


# -- Setting aside ---------------------------------------------------------------------------------


def archive(folder: Path, new: int, *, own_since_ns: int | None = None) -> Path | None:
    """Move what earlier attempts left to `attempts/N/`, before attempt `new` starts afresh.

    `params.json`, `trial.json` and the history of run files stay; so do folders that are
    experiments themselves, what the attempt found when it began (the user's own: the whole project,
    if its folder is the experiment), and entries changed since `own_since_ns` (Unix time in ns),
    which are the new attempt's. What a run that nobody recorded left (metrics, weights, logs) goes
    to `attempts/0/`.

    Returns the folder it was moved to, or None when there was nothing.
    """
    left, _ = _sorted_out(folder, new, own_since_ns)
    if not left:
        return None
    target = folder / "attempts" / str(_last_started(folder, new, _names(folder)))
    target.mkdir(parents=True, exist_ok=True)
    for name in left:
        _move(folder / name, target / name)
    return target


def last_weights(folder: Path) -> list[Path]:
    """The weights that a training saved last: `last.npz`, `last.pth.tar`."""
    return [
        folder / name
        for name in sorted(_names(folder))
        if name.startswith("last.") and name.endswith(WEIGHTS)
    ]


def needs_archiving(folder: Path, new: int) -> bool:
    """Whether anything of an attempt before `new` lies in a folder."""
    return bool(_sorted_out(folder, new, None)[0])


def is_output(name: str) -> bool:
    """Whether a file's name says that a training wrote it: metrics, weights, a log."""
    return (
        name.endswith((".log", *WEIGHTS))
        or name in {metrics.METRICS_LINES, EVENTS}
        or metrics.classify(name) is not None
        or _RUN_FILE.fullmatch(name) is not None
    )


def _sorted_out(folder: Path, new: int, own_since_ns: int | None) -> tuple[list[str], list[str]]:
    """What attempts before `new` left in a folder, and what is the user's own."""
    names = sorted(_names(folder))
    last = _last_started(folder, new, names)
    found = read(folder, last).record.get("found") if last else None
    left: list[str] = []
    own: list[str] = []
    for name in names:
        if _stays(folder, name) or not _is_older(folder / name, own_since_ns):
            continue
        is_left = name not in found if isinstance(found, list) else is_output(name)
        (left if is_left else own).append(name)
    return left, own


def _stays(folder: Path, name: str) -> bool:
    """Whether an entry is no attempt's: it says what the experiment is, or what became of it."""
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
    """The attempt whose leavings lie in the folder: the last that got as far as its command."""
    for number in reversed([n for n in numbers(names) if n < new]):
        if read(folder, number).record.get("process") is not None:
            return number
    return 0


def last_started(attempt: Attempt | None) -> Attempt | None:
    """An attempt, or the last before it, that got as far as its command. One that was killed while
    it set aside what lay there has left nothing, and says nothing of what still lies there.

    A broken run file may be that of any attempt: it is taken for one that got so far.
    """
    while attempt is not None and attempt.record.get("process", "broken") is None:
        before = attempt.number - 1
        attempt = read(attempt.folder, before, attempt.script) if before else None
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
    """The attempt that the environment says is running this very folder, or None."""
    _, _, told = os.environ.get(RUN_VARIABLE, "").partition(":")
    if not told or not files.same_file(told, folder):
        return None
    try:
        return int(os.environ.get(ATTEMPT_VARIABLE, "1"))
    except ValueError:
        return None


def environment_variables(
    token: str, folder: str | os.PathLike[str], number: int, *, resumes: bool
) -> dict[str, str]:
    """What a script finds in its environment while it runs as an attempt."""
    return {
        RUN_VARIABLE: f"{token}:{os.path.abspath(folder)}",
        ATTEMPT_VARIABLE: str(number),
        RESUME_VARIABLE: "1" if resumes else "",
    }


def read_events(folder: Path) -> list[dict[str, Any]]:
    """What the scripts of a folder told, all attempts, oldest first."""
    return files.read_lines(os.path.join(folder, EVENTS))


def events(folder: Path, number: int) -> list[dict[str, Any]]:
    """What the script of one attempt told, oldest first."""
    return [event for event in read_events(folder) if event.get("attempt") == number]


def add_event(folder: Path, number: int, event: str, **facts: object) -> None:
    """Add to what the script tells. A full disk must not end a training: then it is not told."""
    line = {"attempt": number, "event": event, **facts, "time": timestamps.utc_now()}
    with contextlib.suppress(OSError):
        files.append_line(folder / EVENTS, line)


def console_file(script: str = "") -> str:
    """The name of the file that holds a command's output; `script` is empty for the training.

    >>> console_file(), console_file("evaluate")
    ('console.log', 'evaluate.console.log')
    """
    return f"{script}.console.log" if script else "console.log"
