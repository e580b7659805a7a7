/* Session: what HttpSession and FastHttpSession derive from. One call travels like this:
 *
 *   session_call -> read_call (keywords) -> compose (URL, head, body) -> start -> park the greenlet
 *   ... the loop wakes it ... -> finish (error, response time) -> the request event, unless the caller
 *   judges it in a with block.
 *
 * What always holds: a request that was handed to the engine is reported exactly once, or counted as
 * interrupted when its greenlet was killed. Header lines that do not depend on the call are rendered
 * once and reused until `headers` or `auth` change. */
#include "base/clock.h"
#include "base/err.h"
#include "http/url.h"
#include "python/body.h"
#include "python/event.h"
#include "python/headers.h"
#include "python/response.h"
#include "python/stats.h"
#include "python/user.h"

#include <structmember.h>

/* Every keyword of a request method: those of requests, then Locust's. (The formatter changes its mind
 * about these lines each time.) */
/* clang-format off */
#define CALL_WORDS(X)                                                                              \
    X(params) X(data) X(headers) X(cookies) X(files) X(auth) X(timeout) X(allow_redirects)         \
    X(proxies) X(hooks) X(stream) X(verify) X(cert) X(json) X(name) X(catch_response) X(context)
/* clang-format on */

typedef struct call {
    PyObject *method, *url;
#define X(word) PyObject *word;
    CALL_WORDS(X)
#undef X
    PyObject *unknown; /* owned dict of other keywords; NULL: none */
    PyObject *form;    /* owned: `data` when the other keywords are added to it; NULL: not so */
} call;

static struct {
#define X(word) PyObject *word;
    CALL_WORDS(X)
#undef X
} word;

/* A gr_http_conf that sessions with the same settings share; kept for the life of the process. */
typedef struct shared_conf {
    struct shared_conf *next;
    gr_http_conf conf;
} shared_conf;

typedef struct Session {
    PyObject_HEAD gr_session *http; /* created by the first request */
    PyObject *base_url;             /* str */
    PyObject *request_event;        /* EventHook or None */
    PyObject *user;                 /* locust user or None */
    PyObject *headers;              /* Headers; NULL: the type's defaults, untouched so far */
    PyObject *auth, *params, *verify, *cert, *proxies, *hooks, *stream, *request_name, *trust_env;
    const shared_conf *shared;
    gr_head head;          /* rendered `headers` and `auth`; empty: not yet, or the type's */
    uint64_t head_version; /* of `headers` when rendered; 0: not rendered */
    bool fast;
    PyObject *dict, *weakrefs;
} Session;

static PyTypeObject *session_type;
static shared_conf *confs;

/* Where a call is composed. Composing may run code of the user's (a parameter's __str__, a generator,
 * a finalizer) and with it another call, so each takes its own; in practice there is one. */
typedef struct scratch {
    struct scratch *next;
    gr_buf url, quoted, method;
    gr_head head;
} scratch;

static scratch *free_scratch;

static scratch *scratch_get(void) {
    scratch *s = free_scratch;
    if (s)
        free_scratch = s->next;
    else if (!(s = PyMem_Calloc(1, sizeof *s)))
        PyErr_NoMemory();
    return s;
}

static void scratch_put(scratch *s) {
    s->next = free_scratch;
    free_scratch = s;
}

static bool given(PyObject *op) {
    return op && op != Py_None;
}

static int engine_error(int rc, gr_str url) {
    if (rc == GR_E_NOMEM) {
        PyErr_NoMemory();
        return -1;
    }
    PyObject *module = PyImport_ImportModule("locust.clients");
    PyObject *e = module ? PyObject_CallMethod(module, "_bad_call", "is#", rc, url.p ? url.p : "",
                                               (Py_ssize_t)url.n)
                         : NULL;
    if (e) PyErr_SetObject((PyObject *)Py_TYPE(e), e);
    Py_XDECREF(e);
    Py_XDECREF(module);
    return -1;
}

/* --- keywords ----------------------------------------------------------------------------- */

static PyObject **slot_of(call *c, PyObject *name) {
#define X(w)                                                                                       \
    if (name == word.w) return &c->w;
    CALL_WORDS(X)
#undef X
#define X(w)                                                                                       \
    if (PyUnicode_Compare(name, word.w) == 0) return &c->w;
    CALL_WORDS(X)
#undef X
    return NULL;
}

/* Keywords of geventhttpclient's urlopen, which are no parameters of the query. */
static bool is_agent_word(PyObject *name) {
    static const char *const words[] = {"max_redirects", "max_retries", "debug_stream",
                                        "to_string"};
    for (size_t i = 0; i < GR_LEN(words); i++)
        if (PyUnicode_CompareWithASCIIString(name, words[i]) == 0) return true;
    return false;
}

static int read_word(Session *self, call *c, PyObject *name, PyObject *value) {
    PyObject **slot = slot_of(c, name);
    if (slot) {
        *slot = value;
        return 0;
    }
    if (PyUnicode_CompareWithASCIIString(name, "url") == 0) {
        c->url = value;
        return 0;
    }
    if (PyUnicode_CompareWithASCIIString(name, "method") == 0) {
        c->method = value;
        return 0;
    }
    if (self->fast && is_agent_word(name) && value != Py_None) {
        PyErr_Format(PyExc_NotImplementedError,
                     "%U is not supported for a single call; set it on the FastHttpUser class",
                     name);
        return -1;
    }
    if (!self->fast) {
        PyErr_Format(PyExc_TypeError, "%.100s.request() got an unexpected keyword argument '%U'",
                     Py_TYPE(self)->tp_name, name);
        return -1;
    }
    if (is_agent_word(name)) return 0;
    if (!c->unknown && !(c->unknown = PyDict_New())) return -1;
    return PyDict_SetItem(c->unknown, name, value);
}

