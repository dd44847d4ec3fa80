"""Check with the first trial alone that the script reads the searched hyperparameters.

`worker.py` asks before it starts a second trial, while the first one runs, and when a trial ends.
It only judges: the worker starts and stops trials. The names a script reads: `params/usage.py`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modeldir._system import reading
from modeldir._system.shell import quoted
from modeldir.errors import closest
from modeldir.experiment import attempts, experiment
from modeldir.metrics import metric_files
from modeldir.monitor.summary import the_script
from modeldir.params import plain_values
from modeldir.params.plain_values import SEED
from modeldir.params.usage import SEARCHED_VARIABLE
from modeldir.search import placeholders, worker_registry
from modeldir.search.trial_record import TrialRecord
from modeldir.worker import refused_flags

_LAST_PRINTED = 32768
"""Bytes of a failed trial's output in which its usage is looked for."""

if TYPE_CHECKING:
    from modeldir.search.search import Search


class FirstTrialCheck:
    """The names that are still unproven in a search, and the trial that can prove them."""

    def __init__(self, search: Search, *, wanted: bool) -> None:
        self._search = search
        self._unproven = self._names_to_prove() if wanted else frozenset()
        self._record: TrialRecord | None = None
        self._scored: TrialRecord | None = None
        self._wants_metric = wanted and self._metric_is_unproven()
        self._may_refuse_flags = wanted

    @property
    def is_pending(self) -> bool:
        return bool(self._unproven)

    def variables(self, record: TrialRecord) -> dict[str, str]:
        """Return what the environment of the trial that is started now has to contain."""
        names = self._names_to_read(record)
        return {SEARCHED_VARIABLE: json.dumps(sorted(names))} if names else {}

    def _names_to_read(self, record: TrialRecord) -> frozenset[str]:
        """Return the unproven names that are active in a trial's configuration."""
        if not self._unproven:
            return self._unproven
        flat = plain_values.flatten(record.hyperparameters)
        # `seed` is in no search space, and active in each configuration that has repeats.
        return self._unproven.intersection({*self._search.plan.space.active_names(flat), SEED})

    @property
    def explanation(self) -> str:
        names = " and ".join(sorted(self._unproven))
        script = the_script(self._search.plan.command)
        return (
            f"checking that {script} reads {names}: the first trial runs alone, the others start "
            "as soon as it does (skip: --no-check)"
        )

    def trial_started(self, record: TrialRecord) -> None:
        """Check by this trial, if none was started before and an unproven name is active in it."""
        # Metrics that are there already may be an earlier attempt's.
        has_old_files = experiment.has_metrics(self._search.trials.path(record))
        if self._wants_metric and self._scored is None and not has_old_files:
            self._scored = record
        if self._unproven and self._record is None:
            self._unproven = self._names_to_read(record)
            self._record = record

    def judge_running(self) -> str | None:
        """Judge the first trial while it runs. Returns a problem that stops the search, or None."""
        if (problem := self._misnamed()) is not None:
            return problem
        if not self._unproven or self._record is None:
            return None
        return self._judge(self._record, ended=False)

    def trial_ended(self, record: TrialRecord) -> str | None:
        if (problem := self._refused(record) or self._misnamed()) is not None:
            return problem
        return self._judge(record, ended=True) if self._unproven else None

    def _refused(self, record: TrialRecord) -> str | None:
        """Return a problem if the first trial failed since its script does not know a flag."""
        state = self._search.trials.status(record).state
        if not self._may_refuse_flags or state not in attempts.FINAL:
            return None
        self._may_refuse_flags = False  # the others get the same flags
        if state != attempts.FAILED:
            return None
        command = self._search.plan.command or ""
        script = the_script(command)
        try:
            output = reading.tail(self._search.trials.path(record) / "console.log", _LAST_PRINTED)
        except OSError:
            return None
        source = reading.read_bytes(self._search.working_folder() / script) or b""
        found = refused_flags.hint(
            output.decode(errors="replace"),
            source.decode(errors="replace"),
            command,
            script,
            plain_values.flatten(record.hyperparameters),
        )
        if found is None:
            return None
        problem, new = found
        again = f"\n  {worker_registry.resume_command(self._search.path)} -- {new}" if new else ""
        return f"{problem}.{again}"

    def _names_to_prove(self) -> frozenset[str]:
        varied = [*self._search.plan.space.domains, SEED]
        placed = placeholders.passed(self._search.plan.command or "", varied)
        names = {
            name
            for name, domain in self._search.plan.space.domains.items()
            if name not in placed and len(domain.values() or (0, 1)) > 1
        }
        if self._search.plan.repeats > 1 and SEED not in placed:
            names.add(SEED)
        for record in self._search.trials:
            if names and self._search.trials.status(record).state == attempts.COMPLETED:
                events = attempts.read_events(self._search.trials.path(record))
                read = _names_in(events, "params_read")
                names = set() if read is None else names - read
        return frozenset(names)

    def _metric_is_unproven(self) -> bool:
        names = {name for name, _ in self._search.plan.objectives}
        for record in self._search.trials:
            if names:
                names -= {*_metrics_in(self._search.trials.path(record))}
        return bool(names)

    def _misnamed(self) -> str | None:
        """Return a problem if the first trial writes a metric with almost the name in the plan.

        If none has a similar name, the one in the plan may still come at the trial's end.
        """
        if self._scored is None:
            return None
        folder = self._search.trials.path(self._scored)
        found = sorted(_metrics_in(folder))
        lacks = [name for name, _ in self._search.plan.objectives if name not in found]
        if found and not lacks:
            self._scored = None
        for name in lacks:
            meant = closest(name, found)
            if meant is not None:
                script = the_script(self._search.plan.command)
                return _no_such_metric(self._search, name, found, meant, script)
        return None

    def _judge(self, record: TrialRecord, *, ended: bool) -> str | None:
        """Let the other trials start once the first has read all that varies; a problem if it never
        does.

        A script that does not use `Params` reports nothing: its first metric is enough. One that
        does reports each name as it reads it. But only a script that has reported all names, at its
        end or with its first metric, is known not to have read the others.
        """
        folder = self._search.trials.path(record)
        events = attempts.read_events(folder)
        read, reading = _names_in(events, "params_read"), _names_in(events, "reading")
        first_metric = experiment.has_metrics(folder)
        if read is None and reading is None:
            if ended or first_metric:
                self._unproven = frozenset()
            return None
        unread = self._names_to_read(record).difference(read or (), reading or ())
        if not unread:
            self._unproven = frozenset()
        elif ended or (read is not None and first_metric):
            failed = ended and self._search.trials.status(record).state != attempts.COMPLETED
            if failed:  # it failed before it could read them: the user should see that instead
                self._record = None
                return None
            return _never_read(sorted(unread), read, the_script(self._search.plan.command))
        return None


