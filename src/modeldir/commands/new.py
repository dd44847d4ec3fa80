"""`modeldir new DIR --from DIR name=value ...`: derive an experiment or a search from another.

The rule: the new folder is complete or does not exist. `origin.json` records the source.
"""

from __future__ import annotations

import argparse
import contextlib
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modeldir._system import files, reading, timestamps
from modeldir._system.shell import quoted
from modeldir.commands.folders import trial_folders
from modeldir.errors import FolderError, ParamsError, did_you_mean
from modeldir.experiment import project_settings
from modeldir.experiment.experiment import no_folder_message, params_file
from modeldir.params import overrides, plain_values
from modeldir.params.nested import preview as as_json
from modeldir.params.params import Params
from modeldir.params.update_checks import misfit

if TYPE_CHECKING:
    from modeldir.commands import json_types

HELP = "Make an experiment or a search folder from another one, and record where it came from."
EXAMPLE = (
    "modeldir new experiments/slow --from experiments/base_model learning_rate=0.001 "
    '-m "does it settle?"'
)
JSON = True

_FORMAT = 1
_NOTHING = "Nothing was made."


def configure(parser: argparse.ArgumentParser) -> None:
    parser.usage = "modeldir new DIR [--from DIR] [name=value ...] [-m WHY] [--json]"
    parser.add_argument("dir", metavar="DIR", help="the folder to make")
    parser.add_argument("values", nargs="*", metavar="name=value", help="hyperparameters to change")
    parser.add_argument(
        "--from",
        dest="source",
        metavar="DIR",
        help="take the hyperparameters of this experiment, trial or search (default: none)",
    )
    parser.add_argument(
        "-m", "--message", metavar="WHY", help="why you make it; kept in DIR/origin.json"
    )
    parser.add_argument(
        "--add", action="store_true", help="allow names that the --from folder does not have"
    )


def run(arguments: argparse.Namespace) -> int:
    folder = Path(arguments.dir)
    source = None if arguments.source is None else Path(*trial_folders([arguments.source]))
    given = parse_values(arguments.values, folder, _flat_base(source))
    if source is None:
        made = first(folder, given, arguments.message)
    else:
        made = derive(folder, source, given, arguments.message, add=arguments.add)
    if arguments.json:
        from modeldir.commands.json_output import print_json  # noqa: PLC0415 - only with --json

        print_json(_document(made))
        return 0
    print(made_text(made))
    return 0


@dataclass(frozen=True)
class Made:
    """A folder that was made.

    `changes` is `{name: (old, new)}`, `hyperparameters` are all of them, by dotted name, `added`
    the names that the source does not have.
    """

    folder: Path
    source: Path | None
    changes: Mapping[str, tuple[Any, Any]]
    hyperparameters: Mapping[str, Any]
    added: frozenset[str] = frozenset()


def _document(made: Made) -> json_types.New:
    return {
        "path": str(made.folder),
        "source": None if made.source is None else str(made.source),
        "changes": {name: [*change] for name, change in made.changes.items()},
        "hyperparameters": dict(made.hyperparameters),
    }


def made_text(made: Made) -> str:
    origin = f"derived from {made.source}" if made.source else "a first experiment"
    lines = [f"{made.folder}: {origin}"]
    for name, (old, new) in made.changes.items():
        before = "" if name in made.added else f"{as_json(old)} -> "
        lines.append(f"  {name}: {before}{as_json(new)}")
    folder, domain = quoted(made.folder), _example_domain(made.hyperparameters)
    command = "" if "command" in project_settings.settings(".") else " -- python train.py"
    lines += [
        f"next: modeldir run {folder}{command}",
        f"  or: modeldir search {folder} {domain}{command}",
    ]
    return "\n".join(lines)


def _example_domain(hyperparameters: Mapping[str, Any]) -> str:
    name = next(iter(hyperparameters), "")
    if "learning_rate" in hyperparameters or not name:
        return "learning_rate=0.1,0.01,0.001"
    return f"{name}=VALUE,VALUE"


