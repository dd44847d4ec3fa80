"""The argument parser of all commands: argparse, whose errors suggest what was probably meant.

`commands/__init__.py` makes one `Parser` for each command line. A command's module may have
`meant(words)`, which returns a better hint about words that argparse does not understand.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterable, Sequence
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from modeldir._system.terminal import width_here, width_of_messages
from modeldir.errors import closest, did_you_mean, first_of

if TYPE_CHECKING:
    from types import ModuleType

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


_HELP_COLUMN = 26
_NARROW = 60
"""With fewer columns the explanation of an option stands below it."""
_ROW = re.compile(r"  (\S.*?) {2,}(\S.*)")


class Formatter(argparse.HelpFormatter):
    """Help that is as wide as the terminal and wraps between words, down to 40 columns.

    In a description, each line is a paragraph. A line `  NAME  explanation` has two columns, like
    an option. A line that is indented otherwise is a command, and is continued with a backslash.
    """

    def __init__(self, prog: str) -> None:
        width = width_here() - 2  # argparse itself would import `shutil` for that
        column = _HELP_COLUMN if width >= _NARROW - 2 else 8
        super().__init__(prog, max_help_position=column, width=width)

    def _split_lines(self, text: str, width: int) -> list[str]:
        return _wrapped(" ".join(text.split()), width)

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return "\n".join(
            line
            for each in text.strip("\n").split("\n")
            for line in self._filled(each, width, indent)
        )

    def _filled(self, line: str, width: int, indent: str) -> list[str]:
        row = _ROW.fullmatch(line)
        if row is not None:
            return self._row(row[1], row[2], indent or "  ")
        if line.startswith("  "):
            return _command_lines(line.strip(), width, "  ")
        return [indent + part for part in _wrapped(line, width)] or [""]

    def _row(self, name: str, text: str, indent: str) -> list[str]:
        column = self._max_help_position
        lines = self._split_lines(text, max(self._width - column, 11))
        name = f"{indent}{name}"
        if len(name) + 2 > column:
            return [
                *_command_lines(name.strip(), self._width, indent),
                *(" " * column + e for e in lines),
            ]
        return [f"{name:<{column}}{lines[0]}", *(" " * column + each for each in lines[1:])]

    def _format_action_invocation(self, action: argparse.Action) -> str:
        if not action.option_strings or action.nargs == 0:
            return super()._format_action_invocation(action)
        value = self._format_args(action, self._get_default_metavar_for_optional(action))
        return f"{', '.join(action.option_strings)} {value}"  # as argparse does from Python 3.13 on

    def _format_usage(
        self,
        usage: str | None,
        actions: Iterable[argparse.Action],  # noqa: ARG002 - as in argparse, like the next two
        groups: Iterable[argparse._MutuallyExclusiveGroup],  # noqa: ARG002
        prefix: str | None,  # noqa: ARG002
    ) -> str:
        lines = _wrapped(f"usage: {usage}", self._width, "  ")
        return "\n".join(lines) + "\n\n"


def _wrapped(text: str, width: int, behind: str = "") -> list[str]:
    from textwrap import wrap  # noqa: PLC0415 - not for errors

    return wrap(text, width, subsequent_indent=behind, break_on_hyphens=False)


def _command_lines(command: str, width: int, indent: str) -> list[str]:
    """Return a command that can be copied: it is broken between words, never in a quoted one."""
    lines, line = [], indent
    for word in re.findall(r"""(?:'[^']*'|"[^"]*"|[^\s'"])+""", command):
        if line.strip() and len(f"{line} {word} \\") > width:
            lines.append(f"{line} \\")
            line = f"{indent}  {word}"
        else:
            line = f"{line} {word}" if line.strip() else f"{line}{word}"
    return [*lines, line]


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

        hints = self._hints(message)
        lines = [_plainer(message), *(f"  {hint}" for hint in hints)]
        if "--json" in takewhile(lambda word: word != "--", self.words):
            from modeldir.commands.json_output import print_error  # noqa: PLC0415 - only with --json

            print_error("\n".join(lines), 2)
            self.exit(2)
        print_lines(wrapped(f"usage: {self.usage}", width_of_messages()))
        print_stderr("\n".join([f"error: {lines[0]}", *lines[1:]]))
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


def _plainer(message: str) -> str:
    """Return an error of argparse in the words that modeldir uses."""
    if message.startswith(_MISSING):
        return f"{message.removeprefix(_MISSING).partition(',')[0]} is missing"
    message = re.sub(r"^argument (.+): expected one argument$", r"\1 needs a value", message)
    number = r"^argument (.+): invalid int value: ('.*')$"
    return re.sub(number, r"\1: expected an integer, got \2", message)


def finish(parser: Parser, command: ModuleType) -> None:
    """Complete a parser that `command.configure` has filled: `--help` at its end, and examples."""
    parser.example, parser.meant = command.EXAMPLE, getattr(command, "meant", None)
    examples = [parser.example, *getattr(command, "EXAMPLES", ())]
    title = "example:" if len(examples) == 1 else "examples:"
    parser.epilog = "\n".join([title, *(f"  {example}" for example in examples)])
    if getattr(command, "JSON", False):
        words = "print the result as JSON, and everything else on standard error"
        parser.add_argument("--json", action="store_true", help=words)
    parser.add_argument("-h", "--help", action="help", help="print this help")
    arguments, options, *groups = parser._action_groups  # noqa: SLF001 - argparse cannot order them
    arguments.title = "arguments"
    has_others = any(group._group_actions for group in groups)  # noqa: SLF001
    options.title = "other options" if has_others else "options"
    parser._action_groups = [arguments, *groups, options]  # noqa: SLF001


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
    return [f"there are: {first_of([*map(str, found)], _MOST)}"] if found else []
