/* See response.h. Everything but the buffers is made when somebody asks for it: a task that only
 * fires requests pays for none of it. */
#include "python/response.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/err.h"
#include "http/form.h"
#include "python/event.h"
#include "python/headers.h"

#include <structmember.h>

#define FREE_RESPONSES_MAX 64
#define KEPT_BODY_MAX      (64u * 1024u) /* a larger body's memory is given back at once */

PyTypeObject *gr_py_response_type;

static Response *free_list[FREE_RESPONSES_MAX];
static size_t free_n;

/* Where the response proper is: in the exchange, or in a hop of somebody else's. */
static gr_response *inner(Response *r) {
    return &r->x.response;
}

/* --- life --------------------------------------------------------------------------------- */

static void on_done(gr_exchange *x) {
    gr_py_wake(&GR_CONTAINER(x, Response, x)->parked);
}

Response *gr_py_response_new(void) {
    Response *r;
    if (free_n > 0) {
        r = free_list[--free_n];
        PyObject_Init((PyObject *)r, gr_py_response_type);
    } else {
        r = PyObject_GC_New(Response, gr_py_response_type);
        if (!r) return NULL;
        memset((char *)r + sizeof(PyObject), 0, sizeof *r - sizeof(PyObject));
        gr_exchange_init(&r->x);
        r->x.done = on_done;
    }
    PyObject_GC_Track(r);
    return r;
}

static int response_traverse(PyObject *op, visitproc visit, void *arg) {
    Response *r = (Response *)op;
    Py_VISIT(Py_TYPE(op));
    Py_VISIT(r->session);
    Py_VISIT(r->context);
    Py_VISIT(r->error);
    Py_VISIT(r->mark);
    Py_VISIT(r->headers);
    Py_VISIT(r->history);
    Py_VISIT(r->cookies);
    Py_VISIT(r->meta);
    Py_VISIT(r->dict);
    return 0;
}

static int response_clear(PyObject *op) {
    Response *r = (Response *)op;
    /* An unread stream ends here: the session, which may go with the next line, must be idle then. */
    gr_exchange_cancel(&r->x);
    Py_CLEAR(r->session);
    Py_CLEAR(r->method);
    Py_CLEAR(r->name);
    Py_CLEAR(r->context);
    Py_CLEAR(r->sent_head);
    Py_CLEAR(r->sent_body);
    Py_CLEAR(r->error);
    Py_CLEAR(r->mark);
    Py_CLEAR(r->headers);
    Py_CLEAR(r->content);
    Py_CLEAR(r->text);
    Py_CLEAR(r->encoding);
    Py_CLEAR(r->history);
    Py_CLEAR(r->cookies);
    Py_CLEAR(r->meta);
    Py_CLEAR(r->dict);
    return 0;
}

/* A caught response that was never entered and is dropped: it was a request all the same. */
static void response_finalize(PyObject *op) {
    Response *r = (Response *)op;
    r->finalized = true;
    if (r->reported || !r->session || !r->returned_at) return;
    PyObject *type, *value, *tb;
    PyErr_Fetch(&type, &value, &tb);
    PyObject *verdict = gr_py_response_verdict(r);
    if (!verdict || gr_py_response_report(r, verdict) < 0) PyErr_WriteUnraisable(op);
    Py_XDECREF(verdict);
    PyErr_Restore(type, value, tb);
}

static void response_dealloc(PyObject *op) {
    Response *r = (Response *)op;
    PyTypeObject *type = Py_TYPE(op);
    /* A finalizer runs once in an object's life, so one that ran keeps it off the free list. */
    bool fresh = r->reported || !r->session || !r->returned_at;
    if (!fresh && PyObject_CallFinalizerFromDealloc(op) < 0) return; /* a listener kept it */
    fresh = fresh && !r->finalized;
    PyObject_GC_UnTrack(op);
    if (r->weakrefs) PyObject_ClearWeakRefs(op);
    response_clear(op);
    if (fresh && free_n < FREE_RESPONSES_MAX && r->x.response.body.cap <= KEPT_BODY_MAX &&
        !GR_NO_POOLS) {
        r->start_time = 0;
        r->called_at = r->returned_at = r->due_at = 0;
        r->fast = r->catching = r->entered = r->reported = r->streaming = r->encoding_known = false;
        free_list[free_n++] = r;
    } else {
        gr_exchange_deinit(&r->x);
        PyObject_GC_Del(r);
    }
    Py_DECREF(type);
}

/* --- judging and reporting ---------------------------------------------------------------- */

