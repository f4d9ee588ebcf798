#define _GNU_SOURCE
#include "check.h"

#include "packed.h"

#include <time.h>

#define WEIGHT_BYTES (96u << 20) /* more than the caches hold */
#define K            4096

/* Time of this thread on the processor, so that other work on the machine disturbs less. */
static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static volatile uint64_t sink;

/* Bytes a second that one thread reads from memory: the best of five passes over a buffer. */
static double read_bandwidth(const uint8_t *p, size_t size) {
    double best = 1e9;
    for (int pass = 0; pass < 5; pass++) {
        uint64_t lanes[8] = {0};
        double start = now();
        for (size_t i = 0; i + 64 <= size; i += 64) {
            uint64_t v[8];
            memcpy(v, p + i, sizeof v);
            for (int l = 0; l < 8; l++)
                lanes[l] += v[l];
        }
        double seconds = now() - start;
        best = seconds < best ? seconds : best;
        for (int l = 0; l < 8; l++)
            sink += lanes[l];
    }
    return (double)size / best;
}

static uint64_t state = 1;
static void fill(void *p, size_t n) {
    for (size_t i = 0; i < n; i++)
        ((uint8_t *)p)[i] = (uint8_t)(slm_splitmix64(&state) >> 32);
}

static void bench_matmul(const slm_kernels *k, const char *level, const type_info *t, slm_act act,
                         uint8_t *w, double bandwidth, const char *filter) {
    static const size_t counts[] = {1, 4, 16};
    char name[64];
    snprintf(name, sizeof name, "matmul %s %s", t->name, act_name(act));
    if (filter != NULL && strstr(name, filter) == NULL)
        return;
    size_t row = K / t->block * t->bytes, n_rows = WEIGHT_BYTES / row;
    size_t a_bytes = slm_act_row_bytes(act, K);
    float *x = malloc(K * sizeof *x), *y = malloc(n_rows * 16 * sizeof *y);
    uint8_t *a = aligned_alloc(64, 16 * a_bytes);
    if (x == NULL || y == NULL || a == NULL)
        exit(2);
    for (size_t i = 0; i < K; i++)
        x[i] = (float)((double)slm_splitmix64(&state) * 0x1p-64 - 0.5);
    for (size_t j = 0; j < 16; j++)
        k->quantize[act](a + j * a_bytes, x, K);
    /* one good block repeated; plain floats of common size */
    check c = {.k = k, .ref = k, .level = level, .test = "bench"};
    slm_rng_seed(&c.rng, 1);
    random_weights(&c, t, BLOCK_RANDOM, w, K);
    for (size_t i = 1; i < n_rows; i++)
        memcpy(w + i * row, w, row);
    for (size_t n = 0; n < sizeof counts / sizeof counts[0]; n++) {
        size_t n_a = counts[n], rows = n_rows / n_a;
        double best = 1e9, total = 0;
        for (int pass = 0; pass < 5 && (pass < 2 || total < 0.6); pass++) {
            double start = now();
            k->matmul[t->type][act](y, n_rows, w, row, rows, a, a_bytes, n_a, K);
            double seconds = now() - start;
            total += seconds;
            best = seconds < best ? seconds : best;
        }
        double bytes = (double)(rows * row) / best;
        printf("%-22s %-9s %2zu rows  %9.1f ns/row of W  %7.2f GB/s  %5.1f %%  %7.2f GMAC/s\n",
               name, level, n_a, best / (double)rows * 1e9, bytes * 1e-9, 100 * bytes / bandwidth,
               (double)(rows * n_a) * K / best * 1e-9);
    }
    free(x);
    free(y);
    free(a);
}

/* Packed weights by tiles. The panels lie one behind the other, as in a model; with many columns
 * there are fewer of them. */
