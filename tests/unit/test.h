/* Shorthand over Criterion: every test is a process of its own with a time limit.
 * A test file includes this, then the .c file it tests, then says TEST(name) { ... }. */
#ifndef GR_TEST_H
#define GR_TEST_H
#include <criterion/criterion.h>
#include "base/alloc.h"

#define TEST(name)  Test(unit, name, .timeout = 20)
#define CHECK(cond) cr_assert(cond, "%s", #cond)
#define CHECK_EQ(a, b)                                                                             \
    do {                                                                                           \
        long long got_ = (long long)(a), want_ = (long long)(b);                                   \
        cr_assert(got_ == want_, "%s is %lld, expected %lld", #a, got_, want_);                    \
    } while (0)
#define CHECK_STR(a, b)                                                                            \
    do {                                                                                           \
        gr_str got_ = (a), want_ = gr_str_c(b);                                                    \
        cr_assert(gr_str_eq(got_, want_), "%s is \"%.*s\", expected \"%.*s\"", #a, (int)got_.n,    \
                  got_.p, (int)want_.n, want_.p);                                                  \
    } while (0)

/* Run the statement with the n-th allocation from now (0 is the next one) failing once. */
#define FAIL_ALLOC_AT(n)                                                                           \
    for (int once_ = (gr__alloc_fail_at(n), 1); once_; once_ = (gr__alloc_fail_at(UINT64_MAX), 0))

#endif
