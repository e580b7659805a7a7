/* StatsError: one line of the error report, as Stats.errors holds it; and Stats.exceptions().
 *
 * The dict and its objects live as long as their Stats and are brought up to date when `errors`
 * is read after something failed; in between, reading costs nothing. An object's `updated_at`
 * says which update has counted it: the first of the shard's two halves to know an error sets
 * its figures, the other one adds to them. */
#include "python/stats_int.h"
#include "base/alloc.h"

#include <openssl/sha.h>
#include <structmember.h>

typedef struct Error {
    PyObject ob_base;
    PyObject *method, *name, *error; /* str */
    unsigned long long occurrences;
    double first_seen, last_seen; /* seconds since 1970; 0: not known */
    uint64_t updated_at;
} Error;

static PyTypeObject *error_type;

static Error *as_error(PyObject *o) {
    return (Error *)o;
}

/* Locust's key: the SHA-256 of "METHOD.NAME.repr(text)" in hexadecimal. */
static PyObject *error_key(PyObject *method, PyObject *name, PyObject *text) {
    static const char HEX[] = "0123456789abcdef";
    unsigned char digest[SHA256_DIGEST_LENGTH];
    char hex[2 * SHA256_DIGEST_LENGTH];
    PyObject *whole = PyUnicode_FromFormat("%S.%S.%R", method, name, text);
    PyObject *bytes = whole ? gr__py_stats_key(whole) : NULL;
    Py_XDECREF(whole);
    if (!bytes) return NULL;
    gr_str s = gr__py_bytes(bytes);
    SHA256((const unsigned char *)s.p, s.n, digest);
    Py_DECREF(bytes);
    for (size_t i = 0; i < sizeof digest; i++) {
        hex[2 * i] = HEX[digest[i] >> 4];
        hex[2 * i + 1] = HEX[digest[i] & 15];
    }
    return PyUnicode_FromStringAndSize(hex, sizeof hex);
}

/* --- bringing the dict up to date ---------------------------------------------------------- */

static double seconds(gr_wall_ns at) {
    return (double)at / 1e9;
}

static void count(Error *e, const gr_error *line, uint64_t update) {
    bool first = e->updated_at != update;
    double first_seen = seconds(line->first_at), last_seen = seconds(line->last_at);
    e->updated_at = update;
    e->occurrences = line->occurrences + (first ? 0 : e->occurrences);
    e->first_seen = first ? first_seen : GR_MIN(e->first_seen, first_seen);
    e->last_seen = first ? last_seen : GR_MAX(e->last_seen, last_seen);
}

/* The dict's object for that key, made when there is none. Borrowed. */
static Error *error_in(PyObject *errors, PyObject *key, PyObject *const parts[3]) {
    PyObject *old = PyDict_GetItemWithError(errors, key);
    if (old || PyErr_Occurred()) return (Error *)old;
    Error *e = (Error *)error_type->tp_alloc(error_type, 0);
    if (!e) return NULL;
    e->method = Py_NewRef(parts[0]);
    e->name = Py_NewRef(parts[1]);
    e->error = Py_NewRef(parts[2]);
    int rc = PyDict_SetItem(errors, key, (PyObject *)e);
    Py_DECREF((PyObject *)e);
    return rc < 0 ? NULL : e;
}

static int update_line(gr__py_stats *stats, const gr_error *line, uint64_t update) {
    PyObject *parts[3] = {gr_py_text(line->method), NULL, NULL};
    if (parts[0]) parts[1] = gr_py_text(line->name);
    if (parts[1]) parts[2] = gr_py_text(line->text);
    PyObject *key = parts[2] ? error_key(parts[0], parts[1], parts[2]) : NULL;
    Error *e = key ? error_in(stats->errors, key, parts) : NULL;
    if (e) count(e, line, update);
    Py_XDECREF(key);
    for (int i = 0; i < 3; i++)
        Py_XDECREF(parts[i]);
    return e ? 0 : -1;
}

static int update_from(gr__py_stats *stats, const gr_stats *half, uint64_t update) {
    gr_error **lines;
    ptrdiff_t n = gr_stats_errors(half, &lines);
    if (n < 0) {
        PyErr_NoMemory();
        return -1;
    }
    int rc = 0;
    for (ptrdiff_t i = 0; rc == 0 && i < n; i++)
        rc = update_line(stats, lines[i], update);
    gr_free(lines);
    return rc;
}

int gr__py_errors_update(gr__py_stats *stats) {
    if (!stats->errors || stats->errors_made_at == stats->failures_seen) return 0;
    uint64_t update = stats->failures_seen;
    int rc = update_from(stats, stats->shard.all, update);
    if (rc == 0) rc = update_from(stats, stats->shard.delta, update);
    if (rc == 0)
        stats->errors_made_at = update;
    else
        stats->failures_seen++; /* the next attempt must not add to this one's figures */
    return rc;
}

