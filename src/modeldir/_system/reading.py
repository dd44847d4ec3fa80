"""Read files that anybody may have written: regular files only, without waiting, never too much.

Every package reads with it; a test forbids `open` for reading elsewhere. Start at `read`, and at
`read_object` for a file that may be missing or broken. A pipe, a device or a socket in the place of
a file is an error at once. So is a file that is larger than the limit of its `Kind`. The rule:
nothing that comes from a file may make a command hang, fill the memory, or end in a traceback; so
JSON is parsed by `loads`, which bounds how deep it nests.

Links are followed, because users link to their data. To write a file, see `files`; to know whether
one has changed, `file_stamps`.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import stat
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

# -- Kinds of files --------------------------------------------------------------------------------

_MB = 1 << 20


class Kind(NamedTuple):
    """A kind of file: its name in errors, and how many bytes of it are read at most.

    The limits are in `docs/reference/files.md`. They keep a command below 500 MB of memory.
    """

    name: str
    limit: int


PARAMS = Kind("a params file", 16 * _MB)
# The libraries for YAML and TOML take up to 0.1 ms for each value.
YAML = Kind("a YAML file", 64 << 10)
TOML = Kind("a TOML file", 256 << 10)
RECORD = Kind("a file of modeldir", 32 * _MB)
SCORES = Kind("a metrics file", 16 * _MB)
LINES = Kind("a file of metrics lines", 256 * _MB)
TABLE = Kind("a file of configurations", 16 * _MB)
TEXT = Kind("a plain file", 16 * _MB)
FOREIGN = Kind("a file of another tool", 64 * _MB)
EVENTS = Kind("an event file of scalars", 256 * _MB)
DATABASE = Kind("a database", 1024 * _MB)
RESULTS = Kind("a table of results", 256 * _MB)
ANY_SIZE = Kind("a file", 1 << 63)
"""For what is read in pieces: logs, weights that are copied."""

LONGEST_LINE = 1 * _MB
"""A longer line of a file of lines is skipped."""
MAX_DEPTH = 100
"""Nested brackets in a file. Nobody needs more, and every interpreter's stack allows this many."""
MOST_BRACKETS = 500_000
"""All brackets in a JSON file: each takes up to 100 times its size in memory."""

_SHORT = 4096
_STALE_READS = 3
_FLAGS = os.O_RDONLY | getattr(os, "O_BINARY", 0)
# O_NONBLOCK: do not wait for the writer of a pipe. O_NOCTTY: a terminal must not become ours.
_FLAGS |= getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_CLOEXEC", 0)


# -- Where -----------------------------------------------------------------------------------------


class Inside:
    """Folders that files may lie in, and the permissions that those read in the first one share."""

    def __init__(self, *tops: str | os.PathLike[str]) -> None:
        self._tops = [os.path.realpath(top) for top in tops]
        self.mode = 0o777

    def check(self, descriptor: int, status: os.stat_result, path: str | os.PathLike[str]) -> None:
        """Raise an error for an open file that lies elsewhere, behind a link."""
        opened = f"/proc/self/fd/{descriptor}"
        real = os.path.realpath(opened if os.path.exists(opened) else path)
        holders = [top for top in self._tops if real == top or real.startswith(f"{top}{os.sep}")]
        if not holders:
            raise OSError(errno.EPERM, "it is a link that leads out of its folder", os.fspath(path))
        if self._tops[0] in holders:
            self.mode &= status.st_mode & _reach(os.path.dirname(real)) & _reach(self._tops[0])


def _reach(folder: str) -> int:
    """Return the bits of those users who may enter a folder; all of them for a file."""
    mode = os.stat(folder).st_mode
    return (mode & 0o111) * 7 if stat.S_ISDIR(mode) else 0o777


_inside: ContextVar[Inside | None] = ContextVar("inside", default=None)


@contextlib.contextmanager
def only_inside(*tops: str | os.PathLike[str]) -> Iterator[Inside]:
    """Read only files that lie in these folders, or that are one of these files, in the block."""
    token = _inside.set(Inside(*tops))
    try:
        found = _inside.get()
        assert found is not None
        yield found
    finally:
        _inside.reset(token)


# -- Bytes -----------------------------------------------------------------------------------------


