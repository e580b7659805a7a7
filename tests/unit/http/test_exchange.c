/* Exchanges against peers that behave, and against peers that do not: whatever a peer does, an
 * exchange ends exactly once, with a code that says what happened and with what had arrived. */
#include "test.h"
#include "http/exchange.c"

#include "http/client.h"

#include <stdlib.h>

/* ---- one request, one reply, one way of leaving ---- */

typedef enum { CLOSE, RESET, STAY } leave;

typedef struct reply_case {
    const char *reply;
    leave how;
    int error;
    uint16_t status;
    const char *body;
    bool slow; /* byte by byte */
} reply_case;

#define OK "HTTP/1.1 200 OK\r\n"

static const reply_case replies[] = {
    {OK "Content-Length: 2\r\n\r\nhi", STAY, 0, 200, "hi", false},
    {OK "Content-Length: 2\r\n\r\nhi", STAY, 0, 200, "hi", true},
    {OK "Content-Length: 0\r\n\r\n", STAY, 0, 200, "", false},
    {OK "\r\nuntil the end", CLOSE, 0, 200, "until the end", false},
    {"HTTP/1.0 200 OK\r\n\r\nold", CLOSE, 0, 200, "old", true},
    {OK "Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", STAY, 0, 200, "hi", true},
    {OK "Content-Length: 2\r\n\r\nhi and more", STAY, 0, 200, "hi", false},
    {"HTTP/1.1 100 Continue\r\n\r\n" OK "Content-Length: 2\r\n\r\nhi", STAY, 0, 200, "hi", true},
    {"HTTP/1.1 204 No Content\r\n\r\n", STAY, 0, 204, "", false},
    {"HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n", STAY, 0, 304, "", false},
    {"HTTP/1.1 500 Oh\r\nContent-Length: 2\r\n\r\nno", CLOSE, 0, 500, "no", false},
    {"HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n", STAY, 0, 302, "", false},
    {"HTTP/1.1 302 Found\r\nLocation:\r\nContent-Length: 0\r\n\r\n", STAY, 0, 302, "", false},
    {"", CLOSE, GR_E_CLOSED_EARLY, 0, "", false},
    {"", RESET, -ECONNRESET, 0, "", false},
    {"HTTP/1.1 2", CLOSE, GR_E_TRUNCATED, 0, "", false},
    {OK "Content-Length: 5\r\n\r\nhi", CLOSE, GR_E_TRUNCATED, 200, "hi", false},
    {OK "Content-Length: 5\r\n\r\nhi", RESET, -ECONNRESET, 200, "hi", false},
    {OK "Transfer-Encoding: chunked\r\n\r\n5\r\nhi", CLOSE, GR_E_TRUNCATED, 200, "hi", false},
    {OK "Transfer-Encoding: chunked\r\n\r\nzz\r\n", STAY, GR_E_CHUNK, 200, "", false},
    {OK "Content-Length: 1\r\nContent-Length: 2\r\n\r\nhi", STAY, GR_E_CONTENT_LENGTH, 0, "",
     false},
    {OK "Content-Length: 999999999999\r\n\r\nhi", STAY, GR_E_BODY_TOO_LARGE, 200, "", false},
    {OK "Content-Encoding: gzip\r\nContent-Length: 7\r\n\r\ngarbage", STAY, GR_E_DECODE, 200, "",
     false},
    {"SSH-2.0-OpenSSH\r\n", STAY, GR_E_STATUS_LINE, 0, "", false},
    {"HTTP/1.1 301 M\r\nLocation: ftp://x/\r\nContent-Length: 2\r\n\r\nhi", STAY, GR_E_URL_SCHEME,
     301, "hi", false},
    {"HTTP/1.1 301 M\r\nLocation: https://127.0.0.1/\r\nContent-Length: 2\r\n\r\nhi", STAY,
     GR_E_TLS, 0, "", false},
};

static void say_reply(peer_conn *c) {
    const reply_case *r = c->p->ctx;
    if (!peer_read_head(c)) return;
    if (r->slow)
        for (const char *p = r->reply; *p; p++)
            peer_write(c, p, 1);
    else
        peer_say(c, r->reply);
    if (r->how == STAY) {
        peer_wait_for_close(c);
        return;
    }
    peer_pause(5); /* bytes and end in one piece would be a race for the end of a reset */
    if (r->how == RESET) peer_reset(c);
}

TEST(every_reply_ends_in_its_code) {
    for (size_t i = 0; i < GR_LEN(replies); i++) {
        const reply_case *r = &replies[i];
        peer p;
        client c;
        peer_start(&p, say_reply);
        p.ctx = (void *)(uintptr_t)r;
        client_begin(&c);
        c.conf.body_bytes_max = 1000;
        client_get(&c, &p, "/");
        cr_assert(c.x.error == r->error, "reply %zu: error %d, expected %d", i, c.x.error,
                  r->error);
        cr_assert(c.x.response.status == r->status, "reply %zu: status %u", i, c.x.response.status);
        CHECK_STR(gr_buf_str(&c.x.response.body), r->body);
        CHECK(c.x.bytes_out > 0);
        client_end(&c);
        peer_stop(&p);
    }
}

TEST(the_same_with_the_response_streamed) {
    for (size_t i = 0; i < GR_LEN(replies); i++) {
        const reply_case *r = &replies[i];
        peer p;
        client c;
        gr_buf got = GR_BUF_INIT;
        peer_start(&p, say_reply);
        p.ctx = (void *)(uintptr_t)r;
        client_begin(&c);
        int want = r->error == GR_E_BODY_TOO_LARGE ? GR_E_TIMEOUT : r->error; /* it has no limit */
        if (want == GR_E_TIMEOUT) c.r.read_timeout_ns = GR_MS(100);
        c.r.stream_response = true;
        client_get(&c, &p, "/");
        while (c.x.state == GR_X_STREAMING) {
            CHECK_EQ(gr_exchange_read(&c.x, client_done), 0);
            gr_loop_run(c.lp);
            CHECK_EQ(gr_buf_add(&got, gr_buf_str(&c.x.response.body)), 0);
            gr_buf_clear(&c.x.response.body);
        }
        CHECK_EQ(gr_buf_add(&got, gr_buf_str(&c.x.response.body)), 0);
        cr_assert(c.x.error == want, "reply %zu: error %d, expected %d", i, c.x.error, want);
        CHECK_STR(gr_buf_str(&got), want == GR_E_TIMEOUT ? "hi" : r->body);
        gr_buf_deinit(&got);
        client_end(&c);
        peer_stop(&p);
    }
}

