/* See table.h. Removal shifts the run behind the hole back, so there are no tombstones. */
#include "base/table.h"
#include "base/alloc.h"
#include "base/err.h"

#define TABLE_FIRST_SLOTS 8u

void gr_table_clear(gr_table *t) {
    for (size_t i = 0; i < t->cap; i++) {
        gr_free(t->slots[i].key);
        t->slots[i] = (gr_table_slot){0};
    }
    t->n = 0;
}

void gr_table_deinit(gr_table *t) {
    gr_table_clear(t);
    gr_free(t->slots);
    *t = GR_TABLE_INIT;
}

/* The slot that holds the key, or the free one where it would go. */
static size_t slot_of(const gr_table_slot *slots, size_t cap, gr_str key, uint64_t hash) {
    size_t i = hash & (cap - 1);
    while (slots[i].key) {
        if (slots[i].hash == hash && gr_str_eq((gr_str){slots[i].key, slots[i].key_n}, key)) break;
        i = (i + 1) & (cap - 1);
    }
    return i;
}

void *gr_table_get(const gr_table *t, gr_str key) {
    if (t->n == 0) return NULL;
    return t->slots[slot_of(t->slots, t->cap, key, gr_str_hash(key, 0))].value;
}

static int grow(gr_table *t) {
    size_t cap = t->cap ? t->cap * 2 : TABLE_FIRST_SLOTS;
    gr_table_slot *slots = gr_calloc(cap, sizeof *slots);
    if (!slots) return GR_E_NOMEM;
    for (size_t i = 0; i < t->cap; i++) {
        gr_table_slot *s = &t->slots[i];
        if (s->key) slots[slot_of(slots, cap, (gr_str){s->key, s->key_n}, s->hash)] = *s;
    }
    gr_free(t->slots);
    t->slots = slots;
    t->cap = cap;
    return 0;
}

int gr_table_put(gr_table *t, gr_str key, void *value) {
    GR_CHECK(value);
    uint64_t hash = gr_str_hash(key, 0);
    if (t->n > 0) { /* replacing needs no memory */
        gr_table_slot *old = &t->slots[slot_of(t->slots, t->cap, key, hash)];
        if (old->key) {
            old->value = value;
            return 0;
        }
    }
    if ((t->n + 1) * 4 > t->cap * 3) {
        int rc = grow(t);
        if (rc < 0) return rc;
    }
    char *copy = gr_strndup(key.p, key.n);
    if (!copy) return GR_E_NOMEM;
    t->slots[slot_of(t->slots, t->cap, key, hash)] = (gr_table_slot){copy, key.n, hash, value};
    t->n++;
    return 0;
}

void *gr_table_remove(gr_table *t, gr_str key) {
    if (t->n == 0) return NULL;
    size_t mask = t->cap - 1;
    size_t hole = slot_of(t->slots, t->cap, key, gr_str_hash(key, 0));
    void *value = t->slots[hole].value;
    if (!t->slots[hole].key) return NULL;
    gr_free(t->slots[hole].key);
    for (size_t i = (hole + 1) & mask; t->slots[i].key; i = (i + 1) & mask) {
        size_t home = t->slots[i].hash & mask;
        if (((i - home) & mask) < ((i - hole) & mask)) continue; /* already between home and here */
        t->slots[hole] = t->slots[i];
        hole = i;
    }
    t->slots[hole] = (gr_table_slot){0};
    t->n--;
    return value;
}

gr_table_slot *gr_table_next(const gr_table *t, size_t *i) {
    while (*i < t->cap) {
        gr_table_slot *s = &t->slots[(*i)++];
        if (s->key) return s;
    }
    return NULL;
}
