/* See launch.h. Messages are Locust's where Locust has one. */
#include "cli/launch.h"
#include "base/err.h"
#include "cli/value.h"
#include "native/native.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static bool ends_with(gr_str s, gr_str suffix) {
    return s.n >= suffix.n && gr_str_eq(gr_str_from(s, s.n - suffix.n), suffix);
}

static bool is_url(gr_str s) { /* Python downloads it */
    return gr_str_starts(s, GR_STR("http://")) || gr_str_starts(s, GR_STR("https://"));
}

static int sentence(int rc) { /* of adding one to `why` */
    return rc < 0 ? rc : GR_E_INVALID;
}

static int check_file(gr_str file, gr_front front, gr_buf *why) {
    struct stat st;
    const char *path = file.p;
    gr_buf_clear(why);
    if (front == GR_FRONT_PYTHON && is_url(file)) return 0;
    if (front == GR_FRONT_PYTHON && gr_str_eq(file, GR_STR("-")))
        return sentence(gr_buf_addc(why, "locustfile was set to '-' (meaning to download from "
                                         "master) but --worker was not specified."));
    bool exists = stat(path, &st) == 0;
    bool folder = exists && S_ISDIR(st.st_mode);
    bool named = front == GR_FRONT_NATIVE ? !folder : folder || ends_with(file, GR_STR(".py"));
    if (!exists || !named)
        return sentence(gr_buf_addf(why,
                                    "Could not find '%s'. Ensure your locustfile ends with '.py' "
                                    "(or '.c' or '.so') or is a directory with locustfiles. "
                                    "See --help for available options.",
                                    path));
    if (access(path, folder ? R_OK | X_OK : R_OK) != 0)
        return sentence(gr_buf_addf(why, "Could not read '%s': permission denied", path));
    return 0;
}

static int split(gr_launch *l, gr_str list) {
    size_t parts = 1;
    for (size_t i = 0; i < list.n; i++)
        parts += list.p[i] == ',';
    gr_str *files = gr_arena_alloc(&l->arena, parts * sizeof *files);
    if (!files) return GR_E_NOMEM;
    for (size_t i = 0; i < parts; i++) {
        ptrdiff_t comma = gr_str_find(list, ',');
        size_t n = comma < 0 ? list.n : (size_t)comma;
        if (gr_arena_copy(&l->arena, gr_str_trim((gr_str){list.p, n}), &files[i]) < 0)
            return GR_E_NOMEM;
        list = gr_str_from(list, n + 1);
    }
    l->files = files;
    l->files_n = parts;
    return 0;
}

static int look(gr_launch *l, gr_buf *why) {
    size_t native = 0;
    for (size_t i = 0; i < l->files_n; i++)
        native += gr_native_wants(l->files[i]);
    l->front = native ? GR_FRONT_NATIVE : GR_FRONT_PYTHON;
    gr_buf_clear(why);
    if (native && native != l->files_n)
        return sentence(
            gr_buf_addc(why, "C scenarios and Python locustfiles cannot be run together."));
    for (size_t i = 0; i < l->files_n; i++) {
        int rc = check_file(l->files[i], l->front, why);
        if (rc < 0) return rc;
    }
    return 0;
}

int gr_launch_init(gr_launch *l, const gr_args *a, gr_buf *why) {
    gr_str named = GR_STR("");
    *l = (gr_launch){.arena = GR_ARENA_INIT};
    gr_args_text(a, "locustfile", &named);
    bool by_default = gr_args_source(a, "locustfile") == GR_SOURCE_DEFAULT;
    if (by_default && access(named.p, F_OK) != 0 && access("locustfile.c", F_OK) == 0)
        named = GR_STR("locustfile.c");
    int rc = split(l, named);
    if (rc == 0) rc = look(l, why);
    if (rc < 0) gr_launch_deinit(l);
    return rc;
}

void gr_launch_deinit(gr_launch *l) {
    gr_arena_deinit(&l->arena);
    *l = (gr_launch){.arena = GR_ARENA_INIT};
}

int gr_launch_interpreter(const char *built_for, gr_buf *path) {
    const char *own = getenv("GREGARIA_PYTHON"), *venv = getenv("VIRTUAL_ENV");
    if (own && *own) return gr_buf_addf(path, "%s%c", own, '\0');
    if (venv && *venv) return gr_buf_addf(path, "%s/bin/python%c", venv, '\0');
    return gr_buf_addf(path, "%s%c", built_for, '\0');
}

int gr_launch_package(const char *exe, gr_buf *folder) {
    static const char *const PLACES[] = {"python", "lib/gregaria/python"};
    const char *slash = strrchr(exe, '/');
    int bin = slash ? (int)(slash - exe) : 0;
    for (size_t i = 0; slash && i < GR_LEN(PLACES); i++) {
        size_t start = folder->n;
        int rc = gr_buf_addf(folder, "%.*s/../%s/locust%c", bin, exe, PLACES[i], '\0');
        if (rc < 0) return rc;
        if (access(folder->p + start, R_OK | X_OK) == 0) {
            folder->n -= sizeof "/locust";
            return gr_buf_add_byte(folder, '\0');
        }
        folder->n = start;
    }
    return GR_E_INVALID;
}

int gr_launch_pythonpath(const char *folder, gr_buf *value) {
    const char *old = getenv("PYTHONPATH");
    bool more = old && *old;
    return gr_buf_addf(value, "%s%s%s%c", folder, more ? ":" : "", more ? old : "", '\0');
}