def open_regular(path: str | os.PathLike[str], kind: Kind = ANY_SIZE) -> tuple[int, os.stat_result]:
    """Open a regular file for reading. Return its descriptor, which the caller closes, and status.

    Raises:
        OSError: if it cannot be opened, is no regular file, or is larger than the kind's limit. The
            `strerror` says so in words.
    """
    try:
        descriptor = os.open(path, _FLAGS)
    except ValueError as error:
        half = isinstance(error, UnicodeError)
        reason = "a character in the path is not valid Unicode" if half else "embedded null byte"
        raise OSError(errno.EINVAL, reason, os.fspath(path)) from None
    except OSError as error:
        if error.errno == errno.ENXIO:
            raise _not_regular(stat.S_IFSOCK, path) from None
        raise
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise _not_regular(status.st_mode, path)
        if status.st_size > kind.limit:
            raise _too_large(status.st_size, kind, path)
        if (limits := _inside.get()) is not None:
            limits.check(descriptor, status, path)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor, status


def open_stream(path: str | os.PathLike[str], kind: Kind = ANY_SIZE) -> BinaryIO:
    """Open a regular file, e.g. a log, to be read in pieces.

    Raises:
        OSError: as `open_regular`.
    """
    return os.fdopen(open_regular(path, kind)[0], "rb")


def read(path: str | os.PathLike[str], kind: Kind = RECORD) -> bytes:
    """Return the bytes of a regular file.

    On a network file system, a file that is replaced while it is read may be gone (ESTALE). Then
    the new one is read.

    Raises:
        OSError: as `open_regular`.
    """
    for _ in range(_STALE_READS - 1):
        try:
            return _read(path, kind)
        except OSError as error:
            if error.errno != errno.ESTALE:
                raise
    return _read(path, kind)


def _read(path: str | os.PathLike[str], kind: Kind) -> bytes:
    descriptor, status = open_regular(path, kind)
    try:
        size = status.st_size
        data = os.read(descriptor, size + 1 if size else _SHORT)
        if size and len(data) == size:
            return data
        pieces, total = [data], len(data)  # files in /proc have no size; others may be growing
        while piece := os.read(descriptor, _MB):
            pieces.append(piece)
            total += len(piece)
            if total > kind.limit:
                raise _too_large(total, kind, path)
        return b"".join(pieces)
    finally:
        os.close(descriptor)


def read_bytes(path: str | os.PathLike[str], kind: Kind = RECORD) -> bytes | None:
    """Return a file's bytes; None if `read` raises an error."""
    try:
        return read(path, kind)
    except OSError:
        return None


def read_short(path: str | os.PathLike[str]) -> bytes | None:
    """Return the bytes of a file of less than 4 KB, by three system calls; None: use `read`.

    This is for tables, which read tens of thousands of such files. It does not ask what kind of
    file it is: even a pipe or a device cannot block here, nor give more than 4 KB.
    """
    if _inside.get() is not None:
        return None
    try:
        descriptor = os.open(path, _FLAGS)
    except (OSError, ValueError):
        return None
    try:
        data = os.read(descriptor, _SHORT)
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return data if len(data) < _SHORT else None


def tail(path: str | os.PathLike[str], size: int = 65536) -> bytes:
    """Return the last `size` bytes of a file of any size; empty if it cannot be read."""
    try:
        with open_stream(path) as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - size))
            return file.read(size)
    except OSError:
        return b""


def printed_pieces(path: str | os.PathLike[str], size: int = _MB) -> Iterator[bytes]:
    r"""Yield an output file of any size in pieces that end at a line break or carriage return.

    A piece without either is cut at `size`, so that memory stays limited. Yields nothing if the
    file cannot be read.
    """
    with contextlib.suppress(OSError), open_stream(path) as file:
        yield from _pieces(file, size)


def _pieces(file: BinaryIO, size: int) -> Iterator[bytes]:
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


