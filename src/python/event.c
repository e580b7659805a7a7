/* EventHook in C, and RequestRecorder: the listener of `request` that counts.
 *
 * The recorder sits among a hook's listeners like any other, so order is what Locust users expect:
 * listeners that were registered before it see a request before it is counted. When the engine
 * itself fires, it recognises the recorder and hands it the sample without building keywords; the
 * keywords exist only if somebody else listens. A listener that raises one of Locust's control-flow
 * exceptions ends the round for the other listeners, but never for a recorder. */
#include "python/event.h"
#include "base/clock.h"
#include "python/stats.h"
#include "python/tasks.h"

#include <structmember.h>

typedef struct EventHook {
    PyObject_HEAD PyObject *handlers; /* list */
    PyObject *dict;                   /* attributes that users hang on a hook */
} EventHook;

typedef struct RequestRecorder {
    PyObject_HEAD PyObject *stats; /* locust._engine.Stats */
    vectorcallfunc vectorcall;
} RequestRecorder;

static PyTypeObject *hook_type, *recorder_type;

/* --- the recorder ------------------------------------------------------------------------- */

static int record_failed(RequestRecorder *self, gr_str method, gr_str name, const gr_sample *sample,
                         PyObject *exception) {
    PyObject *hold = NULL, *text = gr_py_stats_error_text(exception);
    gr_str error = text ? gr_py_utf8_any(text, &hold) : (gr_str){0};
    int rc = error.p ? gr_py_stats_record(self->stats, method, name, sample, &error) : -1;
    Py_XDECREF(hold);
    Py_XDECREF(text);
    return rc;
}

static int record(RequestRecorder *self, PyObject *method, PyObject *name, const gr_sample *sample,
                  PyObject *exception) {
    PyObject *hold_m, *hold_n = NULL;
    gr_str m = gr_py_utf8_any(method, &hold_m);
    gr_str n = m.p ? gr_py_utf8_any(name, &hold_n) : (gr_str){0};
    int failed = exception && n.p ? PyObject_IsTrue(exception) : 0;
    int rc = n.p && failed >= 0 ? 0 : -1;
    if (rc == 0 && failed)
        rc = record_failed(self, m, n, sample, exception);
    else if (rc == 0)
        rc = gr_py_stats_record(self->stats, m, n, sample, NULL);
    Py_XDECREF(hold_n);
    Py_XDECREF(hold_m);
    return rc;
}

/* Locust's names that a caller of fire() must give. */
typedef struct recorder_args {
    PyObject *request_type, *name, *response_time, *response_length, *exception;
} recorder_args;

static int pick(PyObject *key, PyObject *value, recorder_args *a) {
    const struct {
        PyObject *key;
        PyObject **slot;
    } known[] = {{gr_py_name.request_type, &a->request_type},
                 {gr_py_name.name, &a->name},
                 {gr_py_name.response_time, &a->response_time},
                 {gr_py_name.response_length, &a->response_length},
                 {gr_py_name.exception, &a->exception}};
    for (size_t i = 0; i < GR_LEN(known); i++) {
        int same = key == known[i].key ? 1 : PyUnicode_Compare(key, known[i].key) == 0;
        if (same) {
            *known[i].slot = value;
            return 0;
        }
    }
    return 0;
}

static int to_sample(const recorder_args *a, gr_sample *sample) {
    *sample = (gr_sample){.response_ns = GR_TIME_NONE,
                          .service_ns = GR_TIME_NONE,
                          .due_ns = GR_TIME_NONE,
                          .lag_ns = GR_TIME_NONE,
                          .ended_at = gr_clock_stamp_now()};
    if (a->response_time != Py_None) {
        double ms = PyFloat_AsDouble(a->response_time);
        if (ms == -1.0 && PyErr_Occurred()) return -1;
        if (!(ms > -9e12 && ms < 9e12)) { /* NaN, infinities and what no int64 of ns holds */
            PyErr_Format(PyExc_ValueError, "response_time=%R is not a time in milliseconds",
                         a->response_time);
            return -1;
        }
        sample->response_ns = (int64_t)(ms * 1e6);
    }
    if (a->response_length && a->response_length != Py_None) {
        double bytes = PyFloat_AsDouble(a->response_length);
        if (bytes == -1.0 && PyErr_Occurred()) return -1;
        sample->bytes = bytes > 0 && bytes < 9e18 ? (uint64_t)bytes : 0;
    }
    return 0;
}

