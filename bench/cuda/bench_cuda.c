/* What a GPU can do at most, and what the kernels of the library make of it.
 *
 *   slm_bench_cuda identify
 *   slm_bench_cuda ceilings [--quick]
 *   slm_bench_cuda kernels [--quick]
 *   slm_bench_cuda partitions [--quick]
 *
 *   identify   the device as lines KEY=VALUE. Status 77: there is none, or no driver
 *   ceilings   CSV, rates in 10^9 a second:
 *                copy             half of a buffer to the other half; bytes read and bytes written
 *                                 both count
 *                read, read_l2    a buffer that no cache holds; one that L2 holds
 *                mma_s8, mma_f16  operations of tensor cores by mma, operands in registers; a
 *                                 multiply-accumulate is two
 *                node             of a graph of small kernels, each
 *                node_all         of a graph of kernels with a block for each multiprocessor, that do
 *                                 nothing
 *                barrier          of the same blocks inside of one kernel
 *                launch           of a small kernel put on a stream, each
 *                wait             of a small kernel and the wait for it
 *                best_N, row_N    what a step does with N logits: the best of them found and copied
 *                                 to the host; all of them copied
 *   kernels    CSV: products of every type of weights with 1 to 512 rows, the weights coming from
 *              memory; bytes are those of the weights, macs multiply-accumulates (the tensor cores of
 *              an Orin make 2048 a clock). On the standard error a line for each type
 *   partitions CSV: reading, products of one row, node_all and barrier, with 4, 8 and 16
 *              multiprocessors of the device (green contexts), as many as an Orin has: what each of
 *              them takes and does in a clock.
 *              Those that cannot be had are named on the standard error
 *   --quick    tiny shapes, once each: not to measure, but to see that all of it runs
 *
 * A figure is the best of some passes, a pass replays one graph for PASS_SECONDS. The clock of the
 * multiprocessors is measured after each figure; where the device has none, it is the highest that
 * the driver names. Clocks and power are left as they are. */
#define _GNU_SOURCE

#include "ceilings.h"
#include "partition.h"

#include "base/rng.h"
#include "gguf/dtype.h"
#include "kernels.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PASS_SECONDS 0.01
#define MAX_PASSES   5
#define SPIN_TICKS   500000u
#define NO_DEVICE    77 /* CTest: skipped */

typedef struct bench {
    slm_cuda_stream stream;
    slm_cuda_info info;
    int is_quick, n_passes;
    double pass_seconds;
    const char *prefix;   /* of the rows of the table of products                                    */
    size_t n_row_counts;  /* the first of row_counts that are timed                                  */
    uint32_t *sink; /* a word for each warp of a full device */
} bench;

static double seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void need(int error, const char *what) {
    if (error == 0)
        return;
    fprintf(stderr, "slm_bench_cuda: %s: %s (CUDA error %d)\n", what, slm_cuda_error(error), error);
    exit(1);
}

static void *device_memory(const bench *b, size_t bytes) {
    void *p;
    need(slm_cuda_alloc(b->stream.device, &p, bytes), "memory of the device");
    return p;
}

static void *host_memory(size_t bytes) {
    void *p = calloc(1, bytes);
    if (p == NULL) {
        fprintf(stderr, "slm_bench_cuda: got no memory for %zu bytes\n", bytes);
        exit(1);
    }
    return p;
}

/* ---------------------------------------------------------------- time ------------------------ */

/* Puts something on a stream. */
typedef int (*put_fn)(const void *what, slm_cuda_stream *s);

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double replay(bench *b, const slm_cuda_graph *graph, int times) {
    double begun = seconds();
    for (int i = 0; i < times; i++)
        need(slm_cuda_replay(&b->stream, graph), "a graph");
    need(slm_cuda_wait(&b->stream), "a kernel");
    return (seconds() - begun) / times;
}

typedef struct timing {
    double best, median; /* seconds of one replay */
    double clock_mhz;    /* 0: not known          */
} timing;

static double clock_mhz(bench *b) {
    double took[2];
    for (int i = 0; i < 2; i++) {
        double begun = seconds();
        if (slm_bench_spin(&b->stream, (i ? 3 : 1) * (uint64_t)SPIN_TICKS) != 0)
            return b->info.clock_khz * 1e-3;
        need(slm_cuda_wait(&b->stream), "the clock");
        took[i] = seconds() - begun;
    }
    return 2e-6 * SPIN_TICKS / (took[1] - took[0]);
}

