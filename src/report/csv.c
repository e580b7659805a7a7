/* See csv.h. Each write renders one file at a time into the same text and hands it over in one piece. Field
 * values follow Python's csv.writer: str(int), repr(float), minimal quoting, lines end in CR LF. */
#include "report/csv.h"
#include "report/figures.h"
#include "report/file.h"
#include "report/text.h"
#include "base/alloc.h"
#include "base/err.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { STATS, HISTORY, FAILURES, EXCEPTIONS, FILES };

static const struct {
    const char *suffix, *columns; /* a bar stands for the percentiles */
} LAYOUT[FILES] = {
    [STATS] = {"_stats.csv",
               "Type,Name,Request Count,Failure Count,Median Response Time,Average Response Time,"
               "Min Response Time,Max Response Time,Average Content Size,Requests/s,Failures/s|"},
    [HISTORY] = {"_stats_history.csv",
                 "Timestamp,User Count,Type,Name,Requests/s,Failures/s|,Total Request Count,"
                 "Total Failure Count,Total Median Response Time,Total Average Response Time,"
                 "Total Min Response Time,Total Max Response Time,Total Average Content Size"},
    [FAILURES] = {"_failures.csv", "Method,Name,Error,Occurrences,First Seen,Last Seen"},
    [EXCEPTIONS] = {"_exceptions.csv", "Count,Message,Traceback,Nodes"},
};

struct gr_csv {
    int fds[FILES];
    bool full_history;
    gr_text text; /* scratch */
};

static void header(gr_text *t, int file) {
    gr_str columns = gr_str_c(LAYOUT[file].columns);
    ptrdiff_t bar = gr_str_find(columns, '|');
    gr_text_add(t, bar < 0 ? columns : (gr_str){columns.p, (size_t)bar});
    if (bar >= 0) {
        for (size_t i = 0; i < GR_PERCENTILES; i++)
            gr_text_addf(t, ",%s", gr_percentiles[i].label);
        gr_text_add(t, gr_str_from(columns, (size_t)bar + 1));
    }
    gr_text_addc(t, "\r\n");
}

static int create_file(gr_csv *csv, int file, gr_str prefix, gr_buf *why) {
    gr_text path = GR_TEXT_INIT;
    gr_text_add(&path, prefix);
    gr_text_addc(&path, LAYOUT[file].suffix);
    gr_text_add(&path, (gr_str){"", 1}); /* its NUL */
    int rc = path.rc < 0 ? path.rc : gr_file_create(path.buf.p);
    if (rc < 0)
        (void)gr_buf_addf(why, "cannot create \"%.*s%s\" for --csv: %s", (int)prefix.n, prefix.p,
                          LAYOUT[file].suffix, gr_strerror(rc));
    else
        csv->fds[file] = rc;
    gr_text_deinit(&path);
    if (rc < 0) return rc;

    gr_text_clear(&csv->text);
    header(&csv->text, file);
    rc = csv->text.rc < 0 ? csv->text.rc
                          : gr_file_append(csv->fds[file], gr_buf_str(&csv->text.buf));
    if (rc < 0)
        (void)gr_buf_addf(why, "cannot write \"%.*s%s\" for --csv: %s", (int)prefix.n, prefix.p,
                          LAYOUT[file].suffix, gr_strerror(rc));
    return rc;
}

int gr_csv_open(gr_csv **csv, gr_str prefix, bool full_history, gr_buf *why) {
    gr_csv *c = gr_calloc(1, sizeof *c);
    int rc = 0;
    if (!c) {
        (void)gr_buf_addc(why, gr_strerror(GR_E_NOMEM));
        return GR_E_NOMEM;
    }
    c->full_history = full_history;
    for (int file = 0; file < FILES; file++)
        c->fds[file] = -1;
    for (int file = 0; file < FILES && rc == 0; file++)
        rc = create_file(c, file, prefix, why);
    if (rc < 0)
        gr_csv_close(c);
    else
        *csv = c;
    return rc;
}

void gr_csv_close(gr_csv *csv) {
    if (!csv) return;
    for (int file = 0; file < FILES; file++)
        if (csv->fds[file] >= 0) close(csv->fds[file]);
    gr_text_deinit(&csv->text);
    gr_free(csv);
}

