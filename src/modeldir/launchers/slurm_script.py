"""Write the batch script by which Slurm runs workers, and read the user's options for it.

`slurm` submits it. Its `#SBATCH` lines are the user's (`--sbatch`, `[slurm]` in `modeldir.toml`)
and those that a worker needs. Request nothing that the user did not ask for: no memory, no time.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from modeldir._system.shell import quoted
from modeldir.launchers import Problem, jobs_folder, with_token

_OURS = {
    "array": "set the number: --workers 8",
    "chdir": "jobs run where you type the command: cd there first",
    "error": "what a job prints is kept in .modeldir/jobs, where `modeldir watch` looks for it",
    "help": "sbatch --help",
    "job-name": "modeldir finds a job by its name if its number was lost",
    "open-mode": "a requeued job continues with the same output",
    "output": "what a job prints is kept in .modeldir/jobs, where `modeldir watch` looks for it",
    "parsable": "modeldir needs it to read the job's number",
    "test-only": "nothing would be started: modeldir search ... --dry-run",
    "usage": "sbatch --usage",
    "version": "sbatch --version",
    "wait": "modeldir search ... --wait",
    "wrap": "a job is one worker: write the training command after --",
}
"""Options of sbatch that only modeldir may set, with the reason or what to type instead."""

_SHORT = {
    "A": "account", "a": "array", "B": "extra-node-info", "b": "begin", "C": "constraint",
    "c": "cpus-per-task", "D": "chdir", "d": "dependency", "e": "error", "F": "nodefile",
    "G": "gpus", "H": "hold", "h": "help", "i": "input", "J": "job-name", "k": "no-kill",
    "L": "licenses", "M": "clusters", "m": "distribution", "N": "nodes", "n": "ntasks",
    "O": "overcommit", "o": "output", "p": "partition", "Q": "quiet", "q": "qos",
    "S": "core-spec", "s": "oversubscribe", "t": "time", "V": "version", "v": "verbose",
    "W": "wait", "w": "nodelist", "x": "exclude",
}  # fmt: skip
_FLAGS = frozenset("HhkOQsVvW")
_UNQUOTED = re.compile(r"[^\s\"'\\#]+")
_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_LEAST_NOTICE, _USUAL_NOTICE, _MOST_NOTICE = 60, 120, 300


@dataclass(frozen=True)
class SbatchOptions:
    """Options of sbatch by their long names (None: without a value), and lines to run before."""

    options: Mapping[str, str | None] = field(default_factory=dict)
    setup: tuple[str, ...] = ()
    at_once: int | None = None

    @property
    def requeue(self) -> bool:
        return "no-requeue" not in self.options


def read_options(options: Mapping[str, Any]) -> tuple[SbatchOptions, list[Problem]]:
    """Return the options for sbatch, and everything that is wrong with them.

    `sbatch` is a line as it is typed after that command, and overrides the others. `setup` is a
    list of lines, `at_once` the number of jobs of an array that may run at the same time. Any other
    name is a long option of sbatch.
    """
    problems: list[Problem] = []
    found: dict[str, str | None] = {}
    for key, value in options.items():
        if key not in ("sbatch", "setup", "at_once"):
            problems += _take(found, key.replace("_", "-"), value)
    line = options.get("sbatch") or ""
    try:
        problems += _read(found, shlex.split(line))
    except (ValueError, AttributeError):
        problems.append(
            Problem(f"sbatch: cannot be read: {line!r}", '--sbatch "--gres=gpu:1 --time=60"')
        )
    setup = _lines(options.get("setup", ()))
    if setup is None:
        problems.append(Problem("setup: expected lines", 'setup = ["module load cuda"]'))
    problems += [_refused(name) for name in found if _ours(name)]
    return SbatchOptions(found, setup or (), options.get("at_once")), problems


def _take(found: dict[str, str | None], name: str, value: Any) -> Iterator[Problem]:
    """Read an option from TOML: `exclusive = true`, `nodelist = ["n1", "n2"]`, `time = 60`."""
    if isinstance(value, list):
        value = ",".join(map(str, value))
    if value is False:
        return
    if value is not True and not isinstance(value, (str, int, float)):
        yield Problem(f"{name}: expected a string or a number, found {value!r}")
    elif "\n" in str(value):
        yield Problem(f"{name}: {value!r} is more than one line")
    else:
        found[name] = None if value is True else str(value)


def _read(found: dict[str, str | None], words: Sequence[str]) -> Iterator[Problem]:
    """Read options from a command line: `--time=60`, `--time 60`, `-t 60`, `-t60`."""
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if not re.match(r"--?\w", word):
            yield Problem(
                f"sbatch: {word!r} is not an option of sbatch", '--sbatch "--gres=gpu:1 --time=60"'
            )
            continue
        name, value = _split(word)
        takes_more = value is None and not (word[1] != "-" and word[1] in _FLAGS)
        if takes_more and rest and not rest[0].startswith("-"):
            value = rest.pop(0)
        yield from _take(found, name, True if value is None else value)


def _split(word: str) -> tuple[str, str | None]:
    if word.startswith("--"):
        name, equals, value = word[2:].partition("=")
        return name, value if equals else None
    return _SHORT.get(word[1], word[1]), word[2:] or None


def _ours(name: str) -> str | None:
    """Return which of the reserved options this is, in full or abbreviated: `--arr`."""
    shortest = 3
    if name in _OURS:
        return name
    return next((o for o in _OURS if len(name) >= shortest and o.startswith(name)), None)


def _refused(name: str) -> Problem:
    ours = _ours(name)
    assert ours is not None
    return Problem(f"{ours}: cannot be set here", _OURS[ours])


def _lines(value: Any) -> tuple[str, ...] | None:
    if isinstance(value, str):
        value = value.splitlines()
    if not isinstance(value, (list, tuple)) or not all(isinstance(line, str) for line in value):
        return None
    return tuple(value)


# -- The script ------------------------------------------------------------------------------------


def script(  # noqa: PLR0913 - what a batch script is made of
    wanted: SbatchOptions,
    worker: Sequence[str],
    search: Path,
    base: str,
    *,
    folder: str,
    array: str | None,
) -> str:
    """Return the batch script for the jobs of `base`; `array` is None at a site without arrays."""
    places = {"job-name": job_name(search, base), "array": array, "chdir": folder}
    fixed = {"output": output_pattern(search, f"{base}_%a"), "open-mode": "append"}
    ours: dict[str, str | None] = {k: v for k, v in {**places, **fixed}.items() if v is not None}
    if wanted.requeue:
        ours["requeue"] = None
    ours["signal"] = f"B:USR1@{notice(wanted.options)}"
    directives = [f"#SBATCH {_directive(*each)}" for each in {**ours, **wanted.options}.items()]
    return "\n".join(
        [
            "#!/bin/bash",
            f"# Workers on {quoted(search)}; what they print lies beside this file.",
            *directives,
            "",
            *([*wanted.setup, ""] if wanted.setup else []),
            *_end(wanted, worker, base),
            "",
        ]
    )


def _end(wanted: SbatchOptions, worker: Sequence[str], base: str) -> list[str]:
    words = shlex.join(with_token(worker, f"{base}_INDEX"))
    head, _, tail = words.partition(f" --job {base}_INDEX")
    lines = [
        "# Which of the workers this is; a site without arrays, or with short ones, says so in $1.",
        "index=$((${1:-0} + ${SLURM_ARRAY_TASK_ID:-0}))",
        "job=${SLURM_ARRAY_JOB_ID:-$SLURM_JOB_ID}${SLURM_ARRAY_TASK_ID:+_$SLURM_ARRAY_TASK_ID}",
        "",
        "# It takes this shell's place, so that signals reach it: TERM, and USR1 when the time",
        "# limit is near. Its trials are interrupted then, and continue from their last weights.",
        f"exec {head}{tail} \\",
        f'    --job "{base}_$index"',
    ]
    if wanted.requeue:
        lines[-1] += " \\"
        lines.append('    --requeue "scontrol requeue $job"')
    return lines


def _directive(name: str, value: str | None) -> str:
    """Return an option for a script, quoted by sbatch's own rules, not by a shell's.

    >>> _directive("chdir", "my project"), _directive("gres", "gpu:1")
    ('--chdir="my project"', '--gres=gpu:1')
    """
    if value is None:
        return f"--{name}"
    if not _UNQUOTED.fullmatch(value):
        value = '"' + re.sub(r'(["\\])', r"\\\1", value) + '"'
    return f"--{name}={value}"


def job_name(search: Path, base: str, first: int = 0) -> str:
    """Return a job's name: people recognize it, and a job without a known number is found by it.

    >>> job_name(Path("experiments/my search"), "6f1e"), job_name(Path("lr"), "6f1e", 1000)
    ('my_search-6f1e', 'lr-6f1e+1000')
    """
    shown = re.sub(r"[^\w.-]", "_", search.name, flags=re.ASCII)[:40]
    return f"{shown}-{base}" + (f"+{first}" if first else "")


def output_pattern(search: Path, name: str) -> str:
    """Return the file for a job's output, as sbatch reads it: `%` is doubled."""
    return f"{jobs_folder(search)}".replace("%", "%%") + f"/{name}.out"


