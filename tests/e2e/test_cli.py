"""The command line: what is refused and how, where options come from, and what they do."""

import csv
import json
import resource
import time

import pytest

from conftest import Result

NOWHERE = "http://127.0.0.1:1"

VISITOR = """
from locust import HttpUser, constant, task

class Visitor(HttpUser):
    wait_time = constant(0.02)

    @task
    def home(self):
        self.client.get("/")

    @task
    def product(self):
        self.client.get("/products/7")
"""

# Prints parsed_options and leaves before the test begins.
SHOW = """
import json, os
from locust import User, events, task

class First(User):
    @task
    def nothing(self): pass

class Second(First): pass

@events.init_command_line_parser.add_listener
def add(parser):
    parser.add_argument("--colour", env_var="COLOUR", default="grey", help="Of the shop")

@events.init.add_listener
def show(environment, **kwargs):
    options = vars(environment.parsed_options) | {"classes": [c.__name__ for c in environment.user_classes]}
    print(json.dumps(options), flush=True)
    os._exit(0)
"""


def sentence(result: Result):
    """The one sentence on stderr; nothing on stdout, no traceback."""
    assert result.stdout == "", result
    lines = result.stderr.splitlines()
    assert lines and lines[0].startswith("gregaria: error: "), result
    assert len(lines) == 1 or (len(lines) == 2 and lines[1].startswith("Did you mean '")), result
    return lines[0].removeprefix("gregaria: error: ")


# --- refused -------------------------------------------------------------------------------------


def test_no_locustfile_at_all(gregaria):
    result = gregaria("--headless")
    assert result.status == 1 and "Could not find 'locustfile.py'" in sentence(result)


@pytest.mark.parametrize("name", ["missing.py", "missing.c", "notes.txt", "locustfile", "folder.py/none"])
def test_no_such_file(gregaria, name):
    (gregaria.folder / "notes.txt").write_text(VISITOR)
    (gregaria.folder / "locustfile").write_text(VISITOR)
    result = gregaria("-f", name, "--headless", "-H", NOWHERE)
    assert result.status == 1
    assert f"Could not find '{name}'" in sentence(result) and "ends with '.py'" in result.stderr


def test_a_folder_without_locustfiles(gregaria, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "_private.py").write_text(VISITOR)
    result = gregaria("-f", tmp_path / "empty", "--headless", "-H", NOWHERE)
    assert result.status == 1 and "Could not find any locustfiles in directory" in sentence(result)


def test_c_and_python_do_not_mix(gregaria, locustfile):
    python, c = locustfile(VISITOR), locustfile("int x;", "scenario.c")
    result = gregaria("-f", f"{python},{c}", "--headless", "-H", NOWHERE)
    assert result.status == 1 and "cannot be run together" in sentence(result)


def test_a_syntax_error_is_shown_as_python_shows_it(gregaria, locustfile):
    path = locustfile("from locust import HttpUser\n\nclass Visitor(HttpUser:\n    pass\n")
    result = gregaria("-f", path, "--headless", "-H", NOWHERE)
    assert result.status == 1 and result.stdout == ""
    assert result.stderr.splitlines()[0] == f'  File "{path}", line 3'
    assert "class Visitor(HttpUser:" in result.stderr
    assert result.stderr.splitlines()[-1].startswith("SyntaxError: ")


@pytest.mark.parametrize("helper", [False, True])
def test_an_exception_while_loading_begins_in_the_users_file(gregaria, locustfile, helper):
    """No frame of ours, neither before theirs nor between them."""
    failing = 'def load():\n    raise ValueError("no such shop")\n'
    if helper:
        inner, text = locustfile(failing, "helper.py"), "import helper\n\nhelper.load()\n"
        frames = [("locustfile.py", 3), ("helper.py", 2)]
    else:
        inner, text = None, f"{failing}\nload()\n"
        frames = [("locustfile.py", 4), ("locustfile.py", 2)]
    path = locustfile(text)
    result = gregaria("-f", path, "--headless", "-H", NOWHERE)
    assert result.status == 1 and result.stdout == ""
    lines = result.stderr.splitlines()
    assert lines[0] == "Traceback (most recent call last):" and lines[-1] == "ValueError: no such shop"
    shown = [line.split(", in ")[0].strip() for line in lines if line.startswith('  File "')]
    assert shown == [f'File "{path.parent / name}", line {line}' for name, line in frames]
    assert inner is None or inner.exists()


