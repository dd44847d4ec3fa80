"""Made by Optuna 5.0.0: python make_optuna.py (in an environment that has optuna)."""

import random
import shutil
from pathlib import Path

import optuna

here = Path(__file__).parent / "optuna"
shutil.rmtree(here, ignore_errors=True)
here.mkdir()


def objective(trial):
    rate = trial.suggest_float("lr", 1e-4, 1.0, log=True)
    layers = trial.suggest_int("layers", 1, 4)
    kind = trial.suggest_categorical("optimizer", ["adam", "sgd", None])
    if kind == "sgd":
        trial.suggest_float("momentum", 0.0, 0.9, step=0.1)
    if trial.number == 2:
        raise ValueError("it diverged")
    for step in range(3):
        trial.report(1 / (step + 1) + rate + layers / 10, step)
        if trial.number == 3 and step == 1:
            raise optuna.TrialPruned
    trial.set_user_attr("note", "a note")
    if trial.number == 4:
        return float("nan")
    return rate + layers / 10


def main(storage, name):
    study = optuna.create_study(
        study_name=name, storage=storage, sampler=optuna.samplers.RandomSampler(seed=1)
    )
    study.optimize(objective, n_trials=6, catch=ValueError)
    study.ask()  # as a killed process leaves it: running for ever
    both = optuna.create_study(
        study_name="two goals", storage=storage, directions=["maximize", "minimize"],
        sampler=optuna.samplers.RandomSampler(seed=1),
    )
    both.set_metric_names(["accuracy", "seconds"])
    both.optimize(lambda trial: (trial.suggest_float("x", 0, 1), 2.0), n_trials=2)


main(f"sqlite:///{here / 'study.db'}", "small/study")
backend = optuna.storages.journal.JournalFileBackend(str(here / "journal.log"))
main(optuna.storages.JournalStorage(backend), "small/study")
