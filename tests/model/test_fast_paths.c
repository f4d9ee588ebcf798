/* What the fast paths cost in perplexity.
 *
 * The demo model is made anew with all its matrices in one type, and again in F32 with the values
 * that this type gives. The second is the float path: no activation is rounded, keys and values are
 * F32. The first takes the fast paths: every instruction level of the processor, weights mapped and
 * packed, keys and values F16. Both predict the answers of dialogues from the part of the demo
 * model's corpus that its training leaves out, in the chat format. Ternary types take the gate and
 * up matrices alone, the others are Q8_0: with more of them this model, which was not trained for
 * it, knows so little that chance changes its perplexity by as much as is allowed here.
 *
 * hearth_dialogues.jsonl: tools/demo_model/corpus.py --split test --count 40 --seed 3
 *
 *   test_model_fast_paths [OUT.csv]
 *
 * OUT.csv receives: type, level, load; tokens predicted; perplexity of the float path and of the
 * fast one, the second over the first less one, and the standard error of that. */
#include "golden.h"

#include "gguf/gguf.h"
#include "support/gguf_builder.h"

#include <math.h>

#define LARGEST_CHANGE 0.002
#ifdef SLM_SLOW /* so few tokens that chance has its part */
#define ERRORS 3
enum { N_DIALOGUES = 6 };
#else
#define ERRORS 0
enum { N_DIALOGUES = 40 };
#endif
enum { N_PORTABLE = 2, N_CTX = 512, MAX_SCORES = 1 << 12 };

typedef struct dialogue {
    int32_t ids[N_CTX];
    uint8_t is_answer[N_CTX];
    size_t n;
} dialogue;

typedef struct path {
    const char *name;
    uint32_t level, below; /* SLM_CPU_...: a level, and those that it goes with */
} path;

typedef struct change {
    double of, by, error; /* perplexity; its relative change, and the standard error of that */
} change;

enum {
    AVX2 = SLM_CPU_AVX2,
    AVXVNNI = AVX2 | SLM_CPU_AVXVNNI,
    AVX512 = AVXVNNI | SLM_CPU_AVX512,
    DOTPROD = SLM_CPU_NEON | SLM_CPU_DOTPROD
};
static const path paths[] = {
    {"avx2", SLM_CPU_AVX2, 0},
    {"avxvnni", SLM_CPU_AVXVNNI, AVX2},
    {"avx512", SLM_CPU_AVX512, AVXVNNI},
    {"amx", SLM_CPU_AMX, AVX512},
    {"neon", SLM_CPU_NEON, 0},
    {"dotprod", SLM_CPU_DOTPROD, SLM_CPU_NEON},
    {"i8mm", SLM_CPU_I8MM, DOTPROD},
};

static slm_host host;
static slm_kernels kernels;
static slm_gguf *source;
static uint32_t levels; /* of this processor */
static dialogue dialogues[N_DIALOGUES];
/* -log of the probability of each token. */
static double want[MAX_SCORES], got[MAX_SCORES], portable[MAX_SCORES];
static FILE *csv;

/* ---------------------------------------------------------------- models --------------------- */

static void copy_metadata(gb *b) {
    for (uint64_t i = 0; i < slm_gguf_n_kv(source); i++) {
        const slm_gguf_kv *kv = slm_gguf_kv_at(source, i);
        const char *record = kv->key.ptr - sizeof(uint64_t); /* the length of the key */
        gb_kv_raw(b, record, (size_t)((const char *)kv->data + kv->bytes - record));
    }
}

static void add_matrix(const slm_gguf_tensor *t, const char *name, uint32_t type, gb *quantized,
                       gb *floats) {
    size_t columns = (size_t)t->ne[0], rows = (size_t)(t->n_elements / t->ne[0]);
    size_t row = columns / slm_dtype_get(type)->block * slm_dtype_get(type)->bytes;
    uint8_t *blocks = malloc(rows * row);
    float *values = malloc(rows * columns * sizeof *values);
    assert_true(blocks != NULL && values != NULL);
#pragma omp parallel for schedule(dynamic)
    for (size_t r = 0; r < rows; r++) {
        float *x = values + r * columns;
        kernels.dequantize[t->type](x, t->data + r * ((size_t)t->bytes / rows), columns);
        slm_quantize_weights(type, blocks + r * row, x, NULL, columns);
        kernels.dequantize[type](x, blocks + r * row, columns);
    }
    gb_tensor(quantized, name, type, t->n_dims, t->ne, blocks);
    gb_tensor(floats, name, SLM_DTYPE_F32, t->n_dims, t->ne, values);
    free(values);
    free(blocks);
}

