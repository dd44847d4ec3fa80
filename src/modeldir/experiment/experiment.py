"""One experiment: a folder with hyperparameters, and what its files say about it.

Nearly every command calls `status` and `scores`. Nothing is cached: an answer is never older than
the files, whichever program wrote them (CS230's own scripts, too).
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, NamedTuple

from modeldir._system import file_stamps, heartbeat, reading, recorded_numbers, timestamps
from modeldir._system.shell import quoted
from modeldir.errors import FolderError, MetricsError, closest, first_of
from modeldir.experiment import attempts, discovery, fast_json, liveness
from modeldir.experiment.attempts import FAILED, INTERRUPTED, PENDING, RUNNING, UNTRACKED
from modeldir.metrics import metric_files
from modeldir.params import plain_values

PARAMS_NAMES = ("params.json", "params.jsonc", "params.yaml", "params.yml", "params.toml")


@dataclass(frozen=True)
class Status:
    """The status of an experiment.

    `failure` is the class of a failure (error, out-of-memory, nan, missing-metric, time-limit,
    killed). `last_line` is the last line of its traceback. `started` and `ended` are ISO 8601 in
    UTC.
    `duration` is the seconds of the attempt and of the earlier ones that it continues; `before` is
    the part of the earlier ones. `attempt` is 0 if none is recorded. `given` are the
    hyperparameters, by dotted name, for which the script used another value than `params.json` has,
    with that value (from its command line, `update`, or an assignment before they were read).
    `in_doubt`: it counts as running, and watching its heartbeat will show whether it is. `code` is
    the hash of the code that ran. `note` is a user's comment on the run.
    """

    state: str
    attempt: int = 0
    failure: str | None = None
    reason: str | None = None
    last_line: str | None = None
    duration: float | None = None
    started: str | None = None
    given: Mapping[str, Any] = field(default_factory=dict, compare=False)
    in_doubt: bool = field(default=False, compare=False)
    code: str | None = field(default=None, compare=False)
    note: str | None = field(default=None, compare=False)
    before: float = field(default=0.0, compare=False)
    ended: str | None = field(default=None, compare=False)

    def ended_lately(self) -> bool:
        """Whether it ended in the last two minutes.

        Then a list of the folder's files that was made before may lack the last ones.
        """
        ended = timestamps.unix_time(self.ended)
        return ended is not None and ended > time.time() - _LATELY


_LATELY = 120.0
"""Seconds; longer than a table takes to list its folders, and than clocks of hosts differ."""

_NO_METRICS: Mapping[str, float] = {}


class Scores(NamedTuple):
    """The metrics of an experiment, by split and weights; `problems` are unreadable files."""

    best: Mapping[str, float] = _NO_METRICS
    last: Mapping[str, float] = _NO_METRICS
    test: Mapping[str, float] = _NO_METRICS
    train: Mapping[str, float] = _NO_METRICS
    problems: tuple[str, ...] = ()
    best_is_broken: bool = False
    ranks_by_last: bool = False

    @property
    def validation(self) -> Mapping[str, float]:
        """The validation metrics that searches rank by: at the best weights, else at the last.

        They are empty if the best weights' file exists and cannot be read. To show the last
        weights' metrics in its place would be wrong. A search with `rank_by: last` prefers those.
        """
        if self.ranks_by_last and self.last:
            return self.last
        return {} if self.best_is_broken else self.best or self.last


class Experiment:
    """A folder that holds hyperparameters; `path` is its `model_dir`.

    Raises:
        FolderError: when the folder does not exist or holds no `params.json`.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        if not self.path.is_dir():
            raise FolderError(no_folder_message(self.path))
        if params_file(self.path) is None:
            here = quoted(self.path)
            hint = f"to make one: modeldir new {here} --from OTHER_EXPERIMENT"
            if first_experiment_in(self.path) is not None:
                hint = f"to see what is below it: modeldir results {here}"
            raise FolderError(f"{self.path} is not an experiment: it has no params.json.\n  {hint}")

    def __repr__(self) -> str:
        return f"Experiment({str(self.path)!r})"

    def params(self) -> dict[str, Any]:
        """Return the hyperparameters as a new nested dict.

        Raises:
            ParamsError: when the file cannot be read.
        """
        found = params_file(self.path)
        return plain_values.load_file(found) if found else {}

    def status(self) -> Status:
        """Return the status, from the folder's files and the processes they name."""
        return status(self.path)

    def scores(self) -> Scores:
        """Return the metrics in the folder."""
        return scores(self.path)

    def origin(self) -> dict[str, Any]:
        """Return what it was derived from: `from`, `changes`, `message`; empty for a first one."""
        return reading.read_object(self.path / "origin.json")


