"""HttpSession against a scriptable server, beside the real requests library where both should do the same."""

import gc
import io
import json
import socket
import subprocess
import time

import gevent
import pytest
import requests
from gevent import ssl
from locust.clients import HttpSession
from locust.exception import CatchResponseError, LocustError, RescheduleTask, ResponseError, StopUser
from scripted import Server, answer, redirect


@pytest.fixture
def client(server, environment):
    return HttpSession(server.base, environment.events.request, None)


@pytest.fixture
def log(environment):
    return environment.log


@pytest.fixture
def real():
    session = requests.Session()
    session.trust_env = False
    yield session
    session.close()


def seen(request):
    """A request as far as it should be the same from both clients."""
    fields = {name.lower(): value for name, value in request.fields}
    assert len(fields) == len(request.fields)
    for own in ("user-agent", "accept-encoding", "host"):
        fields.pop(own, None)
    body = request.body
    if "multipart" in fields.get("content-type", ""):
        boundary = fields["content-type"].rpartition("boundary=")[2]
        fields["content-type"] = "multipart"
        fields["content-length"] = str(len(body) - body.count(boundary.encode()) * len(boundary))
        body = body.replace(boundary.encode(), b"BOUNDARY")
    return request.method, request.target, fields, body


def same(server, client, real, method, path, make=dict, **keywords):
    """Both send the same bytes for the same call; returns our response."""
    first = len(server.requests)
    expected = real.request(method, server.base + path, **keywords, **make())
    between = len(server.requests)
    got = client.request(method, path, **keywords, **make())
    assert [seen(r) for r in server.requests[between:]] == [seen(r) for r in server.requests[first:between]]
    assert (got.status_code, got.content, got.url) == (expected.status_code, expected.content if "fields" not in expected.text else got.content, expected.url)
    assert [hop.url for hop in got.history] == [hop.url for hop in expected.history]
    return got


# --- URLs ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "?a=1",
        "/a b/ü?q=ä ö&x=%41%zz",
        "/%7Euser/%2F/%c3%bc",
        "/a?b#fragment",
        "/a?b=c d#frag ment",
        "/;p=1/a,b/(c)/*'!$&@:~",
        '/"<>\\^`{|}',
        "/?q=[1]|2",
        "//double//slash",
        "/../up/./here",
        "/日本語?日=本",
    ],
)
def test_quoting(server, client, real, path):
    same(server, client, real, "GET", path)


@pytest.mark.parametrize(
    "params",
    [
        {"a": 1, "b": "two words", "ü": "ä&=+/?"},
        {"a": [1, "2", None, 3.5], "n": None, "e": ""},
        {"a": (1, 2), "t": True},
        [("a", 1), ("b", 2), ("a", 3)],
        "already=there&x=a b",
        b"bytes=%20x",
        {},
        {b"k": b"\xff\x00"},
        [("a", ["x", "y"])],
    ],
)
@pytest.mark.parametrize("path", ["/p", "/p?x=1", "/p?", "/p?x=1#end"])
def test_params(server, client, real, params, path):
    same(server, client, real, "GET", path, params=params)


def test_params_of_a_generator_and_of_the_session(server, client, real):
    same(server, client, real, "GET", "/g", make=lambda: {"params": [(str(i), i) for i in range(3)]})
    for session in (client, real):
        session.params = {"a": "1", "b": "2"}
    same(server, client, real, "GET", "/s")
    same(server, client, real, "GET", "/s", params={"a": None, "c": 3})
    same(server, client, real, "GET", "/s", params={"b": 9})
    same(server, client, real, "GET", "/s", params="raw=1")


def test_base_url_and_absolute_urls(server, environment):
    client = HttpSession(server.base + "/base", environment.events.request, None)
    client.get("/x")
    assert server.last.target == "/base/x"
    client.get(server.base.upper().replace("HTTP", "http") + "/abs")
    assert server.last.target == "/abs"
    client.get(server.base.replace("http", "HTTP") + "/scheme")
    assert server.last.target == "/scheme"
    assert [k["name"] for k in environment.log] == ["/base/x", "/abs", "/scheme"]


@pytest.mark.parametrize(
    "url",
    ["ftp://x/", "http://", "http:///path", "http://*.x/", "http://.x/", "http://a:99999/", "http://a:b/", "no/scheme", "://x", "http://[::1/", "mailto:a@b"],
)
def test_bad_urls_raise_what_requests_raises(real, environment, url):
    with pytest.raises(Exception) as expected:
        real.get(url)
    with pytest.raises(Exception) as got:
        HttpSession("", environment.events.request, None).get(url)
    assert type(got.value) is type(expected.value), (got.value, expected.value)
    assert environment.log == []


# --- head ------------------------------------------------------------------------------------


def test_default_fields(server, client):
    client.get("/")
    request = server.last
    assert request.get("Host") == f"127.0.0.1:{server.port}" and request.get("Accept") == "*/*"
    assert request.get("Connection") == "keep-alive" and request.get("User-Agent").startswith("gregaria/")
    assert {"gzip", "deflate"} <= set(request.get("Accept-Encoding").split(", "))


