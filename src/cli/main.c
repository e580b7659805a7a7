/* The program. It reads the options, runs C scenarios itself, and for everything else becomes the
 * Python interpreter, which reads the same options again through the same code (the locustfile may
 * add its own). -h and -V answer before any file is opened. */
#include "base/alloc.h"
#include "base/err.h"
#include "base/log.h"
#include "cli/help.h"
#include "cli/launch.h"
#include "cli/options.h"
#include "native/native.h"

#include <errno.h>
#include <stdio.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>
#include <uv.h>

#define EXIT_BAD_LOCUSTFILE 1

/* Say why, once; returns the exit code. */
static int give_up(int rc, const gr_buf *why, int exit_code) {
    if (rc == GR_E_NOMEM || why->n == 0)
        fprintf(stderr, "gregaria: error: %s\n", gr_strerror(rc));
    else
        fprintf(stderr, "gregaria: error: %.*s\n", (int)why->n, why->p);
    return rc == GR_E_NOMEM ? EXIT_FAILURE : exit_code;
}

static int print_help(const gr_args *a) {
    gr_buf text = GR_BUF_INIT;
    int rc = gr_help_write(a, &text);
    if (rc == 0) fwrite(text.p, 1, text.n, stdout);
    gr_buf_deinit(&text);
    return rc < 0 || fflush(stdout) != 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* Become `python -m locust` with the same arguments. Returns only when that fails. */
static int become_python(char **argv, int argc, gr_buf *why) {
    gr_buf program = GR_BUF_INIT, folder = GR_BUF_INIT, path = GR_BUF_INIT;
    char exe[PATH_MAX];
    size_t exe_bytes = sizeof exe;
    char **args = gr_calloc((size_t)argc + 3, sizeof *args);
    int rc = args ? uv_exepath(exe, &exe_bytes) : GR_E_NOMEM; /* the real path, links resolved */
    if (rc == 0) rc = gr_launch_interpreter(GR_PYTHON_DEFAULT, &program);
    if (rc == 0 && (rc = gr_launch_package(exe, &folder)) == GR_E_INVALID)
        gr_buf_addf(
            why, "the Python package is missing: no ../python or ../lib/gregaria/python beside %s",
            exe);
    if (rc == 0) rc = gr_launch_pythonpath(folder.p, &path);
    if (rc == 0 && setenv("PYTHONPATH", path.p, 1) != 0) rc = GR_E_NOMEM;
    if (rc == 0) {
        char module_flag[] = "-m", module[] = "locust";
        args[0] = program.p;
        args[1] = module_flag;
        args[2] = module;
        for (int i = 1; i < argc; i++)
            args[i + 2] = argv[i];
        execvp(program.p, args);
        rc = -errno;
        gr_buf_addf(
            why, "cannot run the Python interpreter %s: %s (GREGARIA_PYTHON names the one to use)",
            program.p, gr_strerror(rc));
    }
    gr_free(args);
    gr_buf_deinit(&path);
    gr_buf_deinit(&folder);
    gr_buf_deinit(&program);
    return rc;
}

static gr_ns seconds_of(const gr_args *a, const char *dest) {
    int64_t seconds = 0;
    gr_args_int(a, dest, &seconds);
    return GR_S(seconds);
}

/* What the scenario's run needs from the options; 0, or GR_E_INVALID with a sentence. */
static int native_opts(const gr_args *a, const gr_launch *l, gr_native_opts *o, gr_buf *why) {
    const gr_str *tags;
    size_t tags_n;
    int64_t users = 1, exit_code = 1;
    gr_args_int(a, "num_users", &users);
    gr_args_int(a, "exit_code_on_error", &exit_code);
    bool tagged = (gr_args_list(a, "tags", &tags, &tags_n) && tags_n) ||
                  (gr_args_list(a, "exclude_tags", &tags, &tags_n) && tags_n);
    if (tagged) {
        int rc = gr_buf_addc(
            why, "tasks written in C have no tags: --tags and --exclude-tags do not apply");
        return rc < 0 ? rc : GR_E_INVALID;
    }
    *o = (gr_native_opts){.files = l->files,
                          .files_n = l->files_n,
                          .users = (uint32_t)users,
                          .spawn_rate = 1,
                          .stop_timeout_ns = seconds_of(a, "stop_timeout"),
                          .exit_code_on_error =
                              (int)(exit_code & 0xff), /* all that a process can return */
                          .reset_stats = gr_args_flag(a, "reset_stats"),
                          .list_only = gr_args_flag(a, "list_commands"),
                          .control = {.run_time_ns = seconds_of(a, "run_time"),
                                      .tables = !gr_args_flag(a, "skip_log_setup"),
                                      .only_summary = gr_args_flag(a, "only_summary"),
                                      .json = gr_args_flag(a, "json"),
                                      .csv_full_history = gr_args_flag(a, "stats_history_enabled"),
                                      .handle_signals = true,
                                      .keyboard = true}};
    gr_args_list(a, "user_classes", &o->class_names, &o->class_names_n);
    gr_args_text(a, "host", &o->host);
    gr_args_real(a, "spawn_rate", &o->spawn_rate);
    gr_args_text(a, "json_file", &o->control.json_file);
    gr_args_text(a, "csv_prefix", &o->control.csv_prefix);
    return 0;
}

static int open_log(const gr_args *a, gr_buf *why) {
    gr_str file = {NULL, 0}, word = GR_STR("INFO");
    gr_log_level level = GR_LOG_INFO;
    gr_args_text(a, "logfile", &file);
    gr_args_text(a, "loglevel", &word);
    gr_log_level_parse(word, &level);
    if (gr_args_flag(a, "skip_log_setup"))
        return gr_log_open(NULL, GR_LOG_WARNING); /* Python's default */
    int rc = gr_log_open(file.n ? file.p : NULL, level);
    if (rc < 0) gr_buf_addf(why, "cannot open the log file %s: %s", file.p, gr_strerror(rc));
    return rc;
}

static int run_native(gr_args *a, const gr_launch *l, int argc, char **argv, gr_buf *why) {
    gr_native_opts opts;
    int rc = gr_args_parse(a, argc, argv, environ, why);
    if (rc < 0) return give_up(rc, why, GR_ARGS_EXIT_CODE);
    int refused = gr_args_check_run(a, why);
    if (refused) return give_up(GR_E_INVALID, why, refused);
    if ((rc = native_opts(a, l, &opts, why)) < 0) return give_up(rc, why, GR_ARGS_EXIT_CODE);
    if ((rc = open_log(a, why)) < 0) return give_up(rc, why, EXIT_FAILURE);
    return gr_native_main(&opts);
}

static int run(gr_args *a, int argc, char **argv, gr_buf *why) {
    gr_launch launch;
    int rc = gr_args_parse_early(a, argc, argv, environ, why);
    if (rc < 0) return give_up(rc, why, GR_ARGS_EXIT_CODE);
    if (gr_args_flag(a, "help")) return print_help(a);
    if (gr_args_flag(a, "version")) return puts("gregaria " GR_VERSION) < 0 || fflush(stdout) != 0;
    if ((rc = gr_launch_init(&launch, a, why)) < 0) return give_up(rc, why, EXIT_BAD_LOCUSTFILE);
    int code = launch.front == GR_FRONT_NATIVE
                   ? run_native(a, &launch, argc, argv, why)
                   : give_up(become_python(argv, argc, why), why, EXIT_BAD_LOCUSTFILE);
    gr_launch_deinit(&launch);
    return code;
}

int main(int argc, char **argv) {
    gr_buf why = GR_BUF_INIT;
    gr_args *a = gr_args_new();
    if (!a) return give_up(GR_E_NOMEM, &why, EXIT_FAILURE);
    int code = run(a, argc, argv, &why);
    gr_args_free(a);
    gr_buf_deinit(&why);
    return code;
}
