/* Texts of values; the expectations are Python's and Locust's own answers. */
#include "test.h"
#include "cli/value.c"

TEST(timespans) {
    static const struct {
        const char *text;
        int64_t seconds; /* -1: refused */
    } CASES[] = {
        {"20", 20},         {"20s", 20},
        {"3m", 180},        {"2h", 7200},
        {"1h20m", 4800},    {"3h30m10s", 12610},
        {"0", 0},           {"0s", 0},
        {"007", 7},         {"1h10s", 3610},
        {"90m", 5400},      {"", -1},
        {" 20", -1},        {"1.5s", -1},
        {"5d", -1},         {"10m5", -1},
        {"1s1m", -1},       {"-1", -1},
        {"h", -1},          {"1hm", -1},
        {"20 ", -1},        {"1h 2m", -1},
        {"1m1m", -1},       {"9000000000", 9000000000},
        {"9000000001", -1}, {"99999999999999999999", -1},
        {"2500001h", -1},   {"2500000h", 9000000000},
        {"2500000h1s", -1}, {"99999999999999999999h", -1},
    };
    for (size_t i = 0; i < GR_LEN(CASES); i++) {
        int64_t got = -1;
        int rc = gr_timespan_parse(gr_str_c(CASES[i].text), &got);
        cr_assert(rc == (CASES[i].seconds < 0 ? GR_E_INVALID : 0), "%s: %d", CASES[i].text, rc);
        cr_assert(got == CASES[i].seconds, "%s is %lld", CASES[i].text, (long long)got);
    }
}

TEST(integers) {
    static const struct {
        const char *text;
        bool ok;
        int64_t value;
    } CASES[] = {
        {"5", true, 5},
        {"-5", true, -5},
        {"+5", true, 5},
        {" 5\n", true, 5},
        {"1_0", true, 10},
        {"9223372036854775807", true, INT64_MAX},
        {"0", true, 0},
        {"-0", true, 0},
        {"", false, 0},
        {"-", false, 0},
        {"5x", false, 0},
        {"_1", false, 0},
        {"1_", false, 0},
        {"1__0", false, 0},
        {"- 5", false, 0},
        {"0x5", false, 0},
        {"1.0", false, 0},
        {"9223372036854775808", false, 0},
        {"99999999999999999999999", false, 0},
        {"1 2", false, 0},
    };
    for (size_t i = 0; i < GR_LEN(CASES); i++) {
        int64_t got = 0;
        bool ok = gr_value_int(gr_str_c(CASES[i].text), &got);
        cr_assert(ok == CASES[i].ok && got == CASES[i].value, "%s is %d %lld", CASES[i].text, ok,
                  (long long)got);
    }
}

TEST(floats) {
    static const char *const GOOD[] = {"1",         "1.5",     ".5",   "5.",      "1e3",
                                       "1E-3",      "+1.5e+3", " 2 ",  "1_0.0_1", "inf",
                                       "-Infinity", "nan",     "1e400"};
    static const double VALUES[] = {1, 1.5, .5, 5, 1000, .001, 1500, 2, 10.01};
    static const char *const BAD[] = {"",     ".",    "-",     "e5",   "1e",  "1e+",
                                      "0x10", "1,5",  "1.5.5", "infx", "1 2", "_1",
                                      "1_",   "1_.5", "1d",    "1.5f", "p"};
    double got = 0;
    for (size_t i = 0; i < GR_LEN(GOOD); i++) {
        cr_assert(gr_value_float(gr_str_c(GOOD[i]), &got), "%s", GOOD[i]);
        if (i < GR_LEN(VALUES))
            cr_assert(got >= VALUES[i] && got <= VALUES[i], "%s is %g", GOOD[i], got);
    }
    for (size_t i = 0; i < GR_LEN(BAD); i++)
        cr_assert(!gr_value_float(gr_str_c(BAD[i]), &got), "%s", BAD[i]);
}

TEST(booleans) {
    bool got = false;
    CHECK(gr_value_bool(GR_STR("TRUE"), &got) && got);
    CHECK(gr_value_bool(GR_STR("0"), &got) && !got);
    CHECK(gr_value_bool(GR_STR("on"), &got) && got);
    CHECK(gr_value_bool(GR_STR("No"), &got) && !got);
    CHECK(!gr_value_bool(GR_STR(""), &got));
    CHECK(!gr_value_bool(GR_STR("2"), &got));
}

TEST(lists) {
    static const char *const CASES[][2] = {{"[a, b]", "a|b|"},
                                           {"[a,b]", "a|b|"},
                                           {"[]", ""},
                                           {"[ ]", ""},
                                           {"a b", "a b|"},
                                           {"", "|"},
                                           {"[a", "[a|"},
                                           {"[\"a, b\", 'c']", "a, b|c|"},
                                           {"[\"a\\\"b\\n\"]", "a\"b\n|"},
                                           {"[a,,b]", "a||b|"},
                                           {"[it's, b]", "it's|b|"},
                                           {"[\"a]", "\"a|"},
                                           {"[\"a\\]", "\"a\\|"},
                                           {"[1, 2.5]", "1|2.5|"},
                                           {"[\"]", "\"|"},
                                           {"[']", "'|"}};
    for (size_t i = 0; i < GR_LEN(CASES); i++) {
        gr_arena arena = GR_ARENA_INIT;
        gr_buf out = GR_BUF_INIT;
        const gr_str *items;
        size_t n;
        CHECK_EQ(gr_value_list(&arena, gr_str_c(CASES[i][0]), &items, &n), 0);
        for (size_t k = 0; k < n; k++) {
            CHECK_EQ(gr_buf_addf(&out, "%s|", items[k].p), 0);
            CHECK_EQ(strlen(items[k].p), items[k].n);
        }
        cr_assert(gr_str_eq(gr_buf_str(&out), gr_str_c(CASES[i][1])), "%s gives %.*s", CASES[i][0],
                  (int)out.n, out.p ? out.p : "");
        gr_buf_deinit(&out);
        gr_arena_deinit(&arena);
    }
}

TEST(words) {
    gr_arena arena = GR_ARENA_INIT;
    const gr_str *items;
    size_t n;
    CHECK_EQ(gr_value_words(&arena, GR_STR(" a  bc\td "), &items, &n), 0);
    CHECK_EQ(n, 3);
    CHECK_STR(items[0], "a");
    CHECK_STR(items[1], "bc");
    CHECK_STR(items[2], "d");
    CHECK_EQ(gr_value_words(&arena, GR_STR("  "), &items, &n), 0);
    CHECK_EQ(n, 0);
    gr_arena_deinit(&arena);
}

TEST(repr) {
    static const char *const CASES[][2] = {{"a", "'a'"},
                                           {"", "''"},
                                           {"it's", "\"it's\""},
                                           {"it's \"x\"", "'it\\'s \"x\"'"},
                                           {"\n\t\\", "'\\n\\t\\\\'"},
                                           {"\x01\x7f", "'\\x01\\x7f'"},
                                           {"\xc3\xa9", "'\xc3\xa9'"}};
    for (size_t i = 0; i < GR_LEN(CASES); i++) {
        gr_buf out = GR_BUF_INIT;
        CHECK_EQ(gr_value_repr(&out, gr_str_c(CASES[i][0])), 0);
        CHECK_STR(gr_buf_str(&out), CASES[i][1]);
        gr_buf_deinit(&out);
    }
}
