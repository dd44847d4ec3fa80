"""Metric files: their names, and the numbers in them and in the lines of `metrics.jsonl`.

Nearly every package calls this module; start at `read_metrics` and `logged_step`. The names are
those of CS230's projects, where `eval`, `val` and `dev` all mean the validation set. `recorder`
writes them during a training run; `objective` says which value is better.
"""

from __future__ import annotations

import json
import math
import numbers
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeAlias

from modeldir._system import files, reading
from modeldir._system.timestamps import unix_time
from modeldir.errors import MetricsError

Split: TypeAlias = Literal["eval", "test", "train"]
Weights: TypeAlias = Literal["best", "last"]

EVAL_BEST = "metrics_eval_best_weights.json"
EVAL_LAST = "metrics_eval_last_weights.json"
METRICS_LINES = "metrics.jsonl"

NUMBER = r"[-+]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|(?i:nan|inf(?:inity)?)\b)"
_EXACT = 2**53  # a float holds each integer up to this one


@dataclass(frozen=True)
class MetricsFile:
    """The content of a metric file by its name: the split and, if given, the weights."""

    split: Split
    which: Weights | None
    name: str


_FILE_NAME = re.compile(
    r"(?:metrics|results)"
    r"(?:_(?P<split>eval|val|valid|validation|dev|test|train))?"
    r"(?:_(?P<which>best|last)(?:_weights)?)?"
    r"\.json"
)
_SPLITS: dict[str, Split] = {"test": "test", "train": "train"}


def classify(file_name: str) -> MetricsFile | None:
    """Return what a file of this name holds, or None if it is no metric file."""
    match = _FILE_NAME.fullmatch(file_name)
    if match is None:
        return None
    which: Weights | None = match["which"]  # type: ignore[assignment] # the pattern allows no other
    return MetricsFile(_SPLITS.get(match["split"], "eval"), which, file_name)


def read_metrics(path: str | os.PathLike[str]) -> dict[str, float]:
    """Return the numbers of a metrics file by name; a missing file has none.

    Strings that are numbers count ("0.97", "nan"), and integers stay integers (epoch 3, not 3.0).
    """
    try:
        data = reading.read(path, reading.SCORES)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise MetricsError(f"{os.fspath(path)}: cannot be read: {error.strerror}") from error
    return dict(numbers_in(_object_of(data, os.fspath(path))))


def numbers_in(values: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, float]]:
    """Yield each metric of a (nested) mapping as (name, number), in order."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from numbers_in(value, f"{prefix}{name}/")
        elif (number := _number_or_none(value)) is not None:
            yield f"{prefix}{name}", number


def take_step(numbers: dict[str, float]) -> float | None:
    """Remove `step` and `epoch` from a line's numbers; return the first finite one, or None."""
    steps = [numbers.pop(name, math.nan) for name in ("step", "epoch")]
    return next((step for step in steps if math.isfinite(step)), None)


def save_metrics(metrics: Mapping[str, object], path: str | os.PathLike[str]) -> None:
    """Write metrics as a JSON object; the file is replaced in one step.

    Values may be numbers, scalars of NumPy, PyTorch and similar libraries, and mappings of them.
    JSON has no form for NaN and the infinities. They become the strings "nan", "inf" and "-inf",
    which `read_metrics` reads back.

    Raises:
        MetricsError: if a value is not one number (all such values are listed), or if the file
            cannot be written.
    """
    values = as_json(metrics)
    try:
        files.write_json(path, values)
    except OSError as error:
        raise MetricsError(f"{os.fspath(path)}: cannot be written: {error.strerror}") from error


def as_json(metrics: Mapping[str, object]) -> dict[str, Any]:
    """Return the metrics as JSON values; an error lists each that is not one number."""
    problems: list[str] = []
    values = _as_json(metrics, "", problems)
    if problems:
        head = "A metric must be one number:"
        raise MetricsError(head, [(problem, None) for problem in problems], state="")
    return values


