"""Read the results: JSON lines, one per run, in `results/`.

They are committed, so that the tables can be made again without running anything.
"""

from __future__ import annotations

import dataclasses
import json
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from protocol import Run
from simulate import Found

PLACE = Path(__file__).with_name("results")


@dataclass(frozen=True)
class Result:
    """A run, what it found, and the task's best and median value."""

    run: Run
    found: Found
    scale: tuple[float, float]
    version: str
    chosen: str | None

    def at(self, spent: int) -> float:
        """Return the worth of what it had after this many epochs (trials, if each is one epoch)."""
        value = math.nan
        for when, found in self.found.curve:
            if when > spent:
                break
            value = found
        return value


def read(place: Path) -> dict[Run, Result]:
    """Return all results of a file; none if there is no file. A torn last line is ignored."""
    if not place.exists():
        return {}
    found: dict[Run, Result] = {}
    for line in place.read_text(encoding="utf-8").splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            continue
        result = of(row)
        found[result.run] = result
    return found


def of(row: dict[str, Any]) -> Result:
    """Return the result of a line."""
    best, median = (math.nan if number is None else number for number in row["scale"])
    run = Run(**{field.name: row[field.name] for field in dataclasses.fields(Run)})
    return Result(
        run,
        Found(row["curve"], row["trials"], row["stopped"], row["cpu"]),
        (best, median),
        row["version"],
        row.get("chosen"),
    )


def mean_regret(rows: Sequence[Result], spent: int) -> float:
    """Return the mean regret of the best trial found within `spent` epochs, over all tasks."""
    regrets = []
    for row in rows:
        low, high = row.scale
        regrets.append((row.at(spent) - low) / (high - low))
    return sum(regrets) / len(regrets)
