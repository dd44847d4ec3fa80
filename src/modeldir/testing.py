"""What tests of your own may use: fakes, and the contracts that every part of one kind keeps.

    class TestMine(modeldir.testing.PrunerContract):
        def make(self, rungs, direction):
            return Mine(rungs, direction)

It refuses to need anything but what the tests bring: a contract is a class of plain asserts.
"""

from __future__ import annotations

from modeldir.pruners.contract import MemoryRungs, PrunerContract, Table

__all__ = ["MemoryRungs", "PrunerContract", "Table"]
