"""The founding document's listings: the runnable ones run, and the printed ones fail with a message
that helps. What the client counted must be what the server counted."""

import os
import re
import subprocess

import pytest

from conftest import ROOT

SEED = ROOT / "examples" / "seed"
PRINTED = ROOT / "tests" / "e2e" / "seed_as_printed"


def is_stock(gregaria):
    return gregaria("--version").stdout.startswith("locust ")


def run(gregaria, shop, file, *more, **kwargs):
    return gregaria("-f", file, "--headless", "--host", shop.url, "-u", 5, "-r", 5, "-t", "3s", "--stop-timeout", "10",
                    "--json", *more, **kwargs)


@pytest.mark.parametrize("name, status", [("website_user", (0, 1)), ("user_journey", (0,)), ("api_user", (1,))])
def test_runnable_listing(gregaria, shop, name, status):
    result = run(gregaria, shop, SEED / f"{name}.py")
    assert result.status in status, result.output
    assert "Traceback" not in result.output
    assert result.requests() == shop.counts()["requests"] > 0


def test_api_user_tells_the_answers_apart(gregaria, shop):
    result = run(gregaria, shop, SEED / "api_user.py")
    data = next(entry for entry in result.entries() if entry["name"] == "/api/data")
    n, failures = data["num_requests"], data["num_failures"]
    assert n == sum(shop.counts()["routes"]["GET /api/data"].values())
    assert abs(failures - n * 3 / 5) <= 3  # three in five are faulty; the last round may be unfinished
    for text in ("API Error: backend is busy", "No data returned", "Invalid JSON response"):
        assert text in result.output


def test_configuration_listing(gregaria, shop):
    result = gregaria("-u", 2, "-r", 2, "-t", "2s", "--stop-timeout", "10", "--json", cwd=SEED / "configuration",
                      env={"TARGET_HOST": shop.url, "API_KEY": "k"})
    assert result.status == 0, result.output
    assert result.requests() == shop.counts()["routes"]["ANY /echo"]["200"] > 0


def test_monitoring_listing(gregaria, shop):
    result = run(gregaria, shop, SEED / "monitoring.py")
    if is_stock(gregaria):
        assert result.status == 1 and "spawn_later" in result.output
        return
    assert result.status == 0, result.output
    assert "Load test starting with 5 users" in result.output
    assert result.requests() == shop.counts()["requests"] > 0


def test_distributed_listing(gregaria, shop):
    if "--master" not in gregaria("--help").stdout:
        pytest.skip("this program has no distributed mode")
    done = subprocess.run([SEED / "distributed" / "run.sh", shop.url], capture_output=True, text=True, timeout=60,
                          env={**os.environ, "GREGARIA": gregaria.program, "RUN_TIME": "3s",
                               "LOCUSTFILE": str(SEED / "user_journey.py")})
    assert done.returncode == 0, done.stderr
    assert len(re.findall(r"reported as ready", done.stderr)) == 2
    assert shop.counts()["requests"] > 0


def test_printed_website_user_runs(gregaria, shop):
    result = run(gregaria, shop, PRINTED / "01_website_user.py")
    assert result.status in (0, 1) and "Traceback" not in result.output
    assert result.requests() == shop.counts()["requests"] > 0


@pytest.mark.parametrize("name, texts, may_request", [
    ("02_user_journey", ("No tasks defined on", "@task"), False),
    ("03_api_user", ("NameError", "name 'json' is not defined"), True),
    ("04_configuration", ("SyntaxError", "04_configuration.py", "line 7", "run-time = 5m"), False),
    ("06_monitoring", ("No User class found",), False),
])
def test_printed_listing_is_explained(gregaria, shop, name, texts, may_request):
    result = run(gregaria, shop, PRINTED / f"{name}.py")
    assert result.status != 0
    for text in texts:
        assert text in result.output
    if not may_request:
        assert shop.counts()["requests"] == 0
