/* What the files of the portable level share. Everything here is the definition of correct: no
 * fused multiply-adds (kernels/ is compiled with -ffp-contract=off), and loops that a compiler
 * can vectorise without changing the order of any sum. */
#ifndef SLM_REF_H
#define SLM_REF_H

#include "kernels.h"

#include <string.h>

#define SLM_INLINE static inline __attribute__((always_inline))

/* Rows of activations that share one unpacking of a weight block. */
#define SLM_REF_TILE 8
/* Values dequantised at a time; a multiple of every block. */
#define SLM_REF_PIECE 256

SLM_INLINE uint32_t slm_float_bits(float f) {
    uint32_t u;
    memcpy(&u, &f, sizeof u);
    return u;
}

SLM_INLINE float slm_bits_float(uint32_t u) {
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}

SLM_INLINE uint16_t slm_load_u16(const uint8_t p[2]) {
    return (uint16_t)(p[0] | p[1] << 8);
}

SLM_INLINE void slm_store_u16(uint8_t p[2], uint16_t v) {
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
}

/* Half precision without branches; a subnormal is made by a subtraction of normal numbers, so the
 * processor's denormals-are-zero mode does no harm. NaNs are made quiet, as hardware does. */
SLM_INLINE float slm_half_to_float(uint16_t h) {
    uint32_t magnitude = (uint32_t)(h & 0x7fffu) << 13;
    uint32_t exponent = magnitude & 0x0f800000u;
    uint32_t normal = magnitude + 0x38000000u;
    uint32_t subnormal = slm_float_bits(slm_bits_float(magnitude + 0x38800000u) - 0x1p-14f);
    uint32_t special = magnitude | 0x7f800000u | (magnitude & 0x007fffffu ? 0x00400000u : 0u);
    uint32_t u = exponent == 0 ? subnormal : exponent == 0x0f800000u ? special : normal;
    return slm_bits_float(u | (uint32_t)(h & 0x8000u) << 16);
}

SLM_INLINE float slm_load_half(const uint8_t p[2]) {
    return slm_half_to_float(slm_load_u16(p));
}

/* Nearest integer, half to even, for |x| < 2^22: adding 1.5 * 2^23 leaves it in the low bits. */
SLM_INLINE int32_t slm_round_even(float x) {
    return (int32_t)(slm_float_bits(x + 12582912.0f) - 0x4b400000u);
}

/* The largest |x| as float bits; at or above 0x7f800000 where a value is NaN or infinite. */
SLM_INLINE uint32_t slm_max_abs_bits(const float *x, size_t n) {
    int32_t m = 0;
    for (size_t i = 0; i < n; i++) {
        int32_t a = (int32_t)(slm_float_bits(x[i]) & 0x7fffffffu);
        m = a > m ? a : m;
    }
    return (uint32_t)m;
}

/* The nonlinear levels of IQ4_NL and IQ4_XS. */
extern const int8_t slm_iq4_values[16];

/* The 6-bit scales and minima of Q4_K and Q5_K, and the scales (less 32) of Q3_K. */
SLM_INLINE void slm_unpack_scales_k4(const uint8_t s[12], uint8_t scale[8], uint8_t min[8]) {
    for (int i = 0; i < 4; i++) {
        scale[i] = s[i] & 63;
        min[i] = s[i + 4] & 63;
        scale[i + 4] = (uint8_t)((s[i + 8] & 15) | (s[i] >> 6) << 4);
        min[i + 4] = (uint8_t)(s[i + 8] >> 4 | (s[i + 4] >> 6) << 4);
    }
}

SLM_INLINE void slm_unpack_scales_q3_k(const uint8_t s[12], int8_t scale[16]) {
    for (int i = 0; i < 16; i++) {
        int low = i < 8 ? s[i] & 15 : s[i - 8] >> 4;
        int high = s[8 + i % 4] >> (2 * (i / 4)) & 3;
        scale[i] = (int8_t)((low | high << 4) - 32);
    }
}

/* The five base-3 digits of a TQ1_0 byte come out of its top by multiplication. */
SLM_INLINE int slm_trit(uint8_t byte, int digit) {
    static const uint8_t power[5] = {1, 3, 9, 27, 81};
    return (uint8_t)(byte * power[digit]) * 3 >> 8;
}

