/* Users against a small server in this process: order of life, verdicts, ends of every kind, and
 * what a warm request allocates. The scenario functions are those of a C file. */
#include "test.h"

#include "native/life.c"

#include "net/loop_int.h"

#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <netinet/in.h>
#include <unistd.h>

/* ---- The server: a thread for each connection; /slow is never answered. */

static atomic_int served, posted;
static char host[64];

static void answer(int fd, const char *path) {
    static const char ok[] = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-Kind: plain\r\n\r\nhello";
    static const char missing[] = "HTTP/1.1 404 Not\x1b[1m Found\r\nContent-Length: 0\r\n\r\n";
    static const char moved[] = "HTTP/1.1 302 F\r\nLocation: /\r\nContent-Length: 0\r\n\r\n";
    const char *text = strcmp(path, "/missing") == 0 ? missing
                       : strcmp(path, "/moved") == 0 ? moved
                                                     : ok;
    if (strcmp(path, "/slow") != 0 && write(fd, text, strlen(text)) < 0) return;
}

static void *connection(void *arg) {
    int fd = (int)(intptr_t)arg;
    char in[4096], path[256], method[16];
    size_t n = 0;
    for (;;) {
        ssize_t got = recv(fd, in + n, sizeof in - 1 - n, 0);
        if (got <= 0) break;
        n += (size_t)got;
        in[n] = '\0';
        char *end = strstr(in, "\r\n\r\n"), *length = strstr(in, "Content-Length: ");
        if (!end || n < (size_t)(end - in) + 4 + (length ? strtoul(length + 16, NULL, 10) : 0))
            continue;
        if (sscanf(in, "%15s %255s", method, path) != 2) break;
        n = 0;
        served++;
        if (strcmp(method, "POST") == 0 && strstr(end, "a=1") &&
            strstr(in, "Content-Type: application/x-www-form-urlencoded"))
            posted++;
        answer(fd, path);
    }
    close(fd);
    return NULL;
}

static void *accept_all(void *arg) {
    int listener = (int)(intptr_t)arg, fd;
    pthread_t t;
    while ((fd = accept(listener, NULL, NULL)) >= 0)
        if (pthread_create(&t, NULL, connection, (void *)(intptr_t)fd) == 0) pthread_detach(t);
    return NULL;
}

static void server_start(void) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    pthread_t t;
    cr_assert(bind(fd, (struct sockaddr *)&at, n) == 0 && listen(fd, 64) == 0);
    cr_assert(getsockname(fd, (struct sockaddr *)&at, &n) == 0);
    snprintf(host, sizeof host, "http://127.0.0.1:%u", ntohs(at.sin_port));
    cr_assert(pthread_create(&t, NULL, accept_all, (void *)(intptr_t)fd) == 0);
}

/* ---- One crew with one class. */

static gr_loop *loop;
static gr_crew crew;
static gr_scenario_set set;
static gr_timer bell;
static char story[256]; /* what the users did, in order */
static int gone;

static void tell(const char *word) {
    size_t n = strlen(story);
    snprintf(story + n, sizeof story - n, "%s ", word);
}

static void ended(void *ctx, gr_user_class *c) {
    (void)ctx, (void)c;
    gone++;
    if (crew.users_n == 0) gr_loop_stop(loop);
}

static void quiet(void *ctx, gr_log_level level, const char *logger, const char *text) {
    (void)ctx, (void)level, (void)logger, (void)text;
}

static gr_user_class *set_up(void (*scenario)(void)) {
    gr_buf why = GR_BUF_INIT;
    gr_log_set_thread_sink(quiet, NULL);
    server_start();
    CHECK_EQ(gr_loop_new(&loop), 0);
    CHECK_EQ(gr__crew_init(&crew, loop), 0);
    crew.ended = ended;
    gr__scenario_define(&set, scenario);
    CHECK_EQ(gr__scenario_ready(&set, gr_str_c(host), &why), 0);
    return set.classes[0];
}

static void tear_down(void) {
    CHECK_EQ(crew.users_n, 0);
    gr__crew_deinit(&crew);
    gr_loop_free(loop);
    gr__scenario_free_classes(&set);
}

