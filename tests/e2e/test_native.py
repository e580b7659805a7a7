"""The program with scenarios written in C, against a small server in this process."""

import collections
import http.server
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import threading
import time

import pytest

from conftest import PROGRAM, ROOT

ENVIRONMENT = {
    **{k: v for k, v in os.environ.items() if not k.startswith("LOCUST_")},
    "GREGARIA_INCLUDE": str(ROOT / "include"),
}

HELLO = """
#include <gregaria.h>
static void home(gr_user *u) { gr_get(u, "/"); }
GR_SCENARIO {
    gr_user_class *c = gr_class("Visitor");
    gr_wait_constant(c, 0.02);
    gr_add_task(c, 1, home);
}
"""


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def answer(self, status=200, body=b"hello", **headers):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        with self.server.lock:
            self.server.counts[f"GET {self.path}"] += 1
        if self.path == "/slow":
            time.sleep(5)
        if self.path.startswith("/status/"):
            self.answer(int(self.path.rsplit("/", 1)[1]))
        elif self.path == "/login":
            self.answer(Set_Cookie="sid=42; Path=/")
        elif self.path == "/private":
            self.answer(200 if self.headers.get("Cookie") == "sid=42" else 403)
        else:
            self.answer()

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with self.server.lock:
            self.server.counts[f"POST {self.path}"] += 1
            self.server.bodies[body, self.headers["Content-Type"]] += 1
        self.answer(201, b"x" * 1000)

    def log_message(self, *args):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, request, client_address):
        pass  # users hang up in the middle of what they do when they are stopped


@pytest.fixture
def server():
    with Server(("127.0.0.1", 0), Handler) as httpd:
        httpd.lock = threading.Lock()
        httpd.counts = collections.Counter()
        httpd.bodies = collections.Counter()
        httpd.url = f"http://127.0.0.1:{httpd.server_port}"
        threading.Thread(target=httpd.serve_forever, daemon=True).start()
        yield httpd
        httpd.shutdown()


@pytest.fixture
def scenario(tmp_path):
    def write(text, name="scenario.c"):
        path = tmp_path / name
        path.write_text(text)
        return str(path)

    return write


def command(path, *args):
    return [PROGRAM, "-f", path, "--headless", *args]


def run(path, *args, **kwargs):
    return subprocess.run(command(path, *args), env=ENVIRONMENT, capture_output=True, text=True, timeout=60, **kwargs)


def rows(result):
    """The statistics that --json printed, by method and name."""
    return {f"{row['method']} {row['name']}": row for row in json.loads(result.stdout)}


def test_counts_are_the_servers(server, scenario):
    result = run(scenario(HELLO), "-u", "20", "-r", "20", "-t", "2s", "-s", "5s", "-H", server.url, "--json")
    assert result.returncode == 0, result.stderr
    home = rows(result)["GET /"]
    assert home["num_requests"] == server.counts["GET /"] > 100
    assert home["num_failures"] == 0
    assert "Ramping to 20 users at a rate of 20.00 per second" in result.stderr
    assert 'All users spawned: {"Visitor": 20} (20 total users)' in result.stderr
    assert "Run time limit set to 2 seconds" in result.stderr
    assert "--run-time limit reached, shutting down" in result.stderr
    assert "Shutting down (exit code 0)" in result.stderr


