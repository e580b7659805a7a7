/* Gregaria's C API: load-test scenarios in C. This header is the only door.
 *
 *     #include <gregaria.h>
 *
 *     static void home(gr_user *u) {
 *         gr_get(u, "/");
 *     }
 *     GR_SCENARIO {
 *         gr_user_class *c = gr_class("Visitor");
 *         gr_wait_between(c, 1, 3);
 *         gr_add_task(c, 1, home);
 *     }
 *
 *     gregaria -f hello.c --headless -u 100 -r 10 -t 10s -H http://127.0.0.1:8000
 *
 * The program compiles hello.c and loads it; a .so that you built yourself is loaded as it is
 * (cc -shared -fPIC -I<prefix>/include hello.c -o hello.so).
 *
 * Every user runs your functions top to bottom on a small stack of its own (64 KB), and all users
 * share one thread: what blocks (sleep, your own sockets) stops them all, so wait with gr_sleep.
 * Functions that take a gr_user must be called from that user's own callbacks.
 *
 * A request counts when the next one starts, at gr_sleep, or at the end of the task. Until then its
 * outcome may be decided with gr_fail or gr_pass; without them it has failed when there was no
 * complete response or the status is 400 or above. Failures are listed as
 *     404 Client Error: Not Found for url: /cart
 *     503 Server Error: Service Unavailable for url: /cart
 *     Connection refused
 * with the request's name in place of the URL, and the last form (the reason in words) when there
 * was no complete response.
 *
 * Strings are NUL-terminated and copied, unless said otherwise. */
#ifndef GREGARIA_H
#define GREGARIA_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#define GR_API __attribute__((visibility("default")))

/* Grows whenever a scenario built against an older header could misbehave. The program refuses a
 * .so of another version. */
#define GR_API_VERSION 1

typedef struct gr_user gr_user;             /* one simulated user */
typedef struct gr_user_class gr_user_class; /* what users of one kind do */
typedef struct gr_resp gr_resp;             /* the answer to a user's latest request */

typedef void gr_user_fn(gr_user *u);

/* ---- The scenario: a function that runs once, when the file is loaded. */

#define GR_SCENARIO                                                                                \
    GR_API extern const unsigned gr_scenario_version;                                              \
    const unsigned gr_scenario_version = GR_API_VERSION;                                           \
    GR_API void gr_scenario(void);                                                                 \
    void gr_scenario(void)

/* A new class of users; its name must be unique. Never returns NULL; what is wrong with a class is
 * said after the scenario function returned, and ends the program. */
GR_API gr_user_class *gr_class(const char *name);

/* Give the class a task; `weight` is relative to the class's other tasks (0: never chosen). */
GR_API void gr_add_task(gr_user_class *c, unsigned weight, gr_user_fn *task);

GR_API void gr_on_start(gr_user_class *c, gr_user_fn *fn); /* before a user's first task */
/* After its last task, however it ended. A user cut off by the stop timeout runs this too. */
GR_API void gr_on_stop(gr_user_class *c, gr_user_fn *fn);

/* Share of the users that this class gets: relative to other classes' weights (1 unless set), or a
 * fixed number of users, which are started first. */
GR_API void gr_weight(gr_user_class *c, double weight);
GR_API void gr_fixed_count(gr_user_class *c, unsigned count);

/* The wait between two tasks, in seconds; none unless set. Pacing starts tasks every so many
 * seconds, throughput so many times a second, when the tasks themselves are quick enough. */
GR_API void gr_wait_constant(gr_user_class *c, double seconds);
GR_API void gr_wait_between(gr_user_class *c, double min_seconds, double max_seconds);
GR_API void gr_wait_pacing(gr_user_class *c, double seconds);
GR_API void gr_wait_throughput(gr_user_class *c, double tasks_per_second);

/* Base URL for paths, "http://..." or "https://..."; the command line's --host overrides it. */
GR_API void gr_host(gr_user_class *c, const char *url);
/* "Name: value", sent with every request of this class; replaces a default one of that name.
 * Defaults: User-Agent, Accept and Accept-Encoding. */
