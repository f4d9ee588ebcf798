/* File quantisers: plain floats, the types of 32, and the dispatch. ggml's bytes: see
 * quantize_search.h. */
#include "quantize.h"

#include <float.h>
#include <math.h>

SLM_QUANTIZE(f32) {
    (void)importance;
    memcpy(blocks, x, k * sizeof *x);
}

SLM_QUANTIZE(f16) {
    uint8_t *p = blocks;
    (void)importance;
    for (size_t i = 0; i < k; i++)
        slm_store_u16(p + 2 * i, slm_f32_to_f16(x[i]));
}

SLM_QUANTIZE(bf16) {
    uint8_t *p = blocks;
    (void)importance;
    for (size_t i = 0; i < k; i++)
        slm_store_u16(p + 2 * i, slm_f32_to_bf16(x[i]));
}

static float mean_square(const float *x, size_t k) {
    float sum = 0;
    for (size_t i = 0; i < k; i++)
        sum += x[i] * x[i];
    return sum / (float)k;
}

static void importance_weights(float weights[32], const float *x, const float *importance,
                               float variance) {
    for (int i = 0; i < 32; i++)
        weights[i] = importance[i] * sqrtf(variance + x[i] * x[i]);
}

static void pack_nibbles(uint8_t qs[16], const uint8_t levels[32]) {
    for (int i = 0; i < 16; i++)
        qs[i] = (uint8_t)((levels[i] & 15) | (levels[i + 16] & 15) << 4);
}

static void pack_fifth_bits(uint8_t qh[4], const uint8_t levels[32]) {
    memset(qh, 0, 4);
    for (int i = 0; i < 32; i++)
        qh[i / 8] |= (uint8_t)((levels[i] >> 4 & 1) << (i % 8));
}

/* Levels 0..2 n_max - 1 around n_max; the value of largest magnitude becomes -n_max. */
static float quantize_signed(uint8_t levels[32], int n_max, const float *x, const float *importance,
                             float variance) {
    if (importance != NULL) {
        float weights[32];
        importance_weights(weights, x, importance, variance);
        return slm_search_signed(32, n_max, x, weights, levels);
    }
    float max = 0, magnitude = 0;
    for (int i = 0; i < 32; i++)
        if (magnitude < fabsf(x[i])) {
            magnitude = fabsf(x[i]);
            max = x[i];
        }
    float d = max / (float)-n_max, inverse = d != 0.0f ? 1.0f / d : 0.0f;
    for (int i = 0; i < 32; i++) {
        float v = x[i] * inverse + ((float)n_max + 0.5f);
        levels[i] = (uint8_t)slm_clamp_int(slm_truncate(v), 0, 2 * n_max - 1);
    }
    return d;
}

/* Levels 0..n_max above the minimum. */
static float quantize_min(uint8_t levels[32], float *out_min, int n_max, const float *x,
                          const float *importance, float variance) {
    if (importance != NULL) {
        static const slm_search_steps steps = {-0.9f, 0.05f, 36, 0};
        float weights[32], min;
        importance_weights(weights, x, importance, variance);
        float d = slm_search_min(32, n_max, x, weights, &steps, levels, &min);
        *out_min = -min;
        return d;
    }
    float min = FLT_MAX, max = -FLT_MAX;
    for (int i = 0; i < 32; i++) {
        min = x[i] < min ? x[i] : min;
        max = x[i] > max ? x[i] : max;
    }
    float d = (max - min) / (float)n_max, inverse = d != 0.0f ? 1.0f / d : 0.0f;
    for (int i = 0; i < 32; i++) {
        float v = (x[i] - min) * inverse + 0.5f;
        levels[i] = (uint8_t)slm_clamp_int(slm_truncate(v), 0, n_max);
    }
    *out_min = min;
    return d;
}

SLM_QUANTIZE(q4_0) {
    slm_block_q4_0 *b = blocks;
    float variance = mean_square(x, k);
    for (size_t i = 0; i + 32 <= k; i += 32, b++) {
        uint8_t levels[32];
        const float *weight = importance != NULL ? importance + i : NULL;
        float d = quantize_signed(levels, 8, x + i, weight, variance);
        slm_store_u16(b->d, slm_f32_to_f16(d));
        pack_nibbles(b->qs, levels);
    }
}

