/* The order of users against vectors from Locust's documentation of behaviour and against some
 * hundred random cases that a real Locust worked out (dispatch_golden.py). */
#include "test.h"

#include "load/dispatch.c"

#include <stdio.h>
#include <stdlib.h>

#define CLASSES_MAX 8
#define STEPS_MAX   2000 /* more would be a ramp that never ends */
#define TEXT_MAX    4096

typedef struct plan {
    gr_class_spec specs[CLASSES_MAX];
    size_t n;
} plan;

static plan plan_of(const char *classes) { /* "A5 B=2": weight 5, fixed count 2 */
    plan p = {.n = 0};
    while (*classes && p.n < CLASSES_MAX) {
        gr_class_spec *spec = &p.specs[p.n++];
        bool fixed = classes[1] == '=';
        char *end;
        *spec = (gr_class_spec){.name = {classes, 1}};
        double number = strtod(classes + (fixed ? 2 : 1), &end);
        if (fixed)
            spec->fixed_count = (uint32_t)number;
        else
            spec->weight = number;
        classes = end + (*end == ' ');
    }
    return p;
}

static gr_dispatch *dispatch_of(const plan *p) {
    gr_dispatch *d = NULL;
    CHECK_EQ(gr_dispatch_new(&d, p->specs, p->n), 0);
    return d;
}

/* Append the difference of two states: names in byte order, capital for more, small for less. */
static char *add_changes(char *text, const plan *p, const uint32_t *before, const uint32_t *now) {
    char *start = text;
    for (char name = 'A'; name <= 'Z'; name++) {
        for (size_t i = 0; i < p->n; i++) {
            if (p->specs[i].name.p[0] != name) continue;
            for (uint32_t n = before[i]; n < now[i]; n++)
                *text++ = name;
            for (uint32_t n = now[i]; n < before[i]; n++)
                *text++ = (char)(name + ('a' - 'A'));
        }
    }
    if (text == start) *text++ = '-';
    return text;
}

static uint32_t sum(const uint32_t *counts, size_t n) {
    uint32_t total = 0;
    for (size_t i = 0; i < n; i++)
        total += counts[i];
    return total;
}

/* Run "12@3/AC:2 4@1" and write what happened as in the golden table. */
static void run(gr_dispatch *d, const plan *p, const char *ramps, char *text) {
    uint32_t before[CLASSES_MAX] = {0}, now[CLASSES_MAX];
    bool all_done = false;
    while (!all_done) {
        char *at;
        bool allowed[CLASSES_MAX] = {false}, restricted = false;
        long steps = STEPS_MAX;
        uint32_t target = (uint32_t)strtoul(ramps, &at, 10);
        double rate = strtod(at + 1, &at);
        if (*at == '/') {
            restricted = true;
            for (at++; *at >= 'A' && *at <= 'Z'; at++)
                for (size_t i = 0; i < p->n; i++)
                    if (p->specs[i].name.p[0] == *at) allowed[i] = true;
        }
        if (*at == ':') steps = strtol(at + 1, &at, 10);
        CHECK_EQ(gr_dispatch_ramp(d, target, rate, restricted ? allowed : NULL), 0);
        for (int more = 1; more && steps > 0; steps--) {
            gr_ns pause;
            more = gr_dispatch_step(d, now, &pause);
            CHECK(more >= 0);
            double users = rate < 1 ? 1 : floor(rate);
            CHECK_EQ(pause, more ? llround(users / rate * 1e9) : 0);
            CHECK_EQ(gr_dispatch_total(d), sum(now, p->n));
            text = add_changes(text, p, before, now);
            if (more && steps > 1) *text++ = ' ';
            memcpy(before, now, sizeof now);
        }
        all_done = *at == '\0';
        ramps = at + 1;
        if (!all_done) *text++ = '|';
    }
    *text = '\0';
}

