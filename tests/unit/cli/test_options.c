/* The command line, the environment and the files together: what wins, what is refused, and with
 * which words. Expectations about values were taken from Locust 2.47's own parser. */
#include "test.h"
#include "cli/folder.h"
#include "cli/options.c"

#define ARG(text) ((char *)(uintptr_t)(text)) /* argv's type; nobody writes into it */

#define ARGS_MAX 16

static char *no_env[] = {NULL};

/* "a|b|c" into argv, after a program name; an empty element is an empty argument. */
static int split_args(const char *line, char *store, char **argv) {
    int argc = 0;
    argv[argc++] = ARG("gregaria");
    strcpy(store, line);
    for (char *p = store; line[0] && p;) {
        char *bar = strchr(p, '|');
        CHECK(argc < ARGS_MAX);
        argv[argc++] = p;
        if (bar) *bar = '\0';
        p = bar ? bar + 1 : NULL;
    }
    return argc;
}

/* Parse `line` with the environment of at most one "A=b". */
static int parse_line_env(gr_args *a, const char *line, const char *env, gr_buf *why) {
    char store[1024], setting[256], *argv[ARGS_MAX + 1], *envp[] = {NULL, NULL};
    int argc = split_args(line, store, argv);
    if (env) envp[0] = strcpy(setting, env);
    return gr_args_parse(a, argc, argv, envp, why);
}

/* "none", "true", "5", "2.5", "text" or "[a,b]". */
static void show(const gr_opt *o, char out[256]) {
    if (o->none) {
        strcpy(out, "none");
        return;
    }
    switch (o->kind) {
    case GR_OPT_FLAG:
    case GR_OPT_ACTION:
    case GR_OPT_REJECTED: strcpy(out, o->flag ? "true" : "false"); return;
    case GR_OPT_INT:
    case GR_OPT_TIMESPAN: snprintf(out, 256, "%lld", (long long)o->number); return;
    case GR_OPT_RATE: snprintf(out, 256, "%g", o->real); return;
    case GR_OPT_STRING:
    case GR_OPT_LEVEL: snprintf(out, 256, "%s", o->text.p); return;
    case GR_OPT_LIST:
    case GR_OPT_APPEND: break;
    }
    strcpy(out, "[");
    for (size_t i = 0; i < o->items_n; i++)
        snprintf(out + strlen(out), 256 - strlen(out), "%s%s", i ? "," : "", o->items[i].p);
    strcat(out, "]");
}

static void check_value(const gr_args *a, const char *dest, const char *expected,
                        const char *what) {
    char got[256];
    const gr_opt *o = find_dest(a, dest);
    cr_assert(o, "no option %s", dest);
    show(o, got);
    cr_assert(strcmp(got, expected) == 0, "%s: %s is %s, expected %s", what, dest, got, expected);
}

static void check_why(const gr_buf *why, const char *expected, const char *what) {
    cr_assert(gr_str_eq(gr_buf_str(why), gr_str_c(expected)), "%s: said \"%.*s\", expected \"%s\"",
              what, (int)why->n, why->p ? why->p : "", expected);
}

