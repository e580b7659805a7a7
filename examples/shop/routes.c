/* What the shop answers: one function a route, and the table that names them all.
 * Whatever varies does so by sequence numbers, so that a test can say beforehand how many answers
 * of each kind N requests bring. */
#include "request.h"

#include "base/clock.h"
#include "delay.h"

#include <inttypes.h>
#include <stdio.h>

#define SESSION_NAME_MAX 64
#define BYTES_MAX        (1u << 30)
#define DATA_SLOW_NS     GR_MS(300)

static enum MHD_Result answer_home(request *r) {
    return request_send_page(r, PAGE_HOME);
}
static enum MHD_Result answer_catalog(request *r) {
    return request_send_page(r, PAGE_CATALOG);
}
static enum MHD_Result answer_products(request *r) {
    return request_send_page(r, PAGE_PRODUCTS);
}
static enum MHD_Result answer_featured(request *r) {
    return request_send_page(r, PAGE_FEATURED);
}
static enum MHD_Result answer_gzip(request *r) {
    return request_send_page(r, PAGE_GZIP);
}
static enum MHD_Result answer_deflate(request *r) {
    return request_send_page(r, PAGE_DEFLATE);
}

/* The part of the path that the route leaves open, as a number. */
static bool arg_number(const request *r, uint64_t max, uint64_t *number) {
    return gr_str_u64(gr_str_c(r->arg), number) && *number <= max;
}

/* A session cookie is "NAME.CHECK": the check stands in for a table of sessions, which thousands of
 * users logging in again and again would let grow without end. Not for secrets. */
static uint64_t session_check(const shop *s, const char *name, size_t name_n) {
    return gr_str_hash((gr_str){name, name_n}, s->session_key);
}

static bool session_name_ok(const char *name) {
    size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-@.");
    return n > 0 && n <= SESSION_NAME_MAX && name[n] == '\0';
}

static enum MHD_Result answer_login(request *r) {
    if (!r->post) return request_send_error(r, 400, "not a form");
    const char *name = request_field(r, "username"), *password = request_field(r, "password");
    if (!name || !password || !session_name_ok(name))
        return request_send_error(r, 400, "username and password are needed");
    if (strcmp(password, "secret") != 0) return request_send_error(r, 401, "wrong password");

    char cookie[SESSION_NAME_MAX + 64];
    snprintf(cookie, sizeof cookie, "session=%s.%016" PRIx64 "; Path=/; HttpOnly", name,
             session_check(r->shop, name, strlen(name)));
    struct MHD_Response *response = response_json(json_pack("{s:s}", "username", name));
    if (response) response_header(response, MHD_HTTP_HEADER_SET_COOKIE, cookie);
    return request_send(r, MHD_HTTP_OK, response);
}

static enum MHD_Result answer_account(request *r) {
    const char *cookie = MHD_lookup_connection_value(r->conn, MHD_COOKIE_KIND, "session");
    const char *dot = cookie ? strrchr(cookie, '.') : NULL;
    char check[17] = "";
    if (dot)
        snprintf(check, sizeof check, "%016" PRIx64,
                 session_check(r->shop, cookie, (size_t)(dot - cookie)));
    if (!dot || strcmp(dot + 1, check) != 0) return request_send_error(r, 401, "not logged in");
    json_t *name = json_stringn(cookie, (size_t)(dot - cookie));
    return request_send(r, MHD_HTTP_OK, response_json(json_pack("{s:o}", "username", name)));
}

static enum MHD_Result answer_search(request *r) {
    const char *words = request_query(r, "q");
    if (!words) return request_send_error(r, 400, "q is missing");
    gr_buf b = GR_BUF_INIT;
    int rc = gr_buf_addc(&b, "{\"products\":[");
    for (unsigned id = 1, found = 0; id <= SHOP_PRODUCTS && rc == 0; id++) {
        if (!strcasestr(r->shop->products[id].name, words)) continue;
        if (found++ > 0) rc = gr_buf_add_byte(&b, ',');
        if (rc == 0) rc = shop_product_json(r->shop, id, &b);
    }
    if (rc == 0) rc = gr_buf_addc(&b, "]}");
    if (rc < 0) gr_buf_deinit(&b);
    return rc < 0 ? MHD_NO : request_send(r, MHD_HTTP_OK, response_buf("application/json", &b));
}

