/* See h1.h. The parser is a state machine over bytes. A head is collected in the caller's buffer
 * line by line and taken apart when its empty line has come, in one go, because the buffer may
 * move while it grows; only the status line is looked at early, so that a peer that does not speak
 * HTTP is found out at once. Bodies are never copied.
 *
 * Lenient where browsers, curl and requests are and nothing is at stake: bare LF as line end, no
 * reason phrase, empty lines in front, obsolete folding, odd but visible characters in field
 * names. Strict where two parsers could see two messages: blanks before the colon, NULs, a CR
 * inside a line, chunk sizes, Content-Length. Every error must depend on the bytes alone, not on
 * how they were cut; the fuzz target fuzz_h1 holds it to that. */
#include "http/h1.h"
#include "http/headers_int.h"
#include "base/alloc.h"
#include "base/err.h"

#define BLANK_BYTES_MAX      32u   /* CR and LF before a status line */
#define CHUNK_LINE_BYTES_MAX 4096u /* size and extensions of one chunk */
#define FIELDS_FIRST         16u   /* room for the fields of a usual response */

void gr_h1_start(gr_h1 *h, gr_buf *head, gr_headers *fields, gr_h1_kind kind,
                 size_t head_bytes_max) {
    *h = (gr_h1){.state = GR_H1_IN_BLANKS,
                 .kind = kind,
                 .head = head,
                 .fields = fields,
                 .head_bytes_max = head_bytes_max ? head_bytes_max : GR_H1_HEAD_BYTES_MAX};
    gr_buf_clear(head);
    fields->n = 0;
}

static gr_str take(gr_str *in, size_t n) {
    gr_str taken = {in->p, n};
    in->p += n;
    in->n -= n;
    return taken;
}

/* ---- The head, collected ---- */

static int skip_blanks(gr_h1 *h, gr_str *in) {
    while (in->n && (*in->p == '\r' || *in->p == '\n')) {
        if (++h->skipped_n > BLANK_BYTES_MAX) return GR_E_STATUS_LINE;
        take(in, 1);
    }
    if (in->n) h->state = GR_H1_IN_STATUS;
    return 0;
}

/* The limit counts kept bytes only, and is checked before anything else about them, so that the
 * answer is the same for every cut. */
