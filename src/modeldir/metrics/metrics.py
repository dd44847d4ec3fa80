"""What counts as a metric, which way is better, and what the metric files are called.

It knows names and numbers: that `val_acc` should be large and `eval/loss` small, that
`metrics_val_best_weights.json` holds development metrics, how a number is found in a printed line.
It refuses to know experiments, plans and tables, and it never looks for a file: it is told which.

Start at `read_metrics` and `choose`. The metric files are named as CS230's projects name them;
there `eval`, `val` and `dev` are one split: the development set, the only one that is ranked by.
"""

from __future__ import annotations

import json
import math
import numbers
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from modeldir._system import files
from modeldir.errors import MetricsError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import TypeVar

    _T = TypeVar("_T")

Direction: TypeAlias = Literal["maximize", "minimize"]
Split: TypeAlias = Literal["eval", "test", "train"]
Weights: TypeAlias = Literal["best", "last"]

EVAL_BEST = "metrics_eval_best_weights.json"
EVAL_LAST = "metrics_eval_last_weights.json"
METRICS_LINES = "metrics.jsonl"
RANKED_VARIABLE = "MODELDIR_METRIC"
"""By which a search tells a trial what it ranks by: `minimize:loss`."""

_NUMBER = r"[-+]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|(?i:nan|inf(?:inity)?)\b)"
_EXACT = 2**53  # whole numbers up to this are the same as floats


# -- Metric files ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class MetricsFile:
    """What a metric file's name says: the split, and the weights that were measured if it does."""

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
    """What a file of this name holds, or None if it is no metric file. Without a split: eval.

    >>> classify("metrics_val_best_weights.json")
    MetricsFile(split='eval', which='best', name='metrics_val_best_weights.json')
    """
    match = _FILE_NAME.fullmatch(file_name)
    if match is None:
        return None
    which: Weights | None = match["which"]  # type: ignore[assignment] # the expression allows no other
    return MetricsFile(_SPLITS.get(match["split"], "eval"), which, file_name)


def read_metrics(path: str | os.PathLike[str]) -> dict[str, float]:
    """The numbers of a metrics file by name, nested parts joined with "/"; a missing file has none.

    Numbers written as text count ("0.97", "nan"); all else (true, words, lists) is passed over.
    Whole numbers stay whole (an epoch is 3, not 3.0) as far as a float could hold them.

    Raises:
        MetricsError: for a file that cannot be read, is not JSON, or holds no object; with path and
            reason.
    """
    try:
        # Not waiting: a pipe of that name would keep us until somebody writes to it.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        with open(descriptor, "rb", buffering=0) as file:
            data = file.readall() or b""
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise MetricsError(f"{os.fspath(path)}: cannot be read: {error.strerror}") from error
    return dict(numbers_in(_object_of(data, os.fspath(path))))


