/* Recording, merging and resetting a shard, with every allocation made to fail. */
#include "test.h"

#include "stats/stats.c"

#include "base/rand.h"

#include <stdio.h>

static gr_stats *stats(void) {
    gr_stats *s = gr_stats_new();
    CHECK(s != NULL);
    return s;
}

static gr_sample sample(int64_t ns, gr_wall_ns ended_at) {
    return (gr_sample){ns, ns, ns, ns / 10, 7, ended_at};
}

static void record(gr_stats *s, const char *method, const char *name, gr_ns ns) {
    gr_sample one = sample((int64_t)ns, GR_S(50));
    gr_entry *e = gr_stats_entry(s, gr_str_c(method), gr_str_c(name));
    CHECK(e != NULL);
    CHECK_EQ(gr_stats_record(s, e, &one), 0);
}

TEST(an_entry_is_found_again) {
    gr_stats *s = stats();
    gr_entry *e = gr_stats_entry(s, GR_STR("GET"), GR_STR("/a"));
    CHECK(e != NULL);
    CHECK(gr_stats_entry(s, GR_STR("GET"), GR_STR("/a")) == e);
    CHECK(gr_stats_find(s, GR_STR("GET"), GR_STR("/a")) == e);
    CHECK(!gr_stats_find(s, GR_STR("GET"), GR_STR("/b")));
    CHECK(!gr_stats_find(s, GR_STR("PUT"), GR_STR("/a")));
    CHECK(gr_stats_entry(s, GR_STR("GET/"), GR_STR("a")) != e); /* no confusion by joining */
    CHECK(gr_stats_entry(s, (gr_str){NULL, 0}, (gr_str){NULL, 0}) != e);
    CHECK_STR(e->method, "GET");
    CHECK_STR(e->name, "/a");
    CHECK(e->method.p[3] == '\0' && e->name.p[2] == '\0');
    CHECK_STR(gr_stats_total(s)->name, "Aggregated");
    CHECK_STR(gr_stats_total(s)->method, "");
    gr_stats_free(s);
    gr_stats_free(NULL);
}

TEST(pointers_stay_valid_while_rows_are_added) {
    gr_stats *s = stats();
    gr_entry *first = gr_stats_entry(s, GR_STR("GET"), GR_STR("0"));
    char name[16];
    for (int i = 0; i < 2000; i++) {
        snprintf(name, sizeof name, "%d", i);
        record(s, i % 2 ? "POST" : "GET", name, (gr_ns)i);
    }
    CHECK(gr_stats_find(s, GR_STR("GET"), GR_STR("0")) == first);
    CHECK_EQ(first->requests, 1);
    CHECK_EQ(gr_stats_total(s)->requests, 2000);
    gr_stats_free(s);
}

TEST(a_request_counts_in_its_entry_and_in_the_total) {
    gr_stats *s = stats();
    record(s, "GET", "/a", GR_MS(5));
    record(s, "GET", "/b", GR_MS(15));
    gr_entry *b = gr_stats_find(s, GR_STR("GET"), GR_STR("/b"));
    CHECK_EQ(gr_stats_fail(s, b, GR_STR("bad"), GR_S(50)), 0);
    CHECK_EQ(b->requests, 1);
    CHECK_EQ(b->failures, 1);
    CHECK_EQ(gr_stats_total(s)->requests, 2);
    CHECK_EQ(gr_stats_total(s)->failures, 1);
    CHECK_EQ(gr_stats_total(s)->bytes, 14);
    CHECK_EQ(gr_stats_total(s)->response.min, GR_MS(5));
    CHECK_EQ(gr_stats_total(s)->series.n, 1);
    CHECK_EQ(gr_stats_total(s)->series.at[0].requests, 2);
    CHECK_EQ(gr_stats_total(s)->series.at[0].failures, 1);
    gr_stats_free(s);
}

TEST(a_warm_entry_allocates_nothing) {
    gr_stats *s = stats();
    for (int i = 0; i < 100; i++)
        record(s, "GET", "/", GR_MS(i));
    uint64_t before = gr__alloc_calls();
    for (int i = 0; i < 1000; i++)
        record(s, "GET", "/", GR_MS(i % 100));
    CHECK_EQ(gr__alloc_calls(), before);
    gr_stats_free(s);
}

static void check_total_is_sum(const gr_stats *s) {
    gr_hist sum;
    uint64_t requests = 0, failures = 0;
    gr_hist_init(&sum);
    for (size_t i = 0; i < s->rows.n; i++) {
        const gr_entry *e = s->rows.at[i];
        requests += e->requests;
        failures += e->failures;
        CHECK_EQ(gr_hist_merge(&sum, &e->response), 0);
    }
    CHECK_EQ(requests, s->total.requests);
    CHECK_EQ(failures, s->total.failures);
    CHECK_EQ(sum.count, s->total.response.count);
    for (int p = 0; p <= 100; p++)
        CHECK_EQ(gr_hist_percentile(&sum, p / 100.0),
                 gr_hist_percentile(&s->total.response, p / 100.0));
    gr_hist_deinit(&sum);
}

