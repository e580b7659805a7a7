/* See console.h. Columns are Locust's format strings spelled out; a width below zero, which Python
 * reads as "left-aligned", occurs on terminals of fewer than 84 columns. */
#include "report/console.h"
#include "report/figures.h"
#include "base/alloc.h"
#include "base/err.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define TYPE_WIDTH     8
#define NAME_WIDTH_MAX 80
#define TABLE_WIDTH    80 /* of everything beside the names */

gr_console gr_console_of(int fd) {
    struct winsize size;
    const char *no_color = getenv("NO_COLOR");
    gr_console console = {.name_width = NAME_WIDTH_MAX, .terminal = isatty(fd) == 1};
    console.colour = console.terminal && !(no_color && no_color[0]);
    if (console.terminal && ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
        console.name_width = GR_MIN(GR_MAX(size.ws_col - TABLE_WIDTH, 0), NAME_WIDTH_MAX);
    return console;
}

static void dashes(gr_text *t, const int *widths, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (i > 0) gr_text_addc(t, "|");
        gr_text_repeat(t, '-', widths[i]);
    }
    gr_text_addc(t, "\n");
}

static void stats_row(gr_text *t, const gr_console *console, const gr_entry *e,
                      const gr_entry *total, int name_width, bool current) {
    char fails[64];
    bool red = console->colour && e->failures > 0;
    double rate =
        current ? gr_entry_current_rate(e, total, false) : gr_entry_total_rate(e, total, false);
    double fail_rate =
        current ? gr_entry_current_rate(e, total, true) : gr_entry_total_rate(e, total, true);
    /* Locust's table of requests puts a space behind the method, then pads to TYPE_WIDTH. */
    gr_text_cell(t, e->method, e->method.n > 0 ? TYPE_WIDTH - 1 : TYPE_WIDTH);
    gr_text_addc(t, e->method.n > 0 ? "  " : " ");
    gr_text_cell(t, e->name, name_width);
    snprintf(fails, sizeof fails, "%" PRIu64 "(%.2f%%)", e->failures, gr_entry_fail_ratio(e) * 100);
    gr_text_addf(t, " %7" PRIu64 " %s%12s%s |%7" PRId64 " %7" PRId64 " %7" PRId64 "%7" PRId64,
                 e->requests, red ? "\033[31m" : "", fails, red ? "\033[0m" : "",
                 (int64_t)gr_entry_mean_ms(e), (int64_t)gr_entry_min_ms(e),
                 (int64_t)gr_entry_max_ms(e), (int64_t)gr_shown_median(e));
    gr_text_addf(t, " | %7.2f %11.2f\n", rate, fail_rate);
}

void gr_console_stats(gr_text *t, const gr_console *console, gr_stats *stats, bool current) {
    int name_width = console->name_width - TYPE_WIDTH + 4;
    int padding = abs(name_width);
    const int widths[] = {TYPE_WIDTH, name_width, 7, 13, 7, 7, 7, 7, 8, 11};
    const gr_entry *total = gr_stats_total(stats);
    gr_entry **entries;
    ptrdiff_t n = gr_stats_entries(stats, &entries);
    if (n < 0) {
        t->rc = (int)n;
        return;
    }
    gr_text_addf(t, "%-*s %-*s %7s %12s |%7s %7s %7s%7s | %7s %11s\n", TYPE_WIDTH, "Type", padding,
                 "Name", "# reqs", "# fails", "Avg", "Min", "Max", "Med", "req/s", "failures/s");
    dashes(t, widths, GR_LEN(widths));
    for (ptrdiff_t i = 0; i < n; i++)
        stats_row(t, console, entries[i], total, padding, current);
    dashes(t, widths, GR_LEN(widths));
    stats_row(t, console, total, total, padding, current);
    gr_text_addc(t, "\n");
    gr_free(entries);
}

static void percentile_row(gr_text *t, const gr_console *console, const gr_entry *e) {
    if (e->response.count == 0) return;
    gr_text_cell(t, e->method, TYPE_WIDTH);
    gr_text_addc(t, " ");
    gr_text_cell(t, e->name, console->name_width);
    for (size_t i = 0; i < GR_PERCENTILES; i++)
        gr_text_addf(t, " %*" PRId64, i == 0 ? 8 : 6, gr_shown_percentile(e, gr_percentiles[i].p));
    gr_text_addf(t, " %6" PRIu64 "\n", e->requests);
}

