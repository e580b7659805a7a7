/* The shop's stock and the answers that never change: built once, shared by all connections. */
#include "request.h"

#include "base/alloc.h"
#include "base/err.h"

#include <stdio.h>
#include <zlib.h>

static const char home_html[] =
    "<!doctype html><html lang=en><meta charset=utf-8><title>Shop</title>\n"
    "<h1>The shop</h1><p>A small server to point load tests at.</p>\n"
    "<ul><li><a href=/catalog>Catalogue</a><li><a href=/products>Products</a>"
    "<li><a href='/search?q=laptop'>Search</a><li><a href=/products/featured>Featured</a>"
    "<li><a href='/delay?dist=exp:10ms'>A delay</a><li><a href=/__counts>Counts</a></ul>\n"
    "<form method=post action=/login><input name=username value=testuser>"
    "<input name=password type=password value=secret><button>Log in</button></form></html>\n";

static void stock_up(shop *s) {
    static const char *const makes[] = {"Red", "Blue", "Small", "Large", "Fast"};
    static const char *const things[] = {"laptop", "phone", "tablet", "camera", "speaker"};
    for (unsigned id = 1; id <= SHOP_PRODUCTS; id++) {
        product *p = &s->products[id];
        snprintf(p->name, sizeof p->name, "%s %s %u", makes[id / 5 % 5], things[id % 5], id);
        p->price_cents = 999 + id * 137 % 5000;
    }
    for (size_t i = 0; i < sizeof s->pattern; i++)
        s->pattern[i] = (char)('a' + i % 26);
}

int shop_product_json(const shop *s, unsigned id, gr_buf *into) {
    const product *p = &s->products[id];
    return gr_buf_addf(into, "{\"id\":%u,\"name\":\"%s\",\"price\":%u.%02u}", id, p->name,
                       p->price_cents / 100, p->price_cents % 100);
}

/* {"products":[...]} of every `step`-th product from `first` on, `n` of them. */
static struct MHD_Response *products_json(const shop *s, unsigned first, unsigned step,
                                          unsigned n) {
    gr_buf b = GR_BUF_INIT;
    int rc = gr_buf_addc(&b, "{\"products\":[");
    for (unsigned i = 0; i < n && rc == 0; i++) {
        if (i > 0) rc = gr_buf_add_byte(&b, ',');
        if (rc == 0) rc = shop_product_json(s, first + i * step, &b);
    }
    if (rc == 0) rc = gr_buf_addc(&b, "]}");
    if (rc < 0) gr_buf_deinit(&b);
    return rc < 0 ? NULL : response_buf("application/json", &b);
}

static struct MHD_Response *catalog_html(const shop *s) {
    gr_buf b = GR_BUF_INIT;
    int rc = gr_buf_addc(&b, "<!doctype html><html lang=en><meta charset=utf-8>"
                             "<title>Catalogue</title><h1>Catalogue</h1><ul>\n");
    for (unsigned id = 1; id <= SHOP_PRODUCTS && rc == 0; id++)
        rc = gr_buf_addf(&b, "<li><a href=/products/%u>%s</a>\n", id, s->products[id].name);
    if (rc == 0) rc = gr_buf_addc(&b, "</ul></html>\n");
    if (rc < 0) gr_buf_deinit(&b);
    return rc < 0 ? NULL : response_buf("text/html; charset=utf-8", &b);
}

/* `window_bits` chooses zlib's envelope: 15 is a zlib stream ("deflate"), 31 a gzip one. */
static struct MHD_Response *compressed(const char *coding, int window_bits) {
    gr_buf b = GR_BUF_INIT;
    z_stream z = {0};
    char text[512];
    int n = snprintf(text, sizeof text, "{\"coding\":\"%s\",\"text\":\"%0400d\"}", coding, 0);
    if (gr_buf_reserve(&b, sizeof text) < 0) return NULL;
    if (deflateInit2(&z, 9, Z_DEFLATED, window_bits, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
        gr_buf_deinit(&b);
        return NULL;
    }
    z.next_in = (unsigned char *)text;
    z.avail_in = (unsigned)n;
    z.next_out = (unsigned char *)b.p;
    z.avail_out = (unsigned)sizeof text;
    GR_CHECK(deflate(&z, Z_FINISH) == Z_STREAM_END); /* 400 zeros fit anywhere */
    b.n = z.total_out;
    deflateEnd(&z);
    struct MHD_Response *response = response_buf("application/json", &b);
    if (response && !response_header(response, MHD_HTTP_HEADER_CONTENT_ENCODING, coding)) {
        MHD_destroy_response(response);
        return NULL;
    }
    return response;
}

int shop_pages_init(shop *s) {
    stock_up(s);
    s->pages[PAGE_HOME] = response_static("text/html; charset=utf-8", home_html);
    s->pages[PAGE_CATALOG] = catalog_html(s);
    s->pages[PAGE_PRODUCTS] = products_json(s, 1, 1, 20);
    s->pages[PAGE_FEATURED] = products_json(s, 7, 18, 5); /* none of them is sold out */
    s->pages[PAGE_GZIP] = compressed("gzip", 31);
    s->pages[PAGE_DEFLATE] = compressed("deflate", 15);
    for (int i = 0; i < PAGE_COUNT; i++)
        if (!s->pages[i]) return GR_E_NOMEM;
    return 0;
}

void shop_pages_deinit(shop *s) {
    for (int i = 0; i < PAGE_COUNT; i++)
        if (s->pages[i]) MHD_destroy_response(s->pages[i]);
}
