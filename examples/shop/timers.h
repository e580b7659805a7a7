/* Requests that wait for a moment: a binary heap, earliest first. A request is in it at most once
 * and its connection is suspended meanwhile, so it cannot end while it is here. */
#ifndef SHOP_TIMERS_H
#define SHOP_TIMERS_H

#include "base/base.h"

struct request;

typedef struct timer {
    gr_ns due_at;
    struct request *request; /* borrowed */
} timer;

typedef struct timers {
    timer *heap;
    size_t n, cap;
} timers;

void timers_deinit(timers *t);
int timers_add(timers *t, gr_ns due_at, struct request *request); /* 0 or GR_E_NOMEM */
bool timers_next(const timers *t, gr_ns *due_at);                 /* false: nothing waits */
struct request *timers_pop(timers *t, gr_ns now);                 /* NULL: none is due yet */

#endif
