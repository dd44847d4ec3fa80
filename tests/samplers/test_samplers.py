"""Samplers: what each of them promises to a search, by the contract that users' own are held to."""

from __future__ import annotations

import importlib.util
import math
import random
import runpy
import sys
import warnings
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from syrupy.assertion import SnapshotAssertion

from modeldir import samplers
from modeldir.errors import SpaceError
from modeldir.metrics.objective import Objectives
from modeldir.samplers import Observation, Proposal, Sampler, auto, make
from modeldir.samplers.auto import choose
from modeldir.samplers.sobol import max_dims, sobol
from modeldir.space import Choice, Int, LogUniform, Space, Uniform, draw, parse_space
from modeldir.testing import FakeSampler, SamplerContract, loss, simulate_search, spaces

SMALL = Space({"learning_rate": Choice((0.1, 0.01, 0.001)), "num_layers": Int(1, 2)})
WIDE = Space({"learning_rate": LogUniform(1e-5, 0.1), "dropout": Uniform(0, 0.5)})
LOSS: Objectives = (("loss", "minimize"),)
BOTH: Objectives = (("accuracy", "maximize"), ("loss", "minimize"))
FREE = ("random", "sobol")
"""Those that need no other package, and sample any space."""


class TestGrid(SamplerContract):
    """Every point, in order: no chance, so no other points by another seed."""

    kinds: ClassVar = ("small",)

    def make(self, space: Space, seed: int, objectives: Objectives) -> Sampler:
        return make("grid", space, seed, objectives)


class TestRandom(SamplerContract):
    def make(self, space: Space, seed: int, objectives: Objectives) -> Sampler:
        return make("random", space, seed, objectives)


class TestSobol(SamplerContract):
    def make(self, space: Space, seed: int, objectives: Objectives) -> Sampler:
        return make("sobol", space, seed, objectives)


class TestTPE(SamplerContract):
    def make(self, space: Space, seed: int, objectives: Objectives) -> Sampler:
        return make("tpe", space, seed, objectives, startup=4)


class TestTPEOfSeveralMetrics(SamplerContract):
    objectives: ClassVar = BOTH

    def make(self, space: Space, seed: int, objectives: Objectives) -> Sampler:
        return make("tpe", space, seed, objectives, startup=4)


class TestCMAES(SamplerContract):
    """Numbers alone."""

    kinds: ClassVar = ("numbers",)
    trials: ClassVar = 30

    def make(self, space: Space, seed: int, objectives: Objectives) -> Sampler:
        return make("cmaes", space, seed, objectives)


class TestNSGA2(SamplerContract):
    objectives: ClassVar = BOTH
    trials: ClassVar = 20

    def make(self, space: Space, seed: int, objectives: Objectives) -> Sampler:
        return make("nsga2", space, seed, objectives, population=5)


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="gp needs PyTorch")
class TestGP(SamplerContract):
    trials: ClassVar = 7

    def make(self, space: Space, seed: int, objectives: Objectives) -> Sampler:
        return make("gp", space, seed, objectives, startup=4)


class TestPBT(SamplerContract):
    """Population-based training, while its first population is not whole, is random search."""

    def make(self, space: Space, seed: int, objectives: Objectives) -> Sampler:
        return samplers.make("pbt", space, seed, objectives, population=100)


class TestFake(SamplerContract):
    """The fake keeps the contract as far as it goes: it has no seed."""

    kinds: ClassVar = ("small",)

    def make(self, space: Space, seed: int, objectives: Objectives) -> Sampler:
        del seed, objectives
        from modeldir.space import grid

        return FakeSampler(grid(space))


# -- Learning --------------------------------------------------------------------------------------


def told(name: str, space: Space, observations: list[Observation], **options: Any) -> Sampler:
    """A sampler that was told of these trials."""
    sampler = make(name, space, 230, LOSS, **options)
    for each in observations:
        sampler.tell(each)
    return sampler


def trials(space: Space, count: int, name: str = "random") -> list[Observation]:
    return simulate_search(lambda: make(name, space, 230, LOSS), LOSS, count)


def point_of(sampler: Sampler, number: int) -> dict[str, Any]:
    proposal = sampler.ask(number)
    assert proposal is not None
    return proposal.configuration


