"""Search hyperparameters: python search_hyperparams.py --data_dir data

Each set of hyperparameters is trained in a folder of its own inside --parent_dir. Interrupt it
whenever you like: the same command continues where it stopped.
"""

import argparse
import sys

from modeldir import Search

from train import train_and_evaluate

parser = argparse.ArgumentParser(description="Search hyperparameters.")
parser.add_argument("--data_dir", default="data", help="folder with the data")
parser.add_argument(
    "--parent_dir",
    default="experiments/learning_rate",
    help="folder with the params.json that all trials start from",
)
parser.add_argument("--random", type=int, metavar="N", help="N sets of hyperparameters at random")
parser.add_argument("--jobs", "-j", type=int, default=1, help="how many to train side by side")
parser.add_argument("--loop", action="store_true", help="train in this process, in a Python loop")

# Three learning rates, all else equal ...
LEARNING_RATES = {"learning_rate": [0.1, 0.01, 0.001]}

# ... or several hyperparameters at once. A learning rate is drawn on a logarithmic scale: between
# 0.0001 and 0.001 lie as many trials as between 0.001 and 0.01.
RANDOM = {
    "learning_rate": {"log_uniform": [0.0001, 0.01]},
    "batch_size": [16, 32, 64, 128],
    "num_channels": {"log_int": [8, 64]},
}

if __name__ == "__main__":
    args = parser.parse_args()
    if args.random:
        search = Search(args.parent_dir, space=RANDOM, sampler="random", trials=args.random)
    else:
        search = Search(args.parent_dir, space=LEARNING_RATES)

    if args.loop:
        # One way: a loop in Python, one trial after the other. A trial that fails is recorded as
        # failed, and the loop continues.
        for trial in search:
            print(trial.name)
            with trial:
                train_and_evaluate(trial.model_dir, args.data_dir)
        print(search.best())
    else:
        # The other: the training command, once for each trial with its folder as --model_dir.
        # It can be any command, and several can run side by side.
        command = [sys.executable, "train.py", "--data_dir", args.data_dir]
        outcome = search.run(command, jobs=args.jobs)
        sys.exit(outcome.exit_code)  # 0 if all went well, 1 if some trial failed
