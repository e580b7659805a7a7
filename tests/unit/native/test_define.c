/* What a scenario may say about its classes, what is refused with which sentence, and header lines. */
#include "test.h"

#include "native/define.c"

static gr_scenario_set set;

static void task(gr_user *u) {
    (void)u;
}

static void define(void (*scenario)(void)) {
    gr__scenario_define(&set, scenario);
}

static void refused(void (*scenario)(void), const char *sentence) {
    gr_scenario_set wrong_set = {0};
    gr__scenario_define(&wrong_set, scenario);
    CHECK_STR(gr_str_c(wrong_set.why), sentence);
    gr__scenario_free_classes(&wrong_set);
}

static void two_classes(void) {
    gr_user_class *a = gr_class("A"), *b = gr_class("B-2");
    gr_add_task(a, 3, task);
    gr_add_task(a, 0, task);
    gr_add_task(a, 2, task);
    gr_weight(a, 2.5);
    gr_host(a, "http://a.example//");
    gr_wait_between(a, 1, 3);
    gr_timeouts(a, 0.5, 0);
    gr_add_task(b, 1, task);
    gr_fixed_count(b, 7);
    gr_wait_throughput(b, 4);
    gr_on_start(b, task);
    gr_verify_tls(b, 0);
}

TEST(classes_hold_what_was_said) {
    define(two_classes);
    CHECK_STR(gr_str_c(set.why), "");
    CHECK_EQ(set.n, 2);
    const gr_user_class *a = set.classes[0], *b = set.classes[1];
    CHECK_STR(a->name, "A");
    CHECK_EQ(a->tasks_n, 2);
    CHECK_EQ(a->task_total, 5);
    CHECK_EQ(a->tasks[0].below, 3);
    CHECK(a->weight == 2.5 && a->wait.kind == GR_WAIT_BETWEEN && a->wait.b == 3);
    CHECK_STR(a->host, "http://a.example");
    CHECK_EQ(a->conf.connect_timeout_ns, GR_MS(500));
    CHECK_EQ(a->conf.read_timeout_ns, 0);
    CHECK(a->verify_tls && !b->verify_tls);
    CHECK_EQ(b->conf.read_timeout_ns, TIMEOUT_DEFAULT);
    CHECK_EQ(b->fixed_count, 7);
    CHECK(b->wait.kind == GR_WAIT_PACING && b->wait.a == 0.25);
    CHECK(b->on_start == task && !b->on_stop);
    gr__scenario_free_classes(&set);
}

static void no_class(void) {
    gr_add_task(NULL, 1, task);
}

TEST(a_function_without_its_class_is_refused) {
    refused(no_class, "gr_add_task was given no user class");
}

static void same_name(void) {
    gr_class("A");
    gr_add_task(gr_class("A"), 1, task); /* what is returned can be used */
}
static void bad_name(void) {
    gr_class("a \"b\"");
}
static void no_function(void) {
    gr_add_task(gr_class("A"), 1, NULL);
}
static void bad_weight(void) {
    gr_weight(gr_class("A"), 0);
    gr_weight(gr_class("B"), -1); /* only the first is said */
}
static void bad_wait(void) {
    gr_wait_between(gr_class("A"), 1, -1);
}
static void bad_rate(void) {
    gr_wait_throughput(gr_class("A"), 0);
}
static void bad_header(void) {
    gr_default_header(gr_class("A"), "no colon");
}
static void bad_timeout(void) {
    gr_timeouts(gr_class("A"), 1, (double)NAN);
}

TEST(what_is_wrong_is_one_sentence) {
    refused(same_name, "there are two user classes named A");
    refused(bad_name, "a user class's name has letters, digits, '_' and '-' only, unlike \"a "
                      "\"b\"\"");
    refused(no_function, "gr_add_task was given no function for class A");
    refused(bad_weight, "the weight of class A must be above 0, not 0");
    refused(bad_wait, "gr_wait_between of class A takes seconds from 0 up");
    refused(bad_rate, "gr_wait_throughput of class A takes a rate above 0, not 0");
    refused(bad_header, "gr_default_header of class A takes \"Name: value\", not \"no colon\"");
    refused(bad_timeout, "gr_timeouts of class A takes seconds from 0 up");
}

static gr_log_level logged;
static void sink(void *ctx, gr_log_level level, const char *logger, const char *text) {
    (void)ctx, (void)logger, (void)text;
    logged = level;
}

TEST(defining_outside_of_a_scenario_changes_nothing) {
    gr_log_set_thread_sink(sink, NULL);
    gr_user_class *c = gr_class("Late");
    CHECK(c != NULL);
    CHECK_EQ(logged, GR_LOG_ERROR);
    gr_add_task(c, 1, task);
    CHECK_EQ(c->tasks_n, 0);
}

static void one_class(void) {
    gr_user_class *c = gr_class("A");
    gr_default_header(c, "accept:  text/html ");
    gr_default_header(c, "X-A: 1");
    gr_add_task(c, 1, task);
}

