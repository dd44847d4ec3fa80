"""Train the model of model/net.py with the hyperparameters in model_dir."""

import argparse
import logging
import os
import random

from tqdm import tqdm

import utils
import model.data_loader as data_loader
from evaluate import evaluate
from model.net import Net, metrics

parser = argparse.ArgumentParser()
parser.add_argument('--data_dir', default='data', help="where the csv files are")
parser.add_argument('--model_dir', default='experiments/base_model', help="where params.json is")
parser.add_argument('--restore_file', default=None, help="weights to go on from: best or last")


def train(model, dataloader, params):
    """One pass over the training set."""
    loss_avg = utils.RunningAverage()
    with tqdm(total=len(dataloader)) as bar:
        for batch in dataloader:
            loss_avg.update(model.step(batch, params.learning_rate))
            bar.set_postfix(loss='{:05.3f}'.format(loss_avg()))
            bar.update()
    logging.info("- Train loss: {:05.3f}".format(loss_avg()))


def train_and_evaluate(model, loaders, params, model_dir, restore_file=None):
    if restore_file is not None:
        path = os.path.join(model_dir, restore_file + '.pth.tar')
        logging.info("Restoring from {}".format(path))
        utils.load_checkpoint(path, model)

    best = 0.0
    for epoch in range(params.num_epochs):
        logging.info("Epoch {}/{}".format(epoch + 1, params.num_epochs))
        train(model, loaders['train'], params)
        val_metrics = evaluate(model, loaders['val'], metrics)
        is_best = val_metrics['accuracy'] >= best
        utils.save_checkpoint({'epoch': epoch + 1, 'state_dict': model.state_dict()},
                              is_best, model_dir)
        if is_best:
            logging.info("- Found new best accuracy")
            best = val_metrics['accuracy']
            utils.save_dict_to_json(
                val_metrics, os.path.join(model_dir, 'metrics_val_best_weights.json'))
        utils.save_dict_to_json(
            val_metrics, os.path.join(model_dir, 'metrics_val_last_weights.json'))


if __name__ == '__main__':
    args = parser.parse_args()
    json_path = os.path.join(args.model_dir, 'params.json')
    assert os.path.isfile(json_path), "no json file found at {}".format(json_path)
    params = utils.Params(json_path)
    params.cuda = False  # added at run time, as with PyTorch
    random.seed(230)
    utils.set_logger(os.path.join(args.model_dir, 'train.log'))

    logging.info("Loading the datasets...")
    loaders = data_loader.fetch_dataloader(['train', 'val'], args.data_dir, params)
    logging.info("- done.")

    train_and_evaluate(Net(params), loaders, params, args.model_dir, args.restore_file)