def test_a_missing_module_is_the_users_traceback(gregaria, locustfile):
    result = gregaria("-f", locustfile("import nonexistent_module\n"), "--headless", "-H", NOWHERE)
    assert result.status == 1
    assert [line for line in result.stderr.splitlines() if "File" in line] == [
        f'  File "{gregaria.folder.parent / "locustfile.py"}", line 1, in <module>']
    assert result.stderr.endswith("ModuleNotFoundError: No module named 'nonexistent_module'\n")


@pytest.mark.parametrize("text, words", [
    ("import locust\n", ["No User class found", "HttpUser"]),
    ("from locust import HttpUser\nclass Base(HttpUser):\n    abstract = True\n", ["No User class found"]),
    ("from locust import HttpUser\nclass Idle(HttpUser): pass\n", ["No tasks defined on Idle", "@task"]),
    ("from locust import User\nclass Idle(User): pass\n", ["No tasks defined on Idle", "@task"]),
    ("from locust import HttpUser, TaskSet\nclass Steps(TaskSet): pass\n"
     "class Visitor(HttpUser):\n    tasks = [Steps]\n", ["No tasks defined on Steps", "Visitor", "@task"]),
    ("from locust import HttpUser, TaskSet, task\nclass Visitor(HttpUser):\n    @task\n    class Steps(TaskSet):\n"
     "        @task\n        class Inner(TaskSet): pass\n", ["No tasks defined on Inner", "Steps", "@task"]),
])
def test_nothing_to_run(gregaria, locustfile, text, words):
    result = gregaria("-f", locustfile(text), "--headless", "-H", NOWHERE)
    assert result.status == 1
    assert all(word in sentence(result) for word in words), result


@pytest.mark.parametrize("args, status, words", [
    (["--bogus"], 2, "unrecognized arguments: --bogus"),
    (["--spwan-rate", "5"], 2, "unrecognized arguments: --spwan-rate"),
    (["--user-agent=x"], 2, "unrecognized arguments: --user-agent"),
    (["-u", "x"], 2, "argument -u/--users: invalid int value: 'x'"),
    (["-u", "1.5"], 2, "argument -u/--users: invalid int value: '1.5'"),
    (["-u"], 2, "argument -u/--users: expected one argument"),
    (["-u", "-5"], 2, "argument -u/--users: must be between 0 and"),
    (["-u", "99999999999"], 2, "argument -u/--users: must be between 0 and"),
    (["-r", "0"], 2, "argument -r/--spawn-rate: must be > 0"),
    (["-r", "-1"], 2, "argument -r/--spawn-rate: must be > 0"),
    (["-r", "nan"], 2, "argument -r/--spawn-rate: "),
    (["-t", "5d"], 2, "argument -t/--run-time: Invalid time span format."),
    (["-t", "1.5s"], 2, "argument -t/--run-time: Invalid time span format."),
    (["-t", "10m5"], 2, "argument -t/--run-time: Invalid time span format."),
    (["-t", "1s1m"], 2, "argument -t/--run-time: Invalid time span format."),
    (["-t", ""], 2, "argument -t/--run-time: Invalid time span format."),
    (["-s", "soon"], 2, "argument -s/--stop-timeout: Invalid time span format."),
    (["-L", "LOUD"], 2, "invalid choice: 'LOUD'"),
    (["--headless=maybe"], 2, "--headless"),
    (["--exit-code-on-error", "x"], 2, "argument --exit-code-on-error: invalid int value: 'x'"),
    (["--csv-full-history"], 2, "'--csv-full-history' requires '--csv'."),
    (["--slave"], 2, "--worker"),
    (["--master"], 2, "--master"),
    (["--html", "report.html"], 2, "--html"),
    (["Vistor", "Other"], 1, "Unknown User(s): Vistor, Other"),
    (["-H", "localhost:8000"], 1, "must begin with http:// or https://"),
    (["-H", "ftp://localhost"], 1, "must begin with http:// or https://"),
    (["--csv", "/proc/nothing/here"], 1, "/proc/nothing"),
    (["--logfile", "/proc/nothing/here"], 1, "cannot open the log file /proc/nothing/here: No such file or directory"),
])
def test_bad_options(gregaria, locustfile, args, status, words):
    host = [] if "-H" in args else ["-H", NOWHERE]
    result = gregaria("-f", locustfile(VISITOR), "--headless", *host, *args)
    assert words in sentence(result)
    assert result.status == status


