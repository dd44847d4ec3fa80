"""`modeldir watch`, as it is typed: beside a search, an experiment, a folder of several."""

from __future__ import annotations

import fcntl
import io
import json
import os
import pty
import re
import select
import shlex
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyte
import pytest
from syrupy.assertion import SnapshotAssertion

from laboratory import LIMIT, THREE, Project, wait_until
from modeldir._system import processes
from modeldir.commands.watch import Watch, follow
from modeldir.monitor.progress import PlainProgress
from modeldir.search import worker_registry

SEARCH = "experiments/search"
LOGS = """\
import json, os, sys, time
folder = sys.argv[sys.argv.index("--model_dir") + 1]
for step in range(3):
    with open(os.path.join(folder, "metrics.jsonl"), "a") as file:
        file.write(json.dumps({"step": step, "accuracy": 0.5 + step / 8}) + "\\n")
while os.path.exists("hold"):
    time.sleep(0.005)
with open(os.path.join(folder, "metrics_eval_best_weights.json"), "w") as file:
    json.dump({"accuracy": 0.75}, file)
"""
"""A training that logs three steps and waits while it is held."""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path, LOGS)


def times_away(text: str) -> str:
    return re.sub(r" *\b(\d+m )?\d+(\.\d)?s\b", " TIME", text)


class Terminal:
    """A command in a terminal of so many columns and rows, and what stands there.

    `shell`: one that says "back" after the command, and stays.
    """

    def __init__(
        self,
        project: Project,
        *words: str,
        columns: int = 80,
        rows: int = 12,
        term: str = "xterm",
        shell: bool = False,
    ) -> None:
        self._ours, theirs = pty.openpty()
        self._set_size(columns, rows)
        command = [sys.executable, "-m", "modeldir", *words]
        self.process = subprocess.Popen(
            ["sh", "-c", f"{shlex.join(command)}; echo back; read _"] if shell else command,
            cwd=project.path,
            env={**project.environment, "TERM": term},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        self.screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self.screen)
        self.seen = b""

    def _set_size(self, columns: int, rows: int) -> None:
        size = struct.pack("HHHH", rows, columns, 0, 0)
        fcntl.ioctl(self._ours, termios.TIOCSWINSZ, size)

    def resize(self, columns: int, rows: int) -> None:
        self.screen.resize(rows, columns)
        self._set_size(columns, rows)

    def has_cursor(self) -> bool:
        return not self.screen.cursor.hidden

    @property
    def text(self) -> str:
        return "\n".join(row.rstrip() for row in self.screen.display).strip("\n")

    def read_until(self, happened: Callable[[str], object]) -> str:
        """Read on until the screen shows something."""
        deadline = time.monotonic() + LIMIT
        while not happened(self.text):
            assert time.monotonic() < deadline, self.text
            if select.select([self._ours], [], [], 0.1)[0]:
                try:
                    piece = os.read(self._ours, 65536)
                except OSError:  # its last user is gone
                    break
                self.seen += piece
                self._stream.feed(piece)
        return self.text

    def close(self) -> str:
        """What stands there once the command has ended."""
        self.read_until(lambda text: False)  # noqa: ARG005 - until the end
        self.process.wait(LIMIT)
        os.close(self._ours)
        return self.text


@pytest.fixture
def terminals() -> Iterator[Callable[..., Terminal]]:
    made: list[Terminal] = []

    def make(*given: Any, **sizes: Any) -> Terminal:
        made.append(Terminal(*given, **sizes))
        return made[-1]

    yield make
    for each in made:
        each.process.kill()
        each.process.wait()


# -- In a pipe -------------------------------------------------------------------------------------


def test_in_a_pipe_each_event_is_a_line(project: Project, snapshot: SnapshotAssertion) -> None:
    """How it stood, what happened as it happened, how it ended; and then it ends by itself."""
    project.hold()
    words = ("search", SEARCH, *THREE, "-j", "2", "--no-check", "--", "python", "train.py")
    with project.started_as(*words) as search:
        lines = project.path / SEARCH
        wait_until(lambda: len(list(lines.glob("*/metrics.jsonl"))) == 2, "two trials")
        with project.started_as("watch", SEARCH) as watch:
            assert watch.stdout is not None
            said = [watch.stdout.readline() for _ in range(3)]
            project.release()
            said += list(watch.stdout)
            assert watch.wait(LIMIT) == 0
        assert search.wait(LIMIT) == 0
    # Two that end between two looks are told by number.
    assert times_away("".join(sorted(said[1:3]) + sorted(said[3:]))) == snapshot
    assert said[0] == f"{SEARCH}: 0 of 3 done, 2 running\n"
    assert said[-1] == f"next: modeldir results {SEARCH}\n"


