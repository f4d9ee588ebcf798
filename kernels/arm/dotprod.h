/* What the files of the level for Arm processors with the dot product instructions (Armv8.2
 * FEAT_DotProd: 16 products of bytes in one instruction) share. */
#ifndef SLM_DOTPROD_H
#define SLM_DOTPROD_H

#include "kernels.h"

#include <arm_neon.h>
#include <string.h>

#define SLM_INLINE static inline __attribute__((always_inline))

/* Activation rows that share one unpacking of a weight block. */
#define SLM_ROWS 4

#define SLM_DOTPROD_MATMUL(name)                                                                   \
    void name(float *y, size_t y_stride, const void *w, size_t w_bytes, size_t n_w, const void *a, \
              size_t a_bytes, size_t n_a, size_t k)
SLM_DOTPROD_MATMUL(slm_matmul_f32_f32_dotprod);
SLM_DOTPROD_MATMUL(slm_matmul_f16_f32_dotprod);
SLM_DOTPROD_MATMUL(slm_matmul_bf16_f32_dotprod);
SLM_DOTPROD_MATMUL(slm_matmul_q4_0_q8_0_dotprod);
SLM_DOTPROD_MATMUL(slm_matmul_q4_1_q8_0_dotprod);
SLM_DOTPROD_MATMUL(slm_matmul_q5_0_q8_0_dotprod);
SLM_DOTPROD_MATMUL(slm_matmul_q5_1_q8_0_dotprod);
SLM_DOTPROD_MATMUL(slm_matmul_q8_0_q8_0_dotprod);
SLM_DOTPROD_MATMUL(slm_matmul_iq4_nl_q8_0_dotprod);
SLM_DOTPROD_MATMUL(slm_matmul_q2_k_q8_k_dotprod);
SLM_DOTPROD_MATMUL(slm_matmul_q3_k_q8_k_dotprod);
SLM_DOTPROD_MATMUL(slm_matmul_q4_k_q8_k_dotprod);
SLM_DOTPROD_MATMUL(slm_matmul_q5_k_q8_k_dotprod);
SLM_DOTPROD_MATMUL(slm_matmul_q6_k_q8_k_dotprod);
SLM_DOTPROD_MATMUL(slm_matmul_iq4_xs_q8_k_dotprod);
SLM_DOTPROD_MATMUL(slm_matmul_tq1_0_q8_k_dotprod);
SLM_DOTPROD_MATMUL(slm_matmul_tq1_0_i8_row_dotprod);
SLM_DOTPROD_MATMUL(slm_matmul_tq2_0_q8_k_dotprod);
SLM_DOTPROD_MATMUL(slm_matmul_tq2_0_i8_row_dotprod);
SLM_DOTPROD_MATMUL(slm_matmul_i2_s_i8_row_dotprod);

SLM_INLINE float slm_load_half(const uint8_t p[2]) {
    uint16_t h;
    memcpy(&h, p, sizeof h);
    return vgetq_lane_f32(vcvt_f32_f16(vreinterpret_f16_u16(vdup_n_u16(h))), 0);
}

SLM_INLINE int8x16_t slm_low_nibbles(uint8x16_t v) {
    return vreinterpretq_s8_u8(vandq_u8(v, vdupq_n_u8(15)));
}
SLM_INLINE int8x16_t slm_high_nibbles(uint8x16_t v) {
    return vreinterpretq_s8_u8(vshrq_n_u8(v, 4));
}

/* Bits shift and shift + 1 of each byte. */
SLM_INLINE uint8x16_t slm_two_bits(uint8x16_t v, int shift) {
    return vandq_u8(vshlq_u8(v, vdupq_n_s8((int8_t)-shift)), vdupq_n_u8(3));
}

/* The products of 32 values, in four sums. */
SLM_INLINE int32x4_t slm_dot32(int8x16_t q0, int8x16_t q1, const int8_t *x) {
    return vdotq_s32(vdotq_s32(vdupq_n_s32(0), q0, vld1q_s8(x)), q1, vld1q_s8(x + 16));
}

/* The 6-bit scales and minima of Q4_K and Q5_K: 32 bits at a time, as slm_unpack_scales_k4 of the
 * portable level does byte by byte. */
SLM_INLINE void slm_scales_k4(const uint8_t s[12], uint8_t scales[8], uint8_t mins[8]) {
    uint32_t u[3], out[4];
    memcpy(u, s, sizeof u);
    out[0] = u[0] & 0x3f3f3f3fu;
    out[1] = (u[2] & 0x0f0f0f0fu) | (u[0] >> 2 & 0x30303030u);
    out[2] = u[1] & 0x3f3f3f3fu;
    out[3] = (u[2] >> 4 & 0x0f0f0f0fu) | (u[1] >> 2 & 0x30303030u);
    memcpy(scales, out, 8);
    memcpy(mins, out + 2, 8);
}

/* Sum over 8 sub-blocks of 32 of minimum times sum of activations. */
SLM_INLINE int32_t slm_dot_mins_k4(const uint8_t mins[8], const int16_t bsums[16]) {
    int16x8_t sums = vpaddq_s16(vld1q_s16(bsums), vld1q_s16(bsums + 8));
    int16x8_t m = vreinterpretq_s16_u16(vmovl_u8(vld1_u8(mins)));
    int32x4_t low = vmull_s16(vget_low_s16(m), vget_low_s16(sums));
    return vaddvq_s32(vmlal_high_s16(low, m, sums));
}

