"""Load shapes: how many users there are at each moment, decided by code."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .runners import Runner
    from .user.users import User

Tick = tuple[int, float] | tuple[int, float, "list[type[User]] | None"] | None


class LoadTestShape:
    """Base class of load shapes: about once a second, ``tick()`` says how many users there should be.

    A subclass is used unless it sets ``abstract = True`` itself.
    """

    runner: Runner | None = None
    """The runner of the test."""
    abstract: bool = True
    use_common_options: bool = False
    """Whether the shape reads the number of users, spawn rate and run time from the options."""

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        if "abstract" not in vars(cls):
            cls.abstract = False

    def __init__(self) -> None:
        self.reset_time()

    def reset_time(self) -> None:
        """Let the run time begin now."""
        self.start_time = time.perf_counter()

    def get_run_time(self) -> float:
        """Seconds since the test began."""
        return time.perf_counter() - self.start_time

    def get_current_user_count(self) -> int:
        """How many users there are."""
        return self.runner.user_count if self.runner else 0

    def tick(self) -> Tick:
        """Users and users per second to get there, and which classes may get new users; None ends the test."""
        raise NotImplementedError(f"{type(self).__name__} needs a method tick()")
