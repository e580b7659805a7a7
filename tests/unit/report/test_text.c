/* Numbers as Python prints them, and bytes that are not UTF-8. */
#include "test.h"

#include "report/text.c"

#include "base/rand.h"
#include "golden.h"

static void check_float(double value, const char *want) {
    gr_text t = GR_TEXT_INIT;
    gr_text_float(&t, value);
    CHECK_TEXT(&t, want);
    gr_text_deinit(&t);
}

TEST(floats_are_pythons_repr) {
    check_float(0, "0.0");
    check_float(-0.0, "-0.0");
    check_float(1, "1.0");
    check_float(100, "100.0");
    check_float(0.1, "0.1");
    check_float(0.1 + 0.2, "0.30000000000000004");
    check_float(9.7, "9.7");
    check_float(1.0 / 3, "0.3333333333333333");
    check_float(0.0001, "0.0001");
    check_float(0.00001234, "1.234e-05");
    check_float(-12345.678, "-12345.678");
    check_float(1700000000.1234567, "1700000000.1234567");
    check_float(1e15, "1000000000000000.0");
    check_float(9007199254740993.0, "9007199254740992.0");
    check_float(1e16, "1e+16");
    check_float(1.5e300, "1.5e+300");
    check_float(5e-324, "5e-324");
    check_float((double)INFINITY, "inf");
    check_float((double)-INFINITY, "-inf");
    check_float((double)NAN, "nan");
}

TEST(every_float_reads_back) {
    gr_rand r;
    gr_text t = GR_TEXT_INIT;
    gr_rand_seed(&r, 1);
    for (int i = 0; i < 100000; i++) {
        uint64_t bits = gr_rand_next(&r);
        double value, back;
        memcpy(&value, &bits, sizeof value);
        if (isnan(value) || isinf(value)) continue;
        gr_text_clear(&t);
        gr_text_float(&t, value);
        gr_text_add(&t, (gr_str){"", 1});
        back = strtod(t.buf.p, NULL);
        CHECK(memcmp(&back, &value, sizeof value) == 0);
    }
    gr_text_deinit(&t);
}

TEST(moments_are_utc) {
    gr_text t = GR_TEXT_INIT;
    gr_text_utc(&t, 0);
    CHECK_TEXT(&t, "1970-01-01T00:00:00Z");
    gr_text_utc(&t, GOLDEN_START + 999999999);
    CHECK_TEXT(&t, "2023-11-14T22:13:20Z");
    gr_text_deinit(&t);
}

TEST(utf8_is_checked_strictly) {
    static const struct {
        const char *bytes;
        size_t n;
    } CASES[] = {
        {"a", 1},
        {"\xc3\xa4", 2},
        {"\xe2\x82\xac", 3},
        {"\xf0\x9f\x98\x80", 4},
        {"\x80", 0},
        {"\xc0\x80", 0},
        {"\xc1\xbf", 0},
        {"\xe0\x9f\xbf", 0},
        {"\xed\xa0\x80", 0},
        {"\xf0\x8f\xbf\xbf", 0},
        {"\xf4\x90\x80\x80", 0},
        {"\xf5\x80\x80\x80", 0},
        {"\xc3", 0},
        {"\xe2\x82", 0},
        {"\xe2(\xa1", 0},
        {"\xff", 0},
    };
    for (size_t i = 0; i < GR_LEN(CASES); i++)
        cr_assert_eq(gr_text_utf8(gr_str_c(CASES[i].bytes)), CASES[i].n, "case %zu", i);
}

TEST(broken_utf8_is_replaced) {
    gr_text t = GR_TEXT_INIT;
    gr_text_repaired(&t, GR_STR("a\xff\xc3\xa4\xe2\x82"));
    CHECK_TEXT(&t, "a\xef\xbf\xbd\xc3\xa4\xef\xbf\xbd\xef\xbf\xbd");
    gr_text_repaired(&t, GR_STR(""));
    CHECK_TEXT(&t, "");
    gr_text_deinit(&t);
}

TEST(cells_count_characters_and_disarm_controls) {
    gr_text t = GR_TEXT_INIT;
    gr_text_cell(&t, GR_STR("\xc3\xa4\xe2\x82\xac"), 4);
    CHECK_TEXT(&t, "\xc3\xa4\xe2\x82\xac  ");
    gr_text_cell(&t, GR_STR("\x1b[31m\x7f\r\n\t"), 0);
    CHECK_TEXT(&t, "\\x1b[31m\\x7f\\x0d\n\t");
    gr_text_cell(&t, GR_STR("\xc2\x9b\xff"), 10);
    CHECK_TEXT(&t, "\\x9b\\xff  ");
    gr_text_cell(&t, GR_STR("longer"), 3);
    CHECK_TEXT(&t, "longer");
    gr_text_deinit(&t);
}

TEST(the_first_failure_sticks) {
    gr_text t = GR_TEXT_INIT;
    FAIL_ALLOC_AT(0) gr_text_addc(&t, "lost");
    CHECK_EQ(t.rc, GR_E_NOMEM);
    gr_text_addc(&t, "not added");
    gr_text_addf(&t, "%d", 1);
    gr_text_repeat(&t, 'x', 5);
    gr_text_cell(&t, GR_STR("x"), 5);
    gr_text_repaired(&t, GR_STR("x"));
    CHECK_EQ(t.buf.n, 0);
    gr_text_clear(&t);
    FAIL_ALLOC_AT(0) gr_text_addf(&t, "%d", 1);
    CHECK_EQ(t.rc, GR_E_NOMEM);
    gr_text_clear(&t);
    FAIL_ALLOC_AT(0) gr_text_repeat(&t, 'x', 5);
    CHECK_EQ(t.rc, GR_E_NOMEM);
    gr_text_clear(&t);
    gr_text_repeat(&t, 'x', -5);
    gr_text_addc(&t, "added");
    CHECK_TEXT(&t, "added");
    gr_text_deinit(&t);
}
