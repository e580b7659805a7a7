/* Two clocks, two names. Samples use gr_clock_ns, read afresh each time; deadlines inside one loop
 * turn may use the loop's own tick (net/loop.h). The wall clock is for people and files only; statistics, in which
 * moments are compared and subtracted, have gr_clock_stamp, which does not follow when somebody sets it. */
#ifndef GR_BASE_CLOCK_H
#define GR_BASE_CLOCK_H

#include "base/base.h"

#include <time.h>

typedef int64_t gr_wall_ns; /* nanoseconds since 1970, UTC */

static inline gr_ns gr_clock_ns(void) { /* monotonic */
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (gr_ns)t.tv_sec * 1000000000u + (gr_ns)t.tv_nsec;
}
static inline gr_wall_ns gr_clock_wall_ns(void) { /* may jump */
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (gr_wall_ns)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* The wall clock's time at a reading of the monotonic one, by the distance that both had when this was first called
 * in the process. Any thread. */
gr_wall_ns gr_clock_stamp(gr_ns monotonic);
static inline gr_wall_ns gr_clock_stamp_now(void) {
    return gr_clock_stamp(gr_clock_ns());
}

#endif
