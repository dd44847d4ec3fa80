"""Measure a trained model on the test data: python evaluate.py --model_dir experiments/base_model

Do this once, for the model you have chosen. Choosing by the test data would make it part of the
training, and its numbers too good to be true.
"""

import argparse
import logging
from pathlib import Path

import torch
from modeldir import Params, load_checkpoint, save_metrics, set_logger

from model import data_loader, net

parser = argparse.ArgumentParser(description="Measure a trained model on the test data.")
parser.add_argument("--data_dir", default="data", help="folder with the data")
parser.add_argument("--model_dir", default="experiments/base_model", help="folder with params.json")
parser.add_argument("--restore_file", default="best", help="the weights to measure: best or last")


@torch.no_grad()
def evaluate(model, dataloader, params):
    """All of net.metrics for a model on some data, by name."""
    model.eval()  # dropout off, batch normalization by what training has seen
    scores, labels = [], []
    for batch_images, batch_labels in dataloader:
        if params.cuda:
            batch_images = batch_images.cuda(non_blocking=True)
        scores.append(model(batch_images).cpu())
        labels.append(batch_labels)

    # Over all images at once: the mean of the batches' means would weigh a small last batch too much.
    scores, labels = torch.cat(scores), torch.cat(labels)
    return {name: metric(scores, labels) for name, metric in net.metrics.items()}


def main(model_dir, data_dir, restore_file):
    set_logger(model_dir / "evaluate.log")
    params = Params(model_dir / "params.json")
    params.cuda = torch.cuda.is_available()

    model = net.build(params)
    model.load_state_dict(load_checkpoint(model_dir, restore_file)["state_dict"])
    if params.cuda:
        model = model.cuda()

    dataloader = data_loader.fetch_dataloader(["test"], data_dir, params)["test"]
    metrics = evaluate(model, dataloader, params)
    logging.info("Test accuracy %.3f, test loss %.3f", metrics["accuracy"], metrics["loss"])
    save_metrics(metrics, model_dir / f"metrics_test_{restore_file}.json")


if __name__ == "__main__":
    args = parser.parse_args()
    main(Path(args.model_dir), args.data_dir, args.restore_file)
