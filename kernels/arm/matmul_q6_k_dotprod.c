#include "dotprod.h"

/* 16 levels -32..31: 4 low bits of ql, 2 high ones of qh. */
SLM_INLINE int8x16_t levels(const uint8_t *ql, const uint8_t *qh, int upper, int shift) {
    uint8x16_t v = vld1q_u8(ql);
    int8x16_t low = upper ? slm_high_nibbles(v) : slm_low_nibbles(v);
    uint8x16_t high = vshlq_n_u8(slm_two_bits(vld1q_u8(qh), shift), 4);
    return vsubq_s8(vorrq_s8(low, vreinterpretq_s8_u8(high)), vdupq_n_s8(32));
}

SLM_INLINE void block_q6_k(float *sums, const void *block, const uint8_t *const *x, int n) {
    const slm_block_q6_k *b = block;
    int32x4_t dots[SLM_ROWS];
    for (int r = 0; r < n; r++)
        dots[r] = vdupq_n_s32(0);
    for (int g = 0; g < 8; g++) { /* two sub-blocks of 16 */
        const uint8_t *ql = b->ql + 64 * (g / 4) + 32 * (g % 2), *qh = b->qh + 32 * (g / 4);
        int8x16_t q0 = levels(ql, qh, g % 4 / 2, 2 * (g % 4));
        int8x16_t q1 = levels(ql + 16, qh + 16, g % 4 / 2, 2 * (g % 4));
        for (int r = 0; r < n; r++) {
            const int8_t *q = ((const slm_act_q8_k *)(const void *)x[r])->q + 32 * g;
            int32x4_t p0 = vdotq_s32(vdupq_n_s32(0), q0, vld1q_s8(q));
            int32x4_t p1 = vdotq_s32(vdupq_n_s32(0), q1, vld1q_s8(q + 16));
            dots[r] = vmlaq_n_s32(dots[r], p0, b->scales[2 * g]);
            dots[r] = vmlaq_n_s32(dots[r], p1, b->scales[2 * g + 1]);
        }
    }
    float d = slm_load_half(b->d);
    for (int r = 0; r < n; r++) {
        const slm_act_q8_k *act = (const void *)x[r];
        sums[r] += d * act->d * (float)vaddvq_s32(dots[r]);
    }
}

SLM_DEFINE_Q8_K(q6_k)
