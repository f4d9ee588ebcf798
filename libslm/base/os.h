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

/* read, pread and write that go on after EINTR and short transfers. The number of bytes done, less
 * than size only at the end of the file; -1 with errno. */
ssize_t slm_pread_full(int fd, void *data, size_t size, uint64_t offset);
int slm_write_full(int fd, const void *data, size_t size);

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
