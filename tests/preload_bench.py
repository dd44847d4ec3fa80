"""Run one script plainly, through the import recorder and preloaded, and compare the results.

`Bench` compares what each run printed, wrote and exited with. Its stand-in for the import process
imports what a recorded run imported, and forks a child for each trial; all else is the package's.
"""

from __future__ import annotations

import difflib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from modeldir.worker.preload import command_line, imports

_FORKS = """\
import json, os, sys

given = json.loads(sys.stdin.read())
sys.path[:0] = given["path"]
import socket, subprocess, select, resource  # as the supervisor, which is forked too
from modeldir.worker import supervisor
from modeldir.worker.preload import child, guards, imports

ahead = imports.PreloadedModules()
learned = imports.ImportList.from_json(given["learned"])
os.close(0)
os.open(os.devnull, os.O_RDONLY)
ahead.add(learned)
into_plain = child._execute

def told(trial):
    with open(given["plain"], "a") as file:
        file.write("1")
    into_plain(trial)

child._execute = told
reply = {"objection": guards.process_objection(ahead), "left_out": ahead.left_out, "codes": []}
for trial in given["trials"]:
    if reply["objection"]:
        break
    output = os.open(trial.pop("output"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    pid = os.fork()
    if pid == 0:
        os.setpgid(0, 0)  # as `fork_command` does
        child.become_command(child.Command(output=output, **trial), ahead)
    os.close(output)
    reply["codes"].append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    if os.path.isdir("out"):
        os.rename("out", f"out.{len(reply['codes'])}")  # before the next one writes there
print(json.dumps(reply), flush=True)
os._exit(0)  # as the spawner
"""


@dataclass(frozen=True)
class Run:
    """The result of one run of a command."""

    code: int
    printed: str
    files: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class Reply:
    """The reply of the import process."""

    objection: str | None
    left_out: Mapping[str, str]
    runs: Sequence[Run]
    plain: int
    """How many of the runs were executed from their beginning, not preloaded."""


class Bench:
    """A folder with a script that runs plainly, through the recorder, and preloaded."""

    def __init__(
        self, folder: Path, *, python: str = sys.executable, script: str = "train.py"
    ) -> None:
        self.folder, self.python, self.script = folder, python, script
        self.flags: tuple[str, ...] = ()
        self.variables: dict[str, str] = {}
        self.is_module = False
        self.count = 0

    def write(self, text: str, name: str = "") -> None:
        path = self.folder / (name or self.script)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def command(self, *arguments: str) -> tuple[str, ...]:
        module = ("-m",) if self.is_module else ()
        return (self.python, *self.flags, *module, self.script, *arguments)

    @property
    def environment(self) -> dict[str, str]:
        # Another test may have run a script in this process which has set its threads.
        inherited = {n: value for n, value in os.environ.items() if not n.endswith("_NUM_THREADS")}
        return {**inherited, "PYTHONUNBUFFERED": "1", "PYTHONHASHSEED": "0", **self.variables}

    def plain(self, *arguments: str) -> Run:
        return self._run(self.command(*arguments))

    def learn(self, *arguments: str) -> tuple[Run, imports.ImportList]:
        """Run through import_recorder.py, which must look like a plain run; and the list."""
        invocation = command_line.parse(self.command(*arguments))
        assert invocation is not None
        report = self._outside("report")
        run = self._run(invocation.through_recorder(str(report)))
        learned = imports.ImportReport(str(report)).import_list()
        assert learned is not None
        return run, learned

    def run_through_learning(self) -> Run:
        """Run through the recorder a script whose imports cannot be recorded."""
        invocation = command_line.parse(self.command())
        assert invocation is not None
        return self._run(invocation.through_recorder(str(self._outside("report"))))

    def preloaded(
        self, learned: imports.ImportList, *trials: Sequence[str], **variables: str
    ) -> Reply:
        """Run trials as children of one import process, one after the other."""
        plain = self._outside("plain")
        plain.write_text("")
        outputs = [self._outside("output") for _ in trials]
        given = {
            "path": [path for path in sys.path if path.endswith("src")] or [_source()],
            "learned": learned.to_json(),
            "plain": str(plain),
            "trials": [
                {
                    "words": self.command(*arguments),
                    "cwd": str(self.folder),
                    "environment": {**self.environment, **variables},
                    "output": str(output),
                }
                for arguments, output in zip(trials, outputs, strict=True)
            ],
        }
        done = subprocess.run(
            [self.python, *self.flags, "-c", _FORKS],
            input=json.dumps(given),
            env=self.environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr
        reply: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        runs = [
            Run(code, output.read_text(errors="replace"), self._taken(f"out.{number}"))
            for number, (code, output) in enumerate(
                zip(reply["codes"], outputs, strict=False), start=1
            )
        ]
        return Reply(reply["objection"], reply["left_out"], runs, len(plain.read_text()))

    def thrice(self, *arguments: str) -> tuple[Run, Run, Run]:
        """Run plainly, through the recorder, and preloaded."""
        plain = self.plain(*arguments)
        first, learned = self.learn(*arguments)
        reply = self.preloaded(learned, arguments)
        assert (reply.objection, reply.plain) == (None, 0)
        return plain, first, reply.runs[0]

    def same(self, script: str, *arguments: str) -> str:
        """Return output and exit code, which must be the same in all three runs, as must files."""
        self.write(script)
        plain, first, preloaded = self.thrice(*arguments)
        assert_same(plain, first, "through learning")
        assert_same(plain, preloaded, "preloaded")
        return f"{plain.printed}exit {plain.code}"

    def _run(self, command: Sequence[str]) -> Run:
        output = self._outside("output")
        with output.open("ab") as file:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                cwd=self.folder,
                env=self.environment,
                start_new_session=True,
                check=False,
                timeout=300,
            )
        return Run(done.returncode, output.read_text(errors="replace"), self._taken())

    def _taken(self, folder: str = "out") -> dict[str, bytes]:
        """Take away the files that a run has left."""
        found = {path.name: path.read_bytes() for path in (self.folder / folder).glob("*")}
        shutil.rmtree(self.folder / folder, ignore_errors=True)
        return found

    def _outside(self, what: str) -> Path:
        self.count += 1
        path = self.folder.parent / f"{self.folder.name}.{what}.{self.count}"
        path.unlink(missing_ok=True)
        return path


_ADDRESS = re.compile(r"0x[0-9a-f]{8,}")
# A loader's queues are not joined at exit: the thread that feeds one may be ended between removing
# its semaphore and telling the resource tracker, which then prints this (in 1 of 68 runs).
_TRACKER = re.compile(r"(?m)^\S+/multiprocessing/resource_tracker\.py:\d+: UserWarning: .*\n .*\n")


def _comparable(run: Run) -> list[str]:
    return _ADDRESS.sub("0x", _TRACKER.sub("", run.printed)).splitlines()


def assert_same(plain: Run, other: Run, how: str) -> None:
    """Check that output, files and exit code are equal.

    Addresses of objects and what Python's resource tracker prints at the end are left out.
    """
    was, came = _comparable(plain), _comparable(other)
    lines = list(difflib.unified_diff(was, came, "plain", how, lineterm=""))
    assert not lines, "\n".join(lines)
    assert (how, other.code, other.files) == (how, plain.code, plain.files)


def _source() -> str:
    import modeldir

    return str(Path(modeldir.__file__).parent.parent)
