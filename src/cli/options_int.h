/* What options.c and argv.c share. */
#ifndef GR_CLI_OPTIONS_INT_H
#define GR_CLI_OPTIONS_INT_H

#include "base/arena.h"
#include "cli/options.h"

struct gr_args {
    gr_opt *opts;
    size_t n, cap;
    gr_arena specs;  /* strings of the added options */
    gr_arena values; /* strings and lists of the values; reset by each parse */
};

/* Where a value stands, for messages. All zero: on the command line. */
typedef struct gr_origin {
    gr_opt_source source;
    const char *key;  /* variable, or key in the file */
    const char *file; /* NULL: not from a file */
    unsigned line;
} gr_origin;

/* Replace `why` by a sentence; always GR_E_INVALID (or GR_E_NOMEM). */
int gr__args_fail(gr_buf *why, const char *format, ...) GR_PRINTF(2, 3);

/* "argument -u/--users: <text>", with the origin behind it. */
int gr__args_fail_at(gr_buf *why, const gr_opt *o, const gr_origin *from, const char *format, ...)
    GR_PRINTF(4, 5);

/* "unrecognized arguments: <words>", with the option that it resembles on a second line. */
int gr__args_unknown(const gr_args *a, gr_str words, const gr_origin *from, gr_buf *why);

/* Give an option its value from the texts that stand behind it: none for flags, one for most. */
int gr__args_set(gr_args *a, gr_opt *o, const gr_origin *from, const gr_str *texts, size_t n,
                 gr_buf *why);

bool gr__opt_early(const gr_opt *o); /* one of those that gr_args_parse_early sets */
bool gr__opt_has_name(const gr_opt *o, gr_str name);

/* argv.c: the words of the command line, by argparse's rules. */
int gr__args_parse_argv(gr_args *a, int argc, char *const *argv, bool early, gr_buf *why);

#endif