TEST(defaults_are_locusts) {
    static const char *const DEFAULTS[][2] = {{"locustfile", "locustfile.py"},
                                              {"config", "none"},
                                              {"host", "none"},
                                              {"num_users", "none"},
                                              {"spawn_rate", "none"},
                                              {"run_time", "none"},
                                              {"list_commands", "false"},
                                              {"config_users", "none"},
                                              {"web_host", ""},
                                              {"web_host_display_name", "none"},
                                              {"web_port", "8089"},
                                              {"headless", "false"},
                                              {"autostart", "false"},
                                              {"autoquit", "-1"},
                                              {"headful", "false"},
                                              {"web_auth", "none"},
                                              {"web_login", "false"},
                                              {"tls_cert", ""},
                                              {"tls_key", ""},
                                              {"class_picker", "false"},
                                              {"build_path", ""},
                                              {"legacy_ui", "false"},
                                              {"master", "false"},
                                              {"master_bind_host", "*"},
                                              {"master_bind_port", "5557"},
                                              {"expect_workers", "1"},
                                              {"expect_workers_max_wait", "0"},
                                              {"enable_rebalancing", "false"},
                                              {"expect_slaves", "none"},
                                              {"worker", "false"},
                                              {"processes", "none"},
                                              {"slave", "none"},
                                              {"master_host", "127.0.0.1"},
                                              {"master_port", "5557"},
                                              {"web_base_path", ""},
                                              {"tags", "none"},
                                              {"exclude_tags", "none"},
                                              {"csv_prefix", "none"},
                                              {"stats_history_enabled", "false"},
                                              {"print_stats", "false"},
                                              {"only_summary", "false"},
                                              {"reset_stats", "false"},
                                              {"html_file", "none"},
                                              {"json", "false"},
                                              {"json_file", "none"},
                                              {"skip_log_setup", "false"},
                                              {"loglevel", "INFO"},
                                              {"logfile", "none"},
                                              {"show_task_ratio", "false"},
                                              {"show_task_ratio_json", "false"},
                                              {"exit_code_on_error", "1"},
                                              {"stop_timeout", "0"},
                                              {"equal_weights", "false"},
                                              {"profile", "none"},
                                              {"otel", "false"},
                                              {"user_classes", "[]"}};
    gr_args *a = gr_args_new();
    gr_buf why = GR_BUF_INIT;
    enter_empty_folder();
    CHECK_EQ(parse_line_env(a, "", NULL, &why), 0);
    for (size_t i = 0; i < GR_LEN(DEFAULTS); i++) {
        check_value(a, DEFAULTS[i][0], DEFAULTS[i][1], "defaults");
        CHECK_EQ(gr_args_source(a, DEFAULTS[i][0]), GR_SOURCE_DEFAULT);
    }
    CHECK_EQ(gr_args_count(a), GR_LEN(DEFAULTS) + 2); /* help and version are no attributes */
    gr_args_free(a);
    gr_buf_deinit(&why);
}

TEST(values_from_command_line_and_environment) {
    static const struct {
        const char *line, *env, *dest, *value;
    } CASES[] = {
        {"-u|5", NULL, "num_users", "5"},
        {"-u5", NULL, "num_users", "5"},
        {"-u=7", NULL, "num_users", "7"},
        {"--users=3", NULL, "num_users", "3"},
        {"--use|3", NULL, "num_users", "3"},
        {"--user=4", NULL, "num_users", "4"},
        {"-u|-1", NULL, "num_users", "-1"},
        {"-u| 1_000 ", NULL, "num_users", "1000"},
        {"-u|1|-u|2", NULL, "num_users", "2"},
        {"-lu5", NULL, "num_users", "5"},
        {"-lu5", NULL, "list_commands", "true"},
        {"-r|2.5", NULL, "spawn_rate", "2.5"},
        {"-r1e1", NULL, "spawn_rate", "10"},
        {"-t1h30m", NULL, "run_time", "5400"},
        {"--run|20", NULL, "run_time", "20"},
        {"-s3m", NULL, "stop_timeout", "180"},
        {"--headl", NULL, "headless", "true"},
        {"-Ldebug", NULL, "loglevel", "DEBUG"},
        {"--host=", NULL, "host", ""},
        {"-H|a b", NULL, "host", "a b"},
        {"-H|-a b", NULL, "host", "-a b"},
        {"--csv|x/y", NULL, "csv_prefix", "x/y"},
        {"--csv=--", NULL, "csv_prefix", "--"},
        {"--tags|a|b", NULL, "tags", "[a,b]"},
        {"--tags|a|b", NULL, "user_classes", "[]"},
        {"--tags|a|--|B", NULL, "user_classes", "[B]"},
        {"--tags", NULL, "tags", "[]"},
        {"--tags=a|B", NULL, "tags", "[a]"},
        {"--tags=a|B", NULL, "user_classes", "[B]"},
        {"A|B|-T|x", NULL, "user_classes", "[A,B]"},
        {"-u|5|A|B", NULL, "user_classes", "[A,B]"},
        {"-u|5|--|-A|--|B", NULL, "user_classes", "[-A,--,B]"},
        {"-u|5|A|--|B", NULL, "user_classes", "[A,B]"},
        {"--", "LOCUST_USER_CLASSES=K", "user_classes", "[K]"},
        {"-5|-.5", NULL, "user_classes", "[-5,-.5]"},
        {"-", NULL, "user_classes", "[-]"},
        {"--json", NULL, "json", "true"}, /* exact, although --json-file begins so too */
        {"", "LOCUST_USERS=5", "num_users", "5"},
        {"-u6", "LOCUST_USERS=5", "num_users", "6"},
        {"-u6", "LOCUST_USERS=junk", "num_users", "6"},
        {"", "LOCUST_HEADLESS=YES", "headless", "true"},
        {"", "LOCUST_HEADLESS=off", "headless", "false"},
        {"--headless", "LOCUST_HEADLESS=false", "headless", "true"},
        {"", "LOCUST_TAGS=[a, b]", "tags", "[a,b]"},
        {"", "LOCUST_TAGS=[\"a b\", c]", "tags", "[a b,c]"},
        {"", "LOCUST_TAGS=a b", "tags", "[a b]"},
        {"", "LOCUST_TAGS=", "tags", "none"},
        {"", "LOCUST_HOST=", "host", ""},
        {"", "LOCUST_USER_CLASSES= K  L ", "user_classes", "[K,L]"},
        {"M", "LOCUST_USER_CLASSES=K L", "user_classes", "[M]"},
        {"", "LOCUST_USERS_X=5", "num_users", "none"},
        {"", "LOCUST_MODE_MASTER=false", "master", "false"},
        {"", "LOCUST_HTML=", "html_file", "none"},
    };
    enter_empty_folder();
    for (size_t i = 0; i < GR_LEN(CASES); i++) {
        gr_args *a = gr_args_new();
        gr_buf why = GR_BUF_INIT;
        int rc = parse_line_env(a, CASES[i].line, CASES[i].env, &why);
        cr_assert(rc == 0, "%s: %.*s", CASES[i].line, (int)why.n, why.p);
        check_value(a, CASES[i].dest, CASES[i].value, CASES[i].line);
        gr_args_free(a);
        gr_buf_deinit(&why);
    }
}

