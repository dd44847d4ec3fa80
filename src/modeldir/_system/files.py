"""The only place that writes, and the forgiving ways to read.

It knows how bytes get onto a disk so that a reader never meets a half-written file: replace by
rename, publish by link, append by one write. It refuses to know what the bytes mean.

Start at `publish`: it decides every race in modeldir (who gets a trial's number, who may run an
attempt). Replacing a file by rename is no claim, since the last writer wins and the first never
hears of it; a hard link fails when the name exists.
"""

from __future__ import annotations

import contextlib
import errno
import json
import math
import os
import stat
import time
from json.encoder import encode_basestring as _quoted
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NO_LINKS = frozenset({
    errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EINVAL,
})  # fmt: skip
"""What file systems without hard links answer (SMB shares, a mounted Google Drive, FAT)."""


# -- JSON ------------------------------------------------------------------------------------------


def to_json(value: object) -> str:
    """The text modeldir writes: 4-space indent, key order kept, NaN and Infinity refused.

    Raises:
        ValueError: for NaN or Infinity.
        TypeError: for what JSON has no form for.
    """
    try:
        text = _indented(value, "\n")
    except RecursionError:  # too deep, or it holds itself: which of the two, this one tells
        text = json.dumps(value, indent=4, ensure_ascii=False, allow_nan=False)
    return _encodable(text) + "\n"


_leaf = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode
_CONSTANTS = {None: "null", True: "true", False: "false"}


def _indented(value: Any, margin: str) -> str:
    """As `json.dumps(indent=4)`, which is written in Python, in a third of its time: it is a good
    part of what a trial costs.
    """
    if type(value) is str:  # before all else: most values are texts
        return _quoted(value)
    inner = margin + "    "
    if isinstance(value, dict):
        parts = [f"{_name(name)}: {_indented(part, inner)}" for name, part in value.items()]
        return f"{{{inner}{(',' + inner).join(parts)}{margin}}}" if parts else "{}"
    if isinstance(value, (list, tuple)):
        items = [_indented(part, inner) for part in value]
        return f"[{inner}{(',' + inner).join(items)}{margin}]" if items else "[]"
    if value is None or value is True or value is False:
        return _CONSTANTS[value]
    if type(value) is int or (type(value) is float and math.isfinite(value)):
        return repr(value)  # without making an encoder for it
    return _leaf(value)


def _name(name: object) -> str:
    """A key; what is no text is what the standard library makes of it."""
    return _quoted(name) if isinstance(name, str) else _leaf({name: 0})[1:-4]


