/* The four files of --csv PREFIX, with Locust's columns, quoting and number formats:
 *
 *     PREFIX_stats.csv          one row per entry and the total     rewritten by each call
 *     PREFIX_stats_history.csv  the total, or all with full history appended to
 *     PREFIX_failures.csv       first occurrence first              rewritten
 *     PREFIX_exceptions.csv     first occurrence first              rewritten
 *
 * Not as in Locust: failures are in order of first occurrence (Locust: by a hash); the owner calls gr_csv_write
 * once more at the end, so the files are complete. */
#ifndef GR_REPORT_CSV_H
#define GR_REPORT_CSV_H

#include "base/buf.h"
#include "stats/stats.h"

typedef struct gr_csv gr_csv;

/* Create the files, with headers, and missing directories. 0, or a code with one sentence in `why`; then none
 * stays open. */
int gr_csv_open(gr_csv **csv, gr_str prefix, bool full_history, gr_buf *why);
void gr_csv_close(gr_csv *csv);

/* Write all four. `recent` (may be NULL) supplies the percentiles of the history when it is a full one: Locust
 * shows those of the last ten seconds then, and those of the whole run otherwise. Blocks on the file system.
 * Returns the first error after trying every file; -ENOENT when somebody has removed one. */
int gr_csv_write(gr_csv *csv, gr_stats *stats, gr_stats *recent, uint32_t user_count,
                 gr_wall_ns now);

#endif
