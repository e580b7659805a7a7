/* See decode.h. A layer is one coding. Layer 0 is the outermost (the last one named) and eats what
 * came from the network; each further one pulls its input from the layer before it through a small
 * block, and the last one writes to the caller's buffer. Pulling rather than pushing is what
 * bounds memory: an outer layer expands only as much as the inner one asks for.
 *
 * A layer that is given input uses all of it unless its output room runs out first. As `requests`
 * does, bytes behind a complete gzip member (zlib, br, zstd stream) that do not start another one
 * are ignored. */
#include "http/decode.h"
#include "http/headers_int.h"
#include "base/alloc.h"
#include "base/err.h"

#include <brotli/decode.h>
#include <limits.h>
#define ZLIB_CONST /* input pointers are const */
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#define BETWEEN_BYTES (GR_HOSTILE ? 23u : 16384u) /* from layer to layer */
#define OUT_BYTES_MIN 512u                        /* least room to decode into at a time */
#define OUT_BYTES_MAX 65536u
/* Bytes that the inner layers of one body may make each other read. They need not lead to output
 * (empty gzip members do not), so no limit of the output holds them back; and a megabyte of three
 * layers can stand for a terabyte between them. 64 MB take half a second. Bodies of one coding, which
 * is what servers send, are not concerned. */
#define BETWEEN_BYTES_MAX (GR_HOSTILE ? 1u << 20 : 64u << 20)
#define ZSTD_WINDOW_LOG   23 /* 8 MB: what RFC 9659 lets a server of content codings use at most */
#define ZLIB_WINDOW       15
#define GZIP_WRAPPER      16 /* zlib's flag for a gzip header */

typedef enum { CODEC_GZIP, CODEC_DEFLATE, CODEC_BROTLI, CODEC_ZSTD } codec;

typedef enum {
    LAYER_FRESH,   /* no byte yet */
    LAYER_OPEN,    /* inside compressed data */
    LAYER_BETWEEN, /* a member ended; another may follow */
    LAYER_OVER,    /* whatever follows is ignored */
    LAYER_FAILED   /* with `error`, for good: what was made before it is used all the same */
} layer_state;

typedef struct layer {
    codec codec;
    layer_state state;
    int error;
    bool in_doubt; /* behind a member's end; nothing shows yet that this is another one */

    z_stream zlib; /* made once, like the other two; reset for each body */
    bool zlib_made;
    BrotliDecoderState *brotli;
    ZSTD_DCtx *zstd;

    char *between;  /* owned; input of every layer but the first */
    gr_str pending; /* the unused part of it */
} layer;

struct gr_decoder {
    unsigned n; /* layers in use; 0: pass through */
    uint64_t out_max, out_n;
    uint64_t between_n; /* bytes made by all layers but the last */
    layer layers[GR_DECODE_LAYERS_MAX];
};

static void *zlib_alloc(void *opaque, uInt count, uInt bytes) {
    (void)opaque;
    return gr_malloc((size_t)count * bytes);
}

static void library_free(void *opaque, void *p) {
    (void)opaque;
    gr_free(p);
}

static void *brotli_alloc(void *opaque, size_t bytes) {
    (void)opaque;
    return gr_malloc(bytes);
}

gr_decoder *gr_decoder_new(void) {
    return gr_calloc(1, sizeof(gr_decoder));
}

void gr_decoder_free(gr_decoder *d) {
    if (!d) return;
    for (unsigned i = 0; i < GR_DECODE_LAYERS_MAX; i++) {
        layer *l = &d->layers[i];
        if (l->zlib_made) inflateEnd(&l->zlib);
        if (l->brotli) BrotliDecoderDestroyInstance(l->brotli);
        ZSTD_freeDCtx(l->zstd);
        gr_free(l->between);
    }
    gr_free(d);
}

/* ---- Starting ---- */

static int start_zlib(layer *l) {
    if (l->zlib_made)
        return inflateReset2(&l->zlib, ZLIB_WINDOW + GZIP_WRAPPER) == Z_OK ? 0 : GR_E_NOMEM;
    l->zlib = (z_stream){.zalloc = zlib_alloc, .zfree = library_free};
    if (inflateInit2(&l->zlib, ZLIB_WINDOW + GZIP_WRAPPER) != Z_OK) return GR_E_NOMEM;
    l->zlib_made = true;
    return 0;
}

