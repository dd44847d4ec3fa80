"""What tests of your own may use: fakes, and the contracts that every part of one kind keeps."""

from __future__ import annotations

from modeldir.pruners.contract import MemoryRungs, PrunerContract, Table

__all__ = ["MemoryRungs", "PrunerContract", "Table"]
