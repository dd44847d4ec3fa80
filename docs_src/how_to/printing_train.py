"""Train and only print: python train.py --lr 0.1"""

import argparse

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=0.1)
args = parser.parse_args()

weight = 0.0
for epoch in range(1, 11):
    weight -= args.lr * 2 * (weight - 3)  # one step down the slope of (weight - 3) ** 2
    print(f"epoch {epoch:2} | val loss: {(weight - 3) ** 2:.4f}", flush=True)
