"""The run of a Python locustfile, from its options to its exit code.

The gregaria program replaces itself with ``python -m locust`` for such files; console, files, run time and signals
belong to the engine's control thread (``_engine.Control``), this module to everything that runs the user's code.
"""

from __future__ import annotations

import gc
import logging
import os
import resource
import signal
import sys
import warnings
from argparse import Namespace
from typing import Any, NoReturn

from gevent.event import Event

import locust

from . import _engine, argument_parser, log
from .contrib.fasthttp import FastHttpUser
from .env import Environment
from .runners import STATE_RUNNING, STATE_SPAWNING, LocalRunner
from .user.markov_taskset import MarkovTaskSet
from .user.task import TaskSet
from .user.users import HttpUser, User
from .util.load_locustfile import load_or_exit

logger = logging.getLogger(__name__)

_KEYBOARD_RATE = 100  # users a second
_RESERVED_FDS = 64  # for the interpreter, files and what tasks open


def main() -> NoReturn:
    """Run the command line and exit with the test's exit code."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # until the test takes it: an end without a traceback
    paths = argument_parser.parse_locustfile_option()
    user_classes, shape_classes = load_or_exit(paths)
    options = argument_parser.parse_options(run=True)
    _set_up_logging(options)
    if options.list_commands:
        print("Available Users:")
        for name in user_classes:
            print("    " + name)
        sys.exit(0)
    classes = _chosen_classes(user_classes, options)
    environment = _create_environment(classes, user_classes, options, paths)
    environment.available_shape_classes = shape_classes
    environment.shape_class = next(iter(shape_classes.values()), None)
    runner = environment.create_local_runner()
    environment.events.init.fire(environment=environment, runner=runner, web_ui=None)
    if log.unhandled_greenlet_exception:
        sys.exit(1)  # a listener failed, which is in the log
    _check_test(environment, options)
    _run(environment, runner, options)


def _refuse(sentence: str) -> NoReturn:
    """Bad input: one sentence, exit code 1."""
    sys.stderr.write(f"gregaria: error: {sentence}\n")
    sys.exit(1)


# --- setting up ----------------------------------------------------------------------------------


def _set_up_logging(options: Namespace) -> None:
    """Of the locustfile's lines and of those that the engine's own threads write."""
    if options.skip_log_setup:
        _engine.open_log(None, logging.WARNING)  # Python's default
        return
    try:
        log.setup_logging(options.loglevel, options.logfile)
        _engine.open_log(options.logfile or None, logging.getLogger().level)
    except OSError as e:
        _refuse(f"cannot open the log file {options.logfile}: {e.strerror}")


def _chosen_classes(found: dict[str, type[User]], options: Namespace) -> list[type[User]]:
    if not found:
        _refuse(f"No User class found in {options.locustfile}: define a class that inherits from HttpUser (or another User class)")
    wanted = options.user_classes
    if not wanted:
        return list(found.values())
    if unknown := [name for name in wanted if name not in found]:
        _refuse(f"Unknown User(s): {', '.join(unknown)} (the locustfile defines {', '.join(found)})")
    return [cls for name, cls in found.items() if name in wanted]


def _create_environment(
    classes: list[type[User]], available: dict[str, type[User]], options: Namespace, paths: list[str]
) -> Environment:
    try:
        return Environment(
            user_classes=classes,
            tags=options.tags,
            exclude_tags=options.exclude_tags,
            locustfile=os.path.basename(paths[0]),
            events=locust.events,
            host=options.host,
            reset_stats=options.reset_stats,
            stop_timeout=options.stop_timeout,
            parsed_options=options,
            parsed_locustfiles=paths,
            available_user_classes=available,
            profile=options.profile,
        )
    except ValueError as e:
        _refuse(str(e))


def _check_test(environment: Environment, options: Namespace) -> None:
    """What would make every user fail is said once, before the test."""
    for cls in environment.user_classes:
        host = environment.host or cls.host
        if issubclass(cls, (HttpUser, FastHttpUser)):
            if host is None:
                _refuse(
                    f"{cls.__name__} has no host: set its host attribute, or give the base URL with "
                    "--host (such as --host http://127.0.0.1:8000)"
                )
            if not host.startswith(("http://", "https://")):
                _refuse(f"the host {host!r} of {cls.__name__} is not a URL: it must begin with http:// or https://")
        if missing := _without_tasks(cls):
            _refuse(missing)
    _apply_tags(environment)
    _raise_fd_limit(environment, options)


def _without_tasks(holder: type, parent: str = "") -> str | None:
    """A sentence about a class of users or tasks that has none to run, or None."""
    if issubclass(holder, MarkovTaskSet):
        return None  # such a class is checked when it is made
    base: type = TaskSet if issubclass(holder, TaskSet) else User
    if any("run" in vars(c) or "get_next_task" in vars(c) for c in _own_bases(holder)):
        return None
    if not holder.tasks:  # type: ignore[attr-defined]
        what = "its methods" if base is TaskSet else "methods"
        return (
            f"No tasks defined on {holder.__name__}{parent}: mark {what} with @task or set its tasks attribute"
            + (" (or mark it as abstract = True if it is only a base class)" if base is User else "")
        )
    for task in dict.fromkeys(holder.tasks):  # type: ignore[attr-defined]
        if isinstance(task, type) and issubclass(task, TaskSet):
            if missing := _without_tasks(task, f" (a task of {holder.__name__})"):
                return missing
    return None


def _apply_tags(environment: Environment) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the sentence below says it
        environment._filter_tasks_by_tags()
    for cls in environment.user_classes:
        if _without_tasks(cls):
            _refuse(
                f"No tasks of {cls.__name__} are left by --tags and --exclude-tags: choose other tags, "
                "or name the user classes to run"
            )


def _own_bases(cls: type) -> list[type]:
    """The class and those of its bases that are not part of this package."""
    return [c for c in cls.__mro__ if c is not object and not c.__module__.startswith("locust.") and c.__module__ != "builtins"]


def _raise_fd_limit(environment: Environment, options: Namespace) -> None:
    users = options.num_users or 1
    http = any(issubclass(cls, (HttpUser, FastHttpUser)) for cls in environment.user_classes)
    needed = max(10_000, users + _RESERVED_FDS)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < needed:
        target = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (target, max(hard, target)))
        except (OSError, ValueError):
            target = soft
        soft = target
    if http and soft != resource.RLIM_INFINITY and soft < users + _RESERVED_FDS:
        _refuse(
            f"{users} users need about {users + _RESERVED_FDS} open files, and this process may open {soft}: "
            "raise the limit (ulimit -n) or run fewer users"
        )


# --- running -------------------------------------------------------------------------------------


class _Orders:
    """What the control thread asks for; called in the hub, so nothing here may wait."""

    def __init__(self, runner: LocalRunner) -> None:
        self._runner = runner
        self.stop_requested = Event()

    def __call__(self, kind: str, value: Any, extra: Any) -> None:
        if kind == "stop":
            self.stop_requested.set()
        elif kind == "usage":
            cpu, memory = value
            self._runner.greenlet.spawn(self._runner.note_usage, cpu, memory, extra)
        elif kind == "users":
            self._runner.greenlet.spawn(self._change_users, value)

    def _change_users(self, change: int) -> None:
        runner = self._runner
        if runner.shape_greenlet is not None:
            return  # the shape decides
        if runner.state == STATE_SPAWNING:
            logger.warning("Already spawning users, can't spawn more right now" if change > 0 else "Spawning users, can't stop right now")
        elif runner.state == STATE_RUNNING:
            runner.start(max(0, runner.user_count + change), _KEYBOARD_RATE)


def _run(environment: Environment, runner: LocalRunner, options: Namespace) -> NoReturn:
    if any(issubclass(cls, HttpUser) for cls in environment.user_classes):
        import requests.exceptions  # noqa: F401  here rather than in the first failing request
    orders = _Orders(runner)
    try:
        runner._control = _engine.Control(
            environment.stats,
            orders,
            lambda: (runner.state, runner.user_count),
            run_time=float(options.run_time or 0),
            tables=not options.skip_log_setup,
            only_summary=options.only_summary,
            json=options.json,
            json_file=options.json_file,
            csv_prefix=options.csv_prefix,
            csv_full_history=options.stats_history_enabled,
            handle_signals=True,
            keyboard=True,
        )
    except OSError as e:
        _refuse(str(e))
    logger.info("Starting Locust %s (gregaria)", _engine.__version__)
    shape = environment.shape_class
    if shape and not shape.use_common_options and (options.num_users or options.spawn_rate or options.run_time):
        logger.warning("--run-time, --users or --spawn-rate have no impact on LoadShapes unless the shape class explicitly reads them. See https://docs.locust.io/en/stable/custom-load-shape.html#use-common-options")
    if options.run_time:
        logger.info("Run time limit set to %s seconds", options.run_time)
    elif not shape:
        logger.info("No run time limit set, use CTRL+C to interrupt")
    gc.freeze()  # what exists now lives as long as the process: no need to look at it again
    options.num_users = 1 if options.num_users is None else options.num_users
    options.spawn_rate = 1 if options.spawn_rate is None else options.spawn_rate
    if shape:
        runner.start_shape()
    else:
        runner.start(options.num_users, options.spawn_rate)
    try:
        _wait_for_end(runner, orders)
    except SystemExit as e:  # a task's; gevent brings it here
        logger.info("sys.exit(%s) called", e.code)
        environment.process_exit_code = e.code if isinstance(e.code, int) else 0 if e.code is None else 1
    _shut_down(environment, runner, options)


def _wait_for_end(runner: LocalRunner, orders: _Orders) -> None:
    """Until somebody wants the test to end: the control thread, or the locustfile by runner.quit()."""
    import gevent

    quit_called = gevent.spawn(runner.greenlet.join)
    quit_called.rawlink(lambda _: orders.stop_requested.set())
    orders.stop_requested.wait()
    quit_called.kill(block=False)


def _shut_down(environment: Environment, runner: LocalRunner, options: Namespace) -> NoReturn:
    environment.events.quitting.fire(environment=environment, reverse=True)
    code = _exit_code(environment, runner, options)
    logger.info("Shutting down (exit code %s)", code)
    runner.quit()
    if runner._control is not None:
        runner._control.finish()
    environment.events.quit.fire(exit_code=code)
    logging.shutdown()
    gc.unfreeze()  # files that the locustfile left open are flushed by their finalizers
    sys.exit(code)


def _exit_code(environment: Environment, runner: LocalRunner, options: Namespace) -> int:
    if environment.process_exit_code is not None:
        return environment.process_exit_code
    if runner.errors or runner.exceptions:
        return options.exit_code_on_error
    return 2 if log.unhandled_greenlet_exception else 0
