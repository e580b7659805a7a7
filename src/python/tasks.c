/* TaskSet: the C base of locust.TaskSet, and the task loop.
 *
 *     loop:  pick a task -> run it -> wait
 *
 * Every step can be overridden by a subclass (get_next_task, execute_task, execute_next_task, wait, wait_time,
 * schedule_task). The loop asks the class once per round whether it is, and otherwise stays in C. What ends a task
 * decides what follows:
 *
 *     returned, RescheduleTask        wait, next task
 *     RescheduleTaskImmediately       next task
 *     InterruptTaskSet                on_stop, leave this set: the parent goes on at once, or waits first
 *     StopUser, StopTest, GreenletExit  on_stop, the user ends
 *     another Exception               user_error, logged, wait, next task
 *     another BaseException           goes on up */
#include "python/tasks.h"
#include "base/clock.h"
#include "python/user.h"

#include <structmember.h>

typedef struct TaskSet {
    PyObject_HEAD PyObject *user, *parent;
    PyObject *queue;  /* list of scheduled tasks; NULL: none yet */
    gr_pacing pacing; /* of a wait_time that the set itself defines */
    PyObject *weakrefs;
    bool root; /* a user's own: tasks get the user as argument */
} TaskSet;

static PyTypeObject *taskset_type;

bool gr_py_overrides(PyObject *op, PyTypeObject *base, PyObject *attribute) {
    return _PyType_Lookup(Py_TYPE(op), attribute) != _PyType_Lookup(base, attribute);
}

gr_pacing *gr_py_pacing_of(PyObject *instance) {
    if (PyObject_TypeCheck(instance, gr_py_user_type)) return &((User *)instance)->pacing;
    if (PyObject_TypeCheck(instance, taskset_type)) return &((TaskSet *)instance)->pacing;
    return NULL;
}

/* A subclass whose __init__ forgot the base's has no user. */
static bool has_user(TaskSet *self) {
    if (self->user) return true;
    PyErr_Format(PyExc_AttributeError,
                 "this %.100s has no user: its __init__() must call super().__init__(parent)",
                 Py_TYPE(self)->tp_name);
    return false;
}

static PyObject *helper(const char *function, PyObject *a, PyObject *b) {
    PyObject *module = PyImport_ImportModule("locust.user.task");
    PyObject *result = module ? PyObject_CallMethod(module, function, b ? "OO" : "O", a, b) : NULL;
    Py_XDECREF(module);
    return result;
}

/* --- picking ------------------------------------------------------------------------------ */

static PyObject *default_next_task(TaskSet *self) {
    PyObject *owner = self->root ? self->user : (PyObject *)self;
    PyObject *tasks = PyObject_GetAttr(owner, gr_py_name.tasks);
    if (!tasks) return NULL;
    PyObject *task = NULL;
    Py_ssize_t n = PyList_Check(tasks) ? PyList_GET_SIZE(tasks) : PySequence_Size(tasks);
    if (n > 0) {
        uint64_t at = n == 1 ? 0 : gr_rand_below(gr_py_rand(), (uint64_t)n);
        task = PySequence_GetItem(tasks, (Py_ssize_t)at);
    } else if (n == 0) {
        Py_XDECREF(helper("_no_tasks", owner, NULL)); /* raises */
    }
    Py_DECREF(tasks);
    return task;
}

static PyObject *next_task(TaskSet *self) {
    if (self->queue && PyList_GET_SIZE(self->queue) > 0) {
        PyObject *task = Py_NewRef(PyList_GET_ITEM(self->queue, 0));
        if (PyList_SetSlice(self->queue, 0, 1, NULL) < 0) Py_CLEAR(task);
        return task;
    }
    if (gr_py_overrides((PyObject *)self, taskset_type, gr_py_name.get_next_task))
        return PyObject_CallMethodNoArgs((PyObject *)self, gr_py_name.get_next_task);
    return default_next_task(self);
}

/* --- running one -------------------------------------------------------------------------- */

static bool is_nested_set(PyObject *task) {
    return PyType_Check(task) && PyType_IsSubtype((PyTypeObject *)task, taskset_type);
}

