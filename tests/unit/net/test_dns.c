/* Literals, the cache, coalescing, cancelling. Names that are looked up are "localhost" and ones of
 * the reserved top-level domain "invalid", so no test depends on a name server. */
#include "test.h"
#include "net/dns.c"

static gr_loop *lp;
static int answers, last_rc;
static uint32_t last_n;
static gr_addrs *last;

static void on_answer(gr_dns_query *q, int rc, gr_addrs *addrs, const char *why) {
    (void)q;
    answers++;
    last_rc = rc;
    last_n = addrs ? addrs->n : 0;
    if (rc == GR_E_DNS) CHECK(why && why[0]);
    gr_addrs_unref(last);
    last = addrs;
}

static void run_until(int n) {
    for (int i = 0; i < 20000 && answers < n; i++) {
        uv_run(gr_loop_uv(lp), UV_RUN_NOWAIT);
        gr_loop_poll(lp);
        usleep(500);
    }
    CHECK_EQ(answers, n);
}

static void begin(void) {
    CHECK_EQ(gr_loop_new(&lp), 0);
}
static void end(void) {
    gr_addrs_unref(last);
    gr_loop_free(lp);
}

TEST(literals_are_answered_at_once) {
    static const struct {
        const char *text;
        int family;
    } cases[] = {{"127.0.0.1", AF_INET}, {"::1", AF_INET6}, {"2001:db8::17", AF_INET6}};
    begin();
    for (size_t i = 0; i < GR_LEN(cases); i++) {
        gr_addrs *addrs;
        gr_dns_query q;
        gr_dns_query_init(&q, on_answer);
        CHECK_EQ(gr_dns_lookup(lp, &q, gr_str_c(cases[i].text), &addrs), 1);
        CHECK_EQ(addrs->n, 1);
        CHECK_EQ(addrs->at[0].sa.sa_family, cases[i].family);
        gr_addrs_unref(addrs);
    }
    CHECK(gr_addr_is_literal(GR_STR("10.0.0.1")));
    CHECK(!gr_addr_is_literal(GR_STR("10.0.0.1.example")));
    CHECK(!gr_addr_is_literal(GR_STR("")));
    CHECK_EQ(answers, 0);
    end();
}

TEST(unusable_names_are_refused) {
    static char longer[300];
    gr_addrs *addrs;
    gr_dns_query q;
    begin();
    memset(longer, 'a', sizeof longer);
    gr_dns_query_init(&q, on_answer);
    CHECK_EQ(gr_dns_lookup(lp, &q, (gr_str){longer, sizeof longer}, &addrs), GR_E_DNS);
    CHECK_EQ(gr_dns_lookup(lp, &q, (gr_str){"a\0b", 3}, &addrs), GR_E_DNS);
    CHECK_EQ(gr_dns_lookup(lp, &q, GR_STR(""), &addrs), GR_E_DNS);
    end();
}

TEST(one_lookup_serves_all_and_is_cached_for_a_while) {
    gr_dns_query q[3];
    gr_addrs *addrs;
    begin();
    for (int i = 0; i < 3; i++) {
        gr_dns_query_init(&q[i], on_answer);
        CHECK_EQ(gr_dns_lookup(lp, &q[i], i ? GR_STR("LocalHost") : GR_STR("localhost"), &addrs),
                 0);
    }
    CHECK(lp->dns->names.next == lp->dns->names.prev); /* one name */
    gr_dns_cancel(&q[1]);
    run_until(2);
    CHECK_EQ(last_rc, 0);
    CHECK(last_n > 0);
    CHECK_EQ(gr_dns_lookup(lp, &q[1], GR_STR("localhost"), &addrs), 1);
    gr_addrs_unref(addrs);
    lp->now += CACHE_TIME + 1;
    CHECK_EQ(gr_dns_lookup(lp, &q[1], GR_STR("localhost"), &addrs), 0);
    run_until(3);
    end();
}

TEST(failures_tell_why_and_are_not_kept) {
    gr_dns_query q;
    gr_addrs *addrs;
    begin();
    gr_dns_query_init(&q, on_answer);
    CHECK_EQ(gr_dns_lookup(lp, &q, GR_STR("no-such-host.invalid"), &addrs), 0);
    run_until(1);
    CHECK_EQ(last_rc, GR_E_DNS);
    CHECK(gr_list_empty(&lp->dns->names));
    end();
}

TEST(loop_may_be_freed_while_a_cancelled_lookup_runs) {
    gr_dns_query q;
    gr_addrs *addrs;
    begin();
    gr_dns_query_init(&q, on_answer);
    CHECK_EQ(gr_dns_lookup(lp, &q, GR_STR("slow.invalid"), &addrs), 0);
    gr_dns_cancel(&q);
    end();
    CHECK_EQ(answers, 0);
}

TEST(failed_allocations_are_survived) {
    gr_dns_query q;
    gr_addrs *addrs = NULL;
    begin();
    gr_dns_query_init(&q, on_answer);
    for (uint64_t n = 0; n < 2; n++) {
        int rc = 0;
        FAIL_ALLOC_AT(n) rc = gr_dns_lookup(lp, &q, GR_STR("localhost"), &addrs);
        CHECK_EQ(rc, GR_E_NOMEM);
    }
    int rc = 0;
    FAIL_ALLOC_AT(0) rc = gr_dns_lookup(lp, &q, GR_STR("127.0.0.1"), &addrs);
    CHECK_EQ(rc, GR_E_NOMEM);
    CHECK_EQ(gr_dns_lookup(lp, &q, GR_STR("localhost"), &addrs), 0);
    gr__alloc_fail_at(0); /* for the addresses, when the answer comes */
    run_until(1);
    CHECK_EQ(last_rc, GR_E_NOMEM);
    end();
}
