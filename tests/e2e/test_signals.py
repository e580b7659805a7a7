"""How a run ends when it is told to: SIGINT, SIGTERM, the run time and the stop timeout, also while tasks are busy."""

import csv
import re
import signal
import time

import pytest

from conftest import wait_until

VISITOR = """
from locust import HttpUser, constant, task

class Visitor(HttpUser):
    wait_time = constant(0.02)

    @task
    def home(self):
        self.client.get("/")

    def on_stop(self):
        self.client.get("/catalog")
"""

# Never lets go of the processor for SECONDS: no greenlet of this process runs meanwhile.
BUSY = """
import sys, time
from locust import HttpUser, constant, task

class Busy(HttpUser):
    wait_time = constant(0.01)

    @task
    def burn(self):
        self.client.get("/")
        print("busy", time.time(), flush=True)
        until = time.monotonic() + SECONDS
        while time.monotonic() < until:
            pass
        print("done", time.time(), flush=True)
"""

NATIVE = """
#include <gregaria.h>
static void home(gr_user *u) { gr_get(u, "/"); }
static void bye(gr_user *u) { gr_get(u, "/catalog"); }
GR_SCENARIO {
    gr_user_class *c = gr_class("Visitor");
    gr_wait_constant(c, 0.02);
    gr_add_task(c, 1, home);
    gr_on_stop(c, bye);
}
"""

TABLE = "# reqs      # fails"


def csv_total(prefix):
    """Requests and failures on the Aggregated row; the last row of the history says the same."""
    with open(f"{prefix}_stats.csv", newline="") as file:
        total = list(csv.DictReader(file))[-1]
    with open(f"{prefix}_stats_history.csv", newline="") as file:
        last = list(csv.DictReader(file))[-1]
    requests, failures = int(total["Request Count"]), int(total["Failure Count"])
    assert (total["Name"], last["Name"]) == ("Aggregated", "Aggregated")
    assert (int(last["Total Request Count"]), int(last["Total Failure Count"])) == (requests, failures)
    return requests, failures


def has_summary(result):
    final = result.stderr.rpartition("Shutting down")[2]
    return TABLE in final and "Response time percentiles" in final and final.count("Aggregated") == 2


