/* The loop: libuv's, with nanosecond timers and deferred tasks around it.
 *
 * Timers live in a 4-ary heap. Only the earliest one is known to the kernel, through one timerfd
 * that libuv polls like any socket: waits shorter than epoll's millisecond stay exact, and an outer
 * loop that watches gr_loop_fd wakes up for timers as well. The timerfd is set at most once a turn,
 * and only when the earliest deadline moved forward or the old one has passed: a timer that was
 * stopped costs one needless wake-up instead of a system call for each request.
 *
 * A turn is: deferred tasks, uv_run (sockets, closes), due timers, deferred tasks. It always holds
 * that every timer started during a turn is due after lp->now, so running the due ones ends. */
#include "net/loop_int.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/err.h"

#include <errno.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/timerfd.h>
#endif

#define HEAP_WAYS 4u

/* ---- timers ---- */

static void heap_place(gr_loop *lp, uint32_t i, gr_timer_slot entry) {
    lp->heap[i] = entry;
    entry.t->slot = i + 1;
}

static void heap_up(gr_loop *lp, uint32_t i, gr_timer_slot entry) {
    while (i > 0) {
        uint32_t parent = (i - 1) / HEAP_WAYS;
        if (lp->heap[parent].due_at <= entry.due_at) break;
        heap_place(lp, i, lp->heap[parent]);
        i = parent;
    }
    heap_place(lp, i, entry);
}

static void heap_down(gr_loop *lp, uint32_t i, gr_timer_slot entry) {
    for (;;) {
        uint32_t first = i * HEAP_WAYS + 1, best = first;
        if (first >= lp->heap_n) break;
        uint32_t end = GR_MIN(first + HEAP_WAYS, lp->heap_n);
        for (uint32_t child = first + 1; child < end; child++)
            if (lp->heap[child].due_at < lp->heap[best].due_at) best = child;
        if (entry.due_at <= lp->heap[best].due_at) break;
        heap_place(lp, i, lp->heap[best]);
        i = best;
    }
    heap_place(lp, i, entry);
}

static int heap_grow(gr_loop *lp) {
    uint32_t cap = lp->heap_cap ? lp->heap_cap * 2 : 16;
    gr_timer_slot *heap = gr_realloc(lp->heap, cap * sizeof *heap);
    if (!heap) return GR_E_NOMEM;
    lp->heap = heap;
    lp->heap_cap = cap;
    return 0;
}

int gr_timer_start(gr_loop *lp, gr_timer *t, gr_ns due_at) {
    if (due_at <= lp->now) due_at = lp->now + 1;
    if (!t->slot && lp->heap_n == lp->heap_cap) {
        int rc = heap_grow(lp);
        if (rc < 0) return rc;
    }
    gr_timer_slot entry = {due_at, t};
    uint32_t i = t->slot ? t->slot - 1 : lp->heap_n++;
    bool earlier = !t->slot || due_at < t->due_at;
    t->due_at = due_at;
    if (earlier)
        heap_up(lp, i, entry);
    else
        heap_down(lp, i, entry);
    return 0;
}

void gr_timer_stop(gr_loop *lp, gr_timer *t) {
    if (!t->slot) return;
    uint32_t i = t->slot - 1;
    GR_DCHECK(i < lp->heap_n && lp->heap[i].t == t);
    gr_timer_slot last = lp->heap[--lp->heap_n];
    t->slot = 0;
    if (last.t == t) return;
    if (i > 0 && last.due_at < lp->heap[(i - 1) / HEAP_WAYS].due_at)
        heap_up(lp, i, last);
    else
        heap_down(lp, i, last);
}

static bool timers_due(const gr_loop *lp, gr_ns now) {
    return lp->heap_n > 0 && lp->heap[0].due_at <= now;
}

static void run_timers(gr_loop *lp) {
    if (lp->heap_n == 0) return;
    gr_ns now = gr_clock_ns();
    lp->now = now;
    while (timers_due(lp, now)) {
        gr_timer *t = lp->heap[0].t;
        gr_timer_stop(lp, t);
        lp->work++;
        t->cb(t);
    }
}

