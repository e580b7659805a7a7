/* The tables, byte for byte as Locust prints them (report_golden.inc). */
#include "test.h"

#include "report/console.c"

#include "golden.h"

#include <fcntl.h>

typedef void table(gr_text *t, const gr_console *console, gr_stats *stats);

static void current(gr_text *t, const gr_console *console, gr_stats *stats) {
    gr_console_stats(t, console, stats, true);
}
static void whole_run(gr_text *t, const gr_console *console, gr_stats *stats) {
    gr_console_stats(t, console, stats, false);
}
static void errors(gr_text *t, const gr_console *console, gr_stats *stats) {
    gr_console_errors(t, console, stats);
}

static table *const TABLES[] = {current, whole_run, gr_console_percentiles, errors};

static void check_tables(int width, const char *const want[GR_LEN(TABLES)]) {
    gr_console console = {.name_width = width};
    gr_stats *s = golden_stats();
    gr_text t = GR_TEXT_INIT;
    for (size_t i = 0; i < GR_LEN(TABLES); i++) {
        TABLES[i](&t, &console, s);
        CHECK_TEXT(&t, want[i]);
    }
    gr_text_deinit(&t);
    gr_stats_free(s);
}

TEST(tables_are_locusts) {
    check_tables(80, (const char *const[]){GOLDEN_STATS_CURRENT_80, GOLDEN_STATS_TOTAL_80,
                                           GOLDEN_PERCENTILES_80, GOLDEN_ERRORS_80});
}

TEST(tables_are_locusts_on_a_narrower_terminal) {
    check_tables(40, (const char *const[]){GOLDEN_STATS_CURRENT_40, GOLDEN_STATS_TOTAL_40,
                                           GOLDEN_PERCENTILES_40, GOLDEN_ERRORS_40});
}

TEST(tables_are_locusts_without_room_for_names) {
    check_tables(2, (const char *const[]){GOLDEN_STATS_CURRENT_2, GOLDEN_STATS_TOTAL_2,
                                          GOLDEN_PERCENTILES_2, GOLDEN_ERRORS_2});
}

TEST(empty_tables_are_locusts) {
    gr_console console = {.name_width = 80};
    gr_stats *s = empty_stats();
    gr_text t = GR_TEXT_INIT;
    gr_hist lag;
    gr_hist_init(&lag);
    gr_console_stats(&t, &console, s, true);
    CHECK_TEXT(&t, GOLDEN_STATS_EMPTY);
    gr_console_percentiles(&t, &console, s);
    CHECK_TEXT(&t, GOLDEN_PERCENTILES_EMPTY);
    gr_console_errors(&t, &console, s);
    gr_console_notes(&t, s, &lag);
    CHECK_TEXT(&t, "");
    gr_text_deinit(&t);
    gr_stats_free(s);
}

static size_t count(const gr_text *t, const char *word) {
    size_t n = 0, length = strlen(word);
    for (size_t i = 0; i + length <= t->buf.n; i++)
        n += memcmp(t->buf.p + i, word, length) == 0;
    return n;
}

TEST(failures_are_red_where_colours_are) {
    gr_console console = {.name_width = 80, .colour = true};
    gr_stats *s = golden_stats();
    gr_text t = GR_TEXT_INIT;
    gr_console_stats(&t, &console, s, true);
    CHECK_EQ(count(&t, "\033[31m"), 4); /* three entries and the total */
    CHECK_EQ(count(&t, "\033[0m"), 4);
    CHECK_EQ(count(&t, "\033[31m    1(9.09%)\033[0m |"), 1);
    gr_text_clear(&t);
    gr_console_percentiles(&t, &console, s);
    CHECK_EQ(count(&t, "\033"), 0);
    gr_text_deinit(&t);
    gr_stats_free(s);
}

static void check_error(const char *text, const char *want) {
    gr_text t = GR_TEXT_INIT;
    error_text(&t, gr_str_c(text));
    CHECK_TEXT(&t, want);
    gr_text_deinit(&t);
}

TEST(catch_response_errors_are_unwrapped) {
    check_error("plain", "plain");
    check_error("CatchResponseError('a b')", "a b");
    check_error("CatchResponseError(\"it's\")", "it's");
    check_error("CatchResponseError('a\\x1b\\\\\\'\\t')", "a\\x1b\\'\t");
    check_error("CatchResponseError('one', 'two')", "one");
    check_error("CatchResponseError(404)", "404");
    check_error("CatchResponseError()", "");
    check_error("CatchResponseError('", "");
    check_error("CatchResponseError('x\\", "x\\");
    check_error("CatchResponseError(", "");
}

