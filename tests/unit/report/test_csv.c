/* The four files: headers, quoting, rows over time, and the last write. */
#include "test.h"

#include "report/csv.c"

#include "golden.h"
#include "scratch.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>

static char *content(const char *path) { /* caller frees */
    FILE *f = fopen(path, "r");
    cr_assert(f, "%s", path);
    char *text = calloc(1, 65536);
    size_t n = fread(text, 1, 65535, f);
    text[n] = '\0';
    fclose(f);
    return text;
}

static void check_file(const char *path, const char *want) {
    char *got = content(path);
    cr_assert_str_eq(got, want, "%s", path);
    free(got);
}

static gr_csv *opened(const char *prefix, bool full_history) {
    gr_buf why = GR_BUF_INIT;
    gr_csv *csv = NULL;
    int rc = gr_csv_open(&csv, gr_str_c(prefix), full_history, &why);
    cr_assert(rc == 0 && why.n == 0, "%.*s", (int)why.n, why.p);
    return csv;
}

static gr_stats *golden_with_exceptions(void) {
    gr_stats *s = golden_stats();
    CHECK_EQ(gr_stats_exception(s, GR_STR("boom"), GR_STR("Traceback:\n  File \"x.py\", line 1\n"),
                                GR_STR("local"), 3),
             0);
    CHECK_EQ(gr_stats_exception(s, GR_STR(""), GR_STR("t"), GR_STR("a, b"), 1), 0);
    return s;
}

/* The first line is the header. */
static const char *rows_of(const char *text) {
    return strstr(text, "\r\n") + 2;
}

TEST(files_are_locusts) {
    enter_scratch();
    gr_stats *s = golden_with_exceptions();
    gr_csv *csv = opened("new/directories/p", false);
    CHECK_EQ(gr_csv_write(csv, s, NULL, 5, GOLDEN_START + GR_MS(30900)), 0);
    check_file("new/directories/p_stats.csv", GOLDEN_CSV_STATS);
    check_file("new/directories/p_failures.csv", GOLDEN_CSV_FAILURES);
    check_file("new/directories/p_exceptions.csv", GOLDEN_CSV_EXCEPTIONS);
    char *history = content("new/directories/p_stats_history.csv");
    cr_assert_str_eq(rows_of(history), GOLDEN_CSV_HISTORY_TOTAL);
    free(history);
    gr_csv_close(csv);
    gr_stats_free(s);
}

TEST(full_history_has_a_row_for_each_entry) {
    enter_scratch();
    gr_stats *s = golden_with_exceptions();
    gr_csv *csv = opened("p", true);
    CHECK_EQ(gr_csv_write(csv, s, NULL, 5, GOLDEN_START + GR_MS(30900)), 0);
    char *history = content("p_stats_history.csv");
    cr_assert_str_eq(rows_of(history), GOLDEN_CSV_HISTORY_FULL);
    free(history);
    gr_csv_close(csv);
    gr_stats_free(s);
}

TEST(history_has_locusts_header) {
    enter_scratch();
    gr_csv_close(opened("p", false));
    check_file(
        "p_stats_history.csv",
        "Timestamp,User Count,Type,Name,Requests/s,Failures/s,50%,66%,75%,80%,90%,95%,98%,"
        "99%,99.9%,99.99%,100%,Total Request Count,Total Failure Count,Total Median Response "
        "Time,Total Average Response Time,Total Min Response Time,Total Max Response "
        "Time,Total Average Content Size\r\n");
}

TEST(before_the_first_request_there_are_zeroes) {
    enter_scratch();
    gr_stats *s = empty_stats();
    gr_csv *csv = opened("p", true);
    CHECK_EQ(gr_csv_write(csv, s, NULL, 5, GOLDEN_START + GR_MS(30900)), 0);
    check_file("p_stats.csv", GOLDEN_CSV_STATS_EMPTY);
    char *history = content("p_stats_history.csv");
    cr_assert_str_eq(rows_of(history), GOLDEN_CSV_HISTORY_EMPTY);
    free(history);
    gr_csv_close(csv);
    gr_stats_free(s);
}

TEST(history_is_appended_and_the_others_shrink) {
    enter_scratch();
    gr_stats *s = golden_with_exceptions();
    gr_csv *csv = opened("p", false);
    CHECK_EQ(gr_csv_write(csv, s, NULL, 5, GOLDEN_START + GR_MS(30900)), 0);
    gr_stats_clear(s, GOLDEN_START);
    CHECK_EQ(gr_csv_write(csv, s, NULL, 5, GOLDEN_START + GR_MS(30900)), 0);
    gr_csv_close(csv);
    check_file("p_stats.csv", GOLDEN_CSV_STATS_EMPTY);
    check_file("p_failures.csv", "Method,Name,Error,Occurrences,First Seen,Last Seen\r\n");
    check_file("p_exceptions.csv", "Count,Message,Traceback,Nodes\r\n");
    char *history = content("p_stats_history.csv");
    size_t first = strlen(GOLDEN_CSV_HISTORY_TOTAL);
    CHECK(strncmp(rows_of(history), GOLDEN_CSV_HISTORY_TOTAL, first) == 0);
    cr_assert_str_eq(rows_of(history) + first, GOLDEN_CSV_HISTORY_EMPTY);
    free(history);
    gr_stats_free(s);
}