/* ---- keep-alive ---- */

static void serve(peer_conn *c) { /* body: the connection's number and the request's target */
    while (peer_read_head(c)) {
        char body[600], head[200];
        char *target = strchr(c->head, ' ') + 1;
        int n = snprintf(body, sizeof body, "%d %.*s", c->nth, (int)strcspn(target, " "), target);
        snprintf(head, sizeof head, OK "Content-Length: %d\r\n\r\n", n);
        if (!peer_say(c, head) || !peer_say(c, body)) return;
    }
}

TEST(connection_is_kept_and_warm_requests_allocate_nothing) {
    peer p;
    client c;
    peer_start(&p, serve);
    client_begin(&c);
    for (int i = 0; i < 20; i++)
        client_get(&c, &p, "/abc?d=e#f");
    uint64_t before = gr__alloc_calls();
    for (int i = 0; i < 1000; i++)
        client_get(&c, &p, "/abc?d=e#f");
    CHECK_EQ(gr__alloc_calls(), before);
    CHECK_EQ(atomic_load(&p.conns_n), 1);
    CHECK(c.x.reused);
    CHECK_EQ(c.x.connected_at, 0);
    CHECK_STR(gr_buf_str(&c.x.response.body), "0 /abc?d=e");
    CHECK(c.x.service_ns == c.x.last_byte_at - c.x.sent_at);
    client_end(&c);
    peer_stop(&p);
}

static void serve_one(peer_conn *c) { /* promises keep-alive and closes */
    if (peer_read_head(c)) peer_say(c, OK "Content-Length: 2\r\n\r\nhi");
}

static void serve_one_then_read(peer_conn *c) { /* takes a second request and closes on it */
    serve_one(c);
    peer_read_head(c);
}

TEST(close_while_idle_is_noticed) {
    peer p;
    client c;
    peer_start(&p, serve_one);
    client_begin(&c);
    for (int i = 0; i < 5; i++) {
        client_get(&c, &p, "/");
        CHECK_EQ(c.x.error, 0);
        CHECK_EQ(c.x.resends, 0);
        if (i % 2)
            client_idle(&c, 20);
        else
            peer_pause(20); /* the loop does not get to see it: the check before reuse does */
    }
    CHECK_EQ(atomic_load(&p.conns_n), 5);
    client_end(&c);
    peer_stop(&p);
}

TEST(stale_connection_is_replaced_once) {
    for (uint16_t max = 0; max < 2; max++) {
        peer p;
        client c;
        peer_start(&p, serve_one_then_read);
        client_begin(&c);
        c.conf.resends_max = max;
        client_get(&c, &p, "/");
        CHECK_EQ(c.x.error, 0);
        client_get(&c, &p, "/");
        CHECK_EQ(c.x.resends, max);
        CHECK_EQ(c.x.error, max ? 0 : GR_E_CLOSED_EARLY);
        CHECK_EQ(atomic_load(&p.conns_n), 1 + max);
        client_end(&c);
        peer_stop(&p);
    }
}

TEST(connection_close_is_respected_from_both_sides) {
    peer p;
    client c;
    peer_start(&p, serve);
    client_begin(&c);
    CHECK_EQ(gr_head_add(&c.head, GR_STR("Connection"), GR_STR("close")), 0);
    client_get(&c, &p, "/");
    client_get(&c, &p, "/");
    CHECK(!c.x.reused);
    CHECK_EQ(atomic_load(&p.conns_n), 2);
    client_end(&c);
    peer_stop(&p);
}

static void time_out_idle(peer_conn *c) { /* as servers do: 408 and the end */
    if (!peer_read_head(c)) return;
    peer_say(c, OK "Content-Length: 2\r\n\r\nhi");
    if (peer_read_head(c)) return;
    peer_say(c, "HTTP/1.1 408 Timeout\r\nContent-Length: 0\r\n\r\n");
}

/* The connection cannot be sent on any more, and bytes that came before tell why: no answer to a
 * request of which nothing was sent. */
TEST(what_came_before_the_request_is_no_answer_to_it) {
    for (uint16_t max = 0; max < 2; max++) {
        peer p;
        client c;
        peer_start(&p, time_out_idle);
        client_begin(&c);
        c.conf.resends_max = max;
        client_get(&c, &p, "/");
        CHECK_EQ(c.x.error, 0);
        gr_conn *conn = GR_CONTAINER(c.s->idle.next, gr_conn, link);
        shutdown(conn->sock.fd, SHUT_WR);
        peer_pause(30);
        conn->active_at = gr_clock_ns(); /* trusted */
        client_get(&c, &p, "/");
        if (c.x.reused || c.x.resends) CHECK_EQ(c.x.resends, max);
        CHECK_EQ(c.x.error, c.x.reused ? -EPIPE : 0);
        CHECK_EQ(c.x.response.status, c.x.reused ? 0 : 200);
        CHECK(c.x.sent_at >= c.x.started_at);
        CHECK(c.x.service_ns < GR_S(20));
        client_end(&c);
        peer_stop(&p);
    }
}

