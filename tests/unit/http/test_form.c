/* The tables were printed by Python 3.11's urllib, requests 2.28.1 and urllib3 1.26.12. */
#include "test.h"
#include "http/form.c"

TEST(quoting_as_urllib) {
    static const struct {
        gr_str in;
        const char *plus, *path;
    } table[] = {
        {{"", sizeof("") - 1}, "", ""},
        {{"abc XYZ_.-~", sizeof("abc XYZ_.-~") - 1}, "abc+XYZ_.-~", "abc%20XYZ_.-~"},
        {{"a&b=c", sizeof("a&b=c") - 1}, "a%26b%3Dc", "a%26b%3Dc"},
        {{"\xc3\xa9\xe6\x97\xa5", sizeof("\xc3\xa9\xe6\x97\xa5") - 1},
         "%C3%A9%E6%97%A5",
         "%C3%A9%E6%97%A5"},
        {{"!*'();:@,/?#[]%+$", sizeof("!*'();:@,/?#[]%+$") - 1},
         "%21%2A%27%28%29%3B%3A%40%2C%2F%3F%23%5B%5D%25%2B%24",
         "%21%2A%27%28%29%3B%3A%40%2C/%3F%23%5B%5D%25%2B%24"},
        {{"\x00\x0a\x7f\x0d\x0a", sizeof("\x00\x0a\x7f\x0d\x0a") - 1},
         "%00%0A%7F%0D%0A",
         "%00%0A%7F%0D%0A"},
    };
    for (size_t i = 0; i < GR_LEN(table); i++) {
        gr_buf out = GR_BUF_INIT;
        CHECK_EQ(gr_form_quote_plus(&out, table[i].in), 0);
        CHECK_STR(gr_buf_str(&out), table[i].plus);
        gr_buf_clear(&out);
        CHECK_EQ(gr_form_quote(&out, table[i].in, GR_STR("/")), 0);
        CHECK_STR(gr_buf_str(&out), table[i].path);
        gr_buf_deinit(&out);
    }
}

TEST(forms) {
    gr_buf out = GR_BUF_INIT;
    CHECK_EQ(gr_form_add(&out, GR_STR("a b"), GR_STR("1&2")), 0);
    CHECK_EQ(gr_form_add(&out, GR_STR("a b"), GR_STR("")), 0);
    CHECK_EQ(gr_form_add(&out, GR_STR(""), GR_STR("\xc3\xa9?")), 0);
    CHECK_EQ(gr_form_add(&out, GR_STR("x"), GR_STR("&")), 0);
    CHECK_STR(gr_buf_str(&out), "a+b=1%262&a+b=&=%C3%A9%3F&x=%26");
    gr_buf_clear(&out);
    gr_buf_addc(&out, "http://h/?");
    CHECK_EQ(gr_form_add(&out, GR_STR("a"), GR_STR("b")), 0);
    gr_buf_add_byte(&out, '&');
    CHECK_EQ(gr_form_add(&out, GR_STR("c"), GR_STR("d")), 0);
    CHECK_STR(gr_buf_str(&out), "http://h/?a=b&c=d");
    gr_buf_deinit(&out);
}

static gr_buf one_part(const gr_part *part) {
    gr_multipart m = {"BB"};
    gr_buf out = GR_BUF_INIT;
    CHECK_EQ(gr_multipart_part(&m, part, &out), 0);
    gr_buf_addc(&out, "DATA");
    CHECK_EQ(gr_multipart_part_end(&m, &out), 0);
    CHECK_EQ(gr_multipart_end(&m, &out), 0);
    return out;
}

#define DISPOSITION "--BB\r\nContent-Disposition: form-data; "
#define DATA        "\r\n\r\nDATA\r\n--BB--\r\n"

TEST(parts_as_urllib3) {
    static const struct {
        gr_part part;
        const char *want;
    } table[] = {
        {{.name = {"a", 1}}, DISPOSITION "name=\"a\"" DATA},
        {{.name = {"a", 1},
          .filename = {"f.txt", 5},
          .has_filename = true,
          .content_type = {"text/plain", 10}},
         DISPOSITION "name=\"a\"; filename=\"f.txt\"\r\nContent-Type: text/plain" DATA},
        {{.name = {"\xc3\xa9\"\\\r\n\x1b\0\x7f", 9},
          .filename = {"\xe6\x97\xa5\".txt", 8},
          .has_filename = true},
         DISPOSITION
         "name=\"\xc3\xa9%22\\\\%0D%0A\x1b%00\x7f\"; filename=\"\xe6\x97\xa5%22.txt\"" DATA},
        {{.name = {"n", 1}, .has_filename = true}, DISPOSITION "name=\"n\"; filename=\"\"" DATA},
    };
    for (size_t i = 0; i < GR_LEN(table); i++) {
        gr_buf out = one_part(&table[i].part);
        CHECK_STR(gr_buf_str(&out), table[i].want);
        gr_buf_deinit(&out);
    }
}

