import enum
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Optional, Tuple

import tyro
from ending import train


class Schedule(enum.Enum):
    COSINE = "cos"
    LINEAR = "lin"


@dataclass
class Optimizer:
    lr: float = 1e-3
    kind: Literal["adam", "sgd"] = "adam"
    nesterov: bool = True


@dataclass
class Args:
    data: str
    optimizer: Optimizer = field(default_factory=Optimizer)
    batch_size: int = 32
    amp: bool = False
    sizes: Tuple[int, ...] = (64, 32)
    schedule: Schedule = Schedule.COSINE
    clip: Optional[float] = None
    out_dir: Path = Path("out")


if __name__ == "__main__":
    args = tyro.cli(Args)
    train({"data": args.data, "optimizer": vars(args.optimizer), "batch_size": args.batch_size,
           "amp": args.amp, "sizes": args.sizes, "schedule": args.schedule.name}, str(args.out_dir))
