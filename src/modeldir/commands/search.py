"""`modeldir search DIR name=domain ... -- COMMAND`: make trials and run them.

`run_search` makes a `Search` from the command line, then runs a worker here, submits workers
(`search_submit.py`), or only prints what it would do (`search_dry_run.py`). The spawner must be
forked before anything heavy is imported, hence the imports inside functions.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from modeldir._system.shell import quoted
from modeldir.commands.options import (
    NamesIn,
    add_slot_options,
    has_preload,
    is_submitted,
    limits_of,
    live_terminal,
    refused,
    slots_of,
)
from modeldir.errors import SearchError, SpaceError

if TYPE_CHECKING:
    from pathlib import Path

    from modeldir.search.search import Search
    from modeldir.worker.spawner import Spawner

_N = TypeVar("_N", int, float)

HELP = "Search hyperparameters: one subfolder a trial, each run by your own command."
EXAMPLE = (
    "modeldir search experiments/learning_rate learning_rate=0.1,0.01,0.001 -- python train.py"
)

TAKES_LINES = ("--resume", "--sbatch")

_DOMAINS = """\
domains:  learning_rate=0.1,0.01,0.001         a list
          learning_rate=log_uniform:1e-5,1e-1  also uniform:, int:, log_int: (bounds inclusive)
          dropout=uniform:0,0.5,step=0.1       @points.csv: its rows (a header of names)
          --condition momentum:optimizer=sgd        it counts only then
          --zip batch_size,learning_rate       their lists go together, value by value
          --try learning_rate=0.01           tried first, the other names sampled
          --constraint 'batch_size * accumulate <= 512'

DIR/params.json is the base config. Run the command again to resume by DIR/search.json: finished
trials are kept, interrupted ones run again, new values add trials. Each new trial keeps -m NOTE.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.usage = "modeldir search DIR [name=domain ...] [options] [-- COMMAND ...]"
    parser.description = f"{HELP}\n\n{_DOMAINS}"
    parser.add_argument("dir", metavar="DIR", help=argparse.SUPPRESS)  # in _DOMAINS, like the next
    parser.add_argument("domains", nargs="*", metavar="name=domain", help=argparse.SUPPRESS)
    for option in ("--condition", "--zip", "--constraint"):
        parser.add_argument(option, action="append", help=argparse.SUPPRESS)
    parser.add_argument("--try", dest="try_", action="append", help=argparse.SUPPRESS)
    what = parser.add_argument_group("what to try")
    NamesIn("modeldir.samplers").fill(
        what.add_argument("--sampler", metavar="NAME", help="%(names)s")
    )
    what.add_argument("--trials", type=int, metavar="N", help="how many trials in all")
    what.add_argument("--seed", type=int, metavar="N", help="of the sampler")
    what.add_argument(
        "--repeats",
        type=int,
        metavar="N",
        help="train each configuration N times, with a seed each",
    )
    what.add_argument(
        "--warm-start-from", action="append", metavar="DIR", help="its trials teach the sampler"
    )
    what.add_argument(
        "--reuse", action="append", metavar="DIR", help="what is completed there is not run again"
    )
    what.add_argument(
        "--maximize",
        action="append",
        metavar="METRIC",
        help="rank by it; again for several",
    )
    what.add_argument(
        "--minimize", action="append", metavar="METRIC", help="as --maximize, low is good"
    )
    what.add_argument(
        "--metrics", metavar="LINE", help="take metrics from printed lines: 'acc: {accuracy}'"
    )
    what.add_argument(
        "--resume", metavar="ARGS", help="for interrupted trials: '--restore_file last'"
    )
    what.add_argument("-m", "--message", metavar="NOTE", help=argparse.SUPPRESS)  # in _DOMAINS
    for named_by_a_message in ("--accept-new-base", "--no-check"):
        what.add_argument(named_by_a_message, action="store_true", help=argparse.SUPPRESS)
    when = parser.add_argument_group("when to stop (those marked * are kept; none takes them out)")
    when.add_argument("--time-limit", metavar="TIME", help="start no more trials after it: 8h")
    when.add_argument("--max-failures", type=int, metavar="N", help="after N failed trials")
    NamesIn("modeldir.pruners").fill(
        when.add_argument("--pruner", metavar="NAME", help="* end poor trials early: %(names)s")
    )
    when.add_argument("--trial-time-limit", metavar="T", help="* a trial that takes longer: 30m")
    when.add_argument(
        "--max-retries",
        type=_or_none(int),
        metavar="N",
        help="* run a failed trial again, up to N times",
    )
    when.add_argument(
        "--target", type=_or_none(float), metavar="X", help="* once the metric has reached it"
    )
    add_where(parser)


