/* Whether a model says the same on the GPU, step by step and all at once, and on the processor.
 *
 *   slm_check_cuda MODEL.gguf [-n TOKENS]
 *
 * Behind a prompt of PROMPT tokens it takes the likeliest token TOKENS times (32): steps of one
 * row, which are replayed graphs. The same tokens then go through in one step of all rows, whose
 * kernels are put on the stream one by one: every logit must have the same bits. Then through the
 * processor, whose logits may differ by what floating-point orders explain. One line on the
 * standard output says how that went; status 1 where something differs. */
#include "slm.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PROMPT = 20, MAX_TOKENS = 200 };
/* Of the differences of logits from the processor's, in standard deviations of a row: roundings of
 * activations that fall to the other side make some, a mistake makes far more. */
#define MOST_RMS 0.1

static slm_error error = SLM_ERROR_INIT;

static void need(slm_status status) {
    if (status == SLM_OK)
        return;
    fprintf(stderr, "slm_check_cuda: %s\n", error.message);
    exit(1);
}

typedef struct run {
    int32_t ids[PROMPT + MAX_TOKENS];
    size_t n; /* of them */
    size_t n_vocab;
    float *logits; /* [n][n_vocab]; those before PROMPT - 1 need not be there */
} run;

static float *row_of(const run *r, size_t i) {
    return r->logits + i * r->n_vocab;
}

static slm_model *open_model(const char *path, slm_device device) {
    slm_model_options o = {.struct_size = sizeof o, .device = device};
    slm_model *model = NULL;
    need(slm_model_open(path, &o, &model, &error));
    return model;
}

static slm_session *open_session(slm_model *model, uint32_t max_logits) {
    slm_cache_options o = {
        .struct_size = sizeof o, .n_ctx = PROMPT + MAX_TOKENS, .max_logits = max_logits};
    slm_session *session = NULL;
    need(slm_session_open(model, &o, &session, &error));
    return session;
}

static int32_t likeliest(const float *x, size_t n) {
    size_t best = 0;
    for (size_t i = 1; i < n; i++)
        best = x[i] > x[best] ? i : best;
    return (int32_t)best;
}

static run new_run(const slm_model *model, size_t n) {
    slm_model_info info = {.struct_size = sizeof info};
    need(slm_model_get_info(model, &info, &error));
    run r = {.n = n, .n_vocab = info.n_vocab};
    r.logits = calloc(n * r.n_vocab, sizeof *r.logits);
    if (r.logits == NULL) {
        fprintf(stderr, "slm_check_cuda: got no memory for %zu rows of logits\n", n);
        exit(1);
    }
    uint32_t x = 12345;
    for (size_t i = 0; i < PROMPT; i++) {
        x = x * 1664525u + 1013904223u; /* any ids do, always the same */
        r.ids[i] = (int32_t)((x >> 8) % r.n_vocab);
    }
    return r;
}

static run one_by_one(slm_model *model, size_t n) {
    run r = new_run(model, n);
    slm_session *session = open_session(model, 1);
    for (size_t i = PROMPT - 1; i < n; i++) {
        const float *row;
        int is_first = i == PROMPT - 1;
        need(slm_session_eval(session, is_first ? r.ids : r.ids + i, is_first ? PROMPT : 1,
                              SLM_LOGITS_LAST, &error));
        need(slm_session_get_logits(session, 0, &row, &error));
        memcpy(row_of(&r, i), row, r.n_vocab * sizeof *row);
        if (i + 1 < n)
            r.ids[i + 1] = likeliest(row, r.n_vocab);
    }
    slm_session_close(&session);
    return r;
}

static run all_at_once(slm_model *model, const run *like) {
    run r = new_run(model, like->n);
    slm_session *session = open_session(model, (uint32_t)like->n);
    memcpy(r.ids, like->ids, sizeof r.ids);
    need(slm_session_eval(session, r.ids, r.n, SLM_LOGITS_ALL, &error));
    for (size_t i = 0; i < r.n; i++) {
        const float *row;
        need(slm_session_get_logits(session, i, &row, &error));
        memcpy(row_of(&r, i), row, r.n_vocab * sizeof *row);
    }
    slm_session_close(&session);
    return r;
}

static size_t same_tokens(const run *a, const run *b) {
    size_t same = 0;
    for (size_t i = PROMPT - 1; i < a->n; i++)
        same += likeliest(row_of(a, i), a->n_vocab) == likeliest(row_of(b, i), b->n_vocab);
    return same;
}

/* Root mean square of the differences, in standard deviations of b. */
static double difference(const run *a, const run *b) {
    double sum = 0, squares = 0, differences = 0;
    size_t from = (PROMPT - 1) * a->n_vocab, to = a->n * a->n_vocab;
    for (size_t i = from; i < to; i++) {
        double x = (double)b->logits[i], d = (double)a->logits[i] - x;
        sum += x;
        squares += x * x;
        differences += d * d;
    }
    double n = (double)(to - from);
    return sqrt(differences / n / (squares / n - sum / n * (sum / n)));
}

int main(int argc, char **argv) {
    long n = 32;
    if (argc == 4 && strcmp(argv[2], "-n") == 0)
        n = strtol(argv[3], NULL, 10);
    if ((argc != 2 && argc != 4) || n < 1 || n > MAX_TOKENS) {
        fprintf(stderr, "usage: slm_check_cuda MODEL.gguf [-n 1...%d]\n", MAX_TOKENS);
        return 2;
    }
    slm_model *device = open_model(argv[1], SLM_DEVICE_CUDA);
    run graph = one_by_one(device, (size_t)n + PROMPT - 1);
    run eager = all_at_once(device, &graph);
    slm_model_close(&device);
    slm_model *processor = open_model(argv[1], SLM_DEVICE_CPU);
    run cpu = all_at_once(processor, &graph);
    slm_model_close(&processor);

    size_t bytes = (size_t)n * graph.n_vocab * sizeof(float);
    int same_bits = memcmp(row_of(&graph, PROMPT - 1), row_of(&eager, PROMPT - 1), bytes) == 0;
    size_t same_eager = same_tokens(&graph, &eager), same_cpu = same_tokens(&graph, &cpu);
    double rms = difference(&graph, &cpu);
    int good = same_bits && same_eager == (size_t)n && rms <= MOST_RMS;
    printf("%ld tokens: graph and eager %zu the same, bits %s; processor %zu the same, its logits "
           "differ by %.2g standard deviations%s\n",
           n, same_eager, same_bits ? "the same" : "DIFFER", same_cpu, rms,
           rms <= MOST_RMS ? "" : ": TOO MUCH");
    free(graph.logits);
    free(eager.logits);
    free(cpu.logits);
    return !good;
}
