"""Find the built package, $GREGARIA_BUILD or build/ in the repository; fixtures that several files use."""

import os
import socket
import sys
from pathlib import Path

import pytest

BUILD = Path(os.environ.get("GREGARIA_BUILD") or Path(__file__).parents[2] / "build")

if str(BUILD / "python") not in sys.path:
    sys.path.insert(0, str(BUILD / "python"))

import locust  # noqa: E402, F401 - patches the standard library before a test imports what it patches

import gevent  # noqa: E402

from scripted import Server  # noqa: E402

TEST_SECONDS_MAX = 20


@pytest.fixture(autouse=True)
def time_limit():
    """A test that waits for ever fails instead."""
    with gevent.Timeout(TEST_SECONDS_MAX):
        yield


@pytest.fixture
def server():
    """A scriptable HTTP server."""
    server = Server()
    yield server
    server.close()


@pytest.fixture
def silent():
    """A URL whose port never answers a connection attempt: its queue is full."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    fill = [socket.socket() for _ in range(3)]
    for s in fill:
        s.setblocking(False)
        s.connect_ex(listener.getsockname())
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    for s in (*fill, listener):
        s.close()


@pytest.fixture
def environment():
    """An Environment with a runner, and `environment.log`: the keywords of each request event."""
    from locust.env import Environment

    environment = Environment()
    runner = environment.create_local_runner()
    environment.log = []
    environment.events.request.add_listener(lambda **keywords: environment.log.append(keywords))
    yield environment
    environment.events.test_stop._handlers.clear()
    runner.quit()
