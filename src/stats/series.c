/* Requests and failures per second: a sorted array, so that a fresh delta's one or two seconds are
 * merged by looking at the last few elements only, however long the test runs.
 *
 * Always: seconds ascend strictly, and there are at most GR_SERIES_SECONDS_MAX of them. */
#include "base/alloc.h"
#include "base/err.h"
#include "stats/stats_int.h"

#define FIRST_SECONDS (GR_HOSTILE ? 1u : 16u)
/* A full series loses its oldest eighth at once: moving 1.4 MB every second for every entry would
 * cost more than all of the recording. */
#define KEEP_SECONDS (GR_SERIES_SECONDS_MAX - GR_SERIES_SECONDS_MAX / 8)

static uint32_t add_clamped(uint32_t a, uint32_t b) { /* merged figures may come from a peer */
    return b > UINT32_MAX - a ? UINT32_MAX : a + b;
}

static int reserve(gr_series *s, size_t n) {
    if (n <= s->cap) return 0;
    size_t cap = GR_MAX(n, GR_MAX(s->cap * 2, (size_t)FIRST_SECONDS));
    gr_second *at = gr_realloc(s->at, cap * sizeof *at);
    if (!at) return GR_E_NOMEM;
    s->at = at;
    s->cap = cap;
    return 0;
}

/* How many of `from` have no element in `into` yet. Stops at the oldest of `from`. */
static size_t missing(const gr_series *into, const gr_series *from) {
    size_t i = into->n, n = 0;
    for (size_t j = from->n; j > 0; j--) {
        int64_t second = from->at[j - 1].second;
        while (i > 0 && into->at[i - 1].second > second)
            i--;
        if (i == 0 || into->at[i - 1].second != second) n++;
    }
    return n;
}

static void trim(gr_series *s) {
    if (s->n <= GR_SERIES_SECONDS_MAX) return;
    memmove(s->at, s->at + (s->n - KEEP_SECONDS), KEEP_SECONDS * sizeof *s->at);
    s->n = KEEP_SECONDS;
}

/* Merges from the back, so that it can be done in place: `w` never catches up with `i`, because
 * exactly the missing seconds lie between the two. */
int gr__series_merge(gr_series *into, const gr_series *from) {
    size_t more = missing(into, from);
    int rc = reserve(into, into->n + more);
    if (rc < 0) return rc;
    size_t i = into->n, w = into->n + more;
    for (size_t j = from->n; j > 0; j--) {
        const gr_second *f = &from->at[j - 1];
        while (i > 0 && into->at[i - 1].second > f->second)
            into->at[--w] = into->at[--i];
        gr_second sum = *f;
        if (i > 0 && into->at[i - 1].second == f->second) {
            i--;
            sum.requests = add_clamped(sum.requests, into->at[i].requests);
            sum.failures = add_clamped(sum.failures, into->at[i].failures);
        }
        into->at[--w] = sum;
    }
    GR_DCHECK(w == i);
    into->n += more;
    trim(into);
    return 0;
}

int gr__series_add(gr_series *s, const gr_second *second) {
    gr_second *last = s->n ? &s->at[s->n - 1] : NULL;
    if (last && last->second == second->second) {
        last->requests = add_clamped(last->requests, second->requests);
        last->failures = add_clamped(last->failures, second->failures);
        return 0;
    }
    gr_second one = *second;
    return gr__series_merge(s, &(gr_series){&one, 1, 1});
}

uint64_t gr__series_sum(const gr_series *s, int64_t first, int64_t last, bool failures) {
    uint64_t sum = 0;
    for (size_t i = s->n; i > 0 && s->at[i - 1].second >= first; i--) {
        const gr_second *at = &s->at[i - 1];
        if (at->second <= last) sum += failures ? at->failures : at->requests;
    }
    return sum;
}

void gr__series_deinit(gr_series *s) {
    gr_free(s->at);
    *s = (gr_series){NULL, 0, 0};
}
