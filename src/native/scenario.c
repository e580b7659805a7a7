/* From a file name to user classes: a .c file is compiled into a shared object in a directory of
 * its own, which is removed again as soon as the object is loaded (the mapping stays); a .so is
 * loaded as it is. Then its scenario function defines the classes (define.c).
 *
 * The compiler is $CC, or cc; what it has to say goes to stderr as it is. */
#include "native/native.h"
#include "native/native_int.h"

#include "base/alloc.h"
#include "base/err.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define COMPILER_WORDS_MAX 8 /* of $CC, such as "ccache gcc" */

#ifdef __APPLE__
extern char **environ; /* glibc's unistd.h has it */
#endif

static bool ends_with(gr_str s, gr_str suffix) {
    return s.n > suffix.n && gr_str_eq(gr_str_from(s, s.n - suffix.n), suffix);
}

static bool is_source(gr_str file) {
    return ends_with(file, GR_STR(".c"));
}

bool gr_native_wants(gr_str file) {
    return is_source(file) || ends_with(file, GR_STR(".so"));
}

/* ---- Where gregaria.h lies: beside the program, in the build tree or where it was installed. */

static bool has_header(const char *dir) {
    char path[PATH_MAX];
    int n = snprintf(path, sizeof path, "%s/gregaria.h", dir);
    return n > 0 && (size_t)n < sizeof path && access(path, R_OK) == 0;
}

static bool find_include(char *dir, size_t dir_bytes) {
    static const char *const places[] = {"../include", "../../include"};
    const char *told = getenv("GREGARIA_INCLUDE");
    if (told) {
        int n = snprintf(dir, dir_bytes, "%s", told);
        return n > 0 && (size_t)n < dir_bytes && has_header(dir);
    }
    char exe[PATH_MAX];
    size_t exe_n = sizeof exe;
    if (uv_exepath(exe, &exe_n) < 0) return false;
    char *slash = strrchr(exe, '/');
    if (!slash) return false;
    *slash = '\0';
    for (size_t i = 0; i < GR_LEN(places); i++) {
        int n = snprintf(dir, dir_bytes, "%s/%s", exe, places[i]);
        if (n > 0 && (size_t)n < dir_bytes && has_header(dir)) return true;
    }
    return false;
}

/* ---- Compiling. */

/* Split $CC at blanks into words of `argv`; returns their number, at least 1. */
static size_t compiler_words(char *words, const char **argv) {
    size_t n = 0;
    char *save = NULL;
    for (char *w = strtok_r(words, " ", &save); w && n < COMPILER_WORDS_MAX;
         w = strtok_r(NULL, " ", &save))
        argv[n++] = w;
    if (n == 0) argv[n++] = "cc";
    return n;
}

/* What ends this process while the compiler runs waits until the temporary directory is gone. */
static sigset_t ending_signals(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    return set;
}

static bool is_ending(void) {
    sigset_t pending;
    sigpending(&pending);
    return sigismember(&pending, SIGINT) || sigismember(&pending, SIGTERM) ||
           sigismember(&pending, SIGHUP);
}

/* Nothing is blocked in the compiler: Ctrl-C ends it at once. */
static int run_and_wait(const char *const *argv, int *status) {
    pid_t pid;
    posix_spawnattr_t attr;
    sigset_t none;
    int rc = posix_spawnattr_init(&attr);
    if (rc != 0) return -rc;
    sigemptyset(&none);
    posix_spawnattr_setsigmask(&attr, &none);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
    /* posix_spawn's argv is not const for historical reasons only. */
    rc = posix_spawnp(&pid, argv[0], NULL, &attr, (char *const *)(uintptr_t)argv, environ);
    posix_spawnattr_destroy(&attr);
    if (rc != 0) return -rc;
    while (waitpid(pid, status, 0) < 0)
        if (errno != EINTR) return -errno;
    return 0;
}

static int compile(const char *source, const char *object, gr_buf *why) {
    char include[PATH_MAX], words[256];
    const char *cc = getenv("CC");
    if (!find_include(include, sizeof include)) {
        gr_buf_addf(why,
                    "gregaria.h is not where the program was installed; say in GREGARIA_INCLUDE "
                    "which directory has it.");
        return GR_E_INVALID;
    }
    snprintf(words, sizeof words, "%s", cc ? cc : "");
    const char *argv[COMPILER_WORDS_MAX + 20];
    size_t n = compiler_words(words, argv);
    const char *const flags[] = {"-std=gnu11",
                                 "-O2",
                                 "-g",
                                 "-Wall",
                                 "-Werror=implicit-function-declaration",
                                 "-fPIC",
                                 "-shared",
#ifdef __APPLE__
                                 "-undefined",
                                 "dynamic_lookup",
#endif
                                 "-I",
                                 include,
                                 "-o",
                                 object,
                                 source,
                                 "-lm",
                                 NULL};
    for (size_t i = 0; i < GR_LEN(flags); i++)
        argv[n++] = flags[i];
    int status = 0, rc = run_and_wait(argv, &status);
    if (rc < 0) {
        gr_buf_addf(why, "The C compiler \"%s\" cannot be run: %s.", argv[0], gr_strerror(rc));
        return rc;
    }
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        gr_buf_addf(why, "%s does not compile.", source);
        return GR_E_INVALID;
    }
    return 0;
}

