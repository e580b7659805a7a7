/* What the other files need to know about a user: its pacing, its state, when its next request is due. */
#ifndef GR_PYTHON_USER_H
#define GR_PYTHON_USER_H

#include "base/rand.h"
#include "load/pacing.h"
#include "python/engine.h"

typedef enum {
    GR_PY_USER_NEW,
    GR_PY_USER_RUNNING,
    GR_PY_USER_WAITING,
    GR_PY_USER_STOPPING
} gr_py_user_state;

typedef struct User {
    PyObject_HEAD PyObject *environment, *client;
    PyObject *greenlet; /* gevent.Greenlet once started */
    PyObject *group;
    gr_pacing pacing;
    gr_ns due_at; /* when the request now to be made should start; 0: it is due when made */
    gr_py_user_state state;
    PyObject *weakrefs;
} User;

extern PyTypeObject *gr_py_user_type;

/* The random numbers of task choice and waits; one generator, the engine's thread. */
gr_rand *gr_py_rand(void);

/* The wait that an attribute `wait_time` stands for when it is one of the built-in ones, else NULL. */
const gr_wait *gr_py_wait_of(PyObject *attribute);

/* Put `user` to sleep between tasks for `wait`, or as many seconds as a user's own function said. Sets state,
 * honours a stop. 0, or -1 with an exception (StopUser, or what was thrown in). */
int gr_py_user_wait(User *user, const gr_wait *wait);
int gr_py_user_wait_seconds(User *user, double seconds);

/* What a request's event gets as context: the user's context() under `own` (NULL: none). New reference. */
PyObject *gr_py_user_context(PyObject *user, PyObject *own);

/* Locust's control-flow exceptions, imported on first use from locust.exception; borrowed. */
typedef struct gr_py_exceptions {
    PyObject *InterruptTaskSet, *RescheduleTask, *RescheduleTaskImmediately, *StopUser, *StopTest;
    PyObject *GreenletExit, *MissingWaitTimeError;
} gr_py_exceptions;
const gr_py_exceptions *gr_py_flow(void); /* NULL with an exception when the import fails */

#endif
