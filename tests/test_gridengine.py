"""`--on command` on a real GridEngine: a job manager that nobody had in mind when it was written.

Where it is not installed these are skipped with a visible line; where MODELDIR_ENGINES names it, as
in `.ci/run`, its absence is a failure.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from modeldir.launchers import Launcher
from modeldir.launchers.command import CommandLauncher
from modeldir.testing import LauncherContract

OPTIONS = {
    "submit": "qsub -terse -b y -shell n -V -cwd -j y -o {output} -N m{token} {worker}",
    "status": "qstat",
    "cancel": "qdel {job}",
}


class TestGridEngine(LauncherContract):
    """By the line of docs/launchers.md."""

    def make(self, search: Path) -> Launcher:
        return CommandLauncher(search, OPTIONS)
