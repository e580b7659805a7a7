/* What a scenario says about its user classes: the half of include/gregaria.h that is called while
 * GR_SCENARIO runs, and the checks and preparations that follow it.
 *
 * None of these functions can fail in its caller's hands. The first thing that is wrong is noted in
 * the set's `why`, and the program says it when the scenario function has returned; so a scenario
 * needs no error handling, and a wrong one never runs. */
#include "native/native_int.h"

#include "base/alloc.h"
#include "base/err.h"
#include "base/log.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#define SECONDS_MAX (100.0 * 366 * 86400)

/* FastHttpUser's; a server that says nothing at all must not keep users for ever. */
#define TIMEOUT_DEFAULT GR_S(60)
/* What a user holds of one answer: hostile servers send without end. */
#define BODY_BYTES_MAX ((uint64_t)256 << 20)
#define REDIRECTS_MAX  30 /* as requests */

static gr_scenario_set *defining; /* while a scenario function runs; otherwise NULL */

void gr__scenario_define(gr_scenario_set *set, void (*scenario)(void)) {
    set->why[0] = '\0';
    defining = set;
    scenario();
    defining = NULL;
}

static void wrong(const char *format, ...) GR_PRINTF(1, 2);
static void wrong(const char *format, ...) {
    if (defining->why[0]) return;
    va_list args;
    va_start(args, format);
    vsnprintf(defining->why, sizeof defining->why, format, args);
    va_end(args);
}

/* Whether `c` may be changed now: classes are fixed once users run. */
static bool may_define(const gr_user_class *c, const char *function) {
    if (!defining)
        gr_log(GR_LOG_ERROR, "gregaria.native", "%s does nothing outside of GR_SCENARIO", function);
    else if (!c)
        wrong("%s was given no user class", function);
    return defining && c && c != &defining->invalid;
}

/* ---- Classes. */

static bool valid_name(gr_str name) {
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!letter && !(c >= '0' && c <= '9') && c != '_' && c != '-') return false;
    }
    return name.n > 0;
}

static gr_user_class *find_class(const gr_scenario_set *set, gr_str name) {
    for (size_t i = 0; i < set->n; i++)
        if (gr_str_eq(set->classes[i]->name, name)) return set->classes[i];
    return NULL;
}

static void class_free(gr_user_class *c) {
    for (size_t i = 0; i < c->lines_n; i++)
        gr_free((char *)(uintptr_t)c->lines[i].line.p);
    gr_free(c->lines);
    gr_head_deinit(&c->plain);
    gr_head_deinit(&c->form);
    gr_head_deinit(&c->json);
    gr_free((char *)(uintptr_t)c->host.p);
    gr_free((char *)(uintptr_t)c->name.p);
    gr_free(c->tasks);
    gr_free(c);
}

/* A copy that belongs to a class; empty and with a NULL pointer when out of memory. */
static gr_str own(gr_str s) {
    char *copy = gr_strndup(s.p, s.n);
    return (gr_str){copy, copy ? s.n : 0};
}

static int add_line(gr_user_class *c, gr_str line);

static gr_user_class *class_new(gr_str name) {
    gr_user_class *c = gr_calloc(1, sizeof *c);
    if (!c) return NULL;
    c->name = own(name);
    c->weight = 1;
    c->verify_tls = true;
    c->conf = (gr_http_conf){.connect_timeout_ns = TIMEOUT_DEFAULT,
                             .read_timeout_ns = TIMEOUT_DEFAULT,
                             .body_bytes_max = BODY_BYTES_MAX,
                             .redirects_max = REDIRECTS_MAX,
                             .resends_max = 1,
                             .post_becomes_get_on_301 = true};
    if (!c->name.p || add_line(c, GR_STR("User-Agent: gregaria/" GR_VERSION)) < 0 ||
        add_line(c, GR_STR("Accept: */*")) < 0 ||
        add_line(c, GR_STR("Accept-Encoding: gzip, deflate, br, zstd")) < 0) {
        class_free(c);
        return NULL;
    }
    return c;
}

