"""One run of another tool, in our words, before any folder is made of it.

It knows which part of a metric's name is its split, and how values that a tool keeps as text become
values again. It refuses to know any tool, and to write.
"""

from __future__ import annotations

import ast
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from modeldir.errors import ParamsError
from modeldir.metrics import metrics
from modeldir.metrics.objective import Objectives
from modeldir.params import nested

LONGEST_LITERAL = 10_000
"""Characters of a text that may be a list: a longer one stays a text."""

_SPLITS = {
    "train": "train", "training": "train", "test": "test", "testing": "test", "val": "val",
    "valid": "val", "validation": "val", "dev": "val", "eval": "val", "evaluation": "val",
}  # fmt: skip
_WORDS = re.compile(r"[/._\- ]")
_WORTHS = {"True": True, "False": False, "None": None}


@dataclass(frozen=True)
class Foreign:
    """A run as its tool tells of it.

    Args:
        key: what it is known by, and found again: as good as unique among all that are imported.
        name: what its folder would be called.
        source: where it lies: a folder, or a file.
        group: the subfolder that it goes into, where a source has several studies.
        hyperparameters: nested, as far as the tool has them so.
        lines: its steps: `step`, `time` (Unix), and numbers by name.
        results: the metrics that count, by `best`, `last`, `test`, `train`, where the tool says so;
            what it does not say is taken from the lines.
        status: completed, pruned, failed, interrupted; None where the tool keeps none.
        open: it has begun, and the tool knows of no end.
        log: a file of what it printed.
    """

    key: str
    name: str
    source: Path
    hyperparameters: Mapping[str, Any]
    group: str = ""
    lines: Sequence[Mapping[str, float]] = ()
    results: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    number: int | None = None
    point: Mapping[str, Any] | None = None
    status: str | None = None
    open: bool = False
    reason: str | None = None
    last_line: str | None = None
    started: float | None = None
    duration: float | None = None
    command: Sequence[str] = ()
    objectives: Objectives = ()
    log: Path | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_recorded(self) -> bool:
        """Whether the tool says anything of its end, or that it began."""
        return self.status is not None or self.open


@dataclass(frozen=True)
class Group:
    """What the runs of one group have in common: the plan that they were made by."""

    name: str
    plan: Mapping[str, Any]


# -- Metrics ---------------------------------------------------------------------------------------


def metric_name(name: str) -> str:
    """A metric's name with its split before it: `train/`, `val/`, `test/`, or none.

    >>> [metric_name(n) for n in ("val_acc", "Loss/train", "eval/f1", "test.auc", "accuracy")]
    ['val/acc', 'train/Loss', 'val/f1', 'test/auc', 'accuracy']
    """
    words = _WORDS.split(name)
    if len(words) > 1:
        split = _SPLITS.get(words[0].lower())
        if split is not None:
            return f"{split}/{name[len(words[0]) + 1 :]}"
        last = name.rpartition("/")
        split = _SPLITS.get(last[2].lower())
        if split is not None and last[0]:
            return f"{split}/{last[0]}"
    return name


def by_split(numbers: Mapping[str, float]) -> dict[str, dict[str, float]]:
    """Numbers by `test`, `train` and `last` (the development split's), without their splits."""
    named = {metric_name(name): value for name, value in numbers.items()}
    found = {"last": metrics.development(named)}
    for split in ("test", "train"):
        start = f"{split}/"
        found[split] = {n[len(start) :]: v for n, v in named.items() if n.startswith(start)}
    return {split: values for split, values in found.items() if values}


def together(points: Iterable[tuple[str, float, float | None, float]]) -> list[dict[str, float]]:
    """Points (name, step, time, value) as lines, one a step, in the order of the steps.

    Of two values of a metric at a step the later stands.
    """
    lines: dict[float, dict[str, float]] = {}
    for name, step, time, value in points:
        line = lines.setdefault(step, {"step": step})
        if time is not None:
            line["time"] = max(time, line.get("time", time))
        line[metric_name(name)] = value
    return [lines[step] for step in sorted(lines)]


# -- Values ----------------------------------------------------------------------------------------


def value_of(text: str) -> Any:
    """A value that a tool has kept as text: by what JSON or Python would read, else the text.

    >>> [value_of(text) for text in ("0.1", "1e-5", "True", "[8, 'a']", "adam", "nan")]
    [0.1, 1e-05, True, [8, 'a'], 'adam', 'nan']
    """
    if text in _WORTHS:
        return _WORTHS[text]
    if len(text) > LONGEST_LITERAL:
        return text
    try:
        value = json.loads(text, parse_constant=str)
    except (ValueError, RecursionError):
        value = _literal(text)
    return text if isinstance(value, float) and not math.isfinite(value) else value


def _literal(text: str) -> Any:
    if text[:1] not in {"[", "(", "{"}:
        try:
            return float(text)
        except ValueError:
            return text
    try:
        return ast.literal_eval(text)  # literals alone: it calls nothing
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
        return text


def parts(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Flat hyperparameters with dots in their names as nested ones, where the parts allow it.

    >>> parts({"lr": 0.1, "model.layers": 2})
    {'lr': 0.1, 'model': {'layers': 2}}
    """
    made: dict[str, Any] = {}
    for name, value in flat.items():
        try:
            holder, key = nested.place_for(made, name)
        except ParamsError:  # `model` is a value, and `model.layers` too
            holder, key = made, name
        holder[key] = value
    return made


def plain(value: Any) -> Any:
    """A value as JSON can have it: what it has no form for becomes text."""
    if isinstance(value, Mapping):
        return {str(name): plain(part) for name, part in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(part) for part in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)
