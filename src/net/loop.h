/* A libuv loop with what every connection and user on it shares: the read buffer, nanosecond
 * timers, resolved names, and things to destroy after the turn. One thread owns it.
 *
 * It can be run two ways: gr_loop_run blocks until gr_loop_stop (C scenarios); an outer loop
 * (gevent's) instead polls gr_loop_fd, and calls gr_loop_poll before it blocks, for at most the
 * returned time. */
#ifndef GR_NET_LOOP_H
#define GR_NET_LOOP_H

#include "base/base.h"
#include "base/list.h"

#include <uv.h>

typedef struct gr_loop gr_loop;

/* A one-shot timer, embedded in its owner. `cb` runs on the loop, never inside gr_timer_start; it
 * may restart or free its timer. Initialise with zeroes. */
typedef struct gr_timer gr_timer;
typedef void gr_timer_cb(gr_timer *t);
struct gr_timer {
    gr_timer_cb *cb;
    gr_ns due_at;  /* monotonic */
    uint32_t slot; /* index in the loop's heap + 1; 0: not started */
};

int gr_loop_new(gr_loop **lp);  /* 0 or a negative code */
void gr_loop_free(gr_loop *lp); /* every handle must be closed; runs pending closes to their end */

int gr_loop_run(gr_loop *lp);   /* blocks until gr_loop_stop */
void gr_loop_stop(gr_loop *lp); /* this loop's thread only */

int gr_loop_fd(const gr_loop *lp); /* readable when there is something to do */
/* One turn: run what is ready without blocking. Returns how long the caller may block, in
 * nanoseconds (0: something ran or is due, so call again; UINT64_MAX: until gr_loop_fd is
 * readable). */
gr_ns gr_loop_poll(gr_loop *lp);

uv_loop_t *gr_loop_uv(gr_loop *lp);
gr_ns gr_loop_now(const gr_loop *lp); /* start of this turn: for deadlines, not for samples */

/* (Re)start: due at the monotonic time `due_at`; a past time is moved to the end of this turn.
 * Accurate to the kernel's timer slack, not to milliseconds. Returns 0 or GR_E_NOMEM (only when the
 * heap must grow). */
int gr_timer_start(gr_loop *lp, gr_timer *t, gr_ns due_at);
void gr_timer_stop(gr_loop *lp, gr_timer *t);
static inline bool gr_timer_active(const gr_timer *t) {
    return t->slot != 0;
}

/* Call `fn(task)` once, at the start of the next turn or the end of this one; used so that a
 * callback never runs inside the call that started it, and memory outlives the stack that uses it.
 * The task is embedded in its owner; deferring a deferred task again is a no-op. */
typedef struct gr_task gr_task;
typedef void gr_task_fn(gr_task *t);
struct gr_task {
    gr_list link; /* gr_task_init makes it unlinked */
    gr_task_fn *fn;
};
static inline void gr_task_init(gr_task *t, gr_task_fn *fn) {
    gr_list_init(&t->link);
    t->fn = fn;
}
void gr_loop_defer(gr_loop *lp, gr_task *t);
static inline void gr_task_cancel(gr_task *t) {
    gr_list_remove(&t->link);
}

#endif
