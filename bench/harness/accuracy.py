"""How true the measured times are while the generator itself has no processor time to spare.

The shop says in each answer how long it waited. Users of the same process compute for 2 to 5 ms at
a time, so that the generator runs at 100 % CPU; what it then reports is held against the truth. On a
machine that has other work to do it gets less than the 100 % that it wants; both are shown.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

from .process import Watched
from .servers import Shop
from .table import error_row, median, number, percentile, table
from .tools import Toolbox, Unavailable

USERS = 100
DIST = "lognormal:20ms,0.6"
SHARES = (0.5, 0.99)


def read_samples(path: Path) -> list[tuple[float, float | None, float]]:
    rows = []
    for line in path.read_text().splitlines():
        truth, service, response = line.split()
        rows.append((float(truth), None if service == "-" else float(service), float(response)))
    return rows


def json_percentiles(path: Path) -> list[float]:
    """What --json says about the service time of /delay; nothing under stock Locust."""
    text = path.read_text()
    start = text.find("[")
    entries = json.JSONDecoder().raw_decode(text[start:])[0] if start >= 0 else []
    for entry in entries:
        service = entry.get("percentiles", {}).get("service_time", {}) if entry["name"] == "/delay" else {}
        if service:
            return [service["0.5"], service["0.99"]]
    return []


def run(tools: Toolbox, shop: Shop, stock: bool, seconds: int, folder: Path):
    out, stdout = folder / "samples.txt", folder / "stdout.json"
    out.unlink(missing_ok=True)
    tool = tools.python_front_end(stock, "accuracy.py", "Waiting Burning", "--json", "-t", "{seconds}s")
    argv = tool.argv(url=shop.url, users=USERS, rate=USERS, seconds=seconds)
    env = {"BENCH_OUT": str(out), "BENCH_DIST": DIST}
    with open(stdout, "wb") as into, Watched(argv, log=folder / "tool.log", env=env, stdout=into) as process:
        busy = []
        while process.alive() and time.monotonic() < process.began + seconds + 30:
            used, wanted, at = process.cpu_s(), process.wanted_s(), time.monotonic()
            time.sleep(0.5)
            span = time.monotonic() - at
            busy.append(((process.cpu_s() - used) / span, (process.wanted_s() - wanted) / span))
        process.end()
        if not out.exists() or not (samples := read_samples(out)):
            raise Unavailable(process.last_words())
    return samples, json_percentiles(stdout), tuple(map(median, zip(*busy)))


def rows_of(name: str, samples, from_json: list[float], busy: tuple[float, float]) -> list[list[str]]:
    cpu = "%.0f of %.0f" % (busy[0] * 100, busy[1] * 100)
    truth = [percentile([s[0] for s in samples], share) for share in SHARES]

    def row(label: str, values: list[float]) -> list[str]:
        cells = [f"{name}: {label}", number(len(samples)), cpu]
        for value, true in zip(values, truth):
            cells += [number(value, 2), f"{(value / true - 1) * 100:+.1f} %"]
        return cells

    rows = [[f"{name}: truth (the server)", number(len(samples)), cpu, number(truth[0], 2), "",
             number(truth[1], 2), ""]]
    if samples[0][1] is not None:
        rows.append(row("service time", [percentile([s[1] for s in samples], p) for p in SHARES]))
    if from_json:
        rows.append(row("service time by --json", from_json))
    rows.append(row("response time", [percentile([s[2] for s in samples], p) for p in SHARES]))
    return rows


def measure(tools: Toolbox, shop_program: Path, seconds: int, folder: Path) -> str:
    head = ["delays as", "requests", "CPU %, got of wanted", "p50 ms", "error", "p99 ms", "error"]
    rows = []
    for stock in (False, True):
        name = "Locust" if stock else "gregaria"
        print(f"  {name}", flush=True)
        try:
            with Shop(shop_program, folder) as shop:
                rows += rows_of(name, *run(tools, shop, stock, seconds, folder))
        except (Unavailable, FileNotFoundError) as error:
            rows.append(error_row(name, len(head), error))
    return table(head, rows)
