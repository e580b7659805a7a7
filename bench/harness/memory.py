"""Memory for each further idle user that holds an open connection: the slope between two sizes."""

from __future__ import annotations

import time
from pathlib import Path

from .process import Watched
from .servers import Nginx
from .table import error_row, number, table
from .tools import Tool, Toolbox, Unavailable


def resident_kb(tool: Tool, nginx: Nginx, url: str, users: int, folder: Path) -> int:
    """RSS once all users have had their answer and wait."""
    with Watched(tool.argv(url=url, users=users, rate=users), log=folder / "tool.log") as process:
        until = time.monotonic() + 60 + users / 100
        while nginx.counts()[1] < users:
            if not process.alive():
                raise Unavailable(process.last_words())
            if time.monotonic() > until:
                raise Unavailable(f"only {nginx.counts()[1]} of {users} connections after {until:.0f} s")
            time.sleep(0.1)
        time.sleep(1)
        kb = process.rss_kb()
        process.end()
    until = time.monotonic() + 20
    while nginx.counts()[1] > 0 and time.monotonic() < until:
        time.sleep(0.05)  # nginx is still closing the connections of this run
    return kb


def row(tool: Tool, nginx: Nginx, tls: bool, few: int, many: int, folder: Path) -> list[str]:
    name = f"{tool.name}, {'HTTPS' if tls else 'HTTP'}"
    print(f"  {name}", flush=True)
    url = nginx.tls_url if tls else nginx.url
    try:
        small = resident_kb(tool, nginx, url, few, folder)
        large = resident_kb(tool, nginx, url, many, folder)
    except Unavailable as error:
        return error_row(name, 5, error)
    return [name, f"{few:,} → {many:,}", number(small / 1024, 1), number(large / 1024, 1),
            number((large - small) / (many - few), 1)]


def measure(tools: Toolbox, nginx: Nginx, quick: bool, folder: Path) -> str:
    few, many = (500, 2000) if quick else (1000, 10000)
    rows = []
    for user in ("Idle", "FastIdle"):
        tool = tools.python_front_end(False, "idle.py", user)
        rows += [row(tool, nginx, tls, few, many, folder) for tls in (False, True)]
    for user in ("Idle", "FastIdle"):  # fewer: their slope is as straight, and they start slowly
        rows.append(row(tools.python_front_end(True, "idle.py", user), nginx, False, 200, 1000, folder))
    return table(["idle users", "users", "MB", "MB", "kB for each further user"], rows)
