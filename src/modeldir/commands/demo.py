"""`modeldir demo`: show everything in a minute, with the commands that a user would type.

A step that is done already is skipped, so an interrupted demo continues.
"""

from __future__ import annotations

import argparse
import itertools
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from modeldir._system import files, reading
from modeldir._system.shell import quoted, quoted_line
from modeldir.commands import templates
from modeldir.commands.init import missing_packages, requirements_file
from modeldir.errors import ModeldirError, did_you_mean
from modeldir.experiment import attempts, experiment

HELP = "Train, search and compare on real handwritten digits. Run it again to resume."
EXAMPLE = "modeldir demo"

_FOLDERS = {"minimal": "modeldir_demo", "vision": "modeldir_demo_vision"}
_BASE, _GRID, _RANDOM = (f"experiments/{n}" for n in ("base_model", "learning_rate", "random"))
_TRAIN = ("--", "python", "train.py", "--data_dir", "data")
_DOMAINS = {
    "minimal": (
        "learning_rate=log_uniform:0.0005,0.1",
        "hidden_units=log_int:16,256",
        "batch_size=16,32,64,128",
    ),
    "vision": (
        "learning_rate=log_uniform:0.0001,0.01",
        "num_channels=log_int:8,64",
        "batch_size=16,32,64,128",
    ),
}


@dataclass(frozen=True)
class Step:
    """One step of the demo: why, and the command to type. Without a command it is done already."""

    why: str
    words: tuple[str, ...] = ()


def configure(parser: argparse.ArgumentParser) -> None:
    parser.usage = "modeldir demo [DIR] [--template NAME]"
    parser.add_argument(
        "dir",
        nargs="?",
        metavar="DIR",
        help=f"the folder to make (default: {' or '.join(_FOLDERS.values())})",
    )
    templates.add_option(parser)


def run(arguments: argparse.Namespace) -> int:
    """Do each step that is not done yet; returns the exit code of the first that fails."""
    template: str = arguments.template
    _check_requirements(template)
    project = Path(arguments.dir or _FOLDERS[template])
    _check_folder(project, template)
    code = _do(_setting_up(project, template), Path.cwd())
    if code == 0:
        print(f"\n$ cd {quoted(project)}")
        code = _do(_steps(project, template), project)
    print("\n" + (next_steps(project) if code == 0 else _stopped(project, template)), flush=True)
    return code


def _check_requirements(template: str) -> None:
    if template not in _DOMAINS:
        hint = did_you_mean(template, list(_DOMAINS)) or "known: " + ", ".join(_DOMAINS)
        raise ModeldirError(f"no demo of {template!r}", [(hint, None)])
    missing = missing_packages(template)
    if missing:
        install = quoted_line([sys.executable, "-m", "pip", "install", *missing])
        raise ModeldirError(f"The demo needs {', '.join(missing)}:", [(install, None)])


def _check_folder(project: Path, template: str) -> None:
    """Refuse a folder that holds something else, e.g. the demo of an older version."""
    if project.is_dir() and os.listdir(project) and not _is_made(project, template):
        anew = f"start the demo in a new folder: {_line(_free(project), template)}"
        raise ModeldirError(
            f"{project} is not empty and holds no demo of this version of modeldir:", [(anew, None)]
        )


def _setting_up(project: Path, template: str) -> Iterator[Step]:
    if _is_made(project, template):
        yield Step(f"{project} exists: resuming the demo")
    else:
        words = ("modeldir", "init", str(project), "--template", template)
        yield Step("A project to start from, with 1,797 real images of handwritten digits:", words)


def _is_made(project: Path, template: str) -> bool:
    ours = requirements_file(template).read_bytes()
    there = reading.read_bytes(project / "requirements.txt")
    return there == ours and (project / "train.py").is_file()