void gr_py_response_returned(Response *r) {
    r->returned_at = gr_clock_ns();
}

static bool good_status(const Response *r) {
    uint16_t s = r->x.response.status;
    if (!r->fast) return s > 0 && s < 400;
    return (s >= 200 && s <= 208) || s == 226 || (s >= 301 && s <= 304) || s == 307 || s == 308;
}

PyObject *gr_py_response_verdict(Response *r) {
    if (r->error) return Py_NewRef(r->error);
    if (good_status(r)) return Py_NewRef(Py_None);
    return PyObject_CallMethod(r->session, "_bad_status", "OO", (PyObject *)r, r->name);
}

static uint64_t counted_length(const Response *r) {
    if (r->error) return 0;
    if (!r->streaming) return r->x.response.body.n;
    const gr_header *h = gr_headers_get(&r->x.response.headers, GR_STR("content-length"));
    uint64_t n = 0;
    return h && gr_str_u64(h->value, &n) ? n : 0;
}

gr_sample gr_py_response_sample(const Response *r) {
    gr_ns end = r->returned_at;
    bool complete = r->x.error == 0 && r->x.last_byte_at != 0;
    gr_ns due = r->due_at ? r->due_at : r->called_at;
    gr_sample s = {
        .response_ns = (int64_t)(end - r->called_at),
        .service_ns = complete ? (int64_t)r->x.service_ns : GR_TIME_NONE,
        .due_ns = (int64_t)(end - GR_MIN(due, r->called_at)),
        .lag_ns = GR_TIME_NONE,
        .bytes = counted_length(r),
        .ended_at = gr_clock_stamp_now(),
    };
    if (complete) {
        gr_ns late_start = r->called_at > due ? r->called_at - due : 0;
        gr_ns late_end = end > r->x.last_byte_at ? end - r->x.last_byte_at : 0;
        s.lag_ns = (int64_t)(late_start + late_end);
    }
    return s;
}

static PyObject *milliseconds(int64_t ns) {
    return ns == GR_TIME_NONE ? Py_NewRef(Py_None) : PyFloat_FromDouble((double)ns * 1e-6);
}

/* request_meta: made when somebody wants to read or edit it; the event then goes by it. */
static PyObject *get_meta(PyObject *op, void *closure) {
    (void)closure;
    Response *r = (Response *)op;
    if (r->meta) return Py_NewRef(r->meta);
    gr_sample s = gr_py_response_sample(r);
    PyObject *verdict = r->session ? gr_py_response_verdict(r) : Py_NewRef(Py_None);
    PyObject *url = PyObject_GetAttr(op, gr_py_name.url);
    if (verdict && url)
        r->meta =
            Py_BuildValue("{s:O,s:O,s:N,s:K,s:O,s:O,s:O,s:d,s:O,s:N,s:N,s:N}", "request_type",
                          r->method, "name", r->name, "response_time", milliseconds(s.response_ns),
                          "response_length", (unsigned long long)s.bytes, "response", op, "context",
                          r->context ? r->context : Py_None, "exception", verdict, "start_time",
                          r->start_time, "url", url, "service_time", milliseconds(s.service_ns),
                          "due_time", milliseconds(s.due_ns), "lag", milliseconds(s.lag_ns));
    Py_XDECREF(url);
    Py_XDECREF(verdict);
    return Py_XNewRef(r->meta);
}

/* The time that the user put into request_meta. 0, or -1 with an exception. */
static int edited_time(PyObject *ms, gr_sample *sample) {
    if (ms == Py_None) {
        sample->response_ns = GR_TIME_NONE;
        return 0;
    }
    double v = PyFloat_AsDouble(ms);
    if (v == -1.0 && PyErr_Occurred()) return -1;
    if (!(v > -9e12 && v < 9e12)) { /* NaN, infinities and what no int64 of ns holds */
        PyErr_Format(PyExc_ValueError, "request_meta: response_time=%R is not a time in ms", ms);
        return -1;
    }
    sample->response_ns = (int64_t)(v * 1e6);
    return 0;
}

/* Take over what the user edited in request_meta, or added: all of it goes to the listeners. Borrowed
 * references into `meta`. 0, or -1 with an exception for what cannot be used. */
