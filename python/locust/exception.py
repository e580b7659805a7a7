"""The exceptions that locustfiles raise and catch."""

from __future__ import annotations

from typing import Any


class LocustError(Exception):
    """Something was used in a way that cannot work."""


class ResponseError(Exception):
    """Raised inside a ``catch_response`` block: the request failed, and this is why."""


class CatchResponseError(Exception):
    """Wraps what was given to ``response.failure()`` and is no exception; ``args[0]`` is that value."""


class MissingWaitTimeError(LocustError):
    """Neither the user nor the task set says how long to wait between tasks."""


class InterruptTaskSet(Exception):
    """Leave the current task set; its parent goes on at once, or after a wait if not ``reschedule``."""

    def __init__(self, reschedule: bool = True) -> None:
        super().__init__(reschedule)
        self.reschedule = reschedule


class StopUser(Exception):
    """End this user; its ``on_stop`` runs, and nobody takes its place."""


class StopTest(Exception):
    """End the test when raised while users are made or in a load shape's ``tick``; else this user."""


class RescheduleTask(Exception):
    """Give up this task, wait as usual, and go on with the next one."""


class RescheduleTaskImmediately(Exception):
    """Give up this task and go on with the next one without waiting."""


class RPCError(Exception):
    """A message between master and worker went wrong."""


class RPCSendError(RPCError):
    """A message could not be sent."""


class RPCReceiveError(RPCError):
    """A message could not be received or understood."""

    def __init__(self, *args: Any, addr: Any = None) -> None:
        super().__init__(*args)
        self.addr = addr


class RunnerAlreadyExistsError(Exception):
    """An Environment has one runner; it was asked to make a second one."""


def _kind_in_block(exc: BaseException) -> int:
    """Called by the engine for an exception that left a ``catch_response`` block.

    0: a failure of the request; 1: the same, and swallowed; 2: control flow, which says nothing about the request.
    """
    if isinstance(exc, ResponseError):
        return 1
    flow = (StopUser, StopTest, RescheduleTask, RescheduleTaskImmediately, InterruptTaskSet)
    return 2 if isinstance(exc, flow) or not isinstance(exc, Exception) else 0
