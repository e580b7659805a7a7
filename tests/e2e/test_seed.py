"""The founding document's listings: the runnable ones run, and the printed ones fail with a message
that helps. What the client counted must be what the server counted."""

import os
import re
import subprocess

import pytest

from conftest import CUT_OFF, ROOT

SEED = ROOT / "examples" / "seed"
PRINTED = ROOT / "tests" / "e2e" / "seed_as_printed"


def is_stock(gregaria):
    return gregaria("--version").stdout.startswith("locust ")


def start(gregaria, shop, file, *more, users=5, run_time="2s", **kwargs):
    return gregaria.start("-f", file, "--headless", "--host", shop.url, "-u", users, "-r", users, "-t", run_time,
                          "--stop-timeout", "10", "--json", *more, **kwargs)


def run(*args, **kwargs):
    return start(*args, **kwargs).wait()


def named(result, counts):
    """The rows of the table with the shop's counts by status beside each: the routes that a listing uses have one name each."""
    rows = result.rows()
    return {name: (rows[name]["num_requests"], rows[name]["num_failures"], counts["routes"][name]) for name in rows
            if name in counts["routes"]}


def test_runnable_listings(gregaria, shops):
    """As they are, and the first one as printed: it lacks nothing."""
    files = [SEED / "website_user.py", PRINTED / "01_website_user.py", SEED / "user_journey.py", SEED / "api_user.py"]
    served = [shops() for _ in files]
    runs = [start(gregaria, shop, file) for shop, file in zip(served, files)]
    for shop, run, status in zip(served, runs, ((0, 1), (0, 1), (0,), (1,))):
        result = run.wait()
        assert result.status in status, result.output
        assert "Traceback" not in result.output and not CUT_OFF.search(result.output)
        assert result.requests() == shop.counts()["requests"] > 0


def faster(listing, name, lines=""):
    """A locustfile with the listing's user under another name and in a hurry."""
    return f"""
import sys
sys.path.insert(0, {str(SEED)!r})
import {listing}
from locust import constant
class Hurried({listing}.{name}):
    wait_time = constant(0.005)
{lines}"""


def test_website_user(gregaria, locustfile, shop):
    result = run(gregaria, shop, locustfile(faster("website_user", "WebsiteUser")), users=10)
    counts = shop.counts()
    rows = named(result, counts)
    assert rows["POST /login"] == (10, 0, {"200": 10})
    assert rows["GET /products"][0] == rows["GET /products"][2]["200"] > 50
    details = {name: row for name, row in result.rows().items() if name.startswith("GET /products/")}
    assert sum(row["num_requests"] for row in details.values()) == sum(counts["routes"]["GET /products/ID"].values())
    sold_out = {name: row for name, row in details.items() if row["num_failures"]}
    assert sold_out and all(int(name.rsplit("/", 1)[1]) % 10 == 0 for name in sold_out)
    assert all(row["num_failures"] == row["num_requests"] for row in sold_out.values())
    assert result.errors() == {f"{name}: Product not found": row["num_failures"] for name, row in sold_out.items()}
    assert sum(result.errors().values()) == counts["routes"]["GET /products/ID"]["404"]
    assert rows["POST /cart/add"][0] == rows["POST /cart/add"][2]["200"]
    assert 2 < rows["GET /products"][0] / rows["POST /cart/add"][0] < 4.5  # @task(3) beside @task(1)


def test_website_user_whose_login_fails(gregaria, locustfile, shop):
    """RescheduleTask in on_start is no task's: the user ends, and the run tells."""
    lines = "    def login(self):\n        from locust.exception import RescheduleTask\n" \
            "        if self.client.post('/login', {'username': 'x', 'password': 'y'}).status_code != 200:\n" \
            "            raise RescheduleTask()\n"
    result = run(gregaria, shop, locustfile(faster("website_user", "WebsiteUser", lines)), users=3, run_time="1s")
    assert result.status == 1 and "RescheduleTask" in result.output
    assert shop.counts()["routes"] == {"POST /login": {"401": 3}}
    assert list(result.errors()) == ["POST /login: HTTPError('401 Client Error: Unauthorized for url: /login')"]


def test_user_journey(gregaria, locustfile, shop):
    """Steps come in order, and each as often as the shop has seen it; every fifth payment is declined."""
    result = run(gregaria, shop, locustfile(faster("user_journey", "ECommerceUser")), "Hurried", users=10)
    counts, rows = shop.counts(), result.rows()
    steps = ["GET /catalog", "GET /products/featured", "POST /cart"]
    searches = sum(row["num_requests"] for name, row in rows.items() if name.startswith("GET /search?q="))
    n = [rows[step]["num_requests"] for step in steps]
    n.insert(1, searches)
    assert n[0] >= n[1] >= n[2] >= n[3] >= n[0] - 10  # each of ten users may be in the middle of a round
    assert n == [counts["routes"][route]["200"] for route in ("GET /catalog", "GET /search", "GET /products/featured", "POST /cart")]
    paid, declined = (counts["routes"]["POST /checkout"][status] for status in ("200", "402"))
    checkout = rows["POST /checkout"]
    assert (checkout["num_requests"], checkout["num_failures"]) == (paid + declined, declined)
    assert declined == (paid + declined) // 5 and 0.15 < (paid + declined) / n[3] < 0.45
    assert result.errors() == {"POST /checkout: HTTPError('402 Client Error: Payment Required for url: /checkout')": declined}
    assert result.requests() == counts["requests"]


