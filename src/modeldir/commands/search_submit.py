"""`modeldir search ... --on WHERE`: submit workers to a launcher, or start them in the background.

`commands/search.py` calls `run`, and `preview` for a dry run. All problems of the command line are
reported at once, before anything is started. How a worker is started: `launchers/`.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modeldir import launchers
from modeldir._system import files
from modeldir._system.shell import quoted
from modeldir.commands.messages import print_stderr
from modeldir.commands.options import LAUNCHER_OPTIONS, has_preload, limits_of, number_of, slots_of
from modeldir.errors import CommandError, SearchError
from modeldir.experiment import project_settings
from modeldir.launchers import JobRef, Problem
from modeldir.launchers.launched_jobs import launch_missing
from modeldir.launchers.worker_counts import count_workers, worker_lines
from modeldir.search import worker_registry

if TYPE_CHECKING:
    from modeldir.launchers.launched_jobs import LaunchedJob, LaunchResult
    from modeldir.search.search import Search

OPTIONS = (*LAUNCHER_OPTIONS, "on", "workers", "detach", "wait", "one_job_per_trial")
"""Every option that says where workers run, by its attribute's name."""

_TABLES = {"command": "submit"}
"""The table of a launcher in `modeldir.toml`, if it is not named like the launcher."""

_NAMED = 8


def preview(search: Search, arguments: argparse.Namespace) -> list[str]:
    """Return which script or line would start the workers, without asking a job manager."""
    name = arguments.on or "local"
    launcher = _checked(name, _options(name, search, arguments), search, arguments)
    per_trial = arguments.one_job_per_trial
    count = (search.scheduler.left() or 0) if per_trial else (arguments.workers or 1)
    lines_of = getattr(launcher, "preview", None)
    if lines_of is None or not count:
        return []
    tokens = [f"TOKEN_{index}" for index in range(count)]
    what = "a job for each trial" if per_trial else _workers(count)
    lines = lines_of(_worker_words(name, search, arguments), tokens)
    return [
        f"{what} on {name}, minus those already there, submitted by:",
        *(f"  {line}".rstrip() for line in lines),
        "",
    ]


def _workers(count: int, called: str = "worker") -> str:
    return f"1 {called}" if count == 1 else f"{count} {called}s"


def trials_at_a_time(search: Search, arguments: argparse.Namespace) -> int:
    """Return how many trials would run in parallel; `auto` on another machine counts as one."""
    if (arguments.on or "local") == "local":
        return slots_of(arguments).count * (arguments.workers or 1)
    if arguments.one_job_per_trial:
        return arguments.workers or search.scheduler.left() or 1
    jobs = number_of("-j", arguments.jobs, int)
    return (jobs if isinstance(jobs, int) else 1) * (arguments.workers or 1)


def run(search: Search, command: str, arguments: argparse.Namespace) -> int:
    """Start the missing workers, print all workers, then return or watch; returns the exit code."""
    name = arguments.on or "local"
    options = _options(name, search, arguments)
    launcher = _checked(name, options, search, arguments)
    for line in search.prepare(command, typed=bool(arguments.command)):
        print(line)
    path = files.absolute(search.path)
    worker = _worker_words(name, search, arguments)
    before = worker_registry.options_of(path)
    worker_registry.remember(path, remembered_options(name, arguments))
    per_trial, throttles = arguments.one_job_per_trial, "at_once" in options
    at_once = None if throttles else arguments.workers

    def missing(there: Sequence[LaunchedJob]) -> int:
        if not search.scheduler.may_have_more(frozenset()):
            return 0
        if per_trial:
            return missing_jobs(there, search.scheduler.left() or 0, at_once)
        by_hand = len(manual_workers_here(path)) if name == "local" else 0
        return (arguments.workers or 1) - sum(each.counts for each in there) - by_hand

    outcome = launch_missing(launcher, options, path, worker, missing)
    for line in outcome_lines(outcome, name, search.path, per_trial=per_trial):
        print(line)
    if outcome.started and throttles:
        print(f"  each for one trial, at most {arguments.workers} at a time")
    if outcome.problem is not None:
        _report_problem(outcome, search.path, before, waits=arguments.wait)
    if arguments.wait:
        from modeldir.commands.watch import Watch, show  # noqa: PLC0415 - only with --wait

        return show(Watch(search.path), waits=True)
    print(_next(outcome, search.path))
    return 0


def _report_problem(
    outcome: LaunchResult, search: Path, before: list[str] | None, *, waits: bool
) -> None:
    """Raise why some workers were not started, or only warn if it `waits` and some run.

    `before`: the options with which workers were started the last time.
    """
    sys.stdout.flush()
    text = _problem_text(outcome, search)
    if before is not None and _is_refused(
        outcome
    ):  # or `next:` would name options that were refused
        worker_registry.remember(search, before)
    if not waits or _is_refused(outcome) or not _has_workers(outcome):
        raise CommandError(text)
    print_stderr(text)


