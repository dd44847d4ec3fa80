"""A user's project in a temporary folder, and what a user types there: real files, real processes.

Training scripts leave one line a start in `.started.txt` and one a regular end in `.ended.txt`, so
that a test can count what really ran. While a file `hold` lies in the project, they wait.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from modeldir._system import processes
from modeldir.experiment import experiment
from modeldir.launchers import JobRef, LauncherBusy

LIMIT = 30.0
"""Seconds after which something that should have happened never will."""

PLAIN = """\
import json, os, sys, time

folder = sys.argv[sys.argv.index("--model_dir") + 1]
name = os.path.basename(folder)
with open(os.path.join(folder, "params.json")) as file:
    params = json.load(file)
with open(".started.txt", "a") as file:
    file.write(name + "\\n")
while os.path.exists("hold"):
    time.sleep(0.005)
if os.path.exists("fail." + name):
    raise ValueError("it diverged: " + name)
with open(os.path.join(folder, "metrics_eval_best_weights.json"), "w") as file:
    json.dump({"accuracy": 1 - params["learning_rate"], "loss": params["learning_rate"]}, file)
print("trained", name)
with open(".ended.txt", "a") as file:
    file.write(name + "\\n")
"""
"""A training that knows nothing of modeldir."""

WITH_PARAMS = """\
import json, os, sys, time
from modeldir import Params

folder = sys.argv[sys.argv.index("--model_dir") + 1]
name = os.path.basename(folder)
params = Params(os.path.join(folder, "params.json"))
with open(".started.txt", "a") as file:
    file.write(name + "\\n")
while os.path.exists("hold"):
    time.sleep(0.005)
accuracy = 1 - params.learning_rate
with open(os.path.join(folder, "metrics_eval_best_weights.json"), "w") as file:
    json.dump({"accuracy": accuracy}, file)
"""
"""A training that reads `learning_rate`, and nothing else, by `Params`."""

SAVING = """\
import json, os, sys, time

folder = sys.argv[sys.argv.index("--model_dir") + 1]
name, weights = os.path.basename(folder), os.path.join(folder, "last.ckpt")
epoch = 0
if "--restore_file" in sys.argv:
    with open(weights) as file:
        epoch = int(file.read())
with open(".started.txt", "a") as file:
    file.write(f"{name} {epoch}\\n")
while epoch < 4:
    epoch += 1
    with open(weights + ".new", "w") as file:
        file.write(str(epoch))
    os.replace(weights + ".new", weights)
    while epoch == 2 and os.path.exists("hold"):
        time.sleep(0.005)
with open(os.path.join(folder, "metrics_eval_best_weights.json"), "w") as file:
    json.dump({"accuracy": 0.5}, file)
print("trained", name)
with open(".ended.txt", "a") as file:
    file.write(name + "\\n")