static int start_brotli(layer *l) {
    if (l->brotli) BrotliDecoderDestroyInstance(l->brotli);
    l->brotli = BrotliDecoderCreateInstance(brotli_alloc, library_free, NULL);
    return l->brotli ? 0 : GR_E_NOMEM;
}

/* The stable part of zstd's interface takes no allocator: this memory is not counted by ours. */
static int start_zstd(layer *l) {
    if (l->zstd) {
        ZSTD_DCtx_reset(l->zstd, ZSTD_reset_session_only);
        return 0;
    }
    if (!(l->zstd = ZSTD_createDCtx())) return GR_E_NOMEM;
    ZSTD_DCtx_setParameter(l->zstd, ZSTD_d_windowLogMax, ZSTD_WINDOW_LOG);
    return 0;
}

static int start_codec(layer *l) {
    switch (l->codec) {
    case CODEC_GZIP:
    case CODEC_DEFLATE: return start_zlib(l);
    case CODEC_BROTLI: return start_brotli(l);
    case CODEC_ZSTD: return start_zstd(l);
    }
    GR_UNREACHABLE();
}

static int start_layer(layer *l, codec which, bool first) {
    l->codec = which;
    l->state = LAYER_FRESH;
    l->in_doubt = false;
    l->pending = (gr_str){NULL, 0};
    if (!first && !l->between && !(l->between = gr_malloc(BETWEEN_BYTES))) return GR_E_NOMEM;
    return start_codec(l);
}

static bool codec_of(gr_str coding, codec *c) {
    static const struct {
        gr_str name;
        codec codec;
    } known[] = {
        {{"gzip", 4}, CODEC_GZIP}, {{"x-gzip", 6}, CODEC_GZIP}, {{"deflate", 7}, CODEC_DEFLATE},
        {{"br", 2}, CODEC_BROTLI}, {{"zstd", 4}, CODEC_ZSTD},
    };
    for (size_t i = 0; i < GR_LEN(known); i++) {
        if (!gr_str_ieq(coding, known[i].name)) continue;
        *c = known[i].codec;
        return true;
    }
    return false;
}

int gr_decoder_start(gr_decoder *d, gr_str content_encoding, uint64_t out_max) {
    codec codecs[GR_DECODE_LAYERS_MAX], one;
    unsigned n = 0;
    gr_str name;
    d->n = 0;
    d->out_max = out_max;
    d->out_n = d->between_n = 0;
    while (gr__http_list_next(&content_encoding, &name)) {
        if (name.n == 0 || gr_str_ieq(name, GR_STR("identity"))) continue;
        if (!codec_of(name, &one)) return 0;
        if (n < GR_DECODE_LAYERS_MAX) codecs[n] = one;
        n++;
    }
    if (n > GR_DECODE_LAYERS_MAX) return GR_E_DECODE;
    for (unsigned i = 0; i < n; i++) {
        int rc = start_layer(&d->layers[i], codecs[n - 1 - i], i == 0);
        if (rc < 0) return rc;
    }
    d->n = n;
    return 0;
}

bool gr_decoder_active(const gr_decoder *d) {
    return d->n > 0;
}

/* ---- One layer ---- */

/* A first byte whose low half is 8 is zlib's header. As raw deflate it would be a stored block
 * with a non-zero padding bit, which no compressor writes. */
static int deflate_window(gr_str in) {
    return (in.p[0] & 15) == 8 ? ZLIB_WINDOW : -ZLIB_WINDOW;
}