def test_a_near_miss_is_pointed_out(gregaria, locustfile):
    result = gregaria("-f", locustfile(VISITOR), "--headless", "--spwan-rate", "5")
    assert result.stderr.splitlines()[1] == "Did you mean '--spawn-rate'?"


def test_no_host(gregaria, locustfile):
    result = gregaria("-f", locustfile(VISITOR), "--headless", "-t", "1s")
    assert result.status == 1
    assert "Visitor has no host" in sentence(result) and "--host" in result.stderr


def test_a_host_without_scheme_in_the_class(gregaria, locustfile):
    text = VISITOR.replace("wait_time", 'host = "shop.example"\n    wait_time')
    result = gregaria("-f", locustfile(text), "--headless", "-t", "1s")
    assert result.status == 1 and "'shop.example' of Visitor is not a URL" in sentence(result)


def test_without_headless(gregaria, locustfile):
    for name, text in (("locustfile.py", VISITOR), ("scenario.c", "#include <gregaria.h>\nGR_SCENARIO {}")):
        result = gregaria("-f", locustfile(text, name), "-H", NOWHERE)
        assert result.status == 2 and "--headless" in sentence(result)


@pytest.mark.parametrize("python", ["/nonexistent/python3", "/etc/passwd"])
def test_an_interpreter_that_is_none(gregaria, locustfile, python):
    result = gregaria("-f", locustfile(VISITOR), "--headless", "-H", NOWHERE, env={"GREGARIA_PYTHON": python})
    assert result.status == 1
    assert f"cannot run the Python interpreter {python}: " in sentence(result) and "GREGARIA_PYTHON" in result.stderr


def test_too_few_descriptors(gregaria, locustfile):
    def limit():
        resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))

    result = gregaria("-f", locustfile(VISITOR), "--headless", "-H", NOWHERE, "-u", 500, preexec_fn=limit)
    assert result.status == 1
    assert "500 users need about 564 open files, and this process may open 100" in sentence(result)
    assert "ulimit -n" in result.stderr


@pytest.mark.parametrize("name, text, words", [
    ("locust.conf", "# ours\nusers = many\n", "argument -u/--users: invalid int value: 'many' (locust.conf:2)"),
    ("locust.conf", "\n\nuserz = 5\n", "unrecognized arguments: --userz (locust.conf:3)"),
    ("locust.conf", "headless = perhaps\n", "(locust.conf:1)"),
    ("locust.conf", "= 5\n", "locust.conf:1: this line is not a setting"),
    ("pyproject.toml", "[tool.locust]\nusers = \n", "pyproject.toml:2: "),
    ("pyproject.toml", "[tool.locust]\nheadless = true\nrun-time = \"5d\"\n", "(pyproject.toml:3)"),
    ("mine.conf", "spawn-rate = 0\n", "argument -r/--spawn-rate: must be > 0 (mine.conf:1)"),
    ("missing.conf", None, "cannot read the config file missing.conf: No such file or directory"),
])
def test_a_broken_config_file_is_named_with_its_line(gregaria, locustfile, name, text, words):
    if text is not None:
        (gregaria.folder / name).write_text(text)
    more = ["--config", name] if name in ("mine.conf", "missing.conf") else []
    result = gregaria("-f", locustfile(VISITOR), "-H", NOWHERE, *more)
    assert result.status == 2 and words in sentence(result)


