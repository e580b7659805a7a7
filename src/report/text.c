/* See text.h. */
#include "report/text.h"
#include "base/err.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void gr_text_deinit(gr_text *t) {
    gr_buf_deinit(&t->buf);
    t->rc = 0;
}

void gr_text_clear(gr_text *t) {
    gr_buf_clear(&t->buf);
    t->rc = 0;
}

void gr_text_add(gr_text *t, gr_str s) {
    if (t->rc == 0) t->rc = gr_buf_add(&t->buf, s);
}

void gr_text_addc(gr_text *t, const char *c_string) {
    gr_text_add(t, gr_str_c(c_string));
}

void gr_text_addf(gr_text *t, const char *format, ...) {
    va_list args, again;
    if (t->rc < 0) return;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    t->rc = n < 0 ? GR_E_INVALID : gr_buf_reserve(&t->buf, (size_t)n + 1);
    if (t->rc == 0) {
        vsnprintf(t->buf.p + t->buf.n, (size_t)n + 1, format, again);
        t->buf.n += (size_t)n;
    }
    va_end(again);
}

void gr_text_repeat(gr_text *t, char c, int times) {
    if (times <= 0 || t->rc < 0) return;
    if ((t->rc = gr_buf_reserve(&t->buf, (size_t)times)) < 0) return;
    memset(t->buf.p + t->buf.n, c, (size_t)times);
    t->buf.n += (size_t)times;
}

/* 17 digits always read back. If 15 do, no shorter form can differ from them but in trailing zeroes,
 * because two decimals of at most 15 digits never share a double. */
void gr_text_float(gr_text *t, double value) {
    char digits[40];
    if (isnan(value) || isinf(value)) {
        gr_text_addc(t, isnan(value) ? "nan" : value < 0 ? "-inf" : "inf");
        return;
    }
    int precision = fpclassify(value) == FP_SUBNORMAL ? 0 : 14; /* those have fewer digits */
    for (; precision <= 16; precision++) {
        snprintf(digits, sizeof digits, "%.*e", precision, value);
        if (!(strtod(digits, NULL) < value) && !(strtod(digits, NULL) > value)) break;
    }
    const char *mark = strchr(digits, 'e');
    const char *last = mark - 1;
    while (*last == '0')
        last--;
    const char *point = digits + (digits[0] == '-') + 1;
    int decimals = last > point ? (int)(last - point) : 0; /* of the mantissa */
    int exponent = atoi(mark + 1);
    if (exponent < -4 || exponent >= 16)
        gr_text_addf(t, "%.*e", decimals, value);
    else
        gr_text_addf(t, "%.*f", GR_MAX(decimals - exponent, 1), value);
}

void gr_text_utc(gr_text *t, gr_wall_ns at) {
    time_t second = (time_t)(at / 1000000000);
    struct tm parts;
    char stamp[64];
    gmtime_r(&second, &parts);
    strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%SZ", &parts);
    gr_text_addc(t, stamp);
}

size_t gr_text_utf8(gr_str s) {
    static const uint32_t LEAST[] = {0, 0, 0x80, 0x800, 0x10000}; /* by length: no overlong forms */
    unsigned char first = (unsigned char)s.p[0];
    if (first < 0x80) return 1;
    size_t n = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (first < 0xc2 || first > 0xf4 || s.n < n) return 0;
    uint32_t code = first & (0xffu >> (n + 1));
    for (size_t i = 1; i < n; i++) {
        if (((unsigned char)s.p[i] & 0xc0) != 0x80) return 0;
        code = code << 6 | ((unsigned char)s.p[i] & 0x3fu);
    }
    bool surrogate = code >= 0xd800 && code <= 0xdfff;
    return code < LEAST[n] || code > 0x10ffff || surrogate ? 0 : n;
}

void gr_text_repaired(gr_text *t, gr_str s) {
    while (s.n > 0 && t->rc == 0) {
        size_t n = gr_text_utf8(s);
        gr_text_add(t, n ? (gr_str){s.p, n} : GR_STR("\xef\xbf\xbd"));
        s = gr_str_from(s, n ? n : 1);
    }
}

/* The byte to show in hexadecimal, or -1 when the sequence of `n` bytes may be shown as it is. */
static int unsafe_code(gr_str s, size_t n) {
    unsigned char first = (unsigned char)s.p[0];
    if (n == 0) return first;
    if (n == 1)
        return (first < 0x20 && first != '\n' && first != '\t') || first == 0x7f ? first : -1;
    bool c1 = first == 0xc2 && (unsigned char)s.p[1] < 0xa0; /* 8-bit terminal controls */
    return c1 ? (unsigned char)s.p[1] : -1;
}

void gr_text_cell(gr_text *t, gr_str s, int width) {
    int shown = 0;
    while (s.n > 0 && t->rc == 0) {
        size_t n = gr_text_utf8(s);
        int code = unsafe_code(s, n);
        if (code < 0)
            gr_text_add(t, (gr_str){s.p, n});
        else
            gr_text_addf(t, "\\x%02x", (unsigned)code);
        if (shown < width) shown += code < 0 ? 1 : 4;
        s = gr_str_from(s, n ? n : 1);
    }
    gr_text_repeat(t, ' ', width - shown);
}