#ifdef __linux__

static void on_kernel_timer(uv_poll_t *poll, int status, int events) {
    (void)status, (void)events;
    gr_loop *lp = GR_CONTAINER(poll, gr_loop, timer_poll);
    lp->armed_for = 0; /* set again before the loop blocks, which also makes it unreadable */
}

static void kernel_timer_set(gr_loop *lp, gr_ns due_at) {
    struct itimerspec at = {.it_value = {0, 0}};
    if (due_at != UINT64_MAX) {
        at.it_value.tv_sec = (time_t)(due_at / GR_S(1));
        at.it_value.tv_nsec = (long)(due_at % GR_S(1));
    }
    GR_CHECK(timerfd_settime(lp->timer_fd, TFD_TIMER_ABSTIME, &at, NULL) == 0);
}

static int kernel_timer_open(gr_loop *lp) {
    int rc;
    lp->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (lp->timer_fd < 0) return -errno;
    if ((rc = uv_poll_init(&lp->uv, &lp->timer_poll, lp->timer_fd)) < 0) goto undo_fd;
    /* Cannot fail: the descriptor was just registered. */
    GR_CHECK(uv_poll_start(&lp->timer_poll, UV_READABLE, on_kernel_timer) == 0);
    return 0;
undo_fd:
    close(lp->timer_fd);
    return rc;
}

static void kernel_timer_close(gr_loop *lp) {
    uv_close((uv_handle_t *)&lp->timer_poll, NULL);
    close(lp->timer_fd);
}

#else

static void on_kernel_timer(uv_timer_t *timer) {
    GR_CONTAINER(timer, gr_loop, timer)->armed_for = 0;
}

static void kernel_timer_set(gr_loop *lp, gr_ns due_at) {
    if (due_at == UINT64_MAX) {
        uv_timer_stop(&lp->timer);
        return;
    }
    gr_ns now = gr_clock_ns();
    uint64_t wait_ms = due_at > now ? (due_at - now + GR_MS(1) - 1) / GR_MS(1) : 0;
    uv_update_time(&lp->uv);
    uv_timer_start(&lp->timer, on_kernel_timer, wait_ms, 0);
}

/* The async handle is never sent: it keeps uv_run blocking when nothing else is open. */
static int kernel_timer_open(gr_loop *lp) {
    int rc = uv_async_init(&lp->uv, &lp->keep_alive, NULL);
    return rc < 0 ? rc : uv_timer_init(&lp->uv, &lp->timer);
}

static void kernel_timer_close(gr_loop *lp) {
    uv_close((uv_handle_t *)&lp->timer, NULL);
    uv_close((uv_handle_t *)&lp->keep_alive, NULL);
}

#endif

static void arm(gr_loop *lp) {
    gr_ns due_at = lp->heap_n ? lp->heap[0].due_at : UINT64_MAX;
    bool passed = lp->armed_for <= lp->now;
    if (!passed && due_at >= lp->armed_for) return;
    lp->armed_for = due_at;
    kernel_timer_set(lp, due_at);
}

/* ---- tasks ---- */

void gr_loop_defer(gr_loop *lp, gr_task *t) {
    if (!gr_list_linked(&t->link)) gr_list_add_tail(&lp->tasks, &t->link);
}

/* Runs those that are waiting now. What they defer themselves waits for the next call, so that a
 * chain of tasks cannot keep sockets waiting. */
static void run_tasks(gr_loop *lp) {
    if (gr_list_empty(&lp->tasks)) return;
    gr_list batch = lp->tasks, *first;
    batch.next->prev = batch.prev->next = &batch;
    gr_list_init(&lp->tasks);
    while ((first = gr_list_first(&batch))) {
        gr_task *t = GR_CONTAINER(first, gr_task, link);
        gr_list_remove(first);
        lp->work++;
        t->fn(t);
    }
}

/* ---- turns ---- */

