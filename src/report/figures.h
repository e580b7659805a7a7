/* The figures that console and CSV share, rounded the way Locust shows them. Ours come from exact
 * histograms, so Locust's two significant digits are not imitated: only its whole milliseconds. */
#ifndef GR_REPORT_FIGURES_H
#define GR_REPORT_FIGURES_H

#include "stats/stats.h"

#include <math.h>

typedef struct gr_percentile {
    double p;
    const char *label; /* of tables and CSV columns */
    const char *key;   /* in JSON: Python's str(p) */
} gr_percentile;

#define GR_PERCENTILES 11
extern const gr_percentile gr_percentiles[GR_PERCENTILES]; /* ascending; the last is the maximum */

static inline int64_t gr_shown_percentile(const gr_entry *e, double p) { /* whole milliseconds */
    return (int64_t)rint(gr_entry_percentile_ms(e, p));
}

/* Whole milliseconds, unless rounding leaves [min, max]: then the limit itself. */
static inline double gr_shown_median(const gr_entry *e) {
    double median = rint(gr_entry_median_ms(e));
    return fmin(fmax(median, gr_entry_min_ms(e)), gr_entry_max_ms(e));
}

#endif