static int inflate_some(layer *l, gr_str *in, char *to, size_t room, size_t *made) {
    z_stream *z = &l->zlib;
    if (l->state == LAYER_FRESH && l->codec == CODEC_DEFLATE)
        inflateReset2(z, deflate_window(*in));
    else if (l->state == LAYER_BETWEEN)
        inflateReset(z);
    l->state = LAYER_OPEN;
    uInt in_n = (uInt)GR_MIN(in->n, UINT_MAX), room_n = (uInt)GR_MIN(room, UINT_MAX);
    z->next_in = (const Bytef *)in->p;
    z->avail_in = in_n;
    z->next_out = (Bytef *)to;
    z->avail_out = room_n;
    int rc = inflate(z, Z_NO_FLUSH);
    *in = gr_str_from(*in, in_n - z->avail_in);
    *made = room_n - z->avail_out;
    if (rc == Z_MEM_ERROR) return GR_E_NOMEM;
    if (rc == Z_STREAM_END) l->state = l->codec == CODEC_GZIP ? LAYER_BETWEEN : LAYER_OVER;
    return rc == Z_OK || rc == Z_BUF_ERROR || rc == Z_STREAM_END ? 0 : GR_E_DECODE;
}

static bool brotli_lacks_memory(BrotliDecoderErrorCode code) {
    return code <= BROTLI_DECODER_ERROR_ALLOC_CONTEXT_MODES &&
           code >= BROTLI_DECODER_ERROR_ALLOC_BLOCK_TYPE_TREES;
}

static int brotli_some(layer *l, gr_str *in, char *to, size_t room, size_t *made) {
    const uint8_t *next_in = (const uint8_t *)in->p;
    uint8_t *next_out = (uint8_t *)to;
    size_t in_n = in->n, room_n = room;
    l->state = LAYER_OPEN;
    BrotliDecoderResult rc =
        BrotliDecoderDecompressStream(l->brotli, &in_n, &next_in, &room_n, &next_out, NULL);
    *in = gr_str_from(*in, in->n - in_n);
    *made = room - room_n;
    if (rc == BROTLI_DECODER_RESULT_SUCCESS) l->state = LAYER_OVER;
    if (rc != BROTLI_DECODER_RESULT_ERROR) return 0;
    return brotli_lacks_memory(BrotliDecoderGetErrorCode(l->brotli)) ? GR_E_NOMEM : GR_E_DECODE;
}

/* libzstd may also read formats from before version 1, each by a decoder of its own that RFC 8878
 * does not know and that gives other results when its input is cut. Their first bytes differ from
 * those of a frame and of a skippable one. */
static bool begins_zstd_frame(char first) {
    return first == 0x28 || (first & 0xf0) == 0x50;
}

static int zstd_some(layer *l, gr_str *in, char *to, size_t room, size_t *made) {
    ZSTD_inBuffer from = {in->p, in->n, 0};
    ZSTD_outBuffer into = {to, room, 0};
    if (l->state != LAYER_OPEN && !begins_zstd_frame(in->p[0])) return GR_E_DECODE;
    l->state = LAYER_OPEN;
    size_t rc = ZSTD_decompressStream(l->zstd, &into, &from);
    *in = gr_str_from(*in, from.pos);
    *made = into.pos;
    if (rc == 0) l->state = LAYER_BETWEEN;
    if (!ZSTD_isError(rc)) return 0;
    ZSTD_ErrorCode code = ZSTD_getErrorCode(rc);
    if (code != ZSTD_error_prefix_unknown) l->in_doubt = false; /* it has a frame's magic number */
    return code == ZSTD_error_memory_allocation ? GR_E_NOMEM : GR_E_DECODE;
}

static int codec_some(layer *l, gr_str *in, char *to, size_t room, size_t *made) {
    switch (l->codec) {
    case CODEC_GZIP:
    case CODEC_DEFLATE: return inflate_some(l, in, to, room, made);
    case CODEC_BROTLI: return brotli_some(l, in, to, room, made);
    case CODEC_ZSTD: return zstd_some(l, in, to, room, made);
    }
    GR_UNREACHABLE();
}

/* One call of the codec, which finds the state FRESH, OPEN or BETWEEN and some input or an OPEN
 * state; it judges errors and leaves the state right. */
static size_t layer_step(layer *l, gr_str *in, char *to, size_t room) {
    size_t before = in->n, n = 0;
    if (l->state == LAYER_BETWEEN) l->in_doubt = true;
    int rc = codec_some(l, in, to, room, &n);
    if (n > 0) l->in_doubt = false;
    bool stuck = rc == 0 && n == 0 && in->n > 0 && in->n == before && l->state == LAYER_OPEN;
    if (rc == GR_E_DECODE && l->in_doubt) {
        l->state = LAYER_OVER;
    } else if (rc < 0 || stuck) {
        l->state = LAYER_FAILED;
        l->error = stuck ? GR_E_DECODE : rc;
    }
    return n;
}