static void bench_packed(const slm_kernels *k, const char *level, const type_info *t, uint8_t *w,
                         double bandwidth, const char *filter) {
    enum { MOST = 48 };
    static const size_t counts[] = {1, 4, 12, MOST};
    const slm_act act = slm_act_for(t->type), tile_act = slm_act_packed(act);
    char name[64];
    snprintf(name, sizeof name, "packed %s %s", t->name, act_name(act));
    if (!slm_packs(t->type) || (filter != NULL && strstr(name, filter) == NULL))
        return;
    size_t row = K / t->block * t->bytes, panel = slm_panel_bytes(t->type, K);
    size_t n_rows = WEIGHT_BYTES / panel * SLM_PANEL_ROWS;
    size_t a_bytes = slm_act_row_bytes(act, K), tile_bytes = slm_act_row_bytes(tile_act, K);
    float *x = malloc(K * sizeof *x), *y = malloc(n_rows * MOST * sizeof *y);
    uint8_t *a = aligned_alloc(64, a_bytes), *tiles = aligned_alloc(64, MOST * tile_bytes);
    uint8_t *rows = malloc(SLM_PANEL_ROWS * row);
    if (x == NULL || y == NULL || a == NULL || tiles == NULL || rows == NULL)
        exit(2);
    check c = {.k = k, .ref = k, .level = level, .test = "bench"};
    slm_rng_seed(&c.rng, 1);
    random_weights(&c, t, BLOCK_RANDOM, rows, SLM_PANEL_ROWS * K);
    slm_pack_panel(t->type, w, rows, row, SLM_PANEL_ROWS, K);
    for (size_t i = SLM_PANEL_ROWS; i < n_rows; i += SLM_PANEL_ROWS)
        memcpy(w + i / SLM_PANEL_ROWS * panel, w, panel);
    for (size_t n = 0; n < sizeof counts / sizeof counts[0]; n++) {
        size_t n_a = counts[n], used = n_rows / n_a / SLM_PANEL_ROWS * SLM_PANEL_ROWS;
        for (size_t j = 0; j < n_a; j++) {
            for (size_t i = 0; i < K; i++)
                x[i] = (float)((double)slm_splitmix64(&state) * 0x1p-64 - 0.5);
            k->quantize[act](a, x, K);
            k->put_row(tile_act, tiles, n_a, j, a, K);
        }
        /* each tile over a few panels at a time, which then lie in the cache */
        const size_t pass = n_a > SLM_TILE_ROWS ? 4 * SLM_PANEL_ROWS : used;
        double best = 1e9, total = 0;
        for (int round = 0; round < 5 && (round < 2 || total < 0.6); round++) {
            double start = now();
            for (size_t i = 0; i < used; i += pass)
                k->matmul[t->type][tile_act](y + i, n_rows, w + i / SLM_PANEL_ROWS * panel, panel,
                                             used - i < pass ? used - i : pass, tiles, tile_bytes,
                                             n_a, K);
            double seconds = now() - start;
            total += seconds;
            best = seconds < best ? seconds : best;
        }
        double bytes = (double)(used / SLM_PANEL_ROWS * panel) / best;
        printf("%-22s %-9s %2zu rows  %9.1f ns/row of W  %7.2f GB/s  %5.1f %%  %7.2f GMAC/s\n",
               name, level, n_a, best / (double)used * 1e9, bytes * 1e-9, 100 * bytes / bandwidth,
               (double)(used * n_a) * K / best * 1e-9);
    }
    free(x);
    free(y);
    free(a);
    free(tiles);
    free(rows);
}

/* Calls that take little time, on data in the cache; bytes: what one call reads. */
static void report(const char *name, const char *level, double seconds, double bytes,
                   double bandwidth) {
    printf("%-22s %-9s          %9.1f ns/call      %7.2f GB/s  %5.1f %%\n", name, level,
           seconds * 1e9, bytes / seconds * 1e-9, 100 * bytes / seconds / bandwidth);
}

#define TIME(name, bytes, call)                                                                    \
    do {                                                                                           \
        if (filter != NULL && strstr(name, filter) == NULL)                                        \
            break;                                                                                 \
        double best = 1e9;                                                                         \
        for (int pass = 0; pass < 7; pass++) {                                                     \
            double start = now();                                                                  \
            for (int i = 0; i < 100; i++)                                                          \
                call;                                                                              \
            double seconds = (now() - start) / 100;                                                \
            best = seconds < best ? seconds : best;                                                \
        }                                                                                          \
        report(name, level, best, bytes, bandwidth);                                               \
    } while (0)

