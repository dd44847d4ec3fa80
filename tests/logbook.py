"""A script that logs, run in a process of its own, and what its log then says."""

from __future__ import annotations

import contextlib
import os
import re
import stat
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from laboratory import wait_until

PREFIX = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}[ +~|]")

HEAD = """
import logging, os, sys, threading, time, warnings
from modeldir import set_logger
"""

LOG_WRITERS = """
        def log_writers():
            found = []
            for name in os.listdir("/proc"):
                if name.isdigit():
                    try:
                        with open(f"/proc/{name}/cmdline", "rb") as file: words = file.read()
                        with open(f"/proc/{name}/environ", "rb") as file: around = file.read()
                        with open(f"/proc/{name}/stat") as file: state = file.read().split()[2]
                    except OSError:
                        continue
                    mark = os.environ["MARK"].encode()
                    if b"logs.capture.log_writer" in words and mark in around and state != "Z":
                        found.append(int(name))
            return found
        def log_writer():
            # One that was executed a moment ago has no environment in /proc yet.
            while not (found := log_writers()): time.sleep(0.001)
            assert len(found) == 1, found
            return found[0]
"""
"""For scripts: the processes that write their log. `MARK` separates them from other tests' ones."""


def texts(path: Path) -> list[str]:
    """Return the lines of a log file without their times, which must have 24 characters."""
    lines = path.read_bytes().decode("utf-8", "backslashreplace").split("\n")
    assert lines.pop() == ""
    said = [line for line in lines if not line.startswith("#")]
    assert all(PREFIX.match(line[:24]) for line in said), said
    return [line[24:] for line in said]


def ends(path: Path) -> list[str]:
    """How the log's sessions ended, oldest first."""
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    return [line.split(" ", 4)[4] for line in lines if line.startswith("# end ")]


def train(
    folder: Path, source: str, *, before: str = "", together: bool = True, **settings: Any
) -> subprocess.CompletedProcess[str]:
    """Run a script, in a process of its own, that logs to `folder`/train.log; to the log's end.

    `together`: both of its outputs lead to one place, as in a terminal, and are its `stdout`.
    """
    script = folder / "train.py"
    script.write_text(
        HEAD + textwrap.dedent(before) + "\nset_logger('train.log')\n" + textwrap.dedent(source)
    )
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8", "PYTHONUNBUFFERED": ""}
    settings = {
        "stdout": subprocess.PIPE,
        "stderr": subprocess.STDOUT if together else subprocess.PIPE,
        "env": environment,
        **settings,
    }
    done = subprocess.run(
        [sys.executable, script.name], cwd=folder, text=True, timeout=60, check=False, **settings
    )
    if stat.S_ISREG((folder / "train.log").stat().st_mode):
        # The process that keeps the log writes its last line when the training is gone.
        wait_until(lambda: ends(folder / "train.log"), "the log's last line")
    return done


def log_writers_of(mark: bytes) -> Iterator[str]:
    """The pids of the processes that keep the logs of scripts with this in their environment."""
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError):
                words = Path(f"/proc/{name}/cmdline").read_bytes()
                if (
                    b"modeldir.logs.capture.log_writer" in words
                    and mark in Path(f"/proc/{name}/environ").read_bytes()
                ):
                    yield name
