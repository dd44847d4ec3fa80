"""Time reads, loads and saves of hyperparameters, with each class.

    python measure.py ROUNDS FOLDERS

`bench.py` starts it in the environment of the peers. In each round every class answers each
question. The output is medians, and median ratios to the first class that has an answer.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
import time
import timeit
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

VALUES: dict[str, Any] = {
    "model_version": "simple_convolutions",
    "learning_rate": 1e-3,
    "batch_size": 32,
    "num_epochs": 10,
    "num_channels": 32,
    "dropout": 0.5,
    "use_batch_norm": True,
    "bn_momentum": 0.9,
    "image_size": 64,
    "use_random_flip": True,
    "num_labels": 6,
    "num_parallel_calls": 4,
    "save_summary_steps": 1,
    "train_size": None,
    "widths": [32, 64, 128],
    "seed": 230,
    "optimizer": {"name": "adam", "lr": 3e-4, "betas": [0.9, 0.999]},
    "weight_decay": 0.01,
    "gradient_clip": 1.0,
    "comment": "a base to start from",
}
"""Twenty names, of the kinds that such files have."""

ITEM = 'p["learning_rate"]'
ATTRIBUTE = "p.learning_rate"
NESTED = "p.optimizer.lr"


@dataclass
class Kind:
    """A way to hold hyperparameters: an expression to read one, functions to load and save all."""

    name: str
    load: Callable[[str], Any]
    save: Callable[[Any, str], object] | None = None
    attribute: str = ATTRIBUTE
    nested: str = NESTED
    item: str = ITEM
    times: dict[str, list[float]] = field(default_factory=dict)


# -- The classes -----------------------------------------------------------------------------------


class CS230:
    """Hold the file's keys as attributes, as CS230's Params does."""

    def __init__(self, path: str) -> None:
        self.update(path)

    def save(self, path: str) -> None:
        with open(path, "w") as file:
            json.dump(self.__dict__, file, indent=4)

    def update(self, path: str) -> None:
        with open(path) as file:
            self.__dict__.update(json.load(file))

    @property
    def dict(self) -> Any:
        return self.__dict__


def from_json(path: str) -> Any:
    with open(path) as file:
        return json.load(file)


def to_json(values: Any, path: str) -> None:
    with open(path, "w") as file:
        json.dump(values, file, indent=4)


def to_json_safely(values: Any, path: str) -> None:
    """Save with the guarantees that survive a kill and a power cut."""
    with open(f"{path}.new", "w") as file:
        json.dump(values, file, indent=4)
        file.flush()
        os.fsync(file.fileno())
    os.replace(f"{path}.new", path)
    folder = os.open(os.path.dirname(path), os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)


def namespace(path: str) -> SimpleNamespace:
    with open(path) as file:
        loaded = json.load(file, object_hook=lambda part: SimpleNamespace(**part))
    assert isinstance(loaded, SimpleNamespace)
    return loaded


def kinds() -> list[Kind]:
    """Return the ways that are installed, the plainest first."""
    from modeldir import Params

    found = [
        Kind("a plain object (`SimpleNamespace`)", namespace, item=""),
        Kind("`json.load`, a dict", from_json, to_json, "", 'p["optimizer"]["lr"]'),
        Kind("the same, its save atomic and on the disk", from_json, to_json_safely, "", "", ""),
        Kind(
            "CS230's `Params`",
            CS230,
            CS230.save,
            nested='p.optimizer["lr"]',
            item='p.dict["learning_rate"]',
        ),
    ]
    try:
        from ml_collections import ConfigDict

        def save_config(config: Any, path: str) -> None:
            Path(path).write_text(config.to_json(indent=4))

        found.append(Kind("ml_collections", lambda path: ConfigDict(from_json(path)), save_config))
    except ImportError:
        pass
    try:
        from omegaconf import OmegaConf

        found.append(
            Kind("OmegaConf", lambda path: OmegaConf.create(from_json(path)), OmegaConf.save)
        )
    except ImportError:
        pass
    return [*found, Kind("**modeldir**", Params, Params.save)]


# -- The questions ---------------------------------------------------------------------------------


def ask(found: list[Kind], rounds: int, folders: int) -> None:
    """Measure the times of all ways."""
    with tempfile.TemporaryDirectory() as place:
        path = str(Path(place) / "params.json")
        to_json(VALUES, path)
        many = [str(Path(place) / f"trial_{number}" / "params.json") for number in range(folders)]
        for each in many:
            Path(each).parent.mkdir()
            to_json(VALUES, each)
        for number in range(rounds):
            turn = number % len(found)
            for kind in [*found[turn:], *found[:turn]]:
                time_one(kind, path, many if number < 3 else [])


def time_one(kind: Kind, path: str, many: list[str]) -> None:
    params = kind.load(path)
    for question in ("attribute", "nested", "item"):
        if typed := getattr(kind, question):
            timer = timeit.Timer(typed, globals={"p": params})
            note(kind, question, per_loop(timer))
    note(kind, "load", per_loop(timeit.Timer(lambda: kind.load(path))))
    if kind.save:
        save, target = kind.save, path + ".saved.json"
        note(kind, "save", per_loop(timeit.Timer(lambda: save(params, target))))
        assert from_json(target) == VALUES if "Omega" not in kind.name else True  # that is YAML
    if many:
        began = time.perf_counter()
        for each in many:
            kind.load(each)
        note(kind, "folders", time.perf_counter() - began)


def note(kind: Kind, question: str, seconds: float) -> None:
    kind.times.setdefault(question, []).append(seconds)


def per_loop(timer: timeit.Timer) -> float:
    """Return seconds per call, from about 20 ms of loops."""
    loops = 1
    while (taken := timer.timeit(loops)) < 0.005:
        loops *= 4
    return min(taken, *(timer.timeit(loops) for _ in range(3))) / loops


# -- The table -------------------------------------------------------------------------------------

SCALES = {
    "attribute": ("attribute, ns", 1e9),
    "nested": ("nested, ns", 1e9),
    "item": ("item, ns", 1e9),
    "load": ("load, µs", 1e6),
    "save": ("save, µs", 1e6),
    "folders": ("{folders:,} folders, s", 1.0),
}


def table(found: list[Kind], folders: int) -> str:
    heads = [head.format(folders=folders) for head, _ in SCALES.values()]
    lines = [f"| | {' | '.join(heads)} |", "|---" + "|---:" * len(heads) + "|"]
    for kind in found:
        cells = [cell(kind, question, found) for question in SCALES]
        lines.append(f"| {kind.name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def cell(kind: Kind, question: str, found: list[Kind]) -> str:
    """Return a median, and in brackets the median ratio to the first way that has an answer."""
    if question not in kind.times:
        return "-"
    first = next(other for other in found if question in other.times)
    median = statistics.median(kind.times[question]) * SCALES[question][1]
    pairs = zip(kind.times[question], first.times[question], strict=True)
    times = statistics.median(ours / its for ours, its in pairs)
    digits = 2 if question == "folders" else 0
    return f"{median:,.{digits}f} ({times:.1f})"


if __name__ == "__main__":
    everybody = kinds()
    ask(everybody, int(sys.argv[1]), int(sys.argv[2]))
    print(table(everybody, int(sys.argv[2])))
