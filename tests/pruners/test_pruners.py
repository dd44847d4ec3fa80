"""Pruners: whom they stop, by the papers' rules written down here again, and what they refuse."""

from __future__ import annotations

import math
import random
import statistics
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from syrupy.assertion import SnapshotAssertion

from modeldir import pruners
from modeldir.errors import MetricsError, SearchError
from modeldir.metrics.objective import Direction
from modeldir.pruners import Pruner, Rungs, Setting
from modeldir.pruners.asha import Asha
from modeldir.pruners.hyperband import Hyperband, brackets, order
from modeldir.pruners.median import Median
from modeldir.pruners.pbt import BottomQuantile
from modeldir.pruners.pruning_decision import Judge, Orders
from modeldir.testing import PrunerContract, SharedRungs

Make = Callable[[Rungs], Pruner]


class TestAsha(PrunerContract):
    """Asynchronous successive halving keeps the contract."""

    def make(self, rungs: Rungs, direction: Direction) -> Pruner:
        return Asha(rungs, direction)


class TestHyperband(PrunerContract):
    """Hyperband keeps the contract."""

    def make(self, rungs: Rungs, direction: Direction) -> Pruner:
        return Hyperband(rungs, direction, max_step=27)


class TestMedian(PrunerContract):
    """The median rule keeps the contract."""

    def make(self, rungs: Rungs, direction: Direction) -> Pruner:
        return Median(rungs, direction)


class TestBottomQuantile(PrunerContract):
    """The stopping half of population-based training keeps the contract."""

    def make(self, rungs: Rungs, direction: Direction) -> Pruner:
        return BottomQuantile(rungs, direction, interval=2)


# -- A table of learning curves --------------------------------------------------------------------


def curves(count: int, steps: int, seed: int) -> list[list[float]]:
    """Accuracies that rise to different heights at different speeds, with noise: they do cross."""
    chance = random.Random(seed)
    found = []
    for _ in range(count):
        top, speed = chance.uniform(0.2, 0.98), chance.uniform(0.1, 0.6)
        found.append(
            [top * (1 - math.exp(-speed * t)) + chance.gauss(0, 0.01) for t in range(1, steps + 1)]
        )
    return found


def simulate(make: Make, table: list[list[float]]) -> list[int]:
    """How many steps each trial gets, of several that run one after the other."""
    rungs = SharedRungs()
    found = []
    for number, curve in enumerate(table, start=1):
        pruner = make(rungs.of_trial(number))
        ran = 0
        for ran, value in enumerate(curve, start=1):
            if pruner.should_prune(ran, value) is not None:
                break
        found.append(ran)
    return found