/* Other keywords of a POST join its form, as geventhttpclient does it; else they join the query. */
static int unknown_to_form(call *c) {
    if (!c->unknown || PyUnicode_CompareWithASCIIString(c->method, "POST") != 0) return 0;
    if (given(c->data) ? !PyDict_Check(c->data) : given(c->json)) return 0;
    c->form = given(c->data) ? PyDict_Copy(c->data) : PyDict_New();
    if (!c->form || PyDict_Update(c->form, c->unknown) < 0) return -1;
    c->data = c->form;
    Py_CLEAR(c->unknown);
    return 0;
}

/* `order` names the positional parameters after the fixed ones, as in the Python signatures. */
static int read_call(Session *self, call *c, PyObject *const *args, Py_ssize_t n, PyObject *names,
                     PyObject **const *order, size_t order_n) {
    if ((size_t)n > order_n) {
        PyErr_Format(PyExc_TypeError, "expected at most %zu positional arguments, got %zd", order_n,
                     n);
        return -1;
    }
    for (Py_ssize_t i = 0; i < n; i++)
        *order[i] = args[i];
    for (Py_ssize_t i = 0; names && i < PyTuple_GET_SIZE(names); i++)
        if (read_word(self, c, PyTuple_GET_ITEM(names, i), args[n + i]) < 0) return -1;
    if (!c->url || !c->method) {
        PyErr_SetString(PyExc_TypeError, "a request needs a method and a url");
        return -1;
    }
    if (!PyUnicode_Check(c->method)) {
        PyErr_Format(PyExc_TypeError, "the method must be str, not %.100s",
                     Py_TYPE(c->method)->tp_name);
        return -1;
    }
    if (!self->base_url) {
        PyErr_SetString(PyExc_AttributeError, "this client has no base_url");
        return -1;
    }
    if (given(c->proxies) || given(self->proxies) || given(c->hooks)) {
        PyErr_SetString(PyExc_NotImplementedError,
                        "proxies and hooks are not supported by this client yet; use the requests "
                        "library in the task for such a call");
        return -1;
    }
    return unknown_to_form(c);
}

/* --- URL ---------------------------------------------------------------------------------- */

static bool absolute(gr_str s) {
    if (s.n < 7) return false;
    return gr_str_ieq((gr_str){s.p, 7}, GR_STR("http://")) ||
           (s.n >= 8 && gr_str_ieq((gr_str){s.p, 8}, GR_STR("https://")));
}

static int add_query(Session *self, const call *c, gr_buf *url) {
    PyObject *both = NULL, *params = given(c->params) ? c->params : self->params;
    if (given(c->params) && given(self->params)) {
        both = PyObject_CallMethod((PyObject *)self, "_merged_params", "O", c->params);
        if (!(params = both)) return -1;
    }
    int rc = gr_py_query_add(url, params);
    Py_XDECREF(both);
    return rc < 0 ? -1 : gr_py_query_add(url, c->unknown);
}

/* The absolute URL in s->url. */
static int compose_url(Session *self, const call *c, scratch *s) {
    PyObject *text = PyBytes_Check(c->url) ? PyUnicode_FromEncodedObject(c->url, "utf-8", "strict")
                                           : PyObject_Str(c->url);
    gr_str url = text ? gr_py_utf8(text) : (gr_str){0};
    int rc = url.p ? 0 : -1;
    gr_buf_clear(&s->url);
    if (rc == 0 && !absolute(url)) {
        gr_str base = gr_py_utf8(self->base_url);
        rc = !base.p || gr_buf_add(&s->url, base) < 0 ? -1 : 0;
    }
    if (rc == 0 && gr_buf_add(&s->url, url) < 0) rc = -1;
    if (rc < 0 && !PyErr_Occurred()) PyErr_NoMemory();
    Py_XDECREF(text);
    return rc < 0 ? -1 : add_query(self, c, &s->url);
}

static bool named(PyObject *name) { /* "" is no name */
    return given(name) && !(PyUnicode_Check(name) && PyUnicode_GET_LENGTH(name) == 0);
}

/* What statistics call the request: given, or the session's, or as each client names by default. */
static PyObject *compose_name(Session *self, const call *c, const gr_url *u) {
    if (named(c->name)) return PyObject_Str(c->name);
    if (named(self->request_name)) return PyObject_Str(self->request_name);
    if (self->fast) return PyObject_Str(c->url);
    if (PyUnicode_CheckExact(c->url) && gr_str_eq(gr_py_utf8(c->url), u->target))
        return Py_NewRef(c->url);
    PyObject *target = gr_py_text(u->target);
    if (!target || u->path.n) return target;
    PyObject *name = PyUnicode_FromFormat("/%U", target);
    Py_DECREF(target);
    return name;
}

/* --- head --------------------------------------------------------------------------------- */

/* The line of a field in a head being written, with its CR LF; n is 0 when there is none. */
static gr_str find_line(const gr_head *head, gr_str name) {
    gr_str rest = gr_buf_str(&head->lines);
    while (rest.n) {
        ptrdiff_t end = gr_str_find(rest, '\n');
        size_t n = end < 0 ? rest.n : (size_t)end + 1;
        if (n > name.n && rest.p[name.n] == ':' && gr_str_ieq((gr_str){rest.p, name.n}, name))
            return (gr_str){rest.p, n};
        rest = gr_str_from(rest, n);
    }
    return (gr_str){0};
}

/* As `requests` does: a str is Latin-1 if it can be (else UTF-8, where `requests` gives up). */
static PyObject *auth_bytes(PyObject *op) {
    if (PyBytes_Check(op)) return Py_NewRef(op);
    PyObject *text = PyObject_Str(op), *bytes = text ? PyUnicode_AsLatin1String(text) : NULL;
    if (text && !bytes && PyErr_ExceptionMatches(PyExc_UnicodeEncodeError)) {
        PyErr_Clear();
        bytes = PyUnicode_AsUTF8String(text);
    }
    Py_XDECREF(text);
    return bytes;
}

