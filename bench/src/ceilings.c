/* The ceilings of this machine: what no program can pass.
 *
 *   slm_ceilings [-t LIST] [-m MEGABYTES] [-r PASSES] [-o read,copy,int8,fp32] [--json | --csv]
 *
 *   read_huge, read_small  a buffer read in order, on huge pages and on small ones: one stream or
 *                          four a thread, with and without prefetching. Each way is passed PASSES
 *                          times; best: of all, median: of the way that has the best
 *   copy_huge              half of it copied to the other half; bytes read and bytes written both
 *                          count
 *   int8_..., fp32_...     multiply-accumulates of one instruction level, operands in registers
 *
 * A pass lasts from when its first thread begins until its last one is done. Rates are in 10^9 a
 * second. The best pass is the ceiling: whatever else the machine does can only slow a pass down.
 */
#define _GNU_SOURCE

#include "../../tools/peaks.h"

#include <getopt.h>
#include <omp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

enum {
    MAX_THREADS = 1024,
    MAX_PASSES = 1000,
    MAX_LIST = 16,
    MAX_PEAKS = 16,
    STEP = 256, /* bytes of one stream that are read before the next stream's turn */
};
#define HUGE_PAGE    ((size_t)2 << 20)
#define PEAK_SECONDS 0.02 /* of one pass over registers */

static double seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* ---------------------------------------------------------------- passes --------------------- */

/* What one thread of several does in one pass. */
typedef void (*job)(void *what, int thread, int threads);

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Seconds of each pass, ascending; one more runs before them and does not count. Fewer threads than
 * asked for do the whole work all the same. */
static void time_passes(job run, void *what, int threads, int passes, double *taken) {
    static double begun[MAX_THREADS], done[MAX_THREADS];
    for (int pass = -1; pass < passes; pass++) {
        int team = 1;
#pragma omp parallel num_threads(threads)
        {
            int i = omp_get_thread_num(), n = omp_get_num_threads();
#pragma omp barrier
            begun[i] = seconds();
            for (int part = i; part < threads; part += n)
                run(what, part, threads);
            done[i] = seconds();
            if (i == 0)
                team = n;
        }
        double first = begun[0], last = done[0];
        for (int i = 1; i < team; i++) {
            first = begun[i] < first ? begun[i] : first;
            last = done[i] > last ? done[i] : last;
        }
        if (pass >= 0)
            taken[pass] = last - first;
    }
    qsort(taken, (size_t)passes, sizeof *taken, by_value);
}

/* ---------------------------------------------------------------- output --------------------- */

typedef enum format { TABLE, JSON, CSV } format;

typedef struct settings {
    int threads[MAX_LIST], n_threads, passes;
    double megabytes;
    format format;
    const char *only; /* NULL: everything */
    double taken[MAX_PASSES];
} settings;

static void print_head(const settings *s) {
    if (s->format == CSV)
        printf("name,threads,unit,best,median,passes\n");
    if (s->format == TABLE)
        printf("%-14s %7s %12s %12s\n", "ceiling", "threads", "best", "median");
}

static void print_row(const settings *s, const char *name, int threads, const char *unit,
                      double best, double median) {
    if (s->format == JSON)
        printf("{\"name\":\"%s\",\"threads\":%d,\"unit\":\"%s\",\"best\":%.3f,\"median\":%.3f,"
               "\"passes\":%d}\n",
               name, threads, unit, best, median, s->passes);
    else if (s->format == CSV)
        printf("%s,%d,%s,%.3f,%.3f,%d\n", name, threads, unit, best, median, s->passes);
    else
        printf("%-14s %7d %12.2f %12.2f %s\n", name, threads, best, median, unit);
    fflush(stdout);
}

static int wanted(const settings *s, const char *group) {
    size_t len = strlen(group);
    for (const char *at = s->only; at != NULL;) {
        size_t word = strcspn(at, ",");
        if (word == len && memcmp(at, group, len) == 0)
            return 1;
        at = at[word] == ',' ? at + word + 1 : NULL;
    }
    return s->only == NULL;
}

/* ---------------------------------------------------------------- memory --------------------- */

typedef uint64_t vec __attribute__((vector_size(64), aligned(1), may_alias));

/* Four accumulators, so that the loop does not wait for its own sum. n is a multiple of
 * streams * STEP. always_inline: it takes on the instruction level of its caller. */
