/* Headers: what `client.headers` and `response.headers` are. Behaves as requests' CaseInsensitiveDict:
 * keeps the case of the last key set, finds any case.
 *
 * One dict inside maps the lower-case name to the pair (name, value). `version` lets a session know
 * when its rendered header lines are out of date. */
#include "python/headers.h"
#include "base/err.h"

#include <structmember.h>

typedef struct Headers {
    PyObject_HEAD PyObject *fields; /* dict: lower-case str -> (name, value) */
    uint64_t version;
} Headers;

static PyTypeObject *headers_type;

static PyObject *lower_key(PyObject *key) {
    if (PyBytes_Check(key)) {
        PyObject *text =
            PyUnicode_DecodeLatin1(PyBytes_AS_STRING(key), PyBytes_GET_SIZE(key), NULL);
        PyObject *lower = text ? PyObject_CallMethod(text, "lower", NULL) : NULL;
        Py_XDECREF(text);
        return lower;
    }
    if (!PyUnicode_Check(key)) {
        PyErr_Format(PyExc_TypeError, "header names are str, not %.100s", Py_TYPE(key)->tp_name);
        return NULL;
    }
    return PyObject_CallMethod(key, "lower", NULL);
}

static PyObject *pair_of(PyObject *op,
                         PyObject *key) { /* borrowed; NULL without exception: absent */
    PyObject *lower = lower_key(key);
    if (!lower) return NULL;
    PyObject *pair = PyDict_GetItemWithError(((Headers *)op)->fields, lower);
    Py_DECREF(lower);
    return pair;
}

static int headers_set(PyObject *op, PyObject *key, PyObject *value) {
    Headers *self = (Headers *)op;
    PyObject *lower = lower_key(key);
    if (!lower) return -1;
    self->version++;
    int rc;
    if (!value) {
        rc = PyDict_DelItem(self->fields, lower);
    } else {
        PyObject *pair = PyTuple_Pack(2, key, value);
        rc = pair ? PyDict_SetItem(self->fields, lower, pair) : -1;
        Py_XDECREF(pair);
    }
    Py_DECREF(lower);
    return rc;
}

static PyObject *headers_subscript(PyObject *op, PyObject *key) {
    PyObject *pair = pair_of(op, key);
    if (pair) return Py_NewRef(PyTuple_GET_ITEM(pair, 1));
    if (!PyErr_Occurred()) PyErr_SetObject(PyExc_KeyError, key);
    return NULL;
}

static Py_ssize_t headers_len(PyObject *op) {
    return PyDict_GET_SIZE(((Headers *)op)->fields);
}

static int headers_contains(PyObject *op, PyObject *key) {
    if (!PyUnicode_Check(key) && !PyBytes_Check(key)) return 0;
    if (pair_of(op, key)) return 1;
    return PyErr_Occurred() ? -1 : 0;
}

/* A list of each pair's element `at`, or of the pairs themselves for -1. */
static PyObject *listed(PyObject *op, int at) {
    PyObject *list = PyDict_Values(((Headers *)op)->fields);
    for (Py_ssize_t i = 0; list && at >= 0 && i < PyList_GET_SIZE(list); i++) {
        PyObject *pair = PyList_GET_ITEM(list, i);
        PyObject *item = Py_NewRef(PyTuple_GET_ITEM(pair, at));
        if (PyList_SetItem(list, i, item) < 0) Py_CLEAR(list);
    }
    return list;
}

static PyObject *headers_keys(PyObject *op, PyObject *unused) {
    (void)unused;
    return listed(op, 0);
}
static PyObject *headers_values(PyObject *op, PyObject *unused) {
    (void)unused;
    return listed(op, 1);
}
static PyObject *headers_items(PyObject *op, PyObject *unused) {
    (void)unused;
    return listed(op, -1);
}

static PyObject *headers_iter(PyObject *op) {
    PyObject *keys = listed(op, 0);
    PyObject *it = keys ? PyObject_GetIter(keys) : NULL;
    Py_XDECREF(keys);
    return it;
}

