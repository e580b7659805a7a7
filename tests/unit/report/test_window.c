/* The sliding window behind current percentiles. */
#include "test.h"

#include "report/window.c"

#include "base/err.h"

static gr_stats *delta_of(int64_t ms) {
    gr_stats *s = gr_stats_new();
    gr_sample sample = {ms * 1000000, GR_TIME_NONE, GR_TIME_NONE, GR_TIME_NONE, 0, 1};
    CHECK(s != NULL);
    gr_entry *e = gr_stats_entry(s, GR_STR("GET"), GR_STR("/"));
    CHECK_EQ(gr_stats_record(s, e, &sample), 0);
    return s;
}

static uint64_t requests_at(gr_window *w, gr_ns now) {
    gr_stats *s = gr_window_merged(w, now);
    CHECK(s != NULL);
    return gr_stats_total(s)->requests;
}

TEST(deltas_count_for_ten_seconds) {
    gr_window *w = gr_window_new();
    CHECK_EQ(requests_at(w, GR_S(100)), 0);
    CHECK_EQ(gr_window_push(w, delta_of(1), GR_S(100)), 0);
    CHECK_EQ(gr_window_push(w, delta_of(5), GR_S(104)), 0);
    CHECK_EQ(requests_at(w, GR_S(105)), 2);
    CHECK_EQ(requests_at(w, GR_S(110) - 1), 2);
    CHECK_EQ(requests_at(w, GR_S(110)), 1);
    gr_entry *e = gr_stats_find(gr_window_merged(w, GR_S(110)), GR_STR("GET"), GR_STR("/"));
    CHECK(e && gr_entry_max_ms(e) > 4.9 && gr_entry_min_ms(e) > 4.9);
    CHECK_EQ(requests_at(w, GR_S(114)), 0);
    gr_window_free(w);
}

TEST(clearing_forgets_everything) {
    gr_window *w = gr_window_new();
    CHECK_EQ(gr_window_push(w, delta_of(1), GR_S(100)), 0);
    CHECK_EQ(requests_at(w, GR_S(100)), 1);
    gr_window_clear(w);
    CHECK_EQ(requests_at(w, GR_S(100)), 0);
    CHECK(gr_stats_find(gr_window_merged(w, GR_S(100)), GR_STR("GET"), GR_STR("/")) == NULL);
    gr_window_free(w);
    gr_window_free(NULL);
}

TEST(too_many_deltas_share_the_newest_place) {
    gr_window *w = gr_window_new();
    for (unsigned i = 0; i < 2 * GR_WINDOW_DELTAS_MAX; i++)
        CHECK_EQ(gr_window_push(w, delta_of(1), GR_S(100) + GR_MS(i)), 0);
    CHECK_EQ(requests_at(w, GR_S(101)), 2 * GR_WINDOW_DELTAS_MAX);
    CHECK_EQ(requests_at(w, GR_S(110)), 2 * GR_WINDOW_DELTAS_MAX - 1);
    for (unsigned i = 0; i < GR_WINDOW_DELTAS_MAX; i++) /* the ring turns */
        CHECK_EQ(gr_window_push(w, delta_of(1), GR_S(110) + GR_MS(i)), 0);
    CHECK_EQ(requests_at(w, GR_S(115)), GR_WINDOW_DELTAS_MAX);
    gr_window_free(w);
}

TEST(each_failed_allocation_is_survived) {
    gr_window *w = NULL;
    for (uint64_t n = 0; !w && n < 100; n++)
        FAIL_ALLOC_AT(n) w = gr_window_new();
    CHECK(w != NULL);
    CHECK_EQ(gr_window_push(w, delta_of(1), GR_S(100)), 0);
    gr_stats *merged = NULL;
    for (uint64_t n = 0; !merged && n < 100; n++)
        FAIL_ALLOC_AT(n) merged = gr_window_merged(w, GR_S(101));
    CHECK(merged && gr_stats_total(merged)->requests == 1);
    gr_window_free(w);
}