@pytest.mark.parametrize("name", ["tpe", "cmaes"])
def test_a_sampler_that_learns_beats_chance(name: str) -> None:
    """On a made-up loss, over five seeds: the best of forty trials is better in nearly all."""
    space = spaces()["numbers"]
    wins = 0
    for seed in range(5):
        wins += best_loss(name, space, seed) < best_loss("random", space, seed)
    assert wins >= 4


def best_loss(name: str, space: Space, seed: int) -> float:
    found = simulate_search(lambda: make(name, space, seed, LOSS), LOSS, 40)
    return min(loss(each.configuration) for each in found)


def test_running_trials_change_the_proposal_of_tpe() -> None:
    """They count as bad ones until they are known better, so workers keep apart."""
    space = spaces()["numbers"]
    done = trials(space, 20)
    alone = point_of(told("tpe", space, done), 40)
    running = [Observation(n, alone, "running") for n in range(21, 31)]
    # Not only because the point is taken: what is near it has become less likely too.
    assert point_of(told("tpe", space, [*done, *running]), 40) != alone


def test_a_trial_that_diverged_teaches_nothing_but_its_place() -> None:
    """NaN is no value: the proposal is as if the trial had failed."""
    space = spaces()["numbers"]
    done = trials(space, 20)
    without = Observation(7, done[6].configuration, "completed", {})
    infinite = Observation(7, done[6].configuration, "completed", {"loss": math.inf})
    failed = Observation(7, done[6].configuration, "failed", {})
    proposals = [
        point_of(told("tpe", space, [*done[:6], odd, *done[7:]]), 21)
        for odd in (without, infinite, failed)
    ]
    assert proposals[0] == proposals[1] == proposals[2]


def test_other_folders_teach() -> None:
    """A new search with twenty rows of another need not begin by chance."""
    space = spaces()["numbers"]
    rows = [Observation(None, o.configuration, o.status, o.values) for o in trials(space, 20)]
    assert point_of(told("tpe", space, rows), 1) != point_of(told("tpe", space, []), 1)
    assert point_of(told("cmaes", space, rows), 1) != point_of(told("cmaes", space, []), 1)


def test_pruned_trials_count_by_how_far_they_came() -> None:
    """As in Optuna: the value at which a trial was pruned is learned, with its step."""
    space = spaces()["numbers"]
    done = trials(space, 20)
    pruned = [Observation(o.number, o.configuration, "pruned", o.values, {"step": 3}) for o in done]
    assert point_of(told("tpe", space, pruned), 21) not in [o.configuration for o in done]
    assert point_of(told("tpe", space, pruned), 21) != point_of(told("tpe", space, []), 21)


def test_a_hundred_workers_get_a_hundred_points() -> None:
    """Asked before any of the trials has ended, as on a cluster."""
    space = spaces()["mixed"]
    for name in ("random", "sobol", "tpe"):
        sampler = make(name, space, 230, LOSS)
        points = []
        for number in range(1, 101):
            points.append(point_of(sampler, number))
            sampler.tell(Observation(number, points[-1], "running"))
        assert len({repr(sorted(point.items())) for point in points}) == 100


def test_an_evolution_survives_trials_that_end_late() -> None:
    """The parents of a generation are chosen once, whatever ends afterwards."""
    space = spaces()["numbers"]
    done = simulate_search(lambda: make("nsga2", space, 1, BOTH, population=4), BOTH, 9)
    assert [o.notes["generation"] for o in done] == [0, 0, 0, 0, 1, 1, 1, 1, 2]
    assert done[4].notes["parents"] == done[5].notes["parents"]
    late = Observation(10, point_of(make("random", space, 1), 1), "completed", done[0].values,
                       {"generation": 0})  # fmt: skip
    sampler = make("nsga2", space, 1, BOTH, population=4)
    for each in (*done, late):
        sampler.tell(each)
    proposal = sampler.ask(11)
    assert proposal is not None
    assert proposal.notes["parents"] == done[8].notes["parents"]