def test_headers_merge(server, client, real):
    for session in (client, real):
        session.headers["X-One"] = "session"
        session.headers.update({"x-two": "session", "Accept": None})
    same(server, client, real, "GET", "/h")
    same(server, client, real, "GET", "/h", headers={"X-ONE": "call", "x-TWO": None, "x-three": "3"})
    same(server, client, real, "GET", "/h", headers={"Accept-Encoding": None, "User-Agent": "mine"})
    assert server.last.get("User-Agent") == "mine" and server.last.get("Accept-Encoding") is None
    same(server, client, real, "POST", "/h", data={"a": 1}, headers={"content-TYPE": "text/x"})
    same(server, client, real, "POST", "/h", json={"a": 1}, headers={"Content-Type": None})
    same(server, client, real, "GET", "/h", headers={"X-Bytes": b"\xe4", "X-Text": "\xe4"})
    del client.headers["x-one"]
    client.get("/h")
    assert server.last.get("X-One") is None


def test_own_host_and_length(server, client):
    client.post("/h", data=b"12345", headers={"Host": "other.example", "content-length": "5"})
    assert server.last.get("Host") == "other.example" and server.last.body == b"12345"


@pytest.mark.parametrize("headers", [{"X": "a\r\nInjected: 1"}, {"X\r\nInjected": "1"}, {"": "x"}, {"a b": "x"}])
def test_header_injection_is_refused(server, client, headers):
    with pytest.raises(ValueError):
        client.get("/", headers=headers)
    assert server.requests == []


def test_headers_behave_as_a_mapping(client):
    headers = client.headers
    headers["A"] = "1"
    assert headers["a"] == "1" and "a" in headers and headers.get("nope") is None and headers.get("nope", 3) == 3
    assert dict(headers)["A"] == "1" and {**headers}["A"] == "1" and ("A", "1") in headers.items()
    assert headers.pop("a") == "1" and headers.pop("a", None) is None and headers.setdefault("B", "2") == "2"
    with pytest.raises(KeyError):
        headers["nope"]
    copy = headers.copy()
    copy["C"] = "3"
    assert "C" not in headers and copy != headers and headers == dict(headers)


def test_methods(server, client, real):
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "get", "post", "Brew"):
        same(server, client, real, method, "/m")
    for verb in ("get", "post", "put", "patch", "delete", "options", "head"):
        getattr(client, verb)("/verb")
        assert server.last.method == verb.upper()


def test_method_as_given_is_the_request_type(client, log):
    client.request("get", "/")
    assert log[0]["request_type"] == "get"


def test_auth(server, client, real):
    same(server, client, real, "GET", "/a", auth=("user", "pass:word"))
    same(server, client, real, "GET", "/a", auth=("üser", "pä"))
    same(server, client, real, "GET", "/a", auth=(b"\xffu", "p"))
    same(server, client, real, "GET", "/a", auth=requests.auth.HTTPBasicAuth("o", "p"))
    same(server, client, real, "GET", "/a", auth=("u", "p"), headers={"Authorization": "token"})
    for session in (client, real):
        session.auth = ("sess", "ion")
    same(server, client, real, "GET", "/a")
    same(server, client, real, "GET", "/a", auth=("call", "s"))
    same(server, client, real, "GET", "/a", headers={"X": "1"})
    same(server, client, real, "GET", "/a", headers={"Authorization": "token"})
    for session in (client, real):
        session.auth = None
    same(server, client, real, "GET", "/a")
    with pytest.raises(TypeError, match="auth"):
        client.get("/a", auth=lambda r: r)


def test_auth_in_urls(server, environment, real):
    url = server.base.replace("http://", "http://us%40er:p%3Aw@")
    real.get(url + "/u")
    expected = server.last.get("Authorization")
    plain = HttpSession("", environment.events.request, None)
    assert plain.get(url + "/u").status_code == 200 and server.last.get("Authorization") == expected
    based = HttpSession(url, environment.events.request, None)
    assert "@" not in based.base_url and based.get("/u").request.headers["Authorization"] == expected
    assert server.last.get("Authorization") == expected


# --- bodies ----------------------------------------------------------------------------------


class Lines:
    """An iterable that knows its length in bytes."""

    def __iter__(self):
        return iter([b"one", b"two"])

    def __len__(self):
        return 6


class Readable:
    """Has read(), but neither iteration nor a position; as requests-toolbelt's encoders."""

    len = 7

    def __init__(self):
        self.file = io.BytesIO(b"content")

    def read(self, n=-1):
        return self.file.read(n)


@pytest.mark.parametrize(
    "make",
    [
        lambda: {"data": {"a": 1, "b": ["x", "y"], "n": None, "u": "ü &="}},
        lambda: {"data": [("a", 1), ("a", 2)]},
        lambda: {"data": (("a", "1"),)},
        lambda: {"data": "plain text ü".encode()},
        lambda: {"data": "ascii text"},
        lambda: {"data": bytearray(b"\x00\xff")},
        lambda: {"data": b""},
        lambda: {"data": {}},
        lambda: {"data": {}, "json": {"x": 1}},
        lambda: {"data": {"form": "wins"}, "json": {"x": 1}},
        lambda: {"json": {"a": [1, 2.5, None, True, "ü\u2028"]}},
        lambda: {"json": []},
        lambda: {"json": 0},
        lambda: {"data": (piece for piece in (b"gen", b"erated"))},
        lambda: {"data": iter([b"a", b"b"])},
        lambda: {"data": Lines()},
        lambda: {"data": io.BytesIO(b"from a file")},
        lambda: {"data": open(__file__, "rb")},
        lambda: {"data": Readable()},
        lambda: {"files": {"f": ("name.txt", b"content", "text/plain", {"X-Part": "1"})}},
        lambda: {"files": {"f": b"bare"}, "data": {"k": ["v1", "v2"], "n": None, "i": 5}},
        lambda: {"files": {"f": io.BytesIO(b"anonymous")}},
        lambda: {"files": {"f": open(__file__, "rb")}},
        lambda: {"files": [("a", ("1.bin", io.BytesIO(b"1"))), ("a", ("ü 2.bin", "text ü"))], "data": [("x", "ü")]},
        lambda: {"files": {"f": (None, "no filename")}},
        lambda: {"files": {"f": ('quo"te.txt', b"x")}},
        lambda: {"files": {}},
    ],
)
def test_bodies(server, client, real, make):
    same(server, client, real, "POST", "/body", make=make)


