"""locust.util, locust.user.inspectuser, locust.exception."""

import sys

import pytest

from locust.exception import InterruptTaskSet
from locust.user.inspectuser import get_ratio, print_task_ratio, print_task_ratio_json
from locust.util import load_locustfile as loading
from locust.util.cache import memoize
from locust.util.date import format_duration, format_safe_timestamp, format_utc_timestamp
from locust.util.directory import get_abspaths_in
from locust.util.exception_handler import retry
from locust.util.load_locustfile import LocustfileError
from locust.util.rounding import proper_round
from locust.util.url import is_url

# --- small ones ------------------------------------------------------------------------------


def test_date():
    assert format_utc_timestamp(1700000000.9) == "2023-11-14T22:13:20Z"
    assert len(format_safe_timestamp(1700000000)) == len("2023-11-14-22h13")
    assert format_duration(0, 86400 + 3600 + 60 + 1) == "1 day, 1 hour, 1 minute and 1 second"
    assert format_duration(10.9, 10.95) == "0 seconds"
    assert format_duration(0, 7202) == "2 hours and 2 seconds"
    assert format_duration(0, 60) == "1 minute"
    assert format_duration(5, 0) == "0 seconds"


def test_rounding():
    assert [proper_round(v) for v in (0.5, 1.5, 2.5, 2.4)] == [1.0, 2.0, 3.0, 2.0]
    assert proper_round(1.125, 2) == 1.13


def test_is_url():
    assert is_url("http://a") and is_url("HTTPS://a/b.py")
    assert not any(is_url(u) for u in ("a.py", "ftp://a", "http://", "http:///a", "/http://", ""))


def test_retry(monkeypatch):
    sleeps, calls = [], []
    monkeypatch.setattr("time.sleep", sleeps.append)

    @retry(delays=(1, 2), exception=KeyError)
    def flaky(result):
        calls.append(result)
        if len(calls) < 3:
            raise KeyError
        return result

    assert flaky(5) == 5 and sleeps == [1, 2]

    @retry(delays=(1,))
    def hopeless():
        raise ValueError("always")

    with pytest.raises(ValueError):
        hopeless()


def test_memoize(monkeypatch):
    now, calls = [0.0], []
    monkeypatch.setattr("time.monotonic", lambda: now[0])

    @memoize(timeout=10)
    def figure():
        calls.append(1)
        return len(calls)

    assert figure() == figure() == 1
    now[0] = 10.0
    assert figure() == 2
    figure.clear_cache()
    assert figure() == 3

    @memoize(timeout=1, dynamic_timeout=True)
    def slow():
        calls.append(1)
        now[0] += 5
        return len(calls)

    first = slow()
    now[0] += 9
    assert slow() == first
    now[0] += 1
    assert slow() == first + 1


