"""An environment with a library that is worth to be imported once for all trials.

`heavy` has eighty modules. What else may happen at an import has a module of its own there:
`threaded`, `printing`, `hanging` (its forks hang), `crashing` (it knows whether it was forked),
`jax` (a library that must not be forked), `tidying` (it takes down at its end what it made),
`reading` (it reads how many threads to use, and how they wait, when it is loaded).
"""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import textwrap
from pathlib import Path

import modeldir

MODULES = 80

_ODD = {
    "threaded": """\
        import threading, time
        threading.Thread(target=time.sleep, args=(1000,), daemon=True, name="keeper").start()
        """,
    "printing": "print('printing 1.0 says hello')",
    "hanging": """\
        import os, sys, time
        if "modeldir.worker.spawner" in sys.modules:  # ahead of the trials
            os.register_at_fork(after_in_child=lambda: time.sleep(1000))
        """,
    "crashing": """\
        import os, sys
        IS_FORKED = "modeldir.worker.spawner" in sys.modules  # ahead of the trials
        """,
    "jax": "",
    "reading": """\
        import os
        NAMES = "OMP_WAIT_POLICY", "OMP_NUM_THREADS"
        LOADED_UNDER = [os.environ.get(name) for name in NAMES]
        """,
    "tidying": """\
        import tempfile
        FOLDER = tempfile.TemporaryDirectory()
        """,
}


def environment_with_libraries(folder: Path) -> str:
    """The interpreter of a new environment, in which this project and its libraries are too."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    python = folder / "bin" / "python"
    site = site_of(folder)
    ours = Path(modeldir.__file__).parents[1]
    (site / "ours.pth").write_text(f"{ours}\n{sysconfig.get_path('purelib')}\n")
    heavy = site / "heavy"
    heavy.mkdir()
    names = [f"part{number}" for number in range(MODULES)]
    for name in names:
        (heavy / f"{name}.py").write_text(f"NAME = {name!r}\n")
    (heavy / "__init__.py").write_text("".join(f"from heavy import {name}\n" for name in names))
    for name, code in _ODD.items():
        (site / f"{name}.py").write_text(textwrap.dedent(code))
    return str(python)


def site_of(folder: Path) -> Path:
    """Where an environment's libraries lie."""
    return next((folder / "lib").glob("python3*/site-packages"))
