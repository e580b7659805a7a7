/* Every response is parsed whole, byte by byte and in random pieces; all must tell the same. */
#include "test.h"
#include "http/h1.c"
#include "base/rand.h"

/* Rows of the tables below leave out what is zero. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

#define MORE (-1) /* expected `rc`: the response is not complete and may go on */

/* What a response came to, as text, so that two of them compare at once. */
typedef struct outcome {
    gr_buf text; /* "STATUS 1.MINOR REASON|name=value|...|" and, behind '#', the body */
    int rc;      /* 0: done */
    bool keep;
    size_t excess;
    int eof; /* gr_h1_eof at the end of the input */
} outcome;

static gr_buf head;
static gr_headers fields;

static void describe_head(const gr_h1 *h, gr_buf *out) {
    gr_buf_addf(out, "%u 1.%u %.*s|", h->status, h->version_minor, (int)h->reason.n, h->reason.p);
    for (uint32_t i = 0; i < fields.n; i++)
        gr_buf_addf(out, "%.*s=%.*s|", (int)fields.at[i].name.n, fields.at[i].name.p,
                    (int)fields.at[i].value.n, fields.at[i].value.p);
    gr_buf_addc(out, "#");
}

/* One piece. false: it is over. */
static bool feed(gr_h1 *h, gr_str piece, outcome *o) {
    gr_h1_event event = GR_H1_MORE;
    for (;;) {
        gr_str body = {NULL, 0};
        if ((o->rc = gr_h1_next(h, &piece, &event, &body)) < 0) return false;
        switch (event) {
        case GR_H1_MORE: CHECK_EQ(piece.n, 0); return true;
        case GR_H1_HEAD: describe_head(h, &o->text); break;
        case GR_H1_BODY:
            CHECK(body.n > 0);
            gr_buf_add(&o->text, body);
            break;
        case GR_H1_DONE: o->excess = piece.n; return false;
        }
    }
}

typedef size_t cutter(size_t left, gr_rand *r);
static size_t cut_nowhere(size_t left, gr_rand *r) {
    (void)r;
    return left;
}
static size_t cut_everywhere(size_t left, gr_rand *r) {
    (void)left, (void)r;
    return 1;
}
static size_t cut_somewhere(size_t left, gr_rand *r) {
    size_t longest = gr_rand_below(r, 8) ? 9 : 200;
    return 1 + (size_t)gr_rand_below(r, GR_MIN(left, longest));
}

static outcome parse(gr_str in, gr_h1_kind kind, size_t max, cutter *cut, gr_rand *r) {
    outcome o = {.rc = MORE};
    gr_h1 h;
    size_t at = 0;
    bool open = true;
    gr_h1_start(&h, &head, &fields, kind, max);
    while (open && at < in.n) {
        size_t n = cut(in.n - at, r);
        char *copy = gr_strndup(in.p + at, n); /* so that ASan sees a read behind it */
        open = feed(&h, (gr_str){copy, n}, &o);
        gr_free(copy);
        at += n;
    }
    if (o.rc == 0) o.excess += in.n - at;
    if (open) o.rc = MORE;
    o.keep = h.keep_alive;
    o.eof = gr_h1_eof(&h);
    CHECK_EQ(gr_h1_eof(&h), o.eof);
    return o;
}

static void check_same(const outcome *a, const outcome *b) {
    cr_assert(gr_str_eq(gr_buf_str(&a->text), gr_buf_str(&b->text)), "%.*s\n---\n%.*s",
              (int)a->text.n, a->text.p, (int)b->text.n, b->text.p);
    CHECK_EQ(a->rc, b->rc);
    CHECK_EQ(a->keep, b->keep);
    CHECK_EQ(a->excess, b->excess);
    CHECK_EQ(a->eof, b->eof);
}

/* Parse in every way and give back what all of them say. */
static outcome parse_all_ways(gr_str in, gr_h1_kind kind, size_t max) {
    gr_rand r;
    gr_rand_seed(&r, 42);
    outcome whole = parse(in, kind, max, cut_nowhere, &r);
    for (int i = 0; i < 40; i++) {
        outcome o = parse(in, kind, max, i ? cut_somewhere : cut_everywhere, &r);
        check_same(&o, &whole);
        gr_buf_deinit(&o.text);
    }
    return whole;
}

typedef struct expectation {
    const char *in, *text;
    int rc;
    bool keep;
    size_t excess;
    int eof;
    gr_h1_kind kind;
} expectation;

