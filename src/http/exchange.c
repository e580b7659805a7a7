/* One exchange: a request and its response over as many hops (redirects) and connections (resends)
 * as it takes. The part of a hop:
 *
 *   hop_start: render the head, find a connection (session.c)      x->state WAITING
 *   gr__exchange_ready: the connection sends (conn.c)              SENDING, then RECEIVING
 *   gr__exchange_input: the codec's events                         if asked: STREAMING from the head
 *   complete: the body is over -> next hop, or finish
 *   gr__exchange_closed: the connection failed -> resend, or finish
 *
 * `finish` is the only place that ends a started exchange, apart from gr_exchange_cancel. The
 * connection is given back before the owner's callback runs; after a callback nothing of the
 * exchange is touched unless the connection still says that it works for it (c->xp == xp):
 * connections are freed in a later turn, exchanges at once.
 *
 * Times: x->sent_at is read right before the system call that took the request's last byte, because
 * on a fast path the answer's arrival is stamped before that call returns. So sent_at <=
 * first_byte_at <= last_byte_at always holds; an answer that comes before the request is complete
 * freezes sent_at. */
#include "http/exchange_int.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/err.h"

#include <errno.h>

#define STREAM_BYTES_MAX (GR_HOSTILE ? 29u : 256u * 1024) /* of response.body between reads */
#define OUT_BYTES_MAX    (GR_HOSTILE ? 31u : 64u * 1024)  /* of a streamed request body */
#define CONTINUE_TIME    GR_S(1) /* then the body is sent anyway, as curl does */

/* What a reused exchange keeps; a single huge response must not stay in memory for each user. */
#define KEEP_BYTES_MAX (1024u * 1024)

static void on_task(gr_task *task);
static void on_timer(gr_timer *timer);
static void finish(gr_exchange_priv *xp, int rc, const char *why, bool reusable);

/* ---- life ---- */

void gr_exchange_init(gr_exchange *x) {
    memset(x, 0, sizeof *x);
}

static void response_deinit(gr_response *r) {
    gr_headers_deinit(&r->headers);
    gr_buf_deinit(&r->head);
    gr_buf_deinit(&r->body);
}

static void hops_free(gr_exchange *x) {
    for (gr_hop *hop = x->hops, *next; hop; hop = next) {
        next = hop->next;
        gr_buf_deinit(&hop->url);
        response_deinit(&hop->response);
        gr_free(hop);
    }
    x->hops = NULL;
}

static void priv_free(gr_exchange_priv *xp) {
    if (!xp) return;
    gr_task_cancel(&xp->task);
    gr_buf_deinit(&xp->asked_url);
    gr_buf_deinit(&xp->method);
    gr_head_deinit(&xp->head);
    gr_buf_deinit(&xp->wire);
    gr_buf_deinit(&xp->out);
    gr_buf_deinit(&xp->stash);
    gr_buf_deinit(&xp->scratch);
    gr_decoder_free(xp->decoder);
    gr_free(xp);
}

void gr_exchange_deinit(gr_exchange *x) {
    if (!x) return;
    GR_CHECK(x->state == GR_X_IDLE);
    priv_free(x->priv);
    hops_free(x);
    response_deinit(&x->response);
    gr_buf_deinit(&x->error_text);
    gr_buf_deinit(&x->url);
    gr_exchange_init(x);
}

static gr_exchange_priv *priv_of(gr_exchange *x) {
    gr_exchange_priv *xp = x->priv;
    if (!xp) {
        if (!(xp = gr_calloc(1, sizeof *xp))) return NULL;
        gr_list_init(&xp->link);
        gr_task_init(&xp->task, on_task);
        xp->timer.cb = on_timer;
        x->priv = xp;
    }
    xp->x = x;
    return xp;
}

void gr_exchange_raw_body(gr_exchange *x) {
    x->raw_body = true;
}

static void buf_reset(gr_buf *b) {
    if (b->cap > KEEP_BYTES_MAX)
        gr_buf_deinit(b);
    else
        gr_buf_clear(b);
}

static void response_reset(gr_response *r) {
    buf_reset(&r->head);
    buf_reset(&r->body);
    r->headers.n = 0;
    r->status = 0;
    r->version_minor = 0;
    r->reason = (gr_str){NULL, 0};
    r->decoded = false;
}

