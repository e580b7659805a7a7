/* The half of include/gregaria.h that users call while they run: requests, answers, marks, and what
 * a user knows about itself. Everything here runs inside the user's coroutine; what waits goes
 * through life.c.
 *
 * A warm request allocates nothing: the URL is joined in the user's own buffer, the usual header
 * lines were rendered once for the class, and the exchange keeps its memory. */
#include "native/native_int.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#define FAIL_BYTES_MAX  512
#define RESPONSE_MS_MAX 1e12 /* gr_record: 30 years */

static bool is_absolute(gr_str url) {
    return gr_str_starts(url, GR_STR("http://")) || gr_str_starts(url, GR_STR("https://"));
}

/* Path and query of an absolute URL, as HttpUser names requests; other URLs as they are. */
static gr_str default_name(gr_str url) {
    if (is_absolute(url)) {
        gr_str rest = gr_str_from(url, (size_t)gr_str_find(url, ':') + 3);
        size_t n = 0;
        while (n < rest.n && !strchr("/?#", rest.p[n]))
            n++;
        url = gr_str_from(rest, n);
        if (url.n == 0 || url.p[0] == '#') return GR_STR("/");
    }
    ptrdiff_t hash = gr_str_find(url, '#');
    return hash < 0 ? url : (gr_str){url.p, (size_t)hash};
}

static int join_url(gr_user *u, gr_str url) {
    int rc;
    gr_buf_clear(&u->url);
    if (!is_absolute(url) && (rc = gr_buf_add(&u->url, u->class->host)) < 0) return rc;
    return gr_buf_add(&u->url, url);
}

/* Send what is in `rq`, but for its URL. */
static gr_resp *fetch(gr_user *u, gr_str url, gr_str name, gr_request *rq, int refused) {
    int rc = join_url(u, url);
    rq->url = gr_buf_str(&u->url);
    return gr__user_fetch(u, rq, name, refused ? refused : rc);
}

static gr_request request(gr_str method, const gr_head *head, gr_str body) {
    return (gr_request){.method = method,
                        .head = head,
                        .body_kind = body.p ? GR_BODY_BYTES : GR_BODY_NONE,
                        .body = body,
                        .follow_redirects = true,
                        .connect_timeout_ns = UINT64_MAX,
                        .read_timeout_ns = UINT64_MAX};
}

gr_resp *gr_get(gr_user *u, const char *url) {
    gr_str s = gr_str_c(url);
    gr_request rq = request(GR_STR("GET"), &u->class->plain, (gr_str){NULL, 0});
    return fetch(u, s, default_name(s), &rq, 0);
}

gr_resp *gr_post(gr_user *u, const char *url, const char *form) {
    gr_str s = gr_str_c(url);
    gr_request rq = request(GR_STR("POST"), &u->class->form, gr_str_c(form ? form : ""));
    return fetch(u, s, default_name(s), &rq, 0);
}

gr_resp *gr_post_json(gr_user *u, const char *url, const char *json) {
    gr_str s = gr_str_c(url);
    gr_request rq = request(GR_STR("POST"), &u->class->json, gr_str_c(json ? json : ""));
    return fetch(u, s, default_name(s), &rq, 0);
}

/* An option's timeout in the engine's terms. */
static gr_ns timeout_ns(double seconds) {
    if (seconds < 0) return 0;
    return seconds > 0 ? GR_MAX(gr__seconds_ns(seconds), 1) : UINT64_MAX;
}

static gr_str body_of(const gr_opts *o) {
    if (!o->body) return (gr_str){NULL, 0};
    return o->body_bytes ? (gr_str){o->body, o->body_bytes} : gr_str_c(o->body);
}

gr_resp *gr_send(gr_user *u, const char *url, const gr_opts *opts) {
    static const gr_opts none;
    const gr_opts *o = opts ? opts : &none;
    gr_str s = gr_str_c(url), body = body_of(o);
    gr_str method = o->method ? gr_str_c(o->method) : body.p ? GR_STR("POST") : GR_STR("GET");
    gr_request rq = request(method, &u->class->plain, body);
    rq.follow_redirects = !o->keep_redirects && !gr_str_eq(method, GR_STR("HEAD"));
    rq.connect_timeout_ns = timeout_ns(o->connect_timeout_s);
    rq.read_timeout_ns = timeout_ns(o->read_timeout_s);
    int rc = 0;
    if (o->headers || o->content_type) {
        gr_head_clear(&u->head);
        rc = gr__class_head(u->class, o->headers, o->content_type, &u->head);
        rq.head = &u->head;
    }
    return fetch(u, s, o->name ? gr_str_c(o->name) : default_name(s), &rq, rc);
}

