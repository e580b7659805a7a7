/* See hist.h. Chunk 0 holds 0 .. 1023, one value a slot; chunk k holds 2^(9+k) .. 2^(10+k) - 1 in
 * slots of 2^(k-1). So a slot is never wider than 1/1024 of the values in it, and finding it takes
 * one count of leading zeros.
 *
 * Always: count == under + over + the sum of all slots. */
#include "stats/hist.h"
#include "base/alloc.h"
#include "base/err.h"

#include <float.h>
#include <math.h>

#define CHUNK_BYTES (GR_HIST_CHUNK_SLOTS * sizeof(uint64_t))

static_assert(GR_HIST_VALUE_MAX >> (GR_HIST_CHUNKS + 9) == 0, "the last chunk reaches the end");

static unsigned chunk_of(uint64_t value) {
    return 54u - (unsigned)__builtin_clzll(value | (GR_HIST_CHUNK_SLOTS - 1));
}

static unsigned shift_of(unsigned chunk) { /* log2 of the width of its slots */
    return chunk ? chunk - 1 : 0;
}

static unsigned slot_of(unsigned chunk, uint64_t value) {
    return (unsigned)(value >> shift_of(chunk)) & (GR_HIST_CHUNK_SLOTS - 1);
}

static int64_t slot_middle(unsigned chunk, unsigned slot) {
    if (chunk == 0) return slot;
    unsigned shift = shift_of(chunk);
    int64_t floor = (int64_t)(GR_HIST_CHUNK_SLOTS + slot) << shift;
    return floor + (((int64_t)1 << shift) - 1) / 2;
}

static uint64_t *touch(gr_hist *h, unsigned chunk) {
    if (!h->chunks[chunk]) h->chunks[chunk] = gr_calloc(1, CHUNK_BYTES);
    return h->chunks[chunk];
}

void gr_hist_init(gr_hist *h) {
    *h = (gr_hist){0};
}

void gr_hist_deinit(gr_hist *h) {
    for (unsigned k = 0; k < GR_HIST_CHUNKS; k++)
        gr_free(h->chunks[k]);
    *h = (gr_hist){0};
}

void gr_hist_reset(gr_hist *h) {
    for (unsigned k = 0; k < GR_HIST_CHUNKS; k++)
        if (h->chunks[k]) memset(h->chunks[k], 0, CHUNK_BYTES);
    h->count = h->over = h->under = 0;
    h->min = h->max = 0;
    h->sum = 0;
}

static void widen(gr_hist *h, int64_t min, int64_t max) { /* before count changes */
    if (h->count == 0 || min < h->min) h->min = min;
    if (h->count == 0 || max > h->max) h->max = max;
}

int gr_hist_record(gr_hist *h, int64_t ns) {
    widen(h, ns, ns);
    h->count++;
    h->sum += (double)ns;
    if (ns < 0) {
        h->under++;
        return 0;
    }
    if (ns > GR_HIST_VALUE_MAX) {
        h->over++;
        return 0;
    }
    unsigned chunk = chunk_of((uint64_t)ns);
    uint64_t *slots = touch(h, chunk);
    if (!slots) {
        h->over++;
        return GR_E_NOMEM;
    }
    slots[slot_of(chunk, (uint64_t)ns)]++;
    return 0;
}

static uint64_t chunk_count(const uint64_t *slots) {
    uint64_t n = 0;
    for (unsigned i = 0; i < GR_HIST_CHUNK_SLOTS; i++)
        n += slots[i];
    return n;
}

int gr_hist_merge(gr_hist *into, const gr_hist *from) {
    int rc = 0;
    if (from->count == 0) return 0;
    widen(into, from->min, from->max);
    into->count += from->count;
    into->sum += from->sum;
    into->under += from->under;
    into->over += from->over;
    for (unsigned k = 0; k < GR_HIST_CHUNKS; k++) {
        const uint64_t *more = from->chunks[k];
        if (!more) continue;
        uint64_t *slots = touch(into, k);
        if (!slots) {
            into->over += chunk_count(more);
            rc = GR_E_NOMEM;
            continue;
        }
        for (unsigned i = 0; i < GR_HIST_CHUNK_SLOTS; i++)
            slots[i] += more[i];
    }
    return rc;
}

/* ceil(p * count), within 1 .. count. The factor takes back what rounding p and the product may
 * have added: 0.07 * 100 is a little more than 7 in doubles, but means the 7th value. */
static uint64_t rank_of(double p, uint64_t count) {
    double rank = ceil(p * (double)count * (1 - 2 * DBL_EPSILON));
    if (!(rank > 1)) return 1;
    return rank >= (double)count ? count : (uint64_t)rank;
}

static int64_t value_at(const gr_hist *h, uint64_t rank) {
    uint64_t seen = h->under;
    if (rank <= seen) return h->min;
    for (unsigned k = 0; k < GR_HIST_CHUNKS; k++) {
        if (!h->chunks[k]) continue;
        for (unsigned i = 0; i < GR_HIST_CHUNK_SLOTS; i++)
            if ((seen += h->chunks[k][i]) >= rank) return slot_middle(k, i);
    }
    return h->max;
}

int64_t gr_hist_percentile(const gr_hist *h, double p) {
    if (h->count == 0) return 0;
    if (!(p > 0)) return h->min;
    if (p >= 1) return h->max;
    int64_t value = value_at(h, rank_of(p, h->count));
    return GR_MIN(GR_MAX(value, h->min), h->max);
}

double gr_hist_mean(const gr_hist *h) {
    return h->count ? h->sum / (double)h->count : 0;
}

void gr_hist_each(const gr_hist *h, gr_hist_visit *visit, void *ctx) {
    if (h->under) visit(ctx, h->min, h->under);
    for (unsigned k = 0; k < GR_HIST_CHUNKS; k++) {
        if (!h->chunks[k]) continue;
        for (unsigned i = 0; i < GR_HIST_CHUNK_SLOTS; i++)
            if (h->chunks[k][i]) visit(ctx, slot_middle(k, i), h->chunks[k][i]);
    }
    if (h->over) visit(ctx, h->max, h->over);
}
