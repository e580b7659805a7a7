/* Operations on gr_str, and the last words of a failed check. */
#include "base/base.h"

#include <stdio.h>
#include <stdlib.h>

static char lower(char c) {
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

bool gr_str_ieq(gr_str a, gr_str b) {
    if (a.n != b.n) return false;
    for (size_t i = 0; i < a.n; i++)
        if (lower(a.p[i]) != lower(b.p[i])) return false;
    return true;
}

static bool blank(char c) {
    return c == ' ' || c == '\t';
}

gr_str gr_str_trim(gr_str s) {
    while (s.n > 0 && blank(s.p[0])) {
        s.p++;
        s.n--;
    }
    while (s.n > 0 && blank(s.p[s.n - 1]))
        s.n--;
    return s;
}

ptrdiff_t gr_str_find(gr_str s, char c) {
    const char *at = s.n ? memchr(s.p, c, s.n) : NULL;
    return at ? at - s.p : -1;
}

bool gr_str_u64(gr_str s, uint64_t *value) {
    uint64_t v = 0;
    if (s.n == 0) return false;
    for (size_t i = 0; i < s.n; i++) {
        unsigned digit = (unsigned)(unsigned char)s.p[i] - '0';
        if (digit > 9 || v > (UINT64_MAX - digit) / 10) return false;
        v = v * 10 + digit;
    }
    *value = v;
    return true;
}

/* FNV-1a with a final mix: short keys, small tables. */
uint64_t gr_str_hash(gr_str s, uint64_t seed) {
    uint64_t h = 0xcbf29ce484222325u ^ seed;
    for (size_t i = 0; i < s.n; i++)
        h = (h ^ (unsigned char)s.p[i]) * 0x100000001b3u;
    h ^= h >> 32;
    h *= 0xd6e8feb86659fd93u;
    return h ^ (h >> 32);
}

int gr_str_cmp(gr_str a, gr_str b) {
    size_t n = GR_MIN(a.n, b.n);
    int order = n ? memcmp(a.p, b.p, n) : 0;
    if (order != 0) return order;
    return a.n < b.n ? -1 : a.n > b.n;
}

void gr__check_failed(const char *what, const char *file, int line) {
    fprintf(stderr, "gregaria: bug: %s:%d: %s\n", file, line, what);
    abort();
}
