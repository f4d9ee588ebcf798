/* Rotary position embedding (Su et al. 2021). */
#include "ref.h"

#include <math.h>

SLM_INLINE void rotate(float *a, float *b, float x0, float x1, float cosine, float sine) {
    *a = x0 * cosine - x1 * sine;
    *b = x1 * cosine + x0 * sine;
}

void slm_rope_half(float *x, const float *cos, const float *sin, size_t n_rot) {
    size_t half = n_rot / 2;
    for (size_t i = 0; i < half; i++)
        rotate(&x[i], &x[i + half], x[i], x[i + half], cos[i], sin[i]);
}

void slm_rope_interleaved(float *y, const float *x, const float *cos, const float *sin,
                          size_t n_rot, size_t d) {
    size_t half = n_rot / 2;
    for (size_t i = 0; i < half; i++)
        rotate(&y[i], &y[i + half], x[2 * i], x[2 * i + 1], cos[i], sin[i]);
    if (d > 2 * half)
        memcpy(y + 2 * half, x + 2 * half, (d - 2 * half) * sizeof *x);
}

void slm_rope_angles(float *cosine, float *sine, const double *inv_freq, size_t n_half,
                     uint64_t position, float attn_factor) {
    for (size_t i = 0; i < n_half; i++) {
        double angle = (double)position * inv_freq[i];
        cosine[i] = (float)(cos(angle) * (double)attn_factor);
        sine[i] = (float)(sin(angle) * (double)attn_factor);
    }
}
