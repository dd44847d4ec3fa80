"""Cost of a trial beside the floor, `xargs -P` running the same script, and beside peers.

    python benchmarks/orchestration/bench.py [--rounds 5] [--quick] [--peers] [--only floor,grown]

Each trial is `train.py`: it reads `params.json` and writes the metrics file. `xargs` runs it on
folders that were made beforehand; modeldir makes the folders, keeps the output, records how each
trial ended, and can be killed at any time: with `--no-preload`, where each trial starts an
interpreter, and as it is, where all but the first few are forks of a process that has imported
what the script imports, which it has to find out each time (docs/concepts/preloading.md). Three
questions: what does a trial cost among 64 and among 1,000; does it cost the same once 10,000 have
ended; and (`--peers`) what does it cost others.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
import finished_search
import peer_runners
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
LOOP = """\
# As CS230's search_hyperparams.py launches its jobs.
import json, os, sys
from subprocess import check_call
for number in range(int(sys.argv[1])):
    model_dir = os.path.join("loop", f"learning_rate_{number}")
    os.makedirs(model_dir)
    with open(os.path.join(model_dir, "params.json"), "w") as file:
        json.dump({"learning_rate": number}, file, indent=4)
    check_call(f"{sys.executable} train.py --model_dir={model_dir}", shell=True)
"""
CACHE = "cache"
PARTS = ("floor", "grown")
AT = (10, 1_000, 10_000)
LONG = 3
"""Rounds at most of what takes a minute a round."""
ENOUGH = 16
"""Trials from which on a search of this script is preloaded."""
MORE = 100
"""Trials over which the cost of one is measured, where others have ended before."""


def main() -> None:
    arguments = _arguments()
    print(f"{arguments.rounds} rounds; {machine()}\n")
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        os.environ["XDG_CACHE_HOME"] = str(root / CACHE)  # what one learns is not the user's
        (root / "train.py").write_text(TRAIN)
        (root / "loop.py").write_text(LOOP)
        if "floor" in arguments.only:
            for trials in (64,) if arguments.quick else (64, 1_000):
                for jobs in (1, 2):
                    rounds = arguments.rounds if trials == 64 else min(arguments.rounds, LONG)
                    beside_the_floor(root, trials, jobs, rounds)
        if "grown" in arguments.only:
            at = AT[:2] if arguments.quick else AT
            as_it_grows(root, at, min(arguments.rounds, LONG))
        if arguments.peers:
            ours = (by_xargs, by_modeldir_without_preload, by_modeldir)
            peer_runners.beside(root, ours, 64, min(arguments.rounds, LONG))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="64 trials, up to 1,000 ended ones")
    parser.add_argument("--peers", action="store_true", help="install peers, and run them as well")
    parser.add_argument("--only", default=",".join(PARTS), help=f"of {', '.join(PARTS)}, or none")
    arguments = parser.parse_args()
    arguments.only = [part for part in arguments.only.split(",") if part in PARTS]
    return arguments


# -- Beside the floor ------------------------------------------------------------------------------


def beside_the_floor(root: Path, trials: int, jobs: int, rounds: int) -> None:
    ours = (by_xargs, by_modeldir_without_preload, by_modeldir)
    contenders = [make(root, trials, jobs) for make in ours]
    if jobs == 1:
        contenders.append(by_loop(root, trials))
    race(contenders, rounds)
    print(f"{trials} trials, {jobs} at a time\n\n{report(contenders, 'trial')}\n", flush=True)


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
        f"xargs -P {jobs}",
        ["sh", "-c", line],
        str(root),
        prepare,
        lambda: whole(folder, trials),
        units=trials,
    )


def by_modeldir_without_preload(root: Path, trials: int, jobs: int) -> Contender:
    return by_modeldir(root, trials, jobs, "--no-preload")


def by_modeldir(root: Path, trials: int, jobs: int, *options: str) -> Contender:
    """Run the search as the first one ever of the script."""
    folder = root / "search"

    def prepare() -> None:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(root / CACHE, ignore_errors=True)
        folder.mkdir()
        (folder / "params.json").write_text(json.dumps({"learning_rate": 0}))

    values = ",".join(map(str, range(trials)))
    modeldir = [sys.executable, "-m", "modeldir", "search", "search", f"learning_rate={values}"]
    command = [*modeldir, "-j", str(jobs), *options, "--", sys.executable, "train.py"]

    def check() -> None:
        whole(folder, trials)
        were = sum('"preloaded": {' in path.read_text() for path in folder.glob("*/run.json"))
        if bool(were) is (bool(options) or trials < ENOUGH):
            raise SystemExit(f"{folder}: {were} of {trials} trials were preloaded")

    name = " ".join(("modeldir search -j", str(jobs), *options))
    return Contender(name, command, str(root), prepare, check, units=trials)


def by_loop(root: Path, trials: int) -> Contender:
    folder = root / "loop"
    command = [sys.executable, "loop.py", str(trials)]
    return Contender(
        "CS230's loop",
        command,
        str(root),
        lambda: shutil.rmtree(folder, ignore_errors=True),
        lambda: whole(folder, trials),
        units=trials,
    )


def whole(folder: Path, trials: int) -> None:
    """Check that every trial has its metrics: a tool that loses some does not count."""
    found = len(list(folder.glob("*/metrics_eval_best_weights.json")))
    if found != trials:
        raise SystemExit(f"{folder}: {found} of {trials} trials have metrics")


# -- As it grows -----------------------------------------------------------------------------------


def as_it_grows(root: Path, at: tuple[int, ...], rounds: int) -> None:
    """Measure what a trial costs after many others: 100 more trials, minus a run of one.

    The command is `/bin/true`, so that hardly anything but modeldir is measured.
    """
    print("| ended before | one more trial, CPU ms | to come, CPU ms |\n|---:|---:|---:|")
    for ended in at:
        once, often = (_grown(root, ended, more) for more in (1, 1 + MORE))
        race([once, often], rounds)
        each = [(b - a) * 1000 / MORE for a, b in zip(once.cpu, often.cpu, strict=True)]
        come = statistics.median(once.cpu) * 1000
        print(f"| {ended:,} | {statistics.median(each):.1f} | {come:.0f} |", flush=True)
    print()


def _grown(root: Path, ended: int, more: int) -> Contender:
    folder = root / f"grown-{ended}"

    def prepare() -> None:
        if folder.exists():
            finished_search.cut(folder, ended)
        else:
            finished_search.make(folder, ended)

    modeldir = [
        sys.executable,
        "-m",
        "modeldir",
        "search",
        str(folder),
        finished_search.DOMAIN,
        "--no-check",
    ]
    options = ["--sampler", "random", "--trials", str(ended + more), "--", "/bin/true"]

    def check() -> None:
        there = len(list(folder.glob(".modeldir/trials/*.json")))
        if there != ended + more:
            raise SystemExit(f"{folder}: {there} trials, not {ended + more}")

    return Contender(f"{more} more", [*modeldir, *options], str(root), prepare, check)


if __name__ == "__main__":
    main()