def _not_regular(mode: int, path: str | os.PathLike[str]) -> OSError:
    if stat.S_ISDIR(mode):
        return IsADirectoryError(errno.EISDIR, "it is a folder, not a file", os.fspath(path))
    kinds = {stat.S_IFIFO: "a pipe", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device"}
    found = kinds.get(stat.S_IFMT(mode), "a socket")
    return OSError(errno.EINVAL, f"it is {found}, not a regular file", os.fspath(path))


def _too_large(size: int, kind: Kind, path: str | os.PathLike[str]) -> OSError:
    unit, name = (_MB, "MB") if kind.limit >= _MB else (1 << 10, "KB")
    limit = f"{kind.limit // unit} {name}"
    problem = f"it has {size / unit:,.1f} {name}, but {kind.name} may have at most {limit}"
    return OSError(errno.EFBIG, problem, os.fspath(path))


# -- JSON ------------------------------------------------------------------------------------------


def loads(data: bytes | str) -> Any:
    r"""Return the value of a JSON text. Half of a surrogate pair (`\ud800`) becomes U+FFFD.

    Raises:
        ValueError: if it is no JSON in UTF-8, or nests deeper than `MAX_DEPTH`.
    """
    text = data if isinstance(data, str) else data.decode()
    text = text.removeprefix("\ufeff")
    brackets = text.count("{") + text.count("[")
    if brackets > MOST_BRACKETS:
        raise ValueError(TOO_MANY)
    try:
        value = json.loads(text)
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None
    if brackets > MAX_DEPTH and is_deeper(value, MAX_DEPTH):
        raise ValueError(_TOO_DEEP)
    return _without_halves(value) if "\\u" in text and re.search(_MAYBE_HALF, text) else value


TOO_MANY = f"more than {MOST_BRACKETS:,} brackets"
_TOO_DEEP = f"more than {MAX_DEPTH} brackets inside each other"
_MAYBE_HALF = r"\\u[dD][89a-fA-F]"
_HALF = "[\ud800-\udc7f\udd00-\udfff]"
"""The others, U+DC80 to U+DCFF, stand for bytes of a path that are no UTF-8."""


def is_deeper(value: object, depth: int) -> bool:
    """Whether lists and dicts are nested in each other more than `depth` times."""
    layer: list[Any] = [value]
    for _ in range(depth):
        layer = [
            part
            for each in layer
            if isinstance(each, (dict, list))
            for part in (each.values() if isinstance(each, dict) else each)
        ]
    return any(isinstance(each, (dict, list)) for each in layer)


def _without_halves(value: Any) -> Any:
    if isinstance(value, str):
        return re.sub(_HALF, "\ufffd", value)
    if isinstance(value, list):
        return [_without_halves(part) for part in value]
    if isinstance(value, dict):
        return {_without_halves(name): _without_halves(part) for name, part in value.items()}
    return value


def read_json(path: str | os.PathLike[str], kind: Kind = RECORD) -> Any | None:
    """Return the value in a JSON file; None if it is missing, empty, half written or not JSON."""
    data = read_bytes(path, kind)
    if not data:
        return None
    try:
        return loads(data)
    except ValueError:
        return None


def read_object(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return the object in a JSON file; empty if the file holds anything else."""
    value = read_json(path)
    return value if isinstance(value, dict) else {}


def problem(path: str | os.PathLike[str]) -> str | None:
    """Return why `read_object` finds nothing in a file, as a line with its path; None if it does.

    A missing file is no problem.
    """
    shown = os.fspath(path)
    try:
        value = loads(read(path, RECORD))
    except FileNotFoundError:
        return None
    except OSError as error:
        return f"{shown}: cannot be read: {error.strerror}"
    except ValueError as error:
        return f"{shown}: is not JSON: {error}"
    return None if isinstance(value, dict) else f"{shown}: expected an object"


def size_problem(path: str | os.PathLike[str], kind: Kind) -> str | None:
    """Return that a file is larger than its kind may be, as a line with its path; else None."""
    try:
        size = os.stat(path).st_size
    except OSError:
        return None
    if size <= kind.limit:
        return None
    return f"{os.fspath(path)}: cannot be read: {_too_large(size, kind, path).strerror}"


# -- Lines -----------------------------------------------------------------------------------------


def read_lines(path: str | os.PathLike[str], kind: Kind = LINES) -> list[dict[str, Any]]:
    """Return the JSON objects of a file of lines. Broken and other lines are skipped."""
    return list(lines(path, kind))


def lines(path: str | os.PathLike[str], kind: Kind = LINES) -> Iterator[dict[str, Any]]:
    """Yield the JSON objects of a file of lines, in constant memory; see `read_lines`."""
    with contextlib.suppress(OSError), open_stream(path, kind) as file:
        for piece in _pieces(file, LONGEST_LINE):
            yield from objects(piece)


def lines_from(path: str | os.PathLike[str], offset: int) -> tuple[list[dict[str, Any]], int]:
    """Return the JSON objects of the complete lines after an offset, and the offset after them.

    At most 16 MB are read at a time; the next call continues there.
    """
    data = b""
    with contextlib.suppress(OSError), open_stream(path) as file:
        file.seek(offset)
        data = file.read(_AT_ONCE)
    end = data.rfind(b"\n") + 1
    if not end and len(data) == _AT_ONCE:
        end = len(data)  # no line is that long
    return objects(data[:end]), offset + end


_AT_ONCE = 16 * _MB


def objects(data: bytes) -> list[dict[str, Any]]:
    """Return the JSON objects of some lines. Broken and other lines are skipped."""
    found = []
    for line in data.splitlines():
        try:
            value = loads(line)
        except ValueError:
            continue
        if isinstance(value, dict):
            found.append(value)
    return found
