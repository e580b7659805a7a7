/* TLS configurations, and verification as users see it: a code and a sentence. */
#include "test.h"
#include "net/tls.c"

#include "net/peer.h"

/* A client and a server in memory: what one says is fed to the other until both are done. */
typedef struct pair {
    SSL *server;
    BIO *to_server, *to_client;
    gr_tls *client;
} pair;

static ptrdiff_t to_server(void *ctx, gr_str bytes) {
    pair *p = ctx;
    return BIO_write(p->to_server, bytes.p, (int)bytes.n);
}

static void pair_begin(pair *p, gr_tls_conf *conf, SSL_CTX *server, const char *host, bool is_ip) {
    p->server = SSL_new(server);
    p->to_server = BIO_new(BIO_s_mem());
    p->to_client = BIO_new(BIO_s_mem());
    SSL_set_bio(p->server, p->to_server, p->to_client);
    SSL_set_accept_state(p->server);
    CHECK_EQ(gr__tls_new(&p->client, conf, gr_str_c(host), is_ip, to_server, p), 0);
}

static void pair_end(pair *p) {
    gr__tls_free(p->client);
    SSL_free(p->server);
}

static int feed_client(pair *p, int (*step)(pair *, char *), char *why) {
    char buf[65536];
    int n = BIO_read(p->to_client, buf, sizeof buf);
    gr__tls_feed(p->client, (gr_str){buf, n > 0 ? (size_t)n : 0});
    return step(p, why);
}

static int handshake(pair *p, char *why) {
    return gr__tls_handshake(p->client, why);
}

static int shake(pair *p, char *why) {
    int rc = 0;
    for (int i = 0; i < 20 && rc == 0; i++) {
        rc = feed_client(p, handshake, why);
        SSL_do_handshake(p->server);
    }
    return rc;
}

static gr_tls_conf *conf_of(gr_tls_opts o, int want) {
    gr_tls_conf *conf = NULL;
    gr_buf why = GR_BUF_INIT;
    CHECK_EQ(gr_tls_conf_new(&conf, &o, &why), want);
    CHECK_EQ(why.n > 0, want < 0);
    gr_buf_deinit(&why);
    return conf;
}

typedef struct verify_case {
    const char *san, *host;
    bool is_ip, trusted, verify;
    long starts_in_s;
    int rc;
    const char *why;
} verify_case;

static const verify_case cases[] = {
    {"DNS:a.example", "a.example", false, true, true, 0, 1, ""},
    {"DNS:a.example", "a.example.", false, true, true, 0, 1, ""}, /* the root's dot is no part */
    {"DNS:*.example.org", "b.example.org", false, true, true, 0, 1, ""},
    {"IP:127.0.0.1", "127.0.0.1", true, true, true, 0, 1, ""},
    {"DNS:a.example", "b.example", false, true, true, 0, GR_E_TLS_VERIFY,
     "certificate verify failed: Hostname mismatch, certificate is not valid for 'b.example'"},
    {"DNS:a.example", "127.0.0.1", true, true, true, 0, GR_E_TLS_VERIFY,
     "certificate verify failed: IP address mismatch, certificate is not valid for '127.0.0.1'"},
    {"DNS:a.example", "a.example", false, true, true, -200000, GR_E_TLS_VERIFY,
     "certificate verify failed: certificate has expired"},
    {"DNS:a.example", "a.example", false, true, true, 200000, GR_E_TLS_VERIFY,
     "certificate verify failed: certificate is not yet valid"},
    {"DNS:a.example", "a.example", false, false, true, 0, GR_E_TLS_VERIFY,
     "certificate verify failed: self-signed certificate"},
    {"DNS:a.example", "b.example", false, false, false, -200000, 1, ""},
};

TEST(verification_has_a_code_and_a_sentence) {
    for (size_t i = 0; i < GR_LEN(cases); i++) {
        const verify_case *v = &cases[i];
        peer_cert pc, other;
        pair p;
        char why[GR_TLS_WHY_BYTES] = "";
        peer_cert_make(&pc, v->san, v->starts_in_s);
        peer_cert_make(&other, "DNS:other", 0);
        const char *ca = v->trusted ? pc.path : other.path;
        gr_tls_conf *conf = conf_of((gr_tls_opts){.verify = v->verify, .ca_file = gr_str_c(ca)}, 0);
        SSL_CTX *server = peer_cert_ctx(&pc);
        pair_begin(&p, conf, server, v->host, v->is_ip);
        CHECK_EQ(shake(&p, why), v->rc);
        CHECK_STR(gr_str_c(why), v->why);
        const char *sni = SSL_get_servername(p.server, TLSEXT_NAMETYPE_host_name);
        CHECK_EQ(sni != NULL, !v->is_ip);
        if (sni) CHECK(sni[strlen(sni) - 1] != '.');
        pair_end(&p);
        gr_tls_conf_unref(conf);
        SSL_CTX_free(server);
        peer_cert_free(&pc);
        peer_cert_free(&other);
    }
}

