"""Train the network: python train.py --model_dir experiments/base_model"""

import argparse

import modeldir
import numpy as np

from spirals import Net, load_data

parser = argparse.ArgumentParser()
parser.add_argument("--model_dir", default="experiments/base_model", help="folder of params.json")


def train_and_evaluate(model_dir):
    with modeldir.start(model_dir) as run:
        params = run.params
        data = load_data()
        rng = np.random.default_rng(params.seed)
        net = Net(params.hidden_units, rng)
        for epoch in range(params.num_epochs):
            loss = net.train_epoch(
                data["train"], params.learning_rate, params.weight_decay, params.batch_size, rng
            )
            if not np.isfinite(loss):
                raise FloatingPointError(f"the loss is {loss} in epoch {epoch}")
            metrics = net.evaluate(data["val"])
            run.log(epoch, {"train/loss": loss, **metrics})
            run.save_checkpoint({"weights": net.weights})
            if (epoch + 1) % 100 == 0:
                accuracy = metrics["accuracy"]
                print(f"epoch {epoch + 1}: train loss {loss:.3f}, val accuracy {accuracy:.3f}")


if __name__ == "__main__":
    args = parser.parse_args()
    train_and_evaluate(args.model_dir)
