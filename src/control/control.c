/* The control thread: start, finish, and what each report changes. See control.h.
 *
 * gr_control_start builds everything while no other thread sees it. Then the loop runs until `bye`,
 * which gr_control_finish posts as the very last mail, so that no mail can arrive at a closed inbox. FINAL
 * writes the results out; if it never comes (the load thread had no memory for it), `bye` does, with
 * what there is. */
#include "control/control_int.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"

#include <locale.h>
#include <pthread.h>

#define TABLE_INTERVAL_MS 2000 /* Locust's CONSOLE_STATS_INTERVAL_SEC */
#define CSV_INTERVAL_MS   1000 /* Locust's CSV_STATS_INTERVAL_SEC */

static void on_table_timer(uv_timer_t *t) {
    gr__output_table(t->data);
}

static void on_csv_timer(uv_timer_t *t) {
    gr__output_csv(t->data);
}

static void on_run_timer(uv_timer_t *t) {
    gr_log(GR_LOG_INFO, "locust.main", "--run-time limit reached, shutting down");
    gr__control_stop(t->data, GR_STOP_RUN_TIME);
}

void gr__control_stop(gr_control *c, gr_stop_reason reason) {
    uv_timer_stop(&c->run_timer); /* it would only say what is no longer true */
    gr_order *o = gr_order_new(GR_ORDER_STOP);
    if (!o) {
        o = c->spare_stop;
        c->spare_stop = NULL;
    }
    if (!o) return; /* the spare one is under way */
    o->reason = reason;
    gr_mailbox_post(c->orders, &o->mail);
}

static void stop_timers(gr_control *c) {
    uv_timer_stop(&c->table_timer);
    uv_timer_stop(&c->csv_timer);
    uv_timer_stop(&c->run_timer);
    gr__monitor_stop(c);
}

static void forget_figures(gr_control *c) {
    gr_hist_reset(&c->loop_lag);
    if (c->window) gr_window_clear(c->window);
}

static void test_started(gr_control *c) {
    bool tables = c->opts.tables && !c->opts.only_summary;
    uint64_t run_time_ms = (c->opts.run_time_ns + GR_MS(1) - 1) / GR_MS(1);
    c->state = GR__CONTROL_TEST;
    c->started_at = gr_clock_ns();
    gr_stats_clear(c->stats, gr_clock_stamp_now());
    forget_figures(c);
    gr__monitor_test_started(c);
    if (tables) uv_timer_start(&c->table_timer, on_table_timer, 0, TABLE_INTERVAL_MS);
    if (run_time_ms > 0) uv_timer_start(&c->run_timer, on_run_timer, run_time_ms, 0);
}

static void merge(gr_control *c, gr_report *r) {
    int rc = gr_hist_merge(&c->loop_lag, &r->loop_lag);
    if (r->delta) {
        int failed = gr_stats_merge(c->stats, r->delta);
        if (failed < 0) rc = failed;
    }
    if (r->delta && c->window) {
        int failed = gr_window_push(c->window, r->delta, gr_clock_ns());
        if (failed < 0) rc = failed;
        r->delta = NULL; /* the window owns it now */
    }
    if (rc < 0 && !c->merge_failing) {
        c->merge_failing = true;
        gr_log(GR_LOG_ERROR, "locust.stats", "Some figures are incomplete: %s", gr_strerror(rc));
    }
}

static void finish_test(gr_control *c) {
    c->state = GR__CONTROL_DONE;
    stop_timers(c);
    gr__output_final(c);
}

static bool ending(gr_run_state state) {
    switch (state) {
    case GR_RUN_READY:
    case GR_RUN_SPAWNING:
    case GR_RUN_RUNNING: return false;
    case GR_RUN_CLEANUP:
    case GR_RUN_STOPPING:
    case GR_RUN_STOPPED: return true;
    }
    GR_UNREACHABLE();
}

static void on_report(gr_control *c, gr_report *r) {
    c->run_state = r->state;
    if (ending(r->state)) uv_timer_stop(&c->run_timer); /* a run time ends with its test */
    c->user_count = r->user_count;
    switch (r->kind) {
    case GR_REPORT_STARTED: test_started(c); break;
    case GR_REPORT_RESET:
        gr_stats_reset(c->stats, gr_clock_stamp_now());
        forget_figures(c);
        break;
    case GR_REPORT_DELTA: merge(c, r); break;
    case GR_REPORT_FINAL:
        merge(c, r);
        finish_test(c);
        break;
    }
}

static void on_mail(void *ctx, gr_mail *m) {
    gr_control *c = ctx;
    if (m == &c->bye) {
        if (c->state != GR__CONTROL_DONE) finish_test(c);
        gr_loop_stop(c->loop);
    } else if (m == &c->monitor.pong) {
        gr__monitor_on_pong(c);
    } else {
        gr_report *r = GR_CONTAINER(m, gr_report, mail);
        if (c->state != GR__CONTROL_DONE) on_report(c, r);
        gr_report_free(r);
    }
}

/* In the load thread. The pong goes first, because `on_order` may finish and free `c`. */
static void on_order_mail(void *ctx, gr_mail *m) {
    gr_control *c = ctx;
    gr_order *o = GR_CONTAINER(m, gr_order, mail);
    if (o->kind == GR_ORDER_PING) gr_mailbox_post(c->inbox, &c->monitor.pong);
    c->on_order(c->ctx, o);
}

static void drop_order(void *ctx, gr_mail *m) {
    (void)ctx;
    gr_order_free(GR_CONTAINER(m, gr_order, mail));
}