static PyObject *recorder_call(PyObject *callable, PyObject *const *args, size_t nargsf,
                               PyObject *names) {
    RequestRecorder *self = (RequestRecorder *)callable;
    Py_ssize_t n = PyVectorcall_NARGS(nargsf);
    recorder_args a = {0};
    gr_sample sample;
    for (Py_ssize_t i = 0; names && i < PyTuple_GET_SIZE(names); i++)
        if (pick(PyTuple_GET_ITEM(names, i), args[n + i], &a) < 0) return NULL;
    if (!a.request_type || !a.name || !a.response_time || !a.response_length) {
        PyErr_SetString(PyExc_TypeError, "the request event needs request_type, name, "
                                         "response_time and response_length");
        return NULL;
    }
    if (to_sample(&a, &sample) < 0) return NULL;
    PyObject *type = PyObject_Str(a.request_type), *name = type ? PyObject_Str(a.name) : NULL;
    int rc = name ? record(self, type, name, &sample, a.exception) : -1;
    Py_XDECREF(name);
    Py_XDECREF(type);
    if (rc < 0) return NULL;
    Py_RETURN_NONE;
}

static PyObject *recorder_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    static char *names[] = {(char *)(uintptr_t) "stats", NULL};
    PyObject *stats;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O", names, &stats)) return NULL;
    if (!gr_py_stats_check(stats)) {
        PyErr_Format(PyExc_TypeError, "stats must be a locust.stats.RequestStats, not %.100s",
                     Py_TYPE(stats)->tp_name);
        return NULL;
    }
    RequestRecorder *self = (RequestRecorder *)type->tp_alloc(type, 0);
    if (!self) return NULL;
    self->stats = Py_NewRef(stats);
    self->vectorcall = recorder_call;
    return (PyObject *)self;
}

static int recorder_traverse(PyObject *self, visitproc visit, void *arg) {
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(((RequestRecorder *)self)->stats);
    return 0;
}

static int recorder_clear(PyObject *self) {
    Py_CLEAR(((RequestRecorder *)self)->stats);
    return 0;
}

static void recorder_dealloc(PyObject *self) {
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    recorder_clear(self);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMemberDef RECORDER_MEMBERS[] = {
    {"stats", T_OBJECT, offsetof(RequestRecorder, stats), READONLY, "the statistics written to"},
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(RequestRecorder, vectorcall), READONLY, NULL},
    {0}};

static PyType_Slot RECORDER_SLOTS[] = {
    {Py_tp_doc, (void *)(uintptr_t) "RequestRecorder(stats)\n--\n\nThe listener of `request` that "
                                    "counts requests and failures into `stats`."},
    {Py_tp_new, recorder_new},
    {Py_tp_dealloc, recorder_dealloc},
    {Py_tp_traverse, recorder_traverse},
    {Py_tp_clear, recorder_clear},
    {Py_tp_call, PyVectorcall_Call},
    {Py_tp_members, RECORDER_MEMBERS},
    {0, NULL}};
static PyType_Spec RECORDER_SPEC = {.name = "locust._engine.RequestRecorder",
                                    .basicsize = sizeof(RequestRecorder),
                                    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC |
                                             Py_TPFLAGS_HAVE_VECTORCALL,
                                    .slots = RECORDER_SLOTS};

/* --- the hook ----------------------------------------------------------------------------- */

