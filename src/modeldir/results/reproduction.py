"""Compare a reproduced experiment with the original: metrics, their series, the environment.

`modeldir reproduce` calls `first_difference` and `environment_differences`. The rule: values are
equal only if they are the same bit for bit. Differences of code: `code_differences`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from modeldir._system import reading
from modeldir.experiment import experiment
from modeldir.metrics.metric_files import METRICS_LINES

_CLOCK = frozenset({"time"})
_MOST_PACKAGES = 5
_FACTS = {"python": "Python", "platform": "platform", "cpu": "CPU", "gpu_driver": "GPU driver",
          "gpus": "GPUs"}  # fmt: skip


def first_difference(original: Path, copy: Path) -> str | None:
    """Return the first value that differs, in words; None if all metrics are the same."""
    before, after = (reading.read_lines(each / METRICS_LINES) for each in (original, copy))
    for number, (one, other) in enumerate(zip(before, after, strict=False)):
        for name in sorted((one.keys() | other.keys()) - _CLOCK):
            if repr(one.get(name)) != repr(other.get(name)):
                values = _values(one.get(name), other.get(name))
                return f"{name} at step {one.get('step', number)}: {values}"
    if len(before) != len(after):
        return f"{METRICS_LINES}: {len(before)} lines in the original, {len(after)} now"
    first, second = (_final(each) for each in (original, copy))
    for name in sorted(first.keys() | second.keys()):
        if repr(first.get(name)) != repr(second.get(name)):
            return f"{name}: {_values(first.get(name), second.get(name))}"
    return None


def count(folder: Path) -> tuple[int, int]:
    """Return how many metrics and how many lines of series an experiment has."""
    return len(_final(folder)), len(reading.read_lines(folder / METRICS_LINES))


def environment_differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    """Yield in words how the environment of now differs from the recorded one."""
    for key, label in _FACTS.items():
        if before.get(key) != now.get(key):
            yield f"{label}: {_shown(before.get(key))} then, {_shown(now.get(key))} now"
    old, new = (each.get("packages") or {} for each in (before, now))
    changed = sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))
    for name in changed[:_MOST_PACKAGES]:
        yield f"{name}: {_shown(old.get(name))} then, {_shown(new.get(name))} now"
    if len(changed) > _MOST_PACKAGES:
        yield f"{len(changed) - _MOST_PACKAGES} more packages"


def _final(folder: Path) -> dict[str, float]:
    scores = experiment.scores(folder)
    parts = {"best": scores.best, "last": scores.last, "test": scores.test, "train": scores.train}
    return {
        f"{name} ({part})": value
        for part, values in parts.items()
        for name, value in values.items()
    }


def _values(one: object, other: object) -> str:
    return f"{_shown(one)} in the original, {_shown(other)} now"


def _shown(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return "none" if value is None else str(value)
