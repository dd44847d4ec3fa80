"""Write files so that a reader never sees half of one.

Every package writes with it: replace by rename, publish by hard link, append by one write. Start at
`publish`. It decides every race in modeldir, e.g. which worker gets a trial's number. The rule:
never claim anything by replacing a file. A rename succeeds for every writer and the last one wins;
a hard link fails when the name exists. A file is complete before anybody can see its name. And
never write through a link that lies in the place of the file: a folder of somebody else could have
it lead anywhere.

To read a file: `reading`. Whether it changed since it was read: `file_stamps`. The formats of our
files: `docs/reference/files.md`.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import stat
import sys
import time
from typing import TYPE_CHECKING, Any

from modeldir._system import reading

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NO_LINKS = frozenset({
    errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EINVAL,
})  # fmt: skip
"""Errors of file systems without hard links (SMB shares, a mounted Google Drive, FAT)."""


# -- JSON ------------------------------------------------------------------------------------------


def to_json(value: object) -> str:
    """Return a value as modeldir's JSON: indented by 4 spaces, keys in their order.

    Raises:
        ValueError: for NaN or Infinity.
        TypeError: for a value that JSON lacks.
    """
    text = json.dumps(value, indent=4, ensure_ascii=False, allow_nan=False)
    return _encodable(text) + "\n"


def _encodable(text: str) -> str:
    r"""Return JSON that UTF-8 can encode: lone surrogates, from a path's bytes, as `\udcff`."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode("utf-8")


# -- Whole files -----------------------------------------------------------------------------------


def write_json(path: str | os.PathLike[str], value: object, *, durable: bool = False) -> None:
    """Replace a JSON file as a whole: a reader sees the old or the new one, never half of it."""
    write_bytes(path, to_json(value).encode(), durable=durable)


def write_bytes(path: str | os.PathLike[str], data: bytes, *, durable: bool = False) -> None:
    """Replace a file as a whole, by a temporary file in the same folder and a rename.

    An existing file keeps its mode; a new one gets that of the umask. A link is replaced, and the
    file at its end stays as it is. With `durable`, the bytes are on the disk before this returns.

    Raises:
        OSError: when the folder cannot be written (the old file is then unchanged), or when the
            path is or leads to something that is no regular file, e.g. /dev/null.
    """
    with replacing(path) as temporary:
        create(temporary, data, durable=durable)
    if durable:
        _sync_folder(os.path.dirname(os.fspath(path)))


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[str]:
    """Yield a temporary path to write to; it replaces `path` when the body has succeeded.

    For data that is too large for memory. If the body fails, the old file stays unchanged and the
    temporary one is removed.
    """
    target = os.fspath(path)
    mode = _mode_to_keep(target)
    temporary = temporary_beside(target)
    try:
        yield temporary
        if mode is not None:
            with contextlib.suppress(OSError):  # a file system without modes
                if stat.S_IMODE(os.stat(temporary).st_mode) != mode:
                    os.chmod(temporary, mode)
        os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def _mode_to_keep(target: str) -> int | None:
    """Return the mode of the file that a path names; None for the mode of a new file."""
    try:
        mode = os.lstat(target).st_mode
    except FileNotFoundError:
        return None
    if not stat.S_ISLNK(mode):
        return stat.S_IMODE(_checked_mode(mode, target))
    with contextlib.suppress(FileNotFoundError):  # /dev/stdout is a link, and must stay one
        _checked_mode(os.stat(target).st_mode, target)
    if os.readlink(target).startswith("/proc/"):
        raise _not_regular(target)
    return None


def _checked_mode(mode: int, target: str) -> int:
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), target)
    if not stat.S_ISREG(mode):
        raise _not_regular(target)
    return mode


def _not_regular(path: str) -> OSError:
    return OSError(errno.EINVAL, "Not a regular file", path)


def same_content(source: str | os.PathLike[str], target: str | os.PathLike[str]) -> None:
    """Make `target` the same file as `source` by a hard link; a copy where links are missing.

    The source must only ever be replaced as a whole, never written into.
    """
    with replacing(target) as temporary:
        try:
            os.link(os.path.realpath(source), temporary)
        except OSError:
            import shutil  # noqa: PLC0415 - only where there are no links

            shutil.copyfile(source, temporary)


def copy(source: str | os.PathLike[str], target: str | os.PathLike[str]) -> None:
    """Make `target` a copy of a file, as a whole or not at all.

    Raises:
        OSError: when it cannot be read or written.
    """
    import shutil  # noqa: PLC0415 - slow to import

    with replacing(target) as temporary:
        shutil.copyfile(source, temporary)


def make_durable(path: str | os.PathLike[str]) -> None:
    """Put a file and its name on the disk (fsync). Errors are ignored."""
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    _sync_folder(os.path.dirname(os.fspath(path)) or ".")


