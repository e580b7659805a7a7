"""The local runner as a library: starting and stopping, user counts, events, shapes, and users ended in any state."""

import gc
import os
import subprocess
import sys
import time
import weakref

import gevent
import pytest
from conftest import BUILD
from locust import HttpUser, LoadTestShape, User, constant, log, task
from locust.env import Environment
from locust.event import Events
from locust.exception import RunnerAlreadyExistsError, StopTest, StopUser
from scripted import answer


class Idle(User):
    wait_time = constant(60)

    @task
    def nothing(self):
        pass


def until(condition, seconds=5):
    """Wait until `condition()` holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "not within the time"
        gevent.sleep(0.005)


@pytest.fixture
def make():
    """make(classes, **settings): a runner that is quit at the end."""
    runners = []

    def make(*classes, **settings):
        environment = Environment(user_classes=list(classes), **settings)
        runners.append(environment.create_local_runner())
        return runners[-1]

    yield make
    for runner in runners:
        runner.quit()


@pytest.fixture(autouse=True)
def clean_flag(monkeypatch):
    monkeypatch.setattr(log, "unhandled_greenlet_exception", False)


def started(runner, count, rate=1000, **more):
    runner.start(count, rate, **more)
    until(lambda: runner.state == "running" and runner.user_count == count)


# --- start, stop, quit -----------------------------------------------------------------------


def test_start_and_stop(make):
    runner = make(Idle)
    assert (runner.state, runner.user_count) == ("ready", 0) and runner.environment.runner is runner
    started(runner, 10)
    assert runner.user_classes_count == {"Idle": 10} == runner.target_user_classes_count and runner.target_user_count == 10
    assert all(isinstance(g.args[0], Idle) for g in runner.user_greenlets)
    runner.stop()
    assert (runner.state, runner.user_count) == ("stopped", 0) and runner.final_user_classes_count == {"Idle": 10}
    runner.stop()  # nothing left to do
    started(runner, 3)
    assert runner.user_count == 3
    with pytest.raises(RunnerAlreadyExistsError):
        runner.environment.create_local_runner()


def test_weights_fixed_count_and_names(make):
    class Heavy(Idle):
        weight = 3

    class Light(Idle):
        weight = 1

    class Fixed(Idle):
        fixed_count = 2

    class Never(Idle):
        weight = 0

    runner = make(Heavy, Light, Fixed, Never)
    started(runner, 10)
    assert runner.user_classes_count == {"Heavy": 6, "Light": 2, "Fixed": 2}
    started(runner, 4)
    assert runner.user_classes_count["Fixed"] == 2
    with pytest.raises(ValueError, match="weight > 0"):
        Environment(user_classes=[Never])
    with pytest.raises(ValueError, match="same class name"):
        Environment(user_classes=[Idle, type("Idle", (User,), {})])


def test_ramp(make):
    """Steps of as many users as fit into a second."""
    runner = make(Idle)
    runner.start(3, 2)
    began = time.monotonic()
    until(lambda: runner.user_count == 2)
    assert runner.state == "spawning" and runner.target_user_count == 3 and runner.target_user_classes_count == {}
    until(lambda: runner.user_count == 3)
    assert time.monotonic() - began > 0.9
    started(runner, 1, 200)
    assert runner.user_count == 1


def test_a_new_start_replaces_the_ramp(make):
    runner = make(Idle)
    runner.start(1000, 1)
    until(lambda: runner.user_count == 1)
    started(runner, 4)
    gevent.sleep(0.05)
    assert runner.user_count == 4


def test_start_with_wait(make):
    class Short(User):
        @task
        def one(self):
            raise StopUser

    runner = make(Short)
    runner.start(3, 3, wait=True)
    runner.spawning_greenlet.join()
    assert runner.user_count == 0 and runner.state == "running"
    runner.start(9, 3, wait=True)
    runner.spawning_greenlet.join()
    assert isinstance(runner.spawning_greenlet.exception, ValueError)


def test_some_classes_only(make):
    class A(Idle): ...

    class B(Idle): ...

    runner = make(A, B)
    started(runner, 4, user_classes=[B])
    assert runner.user_classes_count == {"A": 0, "B": 4}


def test_spawn_and_stop_users(make):
    class Other(Idle): ...

    runner = make(Idle, Other)
    users = runner.spawn_users({"Idle": 2, "Other": 1})
    assert [type(u).__name__ for u in users] == ["Idle", "Idle", "Other"] and runner.user_count == 3
    assert all(u.greenlet in runner.user_greenlets and u.group is runner.user_greenlets for u in users)
    gevent.sleep(0.01)
    runner.stop_users({"Idle": 1, "Other": 5})
    assert runner.user_classes_count == {"Idle": 1, "Other": 0}


def test_users_that_end_are_not_replaced(make):
    class Short(User):
        @task
        def one(self):
            raise StopUser

    runner = make(Short, Idle)
    runner.start(4, 1000)
    until(lambda: runner.user_classes_count == {"Short": 0, "Idle": 2})


def test_background_greenlets(make):
    runner, calls = make(Idle), []
    runner.greenlet.spawn_later(0.01, calls.append, "later")
    runner.greenlet.spawn(calls.append, "now")
    never = runner.greenlet.spawn_later(60, calls.append, "never")
    until(lambda: len(calls) == 2)
    assert calls == ["now", "later"]
    runner.quit()
    runner.greenlet.join()
    assert never.ready() and len(runner.greenlet) == 0


def test_host_of_the_environment(make):
    class Web(HttpUser):
        host = "http://class"
        wait_time = constant(60)

        @task
        def nothing(self):
            pass

    runner = make(Web, host="http://environment")
    started(runner, 1)
    assert Web.host == "http://environment"


def test_messages(make):
    runner, got = make(Idle), []
    runner.register_message("mine", lambda environment, msg: got.append((environment, msg.type, msg.data, msg.node_id)))
    runner.send_message("mine", {"x": 1})
    runner.send_message("unknown")
    assert got == [(runner.environment, "mine", {"x": 1}, "local")]
    with pytest.raises(Exception, match="already had a listener"):
        runner.register_message("mine", print)


# --- stopping --------------------------------------------------------------------------------


class Slow(User):
    ended = 0
    seconds = 0.2

    @task
    def one(self):
        gevent.sleep(self.seconds)
        Slow.ended += 1


def test_stop_timeout(make):
    Slow.ended = 0
    runner = make(Slow, stop_timeout=5)
    started(runner, 3)
    gevent.sleep(0.05)
    runner.stop()
    assert Slow.ended >= 3 and runner.user_count == 0


def test_stop_timeout_that_passes(make, caplog, monkeypatch):
    monkeypatch.setattr(Slow, "ended", 0)
    monkeypatch.setattr(Slow, "seconds", 60)
    runner = make(Slow, stop_timeout=0.05)
    started(runner, 2)
    with caplog.at_level("INFO"):
        runner.stop()
    assert Slow.ended == 0 and "Not all users finished" in caplog.text


def test_waiting_users_are_stopped_at_once(make):
    runner = make(Idle, stop_timeout=10)
    started(runner, 5)
    gevent.sleep(0.02)
    began = time.monotonic()
    runner.stop()
    assert time.monotonic() - began < 5


def test_users_that_have_not_begun_are_stopped_at_once(make, capfd):
    runner = make(Idle, stop_timeout=10)
    runner.spawn_users({"Idle": 3})
    began = time.monotonic()
    runner.stop()
    assert time.monotonic() - began < 5 and runner.user_count == 0 and "unexpected state" not in capfd.readouterr().err


def test_on_stop_runs_and_may_send_requests(make, server):
    class Web(HttpUser):
        host = server.base
        wait_time = constant(60)

        @task
        def one(self):
            self.client.get("/task")

        def on_stop(self):
            assert self.client.get("/stop").ok

    runner = make(Web)
    started(runner, 3)
    until(lambda: len(server.requests) == 3)
    runner.stop()
    assert [r.path for r in server.requests] == ["/task"] * 3 + ["/stop"] * 3
    assert runner.stats.get("/stop", "GET").num_requests == 3


def test_a_user_that_quits_the_runner(make):
    class Quitter(User):
        @task
        def one(self):
            self.environment.runner.quit()

    runner = make(Quitter)
    runner.start(1, 1)
    until(lambda: runner.state == "stopped" and runner.user_count == 0)


@pytest.mark.parametrize("state", ["head", "body", "connect", "wait", "stream"])
def test_users_stopped_in_a_request(make, server, silent, state):
    server.replies["/head"] = lambda request, socket: gevent.sleep(10)

    def part(request, socket):
        socket.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\npart")
        gevent.sleep(10)

    server.replies |= {"/body": part, "/stream": part}

    class Web(HttpUser):
        host = server.base
        wait_time = constant(60)

        @task
        def one(self):
            if state == "wait":
                return
            response = self.client.get(silent if state == "connect" else "/" + state, stream=state == "stream")
            assert response.error or response.content

    runner = make(Web)
    started(runner, 5)
    gevent.sleep(0.05)
    runner.stop()
    assert runner.user_count == 0 and not runner.exceptions
    assert runner.stats.total.num_failures == 0
    started(runner, 2)


def test_ended_users_are_freed(make, server):
    class Web(HttpUser):
        host = server.base
        wait_time = constant(60)

        @task
        def one(self):
            self.kept = self.client.get("/", stream=True)
            self.client.get("/")

    runner = make(Web)
    started(runner, 5)
    until(lambda: len(server.requests) == 10)
    gone = [weakref.ref(g.args[0]) for g in runner.user_greenlets]
    runner.stop()
    until(lambda: gc.collect() >= 0 and not any(ref() for ref in gone))


# --- failures --------------------------------------------------------------------------------


def test_constructor_that_raises(make, caplog):
    class Broken(Idle):
        def __init__(self, environment):
            raise ValueError("cannot be made")

    runner = make(Broken)
    runner.start(1, 1)
    until(lambda: log.unhandled_greenlet_exception)
    assert "cannot be made" in caplog.text and runner.user_count == 0


def test_constructor_without_super(make, caplog):
    class Forgetful(Idle):
        def __init__(self, environment):
            pass

    runner = make(Forgetful)
    runner.start(1, 1)
    until(lambda: log.unhandled_greenlet_exception)
    assert "Attribute 'environment' is missing on user Forgetful" in caplog.text


def test_stop_test_from_a_constructor(make, caplog):
    class NoHost(HttpUser):
        tasks = [print]

    runner = make(NoHost, Idle)
    runner.start(2, 1000)
    until(lambda: runner.state == "stopped")
    assert "You must specify the base host." in caplog.text and not log.unhandled_greenlet_exception


def test_stop_test_from_a_task_ends_that_user(make):
    class One(User):
        @task
        def end(self):
            raise StopTest

    runner = make(One, Idle)
    runner.start(4, 1000)
    until(lambda: runner.user_classes_count == {"One": 0, "Idle": 2})
    assert runner.state in ("spawning", "running")


def test_log_exception(make):
    runner = make(Idle)
    for _ in range(2):
        runner.log_exception("local", "first message", "Traceback")
    runner.log_exception("node-b", "another message", "Traceback")
    runner.log_exception("local", "other", "Another")
    rows = list(runner.exceptions.values())
    assert [(r["count"], r["msg"], r["traceback"], sorted(r["nodes"])) for r in rows] == [
        (3, "first message", "Traceback", ["local", "node-b"]),
        (1, "other", "Another", ["local"]),
    ]


# --- events ----------------------------------------------------------------------------------


def test_events(make):
    events, calls = Events(), []
    for name in ("test_start", "spawning_complete", "test_stopping", "test_stop"):

        def listener(_name=name, **words):
            runner = environment.runner
            calls.append((_name, runner.state, runner.user_count, {key: value for key, value in words.items() if key != "environment"}))
            assert words.get("environment", environment) is environment

        getattr(events, name).add_listener(listener)
    runner = make(Idle, events=events)
    environment = runner.environment
    started(runner, 2)
    started(runner, 3)
    started(runner, 1)
    runner.stop()
    # spawning_complete's own listener of the runner comes after ours
    assert calls == [
        ("test_start", "ready", 0, {}),
        ("spawning_complete", "spawning", 2, {"user_count": 2}),
        ("spawning_complete", "spawning", 3, {"user_count": 3}),
        ("spawning_complete", "spawning", 1, {"user_count": 1}),
        ("test_stopping", "running", 1, {}),
        ("test_stop", "stopped", 0, {}),
    ]


def test_usage_events(make):
    runner, calls = make(Idle), []
    runner.environment.events.usage_monitor.add_listener(lambda **words: calls.append(words))
    runner.environment.events.cpu_warning.add_listener(lambda **words: calls.append(words))
    runner.note_usage(95.0, 1000, True)
    environment = runner.environment
    assert calls == [{"environment": environment, "cpu_usage": 95.0}, {"environment": environment, "cpu_usage": 95.0, "memory_usage": 1000}]
    assert (runner.current_cpu_usage, runner.current_memory_usage, runner.cpu_warning_emitted) == (95.0, 1000, True)


def test_a_new_test_forgets_the_old_one(make, server):
    class Web(HttpUser):
        host = server.base
        wait_time = constant(60)

        @task
        def one(self):
            self.client.get("/")
            raise ValueError("x")

    runner = make(Web)
    started(runner, 2)
    until(lambda: runner.stats.total.num_requests == 2 and len(runner.exceptions) == 1)
    started(runner, 3)
    until(lambda: runner.stats.total.num_requests == 3)
    runner.stop()
    assert runner.stats.total.num_requests == 3 and runner.exceptions
    started(runner, 1)
    until(lambda: len(server.requests) == 4)
    until(lambda: runner.stats.total.num_requests == 1)


def test_reset_stats(make, server):
    class Web(HttpUser):
        host = server.base
        wait_time = constant(60)

        @task
        def one(self):
            self.client.get("/")

    runner = make(Web, reset_stats=True)
    runner.start(3, 2)
    until(lambda: runner.state == "running" and len(server.requests) == 3)
    gevent.sleep(0.05)
    assert runner.stats.total.num_requests <= 1 and ("/", "GET") in runner.stats.entries


def test_statistics_can_be_read_at_any_time(make, server):
    server.replies["/bad"] = answer(b"", "500 No")
    counts = []

    class Web(HttpUser):
        host = server.base

        @task
        def one(self):
            self.client.get("/good")
            self.client.get("/bad")
            total = self.environment.stats.total
            counts.append((total.num_requests, total.num_failures))
            if len(counts) == 20:
                raise StopUser

    runner = make(Web)
    runner.start(1, 1)
    until(lambda: len(counts) == 20)
    assert counts == [(2 * i, i) for i in range(1, 21)]
    assert len(runner.errors) == 1
    assert runner.stats.get("/bad", "GET").num_failures == 20


def test_tags(make):
    from locust import tag

    class Tagged(Idle):
        @tag("x")
        @task
        def chosen(self):
            pass

    runner = make(Tagged, tags=["x"], exclude_tags=[])
    started(runner, 1)
    assert [t.__name__ for t in Tagged.tasks] == ["chosen"]


# --- shapes ----------------------------------------------------------------------------------


def test_shape(make, monkeypatch):
    ticks = []

    class Shape(LoadTestShape):
        def tick(self):
            ticks.append((self.get_current_user_count(), self.get_run_time()))
            return [(2, 100), (2, 100), (4, 100, [Other]), None][len(ticks) - 1]

    class Other(Idle): ...

    sleep = gevent.sleep  # a tick each second would make a long test
    monkeypatch.setattr("locust.runners.gevent.sleep", lambda seconds=0: sleep(0.05 if 0.5 < seconds <= 1 else seconds))
    runner = make(Idle, Other, shape_class=Shape())
    runner.start_shape()
    runner.start_shape()  # refused, with a line in the log
    until(lambda: runner.user_count == 4)
    assert runner.user_classes_count == {"Idle": 1, "Other": 3} and runner.shape_last_tick == (4, 100, [Other])
    assert runner.environment.shape_class.runner is runner
    until(lambda: runner.state == "stopped")
    assert runner.user_count == 0 and len(ticks) == 4 and [count for count, _ in ticks[:2]] == [0, 2]
    assert all(0 <= seconds < 5 for _, seconds in ticks)
    assert not Shape.abstract and LoadTestShape.abstract


def test_stop_test_from_a_shape(make, caplog):
    class Shape(LoadTestShape):
        def tick(self):
            if self.get_current_user_count():
                raise StopTest("enough")
            return 1, 1

    runner = make(Idle, shape_class=Shape())
    runner.start_shape()
    until(lambda: runner.state == "stopped")
    assert "enough" in caplog.text


# --- other processes -------------------------------------------------------------------------


def run(tmp_path, code, *arguments, timeout=30):
    file = tmp_path / "locustfile.py"
    file.write_text(code)
    env = {**os.environ, "PYTHONPATH": str(BUILD / "python")}
    return subprocess.run([sys.executable, file, *arguments], capture_output=True, text=True, env=env, timeout=timeout, cwd=tmp_path)


def test_run_single_user(tmp_path, server):
    code = """
