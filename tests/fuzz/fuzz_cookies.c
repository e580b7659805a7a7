/* A conversation, one line each: "host path", "=name value domain path" sets one by hand, "-name"
 * removes, "?" builds headers, anything else is a Set-Cookie. Whatever the lines are, the jar
 * keeps its bounds and its order, and gives headers that cannot break a line. */
#include "http/cookies.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define LINES_MAX 2000 /* so that one input stays quick */

typedef struct conversation {
    gr_jar *jar;
    gr_str host, path;
    gr_wall_ns now;
} conversation;

static gr_str take_until(gr_str *s, char end) {
    ptrdiff_t at = gr_str_find(*s, end);
    gr_str head = {s->p, at < 0 ? s->n : (size_t)at};
    *s = gr_str_from(*s, head.n + 1);
    return head;
}

static void check_jar(const gr_jar *j) {
    GR_CHECK(gr_jar_count(j) <= GR_JAR_COOKIES_MAX);
    for (size_t i = 0; i < gr_jar_count(j); i++) {
        const gr_cookie *c = gr_jar_at(j, i);
        GR_CHECK(i == 0 || gr_jar_at(j, i - 1)->path.n >= c->path.n);
        for (size_t k = 0; k < c->domain.n; k++)
            GR_CHECK(c->domain.p[k] < 'A' || c->domain.p[k] > 'Z');
    }
    GR_CHECK(gr_jar_at(j, gr_jar_count(j)) == NULL);
}

static void build_headers(const conversation *c) {
    for (int secure = 0; secure < 2; secure++) {
        gr_buf out = GR_BUF_INIT;
        GR_CHECK(gr_jar_cookie_header(c->jar, c->host, c->path, secure, c->now, &out) == 0);
        GR_CHECK(gr_str_find(gr_buf_str(&out), '\n') < 0);
        gr_buf_deinit(&out);
    }
}

static void set_by_hand(conversation *c, gr_str line) {
    gr_cookie k = {.expires_at = c->now + 1};
    k.name = take_until(&line, ' ');
    k.value = take_until(&line, ' ');
    k.domain = take_until(&line, ' ');
    k.path = take_until(&line, ' ');
    k.host_only = line.n > 0;
    GR_CHECK(gr_jar_set(c->jar, &k) == 0);
}

static void say(conversation *c, gr_str line) {
    switch (line.n ? line.p[0] : '?') {
    case '?': build_headers(c); break;
    case '=': set_by_hand(c, gr_str_from(line, 1)); break;
    case '-':
        gr_jar_remove(c->jar, gr_str_from(line, 1), (gr_str){NULL, 0}, (gr_str){NULL, 0});
        break;
    default:
        GR_CHECK(gr_jar_receive(c->jar, c->host, c->path, false, line, c->now) == 0);
        c->now += 1000000000;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    gr_str in = {(const char *)data, size};
    gr_str first = take_until(&in, '\n');
    conversation c = {.jar = gr_jar_new(), .now = 1700000000000000000};
    GR_CHECK(c.jar);
    c.host = take_until(&first, ' ');
    c.path = first;
    for (int i = 0; in.n && i < LINES_MAX; i++)
        say(&c, take_until(&in, '\n'));
    build_headers(&c);
    check_jar(c.jar);
    gr_jar_clear(c.jar);
    GR_CHECK(gr_jar_count(c.jar) == 0);
    gr_jar_free(c.jar);
    return 0;
}
