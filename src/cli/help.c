/* See help.h. Two columns: how the option is written, and its help, wrapped at blanks. An option
 * that is wider than its column has its help on the next line. */
#include "cli/help.h"

#define WIDTH       100
#define HELP_COLUMN 34

static const struct {
    gr_opt_group group;
    const char *title;
    const char *intro; /* or NULL */
} GROUPS[] = {
    {GR_GROUP_COMMON, "Common options", NULL},
    {GR_GROUP_WEB, "Web UI options", NULL},
    {GR_GROUP_MASTER, "Master options", NULL},
    {GR_GROUP_WORKER, "Worker options", NULL},
    {GR_GROUP_TAG, "Tag options", "Tasks carry tags that the @tag decorator gave them."},
    {GR_GROUP_STATS, "Request statistics options", NULL},
    {GR_GROUP_LOG, "Logging options", NULL},
    {GR_GROUP_OTHER, "Other options", NULL},
    {GR_GROUP_CLASSES, "User classes", NULL},
};

static const char EPILOG[] =
    "\nExamples:\n"
    "  gregaria -f my_test.py --headless -H https://www.example.com -u 100 -r 10 -t 20m\n"
    "  gregaria -f my_test.py --headless -u 10 -t 1m --csv results MyUser AnotherUser\n"
    "  gregaria -f my_test.c --headless -u 5000 -r 500 -t 5m\n"
    "\nOptions can also stand in a config file, as \"run-time = 20m\" (or in pyproject.toml under\n"
    "[tool.locust]), and in environment variables, as LOCUST_RUN_TIME=20m. The command line wins "
    "over\n"
    "the environment, and that over the files.\n";

static int pad(gr_buf *out, size_t line_start, size_t column) {
    int rc = 0;
    while (rc == 0 && out->n - line_start < column)
        rc = gr_buf_add_byte(out, ' ');
    return rc;
}

static int write_invocation(gr_buf *out, const gr_opt *o) {
    gr_str rest = o->names, name;
    int rc = gr_buf_addc(out, "  ");
    for (bool first = true; rc == 0 && (name = gr_opt_next_name(&rest)).n; first = false)
        rc = gr_buf_addf(out, "%s%.*s", first ? "" : ", ", (int)name.n, name.p);
    if (rc == 0 && o->metavar.n && o->names.n) rc = gr_buf_add_byte(out, ' ');
    return rc < 0 ? rc : gr_buf_add(out, o->metavar);
}

/* `text` from the column on, each further line indented to it. */
static int write_wrapped(gr_buf *out, size_t line_start, gr_str text) {
    while (text.n) {
        size_t n = text.n, room = WIDTH - HELP_COLUMN;
        if (n > room) {
            for (n = room; n > 0 && text.p[n] != ' '; n--) {
            }
            if (n == 0) n = room; /* a word wider than the column is cut */
        }
        int rc = pad(out, line_start, HELP_COLUMN);
        if (rc == 0) rc = gr_buf_add(out, (gr_str){text.p, n});
        if (rc == 0) rc = gr_buf_add_byte(out, '\n');
        if (rc < 0) return rc;
        line_start = out->n;
        text = gr_str_from(text, n);
        if (text.n && text.p[0] == ' ') text = gr_str_from(text, 1);
    }
    return 0;
}

static int write_option(gr_buf *out, const gr_opt *o) {
    size_t line_start = out->n;
    int rc = write_invocation(out, o);
    if (rc == 0 && (out->n - line_start > HELP_COLUMN - 2 || o->help.n == 0)) {
        rc = gr_buf_add_byte(out, '\n');
        line_start = out->n;
    }
    return rc < 0 ? rc : write_wrapped(out, line_start, o->help);
}

static int write_group(const gr_args *a, gr_buf *out, size_t group) {
    bool any = false;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < gr_args_count(a); i++) {
        const gr_opt *o = gr_args_at(a, i);
        if (o->group != GROUPS[group].group || o->state != GR_OPT_SHOWN) continue;
        if (!any) rc = gr_buf_addf(out, "\n%s:\n", GROUPS[group].title);
        if (rc == 0 && !any && GROUPS[group].intro)
            rc = gr_buf_addf(out, "  %s\n\n", GROUPS[group].intro);
        any = true;
        if (rc == 0) rc = write_option(out, o);
    }
    return rc;
}

int gr_help_write(const gr_args *a, gr_buf *out) {
    int rc = gr_buf_addc(out, "Usage: gregaria [options] [UserClass ...]\n");
    for (size_t i = 0; rc == 0 && i < GR_LEN(GROUPS); i++)
        rc = write_group(a, out, i);
    return rc < 0 ? rc : gr_buf_addc(out, EPILOG);
}
