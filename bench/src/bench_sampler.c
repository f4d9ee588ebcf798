/* Time of one choice of the sampler, by chain, over a vocabulary of 128,256: one CSV line each.
 *
 *   slm_bench_sampler [REPEATS]
 *
 * Rows of logits are drawn like those of a model: a few likely tokens over a wide tail. Ten rows
 * take turns, so that none stays in the nearest cache. The best and the median of 9 runs. */
#include "base/file.h"
#include "base/rng.h"
#include "run/sampler.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { VOCAB = 128256, ROWS = 10, RUNS = 9, HISTORY = 4096 };

static void make_row(float *x, slm_rng *rng) {
    for (size_t i = 0; i < VOCAB; i++) {
        double g = 0;
        for (int k = 0; k < 6; k++)
            g += slm_rng_double(rng) - 0.5;
        x[i] = (float)(3.0 * g - 2.0);
    }
    for (int i = 0; i < 60; i++)
        x[slm_rng_next(rng) % VOCAB] += (float)(14.0 * slm_rng_double(rng));
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int bench(slm_host *host, const slm_kernels *kernels, const char *name,
                 const slm_sampling *sampling, uint32_t n_top, const float *rows,
                 const int32_t *history, void *scratch, int repeats) {
    slm_error error = SLM_ERROR_INIT;
    slm_sampler *s;
    double ns[RUNS];
    uint64_t ids = 0;
    if (slm_sampler_open(host, sampling, VOCAB, HISTORY, n_top, NULL, kernels, scratch, &s,
                         &error) != SLM_OK) {
        fprintf(stderr, "%s: %s\n", name, error.message);
        return 1;
    }
    for (int run = 0; run < RUNS; run++) {
        uint64_t start = slm_now_ns();
        for (int i = 0; i < repeats; i++) {
            int32_t token;
            float logprob;
            size_t n_history = HISTORY / 2 + (size_t)(run * repeats + i) % (HISTORY / 2);
            if (slm_sampler_choose(s, rows + (size_t)(i % ROWS) * VOCAB, history, n_history, &token,
                                   &logprob, NULL, NULL, &error) != SLM_OK) {
                fprintf(stderr, "%s: %s\n", name, error.message);
                slm_sampler_close(s);
                return 1;
            }
            ids += (uint64_t)token;
        }
        ns[run] = (double)(slm_now_ns() - start) / repeats;
    }
    qsort(ns, RUNS, sizeof *ns, ascending);
    printf("%s,%d,%.0f,%.0f,%zu,%llu\n", name, VOCAB, ns[0], ns[RUNS / 2], (size_t)host->bytes,
           (unsigned long long)ids);
    slm_sampler_close(s);
    return 0;
}

int main(int argc, char **argv) {
    int repeats = argc > 1 ? atoi(argv[1]) : 200, failed = 0;
    slm_host host;
    slm_kernels kernels;
    slm_rng rng;
    float *rows = malloc(sizeof(float) * ROWS * VOCAB);
    int32_t *history = malloc(sizeof *history * HISTORY);
    size_t scratch_bytes = slm_sampler_scratch_bytes(VOCAB, HISTORY);
    void *scratch = aligned_alloc(64, scratch_bytes);
    if (rows == NULL || history == NULL || scratch == NULL || repeats < 1) {
        fprintf(stderr, "usage: slm_bench_sampler [REPEATS]\n");
        return 2;
    }
    memset(scratch, 0, scratch_bytes);
    slm_host_init(&host, NULL, NULL, NULL, SLM_LOG_NONE);
    slm_kernels_init(&kernels, UINT32_MAX);
    slm_rng_seed(&rng, 1);
    for (size_t i = 0; i < ROWS; i++)
        make_row(rows + i * VOCAB, &rng);
    for (size_t i = 0; i < HISTORY; i++)
        history[i] = (int32_t)(slm_rng_next(&rng) % 2000);

    slm_sampling usual = slm_sampling_defaults, o;
    slm_sampling off = usual;
    off.temperature = 1;
    off.top_k = 0;
    off.top_p = 1;
    off.min_p = 0;
    printf("chain,n_vocab,best_ns,median_ns,bytes,ids\n");
    o = usual;
    o.temperature = 0;
    failed |= bench(&host, &kernels, "greedy", &o, 0, rows, history, scratch, repeats);
    failed |= bench(&host, &kernels, "default", &usual, 0, rows, history, scratch, repeats);
    failed |= bench(&host, &kernels, "default top 20", &usual, 20, rows, history, scratch, repeats);
    o = usual;
    o.repeat_penalty = 1.1f;
    failed |= bench(&host, &kernels, "default penalties 64", &o, 0, rows, history, scratch, repeats);
    o.penalty_last_n = -1;
    o.dry_multiplier = 0.8f;
    failed |= bench(&host, &kernels, "default penalties dry", &o, 0, rows, history, scratch, repeats);
    o = off;
    o.top_k = 20000;
    failed |= bench(&host, &kernels, "top_k 20000", &o, 0, rows, history, scratch, repeats);
    o = off;
    o.top_p = 0.95f;
    failed |= bench(&host, &kernels, "top_p 0.95", &o, 0, rows, history, scratch, repeats);
    o.temperature = 5;
    o.order[0] = SLM_SAMPLER_TEMPERATURE;
    o.order[1] = SLM_SAMPLER_TOP_P;
    failed |= bench(&host, &kernels, "top_p 0.95 flat", &o, 0, rows, history, scratch, repeats);
    o = off;
    o.min_p = 0.05f;
    failed |= bench(&host, &kernels, "min_p 0.05", &o, 0, rows, history, scratch, repeats);
    o = off;
    o.typical_p = 0.9f;
    failed |= bench(&host, &kernels, "typical 0.9", &o, 0, rows, history, scratch, repeats);
    failed |= bench(&host, &kernels, "all tokens", &off, 0, rows, history, scratch, repeats);
    free(rows);
    free(history);
    free(scratch);
    return failed;
}
