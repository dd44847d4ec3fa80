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
import shlex
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
_PYTHON = r"(python|pypy)[\d.]*t?(\.exe)?"
_SHELL = r"(ba|da|z|k)?sh"
_WITHOUT_HOOK = "IES"
"""Python's options with which it does not import the hook: it ignores PYTHONPATH, or `site`."""


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
        CommandError: when the command cannot start, ends without asking, or takes too long; or
            when Python would not load the hook, and so the script would not be held.
    """

    def __init__(self, command: Sequence[str], seconds: float) -> None:
        self._command, self._seconds = command, seconds
        self._deadline = 0.0
        self._open = contextlib.ExitStack()

    def __enter__(self) -> Script:  # noqa: PYI034 - typing has no Self before Python 3.11
        _check_that_it_is_held(self._command)
        with contextlib.ExitStack() as made:
            folder = Path(made.enter_context(tempfile.TemporaryDirectory(prefix="modeldir-")))
            listener = made.enter_context(socket.socket(socket.AF_UNIX))
            listener.bind(str(folder / "adopt"))
            listener.listen()
            self._output = folder / "output"
            child = self._start(folder)
            made.callback(_end, child)
            self._connected = made.enter_context(self._connection(listener, child, self._output))
            self._lines = made.enter_context(self._connected.makefile("rw", encoding="utf-8"))
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
        self._connected.settimeout(max(_POLL, self._deadline - time.monotonic()))
        try:
            line = self._lines.readline()
        except TimeoutError:
            raise CommandError(self._slow_text(self._output), state=_NOTHING) from None
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
        self._deadline = time.monotonic() + self._seconds
        with selectors.DefaultSelector() as selector:
            selector.register(listener, selectors.EVENT_READ)
            while True:
                code = child.poll()  # before the look: what was asked until then is there
                if selector.select(_POLL):
                    return listener.accept()[0]
                if code is not None:
                    raise CommandError(self._ended_text(code, output), state=_NOTHING)
                if time.monotonic() > self._deadline:
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


def _check_that_it_is_held(command: Sequence[str]) -> None:
    """Refuse options of Python with which the script would run to its end."""
    kept, letters = _without_options(command)
    todo = _line(kept)
    if not letters:
        scripts = [
            text
            for shell, option, text in zip(command, command[1:], command[2:], strict=False)
            if re.fullmatch(_SHELL, os.path.basename(shell)) and re.fullmatch(r"-\w*c", option)
        ]
        letters = "".join(_without_options(_shell_words(text))[1] for text in scripts)
        todo = f"in {' '.join(scripts)!r}"
    if letters:
        raise CommandError(
            f"with Python's option -{letters}, modeldir cannot hold the script: it would train\n"
            f"  leave out -{letters}: {todo}",
            state=_NOTHING,
        )


def _without_options(words: Sequence[str]) -> tuple[list[str], str]:
    """Return the words without Python's options that skip the hook, and the letters of these."""
    kept: list[str] = []
    letters, is_option, is_value = "", False, False
    for word in words:
        if is_value or not is_option or word == "-" or not word.startswith("-"):
            is_option = is_value or bool(re.fullmatch(_PYTHON, os.path.basename(word)))
            is_value = False
            kept.append(word)
        elif word.startswith("--"):
            is_option, is_value = word != "--", word == "--check-hash-based-pycs"
            kept.append(word)
        else:
            flags = re.split("[cmWX]", word[1:], maxsplit=1)[0]
            rest = word[1 + len(flags) :]  # a module, or an option that has a value
            is_option, is_value = not rest.startswith(("c", "m")), rest in {"W", "X"}
            letters += "".join(letter for letter in flags if letter in _WITHOUT_HOOK)
            left = "".join(letter for letter in flags if letter not in _WITHOUT_HOOK) + rest
            kept += [f"-{left}"] * bool(left)
    return kept, letters


def _shell_words(text: str) -> list[str]:
    try:
        return shlex.split(re.sub("[;&|()]", " ", text))
    except ValueError:  # a quotation without its end
        return text.split()


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
