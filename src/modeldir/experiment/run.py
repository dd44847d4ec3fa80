"""What a training script uses: `start()` and the `Run` it gives.

It knows how one training records itself in its folder: hyperparameters read, log, metrics line by
line, the best and the last metrics, weights, and how it ended. Under a supervisor (`modeldir run`,
`modeldir search`) the run file is the supervisor's, and the script only tells what it alone knows.
It refuses to know of other folders.
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

from modeldir._system import distributed, files, processes, timestamps
from modeldir._system.shell import quoted
from modeldir.errors import CheckpointError, FolderBusy, FolderError, MetricsError, TrialPruned
from modeldir.experiment import attempts, failures, provenance
from modeldir.experiment.checkpoints import load_checkpoint, save_checkpoint
from modeldir.experiment.experiment import no_folder_message, params_file
from modeldir.logs.logger import Log, set_logger
from modeldir.metrics import metrics
from modeldir.metrics.objective import Ranked
from modeldir.metrics.recorder import Recorder
from modeldir.params import params, usage

if TYPE_CHECKING:
    from modeldir.pruners.judge import Judge

_PRUNER_VARIABLE = (
    "MODELDIR_PRUNER"  # as pruners/judge.py has it, which is imported where it is set
)


def start(  # noqa: PLR0913 - each is something that a script may want to say
    model_dir: str | os.PathLike[str],
    *,
    maximize: str | None = None,
    minimize: str | None = None,
    resume: bool | None = None,
    log: str = "train.log",
    level: str | int = "INFO",
) -> Run:
    """Begin a training in an experiment's folder; use as `with modeldir.start(dir) as run:`.

    Args:
        model_dir: the folder, with `params.json`.
        maximize: the metric that says which weights are best; by default accuracy, then f1, then
            loss is looked for among what is logged.
        minimize: as `maximize`, for a metric that should be low.
        resume: whether this run continues what lies in the folder. If not, what an earlier run left
            is set aside under `attempts/`. By default what `modeldir search` decided, else no.
        log: the log's file name in the folder.
        level: the lowest level that is logged.

    Raises:
        FolderError: when the folder is not there or holds no hyperparameters.
        FolderBusy: when another live run holds it.
        ParamsError: when the hyperparameters cannot be read.
    """
    ranked = _ranked(maximize, minimize)
    return Run(Path(model_dir), ranked, resume=resume, log=log, level=level)


def _ranked(maximize: str | None, minimize: str | None) -> Ranked | None:
    if maximize and minimize:
        raise MetricsError("give maximize or minimize, not both")
    if maximize:
        return metrics.without_split(maximize), "maximize"
    if minimize:
        return metrics.without_split(minimize), "minimize"
    direction, _, name = os.environ.get(metrics.RANKED_VARIABLE, "").partition(":")
    if not name:
        return None
    return metrics.without_split(name), "minimize" if direction == "minimize" else "maximize"


class Run:
    """One training, as it runs. `params`, `model_dir`, `attempt` and `resumes` may be read."""

    def __init__(
        self,
        model_dir: Path,
        ranked: Ranked | None,
        *,
        resume: bool | None,
        log: str,
        level: str | int,
    ) -> None:
        self.model_dir = model_dir
        self._quiet = distributed.rank() > 0
        self._began = time.monotonic()
        file = params_file(model_dir)
        if file is None:
            raise FolderError(_no_params(model_dir))
        usage.begin(files.absolute(file))
        self.params = params.Params(file)
        self._set_aside: Path | None = None
        self._owned: attempts.Attempt | None = None
        held = attempts.attempt_in_environment(model_dir)
        self.resumes = _resumes(held, wanted=resume)
        self._judge: Judge | None = None
        self._judges = False  # which is told with the first development metrics
        self._is_to_tell = True  # on other ranks for ever
        self._pruned: str | None = None
        self.attempt = held or self._begin()
        try:
            self._log: Log | None = None if self._quiet else set_logger(model_dir / log, level)
            self._tell_what_was_set_aside()
            self._judge = self._judged_by() if held else None
        except BaseException as error:
            self._end(end_of(error))  # else the folder would be held as long as the process
            raise
        self._recorder = Recorder(model_dir, ranked, resumes=self.resumes)
        self._add_floats = self._recorder.add_floats  # looked up once: it is called so often

    def _begin(self) -> int:
        """Claim the next attempt for this process: no supervisor has done it."""
        if self._quiet:
            return 1
        for _ in range(100):
            number = attempts.next_number(self.model_dir)
            own = _own_since_ns(self.model_dir, number)
            self._owned = attempts.begin(self.model_dir, number, _facts(), own_since_ns=own)
            if self._owned is not None:
                if not self.resumes:
                    self._set_aside = attempts.archive(self.model_dir, number, own_since_ns=own)
                return number
        raise FolderBusy(f"{self.model_dir}: other runs keep starting in this folder")

    def _tell_what_was_set_aside(self) -> None:
        if self._set_aside is not None:
            import logging  # noqa: PLC0415 - the log is there by now, and with it the module

            words = "What an earlier training left here is now in %s"
            logging.getLogger(__name__).info(words, self._set_aside)

    def _judged_by(self) -> Judge | None:
        """What decides in this process whether the trial stops early; None where nothing does.

        Of several ranks none may leave alone, the others would wait for it: there the supervisor
        decides, by the metric files, and ends them all.
        """
        told = os.environ.get(_PRUNER_VARIABLE)
        if not told or distributed.ranks() > 1:
            return None
        from modeldir.pruners.judge import Judge, Orders  # noqa: PLC0415 - only where trials are

        judge = Judge(Orders.from_text(told), self.attempt, resumes=self.resumes)
        if self.resumes:
            judge.hear_again(files.read_lines(self.model_dir / metrics.METRICS_LINES))
        return judge

    def _claim_judgement(self, values: Mapping[str, float]) -> None:
        """Tell the supervisor, before it can see the first development metrics, that it need not
        judge. Not sooner: a script may write its metric files by itself, and never call `log`.
        """
        if self._judge is None or self._judges or not metrics.validation_metrics(values):
            return
        self._judges = True
        attempts.add_event(self.model_dir, self.attempt, attempts.PRUNES_ITSELF)

    # -- Metrics -----------------------------------------------------------------------------------

    def log(self, step: int, values: Mapping[str, Any] | None = None, /, **more: Any) -> bool:
        """Record development metrics at a step (an epoch, usually); true if they are the best yet.

        A line is added to `metrics.jsonl`; `metrics_eval_last_weights.json` is replaced, and so is
        `metrics_eval_best_weights.json` at a new best. (Who logs more than 20 times a second finds
        these two up to 0.05 s behind, until weights are saved or the run ends.) Names may carry a
        split: `val/accuracy` is the development split's accuracy, `train/loss` goes to
        `metrics.jsonl` alone.

        In a search with a pruner the trial may end here: what was logged is kept, and `with
        modeldir.start(...)` leaves quietly.

        Raises:
            MetricsError: when a value is not a number.
            TrialPruned: when the pruner says that this trial should stop.
        """
        given = more if not values else {**values, **more} if more else values
        if self._is_to_tell:
            plain = metrics.as_json(given)
            if self._quiet:
                return False
            self._tell_before(plain)
        meant = self._add_floats(step, given)
        if meant is not None and not meant:  # nothing but the training's own
            return False
        development = self._recorder.update_summary(step, given, meant)
        if not development:
            return False
        if self._judge is not None:
            self._stop_early(self._judge, step, development)
        return self._recorder.new_best

    def _tell_before(self, values: Mapping[str, Any]) -> None:
        """What the first metrics bring with them: told before anybody can see these."""
        if not self._recorder.has_begun:
            params.report_reads(self.params)
        self._claim_judgement(dict(metrics.numbers_in(values)))
        self._is_to_tell = self._judge is not None and not self._judges

    def _stop_early(self, judge: Judge, step: int, development: Mapping[str, float]) -> None:
        """Raises TrialPruned if the trial should end; again, if the script went on all the same."""
        if self._pruned is None:
            self._pruned = judge.hear(step, development)
        if self._pruned is not None:
            raise TrialPruned(self._pruned)

    # -- Weights -----------------------------------------------------------------------------------

    def save_checkpoint(self, state: Mapping[str, Any], is_best: bool | None = None) -> Path | None:  # noqa: FBT001 - as CS230's helper
        """Save weights as `last.*`, and as `best.*` if `is_best`.

        `is_best` is by default what the latest `log` returned. Returns the path of the last
        weights; None on ranks other than 0.
        """
        if self._quiet:
            return None
        best = self._recorder.new_best if is_best is None else is_best
        self._recorder.flush()  # who has these weights has their metrics, too
        return save_checkpoint(state, self.model_dir, is_best=best)

    def restore(self, name: str = "last") -> dict[str, Any] | None:
        """The saved state to go on from, if this run continues an earlier one; else None.

        A script that calls this can be interrupted at any time: `modeldir search` then leaves its
        weights in place and runs it again.
        """
        if not self._quiet:
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
        if error is None and self._log is not None:
            self._log.close("clean")  # after an error it stays: the traceback comes yet
        self._recorder.close()
        self._end(end_of(error))
        return isinstance(error, TrialPruned)

    def _end(self, end: dict[str, Any]) -> None:
        if self._quiet:
            return
        params.report_reads(self.params)
        used = usage.account(params.source(self.params))
        attempts.add_event(self.model_dir, self.attempt, "end", **end)
        if self._owned is not None:
            duration = round(time.monotonic() - self._began, 3)
            finished = {**end, "ended": timestamps.utc_now(), "duration": duration}
            finished.update({} if used is None else {"params": used})
            self._owned = attempts.rewrite(self._owned, finished, durable=True)


def end_of(error: BaseException | None) -> dict[str, Any]:
    """How a training ended, by the exception that left it."""
    if isinstance(error, TrialPruned):
        return {"status": attempts.PRUNED, "reason": str(error) or None}
    if isinstance(error, KeyboardInterrupt):
        return {"status": attempts.INTERRUPTED, "reason": "KeyboardInterrupt"}
    if error is None or (isinstance(error, SystemExit) and error.code in (None, 0)):
        return {"status": attempts.COMPLETED}
    line = f"{type(error).__name__}: {error}".partition("\n")[0]
    return {
        "status": attempts.FAILED,
        "failure": failures.failure_class(line),
        "last_line": line,
    }


def _resumes(held: int | None, *, wanted: bool | None) -> bool:
    if wanted is not None:
        return wanted
    return held is not None and os.environ.get(attempts.RESUME_VARIABLE) == "1"


def _facts() -> dict[str, Any]:
    """What a run file says of a training without a supervisor."""
    me = processes.process()
    here = Path.cwd()
    return {
        "command": list(sys.orig_argv),
        "cwd": str(here),
        "supervisor": None,
        "process": me.to_json() if me else None,
        "code": provenance.code_hash(here),
        "commit": provenance.git_commit(here),
        **provenance.interpreter(),
    }


def _own_since_ns(folder: Path, number: int) -> int | None:
    """Since when what is made in a folder is attempt `number`'s own, as Unix time in ns: since this
    process began and, where it has run there before, since that ended. None: it cannot be told.
    """
    age = processes.age()
    if age is None:
        return None
    since = time.time_ns() - int(age * 1e9)
    if number > 1:
        with contextlib.suppress(OSError):
            ended = os.stat(folder / attempts.run_file(number - 1)).st_mtime_ns
            since = max(since, ended + 1)  # what was written in the same tick was before it
    return since


def _no_params(model_dir: Path) -> str:
    if not model_dir.is_dir():
        return no_folder_message(model_dir)
    return (
        f"{model_dir} holds no params.json\n"
        f"  to make one: modeldir new {quoted(model_dir)} --from OTHER_EXPERIMENT"
    )
