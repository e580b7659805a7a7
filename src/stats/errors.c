/* Failure texts and exceptions, one line for each distinct one, up to a limit: a server that puts a
 * request number into its error page must not fill the memory. */
#include "base/alloc.h"
#include "base/buf.h"
#include "base/err.h"
#include "stats/stats_int.h"

#include <stdlib.h>

#define MORE_ERRORS     GR_STR("(further distinct errors)")
#define MORE_EXCEPTIONS GR_STR("(further distinct exceptions)")
#define NODE_SEPARATOR  GR_STR(", ")

void gr__errors_init(gr_stats *s) {
    s->more_errors = (gr_error){.method = GR_STR(""), .name = GR_STR(""), .text = MORE_ERRORS};
    s->more_exceptions = (gr_exception){.message = MORE_EXCEPTIONS, .traceback = GR_STR("")};
}

static void count_error(gr_error *line, const gr_error *add) {
    if (line->occurrences == 0 || add->first_at < line->first_at) line->first_at = add->first_at;
    if (line->occurrences == 0 || add->last_at > line->last_at) line->last_at = add->last_at;
    line->occurrences += add->occurrences;
}

void gr__errors_add_more(gr_stats *s, const gr_error *add) {
    if (add->occurrences) count_error(&s->more_errors, add);
}

static int error_new(gr_stats *s, gr__row *row, gr_str text, gr__error **made) {
    int rc = gr__vec_reserve(&s->errors);
    if (rc < 0) return rc;
    gr__error *err = gr_malloc(sizeof *err + text.n + 1);
    if (!err) return GR_E_NOMEM;
    if (text.n) memcpy(err->text, text.p, text.n);
    err->text[text.n] = '\0';
    err->line = (gr_error){
        .method = row->entry.method, .name = row->entry.name, .text = {err->text, text.n}};
    err->order = s->errors.n;
    if ((rc = gr_table_put(&row->errors, text, err)) < 0) goto undo_error;
    s->errors.at[s->errors.n++] = err;
    *made = err;
    return 0;
undo_error:
    gr_free(err);
    return rc;
}

int gr__errors_add(gr_stats *s, gr__row *row, const gr_error *add) {
    int rc = 0;
    gr__error *err = gr_table_get(&row->errors, add->text);
    if (!err && s->errors.n < GR__ERRORS_MAX) rc = error_new(s, row, add->text, &err);
    count_error(err ? &err->line : &s->more_errors, add);
    return rc;
}

int gr__errors_merge(gr_stats *into, gr__row *row, const gr__row *from) {
    int rc = 0;
    gr_table_slot *slot;
    for (size_t i = 0; (slot = gr_table_next(&from->errors, &i));)
        rc |= gr__errors_add(into, row, &((const gr__error *)slot->value)->line);
    return rc;
}

void gr__errors_clear(gr_stats *s) {
    for (size_t i = 0; i < s->rows.n; i++)
        gr_table_clear(&((gr__row *)s->rows.at[i])->errors);
    for (size_t i = 0; i < s->errors.n; i++)
        gr_free(s->errors.at[i]);
    s->errors.n = 0;
    s->more_errors.occurrences = 0;
}

/* Insert `node` into the sorted, joined list unless it is there. */
static int add_node(gr_exception *x, gr_str node) {
    gr_buf joined = GR_BUF_INIT;
    size_t at = 0;
    bool insert_before = false;
    if (node.n == 0) return 0;
    while (at < x->nodes.n && !insert_before) {
        gr_str rest = gr_str_from(x->nodes, at);
        const char *end = memmem(rest.p, rest.n, NODE_SEPARATOR.p, NODE_SEPARATOR.n);
        gr_str here = {rest.p, end ? (size_t)(end - rest.p) : rest.n};
        int order = gr_str_cmp(here, node);
        if (order == 0) return 0;
        if (order > 0)
            insert_before = true;
        else
            at = end ? at + here.n + NODE_SEPARATOR.n : x->nodes.n;
    }
    int rc = gr_buf_reserve(&joined, x->nodes.n + NODE_SEPARATOR.n + node.n);
    if (rc < 0) return rc; /* from here on there is room for everything */
    (void)gr_buf_add(&joined, (gr_str){x->nodes.p, at});
    if (at > 0 && !insert_before) (void)gr_buf_add(&joined, NODE_SEPARATOR);
    (void)gr_buf_add(&joined, node);
    if (insert_before) (void)gr_buf_add(&joined, NODE_SEPARATOR);
    (void)gr_buf_add(&joined, gr_str_from(x->nodes, at));
    gr_free((void *)(uintptr_t)x->nodes.p);
    x->nodes = gr_buf_str(&joined);
    return 0;
}