TEST(refusals) {
    static const struct {
        const char *line, *env, *why;
    } CASES[] = {
        {"-u|x", NULL, "argument -u/--users: invalid int value: 'x'"},
        {"-u|it's", NULL, "argument -u/--users: invalid int value: \"it's\""},
        {"-u", NULL, "argument -u/--users: expected one argument"},
        {"-u|-l", NULL, "argument -u/--users: expected one argument"},
        {"-u|--|5", NULL, "argument -u/--users: expected one argument"},
        {"-u99999999999999999999", NULL,
         "argument -u/--users: invalid int value: '99999999999999999999'"},
        {"-r|x", NULL, "argument -r/--spawn-rate: invalid float value: 'x'"},
        {"-r|0", NULL, "argument -r/--spawn-rate: must be > 0"},
        {"-r-1", NULL, "argument -r/--spawn-rate: must be > 0"},
        {"-r|inf", NULL, "argument -r/--spawn-rate: must be a finite number"},
        {"-s|1.5s", NULL,
         "argument -s/--stop-timeout: Invalid time span format. Valid formats: 20, 20s, 3m, 2h, "
         "1h20m, 3h30m10s, etc."},
        {"-L|x", NULL,
         "argument --loglevel/-L: invalid choice: 'x' (choose from 'DEBUG', 'INFO', 'WARNING', "
         "'ERROR', 'CRITICAL')"},
        {"--headless=true", NULL, "argument --headless: ignored explicit argument 'true'"},
        {"-l5", NULL, "argument -l/--list: ignored explicit argument '5'"},
        {"-l=", NULL, "argument -l/--list: ignored explicit argument ''"},
        {"--js", NULL, "ambiguous option: --js could match --json, --json-file"},
        {"--foo", NULL, "unrecognized arguments: --foo"},
        {"--hots=x|y|-z", NULL, "unrecognized arguments: --hots=x -z\nDid you mean '--host'?"},
        {"A|-u5|B|-l|C", NULL, "unrecognized arguments: B C"},
        {"-u5|A|-l|--|B", NULL, "unrecognized arguments: -- B"},
        {"--master", NULL, "--master is not available in this version of gregaria"},
        {"-P80", NULL, "--web-port is not available in this version of gregaria"},
        {"", "LOCUST_MODE_MASTER=1",
         "--master (from LOCUST_MODE_MASTER) is not available in this version of gregaria"},
        {"--config-users|{}", NULL, "--config-users is not available in this version of gregaria"},
        {"--slave", NULL, "argument --slave: --slave is now called --worker"},
        {"--expect-slaves", NULL,
         "argument --expect-slaves: --expect-slaves is now called --expect-workers"},
        {"--web-auth=fx", NULL, "argument --web-auth: --web-auth is gone, use --web-login instead"},
        {"--legacy-ui", NULL, "argument --legacy-ui: --legacy-ui is gone, leave it out"},
        {"", "LOCUST_USERS=q", "argument -u/--users: invalid int value: 'q' (from LOCUST_USERS)"},
        {"", "LOCUST_USERS=", "argument -u/--users: invalid int value: '' (from LOCUST_USERS)"},
        {"", "LOCUST_HEADLESS=",
         "unexpected value for LOCUST_HEADLESS: '', expected 'true', 'false', 'yes', 'no', 'on', "
         "'off', '1' or '0'"},
        {"--config|none.conf", NULL,
         "cannot read the config file none.conf: No such file or directory"},
    };
    enter_empty_folder();
    for (size_t i = 0; i < GR_LEN(CASES); i++) {
        gr_args *a = gr_args_new();
        gr_buf why = GR_BUF_INIT;
        CHECK_EQ(parse_line_env(a, CASES[i].line, CASES[i].env, &why), GR_E_INVALID);
        check_why(&why, CASES[i].why, CASES[i].line);
        gr_args_free(a);
        gr_buf_deinit(&why);
    }
}

