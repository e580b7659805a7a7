/* URLs of scheme http and https: taking them apart, quoting them as `requests` does, following a
 * Location. Nothing here does I/O.
 *
 * There is no IDN library behind this: a host with bytes beyond ASCII is GR_E_URL_HOST; write it in
 * its xn-- form. IPv6 literals are accepted without a zone ("%25eth0"). */
#ifndef GR_HTTP_URL_H
#define GR_HTTP_URL_H

#include "base/base.h"
#include "base/buf.h"

#define GR_URL_HOST_MAX 255

typedef struct gr_url {
    bool https;
    bool ipv6;       /* host was written in brackets */
    uint16_t port;   /* the scheme's default when the URL has none; never 0 */
    gr_str userinfo; /* "user:password" as written, not decoded; empty: none */
    gr_str host;     /* as written, without brackets; gr_url_prepare makes it lower case */
    gr_str path;     /* empty, or begins with '/' (or '\\', until the URL is prepared) */
    gr_str query;    /* without '?' */
    gr_str fragment; /* without '#' */
    gr_str target;   /* path with "?query"; gr_url_target puts '/' before it where it is missing */
} gr_url;

static inline uint16_t gr_url_default_port(bool https) {
    return https ? 443 : 80;
}

/* The parts are slices of `s`. 0, GR_E_URL_SCHEME, GR_E_URL_HOST or GR_E_URL_PORT. */
int gr_url_parse(gr_str s, gr_url *u);

/* What `requests` makes of an URL before it sends it: blanks in front dropped, scheme and host in
 * lower case, dot segments removed, an empty path made "/", what may not stand in an URL
 * percent-encoded (escapes that are there stay, those of unreserved characters are undone).
 * `*prepared` is `s` itself when there was nothing to do (nothing is copied then), otherwise
 * the contents of `scratch`, which is overwritten. Errors as gr_url_parse, or GR_E_NOMEM. */
int gr_url_prepare(gr_str s, gr_buf *scratch, gr_str *prepared);

/* The quoting alone, byte for byte as requests.utils.requote_uri; any string will do. (One
 * difference, in nonsense: '%' before a letter beyond ASCII makes requests quote every '%'.) */
int gr_url_requote(gr_str s, gr_buf *scratch, gr_str *quoted);

/* Put the URL that `location` means, seen from the absolute URL `base`, into `out` (which is
 * overwritten and must not hold either): RFC 3986 section 5.2, quoted, the base's fragment kept
 * unless `location` has one. Userinfo is not inherited by another authority.
 * Errors as gr_url_parse, or GR_E_NOMEM. */
int gr_url_resolve(gr_str base, gr_str location, gr_buf *out);

bool gr_url_same_origin(const gr_url *a, const gr_url *b); /* scheme, host in any case, port */

int gr_url_target(const gr_url *u, gr_buf *out); /* append the request target */
int gr_url_host_field(const gr_url *u,
                      gr_buf *out); /* append Host's value: host[:port], lower case */
int gr_url_host_lower(const gr_url *u, gr_buf *out); /* append the host, lower case, no brackets */

/* An IPv4 or (bracketless) IPv6 address rather than a name. */
bool gr_url_host_is_ip(gr_str host);

#endif
