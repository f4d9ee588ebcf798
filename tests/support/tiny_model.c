#include "support/tiny_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const tiny_tweak *tweak;
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

static void u32(gb *b, const char *key, uint32_t value) {
    if (!replaced(b, key))
        gb_kv_u32(b, key, value);
}

static void f32(gb *b, const char *key, float value) {
    if (!replaced(b, key))
        gb_kv_f32(b, key, value);
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
    gb_tensor_random(b, name, n_dims, ne, n_dims == 1 ? 1.0f : 0.2f, seed++);
}

static void layer_tensor(gb *b, int layer, const char *suffix, uint32_t n_dims, uint64_t n_in,
                         uint64_t n_out) {
    char name[64];
    snprintf(name, sizeof name, "blk.%d.%s.weight", layer, suffix);
    tensor(b, name, n_dims, n_in, n_out);
}

static void vocabulary(gb *b) {
    static char text[TINY_VOCAB][8];
    static const char *tokens[TINY_VOCAB];
    static float scores[TINY_VOCAB];
    static int32_t types[TINY_VOCAB];
    static const char *const first[3] = {"<unk>", "<s>", "</s>"};
    static const char *const last[5] = {"\xe2\x96\x81", "a", "b", "ab", ("\xe2\x96\x81" "a")};
    for (uint32_t i = 0; i < TINY_VOCAB; i++) {
        tokens[i] = text[i];
        scores[i] = -(float)i;
        types[i] = i == 0 ? 2 : i < 3 ? 3 : i < 259 ? 6 : 1;
        if (i < 3)
            snprintf(text[i], sizeof text[i], "%s", first[i]);
        else if (i < 259)
            snprintf(text[i], sizeof text[i], "<0x%02X>", i - 3);
        else
            snprintf(text[i], sizeof text[i], "%s", last[i - 259]);
    }
    if (!replaced(b, "tokenizer.ggml.model"))
        gb_kv_str(b, "tokenizer.ggml.model", "llama");
    if (!replaced(b, "tokenizer.ggml.tokens"))
        gb_kv_arr_str(b, "tokenizer.ggml.tokens", tokens, TINY_VOCAB);
    if (!replaced(b, "tokenizer.ggml.scores"))
        gb_kv_arr_f32(b, "tokenizer.ggml.scores", scores, TINY_VOCAB);
    if (!replaced(b, "tokenizer.ggml.token_type"))
        gb_kv_arr_i32(b, "tokenizer.ggml.token_type", types, TINY_VOCAB);
}

gb *tiny_model(const tiny_tweak *t) {
    gb *b = gb_begin();
    tweak = t;
    seed = 1;
    if (!replaced(b, "general.architecture"))
        gb_kv_str(b, "general.architecture", "llama");
    u32(b, "llama.block_count", 2);
    u32(b, "llama.context_length", TINY_CTX);
    u32(b, "llama.embedding_length", 32);
    u32(b, "llama.feed_forward_length", 64);
    u32(b, "llama.attention.head_count", 2);
    u32(b, "llama.attention.head_count_kv", 1);
    f32(b, "llama.attention.layer_norm_rms_epsilon", 1e-5f);
    vocabulary(b);
    if (t != NULL && t->extra != NULL)
        t->extra(b);
    tensor(b, "token_embd.weight", 2, 32, TINY_VOCAB);
    for (int i = 0; i < 2; i++) {
        layer_tensor(b, i, "attn_norm", 1, 32, 1);
        layer_tensor(b, i, "attn_q", 2, 32, 32);
        layer_tensor(b, i, "attn_k", 2, 32, 16);
        layer_tensor(b, i, "attn_v", 2, 32, 16);
        layer_tensor(b, i, "attn_output", 2, 32, 32);
        layer_tensor(b, i, "ffn_norm", 1, 32, 1);
        layer_tensor(b, i, "ffn_gate", 2, 32, 64);
        layer_tensor(b, i, "ffn_up", 2, 32, 64);
        layer_tensor(b, i, "ffn_down", 2, 64, 32);
    }
    tensor(b, "output_norm.weight", 1, 32, 1);
    tweak = NULL;
    return b;
}
