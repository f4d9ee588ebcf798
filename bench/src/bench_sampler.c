/* Processor time of one choice of the sampler, by chain: one CSV line each.
 *
 *   slm_bench_sampler [REPEATS [N_VOCAB]]      (200; 200064)
 *
 * Rows of logits are drawn like those of a model: a few likely tokens over a wide tail. Ten rows
 * take turns, so that none stays in the nearest cache. The best and the median of 9 runs. */
#define _POSIX_C_SOURCE 200809L
#include "base/rng.h"
#include "run/sampler.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { ROWS = 10, RUNS = 9, HISTORY = 4096, MAX_VOCAB = 1 << 20 };

static uint64_t cpu_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void make_row(float *x, size_t n_vocab, slm_rng *rng) {
    for (size_t i = 0; i < n_vocab; i++) {
        double g = 0;
        for (int k = 0; k < 6; k++)
            g += slm_rng_double(rng) - 0.5;
        x[i] = (float)(3.0 * g - 2.0);
    }
    for (int i = 0; i < 60; i++)
        x[slm_rng_next(rng) % n_vocab] += (float)(14.0 * slm_rng_double(rng));
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

typedef struct setup {
    slm_host host;
    slm_kernels kernels;
    uint32_t n_vocab;
    int repeats;
    float *rows;      /* [ROWS][n_vocab] */
    int32_t *history; /* [HISTORY] */
    void *scratch;
} setup;

static int bench(setup *t, const char *name, const slm_sampling *sampling, uint32_t n_top) {
    slm_error error = SLM_ERROR_INIT;
    slm_sampler *s;
    double ns[RUNS];
    uint64_t ids = 0;
    if (slm_sampler_open(&t->host, sampling, t->n_vocab, HISTORY, n_top, NULL, &t->kernels,
                         t->scratch, &s, &error) != SLM_OK) {
        fprintf(stderr, "%s: %s\n", name, error.message);
        return 1;
    }
    for (int run = 0; run < RUNS; run++) {
        uint64_t start = cpu_ns();
        for (int i = 0; i < t->repeats; i++) {
            int32_t token;
            float logprob;
            size_t n_history = HISTORY / 2 + (size_t)(run * t->repeats + i) % (HISTORY / 2);
            if (slm_sampler_choose(s, t->rows + (size_t)(i % ROWS) * t->n_vocab, t->history,
                                   n_history, &token, &logprob, NULL, NULL, &error) != SLM_OK) {
                fprintf(stderr, "%s: %s\n", name, error.message);
                slm_sampler_close(s);
                return 1;
            }
            ids += (uint64_t)token;
        }
        ns[run] = (double)(cpu_ns() - start) / t->repeats;
    }
    qsort(ns, RUNS, sizeof *ns, ascending);
    printf("%s,%u,%.0f,%.0f,%zu,%llu\n", name, t->n_vocab, ns[0], ns[RUNS / 2],
           (size_t)t->host.bytes, (unsigned long long)ids);
    slm_sampler_close(s);
    return 0;
}

int main(int argc, char **argv) {
    setup t;
    slm_rng rng;
    int n_vocab = argc > 2 ? atoi(argv[2]) : 200064, failed = 0;
    memset(&t, 0, sizeof t);
    t.repeats = argc > 1 ? atoi(argv[1]) : 200;
    if (argc > 3 || t.repeats < 1 || n_vocab < 2000 || n_vocab > MAX_VOCAB) {
        fprintf(stderr, "usage: slm_bench_sampler [REPEATS [N_VOCAB]]\n");
        return 2;
    }
    t.n_vocab = (uint32_t)n_vocab;
    size_t scratch_bytes = slm_sampler_scratch_bytes(t.n_vocab, HISTORY);
    t.rows = malloc(sizeof *t.rows * ROWS * t.n_vocab);
    t.history = malloc(sizeof *t.history * HISTORY);
    t.scratch = aligned_alloc(64, scratch_bytes);
    if (t.rows == NULL || t.history == NULL || t.scratch == NULL) {
        fprintf(stderr, "slm_bench_sampler: no memory for %d rows of %d\n", ROWS, n_vocab);
        return 1;
    }
    memset(t.scratch, 0, scratch_bytes);
    slm_host_init(&t.host, NULL, NULL, NULL, SLM_LOG_NONE);
    slm_kernels_init(&t.kernels, UINT32_MAX);
    slm_rng_seed(&rng, 1);
    for (size_t i = 0; i < ROWS; i++)
        make_row(t.rows + i * t.n_vocab, t.n_vocab, &rng);
    for (size_t i = 0; i < HISTORY; i++)
        t.history[i] = (int32_t)(slm_rng_next(&rng) % 2000);

    slm_sampling usual = slm_sampling_defaults, o;
    slm_sampling off = usual;
    off.temperature = 1;
    off.top_k = 0;
    off.top_p = 1;
    off.min_p = 0;
    printf("chain,n_vocab,best_ns,median_ns,bytes,ids\n");
    o = usual;
    o.temperature = 0;
    failed |= bench(&t, "greedy", &o, 0);
    failed |= bench(&t, "default", &usual, 0);
    failed |= bench(&t, "default top 20", &usual, 20);
    o = usual;
    o.repeat_penalty = 1.1f;
    failed |= bench(&t, "default penalties 64", &o, 0);
    o.penalty_last_n = -1;
    o.dry_multiplier = 0.8f;
    failed |= bench(&t, "default penalties dry", &o, 0);
    o = off;
    o.top_k = 20000;
    failed |= bench(&t, "top_k 20000", &o, 0);
    o = off;
    o.top_p = 0.95f;
    failed |= bench(&t, "top_p 0.95", &o, 0);
    o.temperature = 5;
    o.order[0] = SLM_SAMPLER_TEMPERATURE;
    o.order[1] = SLM_SAMPLER_TOP_P;
    failed |= bench(&t, "top_p 0.95 flat", &o, 0);
    o = off;
    o.min_p = 0.05f;
    failed |= bench(&t, "min_p 0.05", &o, 0);
    o = off;
    o.typical_p = 0.9f;
    failed |= bench(&t, "typical 0.9", &o, 0);
    failed |= bench(&t, "all tokens", &off, 0);
    free(t.rows);
    free(t.history);
    free(t.scratch);
    return failed;
}
