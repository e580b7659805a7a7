/* An HTTP session: what one user's client keeps between requests (cookies, idle connections), and
 * the exchange: one request with its response, redirects included. This is the door through which
 * both front ends send HTTP; nothing above it knows about connections.
 *
 *   gr_session_start(s, &request, x)  ->  ... loop turns ...  ->  x->done(x)
 *
 * An exchange is embedded in its owner (a Python Response, a C user's state), initialised once with
 * gr_exchange_init and reusable after `done`: its buffers keep their memory, so a warm request
 * allocates nothing. All of this belongs to one loop's thread.
 *
 * Every started exchange ends exactly once: `done` runs (never inside gr_session_start), or the
 * owner calls gr_exchange_cancel, after which it does not run. */
#ifndef GR_HTTP_SESSION_H
#define GR_HTTP_SESSION_H

#include "base/base.h"
#include "base/buf.h"
#include "http/cookies.h"
#include "http/headers.h"
#include "net/loop.h"
#include "net/tls.h"

typedef struct gr_session gr_session;
typedef struct gr_exchange gr_exchange;
typedef struct gr_conn gr_conn;

/* What many sessions share. Borrowed by its sessions; must outlive them. */
typedef struct gr_http_conf {
    gr_tls_conf *tls;          /* NULL: https fails with GR_E_TLS */
    gr_ns connect_timeout_ns;  /* DNS + TCP + TLS; 0: no limit */
    gr_ns read_timeout_ns;     /* longest silence while sending or waiting for bytes; 0: no limit */
    uint64_t body_bytes_max;   /* decoded and on the wire, unless streamed; 0: no limit */
    uint32_t header_bytes_max; /* whole response head; 0: 256 KB */
    uint16_t redirects_max;    /* GR_E_TOO_MANY_REDIRECTS beyond */
    uint16_t conns_per_host_max; /* further exchanges queue; 0: no limit */
    uint16_t resends_max; /* new connections tried when a reused one turns out closed before any
                                     response byte; 0: report GR_E_CLOSED_EARLY. Not once a piece
                                     of a GR_BODY_STREAM was sent */
    bool post_becomes_get_on_301;  /* requests and browsers: yes; geventhttpclient: no */
    bool secure_cookies_over_http; /* geventhttpclient's habit */
} gr_http_conf;

typedef enum { GR_BODY_NONE, GR_BODY_BYTES, GR_BODY_STREAM } gr_body_kind;

typedef struct gr_request {
    gr_str method;
    gr_str url; /* absolute; a fragment is not sent; bytes that may not stand in a URL are
                             percent-encoded as requests does */
    const gr_head
        *head; /* header lines; the engine adds Host, Content-Length or Transfer-Encoding, and
                             Cookie unless the head has its own */
    gr_body_kind body_kind;
    gr_str body;         /* GR_BODY_BYTES: borrowed until done, redirects may need it again */
    int64_t body_length; /* GR_BODY_STREAM: known length, or -1 for chunked */
    bool follow_redirects;
    bool stream_response; /* `done` runs at the end of the head; see gr_exchange_read */
    gr_tls_conf *tls;     /* instead of the session's; NULL: the session's */
    gr_ns connect_timeout_ns, read_timeout_ns; /* UINT64_MAX: the session's */
    gr_ns due_at;                              /* when the request should have been sent; 0: now */
} gr_request;

/* A response head and body. Borrowed pieces point into `head`. */
typedef struct gr_response {
    uint16_t status;       /* 0: none */
    uint8_t version_minor; /* HTTP/1.x */
    gr_str reason;
    gr_headers headers; /* in order of arrival, repeated ones kept; see headers.h */
    gr_buf head;        /* raw head bytes, owned */
    gr_buf body;        /* decoded (unless told not to), owned */
    bool decoded;       /* a Content-Encoding was undone */
} gr_response;

/* One answered request that redirected onwards (or the resent ones: never recorded here). */
typedef struct gr_hop {
    struct gr_hop *next; /* in order */
    gr_buf url;
    gr_response response;
} gr_hop;

