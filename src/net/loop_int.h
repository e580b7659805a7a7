/* What the files of src/net share of a loop. */
#ifndef GR_NET_LOOP_INT_H
#define GR_NET_LOOP_INT_H

#include "net/loop.h"

typedef struct gr_dns_cache gr_dns_cache;

/* A heap entry repeats the due time, so that sifting touches the array only and not the timers. */
typedef struct gr_timer_slot {
    gr_ns due_at;
    gr_timer *t;
} gr_timer_slot;

struct gr_loop {
    uv_loop_t uv;
    gr_ns now;
    uint64_t work; /* counts callbacks that ran; equal before and after a round: nothing happened */
    gr_list tasks;
    gr_timer_slot *heap; /* 4-ary, earliest first */
    uint32_t heap_n, heap_cap;
    bool stopping, running;
    gr_ns armed_for; /* what the kernel's timer is set to; UINT64_MAX: nothing */
#ifdef __linux__
    int timer_fd;
    uv_poll_t timer_poll;
#else
    uv_timer_t timer;
    uv_async_t keep_alive;
#endif
    char *read_buf;   /* GR__READ_BYTES; valid from a read to the end of its callback */
    char *plain_buf;  /* GR__RECORD_BYTES of decrypted bytes; NULL until the first TLS connection */
    char *gather_buf; /* GR__RECORD_BYTES to be encrypted; likewise */
    gr_dns_cache *dns; /* NULL until the first lookup */
};

/* Shared by all connections, so its size costs nothing per user. */
#define GR__READ_BYTES   (GR_HOSTILE ? 23u : 65536u)
#define GR__RECORD_BYTES (GR_HOSTILE ? 37u : 16384u)

int gr__loop_tls_buffers(gr_loop *lp); /* allocate plain_buf and gather_buf; 0 or GR_E_NOMEM */

/* Something happened at `now`, a fresh reading of the clock. Called at the head of callbacks. */
static inline void gr__loop_tick(gr_loop *lp, gr_ns now) {
    lp->work++;
    lp->now = now;
}

void gr__dns_cache_free(gr_dns_cache *dns); /* loop only; lookups in flight must have ended */
void gr__dns_cancel_all(gr_dns_cache *dns); /* of the threads' queue, as far as not begun */

#endif
