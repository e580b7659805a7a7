/* Reports, orders and the hand-over of a shard: nothing is counted twice or lost. */
#include "test.h"

#include "load/link.c"

static const gr_sample SAMPLE = {GR_MS(5), GR_MS(4), GR_MS(6), GR_MS(1), 100, GR_S(50)};

static void record(gr_shard *s, unsigned times) {
    gr_entry *e = gr_stats_entry(s->delta, GR_STR("GET"), GR_STR("/"));
    CHECK(e != NULL);
    for (unsigned i = 0; i < times; i++)
        CHECK_EQ(gr_stats_record(s->delta, e, &SAMPLE), 0);
}

static uint64_t requests(gr_stats *s) {
    return gr_stats_total(s)->requests;
}

TEST(states_have_locusts_names) {
    static const char *const NAMES[] = {"ready",   "spawning", "running",
                                        "cleanup", "stopping", "stopped"};
    for (int i = 0; i <= GR_RUN_STOPPED; i++)
        cr_assert_str_eq(gr_run_state_name((gr_run_state)i), NAMES[i]);
}

TEST(messages_are_made_empty_and_freed) {
    gr_report *r = gr_report_new(GR_REPORT_RESET);
    CHECK(r && r->kind == GR_REPORT_RESET && !r->delta && r->loop_lag.count == 0);
    CHECK(!gr_list_linked(&r->mail.link));
    gr_report_free(r);
    gr_order *o = gr_order_new(GR_ORDER_USERS);
    CHECK(o && o->kind == GR_ORDER_USERS && o->users_change == 0);
    CHECK(!gr_list_linked(&o->mail.link));
    gr_order_free(o);
    gr_report_free(NULL);
    gr_order_free(NULL);
    FAIL_ALLOC_AT(0) CHECK(!gr_report_new(GR_REPORT_DELTA));
    FAIL_ALLOC_AT(0) CHECK(!gr_order_new(GR_ORDER_STOP));
}

TEST(hand_over_moves_the_delta_and_keeps_the_sum) {
    gr_shard s;
    CHECK_EQ(gr_shard_init(&s), 0);
    record(&s, 3);
    CHECK_EQ(gr_hist_record(&s.loop_lag, GR_US(7)), 0);
    gr_report *r = gr_shard_hand_over(&s, GR_REPORT_DELTA);
    CHECK(r && r->kind == GR_REPORT_DELTA);
    CHECK_EQ(requests(r->delta), 3);
    CHECK_EQ(requests(s.all), 3);
    CHECK_EQ(r->loop_lag.count, 1);
    CHECK_EQ(r->loop_lag.max, GR_US(7));
    CHECK_EQ(s.loop_lag.count, 0);
    CHECK(gr_stats_empty(s.delta));
    gr_report_free(r);

    record(&s, 2);
    r = gr_shard_hand_over(&s, GR_REPORT_FINAL);
    CHECK(r && r->kind == GR_REPORT_FINAL);
    CHECK_EQ(requests(r->delta), 2);
    CHECK_EQ(requests(s.all), 5);
    gr_report_free(r);
    gr_shard_deinit(&s);
    gr_shard_deinit(NULL);
}

TEST(init_survives_each_failed_allocation) {
    gr_shard s;
    int rc = GR_E_NOMEM;
    for (uint64_t n = 0; rc == GR_E_NOMEM; n++) {
        CHECK(n < 10);
        FAIL_ALLOC_AT(n) rc = gr_shard_init(&s);
    }
    CHECK_EQ(rc, 0);
    gr_shard_deinit(&s);
}

static void no_sink(void *ctx, gr_log_level level, const char *logger, const char *text) {
    (void)logger, (void)text;
    CHECK_EQ(level, GR_LOG_ERROR);
    ++*(int *)ctx;
}

/* Either nothing happened, or everything was handed over exactly once. */
TEST(hand_over_never_counts_twice_when_memory_is_short) {
    bool failed = true;
    int complaints = 0;
    gr_log_set_thread_sink(no_sink, &complaints);
    for (uint64_t n = 0; failed; n++) {
        gr_shard s;
        gr_report *r = NULL;
        CHECK(n < 100);
        CHECK_EQ(gr_shard_init(&s), 0);
        record(&s, 4);
        uint64_t before = gr__alloc_calls();
        FAIL_ALLOC_AT(n) r = gr_shard_hand_over(&s, GR_REPORT_DELTA);
        failed = gr__alloc_calls() - before > n;
        if (r)
            CHECK_EQ(requests(r->delta), 4);
        else
            CHECK_EQ(requests(s.delta), 4);
        CHECK_EQ(requests(s.all), r ? 4 : 0);
        gr_report_free(r);
        gr_shard_deinit(&s);
    }
    CHECK(complaints > 0);
    gr_log_set_thread_sink(NULL, NULL);
}
