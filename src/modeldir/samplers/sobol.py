"""Quasi-random search: trial n gets point n of a sequence that fills the space evenly.

Joe and Kuo, "Constructing Sobol sequences with better two-dimensional projections", SIAM J. Sci.
Comput. 30, 2008. Each seed has its own scrambling: Burley, "Practical Hash-based Owen Scrambling",
JCGT 9, 2020. The rule: a point depends only on the seed and the trial's number.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

from modeldir.samplers import Objectives, Observation, Problem, Proposal
from modeldir.samplers.used_configurations import Taken, seed_for
from modeldir.space import Space

BITS = 32
_ALL = (1 << BITS) - 1

# For each dimension after the first: its primitive polynomial, with all coefficients as bits, and
# the first direction numbers. They are the beginning of the file new-joe-kuo-6.
_JOE_KUO = """
3:1 7:1,3 11:1,3,1 13:1,1,1 19:1,1,3,3 25:1,3,5,13 37:1,1,5,5,17 41:1,1,5,5,5 47:1,1,7,11,19
55:1,1,5,1,1 59:1,1,1,3,11 61:1,3,5,5,31 67:1,3,3,9,7,49 91:1,1,1,15,21,21 97:1,3,1,13,27,49
103:1,1,1,15,7,5 109:1,3,1,15,13,25 115:1,1,5,5,19,61 131:1,3,7,11,23,15,103
137:1,3,7,13,13,15,69 143:1,1,3,13,7,35,63 145:1,3,5,9,1,25,53 157:1,3,1,13,9,35,107
167:1,3,1,5,27,61,31 171:1,1,5,11,19,41,61 185:1,3,5,3,3,13,69 191:1,1,7,13,1,19,1
193:1,3,7,5,13,19,59 203:1,1,3,9,25,29,41 211:1,3,5,13,23,1,55 213:1,3,7,3,13,59,17
229:1,3,1,3,5,53,69 239:1,1,5,5,23,33,13 241:1,1,7,7,1,61,123 247:1,1,7,9,13,61,49
253:1,3,3,5,3,55,33 285:1,3,1,15,31,13,49,245 299:1,3,5,15,31,59,63,97 301:1,3,1,11,11,11,77,249
333:1,3,1,11,27,43,71,9 351:1,1,7,15,21,11,81,45 355:1,3,7,3,25,31,65,79 357:1,3,1,1,19,11,3,205
361:1,1,5,9,19,21,29,157 369:1,3,7,11,1,33,89,185 391:1,3,3,3,15,9,79,71
397:1,3,7,11,15,39,119,27 425:1,1,3,1,11,31,97,225 451:1,1,1,3,23,43,57,177
463:1,3,7,7,17,17,37,71 487:1,3,1,5,27,63,123,213 501:1,1,3,5,11,43,53,133
529:1,3,5,5,29,17,47,173,479 539:1,3,3,11,3,1,109,9,69 545:1,1,1,5,17,39,23,5,343
557:1,3,1,5,25,15,31,103,499 563:1,1,1,11,11,17,63,105,183 601:1,1,5,11,9,29,97,231,363
607:1,1,5,15,19,45,41,7,383 617:1,3,7,7,31,19,83,137,221 623:1,1,1,3,23,15,111,223,83
631:1,1,5,13,31,15,55,25,161 637:1,1,3,13,25,47,39,87,257
"""


class Sobol:
    """Configurations from a scrambled Sobol sequence, none twice."""

    learns = False

    def __init__(self, space: Space, seed: int, objectives: Objectives = ()) -> None:
        del objectives  # every sampler has this signature
        self._space, self._seed = space, seed
        self._taken = Taken(space, seed)

    @staticmethod
    def find_problems(space: Space, objectives: Objectives) -> Iterator[Problem]:
        del objectives
        if len(space.dims) > max_dims():
            yield Problem(
                f"sampler: sobol supports {max_dims()} dimensions, but {len(space.dims)} vary",
                "use --sampler random",
            )

    def ask(self, number: int) -> Proposal | None:
        """Propose the trial's point, or a random one if that is taken or not allowed."""
        if self._taken.is_exhausted:
            return None
        point = self.at(number)
        if point not in self._taken and self._space.allows(point):
            return Proposal(point)
        other = self._taken.drawn(number)
        return None if other is None else Proposal(other)

    def at(self, number: int) -> dict[str, Any]:
        dims = self._space.dims
        part = sobol(number - 1, len(dims), self._seed)
        values = {dim.name: dim.domain.at(u) for dim, u in zip(dims, part, strict=True)}
        return self._space.complete(values)

    def tell(self, observation: Observation) -> None:
        self._taken.add(observation)


def sobol(index: int, dims: int, seed: int) -> list[float]:
    """Return a point of the scrambled sequence: one number in [0, 1) for each dimension.

    >>> [round(u, 3) for u in sobol(0, 3, seed=230)]
    [0.637, 0.633, 0.452]
    """
    gray = index ^ (index >> 1)
    point = []
    for dim in range(dims):
        bits, rest = 0, gray
        for direction in _directions(dim):
            if not rest:
                break
            if rest & 1:
                bits ^= direction
            rest >>= 1
        point.append(_scrambled(bits, seed_for(seed, dim)) / (_ALL + 1))
    return point


def max_dims() -> int:
    return len(_JOE_KUO.split()) + 1


@functools.cache
def _directions(dim: int) -> tuple[int, ...]:
    """Return the direction numbers of one dimension as binary fractions of 32 digits."""
    if dim == 0:
        return tuple(1 << (BITS - 1 - place) for place in range(BITS))
    polynomial, _, first = _JOE_KUO.split()[dim - 1].partition(":")
    coefficients, m = int(polynomial), list(map(int, first.split(",")))
    degree = coefficients.bit_length() - 1
    for _ in range(degree, BITS):  # Joe and Kuo, equation 2
        number = m[-degree] ^ (m[-degree] << degree)
        for k in range(1, degree):
            if coefficients >> (degree - k) & 1:
                number ^= m[-k] << k
        m.append(number)
    return tuple(number << (BITS - 1 - place) for place, number in enumerate(m[:BITS]))


def _scrambled(bits: int, seed: int) -> int:
    """Apply Owen scrambling: all digits before a digit decide whether it is flipped."""
    x = _reversed(bits)
    # A permutation in which only lower bits change a bit (Burley, listing 3).
    x = (x + seed) & _ALL
    x ^= (x * 0x6C50B47C) & _ALL
    x ^= (x * 0xB82F1E52) & _ALL
    x ^= (x * 0xC7AFE638) & _ALL
    x ^= (x * 0x8D22F6E6) & _ALL
    return _reversed(x)


def _reversed(bits: int) -> int:
    return int(f"{bits:0{BITS}b}"[::-1], 2)
