/* Two clocks, two names. Samples use gr_clock_ns, read afresh each time; deadlines inside one loop
 * turn may use the loop's own tick (net/loop.h). The wall clock is for people and files only. */
#ifndef GR_BASE_CLOCK_H
#define GR_BASE_CLOCK_H

#include "base/base.h"

#include <time.h>

typedef int64_t gr_wall_ns; /* nanoseconds since 1970, UTC; may jump */

static inline gr_ns gr_clock_ns(void) { /* monotonic */
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (gr_ns)t.tv_sec * 1000000000u + (gr_ns)t.tv_nsec;
}
static inline gr_wall_ns gr_clock_wall_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (gr_wall_ns)t.tv_sec * 1000000000 + t.tv_nsec;
}

#endif
