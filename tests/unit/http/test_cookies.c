/* The jar against RFC 6265: dates, domains, paths, limits. */
#include "test.h"
#include "http/cookies.c"

#define NOW ((gr_wall_ns)1700000000 * NS_PER_S) /* 2023-11-14 22:13:20 */

static gr_jar *jar;

static void receive(const char *host, const char *path, const char *set_cookie) {
    if (!jar) jar = gr_jar_new();
    CHECK_EQ(gr_jar_receive(jar, gr_str_c(host), gr_str_c(path), false, gr_str_c(set_cookie), NOW),
             0);
}

static gr_cookie at(size_t i) {
    const gr_cookie *c = gr_jar_at(jar, i);
    CHECK(c != NULL);
    return c ? *c : (gr_cookie){.expires_at = 0};
}

static void check_header_at(const char *host, const char *path, bool secure, gr_wall_ns now,
                            const char *want) {
    gr_buf out = GR_BUF_INIT;
    CHECK_EQ(gr_jar_cookie_header(jar, gr_str_c(host), gr_str_c(path), secure, now, &out), 0);
    cr_assert(gr_str_eq(gr_buf_str(&out), gr_str_c(want)), "%s%s sends \"%.*s\", expected \"%s\"",
              host, path, (int)out.n, out.p, want);
    gr_buf_deinit(&out);
}

static void check_header(const char *host, const char *path, const char *want) {
    check_header_at(host, path, false, NOW, want);
}

static void drop_jar(void) {
    gr_jar_free(jar);
    jar = NULL;
}

TEST(values_come_back_as_they_were) {
    static const struct {
        const char *set, *want;
    } table[] = {
        {"a=b", "a=b"},
        {"a=b; Path=/; HttpOnly", "a=b"},
        {" a = b c ;x", "a=b c"},
        {"a=", "a="},
        {"a=\"b c\"", "a=\"b c\""},
        {"a=b=c", "a=b=c"},
        {"a=b,c", "a=b,c"},
        {"a=\xc3\xa9", "a=\xc3\xa9"},
        {"a=b;;;", "a=b"},
        {"a=b; unknown=1; =x", "a=b"},
        /* not cookies at all */
        {"", ""},
        {"a", ""},
        {"=b", ""},
        {" =b", ""},
        {"; a=b", ""},
        {"a=b\nc", ""},
        {"a=b\x7f", ""},
        {"a=b; x=\x01", ""},
    };
    for (size_t i = 0; i < GR_LEN(table); i++) {
        receive("h.x", "/", table[i].set);
        check_header("h.x", "/", table[i].want);
        drop_jar();
    }
}

TEST(domains) {
    static const struct {
        const char *from, *set, *to;
        bool sent;
    } table[] = {
        {"a.b.c", "k=v", "a.b.c", true},
        {"a.b.c", "k=v", "A.B.C", true},
        {"a.b.c", "k=v", "x.a.b.c", false},
        {"a.b.c", "k=v", "b.c", false},
        {"a.b.c", "k=v; domain=b.c", "b.c", true},
        {"a.b.c", "k=v; Domain=.B.C", "x.y.b.c", true},
        {"a.b.c", "k=v; domain=b.c", "xb.c", false},
        {"A.B.C", "k=v; domain=b.c", "z.b.c", true},
        {"a.b.c", "k=v; domain=", "x.a.b.c", false},
        {"a.b.c", "k=v; domain=", "a.b.c", true},
        {"a.b.c", "k=v; domain=.", "a.b.c", true},
        {"a.b.c", "k=v; domain=x.c; domain=b.c", "b.c", true},
        {"a.b.c", "k=v; domain=x.a.b.c", "x.a.b.c", false},
        {"a.b.c", "k=v; domain=other.c", "other.c", false},
        {"a.b.c", "k=v; domain=other.c", "a.b.c", false},
        {"a.b.c", "k=v; domain=c", "c", false},
        {"a.b.c", "k=v; domain=c", "a.b.c", false},
        {"a.c.", "k=v; domain=c.", "b.c.", false},
        {"a.c.", "k=v; domain=a.c.", "x.a.c.", true},
        {"localhost", "k=v; domain=localhost", "localhost", true},
        {"localhost", "k=v; domain=localhost", "x.localhost", false},
        {"127.0.0.1", "k=v; domain=127.0.0.1", "127.0.0.1", true},
        {"127.0.0.1", "k=v; domain=0.0.1", "127.0.0.1", false},
        {"1.2.3.4", "k=v; domain=2.3.4", "9.2.3.4", false},
        {"::1", "k=v", "::1", true},
        {"::1", "k=v; domain=::1", "::1", true},
    };
    for (size_t i = 0; i < GR_LEN(table); i++) {
        gr_buf out = GR_BUF_INIT;
        receive(table[i].from, "/", table[i].set);
        gr_jar_cookie_header(jar, gr_str_c(table[i].to), GR_STR("/"), false, NOW, &out);
        cr_assert((out.n > 0) == table[i].sent, "%s from %s to %s", table[i].set, table[i].from,
                  table[i].to);
        gr_buf_deinit(&out);
        drop_jar();
    }
}