static gr_user *the_user(void) {
    CHECK(!gr_list_empty(&crew.users));
    return GR_CONTAINER(crew.users.next, gr_user, link);
}

static void ring_in(gr_ns span_ns, gr_timer_cb *cb) {
    bell.cb = cb;
    CHECK_EQ(gr_timer_start(loop, &bell, gr_clock_ns() + span_ns), 0);
}

static void run_until_gone(void (*scenario)(void)) {
    gr_user_class *c = set_up(scenario);
    CHECK_EQ(gr__user_start(&crew, c), 0);
    CHECK_EQ(gr_loop_run(loop), 0);
    gr_timer_stop(loop, &bell);
}

static const gr_entry *row(const char *method, const char *name) {
    const gr_entry *e = gr_stats_find(crew.shard.delta, gr_str_c(method), gr_str_c(name));
    cr_assert(e, "no row %s %s", method, name);
    return e;
}

static void one_error(const char *text) {
    gr_error **errors;
    CHECK_EQ(gr_stats_errors(crew.shard.delta, &errors), 1);
    CHECK_STR(errors[0]->text, text);
    gr_free(errors);
}

/* ---- A whole life. */

static void greet(gr_user *u) {
    tell("start");
    CHECK_EQ(gr_status(gr_get(u, "/hello")), 200);
}
static void work(gr_user *u) {
    int *rounds = gr_data(u);
    if (!rounds) gr_set_data(u, rounds = calloc(1, sizeof *rounds));
    tell("task");
    gr_resp *r = gr_post(u, "/form", "a=1");
    CHECK_EQ(gr_status(r), 200);
    CHECK(gr_resp_error(r) == NULL);
    CHECK_STR(gr_str_c(gr_body(r)), "hello");
    CHECK_EQ(gr_body_bytes(r), 5);
    CHECK(gr_contains(r, "ell") && !gr_contains(r, "x"));
    CHECK_STR(gr_str_c(gr_resp_header(r, "x-kind")), "plain");
    CHECK(gr_resp_header(r, "X-None") == NULL);
    CHECK(strstr(gr_resp_url(r), "/form"));
    if (++*rounds == 2) gr_stop_user(u);
}
static void part(gr_user *u) {
    tell("stop");
    free(gr_data(u));
    gr_get(u, "/bye");
}
static void whole_life(void) {
    gr_user_class *c = gr_class("A");
    gr_on_start(c, greet);
    gr_add_task(c, 1, work);
    gr_on_stop(c, part);
    gr_wait_constant(c, 0.001);
}

TEST(a_life_has_a_start_tasks_and_a_stop) {
    run_until_gone(whole_life);
    CHECK_STR(gr_str_c(story), "start task task stop ");
    CHECK_EQ(gone, 1);
    CHECK_EQ(served, 4);
    CHECK_EQ(posted, 2);
    CHECK_EQ(row("POST", "/form")->requests, 2);
    CHECK_EQ(row("GET", "/bye")->requests, 1);
    CHECK_EQ(row("POST", "/form")->response.count, 2);
    CHECK_EQ(row("POST", "/form")->service.count, 2);
    CHECK_EQ(row("POST", "/form")->bytes, 10);
    CHECK_EQ(gr_stats_total(crew.shard.delta)->failures, 0);
    tear_down();
}

/* ---- Verdicts. */

static void only_once(gr_user_fn *task) {
    gr_add_task(gr_class("A"), 1, task);
}
static void missing_task(gr_user *u) {
    gr_resp *r = gr_get(u, "/missing");
    CHECK_EQ(gr_status(r), 404);
    CHECK_STR(gr_str_c(gr_body(r)), "");
    gr_stop_user(u);
}
static void missing(void) {
    only_once(missing_task);
}

TEST(a_status_of_400_and_above_fails_with_the_servers_words_made_printable) {
    run_until_gone(missing);
    CHECK_EQ(row("GET", "/missing")->failures, 1);
    one_error("404 Client Error: Not?[1m Found for url: /missing");
    tear_down();
}