static enum MHD_Result answer_product(request *r) {
    uint64_t id;
    gr_buf b = GR_BUF_INIT;
    if (!arg_number(r, SHOP_PRODUCTS, &id) || id == 0)
        return request_send_error(r, 404, "no such product");
    if (id % 10 == 0) return request_send_error(r, 404, "sold out");
    if (shop_product_json(r->shop, (unsigned)id, &b) < 0) {
        gr_buf_deinit(&b);
        return MHD_NO;
    }
    return request_send(r, MHD_HTTP_OK, response_buf("application/json", &b));
}

static enum MHD_Result send_cart(request *r, uint64_t id, uint64_t quantity) {
    if (id == 0 || id > SHOP_PRODUCTS || quantity == 0 || quantity > 1000)
        return request_send_error(r, 400, "product_id is 1 to 100, quantity 1 to 1000");
    return request_send(r, MHD_HTTP_OK,
                        response_json(json_pack("{s:I,s:I}", "product_id", (json_int_t)id,
                                                "quantity", (json_int_t)quantity)));
}

static enum MHD_Result answer_cart_form(request *r) {
    uint64_t id, quantity = 1;
    if (!r->post) return request_send_error(r, 400, "not a form");
    const char *id_text = request_field(r, "product_id"), *n_text = request_field(r, "quantity");
    if (!id_text || !gr_str_u64(gr_str_c(id_text), &id) ||
        (n_text && !gr_str_u64(gr_str_c(n_text), &quantity)))
        return request_send_error(r, 400, "product_id or quantity is not a number");
    return send_cart(r, id, quantity);
}

/* The body as a JSON object, or NULL and an answer already given in `rc`. */
static json_t *body_object(request *r, enum MHD_Result *rc) {
    if (r->body_too_large) {
        *rc = request_send_error(r, 413, "body is larger than 1 MB");
        return NULL;
    }
    json_t *root = json_loadb(r->body.p ? r->body.p : "", r->body.n, 0, NULL);
    if (json_is_object(root)) return root;
    json_decref(root);
    *rc = request_send_error(r, 400, "body is not a JSON object");
    return NULL;
}

static enum MHD_Result answer_cart(request *r) {
    enum MHD_Result rc;
    json_t *root = body_object(r, &rc);
    if (!root) return rc;
    json_t *quantity_json = json_object_get(root, "quantity");
    json_int_t id = json_integer_value(json_object_get(root, "product_id"));
    json_int_t quantity = quantity_json ? json_integer_value(quantity_json) : 1;
    json_decref(root);
    return send_cart(r, id < 0 ? 0 : (uint64_t)id, quantity < 0 ? 0 : (uint64_t)quantity);
}

/* Every fifth payment is declined. */
static enum MHD_Result answer_checkout(request *r) {
    enum MHD_Result rc;
    json_t *root = body_object(r, &rc);
    if (!root) return rc;
    json_decref(root);
    uint64_t order = ++r->shop->checkout_seq;
    if (order % 5 == 0) return request_send_error(r, 402, "payment declined");
    return request_send(r, MHD_HTTP_OK,
                        response_json(json_pack("{s:I}", "order_id", (json_int_t)order)));
}

static enum MHD_Result answer_upload(request *r) {
    const form *f = r->form;
    char id[32];
    if (f->file_bytes > REQUEST_FILE_BYTES_MAX)
        return request_send_error(r, 413, "file is larger than 1 MB");
    if (!r->post || !f->has_file) return request_send_error(r, 400, "no file in the form");
    snprintf(id, sizeof id, "up-%" PRIu64, ++r->shop->upload_seq);
    json_t *name = json_string(f->file_name);
    return request_send(r, MHD_HTTP_OK,
                        response_json(json_pack("{s:s,s:o*,s:I}", "upload_id", id, "file_name",
                                                name, "bytes", (json_int_t)f->file_bytes)));
}