def _as_json(metrics: Mapping[str, object], prefix: str, problems: list[str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, value in metrics.items():
        if type(value) is float and math.isfinite(value):  # the usual case, quickly
            values[str(name)] = value
        elif isinstance(value, Mapping):
            values[str(name)] = _as_json(value, f"{prefix}{name}/", problems)
        else:
            try:
                values[str(name)] = _number_as_json(value)
            except (TypeError, ValueError, RuntimeError):  # RuntimeError: a torch tensor of several
                problems.append(f"{prefix}{name}: got {_described(value)}")
    return values


def _number_as_json(value: Any) -> float | str:
    """Return an int or float as JSON has it; raise what the value raises if it is no number."""
    if not isinstance(value, numbers.Number) and hasattr(value, "item"):
        value = value.item()  # arrays and tensors of one element
    if isinstance(value, bool):
        return value  # stays true or false, which no reader takes for a metric
    if isinstance(value, numbers.Integral):
        return int(value)
    if not (hasattr(value, "__float__") or _number_or_none(value) is not None):
        raise TypeError
    number = float(value)
    return number if math.isfinite(number) else str(number)


def _described(value: object) -> str:
    shape = getattr(value, "shape", None)
    if shape is not None and shape != ():
        return f"an array of shape {tuple(shape)}"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."  # noqa: PLR2004 - what fits beside a name


def _object_of(data: bytes, path: str) -> dict[str, object]:
    if not data.strip():
        raise MetricsError(f"{path}: is empty")
    try:
        value = reading.loads(data)
    except json.JSONDecodeError as error:
        reason = error.msg[0].lower() + error.msg[1:]
        raise MetricsError(
            f"{path}: is not JSON: line {error.lineno}, column {error.colno}: {reason}"
        ) from error
    except UnicodeDecodeError as error:
        raise MetricsError(f"{path}: is not text in UTF-8: byte {error.start}") from error
    except ValueError as error:
        raise MetricsError(f"{path}: cannot be read as JSON: {error}") from error
    if not isinstance(value, dict):
        kind = {list: "a list", str: "a string", bool: "true or false", type(None): "null"}
        found = kind.get(type(value), "a number")
        raise MetricsError(f'{path}: holds {found}, expected an object: {{"accuracy": 0.97}}')
    return value


def _number_or_none(value: object) -> float | None:
    if isinstance(value, float):
        return value
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value if abs(value) <= _EXACT else _as_float(value)
    if isinstance(value, str) and re.fullmatch(NUMBER, value):
        return float(value)
    return None


def _as_float(value: int) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


class LoggedStep(NamedTuple):
    """A step, its Unix time if known, and the values by metric name."""

    step: float
    time: float | None
    values: Mapping[str, float]


def logged_step(line: Mapping[str, object], index: int) -> LoggedStep:
    """Return the step of a line; the line's index counts as its step if it has none."""
    values = dict(numbers_in({k: v for k, v in line.items() if k != "time"}))
    step = take_step(values)
    time = unix_time(line.get("time"))
    return LoggedStep(float(index) if step is None else step, time, values)


SPLITS = ("eval/", "val/", "dev/")
"""The prefixes of a validation metric's name."""


def validation_value(numbers: Mapping[str, float], name: str) -> float | None:
    """Return a validation metric of a line: `val/loss`, or else a bare `loss`."""
    for split in SPLITS:
        if split + name in numbers:
            return numbers[split + name]
    return numbers.get(name)


def without_split(name: str) -> str:
    """Return a metric's name without the validation split: `accuracy` for `val/accuracy`."""
    return next((name[len(split) :] for split in SPLITS if name.startswith(split)), name)


def validation_metrics(numbers: Mapping[str, float]) -> dict[str, float]:
    """Return the validation metrics of a step, without the split in their names."""
    bare, validation = {}, {}
    for name, value in numbers.items():
        if name.startswith(SPLITS):
            validation[without_split(name)] = value
        elif not name.startswith(("train/", "test/")):
            bare[name] = value
    return {**bare, **validation}  # beside `val/accuracy`, `accuracy` belongs to the training set
