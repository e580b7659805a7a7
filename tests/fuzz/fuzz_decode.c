/* Compressed bodies from a hostile server. The first byte chooses the codings, the second how the
 * body is cut. Whole and in pieces it must come to the same, and never to more than the limit. */
#include "base/alloc.h"
#include "base/err.h"
#include "http/decode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define OUT_MAX 100000u

typedef struct outcome {
    gr_buf out;
    int rc;
} outcome;

/* All that `piece` gives, `room` bytes at a time. Every round but the last fills its room. */
static int drain(gr_decoder *d, gr_str piece, size_t room, gr_buf *out) {
    for (;;) {
        size_t before = out->n;
        int rc = gr_decoder_feed(d, &piece, room, out);
        GR_CHECK(out->n - before <= room && out->n <= OUT_MAX);
        if (rc == 0) GR_CHECK(piece.n == 0);
        if (rc != 1) return rc;
        GR_CHECK(out->n - before == room);
    }
}

static outcome decode(gr_decoder *d, gr_str coding, gr_str in, size_t step, size_t room) {
    outcome o = {.rc = gr_decoder_start(d, coding, OUT_MAX)};
    while (o.rc == 0 && in.n) {
        size_t n = GR_MIN(step, in.n);
        char *copy = gr_strndup(in.p, n); /* so that ASan sees a read behind it */
        GR_CHECK(copy);
        o.rc = drain(d, (gr_str){copy, n}, room, &o.out);
        gr_free(copy);
        in = gr_str_from(in, n);
    }
    if (o.rc == 0) o.rc = gr_decoder_end(d);
    return o;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const gr_str codings[] = {{"gzip", 4},          {"deflate", 7},  {"br", 2},
                                     {"zstd", 4},          {"gzip, br", 8}, {"gzip,gzip,gzip", 14},
                                     {"zstd,deflate", 12}, {"identity", 8}};
    if (size < 2) return 0;
    gr_str coding = codings[data[0] % GR_LEN(codings)], in = {(const char *)data + 2, size - 2};
    gr_decoder *d = gr_decoder_new(); /* one for both: it must come clean */
    GR_CHECK(d);
    outcome whole = decode(d, coding, in, SIZE_MAX, SIZE_MAX);
    outcome cut = decode(d, coding, in, 1 + data[1] % 16, 1 + data[1]);
    GR_CHECK(whole.rc == 0 || whole.rc == GR_E_DECODE || whole.rc == GR_E_BODY_TOO_LARGE);
    GR_CHECK(whole.rc == cut.rc);
    if (whole.rc == 0) GR_CHECK(gr_str_eq(gr_buf_str(&whole.out), gr_buf_str(&cut.out)));
    gr_buf_deinit(&whole.out);
    gr_buf_deinit(&cut.out);
    gr_decoder_free(d);
    return 0;
}
