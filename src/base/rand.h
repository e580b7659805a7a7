/* xoshiro256**: fast, well distributed, not for secrets. One generator per thread of work. */
#ifndef GR_BASE_RAND_H
#define GR_BASE_RAND_H

#include "base/base.h"

typedef struct gr_rand {
    uint64_t s[4];
} gr_rand;

void gr_rand_seed(gr_rand *r, uint64_t seed);
uint64_t gr_rand_next(gr_rand *r);
uint64_t gr_rand_below(gr_rand *r, uint64_t limit); /* 0 .. limit-1, unbiased; limit > 0 */
double gr_rand_unit(gr_rand *r);                    /* [0, 1) with 53 random bits */

#endif
