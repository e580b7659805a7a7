"""Time spans as people write them."""

from __future__ import annotations

from .. import _engine


def parse_timespan(time_str: str) -> int:
    """Seconds of ``20``, ``20s``, ``3m``, ``2h``, ``1h20m``, ``3h30m10s``; ValueError for anything else."""
    return _engine.parse_timespan(time_str)
