/* Alignment, growth beyond a block, reset that keeps the oldest one. */
#include "test.h"

#include "base/arena.c"

TEST(pieces_are_aligned_and_do_not_overlap) {
    gr_arena a = GR_ARENA_INIT;
    char *p[500];
    for (size_t i = 0; i < GR_LEN(p); i++) {
        CHECK((p[i] = gr_arena_alloc(&a, i)) != NULL);
        CHECK_EQ((uintptr_t)p[i] % 16, 0);
        memset(p[i], (int)(i & 0xff), i);
    }
    for (size_t i = 0; i < GR_LEN(p); i++)
        for (size_t k = 0; k < i; k++)
            CHECK_EQ((unsigned char)p[i][k], i & 0xff);
    gr_arena_deinit(&a);
    CHECK(a.block == NULL);
    gr_arena_deinit(&a);
}

TEST(copies_end_in_nul) {
    gr_arena a = GR_ARENA_INIT;
    gr_str copy;
    CHECK_EQ(gr_arena_copy(&a, (gr_str){"abcd", 3}, &copy), 0);
    CHECK_STR(copy, "abc");
    CHECK_EQ(copy.p[3], '\0');
    CHECK_EQ(gr_arena_copy(&a, (gr_str){NULL, 0}, &copy), 0);
    CHECK_EQ(copy.n, 0);
    CHECK_EQ(copy.p[0], '\0');
    gr_arena_deinit(&a);
}

TEST(a_warm_arena_allocates_nothing) {
    gr_arena a = GR_ARENA_INIT;
    CHECK(gr_arena_alloc(&a, 48) != NULL);
    void *first = a.block;
    uint64_t before = gr__alloc_calls();
    for (int i = 0; i < 100; i++) {
        gr_arena_reset(&a);
        CHECK(gr_arena_alloc(&a, 16) != NULL);
        CHECK(gr_arena_alloc(&a, 32) != NULL);
    }
    CHECK_EQ(gr__alloc_calls(), before);
    CHECK(gr_arena_alloc(&a, 100000) != NULL);
    gr_arena_reset(&a);
    CHECK(a.block == first && a.used == 0); /* only the oldest block stays */
    gr_arena_deinit(&a);
}

TEST(reset_of_an_empty_arena_is_harmless) {
    gr_arena a = GR_ARENA_INIT;
    gr_arena_reset(&a);
    CHECK(gr_arena_alloc(&a, 0) != NULL);
    gr_arena_deinit(&a);
}

TEST(out_of_memory_leaves_the_arena_usable) {
    gr_arena a = GR_ARENA_INIT;
    gr_str copy;
    FAIL_ALLOC_AT(0) CHECK(!gr_arena_alloc(&a, 1));
    FAIL_ALLOC_AT(0) CHECK_EQ(gr_arena_copy(&a, GR_STR("x"), &copy), GR_E_NOMEM);
    CHECK(gr_arena_alloc(&a, 1) != NULL);
    CHECK(!gr_arena_alloc(&a, SIZE_MAX));
    CHECK(!gr_arena_alloc(&a, SIZE_MAX / 2 + 1));
    FAIL_ALLOC_AT(0) CHECK(!gr_arena_alloc(&a, 5000));
    CHECK_EQ(gr_arena_copy(&a, GR_STR("x"), &copy), 0);
    CHECK_STR(copy, "x");
    gr_arena_deinit(&a);
}
