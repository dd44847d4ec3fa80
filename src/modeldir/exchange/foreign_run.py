"""One run of another tool, before an experiment folder is made from it.

Each importer yields `ForeignRun` objects, and `import_folder` writes them. The functions translate
what tools store differently: the split in a metric's name, values stored as strings, flat names.
"""

from __future__ import annotations

import ast
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from modeldir.errors import ParamsError
from modeldir.metrics import metric_files
from modeldir.metrics.objective import Objectives
from modeldir.params import nested

_LONGEST_LITERAL = 10_000
"""Characters: a longer string is not parsed as a list or a dict."""

_SPLITS = {
    "train": "train", "training": "train", "test": "test", "testing": "test", "val": "val",
    "valid": "val", "validation": "val", "dev": "val", "eval": "val", "evaluation": "val",
}  # fmt: skip
_WORD_SEPARATORS = re.compile(r"[/._\- ]")
_PYTHON_CONSTANTS = {"True": True, "False": False, "None": None}

LoggedValue: TypeAlias = "tuple[str, float, float | None, float]"
"""Metric name, step, Unix time if known, value."""


@dataclass(frozen=True)
class ForeignRun:
    """A run of another tool.

    `key` identifies the run in all later imports. `results` are final metrics by `best`, `last`,
    `test` and `train`; those that the tool lacks are computed from `lines`. `unfinished` means that
    the tool has recorded a start and no end.
    """

    key: str
    name: str
    source: Path
    hyperparameters: Mapping[str, Any]
    group: str = ""
    lines: Sequence[Mapping[str, float]] = ()
    results: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    number: int | None = None
    configuration: Mapping[str, Any] | None = None
    status: str | None = None
    unfinished: bool = False
    reason: str | None = None
    last_line: str | None = None
    started: float | None = None
    duration: float | None = None
    command: Sequence[str] = ()
    objectives: Objectives = ()
    log: Path | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ForeignStudy:
    """A study that becomes a search. `plan` is the content of its `search.json`."""

    name: str
    plan: Mapping[str, Any]


def metric_name(name: str) -> str:
    """Return a metric's name with its split as prefix: `train/`, `val/`, `test/`, or none.

    >>> [metric_name(n) for n in ("val_acc", "Loss/train", "eval/f1", "test.auc", "accuracy")]
    ['val/acc', 'train/Loss', 'val/f1', 'test/auc', 'accuracy']
    """
    words = _WORD_SEPARATORS.split(name)
    if len(words) > 1:
        split = _SPLITS.get(words[0].lower())
        if split is not None:
            return f"{split}/{name[len(words[0]) + 1 :]}"
        prefix, _, last_word = name.rpartition("/")
        split = _SPLITS.get(last_word.lower())
        if split is not None and prefix:
            return f"{split}/{prefix}"
    return name


def by_split(values: Mapping[str, float]) -> dict[str, dict[str, float]]:
    """Sort metrics into `test`, `train` and `last` (validation), named without their split."""
    named = {metric_name(name): value for name, value in values.items()}
    sorted_values = {"last": metric_files.validation_metrics(named)}
    for split in ("test", "train"):
        prefix = f"{split}/"
        sorted_values[split] = {
            name[len(prefix) :]: value for name, value in named.items() if name.startswith(prefix)
        }
    return {split: values for split, values in sorted_values.items() if values}


def lines_by_step(
    values: Iterable[LoggedValue],
) -> list[dict[str, float]]:
    """Group values into one line per step, sorted; of two values at one step, the later counts."""
    lines: dict[float, dict[str, float]] = {}
    for name, step, time, value in values:
        line = lines.setdefault(step, {"step": step})
        if time is not None:
            line["time"] = max(time, line.get("time", time))
        line[metric_name(name)] = value
    return [lines[step] for step in sorted(lines)]


def parse_value(text: str) -> Any:
    """Parse a value stored as text, as JSON or as a Python literal. Else return the text.

    >>> [parse_value(text) for text in ("0.1", "1e-5", "True", "[8, 'a']", "adam", "nan")]
    [0.1, 1e-05, True, [8, 'a'], 'adam', 'nan']
    """
    if text in _PYTHON_CONSTANTS:
        return _PYTHON_CONSTANTS[text]
    if len(text) > _LONGEST_LITERAL:
        return text
    try:
        value = json.loads(text, parse_constant=str)
    except (ValueError, RecursionError):
        value = _python_literal(text)
    return text if isinstance(value, float) and not math.isfinite(value) else value


def _python_literal(text: str) -> Any:
    if text[:1] not in {"[", "(", "{"}:
        try:
            return float(text)
        except ValueError:
            return text
    try:
        return ast.literal_eval(text)  # accepts literals only and calls nothing
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
        return text


def nest(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Nest flat hyperparameters by the dots in their names, unless two names contradict."""
    made: dict[str, Any] = {}
    for name, value in flat.items():
        try:
            section, key = nested.locate_or_create(made, name)
        except ParamsError:  # both `model` and `model.layers` are values
            section, key = made, name
        section[key] = value
    return made


def to_json_value(value: Any) -> Any:
    """Return a value that JSON can hold: anything else becomes a string."""
    if isinstance(value, Mapping):
        return {str(name): to_json_value(item) for name, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [to_json_value(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)
