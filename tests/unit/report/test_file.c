/* Creating folders and writing whole files. */
#include "test.h"

#include "report/file.c"

#include "scratch.h"

static void check_content(const char *path, const char *want) {
    char got[256] = "";
    FILE *f = fopen(path, "r");
    cr_assert(f);
    got[fread(got, 1, sizeof got - 1, f)] = '\0';
    fclose(f);
    cr_assert_str_eq(got, want);
}

TEST(directories_are_made) {
    enter_scratch();
    CHECK_EQ(gr_file_save("a/b//c", GR_STR("one")), 0);
    check_content("a/b/c", "one");
    CHECK_EQ(gr_file_save("a/b/c", GR_STR("2")), 0);
    check_content("a/b/c", "2");
    char absolute[512];
    char *here = getcwd(NULL, 0);
    snprintf(absolute, sizeof absolute, "%s/x/y", here);
    free(here);
    CHECK_EQ(gr_file_save(absolute, GR_STR("3")), 0);
    check_content("x/y", "3");
}

TEST(failures_are_codes) {
    enter_scratch();
    CHECK_EQ(gr_file_save("f", GR_STR("1")), 0);
    CHECK_EQ(gr_file_save("f/below", GR_STR("1")), -ENOTDIR);
    CHECK_EQ(gr_file_save("f/below/it", GR_STR("1")), -ENOTDIR);
    CHECK_EQ(gr_file_save("/dev/full", GR_STR("1")), -ENOSPC);
    CHECK_EQ(gr_file_save("", GR_STR("1")), -ENOENT);
    CHECK_EQ(gr_file_replace(-1, GR_STR("1")), -EBADF);
    int rc = 0;
    FAIL_ALLOC_AT(0) rc = gr_file_save("g", GR_STR("1"));
    CHECK_EQ(rc, GR_E_NOMEM);
}

TEST(replacing_shortens) {
    enter_scratch();
    int fd = gr_file_create("f");
    CHECK(fd >= 0);
    CHECK_EQ(gr_file_append(fd, GR_STR("long")), 0);
    CHECK_EQ(gr_file_append(fd, GR_STR(" text")), 0);
    check_content("f", "long text");
    CHECK_EQ(gr_file_replace(fd, GR_STR("new")), 0);
    check_content("f", "new");
    CHECK_EQ(gr_file_replace(fd, GR_STR("")), 0);
    check_content("f", "");
    close(fd);
}
