/* Streams against scripted peers: opening, failing to open, both ways of ending, sending more than
 * the kernel takes, pausing, kernel time stamps, closing in every state; plain and TLS. */
#include "test.h"
#include "net/sock.c"

#include "net/peer.h"

typedef struct probe {
    gr_sock sock;
    gr_loop *lp;
    gr_buf got;
    gr_str to_send;
    size_t sent;
    int opened, open_rc, ended, end_rc, released, writable;
    gr_ns arrived_at, now_at;
    char why[GR_TLS_WHY_BYTES];
    size_t stop_at;  /* stop the loop once that much was read */
    size_t pause_at; /* pause reading then */
    bool close_in_open, close_in_data, close_in_ended;
} probe;

static void send_on(probe *p) {
    if (p->sent == p->to_send.n) return;
    gr_str rest = gr_str_from(p->to_send, p->sent);
    struct iovec piece = {(char *)(uintptr_t)rest.p, rest.n};
    ptrdiff_t n = gr_sock_send(&p->sock, &piece, 1);
    if (n > 0) p->sent += (size_t)n;
}

static void keep_why(probe *p, const char *why) {
    if (why) snprintf(p->why, sizeof p->why, "%s", why);
}

static void on_open(gr_sock *s, int rc, const char *why) {
    probe *p = GR_CONTAINER(s, probe, sock);
    p->opened++;
    p->open_rc = rc;
    keep_why(p, why);
    if (rc < 0 || p->close_in_open) {
        gr_sock_close(s);
        return;
    }
    send_on(p);
}

static void on_bytes(gr_sock *s, gr_str bytes, gr_ns arrived_at) {
    probe *p = GR_CONTAINER(s, probe, sock);
    CHECK_EQ(p->ended, 0);
    CHECK_EQ(gr_buf_add(&p->got, bytes), 0);
    p->arrived_at = arrived_at;
    p->now_at = gr_clock_ns();
    if (p->pause_at && p->got.n >= p->pause_at) gr_sock_pause(s, true);
    if (p->close_in_data)
        gr_sock_close(s);
    else if (p->stop_at && p->got.n >= p->stop_at)
        gr_loop_stop(p->lp);
}

static void on_room(gr_sock *s) {
    probe *p = GR_CONTAINER(s, probe, sock);
    p->writable++;
    send_on(p);
}

static void on_end(gr_sock *s, int rc, const char *why) {
    probe *p = GR_CONTAINER(s, probe, sock);
    p->ended++;
    p->end_rc = rc;
    keep_why(p, why);
    if (p->close_in_ended)
        gr_sock_close(s);
    else
        gr_loop_stop(p->lp);
}

static void on_free(gr_sock *s) {
    probe *p = GR_CONTAINER(s, probe, sock);
    p->released++;
    gr_loop_stop(p->lp);
}

static const gr_sock_ops ops = {on_open, on_bytes, on_room, on_end, on_free};

static void begin(probe *p) {
    memset(p, 0, sizeof *p);
    CHECK_EQ(gr_loop_new(&p->lp), 0);
    gr_sock_init(&p->sock, p->lp, &ops);
}

static void end_probe(probe *p) {
    if (p->sock.state != GR_SOCK_CLOSED && p->sock.state != GR_SOCK_NEW) gr_sock_close(&p->sock);
    while (p->sock.state == GR_SOCK_CLOSED && !p->released)
        gr_loop_run(p->lp);
    CHECK(p->sock.state == GR_SOCK_NEW || p->released == 1);
    gr_buf_deinit(&p->got);
    gr_loop_free(p->lp);
}

static void open_to(probe *p, const peer *to) {
    gr_sock_open(&p->sock, GR_STR("127.0.0.1"), (uint16_t)to->port, NULL);
}

/* ---- scripts ---- */

static void greet(peer_conn *c) {
    peer_say(c, "hello");
}
static void greet_and_reset(peer_conn *c) {
    peer_say(c, "hello");
    peer_pause(30);
    peer_reset(c);
}
static void echo_all(peer_conn *c) {
    char buf[65536];
    ptrdiff_t n;
    while ((n = peer_read(c, buf, sizeof buf)) > 0 && peer_write(c, buf, (size_t)n)) {
    }
}
static void stay(peer_conn *c) {
    peer_wait_for_close(c);
}

/* ---- tests ---- */