TEST(a_server_cannot_steer_the_terminal) {
    gr_console console = {.name_width = 80};
    gr_stats *s = empty_stats();
    gr_text t = GR_TEXT_INIT;
    gr_entry *e = gr_stats_entry(s, GR_STR("GET"), GR_STR("/"));
    CHECK_EQ(gr_stats_fail(s, e, GR_STR("500 \033[2J\x9b"), GOLDEN_START), 0);
    gr_console_errors(&t, &console, s);
    CHECK_EQ(count(&t, "GET /: 500 \\x1b[2J\\x9b"), 1);
    CHECK_EQ(count(&t, "\033"), 0);
    gr_text_deinit(&t);
    gr_stats_free(s);
}

TEST(notes_appear_only_when_they_matter) {
    gr_stats *s = empty_stats();
    gr_text t = GR_TEXT_INIT;
    gr_hist lag;
    gr_hist_init(&lag);
    for (int i = 0; i < 100; i++)
        CHECK_EQ(gr_hist_record(&lag, (int64_t)GR_CONSOLE_LAG_NS), 0);
    gr_console_notes(&t, s, &lag);
    CHECK_TEXT(&t, "");
    gr_stats_interrupted(s, 1);
    gr_console_notes(&t, s, &lag);
    CHECK_TEXT(&t, "Cut off in flight when users stopped, and in no figure above: 1 request\n");
    gr_hist_reset(&lag);
    for (int i = 0; i < 98; i++)
        CHECK_EQ(gr_hist_record(&lag, GR_MS(1)), 0);
    CHECK_EQ(gr_hist_record(&lag, GR_MS(73)), 0);
    CHECK_EQ(gr_hist_record(&lag, GR_MS(73)), 0);
    gr_stats_interrupted(s, 4);
    gr_console_notes(&t, s, &lag);
    CHECK_TEXT(&t, "Cut off in flight when users stopped, and in no figure above: 5 requests\n"
                   "The load generator itself was late (99th percentile of its own delay: 73 ms): "
                   "reported response times include that delay, service times do not.\n");
    gr_hist_deinit(&lag);
    gr_text_deinit(&t);
    gr_stats_free(s);
}

TEST(each_failed_allocation_shows_in_the_text) {
    gr_console console = {.name_width = 80};
    gr_stats *s = golden_stats();
    for (size_t i = 0; i < GR_LEN(TABLES); i++) {
        int rc = GR_E_NOMEM;
        for (uint64_t n = 0; rc == GR_E_NOMEM && n < 1000; n++) {
            gr_text t = GR_TEXT_INIT;
            FAIL_ALLOC_AT(n) TABLES[i](&t, &console, s);
            rc = t.rc;
            gr_text_deinit(&t);
        }
        CHECK_EQ(rc, 0);
    }
    gr_stats_free(s);
}

TEST(a_file_has_full_width_and_no_colour) {
    int fd = open("/dev/null", O_WRONLY);
    gr_console console = gr_console_of(fd);
    CHECK_EQ(console.name_width, 80);
    CHECK(!console.terminal && !console.colour);
    close(fd);
}

static gr_console on_terminal(unsigned short columns) {
    int fd = posix_openpt(O_RDWR | O_NOCTTY);
    struct winsize size = {.ws_row = 24, .ws_col = columns};
    cr_assert(fd >= 0 && grantpt(fd) == 0 && unlockpt(fd) == 0);
    int slave = open(ptsname(fd), O_RDWR | O_NOCTTY);
    cr_assert(slave >= 0 && ioctl(slave, TIOCSWINSZ, &size) == 0);
    gr_console console = gr_console_of(slave);
    close(slave);
    close(fd);
    return console;
}

TEST(a_terminal_sets_width_and_colour) {
    unsetenv("NO_COLOR");
    CHECK(on_terminal(120).colour);
    CHECK_EQ(on_terminal(120).name_width, 40);
    CHECK_EQ(on_terminal(300).name_width, 80);
    CHECK_EQ(on_terminal(79).name_width, 0);
    CHECK_EQ(on_terminal(0).name_width, 80); /* it does not tell */
    setenv("NO_COLOR", "", 1);
    CHECK(on_terminal(120).colour);
    setenv("NO_COLOR", "1", 1);
    CHECK(!on_terminal(120).colour);
    CHECK(on_terminal(120).terminal);
}
