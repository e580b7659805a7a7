"""FastHttpSession and FastHttpUser: where they differ from HttpSession, and rest()."""

import gevent
import pytest
from locust import FastHttpUser, HttpUser
from locust.contrib.fasthttp import FastHttpSession, HTTPParseError, LocustBadStatusCode, RetriesExceeded
from locust.exception import CatchResponseError, LocustError, StopTest
from scripted import answer, redirect


@pytest.fixture
def client(server, environment):
    return FastHttpSession(server.base, environment.events.request, None)


@pytest.fixture
def log(environment):
    return environment.log


@pytest.fixture(params=[HttpUser, FastHttpUser])
def user(request, server, environment):
    class Someone(request.param):
        host = server.base

    return Someone(environment)


def test_names_are_the_argument(server, client, log):
    client.get("/p?a=1#frag", params={"b": 2})
    client.get(server.base + "/abs")
    client.get("/x", name="given")
    with client.rename_request("renamed"):
        client.get("/x")
    assert [k["name"] for k in log] == ["/p?a=1#frag", server.base + "/abs", "given", "renamed"]
    assert server.requests[0].target == "/p?a=1&b=2"


def test_statuses(server, client, log, environment):
    for status in (200, 208, 226, 299, 304, 404, 500):
        server.replies["/s"] = answer(b"", f"{status} X")
        response = client.get("/s")
        failed = status not in (200, 208, 226, 304)
        assert response.status_code == status and bool(log[-1]["exception"]) == failed and response.ok == (status < 400)
        if failed:
            assert isinstance(log[-1]["exception"], LocustBadStatusCode)
            with pytest.raises(LocustBadStatusCode):
                response.raise_for_status()
    texts = [error.to_dict()["error"] for error in environment.stats.errors.values()]
    assert texts == [f"LocustBadStatusCode(code={status})" for status in (299, 404, 500)]


def test_unknown_keywords_are_parameters(server, client):
    client.get("/p", page=2, q="a b")
    assert server.last.target == "/p?page=2&q=a+b"
    client.get("/p?x=1", params={"y": 2}, z=3)
    assert server.last.target == "/p?x=1&y=2&z=3"
    client.post("/p", field="value")
    assert server.last.target == "/p" and server.last.body == b"field=value"
    client.post("/p", data={"a": 1}, b=2)
    assert server.last.body == b"a=1&b=2"
    client.get("/p", max_redirects=None, to_string=None)
    assert server.last.target == "/p"
    with pytest.raises(NotImplementedError, match="max_redirects"):
        client.get("/p", max_redirects=1)


def test_bodies(server, client):
    client.post("/b", data={"a": "ü"})
    assert server.last.body == b"a=%C3%BC" and server.last.get("Content-Type") == "application/x-www-form-urlencoded; charset=utf-8"
    client.post("/b", data="text ü")
    assert server.last.body == "text ü".encode() and server.last.get("Content-Type") == "text/plain; charset=utf-8"
    client.post("/b", data=b"bytes")
    assert server.last.get("Content-Type") == "application/octet-stream"
    client.post("/b", json={"a": [1]})
    assert server.last.body == b'{"a": [1]}' and server.last.get("Content-Type") == "application/json"
    assert server.last.get("Accept") == "application/json"
    client.post("/b", json={}, headers={"accept": "x/y", "content-type": "z/z"})
    assert server.last.get("Accept") == "x/y" and server.last.get("Content-Type") == "z/z"


def test_callers_headers_are_left_alone(client):
    headers = {"X": "1"}
    client.post("/b", json={}, headers=headers)
    assert headers == {"X": "1"}


def test_redirects(server, client, log):
    for status, method in ((301, "POST"), (302, "GET"), (303, "GET"), (307, "POST"), (308, "POST")):
        server.replies["/from"] = redirect("/to", status)
        client.post("/from", data=b"x")
        assert (server.last.method, server.last.path) == (method, "/to"), status
    client.head("/from")
    assert server.last.method == "HEAD" and server.last.path == "/to"
    assert client.get("/from", allow_redirects=False).status_code == 308
    server.replies["/loop"] = redirect("/loop")
    before = len(server.requests)
    response = client.get("/loop")  # a bare session follows 3
    assert isinstance(response.error, RetriesExceeded) and len(server.requests) - before == 4
    assert "RetriesExceeded" in repr(log[-1]["exception"])


