/* Tokens per second of requests that a batch answers together, over those of one alone: one JSON object
 * a line for each number of requests.
 *
 *   slm_bench_batch MODEL.gguf [-s LIST] [-t THREADS] [-p PROMPT] [-n TOKENS] [-r REPEATS]
 *
 * -s defaults to 1,2,4,8. Every request has a prompt of PROMPT (16) tokens of its own and generates TOKENS
 * (32), greedily; the median of REPEATS (3) runs counts. Time begins when all prompts are evaluated and
 * ends with the last token. over_first: tokens/s over those of the first number in the list.
 * cpu_ms_per_token is time of all threads on processors, and cpu_over_first what becomes of it: on a
 * machine with other work, which takes time but hardly any of that, it tells more. */
#define _GNU_SOURCE

#include "numbers.h"
#include "slm.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { MAX_REQUESTS = 64, MAX_LIST = 16, MAX_REPEATS = 100, MAX_NUMBER = 1 << 20 };

typedef struct setup {
    slm_model *model;
    uint32_t requests[MAX_LIST], n_requests, threads, prompt, tokens, repeats;
    uint32_t n_vocab;
    double first, cpu_first; /* tokens/s and processor time a token of the first number of requests */
} setup;

typedef struct taken {
    double wall, cpu; /* seconds */
    uint64_t tokens, longest_ns;
} taken;

