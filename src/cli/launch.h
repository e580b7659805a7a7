/* Which front end runs the locustfile, and what starting the Python one needs. Decides and looks,
 * starts nothing. */
#ifndef GR_CLI_LAUNCH_H
#define GR_CLI_LAUNCH_H

#include "base/arena.h"
#include "base/buf.h"
#include "cli/options.h"

typedef enum gr_front { GR_FRONT_PYTHON, GR_FRONT_NATIVE } gr_front;

typedef struct gr_launch {
    gr_front front;
    const gr_str *files; /* the parts of -f, NUL-terminated, at least one */
    size_t files_n;
    gr_arena arena; /* of `files` */
} gr_launch;

/* Find the locustfiles of early or fully parsed options. Without -f that is locustfile.py, or when
 * only that exists locustfile.c. Returns 0; GR_E_NOMEM; GR_E_INVALID with one sentence in `why`. */
int gr_launch_init(gr_launch *l, const gr_args *a, gr_buf *why);
void gr_launch_deinit(gr_launch *l);

/* The interpreter to run: $GREGARIA_PYTHON, else that of the active virtual environment, else
 * `built_for`. NUL-terminated at the end of `path`. */
int gr_launch_interpreter(const char *built_for, gr_buf *path);

/* The folder of the Python package for the program at `exe` (its real path): ../python in a build
 * tree, ../lib/gregaria/python when installed. NUL-terminated. GR_E_INVALID when there is none. */
int gr_launch_package(const char *exe, gr_buf *folder);

/* `folder` before what PYTHONPATH holds now. NUL-terminated. */
int gr_launch_pythonpath(const char *folder, gr_buf *value);

#endif
