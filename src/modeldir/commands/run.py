"""`modeldir run DIR -- COMMAND`: run one experiment and keep its output, exit code and end.

The attempt is recorded by its supervisor (`worker/supervisor.py`); `_RunFile` decides where. The
spawner must be made first, while this process is small.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import select
import shlex
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from modeldir._system import files, heartbeat, programs, reading
from modeldir._system.durations import duration_text
from modeldir._system.shell import quoted, quoted_line
from modeldir._system.version import __version__
from modeldir.commands.folders import cannot_record, check_writable
from modeldir.commands.messages import print_stderr
from modeldir.errors import NOTHING_STARTED, CommandError, FolderBusy
from modeldir.experiment import (
    attempts,
    experiment,
    kept_code,
    liveness,
    project_settings,
    provenance,
)
from modeldir.experiment.attempts import console_file
from modeldir.metrics import file_patterns, objective
from modeldir.params.usage import NOT_TRAINING
from modeldir.search import placeholders, trial_command
from modeldir.worker import worker_messages
from modeldir.worker.spawner import Report, Spawner
from modeldir.worker.start_order import Start

HELP = "Run the script of one experiment and keep its output, exit code and status in the folder."
EXAMPLE = "modeldir run experiments/base_model -- python train.py --data_dir data"
FOLDERS = "dir"
JSON = True

_RESUMING = ("--restore", "--resume")
_TRAINING = "train"
"""A script whose name begins like this is the training script, whatever is in the folder."""
_ON_INTERRUPT = (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT)
"""How Ctrl-C is passed on: first, then, and the third time as a kill."""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.usage = (
        "modeldir run DIR [--resume] [--as-training] [-q] [-m NOTE] [--json] [-- COMMAND ...]"
    )
    parser.add_argument("dir", metavar="DIR", help="the experiment's folder, with params.json")
    parser.add_argument(
        "--resume",
        action="store_true",
        help="continue from the files in DIR (default: move them to DIR/attempts first)",
    )
    parser.add_argument(
        "--as-training",
        action="store_true",
        help="record the command as training, not as an evaluation, whatever its name",
    )
    parser.add_argument(
        "-q", "--quiet", action="store_true", help="keep the output, but do not print it"
    )
    parser.add_argument(
        "--verbose",
        action="store_true",
        help="also print where the run and its output are recorded",
    )
    parser.add_argument("-m", "--message", metavar="NOTE", help="keep a note in run.json")


def meant(words: Sequence[str]) -> str | None:
    if "--" in words or len(words) < 2:  # noqa: PLR2004 - a folder and a command
        return None
    folder, *rest = [word for word in words if word not in {"-q", "--quiet", "--resume"}]
    if not rest or rest[0].startswith("-") or folder.startswith("-"):
        return None
    return f"put the command after --: modeldir run {quoted_line([folder, '--', *rest])}"


def run(arguments: argparse.Namespace) -> int:
    # The spawner comes first, while this process is small: every attempt is a fork of it.
    with Spawner() as spawner:
        start, note = _start(arguments)
        if note:
            print_stderr(note)
        if arguments.verbose:
            print_stderr(_where(start))
        code = follow(spawner, start, show=not arguments.quiet)
    if arguments.json:
        from modeldir.commands import json_output, json_payloads  # noqa: PLC0415 - after the spawner

        row, _ = json_payloads.read_row(Path(arguments.dir))
        document = {"experiment": json_payloads.experiment_of(row), "exit_code": code}
        json_output.print_json(document)
    return code


def _start(arguments: argparse.Namespace) -> tuple[Start, str]:
    one = experiment.Experiment(arguments.dir)
    check_writable(one.path, "run")
    hyperparameters = one.params()
    here = Path.cwd()
    command = _command(arguments.command, here, one.path)
    trial_command.check_command(command, hyperparameters, here)
    words = trial_command.fill(command, hyperparameters, str(one.path), project=str(here))
    run_file = _RunFile(words, one.path, is_training=arguments.as_training)
    script = run_file.beside
    if arguments.command is None and "--model_dir" in words[:-2]:
        words = words[:-2]  # the latest attempt's command has it already
    observer = heartbeat.Observer()
    last = _latest_known(one.path, script, observer)
    if last is not None:
        liveness.kill_orphans(last)
    number = liveness.next_number(one.path, script, observer)
    resumes = arguments.resume or any(word.startswith(_RESUMING) for word in words)
    start = Start(
        folder=str(files.absolute(one.path)),
        number=number,
        command=words,
        cwd=str(here),
        script=script,
        resumes=resumes and number > 1,
        makes=placeholders.made_by(command),
        metrics=() if script else patterns(one.path, here),
        facts={
            "code": provenance.code_hash(here),
            "commit": provenance.git_commit(here),
            **kept_code.kept(here, one.path, programs.find_program(words[0])),
            "modeldir": __version__,
            **({"note": arguments.message} if arguments.message else {}),
        },
        doubt=last is not None and (observer.has_watched(last.path) or attempts.is_in_doubt(last)),
        is_shown=not arguments.quiet,
    )
    return start, run_file.note(start)


def patterns(folder: Path, here: Path) -> tuple[str, ...]:
    """Return the printed lines and files with metrics: those of the search, else the project's."""
    plan = reading.read_object(files.absolute(folder).parent / "search.json")
    found = objective.names(plan.get("metrics"))
    found = found or objective.names(project_settings.settings(here).get("metrics"))
    if found:
        file_patterns.check(found)  # raises what is wrong with them
    return found


