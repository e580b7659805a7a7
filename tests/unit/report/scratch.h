/* A new, empty current directory for one test, removed when its process ends. */
#ifndef GR_TEST_SCRATCH_H
#define GR_TEST_SCRATCH_H

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char scratch_path[] = "/tmp/gr-test-XXXXXX";

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw) {
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static void remove_scratch(void) {
    (void)nftw(scratch_path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static inline void enter_scratch(void) {
    cr_assert(mkdtemp(scratch_path) && chdir(scratch_path) == 0);
    atexit(remove_scratch);
}

#endif
