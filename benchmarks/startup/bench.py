"""Measure start-up: `import modeldir` and the most used commands, over bare Python.

python benchmarks/startup/bench.py [--rounds 21] [--quick]
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from side_by_side import Contender, machine, race

from modeldir.experiment import attempts
from modeldir.search.trials import Trials

TRIALS = 64
STDLIB = "import argparse, dataclasses, json, pathlib"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, help="default: 21")
    parser.add_argument("--quick", action="store_true", help="5 rounds")
    arguments = parser.parse_args()
    rounds = arguments.rounds or (5 if arguments.quick else 21)
    with tempfile.TemporaryDirectory() as place:
        _compare(Path(place), rounds)


def _compare(place: Path, rounds: int) -> None:
    python = sys.executable
    uses = "from modeldir import Params, set_logger"
    script = str(Path(python).with_name("modeldir"))
    for folder in ("experiment", "search"):
        (place / folder).mkdir()
        (place / folder / "params.json").write_text('{"learning_rate": 0.1}\n')
    plan = {"space": {"learning_rate": [number / 100 for number in range(1, TRIALS + 1)]}}
    (place / "search" / "search.json").write_text(json.dumps(plan))
    _run_before(place / "search", plan["space"]["learning_rate"])
    contenders = [
        Contender("python -c pass", [python, "-c", "pass"]),
        Contender(STDLIB, [python, "-c", STDLIB]),
        Contender("import modeldir", [python, "-c", "import modeldir"]),
        Contender(uses, [python, "-c", uses]),
        Contender("modeldir --help", [script, "--help"]),
        Contender("modeldir show EXPERIMENT", [script, "show", "experiment"], str(place)),
        Contender(f"modeldir show SEARCH of {TRIALS}", [script, "show", "search"], str(place)),
        Contender("modeldir results SEARCH", [script, "synthesize", "search"], str(place)),
        Contender("modeldir stop SEARCH", [script, "stop", "search"], str(place)),
        Contender("modeldir watch --help", [script, "watch", "--help"]),
        Contender("modeldir search --help", [script, "search", "--help"]),
    ]
    race(contenders, rounds)
    print(f"{rounds} rounds; {machine()}\n")
    print("| | ms | over bare Python, ms | the same in CPU, ms |\n|---|---:|---:|---:|")
    bare = contenders[0]
    for contender in contenders:
        wall, cpu = (
            statistics.median(a - b for a, b in zip(mine, its, strict=True)) * 1000
            for mine, its in ((contender.wall, bare.wall), (contender.cpu, bare.cpu))
        )
        median = statistics.median(contender.wall) * 1000
        print(f"| {contender.name} | {median:.0f} | {wall:.0f} | {cpu:.0f} |")


def _run_before(search: Path, values: list[float]) -> None:
    """Write the trials of a search as a worker leaves them."""
    trials = Trials(search, ("learning_rate",))
    for value in values:
        record = trials.claim({"learning_rate": value}, {"learning_rate": value})
        assert record is not None
        folder = trials.path(record)
        attempt = attempts.begin(folder, 1, {"command": ["true"], "process": None})
        assert attempt is not None
        scores = {"accuracy": 1 - value, "loss": value}
        (folder / "metrics_eval_best_weights.json").write_text(json.dumps(scores))
        attempts.rewrite(attempt, {"status": "completed", "duration": 1.0})


if __name__ == "__main__":
    main()
