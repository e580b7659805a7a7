/* StatsEntry: one row of the statistics as a locustfile sees it, and Entries: the dict of them.
 *
 * A row holds its owner and its key; every attribute adds up what `all` and `delta` of the
 * owner's shard know of that key at this moment. Counters need no more than that; percentiles
 * merge the two histograms into a temporary one (a few dozen KB copied). A row whose figures
 * were cleared reads as zero, and again as the new ones when its name comes back. */
#include "python/stats_int.h"
#include "base/alloc.h"
#include "base/clock.h"

#include <math.h>

typedef struct Entry {
    PyObject ob_base;
    gr__py_stats *stats;             /* owned */
    PyObject *name, *method;         /* str, or what Python gave */
    PyObject *name_key, *method_key; /* bytes; NULL: the total */
} Entry;

/* A dict that makes rows on lookup. */
typedef struct Entries {
    PyDictObject dict;
    gr__py_stats *stats; /* owned */
} Entries;

static PyTypeObject *entry_type, *entries_type;

/* --- adding up ----------------------------------------------------------------------------- */

static gr_entry *find_row(const Entry *e, gr_stats *s) {
    if (!e->name_key) return gr_stats_total(s);
    return gr_stats_find(s, gr__py_bytes(e->method_key), gr__py_bytes(e->name_key));
}

/* Count, sum, min and max; `sum` gets no slots, so it needs no deinit. */
static void add_outline(gr_hist *sum, const gr_hist *h) {
    if (h->count == 0) return;
    sum->min = sum->count ? GR_MIN(sum->min, h->min) : h->min;
    sum->max = sum->count ? GR_MAX(sum->max, h->max) : h->max;
    sum->count += h->count;
    sum->sum += h->sum;
}

static void add_row(gr_entry *sum, const gr_entry *row) {
    if (!row) return;
    sum->requests += row->requests;
    sum->none_requests += row->none_requests;
    sum->failures += row->failures;
    sum->bytes += row->bytes;
    sum->started_at = sum->started_at ? GR_MIN(sum->started_at, row->started_at) : row->started_at;
    sum->last_request_at = GR_MAX(sum->last_request_at, row->last_request_at);
    add_outline(&sum->response, &row->response);
}

/* Everything but the histograms' slots and the seconds. Owns nothing. */
static gr_entry figures(const Entry *e) {
    gr_entry sum = {0};
    add_row(&sum, find_row(e, e->stats->shard.all));
    add_row(&sum, find_row(e, e->stats->shard.delta));
    return sum;
}

static gr_entry total_figures(const Entry *e) {
    gr_entry sum = {0};
    add_row(&sum, gr_stats_total(e->stats->shard.all));
    add_row(&sum, gr_stats_total(e->stats->shard.delta));
    return sum;
}

/* The merged histogram at `offset` in gr_entry; the caller deinits it. 0, or -1 with an
 * exception. */
static int merged_hist(const Entry *e, size_t offset, gr_hist *h) {
    const gr_entry *rows[] = {find_row(e, e->stats->shard.all), find_row(e, e->stats->shard.delta)};
    gr_hist_init(h);
    for (size_t i = 0; i < GR_LEN(rows); i++) {
        if (!rows[i]) continue;
        const gr_hist *part = (const gr_hist *)(const void *)((const char *)rows[i] + offset);
        if (gr_hist_merge(h, part) == 0) continue;
        gr_hist_deinit(h);
        PyErr_NoMemory();
        return -1;
    }
    return 0;
}

static Entry *as_entry(PyObject *o) {
    return (Entry *)o;
}

bool gr__py_entry_is_empty(PyObject *entry) {
    gr_entry f = figures(as_entry(entry));
    return f.requests == 0 && f.failures == 0;
}

/* --- plain attributes ---------------------------------------------------------------------- */

