"""Train once for each learning rate: the loop of CS230's search_hyperparams.py."""

import argparse
import json
import os
import sys
from subprocess import check_call

parser = argparse.ArgumentParser()
parser.add_argument("--parent_dir", default="experiments/learning_rate")
parser.add_argument("--data_dir", default="data")
parser.add_argument("--learning_rates", type=float, nargs="+")


def launch_training_job(parent_dir, data_dir, job_name, params):
    model_dir = os.path.join(parent_dir, job_name)
    os.makedirs(model_dir, exist_ok=True)
    with open(os.path.join(model_dir, "params.json"), "w") as file:
        json.dump(params, file, indent=4)
    command = [sys.executable, "train.py", "--model_dir", model_dir, "--data_dir", data_dir]
    print(*command)
    check_call(command)


if __name__ == "__main__":
    args = parser.parse_args()
    with open(os.path.join(args.parent_dir, "params.json")) as file:
        params = json.load(file)
    for learning_rate in args.learning_rates:
        params["learning_rate"] = learning_rate
        name = f"learning_rate_{learning_rate}"
        launch_training_job(args.parent_dir, args.data_dir, name, params)
