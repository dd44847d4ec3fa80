"""The rank of this process in a distributed training run, from the launcher's variables.

`experiment.run` and `logs` call `rank`, so that only rank 0 writes files. torchrun, Slurm and MPI
are supported. The rule: a process of a run without a launcher has rank 0.
"""

from __future__ import annotations

import os

_LAUNCHERS = (
    ("RANK", "WORLD_SIZE"),  # torchrun, accelerate, DeepSpeed
    ("SLURM_PROCID", "SLURM_NTASKS"),
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
    ("PMI_RANK", "PMI_SIZE"),
    ("LOCAL_RANK", "WORLD_SIZE"),  # the processes that Lightning starts itself
)


def rank() -> int:
    """Return this process's rank; 0 if the run has one process."""
    return _rank_and_size()[0]


def world_size() -> int:
    """Return how many processes the training run has."""
    return _rank_and_size()[1]


def _rank_and_size() -> tuple[int, int]:
    for rank_name, size_name in _LAUNCHERS:
        own, count = os.environ.get(rank_name, ""), os.environ.get(size_name, "1")
        if count != "1" and own.isdigit():
            return int(own), int(count) if count.isdigit() else 2
    return 0, 1
