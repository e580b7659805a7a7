/* Comparing, trimming, finding and parsing of byte strings. */
#include "test.h"

#include "base/str.c"

#include <signal.h>

TEST(equal_and_starts) {
    CHECK(gr_str_eq(GR_STR("ab"), GR_STR("ab")));
    CHECK(!gr_str_eq(GR_STR("ab"), GR_STR("aB")));
    CHECK(!gr_str_eq(GR_STR("ab"), GR_STR("a")));
    CHECK(gr_str_eq((gr_str){NULL, 0}, GR_STR("")));
    CHECK(gr_str_eq((gr_str){"a\0b", 3}, (gr_str){"a\0b", 3}));
    CHECK(!gr_str_eq((gr_str){"a\0b", 3}, (gr_str){"a\0c", 3}));
    CHECK(gr_str_starts(GR_STR("http://"), GR_STR("http")));
    CHECK(!gr_str_starts(GR_STR("http"), GR_STR("https")));
    CHECK(gr_str_starts((gr_str){NULL, 0}, (gr_str){NULL, 0}));
}

TEST(from_never_leaves_the_string) {
    CHECK_STR(gr_str_from(GR_STR("abc"), 0), "abc");
    CHECK_STR(gr_str_from(GR_STR("abc"), 2), "c");
    CHECK_STR(gr_str_from(GR_STR("abc"), 3), "");
    CHECK_STR(gr_str_from(GR_STR("abc"), SIZE_MAX), "");
    CHECK_EQ(gr_str_from((gr_str){NULL, 0}, 0).n, 0);
    CHECK_EQ(gr_str_from((gr_str){NULL, 0}, 5).n, 0);
    CHECK_EQ(gr_str_c(NULL).n, 0);
}

TEST(case_is_ignored_for_ascii_only) {
    CHECK(gr_str_ieq(GR_STR("Content-LENGTH"), GR_STR("content-length")));
    CHECK(!gr_str_ieq(GR_STR("a"), GR_STR("ab")));
    CHECK(!gr_str_ieq(GR_STR("["), GR_STR("{"))); /* differ by the case bit too */
    CHECK(!gr_str_ieq(GR_STR("\xc4"), GR_STR("\xe4")));
    CHECK(gr_str_ieq((gr_str){NULL, 0}, GR_STR("")));
}

TEST(trim_takes_blanks_and_tabs) {
    CHECK_STR(gr_str_trim(GR_STR(" \t a b\t ")), "a b");
    CHECK_STR(gr_str_trim(GR_STR(" \t")), "");
    CHECK_STR(gr_str_trim(GR_STR("\r\n")), "\r\n");
    CHECK_STR(gr_str_trim(GR_STR("")), "");
    CHECK_EQ(gr_str_trim((gr_str){NULL, 0}).n, 0);
}

TEST(find_is_the_first_or_minus_one) {
    CHECK_EQ(gr_str_find(GR_STR("abcb"), 'b'), 1);
    CHECK_EQ(gr_str_find(GR_STR("abc"), 'x'), -1);
    CHECK_EQ(gr_str_find(GR_STR("abc"), '\0'), -1);
    CHECK_EQ(gr_str_find((gr_str){NULL, 0}, 'a'), -1);
}

TEST(numbers_are_digits_that_fit) {
    static const struct {
        const char *text;
        bool ok;
        uint64_t value;
    } CASES[] = {{"0", true, 0},
                 {"0042", true, 42},
                 {"18446744073709551615", true, UINT64_MAX},
                 {"18446744073709551616", false, 0},
                 {"99999999999999999999", false, 0},
                 {"", false, 0},
                 {"-1", false, 0},
                 {"+1", false, 0},
                 {" 1", false, 0},
                 {"1 ", false, 0},
                 {"1e3", false, 0},
                 {"\xb1", false, 0},
                 {"0x10", false, 0}};
    for (size_t i = 0; i < GR_LEN(CASES); i++) {
        uint64_t value = 7;
        CHECK(gr_str_u64(gr_str_c(CASES[i].text), &value) == CASES[i].ok);
        CHECK(value == (CASES[i].ok ? CASES[i].value : 7));
    }
    uint64_t value;
    CHECK(!gr_str_u64((gr_str){"1\0", 2}, &value));
}

TEST(order_is_by_byte_then_length) {
    static const char *const SORTED[] = {"", "A", "AB", "B", "a", "\x7f", "\x80", "\xff"};
    for (size_t i = 0; i < GR_LEN(SORTED); i++) {
        for (size_t j = 0; j < GR_LEN(SORTED); j++) {
            int order = gr_str_cmp(gr_str_c(SORTED[i]), gr_str_c(SORTED[j]));
            CHECK((order < 0) == (i < j) && (order > 0) == (i > j));
        }
    }
}

TEST(hash_depends_on_bytes_length_and_seed) {
    CHECK(gr_str_hash(GR_STR("a"), 0) == gr_str_hash((gr_str){"ab", 1}, 0));
    CHECK(gr_str_hash(GR_STR("a"), 0) != gr_str_hash(GR_STR("b"), 0));
    CHECK(gr_str_hash(GR_STR("a"), 0) != gr_str_hash(GR_STR("a"), 1));
    CHECK(gr_str_hash((gr_str){"a\0", 2}, 0) != gr_str_hash(GR_STR("a"), 0));
    (void)gr_str_hash((gr_str){NULL, 0}, 0);
}

/* The low bits choose the slot of a table, so sequential names must spread there. */
TEST(hash_spreads_similar_names) {
    unsigned used[256] = {0};
    for (unsigned i = 0; i < 4096; i++) {
        char key[2] = {(char)(i & 63), (char)(i >> 6)};
        used[gr_str_hash((gr_str){key, 2}, 0) & 255]++;
    }
    for (unsigned i = 0; i < 256; i++)
        CHECK(used[i] > 0 && used[i] < 48); /* 16 expected */
}

Test(unit, a_failed_check_aborts, .signal = SIGABRT, .timeout = 20) {
    int volatile two = 2;
    GR_CHECK(two == 2);
    GR_CHECK(two == 3);
}
