"""List the GPUs that this process may use, and make the environment that assigns them to a trial.

`slots.py` calls `visible` once per worker. A GPU has a name, which is what the variable calls it,
and an identity, which is the same for all processes of this machine, however they number the GPUs.
Which GPU a trial gets: `slots.py`; which process holds which GPU: `leases.py`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from modeldir.errors import NOTHING_STARTED, SearchError
from modeldir.worker.leases import safe_name

CUDA, HIP, ROCR = "CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES"
ORDER = "CUDA_DEVICE_ORDER"
BY_BUS = "PCI_BUS_ID"

_GPU = re.compile(r"GPU (\d+): (.*?)(?: \(UUID: (\S+)\))?\s*$")
_MIG = re.compile(r"\s+MIG .*\(UUID: (\S+)\)")
_NONE = ("NoDevFiles", "none", "void")
"""Schedulers and container tools write one of these for no GPU at all."""
_PATIENCE = 60.0
_TRIES = 2


@dataclass(frozen=True)
class Gpu:
    """One GPU, or one MIG instance. `name` is for the variable, `identity` for the lease."""

    name: str
    identity: str


@dataclass(frozen=True)
class Gpus:
    """The GPUs that can be used, and `trouble`: why there are none.

    `others` are variables that have to have the same value as `variable`. `ordered`: the names are
    numbers by bus order, which CUDA needs another variable for.
    """

    gpus: tuple[Gpu, ...] = ()
    variable: str = CUDA
    others: tuple[str, ...] = ()
    ordered: bool = False
    trouble: str | None = None

    def variables(self, identities: Sequence[str]) -> dict[str, str]:
        """Return the environment of a trial that may use these GPUs and no others."""
        names = ",".join(self.names(identities))
        assigned = dict.fromkeys((self.variable, *self.others), names)
        return {**assigned, ORDER: BY_BUS} if self.ordered and names else assigned

    def names(self, identities: Sequence[str]) -> list[str]:
        return [gpu.name for gpu in self.gpus if gpu.identity in identities]


def are_given(environment: Mapping[str, str]) -> bool:
    return any(name in environment for name in (CUDA, HIP, ROCR))


def visible(environment: Mapping[str, str] | None = None) -> Gpus:
    """Return the GPUs that a command with this environment (by default ours) could use."""
    environment = os.environ if environment is None else environment
    chosen = environment.get(CUDA)
    amd = [name for name in (HIP, ROCR) if name in environment]
    if chosen is not None and not _entries(chosen) and not amd:
        return Gpus(trouble=f"{CUDA} is empty: none is to be used")
    listed, trouble = _nvidia(environment)
    if amd and not listed:
        return _amd(environment, amd)
    if chosen is None:
        by_bus = environment.get(ORDER, BY_BUS) == BY_BUS
        return Gpus(_all(listed, by_bus=by_bus), ordered=ORDER not in environment, trouble=trouble)
    same = tuple(name for name in amd if environment[name] == chosen)
    found = _cuda(_entries(chosen), listed, by_bus=environment.get(ORDER) == BY_BUS)
    return Gpus(found, others=same, trouble=f"{CUDA}={chosen} names none that is there")


@dataclass(frozen=True)
class _Listed:
    number: str
    model: str
    identity: str
    parts: tuple[str, ...] = ()


def _nvidia(environment: Mapping[str, str]) -> tuple[list[_Listed], str | None]:
    """Return the GPUs that `nvidia-smi -L` lists, and the reason if there are none."""
    import shutil  # noqa: PLC0415 - once a search
    import subprocess  # noqa: PLC0415

    program = shutil.which("nvidia-smi", path=environment.get("PATH", os.defpath))
    if program is None:
        return [], "there is no nvidia-smi, and CUDA_VISIBLE_DEVICES is not set"
    for _ in range(_TRIES):
        try:
            done = subprocess.run(
                [program, "-L"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=_PATIENCE,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return [], f"nvidia-smi -L: {error}"
        if done.returncode >= 0:
            break
    else:
        raise SearchError(
            f"nvidia-smi -L was killed by signal {-done.returncode}, twice: which GPUs there are "
            f"is not known\n  run the command again, or name them: export {CUDA}=0,1",
            state=NOTHING_STARTED,
        )
    text = done.stdout.decode(errors="replace")
    listed = _parsed(text) if done.returncode == 0 else []
    first = next((line.strip() for line in text.splitlines() if line.strip()), "nothing")
    return listed, f"nvidia-smi -L says: {first}"


def _parsed(text: str) -> list[_Listed]:
    found: list[_Listed] = []
    for line in text.splitlines():
        gpu, part = _GPU.match(line), _MIG.match(line)
        if gpu:
            number, model, identity = gpu.groups()
            found.append(_Listed(number, model, identity or f"gpu-{number}"))
        elif part and found:
            last = found[-1]
            found[-1] = replace(last, parts=(*last.parts, part[1]))
    return found


def _all(listed: Sequence[_Listed], *, by_bus: bool) -> tuple[Gpu, ...]:
    """Return all GPUs listed. One that is divided can only be used by its MIG instances."""
    found = []
    for gpu in listed:
        parts = [Gpu(part, safe_name(part)) for part in gpu.parts]
        found += parts or [Gpu(gpu.number if by_bus else gpu.identity, safe_name(gpu.identity))]
    return tuple(found)


def _cuda(entries: Sequence[str], listed: Sequence[_Listed], *, by_bus: bool) -> tuple[Gpu, ...]:
    """Return the GPUs of CUDA_VISIBLE_DEVICES. As CUDA does, stop at the first unknown one."""
    found: dict[str, Gpu] = {}
    for entry in entries:
        identity = _identity(entry, listed)
        if identity is None:
            break
        found.setdefault(safe_name(identity), Gpu(entry, safe_name(identity)))
    numbers = [entry for entry in entries if entry.isdigit()]
    if numbers and not by_bus and len({gpu.model for gpu in listed}) > 1:
        raise SearchError(_ambiguous(numbers, listed))
    return tuple(found.values())


def _identity(entry: str, listed: Sequence[_Listed]) -> str | None:
    """Return the identity of an entry: a GPU's number differs between processes."""
    if entry.startswith("-") or entry in _NONE:
        return None
    if entry.isdigit():
        if not listed:
            return f"gpu-{int(entry)}"
        found = [gpu for gpu in listed if gpu.number == str(int(entry))]
        return (found[0].parts or (found[0].identity,))[0] if found else None
    known = [name for gpu in listed for name in (gpu.identity, *gpu.parts)]
    found_names = [name for name in known if name.startswith(entry)]
    if len(found_names) == 1:
        return found_names[0]
    # The older form of a MIG instance, or a machine without nvidia-smi.
    return entry if entry in known or not known or "/" in entry else None


