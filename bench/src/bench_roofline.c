/* Generation beside the reading of the very memory that it reads: how near a token comes to its floor,
 * the bytes of its weights over the rate at which they can be read where they lie.
 *
 *   slm_bench_roofline MODEL.gguf [-t THREADS] [-n TOKENS] [-r ROUNDS] [-c LEVEL] [-k f16|q8_0|f32]
 *
 * Each round makes TOKENS (32) tokens and then reads the packed weights in several ways, of which the
 * fastest counts. One JSON object a round and one of the medians:
 *
 *   tokens_per_s, weights_gbps   the bytes of a token's weights times tokens/s
 *   read_gbps                    of the packed weights, by as many threads
 *   share                        weights_gbps over read_gbps
 *
 * Weights that are used where they are mapped, and few bytes, have no such rate: the program says so. */
#define _GNU_SOURCE

#include "../../tools/readbw.h"
#include "model/model.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MAX_ROUNDS = 99, WARM_UP = 4 };

static double seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *x, int n) {
    qsort(x, (size_t)n, sizeof *x, by_value);
    return n % 2 ? x[n / 2] : (x[n / 2 - 1] + x[n / 2]) / 2;
}

static uint32_t level_of(const char *name) {
    static const struct {
        const char *name;
        uint32_t levels;
    } all[] = {{"portable", SLM_CPU_PORTABLE},
               {"avx2", SLM_CPU_AVX2},
               {"avxvnni", SLM_CPU_AVX2 | SLM_CPU_AVXVNNI},
               {"avx512", SLM_CPU_AVX2 | SLM_CPU_AVX512}};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        if (strcmp(name, all[i].name) == 0)
            return all[i].levels;
    return 0;
}

/* n tokens, one after the other; the seconds of one, or a negative number. */
static double decode(slm_session *s, int n, slm_error *error) {
    int32_t id = 1;
    double begun = seconds();
    for (int i = 0; i < n; i++)
        if (slm_session_eval(s, &id, 1, SLM_LOGITS_LAST, error) != SLM_OK)
            return -1;
    return (seconds() - begun) / n;
}

static int play(slm_model *model, slm_session *s, uint32_t threads, int n, int rounds,
                uint64_t weights, slm_error *error) {
    static double rates[MAX_ROUNDS], reads[MAX_ROUNDS], shares[MAX_ROUNDS];
    if (decode(s, WARM_UP, error) < 0)
        return 1;
    for (int i = 0; i < rounds; i++) {
        double taken = decode(s, n, error);
        double read = slm_read_bandwidth_of(model->packed, (size_t)model->packed_bytes - 64, threads);
        if (taken < 0 || read <= 0)
            return 1;
        rates[i] = 1 / taken;
        reads[i] = read;
        shares[i] = (double)weights * 1e-9 / taken / read;
        printf("{\"round\":%d,\"tokens_per_s\":%.3f,\"weights_gbps\":%.3f,\"read_gbps\":%.3f,"
               "\"share\":%.4f}\n", i, rates[i], (double)weights * 1e-9 / taken, read, shares[i]);
        fflush(stdout);
    }
    printf("{\"rounds\":%d,\"threads\":%u,\"weight_bytes\":%llu,\"tokens_per_s\":%.3f,"
           "\"read_gbps\":%.3f,\"share\":%.4f}\n", rounds, threads, (unsigned long long)weights,
           median(rates, rounds), median(reads, rounds), median(shares, rounds));
    return 0;
}

int main(int argc, char **argv) {
    slm_model_options mo = {.struct_size = sizeof mo, .device = SLM_DEVICE_CPU, .load = SLM_LOAD_PACK};
    slm_cache_options co = {.struct_size = sizeof co, .n_ctx = 4096};
    slm_plan plan = {.struct_size = sizeof plan};
    slm_error error = SLM_ERROR_INIT;
    slm_model *model = NULL;
    slm_session *session = NULL;
    int option, n = 32, rounds = 5, failed;
    while ((option = getopt(argc, argv, "t:n:r:c:k:")) != -1) {
        if (option == 't')
            co.n_threads = (uint32_t)strtoul(optarg, NULL, 10);
        else if (option == 'n')
            n = atoi(optarg);
        else if (option == 'r')
            rounds = atoi(optarg);
        else if (option == 'c')
            mo.cpu_levels = level_of(optarg);
        else if (option == 'k')
            co.kv_type = strcmp(optarg, "q8_0") == 0  ? SLM_KV_Q8_0
                         : strcmp(optarg, "f32") == 0 ? SLM_KV_F32
                                                      : SLM_KV_F16;
        else
            return 2;
    }
    if (optind + 1 != argc || n < 1 || rounds < 1 || rounds > MAX_ROUNDS ||
        n * rounds + WARM_UP > 4000) {
        fprintf(stderr, "slm_bench_roofline MODEL.gguf [-t THREADS] [-n TOKENS] [-r ROUNDS] "
                        "[-c LEVEL] [-k f16|q8_0|f32]; at most 4,000 tokens in all\n");
        return 2;
    }
    failed = slm_model_open(argv[optind], &mo, &model, &error) != SLM_OK ||
             slm_cache_plan(model, &co, &plan, &error) != SLM_OK ||
             slm_session_open(model, &co, &session, &error) != SLM_OK;
    if (!failed && model->packed_bytes < (uint64_t)plan.n_threads << 20) {
        fprintf(stderr, "slm_bench_roofline: %s has too few packed weights to be read apart\n",
                argv[optind]);
        failed = 1;
    }
    failed = failed || play(model, session, plan.n_threads, n, rounds, plan.bytes_per_token, &error);
    if (error.status != SLM_OK)
        fprintf(stderr, "slm_bench_roofline: %s\n", error.message);
    slm_session_close(&session);
    slm_model_close(&model);
    return failed;
}
