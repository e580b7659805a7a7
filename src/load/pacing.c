/* See pacing.h. Settings are seconds as the user wrote them; from here on everything is integer
 * nanoseconds, so a schedule does not drift however long it runs. */
#include "load/pacing.h"

#define WAIT_NS_MAX ((gr_ns)1 << 62) /* 146 years: adding it to a clock reading cannot overflow */

static double sane(double seconds) { /* false for NaN as well */
    return seconds > 0 ? seconds : 0;
}

static gr_ns to_ns(double seconds) {
    double ns = seconds * 1e9;
    return ns < (double)WAIT_NS_MAX ? (gr_ns)(ns + 0.5) : WAIT_NS_MAX;
}

void gr_pacing_init(gr_pacing *p, gr_ns now) {
    *p = (gr_pacing){.last_call_at = now};
}

/* Locust: run = now - last_call - last_wait; wait = max(0, period - run). That is: the last start
 * that was planned, plus the period, is when the next one is due. */
static gr_ns pace(gr_pacing *p, gr_ns period, gr_ns now) {
    gr_ns due = p->last_call_at + p->last_wait_ns + period;
    gr_ns wait = due > now ? GR_MIN(due - now, WAIT_NS_MAX) : 0;
    p->last_call_at = now;
    p->last_wait_ns = wait;
    p->due_at = due;
    return wait;
}

gr_ns gr_pacing_next(gr_pacing *p, const gr_wait *w, gr_rand *r, gr_ns now) {
    double a = sane(w->a), b = sane(w->b);
    gr_ns wait = 0;
    switch (w->kind) {
    case GR_WAIT_NONE: break;
    case GR_WAIT_CONSTANT: wait = to_ns(a); break;
    case GR_WAIT_BETWEEN: wait = to_ns(a + gr_rand_unit(r) * (b - a)); break;
    case GR_WAIT_PACING: return pace(p, to_ns(a), now);
    }
    p->due_at = now + wait;
    return wait;
}
