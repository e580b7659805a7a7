/* Requests per second over time, and what happens when it is full. */
#include "test.h"

#include "stats/series.c"

#include "base/rand.h"

static void add(gr_series *s, int64_t second, uint32_t requests, uint32_t failures) {
    gr_second at = {second, requests, failures};
    CHECK_EQ(gr__series_add(s, &at), 0);
}

static void check_sorted(const gr_series *s) {
    CHECK(s->n <= s->cap && s->n <= GR_SERIES_SECONDS_MAX);
    for (size_t i = 1; i < s->n; i++)
        CHECK(s->at[i - 1].second < s->at[i].second);
}

TEST(seconds_are_kept_sorted_whatever_their_order) {
    gr_series s = {0};
    add(&s, 10, 1, 0);
    add(&s, 10, 1, 0);
    add(&s, 12, 1, 1);
    add(&s, 11, 5, 0);
    add(&s, 2, 1, 0);
    add(&s, 10, 0, 1);
    check_sorted(&s);
    CHECK_EQ(s.n, 4);
    CHECK_EQ(s.at[1].requests, 2);
    CHECK_EQ(s.at[1].failures, 1);
    CHECK_EQ(gr__series_sum(&s, 10, 11, false), 7);
    CHECK_EQ(gr__series_sum(&s, 0, 99, true), 2);
    CHECK_EQ(gr__series_sum(&s, 3, 9, false), 0);
    gr__series_deinit(&s);
}

#define SPAN 300

TEST(merging_agrees_with_a_model) {
    gr_rand r;
    gr_rand_seed(&r, 5);
    for (int round = 0; round < 200; round++) {
        uint32_t model[SPAN][2] = {{0}};
        gr_series parts[2] = {{0}};
        size_t span = 1 + gr_rand_below(&r, SPAN);
        for (int p = 0; p < 2; p++) {
            for (uint64_t n = gr_rand_below(&r, 100); n > 0; n--) {
                size_t second = gr_rand_below(&r, span);
                uint32_t failed = gr_rand_below(&r, 2) ? 1 : 0;
                add(&parts[p], (int64_t)second, 1, failed);
                model[second][0]++;
                model[second][1] += failed;
            }
        }
        CHECK_EQ(gr__series_merge(&parts[0], &parts[1]), 0);
        check_sorted(&parts[0]);
        size_t n = 0;
        for (size_t second = 0; second < span; second++) {
            if (model[second][0] == 0) continue;
            CHECK(n < parts[0].n);
            CHECK_EQ(parts[0].at[n].second, second);
            CHECK_EQ(parts[0].at[n].requests, model[second][0]);
            CHECK_EQ(parts[0].at[n].failures, model[second][1]);
            n++;
        }
        CHECK_EQ(parts[0].n, n);
        gr__series_deinit(&parts[0]);
        gr__series_deinit(&parts[1]);
    }
}

TEST(a_full_series_forgets_its_oldest_eighth) {
    gr_series s = {0};
    for (int64_t t = 0; t < GR_SERIES_SECONDS_MAX; t++)
        add(&s, t, 1, 0);
    CHECK_EQ(s.n, GR_SERIES_SECONDS_MAX);
    add(&s, GR_SERIES_SECONDS_MAX, 1, 0);
    CHECK_EQ(s.n, KEEP_SECONDS);
    CHECK_EQ(s.at[s.n - 1].second, GR_SERIES_SECONDS_MAX);
    check_sorted(&s);
    add(&s, 0, 1, 0); /* old, but there is room */
    CHECK_EQ(s.at[0].second, 0);
    gr__series_deinit(&s);
}

TEST(merging_two_full_series_keeps_the_newest) {
    gr_series a = {0}, b = {0};
    for (int64_t t = 0; t < GR_SERIES_SECONDS_MAX; t++) {
        add(&a, 2 * t, 1, 0);
        add(&b, 2 * t + 1, 1, 0);
    }
    CHECK_EQ(gr__series_merge(&a, &b), 0);
    check_sorted(&a);
    CHECK_EQ(a.n, KEEP_SECONDS);
    CHECK_EQ(a.at[a.n - 1].second, 2 * GR_SERIES_SECONDS_MAX - 1);
    gr__series_deinit(&a);
    gr__series_deinit(&b);
}

TEST(counts_stop_at_the_largest_instead_of_wrapping) {
    gr_series a = {0}, b = {0};
    add(&a, 1, UINT32_MAX - 1, 0);
    add(&a, 1, 5, 0);
    CHECK_EQ(a.at[0].requests, UINT32_MAX);
    add(&b, 1, 5, 5);
    CHECK_EQ(gr__series_merge(&a, &b), 0);
    CHECK_EQ(a.at[0].requests, UINT32_MAX);
    CHECK_EQ(a.at[0].failures, 5);
    gr__series_deinit(&a);
    gr__series_deinit(&b);
}

TEST(out_of_memory_changes_nothing) {
    gr_series s = {0};
    gr_second at = {1, 1, 0};
    FAIL_ALLOC_AT(0) CHECK_EQ(gr__series_add(&s, &at), GR_E_NOMEM);
    CHECK_EQ(s.n, 0);
    add(&s, 1, 1, 0);
    uint64_t before = gr__alloc_calls();
    add(&s, 1, 1, 0);
    CHECK_EQ(gr__alloc_calls(), before);
    gr__series_deinit(&s);
}
