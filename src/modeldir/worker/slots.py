"""Slots: how many trials run in parallel, and which GPUs, threads and port each of them gets.

`worker.py` takes a `Seat` before it asks for a trial; the trial's supervisor holds it. GPUs and
ports are leases (`leases.py`), so that independent searches share a machine. By default nothing
is taken: the script sees the same environment as without modeldir.
"""

from __future__ import annotations

import math
import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from modeldir._system import cpus
from modeldir.errors import NOTHING_STARTED, SearchError
from modeldir.worker import visible_gpus
from modeldir.worker.leases import WHOLE, Claim, Leases, units

ASK_AGAIN = 0.25
"""Seconds after which to ask again for a seat that was not free."""

Auto = Literal["auto"]

_WAIT_POLICY = "OMP_WAIT_POLICY"
_PORTS = range(20000, 32000)
"""Below the ports of outgoing connections (ip(7), ip_local_port_range)."""
_LAUNCHERS = ("torchrun", "torch.distributed.run", "torch.distributed.launch", "deepspeed")


class Seat:
    """The place of one trial; `leases` are descriptors for its supervisor.

    At the end of a `with` block, or by `release`, ours are closed: by then the supervisor has its
    own.
    """

    def __init__(
        self,
        variables: Mapping[str, str],
        facts: Mapping[str, Any],
        leases: tuple[int, ...] = (),
    ) -> None:
        self.variables, self.facts, self.leases = variables, facts, leases

    def release(self) -> None:
        for descriptor in self.leases:
            os.close(descriptor)
        self.leases = ()

    def __enter__(self) -> Seat:  # noqa: PYI034 - Self needs Python 3.11
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


