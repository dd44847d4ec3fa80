"""`modeldir show`: print the status, metrics and hyperparameters of an experiment or a search.

Keep imports light: people type this command most. The text about a search: `show_search.py`.
"""

from __future__ import annotations

import argparse
import functools
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from modeldir._system import disks, escaping, file_stamps, files, text
from modeldir._system.durations import duration_text
from modeldir._system.shell import quoted, quoted_line
from modeldir.commands import messages
from modeldir.commands.folders import Read, experiments_among, read_tree
from modeldir.commands.messages import Entry, value_text
from modeldir.errors import FolderError
from modeldir.experiment import attempts, experiment, reader
from modeldir.metrics.metric_files import METRICS_LINES
from modeldir.params import plain_values
from modeldir.results import table_cells, table_text
from modeldir.results.experiments import ExperimentRow
from modeldir.results.table import Column, Table

HELP = "Print the status, the metrics and the hyperparameters of experiments or searches."
EXAMPLE = "modeldir show experiments/base_model"
FOLDERS = "dirs"
JSON = True

LINES = 10
"""How many of its last lines a failed training run shows; `modeldir log` prints them all."""


_MOST_READ = 4 << 20
"""Bytes of metrics.jsonl in which `show` looks for the steps: about 0.1 s."""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.usage = "modeldir show DIR ... [--code] [--json]"
    parser.add_argument(
        "dirs",
        nargs="+",
        metavar="DIR",
        help="experiments or searches; DIR 12: trial 12 of a search",
    )
    parser.add_argument(
        "--code", action="store_true", help="list the kept code of experiments instead"
    )


def run(arguments: argparse.Namespace) -> int:
    """Print each folder; raise at the end for those that do not exist or are nothing to show."""
    if arguments.json:
        from modeldir.commands import show_json  # noqa: PLC0415 - only with --json

        return show_json.run(arguments)
    read = functools.cache(read_tree)  # a search is read once for several of its trials
    problems: list[str] = []
    separator = ""
    for folder in experiments_among(list(map(Path, arguments.dirs))):
        try:
            print(separator + (_code(folder) if arguments.code else shown(folder, read)))
            separator = "\n\n"
        except FolderError as error:
            problems.append(str(error))
    if problems:
        raise FolderError("\n".join(problems))
    return 0


def _code(folder: Path) -> str:
    from modeldir.results import code_differences  # noqa: PLC0415 - imports difflib

    _files_in(folder)  # raises if there is no such folder
    snapshot = code_differences.snapshot_of(folder)
    if snapshot is None:
        search = f"\n  for a trial: modeldir show {quoted(folder)} 1 --code"
        is_search = experiment.is_search(folder)
        raise FolderError(f"{folder} has no kept code{search if is_search else ''}")
    return code_differences.listing(snapshot)


def shown(folder: Path, read: Read = read_tree) -> str:
    names = _files_in(folder)
    has_params = experiment.params_file(folder) is not None
    if "search.json" in names or (has_params and experiment.is_search(folder)):
        from modeldir.commands.show_search import search_text  # noqa: PLC0415 - slow to import

        return search_text(read(folder))
    if not has_params and not experiment.has_output(names):
        raise FolderError(
            f"{folder} is not an experiment or a search: it has no params.json\n"
            f"  to see what is below it: modeldir results {quoted(folder)}"
        )
    record = reader.read(folder, names)
    return experiment_text(ExperimentRow.of(record, folder.name), record.problems, read)


def _files_in(folder: Path) -> list[str]:
    if not folder.is_dir():
        raise FolderError(experiment.no_folder_message(folder))
    return sorted(entry.name for entry in os.scandir(folder) if entry.is_file())


def experiment_text(
    row: ExperimentRow, warnings: Sequence[str] = (), read: Read = read_tree
) -> str:
    blocks = [
        f"{escaping.visible(str(row.path))}\n\n{messages.entries_text(_facts(row))}",
        _metrics(row),
        _hyperparameters(row.hyperparameters, row.status.given),
        _against(row, read),
        _last_lines(row),
        "\n".join(warnings),
        f"next: {_next(row)}",
    ]
    return "\n\n".join(block for block in blocks if block)