static void check_table(const expectation *e, size_t n) {
    for (size_t i = 0; i < n; i++, e++) {
        outcome o = parse_all_ways(gr_str_c(e->in), e->kind, 0);
        cr_assert(o.rc == e->rc, "%s: rc %d, expected %d", e->in, o.rc, e->rc);
        cr_assert(gr_str_eq(gr_buf_str(&o.text), gr_str_c(e->text)), "%s: \"%.*s\"", e->in,
                  (int)o.text.n, o.text.p);
        cr_assert(o.keep == e->keep, "%s: keep %d", e->in, o.keep);
        cr_assert(o.excess == e->excess, "%s: excess %zu", e->in, o.excess);
        cr_assert(o.eof == e->eof, "%s: eof %d", e->in, o.eof);
        gr_buf_deinit(&o.text);
    }
}
#define CHECK_TABLE(table) check_table(table, GR_LEN(table))

#define OK "HTTP/1.1 200 OK\r\n"

TEST(bodies_of_known_length) {
    static const expectation table[] = {
        {OK "Content-Length: 5\r\n\r\nhello", "200 1.1 OK|Content-Length=5|#hello", 0, true},
        {OK "Content-Length: 5\r\n\r\nhelloHTTP", "200 1.1 OK|Content-Length=5|#hello", 0, true, 4},
        {OK "content-LENGTH:0\r\n\r\n", "200 1.1 OK|content-LENGTH=0|#", 0, true},
        {OK "Content-Length: 5\r\n\r\nhel", "200 1.1 OK|Content-Length=5|#hel", MORE, true, 0,
         GR_E_TRUNCATED},
        {OK "Content-Length: 2, 2\r\nContent-Length: 2\r\n\r\nab",
         "200 1.1 OK|Content-Length=2, 2|Content-Length=2|#ab", 0, true},
        {OK "Content-Length: 007\r\n\r\n1234567", "200 1.1 OK|Content-Length=007|#1234567", 0,
         true},
        {OK "Content-Length: 2\r\nContent-Length: 3\r\n\r\nab", "", GR_E_CONTENT_LENGTH, false, 0,
         GR_E_CONTENT_LENGTH},
        {OK "Content-Length: 2, 3\r\n\r\n", "", GR_E_CONTENT_LENGTH, false, 0, GR_E_CONTENT_LENGTH},
        {OK "Content-Length:\r\n\r\n", "", GR_E_CONTENT_LENGTH, false, 0, GR_E_CONTENT_LENGTH},
        {OK "Content-Length: -1\r\n\r\n", "", GR_E_CONTENT_LENGTH, false, 0, GR_E_CONTENT_LENGTH},
        {OK "Content-Length: +1\r\n\r\n", "", GR_E_CONTENT_LENGTH, false, 0, GR_E_CONTENT_LENGTH},
        {OK "Content-Length: 1 1\r\n\r\n", "", GR_E_CONTENT_LENGTH, false, 0, GR_E_CONTENT_LENGTH},
        {OK "Content-Length: 0x10\r\n\r\n", "", GR_E_CONTENT_LENGTH, false, 0, GR_E_CONTENT_LENGTH},
        {OK "Content-Length: 9223372036854775808\r\n\r\n", "", GR_E_CONTENT_LENGTH, false, 0,
         GR_E_CONTENT_LENGTH},
        {OK "Content-Length: 5\r\n 6\r\n\r\n", "", GR_E_CONTENT_LENGTH, false, 0,
         GR_E_CONTENT_LENGTH},
    };
    CHECK_TABLE(table);
}

TEST(responses_without_a_body) {
    static const expectation table[] = {
        {"HTTP/1.1 204 No Content\r\n\r\n", "204 1.1 No Content|#", 0, true},
        {"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n",
         "304 1.1 Not Modified|Content-Length=9|#", 0, true},
        {OK "Content-Length: 9\r\n\r\n", "200 1.1 OK|Content-Length=9|#", 0, true, 0, 0,
         GR_H1_TO_HEAD},
        {OK "Transfer-Encoding: chunked\r\n\r\n", "200 1.1 OK|Transfer-Encoding=chunked|#", 0, true,
         0, 0, GR_H1_TO_HEAD},
        {OK "\r\n", "200 1.1 OK|#", 0, true, 0, 0, GR_H1_TO_HEAD},
        {OK "Content-Length: 9\r\n\r\nTLS", "200 1.1 OK|Content-Length=9|#", 0, false, 3, 0,
         GR_H1_TO_CONNECT},
        {"HTTP/1.1 407 No\r\nContent-Length: 1\r\n\r\nx", "407 1.1 No|Content-Length=1|#x", 0, true,
         0, 0, GR_H1_TO_CONNECT},
        {"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\nws",
         "101 1.1 Switching Protocols|Upgrade=x|#", 0, false, 2},
    };
    CHECK_TABLE(table);
}