/* The first answer and something behind it in one segment, but in two TLS records. */
static void answer_twice(peer_conn *c) {
    int on = 1, off = 0;
    while (peer_read_head(c)) {
        setsockopt(c->fd, IPPROTO_TCP, TCP_CORK, &on, sizeof on);
        peer_say(c, OK "Content-Length: 2\r\n\r\nhi");
        peer_say(c, OK "Content-Length: 4\r\n\r\nevil");
        setsockopt(c->fd, IPPROTO_TCP, TCP_CORK, &off, sizeof off);
    }
}

static void start_next(gr_exchange *x) {
    client *c = x->ctx;
    CHECK_EQ(x->error, 0);
    CHECK_STR(gr_buf_str(&x->response.body), "hi");
    if (++c->done_n < 5)
        CHECK_EQ(gr_session_start(c->s, &c->r, x), 0);
    else
        gr_loop_stop(c->lp);
}

TEST(second_answer_in_the_same_read_is_not_taken_for_the_next_one) {
    peer p;
    client c;
    peer_cert pc;
    gr_buf why = GR_BUF_INIT;
    gr_tls_opts o = {.verify = false};
    if (GR_HOSTILE) return; /* reads a few bytes at a time */
    peer_cert_make(&pc, "DNS:localhost", 0);
    peer_start_on(&p, AF_INET, answer_twice, peer_cert_ctx(&pc));
    client_begin(&c);
    CHECK_EQ(gr_tls_conf_new(&c.conf.tls, &o, &why), 0);
    c.x.done = start_next;
    client_url(&c, "https", "127.0.0.1", &p, "/");
    client_start(&c);
    gr_loop_run(c.lp);
    client_end(&c);
    peer_stop(&p);
    peer_cert_free(&pc);
}

/* ---- redirects ---- */

static void redirector(peer_conn *c) { /* /STATUS/rest -> that status to /rest; else echoes */
    while (peer_read_head(c)) {
        char out[9000];
        char *target = strchr(c->head, ' ') + 1;
        char *cl = strstr(c->head, "Content-Length: ");
        int status = atoi(target + 1);
        for (long n = cl ? strtol(cl + 16, NULL, 10) : 0; n > 0; n--)
            if (peer_read(c, out, 1) != 1) return;
        if (status == 399)
            snprintf(out, sizeof out,
                     "HTTP/1.1 302 Found\r\nLocation: http://localhost:%u/end\r\n"
                     "Content-Length: 0\r\n\r\n",
                     c->p->port);
        else if (status)
            snprintf(out, sizeof out,
                     "HTTP/1.1 %d R\r\nLocation: %.*s\r\nSet-Cookie: c%d=1; Path=/\r\n"
                     "Content-Length: 3\r\n\r\nhop",
                     status, (int)strcspn(target + 4, " "), target + 4, status);
        else
            snprintf(out, sizeof out, OK "Content-Length: %zu\r\n\r\n%.8000s", strlen(c->head),
                     strstr(c->head, "HEAD ") == c->head ? "" : c->head);
        if (!peer_say(c, out)) return;
    }
}

typedef struct redirect_case {
    const char *method, *status, *want_method;
    bool browser_like, want_body;
} redirect_case;

static const redirect_case redirects[] = {
    {"GET", "/302/end", "GET ", true, false},     {"POST", "/301/end", "GET ", true, false},
    {"POST", "/302/end", "GET ", true, false},    {"POST", "/303/end", "GET ", true, false},
    {"POST", "/307/end", "POST ", true, true},    {"POST", "/308/end", "POST ", true, true},
    {"PUT", "/301/end", "PUT ", true, false},     {"PUT", "/303/end", "GET ", true, false},
    {"POST", "/301/end", "POST ", false, true},   {"POST", "/302/end", "GET ", false, false},
    {"DELETE", "/302/end", "GET ", false, false},
};

TEST(redirects_change_method_and_body_as_browsers_do) {
    peer p;
    peer_start(&p, redirector);
    for (size_t i = 0; i < GR_LEN(redirects); i++) {
        const redirect_case *r = &redirects[i];
        client c;
        client_begin(&c);
        c.conf.post_becomes_get_on_301 = r->browser_like;
        c.r.method = gr_str_c(r->method);
        if (strcmp(r->method, "GET") != 0) {
            c.r.body_kind = GR_BODY_BYTES;
            c.r.body = GR_STR("body");
            CHECK_EQ(gr_head_add(&c.head, GR_STR("Content-Type"), GR_STR("text/x")), 0);
        }
        client_get(&c, &p, r->status);
        CHECK_EQ(c.x.error, 0);
        CHECK_EQ(gr_buf_add_byte(&c.x.response.body, '\0'), 0);
        const char *seen = c.x.response.body.p;
        cr_assert(strncmp(seen, r->want_method, strlen(r->want_method)) == 0, "case %zu: %s", i,
                  seen);
        CHECK_EQ(strstr(seen, "Content-Type: text/x") != NULL, r->want_body);
        CHECK_EQ(strstr(seen, "Content-Length: 4") != NULL, r->want_body);
        CHECK(strstr(seen, "Cookie: c30"));
        CHECK(c.x.hops && !c.x.hops->next);
        CHECK_STR(gr_buf_str(&c.x.hops->response.body), "hop");
        CHECK(c.x.reused);
        client_end(&c);
    }
    peer_stop(&p);
}

TEST(head_stays_head_and_hops_are_listed_in_order) {
    peer p;
    client c;
    peer_start(&p, redirector);
    client_begin(&c);
    c.r.method = GR_STR("POST");
    client_get(&c, &p, "/307/302/303/end#frag");
    CHECK_EQ(c.x.error, 0);
    uint16_t want[] = {307, 302, 303};
    unsigned n = 0;
    for (gr_hop *hop = c.x.hops; hop; hop = hop->next)
        CHECK_EQ(hop->response.status, want[n++]);
    CHECK_EQ(n, 3);
    CHECK(memmem(c.x.url.p, c.x.url.n, "/end#frag", 9));
    c.r.method = GR_STR("HEAD");
    client_get(&c, &p, "/204/end"); /* not a redirect */
    CHECK(!c.x.hops);
    client_end(&c);
    peer_stop(&p);
}

