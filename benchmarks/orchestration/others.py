"""Peers that run the same script as trials, each by a small script of its own.

Each makes the folders, writes `params.json` and runs `train.py` as a process, as their users do who
keep their training script; what a peer needs around that is its own (a function, an app, a
backend). They are installed into an environment of their own, and who does not install or does not
come to an end is left out with a word.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
import peers
from side_by_side import Contender, race, report

PLACE = peers.ROOT / ".venv" / "peers-trials"

_TRIAL = """\
import json, os, subprocess, sys
def trial(number):
    model_dir = os.path.join(os.environ["PEER_ROOT"], "peer", f"t{number}")
    os.makedirs(model_dir)
    with open(os.path.join(model_dir, "params.json"), "w") as file:
        json.dump({"learning_rate": number}, file)
    train = os.path.join(os.environ["PEER_ROOT"], "train.py")
    subprocess.check_call([os.environ["PEER_PYTHON"], train, "--model_dir", model_dir])
    with open(os.path.join(model_dir, "metrics_eval_best_weights.json")) as file:
        return json.load(file)["accuracy"]
"""

_OPTUNA = """\
import sys
import optuna
from trial import trial
optuna.logging.set_verbosity(optuna.logging.WARNING)
def objective(one):
    one.suggest_float("x", 0, 1)
    return trial(one.number)
study = optuna.create_study(direction="maximize")
study.optimize(objective, int(sys.argv[1]), n_jobs=int(sys.argv[2]))
"""

_HYDRA = """\
import sys
import hydra
from trial import trial
@hydra.main(version_base=None)
def app(config):
    trial(config.number)
many = ",".join(map(str, range(int(sys.argv[1]))))
sys.argv[1:] = ["-m", f"+number={many}", "hydra.sweep.dir=hydra"]
app()
"""

_SUBMITIT = """\
import sys
from collections import deque
import submitit
from trial import trial
executor = submitit.LocalExecutor("submitit")
executor.update_parameters(timeout_min=10)
running = deque()
for number in range(int(sys.argv[1])):
    if len(running) == int(sys.argv[2]):
        running.popleft().result()
    running.append(executor.submit(trial, number))
for job in running:
    job.result()
"""

_RAY = """\
import sys
import ray
from ray import tune
from trial import trial
ray.init(num_cpus=int(sys.argv[2]), include_dashboard=False, configure_logging=False)
def run(config):
    tune.report({"accuracy": trial(config["number"])})
space = {"number": tune.grid_search(list(range(int(sys.argv[1]))))}
found = tune.Tuner(run, param_space=space).fit()
assert not found.errors, found.errors
"""

_SYNE = """\
import os, sys
from syne_tune import StoppingCriterion, Tuner
from syne_tune.backend import LocalBackend
from syne_tune.config_space import randint
from syne_tune.optimizer.baselines import RandomSearch
most = int(sys.argv[1])
backend = LocalBackend(entry_point=os.path.join(os.environ["PEER_ROOT"], "syne_entry.py"))
searcher = RandomSearch({"number": randint(0, 10**9)}, metrics=["accuracy"], do_minimize=False)
stop = StoppingCriterion(max_num_trials_finished=most)
Tuner(backend, searcher, stop, n_workers=int(sys.argv[2]), sleep_time=0.01, save_tuner=False).run()
"""
_SYNE_ENTRY = """\
import argparse, json, os
from trial import trial
parser = argparse.ArgumentParser()
parser.add_argument("--number")
number = parser.parse_known_args()[0].number
print("[tune-metric]: " + json.dumps({"accuracy": trial(number), "st_worker_iter": 0,
      "st_worker_timestamp": 0, "st_worker_time": 0, "st_worker_cost": 0}), flush=True)