def add_where(parser: argparse.ArgumentParser) -> None:
    """Add the options that say where trials run and what starts them; `confirm` has them too."""
    where = parser.add_argument_group("where to run")
    add_slot_options(where)
    NamesIn("modeldir.launchers", without="local").fill(
        where.add_argument(
            "--on",
            metavar="WHERE",
            help="%(names)s, or a package's own: docs/how-to/other-job-managers.md",
        )
    )
    where.add_argument(
        "--workers",
        type=int,
        metavar="N",
        help="keep N running; run again to replace missing ones (--one-job-per-trial)",
    )
    where.add_argument(
        "--submit",
        metavar="LINE",
        help="'bsub {worker}', of --on command; --sbatch LINE, of --on slurm",
    )
    where.add_argument(
        "--detach",
        action="store_true",
        help="work on without this terminal (--wait: watch what was placed)",
    )
    for documented in ("--sbatch", "--address", "--status", "--cancel", "--job-id"):
        where.add_argument(documented, metavar="LINE", help=argparse.SUPPRESS)
    for documented in ("--cpus", "--gpus"):
        where.add_argument(documented, type=float, metavar="X", help=argparse.SUPPRESS)
    for in_other_lines in ("--wait", "--one-job-per-trial"):
        where.add_argument(in_other_lines, action="store_true", help=argparse.SUPPRESS)
    where.add_argument(
        "--dry-run",
        action="store_true",
        help="say what would be made, how long (--estimate: try one)",
    )
    where.add_argument("--estimate", action="store_true", help=argparse.SUPPRESS)


def _or_none(kind: type[_N]) -> Callable[[str], _N | Literal["none"]]:
    """Return a function that reads an option's value: a number, or `none`."""

    def read(text: str) -> _N | Literal["none"]:
        try:
            return "none" if text == "none" else kind(text)
        except ValueError:
            what = "an integer" if kind is int else "a number"
            raise argparse.ArgumentTypeError(f"expected {what} or none, got {text!r}") from None

    return read


def run(arguments: argparse.Namespace) -> int:
    # The spawner comes first, while this process is small: every trial is a fork of the spawner.
    from modeldir.worker.spawner import Spawner  # noqa: PLC0415 - `--help` works without it

    with Spawner(live_terminal()) as spawner:
        return run_search(arguments, spawner)


def run_search(arguments: argparse.Namespace, spawner: Spawner) -> int:
    search = _search(arguments)
    command = shlex.join(arguments.command) if arguments.command else search.plan.command
    if command is None:
        raise SearchError(_no_command(arguments.dir))
    if arguments.estimate and not arguments.dry_run:
        raise refused("--estimate: goes with --dry-run")
    if arguments.dry_run:
        return _dry_run(search, command, arguments, spawner)
    from modeldir.commands.folders import check_writable  # noqa: PLC0415 - after the spawner, too

    check_writable(search.path, "search")
    if is_submitted(arguments):
        from modeldir.commands import search_submit  # noqa: PLC0415 - after the spawner, like all below

        return search_submit.run(search, command, arguments)
    for line in _note_of_launched(search.path):
        print(line, flush=True)
    return _work(search, command, arguments, spawner)


def _search(arguments: argparse.Namespace) -> Search:
    from modeldir.pruners import parse_text  # noqa: PLC0415
    from modeldir.search.sampler_check import parse_sampler  # noqa: PLC0415
    from modeldir.search.search import Search  # noqa: PLC0415 - after the spawner

    name, is_domain, _ = arguments.dir.partition("=")
    if is_domain and os.sep not in name and not os.path.exists(arguments.dir):
        raise refused(
            f"DIR is missing: {arguments.dir!r} is no folder\n"
            f"  modeldir search experiments/NAME {quoted(arguments.dir)} ..."
        )
    files = [word for word in arguments.domains if word.startswith("@")]
    domains = _domains([word for word in arguments.domains if word not in files])
    options = dict(
        **_space_options(arguments, files),
        maximize=arguments.maximize,
        minimize=arguments.minimize,
        sampler=None if arguments.sampler is None else parse_sampler(arguments.sampler),
        trials=arguments.trials,
        seed=arguments.seed,
        repeats=arguments.repeats,
        warm_start_from=_values_of(arguments.warm_start_from, str),
        reuse=_values_of(arguments.reuse, str),
        metrics=arguments.metrics,
        resume=arguments.resume,
        pruner=None if arguments.pruner is None else parse_text(arguments.pruner),
        trial_time_limit=arguments.trial_time_limit,
        max_retries=arguments.max_retries,
        target=arguments.target,
        note=arguments.message,
        accept_new_base=arguments.accept_new_base,
    )
    try:
        return Search(arguments.dir, domains, **options)
    except SearchError as error:
        raise with_typed_hints(error, domains) from None


def _note_of_launched(search: Path) -> Iterator[str]:
    from modeldir.search import worker_registry  # noqa: PLC0415

    options = worker_registry.options_of(search) or []
    if "--on" in options and options[:2] != ["--on", "local"]:
        yield "note: the workers before were placed elsewhere; this one works here"
        yield f"  there: {worker_registry.resume_command(search)}"


