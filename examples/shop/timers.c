/* The usual array heap: the children of slot i are slots 2i+1 and 2i+2. */
#include "timers.h"

#include "base/alloc.h"
#include "base/err.h"

void timers_deinit(timers *t) {
    gr_free(t->heap);
    *t = (timers){NULL, 0, 0};
}

int timers_add(timers *t, gr_ns due_at, struct request *request) {
    if (t->n == t->cap) {
        size_t cap = t->cap ? 2 * t->cap : 64;
        timer *heap = gr_realloc(t->heap, cap * sizeof *heap);
        if (!heap) return GR_E_NOMEM;
        t->heap = heap;
        t->cap = cap;
    }
    size_t at = t->n++;
    for (size_t up; at > 0 && t->heap[up = (at - 1) / 2].due_at > due_at; at = up)
        t->heap[at] = t->heap[up];
    t->heap[at] = (timer){due_at, request};
    return 0;
}

bool timers_next(const timers *t, gr_ns *due_at) {
    if (t->n == 0) return false;
    *due_at = t->heap[0].due_at;
    return true;
}

struct request *timers_pop(timers *t, gr_ns now) {
    if (t->n == 0 || t->heap[0].due_at > now) return NULL;
    struct request *earliest = t->heap[0].request;
    timer last = t->heap[--t->n];
    size_t at = 0;
    for (size_t child; (child = 2 * at + 1) < t->n; at = child) {
        if (child + 1 < t->n && t->heap[child + 1].due_at < t->heap[child].due_at) child++;
        if (t->heap[child].due_at >= last.due_at) break;
        t->heap[at] = t->heap[child];
    }
    if (t->n > 0) t->heap[at] = last;
    return earliest;
}