TEST(bodies_that_end_with_the_connection) {
    static const expectation table[] = {
        {OK "\r\nabc", "200 1.1 OK|#abc", MORE, false},
        {OK "\r\n", "200 1.1 OK|#", MORE, false},
        {"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\nabc",
         "200 1.0 OK|Connection=keep-alive|#abc", MORE, false},
        {OK "Transfer-Encoding: gzip\r\nContent-Length: 1\r\n\r\nabc",
         "200 1.1 OK|Transfer-Encoding=gzip|Content-Length=1|#abc", MORE, false},
        {OK "Transfer-Encoding: chunked, gzip\r\n\r\n1\r\n",
         "200 1.1 OK|Transfer-Encoding=chunked, gzip|#1\r\n", MORE, false},
    };
    CHECK_TABLE(table);
}

#define CHUNKED OK "Transfer-Encoding: chunked\r\n\r\n"
#define TEXT    "200 1.1 OK|Transfer-Encoding=chunked|#"

TEST(chunked_bodies) {
    static const expectation table[] = {
        {CHUNKED "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", TEXT "hello world", 0, true},
        {CHUNKED "0\r\n\r\nX", TEXT, 0, true, 1},
        {CHUNKED "00a;a=b;c=\"d\"\r\n0123456789\r\n000;x\r\n\r\n", TEXT "0123456789", 0, true},
        {CHUNKED "A \t\r\n0123456789\r\n0\r\n\r\n", TEXT "0123456789", 0, true},
        {CHUNKED "3\nabc\n0\n\n", TEXT "abc", 0, true},
        {CHUNKED "1\r\na\r\n0\r\nA: b\r\nC: d\r\n\r\n", TEXT "a", 0, true},
        {CHUNKED "1\r\na\r\n0\r\nContent-Length: 7\r\n\r\nrest", TEXT "a", 0, true, 4},
        {CHUNKED "5\r\nhel", TEXT "hel", MORE, true, 0, GR_E_TRUNCATED},
        {CHUNKED "5\r\nhello\r\n", TEXT "hello", MORE, true, 0, GR_E_TRUNCATED},
        {CHUNKED "5\r\nhello\r\n0\r\n", TEXT "hello", MORE, true, 0, GR_E_TRUNCATED},
        {OK "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n1\r\na\r\n0\r\n\r\n",
         "200 1.1 OK|Transfer-Encoding=chunked|Content-Length=3|#a", 0, false},
        {OK "Transfer-Encoding: gzip\r\nTransfer-Encoding: Chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
         "200 1.1 OK|Transfer-Encoding=gzip|Transfer-Encoding=Chunked|#a", 0, true},
        {OK "Transfer-Encoding: identity\r\nContent-Length: 1\r\n\r\na",
         "200 1.1 OK|Transfer-Encoding=identity|Content-Length=1|#a", 0, true},
        {"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n"
         "1\r\na\r\n0\r\n\r\n",
         "200 1.0 OK|Connection=keep-alive|Transfer-Encoding=chunked|#a", 0, false},
    };
    CHECK_TABLE(table);
}

TEST(malformed_chunks_are_refused) {
    static const char *const bodies[] = {
        "\r\n",    "g\r\n",     "-1\r\n",      " 1\r\n",   "0x1\r\n",
        "1 1\r\n", "1\rx",      "1;a\rb\r\n",  "+1\r\na",  "7fffffffffffffff0\r\n",
        "1\r\nab", "1\r\na\rb", "1\r\na1\r\n", "1,1\r\na", "10000000000000000\r\n",
    };
    for (size_t i = 0; i < GR_LEN(bodies); i++) {
        gr_buf in = GR_BUF_INIT;
        gr_buf_addf(&in, "%s%s", CHUNKED, bodies[i]);
        outcome o = parse_all_ways(gr_buf_str(&in), GR_H1_TO_OTHER, 0);
        cr_assert(o.rc == GR_E_CHUNK, "%s: %d", bodies[i], o.rc);
        CHECK_EQ(o.eof, GR_E_CHUNK);
        gr_buf_deinit(&in);
        gr_buf_deinit(&o.text);
    }
}

TEST(a_nul_in_a_chunk_extension_is_refused) {
    outcome o = parse_all_ways(GR_STR(CHUNKED "1;\0\r\na\r\n"), GR_H1_TO_OTHER, 0);
    CHECK_EQ(o.rc, GR_E_CHUNK);
    gr_buf_deinit(&o.text);
}

