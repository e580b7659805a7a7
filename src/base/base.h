/* The vocabulary of every file: strings as pointer and length, one time type, three kinds of check.
 * Nothing here does I/O or allocates. */
#ifndef GR_BASE_BASE_H
#define GR_BASE_BASE_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifndef GR_DEBUG
#define GR_DEBUG 0
#endif
#ifndef GR_HOSTILE
#define GR_HOSTILE 0
#endif
#ifndef GR_NO_POOLS
#define GR_NO_POOLS 0
#endif

/* Bytes that belong to somebody else; not NUL-terminated, may hold NULs. */
typedef struct gr_str {
    const char *p;
    size_t n;
} gr_str;

#define GR_STR(literal) ((gr_str){(literal), sizeof(literal) - 1})

static inline gr_str gr_str_c(const char *c_string) {
    return (gr_str){c_string, c_string ? strlen(c_string) : 0};
}
static inline bool gr_str_eq(gr_str a, gr_str b) {
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}
static inline bool gr_str_starts(gr_str s, gr_str prefix) {
    return s.n >= prefix.n && (prefix.n == 0 || memcmp(s.p, prefix.p, prefix.n) == 0);
}
/* From `from` on; empty when `from` lies behind the end. */
static inline gr_str gr_str_from(gr_str s, size_t from) {
    if (from > s.n) from = s.n;
    return from ? (gr_str){s.p + from, s.n - from} : s; /* NULL + 0 is undefined in C */
}

/* str.c; ASCII rules, the locale never matters. */
bool gr_str_ieq(gr_str a, gr_str b);           /* equal but for case */
gr_str gr_str_trim(gr_str s);                  /* without blanks and tabs at both ends */
ptrdiff_t gr_str_find(gr_str s, char c);       /* index of the first c, or -1 */
bool gr_str_u64(gr_str s, uint64_t *value);    /* decimal digits only; false on overflow or junk */
uint64_t gr_str_hash(gr_str s, uint64_t seed); /* not for hostile keys beyond a bounded table */
int gr_str_cmp(gr_str a, gr_str b);            /* byte order, shorter first: <0, 0, >0 */

/* Monotonic time or a span of it, nanoseconds. Wall-clock time is gr_wall_ns (clock.h). */
typedef uint64_t gr_ns;
#define GR_US(n) ((gr_ns)(n)*1000u)
#define GR_MS(n) ((gr_ns)(n)*1000000u)
#define GR_S(n)  ((gr_ns)(n)*1000000000u)

#define GR_LEN(array)                (sizeof(array) / sizeof((array)[0]))
#define GR_MIN(a, b)                 ((a) < (b) ? (a) : (b))
#define GR_MAX(a, b)                 ((a) > (b) ? (a) : (b))
#define GR_CONTAINER(p, type, field) ((type *)(void *)((char *)(p)-offsetof(type, field)))
#define GR_PRINTF(text_at, args_at)  __attribute__((format(printf, text_at, args_at)))
#define GR_API                       __attribute__((visibility("default")))

/* What only our own bug can cause: GR_CHECK stays on in release, GR_DCHECK is for test builds. */
_Noreturn void gr__check_failed(const char *what, const char *file, int line);
#define GR_CHECK(cond)   ((cond) ? (void)0 : gr__check_failed(#cond, __FILE__, __LINE__))
#define GR_DCHECK(cond)  ((void)(GR_DEBUG && (GR_CHECK(cond), 0)))
#define GR_UNREACHABLE() gr__check_failed("unreachable", __FILE__, __LINE__)

#endif
