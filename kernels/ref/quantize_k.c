/* File quantisers of the K types. ggml's bytes: see quantize_search.h. After the scales of the
 * sub-blocks are fixed, the levels are computed anew with the scales as they will be decoded. */
#include "quantize.h"

#include <math.h>

/* weights[i] = importance[i] * sqrt(variance + x^2); returns their sum. */
static float importance_weights(float *weights, int n, const float *x, const float *importance,
                                float variance) {
    float sum = 0;
    for (int i = 0; i < n; i++) {
        weights[i] = importance[i] * sqrtf(variance + x[i] * x[i]);
        sum += weights[i];
    }
    return sum;
}

static float sum_squares(int n, const float *x) {
    float sum = 0;
    for (int i = 0; i < n; i++)
        sum += x[i] * x[i];
    return sum;
}

static float largest(int n, const float *x) {
    float max = 0;
    for (int i = 0; i < n; i++)
        max = x[i] > max ? x[i] : max;
    return max;
}

/* The 2-bit planes of Q2_K and Q3_K. */
static void pack_two_bits(uint8_t qs[64], const uint8_t levels[256]) {
    for (int i = 0; i < 64; i++) {
        const uint8_t *l = levels + 128 * (i / 32) + i % 32;
        qs[i] = (uint8_t)((l[0] & 3) | (l[32] & 3) << 2 | (l[64] & 3) << 4 | (l[96] & 3) << 6);
    }
}

static void pack_four_bits(uint8_t qs[128], const uint8_t levels[256]) {
    for (int i = 0; i < 128; i++) {
        const uint8_t *l = levels + 64 * (i / 32) + i % 32;
        qs[i] = (uint8_t)((l[0] & 15) | (l[32] & 15) << 4);
    }
}

/* Levels of one sub-block for the scale and minimum as decoded; d 0 leaves them as they are. */
static void levels_min(uint8_t *levels, int n, int n_max, const float *x, float d, float min) {
    if (d == 0.0f)
        return;
    for (int i = 0; i < n; i++)
        levels[i] = (uint8_t)slm_clamp_int(slm_nearest((x[i] + min) / d), 0, n_max);
}

static void levels_signed(uint8_t levels[16], int n_max, const float *x, float d) {
    if (d == 0.0f)
        return;
    for (int i = 0; i < 16; i++) {
        int l = slm_clamp_int(slm_nearest(x[i] / d), -n_max, n_max - 1);
        levels[i] = (uint8_t)(l + n_max);
    }
}

SLM_QUANTIZE(q2_k) {
    static const slm_search_steps plain = {-0.5f, 0.1f, 15, 1}, weighted = {-0.9f, 0.05f, 36, 0};
    slm_block_q2_k *b = blocks;
    for (size_t done = 0; done + 256 <= k; done += 256, x += 256, b++) {
        uint8_t levels[256], scale_levels[16], min_levels[16];
        float scales[16], mins[16], weights[16], sums[16], d, dmin;
        float variance = sum_squares(256, x) / 256;
        for (int s = 0; s < 16; s++) {
            const float *xs = x + 16 * s;
            if (importance != NULL)
                sums[s] = importance_weights(weights, 16, xs, importance + done + 16 * s, variance);
            else
                for (int i = 0; i < 16; i++)
                    weights[i] = fabsf(xs[i]);
            scales[s] = slm_search_min(16, 3, xs, weights, importance != NULL ? &weighted : &plain,
                                       levels + 16 * s, &mins[s]);
        }
        if (importance != NULL) {
            d = slm_search_positive(16, 15, scales, sums, scale_levels);
            dmin = slm_search_positive(16, 15, mins, sums, min_levels);
        } else {
            float max_scale = largest(16, scales), max_min = largest(16, mins);
            float inverse_scale = max_scale > 0 ? 15.0f / max_scale : 0.0f;
            float inverse_min = max_min > 0 ? 15.0f / max_min : 0.0f;
            for (int s = 0; s < 16; s++) {
                int scale = slm_nearest(inverse_scale * scales[s]);
                int min = slm_nearest(inverse_min * mins[s]);
                scale_levels[s] = (uint8_t)slm_clamp_int(scale, 0, 15);
                min_levels[s] = (uint8_t)slm_clamp_int(min, 0, 15);
            }
            d = max_scale / 15.0f;
            dmin = max_min / 15.0f;
        }
        slm_store_u16(b->d, slm_f32_to_f16(d));
        slm_store_u16(b->dmin, slm_f32_to_f16(dmin));
        d = slm_load_half(b->d);
        dmin = slm_load_half(b->dmin);
        for (int s = 0; s < 16; s++) {
            b->scales[s] = (uint8_t)(scale_levels[s] | min_levels[s] << 4);
            levels_min(levels + 16 * s, 16, 3, x + 16 * s, d * (float)scale_levels[s],
                       dmin * (float)min_levels[s]);
        }
        pack_two_bits(b->qs, levels);
    }
}