def _next(outcome: LaunchResult, search: Path) -> str:
    path = quoted(search)
    if not (_has_workers(outcome) or manual_workers_here(search)):
        return f"next: modeldir results {path}"
    return f"next: modeldir watch {path}   or, to end it: modeldir stop {path}"


# -- What was asked --------------------------------------------------------------------------------


def _options(name: str, search: Search, arguments: argparse.Namespace) -> dict[str, Any]:
    table = project_settings.settings(search.working_folder()).get(_TABLES.get(name, name), {})
    typed = {
        option: getattr(arguments, option, None)
        for option, launcher in LAUNCHER_OPTIONS.items()
        if launcher == name and getattr(arguments, option, None) is not None
    }
    return {**(table if isinstance(table, dict) else {}), **typed}


def _checked(
    name: str, options: dict[str, Any], search: Search, arguments: argparse.Namespace
) -> launchers.Launcher:
    factory = launchers.factory(name)
    problems = [*_problems(name, search, arguments)]
    launcher = None
    try:
        launcher = factory(files.absolute(search.path), options)
        throttles = getattr(launcher, "throttles", False)
        if arguments.one_job_per_trial and arguments.workers and throttles:
            options["at_once"] = arguments.workers
            launcher = factory(files.absolute(search.path), options)
    except launchers.OptionsError as error:
        problems += error.problems
    if problems or launcher is None:
        raise launchers.OptionsError(name, problems)
    return launcher


def _problems(name: str, search: Search, arguments: argparse.Namespace) -> Iterator[Problem]:
    for option, launcher in LAUNCHER_OPTIONS.items():
        if launcher != name and getattr(arguments, option, None) is not None:
            yield Problem(f"--{option.replace('_', '-')} needs --on {launcher}", None)
    if arguments.workers is not None and arguments.workers < 1:
        yield Problem(f"--workers {arguments.workers}: expected 1 or more", None)
    if arguments.wait and arguments.detach:
        yield Problem("--detach and --wait cannot be combined", "give one of them")
    yield from (_problems_here if name == "local" else _problems_there)(name, search, arguments)
    for check in (has_preload, limits_of, slots_of if name == "local" else check_numbers):
        try:
            check(arguments)
        except SearchError as error:
            yield Problem(error.summary, None)


def _problems_here(_: str, __: Search, arguments: argparse.Namespace) -> Iterator[Problem]:
    if arguments.one_job_per_trial:
        yield Problem(
            "--one-job-per-trial needs a job manager: --on slurm", "on this machine: -j N"
        )
    elif arguments.wait and arguments.workers is None and arguments.on is None:
        yield Problem("--wait needs --on or --workers", "leave it out: this command waits anyway")


def _problems_there(name: str, search: Search, arguments: argparse.Namespace) -> Iterator[Problem]:
    if arguments.detach:
        yield Problem(f"--detach: workers on {name} never need a terminal", "leave it out")
    for path in (files.absolute(search.path), files.absolute(os.curdir)):
        if any(letter in str(path) for letter in "\n\r"):
            yield Problem(
                f"{str(path)!r}: a job script cannot name a folder with a line break", "rename it"
            )
            break
    if not arguments.one_job_per_trial:
        return
    if arguments.jobs != "1":
        yield Problem(
            f"-j {arguments.jobs} cannot be combined with --one-job-per-trial",
            "a job runs one trial",
        )
    if search.scheduler.left() is None:
        yield Problem("--one-job-per-trial needs a fixed number of trials", "add --trials N")


def check_numbers(arguments: argparse.Namespace) -> None:
    number_of("-j", arguments.jobs, int)
    number_of("--threads-per-trial", arguments.threads_per_trial, int)
    number_of("--gpus-per-trial", arguments.gpus_per_trial, float)


def _worker_words(name: str, search: Search, arguments: argparse.Namespace) -> list[str]:
    words = [sys.executable, "-m", "modeldir", "worker", os.path.abspath(search.path)]
    words += ["-j", arguments.jobs, *_worker_options(arguments)]
    if arguments.one_job_per_trial:
        words += ["--trials", "1"]
    return [*words, *(["--keep-trials"] if name == "local" else [])]


def _worker_options(arguments: argparse.Namespace) -> list[str]:
    words = ["--no-check"] if arguments.no_check else []
    words += ["--no-preload"] if arguments.no_preload else []
    for option in ("gpus_per_trial", "threads_per_trial", "time_limit", "max_failures"):
        if getattr(arguments, option) is not None:
            words += [f"--{option.replace('_', '-')}", str(getattr(arguments, option))]
    return words


