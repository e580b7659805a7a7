/* gzip, zlib and zstd bodies are made here; brotli's compressor is no dependency, so its bodies are
 * given as bytes. Each body is decoded whole, byte by byte, and with tiny room for the output. */
#include "test.h"
#include "http/decode.c"

#define HELLO "hello, hello, hello brotli\n"
static const char brotli_hello[] =
    "\x0b\x0d\x80\x68\x65\x6c\x6c\x6f\x2c\x20\x68\x65\x6c\x6c\x6f\x2c\x20\x68\x65\x6c"
    "\x6c\x6f\x20\x62\x72\x6f\x74\x6c\x69\x0a\x03";
static const char brotli_100k_a[] = "\x5b\x9f\x86\x81\x5f\x22\x2c\x1e\x0b\x04\xb2\xfc\x02\x00";
static const char brotli_empty[] = "\x06";
#define BYTES(array) ((gr_str){(array), sizeof(array) - 1})

static gr_buf buf_of(gr_str s) {
    gr_buf b = GR_BUF_INIT;
    gr_buf_add(&b, s);
    return b;
}

static gr_buf repeated(char c, size_t n) {
    gr_buf b = GR_BUF_INIT;
    CHECK_EQ(gr_buf_reserve(&b, n), 0);
    memset(b.p, c, n);
    b.n = n;
    return b;
}

static gr_buf deflated(gr_str s, int window) { /* +16: gzip, negative: raw */
    z_stream z = {0};
    gr_buf out = GR_BUF_INIT;
    CHECK_EQ(deflateInit2(&z, 6, Z_DEFLATED, window, 8, Z_DEFAULT_STRATEGY), Z_OK);
    CHECK_EQ(gr_buf_reserve(&out, deflateBound(&z, s.n) + 64), 0);
    z.next_in = (const Bytef *)s.p;
    z.avail_in = (uInt)s.n;
    z.next_out = (Bytef *)out.p;
    z.avail_out = (uInt)out.cap;
    CHECK_EQ(deflate(&z, Z_FINISH), Z_STREAM_END);
    out.n = out.cap - z.avail_out;
    deflateEnd(&z);
    return out;
}

static gr_buf gzipped(gr_str s) {
    return deflated(s, 15 + 16);
}

static gr_buf zstded(gr_str s) {
    gr_buf out = GR_BUF_INIT;
    CHECK_EQ(gr_buf_reserve(&out, ZSTD_compressBound(s.n)), 0);
    out.n = ZSTD_compress(out.p, out.cap, s.p, s.n, 3);
    CHECK(!ZSTD_isError(out.n));
    return out;
}

static void append(gr_buf *b, gr_buf more) {
    gr_buf_add(b, gr_buf_str(&more));
    gr_buf_deinit(&more);
}

/* Everything out of `piece`, `room` bytes at a time. */
static int drain(gr_decoder *d, gr_str piece, size_t room, gr_buf *out) {
    for (int round = 0; round < 1000000; round++) {
        size_t before = out->n;
        int rc = gr_decoder_feed(d, &piece, room, out);
        CHECK(out->n - before <= room);
        if (rc != 1) {
            if (rc == 0) CHECK_EQ(piece.n, 0);
            return rc;
        }
    }
    cr_assert(false, "no end");
    return 0;
}

/* The end's code, or the first error. */
static int decode(gr_decoder *d, const char *coding, gr_str in, size_t step, size_t room,
                  gr_buf *out) {
    int rc = gr_decoder_start(d, gr_str_c(coding), 0);
    for (size_t at = 0; at < in.n && rc == 0; at += step) {
        size_t n = GR_MIN(step, in.n - at);
        char *copy = gr_strndup(in.p + at, n);
        rc = drain(d, (gr_str){copy, n}, room, out);
        gr_free(copy);
    }
    return rc < 0 ? rc : gr_decoder_end(d);
}

