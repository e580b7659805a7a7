/* See mailbox.h. The sender that finds the list empty wakes the receiver; the receiver takes the
 * whole list at once, so the lock is held only for a moment on both sides. The wake-up is sent
 * under the lock: a receiver that has taken a sender's last message may close and free the mailbox.
 *
 * No thread may begin to post after gr_mailbox_close (whoever started the threads knows), and
 * memory goes back when libuv has let go of the handle. */
#include "net/mailbox.h"

#include "base/alloc.h"
#include "base/base.h"
#include "base/err.h"

#include <pthread.h>

struct gr_mailbox {
    uv_async_t async;
    pthread_mutex_t lock;
    gr_list mails; /* under `lock` */
    gr_list taken; /* receiver's thread only: not yet handed to `cb` */
    gr_mail_cb *cb;
    void *ctx;
};

static void take_all(gr_mailbox *mb) {
    gr_list *first;
    pthread_mutex_lock(&mb->lock);
    while ((first = gr_list_first(&mb->mails))) {
        gr_list_remove(first);
        gr_list_add_tail(&mb->taken, first);
    }
    pthread_mutex_unlock(&mb->lock);
}

static void give_taken(gr_mailbox *mb, gr_mail_cb *cb) {
    gr_list *first;
    while ((first = gr_list_first(&mb->taken))) {
        gr_list_remove(first);
        if (cb) cb(mb->ctx, GR_CONTAINER(first, gr_mail, link));
    }
}

/* The callback may close the mailbox, which empties `taken`. */
static void on_wake(uv_async_t *async) {
    gr_mailbox *mb = GR_CONTAINER(async, gr_mailbox, async);
    take_all(mb);
    give_taken(mb, mb->cb);
}

static void on_closed(uv_handle_t *handle) {
    gr_mailbox *mb = GR_CONTAINER(handle, gr_mailbox, async);
    pthread_mutex_destroy(&mb->lock);
    gr_free(mb);
}

int gr_mailbox_open(gr_mailbox **out, uv_loop_t *uv, gr_mail_cb *cb, void *ctx) {
    int rc;
    gr_mailbox *mb = gr_calloc(1, sizeof *mb);
    if (!mb) return GR_E_NOMEM;
    gr_list_init(&mb->mails);
    gr_list_init(&mb->taken);
    mb->cb = cb;
    mb->ctx = ctx;
    if ((rc = -pthread_mutex_init(&mb->lock, NULL)) < 0) goto undo_box;
    if ((rc = uv_async_init(uv, &mb->async, on_wake)) < 0) goto undo_lock;
    *out = mb;
    return 0;
undo_lock:
    pthread_mutex_destroy(&mb->lock);
undo_box:
    gr_free(mb);
    return rc;
}

void gr_mailbox_close(gr_mailbox *mb, gr_mail_cb *drop) {
    take_all(mb);
    give_taken(mb, drop);
    uv_close((uv_handle_t *)&mb->async, on_closed);
}

void gr_mailbox_post(gr_mailbox *mb, gr_mail *m) {
    gr_list_init(&m->link);
    pthread_mutex_lock(&mb->lock);
    bool first = gr_list_empty(&mb->mails);
    gr_list_add_tail(&mb->mails, &m->link);
    if (first) uv_async_send(&mb->async);
    pthread_mutex_unlock(&mb->lock);
}
