"""`modeldir stop`: ask the workers of a search to stop, wherever they run; or stop one experiment.

Workers are asked by a file (`search/worker_registry.py`), jobs that only wait are canceled by
their launcher. The rule: nobody is signaled on another host or as another user.
"""

from __future__ import annotations

import argparse
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from modeldir._system import processes
from modeldir._system.shell import quoted
from modeldir.commands.options import add_allow, allow_typed
from modeldir.errors import FolderError
from modeldir.experiment import attempts, experiment, liveness, trial_labels
from modeldir.experiment.attempts import HOME
from modeldir.launchers.launched_jobs import LaunchedJob, cancel, read_jobs
from modeldir.search import start_checks, worker_registry

HELP = (
    "Ask the workers of a search to stop. They start no more trials; running trials continue to "
    "their end. Jobs in a queue are canceled.\n"
    "An experiment that runs on this machine is interrupted, as by Ctrl-C."
)
EXAMPLE = "modeldir stop experiments/learning_rate --now"
FOLDERS = "dir"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.usage = "modeldir stop DIR [--now] [--allow LINE ...]"
    parser.add_argument("dir", metavar="DIR", help="a search, or an experiment")
    parser.add_argument(
        "--now",
        action="store_true",
        help="interrupt the running trials too; they run again next time",
    )
    add_allow(parser)


def run(arguments: argparse.Namespace) -> int:
    """Write the request, print which workers it is for, and cancel jobs that only wait.

    Returns 1 if a trial of another user still runs.
    """
    folder = Path(arguments.dir)
    if not folder.is_dir():
        raise FolderError(experiment.no_folder_message(folder))
    if not experiment.is_search(folder):
        return _stop_experiment(folder, now=arguments.now)
    start_checks.check_home(folder)
    allow_typed(folder, arguments.allow)
    asked = worker_registry.workers(folder)
    jobs = [job for job in read_jobs(folder, ask=True) if job.state.alive is not False]
    if asked or jobs:
        _ask(folder, asked, "now" if arguments.now else "wait", jobs)
    named = {job.ref.token: job.name for job in jobs if job.state.alive}
    for member in asked:
        print(_asked_text(member, named.get(member.job or "")))
    # One that waits runs no worker, whatever the entry says of one that died with its node.
    idle = [job for job in jobs if job.member is None or job.state.runs is False]
    for line in _canceled(folder, idle):
        print(line)
    ended, left = _ended_here(folder) if arguments.now else ([], [])
    for name in ended:
        print(f"stopped: {name} (its worker had already exited)")
    for name in left:
        print(f"still running: {name} (its worker has exited; the trial belongs to another user)")
    if asked or left:
        print(f"next: modeldir watch {quoted(folder)}")
    else:
        lines = _resume(folder) if jobs or ended else _idle(folder)
        print(*lines, sep="\n")
    return 1 if left else 0


def _asked_text(member: worker_registry.RegisteredWorker, job: str | None) -> str:
    seen = "" if member.alive else ", which cannot be seen from here"
    return f"asked: worker {member.pid} on {member.host}{f', job {job}' if job else seen}"


def _canceled(folder: Path, jobs: list[LaunchedJob]) -> Iterator[str]:
    problems = cancel(folder, [job.ref for job in jobs])
    if jobs and not problems:
        yield f"canceled: {', '.join(f'job {job.name}' for job in jobs)}"
    for problem in problems:
        yield f"not canceled: {problem}"
    if problems:
        yield "  if one of them starts nevertheless, its worker leaves at once"


def _ask(
    folder: Path,
    asked: list[worker_registry.RegisteredWorker],
    urgency: worker_registry.Urgency,
    jobs: list[LaunchedJob],
) -> None:
    """Ask workers to stop, by a file in the search's folder.

    Workers that have not come up yet are asked by the tokens of their jobs.
    """
    try:
        worker_registry.ask_to_stop(folder, asked, urgency, [job.ref.token for job in jobs])
    except OSError as error:
        home = quoted(folder / HOME)
        raise FolderError(
            f"{folder}: stop has to write a request file to {HOME}, and cannot: "
            f"{error.strerror}\n"
            f"  the owner of the folder can allow the group to write: chmod -R g+w {home}",
            state="Nothing was stopped.",
        ) from None


