/* The statistics as --json prints them: an array with one object per entry that counted anything, without
 * the total, in Locust's keys and order:
 *
 *     name method last_request_timestamp start_time num_requests num_none_requests num_failures
 *     total_response_time max_response_time min_response_time total_content_length
 *     response_times {"150": 3, ...} num_reqs_per_sec {"1700000000": 3, ...} num_fail_per_sec
 *
 * response_times is derived from the exact histogram by Locust's rounding. One key of our own follows, exact, in
 * milliseconds; a time that was never measured has an empty object:
 *
 *     percentiles {"response_time": {"0.5": 12.3, ... "1.0": 98.7}, "service_time": {...},
 *                  "due_time": {...}, "lag": {...}}
 *
 * Not as in Locust: rendering does not empty the tables. */
#ifndef GR_REPORT_JSON_H
#define GR_REPORT_JSON_H

#include "report/text.h"
#include "stats/stats.h"

/* Append the array to `t` with 4 spaces of indentation and no final line end. Failures stick in `t`. */
void gr_json_stats(gr_text *t, const gr_stats *stats);

#endif