static int apply_meta(PyObject *meta, gr_py_request *q) {
    static const char *const own[] = {"service_time", "due_time",
                                      "lag"}; /* listeners know them not */
    PyObject *name = PyDict_GetItemWithError(meta, gr_py_name.name);
    PyObject *type = PyDict_GetItemWithError(meta, gr_py_name.request_type);
    PyObject *ms = PyDict_GetItemWithError(meta, gr_py_name.response_time);
    PyObject *length = PyDict_GetItemWithError(meta, gr_py_name.response_length);
    PyObject *context = PyDict_GetItemWithError(meta, gr_py_name.context);
    if (name && PyUnicode_Check(name)) q->name = name;
    if (type && PyUnicode_Check(type)) q->request_type = type;
    if (context && context != Py_None) q->context = context;
    for (size_t i = 0; i < GR_LEN(own); i++)
        if (PyDict_DelItemString(meta, own[i]) < 0) PyErr_Clear(); /* the user has removed it */
    if (PyDict_SetItem(meta, gr_py_name.exception, q->exception) < 0) return -1;
    q->extra = meta;
    if (length && PyLong_Check(length)) {
        unsigned long long bytes = PyLong_AsUnsignedLongLong(length);
        if (PyErr_Occurred()) return -1;
        q->sample.bytes = bytes;
    }
    return ms ? edited_time(ms, &q->sample) : 0;
}

int gr_py_response_report(Response *r, PyObject *exception) {
    if (r->reported) return 0;
    r->reported = true;
    PyObject *session = r->session; /* stays: a listener may look at the response */
    PyObject *hook = PyObject_GetAttrString(session, "request_event");
    if (!hook) return -1;
    if (hook == Py_None) {
        Py_DECREF(hook);
        return 0;
    }
    PyObject *url = PyObject_GetAttr((PyObject *)r, gr_py_name.url);
    gr_py_request q = {
        .request_type = r->method,
        .name = r->name,
        .response = (PyObject *)r,
        .context = r->context && r->context != Py_None ? r->context : NULL,
        .exception = exception,
        .url = url,
        .start_time = r->start_time,
        .sample = gr_py_response_sample(r),
    };
    PyObject *meta = Py_XNewRef(r->meta);
    int rc = url ? 0 : -1;
    /* An edit that cannot be used does not lose the request: it counts as measured. */
    if (rc == 0 && meta && apply_meta(meta, &q) < 0) PyErr_WriteUnraisable((PyObject *)r);
    if (rc == 0) rc = gr_py_event_fire_request(hook, &q);
    Py_CLEAR(r->meta); /* it refers back to this object */
    Py_XDECREF(meta);
    Py_XDECREF(url);
    Py_DECREF(hook);
    return rc;
}

/* --- with blocks -------------------------------------------------------------------------- */

static int misuse(const char *what) {
    PyObject *module = PyImport_ImportModule("locust.exception");
    PyObject *type = module ? PyObject_GetAttrString(module, "LocustError") : NULL;
    if (type) PyErr_SetString(type, what);
    Py_XDECREF(type);
    Py_XDECREF(module);
    return -1;
}

static int must_be_caught(const Response *r) {
    if (r->catching && r->entered) return 0;
    return misuse(r->catching
                      ? "Tried to set status on a request that has not yet been made. Make sure "
                        "you use a with-block, like this: with self.client.get(..., "
                        "catch_response=True) as response:"
                      : "If you want to change the state of the request, you must pass "
                        "catch_response=True. See https://docs.locust.io/en/stable/"
                        "writing-a-locustfile.html#validating-responses");
}

static PyObject *response_success(PyObject *op, PyObject *unused) {
    (void)unused;
    Response *r = (Response *)op;
    if (must_be_caught(r) < 0) return NULL;
    Py_XSETREF(r->mark, Py_NewRef(Py_None));
    Py_RETURN_NONE;
}

static PyObject *response_failure(PyObject *op, PyObject *reason) {
    Response *r = (Response *)op;
    if (must_be_caught(r) < 0) return NULL;
    if (PyExceptionInstance_Check(reason)) {
        Py_XSETREF(r->mark, Py_NewRef(reason));
        Py_RETURN_NONE;
    }
    PyObject *module = PyImport_ImportModule("locust.exception");
    PyObject *wrapped =
        module ? PyObject_CallMethod(module, "CatchResponseError", "O", reason) : NULL;
    Py_XDECREF(module);
    if (!wrapped) return NULL;
    Py_XSETREF(r->mark, wrapped);
    Py_RETURN_NONE;
}

static PyObject *response_enter(PyObject *op, PyObject *unused) {
    (void)unused;
    Response *r = (Response *)op;
    if (!r->catching && !r->fast) {
        misuse("Tried to use a response with a with-block without catch_response=True");
        return NULL;
    }
    r->entered = true;
    return Py_NewRef(op);
}

