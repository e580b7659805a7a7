/* Delay distributions as text: "const:5ms", "exp:10ms", "uniform:1ms,20ms", "lognormal:10ms,0.5",
 * "bimodal:1ms,100ms,0.99". A duration is a decimal number with ns, us, ms or s behind it. */
#ifndef SHOP_DELAY_H
#define SHOP_DELAY_H

#include "base/base.h"
#include "base/rand.h"

/* Nothing waits longer, whatever the distribution says: a forgotten unit ends a test, not a day. */
#define DELAY_NS_MAX GR_S(60)

typedef enum { DELAY_CONST, DELAY_EXP, DELAY_UNIFORM, DELAY_LOGNORMAL, DELAY_BIMODAL } delay_kind;

typedef struct delay_dist {
    delay_kind kind;
    double a_ns;  /* the constant, mean, lower end, median, or first mode */
    double b_ns;  /* upper end or second mode */
    double shape; /* sigma, or how often the first mode is taken (0..1) */
} delay_dist;

/* 0, or GR_E_INVALID for anything that is not exactly one of the forms above. */
int delay_parse(const char *text, delay_dist *dist);

/* One draw, at most DELAY_NS_MAX. */
gr_ns delay_draw(const delay_dist *dist, gr_rand *rand);

#endif
