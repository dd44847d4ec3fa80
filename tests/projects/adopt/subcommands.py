"""One script with commands: `subcommands.py --device cpu train --lr 0.1`."""

import argparse

from ending import train


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", default="cuda")
    commands = parser.add_subparsers(dest="command", required=True)
    training = commands.add_parser("train")
    training.add_argument("--lr", type=float, default=3e-4)
    training.add_argument("--layers", type=int, default=4)
    training.add_argument("--amp", action="store_true")
    training.add_argument("--out-dir", default="out")
    training.set_defaults(func=run)
    evaluation = commands.add_parser("evaluate")
    evaluation.add_argument("weights")
    args = parser.parse_args()
    args.func(args)


def run(args):
    train({key: value for key, value in vars(args).items() if key != "func"}, args.out_dir)


if __name__ == "__main__":
    main()
