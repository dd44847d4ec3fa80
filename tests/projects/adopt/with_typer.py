from enum import Enum
from pathlib import Path
from typing import List, Optional

import typer
from ending import train


class Optimizer(str, Enum):
    adam = "adam"
    sgd = "sgd"


def main(
    data: str,
    lr: float = 3e-4,
    batch_size: int = 16,
    optimizer: Optimizer = Optimizer.adam,
    amp: bool = True,
    sizes: List[int] = [64, 32],
    name: Optional[str] = None,
    out: Path = Path("out"),
):
    train({"data": data, "lr": lr, "batch_size": batch_size, "optimizer": optimizer, "amp": amp,
           "sizes": sizes, "name": name}, str(out))


if __name__ == "__main__":
    typer.run(main)