static void check_same_rows(const gr_stats *a, const gr_stats *b) {
    CHECK_EQ(a->rows.n, b->rows.n);
    for (size_t i = 0; i < a->rows.n; i++) {
        const gr_entry *x = a->rows.at[i], *y = gr_stats_find(b, x->method, x->name);
        CHECK(y != NULL);
        CHECK_EQ(x->requests, y->requests);
        CHECK_EQ(x->failures, y->failures);
        CHECK_EQ(x->bytes, y->bytes);
        CHECK_EQ(x->lag.max, y->lag.max);
        CHECK_EQ(gr_hist_percentile(&x->due, 0.9), gr_hist_percentile(&y->due, 0.9));
        CHECK_EQ(((const gr__row *)x)->errors.n, ((const gr__row *)y)->errors.n);
    }
}

TEST(merged_shards_equal_one_shard) {
    static const char *const METHODS[] = {"GET", "POST", "WS"};
    gr_stats *one = stats(), *parts[3] = {stats(), stats(), stats()}, *sum = stats();
    gr_rand r;
    gr_rand_seed(&r, 11);
    for (int i = 0; i < 3000; i++) {
        char name[8], text[16];
        gr_stats *both[] = {one, parts[gr_rand_below(&r, 3)]};
        const char *method = METHODS[gr_rand_below(&r, 3)];
        gr_sample s = sample((int64_t)gr_rand_below(&r, GR_S(3)), (gr_wall_ns)GR_S(100 + i / 50));
        bool failed = gr_rand_below(&r, 10) == 0;
        snprintf(name, sizeof name, "/%d", (int)gr_rand_below(&r, 20));
        snprintf(text, sizeof text, "error %d", (int)gr_rand_below(&r, 5));
        for (int b = 0; b < 2; b++) {
            gr_entry *e = gr_stats_entry(both[b], gr_str_c(method), gr_str_c(name));
            CHECK_EQ(gr_stats_record(both[b], e, &s), 0);
            if (failed) CHECK_EQ(gr_stats_fail(both[b], e, gr_str_c(text), s.ended_at), 0);
        }
    }
    for (int p = 0; p < 3; p++)
        CHECK_EQ(gr_stats_merge(sum, parts[p]), 0);
    check_same_rows(sum, one);
    check_same_rows(one, sum);
    check_total_is_sum(sum);
    CHECK_EQ(sum->total.series.n, one->total.series.n);
    CHECK_EQ(sum->errors.n, one->errors.n);
    for (int p = 0; p < 3; p++)
        gr_stats_free(parts[p]);
    gr_stats_free(one);
    gr_stats_free(sum);
}

TEST(interrupted_requests_are_counted_apart) {
    gr_stats *a = stats(), *b = stats();
    CHECK(gr_stats_empty(a));
    gr_stats_interrupted(a, 2);
    gr_stats_interrupted(b, 3);
    CHECK_EQ(gr_stats_merge(a, b), 0);
    CHECK_EQ(gr_stats_interrupted_count(a), 5);
    CHECK(!gr_stats_empty(a));
    CHECK_EQ(gr_stats_total(a)->failures, 0);
    gr_stats_free(a);
    gr_stats_free(b);
}

TEST(reset_keeps_rows_and_exceptions) {
    gr_stats *s = stats();
    gr_error **errors;
    record(s, "GET", "/", 5);
    gr_entry *e = gr_stats_find(s, GR_STR("GET"), GR_STR("/"));
    CHECK_EQ(gr_stats_fail(s, e, GR_STR("bad"), 1), 0);
    CHECK_EQ(gr_stats_exception(s, GR_STR("m"), GR_STR("t"), GR_STR("local"), 1), 0);
    gr_stats_interrupted(s, 1);
    gr_stats_reset(s, 99);
    CHECK(gr_stats_find(s, GR_STR("GET"), GR_STR("/")) == e);
    CHECK_EQ(e->requests + e->failures, 0);
    CHECK_EQ(e->started_at, 99);
    CHECK_EQ(gr_stats_total(s)->requests, 0);
    CHECK_EQ(gr_stats_interrupted_count(s), 0);
    CHECK_EQ(gr_stats_errors(s, &errors), 0);
    gr_free(errors);
    CHECK_EQ(s->exceptions.n, 1);
    CHECK_EQ(gr_stats_fail(s, e, GR_STR("bad"), 2), 0); /* the line is made anew */
    CHECK_EQ(s->errors.n, 1);
    gr_stats_free(s);
}

