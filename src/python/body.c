/* See body.h. The rules (which values repeat a key, what counts as a file's name, when a body is
 * streamed) are those of requests, because locustfiles were written against it. */
#include "python/body.h"
#include "base/clock.h"
#include "base/err.h"

static int nomem(void) {
    PyErr_NoMemory();
    return -1;
}

static int checked(int rc) { /* an engine code as 0 or -1 with an exception */
    if (rc >= 0) return 0;
    if (rc == GR_E_NOMEM) return nomem();
    PyErr_SetString(PyExc_ValueError, gr_strerror(rc));
    return -1;
}

static bool given(PyObject *op) {
    return op && op != Py_None;
}

/* The bytes of `op`: bytes-like as they are, everything else as UTF-8 of str(op). Owned. */
static PyObject *to_bytes(PyObject *op) {
    if (PyBytes_Check(op)) return Py_NewRef(op);
    if (PyByteArray_Check(op) || PyMemoryView_Check(op)) return PyBytes_FromObject(op);
    PyObject *text = PyUnicode_Check(op) ? Py_NewRef(op) : PyObject_Str(op);
    PyObject *bytes = text ? PyUnicode_AsUTF8String(text) : NULL;
    Py_XDECREF(text);
    return bytes;
}

static gr_str view(PyObject *bytes) {
    return (gr_str){PyBytes_AS_STRING(bytes), (size_t)PyBytes_GET_SIZE(bytes)};
}

static bool is_text(PyObject *op) {
    return PyUnicode_Check(op) || PyBytes_Check(op) || PyByteArray_Check(op) ||
           PyMemoryView_Check(op);
}

static bool is_iterable(PyObject *op) {
    return Py_TYPE(op)->tp_iter != NULL || PySequence_Check(op);
}

/* --- key-value data ----------------------------------------------------------------------- */

typedef int pair_fn(void *ctx, gr_str name, gr_str value);

static int each_value(PyObject *key, PyObject *value, pair_fn *fn, void *ctx) {
    if (value == Py_None) return 0;
    PyObject *k = to_bytes(key), *v = k ? to_bytes(value) : NULL;
    int rc = v ? fn(ctx, view(k), view(v)) : -1;
    Py_XDECREF(v);
    Py_XDECREF(k);
    return rc;
}

static int one_pair(PyObject *key, PyObject *values, pair_fn *fn, void *ctx) {
    if (is_text(values) || !is_iterable(values)) return each_value(key, values, fn, ctx);
    PyObject *it = PyObject_GetIter(values), *value;
    int rc = it ? 0 : -1;
    while (rc == 0 && (value = PyIter_Next(it))) {
        rc = each_value(key, value, fn, ctx);
        Py_DECREF(value);
    }
    Py_XDECREF(it);
    return PyErr_Occurred() ? -1 : rc;
}

static bool is_mapping(PyObject *op) { /* PyMapping_Check alone: whatever has __getitem__ */
    return PyDict_Check(op) || (PyMapping_Check(op) && PyObject_HasAttrString(op, "items"));
}

/* Call `fn` for each (key, value) of a mapping or an iterable of pairs. */
static int each_pair(PyObject *data, int (*fn)(PyObject *, PyObject *, void *), void *ctx) {
    PyObject *items = is_mapping(data) ? PyMapping_Items(data) : Py_NewRef(data);
    PyObject *it = items ? PyObject_GetIter(items) : NULL, *item;
    int rc = it ? 0 : -1;
    while (rc == 0 && (item = PyIter_Next(it))) {
        PyObject *pair = PySequence_Fast(item, "expected (key, value) pairs");
        if (pair && PySequence_Fast_GET_SIZE(pair) == 2) {
            rc = fn(PySequence_Fast_GET_ITEM(pair, 0), PySequence_Fast_GET_ITEM(pair, 1), ctx);
        } else {
            if (pair) PyErr_SetString(PyExc_ValueError, "expected (key, value) pairs");
            rc = -1;
        }
        Py_XDECREF(pair);
        Py_DECREF(item);
    }
    Py_XDECREF(it);
    Py_XDECREF(items);
    return PyErr_Occurred() ? -1 : rc;
}

static int add_form(void *ctx, gr_str name, gr_str value) {
    return checked(gr_form_add(ctx, name, value));
}

static int form_pair(PyObject *key, PyObject *values, void *ctx) {
    return one_pair(key, values, add_form, ctx);
}

