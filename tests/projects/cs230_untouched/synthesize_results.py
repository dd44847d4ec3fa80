"""Collect metrics_val_best_weights.json of all subfolders into results.md."""

import argparse
import json
import os

parser = argparse.ArgumentParser()
parser.add_argument('--parent_dir', default='experiments', help="a folder of experiments")


def aggregate_metrics(parent_dir, metrics):
    path = os.path.join(parent_dir, 'metrics_val_best_weights.json')
    if os.path.isfile(path):
        with open(path) as f:
            metrics[parent_dir] = json.load(f)
    for name in sorted(os.listdir(parent_dir)):
        subdir = os.path.join(parent_dir, name)
        if os.path.isdir(subdir):
            aggregate_metrics(subdir, metrics)


if __name__ == "__main__":
    args = parser.parse_args()
    metrics = {}
    aggregate_metrics(args.parent_dir, metrics)
    headers = list(next(iter(metrics.values())))
    lines = ["| " + " | ".join(["folder"] + headers) + " |", "|" + "---|" * (len(headers) + 1)]
    for subdir, values in metrics.items():
        lines.append("| " + " | ".join([subdir] + [str(values[h]) for h in headers]) + " |")
    print("\n".join(lines))
    with open(os.path.join(args.parent_dir, 'results.md'), 'w') as f:
        f.write("\n".join(lines) + "\n")
