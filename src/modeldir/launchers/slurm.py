"""Workers as jobs of Slurm: `--on slurm`.

It knows `sbatch`, `squeue` and `scancel`, and what a site may answer: its limits, a full queue, a
controller that is away. It refuses to know accounting (`sacct` is not there everywhere) and
`--json` (another form in each version). That nothing runs twice is not its business: the folders
see to that.

Start at `SlurmLauncher.start`. slurmscript.py makes the batch script, slurmqueue.py reads what the
queue says.
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
from modeldir.launchers.slurm_queue import FORMAT, Queue
from modeldir.launchers.slurm_script import job_name, output_pattern, script, wishes

_USUAL_ARRAY = 1001  # Slurm's own MaxArraySize, where a site says nothing

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
"""What a client needs to find its cluster."""
_OF_A_JOB = ("SLURM", "SBATCH_CPU_BIND", "SBATCH_MEM_BIND", "PMI_", "PMI2_", "PMIX_")
_GPUS_OF_A_JOB = frozenset(
    {"CUDA_VISIBLE_DEVICES", "GPU_DEVICE_ORDINAL", "ROCR_VISIBLE_DEVICES", "ZE_AFFINITY_MASK"}
)
_FILTERS = ("SQUEUE_", "SCANCEL_")  # a user's own habits: jobs would be hidden from us
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
    """How a command ended. `code` is None where it could not be run, or was too slow."""

    code: int | None
    out: str
    err: str

    @property
    def said(self) -> str:
        return self.err.strip() or self.out.strip() or f"exit code {self.code}"


class SlurmLauncher:
    """Submits workers of the search in a folder as an array of jobs, cut where the site wants that.

    `options`: see `slurmscript.wishes`. The script is kept as `.modeldir/jobs/BASE.sh`, what a job
    prints as `TOKEN.out` beside it. `limit`: seconds after which a command that does not answer is
    killed; `folder`: where jobs run, by default here.

    Raises:
        CommandError: for options that make no sense, all of them; nothing was started then.
    """

    name = "slurm"
    throttles = True
    revives = True
    """`scontrol requeue`, and an operator's hand, start a job again that had ended."""

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
        self._wishes, problems = wishes(options or {})
        if "\\" in str(self._search):
            problem = "Slurm cannot write output below a folder with such a name: rename it"
            problems.append(Problem(f"{str(self._search)!r}: {problem}"))
        for place in dict.fromkeys([str(self._search), folder or os.getcwd()]):
            if "\n" in place:  # what comes after it would be a line of the script, and be run
                problem = "a batch script cannot name a folder of two lines: rename it"
                problems.append(Problem(f"{place!r}: {problem}"))
        refuse(self.name, problems)
        self._limit = limit

    # -- Starting ----------------------------------------------------------------------------------

    def start(self, worker: Sequence[str], tokens: Sequence[str]) -> Iterator[JobRef]:
        """Submit a job for each token, as few arrays as the site lets us.

        Raises:
            CommandError: when sbatch refuses, with its words.
            LauncherBusy: when the site takes no more of this user's jobs now, or does not answer.
                Where it is not known whether it took some, those were yielded without a number.
            OSError: when the search's folder cannot be written.
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
        """How many jobs an array may have here; 0 at a site without arrays.

        Raises:
            LauncherBusy: when the controller is away.
        """
        answer = self._run("scontrol", "show", "config")
        if answer.code is None or (answer.code != 0 and _AWAY.search(answer.said)):
            raise _refusal(answer)
        found = re.search(r"^\s*MaxArraySize\s*=\s*(\d+)", answer.out, re.MULTILINE)
        return int(found[1]) if found else _USUAL_ARRAY

    def _submit(self, worker: Sequence[str], piece: _Piece) -> _Answer:
        """Have sbatch take a piece. Of the first the script has all in it; for others the command
        line says which they are, and that wins.
        """
        path = jobs_folder(self._search) / f"{piece.base}.sh"
        array = piece.array(self._wishes.at_once)
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
        folder, array = self._folder or os.getcwd(), piece.array(self._wishes.at_once)
        return script(self._wishes, worker, self._search, piece.base, folder=folder, array=array)

    def preview(self, worker: Sequence[str], tokens: Sequence[str]) -> list[str]:
        """The lines of the script that `start` has sbatch take, where arrays may be as long."""
        return self._script(worker, _Piece(tokens, 0, len(tokens))).splitlines()

    def _outputs(self, piece: _Piece) -> list[str]:
        """Where the script's `--output` would not say where each job's output is looked for."""
        if not piece.in_array:
            return [f"--output={output_pattern(self._search, piece.tokens[0])}"]
        if not piece.offset:
            return []
        return [f"--output={output_pattern(self._search, f'{piece.base}+{piece.offset}_%a')}"]

    def _link_outputs(self, piece: _Piece) -> None:
        """Where a number in an array is not the one in the token: let the output be found."""
        for index, token in enumerate(piece.tokens if piece.in_array and piece.offset else ()):
            with contextlib.suppress(OSError):  # a disk without links: it is there all the same
                os.symlink(
                    f"{piece.base}+{piece.offset}_{index}.out", output_of(self._search, token)
                )

    def _perhaps(self, piece: _Piece) -> Iterator[JobRef]:
        """The jobs of a piece of which we were not told whether it was taken, if it was; without
        a number where the queue cannot be asked either.
        """
        queue = self._queue([JobRef(self.name, "", token) for token in piece.tokens])
        self._link_outputs(piece)
        if queue is None:
            yield from piece.refs("")
            return
        for token in piece.tokens:
            if token in queue.by_token:
                yield JobRef(self.name, queue.by_token[token].job, token)

    # -- Asking ------------------------------------------------------------------------------------

    def states(self, jobs: Sequence[JobRef]) -> dict[JobRef, JobState]:
        """How each is, by one question. Who is not in the queue has ended, if the queue was shown
        and the jobs are ours.
        """
        if not jobs:
            return {}
        queue = self._queue(jobs)
        if queue is None:
            return {job: JobState(None, "squeue does not answer") for job in jobs}
        return {job: queue.state(job, self._owner(job)) for job in jobs}

    def _queue(self, jobs: Sequence[JobRef]) -> Queue | None:
        """The jobs of those who submitted these; None where nobody answers."""
        users = ",".join(sorted({str(self._owner(job)) for job in jobs}))
        try:
            answer = self._run("squeue", "-h", "-r", "-t", "all", "-u", users, "-o", FORMAT)
        except CommandError:  # no Slurm on this machine: who looks from here cannot know
            return None
        return Queue(answer.out) if answer.code == 0 else None

    def _owner(self, job: JobRef) -> int:
        """Who submitted a job: whose its script is."""
        try:
            return os.stat(jobs_folder(self._search) / f"{_base(job.token)}.sh").st_uid
        except OSError:
            return os.geteuid()

    # -- Stopping ----------------------------------------------------------------------------------

    def stop(self, jobs: Sequence[JobRef]) -> None:
        """Cancel jobs, all by one command. Those that are over are let be.

        Raises:
            CommandError: when Slurm refuses, or does not answer (`LauncherBusy`).
        """
        numbers = [job.job for job in jobs if job.job]
        lost = [job for job in jobs if not job.job]
        if lost:
            queue = self._queue(lost)
            if queue is None:
                raise LauncherBusy("squeue does not answer: nothing was cancelled")
            numbers += [queue.by_token[j.token].job for j in lost if j.token in queue.by_token]
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
        """Run one to its end.

        Raises:
            CommandError: when it is not there.
        """
        options = {**dict.fromkeys(_SET_BY_US), **self._wishes.options}
        environment = surroundings(os.environ, options)
        clusters = self._wishes.options.get("clusters")
        if clusters and words[0] in ("squeue", "scancel"):
            words = (words[0], f"--clusters={clusters}", *words[1:])
        if shutil.which(words[0]) is None:
            raise CommandError(
                f"{words[0]}: not found\n"
                "  type this where Slurm is, on a login node (perhaps: module load slurm)"
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


def surroundings(variables: Mapping[str, str], options: Mapping[str, Any]) -> dict[str, str]:
    """The environment for Slurm's commands, which jobs get too: without what an outer job's Slurm
    left in it, what would hide jobs from us, and what would win over `options` of sbatch.

    >>> surroundings({"SLURM_JOB_ID": "7", "SBATCH_TIMELIMIT": "9", "HOME": "/h"}, {"time": "60"})
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
    """Jobs that are submitted together, from the `first` of their call on, at a site whose arrays
    may have `largest` jobs: so a number in an array is below that.
    """

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
        """What has to be added to a number in the array."""
        return self.first if self.first + len(self.tokens) > self.largest else 0

    def array(self, at_once: int | None) -> str | None:
        """As `--array` has it; None without arrays."""
        if not self.in_array:
            return None
        start = self.first - self.offset
        return f"{start}-{start + len(self.tokens) - 1}" + (f"%{at_once}" if at_once else "")

    def refs(self, number: str) -> Iterator[JobRef]:
        """The jobs, by the number of the array; without one their tokens find them."""
        for index, token in enumerate(self.tokens, start=self.first - self.offset):
            job = f"{number}_{index}" if number and self.in_array else number
            yield JobRef(SlurmLauncher.name, job, token)