/* Five answers in turn: good, an error, empty, not JSON, and good but slow. */
static enum MHD_Result answer_data(request *r) {
    static const char *const bodies[] = {
        "{\"items\":[{\"id\":1},{\"id\":2},{\"id\":3}]}",
        "{\"error\":\"backend is busy\"}",
        "{\"items\":[]}",
        "{\"items\":[{\"id\":1},",
        "{\"items\":[{\"id\":1}]}",
    };
    if (!r->waited) r->note = r->shop->data_seq++ % GR_LEN(bodies);
    if (r->note == GR_LEN(bodies) - 1 && !r->waited) return request_wait(r, DATA_SLOW_NS);
    return request_send(r, MHD_HTTP_OK, response_static("application/json", bodies[r->note]));
}

static enum MHD_Result send_delay(request *r) {
    char measured[24], text[48];
    gr_buf b = GR_BUF_INIT;
    gr_ns delay = gr_clock_ns() - r->received_at;
    snprintf(measured, sizeof measured, "%" PRIu64, delay);
    snprintf(text, sizeof text, "waited %" PRIu64 " us\n", delay / 1000);
    if (gr_buf_addc(&b, text) < 0) return MHD_NO;
    struct MHD_Response *response = response_buf("text/plain", &b);
    if (response) response_header(response, "X-Delay-Ns", measured);
    return request_send(r, MHD_HTTP_OK, response);
}

static enum MHD_Result answer_delay(request *r) {
    delay_dist dist;
    const char *text = request_query(r, "dist");
    if (r->waited) return send_delay(r);
    if (!text || delay_parse(text, &dist) < 0)
        return request_send_error(r, 400,
                                  "dist is const:T, exp:T, uniform:T,T, lognormal:T,SIGMA or "
                                  "bimodal:T,T,P; T is a number with ns, us, ms or s, up to 60s");
    return request_wait(r, delay_draw(&dist, &r->shop->rand));
}

static enum MHD_Result answer_status(request *r) {
    uint64_t status;
    if (!arg_number(r, SHOP_STATUS_MAX, &status) || status < 200)
        return request_send_error(r, 400, "status is 200 to 599");
    const char *reason = MHD_get_reason_phrase_for((unsigned)status);
    return request_send(r, (unsigned)status, response_static("text/plain", reason));
}

static ssize_t pattern_read(void *cls, uint64_t at, char *into, size_t n) {
    (void)cls;
    for (size_t i = 0; i < n; i++)
        into[i] = (char)('a' + (at + i) % 26);
    return (ssize_t)n;
}

static enum MHD_Result answer_bytes(request *r) {
    uint64_t n;
    struct MHD_Response *response;
    if (!arg_number(r, BYTES_MAX, &n)) return request_send_error(r, 400, "0 to 1073741824 bytes");
    if (n <= SHOP_PATTERN_MAX)
        response = MHD_create_response_from_buffer(n, r->shop->pattern, MHD_RESPMEM_PERSISTENT);
    else
        response = MHD_create_response_from_callback(n, SHOP_PATTERN_MAX, pattern_read, NULL, NULL);
    if (response)
        response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "application/octet-stream");
    return request_send(r, MHD_HTTP_OK, response);
}

/* Any bytes as a JSON string: UTF-8 if they are, otherwise one character a byte (Latin-1). */
static json_t *json_bytes(gr_str bytes) {
    json_t *text = json_stringn(bytes.p ? bytes.p : "", bytes.n);
    gr_buf b = GR_BUF_INIT;
    int rc = 0;
    if (text) return text;
    for (size_t i = 0; i < bytes.n && rc == 0; i++) {
        unsigned char c = (unsigned char)bytes.p[i];
        if (c >= 0x80) rc = gr_buf_add_byte(&b, (char)(0xc0 | c >> 6));
        if (rc == 0) rc = gr_buf_add_byte(&b, (char)(c >= 0x80 ? 0x80 | (c & 0x3f) : c));
    }
    if (rc == 0) text = json_stringn(b.p, b.n);
    gr_buf_deinit(&b);
    return text;
}

