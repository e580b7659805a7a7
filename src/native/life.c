/* The life of one user: on_start, tasks with waits between them, on_stop, each as the scenario's
 * plain functions on the user's own coroutine.
 *
 * A user that has something to wait for parks: it says what for (gr_park) and switches back to the
 * loop's stack, which does the work (user_turn) and later resumes it. So requests are sent,
 * received and judged on the loop's stack, whatever TLS needs of it, and a user's own stack stays
 * at one or two touched pages.
 *
 * What always holds: a parked user has exactly one thing that will resume it (its exchange or its
 * timer); a verdict is counted before its user parks again, so none outlives a turn of the loop and
 * the entry it points to is in the current delta; a user that ended is freed by a deferred task,
 * never under the feet of the callback that ended it. */
#include "native/native_int.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* How long on_stop may take once the end was asked for. Locust waits for ever. */
#define ON_STOP_MAX GR_S(10)

#define REASON_BYTES_MAX    100 /* of a server's reason phrase, in a failure's text */
#define FAIL_TEXT_BYTES_MAX 512

/* ---- The crew. */

int gr__crew_init(gr_crew *crew, gr_loop *loop) {
    int rc = gr_shard_init(&crew->shard);
    if (rc < 0) return rc;
    crew->loop = loop;
    gr_stacks_init(&crew->stacks);
    gr_rand_seed(&crew->rand, (uint64_t)gr_clock_wall_ns());
    gr_list_init(&crew->users);
    return 0;
}

void gr__crew_deinit(gr_crew *crew) {
    GR_CHECK(crew->users_n == 0);
    gr_stacks_deinit(&crew->stacks);
    gr_shard_deinit(&crew->shard);
}

gr_report *gr__crew_report(gr_crew *crew, gr_report_kind kind) {
    gr_report *r = gr_shard_hand_over(&crew->shard, kind);
    if (!r) return NULL;
    memset(crew->entries, 0, sizeof crew->entries); /* they went with the delta */
    r->user_count = crew->users_n;
    return r;
}

/* Names are mostly literals, so their address finds the entry again without hashing the text. */
gr_entry *gr__crew_entry(gr_crew *crew, gr_str method, gr_str name) {
    uintptr_t at = (uintptr_t)name.p;
    gr_entry **slot = &crew->entries[(at ^ (at >> 8)) % GR_NAME_CACHE_SLOTS];
    if (*slot && gr_str_eq((*slot)->name, name) && gr_str_eq((*slot)->method, method)) return *slot;
    gr_entry *e = gr_stats_entry(crew->shard.delta, method, name);
    if (e) *slot = e;
    return e;
}

/* ---- Judging and counting requests. */

/* Times of an exchange that ended now. What never happened has no time. */
static gr_sample sample_of(const gr_user *u) {
    const gr_exchange *x = &u->resp.x;
    gr_ns now = gr_clock_ns();
    gr_ns lag = x->started_at - x->due_at;
    if (x->last_byte_at) lag += now - x->last_byte_at;
    return (gr_sample){
        .response_ns = (int64_t)(now - x->started_at),
        .service_ns = x->last_byte_at ? (int64_t)x->service_ns : GR_TIME_NONE,
        .due_ns = (int64_t)(now - x->due_at),
        .lag_ns = (int64_t)lag,
        .bytes = x->response.body.n,
        .ended_at = gr_clock_stamp(now),
    };
}

/* Why there is no complete response; NULL when there is one. */
static const char *error_text(gr_resp *r) {
    gr_str copy;
    if (r->start_error) return gr_strerror(r->start_error);
    if (!r->x.error) return NULL;
    if (r->x.error_text.n && gr_arena_copy(&r->strings, gr_buf_str(&r->x.error_text), &copy) == 0)
        return copy.p;
    return gr_strerror(r->x.error);
}