static void passed_task(gr_user *u) {
    gr_get(u, "/missing");
    gr_pass(u);
    gr_get(u, "/ok?a=1#x");
    gr_fail(u, "no");
    gr_fail(u, "body was %s", "odd");
    gr_sleep(u, 0.001);
    gr_fail(u, "too late");
    gr_stop_user(u);
}
static void passed(void) {
    only_once(passed_task);
}

TEST(marks_decide_until_the_request_is_counted) {
    run_until_gone(passed);
    CHECK_EQ(row("GET", "/missing")->failures, 0);
    CHECK_EQ(row("GET", "/ok?a=1")->failures, 1);
    one_error("body was odd");
    tear_down();
}

static void refused_task(gr_user *u) {
    gr_resp *r = gr_get(u, "http://127.0.0.1:1/");
    CHECK_EQ(gr_status(r), 0);
    CHECK(gr_resp_error(r) != NULL);
    gr_stop_user(u);
}
static void connection_refused(void) {
    only_once(refused_task);
}

TEST(a_refused_connection_is_a_failure_with_a_response_time_and_no_service_time) {
    run_until_gone(connection_refused);
    CHECK_EQ(row("GET", "/")->failures, 1);
    CHECK_EQ(row("GET", "/")->response.count, 1);
    CHECK_EQ(row("GET", "/")->service.count, 0);
    one_error("Connection refused");
    tear_down();
}

static void stop_all(gr_timer *t) {
    (void)t;
    gr__user_end(the_user(), 0);
}
static void bad_url_task(gr_user *u) {
    gr_resp *r = gr_get(u, "http://[oops/");
    CHECK_EQ(gr_status(r), 0);
    CHECK_STR(gr_str_c(gr_resp_error(r)), gr_strerror(GR_E_URL_HOST));
    CHECK_STR(gr_str_c(gr_body(r)), "");
    CHECK(gr_resp_header(r, "X") == NULL && gr_resp_url(r)[0] == '\0');
    gr_send(u, "/", &(gr_opts){.headers = "X: a\rb", .name = "bad header"});
}
static void bad_url(void) {
    only_once(bad_url_task);
}

TEST(requests_that_cannot_be_sent_fail_and_let_the_loop_turn) {
    gr_user_class *c = set_up(bad_url);
    CHECK_EQ(gr__user_start(&crew, c), 0);
    ring_in(GR_MS(20), stop_all);
    CHECK_EQ(gr_loop_run(loop), 0);
    CHECK(row("GET", "bad header")->failures > 0);
    CHECK_EQ(row("GET", "bad header")->none_requests, row("GET", "bad header")->requests);
    CHECK_EQ(gr_stats_interrupted_count(crew.shard.delta), 0);
    CHECK_EQ(served, 0);
    tear_down();
}

static void idle_task(gr_user *u) {
    (void)u;
}
static void idle(void) {
    only_once(idle_task);
}

TEST(a_task_that_does_nothing_lets_the_loop_turn) {
    gr_user_class *c = set_up(idle);
    CHECK_EQ(gr__user_start(&crew, c), 0);
    ring_in(GR_MS(20), stop_all);
    CHECK_EQ(gr_loop_run(loop), 0);
    tear_down();
}

static void options_task(gr_user *u) {
    gr_resp *r = gr_send(u, "/moved", &(gr_opts){.keep_redirects = 1, .name = "kept"});
    CHECK_EQ(gr_status(r), 302);
    CHECK_STR(gr_str_c(gr_resp_header(r, "location")), "/");
    CHECK_EQ(gr_status(gr_get(u, "/moved")), 200);
    gr_send(u, "/form",
            &(gr_opts){.body = "a=1zzz",
                       .body_bytes = 3,
                       .content_type = "application/x-www-form-urlencoded",
                       .headers = "X-Y: z"});
    gr_send(u, "/form", &(gr_opts){.method = "PUT", .body = "a=1"});
    r = gr_send(u, "/slow", &(gr_opts){.read_timeout_s = 0.05});
    CHECK_EQ(gr_status(r), 0);
    gr_record(u, "DB", "query", 12.5, 7, NULL);
    gr_record(u, "DB", "query", (double)NAN, 0, "locked");
    CHECK(gr_random(u, 3) < 3);
    CHECK_EQ(gr_random(u, 0), 0);
    gr_stop_user(u);
}
static void options(void) {
    only_once(options_task);
}

