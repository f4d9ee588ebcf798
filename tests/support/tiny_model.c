#include "support/tiny_model.h"

#include "base/rng.h"
#include "kernels.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const tiny_tweak *tweak;
static const char *arch;
static uint32_t scale;
static uint64_t seed;

static int replaced(gb *b, const char *name) {
    if (tweak == NULL)
        return 0;
    if (tweak->name2 != NULL && strcmp(tweak->name2, name) == 0) {
        tweak->emit2(b);
        return 1;
    }
    if (tweak->name == NULL || strcmp(tweak->name, name) != 0 || tweak->emit == NULL)
        return 0;
    tweak->emit(b);
    return 1;
}

static void u32(gb *b, const char *suffix, uint32_t value) {
    char key[64];
    snprintf(key, sizeof key, "%s.%s", arch, suffix);
    if (!replaced(b, key))
        gb_kv_u32(b, key, value);
}

static void f32(gb *b, const char *suffix, float value) {
    char key[64];
    snprintf(key, sizeof key, "%s.%s", arch, suffix);
    if (!replaced(b, key))
        gb_kv_f32(b, key, value);
}

static void half_matrix(gb *b, const char *name, const uint64_t *ne) {
    size_t n = (size_t)(ne[0] * ne[1]);
    uint16_t *data = malloc(n * sizeof *data);
    slm_rng rng;
    if (data == NULL)
        exit(1);
    slm_rng_seed(&rng, seed++);
    for (size_t i = 0; i < n; i++) {
        float x = 0.2f * (float)(2 * slm_rng_double(&rng) - 1);
        uint32_t bits;
        memcpy(&bits, &x, sizeof bits);
        data[i] = tweak->type == SLM_DTYPE_F16 ? slm_f32_to_f16(x) : (uint16_t)(bits >> 16);
    }
    gb_tensor(b, name, tweak->type, 2, ne, data);
    free(data);
}

static void tensor(gb *b, const char *name, uint32_t n_dims, uint64_t n_in, uint64_t n_out) {
    uint64_t ne[2] = {n_in, n_out};
    if (replaced(b, name))
        return;
    if (tweak != NULL && tweak->name != NULL && strcmp(tweak->name, name) == 0) {
        size_t n = (size_t)(n_dims == 1 ? n_in : n_in * n_out);
        float *data = malloc(n * sizeof *data);
        if (data == NULL)
            exit(1);
        for (size_t i = 0; i < n; i++)
            data[i] = tweak->fill;
        gb_tensor(b, name, 0, n_dims, ne, data);
        free(data);
        return;
    }
    if (n_dims == 2 && tweak != NULL && tweak->type != 0)
        half_matrix(b, name, ne);
    else
        gb_tensor_random(b, name, n_dims, ne, n_dims == 1 ? 1.0f : 0.2f, seed++);
}

static void layer_tensor(gb *b, int layer, const char *suffix, uint32_t n_dims, uint64_t n_in,
                         uint64_t n_out) {
    char name[64];
    snprintf(name, sizeof name, "blk.%d.%s", layer, suffix);
    tensor(b, name, n_dims, n_in, n_out);
}

static void matrix(gb *b, int layer, const char *suffix, uint64_t n_in, uint64_t n_out) {
    layer_tensor(b, layer, suffix, 2, n_in * scale, n_out * scale);
}

static void vector(gb *b, int layer, const char *suffix, uint64_t n) {
    layer_tensor(b, layer, suffix, 1, n * scale, 1);
}

static void attention(gb *b, int i) {
    vector(b, i, "attn_norm.weight", 32);
    if (strcmp(arch, "phi3") == 0) {
        matrix(b, i, "attn_qkv.weight", 32, 64);
    } else {
        matrix(b, i, "attn_q.weight", 32, 32);
        matrix(b, i, "attn_k.weight", 32, 16);
        matrix(b, i, "attn_v.weight", 32, 16);
    }
    if (strcmp(arch, "qwen2") == 0) {
        vector(b, i, "attn_q.bias", 32);
        vector(b, i, "attn_k.bias", 16);
        vector(b, i, "attn_v.bias", 16);
    }
    if (strcmp(arch, "qwen3") == 0) {
        vector(b, i, "attn_q_norm.weight", 16);
        vector(b, i, "attn_k_norm.weight", 16);
    }
    if (strncmp(arch, "bitnet", 6) == 0)
        vector(b, i, "attn_sub_norm.weight", 32);
    matrix(b, i, "attn_output.weight", 32, 32);
}