static PyObject *entry_count(PyObject *self, void *offset) {
    gr_entry f = figures(as_entry(self));
    uint64_t n;
    memcpy(&n, (const char *)&f + (uintptr_t)offset, sizeof n);
    return PyLong_FromUnsignedLongLong(n);
}

static PyObject *wall_seconds(gr_wall_ns at) {
    return at ? PyFloat_FromDouble((double)at / 1e9) : Py_NewRef(Py_None);
}

static PyObject *entry_start_time(PyObject *self, void *unused) {
    (void)unused;
    gr_entry f = figures(as_entry(self));
    return wall_seconds(f.started_at ? f.started_at : total_figures(as_entry(self)).started_at);
}

static PyObject *entry_last(PyObject *self, void *unused) {
    (void)unused;
    return wall_seconds(figures(as_entry(self)).last_request_at);
}

static PyObject *entry_min(PyObject *self, void *unused) {
    (void)unused;
    gr_entry f = figures(as_entry(self));
    return f.response.count ? PyFloat_FromDouble(gr_entry_min_ms(&f)) : Py_NewRef(Py_None);
}

static PyObject *entry_max(PyObject *self, void *unused) {
    (void)unused;
    gr_entry f = figures(as_entry(self));
    return f.response.count ? PyFloat_FromDouble(gr_entry_max_ms(&f)) : PyLong_FromLong(0);
}

static PyObject *entry_total_response_time(PyObject *self, void *unused) {
    (void)unused;
    return PyFloat_FromDouble(figures(as_entry(self)).response.sum / 1e6);
}

static PyObject *entry_mean(PyObject *self, void *unused) {
    (void)unused;
    gr_entry f = figures(as_entry(self));
    return PyFloat_FromDouble(gr_entry_mean_ms(&f));
}

static PyObject *entry_mean_bytes(PyObject *self, void *unused) {
    (void)unused;
    gr_entry f = figures(as_entry(self));
    return PyFloat_FromDouble(gr_entry_mean_bytes(&f));
}

static PyObject *entry_fail_ratio(PyObject *self, void *unused) {
    (void)unused;
    gr_entry f = figures(as_entry(self));
    return PyFloat_FromDouble(gr_entry_fail_ratio(&f));
}

static PyObject *entry_total_rate(PyObject *self, void *failures) {
    gr_entry f = figures(as_entry(self)), total = total_figures(as_entry(self));
    return PyFloat_FromDouble(gr_entry_total_rate(&f, &total, failures != NULL));
}

/* A mean per second over a window that only `total` decides: so the two parts' rates add up. */
static PyObject *entry_current_rate(PyObject *self, void *failures) {
    const Entry *e = as_entry(self);
    gr_entry total = total_figures(e);
    const gr_entry *rows[] = {find_row(e, e->stats->shard.all), find_row(e, e->stats->shard.delta)};
    double rate = 0;
    for (size_t i = 0; i < GR_LEN(rows); i++)
        if (rows[i]) rate += gr_entry_current_rate(rows[i], &total, failures != NULL);
    return PyFloat_FromDouble(rate);
}

static PyObject *entry_median(PyObject *self, void *unused) {
    (void)unused;
    gr_entry f = figures(as_entry(self));
    if (merged_hist(as_entry(self), offsetof(gr_entry, response), &f.response) < 0) return NULL;
    double ms = gr_entry_median_ms(&f);
    gr_hist_deinit(&f.response);
    return PyFloat_FromDouble(ms);
}

static PyObject *entry_name(PyObject *self, void *unused) {
    (void)unused;
    return Py_NewRef(as_entry(self)->name);
}
static PyObject *entry_method(PyObject *self, void *unused) {
    (void)unused;
    return Py_NewRef(as_entry(self)->method);
}
static PyObject *entry_stats(PyObject *self, void *unused) {
    (void)unused;
    return Py_NewRef((PyObject *)as_entry(self)->stats);
}
static PyObject *entry_has_window(PyObject *self, void *unused) {
    (void)unused;
    return PyBool_FromLong(as_entry(self)->name_key == NULL);
}

