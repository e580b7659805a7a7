/* What exchange.c, conn.c and session.c share. */
#ifndef GR_HTTP_EXCHANGE_INT_H
#define GR_HTTP_EXCHANGE_INT_H

#include "http/conn.h"
#include "http/decode.h"
#include "http/h1.h"
#include "http/session.h"
#include "http/url.h"

struct gr_session {
    gr_loop *lp;
    const gr_http_conf *conf;
    gr_jar *jar;  /* NULL: nothing stored yet */
    gr_list idle; /* connections, most recently used first */
    gr_list busy;
    gr_list queue; /* exchanges waiting for conns_per_host_max, first come first */
};

typedef enum { /* what the exchange's task is to do */
               GR_X_TASK_NONE,
               GR_X_TASK_FAIL,   /* with `task_rc` */
               GR_X_TASK_MORE,   /* run `more` */
               GR_X_TASK_UNSTASH /* there is room for what was held back */
} gr_exchange_task;

typedef struct gr_exchange_priv {
    gr_exchange *x;
    gr_session *s; /* may be gone when the exchange is idle; the loop is not */
    gr_loop *lp;
    gr_conn *conn; /* NULL: queued, or not in progress */
    gr_list link;  /* in the session's queue */

    /* The request, as of the current hop. */
    gr_url u;               /* slices of x->url */
    gr_tls_conf *tls;       /* borrowed; NULL: plain */
    gr_tls_conf *tls_asked; /* the request's own, a reference; NULL: the session's */
    gr_buf asked_url;       /* as the owner gave it */
    gr_buf method;
    gr_head head; /* the owner's lines */
    gr_str body;  /* borrowed */
    int64_t body_length;
    gr_body_kind body_kind;
    bool follow, stream, raw;
    gr_ns connect_timeout_ns, read_timeout_ns;

    /* Sending. */
    gr_buf wire;        /* rendered head */
    bool rendered;      /* `wire` is the head of what was asked: for x->url as it was then, */
    const char *url_at; /* at this place */
    size_t url_n;       /* and of this length; without cookies */
    gr_buf out;         /* GR_BODY_STREAM: framed pieces that the kernel has not taken */
    size_t sent;        /* of `wire`, then of `body`. (`out` shrinks instead) */
    uint64_t given;     /* GR_BODY_STREAM: body bytes written by the owner */
    bool chunked;       /* GR_BODY_STREAM: pieces are framed as chunks */
    bool ended;         /* GR_BODY_STREAM: no more pieces */
    bool unwanted;      /* GR_BODY_STREAM: a redirect dropped it, further pieces are ignored */
    bool out_sent_some; /* GR_BODY_STREAM: cannot be sent again */
    bool hold_body;     /* Expect: the peer has not said 100 Continue */
    int send_rc;        /* why nothing more can be sent */
    gr_exchange_cb *drained;

    /* Receiving. */
    gr_h1 h1;
    gr_decoder *decoder; /* NULL until first needed */
    uint64_t body_wire;  /* body bytes before decoding */
    bool head_done, redirecting;
    gr_exchange_cb *more;
    bool held;     /* the owner is behind: reading is paused, input goes to `stash` */
    bool end_held; /* the connection ended behind what is held, with `end_rc` */
    gr_buf stash;  /* its first `stash_body` bytes are a body piece, the rest is unparsed */
    size_t stash_body;
    int end_rc;

    gr_timer timer; /* until connected: connect timeout; then: patience for 100 Continue */
    gr_task task;
    gr_exchange_task task_kind;
    int task_rc;
    unsigned hops_n;
    gr_buf scratch;
} gr_exchange_priv;

/* exchange.c, called by connections and the pool. The last three may run the owner's callbacks,
 * in which everything may be cancelled and freed but the connection itself. */
void gr__exchange_ready(gr_exchange_priv *xp); /* its connection can be sent on */
void gr__exchange_sent(gr_exchange_priv *xp, size_t n, gr_ns at);
void gr__exchange_fail_later(gr_exchange_priv *xp, int rc);
void gr__exchange_opened(gr_exchange_priv *xp);   /* connected anew */
void gr__exchange_writable(gr_exchange_priv *xp); /* after the flush */
void gr__exchange_input(gr_exchange_priv *xp, gr_str in, gr_ns arrived_at);
void gr__exchange_closed(gr_exchange_priv *xp, int rc, const char *why);

/* session.c: find or open a connection, or queue. Never calls back. `fresh`: not a kept one. 0 or
 * GR_E_NOMEM. */
int gr__session_attempt(gr_session *s, gr_exchange_priv *xp, bool fresh);
/* Take the connection (if any) from its exchange, into the pool or closed. Then serve the queue. */
void gr__session_give_back(gr_session *s, gr_exchange_priv *xp, bool reusable);

#endif