TEST(paths) {
    static const struct {
        const char *from, *set, *to;
        bool sent;
    } table[] = {
        {"/a/b", "k=v", "/a/b", true},
        {"/a/b", "k=v", "/a", true},
        {"/a/b", "k=v", "/a/", true},
        {"/a/b", "k=v", "/ab", false},
        {"/a/b", "k=v", "/", false},
        {"/a/b/", "k=v", "/a/b", true},
        {"/a/b/", "k=v", "/a/c", false},
        {"/a", "k=v", "/x", true},
        {"", "k=v", "", true},
        {"x/y/z", "k=v", "/", true},
        {"/a", "k=v; path=/x", "/x/y", true},
        {"/a", "k=v; path=/x", "/xy", false},
        {"/a", "k=v; path=/x/", "/x", false},
        {"/a", "k=v; path=/x/", "/x/", true},
        {"/a/b", "k=v; path=x", "/a", true},
        {"/a/b", "k=v; path=/x; path=", "/a", true},
        {"/a", "k=v; path=/X", "/x", false},
        {"/a", "k=v; path=/x; path=/y", "/y", true},
    };
    for (size_t i = 0; i < GR_LEN(table); i++) {
        gr_buf out = GR_BUF_INIT;
        receive("h.x", table[i].from, table[i].set);
        gr_jar_cookie_header(jar, GR_STR("h.x"), gr_str_c(table[i].to), false, NOW, &out);
        cr_assert((out.n > 0) == table[i].sent, "%s from %s to %s", table[i].set, table[i].from,
                  table[i].to);
        gr_buf_deinit(&out);
        drop_jar();
    }
}

TEST(secure_ones_wait_for_https) {
    receive("h.x", "/", "a=b; secure");
    receive("h.x", "/", "c=d");
    check_header("h.x", "/", "c=d");
    check_header_at("h.x", "/", true, NOW, "a=b; c=d");
    CHECK(at(0).secure);
    drop_jar();
}

TEST(longest_path_first_then_oldest) {
    receive("h.x", "/", "one=1; path=/");
    receive("h.x", "/", "two=2; path=/a/b");
    receive("h.x", "/", "three=3; path=/a");
    receive("h.x", "/", "four=4; path=/a/b");
    receive("h.x", "/", "five=5; path=/");
    check_header("h.x", "/a/b/c", "two=2; four=4; three=3; one=1; five=5");
    receive("h.x", "/", "one=11; path=/"); /* keeps its age */
    check_header("h.x", "/", "one=11; five=5");
    drop_jar();
}

