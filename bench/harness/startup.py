"""How long it takes to say the version, and from the start of the process to the first request."""

from __future__ import annotations

import subprocess
from pathlib import Path

from .process import Watched
from .servers import FirstRequest
from .table import error_row, median, number, table
from .tools import BENCH, Tool, Toolbox, Unavailable


def version_row(name: str, program: str, rusage: Path, runs: int) -> list[str]:
    try:
        argv = Tool(name, program, ("--version",)).argv()
    except Unavailable as error:
        return error_row(name, 4, error)
    out = subprocess.run([str(rusage), str(runs), *argv], check=True, capture_output=True, text=True).stdout
    lines = [list(map(int, line.split())) for line in out.splitlines()]
    if any(line[3] != 0 for line in lines):
        return error_row(name, 4, f"wait status {lines[0][3]}")
    wall_us, cpu_us, kb, _ = map(median, zip(*lines))
    return [name, number(wall_us / 1000, 1), number(cpu_us / 1000, 1), number(kb / 1024, 1)]


def measure_version(tools: Toolbox, folder: Path, quick: bool) -> str:
    rusage = folder / "rusage"
    source = BENCH / "harness" / "rusage.c"
    subprocess.run(["cc", "-O2", "-o", str(rusage), str(source)], check=True)
    rows = [version_row("gregaria --version", tools.gregaria, rusage, 5 if quick else 20),
            version_row("locust --version", tools.locust, rusage, 3)]
    return table(["", "ms", "CPU ms", "peak MB"], rows)


def first_request_s(tool: Tool, folder: Path) -> float:
    with FirstRequest() as server:
        with Watched(tool.argv(url=server.url, users=1, rate=1), log=folder / "tool.log") as process:
            for _ in range(300):
                if server.seen.wait(0.1):
                    return server.at - process.began
                if not process.alive():
                    break
            raise Unavailable(process.last_words())


def start_row(tool: Tool, runs: int, folder: Path) -> list[str]:
    print(f"  {tool.name}", flush=True)
    try:
        times = [first_request_s(tool, folder) for _ in range(runs)]
    except Unavailable as error:
        return error_row(tool.name, 3, error)
    return [tool.name, number(median(times) * 1000), f"{min(times) * 1000:,.0f} – {max(times) * 1000:,.0f}"]


def measure_start(tools: Toolbox, folder: Path, quick: bool) -> str:
    c_args = ("-f", str(BENCH / "hello.c"), "--headless", "--host", "{url}", "-u", "{users}", "-r", "{rate}")
    lineup = [Tool("gregaria C (compiled on the spot)", tools.gregaria, c_args)]
    lineup += [tools.python_front_end(stock, "hello.py", "Hello") for stock in (False, True)]
    rows = [start_row(tool, 3 if quick else 7, folder) for tool in lineup]
    return table(["process start to first request", "ms", "min – max"], rows)
