"""`modeldir search DIR --dry-run`: what would be made and started, and how long it would take."""

from __future__ import annotations

import math
import statistics
from typing import TYPE_CHECKING

from modeldir._system.durations import duration_text
from modeldir._system.shell import quoted_line
from modeldir._system.terminal import width_of_lines
from modeldir._system.text import value_cell, wrapped
from modeldir.experiment import attempts
from modeldir.results.table import Column, Table, to_text
from modeldir.search import plan
from modeldir.worker.preload import policy

if TYPE_CHECKING:
    from modeldir.search.search import Search

MOST = 20
"""So many trials are shown one by one: more would scroll away what is told about all."""


def dry_run(  # noqa: PLR0913 - as the command line has it
    search: Search,
    command: str,
    jobs: int,
    *,
    typed: bool = True,
    timed: bool = False,
    warm: bool = True,
) -> str:
    """What a search would make and start; nothing is made. `timed`: one trial was, to time it;
    `warm`: trials may begin with their imports.
    """
    found = search.look_ahead(command, typed=typed, most=MOST)
    # The trials found are included.
    to_come = search.scheduler.to_come() if len(found) == MOST else len(found)
    again = search.scheduler.waiting()
    lines = [*search.plan_file.chosen_by_auto(), *search.scheduler.earlier()]
    lines += [f"there, and would run: {', '.join(again)}"] if again else []
    if found:
        names = list(search.plan.space.domains)
        columns = [Column("trial", "name", 0), *(Column(n, "hyperparameter", 1) for n in names)]
        rows = tuple(
            (name, *(value_cell(point[n]) if n in point else None for n in names))
            for name, point, _ in found
        )
        lines += [
            f"{_trials(to_come)} would be made in {search.path}:",
            "",
            *to_text(Table(tuple(columns), rows)).splitlines(),
        ]
        if to_come is None or to_come > len(found):
            lines.append("and more" if to_come is None else f"and {to_come - len(found)} more")
        lines += ["", f"each by, {jobs} at a time:", f"  {quoted_line(found[0][2])}"]
    elif not again:
        lines.append(f"Nothing is left to run in {search.path}.")
    if found or again:
        words, cwd = tuple(plan.words_of(command)), str(search.working_folder())
        left = None if to_come is None else to_come + len(again)
        told = policy.ahead_text(search.path, words, cwd, search.code(), left) if warm else None
        for line in [
            *([] if told is None else [told]),
            *_how_long(search, left, jobs, timed=timed),
        ]:
            lines += wrapped(line, width_of_lines())
    end = "One trial was run, to time it; it is kept." if timed else "Nothing was started."
    return "\n".join([*lines, end])


def _trials(count: int | None) -> str:
    if count is None:
        return "trials without an end that is known"
    return "1 trial" if count == 1 else f"{count} trials"


def _how_long(search: Search, left: int | None, jobs: int, *, timed: bool) -> list[str]:
    """The time that the trials which are left would take, by those that have finished."""
    took = durations(search)
    if not took:
        why = "it did not finish" if timed else "no trial has finished"
        offer = "" if timed else "; --dry-run --time-one runs one to time it, and keeps it"
        return [f"time: not known, {why}{offer}"]
    each = statistics.median(took)
    by = "the one that has" if len(took) == 1 else f"the median of {len(took)} that have"
    told = f"{duration_text(each)} each ({by} finished)"
    if left is None:
        return [f"time: {told}"]
    whole = duration_text(each * math.ceil(left / jobs))
    return [f"time: about {whole}, for {_trials(left)}, {jobs} at a time, {told}"]


def durations(search: Search) -> list[float]:
    """Seconds that the trials of a search took which went to their end."""
    statuses = map(search.trials.status, search.trials)
    ended = [each for each in statuses if each.state in {attempts.COMPLETED, attempts.PRUNED}]
    return [each.duration for each in ended if each.duration is not None]
