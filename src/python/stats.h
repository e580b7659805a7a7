/* The statistics of this process as Python sees them, and how the hot path records into them.
 *
 * `stats` is always a locust._engine.Stats (gr_py_stats_check). Reading figures from Python adds
 * up `all` and `delta` of the shard and disturbs neither, so only gr_py_stats_hand_over ever
 * starts a new delta. */
#ifndef GR_PYTHON_STATS_H
#define GR_PYTHON_STATS_H

#include "python/engine.h"
#include "load/link.h"
#include "stats/stats.h"

bool gr_py_stats_check(PyObject *object);

/* 0, or -1 with an exception (out of memory). `error` is NULL for a success, else the text by which
 * the failure is grouped. Creates no Python object. */
int gr_py_stats_record(PyObject *stats, gr_str method, gr_str name, const gr_sample *sample,
                       const gr_str *error);
/* A request that was cut off in flight by the end of the test or of its user. */
void gr_py_stats_interrupted(PyObject *stats);

/* The text by which a failure is grouped: a string itself, repr() of anything else (never raises
 * by what repr() raises), memory addresses masked. A new str. */
PyObject *gr_py_stats_error_text(PyObject *error);

/* What came since the last hand-over, as a report for the control thread; the caller fills in
 * state and user_count. NULL without an exception: out of memory, nothing changed. */
gr_report *gr_py_stats_hand_over(PyObject *stats, gr_report_kind kind);
/* How late this thread answered a ping; goes with the next report. */
void gr_py_stats_loop_lag(PyObject *stats, int64_t ns);

/* From now on reset_all() and clear_all() of this object are passed to `posted` as
 * GR_REPORT_RESET, which takes ownership of the report. NULL: no longer. Other Stats objects
 * have no control thread. */
typedef void gr_py_stats_post(gr_report *r);
void gr_py_stats_connect(PyObject *stats, gr_py_stats_post *posted);

#endif