static void results_reset(gr_exchange *x) {
    hops_free(x);
    response_reset(&x->response);
    gr_buf_clear(&x->error_text);
    x->error = 0;
    x->connected_at = x->sent_at = x->first_byte_at = x->last_byte_at = x->service_ns = 0;
    x->bytes_out = x->bytes_in = 0;
    x->resends = 0;
    x->reused = false;
}

/* ---- the request ---- */

static int buf_set(gr_buf *b, gr_str s) {
    gr_buf_clear(b);
    return gr_buf_add(b, s);
}

static bool is_secure(const gr_exchange_priv *xp) {
    return xp->u.https || xp->s->conf->secure_cookies_over_http;
}

static gr_str cookie_path(const gr_exchange_priv *xp) {
    return xp->u.path.n ? xp->u.path : GR_STR("/");
}

/* Host, target and cookies are put together in `scratch`, one behind the other. */
static int render(gr_exchange_priv *xp) {
    gr_buf *b = &xp->scratch;
    gr_jar *jar = xp->head.flags & GR_HEAD_COOKIE ? NULL : xp->s->jar;
    int rc;
    gr_buf_clear(b);
    if ((rc = gr_url_host_field(&xp->u, b)) < 0) return rc;
    size_t host_n = b->n;
    if ((rc = gr_url_target(&xp->u, b)) < 0) return rc;
    size_t target_n = b->n - host_n;
    if (jar && gr_jar_count(jar) &&
        (rc = gr_jar_cookie_header(jar, xp->u.host, cookie_path(xp), is_secure(xp),
                                   gr_clock_wall_ns(), b)) < 0)
        return rc;
    gr_h1_request r = {.method = gr_buf_str(&xp->method),
                       .target = {b->p + host_n, target_n},
                       .host = {b->p, host_n},
                       .head = &xp->head,
                       .cookie = gr_str_from(gr_buf_str(b), host_n + target_n)};
    switch (xp->body_kind) {
    case GR_BODY_NONE: r.body_length = GR_H1_BODY_NONE; break;
    case GR_BODY_BYTES: r.body_length = (int64_t)xp->body.n; break;
    case GR_BODY_STREAM: r.body_length = xp->chunked ? GR_H1_BODY_CHUNKED : xp->body_length; break;
    }
    gr_buf_clear(&xp->wire);
    if ((rc = gr_h1_write_head(&xp->wire, &r)) < 0) return rc;
    xp->rendered = r.cookie.n == 0 && xp->hops_n == 0;
    xp->url_at = xp->x->url.p;
    xp->url_n = xp->x->url.n;
    return 0;
}

static gr_h1_kind kind_of(gr_str method) {
    if (gr_str_eq(method, GR_STR("HEAD"))) return GR_H1_TO_HEAD;
    if (gr_str_eq(method, GR_STR("CONNECT"))) return GR_H1_TO_CONNECT;
    return GR_H1_TO_OTHER;
}

/* Everything that one hop's attempt on one connection begins with. */
static int attempt(gr_exchange_priv *xp, bool fresh) {
    gr_exchange *x = xp->x;
    x->connected_at = x->sent_at = x->first_byte_at = x->last_byte_at = 0;
    x->reused = false;
    x->state = GR_X_WAITING;
    xp->sent = 0;
    xp->send_rc = 0;
    xp->body_wire = 0;
    xp->head_done = xp->redirecting = false;
    bool empty_body =
        xp->body_kind == GR_BODY_NONE || (xp->body_kind == GR_BODY_BYTES && xp->body.n == 0);
    xp->hold_body = (xp->head.flags & GR_HEAD_EXPECT_CONTINUE) && !empty_body;
    gr_h1_start(&xp->h1, &x->response.head, &x->response.headers, kind_of(gr_buf_str(&xp->method)),
                xp->s->conf->header_bytes_max);
    return gr__session_attempt(xp->s, xp, fresh);
}

static int choose_tls(gr_exchange_priv *xp) {
    xp->tls = NULL;
    if (!xp->u.https) return 0;
    xp->tls = xp->tls_asked ? xp->tls_asked : xp->s->conf->tls;
    return xp->tls ? 0 : GR_E_TLS;
}

static int hop_start(gr_exchange_priv *xp) {
    int rc;
    if ((rc = choose_tls(xp)) < 0) return rc;
    if (xp->s->jar && gr_jar_count(xp->s->jar)) xp->rendered = false;
    if (!xp->rendered && (rc = render(xp)) < 0) return rc;
    return attempt(xp, false);
}