static outcome parse_padded(const char *before, char pad, size_t pad_n, const char *after,
                            size_t max) {
    gr_buf in = GR_BUF_INIT;
    gr_rand r;
    gr_buf_addc(&in, before);
    for (size_t i = 0; i < pad_n; i++)
        gr_buf_add_byte(&in, pad);
    gr_buf_addc(&in, after);
    gr_rand_seed(&r, 1);
    outcome o = parse(gr_buf_str(&in), GR_H1_TO_OTHER, max, cut_nowhere, &r);
    outcome bytes = parse(gr_buf_str(&in), GR_H1_TO_OTHER, max, cut_everywhere, &r);
    CHECK_EQ(o.rc, bytes.rc);
    gr_buf_deinit(&in);
    gr_buf_deinit(&o.text);
    gr_buf_deinit(&bytes.text);
    return o;
}

TEST(chunk_heads_and_trailers_are_bounded) {
    CHECK_EQ(parse_padded(CHUNKED "1;", 'x', 4000, "\r\na\r\n0\r\n\r\n", 0).rc, 0);
    CHECK_EQ(parse_padded(CHUNKED "1;", 'x', 4100, "\r\na\r\n0\r\n\r\n", 0).rc, GR_E_CHUNK);
    CHECK_EQ(parse_padded(CHUNKED, '0', 4100, "\r\n\r\n", 0).rc, GR_E_CHUNK);
    CHECK_EQ(parse_padded(CHUNKED "0\r\nA: ", 'x', 200, "\r\n\r\n", 300).rc, 0);
    CHECK_EQ(parse_padded(CHUNKED "0\r\nA: ", 'x', 400, "\r\n\r\n", 300).rc,
             GR_E_HEADERS_TOO_LARGE);
}

TEST(heads_are_bounded_to_the_byte) {
    size_t n = sizeof(OK "A: \r\n\r\n") - 1;
    CHECK_EQ(parse_padded(OK "A: ", 'x', 100 - n, "\r\n\r\n", 100).rc, MORE);
    CHECK_EQ(parse_padded(OK "A: ", 'x', 101 - n, "\r\n\r\n", 100).rc, GR_E_HEADERS_TOO_LARGE);
    CHECK_EQ(parse_padded(OK "A: ", 'x', 500, "", 100).rc, GR_E_HEADERS_TOO_LARGE);
    CHECK_EQ(parse_padded("HTTP/1.1 200 ", 'x', 500, "\r\n", 100).rc, GR_E_HEADERS_TOO_LARGE);
    CHECK_EQ(parse_padded("S", 'x', 500, "", 100).rc, GR_E_HEADERS_TOO_LARGE);
    CHECK_EQ(parse_padded(OK, 'x', 300 * 1024, "\r\n\r\n", 0).rc, GR_E_HEADERS_TOO_LARGE);
}

static gr_buf repeated(const char *before, const char *piece, size_t times, const char *after) {
    gr_buf in = GR_BUF_INIT;
    gr_buf_addc(&in, before);
    for (size_t i = 0; i < times; i++)
        gr_buf_addc(&in, piece);
    gr_buf_addc(&in, after);
    return in;
}

static int rc_of_repeated(const char *before, const char *piece, size_t times, const char *after) {
    gr_buf in = repeated(before, piece, times, after);
    outcome o = parse_all_ways(gr_buf_str(&in), GR_H1_TO_OTHER, 0);
    gr_buf_deinit(&in);
    gr_buf_deinit(&o.text);
    return o.rc;
}

TEST(the_number_of_fields_is_bounded) {
    CHECK_EQ(rc_of_repeated(OK, "a:b\n", GR_H1_FIELDS_MAX, "\n"), MORE);
    CHECK_EQ(rc_of_repeated(OK, "a:b\n", GR_H1_FIELDS_MAX + 1, "\n"), GR_E_HEADERS_TOO_LARGE);
}

