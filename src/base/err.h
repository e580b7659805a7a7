/* Functions return 0 or a negative code; every code has one line in err.def. Positive values are
 * counts. A system error is -errno, turned into a code at the system call. */
#ifndef GR_BASE_ERR_H
#define GR_BASE_ERR_H

typedef enum {
    GR_OK = 0,
#define X(name, number, text) GR_E_##name = number,
#include "base/err.def"
#undef X
} gr_err;

/* The code's text; static storage (for unknown system errors: the thread's strerror buffer). */
const char *gr_strerror(int code);

/* The code's name, such as "TIMEOUT", or NULL when it is not one of ours. */
const char *gr_errname(int code);

#endif