def test_position_of_a_file_counts(server, client, real):
    def make():
        file = io.BytesIO(b"0123456789")
        file.seek(4)
        return {"data": file}

    same(server, client, real, "PUT", "/body", make=make)
    assert server.last.body == b"456789"


def test_text_file(server, client):
    client.post("/t", data=io.StringIO("ü" * 10))
    assert server.last.body.decode() == "ü" * 10 and server.last.get("Transfer-Encoding") == "chunked"


def test_large_streamed_body(server, client, log):
    pieces = [bytes([i]) * 70_000 for i in range(40)]
    assert client.post("/big", data=iter(pieces)).status_code == 200
    assert server.last.body == b"".join(pieces) and log[0]["exception"] is None


def test_body_source_that_raises(client, server, log):
    def pieces():
        yield b"x"
        raise KeyError("no more")

    with pytest.raises(KeyError, match="no more"):
        client.post("/broken", data=pieces())
    assert isinstance(log[0]["exception"], KeyError) and len(log) == 1
    assert client.get("/after").status_code == 200


def test_body_source_that_sends_a_request_itself(server, client, log):
    def pieces():
        yield b"a"
        assert client.get("/inner", name="inner").status_code == 200
        gevent.sleep(0)
        yield b"b"

    assert client.post("/outer", data=pieces()).status_code == 200
    assert [r.path for r in server.requests if r.body in (b"ab", b"")] == ["/inner", "/outer"]
    assert [k["name"] for k in log] == ["inner", "/outer"]


def test_composing_a_call_may_send_another(server, client):
    class Token:
        def __str__(self):
            client.get("/other/and/longer?x=1", headers={"X-Inner": "1"})
            return "token"

    client.get("/first", params={"t": Token()}, headers={"X-Outer": "1"})
    assert server.last.target == "/first?t=token" and server.last.get("X-Outer") == "1"
    assert server.last.get("X-Inner") is None
    client.get("/second", headers={"X-Token": Token()})
    assert server.last.target == "/second" and server.last.get("X-Token") == "token"
    client.get("/third", name=Token())
    assert server.last.target == "/third"


def test_body_errors(client, server):
    for bad in ({"data": 5}, {"data": ["a", "b"]}, {"json": object()}, {"json": {"x": float("nan")}}, {"data": "text", "files": {"f": b"x"}}):
        with pytest.raises((TypeError, ValueError)):
            client.post("/", **bad)
    assert server.requests == []


def test_unknown_keyword(client):
    with pytest.raises(TypeError, match="nonsense"):
        client.get("/", nonsense=1)
    with pytest.raises(TypeError):
        client.get()


# --- cookies ---------------------------------------------------------------------------------


def test_cookies_from_the_server(server, client, real):
    server.replies["/set"] = answer(
        b"", "200 OK", "Set-Cookie: a=1; Path=/", "Set-Cookie: b=2; Path=/deep", "Set-Cookie: s=3; Secure", "Set-Cookie: gone=4; Max-Age=0"
    )
    for session, base in ((client, ""), (real, server.base)):
        response = session.get(base + "/set")
        assert response.cookies.get_dict()["a"] == "1"
    for path in ("/x", "/deep", "/deep/er", "/deeper"):
        same(server, client, real, "GET", path)
    assert client.cookies["a"] == "1" and client.cookies.get("b", path="/deep") == "2" and "gone" not in client.cookies
    client.cookies.clear()
    client.get("/x")
    assert server.last.get("Cookie") is None


def test_cookies_of_the_call_and_the_session(server, client, real):
    for session in (client, real):
        session.cookies["own"] = "x"
    same(server, client, real, "GET", "/c")
    same(server, client, real, "GET", "/c", cookies={"other": "1"})
    same(server, client, real, "GET", "/c", cookies={"own": "call"})
    same(server, client, real, "GET", "/c", headers={"Cookie": "raw=1"}, cookies={"lost": "1"})
    same(server, client, real, "GET", "/c", cookies=requests.cookies.cookiejar_from_dict({"jar": "1"}))
    assert client.cookies.get_dict() == {"own": "x"}
    del client.cookies["own"]
    with pytest.raises(KeyError):
        client.cookies["own"]


def test_cookie_jar_as_requests_jar(server, client):
    client.cookies.set("a", "1", domain="127.0.0.1", path="/p")
    client.cookies.update({"b": "2"})
    assert [(c.name, c.value, c.path) for c in client.cookies] == [("a", "1", "/p"), ("b", "2", "/")]
    assert requests.utils.dict_from_cookiejar(client.cookies) == {"a": "1", "b": "2"} == dict(client.cookies)
    assert "a" in client.cookies and len(client.cookies) == 2 and client.cookies.list_domains() == ["127.0.0.1", ""]
    client.cookies = requests.cookies.cookiejar_from_dict({"c": "3"})
    client.get("/p")
    assert server.last.get("Cookie") == "c=3"
    client.cookies.set("c", None)
    assert len(client.cookies) == 0


