/* See url.h. Parsing cuts slices and never copies. Quoting has a fast path that only looks: nearly
 * every URL of a load test is clean. Where something must change, one reservation covers the worst
 * case, so that the writers below need not ask for room. */
#include "http/url.h"
#include "base/err.h"

#include <arpa/inet.h>

/* What a byte may stand for (RFC 3986); the sets are urllib3's. */
enum {
    UNRESERVED = 1,
    SUB_DELIM = 2, /* and ':' */
    PATH_ONLY = 4, /* '@' '/' */
    QUERY_ONLY = 8,
    GENERAL = 16,
    IN_USERINFO = UNRESERVED | SUB_DELIM,
    IN_PATH = IN_USERINFO | PATH_ONLY,
    IN_QUERY = IN_PATH | QUERY_ONLY, /* fragment, too */
    IN_URL = IN_QUERY | GENERAL
};
static const uint8_t classes[256] = {
    ['0' ... '9'] = UNRESERVED,
    ['A' ... 'Z'] = UNRESERVED,
    ['a' ... 'z'] = UNRESERVED,
    ['-'] = UNRESERVED,
    ['.'] = UNRESERVED,
    ['_'] = UNRESERVED,
    ['~'] = UNRESERVED,
    ['!'] = SUB_DELIM,
    ['$'] = SUB_DELIM,
    ['&'] = SUB_DELIM,
    ['\''] = SUB_DELIM,
    ['('] = SUB_DELIM,
    [')'] = SUB_DELIM,
    ['*'] = SUB_DELIM,
    ['+'] = SUB_DELIM,
    [','] = SUB_DELIM,
    [';'] = SUB_DELIM,
    ['='] = SUB_DELIM,
    [':'] = SUB_DELIM,
    ['@'] = PATH_ONLY,
    ['/'] = PATH_ONLY,
    ['?'] = QUERY_ONLY,
    ['#'] = GENERAL,
    ['%'] = GENERAL,
    ['['] = GENERAL,
    [']'] = GENERAL,
};

static unsigned class_of(char c) {
    return classes[(unsigned char)c];
}

static bool all_in(gr_str s, unsigned set) {
    for (size_t i = 0; i < s.n; i++)
        if (!(class_of(s.p[i]) & set)) return false;
    return true;
}

/* ---- Parsing ---- */

static bool is_one_of(char c, gr_str set) { /* for sets of a few, memchr's call costs more */
    for (size_t i = 0; i < set.n; i++)
        if (set.p[i] == c) return true;
    return false;
}

/* Everything up to the first of `stops`, which stays in `*s`. */
static gr_str cut_before(gr_str *s, gr_str stops) {
    size_t n = 0;
    while (n < s->n && !is_one_of(s->p[n], stops))
        n++;
    gr_str head = {s->p, n};
    *s = gr_str_from(*s, n);
    return head;
}

/* "http:" or "https:" in front goes; `*https` is left alone when there is neither. */
static bool cut_scheme(gr_str *s, bool *https) {
    static const gr_str schemes[] = {{"http:", 5}, {"https:", 6}};
    for (size_t i = 0; i < GR_LEN(schemes); i++) {
        if (!gr_str_ieq((gr_str){s->p, GR_MIN(s->n, schemes[i].n)}, schemes[i])) continue;
        *s = gr_str_from(*s, schemes[i].n);
        *https = i == 1;
        return true;
    }
    return false;
}

/* Names of letters, digits, '-', '_', '~' and single dots in between; a dot at the end is fine. */
static bool is_name(gr_str host) {
    if (host.n == 0 || host.n > GR_URL_HOST_MAX || host.p[0] == '.') return false;
    for (size_t i = 0; i < host.n; i++) {
        if (class_of(host.p[i]) != UNRESERVED) return false;
        if (host.p[i] == '.' && i > 0 && host.p[i - 1] == '.') return false;
    }
    return true;
}

static bool is_ipv6(gr_str host) {
    char text[INET6_ADDRSTRLEN];
    struct in6_addr address;
    if (host.n == 0 || host.n >= sizeof text || memchr(host.p, '\0', host.n)) return false;
    memcpy(text, host.p, host.n);
    text[host.n] = '\0';
    return inet_pton(AF_INET6, text, &address) == 1;
}

static int parse_port(gr_str text, bool https, uint16_t *port) {
    uint64_t number;
    if (text.n == 0) {
        *port = gr_url_default_port(https);
        return 0;
    }
    if (text.n > 5 || !gr_str_u64(text, &number) || number == 0 || number > UINT16_MAX)
        return GR_E_URL_PORT;
    *port = (uint16_t)number;
    return 0;
}

