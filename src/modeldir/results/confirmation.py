"""Decide whether the best configuration of a search beats its base config and the others.

`confirm` calls `measure` after the runs of `finalists`. The rule: only the new runs count. All
intervals together hold with 95 % (Bonferroni), so at most 5 % of all confirmations wrongly say
"beats". The test is Student's, with the runs of one seed as a pair.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from modeldir._system.shell import quoted
from modeldir._system.text import wrapped
from modeldir.experiment import attempts, repeats
from modeldir.params import plain_values
from modeldir.params.plain_values import SEED
from modeldir.results import finalists
from modeldir.results.experiment_tree import read_tree
from modeldir.results.experiments import ExperimentRow
from modeldir.results.finalists import Finalist, Finalists
from modeldir.results.table import Column, Table
from modeldir.results.table_text import to_text
from modeldir.search import statistics
from modeldir.search.statistics import Interval

LEVEL = 0.95
_FEW = 4
_LEAD = "the first is better by"
_OPEN = frozenset({attempts.RUNNING, attempts.PENDING, attempts.INTERRUPTED})


@dataclass(frozen=True)
class Measured:
    """A configuration with the values of its new runs by seed; some failed or have not ended."""

    finalist: Finalist
    values: Mapping[int, float]
    failed: tuple[int, ...] = ()
    open: tuple[int, ...] = ()

    @property
    def mean(self) -> float | None:
        return math.fsum(self.values.values()) / len(self.values) if self.values else None


@dataclass(frozen=True)
class Confirmation:
    """All configurations with their new runs, in the order of the search: its best is first."""

    finalists: Finalists
    measured: tuple[Measured, ...]

    @property
    def first(self) -> Measured:
        return self.measured[0]

    @property
    def others(self) -> tuple[Measured, ...]:
        return self.measured[1:]

    @property
    def level(self) -> float:
        return 1 - (1 - LEVEL) / max(1, len(self.others))

    @property
    def is_whole(self) -> bool:
        return not any(each.open for each in self.measured)

    @property
    def is_seed_used(self) -> bool:
        """Whether the seed changes the value of any configuration."""
        several = [each.values for each in self.measured if len(each.values) > 1]
        return not several or any(len(set(values.values())) > 1 for values in several)

    def lead(self, other: Measured) -> Interval | None:
        """Return by how much the first is better than another; it takes two seeds of both."""
        both = [seed for seed in self.first.values if seed in other.values]
        ours = [self.first.values[seed] for seed in both]
        theirs = [other.values[seed] for seed in both]
        if self.finalists.metric[1] == "minimize":
            ours, theirs = theirs, ours
        return statistics.paired(ours, theirs, self.level)


def measure(chosen: Finalists) -> Confirmation:
    """Read the runs of some finalists as they are now."""
    by_key: dict[str, dict[int, ExperimentRow]] = {}
    for found in read_tree(chosen.folder).experiments:
        flat = plain_values.flatten(found.hyperparameters or {})
        seed = flat.get(SEED)
        if isinstance(seed, int):
            by_key.setdefault(finalists.key_of(flat), {})[seed] = found
    measured = (
        _measured(finalist, chosen, by_key.get(finalist.key, {})) for finalist in chosen.members
    )
    return Confirmation(chosen, tuple(measured))


def _measured(finalist: Finalist, chosen: Finalists, runs: Mapping[int, ExperimentRow]) -> Measured:
    values, failed, still = {}, [], []
    for seed in chosen.seeds:
        found = runs.get(seed)
        value = found.value(chosen.metric[0]) if found else None
        if found is None or found.status.state in _OPEN:
            still.append(seed)
        elif value is None or not math.isfinite(value):
            failed.append(seed)
        else:
            values[seed] = value
    return Measured(finalist, values, tuple(failed), tuple(still))


def to_words(found: Confirmation, width: int | None = None) -> str:
    """Return what `modeldir confirm` prints at its end: a table of the values, and the answer."""
    lines = [_head(found.finalists), "", *_measured_lines(found, width), "", *answer(found)]
    return "\n".join(each for line in lines for each in wrapped(line, width) or [""])


def _measured_lines(found: Confirmation, width: int | None) -> list[str]:
    """Return the table. In a narrow terminal the least needed columns are left out, and named."""
    return to_text(_table(found), width=width, elsewhere="a wider terminal").splitlines()


def announcement(chosen: Finalists, width: int | None = None, *, dry_run: bool = False) -> str:
    """Return the line that says what `confirm` runs, or with `dry_run` what it would run."""
    count = len(chosen.members)
    text = (
        f"{'Would train' if dry_run else 'Training'} {count} configurations "
        f"{chosen.repeats} times each, with new seeds {_seeds(chosen)}: "
        f"{count * chosen.repeats} runs in {chosen.folder}"
    )
    return "\n".join(wrapped(text, width))


def _seeds(chosen: Finalists) -> str:
    return f"{chosen.seeds[0]} to {chosen.seeds[-1]}"


def _head(chosen: Finalists) -> str:
    name, direction = chosen.metric
    extreme = "highest" if direction == "maximize" else "lowest"
    return (
        f"{len(chosen.members)} configurations of {chosen.search} by {extreme} {name}, "
        f"each with {chosen.repeats} new seeds ({_seeds(chosen)})"
    )


def _table(found: Confirmation) -> Table:
    name = found.finalists.metric[0]
    named = any(each.finalist.label for each in found.measured)
    columns = (
        Column("trial", priority=6),
        *([Column("configuration", "name", 6)] if named else []),
        Column("in the search", "metric", 3),
        Column(f"mean {name}", "metric", 5),
        Column("std", "metric", 2),
        Column("n", "text", 4),
        Column(_LEAD, "text", 1),
    )
    rows = tuple(
        (
            each.finalist.number,
            *([each.finalist.label or None] if named else []),
            _rounded(each.finalist.value),
            _rounded(each.mean),
            _rounded(repeats.standard_deviation([*each.values.values()])),
            len(each.values),
            None if each is found.first else _interval_cell(found.lead(each)),
        )
        for each in found.measured
    )
    return Table(columns, rows)


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.5g}")


def _interval_cell(lead: Interval | None) -> str | None:
    if lead is None:
        return None
    if not lead.deviation:
        return number(lead.mean)
    return f"{number(lead.mean)} ({number(lead.low)} to {number(lead.high)})"


def number(value: float) -> str:
    """Write a number with three digits. An interval of a few runs is not more exact."""
    return f"{value:.3g}"


def answer(found: Confirmation) -> list[str]:
    """Return the answer in plain words, one line each. The last lines describe the test."""
    if not found.is_whole:
        left = sum(len(each.open) for each in found.measured)
        runs = "1 training run has" if left == 1 else f"{left} training runs have"
        again = f"modeldir confirm {quoted(found.finalists.search)}"
        return [f"No answer yet: {runs} not ended. To continue, or to see the answer: {again}"]
    if not found.is_seed_used:
        return list(_without_noise(found))
    lines = [*_failures(found)]
    ranked = sorted(found.others, key=lambda each: not each.finalist.is_base)
    shown = [(each, lead) for each in ranked if (lead := found.lead(each)) is not None]
    lines += [_comparison(found, each, lead) for each, lead in shown]
    missing = [each.finalist.title for each in ranked if found.lead(each) is None]
    if missing:
        lines.append(
            f"Not compared, because fewer than two seeds have a value: {', '.join(missing)}."
        )
    lines += _better(found, shown)
    tested = [lead.count for _, lead in shown if lead.deviation]
    if tested:
        lines += _test(found, max(tested))
    return lines


def _without_noise(found: Confirmation) -> Iterator[str]:
    name = found.finalists.metric[0]
    yield (
        f"The {found.finalists.repeats} seeds of each configuration gave the same {name}: the "
        "script does not use the seed, or nothing in it is random."
    )
    yield "So there is no noise to compare with, and no test; the values are as they stand above."


def _failures(found: Confirmation) -> Iterator[str]:
    for each in found.measured:
        if each.failed:
            count = len(each.failed) + len(each.values)
            yield (
                f"{each.finalist.title} failed with {len(each.failed)} of {count} seeds, which are "
                "not in its mean: it is worse than its numbers say."
            )


def _comparison(found: Confirmation, other: Measured, lead: Interval) -> str:
    first, whom = _first(found), _called(found, other)
    seeds = f"with each of {lead.count} seeds"
    if not lead.deviation and not lead.mean:
        return f"{first} has the same values as {whom} {seeds}."
    side = "worse" if lead.mean < 0 else "better"
    if not lead.deviation:
        return (
            f"{first} is {side} than {whom} by {number(abs(lead.mean))} {seeds}: without any noise."
        )
    span = f"{number(lead.low)} to {number(lead.high)}"
    if lead.low > 0:
        return f"{first} beats {whom}: better by {number(lead.mean)} (interval {span})."
    if lead.high < 0:
        low, high = number(-lead.high), number(-lead.low)
        by = f"{number(-lead.mean)} (interval {low} to {high})"
        return f"{first} is beaten by {whom}: worse by {by}."
    words = f"{side} by {number(abs(lead.mean))} in the mean" if lead.mean else "equal in the mean"
    enough = statistics.pairs_to_see(lead.mean, lead.deviation, found.level)
    seen = f"{first} is within the noise of {whom}: {words} (interval {span})."
    if not enough:
        return seen
    return f"{seen} To see a difference this small you would need about {enough} seeds."


def _first(found: Confirmation) -> str:
    is_base = found.first.finalist.is_base
    return "The base, the best of the search," if is_base else "The best of the search"


def _called(found: Confirmation, other: Measured) -> str:
    if other.finalist.is_base:
        return "the base"
    is_next = other is next((each for each in found.others if not each.finalist.is_base), None)
    return f"the runner-up {other.finalist.title}" if is_next else other.finalist.title


def _better(found: Confirmation, shown: list[tuple[Measured, Interval]]) -> Iterator[str]:
    beats = [each for each, lead in shown if lead.deviation and lead.high < 0]
    sign = -1.0 if found.finalists.metric[1] == "maximize" else 1.0
    if beats:
        best = min(beats, key=lambda each: sign * (each.mean or 0.0))
        yield f"So take {best.finalist.title}: it was not the best of the search, but it is better."


def _test(found: Confirmation, count: int) -> Iterator[str]:
    several = len(found.others) > 1
    together = f" for {len(found.others)} comparisons together (Bonferroni)" if several else ""
    yield (
        f"Test: paired t-test over {count} seeds (the same for each configuration), two-sided, "
        f"95%{together}."
    )
    yield "The seeds are new, so the luck of the search does not count here."
    if count < _FEW:
        yield (
            f"{count} seeds are few: the interval assumes that the differences are normally "
            "distributed."
        )


def of(search: Path) -> Confirmation:
    """Return the confirmation of a search as it stands."""
    return measure(finalists.read(search))
