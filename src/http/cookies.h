/* A cookie jar after RFC 6265: domain, path, expiry, Secure, host-only. No public suffix list. */
#ifndef GR_HTTP_COOKIES_H
#define GR_HTTP_COOKIES_H

#include "base/base.h"
#include "base/buf.h"
#include "base/clock.h"

typedef struct gr_jar gr_jar;

typedef struct gr_cookie {
    gr_str name, value;
    gr_str domain; /* lower case, without leading dot */
    gr_str path;
    gr_wall_ns expires_at; /* INT64_MAX: session cookie */
    bool host_only, secure, http_only;
} gr_cookie;

#define GR_JAR_COOKIES_MAX  300 /* per jar; the oldest goes first */
#define GR_COOKIE_BYTES_MAX 8192

gr_jar *gr_jar_new(void); /* NULL: out of memory */
void gr_jar_free(gr_jar *j);
/* One Set-Cookie value received from host+path over http or https. Invalid and foreign ones are
 * ignored: 0. GR_E_NOMEM otherwise. `secure` changes nothing yet: as in RFC 6265 and requests,
 * Secure cookies may be set over http, too. An expiry in the past removes. */
int gr_jar_receive(gr_jar *j, gr_str host, gr_str path, bool secure, gr_str set_cookie,
                   gr_wall_ns now);
/* Strings are copied; replaces the one of the same name, domain and path. An empty domain matches
 * every host. 0 or GR_E_NOMEM. */
int gr_jar_set(gr_jar *j, const gr_cookie *c);
void gr_jar_clear(gr_jar *j);
bool gr_jar_remove(gr_jar *j, gr_str name, gr_str domain, gr_str path); /* empty domain/path: any */
/* Append "a=1; b=2" for that target (longest path first, then oldest); nothing when none match. */
int gr_jar_cookie_header(gr_jar *j, gr_str host, gr_str path, bool secure, gr_wall_ns now,
                         gr_buf *out);
size_t gr_jar_count(const gr_jar *j);
const gr_cookie *gr_jar_at(const gr_jar *j, size_t i); /* valid until the jar changes */
uint64_t gr_jar_version(const gr_jar *j);              /* changes whenever the jar does */

#endif
