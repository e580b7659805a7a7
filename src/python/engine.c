/* The engine's loop inside gevent's hub, and greenlets that wait for it.
 *
 * gevent's hub stays outermost. Three of its watchers carry our loop: an io watcher on the loop's
 * descriptor, so that a blocked hub wakes; a prepare watcher that runs gr_loop_poll before the hub
 * blocks; and a timer that keeps it from blocking longer than our loop allows. Completed requests
 * and elapsed waits wake the greenlet that waits for them; after each turn of our loop the hub
 * switches into those, in C.
 *
 * What always holds:
 *  - gr_loop_poll runs in the hub greenlet only, and never inside itself.
 *  - Work that is given to the loop outside gr_loop_poll (from a greenlet that gevent itself
 *    resumed) kicks the hub, because the prepare watcher may already have run in this turn.
 *  - The watchers keep the hub alive only while some greenlet is parked, so that gevent still
 *    notices when nothing can ever happen any more. */
#include "python/engine.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/err.h"

#include <greenlet/greenlet.h>

/* Turns of our loop in one turn of the hub, while work keeps coming: the hub's own turn costs
 * several microseconds, so a burst is cheaper answered here; but the hub's other watchers must not wait for
 * longer than a scheduler's tick. */
#define POLL_ROUNDS_MAX 8
#define POLL_TIME_MAX   GR_MS(1)

struct gr_py_names gr_py_name;

static struct {
    gr_loop *loop;
    PyGreenlet *hub;
    PyObject *io, *prepare, *kick, *poll_callback; /* gevent watchers */
    gr_list awake;                                 /* parked greenlets to continue */
    unsigned long thread;
    bool polling;   /* inside gr_loop_poll */
    bool kicked;    /* the kick timer is running */
    bool holds_hub; /* the watchers count as a reason for the hub to live */
    uint32_t parked;
    uint64_t parks;
} engine;

PyTypeObject *gr_py_add_type(PyObject *module, PyType_Spec *spec, PyTypeObject *base) {
    PyObject *type = PyType_FromSpecWithBases(spec, (PyObject *)base);
    if (!type) return NULL;
    const char *dot = strrchr(spec->name, '.');
    if (PyModule_AddObjectRef(module, dot ? dot + 1 : spec->name, type) < 0) {
        Py_DECREF(type);
        return NULL;
    }
    return (PyTypeObject *)type; /* the caller's reference lives as long as the process */
}

/* --- the hub ------------------------------------------------------------------------------ */

static int set_ref(PyObject *watcher, bool on) {
    return PyObject_SetAttrString(watcher, "ref", on ? Py_True : Py_False);
}

/* Keep the hub alive exactly while greenlets are parked. */
static int hold_hub(void) {
    bool want = engine.parked > 0;
    if (want == engine.holds_hub) return 0;
    engine.holds_hub = want;
    return set_ref(engine.io, want);
}

/* Make the hub run the prepare watcher again within `ns`. */
static int kick(gr_ns ns) {
    PyObject *after = PyFloat_FromDouble((double)ns * 1e-9);
    if (!after) return -1;
    /* again(callback, update) restarts with the watcher's own delay; a new delay needs a new one. */
    PyObject *loop = PyObject_GetAttrString((PyObject *)engine.hub, "loop");
    PyObject *timer = loop ? PyObject_CallMethod(loop, "timer", "O", after) : NULL;
    Py_XDECREF(loop);
    Py_DECREF(after);
    if (!timer) return -1;
    PyObject *done = PyObject_CallMethod(timer, "start", "O", engine.poll_callback);
    if (!done) {
        Py_DECREF(timer);
        return -1;
    }
    Py_DECREF(done);
    PyObject *old = engine.kick;
    engine.kick = timer;
    engine.kicked = true;
    if (old) {
        PyObject *stopped = PyObject_CallMethod(old, "close", NULL);
        if (!stopped) PyErr_Clear();
        Py_XDECREF(stopped);
        Py_DECREF(old);
    }
    return 0;
}

/* The loop got work while nobody was running it. */
static int note_work(void) {
    if (engine.polling || engine.kicked) return 0;
    return kick(0);
}

static void run_awake(void);

static PyObject *poll_once(PyObject *self, PyObject *unused) {
    (void)self, (void)unused;
    if (engine.polling) Py_RETURN_NONE;
    engine.polling = true;
    engine.kicked = false;
    gr_ns end = gr_clock_ns() + POLL_TIME_MAX, wait;
    int round = 0;
    do {
        wait = gr_loop_poll(engine.loop);
        run_awake();
    } while (wait == 0 && ++round < POLL_ROUNDS_MAX && gr_clock_ns() < end);
    engine.polling = false;
    if (hold_hub() < 0) return NULL;
    if (wait != UINT64_MAX && kick(wait) < 0) return NULL;
    Py_RETURN_NONE;
}

static PyObject *wake_only(PyObject *self,
                           PyObject *unused) { /* the prepare watcher does the work */
    (void)self, (void)unused;
    Py_RETURN_NONE;
}

