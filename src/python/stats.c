/* locust._engine.Stats: the load thread's shard, recorded into by C (gr_py_stats_record) and by
 * Python (log_request), read by locustfiles.
 *
 * What always holds:
 *  - A sample is recorded once, into `delta`; figures are read as all + delta, so a reader sees
 *    everything up to this moment and moves nothing. Only gr_py_stats_hand_over merges the two.
 *  - The rows (StatsEntry) and errors (StatsError) that Python holds are views and copies; no
 *    pointer into the shard outlives a call, because a hand-over replaces `delta`.
 *  - Recording a sample creates no Python object. */
#include "python/stats_int.h"
#include "base/clock.h"
#include "base/err.h"

#include <math.h>

static PyTypeObject *stats_type;
static PyObject *address_mark; /* "object at 0x" */

bool gr_py_stats_check(PyObject *object) {
    return PyObject_TypeCheck(object, stats_type);
}

static gr__py_stats *as_stats(PyObject *object) {
    GR_DCHECK(gr_py_stats_check(object));
    return (gr__py_stats *)object;
}

PyObject *gr__py_stats_key(PyObject *name) {
    PyObject *text = PyUnicode_Check(name) ? Py_NewRef(name) : PyObject_Str(name);
    if (!text) return NULL;
    PyObject *key = PyUnicode_AsEncodedString(text, "utf-8", "surrogateescape");
    if (!key && PyErr_ExceptionMatches(PyExc_UnicodeEncodeError)) {
        PyErr_Clear(); /* other lone surrogates: visible, and never a lost sample */
        key = PyUnicode_AsEncodedString(text, "utf-8", "backslashreplace");
    }
    Py_DECREF(text);
    return key;
}

PyObject *gr__py_stats_tunable(const char *name) {
    PyObject *modules = PyImport_GetModuleDict(); /* borrowed */
    PyObject *module = modules ? PyDict_GetItemString(modules, "locust.stats") : NULL;
    if (!module) return NULL;
    PyObject *value = PyObject_GetAttrString(module, name);
    if (!value && PyErr_ExceptionMatches(PyExc_AttributeError)) PyErr_Clear();
    return value;
}

/* --- recording ----------------------------------------------------------------------------- */

static void record_recent(gr__py_stats *s, const gr_sample *sample) {
    if (sample->response_ns == GR_TIME_NONE) return;
    int64_t second = sample->ended_at / (int64_t)GR_S(1);
    gr__recent *r = &s->recent[(uint64_t)second % GR__RECENT_SECONDS];
    if (r->second != second) {
        gr_hist_reset(&r->hist);
        r->second = second;
    }
    /* Out of memory here costs one sample of "the last ten seconds", not of the results. */
    (void)gr_hist_record(&r->hist, sample->response_ns);
}

/* 0 or a negative code. */
static int fail(gr__py_stats *s, gr_entry *e, gr_str text, gr_wall_ns at) {
    s->failures_seen++;
    return gr_stats_fail(s->shard.delta, e, text, at);
}

int gr_py_stats_record(PyObject *stats, gr_str method, gr_str name, const gr_sample *sample,
                       const gr_str *error) {
    gr__py_stats *s = as_stats(stats);
    gr_entry *e = gr_stats_entry(s->shard.delta, method, name);
    int rc = e ? gr_stats_record(s->shard.delta, e, sample) : GR_E_NOMEM;
    if (e) record_recent(s, sample);
    if (e && error) {
        int failed = fail(s, e, *error, sample->ended_at);
        if (failed < 0) rc = failed;
    }
    if (rc < 0) PyErr_NoMemory();
    return rc < 0 ? -1 : 0;
}

void gr_py_stats_interrupted(PyObject *stats) {
    gr_stats_interrupted(as_stats(stats)->shard.delta, 1);
}

gr_report *gr_py_stats_hand_over(PyObject *stats, gr_report_kind kind) {
    return gr_shard_hand_over(&as_stats(stats)->shard, kind);
}

