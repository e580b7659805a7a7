/* Figures derived from one row: rates, means, medians. */
#include "test.h"

#include "stats/entry.c"

#define T0 GR_S(1000) /* start of the test, wall clock */

static gr_entry entry(void) {
    gr_entry e;
    gr__entry_init(&e, GR_STR("GET"), GR_STR("/"), T0);
    return e;
}

static gr_sample took_ms(double ms, gr_wall_ns ended_at) {
    return (gr_sample){(int64_t)(ms * 1e6), GR_TIME_NONE, GR_TIME_NONE, GR_TIME_NONE, 10, ended_at};
}

static void record(gr_entry *e, double ms, gr_wall_ns ended_at) {
    gr_sample s = took_ms(ms, ended_at);
    CHECK_EQ(gr__entry_record(e, &s), 0);
}

#define CHECK_NEAR(a, b) cr_assert_float_eq(a, b, 1e-9, "%s is %.12g, expected %.12g", #a, a, b)

TEST(an_empty_entry_is_all_zero) {
    gr_entry e = entry();
    CHECK_NEAR(gr_entry_fail_ratio(&e), 0.0);
    CHECK_NEAR(gr_entry_mean_ms(&e), 0.0);
    CHECK_NEAR(gr_entry_median_ms(&e), 0.0);
    CHECK_NEAR(gr_entry_min_ms(&e), 0.0);
    CHECK_NEAR(gr_entry_max_ms(&e), 0.0);
    CHECK_NEAR(gr_entry_mean_bytes(&e), 0.0);
    CHECK_NEAR(gr_entry_total_rate(&e, &e, false), 0.0);
    CHECK_NEAR(gr_entry_current_rate(&e, &e, true), 0.0);
    gr__entry_deinit(&e);
}

TEST(times_are_in_milliseconds_and_exact) {
    gr_entry e = entry();
    record(&e, 147, T0);
    CHECK_NEAR(gr_entry_median_ms(&e), 147.0);
    record(&e, 0.25, T0);
    cr_assert_float_eq(gr_entry_median_ms(&e), 0.25, 0.25 / 1024); /* the lower middle */
    CHECK_NEAR(gr_entry_min_ms(&e), 0.25);
    CHECK_NEAR(gr_entry_max_ms(&e), 147.0);
    CHECK_NEAR(gr_entry_mean_ms(&e), 73.625);
    CHECK_NEAR(gr_entry_mean_bytes(&e), 10.0);
    gr__entry_deinit(&e);
}

TEST(requests_without_a_time_count_but_have_none) {
    gr_entry e = entry();
    gr_sample none = took_ms(0, T0);
    none.response_ns = GR_TIME_NONE;
    record(&e, 30, T0);
    CHECK_EQ(gr__entry_record(&e, &none), 0);
    CHECK_EQ(e.requests, 2);
    CHECK_EQ(e.none_requests, 1);
    CHECK_EQ(e.response.count, 1);
    CHECK_EQ(e.service.count, 0);
    CHECK_NEAR(gr_entry_mean_ms(&e), 30.0);
    gr__entry_deinit(&e);
}

TEST(each_kind_of_time_has_its_own_histogram) {
    gr_entry e = entry();
    gr_sample s = {1000, 900, 1200, 200, 1, T0};
    CHECK_EQ(gr__entry_record(&e, &s), 0);
    CHECK_EQ(e.response.max, 1000);
    CHECK_EQ(e.service.max, 900);
    CHECK_EQ(e.due.max, 1200);
    CHECK_EQ(e.lag.max, 200);
    gr__entry_deinit(&e);
}

TEST(fail_ratio_may_exceed_one) {
    gr_entry e = entry();
    CHECK_EQ(gr__entry_fail(&e, T0), 0);
    CHECK_NEAR(gr_entry_fail_ratio(&e), 1.0); /* failures, but no requests */
    CHECK_EQ(gr__entry_fail(&e, T0), 0);
    record(&e, 1, T0);
    CHECK_NEAR(gr_entry_fail_ratio(&e), 2.0);
    record(&e, 1, T0);
    record(&e, 1, T0);
    record(&e, 1, T0);
    CHECK_NEAR(gr_entry_fail_ratio(&e), 0.5);
    gr__entry_deinit(&e);
}

TEST(total_rate_uses_the_time_span_of_the_total) {
    gr_entry e = entry(), total = entry();
    for (int i = 0; i < 30; i++)
        record(&e, 1, T0 + GR_S(1));
    CHECK_EQ(gr__entry_fail(&e, T0 + GR_S(1)), 0);
    record(&total, 1, T0 + GR_S(20));
    CHECK_NEAR(gr_entry_total_rate(&e, &total, false), 1.5);
    CHECK_NEAR(gr_entry_total_rate(&e, &total, true), 0.05);
    total.last_request_at = T0; /* no span at all */
    CHECK_NEAR(gr_entry_total_rate(&e, &total, false), 0.0);
    gr__entry_deinit(&e);
    gr__entry_deinit(&total);
}

