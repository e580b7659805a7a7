/* The built-in waits, and when the next task is due. */
#include "test.h"

#include "load/pacing.c"

#include <math.h>

#define START GR_S(1000)

static gr_rand seeded(void) {
    gr_rand r;
    gr_rand_seed(&r, 7);
    return r;
}

static gr_ns once(gr_wait w) {
    gr_pacing p;
    gr_rand r = seeded();
    gr_pacing_init(&p, START);
    gr_ns wait = gr_pacing_next(&p, &w, &r, START);
    CHECK_EQ(p.due_at, START + wait);
    return wait;
}

TEST(a_new_user_has_no_due_moment) {
    gr_pacing p;
    gr_pacing_init(&p, START);
    CHECK_EQ(p.due_at, 0);
    CHECK_EQ(p.last_call_at, START);
    CHECK_EQ(p.last_wait_ns, 0);
}

TEST(no_wait_and_constant) {
    CHECK_EQ(once((gr_wait){GR_WAIT_NONE, 5, 5}), 0);
    CHECK_EQ(once((gr_wait){GR_WAIT_CONSTANT, 1.5, 0}), GR_MS(1500));
    CHECK_EQ(once((gr_wait){GR_WAIT_CONSTANT, 0.1, 0}), GR_MS(100));
    CHECK_EQ(once((gr_wait){GR_WAIT_CONSTANT, 0, 0}), 0);
}

TEST(nonsense_counts_as_zero_and_endless_is_bounded) {
    static const double BAD[] = {-1, -0.0, (double)NAN, -(double)INFINITY};
    for (size_t i = 0; i < GR_LEN(BAD); i++) {
        CHECK_EQ(once((gr_wait){GR_WAIT_CONSTANT, BAD[i], 0}), 0);
        CHECK_EQ(once((gr_wait){GR_WAIT_BETWEEN, BAD[i], BAD[i]}), 0);
        CHECK_EQ(once((gr_wait){GR_WAIT_PACING, BAD[i], 0}), 0);
    }
    CHECK_EQ(once((gr_wait){GR_WAIT_CONSTANT, (double)INFINITY, 0}), WAIT_NS_MAX);
    CHECK_EQ(once((gr_wait){GR_WAIT_CONSTANT, 1e300, 0}), WAIT_NS_MAX);
    CHECK_EQ(once((gr_wait){GR_WAIT_PACING, (double)INFINITY, 0}), WAIT_NS_MAX);
    (void)once((gr_wait){GR_WAIT_BETWEEN, 0,
                         (double)INFINITY}); /* 0 * infinity may be NaN: any wait, no trap */
}

TEST(between_stays_between_and_fills_the_range) {
    gr_wait w = {GR_WAIT_BETWEEN, 1, 3};
    gr_pacing p;
    gr_rand r = seeded();
    gr_ns least = UINT64_MAX, most = 0, sum = 0;
    gr_pacing_init(&p, START);
    for (int i = 0; i < 10000; i++) {
        gr_ns wait = gr_pacing_next(&p, &w, &r, START);
        CHECK(wait >= GR_S(1) && wait <= GR_S(3));
        CHECK_EQ(p.due_at, START + wait);
        least = GR_MIN(least, wait);
        most = GR_MAX(most, wait);
        sum += wait;
    }
    CHECK(least < GR_MS(1010) && most > GR_MS(2990));
    CHECK(sum / 10000 > GR_MS(1950) && sum / 10000 < GR_MS(2050));
}

TEST(between_takes_its_limits_in_either_order) {
    gr_wait w = {GR_WAIT_BETWEEN, 3, 1};
    gr_pacing p;
    gr_rand r = seeded();
    gr_pacing_init(&p, START);
    for (int i = 0; i < 1000; i++) {
        gr_ns wait = gr_pacing_next(&p, &w, &r, START);
        CHECK(wait >= GR_S(1) && wait <= GR_S(3));
    }
}

TEST(pacing_keeps_the_rhythm) {
    static const gr_ns RUN[] = {GR_MS(100), GR_MS(900), 0, GR_MS(999), GR_S(1)};
    gr_wait w = {GR_WAIT_PACING, 1, 0};
    gr_pacing p;
    gr_rand r = seeded();
    gr_ns start = START; /* of the task that runs */
    gr_pacing_init(&p, START);
    for (size_t i = 0; i < GR_LEN(RUN); i++) {
        gr_ns wait = gr_pacing_next(&p, &w, &r, start + RUN[i]);
        CHECK_EQ(wait, GR_S(1) - RUN[i]);
        start += GR_S(1);
        CHECK_EQ(p.due_at, start);
    }
}

TEST(pacing_does_not_catch_up_but_shows_the_delay) {
    gr_wait w = {GR_WAIT_PACING, 1, 0};
    gr_pacing p;
    gr_rand r = seeded();
    gr_pacing_init(&p, START);
    gr_ns late = START + GR_MS(2500);
    CHECK_EQ(gr_pacing_next(&p, &w, &r, late), 0);
    CHECK_EQ(p.due_at, START + GR_S(1)); /* a second and a half ago */
    CHECK_EQ(gr_pacing_next(&p, &w, &r, late + GR_MS(200)), GR_MS(800));
    CHECK_EQ(p.due_at, late + GR_S(1));
}

TEST(pacing_counts_a_late_wake_up_against_the_next_wait) {
    gr_wait w = {GR_WAIT_PACING, 1, 0};
    gr_pacing p;
    gr_rand r = seeded();
    gr_pacing_init(&p, START);
    CHECK_EQ(gr_pacing_next(&p, &w, &r, START + GR_MS(400)), GR_MS(600));
    /* Woken 50 ms late, then ran 100 ms: the next start is still planned at 2 s. */
    CHECK_EQ(gr_pacing_next(&p, &w, &r, START + GR_MS(1150)), GR_MS(850));
    CHECK_EQ(p.due_at, START + GR_S(2));
}

TEST(pacing_called_twice_waits_longer_as_in_locust) {
    gr_wait w = {GR_WAIT_PACING, 1, 0};
    gr_pacing p;
    gr_rand r = seeded();
    gr_pacing_init(&p, START);
    CHECK_EQ(gr_pacing_next(&p, &w, &r, START), GR_S(1));
    CHECK_EQ(gr_pacing_next(&p, &w, &r, START), GR_S(2));
}

TEST(pacing_state_survives_another_kind_of_wait) {
    gr_wait w = {GR_WAIT_PACING, 1, 0}, constant = {GR_WAIT_CONSTANT, 5, 0};
    gr_pacing p;
    gr_rand r = seeded();
    gr_pacing_init(&p, START);
    (void)gr_pacing_next(&p, &constant, &r, START);
    CHECK_EQ(gr_pacing_next(&p, &w, &r, START + GR_MS(300)), GR_MS(700));
}
