/* The C front end: runs scenarios written in C (include/gregaria.h) in one load thread, without
 * Python. The program's command line fills gr_native_opts and calls gr_native_main.
 *
 *   scenario.c   compile or load the files
 *   define.c     what a scenario says about its user classes
 *   coro.c       stackful coroutines and their stacks
 *   life.c       one user: its coroutine, tasks, waits and end
 *   api.c        the functions of include/gregaria.h: requests, marks, accessors
 *   run.c        the whole run: spawning, orders, reports, shutdown */
#ifndef GR_NATIVE_NATIVE_H
#define GR_NATIVE_NATIVE_H

#include "base/base.h"
#include "control/control.h"

typedef struct gr_native_opts { /* everything is borrowed for the length of the call */
    const gr_str *files;        /* .c or .so, at least one */
    size_t files_n;
    const gr_str *class_names; /* run only these; none given: all */
    size_t class_names_n;
    gr_str host;       /* base URL for every class; empty: each class's own */
    uint32_t users;    /* peak number */
    double spawn_rate; /* users per second, > 0 */
    gr_ns stop_timeout_ns;
    int exit_code_on_error;  /* returned when any request failed */
    bool reset_stats;        /* zero the figures once all users are spawned */
    bool list_only;          /* print the class names on stdout and return 0 */
    gr_control_opts control; /* run time, tables, files, signals */
} gr_native_opts;

/* Whether the front end for this file is this one: its name ends in ".c" or ".so". */
bool gr_native_wants(gr_str file);

/* Run the test in the calling thread, which becomes the load thread. Blocks until it is over and
 * everything is written. Returns the exit code: 0, exit_code_on_error, or 1 for bad input, which
 * has been said in one sentence on stderr. Call gr_log_open before. At most once per process. */
int gr_native_main(const gr_native_opts *opts);

#endif