JOURNEY = """
#include <gregaria.h>
static void login(gr_user *u) { gr_get(u, "/login"); }
static void logout(gr_user *u) { gr_get(u, "/logout"); }
static void look(gr_user *u) {
    if (gr_status(gr_get(u, "/private")) != 200) gr_fail(u, "no cookie");
}
static void buy(gr_user *u) {
    gr_resp *r = gr_post(u, "/cart/add", "product_id=1");
    if (gr_status(r) != 201 || gr_body_bytes(r) != 1000) gr_fail(u, "cart said %d", gr_status(r));
    gr_post_json(u, "/cart", "{}");
}
static void odd(gr_user *u) {
    gr_get(u, "/status/404");
    gr_get(u, "/status/418");
    gr_pass(u);
    gr_send(u, "/status/200", &(gr_opts){.name = "marked"});
    gr_fail(u, "not what I wanted");
    gr_get(u, "/status/503");
}
static void odd_only(gr_user *u) { odd(u); gr_stop_user(u); }
GR_SCENARIO {
    gr_user_class *c = gr_class("Customer");
    gr_on_start(c, login);
    gr_on_stop(c, logout);
    gr_wait_between(c, 0.01, 0.03);
    gr_add_task(c, 3, look);
    gr_add_task(c, 1, buy);
    gr_class("Unused");
    gr_user_class *o = gr_class("Odd");
    gr_fixed_count(o, 1);
    gr_add_task(o, 1, odd_only);
}
"""


def test_a_journey(server, scenario):
    path = scenario(JOURNEY)
    result = run(path, "-u", "10", "-r", "100", "-t", "2s", "-s", "5", "-H", server.url, "--json", "Customer", "Odd")
    assert result.returncode == 1, result.stderr
    stats = rows(result)
    assert 'All users spawned: {"Customer": 9, "Odd": 1} (10 total users)' in result.stderr
    assert stats["GET /login"]["num_requests"] == stats["GET /logout"]["num_requests"] == 9
    for name, key in (("GET /private", "GET /private"), ("POST /cart/add", "POST /cart/add"), ("POST /cart", "POST /cart")):
        assert stats[name]["num_requests"] == server.counts[key] > 0
        assert stats[name]["num_failures"] == 0
    assert stats["GET /private"]["num_requests"] > stats["POST /cart"]["num_requests"]
    assert stats["POST /cart"]["total_content_length"] == 1000 * server.counts["POST /cart"]
    assert server.bodies[b"product_id=1", "application/x-www-form-urlencoded"] == server.counts["POST /cart/add"]
    assert server.bodies[b"{}", "application/json"] == server.counts["POST /cart"]
    failures = {key: stats[key]["num_failures"] for key in stats if "private" not in key and stats[key]["num_failures"]}
    assert failures == {"GET /status/404": 1, "GET marked": 1, "GET /status/503": 1}
    assert stats["GET /status/418"]["num_failures"] == 0


def test_failures_are_listed_as_locust_does(server, scenario):
    path = scenario(JOURNEY)
    result = run(path, "-u", "1", "-t", "1s", "-H", server.url, "--exit-code-on-error", "7", "Odd")
    assert result.returncode == 7
    assert "404 Client Error: Not Found for url: /status/404" in result.stderr
    assert "503 Server Error: Service Unavailable for url: /status/503" in result.stderr
    assert "not what I wanted" in result.stderr
    assert "Shutting down (exit code 7)" in result.stderr


def test_a_server_that_is_not_there(scenario):
    result = run(scenario(HELLO), "-u", "2", "-t", "1s", "-H", "http://127.0.0.1:1")
    assert result.returncode == 1
    assert "onnection refused" in result.stderr


SLOW = """
#include <gregaria.h>
static void slow(gr_user *u) { gr_get(u, "%s"); gr_sleep(u, %s); gr_get(u, "/after"); }
static void bye(gr_user *u) { gr_get(u, "/bye"); }
GR_SCENARIO {
    gr_user_class *c = gr_class("Slow");
    gr_add_task(c, 1, slow);
    gr_on_stop(c, bye);
}
"""


def test_without_stop_timeout_tasks_are_cut_off(server, scenario):
    began = time.monotonic()
    result = run(scenario(SLOW % ("/slow", "0")), "-u", "3", "-r", "3", "-t", "1s", "-H", server.url, "--json")
    assert result.returncode == 0, result.stderr
    assert time.monotonic() - began < 5
    stats = rows(result)
    assert "GET /slow" not in stats and "GET /after" not in stats
    assert stats["GET /bye"]["num_requests"] == server.counts["GET /bye"] == 3


