"""Measure a trained network on the test set: python evaluate.py --model_dir experiments/base_model"""

import argparse

import numpy as np
from modeldir import Params, load_checkpoint, save_metrics

from spirals import Net, load_data

parser = argparse.ArgumentParser()
parser.add_argument("--model_dir", default="experiments/base_model", help="folder of a trained net")

if __name__ == "__main__":
    args = parser.parse_args()
    params = Params(f"{args.model_dir}/params.json")
    net = Net(params.hidden_units, np.random.default_rng(params.seed))
    net.weights = load_checkpoint(args.model_dir, "best")["weights"]
    metrics = net.evaluate(load_data()["test"])
    print(f"test accuracy {metrics['accuracy']:.3f}")
    save_metrics(metrics, f"{args.model_dir}/metrics_test_best.json")
