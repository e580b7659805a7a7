/* The response object, which is also the exchange while it is under way: nothing is copied when the
 * answer arrives. Its life: new -> started -> done (or failed) -> reported once -> freed, with its buffers
 * kept for the next one. */
#ifndef GR_PYTHON_RESPONSE_H
#define GR_PYTHON_RESPONSE_H

#include "http/session.h"
#include "python/engine.h"
#include "stats/stats.h"

typedef struct Response {
    PyObject_HEAD gr_exchange x;
    gr_parked parked;
    PyObject *session;               /* the client; tells how to judge and whom to tell */
    PyObject *method, *name;         /* str; name is what statistics group by */
    PyObject *context;               /* dict, None or NULL */
    PyObject *sent_head, *sent_body; /* what .request shows; NULL: not kept */
    PyObject *error;                 /* exception that stands for a failed transfer, or NULL */
    PyObject *mark; /* NULL: judge by status; Py_None: success(); else failure(...)'s exception */
    PyObject *headers, *content, *text, *encoding, *history, *cookies,
        *meta; /* made when asked for */
    PyObject *dict, *weakrefs;
    double start_time;            /* seconds since 1970 */
    gr_ns called_at, returned_at; /* around the whole call; returned_at 0: not yet */
    gr_ns due_at;
    bool fast;           /* judged and shown as FastHttpUser's */
    bool catching;       /* catch_response=True */
    bool entered;        /* inside its with block */
    bool reported;       /* the request event has been fired */
    bool streaming;      /* the body is still to be read by the user */
    bool finalized;      /* Python ran the finalizer: not to be used again */
    bool encoding_known; /* `encoding` was worked out or set */
} Response;

extern PyTypeObject *gr_py_response_type;

Response *gr_py_response_new(void);

/* The moment of the answer in the user's hands; fixes response_time. */
void gr_py_response_returned(Response *r);
/* What the default rule says: new reference to an exception, or to None for a success. */
PyObject *gr_py_response_verdict(Response *r);
/* Fire the request event with `exception` (None: success), once. 0, or -1 with what a listener let through. */
int gr_py_response_report(Response *r, PyObject *exception);
gr_sample gr_py_response_sample(const Response *r);

#endif