/* How an exception that left the with block counts: 1 and `*verdict` set, or -1. `*swallow` is set for
 * ResponseError. Control flow (RescheduleTask, StopUser, ...) leaves the request judged as usual;
 * any other exception makes it a failure (Locust would forget the request). */
static int judge_exception(Response *r, PyObject *value, PyObject **verdict, bool *swallow) {
    PyObject *module = PyImport_ImportModule("locust.exception");
    PyObject *kind = module ? PyObject_CallMethod(module, "_kind_in_block", "O", value) : NULL;
    Py_XDECREF(module);
    long k = kind ? PyLong_AsLong(kind) : -1;
    Py_XDECREF(kind);
    if (k < 0) return -1;
    *swallow = k == 1 && !r->mark;
    *verdict = k == 2 ? gr_py_response_verdict(r) : Py_NewRef(value);
    return *verdict ? 1 : -1;
}

/* The default rule; of a good response also what the user put into request_meta["exception"]. */
static PyObject *verdict_of_block(Response *r) {
    PyObject *verdict = gr_py_response_verdict(r);
    if (verdict != Py_None || !r->meta) return verdict;
    PyObject *edited = PyDict_GetItemWithError(r->meta, gr_py_name.exception);
    if (edited) Py_SETREF(verdict, Py_NewRef(edited));
    return verdict;
}

static PyObject *response_exit(PyObject *op, PyObject *const *args, Py_ssize_t n) {
    Response *r = (Response *)op;
    PyObject *value = n >= 2 ? args[1] : Py_None;
    PyObject *verdict = NULL;
    bool swallow = false;
    if (r->reported || !r->catching) Py_RETURN_FALSE;
    if (value != Py_None && PyExceptionInstance_Check(value)) {
        if (judge_exception(r, value, &verdict, &swallow) < 0) return NULL;
        if (r->mark) Py_SETREF(verdict, Py_NewRef(r->mark));
    } else {
        verdict = r->mark ? Py_NewRef(r->mark) : verdict_of_block(r);
    }
    int rc = verdict ? gr_py_response_report(r, verdict) : -1;
    Py_XDECREF(verdict);
    return rc < 0 ? NULL : PyBool_FromLong(swallow);
}

/* --- contents ----------------------------------------------------------------------------- */

static PyObject *
empty_when_failed(const Response *r) { /* requests and Locust's fast client: None */
    return r->error && r->x.response.status == 0 ? Py_None : NULL;
}

/* Read the rest of a streamed body into response.body. 0, or -1. */
static int read_some(Response *r) {
    gr_exchange_cb *more = on_done;
    if (r->parked.greenlet) {
        PyErr_SetString(PyExc_RuntimeError, "another greenlet is reading this response");
        return -1;
    }
    int rc = gr_exchange_read(&r->x, more);
    if (rc < 0) {
        PyErr_SetString(PyExc_OSError, gr_strerror(rc));
        return -1;
    }
    if (!gr_py_loop()) return -1;
    if (gr_py_park(&r->parked) < 0) {
        gr_exchange_cancel(&r->x);
        r->streaming = false;
        return -1;
    }
    if (r->x.state == GR_X_IDLE) {
        r->streaming = false;
        if (r->x.error) {
            PyObject *e = PyObject_CallMethod(
                r->session, "_failure", "Ois#", (PyObject *)r, r->x.error,
                r->x.error_text.p ? r->x.error_text.p : "", (Py_ssize_t)r->x.error_text.n);
            if (e) PyErr_SetObject((PyObject *)Py_TYPE(e), e);
            Py_XDECREF(e);
            return -1;
        }
    }
    return 0;
}

/* The whole body as bytes. A streamed one is collected here: the engine holds back what does not fit
 * in its own buffer. */
static PyObject *read_all(Response *r) {
    gr_buf all = GR_BUF_INIT, *body = &inner(r)->body;
    bool streamed = r->streaming;
    int rc = 0;
    while (rc == 0 && r->streaming) {
        rc = read_some(r);
        if (rc == 0 && gr_buf_add(&all, gr_buf_str(body)) < 0) {
            PyErr_NoMemory();
            rc = -1;
        }
        gr_buf_clear(body);
    }
    gr_str whole = gr_buf_str(streamed ? &all : body);
    PyObject *bytes =
        rc == 0 ? PyBytes_FromStringAndSize(whole.p ? whole.p : "", (Py_ssize_t)whole.n) : NULL;
    gr_buf_deinit(&all);
    return bytes;
}

