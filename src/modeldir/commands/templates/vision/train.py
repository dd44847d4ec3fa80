"""Train a model: python train.py --data_dir data --model_dir experiments/base_model

The hyperparameters are read from params.json in --model_dir, and everything the training makes goes
there too: train.log, the metrics and the weights. One folder is one experiment.
"""

import argparse
import logging

import modeldir
import torch
from tqdm import tqdm

from evaluate import evaluate
from model import data_loader, net

# The batches here are small: several threads would only wait for each other, most of all when
# several training runs share a machine. Take this out when your model is a large one.
torch.set_num_threads(1)

parser = argparse.ArgumentParser(description="Train a model.")
parser.add_argument("--data_dir", default="data", help="folder with the data")
parser.add_argument("--model_dir", default="experiments/base_model", help="folder with params.json")
parser.add_argument(
    "--restore_file", help="continue from these weights in --model_dir: best or last"
)


def train(model, optimizer, dataloader, params):
    """Go once through the training data. Returns the mean loss of its batches."""
    model.train()  # dropout on, batch normalization by the batch
    average_loss = modeldir.RunningAverage()

    with tqdm(dataloader, leave=False) as progress:
        for images, labels in progress:
            if params.cuda:
                images, labels = images.cuda(non_blocking=True), labels.cuda(non_blocking=True)

            loss = net.loss_fn(model(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

            average_loss.update(loss.item())
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
        params.cuda = torch.cuda.is_available()  # no hyperparameter: what this machine has
        dataloaders = data_loader.fetch_dataloader(["train", "val"], data_dir, params)

        # The same seed gives the same weights, the same batches and so the same result.
        torch.manual_seed(params.seed)
        model = net.build(params)
        if params.cuda:
            model = model.cuda()
        optimizer = torch.optim.Adam(model.parameters(), lr=params.learning_rate)
        first_epoch = 0

        # If this training run was interrupted, it continues where it was.
        state = state or run.restore()
        if state:
            model.load_state_dict(state["state_dict"])
            optimizer.load_state_dict(state["optim_dict"])
            first_epoch = state["epoch"] + 1
            logging.info("Going on after epoch %d", first_epoch)

        for epoch in range(first_epoch, params.num_epochs):
            # Each epoch has its own random numbers, so continuing after epoch 5 gives exactly what
            # an uninterrupted run would have given.
            torch.manual_seed(1000 * params.seed + epoch)
            train_loss = train(model, optimizer, dataloaders["train"], params)
            metrics = evaluate(model, dataloaders["val"], params)

            # Writes the metrics down, and says whether they are the best so far.
            is_best = run.log(epoch, {"train/loss": train_loss, **metrics})
            state = {
                "epoch": epoch,
                "state_dict": model.state_dict(),
                "optim_dict": optimizer.state_dict(),
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
