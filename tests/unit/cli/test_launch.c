/* Which front end runs what, and where the Python side is looked for. */
#include "test.h"
#include "cli/folder.h"
#include "cli/launch.c"

#define ARG(text) ((char *)(uintptr_t)(text)) /* argv's type; nobody writes into it */

/* Launch with `-f value`, or without it when NULL. */
static int launch(gr_launch *l, const char *value, gr_buf *why) {
    char *argv[3] = {ARG("gregaria"), ARG("-f"), ARG(value)};
    char *envp[] = {NULL};
    gr_args *a = gr_args_new();
    CHECK_EQ(gr_args_parse_early(a, value ? 3 : 1, argv, envp, why), 0);
    int rc = gr_launch_init(l, a, why);
    gr_args_free(a);
    return rc;
}

TEST(front_ends) {
    static const struct {
        const char *value;
        gr_front front;
        size_t files;
    } CASES[] = {
        {NULL, GR_FRONT_PYTHON, 1},         {"a.py", GR_FRONT_PYTHON, 1},
        {"a.py , dir", GR_FRONT_PYTHON, 2}, {"a.c", GR_FRONT_NATIVE, 1},
        {"a.so,a.c", GR_FRONT_NATIVE, 2},   {"http://x/y", GR_FRONT_PYTHON, 1},
    };
    enter_empty_folder();
    write_file("locustfile.py", "");
    write_file("locustfile.c", "");
    write_file("a.py", "");
    write_file("a.c", "");
    write_file("a.so", "");
    CHECK_EQ(mkdir("dir", 0700), 0);
    for (size_t i = 0; i < GR_LEN(CASES); i++) {
        gr_launch l;
        gr_buf why = GR_BUF_INIT;
        int rc = launch(&l, CASES[i].value, &why);
        cr_assert(rc == 0, "%.*s", (int)why.n, why.p);
        CHECK_EQ(l.front, CASES[i].front);
        CHECK_EQ(l.files_n, CASES[i].files);
        gr_launch_deinit(&l);
        gr_buf_deinit(&why);
    }
}

TEST(locustfile_c_when_it_is_the_only_one) {
    gr_launch l;
    gr_buf why = GR_BUF_INIT;
    enter_empty_folder();
    write_file("locustfile.c", "");
    CHECK_EQ(launch(&l, NULL, &why), 0);
    CHECK_EQ(l.front, GR_FRONT_NATIVE);
    CHECK_STR(l.files[0], "locustfile.c");
    gr_launch_deinit(&l);
    CHECK_EQ(launch(&l, "locustfile.py", &why), GR_E_INVALID); /* asked for by name */
    gr_buf_deinit(&why);
}

TEST(refusals) {
    static const char *const CASES[][2] = {
        {NULL, "Could not find 'locustfile.py'. Ensure your locustfile ends with '.py' (or '.c' or "
               "'.so') or is a directory with locustfiles. See --help for available options."},
        {"a.txt", "Could not find 'a.txt'. Ensure your locustfile ends with '.py' (or '.c' or "
                  "'.so') or is a directory with locustfiles. See --help for available options."},
        {"none.c", "Could not find 'none.c'. Ensure your locustfile ends with '.py' (or '.c' or "
                   "'.so') or is a directory with locustfiles. See --help for available options."},
        {"a.py,", "Could not find ''. Ensure your locustfile ends with '.py' (or '.c' or '.so') or "
                  "is a directory with locustfiles. See --help for available options."},
        {"a.py,b.c", "C scenarios and Python locustfiles cannot be run together."},
        {"-", "locustfile was set to '-' (meaning to download from master) but --worker was not "
              "specified."},
    };
    enter_empty_folder();
    write_file("a.py", "");
    write_file("a.txt", "");
    write_file("b.c", "");
    for (size_t i = 0; i < GR_LEN(CASES); i++) {
        gr_launch l;
        gr_buf why = GR_BUF_INIT;
        CHECK_EQ(launch(&l, CASES[i][0], &why), GR_E_INVALID);
        CHECK_STR(gr_buf_str(&why), CASES[i][1]);
        gr_buf_deinit(&why);
    }
}

static void check_interpreter(const char *own, const char *venv, const char *expected) {
    gr_buf path = GR_BUF_INIT;
    CHECK_EQ(setenv("GREGARIA_PYTHON", own, 1) | setenv("VIRTUAL_ENV", venv, 1), 0);
    CHECK_EQ(gr_launch_interpreter("/usr/bin/python3", &path), 0);
    CHECK_STR(gr_str_c(path.p), expected);
    gr_buf_deinit(&path);
}

TEST(interpreter) {
    check_interpreter("", "", "/usr/bin/python3");
    check_interpreter("", "/v", "/v/bin/python");
    check_interpreter("python3.13", "/v", "python3.13");
}

TEST(package_in_both_layouts) {
    static const struct {
        const char *tree, *exe, *folder; /* tree: folder to make; folder: NULL when not found */
    } CASES[] = {
        {NULL, "bin/gregaria", NULL},
        {"lib/gregaria/python/locust", "bin/gregaria", "bin/../lib/gregaria/python"},
        {"python/locust", "bin/gregaria", "bin/../python"},
        {NULL, "gregaria", NULL},
    };
    enter_empty_folder();
    CHECK_EQ(mkdir("bin", 0700) | mkdir("lib", 0700) | mkdir("lib/gregaria", 0700), 0);
    CHECK_EQ(mkdir("lib/gregaria/python", 0700) | mkdir("python", 0700), 0);
    for (size_t i = 0; i < GR_LEN(CASES); i++) {
        gr_buf folder = GR_BUF_INIT;
        if (CASES[i].tree) CHECK_EQ(mkdir(CASES[i].tree, 0700), 0);
        int rc = gr_launch_package(CASES[i].exe, &folder);
        CHECK_EQ(rc, CASES[i].folder ? 0 : GR_E_INVALID);
        if (rc == 0) CHECK_STR(gr_str_c(folder.p), CASES[i].folder);
        gr_buf_deinit(&folder);
    }
}

TEST(pythonpath_keeps_what_was_there) {
    gr_buf value = GR_BUF_INIT;
    CHECK_EQ(setenv("PYTHONPATH", "/a:/b", 1), 0);
    CHECK_EQ(gr_launch_pythonpath("/p", &value), 0);
    CHECK_STR(gr_str_c(value.p), "/p:/a:/b");
    gr_buf_clear(&value);
    CHECK_EQ(unsetenv("PYTHONPATH"), 0);
    CHECK_EQ(gr_launch_pythonpath("/p", &value), 0);
    CHECK_STR(gr_str_c(value.p), "/p");
    gr_buf_deinit(&value);
}

TEST(survives_each_failed_allocation) {
    int rc = GR_E_NOMEM;
    enter_empty_folder();
    write_file("a.py", "");
    char *argv[] = {ARG("gregaria"), ARG("-fa.py,a.py")};
    char *envp[] = {NULL};
    gr_args *a = gr_args_new();
    gr_buf why = GR_BUF_INIT;
    CHECK_EQ(gr_args_parse_early(a, 2, argv, envp, &why), 0);
    for (uint64_t n = 0; rc == GR_E_NOMEM && n < 20; n++) {
        gr_launch l;
        FAIL_ALLOC_AT(n) rc = gr_launch_init(&l, a, &why);
        if (rc == 0) gr_launch_deinit(&l);
    }
    CHECK_EQ(rc, 0);
    gr_args_free(a);
    gr_buf_deinit(&why);
}