@pytest.mark.parametrize("name, value, words", [
    ("LOCUST_USERS", "many", "argument -u/--users: invalid int value: 'many' (from LOCUST_USERS)"),
    ("LOCUST_RUN_TIME", "5d", "(from LOCUST_RUN_TIME)"),
    ("LOCUST_HEADLESS", "perhaps", "LOCUST_HEADLESS: 'perhaps'"),
    ("LOCUST_LOCUSTFILE", "missing.py", "Could not find 'missing.py'"),
    ("LOCUST_USER_CLASSES", "Vistor", "Unknown User(s): Vistor"),
])
def test_a_bad_variable_is_named(gregaria, locustfile, name, value, words):
    path = locustfile(VISITOR)
    file = [] if name == "LOCUST_LOCUSTFILE" else ["-f", path]
    headless = [] if name == "LOCUST_HEADLESS" else ["--headless"]
    result = gregaria(*file, *headless, "-H", NOWHERE, env={name: value})
    assert result.status in (1, 2) and words in sentence(result)


@pytest.mark.parametrize("event", ["test_start", "quitting", "request"])
def test_other_listeners_that_raise_lose_nothing(gregaria, locustfile, shop, event):
    text = VISITOR + f"from locust import events\n@events.{event}.add_listener\ndef broken(**kwargs):\n    raise ValueError('oops')\n"
    result = gregaria("-f", locustfile(text), "--headless", "-H", shop.url, "-t", "1s", "-s", "5", "--json", "--only-summary")
    assert "Uncaught exception in event handler" in result.stderr and "ValueError: oops" in result.stderr
    assert result.requests() == shop.counts()["requests"] > 0
    assert result.status == 2, result  # as for any exception outside of tasks


def test_an_init_listener_that_raises(gregaria, locustfile):
    text = VISITOR + "from locust import events\n@events.init.add_listener\ndef broken(**kwargs):\n    raise ValueError('oops')\n"
    result = gregaria("-f", locustfile(text), "--headless", "-H", NOWHERE, "-t", "1s")
    assert result.status == 1 and "ValueError: oops" in result.stderr


# --- where options come from ---------------------------------------------------------------------


def options(result):
    assert result.status == 0 and result.stderr == "", result
    return json.loads(result.stdout)


def test_list_version_and_help(gregaria, locustfile):
    path = locustfile(VISITOR + "\nclass Another(Visitor): pass\n\nclass Base(Visitor):\n    abstract = True\n")
    assert gregaria("-f", path, "--list").stdout == "Available Users:\n    Visitor\n    Another\n"
    for name in ("-V", "--version"):
        result = gregaria(name, "--bogus")
        assert result.status == 0 and result.stdout.startswith("gregaria ") and result.stderr == ""
    for args in (["-h"], ["--help"], ["-f", "missing.py", "-h"]):
        result = gregaria(*args)
        assert result.status == 0 and result.stderr == ""
        assert result.stdout.startswith("Usage: gregaria [options] [UserClass")
        for group in ("Common", "Tag", "Request statistics", "Logging", "Other"):
            assert f"\n{group} options:\n" in result.stdout
        assert all(len(line) <= 100 for line in result.stdout.splitlines())


