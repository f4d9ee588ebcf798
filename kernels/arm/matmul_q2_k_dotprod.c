#include "dotprod.h"

SLM_INLINE void block_q2_k(float *sums, const void *block, const uint8_t *const *x, int n) {
    const slm_block_q2_k *b = block;
    int32x4_t dots[SLM_ROWS];
    for (int r = 0; r < n; r++)
        dots[r] = vdupq_n_s32(0);
    for (int g = 0; g < 8; g++) { /* two sub-blocks of 16 */
        const uint8_t *qs = b->qs + 32 * (g / 4);
        int8x16_t q0 = vreinterpretq_s8_u8(slm_two_bits(vld1q_u8(qs), 2 * (g % 4)));
        int8x16_t q1 = vreinterpretq_s8_u8(slm_two_bits(vld1q_u8(qs + 16), 2 * (g % 4)));
        for (int r = 0; r < n; r++) {
            const int8_t *q = ((const slm_act_q8_k *)(const void *)x[r])->q + 32 * g;
            int32x4_t p0 = vdotq_s32(vdupq_n_s32(0), q0, vld1q_s8(q));
            int32x4_t p1 = vdotq_s32(vdupq_n_s32(0), q1, vld1q_s8(q + 16));
            dots[r] = vmlaq_n_s32(dots[r], p0, b->scales[2 * g] & 15);
            dots[r] = vmlaq_n_s32(dots[r], p1, b->scales[2 * g + 1] & 15);
        }
    }
    uint8x16_t mins = vshrq_n_u8(vld1q_u8(b->scales), 4);
    int16x8_t m0 = vreinterpretq_s16_u16(vmovl_u8(vget_low_u8(mins)));
    int16x8_t m1 = vreinterpretq_s16_u16(vmovl_high_u8(mins));
    float d = slm_load_half(b->d), dmin = slm_load_half(b->dmin);
    for (int r = 0; r < n; r++) {
        const slm_act_q8_k *act = (const void *)x[r];
        int16x8_t s0 = vld1q_s16(act->bsums), s1 = vld1q_s16(act->bsums + 8);
        int32x4_t low = vmull_s16(vget_low_s16(m0), vget_low_s16(s0));
        low = vmlal_high_s16(low, m0, s0);
        low = vmlal_s16(low, vget_low_s16(m1), vget_low_s16(s1));
        low = vmlal_high_s16(low, m1, s1);
        sums[r] += d * act->d * (float)vaddvq_s32(dots[r]);
        sums[r] -= dmin * act->d * (float)vaddvq_s32(low);
    }
}

SLM_DEFINE_Q8_K(q2_k)
