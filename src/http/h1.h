/* HTTP/1.x, bytes in and bytes out: a parser of responses that takes its input in any pieces, and
 * a writer of request heads. No I/O, no memory of its own.
 *
 *   gr_h1_start(&h, &response.head, &response.headers, GR_H1_TO_OTHER, 0);
 *   while ((rc = gr_h1_next(&h, &in, &event, &piece)) == 0 && event != GR_H1_MORE) ...
 *
 * The same bytes give the same result however they are cut. */
#ifndef GR_HTTP_H1_H
#define GR_HTTP_H1_H

#include "base/base.h"
#include "base/buf.h"
#include "http/headers.h"

#define GR_H1_HEAD_BYTES_MAX (256u * 1024) /* where the caller gives no limit */
#define GR_H1_FIELDS_MAX     1024u         /* header fields of one response */
#define GR_H1_INTERIMS_MAX   16u           /* 1xx responses before the final one */

typedef enum { /* what the request was: decides whether the response has a body */
               GR_H1_TO_OTHER,
               GR_H1_TO_HEAD,
               GR_H1_TO_CONNECT
} gr_h1_kind;

typedef enum {
    GR_H1_MORE, /* all input was used: give more, or gr_h1_eof */
    GR_H1_HEAD, /* once: the final head is complete, the fields of gr_h1 below are valid */
    GR_H1_BODY, /* `piece` holds body bytes, a slice of the input */
    GR_H1_DONE  /* response complete. Bytes left in `in` are not its own: do not reuse then */
} gr_h1_event;

typedef enum { /* the parser's own; named here because it is embedded in its owner */
               GR_H1_IN_BLANKS,     /* empty lines before the status line */
               GR_H1_IN_STATUS,     /* status line, not complete yet */
               GR_H1_IN_FIELDS,     /* header fields up to the empty line */
               GR_H1_IN_LENGTH,     /* body of known length */
               GR_H1_IN_CLOSE,      /* body that ends with the connection */
               GR_H1_IN_SIZE_FIRST, /* first digit of a chunk size */
               GR_H1_IN_SIZE,       /* its other digits */
               GR_H1_IN_SIZE_BLANK, /* blanks behind them */
               GR_H1_IN_EXTENSION,  /* chunk extension, skipped */
               GR_H1_IN_SIZE_LF,    /* '\n' that ends the chunk's head */
               GR_H1_IN_CHUNK,      /* chunk data */
               GR_H1_IN_CHUNK_CR,   /* line end behind the data */
               GR_H1_IN_CHUNK_LF,
               GR_H1_IN_TRAILER, /* trailer fields, skipped */
               GR_H1_COMPLETE,
               GR_H1_FAILED
} gr_h1_state;

typedef struct gr_h1 {
    /* Valid from GR_H1_HEAD on. */
    uint16_t status;       /* 101 is final, other 1xx are skipped */
    uint8_t version_minor; /* of HTTP/1.x */
    uint8_t interims;      /* 1xx responses skipped so far; counts up before GR_H1_HEAD */
    bool may_continue;     /* one of them was 100 Continue; likewise */
    bool keep_alive;       /* the peer will take another request; false where the body ends with
                            * the connection, after 101 and after a successful CONNECT */
    bool chunked;
    bool has_length; /* `length` came from Content-Length and frames this body */
    uint64_t length;
    gr_str reason; /* in the head buffer; may be empty */

    /* The parser's own. */
    gr_h1_state state;
    gr_h1_kind kind;
    int error;          /* of GR_H1_FAILED */
    gr_buf *head;       /* caller's */
    gr_headers *fields; /* caller's */
    size_t head_bytes_max;
    size_t reason_at, fields_at; /* offsets in the head buffer, which may move while it grows */
    size_t line_n;    /* bytes so far of the unfinished line (head, chunk head, trailer) */
    size_t skipped_n; /* bytes of blank lines or trailers: bounded though not kept */
    uint64_t left;    /* bytes of body or chunk still to come; the chunk size meanwhile */
    bool line_is_cr;  /* trailers: the unfinished line is one '\r' */
} gr_h1;

/* Get ready for one response. Both containers are emptied (keeping their memory) and filled: the
 * raw head, status line to empty line, and the fields, which point into it. They must stay where
 * they are until the response is complete. `head_bytes_max` 0: GR_H1_HEAD_BYTES_MAX. */
void gr_h1_start(gr_h1 *h, gr_buf *head, gr_headers *fields, gr_h1_kind kind,
                 size_t head_bytes_max);

/* Parse until something is to be told, moving `in` past the bytes used. Call again until
 * GR_H1_MORE or GR_H1_DONE, or a negative code: GR_E_STATUS_LINE, GR_E_HEADER,
 * GR_E_HEADERS_TOO_LARGE (trailers too), GR_E_CONTENT_LENGTH, GR_E_CHUNK, GR_E_NOMEM; the
 * connection is useless after those. */
int gr_h1_next(gr_h1 *h, gr_str *in, gr_h1_event *event, gr_str *piece);

/* The peer closed. 0: the response is complete (its body was to end so, or it was already);
 * GR_E_CLOSED_EARLY: nothing had come (a kept connection may be tried anew); GR_E_TRUNCATED. */
int gr_h1_eof(gr_h1 *h);

/* Values of gr_h1_request.body_length below 0. */
#define GR_H1_BODY_CHUNKED (-1) /* "Transfer-Encoding: chunked" */
#define GR_H1_BODY_NONE    (-2) /* "Content-Length: 0" except for GET, HEAD, CONNECT and TRACE */

typedef struct gr_h1_request {
    gr_str method, target;
    gr_str host;         /* value of Host; used unless the head has its own */
    const gr_head *head; /* NULL: no further lines */
    gr_str cookie;       /* value of Cookie; empty, or the head has its own: none */
    int64_t body_length; /* or GR_H1_BODY_*; unused when the head frames the body itself */
} gr_h1_request;

/* Append the request's head, empty line included. GR_E_REQUEST_HEADER (method is no token; line
 * break, blank or control byte in the target or host; line break in the cookie) or GR_E_NOMEM
 * leave `out` as it was. */
int gr_h1_write_head(gr_buf *out, const gr_h1_request *r);
int gr_h1_write_chunk(gr_buf *out, gr_str piece); /* an empty piece writes nothing */
int gr_h1_write_last_chunk(gr_buf *out);

#endif
