/* Cache rows, with the bytes of ref/attention.c. */
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
