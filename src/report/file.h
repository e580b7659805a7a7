/* Writing result files: parent directories made on the way, short writes completed. Blocking. */
#ifndef GR_REPORT_FILE_H
#define GR_REPORT_FILE_H

#include "base/base.h"

/* Create or empty `path` for writing, with its missing parent directories. The fd, or -errno. */
int gr_file_create(const char *path);
int gr_file_append(int fd, gr_str data);  /* 0 or -errno */
int gr_file_replace(int fd, gr_str data); /* whole content, in place; 0 or -errno */
int gr_file_save(const char *path, gr_str data);

#endif
