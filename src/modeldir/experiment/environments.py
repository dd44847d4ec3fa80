"""Keep the environment that a training run used: Python, packages, lock files, GPUs, the host.

Workers, `modeldir run` and `start()` call `keep`; run files name the result. Each distinct
environment is one file in `.modeldir/environments/` of the search, or of a single experiment. The
rule: nothing is started to learn it, and the interpreter may be another one than this process's.
The code: `code_snapshots`.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from modeldir._system import files, reading
from modeldir.experiment.attempts import HOME

FOLDER = "environments"
_NAME_DASH = "[-_.]+"  # PEP 503: one name, whatever tool made the folder
_NAME_LENGTH = 16
_LOCKS = (
    "uv.lock", "poetry.lock", "pdm.lock", "pylock.toml", "Pipfile.lock", "requirements.txt",
    "environment.yml", "environment.yaml", "conda-lock.yml", "pixi.lock",
)  # fmt: skip
_NVIDIA = "/proc/driver/nvidia"


def keep(program: str | None, project: Path, store: Path) -> str | None:
    """Write down the environment of a program, once; return the name of its file without `.json`.

    A training run is more important than this record, so it raises nothing.

    Args:
        program: the path of the interpreter; None for that of this process.
        project: the folder with the lock files.
        store: the folder of the search, or of a single experiment.

    Returns:
        16 hex digits, or None where nothing could be written.
    """
    data = files.to_json(environment(program, project)).encode()
    name = hashlib.sha256(data).hexdigest()[:_NAME_LENGTH]
    folder = store / HOME / FOLDER
    with contextlib.suppress(OSError):
        if not (folder / f"{name}.json").is_file():
            folder.mkdir(parents=True, exist_ok=True)
            files.write_bytes(folder / f"{name}.json", data)
        return name
    return None


def environment(program: str | None, project: Path) -> dict[str, Any]:
    """Return what a program's environment is, as the file keeps it."""
    executable = program or sys.executable
    prefix = _prefix(executable, project)
    is_ours = os.path.realpath(prefix) == os.path.realpath(sys.prefix)
    return {
        "executable": executable,
        "python": platform.python_version() if is_ours else _version(prefix, executable),
        "packages": packages(prefix),
        "locks": dict(_locks(project)),
        "platform": platform.platform(),
        "host": platform.node(),
        "cpu": _cpu(),
        "gpu_driver": _gpu_driver(),
        "gpus": _gpus(),
    }


def _prefix(executable: str, project: Path) -> str:
    """Return the environment of an interpreter, or that which a launcher such as uv would use."""
    if not os.path.basename(executable).startswith("python"):
        return str(project / ".venv")
    above = os.path.dirname(os.path.dirname(os.path.abspath(executable)))
    if os.path.isfile(os.path.join(above, "pyvenv.cfg")) or any(_site_packages(above)):
        return above
    return os.path.dirname(os.path.dirname(os.path.realpath(executable)))


def _version(prefix: str, executable: str) -> str | None:
    text = (reading.read_bytes(os.path.join(prefix, "pyvenv.cfg")) or b"").decode(errors="replace")
    found = re.search(r"^version(?:_info)?\s*=\s*(\d+\.\d+\.\d+)", text, re.MULTILINE)
    named = re.search(r"python(\d+\.\d+)", os.path.basename(os.path.realpath(executable)))
    return found[1] if found else named[1] if named else None


def packages(prefix: str = sys.prefix) -> dict[str, str]:
    """Return the versions of the packages that are installed in an environment, by name."""
    found: dict[str, str] = {}
    for folder in _site_packages(prefix):
        with contextlib.suppress(OSError):
            for name in os.listdir(folder):
                stem, dot, suffix = name.rpartition(".")
                if dot and suffix in {"dist-info", "egg-info"} and "-" in stem:
                    package, _, version = stem.partition("-")
                    found[re.sub(_NAME_DASH, "-", package).lower()] = version
    return dict(sorted(found.items()))


def _site_packages(prefix: str) -> Iterator[str]:
    library = os.path.join(prefix, "lib")
    with contextlib.suppress(OSError):
        for name in sorted(os.listdir(library)):
            for packages_in in ("site-packages", "dist-packages"):  # the latter on Debian
                folder = os.path.join(library, name, packages_in)
                if name.startswith("python") and os.path.isdir(folder):
                    yield folder


def _locks(project: Path) -> Iterator[tuple[str, str]]:
    for name in _LOCKS:
        data = reading.read_bytes(project / name, reading.TEXT)
        if data is not None:
            yield name, hashlib.sha256(data).hexdigest()


def _cpu() -> str | None:
    text = (reading.read_bytes("/proc/cpuinfo") or b"").decode(errors="replace")
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return found[1].strip() if found else platform.processor() or None


def _gpu_driver() -> str | None:
    text = (reading.read_bytes(f"{_NVIDIA}/version") or b"").decode(errors="replace")
    found = re.search(r"\b(\d+\.\d+(?:\.\d+)?)\b", text)
    return found[1] if found else None


def _gpus() -> list[str]:
    """Return the models of the NVIDIA GPUs, which the driver lists as files."""
    found: list[str] = []
    with contextlib.suppress(OSError):
        for name in sorted(os.listdir(f"{_NVIDIA}/gpus")):
            data = reading.read_bytes(f"{_NVIDIA}/gpus/{name}/information") or b""
            model = re.search(r"^Model:\s*(.+)$", data.decode(errors="replace"), re.MULTILINE)
            found += [model[1].strip()] if model else []
    return found
