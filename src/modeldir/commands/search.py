"""`modeldir search DIR name=domain ... -- COMMAND`: make trials and run them."""

from __future__ import annotations

import argparse
import os
import re
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from modeldir.errors import SearchError, SpaceError
from modeldir.spawner import Spawner

if TYPE_CHECKING:
    from pathlib import Path

    from modeldir.launchers import JobRef
    from modeldir.search import Search
    from modeldir.slots import Slots
    from modeldir.worker import Limits

_N = TypeVar("_N", int, float)

HELP = "Search hyperparameters: one subfolder a trial, each run by your own command."
EXAMPLE = (
    "modeldir search experiments/learning_rate learning_rate=0.1,0.01,0.001 -- python train.py"
)

_DOMAINS = """\
domains:  learning_rate=0.1,0.01,0.001         a list
          learning_rate=log_uniform:1e-5,1e-1  also uniform:, int:, log_int: (bounds inclusive)

Said again it continues: finished trials are left alone, interrupted ones run again, new values add
trials. Without domains the plan in DIR/search.json goes on.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.usage = "modeldir search DIR [name=domain ...] [options] [-- COMMAND ...]"
    parser.description = f"{HELP}\n\n{_DOMAINS}"
    parser.add_argument("dir", metavar="DIR", help="the folder; its params.json is the base")
    parser.add_argument("domains", nargs="*", metavar="name=domain", help="what varies")
    what = parser.add_argument_group("what to try")
    what.add_argument("--sampler", metavar="NAME", help="grid or random")
    what.add_argument("--trials", type=int, metavar="N", help="how many trials in all")
    what.add_argument("--seed", type=int, metavar="N", help="of the sampler")
    what.add_argument(
        "--maximize", metavar="METRIC", help="rank by it (default: accuracy, f1, loss)"
    )
    what.add_argument("--minimize", metavar="METRIC", help="as --maximize, low is good")
    what.add_argument(
        "--read", metavar="LINE", help="take metrics from printed lines: 'acc: {accuracy}'"
    )
    what.add_argument(
        "--resume", metavar="ARGS", help="for interrupted trials: '--restore_file last'"
    )
    what.add_argument("--rebase", action="store_true", help="go on although the base has changed")
    what.add_argument("--no-pilot", action="store_true", help="do not let the first trial go alone")
    when = parser.add_argument_group("when to stop")
    when.add_argument("--time-limit", metavar="TIME", help="start no more trials after it: 8h")
    when.add_argument("--max-failures", type=int, metavar="N", help="after so many failed trials")
    kept = parser.add_argument_group("the same, kept in the plan (none takes it out)")
    kept.add_argument(
        "--pruner", metavar="NAME", help="end poor trials early: asha, hyperband, median"
    )
    kept.add_argument("--trial-time-limit", metavar="TIME", help="a trial that takes longer: 30m")
    kept.add_argument(
        "--retries", type=_or_none(int), metavar="N", help="run a failed trial again, so often"
    )
    kept.add_argument(
        "--stop-at", type=_or_none(float), metavar="X", help="once the metric has reached it"
    )
    where = parser.add_argument_group("where to run")
    add_places(where)
    where.add_argument(
        "--on", choices=("local", "command"), default="local", help="who runs workers"
    )
    where.add_argument(
        "--submit", metavar="LINE", help="with --on command: 'sbatch job.sh {worker}'"
    )
    where.add_argument("--workers", type=int, default=1, metavar="N", help="how many to submit")
    where.add_argument("--detach", action="store_true", help="work on without this terminal")
    where.add_argument("--dry-run", action="store_true", help="say what would be made and started")


def _or_none(kind: type[_N]) -> Callable[[str], _N | Literal["none"]]:
    """How an option is read that takes a number, or `none`."""

    def read(text: str) -> _N | Literal["none"]:
        try:
            return "none" if text == "none" else kind(text)
        except ValueError:
            what = "a whole number" if kind is int else "a number"
            raise argparse.ArgumentTypeError(f"expected {what} or none, got {text!r}") from None

    return read


def run(arguments: argparse.Namespace) -> int:
    # First of all, while this process is small: what the spawner forks later stays small.
    with Spawner(live_terminal()) as spawner:
        search = _search(arguments)
        command = shlex.join(arguments.command) if arguments.command else search.plan.command
        if command is None:
            raise SearchError(_no_command(arguments.dir))
        if arguments.dry_run:
            jobs = slots_of(arguments).count
            print(dry_run(search, command, jobs, typed=bool(arguments.command)))
            return 0
        if arguments.detach:
            return _detach(search, command, arguments)
        if arguments.on == "command":
            return _submit(search, command, arguments)
        return _work(search, command, arguments, spawner)


def live_terminal() -> str | None:
    """The device of the terminal in which the view is going to change in place, if there is one."""
    if sys.stdout is None or os.environ.get("TERM", "dumb") == "dumb":
        return None
    try:
        return os.ttyname(sys.stdout.fileno())
    except OSError:  # a pipe, a file
        return None


def _search(arguments: argparse.Namespace) -> Search:
    from modeldir.search import Search  # noqa: PLC0415 - after the spawner, as all below

    domains = _domains(arguments.domains)
    try:
        return _made(Search, arguments, domains)
    except SearchError as error:
        raise SearchError(as_typed(str(error), domains)) from None


def _made(make: type[Search], arguments: argparse.Namespace, domains: dict[str, Any]) -> Search:
    from modeldir.pruners import parse_text  # noqa: PLC0415 - as in `_search`

    return make(
        arguments.dir,
        domains,
        maximize=arguments.maximize,
        minimize=arguments.minimize,
        sampler=arguments.sampler,
        trials=arguments.trials,
        seed=arguments.seed,
        read=arguments.read,
        resume=arguments.resume,
        pruner=None if arguments.pruner is None else parse_text(arguments.pruner),
        trial_time_limit=arguments.trial_time_limit,
        retries=arguments.retries,
        stop_at=arguments.stop_at,
        rebase=arguments.rebase,
    )


def _work(search: Search, command: str, arguments: argparse.Namespace, spawner: Spawner) -> int:
    from modeldir.progress import shown_on  # noqa: PLC0415
    from modeldir.worker import Worker  # noqa: PLC0415

    pilot, limits = not arguments.no_pilot, limits_of(arguments)
    worker = Worker(search, slots_of(arguments), shown_on(sys.stdout), pilot=pilot, limits=limits)
    return worker.run(command, spawner, typed=bool(arguments.command)).exit_code


def add_places(group: argparse._ArgumentGroup) -> None:
    """The options that say where on a machine trials run."""
    group.add_argument("-j", "--jobs", default="1", metavar="N", help="trials at a time, or auto")
    group.add_argument("--gpus-per-trial", metavar="X", help="0.25: four share one; 4: four each")
    group.add_argument("--threads", metavar="N", help="for each trial, or auto (may change bits)")


def slots_of(arguments: argparse.Namespace) -> Slots:
    """The places for trials, as the command line says.

    Raises:
        SearchError: for what is no number, or more than there is.
    """
    from modeldir.slots import Slots  # noqa: PLC0415 - it may ask for the GPUs

    jobs = _number("-j", arguments.jobs, int)
    threads = _number("--threads", arguments.threads, int)
    gpus = _number("--gpus-per-trial", arguments.gpus_per_trial, float)
    return Slots("auto" if jobs is None else jobs, None if gpus == "auto" else gpus, threads)


def _number(option: str, text: str | None, kind: type[_N]) -> _N | Literal["auto"] | None:
    if text is None or text == "auto":
        return None if text is None else "auto"
    try:
        return kind(text)
    except ValueError:
        raise SearchError(
            f"{option} {text}: expected a number, or auto\nNothing was started."
        ) from None


def limits_of(arguments: argparse.Namespace) -> Limits:
    """When this worker stops, as the command line says.

    Raises:
        SearchError: for a time that is none, or a number below 1.
    """
    from modeldir.durations import parse_duration  # noqa: PLC0415
    from modeldir.worker import Limits  # noqa: PLC0415

    given, failures = arguments.time_limit, arguments.max_failures
    if failures is not None and failures < 1:
        raise SearchError(f"--max-failures {failures}: expected 1 or more\nNothing was started.")
    try:
        return Limits(None if given is None else parse_duration(given), failures)
    except ValueError as error:
        raise SearchError(f"--time-limit {error}\nNothing was started.") from None


def _domains(words: Sequence[str]) -> dict[str, Any]:
    """The domains of a command line.

    Raises:
        SearchError: for a word without `=`, or a name given twice.
        SpaceError: for a domain that makes no sense.
    """
    from modeldir import space  # noqa: PLC0415

    found: dict[str, Any] = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not (equals and name):
            raise SearchError(
                f"{word!r} is no name=domain\n  learning_rate=0.1,0.01,0.001\n"
                "  (the command comes after --)\nNothing was started."
            )
        if name in found:
            raise SearchError(f"{name} is given twice\n  {name}=VALUE,VALUE\nNothing was started.")
        try:
            found[name] = space.parse_domain_text(text)
        except SpaceError as error:
            raise SpaceError(str(error).replace(repr(text), repr(word), 1)) from None
    return found


_DOMAIN = re.compile(r'\{"(\w+)": (?:\.\.\.|\[([^]]*)\])\}')


def as_typed(message: str, domains: Mapping[str, Any]) -> str:
    """A message whose hints say how to type the domains that were typed, not how JSON has them."""
    lines: list[str] = []
    name = ""
    for line in message.splitlines():
        head = re.match(r"  (\S+?): ", line)
        name = head[1] if head else name
        is_hint = line.startswith("    ") and isinstance(domains.get(name), dict)
        lines.append(_typed(line, name, domains[name]) if is_hint else line)
    return "\n".join(lines)


def _typed(hint: str, name: str, domain: Mapping[str, Any]) -> str:
    """`use {"uniform": ...}` as `use lr=uniform:0,1`, with the bounds that were typed."""
    typed = next(iter(domain.values()))

    def written(found: re.Match[str]) -> str:
        bounds = found[2].replace(" ", "") if found[2] else ",".join(map(str, typed))
        return f"{name}={found[1]}:{bounds}"

    return _DOMAIN.sub(written, hint)


def _no_command(folder: str) -> str:
    return (
        f"{folder}: no command says how to train.\n"
        f"  modeldir search {folder} learning_rate=0.1,0.01 -- python train.py\n"
        '  or once and for all, in modeldir.toml:  command = "python train.py"\n'
        "Nothing was started."
    )


def dry_run(search: Search, command: str, jobs: int, *, typed: bool = True) -> str:
    """What a search would make and start; nothing is made."""
    from modeldir.table import Column, Table, to_text, value_cell  # noqa: PLC0415

    found = search.look_ahead(command, typed=typed)
    names = list(search.plan.space.domains)
    columns = [Column("trial", "name", 0), *(Column(name, "hyperparameter", 1) for name in names)]
    rows = tuple((name, *(value_cell(point.get(key)) for key in names)) for name, point, _ in found)
    again = search.waiting()
    lines = [f"there, and would run: {', '.join(again)}"] if again else []
    if found:
        trials = "1 trial" if len(found) == 1 else f"{len(found)} trials"
        lines += [
            f"{trials} would be made in {search.path}:",
            "",
            *to_text(Table(tuple(columns), rows)).splitlines(),
        ]
        lines += ["", f"each by, {jobs} at a time:", f"  {shlex.join(found[0][2])}"]
    elif not again:
        lines.append(f"Nothing is left to run in {search.path}.")
    return "\n".join([*lines, "Nothing was started."])


def _submit(search: Search, command: str, arguments: argparse.Namespace) -> int:
    """Let a job manager start the workers; they need nothing of us afterwards."""
    from modeldir import files  # noqa: PLC0415
    from modeldir.launchers.command import CommandLauncher  # noqa: PLC0415

    launcher = CommandLauncher(arguments.submit, files.absolute(search.path))
    for news in search.prepare(command, typed=bool(arguments.command)):
        print(news)
    worker = worker_command(search, arguments)
    for number, job in enumerate(launcher.start(worker, arguments.workers), start=1):
        print(f"worker {number} of {arguments.workers} submitted: {_said_of(job, search.path)}")
    print(f"next: modeldir synthesize {search.path}   (the workers write there as they run)")
    return 0


def _said_of(job: JobRef, search: Path) -> str:
    """A job's id, and where that was read: what stands for it may be something else."""
    from modeldir.launchers import jobs_folder  # noqa: PLC0415

    what = f"job {job.job}" if job.job else "no id was found"
    return f"{what}, by what was printed: {jobs_folder(search) / job.token}.out"