static PyMethodDef POLL = {"_poll", poll_once, METH_NOARGS, NULL};
static PyMethodDef WAKE = {"_wake", wake_only, METH_NOARGS, NULL};

static int start_watcher(PyObject *watcher, PyObject *callback, int priority) {
    PyObject *value = PyLong_FromLong(priority);
    /* Only the libev loop has priorities: there, the hub's own prepare watcher, which runs the callbacks
     * that our greenlets add, must come after ours. The libuv loop keeps itself awake for them. */
    if (value && PyObject_SetAttrString(watcher, "priority", value) < 0) PyErr_Clear();
    Py_XDECREF(value);
    PyObject *done = value ? PyObject_CallMethod(watcher, "start", "O", callback) : NULL;
    Py_XDECREF(done);
    return done && set_ref(watcher, false) == 0 ? 0 : -1;
}

static int embed(PyObject *loop) {
    PyObject *wake = PyCFunction_New(&WAKE, NULL);
    engine.poll_callback = PyCFunction_New(&POLL, NULL);
    engine.io = PyObject_CallMethod(loop, "io", "ii", gr_loop_fd(engine.loop), 1);
    engine.prepare = PyObject_CallMethod(loop, "prepare", NULL);
    int rc = wake && engine.poll_callback && engine.io && engine.prepare ? 0 : -1;
    if (rc == 0) rc = start_watcher(engine.io, wake, 0);
    if (rc == 0) rc = start_watcher(engine.prepare, engine.poll_callback, 2);
    Py_XDECREF(wake);
    return rc;
}

static int start_engine(void) {
    gr_list_init(&engine.awake);
    PyGreenlet_Import();
    if (PyErr_Occurred()) return -1;
    PyObject *gevent = PyImport_ImportModule("gevent");
    PyObject *hub = gevent ? PyObject_CallMethod(gevent, "get_hub", NULL) : NULL;
    PyObject *loop = hub ? PyObject_GetAttrString(hub, "loop") : NULL;
    int rc = -1;
    if (loop && (rc = gr_loop_new(&engine.loop)) < 0) {
        PyErr_Format(PyExc_OSError, "cannot start the engine's loop: %s", gr_strerror(rc));
        rc = -1;
    }
    if (rc == 0) {
        engine.hub = (PyGreenlet *)Py_NewRef(hub);
        engine.thread = PyThread_get_thread_ident();
        rc = embed(loop);
    }
    Py_XDECREF(loop);
    Py_XDECREF(hub);
    Py_XDECREF(gevent);
    return rc;
}

gr_loop *gr_py_loop(void) {
    if (!engine.loop && start_engine() < 0) return NULL;
    if (PyThread_get_thread_ident() != engine.thread) {
        PyErr_SetString(PyExc_RuntimeError,
                        "the engine belongs to the thread that started it; call it from there "
                        "(gevent's greenlets run there, native threads do not)");
        return NULL;
    }
    return note_work() < 0 ? NULL : engine.loop;
}

/* --- parking ------------------------------------------------------------------------------ */

int gr_py_park(gr_parked *p) {
    if (p->greenlet) {
        PyErr_SetString(PyExc_RuntimeError, "another greenlet already waits for this");
        return -1;
    }
    PyGreenlet *self = PyGreenlet_GetCurrent(); /* owned */
    if (!self) return -1;
    if (self == engine.hub) {
        Py_DECREF(self);
        PyErr_SetString(PyExc_RuntimeError,
                        "a blocking call was made from the hub's own callbacks: "
                        "use gevent.spawn for code that waits");
        return -1;
    }
    gr_list_init(&p->link);
    p->greenlet = (PyObject *)self;
    p->ready = false;
    engine.parked++;
    engine.parks++;
    int rc = engine.polling ? 0 : hold_hub();
    /* Whoever parks has given the loop work, maybe long after gr_py_loop kicked the hub. */
    if (rc == 0) rc = note_work();
    while (rc == 0 && !p->ready) { /* others may switch to a greenlet they hold: not our news */
        PyObject *news = PyGreenlet_Switch(engine.hub, NULL, NULL);
        if (!news) rc = -1;
        Py_XDECREF(news);
    }
    engine.parked--;
    gr_list_remove(&p->link); /* thrown into after it was woken */
    p->greenlet = NULL;
    Py_DECREF(self);
    return rc;
}

void gr_py_wake(gr_parked *p) {
    if (!p->greenlet || p->ready) return;
    p->ready = true;
    gr_list_add_tail(&engine.awake, &p->link);
}

/* Continue those that were woken. Only now, from a shallow stack: what lies on the hub's C stack
 * above the place where a greenlet began is copied at every switch, and libuv alone keeps 12 KB of
 * events there (measured: 0.9 us of 6 us per request). */