/* Is this what the exchange sent last time? Then its URL is prepared and its head rendered already,
 * which takes 0.6 us of the 1.6 us that a small request otherwise takes in user mode. The owner
 * may have changed x->url, which the slices of `u` point into. */
static bool is_repeated(const gr_exchange_priv *xp, const gr_request *r) {
    gr_str lines = r->head ? gr_buf_str(&r->head->lines) : (gr_str){NULL, 0};
    return xp->rendered && xp->url_at == xp->x->url.p && xp->url_n == xp->x->url.n &&
           xp->body_kind == r->body_kind && xp->body_length == r->body_length &&
           xp->body.n == (r->body_kind == GR_BODY_BYTES ? r->body.n : 0) &&
           xp->head.flags == (r->head ? r->head->flags : 0) &&
           gr_str_eq(gr_buf_str(&xp->asked_url), r->url) &&
           gr_str_eq(gr_buf_str(&xp->method), r->method) &&
           gr_str_eq(gr_buf_str(&xp->head.lines), lines);
}

static int copy_request(gr_exchange_priv *xp, const gr_request *r) {
    gr_str url;
    int rc;
    xp->rendered = false;
    if ((rc = gr_url_prepare(r->url, &xp->scratch, &url)) < 0) return rc;
    if ((rc = buf_set(&xp->x->url, url)) < 0) return rc;
    if ((rc = gr_url_parse(gr_buf_str(&xp->x->url), &xp->u)) < 0) return rc;
    if ((rc = buf_set(&xp->asked_url, r->url)) < 0) return rc;
    if ((rc = buf_set(&xp->method, r->method)) < 0) return rc;
    gr_head_clear(&xp->head);
    if (r->head) {
        if ((rc = gr_buf_add(&xp->head.lines, gr_buf_str(&r->head->lines))) < 0) return rc;
        xp->head.flags = r->head->flags;
    }
    xp->body_kind = r->body_kind;
    xp->body_length = r->body_length;
    xp->chunked = r->body_kind == GR_BODY_STREAM && r->body_length < 0 &&
                  !(xp->head.flags & GR_HEAD_CONTENT_LENGTH);
    return 0;
}

static int take_request(gr_exchange_priv *xp, const gr_request *r) {
    const gr_http_conf *conf = xp->s->conf;
    int rc = is_repeated(xp, r) ? 0 : copy_request(xp, r);
    if (rc < 0) return rc;
    xp->body = r->body_kind == GR_BODY_BYTES ? r->body : (gr_str){NULL, 0};
    xp->follow = r->follow_redirects;
    xp->stream = r->stream_response;
    xp->connect_timeout_ns =
        r->connect_timeout_ns == UINT64_MAX ? conf->connect_timeout_ns : r->connect_timeout_ns;
    xp->read_timeout_ns =
        r->read_timeout_ns == UINT64_MAX ? conf->read_timeout_ns : r->read_timeout_ns;
    xp->tls_asked = r->tls ? gr_tls_conf_ref(r->tls) : NULL;
    return 0;
}

static void priv_reset(gr_exchange_priv *xp, gr_session *s) {
    gr_task_cancel(&xp->task);
    xp->task_kind = GR_X_TASK_NONE;
    xp->s = s;
    xp->lp = s->lp;
    xp->raw = xp->x->raw_body;
    xp->x->raw_body = false;
    gr_buf_clear(&xp->out);
    xp->given = 0;
    xp->ended = xp->unwanted = xp->out_sent_some = xp->held = xp->end_held = false;
    xp->drained = xp->more = NULL;
    xp->hops_n = 0;
}

/* Lets go of everything that belongs to the running request; the results stay. */
static void stop(gr_exchange_priv *xp, bool reusable) {
    gr_timer_stop(xp->lp, &xp->timer);
    gr_task_cancel(&xp->task);
    xp->task_kind = GR_X_TASK_NONE;
    xp->held = xp->end_held = false;
    gr_buf_deinit(&xp->stash);
    buf_reset(&xp->out);
    xp->x->state = GR_X_IDLE;
    gr__session_give_back(xp->s, xp, reusable);
    gr_tls_conf_unref(xp->tls_asked);
    xp->tls_asked = NULL;
}

int gr_session_start(gr_session *s, const gr_request *request, gr_exchange *x) {
    GR_CHECK(x->state == GR_X_IDLE);
    gr_exchange_priv *xp = priv_of(x);
    if (!xp) return GR_E_NOMEM;
    results_reset(x);
    priv_reset(xp, s);
    x->started_at = gr_clock_ns();
    x->due_at = request->due_at ? request->due_at : x->started_at;
    int rc = take_request(xp, request);
    if (rc == 0) rc = hop_start(xp);
    if (rc < 0) stop(xp, false);
    return rc;
}

