/* The ring: order, removing twice, emptiness. */
#include "test.h"

#include "base/list.h"
#include "base/rand.h"

typedef struct item {
    int number;
    gr_list link;
} item;

static int number_of(gr_list *l) {
    return GR_CONTAINER(l, item, link)->number;
}

TEST(order_of_tail_and_head) {
    gr_list head;
    item it[4];
    gr_list_init(&head);
    CHECK(gr_list_empty(&head) && !gr_list_first(&head));
    for (int i = 0; i < 4; i++) {
        it[i].number = i;
        gr_list_init(&it[i].link);
        CHECK(!gr_list_linked(&it[i].link));
    }
    gr_list_add_tail(&head, &it[1].link);
    gr_list_add_tail(&head, &it[2].link);
    gr_list_add_head(&head, &it[0].link);
    gr_list_add_tail(&head, &it[3].link);
    int expected = 0;
    for (gr_list *l = head.next; l != &head; l = l->next)
        CHECK_EQ(number_of(l), expected++);
    CHECK_EQ(expected, 4);
    CHECK(gr_list_first(&head) == &it[0].link);
}

TEST(removing_twice_is_harmless) {
    gr_list head;
    item a = {.number = 1};
    gr_list_init(&head);
    gr_list_init(&a.link);
    gr_list_add_tail(&head, &a.link);
    CHECK(gr_list_linked(&a.link) && !gr_list_empty(&head));
    gr_list_remove(&a.link);
    gr_list_remove(&a.link);
    CHECK(!gr_list_linked(&a.link) && gr_list_empty(&head));
    gr_list_add_head(&head, &a.link); /* and it can come back */
    CHECK(gr_list_first(&head) == &a.link);
}

#define ITEMS 20

TEST(random_operations_agree_with_a_model) {
    item it[ITEMS];
    int model[ITEMS], n = 0;
    gr_list head;
    gr_rand r;
    gr_rand_seed(&r, 3);
    gr_list_init(&head);
    for (int i = 0; i < ITEMS; i++) {
        it[i].number = i;
        gr_list_init(&it[i].link);
    }
    for (int step = 0; step < 10000; step++) {
        int k = (int)gr_rand_below(&r, ITEMS);
        if (gr_list_linked(&it[k].link)) {
            int at = 0;
            while (model[at] != k)
                at++;
            memmove(model + at, model + at + 1, (size_t)(n - at - 1) * sizeof *model);
            n--;
            gr_list_remove(&it[k].link);
        } else if (step % 2) {
            model[n++] = k;
            gr_list_add_tail(&head, &it[k].link);
        } else {
            memmove(model + 1, model, (size_t)n++ * sizeof *model);
            model[0] = k;
            gr_list_add_head(&head, &it[k].link);
        }
        gr_list *l = head.next;
        for (int i = 0; i < n; i++, l = l->next)
            CHECK_EQ(number_of(l), model[i]);
        CHECK(l == &head);
    }
}