TEST(the_header_is_appended) {
    gr_buf out = GR_BUF_INIT;
    receive("h.x", "/", "a=b");
    gr_buf_addc(&out, "Cookie: ");
    gr_jar_cookie_header(jar, GR_STR("h.x"), GR_STR("/"), false, NOW, &out);
    CHECK_STR(gr_buf_str(&out), "Cookie: a=b");
    gr_buf_deinit(&out);
    drop_jar();
}

TEST(ages) {
    receive("h.x", "/", "a=1; max-age=10");
    CHECK_EQ(at(0).expires_at, NOW + 10 * (gr_wall_ns)NS_PER_S);
    check_header_at("h.x", "/", false, NOW + 10 * (gr_wall_ns)NS_PER_S - 1, "a=1");
    check_header_at("h.x", "/", false, NOW + 10 * (gr_wall_ns)NS_PER_S, "");
    receive("h.x", "/", "a=2; max-age=10; expires=Thu, 01 Jan 1970 00:00:00 GMT");
    check_header("h.x", "/", "a=2");
    receive("h.x", "/", "a=2; expires=Thu, 01 Jan 2099 00:00:00 GMT; max-age=0");
    CHECK_EQ(gr_jar_count(jar), 0);
    receive("h.x", "/", "a=3; max-age=99999999999999999999999");
    CHECK_EQ(at(0).expires_at, INT64_MAX);
    receive("h.x", "/", "a=3; max-age=7000000000");
    CHECK_EQ(at(0).expires_at, NOW + 7000000000 * (gr_wall_ns)NS_PER_S);
    receive("h.x", "/", "a=4; max-age=-1");
    CHECK_EQ(gr_jar_count(jar), 0);
    receive("h.x", "/", "a=5; max-age=1x; max-age=; max-age=-; max-age=+5");
    CHECK_EQ(at(0).expires_at, INT64_MAX);
    receive("h.x", "/", "gone=5; max-age=0");
    check_header("h.x", "/", "a=5");
    drop_jar();
}

TEST(dates) {
    static const struct {
        const char *text;
        int64_t seconds; /* -1: no date */
    } table[] = {
        {"Sun, 06 Nov 1994 08:49:37 GMT", 784111777},
        {"Sunday, 06-Nov-94 08:49:37 GMT", 784111777},
        {"Sun Nov  6 08:49:37 1994", 784111777},
        {"1994 nov 6 8:49:37", 784111777},
        {"06 NOVEMBER 94 08:49:37.123", 784111777},
        {"08:49:37 6/nov/1994 +0100", 784111777},
        {"Thu, 01-Jan-1970 00:00:00 GMT", 0},
        {"Thu, 29 Feb 2024 23:59:59 GMT", 1709251199},
        {"Tue, 29 Feb 2000 00:00:00 GMT", 951782400},
        {"1 jan 69 0:0:0", 3124224000},
        {"1 jan 70 0:0:0", 0},
        {"31 dec 1969 23:59:58", -2},
        {"1 mar 1900 0:0:0", -2203891200},
        {"29 feb 2023 0:0:0", -1},
        {"29 feb 1900 0:0:0", -1},
        {"31 apr 2024 0:0:0", -1},
        {"0 jan 2024 0:0:0", -1},
        {"1 jan 1600 0:0:0", -1},
        {"1 jan 2024 24:0:0", -1},
        {"1 jan 2024 0:60:0", -1},
        {"1 jan 2024 0:0:60", -1},
        {"1 jan 2024 0:0", -1},
        {"1 jan 2024", -1},
        {"jan 2024 0:0:0", -1},
        {"1 xxx 2024 0:0:0", -1},
        {"1 jan 0:0:0", -1},
        {"1 jan 12345 0:0:0", -1},
        {"", -1},
        {"0", -1},
        {"-1", -1},
        {"Session", -1},
    };
    for (size_t i = 0; i < GR_LEN(table); i++) {
        gr_wall_ns at = -NS_PER_S;
        parse_date(gr_str_c(table[i].text), &at);
        cr_assert(at == table[i].seconds * NS_PER_S, "%s is %lld", table[i].text,
                  (long long)(at / NS_PER_S));
    }
    gr_wall_ns far;
    CHECK(parse_date(GR_STR("31 dec 9999 23:59:59"), &far));
    CHECK_EQ(far, INT64_MAX);
    CHECK(parse_date(GR_STR("1 jan 1601 0:0:0"), &far));
    CHECK_EQ(far, INT64_MIN);
}

