"""Which of the processes of one training this is: its rank, as launchers tell it.

It knows the environment variables of torchrun, Slurm and MPI. It refuses to know what a process
does with its rank: usually, that rank 0 alone records.
"""

from __future__ import annotations

import os

_LAUNCHERS = (
    ("RANK", "WORLD_SIZE"),  # torchrun, Lightning, accelerate, DeepSpeed
    ("SLURM_PROCID", "SLURM_NTASKS"),
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
    ("PMI_RANK", "PMI_SIZE"),
)


def rank() -> int:
    """This process's rank among those of one training; 0 for a lone one."""
    return _told()[0]


def ranks() -> int:
    """How many processes one training has."""
    return _told()[1]


def _told() -> tuple[int, int]:
    for name, several in _LAUNCHERS:
        own, count = os.environ.get(name, ""), os.environ.get(several, "1")
        if count != "1" and own.isdigit():
            return int(own), int(count) if count.isdigit() else 2
    return 0, 1