static timing measure(bench *b, put_fn put, const void *what) {
    slm_cuda_graph graph = {NULL};
    double taken[MAX_PASSES];
    need(slm_cuda_record(&b->stream), "recording a graph");
    need(put(what, &b->stream), "a launch");
    need(slm_cuda_record_end(&b->stream, &graph), "recording a graph");
    double once = replay(b, &graph, 1); /* brings the code to the device */
    if (!b->is_quick)
        once = replay(b, &graph, 1);
    int times = once < b->pass_seconds ? (int)(b->pass_seconds / once) + 1 : 1;
    for (int i = 0; i < b->n_passes; i++)
        taken[i] = replay(b, &graph, times);
    timing t = {.clock_mhz = clock_mhz(b)};
    qsort(taken, (size_t)b->n_passes, sizeof *taken, by_value);
    t.best = taken[0];
    t.median = taken[b->n_passes / 2];
    slm_cuda_graph_close(&graph);
    return t;
}

/* Of one multiprocessor in one clock, of what the device does in a second. */
static double per_clock_per_sm(const bench *b, double rate, double mhz) {
    return mhz > 0 ? rate / (mhz * 1e6 * b->info.n_sms) : 0;
}

/* ---------------------------------------------------------------- device ---------------------- */

static int identify(void) {
    slm_cuda_info i;
    int n, error = slm_cuda_count(&n);
    if (error != 0 || n == 0) {
        fprintf(stderr, "slm_bench_cuda: %s\n", error ? slm_cuda_error(error) : "no CUDA device");
        return NO_DEVICE;
    }
    need(slm_cuda_open(0, &i), "device 0");
    printf("name=%s\ncompute_capability=%u.%u\nmultiprocessors=%u\nl2_bytes=%llu\n", i.name,
           i.major, i.minor, i.n_sms, (unsigned long long)i.l2_bytes);
    printf("total_bytes=%llu\nfree_bytes=%llu\nintegrated=%u\nhighest_clock_mhz=%.0f\n",
           (unsigned long long)i.total_bytes, (unsigned long long)i.free_bytes, i.is_integrated,
           i.clock_khz * 1e-3);
    printf("driver=%u.%u\nruntime=%u.%u\n", i.driver / 1000, i.driver % 1000 / 10, i.runtime / 1000,
           i.runtime % 1000 / 10);
    return 0;
}

static void begin(bench *b) {
    b->n_passes = b->is_quick ? 1 : MAX_PASSES;
    b->pass_seconds = b->is_quick ? 0 : PASS_SECONDS;
    need(slm_cuda_open(0, &b->info), "device 0");
    need(slm_cuda_stream_open(&b->stream, 0, 0), "a stream");
    b->sink = device_memory(b, (size_t)b->info.n_sms * 16 * SLM_BENCH_WARPS * sizeof *b->sink);
}

static void end(bench *b) {
    (void)slm_cuda_free(b->stream.device, b->sink);
    slm_cuda_stream_close(&b->stream);
}

/* ---------------------------------------------------------------- ceilings -------------------- */

typedef struct ceiling {
    const bench *b;
    uint8_t *memory;
    size_t bytes;
    uint32_t n_blocks, n_times;
    int (*mma)(slm_cuda_stream *s, uint32_t n_blocks, uint32_t n_rounds, uint32_t *sink);
} ceiling;

static int put_copy(const void *what, slm_cuda_stream *s) {
    const ceiling *c = what;
    return slm_cuda_copy(s, c->memory + c->bytes / 2, c->memory, c->bytes / 2);
}

static int put_read(const void *what, slm_cuda_stream *s) {
    const ceiling *c = what;
    int error = 0;
    for (uint32_t i = 0; error == 0 && i < c->n_times; i++)
        error = slm_bench_read(s, c->memory, c->bytes, c->n_blocks, c->b->sink);
    return error;
}

static int put_mma(const void *what, slm_cuda_stream *s) {
    const ceiling *c = what;
    return c->mma(s, c->n_blocks, c->n_times, c->b->sink);
}

