/* The four built-in waits between tasks, as Locust computes them, plus the moment the next task is due.
 *
 * State is per user. constant_pacing does not catch up after an overrun: the wait is 0 then, and the schedule restarts
 * from the actual start; the due moment of that late task is still the planned one, so the delay shows. */
#ifndef GR_LOAD_PACING_H
#define GR_LOAD_PACING_H

#include "base/base.h"
#include "base/rand.h"

typedef enum { GR_WAIT_NONE, GR_WAIT_CONSTANT, GR_WAIT_BETWEEN, GR_WAIT_PACING } gr_wait_kind;

typedef struct gr_wait {
    gr_wait_kind kind;
    double a, b; /* seconds: constant a; between a and b; pacing period a (throughput r: 1/r) */
} gr_wait;

typedef struct gr_pacing { /* zero, then gr_pacing_init */
    gr_ns last_call_at;    /* creation at first */
    gr_ns last_wait_ns;
    gr_ns due_at; /* when the coming task should start; 0: not known (start of life) */
} gr_pacing;

void gr_pacing_init(gr_pacing *p, gr_ns now);
/* How long to wait from `now`; sets p->due_at. Never negative; NaN and negative settings count as 0. */
gr_ns gr_pacing_next(gr_pacing *p, const gr_wait *w, gr_rand *r, gr_ns now);

#endif
