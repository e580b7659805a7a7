/* See form.h. Nothing here keeps state: every function appends text to the caller's buffer, after
 * one reservation for the worst case, so that it is all or nothing. */
#include "http/form.h"
#include "base/err.h"

static bool is_always_safe(char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' ||
           c == '.' || c == '-' || c == '~';
}

static char *put(char *to, gr_str s) {
    if (s.n) memcpy(to, s.p, s.n);
    return to + s.n;
}

static char *put_escaped(char *to, char c) {
    *to++ = '%';
    *to++ = "0123456789ABCDEF"[(unsigned char)c >> 4];
    *to++ = "0123456789ABCDEF"[c & 15];
    return to;
}

/* At most 3 * s.n bytes. `blank` is '+' or 0: escaped unless safe. */
static char *put_quoted(char *to, gr_str s, gr_str safe, char blank) {
    for (size_t i = 0; i < s.n; i++) {
        if (is_always_safe(s.p[i]) || gr_str_find(safe, s.p[i]) >= 0)
            *to++ = s.p[i];
        else if (s.p[i] == ' ' && blank)
            *to++ = blank;
        else
            to = put_escaped(to, s.p[i]);
    }
    return to;
}

static int add_quoted(gr_buf *out, gr_str s, gr_str safe, char blank) {
    int rc = gr_buf_reserve(out, 3 * s.n);
    if (rc < 0) return rc;
    if (s.n) out->n = (size_t)(put_quoted(out->p + out->n, s, safe, blank) - out->p);
    return 0;
}

int gr_form_quote_plus(gr_buf *out, gr_str s) {
    return add_quoted(out, s, (gr_str){NULL, 0}, '+');
}

int gr_form_quote(gr_buf *out, gr_str s, gr_str safe) {
    return add_quoted(out, s, safe, 0);
}

int gr_form_add(gr_buf *out, gr_str name, gr_str value) {
    int rc = gr_buf_reserve(out, 3 * (name.n + value.n) + 2);
    if (rc < 0) return rc;
    char *to = out->p + out->n;
    if (out->n && to[-1] != '?' && to[-1] != '&') *to++ = '&';
    to = put_quoted(to, name, (gr_str){NULL, 0}, '+');
    *to++ = '=';
    out->n = (size_t)(put_quoted(to, value, (gr_str){NULL, 0}, '+') - out->p);
    return 0;
}

/* ---- multipart/form-data ---- */

void gr_multipart_init(gr_multipart *m, gr_rand *random) {
    for (size_t i = 0; i < sizeof m->boundary - 1; i += 16) {
        uint64_t bits = gr_rand_next(random);
        for (size_t k = 0; k < 16; k++, bits >>= 4)
            m->boundary[i + k] = "0123456789abcdef"[bits & 15];
    }
    m->boundary[sizeof m->boundary - 1] = '\0';
}

/* `; key="value"`, escaped by HTML's rules as urllib3 1.26 applies them; at most 3 * value.n and
 * change. */
static char *put_param(char *to, gr_str key, gr_str value) {
    to = put(put(put(to, GR_STR("; ")), key), GR_STR("=\""));
    for (size_t i = 0; i < value.n; i++) {
        char c = value.p[i];
        if (c == '"' || ((unsigned char)c < ' ' && c != 0x1b)) {
            to = put_escaped(to, c);
        } else {
            if (c == '\\') *to++ = '\\';
            *to++ = c;
        }
    }
    *to++ = '"';
    return to;
}

static bool breaks_line(gr_str s) {
    return gr_str_find(s, '\r') >= 0 || gr_str_find(s, '\n') >= 0 || gr_str_find(s, '\0') >= 0;
}

