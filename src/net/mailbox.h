/* Messages from any thread to the thread of one loop: a locked list and a wake-up. The receiver
 * owns what it takes. Used between load threads and the control thread; nothing else is shared. */
#ifndef GR_NET_MAILBOX_H
#define GR_NET_MAILBOX_H

#include "base/list.h"

#include <uv.h>

typedef struct gr_mail {
    gr_list link;
} gr_mail; /* first member of every message */

typedef struct gr_mailbox gr_mailbox;
typedef void gr_mail_cb(void *ctx, gr_mail *m); /* takes ownership of `m`; the receiver's thread */

/* `uv` is the receiver's loop; call in its thread, or before it runs. Returns 0 or a code. */
int gr_mailbox_open(gr_mailbox **mb, uv_loop_t *uv, gr_mail_cb *cb, void *ctx);
/* Receiver's thread. Messages not yet taken are handed to `drop` (NULL: forgotten). Freed by the
 * loop. */
void gr_mailbox_close(gr_mailbox *mb, gr_mail_cb *drop);
/* Any thread; never blocks for long, never fails. */
void gr_mailbox_post(gr_mailbox *mb, gr_mail *m);

#endif
