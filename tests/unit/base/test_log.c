/* The line that a log call writes, its threshold, and sinks of threads. */
#include "test.h"

#include "base/log.c"

#include <pthread.h>
#include <stdlib.h>

typedef struct heard {
    int lines;
    gr_log_level level;
    char logger[64];
    char text[8192];
} heard;

static void listen(void *ctx, gr_log_level level, const char *logger, const char *text) {
    heard *h = ctx;
    h->lines++;
    h->level = level;
    snprintf(h->logger, sizeof h->logger, "%s", logger);
    snprintf(h->text, sizeof h->text, "%s", text);
}

static void read_all(const char *path, char *text, size_t size) {
    FILE *f = fopen(path, "r");
    CHECK(f != NULL);
    if (!f) abort();
    text[fread(text, 1, size - 1, f)] = '\0';
    fclose(f);
}

static void make_file(char *path) {
    int fd = mkstemp(path);
    CHECK(fd >= 0);
    close(fd);
}

TEST(levels_have_pythons_names_and_numbers) {
    static const char *const WORDS[] = {"DEBUG", "info", "Warning", "eRRor", "CRITICAL"};
    for (int i = 0; i < 5; i++) {
        gr_log_level level;
        CHECK(gr_log_level_parse(gr_str_c(WORDS[i]), &level));
        CHECK_EQ(level, (i + 1) * 10);
        CHECK(gr_str_ieq(gr_str_c(gr_log_level_name(level)), gr_str_c(WORDS[i])));
    }
    gr_log_level level = GR_LOG_ERROR;
    CHECK(!gr_log_level_parse(GR_STR("warn"), &level));
    CHECK(!gr_log_level_parse(GR_STR(""), &level));
    CHECK_EQ(level, GR_LOG_ERROR);
    cr_assert_str_eq(gr_log_level_name((gr_log_level)7), "NOTSET");
}

TEST(a_threads_sink_gets_what_passes_the_threshold) {
    heard h = {0};
    gr_log_set_thread_sink(listen, &h);
    gr_log(GR_LOG_DEBUG, "locust", "not wanted by default");
    CHECK_EQ(h.lines, 0);
    CHECK(!gr_log_wants(GR_LOG_DEBUG) && gr_log_wants(GR_LOG_INFO));
    gr_log(GR_LOG_WARNING, "locust.main", "%d users, 100%%", 5);
    CHECK_EQ(h.lines, 1);
    CHECK_EQ(h.level, GR_LOG_WARNING);
    cr_assert_str_eq(h.logger, "locust.main");
    cr_assert_str_eq(h.text, "5 users, 100%");
    gr_log_set_thread_sink(NULL, NULL);
}

TEST(long_texts_are_whole_or_cut_off_when_memory_is_short) {
    heard h = {0};
    gr_log_set_thread_sink(listen, &h);
    for (size_t n = LOG_STACK_BYTES - 2; n < LOG_STACK_BYTES + 3; n++) {
        gr_log(GR_LOG_ERROR, "l", "%*s", (int)n, "x");
        CHECK_EQ(strlen(h.text), n);
        CHECK_EQ(h.text[n - 1], 'x');
    }
    gr_log(GR_LOG_ERROR, "l", "%*s", 6000, "x");
    CHECK_EQ(strlen(h.text), 6000);
    FAIL_ALLOC_AT(0) gr_log(GR_LOG_ERROR, "l", "%*s", 6000, "x");
    CHECK_EQ(strlen(h.text), LOG_STACK_BYTES - 1);
    gr_log_set_thread_sink(NULL, NULL);
}

TEST(lines_in_a_file_look_like_locusts) {
    char path[] = "/tmp/gr_log_XXXXXX", text[1024], expected[512];
    int year, month, day, hour, minute, second, ms, used = 0;
    make_file(path);
    CHECK_EQ(gr_log_open(path, GR_LOG_DEBUG), 0);
    gr_log(GR_LOG_DEBUG, "locust.runners", "hello %s", "there");
    gr_log(GR_LOG_INFO, "locust", "second");
    read_all(path, text, sizeof text);
    CHECK_EQ(sscanf(text, "[%4d-%2d-%2d %2d:%2d:%2d,%3d] %n", &year, &month, &day, &hour, &minute,
                    &second, &ms, &used),
             7);
    CHECK_EQ(used, 26);
    snprintf(expected, sizeof expected, "%s/DEBUG/locust.runners: hello there\n[", short_host());
    CHECK(strncmp(text + used, expected, strlen(expected)) == 0);
    CHECK(strstr(text, "/INFO/locust: second\n") != NULL);
    CHECK(strchr(short_host(), '.') == NULL);
    CHECK_EQ(unlink(path), 0);
}

TEST(a_file_is_appended_to_and_bad_paths_are_told) {
    char path[] = "/tmp/gr_log_XXXXXX", text[1024];
    make_file(path);
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(gr_log_open(path, GR_LOG_WARNING), 0);
        gr_log(GR_LOG_ERROR, "l", "time %d", i);
        gr_log(GR_LOG_INFO, "l", "dropped");
    }
    CHECK_EQ(gr_log_open("/nonexistent/file", GR_LOG_DEBUG), -ENOENT);
    CHECK(!gr_log_wants(GR_LOG_INFO)); /* a failed open changes nothing */
    gr_log(GR_LOG_ERROR, "l", "time 2");
    read_all(path, text, sizeof text);
    CHECK(strstr(text, "time 0\n") && strstr(text, "time 1\n") && strstr(text, "time 2\n"));
    CHECK(!strstr(text, "dropped"));
    CHECK_EQ(unlink(path), 0);
}

#define LINES 500

static void *chatter(void *word) {
    for (int i = 0; i < LINES; i++)
        gr_log(GR_LOG_INFO, "l", "%s", (const char *)word);
    return NULL;
}

TEST(lines_of_several_threads_stay_whole) {
    static char text[200 * 4 * LINES];
    static char words[4][40];
    char path[] = "/tmp/gr_log_XXXXXX";
    pthread_t threads[4];
    unsigned lines = 0;
    make_file(path);
    CHECK_EQ(gr_log_open(path, GR_LOG_INFO), 0);
    for (int t = 0; t < 4; t++) {
        memset(words[t], 'a' + t, sizeof words[t] - 1);
        CHECK_EQ(pthread_create(&threads[t], NULL, chatter, words[t]), 0);
    }
    for (int t = 0; t < 4; t++)
        CHECK_EQ(pthread_join(threads[t], NULL), 0);
    read_all(path, text, sizeof text);
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"), lines++) {
        size_t n = strlen(line);
        CHECK(line[0] == '[' && n > 39);
        char *word = line + n - 39;
        CHECK(word[0] >= 'a' && word[0] <= 'd');
        CHECK_EQ(strspn(word, (char[]){word[0], '\0'}), 39);
    }
    CHECK_EQ(lines, 4 * LINES);
    CHECK_EQ(unlink(path), 0);
}