static int put_small(const void *what, slm_cuda_stream *s) {
    const ceiling *c = what;
    float *x = (float *)(void *)c->memory;
    int error = 0;
    for (uint32_t i = 0; error == 0 && i < c->n_times; i++)
        error = slm_cuda_gate(s, x, x + 32, 32, SLM_CUDA_RELU2);
    return error;
}

static int put_empty(const void *what, slm_cuda_stream *s) {
    const ceiling *c = what;
    int error = 0;
    for (uint32_t i = 0; error == 0 && i < c->n_times; i++)
        error = slm_bench_meet(s, c->n_blocks, 0);
    return error;
}

static void print_ceiling(const bench *b, const char *name, const char *unit, double amount,
                          timing t) {
    double per_clock = per_clock_per_sm(b, amount / t.best, t.clock_mhz);
    printf("%s,%s,%.5g,%.5g,%.0f,%.2f\n", name, unit, amount / t.best * 1e-9,
           amount / t.median * 1e-9, t.clock_mhz, per_clock);
    fflush(stdout);
}

static void print_microseconds(const char *name, double each, double median, double mhz) {
    printf("%s,us,%.4g,%.4g,%.0f,\n", name, each * 1e6, median * 1e6, mhz);
    fflush(stdout);
}

/* Large enough for no cache to matter, small enough for a board. */
static size_t buffer_bytes(const bench *b) {
    size_t bytes = (size_t)1 << 30, quarter = (size_t)b->info.free_bytes / 4;
    if (b->is_quick)
        return (size_t)1 << 16;
    return (bytes < quarter ? bytes : quarter) / 4096 * 4096;
}

static timing time_copy(bench *b) {
    ceiling c = {.b = b, .bytes = buffer_bytes(b)};
    c.memory = device_memory(b, c.bytes);
    need(slm_cuda_zero(&b->stream, c.memory, c.bytes), "memory of the device");
    timing t = measure(b, put_copy, &c);
    need(slm_cuda_free(b->stream.device, c.memory), "memory of the device");
    return t;
}

/* With as many blocks as do it fastest. */
static timing time_read(bench *b, uint8_t *memory, size_t bytes, uint32_t n_times) {
    timing best = {0};
    for (uint32_t per_sm = 2; per_sm <= 16; per_sm *= 2) {
        ceiling c = {.b = b,
                     .memory = memory,
                     .bytes = bytes,
                     .n_times = n_times,
                     .n_blocks = per_sm * b->info.n_sms};
        timing t = measure(b, put_read, &c);
        if (best.best == 0 || t.best < best.best)
            best = t;
        if (b->is_quick)
            break;
    }
    return best;
}

static void time_tensor_cores(bench *b) {
    static const struct {
        const char *name;
        int (*mma)(slm_cuda_stream *s, uint32_t n_blocks, uint32_t n_rounds, uint32_t *sink);
        double operations;
    } kinds[] = {{"mma_s8", slm_bench_mma_s8, 2.0 * 16 * 8 * 32},
                 {"mma_f16", slm_bench_mma_f16, 2.0 * 16 * 8 * 16}};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        ceiling c = {.b = b,
                     .mma = kinds[i].mma,
                     .n_times = b->is_quick ? 2 : 4096,
                     .n_blocks = b->is_quick ? 1 : 4 * b->info.n_sms};
        double amount =
            kinds[i].operations * c.n_blocks * c.n_times * SLM_BENCH_WARPS * SLM_BENCH_TILES;
        print_ceiling(b, kinds[i].name, "Gop/s", amount, measure(b, put_mma, &c));
    }
}

/* How long it takes to go from one phase of a step to the next: by a kernel of its own for each, or by a
 * barrier of all blocks in one kernel. */
typedef struct phases {
    timing node, barrier; /* barrier.best 0: there are no cooperative launches */
} phases;

static timing time_barrier(bench *b, uint32_t n_blocks, uint32_t n_times) {
    double taken[MAX_PASSES] = {0};
    for (int i = -1; i < b->n_passes; i++) { /* the first brings the code to the device */
        double took[2];
        for (uint32_t j = 0; j < 2; j++) {
            double begun = seconds();
            int error = slm_bench_meet(&b->stream, n_blocks, 1 + j * n_times);
            if (error != 0) {
                fprintf(stderr, "slm_bench_cuda: a cooperative launch: %s\n", slm_cuda_error(error));
                return (timing){0};
            }
            need(slm_cuda_wait(&b->stream), "a barrier of all blocks");
            took[j] = seconds() - begun;
        }
        if (i >= 0)
            taken[i] = (took[1] - took[0]) / n_times;
    }
    qsort(taken, (size_t)b->n_passes, sizeof *taken, by_value);
    return (timing){.best = taken[0], .median = taken[b->n_passes / 2]};
}

