"""The searchers that are compared: modeldir's samplers and the peers', behind three methods.

Every peer runs at its own defaults, through the interface that its documentation describes for a
custom loop. Each deviation from a default says why. None sees a task: only the search space and the
observed values, smaller being better. Each is imported when it is made, so that one that is not
installed does not stop the others.
"""

from __future__ import annotations

import logging
import os
import tempfile
import warnings
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

Space = dict[str, Any]
Point = dict[str, Any]
METRIC = "error"


class Contender(Protocol):
    """Proposes configurations by number and receives values; `stop` after each epoch."""

    def ask(self, number: int) -> Point: ...

    def stop(self, number: int, step: int, value: float) -> bool: ...

    def tell(self, number: int, step: int, value: float, *, stopped: bool) -> None: ...


class _Keeps:
    """Never stops a trial, for a searcher without early stopping."""

    def stop(self, number: int, step: int, value: float) -> bool:  # noqa: ARG002
        return False


class Modeldir:
    """A sampler of modeldir that receives every trial as a worker's folders would give it.

    With `asha`, modeldir's own pruner stops trials.
    """

    def __init__(  # noqa: PLR0913 - what a search is made of
        self, name: str, space: Space, seed: int, trials: int, epochs: int, *, asha: bool
    ) -> None:
        from modeldir import samplers
        from modeldir.space import parse_space

        base = {dim: _first(domain) for dim, domain in space.items()}
        searched = parse_space(space, base, "benchmark")
        objectives = ((METRIC, "minimize"),)
        self.chosen = name
        if name == samplers.AUTO:
            from modeldir.samplers import auto

            self.chosen, _ = auto.choose(
                searched, trials, objectives, auto.installed(), prunes=asha
            )
        self._sampler = samplers.make(self.chosen, searched, seed, objectives)
        self._stopping = _Asha(epochs) if asha else None
        self._asked: dict[int, Any] = {}

    def ask(self, number: int) -> Point:
        proposal = self._sampler.ask(number + 1)  # modeldir's first trial is number 1
        if proposal is None:
            raise RuntimeError(f"nothing left to propose for trial {number}")
        self._asked[number] = proposal
        self._told(number, "running", {}, {})
        return dict(proposal.configuration)

    def stop(self, number: int, step: int, value: float) -> bool:
        return self._stopping is not None and self._stopping.stop(number, step, value)

    def tell(self, number: int, step: int, value: float, *, stopped: bool) -> None:
        self._told(number, "pruned" if stopped else "completed", {METRIC: value}, {"step": step})

    def _told(self, number: int, status: str, values: dict[str, float], notes: Point) -> None:
        from modeldir.samplers import Observation

        proposal = self._asked[number]
        notes = {**proposal.notes, **notes}
        self._sampler.tell(Observation(number + 1, proposal.configuration, status, values, notes))


def _first(domain: Any) -> Any:
    return domain[0] if isinstance(domain, list) else next(iter(domain.values()))[0]


class _Asha:
    """`modeldir.pruners.asha` at its defaults, with siblings' values in memory instead of files."""

    def __init__(self, epochs: int) -> None:
        from modeldir.pruners.asha import Asha

        self._kind, self._epochs = Asha, epochs
        self._values: dict[int, dict[int, float]] = {}
        self._pruners: dict[int, Any] = {}

    def stop(self, number: int, step: int, value: float) -> bool:
        if number not in self._pruners:
            rungs = _Rungs(number, self._values)
            self._pruners[number] = self._kind(rungs, "minimize", max_step=self._epochs)
        return self._pruners[number].should_prune(step, value) is not None


class _Rungs:
    """Implements what `modeldir.pruners.Rungs` asks for."""

    def __init__(self, number: int, values: dict[int, dict[int, float]]) -> None:
        self.number, self._values = number, values

    def record(self, rung: int, value: float) -> dict[int, float]:
        there = self._values.setdefault(rung, {})
        there[self.number] = value
        return there

    def passed(self, rung: int) -> bool:  # noqa: ARG002 - nothing is interrupted here
        return False