/* The demo model with its matrices in a type, and with their values as F32. */
static void make(uint32_t type, gb *quantized, gb *floats) {
    int is_ternary = type == SLM_DTYPE_TQ1_0 || type == SLM_DTYPE_TQ2_0;
    copy_metadata(quantized);
    copy_metadata(floats);
    for (uint64_t i = 0; i < slm_gguf_n_tensors(source); i++) {
        const slm_gguf_tensor *t = slm_gguf_tensor_at(source, i);
        char name[64];
        snprintf(name, sizeof name, "%.*s", (int)t->name.len, t->name.ptr);
        if (t->n_dims < 2) {
            gb_tensor(quantized, name, t->type, t->n_dims, t->ne, t->data);
            gb_tensor(floats, name, t->type, t->n_dims, t->ne, t->data);
        } else {
            int other = is_ternary && strstr(name, ".ffn_gate.") == NULL &&
                        strstr(name, ".ffn_up.") == NULL;
            add_matrix(t, name, other ? SLM_DTYPE_Q8_0 : type, quantized, floats);
        }
    }
}

static slm_model *open_model(gb *b, uint32_t mask, slm_load load) {
    size_t size;
    const uint8_t *bytes = gb_finish(b, &size);
    slm_model_options o = {.struct_size = sizeof o, .device = SLM_DEVICE_CPU, .load = load,
                           .cpu_levels = mask};
    slm_model *model = NULL;
    OK(slm_model_open_memory(bytes, size, &o, &model, &golden_err));
    return model;
}

/* ---------------------------------------------------------------- perplexity ----------------- */

static double minus_log_probability(const float *logits, size_t n_vocab, int32_t id) {
    float max = logits[0];
    double sum = 0;
    for (size_t i = 1; i < n_vocab; i++)
        max = logits[i] > max ? logits[i] : max;
    for (size_t i = 0; i < n_vocab; i++)
        sum += (double)expf(logits[i] - max);
    return log(sum) + (double)max - (double)logits[id];
}

/* Fills scores for the answers of the first n dialogues; returns their number. */
static size_t score(slm_model *model, slm_kv_type kv, size_t n, double *scores) {
    slm_cache_options o = {.struct_size = sizeof o, .n_ctx = N_CTX, .kv_type = kv,
                           .max_logits = N_CTX};
    slm_model_info info = {.struct_size = sizeof info};
    slm_session *session = NULL;
    size_t n_scores = 0;
    OK(slm_model_get_info(model, &info, &golden_err));
    OK(slm_session_open(model, &o, &session, &golden_err));
    for (size_t i = 0; i < n; i++) {
        const dialogue *d = &dialogues[i];
        OK(slm_session_truncate(session, 0, &golden_err));
        OK(slm_session_eval(session, d->ids, d->n, SLM_LOGITS_ALL, &golden_err));
        for (size_t at = 1; at < d->n; at++) {
            const float *logits;
            if (!d->is_answer[at])
                continue;
            assert_true(n_scores < MAX_SCORES);
            OK(slm_session_get_logits(session, at - 1, &logits, &golden_err));
            scores[n_scores++] = minus_log_probability(logits, info.n_vocab, d->ids[at]);
        }
    }
    slm_session_close(&session);
    return n_scores;
}

/* From the perplexity of n scores to that of n others of the same tokens. */
static change compare(const double *from, const double *to, size_t n) {
    double mean = 0, difference = 0, squares = 0, count = (double)n;
    for (size_t i = 0; i < n; i++) {
        double d = to[i] - from[i];
        mean += from[i] / count;
        difference += d / count;
        squares += d * d / count;
    }
    double ratio = exp(difference);
    double error = sqrt((squares - difference * difference) / (count - 1));
    return (change){exp(mean), ratio - 1, error * ratio};
}

static void check_path(gb *quantized, uint32_t type, const path *p, slm_load load) {
    const char *name = slm_dtype_get(type)->name, *how = load == SLM_LOAD_PACK ? "pack" : "map";
    slm_model *model = open_model(quantized, SLM_CPU_PORTABLE | p->level | p->below, load);
    size_t n = score(model, SLM_KV_F16, N_DIALOGUES, got);
    slm_model_close(&model);
    change c = compare(want, got, n);
    if (csv != NULL)
        fprintf(csv, "%s,%s,%s,%zu,%.6f,%.6f,%.6f,%.6f\n", name, p->name, how, n, c.of,
                c.of * (1 + c.by), c.by, c.error);
    if (!(fabs(c.by) <= LARGEST_CHANGE + ERRORS * c.error))
        fail_msg("%s, %s, %s: the perplexity changes by %.4f %%, wanted at most %.1f", name,
                 p->name, how, 100 * c.by, 100 * LARGEST_CHANGE);
    if (slm_act_for(type) != SLM_ACT_F32 && c.error == 0)
        fail_msg("%s, %s, %s: nothing changes, wanted rounded activations", name, p->name, how);
}

