"""What the end-to-end tests start: the shop, nginx, hostile peers, and gregaria or what stands in for it.

GREGARIA_BUILD is the build directory (build in the root of the repository unless set); GREGARIA_BIN is
another program to test instead of the one in there, such as a stock Locust.

Everything that is started is given a time limit and is gone when its test ends. Output goes to files, so
that a test can look at it while the program runs and a full pipe blocks nobody."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import textwrap
import time
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("GREGARIA_BUILD") or ROOT / "build").resolve()
PROGRAM = os.environ.get("GREGARIA_BIN") or str(BUILD / "bin" / "gregaria")
RUN_SECONDS_MAX = 60

sys.path.append(str(ROOT / "tests" / "peers"))
import hostile as peers  # noqa: E402

CUT_OFF = re.compile(r"^Cut off in flight when users stopped, and in no figure above: (\d+) requests?$", re.M)


def wait_until(condition, seconds=20, what="what was waited for"):
    """The first true value of condition()."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"{what} did not happen within {seconds} s"
        time.sleep(0.01)
    return value


# --- servers -------------------------------------------------------------------------------------


class Shop:
    """A running shop; `counts()` is what it has seen."""

    def __init__(self, *args):
        self.process = subprocess.Popen([BUILD / "bin" / "shop", *args], stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        self.url = re.match(r"listening on (\S+)$", line)[1]

    def counts(self):
        with urllib.request.urlopen(self.url + "/__counts", timeout=10) as answer:
            return json.load(answer)

    def stop(self):
        """Its exit status."""
        self.process.terminate()
        try:
            return self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        finally:
            self.process.stdout.close()


@pytest.fixture
def shop():
    running = Shop()
    yield running
    assert running.stop() == 0


@pytest.fixture
def shops():
    """`shops()` starts one more shop."""
    started = []

    def start():
        started.append(Shop())
        return started[-1]

    yield start
    assert [one.stop() for one in started] == [0] * len(started)


@pytest.fixture
def hostile():
    """`hostile("ResetMidBody")` starts that peer and returns it."""
    with contextlib.ExitStack() as stack:
        yield lambda name: stack.enter_context(peers.Peer.behaviours[name]())


class Nginx:
    def __init__(self, url, access_log):
        self.url, self.access_log = url, access_log

    def requests(self):
        """What it has logged so far: one `METHOD PATH STATUS` a request."""
        return self.access_log.read_text().splitlines() if self.access_log.exists() else []


@pytest.fixture
def nginx(tmp_path):
    """`nginx("location / { return 200 ok; }")` starts a server with this inside its server block."""
    running = []

    def start(locations, http=""):
        folder = tmp_path / f"nginx{len(running)}"
        folder.mkdir()
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        temporary = "".join(f"{kind}_temp_path {folder}/{kind};\n"
                            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        (folder / "nginx.conf").write_text(f"""
            daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log;
            events {{ worker_connections 1024; }}
            http {{
                {temporary} {http}
                log_format short '$request_method $request_uri $status';
                access_log {folder}/access.log short;
                server {{ listen 127.0.0.1:{port} backlog=1024; {locations} }}
            }}""")
        process = subprocess.Popen(["nginx", "-p", folder, "-e", folder / "error.log", "-c", folder / "nginx.conf"])
        running.append(process)
        wait_until(lambda: process.poll() is not None or can_connect(port), what="nginx's start")
        assert process.poll() is None, (folder / "error.log").read_text()
        return Nginx(f"http://127.0.0.1:{port}", folder / "access.log")

    yield start
    for process in running:
        process.terminate()
        process.wait(10)


def can_connect(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


# --- the program ---------------------------------------------------------------------------------


class Result:
    """What a finished run said."""

    def __init__(self, status, stdout, stderr):
        self.status, self.stdout, self.stderr = status, stdout, stderr
        self.output = stdout + stderr

    def entries(self):
        """What --json printed."""
        return json.JSONDecoder().raw_decode(self.stdout[self.stdout.index("["):])[0]

    def rows(self):
        """The same by method and name."""
        return {f"{entry['method']} {entry['name']}": entry for entry in self.entries()}

    def requests(self):
        return sum(entry["num_requests"] for entry in self.entries())

    def failures(self):
        return sum(entry["num_failures"] for entry in self.entries())

    def errors(self):
        """The error report: how often, by "METHOD NAME: text"."""
        report = self.stderr.rpartition("\nError report\n")[2].split("\n\n")[0] if "\nError report\n" in self.stderr else ""
        rows = (re.match(r"(\d+) +(\S.*?) *$", line) for line in report.splitlines()[2:])
        return {row[2]: int(row[1]) for row in rows if row}

    def cut_off(self):
        """How many requests were in flight when users were stopped."""
        found = CUT_OFF.search(self.stderr)
        return int(found[1]) if found else 0

    def __repr__(self):
        return f"exit status {self.status}\n--- stdout\n{self.stdout}\n--- stderr\n{self.stderr}"


class Run:
    """A run under way."""

    def __init__(self, command, folder, **kwargs):
        self.stdout, self.stderr = folder / "stdout", folder / "stderr"
        with self.stdout.open("wb") as out, self.stderr.open("wb") as err:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                                            start_new_session=True, **kwargs)
        self.deadline = time.monotonic() + RUN_SECONDS_MAX

    def said(self):
        """Its stderr so far."""
        return self.stderr.read_text(errors="replace")

    def until(self, text, seconds=20):
        """Wait until it has said this."""
        wait_until(lambda: text in self.said() or self.process.poll() is not None, seconds, f"{text!r}")
        assert text in self.said(), self.said()

    def signal(self, number):
        self.process.send_signal(number)

    def wait(self):
        try:
            status = self.process.wait(max(0.1, self.deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            self.kill()
            pytest.fail(f"it did not end within {RUN_SECONDS_MAX} s\n{self.said()[-4000:]}")
        return Result(status, self.stdout.read_text(errors="replace"), self.said())

    def kill(self):
        """End whatever of it is left."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


class Program:
    """`gregaria("-f", file, ...)` runs the program to its end, `gregaria.start(...)` does not wait for it.

    It runs in an empty folder, `gregaria.folder`, and with an empty home, so that no config file of
    this machine says anything. `python` runs the package with `python -m locust` instead."""

    def __init__(self, tmp_path, program=PROGRAM):
        self.program = program
        self.folder, self.home = tmp_path / "cwd", tmp_path / "home"
        self.logs = tmp_path / "runs"
        for folder in (self.folder, self.home, self.logs):
            folder.mkdir()
        self.started: list[Run] = []

    def environment(self, more=None):
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("LOCUST_", "GREGARIA_"))}
        own = {"HOME": str(self.home), "GREGARIA_INCLUDE": str(ROOT / "include"), "PYTHONDONTWRITEBYTECODE": "1"}
        return {**kept, **own, **{k: str(v) for k, v in (more or {}).items()}}

    def start(self, *args, cwd=None, env=None, **kwargs):
        folder = self.logs / str(len(self.started))
        folder.mkdir()
        run = Run([self.program, *map(str, args)], folder, cwd=cwd or self.folder, env=self.environment(env), **kwargs)
        self.started.append(run)
        return run

    def __call__(self, *args, **kwargs):
        return self.start(*args, **kwargs).wait()


@pytest.fixture
def gregaria(tmp_path):
    program = Program(tmp_path)
    yield program
    for run in program.started:
        run.kill()


@pytest.fixture
def locustfile(tmp_path):
    """`locustfile("...")` writes the text, dedented, and returns its path."""

    def write(text, name="locustfile.py"):
        path = tmp_path / name
        path.write_text(textwrap.dedent(text), encoding="utf-8")
        return path

    return write
