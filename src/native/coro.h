/* Stackful coroutines over Boost.Context, and the pool of their stacks. One thread owns both.
 *
 * A coroutine runs when it is resumed, until it parks itself or its function returns. Both sides
 * are plain C: a switch costs a few nanoseconds and no system call. */
#ifndef GR_NATIVE_CORO_H
#define GR_NATIVE_CORO_H

#include "base/base.h"

typedef struct gr_stack gr_stack; /* lies at the top of its own memory */

typedef struct gr_stacks {
    gr_stack *idle;     /* given back, their touched pages kept */
    size_t stack_bytes; /* usable; a guard page lies below */
    size_t page_bytes;
} gr_stacks;

void gr_stacks_init(gr_stacks *s);
void gr_stacks_deinit(gr_stacks *s); /* every coroutine must be stopped */

typedef void gr_coro_fn(void *arg);

typedef enum {
    GR_CORO_NONE, /* has no stack */
    GR_CORO_READY,
    GR_CORO_RUNNING,
    GR_CORO_PARKED,
    GR_CORO_OVER /* its function returned */
} gr_coro_state;

typedef struct gr_coro { /* zero, then gr_coro_start */
    void *context;       /* the side that is not running */
    gr_coro_fn *fn;
    void *arg;
    gr_stack *stack;
    gr_stacks *stacks;
    gr_coro_state state;
    void *asan_fake; /* the four below: AddressSanitizer's view of the two stacks */
    void *asan_host_fake;
    const void *asan_host_bottom;
    size_t asan_host_bytes;
} gr_coro;

/* Take a stack and make `fn(arg)` what the first resume runs. 0, or -errno when the system has no
 * more memory or mappings (Linux: vm.max_map_count; each stack takes two). */
int gr_coro_start(gr_coro *co, gr_stacks *stacks, gr_coro_fn *fn, void *arg);
/* Give the stack back, in any state but RUNNING: a parked coroutine never returns from the call in
 * which it parked. Idempotent. */
void gr_coro_stop(gr_coro *co);

void gr_coro_resume(gr_coro *co); /* READY or PARKED; returns when it is PARKED or OVER */
void gr_coro_park(gr_coro *co);   /* only inside `fn`; returns at the next resume */

#endif