static inline __attribute__((always_inline)) uint64_t fold(const uint8_t *p, size_t n, int streams,
                                                           size_t ahead) {
    vec a = {0}, b = {0}, c = {0}, d = {0};
    size_t len = n / (size_t)streams;
    for (size_t i = 0; i < len; i += STEP)
        for (int s = 0; s < streams; s++) {
            const uint8_t *q = p + (size_t)s * len + i;
            if (ahead > 0)
                for (size_t j = 0; j < STEP; j += 64)
                    __builtin_prefetch(q + ahead + j, 0, 3);
            a ^= *(const vec *)(const void *)q;
            b ^= *(const vec *)(const void *)(q + 64);
            c ^= *(const vec *)(const void *)(q + 128);
            d ^= *(const vec *)(const void *)(q + 192);
        }
    a ^= b ^ c ^ d;
    return a[0] ^ a[1] ^ a[2] ^ a[3] ^ a[4] ^ a[5] ^ a[6] ^ a[7];
}

typedef uint64_t (*fold_fn)(const uint8_t *p, size_t n, int streams, size_t ahead);

static uint64_t fold_plain(const uint8_t *p, size_t n, int streams, size_t ahead) {
    return fold(p, n, streams, ahead);
}

#if defined(__x86_64__)
AVX2 static uint64_t fold_avx2(const uint8_t *p, size_t n, int streams, size_t ahead) {
    return fold(p, n, streams, ahead);
}

AVX512 static uint64_t fold_avx512(const uint8_t *p, size_t n, int streams, size_t ahead) {
    return fold(p, n, streams, ahead);
}
#endif

static fold_fn pick_fold(void) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vnni"))
        return fold_avx512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return fold_avx2;
#endif
    return fold_plain;
}

typedef struct memory {
    uint8_t *data;
    size_t part; /* bytes of one thread, whole huge pages */
    fold_fn fold;
    int streams;
    size_t ahead;
    volatile uint64_t sink; /* what was read has a use */
} memory;

static void job_fill(void *what, int thread, int threads) {
    memory *m = what;
    uint64_t x = (uint64_t)thread + 1; /* xorshift64: no two pages alike, none of zeros */
    (void)threads;
    for (size_t i = 0; i < m->part; i += sizeof x) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        memcpy(m->data + (size_t)thread * m->part + i, &x, sizeof x);
    }
}

static void job_read(void *what, int thread, int threads) {
    memory *m = what;
    (void)threads;
    m->sink = m->fold(m->data + (size_t)thread * m->part, m->part, m->streams, m->ahead);
}

static void job_copy(void *what, int thread, int threads) {
    memory *m = what;
    uint8_t *p = m->data + (size_t)thread * m->part;
    (void)threads;
    memcpy(p + m->part / 2, p, m->part / 2);
    m->sink = p[m->part / 2];
}

static void time_reading(settings *s, memory *m, const char *name, int threads) {
    static const struct {
        int streams;
        size_t ahead;
    } ways[] = {{1, 0}, {1, 1024}, {4, 0}, {4, 1024}, {4, 4096}};
    double best = 0, median = 0;
    for (size_t w = 0; w < sizeof ways / sizeof ways[0]; w++) {
        m->streams = ways[w].streams;
        m->ahead = ways[w].ahead;
        time_passes(job_read, m, threads, s->passes, s->taken);
        if (w == 0 || s->taken[0] < best) {
            best = s->taken[0];
            median = s->taken[s->passes / 2];
        }
    }
    double bytes = (double)m->part * threads * 1e-9;
    print_row(s, name, threads, "GB/s", bytes / best, bytes / median);
}

