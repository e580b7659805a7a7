/* Header fields: a head being written (gr_head) and a head that was read (gr_headers). */
#ifndef GR_HTTP_HEADERS_H
#define GR_HTTP_HEADERS_H

#include "base/base.h"
#include "base/buf.h"

/* Which of the fields that the engine would add itself the writer has set. */
enum {
    GR_HEAD_HOST = 1,
    GR_HEAD_COOKIE = 2,
    GR_HEAD_CONTENT_LENGTH = 4,
    GR_HEAD_TRANSFER_ENCODING = 8,
    GR_HEAD_CONNECTION_CLOSE = 16,
    GR_HEAD_AUTHORIZATION = 32,
    GR_HEAD_EXPECT_CONTINUE = 64
};

typedef struct gr_head {
    gr_buf lines;   /* "Name: value\r\n" ... */
    unsigned flags; /* GR_HEAD_* */
} gr_head;

#define GR_HEAD_INIT ((gr_head){GR_BUF_INIT, 0})

void gr_head_deinit(gr_head *h);
void gr_head_clear(gr_head *h); /* keeps the memory */
/* GR_E_REQUEST_HEADER when name is no token or value holds CR, LF or NUL; GR_E_NOMEM. */
int gr_head_add(gr_head *h, gr_str name, gr_str value);

typedef struct gr_header {
    gr_str name, value; /* value without surrounding blanks; obsolete folding joined by one space */
} gr_header;

typedef struct gr_headers {
    gr_header *at; /* owned array; strings point into the response's head buffer */
    uint32_t n, cap;
} gr_headers;

void gr_headers_deinit(gr_headers *hs);
const gr_header *gr_headers_get(const gr_headers *hs,
                                gr_str name); /* first; NULL when absent; any case */
/* Next one of that name after `prev` (NULL: the first). */
const gr_header *gr_headers_next(const gr_headers *hs, gr_str name, const gr_header *prev);

#endif
