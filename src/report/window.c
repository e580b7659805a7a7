/* See window.h. A ring in order of arrival; `merged` keeps its rows between calls, so that a steady
 * run allocates only what new histograms need. */
#include "report/window.h"
#include "base/alloc.h"

struct gr_window {
    struct {
        gr_stats *delta;
        gr_ns at;
    } ring[GR_WINDOW_DELTAS_MAX];
    size_t first, n;
    gr_stats *merged;
};

gr_window *gr_window_new(void) {
    gr_window *w = gr_calloc(1, sizeof *w);
    if (!w) return NULL;
    if (!(w->merged = gr_stats_new())) {
        gr_free(w);
        return NULL;
    }
    return w;
}

static void drop_first(gr_window *w) {
    gr_stats_free(w->ring[w->first].delta);
    w->first = (w->first + 1) % GR_WINDOW_DELTAS_MAX;
    w->n--;
}

static void drop_old(gr_window *w, gr_ns now) {
    while (w->n > 0 && w->ring[w->first].at + GR_WINDOW_NS <= now)
        drop_first(w);
}

void gr_window_free(gr_window *w) {
    if (!w) return;
    while (w->n > 0)
        drop_first(w);
    gr_stats_free(w->merged);
    gr_free(w);
}

int gr_window_push(gr_window *w, gr_stats *delta, gr_ns now) {
    drop_old(w, now);
    if (w->n == GR_WINDOW_DELTAS_MAX) {
        size_t newest = (w->first + w->n - 1) % GR_WINDOW_DELTAS_MAX;
        int rc = gr_stats_merge(w->ring[newest].delta, delta);
        gr_stats_free(delta);
        return rc;
    }
    size_t free_slot = (w->first + w->n++) % GR_WINDOW_DELTAS_MAX;
    w->ring[free_slot].delta = delta;
    w->ring[free_slot].at = now;
    return 0;
}

gr_stats *gr_window_merged(gr_window *w, gr_ns now) {
    drop_old(w, now);
    gr_stats_reset(w->merged, gr_clock_stamp_now());
    for (size_t i = 0; i < w->n; i++) {
        size_t at = (w->first + i) % GR_WINDOW_DELTAS_MAX;
        if (gr_stats_merge(w->merged, w->ring[at].delta) < 0) return NULL;
    }
    return w->merged;
}

void gr_window_clear(gr_window *w) {
    while (w->n > 0)
        drop_first(w);
    gr_stats_clear(w->merged, gr_clock_stamp_now());
}