/* Every rank sets the option; each test step takes the highest one away. */
TEST(precedence_of_the_sources) {
    char *argv[] = {ARG("gregaria"), ARG("--config=own.conf"), ARG("-H1")};
    char home[600], *envp[] = {ARG("LOCUST_HOST=2"), home, NULL};
    gr_args *a = gr_args_new();
    gr_buf why = GR_BUF_INIT;
    enter_empty_folder();
    CHECK(getcwd(home + 5, 500));
    memcpy(home, "HOME=", 5);
    strcat(home, "/h");
    CHECK_EQ(mkdir("h", 0700), 0);
    write_file("own.conf", "host = 3\n");
    write_file("pyproject.toml", "[tool.locust]\nhost = \"4\"\n");
    write_file("locust.conf", "[locust]\nhost = 5\n");
    write_file("h/.locust.conf", "host = 6\n");
    for (int step = 1; step <= 6; step++) {
        char expected[2] = {(char)('0' + step), '\0'};
        if (step == 2) argv[2] = ARG("-l");
        if (step == 3) envp[0] = ARG("X=y");
        if (step == 4) argv[1] = ARG("-l");
        if (step == 5) CHECK_EQ(unlink("pyproject.toml"), 0);
        if (step == 6) CHECK_EQ(unlink("locust.conf"), 0);
        CHECK_EQ(gr_args_parse(a, 3, argv, envp, &why), 0);
        check_value(a, "host", expected, "rank");
        CHECK_EQ(gr_args_source(a, "host"), GR_SOURCE_COMMAND_LINE + 1 - step);
    }
    gr_args_free(a);
    gr_buf_deinit(&why);
}

TEST(a_false_flag_of_a_higher_source_stays_false) {
    gr_args *a = gr_args_new();
    gr_buf why = GR_BUF_INIT;
    enter_empty_folder();
    write_file("locust.conf", "headless = true\n");
    CHECK_EQ(parse_line_env(a, "", NULL, &why), 0);
    check_value(a, "headless", "true", "file alone");
    CHECK_EQ(parse_line_env(a, "", "LOCUST_HEADLESS=false", &why), 0);
    check_value(a, "headless", "false", "environment over file");
    gr_args_free(a);
    gr_buf_deinit(&why);
}

