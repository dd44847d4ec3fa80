"""Leases: which process holds which GPU or port of this machine, without a daemon.

`slots.py` takes leases and gives them to a trial's supervisor. A lease is a file in a folder of the
user, locked by whatever may use the thing. The lock belongs to the open file, not to a process: a
worker takes it, passes its descriptor on, and the lock lasts until the last process that has it
open closes it. If a process is killed, the kernel releases the lock; a file that nothing locks is
no lease, and the next reader removes it. All shares are added up under a lock around the folder, so
that together they never exceed the whole. A search that waits has a file of the same kind, so that
each of several searches gets its turn.

A name stands for any thing (a GPU, a port); which GPUs there are: `visible_gpus.py`.

The folder is `/tmp/modeldir-UID`, not below $XDG_RUNTIME_DIR, which differs between a login and a
scheduled job of the same user, and is removed at logout, while a search still runs.
`MODELDIR_RUNTIME_DIR` names another folder, which a group may share.
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

from modeldir._system import reading
from modeldir.errors import SearchError

FOLDER_VARIABLE = "MODELDIR_RUNTIME_DIR"
WHOLE = 1_000_000
"""How many units make up a whole thing: shares are integers, so that sums are exact."""

_LOCK = "lock"
_LEASE, _WAITING = "lease", "waiting"
_JOB = "job"
_OLD = 86400.0
"""Seconds after which the folder of a job that holds nothing is removed."""
_PATIENCE = 2.0
_FRESH = 3.0
"""Seconds for which a search that does not ask again still counts as waiting."""
_SEPARATOR = "+"


def units(share: float) -> int:
    """Return a share in units, rounded so that n shares of 1/n never exceed the whole.

    >>> units(0.25), units(1 / 3), units(2 / 3), units(1)
    (250000, 333333, 666666, 1000000)
    """
    return max(1, int(share * WHOLE + 1e-6))


@dataclass(frozen=True)
class Claim:
    """A request for `count` of the things named, and `units` of each."""

    names: tuple[str, ...]
    count: int
    units: int

    def fits(self, held: Mapping[str, int]) -> bool:
        """Whether there is room for it besides what is held."""
        return len(self.room(held)) >= self.count

    def room(self, held: Mapping[str, int]) -> list[str]:
        """Return the things that have room, the least used first: trials that share are slower."""
        free = [name for name in self.names if held.get(name, 0) + self.units <= WHOLE]
        return sorted(free, key=lambda name: held.get(name, 0))


class Leases:
    """The leases of one user's processes on this machine, or of one `job` of that user.

    Raises:
        SearchError: the folder cannot be used. Nothing may be started without leases.
    """

    def __init__(
        self, environment: Mapping[str, str] | None = None, job: str | None = None
    ) -> None:
        chosen = (os.environ if environment is None else environment).get(FOLDER_VARIABLE)
        self.folder = chosen or f"/tmp/modeldir-{os.geteuid()}"  # noqa: S108 - checked below
        self._is_private, self._is_job = not chosen, job is not None
        self._waiting_file: int | None = None
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
            raise _unusable(self.folder, error.strerror or str(error)) from None

    def take(self, claim: Claim) -> dict[str, int] | None:
        """Take all leases of a claim. Returns their descriptors by name; None: no room now.

        A claim that has waited longer goes first if there is room for it.

        Raises:
            OSError: the folder cannot be written now.
            SearchError: it was removed, and what is there now cannot be trusted.
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
        """Take a lease of the first thing that is not held; None if all are.

        Raises:
            OSError: as `take`.
        """
        with self._locked() as fine:
            held = self._read()[0] if fine else {}
            name = next((name for name in names if name not in held), None) if fine else None
            return None if name is None else (name, self._make(_LEASE, name, WHOLE))

    def held(self) -> dict[str, int]:
        """Return how many units of each thing are held, by any process."""
        with self._locked() as fine:
            return self._read()[0] if fine else {}

    def stop_waiting(self) -> None:
        """Give up our place in the queue."""
        if self._waiting_file is not None:
            os.close(self._waiting_file)
            self._waiting_file = None

    def close(self) -> None:
        """Stop waiting, and remove a job's folder once nothing in it is held."""
        self.stop_waiting()
        if self._is_job:
            _remove_job_folder(self.folder)

    # -- Files -------------------------------------------------------------------------------------

    def _read(self) -> tuple[dict[str, int], list[Claim]]:
        """Read what is held, and the claims that have waited longer. Removes abandoned files."""
        held: dict[str, int] = {}
        waiting = []
        for entry in os.listdir(self.folder):
            kind, _, rest = entry.partition(_SEPARATOR)
            name, number, _ = [*rest.rsplit(_SEPARATOR, 2), "", ""][:3]
            if kind not in (_LEASE, _WAITING) or not number.isdigit():
                continue
            path = os.path.join(self.folder, entry)
            if not _is_held(path):
                with contextlib.suppress(OSError):  # another user's file, in a shared folder
                    os.unlink(path)
            elif kind == _LEASE:
                held[name] = held.get(name, 0) + int(number)
            elif self._waiting_file is None or int(number) < self._since:
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
        """Make a locked file. No other process looks before we release the folder's lock."""
        return _locked_file(self._path(kind, name, number))

    def _path(self, kind: str, name: str, number: int) -> str:
        words = (kind, name, str(number), os.urandom(6).hex())
        return os.path.join(self.folder, _SEPARATOR.join(words))

    def _wait(self, claim: Claim) -> None:
        """Queue a claim, or show that it still waits."""
        now = _now()
        if self._waiting_file is None:
            self._since = now
            self._waiting_file = self._make(_WAITING, "", now)
            os.write(self._waiting_file, json.dumps(vars(claim)).encode())
        os.utime(self._waiting_file, ns=(now, now))

    # -- The folder --------------------------------------------------------------------------------

    def _check(self) -> None:
        """Make the folder if it is missing. A folder that another user controls is an error."""
        try:
            os.makedirs(self.folder, 0o700, exist_ok=True)
            found = os.lstat(self.folder)
            if self._is_private:
                if not stat.S_ISDIR(found.st_mode):
                    raise _unusable(self.folder, "it is not a folder")
                if found.st_uid != os.geteuid():
                    raise _unusable(self.folder, f"it belongs to user {found.st_uid}")
                if stat.S_IMODE(found.st_mode) & 0o077:
                    os.chmod(self.folder, 0o700)
        except OSError as error:
            raise _unusable(self.folder, error.strerror or str(error)) from None
        if not os.access(self.folder, os.W_OK | os.X_OK):
            raise _unusable(self.folder, "it cannot be written")

    def _check_locks(self) -> None:
        """Check that file locks work here: two processes must not both get one."""
        path = self._path(_WAITING, "", 0)
        descriptor = _locked_file(path)
        try:
            if not _is_held(path):
                raise _unusable(self.folder, "file locks do not work there")
        finally:
            os.close(descriptor)
            os.unlink(path)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[bool]:
        """Lock the folder. Yields false if another process keeps it locked for too long."""
        descriptor = self._lock_folder()
        try:
            yield descriptor is not None
        finally:
            if descriptor is not None:
                os.close(descriptor)

    def _lock_folder(self) -> int | None:
        import fcntl  # noqa: PLC0415 - as above

        if not os.path.isdir(self.folder):  # it was removed meanwhile
            self._check()
        path = os.path.join(self.folder, _LOCK)
        deadline = time.monotonic() + _PATIENCE
        while True:
            descriptor = _opened(path)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if _is_same_file(path, descriptor):
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
    """Release leases, even if another process has inherited a copy of a descriptor."""
    import fcntl  # noqa: PLC0415 - as above

    for descriptor in leases:
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_UN)
        with contextlib.suppress(OSError):
            os.close(descriptor)