def test_cookies_that_are_not_text(server, client):
    server.replies["/set"] = b"HTTP/1.1 200 OK\r\nSet-Cookie: bad=\xff\xfe\r\nContent-Length: 0\r\n\r\n"
    assert client.get("/set").status_code == 200
    assert "bad" in client.cookies and repr(client.cookies) and len(list(client.cookies)) == 1
    client.get("/x", cookies={"good": "1"})
    assert server.last.get("Cookie") == "bad=\xff\xfe; good=1"


# --- redirects -------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("method", ["GET", "POST", "PUT"])
def test_redirects(server, client, real, status, method):
    server.replies["/from"] = redirect("/to?x=1#new", status, "Set-Cookie: hop=1")
    keywords = {} if method == "GET" else {"data": {"a": 1}}
    got = same(server, client, real, method, "/from#old", **keywords)
    (hop,) = got.history
    assert hop.status_code == status and hop.headers["location"] == "/to?x=1#new" and hop.is_redirect and not got.is_redirect


def test_redirects_are_one_request(server, client, log):
    server.replies |= {"/1": redirect("/2"), "/2": redirect(server.base + "/3"), "/3": answer(b"end")}
    assert client.get("/1?q=1").content == b"end"
    (keywords,) = log
    assert keywords["name"] == "/1?q=1" and keywords["response_length"] == 3 and keywords["url"].endswith("/3")


def test_redirects_not_followed(server, client, real):
    server.replies["/from"] = redirect("/to")
    assert same(server, client, real, "GET", "/from", allow_redirects=False).is_redirect
    assert client.head("/from").status_code == 302
    assert client.head("/from", allow_redirects=True).status_code == 200 and server.last.method == "HEAD"


def test_redirect_without_end(server, client, log):
    server.replies["/loop"] = redirect("/loop")
    response = client.get("/loop")
    assert isinstance(response.error, requests.TooManyRedirects) and "30" in str(response.error)
    assert response.status_code == 0 and log[0]["exception"] is response.error


def test_authorization_stays_with_its_host(server, client):
    other = Server()
    server.replies["/same"] = redirect("/to")
    server.replies["/other"] = redirect(other.base + "/to")
    try:
        client.get("/same", auth=("a", "b"))
        assert server.last.get("Authorization")
        client.get("/other", auth=("a", "b"))
        assert other.last.get("Authorization") is None
    finally:
        other.close()


# --- failures --------------------------------------------------------------------------------


def unused_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def test_refused_connection(environment, log):
    client = HttpSession(f"http://127.0.0.1:{unused_port()}", environment.events.request, None)
    response = client.get("/")
    assert isinstance(response.error, ConnectionRefusedError) and response.error.errno == 111
    assert response.status_code == 0 and response.content is None and response.text == "" and not response.ok and not response
    (keywords,) = log
    assert keywords["exception"] is response.error and keywords["response_length"] == 0 and keywords["response_time"] > 0
    with pytest.raises(ConnectionRefusedError):
        response.raise_for_status()
    (error,) = environment.stats.errors.values()
    assert error.to_dict()["error"] == "ConnectionRefusedError(111, 'Connection refused')"


def test_unknown_host(environment):
    response = HttpSession("http://nothing.invalid", environment.events.request, None).get("/")
    assert isinstance(response.error, socket.gaierror)


def test_timeouts(server, client, log):
    server.replies["/slow"] = lambda request, socket: gevent.sleep(5)
    for timeout in (0.05, (1, 0.05), (None, 0.05)):
        assert isinstance(client.get("/slow", timeout=timeout).error, requests.ReadTimeout)
    assert [type(k["exception"]) for k in log] == [requests.ReadTimeout] * 3
    assert client.get("/fast", timeout=5).ok and client.get("/fast", timeout=None).ok
    for bad in (-1, 0, (1, 2, 3)):
        with pytest.raises(ValueError):
            client.get("/", timeout=bad)


def test_broken_answers(server, client, log):
    def send(data):
        def reply(request, socket):
            socket.sendall(data)

        return reply

    server.replies |= {
        "/nothing": send(b""),
        "/garbage": send(b"garbage\r\n\r\n"),
        "/short": send(answer(b"abc", length=10)),
        "/chunks": send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
        "/gzip": send(answer(b"not gzip", "200 OK", "Content-Encoding: gzip")),
    }
    for path, kind in (
        ("/nothing", Exception),
        ("/garbage", requests.ConnectionError),
        ("/short", requests.exceptions.ChunkedEncodingError),
        ("/chunks", requests.exceptions.ChunkedEncodingError),
        ("/gzip", requests.exceptions.ContentDecodingError),
    ):
        response = client.get(path)
        assert isinstance(response.error, kind) and response.status_code == 0 and response.content is None, path
    assert all(k["exception"] for k in log) and len(log) == 5
    assert client.get("/fine").status_code == 200


def test_statuses(server, client, real, log):
    for status in ("204 No Content", "304 Not Modified", "399 Odd", "404 Not Found", "500 Oh Dear", "599 End"):
        server.replies["/s"] = answer(b"", status)
        code = int(status[:3])
        response = client.get("/s", name="called so")
        assert response.status_code == code and response.reason == status[4:] and response.ok == (code < 400) == bool(response)
        assert bool(log[-1]["exception"]) == (code >= 400)
        if code >= 400:
            with pytest.raises(requests.HTTPError) as expected:
                real.get(server.base + "/s").raise_for_status()
            with pytest.raises(requests.HTTPError) as got:
                response.raise_for_status()
            assert str(got.value) == str(expected.value) and got.value.response is response
            assert str(log[-1]["exception"]) == str(expected.value).replace(server.base + "/s", "called so")


