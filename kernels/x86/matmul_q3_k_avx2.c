#include "x86/k_quant_avx2.h"
#include "x86/level_avx2.h"

/* (Level + 4) of the weights at 32f (f < 4) of half n, times 4 for odd f, which saves shifts; their
 * scales make up for it, so that sums come out times 4. t: low bits, two each; bit 4n + f of a byte
 * of h is the third. */
SLM_INLINE __m256i levels(__m256i t, __m256i h, int n, int f) {
    const int to = f % 2 ? 4 : 2, from = 4 * n + f;
    if (f >= 2)
        t = _mm256_srli_epi16(t, 4);
    if (from < to)
        h = _mm256_slli_epi16(h, to - from);
    else if (from > to)
        h = _mm256_srli_epi16(h, from - to);
    return _mm256_or_si256(_mm256_and_si256(t, _mm256_set1_epi8(f % 2 ? 12 : 3)),
                           _mm256_and_si256(h, _mm256_set1_epi8(f % 2 ? 16 : 4)));
}

/* The 16 scales, byte s % 4 of each lane of scales[s / 4]; d. The 14 bytes of both end the block:
 * 16 bytes are read from two before. */
SLM_INLINE __m256 load_scales(__m256i scales[4], const slm_rows8 *rows, size_t offset) {
    const __m256i low = _mm256_set1_epi8(15), high = _mm256_set1_epi8(48);
    const __m256i bias = _mm256_set1_epi8(32);
    __m256i t[4], b[4];
    slm_transpose16(t, rows, offset + offsetof(slm_block_q3_k, scales) - 2);
    for (int i = 0; i < 3; i++)
        b[i] = _mm256_or_si256(_mm256_srli_epi32(t[i], 16), _mm256_slli_epi32(t[i + 1], 16));
    scales[0] = _mm256_or_si256(_mm256_and_si256(b[0], low),
                                _mm256_and_si256(_mm256_slli_epi16(b[2], 4), high));
    scales[1] = _mm256_or_si256(_mm256_and_si256(b[1], low),
                                _mm256_and_si256(_mm256_slli_epi16(b[2], 2), high));
    scales[2] = _mm256_or_si256(_mm256_and_si256(_mm256_srli_epi16(b[0], 4), low),
                                _mm256_and_si256(b[2], high));
    scales[3] = _mm256_or_si256(_mm256_and_si256(_mm256_srli_epi16(b[1], 4), low),
                                _mm256_and_si256(_mm256_srli_epi16(b[2], 2), high));
    for (int i = 0; i < 4; i++)
        scales[i] = _mm256_sub_epi8(scales[i], bias);
    const __m256i d = _mm256_permute4x64_epi64(
        _mm256_packus_epi32(_mm256_srli_epi32(t[3], 16), _mm256_setzero_si256()), 0xd8);
    return _mm256_cvtph_ps(_mm256_castsi256_si128(d));
}

/* For the sub-block s, with f = s / 2 % 4. */
SLM_INLINE __m256i scale_of(const __m256i scales[4], int s) {
    const __m256i scale = slm_spread_i8(scales[s / 4], s % 4);
    return s / 2 % 2 ? scale : _mm256_slli_epi16(scale, 2);
}

/* sum: times 4. low: scales times activation sums, for the 4 by which the levels are too large. */
SLM_INLINE __m256 finish(__m256 acc, __m256 d, __m256 dmin, __m256i sum, __m256i low,
                         const slm_act_q8_k *a) {
    (void)dmin;
    sum = _mm256_sub_epi32(_mm256_srai_epi32(sum, 2), _mm256_slli_epi32(low, 2));
    return slm_add_scaled(acc, d, _mm256_set1_ps(a->d), sum);
}

SLM_INLINE __m256 dot(__m256 acc, const slm_rows8 *rows, size_t offset, const void *act) {
    const slm_act_q8_k *a = act;
    __m256i scales[4], h[8], sum = _mm256_setzero_si256(), low = sum;
    const __m256 d = load_scales(scales, rows, offset);
    slm_transpose32(h, rows, offset + offsetof(slm_block_q3_k, hmask));
    SLM_UNROLL
    for (int n = 0; n < 2; n++)
        SLM_UNROLL
        for (int part = 0; part < 2; part++) {
            __m256i t[4];
            slm_transpose16(t, rows, offset + offsetof(slm_block_q3_k, qs) + 32 * (size_t)n +
                                         16 * (size_t)part);
            SLM_UNROLL
            for (int f = 0; f < 4; f++) { /* a sub-block; 4 * 2 * 28 * 127 fits 16 bits */
                const int s = 8 * n + 2 * f + part;
                const int8_t *x = a->q + 16 * s;
                __m256i sum0 = slm_products(levels(t[0], h[4 * part], n, f), x, 0);
                SLM_UNROLL
                for (int j = 1; j < 4; j++)
                    sum0 = slm_add_products(sum0, levels(t[j], h[4 * part + j], n, f), x + 4 * j);
                sum = slm_add_madd(sum, sum0, scale_of(scales, s));
            }
        }
    SLM_UNROLL
    for (int i = 0; i < 8; i++)
        low = slm_add_madd(low, slm_widen_i8(scales[i / 2], 2 * (i % 2)),
                           slm_bcast4(a->bsums + 2 * i));
    return finish(acc, d, d, sum, low, a);
}

SLM_INLINE void unpack(slm_panel *panel, const slm_rows8 *rows, size_t offset, size_t n_blocks) {
    __m256i scales[4], h[8];
    (void)n_blocks;
    panel->d[0] = panel->m[0] = load_scales(scales, rows, offset);
    SLM_UNROLL
    for (int s = 0; s < 16; s++)
        panel->scale[s] = scale_of(scales, s);
    SLM_UNROLL
    for (int i = 0; i < 8; i++)
        panel->min[i] = slm_widen_i8(scales[i / 2], 2 * (i % 2));
    slm_transpose32(h, rows, offset + offsetof(slm_block_q3_k, hmask));
    SLM_UNROLL
    for (int n = 0; n < 2; n++) {
        __m256i t[8], *q = panel->q + 32 * n;
        slm_transpose32(t, rows, offset + offsetof(slm_block_q3_k, qs) + 32 * (size_t)n);
        SLM_UNROLL
        for (int f = 0; f < 4; f++)
            for (int j = 0; j < 8; j++)
                q[8 * f + j] = levels(t[j], h[j], n, f);
    }
}

SLM_INLINE void multiply(__m256 *acc, const slm_panel *panel, const slm_prepared *prepared,
                         const uint8_t *a, size_t a_bytes, size_t n_a, size_t n) {
    (void)prepared, (void)n;
    slm_multiply_k16(acc, panel, a, a_bytes, n_a, 4, finish);
}

SLM_AVX2_MATMUL(slm_matmul_q3_k_q8_k_avx2) {
    const slm_panel_type type = {.block = 256,
                                 .block_bytes = sizeof(slm_block_q3_k),
                                 .act_bytes = sizeof(slm_act_q8_k),
                                 .dot = dot,
                                 .unpack = unpack,
                                 .multiply = multiply};
    slm_matmul_panels(type, y, y_stride, w, w_bytes, n_w, a, a_bytes, n_a, k);
}
