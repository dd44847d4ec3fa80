"""Who holds what of this machine, without a daemon: leases that the kernel ends.

A lease is a file in one folder of the user's, locked by whoever may use the thing. The lock belongs
to the open file, not to a process: a worker takes it, hands its descriptor on, and the last one
that has it open holds it. Whatever is killed, the kernel lets go; a file that nobody locks is
nobody's lease, and the next reader removes it. What is held in all is summed up under a lock around
the whole folder, so that shares of any size add up to no more than there is. Who waits says so in a
file of the same kind, so that of several searches each gets its turn.

It knows names and shares. It refuses to know what a name stands for (a GPU, a port).

The folder is `/tmp/modeldir-UID`, not below $XDG_RUNTIME_DIR: that one is another for a login and
for a scheduled job of the same user, and is removed when he logs out, under a search that goes on.
`MODELDIR_RUNTIME_DIR` names another, which a group may share.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from modeldir.errors import SearchError

FOLDER_VARIABLE = "MODELDIR_RUNTIME_DIR"
WHOLE = 1_000_000
"""How many units are all of a thing: shares are whole numbers of them, so that sums are exact."""

_LOCK = "lock"
_LEASE, _WAITING = "lease", "waiting"
_JOB = "job"
_OLD = 86400.0
"""Seconds after which the place of a job that holds nothing is taken away."""
_PATIENCE = 2.0
_FRESH = 3.0
"""Seconds for which one that waits and does not ask is still counted as waiting."""
_SEPARATOR = "+"


def units(share: float) -> int:
    """A share in whole units, rounded so that n shares of 1/n are never more than all.

    >>> units(0.25), units(1 / 3), units(2 / 3), units(1)
    (250000, 333333, 666666, 1000000)
    """
    return max(1, int(share * WHOLE + 1e-6))


@dataclass(frozen=True)
class Claim:
    """What somebody wants: `count` of the things named, and so many units of each."""

    names: tuple[str, ...]
    count: int
    units: int

    def fits(self, held: Mapping[str, int]) -> bool:
        """Whether there is room for it beside what is held."""
        return len(self.room(held)) >= self.count

    def room(self, held: Mapping[str, int]) -> list[str]:
        """The things that have room, the least used first: side by side trials are slower."""
        free = [name for name in self.names if held.get(name, 0) + self.units <= WHOLE]
        return sorted(free, key=lambda name: held.get(name, 0))


class Leases:
    """The leases of one user's processes on this machine, or of one `job` of his.

    Raises:
        SearchError: when the folder cannot be used: nothing may be started on trust alone.
    """

    def __init__(
        self, environment: Mapping[str, str] | None = None, job: str | None = None
    ) -> None:
        chosen = (os.environ if environment is None else environment).get(FOLDER_VARIABLE)
        self.folder = chosen or f"/tmp/modeldir-{os.geteuid()}"  # noqa: S108 - checked below
        self._is_ours, self._is_job = not chosen, job is not None
        self._ticket: int | None = None
        self._since = 0
        self._check()
        if job is not None:
            _remove_old_jobs(self.folder)
            own = _SEPARATOR.join((_JOB, safe_name(job), str(os.getpid())))
            self.folder = os.path.join(self.folder, own)
            self._check()
        try:
            with self._locked() as fine:
                if fine:
                    self._check_locks()
        except OSError as error:
            raise _refused(self.folder, error.strerror or str(error)) from None

    def take(self, claim: Claim) -> dict[str, int] | None:
        """Leases for a claim, a descriptor each by name, all or none; None: there is no room now.

        Whoever has waited longer goes first, where there is room for that one.

        Raises:
            OSError: when the folder cannot be written now.
            SearchError: when it was removed, and what is there now cannot be trusted.
        """
        with self._locked() as fine:
            if not fine:
                return None
            held, waiting = self._read()
            chosen = claim.room(held)[: claim.count]
            after = {**held, **{name: held.get(name, 0) + claim.units for name in chosen}}
            if len(chosen) < claim.count or any(
                other.fits(held) and not other.fits(after) for other in waiting
            ):
                self._wait(claim)
                return None
            taken = self._make_all(chosen, claim.units)
            self.stop_waiting()
            return taken

    def take_first(self, names: Iterable[str]) -> tuple[str, int] | None:
        """A lease of the first of many like things that nobody holds; None if all are held.

        Raises:
            OSError: as `take`.
        """
        with self._locked() as fine:
            held = self._read()[0] if fine else {}
            name = next((name for name in names if name not in held), None) if fine else None
            return None if name is None else (name, self._make(_LEASE, name, WHOLE))

    def held(self) -> dict[str, int]:
        """How many units of each thing are held, by anybody."""
        with self._locked() as fine:
            return self._read()[0] if fine else {}

    def stop_waiting(self) -> None:
        """Give up one's place among those that wait."""
        if self._ticket is not None:
            os.close(self._ticket)
            self._ticket = None

    def close(self) -> None:
        """Wait no more; a place of a job alone goes with it, once nothing there is held."""
        self.stop_waiting()
        if self._is_job:
            _remove_place(self.folder)

    # -- Files -------------------------------------------------------------------------------------

    def _read(self) -> tuple[dict[str, int], list[Claim]]:
        """What is held, and who has waited longer than we. Removes what nobody holds any more."""
        held: dict[str, int] = {}
        waiting = []
        for entry in os.listdir(self.folder):
            kind, _, rest = entry.partition(_SEPARATOR)
            name, number, _ = [*rest.rsplit(_SEPARATOR, 2), "", ""][:3]
            if kind not in (_LEASE, _WAITING) or not number.isdigit():
                continue
            path = os.path.join(self.folder, entry)
            if not _is_held(path):
                with contextlib.suppress(OSError):  # another user's, in a shared folder
                    os.unlink(path)
            elif kind == _LEASE:
                held[name] = held.get(name, 0) + int(number)
            elif self._ticket is None or int(number) < self._since:
                claim = _claim(path)
                waiting += [] if claim is None else [claim]
        return held, waiting

    def _make_all(self, names: list[str], amount: int) -> dict[str, int]:
        taken: dict[str, int] = {}
        try:
            for name in names:
                taken[name] = self._make(_LEASE, name, amount)
        except BaseException:
            for descriptor in taken.values():
                os.close(descriptor)
            raise
        return taken

    def _make(self, kind: str, name: str, number: int) -> int:
        """A new file of our own, locked. Nobody looks before we let go of the folder's lock."""
        return _locked_file(self._path(kind, name, number))

    def _path(self, kind: str, name: str, number: int) -> str:
        words = (kind, name, str(number), os.urandom(6).hex())
        return os.path.join(self.folder, _SEPARATOR.join(words))

    def _wait(self, claim: Claim) -> None:
        """Take a place among those that wait, or say that we still do."""
        now = _now()
        if self._ticket is None:
            self._since = now
            self._ticket = self._make(_WAITING, "", now)
            os.write(self._ticket, json.dumps(vars(claim)).encode())
        os.utime(self._ticket, ns=(now, now))

    # -- The folder --------------------------------------------------------------------------------

    def _check(self) -> None:
        """Make the folder if it is missing; refuse one in which somebody else has the say."""
        try:
            os.makedirs(self.folder, 0o700, exist_ok=True)
            found = os.lstat(self.folder)
            if self._is_ours:
                if not stat.S_ISDIR(found.st_mode):
                    raise _refused(self.folder, "it is no folder")
                if found.st_uid != os.geteuid():
                    raise _refused(self.folder, f"it belongs to user {found.st_uid}")
                if stat.S_IMODE(found.st_mode) & 0o077:
                    os.chmod(self.folder, 0o700)
        except OSError as error:
            raise _refused(self.folder, error.strerror or str(error)) from None
        if not os.access(self.folder, os.W_OK | os.X_OK):
            raise _refused(self.folder, "it cannot be written")

    def _check_locks(self) -> None:
        """Whether this file system's locks are worth anything: two that both get one are not."""
        path = self._path(_WAITING, "", 0)
        descriptor = _locked_file(path)
        try:
            if not _is_held(path):
                raise _refused(self.folder, "file locks do not work there")
        finally:
            os.close(descriptor)
            os.unlink(path)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[bool]:
        """Hold the folder; false where somebody else does, for longer than such a look takes."""
        descriptor = self._lock_folder()
        try:
            yield descriptor is not None
        finally:
            if descriptor is not None:
                os.close(descriptor)

    def _lock_folder(self) -> int | None:
        import fcntl  # noqa: PLC0415 - as above

        if not os.path.isdir(self.folder):  # somebody has tidied up
            self._check()
        path = os.path.join(self.folder, _LOCK)
        deadline = time.monotonic() + _PATIENCE
        while True:
            descriptor = _opened(path)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if _is_still(path, descriptor):
                    return descriptor
            except BlockingIOError:
                pass
            except BaseException:
                os.close(descriptor)
                raise
            os.close(descriptor)
            if time.monotonic() >= deadline:
                return None
            time.sleep(0.002)