@pytest.mark.parametrize("front", ["python", "native"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_test_cleanly(gregaria, locustfile, shop, front, number):
    path = locustfile(VISITOR) if front == "python" else locustfile(NATIVE, "scenario.c")
    prefix = gregaria.folder / "run"
    run = gregaria.start("-f", path, "--headless", "-H", shop.url, "-u", 5, "-r", 100, "--csv", prefix, "--json")
    wait_until(lambda: shop.counts()["requests"] > 50)
    run.signal(number)
    result = run.wait()
    assert result.status == 0 and has_summary(result), result
    assert ("Got SIGTERM signal" in result.stderr) == (number == signal.SIGTERM)
    counts = shop.counts()
    assert counts["routes"]["GET /catalog"] == {"200": 5}  # every user's on_stop
    assert result.rows()["GET /catalog"]["num_requests"] == 5
    assert result.requests() <= counts["requests"] <= result.requests() + result.cut_off()
    assert csv_total(prefix) == (result.requests(), 0)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_exit_code_tells_of_failures_after_a_signal_too(gregaria, locustfile, shop, number):
    path = locustfile(VISITOR.replace('"/"', '"/status/500"'))
    run = gregaria.start("-f", path, "--headless", "-H", shop.url, "--exit-code-on-error", 5, "--csv", gregaria.folder / "run")
    wait_until(lambda: shop.counts()["requests"] > 5)
    run.signal(number)
    result = run.wait()
    assert result.status == 5 and "Error report" in result.stderr and "500 Server Error" in result.stderr
    requests, failures = csv_total(gregaria.folder / "run")
    assert 0 < failures == requests - 1


def moments(result, word):
    return [float(line.split()[1]) for line in result.stdout.splitlines() if line.startswith(word)]


def test_a_busy_task_stops_no_clock(gregaria, locustfile, shop):
    """Table, CSV files and run time go on while Python does not come to breathe."""
    prefix = gregaria.folder / "run"
    path = locustfile(BUSY.replace("SECONDS", "4"))
    run = gregaria.start("-f", path, "--headless", "-H", shop.url, "-t", "3s", "--csv", prefix)
    run.until("--run-time limit reached")
    told_at = time.time()
    assert "Shutting down" not in run.said()
    assert run.said().count(TABLE) == 2  # at once, and after two seconds
    result = run.wait()
    busy, done = moments(result, "busy"), moments(result, "done")
    assert len(busy) == len(done) == 1 and busy[0] < told_at < done[0]
    assert result.status == 0 and has_summary(result)
    assert shop.counts()["requests"] == csv_total(prefix)[0] == 1
    with open(f"{prefix}_stats_history.csv", newline="") as file:
        seconds = {int(row["Timestamp"]) for row in csv.DictReader(file)}
    assert len([second for second in seconds if busy[0] < second < done[0]]) >= 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_in_a_busy_task(gregaria, locustfile, shop, number):
    path = locustfile(BUSY.replace("SECONDS", "1.5"))
    run = gregaria.start("-f", path, "--headless", "-H", shop.url, "--csv", gregaria.folder / "run")
    wait_until(lambda: "busy" in run.stdout.read_text())
    run.signal(number)
    result = run.wait()
    assert result.status == 0 and has_summary(result), result
    assert len(moments(result, "busy")) == len(moments(result, "done")) == 1  # the task was not broken off half-way
    assert shop.counts()["requests"] == csv_total(gregaria.folder / "run")[0] == 1


@pytest.mark.parametrize("front", ["busy", "waiting", "native"])
def test_a_second_sigint_kills_at_once(gregaria, locustfile, hostile, front):
    peer = hostile("SlowHeaders" if front == "busy" else "NeverAnswers")
    path = {"busy": lambda: locustfile(BUSY.replace("SECONDS", "30")),
            "waiting": lambda: locustfile(VISITOR),
            "native": lambda: locustfile(NATIVE, "scenario.c")}[front]()
    run = gregaria.start("-f", path, "--headless", "-H", peer.url, "-s", "50")
    wait_until(lambda: "busy" in run.stdout.read_text() if front == "busy" else peer.counts()["requests"] > 0)
    run.until("All users spawned")
    run.signal(signal.SIGINT)
    time.sleep(0.5)
    assert run.process.poll() is None  # the first one waits for the task
    run.signal(signal.SIGINT)
    assert run.process.wait(5) == -signal.SIGINT


SLOW = """
from locust import HttpUser, task

class Slow(HttpUser):
    @task
    def two_steps(self):
        self.client.get("/")
        self.client.get("/delay?dist=const:2500ms")
        self.client.get("/products")

    def on_stop(self):
        self.client.get("/catalog")
"""

SLOW_NATIVE = """
#include <gregaria.h>
static void two_steps(gr_user *u) { gr_get(u, "/"); gr_get(u, "/delay?dist=const:2500ms"); gr_get(u, "/products"); }
static void bye(gr_user *u) { gr_get(u, "/catalog"); }
GR_SCENARIO {
    gr_user_class *c = gr_class("Slow");
    gr_add_task(c, 1, two_steps);
    gr_on_stop(c, bye);
}
"""


def test_the_stop_timeout_lets_tasks_finish(gregaria, locustfile, shops):
    """Long enough, too short, none: after the run time, and after SIGTERM."""
    python, native = locustfile(SLOW), locustfile(SLOW_NATIVE, "scenario.c")
    runs = []
    for path in (python, native):
        for timeout in ("20", "1", None):
            shop = shops()
            args = ["-f", path, "--headless", "-H", shop.url, "-u", 4, "-r", 100, "--json"]
            ends = ["-t", "1s"] if timeout != "20" else []
            run = gregaria.start(*args, *ends, *(["-s", timeout] if timeout else []))
            runs.append((path, timeout, shop, run))
    for _, timeout, shop, run in runs:
        if timeout == "20":
            wait_until(lambda: shop.counts()["requests"] >= 4)
            run.signal(signal.SIGTERM)
    for path, timeout, shop, run in runs:
        result = run.wait()
        rows = {name: row["num_requests"] for name, row in result.rows().items()}
        assert result.status == 0, result
        if timeout == "20":
            assert rows == {"GET /": 4, "GET /delay?dist=const:2500ms": 4, "GET /products": 4, "GET /catalog": 4}
            assert result.cut_off() == 0 and result.requests() == shop.counts()["requests"]
        else:
            assert rows == {"GET /": 4, "GET /catalog": 4} and result.cut_off() == 4
        assert ("Not all users finished their tasks" in result.stderr) == (timeout == "1")


def test_sigint_that_a_background_job_ignores_stays_ignored(gregaria, locustfile, shop):
    run = gregaria.start("-f", locustfile(VISITOR), "--headless", "-H", shop.url, "-t", "2s",
                         preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN))
    run.until("All users spawned")
    run.signal(signal.SIGINT)
    result = run.wait()
    assert result.status == 0 and "--run-time limit reached" in result.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_the_locustfile_is_loaded(gregaria, locustfile, number):
    run = gregaria.start("-f", locustfile("print('loading', flush=True)\nimport time\ntime.sleep(30)\n"), "--headless")
    wait_until(lambda: "loading" in run.stdout.read_text())
    run.signal(number)
    result = run.wait()
    assert result.status == -number and result.stderr == "", result


def test_a_signal_while_users_are_being_started(gregaria, locustfile, shop):
    run = gregaria.start("-f", locustfile(VISITOR), "--headless", "-H", shop.url, "-u", 1000, "-r", 10, "--json")
    run.until("Ramping to 1000 users")
    wait_until(lambda: shop.counts()["requests"] > 5)
    run.signal(signal.SIGTERM)
    result = run.wait()
    assert result.status == 0 and has_summary(result) and "All users spawned" not in result.stderr
    assert result.requests() <= shop.counts()["requests"] <= result.requests() + result.cut_off()


def test_the_locustfile_ends_the_test(gregaria, locustfile, shop):
    """runner.quit(), sys.exit() in a task, and process_exit_code."""
    quits = VISITOR.replace('self.client.get("/")', 'self.client.get("/"); self.environment.runner.quit()')
    codes = VISITOR + ("\nfrom locust import events\n@events.quitting.add_listener\n"
                       "def decide(environment, **kwargs):\n    environment.process_exit_code = 42\n")
    first = gregaria.start("-f", locustfile(quits, "quits.py"), "--headless", "-H", shop.url)
    second = gregaria.start("-f", locustfile(codes, "codes.py"), "--headless", "-H", shop.url, "-t", "1s")
    exits = VISITOR.replace('self.client.get("/")', 'import sys; sys.exit(3)')
    third = gregaria.start("-f", locustfile(exits, "exits.py"), "--headless", "-H", shop.url)
    first, second, third = first.wait(), second.wait(), third.wait()
    assert first.status == 0 and has_summary(first)
    assert second.status == 42 and re.search(r"Shutting down \(exit code 42\)", second.stderr)
    assert third.status == 3