GR_API void gr_default_header(gr_user_class *c, const char *line);
/* Seconds to connect, and of silence while sending or waiting for bytes: 60 each unless set;
 * 0: no limit. */
GR_API void gr_timeouts(gr_user_class *c, double connect_seconds, double read_seconds);
/* Certificates of https servers are verified unless this says 0. */
GR_API void gr_verify_tls(gr_user_class *c, int verify);

/* ---- Requests. They block this user only, and return when the response is complete, redirects
 * included. A kept connection that turns out closed is replaced once, unnoticed. Never NULL; without a complete response gr_status is 0 and gr_resp_error tells why.
 * The response and everything read from it lives until the user's next request.
 *
 * `url` is a path, to which the host is prepended, or an absolute URL. The name in the statistics
 * is the path with its query, unless the options have another. */

GR_API gr_resp *gr_get(gr_user *u, const char *url);
GR_API gr_resp *gr_post(gr_user *u, const char *url, const char *form); /* "a=1&b=2", as it is */
GR_API gr_resp *gr_post_json(gr_user *u, const char *url, const char *json);

/* What gr_send can do beyond them; zero means the default everywhere. Nothing is copied for longer
 * than the call. */
typedef struct gr_opts {
    const char *method;       /* GET, or POST when there is a body */
    const char *name;         /* in the statistics; such as "/item/[id]" */
    const char *headers;      /* "Name: value" lines separated by \n */
    const void *body;         /* sent as it is */
    size_t body_bytes;        /* 0: body is NUL-terminated */
    const char *content_type; /* none is sent unless set */
    double connect_timeout_s; /* < 0: no limit; 0: the class's */
    double read_timeout_s;
    int keep_redirects; /* 1: a redirect is an answer like others, and not followed */
} gr_opts;

GR_API gr_resp *gr_send(gr_user *u, const char *url, const gr_opts *opts);

/* ---- The answer. */

GR_API int gr_status(const gr_resp *r);             /* 0: no complete response */
GR_API const char *gr_resp_error(const gr_resp *r); /* NULL when there is a complete response */
GR_API const char *gr_body(gr_resp *r);             /* decoded; a NUL stands behind it */
GR_API size_t gr_body_bytes(const gr_resp *r);      /* without that NUL */
GR_API int gr_contains(const gr_resp *r, const char *text); /* 1: the body does */
/* First header of that name in any case, or NULL. */
GR_API const char *gr_resp_header(gr_resp *r, const char *name);
GR_API const char *gr_resp_url(gr_resp *r); /* after redirects */

/* Decide the outcome of the latest request, as long as it has not been counted; the last call
 * wins. */
GR_API void gr_fail(gr_user *u, const char *format, ...) __attribute__((format(printf, 2, 3)));
GR_API void gr_pass(gr_user *u);

/* Count something that was not sent through this API: `type` and `name` make the row; `error` is
 * NULL for a success. */
GR_API void gr_record(gr_user *u, const char *type, const char *name, double response_ms,
                      size_t bytes, const char *error);

/* ---- The user. */

GR_API void gr_sleep(gr_user *u, double seconds); /* other users go on */
/* This is the user's last task: it ends, and is not replaced, when the running callback returns. */
GR_API void gr_stop_user(gr_user *u);

/* A pointer of your own, NULL at first. A user that the stop timeout cuts off never returns from
 * the call it is in: free in on_stop what hangs on this pointer, not at the end of a task. */
GR_API void gr_set_data(gr_user *u, void *data);
GR_API void *gr_data(const gr_user *u);

GR_API unsigned gr_user_number(const gr_user *u);      /* 0, 1, 2, ... in order of start */
GR_API unsigned gr_random(gr_user *u, unsigned limit); /* 0 .. limit-1; 0 when limit is 0 */

#ifdef __cplusplus
}
#endif

#endif