/* The order of all float dot products: lane l of 16 takes the terms at l, l + 16, ... ascending;
 * then lanes are added in pairs 8, 4, 2 and 1 apart. */
SLM_INLINE void slm_dot_lanes(float lanes[16], const float *a, const float *b, size_t n) {
    size_t i = 0;
    for (; i + 16 <= n; i += 16)
        for (int l = 0; l < 16; l++)
            lanes[l] += a[i + (size_t)l] * b[i + (size_t)l];
    for (int l = 0; i < n; i++, l++)
        lanes[l] += a[i] * b[i];
}

SLM_INLINE float slm_add_lanes(float lanes[16]) {
    for (int step = 8; step > 0; step /= 2)
        for (int l = 0; l < step; l++)
            lanes[l] += lanes[l + step];
    return lanes[0];
}

/* dequantize_*.c */
void slm_dequantize_f32_ref(float *x, const void *w, size_t k);
void slm_dequantize_f16_ref(float *x, const void *w, size_t k);
void slm_dequantize_bf16_ref(float *x, const void *w, size_t k);
void slm_dequantize_q4_0_ref(float *x, const void *w, size_t k);
void slm_dequantize_q4_1_ref(float *x, const void *w, size_t k);
void slm_dequantize_q5_0_ref(float *x, const void *w, size_t k);
void slm_dequantize_q5_1_ref(float *x, const void *w, size_t k);
void slm_dequantize_q8_0_ref(float *x, const void *w, size_t k);
void slm_dequantize_q2_k_ref(float *x, const void *w, size_t k);
void slm_dequantize_q3_k_ref(float *x, const void *w, size_t k);
void slm_dequantize_q4_k_ref(float *x, const void *w, size_t k);
void slm_dequantize_q5_k_ref(float *x, const void *w, size_t k);
void slm_dequantize_q6_k_ref(float *x, const void *w, size_t k);
void slm_dequantize_iq4_nl_ref(float *x, const void *w, size_t k);
void slm_dequantize_iq4_xs_ref(float *x, const void *w, size_t k);
void slm_dequantize_tq1_0_ref(float *x, const void *w, size_t k);
void slm_dequantize_tq2_0_ref(float *x, const void *w, size_t k);
void slm_dequantize_i2_s_ref(float *x, const void *w, size_t k);

/* quantize_act.c */
void slm_quantize_act_f32_ref(void *a, const float *x, size_t k);
void slm_quantize_act_q8_0_ref(void *a, const float *x, size_t k);
void slm_quantize_act_q8_k_ref(void *a, const float *x, size_t k);
void slm_quantize_act_i8_row_ref(void *a, const float *x, size_t k);

/* matmul_*.c */
#define SLM_REF_MATMUL(name)                                                                       \
    void name(float *y, size_t y_stride, const void *w, size_t w_bytes, size_t n_w, const void *a, \
              size_t a_bytes, size_t n_a, size_t k)