TEST(interim_responses_are_skipped_but_bounded) {
    static const expectation table[] = {
        {"HTTP/1.1 100 Continue\r\n\r\n" OK "Content-Length: 1\r\n\r\na",
         "200 1.1 OK|Content-Length=1|#a", 0, true},
        {"HTTP/1.1 103 Early Hints\r\nLink: x\r\nContent-Length: 7\r\n\r\n\r\n" OK
         "Content-Length: 1\r\n\r\na",
         "200 1.1 OK|Content-Length=1|#a", 0, true},
        {"HTTP/1.1 100 Continue\r\n\r\n", "", MORE, false, 0, GR_E_TRUNCATED},
        {"HTTP/1.1 100 Continue\r\nbad\r\n\r\n", "", GR_E_HEADER, false, 0, GR_E_HEADER},
    };
    CHECK_TABLE(table);
    const char *interim = "HTTP/1.1 102 Processing\r\n\r\n";
    const char *final = "HTTP/1.1 204 \r\n\r\n";
    CHECK_EQ(rc_of_repeated("", interim, GR_H1_INTERIMS_MAX, final), 0);
    CHECK_EQ(rc_of_repeated("", interim, GR_H1_INTERIMS_MAX + 1, final), GR_E_HEADERS_TOO_LARGE);
}

TEST(a_waiting_body_can_see_the_100) {
    gr_h1 h;
    gr_h1_event event;
    gr_str hints = GR_STR("HTTP/1.1 103 Early Hints\r\n\r\n"), piece;
    gr_str in = GR_STR("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\nHTT");
    gr_h1_start(&h, &head, &fields, GR_H1_TO_OTHER, 0);
    CHECK_EQ(gr_h1_next(&h, &hints, &event, &piece), 0);
    CHECK(!h.may_continue);
    CHECK_EQ(gr_h1_next(&h, &in, &event, &piece), 0);
    CHECK_EQ(event, GR_H1_MORE);
    CHECK_EQ(h.interims, 3);
    CHECK(h.may_continue); /* whatever came behind it */
}

TEST(keeping_the_connection) {
#define EMPTY "Content-Length: 0\r\n\r\n"
    static const expectation table[] = {
        {OK "Connection: close\r\n" EMPTY, "200 1.1 OK|Connection=close|Content-Length=0|#", 0},
        {OK "Connection: foo, CLOSE\r\n" EMPTY,
         "200 1.1 OK|Connection=foo, CLOSE|Content-Length=0|#", 0},
        {OK "Connection: keep-alive\r\nConnection: close\r\n" EMPTY,
         "200 1.1 OK|Connection=keep-alive|Connection=close|Content-Length=0|#", 0},
        {OK "Connection: closed\r\n" EMPTY, "200 1.1 OK|Connection=closed|Content-Length=0|#", 0,
         true},
        {"HTTP/1.0 200 OK\r\n" EMPTY, "200 1.0 OK|Content-Length=0|#", 0, false},
        {"HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\n" EMPTY,
         "200 1.0 OK|Connection=Keep-Alive|Content-Length=0|#", 0, true},
        {"HTTP/1.9 200 OK\r\n" EMPTY, "200 1.1 OK|Content-Length=0|#", 0, true},
    };
    CHECK_TABLE(table);
}

TEST(lenient_where_nothing_is_at_stake) {
    static const expectation table[] = {
        {"\r\n\n\r\n" OK EMPTY, "200 1.1 OK|Content-Length=0|#", 0, true},
        {"HTTP/1.1 200\r\n" EMPTY, "200 1.1 |Content-Length=0|#", 0, true},
        {"HTTP/1.1 200 \r\n" EMPTY, "200 1.1 |Content-Length=0|#", 0, true},
        {"HTTP/1.1   404   Not  Here \r\n" EMPTY, "404 1.1 Not  Here|Content-Length=0|#", 0, true},
        {"HTTP/1.1 299 \xc3\xa9\r\n" EMPTY, "299 1.1 \xc3\xa9|Content-Length=0|#", 0, true},
        {"HTTP/1.1 200 OK\nA: b\nContent-Length: 1\n\nx", "200 1.1 OK|A=b|Content-Length=1|#x", 0,
         true},
        {OK "A:b\r\nB: \t c \t\r\nC:\r\n" EMPTY, "200 1.1 OK|A=b|B=c|C=|Content-Length=0|#", 0,
         true},
        {OK "A: b\r\n  c\r\n\td \r\nB: x\r\n" EMPTY, "200 1.1 OK|A=b c d|B=x|Content-Length=0|#", 0,
         true},
        {OK "A:\r\n b\r\n" EMPTY, "200 1.1 OK|A=b|Content-Length=0|#", 0, true},
        {OK "A: b\r\n  \r\n" EMPTY, "200 1.1 OK|A=b|Content-Length=0|#", 0, true},
        {OK "A: b\n c\n" EMPTY, "200 1.1 OK|A=b c|Content-Length=0|#", 0, true},
        {OK "X(y)[z]@\xe9: v\r\n" EMPTY, "200 1.1 OK|X(y)[z]@\xe9=v|Content-Length=0|#", 0, true},
        {OK "Set-Cookie: a\r\nSet-Cookie: b\r\n" EMPTY,
         "200 1.1 OK|Set-Cookie=a|Set-Cookie=b|Content-Length=0|#", 0, true},
        {OK "Transfer-Encoding:\r\n chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
         "200 1.1 OK|Transfer-Encoding=chunked|#x", 0, true},
    };
    CHECK_TABLE(table);
}