def freshen(leases: tuple[int, ...]) -> None:
    """Touch the files of leases: systems remove what lies in /tmp untouched for days."""
    for descriptor in leases:
        with contextlib.suppress(OSError):
            os.utime(descriptor)


def _opened(path: str) -> int:
    """Open a file only for reading, and make it if it is missing.

    A lock needs no more. In a folder that a group shares the file may belong to another user, and
    open(2) with O_CREAT may fail for it.
    """
    try:
        return os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return os.open(path, os.O_RDONLY | os.O_CREAT | os.O_NOFOLLOW, 0o644)


def _is_held(path: str) -> bool:
    """Whether a process has a lease's file locked. A file that cannot be opened counts as held."""
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


def _is_same_file(path: str, descriptor: int) -> bool:
    """Whether the open file is still the one at that path: it may have been removed."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except OSError:
        return False


def _remove_old_jobs(folder: str) -> None:
    """Remove the folders of jobs that are over on this machine."""
    with contextlib.suppress(OSError):
        for name in os.listdir(folder):
            path = os.path.join(folder, name)
            if name.startswith(_JOB + _SEPARATOR) and time.time() - os.stat(path).st_mtime > _OLD:
                _remove_job_folder(path)


def _remove_job_folder(folder: str) -> None:
    """Remove a folder of leases if none of them is held."""
    with contextlib.suppress(OSError):
        left = [os.path.join(folder, name) for name in os.listdir(folder)]
        if not any(map(_is_held, left)):  # the folder's lock too: a lease may be being taken
            for path in left:
                os.unlink(path)
            os.rmdir(folder)


def _claim(path: str) -> Claim | None:
    """Return the claim of a search that waits; None if it has not asked for a while.

    The file's time is that of the monotonic clock, which all processes of this machine share.
    """
    try:
        descriptor, status = reading.open_regular(path, reading.RECORD)
        with os.fdopen(descriptor, "rb") as file:
            if _now() - status.st_mtime_ns > _FRESH * 1e9:
                return None
            value: Any = reading.loads(file.read())
        return Claim(tuple(value["names"]), int(value["count"]), int(value["units"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _now() -> int:
    return time.monotonic_ns()


def safe_name(words: str) -> str:
    """Return words as the name of a thing that can be leased, for use in a file's name.

    >>> safe_name("MIG-GPU-5c89/1/0")
    'MIG-GPU-5c89_1_0'
    """
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in words)


def _unusable(folder: str, why: str) -> SearchError:
    return SearchError(
        f"{folder}: leases of GPUs and ports cannot be kept here: {why}\n"
        f"  {FOLDER_VARIABLE}=/another/folder names another one, which no other machine uses",
        state="Nothing was started.",
    )
