"""Conservation: what the program counted is what the server counted, by name and status, for every front end.

When users are cut off in flight the two may differ, by no more than the number that the summary tells."""

import collections
import json

import pytest

from conftest import ROOT

SHOP = ROOT / "examples" / "shop" / "locustfile.py"
NATIVE_SHOP = ROOT / "examples" / "native" / "shop.c"

# The shop's routes by the names that the examples give them.
ROUTES = {"GET /products/[id]": "GET /products/ID"}


def by_route(result):
    counted = collections.Counter()
    for name, row in result.rows().items():
        counted[ROUTES.get(name, name)] += row["num_requests"]
    return dict(counted)


def seen(counts):
    return {route: sum(statuses.values()) for route, statuses in counts["routes"].items()}


def test_the_shop_in_python_and_c(gregaria, shops):
    """Every user finishes what it has begun: the counts are equal, and so are the failures that the shop decides."""
    runs = []
    for path, users in ((SHOP, 60), (NATIVE_SHOP, 200)):
        shop = shops()
        runs.append((shop, gregaria.start("-f", path, "--headless", "-H", shop.url, "-u", users, "-r", 100, "-t", "3s",
                                          "-s", "20", "--json", "--only-summary")))
    for shop, run in runs:
        result, counts = run.wait(), shop.counts()
        assert result.cut_off() == 0 and result.requests() > 100
        assert by_route(result) == seen(counts)
        sold_out = result.rows()["GET /products/[id]"]
        assert sold_out["num_failures"] == 0  # every tenth product is, and the examples know
        assert result.rows()["POST /checkout"]["num_failures"] == 0 < counts["routes"]["POST /checkout"].get("402", 1)
        assert sum(result.errors().values()) == result.failures()


# Every status with both front ends; the listener sees what the table counts.
MIXED = """
import collections, json
from locust import FastHttpUser, HttpUser, User, constant, events, task

STATUSES = [200, 201, 204, 304, 400, 404, 418, 500, 503]
heard = collections.Counter()

@events.request.add_listener
def hear(request_type, name, response, exception, **kwargs):
    heard[f"{name} {response.status_code} {exception is not None}"] += 1

@events.quit.add_listener
def tell(**kwargs):
    with open("heard.json", "w") as file:
        json.dump(heard, file)

class Steps(User):
    abstract = True
    wait_time = constant(0)

    @task
    def statuses(self):
        front = type(self).__name__
        for status in STATUSES:
            self.client.get(f"/status/{status}", name=f"{front} {status}")
            self.client.request("DELETE", f"/status/{status}", name=f"{front} DELETE {status}")
            self.client.post(f"/status/{status}", data={"a": "b"}, name=f"{front} {status}")

    @task
    def bodies(self):
        front = type(self).__name__
        self.client.put("/echo", json={"n": 1}, name=f"{front} echo")
        self.client.head("/bytes/1000", name=f"{front} head")
        self.client.get("/bytes/100000", name=f"{front} bytes")
        self.client.get("/gzip", name=f"{front} gzip")
        self.client.get("/redirect/2", name=f"{front} redirect")
        self.client.get("/redirect/1", name=f"{front} stay", allow_redirects=False)
        with self.client.get("/status/404", name=f"{front} fine", catch_response=True) as response:
            response.success()
        with self.client.get("/status/200", name=f"{front} not fine", catch_response=True) as response:
            response.failure("I do not like it")

class Slow(Steps, HttpUser): pass
class Fast(Steps, FastHttpUser): pass
"""


def test_every_method_and_status(gregaria, locustfile, shop):
    result = gregaria("-f", locustfile(MIXED), "--headless", "-H", shop.url, "-u", 10, "-r", 100, "-t", "2s", "-s", "20",
                      "--json", "--only-summary")
    assert result.status == 1 and result.cut_off() == 0
    counts, rows = shop.counts()["routes"], {}
    for row in result.entries():
        n, failures = rows.get(row["name"], (0, 0))
        rows[row["name"]] = n + row["num_requests"], failures + row["num_failures"]
    heard = json.loads((gregaria.folder / "heard.json").read_text())
    statuses, told = collections.Counter(), collections.defaultdict(lambda: (0, 0))
    for key, n in heard.items():
        name, status, failed = key.rsplit(" ", 2)
        told[name] = told[name][0] + n, told[name][1] + n * (failed == "True")
        if name.split()[1] in (*"DELETE 200 201 204 304 400 404 418 500 503".split(), "fine", "not"):
            statuses[status] += n
        if name.endswith((" stay", " redirect")):
            assert status == ("302" if name.endswith(" stay") else "200")
    assert rows == told
    assert counts["ANY /status/CODE"] == statuses
    for front in ("Slow", "Fast"):
        for status in (200, 201, 204, 304, 400, 404, 418, 500, 503):
            for name in (f"{front} {status}", f"{front} DELETE {status}"):
                n, failures = rows[name]
                assert failures == (n if status >= 400 else 0) and n > 0, name
        assert rows[f"{front} fine"][1] == 0 < rows[f"{front} not fine"][0] == rows[f"{front} not fine"][1]
    n = {what: rows[f"Slow {what}"][0] + rows[f"Fast {what}"][0] for what in ("echo", "head", "bytes", "gzip", "redirect", "stay")}
    assert sum(counts["ANY /echo"].values()) == n["echo"]
    assert sum(counts["GET /bytes/N"].values()) == n["head"] + n["bytes"]
    assert sum(counts["GET /gzip"].values()) == n["gzip"]
    assert counts["ANY /redirect/N"] == {"302": 2 * n["redirect"] + n["stay"], "200": n["redirect"]}
    assert len(result.errors()) == len(set(result.errors())) and sum(result.errors().values()) == result.failures()