static phases time_phases(bench *b) {
    ceiling c = {.b = b, .n_blocks = b->info.n_sms, .n_times = b->is_quick ? 4 : 256};
    phases p = {.node = measure(b, put_empty, &c)};
    p.node.best /= c.n_times;
    p.node.median /= c.n_times;
    p.barrier = time_barrier(b, c.n_blocks, 16 * c.n_times); /* launches are no part of it */
    p.barrier.clock_mhz = p.node.clock_mhz;
    return p;
}

static void time_overheads(bench *b, uint8_t *memory) {
    ceiling c = {.b = b, .memory = memory, .n_times = b->is_quick ? 4 : 256};
    need(slm_cuda_zero(&b->stream, memory, 256), "memory of the device");
    timing t = measure(b, put_small, &c);
    print_microseconds("node", t.best / c.n_times, t.median / c.n_times, t.clock_mhz);
    phases p = time_phases(b);
    print_microseconds("node_all", p.node.best, p.node.median, p.node.clock_mhz);
    print_microseconds("barrier", p.barrier.best, p.barrier.median, p.barrier.clock_mhz);
    double begun = seconds();
    need(put_small(&c, &b->stream), "a launch");
    need(slm_cuda_wait(&b->stream), "a kernel");
    double each = (seconds() - begun) / c.n_times;
    print_microseconds("launch", each, each, t.clock_mhz);
    double taken[64];
    int n = b->is_quick ? 2 : 64;
    c.n_times = 1;
    for (int i = 0; i < n; i++) {
        begun = seconds();
        need(put_small(&c, &b->stream), "a launch");
        need(slm_cuda_wait(&b->stream), "a kernel");
        taken[i] = seconds() - begun;
    }
    qsort(taken, (size_t)n, sizeof *taken, by_value);
    print_microseconds("wait", taken[0], taken[n / 2], t.clock_mhz);
}

/* A row of logits on its way home. */
typedef struct logits {
    slm_cuda_choice choice;
    void *pinned;
} logits;

static int put_best(const void *what, slm_cuda_stream *s) {
    const logits *l = what;
    int error = slm_cuda_best_of(s, &l->choice, 1);
    return error ? error
                 : slm_cuda_from_device(s, l->pinned, l->choice.best, sizeof *l->choice.best);
}

static int put_row(const void *what, slm_cuda_stream *s) {
    const logits *l = what;
    return slm_cuda_from_device(s, l->pinned, l->choice.logits, l->choice.n * sizeof(float));
}

static void time_logits(bench *b, uint32_t n) {
    size_t row_bytes = n * sizeof(float), rows_bytes = sizeof(uint32_t);
    size_t named_bytes = SLM_CUDA_NAMED * sizeof(uint32_t), best_bytes = sizeof(slm_cuda_best);
    float *row = device_memory(b, row_bytes);
    uint32_t *rows = device_memory(b, rows_bytes), *named = device_memory(b, named_bytes);
    void *pinned, *seen;
    need(slm_cuda_alloc_host(b->stream.device, &pinned, &seen, row_bytes + best_bytes),
         "pinned memory");
    slm_rng rng;
    slm_rng_seed(&rng, n);
    for (uint32_t i = 0; i < n; i++)
        ((float *)pinned)[i] = (float)(slm_rng_double(&rng) + slm_rng_double(&rng)) * 10;
    need(slm_cuda_to_device(&b->stream, row, pinned, row_bytes), "a copy");
    need(slm_cuda_zero(&b->stream, rows, rows_bytes), "memory of the device");
    need(slm_cuda_zero(&b->stream, named, named_bytes), "memory of the device");
    need(slm_cuda_wait(&b->stream), "a copy");
    logits l = {{.logits = row,
                 .n = n,
                 .rows = rows,
                 .n_slots = 1,
                 .named = named,
                 .best = device_memory(b, best_bytes),
                 .partial = device_memory(b, slm_cuda_best_bytes(n, 1))},
                pinned};
    char name[32];
    timing t = measure(b, put_best, &l);
    snprintf(name, sizeof name, "best_%u", n);
    print_microseconds(name, t.best, t.median, t.clock_mhz);
    t = measure(b, put_row, &l);
    snprintf(name, sizeof name, "row_%u", n);
    print_microseconds(name, t.best, t.median, t.clock_mhz);
    void *used[] = {row, rows, named, l.choice.best, l.choice.partial};
    for (size_t i = 0; i < sizeof used / sizeof *used; i++)
        need(slm_cuda_free(b->stream.device, used[i]), "memory of the device");
    need(slm_cuda_free_host(b->stream.device, pinned), "pinned memory");
}

