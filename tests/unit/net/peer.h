/* The other end, for tests: a server on loopback that does exactly what a script says, plain or
 * with TLS and certificates made on the spot. Every connection is a thread of its own that runs the
 * script; peer_stop joins them all. Scripts must end when the other side closes. */
#ifndef GR_TEST_NET_PEER_H
#define GR_TEST_NET_PEER_H

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PEER_CONNS_MAX 64

typedef struct peer peer;
typedef struct peer_conn {
    peer *p;
    int fd;
    int nth; /* 0 for the first connection */
    SSL *ssl;
    char head[65536]; /* last request head that was read, terminated */
    size_t body_n;    /* bytes of the request behind its head that were read so far */
    pthread_t thread;
} peer_conn;

typedef void peer_script(peer_conn *c);

struct peer {
    peer_script *script;
    void *ctx;
    SSL_CTX *tls;
    int fd;
    unsigned port;
    pthread_t thread;
    peer_conn *conns[PEER_CONNS_MAX];
    atomic_int conns_n;
    atomic_int requests; /* heads read, all connections */
};

/* ---- what scripts say ---- */

static inline ptrdiff_t peer_read(peer_conn *c, void *into, size_t room) {
    struct pollfd pfd = {.fd = c->fd, .events = POLLIN};
    if (c->ssl) {
        int got = SSL_read(c->ssl, into, (int)room);
        return got > 0 ? got : -1;
    }
    if (poll(&pfd, 1, 15000) != 1) return -1;
    return recv(c->fd, into, room, 0);
}

static inline bool peer_write(peer_conn *c, const void *from, size_t n) {
    const char *p = from;
    while (n > 0) {
        ptrdiff_t put = c->ssl ? SSL_write(c->ssl, p, (int)n) : send(c->fd, p, n, MSG_NOSIGNAL);
        if (put <= 0) return false;
        p += put;
        n -= (size_t)put;
    }
    return true;
}

static inline bool peer_say(peer_conn *c, const char *text) {
    return peer_write(c, text, strlen(text));
}

/* Up to and including the empty line; false when the other side went away. */
static inline bool peer_read_head(peer_conn *c) {
    size_t n = 0;
    while (n + 1 < sizeof c->head) {
        if (peer_read(c, c->head + n, 1) != 1) return false;
        c->head[++n] = '\0';
        if (n >= 4 && memcmp(c->head + n - 4, "\r\n\r\n", 4) == 0) {
            atomic_fetch_add(&c->p->requests, 1);
            return true;
        }
    }
    return false;
}

static inline bool peer_read_n(peer_conn *c, char *into, size_t n) {
    while (n > 0) {
        ptrdiff_t got = peer_read(c, into, n);
        if (got <= 0) return false;
        into += got;
        n -= (size_t)got;
    }
    return true;
}

static inline void peer_wait_for_close(peer_conn *c) {
    char junk[4096];
    while (peer_read(c, junk, sizeof junk) > 0) {
    }
}

static inline void peer_reset(peer_conn *c) { /* RST instead of FIN when closed */
    struct linger l = {1, 0};
    setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &l, sizeof l);
}

static inline void peer_pause(int ms) {
    poll(NULL, 0, ms);
}

/* ---- life ---- */

static inline void *peer_conn_main(void *arg) {
    peer_conn *c = arg;
    bool ok = true;
    if (c->p->tls) {
        c->ssl = SSL_new(c->p->tls);
        SSL_set_fd(c->ssl, c->fd);
        ok = SSL_accept(c->ssl) == 1;
    }
    if (ok) c->p->script(c);
    SSL_free(c->ssl);
    close(c->fd);
    return NULL;
}

static inline void *peer_main(void *arg) {
    peer *p = arg;
    int fd;
    while ((fd = accept(p->fd, NULL, NULL)) >= 0) {
        int nth = atomic_load(&p->conns_n);
        if (nth == PEER_CONNS_MAX) abort();
        peer_conn *c = calloc(1, sizeof *c);
        int one = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        *c = (peer_conn){.p = p, .fd = fd, .nth = nth};
        p->conns[nth] = c;
        atomic_store(&p->conns_n, nth + 1);
        pthread_create(&c->thread, NULL, peer_conn_main, c);
    }
    return NULL;
}

