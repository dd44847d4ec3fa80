"""Contract tests and fakes for custom samplers, pruners and launchers.

from modeldir.testing import SamplerContract

class TestMine(SamplerContract):
    def make(self, space, seed, objectives):
        return Mine(space, seed, objectives)
"""

from modeldir.testing.launchers import FakeLauncher, LauncherContract
from modeldir.testing.pruners import MemoryRungs, PrunerContract, Table
from modeldir.testing.samplers import FakeSampler, SamplerContract, loss, search, spaces

__all__ = [
    "FakeLauncher",
    "FakeSampler",
    "LauncherContract",
    "MemoryRungs",
    "PrunerContract",
    "SamplerContract",
    "Table",
    "loss",
    "search",
    "spaces",
]
