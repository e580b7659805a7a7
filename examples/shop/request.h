/* One request from its headers to its answer: what it brought (form fields or a body), waiting
 * without blocking, and answering. A route's answer function is called when everything has arrived
 * and, if it asked to wait, once more with `waited` set when the time has come. */
#ifndef SHOP_REQUEST_H
#define SHOP_REQUEST_H

#include "shop.h"

#include <jansson.h>

#define REQUEST_FIELDS_MAX      8
#define REQUEST_FIELD_BYTES_MAX 127
#define REQUEST_BODY_BYTES_MAX  (1u << 20)
#define REQUEST_FILE_BYTES_MAX  (1u << 20)

typedef struct request request;
typedef enum MHD_Result route_answer(request *r);

typedef enum { INPUT_NONE, INPUT_BODY, INPUT_FORM } request_input;

typedef struct route {
    const char *method; /* "ANY" takes all; "GET" takes HEAD too */
    const char *path;   /* a last part in capitals stands for any one part */
    request_input input;
    route_answer *answer;
    bool uncounted;
} route;

typedef struct form {
    struct {
        char name[32];
        char value[REQUEST_FIELD_BYTES_MAX + 1];
        size_t value_n;
    } fields[REQUEST_FIELDS_MAX];
    size_t fields_n;
    char file_name[64];
    uint64_t file_bytes;
    bool has_file;
} form;

struct request {
    shop *shop;
    struct MHD_Connection *conn;
    const route *route;
    size_t route_index; /* row of shop.counts */
    const char *method; /* the daemon's, as `path`: valid until the request ends */
    const char *path;
    const char *arg;   /* the part of the path that the route leaves open, or NULL */
    gr_ns received_at; /* the last byte had arrived; 0 before */
    uint64_t received_bytes;
    uint64_t note;                  /* whatever the route wants to remember while it waits */
    gr_buf body;                    /* INPUT_BODY */
    form *form;                     /* INPUT_FORM, NULL otherwise */
    struct MHD_PostProcessor *post; /* NULL when the content type is not a form's */
    bool body_too_large;
    bool waited;
};

request *request_new(shop *s, struct MHD_Connection *conn, const char *method, const char *path);
void request_free(request *r);

/* Take in a piece of what was uploaded. MHD_NO closes the connection. */
enum MHD_Result request_feed(request *r, const char *data, size_t n);

/* Let the answer function be called again in `delay` from when the request was complete. */
enum MHD_Result request_wait(request *r, gr_ns delay);
void request_wake(request *r);

const char *request_query(const request *r, const char *name); /* NULL when it is not there */
const char *request_field(const request *r, const char *name); /* of a form; NULL likewise */

/* Build a response; NULL when out of memory. What is handed over is freed in any case. */
struct MHD_Response *response_static(const char *type, const char *text);
struct MHD_Response *response_buf(const char *type, gr_buf *body);
struct MHD_Response *response_json(json_t *root);
/* An added header that cannot be sent is refused: false. */
bool response_header(struct MHD_Response *response, const char *name, const char *value);

/* Queue the response, count it and let go of it; NULL closes the connection. */
enum MHD_Result request_send(request *r, unsigned status, struct MHD_Response *response);
enum MHD_Result request_send_page(request *r, shop_page page);
enum MHD_Result request_send_error(request *r, unsigned status, const char *text);

/* routes.c */
extern const route shop_routes[];
extern const size_t shop_routes_n;
/* Never NULL: what nobody else takes goes to the last row. `arg` points into `path`. */
const route *shop_route_find(const char *method, const char *path, const char **arg);

#endif
