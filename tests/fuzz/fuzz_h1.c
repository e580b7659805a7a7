/* Responses from a hostile server. The first two bytes choose the kind of request, the limit of the
 * head and where the input is cut; the rest is fed whole and in those pieces, and both must come to
 * the same. Whatever comes out is also checked for what callers rely on. */
#include "base/alloc.h"
#include "base/rand.h"
#include "http/h1.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct outcome {
    gr_buf head, body;
    gr_headers fields;
    gr_h1 h1;
    size_t used;
    int rc, eof;
    bool told_head, done;
} outcome;

static void check_within(const gr_buf *head, gr_str s) {
    GR_CHECK(s.p >= head->p && s.p + s.n <= head->p + head->n);
}

static void check_head(const outcome *o, size_t head_max) {
    GR_CHECK(o->h1.status >= 100 && o->h1.status <= 999);
    GR_CHECK(o->h1.status / 100 != 1 || o->h1.status == 101);
    GR_CHECK(o->head.n <= head_max && o->fields.n <= GR_H1_FIELDS_MAX);
    GR_CHECK(o->h1.interims <= GR_H1_INTERIMS_MAX);
    GR_CHECK(!(o->h1.chunked && o->h1.has_length));
    check_within(&o->head, o->h1.reason);
    for (uint32_t i = 0; i < o->fields.n; i++) {
        gr_header f = o->fields.at[i];
        check_within(&o->head, f.name);
        check_within(&o->head, f.value);
        GR_CHECK(f.name.n > 0 && gr_str_find(f.name, ':') < 0);
        for (const char *c = "\r\n"; *c; c++)
            GR_CHECK(gr_str_find(f.name, *c) < 0 && gr_str_find(f.value, *c) < 0);
        GR_CHECK(gr_str_find(f.value, '\0') < 0 && gr_str_trim(f.value).n == f.value.n);
    }
}

/* One piece; false when nothing more can come. */
static bool feed(outcome *o, gr_str piece, size_t head_max) {
    size_t n = piece.n;
    for (;;) {
        gr_h1_event event;
        gr_str body;
        size_t before = piece.n;
        o->rc = gr_h1_next(&o->h1, &piece, &event, &body);
        if (o->rc < 0) return false;
        switch (event) {
        case GR_H1_MORE:
            GR_CHECK(piece.n == 0);
            o->used += n;
            return true;
        case GR_H1_HEAD:
            GR_CHECK(!o->told_head);
            o->told_head = true;
            check_head(o, head_max);
            break;
        case GR_H1_BODY:
            GR_CHECK(o->told_head && body.n > 0 && before > piece.n);
            GR_CHECK(gr_buf_add(&o->body, body) == 0);
            break;
        case GR_H1_DONE:
            o->used += n - piece.n;
            o->done = true;
            return false;
        }
    }
}

/* Each piece is an allocation of its own, so that ASan sees a read behind its end. */
static bool feed_copy(outcome *o, gr_str piece, size_t head_max) {
    char *copy = gr_strndup(piece.p, piece.n);
    GR_CHECK(copy);
    bool more = feed(o, (gr_str){copy, piece.n}, head_max);
    gr_free(copy);
    return more;
}

static void parse(outcome *o, gr_str in, gr_h1_kind kind, size_t head_max, uint64_t seed) {
    gr_rand r;
    gr_rand_seed(&r, seed);
    gr_h1_start(&o->h1, &o->head, &o->fields, kind, head_max);
    bool more = true;
    while (more && in.n) {
        size_t n = seed == 0   ? in.n
                   : seed == 1 ? 1
                               : 1 + (size_t)gr_rand_below(&r, GR_MIN(in.n, seed));
        more = feed_copy(o, (gr_str){in.p, n}, head_max);
        in = gr_str_from(in, n);
    }
    o->eof = gr_h1_eof(&o->h1);
    GR_CHECK(o->rc == 0 || o->eof == o->rc);
    GR_CHECK(!o->done || o->eof == 0);
    if (o->told_head && o->h1.has_length) GR_CHECK(o->body.n <= o->h1.length);
}

static void check_same(const outcome *a, const outcome *b) {
    GR_CHECK(a->rc == b->rc && a->eof == b->eof && a->done == b->done &&
             a->told_head == b->told_head);
    GR_CHECK(gr_str_eq(gr_buf_str(&a->body), gr_buf_str(&b->body)));
    if (a->rc == 0) GR_CHECK(a->used == b->used);
    if (!a->told_head) return;
    GR_CHECK(a->h1.status == b->h1.status && a->h1.version_minor == b->h1.version_minor);
    GR_CHECK(a->h1.keep_alive == b->h1.keep_alive && a->h1.interims == b->h1.interims);
    GR_CHECK(gr_str_eq(gr_buf_str(&a->head), gr_buf_str(&b->head)));
    GR_CHECK(a->fields.n == b->fields.n);
    for (uint32_t i = 0; i < a->fields.n; i++) {
        GR_CHECK(gr_str_eq(a->fields.at[i].name, b->fields.at[i].name));
        GR_CHECK(gr_str_eq(a->fields.at[i].value, b->fields.at[i].value));
    }
}

static void outcome_deinit(outcome *o) {
    gr_buf_deinit(&o->head);
    gr_buf_deinit(&o->body);
    gr_headers_deinit(&o->fields);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2) return 0;
    gr_h1_kind kind = (gr_h1_kind)(data[0] % 3);
    size_t head_max = data[0] & 0x80 ? 64 : 4096;
    uint64_t seeds[] = {1, (uint64_t)data[1] + 2};
    gr_str in = {(const char *)data + 2, size - 2};
    outcome whole = {0};
    parse(&whole, in, kind, head_max, 0);
    for (size_t i = 0; i < GR_LEN(seeds); i++) {
        outcome cut = {0};
        parse(&cut, in, kind, head_max, seeds[i]);
        check_same(&whole, &cut);
        outcome_deinit(&cut);
    }
    outcome_deinit(&whole);
    return 0;
}