TEST(redirect_loop_ends_at_the_limit) {
    peer p;
    client c;
    peer_start(&p, redirector);
    client_begin(&c);
    c.conf.redirects_max = 2;
    client_get(&c, &p, "/302/302/end");
    CHECK_EQ(c.x.error, 0);
    client_get(&c, &p, "/302/302/302/end");
    CHECK_EQ(c.x.error, GR_E_TOO_MANY_REDIRECTS);
    CHECK_EQ(c.x.response.status, 302);
    CHECK(c.x.hops && c.x.hops->next && !c.x.hops->next->next);
    c.r.follow_redirects = false;
    client_get(&c, &p, "/302/end");
    CHECK_EQ(c.x.error, 0);
    CHECK_EQ(c.x.response.status, 302);
    client_end(&c);
    peer_stop(&p);
}

TEST(repeated_requests_are_rendered_anew_when_anything_differs) {
    peer p;
    client c;
    peer_start(&p, redirector);
    client_begin(&c);
    for (int i = 0; i < 3; i++) {
        client_get(&c, &p, "/307/end");
        CHECK_EQ(c.x.error, 0);
        CHECK(c.x.hops && !c.x.hops->next);
    }
    gr_jar_clear(gr_session_jar(c.s));
    for (int i = 0; i < 3; i++) {
        client_get(&c, &p, i == 1 ? "/b" : "/a");
        CHECK(c.x.priv->rendered);
        CHECK_EQ(gr_str_starts(gr_buf_str(&c.x.response.body), GR_STR("GET /b")), i == 1);
    }
    client_get(&c, &p, "/a");
    client_get(&c, &p, "/399"); /* redirects without a cookie */
    CHECK(c.x.hops);
    c.r.url = GR_STR(""); /* is not the last one again */
    CHECK_EQ(gr_session_start(c.s, &c.r, &c.x), GR_E_URL_SCHEME);
    client_get(&c, &p, "/a");
    gr_buf_deinit(&c.x.url); /* the owner has taken it away */
    client_get(&c, &p, "/a");
    CHECK(c.x.url.n > 0);
    c.r.method = GR_STR("PUT");
    c.r.body_kind = GR_BODY_BYTES;
    c.r.body = GR_STR("12");
    client_get(&c, &p, "/a");
    CHECK(gr_str_starts(gr_buf_str(&c.x.response.body), GR_STR("PUT /a")));
    c.r.body = GR_STR("123");
    client_get(&c, &p, "/a");
    CHECK(memmem(c.x.response.body.p, c.x.response.body.n, "Content-Length: 3", 17));
    CHECK_EQ(gr_head_add(&c.head, GR_STR("X-New"), GR_STR("1")), 0);
    client_get(&c, &p, "/a");
    CHECK(memmem(c.x.response.body.p, c.x.response.body.n, "X-New: 1", 8));
    client_end(&c);
    peer_stop(&p);
}

TEST(credentials_do_not_follow_to_another_host) {
    peer p;
    client c;
    peer_start(&p, redirector);
    client_begin(&c);
    CHECK_EQ(gr_head_add(&c.head, GR_STR("Authorization"), GR_STR("Basic x")), 0);
    CHECK_EQ(gr_head_add(&c.head, GR_STR("X-Other"), GR_STR("y")), 0);
    client_get(&c, &p, "/302/end");
    CHECK(memmem(c.x.response.body.p, c.x.response.body.n, "Authorization", 13));
    client_get(&c, &p, "/399");
    CHECK_EQ(c.x.error, 0);
    CHECK(!memmem(c.x.response.body.p, c.x.response.body.n, "Authorization", 13));
    CHECK(memmem(c.x.response.body.p, c.x.response.body.n, "X-Other: y", 10));
    gr_url a, b;
    gr_url_parse(GR_STR("http://h/"), &a);
    gr_url_parse(GR_STR("https://H/"), &b);
    CHECK(keeps_credentials(&a, &b));
    CHECK(!keeps_credentials(&b, &a));
    gr_url_parse(GR_STR("https://h:8443/"), &b);
    CHECK(!keeps_credentials(&a, &b));
    client_end(&c);
    peer_stop(&p);
}

/* ---- request bodies ---- */

static void count_body(peer_conn *c) { /* answers with the length of a chunked or counted body */
    static _Thread_local char buf[65536];
    while (peer_read_head(c)) {
        size_t total = 0, n = 0;
        char *cl = strstr(c->head, "Content-Length: "), out[100];
        if (cl) {
            for (size_t left = strtoul(cl + 16, NULL, 10); left; left -= n, total += n) {
                n = left < sizeof buf ? left : sizeof buf;
                if (!peer_read_n(c, buf, n)) return;
            }
        } else
            for (;;) {
                char size[32] = "", *p = size;
                do
                    if (peer_read(c, p, 1) != 1) return;
                while (*p++ != '\n' && p < size + 30);
                n = strtoul(size, NULL, 16);
                for (size_t left = n + 2, take; left; left -= take) {
                    take = left < sizeof buf ? left : sizeof buf;
                    if (!peer_read_n(c, buf, take)) return;
                }
                if (n == 0) break;
                total += n;
            }
        snprintf(out, sizeof out, "%zu", total);
        char head[100];
        snprintf(head, sizeof head, OK "Content-Length: %zu\r\n\r\n", strlen(out));
        if (!peer_say(c, head) || !peer_say(c, out)) return;
    }
}

enum { UPLOAD = GR_HOSTILE ? 200000 : 5000000, PIECE = 10000 };
static char upload[UPLOAD];
static size_t uploaded;

static void write_on(gr_exchange *x) {
    while (uploaded < UPLOAD) {
        gr_str piece = {upload + uploaded, PIECE};
        int rc = gr_exchange_write(x, piece, write_on);
        CHECK(rc >= 0);
        uploaded += PIECE;
        if (rc == 1) return;
    }
    CHECK_EQ(gr_exchange_write_end(x), 0);
}

