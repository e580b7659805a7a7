/* See suggest.h. Ratcliff and Obershelp: the longest common run, then the same left and right of it.
 * Each step removes at least one byte, so the depth is bounded by GR_SUGGEST_BYTES_MAX. */
#include "cli/suggest.h"

static size_t common_run(gr_str a, gr_str b, size_t *at_a, size_t *at_b) {
    size_t best = 0;
    for (size_t i = 0; i < a.n; i++)
        for (size_t j = 0; j < b.n; j++) {
            size_t n = 0;
            while (i + n < a.n && j + n < b.n && a.p[i + n] == b.p[j + n])
                n++;
            if (n <= best) continue;
            best = n;
            *at_a = i;
            *at_b = j;
        }
    return best;
}

static size_t matching(gr_str a, gr_str b) {
    size_t i = 0, j = 0;
    size_t run = common_run(a, b, &i, &j);
    if (run == 0) return 0;
    return run + matching((gr_str){a.p, i}, (gr_str){b.p, j}) +
           matching(gr_str_from(a, i + run), gr_str_from(b, j + run));
}

double gr_suggest_ratio(gr_str candidate, gr_str word) {
    if (candidate.n > GR_SUGGEST_BYTES_MAX || word.n > GR_SUGGEST_BYTES_MAX) return 0;
    if (candidate.n + word.n == 0) return 1;
    return 2.0 * (double)matching(candidate, word) / (double)(candidate.n + word.n);
}
