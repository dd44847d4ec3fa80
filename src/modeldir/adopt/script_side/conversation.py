"""Tell `modeldir adopt` what options a script has, answer its questions, and end the process.

Each question is a list of words, and the answer is what the script's own parser makes of them.
The rule: once a conversation has begun, nothing of the script runs any more.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
import traceback

from . import plain_values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    Parse = Callable[[list[str]], Mapping[str, Any]]

ADDRESS: list[str] = []
_HELD: list[str] = []


def is_held() -> bool:
    """Whether a conversation has begun: parsers that run now are asked by us."""
    return bool(_HELD)


def hold(
    library: str, words: Sequence[str], parse: Parse, describe: Callable[[Mapping[str, Any]], Any]
) -> None:
    """Describe the options and answer until nobody asks any more; never returns.

    Args:
        library: the name of the library that reads the options.
        words: the script's words that this library reads.
        parse: returns the value of each option for such words; raises if they are wrong.
        describe: returns the options as a list of dicts, given what `parse` returned for `words`.
    """
    _HELD.append(library)
    code = 1
    try:
        values = parse([*words])
        offer = {
            "library": library,
            "script": sys.argv[0],
            "arguments": sys.argv[1:],
            "words": [*words],
            "options": describe(values),
            "values": _plain(values),
        }
        _answer(offer, parse)
        code = 0
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1
        if isinstance(error.code, str):
            sys.stderr.write(f"{error.code}\n")
    except BaseException as error:  # noqa: BLE001 - nothing of the script may run after this
        show = getattr(error, "show", None)  # click's way to print what is wrong
        if show is None:
            traceback.print_exc()
        else:
            show()
            code = 2
    finally:
        try:
            _flush()
        finally:
            os._exit(code & 0xFF)  # a larger number would be an error, and the script would run


def _flush() -> None:
    """Write what the script has printed, if its streams can do so: they may be of any class."""
    for name in ("stdout", "stderr"):
        with contextlib.suppress(BaseException):
            getattr(sys, name).flush()


def _answer(offer: dict[str, Any], parse: Parse) -> None:
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(ADDRESS[0])
    with connection, connection.makefile("rw", encoding="utf-8") as lines:
        lines.write(f"{json.dumps(offer)}\n")
        lines.flush()
        for line in lines:
            answer: dict[str, Any] = {}
            try:
                answer["values"] = _plain(parse(json.loads(line)))
            except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever its parser raises
                answer["error"] = str(error)
            lines.write(f"{json.dumps(answer)}\n")
            lines.flush()


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    return {str(key): plain_values.plain(value) for key, value in values.items()}