static int ceilings(bench *b) {
    begin(b);
    printf("name,unit,best,median,clock_mhz,per_clock_per_sm\n");
    size_t bytes = buffer_bytes(b), some = (size_t)b->info.l2_bytes / 4 / 4096 * 4096;
    print_ceiling(b, "copy", "GB/s", (double)bytes, time_copy(b));
    uint8_t *memory = device_memory(b, bytes);
    need(slm_cuda_zero(&b->stream, memory, bytes), "memory of the device");
    print_ceiling(b, "read", "GB/s", (double)bytes, time_read(b, memory, bytes, 1));
    some = some < bytes ? some : bytes;
    if (some > 0)
        print_ceiling(b, "read_l2", "GB/s", (double)some * 20, time_read(b, memory, some, 20));
    time_tensor_cores(b);
    time_overheads(b, memory);
    static const uint32_t n_logits[] = {32000, 128256, 200064};
    for (size_t i = 0; i < (b->is_quick ? 1 : sizeof n_logits / sizeof *n_logits); i++)
        time_logits(b, n_logits[i]);
    need(slm_cuda_free(b->stream.device, memory), "memory of the device");
    end(b);
    return 0;
}

/* ---------------------------------------------------------------- kernels --------------------- */

static const uint32_t types[] = {
    SLM_DTYPE_Q4_K,  SLM_DTYPE_Q5_K, SLM_DTYPE_Q6_K,   SLM_DTYPE_Q3_K,
    SLM_DTYPE_Q2_K,  SLM_DTYPE_Q8_0, SLM_DTYPE_Q4_0,   SLM_DTYPE_Q5_0,
    SLM_DTYPE_Q4_1,  SLM_DTYPE_Q5_1, SLM_DTYPE_IQ4_NL, SLM_DTYPE_IQ4_XS,
    SLM_DTYPE_TQ2_0, SLM_DTYPE_I2_S, SLM_DTYPE_F16,    SLM_DTYPE_BF16,
};

typedef struct shape {
    const char *name;
    uint32_t n_out, n_in;
    int is_gated; /* two such matrices, as gate and up */
} shape;

/* Of models of 1, 3 and 7 * 10^9 weights. */
static const shape shapes[] = {
    {"1b qkv", 3072, 2048, 0},    {"1b gate_up", 8192, 2048, 1},  {"1b down", 2048, 8192, 0},
    {"1b head", 128256, 2048, 0}, {"3b gate_up", 8192, 3072, 1},  {"3b down", 3072, 8192, 0},
    {"7b output", 3584, 3584, 0}, {"7b gate_up", 18944, 3584, 1}, {"7b down", 3584, 18944, 0},
};
static const shape quick_shapes[] = {{"tiny", 40, 512, 0}, {"tiny gate_up", 24, 256, 1}};
static const uint32_t row_counts[] = {1, 2, 4, 8, 16, 64, 512};
#define MAX_ROWS   512u
#define QUICK_ROWS 64u

/* Matrices that lie one behind the other, so many that none is in a cache when its turn comes. */
typedef struct products {
    slm_cuda_product first; /* w[0] and w[1] are filled in for each */
    uint8_t *weights;
    size_t matrix_bytes;
    uint32_t type, n_out, n_in, n_turns, n_rows;
} products;