/* --- dicts --------------------------------------------------------------------------------- */

/* dict[key] += n. 0 or -1. */
static int count_in(PyObject *dict, PyObject *key, uint64_t n) {
    PyObject *old = PyDict_GetItemWithError(dict, key); /* borrowed */
    if (!old && PyErr_Occurred()) return -1;
    PyObject *more = PyLong_FromUnsignedLongLong(n);
    PyObject *sum = more && old ? PyNumber_Add(old, more) : Py_XNewRef(more);
    int rc = sum ? PyDict_SetItem(dict, key, sum) : -1;
    Py_XDECREF(sum);
    Py_XDECREF(more);
    return rc;
}

typedef struct buckets {
    PyObject *dict;   /* NULL: an exception is set */
    PyObject *custom; /* locust.stats.bucket_response_time when a user replaced it, or NULL */
} buckets;

static void add_bucket(void *ctx, int64_t ns, uint64_t count) {
    buckets *b = ctx;
    if (!b->dict) return;
    double ms = (double)ns / 1e6;
    PyObject *key =
        b->custom ? PyObject_CallFunction(b->custom, "d", ms) : PyLong_FromDouble(gr_bucket_ms(ms));
    if (!key || count_in(b->dict, key, count) < 0) Py_CLEAR(b->dict);
    Py_XDECREF(key);
}

/* Locust's histogram: {milliseconds: count}, rounded to two digits. */
static PyObject *entry_response_times(PyObject *self, void *unused) {
    (void)unused;
    gr_hist h;
    if (merged_hist(as_entry(self), offsetof(gr_entry, response), &h) < 0) return NULL;
    buckets b = {PyDict_New(), gr__py_stats_tunable("bucket_response_time")};
    if (b.custom && PyCFunction_Check(b.custom)) Py_CLEAR(b.custom); /* our own: skip the call */
    if (PyErr_Occurred())
        Py_CLEAR(b.dict);
    else
        gr_hist_each(&h, add_bucket, &b);
    Py_XDECREF(b.custom);
    gr_hist_deinit(&h);
    return b.dict;
}

static int add_seconds(PyObject *dict, const gr_entry *row, bool failures) {
    for (size_t i = 0; row && i < row->series.n; i++) {
        const gr_second *at = &row->series.at[i];
        uint64_t n = failures ? at->failures : at->requests;
        if (n == 0) continue;
        PyObject *second = PyLong_FromLongLong(at->second);
        int rc = second ? count_in(dict, second, n) : -1;
        Py_XDECREF(second);
        if (rc < 0) return -1;
    }
    return 0;
}

static PyObject *entry_per_second(PyObject *self, void *failures) {
    const Entry *e = as_entry(self);
    PyObject *dict = PyDict_New();
    if (dict && (add_seconds(dict, find_row(e, e->stats->shard.all), failures != NULL) < 0 ||
                 add_seconds(dict, find_row(e, e->stats->shard.delta), failures != NULL) < 0))
        Py_CLEAR(dict);
    return dict;
}

/* --- percentiles --------------------------------------------------------------------------- */

/* 0..1 as given; -1 with an exception. */
static double percent_of(PyObject *arg) {
    double p = PyFloat_AsDouble(arg);
    if (p == -1.0 && PyErr_Occurred()) return -1;
    if (!(p >= 0 && p <= 1)) {
        PyErr_Format(PyExc_ValueError, "a percentile is a number from 0 to 1, such as 0.95, not %R",
                     arg);
        return -1;
    }
    return p;
}

/* Milliseconds, or `empty` (borrowed) when nothing was recorded. */
static PyObject *percentile(const Entry *e, size_t offset, PyObject *arg, PyObject *empty) {
    double p = percent_of(arg);
    gr_hist h;
    if (p < 0 || merged_hist(e, offset, &h) < 0) return NULL;
    PyObject *ms =
        h.count ? PyFloat_FromDouble((double)gr_hist_percentile(&h, p) / 1e6) : Py_NewRef(empty);
    gr_hist_deinit(&h);
    return ms;
}