TEST(orderly_end_after_data) {
    peer p;
    probe a;
    peer_start(&p, greet);
    begin(&a);
    open_to(&a, &p);
    CHECK_EQ(a.opened, 0); /* never inside the call */
    gr_loop_run(a.lp);
    CHECK_EQ(a.open_rc, 0);
    CHECK_STR(gr_buf_str(&a.got), "hello");
    CHECK_EQ(a.end_rc, 0);
    end_probe(&a);
    peer_stop(&p);
}

TEST(reset_after_data_is_told_after_the_data) {
    peer p;
    probe a;
    peer_start(&p, greet_and_reset);
    begin(&a);
    open_to(&a, &p);
    gr_loop_run(a.lp);
    CHECK_STR(gr_buf_str(&a.got), "hello");
    CHECK_EQ(a.end_rc, -ECONNRESET);
    end_probe(&a);
    peer_stop(&p);
}

TEST(refused_connection_has_its_errno) {
    probe a;
    begin(&a);
    gr_sock_open(&a.sock, GR_STR("127.0.0.1"), (uint16_t)peer_free_port(), NULL);
    gr_loop_run(a.lp);
    CHECK_EQ(a.opened, 1);
    CHECK_EQ(a.open_rc, -ECONNREFUSED);
    end_probe(&a);
}

TEST(unknown_host_is_told_with_the_resolvers_words) {
    probe a;
    begin(&a);
    gr_sock_open(&a.sock, GR_STR("no-such-host.invalid"), 80, NULL);
    gr_loop_run(a.lp);
    CHECK_EQ(a.open_rc, GR_E_DNS);
    CHECK(a.why[0]);
    end_probe(&a);
}

TEST(next_address_is_tried_when_one_refuses) {
    peer p;
    probe a;
    gr_addrs *addrs = gr_calloc(1, sizeof *addrs + 3 * sizeof addrs->at[0]);
    addrs->refs = 1;
    addrs->n = 3;
    addrs->at[0].in6 =
        (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    addrs->at[1].in =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000002)};
    addrs->at[2].in =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    peer_start(&p, greet);
    begin(&a);
    a.sock.state = GR_SOCK_RESOLVING;
    a.sock.port = (uint16_t)p.port;
    on_addrs(&a.sock.query, 0, addrs, NULL);
    gr_loop_run(a.lp);
    CHECK_EQ(a.open_rc, 0);
    CHECK_STR(gr_buf_str(&a.got), "hello");
    end_probe(&a);
    peer_stop(&p);
}

TEST(ipv6) {
    peer p;
    probe a;
    peer_start_on(&p, AF_INET6, greet, NULL);
    begin(&a);
    gr_sock_open(&a.sock, GR_STR("::1"), (uint16_t)p.port, NULL);
    gr_loop_run(a.lp);
    CHECK_EQ(a.open_rc, 0);
    CHECK_STR(gr_buf_str(&a.got), "hello");
    end_probe(&a);
    peer_stop(&p);
}

enum { BIG = GR_HOSTILE ? 300000 : 8000000 };

static void check_echo(probe *a) {
    a->to_send = (gr_str){gr_malloc(BIG), BIG};
    for (size_t i = 0; i < BIG; i++)
        ((char *)(uintptr_t)a->to_send.p)[i] = (char)(i * 7 + i / 251);
    a->stop_at = BIG;
    gr_loop_run(a->lp);
    CHECK_EQ(a->open_rc, 0);
    CHECK(gr_str_eq(gr_buf_str(&a->got), a->to_send));
    gr_free((char *)(uintptr_t)a->to_send.p);
}

TEST(large_transfer_both_ways_at_once) {
    peer p;
    probe a;
    peer_start(&p, echo_all);
    begin(&a);
    open_to(&a, &p);
    check_echo(&a);
    end_probe(&a);
    peer_stop(&p);
}

TEST(paused_stream_reads_nothing_until_resumed) {
    peer p;
    probe a;
    peer_start(&p, greet_and_reset);
    begin(&a);
    a.pause_at = 5;
    a.stop_at = 5;
    open_to(&a, &p);
    gr_loop_run(a.lp);
    for (int i = 0; i < 60; i++) { /* meanwhile the peer resets */
        gr_loop_poll(a.lp);
        peer_pause(1);
    }
    CHECK_EQ(a.ended, 0);
    gr_sock_pause(&a.sock, false);
    CHECK_EQ(a.ended, 0);
    gr_loop_run(a.lp);
    CHECK_EQ(a.end_rc, -ECONNRESET);
    end_probe(&a);
    peer_stop(&p);
}

/* The loop looks at the socket only long after the bytes came. The kernel turns its stamps on a
 * moment after the first socket asks for them, hence several tries. */