TEST(options_and_records_of_ones_own) {
    run_until_gone(options);
    CHECK_EQ(row("GET", "kept")->failures, 0);
    CHECK_EQ(row("GET", "/moved")->requests, 1);
    CHECK_EQ(row("PUT", "/form")->requests, 1);
    CHECK_EQ(row("GET", "/slow")->failures, 1);
    CHECK_EQ(posted, 1);
    CHECK_EQ(row("DB", "query")->requests, 2);
    CHECK_EQ(row("DB", "query")->none_requests, 1);
    CHECK_EQ(row("DB", "query")->failures, 1);
    CHECK_EQ(row("DB", "query")->response.max, 12500000);
    tear_down();
}

/* ---- Choice. */

static void heavy(gr_user *u) {
    (void)u;
}
static void three_tasks(void) {
    gr_user_class *c = gr_class("A");
    gr_add_task(c, 6, heavy);
    gr_add_task(c, 3, idle_task);
    gr_add_task(c, 1, work);
}

TEST(tasks_are_chosen_by_weight) {
    enum { ROUNDS = 100000 };
    static gr_user u;
    int counts[3] = {0};
    gr__scenario_define(&set, three_tasks);
    u.crew = &crew;
    u.class = set.classes[0];
    gr_rand_seed(&crew.rand, 7);
    for (int i = 0; i < ROUNDS; i++) {
        gr_user_fn *fn = choose_task(&u);
        counts[fn == heavy ? 0 : fn == idle_task ? 1 : 2]++;
    }
    CHECK(abs(counts[0] - ROUNDS * 6 / 10) < ROUNDS / 100);
    CHECK(abs(counts[1] - ROUNDS * 3 / 10) < ROUNDS / 100);
    CHECK(counts[2] > 0);
    gr__scenario_free_classes(&set);
}

/* ---- Ends. */

static void sleepy_class(gr_user_fn *task, double wait) {
    gr_user_class *c = gr_class("A");
    gr_add_task(c, 1, task);
    gr_on_stop(c, part);
    gr_wait_constant(c, wait);
}
static void long_wait(void) {
    sleepy_class(idle_task, 1000);
}
static void stop_politely(gr_timer *t) {
    (void)t;
    gr__user_end(the_user(), GR_S(100));
}

TEST(a_waiting_user_ends_at_once) {
    gr_user_class *c = set_up(long_wait);
    CHECK_EQ(gr__user_start(&crew, c), 0);
    ring_in(GR_MS(5), stop_politely);
    CHECK_EQ(gr_loop_run(loop), 0);
    CHECK_STR(gr_str_c(story), "stop ");
    CHECK_EQ(row("GET", "/bye")->requests, 1);
    tear_down();
}

static void nap_task(gr_user *u) {
    gr_sleep(u, 0.03);
    gr_get(u, "/after");
    tell("done");
}
static void nap(void) {
    sleepy_class(nap_task, 0);
}

TEST(a_user_in_a_task_may_finish_it) {
    gr_user_class *c = set_up(nap);
    CHECK_EQ(gr__user_start(&crew, c), 0);
    ring_in(GR_MS(5), stop_politely);
    CHECK_EQ(gr_loop_run(loop), 0);
    CHECK_STR(gr_str_c(story), "done stop ");
    tear_down();
}

static void slow_task(gr_user *u) {
    gr_get(u, "/slow");
    tell("never");
}
static void slow(void) {
    sleepy_class(slow_task, 0);
}

TEST(without_patience_the_request_is_cut_off_and_counted_as_interrupted) {
    gr_user_class *c = set_up(slow);
    CHECK_EQ(gr__user_start(&crew, c), 0);
    ring_in(GR_MS(20), stop_all);
    CHECK_EQ(gr_loop_run(loop), 0);
    CHECK_STR(gr_str_c(story), "stop ");
    CHECK_EQ(gr_stats_interrupted_count(crew.shard.delta), 1);
    CHECK(gr_stats_find(crew.shard.delta, GR_STR("GET"), GR_STR("/slow")) == NULL);
    CHECK_EQ(row("GET", "/bye")->failures, 0);
    tear_down();
}

