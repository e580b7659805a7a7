/* The command line for Python: src/cli/options.h as functions. parse_args() gives values as
 * Locust's parsed_options holds them; option_table() is the table itself, for defaults and for
 * the web form; error texts are those of the C program, because they are made by
 * the same code. Nothing here prints or exits. */
#include "python/engine.h"
#include "base/alloc.h"
#include "base/err.h"
#include "cli/help.h"
#include "cli/options.h"
#include "cli/value.h"

#include <unistd.h>

static PyObject *usage_error; /* UsageError(exit_code, text) */

/* --- errors -------------------------------------------------------------------------------- */

static PyObject *raise_usage(int code, const gr_buf *why) {
    PyObject *text = gr_py_text(gr_buf_str(why));
    PyObject *value = text ? Py_BuildValue("(iN)", code, text) : NULL;
    if (value) PyErr_SetObject(usage_error, value);
    Py_XDECREF(value);
    return NULL;
}

static PyObject *raise_code(int rc, const gr_buf *why) {
    return rc == GR_E_NOMEM ? PyErr_NoMemory() : raise_usage(GR_ARGS_EXIT_CODE, why);
}

/* --- values -------------------------------------------------------------------------------- */

static PyObject *list_of(const gr_str *items, size_t n) {
    PyObject *list = PyList_New((Py_ssize_t)n);
    for (size_t i = 0; list && i < n; i++) {
        PyObject *item = gr_py_text(items[i]);
        if (item)
            PyList_SET_ITEM(list, (Py_ssize_t)i, item);
        else
            Py_CLEAR(list);
    }
    return list;
}

static PyObject *value_of(const gr_opt *o) {
    if (o->none) Py_RETURN_NONE;
    switch (o->kind) {
    case GR_OPT_FLAG:
    case GR_OPT_ACTION:
    case GR_OPT_REJECTED: return PyBool_FromLong(o->flag);
    case GR_OPT_INT:
    case GR_OPT_TIMESPAN: return PyLong_FromLongLong(o->number);
    case GR_OPT_RATE: return PyFloat_FromDouble(o->real);
    case GR_OPT_STRING:
    case GR_OPT_LEVEL: return gr_py_text(o->text);
    case GR_OPT_LIST:
    case GR_OPT_APPEND: return list_of(o->items, o->items_n);
    }
    GR_UNREACHABLE();
}

/* The default of a built-in option, whose text stands in the table and is known to be right. */
static PyObject *initial_of(const gr_opt *o) {
    int64_t number = 0;
    double real = 0;
    bool flag = o->kind == GR_OPT_FLAG || o->kind == GR_OPT_ACTION || o->kind == GR_OPT_REJECTED;
    if (!o->initial.p && !(flag && o->kind != GR_OPT_REJECTED)) Py_RETURN_NONE;
    switch (o->kind) {
    case GR_OPT_FLAG:
    case GR_OPT_ACTION:
    case GR_OPT_REJECTED: Py_RETURN_FALSE;
    case GR_OPT_INT:
        GR_CHECK(gr_value_int(o->initial, &number));
        return PyLong_FromLongLong(number);
    case GR_OPT_TIMESPAN:
        GR_CHECK(gr_timespan_parse(o->initial, &number) == 0);
        return PyLong_FromLongLong(number);
    case GR_OPT_RATE: GR_CHECK(gr_value_float(o->initial, &real)); return PyFloat_FromDouble(real);
    case GR_OPT_STRING:
    case GR_OPT_LEVEL: return gr_py_text(o->initial);
    case GR_OPT_LIST:
    case GR_OPT_APPEND: return list_of(&o->initial, o->initial.n > 0);
    }
    GR_UNREACHABLE();
}

