/* User: the C base of locust.User. Holds what the engine needs of a user and runs its life:
 * on_start, the task loop, on_stop. A user that waits has no Python frame on its stack. */
#include "python/user.h"
#include "base/clock.h"
#include "python/tasks.h"

#include <structmember.h>

PyTypeObject *gr_py_user_type;

/* --- shared by the task loop -------------------------------------------------------------- */

gr_rand *gr_py_rand(void) {
    static gr_rand rand;
    static bool seeded;
    if (!seeded) {
        gr_rand_seed(&rand, gr_clock_ns() ^ (uint64_t)gr_clock_wall_ns());
        seeded = true;
    }
    return &rand;
}

static int import_name(const char *module, const char *name, PyObject **into) {
    PyObject *m = PyImport_ImportModule(module);
    *into = m ? PyObject_GetAttrString(m, name) : NULL;
    Py_XDECREF(m);
    return *into ? 0 : -1;
}

const gr_py_exceptions *gr_py_flow(void) {
    static gr_py_exceptions flow;
    static bool ready;
    if (ready) return &flow;
    const char *ours = "locust.exception";
    if (import_name(ours, "InterruptTaskSet", &flow.InterruptTaskSet) < 0 ||
        import_name(ours, "RescheduleTask", &flow.RescheduleTask) < 0 ||
        import_name(ours, "RescheduleTaskImmediately", &flow.RescheduleTaskImmediately) < 0 ||
        import_name(ours, "StopUser", &flow.StopUser) < 0 ||
        import_name(ours, "StopTest", &flow.StopTest) < 0 ||
        import_name(ours, "MissingWaitTimeError", &flow.MissingWaitTimeError) < 0 ||
        import_name("greenlet", "GreenletExit", &flow.GreenletExit) < 0)
        return NULL;
    ready = true;
    return &flow;
}

/* --- waiting ------------------------------------------------------------------------------ */

static int stop_user(void) {
    const gr_py_exceptions *flow = gr_py_flow();
    if (flow) PyErr_SetNone(flow->StopUser);
    return -1;
}

/* Wait until `due` (0: only let others run, unless they just could), then be running again. */
static int pause_user(User *user, gr_ns due, gr_ns due_for_request) {
    static uint64_t parks_at_last_pause;
    int rc = 0;
    if (user->state == GR_PY_USER_STOPPING) return stop_user();
    user->state = GR_PY_USER_WAITING;
    if (due)
        rc = gr_py_sleep_until(due);
    else if (gr_py_park_count() == parks_at_last_pause)
        rc = gr_py_yield();
    parks_at_last_pause = gr_py_park_count();
    if (rc < 0) return -1;
    if (user->state == GR_PY_USER_STOPPING) return stop_user();
    user->state = GR_PY_USER_RUNNING;
    user->due_at = due_for_request;
    return 0;
}

int gr_py_user_wait(User *user, const gr_wait *wait) {
    gr_ns now = gr_clock_ns();
    gr_ns ns = gr_pacing_next(&user->pacing, wait, gr_py_rand(), now);
    return pause_user(user, ns ? now + ns : 0,
                      wait->kind == GR_WAIT_PACING || ns ? user->pacing.due_at : 0);
}

int gr_py_user_wait_seconds(User *user, double seconds) {
    gr_ns ns = seconds > 0 ? (gr_ns)(GR_MIN(seconds, 1e9) * 1e9) : 0;
    gr_ns due = ns ? gr_clock_ns() + ns : 0;
    return pause_user(user, due, due);
}

/* --- life --------------------------------------------------------------------------------- */

static int call_hook(User *self, PyObject *name) {
    if (!gr_py_overrides((PyObject *)self, gr_py_user_type, name)) return 0;
    PyObject *done = PyObject_CallMethodNoArgs((PyObject *)self, name);
    Py_XDECREF(done);
    return done ? 0 : -1;
}

/* An exception left on_start: the user is over. Locust only logs it; here it also shows among the
 * exceptions. */
static int note_start_failure(User *self) {
    PyObject *type, *value, *tb;
    PyErr_Fetch(&type, &value, &tb);
    PyErr_NormalizeException(&type, &value, &tb);
    if (tb) PyException_SetTraceback(value, tb);
    PyObject *module = PyImport_ImportModule("locust.user.users");
    PyObject *done =
        module ? PyObject_CallMethod(module, "_start_failed", "OO", (PyObject *)self, value) : NULL;
    Py_XDECREF(done);
    Py_XDECREF(module);
    Py_XDECREF(type);
    Py_XDECREF(value);
    Py_XDECREF(tb);
    return done ? 0 : -1;
}

static bool ends_quietly(const gr_py_exceptions *flow) {
    return PyErr_ExceptionMatches(flow->GreenletExit) || PyErr_ExceptionMatches(flow->StopUser) ||
           PyErr_ExceptionMatches(flow->StopTest);
}

static int live(User *self, PyObject *taskset, const gr_py_exceptions *flow) {
    self->state = GR_PY_USER_RUNNING;
    if (call_hook(self, gr_py_name.on_start) < 0) {
        if (!ends_quietly(flow) && PyErr_ExceptionMatches(PyExc_Exception))
            return note_start_failure(self);
    } else {
        gr_py_taskset_run(taskset);
    }
    if (!ends_quietly(flow)) return -1;
    PyErr_Clear();
    return call_hook(self, gr_py_name.on_stop);
}

static PyObject *user_run(PyObject *op, PyObject *unused) {
    (void)unused;
    const gr_py_exceptions *flow = gr_py_flow();
    PyObject *module = flow ? PyImport_ImportModule("locust.user.task") : NULL;
    PyObject *taskset = module ? PyObject_CallMethod(module, "DefaultTaskSet", "O", op) : NULL;
    Py_XDECREF(module);
    int rc = taskset ? live((User *)op, taskset, flow) : -1;
    Py_XDECREF(taskset);
    if (rc < 0) return NULL;
    Py_RETURN_NONE;
}

