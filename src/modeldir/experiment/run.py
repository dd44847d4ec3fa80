"""`start()` and the `Run` it returns: the API for training scripts.

The rule: only one process writes the run file. Under a supervisor (`modeldir run`, `modeldir
search`) that owns it, and the script only adds events; else the `Run` owns it. A search's own loop
over trials: `search/loop`.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from modeldir._system import distributed, files, processes, reading, timestamps
from modeldir._system.shell import quoted
from modeldir.errors import CheckpointError, FolderBusy, FolderError, MetricsError, TrialPruned
from modeldir.experiment import (
    attempts,
    failure_classes,
    given_params,
    liveness,
    open_runs,
    provenance,
)  # fmt: skip
from modeldir.experiment.checkpoints import load_checkpoint, save_checkpoint
from modeldir.experiment.experiment import no_folder_message, params_file
from modeldir.logs.logger import Log, set_logger
from modeldir.metrics import metric_files, objective
from modeldir.metrics.objective import Ranked
from modeldir.metrics.recorder import Recorder
from modeldir.params import params, usage

if TYPE_CHECKING:
    from modeldir.pruners.pruning_decision import Judge

_PRUNER_VARIABLE = "MODELDIR_PRUNER"  # as in pruners/judge, which is imported only if it is set


def start(  # noqa: PLR0913 - each is an option that a script may need
    model_dir: str | os.PathLike[str],
    params: Mapping[str, Any] | object | None = None,
    *,
    maximize: str | None = None,
    minimize: str | None = None,
    resume: bool | None = None,
    log: str = "train.log",
    level: str | int = "INFO",
) -> Run:
    """Begin a training run in an experiment's folder.

    The run ends with `with modeldir.start(dir) as run:`, with `run.close()`, or with the process.
    An exception that ends it is recorded.

    Args:
        model_dir: the folder, with `params.json`.
        params: the script's own hyperparameters, e.g. `vars(args)`. Folder and `params.json` are
            then made if they are not there. Values that a later run changes replace those in
            `params.json`; the earlier ones are kept with the earlier run's files, in `attempts/`.
            In a trial of a search they must be what the search has chosen.
        maximize: the metric that decides which weights are best. By default it is accuracy, then
            f1, then loss, whichever is logged.
        minimize: as `maximize`, for a metric that should be low.
        resume: whether this run continues an earlier one in the folder. If not, the files of an
            earlier run are archived under `attempts/`. The default is what `modeldir search`
            decided, else no.
        log: the log's file name in the folder.
        level: the lowest level that is logged.

    Raises:
        FolderError: when the folder does not exist or holds no hyperparameters.
        FolderBusy: when another process runs in it.
        ParamsError: when the hyperparameters cannot be read or stored, or when a trial's script
            uses other values than the search has chosen.
    """
    ranked = _ranked(maximize, minimize)
    return Run(Path(model_dir), ranked, params, resume=resume, log=log, level=level)


def _ranked(maximize: str | None, minimize: str | None) -> Ranked | None:
    if maximize and minimize:
        raise MetricsError("give maximize or minimize, not both")
    if maximize:
        return metric_files.without_split(maximize), "maximize"
    if minimize:
        return metric_files.without_split(minimize), "minimize"
    direction, _, name = os.environ.get(objective.RANKED_VARIABLE, "").partition(":")
    if not name:
        return None
    return metric_files.without_split(name), "minimize" if direction == "minimize" else "maximize"


class Run:
    """A training run. You may read `params`, `model_dir`, `attempt` and `resumes`."""

    def __init__(  # noqa: PLR0913 - the options of `start`
        self,
        model_dir: Path,
        ranked: Ranked | None,
        given: Mapping[str, Any] | object | None = None,
        *,
        resume: bool | None,
        log: str,
        level: str | int,
    ) -> None:
        self.model_dir = model_dir
        self._is_other_rank = distributed.rank() > 0
        self._began = time.monotonic()
        supervised = attempts.attempt_in_environment(model_dir)
        own = (
            None
            if given is None
            else given_params.prepare(
                given, model_dir, writes=not self._is_other_rank, is_fixed=supervised is not None
            )
        )
        self.params = params.Params(own.values) if own else _opened(model_dir)
        self._archive: Path | None = None
        self._owned: attempts.Attempt | None = None
        self._has_ended = False
        self.resumes = _resumes(supervised, wanted=resume)
        self._judge: Judge | None = None
        self._has_announced = False  # the event for the supervisor
        self._is_first = True  # until the first metrics; on other ranks always
        self._pruned: str | None = None
        self.attempt = supervised or self._begin()
        try:
            self._log: Log | None = (
                None if self._is_other_rank else set_logger(model_dir / log, level)
            )
            self._report_archive()
            if own is not None:
                self._take(own)
            self._judge = self._load_judge() if supervised else None
        except BaseException as error:
            self._end(end_of(error))  # else this process would own the folder until it ends
            raise
        self._recorder = Recorder(model_dir, ranked, resumes=self.resumes)
        self._add_floats = self._recorder.add_floats  # looked up once, because it is called often
        open_runs.add(self)

    def _take(self, own: given_params.Given) -> None:
        """Let the params file and the values that the script uses agree."""
        if own.file is None:  # rank 0 writes it
            return
        if own.changed and not own.is_fixed and not self._is_other_rank:
            given_params.replace(own, self._archive)
        self.params = _opened(self.model_dir)
        given_params.take(self.params, own.changed)  # this counts as reading all of them

    def _begin(self) -> int:
        """Claim the next attempt for this process, if no supervisor has done so."""
        if self._is_other_rank:
            return 1
        for run in open_runs.of_this_process():  # a notebook's cell, run again
            if isinstance(run, Run) and files.same_file(run.model_dir, self.model_dir):
                run.close(KeyboardInterrupt("the same process started the run again"))
        facts = _facts(self.model_dir)
        for _ in range(100):
            number = liveness.next_number(self.model_dir)
            own = _own_since_ns(self.model_dir, number)
            self._owned = attempts.begin(self.model_dir, number, facts, own_since_ns=own)
            if self._owned is not None:
                if not self.resumes:
                    self._archive = attempts.archive(self.model_dir, number, own_since_ns=own)
                return number
        raise FolderBusy(f"{self.model_dir}: other runs keep starting in this folder")

    def _report_archive(self) -> None:
        if self._archive is not None:
            import logging  # noqa: PLC0415 - the log has loaded it

            message = "Files of an earlier training run are now in %s"
            logging.getLogger(__name__).info(message, self._archive)

    def _load_judge(self) -> Judge | None:
        """Return what decides in this process whether the trial stops early, or None.

        With several ranks, none may leave alone, since the others would wait for it. Then the
        supervisor decides by the metric files and ends all of them.
        """
        orders = os.environ.get(_PRUNER_VARIABLE)
        if not orders or distributed.world_size() > 1:
            return None
        from modeldir.pruners.pruning_decision import Judge, Orders  # noqa: PLC0415 - only in a search

        judge = Judge(Orders.from_text(orders), self.attempt, resumes=self.resumes)
        if self.resumes:
            judge.hear_again(reading.read_lines(self.model_dir / metric_files.METRICS_LINES))
        return judge

    def _announce_judge(self, values: Mapping[str, float]) -> None:
        """Tell the supervisor, before it can see validation metrics, that it need not decide.

        Not earlier: a script may write its metric files itself and never call `log`.
        """
        if (
            self._judge is None
            or self._has_announced
            or not metric_files.validation_metrics(values)
        ):
            return
        self._has_announced = True
        attempts.add_event(self.model_dir, self.attempt, attempts.PRUNES_ITSELF)

    # -- Metrics -----------------------------------------------------------------------------------

    def log(self, step: int, values: Mapping[str, Any] | None = None, /, **more: Any) -> bool:
        """Record metrics at a step, usually an epoch; return whether they are the best so far.

        This adds a line to `metrics.jsonl` and replaces `metrics_eval_last_weights.json`, and at a
        new best also `metrics_eval_best_weights.json`. (If you log more than 20 times a second,
        these two files may be 0.05 s behind until weights are saved or the run ends.) Names may
        have a split: `val/accuracy` is the validation set's accuracy, and `train/loss` goes only
        into `metrics.jsonl`.

        In a search with a pruner the trial may end here. The logged metrics are kept, and `with
        modeldir.start(...)` ends without an error.

        Raises:
            MetricsError: when a value is not a number, or the step is missing.
            TrialPruned: when the pruner stops this trial.
        """
        given = more if not values else {**values, **more} if more else values
        if not given:
            _check_step(step)
        if self._is_first:
            json_values = metric_files.as_json(given)
            if self._is_other_rank:
                return False
            self._before_first_metrics(json_values)
        names = self._add_floats(step, given)
        if names is not None and not names:  # only metrics of the training set
            return False
        validation = self._recorder.update_summary(step, given, names)
        if not validation:
            return False
        if self._judge is not None:
            self._stop_early(self._judge, step, validation)
        return self._recorder.new_best

    def _before_first_metrics(self, values: Mapping[str, Any]) -> None:
        """Add the events that must come before the first metrics can be seen."""
        if not self._recorder.has_begun:
            params.report_reads(self.params)
        self._announce_judge(dict(metric_files.numbers_in(values)))
        self._is_first = self._judge is not None and not self._has_announced

    def _stop_early(self, judge: Judge, step: int, validation: Mapping[str, float]) -> None:
        """Raise TrialPruned if the trial should end, and again if the script continues anyway."""
        if self._pruned is None:
            self._pruned = judge.hear(step, validation)
        if self._pruned is not None:
            raise TrialPruned(self._pruned)

    # -- Weights -----------------------------------------------------------------------------------

    def save_checkpoint(self, state: Mapping[str, Any], is_best: bool | None = None) -> Path | None:  # noqa: FBT001 - as CS230's helper
        """Save weights as `last.*`, and as `best.*` if `is_best`.

        By default `is_best` is what the latest `log` returned. Returns the path of the last
        weights, or None on ranks other than 0.
        """
        if self._is_other_rank:
            return None
        best = self._recorder.new_best if is_best is None else is_best
        self._recorder.flush()  # the metrics files then belong to these weights
        return save_checkpoint(state, self.model_dir, is_best=best)

    def restore(self, name: str = "last") -> dict[str, Any] | None:
        """Return the saved state if this run continues an earlier one, else None.

        A script that calls this can be interrupted at any time: `modeldir search` then leaves its
        weights in place and runs it again.
        """
        if not self._is_other_rank:
            attempts.add_event(self.model_dir, self.attempt, "can_resume")
        if not self.resumes:
            return None
        try:
            return load_checkpoint(self.model_dir, name)
        except CheckpointError:
            return None  # interrupted before the first weights

    # -- The end -----------------------------------------------------------------------------------

    def __enter__(self) -> Run:  # noqa: PYI034 - Self needs Python 3.11
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        self.close(error)
        return isinstance(error, TrialPruned)

    def close(self, error: BaseException | None = None) -> None:
        """End the run: `completed`, or by `error`: `pruned`, `interrupted` or `failed`.

        A second call changes nothing. A script needs this only to end a run that is in no `with`
        before the process ends.
        """
        if self._has_ended:
            return
        open_runs.remove(self)
        if error is None and self._log is not None:
            self._log.close("clean")  # after an error it stays open for the traceback
        self._recorder.close()
        self._end(end_of(error))

    def _end(self, end: dict[str, Any]) -> None:
        self._has_ended = True
        if self._is_other_rank:
            return
        params.report_reads(self.params)
        used = usage.summary(params.source(self.params))
        attempts.add_event(self.model_dir, self.attempt, "end", **end)
        if self._owned is not None:
            duration = round(time.monotonic() - self._began, 3)
            finished = {**end, "ended": timestamps.utc_now(), "duration": duration}
            finished.update({} if used is None else {"params": used})
            self._owned = attempts.rewrite(self._owned, finished, durable=True)


def _check_step(step: object) -> None:
    """Raise an error if metrics stand in the place of the step, as other libraries take them."""
    if isinstance(step, Mapping):
        raise MetricsError("run.log needs a step before the metrics: run.log(epoch, {...})")


def _opened(model_dir: Path) -> params.Params:
    file = params_file(model_dir)
    if file is None:
        raise FolderError(_no_params(model_dir))
    usage.begin(files.absolute(file))
    return params.Params(file)


def end_of(error: BaseException | None) -> dict[str, Any]:
    if isinstance(error, TrialPruned):
        return {"status": attempts.PRUNED, "reason": str(error) or None}
    if isinstance(error, KeyboardInterrupt):
        return {"status": attempts.INTERRUPTED, "reason": str(error) or "KeyboardInterrupt"}
    if error is None or (isinstance(error, SystemExit) and error.code in (None, 0)):
        return {"status": attempts.COMPLETED}
    line = f"{type(error).__name__}: {error}".partition("\n")[0]
    return {
        "status": attempts.FAILED,
        "failure": failure_classes.failure_class(line),
        "last_line": line,
    }


def _resumes(supervised: int | None, *, wanted: bool | None) -> bool:
    if wanted is not None:
        return wanted
    return supervised is not None and os.environ.get(attempts.RESUME_VARIABLE) == "1"


def _facts(folder: Path) -> dict[str, Any]:
    from modeldir.experiment import kept_code  # noqa: PLC0415 - not under a supervisor

    me = processes.process()
    here = Path.cwd()
    return {
        "command": list(sys.orig_argv),
        "cwd": str(here),
        "supervisor": None,
        "process": me.to_json() if me else None,
        "code": provenance.code_hash(here),
        "commit": provenance.git_commit(here),
        **kept_code.kept(here, folder),
        **provenance.interpreter(),
    }


def _own_since_ns(folder: Path, number: int) -> int | None:
    """Return since when files in a folder belong to attempt `number`, as Unix time in ns.

    That is since this process began and, if it has run there before, since that run ended.
    """
    age = processes.age()
    if age is None:
        return None
    since = time.time_ns() - int(age * 1e9)
    if number > 1:
        with contextlib.suppress(OSError):
            ended = os.stat(folder / attempts.run_file(number - 1)).st_mtime_ns
            since = max(since, ended + 1)  # a file of the same tick is older
    return since


def _no_params(model_dir: Path) -> str:
    if not model_dir.is_dir():
        return no_folder_message(model_dir)
    return (
        f"{model_dir} holds no params.json\n"
        f"  to make one: modeldir new {quoted(model_dir)} --from OTHER_EXPERIMENT"
    )
