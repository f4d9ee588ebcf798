#include "dotprod.h"

/* Bit of qh as bit 4 of the level. */
SLM_INLINE int8x16_t with_fifth_bit(int8x16_t nibbles, uint8x16_t high, int bit) {
    uint8x16_t set = vtstq_u8(high, vdupq_n_u8((uint8_t)(1u << bit)));
    return vorrq_s8(nibbles, vreinterpretq_s8_u8(vandq_u8(set, vdupq_n_u8(16))));
}

SLM_INLINE void block_q5_k(float *sums, const void *block, const uint8_t *const *x, int n) {
    const slm_block_q5_k *b = block;
    uint8_t scales[8], mins[8];
    int32x4_t dots[SLM_ROWS];
    slm_scales_k4(b->scales, scales, mins);
    for (int r = 0; r < n; r++)
        dots[r] = vdupq_n_s32(0);
    uint8x16_t h0 = vld1q_u8(b->qh), h1 = vld1q_u8(b->qh + 16);
    for (int g = 0; g < 4; g++) { /* 64 weights, two sub-blocks */
        uint8x16_t v0 = vld1q_u8(b->qs + 32 * g), v1 = vld1q_u8(b->qs + 32 * g + 16);
        int8x16_t a0 = with_fifth_bit(slm_low_nibbles(v0), h0, 2 * g);
        int8x16_t a1 = with_fifth_bit(slm_low_nibbles(v1), h1, 2 * g);
        int8x16_t b0 = with_fifth_bit(slm_high_nibbles(v0), h0, 2 * g + 1);
        int8x16_t b1 = with_fifth_bit(slm_high_nibbles(v1), h1, 2 * g + 1);
        for (int r = 0; r < n; r++) {
            const int8_t *q = ((const slm_act_q8_k *)(const void *)x[r])->q + 64 * g;
            dots[r] = vmlaq_n_s32(dots[r], slm_dot32(a0, a1, q), scales[2 * g]);
            dots[r] = vmlaq_n_s32(dots[r], slm_dot32(b0, b1, q + 32), scales[2 * g + 1]);
        }
    }
    float d = slm_load_half(b->d), dmin = slm_load_half(b->dmin);
    for (int r = 0; r < n; r++) {
        const slm_act_q8_k *act = (const void *)x[r];
        sums[r] += d * act->d * (float)vaddvq_s32(dots[r]);
        sums[r] -= dmin * act->d * (float)slm_dot_mins_k4(mins, act->bsums);
    }
}

SLM_DEFINE_Q8_K(q5_k)
