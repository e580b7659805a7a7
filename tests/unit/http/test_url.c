/* The tables of quoting and preparing were printed by requests 2.28.1 with urllib3 1.26.12. */
#include "test.h"
#include "http/url.c"

TEST(parts) {
    gr_url u;
    CHECK_EQ(gr_url_parse(GR_STR("https://us:er@p@Ex.com:8443/a/b?c=d?e#f#g"), &u), 0);
    CHECK(u.https && !u.ipv6);
    CHECK_EQ(u.port, 8443);
    CHECK_STR(u.userinfo, "us:er@p");
    CHECK_STR(u.host, "Ex.com");
    CHECK_STR(u.path, "/a/b");
    CHECK_STR(u.query, "c=d?e");
    CHECK_STR(u.target, "/a/b?c=d?e");
    CHECK_STR(u.fragment, "f#g");

    CHECK_EQ(gr_url_parse(GR_STR("HTTP://h"), &u), 0);
    CHECK(!u.https);
    CHECK_EQ(u.port, 80);
    CHECK_EQ(u.path.n + u.query.n + u.fragment.n + u.target.n + u.userinfo.n, 0);

    CHECK_EQ(gr_url_parse(GR_STR("https://[::1]?q"), &u), 0);
    CHECK(u.ipv6);
    CHECK_EQ(u.port, 443);
    CHECK_STR(u.host, "::1");
    CHECK_STR(u.query, "q");
    CHECK_STR(u.target, "?q");

    /* As in urllib3 and in browsers, nothing behind a backslash is part of the authority. */
    CHECK_EQ(gr_url_parse(GR_STR("http://good\\@evil/"), &u), 0);
    CHECK_STR(u.host, "good");
    CHECK_EQ(gr_url_parse(GR_STR("http://h/@x:y"), &u), 0);
    CHECK_STR(u.host, "h");
    CHECK_EQ(gr_url_parse(GR_STR("http://xn--bcher-kva.example./"), &u), 0);
    CHECK_STR(u.host, "xn--bcher-kva.example.");
}

TEST(bad_urls) {
    static const struct {
        gr_str url;
        int rc;
    } table[] = {
#define ROW(text, rc) {{text, sizeof(text) - 1}, rc}
        ROW("", GR_E_URL_SCHEME),
        ROW("h", GR_E_URL_SCHEME),
        ROW("/a", GR_E_URL_SCHEME),
        ROW("//h/", GR_E_URL_SCHEME),
        ROW("ftp://h/", GR_E_URL_SCHEME),
        ROW("httpx://h/", GR_E_URL_SCHEME),
        ROW(" http://h/", GR_E_URL_SCHEME),
        ROW("http", GR_E_URL_SCHEME),
        ROW("http:", GR_E_URL_HOST),
        ROW("http:h", GR_E_URL_HOST),
        ROW("http:/h", GR_E_URL_HOST),
        ROW("http://", GR_E_URL_HOST),
        ROW("http:///p", GR_E_URL_HOST),
        ROW("http://u@/p", GR_E_URL_HOST),
        ROW("http://:80/", GR_E_URL_HOST),
        ROW("http://.h/", GR_E_URL_HOST),
        ROW("http://*/", GR_E_URL_HOST),
        ROW("http://a..b/", GR_E_URL_HOST),
        ROW("http://a b/", GR_E_URL_HOST),
        ROW("http://a%41/", GR_E_URL_HOST),
        ROW("http://a\r\nX: y/", GR_E_URL_HOST),
        ROW("http://a\0b/", GR_E_URL_HOST),
        ROW("http://b\xc3\xbc"
            "cher/",
            GR_E_URL_HOST),
        ROW("http://[::1/", GR_E_URL_HOST),
        ROW("http://[]/", GR_E_URL_HOST),
        ROW("http://[::g]/", GR_E_URL_HOST),
        ROW("http://[1.2.3.4]/", GR_E_URL_HOST),
        ROW("http://[fe80::1%25eth0]/", GR_E_URL_HOST),
        ROW("http://[::1]x/", GR_E_URL_HOST),
        ROW("http://[::1\0]/", GR_E_URL_HOST),
        ROW("http://[0000:0000:0000:0000:0000:0000:0000:0000:0000:0000]/", GR_E_URL_HOST),
        ROW("http://::1/", GR_E_URL_HOST),
        ROW("http://h:0/", GR_E_URL_PORT),
        ROW("http://h:65536/", GR_E_URL_PORT),
        ROW("http://h:000080/", GR_E_URL_PORT),
        ROW("http://h:-1/", GR_E_URL_PORT),
        ROW("http://h:8x/", GR_E_URL_PORT),
        ROW("http://h:80:80/", GR_E_URL_PORT),
        ROW("http://h: 80/", GR_E_URL_PORT),
    };
    for (size_t i = 0; i < GR_LEN(table); i++) {
        gr_url u = {.port = 7};
        int rc = gr_url_parse(table[i].url, &u);
        cr_assert(rc == table[i].rc, "%s: %d", table[i].url.p, rc);
        CHECK_EQ(u.port, 7);
    }
}

