/* How the generator itself is doing: its CPU time and memory every ten seconds, and whether the load
 * thread still answers. A ping that is not answered is never sent again, so a load thread that hangs finds one order
 * when it comes back, not thousands. */
#include "control/control_int.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"

#include <inttypes.h>
#include <sys/resource.h>

#define PING_INTERVAL_MS    100
#define USAGE_INTERVAL_MS   10000 /* Locust's CPU_MONITOR_INTERVAL */
#define CPU_WARNING_PERCENT 90    /* Locust's CPU_WARNING_THRESHOLD */
#define HANG_NS             GR_S(5)

static gr_ns span_of(struct timeval t) {
    return GR_S(t.tv_sec) + GR_US(t.tv_usec);
}

static gr_ns cpu_time(void) { /* user and system, of all threads */
    struct rusage usage;
    if (getrusage(RUSAGE_SELF, &usage) != 0) return 0;
    return span_of(usage.ru_utime) + span_of(usage.ru_stime);
}

/* Since the last call, in percent of one core. */
static double cpu_percent(gr__monitor *m) {
    gr_ns now = gr_clock_ns(), cpu_ns = cpu_time();
    gr_ns wall = now - m->measured_at, used = cpu_ns > m->cpu_ns ? cpu_ns - m->cpu_ns : 0;
    m->measured_at = now;
    m->cpu_ns = cpu_ns;
    return wall > 0 ? (double)used * 100 / (double)wall : 0;
}

static void on_usage_timer(uv_timer_t *t) {
    gr_control *c = t->data;
    size_t resident = 0;
    double percent = cpu_percent(&c->monitor);
    bool high = percent > CPU_WARNING_PERCENT;
    if (high && !c->monitor.cpu_warned) {
        c->monitor.cpu_warned = true;
        gr_log(GR_LOG_WARNING, "root",
               "CPU usage above %d%%! This may constrain your throughput and may even give "
               "inconsistent response time measurements! See "
               "https://docs.locust.io/en/stable/running-distributed.html for how to distribute "
               "the load over multiple CPU cores or machines",
               CPU_WARNING_PERCENT);
    }
    gr_order *o = gr_order_new(GR_ORDER_USAGE);
    if (!o) return;
    (void)uv_resident_set_memory(&resident); /* 0 when the system does not tell */
    o->cpu_percent = percent;
    o->cpu_warning = high;
    o->memory_bytes = resident;
    gr_mailbox_post(c->orders, &o->mail);
}

static void warn_of_hang(gr__monitor *m, gr_ns waited) {
    if (waited <= HANG_NS || m->hang_warned) return;
    m->hang_warned = true;
    gr_log(GR_LOG_WARNING, "locust.runners",
           "The load thread has not answered for %" PRIu64
           " s: a task keeps the CPU without giving way, so every other user waits for it",
           waited / GR_S(1));
}

static void on_ping_timer(uv_timer_t *t) {
    gr_control *c = t->data;
    gr__monitor *m = &c->monitor;
    if (m->ping_outstanding) {
        warn_of_hang(m, gr_clock_ns() - m->ping_sent_at);
        return;
    }
    gr_order *o = gr_order_new(GR_ORDER_PING);
    if (!o) return;
    m->ping_outstanding = true;
    m->ping_sent_at = o->sent_at = gr_clock_ns();
    gr_mailbox_post(c->orders, &o->mail);
}

void gr__monitor_on_pong(gr_control *c) {
    c->monitor.ping_outstanding = c->monitor.hang_warned = false;
}

void gr__monitor_init(gr_control *c) {
    gr__monitor *m = &c->monitor;
    uv_timer_init(gr_loop_uv(c->loop), &m->ping);
    uv_timer_init(gr_loop_uv(c->loop), &m->usage);
    m->ping.data = m->usage.data = c;
    (void)cpu_percent(m);
    uv_timer_start(&m->usage, on_usage_timer, USAGE_INTERVAL_MS, USAGE_INTERVAL_MS);
}

/* Pings wait for the first test, because a program may load for long before its loop runs. */
void gr__monitor_test_started(gr_control *c) {
    c->monitor.cpu_warned = false;
    uv_timer_start(&c->monitor.ping, on_ping_timer, 0, PING_INTERVAL_MS);
}

void gr__monitor_stop(gr_control *c) {
    uv_timer_stop(&c->monitor.ping);
    uv_timer_stop(&c->monitor.usage);
}
