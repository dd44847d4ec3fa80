"""How a running search is told: plain lines in a pipe, a live view in a terminal."""

from __future__ import annotations

import io
import json
import os
import pty
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pyte
import pytest
from syrupy.assertion import SnapshotAssertion

from laboratory import LIMIT, THREE, Project
from modeldir._system import processes
from modeldir.experiment import attempts
from modeldir.monitor.experiment import progress_of
from modeldir.monitor.progress import (
    LiveProgress,
    PlainProgress,
    Progress,
    ShownTrial,
    shown_on,
)
from modeldir.search.trials import Trials

TRIAL = ShownTrial("learning_rate_0.1", Path("experiments/search/learning_rate_0.1"), 0.0)


def tell(show: Progress) -> None:
    """What a worker tells of one trial."""
    show.message("plan: learning_rate: 0.01 added to 0.1")
    show.started(TRIAL)
    show.tick([TRIAL])
    show.ended(TRIAL, "completed", "accuracy 0.97  1.5 s")
    show.ended(TRIAL, "interrupted", "asked to stop")
    show.close()


def test_in_a_pipe_each_event_is_a_line(snapshot: SnapshotAssertion) -> None:
    """The same in a file and in a job's output; each is there at once, not at the end."""
    stream = io.StringIO()
    tell(PlainProgress(stream))
    assert stream.getvalue() == snapshot


def test_quiet_is_quiet(capfd: pytest.CaptureFixture[str]) -> None:
    """Nothing on any stream."""
    tell(PlainProgress(None))
    assert capfd.readouterr() == ("", "")


def test_what_an_encoding_has_no_form_for_is_spelled_out() -> None:
    """A name in another script must not silence the rest of the search."""
    raw = io.BytesIO()
    show = PlainProgress(io.TextIOWrapper(raw, encoding="ascii"))
    show.message("größe_\udcff")
    show.message("and on")
    assert raw.getvalue() == b"gr\\xf6\\xdfe_\\udcff\nand on\n"


def test_a_reader_that_went_away_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """`| head -1`: what is told from now on is told to nobody."""
    reading, writing = os.pipe()
    stream = open(writing, "w", buffering=1)  # noqa: SIM115 - closed below, its reader being gone
    monkeypatch.setattr(sys, "stdout", stream)
    show = PlainProgress(stream)
    show.message("one")
    os.close(reading)
    tell(show)
    assert sys.stdout is not stream
    sys.stdout.close()
    with pytest.raises(BrokenPipeError):
        stream.close()


@pytest.mark.parametrize(
    ("terminal", "term", "kind"),
    [
        (True, "xterm", LiveProgress),
        (True, "dumb", PlainProgress),
        (True, None, PlainProgress),
        (False, "xterm", PlainProgress),
    ],
)
def test_only_a_terminal_that_can_move_gets_the_live_view(
    terminal: bool,  # noqa: FBT001 - a parameter of the test
    term: str | None,
    kind: type,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A pipe, a file, an editor's shell: plain lines."""
    if term is None:
        monkeypatch.delenv("TERM", raising=False)
    else:
        monkeypatch.setenv("TERM", term)
    stream = io.StringIO()
    monkeypatch.setattr(stream, "isatty", lambda: terminal)
    assert type(shown_on(stream)) is kind


def test_without_a_stream_nothing_is_told() -> None:
    """A process without a standard output (a daemon, pythonw)."""
    assert type(shown_on(None)) is PlainProgress


# -- How far a training is -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({}, ""),
        ({"console.log": "loading\nepoch 3: 12%\r epoch 3: 40%\r epoch 3: 71%"}, "epoch 3: 71%"),
        ({"console.log": "\x1b[32mgreen\x1b[0m\n\n  \n"}, "green"),
        ({"console.log": "x" * 100}, "x" * 60),
        ({"metrics.jsonl": '{"step": 3, "time": "t", "loss": 0.123456, "accuracy": 1}\n',
          "console.log": "noise\n"}, "step 3  loss 0.1235  accuracy 1"),
        ({"metrics.jsonl": '{"step": 3, "loss": 0.5}\n{"step": 4, "lo'}, "step 3  loss 0.5"),
        ({"metrics.jsonl": '{"step": 1, "train/loss": 2, "a": 1, "b": 2, "c": 3, "note": "x"}\n'},
         "step 1  a 1  b 2  c 3"),
        ({"metrics.jsonl": "[]\n{}\nnot JSON\n"}, ""),
    ],
)  # fmt: skip
def test_how_far_a_training_is(tmp_path: Path, files: dict[str, str], words: str) -> None:
    """Its latest step and metrics, else what it printed last, as a terminal would show it."""
    for name, text in files.items():
        (tmp_path / name).write_text(text, newline="")
    assert progress_of(tmp_path) == words