def numbers_in(values: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, float]]:
    """Each metric of a (nested) mapping as (name, number), in order."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from numbers_in(value, f"{prefix}{name}/")
        elif (number := _number_or_none(value)) is not None:
            yield f"{prefix}{name}", number


def take_step(numbers: dict[str, float]) -> float | None:
    """Take `step` and `epoch` out of the numbers of a line; the first of them that is finite says
    where the others belong. None where neither does.

    >>> numbers = {"epoch": 2.0, "loss": 0.5}
    >>> take_step(numbers), numbers
    (2.0, {'loss': 0.5})
    """
    steps = [numbers.pop(name, math.nan) for name in ("step", "epoch")]
    return next((step for step in steps if math.isfinite(step)), None)


def save_metrics(metrics: Mapping[str, object], path: str | os.PathLike[str]) -> None:
    """Write metrics as a JSON object, replacing the file as a whole.

    Values may be numbers, scalars of NumPy, PyTorch and the like, and mappings of them. NaN and the
    infinities, for which JSON has no form, become the texts "nan", "inf" and "-inf"; `read_metrics`
    reads them back.

    Raises:
        MetricsError: for what is not one number (all of them are listed), or when the file cannot
            be written.
    """
    values = plain(metrics)
    try:
        files.write_json(path, values)
    except OSError as error:
        raise MetricsError(f"{os.fspath(path)}: cannot be written: {error.strerror}") from error


def plain(metrics: Mapping[str, object]) -> dict[str, Any]:
    """The same metrics in what JSON can hold: the form in which files and lines keep them.

    Raises:
        MetricsError: listing each metric that is not one number.
    """
    problems: list[str] = []
    values = _plain(metrics, "", problems)
    if problems:
        head = "A metric must be one number:"
        raise MetricsError(head, [(problem, None) for problem in problems], state="")
    return values


def _plain(metrics: Mapping[str, object], prefix: str, problems: list[str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, value in metrics.items():
        if type(value) is float and math.isfinite(value):  # nearly always; the rest may take longer
            values[str(name)] = value
        elif isinstance(value, Mapping):
            values[str(name)] = _plain(value, f"{prefix}{name}/", problems)
        else:
            try:
                values[str(name)] = _plain_number(value)
            except (TypeError, ValueError, RuntimeError):  # RuntimeError: torch, for many elements
                problems.append(f"{prefix}{name}: got {_described(value)}")
    return values


def _plain_number(value: Any) -> float | str:
    """An int or float as JSON has it; raises what the value itself raises if it is no number."""
    if not isinstance(value, numbers.Number) and hasattr(value, "item"):
        value = value.item()  # arrays and tensors of one element
    if isinstance(value, bool):
        return value  # kept as true or false, which no reader takes for a metric
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
        value = json.loads(data)
    except json.JSONDecodeError as error:
        reason = error.msg[0].lower() + error.msg[1:]
        raise MetricsError(
            f"{path}: is not JSON: line {error.lineno}, column {error.colno}: {reason}"
        ) from error
    except UnicodeDecodeError as error:
        raise MetricsError(f"{path}: is not text in UTF-8: byte {error.start}") from error
    except (ValueError, RecursionError) as error:
        raise MetricsError(f"{path}: is not JSON that can be read: {error}") from error
    if not isinstance(value, dict):
        kind = {list: "a list", str: "a text", bool: "true or false", type(None): "null"}
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
    if isinstance(value, str) and re.fullmatch(_NUMBER, value):
        return float(value)
    return None


def _as_float(value: int) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


# -- Which way is better ---------------------------------------------------------------------------

# fmt: off
_LARGE_IS_GOOD = frozenset({
    "acc", "accuracy", "f1", "auc", "auroc", "precision", "recall", "map", "bleu", "rouge", "iou",
    "miou", "dice", "r2", "score", "reward", "return", "psnr", "ssim",
})
_SMALL_IS_GOOD = frozenset({
    "loss", "error", "err", "perplexity", "ppl", "rmse", "mse", "mae", "wer", "cer", "nll", "fid",
})
# fmt: on
_DEFAULTS = (frozenset({"accuracy", "acc"}), frozenset({"f1"}), frozenset({"loss"}))
_DEVELOPMENT = frozenset({"eval", "val", "valid", "validation", "dev"})


def direction(name: str) -> Direction | None:
    """Which way a metric of this name is better, by its last word; None if the name does not say.

    Digits at the end say at which k, or which variant, and are passed over: `bleu-4`, `map50`.

    >>> direction("val_acc"), direction("eval/loss"), direction("recall@10"), direction("epoch")
    ('maximize', 'minimize', 'maximize', None)
    """
    word = _last_word(name)
    if word in _LARGE_IS_GOOD:
        return "maximize"
    return "minimize" if word in _SMALL_IS_GOOD else None


def choose(names: Iterable[str]) -> tuple[str, Direction] | None:
    """The metric to rank by when nobody said, with its direction; None if no name says enough.

    Accuracy, then f1, then loss, each as the name itself or as its last word (`val_acc`,
    `eval/accuracy`), then any other name with a direction. A name of the test split is never
    chosen, one of the training split only if there is nothing else. Where a bare name stands beside
    its development twin (Keras logs `accuracy` and `val_accuracy`) the bare one is training's.

    >>> choose(["loss", "accuracy", "f1"])
    ('accuracy', 'maximize')
    """
    ranked = [
        (_preference(name), position, name, way)
        for position, name in enumerate(names)
        if (way := direction(name)) is not None and "test" not in _words(name)
    ]
    if not ranked:
        return None
    _, _, name, way = min(ranked)
    return name, way


def better(a: float, b: float | None, direction: Direction) -> bool:
    """Whether `a` beats `b`, strictly. NaN never does; anything else beats NaN and None (no value).

    >>> better(0.9, 0.8, "maximize"), better(0.9, 0.8, "minimize"), better(0.9, None, "minimize")
    (True, False, True)
    """
    if math.isnan(a):
        return False
    if b is None or math.isnan(b):
        return True
    return a > b if direction == "maximize" else a < b


SPLITS = ("eval/", "val/", "dev/")
"""What may stand before the name of a development metric."""


def value_of(numbers: Mapping[str, float], name: str) -> float | None:
    """A development metric among a line's: `val/accuracy` goes before a bare `accuracy`, which
    beside it is training's.
    """
    for split in SPLITS:
        if split + name in numbers:
            return numbers[split + name]
    return numbers.get(name)


def without_split(name: str) -> str:
    """`val/accuracy` is the development split's `accuracy`, and so looked for as that."""
    return next((name[len(split) :] for split in SPLITS if name.startswith(split)), name)


