/* One HTTP/1.1 connection: carries one exchange at a time and waits idle in its session's pool in
 * between. It moves bytes and knows silence; what the bytes mean is exchange.c's business. */
#ifndef GR_HTTP_CONN_H
#define GR_HTTP_CONN_H

#include "base/list.h"
#include "http/session.h"
#include "http/url.h"
#include "net/sock.h"

struct gr_exchange_priv;

struct gr_conn {
    gr_sock sock;
    gr_list link;                /* session's `idle` or `busy`; unlinked once closed */
    struct gr_exchange_priv *xp; /* NULL: idle or closed */
    gr_timer silence; /* read timeout. Not touched by traffic: checks `active_at` when due */
    gr_ns active_at;  /* the peer took or gave bytes; or since when it is idle */
    gr_tls_conf *tls; /* a reference; NULL: plain */
    uint16_t port;
    uint8_t host_n;
    char host[];
};
static_assert(GR_URL_HOST_MAX <= UINT8_MAX, "host_n");

/* Open one to where `u` points and give it to `xp`. Never calls back. NULL: out of memory. */
gr_conn *gr__conn_open(gr_loop *lp, const gr_url *u, gr_tls_conf *tls, struct gr_exchange_priv *xp);
void gr__conn_close(gr_conn *c); /* unlinks, forgets its exchange; freed in a later turn */
bool gr__conn_matches(const gr_conn *c, const gr_url *u, const gr_tls_conf *tls);
bool gr__conn_good(const gr_conn *c, gr_ns now); /* idle: may it be used again? */

/* Begin sending xp's request on an open connection. Never calls back. */
void gr__conn_begin(gr_conn *c, struct gr_exchange_priv *xp);
void gr__conn_flush(gr_conn *c); /* send what can be sent of the request; never calls back */

/* The peer is to be waited for from `now` on: (re)start watching for silence. */
void gr__conn_watch(gr_conn *c, gr_ns now);

#endif