TEST(the_length_of_a_host_is_bounded) {
    char text[7 + 256 + 1] = "http://";
    gr_url u;
    memset(text + 7, 'a', 256);
    CHECK_EQ(gr_url_parse((gr_str){text, 7 + 255}, &u), 0);
    CHECK_EQ(gr_url_parse((gr_str){text, 7 + 256}, &u), GR_E_URL_HOST);
}

typedef struct pair {
    const char *in, *want;
} pair;

/* `f` gives what is expected, and gives that back as it is when asked again, without copying. */
static void check_quoting(int (*f)(gr_str, gr_buf *, gr_str *), const pair *p, size_t n) {
    gr_buf scratch = GR_BUF_INIT;
    for (size_t i = 0; i < n; i++, p++) {
        gr_str got, again, in = gr_str_c(p->in);
        CHECK_EQ(f(in, &scratch, &got), 0);
        cr_assert(gr_str_eq(got, gr_str_c(p->want)), "\"%s\" is \"%.*s\", expected \"%s\"", p->in,
                  (int)got.n, got.p, p->want);
        if (strcmp(p->in, p->want) == 0) CHECK(got.p == in.p);
        CHECK_EQ(f(gr_str_c(p->want), &scratch, &again), 0);
        if (f == gr_url_prepare) CHECK(again.p == p->want);
    }
    gr_buf_deinit(&scratch);
}

TEST(quoting_as_requests) {
    static const pair table[] = {
        {"http://h/a b", "http://h/a%20b"},
        {"http://h/%7Euser", "http://h/~user"},
        {"http://h/%7euser/%41", "http://h/~user/A"},
        {"http://h/%2f%2F", "http://h/%2f%2F"},
        {"http://h/%zz%41", "http://h/%25zz%2541"},
        {"http://h/100%", "http://h/100%"},
        {"http://h/%4", "http://h/%4"},
        {"http://h/\xc3\xa9?\xc3\xbc=\xc3\x9f", "http://h/%C3%A9?%C3%BC=%C3%9F"},
        {"http://h/\xe6\x97\xa5\xe6\x9c\xac", "http://h/%E6%97%A5%E6%9C%AC"},
        {"http://h/a[1]|b^c`{d}", "http://h/a[1]%7Cb%5Ec%60%7Bd%7D"},
        {"http://h/\"<>\\", "http://h/%22%3C%3E%5C"},
        {"/path only?x=y#z", "/path%20only?x=y#z"},
        {"", ""},
        {"http://h/!#$&'()*+,/:;=?@[]~-._", "http://h/!#$&'()*+,/:;=?@[]~-._"},
        {"http://h/%%20", "http://h/%%20"},
        {"http://h/\x09\x0a\x7f", "http://h/%09%0A%7F"},
        {"%", "%"},
        {"%2", "%2"},
        {"%a", "%a"},
        {"%GG", "%25GG"},
        {"a%GGb%7e", "a%25GGb%257e"},
    };
    check_quoting(gr_url_requote, table, GR_LEN(table));
}

