"""Compare preloaded trials with others: `--no-preload`, a script's first search, and a later one.

    python benchmarks/preload/bench.py [--trials 6] [--rounds 3] [--quick] [--only torch]

The first search of a script runs its first trial without preloading and learns the imports. A later
search, in another folder, knows them and imports them before its first trial. The cost of a further
trial is that of a longer search minus that of a short one. All is measured for one trial at a time,
in wall and CPU seconds, then for two at a time: with OpenMP's teams waiting asleep (as modeldir has
it) or with the cores divided among them (`--threads-per-trial auto`).

The jobs are NumPy with scikit-learn if installed, `import torch`, and one epoch of PyTorch on
numbers of the size of the digits, if installed. Every search must complete all its trials, a later
one with all of them preloaded, and their results must be equal byte for byte.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import shutil
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from side_by_side import Contender, machine, race

METRICS = "metrics_eval_best_weights.json"
HEAD = """\
import json, os, sys
folder = sys.argv[sys.argv.index("--model_dir") + 1]
with open(os.path.join(folder, "params.json")) as file:
    rate = json.load(file)["learning_rate"]
accuracy = rate
"""
TAIL = f"""
with open(os.path.join(folder, {METRICS!r}), "w") as file:
    json.dump({{"accuracy": accuracy}}, file)
"""
NUMPY = """
import numpy
rng = numpy.random.default_rng(230)
accuracy = float((rng.normal(size=(200, 200)) @ rng.normal(size=(200, 200))).mean() + rate)
"""
SKLEARN = """
from sklearn.datasets import load_digits
from sklearn.linear_model import SGDClassifier
x, y = load_digits(return_X_y=True)
model = SGDClassifier(alpha=rate, max_iter=5, tol=None, random_state=230)
accuracy = float(model.fit(x, y).score(x, y))
"""
TORCH = """
import torch
accuracy = float(torch.tensor(rate))
"""
DIGITS = """
import numpy, torch
torch.manual_seed(230)
rng = numpy.random.default_rng(230)
x = torch.from_numpy(rng.normal(size=(1797, 64)).astype("float32"))
y = torch.from_numpy(rng.integers(0, 10, size=1797))
model = torch.nn.Sequential(torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Linear(32, 10))
optimizer = torch.optim.Adam(model.parameters(), lr=rate)
loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, y), 64, shuffle=True)
for epoch in range(EPOCHS):
    for inputs, labels in loader:
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(inputs), labels)
        loss.backward()
        optimizer.step()
accuracy = float((model(x).argmax(1) == y).float().mean())
"""
LONGER = 3
"""How much more the longer search has, in times the short one's trials."""


@dataclass(frozen=True)
class Job:
    """A script and the options of its searches."""

    name: str
    script: str
    options: tuple[str, ...] = ()
    variables: tuple[str, ...] = ()


def _whole(body: str) -> str:
    return HEAD + body + TAIL


def _digits(epochs: int) -> str:
    return _whole(DIGITS.replace("EPOCHS", str(epochs)))


def jobs_here() -> list[Job]:
    """Return the jobs that can run here, one trial at a time."""
    there = {name: importlib.util.find_spec(name) for name in ("numpy", "sklearn", "torch")}
    found = [Job("NumPy", _whole(NUMPY))] if there["numpy"] else []
    found += [Job("NumPy and scikit-learn", _whole(NUMPY + SKLEARN))] if there["sklearn"] else []
    if there["torch"]:
        found += [
            Job("`import torch`", _whole(TORCH)),
            Job("PyTorch, one epoch", _digits(1)),
            Job(
                "PyTorch, one epoch, `--threads-per-trial 1`",
                _digits(1),
                ("--threads-per-trial", "1"),
            ),
        ]
    return found


def side_by_side_here() -> list[Job]:
    """Return the ways in which two trials at a time may share two cores."""
    if importlib.util.find_spec("torch") is None:
        return []
    two, script = ("-j", "2"), _digits(10)
    return [
        Job("as libgomp has it", script, two, ("OMP_WAIT_POLICY=",)),  # it knows no such policy
        Job("asleep, as modeldir has it", script, two),
        Job("`--threads-per-trial auto`", script, (*two, "--threads-per-trial", "auto")),
    ]


@dataclass(frozen=True)
class Searches:
    """Searches of one script: without preloading, the first one, later ones; short and long."""

    root: Path
    job: Job

    def contender(self, way: str, trials: int) -> Contender:
        folder = self.root / f"{way}-{trials}"
        cache = self.root / "cache"

        def prepare() -> None:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            (folder / "params.json").write_text(json.dumps({"learning_rate": 0}))
            if way == "first":
                shutil.rmtree(cache, ignore_errors=True)

        values = ",".join(f"0.{number:03}" for number in range(1, trials + 1))
        options = [*self.job.options, *(["--no-preload"] if way == "plain" else [])]
        words = [sys.executable, "-m", "modeldir", "search", folder.name, f"learning_rate={values}"]
        command = [*words, *options, "--", sys.executable, "train.py"]
        command = ["env", f"XDG_CACHE_HOME={cache}", *self.job.variables, *command]
        preloaded = trials if way == "later" else 0
        return Contender(
            way, command, str(self.root), prepare, lambda: check(folder, trials, preloaded)
        )

    def equal(self) -> bool:
        """Return whether all trials wrote the same."""
        found: dict[str, set[bytes]] = {}
        for path in self.root.glob(f"*/*/{METRICS}"):
            found.setdefault(path.parent.name, set()).add(path.read_bytes())
        return bool(found) and all(len(each) == 1 for each in found.values())


