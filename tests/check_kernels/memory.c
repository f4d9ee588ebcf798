#define _GNU_SOURCE
#include "check.h"

#include <sys/mman.h>
#include <unistd.h>

#define MAX_BUFFERS 256
#define PATTERN     0xa5

static struct {
    uint8_t *base, *data;
    size_t mapped;
} buffers[MAX_BUFFERS];
static size_t n_buffers;

static size_t page_size(void) {
    return (size_t)sysconf(_SC_PAGESIZE);
}

void *guard_alloc(size_t size) {
    size_t page = page_size(), inner = (size + page - 1) / page * page + page;
    size_t mapped = inner + 2 * page;
    if (n_buffers == MAX_BUFFERS) {
        fprintf(stderr, "check_kernels: more than %d buffers in one case\n", MAX_BUFFERS);
        exit(2);
    }
    uint8_t *base = mmap(NULL, mapped, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base == MAP_FAILED || mprotect(base + page, inner, PROT_READ | PROT_WRITE) != 0) {
        perror("check_kernels: mmap");
        exit(2);
    }
    memset(base + page, PATTERN, inner);
    buffers[n_buffers].base = base;
    buffers[n_buffers].data = base + page + inner - size;
    buffers[n_buffers].mapped = mapped;
    return buffers[n_buffers++].data;
}

static void protect(void *p, int how) {
    size_t page = page_size();
    for (size_t i = 0; i < n_buffers; i++)
        if (buffers[i].data == p)
            mprotect(buffers[i].base + page, buffers[i].mapped - 2 * page, how);
}

void guard_freeze(void *p) { protect(p, PROT_READ); }

void guard_thaw(void *p) { protect(p, PROT_READ | PROT_WRITE); }

void guard_release(check *c) {
    size_t page = page_size();
    for (size_t i = 0; i < n_buffers; i++) {
        for (const uint8_t *p = buffers[i].base + page; p < buffers[i].data; p++)
            if (*p != PATTERN) {
                fail(c, "wrote %zu bytes before a buffer", (size_t)(buffers[i].data - p));
                break;
            }
        munmap(buffers[i].base, buffers[i].mapped);
    }
    n_buffers = 0;
}
