/* locust._engine.Dispatch: gr_dispatch (load/dispatch.h) for the Python runner. */
#include "python/engine.h"
#include "base/alloc.h"
#include "base/err.h"
#include "load/dispatch.h"

typedef struct Dispatch {
    PyObject ob_base;
    gr_dispatch *dispatch; /* NULL until __init__ */
    uint32_t *counts;      /* one for each class; where a step puts its result */
    Py_ssize_t n;
} Dispatch;

static Dispatch *as_dispatch(PyObject *o) {
    return (Dispatch *)o;
}

static int check_started(const Dispatch *d) {
    if (d->dispatch) return 0;
    PyErr_SetString(PyExc_RuntimeError, "Dispatch.__init__ was not called");
    return -1;
}

/* One (name, weight, fixed_count). The name's bytes belong to the tuple. */
static int parse_class(PyObject *item, gr_class_spec *spec) {
    PyObject *name;
    long long fixed_count;
    if (!PyTuple_Check(item)) {
        PyErr_SetString(PyExc_TypeError, "a class must be a tuple (name, weight, fixed_count)");
        return -1;
    }
    if (!PyArg_ParseTuple(item, "UdL;a class must be (name, weight, fixed_count)", &name,
                          &spec->weight, &fixed_count))
        return -1;
    spec->name = gr_py_utf8(name);
    if (!spec->name.p) return -1;
    if (fixed_count < 0 || fixed_count > UINT32_MAX) {
        PyErr_Format(PyExc_ValueError, "fixed_count of %U is %lld", name, fixed_count);
        return -1;
    }
    spec->fixed_count = (uint32_t)fixed_count;
    return 0;
}

/* Everything before the first assignment may fail; calling __init__ again replaces the classes. */
static int start(Dispatch *d, PyObject *classes, gr_class_spec *specs, Py_ssize_t n) {
    for (Py_ssize_t i = 0; i < n; i++)
        if (parse_class(PySequence_Fast_GET_ITEM(classes, i), &specs[i]) < 0) return -1;
    gr_dispatch *dispatch;
    int rc = gr_dispatch_new(&dispatch, specs, (size_t)n);
    if (rc < 0) {
        if (rc == GR_E_NOMEM)
            PyErr_NoMemory();
        else
            PyErr_SetString(PyExc_ValueError,
                            n > 0 ? "every class needs a weight or a fixed_count greater than 0"
                                  : "there must be at least one class");
        return -1;
    }
    uint32_t *counts = gr_calloc((size_t)n + 1, sizeof *counts);
    if (!counts) {
        gr_dispatch_free(dispatch);
        PyErr_NoMemory();
        return -1;
    }
    gr_dispatch_free(d->dispatch);
    gr_free(d->counts);
    d->dispatch = dispatch;
    d->counts = counts;
    d->n = n;
    return 0;
}

static int dispatch_init(PyObject *self, PyObject *args, PyObject *keywords) {
    PyObject *classes;
    static const char *const WORDS[] = {"classes", NULL};
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "O:Dispatch", (char **)(uintptr_t)WORDS,
                                     &classes))
        return -1;
    PyObject *list = PySequence_Fast(classes, "classes must be a sequence");
    if (!list) return -1;
    Py_ssize_t n = PySequence_Fast_GET_SIZE(list);
    gr_class_spec *specs = gr_calloc((size_t)n + 1, sizeof *specs);
    int rc = specs ? start(as_dispatch(self), list, specs, n) : -1;
    if (!specs) PyErr_NoMemory();
    gr_free(specs);
    Py_DECREF(list);
    return rc;
}

static void dispatch_dealloc(PyObject *self) {
    Dispatch *d = as_dispatch(self);
    PyTypeObject *type = Py_TYPE(self);
    gr_dispatch_free(d->dispatch);
    gr_free(d->counts);
    type->tp_free(self);
    Py_DECREF(type);
}

/* `allowed` as flags for gr_dispatch_ramp (gr_free); NULL with an exception. */
static bool *parse_allowed(const Dispatch *d, PyObject *allowed) {
    PyObject *list = PySequence_Fast(allowed, "allowed must be a sequence of bool");
    bool *flags = list ? gr_calloc((size_t)d->n + 1, sizeof *flags) : NULL;
    if (list && !flags) PyErr_NoMemory();
    if (flags && PySequence_Fast_GET_SIZE(list) != d->n) {
        PyErr_Format(PyExc_ValueError, "allowed needs %zd flags, one for each class", d->n);
        goto undo;
    }
    for (Py_ssize_t i = 0; flags && i < d->n; i++) {
        int flag = PyObject_IsTrue(PySequence_Fast_GET_ITEM(list, i));
        if (flag < 0) goto undo;
        flags[i] = flag;
    }
    Py_XDECREF(list);
    return flags;
undo:
    gr_free(flags);
    Py_DECREF(list);
    return NULL;
}