def _where(start: Start) -> str:
    run_file = attempts.run_file(start.number, start.script)
    return (
        f"attempt {start.number} in {start.folder}: output in {console_file(start.script)}, "
        f"how it ends in {run_file}"
    )


def _latest_known(
    folder: Path, script: str, observer: heartbeat.Observer
) -> attempts.Attempt | None:
    """Return the latest attempt; on another host, wait 2 minutes to know if it still runs."""
    last, is_announced = attempts.latest(folder, script), False
    while last is not None and last.end is None and liveness.has_heartbeat(last):
        if liveness.is_alive(last, observer) is not None:
            break
        if not is_announced:
            is_announced = True
            print_stderr(_waits(last))
        time.sleep(heartbeat.interval() / 15)
        last = attempts.latest(folder, script)
    return last


def _waits(last: attempts.Attempt) -> str:
    silent = duration_text(heartbeat.seconds_since_beat(last.path) or 0.0)
    if not last.record:
        return (
            f"note: {last.path} is incomplete and was changed {silent} ago: waiting up to 2 "
            "minutes to see whether it is still being written"
        )
    return (
        f"note: {last.folder} runs on {liveness.host_of(last)}, last heartbeat {silent} ago: "
        "waiting up to 2 minutes to see whether it still runs"
    )


def _command(words: list[str] | None, here: Path, folder: Path) -> str:
    if words:
        return shlex.join(words)
    project = project_settings.settings(here)
    if project.get("command"):
        return str(project["command"])
    last = attempts.latest(folder)
    if last is not None and last.record.get("command"):
        return shlex.join([*map(str, last.record["command"])])
    raise CommandError(
        "run needs a command.\n"
        f"  modeldir run {quoted(folder)} -- python train.py\n"
        f'  Or set it once in {project_settings.FILE}:  command = "python train.py"',
        state=NOTHING_STARTED,
    )


class _RunFile:
    """The file that records an attempt: `run.json`, or one `beside` it, named by the script.

    A script is the training script if the latest attempt ran it, or if its name begins with
    `train`. It is recorded beside the training if its name says otherwise (`evaluate.py`). Any
    other script is recorded beside it too, unless the latest attempt failed: then there is nothing
    to evaluate, and the training script was probably renamed.
    """

    def __init__(self, words: tuple[str, ...], folder: Path, *, is_training: bool) -> None:
        self._script = _script_in(words)
        self._last = attempts.latest(folder)
        self._before = _script_in(self._last.record.get("command") if self._last else None)
        is_beside = not is_training and self._is_beside()
        self.beside = os.path.splitext(self._script)[0] if is_beside else ""

    def _is_beside(self) -> bool:
        if self._script in {"", self._before} or self._script.startswith(_TRAINING):
            return False
        if self._script.startswith(NOT_TRAINING):
            return True
        return self._last is not None and self._last.end != attempts.FAILED

    def note(self, start: Start) -> str:
        """Return a line if the user may have meant something else; otherwise an empty string."""
        if self.beside:
            file = attempts.run_file(start.number, self.beside)
            return (
                f"note: recorded as an evaluation ({file}). "
                f"If {self._script} trains the model, add --as-training."
            )
        if start.resumes or self._script in {"", self._before}:
            return ""
        if not attempts.needs_archiving(Path(start.folder), start.number):
            return ""
        left = f"the files of {self._before}" if self._before else "the files that were there"
        return (
            f"note: {self._script} is recorded as the training run, attempt {start.number}. "
            f"modeldir moves {left} to attempts/."
        )