TEST(old_protocols_are_refused_and_alpn_is_offered) {
    peer_cert pc;
    pair p;
    char why[GR_TLS_WHY_BYTES] = "";
    peer_cert_make(&pc, "DNS:a", 0);
    gr_tls_conf *conf = conf_of((gr_tls_opts){.verify = false}, 0);
    SSL_CTX *server = peer_cert_ctx(&pc);
    SSL_CTX_set_security_level(server, 0);
    SSL_CTX_set_min_proto_version(server, TLS1_1_VERSION);
    SSL_CTX_set_max_proto_version(server, TLS1_1_VERSION);
    pair_begin(&p, conf, server, "a", false);
    CHECK_EQ(shake(&p, why), GR_E_TLS);
    CHECK(strstr(why, "version"));
    pair_end(&p);
    SSL_CTX_free(server);
    gr_tls_conf_unref(conf);
    peer_cert_free(&pc);
}

static int read_some(pair *p, char *why) {
    char buf[8];
    int total = 0;
    ptrdiff_t n;
    while ((n = gr__tls_read(p->client, buf, sizeof buf, why)) > 0)
        total += (int)n;
    return n < 0 ? (int)n : total;
}

TEST(records_cut_anywhere_and_a_goodbye) {
    peer_cert pc;
    pair p;
    char why[GR_TLS_WHY_BYTES] = "", wire[4096];
    peer_cert_make(&pc, "DNS:a", 0);
    gr_tls_conf *conf = conf_of((gr_tls_opts){.verify = false}, 0);
    SSL_CTX *server = peer_cert_ctx(&pc);
    pair_begin(&p, conf, server, "a", false);
    CHECK_EQ(shake(&p, why), 1);
    CHECK_EQ(feed_client(&p, read_some, why), 0); /* session tickets */
    SSL_write(p.server, "some bytes", 10);
    int n = BIO_read(p.to_client, wire, sizeof wire), total = 0;
    for (int i = 0; i < n; i++) {
        gr__tls_feed(p.client, (gr_str){wire + i, 1});
        CHECK(gr__tls_pending(p.client));
        total += read_some(&p, why);
    }
    CHECK_EQ(total, 10);
    CHECK(!gr__tls_pending(p.client));
    CHECK_EQ(gr__tls_write(p.client, GR_STR("answer")), 0);
    CHECK_EQ(SSL_read(p.server, wire, sizeof wire), 6);
    SSL_shutdown(p.server);
    CHECK_EQ(feed_client(&p, read_some, why), GR_E_CLOSED);
    gr__tls_goodbye(p.client);
    CHECK_EQ(SSL_read(p.server, wire, sizeof wire), 0);
    CHECK_EQ(SSL_get_shutdown(p.server) & SSL_RECEIVED_SHUTDOWN, SSL_RECEIVED_SHUTDOWN);
    gr__tls_feed(p.client, GR_STR("\x17\x03\x03\x00\x05xxxxx"));
    pair_end(&p);
    SSL_CTX_free(server);
    gr_tls_conf_unref(conf);
    peer_cert_free(&pc);
}

TEST(garbage_after_the_handshake_is_an_error) {
    peer_cert pc;
    pair p;
    char why[GR_TLS_WHY_BYTES] = "";
    peer_cert_make(&pc, "DNS:a", 0);
    gr_tls_conf *conf = conf_of((gr_tls_opts){.verify = false}, 0);
    SSL_CTX *server = peer_cert_ctx(&pc);
    pair_begin(&p, conf, server, "a", false);
    CHECK_EQ(shake(&p, why), 1);
    gr__tls_feed(p.client, GR_STR("HTTP/1.1 200 OK\r\n\r\n"));
    CHECK_EQ(read_some(&p, why), GR_E_TLS);
    CHECK(why[0]);
    CHECK_EQ(gr__tls_write(p.client, GR_STR("x")), GR_E_CLOSED);
    pair_end(&p);
    SSL_CTX_free(server);
    gr_tls_conf_unref(conf);
    peer_cert_free(&pc);
}

