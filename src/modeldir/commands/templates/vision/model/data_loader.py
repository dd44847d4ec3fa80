"""The data: 1,797 handwritten digits, 8x8 pixels each, in three parts that never mix.

train   the model learns from these
val     after each epoch we measure on these; hyperparameters are chosen by them
test    seen once, at the very end, by evaluate.py
"""

from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

# The split has a seed of its own. If it followed params.seed, every seed would be measured on
# other images, and a lucky split would look like a good model.
SPLIT_SEED = 230
SIZES = {"train": 1197, "val": 300, "test": 300}


class Digits(Dataset):
    """One split. Item i is an image, a float tensor of shape (1, 8, 8) from 0 to 1, and its digit."""

    def __init__(self, split, data_dir):
        with np.load(Path(data_dir) / "digits.npz") as digits:
            images, labels = digits["images"], digits["labels"]
        order = np.random.default_rng(SPLIT_SEED).permutation(len(images))
        ends = np.cumsum(list(SIZES.values()))
        rows = dict(zip(SIZES, np.split(order, ends[:-1])))[split]
        self.images = torch.tensor(images[rows], dtype=torch.float32).unsqueeze(1) / 16
        self.labels = torch.tensor(labels[rows], dtype=torch.int64)

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        return self.images[index], self.labels[index]


def fetch_dataloader(splits, data_dir, params):
    """Returns a dict from each of the splits ("train", "val", "test") to its DataLoader."""
    return {
        split: DataLoader(
            Digits(split, data_dir),
            batch_size=params.batch_size,
            shuffle=split == "train",
            pin_memory=params.cuda,
        )
        for split in splits
    }