def test_optuna_is_not_heard(capfd: pytest.CaptureFixture[str]) -> None:
    """Neither its log nor its warnings, which speak to somebody who calls it."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        simulate_search(lambda: make("tpe", spaces()["mixed"], 1, BOTH, startup=2), BOTH, 5)
    assert capfd.readouterr() == ("", "")


# -- Grid, random, Sobol ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", FREE)
@given(st.integers(0, 6))
def test_a_restart_at_any_point_changes_nothing(name: str, done: int) -> None:
    """A sampler made anew and told what is there goes on as the old one would have."""
    whole = simulate_search(lambda: make(name, SMALL, 230), LOSS, 6)
    again = told(name, SMALL, whole[:done]).ask(done + 1)
    assert (again and again.configuration) == (
        whole[done].configuration if done < len(whole) else None
    )


@pytest.mark.parametrize("name", ["grid", *FREE])
def test_a_point_known_from_elsewhere_is_not_proposed(name: str) -> None:
    """Also when the file says 1.0 where the space says 1, in another order."""
    known = [
        Observation(1, {"num_layers": 1.0, "learning_rate": 0.1}, "pending"),
        Observation(2, {"num_layers": 2, "learning_rate": 0.01}, "pending"),
    ]
    found = simulate_search(lambda: make(name, SMALL, 1), LOSS, 100, known)
    assert len(found) == 4
    assert {"learning_rate": 0.1, "num_layers": 1} not in [each.configuration for each in found]


def test_a_grid_goes_in_order_and_gets_only_new_points_when_it_grows() -> None:
    """The last hyperparameter changes fastest; a value added later adds its trials alone."""
    found = simulate_search(lambda: make("grid", SMALL, 0), LOSS, 100)
    first = [tuple(each.configuration.values()) for each in found[:3]]
    assert first == [(0.1, 1), (0.1, 2), (0.01, 1)]
    grown = Space({**SMALL.domains, "num_layers": Int(1, 3)})
    sampler = make("grid", grown, 0)
    for each in found:
        sampler.tell(each)
    added = []
    for number in range(7, 10):
        added.append(point_of(sampler, number))
        sampler.tell(Observation(number, added[-1], "pending"))
    assert added == [{"learning_rate": rate, "num_layers": 3} for rate in (0.1, 0.01, 0.001)]
    assert sampler.ask(10) is None


def test_chance_depends_on_seed_and_number_alone() -> None:
    """However many workers ask, in whichever order, trial 3 is the same trial."""
    found = [
        each.configuration for each in simulate_search(lambda: make("random", WIDE, 230), LOSS, 20)
    ]
    for number in (20, 3, 11):
        assert point_of(make("random", WIDE, 230), number) == found[number - 1]
    assert point_of(make("random", WIDE, 231), 3) != found[2]


def test_random_points_are_the_same_in_every_version(snapshot: SnapshotAssertion) -> None:
    """The same seed gives the same trials, also years later, also after a redraw."""
    for space, count, name in ((WIDE, 3, "wide"), (SMALL, 6, "small")):
        found = simulate_search(lambda space=space: make("random", space, 230), LOSS, count)  # type: ignore[misc]
        assert [each.configuration for each in found] == snapshot(name=name)


def test_quasi_random_points_are_the_same_in_every_version(snapshot: SnapshotAssertion) -> None:
    """As random ones."""
    found = simulate_search(lambda: make("sobol", WIDE, 230), LOSS, 4)
    assert [each.configuration for each in found] == snapshot


def test_the_last_points_of_a_large_space_are_found() -> None:
    """Where a draw would hardly ever meet them."""
    space = Space({"a": Int(1, 100), "b": Int(1, 100)})
    missing = [{"a": 17, "b": 4}, {"a": 99, "b": 100}]
    others = [{"a": a, "b": b} for a in range(1, 101) for b in range(1, 101)]
    known = [Observation(n, p, "pending") for n, p in enumerate(others, 1) if p not in missing]
    found = simulate_search(lambda: make("random", space, 0), LOSS, 100, known)
    assert sorted((each.configuration for each in found), key=lambda point: point["a"]) == missing


def test_a_range_too_narrow_for_more_points_ends() -> None:
    """Six digits leave three values here; the search must not ask for ever."""
    space = Space({"x": Uniform(1.0, 1.00002)})
    for name in (*FREE, "tpe"):
        found = simulate_search(lambda name=name: make(name, space, 0), LOSS, 100)  # type: ignore[misc]
        assert {each.configuration["x"] for each in found} == {1.0, 1.00001, 1.00002}


def test_the_sobol_sequence_is_the_known_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the scrambling, in every dimension, as an independent library has it."""
    import numpy as np
    from scipy.stats import qmc

    monkeypatch.setattr("modeldir.samplers.sobol._scrambled", lambda bits, _: bits)
    mine = np.array([sobol(index, max_dims(), 0) for index in range(256)])
    assert (mine == qmc.Sobol(max_dims(), scramble=False, bits=32).random(256)).all()


