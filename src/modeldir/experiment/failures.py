"""Why a training failed, from what it left: its last words and how it died.

It knows the six classes of failure (error, out-of-memory, nan, no-metric, time-limit, killed), how
to find the line that tells a reader what happened, and when two such lines tell of one thing. It
refuses to read anything but text.
"""

from __future__ import annotations

import re

ERROR = "error"
OUT_OF_MEMORY = "out-of-memory"
NAN = "nan"
NO_METRIC = "no-metric"
TIME_LIMIT = "time-limit"
KILLED = "killed"

FIXED_BY_CODE = frozenset({ERROR, NO_METRIC})
"""The classes that other code may mend: such trials run again once it has changed."""

FORK_FAILED = "fork_failed"
"""Key in the run file of an interrupted attempt that may have died because it began as a fork."""
_OF_CUDA = "in forked subprocess"  # PyTorch's words

_OUT_OF_MEMORY = (
    r"(?i)out of memory|OutOfMemory|\bMemoryError\b|CUDA_ERROR_OUT_OF_MEMORY|RESOURCE_EXHAUSTED"
    r"|Cannot allocate memory|unable to allocate"
)
_ESCAPES = r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07]*(?:\x07|\x1b\\)"
_STAMP = r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} (?:ERROR |CRITICAL )?"
_RANK = r"^\[rank\d+\]: ?"
"""What PyTorch prints before each line of a rank's traceback."""
_OF_LAUNCHERS = (
    "torch.distributed.elastic.multiprocessing.errors.",
    "subprocess.CalledProcessError",
)
"""Exceptions by which the process that started another says that it failed."""
_MARK = "Traceback (most recent call last)"
_LONGEST = 300
_OWN = (
    r"'[^']*'|\"[^\"]*\""  # a quoted value
    r"|(?<![\w/])[\w.~-]*/[\w./+=@,%-]*"  # a path
    r"|(?<!\d)[-+]?\d[\d_]*(?:\.\d*)?(?:[eE][-+]?\d+)?"  # a number, also within a name
)
"""What two trials that fail alike say differently."""


def last_line(output: bytes) -> str | None:
    r"""The line to show for a failed run: the last traceback's exception, else the last line.

    >>> last_line(b'Traceback (most recent call last):\n  File "t.py", line 1\nKeyError: 1\n')
    'KeyError: 1'
    >>> last_line(b'Traceback (most recent call last):\nRuntimeError: Errors:\n\tsize mismatch\n')
    'RuntimeError: Errors: size mismatch'
    """
    lines = _plain_lines(output)
    tracebacks = [index for index, line in enumerate(lines) if line.startswith(_MARK)]
    found = [_exception_line(lines[index + 1 :]) for index in tracebacks]
    last = found[-1] if found else None
    if last is None:
        return _last_words(lines)
    # torchrun's own is the last, and says only that a rank has failed: above it stands why.
    causes = [line for line in found if line and not line.startswith(_OF_LAUNCHERS)]
    return (causes[-1] if causes else last)[:_LONGEST]


def last_printed(output: bytes) -> str | None:
    """The last line with anything on it, as a terminal would show it; None if there is none."""
    return _last_words(_plain_lines(output))


def _last_words(lines: list[str]) -> str | None:
    words = [line for line in lines if line.strip()]
    return words[-1].strip()[:_LONGEST] if words else None


def _plain_lines(output: bytes) -> list[str]:
    text = re.sub(_ESCAPES, "", output.decode("utf-8", "replace"))
    lines = (line.rstrip().rpartition("\r")[2] for line in text.split("\n"))
    return [re.sub(_RANK, "", re.sub(_STAMP, "", line)) for line in lines]


def _exception_line(lines: list[str]) -> str | None:
    """The first line after a traceback's indented frames: the exception and its message."""
    for index, line in enumerate(lines):
        if line and not line[0].isspace() and not line.startswith(_MARK):
            return line + _what_follows(lines[index + 1 :]) if line.endswith(":") else line
    return None


def _what_follows(lines: list[str]) -> str:
    """The next line of a message that begins with a mere heading, as PyTorch's load_state_dict."""
    following = lines[0] if lines else ""
    return " " + following.strip() if following.strip() and following[0].isspace() else ""


def error_key(failure: str | None, line: str | None) -> str:
    """What is the same of all that failed alike: the class, and of an error its kind. What it says
    more may name the very trial or its values.

    >>> error_key("error", "ValueError: no data for 0.1"), error_key("error", "no data for 0.25")
    ('error: ValueError', 'error: no data for #.#')
    """
    if failure != ERROR:
        return str(failure)
    return f"{failure}: " + re.sub(r"\d+", "#", (line or "").partition(":")[0])


def failure_class(line: str | None) -> str:
    """Out-of-memory if the last words say so, else error."""
    return OUT_OF_MEMORY if line and re.search(_OUT_OF_MEMORY, line) else ERROR


def is_fork_error(line: str | None) -> bool:
    """Whether the last words say that a process must not be a fork."""
    return _OF_CUDA in (line or "")


def masked(line: str, name: str = "") -> str:
    """A failure's words without the trial's own: its name, paths, numbers, quoted values. Trials
    whose words are then the same have failed alike.

    >>> masked("ValueError: width=300 is too much for learning_rate_0.1", "learning_rate_0.1")
    'ValueError: width=… is too much for …'
    """
    bare = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", "…", line) if name else line
    return re.sub(_OWN, "…", bare)