/* Render "Authorization: Basic ..." for a (user, password) pair, instead of one that may be there. */
static int render_auth(Session *self, PyObject *auth, gr_head *head) {
    PyObject *pair = PyTuple_CheckExact(auth) && PyTuple_GET_SIZE(auth) == 2
                         ? Py_NewRef(auth)
                         : PyObject_CallMethod((PyObject *)self, "_auth_pair", "O", auth);
    PyObject *user = NULL, *password = NULL;
    gr_buf value = GR_BUF_INIT;
    int rc = -1;
    if (pair && PyTuple_CheckExact(pair) && PyTuple_GET_SIZE(pair) == 2 &&
        (user = auth_bytes(PyTuple_GET_ITEM(pair, 0))) &&
        (password = auth_bytes(PyTuple_GET_ITEM(pair, 1)))) {
        gr_str old = find_line(head, GR_STR("Authorization"));
        if (old.n) {
            size_t at = (size_t)(old.p - head->lines.p);
            memmove(head->lines.p + at, old.p + old.n, head->lines.n - at - old.n);
            head->lines.n -= old.n;
        }
        gr_str u = {PyBytes_AS_STRING(user), (size_t)PyBytes_GET_SIZE(user)};
        gr_str p = {PyBytes_AS_STRING(password), (size_t)PyBytes_GET_SIZE(password)};
        rc = gr_basic_auth(&value, u, p);
        if (rc == 0) rc = gr_head_add(head, GR_STR("Authorization"), gr_buf_str(&value));
    }
    gr_buf_deinit(&value);
    Py_XDECREF(password);
    Py_XDECREF(user);
    Py_XDECREF(pair);
    if (rc < 0 && !PyErr_Occurred()) PyErr_NoMemory();
    return rc < 0 ? -1 : 0;
}

static PyObject *default_headers(Session *self) {
    return PyObject_CallMethod((PyObject *)self, "_default_headers", NULL);
}

/* The type's own header lines, shared by every session whose headers nobody touched. */
static gr_head *type_head(Session *self) {
    static gr_head shared[2];
    gr_head *head = &shared[self->fast];
    if (head->lines.n) return head;
    PyObject *defaults = default_headers(self);
    int rc = defaults ? gr_py_headers_render(NULL, defaults, head) : -1;
    Py_XDECREF(defaults);
    return rc < 0 ? NULL : head;
}

/* The header lines that do not depend on the call; borrowed until the session's headers change. */
static const gr_head *session_head(Session *self) {
    if (!self->headers && !given(self->auth)) return type_head(self);
    if (!self->headers && !(self->headers = default_headers(self))) return NULL;
    if (self->head_version == gr_py_headers_version(self->headers) + 1) return &self->head;
    gr_head_clear(&self->head);
    if (gr_py_headers_render(self->headers, NULL, &self->head) < 0) return NULL;
    if (given(self->auth) && render_auth(self, self->auth, &self->head) < 0) return NULL;
    self->head_version = gr_py_headers_version(self->headers) + 1;
    return &self->head;
}

/* Cookie: what the jar holds for this URL and the call's own, unless the caller wrote the field. */
static int render_cookies(Session *self, const call *c, const gr_url *u, gr_head *head) {
    if (head->flags & GR_HEAD_COOKIE) return 0;
    gr_buf jars = GR_BUF_INIT;
    gr_jar *jar = gr_session_jar(self->http);
    gr_str path = u->path.n ? u->path : GR_STR("/");
    bool secure = u->https || self->shared->conf.secure_cookies_over_http;
    int rc = jar ? gr_jar_cookie_header(jar, u->host, path, secure, gr_clock_wall_ns(), &jars)
                 : GR_E_NOMEM;
    PyObject *bytes =
        rc == 0 ? PyObject_CallMethod((PyObject *)self, "_cookie_field", "Oy#", c->cookies,
                                      jars.p ? jars.p : "", (Py_ssize_t)jars.n)
                : NULL;
    if (bytes && PyBytes_Check(bytes) && PyBytes_GET_SIZE(bytes))
        rc = gr_head_add(head, GR_STR("Cookie"),
                         (gr_str){PyBytes_AS_STRING(bytes), (size_t)PyBytes_GET_SIZE(bytes)});
    gr_buf_deinit(&jars);
    Py_XDECREF(bytes);
    if (rc < 0) engine_error(rc, (gr_str){0});
    return PyErr_Occurred() ? -1 : 0;
}

/* Add a field that the body implies, unless the caller gave it. */
static int add_implied(gr_head *head, gr_str name, gr_str value) {
    int rc = value.n == 0 || find_line(head, name).n ? 0 : gr_head_add(head, name, value);
    return rc < 0 ? engine_error(rc, (gr_str){0}) : 0;
}

/* The session's fields with those of the call laid over them. */
static int overlay(Session *self, const call *c, const gr_head *base, gr_head *head) {
    gr_head_clear(head);
    if (given(c->headers)) {
        PyObject *own = self->headers ? Py_NewRef(self->headers) : default_headers(self);
        int rc = own ? gr_py_headers_render(own, c->headers, head) : -1;
        Py_XDECREF(own);
        return rc;
    }
    if (gr_buf_add(&head->lines, gr_buf_str(&base->lines)) < 0) {
        PyErr_NoMemory();
        return -1;
    }
    head->flags = base->flags;
    return 0;
}

/* auth=, else the session's, else what stands in the URL. */
static int apply_auth(Session *self, const call *c, const gr_url *u, gr_head *head) {
    if (given(c->auth)) return render_auth(self, c->auth, head);
    if (given(self->auth)) /* part of the session's own head */
        return given(c->headers) ? render_auth(self, self->auth, head) : 0;
    if (!u->userinfo.n) return 0;
    PyObject *pair = PyObject_CallMethod((PyObject *)self, "_credentials", "s#", u->userinfo.p,
                                         (Py_ssize_t)u->userinfo.n);
    int rc = pair ? render_auth(self, pair, head) : -1;
    Py_XDECREF(pair);
    return rc;
}

