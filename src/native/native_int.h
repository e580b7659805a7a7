/* What the files of src/native share. One thread owns all of it. */
#ifndef GR_NATIVE_NATIVE_INT_H
#define GR_NATIVE_NATIVE_INT_H

#include "gregaria.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/rand.h"
#include "http/session.h"
#include "load/link.h"
#include "load/pacing.h"
#include "native/coro.h"
#include "net/loop.h"

/* ---- scenario.c */

typedef struct gr_native_task {
    gr_user_fn *fn;
    uint64_t below; /* chosen when the random number is below this and not below the one before */
} gr_native_task;

typedef struct gr_head_line {
    gr_str line, name; /* owned; name points into line */
} gr_head_line;

struct gr_user_class {
    gr_str name;           /* owned, NUL-terminated */
    gr_native_task *tasks; /* owned; task_total is the last one's `below` */
    size_t tasks_n, tasks_cap;
    uint64_t task_total;
    gr_wait wait;
    gr_user_fn *on_start, *on_stop; /* may be NULL */
    double weight;
    uint32_t fixed_count;
    gr_str host;         /* owned; without a slash at the end once the class is ready */
    gr_head_line *lines; /* owned: the default header lines */
    size_t lines_n, lines_cap;
    gr_head plain, form, json; /* the lines rendered: alone and with a Content-Type */
    gr_http_conf conf;         /* tls borrowed from the crew */
    bool verify_tls;
    uint32_t ordered; /* users that the dispatcher wants now */
};

typedef struct gr_scenario_set { /* zero, then gr__scenario_load */
    gr_user_class **classes;     /* owned, in order of definition */
    size_t n, cap;
    void **handles; /* of the shared objects; open as long as their functions may run */
    size_t handles_n;
    char why[512];         /* the first thing wrong with the scenario being defined; or empty */
    gr_user_class invalid; /* what gr_class returns when there is no new class to be had */
} gr_scenario_set;

/* Compile and load every file and run its scenario function. 0, or a negative code with one
 * sentence in `why` (compiler messages have gone to stderr before). Deinit in either case. */
int gr__scenario_load(gr_scenario_set *set, const gr_str *files, size_t files_n, gr_buf *why);
/* Drop the classes that are not named; `why` names the unknown ones. */
int gr__scenario_select(gr_scenario_set *set, const gr_str *names, size_t names_n, gr_buf *why);
/* Check the classes and render what is constant in their requests. `host` overrides theirs unless
 * empty. */
int gr__scenario_ready(gr_scenario_set *set, gr_str host, gr_buf *why);
void gr__scenario_deinit(gr_scenario_set *set);

/* Append a class's header lines to `head`, but for those that `headers` (lines separated by \n)
 * replaces, then `headers`, then the content type unless NULL. 0, GR_E_REQUEST_HEADER, _NOMEM. */
int gr__class_head(const gr_user_class *c, const char *headers, const char *content_type,
                   gr_head *head);

/* define.c's half: run one scenario function, and free what came of it. */
void gr__scenario_define(gr_scenario_set *set, void (*scenario)(void));
void gr__scenario_free_classes(gr_scenario_set *set);

gr_ns gr__seconds_ns(double seconds); /* 0 for NaN and negative ones; at most a century */

/* ---- life.c */

#define GR_NAME_CACHE_SLOTS 256

typedef struct gr_crew gr_crew;
typedef void gr_crew_cb(void *ctx, gr_user_class *c);

/* The users of one load thread and what they share. Zero, then gr__crew_init. */
struct gr_crew {
    gr_loop *loop; /* borrowed */
    gr_shard shard;
    gr_stacks stacks;
    gr_rand rand;
    gr_list users; /* living ones, in order of start */
    uint32_t users_n;
    uint32_t started;  /* so far */
    uint32_t late_n;   /* users that outlived the patience they were given */
    gr_crew_cb *ended; /* a user is gone, and its memory with it */
    void *ctx;
    gr_entry *entries[GR_NAME_CACHE_SLOTS]; /* by address of the name; entries of shard.delta */
};

int gr__crew_init(gr_crew *crew, gr_loop *loop); /* 0 or GR_E_NOMEM */
void gr__crew_deinit(gr_crew *crew);             /* no user may be alive */
/* Hand over the shard's delta. NULL: out of memory, try again later. */
gr_report *gr__crew_report(gr_crew *crew, gr_report_kind kind);

/* What a user is doing. It leaves each for a later one only, but for IN_TASK and WAITING. */
typedef enum {
    GR_USER_STARTING, /* on_start */
    GR_USER_IN_TASK,
    GR_USER_WAITING,  /* between tasks */
    GR_USER_STOPPING, /* on_stop */
    GR_USER_ENDED     /* freed at the end of this turn of the loop */
} gr_user_phase;

/* What a parked user is parked for. */
typedef enum { GR_PARK_NONE, GR_PARK_EXCHANGE, GR_PARK_TIMER } gr_park;

/* How a user is asked to end, each more pressing than the one before. */
typedef enum {
    GR_END_NOT,
    GR_END_AFTER_TASK, /* at once when it waits */
    GR_END_NOW,        /* cut the task off, run on_stop */
    GR_END_DROP        /* cut on_stop off as well */
} gr_end;

struct gr_resp {
    gr_exchange x;
    int start_error;        /* why it could not even be started; 0: it was */
    const char *error_text; /* NULL: a complete response; else in strings or static */
    gr_arena strings;       /* what accessors returned; emptied by the next request */
};

/* A finished request that is not counted yet, since its outcome may still be decided. */
typedef struct gr_verdict {
    gr_entry *entry; /* NULL: none */
    gr_sample sample;
    bool failed;
    bool has_text; /* in gr_user.fail_text; otherwise derived from the response */
} gr_verdict;

struct gr_user {
    gr_coro coro;
    gr_crew *crew;
    gr_user_class *class;
    gr_user_phase phase;
    gr_park park;
    gr_end end;
    uint32_t number;
    uint32_t parks; /* how often it gave way, wrapping: a task without any must not spin */
    bool stop_self; /* gr_stop_user */
    gr_ns park_until;
    gr_ns due_at; /* when the task's first request was due; 0: unknown, or used up */
    gr_resp resp;
    const gr_request *request; /* on the coroutine's stack while PARK_EXCHANGE */
    gr_str request_name;       /* row in the statistics */
    gr_verdict verdict;
    gr_session *session;
    gr_pacing pacing;
    gr_timer timer;    /* ends a wait or a sleep */
    gr_timer deadline; /* ends the patience with an end that was asked for */
    gr_buf url, fail_text;
    gr_head head; /* of a request with lines of its own */
    void *data;   /* the scenario's */
    gr_list link; /* crew.users */
    gr_task reap;
};

/* Create a user and run it until it first parks. 0, or a negative code: then there is none. */
int gr__user_start(gr_crew *crew, gr_user_class *c);
/* End a user; `patience_ns` is what a task under way may still take, 0: nothing. Loop's stack only;
 * asking again can only press harder. */
void gr__user_end(gr_user *u, gr_ns patience_ns);

/* For api.c, inside the user's coroutine. */
/* Park until the request is answered and judged. Sets due_at. A caller that could not make up the
 * request says why in `refused`: it counts as one that failed. */
gr_resp *gr__user_fetch(gr_user *u, gr_request *request, gr_str name, int refused);
void gr__user_sleep(gr_user *u, gr_ns span_ns);
void gr__user_count(gr_user *u);                                     /* count the verdict, if any */
gr_entry *gr__crew_entry(gr_crew *crew, gr_str method, gr_str name); /* NULL: out of memory */

#endif
