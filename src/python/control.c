/* Control: this process's control thread (control/control.h) as the runner holds it.
 *
 * Reports leave from a timer of the engine's loop, so they go on while every user waits. Orders come
 * in on the same loop: a ping is answered here, the others are handed to a Python callable, which runs in the hub
 * and must not block. */
#include "control/control.h"
#include "base/clock.h"
#include "base/log.h"
#include "python/stats.h"

#include <errno.h>
#include <structmember.h>

typedef struct Control {
    PyObject_HEAD gr_control *thread; /* NULL once finished */
    PyObject *stats;                  /* locust._engine.Stats */
    PyObject *on_order;               /* callable(kind, value, extra) */
    PyObject *snapshot;               /* callable() -> (state, user_count) */
    gr_timer timer;
} Control;

static PyTypeObject *control_type;
static Control *active; /* whose thread takes the figures that are reset from Python */

static int take_snapshot(Control *self, gr_report *r) {
    static const char *const names[] = {"ready",   "spawning", "running",
                                        "cleanup", "stopping", "stopped"};
    PyObject *pair = PyObject_CallNoArgs(self->snapshot);
    const char *state;
    unsigned int users;
    int rc = pair && PyArg_ParseTuple(pair, "sI", &state, &users) ? 0 : -1;
    for (size_t i = 0; rc == 0 && i < GR_LEN(names); i++)
        if (strcmp(names[i], state) == 0) r->state = (gr_run_state)i;
    if (rc == 0) r->user_count = users;
    Py_XDECREF(pair);
    return rc;
}

static void post(gr_report *r) {
    if (!active || !active->thread) {
        gr_report_free(r);
        return;
    }
    if (take_snapshot(active, r) < 0) PyErr_WriteUnraisable(active->snapshot);
    gr_control_report(active->thread, r);
}

static int send_report(Control *self, gr_report_kind kind) {
    gr_report *r = kind == GR_REPORT_STARTED || kind == GR_REPORT_RESET
                       ? gr_report_new(kind)
                       : gr_py_stats_hand_over(self->stats, kind);
    if (!r) {
        if (!PyErr_Occurred()) PyErr_NoMemory();
        return -1;
    }
    if (take_snapshot(self, r) < 0) {
        if (kind != GR_REPORT_FINAL) {
            gr_report_free(r);
            return -1;
        }
        PyErr_WriteUnraisable(
            self->snapshot); /* the last figures go out whatever the state is called */
    }
    gr_control_report(self->thread, r);
    return 0;
}

static void on_timer(gr_timer *t) {
    Control *self = GR_CONTAINER(t, Control, timer);
    if (!self->thread) return;
    if (send_report(self, GR_REPORT_DELTA) < 0) PyErr_WriteUnraisable((PyObject *)self);
    gr_loop *loop = gr_py_loop();
    if (!loop || gr_timer_start(loop, t, gr_clock_ns() + GR_REPORT_INTERVAL_NS) < 0) PyErr_Clear();
}

static PyObject *call_order(Control *self, const gr_order *o) {
    static const char *const reasons[] = {"run_time", "sigint", "sigterm"};
    switch (o->kind) {
    case GR_ORDER_PING: break;
    case GR_ORDER_STOP:
        return PyObject_CallFunction(self->on_order, "ssO", "stop", reasons[o->reason], Py_None);
    case GR_ORDER_USAGE:
        return PyObject_CallFunction(self->on_order, "s(dK)O", "usage", o->cpu_percent,
                                     (unsigned long long)o->memory_bytes,
                                     o->cpu_warning ? Py_True : Py_False);
    case GR_ORDER_USERS:
        return PyObject_CallFunction(self->on_order, "siO", "users", (int)o->users_change, Py_None);
    }
    return Py_NewRef(Py_None);
}

static void on_order(void *ctx, gr_order *o) {
    Control *self = ctx;
    if (o->kind == GR_ORDER_PING) {
        gr_py_stats_loop_lag(self->stats, (int64_t)(gr_clock_ns() - o->sent_at));
    } else {
        PyObject *done = call_order(self, o);
        if (!done) PyErr_WriteUnraisable(self->on_order);
        Py_XDECREF(done);
    }
    gr_order_free(o);
}

/* --- type --------------------------------------------------------------------------------- */

static gr_str text_or_empty(PyObject *op) {
    return op && op != Py_None && PyUnicode_Check(op) ? gr_py_utf8(op) : (gr_str){NULL, 0};
}

static int start_thread(Control *self, const gr_control_opts *opts) {
    gr_buf why = GR_BUF_INIT;
    gr_loop *loop = gr_py_loop();
    if (!loop) return -1;
    int rc = gr_control_start(&self->thread, opts, loop, on_order, self, &why);
    if (rc < 0) gr_py_raise(PyExc_OSError, gr_buf_str(&why));
    gr_buf_deinit(&why);
    if (rc < 0) return -1;
    active = self;
    gr_py_stats_connect(self->stats, post);
    self->timer.cb = on_timer;
    if (gr_timer_start(loop, &self->timer, gr_clock_ns() + GR_REPORT_INTERVAL_NS) == 0) return 0;
    PyErr_NoMemory();
    return -1;
}