def check(folder: Path, trials: int, preloaded: int) -> None:
    """Check that every trial has its metrics, and how many were preloaded."""
    found = len(list(folder.glob(f"*/{METRICS}")))
    if found != trials:
        raise SystemExit(f"{folder}: {found} of {trials} trials have metrics")
    records = [json.loads(path.read_text()) for path in folder.glob("*/run.json")]
    were = sum(bool(record.get("preloaded")) for record in records)
    if were < preloaded:
        raise SystemExit(f"{folder}: {were} of {preloaded} trials were preloaded")


def made(root: Path, number: int, job: Job) -> Searches:
    place = root / str(number)
    place.mkdir()
    (place / "train.py").write_text(job.script)
    return Searches(place, job)


def per_trial(short: Contender, long: Contender, kind: str, more: int) -> list[float]:
    """Return the cost of each further trial, round by round."""
    pairs = zip(getattr(short, kind), getattr(long, kind), strict=True)
    return [(after - before) / more for before, after in pairs]


def ratio(one: Sequence[float], other: Sequence[float]) -> str:
    """Return the median of the ratios of the same rounds."""
    pairs = zip(one, other, strict=True)
    return f"{statistics.median(a / b if b > 0 else float('nan') for a, b in pairs):.3f}"


def row(name: str, searches: Searches, trials: int, rounds: int) -> dict[str, str]:
    """Return a line of each table."""
    less, long = max(1, trials // 3), (1 + LONGER) * trials
    sizes = (("plain", less), ("plain", trials), ("first", trials), ("later", trials))
    few, plain, first, later, many = contenders = [
        searches.contender(*each) for each in (*sizes, ("later", long))
    ]
    race(contenders, rounds)
    if not searches.equal():
        raise SystemExit(f"{name}: the preloaded trials' metrics differ from those without preload")
    lines = {}
    for kind in ("wall", "cpu"):
        whole = [getattr(each, kind) for each in (plain, first, later)]
        plain_one = per_trial(few, plain, kind, trials - less)
        preloaded_one = per_trial(later, many, kind, LONGER * trials)
        cells = [
            name,
            *(f"{statistics.median(each):.2f}" for each in whole),
            *(ratio(each, whole[0]) for each in whole[1:]),
            *(f"{1000 * statistics.median(each):.0f}" for each in (plain_one, preloaded_one)),
            ratio(preloaded_one, plain_one),
        ]
        lines[kind] = f"| {' | '.join(cells)} |"
    return lines


def one_at_a_time(root: Path, trials: int, rounds: int, only: str) -> None:
    heads = (
        "no preload, s",
        "first, s",
        "later, s",
        "first / no preload",
        "later / no preload",
    )
    more = ("a further one without preload, ms", "preloaded, ms", "preloaded / no preload")
    table: dict[str, list[str]] = {"wall": [], "cpu": []}
    for number, job in enumerate(job for job in jobs_here() if only in job.name):
        for kind, line in row(job.name, made(root, number, job), trials, rounds).items():
            table[kind].append(line)
    for kind, lines in table.items():
        print(f"searches of {trials}, one trial at a time, {kind}\n")
        print(f"| | {' | '.join((*heads, *more))} |\n|---|{'---:|' * 8}")
        print("\n".join(lines), end="\n\n", flush=True)


def two_at_a_time(root: Path, trials: int, rounds: int) -> None:
    jobs = side_by_side_here()
    if not jobs:
        return
    print(f"searches of {trials}, two trials at a time, ten epochs of PyTorch\n")
    heads = ("no preload, s", "later, s", "no preload, s CPU", "later, s CPU")
    print(f"| how their threads wait | {' | '.join(heads)} |\n|---|{'---:|' * 4}")
    kinds = [made(root, 100 + number, job) for number, job in enumerate(jobs)]
    ways = [(each.contender("plain", trials), each.contender("later", trials)) for each in kinds]
    for each in kinds:
        race([each.contender("first", trials)], 1)  # what it learns the later one needs
    race([way for pair in ways for way in pair], rounds)
    for job, pair in zip(jobs, ways, strict=True):
        spent = [getattr(way, kind) for kind in ("wall", "cpu") for way in pair]
        cells = [f"{statistics.median(each):.2f}" for each in spent]
        print(f"| {' | '.join((job.name, *cells))} |", flush=True)
    if not all(each.equal() for each in kinds):
        raise SystemExit("the preloaded trials' metrics differ from those without preload")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=6)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="one round, some minutes")
    parser.add_argument("--only", default="", help="jobs with this in their names, one at a time")
    arguments = parser.parse_args()
    rounds = 1 if arguments.quick else arguments.rounds
    os.environ.pop("OMP_WAIT_POLICY", None)
    print(f"{rounds} rounds, medians; {machine()}\n", flush=True)
    with tempfile.TemporaryDirectory() as place:
        one_at_a_time(Path(place), arguments.trials, rounds, arguments.only)
        if not arguments.only:
            two_at_a_time(Path(place), 4, rounds)


if __name__ == "__main__":
    main()