TEST(clear_drops_everything) {
    gr_stats *s = stats();
    record(s, "GET", "/", 5);
    gr_entry *e = gr_stats_find(s, GR_STR("GET"), GR_STR("/"));
    CHECK_EQ(gr_stats_fail(s, e, GR_STR("bad"), 1), 0);
    CHECK_EQ(gr_stats_exception(s, GR_STR("m"), GR_STR("t"), GR_STR("local"), 1), 0);
    gr_stats_clear(s, 42);
    CHECK(gr_stats_empty(s));
    CHECK(!gr_stats_find(s, GR_STR("GET"), GR_STR("/")));
    CHECK_EQ(gr_stats_total(s)->started_at, 42);
    CHECK_STR(gr_stats_total(s)->name, "Aggregated");
    record(s, "GET", "/", 5); /* and goes on */
    CHECK_EQ(gr_stats_exception(s, GR_STR("m"), GR_STR("t"), GR_STR("local"), 1), 0);
    CHECK_EQ(s->exceptions.n, 1);
    CHECK_EQ(gr_stats_total(s)->requests, 1);
    gr_stats_free(s);
}

TEST(entries_are_sorted_by_name_then_method) {
    static const char *const ROWS[][2] = {
        {"POST", "/a"}, {"GET", "/b"}, {"GET", "/"}, {"GET", "/a"}};
    static const char *const SORTED[] = {"GET/", "GET/a", "POST/a", "GET/b"};
    gr_stats *s = stats();
    gr_entry **list;
    char both[32];
    for (size_t i = 0; i < GR_LEN(ROWS); i++)
        record(s, ROWS[i][0], ROWS[i][1], 1);
    CHECK_EQ(gr_stats_entries(s, &list), GR_LEN(ROWS));
    for (size_t i = 0; i < GR_LEN(ROWS); i++) {
        snprintf(both, sizeof both, "%s%s", list[i]->method.p, list[i]->name.p);
        cr_assert_str_eq(both, SORTED[i]);
    }
    gr_free(list);
    FAIL_ALLOC_AT(0) CHECK_EQ(gr_stats_entries(s, &list), GR_E_NOMEM);
    gr_stats_free(s);
}

TEST(new_and_entry_survive_each_failed_allocation) {
    FAIL_ALLOC_AT(0) CHECK(!gr_stats_new());
    gr_entry *e = NULL;
    for (uint64_t n = 0; !e; n++) {
        CHECK(n < 20);
        gr_stats *s = stats();
        FAIL_ALLOC_AT(n) e = gr_stats_entry(s, GR_STR("GET"), GR_STR("/"));
        CHECK_EQ(s->rows.n, e ? 1 : 0);
        CHECK(gr_stats_find(s, GR_STR("GET"), GR_STR("/")) == e);
        if (!e) record(s, "GET", "/", 1); /* a second try works */
        gr_stats_free(s);
    }
}

static uint64_t all_occurrences(const gr_stats *s) {
    gr_error **list;
    uint64_t sum = 0;
    ptrdiff_t n = gr_stats_errors(s, &list);
    CHECK(n >= 0);
    for (ptrdiff_t i = 0; i < n; i++)
        sum += list[i]->occurrences;
    gr_free(list);
    return sum;
}

static uint64_t all_raised(const gr_stats *s) {
    gr_exception **list;
    uint64_t sum = 0;
    ptrdiff_t n = gr_stats_exceptions(s, &list);
    CHECK(n >= 0);
    for (ptrdiff_t i = 0; i < n; i++)
        sum += list[i]->count;
    gr_free(list);
    return sum;
}

TEST(a_merge_without_memory_keeps_the_totals) {
    gr_stats *from = stats();
    int rc = GR_E_NOMEM;
    for (int i = 0; i < 40; i++)
        record(from, "GET", i % 2 ? "/a" : "/b", GR_MS(i));
    gr_entry *e = gr_stats_find(from, GR_STR("GET"), GR_STR("/a"));
    CHECK_EQ(gr_stats_fail(from, e, GR_STR("x"), 1), 0);
    CHECK_EQ(gr_stats_fail(from, e, GR_STR("y"), 1), 0);
    CHECK_EQ(gr_stats_exception(from, GR_STR("m"), GR_STR("t"), GR_STR("local"), 4), 0);
    for (uint64_t n = 0; rc == GR_E_NOMEM; n++) {
        CHECK(n < 200);
        gr_stats *into = stats();
        FAIL_ALLOC_AT(n) rc = gr_stats_merge(into, from);
        CHECK_EQ(into->total.requests, 40);
        CHECK_EQ(into->total.failures, 2);
        CHECK_EQ(into->total.response.count, 40);
        CHECK_EQ(all_occurrences(into), 2);
        CHECK_EQ(all_raised(into), 4);
        gr_stats_free(into);
    }
    CHECK_EQ(rc, 0);
    gr_stats_free(from);
}
