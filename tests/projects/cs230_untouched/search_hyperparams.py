"""Train once for each learning rate, each in a subfolder of parent_dir."""

import argparse
import os
import sys
from subprocess import check_call

import utils

PYTHON = sys.executable
parser = argparse.ArgumentParser()
parser.add_argument('--parent_dir', default='experiments/learning_rate', help="where params.json is")
parser.add_argument('--data_dir', default='data', help="where the csv files are")


def launch_training_job(parent_dir, data_dir, job_name, params):
    model_dir = os.path.join(parent_dir, job_name)
    if not os.path.exists(model_dir):
        os.makedirs(model_dir)
    params.save(os.path.join(model_dir, 'params.json'))
    cmd = "{python} train.py --model_dir={model_dir} --data_dir {data_dir}".format(
        python=PYTHON, model_dir=model_dir, data_dir=data_dir)
    print(cmd)
    check_call(cmd, shell=True)


if __name__ == "__main__":
    args = parser.parse_args()
    params = utils.Params(os.path.join(args.parent_dir, 'params.json'))
    for learning_rate in [1e-1, 1e-2, 1e-3]:
        params.learning_rate = learning_rate
        launch_training_job(
            args.parent_dir, args.data_dir, "learning_rate_{}".format(learning_rate), params)