static PyObject *get_content(PyObject *op, void *closure) {
    (void)closure;
    Response *r = (Response *)op;
    PyObject *nothing = empty_when_failed(r);
    if (nothing) return Py_NewRef(nothing);
    if (!r->content) {
        PyObject *content = read_all(r);
        Py_XSETREF(r->content, content);
    }
    return Py_XNewRef(r->content);
}

static gr_str content_type(Response *r) {
    const gr_header *h = gr_headers_get(&inner(r)->headers, GR_STR("content-type"));
    return h ? h->value : (gr_str){NULL, 0};
}

/* As requests' get_encoding_from_headers. */
static PyObject *encoding_of(Response *r) {
    gr_str type = content_type(r), charset;
    if (type.n == 0) Py_RETURN_NONE;
    if (gr_content_type_charset(type, &charset)) return gr_py_text(charset);
    if (gr_str_starts(type, GR_STR("text"))) return PyUnicode_FromString("ISO-8859-1");
    if (gr_str_starts(type, GR_STR("application/json"))) return PyUnicode_FromString("utf-8");
    Py_RETURN_NONE;
}

static PyObject *get_encoding(PyObject *op, void *closure) {
    (void)closure;
    Response *r = (Response *)op;
    if (!r->encoding_known) {
        Py_XSETREF(r->encoding, encoding_of(r));
        if (!r->encoding) return NULL;
        r->encoding_known = true;
    }
    return Py_NewRef(r->encoding);
}

static int set_encoding(PyObject *op, PyObject *value, void *closure) {
    (void)closure;
    Response *r = (Response *)op;
    Py_XSETREF(r->encoding, Py_NewRef(value ? value : Py_None));
    r->encoding_known = true;
    Py_CLEAR(r->text);
    return 0;
}

static PyObject *call_helper(const char *function, PyObject *op) {
    PyObject *module = PyImport_ImportModule("locust.clients");
    PyObject *result = module ? PyObject_CallMethod(module, function, "O", op) : NULL;
    Py_XDECREF(module);
    return result;
}

static PyObject *get_text(PyObject *op, void *closure) {
    (void)closure;
    Response *r = (Response *)op;
    if (r->text) return Py_NewRef(r->text);
    PyObject *content = get_content(op, NULL);
    PyObject *encoding = content ? get_encoding(op, NULL) : NULL;
    if (encoding && content == Py_None) {
        r->text = r->fast ? Py_NewRef(Py_None) : PyUnicode_FromString("");
    } else if (encoding) {
        const char *codec = encoding == Py_None ? "utf-8" : PyUnicode_AsUTF8(encoding);
        bool strict =
            encoding == Py_None; /* requests guesses then; UTF-8 is tried before guessing */
        if (codec)
            r->text = PyUnicode_Decode(PyBytes_AS_STRING(content), PyBytes_GET_SIZE(content), codec,
                                       strict ? "strict" : "replace");
        if (!r->text && codec) { /* unknown codec, or not UTF-8: guess */
            PyErr_Clear();
            r->text = call_helper("_guess_text", op);
        }
    }
    Py_XDECREF(encoding);
    Py_XDECREF(content);
    return Py_XNewRef(r->text);
}

static PyObject *get_headers(PyObject *op, void *closure) {
    (void)closure;
    Response *r = (Response *)op;
    if (r->fast && empty_when_failed(r)) Py_RETURN_NONE;
    if (!r->headers) r->headers = gr_py_headers_from(&inner(r)->headers);
    return Py_XNewRef(r->headers);
}

static int set_headers(PyObject *op, PyObject *value, void *closure) {
    (void)closure;
    Py_XSETREF(((Response *)op)->headers, Py_XNewRef(value));
    return 0;
}

static PyObject *get_status(PyObject *op, void *closure) {
    (void)closure;
    return PyLong_FromLong(((Response *)op)->x.response.status);
}

static PyObject *get_reason(PyObject *op, void *closure) {
    (void)closure;
    gr_str reason = inner((Response *)op)->reason;
    return PyUnicode_DecodeLatin1(reason.p ? reason.p : "", (Py_ssize_t)reason.n, NULL);
}

static PyObject *get_url(PyObject *op, void *closure) {
    (void)closure;
    return gr_py_text(gr_buf_str(&((Response *)op)->x.url));
}

static PyObject *get_ok(PyObject *op, void *closure) {
    (void)closure;
    Response *r = (Response *)op;
    return PyBool_FromLong(r->fast ? r->x.response.status < 400
                                   : r->x.response.status < 400 && !r->error);
}

static int response_bool(PyObject *op) {
    return ((Response *)op)->x.response.status < 400 && !((Response *)op)->error;
}

