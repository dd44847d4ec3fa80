"""A course project: options in a class, booleans as text, lists, a required positional."""

import argparse
import ast

from ending import train


def str2bool(text):
    if text.lower() in ("yes", "true", "t", "1"):
        return True
    if text.lower() in ("no", "false", "f", "0"):
        return False
    raise argparse.ArgumentTypeError("Boolean value expected.")


class Options:
    def __init__(self):
        self.parser = argparse.ArgumentParser()
        add = self.parser.add_argument
        add("dataset", choices=["cifar", "mnist"])
        add("--learning_rate", type=float, default="1e-3")
        add("--hidden", type=int, nargs="+", default=[128, 64])
        add("--crop", type=int, nargs=2, default=(32, 32))
        add("--milestones", type=lambda text: [int(x) for x in text.split(",")], default="30,60")
        add("--augment", type=str2bool, default=True)
        add("--pretrained", type=str2bool, nargs="?", const=True, default=False)
        add("--ema", action=argparse.BooleanOptionalAction, default=True)
        add("--shuffle", action=argparse.BooleanOptionalAction)
        add("--no_bias", action="store_false", dest="bias")
        add("--model_kwargs", type=ast.literal_eval, default={"depth": 2})
        add("--tag", action="append", default=None)
        add("-v", "--verbose", action="count", default=0)
        add("--offset", type=float, default=-0.5)
        add("--name", default="first try {a}")
        add("--checkpoint_dir", default="checkpoints")
        add("--log_dir", default="logs")
        group = self.parser.add_mutually_exclusive_group()
        group.add_argument("--warmup_steps", type=int, default=100)
        group.add_argument("--warmup_ratio", type=float, default=None)

    def parse(self):
        return self.parser.parse_args()


if __name__ == "__main__":
    options = Options().parse()
    train(vars(options), options.checkpoint_dir)
