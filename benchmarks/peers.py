"""Install the tools that modeldir is compared with, each into an environment of benchmarks.

    python benchmarks/peers.py [ENVIRONMENT ...]

installs all of them now, which takes minutes. Otherwise a benchmark installs its own when it is
first run with peers. The environments are in `.venv`, or in the folder that `MODELDIR_PEERS` names,
which several checkouts can share; modeldir itself is then installed from the checkout that runs.
The versions are those of `peers.txt`. A package that cannot be installed is named with the reason,
and the benchmark runs without it.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
HOME = Path(os.environ.get("MODELDIR_PEERS") or ROOT / ".venv").resolve()
PLACE = HOME / "peers"  # in `.venv` ignored already, and gone with `make clean`
PYTHON = PLACE / "bin" / "python"

ENVIRONMENTS = {
    "peers": ("loguru", "wandb", "sacred", "clearml", "tqdm", "ml_collections", "omegaconf",
              "hiplot", "plotly"),
    "peers-trials": ("optuna", "hydra-core", "hydra-joblib-launcher", "submitit", "syne-tune",
                     "ray[tune]"),
    "peers-guild": ("guildai",),
    "peers-orion": ("orion", "typing_extensions"),  # which it needs, and does not ask for
    "peers-metrics": ("orjson", "torch", "tensorboard", "tensorboardX", "trackio", "aim", "wandb",
                      "mlflow"),
}  # fmt: skip
"""Those that do not go along with each other have one of their own. `search/` has its own, too."""

_VERSIONS = """\
import importlib.metadata, json, sys
found = {}
for name in sys.argv[1:]:
    try:
        there = importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        continue
    source = json.loads(there.read_text("direct_url.json") or "{}")
    found[name] = source["url"] if "dir_info" in source else there.version
print(json.dumps(found))
"""


def main() -> None:
    for name in sys.argv[1:] or ENVIRONMENTS:
        versions, left_out = installed(ENVIRONMENTS[name], HOME / name, ours=name == PLACE.name)
        print(f"{HOME / name}: {told(versions, left_out)}", flush=True)


def installed(
    packages: Sequence[str],
    place: Path = PLACE,
    constraints: Path | None = None,
    *,
    ours: bool = True,
) -> tuple[dict[str, str], dict[str, str]]:
    """Install packages. Return the versions that are installed, and why others are not.

    Peers that conflict with others have a `place` of their own. `constraints` replaces `peers.txt`.
    With `ours`, modeldir is installed too. A package may have extras; its bare name is the key.
    """
    python = place / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", place], check=True)
    left_out = {}
    if ours and _versions(python, ["modeldir"]).get("modeldir") != ROOT.as_uri():
        problem = _install(python, "--editable", str(ROOT))
        if problem:
            raise SystemExit(f"modeldir itself cannot be installed into {place}: {problem}")
    within = [f"--constraint={constraints}"] if constraints else []
    known = {} if constraints else _compared()
    bare = {package: package.partition("[")[0] for package in packages}
    there = _versions(python, [*bare.values()])
    for package, name in bare.items():
        if name not in there:
            print(f"installing {package} ...", file=sys.stderr)
            left_out[name] = _install(python, *within, package + known.get(name, ""))
    return _versions(python, [*bare.values()]), {name: why for name, why in left_out.items() if why}


def told(versions: dict[str, str], left_out: dict[str, str]) -> str:
    """Return both as text for the first lines of a report."""
    lines = [", ".join(f"{name} {version}" for name, version in versions.items())]
    lines += [f"Not here: {name} ({why})" for name, why in left_out.items()]
    return "\n".join(lines)


def _compared() -> dict[str, str]:
    """Return the versions of the packages that were asked for, without their dependencies."""
    lines = Path(__file__).with_name("peers.txt").read_text().splitlines()
    parts = (line.partition("==") for line in lines if not line.startswith("#"))
    return {name: f"=={version}" for name, _, version in parts}


def _versions(python: Path, packages: Sequence[str]) -> dict[str, str]:
    done = subprocess.run(
        [python, "-c", _VERSIONS, *packages], check=True, capture_output=True, text=True
    )
    found: dict[str, str] = json.loads(done.stdout)
    return found


def _install(python: Path, *what: str) -> str:
    """Install packages. Return the error, or an empty string."""
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    done = subprocess.run([*pip, *what], check=False, capture_output=True, text=True)
    if done.returncode == 0:
        return ""
    said = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
    last = (said or done.stderr.splitlines() or [f"pip ended with {done.returncode}"])[-1]
    return re.sub(r"\w+://\S+", "...", last)  # where from is this machine's own


if __name__ == "__main__":
    main()
