/* The JSON of --json against what Locust writes for the same requests. */
#include "test.h"

#include "report/json.c"

#include "golden.h"

static json_t *parsed(const gr_text *t) {
    json_error_t error;
    CHECK_EQ(t->rc, 0);
    json_t *array = json_loadb(t->buf.p, t->buf.n, JSON_REJECT_DUPLICATES, &error);
    cr_assert(array, "line %d: %s", error.line, error.text);
    return array;
}

static json_t *entry_named(json_t *array, const char *name) {
    size_t i;
    json_t *e;
    json_array_foreach(array, i, e) {
        if (strcmp(json_string_value(json_object_get(e, "name")), name) == 0) return e;
    }
    cr_assert(false, "no entry \"%s\"", name);
    return NULL;
}

/* Same keys, same order, same values; but for our own key at the end. */
TEST(entries_are_locusts) {
    gr_stats *s = golden_stats();
    gr_text t = GR_TEXT_INIT;
    gr_json_stats(&t, s);
    json_t *ours = parsed(&t), *locusts = json_loads(GOLDEN_JSON, 0, NULL);
    CHECK(locusts && json_array_size(locusts) == json_array_size(ours));
    for (size_t i = 0; i < json_array_size(locusts); i++) {
        json_t *want = json_array_get(locusts, i);
        json_t *got = entry_named(ours, json_string_value(json_object_get(want, "name")));
        void *want_at = json_object_iter(want), *got_at = json_object_iter(got);
        for (; want_at; want_at = json_object_iter_next(want, want_at)) {
            cr_assert(got_at);
            cr_assert_str_eq(json_object_iter_key(got_at), json_object_iter_key(want_at));
            cr_assert(json_equal(json_object_iter_value(got_at), json_object_iter_value(want_at)),
                      "%s of entry %zu", json_object_iter_key(want_at), i);
            got_at = json_object_iter_next(got, got_at);
        }
        cr_assert_str_eq(json_object_iter_key(got_at), "percentiles");
        CHECK(json_object_iter_next(got, got_at) == NULL);
    }
    CHECK(gr_stats_total(s)->requests > 0); /* not emptied */
    json_decref(ours);
    json_decref(locusts);
    gr_text_deinit(&t);
    gr_stats_free(s);
}

TEST(layout_is_pythons) {
    gr_stats *s = empty_stats();
    gr_text t = GR_TEXT_INIT;
    gr_json_stats(&t, s);
    CHECK_TEXT(&t, "[]");
    CHECK(gr_stats_entry(s, GR_STR("GET"), GR_STR("never requested")) != NULL);
    gr_json_stats(&t, s);
    CHECK_TEXT(&t, "[]");
    gr_entry *e = gr_stats_entry(s, GR_STR("GET"), GR_STR("/\xc3\xa4"));
    gr_stats_reset(s, GOLDEN_START);
    CHECK_EQ(gr_stats_fail(s, e, GR_STR("x"), GOLDEN_START), 0);
    gr_json_stats(&t, s);
    CHECK_TEXT(&t, "[\n"
                   "    {\n"
                   "        \"name\": \"/\\u00E4\",\n"
                   "        \"method\": \"GET\",\n"
                   "        \"last_request_timestamp\": null,\n"
                   "        \"start_time\": 1700000000.0,\n"
                   "        \"num_requests\": 0,\n"
                   "        \"num_none_requests\": 0,\n"
                   "        \"num_failures\": 1,\n"
                   "        \"total_response_time\": 0,\n"
                   "        \"max_response_time\": 0,\n"
                   "        \"min_response_time\": null,\n"
                   "        \"total_content_length\": 0,\n"
                   "        \"response_times\": {},\n"
                   "        \"num_reqs_per_sec\": {},\n"
                   "        \"num_fail_per_sec\": {\n"
                   "            \"1700000000\": 1\n"
                   "        },\n"
                   "        \"percentiles\": {\n"
                   "            \"response_time\": {},\n"
                   "            \"service_time\": {},\n"
                   "            \"due_time\": {},\n"
                   "            \"lag\": {}\n"
                   "        }\n"
                   "    }\n"
                   "]");
    gr_text_deinit(&t);
    gr_stats_free(s);
}