"""

_GUILD = """\
import os, subprocess, sys
values = ",".join(map(str, range(int(sys.argv[1]))))
guild = os.path.join(os.path.dirname(sys.executable), "guild")
subprocess.check_call([guild, "run", "-y", "guild_entry.py", f"number=[{values}]"])
"""
_GUILD_ENTRY = """\
import os, sys
number = 0
sys.path.insert(0, os.environ["PEER_ROOT"])
from trial import trial
print("accuracy:", trial(number))
"""


@dataclass(frozen=True)
class Peer:
    """A peer: what is installed, the script that drives it, how many trials it is given, and
    whether it runs several at a time on one machine by a setting.
    """

    name: str
    packages: tuple[str, ...]
    script: str
    trials: int
    together: bool = True


PEERS = (
    Peer("Optuna, subprocess", ("optuna",), _OPTUNA, 64),
    Peer("Hydra -m, subprocess", ("hydra-core",), _HYDRA, 32, together=False),
    Peer("submitit LocalExecutor", ("submitit",), _SUBMITIT, 16),
    Peer("Syne Tune LocalBackend", ("syne-tune",), _SYNE, 16),
    Peer("Guild run", ("guildai",), _GUILD, 8, together=False),
    Peer("Ray Tune", ("ray[tune]",), _RAY, 16),
)


def beside(root: Path, floor: Callable[[Path, int, int], Contender], rounds: int) -> None:
    """Each peer beside the floor with as many trials; one that does not work is named."""
    packages = [package for peer in PEERS for package in peer.packages]
    names = [package.partition("[")[0] for package in packages]
    for package, name in zip(packages, names, strict=True):
        if package != name:  # with what it needs beyond itself
            _install_extras(package)
    versions, missing = peers.installed(names, PLACE)
    print(f"{peers.told(versions, missing)}\n")
    _write_scripts(root)
    for peer in PEERS:
        if any(package.partition("[")[0] in missing for package in peer.packages):
            continue
        for jobs in (1, 2) if peer.together else (1,):
            contenders = [floor(root, peer.trials, jobs), _contender(root, peer, jobs)]
            print(f"{peer.name}, {peer.trials} trials, {jobs} at a time\n")
            print(f"{_raced(contenders, rounds, peer.trials)}\n", flush=True)


def _raced(contenders: list[Contender], rounds: int, trials: int) -> str:
    try:
        race(contenders, rounds)
    except (subprocess.CalledProcessError, SystemExit) as error:
        return f"left out: it did not come to its end ({error})"
    return report(contenders, trials, "trial")


def _contender(root: Path, peer: Peer, jobs: int) -> Contender:
    folder = root / "peer"

    def prepare() -> None:
        for name in ("peer", "hydra", "submitit"):
            shutil.rmtree(root / name, ignore_errors=True)

    def check() -> None:
        found = len(list(folder.glob("*/metrics_eval_best_weights.json")))
        if found < peer.trials:
            raise SystemExit(f"{found} of {peer.trials} trials have metrics")

    env = ["env", f"PEER_ROOT={root}", f"PEER_PYTHON={sys.executable}", f"PYTHONPATH={root}",
           f"HOME={root}", f"GUILD_HOME={root}/guild", "HYDRA_FULL_ERROR=1"]  # fmt: skip
    python = str(PLACE / "bin" / "python")
    command = [*env, python, f"{_file(peer)}.py", str(peer.trials), str(jobs)]
    return Contender(peer.name, command, str(root), prepare, check)


def _file(peer: Peer) -> str:
    return f"by_{peer.packages[0].partition('[')[0].replace('-', '_')}"


def _write_scripts(root: Path) -> None:
    (root / "guild").mkdir(exist_ok=True)  # its home, which it does not make
    (root / "trial.py").write_text(_TRIAL)
    (root / "syne_entry.py").write_text(_SYNE_ENTRY)
    (root / "guild_entry.py").write_text(_GUILD_ENTRY)
    for peer in PEERS:
        (root / f"{_file(peer)}.py").write_text(peer.script)


def _install_extras(package: str) -> None:
    """What a package's own name leaves out; that it cannot be had is told where it does not run."""
    if not (PLACE / "bin" / "python").exists():
        subprocess.run([sys.executable, "-m", "venv", PLACE], check=True)
    pip = [PLACE / "bin" / "python", "-m", "pip", "install", "--quiet"]
    subprocess.run([*pip, package], check=False, capture_output=True)