static void turn(gr_loop *lp, uv_run_mode mode) {
    run_tasks(lp);
    arm(lp);
    bool may_block = gr_list_empty(&lp->tasks) && !lp->stopping;
    uv_run(&lp->uv, may_block ? mode : UV_RUN_NOWAIT);
    run_timers(lp);
    run_tasks(lp);
}

int gr_loop_run(gr_loop *lp) {
    GR_CHECK(!lp->running);
    lp->running = true;
    while (!lp->stopping) {
        lp->now = gr_clock_ns();
        turn(lp, UV_RUN_ONCE);
    }
    lp->stopping = lp->running = false;
    return 0;
}

void gr_loop_stop(gr_loop *lp) {
    lp->stopping = true;
}

int gr_loop_fd(const gr_loop *lp) {
    return uv_backend_fd(&lp->uv);
}

gr_ns gr_loop_poll(gr_loop *lp) {
    GR_CHECK(!lp->running);
    lp->running = true;
    uint64_t before = lp->work;
    turn(lp, UV_RUN_NOWAIT);
    lp->now = gr_clock_ns();
    arm(lp);
    lp->running = false;
    if (lp->work != before || !gr_list_empty(&lp->tasks) || timers_due(lp, lp->now)) return 0;
    int wait_ms = uv_backend_timeout(&lp->uv);
    return wait_ms < 0 ? UINT64_MAX : GR_MS(wait_ms);
}

uv_loop_t *gr_loop_uv(gr_loop *lp) {
    return &lp->uv;
}

gr_ns gr_loop_now(const gr_loop *lp) {
    return lp->now;
}

int gr__loop_tls_buffers(gr_loop *lp) {
    if (!lp->plain_buf) lp->plain_buf = gr_malloc(GR__RECORD_BYTES);
    if (!lp->gather_buf) lp->gather_buf = gr_malloc(GR__RECORD_BYTES);
    return lp->plain_buf && lp->gather_buf ? 0 : GR_E_NOMEM;
}

int gr_loop_new(gr_loop **out) {
    int rc = GR_E_NOMEM;
    gr_loop *lp = gr_calloc(1, sizeof *lp);
    if (!lp) return rc;
    gr_list_init(&lp->tasks);
    lp->armed_for = UINT64_MAX;
    lp->now = gr_clock_ns();
    if (!(lp->read_buf = gr_malloc(GR__READ_BYTES))) goto undo_loop;
    if ((rc = uv_loop_init(&lp->uv)) < 0) goto undo_buf;
    if ((rc = kernel_timer_open(lp)) < 0) goto undo_uv;
    *out = lp;
    return 0;
undo_uv:
    uv_loop_close(&lp->uv);
undo_buf:
    gr_free(lp->read_buf);
undo_loop:
    gr_free(lp);
    return rc;
}

static void check_closing(uv_handle_t *handle, void *arg) {
    (void)arg;
    GR_CHECK(uv_is_closing(handle)); /* else freeing the loop would wait for it forever */
}

void gr_loop_free(gr_loop *lp) {
    if (!lp) return;
    GR_CHECK(!lp->running);
    for (bool more = true; more;) { /* memory that waits for its task */
        uint64_t before = lp->work;
        run_tasks(lp);
        uv_run(&lp->uv, UV_RUN_NOWAIT);
        more = lp->work != before || !gr_list_empty(&lp->tasks);
    }
    kernel_timer_close(lp);
    if (lp->dns) gr__dns_cancel_all(lp->dns);
    uv_walk(&lp->uv, check_closing, NULL);
    do {
        uv_run(&lp->uv, UV_RUN_DEFAULT);
        run_tasks(lp);
    } while (uv_loop_alive(&lp->uv) || !gr_list_empty(&lp->tasks));
    GR_CHECK(uv_loop_close(&lp->uv) == 0);
    gr__dns_cache_free(lp->dns);
    gr_free(lp->heap);
    gr_free(lp->gather_buf);
    gr_free(lp->plain_buf);
    gr_free(lp->read_buf);
    gr_free(lp);
}
