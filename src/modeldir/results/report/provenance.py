"""Provenance of the results: commands, code versions, hosts, library versions, dates.

`page_data` calls it. Everything is read from `run.json`, `trial.json` and `environment.json`. The
current machine is never examined, because a report is often made on another one.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from modeldir import samplers
from modeldir._system import reading
from modeldir._system.durations import duration_text
from modeldir._system.shell import quoted
from modeldir._system.text import cell_text
from modeldir._system.timestamps import unix_time
from modeldir.experiment import attempts, test_evaluations
from modeldir.results.experiments import ExperimentRow
from modeldir.results.report import encoding
from modeldir.results.report.encoding import Json
from modeldir.search import sampler_check

_MOST_VALUES = 5
_LIBRARIES = (
    "torch", "tensorflow", "jax", "flax", "keras", "numpy", "scipy", "scikit-learn", "pandas",
    "transformers", "lightning", "pytorch-lightning", "xgboost", "lightgbm", "optuna",
)  # fmt: skip
_GIVEN = "try"
"""The origin of a configuration that the plan tries first; no sampler proposed it."""


@dataclass(frozen=True)
class Origin:
    """Record of how one experiment was made: its latest run file and its `trial.json`."""

    name: str = ""
    record: Mapping[str, Any] = field(default_factory=dict)
    trial: Mapping[str, Any] = field(default_factory=dict)

    def text(self, key: str) -> str | None:
        """Return a string of the run file, None if it is missing or empty."""
        value = self.record.get(key)
        return value if isinstance(value, str) and value else None

    @property
    def command(self) -> str | None:
        """The command of the search; of a single run its own, with `{model_dir}` for the folder."""
        words = self.record.get("template") or self.record.get("command")
        if isinstance(words, str):
            return words
        if not isinstance(words, list) or not words:
            return None
        return " ".join(map(self._word, map(str, words)))

    def _word(self, word: str) -> str:
        is_folder = os.path.basename(word.rstrip("/")) == self.name
        return "{model_dir}" if is_folder and self.name else quoted(word)

    @property
    def sampler(self) -> str | None:
        value = self.trial.get("sampler")
        return value if isinstance(value, str) else None

    @property
    def host(self) -> str | None:
        for key in ("process", "supervisor"):
            process = self.record.get(key)
            if isinstance(process, dict) and isinstance(process.get("host"), str):
                return str(process["host"])
        return None


def origin(found: ExperimentRow) -> Origin:
    attempt, trial = found.status.attempt, {}
    record = attempts.read(found.path, attempt).record if attempt else {}
    if found.number is not None:
        trial = reading.read_object(os.path.join(found.path, "trial.json"))
    return Origin(found.path.name, record, trial)


def adaptive_samplers(found: Iterable[str | None]) -> list[str]:
    """Return the samplers that chose trials by the values of earlier ones."""
    names = dict.fromkeys(each for each in found if each)
    return [
        encoding.short(name)
        for name in names
        if name != _GIVEN and samplers.is_adaptive(name.partition(":")[0])
    ]


def provenance(
    found: Sequence[ExperimentRow],
    origins: Sequence[Origin],
    plans: Sequence[Mapping[str, Any]],
    searches: Iterable[Path],
) -> list[Json]:
    """Return the lines for the page, each a name and its values, the most frequent first."""
    looks = test_evaluations.describe(each.looks for each in found)
    lines: list[tuple[str, list[str]]] = [
        ("note", _most_frequent(each.note for each in found)),
        ("command", _most_frequent(each.command for each in origins)),
        ("git commit", _most_frequent(each.text("commit") for each in origins)),
        ("code", _most_frequent(each.text("code") for each in origins)),
        ("machine", _most_frequent(each.host for each in origins)),
        ("Python", _most_frequent(each.text("python") for each in origins)),
        ("modeldir", _most_frequent(each.text("modeldir") for each in origins)),
        ("libraries", list(_libraries(searches))),
        ("sampler", _most_frequent(_sampler(plan) for plan in plans)),
        ("pruner", _most_frequent(_setting(plan.get("pruner")) for plan in plans)),
        ("seed", _most_frequent(_setting(plan.get("seed")) for plan in plans)),
        ("began", _dates(each.status.started for each in found)[:1]),
        ("last start", _dates(each.status.started for each in found)[-1:]),
        ("training in total", _total_duration(found)),
        ("test metrics", [looks] if looks else []),
    ]
    return [[name, [encoding.short(v, 400) for v in values]] for name, values in lines if values]


def _most_frequent(values: Iterable[str | None]) -> list[str]:
    counts = Counter(value for value in values if value is not None)
    if len(counts) == 1:
        return list(counts)
    shown = [f"{value} ({count:,} times)" for value, count in counts.most_common(_MOST_VALUES)]
    more = len(counts) - _MOST_VALUES
    return [*shown, f"and {more:,} more"] if more > 0 else shown


def _sampler(plan: Mapping[str, Any]) -> str | None:
    choice = plan.get("auto")
    if isinstance(choice, dict) and isinstance(choice.get("sampler"), str):
        return f"{choice['sampler']}, by auto"
    return _setting(plan.get("sampler"))


def _setting(value: object) -> str | None:
    if value is None:
        return None
    return sampler_check.as_typed(value) if isinstance(value, dict) else cell_text(value)


def _libraries(searches: Iterable[Path]) -> Iterator[str]:
    seen: dict[str, None] = {}
    for folder in searches:
        packages = reading.read_object(folder / "environment.json").get("packages")
        if isinstance(packages, dict):
            versions = {str(name).lower(): version for name, version in packages.items()}
            known = (name for name in _LIBRARIES if name in versions)
            seen.update({f"{name} {versions[name]}": None for name in known})
    yield from seen


def _dates(started: Iterable[str | None]) -> list[str]:
    known = sorted(each for each in started if unix_time(each) is not None and each)
    return [f"{each[:10]} {each[11:16]} UTC" for each in (known[:1] + known[-1:])]


def _total_duration(found: Sequence[ExperimentRow]) -> list[str]:
    known = [each.status.duration for each in found if each.status.duration is not None]
    return [f"{duration_text(sum(known))} in {len(known):,} experiments"] if known else []