def test_a_search_that_nobody_works_on_is_told_as_such(project: Project) -> None:
    """It was stopped half way: nothing will happen, and what to type is said."""
    project.hold()
    with project.started_as(
        "search", SEARCH, *THREE, "--no-check", "--", "python", "train.py"
    ) as search:
        wait_until(lambda: list((project.path / SEARCH).glob("*/metrics.jsonl")), "a trial")
        with project.started_as("watch", SEARCH) as watch:
            assert watch.stdout is not None
            watch.stdout.readline()
            search.send_signal(signal.SIGTERM)
            search.wait(LIMIT)
            said = watch.stdout.read()
            assert watch.wait(LIMIT) == 0
    assert "interrupted   1  learning_rate_0.1" in said
    assert f"{SEARCH}: 0 of 3 done, 1 interrupted, 3 remaining, no worker running\n" in said
    assert said.endswith(f"next: modeldir search {SEARCH}\n")


def test_a_search_that_is_over(project: Project) -> None:
    """How it ended, at once."""
    project.searches(*THREE)
    said = project.modeldir("watch", SEARCH)
    assert said.code == 0
    assert said.lines == [
        f"{SEARCH}: 3 of 3 done",
        "best: trial 1 (learning_rate_0.1)  accuracy 0.75",
        f"next: modeldir results {SEARCH}",
    ]


def test_one_experiment(project: Project) -> None:
    """Its steps as it comes to them, and its end."""
    project.params("experiments/base", learning_rate=0.1)
    project.hold()
    with project.started_as("run", "experiments/base", "-q", "--", "python", "train.py"):
        wait_until((project.path / "experiments/base/metrics.jsonl").exists, "steps")
        with project.started_as("watch", "experiments/base") as watch:
            assert watch.stdout is not None
            assert watch.stdout.readline() == "experiments/base: running\n"
            line = {"step": 7, "accuracy": 0.5}
            with open(project.path / "experiments/base/metrics.jsonl", "a") as file:
                file.write(json.dumps(line) + "\n")
            assert watch.stdout.readline() == "step         base  7  accuracy 0.5\n"
            project.release()
            assert watch.stdout.readline().startswith("completed    base  accuracy 0.75  ")
            assert watch.stdout.readline() == "next: modeldir show experiments/base\n"
            assert watch.wait(LIMIT) == 0


def test_a_folder_of_several(project: Project) -> None:
    """Searches and experiments below it, told by their paths; also one that is made meanwhile."""
    project.params("experiments/other", learning_rate=0.1)
    project.params("experiments/never_run", learning_rate=0.1)
    stream = io.StringIO()
    clock = [0.0]
    watch = Watch(project.path / "experiments", clock=lambda: clock[0])

    def wait(seconds: float) -> None:
        clock[0] += seconds
        raise AssertionError("nothing runs: there is nothing to wait for")

    follow(watch, PlainProgress(stream), wait)
    assert "pending" not in stream.getvalue()
    project.params("experiments/late", learning_rate=0.5)
    command = ["python", "train.py"]
    project.modeldir("search", "experiments/late", "learning_rate=0.1", "--", *command)
    clock[0] += 100
    watch.update()
    project.modeldir("search", "experiments/late", "learning_rate=0.2", "--", *command)
    watch.update()
    assert [(name, news.state) for name, _, news in watch.take_events()] == [
        ("late/learning_rate_0.2", "running"), ("late/learning_rate_0.2", "completed")
    ]  # fmt: skip


def test_ctrl_c_ends_it_and_is_no_failure(project: Project) -> None:
    """It is how one stops looking."""
    (project.path / SEARCH / "search.json").write_text('{"space": {"learning_rate": [1]}}')
    with project.started_as("watch", SEARCH) as watch:
        assert watch.stdout is not None
        assert watch.stdout.readline() == f"{SEARCH}: nothing of 1 has started yet\n"
        nobody = f"No worker is running yet. To start: modeldir search {SEARCH}\n"
        assert watch.stdout.readline() == nobody
        watch.send_signal(signal.SIGINT)
        assert watch.wait(LIMIT) == 0
        assert watch.stdout.read() == ""


def test_a_reader_that_went_away_ends_it(project: Project) -> None:
    """`modeldir watch DIR | head -1` does not stay behind."""
    (project.path / SEARCH / "search.json").write_text('{"space": {"learning_rate": [1]}}')
    with project.started_as("watch", SEARCH) as watch:
        assert watch.stdout is not None
        watch.stdout.readline()
        watch.stdout.close()
        assert watch.wait(LIMIT) == 0