def test_precedence(gregaria, locustfile):
    """Each source wins over all that follow it here; what only one source says is kept from there."""
    sources = [
        ("args", ["-u", "6"]),
        ("env", {"LOCUST_USERS": "5", "LOCUST_HOST": "http://env"}),
        ("config", "users = 4\nrun-time = 44s\n"),
        ("pyproject", "[tool.other]\nusers = 1\n[tool.locust]\nusers = 3\ntags = ['a', 'b']\n"),
        ("conf", "users = 2\nspawn-rate = 2.5\n"),
        ("home", "users = 1\nstop-timeout: 1m\n"),
    ]
    path, runs = locustfile(SHOW), []
    for first in range(len(sources) + 1):
        present = dict(sources[first:])
        folder = gregaria.folder / str(first)
        home = folder / "home"
        home.mkdir(parents=True)
        for name, place in (("pyproject", folder / "pyproject.toml"), ("conf", folder / "locust.conf"),
                            ("home", home / ".locust.conf"), ("config", folder / "mine.conf")):
            if name in present:
                place.write_text(present[name])
        args = ["-f", path, "--headless", *present.get("args", []), *(["--config", "mine.conf"] if "config" in present else [])]
        runs.append(gregaria.start(*args, cwd=folder, env={"HOME": home, **present.get("env", {})}))
    found = [options(run.wait()) for run in runs]
    assert [one["num_users"] for one in found] == [6, 5, 4, 3, 2, 1, None]
    assert [one["host"] for one in found] == ["http://env"] * 2 + [None] * 5
    assert [one["run_time"] for one in found] == [44] * 3 + [None] * 4
    assert [one["tags"] for one in found] == [["a", "b"]] * 4 + [None] * 3
    assert [one["spawn_rate"] for one in found] == [2.5] * 5 + [None] * 2
    assert [one["stop_timeout"] for one in found] == [60] * 6 + [0]


def test_everything_from_files_and_variables(gregaria, locustfile):
    """No option on the command line at all; a locustfile's own options come from there too."""
    path = locustfile(SHOW)
    (gregaria.folder / "locust.conf").write_text(
        f"[section]\n; comment\nlocustfile = {path}\nheadless\n--users: 7  # behind a value\nr 3\ncolour = red\n")
    found = options(gregaria(env={"LOCUST_USER_CLASSES": "Second"}))
    assert (found["headless"], found["num_users"], found["spawn_rate"]) == (True, 7, 3)
    assert (found["colour"], found["classes"]) == ("red", ["Second"])
    found = options(gregaria("First", "--colour", "blue", env={"LOCUST_USER_CLASSES": "Second", "COLOUR": "green"}))
    assert (found["colour"], found["classes"]) == ("blue", ["First"])
    assert options(gregaria(env={"COLOUR": "green"}))["colour"] == "green"


@pytest.mark.parametrize("args, classes", [
    ([], ["First", "Second"]), (["Second"], ["Second"]), (["Second", "First"], ["First", "Second"]),
])
def test_positional_user_classes(gregaria, locustfile, args, classes):
    path = locustfile(SHOW)
    behind, before = (options(gregaria(*words)) for words in (["-f", path, "--headless", *args], [*args, "-f", path, "--headless"]))
    assert behind["classes"] == before["classes"] == classes


def test_run_time_formats(gregaria, locustfile):
    path = locustfile(SHOW)
    spans = {"20": 20, "20s": 20, "3m": 180, "2h": 7200, "1h20m": 4800, "3h30m10s": 12610, "0": 0}
    runs = {text: gregaria.start("-f", path, "--headless", "-t", text) for text in spans}
    assert {text: options(run.wait())["run_time"] for text, run in runs.items()} == spans


def test_abbreviations_and_spellings(gregaria, locustfile):
    path = locustfile(SHOW)
    found = options(gregaria(f"--locustfile={path}", "--headl", "--user=3", "-r0.5", "-T", "a", "b", "--", "Second"))
    assert (found["num_users"], found["spawn_rate"], found["tags"], found["classes"]) == (3, 0.5, ["a", "b"], ["Second"])


