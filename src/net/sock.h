/* A client's byte stream over TCP, or TLS over TCP: resolves, connects, reads into the loop's
 * shared buffer and sends without copying. Embedded in its owner; all calls and callbacks are the
 * loop thread's. No callback runs inside open or send, and every callback may close the stream. */
#ifndef GR_NET_SOCK_H
#define GR_NET_SOCK_H

#include "net/dns.h"
#include "net/loop.h"
#include "net/tls.h"

#include <sys/uio.h>

typedef struct gr_sock gr_sock;
struct gr_tls;

typedef struct gr_sock_ops {
    /* Once after gr_sock_open: connected and, with TLS, verified; or a code: -errno of the last
     * address tried, GR_E_DNS, GR_E_TLS, GR_E_TLS_VERIFY, GR_E_CLOSED, GR_E_NOMEM. `why` is a
     * sentence or NULL, valid during the call. */
    void (*opened)(gr_sock *s, int rc, const char *why);
    /* `bytes` are valid during the call; the last of them reached this machine at `arrived_at`. */
    void (*data)(gr_sock *s, gr_str bytes, gr_ns arrived_at);
    /* After a send that did not take everything, once more can be sent. */
    void (*writable)(gr_sock *s);
    /* Once, and no data after it. 0: the peer finished in an orderly way; GR_E_TRUNCATED: a TLS
     * peer left without saying so; -errno; GR_E_TLS. */
    void (*ended)(gr_sock *s, int rc, const char *why);
    /* After gr_sock_close, in a later turn: the memory may be freed. */
    void (*released)(gr_sock *s);
} gr_sock_ops;

typedef enum {
    GR_SOCK_NEW,
    GR_SOCK_RESOLVING,
    GR_SOCK_CONNECTING,
    GR_SOCK_HANDSHAKE,
    GR_SOCK_OPEN,
    GR_SOCK_ENDED, /* failed to open, or nothing more will be read */
    GR_SOCK_CLOSED
} gr_sock_state;

struct gr_sock { /* private; here so that owners can embed it */
    uv_poll_t poll;
    gr_loop *lp;
    const gr_sock_ops *ops;
    struct gr_tls *tls; /* NULL: plain */
    gr_addrs *addrs;    /* while connecting */
    gr_dns_query query;
    gr_task task; /* what must not run inside a call of the owner's */
    int fd;
    int rc; /* of the last address tried */
    uint16_t port;
    uint8_t addr_i; /* next one to try */
    uint8_t state;  /* gr_sock_state */
    uint8_t poll_state;
    uint8_t events; /* what libuv polls for */
    bool want_write, paused;
    bool hung_up; /* libuv stopped polling after POLLERR: what is left is read without it */
};

void gr_sock_init(gr_sock *s, gr_loop *lp, const gr_sock_ops *ops);
void gr_sock_open(gr_sock *s, gr_str host, uint16_t port, gr_tls_conf *tls /* NULL: plain */);
void gr_sock_close(gr_sock *s); /* once; in any state but NEW. TLS says goodbye if it can */

/* Returns how many bytes were taken; fewer than offered: `writable` will run. Negative: nothing
 * more can be sent, but the peer's answer may be waiting: `data` and `ended` still run (surely for
 * -EPIPE and -ECONNRESET). OPEN only. */
ptrdiff_t gr_sock_send(gr_sock *s, const struct iovec *pieces, int n);
/* Let `writable` run once more can be sent, although send took everything. OPEN only. */
void gr_sock_want_writable(gr_sock *s);
/* Bytes that send took have not reached the kernel yet (TLS only); `writable` will run. */
bool gr_sock_blocked(const gr_sock *s);

/* Stop or go on reading; stopping takes effect after the bytes that were just read. */
void gr_sock_pause(gr_sock *s, bool paused);

/* Open, and nothing more is known to come: neither bytes of the last read that were not given to
 * `data` yet (TLS records) nor an end that was announced. */
bool gr_sock_settled(const gr_sock *s);

/* Ask the kernel whether an idle stream is still good: no end, no error and, for plain streams, no
 * bytes that nobody asked for. */
bool gr_sock_idle_ok(const gr_sock *s);

#endif