void gr_py_stats_loop_lag(PyObject *stats, int64_t ns) {
    (void)gr_hist_record(&as_stats(stats)->shard.loop_lag, ns);
}

void gr_py_stats_connect(PyObject *stats, gr_py_stats_post *posted) {
    as_stats(stats)->posted = posted;
}

/* --- errors' texts ------------------------------------------------------------------------- */

/* "<X object at 0x7f..>" differs with every object; as text it must not make every failure a
 * line of its own. As in Locust, every occurrence of the first address is masked. Steals `text`. */
static PyObject *mask_address(PyObject *text) {
    Py_ssize_t n = PyUnicode_GET_LENGTH(text);
    Py_ssize_t at = PyUnicode_Find(text, address_mark, 0, n, 1);
    if (at < 0) return text;
    at += PyUnicode_GET_LENGTH(address_mark) - 2;
    Py_ssize_t end = PyUnicode_FindChar(text, '>', at, n, 1);
    if (end < 0) return text;
    PyObject *address = PyUnicode_Substring(text, at, end);
    PyObject *dots = address ? PyUnicode_FromString("0x....") : NULL;
    PyObject *masked = dots ? PyUnicode_Replace(text, address, dots, -1) : NULL;
    Py_XDECREF(dots);
    Py_XDECREF(address);
    Py_DECREF(text);
    return masked;
}

/* What gevent.Timeout and the like say: their repr() has an address in it, and no words. */
static PyObject *interruption_text(PyObject *error) {
    PyObject *name = PyType_GetName(Py_TYPE(error)), *said = name ? PyObject_Str(error) : NULL;
    PyObject *text = said ? PyUnicode_FromFormat("%U(%R)", name, said) : NULL;
    Py_XDECREF(said);
    Py_XDECREF(name);
    return text;
}

PyObject *gr_py_stats_error_text(PyObject *error) {
    bool interruption = PyExceptionInstance_Check(error) &&
                        !PyType_IsSubtype(Py_TYPE(error), (PyTypeObject *)PyExc_Exception);
    PyObject *text = interruption             ? interruption_text(error)
                     : PyUnicode_Check(error) ? Py_NewRef(error)
                                              : PyObject_Repr(error);
    if (!text && PyErr_ExceptionMatches(PyExc_Exception)) {
        PyErr_Clear(); /* a failure with a broken repr() is still a failure of that class */
        text = PyUnicode_FromFormat("%s(<repr() failed>)", Py_TYPE(error)->tp_name);
    }
    return text ? mask_address(text) : NULL;
}

/* --- Stats: what Python calls -------------------------------------------------------------- */

/* Milliseconds, or None, to a sample's time. 0, or -1 with an exception. */
static int sample_time(PyObject *ms, int64_t *ns) {
    if (ms == Py_None) {
        *ns = GR_TIME_NONE;
        return 0;
    }
    double value = PyFloat_AsDouble(ms);
    if (value == -1.0 && PyErr_Occurred()) return -1;
    if (isnan(value)) {
        PyErr_SetString(PyExc_ValueError,
                        "response_time must be a number of milliseconds or None, not nan");
        return -1;
    }
    value *= 1e6;
    if (value >= 9.2e18) /* counted as over the histogram's range */
        *ns = INT64_MAX;
    else
        *ns = value <= -9.2e18 ? INT64_MIN + 1 : (int64_t)llround(value);
    return 0;
}

static int sample_bytes(PyObject *length, uint64_t *bytes) {
    *bytes = 0;
    if (length == Py_None) return 0;
    PyObject *number = PyNumber_Long(length);
    if (!number) return -1;
    int overflow = 0;
    long long n = PyLong_AsLongLongAndOverflow(number, &overflow);
    Py_DECREF(number);
    if (n == -1 && PyErr_Occurred()) return -1;
    if (overflow > 0) n = INT64_MAX;
    *bytes = n > 0 ? (uint64_t)n : 0;
    return 0;
}

