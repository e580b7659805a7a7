/* See cookies.h. The jar is one array, longest path first and then by age, which is the order that
 * a Cookie header wants: building one is a single pass. A cookie's strings live in one block with
 * the value last, so that a server which sends a new value each time costs no allocation. */
#include "http/cookies.h"
#include "http/url.h"
#include "base/alloc.h"
#include "base/err.h"

#define ENTRIES_FIRST 4u
#define NS_PER_S      1000000000

typedef struct entry {
    gr_cookie c;       /* its strings lie in `mem` */
    char *mem;         /* owned: name, domain, path, value */
    size_t value_room; /* bytes in `mem` for the value */
    uint64_t order;    /* of creation */
} entry;

struct gr_jar {
    entry *at;
    size_t n, cap;
    uint64_t version, orders;
};

/* ---- Dates: RFC 6265 section 5.1.1 ---- */

typedef struct date {
    bool has_time, has_day, has_month, has_year;
    unsigned hour, minute, second, day, month;
    int year;
} date;

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static bool is_date_delimiter(char c) {
    return c == '\t' || (c >= ' ' && c <= '/') || (c >= ';' && c <= '@') ||
           (c >= '[' && c <= '`') || (c >= '{' && c <= '~');
}

/* Between `min` and `max` digits, moved past; what follows must not be another digit. */
static bool take_digits(gr_str *s, size_t min, size_t max, unsigned *value) {
    size_t n = 0;
    unsigned v = 0;
    while (n < s->n && n < max && is_digit(s->p[n]))
        v = v * 10 + (unsigned)(s->p[n++] - '0');
    if (n < min || (n < s->n && is_digit(s->p[n]))) return false;
    *s = gr_str_from(*s, n);
    *value = v;
    return true;
}

static bool take_colon(gr_str *s) {
    if (s->n == 0 || s->p[0] != ':') return false;
    *s = gr_str_from(*s, 1);
    return true;
}

static bool date_time(gr_str token, date *d) {
    unsigned hour, minute, second;
    if (!take_digits(&token, 1, 2, &hour) || !take_colon(&token) ||
        !take_digits(&token, 1, 2, &minute) || !take_colon(&token) ||
        !take_digits(&token, 1, 2, &second))
        return false;
    d->has_time = true;
    d->hour = hour;
    d->minute = minute;
    d->second = second;
    return true;
}

static bool date_month(gr_str token, date *d) {
    static const char names[] = "janfebmaraprmayjunjulaugsepoctnovdec";
    if (token.n < 3) return false;
    for (unsigned i = 0; i < 12; i++) {
        if (!gr_str_ieq((gr_str){token.p, 3}, (gr_str){names + 3 * (size_t)i, 3})) continue;
        d->has_month = true;
        d->month = i + 1;
        return true;
    }
    return false;
}

/* The first token of each kind counts, in this order of trying. */
static void date_token(gr_str token, date *d) {
    unsigned value;
    gr_str rest = token;
    if (!d->has_time && date_time(token, d)) return;
    if (!d->has_day && take_digits(&rest, 1, 2, &value)) {
        d->has_day = true;
        d->day = value;
        return;
    }
    if (!d->has_month && date_month(token, d)) return;
    rest = token;
    if (!d->has_year && take_digits(&rest, 2, 4, &value)) {
        d->has_year = true;
        d->year = (int)value + (value <= 69 ? 2000 : value <= 99 ? 1900 : 0);
    }
}

/* Days since 1970-01-01 in the proleptic Gregorian calendar; years are counted from March, so that
 * the leap day is the last of its year. */
