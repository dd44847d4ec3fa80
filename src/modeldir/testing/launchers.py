"""Contract tests for launchers, and a fake launcher.

Users inherit `LauncherContract`. Its jobs are small Python scripts that write down how they were
called, and wait for a file before they end. The protocol: `modeldir.launchers.Launcher`.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from modeldir._system import files, reading
from modeldir.launchers import (
    JobRef,
    JobState,
    Launcher,
    LauncherBusy,
    jobs_folder,
    new_tokens,
    refuse,
    unknown_options,
    with_token,
)

_JOB = """\
import json, os, sys, time
folder, words = sys.argv[1], sys.argv[2:]
token = words[words.index("--job") + 1]
with open(os.path.join(folder, token + ".part"), "w") as file:
    json.dump(words, file)
os.rename(os.path.join(folder, token + ".part"), os.path.join(folder, token + ".began"))
while not os.path.exists(os.path.join(folder, "go")):
    time.sleep(0.02)
open(os.path.join(folder, token + ".ended"), "w").close()
"""
_ODD = ("a 'b\" $HOME *", "100%", "", "--end")
_EVERY = 0.1


class FakeLauncher:
    """A job queue in a folder: jobs wait until a test calls `run_next`, which runs one to its end.

    Every process that sees the folder sees the same queue. The option `room` limits how many jobs
    may wait; starting more raises `LauncherBusy`.
    """

    name = "fake"
    ask_every = 0.0

    def __init__(self, search: Path, options: Mapping[str, Any] | None = None) -> None:
        options = options or {}
        refuse(self.name, [*unknown_options(options, ("room",))])
        self._room = int(options.get("room", sys.maxsize))
        self._queue = search / ".modeldir" / "fake_queue"

    def start(self, worker: Sequence[str], tokens: Sequence[str]) -> Iterator[JobRef]:
        """Add a job to the queue for each token."""
        self._queue.mkdir(parents=True, exist_ok=True)
        for token in tokens:
            waiting = self.waiting()
            if len(waiting) >= self._room:
                raise LauncherBusy(f"the queue is full: {len(waiting)} jobs")
            number = len([*self._queue.iterdir()]) + 1
            job = {"job": str(number), "words": with_token(worker, token), "state": "waits"}
            files.write_json(self._file(token), job)
            yield JobRef(self.name, str(number), token)

    def states(self, jobs: Sequence[JobRef]) -> dict[JobRef, JobState]:
        """Return the state of each job: `waits`, `runs` or `ended`."""
        return {job: self._state(job.token) for job in jobs}

    def stop(self, jobs: Sequence[JobRef]) -> None:
        """Remove waiting jobs from the queue."""
        for job in jobs:
            if self._state(job.token).alive:
                self._set(job.token, "ended")

    def waiting(self) -> list[str]:
        """Return the tokens of the waiting jobs, in the order of their start."""
        found = [
            (int(job["job"]), path.stem)
            for path in self._queue.glob("*.json")
            if (job := reading.read_object(path)).get("state") == "waits"
        ]
        return [token for _, token in sorted(found)]

    def run_next(self) -> int | None:
        """Run the next job to its end; returns its exit code, or None if no job waits."""
        token = next(iter(self.waiting()), None)
        if token is None:
            return None
        self._set(token, "runs")
        done = subprocess.run(reading.read_object(self._file(token))["words"], check=False)
        self._set(token, "ended")
        return done.returncode

    def _state(self, token: str) -> JobState:
        state = str(reading.read_object(self._file(token)).get("state", ""))
        return JobState(state in {"waits", "runs"}, state, runs=state == "runs")

    def _set(self, token: str, state: str) -> None:
        path = self._file(token)
        files.write_json(path, {**reading.read_object(path), "state": state})

    def _file(self, token: str) -> Path:
        return self._queue / f"{token}.json"


class LauncherContract:
    """Tests that every launcher must pass. Inherit from it and say how yours is made.

        class TestMine(LauncherContract):
            def make(self, search):
                return MyLauncher(search, {"queue": "short"})

    The tests start small real jobs, for a search in a folder whose name has spaces and quotes. The
    folder is made below `tmp_path`: set pytest's `--basetemp` to a file system that all machines
    share.

    Attributes:
        tells: whether `states` can tell that a job has ended.
        stops: whether `stop` can end a job.
        stops_waiting: whether `stop` can also end a job that has not begun.
        patience: how many seconds the job manager may take for anything.
    """

    tells = True
    stops = True
    patience = 60.0
    stops_waiting = True

    def make(self, search: Path) -> Launcher:
        """Return the launcher to test, for the search in a folder."""
        raise NotImplementedError

    def advance(self, launcher: Launcher) -> None:
        """Do the job manager's next step, if it does nothing by itself.

        It is called repeatedly while a test waits.
        """

    def test_the_words_arrive_as_they_are(self, tmp_path: Path) -> None:
        """The worker gets its words unchanged, with spaces, quotes and dollars, and its token."""
        launcher, [job] = self._started(tmp_path, 1)
        self._let_go(tmp_path)
        self._wait(launcher, lambda: _began(tmp_path, job), "the job to begin")
        words = json.loads((tmp_path / f"{job.token}.began").read_text(encoding="utf-8"))
        assert words == [*_ODD, "--job", job.token], f"the worker was called with {words}"

    def test_each_token_is_one_job(self, tmp_path: Path) -> None:
        """Jobs come in the order of their tokens, with the launcher's name and an id."""
        launcher, jobs = self._started(tmp_path, 3)
        self._let_go(tmp_path)
        assert {job.launcher for job in jobs} == {launcher.name}, "they bear the launcher's name"
        assert [job.token.rpartition("_")[2] for job in jobs] == ["0", "1", "2"], "in order"
        ids = [job.job for job in jobs if job.job]
        assert len(ids) == len(set(ids)), f"two jobs have the same id: {ids}"
        self._wait(launcher, lambda: all(_ended(tmp_path, job) for job in jobs), "all to end")

    def test_a_job_is_alive_until_it_ends(self, tmp_path: Path) -> None:
        """A job is alive until it ends, also for a launcher object that is made later."""
        launcher, [job] = self._started(tmp_path, 1)
        for each in (launcher, self.make(_search(tmp_path))):
            found = each.states([job])
            assert list(found) == [job], f"asked after one job it tells of {list(found)}"
            assert found[job].alive is not False, f"it waits or runs, but its state is {found}"
        self._let_go(tmp_path)
        self._wait(launcher, lambda: _ended(tmp_path, job), "the job to end")
        if self.tells:
            over = lambda: self.make(_search(tmp_path)).states([job])[job].alive is False  # noqa: E731
            self._wait(launcher, over, "states to say that the job has ended")

    def test_a_job_whose_id_was_lost_is_not_taken_for_dead(self, tmp_path: Path) -> None:
        """A job is found by its token if its starter was killed before it wrote down the id."""
        launcher, [job] = self._started(tmp_path, 1)
        nameless = JobRef(job.launcher, "", job.token)
        found = self.make(_search(tmp_path)).states([nameless])
        assert found[nameless].alive is not False, f"without its id its state is {found}"
        self._let_go(tmp_path)
        self._wait(launcher, lambda: _ended(tmp_path, job), "the job to end")

    def test_a_job_that_never_was_is_not_alive(self, tmp_path: Path) -> None:
        """A token that no job has is not alive; without a question there is no answer."""
        launcher = self.make(_search(tmp_path))
        never = JobRef(launcher.name, "", new_tokens(1)[0])
        assert launcher.states([never])[never].alive is not True, "there is no such job"
        assert launcher.states([]) == {}, "asked after nothing"

    def test_a_job_that_is_stopped_ends(self, tmp_path: Path) -> None:
        """A stopped job does not finish. It may be stopped again; stopping none is allowed."""
        launcher, [job, other] = self._started(tmp_path, 2)
        launcher.stop([])
        if not self.stops_waiting:
            self._wait(launcher, lambda: _began(tmp_path, job), "the job to begin")
        if self.stops:
            launcher.stop([job])
        if self.stops and self.tells:
            over = lambda: launcher.states([job])[job].alive is False  # noqa: E731
            self._wait(launcher, over, "the job to end", advance=False)
            assert launcher.states([other])[other].alive is not False, "the other continues"
            launcher.stop([job])
        self._let_go(tmp_path)
        self._wait(launcher, lambda: _ended(tmp_path, other), "the other job to end")
        if self.stops and self.tells:
            assert not _ended(tmp_path, job), "it came to its end though it was stopped"

    # -- Helpers -----------------------------------------------------------------------------------

    def _started(self, folder: Path, count: int) -> tuple[Launcher, list[JobRef]]:
        launcher = self.make(_search(folder))
        script = folder / "a job's.py"  # a file: a word with line breaks is too much for some
        script.write_text(_JOB, encoding="utf-8")
        worker = [sys.executable, str(script), str(folder), *_ODD]
        tokens = new_tokens(count)
        jobs = list(launcher.start(worker, tokens))
        assert [job.token for job in jobs] == tokens, f"of {tokens} it started {jobs}"
        return launcher, jobs

    def _let_go(self, folder: Path) -> None:
        (folder / "go").touch()

    def _wait(
        self,
        launcher: Launcher,
        happened: Callable[[], bool],
        what: str,
        *,
        advance: bool = True,
    ) -> None:
        deadline = time.monotonic() + self.patience
        while not happened():
            assert time.monotonic() < deadline, f"waited {self.patience:g} s for {what}"
            if advance:
                self.advance(launcher)
            time.sleep(_EVERY)


def _search(folder: Path) -> Path:
    search = folder / "my 'own' \"search\""
    jobs_folder(search).mkdir(parents=True, exist_ok=True)  # a caller of `start` has made it
    return search


def _began(folder: Path, job: JobRef) -> bool:
    return (folder / f"{job.token}.began").exists()


def _ended(folder: Path, job: JobRef) -> bool:
    return (folder / f"{job.token}.ended").exists()
