/* Event hooks, and how a finished request reaches their listeners. */
#ifndef GR_PYTHON_EVENT_H
#define GR_PYTHON_EVENT_H

#include "python/engine.h"
#include "stats/stats.h"

/* A finished request on its way to the listeners of `request`. All references are borrowed. */
typedef struct gr_py_request {
    PyObject *request_type, *name; /* str */
    PyObject *response;            /* any object */
    PyObject *context;             /* dict, or NULL: made when somebody listens */
    PyObject *exception;           /* None or what counts as the failure */
    PyObject *url;                 /* str or None */
    PyObject *extra;               /* NULL, or a dict whose items replace and add to the keywords */
    double start_time;             /* seconds since 1970 */
    gr_sample sample;
} gr_py_request;

/* Fire `hook` (an EventHook or anything with `fire`). The process's own counting happens whatever other
 * listeners do. 0, or -1 with the exception that a listener let through (RescheduleTask and its kin). */
int gr_py_event_fire_request(PyObject *hook, gr_py_request *r);

#endif
