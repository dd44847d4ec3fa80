"""Measure what hyperparameters cost: read, load, save, import; beside other ways to hold them.

python benchmarks/params/bench.py [--rounds 9] [--folders 10000]
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
import peers
from side_by_side import Contender, machine, race

PACKAGES = ("ml_collections", "omegaconf")
IMPORTS = {
    "python -c pass": "pass",
    "import json": "import json",
    "from modeldir import Params": "from modeldir import Params",
    "from ml_collections import ConfigDict": "from ml_collections import ConfigDict",
    "from omegaconf import OmegaConf": "from omegaconf import OmegaConf",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--folders", type=int, default=10_000)
    parser.add_argument("--quick", action="store_true", help="a minute: few rounds, 200 folders")
    arguments = parser.parse_args()
    arguments.rounds = arguments.rounds or (3 if arguments.quick else 9)
    arguments.folders = 200 if arguments.quick else arguments.folders
    versions, left_out = peers.installed(PACKAGES)
    print(f"{arguments.rounds} rounds; {machine()}\n{peers.told(versions, left_out)}\n", flush=True)
    measure = str(Path(__file__).with_name("measure.py"))
    command = [peers.PYTHON, measure, str(arguments.rounds), str(arguments.folders)]
    subprocess.run(command, check=True)
    imports = [
        Contender(name, [str(peers.PYTHON), "-c", statement])
        for name, statement in IMPORTS.items()
        if not any(package in statement for package in left_out)
    ]
    race(imports, arguments.rounds)
    print("\n| | ms | over bare Python, ms |\n|---|---:|---:|")
    for contender in imports:
        pairs = zip(contender.wall, imports[0].wall, strict=True)
        over = statistics.median(ours - bare for ours, bare in pairs)
        median = statistics.median(contender.wall)
        print(f"| `{contender.name}` | {median * 1000:.0f} | {over * 1000:.0f} |")


if __name__ == "__main__":
    main()
