from dataclasses import dataclass, field
from typing import List

from ending import train
from simple_parsing import ArgumentParser


@dataclass
class HParams:
    learning_rate: float = 0.05  # the learning rate
    momentum: float = 0.9
    nesterov: bool = False
    shuffle: bool = True
    sizes: List[int] = field(default_factory=lambda: [64, 32])


@dataclass
class Paths:
    log_dir: str = "logs"


parser = ArgumentParser()
parser.add_argument("--seed", type=int, default=3)
parser.add_arguments(HParams, dest="hparams")
parser.add_arguments(Paths, dest="paths")
args = parser.parse_args()

if __name__ == "__main__":
    train({"seed": args.seed, **vars(args.hparams)}, args.paths.log_dir)