/* One field of text, then the comma or line end that follows it. */
static void field(gr_text *t, gr_str s, const char *then) {
    bool quote = false;
    for (size_t i = 0; i < s.n && !quote; i++)
        quote = s.p[i] == ',' || s.p[i] == '"' || s.p[i] == '\r' || s.p[i] == '\n';
    if (quote) gr_text_addc(t, "\"");
    while (quote && s.n > 0) { /* double each quotation mark */
        ptrdiff_t mark = gr_str_find(s, '"');
        size_t n = mark < 0 ? s.n : (size_t)mark + 1;
        gr_text_add(t, (gr_str){s.p, n});
        if (mark >= 0) gr_text_addc(t, "\"");
        s = gr_str_from(s, n);
    }
    gr_text_add(t, s);
    if (quote) gr_text_addc(t, "\"");
    gr_text_addc(t, then);
}

static void float_or_zero(gr_text *t, bool zero, double value) { /* Locust's zero is an int */
    if (zero)
        gr_text_addc(t, "0");
    else
        gr_text_float(t, value);
}

static void counts_and_times(gr_text *t, const gr_entry *e) {
    double median = gr_shown_median(e), minimum = gr_entry_min_ms(e);
    bool untimed = e->response.count == 0;
    gr_text_addf(t, "%" PRIu64 ",%" PRIu64 ",", e->requests, e->failures);
    if (median > rint(median) || median < rint(median)) /* a limit, not a rounded value */
        gr_text_float(t, median);
    else
        gr_text_addf(t, "%" PRId64, (int64_t)median);
    gr_text_addc(t, ",");
    gr_text_float(t, gr_entry_mean_ms(e));
    gr_text_addc(t, ",");
    float_or_zero(t, untimed || !(minimum < 0 || minimum > 0), minimum);
    gr_text_addc(t, ",");
    float_or_zero(t, untimed, gr_entry_max_ms(e));
    gr_text_addc(t, ",");
    float_or_zero(t, e->requests == 0, gr_entry_mean_bytes(e));
}

/* `times` is the entry whose percentiles are shown: `e`, its recent part, or NULL when that has no request. */
static void percentiles(gr_text *t, const gr_entry *e, const gr_entry *times) {
    for (size_t i = 0; i < GR_PERCENTILES; i++) {
        if (e->requests == 0)
            gr_text_addc(t, ",N/A");
        else
            gr_text_addf(t, ",%" PRId64,
                         times ? gr_shown_percentile(times, gr_percentiles[i].p) : 0);
    }
}

static void stats_row(gr_text *t, const gr_entry *e, const gr_entry *total) {
    field(t, e->method, ",");
    field(t, e->name, ",");
    counts_and_times(t, e);
    gr_text_addc(t, ",");
    gr_text_float(t, gr_entry_total_rate(e, total, false));
    gr_text_addc(t, ",");
    gr_text_float(t, gr_entry_total_rate(e, total, true));
    percentiles(t, e, e);
    gr_text_addc(t, "\r\n");
}

typedef struct moment { /* what the rows of one second share */
    gr_wall_ns now;
    uint32_t user_count;
    const gr_entry *total;
} moment;

static void history_row(gr_text *t, const moment *m, const gr_entry *e, const gr_entry *times) {
    gr_text_addf(t, "%" PRId64 ",%" PRIu32 ",", m->now / 1000000000, m->user_count);
    field(t, e->method, ",");
    field(t, e->name, ",");
    gr_text_addf(t, "%f,%f", gr_entry_current_rate(e, m->total, false),
                 gr_entry_current_rate(e, m->total, true));
    percentiles(t, e, times);
    gr_text_addc(t, ",");
    counts_and_times(t, e);
    gr_text_addc(t, "\r\n");
}

static int write_stats(gr_csv *csv, gr_entry **entries, ptrdiff_t n, const gr_entry *total) {
    gr_text *t = &csv->text;
    gr_text_clear(t);
    header(t, STATS);
    for (ptrdiff_t i = 0; i < n; i++)
        stats_row(t, entries[i], total);
    stats_row(t, total, total);
    return t->rc < 0 ? t->rc : gr_file_replace(csv->fds[STATS], gr_buf_str(&t->buf));
}

