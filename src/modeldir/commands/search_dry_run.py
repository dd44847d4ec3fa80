"""Text of `modeldir search DIR --dry-run`: which trials it would run, and for how long."""

from __future__ import annotations

import math
import statistics
from typing import TYPE_CHECKING

from modeldir._system.durations import duration_text
from modeldir._system.shell import quoted_line
from modeldir._system.terminal import width_of_lines
from modeldir._system.text import value_cell, wrapped
from modeldir.experiment import attempts, trial_labels
from modeldir.results.table import Column, Table
from modeldir.results.table_text import to_text
from modeldir.search import trial_command
from modeldir.worker.preload import preview

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modeldir.search.search import Search
    from modeldir.search.trial_record import PlannedTrial

MOST = 20
"""Trials that are listed one by one. A longer list would scroll the summary off the screen."""


def dry_run(  # noqa: PLR0913 - as the command line has it
    search: Search,
    command: str,
    jobs: int,
    *,
    typed: bool = True,
    timed: bool = False,
    preload: bool = True,
) -> str:
    """Return what a search would make and start.

    `typed`: the command was typed now, not read from `search.json`. `timed`: a trial has been run
    to time it.
    """
    new = search.look_ahead(command, typed=typed, most=MOST)
    remaining = search.scheduler.remaining() if len(new) == MOST else len(new)
    waiting = [record.title for record in search.scheduler.pending()]
    again = [record.title for record in search.scheduler.retries.due()]
    lines = [*search.plan_file.chosen_by_auto(), *search.scheduler.earlier()]
    for what, titles in {"Would run": waiting, "Would run again": again}.items():
        if titles:
            lines += wrapped(f"{what}: {', '.join(titles)}", width_of_lines())
    if new:
        lines += [
            f"{_trials(remaining)} would be made in {search.path}:",
            "",
            *to_text(_table(new, list(search.plan.space.domains))).splitlines(),
        ]
        if remaining is None or remaining > len(new):
            lines.append("and more" if remaining is None else f"and {remaining - len(new)} more")
        lines += ["", f"each by, {jobs} at a time:", f"  {quoted_line(new[0].command)}"]
    elif not waiting and not again:
        lines.append(f"Nothing is left to run in {search.path}.")
    if new or waiting or again:
        words, cwd = tuple(trial_command.words_of(command)), str(search.working_folder())
        left = None if remaining is None else remaining + len(waiting) + len(again)
        preloading = preview(search.path, words, cwd, search.code(), left) if preload else None
        for line in [
            *([] if preloading is None else [preloading]),
            *_how_long(search, left, jobs, timed=timed),
        ]:
            lines += wrapped(line, width_of_lines())
    end = "One trial was run, to time it; it is kept." if timed else "Nothing was started."
    return "\n".join([*lines, end])


def _table(trials: Sequence[PlannedTrial], varied: Sequence[str]) -> Table:
    """Return the trials as rows, named as the table of results names them."""
    beside = [trial_labels.name_beside(trial.number, trial.name) or None for trial in trials]
    named = any(beside)
    columns = [
        Column("trial"),
        *([Column("experiment", "name")] if named else []),
        *(Column(name, "hyperparameter", 1) for name in varied),
    ]
    rows = [
        (
            trial.number,
            *([folder] if named else []),
            *(
                value_cell(trial.configuration[name]) if name in trial.configuration else None
                for name in varied
            ),
        )
        for trial, folder in zip(trials, beside, strict=True)
    ]
    return Table(tuple(columns), tuple(rows))


def _trials(count: int | None) -> str:
    if count is None:
        return "an unknown number of trials"
    return "1 trial" if count == 1 else f"{count} trials"


def _how_long(search: Search, left: int | None, jobs: int, *, timed: bool) -> list[str]:
    seconds = durations(search)
    if not seconds:
        why = "it did not finish" if timed else "no trial has finished"
        offer = "" if timed else "; --dry-run --estimate runs one to time it, and keeps it"
        return [f"time: not known, {why}{offer}"]
    each = statistics.median(seconds)
    by = "the one that has" if len(seconds) == 1 else f"the median of {len(seconds)} that have"
    per_trial = f"{duration_text(each)} each ({by} finished)"
    if left is None:
        return [f"time: {per_trial}"]
    whole = duration_text(each * math.ceil(left / jobs))
    return [f"time: about {whole}, for {_trials(left)}, {jobs} at a time, {per_trial}"]


def durations(search: Search) -> list[float]:
    statuses = map(search.trials.status, search.trials)
    ended = [each for each in statuses if each.state in {attempts.COMPLETED, attempts.PRUNED}]
    return [each.duration for each in ended if each.duration is not None]
