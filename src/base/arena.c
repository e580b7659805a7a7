/* See arena.h. */
#include "base/arena.h"
#include "base/alloc.h"
#include "base/err.h"

#include <stdalign.h>

#define ARENA_BLOCK_BYTES (GR_HOSTILE ? 64u : 1024u)

struct gr_arena_block {
    gr_arena_block *older;
    size_t cap;
    alignas(16) char bytes[];
};

void *gr_arena_alloc(gr_arena *a, size_t bytes) {
    if (bytes > SIZE_MAX / 2) return NULL;
    size_t need = (bytes + 15u) & ~(size_t)15u;
    if (!a->block || a->block->cap - a->used < need) {
        size_t cap = GR_MAX(need, (size_t)ARENA_BLOCK_BYTES);
        gr_arena_block *b = gr_malloc(sizeof *b + cap);
        if (!b) return NULL;
        b->older = a->block;
        b->cap = cap;
        a->block = b;
        a->used = 0;
    }
    void *p = a->block->bytes + a->used;
    a->used += need;
    return p;
}

int gr_arena_copy(gr_arena *a, gr_str s, gr_str *copy) {
    char *p = gr_arena_alloc(a, s.n + 1);
    if (!p) return GR_E_NOMEM;
    if (s.n) memcpy(p, s.p, s.n);
    p[s.n] = '\0';
    *copy = (gr_str){p, s.n};
    return 0;
}

void gr_arena_reset(gr_arena *a) {
    while (a->block && a->block->older) {
        gr_arena_block *older = a->block->older;
        gr_free(a->block);
        a->block = older;
    }
    a->used = 0;
}

void gr_arena_deinit(gr_arena *a) {
    gr_arena_reset(a);
    gr_free(a->block);
    *a = GR_ARENA_INIT;
}
