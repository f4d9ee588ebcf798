#include "x86/level_avx2.h"
#include "x86/ternary_avx2.h"

/* The first digit of bytes b is b * 3 >> 8: 1 from 86 on, 2 from 171 on; multiplying by 3 modulo
 * 256 brings up the next. t = b - 128, which multiplying by 3 leaves so. */
SLM_INLINE __m256i first_digit(__m256i t) {
    const __m256i one = _mm256_cmpgt_epi8(t, _mm256_set1_epi8(85 - 128));
    const __m256i two = _mm256_cmpgt_epi8(t, _mm256_set1_epi8(170 - 128));
    return _mm256_abs_epi8(_mm256_add_epi8(one, two));
}

SLM_INLINE __m256i next_digit(__m256i t) { return _mm256_add_epi8(t, _mm256_add_epi8(t, t)); }

/* The 13 vectors of four bytes: for i < 12, bytes 4i .. of qs; qh. */
SLM_INLINE void load_part(__m256i t[4], const slm_rows8 *rows, size_t offset, int part) {
    const __m256i bias = _mm256_set1_epi8(-128);
    slm_transpose16(t, rows, offset + 16 * (size_t)part);
    for (int j = 0; j < 4; j++)
        t[j] = _mm256_xor_si256(t[j], bias);
}

SLM_INLINE __m256i load_last(const slm_rows8 *rows, size_t offset) {
    return _mm256_xor_si256(slm_load_dwords(rows, offset + offsetof(slm_block_tq1_0, qh)),
                            _mm256_set1_epi8(-128));
}

SLM_INLINE __m256i dot_codes(const slm_rows8 *rows, size_t offset, const int8_t *x) {
    __m256i t[4], sum = _mm256_setzero_si256(); /* 64 * 2 * 2 * 127 fits 16 bits */
    SLM_UNROLL
    for (int part = 0; part < 3; part++) {
        load_part(t, rows, offset, part);
        SLM_UNROLL
        for (int n = 0; n < 5; n++) {
            const int8_t *xn = x + (part < 2 ? 32 * n + 16 * part : 160 + 16 * n);
            SLM_UNROLL
            for (int j = 0; j < 4; j++) {
                sum = slm_add_products(sum, first_digit(t[j]), xn + 4 * j);
                t[j] = next_digit(t[j]);
            }
        }
    }
    t[0] = load_last(rows, offset);
    SLM_UNROLL
    for (int n = 0; n < 4; n++) {
        sum = slm_add_products(sum, first_digit(t[0]), x + 240 + 4 * n);
        t[0] = next_digit(t[0]);
    }
    return _mm256_madd_epi16(sum, _mm256_set1_epi16(1));
}

SLM_INLINE void unpack_codes(__m256i *q, const slm_rows8 *rows, size_t offset) {
    __m256i t[4];
    SLM_UNROLL
    for (int part = 0; part < 3; part++) {
        load_part(t, rows, offset, part);
        SLM_UNROLL
        for (int n = 0; n < 5; n++) {
            __m256i *qn = q + (part < 2 ? 8 * n + 4 * part : 40 + 4 * n);
            for (int j = 0; j < 4; j++) {
                qn[j] = first_digit(t[j]);
                t[j] = next_digit(t[j]);
            }
        }
    }
    t[0] = load_last(rows, offset);
    for (int n = 0; n < 4; n++) {
        q[60 + n] = first_digit(t[0]);
        t[0] = next_digit(t[0]);
    }
}

SLM_AVX2_TERNARY(tq1_0, dot_codes, unpack_codes)
