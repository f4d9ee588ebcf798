#include "dotprod.h"

SLM_INLINE void block_iq4_xs(float *sums, const void *block, const uint8_t *const *x, int n) {
    const slm_block_iq4_xs *b = block;
    const int8x16_t table = slm_iq4_table();
    unsigned high = (unsigned)(b->scales_h[0] | b->scales_h[1] << 8);
    int32x4_t dots[SLM_ROWS];
    for (int r = 0; r < n; r++)
        dots[r] = vdupq_n_s32(0);
    for (int s = 0; s < 8; s++) {
        int low = b->scales_l[s / 2] >> (4 * (s % 2)) & 15;
        int scale = (low | (int)(high >> (2 * s) & 3) << 4) - 32;
        uint8x16_t v = vld1q_u8(b->qs + 16 * s);
        int8x16_t q0 = vqtbl1q_s8(table, vandq_u8(v, vdupq_n_u8(15)));
        int8x16_t q1 = vqtbl1q_s8(table, vshrq_n_u8(v, 4));
        for (int r = 0; r < n; r++) {
            const int8_t *q = ((const slm_act_q8_k *)(const void *)x[r])->q + 32 * s;
            dots[r] = vmlaq_n_s32(dots[r], slm_dot32(q0, q1, q), scale);
        }
    }
    float d = slm_load_half(b->d);
    for (int r = 0; r < n; r++) {
        const slm_act_q8_k *act = (const void *)x[r];
        sums[r] += d * act->d * (float)vaddvq_s32(dots[r]);
    }
}

SLM_DEFINE_Q8_K(iq4_xs)
