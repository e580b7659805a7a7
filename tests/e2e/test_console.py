"""What is printed: Locust's layout to the letter, and what only a terminal gets.

The text that is compared with comes from Locust 2.47. GREGARIA_STOCK_LOCUST, when set to such a program,
is run too, so that the text is known to be Locust's."""

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time

import pytest

from conftest import PROGRAM, Program

# Numbers of requests for which every way of taking a percentile gives the same.
FIXED = """
from locust import User, events, task
from locust.exception import CatchResponseError, StopUser

LONG = "/" + "long" * 25
REQUESTS = [
    ("GET", "/", [1, 2, 3, 4, 5, 6, 70], None), ("POST", "/login", [50], None), ("GET", "/b", [20, 30, 40], ValueError("not there")),
    ("WS", "/a b", [12], "plain text"), ("GET", LONG, [15], CatchResponseError("it is 'so'")), ("DELETE", "/b", [0], None),
    ("PROPFIND", "/wide", [9], None), ("", "no method", [8], None), ("GET", "/\\u00e9\\u4e16", [7], "bad \\u4e16"),
    ("GET", "/none", [None], None), ("GET", "/more", [11], None), ("GET", "/words", [9], "x" * 150),
]

class Visitor(User):
    @task
    def all_of_them(self):
        for method, name, times, exception in REQUESTS:
            for ms in times:
                self.environment.events.request.fire(request_type=method, name=name, response_time=ms, response_length=10,
                                                     exception=exception, context={}, response=None)
        raise StopUser
"""

RATES = re.compile(r"\| +\d+\.\d\d +\d+\.\d\d$", re.M)


def final_tables(stderr):
    """What follows the last line of the log; without the rates, which depend on the moment, and blanks at line ends."""
    tables = re.split(r"Shutting down \(exit code \d+\)\n", stderr)[1]
    return re.sub(" +$", "", RATES.sub("| RATES", tables), flags=re.M)


GOLDEN = """\
Type     Name                                                                          # reqs      # fails |    Avg     Min     Max    Med |   req/s  failures/s
--------|----------------------------------------------------------------------------|-------|-------------|-------|-------|-------|-------|--------|-----------
GET      /                                                                                  7     0(0.00%) |     13       1      70      4 | RATES
WS       /a b                                                                               1   1(100.00%) |     12      12      12     12 | RATES
DELETE   /b                                                                                 1     0(0.00%) |      0       0       0      0 | RATES
GET      /b                                                                                 3   3(100.00%) |     30      20      40     30 | RATES
POST     /login                                                                             1     0(0.00%) |     50      50      50     50 | RATES
GET      /longlonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglong       1   1(100.00%) |     15      15      15     15 | RATES
GET      /more                                                                              1     0(0.00%) |     11      11      11     11 | RATES
GET      /none                                                                              1     0(0.00%) |      0       0       0      0 | RATES
PROPFIND  /wide                                                                              1     0(0.00%) |      9       9       9      9 | RATES
GET      /words                                                                             1   1(100.00%) |      9       9       9      9 | RATES
GET      /é世                                                                                1   1(100.00%) |      7       7       7      7 | RATES
         no method                                                                          1     0(0.00%) |      8       8       8      8 | RATES
--------|----------------------------------------------------------------------------|-------|-------------|-------|-------|-------|-------|--------|-----------
         Aggregated                                                                        20    7(35.00%) |     15       0      70      9 | RATES

Response time percentiles (approximated)
Type     Name                                                                                  50%    66%    75%    80%    90%    95%    98%    99%  99.9% 99.99%   100% # reqs
--------|--------------------------------------------------------------------------------|--------|------|------|------|------|------|------|------|------|------|------|------
GET      /                                                                                       4      5      6      6     70     70     70     70     70     70     70      7
WS       /a b                                                                                   12     12     12     12     12     12     12     12     12     12     12      1
DELETE   /b                                                                                      0      0      0      0      0      0      0      0      0      0      0      1
GET      /b                                                                                     30     30     40     40     40     40     40     40     40     40     40      3
POST     /login                                                                                 50     50     50     50     50     50     50     50     50     50     50      1
GET      /longlonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglong       15     15     15     15     15     15     15     15     15     15     15      1
GET      /more                                                                                  11     11     11     11     11     11     11     11     11     11     11      1
PROPFIND /wide                                                                                   9      9      9      9      9      9      9      9      9      9      9      1
GET      /words                                                                                  9      9      9      9      9      9      9      9      9      9      9      1
GET      /é世                                                                                     7      7      7      7      7      7      7      7      7      7      7      1
         no method                                                                               8      8      8      8      8      8      8      8      8      8      8      1
--------|--------------------------------------------------------------------------------|--------|------|------|------|------|------|------|------|------|------|------|------
         Aggregated                                                                              9     12     20     30     50     70     70     70     70     70     70     20

Error report
# occurrences      Error
------------------|---------------------------------------------------------------------------------------------------------------------------------------------
3                  GET /b: ValueError('not there')
1                  WS /a b: plain text
1                  GET /longlonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglong: it is 'so'
1                  GET /é世: bad 世
1                  GET /words: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx
------------------|---------------------------------------------------------------------------------------------------------------------------------------------

"""


def run_fixed(program, locustfile):
    result = program("-f", locustfile(FIXED), "--headless", "-t", "1s", "--only-summary")
    assert result.status == 1
    return final_tables(result.stderr)


