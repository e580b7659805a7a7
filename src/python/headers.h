/* A case-insensitive mapping of header fields. */
#ifndef GR_PYTHON_HEADERS_H
#define GR_PYTHON_HEADERS_H

#include "http/headers.h"
#include "python/engine.h"

/* New, empty Headers. */
PyObject *gr_py_headers_new(void);
/* New Headers from a response head; repeated fields are joined with ", ". */
PyObject *gr_py_headers_from(const gr_headers *hs);
/* New Headers from any mapping or iterable of pairs; None gives an empty one. */
PyObject *gr_py_headers_of(PyObject *source);
bool gr_py_headers_check(PyObject *op);
/* Changes with every modification. */
uint64_t gr_py_headers_version(PyObject *headers);

/* Append the fields of `base` (Headers or NULL), overlaid by `own` (any mapping, None or NULL): a
 * value of None removes the field. 0, or -1 with an exception (requests.exceptions.InvalidHeader-like
 * ValueError for invalid bytes). */
int gr_py_headers_render(PyObject *base, PyObject *own, gr_head *head);

#endif