static void judge(gr_user *u) {
    gr_resp *r = &u->resp;
    gr_verdict *v = &u->verdict;
    v->has_text = false;
    r->error_text = error_text(r);
    if (r->start_error) {
        v->failed = true;
        v->sample = (gr_sample){.response_ns = GR_TIME_NONE,
                                .service_ns = GR_TIME_NONE,
                                .due_ns = GR_TIME_NONE,
                                .lag_ns = GR_TIME_NONE,
                                .ended_at = gr_clock_stamp_now()};
    } else {
        v->failed = r->x.error != 0 || r->x.response.status >= 400;
        v->sample = sample_of(u);
    }
    v->entry = gr__crew_entry(u->crew, u->request->method, u->request_name);
    if (!v->entry)
        gr_log(GR_LOG_ERROR, "gregaria.native", "out of memory: a request is not counted");
}

/* "404 Client Error: Not Found for url: /x", or why there was no complete response. */
static size_t failure_text(const gr_user *u, char *text, size_t text_bytes) {
    const gr_exchange *x = &u->resp.x;
    gr_str name = u->verdict.entry->name;
    /* Asked through the public function for a reason: scenarios find the functions of api.c in the
     * program only if the linker takes that file from the archive, which needs a caller. */
    const char *error = gr_resp_error(&u->resp);
    int n;
    if (error) {
        n = snprintf(text, text_bytes, "%s", error);
    } else {
        char reason[REASON_BYTES_MAX];
        size_t reason_n = GR_MIN(x->response.reason.n, sizeof reason);
        for (size_t i = 0; i < reason_n; i++) {
            char c = x->response.reason.p[i];
            reason[i] = (char)(isprint((unsigned char)c) ? c : '?');
        }
        n = snprintf(text, text_bytes, "%u %s Error: %.*s for url: %.*s", x->response.status,
                     x->response.status < 500 ? "Client" : "Server", (int)reason_n, reason,
                     (int)GR_MIN(name.n, (size_t)FAIL_TEXT_BYTES_MAX), name.p);
    }
    return n < 0 ? 0 : GR_MIN((size_t)n, text_bytes - 1);
}

void gr__user_count(gr_user *u) {
    gr_verdict *v = &u->verdict;
    if (!v->entry) return;
    gr_stats *delta = u->crew->shard.delta;
    bool lost = gr_stats_record(delta, v->entry, &v->sample) < 0;
    if (v->failed) {
        char derived[FAIL_TEXT_BYTES_MAX];
        gr_str text = gr_buf_str(&u->fail_text);
        if (!v->has_text) text = (gr_str){derived, failure_text(u, derived, sizeof derived)};
        lost |= gr_stats_fail(delta, v->entry, text, v->sample.ended_at) < 0;
    }
    if (lost) gr_log(GR_LOG_ERROR, "gregaria.native", "out of memory: statistics are incomplete");
    v->entry = NULL;
}

/* ---- Inside the coroutine. */

/* A scenario that waits on behalf of another user would leave both on the wrong stack. */
static void park(gr_user *u, gr_park what_for) {
    if (u->coro.state != GR_CORO_RUNNING) {
        gr_log(GR_LOG_CRITICAL, "gregaria.native",
               "The scenario called a function for user %" PRIu32 " of class %s outside of that "
               "user's own callbacks: keep each gr_user to the callback that was given it",
               u->number, u->class->name.p);
        abort();
    }
    u->park = what_for;
    u->parks++;
    gr_coro_park(&u->coro);
}

gr_resp *gr__user_fetch(gr_user *u, gr_request *request, gr_str name, int refused) {
    gr__user_count(u);
    request->due_at = u->due_at;
    u->due_at = 0;
    u->request = request;
    u->request_name = name;
    u->resp.start_error = refused;
    park(u, GR_PARK_EXCHANGE);
    u->request = NULL;
    return &u->resp;
}

void gr__user_sleep(gr_user *u, gr_ns span_ns) {
    gr__user_count(u);
    u->park_until = gr_clock_ns() + span_ns;
    park(u, GR_PARK_TIMER);
}

static gr_user_fn *choose_task(gr_user *u) {
    const gr_user_class *c = u->class;
    if (c->tasks_n == 1) return c->tasks[0].fn;
    uint64_t ticket = gr_rand_below(&u->crew->rand, c->task_total);
    size_t i = 0;
    while (ticket >= c->tasks[i].below)
        i++;
    return c->tasks[i].fn;
}

