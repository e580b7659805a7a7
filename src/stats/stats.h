/* What a test measured: one entry per (method, name), one line per distinct error, merged by one
 * function for threads, processes and machines alike. A gr_stats is a shard with one writer.
 *
 * A load thread keeps two: `delta` collects since the last hand-over, and is merged into the thread's own cumulative
 * one when it is handed to the control thread (load/link.h). So a sample is recorded once.
 *
 * Invariant: the total ("Aggregated") is the sum of all entries' samples. A failed request counts in requests
 * and in failures, and its time is in the histograms, as in Locust. */
#ifndef GR_STATS_STATS_H
#define GR_STATS_STATS_H

#include "base/base.h"
#include "base/clock.h"
#include "stats/hist.h"

#define GR_TIME_NONE INT64_MIN /* "no such time": counted as a request, kept out of the histogram */

/* One finished request. Times are nanoseconds. */
typedef struct gr_sample {
    int64_t
        response_ns; /* as Locust defines response_time: around the whole call; or GR_TIME_NONE */
    int64_t
        service_ns; /* request handed to the kernel -> last byte at our kernel; or GR_TIME_NONE */
    int64_t due_ns; /* moment it was due -> answer in the user's hands; or GR_TIME_NONE */
    int64_t lag_ns; /* our own delay: late start plus late pick-up of the answer; or GR_TIME_NONE */
    uint64_t bytes; /* decoded body length as Locust counts it */
    gr_wall_ns ended_at; /* selects the per-second counter */
} gr_sample;

/* Requests and failures per wall-clock second. At most GR_SERIES_SECONDS_MAX of them: a full series
 * forgets its oldest eighth. */
#define GR_SERIES_SECONDS_MAX 86400
typedef struct gr_second {
    int64_t second; /* epoch */
    uint32_t requests, failures;
} gr_second;
typedef struct gr_series {
    gr_second *at; /* ascending, only seconds with requests or failures */
    size_t n, cap;
} gr_series;

typedef struct gr_entry {
    gr_str method, name;    /* owned, NUL-terminated as well */
    uint64_t requests;      /* failed ones included */
    uint64_t none_requests; /* of these, those with response_ns == GR_TIME_NONE */
    uint64_t failures;
    uint64_t bytes;
    gr_wall_ns started_at;      /* creation or last reset */
    gr_wall_ns last_request_at; /* 0: none yet */
    gr_hist response, service, due, lag;
    gr_series series;
} gr_entry;

typedef struct gr_error {
    gr_str method, name;
    gr_str text; /* as Locust keys it: the string itself or repr() of the exception */
    uint64_t occurrences;
    gr_wall_ns first_at, last_at;
} gr_error;

/* A task's uncaught exception, grouped by its formatted traceback. */
typedef struct gr_exception {
    gr_str message, traceback;
    uint64_t count;
    gr_str nodes; /* ", "-joined, sorted, each once; "local" here */
} gr_exception;

typedef struct gr_stats gr_stats;

gr_stats *gr_stats_new(void); /* NULL: out of memory */
void gr_stats_free(gr_stats *s);

/* Find or create. The pointer stays valid until gr_stats_clear or _free, across reset and merge.
 * NULL: out of memory. */
gr_entry *gr_stats_entry(gr_stats *s, gr_str method, gr_str name);
gr_entry *gr_stats_find(const gr_stats *s, gr_str method, gr_str name); /* NULL when absent */
gr_entry *gr_stats_total(gr_stats *s); /* name "Aggregated", method "" */

/* Count one finished request in its entry and in the total. Allocates nothing once warm. A failed
 * one is also passed to gr_stats_fail.
 * GR_E_NOMEM: counted, but a histogram or second may lack it. */
int gr_stats_record(gr_stats *s, gr_entry *e, const gr_sample *sample);
/* Locust's log_error: count one failure (in the entry and the total, at its second) and its text. A failed request
 * is gr_stats_record followed by this. The first 10,000 distinct (method, name, text) have a line of their own; the
 * others, and those that find no memory (GR_E_NOMEM), share the line "(further distinct errors)". Exceptions are
 * bounded in the same way. `node` may be a ", "-joined list. */
int gr_stats_fail(gr_stats *s, gr_entry *e, gr_str text, gr_wall_ns at);
int gr_stats_exception(gr_stats *s, gr_str message, gr_str traceback, gr_str node, uint64_t count);

/* Requests cut off in flight because the test or their user was stopped: counted, not failures. */
void gr_stats_interrupted(gr_stats *s, uint64_t n);
uint64_t gr_stats_interrupted_count(const gr_stats *s);

/* Add everything in `from` to `into`; `from` is unchanged. 0, or GR_E_NOMEM: the total's counters and the number of
 * failures over all error lines are right, but rows, histograms or seconds may lack what found no memory. */
int gr_stats_merge(gr_stats *into, const gr_stats *from);
void gr_stats_reset(gr_stats *s,
                    gr_wall_ns at); /* zero, keep rows and exceptions, drop errors (reset_all) */
void gr_stats_clear(gr_stats *s, gr_wall_ns at); /* drop everything (Locust's clear_all) */
bool gr_stats_empty(const gr_stats *s);          /* nothing counted, failed or raised */

/* Sorted views. `*list` is allocated for the caller (gr_free), its elements are borrowed.
 * Returns the count or GR_E_NOMEM. */
ptrdiff_t gr_stats_entries(const gr_stats *s, gr_entry ***list);        /* by (name, method) */
ptrdiff_t gr_stats_errors(const gr_stats *s, gr_error ***list);         /* first occurrence first */
ptrdiff_t gr_stats_exceptions(const gr_stats *s, gr_exception ***list); /* first first */

/* Figures as Locust derives them. Rates are per second. `total` supplies the time span. */
double gr_entry_fail_ratio(const gr_entry *e);
double gr_entry_mean_ms(const gr_entry *e);
double gr_entry_median_ms(const gr_entry *e); /* clamped to [min, max]; 0 when none */
double gr_entry_min_ms(const gr_entry *e);    /* 0 when none */
double gr_entry_max_ms(const gr_entry *e);
double gr_entry_percentile_ms(const gr_entry *e, double p);
double gr_entry_mean_bytes(const gr_entry *e);
double gr_entry_total_rate(const gr_entry *e, const gr_entry *total, bool failures);
double gr_entry_current_rate(const gr_entry *e, const gr_entry *total, bool failures);
/* Locust's bucket_response_time: <100 to 1, <1000 to 10, <10000 to 100, else 1000; half to even. */
double gr_bucket_ms(double ms);

#endif
