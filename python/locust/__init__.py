"""Gregaria: Locust's API over an engine in C.

Importing this package patches the standard library with gevent, as Locust does, so that sockets,
``time.sleep`` and friends are cooperative in tasks. ``LOCUST_SKIP_MONKEY_PATCH`` turns that off.
"""

import os

from ._gevent import import_events

import_events()
if not os.getenv("LOCUST_SKIP_MONKEY_PATCH"):
    from gevent import monkey

    monkey.patch_all()

from ._engine import __version__
from .debug import run_single_user
from .event import Events
from .shape import LoadTestShape
from .user import wait_time
from .user.markov_taskset import MarkovTaskSet, transition, transitions
from .user.sequential_taskset import SequentialTaskSet
from .user.task import TaskSet, tag, task
from .user.users import HttpUser, User
from .user.wait_time import between, constant, constant_pacing, constant_throughput
from .contrib.fasthttp import FastHttpUser

events = Events()
"""The hooks of a test that is started from the command line."""

__all__ = (
    "Events",
    "FastHttpUser",
    "HttpUser",
    "LoadTestShape",
    "MarkovTaskSet",
    "SequentialTaskSet",
    "TaskSet",
    "User",
    "between",
    "constant",
    "constant_pacing",
    "constant_throughput",
    "events",
    "run_single_user",
    "tag",
    "task",
    "transition",
    "transitions",
    "wait_time",
)
