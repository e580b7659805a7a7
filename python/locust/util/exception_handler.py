"""Trying again."""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

logger = logging.getLogger(__name__)

F = TypeVar("F", bound=Callable[..., Any])


def retry(
    delays: Sequence[float] = (1, 3, 5), exception: type[BaseException] | tuple[type[BaseException], ...] = Exception
) -> Callable[[F], F]:
    """Call the function again after each of `delays` (seconds) while it raises `exception`.

    What the last attempt raises goes to the caller.
    """

    def decorate(function: F) -> F:
        @functools.wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            for delay in delays:
                try:
                    return function(*args, **kwargs)
                except exception as e:
                    logger.info("%s failed (%s), next attempt in %s s", function.__name__, e, delay)
                    time.sleep(delay)
            return function(*args, **kwargs)

        return wrapper  # type: ignore[return-value]

    return decorate
