"""locust.stats: figures, views, errors, resets; vectors from Locust's documented behaviour."""

import gc
import logging
import math
import weakref

import pytest

from locust import stats as stats_module
from locust.exception import CatchResponseError
from locust.stats import RequestStats, StatsEntry, StatsError, bucket_response_time


@pytest.fixture
def stats():
    return RequestStats()


def log(stats, *times, method="GET", name="/a", length=0):
    for ms in times:
        stats.log_request(method, name, ms, length)


def close(a, b):
    return math.isclose(a, b, rel_tol=0.001)


# --- counting --------------------------------------------------------------------------------


def test_empty(stats):
    assert stats.num_requests == stats.num_failures == stats.num_none_requests == 0
    assert stats.last_request_timestamp is None
    assert stats.start_time > 1e9
    assert stats.entries == {} and stats.errors == {} and stats.history == []
    total = stats.total
    assert (total.name, total.method) == ("Aggregated", "")
    assert total.min_response_time is None and total.max_response_time == 0
    assert total.avg_response_time == total.median_response_time == total.fail_ratio == 0
    assert total.get_response_time_percentile(0.95) == 0
    assert total.get_current_response_time_percentile(0.95) is None
    assert total.service_time_percentile(0.5) is None
    assert total.current_rps == total.total_rps == total.avg_content_length == 0


def test_counters_and_exact_times(stats):
    log(stats, 10.25, 20.5, 30, length=100)
    entry = stats.get("/a", "GET")
    assert entry.num_requests == stats.num_requests == 3
    assert entry.total_content_length == 300 and entry.avg_content_length == 100
    assert entry.min_response_time == 10.25 and entry.max_response_time == 30
    assert entry.total_response_time == 60.75 and entry.avg_response_time == 20.25
    assert entry.last_request_timestamp == stats.last_request_timestamp > entry.start_time - 1
    assert sum(entry.num_reqs_per_sec.values()) == 3 and entry.num_fail_per_sec == {}


def test_a_request_without_time_counts_as_request_only(stats):
    log(stats, None, 40)
    entry = stats.get("/a", "GET")
    assert (entry.num_requests, entry.num_none_requests, stats.num_none_requests) == (2, 1, 1)
    assert entry.avg_response_time == 40 and entry.response_times == {40: 1}


def test_odd_times_and_lengths(stats):
    log(stats, -5, 10**12, True, length=None)
    stats.log_request("GET", "/a", 1, -3)
    entry = stats.get("/a", "GET")
    assert entry.num_requests == 4 and entry.total_content_length == 0
    assert entry.min_response_time == -5 and entry.max_response_time == 10**12
    with pytest.raises(ValueError, match="nan"):
        log(stats, math.nan)
    with pytest.raises(TypeError):
        log(stats, "fast")
    assert stats.num_requests == 4


def test_names_that_are_no_plain_text(stats):
    for name in ("/ä/日本", "a\udcffb", "a\ud800b", "nul\0nul", "", 7, None):
        stats.log_request("GET", name, 1, 0)
    assert stats.num_requests == 7
    assert stats.get("a\udcffb", "GET").num_requests == 1
    assert stats.get("nul\0nul", "GET").num_requests == 1
    assert stats.get(7, "GET").num_requests == 1
    assert ("/ä/日本", "GET") in stats.entries and ("7", "GET") in stats.entries


def test_keywords(stats):
    stats.log_request(method="GET", name="/k", response_time=5, content_length=1)
    stats.log_error(method="GET", name="/k", error="no")
    stats.log_exception(node_id="local", msg="m", tb="t")
    assert stats.get(name="/k", method="GET").num_failures == 1


# --- rows ------------------------------------------------------------------------------------


