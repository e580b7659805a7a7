/* See dispatch.h. Two pickers of classes, one after the other: `fixed` works off the users that
 * fixed-count classes lack, `weighted` goes on for ever. When `fixed` is looked at again is Locust's
 * rule, and visible: only after a user was removed, and only once the last list is worked off.
 *
 * Always: active[0 .. total) are the users in order of arrival, and the classes' counts add up to
 * total. */
#include "load/dispatch.h"
#include "base/alloc.h"
#include "base/err.h"

#include <math.h>

#define NO_CLASS      UINT32_MAX
#define FIRST_USERS   (GR_HOSTILE ? 1u : 64u)
#define PAUSE_S_MAX   1e9 /* 31 years */
#define NS_PER_SECOND 1e9

typedef struct user_class {
    gr_str name; /* in `names` */
    double weight;
    uint32_t fixed_count;
    uint32_t count;
    bool allowed;
} user_class;

/* One candidate. Picking it for the (x - weight + 1)-th time lowers the Kullback-Leibler divergence
 * from the wanted distribution by -gain; the smallest gain is picked. */
typedef struct candidate {
    double gain, x, weight;
    uint32_t class;
} candidate;

typedef struct picker { /* binary heap, smallest on top */
    candidate *heap;
    uint32_t n;
} picker;

struct gr_dispatch {
    user_class *classes;
    uint32_t class_count;
    picker fixed, weighted;
    uint64_t fixed_left; /* picks until `fixed` is worked off */
    bool look_for_fixed;
    uint32_t *active;
    uint32_t total, active_cap;
    uint32_t target, step_users;
    gr_ns pause_ns;
    bool done;
    char names[];
};

static candidate candidate_of(uint32_t class, double weight, double x) {
    return (candidate){weight * log2(x / (x + 1)), x + 1, weight, class};
}

/* Locust also compares the weights before the names, but equal gain and x mean equal weights. */
static bool before(const gr_dispatch *d, const candidate *a, const candidate *b) {
    if (a->gain < b->gain || a->gain > b->gain) return a->gain < b->gain;
    if (a->x < b->x || a->x > b->x) return a->x < b->x;
    int order = gr_str_cmp(d->classes[a->class].name, d->classes[b->class].name);
    return order != 0 ? order < 0 : a->class < b->class;
}

static void sift_down(const gr_dispatch *d, picker *p, uint32_t at) {
    candidate moved = p->heap[at];
    for (uint32_t child; (child = 2 * at + 1) < p->n; at = child) {
        if (child + 1 < p->n && before(d, &p->heap[child + 1], &p->heap[child])) child++;
        if (!before(d, &p->heap[child], &moved)) break;
        p->heap[at] = p->heap[child];
    }
    p->heap[at] = moved;
}

static void picker_add(picker *p, uint32_t class, double weight) {
    p->heap[p->n++] = candidate_of(class, weight, weight);
}

static void picker_order(const gr_dispatch *d, picker *p) {
    for (uint32_t i = p->n / 2; i > 0; i--)
        sift_down(d, p, i - 1);
}

static uint32_t pick(const gr_dispatch *d, picker *p) {
    if (p->n == 0) return NO_CLASS;
    candidate top = p->heap[0];
    p->heap[0] = candidate_of(top.class, top.weight, top.x);
    sift_down(d, p, 0);
    return top.class;
}

static void restart_weighted(gr_dispatch *d) {
    d->weighted.n = 0;
    d->fixed_left = 0;
    for (uint32_t i = 0; i < d->class_count; i++) {
        const user_class *c = &d->classes[i];
        if (c->allowed && c->fixed_count == 0) picker_add(&d->weighted, i, c->weight);
    }
    picker_order(d, &d->weighted);
}

static void restart_fixed(gr_dispatch *d) {
    d->look_for_fixed = false;
    d->fixed.n = 0;
    for (uint32_t i = 0; i < d->class_count; i++) {
        const user_class *c = &d->classes[i];
        if (!c->allowed || c->fixed_count <= c->count) continue;
        picker_add(&d->fixed, i, c->fixed_count - c->count);
        d->fixed_left += c->fixed_count - c->count;
    }
    picker_order(d, &d->fixed);
}

static uint32_t next_class(gr_dispatch *d) {
    if (d->fixed_left == 0 && d->look_for_fixed) restart_fixed(d);
    if (d->fixed_left == 0) return pick(d, &d->weighted);
    d->fixed_left--;
    return pick(d, &d->fixed);
}

static bool spec_valid(const gr_class_spec *spec) {
    return spec->fixed_count > 0 || (spec->weight > 0 && isfinite(spec->weight));
}

