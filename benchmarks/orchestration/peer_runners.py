"""Peers that run the same script as trials, each driven by a small script.

Each makes the folders, writes `params.json` and runs `train.py` as a process, as users do who keep
their training script. Whatever a peer needs around that (a function, an app, a backend) is its own.
Peers are installed into environments of their own. One that cannot be installed or does not finish
is reported and left out. A peer that takes a second per trial gets fewer trials, and each also runs
a single one, which separates its start-up from the cost of a trial.
"""

from __future__ import annotations

import shutil
import statistics
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
import peers
from side_by_side import Contender, DidNotWork, left_out, race, ratio

_TRIAL = """\
import json, os, subprocess, sys
def trial(number):
    number = int(float(number))  # some hand over words
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
together = ["hydra/launcher=joblib", f"hydra.launcher.n_jobs={sys.argv[2]}"]
sys.argv[1:] = ["-m", f"+number={many}", "hydra.sweep.dir=hydra", *together * (sys.argv[2] != "1")]
app()
"""

_SUBMITIT = """\
import sys, time
import submitit
from trial import trial
executor = submitit.LocalExecutor("submitit")
executor.update_parameters(timeout_min=10)
jobs = []
for number in range(int(sys.argv[1])):
    while sum(not job.done() for job in jobs) == int(sys.argv[2]):
        time.sleep(0.005)  # result() looks once a second
    jobs.append(executor.submit(trial, number))
while not all(job.done() for job in jobs):
    time.sleep(0.005)
for job in jobs:
    job.result()
"""

_RAY = """\
import os, sys
import ray
from ray import tune
from trial import trial
ray.init(num_cpus=int(sys.argv[2]), include_dashboard=False, configure_logging=False,
         _temp_dir=os.path.join(os.environ["PEER_ROOT"], "ray"))
def run(config):
    tune.report({"accuracy": trial(config["number"])})
space = {"number": tune.grid_search(list(range(int(sys.argv[1]))))}
settings = tune.TuneConfig(reuse_actors=sys.argv[3] == "reused")
found = tune.Tuner(run, param_space=space, tune_config=settings).fit()
assert not found.errors, found.errors
"""

_SYNE = """\
import os, sys
from syne_tune import StoppingCriterion, Tuner
from syne_tune.backend import LocalBackend
from syne_tune.config_space import randint
from syne_tune.optimizer.baselines import RandomSearch
class Finite(RandomSearch):  # its stopping criteria let one more begin
    left = int(sys.argv[1])
    def suggest(self):
        self.left -= 1
        return super().suggest() if self.left >= 0 else None
backend = LocalBackend(entry_point=os.path.join(os.environ["PEER_ROOT"], "syne_entry.py"))
searcher = Finite({"number": randint(0, 10**9)}, metrics=["accuracy"], do_minimize=False)
stop = StoppingCriterion(max_wallclock_time=3600)
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

_ORION = """\
import os, subprocess, sys
root, number, jobs = os.environ["PEER_ROOT"], *sys.argv[1:]
database = "{type: pickleddb, host: orion.pkl}"
with open("orion.yaml", "w") as file:
    file.write("storage: {type: legacy, database: " + database + "}\\n")
orion = os.path.join(os.path.dirname(sys.executable), "orion")
subprocess.check_call([orion, "hunt", "-n", "trials", "-c", "orion.yaml", "--max-trials", number,
                       "--n-workers", jobs, sys.executable, os.path.join(root, "orion_entry.py"),
                       "--number~uniform(0, 1e9, discrete=True)"])
