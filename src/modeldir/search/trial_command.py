"""The command that runs a trial: checked before anything starts, then filled in for each trial.

`PlanFile` and `modeldir run` call `check_command` and `fill`. Which arguments make a trial resume:
`inherited_weights.py`; placeholders: `placeholders.py`.
"""

from __future__ import annotations

import functools
import os
import shlex
import sys
from collections.abc import Container, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from modeldir._system import programs, reading
from modeldir._system.shell import no_option, quoted, quoted_line
from modeldir.errors import NOTHING_STARTED, CommandError
from modeldir.search import placeholders

_SUBMITTERS = frozenset({"sbatch", "qsub", "bsub", "msub", "condor_submit", "oarsub", "ccc_msub"})


def check_command(
    command: str, hyperparameters: Mapping[str, Any], cwd: Path, varied: Iterable[str] = ()
) -> None:
    """Refuse a command that cannot run a trial, or that does not pass what is `varied`."""
    words = words_of(command)
    program = os.path.basename(words[0])
    if program in _SUBMITTERS:
        raise CommandError(_only_submits(program), state=NOTHING_STARTED)
    problems = [*_wrong_program(words, cwd), *_wrong_script(words, cwd)]
    problems += placeholders.problems(words, hyperparameters)
    problems = problems or placeholders.not_passed(command, varied)
    if problems:
        raise CommandError("The command cannot start:", problems)


@functools.lru_cache(maxsize=8)  # a search asks for the same one at each trial
def words_of(command: str) -> tuple[str, ...]:
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise CommandError(
            f"The command {command!r} cannot be read:", [(str(error).lower(), None)]
        ) from error
    if not words:
        raise CommandError("The command is empty\n  modeldir search DIR -- python train.py")
    return tuple(words)


def _wrong_program(words: Sequence[str], cwd: Path) -> list[tuple[str, str | None]]:
    program = words[0]
    by_python = None
    if program.endswith(".py") and (cwd / program).is_file():
        line = quoted_line(["python", *words])
        by_python = f"start a Python script with python: {line}"
    if os.path.dirname(program):  # a path, seen from where it will run
        if os.access(cwd / program, os.X_OK):
            return []
        there = (cwd / program).exists()
        hint = f"chmod +x {quoted(program)}" if there else f"no such file in {cwd}"
        return [(f"{program} cannot be executed", by_python or hint)]
    if programs.find_program(program) is not None:
        return []
    hint = "is it installed, and is the environment active?"
    if (cwd / program).exists():
        hint = by_python or f"start a script in this folder as ./{program}"
    elif program == "python" and programs.find_program("python3"):
        hint = f"use python3: {quoted_line(['python3', *words[1:]])}"
    return [(f"no program {program!r}", hint)]


def _wrong_script(words: Sequence[str], cwd: Path) -> list[tuple[str, str | None]]:
    script = next((word for word in words[1:] if word.endswith(".py")), None)
    is_python = os.path.basename(words[0]).startswith("python")
    if script is None or not is_python or placeholders.are_in(script) or (cwd / script).exists():
        return []
    there = ", ".join(sorted(path.name for path in cwd.glob("*.py")))
    hint = (
        f"scripts there: {there}" if there else "first change to the project's folder: cd PROJECT"
    )
    return [(f"{script} is not in {cwd}", hint)]


def program_of(command: str) -> str | None:
    """Find the program that a command starts on PATH; with it the environment may change."""
    return programs.find_program(words_of(command)[0])


def other_python(command: str, cwd: Path) -> str | None:
    """Return a warning where `python` is not the environment that modeldir is installed in.

    Only for a script that mentions modeldir: others need not find it.
    """
    words, program = words_of(command), program_of(command)
    script = next((word for word in words[1:] if word.endswith(".py")), None)
    if script is None or program is None or not os.path.basename(program).startswith("python"):
        return None
    # By folder, not through links: an environment's python is a link to the system's.
    if os.path.dirname(program) == os.path.dirname(sys.executable):
        return None
    if b"modeldir" not in (reading.read_bytes(cwd / script) or b""):
        return None
    return (
        f"note: {words[0]} is {program}, but modeldir uses {sys.executable}\n"
        "  if the script's imports fail, activate the environment first"
    )


def _only_submits(program: str) -> str:
    where = "--on slurm --workers 8"
    if program != "sbatch":
        where = f"--on command --submit '{program} ... {{worker}}' --workers 8"
    return (
        f"{program} only submits a job and returns: each trial would look completed at once.\n"
        "Let the jobs be workers, which run trials one after another:\n"
        f"  modeldir search DIR {where} -- python train.py"
    )


def from_elsewhere(words: Sequence[str], project: Path) -> tuple[str, ...]:
    """Return a command for another working folder: the program and the script by their full path.

    >>> from_elsewhere(("./go", "--epochs", "3"), Path("/project"))
    ('/project/go', '--epochs', '3')
    """
    found = list(words)
    if os.path.dirname(found[0]):
        found[0] = os.path.normpath(os.path.join(project, found[0]))
    script = next((at for at, word in enumerate(found) if word.endswith((".py", ".sh")) and at), 0)
    if script and (project / found[script]).is_file():
        found[script] = os.path.normpath(os.path.join(project, found[script]))
    return tuple(found)


def relative_paths(words: Sequence[str], project: Path) -> list[str]:
    """Return the words that name a file or folder of the project, but not from elsewhere."""
    values = (word.partition("=")[2] or word for word in from_elsewhere(words, project)[1:])
    return [each for each in values if not os.path.isabs(each) and (project / each).exists()]


def fill(
    command: str,
    hyperparameters: Mapping[str, Any],
    model_dir: str,
    inactive: Container[str] = (),
    project: str = "",
) -> tuple[str, ...]:
    """Return the words of a trial's command: placeholders filled, or `--model_dir DIR` added.

    `{flags}` leaves out the `inactive` hyperparameters, and `{project}` is a folder.

    >>> fill("python train.py", {"lr": 0.1}, "experiments/a b")
    ('python', 'train.py', '--model_dir', 'experiments/a b')
    >>> fill("python train.py --lr={lr}", {"lr": 0.1}, "experiments/a")
    ('python', 'train.py', '--lr=0.1')
    >>> fill("python train.py {flags}", {"lr": 0.1, "amp": True}, "experiments/a")
    ('python', 'train.py', '--lr', '0.1', '--amp')
    """
    words, model_dir = words_of(command), no_option(model_dir)
    if not placeholders.are_in(command):
        if "{" in command:  # `{project}` or `{{lr}}`
            words = placeholders.filled(words, {}, model_dir, project=project)
        return (*words, "--model_dir", model_dir)
    return placeholders.filled(words, hyperparameters, model_dir, inactive, project)
