/* Log-linear (HDR) histogram of nanoseconds: relative error at most 1/1024 (3 significant digits)
 * from 1 ns to 73 minutes, fixed upper bound of memory. Nothing is dropped: a value over the range counts in `over`, a
 * negative one in `under`; min, max and sum are exact. One writer.
 *
 * The first 256 distinct slots are a list of 16 bytes each, because a test that asks for ten thousand different names
 * has four histograms for each of them, in every hand-over. After that each power of two has 1,024 slots, allocated when
 * first touched (8 KB), so a busy histogram takes a few dozen KB, the largest possible 264 KB. */
#ifndef GR_STATS_HIST_H
#define GR_STATS_HIST_H

#include "base/base.h"

#define GR_HIST_CHUNKS      33
#define GR_HIST_CHUNK_SLOTS 1024
#define GR_HIST_VALUE_MAX   (((int64_t)1 << 42) - 1)

typedef struct gr_hist_few {
    uint32_t slot; /* of all: chunk * GR_HIST_CHUNK_SLOTS + slot in it */
    uint64_t count;
} gr_hist_few;

typedef struct gr_hist {
    uint64_t count;       /* all values, over and under included */
    uint64_t over, under; /* > GR_HIST_VALUE_MAX, < 0 */
    int64_t min, max;     /* exact; undefined when count is 0 */
    double sum;           /* nanoseconds */
    gr_hist_few *few;     /* ascending; until `dense` */
    uint32_t few_n, few_cap;
    bool dense;                       /* the values are in `chunks` */
    uint64_t *chunks[GR_HIST_CHUNKS]; /* NULL until touched */
} gr_hist;

void gr_hist_init(gr_hist *h);
void gr_hist_deinit(gr_hist *h);
/* Count `ns` once. 0, or GR_E_NOMEM when memory was needed and not to be had: then only count,
 * sum, min, max and `over` know of it. */
int gr_hist_record(gr_hist *h, int64_t ns);
int gr_hist_merge(gr_hist *into, const gr_hist *from); /* 0 or GR_E_NOMEM */
void gr_hist_reset(gr_hist *h);                        /* zeroes, keeps the memory */

/* The smallest recorded value v such that at least ceil(p * count) values are <= v (p in 0..1; p = 0 gives
 * the minimum, p = 1 the exact maximum), to 1/1024, clamped to [min, max]. 0 when empty. */
int64_t gr_hist_percentile(const gr_hist *h, double p);
double gr_hist_mean(const gr_hist *h); /* 0 when empty */

/* Visit non-empty slots in ascending order: `value` is the slot's midpoint; under and over are
 * visited as min and max. */
typedef void gr_hist_visit(void *ctx, int64_t value_ns, uint64_t count);
void gr_hist_each(const gr_hist *h, gr_hist_visit *visit, void *ctx);

#endif
