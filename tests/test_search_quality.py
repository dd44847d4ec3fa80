"""The benchmark of search quality: it runs, its statistics are right, its page is true.

Which sampler is best is not decided here: the results, which took hours, are committed, and the
page shows them. These tests take seconds and have one outcome.
"""

from __future__ import annotations

import importlib
import json
import math
import sys
from pathlib import Path
from typing import Any

import pytest

from modeldir.metrics.objective import Objectives
from modeldir.samplers.auto import choose
from modeldir.space import parse_space

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/contributing/search-quality.md"


@pytest.fixture(scope="module", autouse=True)
def _benchmark_importable() -> Any:
    sys.path.insert(0, str(ROOT / "benchmarks" / "search"))
    yield
    sys.path.remove(str(ROOT / "benchmarks" / "search"))


def part(name: str) -> Any:
    """Import a module of the benchmark, which is no package."""
    return importlib.import_module(name)


@pytest.mark.parametrize("method", ["random", "sobol", "tpe", "auto"])
def test_the_harness_runs_a_sampler_and_finds_finite_values(method: str) -> None:
    """Thirty full training runs end with a regret better than a bad configuration's."""
    task = part("tasks").Last(part("tasks").make("curves/clean"))
    contender = part("contenders").make(
        method, task.space, 1, trials=30, epochs=task.epochs, asha=False
    )
    found = part("simulate").run(task, contender, 1, budget=30, workers=1)
    best, median = task.scale()
    assert found.trials == 30
    assert found.stopped == 0
    assert all(math.isfinite(value) for _, value in found.curve)
    assert best <= found.curve[-1][1] < median


def test_asha_tries_more_configurations_with_the_same_epochs() -> None:
    """The pruner of modeldir stops most trials early within the same budget of epochs."""
    task = part("tasks").make("curves/clean")
    counts = {}
    for asha in (False, True):
        contender = part("contenders").make(
            "random", task.space, 3, trials=8, epochs=task.epochs, asha=asha
        )
        found = part("simulate").run(task, contender, 3, budget=8 * 27, workers=4)
        counts[asha] = found.trials, found.stopped
        assert found.curve[-1][0] <= 8 * 27
    assert counts[False] == (8, 0)
    assert counts[True][0] > 2 * counts[False][0]
    assert counts[True][1] > counts[True][0] // 2


class Bowl:
    """A round valley in the logarithms of four hyperparameters: what any model should learn."""

    name = "bowl"
    epochs = 1
    space = {name: {"log_uniform": [1e-4, 1.0]} for name in "abcd"}  # noqa: RUF012 - read only

    def observed(self, point: dict[str, float], seed: int) -> list[float]:
        return [self.worth(point, 1, seed)]

    def worth(self, point: dict[str, float], _epoch: int, _seed: int) -> float:
        return sum((math.log10(value) + 2.5) ** 2 for value in point.values())


def test_tpe_is_far_better_than_chance_on_an_easy_function() -> None:
    """After 40 trials the mean distance is less than half of random search's, over six seeds."""
    ends = {
        method: [
            part("simulate")
            .run(
                Bowl(),
                part("contenders").make(method, Bowl.space, seed, trials=40, epochs=1, asha=False),
                seed,
                budget=40,
                workers=1,
            )
            .curve[-1][1]
            for seed in range(6)
        ]
        for method in ("random", "tpe")
    }
    assert sum(ends["tpe"]) < sum(ends["random"]) / 2


EVERYTHING = frozenset({"optuna", "torch", "scipy", "cmaes"})
PLAIN = {"learning_rate": {"log_uniform": [1e-5, 1e-1]}, "width": [16, 32]}
LOSS: Objectives = (("loss", "minimize"),)


@pytest.mark.parametrize(
    ("trials", "installed", "prunes", "name"),
    [
        (10, EVERYTHING, False, "sobol"),
        (11, EVERYTHING, False, "gp"),
        (40, EVERYTHING, False, "gp"),
        (41, EVERYTHING, False, "tpe"),
        (None, EVERYTHING, False, "tpe"),
        (30, EVERYTHING, True, "tpe"),
        (30, EVERYTHING - {"torch"}, False, "tpe"),
        (30, EVERYTHING - {"optuna"}, False, "sobol"),
    ],
)
def test_auto_chooses_by_budget_pruner_and_what_is_there(
    trials: int | None, installed: frozenset[str], name: str, *, prunes: bool
) -> None:
    """A Gaussian process for a few full training runs, TPE for many or for pruned ones."""
    parsed = parse_space(PLAIN, {"learning_rate": 0.1, "width": 16}, "a test")
    assert choose(parsed, trials, LOSS, installed, prunes=prunes)[0] == name


def test_auto_leaves_conditions_and_several_metrics_to_tpe() -> None:
    """Both are what it models; a Gaussian process would have to make up values."""
    width = {"values": [16, 32], "condition": {"deep": True}}
    base = {"learning_rate": 0.1, "width": 16, "deep": False}
    conditional = parse_space({**PLAIN, "deep": [True, False], "width": width}, base, "a test")
    assert choose(conditional, 30, LOSS, EVERYTHING)[0] == "tpe"
    plain = parse_space(PLAIN, base, "a test")
    assert choose(plain, 30, (*LOSS, ("accuracy", "maximize")), EVERYTHING)[0] == "tpe"


def test_a_result_that_is_there_is_not_made_again(tmp_path: Path) -> None:
    """A result is read back as it was written; a line that a kill cut off is ignored."""
    run = part("protocol").Run("final", "curves/clean", "random", 0, 5)
    line = json.dumps(part("measure").made(run, {}))
    place = tmp_path / "final.jsonl"
    place.write_text(f'{line}\n{{"question": "fi', encoding="utf-8")
    (result,) = part("result_files").read(place).values()
    assert result.run == run
    assert result.at(5) == result.found.curve[-1][1]
    assert math.isnan(result.at(0))


def test_wilcoxons_test_is_exact() -> None:
    """Six differences of one sign are 2 of 64 ways; with the smallest turned round, 4."""
    stats = part("stats")
    assert stats.wilcoxon([1, 2, 3, 4, 5, 6]) == 2 / 64
    assert stats.wilcoxon([-0.5, 1, 2, 3, 4, 5]) == 4 / 64
    assert stats.wilcoxon([0, 0]) == 1
    assert stats.wilcoxon([1, -1]) == 1


def test_holm_raises_p_and_keeps_its_order() -> None:
    """The smallest is multiplied by how many there are, the next by one fewer."""
    assert part("stats").holm({"a": 0.01, "b": 0.04, "c": 0.03}) == pytest.approx(
        {"a": 0.03, "b": 0.06, "c": 0.06}
    )


def test_equal_values_share_their_rank() -> None:
    """Two that are equally good are both one and a half."""
    assert part("stats").ranks({"a": 1, "b": 2, "c": 1}) == {"a": 1.5, "b": 3, "c": 1.5}


def test_the_page_has_the_tables_that_the_results_give() -> None:
    """docs/contributing/search-quality.md holds, word for word, what `bench.py --report` prints."""
    page = PAGE.read_text(encoding="utf-8")
    for block in part("report").every().split("\n\n"):
        assert block in page, f"python benchmarks/search/bench.py --report\n\n{block}"
