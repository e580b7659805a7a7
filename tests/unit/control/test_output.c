/* What is written at the end of a test, where, and in which order. */
#include "test.h"

#include "control/output.c"

#include "report/scratch.h"

static void check_progress(gr_control *c, gr_ns elapsed, const char *want) {
    gr_text t = GR_TEXT_INIT;
    c->started_at = gr_clock_ns() - elapsed;
    progress(c, &t);
    CHECK_EQ(t.rc, 0);
    CHECK_STR(gr_buf_str(&t.buf), want);
    gr_text_deinit(&t);
}

TEST(progress_counts_up_or_down) {
    gr_control c = {.user_count = 12, .run_state = GR_RUN_RUNNING};
    check_progress(&c, GR_MS(65500), "12 users, 01:05 elapsed\n");
    check_progress(&c, GR_S(3 * 3600 + 62), "12 users, 3:01:02 elapsed\n");
    c.opts.run_time_ns = GR_S(3600);
    c.run_state = GR_RUN_SPAWNING;
    c.user_count = 1;
    check_progress(&c, GR_S(3600) - GR_MS(12500), "1 user, spawning, 00:12 left\n");
    check_progress(&c, GR_S(3700), "1 user, spawning, 00:00 left\n");
}

static char *written(int fd) { /* caller frees */
    char *text = calloc(1, 4096);
    CHECK(text && pread(fd, text, 4095, 0) >= 0);
    return text;
}

static int capture_stderr(void) {
    char path[] = "/tmp/gr-test-output-XXXXXX";
    int fd = mkstemp(path);
    CHECK(fd >= 0 && unlink(path) == 0 && dup2(fd, 2) == 2);
    return fd;
}

TEST(what_cannot_be_printed_is_logged) {
    gr_text t = GR_TEXT_INIT;
    FILE *full = fopen("/dev/full", "w");
    int fd = capture_stderr();
    gr_text_addc(&t, "x");
    emit(full, &t, "the JSON");
    t.rc = GR_E_NOMEM;
    emit(stderr, &t, "the table");
    char *log = written(fd);
    CHECK(strstr(log, "Cannot print the JSON: No space left on device\n"));
    CHECK(strstr(log, "Cannot print the table: out of memory\n"));
    free(log);
    fclose(full);
    gr_text_deinit(&t);
}

TEST(a_csv_failure_is_logged_once_until_it_is_over) {
    gr_control c = {.stats = gr_stats_new()};
    gr_buf why = GR_BUF_INIT;
    enter_scratch();
    CHECK_EQ(gr_csv_open(&c.csv, GR_STR("p"), false, &why), 0);
    int fd = capture_stderr();
    for (int i = 0; i < 3; i++) {
        FAIL_ALLOC_AT(0) gr__output_csv(&c);
        CHECK(c.csv_failing);
    }
    char *log = written(fd);
    char *first = strstr(log, "Cannot write the CSV files: out of memory\n");
    CHECK(first && !strstr(first + 1, "Cannot write"));
    gr__output_csv(&c);
    CHECK(!c.csv_failing);
    free(log);
    gr_csv_close(c.csv);
    gr_stats_free(c.stats);
}
