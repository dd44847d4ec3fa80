"""Start workers as jobs of Slurm: `--on slurm`.

It knows a site's limits, a full queue and a controller that does not answer. The rule: use only
what every site has: `sacct` is missing at some, and the form of `--json` differs. The batch script:
`slurm_script`; the output of `squeue`: `squeue_output`.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modeldir._system import files
from modeldir.errors import CommandError, Problem
from modeldir.launchers import JobRef, JobState, LauncherBusy, jobs_folder, output_of, refuse
from modeldir.launchers.slurm_script import job_name, output_pattern, read_options, script
from modeldir.launchers.squeue_output import FORMAT, Queue

_USUAL_ARRAY = 1001  # Slurm's default MaxArraySize

_AWAY = re.compile(
    r"unable to contact slurm|controller.*not responding|connection (refused|timed out|failure)"
    r"|unable to establish|slurm_persist_conn|backup controller|in standby"
    r"|socket timed out|zero bytes were transmitted|did not answer within",
    re.IGNORECASE,
)
_PERHAPS_TAKEN = re.compile(
    r"socket timed out|zero bytes were|did not answer within", re.IGNORECASE
)
_LIMIT_NAME = re.compile(r"\b(?:Assoc|QOS)\w+")
_FULL = re.compile(r"job submit limit|resource temporarily unavailable", re.IGNORECASE)
_TOO_LONG = re.compile(r"invalid job array|array task count", re.IGNORECASE)
_OVER = re.compile(
    r"invalid job id|already completing or completed|job/step already", re.IGNORECASE
)

_KEPT = frozenset({"SLURM_CONF", "SLURM_CONF_SERVER", "SLURM_CLUSTERS", "SLURM_JWT"})
"""Variables that a client needs to find its cluster."""
_OF_A_JOB = ("SLURM", "SBATCH_CPU_BIND", "SBATCH_MEM_BIND", "PMI_", "PMI2_", "PMIX_")
_GPUS_OF_A_JOB = frozenset(
    {"CUDA_VISIBLE_DEVICES", "GPU_DEVICE_ORDINAL", "ROCR_VISIBLE_DEVICES", "ZE_AFFINITY_MASK"}
)
_FILTERS = ("SQUEUE_", "SCANCEL_")  # a user's defaults, which could hide jobs
_OTHERWISE_NAMED = {
    "array": ("SBATCH_ARRAY_INX",),
    "mem": ("SBATCH_MEM_PER_NODE",),
    "requeue": ("SBATCH_REQUEUE", "SBATCH_NO_REQUEUE"),
    "no-requeue": ("SBATCH_REQUEUE", "SBATCH_NO_REQUEUE"),
    "time": ("SBATCH_TIMELIMIT",),
}
_SET_BY_US = ("array", "chdir", "error", "job-name", "open-mode", "output", "requeue", "signal")


@dataclass(frozen=True)
class _Answer:
    """How a command ended. `code` is None if it could not run or was too slow."""

    code: int | None
    out: str
    err: str

    @property
    def said(self) -> str:
        return self.err.strip() or self.out.strip() or f"exit code {self.code}"


class SlurmLauncher:
    """Submits workers of the search in a folder as arrays of jobs, as large as the site allows.

    The script is kept as `.modeldir/jobs/BASE.sh`, a job's output as `TOKEN.out` beside it. The
    options are those of `slurm_script.read_options`. A command is killed after `limit` seconds
    without answer.
    """

    name = "slurm"
    throttles = True
    revives = True
    """`scontrol requeue`, or an operator, can start a job again that has ended."""

    def __init__(
        self,
        search: Path,
        options: Mapping[str, Any] | None = None,
        *,
        limit: float = 120.0,
        folder: str | None = None,
    ) -> None:
        self._search = files.absolute(search)
        self._folder = folder
        self._options, problems = read_options(options or {})
        if "\\" in str(self._search):
            problem = "Slurm cannot write output below a folder with such a name: rename it"
            problems.append(Problem(f"{str(self._search)!r}: {problem}"))
        for place in dict.fromkeys([str(self._search), folder or os.getcwd()]):
            if "\n" in place:  # the rest of the name would be a line of the script, and would run
                problem = "its name has a line break: rename it"
                problems.append(Problem(f"{place!r}: {problem}"))
        refuse(self.name, problems)
        self._limit = limit

    # -- Starting ----------------------------------------------------------------------------------

    def start(self, worker: Sequence[str], tokens: Sequence[str]) -> Iterator[JobRef]:
        """Submit a job for each token, in as few arrays as the site allows.

        When a `LauncherBusy` is raised, jobs that Slurm may have accepted were yielded without a
        number.
        """
        largest = self._largest_array() if tokens else 0
        size, first = min(max(largest, 1), len(tokens)), 0
        while first < len(tokens):
            piece = _Piece(tokens[first : first + size], first, largest)
            answer = self._submit(worker, piece)
            if answer.code == 0:
                self._link_outputs(piece)
                yield from piece.refs(_number(answer.out))
                first += len(piece.tokens)
            elif _PERHAPS_TAKEN.search(answer.said) or answer.code is None:
                yield from self._perhaps(piece)
                raise LauncherBusy(_unsure(piece, answer))
            elif len(piece.tokens) > 1 and (_is_full(answer) or _TOO_LONG.search(answer.said)):
                size = len(piece.tokens) // 2
            else:
                raise _refusal(answer)

    def _largest_array(self) -> int:
        """Return how many jobs an array may have here; 0 at a site without arrays."""
        answer = self._run("scontrol", "show", "config")
        if answer.code is None or (answer.code != 0 and _AWAY.search(answer.said)):
            raise _refusal(answer)
        found = re.search(r"^\s*MaxArraySize\s*=\s*(\d+)", answer.out, re.MULTILINE)
        return int(found[1]) if found else _USUAL_ARRAY

    def _submit(self, worker: Sequence[str], piece: _Piece) -> _Answer:
        """Submit a piece with sbatch; the command line overrides the script of the first piece."""
        path = jobs_folder(self._search) / f"{piece.base}.sh"
        array = piece.array(self._options.at_once)
        words = ["sbatch", "--parsable"]
        if piece.first == 0:
            text = self._script(worker, piece)
            path.parent.mkdir(parents=True, exist_ok=True)
            files.write_bytes(path, os.fsencode(text))
        else:
            words += [f"--array={array}"] if array else []
        if piece.offset:
            words.append(f"--job-name={job_name(self._search, piece.base, piece.offset)}")
        words += self._outputs(piece)
        words += [str(path), *([str(piece.offset)] if piece.offset else [])]
        return self._run(*words, cwd=self._folder)

    def _script(self, worker: Sequence[str], piece: _Piece) -> str:
        folder, array = self._folder or os.getcwd(), piece.array(self._options.at_once)
        return script(self._options, worker, self._search, piece.base, folder=folder, array=array)

    def preview(self, worker: Sequence[str], tokens: Sequence[str]) -> list[str]:
        """Return the lines of the script that `start` would submit, if arrays may be that long."""
        return self._script(worker, _Piece(tokens, 0, len(tokens))).splitlines()

    def _outputs(self, piece: _Piece) -> list[str]:
        """Return the option for the output file, if that of the script does not fit this piece."""
        if not piece.in_array:
            return [f"--output={output_pattern(self._search, piece.tokens[0])}"]
        if not piece.offset:
            return []
        return [f"--output={output_pattern(self._search, f'{piece.base}+{piece.offset}_%a')}"]

    def _link_outputs(self, piece: _Piece) -> None:
        """Link each job's output to the name with its token, if the number in the array differs."""
        for index, token in enumerate(piece.tokens if piece.in_array and piece.offset else ()):
            with contextlib.suppress(OSError):  # without links, the output has the other name only
                os.symlink(
                    f"{piece.base}+{piece.offset}_{index}.out", output_of(self._search, token)
                )

    def _perhaps(self, piece: _Piece) -> Iterator[JobRef]:
        """Yield the jobs of a piece that Slurm may have accepted without an answer."""
        queue = self._queue([JobRef(self.name, "", token) for token in piece.tokens])
        self._link_outputs(piece)
        if queue is None:
            yield from piece.refs("")
            return
        for token in piece.tokens:
            if token in queue.by_token:
                yield JobRef(self.name, queue.by_token[token].job, token)

    # -- Asking ------------------------------------------------------------------------------------

    def lines(self, _: Sequence[JobRef]) -> list[str]:
        """Return no line: of a record only ids are used, and the names of clusters."""
        return []

    def states(self, jobs: Sequence[JobRef]) -> dict[JobRef, JobState]:
        """Return the state of each job, by one question.

        A job that is not in the queue has ended, if the queue could be read and the job is ours.
        """
        if not jobs:
            return {}
        queue = self._queue(jobs)
        if queue is None:
            return {job: JobState(None, "squeue does not answer") for job in jobs}
        return {job: queue.state(job, self._owner(job)) for job in jobs}

    def _queue(self, jobs: Sequence[JobRef]) -> Queue | None:
        users = ",".join(sorted({str(self._owner(job)) for job in jobs}))
        try:
            answer = self._run("squeue", "-h", "-r", "-t", "all", "-u", users, "-o", FORMAT)
        except CommandError:  # no Slurm on this machine: the jobs are unknown from here
            return None
        return Queue(answer.out) if answer.code == 0 else None

    def _owner(self, job: JobRef) -> int:
        """Return the user id that submitted a job: the owner of its script."""
        try:
            return os.stat(jobs_folder(self._search) / f"{_base(job.token)}.sh").st_uid
        except OSError:
            return os.geteuid()

    # -- Stopping ----------------------------------------------------------------------------------

    def stop(self, jobs: Sequence[JobRef]) -> None:
        """Cancel all jobs by one command. Jobs that have ended are ignored."""
        queue = self._queue(jobs) if jobs else None
        if jobs and queue is None:
            raise LauncherBusy("squeue does not answer: nothing was canceled")
        # Any folder may name any number. Only the queue says that a job was started for its token.
        numbers = [number for job in jobs if queue and (number := queue.number_of(job))]
        if not numbers:
            return
        answer = self._run("scancel", *numbers)
        wrong = [line for line in answer.said.splitlines() if not _OVER.search(line)]
        if answer.code != 0 and wrong:
            kind = (
                LauncherBusy if answer.code is None or _AWAY.search(answer.said) else CommandError
            )
            raise kind("scancel did not cancel every job:\n" + _quoted("\n".join(wrong)))

    # -- Slurm's commands --------------------------------------------------------------------------

    def _run(self, *words: str, cwd: str | None = None) -> _Answer:
        options = {**dict.fromkeys(_SET_BY_US), **self._options.options}
        environment = job_environment(os.environ, options)
        clusters = self._options.options.get("clusters")
        if clusters and re.fullmatch(r"[\w.,-]+", clusters) and words[0] in ("squeue", "scancel"):
            words = (words[0], f"--clusters={clusters}", *words[1:])
        if shutil.which(words[0]) is None:
            raise CommandError(
                f"{words[0]}: not found\n"
                "  run this where Slurm is, on a login node (perhaps: module load slurm)"
            )
        try:
            done = subprocess.run(
                words,
                cwd=cwd,
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=self._limit,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return _Answer(None, "", f"{words[0]} did not answer within {self._limit:g} s")
        except OSError as error:
            raise CommandError(f"{words[0]}: {error.strerror}") from None
        return _Answer(done.returncode, done.stdout, done.stderr)


def job_environment(variables: Mapping[str, str], options: Mapping[str, Any]) -> dict[str, str]:
    """Return the environment for Slurm's commands and for jobs.

    Variables of an outer job are removed, and those that would hide jobs from us or override the
    `options` of sbatch.

    >>> outer = {"SLURM_JOB_ID": "7", "SBATCH_TIMELIMIT": "9", "HOME": "/h"}
    >>> job_environment(outer, {"time": "60"})
    {'HOME': '/h'}
    """
    names = {name: f"SBATCH_{name.upper().replace('-', '_')}" for name in options}
    unwanted = {
        each for name in options for each in (names[name], *_OTHERWISE_NAMED.get(name, ()))
    } | {"SBATCH_WAIT", "SBATCH_TEST_ONLY"}
    if "SLURM_JOB_ID" in variables:
        unwanted |= _GPUS_OF_A_JOB
    return {
        name: value
        for name, value in variables.items()
        if name in _KEPT or not (name in unwanted or name.startswith((*_OF_A_JOB, *_FILTERS)))
    }


@dataclass(frozen=True)
class _Piece:
    """Jobs submitted together: `first` is the first one's index, `largest` the site's limit."""

    tokens: Sequence[str]
    first: int
    largest: int

    @property
    def base(self) -> str:
        return _base(self.tokens[0])

    @property
    def in_array(self) -> bool:
        return self.largest > 0

    @property
    def offset(self) -> int:
        """The difference between an index among all jobs and the number in the array."""
        return self.first if self.first + len(self.tokens) > self.largest else 0

    def array(self, at_once: int | None) -> str | None:
        if not self.in_array:
            return None
        start = self.first - self.offset
        return f"{start}-{start + len(self.tokens) - 1}" + (f"%{at_once}" if at_once else "")

    def refs(self, number: str) -> Iterator[JobRef]:
        """Yield the jobs of the array with this number; without it, their tokens find them."""
        for index, token in enumerate(self.tokens, start=self.first - self.offset):
            job = f"{number}_{index}" if number and self.in_array else number
            yield JobRef(SlurmLauncher.name, job, token)


def _base(token: str) -> str:
    return token.rpartition("_")[0]


def _number(printed: str) -> str:
    r"""Return a submitted job's number from sbatch's output, which may have a site's own lines.

    >>> _number("Welcome\n4711;cluster\n")
    '4711'
    """
    found = re.findall(r"^(\d+)(?:;\S*)?$", printed, re.MULTILINE)
    return found[-1] if found else ""


# -- Messages --------------------------------------------------------------------------------------


def _is_full(answer: _Answer) -> bool:
    """Whether a limit on a user's number of jobs was reached. Fewer jobs may still be accepted."""
    named = _LIMIT_NAME.search(answer.said)
    return "Submit" in named[0] if named else bool(_FULL.search(answer.said))


def _refusal(answer: _Answer) -> CommandError:
    said = _quoted(answer.said)
    if answer.code is None or _AWAY.search(answer.said):
        return LauncherBusy(f"Slurm does not answer:\n{said}")
    if _is_full(answer):
        return LauncherBusy(f"Slurm accepts no more of your jobs now:\n{said}")
    return CommandError(f"sbatch failed:\n{said}")


def _unsure(piece: _Piece, answer: _Answer) -> str:
    jobs = "a job" if len(piece.tokens) == 1 else f"{len(piece.tokens)} jobs"
    return (
        f"Slurm did not answer whether it accepted {jobs}:\n{_quoted(answer.said)}\n"
        "  once Slurm answers, modeldir finds accepted jobs by their name"
    )


def _quoted(said: str) -> str:
    lines = said.splitlines()
    shown = 10
    more = [f"... {len(lines) - shown} more lines"] if len(lines) > shown else []
    return "\n".join(f"  {line}" for line in [*lines[:shown], *more])