def test_scrambling_keeps_the_even_spread() -> None:
    """Of any 16 aligned points one lies in each sixteenth of each axis; not so by chance."""
    for seed in (0, 230):
        points = [sobol(index, 5, seed) for index in range(32)]
        for axis in range(5):
            for part in (points[:16], points[16:]):
                assert sorted(int(point[axis] * 16) for point in part) == [*range(16)]


# -- By name ---------------------------------------------------------------------------------------


def test_what_a_sampler_cannot_sample_is_said(snapshot: SnapshotAssertion) -> None:
    """All of it at once, with what to do instead."""
    wide = Space({f"x{n}": Uniform(0, 1) for n in range(max_dims() + 1)})
    wrong: list[tuple[str, Space, Objectives, dict[str, Any]]] = [
        ("randon", SMALL, (), {}),
        ("bayes", SMALL, (), {}),
        ("zzz", SMALL, (), {}),
        ("grid", WIDE, (), {}),
        ("sobol", wide, (), {}),
        ("cmaes", spaces()["conditional"], BOTH, {}),
        ("tpe", WIDE, LOSS, {"start": 3, "zzz": 1}),
        ("random", WIDE, LOSS, {"startup": 3}),
        ("no.such.module:Mine", WIDE, LOSS, {}),
        ("modeldir.samplers.random:Randon", WIDE, LOSS, {}),
        ("modeldir.samplers:Proposal", WIDE, LOSS, {}),
    ]
    messages = []
    for name, space, objectives, options in wrong:
        with pytest.raises(SpaceError) as caught:
            make(name, space, 0, objectives, **options)
        messages.append(str(caught.value))
    assert "\n".join(messages) == snapshot


