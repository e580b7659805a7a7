"""How tasks are collected and chosen, the task loop, and waiting."""

import logging
import time

import gevent
import pytest
from locust import SequentialTaskSet, TaskSet, User, between, constant, constant_pacing, constant_throughput, tag, task
from locust.exception import (
    InterruptTaskSet,
    LocustError,
    MissingWaitTimeError,
    RescheduleTask,
    RescheduleTaskImmediately,
    StopTest,
    StopUser,
)
from locust.user.task import DefaultTaskSet, filter_tasks_by_tags

TASKS_MAX = 100


@pytest.fixture
def calls():
    return []


@pytest.fixture
def live(environment, calls):
    """Run one user of a class to its end; a class that never stops fails the test."""

    def run(cls):
        user = cls(environment)
        environment.calls = calls
        user.calls = calls
        user.start(environment.runner.user_greenlets)
        user.greenlet.join(timeout=10)
        assert user.greenlet.ready()
        return user

    return run


def names(tasks):
    return [t.__name__ for t in tasks]


# --- collecting ------------------------------------------------------------------------------


def test_collecting():
    def outside(user): ...

    class Base(User):
        abstract = True

        @task(2)
        def a(self): ...

    class Child(Base):
        tasks = {outside: 3}

        @task
        def b(self): ...

        @task(0)
        def never(self): ...

        @task
        class Nested(TaskSet):
            tasks = [outside, (outside, 2)]

    assert names(Base.tasks) == ["a", "a"]
    assert names(Child.tasks) == ["a", "a", "outside", "outside", "outside", "b", "Nested"]
    assert names(Child.Nested.tasks) == ["outside"] * 3
    assert Base.abstract and not Child.abstract and Child.fullname().endswith("test_collecting.Child")


def test_several_bases():
    class One(TaskSet):
        @task
        def a(self): ...

    class Two(TaskSet):
        @task
        def b(self): ...

    class Both(One, Two):
        tasks = []

    assert names(Both.tasks) == ["a", "b"]


def test_bad_decorations(caplog):
    with pytest.raises(Exception, match="run"):

        class Bad(User):
            @task
            def run(self): ...

    with pytest.raises(ValueError, match="No tag name"):
        tag()
    with pytest.raises(ValueError, match="No tag name"):
        tag(lambda: 0)
    with caplog.at_level(logging.WARNING):

        class Odd(User):
            @task
            def on_start(self): ...

    assert "on_start" in caplog.text


def test_tags():
    def make():
        class Someone(User):
            @tag("a")
            @task
            def one(self): ...

            @task(2)
            @tag("b", "c")
            def two(self): ...

            @task
            def bare(self): ...

            @tag("a")
            @task
            class Set(TaskSet):
                @task
                def inner(self): ...

                @tag("c")
                @task
                def other(self): ...

        return Someone

    with pytest.warns(UserWarning, match="Set had no tasks left"):
        filter_tasks_by_tags(make(), {"b"})
    for include, exclude, expected, inner in (
        ({"a"}, None, ["one", "Set"], ["inner", "other"]),
        (None, {"b"}, ["one", "bare", "Set"], ["inner", "other"]),
        (None, {"c"}, ["one", "bare", "Set"], ["inner"]),
        ({"a", "b"}, {"c"}, ["one", "Set"], ["inner"]),
    ):
        cls = make()
        filter_tasks_by_tags(cls, include, exclude)
        assert names(cls.tasks) == expected
        assert inner is None or names(cls.tasks[-1].tasks) == inner
    with pytest.warns(UserWarning, match="no tasks left after filtering"):
        filter_tasks_by_tags(make(), {"nothing"})


def test_weights(live, calls):
    class Someone(User):
        @task(9)
        def often(self):
            calls.append("often")
            if len(calls) == 2000:
                raise StopUser

        @task
        def seldom(self):
            calls.append("seldom")
            if len(calls) == 2000:
                raise StopUser

    live(Someone)
    assert 120 < calls.count("seldom") < 300  # 200 expected; 7 standard deviations


# --- the loop --------------------------------------------------------------------------------


def test_life(live, calls):
    class Set(TaskSet):
        def on_start(self):
            calls.append("set start")

        def on_stop(self):
            calls.append("set stop")

        @task
        def one(self):
            calls.append(("one", self.user is self.parent, type(self.user).__name__))
            self.interrupt()

    class Someone(User):
        def on_start(self):
            calls.append(("start", self._state))

        def on_stop(self):
            calls.append("stop")

        @task
        def first(self):
            if len(calls) > 5:
                raise StopUser
            Set(self).run()

    user = live(Someone)
    assert calls == [("start", "running")] + ["set start", ("one", True, "Someone"), "set stop"] * 2 + ["stop"]
    assert user.greenlet.successful()