def _base(token: str) -> str:
    return token.rpartition("_")[0]


def _number(printed: str) -> str:
    r"""The number of a job that was taken, among what a site's own sbatch may print besides.

    >>> _number("Welcome\n4711;cluster\n")
    '4711'
    """
    found = re.findall(r"^(\d+)(?:;\S*)?$", printed, re.MULTILINE)
    return found[-1] if found else ""


# -- What is said ----------------------------------------------------------------------------------


def _is_full(answer: _Answer) -> bool:
    """Whether a limit on how many jobs one may have was met: fewer may still be taken."""
    named = _LIMIT_NAME.search(answer.said)
    return "Submit" in named[0] if named else bool(_FULL.search(answer.said))


def _refusal(answer: _Answer) -> CommandError:
    """What to raise where Slurm did not take what was left."""
    said = _quoted(answer.said)
    if answer.code is None or _AWAY.search(answer.said):
        return LauncherBusy(f"Slurm does not answer:\n{said}")
    if _is_full(answer):
        return LauncherBusy(f"Slurm takes no more of your jobs now:\n{said}")
    return CommandError(f"sbatch refused:\n{said}")


def _unsure(piece: _Piece, answer: _Answer) -> str:
    jobs = "a job" if len(piece.tokens) == 1 else f"{len(piece.tokens)} jobs"
    return (
        f"Slurm did not say whether it took {jobs}:\n{_quoted(answer.said)}\n"
        "  what it took is found by its name once it answers"
    )


def _quoted(said: str) -> str:
    lines = said.splitlines()
    shown = 10
    more = [f"... {len(lines) - shown} more lines"] if len(lines) > shown else []
    return "\n".join(f"  {line}" for line in [*lines[:shown], *more])