def test_rows_are_live_views(stats):
    entry = stats.get("/a", "GET")
    assert entry is stats.get("/a", "GET") is stats.entries["/a", "GET"]
    assert entry.num_requests == 0
    log(stats, 1, 2)
    assert entry.num_requests == 2
    assert entry.stats is stats
    assert StatsEntry(stats, "/a", "GET").num_requests == 2
    with pytest.raises(TypeError):
        StatsEntry(None, "/a", "GET")


def test_entries_make_rows_on_lookup(stats):
    log(stats, 1, name="/b")
    log(stats, 1, name="/a", method="POST")
    assert list(stats.entries) == [("/a", "POST"), ("/b", "GET")]
    assert stats.entries["/new", "GET"].num_requests == 0
    assert ("/new", "GET") in stats.entries
    assert stats.entries.get(("/other", "GET")) is None
    with pytest.raises(KeyError):
        stats.entries["/new"]
    assert [e.name for e in stats_module.sort_stats(stats.entries)] == ["/a", "/b", "/new"]


def test_the_graph_is_collected():
    stats = RequestStats()
    log(stats, 1)
    held = stats.get("/a", "GET")
    ref = weakref.ref(stats)
    del stats
    gc.collect()
    assert ref() is not None and held.num_requests == 1
    del held
    gc.collect()
    assert ref() is None


# --- figures ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "ms, bucket",
    [(0.5, 0), (1.5, 2), (2.5, 2), (99.5, 100), (105, 100), (115, 120), (145, 140), (147, 150), (995, 1000)]
    + [(1050, 1000), (1051, 1100), (3432, 3400), (9950, 10000), (10500, 10000), (11500, 12000), (58760, 59000)],
)
def test_buckets(ms, bucket):
    assert bucket_response_time(ms) == bucket