static PyObject *stats_log_request(PyObject *self, PyObject *args, PyObject *keywords) {
    PyObject *method, *name, *ms, *length;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "OOOO:log_request",
                                     GR__WORDS("method", "name", "response_time", "content_length"),
                                     &method, &name, &ms, &length))
        return NULL;
    gr_sample sample = {.service_ns = GR_TIME_NONE,
                        .due_ns = GR_TIME_NONE,
                        .lag_ns = GR_TIME_NONE,
                        .ended_at = gr_clock_stamp_now()};
    if (sample_time(ms, &sample.response_ns) < 0 || sample_bytes(length, &sample.bytes) < 0)
        return NULL;
    PyObject *method_key = gr__py_stats_key(method);
    PyObject *name_key = method_key ? gr__py_stats_key(name) : NULL;
    int rc = -1;
    if (name_key)
        rc = gr_py_stats_record(self, gr__py_bytes(method_key), gr__py_bytes(name_key), &sample,
                                NULL);
    Py_XDECREF(name_key);
    Py_XDECREF(method_key);
    return rc < 0 ? NULL : Py_NewRef(Py_None);
}

/* 0, or -1 with an exception. */
static int log_error(gr__py_stats *s, PyObject *method, PyObject *name, PyObject *text) {
    gr_entry *e = gr_stats_entry(s->shard.delta, gr__py_bytes(method), gr__py_bytes(name));
    if (e && fail(s, e, gr__py_bytes(text), gr_clock_stamp_now()) == 0) return 0;
    PyErr_NoMemory();
    return -1;
}

static PyObject *stats_log_error(PyObject *self, PyObject *args, PyObject *keywords) {
    PyObject *method, *name, *error;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "OOO:log_error",
                                     GR__WORDS("method", "name", "error"), &method, &name, &error))
        return NULL;
    PyObject *method_key = gr__py_stats_key(method);
    PyObject *name_key = method_key ? gr__py_stats_key(name) : NULL;
    PyObject *text = name_key ? gr_py_stats_error_text(error) : NULL;
    PyObject *text_key = text ? gr__py_stats_key(text) : NULL;
    int rc = text_key ? log_error(as_stats(self), method_key, name_key, text_key) : -1;
    Py_XDECREF(text_key);
    Py_XDECREF(text);
    Py_XDECREF(name_key);
    Py_XDECREF(method_key);
    return rc < 0 ? NULL : Py_NewRef(Py_None);
}

static PyObject *stats_log_exception(PyObject *self, PyObject *args, PyObject *keywords) {
    PyObject *parts[3], *keys[3] = {NULL, NULL, NULL};
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "OOO:log_exception",
                                     GR__WORDS("node_id", "msg", "tb"), &parts[0], &parts[1],
                                     &parts[2]))
        return NULL;
    bool ready = true;
    for (int i = 0; ready && i < 3; i++)
        ready = (keys[i] = gr__py_stats_key(parts[i])) != NULL;
    int rc = -1;
    if (ready && (rc = gr_stats_exception(as_stats(self)->shard.delta, gr__py_bytes(keys[1]),
                                          gr__py_bytes(keys[2]), gr__py_bytes(keys[0]), 1)) < 0)
        PyErr_NoMemory();
    for (int i = 0; i < 3; i++)
        Py_XDECREF(keys[i]);
    return rc < 0 ? NULL : Py_NewRef(Py_None);
}

static PyObject *stats_exceptions(PyObject *self, PyObject *unused) {
    (void)unused;
    return gr__py_exceptions(as_stats(self));
}

