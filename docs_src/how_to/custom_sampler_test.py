"""The tests that every sampler has to pass."""

from modeldir.testing import SamplerContract
from my_sampler import ByChance


class TestByChance(SamplerContract):
    def make(self, space, seed, objectives):
        return ByChance(space, seed, objectives)