class Slots:
    """The slots of one worker.

    Args:
        jobs: how many trials run in parallel at most. "auto": one per GPU, or as many as share the
            GPUs; without GPUs one per core, or as many as the cores have `threads` for.
        gpus_per_trial: 0.25 lets four trials share a GPU, 4 gives each trial four, 0 gives none.
            None: one per slot if several trials run in parallel, shared if there are fewer.
        threads: how many each trial may use. "auto" divides the cores. None leaves that to the
            libraries: another number may change a result's last bits.
        environment: that of the commands.
        own: the token of the job to which a variable of `visible_gpus.py` assigns these GPUs. No
            other job has them, and what another job calls GPU 0 is another GPU.
    """

    def __init__(
        self,
        jobs: int | Auto,
        gpus_per_trial: float | None = None,
        threads: int | Auto | None = None,
        *,
        environment: Mapping[str, str] | None = None,
        own: str | None = None,
    ) -> None:
        self._environment = os.environ if environment is None else environment
        _check(jobs, gpus_per_trial, threads)
        wants = gpus_per_trial != 0 and (gpus_per_trial is not None or jobs != 1)
        self._gpus = visible_gpus.visible(self._environment) if wants else visible_gpus.Gpus()
        self._share = _share(gpus_per_trial, jobs, self._gpus)
        self._gpus_per_trial = gpus_per_trial
        self.options = _as_typed(jobs, gpus_per_trial, threads)
        self.count = self._count_slots(jobs, threads)
        self.threads = max(1, cpus.usable() // self.count) if threads == "auto" else threads
        self.notes = (*self._notes(jobs), *self._thread_notes(threads))
        self.why = ""
        given = own if own and visible_gpus.are_given(self._environment) else None
        self._leases = Leases(self._environment, given) if self._share else None
        self._ports: Leases | None = None

    @property
    def facts(self) -> dict[str, Any]:
        share = {"gpus_per_trial": self._share} if self._share else {}
        return {"jobs": self.count, **share, **self._thread_facts()}

    def take(self, command: Sequence[str] = ()) -> Seat | None:
        """Take a place for one trial; None if there is none: ask again after `ASK_AGAIN` seconds.

        A `command` that starts several processes gets a port. A SearchError means that leases
        cannot be kept (any more), so waiting would not help.
        """
        self.why = ""
        try:
            return self._take(command)
        except OSError as error:
            self.why = f"waiting: leases cannot be written ({error})"
            return None

    def close(self) -> None:
        """Give up our place in the queue for a GPU."""
        if self._leases is not None:
            self._leases.close()

    def _take(self, command: Sequence[str]) -> Seat | None:
        variables = self.variables
        facts: dict[str, Any] = self._thread_facts()
        taken: dict[str, int] = {}
        if self._gpus_per_trial == 0:
            amd = (visible_gpus.HIP, visible_gpus.ROCR)
            there = [name for name in amd if name in self._environment]
            variables |= dict.fromkeys((visible_gpus.CUDA, *there), "")
        if self._share:
            assert self._leases is not None
            claim = self._claim()
            found = self._leases.take(claim)
            if found is None:
                self.why = self._why_waiting(claim)
                return None
            taken |= found
            variables |= self._gpus.variables(list(found))
            facts["gpus"] = self._gpus.names(list(found))
            if self._share < 1:
                facts["gpu_share"] = self._share
        seat = Seat(variables, facts, tuple(taken.values()))
        try:
            return self._with_port(seat) if self._needs_port(command) else seat
        except BaseException:
            seat.release()
            raise

    def _claim(self) -> Claim:
        names = tuple(gpu.identity for gpu in self._gpus.gpus)
        share = self._share
        return Claim(names, max(1, int(share)), units(min(1.0, share)))

    def _why_waiting(self, claim: Claim) -> str:
        assert self._leases is not None
        full = [
            name for name, amount in self._leases.held().items() if amount + claim.units > WHOLE
        ]
        busy = self._gpus.names(full)
        what = "a GPU" if claim.count == 1 else f"{claim.count} GPUs"
        have = f" of {len(claim.names)}: {', '.join(busy)} in use" if busy else ": others are first"
        hint = "; --gpus-per-trial 0 goes without" if self._gpus_per_trial is None else ""
        return f"waiting for {what}{have}{hint}"

    # -- How many ----------------------------------------------------------------------------------

    def _count_slots(self, jobs: int | Auto, threads: int | Auto | None) -> int:
        if self._share:
            there, share = len(self._gpus.gpus), self._share
            each = int(there // share) if share >= 1 else there * (WHOLE // units(share))
            return each if jobs == "auto" else min(jobs, each)
        if jobs != "auto":
            return jobs
        return max(1, cpus.usable() // (threads if isinstance(threads, int) else 1))

    def _notes(self, jobs: int | Auto) -> tuple[str, ...]:
        if not self._share:
            trouble = self._gpus.trouble or ""
            missed = self._gpus_per_trial is None and trouble.startswith("nvidia-smi")
            by_cores = f"-j auto: {self.count} at a time, by the cores"
            return (
                *([f"no GPUs are handed out: {trouble}"] if missed else []),
                *([by_cores] if jobs == "auto" else []),
            )
        names = ", ".join(gpu.name for gpu in self._gpus.gpus)
        gets = f"{_gpus_text(self._share)} each (there {_there_are(self._gpus)}: {names})"
        if jobs == "auto" or jobs != self.count or self._gpus_per_trial is None:
            return (f"-j {jobs}: {self.count} at a time, {gets}",)
        return ()

    # -- Threads -----------------------------------------------------------------------------------

    @property
    def variables(self) -> dict[str, str]:
        variables: dict[str, str] = {}
        if self.count > 1 and _WAIT_POLICY not in self._environment:
            # OpenMP threads that spin while they wait make two trials 4 times slower. Sleeping ones
            # do not, and unlike fewer threads they leave every bit of the results as it is.
            variables[_WAIT_POLICY] = "PASSIVE"
        if self.threads is not None:
            variables |= dict.fromkeys(cpus.THREAD_VARIABLES, str(self.threads))
        return variables

    def _thread_notes(self, threads: int | Auto | None) -> tuple[str, ...]:
        if threads != "auto":
            return ()
        each = f"{self.threads} a trial, {cpus.usable()} cores by {self.count} slots"
        return (
            f"--threads-per-trial auto: {each}; another number may change a result's last bits",
        )

    def _thread_facts(self) -> dict[str, Any]:
        return {} if self.threads is None else {"threads": self.threads}

    # -- Ports -------------------------------------------------------------------------------------

    def _needs_port(self, command: Sequence[str]) -> bool:
        if "MASTER_PORT" in self._environment and self.count == 1:
            return False  # the user has set it, and no other trial of this worker needs one
        return self._share > 1 or any(os.path.basename(word) in _LAUNCHERS for word in command)

    def _with_port(self, seat: Seat) -> Seat:
        """Return the seat with a port, under the names by which launchers look for it.

        torchrun takes the defaults of its options from PET_*. Without it all would use port 29500.
        """
        leases = self._ports = self._ports or Leases(self._environment)
        found = leases.take_first(f"port-{port}" for port in _free_ports())
        if found is None:
            raise OSError("no port is free")
        port = found[0].partition("-")[2]
        address = self._environment.get("MASTER_ADDR", "127.0.0.1")
        names = {"MASTER_ADDR": address, "MASTER_PORT": port, "PET_MASTER_PORT": port}
        return Seat({**seat.variables, **names}, seat.facts, (*seat.leases, found[1]))


def _as_typed(
    jobs: int | Auto, gpus_per_trial: float | None, threads: int | Auto | None
) -> tuple[str, ...]:
    asked = {
        "-j": None if jobs == 1 else jobs,
        "--gpus-per-trial": None if gpus_per_trial is None else f"{gpus_per_trial:g}",
        "--threads-per-trial": threads,
    }
    return tuple(
        word for name, value in asked.items() if value is not None for word in (name, str(value))
    )


def _check(jobs: int | Auto, gpus_per_trial: float | None, threads: int | Auto | None) -> None:
    if jobs != "auto" and jobs < 1:
        raise SearchError(f"-j {jobs}: expected 1 or more, or auto", state=NOTHING_STARTED)
    if threads is not None and threads != "auto" and threads < 1:
        raise SearchError(
            f"--threads-per-trial {threads}: a trial needs at least one", state=NOTHING_STARTED
        )
    share = gpus_per_trial or 0.0
    whole = share == int(share) if math.isfinite(share) else False
    if share < 0 or not math.isfinite(share) or (share > 1 and not whole) or 0 < share < 1 / WHOLE:
        raise SearchError(
            f"--gpus-per-trial {share:g}: this is no number of GPUs\n"
            "  0.25 lets four trials share one, 4 gives each trial four, 0 none",
            state="Nothing was started.",
        )


def _share(wanted: float | None, jobs: int | Auto, found: visible_gpus.Gpus) -> float:
    there = len(found.gpus)
    if wanted is None:
        if not there:
            return 0
        return 1 if jobs == "auto" or jobs <= there else 1 / math.ceil(jobs / there)
    if wanted > there:
        raise SearchError(_too_many(wanted, found))
    return wanted


def _too_many(wanted: float, found: visible_gpus.Gpus) -> str:
    names = ", ".join(gpu.name for gpu in found.gpus)
    hint = f"they are {names}" if names else found.trouble or "none was found"
    return (
        f"--gpus-per-trial {wanted:g}: there {_there_are(found)}\n"
        f"  {hint}\n"
        "  without --gpus-per-trial, or with 0, trials run on the processor\n"
        "Nothing was started."
    )


def _there_are(found: visible_gpus.Gpus) -> str:
    count = len(found.gpus)
    return {0: "is no GPU", 1: "is 1 GPU"}.get(count, f"are {count} GPUs")


def _gpus_text(share: float) -> str:
    if share >= 1:
        return "a GPU" if share == 1 else f"{share:g} GPUs"
    return f"{share:.3g} of a GPU"


def _free_ports() -> Iterator[int]:
    """Yield free ports from a random one on: another user's search looks for one, too."""
    begin = int.from_bytes(os.urandom(2), "big") % len(_PORTS)
    for port in (*_PORTS[begin:], *_PORTS[:begin]):
        if _is_free(port):
            yield port


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As servers do that will listen there: a port that was in use a minute ago is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError:
            return False
    return True