SLM_QUANTIZE(q3_k) {
    slm_block_q3_k *b = blocks;
    for (size_t done = 0; done + 256 <= k; done += 256, x += 256, b++) {
        uint8_t levels[256], scale_levels[16] = {0};
        float scales[16], weights[16], sums[16], d = 0;
        float variance = 2 * sum_squares(256, x) / 256;
        for (int s = 0; s < 16; s++) {
            const float *xs = x + 16 * s;
            if (importance != NULL) {
                sums[s] = importance_weights(weights, 16, xs, importance + done + 16 * s, variance);
                scales[s] = slm_search_signed(16, 4, xs, weights, levels + 16 * s);
            } else {
                scales[s] = slm_search_signed_descent(16, 4, xs, levels + 16 * s);
            }
        }
        if (importance != NULL) {
            d = slm_search_signed(16, 32, scales, sums, scale_levels);
        } else {
            float max = 0;
            for (int s = 0; s < 16; s++)
                max = fabsf(scales[s]) > fabsf(max) ? scales[s] : max;
            if (max != 0.0f) {
                float inverse = -32.0f / max;
                for (int s = 0; s < 16; s++) {
                    int l = slm_clamp_int(slm_nearest(inverse * scales[s]), -32, 31);
                    scale_levels[s] = (uint8_t)(l + 32);
                }
                d = 1 / inverse;
            }
        }
        slm_store_u16(b->d, slm_f32_to_f16(d));
        d = slm_load_half(b->d);
        memset(b->scales, 0, sizeof b->scales);
        for (int s = 0; s < 16; s++) {
            int l = scale_levels[s];
            b->scales[s % 8] |= (uint8_t)((l & 15) << (4 * (s / 8)));
            b->scales[8 + s % 4] |= (uint8_t)((l >> 4) << (2 * (s / 4)));
            levels_signed(levels + 16 * s, 4, x + 16 * s, d * (float)(l - 32));
        }
        memset(b->hmask, 0, sizeof b->hmask);
        for (int i = 0; i < 256; i++)
            b->hmask[i % 32] |= (uint8_t)((levels[i] >> 2 & 1) << (i / 32));
        pack_two_bits(b->qs, levels);
    }
}

