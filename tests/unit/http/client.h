/* A session with one exchange against a scripted peer, for the tests of this layer's I/O half. */
#ifndef GR_TEST_HTTP_CLIENT_H
#define GR_TEST_HTTP_CLIENT_H

#include "base/clock.h"
#include "base/err.h"
#include "http/session.h"
#include "net/peer.h"

typedef struct client {
    gr_loop *lp;
    gr_http_conf conf;
    gr_session *s;
    gr_exchange x;
    gr_request r;
    gr_head head;
    char url[512];
    int done_n;
} client;

static inline void client_done(gr_exchange *x) {
    client *c = x->ctx;
    CHECK_EQ(x->state == GR_X_IDLE || c->r.stream_response, true);
    c->done_n++;
    gr_loop_stop(c->lp);
}

static inline void client_begin(client *c) {
    memset(c, 0, sizeof *c);
    CHECK_EQ(gr_loop_new(&c->lp), 0);
    c->conf = (gr_http_conf){.connect_timeout_ns = GR_S(10),
                             .read_timeout_ns = GR_S(10),
                             .redirects_max = 5,
                             .resends_max = 1,
                             .post_becomes_get_on_301 = true};
    CHECK_EQ(gr_session_new(&c->s, c->lp, &c->conf), 0);
    gr_exchange_init(&c->x);
    c->x.done = client_done;
    c->x.ctx = c;
    c->r = (gr_request){.method = GR_STR("GET"),
                        .url = {c->url, 0},
                        .head = &c->head,
                        .follow_redirects = true,
                        .connect_timeout_ns = UINT64_MAX,
                        .read_timeout_ns = UINT64_MAX};
}

static inline void client_end(client *c) {
    gr_exchange_deinit(&c->x);
    gr_session_free(c->s);
    gr_tls_conf_unref(c->conf.tls);
    gr_head_deinit(&c->head);
    gr_loop_free(c->lp);
}

static inline void client_url(client *c, const char *scheme, const char *host, const peer *p,
                              const char *path) {
    int n = snprintf(c->url, sizeof c->url, "%s://%s:%u%s", scheme, host, p->port, path);
    c->r.url = (gr_str){c->url, (size_t)n};
}

static inline void client_start(client *c) {
    int before = c->done_n;
    CHECK_EQ(gr_session_start(c->s, &c->r, &c->x), 0);
    CHECK_EQ(c->done_n, before); /* never inside the call */
}

static inline void client_run(client *c) {
    int before = c->done_n;
    client_start(c);
    gr_loop_run(c->lp);
    CHECK_EQ(c->done_n, before + 1);
    if (c->x.sent_at && c->x.first_byte_at) {
        CHECK(c->x.due_at <= c->x.started_at || c->r.due_at);
        CHECK(c->x.started_at <= c->x.sent_at);
        CHECK(c->x.sent_at <= c->x.first_byte_at);
        CHECK(c->x.first_byte_at <= c->x.last_byte_at);
        CHECK(c->x.last_byte_at <= gr_clock_ns());
    }
}

static inline void client_get(client *c, const peer *p, const char *path) {
    client_url(c, "http", "127.0.0.1", p, path);
    client_run(c);
}

/* Let the loop do what is ready, for about that long. */
static inline void client_idle(client *c, int ms) {
    for (int i = 0; i < ms; i++) {
        gr_loop_poll(c->lp);
        peer_pause(1);
    }
}

#endif
