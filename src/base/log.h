/* Log lines, from any thread, to one sink. The sink decides where they go: the C program formats
 * them to stderr or a file, the Python front end hands the load thread's own to `logging`. */
#ifndef GR_BASE_LOG_H
#define GR_BASE_LOG_H

#include "base/base.h"

typedef enum { /* Python's numbers, so that levels need no translation */
               GR_LOG_DEBUG = 10,
               GR_LOG_INFO = 20,
               GR_LOG_WARNING = 30,
               GR_LOG_ERROR = 40,
               GR_LOG_CRITICAL = 50
} gr_log_level;

/* `logger` is a dotted name such as "locust.runners"; the strings live only during the call. */
typedef void gr_log_sink(void *ctx, gr_log_level level, const char *logger, const char *text);

/* Set the calling thread's own sink; NULL goes back to the process's one. */
void gr_log_set_thread_sink(gr_log_sink *sink, void *ctx);

/* Lines of the process's sink: to `path` (appended), or stderr when NULL; those below `level` are
 * dropped. Format as Locust's: "[2026-01-31 12:00:00,123] host/INFO/locust.main: text".
 * Returns 0 or -errno when the file cannot be opened. Call before any thread starts. */
int gr_log_open(const char *path, gr_log_level level);

bool gr_log_wants(gr_log_level level);
void gr_log(gr_log_level level, const char *logger, const char *format, ...) GR_PRINTF(3, 4);

/* DEBUG, INFO, ... in any case; false for other words. */
bool gr_log_level_parse(gr_str word, gr_log_level *level);
const char *gr_log_level_name(gr_log_level level);

#endif
