"""What tasks do with gevent, threads, sockets and other libraries: one user's waiting keeps nobody else waiting.

Each of the classes below runs in a process of its own beside a user that asks the shop for a page fifty
times a second. What a class waits for lasts a second; while it does, the other user must have gone on.
That is told by counting its requests, not by measuring how long anything took."""

import json

import pytest

from conftest import Program, Shop

LOCUSTFILE = """
import json, os, socket, threading, time, urllib.parse, urllib.request
import gevent, gevent.event, gevent.lock, gevent.pool, gevent.queue
from locust import FastHttpUser, HttpUser, User, constant, events, task
from locust.exception import StopUser

SHOP = os.environ["SHOP"]
SECOND = "/delay?dist=const:1s"
ticks, story = [], {}

class Ticker(HttpUser):
    fixed_count = 1
    wait_time = constant(0.02)

    @task
    def tick(self):
        ticks.append(time.monotonic())
        self.client.get("/")

@events.quit.add_listener
def tell(**kwargs):
    with open(os.environ["STORY"], "w") as file:
        json.dump({"ticks": ticks, **story}, file)

class Case(HttpUser):
    abstract = True

    @task
    def once(self):
        gevent.sleep(0.2)
        story["began"] = time.monotonic()
        story["result"] = self.case()
        story["ended"] = time.monotonic()
        raise StopUser

    def overlapping(self, *spans):
        "Whether all of them were under way at one moment."
        return max(began for began, _ in spans) < min(ended for _, ended in spans)

    def timed(self, function, *args):
        began = time.monotonic()
        function(*args)
        return began, time.monotonic()

class FastCase(Case, FastHttpUser):
    abstract = True

class OwnClient(Case):
    def case(self):
        return self.client.get(SECOND).status_code

class FastClient(FastCase):
    def case(self):
        return self.client.get(SECOND).status_code

class TimeSleep(Case):
    def case(self):
        time.sleep(1)

class GeventSleep(Case):
    def case(self):
        gevent.sleep(1)

class UserWait(Case):
    wait_time = constant(1)
    def case(self):
        self.wait()

class Spawn(Case):
    def case(self):
        spawned = [gevent.spawn(self.timed, self.client.get, SECOND) for _ in range(3)]
        gevent.joinall(spawned)
        return self.overlapping(*(one.value for one in spawned))

class Pool(Case):
    def case(self):
        pool = gevent.pool.Pool(5)
        return self.overlapping(*pool.map(lambda _: self.timed(self.client.get, SECOND), range(5)))

class FastPool(FastCase):
    def case(self):
        pool = gevent.pool.Pool(5)
        return self.overlapping(*pool.map(lambda _: self.timed(self.client.get, SECOND), range(5)))

class SmallPool(Case):
    def case(self):
        statuses = []
        pool = gevent.pool.Pool(2)
        for n in range(6):
            pool.spawn(lambda: statuses.append(self.client.get("/delay?dist=const:400ms").status_code))
        pool.join()
        return statuses

class Queue(Case):
    def case(self):
        queue = gevent.queue.Queue()
        gevent.spawn_later(1, queue.put, "said")
        return queue.get(timeout=10)

class Event(Case):
    def case(self):
        event = gevent.event.Event()
        gevent.spawn_later(1, event.set)
        return event.wait(10)

class Socket(Case):
    def case(self):
        place = urllib.parse.urlsplit(SHOP)
        with socket.create_connection((place.hostname, place.port)) as sock:
            sock.sendall(b"GET /delay?dist=const:1s HTTP/1.0\\r\\n\\r\\n")
            received = b""
            while data := sock.recv(4096):
                received += data
        return received.split(b"\\r\\n")[0].decode()

class Urllib(Case):
    def case(self):
        with urllib.request.urlopen(SHOP + SECOND) as answer:
            return answer.status

class Requests(Case):
    def case(self):
        import requests
        with requests.Session() as session:
            return [session.get(SHOP + SECOND).status_code, requests.post(SHOP + "/cart", json={"product_id": 1}).json()]

class Thread(Case):
    def case(self):
        said = []
        def work():
            time.sleep(0.5)
            said.append(self.client.get("/delay?dist=const:500ms").status_code)
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        return said

class Lock(Case):
    def case(self):
        lock = threading.Lock()
        lock.acquire()
        gevent.spawn_later(1, lock.release)
        return lock.acquire(timeout=10)

class Subprocess(Case):
    def case(self):
        import subprocess
        return subprocess.run(["sleep", "1"]).returncode

class ThreadPool(Case):
    def case(self):
        return gevent.get_hub().threadpool.apply(lambda: __import__("gevent.monkey").monkey.get_original("time", "sleep")(1))

class Timeout(Case):
    def case(self):
        said = []
        for get in (self.client.get, self.client.get):
            try:
                with gevent.Timeout(0.5):
                    get("/delay?dist=const:5s", name="too slow")
            except gevent.Timeout:
                said.append("timeout")
        return [*said, self.client.get("/products").status_code]

class FastTimeout(FastCase):
    def case(self):
        said = []
        for _ in range(2):
            with gevent.Timeout(0.5, False):
                self.client.get("/delay?dist=const:5s", name="too slow")
                said.append("answered")
        return [*said, self.client.get("/products").status_code]

class TimeoutInPool(Case):
    def case(self):
        pool = gevent.pool.Pool(4)
        def limited(_):
            with gevent.Timeout(1, False):
                self.client.get("/delay?dist=const:5s", name="too slow")
                return "answered"
            return "timeout"
        return pool.map(limited, range(4))

class Killed(Case):
    def case(self):
        doomed = [gevent.spawn(self.client.get, "/delay?dist=const:5s", name="too slow") for _ in range(3)]
        gevent.sleep(1)
        gevent.killall(doomed)
        return [self.client.get("/products").status_code, [type(one.value).__name__ for one in doomed]]
"""