TEST(malformed_heads_are_refused) {
    static const struct {
        gr_str in;
        int rc;
    } table[] = {
        {{"HTTP/2.0 200 OK\r\n", 17}, GR_E_STATUS_LINE},
        {{"HTTP/1.x 200 OK\r\n", 17}, GR_E_STATUS_LINE},
        {{"HTTP/1. 200 OK\r\n", 16}, GR_E_STATUS_LINE},
        {{"HTTP/1.1200 OK\r\n", 16}, GR_E_STATUS_LINE},
        {{"HTTP/1.1 20 OK\r\n", 16}, GR_E_STATUS_LINE},
        {{"HTTP/1.1 2000 OK\r\n", 18}, GR_E_STATUS_LINE},
        {{"HTTP/1.1 099 OK\r\n", 17}, GR_E_STATUS_LINE},
        {{"HTTP/1.1 abc OK\r\n", 17}, GR_E_STATUS_LINE},
        {{"HTTP/1.1 \r\n", 11}, GR_E_STATUS_LINE},
        {{"HTTP/1.1\r\n", 10}, GR_E_STATUS_LINE},
        {{"http/1.1 200 OK\r\n", 17}, GR_E_STATUS_LINE},
        {{" HTTP/1.1 200 OK\r\n", 18}, GR_E_STATUS_LINE},
        {{"SSH-2.0-x\r\n", 11}, GR_E_STATUS_LINE},
        {{"H\n", 2}, GR_E_STATUS_LINE},
        {{"HTTP/1.1 200 a\0b\r\n", 18}, GR_E_STATUS_LINE},
        {{"HTTP/1.1 200 a\rb\r\n", 18}, GR_E_STATUS_LINE},
        {{OK "A : b\r\n\r\n", 26}, GR_E_HEADER},
        {{OK "A\t: b\r\n\r\n", 26}, GR_E_HEADER},
        {{OK ": b\r\n\r\n", 24}, GR_E_HEADER},
        {{OK "A b\r\n\r\n", 24}, GR_E_HEADER},
        {{OK "Ab\r\n\r\n", 23}, GR_E_HEADER},
        {{OK " A: b\r\n\r\n", 26}, GR_E_HEADER},
        {{OK "A: b\0c\r\n\r\n", 27}, GR_E_HEADER},
        {{OK "A\0: b\r\n\r\n", 26}, GR_E_HEADER},
        {{OK "A: b\rc\r\n\r\n", 27}, GR_E_HEADER},
        {{OK "A: b\r\r\n\r\n", 26}, GR_E_HEADER},
        {{OK "A: b\r\n c\rd\r\n\r\n", 31}, GR_E_HEADER},
        {{OK "A: b\r\n\r\r\n\r\n", 28}, GR_E_HEADER},
        {{OK "Transfer-Encoding: chunked, chunked\r\n\r\n", 56}, GR_E_HEADER},
    };
    for (size_t i = 0; i < GR_LEN(table); i++) {
        outcome o = parse_all_ways(table[i].in, GR_H1_TO_OTHER, 0);
        cr_assert(o.rc == table[i].rc, "%s: %d", table[i].in.p, o.rc);
        CHECK_EQ(o.text.n, 0);
        gr_buf_deinit(&o.text);
    }
}

TEST(blank_lines_in_front_are_bounded) {
    CHECK_EQ(rc_of_repeated("", "\r\n", 16, "HTTP/1.1 204 x\r\n\r\n"), 0);
    CHECK_EQ(rc_of_repeated("", "\r\n", 17, "HTTP/1.1 204 x\r\n\r\n"), GR_E_STATUS_LINE);
}

TEST(closing_early) {
    static const expectation table[] = {
        {"", "", MORE, false, 0, GR_E_CLOSED_EARLY},
        {"\r\n", "", MORE, false, 0, GR_E_CLOSED_EARLY},
        {"H", "", MORE, false, 0, GR_E_TRUNCATED},
        {OK, "", MORE, false, 0, GR_E_TRUNCATED},
        {OK "A: b\r\n", "", MORE, false, 0, GR_E_TRUNCATED},
    };
    CHECK_TABLE(table);
}

