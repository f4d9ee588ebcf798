/* Weights to floats: plain floats and the types of 32. */
#include "ref.h"

const int8_t slm_iq4_values[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                   1,    13,   25,  38,  53,  69,  89,  113};

void slm_dequantize_f32_ref(float *x, const void *w, size_t k) {
    memcpy(x, w, k * sizeof *x);
}

void slm_dequantize_f16_ref(float *restrict x, const void *restrict w, size_t k) {
    const uint8_t *p = w;
    for (size_t i = 0; i < k; i++) {
        uint16_t h;
        memcpy(&h, p + 2 * i, sizeof h);
        x[i] = slm_half_to_float(h);
    }
}

void slm_dequantize_bf16_ref(float *restrict x, const void *restrict w, size_t k) {
    const uint8_t *p = w;
    for (size_t i = 0; i < k; i++) {
        uint16_t h;
        memcpy(&h, p + 2 * i, sizeof h);
        x[i] = slm_bits_float((uint32_t)h << 16);
    }
}

void slm_dequantize_q4_0_ref(float *restrict x, const void *restrict w, size_t k) {
    const slm_block_q4_0 *b = w;
    for (; k >= 32; k -= 32, b++, x += 32) {
        float d = slm_load_half(b->d);
        for (int i = 0; i < 16; i++) {
            x[i] = (float)((b->qs[i] & 15) - 8) * d;
            x[i + 16] = (float)((b->qs[i] >> 4) - 8) * d;
        }
    }
}

void slm_dequantize_q4_1_ref(float *restrict x, const void *restrict w, size_t k) {
    const slm_block_q4_1 *b = w;
    for (; k >= 32; k -= 32, b++, x += 32) {
        float d = slm_load_half(b->d), m = slm_load_half(b->m);
        for (int i = 0; i < 16; i++) {
            x[i] = (float)(b->qs[i] & 15) * d + m;
            x[i + 16] = (float)(b->qs[i] >> 4) * d + m;
        }
    }
}

void slm_dequantize_q5_0_ref(float *restrict x, const void *restrict w, size_t k) {
    const slm_block_q5_0 *b = w;
    for (; k >= 32; k -= 32, b++, x += 32) {
        float d = slm_load_half(b->d);
        for (int i = 0; i < 16; i++) {
            int h0 = b->qh[i / 8] >> (i % 8) & 1, h1 = b->qh[2 + i / 8] >> (i % 8) & 1;
            x[i] = (float)((b->qs[i] & 15) + 16 * h0 - 16) * d;
            x[i + 16] = (float)((b->qs[i] >> 4) + 16 * h1 - 16) * d;
        }
    }
}

void slm_dequantize_q5_1_ref(float *restrict x, const void *restrict w, size_t k) {
    const slm_block_q5_1 *b = w;
    for (; k >= 32; k -= 32, b++, x += 32) {
        float d = slm_load_half(b->d), m = slm_load_half(b->m);
        for (int i = 0; i < 16; i++) {
            int h0 = b->qh[i / 8] >> (i % 8) & 1, h1 = b->qh[2 + i / 8] >> (i % 8) & 1;
            x[i] = (float)((b->qs[i] & 15) + 16 * h0) * d + m;
            x[i + 16] = (float)((b->qs[i] >> 4) + 16 * h1) * d + m;
        }
    }
}

void slm_dequantize_q8_0_ref(float *restrict x, const void *restrict w, size_t k) {
    const slm_block_q8_0 *b = w;
    for (; k >= 32; k -= 32, b++, x += 32) {
        float d = slm_load_half(b->d);
        for (int i = 0; i < 32; i++)
            x[i] = (float)b->qs[i] * d;
    }
}

void slm_dequantize_iq4_nl_ref(float *restrict x, const void *restrict w, size_t k) {
    const slm_block_iq4_nl *b = w;
    for (; k >= 32; k -= 32, b++, x += 32) {
        float d = slm_load_half(b->d);
        for (int i = 0; i < 16; i++) {
            x[i] = d * (float)slm_iq4_values[b->qs[i] & 15];
            x[i + 16] = d * (float)slm_iq4_values[b->qs[i] >> 4];
        }
    }
}
