"""Who works on a search, and what they are asked: from anywhere that sees the folder.

A worker writes down who it is in `.modeldir/workers/`, and with which options it was started, for
whoever says how to go on. It looks now and then into `.modeldir/stops/`. A request to stop names
the workers that it is for, so that whoever comes later ignores it. This module knows those files.
It refuses to signal anybody: a worker may run on another host, or as another user.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import stat
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from modeldir import attempts, files, processes, provenance
from modeldir.trials import HOME

Urgency = Literal["wait", "now"]
"""`wait`: no new trials, the running ones go on to their end. `now`: they are interrupted."""


_LAST = "last_worker.json"


@dataclass(frozen=True)
class Member:
    """A worker as it wrote itself down. `alive` is None where that cannot be seen from here;
    `is_leaving`: it was asked to stop.
    """

    token: str
    host: str
    pid: int
    jobs: int
    started: str
    alive: bool | None
    is_leaving: bool = False


class Membership:
    """This worker's own entry, from `join` on until `leave`."""

    def __init__(self, folder: Path, token: str) -> None:
        self._stops, self.token = folder / HOME / "stops", token
        self._path = folder / HOME / "workers" / f"{token}.json"
        self._seen: tuple[int, int] | None = None
        self._urgency: Urgency | None = None
        self.asked_by = ""
        """Who asked it to stop: user@host."""

    def asked_to_stop(self) -> Urgency | None:
        """What was asked of this worker, the most urgent of it. While nothing is: one `stat`."""
        state = _state(self._stops)
        if state is not None and state != self._seen:
            self._seen = state
            for request in _objects(self._stops):
                if self.token in request.get("workers", ()) and self._urgency != "now":
                    self._urgency = "now" if request.get("now") else "wait"
                    self.asked_by = _who(request.get("by"))
        return self._urgency

    def leave(self) -> None:
        """Take the entry back."""
        with contextlib.suppress(OSError):
            os.unlink(self._path)


def join(folder: Path, jobs: int, options: Sequence[str] = ()) -> Membership:
    """Write down that this process works on a search. `options` are those of its command line that
    say where trials run: `-j 2`.
    """
    membership = Membership(folder, os.urandom(8).hex())
    me = processes.process()
    entry = {
        "token": membership.token,
        "process": me.to_json() if me else None,
        "host": processes.host(),
        "pid": os.getpid(),
        "jobs": jobs,
        "folder": attempts.identity_of(folder),
        "started": provenance.utc_now(),
    }
    with contextlib.suppress(OSError):  # on a full disk nobody can ask it to stop; it works
        (folder / HOME / "workers").mkdir(parents=True, exist_ok=True)
        files.publish(
            folder / HOME / "workers" / f"{membership.token}.json", json.dumps(entry).encode()
        )
        files.write_json(folder / HOME / _LAST, {"options": [*options]})
    return membership


def again(folder: Path) -> str:
    """The line to type that goes on with a search, as its last worker was started."""
    return shlex.join(["modeldir", "search", str(folder), *options_of(folder)])


def options_of(folder: Path) -> list[str]:
    """With which options of its command line a search's last worker was started."""
    options = files.read_object(folder / HOME / _LAST).get("options")
    return [*map(str, options)] if isinstance(options, list) else []


def members(folder: Path) -> list[Member]:
    """The workers that wrote themselves down and may be alive, oldest first. In a copy of a search
    that runs nobody works: its entries speak of the original.
    """
    found = []
    inode = attempts.identity_of(folder).get("inode")
    stops = _objects(folder / HOME / "stops")
    asked = {token for request in stops for token in request.get("workers", ())}
    for entry in _objects(folder / HOME / "workers"):
        member = _member(entry, asked)
        place = entry.get("folder")
        is_copy = isinstance(place, dict) and place.get("inode") != inode
        if member is not None and member.alive is not False and not is_copy:
            found.append(member)
    return sorted(found, key=lambda member: member.started)


def killed(folder: Path) -> set[processes.Process]:
    """The workers of this machine that are dead and did not leave: nothing was told since."""
    entries = _objects(folder / HOME / "workers")
    known = filter(None, (processes.from_json(entry.get("process")) for entry in entries))
    return {worker for worker in known if processes.alive(worker) is False}


def ask_to_stop(folder: Path, asked: list[Member], urgency: Urgency) -> None:
    """Ask these workers to stop.

    Raises:
        OSError: when the request cannot be written.
    """
    request = {
        "workers": [member.token for member in asked],
        "now": urgency == "now",
        "by": {"user": _user(), "host": processes.host(), "pid": os.getpid()},
        "time": provenance.utc_now(),
        "token": os.urandom(8).hex(),
    }
    stops = folder / HOME / "stops"
    stops.mkdir(parents=True, exist_ok=True)
    path = stops / f"{request['token']}.json"
    files.publish(path, json.dumps(request).encode())
    for each, readable in ((stops, 0o555), (path, 0o444)):  # by those who are asked, other users
        with contextlib.suppress(OSError):
            os.chmod(each, stat.S_IMODE(os.stat(each).st_mode) | readable)
    with contextlib.suppress(OSError):
        os.utime(stops)  # one that looked in between could not read it yet: let it look again


def _user() -> str | None:
    from getpass import getuser  # noqa: PLC0415 - only who asks somebody

    with contextlib.suppress(Exception):  # a container's number without a name: KeyError, OSError
        return getuser()
    return None


def _who(by: object) -> str:
    told = by if isinstance(by, dict) else {}
    return "@".join(str(told[key]) for key in ("user", "host") if told.get(key))


def _member(entry: dict[str, Any], asked: Collection[str]) -> Member | None:
    try:
        known = processes.from_json(entry.get("process"))
        return Member(
            token=str(entry["token"]),
            host=str(entry["host"]),
            pid=int(entry["pid"]),
            jobs=int(entry["jobs"]),
            started=str(entry["started"]),
            alive=None if known is None else processes.alive(known),
            is_leaving=entry["token"] in asked,
        )
    except (KeyError, TypeError, ValueError):
        return None  # half an entry, from a disk that was full


def _objects(folder: Path) -> Iterator[dict[str, Any]]:
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return
    for name in names:
        if name.endswith(".json") and not files.is_temporary(name):
            yield files.read_object(folder / name)


def _state(folder: Path) -> tuple[int, int] | None:
    try:
        status = os.stat(folder)
    except OSError:
        return None
    return (status.st_mtime_ns, status.st_ino)
