"""Contract tests and fakes for custom samplers, pruners and launchers.

Inherit a contract class in your own tests and say how your class is made:

    from modeldir.testing import SamplerContract

    class TestMine(SamplerContract):
        def make(self, space, seed, objectives):
            return Mine(space, seed, objectives)

`PrunerContract` needs `make(self, rungs, direction)`, `LauncherContract` needs `make(self,
search)`.
"""

from modeldir.testing.launchers import FakeLauncher, LauncherContract
from modeldir.testing.pruners import FakeRungs, PrunerContract, SharedRungs
from modeldir.testing.samplers import FakeSampler, SamplerContract, loss, simulate_search, spaces

__all__ = [
    "FakeLauncher",
    "FakeRungs",
    "FakeSampler",
    "LauncherContract",
    "PrunerContract",
    "SamplerContract",
    "SharedRungs",
    "loss",
    "simulate_search",
    "spaces",
]