# -- Time ------------------------------------------------------------------------------------------


def notice(options: Mapping[str, str | None]) -> int:
    """Return how many seconds before the time limit the worker gets a signal.

    A tenth of the limit, between one and five minutes, but at most a third. Slurm only looks every
    half minute.

    >>> notice({"time": "8:00:00"}), notice({"time": "20"}), notice({"time": "2"}), notice({})
    (300, 120, 40, 120)
    """
    limits = [seconds(options[name] or "") for name in ("time", "time-min") if name in options]
    known = [limit for limit in limits if limit]
    if not known:
        return _USUAL_NOTICE
    limit = min(known)
    return min(max(limit // 10, _LEAST_NOTICE), _MOST_NOTICE, max(limit // 3, 1))


def seconds(text: str) -> int | None:
    """Return the seconds of a time in Slurm's form; None for `UNLIMITED` and anything else.

    >>> seconds("90"), seconds("1:30"), seconds("2:00:00"), seconds("1-12"), seconds("1-0:30")
    (5400, 90, 7200, 129600, 88200)
    """
    days, dash, rest = text.rpartition("-")
    parts = rest.split(":")
    if not all(part.isdecimal() for part in [*parts, *([days] if dash else [])]):
        return None
    if dash:
        units = [_HOUR, _MINUTE, 1]
    else:
        units = {1: [_MINUTE], 2: [_MINUTE, 1]}.get(len(parts), [_HOUR, _MINUTE, 1])
    if len(parts) > len(units):
        return None
    return int(days or 0) * _DAY + sum(int(p) * u for p, u in zip(parts, units, strict=False))