/* The head of this call: the session's own when nothing is added, else s->head. */
static const gr_head *compose_head(Session *self, const call *c, const gr_py_body *body,
                                   const gr_url *u, scratch *s) {
    const gr_head *base = session_head(self);
    if (!base) return NULL;
    if (!given(c->headers) && !body->type.n && !given(c->auth) && !given(c->cookies) &&
        !u->userinfo.n)
        return base;
    if (overlay(self, c, base, &s->head) < 0) return NULL;
    if (add_implied(&s->head, GR_STR("Content-Type"), gr_buf_str(&body->type)) < 0) return NULL;
    if (self->fast && given(c->json) && !given(c->data) &&
        add_implied(&s->head, GR_STR("Accept"), GR_STR("application/json")) < 0)
        return NULL;
    if (apply_auth(self, c, u, &s->head) < 0) return NULL;
    if (given(c->cookies) && render_cookies(self, c, u, &s->head) < 0) return NULL;
    return &s->head;
}

/* --- settings of a call ------------------------------------------------------------------- */

static int seconds_to_ns(PyObject *op, gr_ns *ns) {
    double s = PyFloat_AsDouble(op);
    if (s == -1.0 && PyErr_Occurred()) return -1;
    if (!(s > 0)) {
        PyErr_Format(PyExc_ValueError, "a timeout must be more than 0 seconds, not %R", op);
        return -1;
    }
    *ns = s < 1e9 ? (gr_ns)(s * 1e9) : 0;
    return 0;
}

/* timeout=seconds, (connect, read) or None. */
static int read_timeout(PyObject *timeout, gr_request *q) {
    q->connect_timeout_ns = q->read_timeout_ns = UINT64_MAX;
    if (!given(timeout)) return 0;
    if (!PyTuple_Check(timeout)) {
        if (seconds_to_ns(timeout, &q->read_timeout_ns) < 0) return -1;
        q->connect_timeout_ns = q->read_timeout_ns;
        return 0;
    }
    if (PyTuple_GET_SIZE(timeout) != 2) {
        PyErr_SetString(PyExc_ValueError, "timeout is seconds or a (connect, read) pair");
        return -1;
    }
    PyObject *connect = PyTuple_GET_ITEM(timeout, 0), *read = PyTuple_GET_ITEM(timeout, 1);
    if (connect != Py_None && seconds_to_ns(connect, &q->connect_timeout_ns) < 0) return -1;
    return read != Py_None ? seconds_to_ns(read, &q->read_timeout_ns) : 0;
}

/* TLS configurations by what was asked for: one each, however many users ask. */
static gr_tls_conf *tls_conf(PyObject *verify, PyObject *cert) {
    static PyObject *known; /* dict: (verify, cert) -> capsule */
    if (!known && !(known = PyDict_New())) return NULL;
    PyObject *key = PyTuple_Pack(2, verify, cert ? cert : Py_None);
    PyObject *hit = key ? PyDict_GetItemWithError(known, key) : NULL; /* TypeError: unhashable */
    gr_tls_conf *conf = hit ? PyCapsule_GetPointer(hit, NULL) : NULL;
    if (!key || hit || PyErr_Occurred()) {
        Py_XDECREF(key);
        return conf;
    }
    PyObject *helper = PyImport_ImportModule("locust.clients");
    PyObject *paths =
        helper ? PyObject_CallMethod(helper, "_tls_paths", "OO", verify, cert ? cert : Py_None)
               : NULL;
    gr_tls_opts opts = {0};
    gr_buf why = GR_BUF_INIT;
    int verified = 0;
    const char *ca, *dir, *own, *private;
    if (paths && PyArg_ParseTuple(paths, "pssss", &verified, &ca, &dir, &own, &private)) {
        opts = (gr_tls_opts){verified != 0, gr_str_c(ca), gr_str_c(dir), gr_str_c(own),
                             gr_str_c(private)};
        int rc = gr_tls_conf_new(&conf, &opts, &why);
        PyObject *capsule = rc == 0 ? PyCapsule_New(conf, NULL, NULL) : NULL;
        if (rc < 0)
            gr_py_raise(PyExc_OSError, gr_buf_str(&why));
        else if (!capsule || PyDict_SetItem(known, key, capsule) < 0)
            conf = NULL;
        Py_XDECREF(capsule);
    }
    gr_buf_deinit(&why);
    Py_XDECREF(paths);
    Py_XDECREF(helper);
    Py_DECREF(key);
    return conf;
}

static int read_tls(Session *self, const call *c, gr_request *q) {
    q->tls = NULL;
    PyObject *verify = given(c->verify) ? c->verify : self->verify;
    PyObject *cert = given(c->cert) ? c->cert : self->cert;
    if (!given(verify)) verify = Py_True;
    q->tls = tls_conf(verify, cert);
    return q->tls ? 0 : -1;
}

static int truth(PyObject *op, bool otherwise, bool *out) {
    int yes = given(op) ? PyObject_IsTrue(op) : otherwise;
    *out = yes > 0;
    return yes < 0 ? -1 : 0;
}

/* --- one request -------------------------------------------------------------------------- */

static int open_session(Session *self) {
    gr_loop *loop = gr_py_loop();
    if (!loop) return -1;
    if (self->http) return 0;
    if (!self->shared) {
        PyErr_SetString(PyExc_RuntimeError, "this client was not initialised: call its __init__()");
        return -1;
    }
    int rc = gr_session_new(&self->http, loop, &self->shared->conf);
    return rc < 0 ? engine_error(rc, (gr_str){0}) : 0;
}

