#include "float_rows.h"

void slm_kv_scores_f16_dotprod(float *s, size_t s_stride, const float *q, size_t q_stride,
                               size_t n_q, const void *k, size_t k_bytes, size_t n_k, size_t d,
                               float scale) {
    for (size_t t = 0; t < n_k; t++) {
        const uint8_t *row = (const uint8_t *)k + t * k_bytes;
        size_t h = 0;
        for (; h + SLM_ROWS <= n_q; h += SLM_ROWS)
            slm_dot_rows(slm_load_16_f16, 2, s + h * s_stride + t, s_stride, row, q + h * q_stride,
                         q_stride, d, SLM_ROWS);
        for (; h < n_q; h++)
            slm_dot_rows(slm_load_16_f16, 2, s + h * s_stride + t, s_stride, row, q + h * q_stride,
                         q_stride, d, 1);
        for (h = 0; h < n_q; h++)
            s[h * s_stride + t] *= scale;
    }
}

/* One chain of fused multiply-adds an output, t ascending. */
void slm_kv_values_f16_dotprod(float *o, size_t o_stride, const float *p, size_t p_stride,
                               size_t n_q, const void *v, size_t v_bytes, size_t n_k, size_t d) {
    for (size_t t = 0; t < n_k; t++) {
        const uint8_t *row = (const uint8_t *)v + t * v_bytes;
        for (size_t i = 0; i < d; i += 16) {
            uint8_t last[32] = {0};
            size_t n = d - i < 16 ? d - i : 16;
            const uint8_t *at = row + 2 * i;
            if (n < 16)
                at = memcpy(last, at, 2 * n);
            slm_16_floats u = slm_load_16_f16(at);
            for (size_t h = 0; h < n_q; h++) {
                float *out = o + h * o_stride + i, values[16], weight = p[h * p_stride + t];
                float *to = n < 16 ? memcpy(values, out, n * sizeof *out) : out;
                for (int l = 0; l < 4; l++)
                    vst1q_f32(to + 4 * l, vfmaq_n_f32(vld1q_f32(to + 4 * l), u.v[l], weight));
                if (n < 16)
                    memcpy(out, values, n * sizeof *out);
            }
        }
    }
}
