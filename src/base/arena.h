/* Memory that is given back all at once. The first block may be kept across resets. */
#ifndef GR_BASE_ARENA_H
#define GR_BASE_ARENA_H

#include "base/base.h"

typedef struct gr_arena_block gr_arena_block;
typedef struct gr_arena {
    gr_arena_block *block; /* newest first */
    size_t used;           /* of the newest */
} gr_arena;

#define GR_ARENA_INIT ((gr_arena){NULL, 0})

void *gr_arena_alloc(gr_arena *a, size_t bytes); /* 16-byte aligned; NULL when out of memory */
int gr_arena_copy(gr_arena *a, gr_str s, gr_str *copy); /* NUL-terminated too; 0 or GR_E_NOMEM */
void gr_arena_reset(gr_arena *a);                       /* keeps the oldest block */
void gr_arena_deinit(gr_arena *a);

#endif
