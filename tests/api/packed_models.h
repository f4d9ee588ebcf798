/* Small models with matrices that have a packed form, as files, and what they compute. */
#ifndef TESTS_API_PACKED_MODELS_H
#define TESTS_API_PACKED_MODELS_H

#include "api/tiny_open.h"
#include "gguf/gguf.h"
#include "kernels.h"
#include "support/temp_folder.h"

/* A tensor of a block type with values from [-0.1, 0.1). */
static inline void blocks(gb *b, const char *name, uint32_t type, uint64_t n_in, uint64_t n_out) {
    const slm_dtype_info *info = slm_dtype_get(type);
    size_t row = (size_t)n_in / info->block * info->bytes;
    uint8_t *data = malloc(row * n_out);
    float *x = malloc(n_in * sizeof *x);
    uint32_t state = type + 1;
    if (data == NULL || x == NULL)
        fail_msg("no memory for %s", name);
    for (uint64_t r = 0; r < n_out; r++) {
        for (uint64_t i = 0; i < n_in; i++) {
            state = state * 1664525u + 1013904223u;
            x[i] = ((float)(state >> 8) / (float)(1 << 24) - 0.5f) * 0.2f;
        }
        slm_quantize_weights(type, data + r * row, x, NULL, n_in);
    }
    gb_tensor(b, name, type, 2, (uint64_t[]){n_in, n_out}, data);
    free(data);
    free(x);
}

static inline void tied_embedding(gb *b) {
    blocks(b, "token_embd.weight", SLM_DTYPE_Q6_K, 256, TINY_VOCAB);
}
static inline void down_q4(gb *b) { blocks(b, "blk.0.ffn_down.weight", SLM_DTYPE_Q4_K, 512, 256); }
static inline void up_q3(gb *b) { blocks(b, "blk.0.ffn_up.weight", SLM_DTYPE_Q3_K, 256, 512); }
static inline void key_q4_0(gb *b) { blocks(b, "blk.1.attn_k.weight", SLM_DTYPE_Q4_0, 256, 128); }
static inline void own_output(gb *b) {
    blocks(b, "output.weight", SLM_DTYPE_Q8_0, 256, TINY_VOCAB);
}
static inline void fused_qkv(gb *b) {
    blocks(b, "blk.0.attn_qkv.weight", SLM_DTYPE_Q5_K, 256, 512);
}
static inline void fused_up(gb *b) { blocks(b, "blk.1.ffn_up.weight", SLM_DTYPE_Q2_K, 256, 1024); }

static const tiny_tweak packable[] = {
    {.name = "token_embd.weight", .emit = tied_embedding, .name2 = "blk.0.ffn_down.weight",
     .emit2 = down_q4, .scale = 8},
    {.name = "blk.0.ffn_up.weight", .emit = up_q3, .name2 = "blk.1.attn_k.weight",
     .emit2 = key_q4_0, .extra = own_output, .scale = 8},
    {.name = "blk.0.attn_qkv.weight", .emit = fused_qkv, .name2 = "blk.1.ffn_up.weight",
     .emit2 = fused_up, .arch = "phi3", .scale = 8},
};
#define N_PACKABLE (sizeof packable / sizeof packable[0])

/* Writes a model and returns its size. */
static inline size_t write_model(const tiny_tweak *tweak, const char *path) {
    gb *b = tiny_model(tweak);
    size_t size;
    const uint8_t *bytes = gb_finish(b, &size);
    temp_write(path, bytes, size);
    gb_free(b);
    return size;
}

#define N_IDS 21
/* Logits after each of some tokens, evaluated together. */
typedef float all_logits[N_IDS][TINY_VOCAB];
static inline void evaluate_all(slm_model *m, all_logits out) {
    static const int32_t ids[N_IDS] = {1,  7,  260, 261, 262, 3,  90, 91,  92, 250, 5,
                                       11, 13, 17,  19,  23,  29, 31, 200, 41, 43};
    slm_cache_options co = {.struct_size = sizeof co, .max_logits = N_IDS, .n_threads = 2};
    slm_session *s = NULL;
    OK(slm_session_open(m, &co, &s, &golden_err));
    OK(slm_session_eval(s, ids, N_IDS, SLM_LOGITS_ALL, &golden_err));
    for (size_t i = 0; i < N_IDS; i++) {
        const float *row;
        OK(slm_session_get_logits(s, i, &row, &golden_err));
        memcpy(out[i], row, sizeof out[i]);
    }
    slm_session_close(&s);
}

static inline slm_plan plan_of(const slm_model *m) {
    slm_plan plan = {.struct_size = sizeof plan};
    OK(slm_cache_plan(m, NULL, &plan, &golden_err));
    return plan;
}

static inline slm_model *open_with(const char *path, slm_load load, const char *packed) {
    slm_model_options o = {.struct_size = sizeof o, .load = load, .packed_path = packed};
    slm_model *m = NULL;
    OK(slm_model_open(path, &o, &m, &golden_err));
    return m;
}

#endif