def no_folder_message(path: str | os.PathLike[str]) -> str:
    """Return the message for a path that is no folder, with a similar one or those that exist."""
    if os.path.lexists(path):
        return f"{path} is not a folder"
    wanted = Path(os.path.normpath(path))
    near = _nearest(wanted)
    hint = _folders_in(wanted.parent) if near is None else f"\n  did you mean {str(near)!r}?"
    return f"{path}: no such folder{hint}"


def _folders_in(parent: Path) -> str:
    """Return a line that names the folders in a folder; empty if there are none."""
    try:
        found = sorted(e.name for e in os.scandir(parent) if e.is_dir() and e.name[0] != ".")
    except OSError:
        return ""
    place = "this folder" if parent == Path() else parent
    return f"\n  in {place}: {first_of(found, 5)}" if found else ""


def _nearest(path: Path) -> Path | None:
    found = Path(path.anchor)
    for name in path.relative_to(path.anchor).parts:
        if not (found / name).is_dir():
            try:
                beside = [entry.name for entry in os.scandir(found) if entry.is_dir()]
            except OSError:
                return None
            near = closest(name, beside)
            if near is None:
                return None
            found /= near
        else:
            found /= name
    return found


def params_file(folder: str | os.PathLike[str]) -> Path | None:
    for name in PARAMS_NAMES:
        path = os.path.join(folder, name)
        if os.path.isfile(path):
            return Path(path)
    return None


def first_experiment_in(folder: Path) -> Path | None:
    """Return the first experiment among a folder's subfolders, by name; None if there is none."""
    below = sorted(path for path in folder.glob("*/") if path.name[0] != ".")
    return next((path for path in below if params_file(path) is not None), None)


def kind_of(folder: discovery.Folder) -> Literal["experiment", "search"] | None:
    """Return the type of a folder; None if it is neither an experiment nor a search.

    A search has a `search.json`. CS230's script writes none: there a search is a folder with
    `params.json` in which nothing ran, and whose subfolders (the trials) have a `params.json` each.
    """
    if "search.json" in folder.files:
        return "search"
    roles = file_roles(folder.files)
    if roles.params is None:
        return None
    if not roles.has_output:
        for name in (*folder.folders, *folder.links):
            if params_file(os.path.join(folder.path, name)) is not None:
                return "search"
    return "experiment"


def _kind_at(path: str | os.PathLike[str]) -> Literal["experiment", "search"] | None:
    with contextlib.suppress(OSError):
        return kind_of(discovery.list_folder(os.fspath(path)))
    return None


def is_search(folder: str | os.PathLike[str]) -> bool:
    return _kind_at(folder) == "search"


def is_experiment(folder: str | os.PathLike[str]) -> bool:
    return _kind_at(folder) == "experiment"


class FileRoles(NamedTuple):
    """The roles of the files in a folder, by their names; `attempt` is 0 if none is recorded."""

    params: str | None
    metrics: tuple[tuple[str, str], ...]
    attempt: int
    run_file: str
    has_output: bool


@lru_cache(maxsize=1024)
def file_roles(names: tuple[str, ...]) -> FileRoles:
    attempt = max(attempts.numbers([*names]), default=0)
    kinds = [kind for name in sorted(names) if (kind := metric_files.classify(name)) is not None]
    kinds.sort(key=lambda kind: kind.which is None)  # of one metric, `metrics.json` says less
    return FileRoles(
        params=next((name for name in PARAMS_NAMES if name in names), None),
        metrics=tuple(
            (kind.name, (kind.which or "best") if kind.split == "eval" else kind.split)
            for kind in kinds
        ),
        attempt=attempt,
        run_file=attempts.run_file(attempt),
        has_output=has_output([*names]),
    )


