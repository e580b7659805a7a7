/* The control thread against a load thread that the test plays itself. */
#include "test.h"

#include "control/control.c"

#include "report/scratch.h"

#include <fcntl.h>

/* The test plays the load thread: its loop receives the orders. */
typedef struct load {
    gr_loop *loop;
    gr_control *control;
    unsigned orders[4]; /* by kind */
    gr_stop_reason reason;
    gr_order_kind awaited;
    unsigned awaited_n;
    gr_timer guard;
    bool gave_up;
} load;

static void on_order(void *ctx, gr_order *o) {
    load *l = ctx;
    l->orders[o->kind]++;
    if (o->kind == GR_ORDER_STOP) l->reason = o->reason;
    if (o->kind == GR_ORDER_PING) CHECK(o->sent_at > 0 && o->sent_at <= gr_clock_ns());
    if (l->orders[l->awaited] >= l->awaited_n) gr_loop_stop(l->loop);
    gr_order_free(o);
}

static void on_guard(gr_timer *t) {
    load *l = GR_CONTAINER(t, load, guard);
    l->gave_up = true;
    gr_loop_stop(l->loop);
}

static void await(load *l, gr_order_kind kind, unsigned n) {
    l->awaited = kind;
    l->awaited_n = n;
    l->guard.cb = on_guard;
    CHECK_EQ(gr_timer_start(l->loop, &l->guard, gr_clock_ns() + GR_S(15)), 0);
    while (l->orders[kind] < n && !l->gave_up)
        gr_loop_run(l->loop);
    gr_timer_stop(l->loop, &l->guard);
    cr_assert(!l->gave_up, "no order of kind %d", kind);
}

static void capture(void) { /* into ./out and ./err */
    enter_scratch();
    int out = open("out", O_RDWR | O_CREAT | O_TRUNC, 0600);
    int err = open("err", O_RDWR | O_CREAT | O_TRUNC | O_APPEND, 0600);
    cr_assert(out >= 0 && err >= 0 && dup2(out, 1) == 1 && dup2(err, 2) == 2);
    close(out);
    close(err);
}

static void load_start(load *l, const gr_control_opts *opts) {
    gr_buf why = GR_BUF_INIT;
    *l = (load){.awaited_n = 1};
    capture();
    CHECK_EQ(gr_loop_new(&l->loop), 0);
    int rc = gr_control_start(&l->control, opts, l->loop, on_order, l, &why);
    cr_assert(rc == 0, "%.*s", (int)why.n, why.p);
    gr_buf_deinit(&why);
}

static void load_finish(load *l) {
    gr_control_finish(l->control);
    gr_loop_free(l->loop);
}

static gr_report *report_of(gr_report_kind kind, gr_run_state state, uint32_t users) {
    gr_report *r = gr_report_new(kind);
    CHECK(r != NULL);
    r->state = state;
    r->user_count = users;
    return r;
}

static void report(load *l, gr_report_kind kind, gr_run_state state) {
    gr_control_report(l->control, report_of(kind, state, 3));
}

/* A report with `n` requests of `name`, the last of which failed. */
static void report_requests(load *l, gr_report_kind kind, const char *name, unsigned n) {
    gr_report *r = report_of(kind, GR_RUN_RUNNING, 3);
    gr_sample sample = {GR_MS(5), GR_MS(4), GR_MS(6), GR_MS(1), 100, gr_clock_wall_ns()};
    CHECK((r->delta = gr_stats_new()) != NULL);
    gr_entry *e = gr_stats_entry(r->delta, GR_STR("GET"), gr_str_c(name));
    for (unsigned i = 0; i < n; i++)
        CHECK_EQ(gr_stats_record(r->delta, e, &sample), 0);
    CHECK_EQ(gr_stats_fail(r->delta, e, GR_STR("broken"), sample.ended_at), 0);
    CHECK_EQ(gr_hist_record(&r->loop_lag, GR_MS(1)), 0);
    gr_control_report(l->control, r);
}