def _facts(row: ExperimentRow) -> Iterator[Entry]:
    status, folder = row.status, row.path
    yield "status", status.state + (f" ({status.failure})" if status.failure else "")
    yield "", status.last_line or status.reason
    yield "", disks.unrecorded_end(folder) if status.state == attempts.RUNNING else None
    yield "", None if row.number is None else _retry(row)
    yield "note", status.note
    yield "attempts", status.attempt
    yield "started", messages.time_text(status.started)
    yield "duration", None if status.duration is None else duration_text(status.duration)
    yield from messages.origin_entries(folder)
    attempt = attempts.latest(folder)
    record = attempt.record if attempt else {}
    words, preloaded = record.get("command"), record.get("preloaded")
    yield "command", quoted_line(map(str, words)) if isinstance(words, list) else None
    count = preloaded.get("modules") if isinstance(preloaded, dict) else None
    yield "", f"({count} modules were imported beforehand)" if count else None
    snapshot = record.get("snapshot")
    yield "code", f"{snapshot} (list its files: --code)" if snapshot else None
    log = messages.main_log(folder)
    yield "log", log
    console = folder / "console.log"
    yield "", console if log != console and console.is_file() else None


def _retry(row: ExperimentRow) -> str | None:
    from modeldir.search import claims  # noqa: PLC0415 - only for a trial

    return messages.retry_text(row, claims.asked_again(row.path.parent))


def _metrics(row: ExperimentRow) -> str:
    scores = row.scores
    kinds = ((_at_step("best", row), scores.best), (_at_step("last", row), scores.last),
             ("test", scores.test), ("train", scores.train))  # fmt: skip
    there = [(name, values) for name, values in kinds if values]
    names = dict.fromkeys(name for _, values in there for name in values)
    columns = (Column("metric", "name"), *(Column(name, "metric") for name, _ in there))
    rows = tuple((name, *(values.get(name) for _, values in there)) for name in names)
    text = table_text.to_text(Table(columns, rows), digits=table_cells.SIX)
    return text.rstrip("\n") if rows else ""


def _at_step(which: str, row: ExperimentRow) -> str:
    """Return the header of a column of metrics, with the step at which the run had them."""
    values = row.scores.best if which == "best" else row.scores.last
    if not values or not 0 < file_stamps.size_of(row.path / METRICS_LINES) <= _MOST_READ:
        return which
    from modeldir.results import metric_at_step  # noqa: PLC0415 - only if there are steps

    step = metric_at_step.step_of(row.path, values, last=which == "last")
    return which if step is None else f"{which} (step {step})"


def _hyperparameters(values: Mapping[str, Any] | None, given: Mapping[str, Any]) -> str:
    columns = (Column("hyperparameter", "name"), Column("value"))
    flat = plain_values.flatten(values or {})
    rows = tuple(
        (name, f"{value_text(value)} -> {value_text(given[name])}")
        if name in given
        else (name, text.value_cell(value))
        for name, value in flat.items()
    )
    return table_text.to_text(Table(columns, rows)).rstrip("\n") if rows else ""


def _against(row: ExperimentRow, read: Read) -> str:
    if not any((row.path / name).is_file() for name in ("trial.json", "origin.json")):
        return ""  # it has no base
    from modeldir.commands.diff import against  # noqa: PLC0415 - only if there is a base

    search, best = row.path.parent, None
    if row.number is not None and (search / "search.json").is_file():
        best = read(search).best()
    is_best = best is not None and files.absolute(best.path) == files.absolute(row.path)
    blocks = ["it is the best of its search" if is_best else "", against(row.path, read)]
    return "\n\n".join(block for block in blocks if block)


def _last_lines(row: ExperimentRow) -> str:
    if row.status.state != attempts.FAILED:
        return ""
    from modeldir.results.report.failures import last_lines  # noqa: PLC0415 - only of what has failed

    lines = last_lines(row.path)[-LINES:]
    if len(lines) < 2:  # noqa: PLR2004 - its last line is shown above
        return ""
    printed = [f"  {escaping.visible(line)}".rstrip() for line in lines]
    return "\n".join(["the last lines that it printed:", *printed])


def _next(row: ExperimentRow) -> str:
    folder = quoted(row.path)
    if row.status.state in {attempts.COMPLETED, attempts.UNTRACKED, attempts.PRUNED}:
        can_evaluate = os.path.isfile("evaluate.py") and not row.scores.test
        return messages.after_best(row.path) if can_evaluate else f"modeldir log {folder}"
    if row.status.state == attempts.PENDING:
        return f"modeldir run {folder} -- python train.py"
    return f"modeldir log {folder} --tail 20"