def _script_in(command: object) -> str:
    words = [*map(str, command)] if isinstance(command, list | tuple) else []
    for word in words:
        if word.endswith((".py", ".sh")):
            return os.path.basename(word)
    if words and os.path.basename(words[0]).startswith("python") and "-m" in words[:-1]:
        return words[words.index("-m") + 1].rpartition(".")[2]
    return ""


def follow(spawner: Spawner, start: Start, *, show: bool) -> int:
    """Run one attempt to its end, show what it prints, and return its exit code."""
    console = _Console(os.path.join(start.folder, console_file(start.script)), show=show)
    interrupts = 0
    wake, wake_end = os.pipe()
    for descriptor in (wake, wake_end):
        os.set_blocking(descriptor, False)
    signal.set_wakeup_fd(wake_end, warn_on_full_buffer=False)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    if start.script or start.resumes:
        console.skip()  # an earlier attempt's output was shown then
    supervisor = spawner.start(start)
    progress = _Following(start, console)
    while not progress.has_ended:
        ready, _, _ = select.select([spawner.reports, wake], [], [], 0.02 if show else None)
        if wake in ready:
            os.read(wake, 512)
            interrupts += 1
            if progress.is_stuck:
                print_stderr(worker_messages.left_stuck(start.folder, supervisor))
                return 130
            step = _ON_INTERRUPT[min(interrupts, len(_ON_INTERRUPT)) - 1]
            with contextlib.suppress(ProcessLookupError):
                os.kill(supervisor, step)
        for report in spawner.read() if spawner.reports in ready else ():
            progress.receive(report)
        console.show_new()
    console.show_new()
    return _result(start)


class _Following:
    """The reports of the supervisor on the attempt."""

    def __init__(self, start: Start, console: _Console) -> None:
        self._start, self._console = start, console
        self.has_ended = False
        self.is_stuck = False

    def receive(self, report: Report) -> None:
        folder = self._start.folder
        if report.what == "started":
            self._console.begin()
        elif report.what == "taken":
            raise FolderBusy(
                f"{folder}: another run has just started there.", state=NOTHING_STARTED
            )
        elif report.what == "lost":
            raise FolderBusy(_lost(self._start))
        elif report.what == "refused":
            raise cannot_record(folder, "run", report.why)
        elif report.what == "stuck":
            self.is_stuck = True
            print_stderr(worker_messages.stuck(folder, report.why))
        self.has_ended = self.has_ended or report.what in {"ended", "gone"}


def _lost(start: Start) -> str:
    return (
        f"{start.folder}: this run was silent for so long that another host took it over.\n"
        "modeldir ended this copy; the other one continues."
    )


def _result(start: Start) -> int:
    attempt = attempts.read(Path(start.folder), start.number, start.script)
    record: Any = attempt.record
    if attempt.end is None:
        print_stderr(f"interrupted: its supervisor was killed (see {attempt.path})")
        return 130
    if record.get("intent"):
        print_stderr(f"interrupted: {record.get('reason')}")
        return 130
    if (origin := record.get("metrics_from")) and origin != console_file():
        print_stderr(f"metrics: {origin}")
    if record.get("signal"):
        print_stderr(f"failed: the command was ended by {record['signal']} (see {attempt.path})")
        name = record["signal"]
        known = name in signal.Signals.__members__
        # "signal 35" has no name.
        return 128 + (signal.Signals[name].value if known else int(name.rpartition(" ")[2]))
    return int(record["exit_code"])


class _Console:
    """Shows what the command prints, by reading the file that it prints to."""

    def __init__(self, path: str, *, show: bool) -> None:
        self._path = path
        self._show = show
        self._offset = 0
        self._begun = False

    def skip(self) -> None:
        with contextlib.suppress(OSError):
            self._offset = os.path.getsize(self._path)

    def begin(self) -> None:
        """Begin to show: now the file is this attempt's, and an earlier one was archived."""
        self._begun = True

    def show_new(self) -> None:
        if not (self._show and self._begun):
            return
        try:
            for piece in self._new_pieces():
                sys.stdout.buffer.write(piece)
            sys.stdout.buffer.flush()
        except BrokenPipeError:  # `| head` has read enough: the training run continues
            self._show = False
            sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - open until exit

    def _new_pieces(self) -> Iterator[bytes]:
        """Yield what was printed since. A file that cannot be read must not end the command."""
        with contextlib.suppress(OSError), reading.open_stream(self._path) as file:
            file.seek(self._offset)
            while piece := file.read(1 << 16):
                self._offset += len(piece)
                yield piece
