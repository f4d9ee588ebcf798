/* The selective scan and its convolution, for files of several instruction levels: loops over the
 * channels of a group that compilers turn into vectors. No sum goes across channels, so every level
 * gives the same bits. NAME(x) makes the names of the level. */
#ifndef SLM_SCAN_H
#define SLM_SCAN_H

#include "ref/exp.h"

#define G SLM_SCAN_GROUP

/* log(1 + e) for 0 <= e <= 1, as 2 atanh(s) with s = e / (2 + e) <= 1/3; the series is cut off where
 * its next term is below 2^-29 of the sum. */
SLM_INLINE float log1p_unit(float e) {
    float s = e / (2.0f + e), s2 = s * s;
    float p = 1.0f / 15.0f;
    p = p * s2 + 1.0f / 13.0f;
    p = p * s2 + 1.0f / 11.0f;
    p = p * s2 + 1.0f / 9.0f;
    p = p * s2 + 1.0f / 7.0f;
    p = p * s2 + 1.0f / 5.0f;
    p = p * s2 + 1.0f / 3.0f;
    s = 2.0f * s;
    return s + s * (s2 * p);
}

/* log(1 + exp(x)) without overflow; NaN for NaN. */
SLM_INLINE float softplus(float x) {
    float most = x > 0.0f ? x : 0.0f, least = x > 0.0f ? -x : x;
    return most + log1p_unit(slm_expf(least));
}

SLM_REF_CONV_SILU(NAME(conv_silu)) {
    for (size_t g = 0; g < n_groups; g++, x += G, y += G, bias += G) {
        for (size_t t = 0; t < n_tokens; t++) {
            const float *newest = x + t * x_stride;
            float sum[G];
            for (size_t i = 0; i < G; i++)
                sum[i] = 0.0f;
            for (size_t j = 0; j + 1 < n_conv; j++)
                for (size_t i = 0; i < G; i++)
                    sum[i] += w[j * G + i] * past[j * G + i];
            for (size_t i = 0; i < G; i++)
                sum[i] = sum[i] + w[(n_conv - 1) * G + i] * newest[i] + bias[i];
            for (size_t j = 0; j + 2 < n_conv; j++)
                memcpy(past + j * G, past + (j + 1) * G, G * sizeof *past);
            if (n_conv > 1)
                memcpy(past + (n_conv - 2) * G, newest, G * sizeof *past);
            for (size_t i = 0; i < G; i++)
                y[t * y_stride + i] = sum[i] / (1.0f + slm_expf(-sum[i]));
        }
        past += (n_conv - 1) * G;
        w += n_conv * G;
    }
}

SLM_REF_SCAN(NAME(scan)) {
    const size_t n_state = s->n_state;
    for (size_t g = first; g < first + n_groups; g++) {
        const float *a = s->a + g * n_state * G;
        float *h = state + g * n_state * G;
        for (size_t t = 0; t < n_tokens; t++) {
            const float *x = s->x + t * s->x_stride + g * G, *b = s->bc + t * s->bc_stride;
            const float *dt_in = s->dt + t * s->dt_stride + g * G, *c = b + n_state;
            float dt[G], dtx[G], y[G];
            for (size_t i = 0; i < G; i++) {
                dt[i] = softplus(dt_in[i] + s->dt_bias[g * G + i]);
                dtx[i] = dt[i] * x[i];
                y[i] = 0.0f;
            }
            for (size_t n = 0; n < n_state; n++)
                for (size_t i = 0; i < G; i++) {
                    float now = slm_expf(dt[i] * a[n * G + i]) * h[n * G + i] + dtx[i] * b[n];
                    h[n * G + i] = now;
                    y[i] += now * c[n];
                }
            for (size_t i = 0; i < G; i++)
                s->y[t * s->y_stride + g * G + i] = y[i] + s->skip[g * G + i] * x[i];
        }
    }
}

#undef G

#endif
