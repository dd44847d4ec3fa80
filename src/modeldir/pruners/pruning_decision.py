"""Judge one attempt while it runs: feed its metrics to the pruner and word the reason to stop.

The script's `run.log` or its supervisor calls `Judge.hear` with each step. The worker passes the
pruner on in the variable `MODELDIR_PRUNER` (`Orders`). The rule: a pruner that breaks costs no
training run.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from modeldir.errors import MetricsError
from modeldir.metrics import metric_files, metric_names, objective
from modeldir.pruners import Pruner, Setting, make
from modeldir.pruners.rungs import RungFiles

VARIABLE = "MODELDIR_PRUNER"
"""Environment variable with the trial's `Orders`."""


Step = tuple[float, dict[str, float]]
"""A step's number, and its validation metrics by name."""


@dataclass(frozen=True)
class Orders:
    """How a trial is to be judged, as the worker tells its script or supervisor.

    `metric` is None if the first metrics decide. If not `judges`, the trial only records its
    values. `begun`: see `RungFiles`. `ends` are the steps at which training runs end, if known:
    there a population replaces no member.
    """

    kind: str
    rungs: str
    trial: int
    options: Mapping[str, Any] = field(default_factory=dict)
    metric: tuple[str, objective.Direction] | None = None
    judges: bool = True
    begun: int = 0
    ends: tuple[int, ...] = ()

    def to_text(self) -> str:
        return json.dumps(vars(self))

    @classmethod
    def from_text(cls, text: str) -> Orders:
        told = json.loads(text)
        told["metric"] = tuple(told["metric"]) if told["metric"] else None
        told["ends"] = tuple(told.get("ends", ()))
        return cls(**told)

    @property
    def setting(self) -> Setting:
        return Setting(self.kind, self.options)


class Judge:
    """Judges one attempt by its validation metrics, step by step.

    If the pruner raises, e.g. a custom one with a mistake, the trial continues and is not judged
    any more (`is_broken`). `complain` gets the message once.
    """

    def __init__(
        self,
        orders: Orders,
        attempt: int,
        *,
        resumes: bool,
        complain: Callable[[str], None] | None = None,
    ) -> None:
        self._orders, self._attempt, self._resumes = orders, attempt, resumes
        self._complain = complain or _complain
        self.is_broken = False
        self._metric = orders.metric and (
            metric_files.without_split(orders.metric[0]),
            orders.metric[1],
        )
        self._pruner: Pruner | None = None
        self._from_zero = False

    def hear(self, step: float, development: Mapping[str, float]) -> str | None:
        """Return why the trial should stop, or None. Metrics that do not rank it are ignored."""
        metric = self._metric or self._chosen(development)
        if metric is None or self.is_broken or not math.isfinite(step):
            return None
        name = metric[0]
        value = metric_files.validation_value(development, name)
        if value is None or self._is_over(int(step)):
            return None
        try:
            why = self._pruner_for(metric).should_prune(int(step), value)
        except Exception as error:  # noqa: BLE001 - a custom pruner may raise anything
            self.is_broken = True
            self._complain(f"this trial is not stopped early: {type(error).__name__}: {error}")
            return None
        if why is None or not self._orders.judges:
            return None
        return f"{name} {value:.6g} at step {int(step)}: {why}"

    def _is_over(self, step: int) -> bool:
        """Whether nothing is left to train. A script that counts from 0 ends one step earlier."""
        self._from_zero = self._from_zero or step == 0
        return step + self._from_zero in self._orders.ends or step in self._orders.ends

    def hear_again(self, lines: Iterable[Mapping[str, Any]]) -> None:
        """Feed the steps before an interruption to the pruner, from lines of `metrics.jsonl`."""
        for line in lines:
            found = step_of(line)
            if found is not None:
                self.hear(*found)

    def _chosen(self, development: Mapping[str, float]) -> tuple[str, objective.Direction] | None:
        if all(map(metric_names.is_of_training, development)):
            return None  # Lightning writes lines of the training set before it first validates
        chosen = objective.choose(list(development))
        if chosen is None:
            names = ", ".join(sorted(development))
            raise MetricsError(
                f"the pruner {self._orders.kind} needs a metric, but modeldir cannot tell "
                f"whether high or low is better in {names}\n"
                "  name one: --maximize NAME, or --minimize NAME"
            )
        self._metric = metric_files.without_split(chosen[0]), chosen[1]
        return self._metric

    def _pruner_for(self, metric: tuple[str, objective.Direction]) -> Pruner:
        if self._pruner is None:
            orders, (name, direction) = self._orders, metric
            rungs = RungFiles(
                Path(orders.rungs) / orders.setting.key,
                name,
                orders.trial,
                self._attempt,
                resumes=self._resumes,
                begun=orders.begun,
            )
            self._pruner = make(orders.setting, rungs, direction)
        return self._pruner


def _complain(words: str) -> None:
    print(f"modeldir: {words}", file=sys.stderr)  # noqa: T201 - the output of the training run


def step_of(line: Mapping[str, Any], otherwise: int | None = None) -> Step | None:
    """Return a line of metrics as (step or `otherwise`, validation metrics); None if one lacks."""
    numbers = dict(metric_files.numbers_in(line))
    told = metric_files.take_step(numbers)
    numbers.pop("time", None)
    step = otherwise if told is None else told
    found = metric_files.validation_metrics(numbers)
    return None if step is None or not found else (step, found)
