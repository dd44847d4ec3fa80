"""Make trees of experiments of any size, for the report's tests and benchmark.

The trials are made up: eight hyperparameters, an accuracy that depends on them with noise, learning
curves, one in twenty failed, some pruned. A seed decides everything.
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

SPACE = {
    "learning_rate": {"log_uniform": [1e-5, 1.0]},
    "weight_decay": {"log_uniform": [1e-7, 0.1]},
    "batch_size": [8, 16, 32, 64, 128, 256, 512],
    "dropout": {"uniform": [0.0, 0.7]},
    "num_layers": {"int": [1, 8]},
    "hidden_units": {"log_int": [16, 1024]},
    "optimizer": ["adam", "sgd", "rmsprop"],
    "activation": ["relu", "gelu", "tanh", "silu"],
}
BEGAN = 1_760_000_000
EPOCHS = 20
_TRACE = """\
Traceback (most recent call last):
  File "train.py", line 88, in <module>
    train_and_evaluate(model, params)
  File "model/training.py", line 41, in train_and_evaluate
    loss = train_one_epoch(model, batches)
{}
"""
_ERRORS = {
    "error": "ValueError: the loss is nan at step {}",
    "out-of-memory": "RuntimeError: CUDA out of memory. Tried to allocate {} MiB",
    "time-limit": "it took more than {} minutes",
}


def grow(  # noqa: PLR0913 - what a search may differ in
    folder: Path,
    count: int,
    *,
    seed: int = 4,
    curves: int | None = None,
    objectives: Mapping[str, Any] | None = None,
    sampler: str = "random",
) -> Path:
    """Make a search with `count` trials, `curves` of them with a `metrics.jsonl`."""
    folder.mkdir(parents=True)
    base = {"num_epochs": EPOCHS, **dict.fromkeys(SPACE)}
    (folder / "params.json").write_text(json.dumps(base))
    plan = {
        "space": SPACE,
        **(objectives or {"maximize": "accuracy"}),
        "sampler": sampler,
        "seed": seed,
        "trials": count,
        "command": "python train.py --data_dir data",
    }
    (folder / "search.json").write_text(json.dumps(plan))
    packages = {"numpy": "2.1.0", "torch": "2.9.0", "tqdm": "4.67"}
    (folder / "environment.json").write_text(json.dumps({"packages": packages}))
    with_curves = count if curves is None else curves
    for number, made in enumerate(trials(count, seed), 1):
        _plant(folder, number, made, sampler, curve=number <= with_curves)
    return folder


def trials(count: int, seed: int = 4) -> Iterator[dict[str, Any]]:
    """Yield the facts of each trial: `params`, `accuracy`, `duration`, `status`, `started`."""
    chance = random.Random(seed)
    now = float(BEGAN)
    for _ in range(count):
        params = {name: _drawn(domain, chance) for name, domain in SPACE.items()}
        draw = chance.random()
        status = "completed" if draw < 0.92 else "failed" if draw < 0.97 else "pruned"
        now += chance.expovariate(1 / 20)
        yield {
            "params": {"num_epochs": EPOCHS, **params},
            "accuracy": _accuracy(params, chance),
            "duration": round(20 + params["hidden_units"] / 12 + chance.random() * 9, 1),
            "status": status,
            "started": now,
            "failure": chance.choice(list(_ERRORS)),
            "decay": chance.uniform(2, 9),
        }


def _drawn(domain: Any, chance: random.Random) -> Any:
    if isinstance(domain, list):
        return chance.choice(domain)
    ((word, (low, high)),) = domain.items()
    if word == "int":
        return chance.randint(low, high)
    if word == "uniform":
        return float(f"{chance.uniform(low, high):.6g}")
    value = math.exp(chance.uniform(math.log(low), math.log(high)))
    return round(value) if word == "log_int" else float(f"{value:.6g}")


def _accuracy(params: Mapping[str, Any], chance: random.Random) -> float:
    value = 0.93 - 0.06 * (math.log10(params["learning_rate"]) + 2.7) ** 2
    value -= 0.25 * (params["dropout"] - 0.25) ** 2 + 0.004 * (params["num_layers"] - 4) ** 2
    value += 0.008 * math.log2(params["hidden_units"] / 64)
    value += {"adam": 0.02, "sgd": -0.03, "rmsprop": 0.0}[params["optimizer"]]
    return float(max(0.05, min(0.995, value + chance.gauss(0, 0.012))))


def _plant(
    folder: Path, number: int, made: Mapping[str, Any], sampler: str, *, curve: bool
) -> None:
    trial = folder / f"trial_{number:06d}"
    trial.mkdir()
    params, status, accuracy = made["params"], made["status"], made["accuracy"]
    _write(trial / "params.json", params)
    point = {name: params[name] for name in SPACE}
    _write(
        trial / "trial.json",
        {"number": number, "configuration": point, "sampler": sampler, "seed": 0},
    )
    words = _ERRORS[made["failure"]].format(number)
    record = {
        "attempt": 1,
        "template": "python train.py --data_dir data",
        "command": ["python", "train.py", "--data_dir", "data", "--model_dir", str(trial)],
        "code": "5b7c2a90d1e4f638" if number % 1000 < 900 else "77aa00c2d1e4f638",
        "commit": "3f2c9e1b7d",
        "python": "3.11.7",
        "modeldir": "0.1.0",
        "process": {"host": f"gpu{number % 3}"},
        "started": _iso(made["started"]),
        "ended": _iso(made["started"] + made["duration"]),
        "duration": made["duration"],
        "status": status,
        "failure": made["failure"] if status == "failed" else None,
        "last_line": words if status == "failed" else None,
        "reason": "it was behind the others at step 5" if status == "pruned" else None,
    }
    _write(trial / "run.json", record)
    if status == "failed":
        (trial / "console.log").write_text(_TRACE.format(words))
        return
    lines = list(_curve(made))[: 6 if status == "pruned" else EPOCHS]
    if curve:
        (trial / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    best = {"accuracy": accuracy, "loss": round(-1.7 * math.log(accuracy), 6)}
    _write(trial / "metrics_eval_best_weights.json", best)


def _curve(made: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    chance = random.Random(made["started"])
    for step in range(EPOCHS):
        left = 0.6 * math.exp(-step / made["decay"])
        value = max(0.02, made["accuracy"] - left + chance.gauss(0, 0.006))
        loss = -1.7 * math.log(min(0.999, max(0.02, value)))
        yield {
            "step": step,
            "time": _iso(made["started"] + step),
            "accuracy": round(value, 6),
            "loss": round(loss, 6),
            "train/loss": round(loss * 0.8, 6),
        }


def _write(path: Path, value: object) -> None:
    path.write_text(json.dumps(value))


def _iso(seconds: float) -> str:
    from datetime import datetime, timezone

    return datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="milliseconds")
