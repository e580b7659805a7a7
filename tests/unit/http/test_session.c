/* The pool and the queue: who gets which connection, limits, what sessions share and what not. */
#include "test.h"
#include "http/session.c"

#include "http/client.h"

#define OK   "HTTP/1.1 200 OK\r\n"
#define MANY 10

static size_t list_n(gr_list *head) {
    size_t n = 0;
    for (gr_list *at = head->next; at != head; at = at->next)
        n++;
    return n;
}

static void serve_nth(peer_conn *c) {
    while (peer_read_head(c)) {
        char out[200];
        snprintf(out, sizeof out, OK "Content-Length: 2\r\n\r\n%02d", c->nth);
        peer_pause(1);
        if (!peer_say(c, out)) return;
    }
}

static int left;
static unsigned order[MANY * 2], order_n;
static gr_exchange xs[MANY];

static void one_done(gr_exchange *x) {
    client *c = x->ctx;
    CHECK_EQ(x->error, 0);
    order[order_n++] = (unsigned)(x - xs);
    if (--left == 0) gr_loop_stop(c->lp);
}

static void start_many(client *c) {
    left = MANY;
    for (int i = 0; i < MANY; i++) {
        xs[i].done = one_done;
        xs[i].ctx = c;
        CHECK_EQ(gr_session_start(c->s, &c->r, &xs[i]), 0);
    }
}

static void deinit_many(void) {
    for (int i = 0; i < MANY; i++)
        gr_exchange_deinit(&xs[i]);
}

TEST(parallel_exchanges_have_a_connection_each) {
    peer p;
    client c;
    peer_start(&p, serve_nth);
    client_begin(&c);
    client_url(&c, "http", "127.0.0.1", &p, "/");
    for (int round = 0; round < 2; round++) {
        start_many(&c);
        CHECK_EQ(list_n(&c.s->busy), MANY);
        gr_loop_run(c.lp);
        CHECK_EQ(list_n(&c.s->idle), GR_HOSTILE ? 1 : MANY);
    }
    if (!GR_HOSTILE) CHECK_EQ(atomic_load(&p.conns_n), MANY);
    gr_session_close_idle(c.s);
    CHECK_EQ(list_n(&c.s->idle), 0);
    deinit_many();
    client_end(&c);
    peer_stop(&p);
}

TEST(limit_queues_in_order) {
    peer p;
    client c;
    peer_start(&p, serve_nth);
    client_begin(&c);
    c.conf.conns_per_host_max = 1;
    client_url(&c, "http", "127.0.0.1", &p, "/");
    start_many(&c);
    CHECK_EQ(list_n(&c.s->queue), MANY - 1);
    gr_loop_run(c.lp);
    CHECK_EQ(atomic_load(&p.conns_n), 1);
    for (unsigned i = 0; i < MANY; i++)
        CHECK_EQ(order[i], i);
    deinit_many();
    client_end(&c);
    peer_stop(&p);
}

TEST(queue_goes_on_after_cancel_and_does_not_block_other_hosts) {
    peer p, q;
    client c;
    gr_exchange other;
    peer_start(&p, serve_nth);
    peer_start(&q, serve_nth);
    client_begin(&c);
    c.conf.conns_per_host_max = 2;
    client_url(&c, "http", "127.0.0.1", &p, "/");
    start_many(&c);
    client_url(&c, "http", "127.0.0.1", &q, "/");
    gr_exchange_init(&other);
    other.done = client_done;
    other.ctx = &c;
    CHECK_EQ(gr_session_start(c.s, &c.r, &other), 0);
    CHECK_EQ(list_n(&c.s->queue), MANY - 2);
    CHECK_EQ(list_n(&c.s->busy), 3);
    gr_exchange_cancel(&xs[0]); /* in progress */
    gr_exchange_cancel(&xs[5]); /* queued */
    left -= 2;
    CHECK_EQ(list_n(&c.s->queue), MANY - 4);
    while (left > 0 || c.done_n == 0)
        gr_loop_run(c.lp);
    CHECK_EQ(order_n, MANY - 2);
    CHECK(atomic_load(&p.conns_n) <= 3);
    gr_exchange_deinit(&other);
    deinit_many();
    client_end(&c);
    peer_stop(&p);
    peer_stop(&q);
}

static void hold(peer_conn *c) {
    peer_wait_for_close(c);
}

TEST(queued_exchange_times_out) {
    peer p;
    client c;
    gr_exchange first;
    peer_start(&p, hold);
    client_begin(&c);
    c.conf.conns_per_host_max = 1;
    client_url(&c, "http", "127.0.0.1", &p, "/");
    gr_exchange_init(&first);
    first.done = client_done;
    first.ctx = &c;
    CHECK_EQ(gr_session_start(c.s, &c.r, &first), 0);
    c.r.connect_timeout_ns = GR_MS(40);
    client_run(&c);
    CHECK_EQ(c.x.error, GR_E_CONNECT_TIMEOUT);
    CHECK_EQ(c.done_n, 1);
    gr_exchange_cancel(&first);
    gr_exchange_deinit(&first);
    client_end(&c);
    peer_stop(&p);
}

TEST(a_limit_beyond_the_end_of_time_is_none) {
    peer p;
    client c;
    gr_exchange first;
    peer_start(&p, hold);
    client_begin(&c);
    c.conf.conns_per_host_max = 1;
    client_url(&c, "http", "127.0.0.1", &p, "/");
    gr_exchange_init(&first);
    first.done = client_done;
    first.ctx = &c;
    CHECK_EQ(gr_session_start(c.s, &c.r, &first), 0);
    c.r.connect_timeout_ns = c.r.read_timeout_ns = UINT64_MAX - 1;
    client_start(&c);
    client_idle(&c, 10);
    CHECK_EQ(c.done_n, 0);
    gr_exchange_cancel(&c.x);
    gr_exchange_cancel(&first);
    gr_exchange_deinit(&first);
    client_end(&c);
    peer_stop(&p);
}

