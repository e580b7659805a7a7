/* The renderers of src/report for Python: text of tables and JSON, from a Stats as it is now. */
#include "python/stats_int.h"
#include "report/console.h"
#include "report/json.h"

#include <unistd.h>

/* all + delta as one; gr_stats_free. NULL with an exception. */
static gr_stats *merged(PyObject *stats) {
    if (!gr_py_stats_check(stats)) {
        PyErr_Format(PyExc_TypeError, "a RequestStats is needed, not %s", Py_TYPE(stats)->tp_name);
        return NULL;
    }
    const gr_shard *shard = &((gr__py_stats *)stats)->shard;
    gr_stats *s = gr_stats_new();
    if (s && gr_stats_merge(s, shard->all) == 0 && gr_stats_merge(s, shard->delta) == 0) return s;
    gr_stats_free(s);
    PyErr_NoMemory();
    return NULL;
}

/* The text as a str, and the end of both. */
static PyObject *finish(gr_text *t, gr_stats *s) {
    PyObject *text = t->rc < 0 ? PyErr_NoMemory() : gr_py_text(gr_buf_str(&t->buf));
    gr_text_deinit(t);
    gr_stats_free(s);
    return text;
}

static PyObject *render_stats(PyObject *module, PyObject *args) {
    (void)module;
    PyObject *stats;
    int current;
    if (!PyArg_ParseTuple(args, "Op:render_stats", &stats, &current)) return NULL;
    gr_stats *s = merged(stats);
    if (!s) return NULL;
    gr_text t = GR_TEXT_INIT;
    gr_console console = gr_console_of(STDERR_FILENO);
    gr_console_stats(&t, &console, s, current);
    return finish(&t, s);
}

static PyObject *render_percentiles(PyObject *module, PyObject *stats) {
    (void)module;
    gr_stats *s = merged(stats);
    if (!s) return NULL;
    gr_text t = GR_TEXT_INIT;
    gr_console console = gr_console_of(STDERR_FILENO);
    gr_console_percentiles(&t, &console, s);
    return finish(&t, s);
}

static PyObject *render_errors(PyObject *module, PyObject *stats) {
    (void)module;
    gr_stats *s = merged(stats);
    if (!s) return NULL;
    gr_text t = GR_TEXT_INIT;
    gr_console console = gr_console_of(STDERR_FILENO);
    gr_console_errors(&t, &console, s);
    return finish(&t, s);
}

static PyObject *render_json(PyObject *module, PyObject *stats) {
    (void)module;
    gr_stats *s = merged(stats);
    if (!s) return NULL;
    gr_text t = GR_TEXT_INIT;
    gr_json_stats(&t, s);
    return finish(&t, s);
}

static PyMethodDef FUNCTIONS[] = {
    {"render_stats", render_stats, METH_VARARGS,
     "render_stats(stats, current)\n--\n\nThe table of requests as text."},
    {"render_percentiles", render_percentiles, METH_O,
     "render_percentiles(stats)\n--\n\nThe table of percentiles as text."},
    {"render_errors", render_errors, METH_O,
     "render_errors(stats)\n--\n\nThe error report as text; empty without errors."},
    {"render_json", render_json, METH_O, "render_json(stats)\n--\n\nThe JSON that --json prints."},
    {NULL, NULL, 0, NULL},
};

int gr__py_init_report(PyObject *module) {
    return PyModule_AddFunctions(module, FUNCTIONS);
}