@pytest.mark.parametrize("reschedule", [True, False])
def test_interrupt(live, calls, reschedule):
    class Inner(TaskSet):
        @task
        def one(self):
            calls.append("inner")
            self.interrupt(reschedule)

    class Outer(TaskSet):
        tasks = [Inner]

        def get_next_task(self):
            if len(calls) > 3:
                raise StopUser
            return super().get_next_task()

        def wait(self):
            calls.append("wait")

    class Someone(User):
        tasks = [Outer]

    live(Someone)
    assert calls == (["inner"] * 4 if reschedule else ["inner", "wait", "inner", "wait"])


def test_nesting(live, calls):
    class Inner(TaskSet):
        @task
        def one(self):
            calls.append((type(self.parent).__name__, self.user is self.parent.user, self.client))
            raise StopUser

        def on_stop(self):
            calls.append("inner")

    class Outer(TaskSet):
        tasks = [Inner]

        def on_stop(self):
            calls.append("outer")

    class Someone(User):
        tasks = [Outer]

        def on_start(self):
            self.client = "the client"

        def on_stop(self):
            calls.append("user")

    live(Someone)
    assert calls == [("Outer", True, "the client"), "inner", "outer", "user"]


def test_interrupt_in_on_start(live, calls):
    class Inner(TaskSet):
        tasks = [print]

        def on_start(self):
            calls.append("start")
            self.interrupt()

        def on_stop(self):
            calls.append("never")

    class Someone(User):
        tasks = [Inner]

        @task
        def end(self):
            if "start" in calls:
                raise StopUser

    live(Someone)
    assert set(calls) == {"start"}


@pytest.mark.parametrize("kind,waits", [(RescheduleTask, True), (RescheduleTaskImmediately, False)])
def test_reschedule(live, calls, environment, kind, waits):
    class Set(TaskSet):
        @task
        def one(self):
            calls.append("task")
            raise StopUser if len(calls) > 3 else kind()

        def wait(self):
            calls.append("wait")

    class Someone(User):
        tasks = [Set]

    live(Someone)
    assert ("wait" in calls) == waits and environment.runner.exceptions == {}


def test_exceptions_in_tasks(live, calls, environment, caplog):
    errors = []
    environment.events.user_error.add_listener(lambda **words: errors.append(words))

    class Someone(User):
        @task
        def one(self):
            calls.append("task")
            if len(calls) == 3:
                raise StopUser
            raise ValueError("oh no")

        def on_stop(self):
            calls.append("stop")

    live(Someone)
    assert calls == ["task"] * 3 + ["stop"] and len(errors) == 2
    words = errors[0]
    assert set(words) == {"user_instance", "exception", "tb"} and isinstance(words["user_instance"], DefaultTaskSet)
    assert str(words["exception"]) == "oh no" and words["tb"].tb_frame is not None
    (row,) = environment.runner.exceptions.values()
    assert (row["count"], row["msg"], row["nodes"]) == (2, "oh no", {"local"}) and "in one" in row["traceback"]
    assert "ValueError: oh no" in caplog.text


def test_catch_exceptions_off(live, calls, environment):
    environment.catch_exceptions = False

    class Someone(User):
        @task
        def one(self):
            calls.append("task")
            raise ValueError("oh no")

        def on_stop(self):
            calls.append("stop")

    user = live(Someone)
    assert isinstance(user.greenlet.exception, ValueError) and calls == ["task"]


@pytest.mark.parametrize("kind", [StopUser, StopTest, gevent.GreenletExit])
def test_ends_in_on_start(live, calls, kind):
    class Someone(User):
        tasks = [print]

        def on_start(self):
            raise kind()

        def on_stop(self):
            calls.append("stop")

    assert live(Someone).greenlet.successful() and calls == ["stop"]


def test_exception_in_on_start(live, calls, environment):
    """Locust only logs it; here it shows among the exceptions as well."""

    class Someone(User):
        tasks = [print]

        def on_start(self):
            raise ValueError("no start")

        def on_stop(self):
            calls.append("stop")

    user = live(Someone)
    assert user.greenlet.successful() and calls == []
    (row,) = environment.runner.exceptions.values()
    assert row["msg"] == "no start" and "in on_start" in row["traceback"]


