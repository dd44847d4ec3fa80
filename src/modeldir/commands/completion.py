"""`modeldir completion SHELL`: print the script that completes modeldir's commands in a shell.

The script calls `modeldir completion-words WORDS` at each TAB, which `words` answers. The rule: it
answers at once, so it imports a command only to complete its options, and prints no error.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Sequence

HELP = "Print a script that completes commands, options and folders in your shell."
EXAMPLE = 'eval "$(modeldir completion bash)"'

_BASH = """\
_modeldir() {
    mapfile -t COMPREPLY < <(modeldir completion-words "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
    [[ -d ${COMPREPLY[0]-} ]] && compopt -o filenames
}
complete -o default -F _modeldir modeldir
"""
_ZSH = """\
#compdef modeldir
_modeldir() {
    local -a found
    found=("${(@f)$(modeldir completion-words "${(@)words[2,CURRENT]}" 2>/dev/null)}")
    if [[ -d $found[1] ]]; then compadd -f -- $found
    elif [[ -n $found[1] ]]; then compadd -- $found
    else _files; fi
}
compdef _modeldir modeldir
"""
_FISH = """\
complete -c modeldir -f -n 'not contains -- -- (commandline -opc)' \\
    -a '(modeldir completion-words (commandline -opc)[2..] (commandline -ct))'
"""
_SCRIPTS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}


def configure(parser: argparse.ArgumentParser) -> None:
    parser.usage = "modeldir completion SHELL"
    parser.add_argument("shell", choices=[*_SCRIPTS], metavar="SHELL", help="bash, zsh or fish")


def run(arguments: argparse.Namespace) -> int:
    print(_SCRIPTS[arguments.shell], end="")
    return 0


def words(typed: Sequence[str]) -> list[str]:
    """Return what the last of the words after `modeldir` may become."""
    *before, last = typed or [""]
    if "--" in before:  # your command: the shell completes files
        return []
    found = _options(before, last) if before else _commands()
    return sorted(each for each in found if each.startswith(last))


def _commands() -> Iterator[str]:
    from modeldir.commands import GROUPS  # noqa: PLC0415 - it imports this module

    for _, listed in GROUPS:
        yield from (name for name, _ in listed)


def _options(before: Sequence[str], last: str) -> Iterator[str]:
    if not last.startswith("-"):
        return _folders(last)
    from modeldir.commands import parser_of  # noqa: PLC0415 - it imports this module

    if before[0] not in _commands():
        return iter(())
    return iter(parser_of(before[0])._option_string_actions)  # noqa: SLF001 - argparse lists them nowhere


def _folders(last: str) -> Iterator[str]:
    """Yield the folders that a path may become: experiments, searches and trials."""
    parent, name = os.path.split(last)
    for entry in os.scandir(parent or "."):
        is_hidden = entry.name.startswith(".") and not name.startswith(".")
        if entry.is_dir() and not is_hidden and "\n" not in entry.name:
            yield os.path.join(parent, entry.name)
