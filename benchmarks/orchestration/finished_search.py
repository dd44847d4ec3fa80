"""Make a search in which many trials have ended, without running them.

The first trial is run by modeldir. The others are copies of its files with other values, so they
are what modeldir writes today.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

from modeldir.params import plain_values

DOMAIN = "learning_rate=log_uniform:1e-6,1"


def make(folder: Path, ended: int) -> None:
    """Make a search with `count` completed trials, their metrics and their claims."""
    folder.mkdir(parents=True)
    (folder / "params.json").write_text('{\n    "learning_rate": 0.1\n}\n')
    line = [sys.executable, "-m", "modeldir", "search", str(folder), DOMAIN, "--no-check"]
    options = ["--sampler", "random", "--trials", "1", "--", "/bin/true"]
    subprocess.run([*line, *options], check=True, stdout=subprocess.DEVNULL)
    home = folder / ".modeldir" / "trials"
    first = json.loads((home / "000001.json").read_text())
    source = folder / first["name"]
    trial, run = (json.loads((source / f"{name}.json").read_text()) for name in ("trial", "run"))
    (source / "metrics_eval_best_weights.json").write_text('{\n    "accuracy": 0.5\n}\n')
    for number in range(2, ended + 1):
        point = {"learning_rate": 1 / (1 + number)}
        name = f"learning_rate_{number:06d}"
        told = {"number": number, "point": point, "hash": plain_values.canonical_hash(point)}
        path = folder / name
        path.mkdir()
        _write(path / "params.json", point)
        _write(path / "trial.json", {**trial, **told})
        _write(path / "run.json", {**run, "token": f"{number:016x}"})
        _write(path / "metrics_eval_best_weights.json", {"accuracy": 1 / number})
        (path / "console.log").touch()
        claim = {**first, **told, "name": name, "hyperparameters": point, "token": f"{number:016x}"}
        _write(home / f"{number:06d}.json", claim)
        (home / f"{number:06d}.made").touch()


def cut(folder: Path, ended: int) -> None:
    """Remove the trials that were added to the search since."""
    for claim in (folder / ".modeldir" / "trials").glob("*.json"):
        if int(claim.stem) > ended:
            shutil.rmtree(folder / json.loads(claim.read_text())["name"])
            claim.with_suffix(".made").unlink()
            claim.unlink()


def _write(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=4) + "\n")
