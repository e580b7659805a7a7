/* See alloc.h. malloc_usable_size tells the hostile build how much to overwrite. */
#include "base/alloc.h"
#include "base/base.h"

#if GR_HOSTILE
#include <malloc.h>
#endif
#include <stdlib.h>

static _Thread_local uint64_t calls;
static _Thread_local uint64_t fail_in = UINT64_MAX;

static bool must_fail(void) {
    calls++;
    if (fail_in == UINT64_MAX) return false;
    if (fail_in-- > 0) return false;
    fail_in = UINT64_MAX;
    return true;
}

void *gr_malloc(size_t bytes) {
    return must_fail() ? NULL : malloc(bytes ? bytes : 1);
}

void *gr_calloc(size_t count, size_t bytes) {
    if (bytes && count > SIZE_MAX / bytes) return NULL; /* ASan's calloc would abort */
    return must_fail() ? NULL : calloc(count ? count : 1, bytes ? bytes : 1);
}

void *gr_realloc(void *p, size_t bytes) {
    return must_fail() ? NULL : realloc(p, bytes ? bytes : 1);
}

char *gr_strndup(const char *p, size_t n) {
    char *copy = gr_malloc(n + 1);
    if (!copy) return NULL;
    if (n) memcpy(copy, p, n);
    copy[n] = '\0';
    return copy;
}

void gr_free(void *p) {
#if GR_HOSTILE && !defined(__SANITIZE_ADDRESS__)
    if (p) memset(p, 0xdb, malloc_usable_size(p));
    __asm__ volatile("" : : "r"(p) : "memory"); /* or the compiler drops stores before free */
#endif
    free(p);
}

uint64_t gr__alloc_calls(void) {
    return calls;
}

void gr__alloc_fail_at(uint64_t nth) {
    fail_in = nth;
}