static int append_class(gr_scenario_set *set, gr_user_class *c) {
    if (set->n == set->cap) {
        size_t cap = set->cap ? set->cap * 2 : 8;
        gr_user_class **classes = gr_realloc(set->classes, cap * sizeof *classes);
        if (!classes) return GR_E_NOMEM;
        set->classes = classes;
        set->cap = cap;
    }
    set->classes[set->n++] = c;
    return 0;
}

gr_user_class *gr_class(const char *name) {
    static gr_user_class nowhere;
    if (!defining) {
        (void)may_define(NULL, "gr_class");
        return &nowhere;
    }
    gr_str s = gr_str_c(name);
    if (!valid_name(s)) {
        wrong("a user class's name has letters, digits, '_' and '-' only, unlike \"%.100s\"",
              name ? name : "");
        return &defining->invalid;
    }
    if (find_class(defining, s)) {
        wrong("there are two user classes named %.100s", name);
        return &defining->invalid;
    }
    gr_user_class *c = class_new(s);
    if (!c || append_class(defining, c) < 0) {
        if (c) class_free(c);
        wrong("out of memory");
        return &defining->invalid;
    }
    return c;
}

void gr_add_task(gr_user_class *c, unsigned weight, gr_user_fn *task) {
    if (!may_define(c, "gr_add_task")) return;
    if (!task) {
        wrong("gr_add_task was given no function for class %s", c->name.p);
        return;
    }
    if (weight == 0) return;
    if (c->tasks_n == c->tasks_cap) {
        size_t cap = c->tasks_cap ? c->tasks_cap * 2 : 4;
        gr_native_task *tasks = gr_realloc(c->tasks, cap * sizeof *tasks);
        if (!tasks) {
            wrong("out of memory");
            return;
        }
        c->tasks = tasks;
        c->tasks_cap = cap;
    }
    c->task_total += weight;
    c->tasks[c->tasks_n++] = (gr_native_task){task, c->task_total};
}

void gr_on_start(gr_user_class *c, gr_user_fn *fn) {
    if (may_define(c, "gr_on_start")) c->on_start = fn;
}

void gr_on_stop(gr_user_class *c, gr_user_fn *fn) {
    if (may_define(c, "gr_on_stop")) c->on_stop = fn;
}

void gr_weight(gr_user_class *c, double weight) {
    if (!may_define(c, "gr_weight")) return;
    if (!(weight > 0) || isinf(weight))
        wrong("the weight of class %s must be above 0, not %g", c->name.p, weight);
    c->weight = weight;
}

void gr_fixed_count(gr_user_class *c, unsigned count) {
    if (may_define(c, "gr_fixed_count")) c->fixed_count = count;
}

/* ---- Waits. */

static void set_wait(gr_user_class *c, const char *function, gr_wait wait) {
    if (!may_define(c, function)) return;
    if (!(wait.a >= 0) || !(wait.b >= 0) || isinf(wait.a) || isinf(wait.b))
        wrong("%s of class %s takes seconds from 0 up", function, c->name.p);
    c->wait = wait;
}

void gr_wait_constant(gr_user_class *c, double seconds) {
    set_wait(c, "gr_wait_constant", (gr_wait){GR_WAIT_CONSTANT, seconds, 0});
}

void gr_wait_between(gr_user_class *c, double min_seconds, double max_seconds) {
    set_wait(c, "gr_wait_between", (gr_wait){GR_WAIT_BETWEEN, min_seconds, max_seconds});
}

void gr_wait_pacing(gr_user_class *c, double seconds) {
    set_wait(c, "gr_wait_pacing", (gr_wait){GR_WAIT_PACING, seconds, 0});
}