@pytest.mark.parametrize("how", ["interrupt", "stop", "kill"])
def test_exception_in_on_stop_of_a_set(live, calls, environment, caplog, how):
    class Set(TaskSet):
        def on_stop(self):
            calls.append("set")
            raise ValueError("in on_stop")

        @task
        def one(self):
            if how == "stop" or len(calls) > 2:
                raise StopUser
            if how == "kill":
                raise gevent.GreenletExit
            self.interrupt()

    class Someone(User):
        tasks = [Set]

        def on_stop(self):
            calls.append("user")

    user = live(Someone)
    assert calls[-1] == "user" and user.greenlet.successful() and environment.runner.exceptions == {}
    assert "Uncaught exception in Set.on_stop" in caplog.text and "in on_stop" in caplog.text


def test_stop_user_in_on_stop_of_a_set(live, calls):
    class Set(TaskSet):
        def on_stop(self):
            raise StopUser

        @task
        def one(self):
            calls.append("task")
            self.interrupt()

    class Someone(User):
        tasks = [Set]

        def on_stop(self):
            calls.append("user")

    live(Someone)
    assert calls == ["task", "user"]


def test_exception_in_on_stop_of_the_user(live):
    class Someone(User):
        @task
        def one(self):
            raise StopUser

        def on_stop(self):
            raise ValueError("late")

    assert isinstance(live(Someone).greenlet.exception, ValueError)


def test_interrupt_of_the_root_ends_the_user(live, calls):
    class Someone(User):
        @task
        def one(self):
            raise InterruptTaskSet(False)

        def on_stop(self):
            calls.append("never")

    assert isinstance(live(Someone).greenlet.exception, RescheduleTask) and calls == []


def test_no_tasks(live, environment):
    class Empty(TaskSet):
        task = "oops"

    class Someone(User):
        tasks = [Empty]

    class Bare(User):
        pass

    for cls in (Someone, Bare):
        user = cls(environment)
        with gevent.Timeout(0.2, False):
            environment.catch_exceptions = False
            with pytest.raises(Exception, match="No tasks defined on"):
                user.run()


def test_scheduled_tasks(live, calls):
    class Set(TaskSet):
        @task
        def one(self):
            calls.append("one")
            if len(calls) == 1:
                self.schedule_task(self.bound)
                self.schedule_task(outside, first=True)
                self.schedule_task(Inner)
            elif len(calls) > 4:
                raise StopUser

        def bound(self):
            calls.append("bound")

    class Inner(TaskSet):
        @task
        def inner(self):
            calls.append("inner")
            self.interrupt()

    def outside(taskset):
        calls.append(("outside", type(taskset).__name__))

    class Someone(User):
        tasks = [Set]

    live(Someone)
    assert calls == ["one", ("outside", "Set"), "bound", "inner", "one"]


def test_overriding_the_steps(live, calls):
    class Set(TaskSet):
        def get_next_task(self):
            calls.append("next")
            return "a name"

        def execute_task(self, task):
            calls.append(("execute", task))

        def wait(self):
            calls.append("wait")
            if len(calls) > 4:
                raise StopUser

    class Someone(User):
        tasks = [Set]

    live(Someone)
    assert calls == ["next", ("execute", "a name"), "wait"] * 2

    class Whole(TaskSet):
        tasks = [print]

        def execute_next_task(self):
            calls.append(self._task_queue.pop(0))
            raise StopUser

    Someone.tasks = [Whole]
    live(Someone)
    assert calls[-1] is print


def test_a_set_that_forgets_its_base(live, environment):
    class Set(TaskSet):
        tasks = [print]

        def __init__(self, parent):
            pass

    environment.catch_exceptions = False

    class Someone(User):
        tasks = [Set]

    user = live(Someone)
    assert isinstance(user.greenlet.exception, AttributeError) and "super().__init__" in str(user.greenlet.exception)
    for use in (lambda s: s.wait(), lambda s: s.wait_time(), lambda s: s.client, lambda s: s.run()):
        with pytest.raises(AttributeError):
            use(Set(None))
    with pytest.raises(TypeError):
        TaskSet(5)


def test_run_of_ones_own(live, calls):
    class Someone(User):
        def run(self):
            calls.append("run")

    live(Someone)
    assert calls == ["run"]


# --- SequentialTaskSet -----------------------------------------------------------------------


def test_sequence(live, calls):
    def listed(self):
        calls.append("listed")

    class Base(SequentialTaskSet):
        @task
        def base(self):
            calls.append("base")

    class Steps(Base):
        @task
        def first(self):
            calls.append("first")

        tasks = [listed]

        @task(2)
        def twice(self):
            calls.append("twice")

        @task
        class Inner(TaskSet):
            @task
            def inner(self):
                calls.append("inner")
                if len(calls) > 8:
                    raise StopUser
                self.interrupt()

    class Someone(User):
        tasks = [Steps]

    live(Someone)
    once = ["base", "first", "listed", "twice", "twice", "inner"]
    assert calls == once * 2


