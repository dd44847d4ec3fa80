"""Silence Optuna: its log lines and warnings are meant for people who call it themselves.

The samplers that use Optuna call `quietly`, and so do its import and export.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    import optuna  # noqa: PLC0415 - heavy, and an extra

    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        finally:
            optuna.logging.set_verbosity(before)