TEST(an_expiry_in_the_past_removes) {
    receive("h.x", "/", "a=b");
    receive("h.x", "/", "c=d");
    receive("h.x", "/", "a=; Expires=Thu, 01 Jan 1970 00:00:00 GMT");
    check_header("h.x", "/", "c=d");
    receive("h.x", "/", "c=e; Expires=never"); /* no date: the attribute does not count */
    check_header("h.x", "/", "c=e");
    drop_jar();
}

TEST(too_large_a_cookie_is_ignored) {
    gr_buf big = GR_BUF_INIT;
    gr_buf_addc(&big, "a=");
    while (big.n < GR_COOKIE_BYTES_MAX)
        gr_buf_add_byte(&big, 'x');
    jar = gr_jar_new();
    CHECK_EQ(gr_jar_receive(jar, GR_STR("h"), GR_STR("/"), false, gr_buf_str(&big), NOW), 0);
    CHECK_EQ(gr_jar_count(jar), 1);
    gr_buf_add_byte(&big, 'x');
    big.p[0] = 'b';
    CHECK_EQ(gr_jar_receive(jar, GR_STR("h"), GR_STR("/"), false, gr_buf_str(&big), NOW), 0);
    CHECK_EQ(gr_jar_count(jar), 1);
    gr_buf_deinit(&big);
    drop_jar();
}

static void receive_many(unsigned from, unsigned to, const char *more) {
    for (unsigned i = from; i < to; i++) {
        gr_buf b = GR_BUF_INIT;
        gr_buf_addf(&b, "c%u=v; path=/%u%s%c", i, i % 7, more, '\0');
        receive("h.x", "/", b.p);
        gr_buf_deinit(&b);
    }
}

TEST(a_full_jar_loses_its_oldest) {
    receive_many(0, GR_JAR_COOKIES_MAX, "");
    CHECK_EQ(gr_jar_count(jar), GR_JAR_COOKIES_MAX);
    receive_many(1000, 1002, "");
    CHECK_EQ(gr_jar_count(jar), GR_JAR_COOKIES_MAX);
    CHECK(!gr_jar_remove(jar, GR_STR("c0"), GR_STR(""), GR_STR("")));
    CHECK(!gr_jar_remove(jar, GR_STR("c1"), GR_STR(""), GR_STR("")));
    CHECK(gr_jar_remove(jar, GR_STR("c2"), GR_STR(""), GR_STR("")));
    CHECK(gr_jar_remove(jar, GR_STR("c1001"), GR_STR(""), GR_STR("")));
    drop_jar();
}

TEST(a_full_jar_drops_expired_ones_first) {
    receive_many(0, GR_JAR_COOKIES_MAX - 2, "");
    receive_many(500, 502, "; max-age=1");
    CHECK_EQ(gr_jar_count(jar), GR_JAR_COOKIES_MAX);
    CHECK_EQ(gr_jar_receive(jar, GR_STR("h.x"), GR_STR("/"), false, GR_STR("new=1"),
                            NOW + 2 * (gr_wall_ns)NS_PER_S),
             0);
    CHECK_EQ(gr_jar_count(jar), GR_JAR_COOKIES_MAX - 1);
    CHECK(gr_jar_remove(jar, GR_STR("c0"), GR_STR(""), GR_STR("")));
    drop_jar();
}