TEST(preparing_as_requests) {
    static const pair table[] = {
        {"http://Example.COM", "http://example.com/"},
        {"HTTP://h/", "http://h/"},
        {"https://h:443/", "https://h:443/"},
        {"http://h:0080/x", "http://h:80/x"},
        {"http://h:/x", "http://h/x"},
        {" \x09\x0ahttp://h/", "http://h/"},
        {"http://h?x", "http://h/?x"},
        {"http://h#f", "http://h/#f"},
        {"http://h/?", "http://h/"},
        {"http://h/#", "http://h/"},
        {"http://h/?#", "http://h/"},
        {"http://h/a/../b/./c", "http://h/b/c"},
        {"http://h/..", "http://h/"},
        {"http://h/../../a/", "http://h/a/"},
        {"http://h/..//a", "http://h/a"},
        {"http://h/a/.", "http://h/a/"},
        {"http://h/.hidden/..x", "http://h/.hidden/..x"},
        {"http://h//a", "http://h//a"},
        {"http://h/a b?c d#e f", "http://h/a%20b?c%20d#e%20f"},
        {"http://h/%7E%41%2f?%7e%26#%5f", "http://h/~A%2F?~%26#_"},
        {"http://h/%zz%2f?%20%", "http://h/%25zz%252F?%2520%25"},
        {"http://h/\xc3\xa9?q=\xc3\xbc&x=%C3%BC", "http://h/%C3%A9?q=%C3%BC&x=%C3%BC"},
        {"http://h/a[1]?b[2]=|#[3]", "http://h/a%5B1%5D?b%5B2%5D=%7C#%5B3%5D"},
        {"http://u:p@h/", "http://u:p@h/"},
        {"http://u%40x:p w@h/", "http://u%40x:p%20w@h/"},
        {"http://u:p@@h/", "http://u:p%40@h/"},
        {"http://@h/", "http://h/"},
        {"http://[2001:DB8::1]:8080/x", "http://[2001:db8::1]:8080/x"},
        {"http://h\\a\\..\\b", "http://h/%5Ca%5C..%5Cb"},
        {"http://h/a;b=c,d?e:f@g/h?i", "http://h/a;b=c,d?e:f@g/h?i"},
        {"http://h/%25", "http://h/%25"},
        {"http://h/%%", "http://h/%25%25"},
        {"http://a_b.c-d.e/", "http://a_b.c-d.e/"},
        {"http://h/\x01\x7f\"<>^`{|}", "http://h/%01%7F%22%3C%3E%5E%60%7B%7C%7D"},
        {"http://127.0.0.1:8080/a?b=c&d=%20+", "http://127.0.0.1:8080/a?b=c&d=%20+"},
    };
    check_quoting(gr_url_prepare, table, GR_LEN(table));
}

TEST(a_clean_url_costs_no_allocation) {
    gr_buf scratch = GR_BUF_INIT;
    gr_str got;
    uint64_t before = gr__alloc_calls();
    CHECK_EQ(gr_url_prepare(GR_STR("http://u:p@[::1]:81/a/b;c?d=e&f=%#g"), &scratch, &got), 0);
    CHECK(gr__alloc_calls() > before); /* '%' needs the longer look */
    gr_buf_deinit(&scratch);
    before = gr__alloc_calls();
    CHECK_EQ(gr_url_prepare(GR_STR("  http://u:p@[::1]:81/a/b;c?d=e&f=#g"), &scratch, &got), 0);
    CHECK_STR(got, "http://u:p@[::1]:81/a/b;c?d=e&f=#g");
    CHECK_EQ(gr_url_requote(got, &scratch, &got), 0);
    CHECK_EQ(gr__alloc_calls(), before);
}

TEST(failed_allocations_change_nothing) {
    gr_buf b = GR_BUF_INIT;
    gr_str got = GR_STR("x");
    gr_url u;
    FAIL_ALLOC_AT(0) CHECK_EQ(gr_url_prepare(GR_STR("http://h/a b"), &b, &got), GR_E_NOMEM);
    FAIL_ALLOC_AT(0) CHECK_EQ(gr_url_requote(GR_STR("a b"), &b, &got), GR_E_NOMEM);
    CHECK_STR(got, "x");
    for (uint64_t n = 0; n < 2; n++)
        FAIL_ALLOC_AT(n)
    CHECK_EQ(gr_url_resolve(GR_STR("http://h/"), GR_STR("a b"), &b), GR_E_NOMEM);
    CHECK_EQ(gr_url_parse(GR_STR("http://h/"), &u), 0);
    FAIL_ALLOC_AT(0) CHECK_EQ(gr_url_target(&u, &b), GR_E_NOMEM);
    FAIL_ALLOC_AT(0) CHECK_EQ(gr_url_host_field(&u, &b), GR_E_NOMEM);
    FAIL_ALLOC_AT(0) CHECK_EQ(gr_url_host_lower(&u, &b), GR_E_NOMEM);
    CHECK_EQ(b.n, 0);
}

