"""`modeldir confirm`: run the best configurations again with new seeds and test the difference.

The new training runs are a search of their own in `DIR/confirm`. The spawner must be forked before
anything heavy is imported. Finalists: `results/finalists.py`; the test: `results/confirmation.py`.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from modeldir._system.shell import quoted
from modeldir._system.terminal import width_of_lines
from modeldir.commands import search
from modeldir.commands.options import add_ranking_options, live_terminal, ranking_of, refused
from modeldir.commands.parser import Parser
from modeldir.worker.spawner import Spawner

if TYPE_CHECKING:
    from modeldir.commands import json_types
    from modeldir.results.confirmation import Confirmation, Measured
    from modeldir.results.finalists import Finalists

HELP = "Re-run the best configurations of a search with new seeds and test the difference."
EXAMPLE = "modeldir confirm experiments/learning_rate --top 3 --repeats 5 -j 2"
JSON = True
TAKES_LINES = ("--sbatch",)

_MORE = """
The runs are a search of their own in DIR/confirm, with the command of DIR. They do not appear in
the table of DIR. Run the command again to resume, or to print the answer again. DIR/params.json
needs a seed that the script uses. Options that you leave out are as for the last worker of DIR.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.usage = "modeldir confirm DIR [--top N] [--repeats N] [options] [-- COMMAND ...]"
    parser.description = f"{HELP}\n{_MORE}"
    parser.add_argument("dir", metavar="DIR", help="a search")
    what = parser.add_argument_group("what to compare")
    what.add_argument(
        "--top", type=int, metavar="N", help="compare the N best configurations (default: 3)"
    )
    what.add_argument(
        "--repeats", type=int, metavar="N", help="train each of them with N new seeds (default: 5)"
    )
    add_ranking_options(what, "rank by")
    _add_where(parser)


def _add_where(parser: argparse.ArgumentParser) -> None:
    """Add a search's options; those that are not typed are as the search's last worker had them."""
    search.add_where(parser)
    parser.set_defaults(jobs=None)


def run(arguments: argparse.Namespace) -> int:
    """Choose the finalists, run the missing trials, print the answer."""
    # The spawner comes first, while this process is small: see commands/search.py.
    with Spawner(live_terminal()) as spawner:
        chosen = _chosen(arguments)
        if arguments.dry_run and arguments.json:
            raise refused("--dry-run cannot be combined with --json")
        if arguments.dry_run:
            return _dry_run(chosen, arguments)
        # After the spawner, like all imports below.
        from modeldir.results.confirmation import measure  # noqa: PLC0415
        from modeldir.results.finalists import prepare  # noqa: PLC0415

        folder = prepare(chosen)
        code = 0 if measure(chosen).is_whole else _run(chosen, folder, arguments, spawner)
    return _print_document(chosen, code) if arguments.json else _print_answer(chosen, code)


def _chosen(arguments: argparse.Namespace) -> Finalists:
    from modeldir.results import finalists  # noqa: PLC0415

    return finalists.choose(
        Path(arguments.dir),
        top=arguments.top,
        repeats=arguments.repeats,
        metric=ranking_of(arguments),
    )


def _dry_run(chosen: Finalists, arguments: argparse.Namespace) -> int:
    from modeldir.results.confirmation import announcement  # noqa: PLC0415

    if arguments.estimate:
        raise refused(
            "--estimate cannot be used here: the search shows how long a training run takes"
        )
    print(announcement(chosen, width_of_lines(), dry_run=True))
    for finalist in chosen.members:
        print(f"  {finalist.title}")
    print("Nothing was started.")
    return 0


def _run(chosen: Finalists, folder: Path, arguments: argparse.Namespace, spawner: Spawner) -> int:
    """Run the confirming search; returns its exit code.

    Its options are those of this command line, else its own so far, else those of the search in
    DIR.
    """
    from modeldir.results.confirmation import announcement  # noqa: PLC0415
    from modeldir.search import worker_registry  # noqa: PLC0415

    print(announcement(chosen, width_of_lines()), flush=True)
    before = worker_registry.options_of(folder)
    options = worker_registry.options_of(folder.parent) or [] if before is None else before
    return search.run_search(as_search(folder, options, arguments), spawner)


def as_search(
    folder: Path, options: list[str], arguments: argparse.Namespace
) -> argparse.Namespace:
    """Return the command line `modeldir search FOLDER OPTIONS`, with the options typed here.

    If another launcher is chosen here, none of the earlier launcher's options are taken over.
    """
    from modeldir.commands.search_submit import OPTIONS  # noqa: PLC0415 - after the spawner

    full, places = Parser(prog="modeldir search"), Parser(prog="modeldir confirm")
    search.configure(full)
    _add_where(places)
    made = full.parse_intermixed_args([str(folder), *options])
    defaults = vars(places.parse_args([]))
    if arguments.on or arguments.detach:
        for name in OPTIONS:
            setattr(made, name, defaults[name])
    for name, default in defaults.items():
        if getattr(arguments, name) != default:
            setattr(made, name, getattr(arguments, name))
    made.command = arguments.command
    return made


def _print_document(chosen: Finalists, code: int) -> int:
    from modeldir.commands.json_output import print_json  # noqa: PLC0415
    from modeldir.results.confirmation import answer, measure  # noqa: PLC0415

    measured = measure(chosen)
    code = 1 if any(each.failed for each in measured.measured) else code
    metric, direction = chosen.metric
    document: json_types.Confirm = {
        "path": str(chosen.folder),
        "metric": metric,
        "direction": direction,
        "configurations": [_configuration(measured, each) for each in measured.measured],
        "is_complete": measured.is_whole,
        "answer": "\n".join(answer(measured)),
        "exit_code": code,
    }
    print_json(document)
    return code


def _configuration(found: Confirmation, one: Measured) -> json_types.Configuration:
    interval = None if one is found.first else found.lead(one)
    return {
        "trial": one.finalist.number,
        "is_base": one.finalist.is_base,
        "hyperparameters": dict(one.finalist.flat),
        "values": {str(seed): value for seed, value in one.values.items()},
        "mean": one.mean,
        "failed": [*one.failed],
        "open": [*one.open],
        "lead": None
        if interval is None
        else {"low": interval.low, "high": interval.high, "level": found.level},
    }


def _print_answer(chosen: Finalists, code: int) -> int:
    from modeldir.results.confirmation import answer, measure, to_words  # noqa: PLC0415

    measured = measure(chosen)
    if not measured.is_whole:
        print("\n".join(answer(measured)))
        return code
    print()
    print(to_words(measured, width_of_lines()))
    first = quoted(chosen.folder)
    print(f"next: modeldir results {first} --per-seed   (each of the new runs)")
    return 1 if any(each.failed for each in measured.measured) else code