/* A disk that is full takes a part of a row. It must not stay, or the next row would be glued to it. */
static int append_whole(int fd, gr_str rows) {
    off_t end = lseek(fd, 0, SEEK_END);
    int rc = gr_file_append(fd, rows);
    if (rc < 0 && end >= 0 && ftruncate(fd, end) == 0) (void)lseek(fd, end, SEEK_SET);
    return rc;
}

/* What is written to a file without a name is lost. */
static int still_there(const gr_csv *csv) {
    struct stat file;
    for (int i = 0; i < FILES; i++)
        if (fstat(csv->fds[i], &file) == 0 && file.st_nlink == 0) return -ENOENT;
    return 0;
}

static int write_history(gr_csv *csv, gr_entry **entries, ptrdiff_t n, const gr_stats *recent,
                         const gr_entry *recent_total, const moment *m) {
    gr_text *t = &csv->text;
    gr_text_clear(t);
    for (ptrdiff_t i = 0; i < n && csv->full_history; i++)
        history_row(t, m, entries[i],
                    recent ? gr_stats_find(recent, entries[i]->method, entries[i]->name)
                           : entries[i]);
    history_row(t, m, m->total, recent_total ? recent_total : m->total);
    return t->rc < 0 ? t->rc : append_whole(csv->fds[HISTORY], gr_buf_str(&t->buf));
}

static int write_failures(gr_csv *csv, const gr_stats *stats) {
    gr_text *t = &csv->text;
    gr_error **errors;
    ptrdiff_t n = gr_stats_errors(stats, &errors);
    if (n < 0) return (int)n;
    gr_text_clear(t);
    header(t, FAILURES);
    for (ptrdiff_t i = 0; i < n; i++) {
        field(t, errors[i]->method, ",");
        field(t, errors[i]->name, ",");
        field(t, errors[i]->text, ",");
        gr_text_addf(t, "%" PRIu64 ",", errors[i]->occurrences);
        gr_text_utc(t, errors[i]->first_at);
        gr_text_addc(t, ",");
        gr_text_utc(t, errors[i]->last_at);
        gr_text_addc(t, "\r\n");
    }
    gr_free(errors);
    return t->rc < 0 ? t->rc : gr_file_replace(csv->fds[FAILURES], gr_buf_str(&t->buf));
}

static int write_exceptions(gr_csv *csv, const gr_stats *stats) {
    gr_text *t = &csv->text;
    gr_exception **exceptions;
    ptrdiff_t n = gr_stats_exceptions(stats, &exceptions);
    if (n < 0) return (int)n;
    gr_text_clear(t);
    header(t, EXCEPTIONS);
    for (ptrdiff_t i = 0; i < n; i++) {
        gr_text_addf(t, "%" PRIu64 ",", exceptions[i]->count);
        field(t, exceptions[i]->message, ",");
        field(t, exceptions[i]->traceback, ",");
        field(t, exceptions[i]->nodes, "\r\n");
    }
    gr_free(exceptions);
    return t->rc < 0 ? t->rc : gr_file_replace(csv->fds[EXCEPTIONS], gr_buf_str(&t->buf));
}

int gr_csv_write(gr_csv *csv, gr_stats *stats, gr_stats *recent, uint32_t user_count,
                 gr_wall_ns now) {
    moment m = {now, user_count, gr_stats_total(stats)};
    const gr_entry *recent_total = NULL;
    gr_entry **entries;
    ptrdiff_t n = gr_stats_entries(stats, &entries);
    if (n < 0) return (int)n;
    if (!csv->full_history) recent = NULL;
    if (recent) recent_total = gr_stats_total(recent);
    int first = write_stats(csv, entries, n, m.total);
    int rc = write_history(csv, entries, n, recent, recent_total, &m);
    gr_free(entries);
    if (first == 0) first = rc;
    rc = write_failures(csv, stats);
    if (first == 0) first = rc;
    rc = write_exceptions(csv, stats);
    if (first == 0) first = rc;
    return first < 0 ? first : still_there(csv);
}
