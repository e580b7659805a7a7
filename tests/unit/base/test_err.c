/* Every code has a text and a name, and none meets a system error. */
#include "test.h"

#include "base/base.h"
#include "base/err.c"

#include <errno.h>
#include <limits.h>

static const struct {
    int code;
    const char *name, *text;
} OURS[] = {
#define X(name, number, text) {GR_E_##name, #name, text},
#include "base/err.def"
#undef X
};

TEST(every_code_has_its_name_and_text) {
    for (size_t i = 0; i < GR_LEN(OURS); i++) {
        cr_assert_str_eq(gr_strerror(OURS[i].code), OURS[i].text);
        cr_assert_str_eq(gr_errname(OURS[i].code), OURS[i].name);
    }
    cr_assert_str_eq(gr_strerror(0), "no error");
}

TEST(our_codes_are_distinct_and_never_meet_errno) {
    for (size_t i = 0; i < GR_LEN(OURS); i++) {
        CHECK(OURS[i].code <= -1001);
        for (size_t j = 0; j < i; j++)
            CHECK(OURS[i].code != OURS[j].code);
    }
}

TEST(system_errors_have_the_systems_text) {
    cr_assert_str_eq(gr_strerror(-ENOENT), strerror(ENOENT));
    cr_assert_str_eq(gr_strerror(ENOENT), strerror(ENOENT));
    CHECK(gr_errname(-ENOENT) == NULL);
    CHECK(gr_errname(0) == NULL);
}

TEST(unknown_codes_have_some_text) {
    static const int CODES[] = {-999999, -1000, INT_MIN, INT_MAX, 123456};
    for (size_t i = 0; i < GR_LEN(CODES); i++)
        CHECK(gr_strerror(CODES[i])[0] != '\0');
}
