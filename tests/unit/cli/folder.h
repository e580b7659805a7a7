/* For tests that need files: an empty folder of their own, below $TMPDIR. */
#ifndef GR_TEST_FOLDER_H
#define GR_TEST_FOLDER_H

#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* Become the only user of a new folder, so that no config file of the machine is found either. */
static inline void enter_empty_folder(void) {
    const char *parent = getenv("TMPDIR");
    char folder[4096];
    snprintf(folder, sizeof folder, "%s/gr-cli-XXXXXX", parent ? parent : "/tmp");
    CHECK(mkdtemp(folder));
    CHECK_EQ(chdir(folder), 0);
}

static inline void write_bytes(const char *name, const char *p, size_t n) {
    FILE *f = fopen(name, "w");
    CHECK(f);
    CHECK_EQ(fwrite(p, 1, n, f), n);
    CHECK_EQ(fclose(f), 0);
}

static inline void write_file(const char *name, const char *text) {
    write_bytes(name, text, strlen(text));
}

#endif
