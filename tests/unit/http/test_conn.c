/* What a connection does by itself: watching for silence without a timer per read, sending in
 * pieces, and telling its host apart. */
#include "test.h"
#include "http/conn.c"

#include "http/client.h"

#define OK "HTTP/1.1 200 OK\r\n"

static void serve(peer_conn *c) {
    while (peer_read_head(c))
        if (!peer_say(c, OK "Content-Length: 2\r\n\r\nhi")) return;
}

static gr_conn *idle_conn(client *c) {
    GR_CHECK(!gr_list_empty(&c->s->idle));
    return GR_CONTAINER(c->s->idle.next, gr_conn, link);
}

TEST(silence_timer_is_armed_once_for_many_requests) {
    peer p;
    client c;
    peer_start(&p, serve);
    client_begin(&c);
    client_get(&c, &p, "/");
    gr_conn *conn = idle_conn(&c);
    CHECK(gr_timer_active(&conn->silence));
    gr_ns due_at = conn->silence.due_at;
    for (int i = 0; i < 50; i++)
        client_get(&c, &p, "/");
    CHECK(idle_conn(&c) == conn);
    CHECK(conn->silence.due_at == due_at);
    c.r.read_timeout_ns = GR_S(1); /* shorter: must be moved forward */
    client_get(&c, &p, "/");
    CHECK(conn->silence.due_at < due_at);
    c.r.read_timeout_ns = 0;
    client_get(&c, &p, "/");
    client_end(&c);
    peer_stop(&p);
}

TEST(due_timer_of_an_idle_connection_does_nothing) {
    peer p;
    client c;
    peer_start(&p, serve);
    client_begin(&c);
    c.r.read_timeout_ns = GR_MS(20);
    client_get(&c, &p, "/");
    client_idle(&c, 60);
    CHECK(!gr_timer_active(&idle_conn(&c)->silence));
    client_get(&c, &p, "/");
    CHECK(c.x.reused);
    client_end(&c);
    peer_stop(&p);
}

static void answer_slowly(peer_conn *c) {
    if (!peer_read_head(c)) return;
    peer_say(c, OK "Content-Length: 12\r\n\r\n");
    for (int i = 0; i < 12; i++) {
        peer_pause(30);
        peer_say(c, "x");
    }
    peer_wait_for_close(c);
}

TEST(timer_that_comes_due_during_traffic_starts_itself_again) {
    peer p;
    client c;
    peer_start(&p, answer_slowly);
    client_begin(&c);
    c.r.read_timeout_ns = GR_MS(250); /* the whole takes longer */
    client_get(&c, &p, "/");
    CHECK_EQ(c.x.error, 0);
    CHECK_STR(gr_buf_str(&c.x.response.body), "xxxxxxxxxxxx");
    client_end(&c);
    peer_stop(&p);
}

static void mute(peer_conn *c) {
    peer_wait_for_close(c);
}

TEST(peer_that_takes_nothing_times_out) {
    peer p;
    client c;
    static char body[32 << 20];
    peer_start(&p, mute);
    client_begin(&c);
    c.r.method = GR_STR("POST");
    c.r.body_kind = GR_BODY_STREAM;
    c.r.body_length = -1;
    c.r.read_timeout_ns = GR_MS(80);
    client_url(&c, "http", "127.0.0.1", &p, "/");
    client_start(&c);
    client_idle(&c, 200); /* the owner writes nothing: not the peer's silence */
    CHECK_EQ(c.done_n, 0);
    CHECK_EQ(gr_exchange_write_end(&c.x), 0);
    gr_loop_run(c.lp);
    CHECK_EQ(c.x.error, GR_E_TIMEOUT);
    c.r.body_kind = GR_BODY_BYTES;
    c.r.body = (gr_str){body, sizeof body};
    client_run(&c);
    CHECK_EQ(c.x.error, GR_E_TIMEOUT);
    client_end(&c);
    peer_stop(&p);
}

TEST(origin_is_host_port_and_tls) {
    gr_url u, other;
    gr_loop *lp;
    struct gr_exchange_priv *xp = gr_calloc(1, sizeof *xp);
    CHECK_EQ(gr_loop_new(&lp), 0);
    CHECK_EQ(gr_url_parse(GR_STR("http://127.0.0.1:9/"), &u), 0);
    gr_conn *c = gr__conn_open(lp, &u, NULL, xp);
    CHECK(gr__conn_matches(c, &u, NULL));
    CHECK(!gr__conn_matches(c, &u, (gr_tls_conf *)(void *)lp));
    gr_url_parse(GR_STR("http://127.0.0.1:10/"), &other);
    CHECK(!gr__conn_matches(c, &other, NULL));
    gr_url_parse(GR_STR("http://127.0.0.2:9/"), &other);
    CHECK(!gr__conn_matches(c, &other, NULL));
    CHECK(!gr__conn_good(c, gr_clock_ns()));
    gr__conn_close(c);
    int failures = 0;
    for (uint64_t n = 0; n < 2; n++) {
        FAIL_ALLOC_AT(n) c = gr__conn_open(lp, &u, NULL, xp);
        failures += c == NULL;
        if (c) gr__conn_close(c);
    }
    CHECK_EQ(failures, 1); /* the second is told by the socket, later */
    gr_loop_free(lp);
    gr_free(xp);
}