# -- In a terminal ---------------------------------------------------------------------------------


class Screen(io.StringIO):
    """A terminal that is no process: what a live view draws on it."""

    encoding = "utf-8"

    def __init__(self, columns: int = 100, rows: int = 12) -> None:
        super().__init__()
        self.screen = pyte.Screen(columns, rows)
        self._stream = pyte.Stream(self.screen)

    def write(self, text: str) -> int:
        self._stream.feed(text)
        return len(text)

    def size(self) -> tuple[int, int]:
        return self.screen.columns, self.screen.lines

    @property
    def shown(self) -> str:
        return "\n".join(row.rstrip() for row in self.screen.display).strip("\n")


def live(screen: Screen, now: list[float]) -> LiveProgress:
    """A live view with a clock that stands still until it is moved on."""
    return LiveProgress(screen, clock=lambda: now[0], size=screen.size)


def trials_of(folder: Path, count: int) -> list[ShownTrial]:
    """Trials of a search that run, each with two steps logged."""
    values = [0.1**number for number in range(1, count + 1)]
    folder.mkdir(parents=True)
    (folder / "params.json").write_text(json.dumps({"learning_rate": 0.5}))
    plan = {"space": {"learning_rate": values}, "maximize": "accuracy"}
    (folder / "search.json").write_text(json.dumps(plan))
    trials = Trials(folder, ("learning_rate",))
    me = processes.process()
    assert me is not None
    shown = []
    for value in values:
        record = trials.claim({"learning_rate": value}, {"learning_rate": value})
        assert record is not None
        attempts.begin(trials.path(record), 1, {"supervisor": me.to_json(), "process": None})
        lines = [{"step": step, "accuracy": 0.5 + step / 4} for step in (0, 1)]
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (trials.path(record) / "metrics.jsonl").write_text(text)
        shown.append(ShownTrial(record.name, trials.path(record), 0.0))
    return shown


def test_a_worker_that_knows_only_its_trials_shows_the_whole_table(tmp_path: Path) -> None:
    """What varies, step, metric and curve come from the folder: the worker tells what runs."""
    trials = trials_of(tmp_path / "search", 3)
    screen, now = Screen(), [5.0]
    show = live(screen, now)
    show.tick(trials[:2])
    lines = screen.shown.splitlines()
    assert lines[0].split() == ["trial", "learning_rate", "step", "accuracy", "time"]
    assert [line.split()[:5] for line in lines[1:3]] == [
        ["1", "0.1", "1", "0.7500", "▁█"], ["2", "0.01", "1", "0.7500", "▁█"]
    ]  # fmt: skip
    assert lines[3] == "0 of 3 done, 3 running (1 elsewhere)"
    show.close()
    assert screen.shown == ""


def test_an_ended_trial_leaves_the_table_and_stands_above_it(tmp_path: Path) -> None:
    """At once, not at the next look."""
    trials = trials_of(tmp_path / "search", 2)
    screen, now = Screen(), [5.0]
    show = live(screen, now)
    show.tick(trials)
    show.ended(trials[0], "completed", "accuracy 0.75  5.0s")
    lines = screen.shown.splitlines()
    name = "learning_rate_0.1".ljust(len(trials[1].name))  # as wide as the one below it will be
    assert lines[0] == f"completed    {name}  accuracy 0.75  5.0s"
    assert [line.split()[:1] for line in lines[2:4]] == [["trial"], ["2"]]
    show.message("no new trials\n  Ctrl-C again ends them")
    lines = screen.shown.splitlines()
    assert lines[1:3] == ["no new trials", "  Ctrl-C again ends them"]


