#include "quantize_mix.h"

#include <string.h>
#include <strings.h>

enum { /* general.file_type */
    F32 = 0, F16 = 1, Q4_0 = 2, Q4_1 = 3, Q8_0 = 7, Q5_0 = 8, Q5_1 = 9, Q2_K = 10, Q3_K_S = 11,
    Q3_K_M = 12, Q3_K_L = 13, Q4_K_S = 14, Q4_K_M = 15, Q5_K_S = 16, Q5_K_M = 17, Q6_K = 18,
    IQ4_NL = 25, IQ4_XS = 30, BF16 = 32, TQ1_0 = 36, TQ2_0 = 37
};

static const slm_mix mixes[] = {
    {"TQ1_0", TQ1_0, SLM_DTYPE_TQ1_0},    {"TQ2_0", TQ2_0, SLM_DTYPE_TQ2_0},
    {"Q2_K", Q2_K, SLM_DTYPE_Q2_K},       {"Q3_K_S", Q3_K_S, SLM_DTYPE_Q3_K},
    {"Q3_K_M", Q3_K_M, SLM_DTYPE_Q3_K},   {"Q3_K_L", Q3_K_L, SLM_DTYPE_Q3_K},
    {"IQ4_XS", IQ4_XS, SLM_DTYPE_IQ4_XS}, {"IQ4_NL", IQ4_NL, SLM_DTYPE_IQ4_NL},
    {"Q4_0", Q4_0, SLM_DTYPE_Q4_0},       {"Q4_1", Q4_1, SLM_DTYPE_Q4_1},
    {"Q4_K_S", Q4_K_S, SLM_DTYPE_Q4_K},   {"Q4_K_M", Q4_K_M, SLM_DTYPE_Q4_K},
    {"Q5_0", Q5_0, SLM_DTYPE_Q5_0},       {"Q5_1", Q5_1, SLM_DTYPE_Q5_1},
    {"Q5_K_S", Q5_K_S, SLM_DTYPE_Q5_K},   {"Q5_K_M", Q5_K_M, SLM_DTYPE_Q5_K},
    {"Q6_K", Q6_K, SLM_DTYPE_Q6_K},       {"Q8_0", Q8_0, SLM_DTYPE_Q8_0},
    {"F16", F16, SLM_DTYPE_F16},          {"BF16", BF16, SLM_DTYPE_BF16},
    {"F32", F32, SLM_DTYPE_F32},
};
#define N_MIXES (sizeof mixes / sizeof *mixes)

const slm_mix *slm_mix_find(const char *name) {
    static const char *const aliases[][2] = {
        {"Q3_K", "Q3_K_M"}, {"Q4_K", "Q4_K_M"}, {"Q5_K", "Q5_K_M"}};
    for (size_t i = 0; i < sizeof aliases / sizeof *aliases; i++)
        if (strcasecmp(name, aliases[i][0]) == 0)
            name = aliases[i][1];
    for (size_t i = 0; i < N_MIXES; i++)
        if (strcasecmp(name, mixes[i].name) == 0)
            return &mixes[i];
    return NULL;
}

const slm_mix *slm_mix_at(size_t index) { return index < N_MIXES ? &mixes[index] : NULL; }

/* ---------------------------------------------------------------- names ---------------------- */

static int ends_with(slm_str name, const char *end) {
    size_t n = strlen(end);
    return name.len >= n && memcmp(name.ptr + name.len - n, end, n) == 0;
}

static int is(slm_str name, const char *text) {
    return name.len == strlen(text) && ends_with(name, text);
}

/* N of "blk.N.rest"; 0 for other names. */
static uint32_t layer_of(slm_str name) {
    uint32_t layer = 0;
    if (name.len < 5 || memcmp(name.ptr, "blk.", 4) != 0)
        return 0;
    for (size_t i = 4; i < name.len && name.ptr[i] >= '0' && name.ptr[i] <= '9'; i++)
        layer = layer < 100000 ? 10 * layer + (uint32_t)(name.ptr[i] - '0') : layer;
    return layer;
}

/* ---------------------------------------------------------------- rules ---------------------- */

/* The layers that the M mixes spend more on: the first and last eighth, and every third between. */
static int more_bits(uint32_t i, uint32_t n) {
    return i < n / 8 || i >= 7 * n / 8 || (i - n / 8) % 3 == 2;
}

static uint32_t attn_v_type(const slm_mix *mix, const slm_mix_model *m, uint32_t layer) {
    int shared = m->n_kv_heads > 0 && m->n_heads / m->n_kv_heads >= 4;
    switch (mix->file_type) {
    case Q2_K:
        return shared ? SLM_DTYPE_Q4_K : SLM_DTYPE_Q3_K;
    case Q3_K_M:
        return layer < 2 ? SLM_DTYPE_Q5_K : SLM_DTYPE_Q4_K;
    case Q3_K_L:
        return SLM_DTYPE_Q5_K;
    case Q4_K_S:
        return layer < 4 ? SLM_DTYPE_Q5_K : mix->base;
    case Q4_K_M:
    case Q5_K_M:
        return more_bits(layer, m->n_layers) ? SLM_DTYPE_Q6_K : mix->base;
    case IQ4_NL:
    case IQ4_XS:
        return shared ? SLM_DTYPE_Q5_K : mix->base;
    default:
        return mix->base;
    }
}

