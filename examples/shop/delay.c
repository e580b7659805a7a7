/* Parsing is driven by a table of forms: a name and the kinds of its arguments. Draws use inverse
 * transforms and Box-Muller, so that a run is reproducible from the seed of its generator. */
#include "delay.h"

#include "base/err.h"

#include <math.h>
#include <stdlib.h>

static const struct {
    const char *name;
    delay_kind kind;
    const char *args; /* a: a_ns, b: b_ns, s: shape, p: shape as a probability */
} forms[] = {
    {"const:", DELAY_CONST, "a"},       {"exp:", DELAY_EXP, "a"},
    {"uniform:", DELAY_UNIFORM, "ab"},  {"lognormal:", DELAY_LOGNORMAL, "as"},
    {"bimodal:", DELAY_BIMODAL, "abp"},
};

/* strtod alone would take blanks, signs, "inf", "nan" and hexadecimal as well. */
static bool number_parse(const char **at, double *value) {
    size_t n = strspn(*at, "0123456789.");
    char *end;
    if (n == 0 || n > 30) return false;
    *value = strtod(*at, &end);
    if (end != *at + n) return false;
    *at = end;
    return true;
}

static bool duration_parse(const char **at, double *ns) {
    static const struct {
        const char *name;
        double ns;
    } units[] = {{"ns", 1}, {"us", 1e3}, {"ms", 1e6}, {"s", 1e9}};
    double value;
    if (!number_parse(at, &value)) return false;
    for (size_t i = 0; i < GR_LEN(units); i++) {
        size_t n = strlen(units[i].name);
        if (strncmp(*at, units[i].name, n) != 0) continue;
        *at += n;
        *ns = value * units[i].ns;
        return *ns <= (double)DELAY_NS_MAX;
    }
    return false;
}

static bool arg_parse(char kind, const char **at, delay_dist *dist) {
    if (kind == 'a') return duration_parse(at, &dist->a_ns);
    if (kind == 'b') return duration_parse(at, &dist->b_ns);
    return number_parse(at, &dist->shape) && dist->shape <= (kind == 'p' ? 1 : 10);
}

int delay_parse(const char *text, delay_dist *dist) {
    for (size_t i = 0; i < GR_LEN(forms); i++) {
        size_t name_n = strlen(forms[i].name);
        if (strncmp(text, forms[i].name, name_n) != 0) continue;
        delay_dist parsed = {.kind = forms[i].kind};
        const char *at = text + name_n;
        for (const char *arg = forms[i].args; *arg; arg++) {
            if (arg != forms[i].args && *at++ != ',') return GR_E_INVALID;
            if (!arg_parse(*arg, &at, &parsed)) return GR_E_INVALID;
        }
        if (*at != '\0') return GR_E_INVALID;
        if (parsed.kind == DELAY_UNIFORM && parsed.b_ns < parsed.a_ns) return GR_E_INVALID;
        *dist = parsed;
        return 0;
    }
    return GR_E_INVALID;
}

static double open_unit(gr_rand *rand) { /* (0, 1]: safe for log() */
    return 1.0 - gr_rand_unit(rand);
}

static double draw(const delay_dist *dist, gr_rand *rand) {
    switch (dist->kind) {
    case DELAY_CONST: return dist->a_ns;
    case DELAY_EXP: return -dist->a_ns * log(open_unit(rand));
    case DELAY_UNIFORM: return dist->a_ns + (dist->b_ns - dist->a_ns) * gr_rand_unit(rand);
    case DELAY_BIMODAL: return gr_rand_unit(rand) < dist->shape ? dist->a_ns : dist->b_ns;
    case DELAY_LOGNORMAL: {
        double radius = sqrt(-2.0 * log(open_unit(rand)));
        double normal = radius * cos(6.283185307179586 * gr_rand_unit(rand));
        return dist->a_ns * exp(dist->shape * normal);
    }
    }
    GR_UNREACHABLE();
}

gr_ns delay_draw(const delay_dist *dist, gr_rand *rand) {
    double ns = draw(dist, rand);
    return ns >= (double)DELAY_NS_MAX ? DELAY_NS_MAX : (gr_ns)ns;
}