/* ---- Loading. */

static int check_version(void *handle, const char *file, gr_buf *why) {
    const unsigned *version = dlsym(handle, "gr_scenario_version");
    if (!version) {
        gr_buf_addf(why, "%s has no GR_SCENARIO.", file);
        return GR_E_INVALID;
    }
    if (*version == GR_API_VERSION) return 0;
    gr_buf_addf(why,
                "%s was built for version %u of the C API and this program has version %u; build "
                "it again with this program's gregaria.h.",
                file, *version, (unsigned)GR_API_VERSION);
    return GR_E_INVALID;
}

static int keep_handle(gr_scenario_set *set, void *handle) {
    void **handles = gr_realloc(set->handles, (set->handles_n + 1) * sizeof *handles);
    if (!handles) return GR_E_NOMEM;
    handles[set->handles_n++] = handle;
    set->handles = handles;
    return 0;
}

/* `file` is what the user called it, `object` what is loaded. */
static int load_object(gr_scenario_set *set, const char *file, const char *object, gr_buf *why) {
    int rc;
    void *handle = dlopen(object, RTLD_NOW | RTLD_LOCAL);
    if (!handle) {
        gr_buf_addf(why, "%s cannot be loaded: %s.", file, dlerror());
        return GR_E_INVALID;
    }
    if ((rc = check_version(handle, file, why)) < 0) goto undo_handle;
    void (*scenario)(void);
    void *symbol = dlsym(handle, "gr_scenario");
    memcpy(&scenario, &symbol, sizeof scenario); /* ISO C has no cast between the two */
    if (!scenario) {
        gr_buf_addf(why, "%s has no GR_SCENARIO.", file);
        rc = GR_E_INVALID;
        goto undo_handle;
    }
    if ((rc = keep_handle(set, handle)) < 0) goto undo_handle;
    gr__scenario_define(set, scenario);
    if (!set->why[0]) return 0;
    gr_buf_addf(why, "%s: %s.", file, set->why);
    return GR_E_INVALID;
undo_handle:
    dlclose(handle);
    return rc;
}

static int load_source(gr_scenario_set *set, const char *file, gr_buf *why) {
    const char *tmp = getenv("TMPDIR");
    char dir[PATH_MAX], object[PATH_MAX + 16];
    sigset_t before, ending = ending_signals();
    int n = snprintf(dir, sizeof dir, "%s/gregaria-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    if (n < 0 || (size_t)n >= sizeof dir || !mkdtemp(dir)) {
        gr_buf_addf(why, "No temporary directory can be made in %s.", tmp && *tmp ? tmp : "/tmp");
        return GR_E_INVALID;
    }
    snprintf(object, sizeof object, "%s/scenario.so", dir);
    pthread_sigmask(SIG_BLOCK, &ending, &before);
    int rc = compile(file, object, why);
    if (rc < 0 || is_ending()) goto undo_dir;
    pthread_sigmask(SIG_SETMASK, &before, NULL); /* a scenario function may loop for ever */
    rc = load_object(set, file, object, why);
undo_dir:
    unlink(object);
    rmdir(dir);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return rc;
}

static int load_file(gr_scenario_set *set, gr_str name, gr_buf *why) {
    char file[PATH_MAX], full[PATH_MAX];
    int n = snprintf(file, sizeof file, "%.*s", (int)GR_MIN(name.n, (size_t)PATH_MAX), name.p);
    int rc = n < 0 || (size_t)n >= sizeof file ? -ENAMETOOLONG : 0;
    if (rc == 0 && (access(file, R_OK) < 0 || !realpath(file, full))) rc = -errno;
    if (rc < 0) {
        gr_buf_addf(why, "Could not read '%s': %s.", file, gr_strerror(rc));
        return rc;
    }
    if (is_source(name)) return load_source(set, file, why);
    return load_object(set, file, full, why); /* without a slash dlopen would search its own path */
}

int gr__scenario_load(gr_scenario_set *set, const gr_str *files, size_t files_n, gr_buf *why) {
    for (size_t i = 0; i < files_n; i++) {
        int rc = load_file(set, files[i], why);
        if (rc < 0) return rc;
    }
    if (set->n) return 0;
    gr_buf_addf(why, "No User class found! Define one with gr_class inside GR_SCENARIO.");
    return GR_E_INVALID;
}

void gr__scenario_deinit(gr_scenario_set *set) {
    gr__scenario_free_classes(set);
    for (size_t i = 0; i < set->handles_n; i++)
        dlclose(set->handles[i]);
    gr_free(set->handles);
    *set = (gr_scenario_set){0};
}
