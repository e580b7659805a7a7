/* The throughput scenario in C: the same as hello.py. */
#include <gregaria.h>

static void get(gr_user *u) {
    gr_get(u, "/");
}

GR_SCENARIO {
    gr_user_class *c = gr_class("Hello");
    gr_add_task(c, 1, get);
}