def _ambiguous(numbers: Sequence[str], listed: Sequence[_Listed]) -> str:
    models = "\n".join(f"    {gpu.number}: {gpu.model}" for gpu in listed)
    return (
        f"{CUDA}={','.join(numbers)}: it is not sure which GPUs are meant, for they differ:\n"
        f"{models}\n"
        f"  CUDA numbers them by speed, nvidia-smi by bus; to have them numbered as above:\n"
        f"    export {ORDER}={BY_BUS}\n"
        "Nothing was started."
    )


def _amd(environment: Mapping[str, str], names: Sequence[str]) -> Gpus:
    """Return the GPUs of AMD's variables. HIP's numbers count within those that ROCR leaves."""
    variable = names[0]
    entries = _entries(environment[variable])
    below = _entries(environment[ROCR]) if len(names) > 1 else []
    found: dict[str, Gpu] = {}
    for entry in entries:
        if entry.startswith("-") or (below and entry.isdigit() and int(entry) >= len(below)):
            break
        real = below[int(entry)] if below and entry.isdigit() else entry
        found.setdefault(f"amd-{safe_name(real)}", Gpu(entry, f"amd-{safe_name(real)}"))
    same = environment.get(CUDA) == environment[variable]
    return Gpus(
        tuple(found.values()),
        variable,
        (CUDA,) if same else (),
        trouble=f"{variable}={environment[variable]} names none",
    )


def _entries(text: str) -> list[str]:
    return [entry.strip() for entry in text.split(",") if entry.strip()]