static int time_memory(settings *s, int threads, int huge) {
    static const char *const names[] = {"read_small", "read_huge"};
    size_t part = (size_t)(s->megabytes * 1e6) / (size_t)threads / HUGE_PAGE * HUGE_PAGE;
    memory m = {.part = part > 0 ? part : HUGE_PAGE, .fold = pick_fold()};
    /* one huge page more to begin at a boundary, one for what is prefetched behind the end */
    size_t mapped = m.part * (size_t)threads + 2 * HUGE_PAGE;
    uint8_t *base = mmap(NULL, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base == MAP_FAILED) {
        fprintf(stderr, "slm_ceilings: got no memory for %zu bytes, wanted -m smaller\n", mapped);
        return 1;
    }
    (void)madvise(base, mapped, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
    m.data = base + (HUGE_PAGE - (uintptr_t)base % HUGE_PAGE) % HUGE_PAGE;
    time_passes(job_fill, &m, threads, 1, s->taken);
    if (wanted(s, "read"))
        time_reading(s, &m, names[huge], threads);
    if (huge && wanted(s, "copy")) {
        double bytes = (double)m.part * threads * 1e-9; /* half of it read, half written */
        time_passes(job_copy, &m, threads, s->passes, s->taken);
        print_row(s, "copy_huge", threads, "GB/s", bytes / s->taken[0],
                  bytes / s->taken[s->passes / 2]);
    }
    munmap(base, mapped);
    return 0;
}

/* ---------------------------------------------------------------- registers ------------------ */

typedef struct repeated {
    double (*run)(void);
    int times;
    double macs; /* of one run */
} repeated;

static void job_peak(void *what, int thread, int threads) {
    repeated *r = what;
    (void)thread;
    (void)threads;
    for (int i = 0; i < r->times; i++)
        (void)r->run();
}

static void time_peak(settings *s, const peak *p, int threads) {
    repeated r = {.run = p->run, .times = 1};
    double begun = seconds();
    r.macs = p->run();
    double once = seconds() - begun;
    r.times = once > 0 && once < PEAK_SECONDS ? (int)(PEAK_SECONDS / once) + 1 : 1;
    time_passes(job_peak, &r, threads, s->passes, s->taken);
    double all = r.macs * r.times * threads * 1e-9;
    print_row(s, p->name, threads, "GMAC/s", all / s->taken[0], all / s->taken[s->passes / 2]);
}

/* ---------------------------------------------------------------- command line --------------- */

static int usage(const char *got) {
    fprintf(stderr,
            "slm_ceilings: got %s, wanted [-t LIST] [-m MEGABYTES] [-r PASSES] "
            "[-o read,copy,int8,fp32] [--json | --csv]\n",
            got);
    return 2;
}

static int take_threads(settings *s, const char *list) {
    s->n_threads = 0;
    for (const char *at = list;; at++) {
        char *end;
        long n = strtol(at, &end, 10);
        if (end == at || n < 1 || n > MAX_THREADS || s->n_threads == MAX_LIST)
            return 0;
        s->threads[s->n_threads++] = (int)n;
        at = end;
        if (*at == '\0')
            return 1;
        if (*at != ',')
            return 0;
    }
}

static int all_known(const char *list) {
    static const char *const groups[] = {"read", "copy", "int8", "fp32"};
    for (const char *at = list;; at++) {
        size_t len = strcspn(at, ","), known = 0;
        for (size_t g = 0; g < 4; g++)
            known |= strlen(groups[g]) == len && memcmp(at, groups[g], len) == 0;
        at += len;
        if (!known)
            return 0;
        if (*at == '\0')
            return 1;
    }
}

int main(int argc, char **argv) {
    static settings s = {.passes = 5, .megabytes = 2000};
    static const struct option longs[] = {
        {"json", no_argument, NULL, 'j'}, {"csv", no_argument, NULL, 'c'}, {NULL, 0, NULL, 0}};
    int cores = omp_get_num_procs(), failed = 0, c;
    s.threads[s.n_threads++] = 1;
    if (cores > 1)
        s.threads[s.n_threads++] = cores < MAX_THREADS ? cores : MAX_THREADS;
    opterr = 0;
    while ((c = getopt_long(argc, argv, "t:m:r:o:", longs, NULL)) != -1) {
        int good = 1;
        if (c == 't')
            good = take_threads(&s, optarg);
        else if (c == 'm')
            good = (s.megabytes = atof(optarg)) >= 1 && s.megabytes <= 1e6;
        else if (c == 'r')
            good = (s.passes = atoi(optarg)) >= 1 && s.passes <= MAX_PASSES;
        else if (c == 'o')
            good = all_known(s.only = optarg);
        else if (c == 'j' || c == 'c')
            s.format = c == 'j' ? JSON : CSV;
        else
            return usage(argv[optind - 1]);
        if (!good)
            return usage(optarg);
    }
    if (optind < argc)
        return usage(argv[optind]);

    peak peaks[MAX_PEAKS]; /* first, as the system grants tiles to threads that start later */
    size_t n_peaks = find_peaks(peaks);
    omp_set_dynamic(0);
    print_head(&s);
    for (int t = 0; t < s.n_threads; t++) {
        for (int huge = 1; huge >= 0 && !failed; huge--)
            if (wanted(&s, "read") || (huge && wanted(&s, "copy")))
                failed = time_memory(&s, s.threads[t], huge);
        for (size_t i = 0; i < n_peaks; i++)
            if (peaks[i].here &&
                wanted(&s, strncmp(peaks[i].name, "int8", 4) == 0 ? "int8" : "fp32"))
                time_peak(&s, &peaks[i], s.threads[t]);
    }
    return failed;
}