def by_asha(table: list[list[float]], eta: int) -> list[int]:
    """The paper's rule, stopping variant: at rung r_k go on if among the top |rung k| / eta."""
    rungs: dict[int, list[float]] = {}
    found = []
    for curve in table:
        ran = len(curve)
        rung = 1
        while rung <= len(curve):
            values = rungs.setdefault(rung, [])
            values.append(curve[rung - 1])
            top = sorted(values, reverse=True)[: len(values) // eta]
            if len(values) >= eta and curve[rung - 1] not in top:
                ran = rung
                break
            rung *= eta
        found.append(ran)
    return found


def by_median(table: list[list[float]], warmup: int) -> list[int]:
    """The paper's rule: stop if the best so far is below the median of running averages."""
    averages: dict[int, list[float]] = {}
    found = []
    for curve in table:
        ran = len(curve)
        for step in range(1, len(curve) + 1):
            others = averages.setdefault(step, [])
            worse = len(others) >= warmup and max(curve[:step]) < statistics.median(others)
            others.append(statistics.fmean(curve[:step]))
            if worse:
                ran = step
                break
        found.append(ran)
    return found


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("eta", [2, 3, 4])
def test_asha_stops_whom_the_paper_stops(seed: int, eta: int) -> None:
    """At the same steps, on 200 learning curves."""
    table = curves(200, 30, seed)
    assert simulate(lambda rungs: Asha(rungs, "maximize", reduction_factor=eta), table) == by_asha(
        table, eta
    )


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("warmup", [1, 4, 5])
def test_median_stops_whom_the_paper_stops(seed: int, warmup: int) -> None:
    """At the same steps, on 200 learning curves."""
    table = curves(200, 30, seed)
    ran = simulate(lambda rungs: Median(rungs, "maximize", warmup_trials=warmup), table)
    assert ran == by_median(table, warmup)


@pytest.mark.parametrize("seed", range(3))
def test_hyperband_is_asha_in_each_of_its_brackets(seed: int) -> None:
    """Bracket by bracket, with the first rung moved."""
    table = curves(300, 27, seed)
    ran = simulate(lambda rungs: Hyperband(rungs, "maximize", max_step=27), table)
    turns = order(4, 3)
    for bracket in range(4):
        members = [place for place in range(300) if turns[place % len(turns)] == bracket]
        late = SharedRungs()
        for number, place in enumerate(members, start=1):
            asha = Asha(late.of_trial(number), "maximize", min_step=3**bracket, max_step=27)
            ends = (t for t, v in enumerate(table[place], start=1) if asha.should_prune(t, v))
            assert ran[place] == next(ends, 27)


@pytest.mark.parametrize(
    ("make", "most"),
    [
        (lambda rungs: Asha(rungs, "maximize"), 0.25),
        (lambda rungs: Hyperband(rungs, "maximize", max_step=27), 0.5),
        (lambda rungs: Median(rungs, "maximize"), 0.8),
    ],
    ids=["asha", "hyperband", "median"],
)
def test_what_is_saved_costs_little(make: Make, most: float) -> None:
    """Of 200 curves that cross a share of the steps is run, and what comes out is nearly as good as
    the best of all, as random search over a share as large is not.
    """
    lost, lost_by_chance = [], []
    for seed in range(10):
        table = curves(200, 27, seed)
        ran = simulate(make, table)
        assert sum(ran) < most * 200 * 27
        best = max(curve[-1] for curve in table)
        whole = [curve[-1] for curve, steps in zip(table, ran, strict=True) if steps == 27]
        lost.append(best - max(whole))
        lost_by_chance.append(best - max(curve[-1] for curve in table[: sum(ran) // 27]))
    assert statistics.fmean(lost) < 0.02
    assert statistics.fmean(lost) < statistics.fmean(lost_by_chance)


# -- Details ---------------------------------------------------------------------------------------


def judged(make: Make, values: list[float], step: int = 1) -> list[str | None]:
    """What is said of trials that come to one step after the other."""
    table = SharedRungs()
    return [
        make(table.of_trial(number)).should_prune(step, value)
        for number, value in enumerate(values, start=1)
    ]


def test_asha_says_among_how_many() -> None:
    """With fewer than the factor at a rung everybody goes on; of 12 the best four do."""
    said = judged(lambda rungs: Asha(rungs, "maximize"), [0.1, 0.2, 0.15, 0.3])
    assert said == [None, None, "not among the best third of 3", None]
    said = judged(lambda rungs: Asha(rungs, "minimize"), [*map(float, range(11)), 3.5])
    assert said[-1] == "not among the best third of 12"
    assert judged(lambda rungs: Asha(rungs, "minimize"), [*map(float, range(11)), 2.5])[-1] is None


def test_a_rung_that_is_skipped_is_judged_at_the_next_step() -> None:
    """At steps 1, 4, 7, 10 the rungs 1, 3 and 9: each once."""
    rungs = SharedRungs().of_trial(1)
    asha = Asha(rungs, "maximize")
    recorded = []
    for step in (1, 4, 7, 10):
        before = len(rungs.recorded)
        asha.should_prune(step, 0.5)
        recorded.append(rungs.recorded[before:])
    assert recorded == [[1], [3], [], [9]]


def test_of_several_rungs_at_once_the_highest_counts() -> None:
    """A first value at step 1000 is compared with those at rung 729, not with those at rung 1."""
    rungs = SharedRungs().of_trial(1)
    Asha(rungs, "maximize").should_prune(1000, 0.5)
    assert rungs.recorded == [729]


def test_from_max_step_on_nobody_is_stopped() -> None:
    """There a training ends anyway."""
    rungs = SharedRungs().of_trial(1)
    asha = Asha(rungs, "maximize", min_step=2, max_step=18)
    for step in range(40):
        asha.should_prune(step, 0.5)
    assert rungs.recorded == [2, 6]


def test_hyperbands_brackets_have_the_papers_shares_from_the_start() -> None:
    """Table 1 of the paper, but mixed: the first four trials are of two brackets at least."""
    assert [order(5, 3).count(b) for b in range(5)] == [81, 34, 15, 8, 5]
    assert brackets(1, 3, 81) == 5
    assert len(set(order(4, 3)[:4])) >= 2


def test_the_last_bracket_runs_to_the_end() -> None:
    """Its first rung would be the last step."""
    number = order(4, 3).index(3) + 1
    rungs = SharedRungs().of_trial(number)
    pruner = Hyperband(rungs, "maximize", max_step=27)
    for step in range(1, 28):
        pruner.should_prune(step, 0.0)
    assert rungs.recorded == []


def test_the_median_lies_between_the_middle_two() -> None:
    """Of an even number it is their mean, and equal to it is not worse."""
    others = [0.2, 0.4, 0.6, 0.8]
    for value, stops in ((0.49, True), (0.5, False), (0.51, False), (0.61, False), (0.39, True)):
        said = judged(lambda rungs: Median(rungs, "maximize", warmup_trials=4), [*others, value])
        assert (said[-1] is not None) == stops, value


def test_a_population_loses_its_worst_quarter() -> None:
    """Of four the last; those that were stopped are no members any more."""
    said = judged(lambda rungs: BottomQuantile(rungs, "maximize"), [0.8, 0.7, 0.6, 0.5, 0.4, 0.65])
    assert [words is not None for words in said] == [False, False, False, True, True, False]


def test_a_member_that_was_stopped_and_goes_on_counts_again() -> None:
    """It was killed in the moment in which it was stopped, or is continued by hand."""
    table = SharedRungs()
    for number, value in enumerate((0.8, 0.7, 0.6), start=1):
        BottomQuantile(table.of_trial(number), "maximize").should_prune(1, value)
    assert BottomQuantile(table.of_trial(4), "maximize").should_prune(1, 0.5) is not None
    again = BottomQuantile(table.of_trial(4, passed=[1]), "maximize")
    assert again.should_prune(1, 0.5) is None
    assert BottomQuantile(table.of_trial(5), "maximize").should_prune(1, 0.55) is None


def test_a_member_is_compared_with_those_behind_it() -> None:
    """Else who is first at a step, and has begun first, would never be stopped."""
    table = SharedRungs()
    for number, value in enumerate((0.5, 0.6, 0.7), start=1):
        BottomQuantile(table.of_trial(number), "maximize").should_prune(1, value)
    ahead = BottomQuantile(table.of_trial(4), "maximize")
    assert ahead.should_prune(4, 0.4) == "among the worst 1 of 4 in the population"
    far_ahead = BottomQuantile(table.of_trial(5), "maximize")
    assert far_ahead.should_prune(40, 0.1) is None


# -- What a plan says ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "raw",
    [
        "ahsa",
        {"asha": {"min_steps": 1}},
        {"asha": {"min_step": 0, "reduction_factor": 1}},
        {"asha": {"min_step": 9, "max_step": 3}},
        {"asha": {"min_step": True}},
        {"asha": 3},
        {"asha": {}, "median": {}},
        {"median": {"warmup_trials": 0.5}},
        {"hyperband": {"reduction_factor": 1}},
        {"pbt": {"quantile": 0.7}},
        "nowhere.at_all:Mine",
        "modeldir.pruners:Mine",
        7,
    ],
    ids=str,
)
def test_what_makes_no_sense_is_said(raw: object, snapshot: SnapshotAssertion) -> None:
    """All that is wrong with a pruner, each with a hint."""
    _, problems = pruners.setting_of(raw)
    assert "\n".join(f"{problem} | {hint}" for problem, hint in problems) == snapshot


@pytest.mark.parametrize("text", ["asha:min_step", "asha:min_step=1,min_step=2", "asha:,"])
def test_a_pruner_that_is_typed_wrong_is_said(text: str, snapshot: SnapshotAssertion) -> None:
    """With how it is typed."""
    with pytest.raises(SearchError) as error:
        pruners.parse_text(text)
    assert str(error.value) == snapshot


def test_options_have_a_folder_of_their_own() -> None:
    """Values at other rungs are not compared; what says the same in other words is the same."""
    plain, said = Setting("asha"), Setting("asha", {"min_step": 1, "reduction_factor": 3})
    assert plain.key == said.key
    assert plain.key != Setting("asha", {"min_step": 2}).key
    assert plain.key != Setting("hyperband").key


def test_a_pruner_of_ones_own_is_found_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a module of the project's folder."""
    (tmp_path / "own_pruners.py").write_text(
        "class Never:\n"
        "    def __init__(self, rungs, direction, *, patience=3):\n"
        "        self.patience = patience\n"
        "    def should_prune(self, step, value):\n"
        "        return 'enough' if step > self.patience else None\n"
    )
    monkeypatch.chdir(tmp_path)
    setting, problems = pruners.setting_of({"own_pruners:Never": {"patience": 2}})
    sys.modules.pop("own_pruners", None)
    assert problems == []
    assert setting is not None
    made = pruners.make(setting, SharedRungs().of_trial(1), "maximize")
    assert [made.should_prune(step, 0.0) for step in (1, 2, 3)] == [None, None, "enough"]
    assert pruners.parse_text("own_pruners:Never") == "own_pruners:Never"
    assert pruners.parse_text("own_pruners:Never:patience=2") == {
        "own_pruners:Never": {"patience": 2}
    }


# -- One attempt, judged ---------------------------------------------------------------------------


def judge(tmp_path: Path, trial: int, **settings: object) -> Judge:
    """The judge of a trial, by median of the others as soon as there is one."""
    orders = Orders(
        kind="median",
        options={"warmup_trials": 1},
        rungs=str(tmp_path),
        trial=trial,
        metric=settings.get("metric", ("accuracy", "maximize")),  # type: ignore[arg-type] # of the test
        judges=bool(settings.get("judges", True)),
    )
    return Judge(Orders.from_text(orders.to_text()), 1, resumes=bool(settings.get("resumes")))


def test_the_words_say_metric_value_and_step(tmp_path: Path) -> None:
    """As they stand in the run file."""
    assert judge(tmp_path, 1).hear(3, {"accuracy": 0.9, "loss": 0.1}) is None
    assert judge(tmp_path, 2).hear(3, {"accuracy": 0.71, "loss": 0.1}) == (
        "accuracy 0.71 at step 3: its best so far, 0.71, is worse than the median of 1"
    )


def test_lines_of_the_training_set_choose_no_metric(tmp_path: Path) -> None:
    """Lightning writes several before its first validation, which decides what is compared."""
    for trial, value in ((1, 0.9), (2, 0.1)):
        one = judge(tmp_path, trial, metric=None)
        assert one.hear(1, {"train_loss_step": 2.3}) is None
        why = one.hear(2, {"val_acc": value, "val_loss": 1.0})
    assert why == "val_acc 0.1 at step 2: its best so far, 0.1, is worse than the median of 1"


def test_one_that_is_only_recorded_sets_the_bar_for_others(tmp_path: Path) -> None:
    """A trial that is continued after it was pruned: it may be bad, and is not stopped."""
    judge(tmp_path, 1).hear(1, {"accuracy": 0.9})
    assert judge(tmp_path, 2, judges=False).hear(1, {"accuracy": 0.1}) is None
    assert judge(tmp_path, 3).hear(1, {"accuracy": 0.4}) is not None
    assert judge(tmp_path, 4).hear(1, {"accuracy": 0.6}) is None


def test_without_a_name_the_first_metrics_say_which_counts(tmp_path: Path) -> None:
    """As elsewhere: accuracy, then f1, then loss, in its own direction, whatever its split."""
    assert judge(tmp_path, 1, metric=None).hear(1, {"loss": 0.2, "grad_norm": 3.0}) is None
    assert judge(tmp_path, 2, metric=None).hear(1, {"loss": 0.4, "grad_norm": 1.0}) is not None
    assert judge(tmp_path, 3, metric=("val/loss", "minimize")).hear(1, {"loss": 0.9}) is not None


def test_metrics_that_name_no_direction_are_an_error_with_a_hint(
    tmp_path: Path, snapshot: SnapshotAssertion
) -> None:
    """Nobody could say who is worse."""
    with pytest.raises(MetricsError) as error:
        judge(tmp_path, 1, metric=None).hear(1, {"grad_norm": 3.0, "seconds": 2.0})
    assert str(error.value) == snapshot


def test_a_step_without_the_metric_says_nothing(tmp_path: Path) -> None:
    """It may come with another line; neither may a step be no number."""
    one = judge(tmp_path, 1)
    assert one.hear(1, {"loss": 0.5}) is None
    assert one.hear(math.nan, {"accuracy": 0.5}) is None
    assert list(tmp_path.iterdir()) == []


def test_what_was_before_an_interruption_counts_once(tmp_path: Path) -> None:
    """Its running average goes on, and no rung gets a second value."""
    first = judge(tmp_path, 1)
    for step, value in enumerate((0.2, 0.4, 0.6), start=1):
        first.hear(step, {"accuracy": value})
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.txt")}
    orders = Orders("median", str(tmp_path), 1, {"warmup_trials": 1}, ("accuracy", "maximize"))
    second = Judge(orders, 2, resumes=True)
    lines = [{"step": s, "time": "now", "accuracy": v} for s, v in ((1, 0.2), (2, 0.4), (3, 0.6))]
    second.hear_again([*lines, {"step": "?"}, {}])
    second.hear(4, {"val/accuracy": 0.8})
    assert {path: path.read_bytes() for path in before} == before
    (fourth,) = tmp_path.glob("*/accuracy/4/*.txt")
    assert fourth.read_text().split()[:3] == ["1", "2", "0.5"]
