/* Grammar that several files of this layer share. */
#ifndef GR_HTTP_HEADERS_INT_H
#define GR_HTTP_HEADERS_INT_H

#include "base/base.h"

bool gr__http_token(gr_str s); /* RFC 9110 section 5.6.2; empty is none */

/* Take the next item off a comma-separated list, trimmed; empty items are given, too. false: the
 * list is used up. A list is used up from the start only when its pointer is NULL. */
bool gr__http_list_next(gr_str *list, gr_str *item);

/* Does that list hold `item`, in any case? */
bool gr__http_list_has(gr_str list, gr_str item);

#endif
