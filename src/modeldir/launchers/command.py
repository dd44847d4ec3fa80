"""Start workers by a job manager's commands: `--on command --submit 'job-manager-submit {worker}'`.

It fills templates and reads a job's id from the output. Nothing here is specific to one job
manager; the command lines for each: `docs/how-to/other-job-managers.md`. Start at
`CommandLauncher.start`.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from modeldir._system import processes, reading
from modeldir._system.shell import quoted_line
from modeldir.errors import CommandError
from modeldir.launchers import (
    JobRef,
    JobState,
    Problem,
    is_job_id,
    jobs_folder,
    output_of,
    refuse,
    unknown_options,
    with_token,
)

PLACE = "{worker}"
_OPTIONS = ("submit", "status", "cancel", "job_id")
_EXAMPLE = f"--submit 'job-manager-submit {PLACE}'"
_SHELL_WORDS = frozenset({"|", "||", "&", "&&", ";", "<", ">", ">>", "<<<"})
_QUOTED_WORD = re.compile(r"""(?<!\S)(["'])\{worker\}\1(?!\S)""")
_INSIDE = re.compile(r"""\0|(["'])\{worker\}\1|\{worker\}""")
_OTHER = re.compile(r"\{(job|token|output)\}")
_ONE_WORD = "\0"  # stands for a quoted {worker}; no command line can hold it otherwise
_SHOWN_LINES = 10
_NO_ANSWER = 126
"""Exit codes from here on mean that the manager was not reached: not found, killed, no ssh."""


class CommandLauncher:
    """Submits workers of the search in a folder, by running a template once for each.

    `options` are those of docs/how-to/other-job-managers.md: `submit`, `status`, `cancel` and
    `job_id`, a regular expression that finds the id in the output of `submit`, which is kept in
    `.modeldir/jobs/TOKEN.submit.{out,err}`. A command is killed after `limit` seconds, and `status`
    runs again after `pause` seconds for a job that seems to be gone.
    """

    name = "command"

    def __init__(
        self,
        search: Path,
        options: Mapping[str, Any] | None = None,
        *,
        limit: float = 120.0,
        pause: float = 1.0,
    ) -> None:
        options = options or {}
        refuse(self.name, _problems(options))
        self._search = search
        self._submit: str = options["submit"]
        self._status: str | None = options.get("status")
        self._cancel: str | None = options.get("cancel")
        job_id = options.get("job_id")
        self._job_id = None if job_id is None else re.compile(job_id)
        self._limit, self._pause = limit, pause

    # -- Starting ----------------------------------------------------------------------------------

    def start(self, worker: Sequence[str], tokens: Sequence[str]) -> Iterator[JobRef]:
        """Run the template once for each token.

        A command that was killed may have submitted its job anyway: that is yielded without an id.
        """
        jobs_folder(self._search).mkdir(parents=True, exist_ok=True)
        for token in tokens:
            words = self._submits(worker, token)
            place = jobs_folder(self._search) / token
            out, err = (Path(f"{place}.submit.{name}") for name in ("out", "err"))
            with open(out, "wb") as output, open(err, "wb") as errors:
                code = _run(words, output, errors, self._limit)
            if code is None:
                yield JobRef(self.name, "", token)
                raise CommandError(_too_slow(words[0], self._limit))
            if code != 0:
                raise CommandError(_failed(words[0], code, err if _text(err) else out))
            yield JobRef(self.name, self._id_in(out, err), token)

    def preview(self, worker: Sequence[str], tokens: Sequence[str]) -> list[str]:
        """Return the command line that submits the first job. The others differ by their token."""
        return [quoted_line(self._submits(worker, token)) for token in tokens[:1]]

    def _submits(self, worker: Sequence[str], token: str) -> list[str]:
        words = expanded(self._submit, with_token(worker, token))
        return [self._filled(word, token) for word in words]

    def _filled(self, word: str, token: str, job: str = "") -> str:
        return filled(word, job=job, token=token, output=str(output_of(self._search, token)))

    def _id_in(self, *printed: Path) -> str:
        for text in map(_text, printed):
            found = _matched(self._job_id, text) if self._job_id else last_word(text)
            if is_job_id(found):
                return found
        return ""

    # -- Asking ------------------------------------------------------------------------------------

    def lines(self, _: Sequence[JobRef]) -> list[str]:
        """Return the command lines that `states` and `stop` run."""
        return [line for line in (self._status, self._cancel) if line]

    def states(self, jobs: Sequence[JobRef]) -> dict[JobRef, JobState]:
        """Return the state of each job by `status`; unknown without that option.

        It runs once more for a job that seems to be gone: some queues do not list a job while they
        move it.
        """
        if self._status is None:
            return {job: JobState(None) for job in jobs}
        found = self._ask(jobs)
        gone = [job for job, state in found.items() if state.alive is False]
        if gone:
            time.sleep(self._pause)
            found.update(self._ask(gone))
        return found

    def _ask(self, jobs: Sequence[JobRef]) -> dict[JobRef, JobState]:
        assert self._status is not None
        if not _OTHER.search(self._status):
            answer = asked(shlex.split(self._status), self._limit)
            return {job: _listed_in(answer, job) for job in jobs}
        return {job: self._ask_one(job) for job in jobs}

    def _ask_one(self, job: JobRef) -> JobState:
        words = self._words_for(self._status, job)
        if words is None:
            return JobState(None, "its id is not known")
        answer = asked(words, self._limit)
        if answer.code is None or answer.code >= _NO_ANSWER or answer.code < 0:
            return JobState(None, answer.words)
        return JobState(answer.code == 0)

    def _words_for(self, template: str | None, job: JobRef) -> list[str] | None:
        if template is None or ("{job}" in template and not job.job):
            return None
        return [self._filled(word, job.token, job.job) for word in shlex.split(template)]

    # -- Stopping ----------------------------------------------------------------------------------

    def stop(self, jobs: Sequence[JobRef]) -> None:
        """Run `cancel` for each job that is not known to have ended."""
        if not jobs:
            return
        if self._cancel is None:
            raise CommandError(
                f"jobs that {shlex.split(self._submit)[0]} submitted are not stopped from here: "
                f"{ids(jobs)}\n  stop them with your job manager, and next time add: "
                "--cancel 'COMMAND {job}'"
            )
        states = self.states(jobs)
        problems = [self._stop_one(job) for job in jobs if states[job].alive is not False]
        problems = [problem for problem in problems if problem]
        if problems:
            raise CommandError("\n".join(problems))

    def _stop_one(self, job: JobRef) -> str:
        words = self._words_for(self._cancel, job)
        if words is None:
            return f"{job.token}: its id is not known, so it was not canceled"
        answer = asked(words, self._limit)
        if answer.code == 0:
            return ""
        if self._status is not None and self.states([job])[job].alive is False:
            return ""  # it has ended in the meantime
        return f"job {job.job or job.token} was not canceled: {words[0]}: {answer.words}"


def ids(jobs: Sequence[JobRef]) -> str:
    known = [job.job for job in jobs if job.job]
    without = len(jobs) - len(known)
    return ", ".join([*known, *([f"{without} without an id"] if without else [])])


# -- What others say -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Answer:
    """A command's output and exit code; None if it was killed or does not exist."""

    code: int | None
    printed: str
    words: str


def asked(words: Sequence[str], limit: float) -> Answer:
    """Run a command that lists or cancels jobs, without a terminal to ask for a password."""
    try:
        done = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        return Answer(None, "", f"{words[0]}: {getattr(error, 'strerror', None) or error}")
    with done:
        try:
            out, err = done.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(done.pid, signal.SIGKILL)
            return Answer(None, "", f"{words[0]} did not answer in {limit:g} s")
    said = (err or out).decode(errors="replace").strip().splitlines()
    words_of = said[-1] if said else f"exit code {done.returncode}, without a message"
    return Answer(done.returncode, out.decode(errors="replace"), words_of)


def _listed_in(answer: Answer, job: JobRef) -> JobState:
    """Return a job's state from a list of jobs: a line that begins with its id or has its token."""
    if answer.code != 0:
        return JobState(None, answer.words)
    for line in answer.printed.splitlines():
        words = line.split()
        if _begins_with(words[0] if words else "", job.job):
            return JobState(True, " ".join([words[0][len(job.job) :], *words[1:]]).strip())
        if job.token in line:
            return JobState(True, " ".join(words))
    return JobState(False) if job.job else JobState(None, "its id is not known")


def _begins_with(line: str, job: str) -> bool:
    """Whether a line of a list is that of a job.

    >>> _begins_with("12.head  train  R", "12"), _begins_with("120  train", "12")
    (True, False)
    """
    return bool(job) and line.startswith(job) and not line[len(job) :][:1].isalnum()


# -- Templates -------------------------------------------------------------------------------------


def _problems(options: Mapping[str, Any]) -> list[Problem]:
    problems = [*unknown_options(options, _OPTIONS)]
    problems += [
        Problem(f"{key}: expected a string, found {options[key]!r}")
        for key in _OPTIONS
        if options.get(key) is not None and not isinstance(options[key], str)
    ]
    if problems:
        return problems
    problems += _wrong_submit(options.get("submit"))
    for key in ("status", "cancel"):
        problems += _wrong_line(key, options[key]) if options.get(key) is not None else []
    cancel = options.get("cancel")
    if cancel is not None and "{job}" not in cancel and "{token}" not in cancel:
        problems.append(
            Problem(f"--cancel {cancel!r} does not say which job", "--cancel 'COMMAND {job}'")
        )
    return [*problems, *_wrong_pattern(options.get("job_id"))]


def _wrong_submit(template: str | None) -> list[Problem]:
    if not template:
        return [Problem("name the command that submits a job", _EXAMPLE)]
    problems = _wrong_line("submit", template)
    if PLACE not in template:
        problem = f"--submit {template!r} has no place for the worker's command"
        problems.append(Problem(problem, f"write {PLACE} there: {_EXAMPLE}"))
    if "{job}" in template:
        problems.append(
            Problem(
                f"--submit {template!r}: {{job}} is known only after this command",
                "use {token} instead",
            )
        )
    return problems


def _wrong_line(key: str, template: str) -> list[Problem]:
    try:
        words = shlex.split(template)
    except ValueError as error:
        return [Problem(f"--{key} {template!r}: {error}", "add the closing quotation mark")]
    if not words:
        return [Problem(f"--{key} is empty")]
    needs_shell = [word for word in words if word in _SHELL_WORDS]
    if needs_shell:
        problem = (
            f"--{key} {template!r}: {needs_shell[0]!r} needs a shell, and none runs this command"
        )
        return [Problem(problem, 'start a shell: sh -c "..."')]
    return []


def _wrong_pattern(job_id: str | None) -> list[Problem]:
    try:
        re.compile(job_id or "")
    except re.error as error:
        hint = r"a regular expression: 'Your job (\d+)'"
        return [Problem(f"--job-id {job_id!r} finds no job id: {error}", hint)]
    return []


def expanded(template: str, worker: Sequence[str]) -> list[str]:
    """Return the command line that submits a worker.

    `{worker}` by itself becomes the worker's words. In quotes, or inside a larger word, it becomes
    one line that a shell splits into these words.

    >>> expanded("qsub -b y {worker}", ["python", "a b"])
    ['qsub', '-b', 'y', 'python', 'a b']
    >>> expanded("sbatch --wrap '{worker}'", ["python", "a b"])
    ['sbatch', '--wrap', "python 'a b'"]
    >>> expanded("sh -c 'exec {worker}'", ["python", "a b"])
    ['sh', '-c', "exec python 'a b'"]
    """
    line = shlex.join(worker)
    words: list[str] = []
    for word in shlex.split(_QUOTED_WORD.sub(_ONE_WORD, template)):
        if word == PLACE:
            words += worker
        elif word == _ONE_WORD:
            words.append(line)
        else:
            # Quotes that are left are for another shell, which must see one word.
            words.append(
                _INSIDE.sub(lambda at: line if at[0] == PLACE else shlex.quote(line), word)
            )
    return words


def filled(word: str, **values: str) -> str:
    """Fill `{job}`, `{token}` and `{output}` in a word, quoted where a shell will read it.

    >>> filled("ps -p {job} > {output}", job="12", output="/my runs/12.out")
    "ps -p 12 > '/my runs/12.out'"
    """
    for_a_shell = any(letter.isspace() for letter in word)

    def value(found: re.Match[str]) -> str:
        text = values.get(found[1], found[0])
        return shlex.quote(text) if for_a_shell else text

    return _OTHER.sub(value, word)


def last_word(printed: str) -> str:
    """Return the last word of the first line that has one: most job managers print the id there.

    >>> last_word("Submitted batch job 4711"), last_word("thank you")
    ('4711', '')
    """
    words = next((line.split() for line in printed.splitlines() if line.strip()), [])
    return words[-1] if words and re.search(r"\d", words[-1]) else ""


def _matched(pattern: re.Pattern[str], printed: str) -> str:
    found = pattern.search(printed)
    return next((part for part in (*found.groups(), found[0]) if part), "") if found else ""


# -- Running ---------------------------------------------------------------------------------------


def _run(words: Sequence[str], output: IO[bytes], errors: IO[bytes], limit: float) -> int | None:
    """Run a command that submits; return its exit code, or None if it had to be killed.

    It prints into files, because a pipe would wait for processes that it leaves in the background.
    It keeps our terminal, because it may ask for a password there.
    """
    try:
        submits = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=output, stderr=errors)
    except (OSError, ValueError) as error:
        said = getattr(error, "strerror", None) or str(error)
        raise CommandError(f"{words[0]}: {said}") from None
    with submits:
        try:
            return submits.wait(limit)
        except subprocess.TimeoutExpired:
            for pid in [*processes.descendants(submits.pid), submits.pid]:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
            return None


def _text(path: Path) -> str:
    return (reading.read_bytes(path) or b"").decode(errors="replace").strip()


def _too_slow(program: str, limit: float) -> str:
    return f"{program} had not ended after {limit:g} s, and was killed: it may have submitted a job"


def _failed(program: str, code: int, said: Path) -> str:
    lines = _text(said).splitlines()[-_SHOWN_LINES:] or ["(no output)"]
    ending = f"exit code {code}" if code > 0 else f"signal {-code}"
    return "\n".join(
        [
            f"{program} ended with {ending}:",
            *(f"  {line}" for line in lines),
            f"its output: {said}",
        ]
    )