static char *content(const char *path) { /* caller frees */
    FILE *f = fopen(path, "r");
    cr_assert(f, "%s", path);
    char *text = calloc(1, 65536);
    cr_assert(text && fread(text, 1, 65535, f) < 65535);
    fclose(f);
    return text;
}

static unsigned count(const char *path, const char *word) {
    char *text = content(path);
    unsigned n = 0;
    for (char *at = strstr(text, word); at; at = strstr(at + 1, word))
        n++;
    free(text);
    return n;
}

static bool empty(const char *path) {
    char *text = content(path);
    bool yes = text[0] == '\0';
    free(text);
    return yes;
}

TEST(the_run_time_ends_the_test) {
    load l;
    load_start(&l, &(gr_control_opts){.run_time_ns = GR_MS(200)});
    report(&l, GR_REPORT_STARTED, GR_RUN_SPAWNING);
    await(&l, GR_ORDER_STOP, 1);
    CHECK_EQ(l.reason, GR_STOP_RUN_TIME);
    report(&l, GR_REPORT_FINAL, GR_RUN_STOPPED);
    load_finish(&l);
    CHECK_EQ(count("err", "/INFO/locust.main: --run-time limit reached, shutting down\n"), 1);
    CHECK_EQ(count("err", "Aggregated"), 0); /* no tables were asked for */
    CHECK(empty("out"));
}

TEST(the_run_time_does_not_count_before_the_test) {
    load l;
    load_start(&l, &(gr_control_opts){.run_time_ns = 1});
    report(&l, GR_REPORT_DELTA, GR_RUN_READY);
    usleep(20000);
    report(&l, GR_REPORT_FINAL, GR_RUN_STOPPED);
    load_finish(&l);
    CHECK_EQ(count("err", "--run-time"), 0);
}

static gr_control *bare_control(load *l) { /* without its thread: what happens in it can be seen */
    gr_buf why = GR_BUF_INIT;
    gr_control *c = gr_calloc(1, sizeof *c);
    *l = (load){.awaited_n = 1, .control = c};
    CHECK(c && gr_loop_new(&l->loop) == 0 && gr_loop_new(&c->loop) == 0);
    c->on_order = on_order;
    c->ctx = l;
    init_timers(c);
    CHECK_EQ(build(c, &(gr_control_opts){.run_time_ns = GR_S(3600)}, l->loop, &why), 0);
    return c;
}

static bool run_timer_active_in(gr_run_state state) {
    load l;
    gr_control *c = bare_control(&l);
    on_mail(c, &report_of(GR_REPORT_STARTED, GR_RUN_SPAWNING, 0)->mail);
    CHECK(uv_is_active((uv_handle_t *)&c->run_timer));
    on_mail(c, &report_of(GR_REPORT_DELTA, state, 0)->mail);
    bool active = uv_is_active((uv_handle_t *)&c->run_timer);
    control_free(c);
    gr_loop_free(l.loop);
    return active;
}

TEST(a_run_time_ends_with_its_test) {
    CHECK(run_timer_active_in(GR_RUN_RUNNING));
    CHECK(!run_timer_active_in(GR_RUN_CLEANUP));
    CHECK(!run_timer_active_in(GR_RUN_STOPPING));
    CHECK(!run_timer_active_in(GR_RUN_STOPPED));
}

TEST(pings_are_answered_and_sent_again) {
    load l;
    load_start(&l, &(gr_control_opts){0});
    report(&l, GR_REPORT_STARTED, GR_RUN_RUNNING);
    await(&l, GR_ORDER_PING, 3);
    report(&l, GR_REPORT_FINAL, GR_RUN_STOPPED);
    load_finish(&l);
}