TEST(keys_of_config_files) {
    static const struct {
        const char *text, *dest, *value; /* dest NULL: refused with `value` */
    } CASES[] = {
        {"users = 8", "num_users", "8"},
        {"--users: 8", "num_users", "8"},
        {"-u 8", "num_users", "8"},
        {"u = 8", "num_users", "8"},
        {"use = 8", "num_users", "8"},
        {"t = 1m", "run_time", "60"}, /* the letter, although two long names begin so */
        {"users = 8\nusers = 9", "num_users", "9"},
        {"tags = [a, b]", "tags", "[a,b]"},
        {"tags = one", "tags", "[one]"},
        {"tags =", "tags", "none"},
        {"headless", "headless", "true"},
        {"json", "json", "true"},
        {"web-port = ", "web_port", "8089"},
        {"\nrun_time = 5m", NULL,
         "unrecognized arguments: --run_time (locust.conf:2)\nDid you mean '--run-time'?"},
        {"host = [a]", "host", "[a]"},
        {"headless = maybe", NULL,
         "unexpected value for headless: 'maybe', expected 'true', 'false', 'yes', 'no', 'on', "
         "'off', '1' or '0' (locust.conf:1)"},
        {"\n\nspawn-rate = 0", NULL, "argument -r/--spawn-rate: must be > 0 (locust.conf:3)"},
        {"master", NULL, "--master (locust.conf:1) is not available in this version of gregaria"},
        {"= 5", NULL, "locust.conf:1: this line is not a setting: expected 'key = value'"},
    };
    enter_empty_folder();
    for (size_t i = 0; i < GR_LEN(CASES); i++) {
        gr_args *a = gr_args_new();
        gr_buf why = GR_BUF_INIT;
        write_file("locust.conf", CASES[i].text);
        int rc = parse_line_env(a, "", NULL, &why);
        cr_assert(rc == (CASES[i].dest ? 0 : GR_E_INVALID), "%s: %.*s", CASES[i].text, (int)why.n,
                  why.p ? why.p : "");
        if (CASES[i].dest)
            check_value(a, CASES[i].dest, CASES[i].value, CASES[i].text);
        else
            check_why(&why, CASES[i].value, CASES[i].text);
        gr_args_free(a);
        gr_buf_deinit(&why);
    }
}

TEST(toml_list_for_a_plain_option_is_refused) {
    gr_args *a = gr_args_new();
    gr_buf why = GR_BUF_INIT;
    enter_empty_folder();
    write_file("pyproject.toml", "[tool.locust]\nhost = [\"x\"]\n");
    CHECK_EQ(parse_line_env(a, "", NULL, &why), GR_E_INVALID);
    check_why(&why, "argument -H/--host: takes one value, not a list (pyproject.toml:2)", "list");
    gr_args_free(a);
    gr_buf_deinit(&why);
}

TEST(tilde_in_the_path_of_config) {
    char home[600], *envp[] = {home, NULL};
    char *argv[] = {ARG("gregaria"), ARG("--config"), ARG("~/own.conf")};
    gr_args *a = gr_args_new();
    gr_buf why = GR_BUF_INIT;
    enter_empty_folder();
    memcpy(home, "HOME=", 5);
    CHECK(getcwd(home + 5, 500));
    write_file("own.conf", "host = own\n");
    CHECK_EQ(gr_args_parse(a, 3, argv, envp, &why), 0);
    check_value(a, "host", "own", "tilde");
    gr_args_free(a);
    gr_buf_deinit(&why);
}

TEST(options_of_a_locustfile) {
    const gr_opt plain = {.names = GR_STR("-m --my-arg"),
                          .dest = GR_STR("my_arg"),
                          .env = GR_STR("MY_ARG"),
                          .kind = GR_OPT_STRING,
                          .initial = GR_STR("d")};
    const gr_opt flag = {.names = GR_STR("--food"), .dest = GR_STR("food"), .kind = GR_OPT_FLAG};
    const gr_opt more = {.names = GR_STR("--app"), .dest = GR_STR("app"), .kind = GR_OPT_APPEND};
    const gr_opt taken = {.names = GR_STR("--x --host"), .dest = GR_STR("x"), .kind = GR_OPT_FLAG};
    const gr_opt bare = {.names = GR_STR("x"), .dest = GR_STR("x"), .kind = GR_OPT_FLAG};
    gr_args *a = gr_args_new();
    gr_buf why = GR_BUF_INIT;
    enter_empty_folder();
    CHECK_EQ(gr_args_add(a, &plain, &why), 0);
    CHECK_EQ(gr_args_add(a, &flag, &why), 0);
    CHECK_EQ(gr_args_add(a, &more, &why), 0);
    CHECK_EQ(gr_args_add(a, &taken, &why), GR_E_INVALID);
    check_why(&why, "conflicting option string: --host", "taken");
    CHECK_EQ(gr_args_add(a, &bare, &why), GR_E_INVALID);
    CHECK_EQ(parse_line_env(a, "", NULL, &why), 0);
    check_value(a, "my_arg", "d", "default");
    CHECK_EQ(parse_line_env(a, "-mx|--foo|--app|1|--app=2|K", NULL, &why), 0);
    check_value(a, "my_arg", "x", "value");
    check_value(a, "food", "true", "flag");
    check_value(a, "app", "[1,2]", "append");
    check_value(a, "user_classes", "[K]", "classes");
    CHECK_EQ(parse_line_env(a, "", "MY_ARG=e", &why), 0);
    check_value(a, "my_arg", "e", "environment");
    check_value(a, "app", "none", "a second parse starts afresh");
    CHECK_EQ(parse_line_env(a, "--foot", NULL, &why), GR_E_INVALID);
    check_why(&why, "unrecognized arguments: --foot\nDid you mean '--food'?", "suggestion");
    write_file("locust.conf", "app = [1, 2]\nmy-arg = c\n");
    CHECK_EQ(parse_line_env(a, "--app|3", NULL, &why), 0);
    check_value(a, "app", "[3]", "a higher source replaces");
    check_value(a, "my_arg", "c", "file");
    gr_args_free(a);
    gr_buf_deinit(&why);
}