static void slow_without_timeouts(void) { /* so that the request has no timer to give back */
    gr_user_class *c = gr_class("A");
    gr_add_task(c, 1, slow_task);
    gr_on_stop(c, part);
    gr_timeouts(c, 0, 0);
}
static gr_timer crowd[1024];
static void stop_without_memory(gr_timer *t) {
    (void)t;
    gr_user *u = the_user();
    for (size_t i = 0; loop->heap_n < loop->heap_cap; i++)
        CHECK(i < GR_LEN(crowd) &&
              gr_timer_start(loop, &crowd[i], gr_clock_ns() + GR_S(1000)) == 0);
    FAIL_ALLOC_AT(0) gr__user_end(u, 0); /* its deadline needs a larger heap */
    CHECK_EQ(u->end, GR_END_DROP);
    for (size_t i = 0; i < GR_LEN(crowd); i++)
        gr_timer_stop(loop, &crowd[i]);
}

TEST(a_request_is_cut_off_once_when_memory_runs_out_meanwhile) {
    gr_user_class *c = set_up(slow_without_timeouts);
    CHECK_EQ(gr__user_start(&crew, c), 0);
    ring_in(GR_MS(20), stop_without_memory);
    CHECK_EQ(gr_loop_run(loop), 0);
    CHECK_EQ(gr_stats_interrupted_count(crew.shard.delta), 1);
    tear_down();
}

static gr_user *other;
static void asks_for_another(gr_user *u) {
    if (gr_user_number(u) == 0) other = u;
    gr_sleep(u, 0.02);
    gr_get(other, "/");
}
static void confused(void) {
    gr_add_task(gr_class("A"), 1, asks_for_another);
}

/* Said in one sentence, and the end: there is no way back from the wrong stack. */
Test(unit, a_request_for_another_user_is_refused, .timeout = 20, .signal = SIGABRT) {
    gr_user_class *c = set_up(confused);
    CHECK_EQ(gr__user_start(&crew, c), 0);
    CHECK_EQ(gr__user_start(&crew, c), 0);
    CHECK_EQ(gr_loop_run(loop), 0);
}

static void stop_soon(gr_timer *t) {
    (void)t;
    gr__user_end(the_user(), GR_MS(10));
}

TEST(patience_ends) {
    gr_user_class *c = set_up(slow);
    CHECK_EQ(gr__user_start(&crew, c), 0);
    ring_in(GR_MS(5), stop_soon);
    CHECK_EQ(gr_loop_run(loop), 0);
    CHECK_STR(gr_str_c(story), "stop ");
    CHECK_EQ(crew.late_n, 1);
    CHECK_EQ(gr_stats_interrupted_count(crew.shard.delta), 1);
    tear_down();
}

static void stubborn(void) {
    gr_user_class *c = gr_class("A");
    gr_add_task(c, 1, idle_task);
    gr_on_stop(c, slow_task);
    gr_wait_constant(c, 1000);
}
static void deadline_passes(gr_timer *t) {
    gr_user *u = the_user();
    if (u->phase == GR_USER_STOPPING) {
        gr_timer_stop(loop, &u->deadline);
        on_deadline(&u->deadline);
        return;
    }
    gr__user_end(u, GR_S(100));
    ring_in(GR_MS(20), t->cb);
}

TEST(an_on_stop_that_never_ends_is_dropped) {
    gr_user_class *c = set_up(stubborn);
    CHECK_EQ(gr__user_start(&crew, c), 0);
    ring_in(GR_MS(1), deadline_passes);
    CHECK_EQ(gr_loop_run(loop), 0);
    CHECK_STR(gr_str_c(story), "");
    CHECK_EQ(gr_stats_interrupted_count(crew.shard.delta), 1);
    tear_down();
}

TEST(a_user_can_be_cut_off_in_its_first_turn) {
    gr_user_class *c = set_up(slow);
    CHECK_EQ(gr__user_start(&crew, c), 0);
    gr__user_end(the_user(), 0);
    gr__user_end(the_user(), 0);
    CHECK_EQ(gr_loop_run(loop), 0);
    CHECK_EQ(gone, 1);
    tear_down();
}