static void check_resolve(const char *base, const char *location, const char *want) {
    gr_buf out = GR_BUF_INIT;
    int rc = gr_url_resolve(gr_str_c(base), gr_str_c(location), &out);
    cr_assert(rc == 0, "%s: %d", location, rc);
    cr_assert(gr_str_eq(gr_buf_str(&out), gr_str_c(want)), "%s + %s is %.*s", base, location,
              (int)out.n, out.p);
    gr_buf_deinit(&out);
}

/* RFC 3986 section 5.4, but for the schemes that are not ours. */
TEST(references_of_the_rfc) {
    static const pair table[] = {
        {"g", "http://a/b/c/g"},
        {"./g", "http://a/b/c/g"},
        {"g/", "http://a/b/c/g/"},
        {"/g", "http://a/g"},
        {"//g", "http://g"},
        {"?y", "http://a/b/c/d;p?y"},
        {"g?y", "http://a/b/c/g?y"},
        {"#s", "http://a/b/c/d;p?q#s"},
        {"g#s", "http://a/b/c/g#s"},
        {"g?y#s", "http://a/b/c/g?y#s"},
        {";x", "http://a/b/c/;x"},
        {"g;x", "http://a/b/c/g;x"},
        {"g;x?y#s", "http://a/b/c/g;x?y#s"},
        {"", "http://a/b/c/d;p?q"},
        {".", "http://a/b/c/"},
        {"./", "http://a/b/c/"},
        {"..", "http://a/b/"},
        {"../", "http://a/b/"},
        {"../g", "http://a/b/g"},
        {"../..", "http://a/"},
        {"../../", "http://a/"},
        {"../../g", "http://a/g"},
        {"../../../g", "http://a/g"},
        {"../../../../g", "http://a/g"},
        {"/./g", "http://a/g"},
        {"/../g", "http://a/g"},
        {"g.", "http://a/b/c/g."},
        {".g", "http://a/b/c/.g"},
        {"g..", "http://a/b/c/g.."},
        {"..g", "http://a/b/c/..g"},
        {"./../g", "http://a/b/g"},
        {"./g/.", "http://a/b/c/g/"},
        {"g/./h", "http://a/b/c/g/h"},
        {"g/../h", "http://a/b/c/h"},
        {"g;x=1/./y", "http://a/b/c/g;x=1/y"},
        {"g;x=1/../y", "http://a/b/c/y"},
        {"g?y/./x", "http://a/b/c/g?y/./x"},
        {"g?y/../x", "http://a/b/c/g?y/../x"},
        {"g#s/./x", "http://a/b/c/g#s/./x"},
        {"g#s/../x", "http://a/b/c/g#s/../x"},
        {"http:g", "http://a/b/c/g"},
    };
    for (size_t i = 0; i < GR_LEN(table); i++)
        check_resolve("http://a/b/c/d;p?q", table[i].in, table[i].want);
}

TEST(locations_as_servers_send_them) {
    check_resolve("http://u:p@h:81/a?b", "/c", "http://u:p@h:81/c");
    check_resolve("http://u:p@h:81/a", "//O.x/c", "http://o.x/c");
    check_resolve("http://h/a", "HTTPS://[::1]:9/c?d", "https://[::1]:9/c?d");
    check_resolve("https://[2001:DB8::1]:0443/a", "b", "https://[2001:db8::1]:443/b");
    check_resolve("http://h", "g", "http://h/g");
    check_resolve("http://h?x", "", "http://h?x");
    check_resolve("http://h/a b", "c d?e f", "http://h/c%20d?e%20f");
    check_resolve("http://h/", "/\xc3\xa9/%7euser/%2F", "http://h/%C3%A9/~user/%2F");
    check_resolve("http://h/a/b", "%2e%2e/c", "http://h/c");
    check_resolve("http://h/", "https://k", "https://k");
    check_resolve("http://h/", "https://v@k:/", "https://v@k/");
    /* the first URL's fragment lives on */
    check_resolve("http://h/a#top", "/b", "http://h/b#top");
    check_resolve("http://h/a#top", "http://k/b", "http://k/b#top");
    check_resolve("http://h/a#top", "/b#own", "http://h/b#own");
}

