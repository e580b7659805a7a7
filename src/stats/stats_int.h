/* What the files of this layer share. A gr_stats holds rows: a row is an entry and the failure
 * texts seen with it. Rows, errors and exceptions are also kept in order of first appearance.
 *
 * Always: at most ERRORS_MAX errors and EXCEPTIONS_MAX exceptions have a line of their own; what
 * comes after (or finds no memory) is counted in `more_errors` and `more_exceptions`, so the sum
 * over all lines is right whatever happens. */
#ifndef GR_STATS_STATS_INT_H
#define GR_STATS_STATS_INT_H

#include "base/table.h"
#include "stats/stats.h"

#define GR__ERRORS_MAX     10000u
#define GR__EXCEPTIONS_MAX 10000u
#define GR__SECOND_NS      1000000000

typedef struct gr__vec { /* pointers in order of arrival */
    void **at;
    size_t n, cap;
} gr__vec;

typedef struct gr__row {
    gr_entry entry;  /* first, so that a gr_entry of a row is the row */
    gr_table errors; /* text -> gr__error */
    char bytes[];    /* method and name */
} gr__row;

typedef struct gr__error {
    gr_error line; /* first; method and name belong to the row */
    size_t order;
    char text[];
} gr__error;

typedef struct gr__exception {
    gr_exception line; /* first; nodes are on the heap */
    char bytes[];      /* message and traceback */
} gr__exception;

struct gr_stats {
    gr_entry total;
    gr_table methods; /* method -> gr_table (name -> gr__row) */
    gr_table tracebacks;
    gr__vec rows, errors, exceptions;
    gr_error more_errors;
    gr_exception more_exceptions;
    uint64_t interrupted;
};

/* stats.c */
int gr__vec_reserve(gr__vec *v); /* room for one more */
void gr__vec_deinit(gr__vec *v); /* not what the pointers point to */
/* A copy of `v`, and `extra` behind it unless NULL. Returns the count or GR_E_NOMEM. */
ptrdiff_t gr__vec_copy(const gr__vec *v, const void *extra, void ***list);

/* series.c */
int gr__series_add(gr_series *s, const gr_second *second);
int gr__series_merge(gr_series *into, const gr_series *from);
uint64_t gr__series_sum(const gr_series *s, int64_t first, int64_t last, bool failures);
void gr__series_deinit(gr_series *s);

/* entry.c; the strings belong to the caller and must outlive the entry */
void gr__entry_init(gr_entry *e, gr_str method, gr_str name, gr_wall_ns at);
void gr__entry_deinit(gr_entry *e);
void gr__entry_reset(gr_entry *e, gr_wall_ns at);
int gr__entry_record(gr_entry *e, const gr_sample *sample);
int gr__entry_fail(gr_entry *e, gr_wall_ns at);
int gr__entry_merge(gr_entry *into, const gr_entry *from);

/* errors.c */
void gr__errors_init(gr_stats *s);
/* Count `add->occurrences` of `add->text`; its method and name are not looked at. */
int gr__errors_add(gr_stats *s, gr__row *row, const gr_error *add);
int gr__errors_merge(gr_stats *into, gr__row *row, const gr__row *from);
void gr__errors_add_more(gr_stats *s, const gr_error *add);
int gr__exceptions_merge(gr_stats *into, const gr_stats *from);
void gr__errors_clear(gr_stats *s);
void gr__exceptions_clear(gr_stats *s);

#endif
