"""Running one user in a debugger."""

from __future__ import annotations

import sys
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .env import Environment
    from .user.users import User


class PrintListener:
    """Prints one line for each request."""

    def __init__(
        self,
        env: Environment,
        include_length: bool = False,
        include_time: bool = False,
        include_context: bool = False,
        include_payload: bool = False,
    ) -> None:
        env.events.request.add_listener(self.on_request)
        self.include_length = include_length
        self.include_time = include_time
        self.include_context = include_context
        self.include_payload = include_payload
        titles = [
            "time".ljust(24) if include_time else None,
            "type",
            "name".ljust(50),
            "resp_ms",
            "length" if include_length else None,
            "exception",
            "context" if include_context else None,
            "payload" if include_payload else None,
        ]
        print("\n" + "\t".join(title for title in titles if title))

    def on_request(
        self,
        request_type: str,
        name: str,
        response_time: float | None,
        response_length: int,
        exception: Exception | None,
        context: dict,
        start_time: float | None = None,
        response: Any = None,
        **_: Any,
    ) -> None:
        """Listener of ``events.request``."""
        from .exception import CatchResponseError

        text = ""
        if exception:
            text = str(exception) if isinstance(exception, CatchResponseError) else repr(exception)
        columns: list[Any] = []
        if self.include_time:
            columns.append(datetime.fromtimestamp(start_time, timezone.utc) if start_time else datetime.now(timezone.utc))
        columns += [request_type, (name or "").ljust(50), str(round(-1 if response_time is None else response_time)).ljust(7)]
        if self.include_length:
            columns.append(response_length)
        columns.append(text[:500].replace("\n", " ").ljust(9))
        if self.include_context:
            columns.append(context or "")
        if self.include_payload:
            columns.append(getattr(getattr(response, "request", None), "body", None))
        print("\t".join(str(column) for column in columns))


_environment: Environment | None = None  # one for all calls, like the events it fires


def run_single_user(
    user_class: type[User],
    include_length: bool = False,
    include_time: bool = False,
    include_context: bool = False,
    include_payload: bool = False,
    loglevel: str | None = "WARNING",
) -> None:
    """Run one user of `user_class` here, until it ends: for debuggers and first tries::

        if __name__ == "__main__":
            run_single_user(Visitor)

    Prints each request. Fires ``init`` once and ``test_start``, but neither ``test_stop`` nor ``quit``.
    """
    global _environment

    import locust

    from . import argument_parser, log
    from .env import Environment

    if loglevel:
        log.setup_logging(loglevel)
    if _environment is None:
        options = argument_parser.parse_options()
        _environment = Environment(events=locust.events, host=options.host, parsed_options=options)
        PrintListener(_environment, include_length, include_time, include_context, include_payload)
        _environment.events.init.fire(environment=_environment, runner=None, web_ui=None)
        if log.unhandled_greenlet_exception:
            sys.exit(1)
    _environment.events.test_start.fire(environment=_environment)
    if _environment.host:
        user_class.host = _environment.host
    user = _environment.single_user_instance = user_class(_environment)  # type: ignore[attr-defined]
    user.run()