static PyObject *get_elapsed(PyObject *op,
                             void *closure) { /* to the end of the head, as requests */
    (void)closure;
    static PyObject *timedelta;
    Response *r = (Response *)op;
    if (!timedelta) {
        PyObject *module = PyImport_ImportModule("datetime");
        timedelta = module ? PyObject_GetAttrString(module, "timedelta") : NULL;
        Py_XDECREF(module);
        if (!timedelta) return NULL;
    }
    gr_ns end = r->x.first_byte_at > r->called_at ? r->x.first_byte_at : r->returned_at;
    return PyObject_CallFunction(timedelta, "id", 0, (double)(end - r->called_at) * 1e-9);
}

static gr_str moved(gr_str s, const gr_buf *from, const gr_buf *to) {
    return s.p ? (gr_str){to->p + (s.p - from->p), s.n} : s;
}

/* Copy a finished response; the copy's headers point into its own head. 0 or GR_E_NOMEM. */
static int copy_response(gr_response *to, const gr_response *from) {
    gr_buf_clear(&to->head);
    gr_buf_clear(&to->body);
    to->headers.n = 0;
    if (gr_buf_add(&to->head, gr_buf_str(&from->head)) < 0) return GR_E_NOMEM;
    if (gr_buf_add(&to->body, gr_buf_str(&from->body)) < 0) return GR_E_NOMEM;
    if (to->headers.cap < from->headers.n) {
        gr_header *at = gr_realloc(to->headers.at, from->headers.n * sizeof *at);
        if (!at) return GR_E_NOMEM;
        to->headers.at = at;
        to->headers.cap = from->headers.n;
    }
    for (uint32_t i = 0; i < from->headers.n; i++) {
        to->headers.at[i].name = moved(from->headers.at[i].name, &from->head, &to->head);
        to->headers.at[i].value = moved(from->headers.at[i].value, &from->head, &to->head);
    }
    to->headers.n = from->headers.n;
    to->status = from->status;
    to->version_minor = from->version_minor;
    to->reason = moved(from->reason, &from->head, &to->head);
    to->decoded = from->decoded;
    return 0;
}

static PyObject *hop_response(Response *r, const gr_hop *hop) {
    Response *h = gr_py_response_new();
    if (!h) return NULL;
    h->reported = true;
    h->fast = r->fast;
    h->session = Py_XNewRef(r->session);
    h->method = Py_XNewRef(r->method);
    h->name = Py_XNewRef(r->name);
    h->called_at = r->called_at;
    h->returned_at = r->returned_at;
    gr_buf_clear(&h->x.url);
    if (copy_response(&h->x.response, &hop->response) < 0 ||
        gr_buf_add(&h->x.url, gr_buf_str(&hop->url)) < 0) {
        Py_DECREF(h);
        return PyErr_NoMemory();
    }
    return (PyObject *)h;
}

static PyObject *get_history(PyObject *op, void *closure) {
    (void)closure;
    Response *r = (Response *)op;
    if (!r->history) {
        PyObject *list = PyList_New(0);
        for (const gr_hop *hop = r->x.hops; list && hop; hop = hop->next) {
            PyObject *one = hop_response(r, hop);
            if (!one || PyList_Append(list, one) < 0) Py_CLEAR(list);
            Py_XDECREF(one);
        }
        r->history = list;
    }
    return Py_XNewRef(r->history);
}

static PyObject *get_by_helper(PyObject *op, void *helper) {
    return call_helper(helper, op);
}

static PyObject *get_cookies(PyObject *op, void *closure) {
    (void)closure;
    Response *r = (Response *)op;
    if (!r->cookies) r->cookies = call_helper("_response_cookies", op);
    return Py_XNewRef(r->cookies);
}

static PyObject *header_values(PyObject *op, PyObject *name) { /* each value of a repeated field */
    Response *r = (Response *)op;
    PyObject *list = PyList_New(0);
    if (!PyUnicode_Check(name)) {
        Py_XDECREF(list);
        PyErr_SetString(PyExc_TypeError, "a header name is a str");
        return NULL;
    }
    gr_str n = gr_py_utf8(name);
    if (!n.p) Py_CLEAR(list);
    for (const gr_header *h = NULL; list && (h = gr_headers_next(&inner(r)->headers, n, h));) {
        PyObject *value =
            PyUnicode_DecodeLatin1(h->value.p ? h->value.p : "", (Py_ssize_t)h->value.n, NULL);
        if (!value || PyList_Append(list, value) < 0) Py_CLEAR(list);
        Py_XDECREF(value);
    }
    return list;
}

