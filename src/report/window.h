/* The statistics of the last ten seconds, for "current" percentiles: the deltas that arrived in that time, kept
 * and merged when asked for. A histogram cannot be subtracted from a later one that was reset or merged in between;
 * deltas have no such trouble. At most GR_WINDOW_DELTAS_MAX are kept apart. */
#ifndef GR_REPORT_WINDOW_H
#define GR_REPORT_WINDOW_H

#include "stats/stats.h"

#define GR_WINDOW_NS         GR_S(10)
#define GR_WINDOW_DELTAS_MAX 64

typedef struct gr_window gr_window;

gr_window *gr_window_new(void); /* NULL: out of memory */
void gr_window_free(gr_window *w);
/* `delta` arrived at `now` (monotonic, not before the last one); takes ownership. When too many are kept, it is
 * merged into the newest. 0, or GR_E_NOMEM when that merge failed: then a part of it is lost to the window. */
int gr_window_push(gr_window *w, gr_stats *delta, gr_ns now);
/* All that arrived after now - GR_WINDOW_NS; borrowed until the next call. NULL: out of memory. */
gr_stats *gr_window_merged(gr_window *w, gr_ns now);
void gr_window_clear(gr_window *w);

#endif