static inline void peer_start_on(peer *p, int family, peer_script *script, SSL_CTX *tls) {
    int one = 1;
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    bool six = family == AF_INET6;
    struct sockaddr *sa = six ? (struct sockaddr *)&in6 : (struct sockaddr *)&in;
    socklen_t n = six ? sizeof in6 : sizeof in;
    memset(p, 0, sizeof *p);
    p->script = script;
    p->tls = tls;
    p->fd = socket(family, SOCK_STREAM, 0);
    setsockopt(p->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    cr_assert(bind(p->fd, sa, n) == 0 && listen(p->fd, 128) == 0, "peer: %s", strerror(errno));
    getsockname(p->fd, sa, &n);
    p->port = ntohs(six ? in6.sin6_port : in.sin_port);
    pthread_create(&p->thread, NULL, peer_main, p);
}

static inline void peer_start(peer *p, peer_script *script) {
    peer_start_on(p, AF_INET, script, NULL);
}

static inline void peer_stop(peer *p) {
    shutdown(p->fd, SHUT_RDWR);
    pthread_join(p->thread, NULL);
    close(p->fd);
    for (int i = 0; i < atomic_load(&p->conns_n); i++) {
        pthread_join(p->conns[i]->thread, NULL);
        free(p->conns[i]);
    }
    SSL_CTX_free(p->tls);
}

/* A port on which nobody listens. */
static inline unsigned peer_free_port(void) {
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof in;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert(bind(fd, (struct sockaddr *)&in, n) == 0);
    getsockname(fd, (struct sockaddr *)&in, &n);
    close(fd);
    return ntohs(in.sin_port);
}

/* ---- certificates ---- */

typedef struct peer_cert {
    EVP_PKEY *key;
    X509 *cert;
    char path[64]; /* PEM of both, in a temporary file */
} peer_cert;

/* Self-signed; `san` as "DNS:localhost,IP:127.0.0.1"; valid for a day from `starts_in_s`. */
static inline void peer_cert_make(peer_cert *pc, const char *san, long starts_in_s) {
    pc->key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    X509 *x = pc->cert = X509_new();
    X509_set_version(x, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
    X509_gmtime_adj(X509_getm_notBefore(x), starts_in_s);
    X509_gmtime_adj(X509_getm_notAfter(x), starts_in_s + 86400);
    X509_set_pubkey(x, pc->key);
    X509_NAME *name = X509_get_subject_name(x);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"peer", -1, -1, 0);
    X509_set_issuer_name(x, name);
    X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, san);
    X509_add_ext(x, ext, -1);
    X509_EXTENSION_free(ext);
    ext = X509V3_EXT_conf_nid(NULL, NULL, NID_basic_constraints, "CA:TRUE");
    X509_add_ext(x, ext, -1);
    X509_EXTENSION_free(ext);
    cr_assert(X509_sign(x, pc->key, EVP_sha256()) > 0);
    strcpy(pc->path, "/tmp/gr-peer-XXXXXX");
    int fd = mkstemp(pc->path);
    FILE *f = fdopen(fd, "w");
    PEM_write_X509(f, x);
    PEM_write_PrivateKey(f, pc->key, NULL, NULL, 0, NULL, NULL);
    fclose(f);
}

static inline SSL_CTX *peer_cert_ctx(const peer_cert *pc) {
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    cr_assert(SSL_CTX_use_certificate(ctx, pc->cert) == 1);
    cr_assert(SSL_CTX_use_PrivateKey(ctx, pc->key) == 1);
    return ctx;
}

static inline void peer_cert_free(peer_cert *pc) {
    unlink(pc->path);
    X509_free(pc->cert);
    EVP_PKEY_free(pc->key);
}

#endif
