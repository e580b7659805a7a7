/* "Did you mean ...?": how alike two short words are, as Python's difflib counts it. */
#ifndef GR_CLI_SUGGEST_H
#define GR_CLI_SUGGEST_H

#include "base/base.h"

#define GR_SUGGEST_BYTES_MAX 64  /* longer words resemble nothing */
#define GR_SUGGEST_RATIO_MIN 0.6 /* difflib.get_close_matches' own cutoff */

/* 0 (nothing in common) to 1 (equal): twice the matching bytes over all bytes. */
double gr_suggest_ratio(gr_str candidate, gr_str word);

#endif
