/* Two strings, cut at the first line feed: a URL from the user and a Location from a server. What
 * is prepared or resolved must parse, stay as it is when prepared again, and hold nothing that
 * could break a request line. */
#include "http/url.h"
#include "http/h1.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_visible(gr_str s) {
    for (size_t i = 0; i < s.n; i++)
        GR_CHECK(s.p[i] > ' ' && s.p[i] < 0x7f);
}

static void check_within(gr_str whole, gr_str part) {
    GR_CHECK(part.p >= whole.p && part.p + part.n <= whole.p + whole.n);
}

static void check_parts(gr_str s) {
    gr_url u;
    if (gr_url_parse(s, &u) < 0) return;
    GR_CHECK(u.port > 0 && u.host.n > 0 && u.host.n <= GR_URL_HOST_MAX);
    check_visible(u.host);
    check_within(s, u.userinfo);
    check_within(s, u.host);
    check_within(s, u.path);
    check_within(s, u.query);
    check_within(s, u.fragment);
    check_within(s, u.target);
    GR_CHECK(u.target.n >= u.path.n + u.query.n);
}

/* A prepared or resolved URL can be sent. */
static void check_sendable(gr_str s) {
    gr_url u;
    gr_buf target = GR_BUF_INIT, host = GR_BUF_INIT, out = GR_BUF_INIT;
    GR_CHECK(gr_url_parse(s, &u) == 0);
    GR_CHECK(gr_url_target(&u, &target) == 0 && gr_url_host_field(&u, &host) == 0);
    gr_h1_request r = {.method = GR_STR("GET"),
                       .target = gr_buf_str(&target),
                       .host = gr_buf_str(&host),
                       .body_length = GR_H1_BODY_NONE};
    check_visible(r.target);
    GR_CHECK(r.target.p[0] == '/' && gr_h1_write_head(&out, &r) == 0);
    gr_buf_deinit(&target);
    gr_buf_deinit(&host);
    gr_buf_deinit(&out);
}

static void check_prepared(gr_str s) {
    gr_buf scratch = GR_BUF_INIT, again = GR_BUF_INIT;
    gr_str first, second;
    if (gr_url_prepare(s, &scratch, &first) == 0) {
        check_visible(first);
        check_sendable(first);
        GR_CHECK(gr_url_requote(first, &again, &second) == 0 && second.p == first.p);
    }
    gr_buf_deinit(&scratch);
    gr_buf_deinit(&again);
}

static void check_requoted(gr_str s) {
    gr_buf scratch = GR_BUF_INIT;
    gr_str quoted;
    GR_CHECK(gr_url_requote(s, &scratch, &quoted) == 0);
    check_visible(quoted);
    gr_buf_deinit(&scratch);
}

static void check_resolved(gr_str base, gr_str location) {
    gr_buf scratch = GR_BUF_INIT, out = GR_BUF_INIT;
    gr_str prepared;
    if (gr_url_prepare(base, &scratch, &prepared) == 0 &&
        gr_url_resolve(prepared, location, &out) == 0)
        check_sendable(gr_buf_str(&out));
    gr_buf_deinit(&scratch);
    gr_buf_deinit(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    gr_str in = {(const char *)data, size};
    ptrdiff_t cut = gr_str_find(in, '\n');
    gr_str url = {in.p, cut < 0 ? in.n : (size_t)cut};
    gr_str location = gr_str_from(in, url.n + 1);
    check_parts(in);
    check_requoted(in);
    check_prepared(url);
    check_resolved(url, location);
    check_resolved(GR_STR("https://u@h.x:81/a/b?c#d"), in);
    (void)gr_url_host_is_ip(in);
    return 0;
}