class Optuna:
    """A study as `create_study` makes it, with successive halving if trials may stop."""

    def __init__(self, space: Space, seed: int, *, asha: bool) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        pruner = optuna.pruners.SuccessiveHalvingPruner() if asha else None
        sampler = optuna.samplers.TPESampler(seed=seed)  # the default one, with a seed
        self._study = optuna.create_study(sampler=sampler, pruner=pruner)
        self._states, self._asha = optuna.trial.TrialState, asha
        self._space, self._trials = space, {}

    def ask(self, number: int) -> Point:
        trial = self._trials[number] = self._study.ask()
        return {name: self._suggested(trial, name, domain) for name, domain in self._space.items()}

    def _suggested(self, trial: Any, name: str, domain: Any) -> Any:
        if isinstance(domain, list):
            return trial.suggest_categorical(name, domain)
        ((word, (low, high)),) = domain.items()
        suggest = trial.suggest_int if word.endswith("int") else trial.suggest_float
        return suggest(name, low, high, log=word.startswith("log"))

    def stop(self, number: int, step: int, value: float) -> bool:
        if not self._asha:
            return False
        self._trials[number].report(value, step)
        return self._trials[number].should_prune()

    def tell(self, number: int, step: int, value: float, *, stopped: bool) -> None:  # noqa: ARG002
        trial = self._trials.pop(number)
        if stopped:
            self._study.tell(trial, state=self._states.PRUNED)
        else:
            self._study.tell(trial, value)


class Hyperopt(_Keeps):
    """`tpe.suggest`, one trial at a time, as `fmin` drives it."""

    def __init__(self, space: Space, seed: int) -> None:
        import hyperopt

        logging.getLogger("hyperopt").setLevel(logging.ERROR)
        self._hyperopt = hyperopt
        self._trials = hyperopt.Trials()
        self._space = {name: self._domain(name, domain) for name, domain in space.items()}
        self._domain_of_all = hyperopt.base.Domain(lambda point: point, self._space)
        self._rng = np.random.default_rng(seed)
        self._docs: dict[int, Any] = {}

    def _domain(self, name: str, domain: Any) -> Any:
        hp = self._hyperopt.hp
        if isinstance(domain, list):
            return hp.choice(name, domain)
        ((word, (low, high)),) = domain.items()
        if word == "uniform":
            return hp.uniform(name, low, high)
        if word == "log_uniform":
            return hp.loguniform(name, np.log(low), np.log(high))
        if word == "int":
            return hp.uniformint(name, low, high)
        whole = hp.qloguniform(name, np.log(low), np.log(high), 1)
        return self._hyperopt.pyll.scope.int(whole)

    def ask(self, number: int) -> Point:
        ids = self._trials.new_trial_ids(1)
        self._trials.refresh()
        seed = int(self._rng.integers(2**31 - 1))
        docs = self._hyperopt.tpe.suggest(
            ids, self._domain_of_all, self._trials, seed, verbose=False
        )
        self._trials.insert_trial_docs(docs)
        self._trials.refresh()
        self._docs[number] = next(t for t in self._trials.trials if t["tid"] == ids[0])
        values = {name: v[0] for name, v in docs[0]["misc"]["vals"].items() if v}
        return dict(self._hyperopt.space_eval(self._space, values))

    def tell(self, number: int, step: int, value: float, *, stopped: bool) -> None:  # noqa: ARG002
        doc = self._docs.pop(number)
        doc["result"] = {"loss": value, "status": self._hyperopt.STATUS_OK}
        doc["state"] = self._hyperopt.JOB_STATE_DONE
        self._trials.refresh()


class Smac(_Keeps):
    """The facade for hyperparameter optimization (random forest), by ask and tell.

    `deterministic`, because a trial here is one training run: SMAC's default would spend trials on
    training the incumbent again with other seeds.
    """

    def __init__(self, space: Space, seed: int, trials: int) -> None:
        from ConfigSpace import Categorical, ConfigurationSpace, Float, Integer
        from smac import HyperparameterOptimizationFacade, Scenario
        from smac.runhistory.dataclasses import TrialValue

        self._value, self._asked = TrialValue, {}
        dims = []
        for name, domain in space.items():
            if isinstance(domain, list):
                dims.append(Categorical(name, domain))
                continue
            ((word, (low, high)),) = domain.items()
            kind = Integer if word.endswith("int") else Float
            dims.append(kind(name, (low, high), log=word.startswith("log")))
        configurations = ConfigurationSpace(seed=seed, space=dims)
        scenario = Scenario(
            configurations,
            deterministic=True,
            n_trials=trials,
            seed=seed,
            output_directory=tempfile.mkdtemp(prefix="smac-"),
        )
        self._smac = HyperparameterOptimizationFacade(
            scenario, _never, overwrite=True, logging_level=False
        )

    def ask(self, number: int) -> Point:
        info = self._asked[number] = self._smac.ask()
        return {name: _plain(value) for name, value in dict(info.config).items()}

    def tell(self, number: int, step: int, value: float, *, stopped: bool) -> None:  # noqa: ARG002
        self._smac.tell(self._asked.pop(number), self._value(cost=value))


