"""A terminal, as a person has one before them: what is shown there, and what is typed."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import sys
import termios
import textwrap
import time
from collections.abc import Sequence
from pathlib import Path

from logbook import HEAD


class Terminal:
    """A script in a terminal of its own, which it has for a controlling terminal.

    `command`: what is run there, by default the script, which is `train.py`.
    """

    def __init__(
        self, folder: Path, source: str, *, log: bool = True, command: Sequence[str] = ()
    ) -> None:
        (folder / "train.py").write_text(
            HEAD + ("\nset_logger('train.log')\n" if log else "\n") + textwrap.dedent(source)
        )
        self.pid, self.ours = pty.fork()
        if self.pid == 0:
            os.chdir(folder)
            os.environ["TERM"] = "xterm-256color"
            signal.signal(signal.SIGHUP, signal.SIG_DFL)  # the tests may run under nohup
            while os.get_terminal_size(1).columns != 90:
                time.sleep(0.001)
            words = [*command] or [sys.executable, "train.py"]
            os.execvp(words[0], words)
        fcntl.ioctl(self.ours, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 90, 0, 0))
        self.shown = b""

    def read_until(self, text: str, limit: float = 20.0) -> None:
        deadline = time.monotonic() + limit
        while text.encode() not in self.shown:
            assert time.monotonic() < deadline, self.shown
            if select.select([self.ours], [], [], 0.1)[0]:
                with contextlib.suppress(OSError):
                    self.shown += os.read(self.ours, 4096)

    def type(self, keys: str) -> None:
        os.write(self.ours, keys.encode())

    def end(self) -> int:
        """Everything shown until nobody has the terminal any more; the wait status."""
        with contextlib.suppress(OSError):
            while data := os.read(self.ours, 4096):
                self.shown += data
        os.close(self.ours)
        return os.waitpid(self.pid, 0)[1]