TEST(arrival_is_the_kernels_not_ours) {
#ifdef SO_TIMESTAMPNS
    peer p;
    probe a;
    bool exact = false;
    peer_start(&p, stay);
    begin(&a);
    open_to(&a, &p);
    while (!a.opened)
        gr_loop_poll(a.lp);
    for (int i = 0; i < 500 && !atomic_load(&p.conns_n); i++)
        peer_pause(1);
    for (int i = 0; i < 100 && !exact; i++) {
        a.stop_at = a.got.n + 1;
        gr_ns before = gr_clock_ns();
        CHECK_EQ(send(p.conns[0]->fd, "y", 1, 0), 1);
        peer_pause(50);
        gr_loop_run(a.lp);
        CHECK(a.arrived_at >= before);
        exact = a.now_at - a.arrived_at >= GR_MS(50);
    }
    CHECK(exact);
    end_probe(&a);
    peer_stop(&p);
#endif
}

TEST(time_stamps_survive_steps_of_the_clock) {
#ifdef SO_TIMESTAMPNS
    static const struct {
        gr_wall_ns stamped_at, wall;
        gr_ns now, want;
    } table[] = {
        {1000000005, 2000000007, 5000000000, 3999999998},
        {1000000005, 1000000005, 5000000000, 5000000000},
        {2000000000, 1000000000, 5000000000, 5000000000},  /* from the future: set back */
        {1000000000, 9000000000, 5000000000, 5000000000},  /* from before the start: set forward */
        {-1000000000, 1000000000, 5000000000, 3000000000}, /* before 1970 */
    };
    for (size_t i = 0; i < GR_LEN(table); i++) {
        union {
            struct cmsghdr align;
            char bytes[CMSG_SPACE(sizeof(struct timespec))];
        } control = {0};
        struct msghdr msg = {.msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
        struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
        struct timespec t = {table[i].stamped_at / 1000000000, table[i].stamped_at % 1000000000};
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_TIMESTAMPNS;
        c->cmsg_len = CMSG_LEN(sizeof t);
        memcpy(CMSG_DATA(c), &t, sizeof t);
        CHECK_EQ(stamp_of(&msg, table[i].wall, table[i].now), table[i].want);
    }
    struct msghdr none = {.msg_control = NULL};
    CHECK_EQ(stamp_of(&none, 1000, 5000), 5000);
#endif
}

/* libuv polls no more after an error, so that nothing would ever wake the stream again. */
TEST(error_that_leaves_no_trace_is_a_reset) {
    peer p;
    probe a;
    peer_start(&p, stay);
    begin(&a);
    open_to(&a, &p);
    while (!a.opened)
        gr_loop_poll(a.lp);
    uv_poll_stop(&a.sock.poll); /* as libuv does before it tells */
    on_poll(&a.sock.poll, UV_EBADF, 0);
    CHECK_EQ(a.ended, 1);
    CHECK_EQ(a.end_rc, -ECONNRESET);
    end_probe(&a);
    peer_stop(&p);
}

TEST(room_is_told_even_if_all_was_taken) {
    peer p;
    probe a;
    peer_start(&p, stay);
    begin(&a);
    open_to(&a, &p);
    while (!a.opened)
        gr_loop_poll(a.lp);
    CHECK_EQ(a.writable, 0);
    gr_sock_want_writable(&a.sock);
    CHECK_EQ(a.writable, 0); /* never inside the call */
    for (int i = 0; i < 1000 && !a.writable; i++)
        gr_loop_poll(a.lp);
    gr_loop_poll(a.lp);
    CHECK_EQ(a.writable, 1);
    end_probe(&a);
    peer_stop(&p);
}

TEST(closing_in_every_state_releases_once) {
    peer p;
    peer_start(&p, echo_all);
    for (int turns = 0; turns < 8; turns++) {
        probe a;
        begin(&a);
        a.to_send = GR_STR("x");
        open_to(&a, &p);
        for (int i = 0; i < turns; i++) {
            gr_loop_poll(a.lp);
            CHECK_EQ(a.released, 0);
        }
        end_probe(&a);
    }
    peer_stop(&p);
}

TEST(closing_while_resolving) {
    probe a;
    begin(&a);
    gr_sock_open(&a.sock, GR_STR("slow.invalid"), 80, NULL);
    end_probe(&a);
    CHECK_EQ(a.opened, 0);
}

TEST(closing_within_each_callback) {
    peer p;
    peer_start(&p, greet);
    for (int which = 0; which < 3; which++) {
        probe a;
        begin(&a);
        a.close_in_open = which == 0;
        a.close_in_data = which == 1;
        a.close_in_ended = which == 2;
        open_to(&a, &p);
        gr_loop_run(a.lp); /* until released */
        CHECK_EQ(a.released, 1);
        CHECK_EQ(a.ended, which == 2);
        end_probe(&a);
    }
    peer_stop(&p);
}

TEST(idle_check_sees_end_and_uncalled_bytes) {
    peer p;
    probe a;
    peer_start(&p, greet);
    begin(&a);
    open_to(&a, &p);
    while (!a.opened)
        gr_loop_poll(a.lp);
    struct pollfd pfd = {.fd = a.sock.fd, .events = POLLIN};
    if (a.got.n == 0) poll(&pfd, 1, 10000);
    CHECK(!gr_sock_idle_ok(&a.sock));
    end_probe(&a);
    peer_stop(&p);
}

TEST(failed_allocations_are_reported_by_opened) {
    peer p;
    peer_start(&p, greet);
    int rc = GR_E_NOMEM;
    for (uint64_t n = 0; rc == GR_E_NOMEM && n < 10; n++) {
        probe a;
        begin(&a);
        FAIL_ALLOC_AT(n) open_to(&a, &p);
        gr_loop_run(a.lp);
        rc = a.open_rc;
        end_probe(&a);
    }
    CHECK_EQ(rc, 0);
    peer_stop(&p);
}

/* ---- TLS ---- */

static gr_tls_conf *conf_trusting(const peer_cert *pc) {
    gr_tls_conf *conf = NULL;
    gr_buf why = GR_BUF_INIT;
    gr_tls_opts o = {.verify = true, .ca_file = gr_str_c(pc->path)};
    CHECK_EQ(gr_tls_conf_new(&conf, &o, &why), 0);
    gr_buf_deinit(&why);
    return conf;
}

TEST(tls_large_transfer_both_ways_at_once) {
    peer p;
    probe a;
    peer_cert pc;
    peer_cert_make(&pc, "IP:127.0.0.1", 0);
    gr_tls_conf *conf = conf_trusting(&pc);
    peer_start_on(&p, AF_INET, echo_all, peer_cert_ctx(&pc));
    begin(&a);
    gr_sock_open(&a.sock, GR_STR("127.0.0.1"), (uint16_t)p.port, conf);
    a.to_send = GR_STR("");
    check_echo(&a);
    end_probe(&a);
    peer_stop(&p);
    gr_tls_conf_unref(conf);
    peer_cert_free(&pc);
}

static void greet_with_goodbye(peer_conn *c) {
    peer_say(c, "hello");
    SSL_shutdown(c->ssl);
    peer_wait_for_close(c);
}

TEST(tls_end_with_and_without_goodbye) {
    peer_cert pc;
    peer_cert_make(&pc, "DNS:localhost", 0);
    gr_tls_conf *conf = conf_trusting(&pc);
    for (int polite = 0; polite < 2; polite++) {
        peer p;
        probe a;
        peer_start_on(&p, AF_INET, polite ? greet_with_goodbye : greet, peer_cert_ctx(&pc));
        begin(&a);
        gr_sock_open(&a.sock, GR_STR("localhost"), (uint16_t)p.port, conf);
        gr_loop_run(a.lp);
        CHECK_EQ(a.open_rc, 0);
        CHECK_STR(gr_buf_str(&a.got), "hello");
        CHECK_EQ(a.end_rc, polite ? 0 : GR_E_TRUNCATED);
        end_probe(&a);
        peer_stop(&p);
    }
    gr_tls_conf_unref(conf);
    peer_cert_free(&pc);
}

static void slam(peer_conn *c) {
    (void)c;
}

TEST(tls_handshake_with_a_plain_or_absent_server) {
    peer_cert pc;
    peer_cert_make(&pc, "DNS:localhost", 0);
    gr_tls_conf *conf = conf_trusting(&pc);
    for (int says_something = 0; says_something < 2; says_something++) {
        peer p;
        probe a;
        peer_start(&p, says_something ? greet : slam);
        begin(&a);
        gr_sock_open(&a.sock, GR_STR("127.0.0.1"), (uint16_t)p.port, conf);
        gr_loop_run(a.lp);
        CHECK_EQ(a.opened, 1);
        if (says_something) /* or the reset that its close with unread bytes brings about */
            CHECK(a.open_rc == GR_E_TLS || a.open_rc == -ECONNRESET);
        else
            CHECK(a.open_rc == GR_E_CLOSED || a.open_rc == -ECONNRESET);
        end_probe(&a);
        peer_stop(&p);
    }
    gr_tls_conf_unref(conf);
    peer_cert_free(&pc);
}