/* ---- The answer. */

int gr_status(const gr_resp *r) {
    return r->start_error || r->x.error ? 0 : r->x.response.status;
}

const char *gr_resp_error(const gr_resp *r) {
    return r->error_text;
}

const char *gr_body(gr_resp *r) {
    gr_buf *b = &r->x.response.body;
    if (r->start_error || gr_buf_reserve(b, 1) < 0) return "";
    b->p[b->n] = '\0';
    return b->p;
}

size_t gr_body_bytes(const gr_resp *r) {
    return r->start_error ? 0 : r->x.response.body.n;
}

int gr_contains(const gr_resp *r, const char *text) {
    size_t n = gr_body_bytes(r);
    return n ? memmem(r->x.response.body.p, n, text, strlen(text)) != NULL : !*text;
}

/* NUL-terminated, until the next request; NULL when out of memory. */
static const char *lend(gr_resp *r, gr_str s) {
    gr_str copy;
    return gr_arena_copy(&r->strings, s, &copy) < 0 ? NULL : copy.p;
}

const char *gr_resp_header(gr_resp *r, const char *name) {
    if (r->start_error) return NULL;
    const gr_header *h = gr_headers_get(&r->x.response.headers, gr_str_c(name));
    return h ? lend(r, h->value) : NULL;
}

const char *gr_resp_url(gr_resp *r) {
    const char *url = r->start_error ? NULL : lend(r, gr_buf_str(&r->x.url));
    return url ? url : "";
}

/* ---- Marks. */

void gr_fail(gr_user *u, const char *format, ...) {
    char text[FAIL_BYTES_MAX];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (!u->verdict.entry) {
        gr_log(GR_LOG_WARNING, "gregaria.native",
               "gr_fail without a request that is still open: %s", text);
        return;
    }
    gr_str s = {text, n < 0 ? 0 : GR_MIN((size_t)n, sizeof text - 1)};
    gr_buf_clear(&u->fail_text);
    u->verdict.failed = true;
    u->verdict.has_text = gr_buf_add(&u->fail_text, s) == 0;
}

void gr_pass(gr_user *u) {
    u->verdict.failed = false;
}

void gr_record(gr_user *u, const char *type, const char *name, double response_ms, size_t bytes,
               const char *error) {
    gr_stats *delta = u->crew->shard.delta;
    bool timed = fabs(response_ms) <= RESPONSE_MS_MAX; /* not for NaN */
    gr_sample sample = {.response_ns = timed ? (int64_t)(response_ms * 1e6) : GR_TIME_NONE,
                        .service_ns = GR_TIME_NONE,
                        .due_ns = GR_TIME_NONE,
                        .lag_ns = GR_TIME_NONE,
                        .bytes = bytes,
                        .ended_at = gr_clock_stamp_now()};
    gr_entry *e = gr__crew_entry(u->crew, gr_str_c(type), gr_str_c(name));
    bool lost = !e || gr_stats_record(delta, e, &sample) < 0;
    if (e && error) lost |= gr_stats_fail(delta, e, gr_str_c(error), sample.ended_at) < 0;
    if (lost) gr_log(GR_LOG_ERROR, "gregaria.native", "out of memory: statistics are incomplete");
}

/* ---- The user. */

void gr_sleep(gr_user *u, double seconds) {
    gr__user_sleep(u, gr__seconds_ns(seconds));
}

void gr_stop_user(gr_user *u) {
    u->stop_self = true;
}

void gr_set_data(gr_user *u, void *data) {
    u->data = data;
}

void *gr_data(const gr_user *u) {
    return u->data;
}

unsigned gr_user_number(const gr_user *u) {
    return u->number;
}

unsigned gr_random(gr_user *u, unsigned limit) {
    return limit ? (unsigned)gr_rand_below(&u->crew->rand, limit) : 0;
}
