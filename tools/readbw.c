/* The method is that of STREAM (McCalpin 1995) for a kernel that only reads: every thread folds its
 * part of a large buffer into a few registers, and the best of many passes counts, because
 * whatever else the machine does can only slow a pass down. */
#define _DEFAULT_SOURCE

#include "readbw.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#define HUGE_PAGE ((size_t)2 << 20)
#define STEP      256u /* bytes of one stream that are read before the next stream's turn */
#define N_WAYS    5
#define PASSES    (6 * N_WAYS)

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

/* ---------------------------------------------------------------- threads -------------------- */

typedef struct team {
    pthread_mutex_t gate; /* held by the caller until size is known */
    pthread_barrier_t step;
    size_t size; /* threads that there are: each takes every size-th part */
    uint8_t *data;
    size_t n, part; /* parts, bytes of one */
    int is_given;   /* the caller's memory, read as it is */
    fold_fn read_part;
} team;

typedef struct member {
    pthread_t thread;
    team *team;
    size_t first; /* its first part */
    uint64_t sum;
    double begun[PASSES], done[PASSES];
} member;

static void fill(const team *t, size_t first) {
    for (size_t k = first; k < t->n; k += t->size) {
        uint64_t x = k + 1; /* xorshift64: no two pages alike, none of zeros */
        for (size_t i = 0; i < t->part; i += 8) {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            memcpy(t->data + k * t->part + i, &x, 8);
        }
    }
}

static void *work(void *arg) {
    static const struct {
        unsigned streams, ahead;
    } ways[N_WAYS] = {{1, 0}, {1, 1024}, {4, 0}, {4, 1024}, {4, 4096}};
    member *m = arg;
    team *t = m->team;
    pthread_mutex_lock(&t->gate);
    pthread_mutex_unlock(&t->gate);
    if (!t->is_given)
        fill(t, m->first);
    for (size_t pass = 0; pass < PASSES; pass++) {
        size_t way = pass % N_WAYS;
        pthread_barrier_wait(&t->step);
        m->begun[pass] = seconds();
        for (size_t k = m->first; k < t->n; k += t->size)
            m->sum ^= t->read_part(t->data + k * t->part, t->part, ways[way].streams,
                                   ways[way].ahead);
        m->done[pass] = seconds();
    }
    return NULL;
}

/* The shortest pass: from when its first thread began until its last one was done. */
static double shortest(const member *members, size_t n) {
    double best = 0;
    for (size_t pass = 0; pass < PASSES; pass++) {
        double begun = members[0].begun[pass], done = members[0].done[pass];
        for (size_t i = 1; i < n; i++) {
            begun = members[i].begun[pass] < begun ? members[i].begun[pass] : begun;
            done = members[i].done[pass] > done ? members[i].done[pass] : done;
        }
        best = pass == 0 || done - begun < best ? done - begun : best;
    }
    return best;
}

/* With as many of the n threads as the system gives; the parts are shared out all the same. */
static double measure(team *t, member *members) {
    uint64_t sum = 0;
    pthread_mutex_init(&t->gate, NULL);
    pthread_mutex_lock(&t->gate);
    for (t->size = 1; t->size < t->n; t->size++) {
        member *m = &members[t->size];
        *m = (member){.team = t, .first = t->size};
        if (pthread_create(&m->thread, NULL, work, m) != 0)
            break;
    }
    pthread_barrier_init(&t->step, NULL, (unsigned)t->size);
    pthread_mutex_unlock(&t->gate);
    members[0] = (member){.team = t};
    work(&members[0]);
    for (size_t i = 0; i < t->size; i++) {
        if (i > 0)
            pthread_join(members[i].thread, NULL);
        sum ^= members[i].sum;
    }
    pthread_barrier_destroy(&t->step);
    pthread_mutex_destroy(&t->gate);
    volatile uint64_t sink = sum; /* the reading has a use */
    (void)sink;
    return (double)(t->part * t->n) * 1e-9 / shortest(members, t->size);
}

double slm_read_bandwidth_of(const void *data, size_t bytes, uint32_t threads) {
    size_t n = threads > 0 ? threads : 1;
    team t = {.data = (uint8_t *)(uintptr_t)data,
              .n = n,
              .part = bytes / n / (4 * STEP) * (4 * STEP),
              .read_part = pick(),
              .is_given = 1};
    member *members = malloc(n * sizeof *members);
    double rate = members != NULL && t.part > 0 ? measure(&t, members) : 0;
    free(members);
    return rate;
}

double slm_read_bandwidth(size_t bytes, uint32_t threads) {
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
    team t = {.data = base + (HUGE_PAGE - (uintptr_t)base % HUGE_PAGE) % HUGE_PAGE,
              .n = n,
              .part = part,
              .read_part = pick()};
    member *members = malloc(n * sizeof *members);
    double rate = 0;
    if (members != NULL)
        rate = measure(&t, members);
    free(members);
    munmap(base, mapped);
    return rate;
}
