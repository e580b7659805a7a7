"""Keys on a terminal: they change the number of users, and the terminal is afterwards as it was before, whatever ended the program."""

import fcntl
import os
import pty
import re
import signal
import subprocess
import termios
import threading

import pytest

from conftest import PROGRAM, wait_until

PYTHON = """
from locust import User, constant, task
class Visitor(User):
    wait_time = constant(0.05)
    @task
    def nothing(self): pass
"""

C = """
#include <gregaria.h>
static void nothing(gr_user *u) { (void)u; }
GR_SCENARIO {
    gr_user_class *c = gr_class("Visitor");
    gr_wait_constant(c, 0.05);
    gr_add_task(c, 1, nothing);
}
"""


class Terminal:
    """The program on a terminal of its own; everything that it prints is in `text`."""

    def __init__(self, gregaria, *args, foreground=True):
        self.master, self.slave = pty.openpty()
        self.text, self.mark = "", 0
        self.before = termios.tcgetattr(self.slave)
        command = [PROGRAM, *map(str, args)]
        if not foreground:  # a job that its shell has put into the background
            command = ["/usr/bin/python3", "-c", "import os, signal, sys\n"
                       "signal.signal(signal.SIGTTOU, signal.SIG_IGN)\n"
                       "child = os.fork()\n"
                       "if child == 0: os.setpgid(0, 0); os.execv(sys.argv[1], sys.argv[1:])\n"
                       "os.waitpid(child, 0)", *command]
        self.process = subprocess.Popen(command, stdin=self.slave, stdout=self.slave, stderr=self.slave, cwd=gregaria.folder,
                                        env=gregaria.environment(None), preexec_fn=self._own_session)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _own_session(self):
        os.setsid()
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    def _read(self):
        while True:
            try:
                self.text += os.read(self.master, 65536).decode()
            except OSError:
                return

    def mode(self):
        """Whether it echoes and collects lines, and whether Ctrl-C is a signal."""
        flags = termios.tcgetattr(self.slave)[3]
        return bool(flags & (termios.ECHO | termios.ICANON)), bool(flags & termios.ISIG)

    def says(self, pattern):
        return wait_until(lambda: re.search(pattern, self.text[self.mark:]), what=f"{pattern!r} on the terminal")

    def type(self, keys):
        self.mark = len(self.text)  # from here on `says` looks for the answer
        os.write(self.master, keys.encode())

    def end(self):
        try:
            self.process.wait(20)
        finally:
            self.process.kill()
        assert termios.tcgetattr(self.slave) == self.before
        os.close(self.slave)
        self.reader.join(20)
        os.close(self.master)
        return self.process.returncode


@pytest.fixture(params=["python", "c"])
def test_file(request, locustfile, tmp_path):
    if request.param == "python":
        return locustfile(PYTHON)
    path = tmp_path / "scenario.c"
    path.write_text(C)
    return path


def start(gregaria, file, *args, **kwargs):
    terminal = Terminal(gregaria, "-f", file, "--headless", "--only-summary", "-H", "http://127.0.0.1:9", *args, **kwargs)
    terminal.says("All users spawned")
    return terminal


def test_keys_change_the_number_of_users(gregaria, test_file):
    terminal = start(gregaria, test_file)
    assert terminal.mode() == (False, True)
    assert not fcntl.fcntl(terminal.slave, fcntl.F_GETFL) & os.O_NONBLOCK  # it is stderr's description, too
    for key, users in ("w", 2), ("W", 12), ("x\n s", 11), ("S", 1), ("S", 0), ("w", 1):
        terminal.type(key)
        terminal.says(f"Ramping to {users} users at a rate of 100.00 per second")
        terminal.says(rf"\({users} total users\)")
    terminal.type("\x03")
    assert terminal.end() == 0
    assert terminal.text.count("Aggregated") == 1


def test_not_while_users_are_being_started(gregaria, test_file):
    terminal = Terminal(gregaria, "-f", test_file, "--headless", "--only-summary", "-H", "http://127.0.0.1:9", "-u", 3, "-r", 0.1)
    terminal.says("Ramping to 3 users")
    wait_until(lambda: terminal.mode() == (False, True))
    terminal.type("w")
    terminal.says("WARNING/locust.main: Already spawning users, can't spawn more right now")
    terminal.type("S")
    terminal.says("WARNING/locust.main: Spawning users, can't stop right now")
    assert terminal.text.count("Ramping to") == 1
    terminal.type("\x03")
    assert terminal.end() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGQUIT, signal.SIGSEGV, signal.SIGABRT])
def test_the_terminal_is_given_back(gregaria, test_file, number):
    terminal = start(gregaria, test_file)
    assert terminal.mode() == (False, True)
    terminal.process.send_signal(number)
    assert terminal.end() == (0 if number == signal.SIGTERM else -number)


def test_the_terminal_is_given_back_by_a_second_ctrl_c(gregaria, tmp_path):
    path = tmp_path / "scenario.c"
    path.write_text("#include <stdio.h>\n" + C.replace("(void)u;", 'gr_sleep(u, 0.5); fputs("busy", stderr); for (;;) {}'))
    terminal = start(gregaria, path)
    terminal.says("busy")
    wait_until(lambda: terminal.type("\x03") or terminal.process.poll() is not None)
    assert terminal.end() == -signal.SIGINT


def test_the_terminal_is_given_back_by_exit(gregaria, tmp_path):
    path = tmp_path / "scenario.c"
    path.write_text("#include <stdlib.h>\n" + C.replace("(void)u;", "gr_sleep(u, 0.5); exit(7);"))
    terminal = start(gregaria, path)
    assert terminal.mode() == (False, True)
    assert terminal.end() == 7


def test_a_job_in_the_background_leaves_the_terminal_alone(gregaria, test_file):
    terminal = start(gregaria, test_file, "-t", "2s", foreground=False)
    assert termios.tcgetattr(terminal.slave) == terminal.before
    terminal.type("w")
    assert terminal.end() == 0
    assert terminal.text.count("Ramping to") == 1


def test_keys_do_nothing_to_a_shape(gregaria, locustfile):
    path = locustfile(PYTHON + """
from locust import LoadTestShape
class Shape(LoadTestShape):
    def tick(self): return (1, 10) if self.get_run_time() < 3 else None
""")
    terminal = start(gregaria, path)
    terminal.type("W")
    assert terminal.end() == 0
    assert terminal.text.count("Ramping to") == 1
