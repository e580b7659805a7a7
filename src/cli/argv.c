/* The command line by argparse's rules (Python 3.11's), which users rely on more than they know:
 * every word is first classified on its own (option, value, or "--"), then options take the values
 * that follow them, as many as they can hold. The positional user classes are one run of values: the
 * first run that no option takes; a second one is unrecognized. */
#include "base/alloc.h"
#include "base/err.h"
#include "cli/options_int.h"
#include "cli/value.h"

typedef enum word_kind { WORD_VALUE, WORD_OPTION, WORD_DASHES } word_kind;

typedef struct word {
    gr_str text;
    gr_opt *opt;   /* of WORD_OPTION; NULL: nobody's */
    gr_str inside; /* value written in the same word; p is NULL when there is none */
    word_kind kind;
} word;

typedef struct walk {
    gr_args *args;
    word *words;
    gr_str *texts; /* room for as many as there are words */
    size_t n, at;
    bool early;
    bool classes_done;
    gr_buf unknown; /* words that nobody wants, joined by blanks */
    gr_buf *why;
} walk;

static const gr_origin HERE = {.source = GR_SOURCE_COMMAND_LINE};

static gr_opt *positional(gr_args *a) {
    for (size_t i = 0; i < a->n; i++)
        if (a->opts[i].names.n == 0) return &a->opts[i];
    GR_UNREACHABLE();
}

static gr_opt *find_exact(gr_args *a, gr_str name) {
    for (size_t i = 0; i < a->n; i++)
        if (gr__opt_has_name(&a->opts[i], name)) return &a->opts[i];
    return NULL;
}

/* -1, -.5 and the like, which are values although they begin with a dash. */
static bool is_negative_number(gr_str s) {
    size_t dots = 0, digits = 0;
    for (size_t i = 1; i < s.n; i++) {
        bool digit = s.p[i] >= '0' && s.p[i] <= '9';
        if (!digit && (s.p[i] != '.' || dots++)) return false;
        digits = digit ? digits + 1 : 0;
    }
    return digits > 0;
}

/* An option's name that begins with `w`, or for "-u10" its first two bytes. Options that match are
 * counted, their names joined into `matches` (for a message: out of memory only shortens it); two
 * names of one option are no conflict. */
static size_t find_prefix(gr_args *a, word *w, gr_buf *matches) {
    ptrdiff_t equals = gr_str_find(w->text, '=');
    bool is_long = gr_str_starts(w->text, GR_STR("--"));
    bool split = is_long && equals >= 0;
    gr_str prefix = split ? (gr_str){w->text.p, (size_t)equals} : w->text;
    gr_str letter = {w->text.p, 2};
    size_t found = 0;
    for (size_t i = 0; i < a->n; i++) {
        gr_str rest = a->opts[i].names, name;
        bool counted = false;
        while ((name = gr_opt_next_name(&rest)).n) {
            bool short_match = !is_long && gr_str_eq(name, letter);
            if (!short_match && !gr_str_starts(name, prefix)) continue;
            (void)gr_buf_addf(matches, "%s%.*s", matches->n ? ", " : "", (int)name.n, name.p);
            if (counted) continue;
            counted = true;
            found++;
            w->opt = &a->opts[i];
            w->inside = short_match ? gr_str_from(w->text, 2)
                        : split     ? gr_str_from(w->text, (size_t)equals + 1)
                                    : (gr_str){NULL, 0};
        }
    }
    return found;
}

static int classify(walk *k, word *w) {
    gr_str s = w->text;
    w->kind = WORD_VALUE;
    if (s.n < 2 || s.p[0] != '-') return 0;
    w->kind = WORD_OPTION;
    if ((w->opt = find_exact(k->args, s))) return 0;
    ptrdiff_t equals = gr_str_find(s, '=');
    if (equals > 0 && (w->opt = find_exact(k->args, (gr_str){s.p, (size_t)equals}))) {
        w->inside = gr_str_from(s, (size_t)equals + 1);
        return 0;
    }
    gr_buf matches = GR_BUF_INIT;
    size_t found = find_prefix(k->args, w, &matches);
    int rc = 0;
    if (found > 1) {
        w->opt = NULL;
        if (!k->early)
            rc = gr__args_fail(k->why, "ambiguous option: %s could match %.*s", s.p, (int)matches.n,
                               matches.p ? matches.p : "");
    } else if (found == 0 && (is_negative_number(s) || gr_str_find(s, ' ') >= 0)) {
        w->kind = WORD_VALUE;
    }
    gr_buf_deinit(&matches);
    return rc;
}

static int classify_all(walk *k, char *const *argv) {
    bool dashes = false;
    for (size_t i = 0; i < k->n; i++) {
        word *w = &k->words[i];
        int rc = 0;
        *w = (word){.text = gr_str_c(argv[i])};
        if (dashes)
            w->kind = WORD_VALUE;
        else if ((dashes = gr_str_eq(w->text, GR_STR("--"))))
            w->kind = WORD_DASHES;
        else
            rc = classify(k, w);
        if (rc < 0) return rc;
    }
    return 0;
}