/* Find or create the row, so that it shows in `entries` and in the tables, as in Locust. */
static PyObject *stats_get(PyObject *self, PyObject *args, PyObject *keywords) {
    PyObject *name, *method;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "OO:get", GR__WORDS("name", "method"), &name,
                                     &method))
        return NULL;
    PyObject *pair = PyTuple_Pack(2, name, method);
    PyObject *entry = pair ? PyObject_GetItem(as_stats(self)->entries, pair) : NULL;
    Py_XDECREF(pair);
    return entry;
}

/* --- reset --------------------------------------------------------------------------------- */

/* Locustfiles replace stats.history and clear it; so do we. */
static int renew_history(gr__py_stats *s) {
    PyObject *history = PyList_New(0);
    if (!history) return -1;
    Py_XSETREF(s->history, history);
    return 0;
}

static void forget_recent(gr__py_stats *s) {
    for (size_t i = 0; i < GR__RECENT_SECONDS; i++) {
        gr_hist_reset(&s->recent[i].hist);
        s->recent[i].second = 0;
    }
}

/* After the shard was zeroed: the rest of this object, and the control thread. */
static PyObject *after_zeroing(gr__py_stats *s) {
    forget_recent(s);
    s->errors_made_at = s->failures_seen;
    PyDict_Clear(s->errors);
    if (renew_history(s) < 0) return NULL;
    if (!s->posted) Py_RETURN_NONE;
    gr_report *r = gr_report_new(GR_REPORT_RESET);
    if (!r) return PyErr_NoMemory();
    s->posted(r);
    Py_RETURN_NONE;
}

static PyObject *stats_reset_all(PyObject *self, PyObject *unused) {
    (void)unused;
    gr__py_stats *s = as_stats(self);
    gr_wall_ns now = gr_clock_stamp_now();
    /* A row that only `all` knows stays; one that both know stays once. */
    gr_stats_reset(s->shard.all, now);
    gr_stats_reset(s->shard.delta, now);
    return after_zeroing(s);
}

static PyObject *stats_clear_all(PyObject *self, PyObject *unused) {
    (void)unused;
    gr__py_stats *s = as_stats(self);
    gr_wall_ns now = gr_clock_stamp_now();
    gr_stats_clear(s->shard.all, now);
    gr_stats_clear(s->shard.delta, now);
    PyDict_Clear(s->entries);
    return after_zeroing(s);
}

/* --- as plain data ------------------------------------------------------------------------- */

/* Rows with nothing counted are left out. Unlike Locust's, reading resets nothing. */
static PyObject *stats_serialize_stats(PyObject *self, PyObject *unused) {
    (void)unused;
    gr__py_stats *s = as_stats(self);
    if (gr__py_entries_update(s) < 0) return NULL;
    PyObject *rows = PyDict_Values(s->entries); /* a copy: bucket_response_time may be user code */
    PyObject *list = rows ? PyList_New(0) : NULL;
    for (Py_ssize_t i = 0; list && i < PyList_GET_SIZE(rows); i++) {
        PyObject *entry = PyList_GET_ITEM(rows, i);
        if (gr__py_entry_is_empty(entry)) continue;
        PyObject *row = gr__py_entry_serialize(entry, NULL);
        if (!row || PyList_Append(list, row) < 0) Py_CLEAR(list);
        Py_XDECREF(row);
    }
    Py_XDECREF(rows);
    return list;
}

static PyObject *stats_serialize_errors(PyObject *self, PyObject *unused) {
    (void)unused;
    gr__py_stats *s = as_stats(self);
    if (gr__py_errors_update(s) < 0) return NULL;
    PyObject *errors = PyDict_New();
    PyObject *key, *error;
    Py_ssize_t i = 0;
    while (errors && PyDict_Next(s->errors, &i, &key, &error)) {
        PyObject *row = gr__py_error_to_dict(error, NULL);
        if (!row || PyDict_SetItem(errors, key, row) < 0) Py_CLEAR(errors);
        Py_XDECREF(row);
    }
    return errors;
}

/* --- attributes ---------------------------------------------------------------------------- */