#define NGINX                                                                                      \
    "HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: Sun, 23 Nov 2025 08:00:00 GMT\r\n"           \
    "Content-Type: text/html\r\nContent-Length: 3\r\nLast-Modified: Sat, 01 Nov 2025 10:00:00 GMT" \
    "\r\nConnection: keep-alive\r\nETag: \"6905d6a0-267\"\r\nAccept-Ranges: bytes\r\n\r\n"

TEST(a_warm_response_allocates_nothing) {
    gr_rand r;
    for (int i = 0; i < 3; i++) {
        uint64_t before = gr__alloc_calls();
        gr_h1 h;
        gr_str in = GR_STR(NGINX "abc"), piece;
        gr_h1_event event;
        gr_h1_start(&h, &head, &fields, GR_H1_TO_OTHER, 0);
        for (int k = 0; k < 3; k++)
            CHECK_EQ(gr_h1_next(&h, &in, &event, &piece), 0);
        CHECK_EQ(event, GR_H1_DONE);
        CHECK_EQ(fields.n, 8);
        CHECK_STR(gr_buf_str(&head), NGINX);
        if (i) CHECK_EQ(gr__alloc_calls(), before);
    }
    gr_rand_seed(&r, 7);
    outcome o = parse(GR_STR(NGINX "abc"), GR_H1_TO_OTHER, 0, cut_somewhere, &r);
    CHECK(gr_str_starts(gr_buf_str(&o.text), GR_STR("200 1.1 OK|Server=nginx/1.22.1|Date=Sun")));
    gr_buf_deinit(&o.text);
}

TEST(each_failed_allocation_is_survived) {
    int rc = GR_E_NOMEM;
    for (uint64_t n = 0; rc == GR_E_NOMEM && n < 50; n++) {
        gr_buf h_buf = GR_BUF_INIT;
        gr_headers hs = {NULL, 0, 0};
        gr_h1 h;
        gr_str in = GR_STR(NGINX "abc"), piece;
        gr_h1_event event = GR_H1_MORE;
        gr_h1_start(&h, &h_buf, &hs, GR_H1_TO_OTHER, 0);
        FAIL_ALLOC_AT(n) rc = gr_h1_next(&h, &in, &event, &piece);
        if (rc < 0) CHECK_EQ(gr_h1_next(&h, &in, &event, &piece), rc);
        CHECK_EQ(event, rc ? GR_H1_MORE : GR_H1_HEAD);
        gr_buf_deinit(&h_buf);
        gr_headers_deinit(&hs);
    }
    CHECK_EQ(rc, 0);
}

/* ---- Requests ---- */

static gr_h1_request request(const char *method, const char *target, int64_t length) {
    return (gr_h1_request){.method = gr_str_c(method),
                           .target = gr_str_c(target),
                           .host = GR_STR("h:81"),
                           .body_length = length};
}

TEST(request_heads) {
    gr_buf out = GR_BUF_INIT;
    gr_head lines = GR_HEAD_INIT;
    gr_h1_request r = request("GET", "/a?b", GR_H1_BODY_NONE);
    CHECK_EQ(gr_h1_write_head(&out, &r), 0);
    CHECK_STR(gr_buf_str(&out), "GET /a?b HTTP/1.1\r\nHost: h:81\r\n\r\n");

    gr_buf_clear(&out);
    gr_head_add(&lines, GR_STR("A"), GR_STR("b"));
    r = request("POST", "/", 1234567890123);
    r.head = &lines;
    r.cookie = GR_STR("x=y");
    CHECK_EQ(gr_h1_write_head(&out, &r), 0);
    CHECK_STR(gr_buf_str(&out), "POST / HTTP/1.1\r\nHost: h:81\r\nA: b\r\nCookie: x=y\r\n"
                                "Content-Length: 1234567890123\r\n\r\n");

    gr_buf_clear(&out);
    r = request("PUT", "*", GR_H1_BODY_CHUNKED);
    CHECK_EQ(gr_h1_write_head(&out, &r), 0);
    CHECK_STR(gr_buf_str(&out),
              "PUT * HTTP/1.1\r\nHost: h:81\r\nTransfer-Encoding: chunked\r\n\r\n");

    gr_buf_clear(&out);
    gr_head_clear(&lines);
    gr_head_add(&lines, GR_STR("host"), GR_STR("other"));
    gr_head_add(&lines, GR_STR("cookie"), GR_STR("mine"));
    gr_head_add(&lines, GR_STR("content-length"), GR_STR("7"));
    r = request("DELETE", "/", 3);
    r.head = &lines;
    r.cookie = GR_STR("x=y");
    CHECK_EQ(gr_h1_write_head(&out, &r), 0);
    CHECK_STR(gr_buf_str(&out),
              "DELETE / HTTP/1.1\r\nhost: other\r\ncookie: mine\r\ncontent-length: 7\r\n\r\n");
    gr_head_deinit(&lines);
    gr_buf_deinit(&out);
}

