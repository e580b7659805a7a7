/* See file.h. */
#include "report/file.h"
#include "base/alloc.h"
#include "base/err.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static int make_parents(const char *path) {
    char *part = gr_strndup(path, strlen(path));
    int rc = 0;
    if (!part) return GR_E_NOMEM;
    for (char *slash = strchr(part + (part[0] == '/'), '/'); slash;
         slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(part, 0777) < 0 && errno != EEXIST) {
            rc = -errno;
            break;
        }
        *slash = '/';
    }
    gr_free(part);
    return rc;
}

int gr_file_create(const char *path) {
    int rc = make_parents(path);
    if (rc < 0) return rc;
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    return fd < 0 ? -errno : fd;
}

int gr_file_append(int fd, gr_str data) {
    while (data.n > 0) {
        ssize_t n = write(fd, data.p, data.n);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return -errno;
        data = gr_str_from(data, (size_t)n);
    }
    return 0;
}

/* Written over the old content first and cut afterwards, so that a reader never finds the file empty. */
int gr_file_replace(int fd, gr_str data) {
    if (lseek(fd, 0, SEEK_SET) < 0) return -errno;
    int rc = gr_file_append(fd, data);
    if (rc < 0) return rc;
    return ftruncate(fd, (off_t)data.n) < 0 ? -errno : 0;
}

int gr_file_save(const char *path, gr_str data) {
    int fd = gr_file_create(path);
    if (fd < 0) return fd;
    int rc = gr_file_append(fd, data);
    if (close(fd) < 0 && rc == 0) rc = -errno;
    return rc;
}
