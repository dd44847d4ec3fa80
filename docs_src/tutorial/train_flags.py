"""Train the network: python train_flags.py --learning_rate 0.01"""

import argparse
import json
import os

import numpy as np

from spirals import Net, load_data

parser = argparse.ArgumentParser()
parser.add_argument("--learning_rate", type=float, default=0.001)
parser.add_argument("--weight_decay", type=float, default=1e-5)
parser.add_argument("--hidden_units", type=int, default=64)
parser.add_argument("--batch_size", type=int, default=4)
parser.add_argument("--num_epochs", type=int, default=400)
parser.add_argument("--seed", type=int, default=230)
parser.add_argument("--out", default="out", help="folder for metrics.json")


def train_and_evaluate(args):
    data = load_data()
    rng = np.random.default_rng(args.seed)
    net = Net(args.hidden_units, rng)
    best = 0
    for epoch in range(args.num_epochs):
        loss = net.train_epoch(
            data["train"], args.learning_rate, args.weight_decay, args.batch_size, rng
        )
        if not np.isfinite(loss):
            raise FloatingPointError(f"the loss is {loss} in epoch {epoch}")
        best = max(best, net.evaluate(data["val"])["accuracy"])
    print(f"best val accuracy: {best:.3f}")
    with open(os.path.join(args.out, "metrics.json"), "w") as file:
        json.dump({"accuracy": best}, file)


if __name__ == "__main__":
    args = parser.parse_args()
    os.makedirs(args.out, exist_ok=True)
    train_and_evaluate(args)
