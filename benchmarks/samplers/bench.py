"""Measure what a proposal costs: for each sampler after 100, 1,000 and 5,000 finished trials.

    python benchmarks/samplers/bench.py [--only random,tpe] [--counts 100,1000] [--folders]

Eight hyperparameters: three ranges of floats (two of them logarithmic), three of integers, two
lists. "first" is the cost for a worker that has just started: make the sampler, give it all trials,
ask. "next" is one more trial and one more ask. The figures are CPU seconds of this process, the
median of three. Each sampler has its own process, so its first figure includes its imports.

With --folders the same goes through `Search.next_trial`, on a search folder with that many finished
trials, and includes everything that is read from the disk.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from image_classifier_space import BASE, DOMAINS, NUMBERS
from side_by_side import machine

SAMPLERS = ("random", "sobol", "tpe", "cmaes", "nsga2", "gp")
SLOW = {"gp": 1000}  # beyond this an ask takes minutes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default=",".join(SAMPLERS))
    parser.add_argument("--counts", default="100,1000,5000")
    parser.add_argument("--folders", action="store_true")
    parser.add_argument("--quick", action="store_true", help="a minute: up to 1,000 trials, not gp")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.counts, arguments.only = "100,1000", "random,sobol,tpe,cmaes,nsga2"
    if arguments.one:
        name, count = arguments.one.split(":")
        measure = through_folders if arguments.folders else in_process
        print(json.dumps(measure(name, int(count))))
        return
    counts = [int(count) for count in arguments.counts.split(",")]
    print(f"CPU seconds for one proposal; {machine()}\n")
    print("| | " + " | ".join(f"{count:,} first | next" for count in counts) + " |")
    print("|---|" + "---:|" * (2 * len(counts)))
    for name in arguments.only.split(","):
        cells = []
        for count in counts:
            if count > SLOW.get(name, count):
                cells.append("not run | not run")
                continue
            runs = [one(name, count, folders=arguments.folders) for _ in range(3)]
            first, after = (statistics.median(column) for column in zip(*runs, strict=True))
            cells.append(f"{first:.3f} | {after:.4f}")
        print(f"| `{name}` | " + " | ".join(cells) + " |", flush=True)


def one(name: str, count: int, *, folders: bool) -> list[float]:
    words = [sys.executable, __file__, "--one", f"{name}:{count}"]
    done = subprocess.run(
        [*words, *(["--folders"] if folders else [])], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{name}, {count}: {done.stderr.splitlines()[-1]}")
    return json.loads(done.stdout)


def in_process(name: str, count: int) -> list[float]:
    from modeldir.samplers import Observation, make
    from modeldir.space import parse_space
    from modeldir.testing import loss

    space = parse_space(NUMBERS if name == "cmaes" else DOMAINS, BASE, "bench")
    objectives = (("loss", "minimize"),)
    draws = make("random", space, 1)
    told = []
    for number in range(1, count + 1):
        point = draws.ask(number).configuration
        before = [*range(max(1, number - 20), number)]
        notes = {"generation": number // 20, "from": before, "parents": before}
        told.append(Observation(number, point, "completed", {"loss": loss(point)}, notes))
    began = time.process_time()
    sampler = make(name, space, 1, objectives)
    for each in told:
        sampler.tell(each)
    proposal = sampler.ask(count + 1)
    first = time.process_time() - began
    began = time.process_time()
    for number in range(count + 1, count + 6):
        point = proposal.configuration
        sampler.tell(Observation(number, point, "completed", {"loss": loss(point)}, proposal.notes))
        proposal = sampler.ask(number + 1)
    return [first, (time.process_time() - began) / 5]


def through_folders(name: str, count: int) -> list[float]:
    from modeldir import Search
    from modeldir.testing import loss

    with tempfile.TemporaryDirectory() as place:
        os.chdir(place)
        folder = Path("search")
        folder.mkdir()
        (folder / "params.json").write_text(json.dumps(BASE))
        domains = NUMBERS if name == "cmaes" else DOMAINS
        given = {"trials": count, "minimize": "loss", "seed": 1}
        maker = Search(folder, domains, sampler="random", **given)
        maker.prepare()
        for number in range(1, count + 1):
            record = maker.next_trial(frozenset(range(1, number))).record
            finished(folder / record.name, loss(record.configuration))
        search = Search(folder, sampler=name, trials=count + 20)
        began = time.process_time()
        search.prepare()
        turn = search.scheduler.next_trial()
        first = time.process_time() - began
        began = time.process_time()
        for _ in range(5):
            finished(folder / turn.record.name, loss(turn.record.configuration))
            turn = search.scheduler.next_trial()
        return [first, (time.process_time() - began) / 5]


def finished(folder: Path, value: float) -> None:
    run = {"format": 1, "attempt": 1, "status": "completed", "token": "x", "duration": 1.0}
    (folder / "run.json").write_text(json.dumps(run))
    (folder / "metrics_eval_best_weights.json").write_text(json.dumps({"loss": value}))


if __name__ == "__main__":
    main()