static int run_nested(TaskSet *self, PyObject *type) {
    PyObject *nested = PyObject_CallOneArg(type, self->root ? self->user : (PyObject *)self);
    if (!nested) return -1;
    int rc;
    if (gr_py_overrides(nested, taskset_type, gr_py_name.run)) {
        PyObject *done = PyObject_CallMethodNoArgs(nested, gr_py_name.run);
        rc = done ? 0 : -1;
        Py_XDECREF(done);
    } else {
        rc = gr_py_taskset_run(nested);
    }
    Py_DECREF(nested);
    return rc;
}

static int default_execute(TaskSet *self, PyObject *task) {
    PyObject *done;
    if (is_nested_set(task)) return run_nested(self, task);
    if (PyMethod_Check(task) && PyMethod_GET_SELF(task) == (PyObject *)self)
        done = PyObject_CallNoArgs(task);
    else
        done = PyObject_CallOneArg(task, self->root ? self->user : (PyObject *)self);
    Py_XDECREF(done);
    return done ? 0 : -1;
}

static int execute(TaskSet *self, PyObject *task) {
    if (!gr_py_overrides((PyObject *)self, taskset_type, gr_py_name.execute_task))
        return default_execute(self, task);
    PyObject *done = PyObject_CallMethodOneArg((PyObject *)self, gr_py_name.execute_task, task);
    Py_XDECREF(done);
    return done ? 0 : -1;
}

static int stop_user(void) {
    const gr_py_exceptions *flow = gr_py_flow();
    if (flow) PyErr_SetNone(flow->StopUser);
    return -1;
}

static int run_one(TaskSet *self) {
    bool stopping = ((User *)self->user)->state == GR_PY_USER_STOPPING;
    if (stopping) return stop_user();
    if (gr_py_overrides((PyObject *)self, taskset_type, gr_py_name.execute_next_task)) {
        PyObject *task = next_task(self); /* such a method takes it from the queue itself */
        if (!task) return -1;
        if (!self->queue && !(self->queue = PyList_New(0))) return -1;
        int rc = PyList_Insert(self->queue, 0, task);
        Py_DECREF(task);
        PyObject *done =
            rc == 0 ? PyObject_CallMethodNoArgs((PyObject *)self, gr_py_name.execute_next_task)
                    : NULL;
        Py_XDECREF(done);
        return done ? 0 : -1;
    }
    PyObject *task = next_task(self);
    if (!task) return -1;
    int rc = execute(self, task);
    Py_DECREF(task);
    return rc;
}

/* --- waiting ------------------------------------------------------------------------------ */

/* What the wait_time of `owner`, the set or its user, says. */
static PyObject *call_wait_time(TaskSet *self, PyObject *owner) {
    PyObject *function = PyObject_GetAttr(owner, gr_py_name.wait_time), *seconds = NULL;
    const gr_py_exceptions *flow = gr_py_flow();
    if (function == Py_None && flow)
        PyErr_Format(flow->MissingWaitTimeError,
                     "You must define a wait_time method on either the %.200s or %.200s class",
                     Py_TYPE(self->user)->tp_name, Py_TYPE(self)->tp_name);
    else if (function && flow)
        seconds = PyObject_CallNoArgs(function);
    Py_XDECREF(function);
    return seconds;
}

/* A user's own wait function: call it for seconds. */
static int wait_by_call(TaskSet *self, PyObject *owner) {
    PyObject *seconds = call_wait_time(self, owner);
    double s = seconds ? PyFloat_AsDouble(seconds) : -1;
    Py_XDECREF(seconds);
    if (s == -1.0 && PyErr_Occurred()) return -1;
    return gr_py_user_wait_seconds((User *)self->user, s);
}

/* The built-in wait that `op`'s class declares and no instance attribute hides. */
static const gr_wait *declared_wait(PyObject *op) {
    const gr_wait *wait = gr_py_wait_of(_PyType_Lookup(Py_TYPE(op), gr_py_name.wait_time));
    if (!wait) return NULL;
    PyObject **dict = _PyObject_GetDictPtr(op);
    if (dict && *dict && PyDict_GetItemWithError(*dict, gr_py_name.wait_time)) return NULL;
    return wait;
}

static int wait_default(TaskSet *self) {
    if (!has_user(self)) return -1;
    User *user = (User *)self->user;
    if (gr_py_overrides((PyObject *)self, taskset_type, gr_py_name.wait_time)) {
        const gr_wait *own = declared_wait((PyObject *)self);
        if (!own || own->kind == GR_WAIT_PACING) return wait_by_call(self, (PyObject *)self);
        return gr_py_user_wait(user, own);
    }
    const gr_wait *wait = declared_wait(self->user);
    return wait ? gr_py_user_wait(user, wait) : wait_by_call(self, (PyObject *)self);
}