static PyObject *headers_lower_items(PyObject *op, PyObject *unused) {
    (void)unused;
    PyObject *list = PyList_New(0), *key, *pair;
    Py_ssize_t at = 0;
    while (list && PyDict_Next(((Headers *)op)->fields, &at, &key, &pair)) {
        PyObject *item = PyTuple_Pack(2, key, PyTuple_GET_ITEM(pair, 1));
        if (!item || PyList_Append(list, item) < 0) Py_CLEAR(list);
        Py_XDECREF(item);
    }
    return list;
}

static PyObject *headers_get(PyObject *op, PyObject *const *args, Py_ssize_t n) {
    if (n < 1 || n > 2) {
        PyErr_SetString(PyExc_TypeError, "get() takes a name and an optional default");
        return NULL;
    }
    PyObject *pair = pair_of(op, args[0]);
    if (pair) return Py_NewRef(PyTuple_GET_ITEM(pair, 1));
    if (PyErr_Occurred()) return NULL;
    return Py_NewRef(n == 2 ? args[1] : Py_None);
}

static PyObject *headers_pop(PyObject *op, PyObject *const *args, Py_ssize_t n) {
    PyObject *value = n >= 1 ? headers_get(op, args, 1) : headers_get(op, args, n);
    if (!value) return NULL;
    int had = headers_contains(op, args[0]);
    if (had > 0 && headers_set(op, args[0], NULL) < 0) had = -1;
    if (had > 0) return value;
    Py_DECREF(value);
    if (had < 0) return NULL;
    if (n == 2) return Py_NewRef(args[1]);
    PyErr_SetObject(PyExc_KeyError, args[0]);
    return NULL;
}

static PyObject *headers_setdefault(PyObject *op, PyObject *const *args, Py_ssize_t n) {
    PyObject *value = n == 2 ? args[1] : Py_None;
    if (n < 1 || n > 2) return headers_get(op, args, n);
    int had = headers_contains(op, args[0]);
    if (had < 0) return NULL;
    if (had) return headers_subscript(op, args[0]);
    return headers_set(op, args[0], value) < 0 ? NULL : Py_NewRef(value);
}

static int add_pairs(PyObject *op, PyObject *pairs) {
    PyObject *it = PyObject_GetIter(pairs), *item;
    if (!it) return -1;
    int rc = 0;
    while (rc == 0 && (item = PyIter_Next(it))) {
        PyObject *pair = PySequence_Fast(item, "headers are (name, value) pairs");
        if (!pair || PySequence_Fast_GET_SIZE(pair) != 2) {
            if (pair) PyErr_SetString(PyExc_ValueError, "headers are (name, value) pairs");
            rc = -1;
        } else {
            rc = headers_set(op, PySequence_Fast_GET_ITEM(pair, 0),
                             PySequence_Fast_GET_ITEM(pair, 1));
        }
        Py_XDECREF(pair);
        Py_DECREF(item);
    }
    Py_DECREF(it);
    return PyErr_Occurred() ? -1 : rc;
}

static int update_from(PyObject *op, PyObject *source) {
    if (source == Py_None) return 0;
    if (!PyMapping_Check(source) || PyList_Check(source) || PyTuple_Check(source))
        return add_pairs(op, source);
    PyObject *items = PyMapping_Items(source);
    int rc = items ? add_pairs(op, items) : -1;
    Py_XDECREF(items);
    return rc;
}

static PyObject *headers_update(PyObject *op, PyObject *args, PyObject *kwargs) {
    PyObject *source = Py_None;
    if (!PyArg_UnpackTuple(args, "update", 0, 1, &source)) return NULL;
    if (update_from(op, source) < 0) return NULL;
    if (kwargs && update_from(op, kwargs) < 0) return NULL;
    Py_RETURN_NONE;
}

static PyObject *headers_copy(PyObject *op, PyObject *unused) {
    (void)unused;
    return gr_py_headers_of(op);
}

static PyObject *headers_clear_all(PyObject *op, PyObject *unused) {
    (void)unused;
    PyDict_Clear(((Headers *)op)->fields);
    ((Headers *)op)->version++;
    Py_RETURN_NONE;
}

static PyObject *headers_repr(PyObject *op) {
    PyObject *items = listed(op, -1), *dict = PyDict_New();
    PyObject *text = NULL;
    if (items && dict && PyDict_MergeFromSeq2(dict, items, 1) == 0) text = PyObject_Repr(dict);
    Py_XDECREF(dict);
    Py_XDECREF(items);
    return text;
}