static void copy_classes(gr_dispatch *d, const gr_class_spec *specs) {
    char *name = d->names;
    for (uint32_t i = 0; i < d->class_count; i++) {
        const gr_class_spec *spec = &specs[i];
        if (spec->name.n) memcpy(name, spec->name.p, spec->name.n);
        d->classes[i] = (user_class){.name = {name, spec->name.n},
                                     .weight = spec->weight,
                                     .fixed_count = spec->fixed_count,
                                     .allowed = true};
        name += spec->name.n;
    }
}

int gr_dispatch_new(gr_dispatch **made, const gr_class_spec *specs, size_t n) {
    size_t name_bytes = 0;
    if (n == 0 || n >= NO_CLASS / 2) return GR_E_INVALID;
    for (size_t i = 0; i < n; i++) {
        if (!spec_valid(&specs[i])) return GR_E_INVALID;
        name_bytes += specs[i].name.n;
    }
    gr_dispatch *d = gr_calloc(1, sizeof *d + name_bytes);
    if (!d) return GR_E_NOMEM;
    if (!(d->classes = gr_calloc(n, sizeof *d->classes))) goto undo;
    if (!(d->fixed.heap = gr_calloc(n, sizeof *d->fixed.heap))) goto undo;
    if (!(d->weighted.heap = gr_calloc(n, sizeof *d->weighted.heap))) goto undo;
    d->class_count = (uint32_t)n;
    d->look_for_fixed = true;
    d->done = true;
    copy_classes(d, specs);
    restart_weighted(d);
    *made = d;
    return 0;
undo:
    gr_dispatch_free(d);
    return GR_E_NOMEM;
}

void gr_dispatch_free(gr_dispatch *d) {
    if (!d) return;
    gr_free(d->active);
    gr_free(d->weighted.heap);
    gr_free(d->fixed.heap);
    gr_free(d->classes);
    gr_free(d);
}

static void allow(gr_dispatch *d, const bool *allowed) {
    bool changed = false;
    for (uint32_t i = 0; i < d->class_count; i++) {
        changed = changed || d->classes[i].allowed != allowed[i];
        d->classes[i].allowed = allowed[i];
    }
    if (changed) restart_weighted(d);
}

int gr_dispatch_ramp(gr_dispatch *d, uint32_t target, double rate, const bool *allowed) {
    if (!isfinite(rate) || !(rate > 0)) return GR_E_INVALID;
    if (allowed) allow(d, allowed);
    d->target = target;
    d->step_users = rate < UINT32_MAX ? (uint32_t)GR_MAX(1, floor(rate)) : UINT32_MAX;
    double pause_s = GR_MIN(d->step_users / rate, PAUSE_S_MAX);
    d->pause_ns = (gr_ns)(pause_s * NS_PER_SECOND + 0.5);
    d->done = false;
    return 0;
}

static int reserve(gr_dispatch *d, uint32_t extra) {
    if (extra <= d->active_cap - d->total) return 0;
    uint64_t want = (uint64_t)d->total + extra;
    uint64_t cap = GR_MAX(want, GR_MAX((uint64_t)d->active_cap * 2, FIRST_USERS));
    cap = GR_MIN(cap, UINT32_MAX); /* `want` is at most the target */
    uint32_t *active = gr_realloc(d->active, cap * sizeof *active);
    if (!active) return GR_E_NOMEM;
    d->active = active;
    d->active_cap = (uint32_t)cap;
    return 0;
}

/* 1: more to add; 0: target reached, or no class can take another user; or GR_E_NOMEM. */
static int add_users(gr_dispatch *d) {
    uint32_t n = GR_MIN(d->step_users, d->target - d->total);
    int rc = reserve(d, n);
    if (rc < 0) return rc;
    for (; n > 0; n--) {
        uint32_t class = next_class(d);
        if (class == NO_CLASS) return 0;
        d->active[d->total++] = class;
        d->classes[class].count++;
    }
    return d->total < d->target;
}

static int remove_users(gr_dispatch *d) {
    uint32_t n = GR_MIN(d->step_users, d->total - d->target);
    d->look_for_fixed = true;
    for (; n > 0; n--)
        d->classes[d->active[--d->total]].count--;
    return d->total > d->target;
}

int gr_dispatch_step(gr_dispatch *d, uint32_t *counts, gr_ns *pause) {
    int more = 0;
    *pause = 0;
    if (!d->done && d->total < d->target)
        more = add_users(d);
    else if (!d->done && d->total > d->target)
        more = remove_users(d);
    if (more < 0) return more;
    d->done = more == 0;
    if (more) *pause = d->pause_ns;
    for (uint32_t i = 0; i < d->class_count; i++)
        counts[i] = d->classes[i].count;
    return more;
}

uint32_t gr_dispatch_total(const gr_dispatch *d) {
    return d->total;
}
