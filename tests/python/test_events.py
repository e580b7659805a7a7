"""EventHook, and what becomes of requests that are fired by hand."""

import datetime
import decimal
import logging

import pytest
from locust import events, log
from locust.event import EventHook, Events
from locust.exception import InterruptTaskSet, RescheduleTask, RescheduleTaskImmediately, StopTest, StopUser

CONTROL_FLOW = (StopUser, StopTest, RescheduleTask, RescheduleTaskImmediately, InterruptTaskSet)


@pytest.fixture(autouse=True)
def clean_flag(monkeypatch):
    monkeypatch.setattr(log, "unhandled_greenlet_exception", False)


def test_order_and_arguments():
    hook, calls = EventHook(), []

    @hook.add_listener
    def first(a, **rest):
        calls.append(("first", a, rest))

    hook.add_listener(lambda **words: calls.append(("second", words)))
    hook.fire(a=1, b=2)
    hook.fire(a=1, reverse=True)
    assert calls == [("first", 1, {"b": 2}), ("second", {"a": 1, "b": 2}), ("second", {"a": 1}), ("first", 1, {})]
    assert callable(first)
    with pytest.raises(TypeError):
        hook.fire(1)


def test_remove():
    hook = EventHook()
    hook.add_listener(print)
    hook.remove_listener(print)
    with pytest.raises(ValueError):
        hook.remove_listener(print)
    hook.fire(nobody=1)


def test_listeners_that_change_the_list():
    hook, calls = EventHook(), []

    def once():
        calls.append("once")
        hook.remove_listener(once)
        hook.add_listener(lambda: calls.append("added"))

    hook.add_listener(once)
    hook.add_listener(lambda: calls.append("last"))
    hook.fire()
    assert calls == ["once", "last"]


def test_an_exception_is_logged(caplog):
    hook, calls = EventHook(), []
    hook.add_listener(lambda: 1 / 0)
    hook.add_listener(lambda: calls.append(1))
    with caplog.at_level(logging.ERROR):
        hook.fire()
    assert calls == [1] and "Uncaught exception in event handler" in caplog.text and "ZeroDivisionError" in caplog.text
    assert "test_events.py" in caplog.text and log.unhandled_greenlet_exception


@pytest.mark.parametrize("kind", [*CONTROL_FLOW, KeyboardInterrupt, SystemExit])
def test_control_flow_goes_on(kind):
    hook, calls = EventHook(), []

    def listener():
        raise kind()

    hook.add_listener(listener)
    hook.add_listener(lambda: calls.append(1))
    with pytest.raises(kind):
        hook.fire()
    assert calls == [] and not log.unhandled_greenlet_exception


def test_events_have_every_hook():
    for name in (
        "request user_error report_to_master worker_report worker_connect spawning_complete quitting quit init init_command_line_parser "
        "test_start test_stopping test_stop reset_stats cpu_warning heartbeat_sent heartbeat_received usage_monitor"
    ).split():
        assert isinstance(getattr(events, name), EventHook) and getattr(Events(), name) is not getattr(events, name)


def test_attributes_and_garbage():
    import gc
    import weakref

    class Marker:
        pass

    hook, marker = EventHook(), Marker()
    hook.note, marker.hook = marker, hook
    hook.add_listener(lambda: marker)
    gone = weakref.ref(marker)
    del hook, marker
    gc.collect()
    assert gone() is None


# --- recording -------------------------------------------------------------------------------


def fire(environment, **changes):
    environment.events.request.fire(
        **{"request_type": "T", "name": "n", "response_time": 10, "response_length": 5, "exception": None, "context": {}} | changes
    )
    return environment.stats.total