# -- The command line-----------------------------------------------------------------------------


def _flat_base(source: Path | None) -> dict[str, Any]:
    """Return the source's values; none if they cannot be read, which `derive` will report."""
    with contextlib.suppress(ParamsError):
        found = params_file(source) if source is not None else None
        return plain_values.flatten(plain_values.load_file(found)) if found else {}
    return {}


def parse_values(
    words: Sequence[str], folder: Path, base: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Parse the `name=value` words of a command line, using the types of the values in `base`."""
    values: dict[str, Any] = {}
    problems: list[tuple[str, str | None]] = []
    for word in words:
        name, equals, text = word.partition("=")
        if not equals or not all(name.split(".")):
            problems.append((f"{word!r}: expected name=value", "learning_rate=0.01"))
        elif name in values:
            problems.append((f"{name}: given twice", "keep one of them"))
        else:
            values[name] = overrides.read(text, (base or {}).get(name))
    _check(problems, folder)
    return values


def _check(problems: Sequence[tuple[str, str | None]], folder: Path) -> None:
    if problems:
        raise ParamsError(f"{folder} cannot be made:", problems, _NOTHING)


# -- Making ----------------------------------------------------------------------------------------


def first(folder: Path, given: Mapping[str, Any], message: str | None) -> Made:
    _check_is_new(folder)
    if not given:
        by_value = f"modeldir new {quoted(folder)} learning_rate=0.01"
        derived = f"modeldir new {quoted(folder)} --from OTHER_EXPERIMENT"
        _check([("no hyperparameters:", f"{by_value}\n    or: {derived}")], folder)
    hyperparameters = Params({})
    _assign(hyperparameters, given, folder)
    origin = _origin(None, {}, message) if message else None
    _publish(folder, "params.json", hyperparameters, origin)
    changes = {name: (None, value) for name, value in given.items()}
    return Made(folder, None, changes, given, frozenset(given))


def derive(
    folder: Path,
    source: Path,
    given: Mapping[str, Any],
    message: str | None = None,
    *,
    add: bool = False,
) -> Made:
    """Make a folder with the hyperparameters of an experiment, a trial or a search, and some
    changed.

    `add`: names that the source does not have may be added.
    """
    found = _params_of(source, folder)
    _check_is_new(folder)
    hyperparameters = Params(found)
    before = Params(plain_values.load_file(found))  # not from a file: this is no read
    added = frozenset(name for name in given if name not in before)
    _check(_misfits(given, before, folder, () if add else added), folder)
    _assign(hyperparameters, given, folder)
    old = {name: _plain(before[name]) for name in given if name not in added}
    changes = {
        name: (old.get(name), value)
        for name, value in given.items()
        if name in added or (type(old[name]), old[name]) != (type(value), value)
    }
    # Relative, so that both folders can be moved together.
    relative = os.path.relpath(files.absolute(source), files.absolute(folder))
    origin = _origin(relative, changes, message)
    _publish(folder, found.name, hyperparameters, origin)
    return Made(folder, source, changes, {**plain_values.flatten(before.dict), **given}, added)


def _params_of(source: Path, folder: Path) -> Path:
    found = params_file(source)
    if found is not None:
        return found
    if source.is_file():
        problem, parent = "is a file, not a folder", source.parent
        hint = f"--from {quoted(parent)}" if params_file(parent) else "name an experiment's folder"
    elif source.is_dir():
        problem = "holds no params.json"
        hint = f"a first experiment:  modeldir new {quoted(folder)} learning_rate=0.01"
    else:
        raise FolderError(f"{no_folder_message(source)}\n{_NOTHING}")
    raise FolderError(f"{source}: {problem}", [(hint, None)], _NOTHING)


def _check_is_new(folder: Path) -> None:
    there = params_file(folder)
    if there is not None:
        raise FolderError(
            f"{folder} already exists: it has {there.name}\n"
            f"  to see it: modeldir show {quoted(folder)}",
            state=_NOTHING,
        )
    if os.path.lexists(folder) and not folder.is_dir():
        raise FolderError(f"{folder} is a file, not a folder", state=_NOTHING)


def _misfits(
    given: Mapping[str, Any], before: Params, folder: Path, unknown: Collection[str]
) -> list[tuple[str, str | None]]:
    known = [*before, *plain_values.flatten(before.dict)]
    problems: list[tuple[str, str | None]] = []
    for name, value in given.items():
        old = before.get(name)
        if name in unknown:
            hint = did_you_mean(name, known) or "to allow new names: --add"
            problems.append((f"{name}: not in the source", hint))
        elif isinstance(old, Params) and not isinstance(value, dict):
            inside = ", ".join(f"{name}.{key}" for key in old)
            problems.append((f"{name}: it is a nested section", f"change one of them: {inside}"))
        elif _looks_searched(old, value):
            hint = f"to search them: modeldir search {quoted(folder)} {name}={value}"
            problems.append((f"{name}: expected one number, got {as_json(value)}", hint))
        elif problem := misfit(_plain(old), value, name):
            problems.append(problem)
    return problems


def _looks_searched(old: object, new: object) -> bool:
    """Return whether a search domain was typed for a number: `learning_rate=0.1,0.01`."""
    is_number = isinstance(old, (int, float)) and not isinstance(old, bool)
    return is_number and isinstance(new, str) and ("," in new or ":" in new)


def _assign(hyperparameters: Params, given: Mapping[str, Any], folder: Path) -> None:
    problems: list[tuple[str, str | None]] = []
    for name, value in given.items():
        try:
            hyperparameters[name] = value
        except ParamsError as error:  # a dotted name that leads into a number
            problems.append((str(error), None))
    _check(problems, folder)


def _plain(value: object) -> object:
    return value.dict if isinstance(value, Params) else value


# -- Files -----------------------------------------------------------------------------------------


def _origin(
    source: str | None, changes: Mapping[str, tuple[Any, Any]], message: str | None
) -> dict[str, Any]:
    return {
        "format": _FORMAT,
        "from": source,
        "changes": {name: list(change) for name, change in changes.items()},
        "message": message,
        "created": timestamps.utc_now(),
    }


def _publish(
    folder: Path, name: str, hyperparameters: Params, origin: Mapping[str, Any] | None
) -> None:
    missing = [path for path in folder.parents if not path.exists()]
    staged = folder.parent / f".tmp-{os.getpid()}-{os.urandom(6).hex()}"
    try:
        staged.mkdir(parents=True)
        hyperparameters.save(staged / name)
        if origin is not None:
            files.write_json(staged / "origin.json", origin)
        _move_in(staged, folder, name)
    except BaseException as error:
        _remove(staged)
        for parent in missing:
            with contextlib.suppress(OSError):
                parent.rmdir()
        cause = error.__cause__ if isinstance(error, ParamsError) else error
        if isinstance(cause, OSError):
            why = f"{folder} cannot be made: {cause.strerror}"
            raise FolderError(why, state=_NOTHING) from error
        if isinstance(error, ParamsError):  # its message names the temporary folder
            what = f"{folder / name} cannot be saved:"
            raise ParamsError(what, error.problems, error.state) from error
        raise


def _move_in(staged: Path, folder: Path, name: str) -> None:
    """Rename the staged folder if the target is new; else move its files, hyperparameters last."""
    if not folder.exists():
        os.rename(staged, folder)
        return
    for each in ("origin.json", name):
        data = reading.read_bytes(staged / each)
        if data is not None and not files.publish(folder / each, data):
            raise FolderError(f"{folder} has {each} already", state=_NOTHING)
    _remove(staged)


def _remove(staged: Path) -> None:
    if staged.is_dir():
        for path in staged.iterdir():
            path.unlink(missing_ok=True)
        staged.rmdir()
