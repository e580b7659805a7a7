/* The text of --help, made from the table of options. */
#ifndef GR_CLI_HELP_H
#define GR_CLI_HELP_H

#include "base/buf.h"
#include "cli/options.h"

/* Append it to `out`, lines of at most 100 columns. Returns 0 or GR_E_NOMEM. */
int gr_help_write(const gr_args *a, gr_buf *out);

#endif