static int put_products(const void *what, slm_cuda_stream *s) {
    const products *p = what;
    int error = 0;
    for (uint32_t turn = 0; error == 0 && turn < p->n_turns; turn++) {
        slm_cuda_matrix w[2];
        slm_cuda_product product = p->first;
        for (uint32_t i = 0; i < product.n_matrices; i++) {
            size_t at = (turn * (size_t)product.n_matrices + i) * p->matrix_bytes;
            w[i] = (slm_cuda_matrix){.w = p->weights + at,
                                     .type = p->type,
                                     .n_out = p->n_out,
                                     .n_in = p->n_in,
                                     .scale = 1};
            product.w[i] = &w[i];
        }
        error = slm_cuda_multiply(s, &product, p->n_rows);
    }
    return error;
}

/* Random weights as a file has them, as a tile of fragments. */
static void make_tile(uint32_t type, uint8_t *tile, uint32_t k) {
    const slm_dtype_info *info = slm_dtype_get(type);
    size_t row_bytes = k / info->block * info->bytes;
    uint8_t *rows = host_memory(SLM_TILE_M * row_bytes);
    float *x = host_memory(k * sizeof *x);
    slm_rng rng;
    slm_rng_seed(&rng, 1 + type);
    for (size_t r = 0; r < SLM_TILE_M; r++) {
        for (uint32_t i = 0; i < k; i++)
            x[i] = (float)(slm_rng_double(&rng) - 0.5);
        if (type != SLM_DTYPE_I2_S)
            (void)slm_quantize_weights(type, rows + r * row_bytes, x, NULL, k);
        for (size_t i = 0; type == SLM_DTYPE_I2_S && i < row_bytes; i++) {
            uint64_t digits = slm_rng_next(&rng) % 81; /* four of 0, 1, 2 */
            rows[r * row_bytes + i] = (uint8_t)(digits % 3 | digits / 3 % 3 << 2 |
                                                digits / 9 % 3 << 4 | digits / 27 << 6);
        }
    }
    slm_frag_pack_tile(type, tile, rows, row_bytes, SLM_TILE_M, k);
    free(x);
    free(rows);
}

/* Fills memory of the device with the tile, over and over. */
static void spread_tile(bench *b, const uint8_t *tile, size_t tile_bytes, uint8_t *to,
                        size_t bytes) {
    void *pinned, *seen;
    need(slm_cuda_alloc_host(b->stream.device, &pinned, &seen, tile_bytes), "pinned memory");
    memcpy(pinned, tile, tile_bytes);
    need(slm_cuda_to_device(&b->stream, to, pinned, tile_bytes), "a copy");
    for (size_t done = tile_bytes, n; done < bytes; done += n) {
        n = bytes - done < done ? bytes - done : done;
        need(slm_cuda_copy(&b->stream, to + done, to, n), "a copy");
    }
    need(slm_cuda_wait(&b->stream), "a copy");
    need(slm_cuda_free_host(b->stream.device, pinned), "pinned memory");
}

/* Rows as the products of a type take them. */
static void *prepare_rows(bench *b, uint32_t type, uint32_t k) {
    size_t bytes = MAX_ROWS * (size_t)k * sizeof(float);
    size_t records = MAX_ROWS * (size_t)((k + 255) / 256);
    slm_frag_format format = slm_frag_format_of(type);
    void *pinned, *seen;
    need(slm_cuda_alloc_host(b->stream.device, &pinned, &seen, bytes), "pinned memory");
    slm_rng rng;
    slm_rng_seed(&rng, 7);
    for (size_t i = 0; i < bytes / sizeof(float); i++)
        ((float *)pinned)[i] = (float)(slm_rng_double(&rng) - 0.5);
    float *x = device_memory(b, bytes);
    void *a = device_memory(b, format == SLM_FRAG_FLOATS ? bytes : records * sizeof(slm_frag_act));
    slm_cuda_prepare p = {.x = x, .stride = k, .n = k};
    p.k = format == SLM_FRAG_K ? a : NULL;
    p.b32 = format == SLM_FRAG_32 ? a : NULL;
    p.floats = format == SLM_FRAG_FLOATS ? a : NULL;
    need(slm_cuda_to_device(&b->stream, x, pinned, bytes), "a copy");
    need(slm_cuda_prepare_rows(&b->stream, &p, MAX_ROWS), "preparing rows");
    need(slm_cuda_wait(&b->stream), "preparing rows");
    need(slm_cuda_free(b->stream.device, x), "memory of the device");
    need(slm_cuda_free_host(b->stream.device, pinned), "pinned memory");
    return a;
}