def development(numbers: Mapping[str, float]) -> dict[str, float]:
    """The development split's metrics of a step, without the split in their names.

    >>> development({"train/loss": 0.1, "val/loss": 0.3, "loss": 0.2, "f1": 0.9})
    {'loss': 0.3, 'f1': 0.9}
    """
    bare, found = {}, {}
    for name, value in numbers.items():
        if name.startswith(SPLITS):
            found[without_split(name)] = value
        elif not name.startswith(("train/", "test/")):
            bare[name] = value
    return {**bare, **found}  # beside `val/accuracy`, a bare `accuracy` is training's


def reaches(value: float | None, goal: float, direction: Direction) -> bool:
    """Whether a value is as good as a goal, or better.

    >>> reaches(0.97, 0.97, "maximize"), reaches(0.3, 0.2, "minimize"), reaches(None, 0, "minimize")
    (True, False, False)
    """
    return value is not None and not math.isnan(value) and not better(goal, value, direction)


def best_of(
    candidates: Iterable[tuple[float | None, int | None, _T]], direction: Direction
) -> _T | None:
    """The best of (value, number, what is ranked): the one rule by which all of modeldir chooses.

    The better value wins; of equals the trial with the lower number, then what is no trial. What
    has no value, or NaN, never wins.

    >>> best_of([(0.9, 3, "c"), (0.9, 2, "b"), (0.9, None, "a"), (0.1, 1, "d")], "maximize")
    'b'
    """
    best: tuple[float, int | None, _T] | None = None
    for value, number, what in sorted(candidates, key=lambda each: in_order(each[1])):
        if value is not None and better(value, best[0] if best else None, direction):
            best = (value, number, what)
    return best[2] if best else None


def in_order(number: int | None) -> tuple[bool, int]:
    """What sorts trials by their numbers, and before all that has none."""
    return number is None, number or 0


def _preference(name: str) -> tuple[bool, int, int]:
    """What is ranked by first: the smallest of (training's, which default, which form of it)."""
    words, last = _words(name), _last_word(name)
    kind = next((i for i, same in enumerate(_DEFAULTS) if last in same), len(_DEFAULTS))
    development = not _DEVELOPMENT.isdisjoint(words)
    if development and len(words) == 2:  # noqa: PLR2004 - the split and the metric, no more
        form = 0
    elif len(words) == 1:
        form = 1
    else:
        form = 2 if development else 3
    return "train" in words or "training" in words, kind, form


