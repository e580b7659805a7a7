/* The smallest scenario: everybody looks at the front page.
 *
 *     gregaria -f examples/native/hello.c --headless -u 10 -r 10 -t 5s -H http://127.0.0.1:8000 */
#include <gregaria.h>

static void home(gr_user *u) {
    gr_get(u, "/");
}

GR_SCENARIO {
    gr_user_class *c = gr_class("Visitor");
    gr_wait_between(c, 1, 3);
    gr_add_task(c, 1, home);
}
