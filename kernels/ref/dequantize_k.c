/* Weights to floats: the types of 256, and I2_S. Layouts: docs/FORMATS.md. */
#include "ref.h"

void slm_dequantize_q2_k_ref(float *restrict x, const void *restrict w, size_t k) {
    const slm_block_q2_k *b = w;
    for (; k >= 256; k -= 256, b++, x += 256) {
        float d = slm_load_half(b->d), dmin = slm_load_half(b->dmin);
        for (int s = 0; s < 16; s++) { /* sub-blocks of 16 */
            float scale = d * (float)(b->scales[s] & 15), min = dmin * (float)(b->scales[s] >> 4);
            const uint8_t *q = b->qs + 32 * (s / 8) + 16 * (s % 2);
            int shift = 2 * (s / 2 % 4);
            for (int i = 0; i < 16; i++)
                x[16 * s + i] = scale * (float)(q[i] >> shift & 3) - min;
        }
    }
}

void slm_dequantize_q3_k_ref(float *restrict x, const void *restrict w, size_t k) {
    const slm_block_q3_k *b = w;
    for (; k >= 256; k -= 256, b++, x += 256) {
        float d = slm_load_half(b->d);
        int8_t scales[16];
        slm_unpack_scales_q3_k(b->scales, scales);
        for (int s = 0; s < 16; s++) {
            float scale = d * (float)scales[s];
            const uint8_t *q = b->qs + 32 * (s / 8) + 16 * (s % 2), *h = b->hmask + 16 * (s % 2);
            int shift = 2 * (s / 2 % 4), bit = s / 2;
            for (int i = 0; i < 16; i++)
                x[16 * s + i] = scale * (float)((q[i] >> shift & 3) + 4 * (h[i] >> bit & 1) - 4);
        }
    }
}

void slm_dequantize_q4_k_ref(float *restrict x, const void *restrict w, size_t k) {
    const slm_block_q4_k *b = w;
    for (; k >= 256; k -= 256, b++, x += 256) {
        float d = slm_load_half(b->d), dmin = slm_load_half(b->dmin);
        uint8_t scales[8], mins[8];
        slm_unpack_scales_k4(b->scales, scales, mins);
        for (int s = 0; s < 8; s++) { /* sub-blocks of 32 */
            float scale = d * (float)scales[s], min = dmin * (float)mins[s];
            const uint8_t *q = b->qs + 32 * (s / 2);
            int shift = 4 * (s % 2);
            for (int i = 0; i < 32; i++)
                x[32 * s + i] = scale * (float)(q[i] >> shift & 15) - min;
        }
    }
}

void slm_dequantize_q5_k_ref(float *restrict x, const void *restrict w, size_t k) {
    const slm_block_q5_k *b = w;
    for (; k >= 256; k -= 256, b++, x += 256) {
        float d = slm_load_half(b->d), dmin = slm_load_half(b->dmin);
        uint8_t scales[8], mins[8];
        slm_unpack_scales_k4(b->scales, scales, mins);
        for (int s = 0; s < 8; s++) {
            float scale = d * (float)scales[s], min = dmin * (float)mins[s];
            const uint8_t *q = b->qs + 32 * (s / 2);
            int shift = 4 * (s % 2);
            for (int i = 0; i < 32; i++) {
                int level = (q[i] >> shift & 15) + 16 * (b->qh[i] >> s & 1);
                x[32 * s + i] = scale * (float)level - min;
            }
        }
    }
}

void slm_dequantize_q6_k_ref(float *restrict x, const void *restrict w, size_t k) {
    const slm_block_q6_k *b = w;
    for (; k >= 256; k -= 256, b++, x += 256) {
        float d = slm_load_half(b->d);
        for (int s = 0; s < 16; s++) {
            int half = s / 8, group = s / 2 % 4;
            float scale = d * (float)b->scales[s];
            const uint8_t *low = b->ql + 64 * half + 32 * (group % 2) + 16 * (s % 2);
            const uint8_t *high = b->qh + 32 * half + 16 * (s % 2);
            int low_shift = 4 * (group / 2), high_shift = 2 * group;
            for (int i = 0; i < 16; i++) {
                int level = (low[i] >> low_shift & 15) + 16 * (high[i] >> high_shift & 3) - 32;
                x[16 * s + i] = scale * (float)level;
            }
        }
    }
}

void slm_dequantize_iq4_xs_ref(float *restrict x, const void *restrict w, size_t k) {
    const slm_block_iq4_xs *b = w;
    for (; k >= 256; k -= 256, b++, x += 256) {
        float d = slm_load_half(b->d);
        unsigned high = slm_load_u16(b->scales_h);
        for (int s = 0; s < 8; s++) {
            int level = (b->scales_l[s / 2] >> (4 * (s % 2)) & 15) | (int)(high >> (2 * s) & 3)
                                                                         << 4;
            float scale = d * (float)(level - 32);
            for (int i = 0; i < 16; i++) {
                uint8_t q = b->qs[16 * s + i];
                x[32 * s + i] = scale * (float)slm_iq4_values[q & 15];
                x[32 * s + i + 16] = scale * (float)slm_iq4_values[q >> 4];
            }
        }
    }
}

void slm_dequantize_tq1_0_ref(float *restrict x, const void *restrict w, size_t k) {
    const slm_block_tq1_0 *b = w;
    for (; k >= 256; k -= 256, b++, x += 256) {
        float d = slm_load_half(b->d);
        int16_t q[256];
        slm_unpack_tq1_0(q, b);
        for (int i = 0; i < 256; i++)
            x[i] = (float)q[i] * d;
    }
}

void slm_dequantize_tq2_0_ref(float *restrict x, const void *restrict w, size_t k) {
    const slm_block_tq2_0 *b = w;
    for (; k >= 256; k -= 256, b++, x += 256) {
        float d = slm_load_half(b->d);
        int16_t q[256];
        slm_unpack_tq2_0(q, b);
        for (int i = 0; i < 256; i++)
            x[i] = (float)q[i] * d;
    }
}

void slm_dequantize_i2_s_ref(float *restrict x, const void *restrict w, size_t k) {
    const slm_block_i2_s *b = w;
    for (; k >= 128; k -= 128, b++, x += 128)
        for (int g = 0; g < 4; g++)
            for (int i = 0; i < 32; i++)
                x[32 * g + i] = (float)((b->qs[i] >> (6 - 2 * g) & 3) - 1);
}