TEST(sigint_stops_the_test) {
    load l;
    load_start(&l, &(gr_control_opts){.handle_signals = true});
    report(&l, GR_REPORT_STARTED, GR_RUN_RUNNING);
    kill(getpid(), SIGINT);
    await(&l, GR_ORDER_STOP, 1);
    CHECK_EQ(l.reason, GR_STOP_SIGINT);
    report(&l, GR_REPORT_FINAL, GR_RUN_STOPPED);
    load_finish(&l);
}

TEST(sigterm_stops_the_test) {
    load l;
    load_start(&l, &(gr_control_opts){.handle_signals = true});
    kill(getpid(), SIGTERM);
    await(&l, GR_ORDER_STOP, 1);
    CHECK_EQ(l.reason, GR_STOP_SIGTERM);
    report(&l, GR_REPORT_FINAL, GR_RUN_STOPPED);
    load_finish(&l);
    CHECK_EQ(count("err", "/INFO/locust.main: Got SIGTERM signal\n"), 1);
}

Test(unit, a_second_sigint_ends_the_process, .timeout = 20, .signal = SIGINT) {
    load l;
    load_start(&l, &(gr_control_opts){.handle_signals = true});
    kill(getpid(), SIGINT);
    await(&l, GR_ORDER_STOP, 1);
    remove_scratch();
    kill(getpid(), SIGINT);
    await(&l, GR_ORDER_STOP, 2); /* never comes: this process dies */
}

static void own_handler(int number) {
    (void)number;
}

TEST(signal_handlers_are_given_back) {
    load l;
    struct sigaction after;
    signal(SIGINT, own_handler);
    signal(SIGTERM, SIG_IGN);
    load_start(&l, &(gr_control_opts){.handle_signals = true});
    sigaction(SIGINT, NULL, &after);
    CHECK(after.sa_handler != own_handler);
    load_finish(&l);
    sigaction(SIGINT, NULL, &after);
    CHECK(after.sa_handler == own_handler);
    sigaction(SIGTERM, NULL, &after);
    CHECK(after.sa_handler == SIG_IGN);
}

TEST(an_inherited_ignored_sigint_stays_ignored) {
    load l;
    struct sigaction now;
    signal(SIGINT, SIG_IGN);
    load_start(&l, &(gr_control_opts){.handle_signals = true});
    sigaction(SIGINT, NULL, &now);
    CHECK(now.sa_handler == SIG_IGN);
    kill(getpid(), SIGINT);
    kill(getpid(), SIGTERM);
    await(&l, GR_ORDER_STOP, 1);
    CHECK_EQ(l.reason, GR_STOP_SIGTERM);
    load_finish(&l);
}

TEST(without_signal_handling_none_is_touched) {
    load l;
    struct sigaction now;
    signal(SIGTERM, own_handler);
    load_start(&l, &(gr_control_opts){0});
    sigaction(SIGTERM, NULL, &now);
    CHECK(now.sa_handler == own_handler);
    load_finish(&l);
}

TEST(the_summary_comes_at_the_end_in_locusts_order) {
    load l;
    load_start(&l, &(gr_control_opts){.tables = true, .only_summary = true});
    report_requests(&l, GR_REPORT_DELTA, "/before", 7); /* of an earlier test */
    report(&l, GR_REPORT_STARTED, GR_RUN_SPAWNING);
    report_requests(&l, GR_REPORT_DELTA, "/a", 2);
    report_requests(&l, GR_REPORT_FINAL, "/b", 3);
    load_finish(&l);
    char *err = content("err");
    char *stats = strstr(err, "# fails"), *percentiles = strstr(err, "(approximated)"),
         *errors = strstr(err, "Error report\n");
    CHECK(stats && percentiles && errors);
    CHECK(stats < percentiles && percentiles < errors);
    CHECK(strstr(err, "    5    2(40.00%) |      5       5       5      5 |"));
    CHECK(!strstr(err, "/before"));
    CHECK(!strstr(err, "\033"));
    CHECK(strstr(errors, "1                  GET /b: broken"));
    free(err);
    CHECK(empty("out"));
}

