/* Activation rows. The definitions are in kernels.h. */
#include "ref.h"

#define NAN_BITS   0x7fc00000u
#define INF_BITS   0x7f800000u
#define SMALL_BITS 0x0d800000u /* 2^-100: below it 127 / m could overflow */

static void clear_tail(void *a, slm_act act, size_t k, size_t used) {
    size_t bytes = slm_act_row_bytes(act, k);
    memset((uint8_t *)a + used, 0, bytes - used);
}

void slm_quantize_act_f32_ref(void *a, const float *x, size_t k) {
    memcpy(a, x, k * sizeof *x);
    clear_tail(a, SLM_ACT_F32, k, k * sizeof *x);
}

/* q = round(x * (127 / max|x|)); returns max|x| / 127. n <= size; the rest is zero. */
SLM_INLINE float quantize_block(int8_t *restrict q, const float *restrict x, size_t n,
                                size_t size) {
    uint32_t bits = slm_max_abs_bits(x, n);
    if (bits >= INF_BITS || bits < SMALL_BITS) {
        memset(q, 0, size);
        return bits >= INF_BITS ? slm_bits_float(NAN_BITS) : 0.0f;
    }
    float max = slm_bits_float(bits), scale = 127.0f / max;
    for (size_t i = 0; i < n; i++)
        q[i] = (int8_t)slm_round_even(x[i] * scale);
    memset(q + n, 0, size - n);
    return max / 127.0f;
}

void slm_quantize_act_q8_0_ref(void *a, const float *x, size_t k) {
    slm_act_q8_0 *b = a;
    for (size_t i = 0; i < k; i += 32, b++) {
        b->d = quantize_block(b->q, x + i, k - i < 32 ? k - i : 32, 32);
        int32_t sum = 0;
        for (int j = 0; j < 32; j++)
            sum += b->q[j];
        b->sum = slm_float_bits(b->d) == NAN_BITS ? b->d : b->d * (float)sum;
    }
    clear_tail(a, SLM_ACT_Q8_0, k, (size_t)((uint8_t *)b - (uint8_t *)a));
}

void slm_quantize_act_q8_k_ref(void *a, const float *x, size_t k) {
    slm_act_q8_k *b = a;
    for (size_t i = 0; i < k; i += 256, b++) {
        memset(b->pad, 0, sizeof b->pad);
        b->d = quantize_block(b->q, x + i, k - i < 256 ? k - i : 256, 256);
        for (int s = 0; s < 16; s++) {
            int32_t sum = 0;
            for (int j = 0; j < 16; j++)
                sum += b->q[16 * s + j];
            b->bsums[s] = (int16_t)sum;
        }
    }
}

void slm_quantize_act_i8_row_ref(void *a, const float *restrict x, size_t k) {
    slm_act_i8_header *h = a;
    int8_t *restrict q = (int8_t *)(h + 1);
    memset(h, 0, sizeof *h);
    uint32_t bits = slm_max_abs_bits(x, k);
    if (bits >= INF_BITS) {
        h->inv = slm_bits_float(NAN_BITS);
        clear_tail(a, SLM_ACT_I8_ROW, k, sizeof *h);
        return;
    }
    float max = slm_bits_float(bits), scale = 127.0f / (max > 1e-5f ? max : 1e-5f);
    int32_t sum = 0;
    for (size_t i = 0; i < k; i++) {
        int32_t v = slm_round_even(x[i] * scale);
        q[i] = (int8_t)v;
        sum += v;
    }
    h->inv = 1.0f / scale;
    h->sum = sum;
    clear_tail(a, SLM_ACT_I8_ROW, k, sizeof *h + k);
}