static void bench_small(const slm_kernels *k, const char *level, uint8_t *memory, double bandwidth,
                        const char *filter) {
    enum { N = 4096, D = 128 };
    float *x = malloc(N * sizeof *x), *y = malloc(N * sizeof *y), *z = malloc(N * sizeof *z);
    uint8_t *a = aligned_alloc(64, slm_act_row_bytes(SLM_ACT_F32, N));
    if (x == NULL || y == NULL || z == NULL || a == NULL)
        exit(2);
    for (size_t i = 0; i < N; i++) {
        x[i] = (float)((double)slm_splitmix64(&state) * 0x1p-62 - 2);
        z[i] = x[i];
    }
    size_t index;
    int finite;
    char name[32];
    TIME("rms_norm", N * 4.0, k->rms_norm(y, x, x, N, 1e-5f));
    for (int act = SLM_ACT_Q8_0; act < SLM_ACT_LIMIT; act++) {
        snprintf(name, sizeof name, "quantize %s", act_name((slm_act)act));
        TIME(name, N * 4.0, k->quantize[act](a, x, N));
    }
    TIME("softmax", N * 4.0, k->softmax(z, N));
    TIME("sum_exp", N * 4.0, k->sum_exp(x, N, 2.0f));
    TIME("max_index", N * 4.0, k->max_index(x, N, &index, &finite));
    TIME("silu_mul", N * 8.0, k->silu_mul(y, x, x, N));
    TIME("gelu_mul", N * 8.0, k->gelu_mul(y, x, x, N));
    TIME("relu2_mul", N * 8.0, k->relu2_mul(y, x, x, N));
    for (int kv = 0; kv < SLM_KVT_LIMIT; kv++) {
        static const char *const names[] = {"f16", "q8_0", "f32"};
        size_t row = slm_kv_row_bytes((slm_kv)kv, D), q8 = slm_act_row_bytes(SLM_ACT_Q8_0, D);
        uint8_t *keys = memory, *values = memory + SLM_KV_BLOCK * row, *q8s = values + SLM_KV_BLOCK * row;
        const void *group[4], *rows[4];
        for (size_t t = 0; t < SLM_KV_BLOCK; t++) {
            uint8_t key[4 * D];
            k->kv_store[kv](values + t * row, x + t % 32 * D, D);
            k->kv_store[kv](key, x + t % 32 * D, D);
            group[t / 16] = keys + t / 16 * 16 * row;
            rows[t / 16] = values + t / 16 * 16 * row;
            slm_kv_put_key((slm_kv)kv, keys + t / 16 * 16 * row, t % 16, key, D);
        }
        for (size_t j = 0; j < 24; j++)
            k->quantize[SLM_ACT_Q8_0](q8s + j * q8, x + j * D, D);
        static float o[24 * D], m[24], l[24 * 16];
        static float wide[SLM_ATTEND_WIDE(24, D)] __attribute__((aligned(64)));
        slm_attention queries = {.d = D, .d_v = D, .stride = D, .o_stride = D, .q = x,
                                 .q8 = q8s, .q8_bytes = q8, .o = o, .m = m, .l = l,
                                 .wide = wide};
        static const size_t counts[] = {1, 3, 4, 24};
        for (size_t n = 0; n < 4; n++) {
            snprintf(name, sizeof name, "attend %s x%zu", names[kv], counts[n]);
            TIME(name, (double)(2 * SLM_KV_BLOCK * row),
                 k->attend[kv](&queries, 0, counts[n], group, rows, row, 0, SLM_KV_BLOCK));
        }
    }
    free(x);
    free(y);
    free(z);
    free(a);
}

void bench(const slm_kernels *const *levels, const char *const *names, size_t n_levels,
           const char *filter) {
    uint8_t *memory = aligned_alloc(64, WEIGHT_BYTES + 65536);
    if (memory == NULL)
        exit(2);
    fill(memory, WEIGHT_BYTES);
    double bandwidth = read_bandwidth(memory, WEIGHT_BYTES);
    printf("one thread reads %.2f GB/s from memory; %% is of that\n", bandwidth * 1e-9);
    for (size_t l = 0; l < n_levels; l++) {
        for (size_t i = 0; i < n_types; i++)
            bench_matmul(levels[l], names[l], &types[i], slm_act_for(types[i].type), memory,
                         bandwidth, filter);
        bench_matmul(levels[l], names[l], &types[n_types - 2], SLM_ACT_I8_ROW, memory, bandwidth,
                     filter);
        for (size_t i = 0; i < n_types; i++)
            bench_packed(levels[l], names[l], &types[i], memory, bandwidth, filter);
        bench_small(levels[l], names[l], memory, bandwidth, filter);
    }
    free(memory);
}