# --- responses -------------------------------------------------------------------------------


def test_response_attributes(server, client, real):
    server.replies["/r"] = answer("grüße".encode(), "200 Fine", "Content-Type: text/plain; charset=utf-8", "X-A: 1", "x-a: 2", 'Link: </n>; rel="next"')
    got, expected = client.get("/r?q=1"), real.get(server.base + "/r?q=1")
    for name in ("status_code", "reason", "url", "content", "text", "encoding", "ok", "links", "is_redirect", "is_permanent_redirect", "history"):
        assert getattr(got, name) == getattr(expected, name), name
    assert got.headers == expected.headers and got.headers["X-a"] == "1, 2"
    assert 0 < got.elapsed.total_seconds() < 5 and repr(got) == repr(expected)
    assert got.request.method == "GET" and got.request.url == expected.request.url and got.request.path_url == "/r?q=1"
    sent = client.post("/r", json={"a": 1}, headers={"X-Mine": "1"}).request
    assert sent.body == b'{"a": 1}' and sent.headers["x-mine"] == "1" and sent.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    "content_type,body",
    [
        ("text/plain", "ü".encode("latin-1")),
        ("text/plain; charset=ISO-8859-2", b"\xe6"),
        ("text/html; charset='utf-8'", "ü".encode()),
        ("application/json", "ü".encode()),
        ("text/plain; charset=nonsense", "ü".encode()),
        ("text/plain; charset=utf-8", b"bad \xff utf-8"),
        (None, b""),
    ],
)
def test_text(server, client, real, content_type, body):
    server.replies["/t"] = answer(body, "200 OK", *([f"Content-Type: {content_type}"] if content_type else []))
    got, expected = client.get("/t"), real.get(server.base + "/t")
    assert (got.encoding, got.text) == (expected.encoding, expected.text)


def test_text_without_a_charset_is_utf8_if_it_can_be(server, client):
    """requests guesses from the bytes, and takes short UTF-8 for something else."""
    for fields in ([], ["Content-Type: application/octet-stream"]):
        server.replies["/t"] = answer("ü".encode(), "200 OK", *fields)
        response = client.get("/t")
        assert response.encoding is None and response.text == "ü" and response.apparent_encoding == "utf-8"
    server.replies["/t"] = answer(b"\xff\xfe\xfd")
    assert isinstance(client.get("/t").text, str)


def test_encoding_can_be_set(server, client):
    server.replies["/t"] = answer(b"\xe4", "200 OK", "Content-Type: text/plain")
    response = client.get("/t")
    assert response.text == "ä"
    response.encoding = "cp1251"
    assert response.text == "д"
    response.encoding = None
    assert isinstance(response.text, str)


def test_json(server, client):
    server.replies |= {"/j": answer(b'{"a": [1, 2.5]}'), "/bad": answer(b"<html>"), "/none": answer(b""), "/utf16": answer('{"ü": 1}'.encode("utf-16"))}
    assert client.get("/j").json() == {"a": [1, 2.5]} and client.get("/utf16").json() == {"ü": 1}
    assert client.get("/j").json(parse_float=str) == {"a": [1, "2.5"]}
    for path in ("/bad", "/none"):
        with pytest.raises(json.JSONDecodeError) as info:
            client.get(path).json()
        assert isinstance(info.value, requests.exceptions.JSONDecodeError) and info.value.pos == 0
        assert isinstance(info.value, ValueError) and isinstance(info.value, requests.RequestException)


def test_compressed(server, client, log):
    import gzip
    import zlib

    plain = b"x" * 5000
    for coding, body in (("gzip", gzip.compress(plain)), ("deflate", zlib.compress(plain))):
        server.replies["/z"] = answer(body, "200 OK", f"Content-Encoding: {coding}")
        assert client.get("/z").content == plain and log[-1]["response_length"] == 5000


def stream_of(*pieces, pause=0.0):
    def reply(request, socket):
        socket.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for piece in pieces:
            socket.sendall(b"%x\r\n%s\r\n" % (len(piece), piece))
            gevent.sleep(pause)
        socket.sendall(b"0\r\n\r\n")
        return b""

    return reply


def test_stream(server, client, log):
    server.replies["/s"] = stream_of(b"one\n", b"tw", b"o\r\nthree", pause=0.01)
    with client.get("/s", stream=True, catch_response=True) as response:
        assert log == []
        assert list(response.iter_lines()) == [b"one", b"two", b"three"]
    assert log[0]["response_length"] == 0 and log[0]["exception"] is None
    assert client.get("/s", stream=True).content == b"one\ntwo\r\nthree"
    assert b"".join(client.get("/s", stream=True)) == b"one\ntwo\r\nthree"
    assert list(client.get("/s", stream=True).iter_content(5)) == [b"one\nt", b"wo\r\nt", b"hree"]
    assert list(client.get("/s", stream=True).iter_lines(decode_unicode=True, delimiter=b"\n"))[0] == b"one"
    assert client.get("/after").ok