typedef enum {
    GR_X_IDLE,    /* not started, or done */
    GR_X_WAITING, /* for a connection: queue, DNS, TCP, TLS */
    GR_X_SENDING,
    GR_X_RECEIVING,
    GR_X_STREAMING /* head delivered, body being read by the owner */
} gr_exchange_state;

typedef void gr_exchange_cb(gr_exchange *x);

struct gr_exchange {
    /* Set by the owner before gr_session_start. */
    gr_exchange_cb *done;
    void *ctx;

    /* Results, valid in and after `done`. */
    int error; /* 0, or why there is no complete response; what arrived is in `response` */
    gr_buf
        error_text; /* one sentence with the detail (TLS reason, resolver's text); may be empty */
    gr_response response;
    gr_hop *hops;       /* redirects on the way; NULL: none */
    gr_buf url;         /* final URL, as sent, with fragment of the first */
    gr_ns due_at;       /* never 0 */
    gr_ns started_at;   /* gr_session_start was called */
    gr_ns connected_at; /* connection ready: 0 when reused */
    gr_ns sent_at;      /* last hop's last request byte handed to the kernel; when the answer comes
                           before that: the last byte until then */
    gr_ns
        first_byte_at;  /* last hop's first response byte reached our kernel (its own time stamp) */
    gr_ns last_byte_at; /* last hop's last byte reached our kernel; streaming: end of the head */
    gr_ns service_ns;   /* sum over hops of last_byte_at - sent_at */
    uint64_t bytes_out, bytes_in; /* on the wire, TLS excluded */
    uint16_t resends;
    bool reused; /* last hop used a kept connection */

    bool raw_body; /* see gr_exchange_raw_body */
    gr_exchange_state state;
    struct gr_exchange_priv *priv; /* engine's own; allocated once per exchange, kept for reuse */
};

void gr_exchange_init(gr_exchange *x);
void gr_exchange_deinit(gr_exchange *x); /* must not be in progress */

int gr_session_new(gr_session **s, gr_loop *lp, const gr_http_conf *conf);
void gr_session_free(
    gr_session *s); /* cancels nothing: no exchange may be in progress. Closes connections */
void gr_session_close_idle(gr_session *s); /* closes idle connections; the session stays usable */
gr_jar *gr_session_jar(gr_session *s);     /* created on first use; NULL: out of memory */
const gr_http_conf *gr_session_conf(const gr_session *s);

/* Start `x`. The request's strings are copied as needed (`body` is borrowed). 0: `done` will run.
 * Negative: it will not, nothing was sent and the code says why (GR_E_URL_*, GR_E_REQUEST_HEADER,
 * GR_E_TLS: https without a configuration, GR_E_NOMEM). */
int gr_session_start(gr_session *s, const gr_request *request, gr_exchange *x);

/* Stop an exchange in any state; its connection is closed. `done` will not run. Idempotent. */
void gr_exchange_cancel(gr_exchange *x);

/* GR_BODY_STREAM: add a piece (copied). Returns 0, or 1 when enough is queued: then wait for
 * `drained` or `done` before the next piece. After `done` ran, and after a redirect that turned the
 * request into one without a body, pieces are ignored. Beyond the known length: GR_E_INVALID. A
 * redirect that keeps the body ends with GR_E_BODY_SOURCE: it is gone. */
int gr_exchange_write(gr_exchange *x, gr_str piece, gr_exchange_cb *drained);
int gr_exchange_write_end(gr_exchange *x); /* GR_E_INVALID when the known length was not met */

/* stream_response: `more` runs once when response.body got bytes or the body ended; ask again for
 * more. The owner empties response.body (gr_buf_clear). x->state is GR_X_IDLE at the end; x->error
 * tells a failure. Between calls at most 256 KB are buffered: the peer is slowed down. */
int gr_exchange_read(gr_exchange *x, gr_exchange_cb *more);
/* Deliver the body of the next started request as it is on the wire (chunks undone), not decoded. */
void gr_exchange_raw_body(gr_exchange *x);

#endif