static void check(const char *classes, const char *ramps, const char *expected) {
    char text[TEXT_MAX];
    plan p = plan_of(classes);
    gr_dispatch *d = dispatch_of(&p);
    run(d, &p, ramps, text);
    gr_dispatch_free(d);
    cr_assert_str_eq(text, expected, "%s, %s:\n  is   %s\n  want %s", classes, ramps, text,
                     expected);
}

TEST(weighted_order_is_locusts) {
    check("A5 B1", "12@1", "A A B A A A A A B A A A");
    check("A2 B1", "9@1", "A B A A B A A B A");
    check("A3 B2 C1", "12@1", "A B C A B A A B C A B A");
    check("A10 B5 C1", "20@1", "A B A A B A C A B A A B A A B A A B A A");
    check("A0.5 B0.2", "10@1", "A B A A A B A A B A");
    check("C1 A1 B1", "7@1", "A B C A B C A");
}

TEST(fixed_classes_come_first_and_come_back) {
    check("A1 B=2 C=1", "5@1", "B C B A A");
    check("A1 B=2", "4@1 1@1 4@2", "B B A A|a a b|AB A");
}

TEST(a_begun_list_of_fixed_users_is_worked_off_before_a_new_look) {
    check("A=1 B=2 C1", "2@1 1@1 5@1", "B A|a|B A C C");
    check("A=1 B=4", "2@1 0@1 5@1", "B B|b b|A B B B B");
}

TEST(weights_beyond_the_precision_of_doubles) {
    check("A1e18 B1e17", "4@1", "B B B B");
    check("B1e16 A3e16 C1", "3@1", "C C C");
}

TEST(users_leave_in_reverse_order) {
    check("A1 B1 C1", "5@2 2@1", "AB AC B|b a c");
    check("A1 B1", "4@1 0@3", "A B A B|abb a");
}

TEST(generator_goes_on_across_ramps_unless_classes_change) {
    check("A5 B1", "2@1 4@1", "A A|B A");
    check("A5 B1", "2@1/AB 4@1/AB", "A A|B A");
    check("A5 B1", "2@1 4@1/A 6@1/AB", "A A|A A|A A");
    check("A5 B1", "2@1 4@1/B 5@1", "A A|B B|B"); /* no list: as before */
}

TEST(ramp_to_where_we_are_is_one_step) {
    check("A1", "0@1 3@100 3@0.5", "-|AAA|-");
}

TEST(ramp_ends_early_when_no_class_can_be_spawned) {
    check("A=2", "5@1 1@1 9@10", "A A -|a|A");
    check("A=2", "5@2", "AA -");
}

TEST(random_cases_match_locust) {
#define GOLDEN(classes, ramps, steps) check(classes, ramps, steps);
#include "dispatch_golden.inc"
#undef GOLDEN
}

TEST(pause_follows_the_rate) {
    static const struct {
        double rate;
        gr_ns pause;
    } CASES[] = {
        {0.5, GR_S(2)},   {2.4, 833333333},          {3, GR_S(1)}, {1e-3, GR_S(1000)}, {1, GR_S(1)},
        {7.9, 886075949}, {1e-300, GR_S(1000000000)}};
    for (size_t i = 0; i < GR_LEN(CASES); i++) {
        plan p = plan_of("A1");
        gr_dispatch *d = dispatch_of(&p);
        uint32_t count;
        gr_ns pause;
        CHECK_EQ(gr_dispatch_ramp(d, 100, CASES[i].rate, NULL), 0);
        CHECK_EQ(gr_dispatch_step(d, &count, &pause), 1);
        CHECK_EQ(pause, CASES[i].pause);
        gr_dispatch_free(d);
    }
}

TEST(a_rate_beyond_all_bounds_is_one_step) {
    plan p = plan_of("A1 B1");
    gr_dispatch *d = dispatch_of(&p);
    uint32_t counts[2];
    gr_ns pause = 1;
    CHECK_EQ(gr_dispatch_ramp(d, 100001, 1e300, NULL), 0);
    CHECK_EQ(gr_dispatch_step(d, counts, &pause), 0);
    CHECK_EQ(pause, 0);
    CHECK_EQ(counts[0], 50001);
    CHECK_EQ(counts[1], 50000);
    gr_dispatch_free(d);
}

