/* Dot products of floats: 16 sums, four vectors; lane l takes the terms at l, l + 16, ...
 * ascending, by fused multiply-add; at the end ((0 + 1) + (2 + 3)) of the vectors, then their
 * lanes in pairs. What is left beyond a multiple of 16 is filled up with zeros. */
#ifndef SLM_FLOAT_ROWS_H
#define SLM_FLOAT_ROWS_H

#include "dotprod.h"

typedef struct slm_16_floats {
    float32x4_t v[4];
} slm_16_floats;

/* Reads 16 weights, unaligned. */
typedef slm_16_floats (*slm_load_16_fn)(const uint8_t *w);

SLM_INLINE slm_16_floats slm_load_16_f32(const uint8_t *w) {
    slm_16_floats u;
    for (int i = 0; i < 4; i++)
        u.v[i] = vreinterpretq_f32_u8(vld1q_u8(w + 16 * i));
    return u;
}

SLM_INLINE slm_16_floats slm_load_16_f16(const uint8_t *w) {
    slm_16_floats u;
    for (int i = 0; i < 2; i++) {
        float16x8_t h = vreinterpretq_f16_u8(vld1q_u8(w + 16 * i));
        u.v[2 * i] = vcvt_f32_f16(vget_low_f16(h));
        u.v[2 * i + 1] = vcvt_high_f32_f16(h);
    }
    return u;
}

SLM_INLINE slm_16_floats slm_load_16_bf16(const uint8_t *w) {
    slm_16_floats u;
    for (int i = 0; i < 2; i++) {
        uint16x8_t h = vreinterpretq_u16_u8(vld1q_u8(w + 16 * i));
        u.v[2 * i] = vreinterpretq_f32_u32(vshll_n_u16(vget_low_u16(h), 16));
        u.v[2 * i + 1] = vreinterpretq_f32_u32(vshll_high_n_u16(h, 16));
    }
    return u;
}

SLM_INLINE void slm_madd_16(slm_16_floats *sums, const slm_16_floats *w, const float *x) {
    for (int i = 0; i < 4; i++)
        sums->v[i] = vfmaq_f32(sums->v[i], w->v[i], vld1q_f32(x + 4 * i));
}

/* y[r * y_stride] = scale * (w . x[r * x_stride ..]) for n rows. */
SLM_INLINE void slm_dot_rows(slm_load_16_fn load, size_t weight_bytes, float *y, size_t y_stride,
                             const uint8_t *w, const float *x, size_t x_stride, size_t k, int n) {
    slm_16_floats sums[SLM_ROWS];
    size_t p = 0, rest = k % 16;
    for (int r = 0; r < n; r++)
        for (int i = 0; i < 4; i++)
            sums[r].v[i] = vdupq_n_f32(0);
    for (; p + 16 <= k; p += 16) {
        slm_16_floats u = load(w + p * weight_bytes);
        for (int r = 0; r < n; r++)
            slm_madd_16(&sums[r], &u, x + (size_t)r * x_stride + p);
    }
    if (rest > 0) {
        uint8_t last[64] = {0};
        memcpy(last, w + p * weight_bytes, rest * weight_bytes);
        slm_16_floats u = load(last);
        for (int r = 0; r < n; r++) {
            float values[16] = {0};
            memcpy(values, x + (size_t)r * x_stride + p, rest * sizeof *x);
            slm_madd_16(&sums[r], &u, values);
        }
    }
    for (int r = 0; r < n; r++) {
        const float32x4_t *v = sums[r].v;
        y[(size_t)r * y_stride] =
            vaddvq_f32(vaddq_f32(vaddq_f32(v[0], v[1]), vaddq_f32(v[2], v[3])));
    }
}

#define SLM_DEFINE_F32(type, weight_bytes)                                                         \
    SLM_DOTPROD_MATMUL(slm_matmul_##type##_f32_dotprod) {                                          \
        size_t stride = a_bytes / sizeof(float);                                                   \
        const float *x = a;                                                                        \
        for (size_t i = 0; i < n_w; i++) {                                                         \
            const uint8_t *row = (const uint8_t *)w + i * w_bytes;                                 \
            size_t j = 0;                                                                          \
            for (; j + SLM_ROWS <= n_a; j += SLM_ROWS)                                             \
                slm_dot_rows(slm_load_16_##type, weight_bytes, y + j * y_stride + i, y_stride,     \
                             row, x + j * stride, stride, k, SLM_ROWS);                            \
            for (; j < n_a; j++)                                                                   \
                slm_dot_rows(slm_load_16_##type, weight_bytes, y + j * y_stride + i, y_stride,     \
                             row, x + j * stride, stride, k, 1);                                   \
        }                                                                                          \
    }

#endif
