/* locust._engine: the extension module. Each file registers its own types; the order only matters
 * where one file's types derive from another's. */
#include "python/engine.h"

static struct PyModuleDef MODULE = {
    PyModuleDef_HEAD_INIT, .m_name = "locust._engine",
    .m_doc = "Gregaria's engine: sessions, users, tasks and statistics in C.",
    .m_size = -1, /* one engine per process: no sub-interpreters */
};

PyMODINIT_FUNC PyInit__engine(void); /* called by the interpreter only */

PyMODINIT_FUNC PyInit__engine(void) {
    static int (*const INIT[])(PyObject *) = {
        gr_py_init_engine,   gr_py_init_event,    gr_py_init_stats, gr_py_init_headers,
        gr_py_init_response, gr_py_init_client,   gr_py_init_wait,  gr_py_init_user,
        gr_py_init_tasks,    gr_py_init_dispatch, gr_py_init_args,  gr_py_init_control,
    };
    PyObject *module = PyModule_Create(&MODULE);
    if (!module) return NULL;
    if (PyModule_AddStringConstant(module, "__version__", GR_VERSION) < 0) goto undo_module;
    for (size_t i = 0; i < GR_LEN(INIT); i++)
        if (INIT[i](module) < 0) goto undo_module;
    return module;
undo_module:
    Py_DECREF(module);
    return NULL;
}
