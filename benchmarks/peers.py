"""The environment in which the peers are installed: made on first use, kept out of git.

Everything that a benchmark compares runs in it, modeldir too: one interpreter, one set of packages
on the path. What cannot be installed is named with the reason, and the benchmark goes on without.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
PLACE = ROOT / ".venv" / "peers"  # ignored already, and gone with `make clean`
PYTHON = PLACE / "bin" / "python"

_VERSIONS = """\
import importlib.metadata, json, sys
found = {}
for name in sys.argv[1:]:
    try:
        found[name] = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        pass
print(json.dumps(found))
"""


def installed(
    packages: Sequence[str], place: Path = PLACE, constraints: Path | None = None
) -> tuple[dict[str, str], dict[str, str]]:
    """The versions of those packages that are there, and why the others are not.

    Peers that would not go along with the others have a `place` of their own, and `constraints` for
    what they all need in one version.
    """
    python = place / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", place], check=True)
    left_out = {}
    if "modeldir" not in _versions(python, ["modeldir"]):
        problem = _install(python, "--editable", str(ROOT))
        if problem:
            raise SystemExit(f"modeldir itself cannot be installed into {place}: {problem}")
    within = ["--constraint", str(constraints)] if constraints else []
    there = _versions(python, packages)
    for package in packages:
        if package not in there:
            print(f"installing {package} ...", file=sys.stderr)
            left_out[package] = _install(python, *within, package)
    return _versions(python, packages), {name: why for name, why in left_out.items() if why}


def told(versions: dict[str, str], left_out: dict[str, str]) -> str:
    """Both in words, for the first lines of a report."""
    lines = [", ".join(f"{name} {version}" for name, version in versions.items())]
    lines += [f"Not here: {name} ({why})" for name, why in left_out.items()]
    return "\n".join(lines)


def _versions(python: Path, packages: Sequence[str]) -> dict[str, str]:
    done = subprocess.run(
        [python, "-c", _VERSIONS, *packages], check=True, capture_output=True, text=True
    )
    found: dict[str, str] = json.loads(done.stdout)
    return found


def _install(python: Path, *what: str) -> str:
    """What went wrong; nothing if nothing did."""
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    done = subprocess.run([*pip, *what], check=False, capture_output=True, text=True)
    if done.returncode == 0:
        return ""
    said = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
    return (said or done.stderr.splitlines() or [f"pip ended with {done.returncode}"])[-1]