TEST(locations_that_lead_nowhere) {
    static const struct {
        const char *location;
        int rc;
    } table[] = {
        {"ftp://h/", GR_E_URL_SCHEME}, {"javascript:x", GR_E_URL_SCHEME},
        {"h:80/x", GR_E_URL_SCHEME},   {"https:x", GR_E_URL_HOST},
        {"http://", GR_E_URL_HOST},    {"//", GR_E_URL_HOST},
        {"///x", GR_E_URL_HOST},       {"//a b/", GR_E_URL_HOST},
        {"//h:x/", GR_E_URL_PORT},     {"http://[::1", GR_E_URL_HOST},
    };
    gr_buf out = GR_BUF_INIT;
    for (size_t i = 0; i < GR_LEN(table); i++) {
        int rc = gr_url_resolve(GR_STR("http://h/"), gr_str_c(table[i].location), &out);
        cr_assert(rc == table[i].rc, "%s: %d", table[i].location, rc);
    }
    CHECK_EQ(gr_url_resolve(GR_STR("nonsense"), GR_STR("/"), &out), GR_E_URL_SCHEME);
    gr_buf_deinit(&out);
}

static bool same_origin(const char *a, const char *b) {
    gr_url x, y;
    CHECK_EQ(gr_url_parse(gr_str_c(a), &x), 0);
    CHECK_EQ(gr_url_parse(gr_str_c(b), &y), 0);
    return gr_url_same_origin(&x, &y);
}

TEST(origins) {
    CHECK(same_origin("http://H/a", "http://u@h:80/b?c"));
    CHECK(!same_origin("http://h/", "https://h/"));
    CHECK(!same_origin("http://h/", "https://h:80/"));
    CHECK(!same_origin("http://h/", "http://h:81/"));
    CHECK(!same_origin("http://h/", "http://i/"));
}

TEST(what_is_sent) {
    static const struct {
        const char *url, *host, *target;
    } table[] = {
        {"http://Ex.com:80/a?b#c", "ex.com", "/a?b"},
        {"http://h:443", "h:443", "/"},
        {"https://h:443?x", "h", "/?x"},
        {"http://[2001:DB8::A]:81/", "[2001:db8::a]:81", "/"},
    };
    for (size_t i = 0; i < GR_LEN(table); i++) {
        gr_buf out = GR_BUF_INIT;
        gr_url u;
        CHECK_EQ(gr_url_parse(gr_str_c(table[i].url), &u), 0);
        CHECK_EQ(gr_url_host_field(&u, &out), 0);
        CHECK_STR(gr_buf_str(&out), table[i].host);
        gr_buf_clear(&out);
        CHECK_EQ(gr_url_target(&u, &out), 0);
        CHECK_STR(gr_buf_str(&out), table[i].target);
        gr_buf_deinit(&out);
    }
    gr_buf out = GR_BUF_INIT;
    gr_url u;
    CHECK_EQ(gr_url_parse(GR_STR("http://[::AB]/"), &u), 0);
    CHECK_EQ(gr_url_host_lower(&u, &out), 0);
    CHECK_STR(gr_buf_str(&out), "::ab");
    gr_buf_deinit(&out);
}

TEST(addresses) {
    static const char *const ips[] = {"127.0.0.1", "1.2.3.4.", "127.1", "2130706433",
                                      "0x7f.1",    "a.0x1",    "::1"};
    static const char *const names[] = {"", "localhost", "1.2.3.d", "a.b1", "1a", "x0", "."};
    for (size_t i = 0; i < GR_LEN(ips); i++)
        cr_assert(gr_url_host_is_ip(gr_str_c(ips[i])), "%s", ips[i]);
    for (size_t i = 0; i < GR_LEN(names); i++)
        cr_assert(!gr_url_host_is_ip(gr_str_c(names[i])), "%s", names[i]);
}
