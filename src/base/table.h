/* Hash table from byte strings to pointers: open addressing, linear probing, at most 3/4 full.
 * Keys are copied, values belong to the caller. Order of iteration is unspecified. */
#ifndef GR_BASE_TABLE_H
#define GR_BASE_TABLE_H

#include "base/base.h"

typedef struct gr_table_slot {
    char *key; /* owned; NULL: free slot */
    size_t key_n;
    uint64_t hash;
    void *value; /* never NULL in a used slot */
} gr_table_slot;

typedef struct gr_table {
    gr_table_slot *slots;
    size_t cap; /* 0 or a power of two */
    size_t n;
} gr_table;

#define GR_TABLE_INIT ((gr_table){NULL, 0, 0})

void gr_table_deinit(gr_table *t); /* frees keys, not values */
void *gr_table_get(const gr_table *t, gr_str key);
int gr_table_put(gr_table *t, gr_str key, void *value); /* replaces; 0 or GR_E_NOMEM */
void *gr_table_remove(gr_table *t, gr_str key);         /* the value, or NULL */
void gr_table_clear(gr_table *t);                       /* keeps the slots */

/* for (size_t i = 0; (slot = gr_table_next(t, &i));) ... ; do not modify meanwhile. */
gr_table_slot *gr_table_next(const gr_table *t, size_t *i);

#endif
