"""Trainings with real libraries: without preload and with it are equal to the last bit."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from preload_bench import Bench, assert_same

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

needs_torch = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None,
    reason="PyTorch is no dependency; the vision demo has it (make test-vision)",
)

NUMPY = """\
import argparse, hashlib, json
import numpy as np

parser = argparse.ArgumentParser()
parser.add_argument("--seed", type=int, default=1)
args = parser.parse_args()
rng, old = np.random.default_rng(args.seed), np.random
old.seed(args.seed)
x, y = rng.normal(size=(600, 40)), old.rand(600, 3)
w = np.linalg.lstsq(x, y, rcond=None)[0]
big = rng.normal(size=(800, 800))
u, s, v = np.linalg.svd(big @ big.T)
print(hashlib.sha256(w.tobytes() + u.tobytes() + s.tobytes()).hexdigest(), old.get_state()[2])
"""

SKLEARN = """\
import hashlib, sys, warnings
warnings.simplefilter("ignore")
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.model_selection import cross_val_score, train_test_split

seed = int(sys.argv[1])
x, y = load_digits(return_X_y=True)
a, b, c, d = train_test_split(x / 16, y, random_state=seed)
for model in (
    LogisticRegression(max_iter=30),
    RandomForestClassifier(n_estimators=20, random_state=seed, n_jobs=2),
    MLPClassifier((32,), max_iter=10, random_state=seed),
):
    model.fit(a, c)
    print(model.score(b, d), hashlib.sha256(model.predict_proba(b).tobytes()).hexdigest())
print(cross_val_score(LogisticRegression(max_iter=5), x, y, cv=3, n_jobs=2).tolist())
"""

TORCH = """\
import argparse, hashlib, os
import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

parser = argparse.ArgumentParser()
parser.add_argument("--seed", type=int, default=1)
parser.add_argument("--workers", type=int, default=0)
parser.add_argument("--method")
args = parser.parse_args()


class Digits(Dataset):
    def __init__(self):
        rng = np.random.default_rng(0)
        self.x, self.y = rng.random((512, 64), dtype="float32"), rng.integers(0, 10, 512)

    def __len__(self):
        return len(self.y)

    def __getitem__(self, i):
        noise = torch.randn(64) * 0.01 + float(np.random.rand() * 0)
        return torch.from_numpy(self.x[i]) + noise, int(self.y[i])


def main():
    torch.manual_seed(args.seed)
    np.random.seed(args.seed)
    model = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Dropout(0.2), nn.Linear(128, 10))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    loader = DataLoader(
        Digits(), batch_size=64, shuffle=True, num_workers=args.workers,
        multiprocessing_context=args.method if args.workers else None,
    )
    for epoch in range(1 if args.workers else 3):
        total = 0.0
        for x, y in loader:
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            total += loss.item()
        print(epoch, repr(total))
    digest = hashlib.sha256()
    for name, value in model.state_dict().items():
        digest.update(name.encode() + value.numpy().tobytes())
    print(digest.hexdigest(), torch.get_num_threads(), torch.initial_seed())
    os.makedirs("out", exist_ok=True)
    torch.save(model.state_dict(), "out/weights.pt")


if __name__ == "__main__":
    main()
"""


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    folder = tmp_path / "project"
    folder.mkdir()
    return Bench(folder)


def preloaded_trials_equal_others(bench: Bench, script: str, *trials: tuple[str, ...]) -> None:
    """The first trial is learned from; all of them are run without preload and preloaded."""
    bench.write(script)
    first, learned = bench.learn(*trials[0])
    reply = bench.preloaded(learned, *trials)
    assert (reply.objection, reply.plain) == (None, 0)
    assert len(reply.runs) == len(trials)
    for number, (arguments, run) in enumerate(zip(trials, reply.runs, strict=True)):
        plain = bench.plain(*arguments)
        assert plain.code == 0, plain.printed
        assert_same(plain, run, f"preloaded {arguments}")
        if number == 0:
            assert_same(plain, first, "through learning")


@pytest.mark.parametrize("threads", [None, "1", "2"])
def test_numpy_is_equal_to_the_last_bit(bench: Bench, threads: str | None) -> None:
    """Decompositions and both kinds of random numbers, whatever the threads."""
    if threads is not None:
        bench.variables |= {"OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads}
    preloaded_trials_equal_others(bench, NUMPY, ("--seed", "1"), ("--seed", "2"))


def test_scikit_learn_is_equal_to_the_last_bit(bench: Bench) -> None:
    """Linear models, forests on two cores, perceptrons, and joblib's own processes."""
    preloaded_trials_equal_others(bench, SKLEARN, ("1",), ("2",))


@needs_torch
@pytest.mark.parametrize("threads", [None, "1"])
def test_pytorch_is_equal_to_the_last_bit(bench: Bench, threads: str | None) -> None:
    """A training without workers: losses, weights, the saved file."""
    if threads is not None:
        bench.variables["OMP_NUM_THREADS"] = threads
    preloaded_trials_equal_others(bench, TORCH, ("--seed", "1"), ("--seed", "2"))


@needs_torch
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_pytorch_is_equal_with_workers_of_each_kind(bench: Bench, method: str) -> None:
    """A training with two workers, which find the script's classes whatever they were made by."""
    preloaded_trials_equal_others(bench, TORCH, ("--workers", "2", "--method", method))


PLOTTING = """\
import hashlib, io, os, sys
import matplotlib
matplotlib.use("Agg")
import matplotlib.pyplot as plt
import pandas as pd

table = pd.DataFrame({"step": range(20), "loss": [1 / (1 + i) for i in range(20)]})
print(table.describe(), table["loss"].rolling(3).mean().tolist())
os.makedirs("out", exist_ok=True)
table.to_csv("out/table.csv")
figure, axes = plt.subplots()
axes.plot(table["step"], table["loss"], label=sys.argv[1])
axes.legend()
figure.savefig("out/figure.png", metadata={"Software": None})
print(matplotlib.get_backend(), pd.read_csv(io.StringIO("a,b\\n1,2")).to_dict())
"""


def test_tables_and_pictures_are_equal_to_the_last_byte(bench: Bench) -> None:
    """Those of pandas and matplotlib, with caches and backends of their own."""
    bench.variables["MPLBACKEND"] = "svg"
    preloaded_trials_equal_others(bench, PLOTTING, ("first",), ("second, größer",))