/* Hand the pieces of a streamed body to the engine, waiting when it has enough. */
static int pump_body(Response *r, const gr_py_body *body) {
    static PyObject *chunk_bytes;
    if (!chunk_bytes && !(chunk_bytes = PyLong_FromLong(65536))) return -1;
    for (;;) {
        PyObject *piece = body->source_reads
                              ? PyObject_CallMethod(body->source, "read", "O", chunk_bytes)
                              : PyIter_Next(body->source);
        if (!piece && PyErr_Occurred()) return -1;
        if (piece && PyUnicode_Check(piece)) Py_SETREF(piece, PyUnicode_AsUTF8String(piece));
        if (piece && !PyBytes_Check(piece)) Py_SETREF(piece, PyBytes_FromObject(piece));
        if (!piece && PyErr_Occurred()) return -1;
        if (!piece || (body->source_reads && PyBytes_GET_SIZE(piece) == 0)) {
            Py_XDECREF(piece);
            int rc = gr_exchange_write_end(&r->x);
            if (rc < 0)
                PyErr_SetString(PyExc_OSError,
                                "the body is shorter or longer than its announced length");
            return rc < 0 ? -1 : 0;
        }
        gr_str bytes = {PyBytes_AS_STRING(piece), (size_t)PyBytes_GET_SIZE(piece)};
        int rc = gr_exchange_write(&r->x, bytes, r->x.done);
        Py_DECREF(piece);
        if (rc < 0) return engine_error(rc, (gr_str){0});
        if (rc > 0 && gr_py_park(&r->parked) < 0) return -1;
        if (r->x.state == GR_X_IDLE) return 0; /* answered or failed before the body was through */
    }
}

static void count_interrupted(Session *self) {
    PyObject *environment =
        given(self->user) ? PyObject_GetAttr(self->user, gr_py_name.environment) : NULL;
    PyObject *stats = environment ? PyObject_GetAttrString(environment, "stats") : NULL;
    if (stats && gr_py_stats_check(stats)) gr_py_stats_interrupted(stats);
    PyErr_Clear(); /* a client without an environment counts nowhere */
    Py_XDECREF(stats);
    Py_XDECREF(environment);
}

/* The greenlet was killed, timed out or its body source raised: the exchange is cut off, and counted. */
static void cut_off(Session *self, Response *r) {
    PyObject *type, *value, *tb;
    PyErr_Fetch(&type, &value, &tb);
    PyErr_NormalizeException(&type, &value, &tb);
    gr_exchange_cancel(&r->x);
    gr_py_response_returned(r);
    const gr_py_exceptions *flow = gr_py_flow();
    if (flow && value && PyErr_GivenExceptionMatches(value, flow->GreenletExit)) {
        count_interrupted(self);
        r->reported = true;
    } else if (value) {
        Py_XSETREF(r->error, Py_NewRef(value));
        if (gr_py_response_report(r, value) < 0) PyErr_WriteUnraisable((PyObject *)self);
    }
    PyErr_Restore(type, value, tb);
}

/* The transfer failed: the exception that stands for it. */
static int note_failure(Session *self, Response *r) {
    if (r->x.error == 0) return 0;
    r->error = PyObject_CallMethod((PyObject *)self, "_failure", "Ois#", (PyObject *)r, r->x.error,
                                   r->x.error_text.p ? r->x.error_text.p : "",
                                   (Py_ssize_t)r->x.error_text.n);
    if (!self->fast) { /* requests has no response then; what arrived is not shown */
        r->x.response.status = 0;
        gr_buf_clear(&r->x.response.body);
    }
    return r->error ? 0 : -1;
}

static int judge(Response *r) {
    if (r->catching) return 0;
    PyObject *verdict = gr_py_response_verdict(r);
    int rc = verdict ? gr_py_response_report(r, verdict) : -1;
    Py_XDECREF(verdict);
    return rc;
}

static void take_due(Session *self, Response *r) {
    r->due_at = 0;
    if (!given(self->user) || !PyObject_TypeCheck(self->user, gr_py_user_type)) return;
    User *user = (User *)self->user;
    r->due_at = user->due_at;
    user->due_at = 0;
}

/* What `response.request` will show; only kept where rebuilding it later would not do. */
static int keep_request(Response *r, const gr_head *head, const gr_py_body *body, bool common) {
    if (!common &&
        !(r->sent_head = PyBytes_FromStringAndSize(head->lines.p, (Py_ssize_t)head->lines.n)))
        return -1;
    if (body->hold)
        r->sent_body = Py_NewRef(body->hold);
    else if (body->built.n &&
             !(r->sent_body = PyBytes_FromStringAndSize(body->built.p, (Py_ssize_t)body->built.n)))
        return -1;
    return 0;
}

/* The method as it is sent: `requests` writes it in upper case. */
static int compose_method(PyObject *method, scratch *s, gr_str *out) {
    gr_str given_method = gr_py_utf8(method);
    gr_buf_clear(&s->method);
    if (!given_method.p) return -1;
    if (gr_buf_add(&s->method, given_method) < 0) {
        PyErr_NoMemory();
        return -1;
    }
    for (size_t i = 0; i < s->method.n; i++)
        if (s->method.p[i] >= 'a' && s->method.p[i] <= 'z') s->method.p[i] -= 'a' - 'A';
    *out = gr_buf_str(&s->method);
    return 0;
}

/* What the call says besides URL, head and body. */
static int read_settings(Session *self, const call *c, const gr_url *u, gr_request *q) {
    bool head = gr_str_eq(q->method, GR_STR("HEAD"));
    if (read_timeout(c->timeout, q) < 0) return -1;
    if (u->https && read_tls(self, c, q) < 0) return -1;
    if (truth(c->allow_redirects, self->fast || !head, &q->follow_redirects) < 0) return -1;
    if (truth(given(c->stream) ? c->stream : self->stream, false, &q->stream_response) < 0)
        return -1;
    if (q->body_kind == GR_BODY_NONE && !head && !gr_str_eq(q->method, GR_STR("GET")))
        q->body_kind = GR_BODY_BYTES; /* Content-Length: 0, as requests */
    return 0;
}

