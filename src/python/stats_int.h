/* What stats.c (the Stats type), stats_entry.c (rows) and stats_error.c (errors, exceptions)
 * share. */
#ifndef GR_PYTHON_STATS_INT_H
#define GR_PYTHON_STATS_INT_H

#include "python/stats.h"

/* Response times of the total, by the second in which they ended: for percentiles of "now". A
 * power of two, more than the window that Locust uses (10 s). */
#define GR__RECENT_SECONDS 32
typedef struct gr__recent {
    int64_t second; /* epoch; 0: unused */
    gr_hist hist;
} gr__recent;

typedef struct gr__py_stats {
    PyObject ob_base;
    gr_shard shard;
    gr__recent recent[GR__RECENT_SECONDS];
    uint64_t failures_seen;  /* calls of gr_stats_fail: tells whether `errors` is up to date */
    uint64_t errors_made_at; /* failures_seen when `errors` was brought up to date */
    gr_py_stats_post *posted;
    PyObject *entries; /* Entries: the rows handed out so far */
    PyObject *errors;  /* dict of StatsError */
    PyObject *total;   /* StatsEntry */
    PyObject *history; /* whatever Python keeps there; a list */
} gr__py_stats;

/* The bytes under which a name is stored, as a bytes object: UTF-8, U+DC80.. as the bytes they
 * stand for; whatever is no string by its str(). */
PyObject *gr__py_stats_key(PyObject *name);
static inline gr_str gr__py_bytes(PyObject *bytes) {
    return (gr_str){PyBytes_AS_STRING(bytes), (size_t)PyBytes_GET_SIZE(bytes)};
}

/* Keyword names: CPython takes them without const and does not write to them. */
#define GR__WORDS(...) ((char **)(uintptr_t)(const char *const[]){__VA_ARGS__, NULL})
/* A PyCFunctionWithKeywords in a table of methods. */
#define GR__WITH_WORDS(function) ((PyCFunction)(void (*)(void))(function))

/* An attribute of the module locust.stats, which users may assign to; the module need not be
 * loaded (NULL without an exception then). */
PyObject *gr__py_stats_tunable(const char *name);

int gr__py_init_stats_entry(PyObject *module);
PyObject *gr__py_entry_new(gr__py_stats *stats, PyObject *name, PyObject *method);
PyObject *gr__py_total_new(gr__py_stats *stats);
bool gr__py_entry_is_empty(PyObject *entry);                         /* of a StatsEntry */
PyObject *gr__py_entry_serialize(PyObject *entry, PyObject *unused); /* new dict, as in --json */
PyObject *gr__py_entries_new(gr__py_stats *stats);
/* Add the rows that `stats` has and the dict lacks. 0 or -1. */
int gr__py_entries_update(gr__py_stats *stats);

int gr__py_init_stats_error(PyObject *module);
int gr__py_errors_update(gr__py_stats *stats);          /* 0 or -1 */
PyObject *gr__py_exceptions(const gr__py_stats *stats); /* new dict, as runner.exceptions */
PyObject *gr__py_error_to_dict(PyObject *error, PyObject *unused); /* of a StatsError */

int gr__py_init_report(PyObject *module); /* report.c */

#endif
