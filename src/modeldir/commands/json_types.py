"""The documents that `--json` prints, as types. `tests/json_schemas.py` makes schemas.

Start at `DOCUMENTS`. The rule: a key never goes away and never changes its meaning. New keys may
come. Each key is always there: it is null if there is no value. Only type checkers and tests import
this module.
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias, TypedDict

Number: TypeAlias = float | Literal["nan", "inf", "-inf"]
"""JSON has no NaN and no infinity. They are strings."""
State: TypeAlias = Literal[
    "pending", "running", "completed", "pruned", "failed", "interrupted", "untracked"
]


class Problem(TypedDict):
    """One thing that is wrong, and what to type instead."""

    what: str
    hint: str | None


class Error(TypedDict):
    """Why a command failed. `state` says what was done in spite of it."""

    type: str
    message: str
    problems: list[Problem]
    state: str | None
    path: str | None
    line: int | None
    key: str | None
    exit_code: int


class Metrics(TypedDict):
    """The metrics of an experiment: validation at the best and the last weights, test, training."""

    best: dict[str, Number]
    last: dict[str, Number]
    test: dict[str, Number]
    train: dict[str, Number]


class Experiment(TypedDict):
    """One experiment. `path` can be used as DIR in other commands; `trial` is its number.

    `hyperparameters` are named as on the command line, with dots. `duration` is in seconds.
    `reason` is the last line of an error, or why the attempt ended.
    """

    path: str
    trial: int | None
    status: State
    failure: str | None
    reason: str | None
    attempt: int
    started: str | None
    ended: str | None
    duration: float | None
    hyperparameters: dict[str, Any] | None
    metrics: Metrics
    note: str | None


class Objective(TypedDict):
    """A metric that ranks."""

    metric: str
    direction: Literal["maximize", "minimize"]


class Search(TypedDict):
    """How a search stands. `plan` is the content of `search.json`.

    `states` counts the trials of each status. `remaining` trials are not made yet: null if the
    search has no end. `failed` has at most 10 trials.
    """

    path: str
    plan: dict[str, Any]
    objectives: list[Objective]
    states: dict[str, int]
    remaining: int | None
    best: Experiment | None
    front: list[str]
    failed: list[Experiment]
    warnings: list[str]
    next: str


class Best(TypedDict):
    """The document of `modeldir best`: the best experiment and its value of the metric."""

    experiment: Experiment
    metric: str
    direction: Literal["maximize", "minimize"]
    value: Number | None


class Show(TypedDict):
    """The document of `modeldir show`: what was named, in that order."""

    experiments: list[Experiment]
    searches: list[Search]
    warnings: list[str]


class Results(TypedDict):
    """The document of `modeldir results`: the table. A row has a cell for each of the columns."""

    path: str
    columns: list[str]
    rows: list[dict[str, Any]]
    objectives: list[Objective]
    best: str | None
    warnings: list[str]


class Run(TypedDict):
    """The document of `modeldir run`. `exit_code` is that of the command, and of modeldir."""

    experiment: Experiment
    exit_code: int


class SearchRun(TypedDict):
    """The document of `modeldir search`. `search` is null for a dry run of a new search."""

    search: Search | None
    exit_code: int


class Init(TypedDict):
    """The document of `modeldir init`. `missing` packages have to be installed first."""

    path: str
    template: str
    files: int
    missing: list[str]


class New(TypedDict):
    """The document of `modeldir new`. `changes` has the old and the new value of each name."""

    path: str
    source: str | None
    changes: dict[str, list[Any]]
    hyperparameters: dict[str, Any]


class Lead(TypedDict):
    """How much better the first configuration is: an interval that holds with `level`."""

    low: Number
    high: Number
    level: Number


class Configuration(TypedDict):
    """A configuration with the values of its new runs by seed; some failed or have not ended."""

    trial: int | None
    is_base: bool
    hyperparameters: dict[str, Any]
    values: dict[str, Number]
    mean: Number | None
    failed: list[int]
    open: list[int]
    lead: Lead | None


class Confirm(TypedDict):
    """The document of `modeldir confirm`. The best configuration of the search is the first.

    `lead` compares the first one with another: null for itself, and while too few runs have ended.
    """

    path: str
    metric: str
    direction: Literal["maximize", "minimize"]
    configurations: list[Configuration]
    is_complete: bool
    answer: str
    exit_code: int


DOCUMENTS = {
    "init": Init,
    "new": New,
    "confirm": Confirm,
    "best": Best,
    "show": Show,
    "results": Results,
    "run": Run,
    "search": SearchRun,
}
"""The document of each command. If it fails, it has `error` instead of, or beside, these keys."""
