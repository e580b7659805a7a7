/* The help text: its frame, its width, and that it shows exactly what is available. */
#include "test.h"
#include "cli/help.c"
#include "base/err.h"

#include <stdio.h>

static gr_str help_text(gr_buf *out) {
    gr_args *a = gr_args_new();
    CHECK_EQ(gr_help_write(a, out), 0);
    gr_args_free(a);
    CHECK_EQ(gr_buf_add_byte(out, '\0'), 0);
    return (gr_str){out->p, out->n - 1};
}

TEST(lines_fit) {
    gr_buf out = GR_BUF_INIT;
    gr_str text = help_text(&out);
    size_t column = 0;
    for (size_t i = 0; i < text.n; i++) {
        column = text.p[i] == '\n' ? 0 : column + 1;
        CHECK(column <= WIDTH);
        CHECK(text.p[i] != '\n' || i == 0 || text.p[i - 1] != ' ');
    }
    gr_buf_deinit(&out);
}

TEST(groups_come_in_order) {
    static const char *const TITLES[] = {"Usage: gregaria [options] [UserClass ...]\n",
                                         "\nCommon options:\n",
                                         "\nTag options:\n",
                                         "\nRequest statistics options:\n",
                                         "\nLogging options:\n",
                                         "\nOther options:\n",
                                         "\nUser classes:\n",
                                         "\nExamples:\n"};
    gr_buf out = GR_BUF_INIT;
    const char *at = help_text(&out).p;
    for (size_t i = 0; i < GR_LEN(TITLES); i++) {
        const char *found = strstr(at, TITLES[i]);
        cr_assert(found, "%s is missing or too early", TITLES[i]);
        at = found + 1;
    }
    gr_buf_deinit(&out);
}

TEST(shows_what_is_available_and_nothing_else) {
    gr_buf out = GR_BUF_INIT;
    const char *text = help_text(&out).p;
    gr_args *a = gr_args_new();
    for (size_t i = 0; i < gr_args_count(a); i++) {
        const gr_opt *o = gr_args_at(a, i);
        char line[256];
        gr_str rest = o->names, name = gr_opt_next_name(&rest);
        snprintf(line, sizeof line, "\n  %.*s", (int)name.n, name.p);
        const char *found = name.n ? strstr(text, line) : NULL;
        bool exact = found && strchr(" ,\n", found[strlen(line)]);
        if (name.n) cr_assert(exact == (o->state == GR_OPT_SHOWN), "%s", line);
    }
    CHECK(!strstr(text, "Web UI options"));
    CHECK(strstr(text, "\n  -f, --locustfile <filename>     What to run"));
    gr_args_free(a);
    gr_buf_deinit(&out);
}

TEST(survives_each_failed_allocation) {
    gr_args *a = gr_args_new();
    int rc = GR_E_NOMEM;
    for (uint64_t n = 0; rc == GR_E_NOMEM && n < 100; n++) {
        gr_buf out = GR_BUF_INIT;
        FAIL_ALLOC_AT(n) rc = gr_help_write(a, &out);
        gr_buf_deinit(&out);
    }
    CHECK_EQ(rc, 0);
    gr_args_free(a);
}
