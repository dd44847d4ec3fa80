"""The plan of one search, as its `search.json` and the base config in `params.json` say now.

`Search` makes a `PlanFile` of what it was given. The scheduler asks it whether the file has changed
(`has_changed`) and reads it again (`load`). The keys of a plan: `plan.py`; how values that are
given again join those of the file: `plan_updates.py`. A plan is written only by a worker that holds
the search's lock.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modeldir._system import files
from modeldir._system.file_stamps import stamp
from modeldir._system.shell import quoted
from modeldir.errors import CommandError, SearchError
from modeldir.experiment import project_settings
from modeldir.params import plain_values
from modeldir.params.equality import same
from modeldir.params.plain_values import SEED
from modeldir.search import (
    base_config,
    placeholders,
    plan,
    plan_check,
    plan_updates,
    resuming,
    start_checks,
    trial_command,
)
from modeldir.search.base_config import with_values
from modeldir.search.trials import Trials

_EXACT = 2**53
"""Integers below it are the same as floats."""


class PlanFile:
    """The plan of the search in a folder, and the base config that it varies.

    Args:
        folder: the search's folder.
        given: what the command line or Python say; it is joined with what the file says.
        accept_new_base: continue although the base config changed since trials were made.

    Raises:
        SearchError: when the plan or the folder cannot be searched; every problem at once.
        ParamsError: when the base config or the plan cannot be read.
    """

    def __init__(self, folder: Path, given: Mapping[str, Any], *, accept_new_base: bool) -> None:
        self.folder = folder
        self._absolute = os.path.abspath(folder)
        self.file = os.path.join(folder, plan.FILE)
        self.given = dict(given)
        if plan.is_file(given.get("try")):
            there = plan.read_plan(folder)
            whole = {**there, **{key: each for key, each in given.items() if each is not None}}
            base = base_config.load_if_needed(folder, self._with_command(whole))
            self.given = plan.with_points(given, there, base, Path())
        self._accept_new_base = accept_new_base
        # A command that only shows the plan does not need its sampler, nor imports its code.
        self._to_run = any(self.given.values())
        self.changes: list[str] = []
        self.load(self.given)

    def load(self, given: Mapping[str, Any]) -> None:
        """Read the base config and the plan, join the plan with what was given, and check it."""
        self._read_from = stamp(self.file)  # before reading: a change in between is seen later
        self._as_read = written = plan.read_plan(self.folder)
        raw, changes = plan_updates.joined(written, given)
        self.base = base_config.load_base(self.folder, self._with_command(raw))
        self.flat_base = plain_values.flatten(self.base)
        if not written:
            start_checks.check_untrained(self.folder)
        self.plan = self._checked(raw, written)
        self.changes += changes
        if written.get("auto") != self.plan.written.get("auto"):
            self.changes += self.chosen_by_auto()

    def _checked(
        self, raw: Mapping[str, Any], written: Mapping[str, Any] | None = None
    ) -> plan.Plan:
        """Check a raw plan, with the settings of the project that its command belongs to.

        Where the plan that is `written` is correct, the error says that what was given is not.
        """
        project = project_settings.settings(self._project_folder(raw.get("cwd")))
        self.ignored = frozenset(project.get("ignore", ()))
        where = str(self.folder / plan.FILE)
        try:
            return plan_check.check(raw, self.base, where, project, to_run=self._to_run)
        except SearchError:
            if written is None or {**written, "command": None} == {**raw, "command": None}:
                raise
        if written:
            plan_check.check(written, self.base, where, project)
        return plan_check.check(
            raw, self.base, where, project, f"{self.folder} cannot be searched as asked:"
        )

    def _with_command(self, raw: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return a raw plan with the project's command, where it has none of its own."""
        if raw.get("command") is not None:
            return raw
        project = project_settings.settings(self._project_folder(raw.get("cwd")))
        return {**raw, "command": project.get("command")}

    def check_to_run(self) -> None:
        """Check the plan with the code and the packages that it needs; later ones likewise."""
        if not self._to_run:
            self._to_run = True
            self.plan = self._checked(self.plan.written)

    def has_changed(self) -> bool:
        """Whether the file was changed since this object read or wrote it."""
        state = stamp(self.file)
        if state is not None and state[1] == 0:
            return (
                False  # an editor is writing it just now; its content will be a change of its own
            )
        return state != self._read_from

    def as_read(self, key: str) -> object:
        """Return the value that a key of the file had when it was read."""
        return self._as_read.get(key)

    def amend(self, changes: Mapping[str, Any]) -> None:
        """Join the plan with further changes; nothing is written."""
        raw, _ = plan_updates.joined(self.plan.written, changes)
        self.plan = self._checked(raw)

    def write(self) -> bool:
        """Write the plan, where the file says something else.

        False, and nothing is written, where another command has changed the file since it was read:
        `load` it first. The caller holds the search's lock.
        """
        if not same(plan.read_plan(self.folder), self._as_read):
            return False
        if not same(self.plan.written, self._as_read):
            files.write_json(self.folder / plan.FILE, self.plan.written, durable=True)
            self._as_read = dict(self.plan.written)
        self._read_from = stamp(self.file)
        return True

    def use_command(self, command: str, *, typed: bool) -> list[str]:
        """Make a command the plan's, and check it. Return what is new about it.

        A command that was `typed` just now runs from here, one that the plan had where it ran.

        Raises:
            CommandError: when the command cannot run a trial.
        """
        before = self.plan.written
        if typed or "cwd" not in before or before.get("command") != command:
            self.amend({"command": command, "cwd": os.path.relpath(Path.cwd(), self.folder)})
        example = self.hyperparameters(dict.fromkeys(self.plan.space.domains))
        varied = [*self.plan.space.domains, *([SEED] if self.plan.repeats > 1 else [])]
        trial_command.check_command(command, example, self.working_folder(), varied)
        self._refuse_without_default(command)
        resume = {**example, resuming.CHECKPOINT: ""}
        if problems := placeholders.problems(self.plan.resume, resume):
            raise CommandError("The arguments of --resume cannot be filled in:", problems)
        now = self.plan.written
        news = [
            f"plan: {key}: {before[key]} -> {now[key]}"
            for key in ("command", "cwd")
            if key in before and before[key] != now[key]
        ]
        news += [] if typed else self._other_command(command)
        news += self._relative_paths(command)
        return [*news, *filter(None, [trial_command.other_python(command, self.working_folder())])]

    def _relative_paths(self, command: str) -> list[str]:
        if not self.plan.run_in_trial:
            return []
        folder, words = self.working_folder(), trial_command.words_of(command)
        return [
            f"note: {each} is relative to {folder}, but each trial runs in its own folder\n"
            f"  write in the command: {{project}}/{each}"
            for each in trial_command.relative_paths(words, folder)
        ]

    def _without_default(self) -> list[str]:
        """Return the hyperparameters that have no value in trials where they are inactive."""
        flat = self.flat_base
        return [name for name in self.plan.space.conditions if flat.get(name) is None]

    def _refuse_without_default(self, command: str) -> None:
        """Refuse `{momentum}` where no `params.json` has a value for trials without momentum."""
        needed = placeholders.bare(command, self._without_default())
        problems: list[tuple[str, str | None]] = [
            (
                f"{{{name}}}: it has no value where its condition is not met",
                f"to leave it out there: {{{name}:--{name}}} instead of --{name} {{{name}}}",
            )
            for name in sorted(needed)
        ]
        if problems:
            raise CommandError("The command cannot start:", problems)

    def _other_command(self, command: str) -> list[str]:
        """Note that the project's settings have another command than this search."""
        project = self._with_command({"cwd": self.plan.cwd}).get("command")
        if project is None or project == command:
            return []
        note = f"note: {project_settings.FILE} has another command; this search keeps: {command}"
        return [f"{note}\n  to change it: modeldir search {quoted(self.folder)} -- {project}"]

    def chosen_by_auto(self) -> list[str]:
        """Say which sampler `auto` has chosen and why; nothing where the user named a sampler."""
        auto = self.plan.auto
        return [] if auto is None else [f"sampler {self.plan.sampler}, by auto: {auto}"]

    def check_base(self, trials: Trials) -> list[str]:
        """Check that the base config is the one that the newest trial was made with.

        Returns:
            With `accept_new_base`, a line that says what has changed.

        Raises:
            SearchError: when it has changed.
        """
        return start_checks.check_base(
            self.folder, self.plan, self.flat_base, trials, accept_new_base=self._accept_new_base
        )

    def hyperparameters(self, configuration: Mapping[str, Any]) -> dict[str, Any]:
        """Return all hyperparameters of a trial: the base config with a configuration's values.

        An integer takes the type of a float there: a script may refuse 0 beside 0.2.
        """
        floats = {
            name: float(value)
            for name, value in configuration.items()
            if type(value) is int
            and abs(value) < _EXACT
            and isinstance(self.flat_base.get(name), float)
        }
        return with_values(self.base, {**configuration, **floats})

    def configuration_of(self, flat: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return the configuration of a trial folder that names none; None if it lacks a value."""
        point = self.plan.space.decided(flat)
        if point is None or self.plan.repeats <= 1 or SEED not in flat:
            return point
        return {**point, SEED: flat[SEED]}

    def working_folder(self) -> Path:
        """Return the folder in which trials' commands run: where the search was started."""
        return self._project_folder(self.plan.cwd)

    def _project_folder(self, cwd: object) -> Path:
        if not isinstance(cwd, str):
            return Path.cwd()
        return _folder_at(self._absolute, cwd)

    def command_for(self, name: str, hyperparameters: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the words of the command for the trial with this name.

        Raises:
            SearchError: when the plan has no command.
        """
        if self.plan.command is None:
            raise SearchError(
                f"{self.folder}: no command says how to train.\n"
                f"  modeldir search {quoted(self.folder)} -- python train.py",
                state="Nothing was started.",
            )
        typed = self.typed_folder(name)
        inactive = self._without_default()
        if inactive:
            active = self.plan.space.active_names(plain_values.flatten(hyperparameters))
            inactive = [name for name in inactive if name not in active]
        project = self.working_folder()
        words = trial_command.fill(
            self.plan.command, hyperparameters, typed, inactive, project=str(project)
        )
        return trial_command.from_elsewhere(words, project) if self.plan.run_in_trial else words

    def typed_folder(self, name: str) -> str:
        """Return the folder of the trial with this name, as its command has it."""
        absolute = os.path.join(self._absolute, name)
        if self.plan.run_in_trial:
            return absolute
        return absolute.removeprefix(os.path.join(self.working_folder(), ""))


@functools.lru_cache(maxsize=8)
def _folder_at(start: str, relative: str) -> Path:
    """Join two paths; the result is kept, since each trial asks several times for the same one."""
    return Path(os.path.normpath(os.path.join(start, relative)))