"""
"""A training of 4 epochs that saves its weights, and goes on from them; it waits after epoch 2."""

THREE = ("learning_rate=0.1,0.01,0.001",)


@dataclass(frozen=True)
class Said:
    """What a command printed, and its exit code."""

    out: str
    err: str
    code: int

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Project:
    """A project's folder: scripts in it, experiments below `experiments/`."""

    def __init__(self, path: Path, script: str = PLAIN, python: str = sys.executable) -> None:
        self.path = path
        self.interpreter = python
        self.environment = environment(python)
        self.search = path / "experiments" / "search"
        self.write("train.py", script)
        self.params("experiments/search", learning_rate=0.5, batch_size=16)

    # -- Files -------------------------------------------------------------------------------------

    def write(self, name: str, text: str) -> Path:
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def params(self, folder: str, **values: Any) -> Path:
        return self.write(f"{folder}/params.json", json.dumps(values))

    def plan(self, folder: str = "experiments/search") -> dict[str, Any]:
        return read(self.path / folder / "search.json")

    def lines(self, name: str) -> list[str]:
        path = self.path / name
        return path.read_text().splitlines() if path.exists() else []

    @property
    def started(self) -> list[str]:
        """The trials' names, one for each time that the script began."""
        return self.lines(".started.txt")

    @property
    def ended(self) -> list[str]:
        """The trials' names, one for each time that the script came to its end."""
        return self.lines(".ended.txt")

    def hold(self) -> None:
        """From now on trainings wait."""
        self.write("hold", "")

    def release(self) -> None:
        (self.path / "hold").unlink()

    def trials(self, folder: str = "experiments/search") -> dict[str, str]:
        """Each trial's status, by name."""
        return {
            path.name: experiment.status(path).state
            for path in sorted((self.path / folder).iterdir())
            if path.name[0] != "." and (path / "params.json").exists()
        }

    def tree(self) -> dict[str, int]:
        """Every file, with the time it was written: what must not change is compared by this."""
        found = {}
        for path in sorted(self.path.rglob("*")):
            if "__pycache__" not in path.parts:
                found[str(path.relative_to(self.path))] = path.stat().st_mtime_ns
        return found

    # -- Commands ----------------------------------------------------------------------------------

    def modeldir(
        self, *words: str, cwd: Path | None = None, limit: float = LIMIT, **variables: str
    ) -> Said:
        """Type `modeldir WORDS` in the project's folder and wait for its end."""
        done = subprocess.run(
            [self.interpreter, "-m", "modeldir", *words],
            cwd=cwd or self.path,
            env={**self.environment, **variables},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=limit,
            check=False,
        )
        return Said(done.stdout, done.stderr, done.returncode)

    def searches(self, *words: str, command: str = "python train.py", **settings: Any) -> Said:
        """Type `modeldir search experiments/search WORDS -- COMMAND`."""
        return self.modeldir(
            "search", "experiments/search", *words, "--", *command.split(), **settings
        )

    @contextlib.contextmanager
    def started_as(
        self, *words: str, host: str = "", **variables: str
    ) -> Iterator[subprocess.Popen[str]]:
        """`modeldir WORDS` in the background, its output in a pipe; ended with the block. On
        another `host`, if one is named: with that one's all processes.
        """
        process = subprocess.Popen(
            [*(on_host(host) if host else ()), self.interpreter, "-m", "modeldir", *words],
            cwd=self.path,
            env={**self.environment, **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            if host:
                kill_host(process)
            process.kill()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()

    def wait_for_starts(self, count: int) -> list[str]:
        wait_until(lambda: len(self.started) >= count, f"{count} starts")
        return self.started


BEGINS = 'if __name__ == "__main__":\n'
HELD = """\
import time as _time
while os.path.exists("hold"):
    _time.sleep(0.05)


"""


def let_it_be_held(script: Path) -> None:
    """Have a training that `modeldir init` made not begin while its project is held."""
    text = script.read_text().replace(BEGINS, HELD + BEGINS, 1)
    assert HELD in text
    script.write_text(text)


def let_it_be_long_ago(search: Path) -> None:
    """Make the trials of a search end years ago; those that have just ended are listed twice."""
    for path in search.glob("*/run.json"):
        record = {**read(path), "ended": "2020-01-01T00:00:00.000+00:00"}
        path.write_text(json.dumps(record))


def wait_until(happened: Callable[[], object], what: str = "it", limit: float = LIMIT) -> None:
    """Look until something has happened.

    Raises:
        AssertionError: when it has not within the limit.
    """
    deadline = time.monotonic() + limit
    while not happened():
        assert time.monotonic() < deadline, f"waited {limit:g} s for {what}"
        time.sleep(0.01)


def until_refused(jobs: Iterator[JobRef]) -> tuple[list[JobRef], LauncherBusy]:
    """The jobs that a launcher started before it could start no more, and what it said then."""
    found = []
    try:
        for job in jobs:
            found.append(job)  # noqa: PERF402 - it ends with an error
    except LauncherBusy as busy:
        return found, busy
    raise AssertionError(f"all were started: {found}")


def read(path: Path) -> dict[str, Any]:
    value = json.loads(path.read_text())
    assert isinstance(value, dict)
    return value


def supervisor_of(folder: Path, number: int = 1) -> int:
    """The pid of the supervisor of an attempt."""
    name = "run.json" if number == 1 else f"run.{number}.json"
    return int(read(folder / name)["supervisor"]["pid"])


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


def on_host(name: str) -> list[str]:
    """How a command begins that is run on another host: it has pids and a host name of its own, and
    can see no process of ours. Skips the test where no such thing is allowed.
    """
    words = ["unshare", "--pid", "--fork", "--mount-proc", "--uts"]
    try:
        subprocess.run([*words, "true"], check=True, capture_output=True)
    except (OSError, subprocess.SubprocessError):
        pytest.skip("no namespaces may be made here: there can be no other host")
    return [*words, "sh", "-c", f'hostname {name}; exec "$@"', "sh"]


def kill_host(process: subprocess.Popen[Any]) -> None:
    """Cut the power of the host that `on_host` made: all its processes die at once."""
    for pid in processes.children(process.pid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def all_on_host(process: subprocess.Popen[Any]) -> dict[int, int]:
    """The processes of a host, by the pid that each has there, with the pid that it has here."""
    found = {}
    for pid in processes.descendants(process.pid):
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{pid}/status").read_text().splitlines():
                if line.startswith("NSpid:"):
                    found[int(line.split()[-1])] = pid
    return found


def environment(python: str = sys.executable) -> dict[str, str]:
    """What a user's terminal has: this interpreter first, nothing of modeldir's own, and none of
    the threads that a script of another test may have set in this process.
    """
    kept = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("MODELDIR", "OMP_")) and not key.endswith("_NUM_THREADS")
    }
    scripts = os.path.dirname(python)
    return {
        **kept,
        "PATH": f"{scripts}{os.pathsep}{kept.get('PATH', '')}",
        "COLUMNS": "100",
        "TERM": "dumb",
        "PYTHONIOENCODING": "utf-8",
    }


def without_rights(*, may_read: bool) -> list[str]:
    """How a command begins that is run as a user without rights, on a machine where we are root.

    `may_read`: it is another user, with a user's limits, who can still read and write every file
    (the interpreter, perhaps in root's home). Else it is root, bound to the modes of its own files.
    Skips the test where that cannot be; for who is not root the second is what he is.
    """
    if not hasattr(os, "geteuid") or (os.geteuid() != 0 and may_read):
        pytest.skip("only root may be somebody else")
    if os.geteuid() != 0:
        return []
    words = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
    if may_read:
        kept = "-all,+dac_override,+dac_read_search"
        words = ["setpriv", "--reuid=65534", "--clear-groups", f"--bounding-set={kept}",
                 f"--inh-caps={kept}", f"--ambient-caps={kept}"]  # fmt: skip
    try:
        subprocess.run([*words, "true"], check=True, capture_output=True)
    except (OSError, subprocess.SubprocessError):
        pytest.skip("setpriv is not there, or may not")
    return words