/* Decode until the input is used and all it stands for is given, or the room is. */
static int layer_run(layer *l, gr_str *in, char *to, size_t room, size_t *made) {
    *made = 0;
    while (*made < room) {
        if (l->state == LAYER_FAILED) return l->error;
        if (l->state == LAYER_OVER) *in = gr_str_from(*in, in->n);
        if (l->state != LAYER_OPEN && in->n == 0) return 0;
        size_t before = in->n, n = layer_step(l, in, to + *made, room - *made);
        *made += n;
        if (l->state == LAYER_OPEN && n == 0 && in->n == before) return 0; /* in->n is 0, too */
    }
    return 0;
}

/* ---- The stack ---- */

/* Let layer `i` make up to `room` bytes, from `in` by way of the layers outside of it. Making
 * fewer means that `in` is used up. Recursion is bounded by the number of layers. */
static int pull(gr_decoder *d, unsigned i, gr_str *in, char *to, size_t room, size_t *made) {
    layer *l = &d->layers[i];
    if (i == 0) return layer_run(l, in, to, room, made);
    *made = 0;
    for (;;) {
        size_t n;
        int rc = layer_run(l, &l->pending, to + *made, room - *made, &n);
        *made += n;
        if (rc < 0 || *made == room) return rc;
        rc = pull(d, i - 1, in, l->between, BETWEEN_BYTES, &n);
        if (n == 0) return rc; /* an error with bytes before it comes again after them */
        if ((d->between_n += n) > BETWEEN_BYTES_MAX) return GR_E_BODY_TOO_LARGE;
        l->pending = (gr_str){l->between, n};
    }
}

static int pass_through(gr_decoder *d, gr_str *in, size_t room, gr_buf *out) {
    size_t n = GR_MIN(in->n, room);
    bool too_large = d->out_max && n > d->out_max - d->out_n;
    if (too_large) n = (size_t)(d->out_max - d->out_n);
    int rc = gr_buf_add(out, (gr_str){in->p, n});
    if (rc < 0) return rc;
    *in = gr_str_from(*in, n);
    d->out_n += n;
    return too_large ? GR_E_BODY_TOO_LARGE : in->n > 0;
}

/* Room at the end of `out`, not more than `want`: what there is already, or enough to be worth a
 * call. */
static int make_room(gr_buf *out, size_t in_n, size_t want, size_t *room) {
    size_t some = GR_MIN(GR_MAX(in_n, OUT_BYTES_MIN / 4) * 4, OUT_BYTES_MAX);
    if (out->cap - out->n < GR_MIN(want, OUT_BYTES_MIN)) {
        int rc = gr_buf_reserve(out, GR_MIN(want, some));
        if (rc < 0) return rc;
    }
    *room = GR_MIN(want, out->cap - out->n);
    return 0;
}

int gr_decoder_feed(gr_decoder *d, gr_str *in, size_t room, gr_buf *out) {
    if (d->n == 0) return pass_through(d, in, room, out);
    while (room > 0) {
        size_t want = room, given, made;
        /* One byte beyond the limit tells a body that fills it from one that exceeds it. */
        if (d->out_max) want = (size_t)GR_MIN((uint64_t)room, d->out_max - d->out_n + 1);
        int rc = make_room(out, in->n, want, &given);
        if (rc < 0) return rc;
        rc = pull(d, d->n - 1, in, out->p + out->n, given, &made);
        out->n += made;
        d->out_n += made;
        room -= made;
        if (d->out_max && d->out_n > d->out_max) {
            out->n--;
            d->out_n--;
            return GR_E_BODY_TOO_LARGE;
        }
        if (rc < 0 || made < given) return rc;
    }
    return 1;
}

int gr_decoder_end(gr_decoder *d) {
    for (unsigned i = 0; i < d->n; i++) {
        const layer *l = &d->layers[i];
        if (l->state == LAYER_FAILED) return l->error;
        if (l->state == LAYER_OPEN && !l->in_doubt) return GR_E_DECODE;
    }
    return 0;
}
