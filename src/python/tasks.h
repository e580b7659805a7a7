/* What wait.c and user.c need of task sets. */
#ifndef GR_PYTHON_TASKS_H
#define GR_PYTHON_TASKS_H

#include "load/pacing.h"
#include "python/engine.h"

/* The pacing state of a User or TaskSet; NULL for anything else. */
gr_pacing *gr_py_pacing_of(PyObject *instance);

/* Run `taskset`'s loop until an exception ends it: always returns -1 with that exception. */
int gr_py_taskset_run(PyObject *taskset);

/* Whether `op`'s class has another `attribute` than the one that `base`, one of its bases, defines. */
bool gr_py_overrides(PyObject *op, PyTypeObject *base, PyObject *attribute);

#endif