/* [userinfo@]host[:port]; the last '@' counts, as everywhere. */
static int parse_authority(gr_str authority, gr_url *u) {
    const char *at = authority.n ? memrchr(authority.p, '@', authority.n) : NULL;
    u->userinfo = (gr_str){authority.p, at ? (size_t)(at - authority.p) : 0};
    gr_str rest = at ? gr_str_from(authority, u->userinfo.n + 1) : authority;
    if (rest.n && rest.p[0] == '[') {
        ptrdiff_t close = gr_str_find(rest, ']');
        if (close < 0) return GR_E_URL_HOST;
        u->ipv6 = true;
        u->host = (gr_str){rest.p + 1, (size_t)close - 1};
        rest = gr_str_from(rest, (size_t)close + 1);
    } else {
        u->ipv6 = false;
        u->host = cut_before(&rest, GR_STR(":"));
    }
    if (!(u->ipv6 ? is_ipv6(u->host) : is_name(u->host))) return GR_E_URL_HOST;
    if (rest.n && rest.p[0] != ':') return GR_E_URL_HOST;
    return parse_port(gr_str_from(rest, 1), u->https, &u->port);
}

/* Path, query and fragment of what stands behind the authority. */
static void parse_rest(gr_str s, gr_url *u) {
    gr_str rest = s;
    u->path = cut_before(&rest, GR_STR("?#"));
    u->query = (gr_str){rest.p, 0};
    if (rest.n && rest.p[0] == '?') {
        rest = gr_str_from(rest, 1);
        u->query = cut_before(&rest, GR_STR("#"));
    }
    u->target = (gr_str){u->path.p, (size_t)(u->query.p + u->query.n - u->path.p)};
    u->fragment = gr_str_from(rest, 1);
}

int gr_url_parse(gr_str s, gr_url *u) {
    gr_url parsed = {0};
    if (!cut_scheme(&s, &parsed.https)) return GR_E_URL_SCHEME;
    if (!gr_str_starts(s, GR_STR("//"))) return GR_E_URL_HOST;
    s = gr_str_from(s, 2);
    int rc = parse_authority(cut_before(&s, GR_STR("/\\?#")), &parsed);
    if (rc < 0) return rc;
    parse_rest(s, &parsed);
    *u = parsed;
    return 0;
}

/* ---- Writing; the room is there ---- */

static char *put(char *to, gr_str s) {
    if (s.n) memcpy(to, s.p, s.n);
    return to + s.n;
}

static bool is_upper(char c) {
    return c >= 'A' && c <= 'Z';
}

static char *put_lower(char *to, gr_str s) {
    for (size_t i = 0; i < s.n; i++)
        *to++ = (char)(is_upper(s.p[i]) ? s.p[i] | 0x20 : s.p[i]);
    return to;
}

static char *put_escaped(char *to, char c) {
    *to++ = '%';
    *to++ = "0123456789ABCDEF"[(unsigned char)c >> 4];
    *to++ = "0123456789ABCDEF"[c & 15];
    return to;
}

