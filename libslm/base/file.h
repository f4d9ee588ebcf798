/* Files and threads as the system gives them: with host.c the only code that calls the OS. */
#ifndef SLM_BASE_FILE_H
#define SLM_BASE_FILE_H

#include "host.h"

/* A read-only byte range: a mapped file, a file read into memory, or the caller's memory. */
typedef struct slm_file {
    const uint8_t *data;
    uint64_t size;
    int kind;       /* SLM_FILE_... ; HEAD: only its beginning, as a copy, the rest by its descriptor */
    int fd;         /* -1 when there is none                                                        */
    uint64_t id[4]; /* device, inode, size, mtime in ns: to notice that a file changed               */
    uint8_t *resident; /* of SLM_LOAD_AROUND: slm_file_resident at opening                          */
    int direct;        /* of SLM_LOAD_AROUND: descriptor for reads past the page cache; -1: none    */
    char name[80];  /* last component of the path, escaped, for messages; "memory" or "descriptor"  */
} slm_file;
enum { SLM_FILE_MAPPED = 1, SLM_FILE_READ = 2, SLM_FILE_BORROWED = 3, SLM_FILE_HEAD = 4 };

/* A slm_load of this room's own: as AUTO, for those who will read most of the file by slm_file_read_at
 * and leave the rest of the system's memory as they found it. */
#define SLM_LOAD_AROUND 16

/* Opens a regular file (anything else, a FIFO, device or folder, is refused at once without
 * blocking) and maps it (load MAP or AUTO) or reads it whole (READ; progress may be NULL).
 * Messages never hold more of the path than its last component. */
slm_status slm_file_open(slm_host *host, const char *path, slm_load load, slm_progress_fn progress,
                         void *progress_user, slm_file **out, slm_error *error);
slm_status slm_file_open_fd(slm_host *host, int fd, slm_load load, slm_progress_fn progress,
                            void *progress_user, slm_file **out, slm_error *error);
slm_status slm_file_open_memory(slm_host *host, const void *data, uint64_t size, slm_load load,
                                slm_file **out, slm_error *error);
void slm_file_close(slm_host *host, slm_file *file);

/* The last component of a path; points into it. */
const char *slm_path_name(const char *path);
/* 0 when there is surely nothing at path. */
int slm_path_exists(const char *path);

/* SLM_ERR_CHANGED when the file behind the mapping is no longer what it was at opening. */
slm_status slm_file_check(const slm_file *file, slm_error *error);

/* Bytes of the file without touching its mapping: a file that has become shorter is an error. */
slm_status slm_file_read_at(const slm_file *file, void *data, size_t size, uint64_t offset,
                            slm_error *error);
/* Which pages of a mapped file the system holds in memory now: bit 0 of a byte for each page, to be
 * freed by the caller; NULL where that cannot be known, and where it is all of them. */
uint8_t *slm_file_resident(slm_host *host, const slm_file *file);
/* slm_file_read_at of a file of SLM_LOAD_AROUND, past the page cache where it does not hold the range
 * and the file system has such reads. *data: where the bytes are, in a buffer of size + SLM_AROUND_ROOM
 * bytes, which begins at a multiple of SLM_AROUND_ALIGN. */
#define SLM_AROUND_ALIGN 4096u
#define SLM_AROUND_ROOM  (2 * SLM_AROUND_ALIGN)
slm_status slm_file_read_around(const slm_file *file, uint8_t *buffer, size_t size, uint64_t offset,
                                const uint8_t **data, slm_error *error);
/* Of a file with such reads: through its mapping little is looked at from `offset` on, so that the system
 * need not read what lies beside. */
void slm_file_expect_little(const slm_file *file, uint64_t offset);
/* Lets the system forget the pages of a range, but those that it held (resident) before. */
void slm_file_drop(const slm_file *file, const uint8_t *resident, uint64_t offset, uint64_t size);

/* Makes a mapped file one of kind HEAD: its first `keep` bytes become a copy that nothing can change, in
 * the same place, and what lies behind them is not there any more but for slm_file_read_at. On failure
 * the file can only be closed. */
slm_status slm_file_keep_head(slm_file *file, uint64_t keep, slm_error *error);

/* Writing whole files: to a temporary name beside the target, synced, then renamed over it, so that the
 * target is the old or the new file and never a mix, whenever the power fails. Links are followed and
 * the mode of the old file is kept; one that may not be written is refused, and so is what is no
 * regular file or open at a standard stream of the process. Temporary files of the same target whose
 * writers are gone are removed. When commit fails, the target is the old file, or the new one where
 * only the folder could not be synced. */
typedef struct slm_out slm_out;
slm_status slm_out_open(slm_host *host, const char *path, slm_out **out, slm_error *error);
const char *slm_out_temporary(const slm_out *out); /* its path, until commit or abandon            */
slm_status slm_out_write(slm_out *out, const void *data, size_t size, slm_error *error);
slm_status slm_out_commit(slm_out **out, slm_error *error); /* closes                              */
void slm_out_abandon(slm_out **out);                        /* closes, removes the temporary file  */
/* Whether path itself is a symbolic link. */
int slm_path_is_link(const char *path);

/* Physical cores this process may use, at least 1: by CPU affinity and cgroup quota. Where there are
 * fast and slow cores these are the fast ones. */
uint32_t slm_cpu_count(void);
/* Bytes of memory that can still be had without swapping, by the system and the cgroup's limit;
 * UINT64_MAX when unknown. */
uint64_t slm_memory_available(void);
/* Monotonic nanoseconds. */
uint64_t slm_now_ns(void);
/* Large memory for weights, pages and scratch: through the host's allocator, counted and limited
 * by it, with every page touched so that it cannot be refused later. With the default allocator,
 * NULL when it exceeds slm_memory_available. Contents are undefined. */
void *slm_alloc_touched(slm_host *host, size_t size);
/* Asks for huge pages for memory or a mapping that has not been touched yet: reading it then misses
 * the tables of pages less often. */
void slm_advise_huge(void *data, size_t size);

#endif