static int start_in(scratch *s, Session *self, Response *r, const call *c, gr_py_body *body) {
    gr_request q = {.body_kind = body->kind, .body = body->bytes, .body_length = body->length};
    gr_url u;
    if (compose_method(c->method, s, &q.method) < 0 || compose_url(self, c, s) < 0) return -1;
    int rc = gr_url_prepare(gr_buf_str(&s->url), &s->quoted, &q.url);
    if (rc == 0) rc = gr_url_parse(q.url, &u);
    if (rc < 0) return engine_error(rc, gr_buf_str(&s->url));
    if (!(r->name = compose_name(self, c, &u))) return -1;
    if (!(q.head = compose_head(self, c, body, &u, s))) return -1;
    if (read_settings(self, c, &u, &q) < 0) return -1;
    bool common = q.head != &s->head && q.head != &self->head;
    if (keep_request(r, q.head, body, common) < 0) return -1;
    take_due(self, r);
    r->streaming = q.stream_response;
    r->start_time = (double)gr_clock_wall_ns() * 1e-9;
    r->called_at = gr_clock_ns();
    q.due_at = r->due_at;
    rc = gr_session_start(self->http, &q, &r->x);
    return rc < 0 ? engine_error(rc, q.url) : 0;
}

static int start(Session *self, Response *r, const call *c, gr_py_body *body) {
    scratch *s = scratch_get();
    if (!s) return -1;
    int rc = start_in(s, self, r, c, body);
    scratch_put(s);
    return rc;
}

static PyObject *perform(Session *self, const call *c) {
    gr_py_body body = GR_PY_BODY_INIT;
    if (open_session(self) < 0) return NULL;
    Response *r = gr_py_response_new();
    if (!r) return NULL;
    r->session = Py_NewRef(self);
    r->method = Py_NewRef(c->method);
    r->context = gr_py_user_context(self->user ? self->user : Py_None, c->context);
    r->fast = self->fast;
    bool started = false;
    int rc = r->context ? 0 : -1;
    if (rc == 0) rc = truth(c->catch_response, false, &r->catching);
    if (rc == 0 && (given(c->data) || given(c->json) || given(c->files)))
        rc = gr_py_body_build(&body, c->data, c->json, c->files, self->fast);
    if (rc == 0) started = (rc = start(self, r, c, &body)) == 0;
    if (rc == 0 && body.kind == GR_BODY_STREAM) rc = pump_body(r, &body);
    if (rc == 0 && r->x.state != GR_X_IDLE && r->x.state != GR_X_STREAMING)
        rc = gr_py_park(&r->parked);
    if (rc < 0 && started) cut_off(self, r);
    if (rc == 0) {
        gr_py_response_returned(r);
        if (r->x.state == GR_X_IDLE) r->streaming = false;
        rc = note_failure(self, r);
        if (rc == 0) rc = judge(r);
    }
    gr_py_body_clear(&body);
    if (rc == 0) return (PyObject *)r;
    r->reported = true;
    Py_DECREF(r);
    return NULL;
}

/* --- methods ------------------------------------------------------------------------------ */

static PyObject *request_with(PyObject *op, call *c, PyObject *const *args, Py_ssize_t n,
                              PyObject *names, PyObject **const *order, size_t order_n) {
    Session *self = (Session *)op;
    PyObject *result = NULL;
    if (read_call(self, c, args, n, names, order, order_n) == 0) result = perform(self, c);
    Py_XDECREF(c->unknown);
    Py_XDECREF(c->form);
    return result;
}

static PyObject *session_request(PyObject *op, PyObject *const *args, Py_ssize_t n,
                                 PyObject *names) {
    call c = {0};
    PyObject **const order[] = {&c.method, &c.url, &c.name, &c.catch_response, &c.context};
    PyObject **const fast_order[] = {&c.method, &c.url,     &c.name, &c.data, &c.catch_response,
                                     &c.stream, &c.headers, &c.auth, &c.json, &c.allow_redirects,
                                     &c.context};
    if (((Session *)op)->fast)
        return request_with(op, &c, args, n, names, fast_order, GR_LEN(fast_order));
    return request_with(op, &c, args, n, names, order, GR_LEN(order));
}

#define VERB(function, METHOD, ...)                                                                \
    static PyObject *function(PyObject *op, PyObject *const *args, Py_ssize_t n,                   \
                              PyObject *names) {                                                   \
        static PyObject *method;                                                                   \
        if (!method && !(method = PyUnicode_InternFromString(METHOD))) return NULL;                \
        call c = {.method = method};                                                               \
        PyObject **const order[] = {&c.url, __VA_ARGS__};                                          \
        return request_with(op, &c, args, n, names, order, GR_LEN(order));                         \
    }
VERB(verb_get, "GET", &c.params)
VERB(verb_options, "OPTIONS", &c.params)
VERB(verb_head, "HEAD", &c.params)
VERB(verb_delete, "DELETE", &c.params)
VERB(verb_post, "POST", &c.data, &c.json)
VERB(verb_put, "PUT", &c.data)
VERB(verb_patch, "PATCH", &c.data)

/* The cookies of the jar as (name, value, domain, path, secure, expires or None) tuples. */
static PyObject *session_cookie_list(PyObject *op, PyObject *unused) {
    (void)unused;
    Session *self = (Session *)op;
    PyObject *list = PyList_New(0);
    if (!list || open_session(self) < 0) {
        Py_XDECREF(list);
        return NULL;
    }
    gr_jar *jar = gr_session_jar(self->http);
    for (size_t i = 0; list && jar && i < gr_jar_count(jar); i++) {
        const gr_cookie *k = gr_jar_at(jar, i);
        PyObject *expires = k->expires_at == INT64_MAX
                                ? Py_NewRef(Py_None)
                                : PyLong_FromLongLong(k->expires_at / 1000000000);
        /* What a server sent need not be UTF-8. A NULL among these is an error to Py_BuildValue. */
        PyObject *one = Py_BuildValue("(NNNNON)", gr_py_text(k->name), gr_py_text(k->value),
                                      gr_py_text(k->domain), gr_py_text(k->path),
                                      k->secure ? Py_True : Py_False, expires);
        if (!one || PyList_Append(list, one) < 0) Py_CLEAR(list);
        Py_XDECREF(one);
    }
    return list;
}

