/* See link.h. */
#include "load/link.h"
#include "base/alloc.h"
#include "base/err.h"
#include "base/log.h"

const char *gr_run_state_name(gr_run_state state) {
    switch (state) {
    case GR_RUN_READY: return "ready";
    case GR_RUN_SPAWNING: return "spawning";
    case GR_RUN_RUNNING: return "running";
    case GR_RUN_CLEANUP: return "cleanup";
    case GR_RUN_STOPPING: return "stopping";
    case GR_RUN_STOPPED: return "stopped";
    }
    GR_UNREACHABLE();
}

gr_report *gr_report_new(gr_report_kind kind) {
    gr_report *r = gr_calloc(1, sizeof *r);
    if (!r) return NULL;
    gr_list_init(&r->mail.link);
    r->kind = kind;
    gr_hist_init(&r->loop_lag);
    return r;
}

void gr_report_free(gr_report *r) {
    if (!r) return;
    gr_stats_free(r->delta);
    gr_hist_deinit(&r->loop_lag);
    gr_free(r);
}

gr_order *gr_order_new(gr_order_kind kind) {
    gr_order *o = gr_calloc(1, sizeof *o);
    if (!o) return NULL;
    gr_list_init(&o->mail.link);
    o->kind = kind;
    return o;
}

void gr_order_free(gr_order *o) {
    gr_free(o);
}

int gr_shard_init(gr_shard *s) {
    if (!(s->all = gr_stats_new())) return GR_E_NOMEM;
    if (!(s->delta = gr_stats_new())) goto undo_all;
    gr_hist_init(&s->loop_lag);
    return 0;
undo_all:
    gr_stats_free(s->all);
    return GR_E_NOMEM;
}

void gr_shard_deinit(gr_shard *s) {
    if (!s) return;
    gr_stats_free(s->all);
    gr_stats_free(s->delta);
    gr_hist_deinit(&s->loop_lag);
    s->all = s->delta = NULL;
}

/* Everything that can fail as a whole comes first, so that no sample is ever merged twice. */
gr_report *gr_shard_hand_over(gr_shard *s, gr_report_kind kind) {
    GR_CHECK(kind == GR_REPORT_DELTA || kind == GR_REPORT_FINAL);
    gr_report *r = gr_report_new(kind);
    if (!r) return NULL;
    gr_stats *fresh = gr_stats_new();
    if (!fresh) goto undo_report;
    if (gr_stats_merge(s->all, s->delta) < 0)
        gr_log(GR_LOG_ERROR, "locust.stats", "Out of memory: some statistics lack detail");
    r->delta = s->delta;
    r->loop_lag = s->loop_lag; /* with its chunks */
    s->delta = fresh;
    gr_hist_init(&s->loop_lag);
    return r;
undo_report:
    gr_report_free(r);
    return NULL;
}
