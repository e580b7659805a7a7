/* A shard of the statistics: its rows, recording into them, merging two shards, sorted views.
 * A row is found through two tables, method and then name, so that looking one up builds no key and
 * allocates nothing. */
#include "base/alloc.h"
#include "base/err.h"
#include "stats/stats_int.h"

#include <stdlib.h>

#define VEC_FIRST (GR_HOSTILE ? 1u : 16u)

int gr__vec_reserve(gr__vec *v) {
    if (v->n < v->cap) return 0;
    size_t cap = v->cap ? v->cap * 2 : VEC_FIRST;
    void **at = gr_realloc(v->at, cap * sizeof *at);
    if (!at) return GR_E_NOMEM;
    v->at = at;
    v->cap = cap;
    return 0;
}

void gr__vec_deinit(gr__vec *v) {
    gr_free(v->at);
    *v = (gr__vec){NULL, 0, 0};
}

ptrdiff_t gr__vec_copy(const gr__vec *v, const void *extra, void ***list) {
    size_t n = v->n;
    void **copy = gr_malloc((n + 1) * sizeof *copy);
    if (!copy) return GR_E_NOMEM;
    if (n) memcpy(copy, v->at, n * sizeof *copy);
    if (extra) copy[n++] = (void *)(uintptr_t)extra;
    *list = copy;
    return (ptrdiff_t)n;
}

gr_stats *gr_stats_new(void) {
    gr_stats *s = gr_calloc(1, sizeof *s);
    if (!s) return NULL;
    gr__entry_init(&s->total, GR_STR(""), GR_STR("Aggregated"), gr_clock_stamp_now());
    gr__errors_init(s);
    return s;
}

static void rows_clear(gr_stats *s) {
    gr_table_slot *slot;
    for (size_t i = 0; (slot = gr_table_next(&s->methods, &i));) {
        gr_table_deinit(slot->value);
        gr_free(slot->value);
    }
    gr_table_clear(&s->methods);
    for (size_t i = 0; i < s->rows.n; i++) {
        gr__row *row = s->rows.at[i];
        gr_table_deinit(&row->errors);
        gr__entry_deinit(&row->entry);
        gr_free(row);
    }
    s->rows.n = 0;
}

void gr_stats_clear(gr_stats *s, gr_wall_ns at) {
    gr__errors_clear(s);
    gr__exceptions_clear(s);
    rows_clear(s);
    gr__entry_reset(&s->total, at);
    s->interrupted = 0;
}

void gr_stats_free(gr_stats *s) {
    if (!s) return;
    gr_stats_clear(s, 0);
    gr__entry_deinit(&s->total);
    gr_table_deinit(&s->methods);
    gr_table_deinit(&s->tracebacks);
    gr__vec_deinit(&s->rows);
    gr__vec_deinit(&s->errors);
    gr__vec_deinit(&s->exceptions);
    gr_free(s);
}

void gr_stats_reset(gr_stats *s, gr_wall_ns at) {
    gr__errors_clear(s);
    for (size_t i = 0; i < s->rows.n; i++)
        gr__entry_reset(&((gr__row *)s->rows.at[i])->entry, at);
    gr__entry_reset(&s->total, at);
    s->interrupted = 0;
}

static gr_table *names_of(gr_stats *s, gr_str method) { /* find or create */
    gr_table *names = gr_table_get(&s->methods, method);
    if (names) return names;
    if (!(names = gr_calloc(1, sizeof *names))) return NULL;
    if (gr_table_put(&s->methods, method, names) == 0) return names;
    gr_free(names);
    return NULL;
}

static gr__row *row_new(gr_str method, gr_str name) {
    gr__row *row = gr_malloc(sizeof *row + method.n + name.n + 2);
    if (!row) return NULL;
    char *second = row->bytes + method.n + 1;
    if (method.n) memcpy(row->bytes, method.p, method.n);
    if (name.n) memcpy(second, name.p, name.n);
    row->bytes[method.n] = second[name.n] = '\0';
    row->errors = GR_TABLE_INIT;
    gr__entry_init(&row->entry, (gr_str){row->bytes, method.n}, (gr_str){second, name.n},
                   gr_clock_stamp_now());
    return row;
}