void gr_wait_throughput(gr_user_class *c, double tasks_per_second) {
    if (!may_define(c, "gr_wait_throughput")) return;
    if (!(tasks_per_second > 0) || isinf(tasks_per_second))
        wrong("gr_wait_throughput of class %s takes a rate above 0, not %g", c->name.p,
              tasks_per_second);
    else
        set_wait(c, "gr_wait_throughput", (gr_wait){GR_WAIT_PACING, 1 / tasks_per_second, 0});
}

/* ---- HTTP. */

static bool is_http_url(gr_str s) {
    return gr_str_starts(s, GR_STR("http://")) || gr_str_starts(s, GR_STR("https://"));
}

/* Replace a class's host. Paths begin with a slash, so the host must not end in one. */
static int set_host(gr_user_class *c, gr_str url) {
    while (url.n && url.p[url.n - 1] == '/')
        url.n--;
    gr_str host = own(url);
    if (!host.p) return GR_E_NOMEM;
    gr_free((char *)(uintptr_t)c->host.p);
    c->host = host;
    return 0;
}

void gr_host(gr_user_class *c, const char *url) {
    if (!may_define(c, "gr_host")) return;
    if (set_host(c, gr_str_c(url ? url : "")) < 0) wrong("out of memory");
}

static gr_str line_name(gr_str line) {
    ptrdiff_t colon = gr_str_find(line, ':');
    return colon < 0 ? (gr_str){line.p, 0} : gr_str_trim((gr_str){line.p, (size_t)colon});
}

static gr_str line_value(gr_str line) {
    ptrdiff_t colon = gr_str_find(line, ':');
    return gr_str_trim(gr_str_from(line, (size_t)(colon + 1)));
}

/* Add a default header line, or replace the one of that name. */
static int add_line(gr_user_class *c, gr_str line) {
    size_t at = 0;
    while (at < c->lines_n && !gr_str_ieq(c->lines[at].name, line_name(line)))
        at++;
    if (at == c->lines_cap) {
        size_t cap = c->lines_cap ? c->lines_cap * 2 : 4;
        gr_head_line *lines = gr_realloc(c->lines, cap * sizeof *lines);
        if (!lines) return GR_E_NOMEM;
        c->lines = lines;
        c->lines_cap = cap;
    }
    gr_str copy = own(line);
    if (!copy.p) return GR_E_NOMEM;
    if (at == c->lines_n)
        c->lines_n++;
    else
        gr_free((char *)(uintptr_t)c->lines[at].line.p);
    c->lines[at] = (gr_head_line){copy, line_name(copy)};
    return 0;
}

void gr_default_header(gr_user_class *c, const char *line) {
    if (!may_define(c, "gr_default_header")) return;
    gr_str s = gr_str_c(line ? line : "");
    if (line_name(s).n == 0)
        wrong("gr_default_header of class %s takes \"Name: value\", not \"%.100s\"", c->name.p,
              s.p);
    else if (add_line(c, s) < 0)
        wrong("out of memory");
}

gr_ns gr__seconds_ns(double seconds) {
    if (!(seconds > 0)) return 0;
    return (gr_ns)(GR_MIN(seconds, SECONDS_MAX) * 1e9);
}

void gr_timeouts(gr_user_class *c, double connect_seconds, double read_seconds) {
    if (!may_define(c, "gr_timeouts")) return;
    if (!(connect_seconds >= 0) || !(read_seconds >= 0))
        wrong("gr_timeouts of class %s takes seconds from 0 up", c->name.p);
    c->conf.connect_timeout_ns = gr__seconds_ns(connect_seconds);
    c->conf.read_timeout_ns = gr__seconds_ns(read_seconds);
}

void gr_verify_tls(gr_user_class *c, int verify) {
    if (may_define(c, "gr_verify_tls")) c->verify_tls = verify != 0;
}

/* ---- Header lines of a request. */

/* Take the next line off `rest`; false at the end. Empty lines are skipped. */
static bool next_line(gr_str *rest, gr_str *line) {
    while (rest->n) {
        ptrdiff_t end = gr_str_find(*rest, '\n');
        *line = end < 0 ? *rest : (gr_str){rest->p, (size_t)end};
        *rest = gr_str_from(*rest, line->n + 1);
        if (line->n && line->p[line->n - 1] == '\r') line->n--;
        if (line->n) return true;
    }
    return false;
}

