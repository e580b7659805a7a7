/* Content-Encoding undone while it streams: gzip, deflate (zlib or raw), br, zstd, and up to three
 * of them on top of each other. Memory and work between the layers are bounded, so a bomb inside a
 * bomb costs little; output is bounded by the caller. A decoder is reused for body after body; gzip,
 * deflate and zstd allocate nothing once warm (brotli's library cannot be reset). */
#ifndef GR_HTTP_DECODE_H
#define GR_HTTP_DECODE_H

#include "base/base.h"
#include "base/buf.h"

#define GR_DECODE_LAYERS_MAX 3

typedef struct gr_decoder gr_decoder;

gr_decoder *gr_decoder_new(void); /* NULL: out of memory. Cheap: codecs are made on first use */
void gr_decoder_free(gr_decoder *d);

/* Get ready for a body with this Content-Encoding value (several fields: join them with ','). An
 * unknown coding anywhere makes the whole body pass through. `out_max` bounds the body's bytes
 * after decoding, 0: no bound. GR_E_DECODE: more than GR_DECODE_LAYERS_MAX codings; GR_E_NOMEM. */
int gr_decoder_start(gr_decoder *d, gr_str content_encoding, uint64_t out_max);
bool gr_decoder_active(const gr_decoder *d); /* false: bytes pass through unchanged */

/* Decode from `in`, moving it past what was used, and append at most `room` bytes to `out`
 * (SIZE_MAX: all). Returns 0 when all input is used and all output given; 1 when `room` was used
 * up: call again, with what is left of `in`, once there is more. GR_E_DECODE, GR_E_BODY_TOO_LARGE,
 * GR_E_NOMEM: start anew; what was appended before is good. */
int gr_decoder_feed(gr_decoder *d, gr_str *in, size_t room, gr_buf *out);

/* The body is over. 0, or GR_E_DECODE when it ended in the middle of compressed data (no bytes at
 * all are an empty body, as after HEAD). Call after a feed that returned 0. */
int gr_decoder_end(gr_decoder *d);

#endif