int gr_py_query_add(gr_buf *url, PyObject *params) {
    if (!given(params)) return 0;
    gr_buf query = GR_BUF_INIT;
    int rc;
    if (is_text(params)) {
        PyObject *bytes = to_bytes(params);
        rc = bytes ? checked(gr_buf_add(&query, view(bytes))) : -1;
        Py_XDECREF(bytes);
    } else {
        rc = each_pair(params, form_pair, &query);
    }
    if (rc == 0 && query.n) {
        gr_buf fragment = GR_BUF_INIT;
        ptrdiff_t hash = gr_str_find(gr_buf_str(url), '#');
        if (hash >= 0) {
            rc = checked(gr_buf_add(&fragment, gr_str_from(gr_buf_str(url), (size_t)hash)));
            url->n = (size_t)hash;
        }
        char join = gr_str_find(gr_buf_str(url), '?') >= 0 ? '&' : '?';
        bool joined = url->n && (url->p[url->n - 1] == '?' || url->p[url->n - 1] == '&');
        if (rc == 0 && !joined) rc = checked(gr_buf_add_byte(url, join));
        if (rc == 0) rc = checked(gr_buf_add(url, gr_buf_str(&query)));
        if (rc == 0) rc = checked(gr_buf_add(url, gr_buf_str(&fragment)));
        gr_buf_deinit(&fragment);
    }
    gr_buf_deinit(&query);
    return rc;
}

/* --- multipart ---------------------------------------------------------------------------- */

typedef struct multipart {
    gr_multipart form;
    gr_py_body *body;
} multipart;

static int add_field(void *ctx, gr_str name, gr_str value) {
    multipart *m = ctx;
    gr_part part = {.name = name};
    if (checked(gr_multipart_part(&m->form, &part, &m->body->built)) < 0) return -1;
    if (checked(gr_buf_add(&m->body->built, value)) < 0) return -1;
    return checked(gr_multipart_part_end(&m->form, &m->body->built));
}

static int field_pair(PyObject *key, PyObject *values, void *ctx) {
    return one_pair(key, values, add_field, ctx);
}

/* The base name of an open file's path, as requests guesses it. Owned; NULL without exception: none. */
static PyObject *guess_filename(PyObject *file) {
    PyObject *name = PyObject_GetAttr(file, gr_py_name.name);
    if (!name) {
        PyErr_Clear();
        return NULL;
    }
    PyObject *result = NULL;
    if (PyUnicode_Check(name)) {
        gr_str s = gr_py_utf8(name);
        if (s.p && s.n && s.p[0] != '<' && s.p[s.n - 1] != '>') {
            size_t from = s.n;
            while (from > 0 && s.p[from - 1] != '/')
                from--;
            result = gr_py_text(gr_str_from(s, from));
        }
    }
    Py_DECREF(name);
    return result;
}

static PyObject *file_contents(PyObject *file) {
    if (is_text(file)) return to_bytes(file);
    PyObject *read = PyObject_GetAttrString(file, "read");
    if (!read) {
        PyErr_Clear();
        return to_bytes(file);
    }
    PyObject *got = PyObject_CallNoArgs(read);
    PyObject *bytes = got ? to_bytes(got) : NULL;
    Py_XDECREF(got);
    Py_DECREF(read);
    return bytes;
}

static int write_file(multipart *m, PyObject *key, PyObject *filename, PyObject *file,
                      PyObject *type, PyObject *headers) {
    gr_head more = GR_HEAD_INIT;
    gr_part part = {.more = &more};
    PyObject *k = to_bytes(key), *f = NULL, *t = NULL, *contents = NULL;
    int rc = k ? 0 : -1;
    if (rc == 0) part.name = view(k);
    if (rc == 0 && given(filename)) {
        if ((f = to_bytes(filename)))
            part.filename = view(f);
        else
            rc = -1;
        part.has_filename = true;
    }
    if (rc == 0 && given(type)) {
        if ((t = to_bytes(type)))
            part.content_type = view(t);
        else
            rc = -1;
    }
    if (rc == 0 && given(headers)) rc = gr_py_headers_render(NULL, headers, &more);
    if (rc == 0 && !(contents = file_contents(file))) rc = -1;
    if (rc == 0) rc = checked(gr_multipart_part(&m->form, &part, &m->body->built));
    if (rc == 0) rc = checked(gr_buf_add(&m->body->built, view(contents)));
    if (rc == 0) rc = checked(gr_multipart_part_end(&m->form, &m->body->built));
    gr_head_deinit(&more);
    Py_XDECREF(contents);
    Py_XDECREF(t);
    Py_XDECREF(f);
    Py_XDECREF(k);
    return rc;
}

static int file_pair(PyObject *key, PyObject *value, void *ctx) {
    if (value == Py_None) return 0;
    if (!PyTuple_Check(value) && !PyList_Check(value)) {
        PyObject *guess = guess_filename(value);
        if (!guess && PyErr_Occurred()) return -1;
        int rc = write_file(ctx, key, guess ? guess : key, value, NULL, NULL);
        Py_XDECREF(guess);
        return rc;
    }
    PyObject *parts = PySequence_Tuple(value);
    Py_ssize_t n = parts ? PyTuple_GET_SIZE(parts) : 0;
    int rc = -1;
    if (parts && (n < 2 || n > 4))
        PyErr_SetString(PyExc_ValueError,
                        "a file is (filename, contents[, content type[, headers]])");
    else if (parts && PyTuple_GET_ITEM(parts, 1) == Py_None)
        rc = 0;
    else if (parts)
        rc = write_file(ctx, key, PyTuple_GET_ITEM(parts, 0), PyTuple_GET_ITEM(parts, 1),
                        n > 2 ? PyTuple_GET_ITEM(parts, 2) : NULL,
                        n > 3 ? PyTuple_GET_ITEM(parts, 3) : NULL);
    Py_XDECREF(parts);
    return rc;
}