/* One decoder does it in all ways, one after the other. */
static void check_decodes(const char *coding, gr_str in, int rc, gr_str want) {
    static const size_t ways[][2] = {
        {SIZE_MAX / 2, SIZE_MAX}, {1, SIZE_MAX}, {SIZE_MAX / 2, 1}, {3, 7}, {SIZE_MAX / 2, 4096}};
    gr_decoder *d = gr_decoder_new();
    for (size_t i = 0; i < GR_LEN(ways); i++) {
        gr_buf out = GR_BUF_INIT;
        int got = decode(d, coding, in, ways[i][0], ways[i][1], &out);
        cr_assert(got == rc, "%s, way %zu: %d, expected %d", coding, i, got, rc);
        if (rc == 0)
            cr_assert(gr_str_eq(gr_buf_str(&out), want), "%s, way %zu: %zu bytes, expected %zu",
                      coding, i, out.n, want.n);
        gr_buf_deinit(&out);
    }
    gr_decoder_free(d);
}

static void check_and_free(const char *coding, gr_buf in, int rc, gr_str want) {
    check_decodes(coding, gr_buf_str(&in), rc, want);
    gr_buf_deinit(&in);
}

TEST(every_coding) {
    gr_str text = GR_STR(HELLO);
    check_and_free("gzip", gzipped(text), 0, text);
    check_and_free("X-GZIP", gzipped(text), 0, text);
    check_and_free("deflate", deflated(text, 15), 0, text);
    check_and_free("deflate", deflated(text, 9), 0, text);
    check_and_free("deflate", deflated(text, -15), 0, text);
    check_and_free("zstd", zstded(text), 0, text);
    check_decodes("br", BYTES(brotli_hello), 0, text);
    check_and_free(" identity , gzip ,", gzipped(text), 0, text);
}

TEST(long_bodies) {
    gr_buf text = GR_BUF_INIT;
    for (unsigned i = 0; i < 20000; i++)
        gr_buf_addf(&text, "%x.", i * 2654435761u);
    check_and_free("gzip", gzipped(gr_buf_str(&text)), 0, gr_buf_str(&text));
    check_and_free("deflate", deflated(gr_buf_str(&text), -15), 0, gr_buf_str(&text));
    check_and_free("zstd", zstded(gr_buf_str(&text)), 0, gr_buf_str(&text));
    gr_buf_deinit(&text);
    text = repeated('a', 100000);
    check_decodes("br", BYTES(brotli_100k_a), 0, gr_buf_str(&text));
    gr_buf_deinit(&text);
}

TEST(empty_bodies) {
    gr_str none = {NULL, 0};
    static const char *const codings[] = {"gzip", "deflate", "br", "zstd", "gzip, br", ""};
    for (size_t i = 0; i < GR_LEN(codings); i++)
        check_decodes(codings[i], none, 0, none);
    check_and_free("gzip", gzipped(none), 0, none);
    check_and_free("zstd", zstded(none), 0, none);
    check_decodes("br", BYTES(brotli_empty), 0, none);
}

TEST(stacks) {
    gr_str text = GR_STR(HELLO);
    gr_buf once = gzipped(text), twice = zstded(gr_buf_str(&once));
    gr_buf thrice = deflated(gr_buf_str(&twice), 15), four = gzipped(gr_buf_str(&thrice));
    check_decodes("gzip, zstd", gr_buf_str(&twice), 0, text);
    check_decodes("gzip,zstd,identity,deflate", gr_buf_str(&thrice), 0, text);
    check_decodes("gzip, zstd, deflate, gzip", gr_buf_str(&four), GR_E_DECODE, text);
    check_decodes("zstd, gzip", gr_buf_str(&twice), GR_E_DECODE, text);
    check_and_free("br, gzip", gzipped(BYTES(brotli_hello)), 0, text);
    twice.n--; /* the outer layer is not complete, the inner one is */
    check_decodes("gzip, zstd", gr_buf_str(&twice), GR_E_DECODE, text);
    once.n--; /* the other way round */
    check_and_free("gzip, deflate", deflated(gr_buf_str(&once), 15), GR_E_DECODE, text);
    gr_buf_deinit(&once);
    gr_buf_deinit(&twice);
    gr_buf_deinit(&thrice);
    gr_buf_deinit(&four);
}

TEST(unknown_codings_pass_through) {
    static const char *const codings[] = {"",        "identity", "compress", "gzip, exi",
                                          "exi, br", "gzip;q=1", ",,"};
    gr_decoder *d = gr_decoder_new();
    for (size_t i = 0; i < GR_LEN(codings); i++) {
        check_decodes(codings[i], GR_STR("raw\0bytes"), 0, GR_STR("raw\0bytes"));
        CHECK_EQ(gr_decoder_start(d, gr_str_c(codings[i]), 0), 0);
        CHECK(!gr_decoder_active(d));
    }
    CHECK_EQ(gr_decoder_start(d, GR_STR("gzip"), 0), 0);
    CHECK(gr_decoder_active(d));
    gr_decoder_free(d);
    gr_decoder_free(NULL);
}

