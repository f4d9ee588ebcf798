#include "ternary.h"

SLM_INLINE void dot_tq2_0(int32x4_t *dots, const slm_block_tq2_0 *b, const uint8_t *const *x,
                          int n) {
    for (int r = 0; r < n; r++)
        dots[r] = vdupq_n_s32(0);
    for (int g = 0; g < 8; g++) {
        const uint8_t *qs = b->qs + 32 * (g / 4);
        int8x16_t one = vdupq_n_s8(1);
        int8x16_t q0 = vreinterpretq_s8_u8(slm_two_bits(vld1q_u8(qs), 2 * (g % 4)));
        int8x16_t q1 = vreinterpretq_s8_u8(slm_two_bits(vld1q_u8(qs + 16), 2 * (g % 4)));
        q0 = vsubq_s8(q0, one);
        q1 = vsubq_s8(q1, one);
        for (int r = 0; r < n; r++) {
            const int8_t *q = (const int8_t *)x[r] + 32 * g;
            dots[r] = vdotq_s32(dots[r], q0, vld1q_s8(q));
            dots[r] = vdotq_s32(dots[r], q1, vld1q_s8(q + 16));
        }
    }
}

SLM_DEFINE_TERNARY(tq2_0)
