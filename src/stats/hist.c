/* See hist.h. Chunk 0 holds 0 .. 1023, one value a slot; chunk k holds 2^(9+k) .. 2^(10+k) - 1 in
 * slots of 2^(k-1). So a slot is never wider than 1/1024 of the values in it, and finding it takes
 * one count of leading zeros.
 *
 * Always: count == under + over + the sum of all slots; until the histogram is dense, its chunks (there may
 * be some, from an attempt that ran out of memory) hold zeroes only. */
#include "stats/hist.h"
#include "base/alloc.h"
#include "base/err.h"

#include <float.h>
#include <math.h>

#define CHUNK_BYTES (GR_HIST_CHUNK_SLOTS * sizeof(uint64_t))

/* A scenario with 10,000 names, six to twenty requests for each, is resident in 0.12 GB with the list and in 3.0 GB
 * without it, which also takes 0.3 s for each hand-over. */
#define FEW_MAX   (GR_HOSTILE ? 3u : 256u)
#define FEW_FIRST (GR_HOSTILE ? 1u : 4u)

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

/* Where `slot` is in the list, or belongs. */
static uint32_t few_find(const gr_hist *h, uint32_t slot) {
    uint32_t low = 0, high = h->few_n;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (h->few[middle].slot < slot)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static int few_insert(gr_hist *h, uint32_t at, uint32_t slot, uint64_t count) {
    if (h->few_n == h->few_cap) {
        uint32_t cap = h->few_cap ? GR_MIN(h->few_cap * 2, FEW_MAX) : FEW_FIRST;
        gr_hist_few *few = gr_realloc(h->few, cap * sizeof *few);
        if (!few) return GR_E_NOMEM;
        h->few = few;
        h->few_cap = cap;
    }
    memmove(h->few + at + 1, h->few + at, (h->few_n - at) * sizeof *h->few);
    h->few[at] = (gr_hist_few){slot, count};
    h->few_n++;
    return 0;
}

/* From the list into chunks. Nothing is moved before all memory is there. */
static int make_dense(gr_hist *h) {
    if (h->dense) return 0;
    for (uint32_t i = 0; i < h->few_n; i++)
        if (!touch(h, h->few[i].slot / GR_HIST_CHUNK_SLOTS)) return GR_E_NOMEM;
    for (uint32_t i = 0; i < h->few_n; i++) {
        const gr_hist_few *f = &h->few[i];
        h->chunks[f->slot / GR_HIST_CHUNK_SLOTS][f->slot % GR_HIST_CHUNK_SLOTS] = f->count;
    }
    gr_free(h->few);
    h->few = NULL;
    h->few_n = h->few_cap = 0;
    h->dense = true;
    return 0;
}

static int add(gr_hist *h, uint32_t slot, uint64_t count) {
    if (!h->dense) {
        uint32_t at = few_find(h, slot);
        if (at < h->few_n && h->few[at].slot == slot) {
            h->few[at].count += count;
            return 0;
        }
        if (h->few_n < FEW_MAX) return few_insert(h, at, slot, count);
        int rc = make_dense(h);
        if (rc < 0) return rc;
    }
    uint64_t *slots = touch(h, slot / GR_HIST_CHUNK_SLOTS);
    if (!slots) return GR_E_NOMEM;
    slots[slot % GR_HIST_CHUNK_SLOTS] += count;
    return 0;
}

void gr_hist_init(gr_hist *h) {
    *h = (gr_hist){0};
}

void gr_hist_deinit(gr_hist *h) {
    for (unsigned k = 0; k < GR_HIST_CHUNKS; k++)
        gr_free(h->chunks[k]);
    gr_free(h->few);
    *h = (gr_hist){0};
}

void gr_hist_reset(gr_hist *h) {
    for (unsigned k = 0; k < GR_HIST_CHUNKS; k++)
        if (h->chunks[k]) memset(h->chunks[k], 0, CHUNK_BYTES);
    h->few_n = 0;
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
    int rc = add(h, chunk * GR_HIST_CHUNK_SLOTS + slot_of(chunk, (uint64_t)ns), 1);
    if (rc < 0) h->over++;
    return rc;
}

static uint64_t chunk_count(const uint64_t *slots) {
    uint64_t n = 0;
    for (unsigned i = 0; i < GR_HIST_CHUNK_SLOTS; i++)
        n += slots[i];
    return n;
}

static int merge_few(gr_hist *into, const gr_hist *from) {
    int rc = 0;
    for (uint32_t i = 0; i < from->few_n; i++) {
        if (add(into, from->few[i].slot, from->few[i].count) == 0) continue;
        into->over += from->few[i].count;
        rc = GR_E_NOMEM;
    }
    return rc;
}

static int merge_dense(gr_hist *into, const gr_hist *from) {
    int rc = make_dense(into);
    if (rc < 0) {
        into->over += from->count - from->under - from->over;
        return rc;
    }
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

int gr_hist_merge(gr_hist *into, const gr_hist *from) {
    if (from->count == 0) return 0;
    widen(into, from->min, from->max);
    into->count += from->count;
    into->sum += from->sum;
    into->under += from->under;
    into->over += from->over;
    return from->dense ? merge_dense(into, from) : merge_few(into, from);
}

/* ceil(p * count), within 1 .. count. The factor takes back what rounding p and the product may
 * have added: 0.07 * 100 is a little more than 7 in doubles, but means the 7th value. */
static uint64_t rank_of(double p, uint64_t count) {
    double rank = ceil(p * (double)count * (1 - 2 * DBL_EPSILON));
    if (!(rank > 1)) return 1;
    return rank >= (double)count ? count : (uint64_t)rank;
}

static int64_t few_middle(const gr_hist_few *f) {
    return slot_middle(f->slot / GR_HIST_CHUNK_SLOTS, f->slot % GR_HIST_CHUNK_SLOTS);
}

static int64_t value_at(const gr_hist *h, uint64_t rank) {
    uint64_t seen = h->under;
    if (rank <= seen) return h->min;
    for (uint32_t i = 0; i < h->few_n; i++)
        if ((seen += h->few[i].count) >= rank) return few_middle(&h->few[i]);
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
    for (uint32_t i = 0; i < h->few_n; i++)
        visit(ctx, few_middle(&h->few[i]), h->few[i].count);
    for (unsigned k = 0; k < GR_HIST_CHUNKS; k++) {
        if (!h->chunks[k]) continue;
        for (unsigned i = 0; i < GR_HIST_CHUNK_SLOTS; i++)
            if (h->chunks[k][i]) visit(ctx, slot_middle(k, i), h->chunks[k][i]);
    }
    if (h->over) visit(ctx, h->max, h->over);
}
