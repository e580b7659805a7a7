/* What the files of the extension module share. One engine per process: a loop that belongs to the
 * thread that imported the module and is embedded in that thread's gevent hub (engine.c).
 *
 * Reference counts: a function that can switch greenlets keeps only owned references across the
 * switch. Functions return a new reference or NULL with an exception set, unless they say otherwise. */
#ifndef GR_PYTHON_ENGINE_H
#define GR_PYTHON_ENGINE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "base/base.h"
#include "base/buf.h"
#include "base/list.h"
#include "net/loop.h"

/* Every file with types or functions registers them here; 0, or -1 with an exception. */
int gr_py_init_engine(PyObject *module);
int gr_py_init_event(PyObject *module);
int gr_py_init_stats(PyObject *module);
int gr_py_init_headers(PyObject *module);
int gr_py_init_response(PyObject *module);
int gr_py_init_client(PyObject *module);
int gr_py_init_tasks(PyObject *module);
int gr_py_init_user(PyObject *module);
int gr_py_init_wait(PyObject *module);
int gr_py_init_dispatch(PyObject *module);
int gr_py_init_args(PyObject *module);
int gr_py_init_control(PyObject *module);

/* Create a heap type from `spec` and add it to the module under its short name. */
PyTypeObject *gr_py_add_type(PyObject *module, PyType_Spec *spec, PyTypeObject *base);

/* The process's loop, started on first use. NULL with an exception when there is none to be had or
 * when called from a thread that is not the engine's. */
gr_loop *gr_py_loop(void);

/* A greenlet that waits for the engine. Must be in heap memory, as everything must that the loop is to find
 * while a greenlet is parked: the greenlet's C stack is moved away meanwhile. */
typedef struct gr_parked {
    gr_list link;       /* among those to be continued */
    PyObject *greenlet; /* owned while parked */
    bool ready;
} gr_parked;

/* Switch to the hub until gr_py_wake. One greenlet at a time can wait by `p`. 0, or -1 with an
 * exception that was thrown into the greenlet (GreenletExit, Timeout): then whatever was waited for
 * must be cancelled by the caller. */
int gr_py_park(gr_parked *p);
/* Continue the greenlet, if one waits, when this turn's callbacks are through. From a loop callback,
 * or followed by gr_py_loop. */
void gr_py_wake(gr_parked *p);

/* Let other greenlets and the loop run once, without waiting. 0 or -1 as gr_py_park. */
int gr_py_yield(void);
/* Wait until the monotonic moment `due_at`. 0 or -1 as gr_py_park. */
int gr_py_sleep_until(gr_ns due_at);
/* How often this thread's greenlets have been parked: tells whether a piece of code has yielded. */
uint64_t gr_py_park_count(void);

/* Names that are looked up often, interned once. */
/* clang-format off */
#define GR_PY_NAMES(X)                                                                             \
    X(args) X(catch_exceptions) X(client) X(context) X(environment) X(events) X(exception)         \
    X(execute_next_task) X(execute_task) X(fire) X(get_next_task) X(name) X(on_start) X(on_stop)   \
    X(request) X(request_type) X(reschedule) X(response) X(response_length) X(response_time)       \
    X(run) X(start_time) X(tasks) X(url) X(user) X(user_error) X(wait) X(wait_time)                \
    X(wait_function) X(min_wait) X(max_wait) X(_task_queue)
/* clang-format on */
struct gr_py_names {
#define X(n) PyObject *n;
    GR_PY_NAMES(X)
#undef X
};
extern struct gr_py_names gr_py_name;

static inline gr_str
gr_py_utf8(PyObject *unicode) { /* p is NULL, exception set, when not encodable */
    Py_ssize_t n;
    const char *p = PyUnicode_AsUTF8AndSize(unicode, &n);
    return (gr_str){p, p ? (size_t)n : 0};
}
/* The same for any str: a lone surrogate, for which UTF-8 has no bytes, becomes an escape such as
 * \ud800. Valid as long as `unicode` and `*hold` (owned by the caller, may be NULL) live. */
gr_str gr_py_utf8_any(PyObject *unicode, PyObject **hold);
static inline PyObject *gr_py_text(gr_str s) { /* bytes that are not UTF-8 become U+DC80.. */
    return PyUnicode_DecodeUTF8(s.p ? s.p : "", (Py_ssize_t)s.n, "surrogateescape");
}
static inline void gr_py_raise(PyObject *type, gr_str why) { /* PyErr_Format knows no "%.*s" */
    PyObject *text = gr_py_text(why);
    if (text) PyErr_SetObject(type, text);
    Py_XDECREF(text);
}

#endif