SLOW = """
from locust import FastHttpUser, HttpUser, User, constant, task

class Steps(User):
    abstract = True
    wait_time = constant(0.01)

    @task
    def mostly_waiting(self):
        self.client.get("/delay?dist=uniform:1ms,300ms", name="/delay")

class Slow(Steps, HttpUser): pass
class Fast(Steps, FastHttpUser): pass
"""

SLOW_NATIVE = """
#include <gregaria.h>
static void mostly_waiting(gr_user *u) {
    gr_send(u, "/delay?dist=uniform:1ms,300ms", &(gr_opts){.name = "/delay"});
}
GR_SCENARIO {
    gr_user_class *c = gr_class("Slow");
    gr_wait_constant(c, 0.01);
    gr_add_task(c, 1, mostly_waiting);
}
"""

# Users come and go while the test runs.
SHAPED = SLOW + """
from locust import LoadTestShape

class Tide(LoadTestShape):
    def tick(self):
        now = self.get_run_time()
        return None if now > 3.5 else (60, 1000) if int(now) % 2 == 0 else (10, 1000)
"""


def test_users_that_are_cut_off_in_flight(gregaria, locustfile, shops):
    runs = []
    for path in (locustfile(SLOW, "slow.py"), locustfile(SLOW_NATIVE, "slow.c"), locustfile(SHAPED, "shaped.py")):
        shop = shops()
        ends = [] if path.name == "shaped.py" else ["-u", 100, "-r", 1000, "-t", "2s"]
        runs.append((path, shop, gregaria.start("-f", path, "--headless", "-H", shop.url, *ends, "--json", "--only-summary")))
    for path, shop, run in runs:
        result = run.wait()
        assert result.status == 0 and result.failures() == 0, result
        assert 0 < result.cut_off() <= (100 if path.name != "shaped.py" else 300)
        served = seen(shop.counts())["GET /delay"]
        assert result.requests() <= served <= result.requests() + result.cut_off()
        assert set(result.rows()) == {"GET /delay"}


VISITS = """
from locust import FastHttpUser, HttpUser, User, between, task

class Steps(User):
    abstract = True
    wait_time = between(0.15, 0.25)

    @task
    def burst(self):
        for n in range(6):
            self.client.get(f"/page?{n}", name="/page")

class Slow(Steps, HttpUser): pass
class Fast(Steps, FastHttpUser): pass
"""

VISITS_NATIVE = """
#include <gregaria.h>
static void burst(gr_user *u) {
    for (int n = 0; n < 6; n++) gr_send(u, "/page", &(gr_opts){.name = "/page"});
}
GR_SCENARIO {
    gr_user_class *c = gr_class("Visitor");
    gr_wait_between(c, 0.15, 0.25);
    gr_add_task(c, 1, burst);
}
"""


@pytest.mark.parametrize("settings", ["keepalive_requests 5;", "keepalive_timeout 200ms;", "keepalive_timeout 0;"])
def test_connections_that_nginx_closes(gregaria, locustfile, nginx, settings):
    """After some requests, after a pause (at the very moment the next one comes), or each time."""
    runs = []
    for path in (locustfile(VISITS, "visits.py"), locustfile(VISITS_NATIVE, "visits.c")):
        server = nginx(f"{settings} location / {{ return 200 hello; }}")
        runs.append((path, server, gregaria.start("-f", path, "--headless", "-H", server.url, "-u", 20, "-r", 100, "-t", "2s",
                                                  "-s", "10", "--json", "--only-summary")))
    for path, server, run in runs:
        result = run.wait()
        assert result.cut_off() == 0 and result.requests() > 100
        answered = [line.split()[-1] for line in server.requests()]
        assert set(answered) == {"200"}
        assert len(answered) == result.requests() - result.failures()
        if "200ms" in settings and path.suffix == ".py":
            assert result.failures() <= result.requests() / 4  # HttpUser reports such a race, as requests does
        else:
            assert result.failures() == 0, result
