"""The shop answers as its routes promise: other tests and the benchmark rely on it."""

import contextlib
import gzip
import http.client
import http.cookiejar
import json
import socket
import time
import urllib.error
import urllib.parse
import urllib.request
import zlib
from concurrent.futures import ThreadPoolExecutor

import pytest


def ask(shop, method, path, body=None, **headers):
    """Status, headers, body of one request on a connection of its own."""
    host = urllib.parse.urlsplit(shop.url)
    conn = http.client.HTTPConnection(host.hostname, host.port, timeout=20)
    try:
        conn.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        answer = conn.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        conn.close()


def form(**fields):
    return urllib.parse.urlencode(fields)


FORM = {"Content_Type": "application/x-www-form-urlencoded"}


def upload(shop, size, name="test.txt"):
    body = (b'--xx\r\nContent-Disposition: form-data; name="file"; filename="%s"\r\n\r\n' % name.encode()
            + b"y" * size + b"\r\n--xx--\r\n")
    return ask(shop, "POST", "/upload", body, Content_Type="multipart/form-data; boundary=xx")


def test_login_gives_a_session(shop):
    status, headers, _ = ask(shop, "POST", "/login", form(username="testuser", password="secret"), **FORM)
    assert status == 200
    cookie = headers["Set-Cookie"].split(";")[0]
    assert json.loads(ask(shop, "GET", "/account", Cookie=cookie)[2]) == {"username": "testuser"}
    assert ask(shop, "GET", "/account", Cookie=cookie[:-1] + "z")[0] == 401
    assert ask(shop, "GET", "/account")[0] == 401


@pytest.mark.parametrize("body, status", [
    (form(username="testuser", password="wrong"), 401), (form(username="testuser"), 400), ("", 400),
    (form(username="two\r\nlines", password="secret"), 400), (form(username="x" * 5000, password="secret"), 400),
])
def test_bad_logins(shop, body, status):
    assert ask(shop, "POST", "/login", body, **FORM)[0] == status


def test_every_tenth_product_is_sold_out(shop):
    statuses = [ask(shop, "GET", f"/products/{i}")[0] for i in range(0, 102)]
    assert [i for i, status in enumerate(statuses) if status != 200] == [0, *range(10, 101, 10), 101]
    featured = json.loads(ask(shop, "GET", "/products/featured")[2])["products"]
    assert featured and all(statuses[product["id"]] == 200 for product in featured)


@pytest.mark.parametrize("path", ["/", "/catalog", "/products", "/search?q=LAPTOP"])
def test_pages(shop, path):
    status, headers, body = ask(shop, "GET", path)
    assert status == 200 and b"laptop" in body.lower()
    assert ask(shop, "HEAD", path)[::2] == (200, b"")


def test_search_escapes_nothing_into_its_answer(shop):
    assert json.loads(ask(shop, "GET", "/search?q=%22%3Cb%3E")[2]) == {"products": []}


def test_carts(shop):
    want = {"product_id": 3, "quantity": 2}
    assert json.loads(ask(shop, "POST", "/cart", json.dumps(want))[2]) == want
    assert json.loads(ask(shop, "POST", "/cart/add", form(**want), **FORM)[2]) == want
    for body in ("", "[]", "{", '{"product_id": -1}', '{"product_id": 3, "quantity": "2"}'):
        assert ask(shop, "POST", "/cart", body)[0] == 400
    for fields in ({}, {"product_id": "x"}, {"product_id": 101}):
        assert ask(shop, "POST", "/cart/add", form(**fields), **FORM)[0] == 400


def test_every_fifth_checkout_is_declined(shop):
    assert [ask(shop, "POST", "/checkout", "{}")[0] for _ in range(10)] == [200, 200, 200, 200, 402] * 2
    assert shop.counts()["routes"]["POST /checkout"] == {"200": 8, "402": 2}


def test_upload_limit_is_one_megabyte(shop):
    status, _, body = upload(shop, 1 << 20)
    assert status == 200 and json.loads(body) == {"upload_id": "up-1", "file_name": "test.txt", "bytes": 1 << 20}
    assert upload(shop, (1 << 20) + 1)[0] == 413
    assert upload(shop, 5 << 20)[0] == 413
    assert ask(shop, "POST", "/upload", "a=b", **FORM)[0] == 400


def test_api_data_takes_turns(shop):
    began = time.monotonic()
    bodies = [ask(shop, "GET", "/api/data")[2] for _ in range(5)]
    assert time.monotonic() - began >= 0.3
    assert len(json.loads(bodies[0])["items"]) == 3
    assert "error" in json.loads(bodies[1])
    assert json.loads(bodies[2]) == {"items": []}
    with pytest.raises(json.JSONDecodeError):
        json.loads(bodies[3])
    assert json.loads(bodies[4])["items"]