gr_entry *gr_stats_find(const gr_stats *s, gr_str method, gr_str name) {
    const gr_table *names = gr_table_get(&s->methods, method);
    return names ? gr_table_get(names, name) : NULL;
}

gr_entry *gr_stats_entry(gr_stats *s, gr_str method, gr_str name) {
    gr_entry *found = gr_stats_find(s, method, name);
    if (found) return found;
    gr_table *names = names_of(s, method);
    if (!names || gr__vec_reserve(&s->rows) < 0) return NULL;
    gr__row *row = row_new(method, name);
    if (!row) return NULL;
    if (gr_table_put(names, name, row) < 0) goto undo_row;
    s->rows.at[s->rows.n++] = row;
    return &row->entry;
undo_row:
    gr_free(row);
    return NULL;
}

gr_entry *gr_stats_total(gr_stats *s) {
    return &s->total;
}

int gr_stats_record(gr_stats *s, gr_entry *e, const gr_sample *sample) {
    GR_DCHECK(e != &s->total);
    int rc = gr__entry_record(e, sample);
    return rc | gr__entry_record(&s->total, sample);
}

int gr_stats_fail(gr_stats *s, gr_entry *e, gr_str text, gr_wall_ns at) {
    GR_CHECK(e != &s->total); /* it is no row and has no texts */
    gr_error add = {.text = text, .occurrences = 1, .first_at = at, .last_at = at};
    int rc = gr__entry_fail(e, at);
    rc |= gr__entry_fail(&s->total, at);
    return rc | gr__errors_add(s, (gr__row *)e, &add);
}

void gr_stats_interrupted(gr_stats *s, uint64_t n) {
    s->interrupted += n;
}

uint64_t gr_stats_interrupted_count(const gr_stats *s) {
    return s->interrupted;
}

static int merge_row(gr_stats *into, const gr__row *from) {
    gr_entry *e = gr_stats_entry(into, from->entry.method, from->entry.name);
    if (e) return gr__entry_merge(e, &from->entry) | gr__errors_merge(into, (gr__row *)e, from);
    gr_table_slot *slot;
    for (size_t i = 0; (slot = gr_table_next(&from->errors, &i));)
        gr__errors_add_more(into, slot->value);
    return GR_E_NOMEM;
}

/* The totals are merged as such: adding every row to two entries would do the work twice. */
int gr_stats_merge(gr_stats *into, const gr_stats *from) {
    GR_CHECK(into != from);
    int rc = gr__entry_merge(&into->total, &from->total);
    for (size_t i = 0; i < from->rows.n; i++)
        rc |= merge_row(into, from->rows.at[i]);
    gr__errors_add_more(into, &from->more_errors);
    rc |= gr__exceptions_merge(into, from);
    into->interrupted += from->interrupted;
    return rc;
}

bool gr_stats_empty(const gr_stats *s) {
    return s->total.requests == 0 && s->total.failures == 0 && s->exceptions.n == 0 &&
           s->more_exceptions.count == 0 && s->interrupted == 0;
}

static int by_name(const void *a, const void *b) {
    const gr_entry *x = *(gr_entry *const *)a, *y = *(gr_entry *const *)b;
    int order = gr_str_cmp(x->name, y->name);
    return order != 0 ? order : gr_str_cmp(x->method, y->method);
}

ptrdiff_t gr_stats_entries(const gr_stats *s, gr_entry ***list) {
    void **entries;
    ptrdiff_t n = gr__vec_copy(&s->rows, NULL, &entries);
    if (n < 0) return n;
    qsort(entries, (size_t)n, sizeof *entries, by_name);
    *list = (gr_entry **)entries;
    return n;
}
