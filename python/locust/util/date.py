"""Times as text."""

from __future__ import annotations

import time


def format_utc_timestamp(unix_timestamp: float) -> str:
    """``2026-01-31T12:00:00Z``"""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(unix_timestamp))


def format_safe_timestamp(unix_timestamp: float) -> str:
    """``2026-01-31-12h00``, local time: fit for a file name."""
    return time.strftime("%Y-%m-%d-%Hh%M", time.localtime(unix_timestamp))


def format_duration(start_unix_timestamp: float, end_unix_timestamp: float) -> str:
    """The time between two moments, such as ``1 hour, 2 minutes and 1 second``."""
    seconds = max(0, int(end_unix_timestamp) - int(start_unix_timestamp))
    parts = []
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1)):
        count, seconds = divmod(seconds, length)
        if count:
            parts.append(f"{count} {unit}{'' if count == 1 else 's'}")
    if not parts:
        return "0 seconds"
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
