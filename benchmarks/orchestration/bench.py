"""Cost of a trial beside the floor: 64 trivial trials by `modeldir search`, and by `xargs -P`.

    python benchmarks/orchestration/bench.py [--trials 64] [--rounds 7]

Each trial is `train.py`: it reads `params.json` and writes the metrics file. `xargs` runs the same
script on folders that were made beforehand; modeldir makes the folders, keeps the output, records
how each trial ended, and can be killed at any time.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from side_by_side import Contender, machine, race, report

TRAIN = """\
import argparse, json, os
parser = argparse.ArgumentParser()
parser.add_argument("--model_dir")
model_dir = parser.parse_args().model_dir
with open(os.path.join(model_dir, "params.json")) as file:
    params = json.load(file)
with open(os.path.join(model_dir, "metrics_eval_best_weights.json"), "w") as file:
    json.dump({"accuracy": 1.0 / (1 + params["learning_rate"])}, file)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    print(f"{arguments.trials} trivial trials, {arguments.rounds} rounds; {machine()}\n")
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        (root / "train.py").write_text(TRAIN)
        for jobs in (1, 2):
            contenders = [
                by_xargs(root, arguments.trials, jobs),
                by_modeldir(root, arguments.trials, jobs),
            ]
            race(contenders, arguments.rounds)
            print(f"-j {jobs}\n\n{report(contenders, arguments.trials, 'trial')}\n")


def by_xargs(root: Path, trials: int, jobs: int) -> Contender:
    folder = root / "xargs"

    def prepare() -> None:
        shutil.rmtree(folder, ignore_errors=True)
        for number in range(trials):
            trial = folder / f"t{number}"
            trial.mkdir(parents=True)
            (trial / "params.json").write_text(json.dumps({"learning_rate": number}))

    train = f"{sys.executable} train.py --model_dir"
    line = f"seq -f xargs/t%.0f 0 {trials - 1} | xargs -P {jobs} -n 1 {train}"
    return Contender(
        f"xargs -P {jobs}", ["sh", "-c", line], str(root), prepare, lambda: whole(folder, trials)
    )


def by_modeldir(root: Path, trials: int, jobs: int) -> Contender:
    folder = root / "search"

    def prepare() -> None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        (folder / "params.json").write_text(json.dumps({"learning_rate": 0}))

    values = ",".join(map(str, range(trials)))
    modeldir = [sys.executable, "-m", "modeldir", "search", "search", f"learning_rate={values}"]
    command = [*modeldir, "-j", str(jobs), "--", sys.executable, "train.py"]
    return Contender(
        f"modeldir search -j {jobs}", command, str(root), prepare, lambda: whole(folder, trials)
    )


def whole(folder: Path, trials: int) -> None:
    """Every trial has its metrics: a fast way that loses some would not count."""
    found = len(list(folder.glob("*/metrics_eval_best_weights.json")))
    if found != trials:
        raise SystemExit(f"{folder}: {found} of {trials} trials have metrics")


if __name__ == "__main__":
    main()