def _locked_file(path: str) -> int:
    import fcntl  # noqa: PLC0415 - not on Windows, where searching is not offered

    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def let_go(leases: tuple[int, ...]) -> None:
    """End leases for good, also where a copy of the descriptor leaked into some other process."""
    import fcntl  # noqa: PLC0415 - as above

    for descriptor in leases:
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_UN)
        with contextlib.suppress(OSError):
            os.close(descriptor)


def freshen(leases: tuple[int, ...]) -> None:
    """Touch the files of leases: what lies in /tmp untouched for days is cleaned away."""
    for descriptor in leases:
        with contextlib.suppress(OSError):
            os.utime(descriptor)


def _opened(path: str) -> int:
    """A file only to read, made if it is missing: a lock needs no more, and in a folder that a
    group shares the file may be another user's (which open(2) with O_CREAT may refuse).
    """
    try:
        return os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return os.open(path, os.O_RDONLY | os.O_CREAT | os.O_NOFOLLOW, 0o644)


def _is_held(path: str) -> bool:
    """Whether anybody has a lease's file locked. What cannot be seen is taken for held."""
    import fcntl  # noqa: PLC0415 - as above

    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    else:
        return False
    finally:
        os.close(descriptor)


def _is_still(path: str, descriptor: int) -> bool:
    """Whether the open file is the one at that path: somebody may have removed it meanwhile."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except OSError:
        return False


def _remove_old_jobs(folder: str) -> None:
    """Take away the places of jobs that are over, here on this machine."""
    with contextlib.suppress(OSError):
        for name in os.listdir(folder):
            path = os.path.join(folder, name)
            if name.startswith(_JOB + _SEPARATOR) and time.time() - os.stat(path).st_mtime > _OLD:
                _remove_place(path)


def _remove_place(folder: str) -> None:
    """Take away a folder of leases that nobody holds any more."""
    with contextlib.suppress(OSError):
        left = [os.path.join(folder, name) for name in os.listdir(folder)]
        if not any(map(_is_held, left)):  # the lock too: somebody is taking something just now
            for path in left:
                os.unlink(path)
            os.rmdir(folder)


def _claim(path: str) -> Claim | None:
    """What one that waits wants; None if he has not asked for a while: stopped, or at other things.

    The file's time is that of the monotonic clock, which all processes here share.
    """
    try:
        with open(path, "rb") as file:
            if _now() - os.fstat(file.fileno()).st_mtime_ns > _FRESH * 1e9:
                return None
            value: Any = json.load(file)
        return Claim(tuple(value["names"]), int(value["count"]), int(value["units"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _now() -> int:
    return time.monotonic_ns()


def safe_name(words: str) -> str:
    """Words as the name of something that can be leased: a part of a file's name.

    >>> safe_name("MIG-GPU-5c89/1/0")
    'MIG-GPU-5c89_1_0'
    """
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in words)


def _refused(folder: str, why: str) -> SearchError:
    return SearchError(
        f"{folder}: leases of GPUs and ports cannot be kept here: {why}\n"
        f"  {FOLDER_VARIABLE}=/another/folder names another one, of this machine alone",
        state="Nothing was started.",
    )
