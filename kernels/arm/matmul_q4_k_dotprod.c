#include "dotprod.h"

SLM_INLINE void block_q4_k(float *sums, const void *block, const uint8_t *const *x, int n) {
    const slm_block_q4_k *b = block;
    uint8_t scales[8], mins[8];
    int32x4_t dots[SLM_ROWS];
    slm_scales_k4(b->scales, scales, mins);
    for (int r = 0; r < n; r++)
        dots[r] = vdupq_n_s32(0);
    for (int g = 0; g < 4; g++) { /* 64 weights, two sub-blocks */
        uint8x16_t v0 = vld1q_u8(b->qs + 32 * g), v1 = vld1q_u8(b->qs + 32 * g + 16);
        int8x16_t a0 = slm_low_nibbles(v0), a1 = slm_low_nibbles(v1);
        int8x16_t b0 = slm_high_nibbles(v0), b1 = slm_high_nibbles(v1);
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

SLM_DEFINE_Q8_K(q4_k)
