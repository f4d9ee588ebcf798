/* The values of IQ4_NL and IQ4_XS. */
#ifndef SLM_X86_IQ4_AVX2_H
#define SLM_X86_IQ4_AVX2_H

#include "x86/avx2.h"

SLM_INLINE void slm_iq4_values2(__m256i *low, __m256i *high, __m256i v) {
    const __m256i table = _mm256_broadcastsi128_si256(_mm_setr_epi8(
        -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113));
    slm_nibbles(low, high, v);
    *low = _mm256_shuffle_epi8(table, *low);
    *high = _mm256_shuffle_epi8(table, *high);
}

#endif
