/* Timers, tasks and turns, blocking and embedded. No test depends on how long something takes, only
 * on the order of things. */
#include "test.h"
#include "net/loop.c"

#include "base/rand.h"

#include <poll.h>

#define ROUNDS_MAX 100000

static gr_loop *loop_new(void) {
    gr_loop *lp;
    CHECK_EQ(gr_loop_new(&lp), 0);
    return lp;
}

static void check_heap(const gr_loop *lp) {
    for (uint32_t i = 0; i < lp->heap_n; i++) {
        CHECK_EQ(lp->heap[i].t->slot, i + 1);
        CHECK(lp->heap[i].due_at == lp->heap[i].t->due_at);
        if (i) CHECK(lp->heap[(i - 1) / HEAP_WAYS].due_at <= lp->heap[i].due_at);
    }
}

static gr_ns fired[4096];
static unsigned fired_n;
static void note(gr_timer *t) {
    fired[fired_n++] = t->due_at;
}

TEST(heap_holds_under_random_use) {
    enum { TIMERS = 300 };
    static gr_timer t[TIMERS];
    gr_rand r;
    gr_rand_seed(&r, 7);
    gr_loop *lp = loop_new();
    gr_ns base = lp->now + GR_S(1000);
    for (unsigned i = 0; i < 20000; i++) {
        gr_timer *one = &t[gr_rand_below(&r, TIMERS)];
        one->cb = note;
        if (gr_rand_below(&r, 3))
            CHECK_EQ(gr_timer_start(lp, one, base + gr_rand_below(&r, 1000)), 0);
        else
            gr_timer_stop(lp, one);
        if (i % 97 == 0) check_heap(lp);
    }
    check_heap(lp);
    for (unsigned i = 0; i < TIMERS; i++)
        gr_timer_stop(lp, &t[i]);
    CHECK_EQ(lp->heap_n, 0);
    gr_loop_free(lp);
}

static gr_loop *the_loop;
static void note_and_stop(gr_timer *t) {
    note(t);
    gr_loop_stop(the_loop);
}

TEST(timers_fire_in_order_and_never_early) {
    static gr_timer t[64];
    gr_loop *lp = the_loop = loop_new();
    gr_ns base = gr_clock_ns();
    for (unsigned i = 0; i < 64; i++) {
        t[i].cb = i == 63 ? note_and_stop : note;
        CHECK_EQ(gr_timer_start(lp, &t[i],
                                base + GR_US(100) * ((i * 37) % 63) + (i == 63 ? GR_MS(20) : 0)),
                 0);
    }
    CHECK_EQ(gr_loop_run(lp), 0);
    CHECK_EQ(fired_n, 64);
    for (unsigned i = 1; i < fired_n; i++)
        CHECK(fired[i - 1] <= fired[i]);
    CHECK(gr_clock_ns() >= base + GR_MS(20));
    gr_loop_free(lp);
}

static void restart_in_the_past(gr_timer *t) {
    if (++fired_n < 1000) gr_timer_start(the_loop, t, 0);
}

TEST(timer_restarted_in_the_past_starves_nobody) {
    gr_timer a = {.cb = restart_in_the_past}, b = {.cb = note_and_stop};
    gr_loop *lp = the_loop = loop_new();
    gr_timer_start(lp, &a, 0);
    gr_timer_start(lp, &b, gr_clock_ns());
    CHECK_EQ(gr_loop_run(lp), 0);
    CHECK(fired_n < 1000);
    gr_timer_stop(lp, &a);
    gr_loop_free(lp);
}

static void stop_other(gr_timer *t) {
    fired_n++;
    gr_timer *other = (gr_timer *)t + 1;
    gr_timer_stop(the_loop, other);
    gr_loop_stop(the_loop);
}

TEST(timer_stopped_by_an_earlier_one_does_not_fire) {
    gr_timer t[2] = {{.cb = stop_other}, {.cb = note}};
    gr_loop *lp = the_loop = loop_new();
    gr_timer_start(lp, &t[0], 1);
    gr_timer_start(lp, &t[1], lp->now + 2);
    CHECK_EQ(gr_loop_run(lp), 0);
    CHECK_EQ(fired_n, 1);
    CHECK(!gr_timer_active(&t[1]));
    gr_loop_free(lp);
}