@pytest.mark.parametrize("kind", CONTROL_FLOW)
def test_recorders_count_whatever_listeners_raise(environment, server, kind):
    """Locust loses the sample when the listener was added before its own."""
    from locust.clients import HttpSession
    from locust.env import Environment

    environment = Environment()

    def listener(**_):
        raise kind()

    environment.events.request.add_listener(listener)
    runner = environment.create_local_runner()
    with pytest.raises(kind):
        fire(environment)
    with pytest.raises(kind):
        HttpSession(server.base, environment.events.request, None).get("/")
    with pytest.raises(kind):
        with HttpSession(server.base, environment.events.request, None).get("/", catch_response=True) as response:
            response.failure("x")
    assert environment.stats.total.num_requests == 3 and environment.stats.total.num_failures == 1
    runner.quit()


@pytest.mark.parametrize("value", [10, 10.0, True, decimal.Decimal("10"), None, -5, 0, 1e9])
def test_response_times(environment, value):
    total = fire(environment, response_time=value)
    assert total.num_requests == 1 and total.num_none_requests == (value is None)
    if value is not None:
        assert total.max_response_time == float(value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "10", datetime.timedelta(1)])
def test_response_times_that_are_none(environment, value, caplog):
    assert fire(environment, response_time=value).num_requests == 0
    assert "Uncaught exception in event handler" in caplog.text


@pytest.mark.parametrize("value,counted", [(5, 5), (0, 0), (None, 0), (-1, 0), (2.9, 2), (10**30, 0)])
def test_response_lengths(environment, value, counted):
    assert fire(environment, response_length=value).total_content_length == counted


@pytest.mark.parametrize("name", ["ü\U0001f600", "\ud800", "", "a" * 5000, None, 5, ("t", 1), "nul\0"])
def test_names_and_types(environment, name):
    assert fire(environment, name=name).num_requests == 1
    assert fire(environment, request_type=name).num_requests == 2
    assert len(environment.stats.entries) == 2


class Falsy(Exception):
    def __bool__(self):
        return False


class Unprintable(Exception):
    def __repr__(self):
        raise RuntimeError("no")


@pytest.mark.parametrize(
    "exception,failed",
    [("text", 1), ("", 0), (None, 0), (ValueError("x"), 1), (5, 1), (Falsy(), 0), (Unprintable(), 1), ("\ud800", 1), (ValueError("\ud800"), 1)],
)
def test_exceptions(environment, exception, failed):
    total = fire(environment, exception=exception)
    assert (total.num_requests, total.num_failures, len(environment.stats.errors)) == (1, failed, failed)


def test_missing_arguments_are_logged(environment, caplog):
    environment.events.request.fire(request_type="T", name="n")
    assert environment.stats.total.num_requests == 0 and "needs request_type, name" in caplog.text
    environment.events.request.fire(request_type="T", name="n", response_time=1, response_length=0)
    assert environment.stats.total.num_requests == 1


def test_a_hook_of_ones_own(server, environment):
    from locust.clients import HttpSession

    calls = []

    class Hook(EventHook):
        def fire(self, **words):
            calls.append(words["name"])

    class Double:
        fire = staticmethod(lambda **words: calls.append(words["name"]))

    for hook in (Hook(), Double()):
        HttpSession(server.base, hook, None).get("/")
    assert calls == ["/", "/"]


# --- measure ---------------------------------------------------------------------------------


def test_measure(environment):
    with environment.events.request.measure("T", "n", response_length=3, context={"c": 1}) as meta:
        meta["extra"] = "more"
    (keywords,) = environment.log
    assert keywords["request_type"] == "T" and keywords["name"] == "n" and keywords["response_length"] == 3
    assert keywords["context"] == {"c": 1} and keywords["exception"] is None and keywords["extra"] == "more"
    assert keywords["response_time"] >= 0 and keywords["start_time"] > 1.6e9 and environment.stats.total.num_requests == 1


def test_measure_swallows_exceptions(environment):
    with environment.events.request.measure("T", "n"):
        raise ValueError("inside")
    assert isinstance(environment.log[0]["exception"], ValueError)
    with pytest.raises(KeyboardInterrupt):
        with environment.events.request.measure("T", "n"):
            raise KeyboardInterrupt
    assert environment.stats.total.num_requests == 2
