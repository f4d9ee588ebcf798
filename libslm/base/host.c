#include "base/os.h"

#include "base/checked.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ALLOC_ALIGN 64u

static void *std_alloc(void *user, size_t size, size_t align) {
    (void)user;
    size_t rounded;
    if (!slm_add_size(size, align - 1, &rounded))
        return NULL;
    return aligned_alloc(align, rounded / align * align);
}

static void std_free(void *user, void *ptr, size_t size, size_t align) {
    (void)user;
    (void)size;
    (void)align;
    free(ptr);
}

void slm_host_init(slm_host *host, const slm_allocator *allocator, slm_log_fn log, void *log_user,
                   slm_log_level level) {
    memset(host, 0, sizeof *host);
    if (allocator && allocator->alloc && allocator->free) {
        host->allocator = *allocator;
    } else {
        host->allocator.alloc = std_alloc;
        host->allocator.free = std_free;
    }
    host->log = log;
    host->log_user = log_user;
    host->log_level = level;
    atomic_init(&host->bytes, 0);
}

int slm_host_is_std(const slm_host *host) {
    return host->allocator.alloc == std_alloc;
}

static int reserve(slm_host *host, uint64_t size) {
    uint64_t held = atomic_load_explicit(&host->bytes, memory_order_relaxed);
    uint64_t sum;
    do {
        if (!slm_add_u64(held, size, &sum) || (host->limit != 0 && sum > host->limit)) {
            atomic_store_explicit(&host->was_full, 1, memory_order_relaxed);
            return 0;
        }
    } while (!atomic_compare_exchange_weak_explicit(&host->bytes, &held, sum, memory_order_relaxed,
                                                    memory_order_relaxed));
    return 1;
}

static void release(slm_host *host, uint64_t size) {
    atomic_fetch_sub_explicit(&host->bytes, size, memory_order_relaxed);
}

void *slm_alloc(slm_host *host, size_t size) {
    size_t total;
    if (!slm_add_size(size, SLM_ALLOC_HEADER, &total) || !reserve(host, total))
        return NULL;
    uint8_t *base = host->allocator.alloc(host->allocator.user, total, ALLOC_ALIGN);
    if (!base) {
        release(host, total);
        return NULL;
    }
    memcpy(base, &total, sizeof total);
    return base + SLM_ALLOC_HEADER;
}

void *slm_calloc(slm_host *host, size_t count, size_t size) {
    size_t total;
    if (!slm_mul_size(count, size, &total))
        return NULL;
    void *ptr = slm_alloc(host, total);
    if (ptr)
        memset(ptr, 0, total);
    return ptr;
}

static size_t total_of(const void *ptr) {
    size_t total;
    memcpy(&total, (const uint8_t *)ptr - SLM_ALLOC_HEADER, sizeof total);
    return total;
}

void *slm_realloc(slm_host *host, void *ptr, size_t size) {
    void *grown = slm_alloc(host, size);
    if (!grown || !ptr)
        return grown;
    size_t old = total_of(ptr) - SLM_ALLOC_HEADER;
    memcpy(grown, ptr, old < size ? old : size);
    slm_free(host, ptr);
    return grown;
}

void slm_free(slm_host *host, void *ptr) {
    if (!ptr)
        return;
    size_t total = total_of(ptr);
    host->allocator.free(host->allocator.user, (uint8_t *)ptr - SLM_ALLOC_HEADER, total,
                         ALLOC_ALIGN);
    release(host, total);
}

slm_status slm_fail_nomem(slm_error *error, uint64_t bytes, const char *what) {
    return slm_fail(error, SLM_ERR_NOMEM, what, SLM_NO_OFFSET,
                    "not enough memory for %s: %" PRIu64 " bytes wanted", what, bytes);
}

void slm_log(const slm_host *host, slm_log_level level, const char *format, ...) {
    if (!host->log || level > host->log_level)
        return;
    char text[1024];
    char line[1024];
    va_list ap;
    va_start(ap, format);
    int got = vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    if (got < 0)
        return;
    slm_escape(line, sizeof line, text, strlen(text));
    host->log(host->log_user, level, line);
}