static void fast_paths(void **state) {
    uint32_t type = *(const uint32_t *)*state;
    gb *quantized = gb_begin(), *floats = gb_begin();
    make(type, quantized, floats);
    slm_model *model = open_model(floats, 0, SLM_LOAD_MAP);
    score(model, SLM_KV_F32, N_DIALOGUES, want);
    slm_model_close(&model);
    gb_free(floats);
    const double *fast = NULL;
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        if ((paths[i].level & levels) == 0)
            continue;
        check_path(quantized, type, &paths[i], SLM_LOAD_MAP);
        check_path(quantized, type, &paths[i], SLM_LOAD_PACK);
        fast = got;
    }
    /* Portable kernels are slow, and the beginning of the text is too short to hold them against
     * floats: they must do there as the other levels, or as floats but for chance. */
    model = open_model(quantized, SLM_CPU_PORTABLE, SLM_LOAD_MAP);
    size_t n = score(model, SLM_KV_F16, N_PORTABLE, portable);
    slm_model_close(&model);
    gb_free(quantized);
    change c = compare(fast != NULL ? fast : want, portable, n);
    print_message("portable differs by %.4f %% over %zu tokens\n", 100 * c.by, n);
    if (!(fabs(c.by) <= LARGEST_CHANGE + (fast == NULL ? 3 : ERRORS) * c.error))
        fail_msg("%s, portable: the perplexity of %zu tokens differs by %.4f %%, wanted at most "
                 "%.1f", slm_dtype_get(type)->name, n, 100 * c.by, 100 * LARGEST_CHANGE);
}

/* ---------------------------------------------------------------- dialogues ------------------ */

static void add_message(slm_message *m, const char *role, const json_t *text) {
    *m = (slm_message){sizeof *m, role, SLM_NTS, json_string_value(text), SLM_NTS};
    assert_non_null(m->content);
}

/* The tokens of a dialogue in the chat format, and which of them the model has to say. */
static void prepare(const slm_model *model, const json_t *line, dialogue *d) {
    slm_message messages[64];
    const json_t *system = json_object_get(line, "system"), *turn;
    size_t n = 0, i, from, to;
    if (json_string_length(system) > 0)
        add_message(&messages[n++], "system", system);
    json_array_foreach(json_object_get(line, "turns"), i, turn) {
        assert_true(n + 2 <= sizeof messages / sizeof *messages);
        add_message(&messages[n++], "user", json_object_get(turn, "user"));
        OK(slm_chat_tokenize(model, messages, n, SLM_CHAT_GENERATION_PROMPT, d->ids, N_CTX, &from,
                             &golden_err));
        add_message(&messages[n++], "assistant", json_object_get(turn, "bot"));
        OK(slm_chat_tokenize(model, messages, n, 0, d->ids, N_CTX, &to, &golden_err));
        memset(d->is_answer + from, 1, to - 1 - from); /* all but the line's end behind it */
    }
    d->n = to;
}

static int set_up(void **state) {
    (void)state;
    static const char model_path[] = SLM_SOURCE_DIR "/examples/models/hearth.gguf";
    static const char text_path[] = SLM_SOURCE_DIR "/tests/model/hearth_dialogues.jsonl";
    slm_model *model = NULL;
    slm_model_info info = {.struct_size = sizeof info};
    slm_host_init(&host, NULL, NULL, NULL, SLM_LOG_NONE);
    slm_kernels_init(&kernels, UINT32_MAX);
    OK(slm_gguf_open(&host, model_path, SLM_LOAD_READ, 0, NULL, NULL, &source, &golden_err));
    OK(slm_model_open(model_path, NULL, &model, &golden_err));
    OK(slm_model_get_info(model, &info, &golden_err));
    levels = info.cpu_levels;
#ifdef SLM_SLOW /* one level alone: the others are covered where they are fast */
    while (levels & (levels - 1))
        levels &= levels - 1;
#endif
    FILE *text = fopen(text_path, "rb");
    assert_non_null(text);
    for (size_t i = 0; i < N_DIALOGUES; i++) {
        json_error_t e;
        json_t *line = json_loadf(text, JSON_DISABLE_EOF_CHECK, &e);
        if (line == NULL)
            fail_msg("%s: %s", text_path, e.text);
        prepare(model, line, &dialogues[i]);
        json_decref(line);
    }
    fclose(text);
    slm_model_close(&model);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    slm_gguf_close(source);
    return 0;
}

#define TYPE(name) {"fast_paths_" #name, fast_paths, NULL, NULL, &(uint32_t){SLM_DTYPE_##name}}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
#ifdef SLM_SLOW /* of each kind of block one: the products of all are checked by others */
        TYPE(Q4_K), TYPE(Q4_0), TYPE(TQ2_0),
#else
        TYPE(Q2_K),  TYPE(Q3_K),  TYPE(Q4_K), TYPE(Q5_K), TYPE(Q6_K),   TYPE(Q4_0),
        TYPE(Q4_1),  TYPE(Q5_0),  TYPE(Q5_1), TYPE(Q8_0), TYPE(IQ4_NL), TYPE(IQ4_XS),
        TYPE(TQ1_0), TYPE(TQ2_0), TYPE(F16),  TYPE(BF16),
#endif
    };
    if (argc > 1) {
        csv = fopen(argv[1], "w");
        if (csv == NULL) {
            fprintf(stderr, "cannot write %s\n", argv[1]);
            return 2;
        }
        fputs("type,level,load,tokens,float,fast,change,stderr\n", csv);
    }
    int failures = cmocka_run_group_tests(tests, set_up, tear_down);
    if (csv != NULL && fclose(csv) != 0)
        return 2;
    return failures;
}