def test_response_times_use_the_module_function(stats, monkeypatch):
    log(stats, 147, 3432, 3432)
    assert stats.total.response_times == {150: 1, 3400: 2}
    monkeypatch.setattr(stats_module, "bucket_response_time", lambda ms: round(ms, -3))
    assert stats.total.response_times == {0: 1, 3000: 2}
    monkeypatch.setattr(stats_module, "bucket_response_time", lambda ms: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        stats.total.response_times


def test_percentiles_are_exact_to_a_thousandth(stats):
    log(stats, *range(1, 1001))
    for p, want in ((0, 1), (0.5, 500), (0.95, 950), (0.999, 999), (1, 1000)):
        assert close(stats.total.get_response_time_percentile(p), want)
    assert close(stats.total.median_response_time, 500)
    assert close(stats.total.get_current_response_time_percentile(0.5), 500)
    for wrong in (-0.1, 1.5, math.nan, 95):
        with pytest.raises(ValueError, match="from 0 to 1"):
            stats.total.get_response_time_percentile(wrong)
    with pytest.raises(TypeError):
        stats.total.get_response_time_percentile("0.5")


def test_only_the_total_has_current_percentiles(stats):
    log(stats, 5)
    assert stats.total.use_response_times_cache is True
    assert stats.get("/a", "GET").use_response_times_cache is False
    with pytest.raises(ValueError):
        stats.get("/a", "GET").get_current_response_time_percentile(0.5)


def test_one_value_is_its_own_median(stats):
    log(stats, 147)
    assert stats.total.median_response_time == 147


def test_fail_ratio(stats):
    entry = stats.get("/a", "GET")
    stats.log_error("GET", "/a", "x")
    assert entry.fail_ratio == 1.0
    log(stats, 1)
    stats.log_error("GET", "/a", "x")
    assert entry.fail_ratio == 2.0


def test_rates(stats):
    log(stats, *[1] * 50)
    total = stats.total
    assert total.total_rps > 0 and total.total_fail_per_sec == 0
    assert total.current_rps == 0  # the newest seconds are left out


def test_to_dict(stats, monkeypatch):
    log(stats, 233.4, 233.5)
    row = stats.get("/a", "GET").to_dict()
    assert list(row) == [
        "method", "name", "num_requests", "num_failures", "min_response_time", "max_response_time", "current_rps",
        "current_fail_per_sec", "avg_response_time", "median_response_time", "total_rps", "total_fail_per_sec",
        "response_time_percentile_0.95", "response_time_percentile_0.99", "avg_content_length",
    ]  # fmt: skip
    assert row["min_response_time"] == 233.0 and row["max_response_time"] == 234.0
    monkeypatch.setattr(stats_module, "PERCENTILES_TO_STATISTICS", (0.5,))
    row = stats.get("/new", "GET").to_dict()
    assert row["response_time_percentile_0.5"] == 0 and "response_time_percentile_0.95" not in row
    assert row["min_response_time"] == 0 and isinstance(row["min_response_time"], int)


def test_serialize_does_not_reset(stats):
    log(stats, 1, 2)
    stats.get("/idle", "GET")
    rows = stats.serialize_stats()
    assert rows == stats.serialize_stats()
    assert [row["name"] for row in rows] == ["/a"]
    assert list(rows[0]) == [
        "name", "method", "last_request_timestamp", "start_time", "num_requests", "num_none_requests", "num_failures",
        "total_response_time", "max_response_time", "min_response_time", "total_content_length", "response_times",
        "num_reqs_per_sec", "num_fail_per_sec",
    ]  # fmt: skip
    assert rows[0]["response_times"] == {1: 1, 2: 1}


# --- errors ----------------------------------------------------------------------------------


def test_errors(stats):
    for _ in range(2):
        stats.log_error("GET", "/c", "text")
    stats.log_error("GET", "/c", ValueError("bad"))
    key = next(k for k in stats.errors if k.startswith("59acff4bf03c49e7"))
    error = stats.errors[key]
    assert (error.method, error.name, error.error, error.occurrences) == ("GET", "/c", "text", 2)
    assert error.last_seen >= error.first_seen > 1e9
    assert error.to_name() == "GET /c: text"
    assert {e.error for e in stats.errors.values()} == {"text", "ValueError('bad')"}
    assert StatsError.create_key("GET", "/c", "text") == key
    assert stats.serialize_errors()[key] == error.to_dict()
    assert stats.num_failures == 3 and stats.num_requests == 0


def test_errors_are_brought_up_to_date_in_place(stats):
    stats.log_error("GET", "/c", "text")
    errors = stats.errors
    (error,) = errors.values()
    stats.log_error("GET", "/c", "text")
    assert stats.errors is errors and error.occurrences == 2
    stats.errors
    assert error.occurrences == 2


def test_addresses_are_masked(stats):
    for _ in range(3):
        stats.log_error("GET", "/", ValueError(object()))
    (error,) = stats.errors.values()
    assert error.error == "ValueError(<object object at 0x....>)" and error.occurrences == 3
    assert StatsError.parse_error("object at 0x12") == "object at 0x12"


def test_a_repr_that_raises_still_counts(stats):
    class Broken(Exception):
        def __repr__(self):
            raise RuntimeError

    stats.log_error("GET", "/", Broken())
    (error,) = stats.errors.values()
    assert "Broken" in error.error


@pytest.mark.parametrize(
    "error, shown",
    [(CatchResponseError("it's\nbad"), "it's\nbad"), (CatchResponseError(404), "404"), (KeyError("k"), "KeyError('k')")]
    + [("plain", "plain"), (CatchResponseError(ValueError(1)), "ValueError(1)"), ("CatchResponseError(", "")],
)
def test_names_of_errors(stats, error, shown):
    stats.log_error("GET", "/", error)
    (line,) = stats.errors.values()
    assert line.to_name() == f"GET /: {shown}"


def test_a_stats_error_of_ones_own():
    error = StatsError("GET", "/", ValueError("x"), 3, 1.0, 2.0)
    assert error.to_dict() == {
        "method": "GET", "name": "/", "error": "ValueError('x')", "occurrences": 3, "first_seen": 1.0, "last_seen": 2.0,
    }  # fmt: skip
    with pytest.raises(AttributeError):
        error.occurrences = 4


def test_exceptions(stats):
    stats.log_exception("local", "boom", "Traceback 1")
    stats.log_exception("local", "later", "Traceback 1")
    stats.log_exception("worker", "boom", "Traceback 2")
    rows = list(stats.exceptions().values())
    assert rows[0] == {"count": 2, "msg": "boom", "traceback": "Traceback 1", "nodes": {"local"}}
    assert rows[1]["nodes"] == {"worker"}
    assert stats.exceptions().keys() == {hash("Traceback 1"), hash("Traceback 2")}


# --- reset -----------------------------------------------------------------------------------


def test_reset_keeps_rows(stats):
    log(stats, 5)
    stats.log_error("GET", "/a", "x")
    stats.log_exception("local", "boom", "tb")
    stats.history.append({})
    entry, errors = stats.get("/a", "GET"), stats.errors
    stats.reset_all()
    assert entry.num_requests == entry.num_failures == stats.num_requests == 0
    assert list(stats.entries) == [("/a", "GET")] and stats.errors == errors == {} and stats.history == []
    assert stats.total.get_current_response_time_percentile(0.5) is None
    assert len(stats.exceptions()) == 1
    stats.log_error("GET", "/a", "x")
    assert [e.occurrences for e in stats.errors.values()] == [1]


def test_clear_drops_everything(stats):
    log(stats, 5)
    stats.log_exception("local", "boom", "tb")
    entry = stats.get("/a", "GET")
    stats.clear_all()
    assert stats.entries == {} and entry.num_requests == 0 and stats.exceptions() == {}
    log(stats, 7)
    assert entry.num_requests == 1 and stats.total.max_response_time == 7


def test_history_can_be_replaced(stats):
    stats.history = [1]
    assert stats.history == [1]
    with pytest.raises(AttributeError):
        del stats.history


def test_subclasses_take_attributes_and_locusts_argument():
    stats = RequestStats(use_response_times_cache=False)
    stats.mine = 1
    with pytest.raises(TypeError):
        RequestStats(nonsense=1)


# --- text ------------------------------------------------------------------------------------


def test_tables(stats, caplog):
    log(stats, 10, 20)
    stats.log_error("GET", "/a", "no good")
    logger = logging.getLogger("locust.stats_logger")
    logger.addHandler(caplog.handler)
    logger.setLevel(logging.INFO)
    try:
        stats_module.print_stats(stats, current=False)
        stats_module.print_percentiles_stats(stats)
        stats_module.print_error_report(stats)
    finally:
        logger.removeHandler(caplog.handler)
    text = "\n".join(dict.fromkeys(record.getMessage() for record in caplog.records))
    for token in ("# reqs", "failures/s", "Aggregated", "Response time percentiles", "Error report", "GET /a: no good"):
        assert token in text
    assert stats_module.get_error_report_summary(RequestStats()) == []


def test_json(stats, capsys, tmp_path):
    import json

    log(stats, 10, name="a\udcff")
    stats_module.print_stats_json(stats)
    (row,) = json.loads(capsys.readouterr().out)
    assert row["num_requests"] == 1 and row["response_times"] == {"10": 1}
    stats_module.save_stats_json(stats, str(tmp_path / "out"))
    assert json.loads((tmp_path / "out.json").read_text())[0]["num_requests"] == 1


def test_renderers_want_stats():
    from locust import _engine

    for render in (_engine.render_percentiles, _engine.render_errors, _engine.render_json):
        with pytest.raises(TypeError, match="RequestStats"):
            render({})


def test_helpers():
    times = dict.fromkeys(range(10, 101, 10), 1)
    percentile = stats_module.calculate_response_time_percentile
    for p, want in ((0, 10), (0.1, 20), (0.5, 60), (0.51, 60), (0.9, 100), (0.95, 100), (1, 100)):
        assert percentile(times, 10, p) == want
    assert percentile({150: 2, 3400: 1}, 3, 0.66) == 150
    assert percentile({150: 2, 3400: 1}, 3, 0.67) == 3400
    assert percentile({}, 0, 0.5) == 0
    assert stats_module.median_from_dict(2, {10: 1, 20: 1}) == 10
    assert stats_module.get_readable_percentiles([0.5, 0.999, 0.9999, 1.0]) == ["50%", "99.9%", "99.99%", "100%"]


def test_history_record(stats):
    class Runner:
        user_count = 3

    log(stats, 10)
    Runner.stats = stats
    stats_module.update_stats_history(Runner())
    (record,) = stats.history
    assert record["user_count"][1] == 3 and record["time"].endswith("Z")
    assert record["response_time_percentile_0.5"][1] == 10


def test_percentile_settings_are_validated(monkeypatch, capsys):
    stats_module.validate_stats_configuration()
    monkeypatch.setattr(stats_module, "PERCENTILES_TO_CHART", [1.5])
    with pytest.raises(SystemExit) as exit_info:
        stats_module.validate_stats_configuration()
    assert exit_info.value.code == 1
    assert "value between. 0 < percentile < 1 Eg 0.95" in capsys.readouterr().err


# --- with a control thread -------------------------------------------------------------------


@pytest.fixture
def control(stats, tmp_path):
    from locust._engine import Control

    path = str(tmp_path / "out")
    control = Control(stats, lambda *order: None, lambda: ("running", 1), tables=False, json_file=path)
    control.started()
    yield control
    control.finish()


def log_everything(stats):
    log(stats, 10, 20, None)
    stats.log_error("GET", "/a", "x")
    stats.log_exception("local", "boom", "tb")


def test_figures_add_up_across_hand_overs(stats, control):
    entry = stats.get("/a", "GET")
    for round_ in (1, 2, 3):
        log_everything(stats)
        if round_ < 3:
            control.flush()
        assert entry.num_requests == stats.num_requests == 3 * round_
        assert entry.num_none_requests == entry.num_failures == round_
        assert entry.avg_response_time == 15 and entry.max_response_time == 20
        assert entry.response_times == {10: round_, 20: round_}
        assert sum(entry.num_reqs_per_sec.values()) == 3 * round_
        assert sum(entry.num_fail_per_sec.values()) == round_
        assert close(entry.median_response_time, 10)
        assert [e.occurrences for e in stats.errors.values()] == [round_]
        assert [e["count"] for e in stats.exceptions().values()] == [round_]
        assert list(stats.entries.values()) == [entry]
        assert stats.serialize_stats()[0]["num_requests"] == 3 * round_


def test_the_control_thread_counts_each_sample_once(stats, control, tmp_path):
    import json

    log_everything(stats)
    control.flush()
    stats.total.get_response_time_percentile(0.5)
    stats.reset_all()
    log(stats, 30)
    control.flush()
    log(stats, 40)
    control.finish()
    (row,) = json.loads((tmp_path / "out.json").read_text())
    assert row["num_requests"] == 2 and row["num_failures"] == 0 and row["min_response_time"] == 30
    assert stats.num_requests == 2


def test_other_stats_objects_do_not_reach_the_control_thread(stats, control, tmp_path):
    import json

    log(stats, 1)
    other = RequestStats()
    log(other, 2)
    other.reset_all()
    other.clear_all()
    control.finish()
    assert [row["num_requests"] for row in json.loads((tmp_path / "out.json").read_text())] == [1]


# --- cost ------------------------------------------------------------------------------------


def test_recording_leaves_nothing_behind(stats):
    import tracemalloc

    stats.log_request("GET", "/a", 1.5, 10)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(1000):
            stats.log_request("GET", "/a", 1.5, 10)
        assert tracemalloc.get_traced_memory()[0] - before < 1000
    finally:
        tracemalloc.stop()
