"""`modeldir search DIR name=domain ... -- COMMAND`: make trials and run them.

`run_search` makes a `Search` from the command line, then runs a worker here, submits workers
(`search_submit.py`), or only prints what it would do (`search_dry_run.py`). The spawner must be
forked before anything heavy is imported, hence the imports inside functions.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from modeldir._system.shell import command_line, quoted
from modeldir.commands.options import (
    NamesIn,
    add_limit_options,
    add_slot_options,
    add_verbose,
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

HELP = (
    "Search hyperparameters by running COMMAND once per configuration, each in its own folder "
    "below DIR."
)
EXAMPLE = (
    "modeldir search experiments/learning_rate learning_rate=0.1,0.01,0.001 -- python train.py"
)
EXAMPLES = (
    "modeldir search experiments/learning_rate",
    "modeldir search experiments/width width=int:16,512 --trials 30 -j auto -- python train.py",
    "modeldir search experiments/width --trials 50 --sampler tpe --maximize accuracy",
)

JSON = True
TAKES_LINES = ("--resume", "--sbatch")

_MORE = """
DIR/params.json holds the defaults. Run the same command again to resume: the
plan is saved in DIR/search.json, finished trials are kept, and new values add
trials.

COMMAND gets --model_dir FOLDER. If your script has no such flag, write
placeholders: {flags} for all hyperparameters as flags (--lr 0.1), {lr} for
one value, {model_dir} for the trial's folder, {out} for an empty folder in it.
Then you need no params.json: the defaults are those of your script.
"""

_SEARCH_SPACE = """\
  lr=0.1,0.01  try these values
  lr=log_uniform:1e-5,1e-1  sample on a log scale
  dropout=uniform:0,0.5  sample evenly; with ,step=0.1 only 0, 0.1, 0.2, ...
  layers=int:1,8  sample integers; log_int: on a log scale
  @configurations.csv  try the configurations in the rows of a file
