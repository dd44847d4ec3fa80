"""Run a user's command until its script reads its options, and ask the script's own parser.

The script's process loads `script_side`, which connects to a socket here. While a `Script` is
open, the process answers what its parser makes of some words; it never gets further.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import selectors
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from modeldir._system import escaping, reading
from modeldir._system.durations import duration_text
from modeldir.errors import CommandError

_HOOK = Path(__file__).with_name("hook")
_NOTHING = "Nothing was written."
_POLL = 0.05
_LINES = 6
"""The number of lines of a script's output that an error shows."""


@dataclass(frozen=True)
class Option:
    """One option as its library describes it.

    Attributes:
        key: its name in the values that the parser returns.
        flags: how it is written; `off`: how it is switched off.
        kind: `store`, `assign` (`--lr=0.1`), `override` (`lr=0.1`), or a flag without a value:
            `true`, `false` (what it sets) or `on_off`.
        raw: its default as text, if it is given as text.
    """

    key: str
    flags: tuple[str, ...]
    off: tuple[str, ...]
    kind: str
    raw: str | None


@dataclass(frozen=True)
class Offer:
    """The options that a script offers, and their values for the words that it was called with.

    `arguments` are all words that the script got, `words` those that its parser gets of them.
    """

    library: str
    script: str
    arguments: tuple[str, ...]
    words: tuple[str, ...]
    options: tuple[Option, ...]
    values: Mapping[str, Any]


class Script:
    """A user's script, held where it asks for its options.

    Args:
        command: the user's command.
        seconds: how long the script may take until it asks.

    Raises:
        CommandError: when the command cannot start, ends without asking, or takes too long.
    """

    def __init__(self, command: Sequence[str], seconds: float) -> None:
        self._command, self._seconds = command, seconds
        self._open = contextlib.ExitStack()

    def __enter__(self) -> Script:  # noqa: PYI034 - typing has no Self before Python 3.11
        with contextlib.ExitStack() as made:
            folder = Path(made.enter_context(tempfile.TemporaryDirectory(prefix="modeldir-")))
            listener = made.enter_context(socket.socket(socket.AF_UNIX))
            listener.bind(str(folder / "adopt"))
            listener.listen()
            child = self._start(folder)
            made.callback(_end, child)
            connection = made.enter_context(self._connection(listener, child, folder / "output"))
            self._lines = made.enter_context(connection.makefile("rw", encoding="utf-8"))
            self.offer = _offer(self._receive())
            self._open = made.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._open.close()

    def parse(self, words: Sequence[str]) -> dict[str, Any] | None:
        """Return what the script's parser makes of some words; None if it refuses them."""
        print(json.dumps([*words]), file=self._lines, flush=True)
        values = self._receive().get("values")
        return values if isinstance(values, dict) else None

    def _receive(self) -> dict[str, Any]:
        line = self._lines.readline()
        if not line:
            raise CommandError(f"{self._name} has ended while it was asked", state=_NOTHING)
        received = json.loads(line)
        assert isinstance(received, dict)
        return received

    def _start(self, folder: Path) -> subprocess.Popen[bytes]:
        paths = [str(_HOOK), *filter(None, [os.environ.get("PYTHONPATH")])]
        variables = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(paths),
            "MODELDIR_ADOPT": str(folder / "adopt"),
        }
        with (folder / "output").open("wb") as output:
            try:
                return subprocess.Popen(
                    [*self._command],
                    env=variables,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            except OSError as error:
                why = f"{self._command[0]} cannot be started: {error.strerror}"
                raise CommandError(why, state=_NOTHING) from error

    def _connection(
        self, listener: socket.socket, child: subprocess.Popen[bytes], output: Path
    ) -> socket.socket:
        deadline = time.monotonic() + self._seconds
        with selectors.DefaultSelector() as selector:
            selector.register(listener, selectors.EVENT_READ)
            while True:
                code = child.poll()  # before the look: what was asked until then is there
                if selector.select(_POLL):
                    return listener.accept()[0]
                if code is not None:
                    raise CommandError(self._ended_text(code, output), state=_NOTHING)
                if time.monotonic() > deadline:
                    raise CommandError(self._slow_text(output), state=_NOTHING)

    @property
    def _name(self) -> str:
        found = re.search(r"[^\s'\"]+\.py\b", " ".join(self._command))
        return found[0] if found else self._command[0]

    def _ended_text(self, code: int, output: Path) -> str:
        last = _last_lines(output)
        if code:
            lines = [
                f"{self._name} ended with exit code {code} before its options were known:",
                *last,
            ]
            if any("required" in line or "Missing" in line for line in last):
                lines.append(f"  give what it requires: {_line(self._command)} OPTIONS")
            return "\n".join(lines)
        return (
            f"{self._name} has ended and read no options that modeldir knows of\n"
            "  modeldir knows argparse and what builds on it, click, typer, absl, Hydra, tyro,\n"
            "  jsonargparse (LightningCLI), fire, and a configurator like nanoGPT's"
        )

    def _slow_text(self, output: Path) -> str:
        return "\n".join(
            [
                f"{self._name} read no options in {duration_text(self._seconds)}, and was ended",
                *_last_lines(output),
                "  to wait longer: modeldir adopt --time-limit 10m -- ...",
            ]
        )


def _line(command: Sequence[str]) -> str:
    from modeldir._system.shell import quoted_line  # noqa: PLC0415 - only for an error

    return f"modeldir adopt -- {quoted_line(command)}"


def _offer(found: Mapping[str, Any]) -> Offer:
    return Offer(
        library=str(found["library"]),
        script=str(found["script"]),
        arguments=tuple(found["arguments"]),
        words=tuple(found["words"]),
        options=tuple(
            Option(
                key=each["key"],
                flags=tuple(each["flags"]),
                off=tuple(each["off"]),
                kind=each["kind"],
                raw=each["raw"],
            )
            for each in found["options"]
        ),
        values=found["values"],
    )


def _last_lines(output: Path) -> list[str]:
    text = reading.tail(output).decode(errors="replace")
    text = re.sub(r"^usage: .*\n(?:[ \t].*\n)*", "", text, flags=re.IGNORECASE | re.MULTILINE)
    lines = [line for line in text.splitlines() if line.strip()][-_LINES:]
    return [f"  {escaping.visible(line)}" for line in lines]


def _end(child: subprocess.Popen[bytes]) -> None:
    """End the command and all that it has started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()
