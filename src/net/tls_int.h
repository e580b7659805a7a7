/* One connection's TLS: bytes in through a window onto the loop's read buffer, bytes out through a
 * function that offers them to the kernel. No I/O of its own, so that an idle connection keeps
 * nothing but OpenSSL's bare state. */
#ifndef GR_NET_TLS_INT_H
#define GR_NET_TLS_INT_H

#include "net/tls.h"

typedef struct gr_tls gr_tls;

/* Hands bytes to the kernel; returns how many it took (0: would block) or -errno. */
typedef ptrdiff_t gr_tls_send(void *ctx, gr_str bytes);

#define GR_TLS_WHY_BYTES 256

/* `host` is what the certificate must name; sent as SNI unless it is an address. 0 or a code. */
int gr__tls_new(gr_tls **t, gr_tls_conf *conf, gr_str host, bool is_address, gr_tls_send *send,
                void *ctx);
void gr__tls_free(gr_tls *t); /* NULL is fine */

/* Offer ciphertext. It must stay readable until handshake or read returned 0 or an error. */
void gr__tls_feed(gr_tls *t, gr_str bytes);

/* 1: done. 0: needs more input, or is blocked. Negative: failed, with a sentence in `why`. */
int gr__tls_handshake(gr_tls *t, char why[GR_TLS_WHY_BYTES]);

/* Positive: bytes decrypted. 0: needs more input. GR_E_CLOSED: the peer said goodbye. Other codes:
 * with a sentence in `why`. */
ptrdiff_t gr__tls_read(gr_tls *t, char *into, size_t room, char why[GR_TLS_WHY_BYTES]);

/* Is there input that read has not given out? (The mere beginning of a record may be missed.) */
bool gr__tls_pending(const gr_tls *t);

/* 0: all of `plain` was encrypted, and is sent or kept (gr__tls_blocked). Not while blocked. */
int gr__tls_write(gr_tls *t, gr_str plain);
bool gr__tls_blocked(const gr_tls *t); /* the kernel did not take everything */
int gr__tls_flush(gr_tls *t);          /* offer it again; 0 or -errno */
void gr__tls_goodbye(gr_tls *t);       /* close_notify, if the connection is in a state for it */

#endif
