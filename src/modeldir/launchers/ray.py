"""Start workers on a Ray cluster, as jobs: `--on ray --workers 4 --cpus 2 --gpus 0.5`.

They are no remote tasks, because a task dies with the program that started it. The rule: a job's id
is `modeldir-TOKEN`. Ray accepts each id once, so no job is submitted twice, and any later process
finds the job by it. HTTP, addresses and Ray's error messages: `ray_api`.
"""

from __future__ import annotations

import math
import os
import shlex
import urllib.parse
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from modeldir._system import files, reading
from modeldir.errors import CommandError
from modeldir.launchers import (
    JobRef,
    JobState,
    LauncherBusy,
    Problem,
    jobs_folder,
    output_of,
    ray_api,
    refuse,
    unknown_options,
    with_token,
)

_OPTIONS = ("address", "cpus", "gpus")
_STOP_WAIT = 60
"""Seconds between TERM and KILL for a job. Ray's default of 3 is too short to end a trial."""
_WAITS, _RUNS = "PENDING", "RUNNING"
_ENDED = ("STOPPED", "SUCCEEDED", "FAILED")
_WHY = {
    "JOB_SUPERVISOR_ACTOR_START_TIMEOUT": (
        "Ray stopped waiting for its CPUs and GPUs: RAY_JOB_START_TIMEOUT_SECONDS of the head"
    ),
    "JOB_SUPERVISOR_ACTOR_DIED": "Ray lost the job: its node or its supervisor died",
    "JOB_SUPERVISOR_ACTOR_UNSCHEDULABLE": "Ray has no node for it",
}

# A node's shell runs this. The output goes to the search's folder, where it outlives the node, and
# to Ray's own log. To stop a job, Ray sends TERM to each of its processes at once and waits until
# the last is gone, zombies included. In a container whose first process is Ray, nobody collects
# zombies. So a shell stays as the parent of both and waits for them. `tee` ignores TERM and ends
# with the worker's output.
_ENTRYPOINT = """\
cd {here} || {{ echo "modeldir: this node does not see that folder; a search's folder must be on \
a file system that all nodes share"; exit 1; }}; \
exec bash -c 'out=$1; shift; set -o pipefail; trap : TERM INT; \
"$@" 2>&1 | (trap "" TERM INT; exec tee -a "$out")' modeldir {output} {worker}"""


class RayLauncher:
    """Submits workers of the search in a folder to a Ray cluster.

    `options`: `address` of the cluster (`http://HEAD:8265`, or `auto`), `cpus` (1 by default, as
    for Ray's tasks) and `gpus` of one worker, which may be fractions.
    """

    name = "ray"
    ask_every = 10.0
    """Seconds between two questions. Ray answers in 10 ms, for all jobs."""

    def __init__(
        self,
        search: Path,
        options: Mapping[str, Any] | None = None,
        *,
        patience: float = ray_api.PATIENCE,
    ) -> None:
        options = options or {}
        self._patience = patience
        refuse(self.name, [*_problems(options)])
        self._search = search
        self._address = str(options.get("address") or "auto")
        self._cpus = float(options.get("cpus", 1))
        self._gpus = float(options.get("gpus", 0))

    def start(self, worker: Sequence[str], tokens: Sequence[str]) -> Iterator[JobRef]:
        """Submit the worker's command once for each token.

        Without an answer the job may have been submitted anyway: it was yielded before the error is
        raised.
        """
        jobs = ray_api.RayJobs(ray_api.find_address(self._address), patience=self._patience)
        jobs_folder(self._search).mkdir(parents=True, exist_ok=True)
        for token in tokens:
            files.write_json(self._file(token), {"address": jobs.address})
            try:
                jobs.submit(self._job(worker, token))
            except ray_api.NoAnswer as error:
                if not error.may_have_come:
                    raise CommandError(str(error)) from error
                yield JobRef(self.name, job_id(token), token)
                raise CommandError(f"{error}\n  the job may run nevertheless") from error
            except ray_api.Busy as error:
                raise LauncherBusy(str(error)) from error
            except ray_api.Refused as error:
                raise CommandError(str(error)) from error
            yield JobRef(self.name, job_id(token), token)

    def lines(self, jobs: Sequence[JobRef]) -> list[str]:
        """Return the addresses that `states` and `stop` ask, with the user's token for Ray."""
        return [address for address in self._by_address(jobs) if address is not None]

    def states(self, jobs: Sequence[JobRef]) -> dict[JobRef, JobState]:
        """Return the state of each job, by one question to each cluster."""
        found = {}
        for address, here in self._by_address(jobs).items():
            told = _told(address)
            for job in here:
                found[job] = _state(None if told is None else told.get(job_id(job.token), {}))
        return found

    def stop(self, jobs: Sequence[JobRef]) -> None:
        """Send TERM to the workers, which end their trials. After a minute Ray kills the rest."""
        for address, here in self._by_address(jobs).items():
            if address is None:
                continue  # it was never submitted
            for job in here:
                ray_api.RayJobs(address).stop(job_id(job.token))

    def _job(self, worker: Sequence[str], token: str) -> dict[str, Any]:
        told = {"cpus": f"{self._cpus:g}", "gpus": f"{self._gpus:g}"}
        return {
            "submission_id": job_id(token),
            "entrypoint": entrypoint(
                with_token(worker, token),
                os.getcwd(),
                files.absolute(output_of(self._search, token)),
            ),
            "entrypoint_num_cpus": self._cpus,
            "entrypoint_num_gpus": self._gpus,
            "metadata": {"job_name": f"modeldir {self._search.name}", **told},
            "runtime_env": {"env_vars": {"RAY_JOB_STOP_WAIT_TIME_S": str(_STOP_WAIT)}},
        }

    def _by_address(self, jobs: Sequence[JobRef]) -> dict[str | None, list[JobRef]]:
        """Return the jobs by the cluster they were submitted to, whatever the options say now."""
        found: dict[str | None, list[JobRef]] = {}
        for job in jobs:
            address = reading.read_object(self._file(job.token)).get("address")
            found.setdefault(str(address) if address else None, []).append(job)
        return found

    def _file(self, token: str) -> Path:
        return jobs_folder(self._search) / f"{token}.ray.json"


