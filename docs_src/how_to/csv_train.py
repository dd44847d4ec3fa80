"""Train and write a CSV file, as Keras and Lightning do: python csv_train.py --lr 0.1 --out DIR"""

import argparse
import csv
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=0.1)
parser.add_argument("--out", type=Path, default=Path("out"))
args = parser.parse_args()

weight = 0.0
with (args.out / "log.csv").open("w", newline="") as file:
    log = csv.writer(file)
    log.writerow(["epoch", "loss", "val_loss"])
    for epoch in range(10):
        weight -= args.lr * 2 * (weight - 3)  # one step down the slope of (weight - 3) ** 2
        log.writerow([epoch, (weight - 3) ** 2, (weight - 2.9) ** 2])
        file.flush()
