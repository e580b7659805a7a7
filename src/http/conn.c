/* See conn.h. Silence is watched without touching the timer heap for each read: bytes only note the
 * time in `active_at`, and the timer, when due, either finds that there was silence for long enough
 * or starts itself again for the rest. It also stays armed while the connection is idle, so that a
 * request on a kept connection starts and stops no timer at all. */
#include "http/conn.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/err.h"
#include "http/exchange_int.h"

#include <errno.h>

/* Asking the kernel costs a system call; within this time after a response a server has hardly
 * closed, and if it has, the resend covers it. */
#define TRUSTED_TIME GR_MS(1)

/* ---- silence ---- */

static bool peer_owes(const gr_exchange_priv *xp) {
    const gr_exchange *x = xp->x;
    if (xp->held) return false;
    if (x->state != GR_X_SENDING || xp->hold_body) return true;
    bool owner_owes = xp->body_kind == GR_BODY_STREAM && !xp->ended && xp->out.n == 0;
    return !owner_owes;
}

static void on_silence(gr_timer *t) {
    gr_conn *c = GR_CONTAINER(t, gr_conn, silence);
    gr_exchange_priv *xp = c->xp;
    if (!xp || c->sock.state != GR_SOCK_OPEN || !xp->read_timeout_ns) return;
    gr_ns now = gr_clock_ns();
    if (!peer_owes(xp)) c->active_at = now;
    if (now - c->active_at >= xp->read_timeout_ns)
        gr__exchange_closed(xp, GR_E_TIMEOUT, NULL);
    else
        gr__conn_watch(c, c->active_at);
}

void gr__conn_watch(gr_conn *c, gr_ns now) {
    c->active_at = now;
    gr_ns limit = c->xp->read_timeout_ns;
    if (!limit || limit > UINT64_MAX - now) return;
    if (gr_timer_active(&c->silence) && c->silence.due_at <= now + limit) return;
    int rc = gr_timer_start(c->sock.lp, &c->silence, now + limit);
    if (rc < 0) gr__exchange_fail_later(c->xp, rc);
}

/* ---- sending ---- */

static int pieces_of(const gr_exchange_priv *xp, struct iovec pieces[2]) {
    gr_str body = xp->body_kind == GR_BODY_STREAM ? gr_buf_str(&xp->out) : xp->body;
    gr_str wire = gr_str_from(gr_buf_str(&xp->wire), xp->sent);
    if (xp->sent > xp->wire.n) body = gr_str_from(body, xp->sent - xp->wire.n);
    if (xp->hold_body || xp->body_kind == GR_BODY_NONE) body.n = 0;
    int n = 0;
    if (wire.n) pieces[n++] = (struct iovec){(char *)(uintptr_t)wire.p, wire.n};
    if (body.n) pieces[n++] = (struct iovec){(char *)(uintptr_t)body.p, body.n};
    return n;
}

/* When the peer is gone already, its answer may still wait to be read (a server that refuses an
 * upload answers and closes): the reading side ends the exchange then. */
static void send_failed(gr_exchange_priv *xp, int rc, gr_ns at) {
    xp->send_rc = rc;
    if (!xp->x->sent_at) xp->x->sent_at = at; /* an answer's times count from the attempt */
    if (rc != -EPIPE && rc != -ECONNRESET) gr__exchange_fail_later(xp, rc);
}

void gr__conn_flush(gr_conn *c) {
    struct iovec pieces[2];
    gr_exchange_priv *xp = c->xp;
    if (xp->send_rc < 0 || c->sock.state != GR_SOCK_OPEN) return;
    int n = pieces_of(xp, pieces);
    /* Before the call: on loopback the answer may be older than the call's end. */
    gr_ns now = gr_clock_ns();
    ptrdiff_t sent = n ? gr_sock_send(&c->sock, pieces, n) : 0;
    if (sent < 0) {
        send_failed(xp, (int)sent, now);
        return;
    }
    c->active_at = now;
    gr__exchange_sent(xp, (size_t)sent, now);
}

void gr__conn_begin(gr_conn *c, gr_exchange_priv *xp) {
    c->xp = xp;
    gr__conn_flush(c);
    if (xp->drained) gr_sock_want_writable(&c->sock); /* which tells the owner, later */
    gr__conn_watch(c, xp->x->sent_at);
}

/* ---- the socket's callbacks ---- */

static void on_opened(gr_sock *sock, int rc, const char *why) {
    gr_conn *c = GR_CONTAINER(sock, gr_conn, sock);
    if (rc < 0)
        gr__exchange_closed(c->xp, rc, why);
    else
        gr__exchange_opened(c->xp);
}

static void on_data(gr_sock *sock, gr_str bytes, gr_ns arrived_at) {
    gr_conn *c = GR_CONTAINER(sock, gr_conn, sock);
    c->active_at = gr_loop_now(sock->lp);
    if (c->xp)
        gr__exchange_input(c->xp, bytes, arrived_at);
    else
        gr__conn_close(c); /* bytes that nobody asked for */
}

static void on_writable(gr_sock *sock) {
    gr_conn *c = GR_CONTAINER(sock, gr_conn, sock);
    if (!c->xp) return;
    gr__conn_flush(c);
    if (c->xp) gr__exchange_writable(c->xp);
}

static void on_ended(gr_sock *sock, int rc, const char *why) {
    gr_conn *c = GR_CONTAINER(sock, gr_conn, sock);
    if (c->xp)
        gr__exchange_closed(c->xp, rc, why);
    else
        gr__conn_close(c);
}

static void on_released(gr_sock *sock) {
    gr_free(GR_CONTAINER(sock, gr_conn, sock));
}

static const gr_sock_ops sock_ops = {.opened = on_opened,
                                     .data = on_data,
                                     .writable = on_writable,
                                     .ended = on_ended,
                                     .released = on_released};

/* ---- life ---- */

gr_conn *gr__conn_open(gr_loop *lp, const gr_url *u, gr_tls_conf *tls, gr_exchange_priv *xp) {
    gr_conn *c = gr_calloc(1, sizeof *c + u->host.n);
    if (!c) return NULL;
    gr_sock_init(&c->sock, lp, &sock_ops);
    gr_list_init(&c->link);
    c->silence.cb = on_silence;
    c->xp = xp;
    c->port = u->port;
    c->host_n = (uint8_t)u->host.n;
    memcpy(c->host, u->host.p, u->host.n);
    c->tls = tls ? gr_tls_conf_ref(tls) : NULL;
    gr_sock_open(&c->sock, u->host, u->port, tls);
    return c;
}

void gr__conn_close(gr_conn *c) {
    c->xp = NULL;
    gr_list_remove(&c->link);
    gr_timer_stop(c->sock.lp, &c->silence);
    gr_sock_close(&c->sock);
    gr_tls_conf_unref(c->tls);
    c->tls = NULL;
}

bool gr__conn_matches(const gr_conn *c, const gr_url *u, const gr_tls_conf *tls) {
    return c->port == u->port && c->tls == tls && gr_str_eq((gr_str){c->host, c->host_n}, u->host);
}

bool gr__conn_good(const gr_conn *c, gr_ns now) {
    return now - c->active_at <= TRUSTED_TIME ? c->sock.state == GR_SOCK_OPEN
                                              : gr_sock_idle_ok(&c->sock);
}