static PyObject *session_cookie_set(PyObject *op, PyObject *args) {
    Session *self = (Session *)op;
    gr_cookie k = {.expires_at = INT64_MAX};
    Py_ssize_t nn, vn, dn, pn;
    int secure = 0;
    if (!PyArg_ParseTuple(args, "s#s#s#s#p", &k.name.p, &nn, &k.value.p, &vn, &k.domain.p, &dn,
                          &k.path.p, &pn, &secure))
        return NULL;
    if (open_session(self) < 0) return NULL;
    k.name.n = (size_t)nn, k.value.n = (size_t)vn, k.domain.n = (size_t)dn, k.path.n = (size_t)pn;
    k.secure = secure != 0;
    gr_jar *jar = gr_session_jar(self->http);
    int rc = jar ? gr_jar_set(jar, &k) : GR_E_NOMEM;
    if (rc < 0) {
        engine_error(rc, (gr_str){0});
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *session_cookie_remove(PyObject *op, PyObject *args) {
    Session *self = (Session *)op;
    const char *name, *domain, *path;
    if (!PyArg_ParseTuple(args, "sss", &name, &domain, &path)) return NULL;
    if (open_session(self) < 0) return NULL;
    gr_jar *jar = gr_session_jar(self->http);
    return PyBool_FromLong(jar &&
                           gr_jar_remove(jar, gr_str_c(name), gr_str_c(domain), gr_str_c(path)));
}

static PyObject *session_cookie_clear(PyObject *op, PyObject *unused) {
    (void)unused;
    if (open_session((Session *)op) < 0) return NULL;
    gr_jar *jar = gr_session_jar(((Session *)op)->http);
    if (jar) gr_jar_clear(jar);
    Py_RETURN_NONE;
}

static PyObject *session_close(PyObject *op, PyObject *unused) {
    (void)unused;
    if (((Session *)op)->http) gr_session_close_idle(((Session *)op)->http);
    Py_RETURN_NONE;
}

/* --- attributes --------------------------------------------------------------------------- */

static PyObject *get_headers(PyObject *op, void *closure) {
    (void)closure;
    Session *self = (Session *)op;
    if (!self->headers) self->headers = default_headers(self);
    return Py_XNewRef(self->headers);
}

static int set_headers(PyObject *op, PyObject *value, void *closure) {
    (void)closure;
    Session *self = (Session *)op;
    PyObject *own = value && gr_py_headers_check(value) ? Py_NewRef(value)
                                                        : gr_py_headers_of(value ? value : Py_None);
    if (!own) return -1;
    Py_XSETREF(self->headers, own);
    self->head_version = 0;
    return 0;
}

static PyObject *get_auth(PyObject *op, void *closure) {
    (void)closure;
    PyObject *auth = ((Session *)op)->auth;
    return Py_NewRef(auth ? auth : Py_None);
}

static int set_auth(PyObject *op, PyObject *value, void *closure) {
    (void)closure;
    Py_XSETREF(((Session *)op)->auth, Py_XNewRef(value));
    ((Session *)op)->head_version = 0;
    return 0;
}

/* --- life --------------------------------------------------------------------------------- */

static const shared_conf *conf_for(const gr_http_conf *wanted) {
    for (const shared_conf *s = confs; s; s = s->next)
        if (memcmp(&s->conf, wanted, sizeof *wanted) == 0) return s;
    shared_conf *s = PyMem_Malloc(sizeof *s);
    if (!s) return NULL;
    memcpy(&s->conf, wanted, sizeof *wanted); /* padding too: it is compared */
    s->next = confs;
    confs = s;
    return s;
}

static gr_ns limit_ns(double seconds) {
    return seconds > 0 && seconds < 1e9 ? (gr_ns)(seconds * 1e9) : 0;
}

/* Session(base_url, request_event, user, *, fast, ...settings): called by the Python subclasses. */
static int session_init(PyObject *op, PyObject *args, PyObject *kwargs) {
    static const char *const names[] = {"base_url",
                                        "request_event",
                                        "user",
                                        "fast",
                                        "connect_timeout",
                                        "read_timeout",
                                        "max_redirects",
                                        "max_resends",
                                        "connections",
                                        "verify",
                                        NULL};
    Session *self = (Session *)op;
    PyObject *base, *event, *user, *verify = Py_True;
    double connect = 0, read = 0;
    int fast = 0, redirects = 30, resends = 0, connections = 0;
    char **words = (char **)(uintptr_t)names;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOO|$pddiiiO", words, &base, &event, &user,
                                     &fast, &connect, &read, &redirects, &resends, &connections,
                                     &verify))
        return -1;
    gr_http_conf conf;
    memset(&conf, 0, sizeof conf);
    conf.connect_timeout_ns = limit_ns(connect);
    conf.read_timeout_ns = limit_ns(read);
    conf.body_bytes_max = (uint64_t)1 << 30;
    conf.redirects_max = (uint16_t)GR_MAX(0, GR_MIN(redirects, UINT16_MAX));
    conf.resends_max = (uint16_t)GR_MAX(0, GR_MIN(resends, UINT16_MAX));
    conf.conns_per_host_max = (uint16_t)GR_MAX(0, GR_MIN(connections, UINT16_MAX));
    conf.post_becomes_get_on_301 = !fast;
    conf.secure_cookies_over_http = fast != 0;
    PyObject *text = PyObject_Str(base);
    if (!text) return -1;
    if (!(self->shared = conf_for(&conf))) {
        Py_DECREF(text);
        PyErr_NoMemory();
        return -1;
    }
    self->fast = fast != 0;
    Py_XSETREF(self->base_url, text);
    Py_XSETREF(self->request_event, Py_NewRef(event));
    Py_XSETREF(self->user, Py_NewRef(user));
    Py_XSETREF(self->verify, Py_NewRef(verify));
    return 0;
}

