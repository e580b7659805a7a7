"""The load generators and how each is told to do the same thing."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

BENCH = Path(__file__).resolve().parent.parent
ROOT = BENCH.parent


class Unavailable(Exception):
    """A tool that cannot be run here; the text becomes the row's error."""


@dataclass
class Tool:
    name: str
    program: str
    args: tuple[str, ...]

    def argv(self, **values: object) -> list[str]:
        """The command line, with {url}, {users}, {seconds} and so on filled in."""
        program = self.program if "/" in self.program else shutil.which(self.program)
        if not program or not Path(program).exists():
            raise Unavailable(f"{self.program} is not there")
        return [program, *(arg.format(**values) for arg in self.args)]


class Toolbox:
    """Where gregaria and stock Locust are found."""

    def __init__(self, gregaria: str, locust: str | None, build: Path):
        self.gregaria = gregaria
        self.build = build
        self.given_locust = locust
        self._locust: str | None = None

    @property
    def locust(self) -> str:
        """Stock Locust: the given one, that of build/bench-venv (made when missing), or Debian's."""
        if self._locust is None:
            self._locust = self.given_locust or self._venv_locust() or shutil.which("locust") or "locust"
        return self._locust

    def _venv_locust(self) -> str | None:
        venv = self.build / "bench-venv"
        program = venv / "bin" / "locust"
        if program.exists():
            return str(program)
        print(f"installing stock Locust into {venv} ...", file=sys.stderr, flush=True)
        try:
            subprocess.run(["/usr/bin/python3", "-m", "venv", str(venv)], check=True, capture_output=True,
                           timeout=120)
            subprocess.run([str(venv / "bin" / "pip"), "install", "--quiet", "locust"], check=True,
                           capture_output=True, timeout=300)
        except (OSError, subprocess.SubprocessError) as error:
            shutil.rmtree(venv, ignore_errors=True)
            print(f"that failed ({error}); looking for an installed one", file=sys.stderr, flush=True)
            return None
        return str(program)

    def python_front_end(self, stock: bool, file: str, users: str, *more: str) -> Tool:
        """Gregaria or stock Locust with one of our locustfiles; `users` names classes of it."""
        kind = "FastHttpUser" if users.startswith("Fast") else "HttpUser"
        args = ("-f", str(BENCH / file), "--headless", "--host", "{url}", "-u", "{users}", "-r", "{rate}",
                "--only-summary", *more, *users.split())
        return Tool(f"{'Locust' if stock else 'gregaria'} {kind}", self.locust if stock else self.gregaria, args)

    def throughput(self) -> list[Tool]:
        timed = ("-t", "{seconds}s")
        return [
            Tool("wrk", "wrk", ("-t1", "-c{users}", "-d{seconds}s", "{url}/")),
            Tool("h2load --h1", "h2load", ("--h1", "-t1", "-c{users}", "-D{seconds}", "{url}/")),
            Tool("gregaria C", self.gregaria,
                 ("-f", str(BENCH / "hello.c"), "--headless", "--host", "{url}", "-u", "{users}", "-r", "{rate}",
                  "--only-summary", *timed)),
            self.python_front_end(False, "hello.py", "FastHello", *timed),
            self.python_front_end(False, "hello.py", "Hello", *timed),
            self.python_front_end(True, "hello.py", "FastHello", *timed),
            self.python_front_end(True, "hello.py", "Hello", *timed),
        ]
