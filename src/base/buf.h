/* A growable run of bytes. Empty after init, which never fails; grows by doubling.
 * Appending returns 0 or GR_E_NOMEM and leaves the contents as they were on failure. */
#ifndef GR_BASE_BUF_H
#define GR_BASE_BUF_H

#include "base/base.h"

typedef struct gr_buf {
    char *p; /* NULL until the first append; never NUL-terminated */
    size_t n;
    size_t cap;
} gr_buf;

#define GR_BUF_INIT ((gr_buf){NULL, 0, 0})

void gr_buf_deinit(gr_buf *b);               /* frees and leaves an empty buffer */
int gr_buf_reserve(gr_buf *b, size_t extra); /* room for `extra` bytes behind the end */
int gr_buf_add(gr_buf *b, gr_str s);
int gr_buf_addc(gr_buf *b, const char *c_string);
int gr_buf_add_byte(gr_buf *b, char byte);
int gr_buf_addf(gr_buf *b, const char *format, ...) GR_PRINTF(2, 3);
void gr_buf_consume(gr_buf *b, size_t n);    /* drop the first n bytes */
static inline void gr_buf_clear(gr_buf *b) { /* keeps the memory */
    b->n = 0;
}
static inline gr_str gr_buf_str(const gr_buf *b) { /* valid until the next append */
    return (gr_str){b->p, b->n};
}

#endif