def test_iterating_over_a_response_that_is_there(server, client, real):
    server.replies["/s"] = answer("a\nbü\n\nc".encode() * 100, "200 OK", "Content-Type: text/plain; charset=utf-8")
    got, expected = client.get("/s"), real.get(server.base + "/s")
    for _ in range(2):  # reading does not use it up
        for size in (1, 7, 1024, None):
            assert list(got.iter_content(size)) == list(expected.iter_content(size))
        assert list(got.iter_content(3, decode_unicode=True)) == list(expected.iter_content(3, decode_unicode=True))
        assert list(got.iter_lines()) == list(expected.iter_lines()) and list(got) == list(expected)
    assert got.content == expected.content


def test_large_body_in_single_bytes(server, client):
    server.replies["/big"] = answer(b"x" * 1_000_000)
    assert sum(1 for _ in client.get("/big").iter_content()) == 1_000_000
    assert sum(1 for _ in client.get("/big", stream=True).iter_content(1)) == 1_000_000


def test_stream_is_held_back_until_it_is_read(server, client):
    body = bytes(range(256)) * 20_000
    server.replies["/big"] = answer(body)
    response = client.get("/big", stream=True)
    gevent.sleep(0.05)
    assert response.content == body


def test_stream_that_is_not_read(server, client):
    server.replies["/s"] = stream_of(*[b"x" * 1000] * 50, pause=0.01)
    client.get("/s", stream=True)  # dropped
    response = client.get("/s", stream=True)
    response.close()
    assert response.content is not None
    kept = client.get("/s", stream=True)
    assert client.get("/other").ok and b"".join(kept.iter_content(None)) == b"x" * 50_000


def test_stream_that_breaks(server, client, log):
    def reply(request, socket):
        socket.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort")

    server.replies["/s"] = reply
    response = client.get("/s", stream=True)
    assert log[0]["exception"] is None and log[0]["response_length"] == 100
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        response.content


def test_two_readers_of_one_stream(server, client):
    server.replies["/s"] = stream_of(b"a", b"b", pause=0.05)
    response = client.get("/s", stream=True)
    first = gevent.spawn(lambda: b"".join(response.iter_content(None)))
    gevent.sleep(0.01)
    with pytest.raises(RuntimeError, match="another greenlet"):
        response.content
    assert first.get() == b"ab"


def test_closing_a_stream_ends_its_reader(server, client):
    server.replies["/s"] = stream_of(b"a", b"b", pause=5)
    response = client.get("/s", stream=True)
    reader = gevent.spawn(lambda: response.content)
    gevent.sleep(0.05)
    response.close()
    with pytest.raises(Exception):
        reader.get(timeout=2)


# --- names, context, judging -----------------------------------------------------------------


def test_names(client, server, log):
    client.get("/path?q=1#frag")
    client.get("/path", params={"a": 1})
    client.get("/x", name="given")
    client.get("/x", name="")
    client.request_name = "of the session"
    client.get("/x")
    client.get("/x", name="still given")
    client.request_name = None
    with client.rename_request("renamed"):
        client.get("/x")
    client.get(server.base)
    client.get(server.base + "?q")
    client.get("/ü x")
    names = ["/path?q=1", "/path?a=1", "given", "/x", "of the session", "still given", "renamed", "/", "/?q", "/%C3%BC%20x"]
    assert [k["name"] for k in log] == names


def test_a_name_that_is_no_text_keeps_its_sample(client, environment):
    client.get("/", name="lone \ud800 surrogate")
    assert environment.stats.total.num_requests == 1
    assert [name for name, _ in environment.stats.entries] == ["lone \\ud800 surrogate"]


def test_event(client, server, log):
    server.replies["/e"] = answer(b"12345")
    response = client.post("/e?a=1", data="x", context={"mine": 1})
    (keywords,) = log
    assert set(keywords) == {"request_type", "name", "response_time", "response_length", "response", "context", "exception", "start_time", "url"}
    assert keywords["request_type"] == "POST" and keywords["response"] is response and keywords["context"] == {"mine": 1}
    assert keywords["response_length"] == 5 and keywords["url"] == server.base + "/e?a=1" and keywords["exception"] is None
    assert isinstance(keywords["response_time"], float) and keywords["response_time"] > 0 and abs(keywords["start_time"] - time.time()) < 20


def test_context_of_the_user(server, environment):
    from locust import User

    class Someone(User):
        def context(self):
            return {"user": "u", "both": "user"}

    client = HttpSession(server.base, environment.events.request, Someone(environment))
    client.get("/", context={"both": "call"})
    client.get("/")
    assert [k["context"] for k in environment.log] == [{"user": "u", "both": "call"}, {"user": "u", "both": "user"}]


def test_without_an_event(server):
    assert HttpSession(server.base, None, None).get("/").ok
    with HttpSession(server.base, None, None) as session:
        assert session.get("/").ok


def test_catch_response(client, server, log, environment):
    server.replies["/404"] = answer(b"", "404 Not Found")
    with client.get("/404", catch_response=True) as response:
        assert log == []
        response.success()
    with client.get("/ok", catch_response=True) as response:
        response.failure("wrong")
    with client.get("/ok", catch_response=True) as response:
        response.failure(ValueError("worse"))
        response.success()
        response.failure(KeyError("last"))
    with client.get("/404", catch_response=True):
        pass
    exceptions = [k["exception"] for k in log]
    assert exceptions[0] is None and isinstance(exceptions[1], CatchResponseError) and exceptions[1].args == ("wrong",)
    assert isinstance(exceptions[2], KeyError) and isinstance(exceptions[3], requests.HTTPError) and len(log) == 4
    response.success()  # too late, and harmless
    texts = [e.to_dict()["error"] for e in environment.stats.errors.values()]
    assert texts[0] == "CatchResponseError('wrong')"


