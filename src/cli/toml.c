/* The [tool.locust] table of a TOML file (conf.h). Other tables are walked over: their strings and
 * brackets are followed, so that a "[tool.locust]" inside a multi-line string is not a table, but
 * their values are not checked. In our table a value is a string, an integer, a float, a boolean or an
 * array of these; scalars become the text that Python's str() gives, since options parse texts.
 *
 * Invariant: `at` never passes the end; peek() gives '\0' there, and a NUL inside the text is an error
 * wherever a value or key is expected. */
#include "cli/conf.h"
#include "base/err.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#define KEY_PARTS_MAX   8 /* deeper paths are compared by their first parts */
#define KEY_BYTES_MAX   128
#define ARRAY_ITEMS_MAX 1000

typedef struct path { /* a dotted key; of longer parts and paths only the beginning */
    size_t n;
    char parts[KEY_PARTS_MAX][KEY_BYTES_MAX];
} path;

typedef struct toml {
    gr_str text;
    size_t at;
    unsigned line;
    gr_conf *conf;
    gr_buf *why;
    path table; /* that the current line belongs to */
    bool ours;  /* it is tool.locust */
    bool seen;  /* tool.locust was opened before */
} toml;

static int broken(const toml *t, unsigned line, const char *format, ...) GR_PRINTF(3, 4);
static int broken(const toml *t, unsigned line, const char *format, ...) {
    char text[256];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    int rc = gr_buf_addf(t->why, "%s:%u: %s", t->conf->path.p, line, text);
    return rc < 0 ? rc : GR_E_INVALID;
}

static char peek_at(const toml *t, size_t ahead) {
    return t->at + ahead < t->text.n ? t->text.p[t->at + ahead] : '\0';
}

static char peek(const toml *t) {
    return peek_at(t, 0);
}

static bool at_end(const toml *t) {
    return t->at >= t->text.n;
}

static char take(toml *t) {
    char c = t->text.p[t->at++];
    if (c == '\n') t->line++;
    return c;
}

static void skip_blanks(toml *t) {
    while (peek(t) == ' ' || peek(t) == '\t' || (peek(t) == '\r' && peek_at(t, 1) == '\n'))
        t->at++;
}

static void skip_comment(toml *t) {
    if (peek(t) != '#') return;
    while (!at_end(t) && peek(t) != '\n')
        t->at++;
}

static void skip_lines(toml *t) { /* blanks, comments and line ends */
    for (;;) {
        skip_blanks(t);
        skip_comment(t);
        if (at_end(t) || peek(t) != '\n') return;
        take(t);
    }
}

static int put_utf8(gr_buf *b, uint32_t c) {
    char out[4];
    size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    static const unsigned char LEAD[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = n - 1; i > 0; i--, c >>= 6)
        out[i] = (char)(0x80 | (c & 0x3f));
    out[0] = (char)(LEAD[n == 1 ? 0 : n] | c);
    return gr_buf_add(b, (gr_str){out, n});
}