/* The walk over rows. fn adds one block of weights times one block of each of n activation rows
 * to sums; it is inlined with n a constant. What it does for a row may not depend on n. */
typedef void (*slm_block_fn)(float *sums, const void *block, const uint8_t *const *x, int n);

SLM_INLINE void slm_walk(slm_block_fn fn, size_t block, size_t block_bytes, size_t act_bytes,
                         float *y, size_t y_stride, const void *w, size_t w_bytes, size_t n_w,
                         const void *a, size_t a_bytes, size_t n_a, size_t k) {
    for (size_t i = 0; i < n_w; i++) {
        const uint8_t *row = (const uint8_t *)w + i * w_bytes;
        for (size_t j = 0; j < n_a;) {
            int n = n_a - j >= SLM_ROWS ? SLM_ROWS : 1;
            const uint8_t *x[SLM_ROWS];
            float sums[SLM_ROWS] = {0};
            for (int r = 0; r < n; r++)
                x[r] = (const uint8_t *)a + (j + (size_t)r) * a_bytes;
            for (size_t b = 0; b < k / block; b++) {
                if (n == SLM_ROWS)
                    fn(sums, row + b * block_bytes, x, SLM_ROWS);
                else
                    fn(sums, row + b * block_bytes, x, 1);
                for (int r = 0; r < n; r++)
                    x[r] += act_bytes;
            }
            for (int r = 0; r < n; r++)
                y[(j + (size_t)r) * y_stride + i] = sums[r];
            j += (size_t)n;
        }
    }
}

/* Types of 256 by Q8_K: per block (d_w d_a) * integer, as the portable level, so the same bits. */
#define SLM_DEFINE_Q8_K(type)                                                                      \
    SLM_DOTPROD_MATMUL(slm_matmul_##type##_q8_k_dotprod) {                                         \
        slm_walk(block_##type, 256, sizeof(slm_block_##type), sizeof(slm_act_q8_k), y, y_stride,   \
                 w, w_bytes, n_w, a, a_bytes, n_a, k);                                             \
    }

/* Types of 32 by Q8_0. Four float accumulators a row: lane l takes d_w * d_a times the integer
 * sum of its 8 products of each block, ascending, by fused multiply-add; for types with a minimum
 * a fifth takes m_w * sum. At the end lanes are added in pairs, then the fifth. unpack gives the
 * 32 levels; the offset of a signed type is already taken off. */
typedef struct slm_unpacked {
    float d, m;
    int8x16_t q0, q1;
} slm_unpacked;
typedef slm_unpacked (*slm_unpack_fn)(const void *block);

SLM_INLINE void slm_matmul_q8_0(slm_unpack_fn unpack, size_t block_bytes, int has_min, int n,
                                float *y, size_t y_stride, const uint8_t *row, const uint8_t *a,
                                size_t a_bytes, size_t k) {
    float32x4_t sums[SLM_ROWS];
    float lows[SLM_ROWS] = {0};
    for (int r = 0; r < n; r++)
        sums[r] = vdupq_n_f32(0);
    for (size_t b = 0; b < k / 32; b++) {
        slm_unpacked u = unpack(row + b * block_bytes);
        for (int r = 0; r < n; r++) {
            const slm_act_q8_0 *x = (const slm_act_q8_0 *)(a + (size_t)r * a_bytes) + b;
            float32x4_t dot = vcvtq_f32_s32(slm_dot32(u.q0, u.q1, x->q));
            sums[r] = vfmaq_n_f32(sums[r], dot, u.d * x->d);
            if (has_min)
                lows[r] += u.m * x->sum;
        }
    }
    for (int r = 0; r < n; r++)
        y[(size_t)r * y_stride] = vaddvq_f32(sums[r]) + (has_min ? lows[r] : 0.0f);
}

#define SLM_DEFINE_Q8_0(type, has_min)                                                             \
    SLM_DOTPROD_MATMUL(slm_matmul_##type##_q8_0_dotprod) {                                         \
        for (size_t i = 0; i < n_w; i++) {                                                         \
            const uint8_t *row = (const uint8_t *)w + i * w_bytes, *x = a;                         \
            size_t j = 0, bytes = sizeof(slm_block_##type);                                        \
            for (; j + SLM_ROWS <= n_a; j += SLM_ROWS)                                             \
                slm_matmul_q8_0(unpack_##type, bytes, has_min, SLM_ROWS, y + j * y_stride + i,     \
                                y_stride, row, x + j * a_bytes, a_bytes, k);                       \
            for (; j < n_a; j++)                                                                   \
                slm_matmul_q8_0(unpack_##type, bytes, has_min, 1, y + j * y_stride + i, y_stride,  \
                                row, x + j * a_bytes, a_bytes, k);                                 \
        }                                                                                          \
    }

/* The nonlinear levels of IQ4_NL and IQ4_XS. */
SLM_INLINE int8x16_t slm_iq4_table(void) {
    static const int8_t values[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                      1,    13,   25,  38,  53,  69,  89,  113};
    return vld1q_s8(values);
}

#endif