void gr_exchange_cancel(gr_exchange *x) {
    gr_exchange_priv *xp = x->priv;
    if (!xp) return;
    gr_task_cancel(&xp->task);
    if (x->state == GR_X_IDLE) return;
    x->error = GR_E_CANCELLED;
    stop(xp, false);
}

/* ---- sending ---- */

static bool all_sent(const gr_exchange_priv *xp) {
    if (xp->hold_body || xp->sent < xp->wire.n || gr_sock_blocked(&xp->conn->sock)) return false;
    switch (xp->body_kind) {
    case GR_BODY_NONE: return true;
    case GR_BODY_BYTES: return xp->sent == xp->wire.n + xp->body.n;
    case GR_BODY_STREAM: return xp->ended && xp->out.n == 0;
    }
    GR_UNREACHABLE();
}

void gr__exchange_sent(gr_exchange_priv *xp, size_t n, gr_ns at) {
    gr_exchange *x = xp->x;
    xp->sent += n;
    x->bytes_out += n;
    if (!x->first_byte_at) x->sent_at = at;
    if (xp->body_kind == GR_BODY_STREAM && xp->sent > xp->wire.n) {
        gr_buf_consume(&xp->out, xp->sent - xp->wire.n);
        xp->sent = xp->wire.n;
        xp->out_sent_some = true;
    }
    if (xp->hold_body && xp->sent == xp->wire.n && !gr_timer_active(&xp->timer)) {
        int rc = gr_timer_start(xp->lp, &xp->timer, at + CONTINUE_TIME);
        if (rc < 0) gr__exchange_fail_later(xp, rc);
    }
    if (x->state == GR_X_SENDING && all_sent(xp)) x->state = GR_X_RECEIVING;
}

void gr__exchange_ready(gr_exchange_priv *xp) {
    xp->x->state = GR_X_SENDING;
    gr_timer_stop(xp->lp, &xp->timer);
    gr__conn_begin(xp->conn, xp);
}

void gr__exchange_writable(gr_exchange_priv *xp) {
    gr_exchange_cb *drained = xp->drained;
    if (!drained || xp->out.n) return;
    xp->drained = NULL;
    drained(xp->x);
}

void gr__exchange_opened(gr_exchange_priv *xp) {
    xp->x->connected_at = gr_clock_ns();
    gr__exchange_ready(xp);
}

static void release_body(gr_exchange_priv *xp) {
    xp->hold_body = false;
    gr_timer_stop(xp->lp, &xp->timer);
    gr__conn_flush(xp->conn);
    gr__exchange_writable(xp);
}

static void on_timer(gr_timer *timer) {
    gr_exchange_priv *xp = GR_CONTAINER(timer, gr_exchange_priv, timer);
    if (xp->x->state == GR_X_WAITING)
        finish(xp, GR_E_CONNECT_TIMEOUT, NULL, false);
    else if (xp->hold_body && !xp->head_done)
        release_body(xp);
}

static void flush_stream(gr_exchange_priv *xp) {
    gr_conn *c = xp->conn;
    if (xp->x->state != GR_X_WAITING && c && !c->sock.want_write) gr__conn_flush(c);
}

int gr_exchange_write(gr_exchange *x, gr_str piece, gr_exchange_cb *drained) {
    gr_exchange_priv *xp = x->priv;
    int rc;
    if (x->state == GR_X_IDLE || !xp || xp->unwanted) return 0;
    if (xp->body_kind != GR_BODY_STREAM || xp->ended) return GR_E_INVALID;
    if (xp->body_length >= 0 && piece.n > (uint64_t)xp->body_length - xp->given)
        return GR_E_INVALID;
    rc = xp->chunked ? gr_h1_write_chunk(&xp->out, piece) : gr_buf_add(&xp->out, piece);
    if (rc < 0) return rc;
    xp->given += piece.n;
    flush_stream(xp);
    if (xp->out.n < OUT_BYTES_MAX) return 0;
    xp->drained = drained;
    return 1;
}