static int wait_next(TaskSet *self) {
    if (!gr_py_overrides((PyObject *)self, taskset_type, gr_py_name.wait))
        return wait_default(self);
    PyObject *done = PyObject_CallMethodNoArgs((PyObject *)self, gr_py_name.wait);
    Py_XDECREF(done);
    return done ? 0 : -1;
}

/* --- what an exception means -------------------------------------------------------------- */

static int call_hook(TaskSet *self, PyObject *name) {
    if (!gr_py_overrides((PyObject *)self, taskset_type, name)) return 0;
    PyObject *done = PyObject_CallMethodNoArgs((PyObject *)self, name);
    Py_XDECREF(done);
    return done ? 0 : -1;
}

/* InterruptTaskSet leaves this set: for the parent it is "next task", at once or after a wait. */
static void interrupted(const gr_py_exceptions *flow) {
    PyObject *type, *value, *tb;
    PyErr_Fetch(&type, &value, &tb);
    PyErr_NormalizeException(&type, &value, &tb);
    PyObject *reschedule = PyObject_GetAttr(value, gr_py_name.reschedule);
    int at_once = reschedule ? PyObject_IsTrue(reschedule) : -1;
    Py_XDECREF(reschedule);
    Py_XDECREF(type);
    Py_XDECREF(value);
    Py_XDECREF(tb);
    if (at_once >= 0)
        PyErr_SetNone(at_once ? flow->RescheduleTaskImmediately : flow->RescheduleTask);
}

static bool ends_user(const gr_py_exceptions *flow) {
    return PyErr_ExceptionMatches(flow->GreenletExit) || PyErr_ExceptionMatches(flow->StopUser) ||
           PyErr_ExceptionMatches(flow->StopTest);
}

/* on_stop while an exception is under way. What on_stop raises is logged, unless it ends the user:
 * then it takes the place of the other. */
static void stop_hook(TaskSet *self, const gr_py_exceptions *flow) {
    PyObject *type, *value, *tb;
    PyErr_Fetch(&type, &value, &tb);
    bool failed = call_hook(self, gr_py_name.on_stop) < 0;
    if (failed && (ends_user(flow) || !PyErr_ExceptionMatches(PyExc_Exception))) {
        Py_XDECREF(type);
        Py_XDECREF(value);
        Py_XDECREF(tb);
        return;
    }
    if (failed) {
        PyObject *etype, *error, *etb;
        PyErr_Fetch(&etype, &error, &etb);
        PyErr_NormalizeException(&etype, &error, &etb);
        if (etb) PyException_SetTraceback(error, etb);
        PyObject *done = helper("_on_stop_failed", (PyObject *)self, error);
        if (!done) PyErr_WriteUnraisable((PyObject *)self);
        Py_XDECREF(done);
        Py_XDECREF(etype);
        Py_XDECREF(error);
        Py_XDECREF(etb);
    }
    PyErr_Restore(type, value, tb);
}

/* An ordinary exception in a task. 0: go on with the next one. */
static int task_failed(TaskSet *self) {
    PyObject *type, *value, *tb;
    PyErr_Fetch(&type, &value, &tb);
    PyErr_NormalizeException(&type, &value, &tb);
    if (tb) PyException_SetTraceback(value, tb);
    PyObject *caught = helper("_task_failed", (PyObject *)self, value);
    int go_on = caught ? PyObject_IsTrue(caught) : -1;
    Py_XDECREF(caught);
    if (go_on == 0) {
        PyErr_Restore(type, value, tb);
        return -1;
    }
    Py_XDECREF(type);
    Py_XDECREF(value);
    Py_XDECREF(tb);
    return go_on < 0 ? -1 : wait_next(self);
}

/* 0: the loop goes on; -1: it ends with the exception that is set. */
static int after_exception(TaskSet *self, const gr_py_exceptions *flow) {
    if (PyErr_ExceptionMatches(flow->RescheduleTaskImmediately)) {
        PyErr_Clear();
        return 0;
    }
    if (PyErr_ExceptionMatches(flow->RescheduleTask)) {
        PyErr_Clear();
        if (wait_next(self) == 0) return 0;
    }
    if (PyErr_ExceptionMatches(flow->InterruptTaskSet)) {
        stop_hook(self, flow);
        if (PyErr_ExceptionMatches(flow->InterruptTaskSet)) interrupted(flow);
        return -1;
    }
    if (ends_user(flow)) {
        stop_hook(self, flow);
        return -1;
    }
    return PyErr_ExceptionMatches(PyExc_Exception) ? task_failed(self) : -1;
}

