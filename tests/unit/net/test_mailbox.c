/* Many threads post to one loop; closing hands back what was not taken. */
#include "test.h"
#include "net/mailbox.c"

typedef struct letter {
    gr_mail mail;
    int from, nth;
} letter;

enum { SENDERS = 4, LETTERS = 5000 };

static gr_mailbox *box;
static uv_loop_t uv;
static int next_of[SENDERS], taken, dropped;

static void take(void *ctx, gr_mail *m) {
    letter *l = (letter *)m;
    CHECK(ctx == &next_of);
    CHECK_EQ(l->nth, next_of[l->from]); /* a sender's letters stay in order */
    next_of[l->from]++;
    gr_free(l);
    if (++taken == SENDERS * LETTERS) gr_mailbox_close(box, NULL);
}

static letter *letter_new(int from, int nth) {
    letter *l = gr_malloc(sizeof *l);
    *l = (letter){.from = from, .nth = nth};
    return l;
}

static void *send_all(void *arg) {
    for (int i = 0; i < LETTERS; i++)
        gr_mailbox_post(box, &letter_new(*(int *)arg, i)->mail);
    return NULL;
}

TEST(every_letter_arrives_once_in_order) {
    pthread_t threads[SENDERS];
    int ids[SENDERS];
    uv_loop_init(&uv);
    CHECK_EQ(gr_mailbox_open(&box, &uv, take, &next_of), 0);
    for (int i = 0; i < SENDERS; i++) {
        ids[i] = i;
        pthread_create(&threads[i], NULL, send_all, &ids[i]);
    }
    uv_run(&uv, UV_RUN_DEFAULT); /* ends when the last letter closes the box */
    CHECK_EQ(taken, SENDERS * LETTERS);
    for (int i = 0; i < SENDERS; i++)
        pthread_join(threads[i], NULL);
    CHECK_EQ(uv_loop_close(&uv), 0);
}

static void drop(void *ctx, gr_mail *m) {
    (void)ctx;
    dropped++;
    gr_free(m);
}

static void take_one_and_close(void *ctx, gr_mail *m) {
    (void)ctx;
    taken++;
    gr_free(m);
    gr_mailbox_close(box, drop);
}

TEST(closing_within_the_callback_drops_the_rest) {
    uv_loop_init(&uv);
    CHECK_EQ(gr_mailbox_open(&box, &uv, take_one_and_close, NULL), 0);
    for (int i = 0; i < 5; i++)
        gr_mailbox_post(box, &letter_new(0, i)->mail);
    uv_run(&uv, UV_RUN_DEFAULT);
    CHECK_EQ(taken, 1);
    CHECK_EQ(dropped, 4);
    CHECK_EQ(uv_loop_close(&uv), 0);
}

TEST(failed_allocation_is_reported) {
    int rc = 0;
    uv_loop_init(&uv);
    FAIL_ALLOC_AT(0) rc = gr_mailbox_open(&box, &uv, take, NULL);
    CHECK_EQ(rc, GR_E_NOMEM);
    CHECK_EQ(uv_loop_close(&uv), 0);
}
