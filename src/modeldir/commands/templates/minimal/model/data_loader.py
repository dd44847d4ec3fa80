"""The data: 1,797 handwritten digits, 8x8 pixels each, in three parts that never mix.

train   the model learns from these
val     after each epoch we measure on these; hyperparameters are chosen by them
test    seen once, at the very end, by evaluate.py
"""

from pathlib import Path

import numpy as np

# The split has a seed of its own. If it followed params.seed, every seed would be measured on
# other images, and a lucky split would look like a good model.
SPLIT_SEED = 230
SIZES = {"train": 1197, "val": 300, "test": 300}


def fetch_data(splits, data_dir):
    """Load some of the splits.

    Args:
        splits: names out of "train", "val" and "test".
        data_dir: the folder with digits.npz.

    Returns:
        A dict from each name to (images, labels): float32 of shape (n, 64) between 0 and 1, and
        integers of shape (n,) between 0 and 9.
    """
    with np.load(Path(data_dir) / "digits.npz") as digits:
        images = digits["images"].reshape(-1, 64).astype(np.float32) / 16
        labels = digits["labels"].astype(np.int64)

    order = np.random.default_rng(SPLIT_SEED).permutation(len(images))
    ends = np.cumsum(list(SIZES.values()))
    rows = dict(zip(SIZES, np.split(order, ends[:-1])))
    return {split: (images[rows[split]], labels[rows[split]]) for split in splits}


def batches(data, batch_size, rng):
    """Go once through the data in an order drawn from `rng`, a batch at a time."""
    images, labels = data
    order = rng.permutation(len(images))
    for start in range(0, len(order), batch_size):
        batch = order[start : start + batch_size]
        yield images[batch], labels[batch]
