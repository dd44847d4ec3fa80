"""A search of short training runs, and the commands that work on it from any place.

Who damages what: `shared_folders`, `faults`. What the outcome must be: `journal`.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from hostile.journal import Findings, judge, lines
from laboratory import environment, wait_until

SCRIPT = Path(__file__).parents[1] / "projects" / "hostile" / "train.py"
SEARCH = ("search", "experiments/search", "--no-check", "-j", "2")
PATIENCE = 180.0
"""Seconds in which such a search is complete, whatever else the machine does."""


class HostileSearch:
    """A project in `home/backing` with a search, and the journal of its training runs in `home`.

    `python` may be that of another environment, with another version of modeldir.
    """

    def __init__(
        self, home: Path, trials: int, *, seconds: float = 0.3, python: str = sys.executable
    ) -> None:
        self.home, self.values, self.python = home, range(trials), python
        self.backing = home / "backing"
        self.search = self.backing / "experiments" / "search"
        self.search.mkdir(parents=True)
        (home / "running").mkdir()
        shutil.copy(SCRIPT, self.backing / "train.py")
        (self.search / "params.json").write_text('{"x": 0}\n')
        plan = {"space": {"x": list(self.values)}, "sampler": "grid", "command": "python train.py"}
        (self.search / "search.json").write_text(json.dumps(plan))
        self.environment = {
            **environment(python),
            "HOSTILE_HOME": str(home),
            "HOSTILE_SECONDS": str(seconds),
        }
        self.outputs: list[Path] = []

    @contextlib.contextmanager
    def started(
        self,
        folder: Path,
        *words: str,
        before: Sequence[str] = (),
        variables: Mapping[str, str] | None = None,
    ) -> Iterator[subprocess.Popen[bytes]]:
        """Run `modeldir WORDS` in a folder in the background; its output goes to a file."""
        output = self.home / f"output.{len(self.outputs)}.txt"
        self.outputs.append(output)
        with output.open("wb") as file:
            process = subprocess.Popen(
                [*before, self.python, "-m", "modeldir", *words],
                cwd=folder,
                env={**self.environment, **(variables or {})},
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
            )
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    def complete(
        self,
        places: Sequence[tuple[Path, Sequence[str]]],
        variables: Mapping[str, str] | None = None,
    ) -> Findings:
        """Search from several places at once, until all are through, and judge the result.

        Args:
            places: for each command its folder, and the words before it.
            variables: environment variables of all of them.
        """
        found = Findings()
        with contextlib.ExitStack() as stack:
            commands = [
                stack.enter_context(
                    self.started(folder, *SEARCH, before=before, variables=variables)
                )
                for folder, before in places
            ]
            for command in commands:
                try:
                    code = command.wait(PATIENCE)
                except subprocess.TimeoutExpired:
                    found.wrong("commands that failed", "a search had no end")
                else:
                    if code:
                        found.wrong("commands that failed", f"a search: exit code {code}")
        found.add(self.tracebacks())
        found.add(judge(self.home, self.search, self.values))
        return found

    def tracebacks(self) -> Findings:
        """Return the tracebacks that commands printed."""
        found = Findings()
        for path in self.outputs:
            text = path.read_text(errors="replace")
            if "Traceback" in text:
                found.wrong("commands that failed", f"{path}: {text[text.index('Traceback') :]}")
        return found

    def wait_for(self, count: int, what: str) -> None:
        """Wait until the journal has that many lines of a kind."""
        wait_until(
            lambda: sum(line["what"] == what for line in lines(self.home)) >= count,
            f"{count} lines {what!r}",
        )