static void feed_forward(gb *b, int i) {
    vector(b, i, "ffn_norm.weight", 32);
    if (strcmp(arch, "phi3") == 0) {
        matrix(b, i, "ffn_up.weight", 32, 128);
    } else {
        matrix(b, i, "ffn_gate.weight", 32, 64);
        matrix(b, i, "ffn_up.weight", 32, 64);
    }
    if (strncmp(arch, "bitnet", 6) == 0)
        vector(b, i, "ffn_sub_norm.weight", 64);
    matrix(b, i, "ffn_down.weight", 64, 32);
}

static void vocabulary(gb *b, uint32_t n_vocab) {
    static char text[TINY_MAX_VOCAB][8];
    static const char *tokens[TINY_MAX_VOCAB];
    static float scores[TINY_MAX_VOCAB];
    static int32_t types[TINY_MAX_VOCAB];
    static const char *const first[3] = {"<unk>", "<s>", "</s>"};
    static const char *const last[5] = {"\xe2\x96\x81", "a", "b", "ab", ("\xe2\x96\x81" "a")};
    for (uint32_t i = 0; i < n_vocab; i++) {
        tokens[i] = text[i];
        scores[i] = -(float)i;
        types[i] = i == 0 ? 2 : i < 3 ? 3 : i < 259 ? 6 : 1;
        if (i < 3)
            snprintf(text[i], sizeof text[i], "%s", first[i]);
        else if (i < 259)
            snprintf(text[i], sizeof text[i], "<0x%02X>", i - 3);
        else if (i < TINY_VOCAB)
            snprintf(text[i], sizeof text[i], "%s", last[i - 259]);
        else
            snprintf(text[i], sizeof text[i], "~%u", i % 100000);
    }
    if (!replaced(b, "tokenizer.ggml.model"))
        gb_kv_str(b, "tokenizer.ggml.model", "llama");
    if (!replaced(b, "tokenizer.ggml.tokens"))
        gb_kv_arr_str(b, "tokenizer.ggml.tokens", tokens, n_vocab);
    if (!replaced(b, "tokenizer.ggml.scores"))
        gb_kv_arr_f32(b, "tokenizer.ggml.scores", scores, n_vocab);
    if (!replaced(b, "tokenizer.ggml.token_type"))
        gb_kv_arr_i32(b, "tokenizer.ggml.token_type", types, n_vocab);
}

gb *tiny_model(const tiny_tweak *t) {
    gb *b = gb_begin();
    tweak = t;
    arch = t != NULL && t->arch != NULL ? t->arch : "llama";
    scale = t != NULL && t->scale != 0 ? t->scale : 1;
    seed = 1;
    uint32_t n_vocab = t != NULL && t->n_vocab != 0 ? t->n_vocab : TINY_VOCAB;
    if (!replaced(b, "general.architecture"))
        gb_kv_str(b, "general.architecture", arch);
    u32(b, "block_count", 2);
    u32(b, "context_length", TINY_CTX);
    u32(b, "embedding_length", 32 * scale);
    u32(b, "feed_forward_length", 64 * scale);
    u32(b, "attention.head_count", 2);
    u32(b, "attention.head_count_kv", 1);
    f32(b, "attention.layer_norm_rms_epsilon", 1e-5f);
    vocabulary(b, n_vocab);
    if (t != NULL && t->extra != NULL)
        t->extra(b);
    tensor(b, "token_embd.weight", 2, 32 * scale, n_vocab);
    for (int i = 0; i < 2; i++) {
        attention(b, i);
        feed_forward(b, i);
    }
    tensor(b, "output_norm.weight", 1, 32 * scale, 1);
    tweak = NULL;
    return b;
}