def _names_in(events: Iterable[Mapping[str, Any]], kind: str) -> frozenset[str] | None:
    """Return the hyperparameters that events name, or None if there is no such event."""
    found = [event for event in events if event.get("event") == kind]
    return frozenset(name for event in found for name in event.get("names", ())) if found else None


def _metrics_in(folder: Path) -> set[str]:
    steps = metric_files.validation_metrics(
        dict(metric_files.numbers_in(experiment.last_step(folder)))
    )
    return {*steps, *experiment.scores(folder).validation} - {"step", "time", "epoch"}


def _no_such_metric(search: Search, name: str, found: list[str], meant: str, script: str) -> str:
    direction = next(direction for each, direction in search.plan.objectives if each == name)
    return (
        f"{script} writes no {name!r}: did you mean {meant!r}? (it writes {', '.join(found)})\n"
        f"  {worker_registry.resume_command(search.path)} --{direction} {quoted(meant)}\n"
        f"  if {script} writes {name} later than the others, run the command again with --no-check"
    )


def _never_read(unread: list[str], read: frozenset[str] | None, script: str) -> str:
    names = " and ".join(unread)
    verb = "varies" if len(unread) == 1 else "vary"
    it = "it" if len(unread) == 1 else "them"
    known = "" if read is None else f" (it read {', '.join(sorted(read)) or 'nothing'})"
    return (
        f"{names} {verb} in this search, but {script} never read {it}{known}.\n"
        f"  Fix the name in {script}, or search over another one.\n"
        f"  If {script} reads {it} only for some values, give {it} a condition, "
        "or run the command again with --no-check."
    )