TEST(a_reset_keeps_the_rows) {
    load l;
    load_start(&l, &(gr_control_opts){.tables = true, .only_summary = true});
    report(&l, GR_REPORT_STARTED, GR_RUN_SPAWNING);
    report_requests(&l, GR_REPORT_DELTA, "/a", 7);
    report(&l, GR_REPORT_RESET, GR_RUN_RUNNING);
    report_requests(&l, GR_REPORT_FINAL, "/b", 2);
    load_finish(&l);
    CHECK_EQ(count("err", " 0     0(0.00%) |"), 1);
    CHECK_EQ(count("err", " 2    1(50.00%) |"), 2); /* row and total */
}

/* The first periodic table comes at once; the second would need two seconds. */
TEST(tables_are_periodic) {
    load l;
    load_start(&l, &(gr_control_opts){.tables = true});
    report(&l, GR_REPORT_STARTED, GR_RUN_SPAWNING);
    await(&l, GR_ORDER_PING, 2);
    report(&l, GR_REPORT_FINAL, GR_RUN_STOPPED);
    load_finish(&l);
    CHECK(count("err", "failures/s") >= 2);
    CHECK_EQ(count("err", "(approximated)"), 1);
    CHECK_EQ(count("err", " elapsed\n"), 0); /* not a terminal */
}

TEST(json_goes_to_stdout_beside_the_tables) {
    load l;
    load_start(&l, &(gr_control_opts){.tables = true, .only_summary = true, .json = true});
    report_requests(&l, GR_REPORT_FINAL, "/a", 2);
    load_finish(&l);
    char *out = content("out");
    CHECK(strncmp(out, "[\n    {\n        \"name\": \"/a\",\n", 30) == 0);
    CHECK(strcmp(out + strlen(out) - 3, "\n]\n") == 0);
    free(out);
    CHECK_EQ(count("err", " 2    1(50.00%) |"), 2); /* printing the JSON emptied nothing */
}

TEST(a_json_file_replaces_the_tables) {
    load l;
    gr_control_opts opts = {
        .tables = true, .only_summary = true, .json_file = GR_STR("new/results")};
    load_start(&l, &opts);
    report_requests(&l, GR_REPORT_FINAL, "/a", 2);
    load_finish(&l);
    char *json = content("new/results.json");
    CHECK(strcmp(json + strlen(json) - 2, "\n]") == 0);
    free(json);
    CHECK_EQ(count("err", "Aggregated"), 0);
    CHECK(empty("out"));
}

TEST(a_json_file_that_cannot_be_written_is_named) {
    load l;
    load_start(&l, &(gr_control_opts){.json_file = GR_STR("err/below")});
    report(&l, GR_REPORT_FINAL, GR_RUN_STOPPED);
    load_finish(&l);
    CHECK_EQ(count("err", "Cannot write \"err/below.json\": Not a directory"), 1);
}

static void check_csv(bool full_history) {
    load l;
    load_start(&l, &(gr_control_opts){.csv_prefix = GR_STR("p"), .csv_full_history = full_history});
    report(&l, GR_REPORT_STARTED, GR_RUN_SPAWNING);
    report_requests(&l, GR_REPORT_DELTA, "/a", 2);
    report_requests(&l, GR_REPORT_FINAL, "/a", 3);
    load_finish(&l);
    CHECK_EQ(count("p_stats.csv", "\r\nGET,/a,5,2,5,"), 1);
    CHECK_EQ(count("p_failures.csv", "\r\nGET,/a,broken,2,"), 1);
    CHECK(count("p_stats_history.csv", ",3,,Aggregated,") >= 1);
    CHECK_EQ(count("p_stats_history.csv", ",3,GET,/a,0.000000,0.000000,5,5,5,5,5,5,5,5,5,5,5,5,2,"),
             full_history ? 1 : 0);
}

TEST(csv_files_are_complete_at_the_end) {
    check_csv(false);
}