static PyObject *dispatch_ramp(PyObject *self, PyObject *args, PyObject *keywords) {
    Dispatch *d = as_dispatch(self);
    long long target;
    double rate;
    PyObject *allowed = Py_None;
    static const char *const WORDS[] = {"target", "rate", "allowed", NULL};
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "Ld|O:ramp", (char **)(uintptr_t)WORDS,
                                     &target, &rate, &allowed) ||
        check_started(d) < 0)
        return NULL;
    if (target < 0 || target > UINT32_MAX || !(rate > 0)) {
        PyErr_SetString(PyExc_ValueError,
                        "target must be 0 or more users, and rate greater than 0");
        return NULL;
    }
    bool *flags = allowed == Py_None ? NULL : parse_allowed(d, allowed);
    if (!flags && allowed != Py_None) return NULL;
    int rc = gr_dispatch_ramp(d->dispatch, (uint32_t)target, rate, flags);
    gr_free(flags);
    if (rc == GR_E_NOMEM) return PyErr_NoMemory();
    if (rc < 0) return PyErr_Format(PyExc_ValueError, "cannot ramp: %s", gr_strerror(rc));
    Py_RETURN_NONE;
}

static PyObject *dispatch_step(PyObject *self, PyObject *unused) {
    (void)unused;
    Dispatch *d = as_dispatch(self);
    gr_ns pause = 0;
    if (check_started(d) < 0) return NULL;
    int more = gr_dispatch_step(d->dispatch, d->counts, &pause);
    if (more == GR_E_NOMEM) return PyErr_NoMemory();
    if (more < 0) return PyErr_Format(PyExc_RuntimeError, "cannot step: %s", gr_strerror(more));
    PyObject *counts = PyTuple_New(d->n);
    for (Py_ssize_t i = 0; counts && i < d->n; i++) {
        PyObject *n = PyLong_FromUnsignedLong(d->counts[i]);
        if (n)
            PyTuple_SET_ITEM(counts, i, n);
        else
            Py_CLEAR(counts);
    }
    if (!counts) return NULL;
    return Py_BuildValue("(NdN)", counts, (double)pause / 1e9, PyBool_FromLong(more > 0));
}

static PyObject *dispatch_total(PyObject *self, void *unused) {
    (void)unused;
    const Dispatch *d = as_dispatch(self);
    return PyLong_FromUnsignedLong(d->dispatch ? gr_dispatch_total(d->dispatch) : 0);
}

static PyGetSetDef DISPATCH_ATTRIBUTES[] = {
    {"total", dispatch_total, NULL, "Users ordered so far, all classes.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMethodDef DISPATCH_METHODS[] = {
    {"ramp", (PyCFunction)(void (*)(void))dispatch_ramp, METH_VARARGS | METH_KEYWORDS,
     "ramp(target, rate, allowed=None)\n--\n\nBegin a ramp to `target` users at `rate` per second; "
     "`allowed` restricts new users to the classes whose flag is true (None: as in the last "
     "ramp)."},
    {"step", dispatch_step, METH_NOARGS,
     "step()\n--\n\nThe next step of the ramp: (users of each class, seconds until the next step, "
     "whether there is one)."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot DISPATCH_SLOTS[] = {
    {Py_tp_new, PyType_GenericNew},
    {Py_tp_init, dispatch_init},
    {Py_tp_dealloc, dispatch_dealloc},
    {Py_tp_getset, DISPATCH_ATTRIBUTES},
    {Py_tp_methods, DISPATCH_METHODS},
    {Py_tp_doc,
     (void *)(uintptr_t) "Dispatch(classes)\n--\n\nDecides which class the next users get; "
                         "classes is a sequence of (name, weight, fixed_count)."},
    {0, NULL},
};
static PyType_Spec DISPATCH_SPEC = {"locust._engine.Dispatch", sizeof(Dispatch), 0,
                                    Py_TPFLAGS_DEFAULT, DISPATCH_SLOTS};

int gr_py_init_dispatch(PyObject *module) {
    return gr_py_add_type(module, &DISPATCH_SPEC, NULL) ? 0 : -1;
}