TEST(bodies_arrive_whole) {
    peer p;
    client c;
    char want[32];
    snprintf(want, sizeof want, "%d", UPLOAD);
    peer_start(&p, count_body);
    client_begin(&c);
    c.r.method = GR_STR("POST");
    c.r.body_kind = GR_BODY_BYTES;
    c.r.body = (gr_str){upload, UPLOAD};
    client_get(&c, &p, "/");
    CHECK_STR(gr_buf_str(&c.x.response.body), want);
    for (int known = 0; known < 2; known++) {
        c.r.body_kind = GR_BODY_STREAM;
        c.r.body_length = known ? UPLOAD : -1;
        uploaded = 0;
        client_start(&c);
        write_on(&c.x);
        gr_loop_run(c.lp);
        CHECK_EQ(c.x.error, 0);
        CHECK_STR(gr_buf_str(&c.x.response.body), want);
        CHECK(c.x.reused);
        CHECK(c.x.bytes_out >= UPLOAD);
    }
    client_end(&c);
    peer_stop(&p);
}

TEST(streamed_body_must_meet_its_length) {
    peer p;
    client c;
    peer_start(&p, count_body);
    client_begin(&c);
    c.r.body_kind = GR_BODY_STREAM;
    c.r.body_length = 5;
    client_url(&c, "http", "127.0.0.1", &p, "/");
    client_start(&c);
    CHECK_EQ(gr_exchange_write(&c.x, GR_STR("123"), NULL), 0);
    CHECK_EQ(gr_exchange_write_end(&c.x), GR_E_INVALID);
    CHECK_EQ(gr_exchange_write(&c.x, GR_STR("456"), NULL), GR_E_INVALID);
    CHECK_EQ(gr_exchange_write(&c.x, GR_STR("45"), NULL), 0);
    CHECK_EQ(gr_exchange_write_end(&c.x), 0);
    gr_loop_run(c.lp);
    CHECK_STR(gr_buf_str(&c.x.response.body), "5");
    CHECK_EQ(gr_exchange_write(&c.x, GR_STR("late"), NULL), 0); /* ignored */
    client_end(&c);
    peer_stop(&p);
}

static void refuse_early(peer_conn *c) { /* answers before it has read the body, then goes */
    if (!peer_read_head(c)) return;
    peer_say(c, "HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno");
    peer_pause(50);
    peer_reset(c);
}

TEST(answer_before_the_body_is_sent_counts) {
    peer p;
    client c;
    peer_start(&p, refuse_early);
    client_begin(&c);
    c.r.method = GR_STR("POST");
    c.r.body_kind = GR_BODY_BYTES;
    size_t n = 32u << 20;
    char *body = calloc(1, n);
    c.r.body = (gr_str){body, n};
    client_get(&c, &p, "/");
    CHECK_EQ(c.x.error, 0);
    CHECK_EQ(c.x.response.status, 413);
    CHECK_STR(gr_buf_str(&c.x.response.body), "no");
    CHECK(c.x.bytes_out < n);
    client_idle(&c, 5);
    client_get(&c, &p, "/");
    CHECK(!c.x.reused); /* half a request was sent on it */
    free(body);
    client_end(&c);
    peer_stop(&p);
}

static void expect_continue(peer_conn *c) {
    char body[4];
    if (!peer_read_head(c)) return;
    if (c->nth == 0) {
        peer_say(c, "HTTP/1.1 100 Continue\r\n\r\n");
        if (!peer_read_n(c, body, 4)) return;
        peer_say(c, OK "Content-Length: 4\r\nConnection: close\r\n\r\n");
        peer_write(c, body, 4);
    } else if (c->nth == 1) {
        peer_say(c, "HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n");
        if (peer_read(c, body, 1) == 1) c->p->ctx = c; /* the body must not come */
    } else { /* says nothing: the body comes all the same */
        if (!peer_read_n(c, body, 4)) return;
        peer_say(c, OK "Content-Length: 4\r\nConnection: close\r\n\r\n");
        peer_write(c, body, 4);
    }
}

TEST(expect_100_continue) {
    peer p;
    client c;
    peer_start(&p, expect_continue);
    client_begin(&c);
    CHECK_EQ(gr_head_add(&c.head, GR_STR("Expect"), GR_STR("100-continue")), 0);
    c.r.method = GR_STR("PUT");
    c.r.body_kind = GR_BODY_BYTES;
    c.r.body = GR_STR("body");
    for (int i = 0; i < 3; i++) {
        client_get(&c, &p, "/");
        CHECK_EQ(c.x.error, 0);
        CHECK_EQ(c.x.response.status, i == 1 ? 417 : 200);
        if (i != 1) CHECK_STR(gr_buf_str(&c.x.response.body), "body");
    }
    client_end(&c);
    peer_stop(&p);
    CHECK(p.ctx == NULL);
}

/* ---- streamed responses ---- */

enum { DOWNLOAD = GR_HOSTILE ? 100000 : 8000000 };

static void send_a_lot(peer_conn *c) {
    static char junk[DOWNLOAD];
    char head[200];
    while (peer_read_head(c)) {
        snprintf(head, sizeof head, OK "Content-Length: %d\r\n\r\n", DOWNLOAD);
        for (size_t i = 0; i < DOWNLOAD; i++)
            junk[i] = (char)(i % 251);
        if (!peer_say(c, head) || !peer_write(c, junk, DOWNLOAD)) return;
    }
}

static size_t largest;