TEST(parts_with_lines_of_their_own) {
    gr_head more = GR_HEAD_INIT;
    gr_head_add(&more, GR_STR("X-Part"), GR_STR("1"));
    gr_part part = {.name = GR_STR("a"), .content_type = GR_STR("b/c"), .more = &more};
    gr_buf out = one_part(&part);
    CHECK_STR(gr_buf_str(&out), DISPOSITION "name=\"a\"\r\nContent-Type: b/c\r\nX-Part: 1" DATA);
    gr_buf_clear(&out);
    gr_multipart m = {"BB"};
    part.content_type = GR_STR("b\r\nX: y");
    CHECK_EQ(gr_multipart_part(&m, &part, &out), GR_E_REQUEST_HEADER);
    CHECK_EQ(out.n, 0);
    gr_buf_deinit(&out);
    gr_head_deinit(&more);
}

TEST(boundaries) {
    gr_multipart a, b;
    gr_rand r;
    gr_buf out = GR_BUF_INIT;
    gr_rand_seed(&r, 1);
    gr_multipart_init(&a, &r);
    gr_multipart_init(&b, &r);
    CHECK_EQ(strlen(a.boundary), 32);
    CHECK_EQ(strspn(a.boundary, "0123456789abcdef"), 32);
    CHECK(strcmp(a.boundary, b.boundary) != 0);
    CHECK_EQ(gr_multipart_type(&a, &out), 0);
    CHECK(gr_str_starts(gr_buf_str(&out), GR_STR("multipart/form-data; boundary=")));
    CHECK_STR(gr_str_from(gr_buf_str(&out), 30), a.boundary);
    gr_buf_deinit(&out);
}

TEST(base64) {
    static const struct {
        gr_str in;
        const char *want;
    } table[] = {
        {{"", 0}, ""},
        {{"f", 1}, "Zg=="},
        {{"fo", 2}, "Zm8="},
        {{"foo", 3}, "Zm9v"},
        {{"foob", 4}, "Zm9vYg=="},
        {{"fooba", 5}, "Zm9vYmE="},
        {{"foobar", 6}, "Zm9vYmFy"},
        {{"\xfb\xff\xfe\0", 4}, "+//+AA=="},
    };
    for (size_t i = 0; i < GR_LEN(table); i++) {
        gr_buf out = GR_BUF_INIT;
        CHECK_EQ(gr_base64(&out, table[i].in), 0);
        CHECK_STR(gr_buf_str(&out), table[i].want);
        gr_buf_deinit(&out);
    }
}

TEST(basic_credentials) {
    gr_buf out = GR_BUF_INIT;
    CHECK_EQ(gr_basic_auth(&out, GR_STR("Aladdin"), GR_STR("open sesame")), 0);
    CHECK_STR(gr_buf_str(&out), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    gr_buf_clear(&out);
    CHECK_EQ(gr_basic_auth(&out, GR_STR(""), GR_STR("")), 0);
    CHECK_STR(gr_buf_str(&out), "Basic Og==");
    gr_buf_deinit(&out);
}

TEST(charsets_as_requests) {
    static const struct {
        const char *type, *want;
    } table[] = {
        {"text/html; charset=utf-8", "utf-8"},
        {"text/html;charset=\"UTF-8\"", "UTF-8"},
        {"text/html; Charset = 'x' ; a=b", "x"},
        {"text/html; charset=a; charset=b", "b"},
        {"a; =b; charset=c", "c"},
        {"application/json", NULL},
        {"text/html; charset", NULL},
        {"text/html; x=charset=y", NULL},
        {"text/html; charset=", NULL},
        {"text/html; charset=\"", NULL},
        {"charset=x", NULL},
        {";", NULL},
        {"", NULL},
    };
    for (size_t i = 0; i < GR_LEN(table); i++) {
        gr_str got = {NULL, 0};
        CHECK_EQ(gr_content_type_charset(gr_str_c(table[i].type), &got), table[i].want != NULL);
        if (table[i].want) CHECK_STR(got, table[i].want);
    }
    gr_str boundary;
    CHECK(
        gr_content_type_param(GR_STR("multipart/x; Boundary=abc"), GR_STR("boundary"), &boundary));
    CHECK_STR(boundary, "abc");
}

TEST(failed_allocations_leave_the_buffer_as_it_was) {
    gr_multipart m = {"BB"};
    gr_part part = {.name = GR_STR("a")};
    gr_buf out = GR_BUF_INIT;
    FAIL_ALLOC_AT(0) CHECK_EQ(gr_form_quote_plus(&out, GR_STR("a")), GR_E_NOMEM);
    FAIL_ALLOC_AT(0) CHECK_EQ(gr_form_add(&out, GR_STR("a"), GR_STR("b")), GR_E_NOMEM);
    FAIL_ALLOC_AT(0) CHECK_EQ(gr_multipart_part(&m, &part, &out), GR_E_NOMEM);
    FAIL_ALLOC_AT(0) CHECK_EQ(gr_base64(&out, GR_STR("a")), GR_E_NOMEM);
    int rc = GR_E_NOMEM;
    for (uint64_t n = 0; rc == GR_E_NOMEM && n < 9; n++) {
        CHECK_EQ(out.n, 0);
        FAIL_ALLOC_AT(n) rc = gr_basic_auth(&out, GR_STR("a"), GR_STR("b"));
    }
    CHECK_EQ(rc, 0);
    gr_buf_deinit(&out);
}
