/* between, constant, constant_pacing, constant_throughput: objects that know how long to wait.
 *
 * In a class body they act as methods, as the functions that Locust makes do. The task loop does not call them: it
 * sees their settings (gr_py_wait_of) and computes the wait in C. */
#include "base/clock.h"
#include "python/tasks.h"
#include "python/user.h"

#include <structmember.h>

typedef struct WaitTime {
    PyObject_HEAD gr_wait wait;
} WaitTime;

static PyTypeObject *wait_type;

const gr_wait *gr_py_wait_of(PyObject *attribute) {
    return attribute && Py_IS_TYPE(attribute, wait_type) ? &((WaitTime *)attribute)->wait : NULL;
}

static PyObject *make(gr_wait_kind kind, double a, double b) {
    WaitTime *w = PyObject_New(WaitTime, wait_type);
    if (w) w->wait = (gr_wait){kind, a, b};
    return (PyObject *)w;
}

static int seconds(PyObject *const *args, Py_ssize_t n, Py_ssize_t want, double *out) {
    if (n != want) {
        PyErr_Format(PyExc_TypeError, "expected %zd number%s, got %zd", want, want == 1 ? "" : "s",
                     n);
        return -1;
    }
    for (Py_ssize_t i = 0; i < n; i++) {
        out[i] = PyFloat_AsDouble(args[i]);
        if (out[i] == -1.0 && PyErr_Occurred()) return -1;
    }
    return 0;
}

static PyObject *between(PyObject *module, PyObject *const *args, Py_ssize_t n) {
    double s[2];
    (void)module;
    return seconds(args, n, 2, s) < 0 ? NULL : make(GR_WAIT_BETWEEN, s[0], s[1]);
}

static PyObject *constant(PyObject *module, PyObject *const *args, Py_ssize_t n) {
    double s[1];
    (void)module;
    return seconds(args, n, 1, s) < 0 ? NULL : make(GR_WAIT_CONSTANT, s[0], 0);
}

static PyObject *constant_pacing(PyObject *module, PyObject *const *args, Py_ssize_t n) {
    double s[1];
    (void)module;
    return seconds(args, n, 1, s) < 0 ? NULL : make(GR_WAIT_PACING, s[0], 0);
}

static PyObject *constant_throughput(PyObject *module, PyObject *const *args, Py_ssize_t n) {
    double s[1];
    (void)module;
    if (seconds(args, n, 1, s) < 0) return NULL;
    if (s[0] == 0.0) {
        PyErr_SetString(PyExc_ZeroDivisionError, "constant_throughput(0) would wait forever");
        return NULL;
    }
    return make(GR_WAIT_PACING, 1.0 / s[0], 0);
}

/* How long `instance` would wait now: what a locustfile that calls self.wait_time() gets. */
static PyObject *wait_call(PyObject *op, PyObject *args, PyObject *kwargs) {
    PyObject *instance;
    gr_pacing fresh;
    if (kwargs && PyDict_GET_SIZE(kwargs)) {
        PyErr_SetString(PyExc_TypeError, "wait_time takes no keyword arguments");
        return NULL;
    }
    if (!PyArg_UnpackTuple(args, "wait_time", 1, 1, &instance)) return NULL;
    gr_ns now = gr_clock_ns();
    gr_pacing *pacing = gr_py_pacing_of(instance);
    if (!pacing) {
        gr_pacing_init(&fresh, now);
        pacing = &fresh;
    }
    gr_ns ns = gr_pacing_next(pacing, &((WaitTime *)op)->wait, gr_py_rand(), now);
    return PyFloat_FromDouble((double)ns * 1e-9);
}

static PyObject *wait_bind(PyObject *op, PyObject *instance, PyObject *owner) {
    (void)owner;
    if (!instance || instance == Py_None) return Py_NewRef(op);
    return PyMethod_New(op, instance);
}

static PyObject *wait_repr(PyObject *op) {
    const gr_wait *w = &((WaitTime *)op)->wait;
    char text[80];
    if (w->kind == GR_WAIT_BETWEEN)
        PyOS_snprintf(text, sizeof text, "between(%g, %g)", w->a, w->b);
    else if (w->kind == GR_WAIT_PACING)
        PyOS_snprintf(text, sizeof text, "constant_pacing(%g)", w->a);
    else
        PyOS_snprintf(text, sizeof text, "constant(%g)", w->a);
    return PyUnicode_FromString(text);
}

static void wait_dealloc(PyObject *op) {
    PyTypeObject *type = Py_TYPE(op);
    PyObject_Free(op);
    Py_DECREF(type);
}

static PyMethodDef FUNCTIONS[] = {
    {"between", (PyCFunction)(void (*)(void))between, METH_FASTCALL,
     "between(min_wait, max_wait, /)\n--\n\nWait a random time between the two, in seconds."},
    {"constant", (PyCFunction)(void (*)(void))constant, METH_FASTCALL,
     "constant(wait_time, /)\n--\n\nWait this many seconds after each task."},
    {"constant_pacing", (PyCFunction)(void (*)(void))constant_pacing, METH_FASTCALL,
     "constant_pacing(wait_time, /)\n--\n\nStart a task every `wait_time` seconds; at once when "
     "the last one took longer."},
    {"constant_throughput", (PyCFunction)(void (*)(void))constant_throughput, METH_FASTCALL,
     "constant_throughput(task_runs_per_second, /)\n--\n\nStart so many tasks a second, for each "
     "user."},
    {0}};
static PyType_Slot SLOTS[] = {
    {Py_tp_doc, (void *)(uintptr_t) "How long a user waits between tasks."},
    {Py_tp_call, wait_call},
    {Py_tp_descr_get, wait_bind},
    {Py_tp_repr, wait_repr},
    {Py_tp_dealloc, wait_dealloc},
    {0, NULL}};
static PyType_Spec SPEC = {.name = "locust._engine.WaitTime",
                           .basicsize = sizeof(WaitTime),
                           .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
                           .slots = SLOTS};

int gr_py_init_wait(PyObject *module) {
    wait_type = gr_py_add_type(module, &SPEC, NULL);
    return wait_type ? PyModule_AddFunctions(module, FUNCTIONS) : -1;
}