def publish(path: str | os.PathLike[str], data: bytes) -> bool:
    """Write a file that must not exist yet. If several try, exactly one gets True.

    A reader sees no file or the complete one, also where the file system has no hard links.

    `data` must contain something that no other writer has, e.g. a token: after an error of a
    network file system the file is read back, and the writer whose bytes are there has won.

    Raises:
        OSError: when the folder cannot be written.
    """
    name = os.fspath(path)
    temporary = temporary_beside(name)
    try:
        create(temporary, data)
        try:
            _link(temporary, name, data)
        except FileExistsError:
            return reading.read_bytes(name) == data  # NFS may repeat a link that had worked
        except OSError:
            if reading.read_bytes(name) != data:
                raise
        return True
    finally:
        with contextlib.suppress(OSError):
            os.unlink(temporary)


def _link(temporary: str, name: str, data: bytes) -> None:
    """Give a complete file its name, in the first way that the file system has.

    Raises:
        FileExistsError: the name is taken.
        OSError: the folder cannot be written.
    """
    try:
        os.link(temporary, name)
    except FileExistsError:
        raise
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        if not _rename_if_free(temporary, name):
            _rename_locked(data, name)


_NOREPLACE = 1
_CURRENT_FOLDER = -100


def _rename_if_free(temporary: str, name: str) -> bool:
    """Rename a file to a free name in one step, renameat2(2). False where there is no such call.

    Raises:
        FileExistsError: the name is taken.
        OSError: as for `rename`.
    """
    if not sys.platform.startswith("linux"):
        return False
    import ctypes  # noqa: PLC0415 - slow to import, and hard links are nearly everywhere

    call = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if call is None:
        return False
    paths = os.fsencode(temporary), os.fsencode(name)
    if call(_CURRENT_FOLDER, paths[0], _CURRENT_FOLDER, paths[1], _NOREPLACE) == 0:
        return True
    code = ctypes.get_errno()
    if code in NO_LINKS:
        return False
    raise OSError(code, os.strerror(code), name)


_LOCK = ".tmp-lock"
_LOCK_PATIENCE = 10.0
"""Seconds for which a process watches a lock that does not change before it breaks it."""


def _rename_locked(data: bytes, name: str) -> None:
    """Write a file and rename it to a free name under a lock.

    The lock is a folder that holds the file to be renamed: it gets its place with the file in it,
    by a rename, which fails while another's is there. A process that is killed or stopped with the
    lock is waited for, and then its lock is renamed away. If it was only slow, its own rename finds
    no file any more, so it cannot replace the file of the next holder.

    Raises:
        FileExistsError: the name is taken.
        OSError: as for `mkdir` and `rename`.
    """
    folder = os.path.dirname(name)
    lock = os.path.join(folder, _LOCK)
    while True:
        mine = os.path.basename(temporary_beside(lock))
        _lock(lock, mine, data)
        try:
            # The list is asked too: a network file system may remember that a name was free.
            if os.path.lexists(name) or os.path.basename(name) in os.listdir(folder or "."):
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), name)
            with contextlib.suppress(FileNotFoundError):  # we were slow, and lost the lock
                os.rename(os.path.join(lock, mine), name)
                return
        finally:
            with contextlib.suppress(OSError):
                os.unlink(os.path.join(lock, mine))
            with contextlib.suppress(OSError):
                os.rmdir(lock)


def _lock(lock: str, mine: str, data: bytes) -> None:
    """Wait until nobody has the lock, and make it ours: a folder that holds our file."""
    made = temporary_beside(lock)
    os.mkdir(made)
    try:
        create(os.path.join(made, mine), data)
        while not _moved(made, lock):
            _wait_for_change(lock)
    except BaseException:
        _remove_lock(made)
        raise


def _moved(made: str, lock: str) -> bool:
    """Rename a folder to the lock's name. False where another process has the lock."""
    with contextlib.suppress(OSError):
        os.rmdir(lock)  # its holder has just published
    try:
        os.rename(made, lock)
    except OSError as error:
        if error.errno not in {errno.ENOTEMPTY, errno.EEXIST}:
            raise
        return False
    return True


def _wait_for_change(lock: str) -> None:
    """Wait until the lock has another holder or none; break it if that takes too long."""
    seen, since = _holder(lock), time.monotonic()
    while seen and _holder(lock) == seen:
        if time.monotonic() - since >= _LOCK_PATIENCE:
            broken = temporary_beside(lock)
            with contextlib.suppress(OSError):
                os.rename(lock, broken)
            _remove_lock(broken)
            return
        time.sleep(0.005)


def _holder(lock: str) -> list[str]:
    """Return the names in the lock: that of its holder's file, or none."""
    try:
        return os.listdir(lock)
    except OSError:
        return []


def _remove_lock(folder: str) -> None:
    """Remove a folder that is or was a lock, with the file in it."""
    with contextlib.suppress(OSError):
        for each in os.listdir(folder):
            os.unlink(os.path.join(folder, each))
        os.rmdir(folder)


def temporary_beside(path: str | os.PathLike[str]) -> str:
    """Return an unused name in the same folder. It is short, even if the file's name is long."""
    return os.path.join(os.path.dirname(path), f".tmp-{os.getpid()}-{os.urandom(6).hex()}")


def is_temporary(name: str) -> bool:
    """Whether a file name is a temporary one of this module: never anybody's data."""
    return name.startswith(".tmp-")