void gr_console_percentiles(gr_text *t, const gr_console *console, gr_stats *stats) {
    int widths[3 + GR_PERCENTILES] = {TYPE_WIDTH, console->name_width, 8};
    gr_entry **entries;
    ptrdiff_t n = gr_stats_entries(stats, &entries);
    if (n < 0) {
        t->rc = (int)n;
        return;
    }
    gr_text_addf(t, "Response time percentiles (approximated)\n%-*s %-*s", TYPE_WIDTH, "Type",
                 console->name_width, "Name");
    for (size_t i = 0; i < GR_PERCENTILES; i++) {
        gr_text_addf(t, " %*s", i == 0 ? 8 : 6, gr_percentiles[i].label);
        widths[3 + i] = 6; /* the last one stands below "# reqs" */
    }
    gr_text_addf(t, " %6s\n", "# reqs");
    dashes(t, widths, GR_LEN(widths));
    for (ptrdiff_t i = 0; i < n; i++)
        percentile_row(t, console, entries[i]);
    dashes(t, widths, GR_LEN(widths));
    percentile_row(t, console, gr_stats_total(stats));
    gr_text_addc(t, "\n");
    gr_free(entries);
}

/* Undo Python's repr() of a string as far as it is certain: quotes, backslashes, line breaks and tabs;
 * other escapes stay as they are, which is safer on a terminal. `s` begins with its quote. */
static void unquoted(gr_text *t, gr_str s) {
    static const char ESCAPES[] = "n\nr\rt\t\\\\'\'\"\"";
    char quote = s.p[0];
    for (size_t i = 1; i < s.n && s.p[i] != quote; i++) {
        char shown[2] = {s.p[i], '\0'};
        size_t length = 1;
        if (s.p[i] == '\\' && i + 1 < s.n) {
            shown[1] = s.p[++i];
            length = 2;
            for (size_t j = 0; j + 1 < sizeof ESCAPES; j += 2) {
                if (shown[1] != ESCAPES[j]) continue;
                shown[0] = ESCAPES[j + 1];
                length = 1;
                break;
            }
        }
        gr_text_add(t, (gr_str){shown, length});
    }
}

/* What Locust shows for a failure: the argument of a CatchResponseError rather than its repr(). */
static void error_text(gr_text *t, gr_str text) {
    gr_str wrapper = GR_STR("CatchResponseError(");
    if (!gr_str_starts(text, wrapper)) {
        gr_text_add(t, text);
        return;
    }
    gr_str inner = gr_str_from(text, wrapper.n);
    if (inner.n > 0 && inner.p[inner.n - 1] == ')') inner.n--;
    if (inner.n > 0 && (inner.p[0] == '\'' || inner.p[0] == '"'))
        unquoted(t, inner);
    else
        gr_text_add(t, inner);
}

static void error_row(gr_text *t, const gr_console *console, const gr_error *error) {
    gr_text row = GR_TEXT_INIT;
    gr_text_add(&row, error->method);
    gr_text_addc(&row, " ");
    gr_text_add(&row, error->name);
    gr_text_addc(&row, ": ");
    error_text(&row, error->text);
    if (row.rc < 0) t->rc = row.rc;
    gr_text_addf(t, "%-18" PRIu64 " ", error->occurrences);
    if (console->colour) gr_text_addc(t, "\033[31m");
    gr_text_cell(t, gr_buf_str(&row.buf), 100);
    if (console->colour) gr_text_addc(t, "\033[0m");
    gr_text_addc(t, "\n");
    gr_text_deinit(&row);
}

void gr_console_errors(gr_text *t, const gr_console *console, const gr_stats *stats) {
    const int widths[] = {18, TABLE_WIDTH + console->name_width - 19};
    gr_error **errors;
    ptrdiff_t n = gr_stats_errors(stats, &errors);
    if (n < 0) {
        t->rc = (int)n;
        return;
    }
    if (n > 0) {
        gr_text_addf(t, "Error report\n%-18s %-100s\n", "# occurrences", "Error");
        dashes(t, widths, GR_LEN(widths));
        for (ptrdiff_t i = 0; i < n; i++)
            error_row(t, console, errors[i]);
        dashes(t, widths, GR_LEN(widths));
        gr_text_addc(t, "\n");
    }
    gr_free(errors);
}

void gr_console_notes(gr_text *t, const gr_stats *stats, const gr_hist *loop_lag) {
    uint64_t interrupted = gr_stats_interrupted_count(stats);
    int64_t lag = gr_hist_percentile(loop_lag, 0.99);
    if (interrupted > 0)
        gr_text_addf(t,
                     "Cut off in flight when users stopped, and in no figure above: %" PRIu64
                     " request%s\n",
                     interrupted, interrupted == 1 ? "" : "s");
    if (lag > (int64_t)GR_CONSOLE_LAG_NS)
        gr_text_addf(
            t,
            "The load generator itself was late (99th percentile of its own delay: %" PRId64
            " ms): reported response times include that delay, service times do not.\n",
            (lag + 500000) / 1000000);
}