TEST(every_failed_allocation_is_said) {
    bool failed = true;
    for (uint64_t n = 0; failed && n < 100; n++) {
        gr_scenario_set s = {0};
        FAIL_ALLOC_AT(n) gr__scenario_define(&s, one_class);
        failed = s.why[0];
        if (failed) CHECK_STR(gr_str_c(s.why), "out of memory");
        gr__scenario_free_classes(&s);
    }
    CHECK(!failed);
}

TEST(header_lines_are_rendered_and_replaced_by_name) {
    gr_head head = GR_HEAD_INIT;
    define(one_class);
    const gr_user_class *c = set.classes[0];
    CHECK_EQ(gr__class_head(c, "ACCEPT: b\r\n\nX-B:c:d", "text/plain", &head), 0);
    CHECK_STR(gr_buf_str(&head.lines),
              "User-Agent: gregaria/" GR_VERSION "\r\nAccept-Encoding: gzip, deflate, br, zstd\r\n"
              "X-A: 1\r\nACCEPT: b\r\nX-B: c:d\r\nContent-Type: text/plain\r\n");
    gr_head_clear(&head);
    CHECK_EQ(gr__class_head(c, "content-type: a", "b", &head), 0);
    CHECK(memmem(head.lines.p, head.lines.n, "content-type: a\r\n", 17));
    CHECK(!memmem(head.lines.p, head.lines.n, "Content-Type: b", 15));
    gr_head_clear(&head);
    CHECK_EQ(gr__class_head(c, "X: a\rb", NULL, &head), GR_E_REQUEST_HEADER);
    gr_head_clear(&head);
    CHECK_EQ(gr__class_head(c, "nothing", NULL, &head), GR_E_REQUEST_HEADER);
    gr_head_deinit(&head);
    gr__scenario_free_classes(&set);
}

static void taskless(void) {
    gr_host(gr_class("A"), "http://x");
}
static void hostless(void) {
    gr_add_task(gr_class("A"), 1, task);
}
static void bad_default(void) {
    gr_user_class *c = gr_class("A");
    gr_add_task(c, 1, task);
    gr_default_header(c, "X: a\nb");
}

static void unready(void (*scenario)(void), const char *host, const char *sentence) {
    gr_buf why = GR_BUF_INIT;
    gr_scenario_set s = {0};
    gr__scenario_define(&s, scenario);
    CHECK(gr__scenario_ready(&s, gr_str_c(host), &why) < 0);
    CHECK_STR(gr_buf_str(&why), sentence);
    gr_buf_deinit(&why);
    gr__scenario_free_classes(&s);
}

TEST(classes_that_cannot_run_are_refused) {
    unready(taskless, "", "No tasks defined on A: give it some with gr_add_task.");
    unready(hostless, "",
            "You must specify the base host. Either with gr_host for user class A, or on the "
            "command line using the --host option.");
    unready(hostless, "localhost:80",
            "The host must begin with http:// or https://, unlike \"localhost:80\".");
    unready(bad_default, "http://x",
            "A default header of user class A cannot be sent: request header holds a line break "
            "or another invalid byte.");
}

TEST(the_command_line_host_wins_and_heads_are_rendered) {
    gr_buf why = GR_BUF_INIT;
    define(two_classes);
    CHECK_EQ(gr__scenario_ready(&set, GR_STR("https://b/"), &why), 0);
    CHECK_STR(set.classes[0]->host, "https://b");
    CHECK_STR(set.classes[1]->host, "https://b");
    CHECK(memmem(set.classes[0]->form.lines.p, set.classes[0]->form.lines.n, "urlencoded\r\n", 12));
    CHECK(memmem(set.classes[0]->json.lines.p, set.classes[0]->json.lines.n, "json\r\n", 6));
    gr__scenario_free_classes(&set);
}

TEST(classes_are_selected_by_name) {
    gr_buf why = GR_BUF_INIT;
    define(two_classes);
    gr_str unknown[] = {GR_STR("X"), GR_STR("A"), GR_STR("Y")}, b[] = {GR_STR("B-2")};
    CHECK_EQ(gr__scenario_select(&set, unknown, 3, &why), GR_E_INVALID);
    CHECK_STR(gr_buf_str(&why), "Unknown User(s): X, Y");
    CHECK_EQ(gr__scenario_select(&set, NULL, 0, &why), 0);
    CHECK_EQ(set.n, 2);
    CHECK_EQ(gr__scenario_select(&set, b, 1, &why), 0);
    CHECK_EQ(set.n, 1);
    CHECK_STR(set.classes[0]->name, "B-2");
    gr_buf_deinit(&why);
    gr__scenario_free_classes(&set);
}

TEST(seconds_are_bounded) {
    CHECK_EQ(gr__seconds_ns(1.5), 1500000000);
    CHECK_EQ(gr__seconds_ns(-1), 0);
    CHECK_EQ(gr__seconds_ns((double)NAN), 0);
    CHECK_EQ(gr__seconds_ns((double)INFINITY), gr__seconds_ns(SECONDS_MAX));
}