static PyObject *headers_compare(PyObject *op, PyObject *other, int how) {
    if ((how != Py_EQ && how != Py_NE) || !PyMapping_Check(other)) Py_RETURN_NOTIMPLEMENTED;
    PyObject *theirs = gr_py_headers_of(other);
    PyObject *a = theirs ? headers_lower_items(op, NULL) : NULL;
    PyObject *b = a ? headers_lower_items(theirs, NULL) : NULL;
    PyObject *da = PyDict_New(), *db = PyDict_New(), *result = NULL;
    if (b && da && db && PyDict_MergeFromSeq2(da, a, 1) == 0 && PyDict_MergeFromSeq2(db, b, 1) == 0)
        result = PyObject_RichCompare(da, db, how);
    Py_XDECREF(da);
    Py_XDECREF(db);
    Py_XDECREF(a);
    Py_XDECREF(b);
    Py_XDECREF(theirs);
    return result;
}

static PyObject *headers_tp_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    (void)args, (void)kwargs;
    Headers *self = (Headers *)type->tp_alloc(type, 0);
    if (!self) return NULL;
    if (!(self->fields = PyDict_New())) {
        Py_DECREF(self);
        return NULL;
    }
    return (PyObject *)self;
}

static int headers_init(PyObject *op, PyObject *args, PyObject *kwargs) {
    PyObject *done = headers_update(op, args, kwargs);
    Py_XDECREF(done);
    return done ? 0 : -1;
}

static int headers_traverse(PyObject *self, visitproc visit, void *arg) {
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(((Headers *)self)->fields);
    return 0;
}

static int headers_gc_clear(PyObject *self) {
    Py_CLEAR(((Headers *)self)->fields);
    return 0;
}

