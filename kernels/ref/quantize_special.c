/* File quantisers of the nonlinear and the ternary types. ggml's bytes: see quantize_search.h. */
#include "quantize.h"

#include <math.h>

#define N_TRIALS 7 /* trial scales on each side of the first guess */

/* The entry of slm_iq4_values nearest to v; the upper one of two equally near. */
static uint8_t nearest_value(float v) {
    if (v <= (float)slm_iq4_values[0])
        return 0;
    int upper = 1;
    while (upper < 15 && !(v < (float)slm_iq4_values[upper]))
        upper++;
    float below = v - (float)slm_iq4_values[upper - 1], above = (float)slm_iq4_values[upper] - v;
    return (uint8_t)(below < above ? upper - 1 : upper);
}

/* The scale for 32 values with the least weighted squared error among the trials. */
static float search_scale(const float x[32], const float weights[32]) {
    float max = 0, magnitude = 0;
    for (int i = 0; i < 32; i++)
        if (fabsf(x[i]) > magnitude) {
            magnitude = fabsf(x[i]);
            max = x[i];
        }
    if (magnitude < SLM_GROUP_MIN)
        return 0.0f;
    const float first = (float)slm_iq4_values[0];
    float d = 0, best = 0;
    for (int trial = -N_TRIALS - 1; trial <= N_TRIALS; trial++) { /* the first one is a guess */
        int guess = trial < -N_TRIALS;
        float inverse = guess ? 1 / (-max / first) : ((float)trial + first) / max;
        float xq = 0, qq = 0;
        for (int i = 0; i < 32; i++) {
            float q = (float)slm_iq4_values[nearest_value(inverse * x[i])];
            xq += weights[i] * q * x[i];
            qq += weights[i] * q * q;
        }
        if (guess) {
            d = qq > 0 ? xq / qq : 0.0f;
            best = d * xq;
        } else if (qq > 0 && xq * xq > best * qq) {
            d = xq / qq;
            best = d * xq;
        }
    }
    return d;
}

/* Weights of n values that share a variance. */
static void error_weights(float *weights, int n, const float *x, const float *importance,
                          float variance) {
    for (int i = 0; i < n; i++)
        weights[i] =
            importance != NULL ? importance[i] * sqrtf(variance + x[i] * x[i]) : x[i] * x[i];
}

static float variance_of(int n, const float *x) {
    float sum = 0;
    for (int i = 0; i < n; i++)
        sum += x[i] * x[i];
    return sum * (2.0f / (float)n);
}

static void pack_values(uint8_t qs[16], const float x[32], float inverse) {
    for (int i = 0; i < 16; i++)
        qs[i] = (uint8_t)(nearest_value(inverse * x[i]) | nearest_value(inverse * x[i + 16]) << 4);
}

SLM_QUANTIZE(iq4_nl) {
    slm_block_iq4_nl *b = blocks;
    for (size_t i = 0; i + 32 <= k; i += 32, b++) {
        float weights[32];
        error_weights(weights, 32, x + i, importance != NULL ? importance + i : NULL,
                      variance_of(32, x + i));
        float d = search_scale(x + i, weights);
        slm_store_u16(b->d, slm_f32_to_f16(d));
        pack_values(b->qs, x + i, d != 0.0f ? 1 / d : 0.0f);
    }
}

SLM_QUANTIZE(iq4_xs) {
    slm_block_iq4_xs *b = blocks;
    for (size_t done = 0; done + 256 <= k; done += 256, x += 256, b++) {
        float scales[8], weights[256], max = 0;
        error_weights(weights, 256, x, importance != NULL ? importance + done : NULL,
                      variance_of(256, x));
        for (int s = 0; s < 8; s++) {
            scales[s] = search_scale(x + 32 * s, weights + 32 * s);
            max = fabsf(scales[s]) > fabsf(max) ? scales[s] : max;
        }
        float d = -max / 32, inverse = d != 0.0f ? 1 / d : 0.0f;
        unsigned high = 0;
        slm_store_u16(b->d, slm_f32_to_f16(d));
        memset(b->scales_l, 0, sizeof b->scales_l);
        for (int s = 0; s < 8; s++) {
            int l = slm_clamp_int(slm_nearest(inverse * scales[s]), -32, 31);
            float scale = d * (float)l;
            pack_values(b->qs + 16 * s, x + 32 * s, scale != 0.0f ? 1 / scale : 0.0f);
            l += 32;
            b->scales_l[s / 2] |= (uint8_t)((l & 15) << (4 * (s % 2)));
            high |= (unsigned)(l >> 4) << (2 * s);
        }
        slm_store_u16(b->scales_h, (uint16_t)high);
    }
}

/* d = max|x|; trits[i] = round(x / d) + 1. */
static float ternary(uint8_t trits[256], const float *x) {
    float max = 0;
    for (int i = 0; i < 256; i++)
        max = fabsf(x[i]) > max ? fabsf(x[i]) : max;
    float inverse = max != 0.0f ? 1.0f / max : 0.0f;
    for (int i = 0; i < 256; i++)
        trits[i] = (uint8_t)(slm_clamp_int(slm_nearest_away(x[i] * inverse), -1, 1) + 1);
    return max;
}

/* Five trits, the first the most significant, as a fraction of 243 scaled to 256 and rounded up,
 * so that multiplications by 3 bring the digits out of the top. */
static uint8_t pack_trits(const uint8_t *trits, int n, int stride) {
    unsigned v = 0;
    for (int i = 0; i < 5; i++)
        v = 3 * v + (i < n ? trits[i * stride] : 0);
    return (uint8_t)((v * 256 + 242) / 243);
}

SLM_QUANTIZE(tq1_0) {
    slm_block_tq1_0 *b = blocks;
    (void)importance;
    for (; k >= 256; k -= 256, x += 256, b++) {
        uint8_t trits[256];
        slm_store_u16(b->d, slm_f32_to_f16(ternary(trits, x)));
        for (int i = 0; i < 32; i++)
            b->qs[i] = pack_trits(trits + i, 5, 32);
        for (int i = 0; i < 16; i++)
            b->qs[32 + i] = pack_trits(trits + 160 + i, 5, 16);
        for (int i = 0; i < 4; i++)
            b->qh[i] = pack_trits(trits + 240 + i, 4, 4);
    }
}

SLM_QUANTIZE(tq2_0) {
    slm_block_tq2_0 *b = blocks;
    (void)importance;
    for (; k >= 256; k -= 256, x += 256, b++) {
        uint8_t trits[256];
        slm_store_u16(b->d, slm_f32_to_f16(ternary(trits, x)));
        for (int i = 0; i < 64; i++) {
            const uint8_t *t = trits + 128 * (i / 32) + i % 32;
            b->qs[i] = (uint8_t)(t[0] | t[32] << 2 | t[64] << 4 | t[96] << 6);
        }
    }
}
