"""Log records, shown in the terminal once, from where every capture takes them.

It knows the root logger, its handlers, and which of them print. It refuses to know files: a record
is in the log since it is printed.

CS230's projects show a message bare (`- Train metrics: ...`), so it is shown so; at other levels
than INFO the level stands before it. Who has set up logging in another way (basicConfig, absl,
rich, Hydra, Lightning) sees what that prints, and no second line.
"""

from __future__ import annotations

import logging
import os
import sys
from typing import Any

from modeldir.errors import did_you_mean

_PRINT_NOTHING = {
    "FileHandler", "NullHandler", "BufferingHandler", "DatagramHandler", "HTTPHandler",
    "SMTPHandler", "SocketHandler", "SysLogHandler",
}  # fmt: skip
"""Handlers of the standard library, by name: `logging.handlers` is slow to import."""
_OWN_MODULES = {"logging", "logging.handlers"}


def level_number(level: str | int) -> int:
    """A level's number.

    Raises:
        ValueError: there is no such level.
    """
    number = level if isinstance(level, int) else logging.getLevelName(level.upper())
    if isinstance(number, int):
        return number
    hint = did_you_mean(str(level).upper(), ["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"])
    raise ValueError(f"there is no log level {level!r}" + (f"; {hint}" if hint else ""))


class Records:
    """The root logger, set to a level and seen to print, until `release`.

    Args:
        level: the lowest level that is shown.
        log: the open log. It has what is shown: a handler of the root that writes to the same file
            (Hydra's, CS230's own `set_logger`) rests, or each record would be there twice.
    """

    def __init__(self, level: int, log: int | None = None) -> None:
        self._level, self._root_level = level, logging.root.level
        self._handler = _Shown(level)
        self._resting = [each for each in logging.root.handlers if _writes_to(each, log)]
        for each in self._resting:
            logging.root.removeHandler(each)
        logging.root.addHandler(self._handler)
        logging.root.setLevel(level)

    def release(self) -> None:
        logging.root.removeHandler(self._handler)
        for each in self._resting:
            logging.root.addHandler(each)
        if logging.root.level == self._level:
            logging.root.setLevel(self._root_level)


class _Shown(logging.Handler):
    """Prints records to `sys.stderr`, whatever that is at the time, unless another handler does."""

    def __init__(self, level: int) -> None:
        super().__init__(level)
        self._others: list[logging.Handler] = []
        self._lowest: int | None = None  # that others print

    def emit(self, record: logging.LogRecord) -> None:
        if logging.root.handlers != self._others:
            self._look_around()
        if self._lowest is not None and record.levelno >= self._lowest:
            return
        if _was_shown(record):
            return
        try:
            text = record.getMessage()
            if record.exc_info or record.exc_text or record.stack_info:
                text = self.format(record)
            if record.levelno != logging.INFO:
                text = f"{record.levelname}: {text}"
            _print(f"{text}\n")
        except RecursionError:
            raise
        except Exception:  # noqa: BLE001 - as every handler: of the script's own `__str__`
            self.handleError(record)

    def _look_around(self) -> None:
        self._others = list(logging.root.handlers)
        levels = [other.level for other in self._others if other is not self and _prints(other)]
        self._lowest = min(levels, default=None)


def _was_shown(record: logging.LogRecord) -> bool:
    """Whether a handler of the record's own logger, or of one above it, has printed it.

    Lightning gives its logger a handler, and lets its records come to the root's all the same.
    A handler of any other kind may send them elsewhere: shown twice is better than not at all.
    """
    logger: Any = logging.root.manager.loggerDict.get(record.name)
    while logger is not None and logger is not logging.root:
        for handler in getattr(logger, "handlers", ()):  # none, where a name only stands between
            prints = isinstance(handler, logging.StreamHandler) and _prints(handler)
            if prints and record.levelno >= handler.level and not handler.filters:
                return True
        logger = getattr(logger, "parent", None)
    return False


def _print(text: str) -> None:
    if sys.stderr is None:  # as in a process without a console
        return
    try:
        sys.stderr.write(text)
    except RuntimeError:  # a signal's handler logs in the middle of a print
        os.write(2, text.encode("utf-8", "backslashreplace"))


def _writes_to(handler: logging.Handler, log: int | None) -> bool:
    if log is None or not isinstance(handler, logging.FileHandler):
        return False
    try:
        return os.path.samestat(os.stat(handler.baseFilename), os.fstat(log))
    except OSError:
        return False


def _prints(handler: logging.Handler) -> bool:
    """Whether what a handler is given reaches the terminal, or what stands in its place."""
    kinds = {kind.__name__ for kind in type(handler).__mro__ if kind.__module__ in _OWN_MODULES}
    if not kinds.isdisjoint(_PRINT_NOTHING):
        return False
    return not isinstance(handler, logging.StreamHandler) or _is_terminal(handler.stream)


def _is_terminal(stream: Any) -> bool:
    """Whether a stream is one of Python's two, or leads to the same place."""
    if stream is None or stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__):
        return stream is not None
    try:
        there = os.fstat(stream.fileno())
    except (OSError, ValueError, AttributeError, TypeError):
        return False
    for descriptor in (1, 2):
        try:
            if os.path.samestat(there, os.fstat(descriptor)):
                return True
        except OSError:
            continue
    return False