TEST(members_one_after_the_other) {
    gr_buf in = gzipped(GR_STR("one "));
    append(&in, gzipped(GR_STR("")));
    append(&in, gzipped(GR_STR("two")));
    check_decodes("gzip", gr_buf_str(&in), 0, GR_STR("one two"));
    in.n -= 9; /* into the last member's data */
    check_and_free("gzip", in, GR_E_DECODE, (gr_str){NULL, 0});
    in = zstded(GR_STR("one "));
    append(&in, zstded(GR_STR("two")));
    check_and_free("zstd", in, 0, GR_STR("one two"));
}

TEST(garbage_behind_the_end_is_ignored) {
    static const gr_str garbage[] = {
        {"\0\0\0\0", 4}, {"\x1f", 1}, {"\x1f\x8b", 2}, {"trailing", 8}, {"\n", 1}};
    for (size_t i = 0; i < GR_LEN(garbage); i++) {
        gr_buf in = gzipped(GR_STR("one"));
        gr_buf_add(&in, garbage[i]);
        check_and_free("gzip", in, 0, GR_STR("one"));
        in = deflated(GR_STR("one"), 15);
        gr_buf_add(&in, garbage[i]);
        check_and_free("deflate", in, 0, GR_STR("one"));
        in = buf_of(BYTES(brotli_hello));
        gr_buf_add(&in, garbage[i]);
        check_and_free("br", in, 0, GR_STR(HELLO));
        in = zstded(GR_STR("one"));
        gr_buf_add(&in, garbage[i]);
        check_and_free("zstd", in, 0, GR_STR("one"));
    }
}

TEST(every_truncation_is_noticed) {
    gr_buf text = repeated('x', 300);
    gr_buf bodies[] = {gzipped(gr_buf_str(&text)), deflated(gr_buf_str(&text), 15),
                       zstded(gr_buf_str(&text)), buf_of(BYTES(brotli_hello))};
    static const char *const codings[] = {"gzip", "deflate", "zstd", "br"};
    for (size_t i = 0; i < GR_LEN(bodies); i++) {
        for (size_t n = 1; n < bodies[i].n; n++)
            check_decodes(codings[i], (gr_str){bodies[i].p, n}, GR_E_DECODE, (gr_str){NULL, 0});
        gr_buf_deinit(&bodies[i]);
    }
    gr_buf_deinit(&text);
}

TEST(corrupt_bodies) {
    static const char *const codings[] = {"gzip", "deflate", "br", "zstd"};
    for (size_t i = 0; i < GR_LEN(codings); i++)
        check_decodes(codings[i], GR_STR("<html>this is not compressed</html>"), GR_E_DECODE,
                      (gr_str){NULL, 0});
    gr_buf in = gzipped(GR_STR(HELLO HELLO HELLO));
    in.p[in.n - 6] ^= 1; /* checksum */
    check_and_free("gzip", in, GR_E_DECODE, (gr_str){NULL, 0});
}

/* Also when the error is the outer layer's: what it gave before must reach the inner one. */
TEST(what_came_before_an_error_is_delivered) {
    gr_buf inner = zstded(GR_STR(HELLO)), in = gzipped(gr_buf_str(&inner)), out = GR_BUF_INIT;
    gr_decoder *d = gr_decoder_new();
    in.p[in.n - 6] ^= 1; /* checksum */
    CHECK_EQ(decode(d, "zstd, gzip", gr_buf_str(&in), SIZE_MAX / 2, SIZE_MAX, &out), GR_E_DECODE);
    CHECK_STR(gr_buf_str(&out), HELLO);
    gr_str more = GR_STR("x");
    CHECK_EQ(gr_decoder_feed(d, &more, SIZE_MAX, &out), GR_E_DECODE); /* for good */
    CHECK_EQ(gr_decoder_end(d), GR_E_DECODE);
    gr_decoder_free(d);
    gr_buf_deinit(&inner);
    gr_buf_deinit(&in);
    gr_buf_deinit(&out);
}