TEST(current_rate_looks_at_ten_seconds_up_to_three_ago) {
    gr_entry e = entry(), total = entry();
    gr_wall_ns newest = T0 + GR_S(100);
    for (int ago = 0; ago < 20; ago++) /* ago + 1 requests in each second */
        for (int n = 0; n <= ago; n++)
            record(&e, 1, newest - (gr_wall_ns)GR_S(ago) + 999999999);
    CHECK_EQ(gr__entry_fail(&e, newest - (gr_wall_ns)GR_S(3)), 0);
    CHECK_EQ(gr__entry_fail(&e, newest - (gr_wall_ns)GR_S(2)), 0); /* outside */
    record(&total, 1, newest);
    CHECK_NEAR(gr_entry_current_rate(&e, &total, false), 8.5); /* (4 + ... + 13) / 10 */
    CHECK_NEAR(gr_entry_current_rate(&e, &total, true), 0.1);
    gr__entry_deinit(&e);
    gr__entry_deinit(&total);
}

TEST(current_rate_of_a_young_test_uses_fewer_seconds) {
    gr_entry e = entry();
    record(&e, 1, T0);
    CHECK_NEAR(gr_entry_current_rate(&e, &e, false), 0.0); /* nothing is three seconds old */
    record(&e, 1, T0 + GR_S(2));
    CHECK_NEAR(gr_entry_current_rate(&e, &e, false), 0.0);
    record(&e, 1, T0 + GR_S(4));
    CHECK_NEAR(gr_entry_current_rate(&e, &e, false), 0.5); /* seconds 0 and 1 */
    gr__entry_deinit(&e);
}

TEST(merge_adds_counts_and_widens_times) {
    gr_entry a = entry(), b = entry();
    record(&a, 10, T0 + GR_S(5));
    record(&b, 30, T0 + GR_S(9));
    record(&b, 20, T0 + GR_S(5));
    CHECK_EQ(gr__entry_fail(&b, T0 + GR_S(5)), 0);
    b.started_at = T0 - (gr_wall_ns)GR_S(1);
    CHECK_EQ(gr__entry_merge(&a, &b), 0);
    CHECK_EQ(a.requests, 3);
    CHECK_EQ(a.failures, 1);
    CHECK_EQ(a.bytes, 30);
    CHECK_EQ(a.started_at, T0 - (gr_wall_ns)GR_S(1));
    CHECK_EQ(a.last_request_at, T0 + GR_S(9));
    CHECK_EQ(a.series.n, 2);
    CHECK_EQ(a.series.at[0].requests, 2);
    CHECK_NEAR(gr_entry_mean_ms(&a), 20.0);
    CHECK_NEAR(gr_entry_max_ms(&a), 30.0);
    gr__entry_deinit(&a);
    gr__entry_deinit(&b);
}

TEST(reset_zeroes_figures_and_moves_the_start) {
    gr_entry e = entry();
    record(&e, 10, T0);
    CHECK_EQ(gr__entry_fail(&e, T0), 0);
    gr__entry_reset(&e, T0 + 5);
    CHECK_EQ(e.requests + e.failures + e.bytes + e.none_requests, 0);
    CHECK_EQ(e.started_at, T0 + 5);
    CHECK_EQ(e.last_request_at, 0);
    CHECK_EQ(e.series.n, 0);
    CHECK_EQ(e.response.count, 0);
    CHECK_STR(e.name, "/");
    gr__entry_deinit(&e);
}

TEST(a_sample_without_memory_is_counted) {
    bool failed = true;
    for (uint64_t n = 0; failed; n++) {
        gr_entry e = entry();
        gr_sample s = {1000, 900, 1200, 200, 1, T0};
        int rc = 0;
        CHECK(n < 10);
        FAIL_ALLOC_AT(n) rc = gr__entry_record(&e, &s);
        failed = rc == GR_E_NOMEM;
        CHECK(failed || rc == 0);
        CHECK_EQ(e.requests, 1);
        CHECK_EQ(e.response.count + e.service.count + e.due.count + e.lag.count, 4);
        CHECK_EQ(e.series.n, n == 4 ? 0 : 1);
        gr__entry_deinit(&e);
    }
}

TEST(buckets_are_locusts) {
    static const double VECTORS[][2] = {
        {0.5, 0},       {1.5, 2},     {2.5, 2},      {99.5, 100},    {105, 100},
        {115, 120},     {145, 140},   {147, 150},    {995, 1000},    {1050, 1000},
        {1051, 1100},   {3432, 3400}, {9950, 10000}, {10500, 10000}, {11500, 12000},
        {58760, 59000}, {0, 0},       {99.4, 99},    {1e9, 1e9}};
    for (size_t i = 0; i < GR_LEN(VECTORS); i++)
        CHECK_NEAR(gr_bucket_ms(VECTORS[i][0]), VECTORS[i][1]);
}