/* Between two tasks. Without a wait, a user whose task parked has let the others run already. */
static void rest(gr_user *u, bool task_parked) {
    u->due_at = 0;
    if (u->class->wait.kind == GR_WAIT_NONE && task_parked) return;
    gr_ns now = gr_clock_ns();
    gr_ns wait = gr_pacing_next(&u->pacing, &u->class->wait, &u->crew->rand, now);
    u->phase = GR_USER_WAITING;
    u->park_until = now + wait;
    park(u, GR_PARK_TIMER);
    u->due_at = u->class->wait.kind == GR_WAIT_NONE ? 0 : u->pacing.due_at;
}

static void last_words(void *arg) {
    gr_user *u = arg;
    u->phase = GR_USER_STOPPING;
    u->due_at = 0;
    if (u->class->on_stop) u->class->on_stop(u);
    gr__user_count(u);
}

static bool goes_on(const gr_user *u) {
    return u->end == GR_END_NOT && !u->stop_self;
}

static void live(void *arg) {
    gr_user *u = arg;
    if (u->class->on_start) u->class->on_start(u);
    gr__user_count(u);
    while (goes_on(u)) {
        u->phase = GR_USER_IN_TASK;
        uint32_t parks = u->parks;
        choose_task(u)(u);
        gr__user_count(u);
        if (goes_on(u)) rest(u, u->parks != parks);
    }
    last_words(u);
}

/* ---- On the loop's stack. */

static void reap(gr_task *t) {
    gr_user *u = GR_CONTAINER(t, gr_user, reap);
    gr_crew *crew = u->crew;
    gr_user_class *c = u->class;
    gr_list_remove(&u->link);
    gr_exchange_deinit(&u->resp.x);
    gr_session_free(u->session);
    gr_arena_deinit(&u->resp.strings);
    gr_head_deinit(&u->head);
    gr_buf_deinit(&u->fail_text);
    gr_buf_deinit(&u->url);
    gr_free(u);
    crew->users_n--;
    crew->ended(crew->ctx, c);
}

static void user_gone(gr_user *u) {
    u->phase = GR_USER_ENDED;
    gr_timer_stop(u->crew->loop, &u->deadline);
    gr_coro_stop(&u->coro);
    gr_loop_defer(u->crew->loop, &u->reap);
}

/* What cannot even be started is delivered a turn later: a task that only ever sends bad URLs must
 * not keep the loop from turning. */
static int exchange_start(gr_user *u) {
    gr_arena_reset(&u->resp.strings);
    if (u->resp.start_error == 0)
        u->resp.start_error = gr_session_start(u->session, u->request, &u->resp.x);
    if (u->resp.start_error == 0) return 0;
    return gr_timer_start(u->crew->loop, &u->timer, gr_loop_now(u->crew->loop));
}

/* Let the user run until it parks or ends, and set about what it parked for. */
static void user_turn(gr_user *u) {
    int rc = 0;
    u->park = GR_PARK_NONE;
    gr_coro_resume(&u->coro);
    if (u->coro.state == GR_CORO_OVER) {
        user_gone(u);
        return;
    }
    switch (u->park) {
    case GR_PARK_NONE: GR_UNREACHABLE();
    case GR_PARK_EXCHANGE: rc = exchange_start(u); break;
    case GR_PARK_TIMER: rc = gr_timer_start(u->crew->loop, &u->timer, u->park_until); break;
    }
    if (rc < 0) { /* nothing would ever resume it */
        gr_log(GR_LOG_ERROR, "gregaria.native", "a user was ended: %s", gr_strerror(rc));
        user_gone(u);
    }
}

static void on_response(gr_exchange *x) {
    gr_user *u = GR_CONTAINER(x, gr_user, resp.x);
    judge(u);
    user_turn(u);
}

static void on_timer(gr_timer *t) {
    gr_user *u = GR_CONTAINER(t, gr_user, timer);
    if (u->park == GR_PARK_EXCHANGE) judge(u); /* see exchange_start */
    user_turn(u);
}

/* ---- The end that somebody asked for. */

static void press(gr_user *u, gr_end how, gr_ns patience_ns);