TEST(a_large_zstd_window_is_refused) {
    /* frame header: no content size, window descriptor 27 << 3 for 2^37 bytes */
    check_decodes("zstd", GR_STR("\x28\xb5\x2f\xfd\x00\xd8\x01\x00\x00"), GR_E_DECODE,
                  (gr_str){NULL, 0});
}

/* libzstd as Debian builds it still reads them, each version by a decoder of its own. */
TEST(zstd_from_before_its_first_version_is_refused) {
    for (char version = 0x22; version <= 0x27; version++) {
        gr_buf body = zstded(GR_STR(HELLO));
        body.p[0] = version;
        check_decodes("zstd", (gr_str){body.p, 4}, GR_E_DECODE, (gr_str){NULL, 0});
        gr_buf behind = zstded(GR_STR(HELLO));
        append(&behind, body);
        check_and_free("zstd", behind, 0, GR_STR(HELLO));
    }
    check_decodes("zstd", GR_STR("\xfd\x2f\xb5\x1e"), GR_E_DECODE, (gr_str){NULL, 0});
    gr_buf skipped = buf_of(GR_STR("\x5e\x2a\x4d\x18\x02\x00\x00\x00xx"));
    append(&skipped, zstded(GR_STR(HELLO)));
    check_and_free("zstd", skipped, 0, GR_STR(HELLO));
}

