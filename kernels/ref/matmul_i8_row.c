/* All weight types by I8_ROW activations.
 *   I2_S          inv * (exact integer sum): every level gives the same bits.
 *   TQ1_0, TQ2_0  per block, ascending, one accumulator takes d * (exact integer sum); at the end
 *                 it is multiplied by inv.
 *   all others    dequantised weights times the integers as floats in the order of slm_dot_lanes;
 *                 at the end the sum is multiplied by inv. */
#include "ref.h"

SLM_INLINE const slm_act_i8_header *act_row(const void *a, size_t a_bytes, size_t j) {
    return (const slm_act_i8_header *)((const uint8_t *)a + j * a_bytes);
}

SLM_INLINE const int8_t *act_values(const slm_act_i8_header *h) {
    return (const int8_t *)(h + 1);
}

SLM_INLINE void matmul(slm_dequantize_fn dequantize, size_t block, size_t block_bytes, float *y,
                       size_t y_stride, const void *w, size_t w_bytes, size_t n_w, const void *a,
                       size_t a_bytes, size_t n_a, size_t k) {
    for (size_t i = 0; i < n_w; i++) {
        const uint8_t *row = (const uint8_t *)w + i * w_bytes;
        for (size_t j0 = 0; j0 < n_a; j0 += SLM_REF_TILE) {
            size_t tile = n_a - j0 < SLM_REF_TILE ? n_a - j0 : SLM_REF_TILE;
            float lanes[SLM_REF_TILE][16] = {{0}};
            for (size_t p = 0; p < k; p += SLM_REF_PIECE) {
                size_t n = k - p < SLM_REF_PIECE ? k - p : SLM_REF_PIECE;
                float piece[SLM_REF_PIECE], x[SLM_REF_PIECE];
                dequantize(piece, row + p / block * block_bytes, n);
                for (size_t j = 0; j < tile; j++) {
                    const int8_t *q = act_values(act_row(a, a_bytes, j0 + j)) + p;
                    for (size_t l = 0; l < n; l++)
                        x[l] = (float)q[l];
                    slm_dot_lanes(lanes[j], piece, x, n);
                }
            }
            for (size_t j = 0; j < tile; j++)
                y[(j0 + j) * y_stride + i] =
                    act_row(a, a_bytes, j0 + j)->inv * slm_add_lanes(lanes[j]);
        }
    }
}

#define DEFINE(type, block, bytes)                                                                 \
    SLM_REF_MATMUL(slm_matmul_##type##_i8_row_ref) {                                               \
        matmul(slm_dequantize_##type##_ref, block, bytes, y, y_stride, w, w_bytes, n_w, a,         \
               a_bytes, n_a, k);                                                                   \
    }
DEFINE(f32, 1, 4)
DEFINE(f16, 1, 2)
DEFINE(bf16, 1, 2)
DEFINE(q4_0, 32, sizeof(slm_block_q4_0))
DEFINE(q4_1, 32, sizeof(slm_block_q4_1))
DEFINE(q5_0, 32, sizeof(slm_block_q5_0))
DEFINE(q5_1, 32, sizeof(slm_block_q5_1))
DEFINE(q8_0, 32, sizeof(slm_block_q8_0))
DEFINE(iq4_nl, 32, sizeof(slm_block_iq4_nl))
DEFINE(q2_k, 256, sizeof(slm_block_q2_k))
DEFINE(q3_k, 256, sizeof(slm_block_q3_k))
DEFINE(q4_k, 256, sizeof(slm_block_q4_k))
DEFINE(q5_k, 256, sizeof(slm_block_q5_k))
DEFINE(q6_k, 256, sizeof(slm_block_q6_k))
DEFINE(iq4_xs, 256, sizeof(slm_block_iq4_xs))

typedef void (*unpack_fn)(int16_t q[256], const void *block);

SLM_INLINE int32_t dot_ternary(const int16_t *q, const int8_t *x, int n) {
    int32_t dot = 0;
    for (int l = 0; l < n; l++)
        dot += q[l] * (int16_t)x[l];
    return dot;
}

SLM_INLINE void matmul_ternary(unpack_fn unpack, size_t block_bytes, float *y, size_t y_stride,
                               const void *w, size_t w_bytes, size_t n_w, const void *a,
                               size_t a_bytes, size_t n_a, size_t k) {
    for (size_t i = 0; i < n_w; i++) {
        const uint8_t *row = (const uint8_t *)w + i * w_bytes;
        for (size_t j0 = 0; j0 < n_a; j0 += SLM_REF_TILE) {
            size_t tile = n_a - j0 < SLM_REF_TILE ? n_a - j0 : SLM_REF_TILE;
            float sums[SLM_REF_TILE] = {0};
            for (size_t b = 0; b < k / 256; b++) {
                const uint8_t *block = row + b * block_bytes;
                int16_t q[256];
                unpack(q, block);
                float d = slm_load_half(block + block_bytes - 2); /* both types end with d */
                for (size_t j = 0; j < tile; j++) {
                    const int8_t *x = act_values(act_row(a, a_bytes, j0 + j)) + 256 * b;
                    sums[j] += d * (float)dot_ternary(q, x, 256);
                }
            }
            for (size_t j = 0; j < tile; j++)
                y[(j0 + j) * y_stride + i] = act_row(a, a_bytes, j0 + j)->inv * sums[j];
        }
    }
}

SLM_INLINE void unpack_tq1_0(int16_t q[256], const void *block) {
    slm_unpack_tq1_0(q, block);
}
SLM_INLINE void unpack_tq2_0(int16_t q[256], const void *block) {
    slm_unpack_tq2_0(q, block);
}

SLM_REF_MATMUL(slm_matmul_tq1_0_i8_row_ref) {
    matmul_ternary(unpack_tq1_0, sizeof(slm_block_tq1_0), y, y_stride, w, w_bytes, n_w, a, a_bytes,
                   n_a, k);
}

SLM_REF_MATMUL(slm_matmul_tq2_0_i8_row_ref) {
    matmul_ternary(unpack_tq2_0, sizeof(slm_block_tq2_0), y, y_stride, w, w_bytes, n_w, a, a_bytes,
                   n_a, k);
}

SLM_REF_MATMUL(slm_matmul_i2_s_i8_row_ref) {
    for (size_t i = 0; i < n_w; i++) {
        const slm_block_i2_s *row = (const slm_block_i2_s *)((const uint8_t *)w + i * w_bytes);
        for (size_t j0 = 0; j0 < n_a; j0 += SLM_REF_TILE) {
            size_t tile = n_a - j0 < SLM_REF_TILE ? n_a - j0 : SLM_REF_TILE;
            int32_t sums[SLM_REF_TILE] = {0};
            for (size_t b = 0; b < k / 128; b++) {
                int16_t q[128];
                for (int g = 0; g < 4; g++)
                    for (int l = 0; l < 32; l++)
                        q[32 * g + l] = (int16_t)((row[b].qs[l] >> (6 - 2 * g) & 3) - 1);
                for (size_t j = 0; j < tile; j++) {
                    const int8_t *x = act_values(act_row(a, a_bytes, j0 + j)) + 128 * b;
                    sums[j] += dot_ternary(q, x, 128);
                }
            }
            for (size_t j = 0; j < tile; j++)
                y[(j0 + j) * y_stride + i] = act_row(a, a_bytes, j0 + j)->inv * (float)sums[j];
        }
    }
}
