"""The launched workers of a search in one line: how many run, wait, or are unknown.

`watch`, the live view and `search --workers` print it. The jobs themselves: `launched_jobs`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from modeldir.launchers import _job_states, output_of
from modeldir.launchers.launched_jobs import LaunchedJob, last_lines

_SHOWN_WORDS = 3


@dataclass(frozen=True)
class WorkerCounts:
    """How many launched workers run, wait, have left before their jobs ended, or are `unseen`.

    `never` counts the last launched jobs that ended before their worker came up. `waits` and
    `unknown` are the engines' words for such jobs. `ended` is the last line that one of `never`
    printed, `output` the file with the rest. `to_allow` is the command that lets the engines of
    some be asked.
    """

    run: int = 0
    wait: int = 0
    left: int = 0
    unseen: int = 0
    never: int = 0
    waits: str = ""
    unknown: str = ""
    ended: str = ""
    output: Path | None = None
    to_allow: str = ""

    @property
    def are_there(self) -> bool:
        return bool(self.run or self.wait or self.left or self.unseen)


def count_workers(search: Path, jobs: Sequence[LaunchedJob]) -> WorkerCounts:
    alive = [each for each in jobs if each.state.alive]
    runs = [each for each in alive if each.member is not None or each.state.runs]
    idle = [each for each in alive if each.member is None and not each.state.runs]
    left = [each for each in idle if each.state == _job_states.HAS_LEFT]
    waits = [each for each in idle if each.state != _job_states.HAS_LEFT]
    unknown = [each for each in jobs if each.state.alive is None]
    last = jobs[-1].ref.token.rpartition("_")[0] if jobs else ""
    never = [
        each
        for each in jobs
        if each.ref.token.startswith(last)
        and not (each.came_up or each.is_leaving or each.state.alive is not False)
    ]
    printed = last_lines(search, never[0].ref) if never else []
    return WorkerCounts(
        len(runs),
        len(waits),
        len(left),
        len(unknown),
        len(never),
        waits=_engines_words(waits),
        unknown=_engines_words(unknown),
        ended=printed[-1] if printed else _engines_words(never),
        output=output_of(search, never[0].ref.token) if printed else None,
        to_allow=next((each.state.to_allow for each in unknown if each.state.to_allow), ""),
    )


def _engines_words(jobs: Sequence[LaunchedJob]) -> str:
    """Return what engines say about jobs, each once, and at most three of them."""
    words = [*dict.fromkeys(each.state.words for each in jobs if each.state.words)]
    return "; ".join([*words[:_SHOWN_WORDS], *(["..."] if len(words) > _SHOWN_WORDS else [])])


def worker_lines(workers: WorkerCounts) -> Iterator[str]:
    """Yield one line about the launched workers, and more about what needs attention.

    >>> [*worker_lines(WorkerCounts(run=3, wait=1, waits="PENDING (Resources)"))]
    ['4 workers: 3 run, 1 waits: PENDING (Resources)']
    """
    total = workers.run + workers.wait + workers.left + workers.unseen
    kinds = (
        (workers.run, "runs", "run", ""),
        (workers.wait, "waits", "wait", workers.waits),
        (workers.left, "has left, its job ends", "have left, their jobs end", ""),
        (workers.unseen, "is unknown", "are unknown", workers.unknown),
    )
    parts = [
        f"{count} {one if count == 1 else many}{f': {words}' if words else ''}"
        for count, one, many, words in kinds
        if count
    ]
    if total:
        what = "1 worker" if total == 1 else f"{total} workers"
        one_kind = len(parts) == 1
        yield f"{what} {parts[0].partition(' ')[2]}" if one_kind else f"{what}: {', '.join(parts)}"
    if workers.to_allow:
        yield f"  what would ask comes from the folder; to allow it: {workers.to_allow}"
    if workers.never:
        what = "1 job" if workers.never == 1 else f"{workers.never} jobs"
        words = f": {workers.ended}" if workers.ended else ""
        yield f"{what} ended before a worker started{words}"
        if workers.output is not None:
            yield f"  its output: {workers.output}"
