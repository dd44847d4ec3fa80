"""`modeldir adopt [DIR] -- COMMAND`: learn a script's options, write params.json and the command.

The package `adopt` runs the command and asks its parser. The rule: a file that is there is never
replaced without `--force`, and nothing is written if the script could not be asked.
"""

from __future__ import annotations

import argparse
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modeldir._system import escaping, files, reading
from modeldir._system.shell import quoted, quoted_line
from modeldir.errors import CommandError, FolderError, first_of
from modeldir.experiment import project_settings
from modeldir.experiment.experiment import params_file
from modeldir.params import plain_values

if TYPE_CHECKING:
    from modeldir.adopt.proposal import Proposal
    from modeldir.params.toml_format import Document

HELP = (
    "Learn the options of your training script, and write params.json and modeldir.toml, "
    "so that a search can vary them."
)
EXAMPLE = "modeldir adopt -- python train.py"
EXAMPLES = ("modeldir adopt experiments/base_model -- python train.py --data cifar10",)

_MORE = """
modeldir starts COMMAND and ends it when the script reads its command line, so
nothing is trained. The code before that runs, e.g. imports. Give the options
that your script requires; the values that you give become the defaults.

modeldir reaches the script through PYTHONPATH. A COMMAND that removes it, e.g.
by `env -u PYTHONPATH`, does the same as `python -I`: the script would run and
train. modeldir can refuse only -I, -E and -S, where it sees them in COMMAND.
"""
_DIR = "experiments/base_model"
_NOTHING = "Nothing was written."
_SHOWN = 5
"""The number of options that a line names."""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.usage = "modeldir adopt [DIR] [--force] [--time-limit TIME] -- COMMAND ..."
    parser.description = f"{HELP}\n{_MORE}"
    parser.add_argument(
        "dir",
        nargs="?",
        default=_DIR,
        metavar="DIR",
        help=f"the folder to write params.json to (default: {_DIR})",
    )
    parser.add_argument(
        "--force",
        action="store_true",
        help="replace DIR/params.json and the command in modeldir.toml",
    )
    parser.add_argument(
        "--time-limit",
        default="2m",
        metavar="TIME",
        help="end the script if it has not read its options by then (default: 2m)",
    )


def meant(words: Sequence[str]) -> str | None:
    place = next((i for i, word in enumerate(words) if word.startswith("python")), None)
    if "--" in words or place is None:
        return None
    line = quoted_line([*words[:place], "--", *words[place:]])
    return f"put the command after --: modeldir adopt {line}"


def run(arguments: argparse.Namespace) -> int:
    from modeldir.adopt.ask import Script  # noqa: PLC0415 - `--help` works without it
    from modeldir.adopt.proposal import propose  # noqa: PLC0415

    folder, command = Path(arguments.dir), arguments.command
    if not command:
        raise CommandError(f"no command to adopt\n  {EXAMPLE}", state=_NOTHING)
    if not_text := [word for word in command if not escaping.is_utf8(word)]:
        problem = f"{quoted_line(not_text)}: not UTF-8, so modeldir.toml cannot hold it"
        raise CommandError(f"{problem}\n  write it in UTF-8", state=_NOTHING)
    if _reads_params(command):
        print("\n".join(_needs_nothing(folder, command)))
        return 0
    seconds = _seconds(arguments.time_limit)
    _check(folder, command, force=arguments.force)
    with Script(command, seconds) as script:
        proposal = propose(script, command)
    settings = _write(folder, proposal, command, force=arguments.force)
    print("\n".join(_text(folder, settings, proposal, command)))
    return 0


def _seconds(text: str) -> float:
    from modeldir._system.durations import parse_duration  # noqa: PLC0415

    try:
        return parse_duration(text)
    except ValueError as error:
        raise CommandError(f"--time-limit: {error}", state=_NOTHING) from None


# -- Scripts that need nothing ---------------------------------------------------------------------


def _script(command: Sequence[str]) -> str:
    return next((word for word in command if word.endswith(".py")), command[0])


def _reads_params(command: Sequence[str]) -> bool:
    """Whether a script takes `--model_dir` and reads the params file there by itself."""
    text = reading.read_bytes(_script(command)) if _script(command).endswith(".py") else None
    if text is None or b"--model_dir" not in text:
        return False
    return b"params.json" in text or b"modeldir.start" in text


def _needs_nothing(folder: Path, command: Sequence[str]) -> Iterator[str]:
    yield f"{_script(command)} takes --model_dir and reads params.json: there is nothing to adopt"
    there = params_file(folder)
    values: Mapping[str, Any] = {}
    if there is None:
        values = {"learning_rate": 0.001}
        yield f"next: modeldir new {quoted(folder)} learning_rate=0.001   (and its other values)"
    else:
        values = plain_values.flatten(plain_values.load_file(there))
    line = f" -- {quoted_line(command)}"
    yield from _next_lines(folder, values, line, "next:" if there else "then:")


# -- Files -----------------------------------------------------------------------------------------