TEST(slow_owner_slows_the_peer_down) {
    peer p;
    client c;
    size_t total = 0;
    peer_start(&p, send_a_lot);
    client_begin(&c);
    c.conf.body_bytes_max = 10; /* does not apply to streams */
    c.r.stream_response = true;
    client_get(&c, &p, "/");
    CHECK_EQ(c.x.state, GR_X_STREAMING);
    CHECK_EQ(c.x.response.status, 200);
    client_idle(&c, 50); /* long enough for all of it, were it not for the limit */
    while (c.x.state == GR_X_STREAMING) {
        CHECK_EQ(gr_exchange_read(&c.x, client_done), 0);
        gr_loop_run(c.lp);
        gr_buf *b = &c.x.response.body;
        largest = GR_MAX(largest, b->n);
        for (size_t i = 0; i < b->n; i++)
            if (b->p[i] != (char)((total + i) % 251)) cr_assert_fail("byte %zu", total + i);
        total += b->n;
        gr_buf_clear(b);
    }
    CHECK_EQ(c.x.error, 0);
    CHECK_EQ(total, DOWNLOAD);
    CHECK(largest <= STREAM_BYTES_MAX);
    CHECK_EQ(gr_exchange_read(&c.x, client_done), 0); /* at the end: runs once more, empty */
    gr_loop_run(c.lp);
    CHECK_EQ(c.x.response.body.n, 0);
    client_get(&c, &p, "/");
    CHECK(c.x.reused);
    gr_exchange_cancel(&c.x);
    client_end(&c);
    peer_stop(&p);
}

/* 4 MB of zeroes in 4 KB of gzip: expands by far more than the limit between two reads. */
static void send_gzip(peer_conn *c) {
    static unsigned char packed[65536];
    FILE *f = popen("head -c 4000000 /dev/zero | gzip -9 -n", "r");
    size_t n = fread(packed, 1, sizeof packed, f);
    char head[200];
    pclose(f);
    snprintf(head, sizeof head, OK "Content-Encoding: gzip\r\nContent-Length: %zu\r\n\r\n", n);
    while (peer_read_head(c))
        if (!peer_say(c, head) || !peer_write(c, packed, n)) return;
}

TEST(streamed_gzip_is_bounded_between_reads) {
    peer p;
    client c;
    size_t total = 0;
    peer_start(&p, send_gzip);
    client_begin(&c);
    c.r.stream_response = true;
    client_get(&c, &p, "/");
    CHECK(c.x.response.decoded);
    while (c.x.state == GR_X_STREAMING) {
        CHECK_EQ(gr_exchange_read(&c.x, client_done), 0);
        gr_loop_run(c.lp);
        CHECK(c.x.response.body.n <= STREAM_BYTES_MAX);
        total += c.x.response.body.n;
        gr_buf_clear(&c.x.response.body);
    }
    CHECK_EQ(c.x.error, 0);
    CHECK_EQ(total, 4000000);
    c.r.stream_response = false;
    client_get(&c, &p, "/");
    CHECK_EQ(c.x.response.body.n, 4000000);
    c.conf.body_bytes_max = 100000;
    client_get(&c, &p, "/");
    CHECK_EQ(c.x.error, GR_E_BODY_TOO_LARGE);
    gr_exchange_raw_body(&c.x);
    client_get(&c, &p, "/");
    CHECK_EQ(c.x.error, 0);
    CHECK(!c.x.response.decoded);
    CHECK(c.x.response.body.n < 100000);
    client_end(&c);
    peer_stop(&p);
}

/* ---- ends from our side ---- */

static void never_answer(peer_conn *c) {
    peer_wait_for_close(c);
}

static void answer_half(peer_conn *c) {
    if (peer_read_head(c)) peer_say(c, OK "Content-Length: 100\r\n\r\nhalf");
    peer_wait_for_close(c);
}

TEST(silence_times_out_and_keeps_what_came) {
    peer p;
    client c;
    peer_start(&p, answer_half);
    client_begin(&c);
    c.r.read_timeout_ns = GR_MS(60);
    client_get(&c, &p, "/");
    CHECK_EQ(c.x.error, GR_E_TIMEOUT);
    CHECK_EQ(c.x.response.status, 200);
    CHECK_STR(gr_buf_str(&c.x.response.body), "half");
    client_end(&c);
    peer_stop(&p);
}

TEST(trickling_bytes_are_not_silence) {
    static const reply_case r = {OK "Content-Length: 2\r\n\r\nhi", STAY, 0, 200, "hi", true};
    peer p;
    client c;
    peer_start(&p, say_reply);
    p.ctx = (void *)(uintptr_t)&r;
    client_begin(&c);
    c.r.read_timeout_ns = GR_S(5);
    client_get(&c, &p, "/");
    CHECK_EQ(c.x.error, 0);
    client_end(&c);
    peer_stop(&p);
}

TEST(connect_timeout_covers_the_handshake) {
    peer p;
    client c;
    gr_buf why = GR_BUF_INIT;
    gr_tls_opts o = {.verify = false};
    peer_start(&p, never_answer); /* accepts, but speaks no TLS */
    client_begin(&c);
    CHECK_EQ(gr_tls_conf_new(&c.conf.tls, &o, &why), 0);
    c.r.connect_timeout_ns = GR_MS(50);
    client_url(&c, "https", "127.0.0.1", &p, "/");
    client_run(&c);
    CHECK_EQ(c.x.error, GR_E_CONNECT_TIMEOUT);
    client_end(&c);
    peer_stop(&p);
}

TEST(connecting_fails_with_the_systems_code) {
    client c;
    peer p = {.port = peer_free_port()};
    client_begin(&c);
    client_get(&c, &p, "/");
    CHECK_EQ(c.x.error, -ECONNREFUSED);
    CHECK_EQ(c.x.response.status, 0);
    client_url(&c, "http", "no-such-host.invalid", &p, "/");
    client_run(&c);
    CHECK_EQ(c.x.error, GR_E_DNS);
    CHECK(c.x.error_text.n > 0);
    client_end(&c);
}