def test_api_user_tells_the_answers_apart(gregaria, shop):
    result = run(gregaria, shop, SEED / "api_user.py")
    counts, rows = shop.counts(), result.rows()
    data, upload = rows["GET /api/data"], rows["POST /upload"]
    n, failures = data["num_requests"], data["num_failures"]
    assert n == sum(counts["routes"]["GET /api/data"].values())
    assert abs(failures - n * 3 / 5) <= 3  # three in five are faulty; the last round may be unfinished
    assert (upload["num_requests"], upload["num_failures"]) == (counts["routes"]["POST /upload"]["200"], 0)
    texts = {f"GET /api/data: {text}" for text in ("API Error: backend is busy", "No data returned", "Invalid JSON response")}
    assert set(result.errors()) == texts and sum(result.errors().values()) == failures
    assert max(result.errors().values()) - min(result.errors().values()) <= 1


def test_configuration_listing(gregaria, shop):
    """Everything but the size of the test comes from locust.conf, and the host from the listener."""
    result = gregaria("-u", 2, "-r", 2, "-t", "1s", "--stop-timeout", "10", "--json", cwd=SEED / "configuration",
                      env={"TARGET_HOST": shop.url, "API_KEY": "k"})
    assert result.status == 0, result.output
    assert result.requests() == shop.counts()["routes"]["ANY /echo"]["200"] > 0
    result = gregaria("-u", 1, "-t", "1s", cwd=SEED / "configuration")
    assert "Warning: TARGET_HOST not set" in result.output


def test_monitoring_listing(gregaria, locustfile, shops):
    plain_shop, hurried_shop = shops(), shops()
    plain = start(gregaria, plain_shop, SEED / "monitoring.py", run_time="3s")
    hurried = start(gregaria, hurried_shop, locustfile(f"""
        from locust import constant
        text = open({str(SEED / "monitoring.py")!r}).read()
        exec(text.replace("spawn_later(30,", "spawn_later(0.5,").replace("> 2000", "> -1"))
        MonitoredUser.wait_time = constant(0.1)
        """), run_time="3s")
    plain, hurried = plain.wait(), hurried.wait()
    if is_stock(gregaria):
        assert plain.status == 1 and "spawn_later" in plain.output
        return
    for result, shop in ((plain, plain_shop), (hurried, hurried_shop)):
        assert result.status == 0, result.output
        assert "Load test starting with 5 users" in result.output
        assert result.requests() == shop.counts()["requests"] > 0
    readings = re.findall(r"INFO/root: System resources - CPU: [\d.]+%, Memory: [\d.]+%", hurried.stderr)
    assert 3 <= len(readings) <= 8 and "System resources" not in plain.output  # every half second of three
    slow = re.findall(r"WARNING/root: Slow request: /catalog took [\d.]+ms", hurried.stderr)
    assert len(slow) == hurried.requests()


def test_spawn_later(gregaria, locustfile, shop):
    """With arguments; what it started, or has yet to start, is gone after the test."""
    result = gregaria("-f", locustfile("""
        from locust import HttpUser, constant, events, task
        import gevent, logging

        def say(text, times=1):
            logging.info("%s %d", text, times)

        def fail():
            raise ValueError("in the background")

        def for_ever():
            while True:
                gevent.sleep(0.1)

        @events.init.add_listener
        def start(environment, runner, **kwargs):
            group = environment.runner.greenlet
            assert group is runner.greenlet
            group.spawn_later(0.3, say, "later", times=7)
            group.spawn_later(0.1, for_ever)
            group.spawn_later(50, say, "never")
            assert group.spawn(say, "now").get() is None

        class Visitor(HttpUser):
            wait_time = constant(0.1)
            @task
            def home(self): self.client.get("/")
        """), "--headless", "-H", shop.url, "-t", "1s")
    assert result.status == 0
    assert "INFO/root: now 1" in result.stderr and "INFO/root: later 7" in result.stderr and "never" not in result.stderr


def test_distributed_listing(gregaria, shop):
    if "--master" not in gregaria("--help").stdout:
        result = gregaria("-f", SEED / "user_journey.py", "--master")
        assert result.status == 2 and "--master" in result.stderr and len(result.stderr.splitlines()) == 1
        return
    done = subprocess.run([SEED / "distributed" / "run.sh", shop.url], capture_output=True, text=True, timeout=60,
                          env={**os.environ, "GREGARIA": gregaria.program, "RUN_TIME": "3s",
                               "LOCUSTFILE": str(SEED / "user_journey.py")})
    assert done.returncode == 0, done.stderr
    assert len(re.findall(r"reported as ready", done.stderr)) == 2
    assert shop.counts()["requests"] > 0


@pytest.mark.parametrize("name, texts, may_request", [
    ("02_user_journey", ("No tasks defined on", "@task"), False),
    ("03_api_user", ("NameError", "name 'json' is not defined"), True),
    ("04_configuration", ("SyntaxError", "04_configuration.py", "line 7", "run-time = 5m"), False),
    ("06_monitoring", ("No User class found",), False),
])
def test_printed_listing_is_explained(gregaria, shop, name, texts, may_request):
    result = run(gregaria, shop, PRINTED / f"{name}.py", run_time="1s")
    assert result.status != 0
    for text in texts:
        assert text in result.output
    if not may_request:
        assert shop.counts()["requests"] == 0


def test_printed_distributed_is_no_script():
    """It is commands and a compose file in one; the placeholder is where a shell stops."""
    done = subprocess.run(["sh", "-n", PRINTED / "05_distributed.sh"], capture_output=True, text=True, timeout=10)
    assert done.returncode != 0 and "05_distributed.sh" in done.stderr
