/* How fast a model is loaded, beside how fast its file can be read, out of a cold page cache, in turns.
 *
 *   slm_bench_load MODEL.gguf [-d cpu|cuda] [-l auto|map|read|pack] [-r ROUNDS] [--warm]
 *
 * CSV, rates in 10^9 bytes of the file a second:
 *
 *   buffered   the file read in order, 8 MiB at a time
 *   direct     the same past the page cache; no row where the file system has no such reads
 *   load       slm_model_open
 *
 *   share      of the better of the two readings, round by round; median
 *   cpu        seconds of all processors for 10^9 bytes, of load with closing; median
 *   cached     the most that the page cache held of the file before any of it, as a share of the file: a
 *              round begins with dropping it, and what another process has mapped stays
 *
 *   --warm     does not drop it: the file is read once before, and all come from memory */
#define _GNU_SOURCE

#include "slm.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { PIECE = 8 << 20, ALIGN = 4096, MAX_ROUNDS = 100, N_KINDS = 3 };

static const char *const names[N_KINDS] = {"buffered", "direct", "load"};

typedef struct run {
    const char *path;
    slm_device device;
    slm_load load;
    int rounds, warm;
    uint64_t bytes;
    void *piece;
    double rates[N_KINDS][MAX_ROUNDS]; /* 0: none */
    double cpu[N_KINDS][MAX_ROUNDS];   /* seconds */
    double cached;
} run;

static double seconds(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int fail(const char *path) {
    fprintf(stderr, "slm_bench_load: %s: %s\n", path, strerror(errno));
    return 1;
}

/* Share of the file that the page cache holds. */
static double cached_share(int fd, uint64_t bytes) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE), n = ((size_t)bytes + page - 1) / page, held = 0;
    unsigned char *in = malloc(n);
    void *at = mmap(NULL, (size_t)bytes, PROT_READ, MAP_SHARED, fd, 0);
    if (in != NULL && at != MAP_FAILED && mincore(at, (size_t)bytes, in) == 0)
        for (size_t i = 0; i < n; i++)
            held += in[i] & 1;
    if (at != MAP_FAILED)
        munmap(at, (size_t)bytes);
    free(in);
    return (double)held / (double)n;
}