def _steps(project: Path, template: str) -> Iterator[Step]:
    """Yield the commands to type in the project; each is made when those before it are done."""
    if experiment.status(project / _BASE).state == attempts.COMPLETED:
        yield Step(f"The base model is trained: {_BASE}")
    else:
        yield Step("Train the base model:", ("modeldir", "run", _BASE, *_TRAIN))
    grid = ("modeldir", "search", _GRID, "learning_rate=0.1,0.01,0.001", "-j", "2", *_TRAIN)
    yield Step("Search its learning rate, two trials side by side:", grid)
    if experiment.params_file(project / _RANDOM) is None:
        new = ("modeldir", "new", _RANDOM, "--from", _BASE, "-m", "what matters most?")
        yield Step("A folder for a wider search, with the base model's hyperparameters:", new)
    wide = ("--sampler", "random", "--trials", "30", "--seed", "230", "-j", "2")
    search = ("modeldir", "search", _RANDOM, *_DOMAINS[template], *wide, *_TRAIN)
    yield Step("30 trials at random, over learning rate, width and batch size:", search)
    yield Step("The three learning rates, compared:", ("modeldir", "results", _GRID))
    yield Step("The 30 random trials, compared:", ("modeldir", "results", _RANDOM))


def _do(steps: Iterator[Step], folder: Path) -> int:
    for step in steps:
        print(f"\n{step.why}", flush=True)
        if step.words:
            print(f"$ {quoted_line(step.words)}", flush=True)
            code = _call(with_this_python(step.words), folder)
            if code != 0:
                return code
    return 0


def with_this_python(words: Sequence[str]) -> list[str]:
    """Return a command line that uses this Python, even if its environment is not active.

    >>> with_this_python(["modeldir", "--help"])[1:]
    ['-m', 'modeldir', '--help']
    """
    ours = {"modeldir": [sys.executable, "-m", "modeldir"], "python": [sys.executable]}
    line: list[str] = []
    for place, word in enumerate(words):
        is_program = place == 0 or words[place - 1] == "--"
        line += ours.get(word, [word]) if is_program else [word]
    return line


def _call(words: Sequence[str], folder: Path) -> int:
    process = subprocess.Popen(words, cwd=folder)
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            continue  # the command gets Ctrl-C too, and ends by itself


def next_steps(project: Path) -> str:
    lines = [
        f"Everything lies in {files.absolute(project)}:",
        f"  {_BASE:<27}the base model: params.json, train.log, metrics, weights",
        f"  {_GRID:<27}one folder per learning rate, and the table: results.md, results.csv",
        f"  {_RANDOM:<27}the same for the 30 random trials",
        "next:",
        *_activation(),
        f"  cd {quoted(project)}",
        f"  python evaluate.py --data_dir data --model_dir $(modeldir best {_RANDOM})",
        f"  modeldir show {_RANDOM}",
    ]
    return "\n".join(lines)


def _activation() -> list[str]:
    import shutil  # noqa: PLC0415 - once, at the end

    here = os.path.dirname(sys.executable)
    script = os.path.join(here, "activate")
    found = shutil.which("modeldir")
    if not os.path.exists(script) or (found and os.path.dirname(os.path.abspath(found)) == here):
        return []
    return [f"  source {quoted(script)}"]


def _stopped(project: Path, template: str) -> str:
    lines = [
        "The demo stopped there. To resume:",
        *_activation(),
        f"  {_line(project, template)}",
        "If it stops there again, start the demo in a new folder:",
        f"  {_line(_free(project), template)}",
    ]
    return "\n".join(lines)


def _line(project: Path, template: str) -> str:
    """Return the command that makes or resumes a demo in this folder."""
    words = ["modeldir", "demo"]
    if str(project) != _FOLDERS[template]:
        words.append(str(project))
    if template != "minimal":
        words += ["--template", template]
    return quoted_line(words)


def _free(project: Path) -> Path:
    """Return the folder with the first number after its name that is not taken."""
    whole = project.absolute().resolve() if project.name in {"", ".."} else project
    numbered = (Path(f"{whole}_{number}") for number in itertools.count(2))
    return next(path for path in numbered if not os.path.lexists(path))