static bool head_fits(const gr_h1 *h, size_t extra) {
    return extra <= h->head_bytes_max - h->head->n;
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

/* "HTTP/1.x 200 reason"; any number of blanks between. Higher minor versions mean 1.1. */
static int parse_status_line(gr_h1 *h) {
    gr_str line = gr_buf_str(h->head);
    line.n--; /* LF */
    if (line.n && line.p[line.n - 1] == '\r') line.n--;
    if (!gr_str_starts(line, GR_STR("HTTP/1.")) || line.n < 8 || !is_digit(line.p[7]))
        return GR_E_STATUS_LINE;
    if (memchr(line.p, '\0', line.n) || memchr(line.p, '\r', line.n)) return GR_E_STATUS_LINE;
    size_t at = 8;
    while (at < line.n && line.p[at] == ' ')
        at++;
    if (at == 8 || line.n - at < 3) return GR_E_STATUS_LINE;
    const char *code = line.p + at;
    if (!is_digit(code[0]) || !is_digit(code[1]) || !is_digit(code[2]) || code[0] == '0')
        return GR_E_STATUS_LINE;
    at += 3;
    if (at < line.n && line.p[at] != ' ') return GR_E_STATUS_LINE;
    gr_str reason = gr_str_trim(gr_str_from(line, at));
    h->version_minor = line.p[7] == '0' ? 0 : 1;
    h->status = (uint16_t)((code[0] - '0') * 100 + (code[1] - '0') * 10 + (code[2] - '0'));
    h->reason_at = (size_t)(reason.p - line.p);
    h->reason = (gr_str){NULL, reason.n};
    h->fields_at = h->head->n;
    return 0;
}

static int collect_status_line(gr_h1 *h, gr_str *in) {
    const char *lf = memchr(in->p, '\n', in->n);
    size_t n = lf ? (size_t)(lf - in->p) + 1 : in->n;
    if (!head_fits(h, n)) return GR_E_HEADERS_TOO_LARGE;
    int rc = gr_buf_add(h->head, take(in, n));
    if (rc < 0 || !lf) return rc;
    if ((rc = parse_status_line(h)) < 0) return rc;
    h->line_n = 0;
    h->state = GR_H1_IN_FIELDS;
    return 0;
}

/* Is the line of `n` bytes that ends at in.p[stop - 1] empty? Of one that began in an earlier piece
 * the start is the head buffer's end. */
static bool line_is_blank(const gr_h1 *h, gr_str in, size_t stop, size_t n) {
    if (n > 2) return false;
    if (n == 1) return true;
    return (stop >= 2 ? in.p[stop - 2] : h->head->p[h->head->n - 1]) == '\r';
}

/* Append everything up to the empty line, or all there is. */
static int collect_fields(gr_h1 *h, gr_str *in, bool *complete) {
    size_t used = 0;
    *complete = false;
    while (used < in->n && !*complete) {
        const char *lf = memchr(in->p + used, '\n', in->n - used);
        size_t stop = lf ? (size_t)(lf - in->p) + 1 : in->n;
        if (!head_fits(h, stop)) return GR_E_HEADERS_TOO_LARGE;
        h->line_n += stop - used;
        used = stop;
        if (!lf) break;
        *complete = line_is_blank(h, *in, stop, h->line_n);
        h->line_n = 0;
    }
    return gr_buf_add(h->head, take(in, used));
}

/* ---- The head, taken apart ---- */

/* Anything visible but the colon: stricter would reject servers that browsers accept. */
static const bool name_chars[256] = {
    ['!' ... '9'] = true, [';' ... '~'] = true, [128 ... 255] = true};

static int push_field(gr_headers *fields, gr_header field) {
    if (fields->n == fields->cap) {
        uint32_t cap = fields->cap ? fields->cap * 2 : (GR_HOSTILE ? 1 : FIELDS_FIRST);
        if (fields->n >= GR_H1_FIELDS_MAX) return GR_E_HEADERS_TOO_LARGE;
        gr_header *at = gr_realloc(fields->at, cap * sizeof *at);
        if (!at) return GR_E_NOMEM;
        fields->at = at;
        fields->cap = cap;
    }
    fields->at[fields->n++] = field;
    return 0;
}

static int parse_field(gr_headers *fields, gr_str line) {
    size_t n = 0;
    while (n < line.n && name_chars[(unsigned char)line.p[n]])
        n++;
    if (n == 0 || n == line.n || line.p[n] != ':') return GR_E_HEADER;
    gr_str value = gr_str_trim(gr_str_from(line, n + 1));
    if (value.n && memchr(value.p, '\r', value.n)) return GR_E_HEADER;
    return push_field(fields, (gr_header){{line.p, n}, value});
}

/* Obsolete folding: move the text behind the field's value, one blank between. The bytes that the
 * move leaves over, the old line break included, become blanks, so that the raw head keeps its
 * length. */
static int unfold(gr_h1 *h, gr_str line) {
    if (h->fields->n == 0) return GR_E_HEADER;
    gr_header *field = &h->fields->at[h->fields->n - 1];
    gr_str text = gr_str_trim(line);
    if (text.n == 0) return 0;
    if (memchr(text.p, '\r', text.n)) return GR_E_HEADER;
    if (field->value.n == 0) {
        field->value = text;
        return 0;
    }
    char *to = h->head->p + (field->value.p - h->head->p) + field->value.n;
    char *end = h->head->p + (line.p - h->head->p) + line.n;
    *to++ = ' ';
    memmove(to, text.p, text.n);
    memset(to + text.n, ' ', (size_t)(end - (to + text.n)));
    field->value.n += 1 + text.n;
    return 0;
}

static int parse_fields(gr_h1 *h) {
    const char *p = h->head->p + h->fields_at, *end = h->head->p + h->head->n;
    if (memchr(p, '\0', (size_t)(end - p))) return GR_E_HEADER;
    while (p < end) {
        const char *lf = memchr(p, '\n', (size_t)(end - p));
        GR_CHECK(lf); /* collect_fields stops behind one */
        gr_str line = {p, (size_t)(lf - p)};
        if (line.n && line.p[line.n - 1] == '\r') line.n--;
        p = lf + 1;
        if (line.n == 0) break;
        int rc = *line.p == ' ' || *line.p == '\t' ? unfold(h, line) : parse_field(h->fields, line);
        if (rc < 0) return rc;
    }
    return 0;
}

/* ---- What the head says about the body ---- */

typedef struct framing {
    bool close, keep;  /* Connection */
    bool has_length;   /* Content-Length */
    bool encoded;      /* Transfer-Encoding says something */
    bool chunked_last; /* and its last coding is chunked */
    uint64_t length;
} framing;

/* "5, 5" and repeated fields are accepted when they agree (RFC 9110 section 8.6). */
static int read_length(framing *f, gr_str value) {
    gr_str item;
    while (gr__http_list_next(&value, &item)) {
        uint64_t length;
        if (!gr_str_u64(item, &length) || length > INT64_MAX) return GR_E_CONTENT_LENGTH;
        if (f->has_length && f->length != length) return GR_E_CONTENT_LENGTH;
        f->has_length = true;
        f->length = length;
    }
    return 0;
}

static int read_codings(framing *f, gr_str value) {
    gr_str item;
    while (gr__http_list_next(&value, &item)) {
        if (item.n == 0 || gr_str_ieq(item, GR_STR("identity"))) continue;
        bool chunked = gr_str_ieq(item, GR_STR("chunked"));
        if (chunked && f->chunked_last) return GR_E_HEADER; /* chunks inside chunks */
        f->encoded = true;
        f->chunked_last = chunked;
    }
    return 0;
}

static int read_framing(const gr_headers *fields, framing *f) {
    int rc = 0;
    for (uint32_t i = 0; i < fields->n && rc == 0; i++) {
        const gr_header *field = &fields->at[i];
        if (field->name.n == 10 && gr_str_ieq(field->name, GR_STR("Connection"))) {
            f->close |= gr__http_list_has(field->value, GR_STR("close"));
            f->keep |= gr__http_list_has(field->value, GR_STR("keep-alive"));
        } else if (field->name.n == 14 && gr_str_ieq(field->name, GR_STR("Content-Length"))) {
            rc = read_length(f, field->value);
        } else if (field->name.n == 17 && gr_str_ieq(field->name, GR_STR("Transfer-Encoding"))) {
            rc = read_codings(f, field->value);
        }
    }
    return rc;
}

/* RFC 9112 section 6.3, in its order. */
static void choose_body(gr_h1 *h, const framing *f) {
    bool tunnel = h->status == 101 || (h->kind == GR_H1_TO_CONNECT && h->status / 100 == 2);
    h->keep_alive = !f->close && !tunnel && (h->version_minor > 0 || f->keep);
    if (tunnel || h->kind == GR_H1_TO_HEAD || h->status == 204 || h->status == 304) {
        h->state = GR_H1_COMPLETE;
    } else if (f->encoded) {
        h->chunked = f->chunked_last;
        h->state = h->chunked ? GR_H1_IN_SIZE_FIRST : GR_H1_IN_CLOSE;
        /* With a length beside it, or from HTTP/1.0, somebody on the way may have framed it
         * differently: read it, but trust the connection no further. */
        if (!h->chunked || f->has_length || h->version_minor == 0) h->keep_alive = false;
    } else if (f->has_length) {
        h->has_length = true;
        h->length = h->left = f->length;
        h->state = f->length ? GR_H1_IN_LENGTH : GR_H1_COMPLETE;
    } else {
        h->keep_alive = false;
        h->state = GR_H1_IN_CLOSE;
    }
}

/* 1, an event, for a final head; 0 for an interim one. */
static int finish_head(gr_h1 *h) {
    framing f = {0};
    int rc = parse_fields(h);
    if (rc < 0 || (rc = read_framing(h->fields, &f)) < 0) return rc;
    if (h->status / 100 == 1 && h->status != 101) {
        if (h->interims == GR_H1_INTERIMS_MAX) return GR_E_HEADERS_TOO_LARGE;
        h->interims++;
        if (h->status == 100) h->may_continue = true;
        gr_buf_clear(h->head);
        h->fields->n = 0;
        h->skipped_n = 0;
        h->state = GR_H1_IN_BLANKS;
        return 0;
    }
    h->reason.p = h->head->p + h->reason_at;
    h->line_n = h->skipped_n = 0;
    choose_body(h, &f);
    return 1;
}

static int fields_step(gr_h1 *h, gr_str *in, gr_h1_event *event) {
    bool complete;
    int rc = collect_fields(h, in, &complete);
    if (rc < 0 || !complete) return rc;
    if ((rc = finish_head(h)) > 0) *event = GR_H1_HEAD;
    return rc;
}

/* ---- The body ---- */

/* Some bytes of a body or chunk of known length; `next` follows when there are no more. */
static int counted_step(gr_h1 *h, gr_str *in, gr_h1_event *event, gr_str *piece, gr_h1_state next) {
    *piece = take(in, (size_t)GR_MIN((uint64_t)in->n, h->left));
    *event = GR_H1_BODY;
    h->left -= piece->n;
    if (h->left == 0) h->state = next;
    return 1;
}

static int hex_digit(char c) {
    if (is_digit(c)) return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int add_size_digit(gr_h1 *h, int digit) {
    if (h->left > (uint64_t)INT64_MAX >> 4) return GR_E_CHUNK;
    h->left = h->left << 4 | (unsigned)digit;
    h->state = GR_H1_IN_SIZE;
    return 0;
}

/* The byte behind a chunk's size, or behind the blanks there. */
static int end_size(gr_h1 *h, char c) {
    switch (c) {
    case '\n': h->state = h->left ? GR_H1_IN_CHUNK : GR_H1_IN_TRAILER; return 0;
    case '\r': h->state = GR_H1_IN_SIZE_LF; return 0;
    case ';': h->state = GR_H1_IN_EXTENSION; return 0;
    case ' ':
    case '\t': h->state = GR_H1_IN_SIZE_BLANK; return 0;
    default: return GR_E_CHUNK;
    }
}

/* One byte of a chunk's head. `line_n` counts them; it is 0 again when the head is over. */
static int size_step(gr_h1 *h, gr_str *in) {
    char c = *take(in, 1).p;
    int digit = hex_digit(c), rc = GR_E_CHUNK;
    if (++h->line_n > CHUNK_LINE_BYTES_MAX) return GR_E_CHUNK;
    if (h->state == GR_H1_IN_SIZE_FIRST) {
        h->left = 0;
        rc = digit < 0 ? GR_E_CHUNK : add_size_digit(h, digit);
    } else if (h->state == GR_H1_IN_SIZE && digit >= 0) {
        rc = add_size_digit(h, digit);
    } else if (h->state == GR_H1_IN_SIZE || h->state == GR_H1_IN_SIZE_BLANK) {
        rc = end_size(h, c);
    } else if (h->state == GR_H1_IN_SIZE_LF) {
        rc = c == '\n' ? end_size(h, c) : GR_E_CHUNK;
    } else if (c == '\r' || c == '\n') { /* in an extension */
        rc = end_size(h, c);
    } else {
        rc = c == '\0' ? GR_E_CHUNK : 0;
    }
    if (h->state == GR_H1_IN_CHUNK || h->state == GR_H1_IN_TRAILER) h->line_n = 0;
    return rc;
}

static int chunk_end_step(gr_h1 *h, gr_str *in) {
    char c = *take(in, 1).p;
    if (c == '\r' && h->state == GR_H1_IN_CHUNK_CR) {
        h->state = GR_H1_IN_CHUNK_LF;
        return 0;
    }
    h->state = GR_H1_IN_SIZE_FIRST;
    return c == '\n' ? 0 : GR_E_CHUNK;
}

/* Trailers are dropped unread: nothing in them may change how the message was framed. */
static int trailer_step(gr_h1 *h, gr_str *in) {
    char c = *take(in, 1).p;
    if (++h->skipped_n > h->head_bytes_max) return GR_E_HEADERS_TOO_LARGE;
    if (c != '\n') {
        h->line_is_cr = h->line_n == 0 && c == '\r';
        h->line_n++;
        return 0;
    }
    if (h->line_n == 0 || h->line_is_cr) h->state = GR_H1_COMPLETE;
    h->line_n = 0;
    h->line_is_cr = false;
    return 0;
}

/* Use at least one byte. 1: there is an event, 0: none yet. */
static int step(gr_h1 *h, gr_str *in, gr_h1_event *event, gr_str *piece) {
    switch (h->state) {
    case GR_H1_IN_BLANKS: return skip_blanks(h, in);
    case GR_H1_IN_STATUS: return collect_status_line(h, in);
    case GR_H1_IN_FIELDS: return fields_step(h, in, event);
    case GR_H1_IN_LENGTH: return counted_step(h, in, event, piece, GR_H1_COMPLETE);
    case GR_H1_IN_CLOSE:
        *piece = take(in, in->n);
        *event = GR_H1_BODY;
        return 1;
    case GR_H1_IN_SIZE_FIRST:
    case GR_H1_IN_SIZE:
    case GR_H1_IN_SIZE_BLANK:
    case GR_H1_IN_EXTENSION:
    case GR_H1_IN_SIZE_LF: return size_step(h, in);
    case GR_H1_IN_CHUNK: return counted_step(h, in, event, piece, GR_H1_IN_CHUNK_CR);
    case GR_H1_IN_CHUNK_CR:
    case GR_H1_IN_CHUNK_LF: return chunk_end_step(h, in);
    case GR_H1_IN_TRAILER: return trailer_step(h, in);
    case GR_H1_COMPLETE:
    case GR_H1_FAILED: break;
    }
    GR_UNREACHABLE();
}

static int fail(gr_h1 *h, int rc) {
    h->state = GR_H1_FAILED;
    h->error = rc;
    return rc;
}

int gr_h1_next(gr_h1 *h, gr_str *in, gr_h1_event *event, gr_str *piece) {
    if (h->state == GR_H1_FAILED) return h->error;
    for (int rc = 0; rc == 0;) {
        if (h->state == GR_H1_COMPLETE) {
            *event = GR_H1_DONE;
            return 0;
        }
        if (in->n == 0) {
            *event = GR_H1_MORE;
            return 0;
        }
        if ((rc = step(h, in, event, piece)) < 0) return fail(h, rc);
    }
    return 0;
}

int gr_h1_eof(gr_h1 *h) {
    if (h->state == GR_H1_COMPLETE) return 0;
    if (h->state == GR_H1_FAILED) return h->error;
    if (h->state == GR_H1_IN_BLANKS && h->interims == 0) return fail(h, GR_E_CLOSED_EARLY);
    if (h->state != GR_H1_IN_CLOSE) return fail(h, GR_E_TRUNCATED);
    h->state = GR_H1_COMPLETE;
    return 0;
}

/* ---- Requests ---- */

/* What would end the request line or the field early, or be read as a second one. */
static bool has_blank_or_control(gr_str s) {
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] <= ' ' || s.p[i] == 0x7f) return true;
    return false;
}

