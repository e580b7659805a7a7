/* Bodies are kept up to a limit and read to the end beyond it: answering 413 while the client still
 * sends would reset the connection under its feet. Somebody who sends without end is cut off. */
#include "request.h"

#include "base/alloc.h"
#include "base/clock.h"

#include <stdio.h>

#define DRAIN_BYTES_MAX (64u << 20)

static enum MHD_Result on_file(form *f, const char *file_name, uint64_t end) {
    f->has_file = true;
    f->file_bytes = end;
    snprintf(f->file_name, sizeof f->file_name, "%s", file_name);
    return MHD_YES;
}

/* Called by the post processor with pieces of fields, in order; `off` is where a piece begins. */
static enum MHD_Result on_field(void *cls, enum MHD_ValueKind kind, const char *name,
                                const char *file_name, const char *type, const char *coding,
                                const char *data, uint64_t off, size_t n) {
    form *f = cls;
    (void)kind, (void)type, (void)coding;
    if (file_name) return on_file(f, file_name, off + n);
    if (off == 0) {
        if (f->fields_n == REQUEST_FIELDS_MAX) return MHD_NO;
        snprintf(f->fields[f->fields_n++].name, sizeof f->fields[0].name, "%s", name);
    }
    if (f->fields_n == 0 || off + n > REQUEST_FIELD_BYTES_MAX) return MHD_NO;
    memcpy(f->fields[f->fields_n - 1].value + off, data, n); /* zeroed behind: ends in NUL */
    return MHD_YES;
}

static bool form_open(request *r) {
    r->form = gr_calloc(1, sizeof *r->form);
    if (!r->form) return false;
    r->post = MHD_create_post_processor(r->conn, 4096, on_field, r->form);
    return true;
}

request *request_new(shop *s, struct MHD_Connection *conn, const char *method, const char *path) {
    request *r = gr_calloc(1, sizeof *r);
    if (!r) return NULL;
    r->shop = s;
    r->conn = conn;
    r->method = method;
    r->path = path;
    r->route = shop_route_find(method, path, &r->arg);
    r->route_index = (size_t)(r->route - shop_routes);
    if (r->route->input == INPUT_FORM && !form_open(r)) {
        gr_free(r);
        return NULL;
    }
    return r;
}

void request_free(request *r) {
    if (!r) return;
    if (r->post) MHD_destroy_post_processor(r->post);
    gr_free(r->form);
    gr_buf_deinit(&r->body);
    gr_free(r);
}

enum MHD_Result request_feed(request *r, const char *data, size_t n) {
    r->received_bytes += n;
    if (r->received_bytes > DRAIN_BYTES_MAX) return MHD_NO;
    switch (r->route->input) {
    case INPUT_NONE: return MHD_YES;
    case INPUT_BODY:
        r->body_too_large |= r->received_bytes > REQUEST_BODY_BYTES_MAX;
        if (r->body_too_large) return MHD_YES;
        return gr_buf_add(&r->body, (gr_str){data, n}) < 0 ? MHD_NO : MHD_YES;
    case INPUT_FORM:
        if (r->post && MHD_post_process(r->post, data, n) != MHD_YES) {
            MHD_destroy_post_processor(r->post);
            r->post = NULL; /* the route sees a form that could not be read */
        }
        return MHD_YES;
    }
    GR_UNREACHABLE();
}

enum MHD_Result request_wait(request *r, gr_ns delay) {
    if (r->shop->closing) {
        r->waited = true;
        return r->route->answer(r);
    }
    if (timers_add(&r->shop->waiting, r->received_at + delay, r) < 0) return MHD_NO;
    MHD_suspend_connection(r->conn);
    return MHD_YES;
}

void request_wake(request *r) {
    r->waited = true;
    MHD_resume_connection(r->conn);
}

const char *request_query(const request *r, const char *name) {
    return MHD_lookup_connection_value(r->conn, MHD_GET_ARGUMENT_KIND, name);
}

const char *request_field(const request *r, const char *name) {
    for (size_t i = 0; i < r->form->fields_n; i++)
        if (strcmp(r->form->fields[i].name, name) == 0) return r->form->fields[i].value;
    return NULL;
}

bool response_header(struct MHD_Response *response, const char *name, const char *value) {
    return MHD_add_response_header(response, name, value) == MHD_YES;
}

static struct MHD_Response *typed(struct MHD_Response *response, const char *type) {
    if (response && !response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type)) {
        MHD_destroy_response(response);
        return NULL;
    }
    return response;
}

struct MHD_Response *response_static(const char *type, const char *text) {
    /* The library only reads a persistent buffer, but its type says otherwise. */
    union {
        const char *in;
        char *out;
    } bytes = {text};
    return typed(MHD_create_response_from_buffer(strlen(text), bytes.out, MHD_RESPMEM_PERSISTENT),
                 type);
}

struct MHD_Response *response_buf(const char *type, gr_buf *body) {
    struct MHD_Response *response =
        MHD_create_response_from_buffer_with_free_callback(body->n, body->p, gr_free);
    if (!response) gr_buf_deinit(body);
    *body = GR_BUF_INIT;
    return typed(response, type);
}

static int dump_some(const char *bytes, size_t n, void *into) {
    return gr_buf_add(into, (gr_str){bytes, n}) < 0 ? -1 : 0;
}

struct MHD_Response *response_json(json_t *root) {
    gr_buf text = GR_BUF_INIT;
    int rc = root ? json_dump_callback(root, dump_some, &text, JSON_COMPACT) : -1;
    json_decref(root);
    if (rc < 0) {
        gr_buf_deinit(&text);
        return NULL;
    }
    return response_buf("application/json", &text);
}

static enum MHD_Result queue(request *r, unsigned status, struct MHD_Response *response) {
    enum MHD_Result rc = MHD_queue_response(r->conn, status, response);
    if (rc == MHD_YES && !r->route->uncounted) {
        r->shop->counts[r->route_index][status]++;
        r->shop->requests++;
    }
    return rc;
}

enum MHD_Result request_send(request *r, unsigned status, struct MHD_Response *response) {
    if (!response) return MHD_NO;
    enum MHD_Result rc = queue(r, status, response);
    MHD_destroy_response(response);
    return rc;
}

enum MHD_Result request_send_page(request *r, shop_page page) {
    return queue(r, MHD_HTTP_OK, r->shop->pages[page]);
}

enum MHD_Result request_send_error(request *r, unsigned status, const char *text) {
    return request_send(r, status, response_json(json_pack("{s:s}", "error", text)));
}