TEST(bad_requests_are_refused_at_once) {
    client c;
    client_begin(&c);
    c.r.url = GR_STR("ftp://h/");
    CHECK_EQ(gr_session_start(c.s, &c.r, &c.x), GR_E_URL_SCHEME);
    c.r.url = GR_STR("http://");
    CHECK_EQ(gr_session_start(c.s, &c.r, &c.x), GR_E_URL_HOST);
    c.r.url = GR_STR("https://127.0.0.1/");
    CHECK_EQ(gr_session_start(c.s, &c.r, &c.x), GR_E_TLS);
    c.r.url = GR_STR("http://127.0.0.1/");
    c.r.method = GR_STR("GE T");
    CHECK_EQ(gr_session_start(c.s, &c.r, &c.x), GR_E_REQUEST_HEADER);
    CHECK_EQ(c.x.state, GR_X_IDLE);
    gr_loop_poll(c.lp);
    CHECK_EQ(c.done_n, 0);
    client_end(&c);
}

TEST(cancel_in_every_state) {
    peer p;
    peer_start(&p, answer_half);
    for (int polls = 0; polls < 10; polls++)
        for (int stream = 0; stream < 2; stream++) {
            client c;
            client_begin(&c);
            c.r.stream_response = stream;
            client_url(&c, "http", polls == 9 ? "slow.invalid" : "127.0.0.1", &p, "/");
            client_start(&c);
            for (int i = 0; i < polls && i < 9; i++) {
                gr_loop_poll(c.lp);
                peer_pause(i > 4);
            }
            if (stream && c.x.state == GR_X_STREAMING) gr_exchange_read(&c.x, client_done);
            int done = c.done_n;
            gr_exchange_cancel(&c.x);
            gr_exchange_cancel(&c.x);
            CHECK_EQ(c.x.state, GR_X_IDLE);
            client_idle(&c, 3);
            CHECK_EQ(c.done_n, done);
            client_end(&c);
        }
    peer_stop(&p);
}

static void destroy_all(gr_exchange *x) {
    client *c = x->ctx;
    c->done_n++;
    gr_exchange_deinit(x);
    gr_session_free(c->s);
    gr_session_new(&c->s, c->lp, &c->conf);
    gr_loop_stop(c->lp);
}

TEST(everything_may_be_destroyed_in_done) {
    for (size_t i = 0; i < GR_LEN(replies); i++)
        for (int stream = 0; stream < 2; stream++) {
            peer p;
            client c;
            peer_start(&p, say_reply);
            p.ctx = (void *)(uintptr_t)&replies[i];
            client_begin(&c);
            c.conf.body_bytes_max = 1000;
            c.r.stream_response = stream && replies[i].error != 0 && replies[i].status == 0;
            c.x.done = destroy_all;
            client_url(&c, "http", "127.0.0.1", &p, "/");
            client_start(&c);
            gr_loop_run(c.lp);
            CHECK_EQ(c.done_n, 1);
            client_end(&c);
            peer_stop(&p);
        }
}

static void cancel_and_destroy(gr_exchange *x) {
    gr_exchange_cancel(x);
    destroy_all(x);
}

static void restart(gr_exchange *x) {
    client *c = x->ctx;
    gr_exchange_cancel(x);
    if (++c->done_n < 5)
        CHECK_EQ(gr_session_start(c->s, &c->r, x), 0);
    else
        gr_loop_stop(c->lp);
}

TEST(streaming_may_be_cancelled_or_restarted_in_done) {
    peer p;
    peer_start(&p, send_a_lot);
    for (int which = 0; which < 2; which++) {
        client c;
        client_begin(&c);
        c.r.stream_response = true;
        c.x.done = which ? restart : cancel_and_destroy;
        client_url(&c, "http", "127.0.0.1", &p, "/");
        client_start(&c);
        gr_loop_run(c.lp);
        CHECK_EQ(c.done_n, which ? 5 : 1);
        client_end(&c);
    }
    peer_stop(&p);
}

static void restart_at_once(gr_exchange *x) {
    client *c = x->ctx;
    if (++c->done_n < 200)
        CHECK_EQ(gr_session_start(c->s, &c->r, x), 0);
    else
        gr_loop_stop(c->lp);
}

TEST(next_request_may_start_in_done) {
    peer p;
    client c;
    peer_start(&p, serve);
    client_begin(&c);
    c.x.done = restart_at_once;
    client_url(&c, "http", "127.0.0.1", &p, "/");
    client_start(&c);
    gr_loop_run(c.lp);
    CHECK_EQ(c.x.error, 0);
    CHECK_EQ(atomic_load(&p.conns_n), 1);
    client_end(&c);
    peer_stop(&p);
}

TEST(session_may_go_before_its_finished_exchanges) {
    peer p;
    client c;
    peer_start(&p, serve);
    client_begin(&c);
    client_get(&c, &p, "/");
    gr_session_free(c.s);
    CHECK_EQ(gr_exchange_read(&c.x, client_done), 0); /* over: tells so once */
    gr_loop_run(c.lp);
    CHECK_EQ(c.done_n, 2);
    CHECK_EQ(gr_exchange_read(&c.x, client_done), 0);
    gr_exchange_cancel(&c.x);
    CHECK_EQ(gr_session_new(&c.s, c.lp, &c.conf), 0);
    client_end(&c);
    peer_stop(&p);
}

static void redirect_stream(peer_conn *c) {
    if (peer_read_head(c))
        peer_say(c, "HTTP/1.1 307 T\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n");
    peer_wait_for_close(c);
}

TEST(streamed_body_cannot_follow_a_redirect) {
    peer p;
    client c;
    peer_start(&p, redirect_stream);
    client_begin(&c);
    c.r.method = GR_STR("POST");
    c.r.body_kind = GR_BODY_STREAM;
    c.r.body_length = -1;
    client_url(&c, "http", "127.0.0.1", &p, "/");
    client_start(&c);
    CHECK_EQ(gr_exchange_write(&c.x, GR_STR("piece"), NULL), 0);
    CHECK_EQ(gr_exchange_write_end(&c.x), 0);
    gr_loop_run(c.lp);
    CHECK_EQ(c.x.error, GR_E_BODY_SOURCE);
    CHECK_EQ(c.x.response.status, 307);
    client_end(&c);
    peer_stop(&p);
}