/* The parts are gone only while the collector takes a cycle apart. */
static PyObject *part(PyObject *object) {
    return Py_NewRef(object ? object : Py_None);
}

static PyObject *stats_entries(PyObject *self, void *unused) {
    (void)unused;
    gr__py_stats *s = as_stats(self);
    return gr__py_entries_update(s) < 0 ? NULL : part(s->entries);
}

static PyObject *stats_errors(PyObject *self, void *unused) {
    (void)unused;
    gr__py_stats *s = as_stats(self);
    return gr__py_errors_update(s) < 0 ? NULL : part(s->errors);
}

static PyObject *stats_total(PyObject *self, void *unused) {
    (void)unused;
    return part(as_stats(self)->total);
}

static PyObject *stats_history(PyObject *self, void *unused) {
    (void)unused;
    return part(as_stats(self)->history);
}

static int stats_set_history(PyObject *self, PyObject *value, void *unused) {
    (void)unused;
    if (!value) {
        PyErr_SetString(PyExc_AttributeError, "history cannot be deleted");
        return -1;
    }
    Py_SETREF(as_stats(self)->history, Py_NewRef(value));
    return 0;
}

static PyObject *stats_of_total(PyObject *self, void *name) {
    return PyObject_GetAttrString(as_stats(self)->total, name);
}

static PyObject *stats_interrupted(PyObject *self, void *unused) {
    (void)unused;
    const gr_shard *shard = &as_stats(self)->shard;
    return PyLong_FromUnsignedLongLong(gr_stats_interrupted_count(shard->all) +
                                       gr_stats_interrupted_count(shard->delta));
}

/* --- life ---------------------------------------------------------------------------------- */

static PyObject *stats_new(PyTypeObject *type, PyObject *args, PyObject *keywords) {
    (void)args, (void)keywords; /* __init__'s */
    gr__py_stats *s = (gr__py_stats *)type->tp_alloc(type, 0);
    if (!s) return NULL;
    for (size_t i = 0; i < GR__RECENT_SECONDS; i++)
        gr_hist_init(&s->recent[i].hist);
    if (gr_shard_init(&s->shard) < 0) {
        s->shard = (gr_shard){0}; /* nothing to deinit */
        PyErr_NoMemory();
        goto undo;
    }
    if (!(s->entries = gr__py_entries_new(s)) || !(s->errors = PyDict_New()) ||
        !(s->total = gr__py_total_new(s)) || renew_history(s) < 0)
        goto undo;
    return (PyObject *)s;
undo:
    Py_DECREF(s);
    return NULL;
}

static int stats_init(PyObject *self, PyObject *args, PyObject *keywords) {
    (void)self;
    PyObject *ignored; /* this engine keeps what the cache was for at no cost worth an option */
    return PyArg_ParseTupleAndKeywords(args, keywords, "|O:Stats",
                                       GR__WORDS("use_response_times_cache"), &ignored)
               ? 0
               : -1;
}

static int stats_traverse(PyObject *self, visitproc visit, void *arg) {
    gr__py_stats *s = (gr__py_stats *)self;
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(s->entries);
    Py_VISIT(s->errors);
    Py_VISIT(s->total);
    Py_VISIT(s->history);
    return 0;
}

static int stats_clear(PyObject *self) {
    gr__py_stats *s = (gr__py_stats *)self;
    Py_CLEAR(s->entries);
    Py_CLEAR(s->errors);
    Py_CLEAR(s->total);
    Py_CLEAR(s->history);
    return 0;
}

static void stats_dealloc(PyObject *self) {
    gr__py_stats *s = (gr__py_stats *)self;
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    (void)stats_clear(self);
    for (size_t i = 0; i < GR__RECENT_SECONDS; i++)
        gr_hist_deinit(&s->recent[i].hist);
    if (s->shard.all) gr_shard_deinit(&s->shard);
    type->tp_free(self);
    Py_DECREF(type);
}

