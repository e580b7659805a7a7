"""Remembering a result for a while."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import Any


def memoize(timeout: float, dynamic_timeout: bool = False) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Call the function at most once in `timeout` seconds; in between its last result is returned.

    Arguments do not matter: there is one result. With `dynamic_timeout`, a call that itself takes long
    is remembered for at least twice that time. The wrapper's ``clear_cache()`` forgets the result.
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        valid_until = 0.0
        result: Any = None

        @functools.wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            nonlocal valid_until, result
            started = time.monotonic()
            if started < valid_until:
                return result
            result = function(*args, **kwargs)
            ended = time.monotonic()
            valid_until = ended + (max(timeout, 2 * (ended - started)) if dynamic_timeout else timeout)
            return result

        def clear_cache() -> None:
            nonlocal valid_until, result
            valid_until, result = 0.0, None

        wrapper.clear_cache = clear_cache  # type: ignore[attr-defined]
        return wrapper

    return decorate