static char *put_host(char *to, const gr_url *u) {
    if (u->ipv6) *to++ = '[';
    to = put_lower(to, u->host);
    if (u->ipv6) *to++ = ']';
    return to;
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The byte that the escape at s.p[i] stands for, or -1. */
static int unescape(gr_str s, size_t i) {
    if (s.n - i < 3) return -1;
    int high = hex_digit(s.p[i + 1]), low = hex_digit(s.p[i + 2]);
    return high < 0 || low < 0 ? -1 : high << 4 | low;
}

static char to_upper(char c) {
    return (char)(c >= 'a' && c <= 'z' ? c & ~0x20 : c);
}

/* One component as urllib3 and then requests quote it. Escapes stay, or are undone for unreserved
 * characters; but with a single broken one among them every '%' of the component is taken
 * literally. Their digits become upper case either way. */
static char *put_component(char *to, gr_str s, unsigned set) {
    bool escaped = true;
    for (size_t i = 0; i < s.n && escaped; i++)
        escaped = s.p[i] != '%' || unescape(s, i) >= 0;
    for (size_t i = 0; i < s.n; i++) {
        int meant = s.p[i] == '%' ? unescape(s, i) : -1;
        if (meant >= 0 && escaped && class_of((char)meant) == UNRESERVED) {
            *to++ = (char)meant;
            i += 2;
        } else if (meant >= 0) {
            to = escaped ? put(to, GR_STR("%")) : put(to, GR_STR("%25"));
            *to++ = to_upper(s.p[++i]);
            *to++ = to_upper(s.p[++i]);
        } else if (class_of(s.p[i]) & set) {
            *to++ = s.p[i];
        } else {
            to = put_escaped(to, s.p[i]);
        }
    }
    return to;
}

/* Drop the last of `count` segments that stand joined between `start` and `to`. */
static char *pop_segment(char *start, char *to, size_t count) {
    if (count == 1) return start;
    char *slash = memrchr(start, '/', (size_t)(to - start));
    return slash ? slash : start;
}

/* The path without its dot segments, as urllib3 removes them: RFC 3986 section 5.2.4, except that
 * a ".." at the root also swallows the empty segment behind it ("/..//a" is "/a"). At most path.n
 * + 1 bytes. */
static char *put_without_dots(char *to, gr_str path) {
    char *start = to;
    size_t count = 0;
    bool rooted = path.n && path.p[0] == '/', ends_in_dots = false;
    for (gr_str rest = path; rest.p;) {
        gr_str segment = cut_before(&rest, GR_STR("/"));
        ends_in_dots = rest.n == 0;
        rest = rest.n ? gr_str_from(rest, 1) : (gr_str){NULL, 0};
        if (gr_str_eq(segment, GR_STR("."))) continue;
        if (gr_str_eq(segment, GR_STR(".."))) {
            if (count) to = pop_segment(start, to, count--);
            continue;
        }
        ends_in_dots = false;
        if (count++) *to++ = '/';
        to = put(to, segment);
    }
    if (rooted && count && to > start && *start != '/') {
        memmove(start + 1, start, (size_t)(to - start));
        *start = '/';
        to++;
    }
    if (ends_in_dots && (rooted || count)) *to++ = '/';
    return to;
}

/* ---- Preparing ---- */

/* Nothing to change? May say no for a clean URL with an escape or a dot behind a slash. */
static bool is_clean(gr_str s, const gr_url *u) {
    gr_str scheme = u->https ? GR_STR("https://") : GR_STR("http://");
    const char *host_end = u->host.p + u->host.n + u->ipv6;
    gr_str port = {host_end, (size_t)(u->path.p - host_end)};
    size_t userinfo_n = u->userinfo.n ? u->userinfo.n + 1 : 0;
    size_t query_n = u->query.n ? u->query.n + 1 : 0;
    size_t fragment_n = u->fragment.n ? u->fragment.n + 1 : 0;
    if (!gr_str_starts(s, scheme) || u->host.p - u->ipv6 != s.p + scheme.n + userinfo_n)
        return false;
    for (size_t i = 0; i < u->host.n; i++)
        if (is_upper(u->host.p[i])) return false;
    if (port.n && (port.n == 1 || port.p[1] == '0')) return false;
    if (u->target.n != u->path.n + query_n || u->path.p + u->target.n + fragment_n != s.p + s.n)
        return false;
    if (u->path.n == 0 || u->path.p[0] != '/' || memmem(u->path.p, u->path.n, "/.", 2))
        return false;
    return all_in(u->userinfo, IN_USERINFO) && all_in(u->path, IN_PATH) &&
           all_in(u->query, IN_QUERY) && all_in(u->fragment, IN_QUERY);
}

/* ":port"; no NUL. Every request passes here, and snprintf would be half of its cost. */
static char *put_number(char *to, uint16_t port) {
    char digits[5];
    size_t n = 0;
    do
        digits[n++] = (char)('0' + port % 10);
    while ((port = (uint16_t)(port / 10)) != 0);
    *to++ = ':';
    while (n > 0)
        *to++ = digits[--n];
    return to;
}

static char *put_port(char *to, const gr_url *u) {
    const char *host_end = u->host.p + u->host.n + u->ipv6;
    if (u->path.p - host_end < 2) return to; /* none, or only ':' */
    return put_number(to, u->port);
}

/* `spare` has room for the path while it has no dots any more but is not quoted yet. */
static char *put_prepared(char *to, const gr_url *u, char *spare) {
    to = put(to, u->https ? GR_STR("https://") : GR_STR("http://"));
    if (u->userinfo.n) {
        to = put_component(to, u->userinfo, IN_USERINFO);
        *to++ = '@';
    }
    to = put_port(put_host(to, u), u);
    gr_str path = {spare, (size_t)(put_without_dots(spare, u->path) - spare)};
    if (path.n == 0 || path.p[0] != '/') *to++ = '/';
    to = put_component(to, path, IN_PATH);
    if (u->query.n) {
        *to++ = '?';
        to = put_component(to, u->query, IN_QUERY);
    }
    if (u->fragment.n) {
        *to++ = '#';
        to = put_component(to, u->fragment, IN_QUERY);
    }
    return to;
}

int gr_url_prepare(gr_str s, gr_buf *scratch, gr_str *prepared) {
    gr_url u;
    while (s.n && (*s.p == ' ' || (*s.p >= '\t' && *s.p <= '\r')))
        s = gr_str_from(s, 1);
    int rc = gr_url_parse(s, &u);
    if (rc < 0) return rc;
    if (is_clean(s, &u)) {
        *prepared = s;
        return 0;
    }
    size_t quoted_max = 3 * s.n + sizeof "/:65535"; /* a '/' that was not there */
    gr_buf_clear(scratch);
    if ((rc = gr_buf_reserve(scratch, quoted_max + s.n + 1)) < 0) return rc;
    scratch->n = (size_t)(put_prepared(scratch->p, &u, scratch->p + quoted_max) - scratch->p);
    *prepared = gr_str_eq(gr_buf_str(scratch), s) ? s : gr_buf_str(scratch);
    return 0;
}

static bool is_alnum(char c) {
    return (c >= '0' && c <= '9') || is_upper(c) || (c >= 'a' && c <= 'z');
}

/* requests: two letters or digits behind a '%' that are not hexadecimal spoil the whole string, and
 * every '%' in it is quoted; anything else that is no escape is left as it is. */
static bool has_bad_escape(gr_str s) {
    for (size_t i = 0; i + 2 < s.n; i++)
        if (s.p[i] == '%' && is_alnum(s.p[i + 1]) && is_alnum(s.p[i + 2]) && unescape(s, i) < 0)
            return true;
    return false;
}

int gr_url_requote(gr_str s, gr_buf *scratch, gr_str *quoted) {
    if (all_in(s, IN_URL) && gr_str_find(s, '%') < 0) {
        *quoted = s;
        return 0;
    }
    gr_buf_clear(scratch);
    int rc = gr_buf_reserve(scratch, 3 * s.n);
    if (rc < 0) return rc;
    bool bad = has_bad_escape(s);
    char *to = scratch->p;
    for (size_t i = 0; i < s.n; i++) {
        int meant = s.p[i] == '%' && !bad ? unescape(s, i) : -1;
        if (meant >= 0 && class_of((char)meant) == UNRESERVED) {
            *to++ = (char)meant;
            i += 2;
        } else if ((class_of(s.p[i]) & IN_URL) && !(bad && s.p[i] == '%')) {
            *to++ = s.p[i];
        } else {
            to = put_escaped(to, s.p[i]);
        }
    }
    scratch->n = (size_t)(to - scratch->p);
    *quoted = gr_str_eq(gr_buf_str(scratch), s) ? s : gr_buf_str(scratch);
    return 0;
}

/* ---- Redirects ---- */

/* Is there a scheme in front, whatever it is? */
static bool has_scheme(gr_str s) {
    size_t n = 0;
    while (n < s.n && (is_alnum(s.p[n]) || (n && memchr("+.-", s.p[n], 3))))
        n++;
    return n > 0 && n < s.n && s.p[n] == ':' && !(s.p[0] >= '0' && s.p[0] <= '9');
}

/* Section 5.2.3: the base's path up to its last slash, then the reference's. */
static gr_str merge_paths(gr_str base, gr_str path, char *room) {
    const char *slash = base.n ? memrchr(base.p, '/', base.n) : NULL;
    char *to = room;
    if (slash)
        to = put(to, (gr_str){base.p, (size_t)(slash - base.p) + 1});
    else
        *to++ = '/';
    return (gr_str){room, (size_t)(put(to, path) - room)};
}

/* Path and query of a reference without scheme and authority (section 5.2.2). `spare` has room for
 * both paths. */
static char *put_relative(char *to, const gr_url *base, const gr_url *ref, char *spare) {
    gr_str path = ref->path, query = ref->query;
    if (path.n == 0) {
        path = base->path;
        if (ref->target.n == 0) query = base->query; /* "?" alone empties it */
        to = put(to, path);
    } else {
        if (path.p[0] != '/') path = merge_paths(base->path, path, spare);
        to = put_without_dots(to, path);
    }
    if (query.n) {
        *to++ = '?';
        to = put(to, query);
    }
    return to;
}

/* `location` is quoted; the result is written to `to` with everything but the fragment. */
static int put_resolved(char **to, const gr_url *base, gr_str location, char *spare,
                        gr_str *fragment) {
    gr_url ref = {.https = base->https};
    gr_str rest = location;
    bool http = cut_scheme(&rest, &ref.https);
    if (!http && has_scheme(location)) return GR_E_URL_SCHEME;
    *to = put(*to, ref.https ? GR_STR("https:") : GR_STR("http:"));
    if (gr_str_starts(rest, GR_STR("//"))) {
        rest = gr_str_from(rest, 2);
        int rc = parse_authority(cut_before(&rest, GR_STR("/\\?#")), &ref);
        if (rc < 0) return rc;
        parse_rest(rest, &ref);
        *to = put(*to, GR_STR("//"));
        *to = put(*to, (gr_str){ref.userinfo.p,
                                (size_t)(ref.host.p - ref.ipv6 - ref.userinfo.p)}); /* with '@' */
        *to = put_port(put_host(*to, &ref), &ref);
        *to = put_without_dots(*to, ref.path);
        if (ref.query.n) *to = put(*to, gr_str_from(ref.target, ref.path.n));
    } else if (ref.https != base->https) {
        return GR_E_URL_HOST; /* "https:path" is taken for relative only within its scheme */
    } else {
        parse_rest(rest, &ref);
        *to = put(*to, GR_STR("//"));
        *to = put(*to, (gr_str){base->userinfo.p,
                                (size_t)(base->host.p - base->ipv6 - base->userinfo.p)});
        *to = put_port(put_host(*to, base), base);
        *to = put_relative(*to, base, &ref, spare);
    }
    *fragment = ref.fragment.n ? ref.fragment : base->fragment;
    return 0;
}

int gr_url_resolve(gr_str base, gr_str location, gr_buf *out) {
    gr_buf scratch = GR_BUF_INIT;
    gr_url from;
    gr_str fragment;
    int rc = gr_url_parse(base, &from);
    if (rc < 0 || (rc = gr_url_requote(location, &scratch, &location)) < 0) goto done;
    size_t n_max = base.n + location.n + sizeof "https:////?#:65535";
    gr_buf_clear(out);
    if ((rc = gr_buf_reserve(out, 2 * n_max)) < 0) goto done;
    char *to = out->p;
    if ((rc = put_resolved(&to, &from, location, out->p + n_max, &fragment)) < 0) goto done;
    if (fragment.n) {
        *to++ = '#';
        to = put(to, fragment);
    }
    out->n = (size_t)(to - out->p);
done:
    gr_buf_deinit(&scratch);
    return rc;
}

/* ---- Small questions ---- */

bool gr_url_same_origin(const gr_url *a, const gr_url *b) {
    return a->https == b->https && a->port == b->port && a->ipv6 == b->ipv6 &&
           gr_str_ieq(a->host, b->host);
}

int gr_url_target(const gr_url *u, gr_buf *out) {
    int rc = gr_buf_reserve(out, u->target.n + 1);
    if (rc < 0) return rc;
    if (u->target.n == 0 || u->target.p[0] != '/') out->p[out->n++] = '/';
    return gr_buf_add(out, u->target);
}

int gr_url_host_lower(const gr_url *u, gr_buf *out) {
    int rc = gr_buf_reserve(out, u->host.n);
    if (rc < 0) return rc;
    out->n = (size_t)(put_lower(out->p + out->n, u->host) - out->p);
    return 0;
}

int gr_url_host_field(const gr_url *u, gr_buf *out) {
    int rc = gr_buf_reserve(out, u->host.n + sizeof "[]:65535");
    if (rc < 0) return rc;
    char *to = put_host(out->p + out->n, u);
    if (u->port != gr_url_default_port(u->https)) to = put_number(to, u->port);
    out->n = (size_t)(to - out->p);
    return 0;
}

/* Resolvers read every name whose last label is a number as an IPv4 address ("127.1", "0x7f.1"). */
bool gr_url_host_is_ip(gr_str host) {
    if (gr_str_find(host, ':') >= 0) return true;
    if (host.n && host.p[host.n - 1] == '.') host.n--;
    const char *dot = host.n ? memrchr(host.p, '.', host.n) : NULL;
    gr_str label = dot ? gr_str_from(host, (size_t)(dot - host.p) + 1) : host;
    if (label.n > 1 && label.p[0] == '0' && (label.p[1] | 0x20) == 'x') return true;
    for (size_t i = 0; i < label.n; i++)
        if (label.p[i] < '0' || label.p[i] > '9') return false;
    return label.n > 0;
}
