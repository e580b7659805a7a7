/* Text under construction: a buffer whose first failure sticks, so that a table or a row is written
 * as one run of calls and checked once at its end; and the few things that Python's formatting does
 * and printf does not. Numbers assume LC_NUMERIC "C" in the calling thread (control.c sets it). */
#ifndef GR_REPORT_TEXT_H
#define GR_REPORT_TEXT_H

#include "base/buf.h"
#include "base/clock.h"

typedef struct gr_text {
    gr_buf buf;
    int rc; /* 0, or the first failure; from then on nothing is added */
} gr_text;

#define GR_TEXT_INIT ((gr_text){GR_BUF_INIT, 0})

void gr_text_deinit(gr_text *t);
void gr_text_clear(gr_text *t); /* empty and without failure; keeps the memory */

void gr_text_add(gr_text *t, gr_str s);
void gr_text_addc(gr_text *t, const char *c_string);
void gr_text_addf(gr_text *t, const char *format, ...) GR_PRINTF(2, 3);
void gr_text_repeat(gr_text *t, char c, int times); /* negative counts as 0 */

/* As Python's repr(float): the shortest digits that read back as the same number, "2.0", "1e+16". */
void gr_text_float(gr_text *t, double value);
/* "2026-01-31T12:00:00Z" */
void gr_text_utc(gr_text *t, gr_wall_ns at);

/* Length of the valid UTF-8 sequence that `s` (not empty) begins with; 0 when there is none. */
size_t gr_text_utf8(gr_str s);
/* Bytes that are no UTF-8 become U+FFFD. */
void gr_text_repaired(gr_text *t, gr_str s);
/* For a terminal: control characters but tab and line feed, and bytes that are no UTF-8, become
 * "\x1b"; a server that chooses an error's text must not steer the terminal. Left-aligned to at
 * least `width` characters (code points, as Python counts them). */
void gr_text_cell(gr_text *t, gr_str s, int width);

#endif