SLM_REF_MATMUL(slm_matmul_f32_f32_ref);
SLM_REF_MATMUL(slm_matmul_f16_f32_ref);
SLM_REF_MATMUL(slm_matmul_bf16_f32_ref);
SLM_REF_MATMUL(slm_matmul_q4_0_q8_0_ref);
SLM_REF_MATMUL(slm_matmul_q4_1_q8_0_ref);
SLM_REF_MATMUL(slm_matmul_q5_0_q8_0_ref);
SLM_REF_MATMUL(slm_matmul_q5_1_q8_0_ref);
SLM_REF_MATMUL(slm_matmul_q8_0_q8_0_ref);
SLM_REF_MATMUL(slm_matmul_iq4_nl_q8_0_ref);
SLM_REF_MATMUL(slm_matmul_q2_k_q8_k_ref);
SLM_REF_MATMUL(slm_matmul_q3_k_q8_k_ref);
SLM_REF_MATMUL(slm_matmul_q4_k_q8_k_ref);
SLM_REF_MATMUL(slm_matmul_q5_k_q8_k_ref);
SLM_REF_MATMUL(slm_matmul_q6_k_q8_k_ref);
SLM_REF_MATMUL(slm_matmul_iq4_xs_q8_k_ref);
SLM_REF_MATMUL(slm_matmul_tq1_0_q8_k_ref);
SLM_REF_MATMUL(slm_matmul_tq2_0_q8_k_ref);
SLM_REF_MATMUL(slm_matmul_f32_i8_row_ref);
SLM_REF_MATMUL(slm_matmul_f16_i8_row_ref);
SLM_REF_MATMUL(slm_matmul_bf16_i8_row_ref);
SLM_REF_MATMUL(slm_matmul_q4_0_i8_row_ref);
SLM_REF_MATMUL(slm_matmul_q4_1_i8_row_ref);
SLM_REF_MATMUL(slm_matmul_q5_0_i8_row_ref);
SLM_REF_MATMUL(slm_matmul_q5_1_i8_row_ref);
SLM_REF_MATMUL(slm_matmul_q8_0_i8_row_ref);
SLM_REF_MATMUL(slm_matmul_iq4_nl_i8_row_ref);
SLM_REF_MATMUL(slm_matmul_q2_k_i8_row_ref);
SLM_REF_MATMUL(slm_matmul_q3_k_i8_row_ref);
SLM_REF_MATMUL(slm_matmul_q4_k_i8_row_ref);
SLM_REF_MATMUL(slm_matmul_q5_k_i8_row_ref);
SLM_REF_MATMUL(slm_matmul_q6_k_i8_row_ref);
SLM_REF_MATMUL(slm_matmul_iq4_xs_i8_row_ref);
SLM_REF_MATMUL(slm_matmul_tq1_0_i8_row_ref);
SLM_REF_MATMUL(slm_matmul_tq2_0_i8_row_ref);
SLM_REF_MATMUL(slm_matmul_i2_s_i8_row_ref);
SLM_REF_MATMUL(slm_matmul_q2_k_q8_k_tile_ref);
SLM_REF_MATMUL(slm_matmul_q3_k_q8_k_tile_ref);
SLM_REF_MATMUL(slm_matmul_q4_k_q8_k_tile_ref);
SLM_REF_MATMUL(slm_matmul_q5_k_q8_k_tile_ref);
SLM_REF_MATMUL(slm_matmul_q6_k_q8_k_tile_ref);
SLM_REF_MATMUL(slm_matmul_q4_0_q8_0_tile_ref);
SLM_REF_MATMUL(slm_matmul_q8_0_q8_0_tile_ref);

/* unpack.c: one block of 256 to integers; what a block's scale multiplies. */
void slm_unpack_tq1_0(int16_t q[256], const slm_block_tq1_0 *b);
void slm_unpack_tq2_0(int16_t q[256], const slm_block_tq2_0 *b);

/* rms_norm.c, layer_norm.c, attention.c, scan.c, softmax.c, activation.c */
void slm_rms_norm_ref(float *y, const float *x, const float *w, size_t n, float eps);
void slm_layer_norm_ref(float *y, const float *x, const float *w, const float *bias, size_t n,
                        float eps);
void slm_kv_store_f16_ref(void *row, const float *x, size_t d);
void slm_kv_store_q8_0_ref(void *row, const float *x, size_t d);
void slm_kv_store_f32_ref(void *row, const float *x, size_t d);
#define SLM_REF_ATTEND(name)                                                                       \
    void name(const slm_attention *a, size_t first, size_t n, const void *const *k,                \
              const void *const v[4], size_t v_bytes, size_t t0, size_t t1)
SLM_REF_ATTEND(slm_attend_f16_ref);
SLM_REF_ATTEND(slm_attend_q8_0_ref);
SLM_REF_ATTEND(slm_attend_f32_ref);
#define SLM_REF_CONV_SILU(name)                                                                    \
    void name(float *y, size_t y_stride, const float *x, size_t x_stride, size_t n_tokens,         \
              float *past, const float *w, const float *bias, size_t n_conv, size_t n_groups)
#define SLM_REF_SCAN(name)                                                                         \
    void name(const slm_scan *s, float *state, size_t first, size_t n_groups, size_t n_tokens)
SLM_REF_CONV_SILU(slm_conv_silu_ref);
SLM_REF_SCAN(slm_scan_ref);
void slm_softmax_ref(float *s, size_t n);
float slm_max_index_ref(const float *x, size_t n, size_t *index, int *finite);
double slm_sum_exp_ref(const float *x, size_t n, float max);
void slm_silu_mul_ref(float *h, const float *gate, const float *up, size_t n);
void slm_gelu_mul_ref(float *h, const float *gate, const float *up, size_t n);
void slm_relu2_mul_ref(float *h, const float *gate, const float *up, size_t n);

#endif
