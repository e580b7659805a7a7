/* See rand.h. Seeding by splitmix64, as the authors of xoshiro advise. */
#include "base/rand.h"

void gr_rand_seed(gr_rand *r, uint64_t seed) {
    for (size_t i = 0; i < GR_LEN(r->s); i++) {
        seed += 0x9e3779b97f4a7c15u;
        uint64_t z = seed;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        r->s[i] = z ^ (z >> 31);
    }
}

static uint64_t rotl(uint64_t x, int k) {
    return (x << k) | (x >> (64 - k));
}

uint64_t gr_rand_next(gr_rand *r) {
    uint64_t *s = r->s;
    uint64_t result = rotl(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotl(s[3], 45);
    return result;
}

uint64_t gr_rand_below(gr_rand *r, uint64_t limit) {
    GR_CHECK(limit > 0);
    uint64_t unfair = (0 - limit) % limit; /* values below this would favour some results */
    uint64_t x;
    do
        x = gr_rand_next(r);
    while (x < unfair);
    return x % limit;
}

double gr_rand_unit(gr_rand *r) {
    return (double)(gr_rand_next(r) >> 11) * 0x1p-53;
}