static void set_deadline(gr_user *u, gr_ns patience_ns) {
    gr_loop *loop = u->crew->loop;
    if (gr_timer_start(loop, &u->deadline, gr_clock_ns() + patience_ns) < 0)
        press(u, GR_END_DROP, 0); /* out of memory: rather now than never */
}

/* Nothing resumes the user any more; a request in flight counts as interrupted. */
static void unpark(gr_user *u) {
    gr_timer_stop(u->crew->loop, &u->timer);
    if (u->park == GR_PARK_EXCHANGE && u->resp.start_error == 0) {
        gr_exchange_cancel(&u->resp.x);
        gr_stats_interrupted(u->crew->shard.delta, 1);
    }
    u->park = GR_PARK_NONE;
}

/* The call in which the user is parked never returns; on_stop runs on a fresh coroutine. */
static void cut_off(gr_user *u) {
    unpark(u);
    gr_coro_stop(&u->coro);
    int rc = gr_coro_start(&u->coro, &u->crew->stacks, last_words, u);
    if (rc < 0) {
        gr_log(GR_LOG_ERROR, "gregaria.native", "a user ended without on_stop: %s",
               gr_strerror(rc));
        user_gone(u);
        return;
    }
    set_deadline(u, ON_STOP_MAX);
    if (u->phase != GR_USER_ENDED) user_turn(u);
}

static void press(gr_user *u, gr_end how, gr_ns patience_ns) {
    if (u->phase == GR_USER_ENDED || how <= u->end) return;
    u->end = how;
    if (how == GR_END_DROP) {
        unpark(u);
        user_gone(u);
        return;
    }
    switch (u->phase) {
    case GR_USER_STARTING:
    case GR_USER_IN_TASK:
        if (how == GR_END_AFTER_TASK)
            set_deadline(u, patience_ns);
        else
            cut_off(u);
        break;
    case GR_USER_WAITING: /* between tasks: nothing is lost by ending it now */
        unpark(u);
        set_deadline(u, ON_STOP_MAX);
        if (u->phase != GR_USER_ENDED) user_turn(u);
        break;
    case GR_USER_STOPPING: set_deadline(u, ON_STOP_MAX); break;
    case GR_USER_ENDED: break;
    }
}

void gr__user_end(gr_user *u, gr_ns patience_ns) {
    press(u, patience_ns ? GR_END_AFTER_TASK : GR_END_NOW, patience_ns);
}

static void on_deadline(gr_timer *t) {
    gr_user *u = GR_CONTAINER(t, gr_user, deadline);
    if (u->crew->late_n++ == 0)
        gr_log(GR_LOG_INFO, "locust.runners",
               "Not all users finished their tasks and ended in time. Stopping them...");
    press(u, u->phase == GR_USER_STOPPING ? GR_END_DROP : GR_END_NOW, 0);
}

/* ---- The beginning. */

static void user_init(gr_user *u, gr_crew *crew, gr_user_class *c) {
    u->crew = crew;
    u->class = c;
    u->phase = GR_USER_STARTING;
    u->timer.cb = on_timer;
    u->deadline.cb = on_deadline;
    u->head = GR_HEAD_INIT;
    u->url = u->fail_text = GR_BUF_INIT;
    u->resp.strings = GR_ARENA_INIT;
    gr_exchange_init(&u->resp.x);
    u->resp.x.done = on_response;
    gr_list_init(&u->link);
    gr_task_init(&u->reap, reap);
    gr_pacing_init(&u->pacing, gr_clock_ns());
}

int gr__user_start(gr_crew *crew, gr_user_class *c) {
    int rc;
    gr_user *u = gr_calloc(1, sizeof *u);
    if (!u) return GR_E_NOMEM;
    user_init(u, crew, c);
    if ((rc = gr_session_new(&u->session, crew->loop, &c->conf)) < 0) goto undo_user;
    if ((rc = gr_coro_start(&u->coro, &crew->stacks, live, u)) < 0) goto undo_session;
    u->number = crew->started++;
    gr_list_add_tail(&crew->users, &u->link);
    crew->users_n++;
    user_turn(u);
    return 0;
undo_session:
    gr_session_free(u->session);
undo_user:
    gr_exchange_deinit(&u->resp.x);
    gr_free(u);
    return rc;
}
