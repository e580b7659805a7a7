/* See value.h. Numbers are checked by hand before the C library converts them: strtod alone would
 * also take hexadecimal floats, and Python's underscores must go. */
#include "cli/value.h"
#include "base/err.h"

#include <stdlib.h>

#define NUMBER_BYTES_MAX 64 /* no int64 and no useful float is longer */

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static bool is_space(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static gr_str trim(gr_str s) {
    while (s.n && is_space(s.p[0]))
        s = gr_str_from(s, 1);
    while (s.n && is_space(s.p[s.n - 1]))
        s.n--;
    return s;
}

/* One "<digits><unit>" in front of `s`, when it is there: added and cut off. */
static int take_unit(gr_str *s, char unit, int64_t factor, int64_t *sum) {
    size_t digits = 0;
    uint64_t value;
    while (digits < s->n && is_digit(s->p[digits]))
        digits++;
    if (digits == 0 || digits == s->n || s->p[digits] != unit) return 0;
    if (!gr_str_u64((gr_str){s->p, digits}, &value) || value > GR_TIMESPAN_SECONDS_MAX)
        return GR_E_INVALID;
    *sum += (int64_t)value * factor;
    *s = gr_str_from(*s, digits + 1);
    return 0;
}

int gr_timespan_parse(gr_str s, int64_t *seconds) {
    static const struct {
        char unit;
        int64_t factor;
    } UNITS[] = {{'h', 3600}, {'m', 60}, {'s', 1}};
    int64_t sum = 0;
    uint64_t plain;
    if (s.n == 0) return GR_E_INVALID;
    if (gr_str_u64(s, &plain)) {
        if (plain > GR_TIMESPAN_SECONDS_MAX) return GR_E_INVALID;
        *seconds = (int64_t)plain;
        return 0;
    }
    for (size_t i = 0; i < GR_LEN(UNITS); i++)
        if (take_unit(&s, UNITS[i].unit, UNITS[i].factor, &sum) < 0) return GR_E_INVALID;
    if (s.n > 0 || sum > GR_TIMESPAN_SECONDS_MAX) return GR_E_INVALID;
    *seconds = sum;
    return 0;
}

/* Digits with single underscores between them, copied without; false when there is none. */
static bool copy_digits(gr_str *s, char *out, size_t *n) {
    size_t before = *n;
    while (s->n && *n < NUMBER_BYTES_MAX) {
        bool between = s->p[0] == '_' && *n > before && s->n > 1 && is_digit(s->p[1]);
        if (!is_digit(s->p[0]) && !between) break;
        if (!between) out[(*n)++] = s->p[0];
        *s = gr_str_from(*s, 1);
    }
    return *n > before;
}

static void copy_sign(gr_str *s, char *out, size_t *n) {
    if (!s->n || (s->p[0] != '-' && s->p[0] != '+')) return;
    out[(*n)++] = s->p[0];
    *s = gr_str_from(*s, 1);
}

bool gr_value_int(gr_str s, int64_t *value) {
    char text[NUMBER_BYTES_MAX + 2];
    size_t n = 0;
    uint64_t size;
    s = trim(s);
    copy_sign(&s, text, &n);
    bool negative = n && text[0] == '-';
    n = 0;
    if (!copy_digits(&s, text, &n) || s.n) return false;
    if (!gr_str_u64((gr_str){text, n}, &size)) return false;
    if (size > (uint64_t)INT64_MAX) return false;
    *value = negative ? -(int64_t)size : (int64_t)size;
    return true;
}

static bool is_float_word(gr_str s) {
    return gr_str_ieq(s, GR_STR("inf")) || gr_str_ieq(s, GR_STR("infinity")) ||
           gr_str_ieq(s, GR_STR("nan"));
}

bool gr_value_float(gr_str s, double *value) {
    char text[3 * NUMBER_BYTES_MAX + 6]; /* three runs of digits, two signs, '.', 'e', NUL */
    size_t n = 0;
    s = trim(s);
    copy_sign(&s, text, &n);
    if (is_float_word(s)) {
        memcpy(text + n, s.p, s.n);
        n += s.n;
    } else {
        bool digits = copy_digits(&s, text, &n);
        if (s.n && s.p[0] == '.') {
            text[n++] = '.';
            s = gr_str_from(s, 1);
            digits = copy_digits(&s, text, &n) || digits;
        }
        if (!digits) return false;
        if (s.n && (s.p[0] == 'e' || s.p[0] == 'E')) {
            text[n++] = 'e';
            s = gr_str_from(s, 1);
            copy_sign(&s, text, &n);
            if (!copy_digits(&s, text, &n)) return false;
        }
        if (s.n) return false;
    }
    text[n] = '\0';
    char *end;
    double got = strtod(text, &end);
    if (*end) return false;
    *value = got;
    return true;
}

bool gr_value_bool(gr_str s, bool *value) {
    static const char *const WORDS[2][4] = {{"false", "no", "off", "0"},
                                            {"true", "yes", "on", "1"}};
    for (int truth = 0; truth < 2; truth++)
        for (size_t i = 0; i < GR_LEN(WORDS[truth]); i++)
            if (gr_str_ieq(s, gr_str_c(WORDS[truth][i]))) {
                *value = truth;
                return true;
            }
    return false;
}

/* The end of the element at the front: the first comma outside quotes, or all. A quote opens only
 * as the first character, so that an apostrophe inside a word is itself. */
static size_t element_length(gr_str s) {
    size_t at = 0;
    while (at < s.n && is_space(s.p[at]))
        at++;
    char quote = at < s.n && (s.p[at] == '"' || s.p[at] == '\'') ? s.p[at] : '\0';
    if (quote)
        for (at++; at < s.n && s.p[at] != quote; at++)
            if (quote == '"' && s.p[at] == '\\') at++;
    while (at < s.n && s.p[at] != ',')
        at++;
    return GR_MIN(at, s.n);
}

/* Quotes off, and in double quotes JSON's simple escapes resolved, in place. */
static gr_str unquote(char *p, size_t n) {
    if (n < 2 || (p[0] != '"' && p[0] != '\'') || p[n - 1] != p[0]) return (gr_str){p, n};
    size_t out = 0;
    for (size_t i = 1; i < n - 1; i++) {
        char c = p[i];
        if (p[0] == '"' && c == '\\' && i + 1 < n - 1) {
            c = p[++i];
            c = c == 'n' ? '\n' : c == 't' ? '\t' : c == 'r' ? '\r' : c;
        }
        p[1 + out++] = c;
    }
    p[1 + out] = '\0';
    return (gr_str){p + 1, out};
}

static int copy_element(gr_arena *arena, gr_str s, gr_str *item) {
    s = trim(s);
    char *copy = gr_arena_alloc(arena, s.n + 1);
    if (!copy) return GR_E_NOMEM;
    if (s.n) memcpy(copy, s.p, s.n);
    copy[s.n] = '\0';
    *item = unquote(copy, s.n);
    return 0;
}

int gr_value_list(gr_arena *arena, gr_str s, const gr_str **items, size_t *n) {
    bool brackets = s.n >= 2 && s.p[0] == '[' && s.p[s.n - 1] == ']';
    gr_str inner = brackets ? (gr_str){s.p + 1, s.n - 2} : s;
    size_t count = 0, commas = 0;
    for (size_t i = 0; i < inner.n; i++)
        commas += inner.p[i] == ',';
    gr_str *list = gr_arena_alloc(arena, (commas + 1) * sizeof *list);
    if (!list) return GR_E_NOMEM;
    if (!brackets) {
        if (gr_arena_copy(arena, s, &list[count++]) < 0) return GR_E_NOMEM;
    } else if (trim(inner).n > 0) {
        for (;;) {
            size_t len = element_length(inner);
            if (copy_element(arena, (gr_str){inner.p, len}, &list[count++]) < 0) return GR_E_NOMEM;
            if (len == inner.n) break;
            inner = gr_str_from(inner, len + 1);
        }
    }
    *items = list;
    *n = count;
    return 0;
}

int gr_value_words(gr_arena *arena, gr_str s, const gr_str **items, size_t *n) {
    size_t count = 0;
    gr_str *list = gr_arena_alloc(arena, (s.n / 2 + 1) * sizeof *list);
    if (!list) return GR_E_NOMEM;
    for (s = trim(s); s.n; s = trim(s)) {
        size_t len = 0;
        while (len < s.n && !is_space(s.p[len]))
            len++;
        if (gr_arena_copy(arena, (gr_str){s.p, len}, &list[count++]) < 0) return GR_E_NOMEM;
        s = gr_str_from(s, len);
    }
    *items = list;
    *n = count;
    return 0;
}

static int repr_byte(gr_buf *b, char c, char quote) {
    static const char ESCAPES[][2] = {{'\n', 'n'}, {'\r', 'r'}, {'\t', 't'}, {'\\', '\\'}};
    for (size_t i = 0; i < GR_LEN(ESCAPES); i++)
        if (c == ESCAPES[i][0]) return gr_buf_addf(b, "\\%c", ESCAPES[i][1]);
    if (c == quote) return gr_buf_addf(b, "\\%c", c);
    if ((unsigned char)c < 0x20 || c == 0x7f) return gr_buf_addf(b, "\\x%02x", (unsigned char)c);
    return gr_buf_add_byte(b, c);
}

int gr_value_repr(gr_buf *b, gr_str s) {
    char quote = gr_str_find(s, '\'') >= 0 && gr_str_find(s, '"') < 0 ? '"' : '\'';
    int rc = gr_buf_add_byte(b, quote);
    for (size_t i = 0; rc == 0 && i < s.n; i++)
        rc = repr_byte(b, s.p[i], quote);
    return rc < 0 ? rc : gr_buf_add_byte(b, quote);
}