TEST(response_times_are_rounded_as_locust_does) {
    static const int64_t MS[] = {1, 1, 147, 152, 3432, 58760};
    gr_stats *s = empty_stats();
    gr_text t = GR_TEXT_INIT;
    gr_entry *e = gr_stats_entry(s, GR_STR("GET"), GR_STR("/"));
    for (size_t i = 0; i < GR_LEN(MS); i++) {
        gr_sample sample = {MS[i] * 1000000, MS[i] * 500000, GR_TIME_NONE, 250000, 0, GOLDEN_START};
        CHECK_EQ(gr_stats_record(s, e, &sample), 0);
    }
    gr_json_stats(&t, s);
    json_t *array = parsed(&t), *o = json_array_get(array, 0);
    json_t *want = json_pack("{s:i, s:i, s:i, s:i}", "1", 2, "150", 2, "3400", 1, "59000", 1);
    CHECK(json_equal(json_object_get(o, "response_times"), want));
    json_t *p = json_object_get(o, "percentiles");
    const char *max = "1.0";
    json_t *response = json_object_get(json_object_get(p, "response_time"), max);
    json_t *service = json_object_get(json_object_get(p, "service_time"), max);
    json_t *lag = json_object_get(json_object_get(p, "lag"), "0.5");
    cr_assert_float_eq(json_real_value(response), 58760, 1e-9);
    cr_assert_float_eq(json_real_value(service), 29380, 1e-9);
    cr_assert_float_eq(json_real_value(lag), 0.25, 1e-9);
    CHECK_EQ(json_object_size(json_object_get(p, "due_time")), 0);
    CHECK_EQ(json_object_size(json_object_get(p, "response_time")), GR_PERCENTILES);
    json_decref(want);
    json_decref(array);
    gr_text_deinit(&t);
    gr_stats_free(s);
}

TEST(times_out_of_range_are_kept) {
    gr_stats *s = empty_stats();
    gr_text t = GR_TEXT_INIT;
    gr_entry *e = gr_stats_entry(s, GR_STR("GET"), GR_STR("/"));
    const int64_t far[] = {-(int64_t)GR_MS(5), (int64_t)GR_S(7200)};
    for (size_t i = 0; i < GR_LEN(far); i++) {
        gr_sample sample = {far[i], GR_TIME_NONE, GR_TIME_NONE, GR_TIME_NONE, 0, GOLDEN_START};
        CHECK_EQ(gr_stats_record(s, e, &sample), 0);
    }
    gr_json_stats(&t, s);
    json_t *array = parsed(&t), *want = json_pack("{s:i, s:i}", "-5", 1, "7200000", 1);
    CHECK(json_equal(json_object_get(json_array_get(array, 0), "response_times"), want));
    json_decref(want);
    json_decref(array);
    gr_text_deinit(&t);
    gr_stats_free(s);
}

TEST(names_that_are_no_utf8_are_repaired) {
    gr_stats *s = empty_stats();
    gr_text t = GR_TEXT_INIT;
    gr_entry *e = gr_stats_entry(s, GR_STR("GET"), GR_STR("a\xff\0b"));
    CHECK_EQ(gr_stats_fail(s, e, GR_STR("x"), GOLDEN_START), 0);
    gr_json_stats(&t, s);
    CHECK(memmem(t.buf.p, t.buf.n, "\"a\\uFFFD\\u0000b\"", 15));
    gr_text_deinit(&t);
    gr_stats_free(s);
}

TEST(each_failed_allocation_is_survived) {
    gr_stats *s = golden_stats();
    json_set_alloc_funcs(gr_malloc, gr_free);
    int rc = GR_E_NOMEM;
    for (uint64_t n = 0; rc == GR_E_NOMEM && n < 10000; n++) {
        gr_text t = GR_TEXT_INIT;
        FAIL_ALLOC_AT(n) gr_json_stats(&t, s);
        rc = t.rc;
        gr_text_deinit(&t);
    }
    CHECK_EQ(rc, 0);
    gr_stats_free(s);
}