/* --- StatsError ---------------------------------------------------------------------------- */

/* The argument of a CatchResponseError rather than its repr(). A new reference. */
static PyObject *unwrapped(PyObject *text) {
    Py_ssize_t n = PyUnicode_GET_LENGTH(text), skip = (Py_ssize_t)strlen("CatchResponseError(");
    PyObject *wrapper = PyUnicode_FromString("CatchResponseError(");
    if (!wrapper) return NULL;
    bool wrapped = PyUnicode_Tailmatch(text, wrapper, 0, n, -1) == 1;
    Py_DECREF(wrapper);
    if (!wrapped) return Py_NewRef(text);
    PyObject *inner = PyUnicode_Substring(text, skip, n - 1);
    if (!inner) return NULL;
    PyObject *ast = PyImport_ImportModule("ast");
    PyObject *value = ast ? PyObject_CallMethod(ast, "literal_eval", "O", inner) : NULL;
    PyObject *shown = value ? PyObject_Str(value) : NULL;
    Py_XDECREF(value);
    Py_XDECREF(ast);
    if (shown) {
        Py_DECREF(inner);
        return shown;
    }
    PyErr_Clear(); /* the repr() of something that is no literal: shown as it is */
    return inner;
}

static PyObject *error_to_name(PyObject *self, PyObject *unused) {
    (void)unused;
    const Error *e = as_error(self);
    PyObject *shown = unwrapped(e->error);
    PyObject *name = shown ? PyUnicode_FromFormat("%S %S: %S", e->method, e->name, shown) : NULL;
    Py_XDECREF(shown);
    return name;
}

PyObject *gr__py_error_to_dict(PyObject *error, PyObject *unused) {
    (void)unused;
    const Error *e = as_error(error);
    return Py_BuildValue("{sOsOsOsKsdsd}", "method", e->method, "name", e->name, "error", e->error,
                         "occurrences", e->occurrences, "first_seen", e->first_seen, "last_seen",
                         e->last_seen);
}

static PyObject *error_create_key(PyObject *type, PyObject *args) {
    PyObject *method, *name, *error;
    (void)type;
    if (!PyArg_ParseTuple(args, "OOO:create_key", &method, &name, &error)) return NULL;
    PyObject *text = gr_py_stats_error_text(error);
    PyObject *key = text ? error_key(method, name, text) : NULL;
    Py_XDECREF(text);
    return key;
}

static PyObject *error_parse(PyObject *type, PyObject *error) {
    (void)type;
    return gr_py_stats_error_text(error);
}

static PyObject *error_new(PyTypeObject *type, PyObject *args, PyObject *keywords) {
    PyObject *method, *name, *error;
    unsigned long long occurrences = 0;
    double first_seen = 0, last_seen = 0;
    if (!PyArg_ParseTupleAndKeywords(
            args, keywords, "UUO|Kdd:StatsError",
            GR__WORDS("method", "name", "error", "occurrences", "first_seen", "last_seen"), &method,
            &name, &error, &occurrences, &first_seen, &last_seen))
        return NULL;
    Error *e = (Error *)type->tp_alloc(type, 0);
    if (!e) return NULL;
    e->method = Py_NewRef(method);
    e->name = Py_NewRef(name);
    e->occurrences = occurrences;
    e->first_seen = first_seen;
    e->last_seen = last_seen;
    if (!(e->error = gr_py_stats_error_text(error))) Py_CLEAR(e);
    return (PyObject *)e;
}

