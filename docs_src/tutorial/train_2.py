"""Train the network: python train.py --model_dir experiments/first"""

import argparse
import os

import numpy as np
from modeldir import set_logger

from spirals import Net, load_data

parser = argparse.ArgumentParser()
parser.add_argument("--learning_rate", type=float, default=0.001)
parser.add_argument("--model_dir", default="experiments/first")


def train_and_evaluate(learning_rate):
    data = load_data()
    rng = np.random.default_rng(230)
    net = Net(hidden_units=64, rng=rng)
    for epoch in range(400):
        loss = net.train_epoch(data["train"], learning_rate, 1e-5, 4, rng)
        if not np.isfinite(loss):
            raise FloatingPointError(f"the loss is {loss} in epoch {epoch}")
        metrics = net.evaluate(data["val"])
        if (epoch + 1) % 100 == 0:
            accuracy = metrics["accuracy"]
            print(f"epoch {epoch + 1}: train loss {loss:.3f}, val accuracy {accuracy:.3f}")


if __name__ == "__main__":
    args = parser.parse_args()
    os.makedirs(args.model_dir, exist_ok=True)
    set_logger(os.path.join(args.model_dir, "train.log"))
    train_and_evaluate(args.learning_rate)
