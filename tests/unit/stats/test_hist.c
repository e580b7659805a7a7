/* Every slot of the histogram, its error bound, percentiles against a sorted array. */
#include "test.h"

#include "stats/hist.c"

#include "base/rand.h"

#include <stdlib.h>

static void check_counts(const gr_hist *h) { /* the invariant of hist.c */
    uint64_t sum = h->under + h->over, dense = 0;
    for (uint32_t i = 0; i < h->few_n; i++) {
        CHECK(h->few[i].count > 0 && (i == 0 || h->few[i].slot > h->few[i - 1].slot));
        sum += h->few[i].count;
    }
    for (unsigned k = 0; k < GR_HIST_CHUNKS; k++)
        if (h->chunks[k]) dense += chunk_count(h->chunks[k]);
    CHECK(h->dense ? !h->few : dense == 0);
    CHECK_EQ(sum + dense, h->count);
}

static gr_hist filled(const int64_t *values, size_t n) {
    gr_hist h;
    gr_hist_init(&h);
    for (size_t i = 0; i < n; i++)
        CHECK_EQ(gr_hist_record(&h, values[i]), 0);
    check_counts(&h);
    return h;
}

/* Whatever its form: so often was each slot counted. */
static uint64_t slot_count(const gr_hist *h, unsigned chunk, unsigned slot) {
    for (uint32_t i = 0; i < h->few_n; i++)
        if (h->few[i].slot == chunk * GR_HIST_CHUNK_SLOTS + slot) return h->few[i].count;
    return h->chunks[chunk] ? h->chunks[chunk][slot] : 0;
}

static void check_same(const gr_hist *a, const gr_hist *b) {
    CHECK_EQ(a->count, b->count);
    CHECK_EQ(a->under, b->under);
    CHECK_EQ(a->over, b->over);
    if (a->count) CHECK_EQ(a->min, b->min);
    if (a->count) CHECK_EQ(a->max, b->max);
    CHECK(fabs(a->sum - b->sum) <= 1e-9 * fabs(a->sum));
    for (unsigned k = 0; k < GR_HIST_CHUNKS; k++)
        for (unsigned i = 0; i < GR_HIST_CHUNK_SLOTS; i++)
            CHECK(slot_count(a, k, i) == slot_count(b, k, i));
}

static bool within_bound(int64_t value, int64_t shown) {
    int64_t off = shown > value ? shown - value : value - shown;
    return off * 1024 <= value;
}

/* A value whose magnitude, not only whose amount, is random. */
static int64_t random_value(gr_rand *r) {
    return (int64_t)(gr_rand_next(r) >> (22 + gr_rand_below(r, 42)));
}

TEST(every_slot_holds_exactly_its_values) {
    int64_t next = 0; /* first value not yet covered */
    for (unsigned k = 0; k < GR_HIST_CHUNKS; k++) {
        for (unsigned i = 0; i < GR_HIST_CHUNK_SLOTS; i++) {
            int64_t first = next, last = first + ((int64_t)1 << shift_of(k)) - 1;
            int64_t middle = slot_middle(k, i);
            int64_t probes[] = {first, middle, last};
            CHECK(middle - first <= last - middle && last - middle <= middle - first + 1);
            for (size_t p = 0; p < GR_LEN(probes); p++) {
                CHECK_EQ(chunk_of((uint64_t)probes[p]), k);
                CHECK_EQ(slot_of(k, (uint64_t)probes[p]), i);
                CHECK(within_bound(probes[p], middle));
            }
            next = last + 1;
        }
    }
    CHECK_EQ(next, GR_HIST_VALUE_MAX + 1);
}

TEST(a_single_value_is_exact_everywhere) {
    gr_rand r;
    gr_rand_seed(&r, 1);
    for (int i = 0; i < 10000; i++) {
        int64_t v = random_value(&r);
        gr_hist h = filled(&v, 1);
        CHECK_EQ(gr_hist_percentile(&h, 0), v);
        CHECK_EQ(gr_hist_percentile(&h, 0.5), v); /* clamped to [min, max] */
        CHECK_EQ(gr_hist_percentile(&h, 1), v);
        gr_hist_deinit(&h);
    }
}

