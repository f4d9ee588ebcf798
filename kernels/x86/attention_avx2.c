/* Cache rows. Rows are stored with the bytes of ref/attention.c; scores are dot products of floats
 * as in float_avx2.h, times scale; values take one accumulator an output and fused multiply-adds. */
#include "x86/float_avx2.h"
#include "x86/level_avx2.h"
#include "x86/quantize_avx2.h"

void slm_kv_store_f16_avx2(void *row, const float *x, size_t d) {
    uint8_t *p = row;
    size_t i = 0;
    for (; i + 8 <= d; i += 8)
        _mm_storeu_si128((__m128i *)(void *)(p + 2 * i),
                         _mm256_cvtps_ph(_mm256_loadu_ps(x + i), _MM_FROUND_TO_NEAREST_INT));
    if (i < d) {
        float t[8] = {0};
        uint16_t h[8];
        memcpy(t, x + i, (d - i) * sizeof *x);
        _mm_storeu_si128((__m128i *)(void *)h,
                         _mm256_cvtps_ph(_mm256_loadu_ps(t), _MM_FROUND_TO_NEAREST_INT));
        memcpy(p + 2 * i, h, (d - i) * sizeof *h);
    }
}

void slm_kv_store_q8_0_avx2(void *row, const float *x, size_t d) {
    slm_block_q8_0 *b = row;
    for (size_t i = 0; i < d; i += 32, b++) {
        int8_t q[32];
        const float scale = slm_quantize_32(q, x + i, d - i < 32 ? d - i : 32);
        const uint16_t h = slm_f32_to_f16(scale);
        memcpy(b->qs, q, sizeof q);
        memcpy(b->d, &h, sizeof h);
    }
}

/* Weights of a position for up to four heads, and their sums of 16 columns. */
typedef struct value_sums {
    __m256 l0, h0, l1, h1, l2, h2, l3, h3;
} value_sums;

SLM_INLINE void load_sums(value_sums *s, const float *o, size_t o_stride, size_t n_q) {
    const float *o1 = o + (n_q > 1 ? o_stride : 0), *o2 = o + (n_q > 2 ? 2 * o_stride : 0);
    const float *o3 = o + (n_q > 3 ? 3 * o_stride : 0);
    s->l0 = _mm256_loadu_ps(o), s->h0 = _mm256_loadu_ps(o + 8);
    s->l1 = _mm256_loadu_ps(o1), s->h1 = _mm256_loadu_ps(o1 + 8);
    s->l2 = _mm256_loadu_ps(o2), s->h2 = _mm256_loadu_ps(o2 + 8);
    s->l3 = _mm256_loadu_ps(o3), s->h3 = _mm256_loadu_ps(o3 + 8);
}

SLM_INLINE void store_sums(const value_sums *s, float *o, size_t o_stride, size_t n_q) {
    _mm256_storeu_ps(o, s->l0), _mm256_storeu_ps(o + 8, s->h0);
    o += o_stride;
    if (n_q > 1)
        _mm256_storeu_ps(o, s->l1), _mm256_storeu_ps(o + 8, s->h1);
    if (n_q > 2)
        _mm256_storeu_ps(o + o_stride, s->l2), _mm256_storeu_ps(o + o_stride + 8, s->h2);
    if (n_q > 3)
        _mm256_storeu_ps(o + 2 * o_stride, s->l3), _mm256_storeu_ps(o + 2 * o_stride + 8, s->h3);
}

/* Columns first .. first + 15 of n_k positions for n_q (constant) heads. */
SLM_INLINE void add_values(slm_load8_fn load8, value_sums *s, const float *p, size_t p_stride,
                           size_t n_q, const uint8_t *v, size_t v_bytes, size_t n_k, size_t first) {
    for (size_t t = 0; t < n_k; t++) {
        const __m256 v0 = load8(v + t * v_bytes, first), v1 = load8(v + t * v_bytes, first + 8);
        __m256 w = _mm256_broadcast_ss(p + t);
        s->l0 = _mm256_fmadd_ps(w, v0, s->l0);
        s->h0 = _mm256_fmadd_ps(w, v1, s->h0);
        if (n_q > 1) {
            w = _mm256_broadcast_ss(p + p_stride + t);
            s->l1 = _mm256_fmadd_ps(w, v0, s->l1);
            s->h1 = _mm256_fmadd_ps(w, v1, s->h1);
        }
        if (n_q > 2) {
            w = _mm256_broadcast_ss(p + 2 * p_stride + t);
            s->l2 = _mm256_fmadd_ps(w, v0, s->l2);
            s->h2 = _mm256_fmadd_ps(w, v1, s->h2);
        }
        if (n_q > 3) {
            w = _mm256_broadcast_ss(p + 3 * p_stride + t);
            s->l3 = _mm256_fmadd_ps(w, v0, s->l3);
            s->h3 = _mm256_fmadd_ps(w, v1, s->h3);
        }
    }
}