def test_a_sampler_of_ones_own_is_found_by_its_dotted_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With its options; what it proposes is held to the space, and never taken twice."""
    (tmp_path / "mine_of_the_test.py").write_text(
        "from modeldir.samplers import Proposal\n"
        "class Mine:\n"
        "    def __init__(self, space, seed, objectives, *, rate=0.1): self.rate = rate\n"
        "    def ask(self, number):\n"
        "        return Proposal({'learning_rate': self.rate, 'num_layers': 1})\n"
        "    def tell(self, observation): pass\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    found = simulate_search(
        lambda: make("mine_of_the_test:Mine", SMALL, 0, LOSS, rate=0.01), LOSS, 3
    )
    assert found[0].configuration == {"learning_rate": 0.01, "num_layers": 1}
    assert len({repr(each.configuration) for each in found}) == 3
    outside = make("mine_of_the_test:Mine", SMALL, 0, LOSS, rate=7.0)
    with pytest.raises(SpaceError, match="mine_of_the_test:Mine proposed"):
        outside.ask(1)


@pytest.mark.parametrize(
    ("name", "options", "told"),
    [
        (
            "tpe",
            {"startup": "abc"},
            'tpe: startup: got "abc"\n    expected an integer, 0 or more',
        ),
        ("tpe", {"candidates": 0}, "tpe: candidates: got 0"),
        (
            "nsga2",
            {"population": 1},
            "nsga2: population: got 1\n    expected an integer, 2 or more",
        ),
        ("cmaes", {"population": True}, "cmaes: population: got true"),
        ("json:dumps", {}, "json:dumps cannot be made with a space, a seed and objectives"),
    ],
)
def test_options_that_make_no_sense_are_refused_at_once(
    name: str, options: dict[str, Any], told: str
) -> None:
    """Not by a traceback in the middle of a search: of 0 candidates TPE learns after ten trials."""
    with pytest.raises(SpaceError) as caught:
        make(name, WIDE, 0, LOSS, **options)
    assert told in str(caught.value)


OWN = """
from modeldir.samplers import Proposal
class Mine:
    def __init__(self, space, seed, objectives=(), scale=1):
        self.scale = scale
    def ask(self, number):
        if self.scale == 2:
            return {"learning_rate": 0.1, "num_layers": 1}
        return Proposal({"learning_rate": 0.1, "num_layers": 1 // self.scale})
    def tell(self, observation):
        if observation.status == "failed":
            raise KeyError("loss")
"""


def test_mistakes_in_a_sampler_of_ones_own_are_told_as_what_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where it broke, by its own last lines; a module beside which one works is found, and any
    parameter after the third is an option.
    """
    (tmp_path / "own_of_the_test.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    assert make("own_of_the_test:Mine", SMALL, 0, LOSS, scale=1).ask(1) is not None
    with pytest.raises(SpaceError, match=r"ask\(1\) returned a dict: .*\n    return modeldir"):
        make("own_of_the_test:Mine", SMALL, 0, LOSS, scale=2).ask(1)
    with pytest.raises(SpaceError) as caught:
        make("own_of_the_test:Mine", SMALL, 0, LOSS, scale=0).ask(1)
    assert "own_of_the_test:Mine broke in ask(1): ZeroDivisionError" in str(caught.value)
    assert "own_of_the_test.py:9, in ask: return Proposal(" in str(caught.value)
    assert "known.py" not in str(caught.value)
    with pytest.raises(SpaceError, match=r"broke in tell, of trial 3: KeyError: 'loss'"):
        make("own_of_the_test:Mine", SMALL, 0).tell(Observation(3, {}, "failed"))
    with pytest.raises(SpaceError, match="has no option 'scal'\n    did you mean 'scale'"):
        make("own_of_the_test:Mine", SMALL, 0, LOSS, scal=2)


def test_a_sampler_is_made_of_domains_as_a_search_takes_them() -> None:
    """A mapping stands for the space that it describes; a wrong one is a clear error."""
    sampler = make("random", {"learning_rate": {"uniform": [0, 1]}}, 0)
    found = sampler.ask(1)
    assert found is not None
    assert 0 <= found.configuration["learning_rate"] <= 1
    with pytest.raises(SpaceError, match="unifrom"):
        make("random", {"learning_rate": {"unifrom": [0, 1]}}, 0)


def test_a_sampler_of_ones_own_may_follow_the_trials_that_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its wish is not lost where it is held to the space."""
    (tmp_path / "following_of_the_test.py").write_text(
        "class Mine:\n"
        "    follows = True\n"
        "    def __init__(self, space, seed, objectives): pass\n"
        "    def ask(self, number): pass\n"
        "    def tell(self, observation): pass\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert samplers.follows(make("following_of_the_test:Mine", SMALL, 0, LOSS))


@pytest.mark.parametrize("name", ["random", "sobol", "tpe", "nsga2", "cmaes", "pbt"])
@pytest.mark.parametrize(
    "domains",
    [
        {"a": {"uniform": [-8e307, 8e307]}, "b": {"log_uniform": [1e-300, 1e300]}},
        {"a": {"uniform": [0, 1e-300]}, "b": {"log_uniform": [1e-200, 1.0], "step": 0.1}},
        {"a": {"int": [0, 2**53 + 10]}, "b": {"int": [2**60, 2**60 + 50]}},
        {"a": {"int": [2**60, 2**60 + 60], "step": 2}, "b": {"log_int": [1, 10**30]}},
    ],
)
def test_every_sampler_bears_the_widest_ranges(name: str, domains: dict[str, Any]) -> None:
    """And such as are far from 0, where a float does not tell whole numbers apart."""
    space = parse_space(domains, {"a": 0, "b": 0}, "search.json")
    found = simulate_search(lambda: make(name, space, 0, LOSS), LOSS, 16)
    assert len(found) == 16 or name == "pbt"
    assert all(space.contains(each.configuration) for each in found)


def test_an_entry_point_makes_a_sampler_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another package offers it under a name of its own."""
    import importlib.metadata

    point = importlib.metadata.EntryPoint(
        "theirs", "modeldir.samplers.random:Random", samplers.GROUP
    )
    real = importlib.metadata.entry_points
    monkeypatch.setattr(
        importlib.metadata,
        "entry_points",
        lambda **of: [point] if of == {"group": samplers.GROUP} else real(**of),
    )
    assert point_of(make("theirs", WIDE, 230), 1) == point_of(make("random", WIDE, 230), 1)


def test_a_missing_package_is_said_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """As soon as the plan is read, and not when the first ten trials have ended."""
    real = importlib.util.find_spec
    absent = {"optuna", "torch", "cmaes"}
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name in absent else real(name)
    )
    for name, needs, extra in (
        ("tpe", "optuna", "optuna"), ("nsga2", "optuna", "optuna"), ("cmaes", "cmaes", "optuna"),
        ("gp", "optuna and torch", "gp"),
    ):  # fmt: skip
        with pytest.raises(SpaceError) as caught:
            make(name, spaces()["numbers"], 0, LOSS)
        message = str(caught.value)
        assert f"{name} needs {needs}, which is not installed" in message
        assert f"pip install 'modeldir[{extra}]'" in message


def test_no_sampler_loads_what_it_does_not_need(tmp_path: Path) -> None:
    """`import modeldir` and a random search stay as quick as they are."""
    import subprocess

    code = (
        "import sys; from modeldir.samplers import make; from modeldir.testing import spaces\n"
        "for name in ('random', 'sobol'): make(name, spaces()['mixed'], 0).ask(1)\n"
        "print([m for m in ('optuna', 'numpy', 'torch', 'cmaes', 'scipy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# -- Auto ------------------------------------------------------------------------------------------


def test_auto_says_what_it_chose_and_why() -> None:
    """By the space, the budget, the metrics and what is installed; it always finds something."""
    everything = frozenset({"optuna", "torch", "cmaes", "scipy"})
    for kind, space in spaces().items():
        for count in (1, 20, 100, 1000, None):
            for objectives in ((), LOSS, BOTH):
                for installed in (everything, frozenset({"optuna"}), frozenset[str]()):
                    name, why = choose(space, count, objectives, installed)
                    assert why, kind
                    assert name in samplers.NAMES
                    if name == "gp" and "torch" not in auto.installed():
                        continue
                    if installed:
                        assert make(name, space, 0, objectives).ask(1) is not None
                    else:
                        assert name in {"random", "sobol"}


def test_the_guide_s_sampler_keeps_the_contract(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """docs/how-to/custom-sampler.md: the example is a whole sampler, and so are its tests."""
    examples = Path(__file__).parents[2] / "docs_src/how_to"
    (tmp_path / "my_sampler.py").write_text((examples / "custom_sampler.py").read_text())
    monkeypatch.syspath_prepend(tmp_path)
    names = runpy.run_path(str(examples / "custom_sampler_test.py"))
    contract = names["TestByChance"]()
    for name in [name for name in dir(contract) if name.startswith("test_")]:
        getattr(contract, name)()


def test_a_broken_sampler_does_not_keep_the_contract() -> None:
    """The tests can fail: of a seed that is used up, a point proposed twice, one outside."""

    class Forgetful(SamplerContract):
        """Proposes the same for every trial, and by a state that a restart loses."""

        def make(self, space: Space, seed: int, objectives: Objectives) -> Sampler:
            del seed, objectives
            return Stateful(space)

    failed = []
    contract = Forgetful()
    for name in [name for name in dir(contract) if name.startswith("test_")]:
        try:
            getattr(contract, name)()
        except AssertionError:
            failed.append(name)
    assert {
        "test_no_configuration_is_proposed_twice",
        "test_asking_changes_nothing",
        "test_a_restart_changes_nothing",
        "test_another_seed_proposes_other_configurations",
        "test_workers_that_ask_at_once_get_different_configurations",
    } <= set(failed)


class Stateful:
    """What many samplers are: a random state that goes on, and no look at what there is."""

    def __init__(self, space: Space) -> None:
        self._space, self._asked = space, 0

    def ask(self, number: int) -> Proposal | None:
        del number
        self._asked += 1
        return Proposal(draw(self._space, random.Random(self._asked % 3)))

    def tell(self, observation: Observation) -> None:
        del observation
