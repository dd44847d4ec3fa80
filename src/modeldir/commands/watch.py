"""`modeldir watch`: the live view of what runs, from any terminal that sees the folder.

`Watch` finds the searches and experiments below a folder; `monitor/` reads and prints them.
Watching only reads files, so any number of people may watch.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

from modeldir._system.shell import quoted
from modeldir.commands.messages import report_text, wait_for_more
from modeldir.commands.options import add_allow, allow_typed
from modeldir.errors import FolderError
from modeldir.experiment import attempts, discovery, experiment
from modeldir.launchers.worker_counts import worker_lines
from modeldir.metrics import objective
from modeldir.monitor.progress import ShownTrial, View, event_line, shown_on
from modeldir.monitor.snapshots import (
    Event,
    SearchSnapshot,
    Snapshot,
    best_text,
    progress_text,
    remaining_text,
)
from modeldir.search import worker_registry

if TYPE_CHECKING:
    from modeldir.monitor.experiment import ExperimentMonitor
    from modeldir.monitor.search import SearchMonitor
    from modeldir.results.report.live_report import LiveReport

HELP = "Watch a search or an experiment live: running trials, their metrics, the best so far."
EXAMPLE = "modeldir watch experiments/learning_rate"
FOLDERS = "dir"

EVERY = 1.0
"""Seconds between two updates."""

_SEARCHING = 0.02
"""The most time that may go into finding new searches below a folder, as a share of 1."""

Watched: TypeAlias = "SearchMonitor | ExperimentMonitor"
Wait = Callable[[float], None]


def configure(parser: argparse.ArgumentParser) -> None:
    parser.usage = "modeldir watch DIR [--html FILE] [--allow LINE ...]"
    parser.add_argument(
        "dir", metavar="DIR", help="a search, an experiment, or a folder with several of them"
    )
    parser.add_argument(
        "--html", metavar="FILE", help="write a report to FILE, and update it as trials end"
    )
    add_allow(parser)


def run(arguments: argparse.Namespace) -> int:
    watch = Watch(Path(arguments.dir))
    allow_typed(watch.folder, arguments.allow)
    if not arguments.html:
        return show(watch)
    from modeldir.results.report.live_report import LiveReport  # noqa: PLC0415 - only with --html

    return show(watch, kept=LiveReport(watch.folder, arguments.html))


def show(watch: Watch, *, waits: bool = False, kept: LiveReport | None = None) -> int:
    """Show what is watched until it has ended; returns the exit code.

    `waits`: the caller waits for the result. Then Ctrl-C is exit code 130, and failed or remaining
    trials are exit code 1. `kept` is a report that is written again each time trials have ended.
    """
    sys.stdout.flush()
    view = shown_on(sys.stdout)
    try:
        follow(watch, view, kept=kept)
    except KeyboardInterrupt:  # the usual way to stop watching: no error
        view.close()
        if view.interval is not None:  # the live view is cleared: leave a line
            for line in watch.now(watch.update()):
                view.message(line)
        if waits:
            view.message("the workers continue")
        return 130 if waits else 0
    finally:
        view.close()
    if kept is not None:
        print(kept.problem or report_text(kept.path), file=sys.stderr)
    if not waits:
        return 0
    searches = [each for each in watch.update() if isinstance(each, SearchSnapshot)]
    return int(any(each.states.get(attempts.FAILED) or each.to_run for each in searches))


def follow(
    watch: Watch, view: View, wait: Wait | None = None, *, kept: LiveReport | None = None
) -> None:
    wait = wait or wait_for_more
    snapshots = watch.update()
    # Lines at the start are for a pipe: in a terminal the live view shows the same.
    is_described = view.interval is None and not watch.is_over(snapshots)
    for line in (
        *(watch.head(snapshots) if is_described else ()),
        *watch.without_workers(snapshots),
    ):
        view.message(line)
    while True:
        for name, folder, event in watch.take_events():
            _print_event(view, name, folder, event)
            if kept is not None and event.state not in {attempts.RUNNING, "step"}:
                kept.trial_ended()
        if watch.is_over(snapshots):
            break
        view.view(snapshots)
        if kept is not None:
            kept.refresh()
        wait(EVERY)
        snapshots = watch.update()
    if kept is not None:
        kept.refresh(last=True)
    view.close()
    for line in watch.foot(snapshots):
        view.message(line)


def _print_event(view: View, name: str, folder: Path, event: Event) -> None:
    trial = ShownTrial(name, folder, 0.0, event.number)
    if event.state == attempts.RUNNING:
        view.started(trial)
    elif event.state == "step":
        view.stepped(trial, event.words)
    else:
        view.ended(trial, event.state, event.words)


# -- What is watched -------------------------------------------------------------------------------


class Watch:
    """The searches and experiments below a folder; an error if there are none."""

    def __init__(self, folder: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        if not folder.is_dir():
            raise FolderError(experiment.no_folder_message(folder))
        self.folder = folder
        self._clock = clock
        self._has_several = (
            not experiment.is_search(folder) and experiment.params_file(folder) is None
        )
        self._watched: dict[Path, Watched] = {}
        self._find_next = 0.0
        self._find()
        if not self._watched:
            raise FolderError(_nothing_in(folder))

    def update(self) -> list[Snapshot]:
        if self._has_several and self._clock() >= self._find_next:
            self._find()
        return [each.update() for each in self._watched.values()]

    def is_over(self, snapshots: Sequence[Snapshot]) -> bool:
        """Return whether nothing more will happen. One experiment that has not begun may yet."""
        return all(each.is_over or (self._has_several and each.is_idle) for each in snapshots)

    def take_events(self) -> Iterator[tuple[str, Path, Event]]:
        from modeldir.monitor.search import SearchMonitor  # noqa: PLC0415 - not for --help

        for folder, each in self._watched.items():
            for event in each.take_events():
                path = folder / event.name if isinstance(each, SearchMonitor) else folder
                yield self._name(path, event), path, event

    def _name(self, path: Path, event: Event) -> str:
        return path.relative_to(self.folder).as_posix() if self._has_several else event.name

    def _find(self) -> None:
        from modeldir.monitor.experiment import ExperimentMonitor  # noqa: PLC0415 - not for --help
        from modeldir.monitor.search import SearchMonitor  # noqa: PLC0415 - likewise

        began = self._clock()
        for folder, kind in _searches_and_experiments(self.folder, self._watched):
            self._watched[folder] = (
                SearchMonitor(folder) if kind == "search" else ExperimentMonitor(folder)
            )
        now = self._clock()
        self._find_next = now + max(5.0, (now - began) / _SEARCHING)

    # -- In words ----------------------------------------------------------------------------------

    def head(self, snapshots: Sequence[Snapshot]) -> Iterator[str]:
        for each in snapshots:
            yield from self.now([each])
            if isinstance(each, SearchSnapshot):
                for row in each.running:
                    trial = ShownTrial(row.name, each.folder / row.name, 0.0, row.number)
                    yield event_line(trial, attempts.RUNNING)
            yield from filter(None, [each.problem])

    def now(self, snapshots: Sequence[Snapshot]) -> Iterator[str]:
        for each in snapshots:
            if isinstance(each, SearchSnapshot):
                yield f"{each.folder}: {progress_text(each)}"
                yield from worker_lines(each.workers) if each.workers else ()
            elif each.status.state == attempts.RUNNING or not self._has_several:
                yield f"{each.folder}: {each.status.state}"

    def without_workers(self, snapshots: Sequence[Snapshot]) -> Iterator[str]:
        """Yield why nothing happens in a search that no worker has begun, and what to type."""
        for each in snapshots:
            if self._has_several or not isinstance(each, SearchSnapshot) or not each.is_idle:
                continue
            there = each.workers is not None and each.workers.are_there
            if not (there or any(each.states.values()) or each.problem):
                again = worker_registry.resume_command(each.folder)
                yield f"No worker is running yet. To start: {again}"

    def foot(self, snapshots: Sequence[Snapshot]) -> Iterator[str]:
        searches = [each for each in snapshots if isinstance(each, SearchSnapshot)]
        for each in searches:
            yield ": ".join([str(each.folder), _end_text(each)])
            yield from worker_lines(each.workers) if each.workers and each.to_run else ()
            yield from filter(None, [best_text(each)])
            if each.unranked:
                yield f"to rank: {objective.how_to_rank(each.folder, each.unranked[0])}"
        if len(snapshots) > 1 or searches:
            yield f"next: {self._next(searches)}"
        else:
            yield f"next: modeldir show {quoted(self.folder)}"

    def _next(self, searches: Sequence[SearchSnapshot]) -> str:
        left = [each for each in searches if each.to_run]
        if left:
            return worker_registry.resume_command(left[0].folder)
        failed = [each for each in searches if _has_failed(each)]
        if failed:
            folder = failed[0].folder
            return (
                f"modeldir retry {quoted(folder)}   then: {worker_registry.resume_command(folder)}"
            )
        return f"modeldir results {quoted(self.folder)}"


def _has_failed(search: SearchSnapshot) -> bool:
    return {state for state, count in search.states.items() if count} == {attempts.FAILED}


def _end_text(search: SearchSnapshot) -> str:
    text, left = progress_text(search), search.to_run
    if left:
        return f"{text}, {left} remaining, no worker running"
    return f"{text}; {remaining_text(search)}" if search.remaining else text


def _nothing_in(folder: Path) -> str:
    return (
        f"{folder}: there is nothing to watch: no search, and no experiment with a params.json\n"
        f"  modeldir search {quoted(folder)} learning_rate=0.1,0.01 -- python train.py"
    )


def _searches_and_experiments(
    top: Path, known: Mapping[Path, object]
) -> Iterator[tuple[Path, Literal["experiment", "search"]]]:
    """Yield the searches and experiments in and below a folder that are not known yet."""
    for folder in discovery.walk(top):
        path = Path(folder.path)
        is_new = path not in known
        kind = experiment.kind_of(folder) if is_new else None
        if kind is not None:
            yield path, kind
        if kind is not None or not is_new:  # what lies below it is part of it
            folder.folders.clear()
            folder.links.clear()
