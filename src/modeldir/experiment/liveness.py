"""Says whether an attempt still runs, finds what a dead one has left, and ends it.

Workers, `show` and `stop` call it. Start reading at `is_alive`. Unknown is never taken for dead:
see "What a reader may conclude" in docs/contributing/architecture.md. Heartbeats:
`_system/heartbeat.py`; the run files themselves: `attempts.py`.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modeldir._system import heartbeat, processes, reading
from modeldir._system.shell import quoted
from modeldir.errors import FolderBusy
from modeldir.experiment.attempts import FORK_VARIABLE, RUN_VARIABLE, Attempt, identity_of, latest

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
    return owners[0].host if owners else "an unknown host"


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
    if os.environ.get(RUN_VARIABLE, "").startswith(f"{token}:"):
        return sorted(found)  # this process is one of them
    with contextlib.suppress(OSError):
        for name in os.listdir("/proc"):  # only on Linux; elsewhere a daemon is not found
            if name.isdigit() and _has_token(attempt, int(name)):
                found.add(int(name))
    return sorted(found)


def _has_token(attempt: Attempt, pid: int) -> bool:
    token = attempt.record.get("token")
    data = reading.read_bytes(f"/proc/{pid}/environ") if isinstance(token, str) else None
    if data is None:
        return False
    started, forked = f"\0{RUN_VARIABLE}={token}:", f"\0{FORK_VARIABLE}={token}\0"
    data = b"\0" + data
    return started.encode() in data or forked.encode() in data


def may_kill(attempt: Attempt, pid: int) -> bool:
    """Whether a process that a run file names may be killed for it.

    A run file may name any process, and another user may have written it. So the process runs as
    the user to whom the file belongs, or has the attempt's token in its environment (a file system
    may show another owner).
    """
    return processes.belongs_to_owner_of(attempt.file, pid) or _has_token(attempt, pid)


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
    while time.monotonic() < deadline:
        left = [pid for pid in leftover_processes(attempt) if may_kill(attempt, pid)]
        if not left:
            return
        for pid in left:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.005)


def kill_orphans(attempt: Attempt) -> bool:
    """Kill what runs of an attempt whose supervisor is dead: its end could not be recorded.

    Returns false if the supervisor lives, or may live, or its command must not be killed.
    """
    supervisor = processes.from_json(attempt.record.get("supervisor"))
    if attempt.end is not None or supervisor is None or processes.alive(supervisor) is not False:
        return False
    command = processes.from_json(attempt.record.get("process"))
    if command is not None and processes.alive(command):
        if not may_kill(attempt, command.pid):
            return False
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
            f"its last heartbeat was {duration_text(silent)} ago. `modeldir run` waits up to 2 "
            "minutes, and takes over if the run is dead.\nNothing was started."
        )
    return (
        f"{attempt.folder} may be running: attempt {attempt.number}, {where}, since {since};\n"
        f"that host cannot be checked from here. If the run is dead, remove {attempt.file}.\n"
        "Nothing was started."
    )