def test_each_entry_into_a_sequence_begins_anew(live, calls):
    class Steps(SequentialTaskSet):
        @task
        def one(self):
            calls.append(1)

        @task
        def two(self):
            calls.append(2)
            if len(calls) > 5:
                raise StopUser
            self.interrupt()

        @task
        def three(self):
            calls.append(3)

    class Someone(User):
        tasks = [Steps]

    live(Someone)
    assert calls == [1, 2] * 3


def test_bad_sequences(environment):
    with pytest.raises(ValueError, match="list or a dict"):

        class Bad(SequentialTaskSet):
            tasks = (print,)

    with pytest.raises(LocustError, match="No tasks defined"):
        SequentialTaskSet(User(environment)).get_next_task()


# --- waiting ---------------------------------------------------------------------------------


def test_wait_functions(environment):
    class Someone(User):
        wait_time = between(1, 3)

    user = Someone(environment)
    assert all(1 <= user.wait_time() <= 3 for _ in range(100)) and len({user.wait_time() for _ in range(10)}) > 1
    Someone.wait_time = constant(2.5)
    assert user.wait_time() == 2.5
    Someone.wait_time = lambda self: 7
    assert user.wait_time() == 7 and TaskSet(user).wait_time() == 7
    with pytest.raises(ZeroDivisionError):
        constant_throughput(0)
    for bad in ((), ("x",), (1, 2)):
        with pytest.raises(TypeError):
            constant(*bad)


def test_pacing(environment):
    class Someone(User):
        wait_time = constant_pacing(0.5)

    user = Someone(environment)
    assert 0.1 < user.wait_time() <= 0.5
    # The last wait was not slept here, so the next task is due a whole period after its end.
    assert 0.5 < user.wait_time() <= 1
    Someone.wait_time = constant_throughput(0.1)
    assert 9 < Someone(environment).wait_time() <= 10


def test_pacing_does_not_catch_up(live, calls):
    class Someone(User):
        wait_time = constant_pacing(0.1)

        @task
        def one(self):
            calls.append(time.monotonic())
            if len(calls) == 2:
                time.sleep(0.35)
            if len(calls) == 5:
                raise StopUser

    live(Someone)
    # The second task took 0.35: the third begins at once, the fourth a period later, not at once as well.
    assert calls[3] - calls[2] > 0.03 and calls[4] - calls[2] > 0.13


def test_pacing_of_a_nested_set_is_the_users(live, calls):
    class Set(TaskSet):
        @task
        def inner(self):
            calls.append(time.monotonic())
            self.interrupt(reschedule=False)

    class Someone(User):
        wait_time = constant_pacing(0.1)
        tasks = [Set]

        @task
        def end(self):
            if len(calls) >= 3:
                raise StopUser
            raise RescheduleTaskImmediately

    live(Someone)
    assert calls[2] - calls[0] > 0.1  # 0.2 without delays


def test_wait_time_of_a_set(live, calls):
    class Set(TaskSet):
        wait_time = constant(0.05)

        @task
        def one(self):
            calls.append(time.monotonic())
            if len(calls) == 3:
                raise StopUser

    class Someone(User):
        wait_time = constant(60)
        tasks = [Set]

    live(Someone)
    assert calls[2] - calls[0] >= 0.1


def test_wait_in_a_task_and_state(live, calls):
    class Someone(User):
        wait_time = constant(0.01)

        @task
        def one(self):
            calls.append(self._state)
            self.wait()
            calls.append(self._state)
            raise StopUser

    assert live(Someone).calls == ["running", "running"]


def test_missing_wait_time(live, environment):
    class Someone(User):
        wait_time = None

        @task
        def one(self):
            pass

    user = live(Someone)
    assert isinstance(user.greenlet.exception, MissingWaitTimeError)


@pytest.mark.parametrize("value", [0, -1, 0.0, float("nan"), False])
def test_no_wait_lets_others_run(live, calls, value):
    class Someone(User):
        def wait_time(self):
            return value

        @task
        def one(self):
            calls.append("task")
            if len(calls) >= TASKS_MAX:
                raise StopUser

    other = gevent.spawn(lambda: calls.append("other"))
    live(Someone)
    assert other.ready() and calls.index("other") < TASKS_MAX


def test_wait_function_that_raises(live, environment):
    class Someone(User):
        def wait_time(self):
            raise ValueError("no time")

        @task
        def one(self):
            pass

    assert isinstance(live(Someone).greenlet.exception, ValueError)
    assert len(environment.runner.exceptions) == 1