int gr_multipart_part(const gr_multipart *m, const gr_part *part, gr_buf *out) {
    gr_str more = part->more ? gr_buf_str(&part->more->lines) : (gr_str){NULL, 0};
    if (breaks_line(part->content_type)) return GR_E_REQUEST_HEADER;
    int rc = gr_buf_reserve(out, 256 + 3 * (part->name.n + part->filename.n) +
                                     part->content_type.n + more.n);
    if (rc < 0) return rc;
    char *to = put(put(out->p + out->n, GR_STR("--")), gr_str_c(m->boundary));
    to = put(to, GR_STR("\r\nContent-Disposition: form-data"));
    to = put_param(to, GR_STR("name"), part->name);
    if (part->has_filename) to = put_param(to, GR_STR("filename"), part->filename);
    if (part->content_type.n) {
        to = put(to, GR_STR("\r\nContent-Type: "));
        to = put(to, part->content_type);
    }
    to = put(put(put(to, GR_STR("\r\n")), more), GR_STR("\r\n"));
    out->n = (size_t)(to - out->p);
    return 0;
}

int gr_multipart_part_end(const gr_multipart *m, gr_buf *out) {
    (void)m; /* the boundary line comes with the next part */
    return gr_buf_add(out, GR_STR("\r\n"));
}

int gr_multipart_end(const gr_multipart *m, gr_buf *out) {
    return gr_buf_addf(out, "--%s--\r\n", m->boundary);
}

int gr_multipart_type(const gr_multipart *m, gr_buf *out) {
    return gr_buf_addf(out, "multipart/form-data; boundary=%s", m->boundary);
}

/* ---- Credentials ---- */

int gr_base64(gr_buf *out, gr_str s) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    int rc = gr_buf_reserve(out, (s.n + 2) / 3 * 4);
    if (rc < 0) return rc;
    for (size_t i = 0; i < s.n; i += 3) {
        uint32_t bits = (uint32_t)(unsigned char)s.p[i] << 16;
        if (i + 1 < s.n) bits |= (uint32_t)(unsigned char)s.p[i + 1] << 8;
        if (i + 2 < s.n) bits |= (unsigned char)s.p[i + 2];
        char *to = out->p + out->n;
        to[0] = digits[bits >> 18];
        to[1] = digits[bits >> 12 & 63];
        to[2] = '=';
        to[3] = '=';
        if (i + 1 < s.n) to[2] = digits[bits >> 6 & 63];
        if (i + 2 < s.n) to[3] = digits[bits & 63];
        out->n += 4;
    }
    return 0;
}

int gr_basic_auth(gr_buf *out, gr_str user, gr_str password) {
    size_t before = out->n;
    gr_buf pair = GR_BUF_INIT;
    int rc;
    if ((rc = gr_buf_add(&pair, user)) < 0 || (rc = gr_buf_add_byte(&pair, ':')) < 0 ||
        (rc = gr_buf_add(&pair, password)) < 0 || (rc = gr_buf_addc(out, "Basic ")) < 0 ||
        (rc = gr_base64(out, gr_buf_str(&pair))) < 0)
        out->n = before;
    gr_buf_deinit(&pair);
    return rc;
}

/* ---- Content-Type ---- */

static bool is_one_of(char c, const char *set) {
    return c != '\0' && strchr(set, c);
}

static gr_str strip(gr_str s, const char *set) {
    while (s.n && is_one_of(s.p[0], set))
        s = gr_str_from(s, 1);
    while (s.n && is_one_of(s.p[s.n - 1], set))
        s.n--;
    return s;
}

/* As requests: quotes and blanks around names and values fall off, quoted semicolons are not
 * known. */
bool gr_content_type_param(gr_str content_type, gr_str name, gr_str *value) {
    bool found = false;
    ptrdiff_t semicolon;
    while ((semicolon = gr_str_find(content_type, ';')) >= 0) {
        content_type = gr_str_from(content_type, (size_t)semicolon + 1);
        ptrdiff_t end = gr_str_find(content_type, ';');
        gr_str param =
            gr_str_trim((gr_str){content_type.p, end < 0 ? content_type.n : (size_t)end});
        ptrdiff_t equals = gr_str_find(param, '=');
        if (equals < 0) continue;
        if (!gr_str_ieq(strip((gr_str){param.p, (size_t)equals}, "\"' "), name)) continue;
        *value = strip(gr_str_from(param, (size_t)equals + 1), "\"' ");
        found = true;
    }
    return found;
}

bool gr_content_type_charset(gr_str content_type, gr_str *charset) {
    gr_str value;
    if (!gr_content_type_param(content_type, GR_STR("charset"), &value) || value.n == 0)
        return false;
    *charset = value;
    return true;
}