static unsigned tasks_run;
static void count_task(gr_task *t) {
    (void)t;
    tasks_run++;
}
static void defer_again(gr_task *t) {
    if (++tasks_run < 100) gr_loop_defer(the_loop, t);
}

TEST(tasks_run_once_and_can_be_cancelled) {
    gr_task a, b;
    gr_loop *lp = loop_new();
    gr_task_init(&a, count_task);
    gr_task_init(&b, count_task);
    gr_loop_defer(lp, &a);
    gr_loop_defer(lp, &a);
    gr_loop_defer(lp, &b);
    gr_task_cancel(&b);
    gr_task_cancel(&b);
    CHECK_EQ(tasks_run, 0);
    gr_loop_poll(lp);
    CHECK_EQ(tasks_run, 1);
    gr_loop_free(lp);
}

TEST(task_that_defers_itself_is_bounded_per_poll) {
    gr_task t;
    gr_loop *lp = the_loop = loop_new();
    gr_task_init(&t, defer_again);
    gr_loop_defer(lp, &t);
    CHECK_EQ(gr_loop_poll(lp), 0); /* there is more to do at once */
    CHECK(tasks_run < 100);
    for (unsigned i = 0; i < ROUNDS_MAX && tasks_run < 100; i++)
        gr_loop_poll(lp);
    CHECK_EQ(tasks_run, 100);
    CHECK(gr_loop_poll(lp) == UINT64_MAX);
    gr_loop_free(lp);
}

TEST(embedded_loop_wakes_its_watcher_for_timers) {
    gr_timer t = {.cb = note};
    gr_loop *lp = loop_new();
    gr_timer_start(lp, &t, gr_clock_ns() + GR_MS(3));
    for (unsigned i = 0; i < ROUNDS_MAX && fired_n == 0; i++) {
        gr_ns wait = gr_loop_poll(lp);
        if (fired_n || wait == 0) continue;
        struct pollfd pfd = {.fd = gr_loop_fd(lp), .events = POLLIN};
        int timeout = wait == UINT64_MAX ? 10000 : (int)(wait / GR_MS(1) + 1);
        int ready = poll(&pfd, 1, timeout);
        if (wait == UINT64_MAX) CHECK_EQ(ready, 1); /* the timer makes the descriptor readable */
    }
    CHECK_EQ(fired_n, 1);
    CHECK(gr_loop_poll(lp) == UINT64_MAX); /* and nothing stays readable */
    struct pollfd pfd = {.fd = gr_loop_fd(lp), .events = POLLIN};
    CHECK_EQ(poll(&pfd, 1, 0), 0);
    gr_loop_free(lp);
}

TEST(stop_before_run_returns_at_once) {
    gr_loop *lp = loop_new();
    gr_loop_stop(lp);
    CHECK_EQ(gr_loop_run(lp), 0);
    gr_loop_free(lp);
}

TEST(failed_allocations_are_survived) {
    gr_loop *lp = NULL;
    int rc = GR_E_NOMEM;
    for (uint64_t n = 0; rc == GR_E_NOMEM && n < 10; n++)
        FAIL_ALLOC_AT(n) rc = gr_loop_new(&lp);
    CHECK_EQ(rc, 0);
    gr_timer t[17] = {{.cb = note}};
    for (int i = 0; i < 16; i++) {
        t[i].cb = note;
        CHECK_EQ(gr_timer_start(lp, &t[i], lp->now + GR_S(100)), 0);
    }
    FAIL_ALLOC_AT(0) rc = gr_timer_start(lp, &t[16], lp->now + GR_S(100));
    CHECK_EQ(rc, GR_E_NOMEM);
    CHECK(!gr_timer_active(&t[16]));
    check_heap(lp);
    for (int i = 0; i < 16; i++)
        gr_timer_stop(lp, &t[i]);
    CHECK_EQ(gr__loop_tls_buffers(lp), 0);
    gr_loop_free(lp);
}