def test_failure_values(client, log):
    for value in (None, 5, {"a": 1}, ["x"], "", b"b"):
        with client.get("/", catch_response=True) as response:
            response.failure(value)
    assert [k["exception"].args[0] for k in log] == [None, 5, {"a": 1}, ["x"], "", b"b"]


def test_raise_for_status_honours_marks(client, server):
    server.replies["/404"] = answer(b"", "404 Not Found")
    with client.get("/404", catch_response=True) as response:
        response.success()
        response.raise_for_status()
        response.failure("no")
        with pytest.raises(CatchResponseError):
            response.raise_for_status()


def test_exceptions_in_the_block(client, log):
    with client.get("/", catch_response=True):
        raise ResponseError("swallowed")
    assert isinstance(log[-1]["exception"], ResponseError)
    with pytest.raises(ZeroDivisionError):
        with client.get("/", catch_response=True):
            1 / 0
    assert isinstance(log[-1]["exception"], ZeroDivisionError)
    with pytest.raises(ZeroDivisionError):
        with client.get("/", catch_response=True) as response:
            response.success()
            1 / 0
    assert log[-1]["exception"] is None
    with pytest.raises(ResponseError):
        with client.get("/", catch_response=True) as response:
            response.failure("marked")
            raise ResponseError("not swallowed when marked")
    assert log[-1]["exception"].args == ("marked",)
    for kind in (RescheduleTask, StopUser):
        with pytest.raises(kind):
            with client.get("/", catch_response=True):
                raise kind()
        assert log[-1]["exception"] is None
    assert len(log) == 6


def test_with_blocks_without_catch_response(client, log):
    response = client.get("/")
    with pytest.raises(LocustError):
        with response:
            pass
    for call in (response.success, lambda: response.failure("x")):
        with pytest.raises(LocustError, match="catch_response=True"):
            call()
    caught = client.get("/", catch_response=True)
    with pytest.raises(LocustError, match="with-block"):
        caught.success()
    with caught:
        pass
    assert len(log) == 2


def test_a_response_that_is_never_entered_still_counts(client, log, environment):
    client.get("/dropped", catch_response=True)
    kept = client.get("/kept", catch_response=True)
    assert [k["name"] for k in log] == ["/dropped"]
    kept.request_meta["response"]  # refers back: a cycle
    del kept
    gc.collect()
    assert [k["name"] for k in log][:2] == ["/dropped", "/kept"] and environment.stats.total.num_requests == 2


def test_request_meta(client, log, environment):
    with client.get("/x", catch_response=True, context={"c": 1}) as response:
        meta = response.request_meta
        assert meta["name"] == "/x" and meta["request_type"] == "GET" and meta["context"] == {"c": 1} and meta["response"] is response
        assert meta["response_time"] >= meta["service_time"] > 0 and meta["exception"] is None
        meta.update(name="edited", request_type="TYPE", response_time=1234.5, response_length=7, context={"d": 2}, extra="mine", url="elsewhere")
    (keywords,) = log
    assert (keywords["name"], keywords["request_type"], keywords["response_time"]) == ("edited", "TYPE", 1234.5)
    assert (keywords["context"], keywords["extra"], keywords["url"]) == ({"d": 2}, "mine", "elsewhere")
    assert "service_time" not in keywords and "lag" not in keywords
    entry = environment.stats.get("edited", "TYPE")
    assert entry.max_response_time == 1234.5 and entry.total_content_length == 7


def test_request_meta_exception(client, log):
    with client.get("/x", catch_response=True) as response:
        response.request_meta["exception"] = ValueError("set by hand")
    assert isinstance(log[-1]["exception"], ValueError)
    with client.get("/x", catch_response=True) as response:
        response.request_meta["exception"] = ValueError("set by hand")
        response.success()
    assert log[-1]["exception"] is None


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_request_meta_that_makes_no_sense(client, environment):
    for edit in ({"response_time": float("nan")}, {"response_time": "soon"}, {"response_length": -1}, {"response_time": None}, {"name": 5}):
        with client.get("/x", catch_response=True) as response:
            response.request_meta.update(edit)
    assert environment.stats.total.num_requests == 5 and environment.stats.total.num_none_requests == 1


# --- greenlets -------------------------------------------------------------------------------


def test_two_greenlets_with_one_session(server, client, log):
    go = gevent.event.Event()
    server.replies["/slow"] = lambda request, socket: go.wait(10) and answer(b"slow")
    slow = [gevent.spawn(client.get, "/slow") for _ in range(5)]
    gevent.sleep(0.01)
    assert client.get("/fast").ok and not any(g.ready() for g in slow)
    go.set()
    assert [g.get().content for g in slow] == [b"slow"] * 5
    assert server.connections >= 6 and len(log) == 6


@pytest.mark.parametrize("path", ["/head", "/body", "/stream", "/send"])
@pytest.mark.parametrize("how", ["kill", "timeout"])
def test_cut_off(server, environment, log, path, how):
    def stall(request, socket):
        if path != "/head":
            socket.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart")
        gevent.sleep(10)

    server.replies[path] = stall
    if path == "/send":
        server._read = lambda file: gevent.sleep(10)
    user = type("U", (), {"environment": environment, "context": lambda self: {}})()
    client = HttpSession(server.base, environment.events.request, user)

    def run():
        response = client.request("POST" if path == "/send" else "GET", path, data=b"x" * 20_000_000 if path == "/send" else None, stream=path == "/stream")
        return response.content

    if how == "kill":
        greenlet = gevent.spawn(run)
        gevent.sleep(0.2)
        greenlet.kill()
        assert [k for k in log if k["exception"]] == [] and len(log) == (path == "/stream")
    else:
        with pytest.raises(gevent.Timeout):
            with gevent.Timeout(0.2):
                run()
        assert len(log) == 1 and isinstance(log[0]["exception"], gevent.Timeout) == (path != "/stream")