static PyObject *user_hook(PyObject *op, PyObject *unused) {
    (void)op, (void)unused;
    Py_RETURN_NONE;
}

static PyObject *user_context(PyObject *op, PyObject *unused) {
    (void)op, (void)unused;
    return PyDict_New();
}

PyObject *gr_py_user_context(PyObject *user, PyObject *own) {
    if (!PyObject_TypeCheck(user, gr_py_user_type) ||
        !gr_py_overrides(user, gr_py_user_type, gr_py_name.context))
        return Py_NewRef(own ? own : Py_None);
    PyObject *general = PyObject_CallMethodNoArgs(user, gr_py_name.context);
    PyObject *merged = general ? PyDict_New() : NULL;
    if (merged && (PyDict_Update(merged, general) < 0 ||
                   (own && own != Py_None && PyDict_Update(merged, own) < 0)))
        Py_CLEAR(merged);
    Py_XDECREF(general);
    return merged;
}

static PyObject *run_user(PyObject *module, PyObject *user) { /* what a user's greenlet runs */
    (void)module;
    if (gr_py_overrides(user, gr_py_user_type, gr_py_name.run))
        return PyObject_CallMethodNoArgs(user, gr_py_name.run);
    return user_run(user, NULL);
}

/* --- type --------------------------------------------------------------------------------- */

static const char *const STATES[] = {NULL, "running", "waiting", "stopping"};

static PyObject *get_state(PyObject *op, void *closure) {
    (void)closure;
    const char *name = STATES[((User *)op)->state];
    return name ? PyUnicode_FromString(name) : Py_NewRef(Py_None);
}

static int set_state(PyObject *op, PyObject *value, void *closure) {
    (void)closure;
    for (size_t i = 0; i < GR_LEN(STATES); i++) {
        bool same = !STATES[i] ? value == Py_None
                               : value && PyUnicode_Check(value) &&
                                     PyUnicode_CompareWithASCIIString(value, STATES[i]) == 0;
        if (!same) continue;
        ((User *)op)->state = (gr_py_user_state)i;
        return 0;
    }
    PyErr_SetString(PyExc_ValueError,
                    "a user is running, waiting or stopping, or not started (None)");
    return -1;
}

static PyObject *user_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    (void)args, (void)kwargs;
    User *self = (User *)type->tp_alloc(type, 0);
    if (self) gr_pacing_init(&self->pacing, gr_clock_ns());
    return (PyObject *)self;
}

static int user_traverse(PyObject *op, visitproc visit, void *arg) {
    User *self = (User *)op;
    Py_VISIT(Py_TYPE(op));
    Py_VISIT(self->environment);
    Py_VISIT(self->client);
    Py_VISIT(self->greenlet);
    Py_VISIT(self->group);
    return 0;
}

static int user_clear(PyObject *op) {
    User *self = (User *)op;
    Py_CLEAR(self->environment);
    Py_CLEAR(self->client);
    Py_CLEAR(self->greenlet);
    Py_CLEAR(self->group);
    return 0;
}

static void user_dealloc(PyObject *op) {
    PyTypeObject *type = Py_TYPE(op);
    PyObject_GC_UnTrack(op);
    if (((User *)op)->weakrefs) PyObject_ClearWeakRefs(op);
    user_clear(op);
    type->tp_free(op);
    Py_DECREF(type);
}

static PyMethodDef METHODS[] = {
    {"run", user_run, METH_NOARGS,
     "run($self, /)\n--\n\nThe user's whole life: on_start, tasks until it is stopped, on_stop."},
    {"on_start", user_hook, METH_NOARGS,
     "on_start($self, /)\n--\n\nCalled once, before the first task."},
    {"on_stop", user_hook, METH_NOARGS,
     "on_stop($self, /)\n--\n\nCalled once, when the user ends."},
    {"context", user_context, METH_NOARGS,
     "context($self, /)\n--\n\nWhat the request event gets as context, beneath each call's own."},
    {0}};
static PyMethodDef FUNCTIONS[] = {{"run_user", run_user, METH_O, NULL}, {0}};
static PyGetSetDef GETSET[] = {
    {"_state", get_state, set_state, "running, waiting, stopping or None", NULL}, {0}};
static PyMemberDef MEMBERS[] = {
    {"environment", T_OBJECT_EX, offsetof(User, environment), 0,
     "the Environment this user runs in"},
    {"client", T_OBJECT_EX, offsetof(User, client), 0, "the user's client, if its class makes one"},
    {"_greenlet", T_OBJECT, offsetof(User, greenlet), 0, NULL},
    {"_group", T_OBJECT, offsetof(User, group), 0, NULL},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(User, weakrefs), READONLY, NULL},
    {0}};
static PyType_Slot SLOTS[] = {{Py_tp_doc, (void *)(uintptr_t) "The engine's half of locust.User."},
                              {Py_tp_new, user_new},
                              {Py_tp_dealloc, user_dealloc},
                              {Py_tp_traverse, user_traverse},
                              {Py_tp_clear, user_clear},
                              {Py_tp_methods, METHODS},
                              {Py_tp_getset, GETSET},
                              {Py_tp_members, MEMBERS},
                              {0, NULL}};
static PyType_Spec SPEC = {.name = "locust._engine.User",
                           .basicsize = sizeof(User),
                           .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
                           .slots = SLOTS};

int gr_py_init_user(PyObject *module) {
    gr_py_user_type = gr_py_add_type(module, &SPEC, NULL);
    return gr_py_user_type ? PyModule_AddFunctions(module, FUNCTIONS) : -1;
}