def _work(search: Search, command: str, arguments: argparse.Namespace, spawner: Spawner) -> int:
    from modeldir.monitor.progress import shown_on  # noqa: PLC0415
    from modeldir.worker.worker import Worker  # noqa: PLC0415

    pilot, limits = not arguments.no_check, limits_of(arguments)
    worker = Worker(
        search,
        slots_of(arguments),
        shown_on(sys.stdout),
        check_first=pilot,
        limits=limits,
        preload=has_preload(arguments),
        verbose=arguments.verbose,
    )
    return worker.run(command, spawner, typed=bool(arguments.command)).exit_code


def _dry_run(search: Search, command: str, arguments: argparse.Namespace, spawner: Spawner) -> int:
    from modeldir.commands import search_submit  # noqa: PLC0415
    from modeldir.commands.search_dry_run import dry_run  # noqa: PLC0415

    jobs = search_submit.trials_at_a_time(search, arguments)
    preview = search_submit.preview(search, arguments) if is_submitted(arguments) else []
    typed, code = bool(arguments.command), 0
    if arguments.estimate:
        from modeldir.monitor.progress import shown_on  # noqa: PLC0415
        from modeldir.search.search import Search as Reloaded  # noqa: PLC0415
        from modeldir.worker.worker import Worker  # noqa: PLC0415
        from modeldir.worker.worker_limits import Limits  # noqa: PLC0415

        one = Worker(search, 1, shown_on(sys.stdout), limits=Limits(trials=1))
        code = one.run(command, spawner, typed=typed).exit_code
        search = Reloaded(arguments.dir)
        print()
    for line in preview:
        print(line)
    timed, preload = arguments.estimate, has_preload(arguments)
    print(dry_run(search, command, jobs, typed=typed, timed=timed, preload=preload))
    return code


def _domains(words: Sequence[str]) -> dict[str, Any]:
    from modeldir import space  # noqa: PLC0415

    found: dict[str, Any] = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not (equals and name):
            raise refused(
                f"{word!r} is no name=domain\n  learning_rate=0.1,0.01,0.001\n"
                "  (the command comes after --)"
            )
        if name in found:
            raise refused(f"{name} is given twice\n  {name}=VALUE,VALUE")
        try:
            found[name] = space.parse_domain_text(text)
        except SpaceError as error:
            raise SpaceError(f"{word!r} is no domain:", error.problems) from None
    return found


def _space_options(arguments: argparse.Namespace, files: Sequence[str]) -> dict[str, Any]:
    from modeldir.space import cli_syntax as text  # noqa: PLC0415

    if len(files) + bool(arguments.try_) > 1:
        sources = " and ".join([*files, *(["--try"] if arguments.try_ else [])])
        raise refused(f"points from {sources}: give one of them")
    conditions: dict[str, Any] = {}
    for word in arguments.condition or ():
        name, condition = text.parse_condition_text(word)
        conditions[name] = (
            None if condition is None else {**(conditions.get(name) or {}), **condition}
        )
    points: Any = files[0] if files else _values_of(arguments.try_, text.parse_configuration_text)
    return {
        "condition": conditions,
        "zip": _values_of(arguments.zip, text.parse_zip_text),
        "try_": points,
        "constraints": _values_of(arguments.constraint, str),
    }


def _values_of(words: Sequence[str] | None, read: Callable[[str], Any]) -> Any:
    if words is None or list(words) == ["none"]:
        return None if words is None else "none"
    return [read(word) for word in words]


_DOMAIN = re.compile(r'\{"(\w+)": (?:\.\.\.|\[([^]]*)\])(?:, "step": ([^}]+))?\}')


def with_typed_hints(error: SearchError, domains: Mapping[str, Any]) -> SearchError:
    """Return the error with hints that show domains as they are typed, not as JSON."""
    problems = []
    for what, hint in error.problems:
        name = next((each for each in domains if what.startswith(f"{each}: ")), "")
        if hint and isinstance(domains.get(name), dict):
            hint = _typed(hint, name, domains[name])  # noqa: PLW2901 - the same, as it is typed
        problems.append((what, hint))
    return SearchError(error.summary, problems, error.state) if problems else error


def _typed(hint: str, name: str, domain: Mapping[str, Any]) -> str:
    """Turn `use {"uniform": ...}` into `use lr=uniform:0,1`, with the bounds that were typed."""
    typed = next(iter(domain.values()))

    def as_typed(found: re.Match[str]) -> str:
        bounds = found[2].replace(" ", "") if found[2] else ",".join(map(str, typed))
        step = f",step={found[3]}" if found[3] else ""
        return f"{name}={found[1]}:{bounds}{step}"

    return _DOMAIN.sub(as_typed, hint)


def _no_command(folder: str) -> str:
    return (
        f"{folder}: no command says how to train.\n"
        f"  modeldir search {quoted(folder)} learning_rate=0.1,0.01 -- python train.py\n"
        '  or once and for all, in modeldir.toml:  command = "python train.py"\n'
        "Nothing was started."
    )
