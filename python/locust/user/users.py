"""Users: what a locustfile subclasses."""

from __future__ import annotations

import json
import logging
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Callable

from .. import _engine
from ..exception import CatchResponseError, StopTest
from .task import TaskSet, get_tasks_from_base_classes
from .wait_time import constant

if TYPE_CHECKING:
    import gevent
    from gevent.pool import Group

    from .._engine import Response
    from ..clients import HttpSession
    from ..env import Environment

logger = logging.getLogger(__name__)


def _start_failed(user: User, exc: Exception) -> None:
    """Called by the engine when on_start raised: the user ends, and the test says why."""
    text = "".join(traceback.format_exception(type(exc), exc, exc.__traceback__))
    logger.error("%s\n%s", exc, text)
    runner = user.environment.runner
    if runner is not None:
        runner.log_exception("local", str(exc), "".join(traceback.format_tb(exc.__traceback__)))


class UserMeta(type):
    """Collects the tasks of each User class; a class that does not say ``abstract`` is concrete."""

    def __new__(mcs, name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> type:
        if "task_set" in namespace:
            import warnings

            warnings.warn(
                "Usage of User.task_set is deprecated since version 1.0. Set the tasks attribute instead "
                f"(tasks = [{name}])",
                stacklevel=2,
            )
        namespace["tasks"] = get_tasks_from_base_classes(bases, namespace)
        namespace.setdefault("abstract", False)
        return super().__new__(mcs, name, bases, namespace)


class User(_engine.User, metaclass=UserMeta):
    """One simulated user: runs its tasks, waiting ``wait_time`` between them, until it is stopped.

    Subclass :class:`HttpUser` for web sites, or this one together with a client of your own.
    """

    abstract: bool = True
    """True: only a base for other classes, never started itself."""
    host: str | None = None
    """Base URL, unless ``--host`` is given."""
    wait_time: Callable[..., float] = constant(0)
    """Seconds to wait between tasks: :func:`between`, :func:`constant`, ... or a method of your own."""
    tasks: list[TaskSet | Callable] = []
    """Tasks as a list, or a dict of task to weight; those marked with ``@task`` are added."""
    weight: int | float = 1
    """How many users of this class there are, relative to the other classes."""
    fixed_count: int = 0
    """Exactly so many users of this class, whatever its weight; 0: by weight."""

    environment: Environment

    def __init__(self, environment: Environment) -> None:
        super().__init__()
        self.environment = environment

    def wait(self) -> None:
        """Sleep as ``wait_time`` says."""
        _engine.TaskSet(self).wait()

    def start(self, group: Group) -> gevent.Greenlet:
        """Start this user's greenlet in `group`."""
        self._group = group
        self._greenlet = group.spawn(_engine.run_user, self)
        return self._greenlet

    def stop(self, force: bool = False) -> bool:
        """Stop this user: at once when it waits or with `force`, else when its task is done.

        Returns whether it has stopped.
        """
        if force or self._state in (None, "waiting"):  # None: its greenlet has not begun
            self._group.killone(self._greenlet)
            return True
        if self._state == "running":
            self._state = "stopping"
            return False
        raise Exception(f"Tried to stop User in an unexpected state: {self._state}. This should never happen.")

    @property
    def group(self) -> Group | None:
        """The gevent Group this user's greenlet belongs to."""
        return self._group

    @property
    def greenlet(self) -> gevent.Greenlet | None:
        """This user's greenlet."""
        return self._greenlet

    @classmethod
    def json(cls) -> dict[str, Any]:
        """The class's settings, as the web page shows them."""
        return {
            "host": cls.host,
            "weight": cls.weight,
            "fixed_count": cls.fixed_count,
            "tasks": [task.__name__ for task in cls.tasks],
        }

    @classmethod
    def fullname(cls) -> str:
        """Module and qualified name."""
        return ".".join(part for part in (cls.__module__, *cls.__qualname__.split(".")) if part != "<locals>")


class RestMixin:
    """rest() and rest_() of users whose client speaks HTTP."""

    client: Any

    @contextmanager
    def rest(self, method: str, url: str, headers: dict | None = None, **kwargs: Any) -> Iterator[Response]:
        """A JSON request in a with block: ``response.js`` is the parsed body, or None.

        What an assertion or another exception in the block says becomes the failure.
        """
        headers = {"Content-Type": "application/json", "Accept": "application/json", **(headers or {})}
        with self.client.request(method, url, catch_response=True, headers=headers, **kwargs) as response:
            response.js = None
            if response.content is None:
                response.failure(str(response.error))
            elif response.content:
                try:
                    response.js = json.loads(response.content)
                except ValueError as e:
                    response.failure(f"Could not parse response as JSON. {_start(response)}, response code {response.status_code}, error {e}")
            try:
                yield response
            except AssertionError as e:
                response.failure(_assertion_text(e, response))
            except Exception as e:
                stack = [f"{frame.filename}:{frame.lineno} in {frame.name}" for frame in traceback.extract_tb(e.__traceback__)]
                response.failure(CatchResponseError(f"{type(e).__name__}: {e} at {', '.join(stack)}. {_start(response)}"))

    @contextmanager
    def rest_(self, method: str, url: str, name: str | None = None, **kwargs: Any) -> Iterator[Response]:
        """Like :meth:`rest`, with a time stamp in the URL to get past caches."""
        separator = "&" if "?" in url else "?"
        name = name or f"{url}{separator}_=..."
        with self.rest(method, f"{url}{separator}_={int(time.time() * 1000)}", name=name, **kwargs) as response:
            yield response


def _start(response: Response) -> str:
    return f"Response was {(response.text or '')[:200]}"


def _assertion_text(e: AssertionError, response: Response) -> str:
    text = str(e.args[0]) if e.args else "Assertion failed"
    return f"{text} response was {(response.text or '')[:200]}" if text.endswith(",") else text


class HttpUser(RestMixin, User):
    """A user with an HTTP client that works like a ``requests.Session``::

        class Visitor(HttpUser):
            wait_time = between(1, 3)

            @task
            def home(self):
                self.client.get("/")
    """

    abstract = True
    pool_manager: Any = None
    """Accepted for compatibility; connections are the engine's."""

    client: HttpSession

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        if self.host is None:
            raise StopTest("You must specify the base host. Either in the host attribute in the User class, or on the command line using the --host option.")
        from ..clients import HttpSession

        self.client = HttpSession(
            base_url=self.host,
            request_event=self.environment.events.request,
            user=self,
            pool_manager=self.pool_manager,
        )