TEST(client_certificates) {
    peer_cert pc, mine;
    pair p;
    char why[GR_TLS_WHY_BYTES] = "";
    peer_cert_make(&pc, "DNS:a", 0);
    peer_cert_make(&mine, "DNS:me", 0);
    gr_tls_conf *conf = conf_of((gr_tls_opts){.cert_file = gr_str_c(mine.path)}, 0);
    SSL_CTX *server = peer_cert_ctx(&pc);
    SSL_CTX_load_verify_file(server, mine.path);
    SSL_CTX_set_verify(server, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    pair_begin(&p, conf, server, "a", false);
    CHECK_EQ(shake(&p, why), 1);
    CHECK_EQ(SSL_is_init_finished(p.server), 1);
    pair_end(&p);
    SSL_CTX_free(server);
    gr_tls_conf_unref(conf);
    peer_cert_free(&pc);
    peer_cert_free(&mine);
}

TEST(unusable_files_are_named) {
    gr_tls_opts bad[] = {{.verify = true, .ca_file = GR_STR("/nonexistent/ca.pem")},
                         {.verify = true, .ca_file = GR_STR("/dev/null")},
                         {.cert_file = GR_STR("/nonexistent/cert.pem")}};
    for (size_t i = 0; i < GR_LEN(bad); i++)
        CHECK(conf_of(bad[i], GR_E_TLS) == NULL);
    gr_buf why = GR_BUF_INIT;
    gr_tls_conf *conf;
    CHECK_EQ(gr_tls_conf_new(&conf, &bad[0], &why), GR_E_TLS);
    CHECK_STR(gr_buf_str(&why),
              "cannot load CA file '/nonexistent/ca.pem': No such file or directory");
    gr_buf_deinit(&why);
}

/* OpenSSL would ask for the passphrase at the terminal, or read it from standard input. */
TEST(nobody_is_asked_for_a_passphrase) {
    peer_cert mine;
    int ends[2];
    peer_cert_make(&mine, "DNS:me", 0);
    FILE *f = fopen(mine.path, "w");
    PEM_write_X509(f, mine.cert);
    PEM_write_PrivateKey(f, mine.key, EVP_aes_128_cbc(), (const unsigned char *)"secret", 6, NULL,
                         NULL);
    fclose(f);
    setsid(); /* no terminal to open */
    CHECK_EQ(pipe(ends), 0);
    CHECK_EQ(write(ends[1], "secret\n", 7), 7);
    CHECK(dup2(ends[0], 0) == 0);
    CHECK(conf_of((gr_tls_opts){.cert_file = gr_str_c(mine.path)}, GR_E_TLS) == NULL);
    struct pollfd unread = {.fd = ends[0], .events = POLLIN};
    CHECK_EQ(poll(&unread, 1, 0), 1);
    peer_cert_free(&mine);
}

static ptrdiff_t to_nobody(void *ctx, gr_str bytes) {
    (void)ctx, (void)bytes;
    return 0;
}

/* A peer that reads nothing can still make OpenSSL write (alerts that refuse renegotiation). */
TEST(what_the_kernel_does_not_take_is_bounded) {
    gr_tls *t = NULL;
    char piece[10000] = "";
    gr_tls_conf *conf = conf_of((gr_tls_opts){.verify = false}, 0);
    CHECK_EQ(gr__tls_new(&t, conf, GR_STR("a"), false, to_nobody, NULL), 0);
    for (int i = 0; i < 1000; i++)
        BIO_write(SSL_get_wbio(t->ssl), piece, sizeof piece);
    CHECK(t->out.n >= 100000 && t->out.n < 1000000);
    CHECK_EQ(t->send_rc, GR_E_TLS);
    gr__tls_free(t);
    gr_tls_conf_unref(conf);
}

TEST(failed_allocations_are_survived) {
    gr_tls_conf *conf = NULL;
    gr_tls *t = NULL;
    gr_buf why = GR_BUF_INIT;
    gr_tls_opts o = {.verify = true, .ca_dir = GR_STR("/tmp")};
    int rc = GR_E_NOMEM;
    for (uint64_t n = 0; rc == GR_E_NOMEM && n < 10; n++)
        FAIL_ALLOC_AT(n) rc = gr_tls_conf_new(&conf, &o, &why);
    CHECK_EQ(rc, 0);
    rc = GR_E_NOMEM;
    for (uint64_t n = 0; rc == GR_E_NOMEM && n < 10; n++)
        FAIL_ALLOC_AT(n) rc = gr__tls_new(&t, conf, GR_STR("a"), false, to_server, NULL);
    CHECK_EQ(rc, 0);
    CHECK_EQ(conf->refs, 2);
    gr__tls_free(t);
    gr_tls_conf_unref(conf);
    gr_buf_deinit(&why);
}