int gr_py_taskset_run(PyObject *op) {
    TaskSet *self = (TaskSet *)op;
    const gr_py_exceptions *flow = gr_py_flow();
    if (!flow || !has_user(self)) return -1;
    if (!self->root && call_hook(self, gr_py_name.on_start) < 0) {
        if (PyErr_ExceptionMatches(flow->InterruptTaskSet)) interrupted(flow);
        return -1;
    }
    for (;;) {
        int rc = run_one(self);
        if (rc == 0) rc = wait_next(self);
        if (rc < 0 && after_exception(self, flow) < 0) return -1;
    }
}

/* --- methods ------------------------------------------------------------------------------ */

static PyObject *taskset_run(PyObject *op, PyObject *unused) {
    (void)unused;
    gr_py_taskset_run(op);
    return NULL;
}

static PyObject *taskset_get_next(PyObject *op, PyObject *unused) {
    (void)unused;
    return default_next_task((TaskSet *)op);
}

static PyObject *taskset_execute_next(PyObject *op, PyObject *unused) {
    (void)unused;
    TaskSet *self = (TaskSet *)op;
    PyObject *task = next_task(self);
    int rc = task ? execute(self, task) : -1;
    Py_XDECREF(task);
    if (rc < 0) return NULL;
    Py_RETURN_NONE;
}

static PyObject *taskset_execute(PyObject *op, PyObject *task) {
    if (default_execute((TaskSet *)op, task) < 0) return NULL;
    Py_RETURN_NONE;
}

static PyObject *taskset_wait(PyObject *op, PyObject *unused) {
    (void)unused;
    if (wait_default((TaskSet *)op) < 0) return NULL;
    Py_RETURN_NONE;
}

static PyObject *taskset_wait_time(PyObject *op, PyObject *unused) {
    (void)unused;
    TaskSet *self = (TaskSet *)op;
    return has_user(self) ? call_wait_time(self, self->user) : NULL;
}

static PyObject *taskset_hook(PyObject *op, PyObject *unused) {
    (void)op, (void)unused;
    Py_RETURN_NONE;
}

static PyObject *taskset_schedule(PyObject *op, PyObject *args, PyObject *kwargs) {
    static const char *const names[] = {"task_callable", "first", NULL};
    TaskSet *self = (TaskSet *)op;
    PyObject *task;
    int first = 0;
    char **words = (char **)(uintptr_t)names;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|p", words, &task, &first)) return NULL;
    if (!self->queue && !(self->queue = PyList_New(0))) return NULL;
    int rc = first ? PyList_Insert(self->queue, 0, task) : PyList_Append(self->queue, task);
    if (rc < 0) return NULL;
    Py_RETURN_NONE;
}

static PyObject *get_queue(PyObject *op, void *closure) {
    (void)closure;
    TaskSet *self = (TaskSet *)op;
    if (!self->queue) self->queue = PyList_New(0);
    return Py_XNewRef(self->queue);
}

static PyObject *get_client(PyObject *op, void *closure) {
    (void)closure;
    if (!has_user((TaskSet *)op)) return NULL;
    return PyObject_GetAttr(((TaskSet *)op)->user, gr_py_name.client);
}

/* TaskSet(parent): the parent is a User, or the TaskSet that this one is nested in. */
static int taskset_init(PyObject *op, PyObject *args, PyObject *kwargs) {
    static const char *const names[] = {"parent", NULL};
    TaskSet *self = (TaskSet *)op;
    PyObject *parent;
    char **words = (char **)(uintptr_t)names;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O", words, &parent)) return -1;
    PyObject *user = PyObject_TypeCheck(parent, taskset_type) ? ((TaskSet *)parent)->user : parent;
    if (!user || !PyObject_TypeCheck(user, gr_py_user_type)) {
        PyErr_Format(PyExc_TypeError,
                     "TaskSet should be called with an instance of User or TaskSet, not %.100s",
                     Py_TYPE(parent)->tp_name);
        return -1;
    }
    Py_XSETREF(self->parent, Py_NewRef(parent));
    Py_XSETREF(self->user, Py_NewRef(user));
    PyObject *root = PyObject_GetAttrString((PyObject *)Py_TYPE(op), "_root");
    self->root = root == Py_True;
    if (!root) PyErr_Clear();
    Py_XDECREF(root);
    gr_pacing_init(&self->pacing, gr_clock_ns());
    return 0;
}