"""

_KEPT = "* is saved in search.json. The value none removes it, e.g. --pruner none."


def configure(parser: argparse.ArgumentParser) -> None:
    parser.usage = "modeldir search DIR [name=values ...] [options] [-- COMMAND ...]"
    parser.description = f"{HELP}\n{_MORE}"
    parser.add_argument("dir", metavar="DIR", help="the search's folder")
    parser.add_argument(
        "domains", nargs="*", metavar="name=values", help="a hyperparameter and what to try for it"
    )
    parser.add_argument_group("values", _SEARCH_SPACE)
    _add_space(parser.add_argument_group("search space"))
    _add_trials(parser.add_argument_group("which trials and how many"))
    _add_metrics(parser.add_argument_group("metrics"))
    _add_stopping(parser.add_argument_group("stopping", _KEPT))
    add_where(parser)
    _add_other(parser)


def _add_space(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--condition",
        action="append",
        metavar="name:p=v",
        help="vary name only when p is v, e.g. momentum:optimizer=sgd; repeat for several",
    )
    group.add_argument(
        "--zip",
        action="append",
        metavar="NAMES",
        help="pair lists: first with first, second with second, e.g. batch_size,lr",
    )
    group.add_argument(
        "--try",
        dest="try_",
        action="append",
        metavar="name=v,...",
        help="run this configuration first, e.g. lr=0.01,dropout=0.1; repeat for several",
    )
    group.add_argument(
        "--constraint",
        action="append",
        metavar="RULE",
        help="allow only configurations that satisfy RULE, e.g. 'batch_size * steps <= 512'",
    )


def _add_trials(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--trials",
        type=int,
        metavar="N",
        help="total number of configurations (default: the whole grid, else 20)",
    )
    NamesIn("modeldir.samplers").fill(
        group.add_argument(
            "--sampler",
            metavar="NAME",
            help="how to choose them: %(names)s, or package.module:Class "
            "(default: grid if all values are lists, else auto)",
        )
    )
    group.add_argument(
        "--seed", type=int, metavar="N", help="random seed of the sampler (default: 0)"
    )
    group.add_argument(
        "--repeats",
        type=int,
        metavar="N",
        help="train each configuration N times, each with a different seed (default: 1)",
    )
    group.add_argument(
        "--warm-start-from",
        action="append",
        metavar="DIR",
        help="let the sampler learn from the experiments in DIR; repeat for several",
    )
    group.add_argument(
        "--reuse",
        action="append",
        metavar="DIR",
        help="do not run configurations again that are completed in DIR; repeat for several",
    )


def _add_metrics(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--maximize",
        action="append",
        metavar="METRIC",
        help="rank by METRIC, higher is better; repeat for several (default: accuracy, f1 or loss)",
    )
    group.add_argument(
        "--minimize",
        action="append",
        metavar="METRIC",
        help="rank by METRIC, lower is better; repeat for several",
    )
    group.add_argument(
        "--rank-by",
        choices=("best", "last"),
        help="rank by the best value over a trial's steps, or by its last one (default: best)",
    )
    group.add_argument(
        "--metrics",
        action="append",
        metavar="FROM",
        help="take metrics from printed lines like 'epoch {step}: acc={accuracy}', or from "
        "FILE[:COLUMN]; repeat for several (default: from the files in the trial's folder)",
    )


def _add_stopping(group: argparse._ArgumentGroup) -> None:
    add_limit_options(group)
    NamesIn("modeldir.pruners").fill(
        group.add_argument(
            "--pruner",
            metavar="NAME",
            help="* stop unpromising trials early: %(names)s, or package.module:Class "
            "(default: none)",
        )
    )
    group.add_argument(
        "--trial-time-limit",
        metavar="TIME",
        help="* stop a trial that takes longer, e.g. 30m; it counts as failed (default: no limit)",
    )
    group.add_argument(
        "--max-retries",
        type=_or_none(int),
        metavar="N",
        help="* run a failed trial again, up to N times (default: 0)",
    )
    group.add_argument(
        "--target",
        type=_or_none(float),
        metavar="X",
        help="* stop starting trials once the metric has reached X (default: no target)",
    )


def add_where(parser: argparse.ArgumentParser) -> None:
    """Add the options that say where trials run and what starts them; `confirm` has them too."""
    add_slot_options(parser.add_argument_group("in parallel"))
    where = parser.add_argument_group("other machines and the background")
    NamesIn("modeldir.launchers", without="local").fill(
        where.add_argument(
            "--on",
            metavar="WHERE",
            help="start workers elsewhere: %(names)s, or the name of an installed launcher "
            "(default: run the trials here)",
        )
    )
    where.add_argument(
        "--workers",
        type=int,
        metavar="N",
        help="keep N workers running; run again to replace missing ones (default: 1)",
    )
    where.add_argument(
        "--one-job-per-trial",
        action="store_true",
        help="start one job for each trial; with --workers N at most N at a time",
    )
    where.add_argument(
        "--detach", action="store_true", help="start a worker in the background and return"
    )
    where.add_argument(
        "--wait", action="store_true", help="watch the workers after they have been started"
    )
    for option, metavar, words in _LAUNCHER_OPTIONS:
        kind = float if metavar == "X" else str
        where.add_argument(option, type=kind, metavar=metavar, help=words)
    add_verbose(parser)
    plan = parser.add_argument_group("before it starts")
    plan.add_argument(
        "--dry-run", action="store_true", help="print what would run and how long; start nothing"
    )
    plan.add_argument(
        "--estimate",
        action="store_true",
        help="with --dry-run: run one trial to estimate the time; it is kept",
    )


_LAUNCHER_OPTIONS = (
    (
        "--sbatch",
        "ARGS",
        "with --on slurm: what the jobs ask for, e.g. '--gres=gpu:1 --time=2:00:00'",
    ),
    (
        "--address",
        "URL",
        "with --on ray: the address of the cluster, e.g. http://head:8265 (default: auto)",
    ),
    ("--cpus", "X", "with --on ray: CPUs for each worker (default: 1)"),
    ("--gpus", "X", "with --on ray: GPUs for each worker (default: 0)"),
    ("--submit", "COMMAND", "with --on command: submit one worker, e.g. 'bsub {worker}'"),
    ("--status", "COMMAND", "with --on command: ask for the state of a job, e.g. 'bjobs {job}'"),
    ("--cancel", "COMMAND", "with --on command: cancel a job, e.g. 'bkill {job}'"),
    (
        "--job-id",
        "PATTERN",
        "with --on command: a regular expression for the job's id in the output of --submit",
    ),
)


def _add_other(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--run-in-trial",
        action="store_true",
        default=None,
        help="run each trial in its own folder; {project} in COMMAND is the folder of your script",
    )
    parser.add_argument(
        "--resume",
        metavar="ARGS",
        help="arguments that resume an interrupted trial, e.g. '--ckpt {checkpoint}'",
    )
    parser.add_argument(
        "--resumes-itself",
        action="store_const",
        const="itself",
        dest="resume",
        help="the script finds its checkpoint itself, and needs no arguments to resume",
    )
    parser.add_argument(
        "-m",
        "--message",
        metavar="NOTE",
        help="keep a note with each trial that is made from now on",
    )
    parser.add_argument(
        "--no-check",
        action="store_true",
        help="do not wait until the first trial has read every hyperparameter that varies",
    )
    parser.add_argument(
        "--accept-new-base",
        action="store_true",
        help="continue although params.json has changed since trials were made",
    )


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
        code = run_search(arguments, spawner)
    if arguments.json:
        from pathlib import Path  # noqa: PLC0415 - after the spawner, like all below

        from modeldir.commands import json_output, show_json  # noqa: PLC0415

        folder = Path(arguments.dir)
        is_there = (folder / "search.json").is_file()
        search = show_json.search_of(folder) if is_there else None
        json_output.print_json({"search": search, "exit_code": code})
    return code


def run_search(arguments: argparse.Namespace, spawner: Spawner) -> int:
    search = _search(arguments)
    command = command_line(arguments.command) if arguments.command else search.plan.command
    if command is None:
        raise SearchError(_no_command(arguments.dir))
    if arguments.estimate and not arguments.dry_run:
        raise refused("--estimate needs --dry-run")
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
            f"DIR is missing: {arguments.dir!r} is not a folder\n"
            f"  modeldir search experiments/NAME {quoted(arguments.dir)} ..."
        )
    files = [word for word in arguments.domains if word.startswith("@")]
    domains = _domains([word for word in arguments.domains if word not in files])
    options = dict(
        **_space_options(arguments, files),
        maximize=arguments.maximize,
        minimize=arguments.minimize,
        rank_by=arguments.rank_by,
        sampler=None if arguments.sampler is None else parse_sampler(arguments.sampler),
        trials=arguments.trials,
        seed=arguments.seed,
        repeats=arguments.repeats,
        warm_start_from=_values_of(arguments.warm_start_from, str),
        reuse=_values_of(arguments.reuse, str),
        command=command_line(arguments.command) if arguments.command else None,
        run_in_trial=arguments.run_in_trial,
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
        yield "note: earlier workers ran elsewhere; this one runs on this machine"
        yield f"  to run there: {worker_registry.resume_command(search)}"


def _work(search: Search, command: str, arguments: argparse.Namespace, spawner: Spawner) -> int:
    from modeldir.monitor.progress import shown_on  # noqa: PLC0415
    from modeldir.worker.worker import Worker  # noqa: PLC0415

    check, limits = not arguments.no_check, limits_of(arguments)
    worker = Worker(
        search,
        slots_of(arguments),
        shown_on(sys.stdout),
        check_first=check,
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
                f"{word!r} is not name=values, such as learning_rate=0.1,0.01,0.001\n"
                "  The training command comes after --, for example: -- python train.py"
            )
        if name in found:
            raise refused(f"{name} is given twice\n  {name}=VALUE,VALUE")
        try:
            found[name] = space.parse_domain_text(text)
        except SpaceError as error:
            raise SpaceError(f"{word!r} cannot be searched:", error.problems) from None
    return found


def _space_options(arguments: argparse.Namespace, files: Sequence[str]) -> dict[str, Any]:
    from modeldir.space import cli_syntax as text  # noqa: PLC0415

    if len(files) + bool(arguments.try_) > 1:
        sources = " and ".join([*files, *(["--try"] if arguments.try_ else [])])
        raise refused(f"configurations from {sources}: give one of them")
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
        '  or, for all searches of this project, in modeldir.toml:  command = "python train.py"\n'
        "Nothing was started."
    )
