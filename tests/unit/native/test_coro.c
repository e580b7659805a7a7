/* Coroutines: order of execution, stacks given back and reused, guard page, abandoning. */
#include "test.h"

#include "native/coro.c"

#include <signal.h>
#include <stdio.h>

typedef struct walker {
    gr_coro co;
    int steps, limit;
    double sum; /* callee-saved state and the FPU survive switches */
    char text[64];
} walker;

static void walk(void *arg) {
    walker *w = arg;
    for (int i = 0; i < w->limit; i++) {
        w->steps++;
        w->sum += 0.5;
        snprintf(w->text, sizeof w->text, "%d:%.1f", i, w->sum);
        gr_coro_park(&w->co);
    }
}

TEST(runs_until_it_parks_and_ends_when_its_function_returns) {
    gr_stacks stacks;
    gr_stacks_init(&stacks);
    walker w = {.limit = 2};
    CHECK_EQ(gr_coro_start(&w.co, &stacks, walk, &w), 0);
    CHECK_EQ(w.steps, 0);
    gr_coro_resume(&w.co);
    CHECK_EQ(w.steps, 1);
    CHECK_EQ(w.co.state, GR_CORO_PARKED);
    gr_coro_resume(&w.co);
    CHECK_STR(gr_str_c(w.text), "1:1.0");
    gr_coro_resume(&w.co);
    CHECK_EQ(w.steps, 2);
    CHECK_EQ(w.co.state, GR_CORO_OVER);
    gr_coro_stop(&w.co);
    gr_coro_stop(&w.co);
    CHECK_EQ(w.co.state, GR_CORO_NONE);
    gr_stacks_deinit(&stacks);
}

TEST(many_coroutines_keep_their_own_locals) {
    enum { N = 200 };
    static walker w[N];
    gr_stacks stacks;
    gr_stacks_init(&stacks);
    for (int i = 0; i < N; i++) {
        w[i].limit = 1 + i % 7;
        CHECK_EQ(gr_coro_start(&w[i].co, &stacks, walk, &w[i]), 0);
    }
    for (int round = 0; round < 8; round++)
        for (int i = 0; i < N; i++)
            if (w[i].co.state != GR_CORO_OVER) gr_coro_resume(&w[i].co);
    for (int i = 0; i < N; i++) {
        CHECK_EQ(w[i].co.state, GR_CORO_OVER);
        CHECK_EQ(w[i].steps, w[i].limit);
        CHECK(w[i].sum == 0.5 * w[i].limit);
        gr_coro_stop(&w[i].co);
    }
    gr_stacks_deinit(&stacks);
}

TEST(a_parked_coroutine_can_be_abandoned_and_its_stack_used_again) {
    gr_stacks stacks;
    gr_stacks_init(&stacks);
    walker w = {.limit = 1000};
    gr_stack *first = NULL;
    for (int round = 0; round < 50; round++) {
        CHECK_EQ(gr_coro_start(&w.co, &stacks, walk, &w), 0);
        if (!first) first = w.co.stack;
        if (!GR_NO_POOLS) CHECK(w.co.stack == first);
        gr_coro_resume(&w.co);
        gr_coro_resume(&w.co);
        gr_coro_stop(&w.co);
    }
    CHECK_EQ(w.steps, 100);
    gr_stacks_deinit(&stacks);
}

static void nest(void *arg) {
    walker inner = {.limit = 1};
    gr_stacks *stacks = arg;
    CHECK_EQ(gr_coro_start(&inner.co, stacks, walk, &inner), 0);
    gr_coro_resume(&inner.co);
    gr_coro_resume(&inner.co);
    CHECK_EQ(inner.co.state, GR_CORO_OVER);
    gr_coro_stop(&inner.co);
}

TEST(a_coroutine_may_run_another_one) {
    gr_stacks stacks;
    gr_stacks_init(&stacks);
    gr_coro co = {0};
    CHECK_EQ(gr_coro_start(&co, &stacks, nest, &stacks), 0);
    gr_coro_resume(&co);
    CHECK_EQ(co.state, GR_CORO_OVER);
    gr_coro_stop(&co);
    gr_stacks_deinit(&stacks);
}

TEST(starting_uses_no_heap) {
    gr_stacks stacks;
    gr_stacks_init(&stacks);
    walker w = {.limit = 1};
    uint64_t before = gr__alloc_calls();
    CHECK_EQ(gr_coro_start(&w.co, &stacks, walk, &w), 0);
    gr_coro_resume(&w.co);
    gr_coro_stop(&w.co);
    CHECK_EQ(gr__alloc_calls(), before);
    gr_stacks_deinit(&stacks);
}

static void write_below(void *arg) {
    volatile char *bottom = arg;
    bottom[-1] = 1;
}

Test(unit, below_the_stack_lies_a_page_that_faults, .signal = SIGSEGV, .timeout = 20) {
    signal(SIGSEGV, SIG_DFL); /* ASan would report the fault itself */
    gr_stacks stacks;
    gr_stacks_init(&stacks);
    gr_coro co = {0};
    CHECK_EQ(gr_coro_start(&co, &stacks, write_below, NULL), 0);
    co.arg = stack_bottom(&stacks, co.stack);
    gr_coro_resume(&co);
}
