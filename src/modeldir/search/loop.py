"""A trial of the loop in Python: `for trial in Search(...): with trial: ...`.

`Search.ask` makes it. It runs in this very process, and records its end as a supervisor would. A
trial's record on disk: `trial_record.py`.
"""

from __future__ import annotations

import os
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from modeldir._system import files, processes, timestamps
from modeldir.errors import SearchError, TrialPruned, did_you_mean
from modeldir.experiment import attempts, experiment, failure_classes, provenance
from modeldir.experiment.run import end_of
from modeldir.metrics import metric_files, objective
from modeldir.metrics.recorder import Recorder
from modeldir.params import params, usage
from modeldir.pruners.pruning_decision import VARIABLE, Judge, Orders
from modeldir.search.trial_record import Turn


class Trial:
    """One trial of a Python loop; `with trial:` runs it in this process.

    `params` are its hyperparameters, `model_dir` is its folder. A failure or a prune in the body is
    recorded and printed with its traceback, and the loop continues. `status` is how it ended,
    `pruned` why `report` has ended it early; both are None before. `resumes`: it begins with the
    last weights of another trial, which are in its folder.
    """

    def __init__(  # noqa: PLR0913 - what the search knows of it
        self,
        turn: Turn,
        model_dir: Path,
        metric: tuple[str, objective.Direction] | None,
        code: Mapping[str, str | None],
        *,
        judged_by: Orders | None = None,
        inherits: Sequence[Path] = (),
    ) -> None:
        self.number = turn.record.number
        self.name = turn.record.name
        self.configuration = dict(turn.record.configuration)
        self.model_dir = model_dir
        file = experiment.params_file(model_dir)
        if file is not None:
            usage.begin(files.absolute(file))
        self.params = params.Params(file or {})
        self.status: str | None = None
        self.pruned: str | None = None
        self._recorder = Recorder(
            model_dir, metric and (metric_files.without_split(metric[0]), metric[1])
        )
        self._inherits, self.resumes = tuple(inherits), bool(inherits)
        self._orders = judged_by
        self._judge = Judge(judged_by, turn.attempt, resumes=False) if judged_by else None
        self._turn = turn
        self._metric = metric
        self._code = code
        self._attempt: attempts.Attempt | None = None
        self._replaced: dict[str, str | None] = {}
        self._began = time.monotonic()
        self._reported_failure: dict[str, Any] | None = None

    def __repr__(self) -> str:
        return f"Trial({str(self.model_dir)!r})"

    def claim(self) -> bool:
        """Claim the right to run it; False if another process was faster.

        `Search.ask` does this.
        """
        me = processes.process()
        facts = {
            "command": list(sys.orig_argv),
            "cwd": str(Path.cwd()),
            "supervisor": None,
            "process": me.to_json() if me else None,
            "resumes": self.resumes,
            **({"parent": dict(self._turn.record.parent)} if self._turn.record.parent else {}),
            **self._code,
            **provenance.interpreter(),
        }
        self._attempt = attempts.begin(self.model_dir, self._turn.attempt, facts)
        if self._attempt is None:
            return False
        attempts.archive(self.model_dir, self._turn.attempt)
        for weights in self._inherits:
            files.copy(weights, self.model_dir / weights.name)
        return True

    def report(self, step: int, values: Mapping[str, Any] | None = None, /, **more: Any) -> bool:
        """Record validation metrics at a step, as `run.log` does; return if they are the best yet.

        Raises:
            TrialPruned: when the plan's pruner says that this trial should stop. `with trial:`
                records it; in a custom loop, `search.tell(trial)` does.
            MetricsError: when a value is not a number, or the metric of the search is missing.
            SearchError: when its end is recorded already.
        """
        self.check_open()
        development = self._recorder.record(step, {**(values or {}), **more})
        if self._judge is not None and self.pruned is None:
            self.pruned = self._judge.hear(step, development)
        if self.pruned is not None:
            raise TrialPruned(self.pruned)
        return bool(development) and self._recorder.new_best

    def __enter__(self) -> Trial:  # noqa: PYI034 - Self needs Python 3.11
        if self._attempt is not None:
            token, number = str(self._attempt.record["token"]), self._attempt.number
            variables = attempts.environment_variables(
                token, self.model_dir, number, resumes=self.resumes
            )
            self._set({**variables, VARIABLE: self._orders.to_text() if self._orders else None})
        return self

    def end(self, status: str, reason: str | None = None) -> None:
        """Record its end without a body, or in the middle of one: see `Search.tell`."""
        if status == attempts.FAILED:
            self._reported_failure = _failed(
                failure_classes.ERROR, reason or "the loop reported that it failed"
            )
        pruned = TrialPruned(reason or "") if status == attempts.PRUNED else None
        self.__exit__(TrialPruned if pruned else None, pruned, None)

    def check_open(self) -> None:
        if self.status is not None:
            raise SearchError(f"{self.name}: its result is already recorded: it has {self.status}")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        self._set(self._replaced)
        self._replaced = {}
        self._recorder.close()
        if self._attempt is None:
            return False
        if self.status is None:  # else the body has recorded it
            self._record_end(self._attempt, error)
        if isinstance(error, Exception) and not isinstance(error, TrialPruned):
            traceback.print_exception(kind, error, trace)
            return True
        return isinstance(error, TrialPruned)

    def _record_end(self, attempt: attempts.Attempt, error: BaseException | None) -> None:
        end = self._end(attempt, error)
        self.status = end["status"]
        finished = {
            **end,
            "ended": timestamps.utc_now(),
            "duration": round(time.monotonic() - self._began, 3),
        }
        used = usage.summary(params.source(self.params))
        finished |= {} if used is None else {"params": used}
        self._attempt = attempts.rewrite(attempt, finished, durable=True)

    def _end(self, attempt: attempts.Attempt, error: BaseException | None) -> dict[str, Any]:
        if self._reported_failure is not None:
            return self._reported_failure
        ends = [e for e in attempts.events(self.model_dir, attempt.number) if e["event"] == "end"]
        if error is None and ends:  # `start` in the body has caught a prune itself
            return {k: v for k, v in ends[-1].items() if k not in {"attempt", "event", "time"}}
        end = end_of(error)
        if end["status"] == attempts.COMPLETED and self._metric is not None:
            found = experiment.scores(self.model_dir).validation
            failure = failure_classes.metric_failure(self._metric[0], found)
            return end if failure is None else _failed(*failure)
        return end

    def _set(self, variables: Mapping[str, str | None]) -> None:
        replaced = {name: os.environ.get(name) for name in variables}
        for name, value in variables.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        self._replaced = replaced


def check_status(status: object) -> None:
    known = attempts.FINAL
    if status is not None and status not in known:
        hint = did_you_mean(str(status), known) or "known: " + ", ".join(known)
        raise SearchError(
            f"status {status!r}: a trial cannot end with this status\n  {hint}",
            state="Nothing was recorded.",
        )


def _failed(failure: str, reason: str) -> dict[str, Any]:
    return {
        "status": attempts.FAILED, "failure": failure, "reason": reason, "last_line": reason,
    }  # fmt: skip
