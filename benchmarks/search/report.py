"""Make the tables from the results: `--report` prints them.

docs/contributing/search-quality.md has them.
"""

from __future__ import annotations

import math
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import curves_svg
import protocol
import result_files
import stats
from result_files import Result, mean_regret
from stats import Interval

FLOOR = 1e-4
"""Regret below this is as good as none: a logarithm needs an end."""


def every(place: Path = result_files.PLACE) -> str:
    """Return all tables that there are results for."""
    read = {
        question: list(result_files.read(place / f"{question}.jsonl").values())
        for question in ("final", "few", "stopping")
    }
    parts = [versions(row for rows in read.values() for row in rows)]
    if read["final"]:
        parts += [
            f"**{protocol.FINAL_TRIALS} trials, one after another**",
            compared(read["final"], [25, 50, protocol.FINAL_TRIALS]),
        ]
    if read["few"]:
        cheap = [row for row in read["final"] if row.run.method != "auto"]
        rows = [*read["few"], *cheap]
        usual = _seen(rows, protocol.FEW_SEEDS)
        parts += [
            f"**{protocol.FEW_TRIALS} trials, one after another, the slow methods too**",
            compared(usual, [protocol.FEW_TRIALS]),
        ]
        if len(once := _seen(rows, 1)) > len(usual):
            first = [row for row in once if row.run.seed == 0]
            parts += [
                "**The same with those that have one seed only: everybody's first seed**",
                compared(first, [protocol.FEW_TRIALS]),
            ]
    for tasks in (protocol.CURVES, *((task,) for task in protocol.CURVES)):
        rows = [row for row in read["stopping"] if row.run.task in tasks]
        if rows:
            named = " and ".join(f"`{task}`" for task in tasks)
            parts += [f"**Early stopping: {named}**", stopping(rows)]
    return "\n\n".join(parts)


PAGE = Path(__file__).parents[2] / "docs/contributing/search-quality.md"
PICTURE = PAGE.parents[1] / "pictures" / "search_quality.svg"
BEGIN, END = "<!-- tables: bench.py --write -->", "<!-- end of tables -->"


def write() -> None:
    """Write the tables into the page, between its marks, and the picture beside it."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    PAGE.write_text(f"{before}{BEGIN}\n\n{every()}\n\n{END}{after}", encoding="utf-8")
    rows = result_files.read(result_files.PLACE / "stopping.jsonl").values()
    PICTURE.write_text(curves_svg.draw(list(rows)), encoding="utf-8")


def quick(place: Path) -> str:
    """Return the table of `--quick`: two tasks, three seeds, no more than a sign of life."""
    rows = list(result_files.read(place / "quick.jsonl").values())
    return compared(rows, [10, protocol.FEW_TRIALS])


def versions(rows: Iterable[Result]) -> str:
    """Return the compared versions in one line."""
    return "Measured: " + ", ".join(sorted({row.version for row in rows})) + "."


# -- Final values ----------------------------------------------------------------------------------

Regrets = Mapping[str, Mapping[str, Mapping[int, float]]]
"""By method, task and seed."""


def regrets(rows: Sequence[Result], spent: int) -> Regrets:
    """Return normalized regrets: 0 is the best possible, 1 the median configuration of the task.

    If nobody knows the best (a live task), it is the best that any of the runs found.
    """
    best: dict[str, float] = {}
    for row in rows:
        best[row.run.task] = min(best.get(row.run.task, math.inf), *(v for _, v in row.found.curve))
    found: dict[str, dict[str, dict[int, float]]] = defaultdict(lambda: defaultdict(dict))
    for row in rows:
        low, high = row.scale
        low = best[row.run.task] if math.isnan(low) else low
        regret = (row.at(spent) - low) / (high - low)
        found[row.run.method][row.run.task][row.run.seed] = max(0.0, regret)
    return found


def compared(rows: Sequence[Result], budgets: Sequence[int]) -> str:
    """Return a table with one row per method, best mean rank at the last budget first."""
    full = _seen(rows, 1)
    tasks = sorted({row.run.task for row in full})
    samples = stats.draws(len(tasks), protocol.RESAMPLES)
    by_budget = {spent: regrets(full, spent) for spent in budgets}
    ranked = {spent: mean_ranks(found, tasks) for spent, found in by_budget.items()}
    last = budgets[-1]
    order = sorted(ranked[last], key=lambda name: stats.mean(ranked[last][name]))
    p = stats.holm(
        {
            name: stats.wilcoxon(_log_differences(by_budget[last], "auto", name, tasks))
            for name in order
            if name != "auto"
        }
    )
    lines = [
        "| | "
        + " | ".join(f"mean rank @{spent}" for spent in budgets)
        + f" | regret @{last} | to the best rank | p against `auto` | seeds | CPU, ms a trial |",
        "|---|" + "---:|" * (len(budgets) + 5),
    ]
    for name in order:
        seeds = min(len(by_budget[last][name][task]) for task in tasks)
        worth = [stats.mean(list(by_budget[last][name][task].values())) for task in tasks]
        behind = [
            ours - its for ours, its in zip(ranked[last][name], ranked[last][order[0]], strict=True)
        ]
        cells = [
            *(_said(stats.interval(ranked[spent][name], samples)) for spent in budgets),
            _said(stats.interval(worth, samples), 3),
            _said(stats.interval(behind, samples)) if name != order[0] else "-",
            f"{p[name]:.3f}" if name in p else "-",
            str(seeds),
            f"{_cost(full, name):.0f}",
        ]
        lines.append(f"| {_named(name)} | " + " | ".join(cells) + " |")
    return "\n".join([f"{len(tasks)} tasks, {len(order)} methods.", "", *lines])


def _seen(rows: Sequence[Result], seeds: int) -> list[Result]:
    """Return the results without methods that lack seeds on some task."""
    tasks = {row.run.task for row in rows}
    been: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for row in rows:
        been[row.run.method][row.run.task] += 1
    return [row for row in rows if all(been[row.run.method][task] >= seeds for task in tasks)]


def mean_ranks(found: Regrets, tasks: Sequence[str]) -> dict[str, list[float]]:
    """Return each method's mean rank on each task, over the seeds that all methods have."""
    placed: dict[str, list[float]] = {name: [] for name in found}
    for task in tasks:
        common = sorted(set.intersection(*(set(found[name][task]) for name in found)))
        by_seed = [
            stats.ranks({name: found[name][task][seed] for name in found}) for seed in common
        ]
        for name in found:
            placed[name].append(stats.mean([ranks[name] for ranks in by_seed]))
    return placed


