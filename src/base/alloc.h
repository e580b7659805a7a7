/* The heap, counted, and failing on demand. All of our allocations go through here, so that tests
 * can prove that a warm request allocates nothing and that every failed allocation is survived.
 * The counters are per thread. Under GR_HOSTILE freed memory is filled with a pattern. */
#ifndef GR_BASE_ALLOC_H
#define GR_BASE_ALLOC_H

#include <stddef.h>
#include <stdint.h>

void *gr_malloc(size_t bytes);               /* NULL when out of memory */
void *gr_calloc(size_t count, size_t bytes); /* zeroed; NULL when out of memory or on overflow */
void *gr_realloc(void *p, size_t bytes);     /* NULL leaves `p` as it was */
char *gr_strndup(const char *p, size_t n);   /* NUL-terminated copy */
void gr_free(void *p);

uint64_t gr__alloc_calls(void);       /* by this thread so far */
void gr__alloc_fail_at(uint64_t nth); /* let the nth from now fail once; UINT64_MAX: none */

#endif
