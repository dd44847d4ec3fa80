"""Measure the next trial: `Search.next_trial` after many ended trials, beside Optuna's ask.

    python benchmarks/next_trial/bench.py [--rounds 3] [--quick] [--counts 10,1000,10000]
                                          [--samplers random,sobol,grid,tpe]

Eight hyperparameters (for `grid` six lists of five), the trials' folders as a search leaves them.
"fresh" is a process that has just started: it reads the search config and all folders and makes the
first trial. "next" is the cost of each further trial for a running worker: a trial has ended, the
next one is claimed and its folder made. It is the median of 20, 25 ms apart; brackets hold the
sampler's part. "Optuna" is its own `ask` on an in-memory study of the same trials, by the same
sampler, with all values suggested. Milliseconds of CPU, the median over the rounds.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from importlib import metadata
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from image_classifier_space import BASE, DOMAINS
from side_by_side import machine, ratio

ASKS = 20
LIMIT = 600.0
"""Seconds for one process; `tpe` at 10,000 takes half a minute on a busy machine."""
LISTS = {
    "learning_rate": [0.1, 0.03, 0.01, 0.003, 0.001],
    "weight_decay": [0.1, 0.01, 0.001, 1e-4, 1e-5],
    "dropout": [0, 0.1, 0.2, 0.3, 0.4],
    "num_layers": [1, 2, 3, 4, 5],
    "width": [16, 32, 64, 128, 256],
    "batch_size": [16, 32, 64, 128, 256],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--quick", action="store_true", help="one round")
    parser.add_argument("--counts", default="10,1000,10000")
    parser.add_argument("--samplers", default="random,sobol,grid,tpe")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        name, count, place = arguments.one.split(":")
        measured = optuna_asks if name == "optuna" else our_turns
        print(json.dumps(measured(name, int(count), Path(place))))
        return
    rounds = arguments.rounds or (1 if arguments.quick else 3)
    names = arguments.samplers.split(",")
    print(f"{rounds} rounds; {machine()}; {versions(names)}\n")
    print("| finished trials | sampler | fresh, ms | next, ms | Optuna's ask, ms |")
    print("|---:|---|---:|---:|---:|")
    for count in map(int, arguments.counts.split(",")):
        with tempfile.TemporaryDirectory() as place:
            for kind in {"lists" if name == "grid" else "ranges" for name in names}:
                make(Path(place) / kind, LISTS if kind == "lists" else DOMAINS, count)
            compare(names, count, Path(place), rounds)


def versions(names: list[str]) -> str:
    return f"optuna {metadata.version('optuna')}" if "tpe" in names else "without Optuna"


def compare(names: list[str], count: int, place: Path, rounds: int) -> None:
    contenders = [*names, *(["optuna"] if "tpe" in names else [])]
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in contenders}
    for number in range(rounds):
        turn = number % len(contenders)
        for name in [*contenders[turn:], *contenders[:turn]]:
            folder = place / ("lists" if name == "grid" else "ranges")
            words = [sys.executable, __file__, "--one", f"{name}:{count}:{folder}"]
            done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=LIMIT)
            if done.returncode:
                raise SystemExit(f"{name}, {count}: {done.stderr.splitlines()[-1]}")
            runs[name].append(json.loads(done.stdout))
    middle = {
        name: {key: 1000 * statistics.median(run[key] for run in several) for key in several[0]}
        for name, several in runs.items()
    }
    for name in names:
        ours = middle[name]
        theirs = f"{middle['optuna']['next']:.2f}" if name == "tpe" else "-"
        if name == "tpe":
            whole, part = (
                ratio([run[key] for run in runs["tpe"]], [run["next"] for run in runs["optuna"]])
                for key in ("next", "ask")
            )
            theirs += f" (ours {whole:.2f} x, the sampler's part {part:.2f} x)"
        fresh, after = f"{ours['fresh']:.0f}", f"{ours['next']:.2f} ({ours['ask']:.2f})"
        print(f"| {count:,} | `{name}` | {fresh} | {after} | {theirs} |", flush=True)


# -- The trials ------------------------------------------------------------------------------------


def make(folder: Path, domains: dict, count: int) -> None:
    """Make a search with `count` completed trials."""
    from modeldir import Search
    from modeldir.samplers import make as sampler
    from modeldir.testing import loss

    folder.mkdir()
    (folder / "params.json").write_text(json.dumps(BASE))
    search = Search(folder, domains, sampler="random", trials=count, minimize="loss", seed=1)
    search.prepare()
    kind = "grid" if domains is LISTS else "random"
    proposes = sampler(kind, search.plan.space, 1)
    chance = random.Random(1)
    for number in range(1, count + 1):
        proposal = proposes.ask(number)
        if kind == "grid":  # a grid needs its position
            from modeldir.samplers import Observation

            proposes.tell(Observation(number, proposal.configuration, "completed"))
        point = proposal.configuration
        told = {"sampler": kind, "seed": 1}
        record = search.trials.claim(point, {**BASE, **point}, told=told, numbered=True)
        value = loss(point) if kind == "random" else chance.random()
        finish(folder / record.name, value)


def finish(folder: Path, value: float) -> None:
    run = {"format": 1, "attempt": 1, "status": "completed", "token": "x", "duration": 1.0}
    (folder / "run.json").write_text(json.dumps(run))
    (folder / "metrics_eval_best_weights.json").write_text(json.dumps({"loss": value}))


# -- What is measured ------------------------------------------------------------------------------


def our_turns(name: str, count: int, folder: Path) -> dict[str, float]:
    began = time.process_time()
    from modeldir import Search

    search = Search(folder, sampler=name, trials=count + ASKS + 1)
    search.prepare()
    turn = search.scheduler.next_trial()
    fresh = time.process_time() - began
    sampler = search.scheduler.observations.sampler
    ask, spent, taken = sampler.ask, [0.0], []

    def timed(number: int):
        began = time.process_time()
        proposal = ask(number)
        spent[0] += time.process_time() - began
        return proposal

    sampler.ask = timed
    made, asks = [turn.record], []
    for _ in range(ASKS):
        finish(folder / turn.record.name, 0.5)
        time.sleep(0.025)
        spent[0], began = 0.0, time.process_time()
        turn = search.scheduler.next_trial()
        taken.append(time.process_time() - began)
        asks.append(spent[0])
        made.append(turn.record)
    for record in made:  # the next contender finds it as it was
        shutil.rmtree(folder / record.name)
        for end in ("json", "made"):
            os.unlink(folder / ".modeldir" / "trials" / f"{record.number:06d}.{end}")
    (folder / "search.json").touch()
    return {"fresh": fresh, "next": statistics.median(taken), "ask": statistics.median(asks)}


def optuna_asks(name: str, count: int, folder: Path) -> dict[str, float]:
    del name, count
    import optuna

    from modeldir import Search
    from modeldir.samplers._optuna import OptunaAxis
    from modeldir.samplers.tpe import make_tpe

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    search = Search(folder)
    axes = {dim.name: OptunaAxis(dim) for dim in search.plan.space.dims}
    distributions = {name: axis.distribution for name, axis in axes.items()}
    study = optuna.create_study(sampler=make_tpe(1, 10))
    search.trials.refresh()
    for record in search.trials:
        values = {name: axes[name].to_model(record.configuration[name]) for name in axes}
        written = json.loads((folder / record.name / "metrics_eval_best_weights.json").read_text())
        study.add_trial(
            optuna.trial.create_trial(
                params=values, distributions=distributions, value=written["loss"]
            )
        )
    taken = []
    for _ in range(ASKS + 1):
        time.sleep(0.025)  # as ours
        began = time.process_time()
        trial = study.ask(distributions)
        taken.append(time.process_time() - began)
        study.tell(trial, 0.5)
    return {"fresh": 0.0, "next": statistics.median(taken[1:]), "ask": 0.0}


if __name__ == "__main__":
    main()