static PyObject *response_json(PyObject *op, PyObject *args, PyObject *kwargs) {
    (void)args;
    PyObject *module = PyImport_ImportModule("locust.clients");
    PyObject *helper = module ? PyObject_GetAttrString(module, "_json") : NULL;
    PyObject *one = helper ? PyTuple_Pack(1, op) : NULL;
    PyObject *result = one ? PyObject_Call(helper, one, kwargs) : NULL;
    Py_XDECREF(one);
    Py_XDECREF(helper);
    Py_XDECREF(module);
    return result;
}

static PyObject *response_raise(PyObject *op, PyObject *unused) {
    (void)unused;
    Response *r = (Response *)op;
    PyObject *e = NULL;
    if (r->mark)
        e = Py_NewRef(r->mark);
    else if (r->error)
        e = Py_NewRef(r->error);
    else if (good_status(r) || (!r->fast && r->x.response.status < 400))
        Py_RETURN_NONE;
    else {
        PyObject *url = get_url(op, NULL);
        e = url ? PyObject_CallMethod(r->session, "_bad_status", "OO", op, url) : NULL;
        Py_XDECREF(url);
    }
    if (e == Py_None) {
        Py_DECREF(e);
        Py_RETURN_NONE;
    }
    if (e) PyErr_SetObject((PyObject *)Py_TYPE(e), e);
    Py_XDECREF(e);
    return NULL;
}

static PyObject *response_close(PyObject *op, PyObject *unused) {
    (void)unused;
    Response *r = (Response *)op;
    if (r->streaming) {
        gr_exchange_cancel(&r->x);
        gr_py_wake(&r->parked); /* another greenlet may be reading */
        if (!gr_py_loop()) return NULL;
    }
    r->streaming = false;
    Py_RETURN_NONE;
}

/* The next piece of a streamed body: bytes, empty at the end. */
static PyObject *response_read_piece(PyObject *op, PyObject *unused) {
    (void)unused;
    Response *r = (Response *)op;
    gr_buf *body = &inner(r)->body;
    if (!r->streaming && body->n == 0) return PyBytes_FromStringAndSize("", 0);
    while (r->streaming && body->n == 0)
        if (read_some(r) < 0) return NULL;
    PyObject *piece = PyBytes_FromStringAndSize(body->p ? body->p : "", (Py_ssize_t)body->n);
    if (piece) gr_buf_clear(body);
    return piece;
}

static PyObject *response_repr(PyObject *op) {
    return PyUnicode_FromFormat("<Response [%d]>", (int)((Response *)op)->x.response.status);
}

static PyObject *get_error(PyObject *op, void *closure) {
    (void)closure;
    PyObject *error = ((Response *)op)->error;
    return Py_NewRef(error ? error : Py_None);
}

static PyObject *iter_helper(PyObject *op, PyObject *args, PyObject *kwargs, const char *helper) {
    PyObject *module = PyImport_ImportModule("locust.clients");
    PyObject *function = module ? PyObject_GetAttrString(module, helper) : NULL;
    PyObject *self = function ? PyTuple_Pack(1, op) : NULL;
    PyObject *all = self ? PySequence_Concat(self, args) : NULL;
    PyObject *result = all ? PyObject_Call(function, all, kwargs) : NULL;
    Py_XDECREF(all);
    Py_XDECREF(self);
    Py_XDECREF(function);
    Py_XDECREF(module);
    return result;
}

static PyObject *response_iter_content(PyObject *op, PyObject *args, PyObject *kwargs) {
    return iter_helper(op, args, kwargs, "_iter_content");
}
static PyObject *response_iter_lines(PyObject *op, PyObject *args, PyObject *kwargs) {
    return iter_helper(op, args, kwargs, "_iter_lines");
}
static PyObject *response_iter(PyObject *op) {
    return call_helper("_iter_pieces", op);
}

#define HELPED(attribute, helper, doc)                                                             \
    { attribute, get_by_helper, NULL, doc, (void *)(uintptr_t)helper }
