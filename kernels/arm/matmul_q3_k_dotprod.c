#include "dotprod.h"

/* 16 scales, less their bias of 32: low nibbles first, then 2 bits each. */
SLM_INLINE void unpack_scales(const uint8_t s[12], int8_t scales[16]) {
    uint32_t u[3], out[4];
    memcpy(u, s, sizeof u);
    out[0] = (u[0] & 0x0f0f0f0fu) | (u[2] << 4 & 0x30303030u);
    out[1] = (u[1] & 0x0f0f0f0fu) | (u[2] << 2 & 0x30303030u);
    out[2] = (u[0] >> 4 & 0x0f0f0f0fu) | (u[2] & 0x30303030u);
    out[3] = (u[1] >> 4 & 0x0f0f0f0fu) | (u[2] >> 2 & 0x30303030u);
    vst1q_s8(scales, vsubq_s8(vreinterpretq_s8_u32(vld1q_u32(out)), vdupq_n_s8(32)));
}

/* Two low bits, less 4 where the bit of hmask is clear. */
SLM_INLINE int8x16_t levels(const uint8_t *qs, uint8x16_t mask, int shift, int bit) {
    uint8x16_t set = vtstq_u8(mask, vdupq_n_u8((uint8_t)(1u << bit)));
    uint8x16_t off = vbicq_u8(vdupq_n_u8(4), set);
    return vreinterpretq_s8_u8(vsubq_u8(slm_two_bits(vld1q_u8(qs), shift), off));
}

SLM_INLINE void block_q3_k(float *sums, const void *block, const uint8_t *const *x, int n) {
    const slm_block_q3_k *b = block;
    int8_t scales[16];
    int32x4_t dots[SLM_ROWS];
    unpack_scales(b->scales, scales);
    for (int r = 0; r < n; r++)
        dots[r] = vdupq_n_s32(0);
    uint8x16_t h0 = vld1q_u8(b->hmask), h1 = vld1q_u8(b->hmask + 16);
    for (int g = 0; g < 8; g++) { /* two sub-blocks of 16 */
        const uint8_t *qs = b->qs + 32 * (g / 4);
        int8x16_t q0 = levels(qs, h0, 2 * (g % 4), g);
        int8x16_t q1 = levels(qs + 16, h1, 2 * (g % 4), g);
        for (int r = 0; r < n; r++) {
            const int8_t *q = ((const slm_act_q8_k *)(const void *)x[r])->q + 32 * g;
            int32x4_t p0 = vdotq_s32(vdupq_n_s32(0), q0, vld1q_s8(q));
            int32x4_t p1 = vdotq_s32(vdupq_n_s32(0), q1, vld1q_s8(q + 16));
            dots[r] = vmlaq_n_s32(dots[r], p0, scales[2 * g]);
            dots[r] = vmlaq_n_s32(dots[r], p1, scales[2 * g + 1]);
        }
    }
    float d = slm_load_half(b->d);
    for (int r = 0; r < n; r++) {
        const slm_act_q8_k *act = (const void *)x[r];
        sums[r] += d * act->d * (float)vaddvq_s32(dots[r]);
    }
}

SLM_DEFINE_Q8_K(q3_k)