static int control_init(PyObject *op, PyObject *args, PyObject *kwargs) {
    static const char *const names[] = {
        "stats",          "on_order", "snapshot",  "run_time",   "tables",
        "only_summary",   "json",     "json_file", "csv_prefix", "csv_full_history",
        "handle_signals", "keyboard", NULL};
    Control *self = (Control *)op;
    PyObject *stats, *order, *snapshot, *json_file = Py_None, *csv = Py_None;
    double run_time = 0;
    int tables = 1, only_summary = 0, json = 0, history = 0, signals = 0, keyboard = 0;
    char **words = (char **)(uintptr_t)names;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOO|$dpppOOppp", words, &stats, &order,
                                     &snapshot, &run_time, &tables, &only_summary, &json,
                                     &json_file, &csv, &history, &signals, &keyboard))
        return -1;
    if (self->thread || active || !gr_py_stats_check(stats)) {
        PyErr_SetString(PyExc_RuntimeError, "one Control at a time, over a RequestStats");
        return -1;
    }
    gr_control_opts opts = {
        .run_time_ns = run_time > 0 ? (gr_ns)(run_time * 1e9) : 0,
        .tables = tables != 0,
        .only_summary = only_summary != 0,
        .json = json != 0,
        .json_file = text_or_empty(json_file),
        .csv_prefix = text_or_empty(csv),
        .csv_full_history = history != 0,
        .handle_signals = signals != 0,
        .keyboard = keyboard != 0,
    };
    Py_XSETREF(self->stats, Py_NewRef(stats));
    Py_XSETREF(self->on_order, Py_NewRef(order));
    Py_XSETREF(self->snapshot, Py_NewRef(snapshot));
    return start_thread(self, &opts);
}

static PyObject *control_started(PyObject *op, PyObject *unused) {
    (void)unused;
    Control *self = (Control *)op;
    if (self->thread && send_report(self, GR_REPORT_STARTED) < 0) return NULL;
    Py_RETURN_NONE;
}

static PyObject *control_flush(PyObject *op, PyObject *unused) {
    (void)unused;
    Control *self = (Control *)op;
    if (self->thread && send_report(self, GR_REPORT_DELTA) < 0) return NULL;
    Py_RETURN_NONE;
}

static PyObject *control_finish(PyObject *op, PyObject *unused) {
    (void)unused;
    Control *self = (Control *)op;
    if (!self->thread) Py_RETURN_NONE;
    gr_loop *loop = gr_py_loop();
    if (!loop) return NULL;
    gr_timer_stop(loop, &self->timer);
    /* Without memory for the last figures the thread is ended all the same: it refers to this. */
    if (send_report(self, GR_REPORT_FINAL) < 0) PyErr_WriteUnraisable(op);
    gr_py_stats_connect(self->stats, NULL);
    gr_control *thread = self->thread;
    self->thread = NULL;
    active = NULL;
    Py_BEGIN_ALLOW_THREADS gr_control_finish(thread);
    Py_END_ALLOW_THREADS Py_RETURN_NONE;
}

static int control_traverse(PyObject *op, visitproc visit, void *arg) {
    Control *self = (Control *)op;
    Py_VISIT(Py_TYPE(op));
    Py_VISIT(self->stats);
    Py_VISIT(self->on_order);
    Py_VISIT(self->snapshot);
    return 0;
}

static int control_clear(PyObject *op) {
    Control *self = (Control *)op;
    if (self->thread) return 0; /* the thread still reports to them */
    Py_CLEAR(self->stats);
    Py_CLEAR(self->on_order);
    Py_CLEAR(self->snapshot);
    return 0;
}

static void control_dealloc(PyObject *op) {
    PyTypeObject *type = Py_TYPE(op);
    PyObject *done = control_finish(op, NULL);
    if (!done) PyErr_WriteUnraisable(op);
    Py_XDECREF(done);
    PyObject_GC_UnTrack(op);
    control_clear(op);
    type->tp_free(op);
    Py_DECREF(type);
}

static PyMethodDef METHODS[] = {
    {"started", control_started, METH_NOARGS, "A new test begins: earlier figures are forgotten."},
    {"flush", control_flush, METH_NOARGS, "Hand over the figures so far at once."},
    {"finish", control_finish, METH_NOARGS,
     "Hand over the last figures, wait until everything is written, end the thread."},
    {0}};
static PyType_Slot SLOTS[] = {
    {Py_tp_doc,
     (void *)(uintptr_t) "The process's control thread: console, files, run time, signals."},
    {Py_tp_new, PyType_GenericNew},
    {Py_tp_init, control_init},
    {Py_tp_dealloc, control_dealloc},
    {Py_tp_traverse, control_traverse},
    {Py_tp_clear, control_clear},
    {Py_tp_methods, METHODS},
    {0, NULL}};
static PyType_Spec SPEC = {.name = "locust._engine.Control",
                           .basicsize = sizeof(Control),
                           .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
                           .slots = SLOTS};

static PyObject *open_log(PyObject *module, PyObject *args) {
    PyObject *path, *encoded = NULL;
    int level;
    (void)module;
    if (!PyArg_ParseTuple(args, "Oi:open_log", &path, &level)) return NULL;
    if (path != Py_None && !PyUnicode_FSConverter(path, &encoded)) return NULL;
    int rc = gr_log_open(encoded ? PyBytes_AS_STRING(encoded) : NULL, (gr_log_level)level);
    if (rc < 0) {
        errno = -rc;
        PyErr_SetFromErrnoWithFilenameObject(PyExc_OSError, path);
    }
    Py_XDECREF(encoded);
    return rc < 0 ? NULL : Py_NewRef(Py_None);
}

static PyMethodDef FUNCTIONS[] = {{"open_log", open_log, METH_VARARGS,
                                   "open_log(path, level)\n--\n\nWhere lines of the control thread "
                                   "go, and from which level on; None: to "
                                   "stderr. Before there is a Control."},
                                  {0}};

int gr_py_init_control(PyObject *module) {
    control_type = gr_py_add_type(module, &SPEC, NULL);
    return control_type ? PyModule_AddFunctions(module, FUNCTIONS) : -1;
}
