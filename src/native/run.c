/* The whole run: this thread becomes the load thread and does what the control thread orders until
 * every user has ended.
 *
 *     prepare (files, classes, limits)  ->  spawn in steps  ->  run  ->  stop order  ->  users end
 *     ->  final report  ->  the control thread writes everything  ->  exit code
 *
 * What always holds: after GR_REPORT_STARTED a GR_REPORT_FINAL is sent, once, when no user is
 * left; the state in reports only moves forwards but for spawning <-> running. */
#include "native/native.h"
#include "native/native_int.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "load/dispatch.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#define RUNNERS "locust.runners"

/* Descriptors for everything that is no user: loops, files, the console, libraries. */
#define FDS_RESERVED 64
/* Users added or removed from the keyboard come at this rate, as in Locust. */
#define KEYBOARD_RATE 100

typedef struct run {
    const gr_native_opts *opts;
    gr_scenario_set set;
    gr_tls_conf *tls[2]; /* by verify_tls */
    gr_loop *loop;
    gr_crew crew;
    gr_dispatch *dispatch;
    uint32_t *counts; /* by class: what the last step ordered */
    gr_control *control;
    gr_timer spawn_timer, report_timer;
    gr_run_state state;
    int trouble; /* why the run cannot go on; 0: it can */
} run;

/* ---- Reports. */

static void send_note(run *r, gr_report_kind kind) {
    gr_report *report = gr_report_new(kind);
    if (!report) {
        gr_log(GR_LOG_ERROR, RUNNERS, "Out of memory: the statistics do not start afresh");
        return;
    }
    report->state = r->state;
    report->user_count = r->crew.users_n;
    gr_control_report(r->control, report);
}

/* Without memory for it the figures stay here until the next time. */
static void send_delta(run *r, gr_report_kind kind) {
    gr_report *report = gr__crew_report(&r->crew, kind);
    if (!report) return;
    report->state = r->state;
    gr_control_report(r->control, report);
}

static void on_report_timer(gr_timer *t) {
    run *r = GR_CONTAINER(t, run, report_timer);
    send_delta(r, GR_REPORT_DELTA);
    gr_ns next = GR_MAX(t->due_at + GR_REPORT_INTERVAL_NS, gr_loop_now(r->loop));
    gr_timer_start(r->loop, t, next); /* cannot fail: its place in the heap was just freed */
}

/* ---- Stopping. */

static void stop_if_empty(run *r) {
    if (r->state == GR_RUN_CLEANUP && r->crew.users_n == 0) gr_loop_stop(r->loop);
}

static void on_user_ended(void *ctx, gr_user_class *c) {
    (void)c;
    stop_if_empty(ctx);
}

static void begin_stop(run *r) {
    if (r->state == GR_RUN_CLEANUP) return;
    r->state = GR_RUN_CLEANUP;
    gr_timer_stop(r->loop, &r->spawn_timer);
    for (gr_list *l = r->crew.users.next, *next; l != &r->crew.users; l = next) {
        next = l->next;
        gr__user_end(GR_CONTAINER(l, gr_user, link), r->opts->stop_timeout_ns);
    }
    stop_if_empty(r);
}

/* ---- Spawning. */

static void give_up(run *r, int rc) {
    gr_log(GR_LOG_ERROR, RUNNERS, "The test cannot go on with %u users: %s", r->crew.users_n,
           gr_strerror(rc));
    r->trouble = rc;
    begin_stop(r);
}

/* The latest of a class leave first. */
static void end_some(run *r, const gr_user_class *c, uint32_t n) {
    for (gr_list *l = r->crew.users.prev, *prev; l != &r->crew.users && n > 0; l = prev) {
        prev = l->prev;
        gr_user *u = GR_CONTAINER(l, gr_user, link);
        if (u->class != c || u->end != GR_END_NOT || u->stop_self) continue;
        gr__user_end(u, r->opts->stop_timeout_ns);
        n--;
    }
}

static int follow_counts(run *r) {
    for (size_t i = 0; i < r->set.n; i++) {
        gr_user_class *c = r->set.classes[i];
        uint32_t before = c->ordered;
        c->ordered = r->counts[i];
        for (uint32_t n = before; n < r->counts[i]; n++) {
            int rc = gr__user_start(&r->crew, c);
            if (rc < 0) return rc;
        }
        if (before > r->counts[i]) end_some(r, c, before - r->counts[i]);
    }
    return 0;
}

static int by_name(const void *a, const void *b) {
    const gr_user_class *const *x = a, *const *y = b;
    return gr_str_cmp((*x)->name, (*y)->name);
}

