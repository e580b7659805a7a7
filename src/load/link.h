/* What a load thread and the control thread say to each other. Messages are heap objects; the
 * receiver frees them. Neither side reads the other's memory.
 *
 *     load -> control   gr_report: how the run goes, and the statistics since the last report
 *     control -> load   gr_order:  stop, ping, usage figures, add or remove users
 */
#ifndef GR_LOAD_LINK_H
#define GR_LOAD_LINK_H

#include "base/base.h"
#include "net/mailbox.h"
#include "stats/stats.h"

typedef enum { /* names as Locust's: ready spawning running cleanup stopping stopped */
               GR_RUN_READY,
               GR_RUN_SPAWNING,
               GR_RUN_RUNNING,
               GR_RUN_CLEANUP,
               GR_RUN_STOPPING,
               GR_RUN_STOPPED
} gr_run_state;
const char *gr_run_state_name(gr_run_state state);

typedef enum {
    GR_REPORT_STARTED, /* a new test: forget earlier figures; the run-time clock starts */
    GR_REPORT_RESET,   /* zero the figures, keep the rows */
    GR_REPORT_DELTA, /* figures since the last report; sent every GR_REPORT_INTERVAL_NS and when asked */
    GR_REPORT_FINAL /* as DELTA, and the last one of this process: every user has ended */
} gr_report_kind;

#define GR_REPORT_INTERVAL_NS GR_MS(500)

typedef struct gr_report {
    gr_mail mail;
    gr_report_kind kind;
    gr_run_state state;
    uint32_t user_count;
    gr_stats *delta;  /* owned; NULL with STARTED and RESET */
    gr_hist loop_lag; /* how late the load thread answered pings, since the last report */
} gr_report;

gr_report *gr_report_new(gr_report_kind kind); /* NULL: out of memory */
void gr_report_free(gr_report *r);

typedef enum {
    GR_ORDER_STOP,  /* end the test and the process, with the summary */
    GR_ORDER_PING,  /* answer by recording now - sent_at as loop lag */
    GR_ORDER_USAGE, /* the monitor's figures, for the usage_monitor and cpu_warning events */
    GR_ORDER_USERS  /* change the number of users (keyboard) */
} gr_order_kind;

typedef enum { GR_STOP_RUN_TIME, GR_STOP_SIGINT, GR_STOP_SIGTERM } gr_stop_reason;

typedef struct gr_order {
    gr_mail mail;
    gr_order_kind kind;
    gr_stop_reason reason; /* STOP */
    gr_ns sent_at;         /* PING */
    double cpu_percent;    /* USAGE: of one core, this process, since the last */
    bool cpu_warning;      /* USAGE: above 90 % */
    uint64_t memory_bytes; /* USAGE: resident */
    int32_t users_change;  /* USERS */
} gr_order;

gr_order *gr_order_new(gr_order_kind kind);
void gr_order_free(gr_order *o);

/* The load thread's statistics: `all` is everything up to the last hand-over, `delta` what came since. */
typedef struct gr_shard {
    gr_stats *all, *delta;
    gr_hist loop_lag;
} gr_shard;

int gr_shard_init(gr_shard *s); /* 0 or GR_E_NOMEM */
void gr_shard_deinit(gr_shard *s);
/* Merge delta into all, and move it (with loop_lag) into a new report of `kind` (DELTA or FINAL); a fresh delta takes
 * its place, so entries of the old one must be looked up anew. NULL: out of memory, nothing changed. When only the
 * merge runs out of memory, the report is complete and `all` lacks detail (see gr_stats_merge). */
gr_report *gr_shard_hand_over(gr_shard *s, gr_report_kind kind);

#endif
