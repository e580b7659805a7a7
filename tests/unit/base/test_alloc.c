/* Counting, and failing on demand. */
#include "test.h"

#include "base/alloc.c"

TEST(each_call_is_counted) {
    uint64_t before = gr__alloc_calls();
    void *a = gr_malloc(1), *b = gr_calloc(2, 3), *c = gr_realloc(NULL, 4);
    char *d = gr_strndup("abc", 2);
    CHECK(a && b && c && d);
    cr_assert_str_eq(d, "ab");
    CHECK_EQ(gr__alloc_calls(), before + 4);
    gr_free(a);
    gr_free(b);
    gr_free(c);
    gr_free(d);
    gr_free(NULL);
    CHECK_EQ(gr__alloc_calls(), before + 4);
}

TEST(nothing_is_still_something) {
    void *p[] = {gr_malloc(0), gr_calloc(0, 5), gr_calloc(5, 0), gr_realloc(NULL, 0),
                 gr_strndup(NULL, 0)};
    for (size_t i = 0; i < GR_LEN(p); i++) {
        CHECK(p[i] != NULL);
        gr_free(p[i]);
    }
}

TEST(calloc_zeroes_and_refuses_overflow) {
    char *p = gr_calloc(1000, 3);
    CHECK(p != NULL);
    for (int i = 0; p && i < 3000; i++)
        CHECK_EQ(p[i], 0);
    gr_free(p);
    size_t volatile half = SIZE_MAX / 2;
    void *volatile too_much = gr_calloc(half, 4); /* volatile, or clang drops the call */
    CHECK(too_much == NULL);
}

TEST(the_nth_call_fails_once) {
    for (uint64_t n = 0; n < 4; n++) {
        gr__alloc_fail_at(n);
        for (uint64_t i = 0; i < 8; i++) {
            void *p = gr_malloc(8);
            CHECK((p == NULL) == (i == n));
            gr_free(p);
        }
    }
    gr__alloc_fail_at(0);
    CHECK(!gr_strndup("a", 1));
    gr__alloc_fail_at(0);
    CHECK(!gr_calloc(1, 1));
    gr__alloc_fail_at(0);
    gr__alloc_fail_at(UINT64_MAX); /* taken back */
    void *p = gr_malloc(1);
    CHECK(p != NULL);
    gr_free(p);
}

TEST(a_failed_realloc_leaves_the_block) {
    char *p = gr_strndup("kept", 4), *q = NULL;
    FAIL_ALLOC_AT(0) q = gr_realloc(p, 1 << 20);
    CHECK(q == NULL);
    cr_assert_str_eq(p, "kept");
    gr_free(p);
}
