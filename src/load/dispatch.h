/* Which user class the next user gets, and when: Locust's dispatch, deterministic and without I/O.
 *
 * Fixed-count classes are filled first, then classes share users by weight (the Kullback-Leibler rule of
 * `locust-compat.md` section 6); users leave in exact reverse order of arrival; the weighted generator continues across
 * ramps. A ramp is a sequence of steps of floor(rate) users, at least one, floor(rate)/rate seconds apart. */
#ifndef GR_LOAD_DISPATCH_H
#define GR_LOAD_DISPATCH_H

#include "base/base.h"

typedef struct gr_dispatch gr_dispatch;

typedef struct gr_class_spec {
    gr_str name;          /* copied; names decide ties */
    double weight;        /* > 0, or fixed_count > 0 */
    uint32_t fixed_count; /* 0: by weight */
} gr_class_spec;

/* Classes are numbered in the order given, whatever their names. 0, GR_E_NOMEM, or GR_E_INVALID: no class, or one
 * with neither a positive finite weight nor a fixed count. */
int gr_dispatch_new(gr_dispatch **d, const gr_class_spec *classes, size_t n);
void gr_dispatch_free(gr_dispatch *d);

/* Begin a ramp from the current users to `target` at `rate` per second (> 0). `allowed` (n flags) restricts new
 * users to some classes and restarts the weighted generator when it differs from the last one; NULL: as before (all
 * at first). 0, or GR_E_INVALID for a rate that is not positive and finite. */
int gr_dispatch_ramp(gr_dispatch *d, uint32_t target, double rate, const bool *allowed);

/* One step. `counts[i]` becomes the absolute number of users that class i must have now. `*pause` is the time from
 * the start of this step to the next one. Returns 1 while more steps follow, 0 with the last one (which may already be
 * reached: target equal to current gives one step; also when no class can take another user), or GR_E_NOMEM. */
int gr_dispatch_step(gr_dispatch *d, uint32_t *counts, gr_ns *pause);
uint32_t gr_dispatch_total(const gr_dispatch *d);

/* The dispatcher counts what was ordered, not what lives: a user that ends by itself is not replaced,
 * as in Locust. */

#endif