"""
_ORION_ENTRY = """\
import sys
from orion.client import report_objective
from trial import trial
number = sys.argv[sys.argv.index("--number") + 1] if "--number" in sys.argv else sys.argv[-1]
report_objective(-trial(number.replace("--number=", "")))
"""


@dataclass(frozen=True)
class Peer:
    """A peer: its package, the script that drives it, how many trials it gets, and
    whether it can run several at a time on one machine.
    """

    name: str
    packages: tuple[str, ...]
    script: str
    trials: int
    together: bool = True
    place: str = "peers-trials"
    settings: tuple[str, ...] = ()
    most: int | None = None  # rounds


PEERS = (
    Peer("Optuna, subprocess", ("optuna",), _OPTUNA, 64),
    Peer("Hydra -m, subprocess", ("hydra-core", "hydra-joblib-launcher"), _HYDRA, 32),
    Peer("submitit LocalExecutor", ("submitit",), _SUBMITIT, 16),
    Peer("Syne Tune LocalBackend", ("syne-tune",), _SYNE, 16),
    Peer("Guild run", ("guildai",), _GUILD, 8, together=False, place="peers-guild"),
    Peer("Ray Tune", ("ray",), _RAY, 8, settings=("new",), most=2),
    Peer("Ray Tune, `reuse_actors`", ("ray",), _RAY, 16, settings=("reused",), most=2),
    # Two of its workers run one trial more than requested.
    Peer("Orion hunt", ("orion",), _ORION, 6, together=False, place="peers-orion", most=2),
)
LIMIT = 240.0
"""Seconds that a peer has for its trials; the slowest took 97 on two very busy cores."""


def beside(
    root: Path, ours: tuple[Callable[[Path, int, int], Contender], ...], trials: int, rounds: int
) -> None:
    """Race all peers against the floor and modeldir, one trial at a time and two."""
    there = {}
    for name in dict.fromkeys(peer.place for peer in PEERS):
        versions, missing = peers.installed(peers.ENVIRONMENTS[name], peers.HOME / name, ours=False)
        print(f"{peers.told(versions, missing)}\n")
        there.update(versions)
    _write_scripts(root)
    for jobs in (1, 2):
        pairs = [tuple(make(root, count, jobs) for count in (trials, 1)) for make in ours]
        pairs += [
            tuple(_contender(root, peer, count, jobs) for count in (peer.trials, 1))
            for peer in PEERS
            if set(peer.packages) <= there.keys() and (peer.together or jobs == 1)
        ]
        for _, one in pairs:
            one.name = f"{one.name}, a single trial"
        race([each for pair in pairs for each in pair], rounds)
        print(f"{jobs} at a time\n\n{_table(pairs)}\n", flush=True)
    print("CPU is that of processes which somebody waits for: nobody does for Ray's workers.\n")


def _table(pairs: list[tuple[Contender, Contender]]) -> str:
    """Return a table of whole runs, and of their cost beyond a run with a single trial."""
    floor = pairs[0][0]
    heads = ("trials", "ms / trial", "x wall", "CPU ms / trial", "x CPU", "a single one, ms",
             "a further one, ms")  # fmt: skip
    lines = [f"| | {' | '.join(heads)} |", f"|---|{'---:|' * len(heads)}"]
    for many, one in pairs:
        if many.broken or one.broken:
            continue
        cells = [many.name, str(many.units)]
        for mine, its in ((many.wall, floor.wall), (many.cpu, floor.cpu)):
            each = [1000 * seconds / many.units for seconds in mine]
            theirs = [1000 * seconds / floor.units for seconds in its]
            cells += [f"{statistics.median(each):.1f}", f"{ratio(each, theirs):.2f}"]
        single = statistics.median(one.wall)
        further = (statistics.median(many.wall) - single) / (many.units - 1)
        cells += [f"{1000 * single:.0f}", f"{1000 * further:.1f}" if further > 0 else "-"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, *left_out([each for pair in pairs for each in pair])])


def _contender(root: Path, peer: Peer, trials: int, jobs: int) -> Contender:
    folder = root / "peer"

    def prepare() -> None:
        for name in ("peer", "hydra", "submitit", "guild", "ray", "ray_results", "syne-tune"):
            shutil.rmtree(root / name, ignore_errors=True)
        (root / "orion.pkl").unlink(missing_ok=True)
        (root / "guild").mkdir()  # its home, which it does not make

    def check() -> None:
        found = len(list(folder.glob("*/metrics_eval_best_weights.json")))
        if found != trials:
            raise DidNotWork(f"{found} of {trials} trials have metrics")

    env = ["env", f"PEER_ROOT={root}", f"PEER_PYTHON={sys.executable}", f"PYTHONPATH={root}",
           f"HOME={root}", f"GUILD_HOME={root}/guild", "HYDRA_FULL_ERROR=1",
           "RAY_USAGE_STATS_ENABLED=0"]  # fmt: skip
    python = str(peers.HOME / peer.place / "bin" / "python")
    command = [*env, python, f"{_file(peer)}.py", str(trials), str(jobs), *peer.settings]
    guest = {"guest": True, "limit": LIMIT, "most": peer.most, "units": trials}
    return Contender(peer.name, command, str(root), prepare, check, **guest)


def _file(peer: Peer) -> str:
    return f"by_{peer.packages[0].replace('-', '_')}"


def _write_scripts(root: Path) -> None:
    (root / "trial.py").write_text(_TRIAL)
    (root / "syne_entry.py").write_text(_SYNE_ENTRY)
    (root / "guild_entry.py").write_text(_GUILD_ENTRY)
    (root / "orion_entry.py").write_text(_ORION_ENTRY)
    for peer in PEERS:
        (root / f"{_file(peer)}.py").write_text(peer.script)
