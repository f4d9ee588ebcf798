#include "dotprod.h"

/* 32 values of a block as floats, d * q, in 8 vectors. */
SLM_INLINE void load_block(float32x4_t v[8], const slm_block_q8_0 *b) {
    float d = slm_load_half(b->d);
    for (int i = 0; i < 4; i++) {
        int16x8_t q = vmovl_s8(vld1_s8(b->qs + 8 * i));
        v[2 * i] = vmulq_n_f32(vcvtq_f32_s32(vmovl_s16(vget_low_s16(q))), d);
        v[2 * i + 1] = vmulq_n_f32(vcvtq_f32_s32(vmovl_high_s16(q)), d);
    }
}

/* Lane l of 16 takes the terms at l, l + 16, ... ascending, by fused multiply-add. */
void slm_kv_scores_q8_0_dotprod(float *s, size_t s_stride, const float *q, size_t q_stride,
                                size_t n_q, const void *k, size_t k_bytes, size_t n_k, size_t d,
                                float scale) {
    for (size_t t = 0; t < n_k; t++) {
        const uint8_t *row = (const uint8_t *)k + t * k_bytes;
        for (size_t h0 = 0; h0 < n_q; h0 += SLM_ROWS) {
            size_t n = n_q - h0 < SLM_ROWS ? n_q - h0 : SLM_ROWS;
            float32x4_t sums[SLM_ROWS][4];
            for (size_t h = 0; h < n; h++)
                for (int l = 0; l < 4; l++)
                    sums[h][l] = vdupq_n_f32(0);
            for (size_t i = 0; i < d; i += 32) {
                float32x4_t v[8];
                load_block(v, (const slm_block_q8_0 *)row + i / 32);
                for (size_t h = 0; h < n; h++) {
                    const float *x = q + (h0 + h) * q_stride + i;
                    float values[32] = {0};
                    if (d - i < 32)
                        x = memcpy(values, x, (d - i) * sizeof *x);
                    for (int l = 0; l < 8; l++)
                        sums[h][l % 4] = vfmaq_f32(sums[h][l % 4], v[l], vld1q_f32(x + 4 * l));
                }
            }
            for (size_t h = 0; h < n; h++) {
                float32x4_t a = vaddq_f32(sums[h][0], sums[h][1]);
                float32x4_t b = vaddq_f32(sums[h][2], sums[h][3]);
                s[(h0 + h) * s_stride + t] = scale * vaddvq_f32(vaddq_f32(a, b));
            }
        }
    }
}

/* One chain of fused multiply-adds an output, t ascending. */
void slm_kv_values_q8_0_dotprod(float *o, size_t o_stride, const float *p, size_t p_stride,
                                size_t n_q, const void *v, size_t v_bytes, size_t n_k, size_t d) {
    for (size_t t = 0; t < n_k; t++) {
        const slm_block_q8_0 *row = (const void *)((const uint8_t *)v + t * v_bytes);
        for (size_t i = 0; i < d; i += 32) {
            size_t n = d - i < 32 ? d - i : 32;
            float32x4_t u[8];
            load_block(u, row + i / 32);
            for (size_t h = 0; h < n_q; h++) {
                float *out = o + h * o_stride + i, values[32], weight = p[h * p_stride + t];
                float *to = n < 32 ? memcpy(values, out, n * sizeof *out) : out;
                for (int l = 0; l < 8; l++)
                    vst1q_f32(to + 4 * l, vfmaq_n_f32(vld1q_f32(to + 4 * l), u[l], weight));
                if (n < 32)
                    memcpy(out, values, n * sizeof *out);
            }
        }
    }
}
