/* Ranges, and that the distribution is even enough to be used for choices. */
#include "test.h"

#include "base/rand.c"

/* Computed apart from our code: splitmix64 from seed 0, then xoshiro256** as published. */
TEST(sequence_is_the_published_one) {
    gr_rand r = {{1, 2, 3, 4}};
    static const uint64_t FIRST[] = {11520u, 0u, 1509978240u, 1215971899390074240u};
    for (size_t i = 0; i < GR_LEN(FIRST); i++)
        CHECK(gr_rand_next(&r) == FIRST[i]);
    gr_rand_seed(&r, 0);
    CHECK(r.s[0] == 0xe220a8397b1dcdafu);
    CHECK(r.s[1] == 0x6e789e6aa1b965f4u);
}

TEST(same_seed_same_numbers) {
    gr_rand a, b, c;
    gr_rand_seed(&a, 42);
    gr_rand_seed(&b, 42);
    gr_rand_seed(&c, 43);
    unsigned differ = 0;
    for (int i = 0; i < 100; i++) {
        uint64_t x = gr_rand_next(&a);
        CHECK(x == gr_rand_next(&b));
        differ += x != gr_rand_next(&c);
    }
    CHECK(differ > 90);
}

TEST(below_is_in_range_and_fair) {
    static const uint64_t LIMITS[] = {1, 2, 3, 7, 1000, (uint64_t)1 << 63, UINT64_MAX};
    gr_rand r;
    gr_rand_seed(&r, 1);
    for (size_t i = 0; i < GR_LEN(LIMITS); i++)
        for (int n = 0; n < 1000; n++)
            CHECK(gr_rand_below(&r, LIMITS[i]) < LIMITS[i]);
    unsigned count[7] = {0};
    for (int n = 0; n < 70000; n++)
        count[gr_rand_below(&r, 7)]++;
    for (int i = 0; i < 7; i++)
        CHECK(count[i] > 9500 && count[i] < 10500); /* 5 standard deviations */
}

TEST(unit_lies_in_zero_to_one) {
    gr_rand r;
    double sum = 0, least = 1, most = 0;
    gr_rand_seed(&r, 1);
    for (int i = 0; i < 100000; i++) {
        double x = gr_rand_unit(&r);
        CHECK(x >= 0 && x < 1);
        sum += x;
        least = GR_MIN(least, x);
        most = GR_MAX(most, x);
    }
    CHECK(sum > 49500 && sum < 50500);
    CHECK(least < 0.001 && most > 0.999);
}
