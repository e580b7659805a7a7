/* The samples of report_golden.py as a gr_stats, and comparisons with what Locust printed for them. */
#ifndef GR_TEST_GOLDEN_H
#define GR_TEST_GOLDEN_H

#include "report/text.h"
#include "stats/stats.h"

#include "report_golden.inc"

#define GOLDEN_START ((gr_wall_ns)1700000000 * 1000000000)

static inline gr_stats *golden_stats(void) {
    gr_stats *s = gr_stats_new();
    CHECK(s != NULL);
    for (size_t i = 0; i < GR_LEN(GOLDEN_SAMPLES); i++)
        CHECK(gr_stats_entry(s, gr_str_c(GOLDEN_SAMPLES[i].method),
                             gr_str_c(GOLDEN_SAMPLES[i].name)) != NULL);
    gr_stats_reset(s, GOLDEN_START);
    for (size_t i = 0; i < GR_LEN(GOLDEN_SAMPLES); i++) {
        const struct golden_sample *g = &GOLDEN_SAMPLES[i];
        gr_entry *e = gr_stats_find(s, gr_str_c(g->method), gr_str_c(g->name));
        gr_sample sample = {.response_ns = g->ms < 0 ? GR_TIME_NONE : (int64_t)(g->ms * 1e6),
                            .service_ns = GR_TIME_NONE,
                            .due_ns = GR_TIME_NONE,
                            .lag_ns = GR_TIME_NONE,
                            .bytes = g->bytes,
                            .ended_at = GOLDEN_START + g->at_ms * 1000000};
        CHECK_EQ(gr_stats_record(s, e, &sample), 0);
        if (g->error) CHECK_EQ(gr_stats_fail(s, e, gr_str_c(g->error), sample.ended_at), 0);
    }
    return s;
}

static inline gr_stats *empty_stats(void) {
    gr_stats *s = gr_stats_new();
    CHECK(s != NULL);
    gr_stats_clear(s, GOLDEN_START);
    return s;
}

/* Compare and empty `t`. */
#define CHECK_TEXT(t, want)                                                                        \
    do {                                                                                           \
        CHECK_EQ((t)->rc, 0);                                                                      \
        CHECK_STR(gr_buf_str(&(t)->buf), want);                                                    \
        gr_text_clear(t);                                                                          \
    } while (0)

#endif
