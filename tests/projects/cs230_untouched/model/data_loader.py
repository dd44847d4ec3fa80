"""Reads data_dir/{train,val,test}.csv: points of the plane with a label."""

import csv
import os
import random


def fetch_dataloader(splits, data_dir, params):
    """Batches of (point, label), by split."""
    loaders = {}
    for split in splits:
        with open(os.path.join(data_dir, '{}.csv'.format(split))) as f:
            points = [([float(x), float(y)], int(label)) for x, y, label in csv.reader(f)]
        if split == 'train':
            random.shuffle(points)
        size = params.batch_size
        loaders[split] = [points[i:i + size] for i in range(0, len(points), size)]
    return loaders
