"""Samplers: what proposes the next hyperparameters of a search.

This room knows the Protocol that each sampler keeps and finds samplers by name; each has a file of
its own. It refuses to know trials, folders and processes: a sampler is told what there is, is asked
what comes next, and starts nothing.

A sampler keeps nothing of its own that could be lost: made again with the same seed and told the
same observations, it proposes the same. So any worker can make one, at any time, from the folders.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from modeldir.errors import SpaceError, did_you_mean, listed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from modeldir.space import Space

NAMES = ("grid", "random")


@dataclass(frozen=True)
class Observation:
    """A trial as a sampler sees it: where it lies, how it stands, and its value once it has one."""

    number: int | None
    point: Mapping[str, Any]
    status: str
    value: float | None


class Sampler(Protocol):
    """Proposes points of a space, and learns how they scored."""

    def ask(self, number: int) -> dict[str, Any] | None:
        """The point for the trial of this number, or None if there is nothing left to propose.

        Asking changes nothing: asked again before it was told anything, it says the same.
        """

    def tell(self, observation: Observation) -> None:
        """Learn of a trial, also one that is still to run, or what has changed about it."""


def make(name: str, space: Space, seed: int) -> Sampler:
    """The sampler of this name.

    Raises:
        SpaceError: if there is none, or the space is not one that it can sample.
    """
    if name == "grid":
        from modeldir.samplers.grid import Grid  # noqa: PLC0415 - only the sampler that is used

        return Grid(space)
    if name == "random":
        from modeldir.samplers.random import Random  # noqa: PLC0415 - as above

        return Random(space, seed)
    hint = did_you_mean(name, NAMES) or f"there are: {', '.join(NAMES)}"
    raise SpaceError(listed("The space cannot be sampled:", [(f"no sampler {name!r}", hint)]))
