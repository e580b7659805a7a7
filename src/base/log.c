/* See log.h. One write(2)-sized fwrite per line keeps lines of several threads whole. */
#include "base/log.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

/* Longer texts (a deep traceback) go through the heap. */
#define LOG_STACK_BYTES (GR_HOSTILE ? 23 : 1024)

static FILE *file; /* NULL: stderr */
static gr_log_level threshold = GR_LOG_INFO;
static _Thread_local gr_log_sink *thread_sink;
static _Thread_local void *thread_ctx;

static const struct {
    gr_log_level level;
    const char *name;
} LEVELS[] = {{GR_LOG_DEBUG, "DEBUG"},
              {GR_LOG_INFO, "INFO"},
              {GR_LOG_WARNING, "WARNING"},
              {GR_LOG_ERROR, "ERROR"},
              {GR_LOG_CRITICAL, "CRITICAL"}};

const char *gr_log_level_name(gr_log_level level) {
    for (size_t i = 0; i < GR_LEN(LEVELS); i++)
        if (LEVELS[i].level == level) return LEVELS[i].name;
    return "NOTSET";
}

bool gr_log_level_parse(gr_str word, gr_log_level *level) {
    for (size_t i = 0; i < GR_LEN(LEVELS); i++) {
        if (!gr_str_ieq(word, gr_str_c(LEVELS[i].name))) continue;
        *level = LEVELS[i].level;
        return true;
    }
    return false;
}

void gr_log_set_thread_sink(gr_log_sink *sink, void *ctx) {
    thread_sink = sink;
    thread_ctx = ctx;
}

int gr_log_open(const char *path, gr_log_level level) {
    FILE *opened = NULL;
    if (path && !(opened = fopen(path, "ae"))) return -errno;
    if (file) fclose(file);
    file = opened;
    threshold = level;
    return 0;
}

bool gr_log_wants(gr_log_level level) {
    return level >= threshold;
}

static const char *short_host(void) { /* up to the first dot, looked up once per thread */
    static _Thread_local char host[256];
    if (host[0]) return host;
    if (gethostname(host, sizeof host - 1) != 0) strcpy(host, "localhost");
    host[strcspn(host, ".")] = '\0';
    return host;
}

static void write_line(gr_log_level level, const char *logger, const char *text) {
    gr_wall_ns now = gr_clock_wall_ns();
    time_t second = (time_t)(now / 1000000000);
    struct tm parts;
    char stamp[32];
    gr_buf line = GR_BUF_INIT;
    localtime_r(&second, &parts);
    strftime(stamp, sizeof stamp, "%Y-%m-%d %H:%M:%S", &parts);
    if (gr_buf_addf(&line, "[%s,%03d] %s/%s/%s: %s\n", stamp, (int)(now / 1000000 % 1000),
                    short_host(), gr_log_level_name(level), logger, text) == 0) {
        FILE *to = file ? file : stderr;
        fwrite(line.p, 1, line.n, to);
        fflush(to);
    }
    gr_buf_deinit(&line);
}

void gr_log(gr_log_level level, const char *logger, const char *format, ...) {
    char shorter[LOG_STACK_BYTES], *longer = NULL;
    va_list args, again;
    if (!gr_log_wants(level)) return;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(shorter, sizeof shorter, format, args);
    va_end(args);
    if (n >= (int)sizeof shorter && (longer = gr_malloc((size_t)n + 1)))
        vsnprintf(longer, (size_t)n + 1, format, again);
    va_end(again);
    const char *text = longer ? longer : shorter; /* cut off when there is no memory */
    if (thread_sink)
        thread_sink(thread_ctx, level, logger, text);
    else
        write_line(level, logger, text);
    gr_free(longer);
}
