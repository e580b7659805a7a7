/* All options with their values: parsed from the command line, LOCUST_* variables and config files,
 * each as argparse and ConfigArgParse do it for Locust. The table is options.def; a locustfile's own
 * options join it with gr_args_add.
 *
 * The source with the highest rank that sets an option wins; sources are ordered in gr_opt_source.
 * Nothing here prints or exits: an error is one sentence in `why`, without the program's name, and
 * the program's exit code for it is GR_ARGS_EXIT_CODE. One thread at a time. */
#ifndef GR_CLI_OPTIONS_H
#define GR_CLI_OPTIONS_H

#include "base/base.h"
#include "base/buf.h"

#define GR_ARGS_EXIT_CODE 2

typedef enum gr_opt_kind {
    GR_OPT_FLAG,     /* `flag` */
    GR_OPT_ACTION,   /* `flag`; -h and -V: not an attribute of parsed_options */
    GR_OPT_INT,      /* `number` */
    GR_OPT_RATE,     /* `real`: finite and > 0 */
    GR_OPT_STRING,   /* `text` */
    GR_OPT_TIMESPAN, /* `number`: seconds */
    GR_OPT_LEVEL,    /* `text`: DEBUG, INFO, WARNING, ERROR or CRITICAL */
    GR_OPT_LIST,     /* `items`: 0 to n values behind one option */
    GR_OPT_APPEND,   /* `items`: one value behind each occurrence */
    GR_OPT_REJECTED  /* always an error when used; `none`, or else `flag` is false */
} gr_opt_kind;

typedef enum gr_opt_group {
    GR_GROUP_COMMON,
    GR_GROUP_WEB,
    GR_GROUP_MASTER,
    GR_GROUP_WORKER,
    GR_GROUP_TAG,
    GR_GROUP_STATS,
    GR_GROUP_LOG,
    GR_GROUP_OTHER,
    GR_GROUP_CLASSES
} gr_opt_group;

typedef enum gr_opt_state { GR_OPT_SHOWN, GR_OPT_HIDDEN, GR_OPT_ABSENT } gr_opt_state;

typedef enum gr_opt_source { /* lowest rank first */
                             GR_SOURCE_DEFAULT,
                             GR_SOURCE_HOME_CONF, /* ~/.locust.conf */
                             GR_SOURCE_CONF,      /* ./locust.conf */
                             GR_SOURCE_PYPROJECT, /* ./pyproject.toml */
                             GR_SOURCE_CONFIG,    /* the file of --config */
                             GR_SOURCE_ENV,
                             GR_SOURCE_COMMAND_LINE
} gr_opt_source;

/* One option. Strings are NUL-terminated too; they live until the next parse or gr_args_free. */
typedef struct gr_opt {
    gr_str dest;
    gr_str names;   /* separated by one space: "-u --users"; empty: the positional user classes */
    gr_str env;     /* empty: no variable */
    gr_str initial; /* default; p is NULL for none */
    gr_str metavar;
    gr_str help;
    gr_opt_kind kind;
    gr_opt_group group;
    gr_opt_state state;
    bool added;           /* by gr_args_add */
    gr_opt_source source; /* of the value */
    bool none;            /* Python's None: there is no value */
    bool flag;
    int64_t number;
    double real;
    gr_str text;
    const gr_str *items;
    size_t items_n;
} gr_opt;

typedef struct gr_args gr_args;

gr_args *gr_args_new(void); /* NULL when out of memory */
void gr_args_free(gr_args *a);

/* Add an option of the locustfile: its names ("-m --my-arg", one space between), dest, kind (FLAG,
 * STRING, LIST or APPEND: texts are converted by whoever added it), and, if any, env, metavar, help
 * and initial. Strings are copied. GR_E_INVALID with a sentence when a name is taken or is no
 * option's name. Call before gr_args_parse. */
int gr_args_add(gr_args *a, const gr_opt *opt, gr_buf *why);

/* Parse all sources; argv[0] is skipped, argv and envp are only read. Each call starts from the
 * defaults again. After an error the values are incomplete. */
int gr_args_parse(gr_args *a, int argc, char *const *argv, char *const *envp, gr_buf *why);

/* The same, before the locustfile and its options are known: sets locustfile, config, help and
 * version only, and ignores whatever else is there, right or wrong, except unreadable config files. */
int gr_args_parse_early(gr_args *a, int argc, char *const *argv, char *const *envp, gr_buf *why);

/* What parsing does not refuse: a number of users that no run can have, options that do not go
 * together, and a run without --headless.
 * Returns 0, or the exit code with a sentence in `why`. After gr_args_parse. */
int gr_args_check_run(const gr_args *a, gr_buf *why);

/* Values by dest, which must exist and be of that kind. The ones with a result: false when None. */
bool gr_args_flag(const gr_args *a, const char *dest);
bool gr_args_int(const gr_args *a, const char *dest, int64_t *value); /* INT and TIMESPAN */
bool gr_args_real(const gr_args *a, const char *dest, double *value);
bool gr_args_text(const gr_args *a, const char *dest, gr_str *value);
bool gr_args_list(const gr_args *a, const char *dest, const gr_str **items, size_t *n);
gr_opt_source gr_args_source(const gr_args *a, const char *dest);

/* All options, the table's first, in order; several added ones may share a dest. */
size_t gr_args_count(const gr_args *a);
const gr_opt *gr_args_at(const gr_args *a, size_t i);

/* The next of the names, cut off the front; an empty string at the end. */
gr_str gr_opt_next_name(gr_str *names);

#endif