/* All columns for n_q (constant) heads. */
SLM_INLINE void values_of(slm_float_type type, float *o, size_t o_stride, const float *p,
                          size_t p_stride, size_t n_q, const uint8_t *v, size_t v_bytes, size_t n_k,
                          size_t d) {
    value_sums s;
    size_t first = 0;
    for (; first + 16 <= d; first += 16) {
        load_sums(&s, o + first, o_stride, n_q);
        add_values(type.load8, &s, p, p_stride, n_q, v, v_bytes, n_k, first);
        store_sums(&s, o + first, o_stride, n_q);
    }
    if (first == d)
        return;
    float out[4][16] = {{0}};
    for (size_t h = 0; h < n_q; h++)
        memcpy(out[h], o + h * o_stride + first, (d - first) * sizeof *o);
    load_sums(&s, out[0], 16, n_q);
    for (size_t t = 0; t < n_k; t++) {
        const uint8_t *row = v + t * v_bytes;
        uint8_t rest[64];
        if (type.bytes)
            row = slm_float_rest(rest, row, type.bytes * first, type.bytes * (d - first));
        add_values(type.load8, &s, p + t, p_stride, n_q, row, 0, 1, type.bytes ? 0 : first);
    }
    store_sums(&s, out[0], 16, n_q);
    for (size_t h = 0; h < n_q; h++)
        memcpy(o + h * o_stride + first, out[h], (d - first) * sizeof *o);
}

/* Positions in runs that stay in the first-level cache for all columns and heads. */
SLM_INLINE void values(slm_float_type type, float *o, size_t o_stride, const float *p,
                       size_t p_stride, size_t n_q, const void *v, size_t v_bytes, size_t n_k,
                       size_t d) {
    const size_t run = 16 * 1024 / (v_bytes + 1) + 1;
    for (size_t t = 0; t < n_k; t += run) {
        const size_t n = n_k - t < run ? n_k - t : run;
        const uint8_t *rows = (const uint8_t *)v + t * v_bytes;
        size_t h = 0;
        for (; h + 4 <= n_q; h += 4)
            values_of(type, o + h * o_stride, o_stride, p + h * p_stride + t, p_stride, 4, rows,
                      v_bytes, n, d);
        if (n_q - h == 3)
            values_of(type, o + h * o_stride, o_stride, p + h * p_stride + t, p_stride, 3, rows,
                      v_bytes, n, d);
        else if (n_q - h == 2)
            values_of(type, o + h * o_stride, o_stride, p + h * p_stride + t, p_stride, 2, rows,
                      v_bytes, n, d);
        else if (n_q - h == 1)
            values_of(type, o + h * o_stride, o_stride, p + h * p_stride + t, p_stride, 1, rows,
                      v_bytes, n, d);
    }
}

#define DEFINE(name, bytes)                                                                       \
    SLM_AVX2_KV_SCORES(slm_kv_scores_##name##_avx2) {                                             \
        const slm_float_type type = {slm_load8_##name, bytes};                                    \
        slm_float_matmul(type, s, s_stride, k, k_bytes, n_k, q, q_stride * sizeof(float), n_q, d, \
                         scale);                                                                  \
    }                                                                                             \
    SLM_AVX2_KV_VALUES(slm_kv_values_##name##_avx2) {                                             \
        const slm_float_type type = {slm_load8_##name, bytes};                                    \
        values(type, o, o_stride, p, p_stride, n_q, v, v_bytes, n_k, d);                          \
    }
DEFINE(f16, 2)
DEFINE(q8_0, 0)
DEFINE(f32, 4)