/* gzip of `s`, over and over, for as long as it takes to make up `total` bytes. */
static gr_buf gzipped_often(gr_str s, size_t total) {
    z_stream z = {0};
    gr_buf block = GR_BUF_INIT, out = GR_BUF_INIT;
    CHECK_EQ(deflateInit2(&z, 1, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    for (int i = 0; i < 5000; i++)
        CHECK_EQ(gr_buf_add(&block, s), 0);
    for (size_t n = 0, last = 0; !last; n += block.n) {
        last = n + block.n >= total;
        z.next_in = (const Bytef *)block.p;
        z.avail_in = (uInt)block.n;
        do {
            CHECK_EQ(gr_buf_reserve(&out, 65536), 0);
            z.next_out = (Bytef *)out.p + out.n;
            z.avail_out = 65536;
            deflate(&z, last ? Z_FINISH : Z_NO_FLUSH);
            out.n += 65536 - z.avail_out;
        } while (z.avail_out == 0);
    }
    deflateEnd(&z);
    gr_buf_deinit(&block);
    return out;
}

/* Empty members inside of another gzip: nothing ever comes out, so the limit of the output does
 * not see what has to be gone through. */
TEST(work_between_layers_is_bounded) {
    gr_buf nothing = gzipped((gr_str){NULL, 0}), out = GR_BUF_INIT;
    gr_buf body = gzipped_often(gr_buf_str(&nothing), BETWEEN_BYTES_MAX + 200000);
    CHECK(body.n < BETWEEN_BYTES_MAX / 50);
    gr_decoder *d = gr_decoder_new();
    CHECK_EQ(decode(d, "gzip, gzip", gr_buf_str(&body), SIZE_MAX / 2, SIZE_MAX, &out),
             GR_E_BODY_TOO_LARGE);
    CHECK_EQ(out.n, 0); /* and the next body begins to count anew */
    gr_buf small = gzipped(GR_STR(HELLO)), twice = gzipped(gr_buf_str(&small));
    CHECK_EQ(decode(d, "gzip, gzip", gr_buf_str(&twice), SIZE_MAX / 2, SIZE_MAX, &out), 0);
    CHECK_STR(gr_buf_str(&out), HELLO);
    gr_decoder_free(d);
    gr_buf_deinit(&nothing);
    gr_buf_deinit(&body);
    gr_buf_deinit(&small);
    gr_buf_deinit(&twice);
    gr_buf_deinit(&out);
}

static void check_limit(const char *coding, gr_str in, uint64_t out_max, int rc, size_t n) {
    static const size_t steps[] = {SIZE_MAX / 2, 5};
    for (size_t i = 0; i < GR_LEN(steps); i++) {
        gr_decoder *d = gr_decoder_new();
        gr_buf out = GR_BUF_INIT;
        int got = gr_decoder_start(d, gr_str_c(coding), out_max);
        for (size_t at = 0; at < in.n && got == 0; at += steps[i])
            got = drain(d, (gr_str){in.p + at, GR_MIN(steps[i], in.n - at)}, SIZE_MAX, &out);
        CHECK_EQ(got, rc);
        CHECK_EQ(out.n, n);
        CHECK(out.cap < 600000); /* a bomb must not even be unpacked */
        gr_buf_deinit(&out);
        gr_decoder_free(d);
    }
}

TEST(limits) {
    gr_buf text = repeated('a', 50000000), bomb = gzipped(gr_buf_str(&text));
    gr_buf nested = gzipped(gr_buf_str(&bomb)), zstd = zstded(gr_buf_str(&text));
    gr_buf_deinit(&text);
    check_limit("gzip", gr_buf_str(&bomb), 1000, GR_E_BODY_TOO_LARGE, 1000);
    check_limit("zstd", gr_buf_str(&zstd), 1000, GR_E_BODY_TOO_LARGE, 1000);
    check_limit("gzip, gzip", gr_buf_str(&nested), 1000, GR_E_BODY_TOO_LARGE, 1000);
    check_limit("br", BYTES(brotli_100k_a), 99999, GR_E_BODY_TOO_LARGE, 99999);
    check_limit("br", BYTES(brotli_100k_a), 100000, 0, 100000);
    check_limit("", GR_STR("123456789"), 8, GR_E_BODY_TOO_LARGE, 8);
    check_limit("", GR_STR("123456789"), 9, 0, 9);
    gr_buf_deinit(&bomb);
    gr_buf_deinit(&nested);
    gr_buf_deinit(&zstd);
}

TEST(a_warm_decoder_allocates_nothing) {
    static const char *const codings[] = {"gzip", "deflate", "deflate", "zstd"};
    gr_buf bodies[] = {gzipped(GR_STR(HELLO)), deflated(GR_STR(HELLO), 15),
                       deflated(GR_STR(HELLO), -15), zstded(GR_STR(HELLO))};
    gr_decoder *d = gr_decoder_new();
    gr_buf out = GR_BUF_INIT;
    uint64_t before = 0;
    for (unsigned round = 0; round < 3; round++) {
        if (round == 2) before = gr__alloc_calls();
        for (size_t i = 0; i < GR_LEN(bodies); i++) {
            gr_str in = gr_buf_str(&bodies[i]);
            gr_buf_clear(&out);
            CHECK_EQ(gr_decoder_start(d, gr_str_c(codings[i]), 1000), 0);
            CHECK_EQ(gr_decoder_feed(d, &in, SIZE_MAX, &out), 0);
            CHECK_EQ(gr_decoder_end(d), 0);
            CHECK_STR(gr_buf_str(&out), HELLO);
        }
    }
    CHECK_EQ(gr__alloc_calls(), before);
    for (size_t i = 0; i < GR_LEN(bodies); i++)
        gr_buf_deinit(&bodies[i]);
    gr_buf_deinit(&out);
    gr_decoder_free(d);
}

static int decode_failing_at(uint64_t n, const char *coding, gr_str in) {
    gr_buf out = GR_BUF_INIT;
    gr_decoder *d;
    int rc = GR_E_NOMEM;
    FAIL_ALLOC_AT(n) {
        if ((d = gr_decoder_new())) {
            rc = gr_decoder_start(d, gr_str_c(coding), 0);
            if (rc == 0) rc = gr_decoder_feed(d, &in, SIZE_MAX, &out);
            gr_decoder_free(d);
        }
    }
    gr_buf_deinit(&out);
    return rc;
}

TEST(each_failed_allocation_is_survived) {
    gr_buf gzip = gzipped(GR_STR(HELLO)), two = gzipped(gr_buf_str(&gzip));
    const struct {
        const char *coding;
        gr_str in;
    } table[] = {{"gzip", gr_buf_str(&gzip)},
                 {"gzip, gzip", gr_buf_str(&two)},
                 {"br", BYTES(brotli_hello)},
                 {"br", BYTES(brotli_100k_a)},
                 {"", GR_STR("raw")}};
    for (size_t i = 0; i < GR_LEN(table); i++) {
        int rc = GR_E_NOMEM;
        uint64_t n = 0;
        for (; rc == GR_E_NOMEM && n < 100; n++)
            rc = decode_failing_at(n, table[i].coding, table[i].in);
        CHECK_EQ(rc, 0);
        CHECK(n > 1);
    }
    gr_buf_deinit(&gzip);
    gr_buf_deinit(&two);
}
