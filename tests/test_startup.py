"""Processes that are started often import little: the CLI's help, the spawner, the log writer.

`pyproject.toml` has the import contracts for the same modules. They see all imports, these tests
only those that a process really makes, the standard library's own included.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

_HEAVY = {
    "argparse", "asyncio", "cmaes", "concurrent.futures", "csv", "datetime", "email", "http",
    "logging", "multiprocessing", "numpy", "optuna", "pandas", "pydantic", "ruamel", "scipy",
    "sqlite3", "subprocess", "tomlkit", "torch", "tqdm", "unittest", "uuid", "xml", "zipfile",
}  # fmt: skip
"""Modules that are slow to import: none of these processes needs one."""
_ABOVE = {
    "modeldir.commands", "modeldir.exchange", "modeldir.launchers", "modeldir.monitor",
    "modeldir.results", "modeldir.samplers", "modeldir.search", "modeldir.testing",
}  # fmt: skip
"""Packages of modeldir that only a command may need."""


def imported_by(code: str) -> set[str]:
    """Return the modules that an interpreter has loaded after running `code`."""
    code += "; import sys; print(*sys.modules, file=sys.stderr)"
    command = [sys.executable, "-S", "-c", f"import sys; sys.path[:] = {sys.path}; {code}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return set(done.stderr.split())


@pytest.mark.parametrize(
    ("code", "forbidden"),
    [
        (
            "import modeldir.worker.spawner",
            _ABOVE | {"modeldir.params", "modeldir.pruners", "modeldir.worker.preload"},
        ),
        (
            "import modeldir.worker.preload.spawner",
            _ABOVE
            | {"modeldir.params", "modeldir.worker.worker", "modeldir.worker.preload.policy"},
        ),
        (
            "import modeldir.logs.capture.log_writer",
            _ABOVE
            | {"modeldir.errors", "modeldir.experiment", "modeldir.metrics", "modeldir.params"}
            | {"dataclasses", "inspect", "pathlib", "threading", "typing"},
        ),
        (
            "from modeldir.commands import main; main(['--help'])",
            _ABOVE - {"modeldir.commands"}
            | {"modeldir.worker", "modeldir.params", "modeldir.experiment", "dataclasses"}
            | {"inspect", "json", "pathlib", "socket", "typing"},
        ),
        ("import modeldir", _ABOVE | {"modeldir.worker", "json", "pathlib", "typing"}),
    ],
    ids=["spawner", "preload spawner", "log writer", "modeldir --help", "import modeldir"],
)
def test_a_process_that_is_started_often_imports_nothing_heavy(
    code: str, forbidden: set[str]
) -> None:
    """Each of them starts within milliseconds, and a fork of it copies few pages."""
    imported = imported_by(code)
    assert "modeldir" in imported
    assert not (_HEAVY | forbidden) & imported