def test_with_stop_timeout_tasks_are_finished(server, scenario):
    path = scenario(SLOW % ("/", "2"))
    result = run(path, "-u", "3", "-r", "3", "-t", "1s", "-s", "10", "-H", server.url, "--json")
    stats = rows(result)
    assert stats["GET /"]["num_requests"] == stats["GET /after"]["num_requests"] == stats["GET /bye"]["num_requests"] == 3


def test_a_stop_timeout_that_is_too_short(server, scenario):
    path = scenario(SLOW % ("/", "30"))
    result = run(path, "-u", "3", "-r", "3", "-t", "1s", "-s", "1", "-H", server.url, "--json")
    assert "Not all users finished their tasks" in result.stderr
    assert rows(result)["GET /bye"]["num_requests"] == 3


@pytest.mark.parametrize("number, line", [(signal.SIGINT, ""), (signal.SIGTERM, "Got SIGTERM signal")])
def test_signals_end_the_test_with_its_summary(server, scenario, number, line):
    with subprocess.Popen(
        command(scenario(HELLO), "-u", "5", "-r", "5", "-H", server.url),
        env=ENVIRONMENT,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        deadline = time.monotonic() + 30
        while server.counts["GET /"] < 50 and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(number)
        _, stderr = process.communicate(timeout=30)
    assert process.returncode == 0, stderr
    assert line in stderr
    assert "No run time limit set, use CTRL+C to interrupt" in stderr
    assert re.search(r"Aggregated +%d " % server.counts["GET /"], stderr)


def test_reset_stats(server, scenario):
    result = run(
        scenario(HELLO), "-u", "3", "-r", "1", "-t", "4s", "-s", "5", "-H", server.url, "--json", "--reset-stats"
    )
    assert "Resetting stats" in result.stderr
    assert 0 < rows(result)["GET /"]["num_requests"] < server.counts["GET /"]


def test_list(scenario):
    result = run(scenario(JOURNEY), "--list")
    assert (result.returncode, result.stdout) == (0, "Available Users:\n    Customer\n    Unused\n    Odd\n")


def test_several_files(server, scenario):
    other = scenario(HELLO.replace("Visitor", "Other").replace('"/"', '"/other"'), "other.c")
    path = f"{scenario(HELLO)},{other}"
    result = run(path, "-u", "2", "-r", "10", "-t", "1s", "-s", "5", "-H", server.url, "--json")
    assert result.returncode == 0, result.stderr
    assert {key: row["num_requests"] for key, row in rows(result).items()} == dict(server.counts)


def test_a_shared_object(server, scenario, tmp_path):
    source, so = scenario(HELLO), str(tmp_path / "hello.so")
    subprocess.run(["cc", "-shared", "-fPIC", f"-I{ROOT}/include", source, "-o", so], check=True)
    result = run(so, "-u", "1", "-t", "1s", "-H", server.url, "--json")
    assert result.returncode == 0, result.stderr
    assert rows(result)["GET /"]["num_requests"] > 0


def test_a_shared_object_for_another_version(scenario, tmp_path):
    shutil.copy(ROOT / "include" / "gregaria.h", tmp_path)
    header = tmp_path / "gregaria.h"
    header.write_text(re.sub(r"(#define GR_API_VERSION) \d+", r"\1 4711", header.read_text()))
    source, so = scenario(HELLO), str(tmp_path / "old.so")
    subprocess.run(["cc", "-shared", "-fPIC", f"-I{tmp_path}", source, "-o", so], check=True)
    result = run(so, "-t", "1s", "-H", "http://127.0.0.1:1")
    assert result.returncode == 1
    assert "old.so was built for version 4711 of the C API" in result.stderr


@pytest.mark.parametrize(
    "text, args, sentence",
    [
        ("int f(void) { return x; }", (), "scenario.c does not compile."),
        ("int x;", (), "scenario.c has no GR_SCENARIO."),
        ("#include <gregaria.h>\nGR_SCENARIO {}", (), "No User class found!"),
        ('#include <gregaria.h>\nGR_SCENARIO { gr_class("A"); }', (), "No tasks defined on A"),
        ('#include <gregaria.h>\nGR_SCENARIO { gr_class("A"); gr_class("A"); }', (), "there are two user classes named A."),
        ("void g(void);\n#include <gregaria.h>\nGR_SCENARIO { g(); }", (), "undefined symbol: g"),
        (HELLO, ("Vistor", "Other"), "Unknown User(s): Vistor, Other"),
        (HELLO, ("-H", "localhost"), "The host must begin with http:// or https://"),
    ],
)
def test_bad_input_is_one_sentence(scenario, text, args, sentence):
    host = () if "-H" in args else ("-H", "http://127.0.0.1:1")
    result = run(scenario(text), "-t", "1s", *host, *args)
    assert result.returncode == 1
    lines = result.stderr.strip().splitlines()
    assert sentence in lines[-1]
    assert len(lines) == 1 or "compile" in sentence, result.stderr


def test_no_host(scenario):
    result = run(scenario(HELLO), "-t", "1s")
    assert result.returncode == 1
    assert "You must specify the base host." in result.stderr


def test_no_such_file(tmp_path):
    result = run(str(tmp_path / "missing.c"))
    assert result.returncode == 1
    assert "missing.c" in result.stderr


def test_too_few_descriptors(scenario):
    def limit():
        resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))

    result = run(scenario(HELLO), "-u", "500", "-t", "1s", "-H", "http://127.0.0.1:1", preexec_fn=limit)
    assert result.returncode == 1
    assert "500 users need 564 open files, and this process may open 100" in result.stderr


