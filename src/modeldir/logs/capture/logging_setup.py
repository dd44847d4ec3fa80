"""Set up Python's `logging` for a log: print each record once, from where the capture takes it.

`logger` calls `LoggingSetup`. The rule: no record is printed twice. If basicConfig, absl, rich,
Hydra or Lightning has set up logging, only their handlers print.
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
"""Handlers of the standard library by name, since `logging.handlers` is slow to import."""
_OWN_MODULES = {"logging", "logging.handlers"}


def level_number(level: str | int) -> int:
    number = level if isinstance(level, int) else logging.getLevelName(level.upper())
    if isinstance(number, int):
        return number
    hint = did_you_mean(str(level).upper(), ["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"])
    raise ValueError(f"there is no log level {level!r}" + (f"; {hint}" if hint else ""))


class LoggingSetup:
    """The root logger at a level and with a handler that prints, until `release`.

    Its handlers that write to the log's own file (Hydra's, or that of CS230's `set_logger`) are
    removed until then: each record would be there twice.
    """

    def __init__(self, level: int, log: int | None = None) -> None:
        self._level, self._root_level = level, logging.root.level
        self._handler = _PrintingHandler(level)
        self._removed = [each for each in logging.root.handlers if _writes_to(each, log)]
        for each in self._removed:
            logging.root.removeHandler(each)
        logging.root.addHandler(self._handler)
        logging.root.setLevel(level)

    def release(self) -> None:
        logging.root.removeHandler(self._handler)
        for each in self._removed:
            logging.root.addHandler(each)
        if logging.root.level == self._level:
            logging.root.setLevel(self._root_level)


class _PrintingHandler(logging.Handler):
    def __init__(self, level: int) -> None:
        super().__init__(level)
        self._others: list[logging.Handler] = []
        self._lowest: int | None = None  # the lowest level that other handlers print

    def emit(self, record: logging.LogRecord) -> None:
        if logging.root.handlers != self._others:
            self._find_others()
        if self._lowest is not None and record.levelno >= self._lowest:
            return
        if _was_printed(record):
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
        except Exception:  # noqa: BLE001 - a script's `__str__` may raise, as in every handler
            self.handleError(record)

    def _find_others(self) -> None:
        self._others = list(logging.root.handlers)
        levels = [other.level for other in self._others if other is not self and _prints(other)]
        self._lowest = min(levels, default=None)


def _was_printed(record: logging.LogRecord) -> bool:
    """Return whether a handler of the record's logger, or of a logger above it, has printed it.

    Other types of handlers may send records elsewhere; printed twice is better than not at all.
    """
    logger: Any = logging.root.manager.loggerDict.get(record.name)
    while logger is not None and logger is not logging.root:
        for handler in getattr(logger, "handlers", ()):  # a placeholder has none
            prints = isinstance(handler, logging.StreamHandler) and _prints(handler)
            if prints and record.levelno >= handler.level and not handler.filters:
                return True
        logger = getattr(logger, "parent", None)
    return False


def _print(text: str) -> None:
    if sys.stderr is None:  # in a process without a console
        return
    try:
        sys.stderr.write(text)
    except RuntimeError:  # a signal handler logs in the middle of a print
        os.write(2, text.encode("utf-8", "backslashreplace"))


def _writes_to(handler: logging.Handler, log: int | None) -> bool:
    if log is None or not isinstance(handler, logging.FileHandler):
        return False
    try:
        return os.path.samestat(os.stat(handler.baseFilename), os.fstat(log))
    except OSError:
        return False


def _prints(handler: logging.Handler) -> bool:
    """Return whether a handler's records reach the terminal, or its replacement."""
    kinds = {kind.__name__ for kind in type(handler).__mro__ if kind.__module__ in _OWN_MODULES}
    if not kinds.isdisjoint(_PRINT_NOTHING):
        return False
    return not isinstance(handler, logging.StreamHandler) or _is_terminal(handler.stream)


def _is_terminal(stream: Any) -> bool:
    """Return whether a stream is one of Python's two, or leads to the same place."""
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