SLM_QUANTIZE(q4_1) {
    slm_block_q4_1 *b = blocks;
    float variance = mean_square(x, k);
    for (size_t i = 0; i + 32 <= k; i += 32, b++) {
        uint8_t levels[32];
        const float *weight = importance != NULL ? importance + i : NULL;
        float min, d = quantize_min(levels, &min, 15, x + i, weight, variance);
        slm_store_u16(b->d, slm_f32_to_f16(d));
        slm_store_u16(b->m, slm_f32_to_f16(min));
        pack_nibbles(b->qs, levels);
    }
}

SLM_QUANTIZE(q5_0) {
    slm_block_q5_0 *b = blocks;
    float variance = mean_square(x, k);
    for (size_t i = 0; i + 32 <= k; i += 32, b++) {
        uint8_t levels[32];
        const float *weight = importance != NULL ? importance + i : NULL;
        float d = quantize_signed(levels, 16, x + i, weight, variance);
        slm_store_u16(b->d, slm_f32_to_f16(d));
        pack_fifth_bits(b->qh, levels);
        pack_nibbles(b->qs, levels);
    }
}

SLM_QUANTIZE(q5_1) {
    slm_block_q5_1 *b = blocks;
    float variance = mean_square(x, k);
    for (size_t i = 0; i + 32 <= k; i += 32, b++) {
        uint8_t levels[32];
        const float *weight = importance != NULL ? importance + i : NULL;
        float min, d = quantize_min(levels, &min, 31, x + i, weight, variance);
        slm_store_u16(b->d, slm_f32_to_f16(d));
        slm_store_u16(b->m, slm_f32_to_f16(min));
        pack_fifth_bits(b->qh, levels);
        pack_nibbles(b->qs, levels);
    }
}

SLM_QUANTIZE(q8_0) {
    slm_block_q8_0 *b = blocks;
    (void)importance;
    for (size_t i = 0; i + 32 <= k; i += 32, b++) {
        float max = 0;
        for (int j = 0; j < 32; j++)
            max = fabsf(x[i + (size_t)j]) > max ? fabsf(x[i + (size_t)j]) : max;
        float d = max / 127.0f, inverse = d != 0.0f ? 1.0f / d : 0.0f;
        slm_store_u16(b->d, slm_f32_to_f16(d));
        for (int j = 0; j < 32; j++)
            b->qs[j] =
                (int8_t)slm_clamp_int(slm_nearest_away(x[i + (size_t)j] * inverse), -127, 127);
    }
}

int slm_quantize_weights(uint32_t type, void *blocks, const float *x, const float *importance,
                         size_t k) {
    typedef void (*quantize_fn)(void *, const float *, const float *, size_t);
    static const quantize_fn table[SLM_DTYPE_LIMIT] = {
        [SLM_DTYPE_F32] = slm_quantize_f32,       [SLM_DTYPE_F16] = slm_quantize_f16,
        [SLM_DTYPE_BF16] = slm_quantize_bf16,     [SLM_DTYPE_Q4_0] = slm_quantize_q4_0,
        [SLM_DTYPE_Q4_1] = slm_quantize_q4_1,     [SLM_DTYPE_Q5_0] = slm_quantize_q5_0,
        [SLM_DTYPE_Q5_1] = slm_quantize_q5_1,     [SLM_DTYPE_Q8_0] = slm_quantize_q8_0,
        [SLM_DTYPE_Q2_K] = slm_quantize_q2_k,     [SLM_DTYPE_Q3_K] = slm_quantize_q3_k,
        [SLM_DTYPE_Q4_K] = slm_quantize_q4_k,     [SLM_DTYPE_Q5_K] = slm_quantize_q5_k,
        [SLM_DTYPE_Q6_K] = slm_quantize_q6_k,     [SLM_DTYPE_IQ4_NL] = slm_quantize_iq4_nl,
        [SLM_DTYPE_IQ4_XS] = slm_quantize_iq4_xs, [SLM_DTYPE_TQ1_0] = slm_quantize_tq1_0,
        [SLM_DTYPE_TQ2_0] = slm_quantize_tq2_0,
    };
    if (type >= SLM_DTYPE_LIMIT || table[type] == NULL)
        return 0;
    table[type](blocks, x, importance, k);
    return 1;
}
