"""A sampler that draws each configuration at random: simple, and complete."""

from modeldir.samplers import Proposal
from modeldir.samplers.used_configurations import Taken


class ByChance:
    def __init__(self, space, seed, objectives=()):
        self.taken = Taken(space, seed)  # which configurations have a trial, and draws beside them

    def ask(self, number):
        configuration = self.taken.drawn(number)  # None if every configuration has a trial
        return None if configuration is None else Proposal(configuration)

    def tell(self, observation):  # called again whenever the trial has changed
        self.taken.add(observation)
