"""Made by Ray 2.60.0: python make_ray.py (in an environment that has ray[tune])."""

import os
import shutil
import tempfile
from pathlib import Path

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
import ray
from ray import tune

here = Path(__file__).parent / "ray"
shutil.rmtree(here, ignore_errors=True)
work = tempfile.mkdtemp()


def train(config):
    for step in range(3):
        if config["lr"] > 0.5 and step == 1:
            raise ValueError("it diverged")
        tune.report({"val_acc": 0.5 + step / 10 - config["lr"], "train/loss": 1 / (step + 1)})


space = {"lr": tune.grid_search([0.1, 0.01, 1.0]), "model": {"name": "a b", "layers": [8, 16]}}
# Its own, also where another Ray runs on this machine; small, for it trains nothing.
ray.init("local", num_cpus=1, include_dashboard=False, object_store_memory=80_000_000)
tuner = tune.Tuner(
    train, param_space=space,
    tune_config=tune.TuneConfig(metric="val_acc", mode="max", max_concurrent_trials=1),
    run_config=tune.RunConfig(name="digits", storage_path=work),
)
tuner.fit()
shutil.copytree(Path(work) / "digits", here)
for path in here.rglob("*"):
    if path.is_file() and (path.suffix == ".pkl" or "tfevents" in path.name or path.name[0] == "."):
        path.unlink()  # nobody reads them here
    elif path.is_file():
        data = path.read_bytes().replace(work.encode(), b"/home/user/ray_results")
        path.write_bytes(data.replace(str(Path(__file__).parent).encode(), b"/home/user"))
