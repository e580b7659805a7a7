"""Runners: they start and stop users, and hold the state of a test."""

from __future__ import annotations

import json
import logging
import socket
import time
import traceback
from collections import Counter
from typing import TYPE_CHECKING, Any, Callable, NoReturn
from uuid import uuid4

import gevent
from gevent.lock import BoundedSemaphore
from gevent.pool import Group

from . import _engine, log
from .exception import StopTest

if TYPE_CHECKING:
    from .env import Environment
    from .shape import LoadTestShape
    from .stats import RequestStats
    from .user.users import User

logger = logging.getLogger(__name__)

STATE_INIT, STATE_SPAWNING, STATE_RUNNING, STATE_CLEANUP, STATE_STOPPING, STATE_STOPPED, STATE_MISSING = [
    "ready",
    "spawning",
    "running",
    "cleanup",
    "stopping",
    "stopped",
    "missing",
]
CPU_MONITOR_INTERVAL = 10.0
CPU_WARNING_THRESHOLD = 90


class BackgroundGroup(Group):
    """The greenlets that run beside the users; killed when the runner quits."""

    def spawn_later(self, seconds: float, function: Callable, *args: Any, **kwargs: Any) -> gevent.Greenlet:
        """Like :meth:`spawn`, after so many seconds."""
        greenlet = self.greenlet_class(function, *args, **kwargs)
        self.add(greenlet)
        greenlet.start_later(seconds)
        return greenlet