static bool breaks_line(gr_str s) {
    return s.n && (memchr(s.p, '\r', s.n) || memchr(s.p, '\n', s.n) || memchr(s.p, '\0', s.n));
}

static char *put(char *to, gr_str s) {
    if (s.n) memcpy(to, s.p, s.n);
    return to + s.n;
}

static char *put_number(char *to, uint64_t value, unsigned base) {
    char digits[24], *p = digits + sizeof digits;
    do {
        *--p = "0123456789abcdef"[value % base];
        value /= base;
    } while (value);
    return put(to, (gr_str){p, (size_t)(digits + sizeof digits - p)});
}

#define FRAMING_BYTES_MAX (sizeof "Content-Length: 18446744073709551615\r\n")

static char *put_framing(char *to, const gr_h1_request *r, unsigned flags) {
    static const gr_str bodiless[] = {{"GET", 3}, {"HEAD", 4}, {"CONNECT", 7}, {"TRACE", 5}};
    if (flags & (GR_HEAD_CONTENT_LENGTH | GR_HEAD_TRANSFER_ENCODING)) return to;
    if (r->body_length == GR_H1_BODY_CHUNKED)
        return put(to, GR_STR("Transfer-Encoding: chunked\r\n"));
    int64_t length = r->body_length;
    if (length == GR_H1_BODY_NONE) {
        for (size_t i = 0; i < GR_LEN(bodiless); i++)
            if (gr_str_eq(r->method, bodiless[i])) return to;
        length = 0;
    }
    to = put_number(put(to, GR_STR("Content-Length: ")), (uint64_t)length, 10);
    return put(to, GR_STR("\r\n"));
}