static const char *source_name(gr_opt_source source) {
    switch (source) {
    case GR_SOURCE_DEFAULT: return "default";
    case GR_SOURCE_HOME_CONF: return "~/.locust.conf";
    case GR_SOURCE_CONF: return "locust.conf";
    case GR_SOURCE_PYPROJECT: return "pyproject.toml";
    case GR_SOURCE_CONFIG: return "config";
    case GR_SOURCE_ENV: return "env";
    case GR_SOURCE_COMMAND_LINE: return "command_line";
    }
    GR_UNREACHABLE();
}

static const char *kind_name(gr_opt_kind kind) {
    switch (kind) {
    case GR_OPT_FLAG: return "flag";
    case GR_OPT_ACTION: return "action";
    case GR_OPT_INT: return "int";
    case GR_OPT_RATE: return "rate";
    case GR_OPT_STRING: return "string";
    case GR_OPT_TIMESPAN: return "timespan";
    case GR_OPT_LEVEL: return "level";
    case GR_OPT_LIST: return "list";
    case GR_OPT_APPEND: return "append";
    case GR_OPT_REJECTED: return "rejected";
    }
    GR_UNREACHABLE();
}

/* --- a locustfile's options ---------------------------------------------------------------- */

/* The dict's string, borrowed from it; `s->p` stays NULL when it has none. 0, or -1. */
static int string_item(PyObject *dict, const char *key, gr_str *s) {
    PyObject *value = PyDict_GetItemString(dict, key); /* borrowed */
    if (!value || value == Py_None) return 0;
    if (!PyUnicode_Check(value)) {
        PyErr_Format(PyExc_TypeError, "an option's %s must be a str, not %s", key,
                     Py_TYPE(value)->tp_name);
        return -1;
    }
    *s = gr_py_utf8(value);
    return s->p ? 0 : -1;
}

static int added_kind(gr_str name, gr_opt_kind *kind) {
    static const gr_opt_kind KINDS[] = {GR_OPT_FLAG, GR_OPT_STRING, GR_OPT_LIST, GR_OPT_APPEND};
    for (size_t i = 0; i < GR_LEN(KINDS); i++) {
        if (!gr_str_eq(name, gr_str_c(kind_name(KINDS[i])))) continue;
        *kind = KINDS[i];
        return 0;
    }
    PyErr_SetString(PyExc_ValueError, "an option's kind must be flag, string, list or append");
    return -1;
}

static int add_extra(gr_args *a, PyObject *extra, gr_buf *why) {
    gr_opt o = {0};
    gr_str kind = {NULL, 0};
    if (!PyDict_Check(extra)) {
        PyErr_SetString(PyExc_TypeError, "an option must be a dict");
        return -1;
    }
    if (string_item(extra, "names", &o.names) < 0 || string_item(extra, "dest", &o.dest) < 0 ||
        string_item(extra, "kind", &kind) < 0 || string_item(extra, "env", &o.env) < 0 ||
        string_item(extra, "metavar", &o.metavar) < 0 || string_item(extra, "help", &o.help) < 0 ||
        added_kind(kind, &o.kind) < 0)
        return -1;
    int rc = gr_args_add(a, &o, why);
    if (rc < 0) raise_code(rc, why);
    return rc < 0 ? -1 : 0;
}

/* Options with those in `extras` (a sequence of dicts); gr_args_free. NULL with an exception. */
static gr_args *args_with(PyObject *extras, gr_buf *why) {
    PyObject *list = PySequence_Fast(extras, "extras must be a sequence");
    gr_args *a = list ? gr_args_new() : NULL;
    if (list && !a) PyErr_NoMemory();
    int rc = a ? 0 : -1;
    for (Py_ssize_t i = 0; rc == 0 && i < PySequence_Fast_GET_SIZE(list); i++)
        rc = add_extra(a, PySequence_Fast_GET_ITEM(list, i), why);
    Py_XDECREF(list);
    if (rc == 0) return a;
    gr_args_free(a);
    return NULL;
}

/* --- parse_args ---------------------------------------------------------------------------- */

typedef struct words {
    PyObject *owner; /* a list of bytes objects */
    char **argv;     /* into them, NULL-terminated */
    int argc;
} words;

