"""Warm trials beside cold ones: the same searches with `--cold` and without.

    python benchmarks/warm/bench.py [--trials 6] [--rounds 5] [--quick]

Two figures each: a whole search of `--trials` (the cold first one and what is imported ahead
included), and what a further trial costs (a search of twice as many, less that one). The jobs: a
tiny script, NumPy, with scikit-learn where it is there, `import torch` and one epoch of PyTorch on
as many numbers as the digits are, where that is there. Every search has to complete all its trials;
what they wrote has to be equal, byte for byte.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
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
for inputs, labels in loader:
    optimizer.zero_grad()
    loss = torch.nn.functional.cross_entropy(model(inputs), labels)
    loss.backward()
    optimizer.step()
accuracy = float((model(x).argmax(1) == y).float().mean())
"""


def jobs_here() -> dict[str, str]:
    """The scripts that can run here, by what they do."""
    there = {name: importlib.util.find_spec(name) for name in ("numpy", "sklearn", "torch")}
    found = {"tiny (json)": ""}
    found |= {"NumPy": NUMPY} if there["numpy"] else {}
    found |= {"NumPy and scikit-learn": NUMPY + SKLEARN} if there["sklearn"] else {}
    found |= {"`import torch`": TORCH, "PyTorch, one epoch": DIGITS} if there["torch"] else {}
    return {name: HEAD + body + TAIL for name, body in found.items()}


@dataclass(frozen=True)
class Searches:
    """Searches of one script in a folder of their own, cold and warm, short and long."""

    root: Path
    trials: int
    jobs: int

    def contender(self, way: str, trials: int) -> Contender:
        folder = self.root / f"{way}-{trials}"

        def prepare() -> None:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            (folder / "params.json").write_text(json.dumps({"learning_rate": 0}))

        values = ",".join(f"0.{number:03}" for number in range(1, trials + 1))
        options = ["-j", str(self.jobs), *(["--cold"] if way == "cold" else [])]
        words = [sys.executable, "-m", "modeldir", "search", folder.name, f"learning_rate={values}"]
        command = [*words, *options, "--", sys.executable, "train.py"]
        return Contender(way, command, str(self.root), prepare, lambda: whole(folder, trials))

    def contenders(self) -> list[Contender]:
        sizes = (self.trials, 2 * self.trials)
        return [self.contender(way, size) for size in sizes for way in ("cold", "warm")]

    def equal(self) -> bool:
        """Whether the warm search wrote what the cold one did."""
        cold, warm = (self.root / f"{way}-{self.trials}" for way in ("cold", "warm"))
        names = sorted(path.parent.name for path in cold.glob(f"*/{METRICS}"))
        return all(
            (cold / name / METRICS).read_bytes() == (warm / name / METRICS).read_bytes()
            for name in names
        )


def whole(folder: Path, trials: int) -> None:
    """Every trial has its metrics: a fast way that loses some would not count."""
    found = len(list(folder.glob(f"*/{METRICS}")))
    if found != trials:
        raise SystemExit(f"{folder}: {found} of {trials} trials have metrics")


def further(short: Sequence[float], long: Sequence[float], trials: int) -> list[float]:
    """What each further trial took, round by round."""
    return [(after - before) / trials for before, after in zip(short, long, strict=True)]


def row(name: str, searches: Searches, rounds: int) -> str:
    """One line of the table: cold, warm, their ratio; of a whole search and of a further trial."""
    contenders = searches.contenders()
    race(contenders, rounds)
    if not searches.equal():
        raise SystemExit(f"{name}: the warm trials' metrics are others than the cold ones'")
    cold, warm, cold_long, warm_long = contenders
    cells = [name, str(searches.jobs)]
    for kind in ("wall", "cpu"):
        short = [getattr(each, kind) for each in (cold, warm)]
        pairs = ((cold, cold_long), (warm, warm_long))
        more = [further(getattr(x, kind), getattr(y, kind), searches.trials) for x, y in pairs]
        for scale, (one, other) in ((1, short), (1000, more)):
            one_, other_ = statistics.median(one), statistics.median(other)
            ratio = other_ / one_ if one_ > 0 else float("nan")
            digits = 2 if scale == 1 else 0
            cells.append(f"{one_ * scale:.{digits}f} / {other_ * scale:.{digits}f} / {ratio:.3f}")
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=6)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="one round, 3 trials, one job")
    arguments = parser.parse_args()
    trials, rounds = (3, 1) if arguments.quick else (arguments.trials, arguments.rounds)
    print(f"searches of {trials}, {rounds} rounds; {machine()}")
    print("cold / warm / ratio, medians\n")
    heads = (f"{trials} trials: s wall", "a further one: ms wall", "s CPU", "ms CPU")
    print(f"| job | -j | {' | '.join(heads)} |\n|---|---:|---:|---:|---:|---:|")
    with tempfile.TemporaryDirectory() as place:
        for number, (name, script) in enumerate(jobs_here().items()):
            for jobs in (1,) if arguments.quick else (1, 2):
                root = Path(place) / f"{number}-{jobs}"
                root.mkdir()
                (root / "train.py").write_text(script)
                print(row(name, Searches(root, trials, jobs), rounds), flush=True)


if __name__ == "__main__":
    main()