def _never(config: Any, seed: int) -> float:
    """A function that SMAC requires, although ask and tell never call it."""
    raise NotImplementedError(config, seed)


class Ax(_Keeps):
    """`ax.api.client.Client`, with the strategy that it chooses (a Sobol start, then a GP)."""

    def __init__(self, space: Space, seed: int) -> None:
        from ax.api.client import Client
        from ax.api.configs import ChoiceParameterConfig, RangeParameterConfig

        logging.disable(logging.WARNING)  # its loggers are set up anew by each module
        warnings.filterwarnings("ignore")
        dims = []
        for name, domain in space.items():
            if isinstance(domain, list):
                dims.append(
                    ChoiceParameterConfig(
                        name=name, values=domain, parameter_type="str", is_ordered=False
                    )
                )
                continue
            ((word, (low, high)),) = domain.items()
            dims.append(
                RangeParameterConfig(
                    name=name,
                    bounds=(low, high),
                    parameter_type="int" if word.endswith("int") else "float",
                    scaling="log" if word.startswith("log") else None,
                )
            )
        self._client = Client(random_seed=seed)
        self._client.configure_experiment(parameters=dims)
        self._client.configure_optimization(objective=f"-{METRIC}")
        self._index: dict[int, int] = {}

    def ask(self, number: int) -> Point:
        ((index, point),) = self._client.get_next_trials(max_trials=1).items()
        self._index[number] = index
        return {name: _plain(value) for name, value in point.items()}

    def tell(self, number: int, step: int, value: float, *, stopped: bool) -> None:  # noqa: ARG002
        self._client.complete_trial(self._index.pop(number), raw_data={METRIC: value})


class SyneTune(_Keeps):
    """Its Bayesian optimization (by BoTorch): a scheduler by ask and tell, without its tuner."""

    def __init__(self, space: Space, seed: int) -> None:
        from syne_tune.config_space import choice, lograndint, loguniform, randint, uniform
        from syne_tune.optimizer.baselines import BOTorch

        logging.disable(logging.WARNING)
        warnings.filterwarnings("ignore")
        np.random.seed(seed)  # noqa: NPY002 - it draws from the global one, whatever its own seed
        words = {
            "uniform": uniform,
            "log_uniform": loguniform,
            "int": randint,
            "log_int": lograndint,
        }
        dims = {}
        for name, domain in space.items():
            if isinstance(domain, list):
                dims[name] = choice(domain)
                continue
            ((word, (low, high)),) = domain.items()
            dims[name] = words[word](low, high)
        self._scheduler = BOTorch(dims, METRIC, random_seed=seed)
        self._trials: dict[int, Any] = {}

    def ask(self, number: int) -> Point:
        import datetime as dt

        from syne_tune.backend.trial_status import Trial

        suggestion = self._scheduler.suggest()
        now = dt.datetime.now(dt.timezone.utc)
        trial = self._trials[number] = Trial(number, suggestion.config, now)
        self._scheduler.on_trial_add(trial)
        return {name: _plain(value) for name, value in trial.config.items()}

    def tell(self, number: int, step: int, value: float, *, stopped: bool) -> None:  # noqa: ARG002
        self._scheduler.on_trial_complete(self._trials.pop(number), {METRIC: value})


def _plain(value: Any) -> Any:
    """Convert a number of NumPy to one of Python."""
    return value.item() if hasattr(value, "item") else value


PACKAGES = {
    "optuna": "optuna",
    "hyperopt": "hyperopt",
    "smac": "smac",
    "ax": "ax-platform",
    "syne-tune": "syne-tune",
}
"""The package of each peer."""


def make(  # noqa: PLR0913 - what a search is made of
    method: str, space: Space, seed: int, *, trials: int, epochs: int, asha: bool
) -> Contender:
    """Return the contender of this name. `trials` is the expected number of trials."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    peers: dict[str, Callable[[], Contender]] = {
        "optuna": lambda: Optuna(space, seed, asha=asha),
        "hyperopt": lambda: Hyperopt(space, seed),
        "smac": lambda: Smac(space, seed, trials),
        "ax": lambda: Ax(space, seed),
        "syne-tune": lambda: SyneTune(space, seed),
    }
    if method in peers:
        return peers[method]()
    return Modeldir(method, space, seed, trials, epochs, asha=asha)