def test_compilers_words_are_shown_and_nothing_is_left_behind(scenario, tmp_path):
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    result = subprocess.run(
        command(scenario("int f(void) { return nowhere; }")),
        env={**ENVIRONMENT, "TMPDIR": str(temporary)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "nowhere" in result.stderr
    assert not list(temporary.iterdir())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_compiling_leaves_nothing_behind(scenario, tmp_path, number):
    temporary, compiler = tmp_path / "tmp", tmp_path / "compiler"
    temporary.mkdir()
    compiler.write_text(f'#!/bin/sh\nkill -{int(number)} $PPID\nexec cc "$@"\n')
    compiler.chmod(0o755)
    result = subprocess.run(command(scenario(HELLO), "-H", "http://127.0.0.1:9"), timeout=60,
                            env={**ENVIRONMENT, "TMPDIR": str(temporary), "CC": str(compiler)})
    assert result.returncode == -number
    assert not list(temporary.iterdir())


def test_a_scenario_that_loops_for_ever_can_be_interrupted(scenario):
    process = subprocess.Popen(command(scenario("#include <gregaria.h>\nGR_SCENARIO { for (;;) {} }")), env=ENVIRONMENT)
    time.sleep(1)  # sooner or later than it began to loop: it ends in any case
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == -signal.SIGTERM


def test_version_and_list_say_when_nobody_can_read_them(scenario):
    with open("/dev/full", "w") as full:
        for args in ["--version"], ["--help"], ["-f", scenario(HELLO), "--list"]:
            assert subprocess.run([PROGRAM, *args], env=ENVIRONMENT, stdout=full, timeout=60).returncode == 1, args


@pytest.mark.parametrize("example", sorted(path.name for path in (ROOT / "examples" / "native").glob("*.c")))
def test_examples_run(server, example):
    result = run(str(ROOT / "examples" / "native" / example), "-u", "4", "-r", "4", "-t", "2s", "-H", server.url)
    assert "Traceback" not in result.stderr
    assert "warning" not in result.stderr
    assert "Shutting down" in result.stderr
