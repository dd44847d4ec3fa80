"""A command that begins as a fork of its supervisor, and not as a new program: a warm trial's.

It knows when the fork leads a session of its own, so that it can be tethered as any command is. It
refuses to know what Python does at its start (warm/child.py), and what was imported before.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
from typing import NoReturn

from modeldir.worker.preload.child import SIGNALS, Trial, become
from modeldir.worker.preload.imports import Ahead


def forked(trial: Trial, ahead: Ahead) -> int:
    """Begin a trial's command in a fork of this process, which has imported `ahead`: its pid, once
    it leads a session.

    Raises:
        OSError: no process is to be had, or its folder is gone.
    """
    if not os.path.isdir(trial.cwd):
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), trial.cwd)
    begun, ready = os.pipe()
    # A signal for the child, before it has let go of our handlers, would be told to us.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        pid = os.fork()
        if pid == 0:
            _begin(trial, ahead)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        os.close(ready)
        with contextlib.closing(os.fdopen(begun, "rb")) as pipe:
            pipe.read()  # it ends when the child, in its session, has closed what is not its own
    return pid


def _begin(trial: Trial, ahead: Ahead) -> NoReturn:
    """The child's side. Signals are let through once our handlers are gone."""
    try:
        signal.set_wakeup_fd(-1)
        become(trial, ahead)
    finally:
        os._exit(1)
