"""`modeldir synthesize` (or `results`): print or write one table of all results below a folder."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from modeldir._system import files
from modeldir._system.escaping import visible
from modeldir._system.shell import quoted
from modeldir._system.terminal import width_here
from modeldir._system.text import wrapped
from modeldir.commands import json_output, json_payloads
from modeldir.commands.messages import NothingFound, after_best, print_stderr, report_text
from modeldir.errors import ModeldirError
from modeldir.results.table_cells import SIX
from modeldir.results.table_formats import ENDINGS, FORMS
from modeldir.results.table_text import to_text

if TYPE_CHECKING:
    from modeldir.commands import json_types
    from modeldir.results.synthesize import Results

HELP = (
    "Print one table of all experiments below a folder, the best first.\n"
    "modeldir results and modeldir synthesize are the same command."
)
EXAMPLE = "modeldir results experiments --where 'learning_rate > 0.001' --top 10"
EXAMPLES = (
    "modeldir results experiments/learning_rate --html report.html",
    "modeldir results experiments/seeds --group seed --format latex",
)
FOLDERS = "dirs"
JSON = True
COLLECTS = False
"""All rows are needed until the end; a garbage collection would take as long as sorting them."""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.usage = "modeldir results [DIR ...] [options]"
    parser.add_argument(
        "dirs",
        nargs="*",
        metavar="DIR",
        help="searches, or folders with experiments (default: experiments, else this folder)",
    )
    rows = parser.add_argument_group("rows")
    rows.add_argument(
        "--where",
        metavar="CONDITION",
        help="""print only these rows, e.g. 'learning_rate > 0.001 and optimizer == "sgd"' """
        "(default: all)",
    )
    rows.add_argument("--top", type=int, metavar="N", help="print at most N rows (default: all)")
    rows.add_argument(
        "--sort", metavar="COLUMN", help="sort by COLUMN (default: the metric, best first)"
    )
    rows.add_argument("--reverse", action="store_true", help="reverse the order")
    rows.add_argument(
        "--group",
        metavar="NAMES",
        type=_names,
        help="make one row of experiments that differ only in NAMES, e.g. seed",
    )
    rows.add_argument(
        "--per-seed",
        action="store_true",
        help="print a row for each repeat of a configuration (default: one row with their mean)",
    )
    columns = parser.add_argument_group("columns")
    columns.add_argument(
        "--columns",
        metavar="NAMES",
        type=_names,
        help="print these columns, e.g. "
        "experiment,learning_rate,accuracy,loss@last,accuracy@step=9",
    )
    columns.add_argument(
        "--all-columns",
        action="store_true",
        help="print also columns with one value, and metrics of the last weights",
    )
    columns.add_argument(
        "--metrics-file",
        metavar="NAME",
        help="take the metrics from the file with this name in each folder",
    )
    form = parser.add_argument_group("output")
    form.add_argument(
        "--format",
        choices=("table", *FORMS),
        metavar="FORM",
        help=f"one of table, {', '.join(FORMS)} (default: table, or by the ending of --output)",
    )
    form.add_argument(
        "-o", "--output", metavar="FILE", help="write the table to FILE instead of printing it"
    )
    form.add_argument(
        "--html", metavar="FILE", help="also write a report with plots, one page for any browser"
    )
    # As CS230's synthesize_results.py has it, and as search_hyperparams.py does.
    parser.add_argument(
        "--model_dir",
        "--parent_dir",
        metavar="DIR",
        dest="named",
        help="the same as DIR, as in scripts of CS230",
    )


def _names(text: str) -> list[str]:
    """Split names at commas.

    >>> _names("learning_rate, accuracy")
    ['learning_rate', 'accuracy']
    """
    return [name for word in text.split(",") if (name := word.strip().strip("`"))]


def run(arguments: argparse.Namespace) -> int:
    if arguments.top is not None and arguments.top < 1:
        raise ModeldirError(f"--top {arguments.top}: expected 1 or more")
    from modeldir.results.synthesize import synthesize  # noqa: PLC0415 - `--help` does without

    if arguments.json and (arguments.format or arguments.output):
        raise ModeldirError("--json cannot be combined with --format and --output")
    form = _form(arguments)
    given = [*arguments.dirs, *([] if arguments.named is None else [arguments.named])]
    results = synthesize(
        list(dict.fromkeys(given)),
        where=arguments.where,
        columns=arguments.columns or (),
        sort=arguments.sort,
        reverse=arguments.reverse,
        group=arguments.group or (),
        top=arguments.top,
        all_columns=arguments.all_columns,
        apart=arguments.per_seed,
        metrics_file=arguments.metrics_file,
    )
    has_rows = len(results) > 0
    if arguments.json:
        if not has_rows:
            raise NothingFound(results.nothing())
        json_output.print_json(_document(results))
    elif not has_rows and form not in {
        "csv",
        "json",
    }:  # a program expects even an empty table
        print_stderr(f"error: {results.nothing()}")
    elif arguments.output is None:
        text = results.text() if form == "table" else FORMS[form](results.table)
        print(text, end="", flush=True)
    else:
        print(_written(results, form, arguments.output))
    for warning in results.warnings:
        print_stderr(f"warning: {warning}")
    if has_rows and not arguments.json and _is_in_terminal(form, arguments.output):
        print(f"\n{after(results)}")
    if has_rows and arguments.html:
        print(report_text(_report(results, arguments.html)), file=sys.stderr)
    return 0 if has_rows else 1


def _is_in_terminal(form: str, output: str | None) -> bool:
    return form == "table" and output is None and sys.stdout.isatty()


def _document(results: Results) -> json_types.Results:
    headers = [*results.table.headers()]
    return {
        "path": str(results.folder),
        "columns": headers,
        "rows": [dict(zip(headers, row, strict=True)) for row in results.table.rows],
        "objectives": json_payloads.objectives_of(results.objectives),
        "best": None if results.best is None else str(results.best),
        "warnings": [*results.warnings],
    }


def _form(arguments: argparse.Namespace) -> str:
    stem, ending = os.path.splitext(arguments.output or "")
    form = arguments.format or (ENDINGS.get(ending.lower()) if ending else "table")
    if form is None:
        others = ", ".join(each for each in ENDINGS if each not in {".csv", ".htm"})
        raise ModeldirError(
            f"{visible(arguments.output)}: no form of a table ends in {visible(ending)!r}\n"
            f"  {quoted(stem)}.csv, or {others}   (--format FORM: whatever the file is called)",
            state="Nothing was written.",
        )
    return str(form)


def _written(results: Results, form: str, path: str) -> str:
    is_text = form == "table"
    text = to_text(results.table, digits=SIX) if is_text else FORMS[form](results.table)
    try:
        files.write_bytes(path, text.encode("utf-8", "backslashreplace"))
    except OSError as error:
        raise ModeldirError(f"{path} was not written: {error.strerror}") from error
    return f"written: {path} ({form}, {len(results)} rows)"


def after(results: Results) -> str:
    from modeldir.experiment import test_evaluations  # noqa: PLC0415 - `--help` does without
    from modeldir.metrics import objective  # noqa: PLC0415 - `--help` does without

    width = width_here()
    advice = [f"advice: {sentence}" for sentence in results.advice()]
    lines = [line for each in advice for line in wrapped(each, width)]
    lines += [""] if advice else []
    looked = (
        test_evaluations.describe(each.looks for each in results.tree.experiments)
        if results.tree
        else None
    )
    lines += [f"test:    {looked}; do not choose a model by these numbers"] if looked else []
    seeds = results.over_seeds()
    lines += [f"seeds:   {seeds}"] if seeds else []
    if results.written:
        names = " and ".join(path.name for path in results.written)
        lines.append(f"written: {names} in {results.folder}")
    if results.best is not None:
        label = "best:   " if results.where is None else "best of these rows:"
        best, following = _after_means(results) or (str(results.best), after_best(results.best))
        lines += [f"{label} {visible(best)}", f"next:    {following}"]
    elif results.unranked:
        lines.append(f"to rank: {objective.how_to_rank(results.folder, results.unranked[0])}")
    elif len(results.objectives) > 1:
        asked = objective.command_options(results.objectives[:1])
        lines.append(f"next:    modeldir best {quoted(results.folder)} {asked}")
    else:
        lines.append(f"next:    modeldir show {quoted(results.folder / _first(results))}")
    return "\n".join(lines)


def _after_means(results: Results) -> tuple[str, str] | None:
    """Return the best configuration and the next command, where rows are ranked by their means.

    Its best seed is only the luckiest one, so no seed of it is proposed for the test data.
    """
    from modeldir.experiment.discovery import CONFIRM  # noqa: PLC0415 - `--help` does without
    from modeldir.params.plain_values import SEED  # noqa: PLC0415 - likewise

    assert results.chosen is not None  # `synthesize` has read it
    assert results.metric is not None  # there is a best experiment
    rows = results.chosen.grouped(results.group) if results.group else results.chosen.rows()
    row = rows.best(*results.metric)
    if row is None or not row.members:
        return None
    what = "seed" if {*results.group} <= {SEED} else "experiment"
    count = len(row.counted())
    best = f"{row.name}, by the mean of {count} {what}{'s' * (count != 1)}"
    search = row.path.parent
    if (search / CONFIRM).is_file():
        return best, f"modeldir confirm {quoted(search.parent)}   (the answer of the test)"
    if what != "seed" or not (search / "search.json").is_file():
        return best, f"modeldir show {quoted(search)}"
    return best, f"modeldir confirm {quoted(search)}   (train the best again with new seeds)"


def _report(results: Results, path: str) -> Path:
    from modeldir.results.report import write_tree_report  # noqa: PLC0415 - only where one is wanted

    assert results.chosen is not None  # `synthesize` has read it
    return write_tree_report(results.chosen, path, where=results.where, group=results.group)


def _first(results: Results) -> str:
    name = str(results.table.rows[0][0])
    return name if (results.folder / name).is_dir() else "."
