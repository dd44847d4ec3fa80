"""The table of learning curves, `curves.npz`: make it and read it.

    python benchmarks/search/curves.py        makes it again, some minutes of one core

Each of 1,728 configurations was trained for 27 epochs with three seeds, once with correct labels
and once with a third of the labels drawn at random (where long training hurts). Nothing is modeled:
each number is a count of images that a trained network got wrong, among those that a search
observes (`val`) and among those that it never sees (`test`).
"""

from __future__ import annotations

import itertools
import sys
import time
from functools import cache
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
import digits

PLACE = Path(__file__).with_name("curves.npz")
EPOCHS = 27
SEEDS = 3
SIZES = {"val": digits.VALIDATE, "test": digits.TEST}
LABELS = {"clean": 0.0, "noisy": 0.33}
GRID = {
    "learning_rate": [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0],
    "batch_size": [8, 24, 72],
    "hidden_units": [8, 16, 32, 64],
    "momentum": [0.0, 0.6, 0.9],
    "weight_decay": [0.0, 0.001, 0.01],
    "schedule": ["constant", "cosine"],
}


@cache
def table(labels: str, images: str = "val") -> np.ndarray:
    """Return the share of wrong answers, by hyperparameters in the order of GRID, seed, epoch."""
    with np.load(PLACE) as stored:
        shape = (*(len(values) for values in GRID.values()), SEEDS, EPOCHS)
        return stored[f"{labels}_{images}"].reshape(shape) / SIZES[images]


def main() -> None:
    made = {}
    began = time.process_time()
    for labels, wrong in LABELS.items():
        lengths = (len(values) for values in GRID.values())
        counts = np.zeros((len(SIZES), *lengths, SEEDS, EPOCHS), np.uint16)
        for (b, batch), (h, hidden) in itertools.product(
            enumerate(GRID["batch_size"]), enumerate(GRID["hidden_units"])
        ):
            for part, (size, shares) in enumerate(
                zip(SIZES.values(), _trained(batch, hidden, wrong), strict=True)
            ):
                counts[part, :, b, h] = np.rint(shares * size)
            print(labels, batch, hidden, f"{time.process_time() - began:.0f} s", flush=True)
        for name, part in zip(SIZES, counts, strict=True):
            made[f"{labels}_{name}"] = part.reshape(-1, SEEDS, EPOCHS)
    np.savez_compressed(PLACE, **made)


def _trained(batch: int, hidden: int, wrong: float) -> np.ndarray:
    """Train all networks of one shape. Return curves (2, learning rates, ..., seeds, epochs)."""
    others = [GRID[name] for name in ("learning_rate", "momentum", "weight_decay", "schedule")]
    rows = list(itertools.product(*others, range(SEEDS)))
    rate, momentum, decay, schedule, seeds = (
        np.array(column) for column in zip(*rows, strict=True)
    )
    nets = digits.Networks(
        hidden=hidden,
        batch=batch,
        learning_rate=rate,
        momentum=momentum.astype(np.float32),
        weight_decay=decay.astype(np.float32),
        cosine=schedule == "cosine",
        seeds=seeds,
    )
    # A few dozen at a time stay in the processor's cache.
    parts = np.array_split(np.arange(len(rows)), len(rows) // 48)
    shares = np.concatenate([_curves(nets, part, wrong) for part in parts], axis=1)
    return shares.reshape(len(SIZES), *(len(values) for values in others), SEEDS, EPOCHS)


def _curves(nets: digits.Networks, part: np.ndarray, wrong: float) -> np.ndarray:
    names = ("learning_rate", "momentum", "weight_decay", "cosine", "seeds")
    some = digits.Networks(
        nets.hidden, nets.batch, **{name: getattr(nets, name)[part] for name in names}
    )
    return np.stack(list(digits.train(some, EPOCHS, wrong)), axis=-1)


if __name__ == "__main__":
    main()