TEST(step_without_a_ramp_changes_nothing) {
    plan p = plan_of("A1");
    gr_dispatch *d = dispatch_of(&p);
    uint32_t count = 9;
    gr_ns pause = 9;
    CHECK_EQ(gr_dispatch_step(d, &count, &pause), 0);
    CHECK_EQ(count, 0);
    CHECK_EQ(pause, 0);
    CHECK_EQ(gr_dispatch_ramp(d, 1, 1, NULL), 0);
    CHECK_EQ(gr_dispatch_step(d, &count, &pause), 0);
    CHECK_EQ(gr_dispatch_step(d, &count, &pause), 0); /* after the last one */
    CHECK_EQ(count, 1);
    gr_dispatch_free(d);
    gr_dispatch_free(NULL);
}

TEST(names_decide_ties_not_positions) {
    gr_class_spec specs[] = {{GR_STR("Zed"), 1, 0}, {GR_STR("Ada"), 1, 0}, {GR_STR("Ad"), 1, 0}};
    gr_dispatch *d;
    uint32_t counts[3];
    gr_ns pause;
    CHECK_EQ(gr_dispatch_new(&d, specs, 3), 0);
    CHECK_EQ(gr_dispatch_ramp(d, 2, 2, NULL), 0);
    CHECK_EQ(gr_dispatch_step(d, counts, &pause), 0);
    CHECK_EQ(counts[0], 0);
    CHECK_EQ(counts[1], 1);
    CHECK_EQ(counts[2], 1);
    gr_dispatch_free(d);
}

TEST(bad_settings_are_refused) {
    static const double BAD[] = {0, -1, (double)NAN, (double)INFINITY, -(double)INFINITY};
    gr_class_spec good = {GR_STR("A"), 1, 0};
    gr_dispatch *d;
    CHECK_EQ(gr_dispatch_new(&d, &good, 0), GR_E_INVALID);
    for (size_t i = 0; i < GR_LEN(BAD); i++) {
        gr_class_spec specs[] = {good, {GR_STR("B"), BAD[i], 0}};
        CHECK_EQ(gr_dispatch_new(&d, specs, 2), GR_E_INVALID);
        specs[1].fixed_count = 1; /* then the weight does not matter */
        CHECK_EQ(gr_dispatch_new(&d, specs, 2), 0);
        CHECK_EQ(gr_dispatch_ramp(d, 1, BAD[i], NULL), GR_E_INVALID);
        gr_dispatch_free(d);
    }
}

TEST(new_survives_each_failed_allocation) {
    plan p = plan_of("A1 B=2");
    int rc = GR_E_NOMEM;
    for (uint64_t n = 0; rc == GR_E_NOMEM; n++) {
        gr_dispatch *d = NULL;
        CHECK(n < 100);
        FAIL_ALLOC_AT(n) rc = gr_dispatch_new(&d, p.specs, p.n);
        CHECK((rc == 0) == (d != NULL));
        gr_dispatch_free(d);
    }
    CHECK_EQ(rc, 0);
}

TEST(step_out_of_memory_can_be_repeated) {
    plan p = plan_of("A5 B1");
    gr_dispatch *d = dispatch_of(&p);
    uint32_t counts[2];
    gr_ns pause;
    CHECK_EQ(gr_dispatch_ramp(d, 12, 12, NULL), 0);
    FAIL_ALLOC_AT(0) CHECK_EQ(gr_dispatch_step(d, counts, &pause), GR_E_NOMEM);
    CHECK_EQ(gr_dispatch_total(d), 0);
    CHECK_EQ(gr_dispatch_step(d, counts, &pause), 0);
    CHECK_EQ(counts[0], 10);
    CHECK_EQ(counts[1], 2);
    gr_dispatch_free(d);
}
