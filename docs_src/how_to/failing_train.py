"""Train, with a mistake in it: python train.py --model_dir FOLDER"""

import argparse

import modeldir

parser = argparse.ArgumentParser()
parser.add_argument("--model_dir", required=True)
args = parser.parse_args()

with modeldir.start(args.model_dir) as run:
    rate, weight = run.params.learning_rate, 0.0
    if rate > 0.9:
        raise ValueError("learning_rate is too large")
    for epoch in range(10):
        weight -= rate * 2 * (weight - 3)
        run.log(epoch, loss=(weight - 3) ** 2)