TEST(many_added_options) {
    gr_args *a = gr_args_new();
    gr_buf why = GR_BUF_INIT;
    enter_empty_folder();
    for (int i = 0; i < 100; i++) {
        char name[32];
        snprintf(name, sizeof name, "--extra%d", i);
        gr_opt o = {.names = gr_str_c(name), .dest = gr_str_c(name + 2), .kind = GR_OPT_STRING};
        CHECK_EQ(gr_args_add(a, &o, &why), 0);
    }
    CHECK_EQ(parse_line_env(a, "--extra7|x|--extra99=y", NULL, &why), 0);
    check_value(a, "extra7", "x", "exact although a prefix of others");
    check_value(a, "extra99", "y", "last");
    gr_args_free(a);
    gr_buf_deinit(&why);
}

TEST(early_parse_sees_four_options_only) {
    static const struct {
        const char *line, *env, *dest, *value;
    } CASES[] = {
        {"--unknown|x|-f|a.py|--users|junk", NULL, "locustfile", "a.py"},
        {"-u|-f|a.py", NULL, "locustfile", "a.py"},
        {"--js|-fa.py", NULL, "locustfile", "a.py"},
        {"--web-auth=fx", NULL, "locustfile", "locustfile.py"},
        {"--users|5", NULL, "num_users", "none"},
        {"-r|0|-h", NULL, "help", "true"},
        {"--master|-V", NULL, "version", "true"},
        {"", "LOCUST_LOCUSTFILE=e.py", "locustfile", "e.py"},
        {"", "LOCUST_USERS=junk", "num_users", "none"},
    };
    enter_empty_folder();
    write_file("locust.conf", "their-own = 5\nusers = junk\n");
    for (size_t i = 0; i < GR_LEN(CASES); i++) {
        char store[256], setting[64], *argv[ARGS_MAX + 1], *envp[] = {NULL, NULL};
        gr_args *a = gr_args_new();
        gr_buf why = GR_BUF_INIT;
        int argc = split_args(CASES[i].line, store, argv);
        if (CASES[i].env) envp[0] = strcpy(setting, CASES[i].env);
        CHECK_EQ(gr_args_parse_early(a, argc, argv, envp, &why), 0);
        check_value(a, CASES[i].dest, CASES[i].value, CASES[i].line);
        gr_args_free(a);
        gr_buf_deinit(&why);
    }
}

TEST(early_parse_reads_files_and_reports_broken_ones) {
    char *argv[] = {ARG("gregaria")};
    gr_args *a = gr_args_new();
    gr_buf why = GR_BUF_INIT;
    enter_empty_folder();
    write_file("locust.conf", "locustfile = c.py\n");
    CHECK_EQ(gr_args_parse_early(a, 1, argv, no_env, &why), 0);
    check_value(a, "locustfile", "c.py", "file");
    CHECK_EQ(gr_args_source(a, "locustfile"), GR_SOURCE_CONF);
    write_file("pyproject.toml", "[tool.locust\n");
    CHECK_EQ(gr_args_parse_early(a, 1, argv, no_env, &why), GR_E_INVALID);
    check_why(&why, "pyproject.toml:1: this table's name has no closing bracket", "broken");
    gr_args_free(a);
    gr_buf_deinit(&why);
}