static void run_awake(void) {
    gr_list *link;
    while ((link = gr_list_first(&engine.awake))) {
        gr_parked *p = GR_CONTAINER(link, gr_parked, link);
        PyObject *greenlet = Py_NewRef(p->greenlet);
        gr_list_remove(link);
        PyObject *result = PyGreenlet_Switch((PyGreenlet *)greenlet, NULL, NULL);
        if (!result)
            PyErr_WriteUnraisable(greenlet); /* gevent's greenlets keep their own exceptions */
        Py_XDECREF(result);
        Py_DECREF(greenlet);
    }
}

/* What a sleeping or yielding greenlet is found by; kept for reuse. */
typedef struct sleeper {
    struct sleeper *next_free;
    gr_timer timer;
    gr_task task;
    gr_parked parked;
} sleeper;

static sleeper *free_sleepers;

static void on_due(gr_timer *t) {
    gr_py_wake(&GR_CONTAINER(t, sleeper, timer)->parked);
}

static void on_turn(gr_task *t) {
    gr_py_wake(&GR_CONTAINER(t, sleeper, task)->parked);
}

static sleeper *sleeper_get(void) {
    sleeper *s = free_sleepers;
    if (s) {
        free_sleepers = s->next_free;
    } else if (!(s = gr_calloc(1, sizeof *s))) {
        PyErr_NoMemory();
        return NULL;
    }
    s->timer.cb = on_due;
    gr_task_init(&s->task, on_turn);
    return s;
}

static void sleeper_put(sleeper *s) {
    s->next_free = free_sleepers;
    free_sleepers = s;
}

int gr_py_sleep_until(gr_ns due_at) {
    gr_loop *loop = gr_py_loop();
    sleeper *s = loop ? sleeper_get() : NULL;
    if (!s) return -1;
    int rc = gr_timer_start(loop, &s->timer, due_at);
    if (rc < 0)
        PyErr_NoMemory();
    else
        rc = gr_py_park(&s->parked);
    gr_timer_stop(loop, &s->timer);
    sleeper_put(s);
    return rc < 0 ? -1 : 0;
}

int gr_py_yield(void) {
    gr_loop *loop = gr_py_loop();
    sleeper *s = loop ? sleeper_get() : NULL;
    if (!s) return -1;
    gr_loop_defer(loop, &s->task);
    int rc = gr_py_park(&s->parked);
    gr_task_cancel(&s->task);
    sleeper_put(s);
    return rc;
}

uint64_t gr_py_park_count(void) {
    return engine.parks;
}

gr_str gr_py_utf8_any(PyObject *unicode, PyObject **hold) {
    gr_str s = gr_py_utf8(unicode);
    *hold = NULL;
    if (s.p || !PyErr_ExceptionMatches(PyExc_UnicodeEncodeError)) return s;
    PyErr_Clear();
    *hold = PyUnicode_AsEncodedString(unicode, "utf-8", "backslashreplace");
    if (!*hold) return s;
    return (gr_str){PyBytes_AS_STRING(*hold), (size_t)PyBytes_GET_SIZE(*hold)};
}

/* --- module functions --------------------------------------------------------------------- */

static PyObject *py_sleep(PyObject *self, PyObject *seconds) {
    (void)self;
    double s = PyFloat_AsDouble(seconds);
    if (s == -1.0 && PyErr_Occurred()) return NULL;
    double limit = 1e9; /* thirty years: keeps the conversion exact */
    gr_ns span = s > 0 ? (gr_ns)(GR_MIN(s, limit) * 1e9) : 0;
    int rc = span ? gr_py_sleep_until(gr_clock_ns() + span) : gr_py_yield();
    if (rc < 0) return NULL;
    Py_RETURN_NONE;
}

static PyObject *py_monotonic(PyObject *self, PyObject *unused) {
    (void)self, (void)unused;
    return PyFloat_FromDouble((double)gr_clock_ns() * 1e-9);
}

static PyObject *py_error_text(PyObject *self, PyObject *code) {
    (void)self;
    long value = PyLong_AsLong(code);
    if (value == -1 && PyErr_Occurred()) return NULL;
    return PyUnicode_FromString(gr_strerror((int)value));
}

static PyMethodDef METHODS[] = {
    {"monotonic", py_monotonic, METH_NOARGS,
     "monotonic()\n--\n\nSeconds on the engine's clock, which time.sleep's patches cannot touch."},
    {"error_text", py_error_text, METH_O,
     "error_text(code)\n--\n\nThe engine's text for an error code."},
    {"sleep", py_sleep, METH_O,
     "sleep(seconds)\n--\n\nLet other greenlets run for this long; precise to well below a "
     "millisecond."},
    {0}};

static int intern_names(void) {
#define X(n)                                                                                       \
    if (!(gr_py_name.n = PyUnicode_InternFromString(#n))) return -1;
    GR_PY_NAMES(X)
#undef X
    return 0;
}

int gr_py_init_engine(PyObject *module) {
    if (intern_names() < 0) return -1;
    return PyModule_AddFunctions(module, METHODS);
}