/* What Q4_K and Q5_K have in common: scales, minima, and levels 0..n_max. */
static void quantize_sub_blocks(uint8_t d_bytes[2], uint8_t dmin_bytes[2], uint8_t packed[12],
                                uint8_t levels[256], int n_max, const slm_search_steps *plain,
                                const float *x, const float *importance) {
    static const slm_search_steps weighted = {-0.9f, 0.05f, 36, 0};
    uint8_t scale_levels[8], min_levels[8];
    float scales[8], mins[8], weights[32], sums[8], d, dmin;
    float variance = 2 * sum_squares(256, x) / 256;
    for (int s = 0; s < 8; s++) {
        const float *xs = x + 32 * s;
        if (importance != NULL) {
            sums[s] = importance_weights(weights, 32, xs, importance + 32 * s, variance);
        } else {
            float rms = sqrtf(sum_squares(32, xs) / 32);
            for (int i = 0; i < 32; i++)
                weights[i] = rms + fabsf(xs[i]);
        }
        scales[s] = slm_search_min(32, n_max, xs, weights, importance != NULL ? &weighted : plain,
                                   levels + 32 * s, &mins[s]);
    }
    if (importance != NULL) {
        d = slm_search_positive(8, 63, scales, sums, scale_levels);
        dmin = slm_search_positive(8, 63, mins, sums, min_levels);
    } else {
        float max_scale = largest(8, scales), max_min = largest(8, mins);
        float inverse_scale = max_scale > 0 ? 63.0f / max_scale : 0.0f;
        float inverse_min = max_min > 0 ? 63.0f / max_min : 0.0f;
        for (int s = 0; s < 8; s++) {
            int scale = slm_nearest(inverse_scale * scales[s]);
            int min = slm_nearest(inverse_min * mins[s]);
            scale_levels[s] = (uint8_t)slm_clamp_int(scale, 0, 63);
            min_levels[s] = (uint8_t)slm_clamp_int(min, 0, 63);
        }
        d = max_scale / 63.0f;
        dmin = max_min / 63.0f;
    }
    for (int s = 0; s < 4; s++) {
        packed[s] = (uint8_t)(scale_levels[s] | (scale_levels[s + 4] >> 4) << 6);
        packed[s + 4] = (uint8_t)(min_levels[s] | (min_levels[s + 4] >> 4) << 6);
        packed[s + 8] = (uint8_t)((scale_levels[s + 4] & 15) | (min_levels[s + 4] & 15) << 4);
    }
    slm_store_u16(d_bytes, slm_f32_to_f16(d));
    slm_store_u16(dmin_bytes, slm_f32_to_f16(dmin));
    d = slm_load_half(d_bytes);
    dmin = slm_load_half(dmin_bytes);
    for (int s = 0; s < 8; s++)
        levels_min(levels + 32 * s, 32, n_max, x + 32 * s, d * (float)scale_levels[s],
                   dmin * (float)min_levels[s]);
}

SLM_QUANTIZE(q4_k) {
    static const slm_search_steps plain = {-1.0f, 0.1f, 20, 0};
    slm_block_q4_k *b = blocks;
    for (size_t done = 0; done + 256 <= k; done += 256, b++) {
        uint8_t levels[256];
        quantize_sub_blocks(b->d, b->dmin, b->scales, levels, 15, &plain, x + done,
                            importance != NULL ? importance + done : NULL);
        pack_four_bits(b->qs, levels);
    }
}

SLM_QUANTIZE(q5_k) {
    static const slm_search_steps plain = {-0.5f, 0.1f, 15, 0};
    slm_block_q5_k *b = blocks;
    for (size_t done = 0; done + 256 <= k; done += 256, b++) {
        uint8_t levels[256];
        quantize_sub_blocks(b->d, b->dmin, b->scales, levels, 31, &plain, x + done,
                            importance != NULL ? importance + done : NULL);
        pack_four_bits(b->qs, levels);
        memset(b->qh, 0, sizeof b->qh);
        for (int i = 0; i < 256; i++)
            b->qh[i % 32] |= (uint8_t)((levels[i] >> 4 & 1) << (i / 32));
    }
}

SLM_QUANTIZE(q6_k) {
    slm_block_q6_k *b = blocks;
    for (size_t done = 0; done + 256 <= k; done += 256, x += 256, b++) {
        uint8_t levels[256];
        float scales[16], max = 0;
        for (int s = 0; s < 16; s++) {
            const float *weights = importance != NULL ? importance + done + 16 * s : NULL;
            scales[s] = slm_search_signed(16, 32, x + 16 * s, weights, levels + 16 * s);
            max = fabsf(scales[s]) > fabsf(max) ? scales[s] : max;
        }
        memset(b, 0, sizeof *b);
        if (fabsf(max) < SLM_GROUP_MIN)
            continue;
        float inverse = -128.0f / max;
        slm_store_u16(b->d, slm_f32_to_f16(1 / inverse));
        float d = slm_load_half(b->d);
        for (int s = 0; s < 16; s++) {
            b->scales[s] = (int8_t)slm_clamp_int(slm_nearest(inverse * scales[s]), -128, 127);
            levels_signed(levels + 16 * s, 32, x + 16 * s, d * (float)b->scales[s]);
        }
        for (int i = 0; i < 256; i++) {
            int half = i / 128, group = i % 128 / 32, at = i % 32;
            b->ql[64 * half + 32 * (group % 2) + at] |=
                (uint8_t)((levels[i] & 15) << (4 * (group / 2)));
            b->qh[32 * half + at] |= (uint8_t)((levels[i] >> 4) << (2 * group));
        }
    }
}
