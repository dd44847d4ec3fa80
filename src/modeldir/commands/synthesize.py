"""`modeldir synthesize`: one table of all results below a folder."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from pathlib import Path

from modeldir import goals, table
from modeldir.errors import ModeldirError
from modeldir.report import write_report
from modeldir.synthesize import Results, nothing_in, synthesize

HELP = "One table of all experiments below a folder: the best first."
EXAMPLE = "modeldir synthesize experiments/learning_rate"

FORMATS = ("table", "markdown", "csv", "json")


def configure(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.usage = (
        "modeldir synthesize [DIR] [--format FORM] [--sort COLUMN] [--all-columns] [--apart]"
        " [--html FILE]"
    )
    parser.add_argument(
        "dir",
        nargs="?",
        metavar="DIR",
        help="a search, or any tree of experiments (default: experiments, else this folder)",
    )
    # As CS230's synthesize_results.py has it, and as search_hyperparams.py does.
    parser.add_argument("--model_dir", "--parent_dir", metavar="DIR", dest="named", help="also DIR")
    parser.add_argument(
        "--format", choices=FORMATS, default="table", help="what to print (default: table)"
    )
    parser.add_argument(
        "--sort", metavar="COLUMN", help="sort by this column (default: the metric)"
    )
    parser.add_argument(
        "--all-columns",
        action="store_true",
        help="also what is the same everywhere, and metrics at the last weights",
    )
    parser.add_argument(
        "--apart", action="store_true", help="repeats of a point each in a row of its own"
    )
    parser.add_argument(
        "--html", metavar="FILE", help="also a report: one page with plots, for any browser"
    )


def run(arguments: argparse.Namespace) -> int:
    """Print the table; what could not be read goes to standard error."""
    results = synthesize(
        _folder(arguments),
        sort=arguments.sort,
        all_columns=arguments.all_columns,
        apart=arguments.apart,
    )
    found = len(results) > 0
    if found or arguments.format in {"csv", "json"}:  # to a program, nothing is a table too
        print(_as_text(results, arguments.format), end="", flush=True)
    else:
        print(nothing_in(results.folder), file=sys.stderr)
    for warning in results.warnings:
        print(warning, file=sys.stderr)
    if found and arguments.format == "table" and sys.stdout.isatty():
        print(f"\n{after(results)}")
    if found and arguments.html:
        print(reported(write_report(results.folder, arguments.html)), file=sys.stderr)
    return 0 if found else 1


def _folder(arguments: argparse.Namespace) -> str | None:
    given = {each for each in (arguments.dir, arguments.named) if each is not None}
    if len(given) > 1:
        raise ModeldirError(f"one folder, please: got {' and '.join(sorted(given))}")
    return next(iter(given), None)


def _as_text(results: Results, form: str) -> str:
    if form == "table":
        return results.text()
    write = {"markdown": table.to_markdown, "csv": table.to_csv, "json": table.to_json}[form]
    return write(results.table)


def after(results: Results) -> str:
    """Where the table lies now, which experiment is the best, and what to type next."""
    lines = []
    if results.written:
        names = " and ".join(path.name for path in results.written)
        lines.append(f"written: {names} in {results.folder}")
    if results.best is not None:
        lines += [f"best:    {results.best}", f"next:    {with_best(results.best)}"]
    elif len(results.objectives) > 1:
        asked = goals.options(results.objectives[:1])
        lines.append(f"next:    modeldir best {quoted(results.folder)} {asked}")
    else:
        lines.append(f"next:    modeldir show {quoted(results.folder / _first(results))}")
    return "\n".join(lines)


def reported(path: Path) -> str:
    """Where the report lies, and what one does with it."""
    return f"report:  {path} ({os.stat(path).st_size / 1e6:.1f} MB): open it in a browser"


def _first(results: Results) -> str:
    name = str(results.table.rows[0][0])
    return name if (results.folder / name).is_dir() else "."


def with_best(best: Path) -> str:
    """What one does with the best experiment: evaluate it, where there is a script for that."""
    if os.path.isfile("evaluate.py"):
        return f"python evaluate.py --model_dir {quoted(best)}"
    return f"modeldir show {quoted(best)}"


def quoted(path: Path) -> str:
    """A path as it is typed in a shell."""
    return shlex.quote(str(path))
