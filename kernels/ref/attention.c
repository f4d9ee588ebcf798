/* Cache rows. Scores: the order of slm_dot_lanes, then times scale. Values: one accumulator an
 * output, t ascending, a product and a sum each. A Q8_0 value is d * q, rounded once. */
#include "ref.h"

void slm_kv_store_f32_ref(void *row, const float *x, size_t d) {
    memcpy(row, x, d * sizeof *x);
}

void slm_kv_store_f16_ref(void *row, const float *x, size_t d) {
    uint8_t *p = row;
    for (size_t i = 0; i < d; i++) {
        uint16_t h = slm_f32_to_f16(x[i]);
        memcpy(p + 2 * i, &h, sizeof h);
    }
}

/* As SLM_ACT_Q8_0, with the scale rounded to half precision. */
void slm_kv_store_q8_0_ref(void *row, const float *x, size_t d) {
    slm_block_q8_0 *b = row;
    for (size_t i = 0; i < d; i += 32, b++) {
        size_t n = d - i < 32 ? d - i : 32;
        uint32_t bits = slm_max_abs_bits(x + i, n);
        memset(b->qs, 0, sizeof b->qs);
        slm_store_u16(b->d, bits >= 0x7f800000u ? 0x7e00u : 0u);
        if (bits >= 0x7f800000u || bits < 0x0d800000u)
            continue;
        float max = slm_bits_float(bits), scale = 127.0f / max;
        slm_store_u16(b->d, slm_f32_to_f16(max / 127.0f));
        for (size_t j = 0; j < n; j++)
            b->qs[j] = (int8_t)slm_round_even(x[i + j] * scale);
    }
}

typedef void (*load_fn)(float *x, const void *row, size_t first, size_t n);

SLM_INLINE void load_f16(float *x, const void *row, size_t first, size_t n) {
    slm_dequantize_f16_ref(x, (const uint8_t *)row + 2 * first, n);
}

SLM_INLINE void load_q8_0(float *x, const void *row, size_t first, size_t n) {
    const slm_block_q8_0 *b = (const slm_block_q8_0 *)row + first / 32;
    slm_dequantize_q8_0_ref(x, b, (n + 31) / 32 * 32);
}

SLM_INLINE void load_f32(float *x, const void *row, size_t first, size_t n) {
    memcpy(x, (const uint8_t *)row + 4 * first, 4 * n);
}

SLM_INLINE void scores(load_fn load, float *s, size_t s_stride, const float *q, size_t q_stride,
                       size_t n_q, const void *k, size_t k_bytes, size_t n_k, size_t d,
                       float scale) {
    for (size_t t = 0; t < n_k; t++) {
        const uint8_t *row = (const uint8_t *)k + t * k_bytes;
        for (size_t h0 = 0; h0 < n_q; h0 += SLM_REF_TILE) {
            size_t tile = n_q - h0 < SLM_REF_TILE ? n_q - h0 : SLM_REF_TILE;
            float lanes[SLM_REF_TILE][16] = {{0}};
            for (size_t p = 0; p < d; p += SLM_REF_PIECE) {
                size_t n = d - p < SLM_REF_PIECE ? d - p : SLM_REF_PIECE;
                float piece[SLM_REF_PIECE];
                load(piece, row, p, n);
                for (size_t h = 0; h < tile; h++)
                    slm_dot_lanes(lanes[h], piece, q + (h0 + h) * q_stride + p, n);
            }
            for (size_t h = 0; h < tile; h++)
                s[(h0 + h) * s_stride + t] = scale * slm_add_lanes(lanes[h]);
        }
    }
}

SLM_INLINE void values(load_fn load, float *restrict o, size_t o_stride, const float *restrict p,
                       size_t p_stride, size_t n_q, const void *v, size_t v_bytes, size_t n_k,
                       size_t d) {
    for (size_t t = 0; t < n_k; t++) {
        const uint8_t *row = (const uint8_t *)v + t * v_bytes;
        for (size_t first = 0; first < d; first += SLM_REF_PIECE) {
            size_t n = d - first < SLM_REF_PIECE ? d - first : SLM_REF_PIECE;
            float piece[SLM_REF_PIECE];
            load(piece, row, first, n);
            for (size_t h = 0; h < n_q; h++) {
                float *restrict out = o + h * o_stride + first;
                float weight = p[h * p_stride + t];
                for (size_t i = 0; i < n; i++)
                    out[i] += weight * piece[i];
            }
        }
    }
}

#define DEFINE(type)                                                                               \
    SLM_REF_KV_SCORES(slm_kv_scores_##type##_ref) {                                                \
        scores(load_##type, s, s_stride, q, q_stride, n_q, k, k_bytes, n_k, d, scale);             \
    }                                                                                              \
    SLM_REF_KV_VALUES(slm_kv_values_##type##_ref) {                                                \
        values(load_##type, o, o_stride, p, p_stride, n_q, v, v_bytes, n_k, d);                    \
    }
DEFINE(f16)
DEFINE(q8_0)
DEFINE(f32)