def job_id(token: str) -> str:
    return f"modeldir-{token}"


def entrypoint(worker: Sequence[str], here: str | Path, output: Path) -> str:
    return _ENTRYPOINT.format(
        here=shlex.quote(str(here)), output=shlex.quote(str(output)), worker=shlex.join(worker)
    )


def _told(address: str | None) -> dict[str, dict[str, Any]] | None:
    """Return a cluster's jobs by their ids; None if it does not answer."""
    if address is None:
        return {}
    try:
        return {str(told.get("submission_id")): told for told in ray_api.RayJobs(address).all()}
    except CommandError:
        return None


def _state(told: Mapping[str, Any] | None) -> JobState:
    """Return a job's state from Ray's answer: None without an answer, empty for an unknown job.

    >>> _state({"status": "PENDING", "metadata": {"cpus": "2", "gpus": "0.5"}}).words
    'PENDING (waits for 2 CPUs, 0.5 GPUs)'
    """
    if told is None:
        return JobState(None, "Ray does not answer")
    if not told:
        return JobState(False, "Ray knows no such job")
    status = str(told.get("status"))
    if status == _WAITS:
        return JobState(True, f"{status} (waits for {_wanted(told.get('metadata'))})", runs=False)
    if status == _RUNS:
        host = urllib.parse.urlsplit(str(told.get("driver_agent_http_address") or "")).hostname
        return JobState(True, f"{status} on {host}" if host else status, runs=True)
    if status in _ENDED:
        return JobState(False, f"{status} ({_why(told)})" if status == "FAILED" else status)
    return JobState(None, status)


def _wanted(metadata: object) -> str:
    told = metadata if isinstance(metadata, Mapping) else {}
    wanted = [(told.get("cpus"), "CPU"), (told.get("gpus"), "GPU")]
    parts = [f"{n} {unit}{'' if n == '1' else 's'}" for n, unit in wanted if n not in (None, "0")]
    return ", ".join(parts) or "a place"


def _why(told: Mapping[str, Any]) -> str:
    known = _WHY.get(str(told.get("error_type")))
    if known is not None:
        return known
    code = told.get("driver_exit_code")
    return f"exit code {code}" if code is not None else ray_api.gist(str(told.get("message") or ""))


def _problems(options: Mapping[str, Any]) -> Iterator[Problem]:
    yield from unknown_options(options, _OPTIONS)
    for name in ("cpus", "gpus"):
        if options.get(name) is not None:
            yield from _problem_of(name, options[name])
    address = options.get("address")
    if address is not None and (not isinstance(address, str) or not address.strip()):
        yield Problem(f"address: expected a string, found {address!r}", "http://HEAD:8265, or auto")


def _problem_of(name: str, value: object) -> Iterator[Problem]:
    number = math.nan
    with suppress(ValueError, TypeError):
        number = math.nan if isinstance(value, bool) else float(value)  # type: ignore[arg-type]
    if not (math.isfinite(number) and number >= 0):
        yield Problem(f"{name}: expected a number, 0 or more, found {value!r}")
    elif name == "gpus" and number > 1 and number % 1:
        yield Problem(
            f"gpus: Ray shares one GPU, or gives whole GPUs; found {value!r}", "0.5, 1, 2"
        )