TEST(empty_is_zero) {
    gr_hist h;
    gr_hist_init(&h);
    CHECK_EQ(gr_hist_percentile(&h, 0.5), 0);
    CHECK_EQ(gr_hist_percentile(&h, 1), 0);
    CHECK(gr_hist_mean(&h) <= 0 && gr_hist_mean(&h) >= 0);
    gr_hist_deinit(&h);
    gr_hist_deinit(&h); /* twice is harmless */
}

TEST(percentiles_of_ten_to_hundred) {
    int64_t v[10];
    for (int i = 0; i < 10; i++)
        v[i] = (i + 1) * 10;
    gr_hist h = filled(v, 10);
    static const struct {
        double p;
        int64_t want;
    } CASES[] = {{-1, 10},  {0, 10},     {1e-9, 10}, {0.1, 10},  {0.11, 20}, {0.5, 50}, {0.51, 60},
                 {0.9, 90}, {0.91, 100}, {1, 100},   {1.5, 100}, {0.3, 30},  {0.7, 70}};
    for (size_t i = 0; i < GR_LEN(CASES); i++)
        CHECK_EQ(gr_hist_percentile(&h, CASES[i].p), CASES[i].want);
    CHECK_EQ(gr_hist_percentile(&h, (double)NAN), 10);
    CHECK_EQ(llround(gr_hist_mean(&h)), 55);
    gr_hist_deinit(&h);
}

TEST(rank_is_not_fooled_by_binary_fractions) {
    for (uint64_t count = 1; count <= 100000; count = count * 10)
        for (uint64_t per_mille = 1; per_mille <= 1000; per_mille++)
            CHECK_EQ(rank_of((double)per_mille / 1000, count), (per_mille * count + 999) / 1000);
}

