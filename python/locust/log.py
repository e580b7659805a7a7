"""Logging as Locust sets it up: one line format, stderr or a file, and the newest lines in memory."""

from __future__ import annotations

import logging
import socket
from collections import deque
from collections.abc import Callable
from typing import Any

HOSTNAME: str = socket.gethostname().split(".")[0]

LINES_MAX = 500
"""How many formatted lines a LogReader keeps."""

unhandled_greenlet_exception: bool = False
"""Whether a background greenlet died of an exception; such a run ends with exit code 2."""


class LogReader(logging.Handler):
    """Keep the newest lines, formatted, in `logs`."""

    def __init__(self) -> None:
        super().__init__()
        self.logs: deque[str] = deque(maxlen=LINES_MAX)

    def emit(self, record: logging.LogRecord) -> None:
        """Format and keep one record."""
        self.logs.append(self.format(record))


def _adopt(logger: logging.Logger, level: int, handlers: list[logging.Handler]) -> None:
    """Let `logger` write to `handlers` and nothing else."""
    for old in list(logger.handlers):
        logger.removeHandler(old)
    logger.setLevel(level)
    for handler in handlers:
        logger.addHandler(handler)


def setup_logging(loglevel: str | int, logfile: str | None = None) -> None:
    """Configure the root logger, ``locust``, and ``locust.stats_logger``.

    Lines go to stderr, or to the end of `logfile`; the tables of statistics always go to stderr, as
    they are. A level is a name in any case, or a number.
    """
    level = logging.getLevelName(loglevel.upper()) if isinstance(loglevel, str) else loglevel
    if not isinstance(level, int):
        raise ValueError(f"unknown log level {loglevel!r}: use DEBUG, INFO, WARNING, ERROR or CRITICAL")

    line = logging.Formatter(f"[%(asctime)s] {HOSTNAME}/%(levelname)s/%(name)s: %(message)s")
    output: logging.Handler = logging.FileHandler(logfile) if logfile else logging.StreamHandler()
    output.setFormatter(line)
    reader = LogReader()
    reader.set_name("log_reader")
    reader.setFormatter(line)
    plain = logging.StreamHandler()
    plain.setFormatter(logging.Formatter("%(message)s"))

    _adopt(logging.getLogger(), level, [output, reader])
    locust = logging.getLogger("locust")
    _adopt(locust, level, [output, reader])
    locust.propagate = False
    stats = logging.getLogger("locust.stats_logger")
    _adopt(stats, logging.INFO, [plain, reader])
    stats.propagate = False


def get_logs() -> list[str]:
    """The newest lines, oldest first; none before setup_logging()."""
    for handler in logging.getLogger().handlers:
        if handler.name == "log_reader" and isinstance(handler, LogReader):
            return list(handler.logs)
    return []


def greenlet_exception_logger(logger: logging.Logger, level: int = logging.CRITICAL) -> Callable[[Any], None]:
    """A callback for ``greenlet.link_exception`` that logs what the greenlet died of."""

    def log_exception(greenlet: Any) -> None:
        global unhandled_greenlet_exception
        kind, value, _ = greenlet.exc_info
        if kind is not None and issubclass(kind, SystemExit):
            logger.log(min(logging.INFO, level), "sys.exit(%s) called (log level DEBUG shows where)", value)
            level_of_trace = logging.DEBUG
        else:
            level_of_trace = level
            unhandled_greenlet_exception = True
        logger.log(level_of_trace, "Unhandled exception in greenlet: %s", greenlet, exc_info=greenlet.exc_info)

    return log_exception

