/* Appending, formatting and consuming, and what a failed append leaves behind. */
#include "test.h"

#include "base/buf.c"

#include "base/rand.h"

TEST(starts_empty_and_appends) {
    gr_buf b = GR_BUF_INIT;
    CHECK_EQ(gr_buf_str(&b).n, 0);
    CHECK_EQ(gr_buf_add(&b, (gr_str){NULL, 0}), 0);
    CHECK_EQ(gr_buf_add(&b, GR_STR("ab")), 0);
    CHECK_EQ(gr_buf_addc(&b, "cd"), 0);
    CHECK_EQ(gr_buf_add_byte(&b, '\0'), 0);
    CHECK_EQ(gr_buf_add_byte(&b, 'e'), 0);
    CHECK(gr_str_eq(gr_buf_str(&b), (gr_str){"abcd\0e", 6}));
    gr_buf_deinit(&b);
    CHECK(b.p == NULL && b.n == 0 && b.cap == 0);
    gr_buf_deinit(&b);
}

TEST(formats_of_any_length) {
    gr_buf b = GR_BUF_INIT;
    for (int i = 0; i < 300; i++)
        CHECK_EQ(gr_buf_addf(&b, "%03d,", i), 0);
    CHECK_EQ(b.n, 1200);
    CHECK(memcmp(b.p, "000,001,", 8) == 0);
    CHECK(memcmp(b.p + 1192, "298,299,", 8) == 0);
    gr_buf_clear(&b);
    CHECK_EQ(gr_buf_addf(&b, "%*s|", 100000, "x"), 0);
    CHECK_EQ(b.n, 100001);
    CHECK_EQ(b.p[100000], '|');
    gr_buf_deinit(&b);
}

TEST(consume_drops_from_the_front) {
    gr_buf b = GR_BUF_INIT;
    CHECK_EQ(gr_buf_addc(&b, "abcdef"), 0);
    gr_buf_consume(&b, 0);
    gr_buf_consume(&b, 2);
    CHECK_STR(gr_buf_str(&b), "cdef");
    gr_buf_consume(&b, 4);
    CHECK_EQ(b.n, 0);
    gr_buf_consume(&b, 0);
    gr_buf_deinit(&b);
}

#define MODEL_MAX 20000

TEST(random_operations_agree_with_a_model) {
    static char model[MODEL_MAX];
    size_t n = 0;
    gr_buf b = GR_BUF_INIT;
    gr_rand r;
    gr_rand_seed(&r, 1);
    for (int i = 0; i < 20000; i++) {
        char chunk[64];
        size_t size = gr_rand_below(&r, sizeof chunk);
        if (gr_rand_below(&r, 3) > 0 && n + size <= MODEL_MAX) {
            memset(chunk, 'a' + i % 26, sizeof chunk);
            CHECK_EQ(gr_buf_add(&b, (gr_str){chunk, size}), 0);
            memcpy(model + n, chunk, size);
            n += size;
        } else {
            size = gr_rand_below(&r, n + 1);
            gr_buf_consume(&b, size);
            n -= size;
            memmove(model, model + size, n);
        }
        CHECK(b.n <= b.cap);
        CHECK(gr_str_eq(gr_buf_str(&b), (gr_str){model, n}));
    }
    gr_buf_deinit(&b);
}

TEST(reserved_room_is_not_allocated_again) {
    gr_buf b = GR_BUF_INIT;
    CHECK_EQ(gr_buf_reserve(&b, 5000), 0);
    uint64_t before = gr__alloc_calls();
    for (int i = 0; i < 5000; i++)
        CHECK_EQ(gr_buf_add_byte(&b, 'x'), 0);
    gr_buf_clear(&b);
    CHECK_EQ(gr_buf_reserve(&b, 5000), 0);
    CHECK_EQ(gr__alloc_calls(), before);
    gr_buf_deinit(&b);
}

TEST(out_of_memory_leaves_the_contents) {
    gr_buf b = GR_BUF_INIT;
    FAIL_ALLOC_AT(0) CHECK_EQ(gr_buf_addc(&b, "x"), GR_E_NOMEM);
    CHECK_EQ(b.n, 0);
    CHECK_EQ(gr_buf_addc(&b, "kept"), 0);
    static const char big[5000];
    FAIL_ALLOC_AT(0) CHECK_EQ(gr_buf_add(&b, (gr_str){big, sizeof big}), GR_E_NOMEM);
    FAIL_ALLOC_AT(0) CHECK_EQ(gr_buf_addf(&b, "%5000d", 1), GR_E_NOMEM);
    CHECK_EQ(gr_buf_reserve(&b, SIZE_MAX), GR_E_NOMEM);
    CHECK_EQ(gr_buf_reserve(&b, SIZE_MAX / 2), GR_E_NOMEM);
    CHECK_STR(gr_buf_str(&b), "kept");
    gr_buf_deinit(&b);
}