class Runner:
    """What every runner has: users, their counts, statistics and state."""

    def __init__(self, environment: Environment) -> None:
        self.environment = environment
        self.user_greenlets = Group()
        self.greenlet = BackgroundGroup()
        self.state: str = STATE_INIT
        self.spawning_greenlet: gevent.Greenlet | None = None
        self.shape_greenlet: gevent.Greenlet | None = None
        self.shape_last_tick: tuple | None = None
        self.current_cpu_usage: float = 0.0
        self.current_memory_usage: int = 0
        self.cpu_warning_emitted = False
        self.exceptions: dict[int, dict[str, Any]] = {}
        self.target_user_count = 0
        self.target_user_classes_count: dict[str, int] = {}
        self.final_user_classes_count: dict[str, int] = {}
        self.custom_messages: dict[str, tuple[Callable, bool]] = {}
        self.connection_broken = False
        self._dispatcher: _engine.Dispatch | None = None
        self._stop_lock = BoundedSemaphore()
        environment.events.request.add_listener(_engine.RequestRecorder(environment.stats))
        environment.events.spawning_complete.add_listener(self._on_spawning_complete)

    # --- state ----------------------------------------------------------------------------------

    @property
    def user_classes(self) -> list[type[User]]:
        """The classes that users are made of."""
        return self.environment.user_classes

    @property
    def user_classes_by_name(self) -> dict[str, type[User]]:
        """The same by class name."""
        return self.environment.user_classes_by_name

    @property
    def stats(self) -> RequestStats:
        """All figures so far."""
        return self.environment.stats

    @property
    def errors(self) -> dict[str, Any]:
        """Distinct failures."""
        return self.stats.errors

    @property
    def user_count(self) -> int:
        """How many users there are now."""
        return len(self.user_greenlets)

    @property
    def user_classes_count(self) -> dict[str, int]:
        """How many users of each class there are now."""
        counts = Counter(type(user).__name__ for user in self._users())
        return {cls.__name__: counts.get(cls.__name__, 0) for cls in self.user_classes}

    def _users(self) -> list[User]:
        """The users whose greenlets have not ended; those that have lose their arguments before they leave the group."""
        return [greenlet.args[0] for greenlet in self.user_greenlets if greenlet.args]

    def update_state(self, new_state: str) -> None:
        """Change the state of the test."""
        logger.debug("Updating state to '%s', old state was '%s'", new_state, self.state)
        self.state = new_state

    def _on_spawning_complete(self, user_count: int) -> None:
        self.update_state(STATE_RUNNING)
        if self.environment.reset_stats:
            logger.info("Resetting stats\n")
            self.stats.reset_all()

    # --- users ----------------------------------------------------------------------------------

    def spawn_users(self, user_classes_spawn_count: dict[str, int], wait: bool = False) -> list[User]:
        """Start so many users of each class now; with `wait`, return when all users have ended."""
        if self.state in (STATE_INIT, STATE_STOPPED):
            self.update_state(STATE_SPAWNING)
        if logger.isEnabledFor(logging.DEBUG):
            logger.debug(
                "Spawning additional %s (%s already running)...",
                json.dumps(user_classes_spawn_count),
                json.dumps(self.user_classes_count),
            )
        classes = self.user_classes_by_name
        new_users: list[User] = []
        for name, count in user_classes_spawn_count.items():
            for _ in range(count):
                user = classes[name](self.environment)
                assert hasattr(user, "environment"), (
                    f"Attribute 'environment' is missing on user {name}. Perhaps you defined your own __init__ and "
                    "forgot to call the base constructor? (super().__init__(*args, **kwargs))"
                )
                user.start(self.user_greenlets)
                new_users.append(user)
        if wait:
            self.user_greenlets.join()
            logger.info("All users stopped\n")
        return new_users

    def stop_users(self, user_classes_stop_count: dict[str, int]) -> None:
        """Stop so many users of each class. Blocks until they have ended, at most the stop timeout."""
        leaving = self._choose_leavers(user_classes_stop_count)
        stop_timeout = self.environment.stop_timeout
        helpers, waited_for = Group(), Group()
        for user in leaving:
            if not stop_timeout:
                helpers.spawn(user.stop, force=True)
            else:
                if user._state != "stopping":
                    helpers.spawn(user.stop, force=False)
                waited_for.add(user.greenlet)
        helpers.join()
        if not waited_for.join(timeout=stop_timeout):
            logger.info("Not all users finished their tasks & terminated in %s seconds. Stopping them...", stop_timeout)
            waited_for.kill(block=True)
        logger.debug("%g users have been stopped, %g still running", len(leaving), self.user_count)

    def _choose_leavers(self, counts: dict[str, int]) -> list[User]:
        missing = {self.user_classes_by_name[name]: count for name, count in counts.items() if count > 0}
        leaving = []
        for user in self._users():
            if missing.get(type(user), 0) > 0:
                missing[type(user)] -= 1
                leaving.append(user)
        return leaving

    # --- the test -------------------------------------------------------------------------------

    def stop(self) -> None:
        """Stop the running test: all users. Blocks until they have ended, unless a user itself calls it."""
        if self._called_by_user(self.stop):
            return
        with self._stop_lock:
            if self.state != STATE_STOPPED:
                self._stop()

    def _called_by_user(self, action: Callable[[], None]) -> bool:
        """Whether the caller is a user. It will be among those that are killed, so another greenlet acts for it."""
        if gevent.getcurrent() not in self.user_greenlets:
            return False
        gevent.spawn(action)
        return True

    def _stop(self) -> None:
        self.environment.events.test_stopping.fire(environment=self.environment)
        self.final_user_classes_count = dict(self.user_classes_count)
        self.update_state(STATE_CLEANUP)
        if self.spawning_greenlet and not self.spawning_greenlet.ready():
            self.spawning_greenlet.kill(block=True)
        if self.shape_greenlet is not None and self.shape_greenlet is not gevent.getcurrent():
            self.shape_greenlet.kill(block=True)
        self.shape_greenlet = self.shape_last_tick = None
        self.stop_users(self.user_classes_count)
        self._dispatcher = None
        self.update_state(STATE_STOPPED)
        if self.cpu_warning_emitted:
            logger.warning("CPU usage was too high at some point during the test! See https://docs.locust.io/en/stable/running-distributed.html for how to distribute the load over multiple CPU cores or machines")
        self.environment.events.test_stop.fire(environment=self.environment)

    def start(
        self, user_count: int, spawn_rate: float, wait: bool = False, user_classes: list[type[User]] | None = None
    ) -> None:
        """Ramp to `user_count` users at `spawn_rate` users a second."""
        raise NotImplementedError

    def start_shape(self) -> None:
        """Start the test that the environment's load shape describes. Returns at once."""
        if self.shape_greenlet:
            logger.info("There is an ongoing shape test running. Editing is disabled")
            return
        shape = self.environment.shape_class
        logger.info("Shape test starting.")
        shape.runner = self
        self.update_state(STATE_INIT)
        self.shape_greenlet = self.greenlet.spawn(self._follow_shape, shape)
        self.shape_greenlet.link_exception(self._on_spawn_failure)
        shape.reset_time()

    def _follow_shape(self, shape: LoadTestShape) -> None:
        while self.state in (STATE_INIT, STATE_SPAWNING, STATE_RUNNING):
            began = time.monotonic()
            tick = shape.tick()
            if tick is None:
                logger.info("Shape test stopping")
                options = self.environment.parsed_options
                return self.quit() if options is not None and options.headless else self.stop()
            if tick != self.shape_last_tick:
                users, rate, *classes = tick
                logger.info("Shape test updating to %d users at %.2f spawn rate", users, rate)
                self.start(users, rate, user_classes=classes[0] if classes else None)
                self.shape_last_tick = tick
            gevent.sleep(max(0.0, 1 - (time.monotonic() - began)))
        return None

    def _on_spawn_failure(self, greenlet: gevent.Greenlet) -> None:
        exc = greenlet.exception
        if isinstance(exc, StopTest):
            logger.error("%s", exc)
            logger.info("Stopping Locust...")
            options = self.environment.parsed_options
            gevent.spawn(self.quit if options is not None and options.headless else self.stop)
            return
        log.unhandled_greenlet_exception = True
        text = "".join(traceback.format_exception(*greenlet.exc_info))
        logger.critical("Unhandled exception in greenlet: %s\n%s", greenlet, text)

    def quit(self) -> None:
        """Stop the test and every background greenlet of this runner."""
        if self._called_by_user(self.quit):
            return
        self.stop()
        self.greenlet.kill(block=True)

    def log_exception(self, node_id: str, msg: str, formatted_tb: str) -> None:
        """Count an exception that left a task."""
        key = hash(formatted_tb)
        row = self.exceptions.setdefault(key, {"count": 0, "msg": msg, "traceback": formatted_tb, "nodes": set()})
        row["count"] += 1
        row["nodes"].add(node_id)
        self.stats.log_exception(node_id, msg, formatted_tb)

    def register_message(self, msg_type: str, listener: Callable, concurrent: bool = False) -> None:
        """Call `listener` for messages of this type."""
        if msg_type in self.custom_messages:
            raise Exception(f"Tried to register listener method for {msg_type}, but it already had a listener!")
        self.custom_messages[msg_type] = (listener, concurrent)


