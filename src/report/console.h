/* The tables that people read, in Locust's layout to the byte: requests, percentiles, errors. They are
 * rendered into memory; who calls writes them out in one piece.
 *
 * Not as in Locust: times come from exact histograms, and control characters in names and errors
 * are shown in hexadecimal. */
#ifndef GR_REPORT_CONSOLE_H
#define GR_REPORT_CONSOLE_H

#include "report/text.h"
#include "stats/stats.h"

typedef struct gr_console {
    int name_width; /* columns for names, 0 to 80 */
    bool terminal;
    bool colour; /* a terminal, and NO_COLOR is unset or empty */
} gr_console;

/* As fits what `fd` is now: ask again for each table, a terminal may be resized. */
gr_console gr_console_of(int fd);

/* `current`: rates of the last ten seconds, else of the whole run. */
void gr_console_stats(gr_text *t, const gr_console *console, gr_stats *stats, bool current);
void gr_console_percentiles(gr_text *t, const gr_console *console, gr_stats *stats);
void gr_console_errors(gr_text *t, const gr_console *console, const gr_stats *stats); /* if any */

/* What the tables do not say and one should know: requests cut off at the stop, and a generator that
 * was itself so late (99th percentile of its delay above GR_CONSOLE_LAG_NS) that it shows. */
#define GR_CONSOLE_LAG_NS GR_MS(50)
void gr_console_notes(gr_text *t, const gr_stats *stats, const gr_hist *loop_lag);

#endif