def _check(folder: Path, command: Sequence[str], *, force: bool, is_compared: bool = False) -> None:
    """Refuse to replace a file, or to write into broken settings.

    Before the script is asked, a params.json without a command in the settings is no problem: an
    `adopt` that was killed leaves it. `_write` takes it if its values are the same (`is_compared`).
    """
    _document(_settings_path())
    if force:
        return
    line = f"modeldir adopt {quoted(folder)} --force -- {quoted_line(command)}"
    there, settings = params_file(folder), project_settings.find(".")
    has_command = settings is not None and "command" in project_settings.settings(".")
    may_be_ours = not (is_compared or has_command) and there == folder / "params.json"
    problems: list[tuple[str, str | None]] = []
    if there is not None and not may_be_ours:
        other = f"modeldir adopt {quoted(f'{folder}_2')} -- {quoted_line(command)}"
        problems.append((f"{there} is there already", f"{other}   (or add --force to replace it)"))
    if settings is not None and has_command:
        problems.append(
            (f"{_shown(settings)} has a command already", f"to replace the command: {line}")
        )
    if problems:
        raise FolderError(f"{_script(command)} cannot be adopted:", problems, _NOTHING)


def _write(folder: Path, proposal: Proposal, command: Sequence[str], *, force: bool) -> Path:
    """Write the params file, then the command; return the path of the settings."""
    settings = _settings_path()
    document = _document(settings)
    document.values["command"] = proposal.command
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path = (params_file(folder) if force else None) or folder / "params.json"
        data = files.to_json(proposal.params).encode()
        if force:
            files.write_bytes(folder / "params.json", data)
            if path.name != "params.json":  # another notation would hide it
                path.unlink()
        elif not files.publish(path, data):  # other values than these
            _check(folder, command, force=False, is_compared=True)
        files.write_bytes(settings, document.text().encode())
    except OSError as error:
        raise FolderError(
            f"{error.filename or folder}: {error.strerror}", state=_NOTHING
        ) from error
    return settings


def _settings_path() -> Path:
    return project_settings.find(".") or Path(project_settings.FILE)


def _document(settings: Path) -> Document:
    from modeldir.params.params_files import load_file  # noqa: PLC0415 - `--help` works without
    from modeldir.params.toml_format import Document  # noqa: PLC0415 - tomlkit

    if not settings.exists():
        return Document("")
    load_file(settings)  # its errors name the place
    return Document(reading.read(settings, reading.TOML).decode("utf-8-sig"))


def _shown(path: Path) -> str:
    return os.path.relpath(path)


# -- What is printed -------------------------------------------------------------------------------


def _text(
    folder: Path, settings: Path, proposal: Proposal, command: Sequence[str]
) -> Iterator[str]:
    values, script = proposal.hyperparameters, os.path.basename(proposal.script)
    yield f"{script}: {_count(len(values), 'option')} ({proposal.library}); nothing was trained"
    yield f"wrote {folder / 'params.json'}: {first_of(list(values), _SHOWN)}"
    yield f"wrote {_shown(settings)}: command = {json.dumps(proposal.command, ensure_ascii=False)}"
    if proposal.outputs:
        yield f"output: {', '.join(proposal.outputs)}"
    elif "{model_dir}" not in proposal.command and "{out}" not in proposal.command:
        yield "note: no option for an output folder was found; if there is one, name it yourself:"
        line = f"{quoted(folder)} --force -- {quoted_line(command)} --NAME {{model_dir}}"
        yield f"  modeldir adopt {line}"
    if _forgets_arguments(command[0]):
        yield f"note: {command[0]} does not pass its arguments on, so each trial would be the same"
        yield f'  in {command[0]}, put "$@" after the command that trains'
    if proposal.left_out:
        yield f"left to the script's own default: {first_of(proposal.left_out, _SHOWN)}"
    yield from _next_lines(folder, values, "", "next:")


def _forgets_arguments(program: str) -> bool:
    """Whether a command is a shell script that ignores its arguments."""
    text = reading.read_bytes(program) if os.path.dirname(program) else None
    is_shell = text is not None and re.match(rb"#!\s*\S*\b(env\s+)?(ba|da|z)?sh\b", text)
    return bool(text and is_shell) and not re.search(rb"\$[@*1{]|\bshift\b", text or b"")


def _next_lines(folder: Path, values: Mapping[str, Any], command: str, begin: str) -> Iterator[str]:
    from modeldir.adopt.first_search import first_search  # noqa: PLC0415

    found = first_search(values)
    if found is None:
        yield f"{begin} modeldir run {quoted(folder)}{command}"
        return
    name, domain = found
    search = _free(folder.parent, name.rpartition(".")[2])
    yield f"{begin} modeldir new {quoted(search)} --from {quoted(folder)}"
    yield f"      modeldir search {quoted(search)} {name}={domain}{command}"


def _free(parent: Path, name: str) -> Path:
    """Return the first of NAME, NAME_2, ... that is not there."""
    number, path = 1, parent / name
    while path.exists():
        number += 1
        path = parent / f"{name}_{number}"
    return path


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'s' * (number != 1)}"
