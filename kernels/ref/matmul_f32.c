/* F32, F16 and BF16 weights by F32 activations. The order of the sum: slm_dot_lanes in ref.h. */
#include "ref.h"

SLM_INLINE void matmul(slm_dequantize_fn dequantize, size_t weight_bytes, float *y, size_t y_stride,
                       const void *w, size_t w_bytes, size_t n_w, const void *a, size_t a_bytes,
                       size_t n_a, size_t k) {
    for (size_t i = 0; i < n_w; i++) {
        const uint8_t *row = (const uint8_t *)w + i * w_bytes;
        for (size_t j0 = 0; j0 < n_a; j0 += SLM_REF_TILE) {
            size_t tile = n_a - j0 < SLM_REF_TILE ? n_a - j0 : SLM_REF_TILE;
            float lanes[SLM_REF_TILE][16] = {{0}};
            for (size_t p = 0; p < k; p += SLM_REF_PIECE) {
                size_t n = k - p < SLM_REF_PIECE ? k - p : SLM_REF_PIECE;
                float piece[SLM_REF_PIECE];
                dequantize(piece, row + p * weight_bytes, n);
                for (size_t j = 0; j < tile; j++) {
                    const uint8_t *x = (const uint8_t *)a + (j0 + j) * a_bytes;
                    slm_dot_lanes(lanes[j], piece, (const float *)x + p, n);
                }
            }
            for (size_t j = 0; j < tile; j++)
                y[(j0 + j) * y_stride + i] = slm_add_lanes(lanes[j]);
        }
    }
}

SLM_REF_MATMUL(slm_matmul_f32_f32_ref) {
    matmul(slm_dequantize_f32_ref, 4, y, y_stride, w, w_bytes, n_w, a, a_bytes, n_a, k);
}
SLM_REF_MATMUL(slm_matmul_f16_f32_ref) {
    matmul(slm_dequantize_f16_ref, 2, y, y_stride, w, w_bytes, n_w, a, a_bytes, n_a, k);
}
SLM_REF_MATMUL(slm_matmul_bf16_f32_ref) {
    matmul(slm_dequantize_bf16_ref, 2, y, y_stride, w, w_bytes, n_w, a, a_bytes, n_a, k);
}
