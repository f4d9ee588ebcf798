/* What guides cost a generation, end to end: tokens a second without one and with each schema, in
 * turns, as CSV.
 *
 *   slm_bench_guided MODEL.gguf THREADS TOKENS TURNS SCHEMA...
 *
 * Each answer has TOKENS tokens behind the same prompt; where a schema's text is complete another
 * begins. Timed is what slm_generate_next takes, which makes new masks too, by the clock and in
 * processor time of all threads, which with one thread says something on a busy machine too.
 * slower: the median of the turns over that without a schema, less 1. Bytes that a schema forces
 * are evaluated together with the next token, which makes it faster; a schema like
 * {"type":"string"} forces none. */
#define _POSIX_C_SOURCE 200809L
#include "slm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MAX_TURNS = 64, MAX_GUIDES = 8, N_PROMPT = 32 };

static double milliseconds(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int fail(const slm_error *e) {
    fprintf(stderr, "%s\n", e->message);
    return 1;
}

typedef struct times {
    double wall[MAX_TURNS], cpu[MAX_TURNS];
} times;

/* One answer, or several, of n tokens in all; adds the time that it takes. */
static slm_status answer(slm_session *s, slm_guide *guide, uint64_t seed, uint64_t n, double *wall,
                         double *cpu, slm_error *e) {
    slm_sampling sampling = {.struct_size = sizeof sampling};
    slm_status status = slm_sampling_init(&sampling);
    uint64_t done = 0;
    sampling.seed = seed;
    while (done < n && status == SLM_OK) {
        slm_generate_options o = {.struct_size = sizeof o,
                                  .sampling = &sampling,
                                  .max_tokens = n - done,
                                  .guide = guide,
                                  .flags = guide == NULL ? SLM_GENERATE_IGNORE_END : 0u};
        slm_generator *g = NULL;
        slm_event ev = {.struct_size = sizeof ev, .type = SLM_EVENT_TEXT};
        status = slm_generate_begin(s, &o, &g, e);
        double began = milliseconds(CLOCK_MONOTONIC);
        double cpu_began = milliseconds(CLOCK_PROCESS_CPUTIME_ID);
        while (status == SLM_OK && ev.type == SLM_EVENT_TEXT)
            status = slm_generate_next(g, &ev, e);
        *wall += milliseconds(CLOCK_MONOTONIC) - began;
        *cpu += milliseconds(CLOCK_PROCESS_CPUTIME_ID) - cpu_began;
        done += ev.count;
        slm_generate_end(&g);
    }
    return status;
}

int main(int argc, char **argv) {
    static times taken[MAX_GUIDES + 1];
    slm_guide *guides[MAX_GUIDES + 1] = {NULL};
    slm_error e = SLM_ERROR_INIT;
    slm_model *model;
    slm_session *session;
    int32_t prompt[N_PROMPT];
    int n_guides = argc - 5, n_turns = argc > 5 ? atoi(argv[4]) : 0;
    uint64_t n = argc > 5 ? strtoull(argv[3], NULL, 10) : 0;
    if (n_guides < 1 || n_guides > MAX_GUIDES || n_turns < 1 || n_turns > MAX_TURNS || n < 1 ||
        n > 4096)
        return fprintf(stderr,
                       "usage: slm_bench_guided MODEL.gguf THREADS TOKENS TURNS SCHEMA...\n"),
               2;
    slm_cache_options co = {.struct_size = sizeof co,
                            .n_ctx = N_PROMPT + (uint32_t)n + 1,
                            .n_threads = (uint32_t)atoi(argv[2])};
    if (slm_model_open(argv[1], NULL, &model, &e) != SLM_OK ||
        slm_session_open(model, &co, &session, &e) != SLM_OK)
        return fail(&e);
    for (int g = 1; g <= n_guides; g++)
        if (slm_guide_compile_json_schema(model, argv[4 + g], SLM_NTS, NULL, &guides[g], &e))
            return fail(&e);
    for (int i = 0; i < N_PROMPT; i++)
        prompt[i] = 100 + i;
    for (int turn = -1; turn < n_turns; turn++) /* one to warm up */
        for (int g = 0; g <= n_guides; g++) {
            double wall = 0, cpu = 0;
            if (slm_session_truncate(session, 0, &e) != SLM_OK ||
                slm_session_eval(session, prompt, N_PROMPT, SLM_LOGITS_LAST, &e) != SLM_OK ||
                answer(session, guides[g], (uint64_t)(turn + 2), n, &wall, &cpu, &e) != SLM_OK)
                return fail(&e);
            if (turn >= 0) {
                taken[g].wall[turn] = wall;
                taken[g].cpu[turn] = cpu;
            }
        }
    printf("schema,ms_a_token,slower,cpu_ms_a_token,cpu_slower\n");
    for (int g = 0; g <= n_guides; g++) {
        const double *wall = taken[g].wall, *cpu = taken[g].cpu;
        int middle = n_turns / 2;
        qsort(taken[g].wall, (size_t)n_turns, sizeof *wall, by_value);
        qsort(taken[g].cpu, (size_t)n_turns, sizeof *cpu, by_value);
        printf("\"%s\",%.3f,%.4f,%.3f,%.4f\n", g == 0 ? "" : argv[4 + g], wall[middle] / (double)n,
               wall[middle] / taken[0].wall[middle] - 1, cpu[middle] / (double)n,
               cpu[middle] / taken[0].cpu[middle] - 1);
    }
    for (int g = 1; g <= n_guides; g++)
        slm_guide_close(&guides[g]);
    slm_session_close(&session);
    slm_model_close(&model);
    return 0;
}