static int build_multipart(gr_py_body *b, PyObject *data, PyObject *files) {
    multipart m = {.body = b};
    gr_rand seed;
    gr_rand_seed(&seed, gr_clock_ns());
    gr_multipart_init(&m.form, &seed);
    if (given(data) && is_text(data)) {
        PyErr_SetString(PyExc_ValueError,
                        "data must be a mapping or pairs when files are sent, not a string");
        return -1;
    }
    if (given(data) && each_pair(data, field_pair, &m) < 0) return -1;
    if (each_pair(files, file_pair, &m) < 0) return -1;
    if (checked(gr_multipart_end(&m.form, &b->built)) < 0) return -1;
    b->kind = GR_BODY_BYTES;
    b->bytes = gr_buf_str(&b->built);
    return checked(gr_multipart_type(&m.form, &b->type));
}

/* --- the other kinds ---------------------------------------------------------------------- */

static int build_json(gr_py_body *b, PyObject *json) {
    static PyObject *dumps, *strict; /* json.dumps, {"allow_nan": False} */
    if (!strict) {
        PyObject *module = PyImport_ImportModule("json");
        Py_XSETREF(dumps, module ? PyObject_GetAttrString(module, "dumps") : NULL);
        Py_XDECREF(module);
        if (!dumps || !(strict = Py_BuildValue("{s:O}", "allow_nan", Py_False))) return -1;
    }
    PyObject *args = PyTuple_Pack(1, json);
    PyObject *text = args ? PyObject_Call(dumps, args, strict) : NULL;
    Py_XDECREF(args);
    b->hold = text ? PyUnicode_AsUTF8String(text) : NULL;
    Py_XDECREF(text);
    if (!b->hold) return -1;
    b->kind = GR_BODY_BYTES;
    b->bytes = view(b->hold);
    return checked(gr_buf_addc(&b->type, "application/json"));
}

static int build_text(gr_py_body *b, PyObject *data, bool fast) {
    if (!(b->hold = to_bytes(data))) return -1;
    b->kind = GR_BODY_BYTES;
    b->bytes = view(b->hold);
    if (!fast) return 0;
    return checked(gr_buf_addc(&b->type, PyUnicode_Check(data) ? "text/plain; charset=utf-8"
                                                               : "application/octet-stream"));
}

static int build_form(gr_py_body *b, PyObject *data, bool fast) {
    if (each_pair(data, form_pair, &b->built) < 0) return -1;
    b->kind = GR_BODY_BYTES;
    b->bytes = gr_buf_str(&b->built);
    if (checked(gr_buf_addc(&b->type, GR_FORM_TYPE)) < 0) return -1;
    return fast ? checked(gr_buf_addc(&b->type, "; charset=utf-8")) : 0;
}

static int build_stream(gr_py_body *b, PyObject *data) {
    b->kind = GR_BODY_STREAM;
    b->source_reads = PyObject_HasAttrString(data, "read");
    b->source = b->source_reads ? Py_NewRef(data) : PyObject_GetIter(data);
    PyObject *module = b->source ? PyImport_ImportModule("locust.clients") : NULL;
    PyObject *length = module ? PyObject_CallMethod(module, "_body_length", "O", data) : NULL;
    b->length = length ? PyLong_AsLongLong(length) : -1;
    Py_XDECREF(length);
    Py_XDECREF(module);
    return PyErr_Occurred() ? -1 : 0;
}

int gr_py_body_build(gr_py_body *b, PyObject *data, PyObject *json, PyObject *files, bool fast) {
    if (given(files)) {
        int any = PyObject_IsTrue(files);
        if (any < 0) return -1;
        if (any) return build_multipart(b, data, files);
    }
    int any_data = given(data) ? 1 : 0;
    if (any_data &&
        (is_text(data) || PyDict_Check(data) || PyList_Check(data) || PyTuple_Check(data)))
        any_data = PyObject_IsTrue(data);
    if (any_data < 0) return -1;
    if (!any_data) return given(json) ? build_json(b, json) : 0;
    if (is_text(data)) return build_text(b, data, fast);
    if (is_mapping(data) || PyList_Check(data) || PyTuple_Check(data))
        return build_form(b, data, fast);
    if (is_iterable(data) || PyObject_HasAttrString(data, "read")) return build_stream(b, data);
    PyErr_Format(PyExc_TypeError,
                 "data must be bytes, str, a mapping, pairs or an iterable, not %.100s",
                 Py_TYPE(data)->tp_name);
    return -1;
}

void gr_py_body_clear(gr_py_body *b) {
    Py_CLEAR(b->source);
    Py_CLEAR(b->hold);
    gr_buf_deinit(&b->built);
    gr_buf_deinit(&b->type);
    *b = GR_PY_BODY_INIT;
}
