"""The model of the protocol: what was wrong with the old one, and that the new one is right."""

from __future__ import annotations

from collections.abc import Iterator

import model_claims
import pytest
from check_model import CLAIMS, DEFECTS, NEEDED, QUICK
from model_explorer import NEVER_ENDS, Model, Step, explore
from model_machine import model_of
from model_world import NEW, OLD


@pytest.mark.parametrize("name", DEFECTS)
def test_the_old_protocol_is_found_wrong(name: str) -> None:
    """The explorer finds each defect of the old protocol, with a trace that leads to it."""
    setting, problem = DEFECTS[name]
    found = explore(model_of(OLD, setting, problem))
    assert found.violation == problem
    assert found.trace


@pytest.mark.parametrize("name", QUICK)
def test_the_new_protocol_is_found_right(name: str) -> None:
    """No reachable state violates a property, and each one leads to an end."""
    found = explore(model_of(NEW, QUICK[name]))
    assert str(found) == f"{found.states:,} states, nothing wrong"
    assert found.states > 1000


@pytest.mark.parametrize("rule", NEEDED)
def test_each_rule_of_the_new_protocol_is_needed(rule: str) -> None:
    """Without any one of its rules the new protocol violates a property."""
    assert explore(model_of(NEW._replace(**{rule: False}), NEEDED[rule])).violation


@pytest.mark.parametrize("name", CLAIMS)
def test_a_configuration_gets_one_number(name: str) -> None:
    """In the old protocol an incomplete claim was skipped, and its configuration made again."""
    rules, caches, problem = CLAIMS[name]
    found = explore(model_claims.model_of(rules, caches=caches))
    assert found.violation == problem
    assert found.states > 40


def counting(state: int) -> Iterator[Step[int]]:
    """Count to four by ones and twos; harm leads from one to a dead end."""
    if state < 4:
        yield Step("one more", state + 1)
        yield Step("two more", min(4, state + 2))
    if state == 1:
        yield Step("harm", 9, harm=True)


def test_the_explorer_prints_the_shortest_trace() -> None:
    """A violation is printed with the fewest steps that lead to it."""
    found = explore(Model(0, counting, lambda n: ["four"] if n == 4 else [], lambda _: True))
    assert str(found).splitlines()[1:] == ["   1. two more", "   2. two more"]


def test_the_explorer_finds_a_state_from_which_no_end_can_come() -> None:
    """Steps that harm may lead into such a state, and never out of it."""
    found = explore(Model(0, counting, lambda _: [], lambda n: n == 4))
    assert (found.violation, found.trace) == (NEVER_ENDS, ("one more", "harm"))
