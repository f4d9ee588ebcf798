/* The method is that of STREAM (McCalpin 1995) for a kernel that only reads: every thread folds its
 * part of a large buffer into a few registers, and the best of many passes counts, because
 * whatever else the machine does can only slow a pass down. */
#define _DEFAULT_SOURCE

#include "readbw.h"

#include <omp.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#define HUGE_PAGE ((size_t)2 << 20)
#define STEP      256u /* bytes of one stream that are read before the next stream's turn */
#define PASSES    6

typedef uint64_t vec __attribute__((vector_size(32), aligned(1), may_alias));

/* Four accumulators, so that the loop does not wait for its own sum. n is a multiple of
 * streams * STEP. always_inline: it takes on the instruction level of its caller. */
static inline __attribute__((always_inline)) uint64_t fold(const uint8_t *p, size_t n,
                                                           unsigned streams, unsigned ahead) {
    vec a = {0}, b = {0}, c = {0}, d = {0};
    size_t len = n / streams;
    for (size_t i = 0; i < len; i += STEP)
        for (unsigned s = 0; s < streams; s++) {
            const uint8_t *q = p + s * len + i;
            if (ahead > 0)
                for (unsigned j = 0; j < STEP; j += 64)
                    __builtin_prefetch(q + ahead + j, 0, 3);
            for (unsigned j = 0; j < STEP; j += 128) {
                a ^= *(const vec *)(const void *)(q + j);
                b ^= *(const vec *)(const void *)(q + j + 32);
                c ^= *(const vec *)(const void *)(q + j + 64);
                d ^= *(const vec *)(const void *)(q + j + 96);
            }
        }
    a ^= b ^ c ^ d;
    return a[0] ^ a[1] ^ a[2] ^ a[3];
}

typedef uint64_t (*fold_fn)(const uint8_t *p, size_t n, unsigned streams, unsigned ahead);

static uint64_t fold_plain(const uint8_t *p, size_t n, unsigned streams, unsigned ahead) {
    return fold(p, n, streams, ahead);
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) static uint64_t fold_avx2(const uint8_t *p, size_t n,
                                                          unsigned streams, unsigned ahead) {
    return fold(p, n, streams, ahead);
}
#endif

static fold_fn pick(void) {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2"))
        return fold_avx2;
#endif
    return fold_plain;
}

static double seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Whether bytes can be touched without driving others out; unknown counts as yes. */
static int memory_there(size_t bytes) {
    FILE *f = fopen("/proc/meminfo", "r");
    char line[128];
    unsigned long long kib;
    int there = 1;
    if (f == NULL)
        return 1;
    while (fgets(line, sizeof line, f) != NULL)
        if (sscanf(line, "MemAvailable: %llu kB", &kib) == 1) {
            there = kib > bytes / 1024 + bytes / 16384;
            break;
        }
    fclose(f);
    return there;
}

double slm_read_bandwidth(size_t bytes, uint32_t threads) {
    static const struct {
        unsigned streams, ahead;
    } ways[] = {{1, 0}, {1, 1024}, {4, 0}, {4, 1024}, {4, 4096}};
    size_t n = threads > 0 ? threads : 1;
    size_t part = (bytes / n + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
    if (part > (SIZE_MAX >> 1) / n || !memory_there(part * n))
        return 0;
    /* one huge page more to begin at a boundary, and for what is prefetched behind the end */
    size_t mapped = part * n + 2 * HUGE_PAGE;
    uint8_t *base = mmap(NULL, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base == MAP_FAILED)
        return 0;
    (void)madvise(base, mapped, MADV_HUGEPAGE);
    uint8_t *p = base + (HUGE_PAGE - (uintptr_t)base % HUGE_PAGE) % HUGE_PAGE;
    fold_fn read_part = pick();
    double best = 0;
    uint64_t sum = 0;
#pragma omp parallel num_threads((int)n) reduction(^ : sum)
    {
        /* A team may be smaller than asked for; the parts are shared out all the same. */
        size_t first = (size_t)omp_get_thread_num(), step = (size_t)omp_get_num_threads();
        for (size_t k = first; k < n; k += step) {
            uint64_t x = k + 1; /* xorshift64: no two pages alike, none of zeros */
            for (size_t i = 0; i < part; i += 8) {
                x ^= x << 13;
                x ^= x >> 7;
                x ^= x << 17;
                memcpy(p + k * part + i, &x, 8);
            }
        }
        for (size_t pass = 0; pass < PASSES * (sizeof ways / sizeof *ways); pass++) {
            size_t way = pass % (sizeof ways / sizeof *ways);
#pragma omp barrier
            double start = seconds();
            for (size_t k = first; k < n; k += step)
                sum ^= read_part(p + k * part, part, ways[way].streams, ways[way].ahead);
#pragma omp barrier
            double rate = (double)(part * n) * 1e-9 / (seconds() - start);
            if (first == 0 && rate > best)
                best = rate;
        }
    }
    munmap(base, mapped);
    volatile uint64_t sink = sum; /* the reading has a use */
    (void)sink;
    return best;
}
