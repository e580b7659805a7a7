/* See conf.h. The "key value" dialect: one setting a line, as `key = value`, `key: value`, `key value`
 * or just `key`; lines that begin with '#', ';', '[' or '---' say nothing (so [sections] are allowed
 * and ignored); " #" and " ;" begin a comment behind a value; a repeated key counts once, the last. */
#include "cli/conf.h"
#include "base/alloc.h"
#include "base/err.h"

#include <errno.h>
#include <stdio.h>

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

int gr__conf_add(gr_conf *c, gr_str key, unsigned line, gr_conf_item **item) {
    for (size_t i = 0; i < c->n; i++)
        if (gr_str_eq(c->items[i].key, key)) {
            *item = &c->items[i];
            return GR_E_BUSY;
        }
    if (c->n == c->cap) {
        size_t cap = c->cap ? c->cap * 2 : 8;
        gr_conf_item *items = gr_realloc(c->items, cap * sizeof *items);
        if (!items) return GR_E_NOMEM;
        c->items = items;
        c->cap = cap;
    }
    gr_conf_item fresh = {.line = line};
    if (gr_arena_copy(&c->arena, key, &fresh.key) < 0) return GR_E_NOMEM;
    c->items[c->n] = fresh;
    *item = &c->items[c->n++];
    return 0;
}

static bool says_nothing(gr_str line) {
    return line.n == 0 || strchr("#;[", line.p[0]) || gr_str_starts(line, GR_STR("---"));
}

/* Whether only blanks and a comment follow `at`; the comment needs a blank before it. */
static bool ends_at(gr_str s, size_t at) {
    size_t next = at;
    while (next < s.n && is_space(s.p[next]))
        next++;
    return next == s.n || (next > at && (s.p[next] == '#' || s.p[next] == ';'));
}

/* The value at the front of a non-empty `s`: up to its closing quote, or to the comment. */
static gr_str value_of(gr_str s) {
    if (s.p[0] == '"' || s.p[0] == '\'')
        for (size_t end = 1; end < s.n; end++)
            if (s.p[end] == s.p[0] && ends_at(s, end + 1)) return (gr_str){s.p + 1, end - 1};
    size_t end = 1;
    while (!ends_at(s, end))
        end++;
    return (gr_str){s.p, end};
}

static int parse_line(gr_conf *c, gr_str line, unsigned number, gr_buf *why) {
    size_t n = 0;
    while (n < line.n && !is_space(line.p[n]) && !strchr(":=;#", line.p[n]))
        n++;
    gr_str key = {line.p, n}, rest = trim(gr_str_from(line, n));
    bool separator = rest.n && (rest.p[0] == '=' || rest.p[0] == ':');
    bool comment = rest.n && (rest.p[0] == '#' || rest.p[0] == ';');
    bool glued = n < line.n && !is_space(line.p[n]); /* "key#x" is neither a key nor a comment */
    if (n == 0 || (comment && glued)) {
        int rc = gr_buf_addf(why, "%s:%u: this line is not a setting: expected 'key = value'",
                             c->path.p, number);
        return rc < 0 ? rc : GR_E_INVALID;
    }
    gr_str value = GR_STR("true");
    if (separator) {
        rest = trim(gr_str_from(rest, 1));
        value = rest.n ? value_of(rest) : GR_STR("");
    } else if (rest.n && !comment) {
        value = value_of(rest);
    }
    gr_conf_item *item;
    int rc = gr__conf_add(c, key, number, &item);
    if (rc < 0 && rc != GR_E_BUSY) return rc;
    item->line = number;
    return gr_arena_copy(&c->arena, value, &item->value);
}

int gr_conf_parse_lines(gr_conf *c, gr_str text, gr_buf *why) {
    for (unsigned number = 1; text.n; number++) {
        ptrdiff_t end = gr_str_find(text, '\n');
        size_t n = end < 0 ? text.n : (size_t)end;
        gr_str line = trim((gr_str){text.p, n});
        int rc = says_nothing(line) ? 0 : parse_line(c, line, number, why);
        if (rc < 0) return rc;
        text = gr_str_from(text, n + 1);
    }
    return 0;
}

/* The whole file into `text`; 0, GR_E_NOMEM, -EFBIG or -errno. */
static int read_all(const char *path, gr_buf *text) {
    FILE *f = fopen(path, "rbe");
    if (!f) return -errno;
    int rc = 0;
    size_t got = 1;
    while (rc == 0 && got > 0) {
        if ((rc = gr_buf_reserve(text, 4096)) < 0) break;
        got = fread(text->p + text->n, 1, 4096, f);
        text->n += got;
        if (got == 0 && ferror(f)) rc = -errno;
        if (text->n > GR_CONF_BYTES_MAX) rc = -EFBIG;
    }
    fclose(f);
    return rc;
}

int gr_conf_read(gr_conf *c, const char *path, gr_buf *why) {
    gr_buf text = GR_BUF_INIT;
    gr_str name = gr_str_c(path), suffix = GR_STR(".toml");
    int rc = gr_arena_copy(&c->arena, name, &c->path);
    if (rc == 0 && (rc = read_all(path, &text)) < 0 && rc != -ENOENT && rc != GR_E_NOMEM)
        gr_buf_addf(why, "cannot read the config file %s: %s", path, gr_strerror(rc));
    if (rc == 0) {
        bool toml = name.n >= suffix.n && gr_str_eq(gr_str_from(name, name.n - suffix.n), suffix);
        rc = toml ? gr_conf_parse_toml(c, gr_buf_str(&text), why)
                  : gr_conf_parse_lines(c, gr_buf_str(&text), why);
    }
    gr_buf_deinit(&text);
    return rc;
}

void gr_conf_deinit(gr_conf *c) {
    gr_free(c->items);
    gr_arena_deinit(&c->arena);
    *c = GR_CONF_INIT;
}