static PyGetSetDef GETSET[] = {
    {"status_code", get_status, NULL, "HTTP status; 0 when there was no answer", NULL},
    {"reason", get_reason, NULL, "the status line's text", NULL},
    {"headers", get_headers, set_headers, "header fields, in any case", NULL},
    {"content", get_content, NULL, "the decoded body as bytes", NULL},
    {"text", get_text, NULL, "the body as str", NULL},
    {"encoding", get_encoding, set_encoding, "the charset that text uses", NULL},
    {"url", get_url, NULL, "the final URL", NULL},
    {"ok", get_ok, NULL, "whether the status is below 400", NULL},
    {"elapsed", get_elapsed, NULL, "timedelta from the call to the response's first byte", NULL},
    {"history", get_history, NULL, "the redirects on the way", NULL},
    {"cookies", get_cookies, NULL, "cookies that this response set", NULL},
    {"error", get_error, NULL, "the exception that stands for a failed transfer, or None", NULL},
    {"request_meta", get_meta, NULL,
     "what the request event will be fired with; may be edited inside a with block. Beside "
     "Locust's keys:\n"
     "service_time, due_time and lag, in milliseconds.",
     NULL},
    HELPED("apparent_encoding", "_apparent_encoding", "the charset guessed from the body"),
    HELPED("request", "_sent_request", "what was sent"),
    HELPED("links", "_links", "the Link header, parsed"),
    HELPED("is_redirect", "_is_redirect", "a redirect with a Location"),
    HELPED("is_permanent_redirect", "_is_permanent_redirect", "301 or 308 with a Location"),
    {0}};
static PyMethodDef METHODS[] = {
    {"success", response_success, METH_NOARGS,
     "success($self, /)\n--\n\nCount this request as a success, whatever its status."},
    {"failure", response_failure, METH_O,
     "failure($self, exc, /)\n--\n\nCount this request as a failure; `exc` is the reason: a text "
     "or an exception."},
    {"__enter__", response_enter, METH_NOARGS, NULL},
    {"__exit__", (PyCFunction)(void (*)(void))response_exit, METH_FASTCALL, NULL},
    {"json", (PyCFunction)(void (*)(void))response_json, METH_VARARGS | METH_KEYWORDS,
     "json($self, /, **kwargs)\n--\n\nThe body as JSON; kwargs go to json.loads."},
    {"raise_for_status", response_raise, METH_NOARGS,
     "raise_for_status($self, /)\n--\n\nRaise what makes this response a failure, if anything "
     "does."},
    {"iter_content", (PyCFunction)(void (*)(void))response_iter_content,
     METH_VARARGS | METH_KEYWORDS,
     "iter_content(chunk_size=1, decode_unicode=False)\n--\n\nThe body piece by piece."},
    {"iter_lines", (PyCFunction)(void (*)(void))response_iter_lines, METH_VARARGS | METH_KEYWORDS,
     "iter_lines(chunk_size=512, decode_unicode=False, delimiter=None)\n--\n\nThe body line by "
     "line."},
    {"header_values", header_values, METH_O,
     "header_values($self, name, /)\n--\n\nEvery value of a field that may be repeated."},
    {"close", response_close, METH_NOARGS, "Give up the rest of a streamed body."},
    {"_read_piece", response_read_piece, METH_NOARGS, NULL},
    {0}};
static PyMemberDef MEMBERS[] = {
    {"_name", T_OBJECT, offsetof(Response, name), READONLY, NULL},
    {"_method", T_OBJECT, offsetof(Response, method), READONLY, NULL},
    {"_session", T_OBJECT, offsetof(Response, session), READONLY, NULL},
    {"_streaming", T_BOOL, offsetof(Response, streaming), READONLY, NULL},
    {"_sent_head", T_OBJECT, offsetof(Response, sent_head), READONLY, NULL},
    {"_sent_body", T_OBJECT, offsetof(Response, sent_body), READONLY, NULL},
    {"__dictoffset__", T_PYSSIZET, offsetof(Response, dict), READONLY, NULL},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(Response, weakrefs), READONLY, NULL},
    {0}};
static PyType_Slot SLOTS[] = {
    {Py_tp_doc, (void *)(uintptr_t) "A response, as requests' (or FastHttpUser's)."},
    {Py_tp_dealloc, response_dealloc},
    {Py_tp_finalize, response_finalize},
    {Py_tp_traverse, response_traverse},
    {Py_tp_clear, response_clear},
    {Py_tp_repr, response_repr},
    {Py_tp_iter, response_iter},
    {Py_nb_bool, response_bool},
    {Py_tp_methods, METHODS},
    {Py_tp_members, MEMBERS},
    {Py_tp_getset, GETSET},
    {0, NULL}};
static PyType_Spec SPEC = {.name = "locust._engine.Response",
                           .basicsize = sizeof(Response),
                           .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC |
                                    Py_TPFLAGS_DISALLOW_INSTANTIATION,
                           .slots = SLOTS};

int gr_py_init_response(PyObject *module) {
    gr_py_response_type = gr_py_add_type(module, &SPEC, NULL);
    return gr_py_response_type ? 0 : -1;
}
