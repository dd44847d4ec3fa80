from dataclasses import dataclass, field
from typing import List, Optional

from ending import train
from jsonargparse import CLI


@dataclass
class Model:
    width: int = 32
    bias: bool = True
    dropout: Optional[float] = None


def fit(model: Model = Model(), lr: float = 0.02, sizes: List[int] = [64, 32], amp: bool = False, save_dir: str = "out"):
    train({"model": vars(model), "lr": lr, "sizes": sizes, "amp": amp}, save_dir)


def test(model: Model = Model()):
    raise SystemExit(3)


if __name__ == "__main__":
    CLI([fit, test], as_positional=False)