int gr_exchange_write_end(gr_exchange *x) {
    gr_exchange_priv *xp = x->priv;
    int rc;
    if (x->state == GR_X_IDLE || !xp || xp->unwanted) return 0;
    if (xp->body_kind != GR_BODY_STREAM || xp->ended) return GR_E_INVALID;
    if (xp->body_length >= 0 && xp->given != (uint64_t)xp->body_length) return GR_E_INVALID;
    if (xp->chunked && (rc = gr_h1_write_last_chunk(&xp->out)) < 0) return rc;
    xp->ended = true;
    flush_stream(xp);
    return 0;
}

/* ---- redirects ---- */

static bool is_redirect(uint16_t status) {
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

static bool has_location(const gr_response *r) {
    const gr_header *location = gr_headers_get(&r->headers, GR_STR("Location"));
    return location && location->value.n > 0;
}

/* As `requests` does it: 301 turns POST into GET, 302 and 303 everything but HEAD. */
static bool becomes_get(const gr_exchange_priv *xp, uint16_t status) {
    gr_str method = gr_buf_str(&xp->method);
    if (gr_str_eq(method, GR_STR("HEAD")) || gr_str_eq(method, GR_STR("GET"))) return false;
    if (status == 301)
        return xp->s->conf->post_becomes_get_on_301 && gr_str_eq(method, GR_STR("POST"));
    return status == 302 || status == 303;
}

static void drop_field(gr_head *head, gr_str name, unsigned flag) {
    gr_buf *b = &head->lines;
    for (size_t at = 0; at < b->n;) {
        gr_str rest = gr_str_from(gr_buf_str(b), at);
        ptrdiff_t end = gr_str_find(rest, '\n');
        size_t line_n = end < 0 ? rest.n : (size_t)end + 1;
        bool match =
            line_n > name.n && rest.p[name.n] == ':' && gr_str_ieq((gr_str){rest.p, name.n}, name);
        if (match) {
            memmove(b->p + at, b->p + at + line_n, b->n - at - line_n);
            b->n -= line_n;
        } else
            at += line_n;
    }
    head->flags &= ~flag;
}

/* `requests` keeps credentials on the same origin, and from http to https on the default ports. */
static bool keeps_credentials(const gr_url *from, const gr_url *to) {
    if (gr_url_same_origin(from, to)) return true;
    return gr_str_ieq(from->host, to->host) && !from->https && from->port == 80 && to->https &&
           to->port == 443;
}

static void drop_body(gr_exchange_priv *xp) {
    xp->unwanted |= xp->body_kind == GR_BODY_STREAM;
    xp->out_sent_some = false; /* the next hop's request can be sent again */
    gr_buf_clear(&xp->out);
    xp->drained = NULL;
    xp->body_kind = GR_BODY_NONE;
    xp->body = (gr_str){NULL, 0};
    drop_field(&xp->head, GR_STR("Content-Length"), GR_HEAD_CONTENT_LENGTH);
    drop_field(&xp->head, GR_STR("Content-Type"), 0);
    drop_field(&xp->head, GR_STR("Transfer-Encoding"), GR_HEAD_TRANSFER_ENCODING);
    drop_field(&xp->head, GR_STR("Expect"), GR_HEAD_EXPECT_CONTINUE);
}

static int request_for_redirect(gr_exchange_priv *xp, const gr_url *to, uint16_t status) {
    int rc = 0;
    bool get = becomes_get(xp, status);
    bool sees_other = status == 301 || status == 302 || status == 303;
    if (get || (sees_other && xp->s->conf->post_becomes_get_on_301)) drop_body(xp);
    if (get) rc = buf_set(&xp->method, GR_STR("GET"));
    if (xp->body_kind == GR_BODY_STREAM) return GR_E_BODY_SOURCE; /* it is gone */
    drop_field(&xp->head, GR_STR("Cookie"), GR_HEAD_COOKIE);      /* the jar knows better now */
    if (!keeps_credentials(&xp->u, to))
        drop_field(&xp->head, GR_STR("Authorization"), GR_HEAD_AUTHORIZATION);
    return rc;
}

/* Moves the response and its URL into a new hop; `scratch` holds the next URL. */
static int hop_keep(gr_exchange_priv *xp) {
    gr_exchange *x = xp->x;
    gr_hop **at = &x->hops;
    gr_hop *hop = gr_calloc(1, sizeof *hop);
    if (!hop) return GR_E_NOMEM;
    while (*at)
        at = &(*at)->next;
    *at = hop;
    hop->response = x->response;
    memset(&x->response, 0, sizeof x->response);
    hop->url = x->url;
    x->url = xp->scratch;
    xp->scratch = GR_BUF_INIT;
    xp->hops_n++;
    return 0;
}

static void redirect(gr_exchange_priv *xp, bool reusable) {
    gr_exchange *x = xp->x;
    gr_url to;
    xp->rendered = false;
    const gr_header *location = gr_headers_get(&x->response.headers, GR_STR("Location"));
    int rc = xp->hops_n >= xp->s->conf->redirects_max ? GR_E_TOO_MANY_REDIRECTS : 0;
    if (rc == 0) rc = gr_url_resolve(gr_buf_str(&x->url), location->value, &xp->scratch);
    if (rc == 0) rc = gr_url_parse(gr_buf_str(&xp->scratch), &to);
    if (rc == 0) rc = request_for_redirect(xp, &to, x->response.status);
    if (rc == 0) rc = hop_keep(xp);
    if (rc < 0) {
        finish(xp, rc, NULL, reusable);
        return;
    }
    gr__session_give_back(xp->s, xp, reusable);
    if ((rc = gr_url_parse(gr_buf_str(&x->url), &xp->u)) == 0) rc = hop_start(xp);
    if (rc < 0) finish(xp, rc, NULL, false);
}

/* ---- receiving ---- */

static int receive_cookies(gr_exchange_priv *xp) {
    const gr_headers *hs = &xp->x->response.headers;
    const gr_header *h = NULL;
    while ((h = gr_headers_next(hs, GR_STR("Set-Cookie"), h))) {
        gr_jar *jar = gr_session_jar(xp->s);
        if (!jar) return GR_E_NOMEM;
        int rc = gr_jar_receive(jar, xp->u.host, cookie_path(xp), is_secure(xp), h->value,
                                gr_clock_wall_ns());
        if (rc < 0) return rc;
    }
    return 0;
}

static bool body_is_streamed(const gr_exchange_priv *xp) {
    return xp->stream && !xp->redirecting;
}

static int start_decoder(gr_exchange_priv *xp) {
    const gr_headers *hs = &xp->x->response.headers;
    const gr_header *h = gr_headers_get(hs, GR_STR("Content-Encoding"));
    gr_str coding = h && !xp->raw ? h->value : (gr_str){NULL, 0};
    if (coding.n == 0 && !xp->decoder) return 0;
    if (!xp->decoder && !(xp->decoder = gr_decoder_new())) return GR_E_NOMEM;
    if (coding.n && gr_headers_next(hs, GR_STR("Content-Encoding"), h)) { /* rare: join them */
        gr_buf_clear(&xp->scratch);
        for (; h; h = gr_headers_next(hs, GR_STR("Content-Encoding"), h))
            if (gr_buf_add(&xp->scratch, h->value) < 0 || gr_buf_add_byte(&xp->scratch, ',') < 0)
                return GR_E_NOMEM;
        coding = (gr_str){xp->scratch.p, xp->scratch.n - 1};
    }
    int rc = gr_decoder_start(xp->decoder, coding,
                              body_is_streamed(xp) ? 0 : xp->s->conf->body_bytes_max);
    xp->x->response.decoded = rc == 0 && gr_decoder_active(xp->decoder);
    return rc;
}

static int on_head(gr_exchange_priv *xp) {
    gr_response *r = &xp->x->response;
    uint64_t max = xp->s->conf->body_bytes_max;
    xp->head_done = true;
    r->status = xp->h1.status;
    r->version_minor = xp->h1.version_minor;
    r->reason = xp->h1.reason;
    xp->redirecting = xp->follow && is_redirect(r->status) && has_location(r);
    int rc = receive_cookies(xp);
    if (rc < 0) return rc;
    if (max && !body_is_streamed(xp) && xp->h1.has_length && xp->h1.length > max)
        return GR_E_BODY_TOO_LARGE;
    return start_decoder(xp);
}

/* 0: `piece` is used up. 1: there is no room for what is left of it. */
static int on_body(gr_exchange_priv *xp, gr_str *piece) {
    gr_buf *body = &xp->x->response.body;
    bool streamed = body_is_streamed(xp);
    uint64_t max = streamed ? 0 : xp->s->conf->body_bytes_max;
    size_t room = SIZE_MAX;
    if (streamed) room = body->n < STREAM_BYTES_MAX ? STREAM_BYTES_MAX - body->n : 0;
    if (max && xp->body_wire > max) return GR_E_BODY_TOO_LARGE;
    if (xp->x->response.decoded) return gr_decoder_feed(xp->decoder, piece, room, body);
    size_t take = GR_MIN(piece->n, room);
    int rc = gr_buf_add(body, (gr_str){piece->p, take});
    *piece = gr_str_from(*piece, take);
    return rc < 0 ? rc : piece->n > 0;
}

/* The owner reads too slowly: keep `body` and the unparsed input that follows it. */
static int hold_back(gr_exchange_priv *xp, gr_str body, gr_str in) {
    gr_buf_clear(&xp->stash);
    xp->held = true;
    xp->stash_body = body.n;
    gr_sock_pause(&xp->conn->sock, true);
    int rc = gr_buf_add(&xp->stash, body);
    return rc < 0 ? rc : gr_buf_add(&xp->stash, in);
}

static void run_more(gr_exchange_priv *xp) {
    gr_exchange_cb *more = xp->more;
    if (!more || xp->x->response.body.n == 0) return;
    xp->more = NULL;
    more(xp->x);
}

static void finish(gr_exchange_priv *xp, int rc, const char *why, bool reusable) {
    gr_exchange *x = xp->x;
    bool streaming = x->state == GR_X_STREAMING;
    x->error = rc;
    if (why) gr_buf_addc(&x->error_text, why); /* without memory for it the code must do */
    stop(xp, reusable);
    gr_exchange_cb *cb = streaming ? xp->more : x->done;
    xp->more = NULL;
    if (cb) cb(x); /* frees or restarts anything */
}

static void complete(gr_exchange_priv *xp, bool clean) {
    gr_exchange *x = xp->x;
    int rc = x->response.decoded ? gr_decoder_end(xp->decoder) : 0;
    bool reusable = clean && xp->h1.keep_alive && all_sent(xp) &&
                    !(xp->head.flags & GR_HEAD_CONNECTION_CLOSE) &&
                    gr_sock_settled(&xp->conn->sock) && xp->task_kind != GR_X_TASK_FAIL;
    if (x->state != GR_X_STREAMING) x->service_ns += x->last_byte_at - x->sent_at;
    if (rc == 0 && xp->redirecting)
        redirect(xp, reusable);
    else
        finish(xp, rc, NULL, reusable);
}

static bool deliver_head(gr_exchange_priv *xp) {
    gr_conn *c = xp->conn;
    gr_exchange *x = xp->x;
    x->service_ns += x->last_byte_at - x->sent_at;
    x->state = GR_X_STREAMING;
    x->done(x);
    return c->xp == xp;
}

/* Parse until the input is used up, held back, or the exchange is over. */
static void consume(gr_exchange_priv *xp, gr_str in) {
    gr_h1_event event;
    gr_str piece;
    for (;;) {
        const char *from = in.p;
        int rc = gr_h1_next(&xp->h1, &in, &event, &piece);
        if (rc < 0) {
            finish(xp, rc, NULL, false);
            return;
        }
        switch (event) {
        case GR_H1_MORE:
            if (xp->hold_body && xp->h1.may_continue)
                release_body(xp);
            else
                run_more(xp);
            return;
        case GR_H1_HEAD:
            if ((rc = on_head(xp)) == 0 && body_is_streamed(xp) && !deliver_head(xp)) return;
            break;
        case GR_H1_BODY:
            xp->body_wire += (uint64_t)(in.p - from);
            if ((rc = on_body(xp, &piece)) == 1) {
                if ((rc = hold_back(xp, piece, in)) == 0) {
                    run_more(xp);
                    return;
                }
            }
            break;
        case GR_H1_DONE: complete(xp, in.n == 0); return;
        }
        if (rc < 0) {
            finish(xp, rc, NULL, false);
            return;
        }
    }
}

void gr__exchange_input(gr_exchange_priv *xp, gr_str in, gr_ns arrived_at) {
    gr_exchange *x = xp->x;
    if (x->reused && xp->send_rc < 0 && xp->sent == 0) { /* no answer: it came before the request */
        gr__exchange_closed(xp, xp->send_rc, NULL);
        return;
    }
    x->bytes_in += in.n;
    if (xp->held) { /* TLS: decrypted from what had been read already */
        int rc = gr_buf_add(&xp->stash, in);
        if (rc < 0) finish(xp, rc, NULL, false);
        return;
    }
    /* A wall clock that was set meanwhile makes stamps that cannot be: then it arrived now. */
    if (arrived_at < GR_MAX(x->sent_at, x->last_byte_at)) arrived_at = gr_loop_now(xp->lp);
    if (!x->first_byte_at) x->first_byte_at = arrived_at;
    if (x->state != GR_X_STREAMING) x->last_byte_at = arrived_at;
    consume(xp, in);
}

/* ---- a connection's end ---- */

/* A kept connection that the server has closed meanwhile is no failure of this request. */
static bool may_resend(const gr_exchange_priv *xp, int rc) {
    const gr_exchange *x = xp->x;
    bool stale = rc == GR_E_CLOSED_EARLY || rc == -ECONNRESET || rc == -EPIPE;
    return stale && !x->first_byte_at && (x->reused || x->resends) && !xp->out_sent_some &&
           x->resends < xp->s->conf->resends_max;
}

static void resend(gr_exchange_priv *xp) {
    xp->x->resends++;
    gr__session_give_back(xp->s, xp, false);
    int rc = attempt(xp, true);
    if (rc < 0) finish(xp, rc, NULL, false);
}

/* What an end of the stream means to the response. */
static int end_code(gr_exchange_priv *xp, int rc) {
    if (rc != 0 && rc != GR_E_TRUNCATED) return rc;
    int parsed = gr_h1_eof(&xp->h1);
    if (parsed == GR_E_CLOSED_EARLY && xp->send_rc == -ECONNRESET) return -ECONNRESET;
    return parsed ? parsed : rc;
}

void gr__exchange_closed(gr_exchange_priv *xp, int rc, const char *why) {
    if (xp->x->state == GR_X_WAITING) {
        finish(xp, rc, why, false);
        return;
    }
    if (xp->held && rc != GR_E_TIMEOUT) { /* the owner has yet to read what came before it */
        xp->end_held = true;
        xp->end_rc = rc;
        return;
    }
    rc = end_code(xp, rc);
    if (rc == 0)
        complete(xp, false);
    else if (may_resend(xp, rc))
        resend(xp);
    else
        finish(xp, rc, why, false);
}

/* ---- tasks, and the owner's reading ---- */

static void do_later(gr_exchange_priv *xp, gr_exchange_task kind) {
    if (xp->task_kind == GR_X_TASK_FAIL) return;
    xp->task_kind = kind;
    gr_loop_defer(xp->lp, &xp->task);
}

void gr__exchange_fail_later(gr_exchange_priv *xp, int rc) {
    do_later(xp, GR_X_TASK_FAIL);
    xp->task_rc = rc;
}

static void unstash(gr_exchange_priv *xp) {
    gr_conn *c = xp->conn;
    gr_buf held = xp->stash;
    gr_str body = {held.p, xp->stash_body}, in = gr_str_from(gr_buf_str(&held), xp->stash_body);
    xp->stash = GR_BUF_INIT;
    xp->held = false;
    int rc = on_body(xp, &body);
    if (rc == 1) rc = hold_back(xp, body, in);
    if (rc < 0)
        finish(xp, rc, NULL, false);
    else if (xp->held)
        run_more(xp);
    else
        consume(xp, in);
    gr_buf_deinit(&held);
    if (c->xp != xp || xp->held) return;
    if (xp->end_held) {
        xp->end_held = false;
        gr__exchange_closed(xp, xp->end_rc, NULL);
        return;
    }
    gr_sock_pause(&c->sock, false);
    gr__conn_watch(c, gr_clock_ns());
}

static void on_task(gr_task *task) {
    gr_exchange_priv *xp = GR_CONTAINER(task, gr_exchange_priv, task);
    gr_exchange_task kind = xp->task_kind;
    xp->task_kind = GR_X_TASK_NONE;
    switch (kind) {
    case GR_X_TASK_NONE: break;
    case GR_X_TASK_FAIL: finish(xp, xp->task_rc, NULL, false); break;
    case GR_X_TASK_UNSTASH: unstash(xp); break;
    case GR_X_TASK_MORE: {
        gr_exchange_cb *more = xp->more;
        xp->more = NULL;
        if (more) more(xp->x);
        break;
    }
    }
}

int gr_exchange_read(gr_exchange *x, gr_exchange_cb *more) {
    gr_exchange_priv *xp = x->priv;
    if (!xp || (x->state != GR_X_IDLE && x->state != GR_X_STREAMING)) return GR_E_INVALID;
    xp->more = more;
    if (x->state == GR_X_IDLE || x->response.body.n)
        do_later(xp, GR_X_TASK_MORE);
    else if (xp->held)
        do_later(xp, GR_X_TASK_UNSTASH);
    return 0;
}