static int ascending(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

#define MANY 5000

TEST(percentiles_agree_with_a_sorted_array) {
    static const double P[] = {0, 0.001, 0.01, 0.1, 0.25, 0.5, 0.66, 0.75, 0.9, 0.99, 0.9999, 1};
    static int64_t v[MANY];
    gr_rand r;
    gr_rand_seed(&r, 2);
    for (int round = 0; round < 40; round++) {
        size_t n = 1 + gr_rand_below(&r, MANY);
        for (size_t i = 0; i < n; i++)
            v[i] = round % 2 ? random_value(&r) : (int64_t)gr_rand_below(&r, GR_S(2));
        gr_hist h = filled(v, n);
        qsort(v, n, sizeof *v, ascending);
        for (size_t i = 0; i < GR_LEN(P); i++) {
            size_t rank = (size_t)ceil(P[i] * (double)n);
            CHECK(within_bound(v[rank ? rank - 1 : 0], gr_hist_percentile(&h, P[i])));
        }
        CHECK_EQ(gr_hist_percentile(&h, 0), v[0]);
        CHECK_EQ(gr_hist_percentile(&h, 1), v[n - 1]);
        gr_hist_deinit(&h);
    }
}

TEST(merging_is_recording_everything_in_one) {
    static int64_t v[MANY];
    gr_rand r;
    gr_rand_seed(&r, 3);
    for (int round = 0; round < 20; round++) {
        size_t n = gr_rand_below(&r, MANY), cut = gr_rand_below(&r, n + 1);
        for (size_t i = 0; i < n; i++)
            v[i] = i % 50 ? random_value(&r) : INT64_MAX - (int64_t)i;
        gr_hist all = filled(v, n), a = filled(v, cut), b = filled(v + cut, n - cut);
        CHECK_EQ(gr_hist_merge(&a, &b), 0);
        check_counts(&a);
        check_same(&all, &a);
        gr_hist_deinit(&all);
        gr_hist_deinit(&a);
        gr_hist_deinit(&b);
    }
}

TEST(merging_touches_only_the_chunks_there_are) {
    int64_t v[FEW_MAX + 2];
    for (size_t i = 0; i + 1 < GR_LEN(v); i++)
        v[i] = (int64_t)i;
    v[FEW_MAX + 1] = GR_MS(5);
    gr_hist a = filled(v, FEW_MAX + 1), b = filled(v, FEW_MAX + 2);
    CHECK(a.dense && b.dense);
    uint64_t before = gr__alloc_calls();
    CHECK_EQ(gr_hist_merge(&b, &a), 0);
    CHECK_EQ(gr__alloc_calls(), before);
    CHECK_EQ(gr_hist_merge(&a, &b), 0);
    CHECK_EQ(gr__alloc_calls(), before + 1);
    gr_hist_deinit(&a);
    gr_hist_deinit(&b);
}

TEST(a_few_values_take_a_few_bytes) {
    int64_t v[FEW_MAX + 1];
    for (size_t i = 0; i < GR_LEN(v); i++)
        v[i] = (int64_t)GR_MS(i * i);
    gr_hist h = filled(v, FEW_MAX);
    for (int64_t more = 0; more < 100; more++)
        CHECK_EQ(gr_hist_record(&h, v[more % FEW_MAX]), 0);
    check_counts(&h);
    CHECK(!h.dense && h.few_n == FEW_MAX && h.few_cap == FEW_MAX);
    for (unsigned k = 0; k < GR_HIST_CHUNKS; k++)
        CHECK(!h.chunks[k]);
    CHECK_EQ(gr_hist_record(&h, v[FEW_MAX]), 0);
    CHECK(h.dense);
    check_counts(&h);
    gr_hist_deinit(&h);
}

/* Every pair of forms, in both directions. */
TEST(lists_and_chunks_merge_into_each_other) {
    static const size_t SIZES[] = {0, 1, FEW_MAX - 1, FEW_MAX, FEW_MAX + 1, 4 * FEW_MAX};
    int64_t v[8 * FEW_MAX];
    gr_rand r;
    gr_rand_seed(&r, 5);
    for (size_t i = 0; i < GR_LEN(v); i++)
        v[i] = random_value(&r);
    for (size_t i = 0; i < GR_LEN(SIZES); i++)
        for (size_t j = 0; j < GR_LEN(SIZES); j++) {
            size_t n = SIZES[i] + SIZES[j];
            gr_hist all = filled(v, n), a = filled(v, SIZES[i]), b = filled(v + SIZES[i], SIZES[j]);
            CHECK_EQ(gr_hist_merge(&a, &b), 0);
            check_counts(&a);
            check_same(&all, &a);
            gr_hist_deinit(&all);
            gr_hist_deinit(&a);
            gr_hist_deinit(&b);
        }
}

TEST(each_failed_allocation_on_the_way_to_chunks_is_survived) {
    int64_t v[FEW_MAX + 1];
    int rc = GR_E_NOMEM;
    for (size_t i = 0; i < GR_LEN(v); i++)
        v[i] = (int64_t)GR_MS(i * i);
    for (uint64_t n = 0; rc == GR_E_NOMEM; n++) {
        CHECK(n < 40);
        gr_hist h = filled(v, FEW_MAX), from = filled(v, FEW_MAX + 1);
        FAIL_ALLOC_AT(n) rc = gr_hist_record(&h, v[FEW_MAX]);
        check_counts(&h);
        CHECK_EQ(h.over, rc == 0 ? 0 : 1);
        FAIL_ALLOC_AT(n)(void) gr_hist_merge(&h, &from);
        check_counts(&h);
        CHECK_EQ(h.count, 2 * (FEW_MAX + 1));
        gr_hist_deinit(&h);
        gr_hist_deinit(&from);
    }
    CHECK_EQ(rc, 0);
}

TEST(values_outside_the_range_are_counted_as_such) {
    int64_t v[] = {-5, -1, 10, GR_HIST_VALUE_MAX, GR_HIST_VALUE_MAX + 1, INT64_MAX};
    gr_hist h = filled(v, GR_LEN(v));
    CHECK_EQ(h.under, 2);
    CHECK_EQ(h.over, 2);
    CHECK_EQ(h.min, -5);
    CHECK_EQ(h.max, INT64_MAX);
    CHECK_EQ(gr_hist_percentile(&h, 0.3), -5);
    CHECK_EQ(gr_hist_percentile(&h, 0.5), 10);
    CHECK(within_bound(GR_HIST_VALUE_MAX, gr_hist_percentile(&h, 0.66)));
    CHECK_EQ(gr_hist_percentile(&h, 0.7), INT64_MAX);
    gr_hist_deinit(&h);
}

TEST(min_and_max_of_negative_values_only) {
    int64_t v[] = {-7, -3};
    gr_hist h = filled(v, 2);
    CHECK_EQ(h.min, -7);
    CHECK_EQ(h.max, -3);
    CHECK_EQ(gr_hist_percentile(&h, 1), -3);
    gr_hist_deinit(&h);
}

TEST(warm_recording_and_reset_allocate_nothing) {
    gr_rand r;
    int64_t v[1000];
    gr_rand_seed(&r, 4);
    for (size_t i = 0; i < GR_LEN(v); i++)
        v[i] = (int64_t)gr_rand_below(&r, GR_S(1));
    gr_hist h = filled(v, GR_LEN(v));
    uint64_t before = gr__alloc_calls();
    gr_hist_reset(&h);
    CHECK_EQ(h.count, 0);
    CHECK_EQ(gr_hist_percentile(&h, 0.5), 0);
    check_counts(&h);
    for (size_t i = 0; i < GR_LEN(v); i++)
        CHECK_EQ(gr_hist_record(&h, v[i]), 0);
    CHECK_EQ(gr__alloc_calls(), before);
    gr_hist once = filled(v, GR_LEN(v));
    check_same(&h, &once);
    gr_hist_deinit(&h);
    gr_hist_deinit(&once);
}

TEST(a_value_that_finds_no_memory_is_still_counted) {
    gr_hist h;
    gr_hist_init(&h);
    FAIL_ALLOC_AT(0) CHECK_EQ(gr_hist_record(&h, 77), GR_E_NOMEM);
    CHECK_EQ(h.count, 1);
    CHECK_EQ(h.over, 1);
    CHECK_EQ(h.min, 77);
    CHECK_EQ(llround(h.sum), 77);
    CHECK_EQ(gr_hist_percentile(&h, 0.5), 77);
    CHECK_EQ(gr_hist_record(&h, 78), 0); /* the next one is fine again */
    check_counts(&h);
    gr_hist_deinit(&h);
}

TEST(a_merge_survives_each_failed_allocation) {
    int64_t v[] = {5, 2000, GR_MS(1), GR_MS(1), GR_S(1)};
    int rc = GR_E_NOMEM;
    for (uint64_t n = 0; rc == GR_E_NOMEM; n++) {
        CHECK(n < 10);
        gr_hist from = filled(v, GR_LEN(v)), into = filled(v, 1);
        FAIL_ALLOC_AT(n) rc = gr_hist_merge(&into, &from);
        CHECK_EQ(into.count, 6);
        CHECK((rc == 0) == (into.over == 0));
        check_counts(&into);
        gr_hist_deinit(&from);
        gr_hist_deinit(&into);
    }
    CHECK_EQ(rc, 0);
}

typedef struct visits {
    uint64_t count, calls;
    int64_t last;
} visits;

static void visit(void *ctx, int64_t value, uint64_t count) {
    visits *seen = ctx;
    CHECK(count > 0);
    CHECK(seen->calls == 0 || value > seen->last);
    seen->last = value;
    seen->count += count;
    seen->calls++;
}

TEST(each_visits_everything_in_order) {
    int64_t v[] = {-4, 0, 1, 1, 1023, 1024, GR_S(9), GR_HIST_VALUE_MAX + 5};
    gr_hist h = filled(v, GR_LEN(v));
    visits seen = {0};
    gr_hist_each(&h, visit, &seen);
    CHECK_EQ(seen.count, GR_LEN(v));
    CHECK_EQ(seen.calls, GR_LEN(v) - 1);
    CHECK_EQ(seen.last, GR_HIST_VALUE_MAX + 5);
    gr_hist_deinit(&h);
}
