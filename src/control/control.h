/* The control thread: a libuv loop that never runs user code. It owns the aggregated statistics, the console,
 * the CSV files, the JSON, the run-time clock, signals, the keyboard, and the monitor of CPU and lag. Reports come in from the load thread, orders
 * go out to it (load/link.h). A load thread that hangs stops none of these. */
#ifndef GR_CONTROL_CONTROL_H
#define GR_CONTROL_CONTROL_H

#include "load/link.h"
#include "base/buf.h"
#include "net/loop.h"

typedef struct gr_control gr_control;

typedef struct gr_control_opts { /* strings are copied */
    gr_ns run_time_ns;           /* from GR_REPORT_STARTED; 0: until stopped */
    bool tables;       /* periodic table and summary on stderr (off with --skip-log-setup) */
    bool only_summary; /* no periodic table */
    bool json;         /* statistics as JSON on stdout at the end */
    gr_str json_file;  /* written to NAME.json at the end; empty: none */
    gr_str csv_prefix; /* empty: no CSV files */
    bool csv_full_history;
    bool
        handle_signals; /* SIGINT, SIGTERM -> GR_ORDER_STOP; a second SIGINT ends the process at once */
    bool keyboard;      /* w W s S on a terminal -> GR_ORDER_USERS */
} gr_control_opts;

/* Runs in the load thread, once for each order, in order; takes ownership of `o`. */
typedef void gr_order_cb(void *ctx, gr_order *o);

/* Start the thread. Orders arrive on `load`. Returns 0 or a negative code with one sentence in `why` (a CSV file that
 * cannot be created, no thread). */
int gr_control_start(gr_control **c, const gr_control_opts *opts, gr_loop *load,
                     gr_order_cb *on_order, void *ctx, gr_buf *why);
void gr_control_report(gr_control *c,
                       gr_report *r); /* takes ownership; load thread; never blocks */

/* After GR_REPORT_FINAL was sent: wait until the control thread has written everything (JSON, tables, CSV),
 * join it and free it. Blocks. Orders that were still under way are dropped. */
void gr_control_finish(gr_control *c);

#endif