/* Of all shapes of a type: the least and the most. */
typedef struct range {
    double least, most;
} range;

static void widen(range *r, double x) {
    r->least = r->most == 0 || x < r->least ? x : r->least;
    r->most = x > r->most ? x : r->most;
}

typedef struct summary {
    range per_clock, of_copy, eight, sixteen, macs;
} summary;

static void time_shape(bench *b, uint32_t type, const shape *s, double copy_rate, summary *sums) {
    size_t tile_bytes = slm_frag_tile_bytes(type, s->n_in);
    products p = {.type = type,
                  .n_out = s->n_out,
                  .n_in = s->n_in,
                  .matrix_bytes = slm_frag_bytes(type, s->n_out, s->n_in)};
    p.first.n_matrices = s->is_gated ? 2 : 1;
    p.first.then = s->is_gated ? SLM_CUDA_SILU : SLM_CUDA_STORE;
    size_t each = p.matrix_bytes * p.first.n_matrices;
    size_t wanted = 4 * (size_t)b->info.l2_bytes;
    wanted = b->is_quick ? 1 : wanted > (size_t)64 << 20 ? wanted : (size_t)64 << 20;
    p.n_turns = (uint32_t)((wanted + each - 1) / each);
    size_t bytes = p.n_turns * each;
    uint8_t *tile = host_memory(tile_bytes);
    make_tile(type, tile, s->n_in);
    p.weights = device_memory(b, bytes);
    spread_tile(b, tile, tile_bytes, p.weights, bytes);
    void *a = prepare_rows(b, type, s->n_in);
    p.first.a = a;
    p.first.y_stride = s->n_out;
    p.first.y[0] = device_memory(b, MAX_ROWS * (size_t)s->n_out * sizeof(float));
    double one = 0;
    for (size_t i = 0; i < b->n_row_counts; i++) {
        p.n_rows = row_counts[i];
        if (b->is_quick && p.n_rows > QUICK_ROWS)
            break;
        timing t = measure(b, put_products, &p);
        double rate = (double)bytes / t.best, per_clock = per_clock_per_sm(b, rate, t.clock_mhz);
        one = i == 0 ? t.best : one;
        double macs = (double)s->n_out * s->n_in * p.first.n_matrices * p.n_rows * p.n_turns;
        double macs_per_clock = per_clock_per_sm(b, macs / t.best, t.clock_mhz);
        printf("%s%s,%s,%u,%u,%u,%zu,%.4g,%.5g,%.0f,%.3f,%.4f,%.4f,%.1f\n", b->prefix,
               slm_dtype_get(type)->name, s->name, s->n_out, s->n_in, p.n_rows, each,
               t.best / p.n_turns * 1e6, rate * 1e-9, t.clock_mhz, per_clock, rate / copy_rate,
               t.best / one, macs_per_clock);
        if (p.n_rows == 1) {
            widen(&sums->per_clock, per_clock);
            widen(&sums->of_copy, rate / copy_rate);
        } else if (p.n_rows == 8 || p.n_rows == 16) {
            widen(p.n_rows == 8 ? &sums->eight : &sums->sixteen, t.best / one);
        } else if (p.n_rows >= QUICK_ROWS) {
            widen(&sums->macs, macs_per_clock);
        }
    }
    fflush(stdout);
    need(slm_cuda_free(b->stream.device, p.first.y[0]), "memory of the device");
    need(slm_cuda_free(b->stream.device, a), "memory of the device");
    need(slm_cuda_free(b->stream.device, p.weights), "memory of the device");
    free(tile);
}

