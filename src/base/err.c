/* Texts and names of the error codes. */
#include "base/err.h"

#include <stddef.h>
#include <string.h>

const char *gr_strerror(int code) {
    switch (code) {
    case GR_OK: return "no error";
#define X(name, number, text)                                                                      \
    case number:                                                                                   \
        return text;
#include "base/err.def"
#undef X
    default: return strerror(code < 0 && code > -1000 ? -code : code);
    }
}

const char *gr_errname(int code) {
    switch (code) {
#define X(name, number, text)                                                                      \
    case number:                                                                                   \
        return #name;
#include "base/err.def"
#undef X
    default: return NULL;
    }
}
