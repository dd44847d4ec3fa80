"""The large variant of all parts, for `make chaos`: `campaign` runs them, `table` prints counts.

    python tests/hostile/campaign.py --python OTHER/bin/python

runs them alone, here with another version of modeldir. The quick variants: `test_hostile`.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from hostile import faults, hosts, polls, shared_folders
from hostile.journal import WRONG, Findings

Part = Callable[[Path], Findings]


def parts(seed: str, times: int, python: str) -> Iterator[tuple[str, str, Part]]:
    """Yield the searches to run: the part of the campaign, what is special, and the search."""
    for number in range(times):
        if hosts.why_not() is None:
            for kind in ("bindfs", "bind"):
                for containers in (False, True):
                    words = f"{kind}, containers" if containers else kind
                    mounts = partial(
                        shared_folders.two_mounts, kind=kind, containers=containers, python=python
                    )
                    yield "two mounts", words, mounts
            for seconds in (0, 1, 3):
                yield (
                    "two hosts",
                    f"caches of {seconds} s",
                    partial(shared_folders.two_hosts, cache_seconds=seconds, python=python),
                )
        if faults.why_not() is None:
            for delay in (0.0, 0.3, 3.0):
                yield (
                    "no hard links",
                    f"delays to {delay:g} s",
                    partial(faults.no_hard_links, delay=delay, python=python),
                )
            for call in sorted({call for call, _ in faults.CALLS}):
                yield (
                    "failing calls",
                    call,
                    partial(
                        faults.failing_calls, seed=f"{seed}.{number}", calls=[call], python=python
                    ),
                )
            for each in range(3):
                yield (
                    "failing calls",
                    "any",
                    partial(faults.failing_calls, seed=f"{seed}.{number}.{each}", python=python),
                )
            yield "a full disk", "", partial(faults.full_disk, python=python)
        yield "polls", "", partial(polls.polled, trials=100, python=python)


def campaign(
    where: Path, seed: str, times: int, tell: Callable[[str], None], python: str = sys.executable
) -> dict[str, Findings]:
    """Run every part, and return what each found. Folders without a problem are removed."""
    found: dict[str, Findings] = {}
    for reason in {hosts.why_not(), faults.why_not()} - {None}:
        tell(f"SKIPPED, {reason}")
    for number, (name, words, part) in enumerate(parts(seed, times, python)):
        home = where / f"hostile_{number}"
        home.mkdir(parents=True)
        try:
            one = part(home)
        except (AssertionError, OSError) as error:
            one = Findings()
            one.wrong("commands that failed", f"no end: {error!r}")
        one.counts["searches"] = 1
        found.setdefault(name, Findings()).add(one)
        outcome = f"WRONG, see {home}" if one.problems else "as it should be"
        tell(f"{name}{', ' if words else ''}{words}: {outcome}")
        for problem in one.problems:
            tell(f"  {problem}")
        if not one.problems:
            shutil.rmtree(home)
    return found


def table(found: dict[str, Findings]) -> str:
    """Return all that was counted, as Markdown: one column for each part."""
    kinds = {kind for one in found.values() for kind in one.counts} - set(WRONG)
    rows = [["", *found]]
    for kind in [*sorted(kinds), *WRONG]:
        numbers = [one.counts[kind] for one in found.values()]
        rows.append([kind, *("" if kind in kinds and not n else f"{n:,}" for n in numbers)])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "| " + " | ".join(
            cell.ljust(width) if at == 0 else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ) + " |"
        for row in rows
    ]  # fmt: skip
    rule = [
        ("-" * (width + 1) + ":") if at else "-" * (width + 2) for at, width in enumerate(widths)
    ]
    return "\n".join([lines[0], f"|{'|'.join(rule)}|", *lines[1:]])


def main() -> int:
    """Run the campaign alone, and print the table; exit code 1 if anything was wrong."""
    parser = argparse.ArgumentParser(description="Run searches on hostile file systems.")
    parser.add_argument("--times", type=int, default=1, help="how often each part runs")
    parser.add_argument("--seed", default="0")
    parser.add_argument("--python", default=sys.executable, help="the interpreter with modeldir")
    arguments = parser.parse_args()
    where = Path(tempfile.mkdtemp(prefix="hostile-"))

    def tell(text: str) -> None:
        print(text, flush=True)

    found = campaign(where, arguments.seed, arguments.times, tell, arguments.python)
    print(table(found))
    problems = sum(len(one.problems) for one in found.values())
    if not problems:
        shutil.rmtree(where)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
