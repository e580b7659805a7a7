/* Distinct failures and exceptions: grouping, order, bounds. */
#include "test.h"

#include "stats/errors.c"

#include <stdio.h>

static gr__row *row_of(gr_stats *s, const char *name) {
    gr_entry *e = gr_stats_entry(s, GR_STR("GET"), gr_str_c(name));
    CHECK(e != NULL);
    return (gr__row *)e;
}

static void fail(gr_stats *s, const char *name, const char *text, gr_wall_ns at) {
    CHECK_EQ(gr_stats_fail(s, &row_of(s, name)->entry, gr_str_c(text), at), 0);
}

static gr_stats *stats(void) {
    gr_stats *s = gr_stats_new();
    CHECK(s != NULL);
    return s;
}

static gr_error **errors_of(const gr_stats *s, ptrdiff_t want) { /* gr_free */
    gr_error **list = NULL;
    ptrdiff_t n = gr_stats_errors(s, &list);
    CHECK_EQ(n, want);
    if (n != want) abort(); /* for the compiler, which does not know that CHECK_EQ ends the test */
    return list;
}

static gr_exception **exceptions_of(const gr_stats *s, ptrdiff_t want) {
    gr_exception **list = NULL;
    ptrdiff_t n = gr_stats_exceptions(s, &list);
    CHECK_EQ(n, want);
    if (n != want) abort();
    return list;
}

static uint64_t occurrences(const gr_stats *s) { /* over all lines */
    gr_error **list = NULL;
    uint64_t sum = 0;
    ptrdiff_t n = gr_stats_errors(s, &list);
    CHECK(n >= 0);
    for (ptrdiff_t i = 0; i < n; i++)
        sum += list[i]->occurrences;
    gr_free(list);
    return sum;
}

TEST(errors_are_told_apart_by_method_name_and_text) {
    gr_stats *s = stats();
    gr_error **list = NULL;
    fail(s, "/b", "late", 30);
    fail(s, "/a", "late", 10);
    fail(s, "/a", "late", 20);
    fail(s, "/a", "other", 40);
    list = errors_of(s, 3);
    CHECK_STR(list[0]->name, "/a");
    CHECK_STR(list[0]->method, "GET");
    CHECK_STR(list[0]->text, "late");
    CHECK_EQ(list[0]->occurrences, 2);
    CHECK_EQ(list[0]->first_at, 10);
    CHECK_EQ(list[0]->last_at, 20);
    CHECK_STR(list[1]->name, "/b");
    CHECK_STR(list[2]->text, "other");
    gr_free(list);
    gr_stats_free(s);
}

TEST(same_first_moment_keeps_the_order_of_arrival) {
    gr_stats *s = stats();
    gr_error **list = NULL;
    char text[16];
    for (int i = 0; i < 100; i++) {
        snprintf(text, sizeof text, "%d", i);
        fail(s, "/", text, 5);
    }
    list = errors_of(s, 100);
    for (int i = 0; i < 100; i++) {
        snprintf(text, sizeof text, "%d", i);
        CHECK_STR(list[i]->text, text);
    }
    gr_free(list);
    gr_stats_free(s);
}

TEST(texts_may_be_empty_or_hold_any_byte) {
    gr_stats *s = stats();
    gr_error **list = NULL;
    gr_entry *e = &row_of(s, "/")->entry;
    CHECK_EQ(gr_stats_fail(s, e, (gr_str){NULL, 0}, 1), 0);
    CHECK_EQ(gr_stats_fail(s, e, (gr_str){"a\0b", 3}, 2), 0);
    CHECK_EQ(gr_stats_fail(s, e, (gr_str){"a\0c", 3}, 3), 0);
    list = errors_of(s, 3);
    CHECK_EQ(list[0]->text.n, 0);
    CHECK(gr_str_eq(list[1]->text, (gr_str){"a\0b", 3}));
    gr_free(list);
    gr_stats_free(s);
}

TEST(beyond_the_limit_errors_share_a_line_and_none_is_lost) {
    gr_stats *s = stats(), *sum = stats();
    gr_error **list = NULL;
    char text[32];
    for (unsigned i = 0; i < GR__ERRORS_MAX + 50; i++) {
        snprintf(text, sizeof text, "order %u failed", i);
        fail(s, "/", text, i + 1);
    }
    fail(s, "/", "order 7 failed", 7); /* has its line already */
    list = errors_of(s, GR__ERRORS_MAX + 1);
    CHECK_STR(list[GR__ERRORS_MAX]->text, "(further distinct errors)");
    CHECK_EQ(list[GR__ERRORS_MAX]->occurrences, 50);
    CHECK_EQ(list[GR__ERRORS_MAX]->first_at, GR__ERRORS_MAX + 1);
    CHECK_EQ(list[GR__ERRORS_MAX]->last_at, GR__ERRORS_MAX + 50);
    CHECK_EQ(list[7]->occurrences, 2);
    gr_free(list);

    fail(sum, "/", "one of its own", 1); /* so that one of the others finds no line */
    CHECK_EQ(gr_stats_merge(sum, s), 0);
    CHECK_EQ(gr_stats_merge(sum, s), 0);
    CHECK_EQ(occurrences(sum), 2 * (GR__ERRORS_MAX + 51) + 1);
    list = errors_of(sum, GR__ERRORS_MAX + 1);
    CHECK_EQ(list[GR__ERRORS_MAX]->occurrences, 102);
    gr_free(list);
    gr_stats_free(s);
    gr_stats_free(sum);
}