def test_an_ended_trial_is_counted_as_ended_at_once(tmp_path: Path) -> None:
    """It may take long until the next look: while the others wait for imports nothing runs."""
    trials = trials_of(tmp_path / "search", 2)
    screen, now = Screen(), [5.0]
    show = live(screen, now)
    show.tick(trials)
    show.ended(trials[0], "completed", "accuracy 0.75  5.0s")
    assert screen.shown.splitlines()[-1] == "1 of 2 done, 1 running"
    show.ended(trials[1], "failed", "error: it broke")
    assert screen.shown.splitlines()[-1] == "2 of 2 done (1 failed)"


def test_a_trial_whose_end_was_seen_by_the_last_look_is_counted_once(tmp_path: Path) -> None:
    """The folder may tell of its end sooner than the worker hears of it."""
    trials = trials_of(tmp_path / "search", 2)
    run = json.loads((trials[0].folder / "run.json").read_text())
    (trials[0].folder / "run.json").write_text(json.dumps({**run, "status": "completed"}))
    screen, now = Screen(), [5.0]
    show = live(screen, now)
    show.tick(trials)
    assert screen.shown.splitlines()[-1] == "1 of 2 done, 1 running"
    show.ended(trials[0], "completed", "accuracy 0.75  5.0s")
    assert screen.shown.splitlines()[-1] == "1 of 2 done, 1 running"


def test_a_trial_that_has_just_been_started_has_its_number_and_values(tmp_path: Path) -> None:
    """Its supervisor has not yet written that it runs."""
    trials = trials_of(tmp_path / "search", 2)
    (trials[1].folder / "run.json").unlink()
    (trials[1].folder / "metrics.jsonl").unlink()
    screen, now = Screen(), [5.0]
    live(screen, now).tick(trials)
    assert screen.shown.splitlines()[2].split() == ["2", "0.01", "5.0s"]


def test_what_is_told_in_a_narrow_terminal_breaks_between_words() -> None:
    """The terminal itself would break words. A command is left to it: it is there to be copied."""
    screen = Screen(40, 12)
    show = live(screen, [5.0])
    show.message("checking that train.py reads learning_rate\u2028: the first trial runs alone")
    show.message("To resume: modeldir search experiments/learning_rate --workers 2")
    assert screen.shown.splitlines() == [
        "checking that train.py reads",
        "  learning_rate\\u2028: the first trial",
        "  runs alone",
        "To resume: modeldir search experiments/l",
        "earning_rate --workers 2",
    ]


def test_the_folder_is_looked_at_seldom_however_much_happens(tmp_path: Path) -> None:
    """A search of trials that take a blink: two looks a second at most, the view stays as it is."""
    trials = trials_of(tmp_path / "search", 2)
    screen, now = Screen(), [5.0]
    show = live(screen, now)
    show.tick(trials)
    (trials[0].folder / "metrics.jsonl").write_text('{"step": 2, "accuracy": 0.875}\n')
    for _ in range(100):
        show.tick(trials)
    assert "0.8750" not in screen.shown
    now[0] += 1
    show.tick(trials)
    assert "0.8750" in screen.shown


def test_a_trial_that_the_folder_does_not_tell_of_is_shown_by_its_name(tmp_path: Path) -> None:
    """Its folder was removed, or cannot be read: a worker's view is no reason to end a search."""
    screen, now = Screen(), [65.0]
    show = live(screen, now)
    show.tick([ShownTrial("gone", tmp_path / "nowhere" / "gone", 0.0)])
    assert [line.split() for line in screen.shown.splitlines()[:2]] == [
        ["experiment", "time"], ["gone", "1m", "05s"]
    ]  # fmt: skip


def test_names_cannot_play_with_the_terminal(tmp_path: Path) -> None:
    """In a table, in a line above it and in a pipe: one line each, nothing obeyed."""
    evil = ShownTrial("a\x1b[2J\nfailed       b", tmp_path / "a", 0.0)
    screen = Screen()
    show = live(screen, [0.0])
    show.message("kept")
    show.tick([evil])
    show.ended(evil, "completed", "x\x1b[1A")
    said = "completed    a\\x1b[2J\\nfailed       b  x\\x1b[1A"
    assert screen.shown.splitlines()[:2] == ["kept", said]
    stream = io.StringIO()
    plain = PlainProgress(stream)
    plain.started(evil)
    plain.ended(evil, "completed", "x\x1b[1A")
    assert stream.getvalue().splitlines() == ["started      a\\x1b[2J\\nfailed       b", said]


