/* How it works: make_fcontext lays out a first frame on the stack, jump_fcontext stores the callee-
 * saved registers on the running stack and continues on the other one. Each jump hands the other
 * side the suspended context, which is good for one jump only, so co->context is replaced at every
 * arrival.
 *
 * A stack is one mapping: a page that faults, then the usable part, at whose top lies the gr_stack.
 * Pages that were never touched cost nothing, so the size is a limit and not a price. */
#include "native/coro.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
#define ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ASAN 1
#endif
#endif
#ifndef ASAN
#define ASAN 0
#endif

/* libboost_context has C linkage but no C header; these are its declarations (fcontext.hpp). */
typedef struct fcontext_transfer {
    void *context; /* the side that jumped here */
    void *data;
} fcontext_transfer;
extern void *make_fcontext(void *stack_top, size_t stack_bytes, void (*fn)(fcontext_transfer));
extern fcontext_transfer jump_fcontext(void *to, void *data);

/* A scenario's frames and vsnprintf with doubles (about 8 KB) leave room to spare in 64 KB; ASan
 * surrounds every local with red zones. Requests are sent from the loop's stack, see life.c. */
#define STACK_BYTES ((size_t)(ASAN ? 512 : 64) * 1024)

struct gr_stack {
    gr_stack *next; /* while idle */
    char *mapping;  /* the guard page, lowest */
};

/* ---- AddressSanitizer must know which stack is current. */

#if ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>

static void leaving(void **fake, const void *to_bottom, size_t to_bytes) {
    __sanitizer_start_switch_fiber(fake, to_bottom, to_bytes);
}
static void arrived(void *fake, const void **from_bottom, size_t *from_bytes) {
    __sanitizer_finish_switch_fiber(fake, from_bottom, from_bytes);
}
/* Frames of an abandoned coroutine never returned, so their red zones are still poisoned. */
static void forget_frames(const void *bottom, size_t bytes) {
    __asan_unpoison_memory_region(bottom, bytes);
}
#else
static void leaving(void **fake, const void *to_bottom, size_t to_bytes) {
    (void)fake, (void)to_bottom, (void)to_bytes;
}
static void arrived(void *fake, const void **from_bottom, size_t *from_bytes) {
    (void)fake, (void)from_bottom, (void)from_bytes;
}
static void forget_frames(const void *bottom, size_t bytes) {
    (void)bottom, (void)bytes;
}
#endif

/* ---- Stacks. */

void gr_stacks_init(gr_stacks *s) {
    long page = sysconf(_SC_PAGESIZE);
    s->idle = NULL;
    s->page_bytes = page > 0 ? (size_t)page : 4096;
    s->stack_bytes = GR_MAX(STACK_BYTES, s->page_bytes);
}

static void *stack_bottom(const gr_stacks *s, const gr_stack *st) {
    return st->mapping + s->page_bytes;
}

static void stack_unmap(const gr_stacks *s, gr_stack *st) {
    munmap(st->mapping, s->page_bytes + s->stack_bytes);
}

void gr_stacks_deinit(gr_stacks *s) {
    while (s->idle) {
        gr_stack *st = s->idle;
        s->idle = st->next;
        stack_unmap(s, st);
    }
}

static int stack_map(const gr_stacks *s, gr_stack **stack) {
    size_t bytes = s->page_bytes + s->stack_bytes;
    char *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) return -errno;
    if (mprotect(p, s->page_bytes, PROT_NONE) < 0) {
        int rc = -errno;
        munmap(p, bytes);
        return rc;
    }
    gr_stack *st = (gr_stack *)(void *)(p + bytes - sizeof(gr_stack));
    st->mapping = p;
    *stack = st;
    return 0;
}

static int stack_get(gr_stacks *s, gr_stack **stack) {
    if (!s->idle) return stack_map(s, stack);
    *stack = s->idle;
    s->idle = (*stack)->next;
    return 0;
}

static void stack_put(gr_stacks *s, gr_stack *st) {
    if (GR_NO_POOLS) {
        stack_unmap(s, st);
        return;
    }
    st->next = s->idle;
    s->idle = st;
}

/* ---- Coroutines. */

static void entry(fcontext_transfer from) {
    gr_coro *co = from.data;
    arrived(NULL, &co->asan_host_bottom, &co->asan_host_bytes);
    co->context = from.context;
    co->fn(co->arg);
    co->state = GR_CORO_OVER;
    leaving(NULL, co->asan_host_bottom, co->asan_host_bytes);
    jump_fcontext(co->context, NULL);
    GR_UNREACHABLE();
}

int gr_coro_start(gr_coro *co, gr_stacks *stacks, gr_coro_fn *fn, void *arg) {
    GR_CHECK(co->state == GR_CORO_NONE);
    gr_stack *st = NULL;
    int rc = stack_get(stacks, &st);
    if (rc < 0) return rc;
    forget_frames(stack_bottom(stacks, st), stacks->stack_bytes);
    *co = (gr_coro){.fn = fn, .arg = arg, .stack = st, .stacks = stacks, .state = GR_CORO_READY};
    /* make_fcontext aligns downwards, so the gr_stack above it stays untouched. */
    co->context = make_fcontext(st, stacks->stack_bytes - sizeof(gr_stack), entry);
    return 0;
}

void gr_coro_stop(gr_coro *co) {
    GR_CHECK(co->state != GR_CORO_RUNNING);
    if (co->state != GR_CORO_NONE) stack_put(co->stacks, co->stack);
    co->stack = NULL;
    co->state = GR_CORO_NONE;
}

void gr_coro_resume(gr_coro *co) {
    GR_CHECK(co->state == GR_CORO_READY || co->state == GR_CORO_PARKED);
    co->state = GR_CORO_RUNNING;
    leaving(&co->asan_host_fake, stack_bottom(co->stacks, co->stack), co->stacks->stack_bytes);
    fcontext_transfer back = jump_fcontext(co->context, co);
    arrived(co->asan_host_fake, NULL, NULL);
    co->context = back.context;
}

void gr_coro_park(gr_coro *co) {
    GR_CHECK(co->state == GR_CORO_RUNNING);
    co->state = GR_CORO_PARKED;
    leaving(&co->asan_fake, co->asan_host_bottom, co->asan_host_bytes);
    fcontext_transfer back = jump_fcontext(co->context, NULL);
    arrived(co->asan_fake, &co->asan_host_bottom, &co->asan_host_bytes);
    co->context = back.context;
}
