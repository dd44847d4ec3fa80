"""The argument parser of all commands: argparse, whose errors suggest what was probably meant.

`commands/__init__.py` makes one `Parser` for each command line. A command's module may have
`meant(words)`, which returns a better hint about words that argparse does not understand.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Sequence
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from modeldir._system.terminal import width_here, width_of_messages
from modeldir.errors import closest, did_you_mean

if TYPE_CHECKING:
    from _typeshed import SupportsWrite

Meant = Callable[[Sequence[str]], "str | None"]

_UNKNOWN = "unrecognized arguments: "
_MISSING = "the following arguments are required: "
_CHOICE = r"argument (\S+): invalid choice: '(.*?)' \("
_MOST = 5
_SIMILAR = 0.7
"""How similar two options must be, from 0 to 1 and without dashes, to suggest one for the other."""
_OTHER_WORDS = {
    "slot": "jobs", "slots": "jobs", "parallel": "jobs", "processes": "jobs",
    "gpu": "gpus-per-trial", "timeout": "time-limit", "limit": "time-limit",
    "metric": "maximize", "objective": "maximize", "budget": "trials", "algorithm": "sampler",
}  # fmt: skip
"""Names of options in other tools, and the option of the same meaning, if the command has it."""


class Formatter(argparse.RawDescriptionHelpFormatter):
    """Help as wide as the terminal; argparse itself would import `shutil` for that."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=width_here() - 2)


class Parser(argparse.ArgumentParser):
    """A command's parser, with its `EXAMPLE`, its `meant`, and the words of the command line."""

    example = ""
    meant: Meant | None = None
    words: Sequence[str] = ()

    def print_help(self, file: SupportsWrite[str] | None = None) -> None:
        """Print the help page. Argparse itself would hide that it cannot be written."""
        print(self.format_help(), end="", file=file)

    def error(self, message: str) -> NoReturn:
        from modeldir._system.text import wrapped  # noqa: PLC0415
        from modeldir.commands.messages import print_lines, print_stderr  # noqa: PLC0415 - not for help

        print_lines(wrapped(self.format_usage().rstrip("\n"), width_of_messages()))
        hints = self._hints(message)
        if message.startswith(_MISSING):
            message = f"{message.removeprefix(_MISSING).partition(',')[0]} is missing"
        lines = [f"error: {message}", *(f"  {hint}" for hint in hints)]
        print_stderr("\n".join(lines))
        self.exit(2)

    def _hints(self, message: str) -> list[str]:
        own = self.meant(self.words) if self.meant is not None else None
        if own is not None:
            return [own]
        if message.startswith(_MISSING):  # perhaps an option is misspelled
            return self._near(self.words) or [f"for example: {self.example}", *_existing_folders()]
        if message.startswith(_UNKNOWN):
            return self._near(message.removeprefix(_UNKNOWN).split())
        wrong = re.match(_CHOICE, message)
        return self._choice(*wrong.groups()) if wrong else []

    def _near(self, words: Sequence[str]) -> list[str]:
        known = [option for option in self._option_string_actions if option.startswith("--")]
        ours = takewhile(lambda word: word != "--", words)
        names = [found[0] for word in ours if (found := re.match(r"--[\w-]+", word))]
        near = [_option_like(name, known) for name in names if name not in known]
        return [f"did you mean {option!r}?" for option in near if option]

    def _choice(self, names: str, value: str) -> list[str]:
        """Return a hint to the choice that was probably meant; `names` is e.g. `-f/--format`."""
        action = self._option_string_actions.get(names.rpartition("/")[2])
        hint = did_you_mean(value, [*map(str, action.choices)]) if action and action.choices else ""
        return [hint] if hint else []


def _option_like(name: str, known: Sequence[str]) -> str | None:
    options = {option[2:]: option for option in known}
    wanted = name[2:].replace("_", "-").lower()
    meant = _OTHER_WORDS.get(wanted)
    if meant in options:
        return options[meant]
    begun = [option for option in options if option.startswith(wanted)]  # an abbreviation
    swapped = next(
        (each for each in options if sorted(each) == sorted(wanted)), None
    )  # tpo for top
    near = begun[0] if len(begun) == 1 else closest(wanted, [*options], _SIMILAR) or swapped
    return None if near is None else options[near]


def joined(words: Sequence[str], takes_lines: Sequence[str]) -> list[str]:
    """Join each option that takes a line with that line, which may begin with a dash.

    >>> joined(["--sbatch", "--time=60", "--workers", "2"], ["--sbatch"])
    ['--sbatch=--time=60', '--workers', '2']
    """
    found: list[str] = []
    for word in words:
        if found and found[-1] in takes_lines:
            found[-1] += f"={word}"
        else:
            found.append(word)
    return found


def _existing_folders() -> list[str]:
    from modeldir.experiment.experiment import params_file  # noqa: PLC0415 - only for an error

    found = [path for path in sorted(Path("experiments").glob("*")) if params_file(path)]
    names = [str(path) for path in found[:_MOST]] + (["..."] if len(found) > _MOST else [])
    return [f"there are: {', '.join(names)}"] if names else []
