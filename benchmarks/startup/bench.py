"""Start-up: `import modeldir` and `modeldir --help`, over bare Python.

python benchmarks/startup/bench.py [--rounds 21]
"""

from __future__ import annotations

import argparse
import statistics
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from side_by_side import Contender, machine, race


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=21)
    rounds = parser.parse_args().rounds
    python = sys.executable
    uses = "from modeldir import Params, set_logger"
    script = str(Path(python).with_name("modeldir"))
    contenders = [
        Contender("python -c pass", [python, "-c", "pass"]),
        Contender("import modeldir", [python, "-c", "import modeldir"]),
        Contender(uses, [python, "-c", uses]),
        Contender("modeldir --help", [script, "--help"]),
        Contender("modeldir search --help", [script, "search", "--help"]),
    ]
    race(contenders, rounds)
    print(f"{rounds} rounds; {machine()}\n\n| | ms | over bare Python, ms |\n|---|---:|---:|")
    bare = contenders[0].wall
    for contender in contenders:
        over = statistics.median(a - b for a, b in zip(contender.wall, bare, strict=True))
        median = statistics.median(contender.wall)
        print(f"| {contender.name} | {median * 1000:.0f} | {over * 1000:.0f} |")


if __name__ == "__main__":
    main()
