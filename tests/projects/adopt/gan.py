"""The shape of pix2pix: options of a model are added after a first look at the command line."""

import argparse

from ending import train


class BaseOptions:
    def initialize(self, parser):
        parser.add_argument("--dataroot", required=True)
        parser.add_argument("--name", type=str, default="experiment_name")
        parser.add_argument("--checkpoints_dir", type=str, default="./checkpoints")
        parser.add_argument("--model", type=str, default="cycle_gan")
        parser.add_argument("--no_dropout", action="store_true")
        parser.add_argument("--lr", type=float, default=0.0002)
        parser.add_argument("--save_dir", default="results")
        return parser

    def gather_options(self):
        parser = self.initialize(argparse.ArgumentParser())
        opt, _ = parser.parse_known_args()
        if opt.model == "cycle_gan":
            parser.set_defaults(no_dropout=True)
            parser.add_argument("--lambda_A", type=float, default=10.0)
        opt, _ = parser.parse_known_args()
        self.parser = parser
        return parser.parse_args()


if __name__ == "__main__":
    opt = BaseOptions().gather_options()
    train(vars(opt), opt.save_dir)