def test_directory(tmp_path):
    for name in ("a.py", "_no.py", "b.txt", "sub/c.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    assert sorted(get_abspaths_in(str(tmp_path))) == [str(tmp_path / "a.py"), str(tmp_path / "sub/c.py")]
    assert get_abspaths_in(str(tmp_path), extension=".txt") == [str(tmp_path / "b.txt")]


def test_exceptions():
    assert InterruptTaskSet().reschedule is True and InterruptTaskSet(False).reschedule is False


# --- locustfiles -----------------------------------------------------------------------------


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before, modules = list(sys.path), dict(sys.modules)

    def write(name, text):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text(text)
        return str(path)

    yield write
    sys.path[:] = before
    for name in set(sys.modules) - set(modules):
        if not name.startswith("locust."):
            del sys.modules[name]


USERS = """
from locust import User
from locust.shape import LoadTestShape
from helper import HELPED
class Base(User):
    abstract = True
class B(Base):
    pass
class A(B):
    value = HELPED
alias = A
class Shape(LoadTestShape):
    def tick(self):
        return None
"""


def test_load(place):
    place("sub/helper.py", "HELPED = 5")
    path = place("sub/my.locust.file.py", USERS)
    users, shapes = loading.load_locustfile(path)
    assert list(users) == ["B", "A"] and users["A"].value == 5
    assert [type(shape).__name__ for shape in shapes] == ["Shape"]
    assert users["A"].__module__ == "my.locust.file" and sys.modules["my.locust.file"].A is users["A"]
    assert path.rsplit("/", 1)[0] not in sys.path


def test_a_file_named_locust(place):
    import locust

    users, _ = loading.load_locustfile(place("locust.py", "import locust\nclass U(locust.User): pass"))
    assert users["U"].__module__ == "locustfile" and sys.modules["locust"] is locust


def test_several_files(place):
    one = place("one/locustfile.py", "from locust import User\nclass One(User): pass")
    two = place("two/locustfile.py", "from locust import User\nclass Two(User): pass")
    users, shapes = loading.load_locustfiles([one, two])
    assert list(users) == ["One", "Two"] and shapes == {}


def test_one_class_found_twice(place):
    place("common.py", "from locust import User\nclass U(User): pass")
    files = [place(name, "from common import U") for name in ("one.py", "two.py")]
    assert list(loading.load_locustfiles(files)[0]) == ["U"]


def test_duplicates(place):
    users = [place(f"{i}/x{i}.py", "from locust import User\nclass U(User): pass") for i in (1, 2)]
    with pytest.raises(LocustfileError, match=r"Duplicate user class names: U is defined in both .*x1.py and .*x2.py"):
        loading.load_locustfiles(users)
    shape = "from locust.shape import LoadTestShape\nclass S(LoadTestShape):\n    def tick(self): return None"
    shapes = [place(f"s{i}.py", shape) for i in (1, 2)]
    with pytest.raises(LocustfileError, match="Duplicate shape classes: S"):
        loading.load_locustfiles(shapes)


@pytest.mark.parametrize(
    "text, first, last",
    [
        ("def f():\n    return 1 / 0\nf()\n", 'bad.py", line 3', "ZeroDivisionError: division by zero"),
        ("import broken\n", 'bad.py", line 1', "SyntaxError: "),
        ("class\n", 'bad.py", line 1', "SyntaxError: "),
        ("import does_not_exist\n", 'bad.py", line 1', "ModuleNotFoundError: No module named 'does_not_exist'"),
    ],
)
def test_what_a_locustfile_raises(place, capsys, text, first, last):
    place("broken.py", "x = = 1\n")
    path = place("bad.py", text)
    with pytest.raises(SystemExit) as info:
        loading.load_or_exit([path])
    assert info.value.code == 1
    lines = capsys.readouterr().err.splitlines()
    files = [line for line in lines if line.lstrip().startswith("File ")]
    assert first in files[0] and lines[-1].startswith(last)
    assert not any("importlib" in line or "load_locustfile" in line for line in lines)
    assert "bad" not in sys.modules


def test_a_locustfile_may_exit(place):
    with pytest.raises(SystemExit) as info:
        loading.load_or_exit([place("exit.py", "import sys; sys.exit(9)")])
    assert info.value.code == 9


def test_duplicates_exit(place, capsys):
    files = [place(f"{i}/y{i}.py", "from locust import User\nclass U(User): pass") for i in (1, 2)]
    with pytest.raises(SystemExit) as info:
        loading.load_or_exit(files)
    assert info.value.code == 1 and capsys.readouterr().err.startswith("gregaria: error: Duplicate user class names")


def test_paths(place, tmp_path):
    place("d/one.py", "")
    place("d/_two.py", "")
    place("empty/readme.txt", "")
    paths = loading.parse_locustfile_paths([" d ", "d/one.py"])
    assert paths == [str(tmp_path / "d/one.py")] * 2
    for wrong in ("none.py", "empty/readme.txt", "empty"):
        with pytest.raises(LocustfileError, match=f"Could not find .*{wrong}"):
            loading.parse_locustfile_paths([wrong])
    with pytest.raises(LocustfileError, match="--worker"):
        loading.parse_locustfile_paths(["-"])


def test_shape():
    from locust.shape import LoadTestShape

    class Half(LoadTestShape):
        abstract = True

    class Whole(Half):
        pass

    assert not loading.is_shape_class(Half) and loading.is_shape_class(Whole) and not loading.is_shape_class(Whole())
    shape = Whole()
    assert shape.get_run_time() >= 0 and shape.get_current_user_count() == 0
    with pytest.raises(NotImplementedError, match="Whole"):
        shape.tick()


def test_download(place):
    import http.server
    import threading

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            body = b"X = 1" if self.path.startswith("/good.py") else b"<html>"
            self.send_response(404 if self.path == "/missing.py" else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    base = f"http://127.0.0.1:{server.server_port}"
    try:
        (path,) = loading.parse_locustfile_paths([f"{base}/good.py?x=1"])
        assert path.endswith("/good.py") and loading.import_locustfile(path).X == 1
        for name in ("missing.py", "page.py"):
            with pytest.raises(LocustfileError, match="Failed to get locustfile"):
                loading.parse_locustfile_paths([f"{base}/{name}"])
    finally:
        server.shutdown()
        server.server_close()


# --- task ratios -----------------------------------------------------------------------------


@pytest.fixture
def classes():
    from locust import TaskSet, User, task

    class Shop(User):
        weight = 3

        @task(3)
        def look(self): ...

        @task
        class Cart(TaskSet):
            @task
            def add(self): ...

            @task
            def pay(self): ...

    class Admin(User):
        fixed_count = 1

        @task
        def check(self): ...

    return [Shop, Admin]


def test_ratio(classes):
    per_class = get_ratio(classes, {"Shop": 3, "Admin": 1}, False)
    assert per_class["Shop"]["ratio"] == 0.75 and per_class["Shop"]["tasks"]["look"] == {"ratio": 0.75}
    assert per_class["Shop"]["tasks"]["Cart"]["tasks"]["add"]["ratio"] == 0.5
    total = get_ratio(classes, {"Shop": 3, "Admin": 1}, True)
    assert total["Shop"]["tasks"]["Cart"]["tasks"]["add"]["ratio"] == 0.75 * 0.25 / 2
    assert get_ratio(classes, {}, False)["Admin"]["ratio"] == 0


def test_ratio_output(classes, capsys):
    print_task_ratio(classes, 4)
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert rows[:2] == [["75.0", "Shop"], ["75.0", "look"]] and ["100.0", "check"] in rows
    print_task_ratio_json(classes, None)
    import json

    data = json.loads(capsys.readouterr().out)
    assert list(data) == ["per_class", "total"] and data["total"]["Admin"]["ratio"] == 1.0