TEST(an_error_without_memory_is_counted) {
    int rc = GR_E_NOMEM;
    for (uint64_t n = 0; rc == GR_E_NOMEM; n++) {
        CHECK(n < 20);
        gr_stats *s = stats();
        gr__row *row = row_of(s, "/");
        gr_error add = {.text = GR_STR("boom"), .occurrences = 3, .first_at = 1, .last_at = 2};
        FAIL_ALLOC_AT(n) rc = gr__errors_add(s, row, &add);
        CHECK_EQ(occurrences(s), 3);
        CHECK_EQ(s->more_errors.occurrences, rc ? 3 : 0);
        gr_stats_free(s);
    }
    CHECK_EQ(rc, 0);
}

TEST(a_known_error_allocates_nothing) {
    gr_stats *s = stats();
    fail(s, "/", "late", 1);
    gr_entry *e = &row_of(s, "/")->entry;
    uint64_t before = gr__alloc_calls();
    for (int i = 0; i < 100; i++)
        CHECK_EQ(gr_stats_fail(s, e, GR_STR("late"), 2), 0);
    CHECK_EQ(gr__alloc_calls(), before);
    gr_stats_free(s);
}

static void raise(gr_stats *s, const char *message, const char *traceback, const char *node,
                  uint64_t count) {
    CHECK_EQ(gr_stats_exception(s, gr_str_c(message), gr_str_c(traceback), gr_str_c(node), count),
             0);
}

TEST(exceptions_are_grouped_by_traceback) {
    gr_stats *s = stats();
    gr_exception **list = NULL;
    raise(s, "first", "in f", "local", 1);
    raise(s, "other", "in g", "local", 1);
    raise(s, "second", "in f", "local", 2);
    raise(s, "never", "in h", "local", 0);
    list = exceptions_of(s, 2);
    CHECK_STR(list[0]->message, "first");
    CHECK_STR(list[0]->traceback, "in f");
    CHECK_STR(list[0]->nodes, "local");
    CHECK_EQ(list[0]->count, 3);
    CHECK_STR(list[1]->traceback, "in g");
    gr_free(list);
    gr_stats_free(s);
}

TEST(nodes_are_sorted_and_named_once) {
    static const struct {
        const char *add, *now;
    } STEPS[] = {{"m", "m"},
                 {"m", "m"},
                 {"z", "m, z"},
                 {"a", "a, m, z"},
                 {"", "a, m, z"},
                 {"mm", "a, m, mm, z"},
                 {"z, b, a, c", "a, b, c, m, mm, z"},
                 {"c", "a, b, c, m, mm, z"}};
    gr_exception x = {.count = 1};
    for (size_t i = 0; i < GR_LEN(STEPS); i++) {
        CHECK_EQ(add_nodes(&x, gr_str_c(STEPS[i].add)), 0);
        CHECK_STR(x.nodes, STEPS[i].now);
    }
    FAIL_ALLOC_AT(0) CHECK_EQ(add_nodes(&x, GR_STR("new")), GR_E_NOMEM);
    CHECK_STR(x.nodes, "a, b, c, m, mm, z");
    forget_nodes(&x);
}

TEST(exceptions_of_two_nodes_merge) {
    gr_stats *a = stats(), *b = stats();
    gr_exception **list = NULL;
    raise(a, "x", "in f", "w2", 1);
    raise(b, "y", "in f", "w1", 4);
    raise(b, "z", "in g", "w1", 1);
    CHECK_EQ(gr_stats_merge(a, b), 0);
    list = exceptions_of(a, 2);
    CHECK_EQ(list[0]->count, 5);
    CHECK_STR(list[0]->message, "x");
    CHECK_STR(list[0]->nodes, "w1, w2");
    CHECK_STR(list[1]->nodes, "w1");
    gr_free(list);
    gr_stats_free(a);
    gr_stats_free(b);
}

TEST(exceptions_are_bounded_and_none_is_lost) {
    gr_stats *s = stats(), *sum = stats();
    gr_exception **list = NULL;
    char text[32];
    for (unsigned i = 0; i < GR__EXCEPTIONS_MAX + 3; i++) {
        snprintf(text, sizeof text, "line %u", i);
        raise(s, "x", text, "w1", 2);
    }
    CHECK_EQ(gr_stats_merge(sum, s), 0);
    list = exceptions_of(sum, GR__EXCEPTIONS_MAX + 1);
    CHECK_STR(list[GR__EXCEPTIONS_MAX]->message, "(further distinct exceptions)");
    CHECK_STR(list[GR__EXCEPTIONS_MAX]->nodes, "w1");
    CHECK_EQ(list[GR__EXCEPTIONS_MAX]->count, 6);
    gr_free(list);
    gr_stats_free(s);
    gr_stats_free(sum);
}

TEST(an_exception_without_memory_is_counted) {
    int rc = GR_E_NOMEM;
    for (uint64_t n = 0; rc == GR_E_NOMEM; n++) {
        gr_exception **list = NULL;
        CHECK(n < 20);
        gr_stats *s = stats();
        FAIL_ALLOC_AT(n) {
            rc = gr_stats_exception(s, GR_STR("m"), GR_STR("t"), GR_STR("local"), 2);
        }
        list = exceptions_of(s, 1);
        CHECK_EQ(list[0]->count, 2);
        CHECK(!gr_stats_empty(s));
        gr_free(list);
        gr_stats_free(s);
    }
    CHECK_EQ(rc, 0);
}

TEST(views_report_missing_memory) {
    gr_stats *s = stats();
    gr_error **errors = NULL;
    gr_exception **exceptions;
    FAIL_ALLOC_AT(0) CHECK_EQ(gr_stats_errors(s, &errors), GR_E_NOMEM);
    FAIL_ALLOC_AT(0) CHECK_EQ(gr_stats_exceptions(s, &exceptions), GR_E_NOMEM);
    CHECK_EQ(gr_stats_errors(s, &errors), 0);
    gr_free(errors);
    gr_stats_free(s);
}