static void headers_dealloc(PyObject *self) {
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    headers_gc_clear(self);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMethodDef METHODS[] = {
    {"get", (PyCFunction)(void (*)(void))headers_get, METH_FASTCALL, "get(name, default=None)"},
    {"pop", (PyCFunction)(void (*)(void))headers_pop, METH_FASTCALL, "pop(name[, default])"},
    {"setdefault", (PyCFunction)(void (*)(void))headers_setdefault, METH_FASTCALL,
     "setdefault(name, default=None)"},
    {"update", (PyCFunction)(void (*)(void))headers_update, METH_VARARGS | METH_KEYWORDS,
     "update(mapping_or_pairs=None, **fields)"},
    {"keys", headers_keys, METH_NOARGS, "The names, in order, in the case they were set."},
    {"values", headers_values, METH_NOARGS, "The values, in order."},
    {"items", headers_items, METH_NOARGS, "The (name, value) pairs, in order."},
    {"lower_items", headers_lower_items, METH_NOARGS, "Like items(), with lower-case names."},
    {"copy", headers_copy, METH_NOARGS, "A copy."},
    {"clear", headers_clear_all, METH_NOARGS, "Remove every field."},
    {0}};
static PyType_Slot SLOTS[] = {
    {Py_tp_doc,
     (void *)(uintptr_t) "Headers(fields=None, **more)\n--\n\nHeader fields by name, in any case."},
    {Py_tp_new, headers_tp_new},
    {Py_tp_init, headers_init},
    {Py_tp_dealloc, headers_dealloc},
    {Py_tp_traverse, headers_traverse},
    {Py_tp_clear, headers_gc_clear},
    {Py_tp_repr, headers_repr},
    {Py_tp_iter, headers_iter},
    {Py_tp_hash, PyObject_HashNotImplemented},
    {Py_tp_richcompare, headers_compare},
    {Py_tp_methods, METHODS},
    {Py_mp_length, headers_len},
    {Py_mp_subscript, headers_subscript},
    {Py_mp_ass_subscript, headers_set},
    {Py_sq_contains, headers_contains},
    {0, NULL}};
static PyType_Spec SPEC = {.name = "locust._engine.Headers",
                           .basicsize = sizeof(Headers),
                           .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
                           .slots = SLOTS};

/* --- for the other files ------------------------------------------------------------------ */

bool gr_py_headers_check(PyObject *op) {
    return PyObject_TypeCheck(op, headers_type);
}

uint64_t gr_py_headers_version(PyObject *headers) {
    return ((Headers *)headers)->version;
}

PyObject *gr_py_headers_new(void) {
    return headers_tp_new(headers_type, NULL, NULL);
}

PyObject *gr_py_headers_of(PyObject *source) {
    PyObject *self = gr_py_headers_new();
    if (self && update_from(self, source) < 0) Py_CLEAR(self);
    return self;
}

static PyObject *latin1(gr_str s) {
    return PyUnicode_DecodeLatin1(s.p ? s.p : "", (Py_ssize_t)s.n, NULL);
}

PyObject *gr_py_headers_from(const gr_headers *hs) {
    PyObject *self = gr_py_headers_new();
    for (uint32_t i = 0; self && i < hs->n; i++) {
        PyObject *name = latin1(hs->at[i].name), *value = latin1(hs->at[i].value);
        PyObject *earlier = name && value ? pair_of(self, name) : NULL;
        if (earlier)
            Py_SETREF(value, PyUnicode_FromFormat("%U, %U", PyTuple_GET_ITEM(earlier, 1), value));
        if (!name || !value || headers_set(self, name, value) < 0) Py_CLEAR(self);
        Py_XDECREF(name);
        Py_XDECREF(value);
    }
    return self;
}

/* A borrowed view of a name or value: bytes as they are, str as Latin-1 when it fits, else UTF-8. */
static int wire_text(PyObject *op, PyObject **hold, gr_str *out) {
    *hold = NULL;
    if (PyBytes_Check(op)) {
        *out = (gr_str){PyBytes_AS_STRING(op), (size_t)PyBytes_GET_SIZE(op)};
        return 0;
    }
    PyObject *text = PyUnicode_Check(op) ? Py_NewRef(op) : PyObject_Str(op);
    if (!text) return -1;
    if (PyUnicode_IS_COMPACT_ASCII(text)) {
        *out = gr_py_utf8(text);
        *hold = text;
        return 0;
    }
    *hold = PyUnicode_AsLatin1String(text);
    if (!*hold) {
        PyErr_Clear();
        *hold = PyUnicode_AsUTF8String(text);
    }
    Py_DECREF(text);
    if (!*hold) return -1;
    *out = (gr_str){PyBytes_AS_STRING(*hold), (size_t)PyBytes_GET_SIZE(*hold)};
    return 0;
}

static int render_one(PyObject *name, PyObject *value, gr_head *head) {
    PyObject *hold_name, *hold_value = NULL;
    gr_str n, v;
    if (wire_text(name, &hold_name, &n) < 0) return -1;
    int rc = wire_text(value, &hold_value, &v);
    if (rc == 0 && (rc = gr_head_add(head, n, gr_str_trim(v))) < 0) {
        if (rc == GR_E_NOMEM)
            PyErr_NoMemory();
        else
            PyErr_Format(PyExc_ValueError,
                         "invalid header %R: %R (names are tokens, values hold no line breaks)",
                         name, value);
        rc = -1;
    }
    Py_XDECREF(hold_name);
    Py_XDECREF(hold_value);
    return rc;
}

int gr_py_headers_render(PyObject *base, PyObject *own, gr_head *head) {
    PyObject *merged = base && base != Py_None ? Py_NewRef(base) : gr_py_headers_new();
    PyObject *key, *pair;
    Py_ssize_t at = 0;
    int rc = 0;
    if (merged && own && own != Py_None) {
        Py_SETREF(merged, gr_py_headers_of(merged));
        if (merged && update_from(merged, own) < 0) Py_CLEAR(merged);
    }
    if (!merged) return -1;
    while (rc == 0 && PyDict_Next(((Headers *)merged)->fields, &at, &key, &pair))
        if (PyTuple_GET_ITEM(pair, 1) != Py_None)
            rc = render_one(PyTuple_GET_ITEM(pair, 0), PyTuple_GET_ITEM(pair, 1), head);
    Py_DECREF(merged);
    return rc;
}

int gr_py_init_headers(PyObject *module) {
    headers_type = gr_py_add_type(module, &SPEC, NULL);
    return headers_type ? 0 : -1;
}