def _log_differences(found: Regrets, one: str, other: str, tasks: Sequence[str]) -> list[float]:
    """Return by task the difference of the mean log10 regret over the seeds that both have."""
    differences = []
    for task in tasks:
        mine, its = found[one][task], found[other][task]
        differences.append(
            stats.mean(
                [
                    math.log10(max(FLOOR, mine[seed])) - math.log10(max(FLOOR, its[seed]))
                    for seed in mine.keys() & its.keys()
                ]
            )
        )
    return differences


def _cost(rows: Sequence[Result], method: str) -> float:
    mine = [row for row in rows if row.run.method == method]
    return 1000 * sum(row.found.cpu for row in mine) / sum(row.found.trials for row in mine)


# -- Early stopping --------------------------------------------------------------------------------


def stopping(rows: Sequence[Result]) -> str:
    """Return a row per method, with and without ASHA: regret, and when random's final is reached.

    For several tasks it is the mean; the unit of the intervals is a seed, with all the tasks.
    """
    whole, quarter = protocol.STOPPING_EPOCHS, protocol.QUARTER
    groups: dict[tuple[str, bool], list[Result]] = defaultdict(list)
    for row in rows:
        groups[row.run.method, row.run.asha].append(row)
    base = _by_seed(groups["random", False])
    lines = [
        f"| | trials | stopped | regret @{quarter} | regret @{whole} | to random's | seeds |",
        "|---|" + "---:|" * 6,
    ]
    for (name, asha), mine in sorted(groups.items(), key=lambda item: (item[0][1], item[0][0])):
        seeds = _by_seed(mine)
        samples = stats.draws(len(seeds), protocol.RESAMPLES)
        far = all(row.run.budget >= whole for row in mine)
        cells = [
            f"{stats.mean([row.found.trials for row in mine]):.0f}",
            f"{stats.mean([row.found.stopped for row in mine]):.0f}",
            _said(stats.interval([mean_regret(seed, quarter) for seed in seeds], samples), 3),
            _said(stats.interval([mean_regret(seed, whole) for seed in seeds], samples), 3)
            if far
            else "-",
            _reached(seeds, base, whole),
            str(len(seeds)),
        ]
        title = f"{_named(name)} with ASHA" if asha else _named(name)
        lines.append(f"| {title} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _by_seed(rows: Sequence[Result]) -> list[list[Result]]:
    """Return the runs of each seed for which all tasks have one."""
    tasks = {row.run.task for row in rows}
    seeds: dict[int, list[Result]] = defaultdict(list)
    for row in rows:
        seeds[row.run.seed].append(row)
    return [seeds[seed] for seed in sorted(seeds) if len(seeds[seed]) == len(tasks)]


def _reached(
    seeds: Sequence[Sequence[Result]], base: Sequence[Sequence[Result]], whole: int
) -> str:
    """Return when the mean curve meets the mean end of `base`. Seeds are resampled together."""
    ends = [mean_regret(rows, whole) for rows in base]
    budget = min(row.run.budget for rows in seeds for row in rows)
    grid = sorted(
        {when for rows in seeds for row in rows for when, _ in row.found.curve if when <= budget}
    )
    table = [[mean_regret(rows, when) for rows in seeds] for when in grid]

    def first(mine: Sequence[int], its: Sequence[int]) -> float:
        goal = stats.mean([ends[seed] for seed in its])
        for when, values in zip(grid, table, strict=True):
            if stats.mean([values[seed] for seed in mine]) <= goal + 1e-12:  # never, where NaN
                return when
        return math.inf

    seen = first(range(len(seeds)), range(len(base)))
    mine, its = (stats.draws(n, 1000) for n in (len(seeds), len(base)))
    times = sorted(first(one, other) for one, other in zip(mine, its, strict=True))
    low, high = stats.quantiles(times)
    said = [f"{time:.0f}" if math.isfinite(time) else f">{budget}" for time in (seen, low, high)]
    return f"{said[0]} ({said[1]}..{said[2]})"


def _named(name: str) -> str:
    ours = {"auto", "tpe", "gp", "random", "sobol", "cmaes"}
    titles = {
        "optuna": "Optuna",
        "hyperopt": "hyperopt",
        "smac": "SMAC3",
        "syne-tune": "Syne Tune",
        "ax": "Ax",
    }
    return f"**`{name}`**" if name in ours else titles.get(name, name)


def _said(interval: Interval, digits: int = 2) -> str:
    return f"{interval.mean:.{digits}f} ({interval.low:.{digits}f}..{interval.high:.{digits}f})"