TEST(a_full_history_shows_recent_percentiles) {
    enter_scratch();
    gr_stats *s = golden_stats(), *recent = empty_stats();
    gr_sample sample = {GR_MS(77), GR_TIME_NONE, GR_TIME_NONE, GR_TIME_NONE, 0, GOLDEN_START};
    gr_entry *e = gr_stats_entry(recent, GR_STR("GET"), GR_STR("/"));
    CHECK_EQ(gr_stats_record(recent, e, &sample), 0);
    gr_csv *csv = opened("p", true);
    CHECK_EQ(gr_csv_write(csv, s, recent, 5, GOLDEN_START + GR_MS(30900)), 0);
    gr_csv_close(csv);
    char *history = content("p_stats_history.csv");
    CHECK(strstr(history, "GET,/,0.300000,0.000000,77,77,77,77,77,77,77,77,77,77,77,11,1,"));
    CHECK(strstr(history, ",n,0.000000,0.000000,0,0,0,0,0,0,0,0,0,0,0,1,0,"));
    CHECK(strstr(history, ",Aggregated,0.700000,0.200000,77,77,77,77,77,77,77,77,77,77,77,24,5,"));
    free(history);
    gr_stats_free(s);
    gr_stats_free(recent);
}

TEST(fields_are_quoted_as_little_as_python_does) {
    gr_text t = GR_TEXT_INIT;
    field(&t, GR_STR("plain 'text';"), ",");
    field(&t, GR_STR(""), ",");
    field(&t, GR_STR("a,b"), ",");
    field(&t, GR_STR("\"\""), ",");
    field(&t, GR_STR("\r"), ",");
    field(&t, GR_STR("x\n"), "\r\n");
    CHECK_TEXT(&t, "plain 'text';,,\"a,b\",\"\"\"\"\"\",\"\r\",\"x\n\"\r\n");
    gr_text_deinit(&t);
}

TEST(a_file_that_cannot_be_created_is_named) {
    enter_scratch();
    gr_buf why = GR_BUF_INIT;
    gr_csv *csv = NULL;
    CHECK(mkdir("p_failures.csv", 0777) == 0);
    CHECK_EQ(gr_csv_open(&csv, GR_STR("p"), false, &why), -21 /* EISDIR */);
    CHECK(csv == NULL);
    CHECK_STR(gr_buf_str(&why), "cannot create \"p_failures.csv\" for --csv: Is a directory");
    gr_buf_deinit(&why);
}

TEST(a_full_disk_is_reported_and_the_other_files_written) {
    enter_scratch();
    cr_assert(symlink("/dev/full", "p_stats_history.csv") == 0);
    gr_buf why = GR_BUF_INIT;
    gr_csv *csv = NULL;
    CHECK_EQ(gr_csv_open(&csv, GR_STR("p"), false, &why), -28 /* ENOSPC */);
    CHECK_STR(gr_buf_str(&why),
              "cannot write \"p_stats_history.csv\" for --csv: No space left on device");
    gr_buf_deinit(&why);

    gr_stats *s = golden_with_exceptions();
    csv = opened("q", false);
    close(csv->fds[STATS]);
    csv->fds[STATS] = -1;
    CHECK_EQ(gr_csv_write(csv, s, NULL, 5, GOLDEN_START), -9 /* EBADF */);
    check_file("q_exceptions.csv", GOLDEN_CSV_EXCEPTIONS);
    gr_csv_close(csv);
    gr_stats_free(s);
}

TEST(each_failed_allocation_is_survived) {
    enter_scratch();
    gr_stats *s = golden_with_exceptions();
    gr_csv *csv = NULL;
    int rc = GR_E_NOMEM;
    for (uint64_t n = 0; rc < 0 && n < 1000; n++) {
        gr_buf why = GR_BUF_INIT;
        FAIL_ALLOC_AT(n) rc = gr_csv_open(&csv, GR_STR("p"), false, &why);
        CHECK(rc == 0 || rc == GR_E_NOMEM);
        gr_buf_deinit(&why);
    }
    CHECK_EQ(rc, 0);
    rc = GR_E_NOMEM;
    for (uint64_t n = 0; rc < 0 && n < 1000; n++) {
        FAIL_ALLOC_AT(n) rc = gr_csv_write(csv, s, NULL, 5, GOLDEN_START);
        CHECK(rc == 0 || rc == GR_E_NOMEM);
    }
    CHECK_EQ(rc, 0);
    check_file("p_stats.csv", GOLDEN_CSV_STATS);
    gr_csv_close(csv);
    gr_stats_free(s);
}

static void file_bytes_max(rlim_t bytes) { /* a disk that is full after so many */
    struct rlimit limit;
    CHECK_EQ(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes;
    CHECK_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

TEST(a_row_of_the_history_is_written_whole_or_not_at_all) {
    enter_scratch();
    gr_stats *s = golden_stats();
    gr_csv *csv = opened("p", false);
    char *header_only = content("p_stats_history.csv");
    signal(SIGXFSZ, SIG_IGN);
    file_bytes_max(strlen(header_only) + 20);
    CHECK_EQ(gr_csv_write(csv, s, NULL, 5, GOLDEN_START + GR_MS(30900)), -EFBIG);
    check_file("p_stats_history.csv", header_only);
    file_bytes_max(RLIM_INFINITY);
    CHECK_EQ(gr_csv_write(csv, s, NULL, 5, GOLDEN_START + GR_MS(30900)), 0);
    char *history = content("p_stats_history.csv");
    cr_assert_str_eq(rows_of(history), GOLDEN_CSV_HISTORY_TOTAL);
    free(history);
    free(header_only);
    gr_csv_close(csv);
    gr_stats_free(s);
}

TEST(files_that_were_removed_are_missed) {
    enter_scratch();
    gr_stats *s = golden_stats();
    gr_csv *csv = opened("gone/p", false);
    CHECK_EQ(gr_csv_write(csv, s, NULL, 5, GOLDEN_START), 0);
    CHECK_EQ(unlink("gone/p_failures.csv"), 0);
    CHECK_EQ(gr_csv_write(csv, s, NULL, 5, GOLDEN_START), -ENOENT);
    gr_csv_close(csv);
    gr_stats_free(s);
}
