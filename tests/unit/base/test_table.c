/* The hash table against a plain array as its model, under random operations. */
#include "test.h"

#include "base/table.c"

#include "base/rand.h"

#include <stdio.h>

static int marks[4096]; /* values are pointers into this */

TEST(put_get_replace_remove) {
    gr_table t = GR_TABLE_INIT;
    CHECK(!gr_table_get(&t, GR_STR("a")));
    CHECK(!gr_table_remove(&t, GR_STR("a")));
    CHECK_EQ(gr_table_put(&t, GR_STR("a"), &marks[1]), 0);
    CHECK_EQ(gr_table_put(&t, GR_STR("b"), &marks[2]), 0);
    CHECK(gr_table_get(&t, GR_STR("a")) == &marks[1]);
    CHECK_EQ(gr_table_put(&t, GR_STR("a"), &marks[3]), 0);
    CHECK_EQ(t.n, 2);
    CHECK(gr_table_remove(&t, GR_STR("a")) == &marks[3]);
    CHECK(!gr_table_remove(&t, GR_STR("a")));
    CHECK(gr_table_get(&t, GR_STR("b")) == &marks[2]);
    CHECK_EQ(t.n, 1);
    gr_table_deinit(&t);
    CHECK(!gr_table_get(&t, GR_STR("b")));
    gr_table_deinit(&t);
}

TEST(keys_are_copied_bytes) {
    gr_table t = GR_TABLE_INIT;
    char key[] = "a\0b";
    CHECK_EQ(gr_table_put(&t, (gr_str){key, 3}, &marks[0]), 0);
    CHECK_EQ(gr_table_put(&t, (gr_str){NULL, 0}, &marks[1]), 0);
    key[2] = 'x';
    CHECK(!gr_table_get(&t, (gr_str){key, 3}));
    CHECK(gr_table_get(&t, (gr_str){"a\0b", 3}) == &marks[0]);
    CHECK(!gr_table_get(&t, GR_STR("a")));
    CHECK(gr_table_get(&t, GR_STR("")) == &marks[1]);
    gr_table_deinit(&t);
}

static gr_str key_of(unsigned number, char *space) {
    int n = snprintf(space, 16, "key%u", number);
    return (gr_str){space, (size_t)n};
}

static void check_against(const gr_table *t, void *const *model, unsigned keys) {
    char space[16];
    size_t used = 0, visited = 0;
    gr_table_slot *slot;
    for (unsigned k = 0; k < keys; k++) {
        CHECK(gr_table_get(t, key_of(k, space)) == model[k]);
        if (model[k]) used++;
    }
    for (size_t i = 0; (slot = gr_table_next(t, &i)); visited++)
        CHECK(slot->value != NULL);
    CHECK_EQ(t->n, used);
    CHECK_EQ(visited, used);
    CHECK(t->n * 4 <= t->cap * 3);
}

/* Few keys and many removals, so that runs wrap around the end and holes open inside them. */
TEST(random_operations_agree_with_a_model) {
    static const unsigned KEYS[] = {5, 6, 12, 48, 500};
    for (size_t round = 0; round < GR_LEN(KEYS); round++) {
        void *model[500] = {NULL};
        unsigned keys = KEYS[round];
        gr_table t = GR_TABLE_INIT;
        gr_rand r;
        gr_rand_seed(&r, round);
        for (int i = 0; i < 5000; i++) {
            char space[16];
            unsigned k = (unsigned)gr_rand_below(&r, keys);
            gr_str key = key_of(k, space);
            if (gr_rand_below(&r, 2)) {
                CHECK(gr_table_remove(&t, key) == model[k]);
                model[k] = NULL;
            } else {
                model[k] = &marks[gr_rand_below(&r, GR_LEN(marks))];
                CHECK_EQ(gr_table_put(&t, key, model[k]), 0);
            }
            if (i % 7 == 0) check_against(&t, model, keys);
        }
        check_against(&t, model, keys);
        gr_table_deinit(&t);
    }
}

/* Removal must also be right when every key wants the same slots: hashes are chosen by hand. */
TEST(removal_keeps_colliding_runs_together) {
    for (unsigned first = 0; first < 8; first++) {
        for (unsigned victim = 0; victim < 5; victim++) {
            gr_table t = GR_TABLE_INIT;
            void *model[400] = {NULL};
            char space[16];
            unsigned n = 0;
            for (unsigned k = 0; k < 400 && n < 5; k++) {
                uint64_t home = gr_str_hash(key_of(k, space), 0) & 7;
                if (home != first && home != ((first + 1) & 7)) continue;
                CHECK_EQ(gr_table_put(&t, key_of(k, space), &marks[k]), 0);
                model[k] = &marks[k];
                if (n++ == victim) model[399] = &marks[k]; /* remembered for below */
            }
            unsigned gone = (unsigned)((int *)model[399] - marks);
            model[399] = NULL;
            CHECK_EQ(t.cap, 8);
            CHECK(gr_table_remove(&t, key_of(gone, space)) == &marks[gone]);
            model[gone] = NULL;
            check_against(&t, model, 400);
            gr_table_deinit(&t);
        }
    }
}

TEST(clear_keeps_the_slots) {
    gr_table t = GR_TABLE_INIT;
    char space[16];
    gr_table_clear(&t);
    for (unsigned k = 0; k < 100; k++)
        CHECK_EQ(gr_table_put(&t, key_of(k, space), &marks[k]), 0);
    size_t cap = t.cap;
    gr_table_clear(&t);
    CHECK_EQ(t.n, 0);
    CHECK_EQ(t.cap, cap);
    CHECK(!gr_table_get(&t, GR_STR("key1")));
    size_t i = 0;
    CHECK(!gr_table_next(&t, &i));
    gr_table_deinit(&t);
}

TEST(lookups_and_replacing_allocate_nothing) {
    gr_table t = GR_TABLE_INIT;
    char space[16];
    for (unsigned k = 0; k < 6; k++) /* as full as it may be */
        CHECK_EQ(gr_table_put(&t, key_of(k, space), &marks[k]), 0);
    uint64_t before = gr__alloc_calls();
    CHECK(gr_table_get(&t, GR_STR("key5")) == &marks[5]);
    CHECK_EQ(gr_table_put(&t, GR_STR("key5"), &marks[9]), 0);
    CHECK_EQ(t.cap, 8);
    CHECK(gr_table_get(&t, GR_STR("key5")) == &marks[9]);
    CHECK_EQ(gr__alloc_calls(), before);
    gr_table_deinit(&t);
}

TEST(put_survives_each_failed_allocation) {
    char space[16];
    int rc = GR_E_NOMEM;
    for (uint64_t n = 0; rc == GR_E_NOMEM; n++) {
        gr_table t = GR_TABLE_INIT;
        CHECK(n < 10);
        for (unsigned k = 0; k < 6; k++)
            CHECK_EQ(gr_table_put(&t, key_of(k, space), &marks[k]), 0);
        FAIL_ALLOC_AT(n) rc = gr_table_put(&t, GR_STR("new"), &marks[7]);
        CHECK_EQ(t.n, rc ? 6 : 7);
        CHECK(gr_table_get(&t, GR_STR("new")) == (rc ? NULL : &marks[7]));
        for (unsigned k = 0; k < 6; k++)
            CHECK(gr_table_get(&t, key_of(k, space)) == &marks[k]);
        gr_table_deinit(&t);
    }
    CHECK_EQ(rc, 0);
}