static int add_nodes(gr_exception *x, gr_str nodes) {
    int rc = 0;
    while (nodes.n) {
        const char *end = memmem(nodes.p, nodes.n, NODE_SEPARATOR.p, NODE_SEPARATOR.n);
        size_t n = end ? (size_t)(end - nodes.p) : nodes.n;
        rc |= add_node(x, (gr_str){nodes.p, n});
        nodes = gr_str_from(nodes, end ? n + NODE_SEPARATOR.n : n);
    }
    return rc;
}

static int exception_new(gr_stats *s, gr_str message, gr_str traceback, gr__exception **made) {
    int rc = gr__vec_reserve(&s->exceptions);
    if (rc < 0) return rc;
    gr__exception *x = gr_malloc(sizeof *x + message.n + traceback.n + 2);
    if (!x) return GR_E_NOMEM;
    char *second = x->bytes + message.n + 1;
    if (message.n) memcpy(x->bytes, message.p, message.n);
    if (traceback.n) memcpy(second, traceback.p, traceback.n);
    x->bytes[message.n] = second[traceback.n] = '\0';
    x->line = (gr_exception){.message = {x->bytes, message.n}, .traceback = {second, traceback.n}};
    if ((rc = gr_table_put(&s->tracebacks, traceback, x)) < 0) goto undo_exception;
    s->exceptions.at[s->exceptions.n++] = x;
    *made = x;
    return 0;
undo_exception:
    gr_free(x);
    return rc;
}

int gr_stats_exception(gr_stats *s, gr_str message, gr_str traceback, gr_str node, uint64_t count) {
    int rc = 0;
    if (count == 0) return 0;
    gr__exception *x = gr_table_get(&s->tracebacks, traceback);
    if (!x && s->exceptions.n < GR__EXCEPTIONS_MAX) rc = exception_new(s, message, traceback, &x);
    gr_exception *line = x ? &x->line : &s->more_exceptions;
    line->count += count;
    return rc | add_nodes(line, node);
}

int gr__exceptions_merge(gr_stats *into, const gr_stats *from) {
    int rc = 0;
    for (size_t i = 0; i < from->exceptions.n; i++) {
        const gr_exception *x = from->exceptions.at[i];
        rc |= gr_stats_exception(into, x->message, x->traceback, x->nodes, x->count);
    }
    into->more_exceptions.count += from->more_exceptions.count;
    return rc | add_nodes(&into->more_exceptions, from->more_exceptions.nodes);
}

static void forget_nodes(gr_exception *x) {
    gr_free((void *)(uintptr_t)x->nodes.p);
    x->nodes = (gr_str){NULL, 0};
    x->count = 0;
}

void gr__exceptions_clear(gr_stats *s) {
    for (size_t i = 0; i < s->exceptions.n; i++) {
        forget_nodes(s->exceptions.at[i]);
        gr_free(s->exceptions.at[i]);
    }
    s->exceptions.n = 0;
    gr_table_clear(&s->tracebacks);
    forget_nodes(&s->more_exceptions);
}

static int by_first_at(const void *a, const void *b) {
    const gr__error *x = *(gr__error *const *)a, *y = *(gr__error *const *)b;
    if (x->line.first_at != y->line.first_at) return x->line.first_at < y->line.first_at ? -1 : 1;
    return x->order < y->order ? -1 : x->order > y->order;
}

/* The line for the rest comes last, whenever it began. */
ptrdiff_t gr_stats_errors(const gr_stats *s, gr_error ***list) {
    void **lines;
    const gr_error *more = s->more_errors.occurrences ? &s->more_errors : NULL;
    ptrdiff_t n = gr__vec_copy(&s->errors, more, &lines);
    if (n < 0) return n;
    qsort(lines, s->errors.n, sizeof *lines, by_first_at);
    *list = (gr_error **)lines;
    return n;
}

ptrdiff_t gr_stats_exceptions(const gr_stats *s, gr_exception ***list) {
    void **lines;
    const gr_exception *more = s->more_exceptions.count ? &s->more_exceptions : NULL;
    ptrdiff_t n = gr__vec_copy(&s->exceptions, more, &lines);
    if (n >= 0) *list = (gr_exception **)lines;
    return n;
}
