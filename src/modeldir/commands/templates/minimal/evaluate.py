"""Measure a trained model on the test data: python evaluate.py --model_dir experiments/base_model

Do this once, for the model you have chosen. Choosing by the test data would make it part of the
training, and its numbers too good to be true.
"""

import argparse
import logging
from pathlib import Path

import numpy as np
from modeldir import Params, load_checkpoint, save_metrics, set_logger

from model import data_loader, net

parser = argparse.ArgumentParser(description="Measure a trained model on the test data.")
parser.add_argument("--data_dir", default="data", help="folder with the data")
parser.add_argument("--model_dir", default="experiments/base_model", help="folder with params.json")
parser.add_argument("--restore_file", default="best", help="the weights to measure: best or last")


def evaluate(model, data):
    """All of net.metrics for a model on some data, by name."""
    images, labels = data
    scores = model.scores(images)
    return {name: metric(scores, labels) for name, metric in net.metrics.items()}


def main(model_dir, data_dir, restore_file):
    set_logger(model_dir / "evaluate.log")
    params = Params(model_dir / "params.json")

    model = net.build(params, np.random.default_rng(params.seed))
    model.weights = load_checkpoint(model_dir, restore_file)["weights"]

    data = data_loader.fetch_data(["test"], data_dir)
    metrics = evaluate(model, data["test"])
    logging.info("Test accuracy %.3f, test loss %.3f", metrics["accuracy"], metrics["loss"])
    save_metrics(metrics, model_dir / f"metrics_test_{restore_file}.json")


if __name__ == "__main__":
    args = parser.parse_args()
    main(Path(args.model_dir), args.data_dir, args.restore_file)