static void words_deinit(words *w) {
    Py_XDECREF(w->owner);
    gr_free(w->argv);
}

/* 0, or -1 with an exception and nothing to deinit. */
static int words_init(words *w, PyObject *argv) {
    *w = (words){0};
    PyObject *list = PySequence_Fast(argv, "argv must be a sequence of str");
    if (!list) return -1;
    Py_ssize_t n = PySequence_Fast_GET_SIZE(list);
    w->owner = PyList_New(0);
    w->argv = gr_calloc((size_t)n + 1, sizeof *w->argv);
    if (!w->argv) PyErr_NoMemory();
    int rc = w->owner && w->argv && n <= INT_MAX ? 0 : -1;
    for (Py_ssize_t i = 0; rc == 0 && i < n; i++) {
        PyObject *bytes = NULL;
        rc = PyUnicode_FSConverter(PySequence_Fast_GET_ITEM(list, i), &bytes) ? 0 : -1;
        if (rc == 0) rc = PyList_Append(w->owner, bytes);
        if (rc == 0) w->argv[i] = PyBytes_AS_STRING(bytes); /* `owner` keeps it */
        Py_XDECREF(bytes);
    }
    w->argc = (int)n;
    Py_DECREF(list);
    if (rc < 0) words_deinit(w);
    return rc;
}

static int put(PyObject *dict, const gr_opt *o, PyObject *value) { /* steals `value` */
    PyObject *key = value ? gr_py_text(o->dest) : NULL;
    int rc = key ? PyDict_SetItem(dict, key, value) : -1;
    Py_XDECREF(key);
    Py_XDECREF(value);
    return rc;
}

/* Built-in options by dest, added ones in order: several may share a dest. 0 or -1. */
static int collect(const gr_args *a, PyObject *values, PyObject *sources, PyObject *added) {
    for (size_t i = 0; i < gr_args_count(a); i++) {
        const gr_opt *o = gr_args_at(a, i);
        int rc = 0;
        if (o->added) {
            PyObject *pair = Py_BuildValue("(Ns)", value_of(o), source_name(o->source));
            rc = pair ? PyList_Append(added, pair) : -1;
            Py_XDECREF(pair);
        } else {
            rc = put(values, o, value_of(o));
            if (rc == 0) rc = put(sources, o, PyUnicode_FromString(source_name(o->source)));
        }
        if (rc < 0) return -1;
    }
    return 0;
}

static PyObject *result_of(const gr_args *a) {
    PyObject *values = PyDict_New(), *sources = PyDict_New(), *added = PyList_New(0);
    if (values && sources && added && collect(a, values, sources, added) == 0)
        return Py_BuildValue("(NNN)", values, sources, added);
    Py_XDECREF(values);
    Py_XDECREF(sources);
    Py_XDECREF(added);
    return NULL;
}

static PyObject *parse(gr_args *a, const words *w, bool early, bool run, gr_buf *why) {
    int rc = early ? gr_args_parse_early(a, w->argc, w->argv, environ, why)
                   : gr_args_parse(a, w->argc, w->argv, environ, why);
    if (rc < 0) return raise_code(rc, why);
    int refused = run ? gr_args_check_run(a, why) : 0;
    return refused ? raise_usage(refused, why) : result_of(a);
}

static PyObject *parse_args(PyObject *module, PyObject *args, PyObject *keywords) {
    (void)module;
    static const char *const WORDS[] = {"argv", "extras", "early", "run", NULL};
    PyObject *argv, *extras = NULL;
    int early = 0, run = 0;
    words w;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "O|Opp:parse_args", (char **)(uintptr_t)WORDS,
                                     &argv, &extras, &early, &run))
        return NULL;
    if (words_init(&w, argv) < 0) return NULL;
    gr_buf why = GR_BUF_INIT;
    PyObject *more = extras ? Py_NewRef(extras) : PyTuple_New(0);
    gr_args *a = more ? args_with(more, &why) : NULL;
    PyObject *result = a ? parse(a, &w, early, run, &why) : NULL;
    gr_args_free(a);
    Py_XDECREF(more);
    gr_buf_deinit(&why);
    words_deinit(&w);
    return result;
}