def test_headful_undoes_headless(gregaria, locustfile):
    result = gregaria("-f", locustfile(SHOW), "--headful", env={"LOCUST_HEADLESS": "true"})
    assert result.status == 2 and "--headless" in sentence(result)


# --- what they do --------------------------------------------------------------------------------

BAD_NEWS = """
from locust import HttpUser, constant, task

class Unlucky(HttpUser):
    wait_time = constant(0.05)

    @task
    def missing(self):
        self.client.get("/status/404")

class Clumsy(HttpUser):
    wait_time = constant(0.05)

    @task
    def slip(self):
        raise ValueError("slipped")

class Lucky(HttpUser):
    wait_time = constant(0.05)

    @task
    def home(self):
        self.client.get("/")
"""


def test_exit_codes(gregaria, locustfile, shop):
    path = locustfile(BAD_NEWS)
    cases = [(["Unlucky"], 1), (["Unlucky", "--exit-code-on-error", "7"], 7), (["Unlucky", "--exit-code-on-error", "0"], 0),
             (["Clumsy"], 1), (["Clumsy", "--exit-code-on-error", "9"], 9), (["Lucky"], 0),
             (["Lucky", "--exit-code-on-error", "9"], 0)]
    runs = [gregaria.start("-f", path, "--headless", "-H", shop.url, "-t", "1s", *args) for args, _ in cases]
    results = [run.wait() for run in runs]
    assert [result.status for result in results] == [code for _, code in cases]
    for result, (_, code) in zip(results, cases):
        assert f"Shutting down (exit code {code})" in result.stderr
    assert "404 Client Error: Not Found for url: " in results[0].stderr
    slipped = results[3].stderr
    assert "ValueError: slipped" in slipped and "in slip" in slipped
    assert "build" not in "".join(line for line in slipped.splitlines() if "File" in line)


def test_reset_stats(gregaria, locustfile, shops):
    path, left, right = locustfile(VISITOR), shops(), shops()
    common = ["-f", path, "--headless", "-u", 3, "-r", 2, "-t", "3s", "-s", "5", "--json"]
    with_reset = gregaria.start(*common, "-H", left.url, "--reset-stats")
    without = gregaria.start(*common, "-H", right.url)
    with_reset, without = with_reset.wait(), without.wait()
    assert "Resetting stats" in with_reset.stderr and "Resetting stats" not in without.stderr
    assert 0 < with_reset.requests() < left.counts()["requests"]
    assert without.requests() == right.counts()["requests"]


def test_logging_options(gregaria, locustfile, shop):
    path = locustfile(VISITOR + """
import logging
from locust import events
@events.test_start.add_listener
def speak(**kwargs):
    logging.debug("a detail")
    logging.info("some news")
    logging.warning("beware")
""")
    log = gregaria.folder / "log.txt"
    log.write_text("before\n")
    common = ["-f", path, "--headless", "-H", shop.url, "-t", "1s"]
    runs = [gregaria.start(*common, *more) for more in (
        ["-L", "debug"], ["--loglevel", "WARNING"], ["--logfile", log], ["--skip-log-setup"], ["--only-summary"])]
    debug, warning, to_file, bare, summary = (run.wait() for run in runs)
    assert {run.status for run in (debug, warning, to_file, bare, summary)} == {0}
    assert all(text in debug.stderr for text in ("DEBUG/root: a detail", "INFO/root: some news", "WARNING/root: beware"))
    assert "INFO/" not in warning.stderr
    assert "WARNING/root: beware" in warning.stderr and "Aggregated" in warning.stderr
    assert "INFO/" not in to_file.stderr and "Aggregated" in to_file.stderr
    written = log.read_text()
    assert written.startswith("before\n") and "INFO/root: some news" in written and "Aggregated" not in written
    for line in ("Starting Locust", "Ramping to 1 users", "All users spawned", "--run-time limit reached", "Shutting down"):
        assert line in written and line in summary.stderr
    assert "Aggregated" not in bare.output and "some news" not in bare.output and "beware" in bare.stderr
    assert summary.stderr.count("# reqs      # fails") == 1 < debug.stderr.count("# reqs      # fails")


