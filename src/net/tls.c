/* TLS over OpenSSL. The configuration is an SSL_CTX with everything that costs memory (trusted
 * certificates above all); a connection is an SSL with one BIO whose two directions are ours:
 *
 *  - reading takes from a window onto the loop's shared buffer and then says "try later". OpenSSL
 *    therefore keeps input of its own only while a record is incomplete (SSL_MODE_RELEASE_BUFFERS);
 *  - writing offers to the kernel at once and keeps what it does not take in `out`. It never says
 *    "try later", so that SSL_write never has to be repeated with the same bytes. Callers send no
 *    more while something is kept; only OpenSSL itself does (alerts), within OUT_BYTES_MAX.
 *
 * OpenSSL's error queue is the thread's: it is emptied before each call whose errors are looked
 * at. */
#include "net/tls_int.h"

#include "base/alloc.h"
#include "base/err.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>

/* A record, the flight of a handshake with a long chain of certificates, some alerts. A peer that
 * makes us answer further and reads none of it is hostile. */
#define OUT_BYTES_MAX (256u * 1024)

struct gr_tls_conf {
    SSL_CTX *ctx;
    BIO_METHOD *bio;
    uint32_t refs;
    bool verify;
    bool system_trust; /* still to be loaded, by the first connection: it takes 60 ms */
};

struct gr_tls {
    SSL *ssl;
    gr_tls_conf *conf;
    gr_str in;  /* ciphertext not yet taken by OpenSSL; borrowed */
    gr_buf out; /* ciphertext not yet taken by the kernel */
    gr_tls_send *send;
    void *ctx;
    int send_rc; /* of the first failed send: -errno, GR_E_NOMEM, GR_E_TLS; sticky */
    bool broken; /* OpenSSL reported a fatal error: no goodbye */
};

/* ---- the BIO ---- */

static int bio_read(BIO *bio, char *into, size_t room, size_t *got) {
    gr_tls *t = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    *got = GR_MIN(room, t->in.n);
    if (*got == 0) {
        BIO_set_retry_read(bio);
        return 0;
    }
    memcpy(into, t->in.p, *got);
    t->in = gr_str_from(t->in, *got);
    return 1;
}

static int keep(gr_tls *t, gr_str rest) {
    if (rest.n > OUT_BYTES_MAX - t->out.n) return GR_E_TLS;
    return gr_buf_add(&t->out, rest);
}

static int bio_write(BIO *bio, const char *from, size_t n, size_t *taken) {
    gr_tls *t = BIO_get_data(bio);
    gr_str rest = {from, n};
    BIO_clear_retry_flags(bio);
    if (t->send_rc == 0 && t->out.n == 0) {
        ptrdiff_t sent = t->send(t->ctx, rest);
        if (sent < 0)
            t->send_rc = (int)sent;
        else
            rest = gr_str_from(rest, (size_t)sent);
    }
    if (t->send_rc == 0 && rest.n) t->send_rc = keep(t, rest);
    *taken = n;
    return t->send_rc == 0;
}

static long bio_ctrl(BIO *bio, int cmd, long num, void *ptr) {
    (void)bio, (void)num, (void)ptr;
    return cmd == BIO_CTRL_FLUSH;
}

static BIO_METHOD *bio_method_new(void) {
    BIO_METHOD *m = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "gregaria socket");
    if (!m) return NULL;
    BIO_meth_set_read_ex(m, bio_read);
    BIO_meth_set_write_ex(m, bio_write);
    BIO_meth_set_ctrl(m, bio_ctrl);
    return m;
}

/* ---- configurations ---- */

static const char *reason_of(unsigned long error) {
    if (error == 0) return "unknown error";
    if (ERR_SYSTEM_ERROR(error)) return strerror((int)ERR_GET_REASON(error));
    const char *reason = ERR_reason_error_string(error);
    return reason ? reason : "unknown error";
}

/* Paths come as pointer and length, OpenSSL wants them terminated. */
static int with_path(gr_str path, SSL_CTX *ctx, int (*load)(SSL_CTX *, const char *),
                     const char *what, gr_buf *why) {
    char *name = gr_strndup(path.p, path.n);
    if (!name) return GR_E_NOMEM;
    ERR_clear_error();
    int rc = load(ctx, name) == 1 ? 0 : GR_E_TLS;
    if (rc < 0)
        gr_buf_addf(why, "cannot load %s '%s': %s", what, name, reason_of(ERR_peek_error()));
    gr_free(name);
    return rc;
}

/* OpenSSL's own asks at the terminal, which nobody may be sitting at. */
static int no_passphrase(char *into, int room, int writing, void *ctx) {
    (void)into, (void)room, (void)writing, (void)ctx;
    return -1;
}

