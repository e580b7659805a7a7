/* Stamps: near the wall clock, and moved by the monotonic one only. */
#include "test.h"

#include "base/clock.c"

TEST(a_stamp_is_near_the_wall_clock) {
    gr_wall_ns before = gr_clock_wall_ns(), stamp = gr_clock_stamp_now();
    CHECK(stamp >= before - (gr_wall_ns)GR_S(1) &&
          stamp <= gr_clock_wall_ns() + (gr_wall_ns)GR_S(1));
}

TEST(stamps_do_not_follow_a_clock_that_is_set) {
    gr_wall_ns at = gr_clock_stamp(GR_S(5));
    distance -= (gr_wall_ns)GR_S(3600); /* what a first call in the past would have measured */
    CHECK_EQ(gr_clock_stamp(GR_S(5)), at - (gr_wall_ns)GR_S(3600));
    CHECK_EQ(gr_clock_stamp(GR_S(5) + 1) - gr_clock_stamp(GR_S(5)), 1);
}
