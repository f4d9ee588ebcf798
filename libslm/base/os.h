/* Shared by the files of base/ that call the system. Include it first: it asks for the system's
 * own interfaces, which nothing outside of base/ uses. */
#ifndef SLM_BASE_OS_H
#define SLM_BASE_OS_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "base/file.h"

#include <sched.h>
#include <sys/types.h>

/* SLM_ERR_IO: "cannot <verb> <name>: <what errno says>". */
slm_status slm_fail_errno(slm_error *error, int number, const char *verb, const char *name);

/* pread that goes on after EINTR and short transfers. The number of bytes done, less than size only at
 * the end of the file; -1 with errno. */
ssize_t slm_pread_full(int fd, void *data, size_t size, uint64_t offset);

/* The calls by which files are written, so that a test can stand in for the disk. They return and set
 * errno as those of the system. */
typedef struct slm_out_calls {
    int (*create)(const char *path); /* for writing; fails where there is something                */
    int (*open_folder)(const char *path);
    ssize_t (*write)(int fd, const void *data, size_t size);
    int (*sync)(int fd); /* of a file or a folder                                      */
    int (*rename)(const char *from, const char *to);
    int (*remove)(const char *path);
    int (*close)(int fd);
} slm_out_calls;
/* slm_out_open; calls are used until commit or abandon. */
slm_status slm_out_open_by(slm_host *host, const char *path, const slm_out_calls *calls,
                           slm_out **out, slm_error *error);

/* Sets file->direct, if the file system has reads past the page cache. */
void slm_file_open_direct(slm_file *file);

/* The beginning of a small text file of the system, NUL-terminated; 0 when there is none. */
int slm_read_text(const char *path, char *text, size_t cap);

/* slm_cpu_count and slm_memory_available with the system's files looked for below a folder. */
uint32_t slm_cpu_count_in(const char *root);
uint64_t slm_memory_available_in(const char *root);

/* Physical cores that the process may run on, at least 1: only the fast ones of a machine that has
 * fast and slow cores, unless it may run on slow ones alone. Without the limits of control groups.
 * The second form takes the processors allowed and may find 0. */
uint32_t slm_core_count(const char *root);
uint32_t slm_core_count_in(const char *root, const cpu_set_t *allowed, size_t set_size);

/* Whether memory comes from malloc. */
int slm_host_is_std(const slm_host *host);

#endif
