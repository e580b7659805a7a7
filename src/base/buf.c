/* See buf.h. */
#include "base/buf.h"
#include "base/alloc.h"
#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>

#define BUF_FIRST_BYTES (GR_HOSTILE ? 23u : 256u)

void gr_buf_deinit(gr_buf *b) {
    gr_free(b->p);
    *b = GR_BUF_INIT;
}

int gr_buf_reserve(gr_buf *b, size_t extra) {
    if (b->cap - b->n >= extra) return 0;
    if (extra > SIZE_MAX / 2 - b->n) return GR_E_NOMEM;
    size_t want = b->n + extra;
    size_t cap = b->cap ? b->cap : BUF_FIRST_BYTES;
    while (cap < want)
        cap *= 2;
    char *p = gr_realloc(b->p, cap);
    if (!p) return GR_E_NOMEM;
    b->p = p;
    b->cap = cap;
    return 0;
}

int gr_buf_add(gr_buf *b, gr_str s) {
    int rc = gr_buf_reserve(b, s.n);
    if (rc < 0) return rc;
    if (s.n) memcpy(b->p + b->n, s.p, s.n);
    b->n += s.n;
    return 0;
}

int gr_buf_addc(gr_buf *b, const char *c_string) {
    return gr_buf_add(b, gr_str_c(c_string));
}

int gr_buf_add_byte(gr_buf *b, char byte) {
    return gr_buf_add(b, (gr_str){&byte, 1});
}

int gr_buf_addf(gr_buf *b, const char *format, ...) {
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    int rc = n < 0 ? GR_E_INVALID : gr_buf_reserve(b, (size_t)n + 1);
    if (rc == 0) {
        vsnprintf(b->p + b->n, (size_t)n + 1, format, again);
        b->n += (size_t)n;
    }
    va_end(again);
    return rc;
}

void gr_buf_consume(gr_buf *b, size_t n) {
    GR_CHECK(n <= b->n);
    b->n -= n;
    if (b->n && n) memmove(b->p, b->p + n, b->n);
}
