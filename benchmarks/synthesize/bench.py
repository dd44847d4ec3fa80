"""Compare `modeldir results` of large trees with other ways to the same table, and a floor.

    python benchmarks/synthesize/bench.py [--folders 1000,10000,100000] [--rounds 7] [--quick]
        [--peers] [--recorded] [--place DIR]

A tree has one folder per experiment: `params.json` of ten names, `metrics_eval_best_weights.json`
of three, `metrics.jsonl` of fifty lines; with `--recorded` also a `run.json`. It is made once (in
`trees` beside the peers' environments) and read from the page cache. The floor (`reader.c`) lists
the same folders and reads their params and metrics files. All contenders run once per round, in an
order that rotates. The figures are medians, and medians of the ratios to the floor of the same
round. CPU and memory are those of all processes of a contender; memory is at least that of this
script.

MLflow (`--peers`) gets only the
tree of 1,000, because logging it takes minutes once.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
import peers
from side_by_side import Contender, machine, race, report

HERE = Path(__file__).parent
PYTHON = sys.executable
EVAL = "metrics_eval_best_weights.json"
LARGE = 100_000
MLFLOW = 1_000  # folders at most
METRICS = "peers-metrics"
LOSSES = [(step, round(2 / step, 6)) for step in range(1, 51)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folders", help="how many, with commas (default: 1000,10000,100000)")
    parser.add_argument("--rounds", type=int, help="default: 7, of 100,000 3; 3 with --quick")
    parser.add_argument("--quick", action="store_true", help="1,000 and 10,000 folders")
    parser.add_argument("--peers", action="store_true", help="install MLflow, and time it")
    parser.add_argument("--recorded", action="store_true", help="trials with a run.json")
    parser.add_argument("--place", type=Path, default=peers.HOME / "trees")
    parser.add_argument("--only", help="contenders whose names hold one of these words (a,b)")
    arguments = parser.parse_args()
    counts = arguments.folders or ("1000,10000" if arguments.quick else "1000,10000,100000")
    print(machine())
    for count in map(int, counts.split(",")):
        rounds = arguments.rounds or (3 if arguments.quick or count >= LARGE else 7)
        tree = grown(arguments.place, count, recorded=arguments.recorded)
        with tempfile.TemporaryDirectory() as scratch:
            measure(tree, count, rounds, Path(scratch), arguments)


def measure(
    tree: Path, count: int, rounds: int, scratch: Path, arguments: argparse.Namespace
) -> None:
    """Return one table: all contenders on one tree."""
    contenders, left_out = all_of(tree, scratch, with_peers=arguments.peers, count=count)
    if arguments.only:
        words = ["floor", *arguments.only.split(",")]
        contenders = [each for each in contenders if any(word in each.name for word in words)]
    for each in contenders[:2]:  # into the page cache
        subprocess.run(each.command, check=True, stdout=subprocess.DEVNULL)
    race(contenders, rounds)
    kind = "recorded trials" if arguments.recorded else "folders that others made"
    print(f"\n{count:,} {kind}, {rounds} rounds; {machine()}\n")
    print(report(contenders, "tree"))
    for line in left_out:
        print(f"Not here: {line}")


def all_of(
    tree: Path, scratch: Path, *, with_peers: bool, count: int
) -> tuple[list[Contender], list[str]]:
    """Return the contenders, the floor first, and those that could not be installed."""
    found: list[Contender] = []
    left_out: list[str] = []
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler:
        reader = scratch / "reader"
        subprocess.run([compiler, "-O2", "-o", reader, HERE / "reader.c"], check=True)
        found.append(Contender("floor: C, openat, read, close", [str(reader), str(tree)]))
    else:
        left_out.append("the floor: no C compiler; the ratios are to the next row")
    every = f"find {tree} -type f -print0 | xargs -0 cat"
    found.append(Contender("`find -print0 \\| xargs -0 cat`, all files", ["sh", "-c", every]))
    found.append(other("CS230's way (metrics alone)", "cs230", tree))
    if subprocess.run([PYTHON, "-c", "import pandas"], check=False, stderr=-3).returncode:
        left_out.append("pandas")
    else:
        found.append(other("pandas", "pandas", tree))
    if with_peers and count <= MLFLOW:
        versions, missing = peers.installed(["mlflow"], peers.HOME / METRICS, ours=False)
        print(peers.told(versions, missing))
        try:
            found += [mlflow(tree, count, version) for version in versions.values()]
        except subprocess.CalledProcessError as error:
            left_out.append(f"MLflow: logging ended with exit code {error.returncode}")
    return [*found, *ours(tree)], left_out


def other(name: str, way: str, tree: Path) -> Contender:
    return Contender(name, [PYTHON, str(HERE / "alternatives.py"), way, str(tree)])


def ours(tree: Path) -> list[Contender]:
    """Our rows."""
    command = [str(Path(PYTHON).with_name("modeldir")), "synthesize", str(tree)]
    return [
        Contender("modeldir, all rows", command),
        Contender("modeldir, best 20", [*command, "--top", "20"]),
    ]


# -- Trees -----------------------------------------------------------------------------------------


def grown(place: Path, count: int, *, recorded: bool) -> Path:
    """Return the tree with this many folders; make it if there is none."""
    tree = place / f"{'ended' if recorded else 'plain'}-{count}"
    if not (place / f"{tree.name}.made").exists():
        shutil.rmtree(tree, ignore_errors=True)
        print(f"making {count:,} folders ...", file=sys.stderr)
        chance = random.Random(8)
        for number in range(1, count + 1):
            _plant(tree / f"trial_{number:06d}", number, chance, recorded=recorded)
        (place / f"{tree.name}.made").touch()
    return tree


def metrics_of(accuracy: float) -> dict[str, object]:
    return {"accuracy": round(accuracy, 4), "loss": round(2 - 2 * accuracy, 6), "epoch": 50}


def _plant(folder: Path, number: int, chance: random.Random, *, recorded: bool) -> None:
    folder.mkdir(parents=True)
    params = {
        "learning_rate": float(f"{10 ** chance.uniform(-5, 0):.6g}"),
        "batch_size": chance.choice([16, 32, 64, 128]),
        "dropout": round(chance.uniform(0, 0.7), 3),
        "weight_decay": float(f"{10 ** chance.uniform(-7, -1):.6g}"),
        "num_layers": chance.randint(1, 8),
        "hidden_units": chance.choice([64, 128, 256, 512]),
        "optimizer": chance.choice(["adam", "sgd", "rmsprop"]),
        "activation": chance.choice(["relu", "gelu", "tanh"]),
        "num_epochs": 50,
        "seed": number,
    }
    _write(folder / "params.json", params)
    accuracy = chance.random()
    _write(folder / EVAL, metrics_of(accuracy))
    # As json.dumps writes it, and ten times as fast.
    lines = [
        f'{{"step": {step}, "loss": {loss}, "accuracy": {round(accuracy * step / 50, 6)}}}\n'
        for step, loss in LOSSES
    ]
    (folder / "metrics.jsonl").write_text("".join(lines))
    if recorded:
        _record(folder, number)


def _record(folder: Path, number: int) -> None:
    _write(folder / "trial.json", {"number": number, "point": {}, "hash": "0" * 16})
    record = {
        "format": 1,
        "attempt": 1,
        "token": f"{number:016x}",
        "command": ["python", "train.py", "--model_dir", str(folder)],
        "found": ["params.json"],
        "started": "2026-11-25T12:00:00.000Z",
        "intent": None,
        "status": "completed",
        "ended": "2026-11-25T12:05:00.000Z",
        "duration": 300 + number / 1000,
        "exit_code": 0,
        "code": "0123456789abcdef",
    }
    # By rename, after all else, as modeldir records an end.
    _write(folder / ".run-made", record)
    os.replace(folder / ".run-made", folder / "run.json")


def _write(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=4) + "\n")


# -- MLflow ----------------------------------------------------------------------------------------


def mlflow(tree: Path, count: int, version: str) -> Contender:
    """Return a search over the same values in a file store, which is made once in some minutes."""
    python = str(peers.HOME / METRICS / "bin" / "python")
    store = tree.with_name(f"mlflow-{version}-{count}")
    done = tree.with_name(f"{store.name}.made")
    if not done.exists():
        shutil.rmtree(store, ignore_errors=True)
        print(f"logging {count:,} runs to MLflow ...", file=sys.stderr)
        words = [python, str(HERE / "alternatives.py"), "log-mlflow", str(tree), str(store)]
        subprocess.run(words, check=True, capture_output=True)
        done.touch()
    words = [python, str(HERE / "alternatives.py"), "mlflow", str(tree), str(store)]
    return Contender("MLflow, `search_runs`, its file store", words, guest=True)


if __name__ == "__main__":
    main()