static PyObject *entry_percentile(PyObject *self, PyObject *arg) {
    PyObject *zero = PyLong_FromLong(0);
    PyObject *ms =
        zero ? percentile(as_entry(self), offsetof(gr_entry, response), arg, zero) : NULL;
    Py_XDECREF(zero);
    return ms;
}
static PyObject *entry_service(PyObject *self, PyObject *arg) {
    return percentile(as_entry(self), offsetof(gr_entry, service), arg, Py_None);
}
static PyObject *entry_due(PyObject *self, PyObject *arg) {
    return percentile(as_entry(self), offsetof(gr_entry, due), arg, Py_None);
}
static PyObject *entry_lag(PyObject *self, PyObject *arg) {
    return percentile(as_entry(self), offsetof(gr_entry, lag), arg, Py_None);
}

/* CURRENT_RESPONSE_TIME_PERCENTILE_WINDOW, limited to the seconds that are kept. -1 with an
 * exception. */
static int64_t window_seconds(void) {
    PyObject *value = gr__py_stats_tunable("CURRENT_RESPONSE_TIME_PERCENTILE_WINDOW");
    if (!value) return PyErr_Occurred() ? -1 : 10;
    double seconds = PyFloat_AsDouble(value);
    Py_DECREF(value);
    if (seconds == -1.0 && PyErr_Occurred()) return -1;
    return seconds >= 1 ? (int64_t)fmin(seconds, GR__RECENT_SECONDS - 1) : 1;
}

/* Over the last ten seconds, this one included. Only the total keeps them. */
static PyObject *entry_current_percentile(PyObject *self, PyObject *arg) {
    const Entry *e = as_entry(self);
    if (e->name_key) {
        PyErr_SetString(PyExc_ValueError, "only the total (stats.total) knows current percentiles");
        return NULL;
    }
    double p = percent_of(arg);
    int64_t window = p < 0 ? -1 : window_seconds();
    if (window < 0) return NULL;
    int64_t now = gr_clock_stamp_now() / (int64_t)GR_S(1);
    gr_hist sum;
    int rc = 0;
    gr_hist_init(&sum);
    for (size_t i = 0; rc == 0 && i < GR__RECENT_SECONDS; i++) {
        const gr__recent *r = &e->stats->recent[i];
        if (r->second > now - window && r->second <= now) rc = gr_hist_merge(&sum, &r->hist);
    }
    PyObject *ms = NULL;
    if (rc < 0)
        PyErr_NoMemory();
    else
        ms = sum.count ? PyFloat_FromDouble((double)gr_hist_percentile(&sum, p) / 1e6)
                       : Py_NewRef(Py_None);
    gr_hist_deinit(&sum);
    return ms;
}

/* --- as plain data ------------------------------------------------------------------------- */

/* Copy attributes into `dict` in order. 0 or -1. */
static int copy_attributes(PyObject *self, PyObject *dict, const char *const *names) {
    for (; *names; names++) {
        PyObject *value = PyObject_GetAttrString(self, *names);
        int rc = value ? PyDict_SetItemString(dict, *names, value) : -1;
        Py_XDECREF(value);
        if (rc < 0) return -1;
    }
    return 0;
}

PyObject *gr__py_entry_serialize(PyObject *self, PyObject *unused) {
    (void)unused;
    static const char *const NAMES[] = {"name",
                                        "method",
                                        "last_request_timestamp",
                                        "start_time",
                                        "num_requests",
                                        "num_none_requests",
                                        "num_failures",
                                        "total_response_time",
                                        "max_response_time",
                                        "min_response_time",
                                        "total_content_length",
                                        "response_times",
                                        "num_reqs_per_sec",
                                        "num_fail_per_sec",
                                        NULL};
    PyObject *dict = PyDict_New();
    if (dict && copy_attributes(self, dict, NAMES) < 0) Py_CLEAR(dict);
    return dict;
}

