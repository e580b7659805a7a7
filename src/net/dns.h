/* Names to addresses, without blocking. Literal addresses and names that were resolved within the
 * last second are answered at once; concurrent lookups of one name share one getaddrinfo, which
 * runs on libuv's thread pool. */
#ifndef GR_NET_DNS_H
#define GR_NET_DNS_H

#include "base/base.h"
#include "base/list.h"
#include "net/loop.h"

#include <netinet/in.h>

typedef union gr_addr {
    struct sockaddr sa;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
} gr_addr;

/* In getaddrinfo's order, port 0. Reference counted within the loop's thread. */
typedef struct gr_addrs {
    uint32_t refs, n;
    gr_addr at[];
} gr_addrs;

typedef struct gr_dns_query gr_dns_query;
/* rc 0: `addrs` is a reference that the callee owns. GR_E_DNS: `why` is the resolver's sentence. */
typedef void gr_dns_cb(gr_dns_query *q, int rc, gr_addrs *addrs, const char *why);
struct gr_dns_query { /* embedded in its owner; initialise with gr_dns_query_init */
    gr_list link;
    gr_dns_cb *cb;
};

static inline void gr_dns_query_init(gr_dns_query *q, gr_dns_cb *cb) {
    gr_list_init(&q->link);
    q->cb = cb;
}

/* 1: answered, *addrs is owned by the caller. 0: `q->cb` will run, unless cancelled. Negative: a
 * code, and `cb` will not run. Loop's thread only. */
int gr_dns_lookup(gr_loop *lp, gr_dns_query *q, gr_str host, gr_addrs **addrs);
static inline void gr_dns_cancel(gr_dns_query *q) {
    gr_list_remove(&q->link);
}
void gr_addrs_unref(gr_addrs *addrs); /* NULL is fine */
bool gr_addr_is_literal(gr_str host); /* an IPv4 or IPv6 address, without brackets */

#endif