static double seconds(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int by_wall(const void *a, const void *b) {
    double x = ((const taken *)a)->wall, y = ((const taken *)b)->wall;
    return (x > y) - (x < y);
}

static slm_status add_all(const setup *s, slm_batch *batch, uint32_t n, slm_request **requests,
                          int32_t *ids, slm_error *error) {
    slm_sampling sampling = {.struct_size = sizeof sampling};
    slm_status status = slm_sampling_init(&sampling);
    sampling.temperature = 0;
    slm_generate_options generate = {.struct_size = sizeof generate,
                                     .flags = SLM_GENERATE_IGNORE_END,
                                     .max_tokens = s->tokens,
                                     .sampling = &sampling};
    slm_request_options options = {.struct_size = sizeof options,
                                   .kind = SLM_REQUEST_TEXT,
                                   .flags = SLM_REQUEST_FORGET,
                                   .ids = ids,
                                   .n_ids = s->prompt,
                                   .generate = &generate};
    uint64_t x = 88172645463325252u; /* xorshift64: always the same */
    for (uint32_t i = 0; i < n && status == SLM_OK; i++) {
        for (uint32_t k = 0; k < s->prompt; k++) {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            ids[k] = (int32_t)(x % s->n_vocab);
        }
        status = slm_batch_add(batch, &options, &requests[i], error);
    }
    return status;
}

/* Pulls all events; how many requests have ended. */
static slm_status pull(slm_batch *batch, uint32_t *n_ended, slm_error *error) {
    slm_batch_event e = {.struct_size = sizeof e};
    slm_status status;
    while ((status = slm_batch_next(batch, &e, error)) == SLM_OK && e.type != SLM_BATCH_NONE) {
        *n_ended += e.type == SLM_BATCH_END;
        if (e.type == SLM_BATCH_FAILED) {
            snprintf(error->message, sizeof error->message, "%.*s", (int)e.text_len, e.text);
            return e.status;
        }
    }
    return status;
}

/* One run. The first step has all the prompts; time begins behind it. */
static slm_status once(const setup *s, slm_batch *batch, uint32_t n, int32_t *ids, taken *t,
                       slm_error *error) {
    slm_request *requests[MAX_REQUESTS] = {NULL};
    slm_batch_info before = {.struct_size = sizeof before}, after = before;
    uint32_t n_ended = 0;
    slm_status status = add_all(s, batch, n, requests, ids, error);
    if (status == SLM_OK)
        status = slm_batch_step(batch, NULL, error);
    if (status == SLM_OK)
        status = pull(batch, &n_ended, error);
    slm_batch_get_info(batch, &before, NULL);
    double wall = seconds(CLOCK_MONOTONIC), cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
    while (status == SLM_OK && n_ended < n) {
        status = slm_batch_step(batch, NULL, error);
        if (status == SLM_OK)
            status = pull(batch, &n_ended, error);
    }
    t->wall = seconds(CLOCK_MONOTONIC) - wall;
    t->cpu = seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    slm_batch_get_info(batch, &after, NULL);
    t->tokens = after.n_generated - before.n_generated;
    t->longest_ns = after.longest_ns;
    for (uint32_t i = 0; i < n; i++)
        slm_request_end(&requests[i]);
    return status;
}

static slm_status measure(setup *s, uint32_t n, int32_t *ids, slm_error *error) {
    slm_batch *batch = NULL;
    taken runs[MAX_REPEATS];
    slm_cache_options cache = {.struct_size = sizeof cache,
                               .n_ctx = s->prompt + s->tokens + 1,
                               .max_rows = n * s->prompt + n + 8,
                               .n_threads = s->threads};
    slm_batch_options options = {.struct_size = sizeof options,
                                 .max_running = n,
                                 .n_prefixes = SLM_BATCH_NO_PREFIXES,
                                 .step_rows = n * s->prompt,
                                 .cache = &cache};
    slm_status status = slm_batch_open(s->model, &options, &batch, error);
    if (status == SLM_OK) /* to warm up */
        status = once(s, batch, n, ids, &runs[0], error);
    for (uint32_t r = 0; r < s->repeats && status == SLM_OK; r++)
        status = once(s, batch, n, ids, &runs[r], error);
    if (status == SLM_OK) {
        qsort(runs, s->repeats, sizeof *runs, by_wall);
        taken t = runs[s->repeats / 2];
        double rate = (double)t.tokens / t.wall, each = t.cpu / (double)t.tokens;
        if (s->first <= 0) {
            s->first = rate;
            s->cpu_first = each;
        }
        printf("{\"requests\":%u,\"threads\":%u,\"prompt\":%u,\"tokens\":%u,"
               "\"tokens_per_second\":%.3f,\"cpu_ms_per_token\":%.3f,\"longest_step_ms\":%.1f,"
               "\"over_first\":%.3f,\"cpu_over_first\":%.3f}\n",
               n, s->threads, s->prompt, s->tokens, rate, 1e3 * each,
               (double)t.longest_ns * 1e-6, rate / s->first, s->cpu_first / each);
        fflush(stdout);
    }
    slm_batch_close(&batch);
    return status;
}

static int usage(const char *got) {
    fprintf(stderr,
            "slm_bench_batch: got %s, wanted MODEL.gguf [-s LIST] [-t THREADS] [-p PROMPT] "
            "[-n TOKENS] [-r REPEATS]\n",
            got);
    return 2;
}

int main(int argc, char **argv) {
    setup s = {.requests = {1, 2, 4, 8}, .n_requests = 4, .prompt = 16, .tokens = 32, .repeats = 3};
    slm_model_info info = {.struct_size = sizeof info};
    slm_error error = SLM_ERROR_INIT;
    int c;
    opterr = 0;
    while ((c = getopt(argc, argv, "s:t:p:n:r:")) != -1) {
        uint32_t good = 0;
        if (c == 's')
            good = s.n_requests = take_numbers(optarg, s.requests, MAX_LIST, MAX_REQUESTS);
        else if (c == 't')
            good = take_numbers(optarg, &s.threads, 1, MAX_NUMBER);
        else if (c == 'p')
            good = take_numbers(optarg, &s.prompt, 1, MAX_NUMBER);
        else if (c == 'n')
            good = take_numbers(optarg, &s.tokens, 1, MAX_NUMBER);
        else if (c == 'r')
            good = take_numbers(optarg, &s.repeats, 1, MAX_REPEATS);
        else
            return usage(argv[optind - 1]);
        if (!good)
            return usage(optarg);
    }
    if (optind + 1 != argc)
        return usage(optind == argc ? "no model" : argv[optind + 1]);
    slm_status status = slm_model_open(argv[optind], NULL, &s.model, &error);
    if (status == SLM_OK)
        status = slm_model_get_info(s.model, &info, &error);
    s.n_vocab = info.n_vocab;
    int32_t *ids = malloc(s.prompt * sizeof *ids);
    if (ids == NULL)
        return usage("no memory for the prompt");
    for (uint32_t i = 0; i < s.n_requests && status == SLM_OK; i++)
        status = measure(&s, s.requests[i], ids, &error);
    if (status != SLM_OK)
        fprintf(stderr, "slm_bench_batch: %s\n", error.message);
    free(ids);
    slm_model_close(&s.model);
    return status == SLM_OK ? 0 : 1;
}
