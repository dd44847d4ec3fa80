"""Read hyperparameters from a file: python train.py --model_dir FOLDER [name=value ...]"""

import argparse
import os

import modeldir

parser = argparse.ArgumentParser()
parser.add_argument("--model_dir", required=True)

args, _ = parser.parse_known_args()  # first find the folder
params = modeldir.Params(os.path.join(args.model_dir, "params.json"))
args = parser.parse_args(modeldir.cli(params))  # then apply name=value; argparse checks the rest

print("learning rate", params.learning_rate, "betas", params.optimizer.betas)