static int taskset_traverse(PyObject *op, visitproc visit, void *arg) {
    TaskSet *self = (TaskSet *)op;
    Py_VISIT(Py_TYPE(op));
    Py_VISIT(self->user);
    Py_VISIT(self->parent);
    Py_VISIT(self->queue);
    return 0;
}

static int taskset_clear(PyObject *op) {
    TaskSet *self = (TaskSet *)op;
    Py_CLEAR(self->user);
    Py_CLEAR(self->parent);
    Py_CLEAR(self->queue);
    return 0;
}

static void taskset_dealloc(PyObject *op) {
    PyTypeObject *type = Py_TYPE(op);
    PyObject_GC_UnTrack(op);
    if (((TaskSet *)op)->weakrefs) PyObject_ClearWeakRefs(op);
    taskset_clear(op);
    type->tp_free(op);
    Py_DECREF(type);
}

static PyMethodDef METHODS[] = {
    {"run", taskset_run, METH_NOARGS,
     "run($self, /)\n--\n\nRun tasks until the set is interrupted or its user stops."},
    {"get_next_task", taskset_get_next, METH_NOARGS,
     "get_next_task($self, /)\n--\n\nThe task to run next; override to choose differently."},
    {"execute_next_task", taskset_execute_next, METH_NOARGS,
     "execute_next_task($self, /)\n--\n\nTake the next task from the queue and execute it."},
    {"execute_task", taskset_execute, METH_O,
     "execute_task($self, task, /)\n--\n\nRun one task: a function, or a nested TaskSet class."},
    {"wait", taskset_wait, METH_NOARGS,
     "wait($self, /)\n--\n\nSleep as wait_time() says; a stop of the user may end it here."},
    {"wait_time", taskset_wait_time, METH_NOARGS,
     "wait_time($self, /)\n--\n\nSeconds to wait after a task: what the user's wait_time says."},
    {"on_start", taskset_hook, METH_NOARGS,
     "on_start($self, /)\n--\n\nCalled when a user enters this set."},
    {"on_stop", taskset_hook, METH_NOARGS,
     "on_stop($self, /)\n--\n\nCalled when a user leaves this set."},
    {"schedule_task", (PyCFunction)(void (*)(void))taskset_schedule, METH_VARARGS | METH_KEYWORDS,
     "schedule_task($self, /, task_callable, first=False)\n--\n\nQueue a task to run before any "
     "chosen one."},
    {0}};
static PyGetSetDef GETSET[] = {
    {"_task_queue", get_queue, NULL, "tasks scheduled to run next", NULL},
    {"client", get_client, NULL, "the user's client", NULL},
    {0}};
static PyMemberDef MEMBERS[] = {
    {"_user", T_OBJECT, offsetof(TaskSet, user), READONLY, NULL},
    {"user", T_OBJECT, offsetof(TaskSet, user), READONLY, "the user that runs this set"},
    {"parent", T_OBJECT, offsetof(TaskSet, parent), READONLY,
     "the user or set that this set is nested in"},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(TaskSet, weakrefs), READONLY, NULL},
    {0}};
static PyType_Slot SLOTS[] = {
    {Py_tp_doc, (void *)(uintptr_t) "The engine's half of locust.TaskSet."},
    {Py_tp_new, PyType_GenericNew},
    {Py_tp_init, taskset_init},
    {Py_tp_dealloc, taskset_dealloc},
    {Py_tp_traverse, taskset_traverse},
    {Py_tp_clear, taskset_clear},
    {Py_tp_methods, METHODS},
    {Py_tp_getset, GETSET},
    {Py_tp_members, MEMBERS},
    {0, NULL}};
static PyType_Spec SPEC = {.name = "locust._engine.TaskSet",
                           .basicsize = sizeof(TaskSet),
                           .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
                           .slots = SLOTS};

int gr_py_init_tasks(PyObject *module) {
    taskset_type = gr_py_add_type(module, &SPEC, NULL);
    return taskset_type ? 0 : -1;
}