@pytest.mark.parametrize("dist, low_ms, high_ms", [
    ("const:5ms", 5, 5), ("uniform:1ms,20ms", 1, 20), ("bimodal:1ms,0.03s,0.5", 1, 30), ("exp:500us", 0, None),
    ("lognormal:2000000ns,0.5", 0, None), ("const:0s", 0, 0),
])
def test_delay_tells_how_long_it_really_took(shop, dist, low_ms, high_ms):
    began = time.monotonic()
    status, headers, _ = ask(shop, "GET", f"/delay?dist={dist}")
    seen_ms, told_ms = (time.monotonic() - began) * 1000, int(headers["X-Delay-Ns"]) / 1e6
    assert status == 200 and low_ms <= told_ms <= seen_ms


@pytest.mark.parametrize("dist", [
    "", "const", "const:", "const:5", "const:5m", "const:-5ms", "const:61s", "const:5ms,", "const:infs", "const:nanms",
    "const:0x5ms", "uniform:5ms", "uniform:5ms,1ms", "bimodal:1ms,2ms,1.1", "lognormal:1ms,11", "gauss:1ms",
])
def test_bad_delays(shop, dist):
    assert ask(shop, "GET", f"/delay?dist={dist}")[0] == 400


def test_delays_do_not_block_each_other(shop):
    began = time.monotonic()
    with ThreadPoolExecutor(40) as pool:
        statuses = list(pool.map(lambda _: ask(shop, "GET", "/delay?dist=const:500ms")[0], range(40)))
    assert statuses == [200] * 40
    assert time.monotonic() - began < 10  # one after the other would take 20 s


def test_stopping_answers_what_waits(shop):
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(ask, shop, "GET", "/delay?dist=const:50s")
        time.sleep(0.5)  # it waits by then, or this test finds the port closed
        shop.process.terminate()
        assert waiting.result(10)[0] == 200


def test_stopping_under_load(shops):
    for _ in range(5):
        shop = shops()
        host = urllib.parse.urlsplit(shop.url)
        with ThreadPoolExecutor(20) as pool:
            for _ in range(20):
                pool.submit(keep_asking, (host.hostname, host.port))
            time.sleep(0.2)
            assert shop.stop() == 0


def keep_asking(address):
    with contextlib.suppress(OSError), socket.create_connection(address, timeout=20) as conn:
        while True:
            conn.sendall(b"GET /delay?dist=const:1ms HTTP/1.1\r\nHost: shop\r\n\r\n" * 20)
            if not conn.recv(65536):
                return


@pytest.mark.parametrize("status", [200, 204, 304, 404, 418, 503, 599])
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_status(shop, status, method):
    assert ask(shop, method, f"/status/{status}")[0] == status


@pytest.mark.parametrize("path", ["/status/199", "/status/600", "/status/x", "/bytes/-1", "/bytes/9999999999",
                                  "/redirect/1001", "/redirect/1?status=304", "/set-cookie?a=b%0d%0ac",
                                  "/set-cookie?a=b%3bc", "/search"])
def test_bad_arguments(shop, path):
    assert ask(shop, "GET", path)[0] == 400


@pytest.mark.parametrize("n", [0, 1, 27, 65536, 65537, 3_000_000])
def test_bytes(shop, n):
    assert ask(shop, "GET", f"/bytes/{n}")[2] == (b"abcdefghijklmnopqrstuvwxyz" * (n // 26 + 1))[:n]


def test_echo(shop):
    answer = json.loads(ask(shop, "PUT", "/echo?a=1&b", b"\xff\x00", X_One="1")[2])
    assert answer["method"] == "PUT" and answer["path"] == "/echo"
    assert answer["query"] == [["a", "1"], ["b", ""]]
    assert ["X-One", "1"] in answer["headers"]
    assert answer["body"] == "\xff\0" and answer["body_bytes"] == 2


def test_redirects_and_cookies(shop):
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar := http.cookiejar.CookieJar()))
    assert opener.open(shop.url + "/redirect/3", timeout=10).read() == b"arrived\n"
    opener.open(shop.url + "/set-cookie?one=1&two=2", timeout=10).close()
    assert {cookie.name: cookie.value for cookie in jar} == {"one": "1", "two": "2"}
    assert ask(shop, "GET", "/redirect/2?status=308")[1]["Location"] == "/redirect/1?status=308"


def test_codings(shop):
    _, headers, body = ask(shop, "GET", "/gzip")
    assert headers["Content-Encoding"] == "gzip" and json.loads(gzip.decompress(body))["coding"] == "gzip"
    _, headers, body = ask(shop, "GET", "/deflate")
    assert headers["Content-Encoding"] == "deflate" and json.loads(zlib.decompress(body))["coding"] == "deflate"


def test_counts(shop):
    for _ in range(3):
        ask(shop, "GET", "/products/7")
    ask(shop, "GET", "/nowhere")
    ask(shop, "DELETE", "/products")
    counts = shop.counts()
    assert counts == shop.counts() | {"connections": counts["connections"]}  # asking is not counted
    assert counts["requests"] == 5
    assert counts["routes"] == {"GET /products/ID": {"200": 3}, "ANY *": {"404": 2}}