KEYS = ["name", "method", "last_request_timestamp", "start_time", "num_requests", "num_none_requests", "num_failures",
        "total_response_time", "max_response_time", "min_response_time", "total_content_length", "response_times",
        "num_reqs_per_sec", "num_fail_per_sec"]


def test_json(gregaria, locustfile, shops):
    path, left, right = locustfile(VISITOR), shops(), shops()
    common = ["-f", path, "--headless", "-u", 2, "-r", 2, "-t", "1s", "-s", "5", "--json"]
    printed = gregaria.start(*common, "--skip-log-setup", "-H", left.url)
    both = gregaria.start(*common, "--json-file", "out", "-H", right.url)
    printed, both = printed.wait(), both.wait()
    for shop, result, entries in (
        (left, printed, json.loads(printed.stdout)),  # nothing else on stdout
        (right, both, json.loads((gregaria.folder / "out.json").read_text())),
    ):
        counts = shop.counts()["routes"]
        assert [(entry["method"], entry["name"]) for entry in entries] == [("GET", "/"), ("GET", "/products/7")]
        assert [entry["num_requests"] for entry in entries] == [counts["GET /"]["200"], counts["GET /products/ID"]["200"]]
        for entry in entries:
            assert list(entry)[:len(KEYS)] == KEYS
            n = entry["num_requests"]
            assert sum(entry["response_times"].values()) == sum(entry["num_reqs_per_sec"].values()) == n
            assert entry["num_failures"] == entry["num_none_requests"] == sum(entry["num_fail_per_sec"].values()) == 0
            assert 0 < entry["min_response_time"] <= entry["total_response_time"] / n <= entry["max_response_time"]
            assert entry["start_time"] < entry["last_request_timestamp"] < time.time()
        assert result.entries() == entries
    assert printed.stderr == ""
    assert "Aggregated" not in both.stderr.rpartition("Shutting down")[2]  # the file stands for the tables


PERCENTILES = "50%,66%,75%,80%,90%,95%,98%,99%,99.9%,99.99%,100%"
HEADERS = {
    "stats": "Type,Name,Request Count,Failure Count,Median Response Time,Average Response Time,Min Response Time,"
             f"Max Response Time,Average Content Size,Requests/s,Failures/s,{PERCENTILES}",
    "stats_history": f"Timestamp,User Count,Type,Name,Requests/s,Failures/s,{PERCENTILES},Total Request Count,"
                     "Total Failure Count,Total Median Response Time,Total Average Response Time,Total Min Response Time,"
                     "Total Max Response Time,Total Average Content Size",
    "failures": "Method,Name,Error,Occurrences,First Seen,Last Seen",
    "exceptions": "Count,Message,Traceback,Nodes",
}


def read_csv(prefix):
    """The four files as lists of dicts; their headers are checked."""
    files = {}
    for name, header in HEADERS.items():
        data = (prefix.parent / f"{prefix.name}_{name}.csv").read_bytes().decode()
        assert data.startswith(header + "\r\n") and data.endswith("\r\n")
        files[name] = list(csv.DictReader(data.splitlines(keepends=True)))
    return files


