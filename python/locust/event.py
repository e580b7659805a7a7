"""Event hooks: what a locustfile attaches its listeners to."""

from __future__ import annotations

import logging
import time
import traceback
from contextlib import contextmanager
from typing import Any, Iterator

from . import _engine, log
from .exception import InterruptTaskSet, RescheduleTask, RescheduleTaskImmediately, StopTest, StopUser

_CONTROL_FLOW = (StopUser, StopTest, RescheduleTask, RescheduleTaskImmediately, InterruptTaskSet)


def _listener_failed(exc: BaseException) -> bool:
    """Called by the engine when a listener raised: tell whether the exception goes on, else log it."""
    if isinstance(exc, _CONTROL_FLOW):
        return True
    text = "".join(traceback.format_exception(type(exc), exc, exc.__traceback__))
    logging.error("Uncaught exception in event handler: \n%s", text)
    log.unhandled_greenlet_exception = True
    return False


class EventHook(_engine.EventHook):
    """An event and its listeners.

    Listeners are called with keyword arguments, in order of registration, in the greenlet that fires::

        @events.request.add_listener
        def on_request(request_type, name, response_time, **kwargs): ...
    """

    @contextmanager
    def measure(
        self, request_type: str, name: str, response_length: int = 0, context: dict | None = None
    ) -> Iterator[dict[str, Any]]:
        """Time a block of code and fire this hook (usually ``request``) at its end.

        Yields the keywords of the event, which may be edited. An exception in the block becomes the
        event's ``exception`` and is not raised further.
        """
        meta: dict[str, Any] = {
            "request_type": request_type,
            "name": name,
            "response_length": response_length,
            "context": context or {},
            "response": None,
            "exception": None,
            "start_time": time.time(),
        }
        start = time.perf_counter()
        try:
            yield meta
        except Exception as e:
            meta["exception"] = e
        finally:
            meta.setdefault("response_time", (time.perf_counter() - start) * 1000)
            self.fire(**meta)


class Events:
    """All hooks. Each attribute is an :class:`EventHook`."""

    request: EventHook
    """A request is complete. request_type, name, response_time (ms), response_length, response,
    context, exception (None for a success), start_time (seconds since 1970), url."""
    user_error: EventHook
    """An exception left a task. user_instance, exception, tb."""
    report_to_master: EventHook
    """A worker is about to report. client_id, data."""
    worker_report: EventHook
    """The master got a report. client_id, data."""
    worker_connect: EventHook
    """A worker joined the master. client_id."""
    spawning_complete: EventHook
    """All users of a ramp exist. user_count."""
    quitting: EventHook
    """The process is about to shut down. environment."""
    quit: EventHook
    """The process ends. exit_code."""
    init: EventHook
    """Everything is set up, nothing runs yet. environment, runner, web_ui."""
    init_command_line_parser: EventHook
    """Add your own options. parser."""
    test_start: EventHook
    """A test begins. environment."""
    test_stopping: EventHook
    """A test is about to stop its users. environment."""
    test_stop: EventHook
    """A test has stopped its users. environment."""
    reset_stats: EventHook
    """The statistics were reset from the web page."""
    cpu_warning: EventHook
    """This process is short of CPU. environment, cpu_usage (percent)."""
    heartbeat_sent: EventHook
    """The master answered a heartbeat. client_id, timestamp."""
    heartbeat_received: EventHook
    """A worker got a heartbeat. client_id, timestamp."""
    usage_monitor: EventHook
    """Every ten seconds. environment, cpu_usage (percent), memory_usage (bytes)."""

    def __init__(self) -> None:
        for name in Events.__annotations__:
            setattr(self, name, EventHook())
