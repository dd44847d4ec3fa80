"""Where results come from: commands, code, machines, versions, dates, as the run files tell.

It knows what of `run.json`, `trial.json` and `environment.json` a reader of results asks for. It
refuses to look at the machine it runs on: a report is often made elsewhere.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modeldir._system import files
from modeldir._system.durations import duration_text
from modeldir._system.shell import quoted
from modeldir._system.text import cell_text
from modeldir._system.timestamps import unix_time
from modeldir.experiment import attempts, test_evaluations
from modeldir.results.report import cells
from modeldir.search import sampler_choice

if TYPE_CHECKING:
    from modeldir.results.report.cells import Json
    from modeldir.results.synthesize import Found

_MOST = 5
_LIBRARIES = (
    "torch", "tensorflow", "jax", "flax", "keras", "numpy", "scipy", "scikit-learn", "pandas",
    "transformers", "lightning", "pytorch-lightning", "xgboost", "lightgbm", "optuna",
)  # fmt: skip


@dataclass(frozen=True)
class Origin:
    """What one experiment's files tell of how it was made."""

    name: str = ""
    record: Mapping[str, Any] = field(default_factory=dict)
    trial: Mapping[str, Any] = field(default_factory=dict)

    def text(self, key: str) -> str | None:
        value = self.record.get(key)
        return value if isinstance(value, str) and value else None

    @property
    def command(self) -> str | None:
        """The plan's command; of a run by itself its own, with the folder left open."""
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
            who = self.record.get(key)
            if isinstance(who, dict) and isinstance(who.get("host"), str):
                return str(who["host"])
        return None


def origin(found: Found) -> Origin:
    """The record of the latest attempt, and what it is a trial of."""
    number, trial = found.status.attempt, {}
    record = attempts.read(found.path, number).record if number else {}
    if found.number is not None:
        trial = files.read_object(os.path.join(found.path, "trial.json"))
    return Origin(found.path.name, record, trial)


def provenance(
    found: Sequence[Found],
    origins: Sequence[Origin],
    plans: Sequence[Mapping[str, Any]],
    searches: Iterable[Path],
) -> list[Json]:
    """Lines of (what, values) for the page: what there are several of, the most frequent first."""
    told: list[tuple[str, list[str]]] = [
        ("note", _frequent(each.note for each in found)),
        ("command", _frequent(each.command for each in origins)),
        ("git commit", _frequent(each.text("commit") for each in origins)),
        ("code", _frequent(each.text("code") for each in origins)),
        ("machine", _frequent(each.host for each in origins)),
        ("Python", _frequent(each.text("python") for each in origins)),
        ("modeldir", _frequent(each.text("modeldir") for each in origins)),
        ("libraries", list(_libraries(searches))),
        ("sampler", _frequent(_sampler(plan) for plan in plans)),
        ("pruner", _frequent(_said(plan.get("pruner")) for plan in plans)),
        ("seed", _frequent(_said(plan.get("seed")) for plan in plans)),
        ("began", _dates(each.status.started for each in found)[:1]),
        ("last start", _dates(each.status.started for each in found)[-1:]),
        ("training in total", _total(found)),
        ("test metrics", list(filter(None, [test_evaluations.told(each.looks for each in found)]))),
    ]
    return [[what, [cells.short(each, 400) for each in values]] for what, values in told if values]


def _frequent(values: Iterable[str | None]) -> list[str]:
    counts = Counter(value for value in values if value is not None)
    if len(counts) == 1:
        return list(counts)
    told = [f"{value} ({count:,} times)" for value, count in counts.most_common(_MOST)]
    return [*told, f"and {len(counts) - _MOST:,} more"] if len(counts) > _MOST else told


def _sampler(plan: Mapping[str, Any]) -> str | None:
    chosen = plan.get("auto")
    if isinstance(chosen, dict) and isinstance(chosen.get("sampler"), str):
        return f"{chosen['sampler']}, by auto"
    return _said(plan.get("sampler"))


def _said(value: object) -> str | None:
    if value is None:
        return None
    return sampler_choice.in_words(value) if isinstance(value, dict) else cell_text(value)


def _libraries(searches: Iterable[Path]) -> Iterator[str]:
    """Versions of what a training is usually made with, as the searches noted them."""
    seen: dict[str, None] = {}
    for folder in searches:
        packages = files.read_object(folder / "environment.json").get("packages")
        if isinstance(packages, dict):
            there = {str(name).lower(): version for name, version in packages.items()}
            seen.update({f"{name} {there[name]}": None for name in _LIBRARIES if name in there})
    yield from seen


def _dates(started: Iterable[str | None]) -> list[str]:
    known = sorted(each for each in started if unix_time(each) is not None and each)
    return [f"{each[:10]} {each[11:16]} UTC" for each in (known[:1] + known[-1:])]


def _total(found: Sequence[Found]) -> list[str]:
    known = [each.status.duration for each in found if each.status.duration is not None]
    return [f"{duration_text(sum(known))} in {len(known):,} experiments"] if known else []
