"""locust.log: where lines go and how they look."""

import logging
import re

import pytest

from locust import log

NAMES = (None, "locust", "locust.stats_logger")


@pytest.fixture(autouse=True)
def restore_loggers():
    loggers = [logging.getLogger(name) for name in NAMES]
    before = [(list(lg.handlers), lg.level, lg.propagate) for lg in loggers]
    yield
    for logger, (handlers, level, propagate) in zip(loggers, before):
        logger.handlers[:] = handlers
        logger.setLevel(level)
        logger.propagate = propagate
    log.unhandled_greenlet_exception = False


LINE = r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}\] %s/%s/%s: %s"


def line(level, name, text):
    return re.compile(LINE % (re.escape(log.HOSTNAME), level, re.escape(name), text))


def test_stderr_and_memory(capsys):
    log.setup_logging("info")
    logging.getLogger("locust.runners").info("started %d", 3)
    logging.getLogger("mine").warning("careful")
    logging.getLogger("locust.runners").debug("too much")
    logging.getLogger("locust.stats_logger").info("a | table")
    lines = capsys.readouterr().err.splitlines()
    assert line("INFO", "locust.runners", "started 3").fullmatch(lines[0])
    assert line("WARNING", "mine", "careful").fullmatch(lines[1])
    assert lines[2:] == ["a | table"]
    assert log.get_logs()[:2] == lines[:2]
    assert log.get_logs()[2].endswith("a | table")


def test_a_file_takes_lines_but_no_tables(tmp_path, capsys):
    path = tmp_path / "run.log"
    path.write_text("old\n")
    log.setup_logging("DEBUG", str(path))
    logging.getLogger("locust").debug("d")
    logging.getLogger("other").error("e")
    logging.getLogger("locust.stats_logger").info("table")
    for handler in logging.getLogger().handlers:
        handler.close()
    lines = path.read_text().splitlines()
    assert lines[0] == "old" and line("DEBUG", "locust", "d").fullmatch(lines[1])
    assert line("ERROR", "other", "e").fullmatch(lines[2]) and len(lines) == 3
    assert capsys.readouterr().err == "table\n"


def test_setting_up_twice_does_not_double_lines(capsys):
    log.setup_logging("INFO")
    log.setup_logging("INFO")
    logging.getLogger("locust").info("once")
    assert capsys.readouterr().err.count("once") == 1


def test_an_unknown_level():
    with pytest.raises(ValueError, match="loud"):
        log.setup_logging("loud")


def test_memory_is_bounded():
    log.setup_logging("INFO")
    for i in range(log.LINES_MAX + 10):
        logging.getLogger("locust").info("%d", i)
    assert len(log.get_logs()) == log.LINES_MAX and log.get_logs()[-1].endswith(str(log.LINES_MAX + 9))


def test_no_logs_before_set_up():
    logging.getLogger().handlers[:] = []
    assert log.get_logs() == []


class Greenlet:
    def __init__(self, error):
        try:
            raise error
        except BaseException:
            import sys

            self.exc_info = sys.exc_info()


def test_greenlet_exceptions(caplog):
    logger = logging.getLogger("greenlets")
    caplog.set_level(logging.INFO, "greenlets")
    report = log.greenlet_exception_logger(logger, logging.ERROR)
    report(Greenlet(SystemExit(42)))
    assert "sys.exit(42) called" in caplog.records[0].getMessage() and caplog.records[0].levelno == logging.INFO
    assert not log.unhandled_greenlet_exception
    report(Greenlet(KeyError("k")))
    assert caplog.records[1].levelno == logging.ERROR and caplog.records[1].exc_info
    assert log.unhandled_greenlet_exception