/* Locust shows minimum and maximum in whole milliseconds, halves up; no minimum as an int. */
static int put_extremes(const Entry *e, PyObject *dict) {
    gr_entry f = figures(e);
    PyObject *min = f.response.count ? PyFloat_FromDouble(floor(gr_entry_min_ms(&f) + 0.5))
                                     : PyLong_FromLong(0);
    PyObject *max = PyFloat_FromDouble(f.response.count ? floor(gr_entry_max_ms(&f) + 0.5) : 0);
    int rc = -1;
    if (min && max && PyDict_SetItemString(dict, "min_response_time", min) == 0)
        rc = PyDict_SetItemString(dict, "max_response_time", max);
    Py_XDECREF(min);
    Py_XDECREF(max);
    return rc;
}

static int put_percentile(PyObject *self, PyObject *dict, PyObject *p) {
    PyObject *key = PyUnicode_FromFormat("response_time_percentile_%S", p);
    PyObject *ms = key ? entry_percentile(self, p) : NULL;
    int rc = ms ? PyDict_SetItem(dict, key, ms) : -1;
    Py_XDECREF(ms);
    Py_XDECREF(key);
    return rc;
}

static int put_percentiles(PyObject *self, PyObject *dict) {
    PyObject *chosen = gr__py_stats_tunable("PERCENTILES_TO_STATISTICS");
    if (!chosen && !PyErr_Occurred()) chosen = Py_BuildValue("[dd]", 0.95, 0.99);
    PyObject *each =
        chosen ? PySequence_Fast(chosen, "PERCENTILES_TO_STATISTICS must be a list") : NULL;
    Py_XDECREF(chosen);
    if (!each) return -1;
    int rc = 0;
    for (Py_ssize_t i = 0; rc == 0 && i < PySequence_Fast_GET_SIZE(each); i++)
        rc = put_percentile(self, dict, PySequence_Fast_GET_ITEM(each, i));
    Py_DECREF(each);
    return rc;
}

static PyObject *entry_to_dict(PyObject *self, PyObject *unused) {
    (void)unused;
    static const char *const COUNTS[] = {"method", "name", "num_requests", "num_failures", NULL};
    static const char *const FIGURES[] = {"current_rps",
                                          "current_fail_per_sec",
                                          "avg_response_time",
                                          "median_response_time",
                                          "total_rps",
                                          "total_fail_per_sec",
                                          NULL};
    static const char *const SIZE[] = {"avg_content_length", NULL};
    PyObject *dict = PyDict_New();
    if (dict && copy_attributes(self, dict, COUNTS) == 0 &&
        put_extremes(as_entry(self), dict) == 0 && copy_attributes(self, dict, FIGURES) == 0 &&
        put_percentiles(self, dict) == 0 && copy_attributes(self, dict, SIZE) == 0)
        return dict;
    Py_XDECREF(dict);
    return NULL;
}

static PyObject *entry_repr(PyObject *self) {
    const Entry *e = as_entry(self);
    gr_entry f = figures(e);
    return PyUnicode_FromFormat("<StatsEntry %S %S: %llu requests, %llu failures>", e->method,
                                e->name, (unsigned long long)f.requests,
                                (unsigned long long)f.failures);
}

/* --- life of a row ------------------------------------------------------------------------- */

static Entry *entry_alloc(PyTypeObject *type, gr__py_stats *stats, PyObject *name,
                          PyObject *method) {
    Entry *e = (Entry *)type->tp_alloc(type, 0);
    if (!e) return NULL;
    e->stats = (gr__py_stats *)Py_NewRef((PyObject *)stats);
    e->name = Py_NewRef(name);
    e->method = Py_NewRef(method);
    return e;
}