/* What became of a listener that raised: 0 when the exception was logged, -1 when it goes on. */
static int listener_failed(void) {
    if (!PyErr_ExceptionMatches(PyExc_Exception)) return -1;
    PyObject *type, *value, *tb;
    PyErr_Fetch(&type, &value, &tb);
    PyErr_NormalizeException(&type, &value, &tb);
    if (tb) PyException_SetTraceback(value, tb);
    PyObject *module = PyImport_ImportModule("locust.event");
    PyObject *goes_on = module ? PyObject_CallMethod(module, "_listener_failed", "O", value) : NULL;
    Py_XDECREF(module);
    int rc = goes_on ? PyObject_IsTrue(goes_on) : 1;
    Py_XDECREF(goes_on);
    if (rc == 0) {
        Py_XDECREF(type);
        Py_XDECREF(value);
        Py_XDECREF(tb);
        return 0;
    }
    if (PyErr_Occurred()) PyErr_Clear();
    PyErr_Restore(type, value, tb);
    return -1;
}

/* After a listener let an exception through: recorders further down still count. */
static void count_anyway(PyObject *handlers, Py_ssize_t from, PyObject *kwargs) {
    PyObject *type, *value, *tb, *none = PyTuple_New(0);
    PyErr_Fetch(&type, &value, &tb);
    for (Py_ssize_t i = from; none && i < PyList_GET_SIZE(handlers); i++) {
        PyObject *h = PyList_GET_ITEM(handlers, i);
        if (!Py_IS_TYPE(h, recorder_type)) continue;
        PyObject *done = PyObject_Call(h, none, kwargs);
        if (!done) PyErr_WriteUnraisable(h);
        Py_XDECREF(done);
    }
    Py_XDECREF(none);
    PyErr_Restore(type, value, tb);
}

/* Call every listener of a copy of the list: a listener may add or remove listeners. */
static int fire_all(PyObject *handlers, PyObject *kwargs) {
    int rc = 0;
    PyObject *none = PyTuple_New(0);
    if (!none) return -1;
    for (Py_ssize_t i = 0; rc == 0 && i < PyList_GET_SIZE(handlers); i++) {
        PyObject *result = PyObject_Call(PyList_GET_ITEM(handlers, i), none, kwargs);
        Py_XDECREF(result);
        if (!result && listener_failed() < 0) {
            count_anyway(handlers, i + 1, kwargs);
            rc = -1;
        }
    }
    Py_DECREF(none);
    return rc;
}

static PyObject *hook_fire(PyObject *op, PyObject *args, PyObject *kwargs) {
    EventHook *self = (EventHook *)op;
    if (PyTuple_GET_SIZE(args) != 0) {
        PyErr_SetString(PyExc_TypeError, "fire() takes keyword arguments only");
        return NULL;
    }
    PyObject *words = kwargs ? PyDict_Copy(kwargs) : PyDict_New();
    PyObject *handlers = words ? PyList_GetSlice(self->handlers, 0, PY_SSIZE_T_MAX) : NULL;
    PyObject *reverse = handlers ? PyDict_GetItemString(words, "reverse") : NULL;
    int rc = handlers ? 0 : -1;
    if (reverse) {
        int wanted = PyObject_IsTrue(reverse);
        if (wanted > 0) rc = PyList_Reverse(handlers);
        if (wanted < 0 || PyDict_DelItemString(words, "reverse") < 0) rc = -1;
    }
    if (rc == 0) rc = fire_all(handlers, words);
    Py_XDECREF(handlers);
    Py_XDECREF(words);
    if (rc < 0) return NULL;
    Py_RETURN_NONE;
}

static PyObject *hook_add(PyObject *op, PyObject *handler) {
    if (PyList_Append(((EventHook *)op)->handlers, handler) < 0) return NULL;
    return Py_NewRef(handler);
}