static int kernels(bench *b) {
    begin(b);
    double copy_rate = (double)buffer_bytes(b) / time_copy(b).best;
    b->prefix = "";
    b->n_row_counts = sizeof row_counts / sizeof *row_counts;
    const shape *all = b->is_quick ? quick_shapes : shapes;
    size_t n = b->is_quick ? sizeof quick_shapes / sizeof *shapes : sizeof shapes / sizeof *shapes;
    printf("type,shape,n_out,n_in,rows,bytes,us,gbps,clock_mhz,bytes_per_clock_per_sm,"
           "share_of_copy,over_one_row,macs_per_clock_per_sm\n");
    for (size_t t = 0; t < sizeof types / sizeof *types; t++) {
        summary s = {0};
        for (size_t i = 0; i < n; i++)
            time_shape(b, types[t], &all[i], copy_rate, &s);
        fprintf(
            stderr,
            "%-7s one row %.1f to %.1f bytes per clock per SM, %.2f to %.2f of copy; eight rows "
            "%.2f to %.2f of one, sixteen %.2f to %.2f; many %.0f to %.0f macs per clock per SM\n",
            slm_dtype_get(types[t])->name, s.per_clock.least, s.per_clock.most, s.of_copy.least,
            s.of_copy.most, s.eight.least, s.eight.most, s.sixteen.least, s.sixteen.most,
            s.macs.least, s.macs.most);
    }
    end(b);
    return 0;
}

/* ---------------------------------------------------------------- partitions ------------------ */

/* The clock that bounds a part is measured on it, by its own stream. */
static void time_partition(bench *b, uint32_t n_sms) {
    static const uint32_t some[] = {SLM_DTYPE_Q4_K, SLM_DTYPE_Q5_K, SLM_DTYPE_Q6_K, SLM_DTYPE_Q3_K,
                                    SLM_DTYPE_Q8_0};
    static const shape large = {"1b head", 128256, 2048, 0};
    slm_bench_partition part;
    char prefix[16];
    const char *why = slm_bench_partition_open(&part, b->stream.device, n_sms);
    if (why != NULL) {
        fprintf(stderr, "%u multiprocessors: %s\n", n_sms, why);
        return;
    }
    slm_cuda_stream whole = b->stream;
    uint32_t all_sms = b->info.n_sms;
    snprintf(prefix, sizeof prefix, "%u,", part.n_sms);
    b->stream = part.stream;
    b->info.n_sms = part.n_sms;
    b->prefix = prefix;
    b->n_row_counts = 1;
    size_t bytes = buffer_bytes(b);
    uint8_t *memory = device_memory(b, bytes);
    need(slm_cuda_zero(&b->stream, memory, bytes), "memory of the device");
    timing t = time_read(b, memory, bytes, 1);
    double rate = (double)bytes / t.best;
    printf("%sread,,,,,%zu,%.4g,%.5g,%.0f,%.3f,,,\n", prefix, bytes, t.best * 1e6, rate * 1e-9,
           t.clock_mhz, per_clock_per_sm(b, rate, t.clock_mhz));
    need(slm_cuda_free(b->stream.device, memory), "memory of the device");
    phases p = time_phases(b);
    printf("%snode_all,,,,,,%.4g,,%.0f,,,,\n%sbarrier,,,,,,%.4g,,%.0f,,,,\n", prefix, p.node.best * 1e6,
           p.node.clock_mhz, prefix, p.barrier.best * 1e6, p.barrier.clock_mhz);
    summary unused = {0};
    for (size_t i = 0; i < sizeof some / sizeof *some; i++)
        time_shape(b, some[i], b->is_quick ? &quick_shapes[0] : &large, rate, &unused);
    b->stream = whole;
    b->info.n_sms = all_sms;
    slm_bench_partition_close(&part);
}

static int partitions(bench *b) {
    begin(b);
    printf("multiprocessors,type,shape,n_out,n_in,rows,bytes,us,gbps,clock_mhz,"
           "bytes_per_clock_per_sm,share_of_read,over_one_row,macs_per_clock_per_sm\n");
    for (uint32_t n = 4; n <= 16; n *= 2)
        time_partition(b, n);
    end(b);
    return 0;
}

int main(int argc, char **argv) {
    bench b = {.is_quick = argc == 3 && strcmp(argv[2], "--quick") == 0};
    const char *what = argc == 2 || b.is_quick ? argv[1] : "";
    if (argc == 2 && strcmp(what, "identify") == 0)
        return identify();
    if (strcmp(what, "ceilings") == 0)
        return ceilings(&b);
    if (strcmp(what, "kernels") == 0)
        return kernels(&b);
    if (strcmp(what, "partitions") == 0)
        return partitions(&b);
    fprintf(stderr, "usage: slm_bench_cuda identify | ceilings [--quick] | kernels [--quick] | "
                    "partitions [--quick]\n");
    return 2;
}