static void serve_posts(peer_conn *c) {
    static char body[1 << 20];
    while (peer_read_head(c)) {
        char *length = strstr(c->head, "Content-Length: ");
        if (length && !peer_read_n(c, body, strtoul(length + 16, NULL, 10))) return;
        peer_pause(20);
        if (!peer_say(c, OK "Content-Length: 2\r\n\r\nhi")) return;
    }
}

static int drained_n;

static void drained(gr_exchange *x) {
    drained_n++;
    CHECK_EQ(gr_exchange_write_end(x), 0);
}

/* The kernel takes all of it at once when its turn comes: the owner must hear of that, too. */
TEST(queued_stream_goes_on_on_a_kept_connection) {
    peer p;
    client c;
    gr_exchange first;
    static char piece[65536];
    peer_start(&p, serve_posts);
    client_begin(&c);
    c.conf.conns_per_host_max = 1;
    client_url(&c, "http", "127.0.0.1", &p, "/");
    gr_exchange_init(&first);
    first.done = client_done;
    first.ctx = &c;
    CHECK_EQ(gr_session_start(c.s, &c.r, &first), 0);
    c.r.method = GR_STR("POST");
    c.r.body_kind = GR_BODY_STREAM;
    c.r.body_length = sizeof piece;
    client_start(&c);
    CHECK_EQ(gr_exchange_write(&c.x, (gr_str){piece, sizeof piece}, drained), 1);
    while (c.done_n < 2)
        gr_loop_run(c.lp);
    CHECK_EQ(drained_n, 1);
    CHECK_EQ(c.x.error, 0);
    CHECK(c.x.reused);
    gr_exchange_deinit(&first);
    client_end(&c);
    peer_stop(&p);
}

static void set_cookie(peer_conn *c) {
    while (peer_read_head(c)) {
        char out[9000];
        snprintf(out, sizeof out,
                 OK "Set-Cookie: a=%d; Path=/\r\nContent-Length: %zu\r\n\r\n%.8000s",
                 atomic_load(&c->p->requests), strlen(c->head), c->head);
        if (!peer_say(c, out)) return;
    }
}

TEST(cookies_belong_to_the_session) {
    peer p;
    client c, d;
    peer_start(&p, set_cookie);
    client_begin(&c);
    client_begin(&d);
    CHECK(c.s->jar == NULL);
    client_get(&c, &p, "/");
    CHECK(!memmem(c.x.response.body.p, c.x.response.body.n, "Cookie", 6));
    client_get(&c, &p, "/deep/er");
    CHECK(memmem(c.x.response.body.p, c.x.response.body.n, "Cookie: a=1\r\n", 13));
    client_get(&d, &p, "/");
    CHECK(!memmem(d.x.response.body.p, d.x.response.body.n, "Cookie", 6));
    CHECK_EQ(gr_head_add(&c.head, GR_STR("Cookie"), GR_STR("own=1")), 0);
    client_get(&c, &p, "/");
    CHECK(memmem(c.x.response.body.p, c.x.response.body.n, "Cookie: own=1\r\n", 15));
    CHECK(!memmem(c.x.response.body.p, c.x.response.body.n, "a=2", 3));
    client_end(&c);
    client_end(&d);
    peer_stop(&p);
}

TEST(many_hosts_leave_a_bounded_pool) {
    peer p;
    client c;
    peer_start(&p, serve_nth);
    client_begin(&c);
    for (unsigned i = 0; i < 3 && !GR_HOSTILE; i++) /* two names for one address, two pools */
        for (int j = 0; j < 2; j++) {
            client_url(&c, "http", j ? "localhost" : "127.0.0.1", &p, "/");
            client_run(&c);
            CHECK_EQ(c.x.error, 0);
        }
    CHECK(list_n(&c.s->idle) <= IDLE_MAX);
    if (!GR_HOSTILE) CHECK_EQ(atomic_load(&p.conns_n), 2);
    client_end(&c);
    peer_stop(&p);
}

static void say_unasked(peer_conn *c) {
    if (!peer_read_head(c)) return;
    peer_say(c, OK "Content-Length: 2\r\n\r\nhi");
    peer_pause(20);
    peer_say(c, OK "Content-Length: 4\r\n\r\nevil");
    peer_wait_for_close(c);
}

TEST(uncalled_answer_is_not_taken_for_the_next_one) {
    peer p;
    client c;
    peer_start(&p, say_unasked);
    client_begin(&c);
    for (int i = 0; i < 4; i++) {
        client_get(&c, &p, "/");
        CHECK_STR(gr_buf_str(&c.x.response.body), "hi");
        if (i % 2)
            client_idle(&c, 40);
        else
            peer_pause(40);
    }
    client_end(&c);
    peer_stop(&p);
}

/* The promise that ten thousands of users rest on. */
TEST(idle_session_is_small) {
    CHECK(sizeof(gr_session) + sizeof(gr_conn) + 64 <= 1536);
}

TEST(failed_allocation_is_reported) {
    gr_session *s = NULL;
    gr_http_conf conf = {0};
    int rc = 0;
    FAIL_ALLOC_AT(0) rc = gr_session_new(&s, NULL, &conf);
    CHECK_EQ(rc, GR_E_NOMEM);
    gr_session_free(NULL);
}
