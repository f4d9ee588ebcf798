/* Files and memory by the page. */
#include "base/os.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/syscall.h>
#endif

#define HUGE_PAGE ((uintptr_t)2 << 20)

static uint64_t page_size(void) {
    long size = sysconf(_SC_PAGESIZE);
    return size > 0 ? (uint64_t)size : 4096;
}

void slm_advise_huge(void *data, size_t size) {
#ifdef MADV_HUGEPAGE
    uintptr_t from = ((uintptr_t)data + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
    uintptr_t to = ((uintptr_t)data + size) / HUGE_PAGE * HUGE_PAGE;
    if (to > from && madvise((void *)from, to - from, MADV_HUGEPAGE) != 0)
        return; /* costs speed, nothing else */
#else
    (void)data;
    (void)size;
#endif
}

#ifdef __linux__

#ifndef SYS_cachestat
#define SYS_cachestat 451 /* Linux 6.5, the same number on all processors */
#endif

/* Whether the system says at once that it holds all pages of the file. Asking page by page takes
 * five times as long. */
static int is_all_resident(const slm_file *file, uint64_t n_pages) {
    struct {
        uint64_t offset, size; /* 0: to the end */
    } range = {0, 0};
    struct {
        uint64_t cached, dirty, written_back, evicted, evicted_lately;
    } pages;
    return syscall(SYS_cachestat, file->fd, &range, &pages, 0) == 0 && pages.cached >= n_pages;
}

#endif

uint8_t *slm_file_resident(slm_host *host, const slm_file *file) {
#ifdef __linux__
    uint64_t n = (file->size + page_size() - 1) / page_size();
    if (file->kind != SLM_FILE_MAPPED || file->fd < 0 || is_all_resident(file, n))
        return NULL;
    uint8_t *pages = slm_alloc(host, (size_t)n);
    if (pages != NULL &&
        mincore((void *)(uintptr_t)file->data, (size_t)file->size, pages) != 0) {
        slm_free(host, pages);
        pages = NULL;
    }
    return pages;
#else
    (void)host;
    (void)file;
    return NULL;
#endif
}

void slm_file_drop(const slm_file *file, const uint8_t *resident, uint64_t offset, uint64_t size) {
#ifdef POSIX_FADV_DONTNEED
    uint64_t page = page_size(), end = (offset + size) / page;
    if (resident == NULL || file->fd < 0)
        return;
    for (uint64_t i = (offset + page - 1) / page, n; i < end; i += n + 1) {
        for (n = 0; i + n < end && !(resident[i + n] & 1);)
            n++;
        if (n > 0 && posix_fadvise(file->fd, (off_t)(i * page), (off_t)(n * page),
                                   POSIX_FADV_DONTNEED) != 0)
            return;
    }
#else
    (void)file;
    (void)resident;
    (void)offset;
    (void)size;
#endif
}

slm_status slm_file_keep_head(slm_file *file, uint64_t keep, slm_error *error) {
    uint64_t page = page_size(), pages = (keep + page - 1) / page * page;
    uint8_t *data = (uint8_t *)(uintptr_t)file->data;
    void *head = MAP_FAILED;
    if (pages > file->size)
        pages = file->size;
    if (mmap(data, (size_t)file->size, PROT_NONE,
             MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0) != MAP_FAILED)
        head = mmap(data, (size_t)pages, PROT_READ | PROT_WRITE,
                    MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (head == MAP_FAILED)
        return slm_fail_errno(error, errno, "take apart the mapping of", file->name);
    file->kind = SLM_FILE_HEAD;
    SLM_TRY(slm_file_read_at(file, data, (size_t)keep, 0, error));
    if (mprotect(data, (size_t)pages, PROT_READ) != 0)
        return slm_fail_errno(error, errno, "protect", file->name);
    return slm_file_check(file, error);
}

slm_status slm_file_read_at(const slm_file *file, void *data, size_t size, uint64_t offset,
                            slm_error *error) {
    if (file->fd < 0) {
        memcpy(data, file->data + offset, size);
        return SLM_OK;
    }
    ssize_t got = slm_pread_full(file->fd, data, size, offset);
    if (got < 0)
        return slm_fail_errno(error, errno, "read", file->name);
    if ((size_t)got < size)
        return slm_fail(error, SLM_ERR_CHANGED, file->name, offset + (uint64_t)got,
                        "%s became shorter while it was read: %" PRIu64 " bytes, wanted %" PRIu64,
                        file->name, offset + (uint64_t)got, file->size);
    return SLM_OK;
}

void slm_file_open_direct(slm_file *file) {
#ifdef O_DIRECT
    char path[32]; /* the very file, whatever its name stands for by now */
    snprintf(path, sizeof path, "/proc/self/fd/%d", file->fd);
    file->direct = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC | O_NOCTTY);
#else
    (void)file;
#endif
}

void slm_file_expect_little(const slm_file *file, uint64_t offset) {
    uint64_t first = (offset + page_size() - 1) / page_size() * page_size();
    if (file->direct >= 0 && first < file->size &&
        madvise((void *)(uintptr_t)(file->data + first), (size_t)(file->size - first),
                MADV_RANDOM) != 0)
        return; /* costs speed, nothing else */
}

/* Whether the page cache held all of a range. */
static int was_resident(const slm_file *file, size_t size, uint64_t offset) {
    uint64_t page = page_size(), end = (offset + size + page - 1) / page;
    if (file->resident == NULL)
        return 1;
    for (uint64_t i = offset / page; i < end; i++)
        if (!(file->resident[i] & 1))
            return 0;
    return 1;
}

slm_status slm_file_read_around(const slm_file *file, uint8_t *buffer, size_t size, uint64_t offset,
                                const uint8_t **data, slm_error *error) {
    size_t before = (size_t)(offset % SLM_AROUND_ALIGN);
    if (file->direct >= 0 && !was_resident(file, size, offset)) {
        size_t all = (before + size + SLM_AROUND_ALIGN - 1) / SLM_AROUND_ALIGN * SLM_AROUND_ALIGN;
        ssize_t got;
        do
            got = pread(file->direct, buffer, all, (off_t)(offset - before));
        while (got < 0 && errno == EINTR);
        *data = buffer + before;
        if (got >= (ssize_t)(before + size))
            return SLM_OK;
    }
    *data = buffer; /* also what file systems refuse that want another alignment */
    return slm_file_read_at(file, buffer, size, offset, error);
}
