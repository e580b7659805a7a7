/* Visitors look around, customers log in and buy: two classes of users, names for rows, answers
 * that are looked at.
 *
 *     build/bin/shop --port 8000 &
 *     gregaria -f examples/native/shop.c --headless -u 50 -r 10 -t 30s -H http://127.0.0.1:8000 */
#include <gregaria.h>

#include <stdio.h>

static void front_page(gr_user *u) {
    gr_get(u, "/");
}

static void product(gr_user *u) {
    char path[32];
    unsigned id = 1 + gr_random(u, 100);
    snprintf(path, sizeof path, "/products/%u", id);
    gr_resp *r = gr_send(u, path, &(gr_opts){.name = "/products/[id]"});
    if (gr_status(r) == 404 && id % 10 == 0) gr_pass(u); /* sold out, and the shop says so */
}

static void login(gr_user *u) {
    gr_post(u, "/login", "username=testuser&password=secret");
    gr_resp *r = gr_get(u, "/account");
    if (gr_status(r) == 200 && !gr_contains(r, "testuser")) gr_fail(u, "somebody else's account");
}

static void purchase(gr_user *u) {
    char cart[64];
    snprintf(cart, sizeof cart, "{\"product_id\": %u, \"quantity\": 1}", 1 + gr_random(u, 50));
    gr_get(u, "/products/featured");
    gr_sleep(u, 0.2);
    if (gr_status(gr_post_json(u, "/cart", cart)) != 200) return;
    gr_resp *r = gr_post_json(u, "/checkout", "{\"payment_method\": \"card\"}");
    if (gr_status(r) == 402)
        gr_pass(u); /* declined cards are part of business */
    else if (!gr_contains(r, "order_id"))
        gr_fail(u, "no order number on the receipt");
}

GR_SCENARIO {
    gr_user_class *visitor = gr_class("Visitor");
    gr_weight(visitor, 3);
    gr_wait_between(visitor, 0.5, 2);
    gr_add_task(visitor, 2, front_page);
    gr_add_task(visitor, 3, product);

    gr_user_class *customer = gr_class("Customer");
    gr_wait_between(customer, 0.5, 1.5);
    gr_on_start(customer, login);
    gr_add_task(customer, 1, purchase);
}
