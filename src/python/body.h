/* What a caller passes as params, data, json and files, turned into bytes as `requests` would. */
#ifndef GR_PYTHON_BODY_H
#define GR_PYTHON_BODY_H

#include "http/form.h"
#include "http/session.h"
#include "python/engine.h"
#include "python/headers.h"

typedef struct gr_py_body {
    gr_body_kind kind;
    gr_str bytes;      /* GR_BODY_BYTES; points into `built` or `hold` */
    int64_t length;    /* GR_BODY_STREAM: -1 when unknown */
    PyObject *source;  /* GR_BODY_STREAM: owned; has read() or is an iterator */
    bool source_reads; /* it has read() */
    PyObject *hold;    /* owned object that `bytes` belongs to */
    gr_buf built;
    gr_buf type; /* Content-Type to send unless the caller gave one; empty: none */
} gr_py_body;

#define GR_PY_BODY_INIT                                                                            \
    ((gr_py_body){.kind = GR_BODY_NONE, .length = -1, .built = GR_BUF_INIT, .type = GR_BUF_INIT})

/* Arguments may be NULL or None. `fast` chooses FastHttpUser's content types. 0, or -1 with an exception. */
int gr_py_body_build(gr_py_body *b, PyObject *data, PyObject *json, PyObject *files, bool fast);
void gr_py_body_clear(gr_py_body *b);

/* Append `params` (mapping, pairs, str or bytes) to `url`, with '?' or '&' as needed and before a fragment. */
int gr_py_query_add(gr_buf *url, PyObject *params);

#endif
