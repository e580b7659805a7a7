/* See headers.h. A gr_head is text from the start, so that sending a request copies one block; a
 * gr_headers is a flat array searched from the front: real heads have about ten fields. */
#include "http/headers.h"
#include "http/headers_int.h"
#include "base/alloc.h"
#include "base/err.h"

/* RFC 9110 "tchar". */
static const bool token_chars[256] = {
    ['!'] = true,         ['#' ... '\''] = true, ['*'] = true,         ['+'] = true, ['-'] = true,
    ['.'] = true,         ['0' ... '9'] = true,  ['A' ... 'Z'] = true, ['^'] = true, ['_'] = true,
    ['`' ... 'z'] = true, ['|'] = true,          ['~'] = true,
};

bool gr__http_token(gr_str s) {
    for (size_t i = 0; i < s.n; i++)
        if (!token_chars[(unsigned char)s.p[i]]) return false;
    return s.n > 0;
}

bool gr__http_list_next(gr_str *list, gr_str *item) {
    if (!list->p) return false;
    ptrdiff_t comma = gr_str_find(*list, ',');
    size_t n = comma < 0 ? list->n : (size_t)comma;
    *item = gr_str_trim((gr_str){list->p, n});
    *list = comma < 0 ? (gr_str){NULL, 0} : gr_str_from(*list, n + 1);
    return true;
}

bool gr__http_list_has(gr_str list, gr_str item) {
    gr_str one;
    while (gr__http_list_next(&list, &one))
        if (gr_str_ieq(one, item)) return true;
    return false;
}

void gr_head_deinit(gr_head *h) {
    if (!h) return;
    gr_buf_deinit(&h->lines);
    h->flags = 0;
}

void gr_head_clear(gr_head *h) {
    gr_buf_clear(&h->lines);
    h->flags = 0;
}

/* The field's GR_HEAD_* flag; 0 for the many that mean nothing to the engine. */
static unsigned flag_of(gr_str name, gr_str value) {
    static const struct {
        gr_str name;
        unsigned flag;
        gr_str item; /* only when the value lists this; empty: always */
    } known[] = {
        {{"Host", 4}, GR_HEAD_HOST, {NULL, 0}},
        {{"Cookie", 6}, GR_HEAD_COOKIE, {NULL, 0}},
        {{"Content-Length", 14}, GR_HEAD_CONTENT_LENGTH, {NULL, 0}},
        {{"Transfer-Encoding", 17}, GR_HEAD_TRANSFER_ENCODING, {NULL, 0}},
        {{"Connection", 10}, GR_HEAD_CONNECTION_CLOSE, {"close", 5}},
        {{"Authorization", 13}, GR_HEAD_AUTHORIZATION, {NULL, 0}},
        {{"Expect", 6}, GR_HEAD_EXPECT_CONTINUE, {"100-continue", 12}},
    };
    for (size_t i = 0; i < GR_LEN(known); i++)
        if (gr_str_ieq(name, known[i].name))
            return !known[i].item.n || gr__http_list_has(value, known[i].item) ? known[i].flag : 0;
    return 0;
}

static bool holds(gr_str s, char c) {
    return gr_str_find(s, c) >= 0;
}

int gr_head_add(gr_head *h, gr_str name, gr_str value) {
    if (!gr__http_token(name) || holds(value, '\r') || holds(value, '\n') || holds(value, '\0'))
        return GR_E_REQUEST_HEADER;
    int rc = gr_buf_reserve(&h->lines, name.n + value.n + 4);
    if (rc < 0) return rc;
    char *p = h->lines.p + h->lines.n;
    memcpy(p, name.p, name.n);
    p += name.n;
    *p++ = ':';
    *p++ = ' ';
    if (value.n) memcpy(p, value.p, value.n);
    p += value.n;
    *p++ = '\r';
    *p++ = '\n';
    h->lines.n = (size_t)(p - h->lines.p);
    h->flags |= flag_of(name, value);
    return 0;
}

void gr_headers_deinit(gr_headers *hs) {
    if (!hs) return;
    gr_free(hs->at);
    *hs = (gr_headers){NULL, 0, 0};
}

const gr_header *gr_headers_next(const gr_headers *hs, gr_str name, const gr_header *prev) {
    for (uint32_t i = prev ? (uint32_t)(prev - hs->at) + 1 : 0; i < hs->n; i++)
        if (gr_str_ieq(hs->at[i].name, name)) return &hs->at[i];
    return NULL;
}

const gr_header *gr_headers_get(const gr_headers *hs, gr_str name) {
    return gr_headers_next(hs, name, NULL);
}