static gr_cookie cookie(const char *name, const char *value, const char *domain, const char *path) {
    return (gr_cookie){.name = gr_str_c(name),
                       .value = gr_str_c(value),
                       .domain = gr_str_c(domain),
                       .path = gr_str_c(path),
                       .expires_at = INT64_MAX};
}

TEST(cookies_set_by_hand) {
    jar = gr_jar_new();
    gr_cookie c = cookie("a", "1", "", "/");
    CHECK_EQ(gr_jar_set(jar, &c), 0);
    check_header("any.host", "/x", "a=1");
    check_header("127.0.0.1", "/x", "a=1");
    c = cookie("a", "2", "H.x", "/");
    CHECK_EQ(gr_jar_set(jar, &c), 0);
    CHECK_STR(at(1).domain, "h.x");
    check_header("sub.h.x", "/", "a=1; a=2");
    c.value = GR_STR("a longer value");
    CHECK_EQ(gr_jar_set(jar, &c), 0);
    CHECK_EQ(gr_jar_count(jar), 2);
    check_header("sub.h.x", "/", "a=1; a=a longer value");
    CHECK_EQ(gr_jar_set(jar, gr_jar_at(jar, 1)), 0); /* itself */
    CHECK(gr_jar_at(jar, 2) == NULL);
    CHECK(!gr_jar_remove(jar, GR_STR("a"), GR_STR("h.x"), GR_STR("/y")));
    CHECK(gr_jar_remove(jar, GR_STR("a"), GR_STR("h.x"), GR_STR("/")));
    check_header("sub.h.x", "/", "a=1");
    gr_jar_clear(jar);
    CHECK_EQ(gr_jar_count(jar), 0);
    check_header("sub.h.x", "/", "");
    drop_jar();
    gr_jar_free(NULL);
}

TEST(the_version_changes_with_the_jar_only) {
    receive("h.x", "/", "a=1");
    uint64_t version = gr_jar_version(jar), allocs = gr__alloc_calls();
    receive("h.x", "/", "a=1");
    CHECK_EQ(gr_jar_version(jar), version);
    receive("h.x", "/", "b");
    CHECK_EQ(gr_jar_version(jar), version);
    receive("h.x", "/", "a=2"); /* no longer than the first value: the memory is kept */
    CHECK(gr_jar_version(jar) != version);
    CHECK_EQ(gr__alloc_calls(), allocs);
    version = gr_jar_version(jar);
    receive("h.x", "/", "a=2; secure");
    CHECK(gr_jar_version(jar) != version);
    version = gr_jar_version(jar);
    receive("h.x", "/", "a=2; max-age=0");
    CHECK(gr_jar_version(jar) != version);
    version = gr_jar_version(jar);
    gr_jar_clear(jar);
    CHECK_EQ(gr_jar_version(jar), version);
    drop_jar();
}

TEST(each_failed_allocation_is_survived) {
    FAIL_ALLOC_AT(0) CHECK(gr_jar_new() == NULL);
    gr_str first = GR_STR("a=1"), longer = GR_STR("a=1234567");
    jar = gr_jar_new();
    for (uint64_t n = 0; n < 2; n++)
        FAIL_ALLOC_AT(n)
    CHECK_EQ(gr_jar_receive(jar, GR_STR("h"), GR_STR("/"), false, first, NOW), GR_E_NOMEM);
    CHECK_EQ(gr_jar_count(jar), 0);
    receive("h", "/", "a=1");
    FAIL_ALLOC_AT(0)
    CHECK_EQ(gr_jar_receive(jar, GR_STR("h"), GR_STR("/"), false, longer, NOW), GR_E_NOMEM);
    check_header("h", "/", "a=1");
    gr_buf out = GR_BUF_INIT;
    FAIL_ALLOC_AT(0)
    CHECK_EQ(gr_jar_cookie_header(jar, GR_STR("h"), GR_STR("/"), false, NOW, &out), GR_E_NOMEM);
    CHECK_EQ(out.n, 0);
    drop_jar();
}