/* Before each measurement. */
static int make_cold(run *r) {
    int fd = open(r->path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return fail(r->path);
    if (!r->warm) {
        (void)fdatasync(fd); /* what is not written yet cannot be dropped */
        (void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    }
    double share = cached_share(fd, r->bytes);
    r->cached = share > r->cached ? share : r->cached;
    close(fd);
    return 0;
}

/* Bytes a second; 0 when it cannot be read so. */
static double read_all(run *r, int flags) {
    uint64_t done = 0;
    ssize_t got = 0;
    int fd = open(r->path, O_RDONLY | O_CLOEXEC | flags);
    if (fd < 0)
        return 0;
    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    double begun = seconds(CLOCK_MONOTONIC);
    while (done < r->bytes && ((got = read(fd, r->piece, PIECE)) > 0 || (got < 0 && errno == EINTR)))
        done += got > 0 ? (uint64_t)got : 0;
    double taken = seconds(CLOCK_MONOTONIC) - begun;
    close(fd);
    return done == r->bytes ? (double)done / taken : 0;
}

static double load(run *r, slm_status *status, slm_error *error) {
    slm_model_options options = {.struct_size = sizeof options, .device = r->device,
                                 .load = r->load};
    slm_model *model = NULL;
    double begun = seconds(CLOCK_MONOTONIC);
    *status = slm_model_open(r->path, &options, &model, error);
    double taken = seconds(CLOCK_MONOTONIC) - begun;
    slm_model_close(&model);
    return (double)r->bytes / taken;
}

static int play(run *r) {
    slm_error error = SLM_ERROR_INIT;
    slm_status status = SLM_OK;
    if (r->warm && read_all(r, 0) == 0)
        return fail(r->path);
    for (int i = 0; i < r->rounds; i++)
        for (int kind = 0; kind < N_KINDS; kind++) {
            if (make_cold(r) != 0)
                return 1;
            double cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
            r->rates[kind][i] = kind < 2 ? read_all(r, kind == 1 ? O_DIRECT : 0)
                                         : load(r, &status, &error);
            r->cpu[kind][i] = seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu;
            if (status != SLM_OK) {
                fprintf(stderr, "slm_bench_load: %s: %s\n", r->path, error.message);
                return 1;
            }
        }
    return 0;
}

/* ---------------------------------------------------------------- report --------------------- */

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(const double *x, int n) {
    double sorted[MAX_ROUNDS];
    memcpy(sorted, x, (size_t)n * sizeof *x);
    qsort(sorted, (size_t)n, sizeof *sorted, by_value);
    return (sorted[(n - 1) / 2] + sorted[n / 2]) / 2;
}

static void report(const run *r) {
    static const char *const loads[] = {"auto", "map", "read", "pack"};
    const char *name = strrchr(r->path, '/');
    printf("name,unit,best,median,share,cpu,rounds,cached,bytes,device,load,model\n");
    for (int kind = 0; kind < N_KINDS; kind++) {
        double share[MAX_ROUNDS], best = 0;
        for (int i = 0; i < r->rounds; i++) {
            double raw = r->rates[0][i] > r->rates[1][i] ? r->rates[0][i] : r->rates[1][i];
            share[i] = raw > 0 ? r->rates[kind][i] / raw : 0;
            best = r->rates[kind][i] > best ? r->rates[kind][i] : best;
        }
        if (best > 0)
            printf("%s,GB/s,%.4g,%.4g,%.4f,%.4g,%d,%.4f,%llu,%s,%s,%s\n", names[kind], best * 1e-9,
                   median(r->rates[kind], r->rounds) * 1e-9, median(share, r->rounds),
                   median(r->cpu[kind], r->rounds) * 1e9 / (double)r->bytes, r->rounds, r->cached,
                   (unsigned long long)r->bytes,
                   r->device == SLM_DEVICE_CUDA ? "cuda" : "cpu", loads[r->load],
                   name != NULL ? name + 1 : r->path);
    }
}

static int usage(void) {
    fprintf(stderr, "usage: slm_bench_load MODEL.gguf [-d cpu|cuda] [-l auto|map|read|pack] "
                    "[-r ROUNDS] [--warm]\n");
    return 2;
}

int main(int argc, char **argv) {
    static run r = {.device = SLM_DEVICE_CPU, .rounds = 5};
    static const struct option options[] = {{"warm", no_argument, NULL, 'w'}, {NULL, 0, NULL, 0}};
    for (int c; (c = getopt_long(argc, argv, "d:l:r:", options, NULL)) != -1;) {
        if (c == 'd' && (strcmp(optarg, "cpu") == 0 || strcmp(optarg, "cuda") == 0))
            r.device = optarg[1] == 'p' ? SLM_DEVICE_CPU : SLM_DEVICE_CUDA;
        else if (c == 'l' && strcmp(optarg, "auto") == 0)
            r.load = SLM_LOAD_AUTO;
        else if (c == 'l' && strcmp(optarg, "map") == 0)
            r.load = SLM_LOAD_MAP;
        else if (c == 'l' && strcmp(optarg, "read") == 0)
            r.load = SLM_LOAD_READ;
        else if (c == 'l' && strcmp(optarg, "pack") == 0)
            r.load = SLM_LOAD_PACK;
        else if (c == 'r' && atoi(optarg) >= 1 && atoi(optarg) <= MAX_ROUNDS)
            r.rounds = atoi(optarg);
        else if (c == 'w')
            r.warm = 1;
        else
            return usage();
    }
    struct stat st;
    if (optind + 1 != argc)
        return usage();
    r.path = argv[optind];
    if (stat(r.path, &st) != 0 || (r.piece = aligned_alloc(ALIGN, PIECE)) == NULL)
        return fail(r.path);
    r.bytes = (uint64_t)st.st_size;
    int status = r.bytes > 0 ? play(&r) : fail(r.path);
    if (status == 0)
        report(&r);
    free(r.piece);
    return status;
}