static enum MHD_Result add_pair(void *cls, enum MHD_ValueKind kind, const char *name,
                                const char *value) {
    json_t *pairs = cls;
    (void)kind;
    json_array_append_new(pairs, json_pack("[o,o]", json_bytes(gr_str_c(name)),
                                           json_bytes(gr_str_c(value ? value : ""))));
    return MHD_YES;
}

static json_t *pairs_json(const request *r, enum MHD_ValueKind kind) {
    json_t *pairs = json_array();
    if (pairs) MHD_get_connection_values(r->conn, kind, add_pair, pairs);
    return pairs;
}

/* Pairs are lists, not objects: names may come twice, and their order is worth seeing. */
static enum MHD_Result answer_echo(request *r) {
    if (r->body_too_large) return request_send_error(r, 413, "body is larger than 1 MB");
    json_t *root = json_pack(
        "{s:s,s:o,s:o,s:o,s:o,s:I}", "method", r->method, "path", json_bytes(gr_str_c(r->path)),
        "query", pairs_json(r, MHD_GET_ARGUMENT_KIND), "headers", pairs_json(r, MHD_HEADER_KIND),
        "body", json_bytes(gr_buf_str(&r->body)), "body_bytes", (json_int_t)r->body.n);
    return request_send(r, MHD_HTTP_OK, response_json(root));
}

/* /redirect/3 leads to /redirect/2 and so on; /redirect/0 is the end. ?status= chooses the code. */
static enum MHD_Result answer_redirect(request *r) {
    uint64_t left, status = 302;
    char location[64];
    const char *status_text = request_query(r, "status");
    if (!arg_number(r, 1000, &left)) return request_send_error(r, 400, "0 to 1000 redirects");
    if (status_text && (!gr_str_u64(gr_str_c(status_text), &status) || status < 301 ||
                        status > 308 || (status > 303 && status < 307)))
        return request_send_error(r, 400, "status is 301, 302, 303, 307 or 308");
    if (left == 0) return request_send(r, MHD_HTTP_OK, response_static("text/plain", "arrived\n"));
    int n = snprintf(location, sizeof location, "/redirect/%" PRIu64, left - 1);
    if (status_text)
        snprintf(location + n, sizeof location - (size_t)n, "?status=%" PRIu64, status);
    struct MHD_Response *response = response_static("text/plain", "further on\n");
    if (response) response_header(response, MHD_HTTP_HEADER_LOCATION, location);
    return request_send(r, (unsigned)status, response);
}

static enum MHD_Result add_cookie(void *cls, enum MHD_ValueKind kind, const char *name,
                                  const char *value) {
    char cookie[512];
    (void)kind;
    int n = snprintf(cookie, sizeof cookie, "%s=%s; Path=/", name, value ? value : "");
    if (n < 0 || (size_t)n >= sizeof cookie || strpbrk(name, "=;, ") ||
        (value && strchr(value, ';')))
        return MHD_NO;
    return response_header(cls, MHD_HTTP_HEADER_SET_COOKIE, cookie) ? MHD_YES : MHD_NO;
}

static enum MHD_Result answer_set_cookie(request *r) {
    struct MHD_Response *response = response_static("text/plain", "set\n");
    int asked = MHD_get_connection_values(r->conn, MHD_GET_ARGUMENT_KIND, NULL, NULL);
    if (!response) return MHD_NO;
    /* Counts the pairs until one is refused. */
    int set = MHD_get_connection_values(r->conn, MHD_GET_ARGUMENT_KIND, add_cookie, response);
    if (set == asked && MHD_get_response_headers(response, NULL, NULL) == asked + 1)
        return request_send(r, MHD_HTTP_OK, response);
    MHD_destroy_response(response);
    return request_send_error(r, 400, "not a valid cookie");
}