#define TOTALS(name, text)                                                                         \
    { #name, stats_of_total, NULL, text, (void *)(uintptr_t) #name }
static PyGetSetDef STATS_ATTRIBUTES[] = {
    {"entries", stats_entries, NULL, "{(name, method): StatsEntry}", NULL},
    {"errors", stats_errors, NULL, "{key: StatsError}", NULL},
    {"total", stats_total, NULL, "The row named Aggregated.", NULL},
    {"history", stats_history, stats_set_history, "Figures over time, for charts.", NULL},
    {"interrupted", stats_interrupted, NULL, "Requests that the end of the test cut off.", NULL},
    TOTALS(num_requests, "Requests, failed ones included."),
    TOTALS(num_none_requests, "Of these, the ones without a response time."),
    TOTALS(num_failures, "Failures."),
    TOTALS(last_request_timestamp, "End of the newest request, seconds since 1970, or None."),
    TOTALS(start_time, "Creation or last reset, seconds since 1970."),
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMethodDef STATS_METHODS[] = {
    {"get", GR__WITH_WORDS(stats_get), METH_VARARGS | METH_KEYWORDS,
     "get(name, method)\n--\n\nThe StatsEntry of that name; an empty row is made when there is "
     "none."},
    {"log_request", GR__WITH_WORDS(stats_log_request), METH_VARARGS | METH_KEYWORDS,
     "log_request(method, name, response_time, content_length)\n--\n\nCount one request; "
     "response_time is in milliseconds or None."},
    {"log_error", GR__WITH_WORDS(stats_log_error), METH_VARARGS | METH_KEYWORDS,
     "log_error(method, name, error)\n--\n\nCount one failure, grouped by the error's text."},
    {"log_exception", GR__WITH_WORDS(stats_log_exception), METH_VARARGS | METH_KEYWORDS,
     "log_exception(node_id, msg, tb)\n--\n\nCount an uncaught exception of a task, grouped by its "
     "traceback."},
    {"exceptions", stats_exceptions, METH_NOARGS,
     "exceptions()\n--\n\n{hash: {count, msg, traceback, nodes}} of the tasks' uncaught "
     "exceptions."},
    {"reset_all", stats_reset_all, METH_NOARGS,
     "reset_all()\n--\n\nZero all figures, keep the rows."},
    {"clear_all", stats_clear_all, METH_NOARGS, "clear_all()\n--\n\nForget everything."},
    {"serialize_stats", stats_serialize_stats, METH_NOARGS,
     "serialize_stats()\n--\n\nA list of dicts, one for each row that has counted anything."},
    {"serialize_errors", stats_serialize_errors, METH_NOARGS,
     "serialize_errors()\n--\n\n{key: dict}, one for each distinct error."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot STATS_SLOTS[] = {
    {Py_tp_new, stats_new},
    {Py_tp_init, stats_init},
    {Py_tp_dealloc, stats_dealloc},
    {Py_tp_traverse, stats_traverse},
    {Py_tp_clear, stats_clear},
    {Py_tp_getset, STATS_ATTRIBUTES},
    {Py_tp_methods, STATS_METHODS},
    {Py_tp_doc, (void *)(uintptr_t) "Stats(use_response_times_cache=True)\n--\n\nEverything that "
                                    "this process has measured."},
    {0, NULL},
};
static PyType_Spec STATS_SPEC = {"locust._engine.Stats", sizeof(gr__py_stats), 0,
                                 Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
                                 STATS_SLOTS};

int gr_py_init_stats(PyObject *module) {
    if (!(address_mark = PyUnicode_InternFromString("object at 0x"))) return -1;
    if (!(stats_type = gr_py_add_type(module, &STATS_SPEC, NULL))) return -1;
    if (gr__py_init_stats_entry(module) < 0) return -1;
    if (gr__py_init_stats_error(module) < 0) return -1;
    return gr__py_init_report(module);
}
