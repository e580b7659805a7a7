"""The statistics as locustfiles see them, and the tables that are printed of them.

Counting, histograms and tables are C (locust._engine); here are the names that people import, and the
settings that they assign to: ``locust.stats.PERCENTILES_TO_STATISTICS = [0.5, 0.9]``.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from . import _engine
from ._engine import EntriesDict, StatsEntry, StatsError, bucket_response_time

if TYPE_CHECKING:
    from .runners import Runner

__all__ = [
    "EntriesDict",
    "RequestStats",
    "StatsEntry",
    "StatsError",
    "bucket_response_time",
    "calculate_response_time_percentile",
    "get_readable_percentiles",
    "median_from_dict",
    "print_error_report",
    "print_percentile_stats",
    "print_percentiles_stats",
    "print_stats",
    "print_stats_json",
    "sort_stats",
    "stats_history",
    "stats_printer",
]

console_logger = logging.getLogger("locust.stats_logger")

PERCENTILES_TO_REPORT: list[float] = [0.50, 0.66, 0.75, 0.80, 0.90, 0.95, 0.98, 0.99, 0.999, 0.9999, 1.0]
"""Columns of the percentile table and of the CSV files."""
PERCENTILES_TO_STATISTICS: list[float] = [0.95, 0.99]
"""Percentiles in StatsEntry.to_dict()."""
PERCENTILES_TO_CHART: list[float] = [0.5, 0.95]
"""Percentiles in RequestStats.history."""
MODERN_UI_PERCENTILES_TO_CHART = PERCENTILES_TO_CHART

CONSOLE_STATS_INTERVAL_SEC: float = 2
HISTORY_STATS_INTERVAL_SEC: float = 5
CSV_STATS_INTERVAL_SEC: float = 1
CSV_STATS_FLUSH_INTERVAL_SEC: float = 5
CURRENT_RESPONSE_TIME_PERCENTILE_WINDOW: int = 10
"""Seconds that StatsEntry.get_current_response_time_percentile looks back, at most 31."""


def get_console_width() -> int:
    """Columns of the terminal; 160 when there is none."""
    try:
        return os.get_terminal_size(2).columns
    except (OSError, ValueError):
        return 160


STATS_NAME_WIDTH: int = max(min(get_console_width() - 80, 80), 0)
"""Width of the column of names when STATS_AUTORESIZE is False."""
STATS_TYPE_WIDTH: int = 8
STATS_AUTORESIZE: bool = True


class RequestStats(_engine.Stats):
    """Everything that was measured: ``environment.stats``."""


# --- figures from histograms that people keep themselves -------------------------------------


def calculate_response_time_percentile(response_times: dict[int, int], num_requests: int, percent: float) -> int:
    """The response time within which `percent` (0 to 1) of `num_requests` were done; 0 without any.

    `response_times` is a histogram as in StatsEntry.response_times.
    """
    rank = int(num_requests * percent)
    slower = 0
    for response_time in sorted(response_times, reverse=True):
        slower += response_times[response_time]
        if num_requests - slower <= rank:
            return response_time
    return 0


def median_from_dict(total: int, count: dict[int, int]) -> int:
    """The lower middle one of `total` values, given as ``{value: how often}``."""
    rank = (total - 1) / 2
    value = 0
    for value in sorted(count):
        if rank < count[value]:
            break
        rank -= count[value]
    return value


def get_readable_percentiles(percentile_list: Iterable[float]) -> list[str]:
    """``[0.5, 0.999]`` as ``["50%", "99.9%"]``."""
    return [f"{int(p * 100) if (p * 100).is_integer() else round(100 * p, 6)}%" for p in percentile_list]


def sort_stats(stats: dict[Any, StatsEntry]) -> list[StatsEntry]:
    """The rows by name and method."""
    return [stats[key] for key in sorted(stats)]


def validate_stats_configuration() -> None:
    """Exit with code 1 when a percentile setting cannot be used."""
    for name in ("PERCENTILES_TO_CHART", "PERCENTILES_TO_STATISTICS"):
        for value in globals()[name]:
            if not (isinstance(value, float) and 0 < value < 1):
                sys.stderr.write(
                    f"stats.{name} parameter need to be float and value between. 0 < percentile < 1 Eg 0.95\n"
                )
                sys.exit(1)


# --- tables ----------------------------------------------------------------------------------


def get_stats_summary(stats: RequestStats, current: bool = True) -> list[str]:
    """Lines of the table of requests; rates of the last seconds, or of the whole run."""
    return _engine.render_stats(stats, current).split("\n")[:-1]


def get_percentile_stats_summary(stats: RequestStats) -> list[str]:
    """Lines of the table of percentiles."""
    return _engine.render_percentiles(stats).split("\n")[:-1]


def get_error_report_summary(stats: RequestStats) -> list[str]:
    """Lines of the error report; none without errors."""
    return _engine.render_errors(stats).split("\n")[:-1]


def _log(lines: Iterable[str]) -> None:
    for line in lines:
        console_logger.info(line)


def print_stats(stats: RequestStats, current: bool = True) -> None:
    """Print the table of requests."""
    _log(get_stats_summary(stats, current))


def print_percentile_stats(stats: RequestStats) -> None:
    """Print the table of percentiles."""
    _log(get_percentile_stats_summary(stats))


print_percentiles_stats = print_percentile_stats


def print_error_report(stats: RequestStats) -> None:
    """Print the error report, if there are errors."""
    _log(get_error_report_summary(stats))


def print_stats_json(stats: RequestStats) -> None:
    """Print the rows as JSON on stdout. Unlike in Locust, they keep their figures."""
    print(_engine.render_json(stats))


def save_stats_json(stats: RequestStats, filename: str) -> None:
    """Write the rows as JSON into ``filename.json``."""
    with open(f"{filename}.json", "w", encoding="utf-8", errors="surrogateescape") as file:
        file.write(_engine.render_json(stats))


def stats_printer(stats: RequestStats) -> Callable[[], None]:
    """A function that prints the table every CONSOLE_STATS_INTERVAL_SEC, for a greenlet of its own."""

    def print_for_ever() -> None:
        from gevent import sleep

        while True:
            print_stats(stats)
            sleep(CONSOLE_STATS_INTERVAL_SEC)

    return print_for_ever


# --- history ---------------------------------------------------------------------------------


def update_stats_history(runner: Runner, timestamp: str | None = None) -> None:
    """Append one record of the present figures to ``runner.stats.history``."""
    from .util.date import format_utc_timestamp

    stats = runner.stats
    now = timestamp or format_utc_timestamp(time.time())
    record: dict[str, Any] = {
        f"response_time_percentile_{p}": [now, stats.total.get_current_response_time_percentile(p) or 0]
        for p in PERCENTILES_TO_CHART
    }
    record["current_rps"] = [now, stats.total.current_rps or 0]
    record["current_fail_per_sec"] = [now, stats.total.current_fail_per_sec or 0]
    record["total_avg_response_time"] = [now, round(stats.total.avg_response_time, 2)]
    record["user_count"] = [now, runner.user_count or 0]
    record["time"] = now
    stats.history.append(record)


def stats_history(runner: Runner) -> None:
    """Keep ``runner.stats.history`` up to date while tests run; for a greenlet of its own."""
    from gevent import sleep

    while True:
        if runner.state not in ("ready", "stopped"):
            update_stats_history(runner)
        sleep(HISTORY_STATS_INTERVAL_SEC)