static int set(walk *k, gr_opt *o, const gr_str *texts, size_t n) {
    if (k->early && !gr__opt_early(o)) return 0;
    return gr__args_set(k->args, o, &HERE, texts, n, k->why);
}

static int fail(walk *k, const gr_opt *o, const char *what, gr_str value) {
    if (k->early) return 0;
    gr_buf shown = GR_BUF_INIT;
    int rc = value.p ? gr_value_repr(&shown, value) : 0;
    if (rc == 0)
        rc = gr__args_fail_at(k->why, o, &HERE, "%s%s%.*s", what, shown.n ? " " : "", (int)shown.n,
                              shown.n ? shown.p : "");
    gr_buf_deinit(&shown);
    return rc;
}

static bool takes_value(const gr_opt *o) {
    return o->kind != GR_OPT_FLAG && o->kind != GR_OPT_ACTION && o->kind != GR_OPT_REJECTED;
}

/* "-lV": flags written together. `rest` is what follows the first one's letter. */
static int take_cluster(walk *k, gr_opt *o, gr_str rest) {
    while (!takes_value(o)) {
        int rc = set(k, o, NULL, 0);
        if (rc < 0 || !rest.p) return rc;
        char name[] = {'-', rest.n ? rest.p[0] : '\0'};
        gr_opt *next = rest.n ? find_exact(k->args, (gr_str){name, 2}) : NULL;
        if (!next) return fail(k, o, "ignored explicit argument", rest);
        o = next;
        rest = rest.n > 1 ? gr_str_from(rest, 1) : (gr_str){NULL, 0};
    }
    if (rest.p) return set(k, o, &rest, 1);
    if (o->kind != GR_OPT_LIST && (k->at == k->n || k->words[k->at].kind != WORD_VALUE))
        return fail(k, o, "expected one argument", (gr_str){NULL, 0});
    size_t n = 0, most = o->kind == GR_OPT_LIST ? k->n : 1;
    while (n < most && k->at < k->n && k->words[k->at].kind == WORD_VALUE)
        k->texts[n++] = k->words[k->at++].text;
    return set(k, o, k->texts, n);
}

static int add_unknown(walk *k, gr_str text) {
    int rc = k->unknown.n ? gr_buf_add_byte(&k->unknown, ' ') : 0;
    return rc < 0 ? rc : gr_buf_add(&k->unknown, text);
}

static int take_option(walk *k) {
    word *w = &k->words[k->at++];
    if (!w->opt) return add_unknown(k, w->text);
    bool is_long = gr_str_starts(w->text, GR_STR("--"));
    if (!w->inside.p || !is_long || takes_value(w->opt)) return take_cluster(k, w->opt, w->inside);
    if (w->opt->kind == GR_OPT_REJECTED) return set(k, w->opt, NULL, 0);
    return fail(k, w->opt, "ignored explicit argument", w->inside);
}

/* A run of values that no option took, "--" within. */
static int take_classes(walk *k) {
    size_t n = 0, start = k->at;
    bool cut = false; /* argparse drops the first "--" */
    for (; k->at < k->n && k->words[k->at].kind != WORD_OPTION; k->at++) {
        if (k->words[k->at].kind == WORD_DASHES && !cut)
            cut = true;
        else
            k->texts[n++] = k->words[k->at].text;
    }
    if (k->classes_done) {
        int rc = 0;
        for (size_t i = start; rc == 0 && i < k->at; i++)
            rc = add_unknown(k, k->words[i].text);
        return rc;
    }
    k->classes_done = true;
    return n ? set(k, positional(k->args), k->texts, n) : 0;
}

static int walk_words(walk *k) {
    int rc = 0;
    while (rc == 0 && k->at < k->n)
        rc = k->words[k->at].kind == WORD_OPTION ? take_option(k) : take_classes(k);
    if (rc == 0 && k->unknown.n && !k->early)
        rc = gr__args_unknown(k->args, gr_buf_str(&k->unknown), &HERE, k->why);
    return rc;
}

int gr__args_parse_argv(gr_args *a, int argc, char *const *argv, bool early, gr_buf *why) {
    walk k = {.args = a, .n = argc > 1 ? (size_t)argc - 1 : 0, .early = early, .why = why};
    int rc = GR_E_NOMEM;
    if (!(k.words = gr_calloc(k.n, sizeof *k.words))) return rc;
    if (!(k.texts = gr_calloc(k.n, sizeof *k.texts))) goto undo_words;
    rc = classify_all(&k, argv + 1);
    if (rc == 0) rc = walk_words(&k);
    gr_buf_deinit(&k.unknown);
    gr_free(k.texts);
undo_words:
    gr_free(k.words);
    return rc;
}
