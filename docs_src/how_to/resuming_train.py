"""Train, and resume after an interruption: python train.py --model_dir FOLDER"""

import argparse
import time

import numpy as np

import modeldir

parser = argparse.ArgumentParser()
parser.add_argument("--model_dir", required=True)
args = parser.parse_args()

with modeldir.start(args.model_dir) as run:
    weight, first_epoch = np.zeros(1), 0
    state = run.restore()  # None, unless an earlier attempt was interrupted
    if state:
        weight, first_epoch = state["weight"], int(state["epoch"]) + 1
        print(f"resumed at epoch {first_epoch}")

    for epoch in range(first_epoch, run.params.num_epochs):
        weight = weight - run.params.learning_rate * 2 * (weight - 3)
        time.sleep(0.1)  # so that there is time for an interruption
        run.log(epoch, loss=float(((weight - 3) ** 2)[0]))
        run.save_checkpoint({"weight": weight, "epoch": epoch})