class Terminal:
    """A search in a pseudo-terminal, and what a user sees there."""

    def __init__(self, project: Project, *words: str) -> None:
        self.master, slave = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "modeldir", *words],
            cwd=project.path,
            env={**project.environment, "TERM": "xterm", "COLUMNS": "80", "LINES": "24"},
            stdin=slave,
            stdout=slave,
            stderr=slave,
        )
        os.close(slave)
        self.screen = pyte.Screen(80, 24)
        self._stream = pyte.ByteStream(self.screen)
        self.seen = ""

    @property
    def text(self) -> str:
        return "\n".join(row.rstrip() for row in self.screen.display).strip("\n")

    def read_until(self, happened: Callable[[str], bool]) -> str:
        deadline = time.monotonic() + LIMIT
        while not happened(self.text):
            assert time.monotonic() < deadline, self.text
            try:
                piece = os.read(self.master, 65536)
            except OSError:  # the terminal's last user is gone
                break
            self._stream.feed(piece)
            self.seen += piece.decode("utf-8", "replace")
        return self.text

    def close(self) -> str:
        """What stands on the screen at the end."""
        self.read_until(lambda text: False)  # noqa: ARG005 - until the end
        self.process.wait(LIMIT)
        os.close(self.master)
        return self.text


def test_in_a_terminal_a_line_for_each_running_trial_changes_in_place(project: Project) -> None:
    """Epoch, metric and time while it runs; what has ended stays, and so does the end's text."""
    project.write(
        "train.py",
        "import json, os, sys, time\n"
        "folder = sys.argv[2]\n"
        "line = json.dumps({'step': 3, 'accuracy': 0.625}) + '\\n'\n"
        "open(folder + '/metrics.jsonl', 'w').write(line)\n"
        "while os.path.exists('hold'):\n"
        "    time.sleep(0.005)\n"
        "json.dump({'accuracy': 0.75}, open(folder + '/metrics_eval_best_weights.json', 'w'))\n",
    )
    project.hold()
    terminal = Terminal(
        project, "search", "experiments/search", *THREE, "-j", "3", "--no-check", "--",
        "python", "train.py",
    )  # fmt: skip
    terminal.read_until(lambda text: text.count("0.6250") == 3 and "3 running" in text)
    project.release()
    text = terminal.close()
    assert terminal.process.returncode == 0
    assert text.count("completed     1  learning_rate_0.1    accuracy 0.75") == 1
    assert "\n\n3 completed. Best: " in text
    assert "0.6250" not in text  # what had changed in place is gone
    assert text.rstrip().endswith("Compare them: modeldir results experiments/search")
    assert "\x1b[?25h" in terminal.seen  # the cursor is shown again


def test_a_terminal_gets_its_cursor_back_after_a_failure(project: Project) -> None:
    """Also when the search stops because of a mistake."""
    project.write("train.py", "raise SystemExit(json.dumps({}))\n")
    terminal = Terminal(project, "search", "experiments/search", *THREE, "--", "python", "train.py")
    assert "NameError: name 'json' is not defined" in terminal.close()
    assert terminal.process.returncode == 1
    assert terminal.seen.rfind("\x1b[?25h") >= terminal.seen.rfind("\x1b[?25l")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def test_the_lines_of_a_search_are_written_as_they_happen(project: Project) -> None:
    """A pipe's reader sees a start before the end: nothing is held back in a buffer."""
    project.hold()
    with project.started_as(
        "search", "experiments/search", "learning_rate=0.1", "--", "python", "train.py"
    ) as worker:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "Grid search: 1 trial, one at a time.\n"
        assert worker.stdout.readline() == "started       1  learning_rate_0.1\n"
        project.release()
        assert worker.stdout.readline().startswith("completed     1  learning_rate_0.1")
        assert worker.wait(30) == 0


def test_metrics_json_lines_are_what_run_log_writes(tmp_path: Path) -> None:
    """The live view reads the same file that a training writes."""
    import modeldir

    (tmp_path / "params.json").write_text(json.dumps({"lr": 1}))
    with modeldir.start(tmp_path) as run:
        run.log(7, {"val/accuracy": 0.5, "train/loss": 2.0})
        assert progress_of(tmp_path) == "step 7  val/accuracy 0.5  train/loss 2"
