"""See through launchers (`uv run`, `poetry run`, `conda run`, `env`, pyenv's shims) to the Python.

`policy.py` asks `see_through` once. The launcher itself is run with a question in place of the
script; the answer is which interpreter it starts and what it adds to the environment. The rule: a
launcher that does anything else, such as removing a variable, changing the folder, or setting a
limit, is not seen through, since a fork would not be what it starts.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from modeldir._system import programs, reading
from modeldir._system.file_stamps import stamp
from modeldir.worker.preload.command_line import parse

_TIMEOUT = 120.0
"""Seconds for the answer: `uv run` may install what is missing first."""
_RUNNERS = {"uv": "run", "poetry": "run", "pdm": "run", "conda": "run", "mamba": "run"}
_ALONE = frozenset({
    "--no-capture-output", "--live-stream", "--no-sync", "--frozen", "--locked", "--offline",
    "--quiet", "-q", "--all-extras", "--all-groups", "--dev", "--no-dev", "--no-project",
    "--active", "--exact",
})  # fmt: skip
_WITH_VALUE = frozenset({
    "-n", "--name", "-p", "--prefix", "--python", "--extra", "--group", "--package",
    "--project",
})  # fmt: skip
_OF_PROJECTS = (
    "pyproject.toml", "uv.lock", "poetry.lock", "pdm.lock", ".python-version", ".tool-versions",
)  # fmt: skip
_QUESTION = """\
import json, os, resource, sys
facts = {"executable": sys.executable, "environment": dict(os.environ), "cwd": os.getcwd()}
limits = [resource.getrlimit(getattr(resource, "RLIMIT_" + name))
          for name in ("AS", "STACK", "DATA", "CPU")]
facts["files"] = resource.getrlimit(resource.RLIMIT_NOFILE)
facts["start"] = [tuple(sys.flags), sys._xoptions, sys.warnoptions, os.umask(0), os.nice(0), limits]
print("\\n" + json.dumps(facts))
"""
_MOST_READ = 64 * 1024
"""Bytes of a launcher's output that are read: the answer is its last line."""
_SHELLS_OWN = frozenset({"_", "SHLVL"})
"""Variables that a shell sets for itself, and that differ with each start."""


@dataclass(frozen=True)
class Launcher:
    """A launcher's part of a command: `count` words before those of `python SCRIPT`.

    `executable` is the interpreter that it starts, and `variables` what it adds to the environment.
    If `adds_python`, the command names no interpreter: `uv run train.py`.
    """

    count: int
    adds_python: bool = False
    executable: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)
    state: tuple[object, ...] = ()
    cwd: str = ""

    def core(self, command: Sequence[str]) -> tuple[str, ...]:
        """Return a command without its launcher: the interpreter's path, options, script, rest."""
        rest = command[self.count :] if self.adds_python else command[self.count + 1 :]
        return (self.executable, *rest)

    @property
    def has_changed(self) -> bool:
        """Whether the project's files, by which a launcher chooses, have changed since."""
        return self.state != _state(self.cwd)


def find(command: Sequence[str], cwd: str) -> Launcher | None:
    """Return the launcher of a command that runs a Python script; None for another command."""
    count = _launcher_words(command)
    if count is None:
        return None
    rest = command[count:]
    if count and rest and rest[0].endswith(".py") and os.path.basename(command[0]) == "uv":
        text = reading.read_bytes(Path(cwd, rest[0])) or b""
        # Such a script has an environment of its own, which no other script would get.
        return None if b"# /// script" in text else Launcher(count, adds_python=True)
    return None if parse(rest) is None else Launcher(count)


def is_plain(launcher: Launcher, command: Sequence[str]) -> bool:
    """Return whether a command starts an interpreter itself, without a launcher or a shim."""
    if launcher.count:
        return False
    program = programs.find_program(command[0])
    return program is None or not _is_script(program)


def _is_script(path: str) -> bool:
    try:
        with reading.open_stream(path) as file:
            return file.read(2) == b"#!"
    except OSError:
        return False


def see_through(
    launcher: Launcher, command: Sequence[str], cwd: str, environment: Mapping[str, str]
) -> Launcher | str:
    """Return the launcher with the interpreter that it starts, or why it is not seen through."""
    before = tuple(command[: launcher.count])
    python = ("python",) if launcher.adds_python else (command[launcher.count],)
    state = _state(cwd)
    try:
        facts = _answer([*before, *python], cwd, environment)
        there: dict[str, str] = facts["environment"]
        executable, folder = str(facts["executable"]), str(facts["cwd"])
    except (OSError, ValueError, KeyError, TypeError):
        return f"{command[0]} did not say which interpreter it starts"
    removed = sorted({*environment} - {*there} - _SHELLS_OWN)
    if removed:
        return f"{command[0]} removes the variable {removed[0]}"
    if os.path.realpath(folder) != os.path.realpath(cwd) or not os.access(executable, os.X_OK):
        return f"{command[0]} runs the script in another folder"
    try:
        itself = _answer([executable], cwd, there)
        # `uv run` lets Python open more files than the shell does; fewer would be another start.
        opens_as_many = facts["files"][0] >= itself["files"][0]
        opens_as_many &= facts["files"][1] == itself["files"][1]
        is_alike = itself["start"] == facts["start"] and opens_as_many
    except (OSError, ValueError, KeyError, TypeError):
        is_alike = False
    if not is_alike:
        return f"{command[0]} starts Python with other options or limits"
    added = {
        name: value
        for name, value in there.items()
        if environment.get(name) != value and name not in _SHELLS_OWN
    }
    return Launcher(launcher.count, launcher.adds_python, executable, added, state, cwd)


def _answer(python: Sequence[str], cwd: str, environment: Mapping[str, str]) -> dict[str, Any]:
    """Ask the Python that these words start; raise OSError or ValueError without an answer."""
    import subprocess  # noqa: PLC0415 - only for commands with a launcher
    import tempfile  # noqa: PLC0415

    with tempfile.TemporaryFile() as file:
        try:
            subprocess.run(
                [*python, "-c", _QUESTION],
                cwd=cwd,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.DEVNULL,
                timeout=_TIMEOUT,
                check=True,
            )
        except subprocess.SubprocessError as error:
            raise ValueError(str(error)) from error
        file.seek(max(0, file.seek(0, os.SEEK_END) - _MOST_READ))
        answer = file.read(_MOST_READ).decode(errors="replace").rstrip().rpartition("\n")[2]
    facts: dict[str, Any] = json.loads(answer)
    return facts


def _launcher_words(command: Sequence[str]) -> int | None:
    """Return how many words of a command are its launcher's; None for options that are not known.

    >>> _launcher_words(["uv", "run", "--extra", "gpu", "train.py"]), _launcher_words(["python"])
    (4, 0)
    """
    name = os.path.basename(command[0]) if command else ""
    if name == "env":
        count = 1
        while command[count : count + 1] and "=" in command[count]:
            count += 1
        return count
    if name not in _RUNNERS:
        return 0
    if list(command[1:2]) != [_RUNNERS[name]]:
        return None
    count = 2
    while command[count : count + 1] and command[count].startswith("-"):
        option, has_value, _ = command[count].partition("=")
        if option not in _ALONE | _WITH_VALUE:
            return None
        count += 2 if option in _WITH_VALUE and not has_value else 1
    return count


def _state(cwd: str) -> tuple[object, ...]:
    return tuple(map(stamp, _project_files(cwd)))


def _project_files(cwd: str) -> Iterator[str]:
    for folder in (Path(cwd), *Path(cwd).parents):
        yield from (os.path.join(folder, name) for name in _OF_PROJECTS)