def _encodable(text: str) -> str:
    r"""JSON for UTF-8: a path's bytes that are no UTF-8 (lone surrogates) as `\udcff`."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode("utf-8")


def read_json(path: str | os.PathLike[str]) -> Any | None:
    """The value in a JSON file, or None if it is missing, empty, half written or not JSON."""
    data = read_bytes(path)
    if not data:
        return None
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None


def read_object(path: str | os.PathLike[str]) -> dict[str, Any]:
    """As `read_json`, for a file that should hold an object: anything else reads as empty."""
    value = read_json(path)
    return value if isinstance(value, dict) else {}


def read_bytes(path: str | os.PathLike[str]) -> bytes | None:
    """A file's bytes, or None if it cannot be read. One that is replaced while we read it may be
    gone from a network file system (ESTALE): then the new one is read.
    """
    for _ in range(_STALE_READS):
        try:
            return _read_bytes(path)
        except OSError as error:
            if error.errno != errno.ESTALE:
                return None
    return None


_STALE_READS = 3


def _read_bytes(path: str | os.PathLike[str]) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    try:
        pieces = []
        while piece := os.read(descriptor, 1 << 20):
            pieces.append(piece)
        return b"".join(pieces)
    finally:
        os.close(descriptor)


# -- Whole files -----------------------------------------------------------------------------------


def write_json(path: str | os.PathLike[str], value: object, *, durable: bool = False) -> None:
    """Replace a JSON file as a whole; a reader sees the old or the new one, never a part."""
    write_bytes(path, to_json(value).encode(), durable=durable)


def write_bytes(path: str | os.PathLike[str], data: bytes, *, durable: bool = False) -> None:
    """Replace a file as a whole, by a temporary file in the same folder and a rename.

    A new file gets the mode that the umask gives, an existing one keeps its own. With `durable`
    the bytes are on the disk before this returns.

    Raises:
        OSError: when the folder cannot be written, the old file is then untouched; or when the path
            leads to something that is no file (to put one in the place of /dev/null breaks more
            than a run).
    """
    with replacing(path) as temporary:
        create(temporary, data, durable=durable)
    if durable:
        _sync_folder(os.path.dirname(os.path.realpath(path)))


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[str]:
    """A path beside `path` to write to, which takes its place when the body is through.

    For what is too large to be made in memory first. A body that fails leaves the old file as it
    was, and nothing beside it.
    """
    target, mode = _to_replace(os.fspath(path))
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


def _to_replace(target: str) -> tuple[str, int | None]:
    """The file that is meant by a path, and its mode; None if there is none."""
    try:
        mode = os.lstat(target).st_mode
        if stat.S_ISLNK(mode):  # the file changes, the link stays
            target = os.path.realpath(target)
            mode = os.stat(target).st_mode
    except FileNotFoundError:
        return target, None
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), target)
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "Not a regular file", target)
    return target, stat.S_IMODE(mode)


def same_content(source: str | os.PathLike[str], target: str | os.PathLike[str]) -> None:
    """Make `target` the file that `source` is now, at no cost where the file system has links.

    For a source that is only ever replaced, never written into.
    """
    with replacing(target) as temporary:
        try:
            os.link(os.path.realpath(source), temporary)
        except OSError:
            import shutil  # noqa: PLC0415 - only where there are no links

            shutil.copyfile(source, temporary)


def copy(source: str | os.PathLike[str], target: str | os.PathLike[str]) -> None:
    """Make `target` a copy of a file: it is there as a whole, or not.

    Raises:
        OSError: when it cannot be read or written.
    """
    import shutil  # noqa: PLC0415 - slow to import

    with replacing(target) as temporary:
        shutil.copyfile(source, temporary)


def make_durable(path: str | os.PathLike[str]) -> None:
    """Ask the kernel to put a file, and its name, on the disk. What cannot be synced is let be."""
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    _sync_folder(os.path.dirname(os.fspath(path)) or ".")


def publish(path: str | os.PathLike[str], data: bytes) -> bool:
    """Write a file that must not exist yet; exactly one of many who try gets True.

    `data` must hold something that no other writer has (a token): after an error of a network
    file system the file is read back, and whose bytes are there has won.

    Raises:
        OSError: when the folder cannot be written.
    """
    name = os.fspath(path)
    temporary = temporary_beside(name)
    try:
        create(temporary, data)
        try:
            os.link(temporary, name)
        except FileExistsError:
            return read_bytes(name) == data  # NFS may repeat a link that had worked
        except OSError as error:
            if read_bytes(name) == data:
                return True
            if error.errno not in NO_LINKS:
                raise
            return _publish_without_links(name, data)
        return True
    finally:
        with contextlib.suppress(OSError):
            os.unlink(temporary)


def _publish_without_links(name: str, data: bytes) -> bool:
    try:
        create(name, data)
    except FileExistsError:
        return False
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(name)  # half a claim would keep the name from everybody
        raise
    return True


def temporary_beside(path: str | os.PathLike[str]) -> str:
    """A name in the same folder that nobody else uses; short, however long the file's own is."""
    return os.path.join(os.path.dirname(path), f".tmp-{os.getpid()}-{os.urandom(6).hex()}")


def is_temporary(name: str) -> bool:
    """Whether a file name is one of this module's temporary names: nobody's data."""
    return name.startswith(".tmp-")


