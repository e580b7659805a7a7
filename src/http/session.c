/* See session.h: the pool of connections, and the queue of exchanges that wait for one.
 *
 * A session talks to few origins with few connections, so the lists are searched. It always holds
 * that a connection is in `idle` without an exchange, in `busy` with one, or closed and in neither;
 * and that an exchange is queued only while conns_per_host_max connections to its host exist. */
#include "http/session.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/err.h"
#include "http/exchange_int.h"

/* A user's redirects and parallel downloads can leave connections to many hosts behind; those used
 * longest ago go first. */
#define IDLE_MAX (GR_HOSTILE ? 1u : 64u)

int gr_session_new(gr_session **out, gr_loop *lp, const gr_http_conf *conf) {
    gr_session *s = gr_calloc(1, sizeof *s);
    if (!s) return GR_E_NOMEM;
    s->lp = lp;
    s->conf = conf;
    gr_list_init(&s->idle);
    gr_list_init(&s->busy);
    gr_list_init(&s->queue);
    *out = s;
    return 0;
}

void gr_session_close_idle(gr_session *s) {
    gr_list *first;
    while ((first = gr_list_first(&s->idle)))
        gr__conn_close(GR_CONTAINER(first, gr_conn, link));
}

void gr_session_free(gr_session *s) {
    if (!s) return;
    GR_CHECK(gr_list_empty(&s->busy) && gr_list_empty(&s->queue));
    gr_session_close_idle(s);
    gr_jar_free(s->jar);
    gr_free(s);
}

gr_jar *gr_session_jar(gr_session *s) {
    if (!s->jar) s->jar = gr_jar_new();
    return s->jar;
}

const gr_http_conf *gr_session_conf(const gr_session *s) {
    return s->conf;
}

/* ---- the pool ---- */

static gr_conn *next_match(gr_list *head, gr_list **at, const gr_exchange_priv *xp) {
    for (*at = (*at)->next; *at != head; *at = (*at)->next) {
        gr_conn *c = GR_CONTAINER(*at, gr_conn, link);
        if (gr__conn_matches(c, &xp->u, xp->tls)) return c;
    }
    return NULL;
}

static size_t count_matches(gr_list *head, const gr_exchange_priv *xp) {
    size_t n = 0;
    for (gr_list *at = head; next_match(head, &at, xp);)
        n++;
    return n;
}

static gr_conn *take_idle(gr_session *s, const gr_exchange_priv *xp) {
    gr_conn *c;
    for (gr_list *at = &s->idle; (c = next_match(&s->idle, &at, xp)); at = &s->idle) {
        if (gr__conn_good(c, xp->x->started_at)) return c;
        gr__conn_close(c);
    }
    return NULL;
}

/* A kept connection turned out dead: its siblings are likely to be so too. */
static void close_siblings(gr_session *s, const gr_exchange_priv *xp) {
    gr_conn *c;
    for (gr_list *at = &s->idle; (c = next_match(&s->idle, &at, xp)); at = &s->idle)
        gr__conn_close(c);
}

static bool host_is_full(gr_session *s, const gr_exchange_priv *xp) {
    uint16_t max = s->conf->conns_per_host_max;
    return max && count_matches(&s->busy, xp) + count_matches(&s->idle, xp) >= max;
}

static void reuse(gr_session *s, gr_conn *c, gr_exchange_priv *xp) {
    gr_list_remove(&c->link);
    gr_list_add_head(&s->busy, &c->link);
    xp->conn = c;
    xp->x->reused = true;
    gr__exchange_ready(xp);
}

static int open_or_queue(gr_session *s, gr_exchange_priv *xp) {
    gr_ns now = gr_clock_ns(), limit = xp->connect_timeout_ns;
    if (limit && limit <= UINT64_MAX - now && !gr_timer_active(&xp->timer)) {
        int rc = gr_timer_start(s->lp, &xp->timer, now + limit);
        if (rc < 0) return rc;
    }
    if (host_is_full(s, xp)) {
        gr_list_add_tail(&s->queue, &xp->link);
        return 0;
    }
    if (!(xp->conn = gr__conn_open(s->lp, &xp->u, xp->tls, xp))) return GR_E_NOMEM;
    gr_list_add_head(&s->busy, &xp->conn->link);
    return 0;
}

int gr__session_attempt(gr_session *s, gr_exchange_priv *xp, bool fresh) {
    if (fresh) close_siblings(s, xp);
    gr_conn *c = take_idle(s, xp);
    if (!c) return open_or_queue(s, xp);
    reuse(s, c, xp);
    return 0;
}

/* Only those of one host may be able to go on, so all are looked at, in order. */
static void serve_queue(gr_session *s) {
    for (gr_list *at = s->queue.next, *next; at != &s->queue; at = next) {
        gr_exchange_priv *xp = GR_CONTAINER(at, gr_exchange_priv, link);
        next = at->next;
        if (gr_list_empty(&s->idle) && host_is_full(s, xp)) continue;
        gr_list *place = at->prev;
        gr_list_remove(at);
        int rc = gr__session_attempt(s, xp, false);
        if (rc < 0) gr__exchange_fail_later(xp, rc);
        if (gr_list_linked(at)) { /* still no room: it keeps its place */
            gr_list_remove(at);
            gr_list_add_head(place, at);
        }
    }
}

static void keep(gr_session *s, gr_conn *c) {
    size_t n = 0;
    gr_list_remove(&c->link);
    gr_list_add_head(&s->idle, &c->link);
    gr_sock_pause(&c->sock, false); /* a slow reader may have left it so */
    for (gr_list *at = s->idle.next; at != &s->idle; at = at->next)
        n++;
    if (n > IDLE_MAX) gr__conn_close(GR_CONTAINER(s->idle.prev, gr_conn, link));
}

void gr__session_give_back(gr_session *s, gr_exchange_priv *xp, bool reusable) {
    gr_conn *c = xp->conn;
    xp->conn = NULL;
    gr_list_remove(&xp->link);
    if (c) c->xp = NULL;
    if (c && reusable)
        keep(s, c);
    else if (c)
        gr__conn_close(c);
    if (!gr_list_empty(&s->queue)) serve_queue(s);
}
