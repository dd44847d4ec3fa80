"""Train a model: python train.py --data_dir data --model_dir experiments/base_model

The hyperparameters are read from params.json in --model_dir, and everything the training makes goes
there too: train.log, the metrics and the weights. One folder is one experiment.
"""

import argparse
import logging
import os

# The matrices here are small: several threads would only wait for each other, most of all when
# several training runs share a machine. NumPy looks at this when it is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import modeldir
import numpy as np
from tqdm import tqdm

from evaluate import evaluate
from model import data_loader, net

parser = argparse.ArgumentParser(description="Train a model.")
parser.add_argument("--data_dir", default="data", help="folder with the data")
parser.add_argument("--model_dir", default="experiments/base_model", help="folder with params.json")
parser.add_argument(
    "--restore_file", help="continue from these weights in --model_dir: best or last"
)


def train(model, optimizer, data, batch_size, rng):
    """Go once through the training data. Returns the mean loss of its batches."""
    average_loss = modeldir.RunningAverage()
    steps = -(-len(data[0]) // batch_size)  # rounded up: the last batch may be a small one

    with tqdm(data_loader.batches(data, batch_size, rng), total=steps, leave=False) as progress:
        for images, labels in progress:
            loss, gradients = model.gradients(images, labels)
            optimizer.update(model.weights, gradients)
            average_loss.update(loss)
            progress.set_postfix(loss=f"{average_loss():.3f}", refresh=False)
    return average_loss()


def train_and_evaluate(model_dir, data_dir, restore_file=None):
    """Train in `model_dir` for params.num_epochs, and measure on the validation data after each."""
    # The weights to continue from, if any. A wrong name stops here, with nothing changed.
    state = modeldir.load_checkpoint(model_dir, restore_file) if restore_file else None

    # This line makes train.log, records the command, the code and how the run ends, and sets
    # aside what an earlier training left here (unless we continue from its weights).
    with modeldir.start(model_dir, resume=True if restore_file else None) as run:
        params = run.params
        data = data_loader.fetch_data(["train", "val"], data_dir)

        # The same seed gives the same weights, the same batches and so the same result.
        model = net.build(params, np.random.default_rng(params.seed))
        optimizer = net.Adam(model.weights, params.learning_rate)
        first_epoch = 0

        # If this training run was interrupted, it continues where it was.
        state = state or run.restore()
        if state:
            model.weights = state["weights"]
            optimizer.steps = state["steps"]
            optimizer.mean, optimizer.square = state["mean"], state["square"]
            first_epoch = state["epoch"] + 1
            logging.info("Going on after epoch %d", first_epoch)

        for epoch in range(first_epoch, params.num_epochs):
            # Each epoch has its own random numbers, so continuing after epoch 5 gives exactly what
            # an uninterrupted run would have given.
            rng = np.random.default_rng([params.seed, epoch])
            train_loss = train(model, optimizer, data["train"], params.batch_size, rng)
            metrics = evaluate(model, data["val"])

            # Writes the metrics down, and says whether they are the best so far.
            is_best = run.log(epoch, {"train/loss": train_loss, **metrics})
            state = {
                "epoch": epoch,
                "weights": model.weights,
                "steps": optimizer.steps,
                "mean": optimizer.mean,
                "square": optimizer.square,
            }
            run.save_checkpoint(state, is_best)
            logging.info(
                "Epoch %d/%d: train loss %.3f, val accuracy %.3f, val loss %.3f%s",
                epoch + 1,
                params.num_epochs,
                train_loss,
                metrics["accuracy"],
                metrics["loss"],
                " (best so far)" if is_best else "",
            )


if __name__ == "__main__":
    args = parser.parse_args()
    train_and_evaluate(args.model_dir, args.data_dir, args.restore_file)