def _detach(search: Search, command: str, arguments: argparse.Namespace) -> int:
    """Start the worker away from this terminal, once all that can be checked has been."""
    from modeldir import roster  # noqa: PLC0415
    from modeldir.launchers.local import LocalLauncher  # noqa: PLC0415

    limits_of(arguments)
    slots_of(arguments)
    for news in search.prepare(command, typed=bool(arguments.command)):
        print(news)
    path = shlex.quote(str(search.path))
    there = [each for each in roster.members(search.path) if each.alive and not each.is_leaving]
    if there:
        print(
            f"worker {there[0].pid} works on it already, with -j {there[0].jobs}: none was started"
        )
        print(f"  one more: modeldir work {path} --detached")
    else:
        worker = [*worker_command(search, arguments), "--detached"]
        (job,) = LocalLauncher(search.path).start(worker, 1)
        print(f"worker {job.job} runs without this terminal")
    print(f"next: modeldir watch {path}   or, to end it: modeldir stop {path}")
    return 0


def worker_command(search: Search, arguments: argparse.Namespace) -> list[str]:
    """What a job has to run to be one more worker on a search."""
    words = [sys.executable, "-m", "modeldir", "work", os.path.abspath(search.path)]
    words += ["-j", arguments.jobs, *(["--no-pilot"] if arguments.no_pilot else [])]
    if arguments.time_limit is not None:
        words += ["--time-limit", arguments.time_limit]
    for option in ("gpus_per_trial", "threads"):
        if getattr(arguments, option) is not None:
            words += [f"--{option.replace('_', '-')}", getattr(arguments, option)]
    if arguments.max_failures is not None:
        words += ["--max-failures", str(arguments.max_failures)]
    return words
