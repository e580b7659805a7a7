/* Writing heads that cannot be broken out of, and finding fields in one that was read. */
#include "test.h"
#include "http/headers.c"

TEST(lines_are_text_from_the_start) {
    gr_head h = GR_HEAD_INIT;
    CHECK_EQ(gr_head_add(&h, GR_STR("Accept"), GR_STR("*/*")), 0);
    CHECK_EQ(gr_head_add(&h, GR_STR("X-Empty"), (gr_str){NULL, 0}), 0);
    CHECK_STR(gr_buf_str(&h.lines), "Accept: */*\r\nX-Empty: \r\n");
    CHECK_EQ(h.flags, 0);
    gr_head_clear(&h);
    CHECK_EQ(h.lines.n, 0);
    gr_head_deinit(&h);
    gr_head_deinit(NULL);
}

TEST(fields_that_the_engine_would_add_are_noticed) {
    static const struct {
        const char *name, *value;
        unsigned flags;
    } table[] = {
        {"hOsT", "x", GR_HEAD_HOST},
        {"Cookie", "a=b", GR_HEAD_COOKIE},
        {"content-length", "5", GR_HEAD_CONTENT_LENGTH},
        {"Transfer-Encoding", "chunked", GR_HEAD_TRANSFER_ENCODING},
        {"Connection", "upgrade , Close", GR_HEAD_CONNECTION_CLOSE},
        {"Connection", "keep-alive", 0},
        {"Connection", "closed", 0},
        {"Authorization", "Basic x", GR_HEAD_AUTHORIZATION},
        {"Expect", "100-Continue", GR_HEAD_EXPECT_CONTINUE},
        {"Expect", "200", 0},
        {"Proxy-Authorization", "x", 0},
    };
    for (size_t i = 0; i < GR_LEN(table); i++) {
        gr_head h = GR_HEAD_INIT;
        CHECK_EQ(gr_head_add(&h, gr_str_c(table[i].name), gr_str_c(table[i].value)), 0);
        cr_assert(h.flags == table[i].flags, "%s: %s gives %u", table[i].name, table[i].value,
                  h.flags);
        gr_head_deinit(&h);
    }
    gr_head h = GR_HEAD_INIT;
    gr_head_add(&h, GR_STR("Host"), GR_STR("a"));
    gr_head_add(&h, GR_STR("Cookie"), GR_STR("b"));
    CHECK_EQ(h.flags, GR_HEAD_HOST | GR_HEAD_COOKIE);
    gr_head_deinit(&h);
}

TEST(what_would_break_the_line_is_refused) {
    static const struct {
        gr_str name, value;
    } table[] = {
        {{"", 0}, {"v", 1}},        {{"A B", 3}, {"v", 1}},      {{"A:", 2}, {"v", 1}},
        {{"A\r\n", 3}, {"v", 1}},   {{"\xc3\xa9", 2}, {"v", 1}}, {{"A", 1}, {"v\r", 2}},
        {{"A", 1}, {"v\nB: c", 6}}, {{"A", 1}, {"v\0w", 3}},
    };
    gr_head h = GR_HEAD_INIT;
    gr_head_add(&h, GR_STR("Good"), GR_STR("1"));
    for (size_t i = 0; i < GR_LEN(table); i++) {
        CHECK_EQ(gr_head_add(&h, table[i].name, table[i].value), GR_E_REQUEST_HEADER);
        CHECK_STR(gr_buf_str(&h.lines), "Good: 1\r\n");
    }
    gr_head_deinit(&h);
    FAIL_ALLOC_AT(0) CHECK_EQ(gr_head_add(&h, GR_STR("Host"), GR_STR("v")), GR_E_NOMEM);
    CHECK_EQ(h.flags, 0);
}

TEST(tokens) {
    CHECK(gr__http_token(GR_STR("azAZ09!#$%&'*+-.^_`|~")));
    for (int c = 0; c < 256; c++) {
        char byte = (char)c;
        bool want = c > ' ' && c < 0x7f && !strchr("\"(),/:;<=>?@[\\]{}", c);
        cr_assert(gr__http_token((gr_str){&byte, 1}) == want, "%d", c);
    }
}

TEST(lists) {
    gr_str list = GR_STR(" a ,,b\t, c"), item;
    const char *const want[] = {"a", "", "b", "c"};
    for (size_t i = 0; i < GR_LEN(want); i++) {
        CHECK(gr__http_list_next(&list, &item));
        CHECK_STR(item, want[i]);
    }
    CHECK(!gr__http_list_next(&list, &item));
    list = GR_STR("a,");
    CHECK(gr__http_list_next(&list, &item));
    CHECK(gr__http_list_next(&list, &item));
    CHECK_EQ(item.n, 0);
    CHECK(!gr__http_list_next(&list, &item));
    CHECK(gr__http_list_has(GR_STR("x, CLOSE"), GR_STR("close")));
    CHECK(!gr__http_list_has(GR_STR("x close"), GR_STR("close")));
    CHECK(!gr__http_list_has((gr_str){NULL, 0}, GR_STR("close")));
}

static gr_str value_of(const gr_header *h) {
    return h ? h->value : (gr_str){NULL, 0};
}

TEST(finding_fields) {
    gr_header at[] = {
        {GR_STR("A"), GR_STR("1")}, {GR_STR("B"), GR_STR("2")}, {GR_STR("a"), GR_STR("3")}};
    gr_headers hs = {at, 3, 3};
    CHECK_STR(value_of(gr_headers_get(&hs, GR_STR("a"))), "1");
    CHECK_STR(value_of(gr_headers_get(&hs, GR_STR("b"))), "2");
    CHECK(!gr_headers_get(&hs, GR_STR("c")));
    const gr_header *h = gr_headers_next(&hs, GR_STR("A"), NULL);
    h = gr_headers_next(&hs, GR_STR("A"), h);
    CHECK_STR(value_of(h), "3");
    CHECK(!gr_headers_next(&hs, GR_STR("A"), h));
    gr_headers empty = {NULL, 0, 0};
    CHECK(!gr_headers_get(&empty, GR_STR("A")));
    gr_headers_deinit(&empty);
    gr_headers_deinit(NULL);
}