/* --- the rest ------------------------------------------------------------------------------ */

static PyObject *table_row(const gr_opt *o) {
    static const char *const STATES[] = {"shown", "hidden", "absent"};
    return Py_BuildValue(
        "{sNsNsNsNsssNsNss}", "dest", gr_py_text(o->dest), "names", gr_py_text(o->names), "env",
        o->env.p ? gr_py_text(o->env) : Py_NewRef(Py_None), "default", initial_of(o), "kind",
        kind_name(o->kind), "metavar", o->metavar.p ? gr_py_text(o->metavar) : Py_NewRef(Py_None),
        "help", gr_py_text(o->help), "state", STATES[o->state]);
}

static PyObject *option_table(PyObject *module, PyObject *unused) {
    (void)module, (void)unused;
    gr_args *a = gr_args_new();
    if (!a) return PyErr_NoMemory();
    PyObject *table = PyList_New(0);
    for (size_t i = 0; table && i < gr_args_count(a); i++) {
        PyObject *row = table_row(gr_args_at(a, i));
        if (!row || PyList_Append(table, row) < 0) Py_CLEAR(table);
        Py_XDECREF(row);
    }
    gr_args_free(a);
    return table;
}

static PyObject *help_text(PyObject *module, PyObject *extras) {
    (void)module;
    gr_buf out = GR_BUF_INIT;
    gr_args *a = args_with(extras, &out);
    PyObject *text = NULL;
    gr_buf_clear(&out);
    if (a) text = gr_help_write(a, &out) < 0 ? PyErr_NoMemory() : gr_py_text(gr_buf_str(&out));
    gr_args_free(a);
    gr_buf_deinit(&out);
    return text;
}

static PyObject *parse_timespan(PyObject *module, PyObject *text) {
    (void)module;
    int64_t seconds;
    if (!PyUnicode_Check(text)) {
        PyErr_Format(PyExc_TypeError, "a time span is a str, not %s", Py_TYPE(text)->tp_name);
        return NULL;
    }
    gr_str s = gr_py_utf8(text);
    if (!s.p) return NULL;
    if (gr_timespan_parse(s, &seconds) == 0) return PyLong_FromLongLong(seconds);
    PyErr_SetString(PyExc_ValueError,
                    "Invalid time span format. Valid formats: 20, 20s, 3m, 2h, 1h20m, "
                    "3h30m10s, etc.");
    return NULL;
}

static PyMethodDef FUNCTIONS[] = {
    {"parse_args", (PyCFunction)(void (*)(void))parse_args, METH_VARARGS | METH_KEYWORDS,
     "parse_args(argv, extras=(), early=False, run=False)\n--\n\n(values, sources, added): "
     "built-in "
     "options' values and sources by dest, and (value, source) for each of `extras`.\n\nargv[0] is "
     "skipped. `early` ignores everything but the locustfile, the config file, help and version; "
     "`run` "
     "also refuses what cannot be run. Raises UsageError."},
    {"option_table", option_table, METH_NOARGS,
     "option_table()\n--\n\nAll built-in options, as a list of dicts."},
    {"help_text", help_text, METH_O, "help_text(extras)\n--\n\nWhat --help prints."},
    {"parse_timespan", parse_timespan, METH_O,
     "parse_timespan(text)\n--\n\nSeconds of a text such as 1h30m; ValueError for others."},
    {NULL, NULL, 0, NULL},
};

int gr_py_init_args(PyObject *module) {
    usage_error = PyErr_NewExceptionWithDoc(
        "locust._engine.UsageError", "UsageError(exit_code, text): the command line is wrong.",
        NULL, NULL);
    if (!usage_error || PyModule_AddObjectRef(module, "UsageError", usage_error) < 0) return -1;
    return PyModule_AddFunctions(module, FUNCTIONS);
}
