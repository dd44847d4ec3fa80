"""How a running search is told: plain lines in a pipe, a live view in a terminal."""

from __future__ import annotations

import io
import json
import os
import pty
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from syrupy.assertion import SnapshotAssertion

from laboratory import LIMIT, THREE, Project
from modeldir.progress import Live, Plain, Progress, Quiet, Shown, how_far, shown_on

TRIAL = Shown("learning_rate_0.1", Path("experiments/search/learning_rate_0.1"), 0.0)
_PIECES = re.compile(r"\x1b\[([0-?]*)[ -/]*([@-~])|\r|\n|[^\x1b\r\n]+")


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
    tell(Plain(stream))
    assert stream.getvalue() == snapshot


def test_quiet_is_quiet(capfd: pytest.CaptureFixture[str]) -> None:
    """Nothing on any stream."""
    tell(Quiet())
    assert capfd.readouterr() == ("", "")


def test_what_an_encoding_has_no_form_for_is_spelled_out() -> None:
    """A name in another script must not silence the rest of the search."""
    raw = io.BytesIO()
    show = Plain(io.TextIOWrapper(raw, encoding="ascii"))
    show.message("größe_\udcff")
    show.message("and on")
    assert raw.getvalue() == b"gr\\xf6\\xdfe_\\udcff\nand on\n"


def test_a_reader_that_went_away_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """`| head -1`: what is told from now on is told to nobody."""
    reading, writing = os.pipe()
    stream = open(writing, "w", buffering=1)  # noqa: SIM115 - closed below, its reader being gone
    monkeypatch.setattr(sys, "stdout", stream)
    show = Plain(stream)
    show.message("one")
    os.close(reading)
    tell(show)
    assert sys.stdout is not stream
    sys.stdout.close()
    with pytest.raises(BrokenPipeError):
        stream.close()


@pytest.mark.parametrize(
    ("terminal", "term", "kind"),
    [(True, "xterm", Live), (True, "dumb", Plain), (True, None, Plain), (False, "xterm", Plain)],
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
    assert type(shown_on(None)) is Quiet


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
    assert how_far(tmp_path) == words


# -- In a terminal ---------------------------------------------------------------------------------


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
        self.seen = ""

    def read_until(self, happened: Callable[[str], bool]) -> str:
        deadline = time.monotonic() + LIMIT
        while not happened(self.seen):
            assert time.monotonic() < deadline, self.seen
            try:
                piece = os.read(self.master, 65536)
            except OSError:  # the terminal's last user is gone
                break
            self.seen += piece.decode()
        return self.seen

    def close(self) -> str:
        """What stands on the screen at the end."""
        self.read_until(lambda seen: False)  # noqa: ARG005 - until the end
        self.process.wait(LIMIT)
        os.close(self.master)
        return screen(self.seen)


def screen(seen: str) -> str:
    """What a terminal shows after these bytes: lines written, moved up to, erased."""
    lines = [""]
    row = column = 0
    for piece in _PIECES.finditer(seen):
        text, (number, action) = piece[0], piece.groups()
        if text == "\n":
            row += 1
            lines += [""] * (row + 1 - len(lines))
        elif text == "\r":
            column = 0
        elif action == "A":
            row = max(0, row - int(number or 1))
        elif action == "K":
            lines[row] = ""
        elif action is None:
            lines[row] = lines[row][:column].ljust(column) + text + lines[row][column + len(text) :]
            column += len(text)
    return "\n".join(lines)


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
        project, "search", "experiments/search", *THREE, "-j", "3", "--no-pilot", "--",
        "python", "train.py",
    )  # fmt: skip
    terminal.read_until(lambda seen: seen.count("step 3  accuracy 0.625") >= 3)
    project.release()
    text = terminal.close()
    assert terminal.process.returncode == 0
    assert text.count("completed    learning_rate_0.1  accuracy 0.75") == 1
    assert "3 completed\n" in text
    assert text.rstrip().endswith("next: modeldir synthesize experiments/search")
    assert "step 3" not in text  # what had changed in place is gone
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
        assert worker.stdout.readline() == "started      learning_rate_0.1\n"
        project.release()
        assert worker.stdout.readline().startswith("completed    learning_rate_0.1")
        assert worker.wait(30) == 0


def test_metrics_json_lines_are_what_run_log_writes(tmp_path: Path) -> None:
    """The live view reads the same file that a training writes."""
    import modeldir

    (tmp_path / "params.json").write_text(json.dumps({"lr": 1}))
    with modeldir.start(tmp_path) as run:
        run.log(7, {"val/accuracy": 0.5, "train/loss": 2.0})
        assert how_far(tmp_path) == "step 7  val/accuracy 0.5  train/loss 2"
