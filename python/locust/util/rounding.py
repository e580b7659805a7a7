"""Rounding as people expect it."""

from __future__ import annotations

import math


def proper_round(val: float, digits: int = 0) -> float:
    """Round halves up, unlike round(), which goes to the even neighbour. Always a float."""
    factor = 10.0**digits
    return math.floor(val * factor + 0.5) / factor
