"""Choose the capture method that fits: in a terminal, a notebook, under pytest or a supervisor.

`logger` calls `choose_method`; how each method works is in `methods`.
"""

from __future__ import annotations

import os
import sys

from modeldir._system import distributed, files
from modeldir.logs.capture import descriptors
from modeldir.logs.capture.methods import (
    CaptureMethod,
    DescriptorCapture,
    FileCapture,
    InheritedCapture,
    StreamCapture,
    SupervisedCapture,
    inherited_log,
    is_captured,
    warn,
)
from modeldir.logs.logfile import CONSOLE_VARIABLE, LogSettings


def choose_method(how: str, descriptor: int, settings: LogSettings, rank: int) -> CaptureMethod:
    if how == "off":
        return CaptureMethod()
    if how != "sys" and _is_inherited(settings.name):
        return InheritedCapture()
    if how == "file":
        return FileCapture(descriptor)
    elsewhere = _are_streams_replaced() or _is_ipython()
    in_notebook = how == "auto" and elsewhere and "ipykernel" in sys.modules
    if os.name == "posix" and (how == "fd" or (how == "auto" and (in_notebook or not elsewhere))):
        try:
            if in_notebook:
                from modeldir.logs.capture.notebook import NotebookCapture  # noqa: PLC0415 - rarely used

                return NotebookCapture(descriptor, settings)
            if how == "auto" and _is_supervised(rank):
                return SupervisedCapture(settings)
            return DescriptorCapture(descriptor, settings)
        except descriptors.Unavailable as error:
            warn(f"modeldir: {settings.name} has only what Python prints ({error})")
    try:
        return StreamCapture(descriptor, settings)
    except OSError as error:  # no descriptor is left
        warn(f"modeldir: {settings.name} cannot be kept ({error.strerror})")
        return CaptureMethod()


def _are_streams_replaced() -> bool:
    for stream, number in ((sys.stdout, 1), (sys.stderr, 2)):
        try:
            if stream is not None and stream.fileno() not in {1, 2}:
                return True
        except ValueError:
            if not stream.closed:
                return True
        except (OSError, AttributeError, TypeError):
            return True
        if stream is not None and stream.closed and _is_open(number):
            return True
    return False


def _is_ipython() -> bool:
    """Return whether this is IPython's prompt. It draws each key, which no log should have."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", None)
    return shell is not None and shell() is not None


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def _is_supervised(rank: int) -> bool:
    """Return whether descriptors 1 and 2 are `console.log`, and the supervisor makes our log.

    It makes one log at a time: a child whose parent has a log needs another method.
    """
    console = os.environ.get(CONSOLE_VARIABLE, "")
    if not console or rank > 0 or distributed.world_size() > 1 or is_captured():
        return False
    try:
        kept = os.stat(console)
        return all(os.path.samestat(kept, os.fstat(number)) for number in (1, 2))
    except OSError:
        return False


def _is_inherited(path: str) -> bool:
    log = inherited_log()
    return bool(log) and files.same_file(log, path)