static void log_spawned(run *r) {
    gr_buf text = GR_BUF_INIT;
    gr_user_class **sorted = gr_malloc(r->set.n * sizeof(gr_user_class *));
    if (sorted) {
        memcpy(sorted, r->set.classes, r->set.n * sizeof(gr_user_class *));
        qsort(sorted, r->set.n, sizeof(gr_user_class *), by_name);
        for (size_t i = 0; i < r->set.n; i++)
            gr_buf_addf(&text, "%s\"%s\": %u", i ? ", " : "", sorted[i]->name.p,
                        sorted[i]->ordered);
    }
    gr_log(GR_LOG_INFO, RUNNERS, "All users spawned: {%.*s} (%u total users)", (int)text.n,
           text.p ? text.p : "", gr_dispatch_total(r->dispatch));
    gr_free(sorted);
    gr_buf_deinit(&text);
}

static void reset_figures(run *r) {
    gr_log(GR_LOG_INFO, RUNNERS, "Resetting stats");
    gr_stats_reset(r->crew.shard.all, gr_clock_stamp_now());
    gr_stats_reset(r->crew.shard.delta, gr_clock_stamp_now());
    send_note(r, GR_REPORT_RESET);
}

static void on_spawn_timer(gr_timer *t) {
    run *r = GR_CONTAINER(t, run, spawn_timer);
    gr_ns pause = 0, begun_at = gr_clock_ns();
    int more = gr_dispatch_step(r->dispatch, r->counts, &pause);
    int rc = more < 0 ? more : follow_counts(r);
    if (rc == 0 && more) rc = gr_timer_start(r->loop, t, begun_at + pause);
    if (rc < 0) {
        give_up(r, rc);
        return;
    }
    if (more) return;
    r->state = GR_RUN_RUNNING;
    log_spawned(r);
    if (r->opts->reset_stats) reset_figures(r);
}

static int begin_ramp(run *r, uint32_t users, double rate) {
    int rc = gr_dispatch_ramp(r->dispatch, users, rate, NULL);
    if (rc < 0) return rc;
    r->state = GR_RUN_SPAWNING;
    gr_log(GR_LOG_INFO, RUNNERS, "Ramping to %u users at a rate of %.2f per second", users, rate);
    return gr_timer_start(r->loop, &r->spawn_timer, gr_loop_now(r->loop));
}

static void change_users(run *r, int32_t change) {
    if (r->state != GR_RUN_RUNNING) {
        gr_log(GR_LOG_WARNING, "locust.main", "%s",
               change > 0 ? "Already spawning users, can't spawn more right now"
                          : "Spawning users, can't stop right now");
        return;
    }
    int64_t users = (int64_t)gr_dispatch_total(r->dispatch) + change;
    int rc = begin_ramp(r, (uint32_t)GR_MIN(GR_MAX(users, 0), UINT32_MAX), KEYBOARD_RATE);
    if (rc < 0) give_up(r, rc);
}

/* ---- Orders. */

static void on_order(void *ctx, gr_order *o) {
    run *r = ctx;
    switch (o->kind) {
    case GR_ORDER_STOP: begin_stop(r); break;
    case GR_ORDER_PING:
        gr_hist_record(&r->crew.shard.loop_lag, (int64_t)(gr_clock_ns() - o->sent_at));
        break;
    case GR_ORDER_USAGE: break; /* C scenarios have no events to tell it to */
    case GR_ORDER_USERS:
        if (r->state != GR_RUN_CLEANUP) change_users(r, o->users_change);
        break;
    }
    gr_order_free(o);
}

/* ---- Before the start. Each returns 0, or a negative code with one sentence in `why`. */

/* Every user holds a connection. */
static int raise_fd_limit(uint32_t users, gr_buf *why) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0) return 0; /* then there is nothing to compare with */
    if (limit.rlim_cur < limit.rlim_max) {
        struct rlimit raised = {limit.rlim_max, limit.rlim_max};
        if (setrlimit(RLIMIT_NOFILE, &raised) == 0) limit = raised;
    }
    if (limit.rlim_cur == RLIM_INFINITY || (rlim_t)users + FDS_RESERVED <= limit.rlim_cur) return 0;
    gr_buf_addf(why,
                "%u users need %llu open files, and this process may open %llu: raise the limit "
                "(ulimit -n) or start fewer users.",
                users, (unsigned long long)users + FDS_RESERVED,
                (unsigned long long)limit.rlim_cur);
    return GR_E_INVALID;
}

static int prepare_tls(run *r, gr_buf *why) {
    for (size_t i = 0; i < r->set.n; i++) {
        gr_user_class *c = r->set.classes[i];
        gr_tls_conf **tls = &r->tls[c->verify_tls];
        gr_tls_opts opts = {.verify = c->verify_tls};
        int rc = *tls ? 0 : gr_tls_conf_new(tls, &opts, why);
        if (rc < 0) return rc;
        c->conf.tls = *tls;
    }
    return 0;
}

