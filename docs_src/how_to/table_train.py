"""Pretend to train: python train.py --model_dir FOLDER"""

import argparse

import modeldir

parser = argparse.ArgumentParser()
parser.add_argument("--model_dir", required=True)
args = parser.parse_args()

with modeldir.start(args.model_dir) as run:
    params = run.params
    pull = params.momentum if params.optimizer == "sgd" else 0.8
    if params.learning_rate == 1 and pull < 0.8:
        raise ValueError("the loss is nan")
    for epoch in range(1, 6):
        error = 0.5 * (1 - pull) ** epoch + 0.05 * params.learning_rate
        run.log(epoch, accuracy=1 - error, loss=2 * error)