def test_connect_timeout(silent, environment):
    response = HttpSession(silent, environment.events.request, None).get("/", timeout=(0.05, 5))
    assert isinstance(response.error, requests.ConnectTimeout)


def test_killed_while_resolving_and_connecting(silent, environment, log):
    for url in ("http://some.name.invalid/", "http://127.0.0.1:1/", silent + "/"):
        client = HttpSession(url, environment.events.request, None)
        greenlets = [gevent.spawn(client.get, "") for _ in range(3)]
        gevent.sleep(0)
        gevent.killall(greenlets)
    assert all(isinstance(k["exception"], OSError) for k in log)


def test_a_response_outlives_its_client(server, environment):
    client = HttpSession(server.base, environment.events.request, None)
    server.replies["/s"] = stream_of(b"a", b"b", pause=0.01)
    whole, stream = client.get("/"), client.get("/s", stream=True)
    del client
    gc.collect()
    assert whole.json()["method"] == "GET" and stream.content == b"ab"


def test_garbage_with_an_unread_stream(server, environment):
    server.replies["/s"] = stream_of(*[b"x"] * 100, pause=0.01)
    for _ in range(3):
        client = HttpSession(server.base, environment.events.request, None)
        client.me = client
        client.stream = client.get("/s", stream=True)
        client.caught = client.get("/", catch_response=True)
        environment.log.clear()  # it holds the response, and so the client
        del client
        gc.collect()
        assert [k["name"] for k in environment.log] == ["/"]
    gevent.sleep(0.02)
    assert environment.stats.total.num_requests == 6


def test_a_listener_that_sends_requests(server, client, environment):
    def listener(name, **_):
        if name == "/outer":
            assert client.get("/inner").ok

    environment.events.request.add_listener(listener)
    assert client.get("/outer").json()["target"] == "/outer"
    assert [r.path for r in server.requests] == ["/outer", "/inner"] and environment.stats.total.num_requests == 2


def test_work_that_starts_from_gevents_own_callbacks(server, environment):
    """A greenlet that gevent resumes in the middle of a request's preparation must not stall it."""
    from locust import User

    class Someone(User):
        def context(self):
            event.wait()
            return {}

    event = gevent.event.Event()
    client = HttpSession(server.base, environment.events.request, Someone(environment))
    greenlet = gevent.spawn(client.get, "/")
    gevent.sleep(0.02)
    gevent.spawn(event.set)
    assert greenlet.get(timeout=2).ok


def test_native_threads_are_refused(client):
    with pytest.raises(RuntimeError, match="thread"):
        gevent.get_hub().threadpool.apply(client.get, ("/",))


def test_a_client_that_was_not_initialised(environment):
    class Forgetful(HttpSession):
        def __init__(self):
            pass

    with pytest.raises((RuntimeError, AttributeError)):
        Forgetful().get("/")
    for attribute in ("base_url", "user"):
        client = HttpSession("http://127.0.0.1:1", environment.events.request, None)
        delattr(client, attribute)
        try:
            client.get("/")
        except AttributeError:
            continue


# --- TLS -------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    """Paths of a CA, a server's and a client's certificate, and their keys."""
    folder = tmp_path_factory.mktemp("tls")

    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], check=True, capture_output=True, cwd=folder)

    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=Test CA", "-days", "2")
    for name, extension in (("server", "subjectAltName=IP:127.0.0.1"), ("client", "extendedKeyUsage=clientAuth")):
        (folder / f"{name}.ext").write_text(extension)
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", f"{name}.ext", "-out", f"{name}.pem")
    return folder


def tls_server(folder, **more):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem", folder / "server.key")
    for name, value in more.items():
        setattr(context, name, value)
    context.load_verify_locations(folder / "ca.pem")
    return Server(ssl_context=context)


def test_tls(certificates, environment, log):
    server = tls_server(certificates)
    try:
        client = HttpSession(server.base, environment.events.request, None)
        assert isinstance(client.get("/").error, requests.exceptions.SSLError)
        assert client.get("/", verify=False).ok
        assert client.get("/", verify=str(certificates / "ca.pem")).ok
        assert isinstance(client.get("/", verify=str(certificates / "client.pem")).error, requests.exceptions.SSLError)
        client.verify = str(certificates / "ca.pem")
        assert client.get("/").ok and client.get("/", verify=True).error
        with pytest.raises(OSError, match="invalid path"):
            client.get("/", verify="/nowhere.pem")
        assert len(log) == 6
    finally:
        server.close()


def test_client_certificate(certificates, environment):
    server = tls_server(certificates, verify_mode=ssl.CERT_REQUIRED)
    try:
        client = HttpSession(server.base, environment.events.request, None)
        client.verify = str(certificates / "ca.pem")
        assert client.get("/").error
        pair = (str(certificates / "client.pem"), str(certificates / "client.key"))
        assert client.get("/", cert=pair).ok
        with pytest.raises(OSError, match="invalid path"):
            client.get("/", cert="/nowhere.pem")
    finally:
        server.close()
