/* See clock.h. */
#include "base/clock.h"

#include <stdatomic.h>

static _Atomic gr_wall_ns distance; /* 0: not measured yet */

gr_wall_ns gr_clock_stamp(gr_ns monotonic) {
    gr_wall_ns d = atomic_load_explicit(&distance, memory_order_relaxed);
    if (d == 0) {
        gr_wall_ns measured = gr_clock_wall_ns() - (gr_wall_ns)gr_clock_ns();
        if (atomic_compare_exchange_strong(&distance, &d, measured)) d = measured;
    }
    return (gr_wall_ns)monotonic + d;
}