static int session_traverse(PyObject *op, visitproc visit, void *arg) {
    Session *self = (Session *)op;
    Py_VISIT(Py_TYPE(op));
    Py_VISIT(self->request_event);
    Py_VISIT(self->user);
    Py_VISIT(self->headers);
    Py_VISIT(self->auth);
    Py_VISIT(self->params);
    Py_VISIT(self->verify);
    Py_VISIT(self->cert);
    Py_VISIT(self->proxies);
    Py_VISIT(self->hooks);
    Py_VISIT(self->stream);
    Py_VISIT(self->request_name);
    Py_VISIT(self->trust_env);
    Py_VISIT(self->dict);
    return 0;
}

static int session_clear(PyObject *op) {
    Session *self = (Session *)op;
    Py_CLEAR(self->base_url);
    Py_CLEAR(self->request_event);
    Py_CLEAR(self->user);
    Py_CLEAR(self->headers);
    Py_CLEAR(self->auth);
    Py_CLEAR(self->params);
    Py_CLEAR(self->verify);
    Py_CLEAR(self->cert);
    Py_CLEAR(self->proxies);
    Py_CLEAR(self->hooks);
    Py_CLEAR(self->stream);
    Py_CLEAR(self->request_name);
    Py_CLEAR(self->trust_env);
    Py_CLEAR(self->dict);
    return 0;
}

static void session_dealloc(PyObject *op) {
    Session *self = (Session *)op;
    PyTypeObject *type = Py_TYPE(op);
    PyObject_GC_UnTrack(op);
    if (self->weakrefs) PyObject_ClearWeakRefs(op);
    session_clear(op);
    gr_session_free(self->http);
    gr_head_deinit(&self->head);
    type->tp_free(op);
    Py_DECREF(type);
}

#define VERB_METHOD(name, function, doc)                                                           \
    { name, (PyCFunction)(void (*)(void))function, METH_FASTCALL | METH_KEYWORDS, doc }
static PyMethodDef METHODS[] = {
    VERB_METHOD(
        "request", session_request,
        "request(method, url, name=None, catch_response=False, context=None, **kwargs)\n--\n\n"
        "Send a request and wait for the answer. `kwargs` are those of requests.Session.request."),
    VERB_METHOD("get", verb_get, "get(url, params=None, **kwargs)\n--\n\nSend a GET request."),
    VERB_METHOD("options", verb_options, "options(url, **kwargs)\n--\n\nSend an OPTIONS request."),
    VERB_METHOD("head", verb_head, "head(url, **kwargs)\n--\n\nSend a HEAD request."),
    VERB_METHOD("delete", verb_delete, "delete(url, **kwargs)\n--\n\nSend a DELETE request."),
    VERB_METHOD("post", verb_post,
                "post(url, data=None, json=None, **kwargs)\n--\n\nSend a POST request."),
    VERB_METHOD("put", verb_put, "put(url, data=None, **kwargs)\n--\n\nSend a PUT request."),
    VERB_METHOD("patch", verb_patch,
                "patch(url, data=None, **kwargs)\n--\n\nSend a PATCH request."),
    {"close", session_close, METH_NOARGS, "Close the connections that are not in use."},
    {"_cookie_list", session_cookie_list, METH_NOARGS, NULL},
    {"_cookie_set", session_cookie_set, METH_VARARGS, NULL},
    {"_cookie_remove", session_cookie_remove, METH_VARARGS, NULL},
    {"_cookie_clear", session_cookie_clear, METH_NOARGS, NULL},
    {0}};
static PyGetSetDef GETSET[] = {
    {"headers", get_headers, set_headers, "header fields sent with every request", NULL},
    {"auth", get_auth, set_auth, "(user, password) for Basic authentication, or None", NULL},
    {0}};
static PyMemberDef MEMBERS[] = {
    {"base_url", T_OBJECT_EX, offsetof(Session, base_url), 0,
     "put before URLs that are not absolute"},
    {"request_event", T_OBJECT, offsetof(Session, request_event), 0,
     "the hook that each request fires"},
    {"user", T_OBJECT, offsetof(Session, user), 0, "the user this client belongs to, or None"},
    {"params", T_OBJECT, offsetof(Session, params), 0, "query parameters of every request"},
    {"verify", T_OBJECT, offsetof(Session, verify), 0, "True, False, or the path of a CA bundle"},
    {"cert", T_OBJECT, offsetof(Session, cert), 0,
     "path of a client certificate, or (certificate, key)"},
    {"proxies", T_OBJECT, offsetof(Session, proxies), 0, NULL},
    {"hooks", T_OBJECT, offsetof(Session, hooks), 0, NULL},
    {"stream", T_OBJECT, offsetof(Session, stream), 0, "leave bodies to be read by the task"},
    {"trust_env", T_OBJECT, offsetof(Session, trust_env), 0,
     "accepted; the environment is never consulted"},
    {"request_name", T_OBJECT, offsetof(Session, request_name), 0,
     "name for requests that have none of their own"},
    {"_fast", T_BOOL, offsetof(Session, fast), READONLY, NULL},
    {"__dictoffset__", T_PYSSIZET, offsetof(Session, dict), READONLY, NULL},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(Session, weakrefs), READONLY, NULL},
    {0}};
static PyType_Slot SLOTS[] = {
    {Py_tp_doc, (void *)(uintptr_t) "An HTTP client with cookies and kept connections."},
    {Py_tp_new, PyType_GenericNew},
    {Py_tp_init, session_init},
    {Py_tp_dealloc, session_dealloc},
    {Py_tp_traverse, session_traverse},
    {Py_tp_clear, session_clear},
    {Py_tp_methods, METHODS},
    {Py_tp_getset, GETSET},
    {Py_tp_members, MEMBERS},
    {0, NULL}};
static PyType_Spec SPEC = {.name = "locust._engine.Session",
                           .basicsize = sizeof(Session),
                           .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
                           .slots = SLOTS};

int gr_py_init_client(PyObject *module) {
#define X(w)                                                                                       \
    if (!(word.w = PyUnicode_InternFromString(#w))) return -1;
    CALL_WORDS(X)
#undef X
    session_type = gr_py_add_type(module, &SPEC, NULL);
    return session_type ? 0 : -1;
}