def create(path: str | os.PathLike[str], data: bytes, *, durable: bool = False) -> None:
    """Write a file that nobody else looks at yet, where none is.

    Raises:
        OSError: when it cannot be written, or one is there.
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
    """Add one JSON object as a line, by a single write in append mode.

    A line that a killed writer left torn is closed first, so that it cannot swallow this one.

    Raises:
        OSError: when the line could not be written whole.
    """
    append_whole(path, _encodable(json.dumps(value, ensure_ascii=False)).encode() + b"\n")


def append_whole(path: str | os.PathLike[str], line: bytes) -> None:
    """As `append_line`, for a line of another form; it ends with a line break.

    Raises:
        OSError: when the line could not be written whole.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
    try:
        size = os.fstat(descriptor).st_size
        if size and os.pread(descriptor, 1, size - 1) != b"\n":
            line = b"\n" + line
        if os.write(descriptor, line) < len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), os.fspath(path))
    finally:
        os.close(descriptor)


def open_append(path: str | os.PathLike[str]) -> int:
    """A descriptor whose writes land at the file's end, for what stays open: logs, metrics."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0)
    return os.open(path, flags, 0o666)


def read_lines(path: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """The JSON objects of a file of lines. Torn or foreign lines are passed over."""
    return _objects(read_bytes(path) or b"")


def _objects(data: bytes) -> list[dict[str, Any]]:
    objects = []
    for line in data.splitlines():
        with contextlib.suppress(ValueError, RecursionError):
            value = json.loads(line)
            if isinstance(value, dict):
                objects.append(value)
    return objects


def lines_from(path: str | os.PathLike[str], offset: int) -> tuple[list[dict[str, Any]], int]:
    """The JSON objects of the whole lines behind an offset, and the offset behind these lines."""
    data = b""
    with contextlib.suppress(OSError), open(path, "rb") as file:
        file.seek(offset)
        data = file.read()
    whole = data[: data.rfind(b"\n") + 1]
    return _objects(whole), offset + len(whole)


def printed_pieces(path: str | os.PathLike[str], size: int = 1 << 20) -> Iterator[bytes]:
    r"""An output of any size in pieces that end where a line or a progress bar's state does.

    What is longer than `size` without a line end or a carriage return is cut; so an output takes no
    more memory than a few pieces. Nothing if the file cannot be read.
    """
    with contextlib.suppress(OSError), open(path, "rb") as file:
        rest = b""
        while piece := file.read(size):
            rest += piece
            end = max(rest.rfind(b"\n"), rest.rfind(b"\r")) + 1
            if not end and len(rest) > size:
                end = len(rest)
            if end:
                yield rest[:end]
            rest = rest[end:]
        if rest:
            yield rest


def tail(path: str | os.PathLike[str], size: int = 65536) -> bytes:
    """The last `size` bytes of a file; empty if it cannot be read."""
    try:
        with open(path, "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - size))
            return file.read(size)
    except OSError:
        return b""


# -- Locks -----------------------------------------------------------------------------------------


@contextlib.contextmanager
def locked(path: str | os.PathLike[str], *, patience: float = 10.0) -> Iterator[bool]:
    """Hold a lock that the kernel frees if we die. Saves work; correctness must never need it.

    Yields whether the lock was got within `patience` seconds: a file system without locks, or a
    stopped holder, makes the caller go on without it.
    """
    try:
        import fcntl  # noqa: PLC0415 - not on Windows, where searching is not offered
    except ImportError:
        yield False
        return
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError:
        yield False
        return
    try:
        yield _take(fcntl, descriptor, patience)
    finally:
        os.close(descriptor)


def hold(descriptor: int) -> bool:
    """Lock an open file for as long as it is open; whether nobody else holds it."""
    try:
        import fcntl  # noqa: PLC0415 - as above

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except (ImportError, OSError):
        return True  # no locks here: then nobody can hold it
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


def same_file(left: str | os.PathLike[str], right: str | os.PathLike[str]) -> bool:
    """Whether two paths lead to the same file or folder; False if either is not there."""
    try:
        return os.path.samefile(left, right)
    except OSError:
        return False


def absolute(path: str | os.PathLike[str]) -> Path:
    """The path from the root, links kept (so that it reads as the user wrote it)."""
    from pathlib import Path  # noqa: PLC0415 - slow to import: a good part of what `Params` takes

    return Path(os.path.abspath(path))
