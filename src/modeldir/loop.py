"""A trial of the loop in Python: what `for trial in Search(...)` gives.

It knows one trial that runs in this very process, and records it as a supervisor would. It refuses
to know which trial comes next: the search does.
"""

from __future__ import annotations

import math
import os
import sys
import time
import traceback
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from modeldir import attempts, experiment, failures, files, params, processes, provenance, reads
from modeldir.errors import TrialPruned
from modeldir.run import end_of
from modeldir.trials import Turn


class Trial:
    """One trial of the loop in Python: `with trial:` runs it in this process.

    `params` are its hyperparameters, `model_dir` is its folder. A failure or a prune in the body is
    recorded, told with its traceback, and the loop goes on.
    """

    def __init__(
        self,
        turn: Turn,
        model_dir: Path,
        metric: tuple[str, str] | None,
        code: str | None,
    ) -> None:
        self.number = turn.record.number
        self.name = turn.record.name
        self.point = dict(turn.record.point)
        self.model_dir = model_dir
        file = experiment.params_file(model_dir)
        if file is not None:
            reads.begin(files.absolute(file))
        self.params = params.Params(file or {})
        self.status: str | None = None
        self._turn = turn
        self._metric = metric
        self._code = code
        self._attempt: attempts.Attempt | None = None
        self._replaced: dict[str, str | None] = {}
        self._began = 0.0

    def __repr__(self) -> str:
        return f"Trial({str(self.model_dir)!r})"

    def claim(self) -> bool:
        """Get the right to run it; false if another process was faster. The search has done it."""
        me = processes.process()
        facts = {
            "command": list(sys.orig_argv),
            "cwd": str(Path.cwd()),
            "supervisor": None,
            "process": me.to_json() if me else None,
            "code": self._code,
            "commit": provenance.git_commit(Path.cwd()),
            **provenance.interpreter(),
        }
        self._attempt = attempts.begin(self.model_dir, self._turn.attempt, facts)
        if self._attempt is None:
            return False
        attempts.set_aside(self.model_dir, self._turn.attempt)
        return True

    def __enter__(self) -> Trial:  # noqa: PYI034 - Self needs Python 3.11
        self._began = time.monotonic()
        if self._attempt is not None:
            token, number = str(self._attempt.record["token"]), self._attempt.number
            self._set(attempts.variables(token, self.model_dir, number, resumes=False))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        self._set(self._replaced)
        if self._attempt is None:
            return False
        end = self._end(self._attempt, error)
        self.status = end["status"]
        finished = {
            **end,
            "ended": provenance.utc_now(),
            "duration": round(time.monotonic() - self._began, 3),
        }
        used = reads.account(params.source(self.params))
        finished |= {} if used is None else {"params": used}
        self._attempt = attempts.rewrite(self._attempt, finished, durable=True)
        if isinstance(error, Exception) and not isinstance(error, TrialPruned):
            traceback.print_exception(kind, error, trace)
            return True
        return isinstance(error, TrialPruned)

    def _end(self, attempt: attempts.Attempt, error: BaseException | None) -> dict[str, Any]:
        told = [e for e in attempts.events(self.model_dir, attempt.number) if e["event"] == "end"]
        if error is None and told:  # `start` in the body has caught a prune itself
            return {k: v for k, v in told[-1].items() if k not in {"attempt", "event", "time"}}
        end = end_of(error)
        if end["status"] == attempts.COMPLETED and self._metric is not None:
            name, _ = self._metric
            value = experiment.scores(self.model_dir).development.get(name)
            if value is None:
                return _failed(failures.NO_METRIC, f"it ended well but wrote no {name!r}")
            if math.isnan(value):
                return _failed(failures.NAN, f"{name} is NaN")
        return end

    def _set(self, variables: Mapping[str, str | None]) -> None:
        """Put variables into the environment, noting what they replace."""
        replaced = {name: os.environ.get(name) for name in variables}
        for name, value in variables.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        self._replaced = replaced


def _failed(failure: str, reason: str) -> dict[str, Any]:
    return {
        "status": attempts.FAILED, "failure": failure, "reason": reason, "last_line": reason,
    }  # fmt: skip
