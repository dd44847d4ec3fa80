"""`modeldir init PROJECT`: copy a template project (`templates/`)."""

from __future__ import annotations

import argparse
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from modeldir._system.shell import quoted, quoted_line
from modeldir.commands import templates

if TYPE_CHECKING:
    from modeldir.commands import json_types

HELP = "Make a project to start from: scripts and data to train, search, compare and evaluate."
EXAMPLE = "modeldir init my_project --template vision"
JSON = True

_NAME = re.compile(r"[\w.-]+")


def configure(parser: argparse.ArgumentParser) -> None:
    parser.usage = "modeldir init PROJECT [--template NAME] [--json]"
    parser.add_argument("project", metavar="PROJECT", help="the folder to make")
    templates.add_option(parser)


def run(arguments: argparse.Namespace) -> int:
    made = templates.copy(arguments.template, arguments.project)
    if arguments.json:
        from modeldir.commands.json_output import print_json  # noqa: PLC0415 - only with --json

        document: json_types.Init = {
            "path": arguments.project,
            "template": arguments.template,
            "files": len(made),
            "missing": missing_packages(arguments.template),
        }
        print_json(document)
        return 0
    print(next_steps(Path(arguments.project), arguments.template, len(made)))
    return 0


def next_steps(project: Path, template: str, count: int) -> str:
    lines = [f"{project}: {count} files, from the template {template!r}", "next:"]
    if os.path.abspath(project) != os.getcwd():
        lines.append(f"  cd {quoted(project)}")
    missing = missing_packages(template)
    if missing:
        lines.append(f"  python -m pip install {quoted_line(missing)}")
    lines += [
        "  python train.py --data_dir data --model_dir experiments/base_model",
        "  python search_hyperparams.py --data_dir data --parent_dir experiments/learning_rate",
        "  python synthesize_results.py --parent_dir experiments/learning_rate",
        "  python evaluate.py --data_dir data --model_dir experiments/base_model",
        "README.md there explains each step.",
    ]
    return "\n".join(lines)


def requirements_file(template: str) -> Path:
    return Path(templates.__file__).with_name(template) / "requirements.txt"


def missing_packages(template: str) -> list[str]:
    """Return a template's requirements that are not installed, as pip takes them.

    Packages are only looked up by name, not imported: importing PyTorch takes seconds.
    """
    from importlib.util import find_spec  # noqa: PLC0415 - slow to import

    missing = []
    for line in requirements_file(template).read_text(encoding="utf-8").splitlines():
        name = _NAME.match(line)
        if name and find_spec(name[0].replace("-", "_")) is None:
            missing.append(line.strip())
    return missing
