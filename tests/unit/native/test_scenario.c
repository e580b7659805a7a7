/* Compiling and loading. The test program exports nothing, so these scenarios define no class; that
 * one which does runs is tested end to end (tests/e2e/test_native.py). */
#include "test.h"

#include "native/scenario.c"

static char dir[] = "/tmp/gregaria-test-XXXXXX";
static char path[sizeof dir + 32];

/* A file in a directory of its own, which is also where the compiler finds gregaria.h. */
static gr_str write_file(const char *name, const char *text) {
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "w");
    cr_assert(f);
    fputs(text, f);
    fclose(f);
    return gr_str_c(path);
}

static void set_up(void) {
    cr_assert(mkdtemp(dir));
    write_file("gregaria.h", "#define GR_SCENARIO const unsigned gr_scenario_version = VERSION;"
                             "void gr_scenario(void); void gr_scenario(void)\n");
    setenv("GREGARIA_INCLUDE", dir, 1);
    setenv("TMPDIR", dir, 1);
    setenv("CC", " cc  -DVERSION=1", 1);
}

static void tear_down(void) {
    char command[sizeof dir + 16];
    snprintf(command, sizeof command, "rm -r %s", dir);
    cr_assert(system(command) == 0);
}

/* Load one file, which must fail with a sentence that holds `fragment`. */
static void fails(gr_str file, const char *fragment) {
    gr_scenario_set set = {0};
    gr_buf why = GR_BUF_INIT;
    CHECK(gr__scenario_load(&set, &file, 1, &why) < 0);
    cr_assert(why.n && memmem(why.p, why.n, fragment, strlen(fragment)), "\"%.*s\" lacks \"%s\"",
              (int)why.n, why.p ? why.p : "", fragment);
    gr_buf_deinit(&why);
    gr__scenario_deinit(&set);
}

/* Criterion 2.4's own fixtures leak, which LeakSanitizer minds. */
#define SCENARIO_TEST(name)                                                                        \
    static void name(void);                                                                        \
    TEST(name##_) {                                                                                \
        set_up();                                                                                  \
        name();                                                                                    \
        tear_down();                                                                               \
    }                                                                                              \
    static void name(void)

SCENARIO_TEST(a_file_that_is_not_there) {
    fails(GR_STR("/nonexistent/x.c"), "Could not read '/nonexistent/x.c': No such file");
}

SCENARIO_TEST(a_file_that_does_not_compile) {
    fails(write_file("broken.c", "int f(void) { return nothing; }\n"), "does not compile.");
    fails(write_file("typo.c", "void f(void);\nvoid f(void) { g(); }\n"), "does not compile.");
}

SCENARIO_TEST(a_compiler_that_is_not_there) {
    gr_str file = write_file("ok.c", "int x;\n");
    setenv("CC", "no-such-compiler -x", 1);
    fails(file, "The C compiler \"no-such-compiler\" cannot be run: No such file");
}

SCENARIO_TEST(a_header_that_is_not_there) {
    gr_str file = write_file("ok.c", "int x;\n");
    setenv("GREGARIA_INCLUDE", "/nonexistent", 1);
    fails(file, "GREGARIA_INCLUDE");
}

SCENARIO_TEST(a_file_without_a_scenario) {
    fails(write_file("empty.c", "int x;\n"), "has no GR_SCENARIO.");
}

SCENARIO_TEST(a_scenario_without_a_class) {
    fails(write_file("none.c", "#include <gregaria.h>\nGR_SCENARIO {}\n"), "No User class found!");
}

SCENARIO_TEST(a_scenario_for_another_version) {
    setenv("CC", "cc -DVERSION=99", 1);
    fails(write_file("old.c", "#include <gregaria.h>\nGR_SCENARIO {}\n"),
          "was built for version 99 of the C API and this program has version 1;");
}

SCENARIO_TEST(something_that_is_no_shared_object) {
    fails(write_file("text.so", "hello\n"), "cannot be loaded: ");
}

SCENARIO_TEST(a_symbol_that_the_program_lacks) {
    fails(write_file("alien.c",
                     "void alien(void);\n#include <gregaria.h>\nGR_SCENARIO { alien(); }\n"),
          "undefined symbol: alien");
}

SCENARIO_TEST(temporary_files_are_removed) {
    fails(write_file("empty.c", "int x;\n"), "has no GR_SCENARIO.");
    char command[sizeof dir + 64];
    snprintf(command, sizeof command, "test -z \"$(ls -d %s/gregaria-* 2>/dev/null)\"", dir);
    CHECK_EQ(system(command), 0);
}

TEST(files_are_recognised_by_their_end) {
    CHECK(gr_native_wants(GR_STR("a.c")));
    CHECK(gr_native_wants(GR_STR("dir/a.so")));
    CHECK(!gr_native_wants(GR_STR("a.py")));
    CHECK(!gr_native_wants(GR_STR(".c")));
    CHECK(!gr_native_wants(GR_STR("")));
}
