"""Recognize the commands that are a Python script, and take them apart.

`policy.py`, `guards.py` and `child.py` call `parse`. A wrapper (torchrun, a shell) is no such
command: what it starts is not ours to fork. Launchers such as `uv run`: `launched.py`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass

RECORDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "import_recorder.py")
_PYTHON = re.compile(r"python(\d(\.\d+)?)?t?")
_ALONE = frozenset("bBdEIOPqsSu")
"""Options that leave a script a script. Not -i (it waits for a terminal), -v, -x."""
_WITH_VALUE = frozenset("WX")


@dataclass(frozen=True)
class Invocation:
    """`interpreter *flags script *arguments`; with `-m`, a module's name instead of the script."""

    interpreter: str
    flags: tuple[str, ...]
    words: tuple[str, ...]
    is_module: bool = False

    @property
    def script(self) -> str:
        return self.words[0]

    @property
    def is_unbuffered(self) -> bool:
        """Whether an option asks for it; an environment variable may, too."""
        letters = (re.split("[WX]", word)[0] for word in self.flags if word.startswith("-"))
        return any("u" in each for each in letters)

    def through_recorder(self, report: str) -> tuple[str, ...]:
        """Return the same command, run so that it also writes its imports to `report`."""
        module = ("-m",) if self.is_module else ()
        return (self.interpreter, *self.flags, RECORDER, report, *module, *self.words)


def parse(command: Sequence[str]) -> Invocation | None:
    """Return a command's parts; None for one that is not a Python script.

    >>> parse(["python3", "-u", "-W", "error", "train.py", "--model_dir", "d"])
    ... # doctest: +NORMALIZE_WHITESPACE
    Invocation(interpreter='python3', flags=('-u', '-W', 'error'),
               words=('train.py', '--model_dir', 'd'), is_module=False)
    >>> parse(["torchrun", "train.py"]), parse(["python", "-c", "pass"])
    (None, None)
    """
    if not command or not _PYTHON.fullmatch(os.path.basename(command[0])):
        return None
    flags: list[str] = []
    rest = list(command[1:])
    while rest and rest[0].startswith("-"):
        word = rest.pop(0)
        if word == "-m" and rest:
            return Invocation(command[0], tuple(flags), tuple(rest), is_module=True)
        letters = word[1:]
        while letters and letters[0] in _ALONE:
            letters = letters[1:]
        flags.append(word)
        if letters[:1] in _WITH_VALUE and letters:
            if len(letters) == 1:
                flags.append(rest.pop(0) if rest else "")
        elif letters or word == "-":
            return None
    if not rest or not rest[0].endswith(".py"):  # not a folder, not a zip file, not byte code
        return None
    return Invocation(command[0], tuple(flags), tuple(rest))


def script_of(command: Sequence[str]) -> tuple[str, ...]:
    invocation = parse(command)
    if invocation is None:
        return ()
    module = ("-m",) if invocation.is_module else ()
    return (invocation.interpreter, *invocation.flags, *module, invocation.script)


def interpreter_of(script: Sequence[str]) -> tuple[str, ...]:
    """Return what stands before the script in `script_of`'s answer: interpreter and options."""
    invocation = parse(script)
    assert invocation is not None
    return (invocation.interpreter, *invocation.flags)
