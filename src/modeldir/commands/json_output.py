"""JSON for programs: with `--json` a command prints one JSON document on standard output.

A command's module has `JSON = True`, and its `run` calls `print_json` once if `arguments.json`.
`commands/__init__.py` then gives the command's other output to standard error (`only_json`), and
prints errors by `print_error`. The documents are typed in `json_types.py`. The rule: what is
printed is always valid JSON in UTF-8, without control characters and without secrets.
"""

from __future__ import annotations

import contextlib
import json
import re
import sys
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from modeldir._system.escape_sequences import without_escapes
from modeldir._system.escaping import in_json, visible
from modeldir._system.text import json_value

if TYPE_CHECKING:
    from modeldir.commands import json_types

_SECRETS = (
    r"(?:api[-_]?key|access[-_]?key|secret(?:[-_]?key)?|private[-_]?key|passw(?:or)?d|"
    r"(?:access|auth|api|hub|hf)[-_]?token|credentials?)"
)
_NAME = re.compile(rf"(?i)(?:.*[^a-z])?{_SECRETS}|-*token")
"""Matches the whole name of a secret: `--api-key`, `db_password`, but not `max_tokens`."""
_IN_TEXT = re.compile(
    rf"(?i)((?:^|[^a-z]){_SECRETS}\s*[=:]\s*|--?[\w-]*{_SECRETS}\s+)"
    r"(?:'[^']*'|\"[^\"]*\"|[^\s'\",]+)"
    r"|(://)[^/\s@]+(?=@)"
    r"|\b(?:hf_\w{20,}|sk-[\w-]{20,}|gh[pousr]_\w{20,}|AKIA[0-9A-Z]{16}|xox[abp]-[\w-]{10,})"
)
HIDDEN = "***"
"""Stands for a secret."""


@contextlib.contextmanager
def only_json() -> Iterator[None]:
    """Give everything that a command prints to standard error, but not what `print_json` prints."""
    before, sys.stdout = sys.stdout, sys.stderr
    _Stream.stream = before
    try:
        yield
    finally:
        sys.stdout = before


class _Stream:
    stream: Any = None


def print_json(payload: Mapping[str, Any]) -> None:
    """Print a document on standard output, in one line."""
    text = json.dumps(_clean(payload), ensure_ascii=False, allow_nan=False)
    data = in_json(text.encode("utf-8", "backslashreplace").decode("utf-8")).encode()
    stream = _Stream.stream or sys.stdout
    stream.flush()
    stream.buffer.write(data.replace(b"\x7f", b"\\u007f") + b"\n")


def print_error(error: BaseException | str, code: int) -> None:
    """Print why a command failed, as a document."""
    print_json({"error": error_of(error, code)})


def error_of(error: BaseException | str, code: int) -> json_types.Error:
    """Return an error as an object. A string is the message of a wrong command line."""
    from modeldir.errors import ModeldirError, Problem  # noqa: PLC0415 - only for an error

    message = error if isinstance(error, str) else str(error)
    if isinstance(error, ModeldirError):
        causes, state = error.causes, error.state
    else:
        what, _, hint = message.partition("\n")
        causes, state = (Problem(what, hint.strip() or None),), ""
    return {
        "type": "usage" if isinstance(error, str) else type(error).__name__,
        "message": _plain(message),
        "problems": [
            {"what": _plain(what), "hint": None if hint is None else _plain(hint)}
            for what, hint in causes
        ],
        "state": state or None,
        "path": getattr(error, "path", None),
        "line": getattr(error, "line", None),
        "key": getattr(error, "key", None),
        "exit_code": code,
    }


def printed(text: str | None) -> str | None:
    """Return printed output or a message without colors and other control characters."""
    return None if text is None else _plain(without_escapes(text))


def _plain(text: str) -> str:
    return "\n".join(map(visible, text.split("\n")))


def _clean(value: Any) -> Any:
    """Return a value that JSON has, without secrets. NaN is the string "nan"."""
    value = json_value(value)
    return _masked(value)


def _masked(value: Any) -> Any:
    if isinstance(value, str):
        return _IN_TEXT.sub(_hidden, value)
    if isinstance(value, dict):
        return {
            name: HIDDEN if isinstance(part, str) and _NAME.fullmatch(name) else _masked(part)
            for name, part in value.items()
        }
    if isinstance(value, list):
        found: list[Any] = []
        for place, part in enumerate(value):
            before = value[place - 1] if place else None
            is_secret = isinstance(before, str) and before[:1] == "-" and _NAME.fullmatch(before)
            found.append(HIDDEN if is_secret and isinstance(part, str) else _masked(part))
        return found
    return value


def _hidden(found: re.Match[str]) -> str:
    return f"{found[1] or found[2] or ''}{HIDDEN}"