class LocalRunner(Runner):
    """Runs the test in this process."""

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self.worker_index = 0
        self.worker_count = 1
        self.client_id = f"{socket.gethostname()}_{uuid4().hex}"
        self._control: _engine.Control | None = None
        environment.events.user_error.add_listener(self._on_user_error)
        self.greenlet.spawn(self._monitor)

    def _on_user_error(self, user_instance: Any, exception: BaseException, tb: Any) -> None:
        self.log_exception("local", str(exception), "".join(traceback.format_tb(tb)))

    def _monitor(self) -> NoReturn:
        """Keeps the group of background greenlets waiting until quit(); measures when nobody else does."""
        while True:
            gevent.sleep(CPU_MONITOR_INTERVAL)
            if self._control is None:
                import psutil

                process = self.__dict__.setdefault("_process", psutil.Process())
                cpu = process.cpu_percent()
                self.note_usage(cpu, process.memory_info().rss, cpu > CPU_WARNING_THRESHOLD)

    def note_usage(self, cpu: float, memory: int, warning: bool) -> None:
        """Fire the events that belong to a reading of this process's CPU (percent) and memory (bytes)."""
        self.current_cpu_usage, self.current_memory_usage = cpu, memory
        if warning:
            self.cpu_warning_emitted = True
            self.environment.events.cpu_warning.fire(environment=self.environment, cpu_usage=cpu)
        self.environment.events.usage_monitor.fire(environment=self.environment, cpu_usage=cpu, memory_usage=memory)

    def start(
        self, user_count: int, spawn_rate: float, wait: bool = False, user_classes: list[type[User]] | None = None
    ) -> None:
        """Ramp to `user_count` users at `spawn_rate` users a second. Returns at once."""
        if self.spawning_greenlet:
            self.spawning_greenlet.kill(block=True)
        self.spawning_greenlet = self.greenlet.spawn(self._start, user_count, spawn_rate, wait, user_classes)
        self.spawning_greenlet.link_exception(self._on_spawn_failure)

    def _start(self, user_count: int, spawn_rate: float, wait: bool, user_classes: list[type[User]] | None) -> None:
        self.target_user_count = user_count
        if self.state not in (STATE_RUNNING, STATE_SPAWNING):
            self._begin_test()
        if wait and user_count - self.user_count > spawn_rate:
            raise ValueError("wait is True but the amount of users to add is greater than the spawn rate")
        if self.environment.host:
            for cls in self.user_classes:
                cls.host = self.environment.host
        if self.state not in (STATE_INIT, STATE_STOPPED):
            self.update_state(STATE_SPAWNING)
        logger.info("Ramping to %d users at a rate of %.2f per second", user_count, spawn_rate)
        self._ramp(user_count, spawn_rate, wait, user_classes)
        counts = self.user_classes_count
        logger.info("All users spawned: %s (%d total users)", json.dumps(dict(sorted(counts.items()))), sum(counts.values()))
        self.target_user_classes_count = counts
        self.environment.events.spawning_complete.fire(user_count=sum(counts.values()))

    def _begin_test(self) -> None:
        self.stats.clear_all()
        self.exceptions = {}
        self.cpu_warning_emitted = False
        self.environment._filter_tasks_by_tags()
        if self._control is not None:
            self._control.started()
        self.environment.events.test_start.fire(environment=self.environment)

    def _ramp(self, user_count: int, spawn_rate: float, wait: bool, user_classes: list[type[User]] | None) -> None:
        classes = self.user_classes
        if self._dispatcher is None:
            self._dispatcher = _engine.Dispatch([(cls.__name__, cls.weight, cls.fixed_count) for cls in classes])
        allowed = None if user_classes is None else [cls in user_classes for cls in classes]
        self._dispatcher.ramp(user_count, spawn_rate, allowed)
        due = _engine.monotonic()
        more = True
        while more:
            counts, pause, more = self._dispatcher.step()
            self._apply({cls.__name__: n for cls, n in zip(classes, counts)}, wait)
            if more:
                due += pause
                _engine.sleep(max(0.0, due - _engine.monotonic()))

    def _apply(self, wanted: dict[str, int], wait: bool) -> None:
        present = self.user_classes_count
        spawn = {name: n - present[name] for name, n in wanted.items() if n > present[name]}
        stop = {name: present[name] - n for name, n in wanted.items() if n < present[name]}
        if wait:
            self.stop_users(stop)
            self.spawn_users(spawn, wait)
        else:
            self.spawn_users(spawn, wait)
            if stop:
                self.stop_users(stop)

    def send_message(self, msg_type: str, data: Any = None, client_id: str | None = None) -> None:
        """Deliver a message to this process's own listener."""
        if msg_type not in self.custom_messages:
            logger.warning("Unknown message type received: %s", msg_type)
            return
        from .rpc import Message

        listener, _ = self.custom_messages[msg_type]
        listener(environment=self.environment, msg=Message(msg_type, data, "local"))