TEST(what_a_run_needs) {
    static const struct {
        const char *line;
        int code;
        const char *why;
    } CASES[] = {
        {"--headless", 0, ""},
        {"--list", 0, ""},
        {"--headless|--csv|x|--csv-full-history", 0, ""},
        {"--headless|-u0", 0, ""},
        {"--headless|-u4294967295", 0, ""},
        {"--headless|-u-1", 2, "argument -u/--users: must be between 0 and 4294967295"},
        {"--headless|-u4294967296", 2, "argument -u/--users: must be between 0 and 4294967295"},
        {"--headless|--csv-full-history", 2, "'--csv-full-history' requires '--csv'."},
        {"", 2,
         "there is no web page in this version of gregaria yet: start the test with --headless"},
        {"--headless|--headful", 2,
         "there is no web page in this version of gregaria yet: start the test with --headless"},
    };
    enter_empty_folder();
    for (size_t i = 0; i < GR_LEN(CASES); i++) {
        gr_args *a = gr_args_new();
        gr_buf why = GR_BUF_INIT;
        CHECK_EQ(parse_line_env(a, CASES[i].line, NULL, &why), 0);
        CHECK_EQ(gr_args_check_run(a, &why), CASES[i].code);
        check_why(&why, CASES[i].why, CASES[i].line);
        gr_args_free(a);
        gr_buf_deinit(&why);
    }
}

TEST(typed_getters) {
    gr_args *a = gr_args_new();
    gr_buf why = GR_BUF_INIT;
    int64_t number = 77;
    double real = 77;
    gr_str text = GR_STR("x");
    const gr_str *items = NULL;
    size_t n = 77;
    enter_empty_folder();
    CHECK_EQ(parse_line_env(a, "", NULL, &why), 0);
    CHECK(!gr_args_int(a, "num_users", &number) && number == 77);
    CHECK(!gr_args_real(a, "spawn_rate", &real) && real > 76);
    CHECK(!gr_args_text(a, "host", &text));
    CHECK(!gr_args_list(a, "tags", &items, &n) && n == 77);
    CHECK(gr_args_list(a, "user_classes", &items, &n) && n == 0);
    CHECK_EQ(parse_line_env(a, "-u3|-r.5|-Hh|-l|-T|a", NULL, &why), 0);
    CHECK(gr_args_int(a, "num_users", &number) && number == 3);
    CHECK(gr_args_real(a, "spawn_rate", &real) && real < 0.51);
    CHECK(gr_args_text(a, "host", &text));
    CHECK_STR(text, "h");
    CHECK(gr_args_list(a, "tags", &items, &n) && n == 1);
    CHECK_STR(items[0], "a");
    CHECK(gr_args_flag(a, "list_commands") && !gr_args_flag(a, "json"));
    CHECK_EQ(gr_args_source(a, "tags"), GR_SOURCE_COMMAND_LINE);
    gr_args_free(a);
    gr_buf_deinit(&why);
}

/* Build, extend and parse with the n-th allocation failing. */
static int whole_life(gr_buf *why) {
    const gr_opt extra = {
        .names = GR_STR("-m --my-arg"), .dest = GR_STR("my_arg"), .kind = GR_OPT_STRING};
    gr_args *a = gr_args_new();
    if (!a) return GR_E_NOMEM;
    int rc = gr_args_add(a, &extra, why);
    if (rc == 0)
        rc = parse_line_env(a, "-u5|--my-arg|x|--tags|a|b|--|C", "LOCUST_EXCLUDE_TAGS=[a, b]", why);
    if (rc == 0) check_value(a, "exclude_tags", "[a,b]", "after failures");
    if (rc == 0) rc = parse_line_env(a, "--hots|y", NULL, why);
    gr_args_free(a);
    return rc;
}

TEST(survives_each_failed_allocation) {
    int rc = GR_E_NOMEM;
    enter_empty_folder();
    write_file("locust.conf", "host = x\ntags = [c]\n");
    write_file("pyproject.toml", "[tool.locust]\nhost = \"x\"\nexclude-tags = [\"c\"]\n");
    for (uint64_t n = 0; rc == GR_E_NOMEM && n < 1000; n++) {
        gr_buf why = GR_BUF_INIT;
        FAIL_ALLOC_AT(n) rc = whole_life(&why);
        if (rc == GR_E_INVALID)
            check_why(&why, "unrecognized arguments: --hots\nDid you mean '--host'?", "last");
        gr_buf_deinit(&why);
    }
    CHECK_EQ(rc, GR_E_INVALID);
}