TEST(a_full_csv_history_is_complete_at_the_end) {
    check_csv(true);
}

TEST(finishing_without_a_final_report_writes_what_there_is) {
    load l;
    load_start(&l, &(gr_control_opts){.tables = true, .json = true});
    report_requests(&l, GR_REPORT_DELTA, "/a", 2);
    load_finish(&l);
    CHECK_EQ(count("out", "\"num_requests\": 2"), 1);
    CHECK_EQ(count("err", "Error report"), 1);
}

TEST(reports_after_the_final_one_change_nothing) {
    load l;
    load_start(&l, &(gr_control_opts){.tables = true});
    report(&l, GR_REPORT_FINAL, GR_RUN_STOPPED);
    report_requests(&l, GR_REPORT_DELTA, "/late", 2);
    report_requests(&l, GR_REPORT_FINAL, "/late", 2);
    load_finish(&l);
    CHECK_EQ(count("err", "(approximated)"), 1);
    CHECK_EQ(count("err", "/late"), 0);
}

static void finish_on_order(void *ctx, gr_order *o) {
    load *l = ctx;
    l->orders[o->kind]++;
    gr_order_free(o);
    gr_control_finish(l->control);
    gr_loop_stop(l->loop);
}

TEST(an_order_may_finish_everything) {
    load l;
    load_start(&l, &(gr_control_opts){.handle_signals = true});
    l.control->on_order = finish_on_order; /* nothing is under way yet */
    report(&l, GR_REPORT_FINAL, GR_RUN_STOPPED);
    kill(getpid(), SIGTERM);
    await(&l, GR_ORDER_STOP, 1);
    gr_loop_free(l.loop);
}

TEST(a_csv_file_that_cannot_be_created_stops_the_start) {
    gr_loop *loop;
    gr_control *c = NULL;
    gr_buf why = GR_BUF_INIT;
    capture();
    CHECK_EQ(gr_loop_new(&loop), 0);
    gr_control_opts opts = {.csv_prefix = GR_STR("out/p"), .handle_signals = true};
    CHECK_EQ(gr_control_start(&c, &opts, loop, on_order, NULL, &why), -20 /* ENOTDIR */);
    CHECK(c == NULL);
    CHECK_STR(gr_buf_str(&why), "cannot create \"out/p_stats.csv\" for --csv: Not a directory");
    gr_buf_deinit(&why);
    gr_loop_free(loop);
}

TEST(each_failed_allocation_at_the_start_is_survived) {
    gr_control_opts opts = {.csv_prefix = GR_STR("p"),
                            .csv_full_history = true,
                            .json_file = GR_STR("j"),
                            .handle_signals = true};
    load l = {.awaited_n = 1};
    int rc = GR_E_NOMEM;
    capture();
    CHECK_EQ(gr_loop_new(&l.loop), 0);
    for (uint64_t n = 0; rc < 0 && n < 1000; n++) {
        gr_buf why = GR_BUF_INIT;
        FAIL_ALLOC_AT(n) rc = gr_control_start(&l.control, &opts, l.loop, on_order, &l, &why);
        CHECK(rc == 0 || (rc == GR_E_NOMEM && why.n > 0));
        gr_buf_deinit(&why);
    }
    CHECK_EQ(rc, 0);
    report(&l, GR_REPORT_FINAL, GR_RUN_STOPPED);
    load_finish(&l);
}

TEST(a_stop_gets_through_without_memory) {
    load l;
    gr_control *c = bare_control(&l);
    FAIL_ALLOC_AT(0) gr__control_stop(c, GR_STOP_SIGTERM);
    FAIL_ALLOC_AT(0) gr__control_stop(c, GR_STOP_SIGINT); /* one is enough */
    await(&l, GR_ORDER_STOP, 1);
    CHECK_EQ(l.reason, GR_STOP_SIGTERM);
    control_free(c);
    gr_loop_free(l.loop);
}