/* Files and tables have a decimal point whatever locale somebody's Python has chosen. */
static void thread_main(void *arg) {
    gr_control *c = arg;
    locale_t plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    locale_t before = plain ? uselocale(plain) : (locale_t)0;
    gr_loop_run(c->loop);
    if (!plain) return;
    uselocale(before);
    freelocale(plain);
}

/* Signals go to the load thread: a blocking call in it has to be interrupted for Python to see them. Those that
 * report a fault belong to the thread that caused it. */
static int start_thread(gr_control *c) {
    static const int OWN[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP};
    sigset_t blocked, before;
    sigfillset(&blocked);
    for (size_t i = 0; i < GR_LEN(OWN); i++)
        sigdelset(&blocked, OWN[i]);
    pthread_sigmask(SIG_SETMASK, &blocked, &before);
    int rc = uv_thread_create(&c->thread, thread_main, c);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return rc;
}

static int copy_opts(gr_control *c, const gr_control_opts *opts) {
    static const gr_str SUFFIX = {".json", 5};
    c->opts = *opts;
    c->opts.json_file = c->opts.csv_prefix =
        (gr_str){NULL, 0}; /* not ours; kept as path and files */
    if (opts->json_file.n == 0) return 0;
    c->json_path = gr_malloc(opts->json_file.n + SUFFIX.n + 1);
    if (!c->json_path) return GR_E_NOMEM;
    memcpy(c->json_path, opts->json_file.p, opts->json_file.n);
    memcpy(c->json_path + opts->json_file.n, SUFFIX.p, SUFFIX.n);
    c->json_path[opts->json_file.n + SUFFIX.n] = '\0';
    return 0;
}

/* Everything but the thread; what was built is released by control_free whether this fails or not. */
static int build(gr_control *c, const gr_control_opts *opts, gr_loop *load, gr_buf *why) {
    int rc;
    if ((rc = copy_opts(c, opts)) < 0) return rc;
    if (!(c->stats = gr_stats_new())) return GR_E_NOMEM;
    if (!(c->spare_stop = gr_order_new(GR_ORDER_STOP))) return GR_E_NOMEM;
    if (opts->csv_prefix.n > 0) {
        if ((rc = gr_csv_open(&c->csv, opts->csv_prefix, opts->csv_full_history, why)) < 0)
            return rc;
        if (opts->csv_full_history && !(c->window = gr_window_new())) return GR_E_NOMEM;
        uv_timer_start(&c->csv_timer, on_csv_timer, 0, CSV_INTERVAL_MS);
    }
    if ((rc = gr_mailbox_open(&c->inbox, gr_loop_uv(c->loop), on_mail, c)) < 0) return rc;
    if ((rc = gr_mailbox_open(&c->orders, gr_loop_uv(load), on_order_mail, c)) < 0) return rc;
    if (opts->handle_signals && (rc = gr__signals_open(c)) < 0) return rc;
    return opts->keyboard ? gr__keys_open(c) : 0;
}

static void close_timer(uv_timer_t *t) {
    uv_close((uv_handle_t *)t, NULL);
}

/* The thread has ended or was never started. */
static void control_free(gr_control *c) {
    gr__keys_close(c);
    gr__signals_close(c);
    if (c->orders) gr_mailbox_close(c->orders, drop_order);
    if (c->inbox) gr_mailbox_close(c->inbox, NULL); /* nothing follows `bye` */
    close_timer(&c->table_timer);
    close_timer(&c->csv_timer);
    close_timer(&c->run_timer);
    close_timer(&c->monitor.ping);
    close_timer(&c->monitor.usage);
    gr_loop_free(c->loop);
    gr_window_free(c->window);
    gr_csv_close(c->csv);
    gr_order_free(c->spare_stop);
    gr_hist_deinit(&c->loop_lag);
    gr_stats_free(c->stats);
    gr_free(c->json_path);
    gr_free(c);
}

static void init_timers(gr_control *c) {
    uv_timer_t *timers[] = {&c->table_timer, &c->csv_timer, &c->run_timer};
    for (size_t i = 0; i < GR_LEN(timers); i++) {
        uv_timer_init(gr_loop_uv(c->loop), timers[i]);
        timers[i]->data = c;
    }
    gr__monitor_init(c);
}

int gr_control_start(gr_control **control, const gr_control_opts *opts, gr_loop *load,
                     gr_order_cb *on_order, void *ctx, gr_buf *why) {
    size_t said = why->n;
    int rc = GR_E_NOMEM;
    gr_control *c = gr_calloc(1, sizeof *c);
    if (!c) goto fail;
    if ((rc = gr_loop_new(&c->loop)) < 0) goto undo_control;
    c->on_order = on_order;
    c->ctx = ctx;
    gr_hist_init(&c->loop_lag);
    init_timers(c);
    if ((rc = build(c, opts, load, why)) < 0) goto undo_build;
    if ((rc = start_thread(c)) < 0) goto undo_build;
    *control = c;
    return 0;
undo_build:
    control_free(c);
    goto fail;
undo_control:
    gr_free(c);
fail:
    if (why->n == said)
        (void)gr_buf_addf(why, "cannot start the control thread: %s", gr_strerror(rc));
    return rc;
}

void gr_control_report(gr_control *c, gr_report *r) {
    gr_mailbox_post(c->inbox, &r->mail);
}

void gr_control_finish(gr_control *c) {
    gr_mailbox_post(c->inbox, &c->bye);
    uv_thread_join(&c->thread);
    control_free(c);
}