def test_csv(gregaria, locustfile, shops):
    path, left, right = locustfile(BAD_NEWS), shops(), shops()
    prefix, full = gregaria.folder / "new folder" / "run", gregaria.folder / "full"
    common = ["-f", path, "--headless", "-u", 6, "-r", 10, "-t", "2s", "-s", "5", "--json"]
    plain_run = gregaria.start(*common, "-H", left.url, "--csv", prefix)
    full_run = gregaria.start(*common, "-H", right.url, "--csv", full, "--csv-full-history")
    for run, shop, prefix in ((plain_run, left, prefix), (full_run, right, full)):
        result = run.wait()
        assert result.status == 1
        counts = shop.counts()["routes"]
        good, bad = counts["GET /"]["200"], counts["ANY /status/CODE"]["404"]
        files = read_csv(prefix)
        rows = [(row["Type"], row["Name"], int(row["Request Count"]), int(row["Failure Count"])) for row in files["stats"]]
        assert rows == [("GET", "/", good, 0), ("GET", "/status/404", bad, bad), ("", "Aggregated", good + bad, bad)]
        assert [(row["Method"], row["Name"], int(row["Occurrences"])) for row in files["failures"]] == [
            ("GET", "/status/404", bad)]
        assert "404 Client Error: Not Found for url: " in files["failures"][0]["Error"]
        (slip,) = files["exceptions"]
        assert slip["Message"] == "slipped" and "in slip" in slip["Traceback"] and slip["Nodes"] == "local"
        assert int(slip["Count"]) == result.stderr.count("ValueError: slipped")
        history = files["stats_history"]
        last = [row for row in history if row["Timestamp"] == history[-1]["Timestamp"]]
        totals = {row["Name"]: (int(row["Total Request Count"]), int(row["Total Failure Count"])) for row in last}
        assert totals["Aggregated"] == (good + bad, bad)
        assert 2 <= len({row["Timestamp"] for row in history}) <= 6
        assert max(int(row["User Count"]) for row in history) == 6
        if run is full_run:
            assert totals == {"/": (good, 0), "/status/404": (bad, bad), "Aggregated": (good + bad, bad)}
        else:
            assert {row["Name"] for row in history} == {"Aggregated"}
        for row in history:
            total = int(row["Total Request Count"])
            assert (row["100%"] == "N/A") == (total == 0) or run is full_run


def test_tags(gregaria, locustfile, shop):
    text = """
from locust import HttpUser, constant, tag, task
class Visitor(HttpUser):
    wait_time = constant(0.01)
    @tag("a")
    @task
    def one(self): self.client.get("/status/201")
    @tag("a", "b")
    @task
    def two(self): self.client.get("/status/202")
    @task
    def three(self): self.client.get("/status/203")
"""
    path = locustfile(text)
    cases = [(["-T", "a"], {"/status/201", "/status/202"}), (["-T", "a", "-E", "b"], {"/status/201"}),
             (["-E", "a"], {"/status/203"})]
    runs = [gregaria.start("-f", path, "--headless", "-H", shop.url, "-t", "1s", "--json", *args) for args, _ in cases]
    assert [{entry["name"] for entry in run.wait().entries()} for run in runs] == [names for _, names in cases]
    result = gregaria("-f", path, "--headless", "-H", shop.url, "-t", "1s", "-T", "nobody")
    assert result.status == 1
    assert "No tasks of Visitor are left by --tags and --exclude-tags" in sentence(result)


def test_several_files_and_folders(gregaria, locustfile, tmp_path):
    (tmp_path / "more" / "deep").mkdir(parents=True)
    locustfile(VISITOR.replace("Visitor", "Deep"), "more/deep/one.py")
    locustfile(VISITOR.replace("Visitor", "Hidden"), "more/_two.py")
    single = locustfile(VISITOR, "single.py")
    result = gregaria("-f", f"{single}, {tmp_path / 'more'}", "--list")
    assert result.stdout == "Available Users:\n    Visitor\n    Deep\n", result
    again = locustfile(VISITOR, "again.py")
    result = gregaria("-f", f"{single},{again}", "--headless", "-H", NOWHERE)
    assert result.status == 1
    assert f"Duplicate user class names: Visitor is defined in both {single} and {again}" in sentence(result)