static int hex_value(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int unicode_escape(toml *t, gr_buf *out, int digits) {
    uint32_t c = 0;
    for (int i = 0; i < digits; i++) {
        int v = hex_value(peek(t));
        if (v < 0)
            return broken(t, t->line, "\\%c needs %d hexadecimal digits", digits == 4 ? 'u' : 'U',
                          digits);
        c = c << 4 | (uint32_t)v;
        t->at++;
    }
    if (c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
        return broken(t, t->line, "U+%04" PRIX32 " is not a character", c);
    return put_utf8(out, c);
}

/* Behind a backslash in a basic string. */
static int escape(toml *t, gr_buf *out, bool multi) {
    static const char PLAIN[][2] = {{'b', '\b'}, {'t', '\t'}, {'n', '\n'}, {'f', '\f'},
                                    {'r', '\r'}, {'"', '"'},  {'\\', '\\'}};
    char c = peek(t);
    for (size_t i = 0; i < GR_LEN(PLAIN); i++)
        if (c == PLAIN[i][0]) {
            t->at++;
            return gr_buf_add_byte(out, PLAIN[i][1]);
        }
    if (c == 'u' || c == 'U') {
        t->at++;
        return unicode_escape(t, out, c == 'u' ? 4 : 8);
    }
    if (multi) { /* a backslash at the end of a line swallows the line end and what indents the next */
        size_t blanks = 0;
        while (peek_at(t, blanks) == ' ' || peek_at(t, blanks) == '\t' ||
               peek_at(t, blanks) == '\r')
            blanks++;
        if (peek_at(t, blanks) == '\n') {
            while (!at_end(t) && strchr(" \t\r\n", peek(t)))
                take(t);
            return 0;
        }
    }
    return broken(t, t->line, "unknown escape in a string");
}

/* How many of `quote` stand here, at most `max`. */
static size_t quotes_here(const toml *t, char quote, size_t max) {
    size_t n = 0;
    while (n < max && peek_at(t, n) == quote && t->at + n < t->text.n)
        n++;
    return n;
}

/* A string of any of the four kinds, from its opening quote on, appended to `out`. */
static int read_string(toml *t, gr_buf *out) {
    char quote = peek(t);
    unsigned start = t->line;
    bool multi = quotes_here(t, quote, 3) == 3;
    t->at += multi ? 3 : 1;
    if (multi && peek(t) == '\r' && peek_at(t, 1) == '\n') t->at++;
    if (multi && peek(t) == '\n') take(t);
    while (!at_end(t)) {
        size_t quotes = quotes_here(t, quote, multi ? 5 : 1);
        if (quotes >= (multi ? 3u : 1u)) { /* up to two quotes may touch the closing three */
            size_t inside = multi ? quotes - 3 : 0;
            int rc = gr_buf_add(out, (gr_str){t->text.p + t->at, inside});
            t->at += quotes;
            return rc;
        }
        if (!multi && peek(t) == '\n') break;
        char c = take(t);
        int rc = c == '\\' && quote == '"' ? escape(t, out, multi) : gr_buf_add_byte(out, c);
        if (rc < 0) return rc;
    }
    return broken(t, start, "this string has no end");
}

static bool is_bare(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
}

static int read_key_part(toml *t, gr_buf *part) {
    if (peek(t) == '"' || peek(t) == '\'') {
        if (quotes_here(t, peek(t), 3) == 3)
            return broken(t, t->line, "a key cannot be a multi-line string");
        return read_string(t, part);
    }
    size_t start = t->at;
    while (is_bare(peek(t)))
        t->at++;
    if (t->at == start) return broken(t, t->line, "expected a key");
    return gr_buf_add(part, (gr_str){t->text.p + start, t->at - start});
}

/* A dotted key; blanks around it are skipped. A part that is too long is cut, which makes it differ
 * from every option. */
static int read_key(toml *t, path *key) {
    key->n = 0;
    for (;;) {
        gr_buf part = GR_BUF_INIT;
        skip_blanks(t);
        int rc = read_key_part(t, &part);
        if (rc == 0 && key->n < KEY_PARTS_MAX) {
            size_t n = GR_MIN(part.n, (size_t)KEY_BYTES_MAX - 1);
            if (n) memcpy(key->parts[key->n], part.p, n);
            key->parts[key->n++][n] = '\0';
        }
        gr_buf_deinit(&part);
        if (rc < 0) return rc;
        skip_blanks(t);
        if (peek(t) != '.') return 0;
        t->at++;
    }
}

/* Whether the line's key, within the current table, leads to tool.locust or into it. */
static bool leads_to_us(const path *table, const path *key) {
    static const char *const US[] = {"tool", "locust"};
    for (size_t i = 0; i < GR_LEN(US); i++) {
        if (i >= table->n + key->n) return false;
        const char *part = i < table->n ? table->parts[i] : key->parts[i - table->n];
        if (strcmp(part, US[i]) != 0) return false;
    }
    return true;
}

static int end_of_line(toml *t, const char *what) {
    skip_blanks(t);
    skip_comment(t);
    if (at_end(t)) return 0;
    if (peek(t) != '\n') return broken(t, t->line, "unexpected text behind %s", what);
    take(t);
    return 0;
}

static int read_header(toml *t) {
    bool array = peek_at(t, 1) == '[';
    t->at += array ? 2 : 1;
    int rc = read_key(t, &t->table);
    if (rc < 0) return rc;
    for (int i = 0; i < (array ? 2 : 1); i++) {
        if (peek(t) != ']') return broken(t, t->line, "this table's name has no closing bracket");
        t->at++;
    }
    path none = {.n = 0};
    t->ours = leads_to_us(&t->table, &none);
    if (t->ours && (array || t->table.n > 2))
        return broken(t, t->line, "options belong into one plain table, [tool.locust]");
    if (t->ours && t->seen) return broken(t, t->line, "the table [tool.locust] is there twice");
    t->seen = t->seen || t->ours;
    return end_of_line(t, "the table's name");
}

/* The rest of a statement in somebody else's table. */
static int skip_statement(toml *t) {
    unsigned start = t->line;
    size_t depth = 0;
    while (!at_end(t)) {
        char c = peek(t);
        if (c == '\n' && depth == 0) break;
        if (c == '"' || c == '\'') {
            gr_buf ignored = GR_BUF_INIT;
            int rc = read_string(t, &ignored);
            gr_buf_deinit(&ignored);
            if (rc < 0) return rc;
            continue;
        }
        if (c == '#') {
            skip_comment(t);
            continue;
        }
        if (c == '[' || c == '{') depth++;
        if ((c == ']' || c == '}') && depth > 0) depth--;
        take(t);
    }
    if (depth > 0) return broken(t, start, "this value has no closing bracket");
    if (!at_end(t)) take(t);
    return 0;
}

/* Digits of a base with single underscores between them, copied without. */
static bool clean_digits(gr_str s, unsigned base, char *out, size_t *n) {
    for (size_t i = 0; i < s.n; i++) {
        bool between = s.p[i] == '_' && i > 0 && i + 1 < s.n && s.p[i - 1] != '_';
        int v = hex_value(s.p[i]);
        if (!between && (v < 0 || (unsigned)v >= base)) return false;
        if (!between) out[(*n)++] = s.p[i];
    }
    return s.n > 0;
}

/* 0x, 0o and 0b integers, to decimal. */
static bool clean_prefixed(gr_str s, char out[KEY_BYTES_MAX]) {
    static const struct {
        char letter;
        unsigned base;
    } BASES[] = {{'x', 16}, {'o', 8}, {'b', 2}};
    if (s.n < 3 || s.p[0] != '0') return false;
    for (size_t i = 0; i < GR_LEN(BASES); i++) {
        char digits[KEY_BYTES_MAX];
        size_t n = 0;
        uint64_t value = 0;
        if (s.p[1] != BASES[i].letter) continue;
        if (!clean_digits(gr_str_from(s, 2), BASES[i].base, digits, &n)) return false;
        for (size_t k = 0; k < n; k++) {
            if (value > (UINT64_MAX >> 4)) return false;
            value = value * BASES[i].base + (uint64_t)hex_value(digits[k]);
        }
        snprintf(out, KEY_BYTES_MAX, "%" PRIu64, value);
        return true;
    }
    return false;
}

/* Decimal integers and floats, without underscores and a plus; inf and nan as they are. */
static bool clean_decimal(gr_str s, char out[KEY_BYTES_MAX]) {
    size_t n = 0, at = 0;
    if (s.n && (s.p[0] == '-' || s.p[0] == '+')) {
        if (s.p[0] == '-') out[n++] = '-';
        s = gr_str_from(s, 1);
    }
    bool word = gr_str_eq(s, GR_STR("inf")) || gr_str_eq(s, GR_STR("nan"));
    if (word) {
        memcpy(out + n, s.p, s.n);
        out[n + s.n] = '\0';
        return true;
    }
    if (s.n > 1 && s.p[0] == '0' && (hex_value(s.p[1]) >= 0 || s.p[1] == '_') && s.p[1] != 'e' &&
        s.p[1] != 'E')
        return false;                         /* no leading zeros */
    for (int piece = 0; piece < 3; piece++) { /* 12 .34 e56 */
        size_t end = at;
        while (end < s.n && s.p[end] != '.' && s.p[end] != 'e' && s.p[end] != 'E')
            end++;
        if (!clean_digits((gr_str){s.p + at, end - at}, 10, out, &n)) return false;
        if (end == s.n) {
            out[n] = '\0';
            return true;
        }
        if (s.p[end] == '.' ? piece > 0 : piece > 1) return false;
        bool exponent = s.p[end] != '.';
        out[n++] = exponent ? 'e' : '.';
        at = end + 1;
        if (exponent && at < s.n && (s.p[at] == '-' || s.p[at] == '+')) out[n++] = s.p[at++];
        if (exponent) piece = 1; /* only digits may follow: the next separator fails above */
    }
    return false;
}

/* A boolean or a number. */
static int read_bare_value(toml *t, gr_buf *out) {
    size_t start = t->at;
    while (is_bare(peek(t)) || (peek(t) && strchr("+.:", peek(t))))
        t->at++;
    gr_str word = {t->text.p + start, t->at - start};
    char number[KEY_BYTES_MAX];
    if (gr_str_eq(word, GR_STR("true"))) return gr_buf_addc(out, "True");
    if (gr_str_eq(word, GR_STR("false"))) return gr_buf_addc(out, "False");
    if (word.n && word.n < KEY_BYTES_MAX &&
        (clean_prefixed(word, number) || clean_decimal(word, number)))
        return gr_buf_addc(out, number);
    if (word.n == 0) return broken(t, t->line, "expected a value");
    return broken(t, t->line, "%.*s is no value for an option: strings need quotes",
                  (int)GR_MIN(word.n, 60u), word.p);
}

static int read_scalar(toml *t, gr_str *value) {
    gr_buf out = GR_BUF_INIT;
    int rc;
    if (peek(t) == '"' || peek(t) == '\'')
        rc = read_string(t, &out);
    else if (peek(t) == '[' || peek(t) == '{')
        rc = broken(t, t->line, "an option's value cannot hold arrays in arrays or tables");
    else
        rc = read_bare_value(t, &out);
    if (rc == 0) rc = gr_arena_copy(&t->conf->arena, gr_buf_str(&out), value);
    gr_buf_deinit(&out);
    return rc;
}

static int read_array(toml *t, gr_conf_item *item) {
    unsigned start = t->line;
    gr_str values[ARRAY_ITEMS_MAX];
    size_t n = 0;
    t->at++;
    for (skip_lines(t); peek(t) != ']'; skip_lines(t)) {
        if (at_end(t)) return broken(t, start, "this array has no closing bracket");
        if (n == ARRAY_ITEMS_MAX)
            return broken(t, start, "this array has over %d values", ARRAY_ITEMS_MAX);
        int rc = read_scalar(t, &values[n++]);
        if (rc < 0) return rc;
        skip_lines(t);
        if (at_end(t)) return broken(t, start, "this array has no closing bracket");
        if (peek(t) == ']') break;
        if (peek(t) != ',') return broken(t, t->line, "expected a comma in this array");
        t->at++;
    }
    t->at++;
    gr_str *copy = gr_arena_alloc(&t->conf->arena, GR_MAX(n, 1u) * sizeof *copy);
    if (!copy) return GR_E_NOMEM;
    memcpy(copy, values, n * sizeof *copy);
    item->items = copy;
    item->items_n = n;
    return 0;
}

static int read_setting(toml *t, const path *key) {
    gr_conf_item *item;
    if (key->n != 1) return broken(t, t->line, "a key here is one option's name, without dots");
    int rc = gr__conf_add(t->conf, gr_str_c(key->parts[0]), t->line, &item);
    if (rc == GR_E_BUSY) return broken(t, t->line, "%s is there twice", key->parts[0]);
    if (rc < 0) return rc;
    skip_blanks(t);
    rc = peek(t) == '[' ? read_array(t, item) : read_scalar(t, &item->value);
    return rc < 0 ? rc : end_of_line(t, "the value");
}

static int read_statement(toml *t) {
    path key;
    if (peek(t) == '[') return read_header(t);
    bool on_the_way =
        t->table.n == 0 || (t->table.n == 1 && strcmp(t->table.parts[0], "tool") == 0);
    if (!t->ours && !on_the_way) return skip_statement(t);
    int rc = read_key(t, &key);
    if (rc < 0) return rc;
    if (peek(t) != '=') return broken(t, t->line, "expected '=' behind the key");
    t->at++;
    if (t->ours) return read_setting(t, &key);
    if (leads_to_us(&t->table, &key))
        return broken(t, t->line, "write the options under a [tool.locust] line");
    return skip_statement(t);
}

int gr_conf_parse_toml(gr_conf *c, gr_str text, gr_buf *why) {
    toml t = {.text = text, .line = 1, .conf = c, .why = why};
    for (skip_lines(&t); !at_end(&t); skip_lines(&t)) {
        int rc = read_statement(&t);
        if (rc < 0) return rc;
    }
    return 0;
}
