/* What guides cost: compiling, the first mask of a state, masks along an answer, over the schemas
 * of the reference data with their own valid texts. Times are CPU times of the thread.
 *
 *   slm_bench_guide VOCAB.gguf GUIDES.jsonl [each]
 *
 * Each line of the second file is an object with "schema" and "valid", a list of texts, or with
 * "grammar", in GBNF, and "match". A text is cut into the longest tokens that fit, which is near to
 * what a model would choose. Guides with a new worst state are named; each: what masks of new states
 * cost is told for every guide. bench/hostile_guides.jsonl has guides made to cost much. */
#define _POSIX_C_SOURCE 200809L
#include "base/json.h"
#include "guide/guide.h"
#include "model/model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double now_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec * 1e-3;
}

typedef struct series {
    double *us;
    size_t n, cap;
    double sum, worst;
} series;

static void add(series *s, double us) {
    if (s->n == s->cap) {
        s->cap = s->cap ? s->cap * 2 : 4096;
        s->us = realloc(s->us, s->cap * sizeof *s->us);
    }
    s->us[s->n++] = us;
    s->sum += us;
    s->worst = us > s->worst ? us : s->worst;
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static void report(const char *name, series *s) {
    if (s->n == 0)
        return;
    qsort(s->us, s->n, sizeof *s->us, compare);
    printf("%-28s %8zu  mean %9.2f  p50 %9.2f  p99 %9.2f  worst %9.2f us\n", name, s->n,
           s->sum / (double)s->n, s->us[s->n / 2], s->us[s->n * 99 / 100], s->worst);
    free(s->us);
}

/* The longest allowed token that the text goes on with. */
static int32_t longest(const slm_trie *t, const uint64_t *bits, const char *text, size_t len,
                       size_t *taken) {
    int32_t best = -1;
    uint32_t i = 0, end = t->n_nodes;
    for (size_t depth = 0; depth < len; depth++) {
        while (i < end && t->nodes[i].byte != (uint8_t)text[depth])
            i = t->nodes[i].skip;
        if (i >= end)
            break;
        int32_t id = t->nodes[i].token;
        if (id >= 0 && bits[id / 64] >> (id % 64) & 1) {
            best = id;
            *taken = depth + 1;
        }
        end = t->nodes[i].skip;
        i++;
    }
    return best;
}

static series compiling, cold, warm, accepting;

static int follow(slm_guide *g, const slm_json *text, series *masks) {
    slm_matcher *m;
    slm_error e = SLM_ERROR_INIT;
    size_t at = 0, n_words, taken = 0;
    if (slm_matcher_open(g, &m, &e) != SLM_OK)
        return 0;
    for (;;) {
        const uint64_t *bits;
        double start = now_us();
        if (slm_matcher_get_mask(m, &bits, &n_words, &e) != SLM_OK)
            return fprintf(stderr, "%s\n", e.message), 0;
        add(masks, now_us() - start);
        if (at == text->text.len)
            break;
        int32_t id = longest(g->trie, bits, text->text.ptr + at, text->text.len - at, &taken);
        if (id < 0)
            return fprintf(stderr, "stuck at %zu of %.*s\n", at, (int)text->text.len,
                           text->text.ptr);
        start = now_us();
        if (slm_matcher_accept(m, id, &e) != SLM_OK)
            return fprintf(stderr, "%s\n", e.message), 0;
        add(&accepting, now_us() - start);
        at += taken;
    }
    slm_matcher_close(&m);
    return 1;
}

static slm_status compile(slm_model *model, const slm_json *line, slm_guide **g, slm_error *e) {
    const slm_json *schema = slm_json_get(line, "schema"), *grammar = slm_json_get(line, "grammar");
    slm_host host;
    slm_host_init(&host, NULL, NULL, NULL, SLM_LOG_NONE);
    slm_buffer text = {.host = &host};
    slm_json_writer w = {.out = &text};
    slm_status status = SLM_OK;
    if (schema != NULL)
        status = slm_json_put_value(&w, schema, e);
    if (status != SLM_OK)
        return status;
    double start = now_us();
    if (schema != NULL)
        status = slm_guide_compile_json_schema(model, text.ptr, text.len, NULL, g, e);
    else
        status = slm_guide_compile_gbnf(model, grammar->text.ptr, grammar->text.len, NULL, g, e);
    add(&compiling, now_us() - start);
    slm_buffer_free(&text);
    return status;
}

/* Adds the series of one guide to that of all, and tells of it. */
static void add_all(series *all, series *own, const char *name, int tell) {
    for (size_t i = 0; i < own->n; i++)
        add(all, own->us[i]);
    if (tell)
        report(name, own);
    else
        free(own->us);
}

static void one_line(slm_model *model, const slm_json *line, int each) {
    const slm_json *name = slm_json_get(line, "name"), *texts = slm_json_get(line, "valid");
    slm_error e = SLM_ERROR_INIT;
    slm_guide *g;
    double before = cold.worst;
    if (texts == NULL)
        texts = slm_json_get(line, "match");
    if (compile(model, line, &g, &e) != SLM_OK) {
        fprintf(stderr, "%s\n", e.message);
        return;
    }
    series own = {0};
    char label[64];
    snprintf(label, sizeof label, "%.*s", name != NULL ? (int)name->text.len : 1,
             name != NULL ? name->text.ptr : "?");
    for (uint32_t i = 0; texts != NULL && i < texts->n_items; i++)
        (void)follow(g, &texts->items[i], &own);
    add_all(&cold, &own, label, each);
    for (uint32_t i = 0; texts != NULL && i < texts->n_items; i++)
        (void)follow(g, &texts->items[i], &warm);
    if (!each && cold.worst > before && cold.worst > 500)
        printf("%9.2f us for a new state of %s\n", cold.worst, label);
    slm_guide_close(&g);
}

int main(int argc, char **argv) {
    slm_model *model;
    slm_error e = SLM_ERROR_INIT;
    slm_model_options o = {.struct_size = sizeof o, .flags = SLM_MODEL_VOCAB_ONLY};
    int each = argc == 4 && strcmp(argv[3], "each") == 0;
    if (argc != 3 && !each)
        return fprintf(stderr, "usage: slm_bench_guide VOCAB.gguf GUIDES.jsonl [each]\n"), 2;
    if (slm_model_open(argv[1], &o, &model, &e) != SLM_OK)
        return fprintf(stderr, "%s\n", e.message), 1;
    FILE *f = fopen(argv[2], "r");
    if (f == NULL)
        return perror(argv[2]), 1;
    slm_guide *first;
    uint64_t bytes = atomic_load(&model->host.bytes);
    double start = now_us();
    if (slm_guide_compile_gbnf(model, "root ::= \"a\"", SLM_NTS, NULL, &first, &e) != SLM_OK)
        return fprintf(stderr, "%s\n", e.message), 1;
    printf("first guide of a model: %.1f ms, %u nodes in the trie of %u tokens\n",
           (now_us() - start) * 1e-3, first->trie->n_nodes, first->trie->n_vocab);
    slm_guide_close(&first);
    char *line = NULL;
    size_t cap = 0;
    ssize_t n;
    slm_host host;
    slm_host_init(&host, NULL, NULL, NULL, SLM_LOG_NONE);
    while ((n = getline(&line, &cap, f)) > 0) {
        slm_arena arena = {.host = &host};
        const slm_json *v;
        if (slm_json_parse(&arena, line, (size_t)n, 0, "line", &v, &e) == SLM_OK)
            one_line(model, v, each);
        slm_arena_free(&arena);
    }
    free(line);
    fclose(f);
    printf("kept with the model: %.2f MB\n",
           (double)(atomic_load(&model->host.bytes) - bytes) * 1e-6);
    report("compiling", &compiling);
    report("mask, first time", &cold);
    report("mask, again", &warm);
    report("accepting a token", &accepting);
    slm_model_close(&model);
    return 0;
}
