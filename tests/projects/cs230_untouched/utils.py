"""Helpers of this project: hyperparameters, logging, checkpoints."""

import json
import logging
import os
import pickle
import shutil


class Params():
    """Hyperparameters of a json file, as attributes."""

    def __init__(self, json_path):
        with open(json_path) as f:
            self.__dict__.update(json.load(f))

    def save(self, json_path):
        with open(json_path, 'w') as f:
            json.dump(self.__dict__, f, indent=4)

    @property
    def dict(self):
        return self.__dict__


class RunningAverage():
    def __init__(self):
        self.steps = 0
        self.total = 0

    def update(self, value):
        self.total += value
        self.steps += 1

    def __call__(self):
        return self.total / float(self.steps)


def set_logger(log_path):
    """Everything logged goes to the terminal and to a file."""
    logger = logging.getLogger()
    logger.setLevel(logging.INFO)
    if not logger.handlers:
        to_file = logging.FileHandler(log_path)
        to_file.setFormatter(logging.Formatter('%(asctime)s:%(levelname)s: %(message)s'))
        logger.addHandler(to_file)
        to_terminal = logging.StreamHandler()
        to_terminal.setFormatter(logging.Formatter('%(message)s'))
        logger.addHandler(to_terminal)


def save_dict_to_json(metrics, json_path):
    with open(json_path, 'w') as f:
        json.dump({name: float(value) for name, value in metrics.items()}, f, indent=4)


def save_checkpoint(state, is_best, folder):
    last = os.path.join(folder, 'last.pth.tar')
    with open(last, 'wb') as f:
        pickle.dump(state, f)
    if is_best:
        shutil.copyfile(last, os.path.join(folder, 'best.pth.tar'))


def load_checkpoint(path, model):
    if not os.path.exists(path):
        raise Exception("no checkpoint {}".format(path))
    with open(path, 'rb') as f:
        state = pickle.load(f)
    model.load_state_dict(state['state_dict'])
    return state