static PyObject *hook_remove(PyObject *op, PyObject *handler) {
    PyObject *handlers = ((EventHook *)op)->handlers;
    Py_ssize_t at = PySequence_Index(handlers, handler);
    if (at < 0 || PySequence_DelItem(handlers, at) < 0) return NULL;
    Py_RETURN_NONE;
}

static PyObject *hook_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    (void)args, (void)kwargs;
    EventHook *self = (EventHook *)type->tp_alloc(type, 0);
    if (!self) return NULL;
    if (!(self->handlers = PyList_New(0))) {
        Py_DECREF(self);
        return NULL;
    }
    return (PyObject *)self;
}

static int hook_traverse(PyObject *self, visitproc visit, void *arg) {
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(((EventHook *)self)->handlers);
    Py_VISIT(((EventHook *)self)->dict);
    return 0;
}

static int hook_clear(PyObject *self) {
    Py_CLEAR(((EventHook *)self)->handlers);
    Py_CLEAR(((EventHook *)self)->dict);
    return 0;
}

static void hook_dealloc(PyObject *self) {
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    hook_clear(self);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMethodDef HOOK_METHODS[] = {
    {"add_listener", hook_add, METH_O,
     "add_listener($self, handler, /)\n--\n\nCall `handler` with keyword arguments at every event. "
     "Returns it, so that this\nworks as a decorator."},
    {"remove_listener", hook_remove, METH_O,
     "remove_listener($self, handler, /)\n--\n\nForget `handler`; ValueError when it is not "
     "there."},
    {"fire", (PyCFunction)(void (*)(void))hook_fire, METH_VARARGS | METH_KEYWORDS,
     "fire($self, /, *, reverse=False, **kwargs)\n--\n\nCall the listeners in order of "
     "registration "
     "(or in reverse). What a listener\nraises is logged, except Locust's control-flow exceptions, "
     "which go on."},
    {0}};
static PyMemberDef HOOK_MEMBERS[] = {
    {"_handlers", T_OBJECT, offsetof(EventHook, handlers), READONLY, "listeners in order"},
    {"__dictoffset__", T_PYSSIZET, offsetof(EventHook, dict), READONLY, NULL},
    {0}};
static PyType_Slot HOOK_SLOTS[] = {
    {Py_tp_doc, (void *)(uintptr_t) "EventHook()\n--\n\nAn event and its listeners."},
    {Py_tp_new, hook_new},
    {Py_tp_dealloc, hook_dealloc},
    {Py_tp_traverse, hook_traverse},
    {Py_tp_clear, hook_clear},
    {Py_tp_methods, HOOK_METHODS},
    {Py_tp_members, HOOK_MEMBERS},
    {0, NULL}};
static PyType_Spec HOOK_SPEC = {.name = "locust._engine.EventHook",
                                .basicsize = sizeof(EventHook),
                                .flags =
                                    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
                                .slots = HOOK_SLOTS};

/* --- the engine's own requests ------------------------------------------------------------ */

static PyObject *request_keywords(const gr_py_request *r) {
    PyObject *context = r->context ? Py_NewRef(r->context) : PyDict_New();
    PyObject *words = NULL;
    if (!context) return NULL;
    PyObject *ms = r->sample.response_ns == GR_TIME_NONE
                       ? Py_NewRef(Py_None)
                       : PyFloat_FromDouble((double)r->sample.response_ns * 1e-6);
    PyObject *length = PyLong_FromUnsignedLongLong(r->sample.bytes);
    PyObject *start = PyFloat_FromDouble(r->start_time);
    if (ms && length && start && (words = PyDict_New())) {
        const struct {
            PyObject *key, *value;
        } items[] = {{gr_py_name.request_type, r->request_type},
                     {gr_py_name.name, r->name},
                     {gr_py_name.response_time, ms},
                     {gr_py_name.response_length, length},
                     {gr_py_name.response, r->response},
                     {gr_py_name.context, context},
                     {gr_py_name.exception, r->exception},
                     {gr_py_name.start_time, start},
                     {gr_py_name.url, r->url}};
        for (size_t i = 0; words && i < GR_LEN(items); i++)
            if (PyDict_SetItem(words, items[i].key, items[i].value) < 0) Py_CLEAR(words);
        if (words && r->extra && PyDict_Update(words, r->extra) < 0) Py_CLEAR(words);
    }
    Py_XDECREF(start);
    Py_XDECREF(length);
    Py_XDECREF(ms);
    Py_DECREF(context);
    return words;
}

static int record_request(PyObject *recorder, const gr_py_request *r) {
    return record((RequestRecorder *)recorder, r->request_type, r->name, &r->sample,
                  r->exception == Py_None ? NULL : r->exception);
}

/* The same with the sample as it was taken. */
static void record_anyway(PyObject *handlers, Py_ssize_t from, const gr_py_request *r) {
    PyObject *type, *value, *tb;
    PyErr_Fetch(&type, &value, &tb);
    for (Py_ssize_t i = from; i < PyList_GET_SIZE(handlers); i++) {
        PyObject *h = PyList_GET_ITEM(handlers, i);
        if (Py_IS_TYPE(h, recorder_type) && record_request(h, r) < 0) PyErr_WriteUnraisable(h);
    }
    PyErr_Restore(type, value, tb);
}

/* Listeners other than recorders exist: give them keywords. */
static int fire_mixed(PyObject *list, const gr_py_request *r) {
    PyObject *words = request_keywords(r);
    PyObject *handlers = words ? PyList_GetSlice(list, 0, PY_SSIZE_T_MAX) : NULL;
    PyObject *none = handlers ? PyTuple_New(0) : NULL;
    int rc = none ? 0 : -1;
    for (Py_ssize_t i = 0; rc == 0 && i < PyList_GET_SIZE(handlers); i++) {
        PyObject *h = PyList_GET_ITEM(handlers, i);
        if (Py_IS_TYPE(h, recorder_type)) {
            if (record_request(h, r) < 0) PyErr_WriteUnraisable(h);
            continue;
        }
        PyObject *result = PyObject_Call(h, none, words);
        Py_XDECREF(result);
        if (result || listener_failed() == 0) continue;
        record_anyway(handlers, i + 1, r);
        rc = -1;
    }
    Py_XDECREF(none);
    Py_XDECREF(handlers);
    Py_XDECREF(words);
    return rc;
}

int gr_py_event_fire_request(PyObject *hook, gr_py_request *r) {
    if (!PyObject_TypeCheck(hook, hook_type) || gr_py_overrides(hook, hook_type, gr_py_name.fire)) {
        /* a test's double, for instance */
        PyObject *words = request_keywords(r);
        PyObject *fire = words ? PyObject_GetAttr(hook, gr_py_name.fire) : NULL;
        PyObject *none = fire ? PyTuple_New(0) : NULL;
        PyObject *done = none ? PyObject_Call(fire, none, words) : NULL;
        Py_XDECREF(done);
        Py_XDECREF(none);
        Py_XDECREF(fire);
        Py_XDECREF(words);
        return done ? 0 : -1;
    }
    PyObject *handlers = ((EventHook *)hook)->handlers;
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(handlers); i++)
        if (!Py_IS_TYPE(PyList_GET_ITEM(handlers, i), recorder_type))
            return fire_mixed(handlers, r);
    int rc = 0;
    for (Py_ssize_t i = 0; rc == 0 && i < PyList_GET_SIZE(handlers); i++) {
        PyObject *h =
            Py_NewRef(PyList_GET_ITEM(handlers, i)); /* a failure's repr() may remove it */
        rc = record_request(h, r);
        Py_DECREF(h);
    }
    return rc;
}

int gr_py_init_event(PyObject *module) {
    recorder_type = gr_py_add_type(module, &RECORDER_SPEC, NULL);
    hook_type = recorder_type ? gr_py_add_type(module, &HOOK_SPEC, NULL) : NULL;
    return hook_type ? 0 : -1;
}