def _words(name: str) -> list[str]:
    return [word for word in re.split(r"[/_.@ -]+", name.lower()) if word]


def _last_word(name: str) -> str:
    for word in reversed(_words(name)):
        if word in _LARGE_IS_GOOD:  # before the digits go: f1, r2
            return word
        if bare := word.rstrip("0123456789"):
            return bare
    return ""


# -- Numbers in printed lines ----------------------------------------------------------------------

_PLACEHOLDER = r"\{([^\W\d][\w/.@-]*)\}"
_ESCAPE_SEQUENCE = r"\x1b\[[0-9;?]*[A-Za-z]"  # colours, and the moves of progress bars


@dataclass(frozen=True)
class LinePattern:
    """A text with `{name}` where numbers stand, ready to be looked for in lines."""

    text: str
    names: tuple[str, ...]
    expression: re.Pattern[str]


def compile_read(pattern: str) -> LinePattern:
    """Make the pattern of `--read` ready. Only `{name}` is special: all else is the text itself.

    Raises:
        MetricsError: for a pattern in which no `{name}` stands, one stands twice, or two touch.
    """
    pieces = re.split(_PLACEHOLDER, pattern.strip())
    literals, names = pieces[0::2], tuple(pieces[1::2])
    if not names:
        raise _refused(pattern, "has no {name} that says where the number is")
    if len(set(names)) < len(names):
        raise _refused(pattern, "has the same {name} twice")
    if "" in literals[1:-1]:
        raise _refused(pattern, "has two {names} with nothing between them")
    number = rf"\s*({_NUMBER})"  # numbers are often padded: "loss:   0.25"
    expression = number.join(_literal(text) for text in literals)
    if re.match(r"\w", literals[0]):
        expression = rf"(?<!\w){expression}"  # 'loss: {loss}' must not take val_loss for loss
    return LinePattern(pattern, names, re.compile(expression))


def parse_line(pattern: LinePattern | str, line: str) -> dict[str, float]:
    """The numbers that a printed line shows at the pattern's places; empty if it does not match.

    A progress bar writes many states into one line, each after a carriage return: the last counts.

    >>> parse_line("val acc: {accuracy}", "epoch 3   val acc: 0.97")
    {'accuracy': 0.97}
    """
    if isinstance(pattern, str):
        pattern = compile_read(pattern)
    shown = re.sub(_ESCAPE_SEQUENCE, "", line) if "\x1b" in line else line
    for state in reversed(shown.split("\r")):
        if match := pattern.expression.search(state):
            return dict(zip(pattern.names, map(float, match.groups()), strict=True))
    return {}


def _literal(text: str) -> str:
    return r"\s+".join(re.escape(word) for word in re.split(r"\s+", text))


def _refused(pattern: str, reason: str) -> MetricsError:
    hint = "write it as the line is printed: --read 'val acc: {accuracy}'"
    return MetricsError(f"--read {pattern!r}:", [(reason, hint)], state="")


# -- Averages --------------------------------------------------------------------------------------


class RunningAverage:
    """The mean of the values so far, as in CS230's `utils.py`.

    >>> loss = RunningAverage()
    >>> loss.update(2.0)
    >>> loss.update(4.0, n=3)  # the mean of three
    >>> loss()
    3.5
    """

    def __init__(self) -> None:
        self.total = 0.0
        self.count = 0

    def update(self, value: Any, n: int = 1) -> None:
        """Count a value `n` times: the mean over a batch counts as often as the batch has examples.

        `value` is anything that `float` takes, so also a tensor of one element.
        """
        self.total += float(value) * n
        self.count += n

    def __call__(self) -> float:
        """The mean; NaN before the first value."""
        return self.total / self.count if self.count else math.nan
