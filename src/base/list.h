/* Intrusive doubly linked ring. A head is a gr_list that gr_list_init made empty; so is an
 * unlinked member, which makes removing twice harmless. */
#ifndef GR_BASE_LIST_H
#define GR_BASE_LIST_H

#include "base/base.h"

typedef struct gr_list {
    struct gr_list *next, *prev;
} gr_list;

static inline void gr_list_init(gr_list *l) {
    l->next = l->prev = l;
}
static inline bool gr_list_empty(const gr_list *l) {
    return l->next == l;
}
static inline bool gr_list_linked(const gr_list *member) {
    return member->next != member;
}
static inline void gr_list_add_tail(gr_list *head, gr_list *member) {
    GR_DCHECK(!gr_list_linked(member));
    member->prev = head->prev;
    member->next = head;
    head->prev->next = member;
    head->prev = member;
}
static inline void gr_list_add_head(gr_list *head, gr_list *member) {
    gr_list_add_tail(head->next, member);
}
static inline void gr_list_remove(gr_list *member) {
    member->prev->next = member->next;
    member->next->prev = member->prev;
    gr_list_init(member);
}
static inline gr_list *gr_list_first(gr_list *head) { /* NULL when empty */
    return gr_list_empty(head) ? NULL : head->next;
}

#endif
