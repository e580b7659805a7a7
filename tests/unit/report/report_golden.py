"""Writes report_golden.inc: what a real Locust prints for a small set of samples, and the samples.

Run with an interpreter that has Locust: report_golden.py > report_golden.inc

The samples are chosen so that Locust's rounding and ranks agree with exact ones: whole numbers of milliseconds below
100 (or one value an entry), and counts n with n * p never whole for a reported p below 1. Their sums are exact in
binary, so that floats agree to the last digit.
"""

import csv
import io
import json
import logging
from itertools import count
from types import SimpleNamespace as Namespace

import locust
from locust import stats as s
from locust.exception import CatchResponseError

START = 1700000000.0


def samples():
    """(method, name, milliseconds or None, bytes, second, error)"""
    for i in range(11):
        error = CatchResponseError("it's not \"it\"\\\n") if i == 3 else None
        yield "GET", "/", 20 + 4 * i, 1000 + i, 2 + i, error
    for i in range(7):
        yield "POST", '/naïve, "quoted"', 30.5, 10, 5 + i, "plain text, with comma" if i % 3 == 0 else None
    for i in range(2):
        yield "PROPFIND", "/" + "long/" * 20, 3, 0, 20 + i / 2, None
    for i in range(3):
        yield "WS", "no time", None, 7, 18 + i, OSError(111, "Connection refused") if i == 1 else None
    yield "", "n", 7.25, 5, 22.5, None


class Clock:
    now = START


def c_string(text):
    out = []
    for byte in text.encode():
        char = chr(byte)
        if char in '"\\':
            out.append("\\" + char)
        elif 32 <= byte < 127:
            out.append(char)
        else:
            out.append(f"\\{byte:03o}")
    return '"' + "".join(out) + '"'


def emit(name, text):
    lines = text.splitlines(keepends=True) or [""]
    print(f"static const char {name}[] =")
    print("\n".join("    " + c_string(line) for line in lines) + ";")


def console(function, *args):
    lines = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage() + "\n")
    s.console_logger.addHandler(handler)
    s.console_logger.setLevel(logging.INFO)
    function(*args)
    s.console_logger.removeHandler(handler)
    return "".join(lines)


def rows(write):
    text = io.StringIO(newline="")
    write(csv.writer(text))
    return text.getvalue()


def main():
    s.time = Namespace(time=lambda: Clock.now)
    stats = s.RequestStats(use_response_times_cache=False)
    print(f"/* By report_golden.py from Locust {locust.__version__}. */")
    print("static const struct golden_sample {")
    print("    const char *method, *name;")
    print("    double ms; /* negative: none */")
    print("    uint64_t bytes;")
    print("    int64_t at_ms;")
    print("    const char *error;")
    print("} GOLDEN_SAMPLES[] = {")
    for method, name, ms, size, second, error in samples():
        Clock.now = START + second
        stats.log_request(method, name, ms if ms is None else float(ms), size)
        text = "NULL"
        if error:
            stats.log_error(method, name, error)
            text = c_string(error if isinstance(error, str) else repr(error))
        print(
            f"    {{{c_string(method)}, {c_string(name)}, {-1 if ms is None else ms}, {size}, "
            f"{int(second * 1000)}, {text}}},"
        )
    print("};")
    for entry in stats.entries.values():
        entry.start_time = START
    # Locust sorts failures by a hash; ours come in order of occurrence.
    numbers = count()
    stats.errors = {f"{next(numbers):03}": e for e in stats.errors.values()}

    empty = s.RequestStats(use_response_times_cache=False)
    empty.total.start_time = START
    for width in (80, 40, 2):
        s.STATS_NAME_WIDTH = width
        emit(f"GOLDEN_STATS_CURRENT_{width}", console(s.print_stats, stats))
        emit(f"GOLDEN_STATS_TOTAL_{width}", console(s.print_stats, stats, False))
        emit(f"GOLDEN_PERCENTILES_{width}", console(s.print_percentile_stats, stats))
        emit(f"GOLDEN_ERRORS_{width}", console(s.print_error_report, stats))
    s.STATS_NAME_WIDTH = 80
    emit("GOLDEN_STATS_EMPTY", console(s.print_stats, empty))
    emit("GOLDEN_PERCENTILES_EMPTY", console(s.print_percentile_stats, empty))

    exceptions = {
        1: {"count": 3, "msg": "boom", "traceback": 'Traceback:\n  File "x.py", line 1\n', "nodes": ["local"]},
        2: {"count": 1, "msg": "", "traceback": "t", "nodes": ["a", "b"]},
    }
    environment = Namespace(stats=stats, runner=Namespace(user_count=5, exceptions=exceptions))
    writer = s.StatsCSV(environment, s.PERCENTILES_TO_REPORT)
    emit("GOLDEN_CSV_STATS", rows(writer.requests_csv))
    emit("GOLDEN_CSV_FAILURES", rows(writer.failures_csv))
    emit("GOLDEN_CSV_EXCEPTIONS", rows(writer.exceptions_csv))
    for full in (False, True):
        file_writer = s.StatsCSVFileWriter.__new__(s.StatsCSVFileWriter)
        s.StatsCSV.__init__(file_writer, environment, s.PERCENTILES_TO_REPORT)
        file_writer.full_history = full
        name = "FULL" if full else "TOTAL"
        emit(f"GOLDEN_CSV_HISTORY_{name}", rows(lambda w: file_writer._stats_history_data_rows(w, START + 30.9)))
    environment.stats = empty
    emit("GOLDEN_CSV_STATS_EMPTY", rows(writer.requests_csv))
    emit("GOLDEN_CSV_HISTORY_EMPTY", rows(lambda w: file_writer._stats_history_data_rows(w, START + 30.9)))

    emit("GOLDEN_JSON", json.dumps(stats.serialize_stats(), indent=4))


main()
