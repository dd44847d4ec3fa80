"""Capture a notebook: what cells print, what C code and children print, and tracebacks.

In IPython's kernel `print` sends messages to the browser and never reaches descriptor 1; the output
of C code does, and a traceback is neither. So two methods are combined. `choose_method` picks it.
"""

from __future__ import annotations

import contextlib
import sys
from typing import Any

from modeldir.logs.capture.methods import CaptureMethod, DescriptorCapture, StreamCapture
from modeldir.logs.logfile import LogSettings


class NotebookCapture(CaptureMethod):
    """Captures streams and descriptors into one file; neither sees the other's output."""

    def __init__(self, descriptor: int, settings: LogSettings) -> None:
        self._below = DescriptorCapture(descriptor, settings, alone=False)
        self._below.drain()  # it writes the log's first line
        self._above = StreamCapture(descriptor, settings, whole=False)
        self._shell = _shell()

    def attach(self) -> None:
        self._above.attach()
        if self._shell is not None:
            self._shell.events.register("post_run_cell", self._after_cell)

    def detach(self) -> None:
        self._above.detach()
        if self._shell is not None:
            with contextlib.suppress(ValueError):  # something else has removed it
                self._shell.events.unregister("post_run_cell", self._after_cell)

    def _after_cell(self, result: Any) -> None:
        self._below.drain()  # before the kernel collects the cell's last output
        error = getattr(result, "error_in_exec", None) or getattr(result, "error_before_exec", None)
        if error is not None:
            from traceback import format_exception  # noqa: PLC0415 - only after an error

            within = error.__traceback__ and error.__traceback__.tb_next  # without IPython's frame
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
    with contextlib.suppress(Exception):
        return sys.modules["IPython"].get_ipython()
    return None
