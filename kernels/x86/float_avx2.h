/* Dot products of floats: rows of weights or of keys by rows of activations or of queries.
 *
 * The order of a sum: lane l of 16 takes the terms at l, l + 16, ... ascending by fused
 * multiply-adds; then lanes are added in pairs 8, 4, 2 and 1 apart. */
#ifndef SLM_X86_FLOAT_AVX2_H
#define SLM_X86_FLOAT_AVX2_H

#include "x86/avx2.h"

/* Values first .. first + 7 of a row. */
typedef __m256 (*slm_load8_fn)(const uint8_t *row, size_t first);

typedef struct slm_float_type {
    slm_load8_fn load8;
    size_t bytes; /* of a value; 0: rows are padded to a multiple of 16 values                   */
} slm_float_type;

SLM_INLINE __m256 slm_load8_f32(const uint8_t *row, size_t first) {
    return _mm256_loadu_ps((const float *)(const void *)(row + 4 * first));
}

SLM_INLINE __m256 slm_load8_f16(const uint8_t *row, size_t first) {
    return _mm256_cvtph_ps(slm_load128(row + 2 * first));
}

SLM_INLINE __m256 slm_load8_bf16(const uint8_t *row, size_t first) {
    const __m256i v = _mm256_cvtepu16_epi32(slm_load128(row + 2 * first));
    return _mm256_castsi256_ps(_mm256_slli_epi32(v, 16));
}

/* Cache rows: the last block is padded. */
SLM_INLINE __m256 slm_load8_q8_0(const uint8_t *row, size_t first) {
    const slm_block_q8_0 *b = (const slm_block_q8_0 *)row + first / 32;
    const __m256 d = _mm256_broadcastss_ps(_mm_cvtph_ps(_mm_cvtsi32_si128(slm_load_i16(b->d))));
    const __m128i q = _mm_loadl_epi64((const __m128i *)(const void *)(b->qs + first % 32));
    return _mm256_mul_ps(d, _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(q)));
}

SLM_INLINE float slm_add_lanes(__m256 low, __m256 high) {
    const __m256 s8 = _mm256_add_ps(low, high);
    const __m128 s4 = _mm_add_ps(_mm256_castps256_ps128(s8), _mm256_extractf128_ps(s8, 1));
    const __m128 s2 = _mm_add_ps(s4, _mm_movehl_ps(s4, s4));
    return _mm_cvtss_f32(_mm_add_ss(s2, _mm_movehdup_ps(s2)));
}

/* Rows of a tile of n_w by n_a; what is beyond is not used. */
typedef struct slm_float_rows {
    const uint8_t *w0, *w1, *w2, *w3, *a0, *a1, *a2;
} slm_float_rows;

/* s0 .. s5: the sums of a tile for half of the lanes. */
typedef struct slm_float_sums {
    __m256 s0, s1, s2, s3, s4, s5;
} slm_float_sums;

/* Adds eight terms. Tiles are 4 by 1, 3 by 2 and 2 by 3. */
SLM_INLINE void slm_float_step(slm_float_type type, size_t n_a, slm_float_sums *s,
                               const slm_float_rows *r, size_t w_first, size_t a_first) {
    const __m256 v0 = type.load8(r->w0, w_first), v1 = type.load8(r->w1, w_first);
    __m256 x = slm_load8_f32(r->a0, a_first);
    s->s0 = _mm256_fmadd_ps(v0, x, s->s0);
    s->s1 = _mm256_fmadd_ps(v1, x, s->s1);
    if (n_a == 3) {
        x = slm_load8_f32(r->a1, a_first);
        s->s2 = _mm256_fmadd_ps(v0, x, s->s2);
        s->s3 = _mm256_fmadd_ps(v1, x, s->s3);
        x = slm_load8_f32(r->a2, a_first);
        s->s4 = _mm256_fmadd_ps(v0, x, s->s4);
        s->s5 = _mm256_fmadd_ps(v1, x, s->s5);
        return;
    }
    const __m256 v2 = type.load8(r->w2, w_first);
    s->s2 = _mm256_fmadd_ps(v2, x, s->s2);
    if (n_a == 2) {
        x = slm_load8_f32(r->a1, a_first);
        s->s3 = _mm256_fmadd_ps(v0, x, s->s3);
        s->s4 = _mm256_fmadd_ps(v1, x, s->s4);
        s->s5 = _mm256_fmadd_ps(v2, x, s->s5);
    } else {
        s->s3 = _mm256_fmadd_ps(type.load8(r->w3, w_first), x, s->s3);
    }
}

/* The rest of a row, with zeros up to 16 values. */
SLM_INLINE const uint8_t *slm_float_rest(uint8_t t[64], const uint8_t *row, size_t at, size_t bytes) {
    memset(t, 0, 64);
    memcpy(t, row + at, bytes);
    return t;
}