static int load_key(SSL_CTX *ctx, const char *path) {
    return SSL_CTX_use_PrivateKey_file(ctx, path, SSL_FILETYPE_PEM);
}

static int load_trust(SSL_CTX *ctx, const gr_tls_opts *o, gr_buf *why) {
    int rc = 0;
    if (o->ca_file.n) rc = with_path(o->ca_file, ctx, SSL_CTX_load_verify_file, "CA file", why);
    if (rc == 0 && o->ca_dir.n)
        rc = with_path(o->ca_dir, ctx, SSL_CTX_load_verify_dir, "CA directory", why);
    return rc;
}

static int load_identity(SSL_CTX *ctx, const gr_tls_opts *o, gr_buf *why) {
    gr_str key = o->key_file.n ? o->key_file : o->cert_file;
    int rc =
        with_path(o->cert_file, ctx, SSL_CTX_use_certificate_chain_file, "client certificate", why);
    return rc < 0 ? rc : with_path(key, ctx, load_key, "client key", why);
}

static int ctx_setup(SSL_CTX *ctx, const gr_tls_opts *o, gr_buf *why) {
    static const unsigned char alpn[] = "\x08http/1.1";
    SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_default_passwd_cb(ctx, no_passphrase);
    SSL_CTX_set_verify(ctx, o->verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
    if (SSL_CTX_set_alpn_protos(ctx, alpn, sizeof alpn - 1) != 0) return GR_E_NOMEM;
    int rc = o->verify ? load_trust(ctx, o, why) : 0;
    return rc == 0 && o->cert_file.n ? load_identity(ctx, o, why) : rc;
}

int gr_tls_conf_new(gr_tls_conf **out, const gr_tls_opts *opts, gr_buf *why) {
    int rc = GR_E_NOMEM;
    gr_tls_conf *conf = gr_calloc(1, sizeof *conf);
    if (!conf) return rc;
    if (!(conf->bio = bio_method_new())) goto undo_conf;
    if (!(conf->ctx = SSL_CTX_new(TLS_client_method()))) goto undo_bio;
    if ((rc = ctx_setup(conf->ctx, opts, why)) < 0) goto undo_ctx;
    conf->verify = opts->verify;
    conf->system_trust = opts->verify && !opts->ca_file.n && !opts->ca_dir.n;
    conf->refs = 1;
    *out = conf;
    return 0;
undo_ctx:
    SSL_CTX_free(conf->ctx);
undo_bio:
    BIO_meth_free(conf->bio);
undo_conf:
    gr_free(conf);
    return rc;
}

gr_tls_conf *gr_tls_conf_ref(gr_tls_conf *conf) {
    conf->refs++;
    return conf;
}

void gr_tls_conf_unref(gr_tls_conf *conf) {
    if (!conf || --conf->refs > 0) return;
    SSL_CTX_free(conf->ctx);
    BIO_meth_free(conf->bio);
    gr_free(conf);
}

/* ---- connections ---- */

static int set_peer_name(gr_tls *t, gr_str host, bool is_address) {
    if (host.n > 1 && host.p[host.n - 1] == '.') host.n--; /* certificates and SNI have no root */
    char *name = gr_strndup(host.p, host.n);
    if (!name) return GR_E_NOMEM;
    bool ok = is_address || SSL_set_tlsext_host_name(t->ssl, name) == 1;
    if (ok && t->conf->verify) {
        X509_VERIFY_PARAM *param = SSL_get0_param(t->ssl);
        X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
        ok = is_address ? X509_VERIFY_PARAM_set1_ip_asc(param, name) == 1
                        : X509_VERIFY_PARAM_set1_host(param, name, host.n) == 1;
    }
    gr_free(name);
    return ok ? 0 : GR_E_TLS;
}

int gr__tls_new(gr_tls **out, gr_tls_conf *conf, gr_str host, bool is_address, gr_tls_send *send,
                void *ctx) {
    int rc = GR_E_NOMEM;
    BIO *bio;
    gr_tls *t = gr_calloc(1, sizeof *t);
    if (!t) return rc;
    t->conf = gr_tls_conf_ref(conf);
    t->send = send;
    t->ctx = ctx;
    if (conf->system_trust) { /* one that cannot be read makes every verification fail, and say so */
        SSL_CTX_set_default_verify_paths(conf->ctx);
        conf->system_trust = false;
    }
    if (!(t->ssl = SSL_new(conf->ctx))) goto undo_tls;
    if (!(bio = BIO_new(conf->bio))) goto undo_ssl;
    BIO_set_data(bio, t);
    BIO_set_init(bio, 1);
    SSL_set_bio(t->ssl, bio, bio); /* owned by the SSL from here on */
    SSL_set_connect_state(t->ssl);
    if ((rc = set_peer_name(t, host, is_address)) < 0) goto undo_ssl;
    *out = t;
    return 0;
undo_ssl:
    SSL_free(t->ssl);
undo_tls:
    gr_tls_conf_unref(t->conf);
    gr_free(t);
    return rc;
}

void gr__tls_free(gr_tls *t) {
    if (!t) return;
    SSL_free(t->ssl);
    gr_buf_deinit(&t->out);
    gr_tls_conf_unref(t->conf);
    gr_free(t);
}

void gr__tls_feed(gr_tls *t, gr_str bytes) {
    t->in = bytes;
}

static void verify_sentence(const gr_tls *t, char why[GR_TLS_WHY_BYTES]) {
    long verdict = SSL_get_verify_result(t->ssl);
    const X509_VERIFY_PARAM *param = SSL_get0_param(t->ssl);
    const char *text = X509_verify_cert_error_string(verdict);
    if (verdict == X509_V_ERR_HOSTNAME_MISMATCH || verdict == X509_V_ERR_IP_ADDRESS_MISMATCH) {
        char *ip = X509_VERIFY_PARAM_get1_ip_asc((X509_VERIFY_PARAM *)(uintptr_t)param);
        const char *name =
            ip ? ip : X509_VERIFY_PARAM_get0_host((X509_VERIFY_PARAM *)(uintptr_t)param, 0);
        snprintf(why, GR_TLS_WHY_BYTES,
                 "certificate verify failed: %s, certificate is not valid for '%s'",
                 ip ? "IP address mismatch" : "Hostname mismatch", name ? name : "");
        OPENSSL_free(ip);
    } else
        snprintf(why, GR_TLS_WHY_BYTES, "certificate verify failed: %s", text);
}

/* What a call that returned `ret` means; 0: more input is needed. */
static int failure(gr_tls *t, int ret, char why[GR_TLS_WHY_BYTES]) {
    int kind = SSL_get_error(t->ssl, ret);
    if (kind == SSL_ERROR_WANT_READ) return 0;
    if (kind == SSL_ERROR_ZERO_RETURN) return GR_E_CLOSED;
    t->broken = true;
    why[0] = '\0';
    if (t->send_rc < 0) return t->send_rc;
    unsigned long error = ERR_peek_error();
    if (ERR_GET_LIB(error) == ERR_LIB_SSL &&
        ERR_GET_REASON(error) == SSL_R_CERTIFICATE_VERIFY_FAILED) {
        verify_sentence(t, why);
        return GR_E_TLS_VERIFY;
    }
    snprintf(why, GR_TLS_WHY_BYTES, "TLS error: %s", reason_of(error));
    return GR_E_TLS;
}

int gr__tls_handshake(gr_tls *t, char why[GR_TLS_WHY_BYTES]) {
    ERR_clear_error();
    int ret = SSL_do_handshake(t->ssl);
    return ret == 1 ? 1 : failure(t, ret, why);
}

ptrdiff_t gr__tls_read(gr_tls *t, char *into, size_t room, char why[GR_TLS_WHY_BYTES]) {
    size_t got = 0;
    ERR_clear_error();
    int ret = SSL_read_ex(t->ssl, into, room, &got);
    return ret == 1 ? (ptrdiff_t)got : failure(t, ret, why);
}

bool gr__tls_pending(const gr_tls *t) {
    return t->in.n > 0 || SSL_has_pending(t->ssl);
}

int gr__tls_write(gr_tls *t, gr_str plain) {
    char why[GR_TLS_WHY_BYTES];
    size_t taken = 0;
    GR_DCHECK(t->out.n == 0 && plain.n > 0);
    if (t->broken) return GR_E_CLOSED;
    ERR_clear_error();
    int ret = SSL_write_ex(t->ssl, plain.p, plain.n, &taken);
    if (ret == 1) return t->send_rc;
    int rc = failure(t, ret, why);
    return rc < 0 ? rc : GR_E_TLS;
}

bool gr__tls_blocked(const gr_tls *t) {
    return t->out.n > 0;
}

int gr__tls_flush(gr_tls *t) {
    if (t->out.n == 0) return 0;
    ptrdiff_t sent = t->send(t->ctx, gr_buf_str(&t->out));
    if (sent < 0) return t->send_rc = (int)sent;
    gr_buf_consume(&t->out, (size_t)sent);
    if (t->out.n == 0) gr_buf_deinit(&t->out); /* rare; not kept while idle */
    return 0;
}

void gr__tls_goodbye(gr_tls *t) {
    if (t->broken || t->send_rc < 0 || !SSL_is_init_finished(t->ssl)) return;
    ERR_clear_error();
    SSL_shutdown(t->ssl);
    ERR_clear_error();
}