def create(path: str | os.PathLike[str], data: bytes, *, durable: bool = False) -> None:
    """Write a new file that nobody reads yet.

    Raises:
        OSError: when it cannot be written, or exists.
    """
    descriptor = os.open(
        path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666
    )
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]
        if durable:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_folder(folder: str) -> None:
    with contextlib.suppress(OSError):  # some file systems cannot sync a folder
        descriptor = os.open(folder or ".", os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


# -- Lines -----------------------------------------------------------------------------------------


def append_line(path: str | os.PathLike[str], value: object) -> None:
    """Append a JSON object as a line, by a single write in append mode.

    If a killed writer left half a line, a line break is written first, so that this line stays
    readable.

    Raises:
        OSError: when the line could not be written as a whole.
    """
    append_whole(path, _encodable(json.dumps(value, ensure_ascii=False)).encode() + b"\n")


def append_whole(path: str | os.PathLike[str], line: bytes) -> None:
    """Append a line of bytes as `append_line` does. It must end with a line break.

    Raises:
        OSError: when the line could not be written as a whole.
    """
    descriptor = _open_no_link(path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
    try:
        size = os.fstat(descriptor).st_size
        if size and os.pread(descriptor, 1, size - 1) != b"\n":
            line = b"\n" + line
        if os.write(descriptor, line) < len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), os.fspath(path))
    finally:
        os.close(descriptor)


def open_append(path: str | os.PathLike[str]) -> int:
    """Return a descriptor that writes at the file's end, for files that stay open, e.g. logs.

    Raises:
        OSError: when the file cannot be opened, or is a link.
    """
    return _open_no_link(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)


def make_empty(path: str | os.PathLike[str]) -> None:
    """Make an empty file, unless there is a file of this name.

    Raises:
        OSError: as `open_append`.
    """
    os.close(_open_no_link(path, os.O_WRONLY | os.O_CREAT))


def _open_no_link(path: str | os.PathLike[str], flags: int) -> int:
    flags |= getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)
    try:
        return os.open(path, flags, 0o666)
    except OSError as error:
        if error.errno == errno.ELOOP:
            what = "it is a link, and nothing is written through links"
            raise OSError(errno.ELOOP, what, os.fspath(path)) from None
        raise


def link_among(folder: str | os.PathLike[str], name: str) -> str | None:
    """Return the path of a link: `name` in a folder, or one of the folders in it. None without one.

    To be asked before writing below `name`: `O_NOFOLLOW` only protects the last part of a path.
    """
    path = os.path.join(folder, name)
    if os.path.islink(path):
        return path
    try:
        with os.scandir(path) as entries:
            return next((each.path for each in entries if each.is_symlink()), None)
    except OSError:
        return None


# -- Locks -----------------------------------------------------------------------------------------


@contextlib.contextmanager
def locked(path: str | os.PathLike[str], *, patience: float = 10.0) -> Iterator[bool]:
    """Hold a lock that the kernel releases if we die. It saves work; nothing may rely on it.

    Yields whether the lock was acquired within `patience` seconds. On a file system without locks,
    or if its holder is suspended, the caller continues without it.
    """
    try:
        import fcntl  # noqa: PLC0415 - not on Windows, where searching is not offered
    except ImportError:
        yield False
        return
    try:
        descriptor = _open_no_link(path, os.O_RDWR | os.O_CREAT)
    except OSError:
        yield False
        return
    try:
        yield _take(fcntl, descriptor, patience)
    finally:
        os.close(descriptor)


def hold(descriptor: int) -> bool:
    """Lock an open file until it is closed. Returns False if another process holds the lock."""
    try:
        import fcntl  # noqa: PLC0415 - as above

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except (ImportError, OSError):
        return True  # no locks here, so nobody can hold it
    return True


def _take(fcntl: Any, descriptor: int, patience: float) -> bool:
    deadline = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):  # EACCES: a network file system's word for it
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.005)
        except OSError:
            return False
        else:
            return True


def is_name(text: object) -> bool:
    r"""Whether a value from a file can be the name of a folder or file beside it.

    It is one part of a path, is not hidden, and fits into a file system.

    >>> [is_name(each) for each in ("lr_0.1", "../x", "/x", "a/b", "", ".modeldir", "a\0", None)]
    [True, False, False, False, False, False, False, False]
    """
    if not isinstance(text, str) or text[:1] in ("", ".") or any(c in text for c in "/\\\0"):
        return False
    return len(text.encode("utf-8", "surrogatepass")) <= _LONGEST_NAME


_LONGEST_NAME = 255


def same_file(left: str | os.PathLike[str], right: str | os.PathLike[str]) -> bool:
    """Whether two paths lead to the same file or folder; False if either does not exist."""
    try:
        return os.path.samefile(left, right)
    except OSError:
        return False


def absolute(path: str | os.PathLike[str]) -> Path:
    """Return the path from the root. Links are kept, so that it reads as the user wrote it."""
    from pathlib import Path  # noqa: PLC0415 - slow to import, and `Params` does not need it

    return Path(os.path.abspath(path))
