/* What the parts of the shop share. There is one thread: the daemon runs inside the main loop, so
 * nothing here is locked and every sequence number is handed out in the order of the requests. */
#ifndef SHOP_SHOP_H
#define SHOP_SHOP_H

#include "base/base.h"
#include "base/buf.h"
#include "base/rand.h"
#include "timers.h"

#include <microhttpd.h>

#define SHOP_PRODUCTS    100
#define SHOP_STATUS_MAX  599
#define SHOP_PATTERN_MAX 65536

typedef struct product {
    char name[32];
    unsigned price_cents;
} product;

typedef enum { /* answers that never change are built once */
               PAGE_HOME,
               PAGE_CATALOG,
               PAGE_PRODUCTS,
               PAGE_FEATURED,
               PAGE_GZIP,
               PAGE_DEFLATE,
               PAGE_COUNT
} shop_page;

typedef struct shop {
    struct MHD_Daemon *daemon;
    timers waiting;
    bool closing;         /* answers do not wait any more */
    gr_rand rand;         /* delays */
    uint64_t session_key; /* what a session cookie is checked with */
    uint64_t data_seq, checkout_seq, upload_seq;
    uint64_t accepted, requests;
    uint64_t (*counts)[SHOP_STATUS_MAX + 1]; /* [route][status], heap */
    struct MHD_Response *pages[PAGE_COUNT];
    product products[SHOP_PRODUCTS + 1]; /* [0] is not used: ids start at 1 */
    char pattern[SHOP_PATTERN_MAX];      /* what /bytes/N answers, up to this size */
} shop;

/* pages.c: fill `pages`, `products` and `pattern`; 0 or GR_E_NOMEM. */
int shop_pages_init(shop *s);
void shop_pages_deinit(shop *s);
int shop_product_json(const shop *s, unsigned id, gr_buf *into);

#endif
