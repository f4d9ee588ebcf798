#include "ternary.h"

/* The digit in the top of v = byte * 3^n mod 256 is v * 3 / 256: 0 below 86, 1 below 171, else 2.
 * Less 1; a comparison that holds is -1. */
SLM_INLINE int8x16_t top_trits(uint8x16_t v) {
    int8x16_t one = vreinterpretq_s8_u8(vcgeq_u8(v, vdupq_n_u8(86)));
    int8x16_t two = vreinterpretq_s8_u8(vcgeq_u8(v, vdupq_n_u8(171)));
    return vsubq_s8(vsubq_s8(vdupq_n_s8(-1), one), two);
}

SLM_INLINE void add_dots(int32x4_t *dots, int8x16_t q, const uint8_t *const *x, int at, int n) {
    for (int r = 0; r < n; r++)
        dots[r] = vdotq_s32(dots[r], q, vld1q_s8((const int8_t *)x[r] + at));
}

SLM_INLINE void dot_tq1_0(int32x4_t *dots, const slm_block_tq1_0 *b, const uint8_t *const *x,
                          int n) {
    static const uint8_t powers[16] = {1, 1, 1, 1, 3, 3, 3, 3, 9, 9, 9, 9, 27, 27, 27, 27};
    const uint8x16_t three = vdupq_n_u8(3);
    uint8x16_t v[3];
    uint32_t last;
    for (int r = 0; r < n; r++)
        dots[r] = vdupq_n_s32(0);
    for (int i = 0; i < 3; i++)
        v[i] = vld1q_u8(b->qs + 16 * i);
    for (int t = 0; t < 5; t++) {
        add_dots(dots, top_trits(v[0]), x, 32 * t, n);
        add_dots(dots, top_trits(v[1]), x, 32 * t + 16, n);
        add_dots(dots, top_trits(v[2]), x, 160 + 16 * t, n);
        for (int i = 0; i < 3; i++)
            v[i] = vmulq_u8(v[i], three);
    }
    memcpy(&last, b->qh, sizeof last);
    uint8x16_t tail = vmulq_u8(vreinterpretq_u8_u32(vdupq_n_u32(last)), vld1q_u8(powers));
    add_dots(dots, top_trits(tail), x, 240, n);
}

SLM_DEFINE_TERNARY(tq1_0)
