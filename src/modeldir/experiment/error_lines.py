"""Find the one line of a long output that says what went wrong.

`worker/end_status.py` and the importers call `error_line` for a run that failed. The line becomes
the reason of the failure, so what is printed after it by frameworks, launchers and shells must not
hide it. Which class of failures a line belongs to: `failure_classes.py`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from modeldir._system.escape_sequences import without_escapes

_STAMP = r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} (?:ERROR |CRITICAL )?"
_RANK = r"^\[rank\d+\]: ?"
"""PyTorch's prefix for each line of a rank's traceback."""
_LAUNCHER_ERRORS = (
    "torch.distributed.elastic.multiprocessing.errors.",
    "subprocess.CalledProcessError",
)
"""Exceptions by which a process says that one that it started has failed."""
_MARK = "Traceback (most recent call last)"
_LONGEST = 300

_HINTS = (
    r"Set the environment variable HYDRA_FULL_ERROR|See https?://|full_key: |object_type=|"
    r"reference_type=|Pass --help|Try '.*--help|tip: |note: run with `RUST_BACKTRACE|"
    r"Execution halted|make: \*\*\*|ERROR conda\.cli\.main_run|srun: error: |Extension modules: |"
    r"modeldir: .* unlike in the first trial"
)
"""Lines that frameworks and launchers print after an error: where to read more about it."""
_HYDRA = (
    r"(?:Could not |Cannot find |In '.*': Could |Error (?:merging|loading|parsing|in call) |"
    r"Multiple values for |You must specify |Ambiguous |Missing )"
)
"""How the first line of Hydra's errors in a config begins; details follow."""
_STAMPED = r"F\d{4} [\d:.]+ +\d+ \S+\] (.+)"
"""A line of Google's loggers (absl, TensorFlow, PyTorch) that ends the process."""
_DEATHS = (
    _STAMPED,
    r"what\(\): +(.+)",
    r"((?:.+: )?Assertion .+ failed.*)",
    r"(thread '.*' panicked at .*|panic: .+)",
    r"(terminate called .+|double free.*|free\(\): .+|malloc\(\): .+|\*\*\* stack .+)",
    r"(Fatal Python error: .+|==\d+==ERROR: .+)",
)
"""The last words of a process that crashes, the most telling first."""
_THROWN = r"terminate called after throwing an instance of '(.+)'"
_USAGE_ERROR = r"((?:\S+: )?[Ee]rror: (?![-+.\d]).+)"
"""How argparse, click and jsonargparse say what is wrong with an option, after the usage."""
_BOXED = r"\s*[│┃|] (.*) [│┃|]"
_SIGNAL_OF_RANK = r"traceback : (Signal \d+ \(\w+\) received)"
"""How torchrun says that a rank has crashed."""


def error_line(output: bytes) -> str | None:
    r"""Return the line to show for a failed run: the last exception, else what a crash printed.

    >>> error_line(b'Traceback (most recent call last):\n  File "t.py", line 1\nKeyError: 1\n')
    'KeyError: 1'
    >>> error_line(b'Traceback (most recent call last):\nRuntimeError: Errors:\n\tsize mismatch\n')
    'RuntimeError: Errors: size mismatch'
    >>> error_line(b"Could not override 'lrr'.\nKey 'lrr' is not in struct\n\n"
    ...            b"Set the environment variable HYDRA_FULL_ERROR=1 for a stack trace.\n")
    "Could not override 'lrr'."
    """
    lines = _plain_lines(output)
    tracebacks = [index for index, line in enumerate(lines) if line.startswith(_MARK)]
    found = [_exception_line(lines[index + 1 :]) for index in tracebacks]
    if not found:
        return _cut(_last_words(lines) or _last_not_blank(lines))
    last = found[-1]
    if last is None:
        return _cut(_last_not_blank(lines))
    # The last error is torchrun's, which says only that a rank failed. The cause is above it.
    causes = [line for line in found if line and not line.startswith(_LAUNCHER_ERRORS)]
    return _cut(causes[-1] if causes else _cause_above(lines, tracebacks[0]) or last)


def last_printed(output: bytes) -> str | None:
    """Return the last line that is not blank, as a terminal would show it, or None."""
    return _cut(_last_not_blank(_plain_lines(output)))


def _cut(line: str | None) -> str | None:
    return line and line[:_LONGEST]


def _last_not_blank(lines: Sequence[str]) -> str | None:
    return next((line.strip() for line in reversed(lines) if line.strip()), None)


def _plain_lines(output: bytes) -> list[str]:
    text = without_escapes(output.decode("utf-8", "replace"))
    lines = (line.rstrip().rpartition("\r")[2] for line in text.split("\n"))
    return [re.sub(_RANK, "", re.sub(_STAMP, "", line)) for line in lines]


# -- With a traceback ------------------------------------------------------------------------------


def _exception_line(lines: Sequence[str]) -> str | None:
    """Return the first line after a traceback's indented frames: the exception and its message."""
    for index, line in enumerate(lines):
        if line and not line[0].isspace() and not line.startswith(_MARK):
            return _with_details(lines, index)
    return None


def _with_details(lines: Sequence[str], index: int) -> str:
    """Return a line; if it ends in a colon, with the line after it that says the rest."""
    words = [lines[index].strip()]
    for line in lines[index + 1 : index + 5]:
        if not words[-1].endswith(":") or not line.strip(" =-"):
            break
        words.append(line.strip())
    return " ".join(words)


def _cause_above(lines: Sequence[str], launcher: int) -> str | None:
    """Return why a rank failed that left no traceback: what it printed, or by which signal."""
    above = [line for line in lines[:launcher] if "torch/distributed/" not in line]
    signals = [match[1] for line in lines[launcher:] if (match := re.search(_SIGNAL_OF_RANK, line))]
    return _death(above) or (signals[0] if signals else _last_words(above))


# -- Without one -----------------------------------------------------------------------------------


def _last_words(lines: Sequence[str]) -> str | None:
    """Return the last line that says something about an error, without what follows it."""
    printed = [line for line in lines if any(map(str.isalnum, line))]
    count = len(printed)
    while printed and re.match(_HINTS, printed[-1].strip()):
        printed.pop()
    if not printed:
        return None
    hydra = [line for line in printed if re.match(_HYDRA, line)] if len(printed) < count else []
    if hydra:
        return hydra[-1].strip()
    return _death(printed) or _wrong_usage(printed) or _boxed(printed) or printed[-1].strip()


def _death(lines: Sequence[str]) -> str | None:
    """Return what a process printed when it crashed."""
    for pattern in _DEATHS:
        for index in range(len(lines) - 1, -1, -1):
            match = re.match(pattern, lines[index].strip())
            if match is not None:
                thrown = re.match(_THROWN, lines[index - 1]) if index else None
                words = f"{thrown[1]}: {match[1]}" if thrown else match[1]
                return _with_details([words, *lines[index + 1 :]], 0)
    return None


def _wrong_usage(lines: Sequence[str]) -> str | None:
    usage = [index for index, line in enumerate(lines) if line.lower().startswith("usage:")]
    for index in range(usage[-1] + 1 if usage else len(lines), len(lines)):
        if match := re.match(_USAGE_ERROR, lines[index]):
            return _with_details([match[1], *lines[index + 1 :]], 0)
    return None


def _boxed(lines: Sequence[str]) -> str | None:
    """Return the text of a frame that ends the output, as Typer and tyro draw it."""
    words: list[str] = []
    for line in reversed(lines):
        match = re.fullmatch(_BOXED, line)
        if match is None:
            break
        words.insert(0, match[1].strip())
    return " ".join(words) or None