static uint32_t old_qkv_type(const slm_mix *mix) {
    switch (mix->file_type) {
    case Q3_K_M:
    case Q3_K_L:
        return SLM_DTYPE_Q4_K;
    case Q4_K_M:
        return SLM_DTYPE_Q5_K;
    case Q5_K_M:
        return SLM_DTYPE_Q6_K;
    default:
        return mix->base;
    }
}

static uint32_t ffn_down_type(const slm_mix *mix, const slm_mix_model *m, uint32_t layer) {
    switch (mix->file_type) {
    case Q2_K:
        return SLM_DTYPE_Q3_K;
    case Q3_K_M:
        return layer < m->n_layers / 16 ? SLM_DTYPE_Q5_K : SLM_DTYPE_Q4_K;
    case Q3_K_L:
        return SLM_DTYPE_Q5_K;
    case Q4_K_S:
    case IQ4_NL:
    case IQ4_XS:
        return layer < m->n_layers / 8 ? SLM_DTYPE_Q5_K : mix->base;
    case Q4_K_M:
    case Q5_K_M:
        return more_bits(layer, m->n_layers) ? SLM_DTYPE_Q6_K : mix->base;
    default:
        return mix->base;
    }
}

static uint32_t attn_output_type(const slm_mix *mix) {
    switch (mix->file_type) {
    case Q2_K:
        return SLM_DTYPE_Q3_K;
    case Q3_K_M:
        return SLM_DTYPE_Q4_K;
    case Q3_K_L:
        return SLM_DTYPE_Q5_K;
    default:
        return mix->base;
    }
}

static int divides(uint32_t type, uint64_t n_columns) {
    return n_columns % slm_dtype_get(type)->block == 0;
}

/* The output matrix is spared: its errors reach every logit directly. */
static uint32_t output_type(const slm_mix *mix, uint64_t n_columns) {
    if (mix->base == SLM_DTYPE_Q8_0 || !divides(mix->base, n_columns))
        return SLM_DTYPE_Q8_0;
    return SLM_DTYPE_Q6_K;
}

/* Rows that hold no whole number of blocks get a type of the next better kind with shorter ones. */
static uint32_t fit(uint32_t type, uint64_t n_columns) {
    if (divides(type, n_columns))
        return type;
    switch (type) {
    case SLM_DTYPE_Q2_K:
    case SLM_DTYPE_Q3_K:
    case SLM_DTYPE_TQ1_0:
    case SLM_DTYPE_TQ2_0:
        type = SLM_DTYPE_Q4_0;
        break;
    case SLM_DTYPE_IQ4_XS:
        type = SLM_DTYPE_IQ4_NL;
        break;
    case SLM_DTYPE_Q4_K:
        type = SLM_DTYPE_Q5_0;
        break;
    case SLM_DTYPE_Q5_K:
        type = SLM_DTYPE_Q5_1;
        break;
    case SLM_DTYPE_Q6_K:
        type = SLM_DTYPE_Q8_0;
        break;
    default:
        break;
    }
    return divides(type, n_columns) ? type : SLM_DTYPE_F16;
}

uint32_t slm_mix_type(const slm_mix *mix, const slm_mix_model *m, slm_str name, uint32_t n_dims,
                      uint64_t n_columns) {
    uint32_t type = mix->base, layer = layer_of(name);
    if (n_dims < 2 || !ends_with(name, "weight") || ends_with(name, "_norm.weight") ||
        ends_with(name, "ffn_gate_inp.weight") || ends_with(name, "ssm_conv1d.weight"))
        return SLM_DTYPE_LIMIT;
    if (slm_dtype_get(mix->base)->block == 1) /* F32, F16, BF16: all alike */
        return type;
    if (is(name, "output.weight") || (m->tied && is(name, "token_embd.weight")))
        type = output_type(mix, n_columns);
    else if (is(name, "token_embd.weight"))
        type = mix->file_type == TQ1_0 || mix->file_type == TQ2_0 ? SLM_DTYPE_Q4_K : mix->base;
    else if (ends_with(name, ".attn_qkv.weight") && m->old_qkv)
        type = old_qkv_type(mix);
    else if (ends_with(name, ".attn_v.weight") || ends_with(name, ".attn_qkv.weight"))
        type = attn_v_type(mix, m, layer);
    else if (ends_with(name, ".ffn_down.weight"))
        type = ffn_down_type(mix, m, layer);
    else if (ends_with(name, ".attn_output.weight"))
        type = attn_output_type(mix);
    return fit(type, n_columns);
}