static int prepare_dispatch(run *r) {
    int rc = GR_E_NOMEM;
    gr_class_spec *specs = gr_calloc(r->set.n, sizeof *specs);
    r->counts = gr_calloc(r->set.n, sizeof *r->counts);
    if (specs && r->counts) {
        for (size_t i = 0; i < r->set.n; i++) {
            const gr_user_class *c = r->set.classes[i];
            specs[i] = (gr_class_spec){c->name, c->weight, c->fixed_count};
        }
        rc = gr_dispatch_new(&r->dispatch, specs, r->set.n);
    }
    gr_free(specs);
    return rc;
}

static int prepare(run *r, gr_buf *why) {
    int rc;
    if ((rc = gr__scenario_ready(&r->set, r->opts->host, why)) < 0) return rc;
    if ((rc = raise_fd_limit(r->opts->users, why)) < 0) return rc;
    if ((rc = prepare_tls(r, why)) < 0) return rc;
    return prepare_dispatch(r);
}

static void unprepare(run *r) {
    gr_dispatch_free(r->dispatch);
    gr_free(r->counts);
    gr_tls_conf_unref(r->tls[false]);
    gr_tls_conf_unref(r->tls[true]);
}

/* ---- The run itself. */

static void log_run_time(gr_ns run_time_ns) {
    if (run_time_ns)
        gr_log(GR_LOG_INFO, "locust.main", "Run time limit set to %llu seconds",
               (unsigned long long)(run_time_ns / GR_S(1)));
    else
        gr_log(GR_LOG_INFO, "locust.main", "No run time limit set, use CTRL+C to interrupt");
}

static int exit_code(const run *r) {
    if (r->trouble) return 1;
    const gr_entry *all = gr_stats_total(r->crew.shard.all);
    const gr_entry *rest = gr_stats_total(r->crew.shard.delta);
    return all->failures + rest->failures ? r->opts->exit_code_on_error : 0;
}

static void load(run *r) {
    r->state = GR_RUN_SPAWNING;
    log_run_time(r->opts->control.run_time_ns);
    send_note(r, GR_REPORT_STARTED);
    int rc =
        gr_timer_start(r->loop, &r->report_timer, gr_loop_now(r->loop) + GR_REPORT_INTERVAL_NS);
    if (rc == 0) rc = begin_ramp(r, r->opts->users, r->opts->spawn_rate);
    if (rc < 0) give_up(r, rc);
    if (!(r->state == GR_RUN_CLEANUP && r->crew.users_n == 0)) gr_loop_run(r->loop);
    gr_timer_stop(r->loop, &r->report_timer);
    r->state = GR_RUN_STOPPED;
}

/* Everything that lives as long as the loop. Returns the exit code, or a negative code. */
static int run_on_loop(run *r, gr_buf *why) {
    int rc;
    if ((rc = gr_loop_new(&r->loop)) < 0) return rc;
    if ((rc = gr__crew_init(&r->crew, r->loop)) < 0) goto undo_loop;
    r->crew.ended = on_user_ended;
    r->crew.ctx = r;
    if ((rc = gr_control_start(&r->control, &r->opts->control, r->loop, on_order, r, why)) < 0)
        goto undo_crew;
    load(r);
    rc = exit_code(r);
    gr_log(GR_LOG_INFO, "locust.main", "Shutting down (exit code %d)", rc);
    send_delta(r, GR_REPORT_FINAL);
    gr_control_finish(r->control);
undo_crew:
    gr__crew_deinit(&r->crew);
undo_loop:
    gr_loop_free(r->loop);
    return rc;
}

static int list_classes(const gr_scenario_set *set) {
    printf("Available Users:\n");
    for (size_t i = 0; i < set->n; i++)
        printf("    %s\n", set->classes[i]->name.p);
    return fflush(stdout) != 0;
}

static int run_all(run *r, gr_buf *why) {
    const gr_native_opts *o = r->opts;
    int rc;
    if ((rc = gr__scenario_load(&r->set, o->files, o->files_n, why)) < 0) return rc;
    if (o->list_only) return list_classes(&r->set);
    if ((rc = gr__scenario_select(&r->set, o->class_names, o->class_names_n, why)) < 0) return rc;
    if ((rc = prepare(r, why)) == 0) rc = run_on_loop(r, why);
    unprepare(r);
    return rc;
}

int gr_native_main(const gr_native_opts *opts) {
    gr_buf why = GR_BUF_INIT;
    run r = {.opts = opts, .spawn_timer.cb = on_spawn_timer, .report_timer.cb = on_report_timer};
    signal(SIGPIPE, SIG_IGN); /* a peer that hung up is an error code, not the end */
    int code = run_all(&r, &why);
    if (code < 0) {
        if (why.n)
            fprintf(stderr, "gregaria: error: %.*s\n", (int)why.n, why.p);
        else
            fprintf(stderr, "gregaria: error: %s\n", gr_strerror(code));
        code = 1;
    }
    gr__scenario_deinit(&r.set);
    gr_buf_deinit(&why);
    return code;
}
