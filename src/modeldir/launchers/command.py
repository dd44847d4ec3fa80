"""Workers by a job manager's own command: `--on command --submit 'job-manager-submit {worker}'`.

It knows how a template becomes a command line, and how to read a job's id from what that command
prints. It refuses to know any one job manager: what they share is a command that submits.
"""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from modeldir import files, provenance
from modeldir.errors import CommandError
from modeldir.launchers import JobRef, ids, jobs_folder, new_token, record, so_far

PLACE = "{worker}"
_EXAMPLE = f"--submit 'job-manager-submit {PLACE}'"
_SHELL_WORDS = frozenset({"|", "||", "&", "&&", ";", "<", ">", ">>", "<<<"})
_QUOTED_WORD = re.compile(r"""(?<!\S)(["'])\{worker\}\1(?!\S)""")
_INSIDE = re.compile(r"""\0|(["'])\{worker\}\1|\{worker\}""")
_ONE_WORD = "\0"  # stands for a quoted {worker}; no command line can hold it otherwise
_SHOWN_LINES = 10


class CommandLauncher:
    """Submits workers of the search in a folder, by running a template once for each.

    Args:
        template: the command line, with `{worker}` where the worker's command goes.
        search: the folder. What the command printed goes to `.modeldir/jobs/TOKEN.{out,err}` there.
        job_id: a regular expression that finds the job's id in what the command printed (its first
            group, if it has one); by default the last word of the first line.

    Raises:
        CommandError: for a template that cannot start a worker; nothing was started then.
    """

    name = "command"

    def __init__(self, template: str | None, search: Path, job_id: str | None = None) -> None:
        self._template = checked(template)
        self._search = search
        self._job_id = _compiled(job_id)

    def start(self, worker: Sequence[str], count: int) -> list[JobRef]:
        """Run the template `count` times.

        Raises:
            CommandError: when it fails, with its own words and what was started before that.
            OSError: when the search's folder cannot be written.
        """
        words = expanded(self._template, worker)
        jobs_folder(self._search).mkdir(parents=True, exist_ok=True)
        refs: list[JobRef] = []
        for _ in range(count):
            try:
                refs.append(self._submit(words))
            except CommandError as error:
                place = f"worker {len(refs) + 1} of {count}"
                raise CommandError(f"{place} was not submitted: {error}\n{so_far(refs)}") from error
        return refs

    def _submit(self, words: Sequence[str]) -> JobRef:
        token = new_token()
        out = jobs_folder(self._search) / f"{token}.out"
        err = out.with_suffix(".err")
        with open(out, "wb") as output, open(err, "wb") as errors:
            code = _run(words, output, errors)
        printed = _text(out)
        if code != 0:
            raise CommandError(_failed(words[0], code, err if _text(err) else out))
        facts = {"command": list(words), "started": provenance.utc_now()}
        return record(self._search, JobRef(self.name, self._id_in(printed), token), facts)

    def _id_in(self, printed: str) -> str:
        """The job's id; empty where none is found, since the job was submitted all the same."""
        if self._job_id is None:
            return last_word(printed)
        found = self._job_id.search(printed)
        return next((part for part in (*found.groups(), found[0]) if part), "") if found else ""

    def alive(self, refs: Sequence[JobRef]) -> dict[JobRef, bool | None]:
        """Unknown, each of them: a command that submits cannot be asked."""
        return dict.fromkeys(refs)

    def stop(self, refs: Sequence[JobRef]) -> None:
        """Not possible from here.

        Raises:
            CommandError: naming the jobs, for the job manager's own command.
        """
        if refs:
            raise CommandError(
                f"jobs that {shlex.split(self._template)[0]} submitted are not stopped from here: "
                f"{ids(refs)}\n  stop them by your job manager's own command"
            )


def checked(template: str | None) -> str:
    """The template, if it can start a worker.

    Raises:
        CommandError: when it is missing or has no `{worker}`, has an open quotation, or needs a
            shell.
    """
    if not template:
        raise CommandError(_refused("--on command needs to know how a job is submitted", _EXAMPLE))
    try:
        words = shlex.split(template)
    except ValueError as error:
        raise CommandError(
            _refused(f"--submit {template!r}: {error}", "close the quotation")
        ) from None
    if PLACE not in template:
        problem = f"--submit {template!r} has no place for the worker's command"
        raise CommandError(_refused(problem, f"write {PLACE} there: {_EXAMPLE}"))
    needs_shell = [word for word in words if word in _SHELL_WORDS]
    if needs_shell:
        problem = (
            f"--submit {template!r}: {needs_shell[0]!r} is a shell's word, and no shell runs it"
        )
        raise CommandError(_refused(problem, 'let one: sh -c "..."'))
    return template


def expanded(template: str, worker: Sequence[str]) -> list[str]:
    """The words of the command line that submits a worker.

    `{worker}` by itself becomes the worker's words; in quotes, or inside a larger word, the line
    that a shell reads as those words.

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
            # Quotes that are still there are for another shell: it shall see one word.
            words.append(
                _INSIDE.sub(lambda at: line if at[0] == PLACE else shlex.quote(line), word)
            )
    return words


def last_word(printed: str) -> str:
    """The last word of the first line that has one: where most job managers print a job's id.

    >>> last_word("Submitted batch job 4711")
    '4711'
    """
    words = next((line.split() for line in printed.splitlines() if line.strip()), [])
    return words[-1] if words else ""


def _compiled(job_id: str | None) -> re.Pattern[str] | None:
    try:
        return None if job_id is None else re.compile(job_id)
    except re.error as error:
        problem = f"{job_id!r} finds no job id: {error}"
        raise CommandError(_refused(problem, r"a regular expression: 'Your job (\d+)'")) from None


def _run(words: Sequence[str], output: IO[bytes], errors: IO[bytes]) -> int:
    """Run a command to its end; returns its exit code.

    It prints into files: a pipe would keep us waiting for whatever it leaves in the background.
    """
    try:
        done = subprocess.run(
            words, stdin=subprocess.DEVNULL, stdout=output, stderr=errors, check=False
        )
    except OSError as error:
        raise CommandError(f"{words[0]}: {error.strerror}") from None
    return done.returncode


def _text(path: Path) -> str:
    return (files.read_bytes(path) or b"").decode(errors="replace").strip()


def _failed(program: str, code: int, said: Path) -> str:
    lines = _text(said).splitlines()[-_SHOWN_LINES:] or ["(it said nothing)"]
    ending = f"exit code {code}" if code > 0 else f"signal {-code}"
    return "\n".join(
        [
            f"{program} ended with {ending}:",
            *(f"  {line}" for line in lines),
            f"all it said: {said}",
        ]
    )


def _refused(problem: str, hint: str) -> str:
    return f"{problem}\n  {hint}\nNothing was started."
