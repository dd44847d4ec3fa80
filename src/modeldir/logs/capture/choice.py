"""Which way of hearing what is printed fits the place: terminal, notebook, pytest, supervisor.

It looks at the streams, at descriptors 1 and 2 and at the environment, and at nothing else. It
refuses to know how each way works (`ways`). Start at `way`.
"""

from __future__ import annotations

import os
import sys

from modeldir._system import distributed, files
from modeldir.logs.capture import descriptors
from modeldir.logs.capture.methods import (
    ByDescriptors,
    ByStreams,
    Inherited,
    Straight,
    Supervised,
    Way,
    heard_log,
    is_heard,
    warn,
)
from modeldir.logs.logfile import CONSOLE_VARIABLE, Settings


def way(how: str, descriptor: int, settings: Settings, rank: int) -> Way:
    """The way that fits the place, or the one that was asked for."""
    if how == "off":
        return Way()
    if how != "sys" and _is_inherited(settings.name):
        return Inherited()
    if how == "file":
        return Straight(descriptor)
    elsewhere = _are_somebody_s() or _is_ipython()
    in_notebook = how == "auto" and elsewhere and "ipykernel" in sys.modules
    if os.name == "posix" and (how == "fd" or (how == "auto" and (in_notebook or not elsewhere))):
        try:
            if in_notebook:
                from modeldir.logs.capture.notebook import InNotebook  # noqa: PLC0415 - nowhere else

                return InNotebook(descriptor, settings)
            if how == "auto" and _is_supervised(rank):
                return Supervised(settings)
            return ByDescriptors(descriptor, settings)
        except descriptors.Unavailable as error:
            warn(f"modeldir: {settings.name} has only what Python prints ({error})")
    try:
        return ByStreams(descriptor, settings)
    except OSError as error:  # not one descriptor more
        warn(f"modeldir: {settings.name} cannot be kept ({error.strerror})")
        return Way()


def _are_somebody_s() -> bool:
    """Whether what Python prints goes elsewhere than to descriptors 1 and 2."""
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
    """Whether somebody types to IPython: it draws each key, which is nobody's log."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", None)
    return shell is not None and shell() is not None


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def _is_supervised(rank: int) -> bool:
    """Whether descriptors 1 and 2 are the `console.log` of a supervisor that makes our log.

    It makes one at a time: not of a child's (`evaluate.py`, started by `train.py`), whose parent's
    goes on.
    """
    console = os.environ.get(CONSOLE_VARIABLE, "")
    if not console or rank > 0 or distributed.ranks() > 1 or is_heard():
        return False
    try:
        kept = os.stat(console)
        return all(os.path.samestat(kept, os.fstat(number)) for number in (1, 2))
    except OSError:
        return False


def _is_inherited(path: str) -> bool:
    """Whether a parent has this very log open, and hears what is printed here."""
    log = heard_log()
    return bool(log) and files.same_file(log, path)