def remembered_options(name: str, arguments: argparse.Namespace) -> list[str]:
    words = ["--detach"] if arguments.detach else ["--on", name]
    for option in LAUNCHER_OPTIONS:
        if getattr(arguments, option, None) is not None:
            words += [f"--{option.replace('_', '-')}", _typed(getattr(arguments, option, None))]
    words += ["--workers", str(arguments.workers)] if arguments.workers is not None else []
    words += ["--one-job-per-trial"] if arguments.one_job_per_trial else []
    words += ["-j", arguments.jobs] if arguments.jobs != "1" else []
    return [*words, *_worker_options(arguments)]


def _typed(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


# -- How many --------------------------------------------------------------------------------------


def missing_jobs(there: Sequence[LaunchedJob], left: int, at_once: int | None) -> int:
    """Return how many jobs of one trial each are missing, so that at most `at_once` wait or run.

    A waiting job will take one of the trials that are left; a job that has begun has its trial.
    """
    counted = [each for each in there if each.counts]
    missing = left - sum(each.member is None for each in counted)
    return missing if at_once is None else min(missing, at_once - len(counted))


def manual_workers_here(search: Path) -> list[worker_registry.RegisteredWorker]:
    there = worker_registry.workers(search)
    return [each for each in there if each.alive and not each.is_leaving and each.job is None]


# -- What is printed -----------------------------------------------------------------------------


def outcome_lines(
    outcome: LaunchResult, name: str, search: Path, *, per_trial: bool = False
) -> Iterator[str]:
    there = [each for each in outcome.there if each.counts]
    alone = _single_worker(there, search) if name == "local" and not outcome.missing else None
    if alone is not None:
        yield f"worker {alone.pid} already works on it, with -j {alone.jobs}: none was started"
        yield f"  to add one: modeldir worker {quoted(search)} --keep-trials"
        return
    lines = [*worker_lines(count_workers(search, outcome.there))] if outcome.there else []
    for index, line in enumerate(lines):
        yield f"already there: {line}" if there and index == 0 else line
    unknown = [each.name for each in there if each.state.alive is None]
    if unknown:
        yield f"  these are counted, because they may still start: {_shortened(unknown)}"
        yield f"  if they are gone: {_stop_first(search)}"
    if outcome.started:
        yield from started_text(outcome.started, name, search, "job" if per_trial else "worker")
    elif not outcome.missing:
        enough = "there are already as many as --workers asks for"
        if per_trial:
            enough = "each remaining trial has a job, or there are as many as --workers asks for"
        yield f"none was started: {enough if there else 'nothing is left to run'}"
        if any(each.member is None and each.state.alive and not each.came_up for each in there):
            yield f"  pending jobs keep their options; to change them: {_stop_first(search)}"


def _stop_first(search: Path) -> str:
    return f"modeldir stop {quoted(search)}, then run the command again"


def _single_worker(
    there: Sequence[LaunchedJob], search: Path
) -> worker_registry.RegisteredWorker | None:
    here = [*manual_workers_here(search), *(each.member for each in there)]
    return here[0] if len(here) == 1 else None


def started_text(
    jobs: Sequence[JobRef], name: str, search: Path, called: str = "worker"
) -> Iterator[str]:
    if name == "local":
        yield from (f"worker {job.job} runs without this terminal" for job in jobs)
        return
    known = [job.job for job in jobs if job.job]
    noun = "" if called == "job" else "job " if len(known) == 1 else "jobs "
    ids = f"{noun}{_shortened(known)}" if known else "no id was found"
    without = len(jobs) - len(known)
    more = f", and {without} without an id" if known and without else ""
    yield f"{_workers(len(jobs), called)} submitted: {ids}{more}"
    printed = launchers.jobs_folder(search) / f"{jobs[0].token}.submit.out"
    if printed.exists():
        yield f"  the output of --submit: {printed}"


def _shortened(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_NAMED])
    return shown if len(names) <= _NAMED else f"{shown}, ... {names[-1]}"


def _is_refused(outcome: LaunchResult) -> bool:
    """Return whether nothing was started and running the command again would not help."""
    return not outcome.started and not isinstance(outcome.problem, launchers.LauncherBusy)


def _has_workers(outcome: LaunchResult) -> bool:
    """Return whether a worker that a launcher started runs, or may still come up."""
    return bool(outcome.started) or any(each.counts for each in outcome.there)


def _problem_text(outcome: LaunchResult, search: Path) -> str:
    problem, started = outcome.problem, len(outcome.started)
    head = f"worker {started + 1} of {outcome.missing} was not started: {problem}"
    again = f"to start the missing workers: {worker_registry.resume_command(search)}"
    if isinstance(problem, launchers.LauncherBusy):
        again = f"this is temporary; later, {again}"
    elif not outcome.started:
        again = "fix that, and run the command again"
    jobs = _shortened([job.job or "one without an id" for job in outcome.started])
    state = f"Started before that: {jobs}" if outcome.started else "Nothing was started."
    return f"{head}\n  {again}\n{state}"