NO_TIMEOUTS = {"OwnClient": 200, "FastClient": 200, "TimeSleep": None, "GeventSleep": None, "UserWait": None, "Spawn": True,
               "Pool": True, "FastPool": True, "SmallPool": [200] * 6, "Queue": "said", "Event": True,
               "Socket": "HTTP/1.1 200 OK", "Urllib": 200, "Requests": [200, {"product_id": 1, "quantity": 1}],
               "Thread": [200], "Lock": True, "Subprocess": 0, "ThreadPool": None}
TIMEOUTS = {"Timeout": ["timeout", "timeout", 200], "FastTimeout": [200], "TimeoutInPool": ["timeout"] * 4}
CUT_OFF = {"Killed": [200, ["GreenletExit"] * 3]}  # as when a user is stopped
RESULTS = {**NO_TIMEOUTS, **TIMEOUTS, **CUT_OFF}

# Requests of the case itself, beside the ticker's, as the table and as the shop sees them.
OWN = {"OwnClient": {"/delay?dist=const:1s": 1}, "FastClient": {"/delay?dist=const:1s": 1}, "Spawn": {"/delay?dist=const:1s": 3},
       "Pool": {"/delay?dist=const:1s": 5}, "FastPool": {"/delay?dist=const:1s": 5},
       "SmallPool": {"/delay?dist=const:400ms": 6}, "Thread": {"/delay?dist=const:500ms": 1},
       "Timeout": {"too slow": 2, "/products": 1}, "FastTimeout": {"too slow": 2, "/products": 1},
       "TimeoutInPool": {"too slow": 4}, "Killed": {"/products": 1}}


@pytest.fixture(scope="module")
def stories(tmp_path_factory):
    """What happened in each process; they run side by side, a few at a time."""
    folder = tmp_path_factory.mktemp("cooperation")
    path = folder / "locustfile.py"
    path.write_text(LOCUSTFILE)
    program, shop = Program(folder), Shop()
    told = {}
    names = list(RESULTS)
    try:
        for first in range(0, len(names), 11):
            runs = {name: program.start("-f", path, "--headless", "-H", shop.url, "-u", 2, "-r", 100, "-t", "3s", "-s", "5",
                                        "--json", "--only-summary", "Ticker", name,
                                        env={"SHOP": shop.url, "STORY": folder / f"{name}.json"})
                    for name in names[first:first + 11]}
            for name, run in runs.items():
                result = run.wait()
                story = folder / f"{name}.json"
                told[name] = result, json.loads(story.read_text()) if story.exists() else {}
        yield told
    finally:
        for run in program.started:
            run.kill()
        shop.process.kill()  # answers that nobody waits for any more are still due
        shop.process.wait()
        shop.process.stdout.close()


@pytest.mark.parametrize("name", RESULTS)
def test_others_go_on(stories, name):
    result, story = stories[name]
    assert "result" in story, result
    assert story["result"] == RESULTS[name]
    assert story["ended"] - story["began"] > 0.9
    meanwhile = [tick for tick in story["ticks"] if story["began"] < tick < story["ended"]]
    assert len(meanwhile) >= 10  # of about fifty
    gaps = [later - earlier for earlier, later in zip(meanwhile, meanwhile[1:])]
    assert max(gaps) < (story["ended"] - story["began"]) / 2, "they did not go on all the time"


@pytest.mark.parametrize("name", RESULTS)
def test_all_is_counted(stories, name):
    result, story = stories[name]
    rows = {entry["name"]: entry for entry in result.entries()}
    assert rows.pop("/")["num_requests"] == len(story["ticks"])
    assert {row: entry["num_requests"] for row, entry in rows.items()} == OWN.get(name, {})
    failures = {row: entry["num_failures"] for row, entry in rows.items() if entry["num_failures"]}
    assert failures == ({"too slow": OWN[name]["too slow"]} if name in TIMEOUTS else {})
    assert result.cut_off() == (3 if name in CUT_OFF else 0)
    assert result.status == (1 if name in TIMEOUTS else 0)


@pytest.mark.parametrize("name, text", [("Timeout", "Timeout('0.5 seconds')"), ("FastTimeout", "Timeout('0.5 seconds (silent)')"),
                                        ("TimeoutInPool", "Timeout('1 second (silent)')")])
def test_a_gevent_timeout_is_the_reason(stories, name, text):
    assert stories[name][0].errors() == {f"GET too slow: {text}": OWN[name]["too slow"]}