/* ---- Many users; memory. */

static void hundred_task(gr_user *u) {
    int *rounds = gr_data(u);
    if (!rounds) gr_set_data(u, rounds = calloc(1, sizeof *rounds));
    gr_get(u, "/ok");
    gr_post(u, "/form", "a=1");
    gr_get(u, "/missing");
    if (++*rounds < 10) return;
    free(rounds);
    gr_stop_user(u);
}
static void hundred(void) {
    only_once(hundred_task);
}

TEST(a_hundred_users_and_every_request_is_counted) {
    gr_user_class *c = set_up(hundred);
    for (int i = 0; i < 100; i++)
        CHECK_EQ(gr__user_start(&crew, c), 0);
    CHECK_EQ(gr_loop_run(loop), 0);
    CHECK_EQ(gone, 100);
    CHECK_EQ(served, 3000);
    CHECK_EQ(posted, 1000);
    CHECK_EQ(gr_stats_total(crew.shard.delta)->requests, 3000);
    CHECK_EQ(gr_stats_total(crew.shard.delta)->failures, 1000);
    tear_down();
}

/* A sample may be the first in its part of a histogram or in its second, which allocates; a request
 * itself must not. So most rounds have to be free of allocations. */
enum { WARM_ROUNDS = 200, MEASURED_ROUNDS = 500 };
static int clean_rounds;

static void four_requests(gr_user *u, int i) {
    char name[16];
    gr_get(u, "/ok");
    gr_post(u, "/form", "a=1");
    gr_get(u, "/missing");
    snprintf(name, sizeof name, "row %d", i % 4);
    gr_send(u, "/", &(gr_opts){.name = name, .headers = "X-A: b", .body = "a"});
    gr_fail(u, "marked");
}
static void warm_task(gr_user *u) {
    for (int i = 0; i < WARM_ROUNDS; i++)
        four_requests(u, i);
    for (int i = 0; i < MEASURED_ROUNDS; i++) {
        uint64_t before = gr__alloc_calls();
        four_requests(u, i);
        clean_rounds += gr__alloc_calls() == before;
    }
    gr_stop_user(u);
}
static void warm_scenario(void) {
    only_once(warm_task);
}

TEST(a_warm_request_allocates_nothing) {
    run_until_gone(warm_scenario);
    CHECK(clean_rounds > MEASURED_ROUNDS / 2);
    tear_down();
}

TEST(a_user_that_cannot_be_made_leaves_nothing_behind) {
    gr_user_class *c = set_up(nap);
    int rc = GR_E_NOMEM;
    for (uint64_t n = 0; rc == GR_E_NOMEM && n < 100; n++)
        FAIL_ALLOC_AT(n) rc = gr__user_start(&crew, c);
    CHECK_EQ(rc, 0);
    gr__user_end(the_user(), 0);
    CHECK_EQ(gr_loop_run(loop), 0);
    tear_down();
}

TEST(rows_are_found_again_by_address_and_by_text) {
    gr_loop *lp;
    char name[] = "one";
    CHECK_EQ(gr_loop_new(&lp), 0);
    CHECK_EQ(gr__crew_init(&crew, lp), 0);
    gr_entry *one = gr__crew_entry(&crew, GR_STR("GET"), gr_str_c(name));
    CHECK(one && gr__crew_entry(&crew, GR_STR("GET"), gr_str_c(name)) == one);
    CHECK(gr__crew_entry(&crew, GR_STR("PUT"), gr_str_c(name)) != one);
    name[0] = 'O'; /* another name at the same address */
    CHECK_STR(gr__crew_entry(&crew, GR_STR("GET"), gr_str_c(name))->name, "One");
    gr_report *r = gr__crew_report(&crew, GR_REPORT_DELTA);
    CHECK(r && r->delta);
    gr_entry *fresh = gr__crew_entry(&crew, GR_STR("GET"), gr_str_c(name));
    CHECK(gr_stats_find(crew.shard.delta, GR_STR("GET"), GR_STR("One")) == fresh);
    gr_report_free(r);
    gr__crew_deinit(&crew);
    gr_loop_free(lp);
}
