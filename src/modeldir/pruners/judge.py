"""One attempt, judged as it runs: by the script itself in `run.log`, or by its supervisor.

It knows the plan's pruner as a worker hands it on (`MODELDIR_PRUNER`), which of the metrics is
meant, and how the words come together. It refuses to know how values are found, and ends nothing.
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
from modeldir.metrics import metrics
from modeldir.pruners import Pruner, Setting, make
from modeldir.pruners.rungs import RungFiles

VARIABLE = "MODELDIR_PRUNER"
"""Where a training finds by what it is judged."""


Step = tuple[float, dict[str, float]]
"""A step's number, and its development metrics by name."""


@dataclass(frozen=True)
class Orders:
    """By what a trial is judged.

    `rungs` is the search's folder of rungs, `metric` (name, direction), or None where the first
    metrics have to show. `judges`: whether it may be stopped at all; one that is continued after it
    was pruned only leaves its values. `begun`: see `RungFiles`. `ends` are the steps at which a
    training is over, as far as is known: there a population exchanges nobody.
    """

    kind: str
    rungs: str
    trial: int
    options: Mapping[str, Any] = field(default_factory=dict)
    metric: tuple[str, metrics.Direction] | None = None
    judges: bool = True
    begun: int = 0
    ends: tuple[int, ...] = ()

    def to_text(self) -> str:
        return json.dumps(vars(self))

    @classmethod
    def from_text(cls, text: str) -> Orders:
        """What `to_text` made."""
        told = json.loads(text)
        told["metric"] = tuple(told["metric"]) if told["metric"] else None
        told["ends"] = tuple(told.get("ends", ()))
        return cls(**told)

    @property
    def setting(self) -> Setting:
        return Setting(self.kind, self.options)


class Judge:
    """Judges one attempt by its development metrics, step by step.

    A pruner that breaks (one of the user's own has a mistake) costs no training: then nobody is
    stopped any more (`is_broken`), and what broke is said once, by `complain`.
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
        self._metric = orders.metric and (metrics.without_split(orders.metric[0]), orders.metric[1])
        self._pruner: Pruner | None = None
        self._from_zero = False

    def hear(self, step: float, development: Mapping[str, float]) -> str | None:
        """Why the trial should stop, or None. Metrics that lack the one meant say nothing.

        Raises:
            MetricsError: when nobody has said which metric counts, and no name says enough.
        """
        metric = self._metric or self._chosen(development)
        if metric is None or self.is_broken or not math.isfinite(step):
            return None
        name = metric[0]
        value = metrics.validation_value(development, name)
        if value is None or self._is_over(int(step)):
            return None
        try:
            why = self._pruner_for(metric).should_prune(int(step), value)
        except Exception as error:  # noqa: BLE001 - whatever a pruner of the user's own may raise
            self.is_broken = True
            self._complain(f"this trial is not stopped early: {type(error).__name__}: {error}")
            return None
        if why is None or not self._orders.judges:
            return None
        return f"{name} {value:.6g} at step {int(step)}: {why}"

    def _is_over(self, step: int) -> bool:
        """Whether nothing is left to train: who counts from 0 ends a step before the number."""
        self._from_zero = self._from_zero or step == 0
        return step + self._from_zero in self._orders.ends or step in self._orders.ends

    def hear_again(self, lines: Iterable[Mapping[str, Any]]) -> None:
        """Take in the steps of before an interruption, as `metrics.jsonl` has them."""
        for line in lines:
            found = step_of(line)
            if found is not None:
                self.hear(*found)

    def _chosen(self, development: Mapping[str, float]) -> tuple[str, metrics.Direction] | None:
        if not development:
            return None
        chosen = metrics.choose(list(development))
        if chosen is None:
            names = ", ".join(sorted(development))
            raise MetricsError(
                f"the trials are pruned by {self._orders.kind}, but no metric is named, and of "
                f"{names} none says which way is better\n"
                "  name one: --maximize NAME, or --minimize NAME"
            )
        self._metric = metrics.without_split(chosen[0]), chosen[1]
        return self._metric

    def _pruner_for(self, metric: tuple[str, metrics.Direction]) -> Pruner:
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
    print(f"modeldir: {words}", file=sys.stderr)  # noqa: T201 - the training's own output


def step_of(line: Mapping[str, Any], otherwise: int | None = None) -> Step | None:
    """Metrics with what they call their step, or `otherwise`, as (step, development metrics); None
    where they have no step, or are none.
    """
    numbers = dict(metrics.numbers_in(line))
    told = metrics.take_step(numbers)
    numbers.pop("time", None)
    step = otherwise if told is None else told
    found = metrics.validation_metrics(numbers)
    return None if step is None or not found else (step, found)