def test_final_tables(gregaria, locustfile):
    assert run_fixed(gregaria, locustfile) == GOLDEN


def test_the_golden_text_is_locusts(tmp_path, locustfile):
    stock = os.environ.get("GREGARIA_STOCK_LOCUST")
    if not stock:
        pytest.skip("GREGARIA_STOCK_LOCUST names no Locust to compare with")
    (tmp_path / "stock").mkdir()
    assert run_fixed(Program(tmp_path / "stock", stock), locustfile) == GOLDEN


EMPTY = """\
Type     Name                                                                          # reqs      # fails |    Avg     Min     Max    Med |   req/s  failures/s
--------|----------------------------------------------------------------------------|-------|-------------|-------|-------|-------|-------|--------|-----------
--------|----------------------------------------------------------------------------|-------|-------------|-------|-------|-------|-------|--------|-----------
         Aggregated                                                                         0     0(0.00%) |      0       0       0      0 |    0.00        0.00
"""


def test_the_table_comes_at_once_and_every_two_seconds(gregaria, locustfile, shop):
    path = locustfile("""
        from locust import HttpUser, constant, task
        class Visitor(HttpUser):
            wait_time = constant(0.01)
            @task
            def home(self): self.client.get("/")
        """)
    result = gregaria("-f", path, "--headless", "-H", shop.url, "-t", "3s")
    tables = result.stderr.split("Type     Name")
    periodic, final = tables[1:-2], tables[-2]
    assert EMPTY in result.stderr and "Type     Name" + periodic[0].split("\n\n")[0] + "\n" == EMPTY
    assert len(periodic) == 2 and "Shutting down" in periodic[-1] and "req/s  failures/s" in final
    counted = int(re.search(r"^GET      / +(\d+) +0\(0\.00%\) \|", periodic[1], re.M)[1])
    assert 0 < counted < shop.counts()["requests"]
    assert "users," not in result.stderr and "\033" not in result.output  # neither progress nor colours off a terminal


# --- on a terminal -------------------------------------------------------------------------------

FAILING = """
from locust import HttpUser, constant, task
class Visitor(HttpUser):
    wait_time = constant(0.05)
    @task
    def good(self): self.client.get("/")
    @task
    def bad(self): self.client.get("/status/500")
"""


class Terminal:
    """The program with its stderr on a terminal of so many columns."""

    def __init__(self, gregaria, *args, columns=200, env=None):
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
        self.process = subprocess.Popen([PROGRAM, *map(str, args)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=slave,
                                        cwd=gregaria.folder, env=gregaria.environment(env))
        os.close(slave)

    def finish(self):
        data, deadline = b"", time.monotonic() + 30
        while time.monotonic() < deadline and select.select([self.master], [], [], 30)[0]:
            try:
                piece = os.read(self.master, 65536)
            except OSError:  # the other side is closed
                break
            data += piece
        self.status = self.process.wait(10)
        self.stdout = self.process.stdout.read().decode()
        self.process.stdout.close()
        os.close(self.master)
        return data.decode().replace("\r\n", "\n")


def test_colours_and_progress_on_a_terminal(gregaria, locustfile, shop):
    path = locustfile(FAILING)
    args = ["-f", path, "--headless", "-H", shop.url, "-u", 3, "-r", 10, "-t", "3s", "--json"]
    plain = Terminal(gregaria, *args, env={"NO_COLOR": "1"})
    narrow = Terminal(gregaria, *args, columns=100)
    endless = Terminal(gregaria, *[arg for arg in args if arg not in ("-t", "3s")])
    coloured = Terminal(gregaria, *args)
    text = coloured.finish()
    bad = [line for line in text.splitlines() if line.startswith("GET      /status/500") and "|" in line and "(" in line]
    good = [line for line in text.splitlines() if line.startswith("GET      / ")]
    assert bad and all(re.search(r"\033\[31m +\d+\(100\.00%\)\033\[0m \|", line) for line in bad), bad
    assert good and not any("\033" in line for line in good)
    assert re.search(r"^\d+ +\033\[31mGET /status/500: .*\033\[0m$", text, re.M)
    progress = re.findall(r"^(.*(?:left|elapsed))$", text, re.M)
    assert re.fullmatch(r"\d users?, (ready|spawning), 00:0[23] left", progress[0]), progress
    assert re.fullmatch(r"3 users, 00:0[01] left", progress[1]), progress
    assert "left" not in text.rpartition("Shutting down")[2]
    assert "\033" not in coloured.stdout and "left" not in coloured.stdout

    endless.process.terminate()
    assert re.search(r"^\d users?, (\w+, )?00:0\d elapsed$", endless.finish(), re.M)

    text = plain.finish()
    assert "\033" not in text and "left" in text and "500 Server Error" in text

    text = narrow.finish()
    table = text[text.index("Type     Name"):].splitlines()
    assert table[0].startswith("Type     Name              # reqs")
    assert table[1].startswith("--------|----------------|-------|-------------|")
    assert len(table[0]) == len(table[1]) == 100


def test_only_the_summary(gregaria, locustfile, shop):
    args = ["-f", locustfile(FAILING), "--headless", "-H", shop.url, "-t", "1s", "--only-summary"]
    text = Terminal(gregaria, *args).finish()
    assert text.count("Type     Name") == 2 and " left" not in text
