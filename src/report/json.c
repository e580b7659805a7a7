/* See json.h. jansson keeps keys in the order of insertion. Strings that are no UTF-8 are repaired first, because it
 * refuses them, and a file without one entry would be worse than one with a replacement character. */
#include "report/json.h"
#include "report/figures.h"
#include "base/alloc.h"
#include "base/err.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>

#define KEY_BYTES_MAX 32

/* 15 digits: "13.999", where jansson's 17 would print 13.999000000000001. Timestamps keep 10 us. */
#define DUMP_FLAGS (JSON_INDENT(4) | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(15))

/* jansson's setters take the value over, fail on NULL and return 0 or -1, so they can be OR-ed. */
static json_t *string(gr_str s) {
    gr_text repaired = GR_TEXT_INIT;
    gr_text_repaired(&repaired, s);
    json_t *value = repaired.rc == 0
                        ? json_stringn(repaired.buf.p ? repaired.buf.p : "", repaired.buf.n)
                        : NULL;
    gr_text_deinit(&repaired);
    return value;
}

static json_t *integer(uint64_t n) {
    return json_integer((json_int_t)n);
}

static json_t *seconds(gr_wall_ns at) {
    return json_real((double)at / 1e9);
}

/* Histogram slots come in ascending order, so those of one bucket are neighbours. */
typedef struct buckets {
    json_t *object;
    int64_t ms; /* the current bucket, valid while `count` is not 0 */
    uint64_t count;
    int failed; /* 0 or -1 */
} buckets;

static void flush_bucket(buckets *b) {
    char key[KEY_BYTES_MAX];
    if (b->count == 0) return;
    snprintf(key, sizeof key, "%" PRId64, b->ms);
    b->failed |= json_object_set_new(b->object, key, integer(b->count));
    b->count = 0;
}

static void add_slot(void *ctx, int64_t value_ns, uint64_t count) {
    buckets *b = ctx;
    int64_t ms = (int64_t)gr_bucket_ms((double)value_ns / 1e6);
    if (ms != b->ms) flush_bucket(b);
    b->ms = ms;
    b->count += count;
}

static json_t *response_times(const gr_entry *e) {
    buckets b = {.object = json_object()};
    if (!b.object) return NULL;
    gr_hist_each(&e->response, add_slot, &b);
    flush_bucket(&b);
    if (b.failed == 0) return b.object;
    json_decref(b.object);
    return NULL;
}

static json_t *per_second(const gr_entry *e, bool failures) {
    json_t *object = json_object();
    int failed = object ? 0 : -1;
    for (size_t i = 0; i < e->series.n && failed == 0; i++) {
        const gr_second *s = &e->series.at[i];
        uint32_t n = failures ? s->failures : s->requests;
        char key[KEY_BYTES_MAX];
        if (n == 0) continue;
        snprintf(key, sizeof key, "%" PRId64, s->second);
        failed = json_object_set_new(object, key, integer(n));
    }
    if (failed == 0) return object;
    json_decref(object);
    return NULL;
}

static json_t *exact(const gr_hist *h) {
    json_t *object = json_object();
    int failed = object ? 0 : -1;
    for (size_t i = 0; i < GR_PERCENTILES && h->count > 0 && failed == 0; i++) {
        double ms = (double)gr_hist_percentile(h, gr_percentiles[i].p) / 1e6;
        failed = json_object_set_new(object, gr_percentiles[i].key, json_real(ms));
    }
    if (failed == 0) return object;
    json_decref(object);
    return NULL;
}

static json_t *percentiles(const gr_entry *e) {
    json_t *object = json_object();
    int failed = object ? 0 : -1;
    failed |= json_object_set_new(object, "response_time", exact(&e->response));
    failed |= json_object_set_new(object, "service_time", exact(&e->service));
    failed |= json_object_set_new(object, "due_time", exact(&e->due));
    failed |= json_object_set_new(object, "lag", exact(&e->lag));
    if (failed == 0) return object;
    json_decref(object);
    return NULL;
}

static json_t *entry(const gr_entry *e) {
    json_t *o = json_object();
    bool timed = e->response.count > 0; /* before, Locust has an int 0, 0 and None */
    int failed = o ? 0 : -1;
    failed |= json_object_set_new(o, "name", string(e->name));
    failed |= json_object_set_new(o, "method", string(e->method));
    failed |= json_object_set_new(o, "last_request_timestamp",
                                  e->last_request_at ? seconds(e->last_request_at) : json_null());
    failed |= json_object_set_new(o, "start_time", seconds(e->started_at));
    failed |= json_object_set_new(o, "num_requests", integer(e->requests));
    failed |= json_object_set_new(o, "num_none_requests", integer(e->none_requests));
    failed |= json_object_set_new(o, "num_failures", integer(e->failures));
    failed |= json_object_set_new(o, "total_response_time",
                                  timed ? json_real(e->response.sum / 1e6) : json_integer(0));
    failed |= json_object_set_new(o, "max_response_time",
                                  timed ? json_real(gr_entry_max_ms(e)) : json_integer(0));
    failed |= json_object_set_new(o, "min_response_time",
                                  timed ? json_real(gr_entry_min_ms(e)) : json_null());
    failed |= json_object_set_new(o, "total_content_length", integer(e->bytes));
    failed |= json_object_set_new(o, "response_times", response_times(e));
    failed |= json_object_set_new(o, "num_reqs_per_sec", per_second(e, false));
    failed |= json_object_set_new(o, "num_fail_per_sec", per_second(e, true));
    failed |= json_object_set_new(o, "percentiles", percentiles(e));
    if (failed == 0) return o;
    json_decref(o);
    return NULL;
}

static int append(const char *p, size_t n, void *ctx) {
    gr_text *t = ctx;
    gr_text_add(t, (gr_str){p, n});
    return t->rc < 0 ? -1 : 0;
}

void gr_json_stats(gr_text *t, const gr_stats *stats) {
    gr_entry **entries;
    ptrdiff_t n = gr_stats_entries(stats, &entries);
    if (n < 0) {
        t->rc = (int)n;
        return;
    }
    json_t *array = json_array();
    int failed = array ? 0 : -1;
    for (ptrdiff_t i = 0; i < n && failed == 0; i++)
        if (entries[i]->requests > 0 || entries[i]->failures > 0)
            failed = json_array_append_new(array, entry(entries[i]));
    gr_free(entries);
    if (failed == 0) failed = json_dump_callback(array, append, t, DUMP_FLAGS);
    if (failed != 0 && t->rc == 0) t->rc = GR_E_NOMEM;
    json_decref(array);
}