/* y[j * y_stride + i] for i < n_w, j < n_a; n_w is 4, 3, 2 for n_a 1, 2, 3, or less. */
SLM_INLINE void slm_float_tile(slm_float_type type, float *y, size_t y_stride, const uint8_t *w,
                               size_t w_bytes, size_t n_w, const uint8_t *a, size_t a_bytes,
                               size_t n_a, size_t k, float scale, size_t ahead) {
    const __m256 zero = _mm256_setzero_ps();
    slm_float_sums low = {zero, zero, zero, zero, zero, zero}, high = low;
    slm_float_rows r;
    r.w0 = w;
    r.w1 = w + (n_w > 1 ? 1 : 0) * w_bytes;
    r.w2 = w + (n_w > 2 ? 2 : 0) * w_bytes;
    r.w3 = w + (n_w > 3 ? 3 : 0) * w_bytes;
    r.a0 = a;
    r.a1 = a + (n_a > 1 ? 1 : 0) * a_bytes;
    r.a2 = a + (n_a > 2 ? 2 : 0) * a_bytes;
    size_t p = 0;
    for (; p + 16 <= k; p += 16) {
        if (ahead)
            slm_prefetch(w + 4 * type.bytes * p, ahead, 64 * type.bytes);
        slm_float_step(type, n_a, &low, &r, p, p);
        slm_float_step(type, n_a, &high, &r, p + 8, p + 8);
    }
    if (p < k) {
        uint8_t t[7][64];
        size_t w_first = p;
        if (type.bytes) {
            const size_t at = type.bytes * p, bytes = type.bytes * (k - p);
            r.w0 = slm_float_rest(t[0], r.w0, at, bytes);
            r.w1 = slm_float_rest(t[1], r.w1, at, bytes);
            r.w2 = slm_float_rest(t[2], r.w2, at, bytes);
            r.w3 = slm_float_rest(t[3], r.w3, at, bytes);
            w_first = 0;
        }
        r.a0 = slm_float_rest(t[4], r.a0, 4 * p, 4 * (k - p));
        r.a1 = slm_float_rest(t[5], r.a1, 4 * p, 4 * (k - p));
        r.a2 = slm_float_rest(t[6], r.a2, 4 * p, 4 * (k - p));
        slm_float_step(type, n_a, &low, &r, w_first, 0);
        slm_float_step(type, n_a, &high, &r, w_first + 8, 8);
    }
    const float sums[6] = {
        scale * slm_add_lanes(low.s0, high.s0), scale * slm_add_lanes(low.s1, high.s1),
        scale * slm_add_lanes(low.s2, high.s2), scale * slm_add_lanes(low.s3, high.s3),
        scale * slm_add_lanes(low.s4, high.s4), scale * slm_add_lanes(low.s5, high.s5)};
    const size_t rows = n_a == 1 ? 4 : n_a == 2 ? 3 : 2;
    for (size_t j = 0; j < n_a; j++)
        for (size_t i = 0; i < n_w; i++)
            y[j * y_stride + i] = sums[j * rows + i];
}

/* n_a (constant) rows of activations by all of w. */
SLM_INLINE void slm_float_pass(slm_float_type type, float *y, size_t y_stride, const uint8_t *w,
                               size_t w_bytes, size_t n_w, const uint8_t *a, size_t a_bytes,
                               size_t n_a, size_t k, float scale, size_t ahead) {
    const size_t rows = n_a == 1 ? 4 : n_a == 2 ? 3 : 2;
    for (size_t i = 0; i < n_w; i += rows)
        slm_float_tile(type, y + i, y_stride, w + i * w_bytes, w_bytes,
                       n_w - i < rows ? n_w - i : rows, a, a_bytes, n_a, k, scale, ahead);
}

/* Weights are passed over in runs that stay in the second-level cache for all activations. */
SLM_INLINE void slm_float_matmul(slm_float_type type, float *y, size_t y_stride, const void *w,
                                 size_t w_bytes, size_t n_w, const void *a, size_t a_bytes,
                                 size_t n_a, size_t k, float scale) {
    const size_t run = n_a <= 3 ? n_w : (96 * 1024 / (w_bytes + 1) / 12 + 1) * 12;
    const size_t ahead = slm_ahead(w_bytes);
    for (size_t i = 0; i < n_w; i += run) {
        const size_t n = n_w - i < run ? n_w - i : run;
        const uint8_t *rows = (const uint8_t *)w + i * w_bytes, *x = a;
        float *out = y + i;
        size_t left = n_a;
        for (; left == 3 || left > 4; left -= 3, x += 3 * a_bytes, out += 3 * y_stride)
            slm_float_pass(type, out, y_stride, rows, w_bytes, n, x, a_bytes, 3, k, scale, 0);
        for (; left >= 2; left -= 2, x += 2 * a_bytes, out += 2 * y_stride)
            slm_float_pass(type, out, y_stride, rows, w_bytes, n, x, a_bytes, 2, k, scale, 0);
        if (left)
            slm_float_pass(type, out, y_stride, rows, w_bytes, n, x, a_bytes, 1, k, scale,
                           n_a == 1 ? ahead : 0);
    }
}

#endif