TEST(requests_without_a_body_say_so_where_one_is_expected) {
    static const char *const zero[] = {"POST", "PUT", "PATCH", "DELETE", "OPTIONS", "get"};
    static const char *const none[] = {"GET", "HEAD", "CONNECT", "TRACE"};
    gr_buf out = GR_BUF_INIT;
    for (size_t i = 0; i < GR_LEN(zero) + GR_LEN(none); i++) {
        bool is_zero = i < GR_LEN(zero);
        gr_h1_request r = request(is_zero ? zero[i] : none[i - GR_LEN(zero)], "/", GR_H1_BODY_NONE);
        gr_buf_clear(&out);
        CHECK_EQ(gr_h1_write_head(&out, &r), 0);
        CHECK_EQ(memmem(out.p, out.n, "Content-Length: 0\r\n", 19) != NULL, is_zero);
    }
    gr_buf_deinit(&out);
}

TEST(requests_that_would_break_the_line_are_refused) {
    static const struct {
        gr_str method, target, host, cookie;
    } table[] = {
        {{"", 0}, {"/", 1}, {"h", 1}, {"", 0}},
        {{"G T", 3}, {"/", 1}, {"h", 1}, {"", 0}},
        {{"GET\r", 4}, {"/", 1}, {"h", 1}, {"", 0}},
        {{"GET", 3}, {"", 0}, {"h", 1}, {"", 0}},
        {{"GET", 3}, {"/ x", 3}, {"h", 1}, {"", 0}},
        {{"GET", 3}, {"/\n", 2}, {"h", 1}, {"", 0}},
        {{"GET", 3}, {"/\0", 2}, {"h", 1}, {"", 0}},
        {{"GET", 3}, {"/\x7f", 2}, {"h", 1}, {"", 0}},
        {{"GET", 3}, {"/", 1}, {"h\r\nA", 4}, {"", 0}},
        {{"GET", 3}, {"/", 1}, {"h", 1}, {"a\nb", 3}},
    };
    gr_buf out = GR_BUF_INIT;
    for (size_t i = 0; i < GR_LEN(table); i++) {
        gr_h1_request r = {table[i].method, table[i].target, table[i].host, NULL,
                           table[i].cookie, GR_H1_BODY_NONE};
        CHECK_EQ(gr_h1_write_head(&out, &r), GR_E_REQUEST_HEADER);
        CHECK_EQ(out.n, 0);
    }
    gr_h1_request r = request("GET", "/", GR_H1_BODY_NONE);
    FAIL_ALLOC_AT(0) CHECK_EQ(gr_h1_write_head(&out, &r), GR_E_NOMEM);
    CHECK_EQ(out.n, 0);
}

TEST(request_chunks) {
    gr_buf out = GR_BUF_INIT;
    CHECK_EQ(gr_h1_write_chunk(&out, GR_STR("0123456789abcdefg")), 0);
    CHECK_EQ(gr_h1_write_chunk(&out, GR_STR("")), 0);
    CHECK_EQ(gr_h1_write_last_chunk(&out), 0);
    CHECK_STR(gr_buf_str(&out), "11\r\n0123456789abcdefg\r\n0\r\n\r\n");
    gr_buf_deinit(&out);
    FAIL_ALLOC_AT(0) CHECK_EQ(gr_h1_write_chunk(&out, GR_STR("a")), GR_E_NOMEM);
}

/* What the writer frames, the parser takes apart again. */
TEST(chunks_round_trip) {
    gr_buf in = GR_BUF_INIT;
    gr_buf_addc(&in, CHUNKED);
    gr_h1_write_chunk(&in, GR_STR("hello"));
    gr_h1_write_chunk(&in, GR_STR(" there, all of you"));
    gr_h1_write_last_chunk(&in);
    outcome o = parse_all_ways(gr_buf_str(&in), GR_H1_TO_OTHER, 0);
    CHECK_EQ(o.rc, 0);
    CHECK_STR(gr_buf_str(&o.text), TEXT "hello there, all of you");
    gr_buf_deinit(&o.text);
    gr_buf_deinit(&in);
}
