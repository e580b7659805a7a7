/* See options.h. One pass for each source, from the highest rank to the lowest: command line,
 * environment, then the config files, last to first. An option that has a value from a higher source
 * is left alone, and the lower source's text is not even looked at, as in ConfigArgParse.
 *
 * Invariant: the built-in options are opts[0..] in the order of options.def, their strings static;
 * added ones follow, their strings in `specs`. */
#include "cli/options.h"
#include "base/alloc.h"
#include "base/err.h"
#include "base/log.h"
#include "cli/conf.h"
#include "cli/options_int.h"
#include "cli/suggest.h"
#include "cli/value.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>

static const gr_opt TABLE[] = {
#define X(dest_, names_, env_, kind_, initial_, group_, metavar_, state_, help_)                   \
    {.dest = {#dest_, 0},                                                                          \
     .names = {names_, 0},                                                                         \
     .env = {env_, 0},                                                                             \
     .initial = {initial_, 0},                                                                     \
     .metavar = {metavar_, 0},                                                                     \
     .help = {help_, 0},                                                                           \
     .kind = GR_OPT_##kind_,                                                                       \
     .group = GR_GROUP_##group_,                                                                   \
     .state = GR_OPT_##state_},
#include "cli/options.def"
#undef X
};

static void set_lengths(gr_opt *o) { /* TABLE has pointers only */
    gr_str *all[] = {&o->dest, &o->names, &o->env, &o->initial, &o->metavar, &o->help};
    for (size_t i = 0; i < GR_LEN(all); i++)
        *all[i] = gr_str_c(all[i]->p);
}

gr_args *gr_args_new(void) {
    gr_args *a = gr_calloc(1, sizeof *a);
    if (!a) return NULL;
    a->cap = GR_LEN(TABLE) + 8;
    if (!(a->opts = gr_malloc(a->cap * sizeof *a->opts))) {
        gr_free(a);
        return NULL;
    }
    memcpy(a->opts, TABLE, sizeof TABLE);
    a->n = GR_LEN(TABLE);
    for (size_t i = 0; i < a->n; i++)
        set_lengths(&a->opts[i]);
    return a;
}

void gr_args_free(gr_args *a) {
    if (!a) return;
    gr_arena_deinit(&a->values);
    gr_arena_deinit(&a->specs);
    gr_free(a->opts);
    gr_free(a);
}

gr_str gr_opt_next_name(gr_str *names) {
    ptrdiff_t blank = gr_str_find(*names, ' ');
    gr_str name = {names->p, blank < 0 ? names->n : (size_t)blank};
    *names = blank < 0 ? (gr_str){names->p, 0} : gr_str_from(*names, name.n + 1);
    return name;
}

bool gr__opt_has_name(const gr_opt *o, gr_str name) {
    gr_str rest = o->names, one;
    while ((one = gr_opt_next_name(&rest)).n)
        if (gr_str_eq(one, name)) return true;
    return false;
}

bool gr__opt_early(const gr_opt *o) {
    static const char *const EARLY[] = {"locustfile", "config", "help", "version"};
    for (size_t i = 0; i < GR_LEN(EARLY); i++)
        if (!o->added && gr_str_eq(o->dest, gr_str_c(EARLY[i]))) return true;
    return false;
}

/* The name to show alone: the first long one. */
static gr_str long_name(const gr_opt *o) {
    gr_str rest = o->names, name;
    while ((name = gr_opt_next_name(&rest)).n)
        if (gr_str_starts(name, GR_STR("--"))) return name;
    rest = o->names;
    return o->names.n ? gr_opt_next_name(&rest) : o->dest;
}

/* --- errors --- */

int gr__args_fail(gr_buf *why, const char *format, ...) {
    char text[512];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    gr_buf_clear(why);
    size_t shown = n < 0 ? 0 : GR_MIN((size_t)n, sizeof text - 1);
    int rc = gr_buf_add(why, (gr_str){text, shown});
    return rc < 0 ? rc : GR_E_INVALID;
}

/* " (from LOCUST_USERS)" or " (locust.conf:3)"; nothing for the command line. */
static int add_origin(gr_buf *why, const gr_origin *from) {
    if (from->file) return gr_buf_addf(why, " (%s:%u)", from->file, from->line);
    return from->key ? gr_buf_addf(why, " (from %s)", from->key) : 0;
}

int gr__args_fail_at(gr_buf *why, const gr_opt *o, const gr_origin *from, const char *format, ...) {
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    gr_str rest = o->names, name;
    gr_buf_clear(why);
    int rc = gr_buf_addc(why, "argument ");
    for (bool first = true; rc == 0 && (name = gr_opt_next_name(&rest)).n; first = false)
        rc = gr_buf_addf(why, "%s%.*s", first ? "" : "/", (int)name.n, name.p);
    if (rc == 0) rc = gr_buf_addf(why, ": %s", text);
    if (rc == 0) rc = add_origin(why, from);
    return rc < 0 ? rc : GR_E_INVALID;
}

/* As above for "invalid <what> value: <repr>". */
static int fail_value(gr_buf *why, const gr_opt *o, const gr_origin *from, const char *what,
                      gr_str value, const char *behind) {
    gr_buf shown = GR_BUF_INIT;
    int rc = gr_value_repr(&shown, value);
    if (rc == 0)
        rc = gr__args_fail_at(why, o, from, "%s: %.*s%s", what, (int)GR_MIN(shown.n, 200u), shown.p,
                              behind);
    gr_buf_deinit(&shown);
    return rc;
}

int gr__args_unknown(const gr_args *a, gr_str words, const gr_origin *from, gr_buf *why) {
    gr_str best = {NULL, 0}, word = words, rest, name;
    double best_ratio = GR_SUGGEST_RATIO_MIN;
    while (word.n && strchr(" \t", word.p[0]))
        word = gr_str_from(word, 1);
    for (size_t n = 0; n < word.n; n++)
        if (strchr(" \t=", word.p[n])) word.n = n;
    for (size_t i = 0; i < a->n; i++) {
        if (a->opts[i].state != GR_OPT_SHOWN) continue;
        for (rest = a->opts[i].names; (name = gr_opt_next_name(&rest)).n;) {
            double ratio = gr_suggest_ratio(name, word);
            if (ratio < best_ratio) continue;
            if (best.p && ratio <= best_ratio && gr_str_cmp(name, best) < 0) continue;
            best_ratio = ratio;
            best = name;
        }
    }
    gr_buf_clear(why);
    int rc = gr_buf_addc(why, "unrecognized arguments: ");
    if (rc == 0) rc = gr_buf_add(why, words);
    if (rc == 0) rc = add_origin(why, from);
    if (rc == 0 && best.p) rc = gr_buf_addf(why, "\nDid you mean '%.*s'?", (int)best.n, best.p);
    return rc < 0 ? rc : GR_E_INVALID;
}

/* --- values --- */

static int set_text(gr_args *a, gr_opt *o, gr_str text) {
    return gr_arena_copy(&a->values, text, &o->text);
}

static int set_int(gr_opt *o, const gr_origin *from, gr_str text, gr_buf *why) {
    if (gr_value_int(text, &o->number)) return 0;
    return fail_value(why, o, from, "invalid int value", text, "");
}

static int set_rate(gr_opt *o, const gr_origin *from, gr_str text, gr_buf *why) {
    double rate;
    if (!gr_value_float(text, &rate))
        return fail_value(why, o, from, "invalid float value", text, "");
    if (!isfinite(rate)) return gr__args_fail_at(why, o, from, "must be a finite number");
    if (rate <= 0) return gr__args_fail_at(why, o, from, "must be > 0");
    o->real = rate;
    return 0;
}

static int set_timespan(gr_opt *o, const gr_origin *from, gr_str text, gr_buf *why) {
    if (gr_timespan_parse(text, &o->number) == 0) return 0;
    return gr__args_fail_at(why, o, from,
                            "Invalid time span format. Valid formats: 20, 20s, 3m, 2h, 1h20m, "
                            "3h30m10s, etc.");
}

static int set_level(gr_args *a, gr_opt *o, const gr_origin *from, gr_str text, gr_buf *why) {
    gr_log_level level;
    if (gr_log_level_parse(text, &level)) return set_text(a, o, gr_str_c(gr_log_level_name(level)));
    return fail_value(why, o, from, "invalid choice", text,
                      " (choose from 'DEBUG', 'INFO', 'WARNING', 'ERROR', 'CRITICAL')");
}

/* The texts as the option's items, behind those that it has already when `keep`. */
static int set_items(gr_args *a, gr_opt *o, const gr_str *texts, size_t n, bool keep) {
    size_t old = keep ? o->items_n : 0;
    gr_str *items = gr_arena_alloc(&a->values, GR_MAX(old + n, 1u) * sizeof *items);
    if (!items) return GR_E_NOMEM;
    if (old) memcpy(items, o->items, old * sizeof *items);
    for (size_t i = 0; i < n; i++)
        if (gr_arena_copy(&a->values, texts[i], &items[old + i]) < 0) return GR_E_NOMEM;
    o->items = items;
    o->items_n = old + n;
    return 0;
}

static int refuse_absent(const gr_opt *o, const gr_origin *from, gr_buf *why) {
    gr_str name = long_name(o);
    gr_buf_clear(why);
    int rc = gr_buf_addf(why, "%.*s", (int)name.n, name.p);
    if (rc == 0) rc = add_origin(why, from);
    if (rc == 0) rc = gr_buf_addc(why, " is not available in this version of gregaria");
    return rc < 0 ? rc : GR_E_INVALID;
}

int gr__args_set(gr_args *a, gr_opt *o, const gr_origin *from, const gr_str *texts, size_t n,
                 gr_buf *why) {
    bool more = o->source == from->source; /* of an APPEND option */
    int rc = 0;
    if (o->state == GR_OPT_ABSENT) return refuse_absent(o, from, why);
    switch (o->kind) {
    case GR_OPT_FLAG:
    case GR_OPT_ACTION: o->flag = true; break;
    case GR_OPT_INT: rc = set_int(o, from, texts[0], why); break;
    case GR_OPT_RATE: rc = set_rate(o, from, texts[0], why); break;
    case GR_OPT_STRING: rc = set_text(a, o, texts[0]); break;
    case GR_OPT_TIMESPAN: rc = set_timespan(o, from, texts[0], why); break;
    case GR_OPT_LEVEL: rc = set_level(a, o, from, texts[0], why); break;
    case GR_OPT_LIST: rc = set_items(a, o, texts, n, false); break;
    case GR_OPT_APPEND: rc = set_items(a, o, texts, n, more); break;
    case GR_OPT_REJECTED: return gr__args_fail_at(why, o, from, "%s", o->help.p);
    }
    if (rc < 0) return rc;
    o->none = false;
    o->source = from->source;
    return 0;
}

static int reset(gr_args *a, gr_opt *o, gr_buf *why) {
    const gr_origin from = {.source = GR_SOURCE_DEFAULT};
    gr_opt_state state = o->state;
    gr_str initial = o->initial;
    bool flag = o->kind == GR_OPT_FLAG || o->kind == GR_OPT_ACTION;
    o->source = GR_SOURCE_DEFAULT;
    o->none = !flag && !initial.p;
    o->flag = false;
    o->number = 0;
    o->real = 0;
    o->text = (gr_str){NULL, 0};
    o->items = NULL;
    o->items_n = 0;
    if (flag || !initial.p || o->kind == GR_OPT_REJECTED) return 0;
    if (o->kind == GR_OPT_LIST) return set_items(a, o, &initial, initial.n > 0, false);
    o->state = GR_OPT_SHOWN; /* an absent option has its default all the same */
    int rc = gr__args_set(a, o, &from, &initial, 1, why);
    o->state = state;
    return rc;
}

/* --- environment and config files: one text, or a list, for an option --- */

static bool is_list(const gr_opt *o) {
    return o->kind == GR_OPT_LIST || o->kind == GR_OPT_APPEND;
}

static int apply_flag(gr_args *a, gr_opt *o, const gr_origin *from, gr_str text, gr_buf *why) {
    bool on;
    if (gr_value_bool(text, &on)) {
        if (on) return gr__args_set(a, o, from, NULL, 0, why);
        o->source = from->source;
        return 0;
    }
    gr_buf shown = GR_BUF_INIT;
    int rc = gr_value_repr(&shown, text);
    if (rc == 0)
        rc = gr__args_fail(why,
                           "unexpected value for %s: %.*s, expected 'true', 'false', 'yes', 'no', "
                           "'on', 'off', '1' or '0'",
                           from->key, (int)GR_MIN(shown.n, 200u), shown.p);
    gr_buf_deinit(&shown);
    if (rc == GR_E_INVALID && from->file && add_origin(why, from) < 0) return GR_E_NOMEM;
    return rc;
}

static int apply_text(gr_args *a, gr_opt *o, const gr_origin *from, gr_str text, gr_buf *why) {
    const gr_str *items;
    size_t n;
    if (o->source > from->source) return 0;
    if (o->kind == GR_OPT_FLAG || o->kind == GR_OPT_ACTION)
        return apply_flag(a, o, from, text, why);
    bool ignored = is_list(o) || o->state == GR_OPT_ABSENT || o->kind == GR_OPT_REJECTED;
    if (text.n == 0 && ignored) return 0; /* an empty text is as good as none */
    if (!is_list(o)) return gr__args_set(a, o, from, &text, 1, why);
    int rc = o->names.n ? gr_value_list(&a->values, text, &items, &n)
                        : gr_value_words(&a->values, text, &items, &n);
    return rc < 0 ? rc : gr__args_set(a, o, from, items, n, why);
}

static int parse_environment(gr_args *a, char *const *envp, bool early, gr_buf *why) {
    for (size_t i = 0; i < a->n; i++) {
        gr_opt *o = &a->opts[i];
        if (!o->env.n || (early && !gr__opt_early(o))) continue;
        for (char *const *e = envp; *e; e++) {
            gr_str entry = gr_str_c(*e);
            if (!gr_str_starts(entry, o->env) || entry.p[o->env.n] != '=') continue;
            gr_origin from = {.source = GR_SOURCE_ENV, .key = o->env.p};
            int rc = apply_text(a, o, &from, gr_str_from(entry, o->env.n + 1), why);
            if (rc < 0) return rc;
            break;
        }
    }
    return 0;
}

/* By long name with or without its dashes, by letter, or by the unambiguous beginning of a long
 * name; NULL when it is nobody's. */
static gr_opt *find_key(gr_args *a, gr_str key) {
    gr_opt *found = NULL;
    gr_str rest, name;
    bool ambiguous = false;
    while (key.n && key.p[0] == '-')
        key = gr_str_from(key, 1);
    if (key.n == 0) return NULL;
    for (size_t i = 0; i < a->n; i++)
        for (rest = a->opts[i].names; (name = gr_opt_next_name(&rest)).n;) {
            gr_str bare = gr_str_from(name, gr_str_starts(name, GR_STR("--")) ? 2 : 1);
            if (gr_str_eq(bare, key)) return &a->opts[i];
            if (!gr_str_starts(bare, key)) continue;
            ambiguous = ambiguous || (found && found != &a->opts[i]);
            found = &a->opts[i];
        }
    return ambiguous ? NULL : found;
}

static int apply_item(gr_args *a, const gr_conf *c, const gr_conf_item *item, gr_opt_source source,
                      bool early, gr_buf *why) {
    gr_origin from = {source, item->key.p, c->path.p, item->line};
    gr_opt *o = find_key(a, item->key);
    if (early && (!o || !gr__opt_early(o))) return 0;
    if (!o) {
        gr_buf word = GR_BUF_INIT;
        int rc = gr_buf_addf(&word, "--%s", item->key.p + strspn(item->key.p, "-"));
        if (rc == 0) rc = gr__args_unknown(a, gr_buf_str(&word), &from, why);
        gr_buf_deinit(&word);
        return rc;
    }
    if (!item->items) return apply_text(a, o, &from, item->value, why);
    if (o->source > source) return 0;
    if (!is_list(o)) return gr__args_fail_at(why, o, &from, "takes one value, not a list");
    return gr__args_set(a, o, &from, item->items, item->items_n, why);
}

/* One file; a missing one is an error only when `must`. */
static int parse_file(gr_args *a, const char *path, gr_opt_source source, bool must, bool early,
                      gr_buf *why) {
    gr_conf conf = GR_CONF_INIT;
    gr_buf_clear(why);
    int rc = gr_conf_read(&conf, path, why);
    if (rc == -ENOENT)
        rc = must ? gr__args_fail(why, "cannot read the config file %s: %s", path, gr_strerror(rc))
                  : 0;
    else
        for (size_t i = 0; rc == 0 && i < conf.n; i++)
            rc = apply_item(a, &conf, &conf.items[i], source, early, why);
    gr_conf_deinit(&conf);
    return rc == 0 || rc == GR_E_NOMEM ? rc : GR_E_INVALID;
}

static gr_str variable(char *const *envp, const char *name) {
    size_t n = strlen(name);
    for (; *envp; envp++)
        if (strncmp(*envp, name, n) == 0 && (*envp)[n] == '=') return gr_str_c(*envp + n + 1);
    return (gr_str){NULL, 0};
}

/* parse_file for a path that begins with "~/"; without HOME there is no such file. */
static int parse_home_file(gr_args *a, const char *path, gr_opt_source source, bool must,
                           bool early, char *const *envp, gr_buf *why) {
    gr_str home = variable(envp, "HOME");
    gr_buf full = GR_BUF_INIT;
    if (strncmp(path, "~/", 2) != 0 || !home.n) {
        bool no_home = path[0] == '~' && !must;
        return no_home ? 0 : parse_file(a, path, source, must, early, why);
    }
    int rc = gr_buf_addf(&full, "%s%s%c", home.p, path + 1, '\0');
    if (rc == 0) rc = parse_file(a, full.p, source, must, early, why);
    gr_buf_deinit(&full);
    return rc;
}

static int parse_files(gr_args *a, char *const *envp, bool early, gr_buf *why) {
    static const struct {
        const char *path;
        gr_opt_source source;
    } FILES[] = {{"pyproject.toml", GR_SOURCE_PYPROJECT},
                 {"locust.conf", GR_SOURCE_CONF},
                 {"~/.locust.conf", GR_SOURCE_HOME_CONF}};
    gr_str extra;
    int rc = 0;
    if (gr_args_text(a, "config", &extra) && extra.n)
        rc = parse_home_file(a, extra.p, GR_SOURCE_CONFIG, true, early, envp, why);
    for (size_t i = 0; rc == 0 && i < GR_LEN(FILES); i++)
        rc = parse_home_file(a, FILES[i].path, FILES[i].source, false, early, envp, why);
    return rc;
}

static int parse(gr_args *a, int argc, char *const *argv, char *const *envp, bool early,
                 gr_buf *why) {
    int rc = 0;
    gr_arena_reset(&a->values);
    for (size_t i = 0; rc == 0 && i < a->n; i++)
        rc = reset(a, &a->opts[i], why);
    if (rc == 0) rc = gr__args_parse_argv(a, argc, argv, early, why);
    if (rc == 0 && (gr_args_flag(a, "help") || gr_args_flag(a, "version"))) return 0;
    if (rc == 0) rc = parse_environment(a, envp, early, why);
    if (rc == 0) rc = parse_files(a, envp, early, why);
    return rc;
}

int gr_args_parse(gr_args *a, int argc, char *const *argv, char *const *envp, gr_buf *why) {
    return parse(a, argc, argv, envp, false, why);
}

int gr_args_parse_early(gr_args *a, int argc, char *const *argv, char *const *envp, gr_buf *why) {
    return parse(a, argc, argv, envp, true, why);
}

/* --- a locustfile's options --- */

static int check_names(const gr_args *a, gr_str names, gr_buf *why) {
    gr_str name;
    if (names.n == 0) return gr__args_fail(why, "an added option needs a name");
    while ((name = gr_opt_next_name(&names)).n) {
        if (name.n < 2 || name.p[0] != '-' || gr_str_eq(name, GR_STR("--")))
            return gr__args_fail(why, "'%.*s' is no option's name: it must begin with '-'",
                                 (int)name.n, name.p);
        for (size_t i = 0; i < a->n; i++)
            if (gr__opt_has_name(&a->opts[i], name))
                return gr__args_fail(why, "conflicting option string: %.*s", (int)name.n, name.p);
    }
    return 0;
}

int gr_args_add(gr_args *a, const gr_opt *opt, gr_buf *why) {
    int rc = check_names(a, opt->names, why);
    if (rc < 0) return rc;
    if (a->n == a->cap) {
        gr_opt *opts = gr_realloc(a->opts, a->cap * 2 * sizeof *opts);
        if (!opts) return GR_E_NOMEM;
        a->opts = opts;
        a->cap *= 2;
    }
    gr_opt o = {.kind = opt->kind, .group = GR_GROUP_OTHER, .state = GR_OPT_SHOWN, .added = true};
    const gr_str *from[] = {&opt->dest,    &opt->names,   &opt->env,
                            &opt->initial, &opt->metavar, &opt->help};
    gr_str *to[] = {&o.dest, &o.names, &o.env, &o.initial, &o.metavar, &o.help};
    for (size_t i = 0; i < GR_LEN(to); i++)
        if (from[i]->p && gr_arena_copy(&a->specs, *from[i], to[i]) < 0) return GR_E_NOMEM;
    rc = reset(a, &o, why);
    if (rc == 0) a->opts[a->n++] = o;
    return rc;
}

/* --- reading --- */

static const gr_opt *find_dest(const gr_args *a, const char *dest) {
    for (size_t i = 0; i < a->n; i++)
        if (gr_str_eq(a->opts[i].dest, gr_str_c(dest))) return &a->opts[i];
    return NULL;
}

bool gr_args_flag(const gr_args *a, const char *dest) {
    const gr_opt *o = find_dest(a, dest);
    GR_CHECK(o && (o->kind == GR_OPT_FLAG || o->kind == GR_OPT_ACTION));
    return o->flag;
}

bool gr_args_int(const gr_args *a, const char *dest, int64_t *value) {
    const gr_opt *o = find_dest(a, dest);
    GR_CHECK(o && (o->kind == GR_OPT_INT || o->kind == GR_OPT_TIMESPAN));
    if (!o->none) *value = o->number;
    return !o->none;
}

bool gr_args_real(const gr_args *a, const char *dest, double *value) {
    const gr_opt *o = find_dest(a, dest);
    GR_CHECK(o && o->kind == GR_OPT_RATE);
    if (!o->none) *value = o->real;
    return !o->none;
}

bool gr_args_text(const gr_args *a, const char *dest, gr_str *value) {
    const gr_opt *o = find_dest(a, dest);
    GR_CHECK(o && (o->kind == GR_OPT_STRING || o->kind == GR_OPT_LEVEL));
    if (!o->none) *value = o->text;
    return !o->none;
}

bool gr_args_list(const gr_args *a, const char *dest, const gr_str **items, size_t *n) {
    const gr_opt *o = find_dest(a, dest);
    GR_CHECK(o && is_list(o));
    if (!o->none) {
        *items = o->items;
        *n = o->items_n;
    }
    return !o->none;
}

gr_opt_source gr_args_source(const gr_args *a, const char *dest) {
    const gr_opt *o = find_dest(a, dest);
    GR_CHECK(o);
    return o->source;
}

size_t gr_args_count(const gr_args *a) {
    return a->n;
}

const gr_opt *gr_args_at(const gr_args *a, size_t i) {
    GR_CHECK(i < a->n);
    return &a->opts[i];
}

int gr_args_check_run(const gr_args *a, gr_buf *why) {
    gr_str csv;
    int64_t users;
    gr_buf_clear(why);
    if (gr_args_int(a, "num_users", &users) && (users < 0 || users > UINT32_MAX)) {
        gr__args_fail(why, "argument -u/--users: must be between 0 and %" PRIu32, UINT32_MAX);
        return GR_ARGS_EXIT_CODE;
    }
    if (gr_args_flag(a, "stats_history_enabled") && !gr_args_text(a, "csv_prefix", &csv)) {
        gr__args_fail(why, "'--csv-full-history' requires '--csv'.");
        return GR_ARGS_EXIT_CODE;
    }
    bool headless = gr_args_flag(a, "headless") && !gr_args_flag(a, "headful");
    if (headless || gr_args_flag(a, "list_commands")) return 0;
    gr__args_fail(
        why,
        "there is no web page in this version of gregaria yet: start the test with --headless");
    return GR_ARGS_EXIT_CODE;
}
