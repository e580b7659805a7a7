"""Requests a second, CPU time for each, peak memory: every tool against the same nginx in turn."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from pathlib import Path

from .process import Watched
from .servers import Nginx
from .table import error_row, number, ratio, table
from .tools import Tool, Toolbox, Unavailable

CONNECTIONS = 100
SETTLE_S = 1.0  # after the first request: interpreters have started, all users are there


@dataclass
class Run:
    rate: float  # requests/s while settled, by nginx's own count
    cpu_us: float  # CPU time a request while settled
    cpu_us_all: float  # CPU time a request of the whole process, start and end included
    peak_mb: float


def run_once(tool: Tool, nginx: Nginx, seconds: int, folder: Path) -> Run:
    argv = tool.argv(url=nginx.url, users=CONNECTIONS, rate=CONNECTIONS, seconds=seconds)
    before = nginx.counts()[0]
    samples = []  # (time, requests, CPU seconds) while requests arrive
    with Watched(argv, log=folder / "tool.log") as process:
        until = process.began + seconds + 30
        while process.alive() and time.monotonic() < until:
            now, requests, cpu = time.monotonic(), nginx.counts()[0] - before, process.cpu_s()
            if requests > (samples[-1][1] if samples else 0):
                samples.append((now, requests, cpu))
            time.sleep(0.1)
        usage = process.end()
        total = nginx.counts()[0] - before
        settled = [s for s in samples[:-1] if s[0] >= samples[0][0] + SETTLE_S]
        if total == 0 or len(settled) < 2:
            raise Unavailable(process.last_words() if total == 0 else "too few requests to measure")
    (t0, n0, c0), (t1, n1, c1) = settled[0], settled[-1]
    return Run((n1 - n0) / (t1 - t0), (c1 - c0) / (n1 - n0) * 1e6, usage.cpu_s / total * 1e6,
               usage.peak_kb / 1024)


def measure(tools: Toolbox, nginx: Nginx, seconds: int, rounds: int, folder: Path) -> str:
    """Rounds go over all tools in turn, so that a disturbance does not hit one of them alone."""
    lineup = tools.throughput()
    runs: dict[str, list[Run]] = {tool.name: [] for tool in lineup}
    errors: dict[str, str] = {}
    for number_of_round in range(rounds):
        for tool in lineup:
            if tool.name in errors:
                continue
            print(f"  round {number_of_round + 1}/{rounds}: {tool.name}", flush=True)
            try:
                runs[tool.name].append(run_once(tool, nginx, seconds, folder))
            except Unavailable as error:
                errors[tool.name] = str(error)
    return to_table(runs, errors)


def to_table(runs: dict[str, list[Run]], errors: dict[str, str]) -> str:
    def middle(name: str, field: str) -> float | None:
        values = [getattr(run, field) for run in runs.get(name, [])]
        return statistics.median(values) if values else None

    head = ["load generator", "requests/s", "CPU µs/request", "incl. start", "× wrk", "× Locust FastHttpUser",
            "× Locust HttpUser", "peak MB"]
    rows = []
    for name in runs:
        if name in errors:
            rows.append(error_row(name, len(head), errors[name]))
            continue
        cpu = middle(name, "cpu_us")
        rows.append([name, number(middle(name, "rate")), number(cpu, 1), number(middle(name, "cpu_us_all"), 1),
                     ratio(cpu, middle("wrk", "cpu_us")), ratio(cpu, middle("Locust FastHttpUser", "cpu_us")),
                     ratio(cpu, middle("Locust HttpUser", "cpu_us")), number(middle(name, "peak_mb"), 1)])
    return table(head, rows)