static PyObject *entry_of(PyTypeObject *type, gr__py_stats *stats, PyObject *name,
                          PyObject *method) {
    Entry *e = entry_alloc(type, stats, name, method);
    if (e && (e->name_key = gr__py_stats_key(name)) && (e->method_key = gr__py_stats_key(method)))
        return (PyObject *)e;
    Py_XDECREF((PyObject *)e);
    return NULL;
}

PyObject *gr__py_entry_new(gr__py_stats *stats, PyObject *name, PyObject *method) {
    return entry_of(entry_type, stats, name, method);
}

PyObject *gr__py_total_new(gr__py_stats *stats) {
    PyObject *name = PyUnicode_FromString("Aggregated");
    PyObject *method = name ? PyUnicode_FromString("") : NULL;
    Entry *e = method ? entry_alloc(entry_type, stats, name, method) : NULL;
    Py_XDECREF(method);
    Py_XDECREF(name);
    return (PyObject *)e;
}

static PyObject *entry_new(PyTypeObject *type, PyObject *args, PyObject *keywords) {
    PyObject *stats, *name, *method, *ignored;
    if (!PyArg_ParseTupleAndKeywords(
            args, keywords, "OOO|O:StatsEntry",
            GR__WORDS("stats", "name", "method", "use_response_times_cache"), &stats, &name,
            &method, &ignored))
        return NULL;
    if (!gr_py_stats_check(stats)) {
        PyErr_Format(PyExc_TypeError, "stats must be a RequestStats, not %s",
                     Py_TYPE(stats)->tp_name);
        return NULL;
    }
    return entry_of(type, (gr__py_stats *)stats, name, method);
}

static int entry_traverse(PyObject *self, visitproc visit, void *arg) {
    Entry *e = as_entry(self);
    Py_VISIT(Py_TYPE(self));
    Py_VISIT((PyObject *)e->stats);
    Py_VISIT(e->name);
    Py_VISIT(e->method);
    return 0;
}

/* No tp_clear: a row is useless without its owner, and Stats breaks the cycle. */
static void entry_dealloc(PyObject *self) {
    Entry *e = as_entry(self);
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    Py_XDECREF((PyObject *)e->stats);
    Py_XDECREF(e->name);
    Py_XDECREF(e->method);
    Py_XDECREF(e->name_key);
    Py_XDECREF(e->method_key);
    type->tp_free(self);
    Py_DECREF(type);
}

#define COUNT(name, field, text)                                                                   \
    { name, entry_count, NULL, text, (void *)offsetof(gr_entry, field) }
