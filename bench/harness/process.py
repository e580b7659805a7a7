"""Processes that are started, watched and always ended.

A load generator may be several processes. Its CPU time is read in two ways: for the whole of its
life from wait4 (user and system time of the child and of its own children that it waited for), and
for a span in the middle from /proc, so that starting an interpreter is not counted as requests.
Peak memory is the sum of the peaks (VmHWM) of all processes of the tree: ru_maxrss will not do, as a
child begins with its parent's.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
PR_SET_PDEATHSIG = 1
libc = ctypes.CDLL(None)


def die_with_parent() -> None:
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def tree(pid: int) -> list[int]:
    """The process and all that descend from it."""
    pids = [pid]
    for at in pids:
        try:
            for task in os.listdir(f"/proc/{at}/task"):
                pids += map(int, Path(f"/proc/{at}/task/{task}/children").read_text().split())
        except OSError:
            pass
    return pids


def memory_kb(pid: int, field: str) -> int:
    """VmRSS or VmHWM of one process; 0 when it is gone."""
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith(field + ":"):
                return int(line.split()[1])
    except OSError:
        pass
    return 0


def cpu_s(pids: list[int]) -> float:
    """User and system time used so far, with that of children already waited for."""
    ticks = 0
    for pid in pids:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        ticks += sum(map(int, fields[11:15]))
    return ticks / TICKS_PER_S


def wanted_s(pid: int) -> float:
    """How long the first thread has been running or waiting for a processor: not idle by its own will."""
    try:
        on_cpu_ns, in_queue_ns, _ = map(int, Path(f"/proc/{pid}/schedstat").read_text().split())
    except OSError:
        return 0.0
    return (on_cpu_ns + in_queue_ns) / 1e9


@dataclass
class Usage:
    """What a process tree used until it ended."""

    status: int  # exit status; negative: the signal that ended it
    wall_s: float
    cpu_s: float
    peak_kb: int


class Watched:
    """A program in a session of its own. Leaving the block ends it and everything it started."""

    def __init__(self, argv: list[str], *, log: Path, env: dict[str, str] | None = None,
                 cwd: Path | None = None, stdout=None):
        self.argv = argv
        self.log = log
        with open(log, "wb") as out:
            self.began = time.monotonic()
            self.process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=stdout or out, stderr=out, cwd=cwd,
                start_new_session=True, preexec_fn=die_with_parent, env={**os.environ, **(env or {})})
        self.pid = self.process.pid
        self.usage: Usage | None = None
        self.peaks: dict[int, int] = {}
        self.done = threading.Event()
        self.sampler = threading.Thread(target=self._sample, daemon=True)
        self.sampler.start()

    def _sample(self) -> None:
        while not self.done.wait(0.1):
            for pid in tree(self.pid):
                self.peaks[pid] = max(self.peaks.get(pid, 0), memory_kb(pid, "VmHWM"))

    def cpu_s(self) -> float:
        return cpu_s(tree(self.pid))

    def wanted_s(self) -> float:
        return sum(map(wanted_s, tree(self.pid)))

    def rss_kb(self) -> int:
        return sum(memory_kb(pid, "VmRSS") for pid in tree(self.pid))

    def alive(self) -> bool:
        if self.usage is None:
            self._reap(os.WNOHANG)
        return self.usage is None

    def _reap(self, flags: int) -> None:
        pid, status, used = os.wait4(self.pid, flags)
        if pid == 0:
            return
        wall_s = time.monotonic() - self.began
        self.process.returncode = os.waitstatus_to_exitcode(status)
        self.done.set()
        self.sampler.join()
        self.usage = Usage(self.process.returncode, wall_s, used.ru_utime + used.ru_stime,
                           sum(self.peaks.values()))

    def wait(self, seconds: float) -> bool:
        """False when it is still running after so long."""
        until = time.monotonic() + seconds
        while self.alive():
            if time.monotonic() > until:
                return False
            time.sleep(0.02)
        return True

    def end(self, seconds: float = 10) -> Usage:
        """SIGTERM, and SIGKILL to the whole session if that does not help."""
        if self.alive():
            self._signal(signal.SIGTERM)
            if not self.wait(seconds):
                self._signal(signal.SIGKILL)
                self._reap(0)
        self._signal(signal.SIGKILL)  # whoever was left behind
        return self.usage

    def _signal(self, number: int) -> None:
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:
            pass

    def last_words(self) -> str:
        """The last line that was printed and says something, for error rows."""
        lines = [line.strip() for line in self.log.read_text(errors="replace").splitlines()]
        lines = [line for line in lines if line and not line.startswith(("---", "Type", "GET", "Aggregated"))]
        return lines[-1] if lines else "it printed nothing"

    def __enter__(self) -> Watched:
        return self

    def __exit__(self, *exc_info) -> None:
        self.end()