@pytest.mark.parametrize(
    ("folder", "words"),
    [
        (
            "experiments/serch",
            "error: experiments/serch: no such folder\n  did you mean 'experiments/search'?\n",
        ),
        ("train.py", "error: train.py is not a folder\n"),
        ("empty", "error: empty: there is nothing to watch: no search, and no experiment with a "),
    ],
)
def test_a_folder_that_cannot_be_watched(project: Project, folder: str, words: str) -> None:
    """The nearest name is told."""
    (project.path / "empty/deeper").mkdir(parents=True)
    said = project.modeldir("watch", folder)
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith(words)


def test_a_link_in_a_circle_is_not_followed(project: Project) -> None:
    """Nor is anything below a search gone into."""
    (project.path / "experiments/circle").symlink_to("..")
    project.searches("learning_rate=0.1")
    said = project.modeldir("watch", "experiments")
    assert said.code == 0
    assert said.lines[-1] == "next: modeldir results experiments"
    assert sum(line.startswith("experiments/") for line in said.lines) == 1


# -- In a terminal ---------------------------------------------------------------------------------


def test_in_a_terminal_it_is_the_view_of_the_search(
    project: Project, terminals: Callable[..., Terminal], snapshot: SnapshotAssertion
) -> None:
    """A table that changes in place, narrower when the window is; at the end only what is left."""
    project.hold()
    words = ("search", SEARCH, *THREE, "-j", "2", "--no-check", "--", "python", "train.py")
    with project.started_as(*words) as search:
        wait_until(
            lambda: len(list((project.path / SEARCH).glob("*/metrics.jsonl"))) == 2, "two trials"
        )
        terminal = terminals(project, "watch", SEARCH, columns=90)
        seen = terminal.read_until(lambda text: "2 running" in text and text.count("0.7500") == 2)
        assert times_away(seen) == snapshot(name="wide")
        terminal.resize(40, 12)
        seen = terminal.read_until(lambda text: "time" in text and "learning_rate" not in text)
        assert times_away(seen) == snapshot(name="narrow")
        project.release()
        left = terminal.close()
        assert search.wait(LIMIT) == 0
    assert terminal.process.returncode == 0
    assert "completed     3  accuracy 0.75" in left
    assert left.replace("\n", "").endswith(f"next: modeldir results {SEARCH}")
    assert "running" not in left
    assert not terminal.screen.cursor.hidden


def test_ctrl_c_in_a_terminal_leaves_how_it_stood(
    project: Project, terminals: Callable[..., Terminal]
) -> None:
    """The view goes; what one looked for should not."""
    project.hold()
    words = ("search", SEARCH, *THREE, "-j", "2", "--no-check", "--", "python", "train.py")
    with project.started_as(*words) as search:
        wait_until(lambda: len(list((project.path / SEARCH).glob("*/metrics.jsonl"))) == 2)
        terminal = terminals(project, "watch", SEARCH, columns=90)
        terminal.read_until(lambda text: "2 running" in text and text.count("0.7500") == 2)
        terminal.process.send_signal(signal.SIGINT)
        assert terminal.close() == f"{SEARCH}: 0 of 3 done, 2 running"
        assert terminal.process.returncode == 0
        project.release()
        assert search.wait(LIMIT) == 0


def test_a_dumb_terminal_gets_lines(project: Project, terminals: Callable[..., Terminal]) -> None:
    """An editor's shell, that cannot move its cursor."""
    project.searches("learning_rate=0.1")
    terminal = terminals(project, "watch", SEARCH, term="dumb")
    assert terminal.close().startswith(f"{SEARCH}: 1 of 1 done\nbest: ")
    assert b"\x1b" not in terminal.seen


@pytest.mark.parametrize("late", [False, True])
def test_a_killed_search_leaves_the_terminal_in_order(
    project: Project,
    terminals: Callable[..., Terminal],
    late: bool,  # noqa: FBT001 - a case
) -> None:
    """Its table goes and the cursor comes back, whether or not the shell was faster to speak."""
    project.hold()
    words = ("search", SEARCH, *THREE, "-j", "3", "--no-check", "--", "python", "train.py")
    terminal = terminals(project, *words, columns=90, shell=True)
    terminal.read_until(lambda text: "3 running" in text and text.count("0.7500") == 3)
    assert not terminal.has_cursor()
    (worker,) = worker_registry.workers(project.path / SEARCH)
    (spawner,) = processes.children(worker.pid)
    if late:
        os.kill(spawner, signal.SIGSTOP)
    os.kill(worker.pid, signal.SIGKILL)
    if late:
        terminal.read_until(lambda text: "back" in text)
        os.kill(spawner, signal.SIGCONT)
    left = terminal.read_until(lambda text: "back" in text and "running" not in text)
    assert "0.7500" not in left
    assert terminal.has_cursor()
    project.release()
