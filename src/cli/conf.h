/* Config files: a file becomes a list of keys with their texts; what they mean is options.c's
 * business. Two dialects: "key value" lines (ConfigArgParse's), and the [tool.locust] table of a
 * TOML file, chosen by the name's ending. */
#ifndef GR_CLI_CONF_H
#define GR_CLI_CONF_H

#include "base/arena.h"
#include "base/base.h"
#include "base/buf.h"

#define GR_CONF_BYTES_MAX (1u << 20)

typedef struct gr_conf_item { /* strings are NUL-terminated too */
    gr_str key;
    gr_str value;        /* of a list: unused */
    const gr_str *items; /* NULL unless the file itself says that this is a list */
    size_t items_n;
    unsigned line; /* counted from 1 */
} gr_conf_item;

typedef struct gr_conf {
    gr_str path; /* as given to gr_conf_read */
    gr_conf_item *items;
    size_t n, cap;
    gr_arena arena; /* every string */
} gr_conf;

#define GR_CONF_INIT ((gr_conf){{NULL, 0}, NULL, 0, 0, GR_ARENA_INIT})

/* Read the file into an empty `c`. Returns 0; -ENOENT when there is none; GR_E_NOMEM; GR_E_INVALID or
 * -errno with one sentence in `why` that names the file, and the line when there is one. */
int gr_conf_read(gr_conf *c, const char *path, gr_buf *why);
void gr_conf_deinit(gr_conf *c);

/* The two dialects on their own; `c->path` is only for messages. */
int gr_conf_parse_lines(gr_conf *c, gr_str text, gr_buf *why);
int gr_conf_parse_toml(gr_conf *c, gr_str text, gr_buf *why); /* toml.c */

/* For toml.c: a zeroed item with this key. A key that is there already: GR_E_BUSY, and *item is it. */
int gr__conf_add(gr_conf *c, gr_str key, unsigned line, gr_conf_item **item);

#endif