static json_t *route_counts(const shop *s, size_t route_index) {
    json_t *by_status = json_object();
    for (size_t status = 0; status <= SHOP_STATUS_MAX; status++) {
        char key[8];
        if (s->counts[route_index][status] == 0) continue;
        snprintf(key, sizeof key, "%zu", status);
        json_object_set_new(by_status, key,
                            json_integer((json_int_t)s->counts[route_index][status]));
    }
    return by_status;
}

static enum MHD_Result answer_counts(request *r) {
    const shop *s = r->shop;
    json_t *routes = json_object();
    for (size_t i = 0; i < shop_routes_n; i++) {
        char key[64];
        json_t *counts = route_counts(s, i);
        snprintf(key, sizeof key, "%s %s", shop_routes[i].method, shop_routes[i].path);
        if (json_object_size(counts) > 0) json_object_set(routes, key, counts);
        json_decref(counts);
    }
    return request_send(
        r, MHD_HTTP_OK,
        response_json(json_pack("{s:I,s:I,s:o}", "requests", (json_int_t)s->requests, "connections",
                                (json_int_t)s->accepted, "routes", routes)));
}

static enum MHD_Result answer_other(request *r) {
    return request_send_error(r, 404, "no such page, or not with this method");
}

const route shop_routes[] = {
    {"GET", "/", INPUT_NONE, answer_home, false},
    {"POST", "/login", INPUT_FORM, answer_login, false},
    {"GET", "/account", INPUT_NONE, answer_account, false},
    {"GET", "/catalog", INPUT_NONE, answer_catalog, false},
    {"GET", "/search", INPUT_NONE, answer_search, false},
    {"GET", "/products", INPUT_NONE, answer_products, false},
    {"GET", "/products/featured", INPUT_NONE, answer_featured, false},
    {"GET", "/products/ID", INPUT_NONE, answer_product, false},
    {"POST", "/cart/add", INPUT_FORM, answer_cart_form, false},
    {"POST", "/cart", INPUT_BODY, answer_cart, false},
    {"POST", "/checkout", INPUT_BODY, answer_checkout, false},
    {"POST", "/upload", INPUT_FORM, answer_upload, false},
    {"GET", "/api/data", INPUT_NONE, answer_data, false},
    {"GET", "/delay", INPUT_NONE, answer_delay, false},
    {"ANY", "/status/CODE", INPUT_NONE, answer_status, false},
    {"GET", "/bytes/N", INPUT_NONE, answer_bytes, false},
    {"ANY", "/echo", INPUT_BODY, answer_echo, false},
    {"ANY", "/redirect/N", INPUT_NONE, answer_redirect, false},
    {"GET", "/set-cookie", INPUT_NONE, answer_set_cookie, false},
    {"GET", "/gzip", INPUT_NONE, answer_gzip, false},
    {"GET", "/deflate", INPUT_NONE, answer_deflate, false},
    {"GET", "/__counts", INPUT_NONE, answer_counts, true},
    {"ANY", "*", INPUT_NONE, answer_other, false},
};
const size_t shop_routes_n = GR_LEN(shop_routes);

static bool method_fits(const char *of_route, const char *method) {
    return strcmp(of_route, "ANY") == 0 || strcmp(of_route, method) == 0 ||
           (strcmp(of_route, "GET") == 0 && strcmp(method, "HEAD") == 0);
}

/* `arg` is set when the route's last part is open: it is the only part written in capitals. */
static bool path_fits(const char *of_route, const char *path, const char **arg) {
    const char *open_part = strrchr(of_route, '/');
    if (!open_part || open_part[1] < 'A' || open_part[1] > 'Z') return strcmp(of_route, path) == 0;
    size_t n = (size_t)(open_part + 1 - of_route);
    if (strncmp(of_route, path, n) != 0 || path[n] == '\0' || strchr(path + n, '/')) return false;
    *arg = path + n;
    return true;
}

const route *shop_route_find(const char *method, const char *path, const char **arg) {
    for (size_t i = 0; i + 1 < shop_routes_n; i++)
        if (method_fits(shop_routes[i].method, method) && path_fits(shop_routes[i].path, path, arg))
            return &shop_routes[i];
    return &shop_routes[shop_routes_n - 1];
}
