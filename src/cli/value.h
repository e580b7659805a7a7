/* The texts of option values, as Python's argparse and Locust read them. No option names here. */
#ifndef GR_CLI_VALUE_H
#define GR_CLI_VALUE_H

#include "base/arena.h"
#include "base/base.h"
#include "base/buf.h"

/* "20", "20s", "3m", "1h30m10s": integers only, in the order h, m, s; the whole text. At most
 * GR_TIMESPAN_SECONDS_MAX, so that nanoseconds fit 63 bits. Returns 0 or GR_E_INVALID. */
#define GR_TIMESPAN_SECONDS_MAX 9000000000
int gr_timespan_parse(gr_str s, int64_t *seconds);

/* Python's int() and float() for ASCII texts: blanks around, a sign, single underscores between
 * digits. Integers that do not fit 64 bits are refused. */
bool gr_value_int(gr_str s, int64_t *value);
bool gr_value_float(gr_str s, double *value);

/* true, yes, on, 1 / false, no, off, 0, in any case. */
bool gr_value_bool(gr_str s, bool *value);

/* "[a, "b", 'c']" into its elements; the array and its NUL-terminated strings live in `arena`. A text
 * without both brackets is one element. Returns 0 or GR_E_NOMEM. */
int gr_value_list(gr_arena *arena, gr_str s, const gr_str **items, size_t *n);

/* Words separated by white space; the same lifetimes. */
int gr_value_words(gr_arena *arena, gr_str s, const gr_str **items, size_t *n);

/* Python's repr() of a string: quoted, control characters escaped. */
int gr_value_repr(gr_buf *b, gr_str s);

#endif
