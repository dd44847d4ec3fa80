"""Small real training runs for a benchmark: a perceptron on the digits that `init` copies.

A network of one hidden layer is trained by stochastic gradient descent. Many networks of one shape
are trained at once, so a table of thousands of learning curves takes minutes. The split has a fixed
seed, and there are few images to train on, so that hyperparameters matter.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

IMAGES = Path(__file__).parents[2] / "src" / "modeldir" / "commands" / "templates" / "digits.npz"
TRAIN, VALIDATE, TEST = 300, 500, 997
CLASSES = 10


@dataclass(frozen=True)
class Data:
    """Images between 0 and 1 of shape (n, 64), and their labels."""

    images: np.ndarray
    labels: np.ndarray
    val_images: np.ndarray
    val_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray


@cache
def data(wrong: float = 0.0) -> Data:
    """Return the split, with this share of the training labels replaced at random."""
    with np.load(IMAGES) as digits:
        images = digits["images"].reshape(-1, 64).astype(np.float32) / 16
        labels = digits["labels"].astype(np.int64)
    rng = np.random.default_rng(230)
    order = rng.permutation(len(images))
    train, val, test = np.split(order, [TRAIN, TRAIN + VALIDATE])
    noisy = labels[train].copy()
    drawn = rng.random(TRAIN) < wrong
    noisy[drawn] = rng.integers(CLASSES, size=int(drawn.sum()))
    return Data(images[train], noisy, images[val], labels[val], images[test], labels[test])


@dataclass(frozen=True)
class Networks:
    """Hyperparameters of networks trained together; each array has one entry per network."""

    hidden: int
    batch: int
    learning_rate: np.ndarray
    momentum: np.ndarray
    weight_decay: np.ndarray
    cosine: np.ndarray
    seeds: np.ndarray
    init_scale: float = 1.0


def train(nets: Networks, epochs: int, wrong: float = 0.0) -> Iterator[np.ndarray]:
    """Yield after each epoch the shares of validation and test images that each network gets wrong.

    SGD with momentum and weight decay; with `cosine` the learning rate falls to 0 over the epochs.
    The shape is (2, networks). A network whose numbers are not finite gets nine in ten wrong.
    """
    there = data(wrong)
    hidden, output = _weights(nets)
    speed = [np.zeros_like(hidden), np.zeros_like(output)]
    rngs = [np.random.default_rng([int(seed), 1]) for seed in nets.seeds]
    decay, momentum = (a[:, None, None] for a in (nets.weight_decay, nets.momentum))
    steps_per_epoch = -(-TRAIN // nets.batch)
    images = _with_bias(there.images)
    with np.errstate(all="ignore"):
        for epoch in range(epochs):
            orders = np.stack([rng.permutation(TRAIN) for rng in rngs])
            for step in range(steps_per_epoch):
                part = (epoch + step / steps_per_epoch) / epochs
                falling = np.where(nets.cosine, (1 + np.cos(np.pi * part)) / 2, 1.0)
                rate = (nets.learning_rate * falling).astype(np.float32)[:, None, None]
                rows = orders[:, step * nets.batch : (step + 1) * nets.batch]
                gradients = _gradients(hidden, output, images[rows], there.labels[rows])
                for layer in zip((hidden, output), gradients, speed, strict=True):
                    _step(*layer, rate, momentum, decay)
            yield np.stack(
                [
                    _wrong(hidden, output, there.val_images, there.val_labels),
                    _wrong(hidden, output, there.test_images, there.test_labels),
                ]
            )


def _step(  # noqa: PLR0913, PLR0917 - the arrays of one update
    weights: np.ndarray,
    gradient: np.ndarray,
    velocity: np.ndarray,
    rate: np.ndarray,
    momentum: np.ndarray,
    decay: np.ndarray,
) -> None:
    """Make one step of the optimizer in place."""
    velocity *= momentum
    velocity += gradient + decay * weights
    weights -= rate * velocity


def _weights(nets: Networks) -> tuple[np.ndarray, np.ndarray]:
    """Return the initial weights. The last row of each matrix is its bias."""
    hidden, output = [], []
    for seed in nets.seeds:
        rng = np.random.default_rng([int(seed), 0])
        for made, inputs, outputs in ((hidden, 64, nets.hidden), (output, nets.hidden, CLASSES)):
            drawn = rng.standard_normal((inputs, outputs)) * np.sqrt(2 / inputs) * nets.init_scale
            made.append(np.vstack([drawn, np.zeros((1, outputs))]).astype(np.float32))
    return np.stack(hidden), np.stack(output)


def _with_bias(rows: np.ndarray) -> np.ndarray:
    return np.concatenate([rows, np.ones((*rows.shape[:-1], 1), np.float32)], axis=-1)


def _gradients(
    hidden: np.ndarray, output: np.ndarray, images: np.ndarray, labels: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    active = _with_bias(np.maximum(images @ hidden, 0))
    scores = active @ output
    scores -= scores.max(axis=-1, keepdims=True)
    np.exp(scores, out=scores)
    scores /= scores.sum(axis=-1, keepdims=True)
    np.put_along_axis(
        scores, labels[..., None], np.take_along_axis(scores, labels[..., None], -1) - 1, -1
    )
    scores /= images.shape[1]
    back = (scores @ output[:, :-1].transpose(0, 2, 1)) * (active[..., :-1] > 0)
    return images.transpose(0, 2, 1) @ back, active.transpose(0, 2, 1) @ scores


def _wrong(
    hidden: np.ndarray, output: np.ndarray, images: np.ndarray, labels: np.ndarray
) -> np.ndarray:
    scores = _with_bias(np.maximum(_with_bias(images) @ hidden, 0)) @ output
    wrong = (scores.argmax(axis=-1) != labels).mean(axis=-1)
    broken = ~np.isfinite(scores).all(axis=(1, 2))
    return np.where(broken, 0.9, wrong)