def test_failures(server, environment, log):
    client = FastHttpSession(server.base, environment.events.request, None, network_timeout=0.05)
    server.replies |= {"/slow": lambda request, socket: gevent.sleep(5), "/short": lambda request, socket: socket.sendall(answer(b"abc", length=10))}
    slow = client.get("/slow")
    assert isinstance(slow.error, RetriesExceeded) and "timed out" in repr(slow.error)
    assert slow.status_code == 0 and slow.content is None and slow.text is None and slow.headers is None and slow.json() is None
    short = client.get("/short")
    assert isinstance(short.error, HTTPParseError) and short.status_code == 200 and short.content == b"abc"
    refused = FastHttpSession("http://127.0.0.1:1", environment.events.request, None).get("/")
    assert isinstance(refused.error, ConnectionRefusedError)
    assert [bool(k["exception"]) for k in log] == [True] * 3 and [k["response_length"] for k in log] == [0] * 3


def test_a_closed_connection_is_replaced(server, client, log):
    def close_after(request, socket):
        socket.sendall(answer(b"once"))

    server.replies["/c"] = close_after
    for _ in range(4):
        assert client.get("/c").content == b"once"
    assert [k["exception"] for k in log] == [None] * 4


def test_with_blocks(server, client, log):
    with client.get("/") as response:  # harmless
        assert response.ok
    with pytest.raises(LocustError):
        response.failure("no")
    with client.get("/", catch_response=True) as response:
        response.failure("yes")
    assert [bool(k["exception"]) for k in log] == [False, True]


def test_iter_lines(server, client):
    server.replies["/l"] = answer("one\ntwö\nthree".encode(), "200 OK", "Content-Type: text/plain; charset=utf-8")
    assert list(client.iter_lines("/l")) == ["one", "twö", "three"]
    server.replies["/l"] = answer(b"", "500 No")
    with pytest.raises(LocustBadStatusCode):
        next(client.iter_lines("/l"))


def test_user(server, environment):
    class Someone(FastHttpUser):
        host = server.base.replace("http://", "http://u:p@")
        default_headers = {"X-Default": "1"}

    user = Someone(environment)
    user.client.get("/")
    assert server.last.get("X-Default") == "1" and server.last.get("Authorization") == "Basic dTpw"
    user.client.get("/", headers={"x-default": "2"}, auth=("a", "b"))
    assert server.last.get("X-Default") == "2" and server.last.get("Authorization") == "Basic YTpi"
    Someone.host = None
    with pytest.raises(StopTest, match="base host"):
        Someone(environment)


# --- rest() ----------------------------------------------------------------------------------


def test_rest(user, server, log):
    server.replies["/j"] = answer(b'{"a": 1}')
    with user.rest("POST", "/j", json={"b": 2}) as response:
        assert response.js == {"a": 1}
    assert server.last.get("Accept") == "application/json" == server.last.get("Content-Type") and server.last.body == b'{"b": 2}'
    with user.rest("GET", "/j", headers={"accept": "other"}):
        pass
    assert server.last.get("Accept") == "other" and [k["exception"] for k in log] == [None, None]


def test_rest_failures(user, server, log):
    server.replies |= {"/html": answer(b"<html>"), "/j": answer(b'{"a": 1}'), "/empty": answer(b""), "/404": answer(b"{}", "404 No")}
    with user.rest("GET", "/html") as response:
        assert response.js is None
    assert "Could not parse response as JSON" in str(log[-1]["exception"]) and "<html>" in str(log[-1]["exception"])
    with user.rest("GET", "/j") as response:
        if response.js["a"] != 2:  # an assert's text is changed by pytest
            raise AssertionError("a is not two,")
    assert str(log[-1]["exception"]) == 'a is not two, response was {"a": 1}'
    with user.rest("GET", "/j"):
        raise AssertionError
    assert str(log[-1]["exception"]) == "Assertion failed"
    with user.rest("GET", "/j") as response:
        response.js["nope"]
    assert isinstance(log[-1]["exception"], CatchResponseError)
    assert "KeyError: 'nope'" in str(log[-1]["exception"]) and "test_fasthttp.py" in str(log[-1]["exception"])
    with user.rest("GET", "/empty") as response:
        assert response.js is None
    assert log[-1]["exception"] is None
    with user.rest("GET", "/404"):
        pass
    assert "404" in str(log[-1]["exception"])
    with user.rest("GET", "http://127.0.0.1:1/") as response:
        assert response.js is None
    assert "refused" in str(log[-1]["exception"]) and len(log) == 7


def test_rest_with_a_time_stamp(user, server, log):
    with user.rest_("GET", "/j?a=1"):
        pass
    assert server.last.target.startswith("/j?a=1&_=1") and log[-1]["name"] == "/j?a=1&_=..."
    with user.rest_("GET", "/j", name="mine"):
        pass
    assert server.last.target.startswith("/j?_=") and log[-1]["name"] == "mine"