static void
see_other(peer_conn *c) { /* does not wait for the body; what it refers to takes a while */
    if (!peer_read_head(c)) return;
    if (c->nth < 2) /* twice, each on its connection */
        peer_say(c, "HTTP/1.1 303 S\r\nLocation: /x\r\nContent-Length: 0\r\n"
                    "Connection: close\r\n\r\n");
    else {
        peer_pause(50);
        peer_say(c, OK "Content-Length: 2\r\n\r\nhi");
    }
    peer_wait_for_close(c);
}

TEST(pieces_after_a_redirect_that_wants_no_body_are_ignored) {
    peer p;
    peer_start(&p, see_other);
    client c;
    client_begin(&c);
    c.r.method = GR_STR("POST");
    c.r.body_kind = GR_BODY_STREAM;
    c.r.body_length = 10;
    client_url(&c, "http", "127.0.0.1", &p, "/");
    client_start(&c);
    CHECK_EQ(gr_exchange_write(&c.x, GR_STR("piece"), NULL), 0);
    for (int i = 0; i < 10000 && !(c.x.hops && c.x.hops->next); i++)
        client_idle(&c, 1);
    CHECK_EQ(c.done_n, 0);
    CHECK_EQ(gr_exchange_write(&c.x, GR_STR("more"), NULL), 0);
    CHECK_EQ(gr_exchange_write_end(&c.x), 0);
    gr_loop_run(c.lp);
    CHECK_EQ(c.x.error, 0);
    CHECK_STR(gr_buf_str(&c.x.response.body), "hi");
    c.r.body_kind = GR_BODY_NONE; /* and nothing of that stays */
    client_start(&c);
    CHECK_EQ(gr_exchange_write(&c.x, GR_STR("piece"), NULL), GR_E_INVALID);
    gr_exchange_cancel(&c.x);
    client_end(&c);
    peer_stop(&p);
}

/* ---- TLS and IPv6 ---- */

static void serve_truncated(peer_conn *c) {
    if (peer_read_head(c)) peer_say(c, OK "\r\nno goodbye");
}

TEST(tls_end_to_end) {
    peer p;
    client c;
    peer_cert pc;
    gr_buf why = GR_BUF_INIT;
    peer_cert_make(&pc, "DNS:localhost", 0);
    gr_tls_opts o = {.verify = true, .ca_file = gr_str_c(pc.path)};
    peer_start_on(&p, AF_INET, serve, peer_cert_ctx(&pc));
    client_begin(&c);
    CHECK_EQ(gr_tls_conf_new(&c.conf.tls, &o, &why), 0);
    client_url(&c, "https", "localhost", &p, "/x");
    for (int i = 0; i < 3; i++) {
        client_run(&c);
        CHECK_EQ(c.x.error, 0);
        CHECK_STR(gr_buf_str(&c.x.response.body), "0 /x");
        CHECK_EQ(c.x.reused, i > 0);
        client_idle(&c, 3);
    }
    client_url(&c, "https", "127.0.0.1", &p, "/x");
    client_run(&c);
    CHECK_EQ(c.x.error, GR_E_TLS_VERIFY);
    CHECK_STR(gr_buf_str(&c.x.error_text), "certificate verify failed: IP address mismatch, "
                                           "certificate is not valid for '127.0.0.1'");
    client_end(&c);
    peer_stop(&p);
    peer_cert_free(&pc);
}

TEST(tls_truncation_is_no_end_of_body) {
    peer p;
    client c;
    peer_cert pc;
    gr_buf why = GR_BUF_INIT;
    peer_cert_make(&pc, "DNS:localhost", 0);
    gr_tls_opts o = {.verify = false};
    peer_start_on(&p, AF_INET, serve_truncated, peer_cert_ctx(&pc));
    client_begin(&c);
    CHECK_EQ(gr_tls_conf_new(&c.conf.tls, &o, &why), 0);
    client_url(&c, "https", "localhost", &p, "/x");
    client_run(&c);
    CHECK_EQ(c.x.error, GR_E_TRUNCATED);
    CHECK_STR(gr_buf_str(&c.x.response.body), "no goodbye");
    client_end(&c);
    peer_stop(&p);
    peer_cert_free(&pc);
}

TEST(ipv6_literal) {
    peer p;
    client c;
    peer_start_on(&p, AF_INET6, serve, NULL);
    client_begin(&c);
    client_url(&c, "http", "[::1]", &p, "/x");
    client_run(&c);
    CHECK_EQ(c.x.error, 0);
    CHECK_STR(gr_buf_str(&c.x.response.body), "0 /x");
    client_end(&c);
    peer_stop(&p);
}

/* ---- memory ---- */

TEST(each_failed_allocation_ends_the_exchange) {
    peer p;
    int failures = 0;
    peer_start(&p, redirector);
    for (uint64_t n = 0; n < 60; n++) {
        client c;
        client_begin(&c);
        CHECK_EQ(gr_head_add(&c.head, GR_STR("A"), GR_STR("b")), 0);
        client_url(&c, "http", "127.0.0.1", &p, "/302/end");
        gr__alloc_fail_at(n);
        int rc = gr_session_start(c.s, &c.r, &c.x);
        if (rc == 0) gr_loop_run(c.lp);
        gr__alloc_fail_at(UINT64_MAX);
        CHECK_EQ(c.done_n, rc == 0);
        if (rc == 0) rc = c.x.error;
        CHECK(rc == 0 || rc == GR_E_NOMEM);
        failures += rc != 0;
        client_end(&c);
        if (atomic_load(&p.conns_n) > PEER_CONNS_MAX - 4) break;
    }
    CHECK(failures > 5);
    peer_stop(&p);
}
