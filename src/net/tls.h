/* TLS configurations: one SSL_CTX per configuration, shared by every connection that uses it, never
 * one per user. Reference counted within one thread. */
#ifndef GR_NET_TLS_H
#define GR_NET_TLS_H

#include "base/base.h"
#include "base/buf.h"

typedef struct gr_tls_conf gr_tls_conf;

typedef struct gr_tls_opts {
    bool verify;      /* chain and host name */
    gr_str ca_file;   /* PEM; empty: the system's store */
    gr_str ca_dir;    /* hashed directory; empty: none */
    gr_str cert_file; /* PEM client certificate (chain); empty: none */
    gr_str key_file;  /* PEM; empty: in cert_file */
} gr_tls_opts;

/* 0, or GR_E_TLS / GR_E_NOMEM with one sentence in `why`. */
int gr_tls_conf_new(gr_tls_conf **conf, const gr_tls_opts *opts, gr_buf *why);
gr_tls_conf *gr_tls_conf_ref(gr_tls_conf *conf);
void gr_tls_conf_unref(gr_tls_conf *conf); /* NULL is fine */

#endif
