"""`modeldir confirm DIR --top 3 --repeats 5`: is the best of a search really better?"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modeldir._system.shell import quoted
from modeldir._system.terminal import width_of_lines
from modeldir.commands import search
from modeldir.commands.parser import Parser
from modeldir.errors import SearchError
from modeldir.worker.spawner import Spawner

if TYPE_CHECKING:
    from modeldir.results.finalists import Finalists

HELP = (
    "Run the best of a search and its base again with new seeds; say whether it is really better."
)
EXAMPLE = "modeldir confirm experiments/learning_rate --top 3 --repeats 5 -j 2"
TAKES_LINES = ("--sbatch",)

_MORE = """\
The runs are a search of their own in DIR/confirm, by the command and on the machines of DIR's. Said
again it goes on, or says the answer again. Nothing of it is a row of DIR's table or taught to a
sampler. DIR/params.json needs a "seed" that the script uses.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.usage = "modeldir confirm DIR [--top N] [--repeats N] [options] [-- COMMAND ...]"
    parser.description = f"{HELP}\n\n{_MORE}"
    parser.add_argument("dir", metavar="DIR", help="the search")
    what = parser.add_argument_group("what to compare")
    what.add_argument("--top", type=int, metavar="N", help="so many of the best (default: 3)")
    what.add_argument(
        "--repeats", type=int, metavar="N", help="each with so many new seeds (default: 5)"
    )
    by = what.add_mutually_exclusive_group()
    by.add_argument("--maximize", metavar="METRIC", help="by this metric (default: as the plan)")
    by.add_argument("--minimize", metavar="METRIC", help="as --maximize, low is good")
    _add_where(parser)


def _add_where(parser: argparse.ArgumentParser) -> None:
    """As a search has them; what was not typed is as the search's last worker had it."""
    search.add_where(parser)
    parser.set_defaults(jobs=None)


def run(arguments: argparse.Namespace) -> int:
    """Name the finalists, run what is missing, say the answer."""
    # First of all, while this process is small: see commands/search.py.
    with Spawner(search.live_terminal()) as spawner:
        named = _named(arguments)
        if arguments.dry_run:
            return _look_ahead(named, arguments)
        from modeldir.results.finalists import prepare  # noqa: PLC0415 - after the spawner, as all below

        folder = prepare(named)
        code = _run(named, folder, arguments, spawner) if not _is_whole(named) else 0
    return _tell(named, code)


def _named(arguments: argparse.Namespace) -> Finalists:
    from modeldir.results import finalists  # noqa: PLC0415

    metric: Any = None
    if arguments.maximize or arguments.minimize:
        way = "maximize" if arguments.maximize else "minimize"
        metric = (arguments.maximize or arguments.minimize, way)
    return finalists.named(
        Path(arguments.dir), top=arguments.top, repeats=arguments.repeats, metric=metric
    )


def _look_ahead(named: Finalists, arguments: argparse.Namespace) -> int:
    from modeldir.results.confirmation import plan_of  # noqa: PLC0415

    if arguments.time_one:
        raise SearchError(
            "--time-one: how long a training takes, the search tells", state="Nothing was started."
        )
    print(plan_of(named, width_of_lines()))
    for point in named.points:
        print(f"  {point.title}")
    print("Nothing was started.")
    return 0


def _is_whole(named: Finalists) -> bool:
    from modeldir.results.confirmation import measure  # noqa: PLC0415

    return measure(named).is_whole


def _run(named: Finalists, folder: Path, arguments: argparse.Namespace, spawner: Spawner) -> int:
    """Let a search do it, with the options of this command line, else those with which it was done
    before, else those of DIR's.
    """
    from modeldir.results.confirmation import plan_of  # noqa: PLC0415
    from modeldir.search import worker_registry  # noqa: PLC0415

    print(plan_of(named, width_of_lines()), flush=True)
    before = worker_registry.options_of(folder)
    options = worker_registry.options_of(folder.parent) or [] if before is None else before
    return search.go_on(as_search(folder, options, arguments), spawner)


def as_search(
    folder: Path, options: list[str], arguments: argparse.Namespace
) -> argparse.Namespace:
    """The command line of a search as `modeldir search FOLDER OPTIONS`, with what was typed here
    about where to run. Another place takes nothing over from the one before: its options are its
    own.
    """
    from modeldir.commands.submit import OPTIONS  # noqa: PLC0415 - after the spawner

    whole, places = Parser(prog="modeldir search"), Parser(prog="modeldir confirm")
    search.configure(whole)
    _add_where(places)
    made = whole.parse_intermixed_args([str(folder), *options])
    defaults = vars(places.parse_args([]))
    if arguments.on or arguments.detach:
        for name in OPTIONS:
            setattr(made, name, defaults[name])
    for name, default in defaults.items():
        if getattr(arguments, name) != default:
            setattr(made, name, getattr(arguments, name))
    made.command = arguments.command
    return made


def _tell(named: Finalists, code: int) -> int:
    """The answer, or how it goes on; the exit code is the search's."""
    from modeldir.results.confirmation import answer, measure, told  # noqa: PLC0415

    found = measure(named)
    if not found.is_whole:
        print("\n".join(answer(found)))
        return code
    print()
    print(told(found, width_of_lines()))
    first = quoted(named.folder)
    print(f"next: modeldir synthesize {first} --apart   (each of the new runs)")
    return 1 if any(each.failed for each in found.measured) else code
