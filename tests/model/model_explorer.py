"""Visit every state that a model can reach, breadth first, and report what is wrong there.

`explore` is called by the tests and by `check_model.py`. A model (`Model`) says how it begins,
which steps may follow a state, and which properties a state violates. The first violation that is
found has the shortest trace. The model of the protocol itself: `model_world.py`.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

State = TypeVar("State", bound=Hashable)


class Step(NamedTuple, Generic[State]):
    """One step of one process: what it does, in words, and the state after it.

    `harm` marks what no process of ours does by itself: a kill, a power cut, a lost network. The
    search must come to its end when these stop.
    """

    words: str
    after: State
    harm: bool = False


@dataclass(frozen=True)
class Model(Generic[State]):
    """What to explore.

    Attributes:
        first: the state in which it begins.
        steps: all steps that may follow a state.
        wrong: the properties that a state violates, in words.
        is_over: whether everything that should happen has happened.
    """

    first: State
    steps: Callable[[State], Iterable[Step[State]]]
    wrong: Callable[[State], Iterable[str]]
    is_over: Callable[[State], bool]


@dataclass(frozen=True)
class Explored:
    """What an exploration found: `trace` leads to the first violation, in words."""

    states: int
    violation: str = ""
    trace: tuple[str, ...] = ()

    def __str__(self) -> str:
        if not self.violation:
            return f"{self.states:,} states, nothing wrong"
        lines = [f"  {number:2}. {words}" for number, words in enumerate(self.trace, 1)]
        return "\n".join([f"{self.violation}, after {self.states:,} states:", *lines])


NEVER_ENDS = "nothing is harmed any more, and yet the end cannot come"


def explore(model: Model[State], *, limit: int = 5_000_000) -> Explored:
    """Visit all states of a model until one violates a property.

    If none does, check that the end can be reached from each state without further harm.

    Raises:
        OverflowError: the model has more states than `limit`.
    """
    found: dict[State, int] = {model.first: 0}
    states = [model.first]
    parents, words = array("l", [0]), [""]
    before, after = array("l"), array("l")  # the steps without harm
    for number, state in enumerate(states):  # it grows meanwhile
        for step in model.steps(state):
            next_number = found.setdefault(step.after, len(states))
            if next_number == len(states):
                states.append(step.after)
                parents.append(number)
                words.append(step.words)
                if problem := next(iter(model.wrong(step.after)), ""):
                    return Explored(len(states), problem, _trace(next_number, parents, words))
            if not step.harm:
                before.append(number)
                after.append(next_number)
        if len(states) > limit:
            raise OverflowError(f"more than {limit:,} states")
    ends = [number for number, state in enumerate(states) if model.is_over(state)]
    lost = _first_that_reaches_none(ends, before, after, len(states))
    if lost is not None:
        return Explored(len(states), NEVER_ENDS, _trace(lost, parents, words))
    return Explored(len(states))


def _trace(number: int, parents: array[int], words: list[str]) -> tuple[str, ...]:
    """Return the words of the steps that lead to a state."""
    steps = []
    while number:
        steps.append(words[number])
        number = parents[number]
    return tuple(reversed(steps))


def _first_that_reaches_none(
    ends: list[int], before: array[int], after: array[int], count: int
) -> int | None:
    """Return the first state from which no path leads to one of the `ends`; None if all do."""
    into: list[list[int]] = [[] for _ in range(count)]
    for left, right in zip(before, after, strict=True):
        into[right].append(left)
    reaches = bytearray(count)
    for number in ends:
        reaches[number] = 1
    waiting = list(ends)
    while waiting:
        for number in into[waiting.pop()]:
            if not reaches[number]:
                reaches[number] = 1
                waiting.append(number)
    lost = reaches.find(0)
    return None if lost < 0 else lost
