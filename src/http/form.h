/* Request bodies and values as `requests`, urllib and urllib3 build them: form and query encoding,
 * multipart/form-data, Basic credentials; and the charset of a Content-Type. Text is UTF-8.
 * All functions that return int append to `out` and return 0 or GR_E_NOMEM, leaving `out` as it was
 * on failure, except where they say more. */
#ifndef GR_HTTP_FORM_H
#define GR_HTTP_FORM_H

#include "base/base.h"
#include "base/buf.h"
#include "base/rand.h"
#include "http/headers.h"

/* urllib.parse.quote_plus: letters, digits and "_.-~" stay, blank becomes '+', the rest %XX. */
int gr_form_quote_plus(gr_buf *out, gr_str s);
/* urllib.parse.quote(s, safe): `safe` characters stay too, blank becomes %20. */
int gr_form_quote(gr_buf *out, gr_str s, gr_str safe);

/* One pair of application/x-www-form-urlencoded data or of a query: "name=value", with '&' before
 * it unless `out` is empty (or ends in '?' or '&', so that a query can be put behind a URL). */
int gr_form_add(gr_buf *out, gr_str name, gr_str value);

#define GR_FORM_TYPE "application/x-www-form-urlencoded"

/* multipart/form-data, piece by piece:
 *   gr_multipart_init -> (gr_multipart_part -> append the data -> gr_multipart_part_end)... ->
 *   gr_multipart_end; gr_multipart_type gives the Content-Type of the whole. */
typedef struct gr_multipart {
    char boundary[33]; /* 32 hexadecimal digits, NUL */
} gr_multipart;

typedef struct gr_part {
    gr_str name;         /* `"`, `\` and control bytes escaped as browsers and urllib3 do; */
    gr_str filename;     /* bytes beyond ASCII stay UTF-8 */
    bool has_filename;   /* an empty filename is one, too */
    gr_str content_type; /* empty: no line */
    const gr_head *more; /* further header lines; NULL: none */
} gr_part;

void gr_multipart_init(gr_multipart *m, gr_rand *random);
/* GR_E_REQUEST_HEADER when the content type holds CR, LF or NUL. */
int gr_multipart_part(const gr_multipart *m, const gr_part *part, gr_buf *out);
int gr_multipart_part_end(const gr_multipart *m, gr_buf *out);
int gr_multipart_end(const gr_multipart *m, gr_buf *out);
int gr_multipart_type(const gr_multipart *m, gr_buf *out);

int gr_base64(gr_buf *out, gr_str s);
/* "Basic " and the base64 of "user:password"; the bytes are used as given. */
int gr_basic_auth(gr_buf *out, gr_str user, gr_str password);

/* The charset parameter of a Content-Type value, without quotes, as requests finds it. false:
 * none. */
bool gr_content_type_charset(gr_str content_type, gr_str *charset);
/* A parameter in general; `name` in any case, the last one of that name counts. */
bool gr_content_type_param(gr_str content_type, gr_str name, gr_str *value);

#endif
