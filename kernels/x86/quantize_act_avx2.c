/* Activation rows: the bytes of ref/quantize_act.c. */
#include "x86/quantize_avx2.h"
#include "x86/level_avx2.h"

static void clear_tail(void *a, slm_act act, size_t k, size_t used) {
    memset((uint8_t *)a + used, 0, slm_act_row_bytes(act, k) - used);
}

void slm_quantize_act_q8_0_avx2(void *a, const float *x, size_t k) {
    slm_act_q8_0 *b = a;
    for (size_t i = 0; i < k; i += 32, b++) {
        b->d = slm_quantize_32(b->q, x + i, k - i < 32 ? k - i : 32);
        if (b->d != b->d)
            b->sum = b->d;
        else
            b->sum = b->d * (float)_mm256_cvtsi256_si32(slm_sum_32(b->q));
    }
    clear_tail(a, SLM_ACT_Q8_0, k, (size_t)((uint8_t *)b - (uint8_t *)a));
}

void slm_quantize_act_q8_k_avx2(void *a, const float *x, size_t k) {
    slm_act_q8_k *b = a;
    for (size_t i = 0; i < k; i += 256, b++) {
        const size_t n = k - i < 256 ? k - i : 256;
        const uint32_t bits = slm_max_bits(x + i, n);
        memset(b, 0, sizeof *b);
        if (bits >= SLM_INF_BITS || bits < SLM_SMALL_BITS) {
            const uint32_t d = bits >= SLM_INF_BITS ? SLM_NAN_BITS : 0;
            memcpy(&b->d, &d, sizeof d);
            continue;
        }
        float max;
        memcpy(&max, &bits, sizeof max);
        slm_round_bytes(b->q, x + i, n, 127.0f / max);
        b->d = max / 127.0f;
        const __m256i ones = _mm256_set1_epi8(1), ones16 = _mm256_set1_epi16(1);
        for (int s = 0; s < 16; s += 4) { /* 64 values: four sums */
            const __m256i p0 = _mm256_maddubs_epi16(ones, slm_load(b->q + 16 * s));
            const __m256i p1 = _mm256_maddubs_epi16(ones, slm_load(b->q + 16 * s + 32));
            __m256i v = _mm256_hadd_epi32(_mm256_madd_epi16(p0, ones16),
                                          _mm256_madd_epi16(p1, ones16));
            v = _mm256_hadd_epi32(v, v); /* of each half: sums s, s + 2 and s + 1, s + 3 */
            const __m128i sums = _mm_unpacklo_epi32(_mm256_castsi256_si128(v),
                                                    _mm256_extracti128_si256(v, 1));
            _mm_storel_epi64((__m128i *)(void *)(b->bsums + s), _mm_packs_epi32(sums, sums));
        }
    }
}

void slm_quantize_act_i8_row_avx2(void *a, const float *x, size_t k) {
    slm_act_i8_header *h = a;
    int8_t *q = (int8_t *)(h + 1);
    const uint32_t bits = slm_max_bits(x, k);
    memset(h, 0, sizeof *h);
    clear_tail(a, SLM_ACT_I8_ROW, k, sizeof *h);
    if (bits >= SLM_INF_BITS) {
        const uint32_t nan = SLM_NAN_BITS;
        memcpy(&h->inv, &nan, sizeof nan);
        return;
    }
    float max;
    memcpy(&max, &bits, sizeof max);
    const float scale = 127.0f / (max > 1e-5f ? max : 1e-5f);
    slm_round_bytes(q, x, k, scale);
    h->inv = 1.0f / scale;
    __m256i sum = _mm256_setzero_si256();
    const __m256i ones = _mm256_set1_epi8(1), ones16 = _mm256_set1_epi16(1);
    size_t i = 0;
    for (; i + 32 <= k; i += 32)
        sum = slm_add_madd(sum, _mm256_maddubs_epi16(ones, slm_load(q + i)), ones16);
    h->sum = _mm256_cvtsi256_si32(slm_sum_lanes(sum));
    for (; i < k; i++)
        h->sum += q[i];
}
