/* CPU and memory figures, pings, and the warnings that follow from them. */
#include "test.h"

#include "control/monitor.c"

#include <stdio.h>

/* A gr_control of the test's own thread: no timer has to be waited for. */
typedef struct fixture {
    gr_control c;
    gr_order *last; /* owned */
    unsigned orders, warnings;
    char warning[512];
} fixture;

static void on_mail(void *ctx, gr_mail *m) {
    fixture *f = ctx;
    gr_order_free(f->last);
    f->last = GR_CONTAINER(m, gr_order, mail);
    f->orders++;
}

static void drop(void *ctx, gr_mail *m) {
    (void)ctx;
    gr_order_free(GR_CONTAINER(m, gr_order, mail));
}

static void on_log(void *ctx, gr_log_level level, const char *logger, const char *text) {
    fixture *f = ctx;
    CHECK_EQ(level, GR_LOG_WARNING);
    snprintf(f->warning, sizeof f->warning, "%s: %s", logger, text);
    f->warnings++;
}

static fixture *start(void) {
    fixture *f = gr_calloc(1, sizeof *f);
    CHECK(f && gr_loop_new(&f->c.loop) == 0);
    CHECK_EQ(gr_mailbox_open(&f->c.orders, gr_loop_uv(f->c.loop), on_mail, f), 0);
    gr__monitor_init(&f->c);
    gr_log_set_thread_sink(on_log, f);
    return f;
}

static void receive(fixture *f) {
    unsigned before = f->orders;
    for (int i = 0; i < 1000 && f->orders == before; i++)
        (void)gr_loop_poll(f->c.loop);
}

static void finish(fixture *f) {
    gr__monitor_stop(&f->c);
    gr_mailbox_close(f->c.orders, drop);
    uv_close((uv_handle_t *)&f->c.monitor.ping, NULL);
    uv_close((uv_handle_t *)&f->c.monitor.usage, NULL);
    gr_loop_free(f->c.loop);
    gr_order_free(f->last);
    gr_log_set_thread_sink(NULL, NULL);
    gr_free(f);
}

TEST(usage_is_reported) {
    fixture *f = start();
    on_usage_timer(&f->c.monitor.usage);
    receive(f);
    CHECK(f->last && f->last->kind == GR_ORDER_USAGE);
    CHECK(f->last->cpu_percent >= 0);
    CHECK(f->last->memory_bytes > 100000);
    finish(f);
}

TEST(high_cpu_use_is_warned_of_once_a_test) {
    fixture *f = start();
    for (int i = 0; i < 3; i++) {
        f->c.monitor.measured_at = gr_clock_ns(); /* hardly any time for the CPU time since start */
        f->c.monitor.cpu_ns = 0;
        on_usage_timer(&f->c.monitor.usage);
        receive(f);
        CHECK(f->last && f->last->cpu_warning && f->last->cpu_percent > 90);
    }
    CHECK_EQ(f->warnings, 1);
    cr_assert_str_eq(
        f->warning,
        "root: CPU usage above 90%! This may constrain your throughput and may even give "
        "inconsistent response time measurements! See "
        "https://docs.locust.io/en/stable/running-distributed.html for how to distribute the load "
        "over multiple CPU cores or machines");
    gr__monitor_test_started(&f->c);
    f->c.monitor.measured_at = gr_clock_ns();
    f->c.monitor.cpu_ns = 0;
    on_usage_timer(&f->c.monitor.usage);
    CHECK_EQ(f->warnings, 2);
    finish(f);
}

TEST(an_idle_process_is_not_warned_of) {
    fixture *f = start();
    f->c.monitor.measured_at = gr_clock_ns() - GR_S(3600);
    on_usage_timer(&f->c.monitor.usage);
    receive(f);
    CHECK(f->last && !f->last->cpu_warning);
    CHECK_EQ(f->warnings, 0);
    finish(f);
}

TEST(one_ping_is_outstanding_and_a_hang_is_warned_of_once) {
    fixture *f = start();
    gr__monitor *m = &f->c.monitor;
    on_ping_timer(&m->ping);
    receive(f);
    CHECK(f->last && f->last->kind == GR_ORDER_PING);
    for (int i = 0; i < 3; i++)
        on_ping_timer(&m->ping);
    CHECK_EQ(f->warnings, 0);
    m->ping_sent_at -= GR_MS(7200);
    for (int i = 0; i < 3; i++)
        on_ping_timer(&m->ping);
    CHECK_EQ(f->warnings, 1);
    cr_assert_str_eq(f->warning,
                     "locust.runners: The load thread has not answered for 7 s: a task keeps the "
                     "CPU without giving way, so every other user waits for it");
    CHECK_EQ(f->orders, 1);
    gr__monitor_on_pong(&f->c);
    on_ping_timer(&m->ping);
    receive(f);
    CHECK_EQ(f->orders, 2);
    m->ping_sent_at -= GR_S(6);
    on_ping_timer(&m->ping);
    CHECK_EQ(f->warnings, 2);
    finish(f);
}

TEST(without_memory_an_order_is_left_out) {
    fixture *f = start();
    FAIL_ALLOC_AT(0) on_ping_timer(&f->c.monitor.ping);
    CHECK(!f->c.monitor.ping_outstanding);
    FAIL_ALLOC_AT(0) on_usage_timer(&f->c.monitor.usage);
    CHECK_EQ(f->orders, 0);
    on_ping_timer(&f->c.monitor.ping);
    receive(f);
    CHECK_EQ(f->orders, 1);
    finish(f);
}
