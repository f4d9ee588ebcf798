/* Tokens per second of several sessions that one step takes forward together, since a step reads
 * each weight once for all of them: one JSON object a line for each number of sessions.
 *
 *   slm_bench_sessions MODEL.gguf [-s LIST] [-t THREADS] [-d DEPTH] [-n STEPS] [-r REPEATS]
 *
 * -s defaults to 1,2,4,8. Every session holds DEPTH (1) tokens of its own, then takes STEPS (16)
 * steps of a token each, with logits, REPEATS (3) times from the same depth; the median repeat
 * counts. over_first: tokens/s over those of the first number in the list. */
#define _GNU_SOURCE

#include "numbers.h"
#include "slm.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MAX_SESSIONS = 64, MAX_LIST = 16, MAX_REPEATS = 100, MAX_NUMBER = 1 << 20 };

typedef struct setup {
    const char *path;
    uint32_t sessions[MAX_LIST], n_sessions, threads, depth, steps, repeats;
    slm_model *model;
    uint32_t n_vocab;
    double first; /* tokens/s of the first number of sessions */
} setup;

static double seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int32_t any_id(const setup *s, uint64_t *x) { /* xorshift64: always the same */
    *x ^= *x << 13;
    *x ^= *x >> 7;
    *x ^= *x << 17;
    return (int32_t)(*x % s->n_vocab);
}

/* Brings every session to the depth, then times its steps. */
static slm_status once(const setup *s, slm_cache *cache, slm_session **sessions, uint32_t n,
                       double *taken, slm_error *error) {
    slm_eval_item items[MAX_SESSIONS];
    int32_t ids[MAX_SESSIONS];
    uint64_t x = 88172645463325252u;
    slm_status status = SLM_OK;
    for (uint32_t i = 0; i < n && status == SLM_OK; i++) {
        status = slm_session_truncate(sessions[i], 0, error);
        for (uint32_t left = s->depth, part; left > 0 && status == SLM_OK; left -= part) {
            part = left < MAX_SESSIONS ? left : MAX_SESSIONS;
            for (uint32_t k = 0; k < part; k++)
                ids[k] = any_id(s, &x);
            status = slm_session_eval(sessions[i], ids, part, SLM_LOGITS_NONE, error);
        }
        items[i] = (slm_eval_item){.struct_size = sizeof items[i],
                                   .logits = SLM_LOGITS_LAST,
                                   .session = sessions[i],
                                   .ids = &ids[i],
                                   .n = 1};
    }
    double begun = seconds();
    for (uint32_t step = 0; step < s->steps && status == SLM_OK; step++) {
        for (uint32_t i = 0; i < n; i++)
            ids[i] = any_id(s, &x);
        status = slm_cache_eval(cache, items, n, error);
    }
    *taken = seconds() - begun;
    return status;
}

static slm_status measure(setup *s, uint32_t n, slm_error *error) {
    slm_cache *cache = NULL;
    slm_session *sessions[MAX_SESSIONS] = {NULL};
    double taken[MAX_REPEATS];
    slm_plan plan = {.struct_size = sizeof plan};
    slm_cache_options options = {.struct_size = sizeof options,
                                 .n_ctx = s->depth + s->steps,
                                 .max_sessions = n,
                                 .n_threads = s->threads};
    slm_status status = slm_cache_open(s->model, &options, &cache, error);
    for (uint32_t i = 0; i < n && status == SLM_OK; i++)
        status = slm_session_open_on(cache, NULL, &sessions[i], error);
    if (status == SLM_OK)
        status = slm_cache_get_plan(cache, &plan, error);
    if (status == SLM_OK) /* to warm up */
        status = once(s, cache, sessions, n, &taken[0], error);
    for (uint32_t r = 0; r < s->repeats && status == SLM_OK; r++)
        status = once(s, cache, sessions, n, &taken[r], error);
    if (status == SLM_OK) {
        qsort(taken, s->repeats, sizeof *taken, by_value);
        double rate = (double)n * s->steps / taken[s->repeats / 2];
        if (s->first <= 0)
            s->first = rate;
        printf("{\"sessions\":%u,\"threads\":%u,\"depth\":%u,\"steps\":%u,"
               "\"tokens_per_second\":%.3f,\"step_ms\":%.3f,\"over_first\":%.3f}\n",
               n, plan.n_threads, s->depth, s->steps, rate, 1e3 * n / rate, rate / s->first);
        fflush(stdout);
    }
    for (uint32_t i = 0; i < n; i++)
        slm_session_close(&sessions[i]);
    slm_cache_close(&cache);
    return status;
}

static int usage(const char *got) {
    fprintf(stderr,
            "slm_bench_sessions: got %s, wanted MODEL.gguf [-s LIST] [-t THREADS] [-d DEPTH] "
            "[-n STEPS] [-r REPEATS]\n",
            got);
    return 2;
}

int main(int argc, char **argv) {
    setup s = {.sessions = {1, 2, 4, 8}, .n_sessions = 4, .depth = 1, .steps = 16, .repeats = 3};
    slm_model_info info = {.struct_size = sizeof info};
    slm_error error = SLM_ERROR_INIT;
    int c;
    opterr = 0;
    while ((c = getopt(argc, argv, "s:t:d:n:r:")) != -1) {
        uint32_t good = 0;
        if (c == 's')
            good = s.n_sessions = take_numbers(optarg, s.sessions, MAX_LIST, MAX_SESSIONS);
        else if (c == 't')
            good = take_numbers(optarg, &s.threads, 1, MAX_NUMBER);
        else if (c == 'd')
            good = take_numbers(optarg, &s.depth, 1, MAX_NUMBER);
        else if (c == 'n')
            good = take_numbers(optarg, &s.steps, 1, MAX_NUMBER);
        else if (c == 'r')
            good = take_numbers(optarg, &s.repeats, 1, MAX_REPEATS);
        else
            return usage(argv[optind - 1]);
        if (!good)
            return usage(optarg);
    }
    if (optind + 1 != argc)
        return usage(optind == argc ? "no model" : argv[optind + 1]);
    s.path = argv[optind];
    slm_status status = slm_model_open(s.path, NULL, &s.model, &error);
    if (status == SLM_OK)
        status = slm_model_get_info(s.model, &info, &error);
    s.n_vocab = info.n_vocab;
    for (uint32_t i = 0; i < s.n_sessions && status == SLM_OK; i++)
        status = measure(&s, s.sessions[i], &error);
    if (status != SLM_OK)
        fprintf(stderr, "slm_bench_sessions: %s\n", error.message);
    slm_model_close(&s.model);
    return status == SLM_OK ? 0 : 1;
}
