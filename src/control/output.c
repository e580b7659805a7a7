/* What the control thread writes: a table every two seconds, CSV files every second, everything once more at
 * the end. Tables go to stderr and JSON to stdout, each in one piece, so that log lines of other
 * threads never fall into them. A file that cannot be written is reported once, not each second. */
#include "control/control_int.h"
#include "report/console.h"
#include "report/file.h"
#include "report/json.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

static void emit(FILE *to, const gr_text *t, const char *what) {
    int rc = t->rc;
    if (rc == 0 && fwrite(t->buf.p, 1, t->buf.n, to) < t->buf.n) rc = -errno;
    if (rc == 0 && fflush(to) != 0) rc = -errno;
    if (rc < 0) gr_log(GR_LOG_ERROR, "locust.stats", "Cannot print %s: %s", what, gr_strerror(rc));
}

static void clock_text(gr_text *t, gr_ns span) {
    uint64_t s = span / GR_S(1);
    if (s >= 3600) gr_text_addf(t, "%" PRIu64 ":", s / 3600);
    gr_text_addf(t, "%02" PRIu64 ":%02" PRIu64, s / 60 % 60, s % 60);
}

/* For a terminal: "12 users, spawning, 00:48 left". */
static void progress(const gr_control *c, gr_text *t) {
    gr_ns elapsed = gr_clock_ns() - c->started_at, run_time = c->opts.run_time_ns;
    gr_text_addf(t, "%" PRIu32 " user%s, ", c->user_count, c->user_count == 1 ? "" : "s");
    if (c->run_state != GR_RUN_RUNNING) gr_text_addf(t, "%s, ", gr_run_state_name(c->run_state));
    clock_text(t, run_time == 0 ? elapsed : run_time > elapsed ? run_time - elapsed : 0);
    gr_text_addc(t, run_time == 0 ? " elapsed\n" : " left\n");
}

void gr__output_table(gr_control *c) {
    gr_text t = GR_TEXT_INIT;
    gr_console console = gr_console_of(STDERR_FILENO);
    gr_console_stats(&t, &console, c->stats, true);
    if (console.terminal) progress(c, &t);
    emit(stderr, &t, "the statistics");
    gr_text_deinit(&t);
}

void gr__output_csv(gr_control *c) {
    gr_stats *recent = c->window ? gr_window_merged(c->window, gr_clock_ns()) : NULL;
    int rc = gr_csv_write(c->csv, c->stats, recent, c->user_count, gr_clock_wall_ns());
    if (rc < 0 && !c->csv_failing)
        gr_log(GR_LOG_ERROR, "locust.stats", "Cannot write the CSV files: %s", gr_strerror(rc));
    c->csv_failing = rc < 0;
}

static void final_json(gr_control *c) {
    gr_text t = GR_TEXT_INIT;
    gr_json_stats(&t, c->stats);
    if (c->json_path) {
        int rc = t.rc < 0 ? t.rc : gr_file_save(c->json_path, gr_buf_str(&t.buf));
        if (rc < 0)
            gr_log(GR_LOG_ERROR, "locust.stats", "Cannot write \"%s\": %s", c->json_path,
                   gr_strerror(rc));
    }
    gr_text_addc(&t, "\n"); /* print() adds it, the file has none */
    if (c->opts.json) emit(stdout, &t, "the JSON");
    gr_text_deinit(&t);
}

static void final_tables(gr_control *c) {
    gr_text t = GR_TEXT_INIT;
    gr_console console = gr_console_of(STDERR_FILENO);
    gr_console_stats(&t, &console, c->stats, false);
    gr_console_percentiles(&t, &console, c->stats);
    gr_console_errors(&t, &console, c->stats);
    gr_console_notes(&t, c->stats, &c->loop_lag);
    emit(stderr, &t, "the summary");
    gr_text_deinit(&t);
}

/* Locust's order, and its rule that a JSON file replaces the tables. */
void gr__output_final(gr_control *c) {
    if (c->opts.json || c->json_path) final_json(c);
    if (c->opts.tables && !c->json_path) final_tables(c);
    if (c->csv) gr__output_csv(c);
}