def has_output(names: list[str]) -> bool:
    return any(map(attempts.is_output, names))


def has_metrics(folder: Path) -> bool:
    try:
        names = os.listdir(folder)
    except OSError:
        return False
    return any(name == metric_files.METRICS_LINES or metric_files.classify(name) for name in names)


# -- Status ----------------------------------------------------------------------------------------


def status(
    folder: str | os.PathLike[str],
    names: Sequence[str] | None = None,
    observer: heartbeat.Observer | None = None,
) -> Status:
    """Return a folder's status, from its latest attempt and the process that it names.

    `names` are the files in the folder, if the caller has listed it already. `observer` watches the
    heartbeats of attempts on other hosts, for a caller that asks more than once.
    """
    try:
        names = os.listdir(folder) if names is None else names
    except OSError:
        return Status(PENDING)
    roles = file_roles(tuple(names))
    if not roles.attempt:
        return _UNTRACKED if roles.has_output else _PENDING
    record = fast_json.read_object(f"{os.fspath(folder)}/{roles.run_file}")
    known = ended_status(record, roles.attempt)
    if known is not None and record.get("resumes") is not True:
        return Status(*known)
    attempt = attempts.Attempt(Path(folder), roles.attempt, "", record)
    if known is None:
        found = _without_end(attempt, _text(record, "started"), observer)
    else:
        found = Status(*known)
    before = attempts.earlier_seconds(attempt)  # of attempts that the last one continues
    if not before:
        return found
    took = found.duration
    return replace(found, before=before, duration=None if took is None else took + before)


_UNTRACKED, _PENDING = Status(UNTRACKED), Status(PENDING)


def ended_status(record: Mapping[str, Any], number: int) -> tuple[Any, ...] | None:
    """Return the arguments of `Status` if a run file records how its attempt ended, else None."""
    end = record.get("status")
    if end not in attempts.ENDS:
        return None
    return (
        end,
        number,
        _text(record, "failure") if end == FAILED else None,
        _text(record, "reason"),
        _text(record, "last_line"),
        recorded_numbers.seconds(record.get("duration")),
        _text(record, "started"),
        _given(record),
        False,  # in doubt
        _text(record, "code"),
        _text(record, "note"),
        0.0,  # before
        _text(record, "ended"),
    )


def _text(record: Mapping[str, Any], name: str) -> str | None:
    value = record.get(name)
    return value if isinstance(value, str) and value else None


def _given(record: Mapping[str, Any]) -> dict[str, Any]:
    params = record.get("params")
    changed = params.get("changed") if isinstance(params, dict) else None
    if not isinstance(changed, dict):
        return {}
    return {
        name: was["given"]
        for name, was in changed.items()
        if isinstance(was, dict) and "given" in was
    }


def _without_end(
    attempt: attempts.Attempt, started: str | None, observer: heartbeat.Observer | None
) -> Status:
    code, note = _text(attempt.record, "code"), _text(attempt.record, "note")
    running = Status(RUNNING, attempt.number, started=started, code=code, note=note)
    here = liveness.is_alive(attempt)
    life = liveness.is_alive(attempt, observer) if here is None else here
    if life is False:
        # The owner may have recorded its end after we read the file, and exited before we looked.
        again = attempts.read(attempt.folder, attempt.number)
        if not again.record and not os.path.lexists(again.file):  # it was withdrawn meanwhile
            return status(attempt.folder, observer=observer)
        again = attempts.last_certain(again)
        if (ended := ended_status(again.record, attempt.number)) is not None:
            return Status(*ended)
        if not again.record and has_metrics(attempt.folder):
            return replace(running, state=UNTRACKED, reason=_INCOMPLETE)
        reason = "it ended without recording how"
        if here is None:
            reason = f"its heartbeat stopped, on {liveness.host_of(attempt)}"
        return replace(running, state=INTERRUPTED, reason=reason)
    doubt = life is None and liveness.has_heartbeat(attempt)
    return replace(running, reason=None if here else _unseen(attempt), in_doubt=doubt)


_INCOMPLETE = "unknown, since its run file is incomplete"