int gr_h1_write_head(gr_buf *out, const gr_h1_request *r) {
    GR_CHECK(r->body_length >= GR_H1_BODY_NONE);
    unsigned flags = r->head ? r->head->flags : 0;
    gr_str lines = r->head ? gr_buf_str(&r->head->lines) : (gr_str){NULL, 0};
    if (!gr__http_token(r->method) || r->target.n == 0 || has_blank_or_control(r->target) ||
        has_blank_or_control(r->host) || breaks_line(r->cookie))
        return GR_E_REQUEST_HEADER;
    int rc = gr_buf_reserve(out, r->method.n + r->target.n + r->host.n + lines.n + r->cookie.n +
                                     FRAMING_BYTES_MAX +
                                     sizeof "  HTTP/1.1\r\nHost: \r\nCookie: \r\n\r\n");
    if (rc < 0) return rc;
    char *p = put(out->p + out->n, r->method);
    *p++ = ' ';
    p = put(put(p, r->target), GR_STR(" HTTP/1.1\r\n"));
    if (!(flags & GR_HEAD_HOST)) {
        p = put(put(p, GR_STR("Host: ")), r->host);
        p = put(p, GR_STR("\r\n"));
    }
    p = put(p, lines);
    if (r->cookie.n && !(flags & GR_HEAD_COOKIE)) {
        p = put(put(p, GR_STR("Cookie: ")), r->cookie);
        p = put(p, GR_STR("\r\n"));
    }
    p = put(put_framing(p, r, flags), GR_STR("\r\n"));
    out->n = (size_t)(p - out->p);
    return 0;
}

int gr_h1_write_chunk(gr_buf *out, gr_str piece) {
    if (piece.n == 0) return 0; /* it would end the body */
    int rc = gr_buf_reserve(out, piece.n + sizeof "ffffffffffffffff\r\n\r\n");
    if (rc < 0) return rc;
    char *p = put(put_number(out->p + out->n, piece.n, 16), GR_STR("\r\n"));
    p = put(put(p, piece), GR_STR("\r\n"));
    out->n = (size_t)(p - out->p);
    return 0;
}

int gr_h1_write_last_chunk(gr_buf *out) {
    return gr_buf_add(out, GR_STR("0\r\n\r\n"));
}