static int64_t days_of(int year, unsigned month, unsigned day) {
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = y / 400, of_era = y % 400; /* the year is 1601 or later */
    int64_t of_year = (153 * (int64_t)(month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static unsigned days_in_month(int year, unsigned month) {
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    if (month == 2) return leap ? 29 : 28;
    return month == 4 || month == 6 || month == 9 || month == 11 ? 30 : 31;
}

static gr_wall_ns wall_of_seconds(int64_t seconds) { /* saturates */
    if (seconds > INT64_MAX / NS_PER_S) return INT64_MAX;
    if (seconds < INT64_MIN / NS_PER_S) return INT64_MIN;
    return seconds * NS_PER_S;
}

static bool parse_date(gr_str text, gr_wall_ns *at) {
    date d = {0};
    for (size_t i = 0; i < text.n;) {
        size_t start = i;
        while (i < text.n && !is_date_delimiter(text.p[i]))
            i++;
        if (i > start)
            date_token((gr_str){text.p + start, i - start}, &d);
        else
            i++;
    }
    if (!d.has_time || !d.has_day || !d.has_month || !d.has_year) return false;
    if (d.year < 1601 || d.hour > 23 || d.minute > 59 || d.second > 59) return false;
    if (d.day < 1 || d.day > days_in_month(d.year, d.month)) return false;
    *at = wall_of_seconds(days_of(d.year, d.month, d.day) * 86400 + d.hour * 3600 + d.minute * 60 +
                          d.second);
    return true;
}

/* "-5" or digits only; too many digits are as good as for ever. */
static bool parse_max_age(gr_str text, gr_wall_ns now, gr_wall_ns *at) {
    bool negative = text.n && text.p[0] == '-';
    gr_str digits = gr_str_from(text, negative);
    uint64_t seconds;
    for (size_t i = 0; i < digits.n; i++)
        if (!is_digit(digits.p[i])) return false;
    if (digits.n == 0) return false;
    if (!gr_str_u64(digits, &seconds) || seconds > INT64_MAX) seconds = INT64_MAX;
    if (negative || seconds == 0) {
        *at = INT64_MIN;
    } else if (__builtin_add_overflow(now, wall_of_seconds((int64_t)seconds), at)) {
        *at = INT64_MAX;
    }
    return true;
}

/* ---- Matching: sections 5.1.3 and 5.1.4 ---- */

static bool domain_matches(gr_str host, gr_str domain) {
    if (gr_str_ieq(host, domain)) return true;
    if (host.n <= domain.n || gr_url_host_is_ip(host)) return false;
    gr_str tail = gr_str_from(host, host.n - domain.n);
    return host.p[host.n - domain.n - 1] == '.' && gr_str_ieq(tail, domain);
}

static bool cookie_matches_host(const gr_cookie *c, gr_str host) {
    if (c->domain.n == 0) return true;
    return c->host_only ? gr_str_ieq(host, c->domain) : domain_matches(host, c->domain);
}

static bool path_matches(gr_str path, gr_str cookie_path) {
    if (path.n == 0) path = GR_STR("/");
    if (!gr_str_starts(path, cookie_path)) return false;
    if (path.n == cookie_path.n || cookie_path.n == 0) return true;
    return cookie_path.p[cookie_path.n - 1] == '/' || path.p[cookie_path.n] == '/';
}

static gr_str default_path(gr_str path) {
    const char *slash = path.n && path.p[0] == '/' ? memrchr(path.p, '/', path.n) : NULL;
    if (!slash || slash == path.p) return GR_STR("/");
    return (gr_str){path.p, (size_t)(slash - path.p)};
}

/* ---- The array ---- */

gr_jar *gr_jar_new(void) {
    return gr_calloc(1, sizeof(gr_jar));
}

void gr_jar_clear(gr_jar *j) {
    for (size_t i = 0; i < j->n; i++)
        gr_free(j->at[i].mem);
    if (j->n) j->version++;
    j->n = 0;
}

void gr_jar_free(gr_jar *j) {
    if (!j) return;
    gr_jar_clear(j);
    gr_free(j->at);
    gr_free(j);
}

static void remove_at(gr_jar *j, size_t i) {
    gr_free(j->at[i].mem);
    j->n--;
    memmove(&j->at[i], &j->at[i + 1], (j->n - i) * sizeof *j->at);
    j->version++;
}

static entry *find(const gr_jar *j, const gr_cookie *c) {
    for (size_t i = 0; i < j->n; i++) {
        const gr_cookie *other = &j->at[i].c;
        if (gr_str_eq(other->name, c->name) && gr_str_ieq(other->domain, c->domain) &&
            gr_str_eq(other->path, c->path))
            return &j->at[i];
    }
    return NULL;
}

/* What has expired, or else the oldest, makes room. */
static void evict(gr_jar *j, gr_wall_ns now) {
    size_t before = j->n, oldest = 0;
    for (size_t i = j->n; i-- > 0;)
        if (j->at[i].c.expires_at <= now) remove_at(j, i);
    if (j->n < before) return;
    for (size_t i = 1; i < j->n; i++)
        if (j->at[i].order < j->at[oldest].order) oldest = i;
    remove_at(j, oldest);
}

static gr_str copy_to(char **mem, gr_str s) {
    gr_str copy = {*mem, s.n};
    if (s.n) memcpy(*mem, s.p, s.n);
    *mem += s.n;
    return copy;
}

static int entry_init(entry *e, const gr_cookie *c, uint64_t order) {
    char *mem = gr_malloc(c->name.n + c->domain.n + c->path.n + c->value.n);
    if (!mem) return GR_E_NOMEM;
    *e = (entry){*c, mem, c->value.n, order};
    e->c.name = copy_to(&mem, c->name);
    e->c.domain = copy_to(&mem, c->domain);
    e->c.path = copy_to(&mem, c->path);
    e->c.value = copy_to(&mem, c->value);
    char *domain = e->mem + c->name.n;
    for (size_t i = 0; i < c->domain.n; i++)
        if (domain[i] >= 'A' && domain[i] <= 'Z') domain[i] |= 0x20;
    return 0;
}

/* Put `c` over the cookie of the same name, domain and path, which keeps its age. `c` may be that
 * cookie itself. */
static int replace(gr_jar *j, entry *e, const gr_cookie *c) {
    if (gr_str_eq(e->c.value, c->value) && e->c.expires_at == c->expires_at &&
        e->c.host_only == c->host_only && e->c.secure == c->secure &&
        e->c.http_only == c->http_only)
        return 0;
    if (c->value.n > e->value_room) {
        entry fresh;
        int rc = entry_init(&fresh, c, e->order);
        if (rc < 0) return rc;
        gr_free(e->mem);
        *e = fresh;
    } else {
        char *value = e->mem + (e->c.value.p - e->mem);
        if (c->value.n) memmove(value, c->value.p, c->value.n);
        e->c = (gr_cookie){e->c.name,     {value, c->value.n}, e->c.domain, e->c.path,
                           c->expires_at, c->host_only,        c->secure,   c->http_only};
    }
    j->version++;
    return 0;
}

static int insert(gr_jar *j, const gr_cookie *c, gr_wall_ns now) {
    if (j->n == j->cap) {
        size_t cap = j->cap ? j->cap * 2 : ENTRIES_FIRST;
        entry *at = gr_realloc(j->at, cap * sizeof *at);
        if (!at) return GR_E_NOMEM;
        j->at = at;
        j->cap = cap;
    }
    entry e;
    int rc = entry_init(&e, c, j->orders);
    if (rc < 0) return rc;
    if (j->n >= GR_JAR_COOKIES_MAX) evict(j, now);
    size_t i = j->n;
    while (i > 0 && j->at[i - 1].c.path.n < e.c.path.n)
        i--;
    memmove(&j->at[i + 1], &j->at[i], (j->n - i) * sizeof *j->at);
    j->at[i] = e;
    j->n++;
    j->orders++;
    j->version++;
    return 0;
}

static int store(gr_jar *j, const gr_cookie *c, gr_wall_ns now) {
    entry *old = find(j, c);
    return old ? replace(j, old, c) : insert(j, c, now);
}

int gr_jar_set(gr_jar *j, const gr_cookie *c) {
    return store(j, c, INT64_MIN); /* no clock here: nothing counts as expired */
}

bool gr_jar_remove(gr_jar *j, gr_str name, gr_str domain, gr_str path) {
    size_t before = j->n;
    for (size_t i = j->n; i-- > 0;) {
        const gr_cookie *c = &j->at[i].c;
        if (gr_str_eq(c->name, name) && (domain.n == 0 || gr_str_ieq(c->domain, domain)) &&
            (path.n == 0 || gr_str_eq(c->path, path)))
            remove_at(j, i);
    }
    return j->n < before;
}

/* ---- Set-Cookie: sections 5.2 and 5.3 ---- */

typedef struct attributes {
    gr_str domain; /* without leading dot; empty: none */
    gr_str path;   /* empty: none */
    bool has_expires, has_max_age, secure, http_only;
    gr_wall_ns expires_at, max_age_at;
} attributes;

/* Everything before the next ';', trimmed; the ';' goes, too. */
static gr_str take_part(gr_str *s) {
    ptrdiff_t semicolon = gr_str_find(*s, ';');
    size_t n = semicolon < 0 ? s->n : (size_t)semicolon;
    gr_str part = {s->p, n};
    *s = gr_str_from(*s, n + 1);
    return gr_str_trim(part);
}

static void read_attribute(gr_str part, gr_wall_ns now, attributes *a) {
    ptrdiff_t equals = gr_str_find(part, '=');
    gr_str name = equals < 0 ? part : gr_str_trim((gr_str){part.p, (size_t)equals});
    gr_str value =
        equals < 0 ? (gr_str){part.p, 0} : gr_str_trim(gr_str_from(part, (size_t)equals + 1));
    if (gr_str_ieq(name, GR_STR("expires"))) {
        if (parse_date(value, &a->expires_at)) a->has_expires = true;
    } else if (gr_str_ieq(name, GR_STR("max-age"))) {
        if (parse_max_age(value, now, &a->max_age_at)) a->has_max_age = true;
    } else if (gr_str_ieq(name, GR_STR("domain"))) {
        if (value.n) a->domain = gr_str_from(value, value.p[0] == '.');
    } else if (gr_str_ieq(name, GR_STR("path"))) {
        a->path = value.n && value.p[0] == '/' ? value : (gr_str){NULL, 0};
    } else if (gr_str_ieq(name, GR_STR("secure"))) {
        a->secure = true;
    } else if (gr_str_ieq(name, GR_STR("httponly"))) {
        a->http_only = true;
    }
}

static bool has_control(gr_str s) {
    for (size_t i = 0; i < s.n; i++)
        if (((unsigned char)s.p[i] < ' ' && s.p[i] != '\t') || s.p[i] == 0x7f) return true;
    return false;
}

/* Addresses and names without a dot have no subdomains to share with; "com" (or "com.", the same in
 * full) must not be shared with every site there is. */
static bool choose_domain(gr_cookie *c, gr_str host, gr_str wanted) {
    c->domain = host;
    c->host_only = true;
    if (wanted.n == 0) return true;
    if (!domain_matches(host, wanted)) return false;
    gr_str inner = {wanted.p, wanted.n - 1};
    if (gr_str_find(inner, '.') < 0 || gr_url_host_is_ip(host)) return gr_str_ieq(host, wanted);
    c->domain = wanted;
    c->host_only = false;
    return true;
}

int gr_jar_receive(gr_jar *j, gr_str host, gr_str path, bool secure, gr_str set_cookie,
                   gr_wall_ns now) {
    attributes a = {0};
    gr_cookie c = {.expires_at = INT64_MAX};
    (void)secure; /* as RFC 6265 and requests, a Secure cookie may be set over http */
    if (set_cookie.n > GR_COOKIE_BYTES_MAX || has_control(set_cookie)) return 0;
    gr_str pair = take_part(&set_cookie);
    ptrdiff_t equals = gr_str_find(pair, '=');
    if (equals < 0) return 0;
    c.name = gr_str_trim((gr_str){pair.p, (size_t)equals});
    c.value = gr_str_trim(gr_str_from(pair, (size_t)equals + 1));
    if (c.name.n == 0 || host.n == 0) return 0;
    while (set_cookie.n)
        read_attribute(take_part(&set_cookie), now, &a);
    if (!choose_domain(&c, host, a.domain)) return 0;
    c.path = a.path.n ? a.path : default_path(path);
    c.secure = a.secure;
    c.http_only = a.http_only;
    if (a.has_max_age || a.has_expires) c.expires_at = a.has_max_age ? a.max_age_at : a.expires_at;
    if (c.expires_at > now) return store(j, &c, now);
    entry *old = find(j, &c);
    if (old) remove_at(j, (size_t)(old - j->at));
    return 0;
}

/* ---- Cookie: section 5.4 ---- */

static bool applies(const gr_cookie *c, gr_str host, gr_str path, bool secure, gr_wall_ns now) {
    return c->expires_at > now && (secure || !c->secure) && cookie_matches_host(c, host) &&
           path_matches(path, c->path);
}

int gr_jar_cookie_header(gr_jar *j, gr_str host, gr_str path, bool secure, gr_wall_ns now,
                         gr_buf *out) {
    size_t before = out->n;
    for (size_t i = 0; i < j->n; i++) {
        const gr_cookie *c = &j->at[i].c;
        if (!applies(c, host, path, secure, now)) continue;
        int rc = gr_buf_reserve(out, c->name.n + c->value.n + 3);
        if (rc < 0) {
            out->n = before;
            return rc;
        }
        char *to = out->p + out->n;
        if (out->n > before) {
            *to++ = ';';
            *to++ = ' ';
        }
        to = (char *)memcpy(to, c->name.p, c->name.n) + c->name.n;
        *to++ = '=';
        if (c->value.n) memcpy(to, c->value.p, c->value.n);
        out->n = (size_t)(to + c->value.n - out->p);
    }
    return 0;
}

size_t gr_jar_count(const gr_jar *j) {
    return j->n;
}

const gr_cookie *gr_jar_at(const gr_jar *j, size_t i) {
    return i < j->n ? &j->at[i].c : NULL;
}

uint64_t gr_jar_version(const gr_jar *j) {
    return j->version;
}
