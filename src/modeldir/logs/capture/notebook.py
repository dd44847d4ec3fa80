"""The log of a notebook: what cells print, what C code and children print, and tracebacks.

It knows IPython's kernel: there `print` goes by messages to the browser and never reaches
descriptor 1, output of C code and of children does, and a cell's traceback is neither. So all three
are listened to. It refuses to know how the first two are.
"""

from __future__ import annotations

import contextlib
import sys
from typing import Any

from modeldir.logs.capture.methods import ByDescriptors, ByStreams, Way
from modeldir.logs.logfile import Settings


class InNotebook(Way):
    """Streams and descriptors, into one file: the two hear nothing of each other."""

    def __init__(self, descriptor: int, settings: Settings) -> None:
        self._below = ByDescriptors(descriptor, settings, alone=False)
        self._below.drain()  # the first line is its own
        self._above = ByStreams(descriptor, settings, whole=False)
        self._shell = _shell()

    def attach(self) -> None:
        self._above.attach()
        if self._shell is not None:
            self._shell.events.register("post_run_cell", self._after_cell)

    def detach(self) -> None:
        self._above.detach()
        if self._shell is not None:
            with contextlib.suppress(ValueError):  # it is told to others for a change
                self._shell.events.unregister("post_run_cell", self._after_cell)

    def _after_cell(self, result: Any) -> None:
        self._below.drain()  # before the kernel looks for the cell's last output
        error = getattr(result, "error_in_exec", None) or getattr(result, "error_before_exec", None)
        if error is not None:
            from traceback import format_exception  # noqa: PLC0415 - only after an error

            within = error.__traceback__ and error.__traceback__.tb_next  # without the shell's own
            self._above.write("".join(format_exception(type(error), error, within)))

    def drain(self) -> None:
        self._above.drain()
        self._below.drain()

    def finish(self) -> None:
        self._above.drain()
        self._below.finish()

    def close(self, how: str) -> None:
        self._above.close(how)
        self._below.close(how)

    def forget(self) -> None:
        self._above.forget()
        self._below.forget()


def _shell() -> Any:
    """IPython's shell, None in a kernel of another kind."""
    with contextlib.suppress(Exception):
        return sys.modules["IPython"].get_ipython()
    return None