def _unseen(attempt: attempts.Attempt) -> str:
    silent = heartbeat.seconds_since_beat(attempt.path)
    if not attempt.record:
        can_be_read = liveness.has_heartbeat(attempt)
        return _INCOMPLETE if can_be_read else "unknown, since its run file cannot be read"
    if not liveness.has_heartbeat(attempt) or silent is None:
        return "on a host that cannot be checked from here"
    from modeldir._system.durations import duration_text  # noqa: PLC0415 - scripts import this module

    return f"on {liveness.host_of(attempt)}, last heartbeat {duration_text(silent)} ago"


# -- Metrics ---------------------------------------------------------------------------------------


def scores(folder: str | os.PathLike[str], names: Sequence[str] | None = None) -> Scores:
    """Return the metrics in a folder; a broken file is listed as a problem."""
    try:
        names = os.listdir(folder) if names is None else names
    except OSError as error:
        return Scores(problems=(f"{folder}: {error.strerror}",))
    by_last = "trial.json" in names and ranks_by_last(folder)
    return scores_in(folder, file_roles(tuple(names)).metrics, ranks_by_last=by_last)


_LAST_RANKS: dict[str, tuple[file_stamps.Seen, bool]] = {}


def ranks_by_last(trial: str | os.PathLike[str]) -> bool:
    """Whether a trial's search ranks by the last metrics; read again only if its plan changes."""
    path = os.path.join(os.path.dirname(os.path.abspath(trial)), "search.json")
    seen, known = _LAST_RANKS.get(path, (file_stamps.Seen(), False))
    if seen.changed(file_stamps.stamp(path)):
        known = reading.read_object(path).get("rank_by") == "last"
        _LAST_RANKS[path] = seen, known
    return known


def scores_in(
    folder: str | os.PathLike[str],
    roles: Sequence[tuple[str, str]],
    *,
    ranks_by_last: bool = False,
) -> Scores:
    found: dict[str, dict[str, float]] = {}
    problems: list[str] = []
    best_is_broken = False
    for name, field_name in roles:
        path = f"{folder}/{name}"
        values = fast_json.read_metrics(path)
        if values is None:
            try:
                values = metric_files.read_metrics(path)
            except MetricsError as error:
                problems.append(error.summary)
                best_is_broken = best_is_broken or field_name == "best"
                continue
        # If there are test files for the best and for the last weights, the best weights' win.
        found[field_name] = {**values, **found[field_name]} if field_name in found else values
    return Scores(
        **found,
        problems=tuple(problems),
        best_is_broken=best_is_broken,
        ranks_by_last=ranks_by_last,
    )


def validation_metrics(
    folder: str | os.PathLike[str], names: Sequence[str]
) -> Mapping[str, float] | None:
    """Return `scores(folder, names).validation`, but read the last weights' metrics only if needed.

    None where a file cannot be read.
    """
    roles = file_roles(tuple(names)).metrics
    by_last = ranks_by_last(folder)
    for wanted in ("last", "best") if by_last else ("best", "last"):
        found = scores_in(folder, [(name, kind) for name, kind in roles if kind == wanted])
        if found.problems:
            return None
        if found.best or found.last:
            return found.best or found.last
    return {}


STEP_COUNTS = ("num_epochs", "epochs", "max_epochs", "n_epochs", "num_steps", "max_steps")


def planned_steps(hyperparameters: Mapping[str, Any]) -> int | None:
    """Return the last step of a training run, if a hyperparameter's name says so.

    >>> planned_steps({"num_epochs": 10, "learning_rate": 0.1}), planned_steps({})
    (10, None)
    """
    for name in STEP_COUNTS:
        value = hyperparameters.get(name)
        if isinstance(value, int) and not isinstance(value, bool) and value > 0:
            return value
    return None


def last_step(folder: Path) -> dict[str, Any]:
    """Return the last line of `metrics.jsonl`, which shows how far a training run is."""
    lines = reading.tail(folder / metric_files.METRICS_LINES, 8192).splitlines()
    for line in reversed(lines):
        value = _line(line)
        if value:
            return value
    return {}


def _line(line: bytes) -> dict[str, Any]:
    try:
        value = reading.loads(line)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