static void error_dealloc(PyObject *self) {
    Error *e = as_error(self);
    PyTypeObject *type = Py_TYPE(self);
    Py_XDECREF(e->method);
    Py_XDECREF(e->name);
    Py_XDECREF(e->error);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMemberDef ERROR_MEMBERS[] = {
    {"method", T_OBJECT_EX, offsetof(Error, method), READONLY, NULL},
    {"name", T_OBJECT_EX, offsetof(Error, name), READONLY, NULL},
    {"error", T_OBJECT_EX, offsetof(Error, error), READONLY, "The text by which it is grouped."},
    {"occurrences", T_ULONGLONG, offsetof(Error, occurrences), READONLY, NULL},
    {"first_seen", T_DOUBLE, offsetof(Error, first_seen), READONLY, "Seconds since 1970."},
    {"last_seen", T_DOUBLE, offsetof(Error, last_seen), READONLY, "Seconds since 1970."},
    {NULL, 0, 0, 0, NULL},
};

static PyMethodDef ERROR_METHODS[] = {
    {"to_name", error_to_name, METH_NOARGS, "to_name()\n--\n\n\"METHOD NAME: TEXT\""},
    {"to_dict", gr__py_error_to_dict, METH_NOARGS, "to_dict()\n--\n\nAll fields."},
    {"serialize", gr__py_error_to_dict, METH_NOARGS, "serialize()\n--\n\nAll fields."},
    {"create_key", error_create_key, METH_VARARGS | METH_STATIC,
     "create_key(method, name, error)\n--\n\nThe key of that error in Stats.errors."},
    {"parse_error", error_parse, METH_O | METH_STATIC,
     "parse_error(error)\n--\n\nThe text by which an error is grouped."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot ERROR_SLOTS[] = {
    {Py_tp_new, error_new},
    {Py_tp_dealloc, error_dealloc},
    {Py_tp_members, ERROR_MEMBERS},
    {Py_tp_methods, ERROR_METHODS},
    {Py_tp_doc,
     (void *)(uintptr_t) "StatsError(method, name, error, occurrences=0, first_seen=0, "
                         "last_seen=0)\n--\n\nOne distinct failure and how often it came."},
    {0, NULL},
};
static PyType_Spec ERROR_SPEC = {"locust._engine.StatsError", sizeof(Error), 0,
                                 Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE, ERROR_SLOTS};

/* --- exceptions ---------------------------------------------------------------------------- */

/* {"count", "msg", "traceback", "nodes": set()} */
static PyObject *exception_row(PyObject *traceback, const gr_exception *x) {
    PyObject *message = gr_py_text(x->message);
    PyObject *nodes = message ? PySet_New(NULL) : NULL;
    PyObject *row = nodes ? Py_BuildValue("{sisOsOsO}", "count", 0, "msg", message, "traceback",
                                          traceback, "nodes", nodes)
                          : NULL;
    Py_XDECREF(nodes);
    Py_XDECREF(message);
    return row;
}

/* Add the ", "-joined names in `nodes` to the set. 0 or -1. */
static int add_nodes(PyObject *set, gr_str nodes) {
    PyObject *text = gr_py_text(nodes);
    PyObject *comma = text ? PyUnicode_FromString(", ") : NULL;
    PyObject *names = comma ? PyUnicode_Split(text, comma, -1) : NULL;
    Py_XDECREF(comma);
    Py_XDECREF(text);
    int rc = names ? 0 : -1;
    for (Py_ssize_t i = 0; rc == 0 && i < PyList_GET_SIZE(names); i++)
        rc = PySet_Add(set, PyList_GET_ITEM(names, i));
    Py_XDECREF(names);
    return rc;
}

static int add_count(PyObject *row, uint64_t n) {
    PyObject *old = PyDict_GetItemString(row, "count"); /* borrowed */
    PyObject *sum = PyLong_FromUnsignedLongLong(PyLong_AsUnsignedLongLong(old) + n);
    int rc = sum ? PyDict_SetItemString(row, "count", sum) : -1;
    Py_XDECREF(sum);
    return rc;
}

static int add_exception(PyObject *dict, const gr_exception *x) {
    PyObject *traceback = gr_py_text(x->traceback);
    PyObject *key = traceback ? PyLong_FromSsize_t(PyObject_Hash(traceback)) : NULL;
    PyObject *row = key ? Py_XNewRef(PyDict_GetItemWithError(dict, key)) : NULL;
    int rc = key ? 0 : -1;
    if (key && !row) {
        row = PyErr_Occurred() ? NULL : exception_row(traceback, x);
        rc = row ? PyDict_SetItem(dict, key, row) : -1;
    }
    if (rc == 0) rc = add_count(row, x->count);
    if (rc == 0 && x->nodes.n) rc = add_nodes(PyDict_GetItemString(row, "nodes"), x->nodes);
    Py_XDECREF(row);
    Py_XDECREF(key);
    Py_XDECREF(traceback);
    return rc;
}

static int add_exceptions(PyObject *dict, const gr_stats *half) {
    gr_exception **list;
    ptrdiff_t n = gr_stats_exceptions(half, &list);
    if (n < 0) {
        PyErr_NoMemory();
        return -1;
    }
    int rc = 0;
    for (ptrdiff_t i = 0; rc == 0 && i < n; i++)
        rc = add_exception(dict, list[i]);
    gr_free(list);
    return rc;
}

PyObject *gr__py_exceptions(const gr__py_stats *stats) {
    PyObject *dict = PyDict_New();
    if (dict && (add_exceptions(dict, stats->shard.all) < 0 ||
                 add_exceptions(dict, stats->shard.delta) < 0))
        Py_CLEAR(dict);
    return dict;
}

int gr__py_init_stats_error(PyObject *module) {
    return (error_type = gr_py_add_type(module, &ERROR_SPEC, NULL)) ? 0 : -1;
}
