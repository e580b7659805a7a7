"""The four times of a request stand in the relations that their definitions imply, sample by sample.

How close they come to the truth depends on the machine and belongs to the benchmarks; that a service time can never be
shorter than what the server itself measured does not.
"""

import json
import math
import os
import re
import subprocess
import urllib.request
from pathlib import Path

import pytest

HERE = Path(__file__).parent
BUILD = Path(os.environ.get("GREGARIA_BUILD", HERE.parents[1] / "build"))
CLOCK_MS = 0.05  # two clocks of one machine, read one after the other


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("accuracy")
    shop = subprocess.Popen([BUILD / "bin/shop", "--port", "0"], stdout=subprocess.PIPE, text=True)
    url = re.match(r"listening on (\S+)$", shop.stdout.readline())[1]
    try:
        done = subprocess.run(
            [BUILD / "bin/gregaria", "-f", HERE / "delays.py", "--headless", "-u", "20", "-r", "100", "-t", "3", "-H",
             url, "--json", "--only-summary", "--exit-code-on-error", "0", "-s", "2"],
            env={**os.environ, "SAMPLES": str(folder / "samples")}, capture_output=True, text=True, timeout=60)
        with urllib.request.urlopen(url + "/__counts", timeout=10) as answer:
            counts = json.load(answer)
    finally:
        shop.terminate()
        shop.wait(10)
        shop.stdout.close()
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in (folder / "samples").read_text().splitlines()]
    assert len(rows) > 100
    return rows, json.loads(done.stdout), counts


def test_service_time_is_never_below_what_the_server_took(run):
    rows, _, _ = run
    assert all(row["service_time"] >= row["truth"] - CLOCK_MS for row in rows)


def test_response_time_holds_the_service_time(run):
    rows, _, _ = run
    assert all(row["response_time"] >= row["service_time"] - CLOCK_MS for row in rows)


def test_due_time_begins_no_later_than_the_call(run):
    rows, _, _ = run
    assert all(row["due_time"] >= row["response_time"] - CLOCK_MS for row in rows)


def test_lag_is_what_our_process_added(run):
    rows, _, _ = run
    assert all(row["lag"] >= 0 for row in rows)
    assert all(row["due_time"] >= row["service_time"] + row["lag"] - CLOCK_MS for row in rows)


def test_the_busy_process_shows_as_lag_not_as_service_time(run):
    """Burners keep the CPU for 5 ms at a time: the tasks feel that, the wire does not."""
    rows, _, _ = run
    over = sorted(row["service_time"] - row["truth"] for row in rows)
    lag = sorted(row["lag"] for row in rows)
    middle = len(rows) // 2
    assert lag[middle] > over[middle]


def test_json_percentiles_are_those_of_the_samples(run):
    rows, entries, _ = run
    (entry,) = entries
    assert entry["num_requests"] == len(rows)
    ordered = sorted(row["service_time"] for row in rows)
    for p, value in entry["percentiles"]["service_time"].items():
        exact = ordered[max(0, math.ceil(float(p) * len(ordered)) - 1)]
        assert value == pytest.approx(exact, rel=0.002)


def test_every_request_is_counted_once(run):
    rows, _, counts = run
    assert counts["routes"]["GET /delay"] == {"200": len(rows)}