static bool has_line(gr_str headers, gr_str name) {
    gr_str line;
    while (next_line(&headers, &line))
        if (gr_str_ieq(line_name(line), name)) return true;
    return false;
}

int gr__class_head(const gr_user_class *c, const char *headers, const char *content_type,
                   gr_head *head) {
    gr_str own_lines = gr_str_c(headers), rest = own_lines, line;
    int rc = 0;
    for (size_t i = 0; i < c->lines_n && rc == 0; i++)
        if (!has_line(own_lines, c->lines[i].name))
            rc = gr_head_add(head, c->lines[i].name, line_value(c->lines[i].line));
    while (rc == 0 && next_line(&rest, &line))
        rc = gr_head_add(head, line_name(line), line_value(line));
    if (rc == 0 && content_type && !has_line(own_lines, GR_STR("Content-Type")))
        rc = gr_head_add(head, GR_STR("Content-Type"), gr_str_c(content_type));
    return rc;
}

/* ---- The finished set. */

static int heads_render(gr_user_class *c) {
    int rc;
    if ((rc = gr__class_head(c, NULL, NULL, &c->plain)) < 0) return rc;
    if ((rc = gr__class_head(c, NULL, "application/x-www-form-urlencoded", &c->form)) < 0)
        return rc;
    return gr__class_head(c, NULL, "application/json", &c->json);
}

static int class_ready(gr_user_class *c, gr_str host, gr_buf *why) {
    int rc;
    if (c->tasks_n == 0) {
        gr_buf_addf(why, "No tasks defined on %s: give it some with gr_add_task.", c->name.p);
        return GR_E_INVALID;
    }
    if (host.n && (rc = set_host(c, host)) < 0) return rc;
    if (c->host.n == 0) {
        gr_buf_addf(why,
                    "You must specify the base host. Either with gr_host for user class %s, or on "
                    "the command line using the --host option.",
                    c->name.p);
        return GR_E_INVALID;
    }
    if (!is_http_url(c->host)) {
        gr_buf_addf(why, "The host must begin with http:// or https://, unlike \"%.200s\".",
                    c->host.p);
        return GR_E_INVALID;
    }
    if ((rc = heads_render(c)) < 0)
        gr_buf_addf(why, "A default header of user class %s cannot be sent: %s.", c->name.p,
                    gr_strerror(rc));
    return rc;
}

int gr__scenario_ready(gr_scenario_set *set, gr_str host, gr_buf *why) {
    for (size_t i = 0; i < set->n; i++) {
        int rc = class_ready(set->classes[i], host, why);
        if (rc < 0) return rc;
    }
    return 0;
}

static bool named(gr_str name, const gr_str *names, size_t names_n) {
    for (size_t i = 0; i < names_n; i++)
        if (gr_str_eq(names[i], name)) return true;
    return false;
}

int gr__scenario_select(gr_scenario_set *set, const gr_str *names, size_t names_n, gr_buf *why) {
    size_t unknown = 0, kept = 0;
    for (size_t i = 0; i < names_n; i++) {
        if (find_class(set, names[i])) continue;
        gr_buf_addf(why, "%s%.*s", unknown++ ? ", " : "Unknown User(s): ", (int)names[i].n,
                    names[i].p);
    }
    if (unknown) return GR_E_INVALID;
    for (size_t i = 0; i < set->n; i++) {
        gr_user_class *c = set->classes[i];
        if (names_n == 0 || named(c->name, names, names_n))
            set->classes[kept++] = c;
        else
            class_free(c);
    }
    set->n = kept;
    return 0;
}

void gr__scenario_free_classes(gr_scenario_set *set) {
    for (size_t i = 0; i < set->n; i++)
        class_free(set->classes[i]);
    gr_free(set->classes);
}
