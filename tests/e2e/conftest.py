"""Programs that the end-to-end tests start: the shop, and gregaria or what stands in for it.

GR_BUILD is the build directory (build in the root of the repository unless set); GREGARIA_BIN is
another program to test instead of GR_BUILD/bin/gregaria, such as a stock Locust."""

import json
import os
import re
import subprocess
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("GR_BUILD", ROOT / "build"))


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


class Result:
    def __init__(self, done):
        self.status = done.returncode
        self.stdout, self.stderr = done.stdout, done.stderr
        self.output = done.stdout + done.stderr

    def entries(self):
        """What --json printed."""
        return json.JSONDecoder().raw_decode(self.stdout[self.stdout.index("["):])[0]

    def requests(self):
        return sum(entry["num_requests"] for entry in self.entries())


@pytest.fixture
def gregaria():
    """`gregaria("-f", file, ...)` runs it to its end."""
    program = os.environ.get("GREGARIA_BIN", str(BUILD / "bin" / "gregaria"))

    def run(*args, cwd=None, env=None):
        done = subprocess.run([program, *map(str, args)], capture_output=True, text=True, timeout=60, cwd=cwd,
                              stdin=subprocess.DEVNULL, env={**os.environ, **(env or {})})
        return Result(done)

    run.program = program
    return run
