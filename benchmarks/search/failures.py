"""Count how many trials a sampler wastes on configurations that run out of memory.

    python benchmarks/search/failures.py [SAMPLER ...]

Two hyperparameters: above width 200 the memory does not suffice, and larger is better. "told" is
what modeldir does; "not told" gives each failure a class that teaches nothing.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from typing import Any

from modeldir import samplers
from modeldir.samplers import Observation

LR = {"log_uniform": [1e-5, 1e-1]}
SPACES = {
    "linear width": {"width": {"int": [8, 1024]}, "lr": LR},
    "log width": {"width": {"log_int": [8, 1024]}, "lr": LR},
}
TRIALS, SEEDS = 40, 8


def score(values: Mapping[str, Any]) -> float | None:
    """Return the metric, at most 0.2; None if the trial runs out of memory."""
    if values["width"] > 200:
        return None
    distance = (math.log10(values["lr"]) + 3) / 1.5
    return float(values["width"] / 1000 * math.exp(-(distance**2)))


def search(name: str, space: Mapping[str, Any], seed: int, failure: str) -> tuple[int, float]:
    """Return how many trials failed, and the best value."""
    sampler = samplers.make(name, space, seed, (("accuracy", "maximize"),))
    failed, best = 0, 0.0
    for number in range(1, TRIALS + 1):
        proposal = sampler.ask(number)
        if proposal is None:
            break
        value, values = score(proposal.configuration), proposal.configuration
        notes = proposal.notes
        if value is None:
            failed += 1
            sampler.tell(Observation(number, values, "failed", {}, notes, failure))
        else:
            best = max(best, value)
            sampler.tell(Observation(number, values, "completed", {"accuracy": value}, notes))
    return failed, best


def main(names: list[str]) -> None:
    for label, space in SPACES.items():
        for name in names:
            for told, failure in (("not told", "error"), ("told", "out-of-memory")):
                found = [search(name, space, seed, failure) for seed in range(SEEDS)]
                failures = sum(each[0] for each in found) / SEEDS
                best = sum(each[1] for each in found) / SEEDS
                print(f"{label:<13} {name:<6} {told:<9} failures {failures:5.1f}  best {best:.3f}")


if __name__ == "__main__":
    main(sys.argv[1:] or ["random", "tpe"])
