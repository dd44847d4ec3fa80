"""Evaluate saved weights on the test set."""

import argparse
import logging
import os

import utils
import model.data_loader as data_loader
import model.net as net

parser = argparse.ArgumentParser()
parser.add_argument('--data_dir', default='data', help="where the csv files are")
parser.add_argument('--model_dir', default='experiments/base_model', help="where params.json is")
parser.add_argument('--restore_file', default='best', help="weights to evaluate: best or last")


def evaluate(model, dataloader, metrics):
    points = [point for batch in dataloader for point in batch]
    outputs = [model.forward(point) for point, _ in points]
    labels = [label for _, label in points]
    found = {name: metrics[name](outputs, labels) for name in metrics}
    found['loss'] = sum(map(net.loss_fn, outputs, labels)) / len(points)
    logging.info("- Eval metrics: " + " ; ".join("{}: {:05.3f}".format(k, v) for k, v in found.items()))
    return found


if __name__ == '__main__':
    args = parser.parse_args()
    params = utils.Params(os.path.join(args.model_dir, 'params.json'))
    utils.set_logger(os.path.join(args.model_dir, 'evaluate.log'))
    model = net.Net(params)
    utils.load_checkpoint(os.path.join(args.model_dir, args.restore_file + '.pth.tar'), model)
    loaders = data_loader.fetch_dataloader(['test'], args.data_dir, params)
    test_metrics = evaluate(model, loaders['test'], net.metrics)
    utils.save_dict_to_json(
        test_metrics, os.path.join(args.model_dir, 'metrics_test_{}.json'.format(args.restore_file)))
