#include "x86/k_quant_avx2.h"
#include "x86/level_avx2.h"

/* Levels of the weights at 32f (f < 4) of a half, times 4 for odd f, which saves shifts; their
 * scales make up for it, so that sums come out times 4. */
SLM_INLINE __m256i levels(__m256i t, int f) {
    if (f >= 2)
        t = _mm256_srli_epi16(t, 4);
    return _mm256_and_si256(t, _mm256_set1_epi8(f % 2 ? 12 : 3));
}

typedef struct scales_t {
    __m256i scale[4], scale4[4], min[4]; /* byte s % 4 of lanes of [s / 4]; scale4 = 4 * scale   */
    __m256 d, dmin;
} scales_t;

SLM_INLINE scales_t load_scales(const slm_rows8 *rows, size_t offset) {
    scales_t s;
    __m256i t[4];
    slm_split_halves(&s.d, &s.dmin, slm_load_dwords(rows, offset + offsetof(slm_block_q2_k, d)));
    slm_transpose16(t, rows, offset + offsetof(slm_block_q2_k, scales));
    SLM_UNROLL
    for (int i = 0; i < 4; i++) {
        slm_nibbles(s.scale + i, s.min + i, t[i]);
        s.scale4[i] = _mm256_slli_epi16(s.scale[i], 2);
    }
    return s;
}

SLM_INLINE __m256i scale_of(const scales_t *t, int s) {
    return slm_spread_u8((s / 2 % 2 ? t->scale : t->scale4)[s / 4], s % 4);
}

SLM_INLINE __m256 finish(__m256 acc, __m256 d, __m256 dmin, __m256i sum, __m256i low,
                         const slm_act_q8_k *a) {
    const __m256 da = _mm256_set1_ps(a->d);
    acc = slm_add_scaled(acc, d, da, _mm256_srai_epi32(sum, 2));
    return slm_sub_scaled(acc, dmin, da, low);
}

SLM_INLINE __m256 dot(__m256 acc, const slm_rows8 *rows, size_t offset, const void *act) {
    const slm_act_q8_k *a = act;
    const scales_t scales = load_scales(rows, offset);
    __m256i sum = _mm256_setzero_si256(), low = sum;
    SLM_UNROLL
    for (int n = 0; n < 2; n++)
        SLM_UNROLL
        for (int part = 0; part < 2; part++) {
            __m256i t[4];
            slm_transpose16(t, rows, offset + offsetof(slm_block_q2_k, qs) + 32 * (size_t)n +
                                         16 * (size_t)part);
            SLM_UNROLL
            for (int f = 0; f < 4; f++) { /* a sub-block */
                const int s = 8 * n + 2 * f + part;
                const int8_t *x = a->q + 16 * s;
                __m256i sum0 = slm_products(levels(t[0], f), x, 0);
                SLM_UNROLL
                for (int j = 1; j < 4; j++)
                    sum0 = slm_add_products(sum0, levels(t[j], f), x + 4 * j);
                sum = slm_add_madd(sum, sum0, scale_of(&scales, s));
            }
        }
    SLM_UNROLL
    for (int i = 0; i < 8; i++)
        low = slm_add_madd(low, slm_widen_u8(scales.min[i / 2], 2 * (i % 2)),
                           slm_bcast4(a->bsums + 2 * i));
    return finish(acc, scales.d, scales.dmin, sum, low, a);
}

SLM_INLINE void unpack(slm_panel *panel, const slm_rows8 *rows, size_t offset, size_t n_blocks) {
    const scales_t scales = load_scales(rows, offset);
    (void)n_blocks;
    panel->d[0] = scales.d;
    panel->m[0] = scales.dmin;
    SLM_UNROLL
    for (int s = 0; s < 16; s++)
        panel->scale[s] = scale_of(&scales, s);
    SLM_UNROLL
    for (int i = 0; i < 8; i++)
        panel->min[i] = slm_widen_u8(scales.min[i / 2], 2 * (i % 2));
    SLM_UNROLL
    for (int n = 0; n < 2; n++) {
        __m256i t[8], *q = panel->q + 32 * n;
        slm_transpose32(t, rows, offset + offsetof(slm_block_q2_k, qs) + 32 * (size_t)n);
        SLM_UNROLL
        for (int f = 0; f < 4; f++)
            for (int j = 0; j < 8; j++)
                q[8 * f + j] = levels(t[j], f);
    }
}

SLM_INLINE void multiply(__m256 *acc, const slm_panel *panel, const slm_prepared *prepared,
                         const uint8_t *a, size_t a_bytes, size_t n_a, size_t n) {
    (void)prepared, (void)n;
    slm_multiply_k16(acc, panel, a, a_bytes, n_a, 4, finish);
}

SLM_AVX2_MATMUL(slm_matmul_q2_k_q8_k_avx2) {
    const slm_panel_type type = {.block = 256,
                                 .block_bytes = sizeof(slm_block_q2_k),
                                 .act_bytes = sizeof(slm_act_q8_k),
                                 .dot = dot,
                                 .unpack = unpack,
                                 .multiply = multiply};
    slm_matmul_panels(type, y, y_stride, w, w_bytes, n_w, a, a_bytes, n_a, k);
}
