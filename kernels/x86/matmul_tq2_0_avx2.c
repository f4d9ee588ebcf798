#include "x86/level_avx2.h"
#include "x86/ternary_avx2.h"

SLM_INLINE __m256i dot_codes(const slm_rows8 *rows, size_t offset, const int8_t *x) {
    __m256i even = _mm256_setzero_si256(), odd = even;
    SLM_UNROLL
    for (size_t i = 0; i < 4; i++) /* 16 bytes; 4 * 8 * 2 * 3 * 127 fits 16 bits */
        slm_dot_codes(&even, &odd, rows, offset + 16 * i, x + 128 * (i / 2) + 16 * (i % 2), 32);
    return slm_join_codes(even, odd);
}

SLM_INLINE void unpack_codes(__m256i *q, const slm_rows8 *rows, size_t offset) {
    for (int n = 0; n < 2; n++, q += 32) {
        __m256i t[8];
        slm_transpose32(t, rows, offset + 32 * (size_t)n);
        SLM_UNROLL
        for (int f = 0; f < 4; f++)
            for (int j = 0; j < 8; j++)
                q[8 * f + j] = slm_codes(t[j], f);
    }
}

SLM_AVX2_TERNARY(tq2_0, dot_codes, unpack_codes)