#define FAILURES ((void *)1)
static PyGetSetDef ENTRY_ATTRIBUTES[] = {
    {"name", entry_name, NULL, NULL, NULL},
    {"method", entry_method, NULL, NULL, NULL},
    {"stats", entry_stats, NULL, "The Stats that this row belongs to.", NULL},
    {"use_response_times_cache", entry_has_window, NULL,
     "Whether get_current_response_time_percentile can answer.", NULL},
    COUNT("num_requests", requests, "Requests, failed ones included."),
    COUNT("num_none_requests", none_requests, "Of these, the ones without a response time."),
    COUNT("num_failures", failures, "Failures."),
    COUNT("total_content_length", bytes, "Bytes received, decoded bodies."),
    {"start_time", entry_start_time, NULL, "Creation or last reset, seconds since 1970.", NULL},
    {"last_request_timestamp", entry_last, NULL, "End of the newest request, or None.", NULL},
    {"min_response_time", entry_min, NULL, "Milliseconds, exact; None before the first.", NULL},
    {"max_response_time", entry_max, NULL, "Milliseconds, exact.", NULL},
    {"total_response_time", entry_total_response_time, NULL, "Milliseconds, all requests.", NULL},
    {"avg_response_time", entry_mean, NULL, "Milliseconds.", NULL},
    {"median_response_time", entry_median, NULL, "Milliseconds.", NULL},
    {"avg_content_length", entry_mean_bytes, NULL, "Bytes.", NULL},
    {"fail_ratio", entry_fail_ratio, NULL, "Failures per request, 0 to 1.", NULL},
    {"total_rps", entry_total_rate, NULL, "Requests per second, whole run.", NULL},
    {"total_fail_per_sec", entry_total_rate, NULL, "Failures per second, whole run.", FAILURES},
    {"current_rps", entry_current_rate, NULL, "Requests per second, lately.", NULL},
    {"current_fail_per_sec", entry_current_rate, NULL, "Failures per second, lately.", FAILURES},
    {"response_times", entry_response_times, NULL, "{rounded milliseconds: count}", NULL},
    {"num_reqs_per_sec", entry_per_second, NULL, "{second since 1970: requests}", NULL},
    {"num_fail_per_sec", entry_per_second, NULL, "{second since 1970: failures}", FAILURES},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMethodDef ENTRY_METHODS[] = {
    {"get_response_time_percentile", entry_percentile, METH_O,
     "get_response_time_percentile(percent)\n--\n\nMilliseconds by which that part (0 to 1) of the "
     "requests was done; 0 without requests."},
    {"get_current_response_time_percentile", entry_current_percentile, METH_O,
     "get_current_response_time_percentile(percent)\n--\n\nThe same over the last ten seconds, or "
     "None."},
    {"service_time_percentile", entry_service, METH_O,
     "service_time_percentile(percent)\n--\n\nMilliseconds from the request's bytes in the kernel "
     "to "
     "the answer's last byte; None when nothing was measured."},
    {"due_time_percentile", entry_due, METH_O,
     "due_time_percentile(percent)\n--\n\nMilliseconds from the moment the request was due; None "
     "when "
     "nothing was measured."},
    {"lag_percentile", entry_lag, METH_O,
     "lag_percentile(percent)\n--\n\nMilliseconds that the load generator itself added; None when "
     "nothing was measured."},
    {"to_dict", entry_to_dict, METH_NOARGS,
     "to_dict()\n--\n\nThe figures that the web page shows."},
    {"serialize", gr__py_entry_serialize, METH_NOARGS, "serialize()\n--\n\nThe raw figures."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot ENTRY_SLOTS[] = {
    {Py_tp_new, entry_new},
    {Py_tp_dealloc, entry_dealloc},
    {Py_tp_traverse, entry_traverse},
    {Py_tp_repr, entry_repr},
    {Py_tp_getset, ENTRY_ATTRIBUTES},
    {Py_tp_methods, ENTRY_METHODS},
    {Py_tp_doc,
     (void *)(uintptr_t) "StatsEntry(stats, name, method)\n--\n\nOne row of the statistics; "
                         "every attribute reads the current figures."},
    {0, NULL},
};
static PyType_Spec ENTRY_SPEC = {"locust._engine.StatsEntry", sizeof(Entry), 0,
                                 Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
                                 ENTRY_SLOTS};

/* --- the dict of rows ---------------------------------------------------------------------- */

static PyObject *entries_missing(PyObject *self, PyObject *key) {
    gr__py_stats *stats = ((Entries *)(void *)self)->stats;
    if (!stats || !PyTuple_Check(key) || PyTuple_GET_SIZE(key) != 2) {
        PyErr_SetObject(PyExc_KeyError, key);
        return NULL;
    }
    PyObject *e = gr__py_entry_new(stats, PyTuple_GET_ITEM(key, 0), PyTuple_GET_ITEM(key, 1));
    if (!e) return NULL;
    const Entry *row = as_entry(e);
    if (!gr_stats_entry(stats->shard.delta, gr__py_bytes(row->method_key),
                        gr__py_bytes(row->name_key))) {
        PyErr_NoMemory();
        Py_CLEAR(e);
    } else if (PyDict_SetItem(self, key, e) < 0) {
        Py_CLEAR(e);
    }
    return e;
}

static int add_missing_row(gr__py_stats *stats, const gr_entry *row) {
    PyObject *name = gr_py_text(row->name);
    PyObject *method = name ? gr_py_text(row->method) : NULL;
    PyObject *key = method ? PyTuple_Pack(2, name, method) : NULL;
    int rc = key ? PyDict_Contains(stats->entries, key) : -1;
    if (rc == 0) {
        PyObject *e = gr__py_entry_new(stats, name, method);
        rc = e ? PyDict_SetItem(stats->entries, key, e) : -1;
        Py_XDECREF(e);
    }
    Py_XDECREF(key);
    Py_XDECREF(method);
    Py_XDECREF(name);
    return rc < 0 ? -1 : 0;
}

int gr__py_entries_update(gr__py_stats *stats) {
    if (!stats->entries) return 0; /* being collected */
    const gr_stats *parts[] = {stats->shard.all, stats->shard.delta};
    for (size_t i = 0; i < GR_LEN(parts); i++) {
        gr_entry **rows;
        ptrdiff_t n = gr_stats_entries(parts[i], &rows);
        if (n < 0) {
            PyErr_NoMemory();
            return -1;
        }
        int rc = 0;
        for (ptrdiff_t k = 0; rc == 0 && k < n; k++)
            rc = add_missing_row(stats, rows[k]);
        gr_free(rows);
        if (rc < 0) return -1;
    }
    return 0;
}

PyObject *gr__py_entries_new(gr__py_stats *stats) {
    PyObject *entries = PyObject_CallNoArgs((PyObject *)entries_type);
    if (entries) ((Entries *)(void *)entries)->stats = (gr__py_stats *)Py_NewRef((PyObject *)stats);
    return entries;
}

static int entries_traverse(PyObject *self, visitproc visit, void *arg) {
    Py_VISIT(Py_TYPE(self));
    Py_VISIT((PyObject *)((Entries *)(void *)self)->stats);
    return PyDict_Type.tp_traverse(self, visit, arg);
}

static int entries_clear(PyObject *self) {
    Py_CLEAR(((Entries *)(void *)self)->stats);
    return PyDict_Type.tp_clear(self);
}

static void entries_dealloc(PyObject *self) {
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    Py_CLEAR(((Entries *)(void *)self)->stats);
    PyObject_GC_Track(self); /* as dict's own dealloc expects it */
    PyDict_Type.tp_dealloc(self);
    Py_DECREF(type);
}

static PyMethodDef ENTRIES_METHODS[] = {
    {"__missing__", entries_missing, METH_O, "Make the row (name, method)."},
    {NULL, NULL, 0, NULL},
};
static PyType_Slot ENTRIES_SLOTS[] = {
    {Py_tp_dealloc, entries_dealloc},
    {Py_tp_traverse, entries_traverse},
    {Py_tp_clear, entries_clear},
    {Py_tp_methods, ENTRIES_METHODS},
    {Py_tp_doc, (void *)(uintptr_t) "{(name, method): StatsEntry}, made on lookup."},
    {0, NULL},
};
static PyType_Spec ENTRIES_SPEC = {"locust._engine.EntriesDict", sizeof(Entries), 0,
                                   Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC, ENTRIES_SLOTS};

static PyObject *bucket(PyObject *module, PyObject *ms) {
    (void)module;
    double value = PyFloat_AsDouble(ms);
    if (value == -1.0 && PyErr_Occurred()) return NULL;
    return PyLong_FromDouble(gr_bucket_ms(value));
}
static PyMethodDef FUNCTIONS[] = {
    {"bucket_response_time", bucket, METH_O,
     "bucket_response_time(ms)\n--\n\nRounded as in `response_times`: two digits from 100 on."},
    {NULL, NULL, 0, NULL},
};

int gr__py_init_stats_entry(PyObject *module) {
    if (!(entry_type = gr_py_add_type(module, &ENTRY_SPEC, NULL))) return -1;
    if (!(entries_type = gr_py_add_type(module, &ENTRIES_SPEC, &PyDict_Type))) return -1;
    return PyModule_AddFunctions(module, FUNCTIONS);
}