def _stop_experiment(folder: Path, *, now: bool) -> int:
    last, path = attempts.latest(folder), quoted(folder)
    if last is None and experiment.params_file(folder) is None:
        raise FolderError(
            f"{folder} is not a search or an experiment\n"
            f"  to see what runs below it: modeldir watch {path}",
            state="Nothing was stopped.",
        )
    if last is None or last.end is not None or (life := liveness.is_alive(last)) is False:
        print(f"{folder} is not running: {experiment.status(folder).state}")
        print(f"next: modeldir show {path}")
        return 0
    record = last.record
    supervisor = processes.from_json(record.get("supervisor") or record.get("process"))
    _refuse_if_trial(folder, last)
    if supervisor is None or life is None:
        host = supervisor.host if supervisor else "an unknown host"
        raise FolderError(
            f"{folder} runs on {host}, which cannot be reached from here\n"
            f"  run this there: modeldir stop {path}",
            state="Nothing was stopped.",
        )
    try:
        if not liveness.kill_orphans(last):
            _signal(last, supervisor, signal.SIGTERM if now else signal.SIGINT)
    except PermissionError:
        raise FolderError(
            f"{folder} runs as another user: process {supervisor.pid}", state="Nothing was stopped."
        ) from None
    except ProcessLookupError:
        pass  # it has ended just now
    print(f"asked: attempt {last.number} of {folder}, process {supervisor.pid}", flush=True)
    _wait_for(supervisor)
    print(f"{folder}: {experiment.status(folder).state}")
    print(f"To resume: modeldir run {path} --resume   (without --resume it starts again)")
    return 0


def _refuse_if_trial(folder: Path, last: attempts.Attempt) -> None:
    """Raise an error for a trial of a worker: the worker would run it again."""
    if (folder / "trial.json").exists() and last.record.get("worker"):
        search = quoted(folder.resolve().parent if not folder.name else folder.parent)
        raise FolderError(
            f"{folder} is a trial of a search, and its worker would run it again\n"
            f"  modeldir stop {search} --now",
            state="Nothing was stopped.",
        )


def _idle(folder: Path) -> list[str]:
    if (folder / HOME).is_dir():
        from modeldir.monitor.search import SearchMonitor  # noqa: PLC0415 - it reads the plan and all trials

        search = SearchMonitor(folder).update()
        if search.is_complete:
            counts = ", ".join(f"{count} {state}" for state, count in search.states.items())
            what = f"No worker is running: the search is complete ({counts})."
            return [what, f"Compare them: modeldir results {quoted(folder)}"]
    return [f"No worker is running. To resume: {worker_registry.resume_command(folder)}"]


def _resume(folder: Path) -> list[str]:
    return [f"To resume: {worker_registry.resume_command(folder)}"]


def _ended_here(folder: Path) -> tuple[list[str], list[str]]:
    """Stop trials on this host whose worker is gone, and wait for them.

    Returns the titles of the stopped trials, and of those that still run as another user.
    """
    ended, left = [], []
    for path in sorted(folder.iterdir()):
        last = attempts.latest(path) if path.is_dir() and path.name[0] != "." else None
        if last is None or last.end is not None or liveness.is_alive(last) is not True:
            continue
        worker = processes.from_json(last.record.get("worker"))
        supervisor = processes.from_json(last.record.get("supervisor"))
        if worker is None or supervisor is None or processes.alive(worker) is not False:
            continue  # its worker will stop it
        if liveness.kill_orphans(last):
            ended.append(trial_labels.title_of(path))
            continue
        try:
            _signal(last, supervisor, signal.SIGTERM)
        except PermissionError:
            left.append(trial_labels.title_of(path))
        except ProcessLookupError:
            continue
        else:
            ended.append(trial_labels.title_of(path))
            _wait_for(supervisor)
    return ended, left


def _signal(attempt: attempts.Attempt, known: processes.Process, number: int) -> None:
    """Signal a process that a run file names.

    Raises:
        PermissionError: if it runs as another user, or as another one than the file belongs to.
        ProcessLookupError: if it has ended.
    """
    if not processes.belongs_to_owner_of(attempt.path, known.pid):
        raise PermissionError
    os.kill(known.pid, number)


def _wait_for(supervisor: processes.Process, seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while processes.alive(supervisor) and time.monotonic() < deadline:
        time.sleep(0.05)
