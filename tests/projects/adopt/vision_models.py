"""The shape of timm's train.py: a first parser for `--config`, then sixty options in groups."""

import argparse
import json

from ending import train

config_parser = parser = argparse.ArgumentParser(description="Training Config", add_help=False)
parser.add_argument("-c", "--config", default="", type=str, metavar="FILE")

parser = argparse.ArgumentParser(description="PyTorch ImageNet Training")


class ParseKwargs(argparse.Action):
    def __call__(self, parser, namespace, values, option_string=None):
        setattr(namespace, self.dest, dict(value.split("=") for value in values))


group = parser.add_argument_group("Dataset parameters")
parser.add_argument("data", nargs="?", metavar="DIR", const=None)
parser.add_argument("--data-dir", metavar="DIR")
parser.add_argument("--dataset", metavar="NAME", default="")
group.add_argument("--train-split", metavar="NAME", default="train")
group.add_argument("--train-num-samples", default=None, type=int, metavar="N")
group.add_argument("--dataset-download", action="store_true", default=False)
group.add_argument("--class-map", default="", type=str, metavar="FILENAME")
group.add_argument("--input-key", default=None, type=str)
group.add_argument("--dataset-trust-remote-code", action="store_true", default=False)

group = parser.add_argument_group("Model parameters")
group.add_argument("--model", default="resnet50", type=str, metavar="MODEL")
group.add_argument("--pretrained", action="store_true", default=False)
group.add_argument("--initial-checkpoint", default="", type=str, metavar="PATH")
group.add_argument("--resume", default="", type=str, metavar="PATH")
group.add_argument("--no-resume-opt", action="store_true", default=False)
group.add_argument("--num-classes", type=int, default=None, metavar="N")
group.add_argument("--gp", default=None, type=str, metavar="POOL")
group.add_argument("--img-size", type=int, default=None, metavar="N")
group.add_argument("--in-chans", type=int, default=None, metavar="N")
group.add_argument("--input-size", default=None, nargs=3, type=int, metavar="N")
group.add_argument("--crop-pct", default=None, type=float, metavar="N")
group.add_argument("--mean", type=float, nargs="+", default=None, metavar="MEAN")
group.add_argument("--interpolation", default="", type=str, metavar="NAME")
group.add_argument("-b", "--batch-size", type=int, default=128, metavar="N")
group.add_argument("-vb", "--validation-batch-size", type=int, default=None, metavar="N")
group.add_argument("--channels-last", action="store_true", default=False)
group.add_argument("--fuser", default="", type=str)
group.add_argument("--grad-accum-steps", type=int, default=1, metavar="N")
group.add_argument("--model-kwargs", nargs="*", default={}, action=ParseKwargs)

group = parser.add_argument_group("Optimizer parameters")
group.add_argument("--opt", default="sgd", type=str, metavar="OPTIMIZER")
group.add_argument("--opt-eps", default=None, type=float, metavar="EPSILON")
group.add_argument("--opt-betas", default=None, type=float, nargs="+", metavar="BETA")
group.add_argument("--momentum", type=float, default=0.9, metavar="M")
group.add_argument("--weight-decay", type=float, default=2e-5)
group.add_argument("--clip-grad", type=float, default=None, metavar="NORM")
group.add_argument("--clip-mode", type=str, default="norm")
group.add_argument("--layer-decay", type=float, default=None)
group.add_argument("--opt-kwargs", nargs="*", default={}, action=ParseKwargs)

group = parser.add_argument_group("Learning rate schedule parameters")
group.add_argument("--sched", type=str, default="cosine", metavar="SCHEDULER")
group.add_argument("--sched-on-updates", action="store_true", default=False)
group.add_argument("--lr", type=float, default=None, metavar="LR")
group.add_argument("--lr-base", type=float, default=0.1, metavar="LR")
group.add_argument("--lr-noise", type=float, nargs="+", default=None, metavar="pct, pct")
group.add_argument("--lr-k-decay", type=float, default=1.0)
group.add_argument("--warmup-lr", type=float, default=1e-5, metavar="LR")
group.add_argument("--epochs", type=int, default=300, metavar="N")
group.add_argument("--decay-milestones", default=[90, 180, 270], type=int, nargs="+")
group.add_argument("--warmup-epochs", type=int, default=5, metavar="N")

group = parser.add_argument_group("Augmentation and regularization parameters")
group.add_argument("--no-aug", action="store_true", default=False)
group.add_argument("--scale", type=float, nargs="+", default=[0.08, 1.0], metavar="PCT")
group.add_argument("--ratio", type=float, nargs="+", default=[3.0 / 4.0, 4.0 / 3.0])
group.add_argument("--hflip", type=float, default=0.5)
group.add_argument("--aa", type=str, default=None, metavar="NAME")
group.add_argument("--bce-target-thresh", type=float, default=None)
group.add_argument("--mixup", type=float, default=0.0)
group.add_argument("--cutmix-minmax", type=float, nargs="+", default=None)
group.add_argument("--smoothing", type=float, default=0.1)
group.add_argument("--drop", type=float, default=0.0, metavar="PCT")
group.add_argument("--bn-momentum", type=float, default=None)
group.add_argument("--sync-bn", action="store_true")
group.add_argument("--model-ema-decay", type=float, default=0.9998)

group = parser.add_argument_group("Miscellaneous parameters")
group.add_argument("--seed", type=int, default=42, metavar="S")
group.add_argument("--log-interval", type=int, default=50, metavar="N")
group.add_argument("-j", "--workers", type=int, default=4, metavar="N")
group.add_argument("--amp", action="store_true", default=False)
group.add_argument("--no-ddp-bb", action="store_true", default=False)
group.add_argument("--pin-mem", action="store_true", default=False)
group.add_argument("--output", default="", type=str, metavar="PATH")
group.add_argument("--experiment", default="", type=str, metavar="NAME")
group.add_argument("--eval-metric", default="top1", type=str, metavar="EVAL_METRIC")
group.add_argument("--tta", type=int, default=0, metavar="N")
group.add_argument("--use-multi-epochs-loader", action="store_true", default=False)


def _parse_args():
    args_config, remaining = config_parser.parse_known_args()
    if args_config.config:
        with open(args_config.config) as file:
            parser.set_defaults(**json.load(file))
    args = parser.parse_args(remaining)
    return args, json.dumps(args.__dict__)


def main():
    args, _ = _parse_args()
    train(vars(args), args.output or "output")


if __name__ == "__main__":
    main()