from locust import HttpUser, events, run_single_user, task
from locust.exception import StopUser

events.init.add_listener(lambda environment, runner, web_ui: print("init", runner, web_ui))
events.test_start.add_listener(lambda environment: print("test_start", environment.parsed_options.host))

class Single(HttpUser):
    host = "http://nowhere.invalid"

    @task
    def one(self):
        self.client.get("/one", context={"c": 1})
        self.client.post("/bad", json={"p": 1})
        assert self.environment.single_user_instance is self
        raise StopUser

    def on_stop(self):
        print("stopped")

run_single_user(Single, include_length=True, include_context=True, include_payload=True)
print("end")
"""
    server.replies["/bad"] = answer(b"", "404 Not Found")
    result = run(tmp_path, code, "--host", server.base)
    lines = [line.split("\t") for line in result.stdout.strip().splitlines()]
    assert result.returncode == 0, result.stderr
    heads = [line[0].strip() for line in lines if line[0]]
    assert heads == ["type", "init None None", f"test_start {server.base}", "GET", "POST", "stopped", "end"]
    get, post = ([cell.strip() for cell in line] for line in lines if line[0].strip() in ("GET", "POST"))
    assert get[1] == "/one" and get[4] == "" and get[5] == "{'c': 1}"
    assert post[1] == "/bad" and "404" in post[4] and "p" in post[6]


END = """
import gevent
from locust import HttpUser, constant, task
from locust.env import Environment

class Web(HttpUser):
    host = {base!r}
    wait_time = constant(0.01)

    @task
    def one(self):
        self.kept = self.client.get("/slow", catch_response=True)

environment = Environment(user_classes=[Web])
environment.events.request.add_listener(lambda **_: None)
runner = environment.create_local_runner()
runner.start(5, 1000)
gevent.sleep(0.2)
print(runner.user_count, flush=True)
{end}
"""


@pytest.mark.parametrize("end", ["", "import sys; sys.exit(3)", "raise ValueError('end')", "import os; os._exit(4)", "runner.quit()", "del runner, environment, Web"])
def test_interpreter_exit_with_users_at_work(tmp_path, server, end):
    server.replies["/slow"] = lambda request, socket: gevent.sleep(0.1) or answer(b"x")
    result = run(tmp_path, END.format(base=server.base, end=end))
    expected = 3 if "exit(3)" in end else 1 if "raise" in end else 4 if "_exit" in end else 0
    assert result.returncode == expected and result.stdout == "5\n", result.stderr
    assert "Exception ignored" not in result.stderr and ("Traceback" in result.stderr) == ("raise" in end)
